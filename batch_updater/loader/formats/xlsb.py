"""Binary Excel workbooks (.xlsb, [MS-XLSB]): a package as for .xlsx, whose parts are sequences of records.

What a formula was never calculated to cannot be told in this format: its saved value is 0 or an empty text then.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import IO, cast

from batch_updater.loader.formats.book import (
    GAP_BYTES,
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    MOST_CHARACTERS,
    SAVE_AGAIN,
    Area,
    SheetProperties,
    SheetRow,
    UnreadableError,
    too_long,
    too_many_areas,
)
from batch_updater.loader.formats.number_formats import Format, apply_format, from_double, shown_by, text_as_shown
from batch_updater.loader.formats.office_book import OfficeBook
from batch_updater.loader.formats.shared_strings import SharedStrings
from batch_updater.records import Cell, CellError, column_letters

_CHUNK_BYTES = 1 << 20
_MOST_RECORD_BYTES = 8 << 20
# Types of records ([MS-XLSB] 2.3.2).
_ROW, _BLANK, _RK, _ERROR, _BOOL, _REAL, _TEXT, _SHARED = range(8)
_FORMULA_TEXT, _FORMULA_REAL, _FORMULA_BOOL, _FORMULA_ERROR = range(8, 12)
_SHORT_CELLS = range(12, 19)
_RICH_TEXT = 62
_CELLS = {*range(1, 12), *_SHORT_CELLS, _RICH_TEXT}
_SHARED_ITEM, _FORMAT, _STYLE, _COLUMNS, _MERGED = 19, 44, 47, 60, 176
_START_OF_ROWS, _END_OF_ROWS, _PROPERTIES, _SHEET, _CALCULATION = 145, 146, 153, 156, 157
_FULL_CALCULATION_ON_LOAD, _SOME_UNCALCULATED, _CALCULATED_ON_SAVING = 0x01, 0x10, 0x20
_START_OF_CELL_STYLES, _END_OF_CELL_STYLES = 617, 618
_ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip
"""[MS-XLSB] 2.5.97.2, BErr."""


class XlsbBook(OfficeBook):
    """A workbook. Raises `UnreadableError` if it is none."""

    def read_workbook(self, workbook: str) -> None:
        """Read the main part: which sheets there are, and how they are calculated."""
        with _damage_named():
            for kind, data in self._records(workbook):
                if kind == _PROPERTIES:
                    self._epoch_1904 = bool(data[0] & 1)
                elif kind == _SHEET:
                    relation, position = _wide_string(data, 8)
                    self._add_sheet(
                        _wide_string(data, position)[0], relation, hidden=bool(struct.unpack_from("<I", data)[0] & 3)
                    )
                elif kind == _CALCULATION and len(data) >= 26:  # [MS-XLSB] 2.4.314, BrtCalcProp
                    is_automatic = struct.unpack_from("<I", data, 4)[0]
                    flags = struct.unpack_from("<H", data, 24)[0]
                    self._results_are_stale = bool(flags & (_FULL_CALCULATION_ON_LOAD | _SOME_UNCALCULATED))
                    self._is_manual = not is_automatic and not flags & _CALCULATED_ON_SAVING

    def read_properties(self, sheet: int) -> SheetProperties:
        """Return its merged areas and hidden columns."""
        merged: list[Area] = []
        hidden: list[range] = []
        with _damage_named():
            for kind, data in self._records(self._sheet_parts[sheet]):
                if kind == _MERGED:
                    top, bottom, left, right = struct.unpack_from("<4I", data)
                    if not (top <= bottom < LAST_ROW and left <= right < LAST_COLUMN):
                        raise UnreadableError("has a merged area that is none", SAVE_AGAIN)
                    if len(merged) == MOST_AREAS:
                        raise too_many_areas()
                    merged.append(Area(top + 1, bottom + 1, left, right))
                elif kind == _COLUMNS:
                    first, last, _, _, flags = struct.unpack_from("<4IH", data)
                    if flags & 1 and first <= last:
                        hidden.append(range(first, min(last + 1, LAST_COLUMN)))
        return SheetProperties(tuple(merged), tuple(hidden))

    def read_rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        charge = self._package.allowance(self.sheets[sheet].name).charge
        row = SheetRow(0, [], hidden=False)
        in_rows = False
        with _damage_named():
            for kind, data in self._records(self._sheet_parts[sheet]):
                if kind == _END_OF_ROWS:
                    break
                in_rows = in_rows or kind == _START_OF_ROWS
                if in_rows and kind == _ROW:  # [MS-XLSB] 2.4.741, BrtRowHdr
                    number, is_hidden = struct.unpack_from("<I", data)[0] + 1, bool(data[11] & 0x10)
                    if number == row.number:  # a further piece of the row
                        row = row._replace(hidden=row.hidden or is_hidden)
                        continue
                    if not row.number < number <= LAST_ROW:
                        raise UnreadableError(f"has row {number} in the wrong place", SAVE_AGAIN)
                    if row.number:
                        yield row
                    row = SheetRow(number, [], is_hidden)
                elif in_rows and kind in _CELLS:
                    if kind in _SHORT_CELLS or not row.number:
                        raise UnreadableError("has cells of a kind that is not read", SAVE_AGAIN)
                    column, style = struct.unpack_from("<II", data)
                    missing = column - len(row.cells)
                    if missing < 0 or column >= LAST_COLUMN:
                        raise UnreadableError(f"has a cell of row {row.number} in the wrong place", SAVE_AGAIN)
                    if missing:
                        charge(missing * GAP_BYTES)
                        row.cells.extend([None] * missing)
                    row.cells.append(self._cell(kind, style & 0xFFFFFF, data, row))
            if row.number:
                yield row

    def _cell(self, kind: int, style: int, data: bytes, row: SheetRow) -> Cell:
        """Return the next cell of a row ([MS-XLSB] 2.4.308 ff.: what follows the column and the style)."""
        if self._results_are_stale and kind in {_FORMULA_TEXT, _FORMULA_REAL, _FORMULA_BOOL}:
            return CellError("stale-formula", "=...")  # the file holds formulas as their parts, not as texts
        shown = self._shown_by_style[style] if style < len(self._shown_by_style) else None
        if kind in {_RK, _REAL, _FORMULA_REAL}:
            number = from_double(_rk(data) if kind == _RK else struct.unpack_from("<d", data, 8)[0])
            return apply_format(number, shown, epoch_1904=self._epoch_1904)
        if kind == _SHARED:
            return text_as_shown(self._strings[struct.unpack_from("<I", data, 8)[0]], shown)
        if kind in {_TEXT, _FORMULA_TEXT, _RICH_TEXT}:
            text = _wide_string(data, 9 if kind == _RICH_TEXT else 8)[0]
            if len(text) > MOST_CHARACTERS:
                raise too_long(f"cell {column_letters(len(row.cells))}{row.number}")
            return text_as_shown(text or None, shown)
        if kind in {_ERROR, _FORMULA_ERROR}:
            return CellError("error-cell", _ERRORS.get(data[8], "#UNKNOWN!"))
        return None if kind == _BLANK else bool(data[8])

    def _records(self, part: str) -> Iterator[tuple[int, bytes]]:
        with self._package.open(part) as stream:
            yield from _records(stream)

    @cached_property
    def _strings(self) -> SharedStrings:
        strings = SharedStrings()
        for part in self._parts_of_type("sharedStrings"):
            for kind, data in self._records(part):
                if kind == _SHARED_ITEM:
                    strings.add(_wide_string(data, 1)[0])
        return strings

    @cached_property
    def _shown_by_style(self) -> Sequence[Format | None]:
        codes: dict[int, str] = {}
        shown: list[Format | None] = []
        in_cell_styles = False
        for part in self._parts_of_type("styles"):
            for kind, data in self._records(part):
                if kind == _FORMAT:
                    codes[struct.unpack_from("<H", data)[0]] = _wide_string(data, 2)[0]
                elif kind in {_START_OF_CELL_STYLES, _END_OF_CELL_STYLES}:
                    in_cell_styles = kind == _START_OF_CELL_STYLES
                elif kind == _STYLE and in_cell_styles:
                    id_ = struct.unpack_from("<H", data, 2)[0]
                    shown.append(shown_by(id_, codes.get(id_)))
        return shown


def _records(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of each record ([MS-XLSB] 2.1.4): numbers of seven bits in a byte, the low ones first."""
    read = io.BufferedReader(cast("io.RawIOBase", stream), _CHUNK_BYTES).read
    while start := read(1):
        kind = start[0]
        if kind & 0x80:
            kind = (kind & 0x7F) | (read(1)[0] & 0x7F) << 7
        length = shift = 0
        while True:
            byte = read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift == 28:
                break
        if length > _MOST_RECORD_BYTES:
            raise UnreadableError("has a record of an unreasonable size", SAVE_AGAIN)
        data = read(length)
        if len(data) < length:
            raise UnreadableError("is damaged: it ends in the middle of a record", SAVE_AGAIN)
        yield kind, data


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise UnreadableError("is damaged: a record in it is too short", SAVE_AGAIN) from error


def _wide_string(data: bytes, position: int) -> tuple[str, int]:
    """Return an XLWideString ([MS-XLSB] 2.5.169), or XLNullableWideString, and where it ends."""
    count = struct.unpack_from("<I", data, position)[0]
    if count == 0xFFFFFFFF:
        return "", position + 4
    end = position + 4 + 2 * count
    if end > len(data):
        raise UnreadableError("is damaged: a text in it is cut off", SAVE_AGAIN)
    return data[position + 4 : end].decode("utf-16-le", "surrogatepass"), end


def _rk(data: bytes) -> float:
    """Return an RkNumber ([MS-XLSB] 2.5.122): a whole number or the upper half of a double, perhaps of hundredths."""
    bits = struct.unpack_from("<I", data, 8)[0]
    if bits & 2:
        value: float = struct.unpack("<i", struct.pack("<I", bits))[0] >> 2
    else:
        value = struct.unpack("<d", struct.pack("<Q", (bits & 0xFFFFFFFC) << 32))[0]
    return value / 100 if bits & 1 else float(value)
