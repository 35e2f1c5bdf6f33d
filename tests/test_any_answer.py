"""Whatever JSON an API answers, it is data: nothing that judges, keeps, compares or sums it up raises an exception."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.config.schema import GuardSettings
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes, changes_of, confirmation, record_of
from batch_updater.endpoint.description import Kind, Pair, ReadOperation
from batch_updater.endpoint.exact_json import from_json, number_of, to_json
from batch_updater.endpoint.expected_values import changed_since_run, pending_changes
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.reported import (
    equals_reported,
    parse_reported,
    reduced,
    reports_equal,
    told_by,
    value_at,
)
from batch_updater.records import Columns, ExpectedValue, Job, Outcome, OutcomeKind, ReportRow, Row, Unknown, Value
from batch_updater.reporter.cell_values import holds_text, readable, writable
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.changes_sheet import cell_of
from batch_updater.runs.guards import exceeded_by_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT = load_endpoint("nexus-opportunity")
LEARNED = AllowedValues(ENDPOINT).learn(Job(2, "", {}), {"AvailableStages": [{"StageID": 3, "StageName": "Won"}]})
ASKED: Mapping[str, Value] = {
    "OpportunityName": "x", "OpportunityID": None, "CategoryName": "New", "StageName": "Won",
    "AcctPotential": Decimal("0.10"), "SalesRevenue": Decimal("150000.00"), "PendingCloseDate": date(2026, 3, 31),
}  # fmt: skip
JOB = Job(2, "OpportunityId=1", {"OpportunityId": 1, "opportunityType": "Pre", **ASKED})
DONE = {
    "Type": '"Pre"', "ID": "1", "OpportunityName": '"x"', "OpportunityID": "null", "OpportunityCategoryID": "7",
    "OpportunityStageID": "3", "AcctPotential": "0.1", "SalesRevenue": "150000", "PendingCloseDate": '"2026-03-31"',
}  # fmt: skip
"""The record as asked, each value in JSON."""
NUMBERS_ASKED = {"ID": 1, "OpportunityStageID": 3, "AcctPotential": Decimal("0.1"), "SalesRevenue": 150_000}

_ODD = (
    "NaN", "Infinity", "-Infinity", "-0", "-0.0", "0e999999999", "1e999999999", "-1e-999999999", "1E400", "1e401",
    "1e-400", "1e99999999999999999999", "9" * 400, "9" * 401, "-" + "9" * 4301, "7" * 50_000, "0." + "3" * 5000,
    "true", "false", "null", '""', '" "', '"1_0"', '"sNaN"', '"1e999999999"', '"0000-01-01"', '"99999-12-31"',
    '"2026-02-30"', '"2026-03-31T25:00"', '"\\ud83d"', '"\\udc00x"', '"a\\u0000b"', '"\\ufffe"', '"_x0041_"', '"=1+1"',
    f'"{"long " * 20_000}"', f'"{"̧́" * 20_000}"', "[" * 99 + "]" * 99, "[" * 2000 + "]" * 2000,
    '{"a":' * 99 + "1e999999" + "}" * 99, '{"ID": 1, "ID": 2}', '{"success": false}', '"error: x"', "404",
)  # fmt: skip
TEXTS = st.text(st.characters(codec=None, exclude_categories=[]), max_size=12).map(json.dumps)
NAMES = st.sampled_from([json.dumps(name) for name in (*DONE, "success", "errors", "status", "VisitID")]) | TEXTS
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,12})?", fullmatch=True)
JSON = st.recursive(
    st.sampled_from(_ODD) | TEXTS | NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(NAMES, inner), max_size=4).map(
            lambda members: f"{{{','.join(f'{name}:{value}' for name, value in members)}}}"
        )
    ),
    max_leaves=8,
)
"""Any JSON as a text, with doubled names and with what only lenient readers take."""


def read(text: str) -> object:
    """Return what is read of an answer; as the sender does, None if it is nothing."""
    try:
        return from_json(text.encode())
    except ValueError:
        return None


def go_all_the_way(answer: object) -> None:
    """Do with an answer all that is done with one between the wire and the workbook."""
    again = None if answer is None else from_json(to_json(answer))
    assert again == answer
    told = confirmation(ENDPOINT, JOB, 200, answer, LEARNED)
    if told.settles and not told.differences:
        assert told.record is not None
        assert told.record.keys() >= DONE.keys() - {"OpportunityID"}  # which is emptied
        assert [number_of(told.record[name]) for name in NUMBERS_ASKED] == list(NUMBERS_ASKED.values())
        assert (told.record["Type"], told.record["OpportunityName"]) == ("Pre", "x")
        assert told.record.get("success") is not False
    for record in (told.record, record_of(ENDPOINT, JOB, answer)):
        if record is not None:
            compare_all(record)


def compare_all(record: Mapping[str, object]) -> None:
    found = changes(ENDPOINT, JOB, record, LEARNED)
    assert changes_of(ENDPOINT, LEARNED, JOB, to_json(record), ()) == found
    left = tuple(ExpectedValue(name, "before", "left", "1", to_json(record.get(name))) for name in ASKED)
    for one in changed_since_run(ENDPOINT, JOB, record, found, {JOB.target: left}):
        assert one.now == one.now.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    pending_changes(ENDPOINT, JOB, record, found, {JOB.target: left})
    change_summary = ChangeSummary.of(ENDPOINT, Columns((), 0, {}, ()))
    for number in (2, 3):
        change_summary.add(
            ReportRow(Row(number, ()), Outcome(number, OutcomeKind.UPDATED), JOB.target, found, number == 3)
        )
    change_summary.settle()
    assert all(len(line) < 400 for line in change_summary.in_words())
    guards = GuardSettings(changed=0, factor=1.5, total_change_percent=0.1)
    assert all(len(guard.sentence) < 400 for guard in exceeded_by_changes(guards, change_summary))
    for change in found:
        now = readable(change.now.id) if isinstance(change.now, Unknown) else change.now
        cell = writable(cell_of(now))
        assert not isinstance(cell, str) or holds_text(cell)
    for field in ENDPOINT.body_fields:
        for value in record.values():
            with suppress(ValueError):
                parse_reported(field, value)
            assert reports_equal(field, value, value_at(record, field.reported_as)) in (True, False)


@given(JSON)
def test_any_answer_is_data(text: str) -> None:
    """An answer that is anything at all is judged, and confirms nothing unless it is the record as asked."""
    go_all_the_way(read(text))


@given(st.sampled_from([*DONE, "VisitID", "somethingElse"]), JSON)
def test_any_value_of_any_property_is_data(name: str, value: str) -> None:
    """A record with any value for any of its properties is compared, kept, summed up and written."""
    record = ", ".join(f'"{key}": {text}' for key, text in {**DONE, name: value}.items())
    go_all_the_way(read(f"{{{record}}}"))
    go_all_the_way(read(f"[{{{record}}}]"))


NESTED_ASKED: Mapping[Kind, Value] = {
    Kind.TEXT: "x", Kind.INTEGER: 7, Kind.DECIMAL: Decimal("0.1"), Kind.BOOLEAN: True, Kind.DATE: date(2026, 3, 31),
    Kind.DATE_TIME: "0001-01-01T00:00:00+10:00", Kind.LIST: '["x", 7]', Kind.JSON: '{"a": [1, null]}', Kind.ANY: "7",
}  # fmt: skip
NESTED = replace(
    ENDPOINT,
    record_path=("data", 0),
    record_properties=frozenset({"a", "b"}),
    read=ReadOperation("/x/{OpportunityId}", (), frozenset(), ("data",)),
    fields=tuple(
        replace(
            ENDPOINT.field("OpportunityName"),
            name=f"{kind} {at}",
            wire_name=kind,
            kind=kind,
            path=path,
            reported_as=path,
        )
        for kind in Kind
        for at, path in enumerate((("a", str(kind)), ("b", Pair("id", 1, "v")), ("b", 0)))
    ),
)
NESTED_JOB = Job(2, "", {one.name: NESTED_ASKED[one.kind] for one in NESTED.fields})


def judge_nested(value: object) -> None:
    """Do with a value all that is done with one in a part of a record."""
    of_kinds = {str(kind): value for kind in Kind}
    for record in (
        {"a": of_kinds, "b": [{"id": 1, "v": value}]},
        {"a": value, "b": [value]},
        {"a": [value], "b": value},
    ):
        allowed = AllowedValues(NESTED)
        confirmation(NESTED, NESTED_JOB, 200, {"data": [record], "x": value}, allowed)
        record_of(NESTED, NESTED_JOB, {"data": value})
        for change in changes(NESTED, NESTED_JOB, record, allowed):
            now = change.now.id if isinstance(change.now, Unknown) else change.now
            writable(cell_of(now))
            writable(cell_of(change.new))
    for field in NESTED.fields:
        asked = NESTED_ASKED[field.kind]
        assert reports_equal(field, value, value)
        for member in told_by(field, asked, value):
            reduced(value, member)
        with suppress(ValueError):
            parsed = parse_reported(field, value)
            assert equals_reported(field, parsed, value)


@given(JSON)
def test_any_value_in_a_part_of_a_record_is_data(text: str) -> None:
    """Whatever kind its field has, and whatever is where a list or an object was expected."""
    judge_nested(read(text))


def test_the_odd_values_are_met_in_parts_of_a_record_as_well() -> None:
    """Every one of them, for every kind."""
    for value in (*_ODD, '"0001-01-01T00:00:00"', '"9999-12-31T23:59:59-23:59"', '[{"id": 7}, {"name": "x"}]'):
        judge_nested(read(value))


def test_the_odd_values_are_met_one_by_one() -> None:
    """Every one of them, for every property, whatever chance picks above."""
    for name in DONE:
        for value in _ODD:
            record = ", ".join(f'"{key}": {text}' for key, text in {**DONE, name: value}.items())
            go_all_the_way(read(f"{{{record}}}"))
