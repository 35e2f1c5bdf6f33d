"""What only a whole column, or the whole file, shows about its cells: looked for where the rows raise the question."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import DateOrder
from batch_updater.loader.below import NO_RECORD, Below
from batch_updater.loader.dates import AMBIGUOUS_DATE, order_shown_by
from batch_updater.loader.findings import Findings, MarkEvidence, NoteCollector
from batch_updater.loader.numbers import OTHER_MARK, mark_shown_by, may_be_grouped, number_in
from batch_updater.loader.open_questions import OpenCells
from batch_updater.loader.refusal import shown
from batch_updater.loader.row_parser import ParsedRow, RowParser
from batch_updater.loader.texts import POINT_ZERO
from batch_updater.records import Cell, Columns, Problem

_FRACTION = re.compile(r"-?[0-9]+[.,][0-9]*[1-9][0-9]*|[0-9]+(?:\.[0-9]+){2,}")
_FOUR_DIGITS = re.compile(r"[^0-9.,]*[1-9][0-9]{3,}[^0-9.,]*")
_THOUSAND = 1000
_CENT = Decimal("0.01")
DatesOfOrders: TypeAlias = Mapping[DateOrder, tuple[int, str, int]]
"""Order -> row and text of the first date that can be read in that order only, and how many there are."""
_SEMICOLONS = "The columns are separated by semicolons, as programs do that write a decimal comma"


class Doubts(msgspec.Struct):
    """What the rows leave open."""

    other_mark: bool = False
    """Whether a number is written with the other decimal mark."""
    thousands: bool = False
    """Whether a number may be a thousand, its decimal mark being none."""
    point_zero: set[str] = msgspec.field(default_factory=set)
    """Fields in which an identifier ends in `.0`."""
    below_from: int | None = None
    """First row of those at the end that are no records."""
    unsure_totals: set[int] = msgspec.field(default_factory=set)
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
    doubts: Doubts,
    numbers: Mapping[str, int],
    columns: Columns,
    mark: str,
    *,
    has_semicolons: bool,
) -> Findings:
    """Go over all rows and return what they show.

    `numbers` are the number fields, each with the position of its column; `mark` is the configured decimal mark.
    """
    marks, positions = _Marks(numbers, columns, mark, has_semicolons=has_semicolons), columns.of_field
    with_fractions: set[str] = set()
    below_from, rows_above = doubts.below_from, 0
    sums: dict[int, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.is_ragged:
            continue  # its values may be in the wrong columns
        if row.below is None:
            marks.add(row.number, row.cells)
        if below_from is not None and row.number < below_from:
            rows_above += 1
            for position, amount in amounts(row.cells, doubts.unsure_totals):
                sums[position] += amount
        elif below_from is not None and row.below is Below.PERHAPS_TOTALS:
            # A number of a column that is sent has to be the sum of its column; of any column, if no such one has any.
            all_totals = dict(amounts(row.cells, doubts.unsure_totals))
            totals = {at: amount for at, amount in all_totals.items() if at in numbers.values()} or all_totals
            near = (abs(amount - sums[at]) < _CENT for at, amount in totals.items() if amount)
            if rows_above <= 1 or not any(near):
                below_from = row.number + 1
        for name in doubts.point_zero - with_fractions:
            cell = row.cells[positions[name]]
            if isinstance(cell, str) and _FRACTION.fullmatch(cell.strip()):
                with_fractions.add(name)
    evidence = marks.evidence()
    return Findings(evidence, marks.open_fields() - evidence.keys(), frozenset(with_fractions), below_from)


class _Marks:
    """Looks for the numbers that can be written with one decimal mark only."""

    def __init__(self, numbers: Mapping[str, int], columns: Columns, mark: str, *, has_semicolons: bool) -> None:
        self._numbers, self._columns = numbers, columns
        self._own, self._other = mark, "," if mark == "." else "."
        self._has_semicolons = has_semicolons
        self._certain: dict[tuple[str, str], str] = {}
        """(field, mark) -> the first cell that shows it, in words."""
        self._grouped: set[str] = set()
        """Fields with a number that may be a thousand, its decimal mark being none."""
        self._ungrouped: dict[str, str] = {}
        """Field -> the first cell with four or more digits and no mark between them, in words."""

    def add(self, row: int, cells: Sequence[Cell]) -> None:
        for name, position in self._numbers.items():
            cell = cells[position]
            if cell is None:
                continue
            text = cell if isinstance(cell, str) else None
            if name not in self._ungrouped and (
                _FOUR_DIGITS.fullmatch(text) if text else abs(number_in(cell) or Decimal()) >= _THOUSAND
            ):
                self._ungrouped[name] = self._example(row, shown(cell).strip(), name)
            elif text and (mark := mark_shown_by(text)):
                if (name, mark) not in self._certain:
                    self._certain[name, mark] = self._example(row, shown(text.strip()), name)
            elif text and name not in self._grouped and may_be_grouped(text, self._own):
                self._grouped.add(name)

    def _example(self, row: int, text: str, name: str) -> str:
        place = self._columns.row(row)
        return f"{place[:1].upper()}{place[1:]} has {text} ({name})"

    def evidence(self) -> dict[str, MarkEvidence]:
        elsewhere = next((cell for (_, mark), cell in self._certain.items() if mark == self._other), None)
        is_own_anywhere = any(mark == self._own for _, mark in self._certain)
        found, open_fields = {}, self.open_fields()
        for name in self._numbers:
            own, other = self._certain.get((name, self._own)), self._certain.get((name, self._other))
            if cell := other or elsewhere:
                found[name] = MarkEvidence(
                    cell, decides=other is not None and own is None, is_mixed=None not in (own, other)
                )
            elif self._has_semicolons and not is_own_anywhere:
                found[name] = MarkEvidence(_SEMICOLONS, decides=False)
            elif name in open_fields and (cell := self._ungrouped.get(name)):
                sentence = f"{cell}, and no cell of the column shows that {self._own!r} is a decimal mark"
                found[name] = MarkEvidence(sentence, decides=False)
        return found

    def open_fields(self) -> frozenset[str]:
        """Return the fields with numbers that may be thousands, in which no cell shows the decimal mark."""
        return frozenset(name for name in self._grouped if (name, self._own) not in self._certain)


class FileEvidence:
    """Takes every parsed row once: notes, and what only the whole file shows about its cells, in bounded memory."""

    def __init__(self, parser: RowParser) -> None:
        self._date_columns = parser.date_columns.items()
        self._decimal_mark = parser.decimal_mark
        self._number_columns = list(parser.number_columns.values())
        """Positions; emptied once a number is found that may be a thousand."""
        self._headers = parser.width.headers
        self._last_row = 0
        self._date_orders: dict[str, dict[DateOrder, tuple[int, str, int]]] = {}
        """Field -> order -> row and text of the first date that can be read in that order only, and how many can."""
        self._orders_of_year_last: dict[str, dict[DateOrder, tuple[int, str, int]]] = {}
        """The same of those dates that can also have the year in front."""
        self.open_cells = OpenCells()
        self.rows_below: dict[int, Problem] = {}
        """Number of each row that is no record -> why."""
        self.doubts = Doubts()
        """What only the whole file can answer."""
        self.notes = NoteCollector()
        """What people should know of cells that are sent as they are."""

    def add(self, rows: Sequence[ParsedRow]) -> None:
        """Look at the next rows. Runs for every row: kept lean."""
        self._add_cells([
            row for row in rows if len(row.cells) >= self._headers and not (row.problems and row.is_ragged)
        ])  # fmt: skip
        for row in rows:
            if row.notes:
                self.notes.add(row.number, row.notes)
            for problem in row.problems:
                self.open_cells.add(problem)
                if problem.code in NO_RECORD:
                    self.rows_below[row.number] = problem
                self.doubts.other_mark |= problem.code == OTHER_MARK
                if problem.code == POINT_ZERO and problem.field:
                    self.doubts.point_zero.add(problem.field)
            if row.below is not None:
                self._add_below(row, row.below)
            elif self.doubts.below_from is not None:
                self.doubts.below_from = None
                self.doubts.unsure_totals.clear()
            self._last_row = row.number

    def _add_cells(self, rows: Sequence[ParsedRow]) -> None:
        for name, position in self._date_columns:
            for row in rows:
                cell = row.cells[position]
                if isinstance(cell, str) and (shows := order_shown_by(cell)):
                    order, is_certain = shows
                    orders = (self._date_orders if is_certain else self._orders_of_year_last).setdefault(name, {})
                    number, text, count = orders.get(order) or (row.number, shown(cell.strip()), 0)
                    orders[order] = (number, text, count + 1)
        mark = self._decimal_mark
        for position in self._number_columns:
            # Three digits behind the mark are the last, or something else than a digit is.
            if any(
                isinstance(cell, str)
                and (cell[-4:-3] == mark or not cell[-1:].isdigit())
                and may_be_grouped(cell, mark)
                for cell in [row.cells[position] for row in rows]
            ):
                self.doubts.thousands = True
                self._number_columns.clear()
                break

    def _add_below(self, row: ParsedRow, below: Below) -> None:
        """Take note of a row that is no record: those at the end of the rows so far are below the table."""
        doubts = self.doubts
        has_gap = row.number > self._last_row + 1
        if doubts.below_from is None and (below is not Below.PERHAPS_REMARK or has_gap):
            doubts.below_from = row.number
        if below is Below.PERHAPS_TOTALS:
            positions = range(min(len(row.cells), self._headers))
            doubts.unsure_totals.update(position for position, _ in amounts(row.cells, positions))

    def orders_of(self, field: str, *, is_year_last: bool = False) -> dict[DateOrder, tuple[int, str, int]]:
        """Return the orders in which alone dates can be read -> row and text of the first one, and how many there are.

        `is_year_last`: the year is known to be the last number. Any date that shows an order shows that, too.
        """
        certain = self._date_orders.get(field, {})
        return {**self._orders_of_year_last.get(field, {}), **certain} if certain or is_year_last else {}

    def date_orders(self) -> dict[str, DatesOfOrders]:
        """Return what the dates of each field show, as `with_date_orders` takes it."""
        return {field: found for field in self._date_orders if (found := self.orders_of(field))}


def with_date_orders(
    problem: Problem, orders: Mapping[str, DatesOfOrders], row_in_words: Callable[[int], str]
) -> Problem:
    """Return the problem of an ambiguous date with what other rows of its column show; it never decides.

    `orders`: field -> the orders in which alone some of its dates can be read.
    """
    found = orders.get(problem.field or "")
    if problem.code != AMBIGUOUS_DATE or not found:
        return problem
    order, (row, text, _) = next(iter(found.items()))
    remedy = (
        f"This column has {text} in {row_in_words(row)}: if all dates are written so, add --date-order "
        f"{order.value} (or set input.date_order); else type it like 2025-12-31."
    )
    if len(found) > 1:
        seen = " and ".join(f"{row_in_words(row)} has {text}" for row, text, _ in found.values())
        remedy = f"Type it like 2025-12-31: the column mixes both orders, {seen}."
    return replace(problem, remedy=remedy)


def amounts(cells: Sequence[Cell], positions: Iterable[int]) -> Iterator[tuple[int, Decimal]]:
    """Yield position and number of the cells at some positions that are numbers, with either decimal mark."""
    for position in positions:
        if (amount := number_in(cells[position])) is not None:
            yield position, amount
