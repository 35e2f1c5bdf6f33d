"""Old Excel workbooks (.xls, [MS-XLS]), read by xlrd, with a second look at what xlrd does not tell.

olefile takes the workbook out of its compound file ([MS-CFB]), whatever else is amiss there: xlrd's own way of doing so
is strict, and does not end with some damaged files. xlrd then sees only the records that rows are made of: names,
comments, drawings and the like are not needed, and must not stop the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import olefile
import xlrd
import xlrd.biffh

from batch_updater.loader.formats.book import (
    CALCULATED_BY_HAND,
    Area,
    Layout,
    SheetEntry,
    SheetRow,
    UnreadableError,
)
from batch_updater.loader.formats.encodings import codec_of
from batch_updater.loader.formats.number_formats import Format, apply_format, from_double, shown_by, text_as_shown
from batch_updater.loader.formats.unlocking import unlocked
from batch_updater.records import MARK_PROPERTY, Cell, CellError

_MOST_BYTES = 60 << 20
"""A sheet with all its 65,536 rows in 40 columns; xlrd keeps it, and what it reads of it, in memory."""
_SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
# Streams and storages of the compound file.
_MACROS, _PROPERTIES, _PACKAGE = "_VBA_PROJECT_CUR", "\x05DocumentSummaryInformation", "EncryptedPackage"
_WORKBOOKS = ("Workbook", "Book")
# Types of records ([MS-XLS] 2.3.1).
_EOF, _CALC_MODE, _FILE_PASS, _CONTINUE, _CODE_PAGE, _UNCALCED, _SAVE_RECALC = 0x0A, 0x0D, 0x2F, 0x3C, 0x42, 0x5E, 0x5F
_BOUND_SHEET, _SST, _BOF = 0x85, 0xFC, 0x0809
_FORMULAS = {0x0006, 0x0206, 0x0406}
_KEPT = _FORMULAS | {
    _BOF, _EOF, _CODE_PAGE, _BOUND_SHEET, _CONTINUE, _UNCALCED,
    0x22, 0x41E, 0xE0,  # calendar, formats of numbers, styles of cells
    0x208, 0x7D, 0xE5, 0x200,  # rows, columns, merged areas, size
    0x203, 0x27E, 0xBD, 0xFD, 0x204, 0xD6, 0x205,  # numbers, texts, truth values and errors
    0x207, 0x21, 0x221, 0x4BC, 0x36, 0x37, 0x236,  # what follows a formula
}  # fmt: skip
"""Those that xlrd is shown of a workbook of Excel 5.0 or later; it knows no names and comments in earlier ones."""
_LEFT_OUT = 0xFFFF
"""A type that no record has."""
_EXCEL_97 = 0x0600


def package_in(path: Path) -> bytes | None:
    """Return the newer workbook that a compound file holds encrypted; None if it holds none.

    Raises UnreadableError if the file is damaged or too large, or the workbook protected by a password.
    """
    content = _content(path)
    with _damage_named(), _compound(content) as compound:
        is_encrypted = compound.exists(_PACKAGE)
    return unlocked(content) if is_encrypted else None


def _content(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise UnreadableError(f"is larger than {_MOST_BYTES >> 20} MB", _SAVE_AS)
    return path.read_bytes()


class XlsBook:
    """A workbook. Raises `UnreadableError` if it is none, or protected.

    `encoding` is that of texts in a workbook from before Excel 97 that does not say it itself.
    """

    delimiter = None

    def __init__(self, path: Path, *, encoding: str | None) -> None:
        content = _content(path)
        with _damage_named():
            with _compound(content) as compound:
                self._has_macros = compound.exists(_MACROS)
                self.mark = _mark(compound)
                stream = _workbook_stream(compound)
            if any(record.kind == _FILE_PASS for record in _records(stream, 0)):
                with _compound(unlocked(content)) as compound:
                    stream = _workbook_stream(compound)
            self._stream = _Stream(stream)
            self._book = _opened(self._stream, encoding)
            # xlrd tells whether a sheet is hidden only after reading it, but has known it since it opened the file.
            visibilities = self._book._sheet_visibility  # noqa: SLF001
            pairs = zip(self._book.sheet_names(), visibilities, strict=False)
            self.sheets = tuple(SheetEntry(name, bool(visibility)) for name, visibility in pairs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is in the workbook and not used."""
        notes = ("It has macros, which are not run.",) if self._has_macros else ()
        return (*notes, CALCULATED_BY_HAND) if self._stream.is_manual else notes

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

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        with _damage_named():
            found = self._sheet(sheet)
            formulas = _formulas(self._stream.records, self._book._sh_abs_posn[sheet])  # noqa: SLF001
            for index in range(found.nrows):
                info = found.rowinfo_map.get(index)
                yield SheetRow(index + 1, self._cells(found, index, formulas), bool(info and info.hidden))

    def _sheet(self, position: int) -> Any:
        return self._book.sheet_by_index(position)

    def _cells(self, sheet: Any, row: int, formulas: _Formulas) -> list[Cell]:
        types, values = sheet.row_types(row), sheet.row_values(row)
        cells = [
            self._cell(sheet, row, column, kind, value, formulas.uncalculated)
            for column, (kind, value) in enumerate(zip(types, values, strict=True))
        ]
        for column in formulas.stale.get(row, ()):
            cells[column] = cells[column] if isinstance(cells[column], CellError) else _STALE
        return cells

    def _cell(self, sheet: Any, row: int, column: int, kind: int, value: Any, uncalculated: CellError | None) -> Cell:
        match kind:
            case 1:
                # Text of no characters is always the result of a formula: a cell without text is blank.
                shown = self._shown_by_style[sheet.cell_xf_index(row, column)]
                return text_as_shown(str(value), shown) if value else uncalculated
            case 2 | 3:
                plain = from_double(value)
                shown = self._shown_by_style[sheet.cell_xf_index(row, column)]
                if shown is None or isinstance(plain, CellError):
                    return plain
                return apply_format(plain, shown, epoch_1904=bool(self._book.datemode))
            case 4:
                return bool(value)
            case 5:
                return CellError("error-cell", xlrd.error_text_from_code.get(value, "#UNKNOWN!"))
            case _:
                return None

    @cached_property
    def _shown_by_style(self) -> Sequence[Format | None]:
        # xlrd adds built-in formats to those of the file, with a type and a code of its own.
        codes = {found.format_key: found.format_str for found in self._book.format_list}
        return [shown_by(style.format_key, codes.get(style.format_key)) for style in self._book.xf_list]


_STALE = CellError("stale-formula", "=...")


class _Formulas(NamedTuple):
    """What a sheet says about its formulas."""

    uncalculated: CellError | None
    """What a formula with an empty result is: None (a blank) if any formula of the sheet has a result.

    A program that does not calculate saves each formula with the result "empty text" ([MS-XLS] 2.5.133, FormulaValue),
    and so does Excel where a formula gives an empty text. If not one formula has another result, it cannot be told
    whether they were ever calculated.
    """
    stale: dict[int, list[int]]
    """Row -> columns of the formulas whose results are out of date, both 0-based ([MS-XLS] 2.4.331, Uncalced)."""


def _formulas(stream: bytes, position: int) -> _Formulas:
    """Look at the formulas of the sheet whose first record is at that position."""
    is_uncalced = has_results = False
    cells: dict[int, list[int]] = {}
    for kind, at, length in _records(stream, position):
        if kind == _UNCALCED:
            is_uncalced = True
        elif kind in _FORMULAS and length >= 14:
            row, column = struct.unpack_from("<HH", stream, at)
            cells.setdefault(row, []).append(column)
            has_results = has_results or not (stream[at + 6] == 3 and stream[at + 12 : at + 14] == b"\xff\xff")
    uncalculated = CellError("formula-without-value", "=...") if cells and not has_results else None
    return _Formulas(uncalculated, cells if is_uncalced else {})


class _Record(NamedTuple):
    kind: int
    at: int
    """Where its data begins."""
    length: int


def _records(stream: bytes | bytearray, position: int) -> Iterator[_Record]:
    """Yield the records of the part of a workbook that begins there. Raises struct.error if it does not end."""
    nested = 0
    while True:
        kind, length = struct.unpack_from("<HH", stream, position)
        yield _Record(kind, position + 4, length)
        if kind & 0xFF == _BOF & 0xFF:
            nested += 1
        elif kind == _EOF:
            nested -= 1
            if nested <= 0:
                return
        position += 4 + length


class _Stream:
    """The records of a workbook as xlrd is shown them. Raises struct.error if they do not begin as they should."""

    def __init__(self, stream: bytes) -> None:
        self.is_manual = False
        """Whether a sheet is calculated neither by itself nor when it is saved."""
        self.has_code_page = False
        self.texts: list[str] | None = None
        """Its table of shared texts; None if it has none."""
        kind, _, version = struct.unpack_from("<HHH", stream)
        self.is_old = kind != _BOF or version < _EXCEL_97
        """Whether its texts are in an encoding of their time."""
        records = bytearray(stream)
        if kind != _BOF:
            self.has_code_page = any(record.kind == _CODE_PAGE for record in _records(stream, 0))
        else:
            for position in self._reduce_globals(records):
                try:
                    self._reduce_sheet(records, position)
                except struct.error:
                    continue  # xlrd says the same when, and only when, this sheet is read
        self.records = bytes(records)

    def _reduce_globals(self, records: bytearray) -> list[int]:
        """Leave out what is not needed of the part before the sheets. Returns where the sheets begin."""
        sheets = []
        table: list[bytes] = []
        in_table = False
        for kind, at, length in _records(records, 0):
            in_table = kind == _SST or (in_table and kind == _CONTINUE)
            if in_table:
                table.append(bytes(records[at : at + length]))
                struct.pack_into("<H", records, at - 4, _LEFT_OUT)
            elif kind == _BOUND_SHEET and length > 5 and not records[at + 5]:
                sheets.append(struct.unpack_from("<I", records, at)[0])
            elif kind not in _KEPT:
                struct.pack_into("<H", records, at - 4, _LEFT_OUT)
            self.has_code_page = self.has_code_page or kind == _CODE_PAGE
        if table:
            self.texts = _shared_texts(table)
        return sheets

    def _reduce_sheet(self, records: bytearray, position: int) -> None:
        found = {}
        for kind, at, length in _records(records, position):
            if kind in {_CALC_MODE, _SAVE_RECALC} and length >= 2:
                found[kind] = struct.unpack_from("<h", records, at)[0]
            if kind not in _KEPT:
                struct.pack_into("<H", records, at - 4, _LEFT_OUT)
        self.is_manual = self.is_manual or (found.get(_CALC_MODE) == 0 and found.get(_SAVE_RECALC) == 0)


def _shared_texts(table: Sequence[bytes]) -> list[str]:
    """Return the texts of a table ([MS-XLS] 2.4.265, SST), which is one record and its continuations.

    However many texts it says it has, those count that are there.
    """
    texts: list[str] = []
    pieces = iter(table)
    data, at = next(pieces), 8
    try:
        while True:
            if at >= len(data):
                data, at = next(pieces), at - len(data)
                continue
            count, flags = struct.unpack_from("<HB", data, at)
            at += 3
            runs = struct.unpack_from("<H", data, at)[0] if flags & 8 else 0
            at += 2 * bool(flags & 8)
            extra = struct.unpack_from("<I", data, at)[0] if flags & 4 else 0
            at += 4 * bool(flags & 4)
            text = b""
            while True:
                width = 1 + (flags & 1)
                end = min(at + width * (count - len(text) // 2), len(data) - (len(data) - at) % width)
                text += data[at:end] if flags & 1 else data[at:end].decode("latin-1").encode("utf-16-le")
                at = end
                if len(text) == 2 * count:
                    break
                data, at = next(pieces), 1
                flags = data[0]
            texts.append(text.decode("utf-16-le", "surrogatepass"))
            at += 4 * runs + extra
    except (StopIteration, struct.error, IndexError):
        return texts


def _compound(content: bytes) -> olefile.OleFileIO[str]:
    # The stubs take the type of the names for that of the file.
    return cast("olefile.OleFileIO[str]", olefile.OleFileIO(content, raise_defects=olefile.DEFECT_FATAL))


def _workbook_stream(compound: olefile.OleFileIO[str]) -> bytes:
    """Return the records of the workbook; versions before 97 call the stream `Book`."""
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


def _opened(stream: _Stream, encoding: str | None) -> Any:
    asks = stream.is_old and not stream.has_code_page
    book = xlrd.open_workbook(
        file_contents=stream.records,
        # xlrd would take the letters of Western Europe. In ASCII another letter is an error.
        encoding_override=(codec_of(encoding) if encoding else "ascii") if asks else None,
        formatting_info=True,
        on_demand=True,
        ragged_rows=True,
        logfile=cast("TextIO", _Nowhere()),
    )
    if stream.texts is not None:
        book._sharedstrings = stream.texts  # type: ignore[attr-defined]  # noqa: SLF001
    return book


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
    except UnicodeDecodeError as error:
        if error.encoding != "ascii":
            raise _damaged() from error
        raise UnreadableError(
            "does not say in which encoding its texts are written",
            "Say it under input.encoding, such as windows-1251 for Cyrillic or windows-1252 for Western Europe.",
        ) from error
    except Exception as error:
        raise _damaged() from error


def _damaged() -> UnreadableError:
    return UnreadableError(
        "is damaged: it does not hold what an old Excel workbook holds",
        "Ask for the file again, or open it in a spreadsheet program and save it as an Excel workbook (.xlsx).",
    )
