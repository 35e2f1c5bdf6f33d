"""What only a whole column, or the whole file, shows about its cells: looked for where the rows raise the question."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from batch_updater.config.schema import DateOrder
from batch_updater.loader.below import Below
from batch_updater.loader.dates import AMBIGUOUS_DATE, order_shown_by
from batch_updater.loader.findings import Findings, MarkEvidence
from batch_updater.loader.notes import NoteCollector
from batch_updater.loader.numbers import OTHER_MARK, mark_shown_by, may_be_grouped, number_in
from batch_updater.loader.refusal import shown
from batch_updater.loader.row_parser import ParsedRow, RowParser
from batch_updater.loader.texts import POINT_ZERO
from batch_updater.records import Cell, Problem

_FRACTION = re.compile(r"-?[0-9]+[.,][0-9]*[1-9][0-9]*|[0-9]+(?:\.[0-9]+){2,}")
_FOUR_DIGITS = re.compile(r"[^0-9.,]*[1-9][0-9]{3,}[^0-9.,]*")
_THOUSAND = 1000
_CENT = Decimal("0.01")
_SEMICOLONS = "The columns are separated by semicolons, as programs do that write a decimal comma"


@dataclass(slots=True)
class Questions:
    """What the rows leave open."""

    other_mark: bool = False
    """Whether a number is written with the other decimal mark."""
    thousands: bool = False
    """Whether a number may be a thousand, its decimal mark being none."""
    point_zero: set[str] = field(default_factory=set)
    """Fields in which an identifier ends in `.0`."""
    below_from: int | None = None
    """First row of those at the end that are no records."""
    unsure_totals: set[int] = field(default_factory=set)
    """Positions of the numbers in those of them that may be totals."""


class SurveyedRow(NamedTuple):
    """A row as far as a survey looks at it."""

    number: int
    cells: Sequence[Cell]
    """At least one for each header unless the row is ragged."""
    is_ragged: bool
    below: Below | None


def survey(
    rows: Iterable[SurveyedRow],
    questions: Questions,
    numbers: Mapping[str, int],
    positions: Mapping[str, int],
    mark: str,
    *,
    has_semicolons: bool,
) -> Findings:
    """Go over all rows and return what they show.

    `numbers` are the number fields and `positions` all fields, each with the position of its column; `mark` is the
    configured decimal mark.
    """
    marks = _Marks(numbers, mark, has_semicolons=has_semicolons)
    totals = _Totals(numbers, questions)
    with_fractions: set[str] = set()
    for row in rows:
        if row.is_ragged:
            continue  # its values may be in the wrong columns
        if row.below is None:
            marks.add(row.number, row.cells)
        totals.add(row)
        for name in questions.point_zero - with_fractions:
            cell = row.cells[positions[name]]
            if isinstance(cell, str) and _FRACTION.fullmatch(cell.strip()):
                with_fractions.add(name)
    return Findings(marks.evidence(), marks.perhaps_thousands(), frozenset(with_fractions), totals.below_from)


class _Cell(NamedTuple):
    """A cell that shows a decimal mark."""

    row: int
    text: str
    field: str

    def __str__(self) -> str:
        return f"Row {self.row:,} has {self.text} ({self.field})"


class _Marks:
    """Looks for the numbers that can be written with one decimal mark only."""

    def __init__(self, numbers: Mapping[str, int], mark: str, *, has_semicolons: bool) -> None:
        self._numbers = numbers
        self._own, self._other = mark, "," if mark == "." else "."
        self._has_semicolons = has_semicolons
        self._certain: dict[tuple[str, str], _Cell] = {}
        """(field, mark) -> the first cell that shows it."""
        self._grouped: set[str] = set()
        """Fields with a number that may be a thousand, its decimal mark being none."""
        self._ungrouped: dict[str, _Cell] = {}
        """Field -> the first cell with a thousand that is written without a mark."""

    def add(self, row: int, cells: Sequence[Cell]) -> None:
        for name, position in self._numbers.items():
            cell = cells[position]
            if cell is None:
                continue
            if name not in self._ungrouped and _is_thousand(cell):
                self._ungrouped[name] = _Cell(row, shown(cell).strip(), name)
            elif isinstance(cell, str) and (mark := mark_shown_by(cell)):
                self._certain.setdefault((name, mark), _Cell(row, shown(cell.strip()), name))
            elif isinstance(cell, str) and name not in self._grouped and may_be_grouped(cell, self._own):
                self._grouped.add(name)

    def evidence(self) -> dict[str, MarkEvidence]:
        elsewhere = next((cell for (_, mark), cell in self._certain.items() if mark == self._other), None)
        is_own_anywhere = any(mark == self._own for _, mark in self._certain)
        found = {}
        for name in self._numbers:
            own, other = self._certain.get((name, self._own)), self._certain.get((name, self._other))
            if cell := other or elsewhere:
                found[name] = MarkEvidence(str(cell), decides=other is not None and own is None)
            elif self._has_semicolons and not is_own_anywhere:
                found[name] = MarkEvidence(_SEMICOLONS, decides=False)
            elif name in self._open() and (cell := self._ungrouped.get(name)):
                sentence = f"{cell}, and no cell of the column shows that {self._own!r} is a decimal mark"
                found[name] = MarkEvidence(sentence, decides=False)
        return found

    def perhaps_thousands(self) -> frozenset[str]:
        return self._open() - self.evidence().keys()

    def _open(self) -> frozenset[str]:
        """Return the fields with numbers that may be thousands, in which no cell shows the decimal mark."""
        return frozenset(name for name in self._grouped if (name, self._own) not in self._certain)


def _is_thousand(cell: Cell) -> bool:
    """Whether a cell holds a number of four or more digits without a mark between them."""
    if isinstance(cell, str):
        return _FOUR_DIGITS.fullmatch(cell) is not None
    number = number_in(cell)
    return number is not None and abs(number) >= _THOUSAND


class _Totals:
    """Adds up columns of numbers, and tells whether the rows at the end are their sums."""

    def __init__(self, numbers: Mapping[str, int], questions: Questions) -> None:
        self.below_from = questions.below_from
        """First row below the table, as far as is known."""
        self._mapped = frozenset(numbers.values())
        self._looked_at = questions.unsure_totals
        self._sums: dict[int, Decimal] = defaultdict(Decimal)
        self._rows = 0

    def add(self, row: SurveyedRow) -> None:
        if self.below_from is None:
            return
        if row.number < self.below_from:
            self._rows += 1
            for position, amount in amounts(row.cells, self._looked_at):
                self._sums[position] += amount
        elif row.below is Below.PERHAPS_TOTALS and not self._are_sums(row.cells):
            self.below_from = row.number + 1

    def _are_sums(self, cells: Sequence[Cell]) -> bool:
        """Whether a number of a column that is sent is the sum of its column; of any column, if no such one has any."""
        found = dict(amounts(cells, self._looked_at))
        sent = {position: amount for position, amount in found.items() if position in self._mapped}
        near = (abs(amount - self._sums[at]) < _CENT for at, amount in (sent or found).items() if amount)
        return self._rows > 1 and any(near)


@dataclass(frozen=True, slots=True)
class DateEvidence:
    """A text date that can be read in one order only: the others of its column are probably written in that order."""

    order: DateOrder
    row: int
    text: str


class FileEvidence:
    """Takes every parsed row once: notes, and what only the whole file shows about its cells, in bounded memory."""

    def __init__(self, parser: RowParser) -> None:
        self._date_columns = parser.date_columns.items()
        self._decimal_mark = parser.decimal_mark
        self._number_columns = list(parser.number_columns.values())
        """Positions; emptied once a number is found that may be a thousand."""
        self._headers = parser.width.headers
        self._last_row = 0
        self._date_orders: dict[str, dict[DateOrder, DateEvidence]] = {}
        self.questions = Questions()
        """What only the whole file can answer."""
        self.notes = NoteCollector()
        """What people should know of cells that are sent as they are."""

    def add(self, parsed: ParsedRow) -> None:
        """Look at one row. Runs for every row: kept lean."""
        if parsed.notes:
            self.notes.add(parsed.number, parsed.notes)
        if len(parsed.cells) >= self._headers and not (parsed.problems and parsed.is_ragged):
            self._look_at_cells(parsed.number, parsed.cells)
        if parsed.problems:
            for problem in parsed.problems:
                self.questions.other_mark |= problem.code == OTHER_MARK
                if problem.code == POINT_ZERO and problem.field:
                    self.questions.point_zero.add(problem.field)
            self._note_end(parsed)
        elif self.questions.below_from is not None:
            self._note_record()
        self._last_row = parsed.number

    def _look_at_cells(self, row: int, cells: Sequence[Cell]) -> None:
        """Note the order of dates, and that numbers may be thousands."""
        for name, position in self._date_columns:
            cell = cells[position]
            if isinstance(cell, str) and (order := order_shown_by(cell)):
                found = self._date_orders.setdefault(name, {})
                found.setdefault(order, DateEvidence(order, row, shown(cell.strip())))
        mark = self._decimal_mark
        for position in self._number_columns:
            cell = cells[position]
            # Three digits behind the mark are the last, or something else than a digit is.
            if (
                isinstance(cell, str)
                and (cell[-4:-3] == mark or not cell[-1:].isdigit())
                and may_be_grouped(cell, mark)
            ):
                self.questions.thousands = True
                self._number_columns.clear()
                break

    def _note_end(self, parsed: ParsedRow) -> None:
        """Keep track of the rows at the end of those seen so far that are no records."""
        questions, has_gap = self.questions, parsed.number > self._last_row + 1
        if parsed.below is None:
            self._note_record()
            return
        if questions.below_from is None and (parsed.below is not Below.PERHAPS_REMARK or has_gap):
            questions.below_from = parsed.number
        if parsed.below is Below.PERHAPS_TOTALS:
            positions = range(min(len(parsed.cells), self._headers))
            questions.unsure_totals.update(position for position, _ in amounts(parsed.cells, positions))

    def _note_record(self) -> None:
        self.questions.below_from = None
        self.questions.unsure_totals.clear()

    def has_dates_of_one_order(self) -> bool:
        """Whether a text date can be read in one order only, which may help with others that can be read in two."""
        return bool(self._date_orders)

    def with_date_orders(self, problem: Problem) -> Problem:
        """Return the problem of an ambiguous date with what other rows of its column show; it never decides."""
        found = tuple(self._date_orders.get(problem.field or "", {}).values())
        if problem.code != AMBIGUOUS_DATE or not found:
            return problem
        if len(found) > 1:
            seen = " and ".join(f"row {one.row:,} has {one.text}" for one in found)
            return replace(problem, remedy=f"Type it like 2025-12-31: the column mixes both orders, {seen}.")
        one = found[0]
        return replace(
            problem,
            remedy=f"Row {one.row:,} of this column has {one.text}: if all dates are written so, set input.date_order "
            f"to {one.order.value}; else type it like 2025-12-31.",
        )


def amounts(cells: Sequence[Cell], positions: Iterable[int]) -> Iterator[tuple[int, Decimal]]:
    """Yield position and number of the cells at some positions that are numbers, with either decimal mark."""
    for position in positions:
        if (amount := number_in(cells[position])) is not None:
            yield position, amount
