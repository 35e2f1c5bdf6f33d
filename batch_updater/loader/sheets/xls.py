"""Old Excel workbooks (.xls, [MS-XLS]), read by xlrd, with a second look at what xlrd does not tell.

olefile takes the workbook out of the compound file that it stands in ([MS-CFB]): xlrd's own way of doing so does not
end with some damaged files.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, cast

import olefile
import xlrd
import xlrd.biffh

from batch_updater.loader.sheets.book import Area, Layout, SheetEntry, SheetRow, UnreadableError
from batch_updater.loader.sheets.number_formats import Shown, as_shown, from_double, shown_by
from batch_updater.model import MARK_PROPERTY, CellFault

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from pathlib import Path

    from batch_updater.loader.sheets.masks import Mask
    from batch_updater.model import Cell

_MOST_BYTES = 60 << 20
"""A sheet with all its 65,536 rows in 40 columns; xlrd keeps it, and what it reads of it, in memory."""
_SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
_PROTECTED = UnreadableError(
    "is protected by a password", "Open it in Excel, take the password off (File, Info, Protect Workbook) and save it."
)
_FIRST_OWN_FORMAT = 164
"""Formats below are built in, whatever the file says of them ([MS-XLS] 2.4.126, Format)."""
# Streams and storages of the compound file.
_ENCRYPTED, _MACROS, _PROPERTIES = "EncryptedPackage", "_VBA_PROJECT_CUR", "\x05DocumentSummaryInformation"
_WORKBOOKS = ("Workbook", "Book")
_FORMULA, _EOF = 0x0006, 0x000A


class XlsBook:
    """A workbook. Raises `UnreadableError` if it is none, or protected."""

    rows_have_width = False

    def __init__(self, path: Path) -> None:
        if path.stat().st_size > _MOST_BYTES:
            raise UnreadableError(f"is larger than {_MOST_BYTES >> 20} MB", _SAVE_AS)
        content = path.read_bytes()
        with _damage_named():
            # Streams that are shorter than they should be are refused, but LibreOffice's properties are always amiss.
            with _compound(content, olefile.DEFECT_INCORRECT) as compound:
                self._has_macros = compound.exists(_MACROS)
                workbook = _workbook_stream(compound)
            with _compound(content, olefile.DEFECT_FATAL) as compound:
                self.mark = _mark(compound)
        self._book = _opened(workbook)
        with _damage_named():
            # xlrd tells whether a sheet is hidden only after reading it, but has known it since it opened the file.
            visibilities = self._book._sheet_visibility  # noqa: SLF001
            pairs = zip(self._book.sheet_names(), visibilities, strict=False)
            self.sheets = tuple(SheetEntry(name, bool(visibility)) for name, visibility in pairs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is in the workbook and not used."""
        return ("It has macros, which are not run.",) if self._has_macros else ()

    def close(self) -> None:
        """Do nothing: the file is not held open."""

    def layout(self, sheet: int) -> Layout:
        """Return its merged areas and hidden columns."""
        with _damage_named():
            found = self._sheet(sheet)
            merged = tuple(
                Area(top + 1, bottom, left, right - 1)
                for top, bottom, left, right in found.merged_cells
                if bottom > top
            )
            hidden = tuple(range(at, at + 1) for at, info in sorted(found.colinfo_map.items()) if info.hidden)
        return Layout(merged, hidden)

    def rows(self, sheet: int, only: Container[int] | None = None) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        with _damage_named():
            found = self._sheet(sheet)
            uncalculated = self._never_calculated(sheet)
            for index in range(found.nrows):
                if only is None or index + 1 in only:
                    info = found.rowinfo_map.get(index)
                    yield SheetRow(index + 1, self._cells(found, index, uncalculated), bool(info and info.hidden))

    def _sheet(self, position: int) -> Any:
        return self._book.sheet_by_index(position)

    def _cells(self, sheet: Any, row: int, uncalculated: CellFault | None) -> list[Cell]:
        types, values = sheet.row_types(row), sheet.row_values(row)
        return [
            self._cell(sheet, row, column, kind, value, uncalculated)
            for column, (kind, value) in enumerate(zip(types, values, strict=True))
        ]

    def _cell(self, sheet: Any, row: int, column: int, kind: int, value: Any, uncalculated: CellFault | None) -> Cell:
        match kind:
            case 1:
                # Text of no characters is always the result of a formula: a cell without text is blank.
                return str(value) if value else uncalculated
            case 2 | 3:
                plain = from_double(value)
                shown = self._shown_by_style[sheet.cell_xf_index(row, column)]
                return plain if shown is None else as_shown(plain, shown, epoch_1904=bool(self._book.datemode))
            case 4:
                return bool(value)
            case 5:
                return CellFault("error-cell", xlrd.error_text_from_code.get(value, "#UNKNOWN!"))
            case _:
                return None

    @cached_property
    def _shown_by_style(self) -> Sequence[Shown | Mask | None]:
        formats = self._book.format_map
        keys = [style.format_key for style in self._book.xf_list]
        return [shown_by(key, formats[key].format_str if key >= _FIRST_OWN_FORMAT else None) for key in keys]

    def _never_calculated(self, sheet: int) -> CellFault | None:
        """Return what a formula with an empty result is: None (a blank) if any formula of the sheet has a result.

        A program that does not calculate saves each formula with the result "empty text" ([MS-XLS] 2.5.133,
        FormulaValue), and so does Excel where a formula gives an empty text. If not one formula has another result,
        nobody can tell whether they were ever calculated.
        """
        results = list(_formula_results(self._book.mem, self._book._sh_abs_posn[sheet]))  # noqa: SLF001
        empty = [result[0] == 3 and result[6:] == b"\xff\xff" for result in results]
        return CellFault("formula-without-value", "=...") if results and all(empty) else None


def _formula_results(stream: bytes, position: int) -> Iterator[bytes]:
    """Yield the saved result of every formula of the sheet whose first record is at that position."""
    nested = 0
    while position + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, position)
        if kind & 0xFF == 0x09:
            nested += 1
        elif kind == _EOF:
            nested -= 1
            if nested <= 0:
                return
        elif kind & 0xFF == _FORMULA and kind in {0x0006, 0x0206, 0x0406} and length >= 14:
            yield stream[position + 10 : position + 18]
        position += 4 + length


def _compound(content: bytes, raise_defects: int) -> olefile.OleFileIO[str]:
    # The stubs take the type of the names for that of the file.
    return cast("olefile.OleFileIO[str]", olefile.OleFileIO(content, raise_defects=raise_defects))


def _workbook_stream(compound: olefile.OleFileIO[str]) -> bytes:
    """Return the records of the workbook; versions before 97 call the stream `Book`."""
    if compound.exists(_ENCRYPTED):
        raise _PROTECTED
    for name in _WORKBOOKS:
        if compound.exists(name):
            return bytes(compound.openstream(name).read())
    raise UnreadableError("is an old Office document, but no Excel workbook", _SAVE_AS)


def _decoded(text: object) -> str:
    return text.decode("utf-8", "replace").rstrip("\0") if isinstance(text, bytes) else str(text)


def _mark(compound: olefile.OleFileIO[str]) -> str | None:
    """Return the value of our own document property, if the workbook has it ([MS-OLEPS] 2.21)."""
    if not compound.exists(_PROPERTIES):
        return None
    for found in compound.get_userdefined_properties(_PROPERTIES):
        name, value = (_decoded(found[key]) for key in ("property_name", "value"))
        if name == MARK_PROPERTY:
            return value
    return None


def _opened(content: bytes) -> Any:
    with _damage_named():
        try:
            return xlrd.open_workbook(
                file_contents=content,
                formatting_info=True,
                on_demand=True,
                ragged_rows=True,
                logfile=cast("TextIO", _Nowhere()),
            )
        except xlrd.biffh.XLRDError as error:
            if "encrypted" in str(error):
                raise _PROTECTED from error
            raise


class _Nowhere:
    """Takes the library's remarks about a file, which would land on standard output."""

    def write(self, _: str) -> int:
        return 0

    def flush(self) -> None:
        """Do nothing."""


@contextmanager
def _damage_named() -> Iterator[None]:
    """Make one refusal of whatever xlrd and olefile raise over a damaged file: assertions, type errors ..."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(
            "is damaged: it does not hold what an old Excel workbook holds",
            "Ask for the file again, or open it in a spreadsheet program and save it as an Excel workbook (.xlsx).",
        ) from error
