"""undo.py: what is written back of each row, and what is not, with the reason."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind, Pair
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import (
    AllowedList,
    AllowedValue,
    ExpectedValue,
    Job,
    Outcome,
    OutcomeKind,
    Problem,
    RecordSnapshots,
)
from batch_updater.runs.undo import ChangedRecords
from batch_updater.text.redaction import REDACTED
from tests.endpoint.test_bodies import field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.records import Cell, Expected, Value
    from batch_updater.reporter.undo_workbook import NotPossible, UndoRow

ENDPOINT = load_endpoint("nexus-opportunity")
SELECTING: dict[str, Value] = {"OpportunityId": 7, "opportunityType": "Pre"}
STAGES = AllowedList("StageName", (("LanguageId", "1"),), (AllowedValue("Prospect", 1), AllowedValue("Proposal", 3)))
NAME = "OpportunityName"
UPDATED = OutcomeKind.UPDATED


def job(values: Mapping[str, Value], row: int = 2) -> Job:
    return Job(row, "OpportunityId=7&opportunityType=Pre", {**SELECTING, **values})


def outcome(
    asked: Mapping[str, object],
    before: Mapping[str, object] | None = None,
    reported: Mapping[str, object] | str | None = None,
    *,
    kind: OutcomeKind = UPDATED,
    otherwise: str = "",
) -> Outcome:
    """Return the outcome of a row: the body of its update, the record before, and what the API answered with."""
    snapshots = (None if one is None else json.dumps(one, default=str) for one in (before, asked, reported))
    problems = (Problem(2, otherwise, "differs", "", "It differs.", ""),) if otherwise else ()
    return Outcome(2, kind, problems=problems, kept=RecordSnapshots(*snapshots))


def undone(*rows: tuple[Job, Outcome], expected: Expected | None = None) -> tuple[list[UndoRow], list[NotPossible]]:
    changed = ChangedRecords(ENDPOINT, (STAGES,))
    for one, its_outcome in rows:
        changed.add(one, its_outcome, expected or {})
    return changed.set_back()


def why_not(*rows: tuple[Job, Outcome]) -> list[tuple[int, str, str]]:
    """Return row, field and reason of everything that cannot be set back, where nothing can."""
    possible, not_possible = undone(*rows)
    assert possible == []
    return [(one.row, one.field, one.why) for one in not_possible]


def test_a_changed_field_gets_its_value_before_and_expects_what_the_run_left() -> None:
    """The cells that select the record come with it; a field that the row did not send is left alone."""
    before = {NAME: "Old", "OpportunityID": "X-1"}
    (row,), not_possible = undone((job({NAME: "New"}), outcome({NAME: "New"}, before, {NAME: "New"})))
    assert row.cells == {**SELECTING, NAME: "Old"}
    assert row.expected == (ExpectedValue(NAME, "Old", "New", '"Old"', '"New"'),)
    assert not_possible == []


@pytest.mark.parametrize(
    ("field", "before", "left", "cell"),
    [
        (NAME, None, "New", "#CLEAR"),
        (NAME, "=1+1", "New", "=1+1"),
        ("OpportunityID", "00123", "9", "00123"),
        ("SalesRevenue", 12.5, 20, Decimal("12.5")),
        ("SalesRevenue", None, 20, "#CLEAR"),
        ("SalesRevenue", 1234567890123456789, 20, "1234567890123456789"),
        ("PendingCloseDate", "2026-03-25", "2026-04-01", date(2026, 3, 25)),
        ("PendingCloseDate", "1900-01-15", "2026-04-01", "1900-01-15"),
    ],
)
def test_a_cell_comes_back_as_the_very_value(field: str, before: object, left: object, cell: object) -> None:
    """As text where a cell of its own kind would lose digits or a day; an empty field is emptied again."""
    (row,), _ = undone((job({field: "x"}), outcome({field: left}, {field: before}, {field: left})))
    assert (row.cells[field], type(row.cells[field])) == (cell, type(cell))


def test_of_several_rows_of_a_record_the_first_value_counts_and_the_last_one_is_expected() -> None:
    """Each of them has read and changed the record."""
    rows = [
        (job({NAME: new}, row), outcome({NAME: new}, {NAME: old}, {NAME: new}))
        for row, old, new in ((2, "A", "B"), (3, "B", "C"))
    ]
    (row,), _ = undone(*rows)
    assert (row.cells[NAME], row.expected[0].left) == ("A", '"C"')


def test_what_ends_as_it_began_is_not_set_back() -> None:
    """Neither a value that the update did not change, nor one that a later row has changed back."""
    same = (job({NAME: "A"}), outcome({NAME: "A"}, {NAME: "A"}, {NAME: "A"}))
    back = [(job({NAME: new}), outcome({NAME: new}, {NAME: old}, {NAME: new})) for old, new in (("A", "B"), ("B", "A"))]
    for rows in ([same], back):
        assert undone(*rows) == ([], [])


def test_what_was_asked_for_counts_where_the_answer_does_not_hold_the_field() -> None:
    """The API has confirmed the update in another way."""
    (row,), _ = undone((job({NAME: "New"}), outcome({NAME: "New"}, {NAME: "Old"}, {"ID": 7})))
    assert row.expected[0].left == '"New"'


def test_an_id_is_set_back_by_its_name() -> None:
    """The list that the run has learned tells it; the sheet that is compared holds the ids."""
    change = outcome({"StageName": "Proposal"}, {"OpportunityStageID": 1}, {"OpportunityStageID": 3})
    (row,), _ = undone((job({"StageName": "Proposal"}), change))
    assert row.cells["StageName"] == "Prospect"
    assert row.expected == (ExpectedValue("StageName", "Prospect", "Proposal", "1", "3"),)


def test_a_name_that_the_run_has_sent_is_known_for_its_id() -> None:
    """Where a row turned 9 into 5 by the name Renewal, another one that turned 5 into 9 goes back to Renewal."""
    rows = []
    for number, name, before, left in ((7, "Renewal", 9, 5), (8, "New Business", 5, 9)):
        one = replace(job({"OpportunityId": number, "CategoryName": name}), target=str(number))
        ids = ({"OpportunityCategoryID": identity} for identity in (before, left))
        rows.append((one, outcome({"CategoryName": name}, *ids)))
    set_back, _ = undone(*rows)
    assert [row.cells["CategoryName"] for row in set_back] == ["New Business", "Renewal"]


def test_the_undo_of_an_undo_knows_the_names_of_its_sheet() -> None:
    """What an undo workbook expects has names beside ids."""
    one = job({"CategoryName": "Renewal"})
    change = outcome({"CategoryName": "Renewal"}, {"OpportunityCategoryID": 9}, {"OpportunityCategoryID": 5})
    expected = {one.target: (ExpectedValue("CategoryName", "Renewal", "New Business", "5", "9"),)}
    (row,), _ = undone((one, change), expected=expected)
    assert row.cells["CategoryName"] == "New Business"


OLD, NEW = {NAME: "Old"}, {NAME: "New"}


@pytest.mark.parametrize(
    ("field", "change", "why"),
    [
        (NAME, outcome(NEW, None, NEW), "The run did not read the record before it changed it"),
        (NAME, outcome(NEW, {}, NEW), "Nexus does not report this field, so the value before is not known."),
        (NAME, outcome(NEW, OLD, {}, otherwise=NAME), "Nexus did not report what it made of this field"),
        (NAME, outcome(NEW, OLD, "202 Accepted", otherwise=NAME),
         "Nexus answered 202 Accepted, so a later change could not be told."),
        (NAME, outcome(NEW, OLD, NEW, otherwise="OpportunityId"), "Nexus did not report what it made of this field"),
        (NAME, outcome(NEW, {NAME: f"a {REDACTED}"}, NEW), "The record held a secret of the configuration"),
        (NAME, outcome(NEW, {NAME: "x" * 40_000}, NEW), "A cell cannot hold the value"),
        ("SalesRevenue", outcome({"SalesRevenue": 1}, {"SalesRevenue": "much"}, {"SalesRevenue": 1}),
         'The value before, "much", cannot be written'),
        ("StageName", outcome({}, {"OpportunityStageID": 8}, {"OpportunityStageID": 3}),
         "Before, the stage was that with the id 8, whose name is not known."),
        (NAME, outcome(NEW, OLD, None, kind=OutcomeKind.UNCONFIRMED), "Whether the row was applied is not known."),
        (NAME, outcome(NEW, OLD, None, kind=OutcomeKind.REJECTED), "The row was refused, but an attempt before that"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_set_back_is_named_with_the_reason(field: str, change: Outcome, why: str) -> None:
    """The row's number and the field say where it is."""
    ((row, name, reason),) = why_not((job({field: "New"}, 5), change))
    assert (row, name) == (5, field)
    assert reason.startswith(why)


@pytest.mark.parametrize(
    "change",
    [
        Outcome(2, OutcomeKind.INVALID), Outcome(2, OutcomeKind.REJECTED), outcome({}, kind=OutcomeKind.FAILED),
        outcome({}, OLD, OLD, kind=OutcomeKind.UNCHANGED), Outcome(2, OutcomeKind.NOT_SENT),
    ],
)  # fmt: skip
def test_a_row_that_was_not_applied_needs_no_undo(change: Outcome) -> None:
    """Neither a row nor a reason."""
    assert undone((job(NEW), change)) == ([], [])


def test_one_field_that_cannot_be_set_back_does_not_keep_the_others() -> None:
    """The record gets the rest, and what is not possible comes in the order of the rows."""
    before = {**OLD, "SalesRevenue": "much"}
    left: dict[str, Value] = {**NEW, "SalesRevenue": 1}
    later = (job(NEW, 4), outcome(NEW, kind=OutcomeKind.UNCONFIRMED))
    (row,), not_possible = undone(later, (job(left, 3), outcome(left, before, left)))
    assert row.cells == {**SELECTING, NAME: "Old"}
    assert [(one.row, one.field) for one in not_possible] == [(3, "SalesRevenue"), (4, NAME)]


CUSTOM = ("ticket", "custom_fields", Pair("id", 7, "value"))
NESTED = replace(
    ENDPOINT,
    fields=(
        *(one for one in ENDPOINT.fields if one.selects_record),
        field("ticket", "subject", name="ticket.subject", reported_as=("subject",)),
        field(*CUSTOM, name="custom[7]", reported_as=CUSTOM[1:]),
        field("fields", "note", name="fields.note", kind=Kind.ANY, reported_as=("fields", "note")),
        field("due", name="due", kind=Kind.DATE_TIME, reported_as=("due",)),
        field("assignee", name="assignee", reported_as=("assignee",)),
        *(field(one, name=one, kind=Kind.LIST, reported_as=(one,)) for one in ("tags", "labels", "odd", "none")),
        field("numbers", name="numbers", kind=Kind.LIST, item_kind=Kind.INTEGER, reported_as=("numbers",)),
        field("address", name="address", kind=Kind.JSON, reported_as=("address",)),
        field("score", name="score", kind=Kind.ANY, reported_as=("score",)),
        *(
            field("lines", at, name, name=f"lines[{at}].{name}", reported_as=("lines", at, name))
            for at in (0, 1)
            for name in ("sku", "size")
        ),
    ),
)


def nested_undo(asked: Mapping[str, Value], before: object, left: object) -> tuple[list[UndoRow], list[NotPossible]]:
    kept = RecordSnapshots(json.dumps(before), "{}", json.dumps(left))
    changed = ChangedRecords(NESTED, ())
    changed.add(job(asked), Outcome(2, UPDATED, kept=kept), {})
    return changed.set_back()


def test_nested_values_go_back_into_their_cells() -> None:
    """Members, elements with a key, points in time; and what an answer tells by a record, as what was sent."""
    before = {
        "subject": "Old", "custom_fields": [{"id": 7, "value": "a"}], "fields": {"note": "x"},
        "due": "2026-01-31T10:00:00.000+0000", "assignee": {"login": "ann", "id": 4},
    }  # fmt: skip
    left = {
        "subject": "New", "custom_fields": [{"id": 7, "value": "b"}], "fields": {"note": "y"},
        "due": "2026-02-01T10:00:00Z", "assignee": {"login": "bob", "id": 5},
    }  # fmt: skip
    asked: dict[str, Value] = {
        "ticket.subject": "New", "custom[7]": "b", "fields.note": "y", "due": "2026-02-01T10:00:00Z", "assignee": "bob",
    }  # fmt: skip
    (row,), not_possible = nested_undo(asked, before, left)
    assert not not_possible
    assert row.cells == {
        **SELECTING, "ticket.subject": "Old", "custom[7]": "a", "fields.note": "x", "due": "2026-01-31T10:00:00Z",
        "assignee": "ann",
    }  # fmt: skip


def reported_people(*rows: tuple[object, str, object]) -> tuple[list[Cell], list[str]]:
    """Undo rows, each with who it was before, whom the row asked for, and who is reported; return cells and reasons."""
    changed = ChangedRecords(NESTED, ())
    for number, (before, asked, left) in enumerate(rows, 2):
        kept = RecordSnapshots(json.dumps({"assignee": before}), "{}", json.dumps({"assignee": left}))
        changed.add(replace(job({"assignee": asked or None}, number), target=f"Id {number}"),
                    Outcome(number, UPDATED, kept=kept), {})  # fmt: skip
    rows_back, not_possible = changed.set_back()
    return [row.cells["assignee"] for row in rows_back], [one.why for one in not_possible]


def test_any_row_shows_by_which_member_an_answer_tells_a_value() -> None:
    """A row that empties the field cannot, and a login that is a name as well leaves the choice to other rows."""
    ann, bob = {"name": "Ann Lee", "login": "ann"}, {"name": "bob", "login": "bob"}
    cy = {"name": "Cy Doe", "login": "cy"}
    assert reported_people((ann, "", None), (None, "bob", bob), (bob, "cy", cy)) == (["ann", "#CLEAR", "bob"], [])


def test_a_value_that_several_members_may_tell_is_not_guessed() -> None:
    """No row of the run says which of them it is."""
    ann, bob = {"name": "Ann Lee", "login": "ann"}, {"name": "bob", "login": "bob"}
    cells, (why,) = reported_people((ann, "bob", bob), (bob, "", None))
    assert cells == ["bob"]
    assert why.endswith("cannot be written: it may be the name or the login of it.")


def test_lists_and_json_go_back_into_their_cells() -> None:
    """Items between the separator; as JSON where an item holds that; labels by the member that told the new ones."""
    before = {
        "tags": ["vip", "eu"], "odd": ["[x]", "a;b", " c"], "none": [], "numbers": [1, 2],
        "labels": [{"id": 1, "name": "bug"}, {"id": 2, "name": "wish"}],
        "address": {"city": "Ulm", "lines": []}, "score": 7,
    }  # fmt: skip
    left = {
        "tags": ["eu"], "odd": ["x"], "none": ["x"], "numbers": [3],
        "labels": [{"id": 3, "name": "done"}], "address": {"city": "Bonn"}, "score": 8,
    }  # fmt: skip
    asked: dict[str, Value] = {
        "tags": '["eu"]', "odd": '["x"]', "none": '["x"]', "numbers": "[3]", "labels": '["done"]',
        "address": '{"city": "Bonn"}', "score": 8,
    }  # fmt: skip
    (row,), not_possible = nested_undo(asked, before, left)
    assert not not_possible
    assert row.cells == {
        **SELECTING, "tags": "vip;eu", "odd": '["[x]","a;b"," c"]', "none": "#CLEAR", "numbers": "1;2",
        "labels": "bug;wish", "address": '{"city":"Ulm","lines":[]}', "score": 7,
    }  # fmt: skip


def test_a_member_that_the_record_did_not_have_is_not_possible() -> None:
    """There is no telling absence from silence, and nothing to send that would take it out again."""
    rows, ((_, _, name, why),) = nested_undo({"custom[7]": "b"}, {"custom_fields": []}, {"custom_fields": []})
    assert (rows, name) == ([], "custom[7]")
    assert why == ("Nexus did not report this field, or the record did not have it, so the value before is not known.")


LINES = [{"sku": "a", "size": "1"}, {"sku": "b", "size": "2"}]


def test_a_list_is_set_back_as_a_whole() -> None:
    """Its cells that did not change as well: what is not sent would be missing in the list."""
    left = [{"sku": "a", "size": "9"}, {"sku": "b", "size": "2"}]
    asked: dict[str, Value] = {f"lines[{at}].{name}": value for at in (0, 1) for name, value in left[at].items()}
    (row,), not_possible = nested_undo(asked, {"lines": LINES}, {"lines": left})
    assert not not_possible
    assert row.cells == {
        **SELECTING, "lines[0].sku": "a", "lines[0].size": "1", "lines[1].sku": "b", "lines[1].size": "2",
    }  # fmt: skip
    assert [value.field for value in row.expected] == list(asked)
    assert nested_undo(asked, {"lines": left}, {"lines": left}) == ([], [])


@pytest.mark.parametrize(
    "before",
    [LINES, [LINES[0] | {"id": 7}], [LINES[0] | {"tags": ["x"]}], [LINES[0], {"sku": None, "size": "2"}]],
    ids=["more items", "another member", "a list in it", "half an item"],
)
def test_a_list_is_not_set_back_in_part(before: list[dict[str, object]]) -> None:
    """The update replaced all of it, and its columns hold less: a list of what they hold is not the list before."""
    asked: dict[str, Value] = {"lines[0].sku": "c", "lines[0].size": "1", "ticket.subject": "New"}
    left = {"lines": [{"sku": "c", "size": "1"}], "subject": "New"}
    (row,), not_possible = nested_undo(asked, {"lines": before, "subject": "Old"}, left)
    assert row.cells == {**SELECTING, "ticket.subject": "Old"}
    assert [one.field for one in not_possible] == ["lines[0].sku", "lines[0].size"]
    assert all("replaced the whole list" in one.why for one in not_possible)


def test_what_was_asked_counts_where_the_answer_is_silent() -> None:
    """An answer without content leaves what the row has sent, in JSON as the body had it."""
    (row,), _ = nested_undo({"ticket.subject": "New"}, {"subject": "Old"}, None)
    assert row.cells["ticket.subject"] == "Old"
    assert row.expected == (ExpectedValue("ticket.subject", "Old", "New", '"Old"', '"New"'),)
