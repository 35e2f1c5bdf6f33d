"""Cells of one mapped column -> values, problems and notes, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import NoneType
from typing import Any, Final, NamedTuple, TypeAlias

from batch_updater.loader.cells import BLANK, Blank
from batch_updater.loader.findings import CellNote
from batch_updater.loader.plain_columns import PlainReader
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.records import Cell, Problem, Value

Converter: TypeAlias = Callable[[Cell], Value | Blank]
_MOST_KNOWN: Final = 1_000
"""Names, types and dates repeat down a column: so many texts are converted once."""
_FREQUENT: Final = frozenset({str, date})
"""Types of cells that repeat, and equal no cell of another type."""


class ReadCells(NamedTuple):
    """What the cells of a column say, by their positions among those that were read."""

    values: Sequence[Value | Blank]
    """One for each cell, BLANK where it has none."""
    blanks: Sequence[int] = ()
    """Cells that hold nothing."""
    problems: Mapping[int, Problem] = {}
    notes: Mapping[int, Sequence[CellNote]] = {}
    """About cells that are sent as they are, unless there is a problem too."""


class ColumnReader:
    """Reads the cells of one mapped column."""

    def __init__(
        self, position: int, name: str, convert: Converter, read_plain: PlainReader | None, noted: list[CellNote]
    ) -> None:
        """`convert` adds to `noted`; `read_plain` is None if each cell has to be looked at."""
        self.position = position
        self.name = name
        """Of the field."""
        self._convert = convert
        self._read_plain = read_plain
        self._noted = noted
        self._known: dict[Cell, Value] = {}
        """Texts and days that were met and need no note -> their values."""

    def read(self, numbers: Sequence[int], cells: Sequence[Cell]) -> ReadCells:
        """Return what the cells of some rows, given with their numbers, say."""
        kinds = set(map(type, cells))
        if NoneType not in kinds:
            values = self._at_once(cells, kinds)
            return self._one_by_one(numbers, cells) if values is None else ReadCells(values)
        kinds.discard(NoneType)
        values = self._at_once([cell for cell in cells if cell is not None], kinds)
        if values is None:
            return self._one_by_one(numbers, cells)
        left = iter(values)
        blanks = [at for at, cell in enumerate(cells) if cell is None]
        return ReadCells([BLANK if cell is None else next(left) for cell in cells], blanks)

    def _at_once(self, cells: Sequence[Any], kinds: set[type]) -> Sequence[Value] | None:
        """Return the values of cells that are not blank, without a look at each; None if that cannot be."""
        if kinds <= _FREQUENT:
            try:
                return list(map(self._known.__getitem__, cells))
            except KeyError:
                pass
        return self._read_plain(cells, kinds) if self._read_plain is not None else None

    def _one_by_one(self, numbers: Sequence[int], cells: Sequence[Cell]) -> ReadCells:
        values: list[Value | Blank] = []
        blanks, problems, notes = list[int](), dict[int, Problem](), dict[int, list[CellNote]]()
        convert, known, noted = self._convert, self._known, self._noted
        for at, cell in enumerate(cells):
            kind = type(cell)
            is_frequent = kind is str or kind is date
            if is_frequent and cell in known:
                values.append(known[cell])
                continue
            value: Value | Blank = BLANK
            if cell is not None:
                try:
                    value = convert(cell)
                except ValueProblem as fault:
                    problems[at] = Problem(numbers[at], self.name, fault.code, shown(cell), fault.reason, fault.remedy)
            values.append(value)
            if noted:
                notes[at] = noted.copy()
                noted.clear()
            elif isinstance(value, Blank):
                blanks.append(at)
            elif is_frequent and len(known) < _MOST_KNOWN:
                known[cell] = value
        return ReadCells(values, blanks, problems, notes)
