"""endpoint/compare.py: asked and reported."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import Difference, described_record, differences
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.model import Job, Value

ENDPOINT = load_endpoint("nexus-opportunity")
LEARNED = AllowedValues(ENDPOINT).learn(
    Job(2, "", {}),
    {"AvailableStages": [{"StageID": 2, "StageName": "Qualified"}, {"StageID": 3, "StageName": "Proposal"}]},
)


def found(record: dict[str, object], allowed: AllowedValues = LEARNED, /, **values: Value) -> tuple[Difference, ...]:
    job = Job(2, "", {"OpportunityId": 123, "opportunityType": "Pre", **values})
    return differences(ENDPOINT, job, {"ID": 123, "Type": "Pre", **record}, allowed)


@pytest.mark.parametrize(
    ("field", "asked", "got"),
    [
        ("AcctPotential", Decimal("200000.00"), 200000),
        ("AcctPotential", Decimal("200000.00"), Decimal("2E+5")),
        ("AcctPotential", Decimal("0.10"), "0.1"),
        ("PendingCloseDate", date(2024, 12, 31), "2024-12-31T00:00:00Z"),
        ("PendingCloseDate", date(2024, 12, 31), "2024-12-31T00:00:00+13:00"),
        ("PendingCloseDate", date(2024, 12, 31), "2024-12-31"),
        ("OpportunityName", " Caf\u00e9 ", "Cafe\u0301"),
        ("OpportunityName", "a\r\nb", "a\nb"),
        ("OpportunityName", None, ""),
        ("OpportunityName", None, None),
        ("OpportunityName", "  ", None),
    ],
)
def test_equal_values_do_not_differ(field: str, asked: Value, got: object) -> None:
    """Decimals by value, dates by their day, text trimmed and normalised, null as blank."""
    assert found({field: got}, **{field: asked}) == ()


@pytest.mark.parametrize(
    ("field", "asked", "got", "difference"),
    [
        ("AcctPotential", Decimal("200000.00"), Decimal("200000.01"), ("200000.00", "200000.01")),
        ("AcctPotential", Decimal(1), True, ("1", "true")),
        ("AcctPotential", Decimal(1), None, ("1", "")),
        ("PendingCloseDate", date(2024, 12, 31), "2025-01-01T00:00:00", ("2024-12-31", "2025-01-01T00:00:00")),
        ("OpportunityName", "Launch", "launch", ("Launch", "launch")),
        ("OpportunityName", None, "kept", ("", "kept")),
        ("OpportunityID", "00123", "123", ("00123", "123")),
    ],
)
def test_different_values_are_named_with_both(
    field: str, asked: Value, got: object, difference: tuple[str, str]
) -> None:
    """A difference says which field, what was asked for and what is there."""
    assert found({field: got}, **{field: asked}) == (Difference(field, *difference),)


def test_another_record_differs() -> None:
    """A record with another id or type is not the one that was asked for."""
    assert found({"ID": 124}) == (Difference("OpportunityId", "123", "124"),)
    assert found({"Type": "Post"}) == (Difference("opportunityType", "Pre", "Post"),)


def test_a_field_that_is_not_reported_is_not_compared() -> None:
    """What the answer does not have cannot differ."""
    assert found({}, OpportunityName="x", SalesRevenue=Decimal(1), StageName="Proposal") == ()


def test_a_name_is_compared_by_its_id_where_the_list_is_known() -> None:
    """With the list, another id is a difference; without it, the API's acceptance is enough."""
    assert found({"OpportunityStageID": 3}, StageName="Proposal") == ()
    assert found({"OpportunityStageID": 2}, StageName="Proposal") == (
        Difference("StageName", "Proposal (id 3)", "id 2"),
    )
    assert found({"OpportunityStageID": 2}, AllowedValues(ENDPOINT), StageName="Proposal") == ()
    assert found({"OpportunityStageID": 2}, StageName=None) == (Difference("StageName", "", "id 2"),)


@pytest.mark.parametrize("answer", [None, [], {}, "x", 1, {"message": "ok"}, [{"ID": 1}]])
def test_what_is_no_record_confirms_nothing(answer: object) -> None:
    """Only an object with a described property counts as the record."""
    assert described_record(ENDPOINT, answer) is None


def test_a_record_with_any_described_property_is_one() -> None:
    """One property that the description knows is enough."""
    assert described_record(ENDPOINT, {"ID": 5}) == {"ID": 5}
