"""What an API reports, as values and beside another report."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.endpoint.reported import alike, reported_in, value_of

ENDPOINT = load_endpoint("nexus-opportunity")
AMOUNT, DAY, TEXT = (ENDPOINT.field(name) for name in ("SalesRevenue", "PendingCloseDate", "OpportunityName"))
STAGE = ENDPOINT.field("StageName")


def test_values_are_of_the_fields_kind() -> None:
    """Decimals keep their digits, dates lose their time of day, a text stays as it is, blank is no value."""
    assert str(value_of(AMOUNT, from_json("200000.00"))) == "200000.00"
    assert value_of(AMOUNT, "1.50") == Decimal("1.50")
    assert value_of(DAY, "2026-03-31T00:00:00Z") == date(2026, 3, 31)
    assert value_of(TEXT, " 007 ") == " 007 "
    assert [value_of(field, blank) for field in (AMOUNT, DAY, TEXT) for blank in (None, " ")] == [None] * 6


@pytest.mark.parametrize(
    ("field", "got"),
    [
        (AMOUNT, "many"),
        (AMOUNT, True),
        (AMOUNT, from_json("1e999999999")),
        (AMOUNT, "1e-999999999"),
        (DAY, "soon"),
        (DAY, "2026-02-30"),
        (TEXT, [1]),
    ],
)
def test_what_is_no_value_is_refused(field: object, got: object) -> None:
    """What cannot be written out as the field's value is an error, and takes no memory to find out."""
    with pytest.raises(ValueError, match="it is"):
        value_of(field, got)  # type: ignore[arg-type]


def test_reports_are_alike_by_what_they_mean() -> None:
    """Decimals by value, dates by day, texts but for blanks and line ends, ids by themselves, null as blank."""
    assert alike(AMOUNT, Decimal("1.50"), Decimal("1.5"))
    assert alike(DAY, "2026-03-31", "2026-03-31T12:00:00")
    assert alike(TEXT, "a\r\nb ", "a\nb")
    assert alike(TEXT, None, "")
    assert alike(STAGE, 3, 3)
    assert not alike(STAGE, 3, 4)
    assert not alike(AMOUNT, 1, None)
    assert not alike(DAY, "2026-03-31", "2026-04-01")


def test_a_field_that_is_not_reported_is_told_from_an_empty_one() -> None:
    """Null is a report, a missing property is none."""
    assert reported_in(STAGE, {"OpportunityStageID": None}) is None
    with pytest.raises(KeyError):
        reported_in(STAGE, {"OpportunityName": "x"})
