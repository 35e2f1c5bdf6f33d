"""A past run -> the workbook that undoes it: every changed field gets its earliest value before the run.

Works from the run's folder alone and opens no connection. Holds one value before and one after for each changed field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint, Field, Kind, ParameterLocation, Step
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.endpoint.reported import (
    as_text,
    equals_reported,
    parse_reported,
    reduced,
    reported_value,
    reports,
    reports_equal,
    told_by,
    value_at,
)
from batch_updater.endpoint.request import json_value, list_items
from batch_updater.files.writing import check_replaceable, write_faults
from batch_updater.loader.cells import Blank, ColumnFacts, converter
from batch_updater.loader.own_sheets import as_undo
from batch_updater.loader.refusal import ValueProblem
from batch_updater.messages import counted
from batch_updater.records import (
    DIGITS_OF_A_CELL,
    NOT_EXACT_MARK,
    AllowedList,
    Cell,
    Expected,
    ExpectedValue,
    Job,
    Outcome,
    OutcomeKind,
    RecordSnapshots,
    Value,
    digits_of_double,
)
from batch_updater.reporter.cell_values import holds_text, readable, writable
from batch_updater.reporter.undo_workbook import (
    NotPossible,
    UndoRow,
    UndoWorkbook,
    nothing_to_set_back,
    write_undo_workbook,
)
from batch_updater.runs.history import PastRun
from batch_updater.runs.plan import require_read
from batch_updater.runs.rows import unsent
from batch_updater.text.redaction import REDACTED

UNDO = "undo.xlsx"
_CHANGED = frozenset({OutcomeKind.UPDATED, OutcomeKind.DIFFERS})
_SETTINGS = as_undo(InputSettings())
_AS_WRITTEN = ColumnFacts(is_verbatim=True)
_SHOWN_CHARACTERS = 500

_NOT_READ = "The run did not read the record before it changed it, which --compare does: the value before is not known."
_UNCONFIRMED = "Whether the row was applied is not known. Run its file again to settle it."
_REDACTED = "The record held a secret of the configuration in this field, and secrets are not kept."
_PART_OF_LIST = (
    "The run replaced the whole list of the record, and its columns do not hold all that was in it: restore the list "
    "by hand."
)
_REFUSED = "The row was refused, but an attempt before that had no answer: whether that one was applied is not known."


class Undo(msgspec.Struct, frozen=True):
    """A workbook that undoes a run."""

    path: Path
    rows: int
    not_possible: int
    is_ended: bool
    """Whether the run came to its end."""

    @property
    def verdict(self) -> str:
        """What people are told."""
        said = f"{counted(self.rows, 'record')} can be set back."
        if not self.rows:
            said = nothing_to_set_back(self.not_possible)
        elif self.not_possible:
            said += f' {counted(self.not_possible, "field")} cannot: see the sheet "Not possible".'
        if not self.is_ended:
            said += " The run did not come to its end: run its file again first, then undo it once more."
        return said


def write_undo(past: PastRun, results: Path | None, names: tuple[AllowedList, ...] = ()) -> Undo:
    """Write the workbook that undoes a run, into the run's folder unless it is given a place.

    `names` are those that other runs have learned, for ids of which the run itself knows none.

    Raises LockedError if the run may be going on, ConfigError if its endpoint describes no reading, InputError if what
    the folder holds cannot be relied on, ResultsError if the place is taken or cannot be written.
    """
    if results is None:
        past.make_folder()
    path = results or past.folder / UNDO
    check_replaceable(path)
    endpoint = past.endpoint
    require_read(endpoint)
    is_free = past.ended_at and not past.is_going_on
    with nullcontext() if is_free else past.locked(past.facts.input), past.store() as store:
        known = {(one.field, one.depends_on): one for one in (*names, *store.names())}
        allowed, expected = tuple(known.values()), store.expected()
        changed = ChangedRecords(endpoint, allowed)
        for row in store.rows(unsent(None)):
            if row.is_good:
                changed.add(row.job, row.outcome, expected)
    rows, not_possible = changed.set_back()
    run, is_ended = past.folder.name, past.ended_at is not None
    workbook = UndoWorkbook(rows, not_possible, run, past.facts.input, past.started_at, is_ended, allowed)
    with write_faults(path, "Name another place with --results."):
        written = write_undo_workbook(path, endpoint, workbook, _SETTINGS.clear_marker)
    return Undo(written, len(rows), len(not_possible), is_ended)


class _Report(NamedTuple):
    """What the API reported of a field."""

    value: object
    is_id: bool


class _Change(msgspec.Struct):
    """A field that rows of the run changed."""

    row: int
    """The first of them."""
    before: _Report | None
    before_was_read: bool
    left: _Report | None = None
    not_told: str = ""
    """Why it is not known what the run left."""
    is_part: bool = False
    """Whether it is in a list of the record of which the row's columns did not hold all."""


class _ImpossibleError(Exception):
    """A field cannot be set back; its message says why."""


class ChangedRecords:
    """What a run has changed, gathered row by row, and the rows that set it back."""

    def __init__(self, endpoint: Endpoint, allowed: tuple[AllowedList, ...]) -> None:
        self._endpoint = endpoint
        self._allowed = AllowedValues.of(endpoint, allowed)
        self._shown_names: dict[tuple[object, str], str] = {}
        """Names for ids that the run itself has shown."""
        self._converters = {one.name: converter(one, _SETTINGS, [], _AS_WRITTEN) for one in endpoint.fields}
        self._selecting = tuple(one.name for one in endpoint.fields if one.location is not ParameterLocation.BODY)
        self._records: dict[str, tuple[Job, dict[str, _Change]]] = {}
        """Target -> the first job, with the values of route and query alone, and the changes by field."""
        self._told_by: dict[str, tuple[str, ...]] = {}
        """Field -> the members by which the API may tell its value, where it reports objects, by all rows so far."""
        self._uncertain: list[NotPossible] = []
        """Fields of rows of which it is not known whether they were applied."""

    def add(self, job: Job, outcome: Outcome, expected: Expected) -> None:
        """Take note of one row; `expected` is what the run expected where it undid another one."""
        asked = [one for one in self._endpoint.body_fields if one.name in job.values]
        kept = outcome.kept or RecordSnapshots(None, None, None)
        is_not_known = outcome.kind is OutcomeKind.NOT_SENT and outcome.maybe_applied  # as where the run was closed
        if outcome.kind is OutcomeKind.UNCONFIRMED or is_not_known:
            self._uncertain += [NotPossible(job.target, job.row, one.name, _UNCONFIRMED) for one in asked]
        elif outcome.kind is OutcomeKind.REJECTED and kept.asked is not None:
            self._uncertain += [NotPossible(job.target, job.row, one.name, _REFUSED) for one in asked]
        for value in expected.get(job.target, ()):  # it has names beside its ids
            described = self._endpoint.by_name.get(value.field)
            if described is None or described.reported_id_as is None:
                continue
            for as_json, shown in ((value.before, value.before_shown), (value.left, value.left_shown)):
                identity = from_json(as_json)
                if identity is not None and shown not in ("", _shown_id(identity)):
                    self._learn(described, job, identity, shown)
        if outcome.kind in _CHANGED:
            self._add_changes(job, outcome, kept, asked)

    def _add_changes(self, job: Job, outcome: Outcome, kept: RecordSnapshots, asked: list[Field]) -> None:
        before, reported = _parsed(kept.before), _parsed(kept.reported)
        told = f"answered {reported}" if isinstance(reported, str) else "did not report what it made of this field"
        # What the API reported otherwise than asked; one of them selects the record if the report was another's.
        otherwise = {problem.field for problem in outcome.problems}
        is_others = any(one.selects_record and one.name in otherwise for one in self._endpoint.reported_fields)
        selecting = {name: job.values[name] for name in self._selecting if name in job.values}
        covered, record = {one.reported_as for one in asked}, _record(before)
        lists = {one.list_reported_as for one in asked if one.list_reported_as}
        partly = {path for path in lists if _holds_more(value_at(record, path), path, covered)}
        _, changes = self._records.setdefault(job.target, (replace(job, values=selecting), {}))
        for one in asked:
            earlier, left = _report(one, before), None if is_others else _report(one, reported)
            is_id = earlier is not None and earlier.is_id
            if left is None and not is_others and one.name not in otherwise:
                # It reported nothing else, so what was asked for counts: as an id where it was one earlier.
                value = json_value(one, job.values[one.name])
                identity = self._allowed.id_of(one, job) if is_id and value is not None else value
                left = None if identity is None and value is not None else _Report(identity, is_id)
            change = _Change(job.row, earlier, isinstance(before, dict), is_part=one.list_reported_as in partly)
            change = changes.setdefault(one.name, change)
            change.left = left
            change.not_told = f"{self._endpoint.api_name} {told}, so a later change could not be told."
            if left and (members := told_by(one, job.values[one.name], left.value)):
                earlier_members = self._told_by.get(one.name, members)
                self._told_by[one.name] = tuple(member for member in earlier_members if member in members)
            # Where an update turned one id into another, the name that it asked for is what the new one means.
            name = job.values[one.name]
            if earlier and left and left.is_id and isinstance(name, str) and left.value not in (None, earlier.value):
                self._learn(one, job, left.value, name)

    def _learn(self, one: Field, job: Job, identity: object, name: str) -> None:
        self._shown_names.setdefault((self._allowed.key_of(one, job), str(identity)), name)

    def _name_of(self, one: Field, job: Job, identity: object) -> str | None:
        known = self._allowed.name_of(one, job, identity)
        return self._shown_names.get((self._allowed.key_of(one, job), str(identity))) if known is None else known

    def set_back(self) -> tuple[list[UndoRow], list[NotPossible]]:
        """Return the rows by target, the first that was changed first, and what cannot be set back."""
        rows, not_possible = [], list(self._uncertain)
        for target, (job, changes) in self._records.items():
            cells: dict[str, Cell] = {}
            expected: list[ExpectedValue] = []
            for names in self._together(changes):
                found, why = self._set_back_fields(job, {name: changes[name] for name in names})
                not_possible += [
                    NotPossible(target, changes[name].row, name, why.get(name, _PART_OF_LIST)) for name in names if why
                ]
                for value, with_cells in () if why else found:
                    cells |= with_cells
                    expected.append(value)
            if expected:
                rows.append(UndoRow(target, cells, tuple(expected)))
        not_possible.sort(key=lambda one: one.row)
        return rows, not_possible

    def _set_back_fields(
        self, job: Job, changes: Mapping[str, _Change]
    ) -> tuple[list[tuple[ExpectedValue, dict[str, Cell]]], dict[str, str]]:
        """Return what sets back fields that go together, each with its cells, and why others cannot be.

        Nothing sets back fields of which none has changed.
        """
        found: list[tuple[ExpectedValue, dict[str, Cell]]] = []
        why: dict[str, str] = {}
        is_changed = False
        for name, change in changes.items():
            one = self._endpoint.field(name)
            try:
                before, left = self._reports(one, change)
                is_changed = is_changed or not reports_equal(one, before.value, left.value)
                if is_changed or len(changes) > 1:
                    selecting = {key: self._cell(self._endpoint.field(key), v) for key, v in job.values.items()}
                    cell = self._cell_before(one, job, before)
                    found.append((self._expected(one, job, before, left), {**selecting, name: cell}))
            except _ImpossibleError as error:
                why[name] = str(error)
        return found if is_changed else [], why

    def _together(self, changes: Mapping[str, _Change]) -> Iterable[list[str]]:
        """Return the names of fields that are set back together or not at all: those of one list, any other alone."""
        groups: dict[object, list[str]] = {}
        for name in changes:
            groups.setdefault(self._endpoint.field(name).list_reported_as or name, []).append(name)
        return groups.values()

    def _reports(self, one: Field, change: _Change) -> tuple[_Report, _Report]:
        if not change.before_was_read:
            raise _ImpossibleError(_NOT_READ)
        if change.before is None:
            does_not = "does not report this field"
            if len(one.reported_as) > 1:  # a record need not have every member of its parts
                does_not = "did not report this field, or the record did not have it"
            raise _ImpossibleError(f"{self._endpoint.api_name} {does_not}, so the value before is not known.")
        if change.is_part:
            raise _ImpossibleError(_PART_OF_LIST)
        if change.left is None:
            raise _ImpossibleError(change.not_told)
        if any(REDACTED in str(report.value) for report in (change.before, change.left)):
            raise _ImpossibleError(_REDACTED)
        return change.before, change.left

    def _cell_before(self, one: Field, job: Job, before: _Report) -> Cell:
        if before.is_id and before.value is not None:
            name = self._name_of(one, job, before.value)
            if name is None:
                raise _ImpossibleError(
                    f"Before, the {one.title} was that with the id {before.value}, whose name is not known."
                )
            return self._cell(one, name)
        try:
            value = self._parsed_report(one, before.value)
        except ValueError as fault:
            shown = _short(to_json(before.value))
            raise _ImpossibleError(f"The value before, {shown}, cannot be written: {fault}.") from fault
        return self._cell(one, value)

    def _parsed_report(self, one: Field, report: object) -> Value:
        """Return what a report comes to as a value of the field. Raises ValueError where that is not certain."""
        members = self._told_by.get(one.name)
        if not members:
            return parse_reported(one, report)
        value, *others = [parse_reported(one, reduced(report, member)) for member in members]
        if any(other != value for other in others):
            raise ValueError(f"it may be the {' or the '.join(members)} of it")
        return value

    def _cell(self, one: Field, value: Value) -> Cell:
        """Return the cell that comes back as this very value: a text where its own kind would lose digits or a day."""
        cell: Cell = _SETTINGS.clear_marker if value is None else value
        if one.kind is Kind.LIST and isinstance(value, str):
            items = list(map(as_text, list_items(value)))
            joined = _SETTINGS.list_separator.join(items)
            is_plain = [item.strip() for item in joined.split(_SETTINGS.list_separator)] == items
            is_plain = is_plain and joined.isprintable() and joined[:1] not in "[#="
            cell = joined if is_plain else value  # a cell takes JSON as well
        if isinstance(value, Decimal):
            digits = format(value, "f")
            is_exact = abs(value) < 10**DIGITS_OF_A_CELL and format(digits_of_double(float(value)), "f") == digits
            cell = value if is_exact else digits
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**DIGITS_OF_A_CELL:
            cell = str(value)
        elif isinstance(value, date) and not isinstance(writable(value), date):
            cell = value.isoformat()
        try:
            read = self._converters[one.name](cell)
        except ValueProblem as refusal:
            raise _ImpossibleError(f"A cell cannot hold the value: {refusal.reason}") from refusal
        written = writable(cell)
        marked = isinstance(written, str) and written.startswith(NOT_EXACT_MARK)
        if marked or not _is_same(one, read, value):
            raise _ImpossibleError(f"A cell cannot hold the value {_short(str(value))} exactly.")
        return cell

    def _expected(self, one: Field, job: Job, before: _Report, left: _Report) -> ExpectedValue:
        shown = (self._shown(one, job, before), self._shown(one, job, left))
        value = ExpectedValue(one.name, *shown, to_json(before.value), to_json(left.value))
        if not holds_text(value.before) or not holds_text(value.left):
            raise _ImpossibleError("The values are too long for a cell, or hold characters that none can hold.")
        return value

    def _shown(self, one: Field, job: Job, report: _Report) -> str:
        if report.value is None:
            return ""
        if report.is_id:
            return self._name_of(one, job, report.value) or _shown_id(report.value)
        return _short(report.value if isinstance(report.value, str) else to_json(report.value))


def _is_same(one: Field, read: Value | Blank, value: Value) -> bool:
    """Whether a cell came back as the value that it is for."""
    if isinstance(read, Blank):
        return False
    match one.kind:
        case Kind.DATE_TIME if value is not None:
            return equals_reported(one, read, value)
        case Kind.LIST | Kind.JSON | Kind.ANY:  # by what goes out: a date as its text
            return json_value(one, read) == json_value(one, value)
        case _:
            return type(read) is type(value) and str(read) == str(value)


def _parsed(as_json: str | None) -> object:
    try:
        return None if as_json is None else from_json(as_json)
    except ValueError:
        return None


def _record(reported: object) -> Mapping[str, object]:
    return reported if isinstance(reported, dict) else {}


def _holds_more(value: object, path: tuple[Step, ...], covered: Set[tuple[Step, ...]]) -> bool:
    """Whether a reported value has anything in it that is at none of the covered paths."""
    if path in covered or value is None:
        return False
    if isinstance(value, dict):
        return any(_holds_more(member, (*path, name), covered) for name, member in value.items())
    if isinstance(value, list):
        return any(_holds_more(item, (*path, at), covered) for at, item in enumerate(value))
    return True


def _report(one: Field, reported: object) -> _Report | None:
    record = _record(reported)
    try:
        value = reported_value(one, record)
    except KeyError:
        return None
    return _Report(value, not reports(one, record))


def _shown_id(identity: object) -> str:
    return _short(f"id {identity}")


def _short(text: str) -> str:
    return readable(text[:_SHOWN_CHARACTERS]) + (" ..." if len(text) > _SHOWN_CHARACTERS else "")
