"""Old Excel workbooks (.xls, [MS-XLS]), read by xlrd, with a second look at what xlrd does not tell.

olefile takes the workbook out of its compound file ([MS-CFB]), whatever else is amiss there: xlrd's own way of doing so
is strict, and does not end with some damaged files. xlrd then sees only the records that rows are made of: names,
comments, drawings and the like are not needed, and must not stop the reading.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import msoffcrypto
import olefile
import xlrd
import xlrd.biffh

from batch_updater.loader.formats.book import (
    ASK_AGAIN,
    SAVE_AS,
    Area,
    Book,
    SheetEntry,
    SheetProperties,
    SheetRow,
    UnreadableError,
)
from batch_updater.loader.formats.delimited import codec_of
from batch_updater.loader.formats.number_formats import Format, apply_format, from_double, shown_by, text_as_shown
from batch_updater.records import MARK_PROPERTY, Cell, CellError

_MOST_BYTES = 60 << 20
"""A sheet with all its 65,536 rows in 40 columns; xlrd keeps it, and what it reads of it, in memory."""
_PASSWORD_OF_EXCEL = "VelvetSweatshop"  # noqa: S105  (every spreadsheet program knows it)
"""Excel tries it before it asks for one. It gives it to workbooks of which only the structure is protected; some
programs give it to all of theirs."""
_MOST_ENCRYPTED_BYTES = 20 << 20
"""The library that decrypts keeps many times as much in memory."""
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


def open_compound(path: Path, *, encoding: str | None) -> XlsBook | bytes:
    """Return the reader of an old workbook, or the newer one that its compound file holds encrypted.

    `encoding` is that of texts in a workbook from before Excel 97 that does not say it itself. Raises UnreadableError
    if the file is damaged or too large, or the workbook protected by a password.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise UnreadableError(f"is larger than {_MOST_BYTES >> 20} MB", SAVE_AS)
    content = path.read_bytes()
    with _damage_named(), _compound(content) as compound:
        if compound.exists(_PACKAGE):
            return _unlocked(content)
        return XlsBook(content, compound, encoding)


class XlsBook(Book):
    """A workbook. Raises `UnreadableError` if it is none, or protected."""

    def __init__(self, content: bytes, compound: olefile.OleFileIO[str], encoding: str | None) -> None:
        if compound.exists(_PROPERTIES):
            for pair in compound.get_userdefined_properties(_PROPERTIES):  # [MS-OLEPS] 2.21
                name, value = (
                    text.decode("utf-8", "replace").rstrip("\0") if isinstance(text, bytes) else str(text)
                    for text in (pair["property_name"], pair["value"])
                )
                if name == MARK_PROPERTY:
                    self.marks = value
                    break
        stream = _workbook_stream(compound)
        if any(record.kind == _FILE_PASS for record in _records(stream, 0)):
            with _compound(_unlocked(content)) as unlocked:
                stream = _workbook_stream(unlocked)
        shown = _Stream(stream)
        self._records = shown.records
        asks = shown.is_old and not shown.has_code_page
        opened = xlrd.open_workbook(
            file_contents=shown.records,
            # xlrd would take the letters of Western Europe. In ASCII another letter is an error.
            encoding_override=(codec_of(encoding) if encoding else "ascii") if asks else None,
            formatting_info=True,
            on_demand=True,
            ragged_rows=True,
            logfile=cast("TextIO", _Nowhere()),
        )
        self._book = cast("Any", opened)
        if shown.texts is not None:
            self._book._sharedstrings = shown.texts  # noqa: SLF001
        self.note(has_macros=compound.exists(_MACROS), is_manual=shown.is_manual)
        # xlrd tells whether a sheet is hidden only after reading it, but has known it since it opened the file.
        visibilities = self._book._sheet_visibility  # noqa: SLF001
        pairs = zip(self._book.sheet_names(), visibilities, strict=False)
        self.sheets = [SheetEntry(name, bool(visibility)) for name, visibility in pairs]

    def read_properties(self, sheet: int) -> SheetProperties:
        """Return its merged areas and hidden columns."""
        with _damage_named():
            found = self._book.sheet_by_index(sheet)
            merged = tuple(
                Area(top + 1, bottom, left, right - 1)
                for top, bottom, left, right in found.merged_cells
                if bottom > top
            )
            hidden = tuple(range(at, at + 1) for at, info in sorted(found.colinfo_map.items()) if info.hidden)
        return SheetProperties(merged, hidden)

    def read_rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        with _damage_named():
            found = self._book.sheet_by_index(sheet)
            uncalculated, stale = self._formulas(self._book._sh_abs_posn[sheet])  # noqa: SLF001
            for row in range(found.nrows):
                pairs = zip(found.row_types(row), found.row_values(row), strict=True)
                cells = [
                    self._cell(found, row, column, kind, value, uncalculated)
                    for column, (kind, value) in enumerate(pairs)
                ]
                for column in stale.get(row, ()):
                    cells[column] = cells[column] if isinstance(cells[column], CellError) else _STALE
                info = found.rowinfo_map.get(row)
                yield SheetRow(row + 1, cells, bool(info and info.hidden))

    def _formulas(self, position: int) -> tuple[CellError | None, dict[int, list[int]]]:
        """Look at the formulas of the sheet whose first record is at that position.

        Returns what a formula with an empty result is, and row -> columns of those whose results are out of date, both
        0-based ([MS-XLS] 2.4.331, Uncalced). A program that does not calculate saves each formula with the result
        "empty text" ([MS-XLS] 2.5.133, FormulaValue), and so does Excel where a formula gives an empty text. If not one
        formula has another result, it cannot be told whether they were ever calculated; else it is a blank.
        """
        is_uncalced = has_results = False
        cells: dict[int, list[int]] = {}
        for kind, at, length in _records(self._records, position):
            if kind == _UNCALCED:
                is_uncalced = True
            elif kind in _FORMULAS and length >= 14:
                row, column = struct.unpack_from("<HH", self._records, at)
                cells.setdefault(row, []).append(column)
                is_empty = self._records[at + 6] == 3 and self._records[at + 12 : at + 14] == b"\xff\xff"
                has_results = has_results or not is_empty
        uncalculated = CellError("formula-without-value", "=...") if cells and not has_results else None
        return uncalculated, cells if is_uncalced else {}

    def _cell(self, sheet: Any, row: int, column: int, kind: int, value: Any, uncalculated: CellError | None) -> Cell:
        match kind:
            case 1:
                # Text of no characters is always the result of a formula: a cell without text is blank.
                shown = self._shown_by_style[sheet.cell_xf_index(row, column)]
                return text_as_shown(str(value), shown) if value else uncalculated
            case 2 | 3:
                shown = self._shown_by_style[sheet.cell_xf_index(row, column)]
                return apply_format(from_double(value), shown, epoch_1904=bool(self._book.datemode))
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
        self.has_code_page = False
        self.is_manual = False
        """Whether a sheet is calculated neither by itself nor when it is saved."""
        first, _, version = struct.unpack_from("<HHH", stream)
        self.is_old = first != _BOF or version < _EXCEL_97
        """Whether its texts are in an encoding of their time."""
        records = bytearray(stream)
        kept = _KEPT if first == _BOF else range(1 << 16)
        sheets = []
        table: list[bytes] = []
        in_table = False
        for kind, at, length in _records(records, 0):
            self.has_code_page = self.has_code_page or kind == _CODE_PAGE
            in_table = first == _BOF and (kind == _SST or (in_table and kind == _CONTINUE))
            if in_table:
                table.append(bytes(records[at : at + length]))
            if first == _BOF and kind == _BOUND_SHEET and length > 5 and not records[at + 5]:
                sheets.append(struct.unpack_from("<I", records, at)[0])
            if in_table or kind not in kept:
                struct.pack_into("<H", records, at - 4, _LEFT_OUT)
        for position in sheets:
            calculation = {}
            try:
                for kind, at, length in _records(records, position):
                    if kind in {_CALC_MODE, _SAVE_RECALC} and length >= 2:
                        calculation[kind] = struct.unpack_from("<h", records, at)[0]
                    if kind not in _KEPT:
                        struct.pack_into("<H", records, at - 4, _LEFT_OUT)
            except struct.error:
                continue  # xlrd says the same when, and only when, this sheet is read
            self.is_manual = self.is_manual or calculation == {_CALC_MODE: 0, _SAVE_RECALC: 0}
        self.records = bytes(records)
        self.texts = _shared_texts(table) if table else None
        """Its table of shared texts; None if it has none."""


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


def _unlocked(content: bytes) -> bytes:
    """Return what an encrypted compound file holds: a package, or an .xls file that is not encrypted.

    Raises UnreadableError if Excel would ask for a password, or the file is too large.
    """
    if len(content) > _MOST_ENCRYPTED_BYTES:
        raise UnreadableError(
            f"is encrypted and larger than {_MOST_ENCRYPTED_BYTES >> 20} MB", "Save it without a password."
        )
    decrypted = io.BytesIO()
    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(content))
        file.load_key(password=_PASSWORD_OF_EXCEL)
        file.decrypt(decrypted)
    except Exception as error:  # what the library raises over content that is not as it expects is of all kinds
        raise UnreadableError(
            "is protected by a password",
            "Open it in Excel, take the password off (File, Info, Protect Workbook) and save it.",
        ) from error
    return decrypted.getvalue()


def _workbook_stream(compound: olefile.OleFileIO[str]) -> bytes:
    """Return the records of the workbook; versions before 97 call the stream `Book`."""
    for name in _WORKBOOKS:
        if compound.exists(name):
            return bytes(compound.openstream(name).read())
    raise UnreadableError("is an old Office document, but no Excel workbook", SAVE_AS)


class _Nowhere(io.TextIOBase):
    """Takes the library's remarks about a file, which would land on standard output."""

    def write(self, _: str) -> int:
        return 0


@contextmanager
def _damage_named() -> Iterator[None]:
    """Make one refusal of whatever xlrd and olefile raise over a damaged file: assertions, type errors ..."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:
        if isinstance(error, UnicodeDecodeError) and error.encoding == "ascii":
            raise UnreadableError(
                "does not say in which encoding its texts are written",
                "Say it under input.encoding, such as windows-1251 for Cyrillic or windows-1252 for Western Europe.",
            ) from error
        raise UnreadableError("is damaged: it does not hold what an old Excel workbook holds", ASK_AGAIN) from error
