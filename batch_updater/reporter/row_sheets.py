"""The sheets that hold rows of the input: `To fix` and `All rows`."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from batch_updater.endpoint.description import Kind
from batch_updater.messages import outcome_message, what_is_wrong, what_to_do
from batch_updater.records import ALL_ROWS, TO_FIX, TO_FIX_COLUMNS, CellError, FormattedNumber
from batch_updater.reporter.cell_values import LONGEST_TEXT, holds_text, readable, writable
from batch_updater.reporter.style import AS_TEXT, DATE, DATE_TIME, DURATION, FAULTY, TIME

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

    from batch_updater.endpoint.description import Endpoint, Field
    from batch_updater.records import Cell, Columns, ReportRow
    from batch_updater.reporter.list_sheets import ValidNames
    from batch_updater.reporter.style import Styles

_DIGITS_OF_SECONDS = 6
"""What clocks tell: the digits behind are noise, and programs cut them differently."""
_COMMENTS_AT_MOST = 5_000
"""Comments are kept in memory until the workbook is closed."""
_NARROWEST, _WIDEST = 9, 44
_ROWS_MEASURED = 500
_COMMENT_CHARACTERS = 500
_RESULT_COLUMNS = ("Outcome", "HTTP status", "Message", "Attempts", "Sent at", "Seconds")
_WRONG_WIDTH, _TODO_WIDTH = 56, 44
_LINE_HEIGHT, _HIGHEST_ROW = 15, 240
_DAYS_BEFORE_1970 = 25_569
_STARTS_FORMULA = frozenset("=+-@")
"""Excel would make a formula of such a text as soon as somebody edits its cell."""


class Widths:
    """How wide the columns of a sheet should be, by their first rows."""

    def __init__(self) -> None:
        self._widest: dict[int, int] = {}
        self._measured = 0

    @property
    def wanted(self) -> bool:
        """Whether further rows are measured."""
        return self._measured < _ROWS_MEASURED

    def measure(self, texts: list[str]) -> None:
        """Take note of one row's texts, from the first column on."""
        if self.wanted:
            self._measured += 1
            for column, text in enumerate(texts):
                longest = max((len(line) for line in text.splitlines()), default=0)
                self._widest[column] = max(self._widest.get(column, _NARROWEST), min(longest + 2, _WIDEST))

    def apply(self, sheet: Worksheet, formats: dict[int, Format], fixed: dict[int, int]) -> None:
        """Set the widths, those in `fixed` whatever was measured."""
        for column, width in self._widest.items():
            sheet.set_column(column, column, fixed.get(column, width), formats.get(column))


class CellWriter:
    """Writes cells of the input as they are."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._plain = styles()

    def write_plain(self, sheet: Worksheet, row: int, column: int, cell: Cell) -> None:
        """Write a cell in the usual format; most are texts or numbers that need no thought."""
        if type(cell) is str and cell[:1] not in _STARTS_FORMULA and holds_text(cell):
            sheet.write_string(row, column, cell, self._plain)
        elif cell is not None:
            self.write(sheet, row, column, cell)

    def write(self, sheet: Worksheet, row: int, column: int, cell: Cell, **properties: object) -> None:
        """Write a cell; `properties` change its format, as XlsxWriter names them."""
        value = writable(cell)
        if value is None:
            if properties:
                sheet.write_blank(row, column, None, self._styles(**properties))
        elif isinstance(value, str):
            self._text(sheet, row, column, value, properties)
        elif isinstance(value, bool):
            # LibreOffice makes a number of a truth value whose format says anything else.
            sheet.write_boolean(row, column, value, self._styles(**{**properties, "num_format": "General"}))
        elif isinstance(value, (date, time, timedelta)):
            formatted = self._styles(**{**properties, "num_format": _time_format(value), "align": "left"})
            sheet.write_datetime(row, column, value, formatted)
        else:
            if isinstance(cell, FormattedNumber):
                properties = {**properties, "num_format": cell.format}
            elif properties.get("num_format") == DATE:
                # With a date's format a number would come back as a day: 45000 as 2023-03-15.
                properties = {**properties, "num_format": "General"}
            sheet.write_number(row, column, value, self._styles(**properties))

    def _text(self, sheet: Worksheet, row: int, column: int, text: str, properties: dict[str, object]) -> None:
        if text[:1] in _STARTS_FORMULA:
            properties = {**properties, "quote_prefix": True}
        sheet.write_string(row, column, text, self._styles(**properties))


def _serial(at: datetime) -> float:
    """Return a moment as the days since 1899-12-30 UTC that Excel counts."""
    return at.timestamp() / 86_400 + _DAYS_BEFORE_1970


def _time_format(value: date | time | timedelta) -> str:
    if isinstance(value, timedelta):
        return DURATION
    if isinstance(value, time):
        return TIME
    return DATE_TIME if isinstance(value, datetime) else DATE


def _lines(text: str, width: int) -> int:
    """Return how many lines a text takes in a column so wide."""
    return sum(max(1, math.ceil(len(line) / (width - 2))) for line in text.splitlines()) or 1


def shown(cell: Cell) -> str:
    """Return about what a cell shows, to measure it by."""
    return "" if cell is None else cell.text if isinstance(cell, (CellError, FormattedNumber)) else str(cell)


def bounded(text: str) -> str:
    """Return a text of ours or of the API's as a cell holds it."""
    return text if holds_text(text) else readable(text)[: LONGEST_TEXT // 2]


class ToFixSheet:
    """Every row that needs somebody, ready to be repaired and read again."""

    def __init__(
        self,
        book: Workbook,
        styles: Styles,
        columns: Columns,
        endpoint: Endpoint,
        names: ValidNames,
        rows_of_a_sheet: int,
    ) -> None:
        self._styles = styles
        self._columns = columns
        self._names = names
        self._limit = rows_of_a_sheet
        self._own = len(TO_FIX_COLUMNS)
        self._cells = CellWriter(styles)
        self._fields = {position: endpoint.field(name) for name, position in columns.of_field.items()}
        self._properties = [cell_properties(self._fields.get(position)) for position in range(len(columns.headers))]
        self._widths = Widths()
        self._next = 1
        self._comments = 0
        self.left_out = 0
        """Rows for which the sheet had no place."""
        self._sheet = book.add_worksheet(TO_FIX)
        headers = [*TO_FIX_COLUMNS, *columns.headers]
        for column, header in enumerate(headers):
            self._sheet.write_string(0, column, bounded(header), styles.header())
        self._widths.measure(headers)

    def add(self, row: ReportRow) -> None:
        """Write one row."""
        if self._next >= self._limit:
            self.left_out += 1
            return
        sheet, number, outcome = self._sheet, self._next, row.outcome
        wrong, todo = what_is_wrong(outcome, self._columns), what_to_do(outcome, self._columns)
        # Programs do not agree on who fits the height of wrapped text, so it is set.
        lines = max(_lines(wrong, _WRONG_WIDTH), _lines(todo, _TODO_WIDTH))
        sheet.set_row(number, min(_LINE_HEIGHT * lines, _HIGHEST_ROW))
        sheet.write_number(number, 0, row.row.number, self._styles())
        sheet.write_string(number, 1, outcome.kind.value, self._styles.outcome(outcome.kind))
        sheet.write_string(number, 2, bounded(wrong), self._styles(text_wrap=True))
        sheet.write_string(number, 3, bounded(todo), self._styles(text_wrap=True))
        faulty = {self._columns.of_field.get(problem.field or ""): problem for problem in outcome.problems}
        for position, cell in enumerate(row.row.cells):
            properties = self._properties[position]
            if problem := faulty.get(position):
                properties = {**properties, "bg_color": FAULTY, "border": 1, "border_color": "#D64545"}
                self._comment(number, position, problem.in_full)
            self._cells.write(sheet, number, self._own + position, cell, **properties)
        if self._widths.wanted:
            self._widths.measure([str(row.row.number), outcome.kind.value, wrong, todo, *map(shown, row.row.cells)])
        self._next += 1

    def _comment(self, number: int, position: int, text: str) -> None:
        self._comments += 1
        if self._comments <= _COMMENTS_AT_MOST:
            text = readable(text)[:_COMMENT_CHARACTERS]
            size = {"x_scale": 2, "y_scale": max(1.0, len(text) / 120), "font_size": 9}
            self._sheet.write_comment(number, self._own + position, text, size)

    def finish(self) -> None:
        """Set widths, drop-downs, filter and panes, now that all rows are there."""
        last = max(self._next - 1, 1)
        formats = {self._own + position: self._styles(**made) for position, made in enumerate(self._properties)}
        self._widths.apply(self._sheet, formats, {0: 7, 1: 13, 2: _WRONG_WIDTH, 3: _TODO_WIDTH})
        for position, field in self._fields.items():
            if validation := self._names.validation(field):
                column = self._own + position
                self._sheet.data_validation(1, column, last, column, validation)
        self._sheet.freeze_panes(1, 1)  # more would leave a small screen no room for the cells to repair
        self._sheet.autofilter(0, 0, self._next - 1, self._own + len(self._columns.headers) - 1)
        print_wide(self._sheet)


class AllRowsSheet:
    """Every row with its outcome; goes on on a further sheet where one is full."""

    def __init__(self, book: Workbook, styles: Styles, columns: Columns, rows_of_a_sheet: int) -> None:
        self._book = book
        self._styles = styles
        self._columns = columns
        self._limit = rows_of_a_sheet
        self._cells = CellWriter(styles)
        self._plain = styles()
        self._sent_at = styles(num_format=DATE_TIME, align="left")
        self._seconds = styles(num_format="0.000")
        self._headers = ("Row", *columns.headers, *_RESULT_COLUMNS)
        self._sheets = 0
        self._open()

    def _open(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(ALL_ROWS if self._sheets == 1 else f"{ALL_ROWS} {self._sheets}")
        self._widths = Widths()
        self._next = 1
        for column, header in enumerate(self._headers):
            self._sheet.write_string(0, column, bounded(header), self._styles.header())
        self._widths.measure(list(self._headers))

    def add(self, row: ReportRow) -> None:
        """Write one row."""
        if self._next >= self._limit:
            self.finish()
            self._open()
        sheet, number, outcome, plain = self._sheet, self._next, row.outcome, self._plain
        sheet.write_number(number, 0, row.row.number, plain)
        for position, cell in enumerate(row.row.cells, 1):
            self._cells.write_plain(sheet, number, position, cell)
        column = 1 + len(row.row.cells)
        message = outcome_message(outcome, self._columns)
        sheet.write_string(number, column, outcome.kind.value, self._styles.outcome(outcome.kind))
        if outcome.status is not None:
            sheet.write_number(number, column + 1, outcome.status, plain)
        if message:
            sheet.write_string(number, column + 2, bounded(message), plain)
        sheet.write_number(number, column + 3, outcome.attempts, plain)
        if outcome.sent_at is not None:
            # Cells have no time zone; it is UTC.
            sheet.write_number(number, column + 4, _serial(outcome.sent_at), self._sent_at)
        if outcome.seconds is not None:
            sheet.write_number(number, column + 5, round(outcome.seconds, _DIGITS_OF_SECONDS), self._seconds)
        if self._widths.wanted:
            texts = [str(row.row.number), *map(shown, row.row.cells), outcome.kind.value, "", message, "", "2" * 18, ""]
            self._widths.measure(texts)
        self._next += 1

    def finish(self) -> None:
        """Set widths, filter and panes of the sheet that is open."""
        self._widths.apply(self._sheet, {}, {0: 7})
        self._sheet.freeze_panes(1, 1)
        self._sheet.autofilter(0, 0, self._next - 1, len(self._headers) - 1)
        print_wide(self._sheet)


def cell_properties(field: Field | None) -> dict[str, object]:
    """Return the format of a field's cells: text stays as typed, a typed date becomes one."""
    if field is None or field.kind in (Kind.DECIMAL, Kind.BOOLEAN):
        return {}
    return {"num_format": DATE} if field.kind is Kind.DATE else {"num_format": AS_TEXT}


def print_wide(sheet: Worksheet) -> None:
    """Have a sheet printed across, all its columns on one page."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
