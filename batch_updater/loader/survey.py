"""What only a whole column, or the whole file, shows about its cells: looked for where the rows raise the question."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.loader.below import Below
from batch_updater.loader.numbers import decimal_from_text, mark_shown_by, may_be_grouped
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.records import FormattedNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from batch_updater.loader.row_parser import Reading
    from batch_updater.records import Cell

_FRACTION = re.compile(r"-?[0-9]+[.,][0-9]*[1-9][0-9]*|[0-9]+(?:\.[0-9]+){2,}")
RAGGED = "ragged-row"
"""Code of the problem of a row that is longer or shorter than the header row."""
_FOUR_DIGITS = re.compile(r"[^0-9.,]*[1-9][0-9]{3,}[^0-9.,]*")
_THOUSAND = 1000
_CENT = Decimal("0.01")
_SEMICOLONS = "The columns are separated by semicolons, as programs do that write a decimal comma"


class MarkEvidence(NamedTuple):
    """What shows that numbers of a column may be written with the other decimal mark."""

    sentence: str
    """Without a full stop: `Row 5 has 1.234,50 (amountDue)`."""
    decides: bool
    """Whether every cell of the column that can tell is written so: then the column is read with that mark."""


@dataclass(frozen=True, slots=True)
class Findings:
    """How cells are read once the whole file is known."""

    marks: Mapping[str, MarkEvidence] = field(default_factory=dict)
    """Number fields in which the configured decimal mark does not settle every number."""
    perhaps_thousands: frozenset[str] = frozenset()
    """Number fields in which every number with a decimal mark has three digits behind it, so that it may be none."""
    with_fractions: frozenset[str] = frozenset()
    """Text fields that hold numbers with a fraction, so that 2.0 is meant as it is written."""
    below_from: int | None = None
    """First row below the table; None if there is none."""


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


def survey(
    readings: Iterable[Reading],
    questions: Questions,
    numbers: Mapping[str, int],
    positions: Mapping[str, int],
    mark: str,
    *,
    has_semicolons: bool,
) -> Findings:
    """Go over all rows once more and return what they show.

    `numbers` are the number fields and `positions` all fields, each with the position of its column; `mark` is the
    configured decimal mark.
    """
    marks = _Marks(numbers, mark, has_semicolons=has_semicolons)
    totals = _Totals(numbers, questions)
    with_fractions: set[str] = set()
    for reading in readings:
        cells = reading.row.cells
        if any(problem.code == RAGGED for problem in reading.problems):
            continue  # its values may be in the wrong columns
        if reading.below is None:
            marks.add(reading.row.number, cells)
        totals.add(reading)
        for name in questions.point_zero - with_fractions:
            cell = cells[positions[name]]
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

    def add(self, row: int, cells: tuple[Cell, ...]) -> None:
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

    def add(self, reading: Reading) -> None:
        if self.below_from is None:
            return
        row = reading.row
        if row.number < self.below_from:
            self._rows += 1
            for position, amount in amounts(row.cells, self._looked_at):
                self._sums[position] += amount
        elif reading.below is Below.PERHAPS_TOTALS and not self._are_sums(row.cells):
            self.below_from = row.number + 1

    def _are_sums(self, cells: Sequence[Cell]) -> bool:
        """Whether a number of a column that is sent is the sum of its column; of any column, if no such one has any."""
        found = dict(amounts(cells, self._looked_at))
        sent = {position: amount for position, amount in found.items() if position in self._mapped}
        near = (abs(amount - self._sums[at]) < _CENT for at, amount in (sent or found).items() if amount)
        return self._rows > 1 and any(near)


def amounts(cells: Sequence[Cell], positions: Iterable[int]) -> Iterator[tuple[int, Decimal]]:
    """Yield position and number of the cells at some positions that are numbers, with either decimal mark."""
    for position in positions:
        if (amount := number_in(cells[position])) is not None:
            yield position, amount


def number_in(cell: Cell) -> Decimal | None:
    """Return the number that a cell holds, with either decimal mark; None if it holds none."""
    if isinstance(cell, str):
        for mark in (".", ","):
            try:
                return decimal_from_text(cell, mark)
            except ValueProblem:
                continue
        return None
    if isinstance(cell, FormattedNumber):
        cell = cell.number
    return Decimal(cell) if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool) else None
