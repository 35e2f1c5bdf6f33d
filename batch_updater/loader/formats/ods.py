"""OpenDocument spreadsheets (.ods; OpenDocument 1.3 part 3, chapter 9): content.xml -> rows, as a stream."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from batch_updater.loader.formats.book import (
    CALCULATED_BY_HAND,
    GAP_BYTES,
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    MOST_CHARACTERS,
    SHORTEN,
    Area,
    Layout,
    SheetEntry,
    SheetRow,
    UnreadableError,
    is_blank_row,
    too_many_areas,
)
from batch_updater.loader.formats.cell_contents import number
from batch_updater.loader.formats.display_format import Mask, mask_of
from batch_updater.loader.formats.number_formats import Format, Shown, as_shown, from_iso, no_value, text_as_shown
from batch_updater.loader.formats.ods_styles import OFFICE, TABLE, Styles
from batch_updater.loader.formats.package import CHUNK_BYTES, Feeder, safe_parser
from batch_updater.records import MARK_PROPERTY, Cell, CellFault, column_letters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.loader.formats.package import Allowance, Package

_SAVE_AGAIN = "Open it in a spreadsheet program, look whether anything is missing, and save it again."
_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  (of any day: a time of day has no zone)
# A row or a cell stands in the file once for as many as it is repeated: that counts against input.max_unpacked_mb.
_REPEATED_CELL_BYTES = 64
_REPEATED_ROW_BYTES = 20_000
"""More than a row takes up: they all update the same record, so that only a mistake, or worse, is thousands of them."""
_DOCUMENT = {f"{OFFICE} document-content", f"{OFFICE} body", f"{OFFICE} spreadsheet"}
_SHEET, _ROW = f"{TABLE} table", f"{TABLE} table-row"
_AROUND_ROWS = {f"{TABLE} {name}" for name in ("table-header-rows", "table-row-group", "table-rows")}
_AROUND_COLUMNS = {f"{TABLE} {name}" for name in ("table-header-columns", "table-column-group", "table-columns")}
_COLUMN, _CELL, _COVERED = f"{TABLE} table-column", f"{TABLE} table-cell", f"{TABLE} covered-table-cell"
_PARAGRAPHS = {f"{_TEXT} p", f"{_TEXT} h"}
_NO_TEXT = {f"{OFFICE} annotation", f"{OFFICE} annotation-end", f"{_TEXT} note", f"{_TEXT} ruby-text"}
"""What stands in a paragraph without being part of its text."""
_DRAWN = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0 "
_HELD = {f"{OFFICE} value-type", f"{TABLE} formula", f"{_CALCEXT} value-type"}
"""Attributes that a cell has if it holds anything."""
_XML_BLANKS = " \t\r\n"
_BLANKS = re.compile(f"[{_XML_BLANKS}]+")
_BREAKS = frozenset("\t\r\n")
_ERROR = re.compile(r"#[A-Z0-9/]+[!?]?|Err:[0-9]+")
_PERCENT: Final = mask_of("0%")
"""How programs show a percentage whose style says nothing."""
_TIME = re.compile(
    r"(-?)P(?:([0-9]{1,6})D)?T(?:([0-9]{1,8})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,8})(?:[.,]([0-9]{1,9}))?S)?"
)


class OdsBook:
    """A spreadsheet. Raises `UnreadableError` if it is none, or protected."""

    delimiter = None

    def __init__(self, package: Package) -> None:
        self._package = package
        if any(element.name == "encryption-data" for element in package.elements("META-INF/manifest.xml")):
            raise UnreadableError("is protected by a password", "Open it, save it without a password and run again.")
        self._styles = Styles(package)
        lister = _Lister(self._styles)
        with package.open("content.xml") as stream:
            Feeder(lister.parser).feed_rest(stream)
        if not lister.is_spreadsheet:
            raise UnreadableError(
                "is an OpenDocument file, but no spreadsheet", "Open it and save the table as a spreadsheet."
            )
        self.sheets = tuple(lister.sheets)
        self._is_manual = any(
            element.attributes.get("name") == "AutoCalculate" and element.text == "false"
            for element in package.elements("settings.xml", {"config-item"})
        )
        self._links = lister.links

    @cached_property
    def mark(self) -> str | None:
        """What our own property says, if the file has it (OpenDocument 1.3 part 3, 4.3.3.17)."""
        for element in self._package.elements("meta.xml"):
            if element.name == "user-defined" and element.attributes.get("name") == MARK_PROPERTY:
                return element.text
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is in the file and not used."""
        notes = []
        if any(name.startswith(("basic/", "scripts/")) for name in self._package.names):
            notes.append("It has macros, which are not run.")
        if self._links:
            notes.append("It links to other files; the values saved in it are read.")
        if self._is_manual:
            notes.append(CALCULATED_BY_HAND)
        return tuple(notes)

    def close(self) -> None:
        """Let go of the file."""
        self._package.close()

    def layout(self, sheet: int) -> Layout:
        """Return its merged areas and hidden columns."""
        reader = self._reader(sheet)
        for _ in self._read(reader):
            pass
        return Layout(tuple(reader.merged), tuple(reader.hidden_columns))

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a sheet."""
        for row in self._read(self._reader(sheet)):
            for index in range(row.times):
                yield SheetRow(row.number + index, row.cells, row.hidden)

    def _reader(self, sheet: int) -> _SheetReader:
        return _SheetReader(self._styles, sheet, self._package.allowance(self.sheets[sheet].name))

    def _read(self, reader: _SheetReader) -> Iterator[_RepeatedRow]:
        with self._package.open("content.xml") as stream:
            feeder = Feeder(reader.parser)
            while not reader.done and (chunk := stream.read(CHUNK_BYTES)):
                feeder.feed(chunk)
                yield from reader.take()


class _Lister:
    """Finds the sheets of a document: tables that are not part of anything else."""

    def __init__(self, styles: Styles) -> None:
        self.sheets: list[SheetEntry] = []
        self.is_spreadsheet = False
        self.links = False
        self._styles = styles
        self._depth = 0
        self._spreadsheet_at = -1
        self.parser = safe_parser(self._start, self._end)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if name == f"{OFFICE} spreadsheet":
            self.is_spreadsheet, self._spreadsheet_at = True, self._depth
        elif name == _SHEET and self._depth == self._spreadsheet_at + 1:
            style = attributes.get(f"{TABLE} style-name", "")
            hidden = style in self._styles.hidden_tables
            self.sheets.append(SheetEntry(attributes.get(f"{TABLE} name", ""), hidden, is_blank=True))
        elif name == _CELL and self.sheets and self.sheets[-1].is_blank and not attributes.keys().isdisjoint(_HELD):
            self.sheets[-1] = replace(self.sheets[-1], is_blank=False)
        elif name == f"{TABLE} table-source":
            self.links = True

    def _end(self, _: str) -> None:
        self._depth -= 1


class _RepeatedRow(NamedTuple):
    """A row that stands in the file once for so many rows."""

    number: int
    cells: list[Cell]
    hidden: bool
    times: int


class _SheetReader:
    """Turns the events of an XML parser into the rows of one sheet."""

    def __init__(self, styles: Styles, sheet: int, allowance: Allowance) -> None:
        self._charge = allowance.charge
        self.done = False
        """Whether the sheet's end has been read."""
        self.merged: list[Area] = []
        self.hidden_columns: list[range] = []
        self._styles = styles
        self._wanted, self._seen = sheet, -1
        self._where = "document"
        self._skipping = 0
        """How many elements are open whose content is none of the sheet's."""
        self._rows: list[_RepeatedRow] = []
        self._column_ends: list[int] = []
        self._column_styles: list[str] = []
        """Of the columns up to each of the ends."""
        self._columns = 0
        self._column_groups = 0
        self._next_row = 1
        self._row: dict[str, str] = {}
        self._cell: dict[str, str] = {}
        self._covered = False
        self._cells: list[Cell] = []
        self._blanks = 0
        """Blank cells to the right of `_cells`, added when one with a value follows."""
        self._text = _Paragraphs()
        self.parser = safe_parser(self._start, self._end)

    def take(self) -> list[_RepeatedRow]:
        """Return the rows that are complete, and forget them."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipping or not self._enter(name, attributes):
            self._skipping += 1

    def _enter(self, name: str, attributes: dict[str, str]) -> bool:
        """Take note of an element. Returns False if it and what is in it are to be skipped."""
        match self._where:
            case "row" if name in {_CELL, _COVERED}:
                self._where, self._cell, self._covered = "cell", attributes, name == _COVERED
                self._text.clear()
            case "cell" if name in _PARAGRAPHS:
                self._where = "text"
                self._text.open()
                self.parser.CharacterDataHandler = self._characters
            case "text":
                return self._enter_in_text(name, attributes)
            case "sheet" if name == _ROW:
                self._where, self._row = "row", attributes
                self._cells, self._blanks = [], 0
            case "sheet" if name == _COLUMN:
                self._add_columns(attributes)
            case "sheet":
                return name in _AROUND_ROWS or name in _AROUND_COLUMNS
            case "document" if name == _SHEET:
                self._seen += 1
                if self._seen != self._wanted:
                    return False
                self._where = "sheet"
            case "document":
                return name in _DOCUMENT
            case _:
                return False
        return True

    def _enter_in_text(self, name: str, attributes: dict[str, str]) -> bool:
        if name in _NO_TEXT or name.startswith(_DRAWN):
            return False
        match name.rpartition(" ")[2]:
            case "s":
                count = int(attributes.get(f"{_TEXT} c", "1"))
                self._charge(count)
                self._text.add(" " * min(count, MOST_CHARACTERS + 1))
            case "tab":
                self._text.add("\t")
            case "line-break":
                self._text.add("\n")
        self._refuse_long()
        return True

    def _characters(self, text: str) -> None:
        if not self._skipping:
            self._text.add_collapsed(text)
            self._refuse_long()

    def _refuse_long(self) -> None:
        if self._text.length > MOST_CHARACTERS:
            address = f"{column_letters(len(self._cells) + self._blanks)}{self._next_row}"
            raise UnreadableError(f"has a cell of more than {MOST_CHARACTERS:,} characters, {address}", SHORTEN)

    def _end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif self._where == "text" and name in _PARAGRAPHS:
            self._text.close()
            self.parser.CharacterDataHandler = None
            self._where = "cell"
        elif self._where == "cell":
            self._end_cell()
            self._where = "row"
        elif self._where == "row":
            self._end_row()
            self._where = "sheet"
        elif self._where == "sheet" and name == _SHEET:
            self.done = True
            self._where = "document"

    def _add_columns(self, attributes: dict[str, str]) -> None:
        count = _times(attributes, "number-columns-repeated")
        first, self._columns = self._columns, min(self._columns + count, LAST_COLUMN)
        self._column_groups += 1
        if self._column_groups > MOST_AREAS:
            raise too_many_areas()
        if first == LAST_COLUMN:
            return
        if attributes.get(f"{TABLE} visibility", "visible") != "visible":
            self.hidden_columns.append(range(first, self._columns))
        self._column_ends.append(self._columns)
        self._column_styles.append(attributes.get(f"{TABLE} default-cell-style-name", ""))

    def _end_cell(self) -> None:
        times = _times(self._cell, "number-columns-repeated")
        column = len(self._cells) + self._blanks
        cell = None if self._covered else self._value(column)
        if not self._covered:
            self._note_merged(column)
        if cell is None:
            self._blanks += times
            return
        if column + times > LAST_COLUMN:
            raise UnreadableError(f"has more than {LAST_COLUMN:,} columns in row {self._next_row}", _SAVE_AGAIN)
        if self._blanks or times > 1:
            self._charge(self._blanks * GAP_BYTES + (times - 1) * _REPEATED_CELL_BYTES)
        self._cells.extend([None] * self._blanks)
        self._cells.extend([cell] * times)
        self._blanks = 0

    def _note_merged(self, column: int) -> None:
        wide, high = _times(self._cell, "number-columns-spanned"), _times(self._cell, "number-rows-spanned")
        if wide > 1 or high > 1:
            last_row, last_column = min(self._next_row + high - 1, LAST_ROW), min(column + wide, LAST_COLUMN) - 1
            if len(self.merged) == MOST_AREAS:
                raise too_many_areas()
            self.merged.append(Area(self._next_row, last_row, column, last_column))

    def _end_row(self) -> None:
        times = _times(self._row, "number-rows-repeated")
        if self._cells and not (times > 1 and is_blank_row(self._cells)):
            if self._next_row + times - 1 > LAST_ROW:
                raise UnreadableError(f"has more than {LAST_ROW:,} rows", _SAVE_AGAIN)
            self._charge((times - 1) * (_REPEATED_ROW_BYTES + len(self._cells) * _REPEATED_CELL_BYTES))
            hidden = self._row.get(f"{TABLE} visibility", "visible") != "visible"
            self._rows.append(_RepeatedRow(self._next_row, self._cells, hidden, times))
        self._next_row += times

    def _value(self, column: int) -> Cell:
        """Return the value of the cell that has been read (OpenDocument 1.3 part 3, 19.387 office:value-type)."""
        get, text = self._cell.get, self._text.text()
        kind, formula = get(f"{OFFICE} value-type"), get(f"{TABLE} formula")
        if fault := self._fault(kind, formula, text):
            return fault
        match kind:
            case None:
                return text_as_shown(text or None, self._shown(column)) if text else None
            case "string":
                text = get(f"{OFFICE} string-value") or text
                return text_as_shown(text, self._shown(column)) if text else None
            case "float" | "percentage" | "currency":
                return self._number(get(f"{OFFICE} value", ""), text, column, is_formula=formula is not None)
            case "boolean":
                value = get(f"{OFFICE} boolean-value", "")
                return value == "true" if value in {"true", "false"} else no_value(value)
            case "date":
                return from_iso(get(f"{OFFICE} date-value", ""), self._shown(column))
            case "time":
                is_duration = self._shown(column) is Shown.DURATION
                return _time(get(f"{OFFICE} time-value", ""), is_duration=is_duration)
            case _:
                return no_value(text or kind)

    def _fault(self, kind: str | None, formula: str | None, text: str) -> CellFault | None:
        """Return the fault of a cell that shows an error, or a formula without its result.

        The format has no type for errors. LibreOffice adds one of its own, and like others saves a formula that gives
        an error as one that gives an empty text; OpenOffice saves it as one that gives 0. Only the text tells.
        """
        if self._cell.get(f"{_CALCEXT} value-type") == "error":
            return CellFault("error-cell", text or "#ERROR")
        if formula is None or self._cell.get(f"{OFFICE} string-value"):
            return None
        if _ERROR.fullmatch(text):
            return CellFault("error-cell", text)
        if kind is None and not self._text.paragraphs:
            return CellFault("formula-without-value", "=" + formula.partition("=")[2])
        return None

    def _number(self, value: str, text: str, column: int, *, is_formula: bool) -> Cell:
        plain = number(value)
        if isinstance(plain, CellFault):
            return plain
        # LibreOffice writes truth values as formulas that give 1 or 0.
        if is_formula and plain in {0, 1} and text in {"TRUE", "FALSE"}:
            return plain == 1
        shown = self._shown(column)
        if shown is None and self._cell.get(f"{OFFICE} value-type") == "percentage":
            shown = _PERCENT
        return as_shown(plain, shown, epoch_1904=False) if isinstance(shown, Mask) else plain

    def _shown(self, column: int) -> Format | None:
        style = self._cell.get(f"{TABLE} style-name") or self._row.get(f"{TABLE} default-cell-style-name")
        if not style:
            at = bisect_right(self._column_ends, column)
            style = self._column_styles[at] if at < len(self._column_styles) else ""
        return self._styles.shown_by(style)


class _Paragraphs:
    """The text of a cell: its paragraphs, in which runs of blanks are one (OpenDocument 1.3 part 3, 6.1.2)."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.paragraphs: list[str] = []
        self.length = 0
        self.open()

    def open(self) -> None:
        """Begin a paragraph, at whose start blanks are none."""
        self._pieces: list[str] = []
        self._after_blank, self._ends_in_a_break = True, False

    def add(self, text: str) -> None:
        """Add characters that stand for themselves."""
        self._pieces.append(text)
        self.length += len(text)
        self._after_blank = self._ends_in_a_break = False

    def add_collapsed(self, text: str) -> None:
        """Add characters as they stand in the XML."""
        bare = text.rstrip(_XML_BLANKS)
        ends_in_a_break = not _BREAKS.isdisjoint(text[len(bare) :]) or (not bare and self._ends_in_a_break)
        text = _BLANKS.sub(" ", text)
        if self._after_blank and text.startswith(" "):
            text = text[1:]
        if text:
            self.add(text)
            self._after_blank = text.endswith(" ")
        self._ends_in_a_break = ends_in_a_break

    def close(self) -> None:
        """End the paragraph. A blank at its end is one, as for LibreOffice, but a break of the XML's line is none."""
        text = "".join(self._pieces)
        self.paragraphs.append(text[:-1] if self._ends_in_a_break and text else text)

    def text(self) -> str:
        """Return the whole text; paragraphs are lines."""
        return "\n".join(self.paragraphs)


def _times(attributes: dict[str, str], name: str) -> int:
    value = attributes.get(f"{TABLE} {name}")
    if value is None:
        return 1
    times = int(value) if value.isdigit() and len(value) <= 9 else 0
    if times < 1:
        raise UnreadableError(f"says {value[:20]!r} where a number of cells belongs", _SAVE_AGAIN)
    return times


def _time(value: str, *, is_duration: bool) -> time | timedelta | CellFault:
    """Read a duration (XML Schema part 2, 3.2.6), which is a time of day unless its format or its length says no."""
    found = _TIME.fullmatch(value)
    if found is None:
        return no_value(value)
    sign, days, hours, minutes, seconds, fraction = found.groups()
    milliseconds = round(int((fraction or "0").ljust(9, "0")) / 1_000_000)
    elapsed = timedelta(
        days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0),
        milliseconds=milliseconds,
    )  # fmt: skip
    if sign:
        return -elapsed
    if is_duration or elapsed >= timedelta(days=1):
        return elapsed
    return (_MIDNIGHT + elapsed).time()
