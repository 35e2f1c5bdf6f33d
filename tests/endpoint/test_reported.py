"""What an API reports, as values and beside another report."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Pair
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.reported import parse_reported, reported_value, reports_equal

ENDPOINT = load_endpoint("nexus-opportunity")
AMOUNT, DAY, TEXT = (ENDPOINT.field(name) for name in ("SalesRevenue", "PendingCloseDate", "OpportunityName"))
STAGE = ENDPOINT.field("StageName")


def test_values_are_of_the_fields_kind() -> None:
    """Decimals keep their digits, dates lose their time of day, a text stays as it is, blank is no value."""
    assert str(parse_reported(AMOUNT, from_json("200000.00"))) == "200000.00"
    assert parse_reported(AMOUNT, "1.50") == Decimal("1.50")
    assert parse_reported(DAY, "2026-03-31T00:00:00Z") == date(2026, 3, 31)
    assert parse_reported(TEXT, " 007 ") == " 007 "
    assert [parse_reported(field, blank) for field in (AMOUNT, DAY, TEXT) for blank in (None, " ")] == [None] * 6


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
def test_an_invalid_value_is_refused(field: object, got: object) -> None:
    """What cannot be written out as the field's value is an error, and takes no memory to find out."""
    with pytest.raises(ValueError, match="it is"):
        parse_reported(field, got)  # type: ignore[arg-type]


def test_reports_are_compared_by_value() -> None:
    """Decimals by value, dates by day, texts but for blanks and line ends, ids by themselves, null as blank."""
    assert reports_equal(AMOUNT, Decimal("1.50"), Decimal("1.5"))
    assert reports_equal(DAY, "2026-03-31", "2026-03-31T12:00:00")
    assert reports_equal(TEXT, "a\r\nb ", "a\nb")
    assert reports_equal(TEXT, None, "")
    assert reports_equal(STAGE, 3, 3)
    assert not reports_equal(STAGE, 3, 4)
    assert not reports_equal(AMOUNT, 1, None)
    assert not reports_equal(DAY, "2026-03-31", "2026-04-01")


def test_a_field_that_is_not_reported_differs_from_an_empty_one() -> None:
    """Null is a reported value; a missing property is not."""
    assert reported_value(STAGE, {"OpportunityStageID": None}) is None
    with pytest.raises(KeyError):
        reported_value(STAGE, {"OpportunityName": "x"})


def test_a_member_of_null_is_reported_as_null() -> None:
    """Who is not assigned has no id. An object without the member tells nothing."""
    of_assignee = replace(TEXT, reported_as=("assignee", "id"))
    assert reported_value(of_assignee, {"assignee": {"id": "7"}}) == "7"
    assert reported_value(of_assignee, {"assignee": None}) is None
    with pytest.raises(KeyError):
        reported_value(of_assignee, {"assignee": {}})
    of_plan = replace(TEXT, reported_as=("fields", Pair("gid", "12", "option"), "gid"))
    assert reported_value(of_plan, {"fields": [{"gid": "12", "option": None}]}) is None
    with pytest.raises(KeyError):
        reported_value(of_plan, {"fields": [{"gid": "13", "option": None}]})
