"""A past run -> the workbook that undoes it: every changed field gets its earliest value before the run.

Works from the run's folder alone and opens no connection. Holds one value before and one after for each changed field.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.description import Endpoint, Field, ParameterLocation
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.endpoint.openapi import endpoint_of
from batch_updater.endpoint.reported import parse_reported, reported_value, reports_equal
from batch_updater.errors import Location, ResultsError
from batch_updater.files.writing import check_replaceable, remedy_of
from batch_updater.loader.cells import ColumnFacts, converter
from batch_updater.loader.own_sheets import as_undo
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import (
    DIGITS_OF_A_CELL,
    NOT_EXACT_MARK,
    Cell,
    Expected,
    ExpectedValue,
    Job,
    Outcome,
    OutcomeKind,
    Value,
    digits_of_double,
)
from batch_updater.reporter.cell_values import holds_text, readable, writable
from batch_updater.reporter.undo_workbook import NotPossible, UndoRow, UndoWorkbook, write_undo_workbook
from batch_updater.runs.history import PastRun
from batch_updater.runs.lock import locked
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
_REFUSED = "The row was refused, but an attempt before that had no answer: whether that one was applied is not known."


@dataclass(frozen=True, slots=True)
class Undo:
    """A workbook that undoes a run."""

    path: Path
    rows: int
    not_possible: int
    is_ended: bool
    """Whether the run came to its end."""

    @property
    def counts(self) -> dict[str, object]:
        """What programs are told."""
        return {"undo": str(self.path), "rows": self.rows, "not_possible": self.not_possible}

    @property
    def verdict(self) -> str:
        """What people are told."""
        records = "1 record" if self.rows == 1 else f"{self.rows:,} records"
        fields = "1 field" if self.not_possible == 1 else f"{self.not_possible:,} fields"
        said = f"{records} can be set back." if self.rows else "There is nothing to set back."
        if self.not_possible:
            said += f' {fields} cannot: see the sheet "Not possible".'
        if not self.is_ended:
            said += " The run did not come to its end: run its file again first, then undo it once more."
        return said


def write_undo(past: PastRun, results: Path | None) -> Undo:
    """Write the workbook that undoes a run, into the run's folder unless it is given a place.

    Raises LockedError if the run may be going on, ConfigError if its endpoint describes no reading, InputError if what
    the folder holds cannot be relied on, ResultsError if the place is taken or cannot be written.
    """
    path = results or past.folder / UNDO
    check_replaceable(path)
    endpoint = endpoint_of(past.facts.description)
    require_read(endpoint)
    with nullcontext() if past.is_ended else locked(past.folder.parent, past.identity.base_url or "", past.input):
        undo_workbook = _undo_workbook(past, endpoint)
    try:
        written = write_undo_workbook(path, endpoint, undo_workbook, _SETTINGS.clear_marker)
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy=remedy_of(error, "Name another place with --results."),
            place=Location(file=str(path)),
        ) from error
    return Undo(written, len(undo_workbook.rows), len(undo_workbook.not_possible), past.is_ended)


def _undo_workbook(past: PastRun, endpoint: Endpoint) -> UndoWorkbook:
    with past.store() as store:
        allowed, expected = store.names(), store.expected()
        names = _Names(AllowedValues.of(endpoint, allowed))
        changed = _Changed(endpoint, names)
        for row in store.rows(unsent(None)):
            if row.is_good:
                changed.add(row.job, row.outcome, expected)
    rows, not_possible = _SettingBack(endpoint, names).of(changed)
    return UndoWorkbook(rows, not_possible, past.folder.name, past.input, past.started_at, past.is_ended, allowed)


class _Report(NamedTuple):
    """What the API reported of a field."""

    value: object
    is_id: bool


@dataclass(slots=True)
class _Change:
    """A field that rows of the run changed."""

    row: int
    """The first of them."""
    before: _Report | None
    before_was_read: bool
    left: _Report | None = None
    not_told: str = ""
    """Why it is not known what the run left."""


@dataclass(slots=True)
class _ChangedRecord:
    """A record that rows of the run changed."""

    job: Job
    """The first of them, with the values of route and query alone."""
    changes: dict[str, _Change] = field(default_factory=dict)


class _Names:
    """Names for ids: those of the lists that were learned, and those that the run itself has shown."""

    def __init__(self, allowed: AllowedValues) -> None:
        self._allowed = allowed
        self._seen: dict[tuple[object, str], str] = {}

    def note(self, described: Field, job: Job, identity: object, name: str) -> None:
        """Take note of the name that belongs to an id."""
        self._seen.setdefault((self._allowed.key_of(described, job), str(identity)), name)

    def id_of(self, described: Field, job: Job) -> int | str | None:
        """Return the id of the job's name; None if it is not known."""
        return self._allowed.id_of(described, job)

    def name_of(self, described: Field, job: Job, identity: object) -> str | None:
        """Return the name for an id; None if it is not known."""
        known = self._allowed.name_of(described, job, identity)
        return self._seen.get((self._allowed.key_of(described, job), str(identity))) if known is None else known


class _Changed:
    """What a run has changed, gathered row by row."""

    def __init__(self, endpoint: Endpoint, names: _Names) -> None:
        self._endpoint = endpoint
        self._names = names
        self._others = tuple(one.name for one in endpoint.fields if one.location is not ParameterLocation.BODY)
        self.records: dict[str, _ChangedRecord] = {}
        self.uncertain: list[NotPossible] = []
        """Fields of rows of which it is not known whether they were applied."""

    def add(self, job: Job, outcome: Outcome, expected: Expected) -> None:
        """Take note of one row."""
        asked = [one for one in self._endpoint.body_fields if one.name in job.values]
        if outcome.kind is OutcomeKind.UNCONFIRMED:
            self.uncertain += [NotPossible(job.target, job.row, one.name, _UNCONFIRMED) for one in asked]
        elif outcome.kind is OutcomeKind.REJECTED and outcome.kept and outcome.kept.asked is not None:
            self.uncertain += [NotPossible(job.target, job.row, one.name, _REFUSED) for one in asked]
        for value in expected.get(job.target, ()):
            self._learn_expected(job, value)
        if outcome.kind in _CHANGED:
            self._add_changes(job, outcome, asked)

    def _add_changes(self, job: Job, outcome: Outcome, asked: list[Field]) -> None:
        before, left = _record(outcome.kept and outcome.kept.before), _Left(self._endpoint, self._names, job, outcome)
        if job.target not in self.records:
            selecting = {name: job.values[name] for name in self._others if name in job.values}
            self.records[job.target] = _ChangedRecord(job._replace(values=selecting))
        changes = self.records[job.target].changes
        for one in asked:
            earlier = _report(one, before)
            change = changes.setdefault(one.name, _Change(job.row, earlier, before is not None))
            change.left = left.of(one, earlier)
            change.not_told = left.not_told
            self._learn_asked(one, job, earlier, change.left)

    def _learn_asked(self, one: Field, job: Job, before: _Report | None, left: _Report | None) -> None:
        """Learn a name from an update that turned one id into another: what it asked for is what the new one means."""
        name = job.values[one.name]
        if before and left and left.is_id and isinstance(name, str) and left.value not in (None, before.value):
            self._names.note(one, job, left.value, name)

    def _learn_expected(self, job: Job, value: ExpectedValue) -> None:
        """Learn the names that the workbook of an undo, which the run sent, has in its sheet."""
        one = self._endpoint.by_name.get(value.field)
        if one is None or one.reported_id_as is None:
            return
        for as_json, shown in ((value.before, value.before_shown), (value.left, value.left_shown)):
            identity = from_json(as_json)
            if identity is not None and shown not in ("", _shown_id(identity)):
                self._names.note(one, job, identity, shown)


class _Left:
    """What a row left in its record: what the API reported, and what was asked where it reported nothing else."""

    def __init__(self, endpoint: Endpoint, names: _Names, job: Job, outcome: Outcome) -> None:
        reported, api = _parsed(outcome.kept and outcome.kept.reported), endpoint.api_name
        self._names = names
        self._job = job
        self._record = reported if isinstance(reported, dict) else None
        self._asked = _record(outcome.kept and outcome.kept.asked) or {}
        self._otherwise = {problem.field for problem in outcome.problems}
        """Fields that the API reported otherwise than asked; one of them selects the record if it was another's."""
        self._is_others = any(one.selects_record and one.name in self._otherwise for one in endpoint.reported_fields)
        told = f"answered {reported}" if isinstance(reported, str) else "did not report what it made of this field"
        self.not_told = f"{api} {told}, so a later change could not be told."

    def of(self, one: Field, earlier: _Report | None) -> _Report | None:
        """Return what a field was left as, an id where it was one earlier; None if that is not known."""
        if self._is_others:
            return None
        reported = _report(one, self._record)
        if reported is not None or one.name in self._otherwise or one.wire_name not in self._asked:
            return reported
        value = self._asked[one.wire_name]
        if earlier is None or not earlier.is_id or value is None:
            return _Report(value, earlier is not None and earlier.is_id)
        identity = self._names.id_of(one, self._job)
        return None if identity is None else _Report(identity, is_id=True)


def _parsed(as_json: str | None) -> object:
    try:
        return None if as_json is None else from_json(as_json)
    except ValueError:
        return None


def _record(as_json: str | None) -> Mapping[str, object] | None:
    found = _parsed(as_json)
    return found if isinstance(found, dict) else None


def _report(one: Field, record: Mapping[str, object] | None) -> _Report | None:
    try:
        value = reported_value(one, record or {})
    except KeyError:
        return None
    return _Report(value, one.reported_as is None or one.reported_as not in (record or {}))


def _shown_id(identity: object) -> str:
    return _short(f"id {identity}")


class _Impossible(Exception):  # noqa: N818
    """A field cannot be set back; its message says why."""


class _SettingBack:
    """Turns what was changed into the rows that set it back."""

    def __init__(self, endpoint: Endpoint, names: _Names) -> None:
        self._endpoint = endpoint
        self._names = names
        self._converters = {one.name: converter(one, _SETTINGS, [], _AS_WRITTEN) for one in endpoint.fields}

    def of(self, changed: _Changed) -> tuple[list[UndoRow], list[NotPossible]]:
        """Return the rows by target, the first that was changed first, and what cannot be set back."""
        rows, not_possible = [], list(changed.uncertain)
        for target, record in changed.records.items():
            row = self._row(target, record, not_possible)
            if row.expected:
                rows.append(row)
        not_possible.sort(key=lambda one: one.row)
        return rows, not_possible

    def _row(self, target: str, record: _ChangedRecord, not_possible: list[NotPossible]) -> UndoRow:
        cells: dict[str, Cell] = {}
        expected = []
        for name, change in record.changes.items():
            described = self._endpoint.field(name)
            try:
                before, left = self._reports(change)
                if reports_equal(described, before.value, left.value):
                    continue
                selecting = {key: self._cell(self._endpoint.field(key), v) for key, v in record.job.values.items()}
                cells.update({**selecting, name: self._cell_before(described, record.job, before)})
                expected.append(self._expected(described, record.job, before, left))
            except _Impossible as why:
                cells.pop(name, None)
                not_possible.append(NotPossible(target, change.row, name, str(why)))
        return UndoRow(target, cells, tuple(expected))

    def _reports(self, change: _Change) -> tuple[_Report, _Report]:
        api = self._endpoint.api_name
        if not change.before_was_read:
            raise _Impossible(_NOT_READ)
        if change.before is None:
            raise _Impossible(f"{api} does not report this field, so the value before is not known.")
        if change.left is None:
            raise _Impossible(change.not_told)
        if any(REDACTED in str(report.value) for report in (change.before, change.left)):
            raise _Impossible(_REDACTED)
        return change.before, change.left

    def _cell_before(self, described: Field, job: Job, before: _Report) -> Cell:
        if before.is_id and before.value is not None:
            name = self._names.name_of(described, job, before.value)
            if name is None:
                raise _Impossible(
                    f"Before, the {described.title} was that with the id {before.value}, whose name is not known."
                )
            return self._cell(described, name)
        try:
            value = parse_reported(described, before.value)
        except ValueError as fault:
            shown = _short(to_json(before.value))
            raise _Impossible(f"The value before, {shown}, cannot be written: {fault}.") from fault
        return self._cell(described, value)

    def _cell(self, described: Field, value: Value) -> Cell:
        """Return the cell that comes back as this very value."""
        cell = _SETTINGS.clear_marker if value is None else _as_cell(value)
        try:
            read = self._converters[described.name](cell)
        except ValueProblem as refusal:
            raise _Impossible(f"A cell cannot hold the value: {refusal.reason}") from refusal
        written = writable(cell)
        marked = isinstance(written, str) and written.startswith(NOT_EXACT_MARK)
        if marked or type(read) is not type(value) or str(read) != str(value):
            raise _Impossible(f"A cell cannot hold the value {_short(str(value))} exactly.")
        return cell

    def _expected(self, described: Field, job: Job, before: _Report, left: _Report) -> ExpectedValue:
        value = ExpectedValue(
            described.name,
            self._shown(described, job, before),
            self._shown(described, job, left),
            to_json(before.value),
            to_json(left.value),
        )
        if not holds_text(value.before) or not holds_text(value.left):
            raise _Impossible("The values are too long for a cell, or hold characters that none can hold.")
        return value

    def _shown(self, described: Field, job: Job, report: _Report) -> str:
        got = report.value
        if got is None:
            return ""
        if report.is_id:
            return self._names.name_of(described, job, got) or _shown_id(got)
        return _short(got if isinstance(got, str) else to_json(got))


def _as_cell(value: Value) -> Cell:
    """Return a value as a cell; as text where a cell of its own kind would lose digits or a day."""
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return value if abs(value) < 10**DIGITS_OF_A_CELL and _digits_of_cell(value) == digits else digits
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 10**DIGITS_OF_A_CELL else str(value)
    if isinstance(value, date):
        return value if isinstance(writable(value), date) else value.isoformat()
    return value


def _digits_of_cell(value: Decimal) -> str:
    """Return the digits that a cell gives back for a number."""
    return format(digits_of_double(float(value)), "f")


def _short(text: str) -> str:
    return readable(text[:_SHOWN_CHARACTERS]) + (" ..." if len(text) > _SHOWN_CHARACTERS else "")
