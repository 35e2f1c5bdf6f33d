"""An explained row -> the texts that people are shown of it, on the command line and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from batch_updater.messages import duration, what_is_wrong, what_to_do
from batch_updater.records import NOT_SENT, Columns, OutcomeKind
from batch_updater.reporter.cell_values import shown
from batch_updater.runs.explain import ExplainedRow, ShownRequest
from batch_updater.runs.history import PastRun
from batch_updater.runs.statements import ENDED_IN_FLIGHT
from batch_updater.sender.answer import status_name

_BLANK = "(blank)"
_ANSWER_CHARACTERS = 2_000
"""How much of a record is shown, as of every other answer."""


class ShownCell(NamedTuple):
    """One cell of the row."""

    address: str
    """In the first file; '' of a column that is not sent, in a row that has come back."""
    header: str
    value: str
    field: str
    """The field that it is sent as, or that it is not sent."""


class ShownEdit(NamedTuple):
    """One change that a person has made to a cell on the page."""

    place: str
    """Header and address of the cell."""
    old: str
    new: str
    by: str
    at: datetime


class ShownAttempt(NamedTuple):
    """One request and what came of it."""

    part: str
    """Of the first attempt after the run was resumed: for which time it was; '' of any other."""
    number: int
    method: str
    """'' where it is not known."""
    sent_at: datetime | None
    details: tuple[str, ...]
    """The wait before it, what came, and how long that took."""
    message: str
    answer: str
    """Its body, cut off where it is long; '' without one."""


class RowView(msgspec.Struct, frozen=True):
    """Why a row ended as it did."""

    title: str
    """Its number, and where it is."""
    cells: tuple[ShownCell, ...]
    edits: tuple[ShownEdit, ...]
    """By time."""
    constants: tuple[str, ...]
    """What is the same for every row."""
    request: ShownRequest | None
    """None for a row that cannot be sent as it is."""
    attempts: tuple[ShownAttempt, ...]
    outcome: OutcomeKind
    is_unsent: bool
    """Whether no request went out for it, although its cells are in order."""
    wrong: str
    """What is wrong, a line for each cell; '' where nothing is."""
    later: tuple[tuple[str, OutcomeKind], ...]
    """Names of the later rounds that have the row, by time, and how it ended there."""
    advice: str
    """What to do; '' where nothing is to be done, or where a later round has the row."""


def row_view(row: ExplainedRow, past: PastRun) -> RowView:
    """Return what people are shown of a row of a run."""
    columns, outcome = row.columns, row.outcome
    return RowView(
        title=_title(row, past),
        cells=tuple(_cells(row)),
        edits=tuple(_edits(row)),
        constants=tuple(f"{field} = {value}, a constant for every row" for field, value in row.constants.items()),
        request=row.request,
        attempts=tuple(_attempts(row, past)),
        outcome=outcome.kind,
        is_unsent=not row.attempts and outcome.kind is not OutcomeKind.INVALID,
        wrong=what_is_wrong(outcome, columns),
        later=tuple((run.folder.name, kind) for run, kind in row.later),
        advice="" if row.later else what_to_do(outcome, columns),  # it was followed, or does no longer hold
    )


def address_of(columns: Columns, row: int, position: int, field: str | None) -> str | None:
    """Return where a cell is; None of a column that is not sent, in a row that has come back: its first file has it."""
    if field is None:
        return None if columns.origin else f"{columns.letters(position)}{row}"
    return columns.cell(row, field)


def bounded(answer: str | None) -> str | None:
    """Return what is shown of the body of an answer."""
    if answer is None or len(answer) <= _ANSWER_CHARACTERS:
        return answer
    return f"{answer[:_ANSWER_CHARACTERS]} ..."


def _title(row: ExplainedRow, past: PastRun) -> str:
    sheet, origin, number = past.identity.sheet, row.columns.origin, f"Row {row.row.number:,}"
    in_sheet = f'{past.facts.input}, sheet "{sheet}"' if sheet else past.facts.input
    if origin is None:
        return f"{number} of {in_sheet}"
    place = f"row {row.sheet_row:,} of " if row.sheet_row else ""
    is_new = row.row.number > origin.last_row
    number = f"{number}, which {origin.file} does not have" if is_new else f"{number} of {origin.file}"
    return f"{number}, here {place}{in_sheet}"


def _cells(row: ExplainedRow) -> Iterator[ShownCell]:
    columns, number = row.columns, row.row.number
    field_at = {position: name for name, position in columns.of_field.items()}
    for at, (header, cell) in enumerate(zip(columns.headers, row.row.cells, strict=True)):
        if header.strip() or cell is not None:
            address = _address_in_title(columns, number, at, field_at.get(at))
            yield ShownCell(address, header, shown(cell) or _BLANK, field_at.get(at, NOT_SENT))


def _edits(row: ExplainedRow) -> Iterator[ShownEdit]:
    columns = row.columns
    field_at = {position: name for name, position in columns.of_field.items()}
    for edit in row.edits:
        address = _address_in_title(columns, edit.row, edit.position, field_at.get(edit.position))
        place = " ".join(filter(None, (columns.headers[edit.position].strip(), address)))
        yield ShownEdit(place, shown(edit.old) or _BLANK, edit.new or _BLANK, edit.by, edit.at)


def _address_in_title(columns: Columns, row: int, position: int, field: str | None) -> str:
    """Return where a cell is, without the file that the title names."""
    address = address_of(columns, row, position, field) or ""
    return address.removesuffix(f" of {columns.origin.file}") if columns.origin else address


def _attempts(row: ExplainedRow, past: PastRun) -> Iterator[ShownAttempt]:
    part, ended = 1, "the run ended before an answer was known"
    if past.team_state is not None:
        ended = "perhaps sent, then its worker was gone"
    for one in row.attempts:
        resumed = f"when the run was resumed for the {_ordinal(one.part - 1)} time" if one.part != part else ""
        part = one.part
        came = status_name(one.status) if one.status else one.why or ""
        if one.why == ENDED_IN_FLIGHT:
            came = "no answer so far" if past.is_under_way and one is row.attempts[-1] else ended
        waited = f"after a wait of {_duration(one.wait_s)}" if one.wait_s else ""
        took = f"took {_duration(one.seconds)}" if one.seconds is not None else ""
        yield ShownAttempt(
            resumed, one.number, one.method or "", one.sent_at, tuple(filter(None, (waited, came, took))),
            one.message or "", bounded(one.answer) or "",
        )  # fmt: skip


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else duration(seconds)


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
