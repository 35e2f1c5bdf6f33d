"""endpoint/compare.py: asked and reported."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import Difference, confirmation, differences, record_of
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import Job, Value
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.endpoint.description import Endpoint

ENDPOINT = load_endpoint("nexus-opportunity")
LEARNED = AllowedValues(ENDPOINT).learn(
    Job(2, "", {}),
    {"AvailableStages": [{"StageID": 2, "StageName": "Qualified"}, {"StageID": 3, "StageName": "Proposal"}]},
)


def differences_in(
    record: dict[str, object], allowed: AllowedValues = LEARNED, /, **values: Value
) -> tuple[Difference, ...]:
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
    assert differences_in({field: got}, **{field: asked}) == ()


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
    assert differences_in({field: got}, **{field: asked}) == (Difference(field, *difference),)


def test_another_record_differs() -> None:
    """A record with another id or type is not the one that was asked for."""
    assert differences_in({"ID": 124}) == (Difference("OpportunityId", "123", "124"),)
    assert differences_in({"Type": "Post"}) == (Difference("opportunityType", "Pre", "Post"),)


def test_a_field_that_is_not_reported_is_not_compared() -> None:
    """What the answer does not have cannot differ."""
    assert differences_in({}, OpportunityName="x", SalesRevenue=Decimal(1), StageName="Proposal") == ()


def test_a_name_is_compared_by_its_id_where_the_list_is_known() -> None:
    """With the list, another id is a difference; without it, the API's acceptance is enough."""
    assert differences_in({"OpportunityStageID": 3}, StageName="Proposal") == ()
    assert differences_in({"OpportunityStageID": 2}, StageName="Proposal") == (
        Difference("StageName", "Proposal (id 3)", "id 2"),
    )
    assert differences_in({"OpportunityStageID": 2}, AllowedValues(ENDPOINT), StageName="Proposal") == ()
    assert differences_in({"OpportunityStageID": 2}, StageName=None) == (Difference("StageName", "", "id 2"),)


ASKED: dict[str, Value] = {"OpportunityName": "x", "StageName": "Proposal", "SalesRevenue": Decimal("1.50")}
JOB = Job(2, "", {"OpportunityId": 123, "opportunityType": "Pre", **ASKED})
RECORD: dict[str, object] = {
    "ID": 123, "Type": "Pre", "OpportunityName": "x", "OpportunityStageID": 3, "SalesRevenue": Decimal("1.5"),
}  # fmt: skip


def judged(answer: object, endpoint: Endpoint = ENDPOINT, status: int = 200) -> tuple[bool, str, list[str]]:
    """Return whether an answer settles the update, why it is doubted, and the fields that differ."""
    result = confirmation(endpoint, JOB, status, answer, LEARNED)
    return result.settles, result.doubt.cause.strip() if result.doubt else "", [one.field for one in result.differences]


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in RECORD.items() if name not in names}


def test_an_answer_confirms_an_update_with_all_properties_that_the_row_sets() -> None:
    """Id, type and the fields of the row: what the row does not ask for need not be there."""
    assert judged(RECORD) == (True, "", [])
    assert judged({**RECORD, "VisitID": None, "somethingElse": 5}) == (True, "", [])


@pytest.mark.parametrize("name", RECORD)
def test_a_described_property_that_is_missing_is_no_confirmation(name: str) -> None:
    """Whichever of them it is."""
    assert judged(without(name)) == (False, "with less than the record", [])


def test_a_property_that_the_row_empties_need_not_come_back() -> None:
    """Many services leave out what is empty; one that still holds something differs."""
    emptied = Job(2, "", {"OpportunityId": 123, "opportunityType": "Pre", "OpportunityName": None})
    assert confirmation(ENDPOINT, emptied, 200, without("OpportunityName"), LEARNED).doubt is None
    assert confirmation(ENDPOINT, emptied, 200, RECORD, LEARNED).differences == (
        Difference("OpportunityName", "", "x"),
    )


@pytest.mark.parametrize("answer", [{"ID": 123}, {"ID": 123, "Type": "Pre"}, {**RECORD, "ID": None}, {"VisitID": None}])
def test_less_than_the_record_is_no_confirmation(answer: object) -> None:
    """Nor is an id that is null, which says no more than one that is missing."""
    assert judged(answer) == (False, "with less than the record", [])


@pytest.mark.parametrize("answer", [None, [], {}, "x", 1, {"message": "ok"}, [RECORD]])
def test_an_answer_without_a_record_confirms_nothing(answer: object) -> None:
    """Only an object with a described property counts as the record."""
    assert judged(answer) == (False, "without the record", [])


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ({"ID": 124}, ["OpportunityId"]),
        ({"Type": "Post"}, ["opportunityType"]),
        ({**RECORD, "OpportunityName": "old"}, ["OpportunityName"]),
        ({**without("SalesRevenue"), "OpportunityName": "old"}, ["OpportunityName"]),
        ({**RECORD, "SalesRevenue": "1e999999999"}, ["SalesRevenue"]),
        ({**RECORD, "OpportunityStageID": None}, ["StageName"]),
        ({**RECORD, "OpportunityName": ["x"]}, ["OpportunityName"]),
        ({**RECORD, "OpportunityName": "old", "success": False}, ["OpportunityName"]),
    ],
)
def test_a_record_that_holds_something_else_differs(answer: object, fields: list[str]) -> None:
    """It is settled by what it shows, whatever is missing or said besides."""
    settles, _, differing = judged(answer)
    assert (settles, differing) == (True, fields)


def test_values_of_an_unidentified_record_do_not_differ() -> None:
    """Without the id, an old name may be that of another record."""
    assert judged({**without("ID"), "OpportunityName": "old"}) == (False, "with less than the record", [])


@pytest.mark.parametrize(
    "said",
    [{"success": False}, {"error": "locked"}, {"errors": ["a"]}, {"status": "failed"}, {"result": {"ok": False}}],
)
def test_an_answer_that_contradicts_itself_confirms_nothing(said: dict[str, object]) -> None:
    """The record as asked is worth nothing beside the word that it was not saved; so is one that was read."""
    assert judged({**RECORD, **said}) == (False, "that says it failed", [])
    assert record_of(ENDPOINT, JOB, [RECORD]) == RECORD
    assert record_of(ENDPOINT, JOB, [{**RECORD, **said}]) is None


def test_a_described_flag_of_success_is_one(load: Callable[..., Endpoint]) -> None:
    """Many descriptions list the envelope beside the record: what it says of the call counts all the same."""
    properties = {name: {"type": "string"} for name in ("size", "success", "errors")}
    content = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    endpoint = load(document(responses={"200": {"content": content}}))
    job = Job(2, "", {"thing": 1, "size": 5})

    def settles(**answer: object) -> bool:
        return confirmation(endpoint, job, 200, {"size": "5", **answer}, AllowedValues(endpoint)).settles

    assert settles(success=True, errors=[])
    assert not settles(success=False, errors=[])
    assert not settles(success=True, errors=["locked"])


def test_a_described_property_is_no_contradiction(load: Callable[..., Endpoint]) -> None:
    """A record may have a status `failed`; and what is left out by its description is not demanded."""
    properties = {name: {"type": "string"} for name in ("status", "error", "size")}
    content = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    responses = {"200": {"content": content}, "204": {}, "201": {"content": content, "x-always-reported": ["status"]}}
    endpoint = load(document(responses=responses))
    job = Job(2, "", {"thing": 1, "size": 5})

    def settles(status: int, answer: object) -> bool:
        return confirmation(endpoint, job, status, answer, AllowedValues(endpoint)).settles

    assert settles(200, {"status": "failed", "error": "of the thing", "size": "5"})
    assert not settles(200, {"status": "failed", "size": "5", "success": False})
    assert not settles(200, {"status": "done"})
    assert settles(201, {"status": "done"})
    assert confirmation(endpoint, job, 201, {"status": "a", "size": "6"}, AllowedValues(endpoint)).differences
    assert settles(204, None)
    assert settles(204, {"note": "ok"})
    assert not settles(204, {"errors": [{"code": 7}]})
    assert not settles(204, "Error: locked")


@pytest.mark.parametrize(
    "answer",
    [
        [], [RECORD, RECORD], [without("ID")], [without("Type")], [{**RECORD, "ID": 124}], [{**RECORD, "Type": "Post"}],
        [{**RECORD, "ID": None}], [{**RECORD, "ID": "1e999999999"}], [[RECORD]], {"items": [RECORD]}, None, "x",
    ],
)  # fmt: skip
def test_a_record_that_may_not_be_the_target_is_not_used(answer: object) -> None:
    """Another record, two, or one that does not say which it is."""
    assert record_of(ENDPOINT, JOB, answer) is None


def test_a_long_text_of_marks_is_compared_at_once() -> None:
    """Sorting half a million marks would take minutes; a text that is not so odd is compared as ever."""
    began = time.process_time()
    marks = "a" + "\u0301\u0327" * 250_000
    assert differences_in({"OpportunityName": marks}, OpportunityName="\u00e1") != ()
    assert differences_in({"OpportunityName": marks}, OpportunityName=f"{marks}\u0301") != ()
    assert differences_in({"OpportunityName": f"{marks} "}, OpportunityName=marks) == ()
    assert time.process_time() - began < 2
    assert differences_in({"OpportunityName": "e\u0301" * 5_000}, OpportunityName="\u00e9" * 5_000) == ()
