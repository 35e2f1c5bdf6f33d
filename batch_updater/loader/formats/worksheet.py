"""The XML of one worksheet -> rows. Own code rather than a library's, because the cells must arrive exactly.

Libraries read error cells and formulas without a saved value as blanks, believe the sheet's stated size, or lose
digits of whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import lt
from typing import IO

from batch_updater.loader.formats.book import (
    GAP_BYTES,
    LAST_COLUMN,
    LAST_ROW,
    MOST_CHARACTERS,
    SAVE_AGAIN,
    SHORTEN,
    SheetRow,
    UnreadableError,
    column_position,
    too_long,
)
from batch_updater.loader.formats.cell_contents import CellContents
from batch_updater.loader.formats.long_part import LongPart
from batch_updater.loader.formats.office_book import NAMESPACES
from batch_updater.loader.formats.package import Allowance
from batch_updater.loader.formats.row_pattern import RowPattern, WrittenCell
from batch_updater.loader.formats.safe_xml import safe_parser
from batch_updater.loader.formats.shared_strings import TextCollector
from batch_updater.records import Cell, CellError, column_letters

_LETTERS = re.compile(r"[A-Za-z]{1,3}")
_SHARED_FORMULA = "..."
"""A formula that is written down once, in another cell."""


class RowReader:
    """Reads the rows of one worksheet: by an XML parser, but for those in the form of rows that it has parsed.

    The parser's handlers run once or more for each cell: they are kept lean.
    """

    def __init__(self, contents: CellContents, allowance: Allowance, *, results_are_stale: bool = False) -> None:
        """`results_are_stale`: the workbook says that the results of formulas saved in it are out of date."""
        self._contents = contents
        self._charge = allowance.charge
        self._results_are_stale = results_are_stale
        self._rows: list[SheetRow] = []
        self._columns: dict[str, int] = {}
        self._number = 0
        self._row_text = ""
        self._cells: list[Cell] = []
        self._written: list[WrittenCell] | None = []
        """How the cells of the row are written; None if it continues with another piece of it."""
        self._hidden = False
        self._kind = self._style = ""
        self._value: str | None = None
        self._formula: str | None = None
        self._pieces: list[str] = []
        self._length = 0
        self._inline = TextCollector(self._address)
        self._data: str | None = None
        self._in_data = False
        self._c = self._v = self._f = self._row = self._is = ""
        self._parser = safe_parser(self._start, self._end)
        self._part = LongPart(self._parser, "sheetData", "row", is_open=lambda: self._in_data)

    def rows(self, stream: IO[bytes]) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet's XML as they are read; what it says about its own size is not believed."""
        pattern: RowPattern | None = None
        for rows in self._part.elements(stream):
            if rows:
                pattern = pattern or RowPattern(self._contents, self._part.prefix)
                self._read(rows, pattern)
            # The last one may yet go on in another piece.
            yield from self._rows[:-1]
            del self._rows[:-1]
        yield from self._rows

    def _read(self, rows: str, pattern: RowPattern) -> None:
        matched: list[re.Match[str]] = []
        for row in rows.split(self._part.end)[:-1]:
            if found := pattern.match(row):
                matched.append(found)
            else:
                self._add(matched, pattern)
                matched = []
                self._part.feed(row + self._part.end)
                if self._written is not None and self._rows:
                    pattern.learn(row, self._rows[-1], self._written)
        self._add(matched, pattern)

    def _add(self, matched: Sequence[re.Match[str]], pattern: RowPattern) -> None:
        """Convert rows that were matched; the parser says what is wrong if they are out of order."""
        if not matched:
            return
        rows = pattern.rows(matched)
        numbers = [self._number, *(row.number for row in rows)]
        if numbers[-1] > LAST_ROW or not all(map(lt, numbers, numbers[1:])):
            for row in matched:
                self._part.feed(row.string + self._part.end)
        else:
            self._charge(pattern.gaps * len(rows) * GAP_BYTES)
            self._rows += rows
            self._number = numbers[-1]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == self._c:
            self._start_cell(attributes)
        elif name in (self._v, self._f):
            self._pieces.clear()
            self._length = 0
            self._parser.CharacterDataHandler = self._characters
        elif name == self._row:
            stated = attributes.get("r")
            number = int(stated) if stated is not None else self._number + 1
            self._start_row(number, hidden=attributes.get("hidden") in {"1", "true"})
        elif name == self._is:
            self._inline.clear()
            self._parser.CharacterDataHandler = self._inline.characters
        elif self._data is None:
            self._start_root(name)
        elif name == self._data:
            self._in_data = True
        else:
            self._inline.start(name)

    def _start_root(self, name: str) -> None:
        namespace, _, local = name.rpartition(" ")
        if local != "worksheet" or namespace not in NAMESPACES:
            raise UnreadableError("has a sheet that is not a worksheet", SAVE_AGAIN)
        self._c, self._v, self._f, self._row, self._is, self._data = (
            f"{namespace} {tag}" for tag in ("c", "v", "f", "row", "is", "sheetData")
        )

    def _characters(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            raise too_long(self._address())

    def _address(self) -> str:
        return f"a text in cell {column_letters(len(self._cells))}{self._number}"

    def _end(self, name: str) -> None:
        if name == self._c:
            self._end_cell()
        elif name == self._v:
            self._value = "".join(self._pieces)
            self._parser.CharacterDataHandler = None
        elif name == self._f:
            self._formula = "".join(self._pieces)
            self._parser.CharacterDataHandler = None
        elif name == self._row:
            self._rows.append(SheetRow(self._number, self._cells, self._hidden))
        elif name == self._is:
            self._value = self._inline.text()
            self._parser.CharacterDataHandler = None
        else:
            self._inline.end(name)

    def _start_row(self, number: int, *, hidden: bool) -> None:
        self._row_text = str(number)
        if number == self._number and self._rows:  # a further piece of the row
            before = self._rows.pop()
            self._cells, self._hidden, self._written = before.cells, before.hidden or hidden, None
            return
        if not self._number < number <= LAST_ROW:
            raise UnreadableError(f"has row {number} in the wrong place", SAVE_AGAIN)
        self._number, self._cells, self._hidden, self._written = number, [], hidden, []

    def _start_cell(self, attributes: dict[str, str]) -> None:
        get = attributes.get
        self._kind, self._style = get("t", "n"), get("s", "0")
        self._value = self._formula = None
        reference = get("r")
        if reference is not None:
            letters = reference.removesuffix(self._row_text)
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = _column(letters, reference)
            self._go_to(column, reference)

    def _go_to(self, column: int, reference: str) -> None:
        """Fill up with blanks to a column."""
        missing = column - len(self._cells)
        if missing < 0:
            raise UnreadableError(f"has cell {reference} in the wrong place", SAVE_AGAIN)
        if missing:
            self._charge(missing * GAP_BYTES)
            self._cells.extend([None] * missing)

    def _end_cell(self) -> None:
        if len(self._cells) >= LAST_COLUMN:
            raise UnreadableError(f"has more than {LAST_COLUMN:,} columns in row {self._number:,}", SHORTEN)
        if self._written is not None:
            self._written.append((len(self._cells), self._kind, self._style))
        fault = None if self._formula is None else self._fault_of_formula(self._formula)
        self._cells.append(fault or self._contents.converter(self._kind, self._style)(self._value or ""))

    def _fault_of_formula(self, formula: str) -> CellError | None:
        if self._value is None or (not self._value and self._kind != "str"):
            # An empty text is a result, if it was written down.
            return CellError("formula-without-value", f"={formula or _SHARED_FORMULA}")
        # An error is told as the error that it shows.
        if self._results_are_stale and self._kind != "e":
            return CellError("stale-formula", f"={formula or _SHARED_FORMULA}")
        return None


def _column(letters: str, reference: str) -> int:
    column = column_position(letters.upper()) if _LETTERS.fullmatch(letters) else LAST_COLUMN
    if column >= LAST_COLUMN:
        raise UnreadableError(f"has cell {reference[:20]!r} in the wrong place", SAVE_AGAIN)
    return column
