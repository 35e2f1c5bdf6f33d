"""Sheets with which the program's own workbooks come back.

They hold what an undo expects, the mapping of a run, and where the rows of `To fix` come from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing

import msgspec

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.expected_values import COLUMNS, MARKS, SHEET, value_in_cells
from batch_updater.endpoint.open_columns import field_of
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, is_blank_row
from batch_updater.loader.refusal import shown
from batch_updater.questions import Answers
from batch_updater.records import (
    MAPPED_HEADER,
    NOT_SENT,
    ORIGIN_SETTING,
    SETTINGS_SHEET,
    TO_FIX,
    Cell,
    Expected,
    ExpectedValue,
    FormattedNumber,
    Job,
    Origin,
    Problem,
)
from batch_updater.text.typed_values import typed_json

_WRITE_AGAIN = (
    "Write the undo workbook again with `batch-updater undo`; what belongs elsewhere goes into a file of its own."
)
_ROW_NUMBER = re.compile("[1-9][0-9]{0,9}")


def expected_in(source: Book) -> Expected | None:
    """Return what the workbook expects of the records; None if it takes no run back.

    A workbook does so by its document property; and by the sheet, since some programs drop the property on saving.
    Raises InputError if the sheet has gone or was changed: without it, newer changes would be overwritten.
    """
    names = [entry.name for entry in source.sheets]
    is_marked = source.mark in MARKS
    if SHEET not in names:
        if not is_marked:
            return None
        raise _damaged(source, "it has gone", None)
    expected: dict[str, tuple[ExpectedValue, ...]] = {}
    with closing(source.rows(names.index(SHEET))) as every_row:  # an error would keep the file open until it is gone
        rows = (row for row in every_row if not is_blank_row(row.cells))
        header = next(rows, None)
        if header is None or tuple(header.cells[: len(COLUMNS)]) != COLUMNS:
            if not is_marked:
                return None
            raise _damaged(source, "its header row was changed", "A1")
        for row in rows:
            try:
                target, value = value_in_cells(row.cells)
            except ValueError as fault:
                why = f"row {row.number} is not as it was written: {fault}"
                raise _damaged(source, why, f"A{row.number}") from fault
            expected[target] = (*expected.get(target, ()), value)
    return expected


def as_undo(settings: InputSettings) -> InputSettings:
    """Return how such a workbook is read: as it was written, whatever the configuration says of other files.

    Only columns that a person has added are understood as it says.
    """
    return InputSettings(sheet=settings.sheet, columns=settings.columns, max_unpacked_mb=settings.max_unpacked_mb)


def require_expected(jobs: Iterable[Job], body: frozenset[str], expected: Expected, place: Location) -> None:
    """Raise InputError if a job would change a field of which nothing is expected."""
    for job in jobs:
        known = {value.field for value in expected.get(job.target, ())}
        if missing := sorted(body & job.values.keys() - known):
            raise InputError(
                f'{place.file} undoes a run, but its sheet "{SHEET}" does not say what the run had left in '
                f"{missing[0]} of row {job.row}: a newer change could be overwritten.",
                remedy=_WRITE_AGAIN,
                place=place,
            )


def unexpected(row: int, fields: Iterable[str], body: frozenset[str], known: Collection[str]) -> tuple[Problem, ...]:
    """Return the problem of a row of an undo workbook in which a person has typed a value that cannot be undone safely.

    `fields` are those that it sends, `known` those of its record of which something is expected.
    """
    missing = sorted(body.intersection(fields).difference(known))
    if not missing:
        return ()
    reason = f"The workbook does not say what the run had left in {missing[0]}: a newer change could be overwritten."
    return (Problem(row, missing[0], "not-expected", "", reason, "Empty the cell, or send this change in a file."),)


def _damaged(source: Book, why: str, cell: str | None) -> InputError:
    return InputError(
        f'{source.name} undoes a run, but its sheet "{SHEET}" cannot be relied on: {why}.',
        remedy=_WRITE_AGAIN,
        place=Location(source.name, SHEET, cell),
    )


def answers_in(source: Book, endpoint: Endpoint) -> Answers:
    """Return the mapping and how columns are read, as the sheet `Settings` of a run's workbook says.

    The sheet may have gone. Raises InputError if it names what is none of the endpoint's fields.
    """
    mapping: dict[str, str | None] = {}
    settings: dict[str, str] = {}
    for number, name, value in _settings(source):
        if name.startswith(MAPPED_HEADER):
            header, field = name.removeprefix(MAPPED_HEADER), None if value == NOT_SENT else value
            if field is not None and field_of(endpoint, field) is None:
                raise InputError(
                    f'The sheet "{SETTINGS_SHEET}" of {source.name} says that {header!r} is {field!r}, which is no '
                    "field.",
                    remedy="Use the configuration with which the workbook was made, or delete that sheet.",
                    place=Location(source.name, SETTINGS_SHEET, f"B{number}"),
                )
            mapping[header] = field
        settings[name] = value
    try:
        return Answers.from_settings(settings).with_more(Answers(columns=mapping))
    except ValueError as error:
        raise InputError(
            f'The sheet "{SETTINGS_SHEET}" of {source.name} was changed: {error}.',
            remedy="Restore it, or delete that sheet.",
            place=Location(source.name, SETTINGS_SHEET),
        ) from error


def origin_in(source: Book) -> Origin | None:
    """Return where the rows of the sheet `To fix` come from; None if the sheet `Settings` does not say so any more."""
    for _, name, text in _settings(source):
        if name == ORIGIN_SETTING:
            try:
                return typed_json(text, Origin)
            except (msgspec.DecodeError, UnicodeEncodeError):
                return None
    return None


def _settings(source: Book) -> Iterator[tuple[int, str, str]]:
    """Yield row number, name and value of each setting of a run's workbook; the sheet may have gone."""
    names = [entry.name for entry in source.sheets]
    if SETTINGS_SHEET in names:
        for row in source.rows(names.index(SETTINGS_SHEET)):
            match row.cells[:2]:
                case [str(name), str(value)]:
                    yield row.number, name, value


class RowNumbers:
    """The numbers of the rows on the sheet `To fix`: those of the first file, which the first column holds.

    So they stay what they are, however a person sorts the rows or deletes some.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._next = origin.next_row
        self._at: dict[int, int] = {}
        """Number -> row of the sheet that has it."""
        self._last = 0
        ranges = [[int(end) for end in part.split("-")] for part in origin.rows.split(",") if part]
        self._first_of_ranges = [ends[0] for ends in ranges]
        self._last_of_ranges = [ends[-1] for ends in ranges]
        self.places: dict[int, int] = {}
        """Number of each row that was added -> that of the row that it is below, 0 if it is the first."""
        self.faults: dict[int, Problem] = {}
        """Number of each row whose first column has the number of another one -> what is wrong."""

    def of(self, cells: Sequence[Cell], at: int) -> int:
        """Return the number of the next row, of which these are all cells; `at` is its row of the sheet.

        A row without anything there was added, and gets a number that no row had. So does one with the number of
        another row, as Excel writes it where cells are filled down: it is a problem of either, for it is unknown which
        of them is the row of the first file. Anything else there is a problem of the row that has it.
        """
        row = cells[0] if cells else None
        text = "" if row is None else str(row.number if isinstance(row, FormattedNumber) else row).strip()
        number = int(text) if _ROW_NUMBER.fullmatch(text) else 0
        if 0 < number < self._origin.next_row and number not in self._at and self._is_open(number):
            self._at[number] = at
            self._last = number
            return number
        added, self._next = self._next, self._next + 1
        self.places[added] = self._last
        if text:
            file = self._origin.file
            if other := self._at.get(number):
                reason = f"Column Row has {number:,} twice, in row {other:,} and in row {at:,} of the sheet {TO_FIX}."
                self.faults.setdefault(number, _row_number_fault(number, text, reason))
            elif not 0 < number < self._origin.next_row:
                said = shown(row, quoted=True)
                reason = f"Column Row says {said} in row {at:,} of the sheet {TO_FIX}: {file} has no such row."
                remedy = "Put the number of the row back; empty the cell of a row that you have added: it is a new one."
                self.faults[added] = Problem(added, None, "row-number", text, reason, remedy)
                return added
            else:
                reason = (
                    f"Column Row says {number:,} in row {at:,} of the sheet {TO_FIX}, but row {number:,} of {file} was "
                    "not to be fixed."
                )
            self.faults[added] = _row_number_fault(added, text, reason)
        return added

    def _is_open(self, number: int) -> bool:
        """Whether the sheet had the row when it was written, as far as that is known."""
        before = bisect_right(self._first_of_ranges, number) - 1
        return not self._first_of_ranges or (before >= 0 and number <= self._last_of_ranges[before])


def _row_number_fault(row: int, text: str, reason: str) -> Problem:
    remedy = "Empty the cell in column Row of the row that you have added: it is sent as a new one."
    return Problem(row, None, "row-number", text, reason, remedy)
