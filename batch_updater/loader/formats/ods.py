"""OpenDocument spreadsheets (.ods; OpenDocument 1.3 part 3, chapter 9): content.xml -> rows, as a stream."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime, time, timedelta
from typing import Final
from xml.etree.ElementTree import Element

from msgspec.structs import replace

from batch_updater.loader.formats.book import (
    GAP_BYTES,
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    MOST_CHARACTERS,
    SAVE_AGAIN,
    Area,
    Book,
    SheetEntry,
    SheetProperties,
    SheetRow,
    UnreadableError,
    is_blank_row,
    too_long,
    too_many_areas,
)
from batch_updater.loader.formats.cell_contents import number
from batch_updater.loader.formats.display_format import DisplayFormat, display_format_of
from batch_updater.loader.formats.number_formats import (
    DateKind,
    Format,
    apply_format,
    from_iso,
    no_value,
    text_as_shown,
)
from batch_updater.loader.formats.ods_styles import OFFICE, TABLE, Styles
from batch_updater.loader.formats.package import Allowance, Package
from batch_updater.loader.formats.safe_xml import Step, trees
from batch_updater.records import MARK_PROPERTY, Cell, CellError, column_letters

_CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_DRAWN = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0 "
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  (of any day: a time of day has no zone)
# A row or a cell is in the file once for as many as it is repeated: that counts against input.max_unpacked_mb.
_REPEATED_CELL_BYTES = 64
_REPEATED_ROW_BYTES = 20_000
"""More than a row takes up: they all update the same record, so that only a mistake, or worse, is thousands of them."""
_SHEET, _ROW, _COLUMN = f"{TABLE} table", f"{TABLE} table-row", f"{TABLE} table-column"
_CELL, _COVERED = f"{TABLE} table-cell", f"{TABLE} covered-table-cell"
_ENTERED = {_SHEET, *(f"{OFFICE} {name}" for name in ("document-content", "body", "spreadsheet"))} | {
    f"{TABLE} table-{name}"
    for name in ("header-rows", "row-group", "rows", "header-columns", "column-group", "columns")
}
_ROWS_REPEATED, _COLUMNS_REPEATED = (f"{TABLE} number-{name}-repeated" for name in ("rows", "columns"))
_SPANS = _ROWS_SPANNED, _COLUMNS_SPANNED = f"{TABLE} number-rows-spanned", f"{TABLE} number-columns-spanned"
_HELD = {f"{OFFICE} value-type", f"{TABLE} formula", f"{_CALCEXT} value-type"}
"""Attributes that a cell has if it holds anything."""
_PARAGRAPHS = {f"{_TEXT} p", f"{_TEXT} h"}
_NO_TEXT = {f"{OFFICE} annotation", f"{OFFICE} annotation-end", f"{_TEXT} note", f"{_TEXT} ruby-text"}
"""What is in a paragraph without being part of its text."""
_XML_BLANKS = " \t\r\n"
_BLANKS = re.compile(f"[{_XML_BLANKS}]+")
_BREAKS = frozenset("\t\r\n")
_BLANK = "\1"
_SIGNS = {f"{_TEXT} tab": "\2", f"{_TEXT} line-break": "\3"}
_CHARACTERS = {1: " ", 2: "\t", 3: "\n"}
"""What stands for the characters of elements until the blanks around them are one; no XML can hold these itself."""
_ERROR = re.compile(r"#[A-Z0-9/]+[!?]?|Err:[0-9]+")
_PERCENT: Final = display_format_of("0%")
"""How programs show a percentage whose style says nothing."""
_TIME = re.compile(
    r"(-?)P(?:([0-9]{1,6})D)?T(?:([0-9]{1,8})H)?(?:([0-9]{1,8})M)?(?:([0-9]{1,8})(?:[.,]([0-9]{1,9}))?S)?"
)


class OdsBook(Book):
    """A spreadsheet. Raises `UnreadableError` if it is none, or protected."""

    def __init__(self, package: Package) -> None:
        self._package = package
        if next(package.elements("META-INF/manifest.xml", "encryption-data"), None) is not None:
            raise UnreadableError("is protected by a password", "Open it, save it without a password and run again.")
        self._styles = Styles(package)
        self._with_spans: set[int] = set()
        """Sheets in which cells are merged."""
        sheets: list[SheetEntry] = []
        names = set()

        def choose(name: str, attributes: dict[str, str]) -> Step:
            names.add(name)
            if name == _CELL:
                if sheets[-1].is_blank and not attributes.keys().isdisjoint(_HELD):
                    sheets[-1] = replace(sheets[-1], is_blank=False)
                if not attributes.keys().isdisjoint(_SPANS):
                    self._with_spans.add(len(sheets) - 1)
            elif name == _SHEET:
                hidden = attributes.get(f"{TABLE} style-name", "") in self._styles.hidden_tables
                sheets.append(SheetEntry(attributes.get(f"{TABLE} name", ""), hidden, is_blank=True))
            return Step.ENTER if name == _ROW or name in _ENTERED else Step.SKIP

        for _ in self._trees(choose):
            pass
        if f"{OFFICE} spreadsheet" not in names:
            raise UnreadableError(
                "is an OpenDocument file, but no spreadsheet", "Open it and save the table as a spreadsheet."
            )
        self.sheets = tuple(sheets)
        has_links = f"{TABLE} table-source" in names
        is_manual = any(
            element.get("name") == "AutoCalculate" and element.text == "false"
            for element in package.elements("settings.xml", "config-item")
        )
        has_macros = any(name.startswith(("basic/", "scripts/")) for name in package.names)
        self.note(has_macros=has_macros, links_to="files" if has_links else "", is_manual=is_manual)
        for element in package.elements("meta.xml", "user-defined"):  # OpenDocument 1.3 part 3, 4.3.3.17
            if element.get("name") == MARK_PROPERTY:
                self.marks = element.text
                break

    def close(self) -> None:
        """Let go of the file."""
        self._package.close()

    def read_properties(self, sheet: int) -> SheetProperties:
        """Return its merged areas and hidden columns."""
        reader = self._reader(sheet)
        with closing(self._elements(sheet)) as elements:
            for _ in reader.rows(elements):
                if sheet not in self._with_spans:
                    break  # columns come before the rows
        return SheetProperties(tuple(reader.merged), tuple(reader.hidden_columns))

    def read_rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a sheet."""
        with closing(self._elements(sheet)) as elements:
            yield from self._reader(sheet).rows(elements)

    def _reader(self, sheet: int) -> _SheetReader:
        return _SheetReader(self._styles, self._package.allowance(self.sheets[sheet].name))

    def _elements(self, sheet: int) -> Generator[Element]:
        """Yield the columns and rows of a sheet."""
        at = -1

        def choose(name: str, _: dict[str, str]) -> Step:
            nonlocal at
            at += name == _SHEET
            if at > sheet:
                return Step.STOP
            if at == sheet and name in {_ROW, _COLUMN}:
                return Step.TAKE
            return Step.ENTER if name in _ENTERED and (name != _SHEET or at == sheet) else Step.SKIP

        return self._trees(choose)

    def _trees(self, choose: Callable[[str, dict[str, str]], Step]) -> Generator[Element]:
        with self._package.open("content.xml") as stream:
            yield from trees(stream, choose)


class _SheetReader:
    """Turns the columns and rows of a sheet into rows of cells."""

    def __init__(self, styles: Styles, allowance: Allowance) -> None:
        self._styles = styles
        self._charge = allowance.charge
        self.merged: list[Area] = []
        self.hidden_columns: list[range] = []
        self._column_ends: list[int] = []
        self._column_styles: list[str] = []
        """Of the columns up to each of the ends."""
        self._columns = 0
        self._column_groups = 0
        self._next_row = 1

    def rows(self, elements: Iterable[Element]) -> Iterator[SheetRow]:
        """Yield the rows."""
        for element in elements:
            if element.tag == _COLUMN:
                first = self._columns
                self._columns = min(first + _times(element, _COLUMNS_REPEATED), LAST_COLUMN)
                self._column_groups += 1
                if self._column_groups > MOST_AREAS:
                    raise too_many_areas()
                if first < LAST_COLUMN:
                    if element.get(f"{TABLE} visibility", "visible") != "visible":
                        self.hidden_columns.append(range(first, self._columns))
                    self._column_ends.append(self._columns)
                    self._column_styles.append(element.get(f"{TABLE} default-cell-style-name", ""))
                continue
            times = _times(element, _ROWS_REPEATED)
            cells = self._cells(element)
            if cells and not (times > 1 and is_blank_row(cells)):
                if self._next_row + times - 1 > LAST_ROW:
                    raise UnreadableError(f"has more than {LAST_ROW:,} rows", SAVE_AGAIN)
                self._charge((times - 1) * (_REPEATED_ROW_BYTES + len(cells) * _REPEATED_CELL_BYTES))
                hidden = element.get(f"{TABLE} visibility", "visible") != "visible"
                for number_ in range(self._next_row, self._next_row + times):
                    yield SheetRow(number_, cells, hidden)
            self._next_row += times

    def _cells(self, row: Element) -> list[Cell]:
        cells: list[Cell] = []
        blanks = 0  # to the right of `cells`, added when one with a value follows
        for element in row:
            if element.tag not in {_CELL, _COVERED}:
                continue
            times = _times(element, _COLUMNS_REPEATED)
            column = len(cells) + blanks
            cell: Cell = None
            if element.tag == _CELL:
                cell = self._value(row, element, column)
                wide, high = _times(element, _COLUMNS_SPANNED), _times(element, _ROWS_SPANNED)
                if wide > 1 or high > 1:
                    if len(self.merged) == MOST_AREAS:
                        raise too_many_areas()
                    last_row, last = min(self._next_row + high - 1, LAST_ROW), min(column + wide, LAST_COLUMN) - 1
                    self.merged.append(Area(self._next_row, last_row, column, last))
            if cell is None:
                blanks += times
                continue
            if column + times > LAST_COLUMN:
                raise UnreadableError(f"has more than {LAST_COLUMN:,} columns in row {self._next_row}", SAVE_AGAIN)
            if blanks or times > 1:
                self._charge(blanks * GAP_BYTES + (times - 1) * _REPEATED_CELL_BYTES)
            cells += [None] * blanks + [cell] * times
            blanks = 0
        return cells

    def _value(self, row: Element, cell: Element, column: int) -> Cell:
        """Return the value of a cell (OpenDocument 1.3 part 3, 19.387 office:value-type)."""
        get = cell.get
        paragraphs = [_collapsed(self._text(part, column)) for part in cell if part.tag in _PARAGRAPHS]
        kind, text = get(f"{OFFICE} value-type"), "\n".join(paragraphs)
        self._refuse_long(text, column)
        if fault := _fault(cell, text, has_text=bool(paragraphs)):
            return fault
        style = get(f"{TABLE} style-name") or row.get(f"{TABLE} default-cell-style-name")
        if not style:
            at = bisect_right(self._column_ends, column)
            style = self._column_styles[at] if at < len(self._column_styles) else ""
        shown = self._styles.shown_by(style)
        match kind:
            case None | "string":
                text = (get(f"{OFFICE} string-value") if kind else None) or text
                return text_as_shown(text, shown) if text else None
            case "float" | "percentage" | "currency":
                return _number(cell, text, _PERCENT if shown is None and kind == "percentage" else shown)
            case "boolean":
                value = get(f"{OFFICE} boolean-value", "")
                return value == "true" if value in {"true", "false"} else no_value(value)
            case "date":
                return from_iso(get(f"{OFFICE} date-value", ""), shown)
            case "time":
                return _time(get(f"{OFFICE} time-value", ""), is_duration=shown is DateKind.DURATION)
            case _:
                return no_value(text or kind)

    def _text(self, element: Element, column: int) -> str:
        """Return the text in a paragraph or a part of it, with signs for blanks, tabs and breaks that are elements."""
        text = element.text or ""
        for child in element:
            if child.tag == f"{_TEXT} s":
                count = int(child.get(f"{_TEXT} c", "1"))
                self._charge(count)
                text += _BLANK * min(count, MOST_CHARACTERS + 1)
            elif child.tag in _SIGNS:
                text += _SIGNS[child.tag]
            elif child.tag not in _NO_TEXT and not child.tag.startswith(_DRAWN):
                text += self._text(child, column)
            text += child.tail or ""
            self._refuse_long(text, column)
        return text

    def _refuse_long(self, text: str, column: int) -> None:
        if len(text) > MOST_CHARACTERS:
            raise too_long(f"a text in cell {column_letters(column)}{self._next_row}")


def _fault(cell: Element, text: str, *, has_text: bool) -> CellError | None:
    """Return the fault of a cell that shows an error, or a formula without its result.

    The format has no type for errors. LibreOffice adds one of its own, and like others saves a formula that gives an
    error as one that gives an empty text; OpenOffice saves it as one that gives 0. Only the text tells.
    """
    if cell.get(f"{_CALCEXT} value-type") == "error":
        return CellError("error-cell", text or "#ERROR")
    formula = cell.get(f"{TABLE} formula")
    if formula is None or cell.get(f"{OFFICE} string-value"):
        return None
    if _ERROR.fullmatch(text):
        return CellError("error-cell", text)
    if cell.get(f"{OFFICE} value-type") is None and not has_text:
        return CellError("formula-without-value", "=" + formula.partition("=")[2])
    return None


def _number(cell: Element, text: str, shown: Format | None) -> Cell:
    plain = number(cell.get(f"{OFFICE} value", ""))
    if isinstance(plain, CellError):
        return plain
    # LibreOffice writes truth values as formulas that give 1 or 0.
    if cell.get(f"{TABLE} formula") is not None and plain in {0, 1} and text in {"TRUE", "FALSE"}:
        return plain == 1
    return apply_format(plain, shown, epoch_1904=False) if isinstance(shown, DisplayFormat) else plain


def _collapsed(paragraph: str) -> str:
    """Return a paragraph in which runs of blanks are one (OpenDocument 1.3 part 3, 6.1.2).

    Those at its start are none. Those at its end are one, as for LibreOffice, unless there is a line break of the XML
    among them.
    """
    if paragraph.isprintable() and "  " not in paragraph and paragraph[:1] != " ":  # as nearly always
        return paragraph
    bare = paragraph.rstrip(_XML_BLANKS)
    if not _BREAKS.isdisjoint(paragraph[len(bare) :]):
        paragraph = bare
    return _BLANKS.sub(" ", paragraph).removeprefix(" ").translate(_CHARACTERS)


def _times(element: Element, name: str) -> int:
    value = element.get(name)
    if value is None:
        return 1
    times = int(value) if value.isdigit() and len(value) <= 9 else 0
    if times < 1:
        raise UnreadableError(f"says {value[:20]!r} where a number of cells belongs", SAVE_AGAIN)
    return times


def _time(value: str, *, is_duration: bool) -> time | timedelta | CellError:
    """Read a duration (XML Schema part 2, 3.2.6), which is a time of day unless its format or its length says no."""
    found = _TIME.fullmatch(value)
    if found is None:
        return no_value(value)
    sign, *parts, fraction = found.groups("0")
    days, hours, minutes, seconds = map(int, parts)
    milliseconds = round(int(fraction.ljust(9, "0")) / 1_000_000)
    elapsed = timedelta(days, seconds, 0, milliseconds, minutes, hours)
    if sign:
        return -elapsed
    if is_duration or elapsed >= timedelta(days=1):
        return elapsed
    return (_MIDNIGHT + elapsed).time()
