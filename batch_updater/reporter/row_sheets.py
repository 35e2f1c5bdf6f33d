"""The sheets that hold rows of the input: `To fix` and `All rows`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from xlsxwriter.format import Format

from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.messages import outcome_message, what_to_do, wrong_in_rounds
from batch_updater.records import (
    ALL_ROWS,
    TO_FIX,
    TO_FIX_COLUMNS,
    AllowedList,
    Cell,
    Columns,
    FormattedNumber,
    ReportRow,
    column_letters,
)
from batch_updater.reporter.cell_values import COLUMNS_OF_A_SHEET, STARTS_FORMULA, readable, shown, writable
from batch_updater.reporter.list_sheets import drop_down
from batch_updater.reporter.output_workbook import OutputSheet, OutputWorkbook
from batch_updater.reporter.plain_rows import Own, OwnStyle, PlainRows
from batch_updater.reporter.style import AS_TEXT, COLOURS, DATE, DATE_TIME, DURATION, FAULTY, TIME

_DIGITS_OF_SECONDS = 6
"""What clocks tell: the digits behind are noise, and programs cut them differently."""
_COMMENTS_AT_MOST = 5_000
_RANGES_AT_MOST = 1_000
"""Of row numbers that are listed, in a cell that has room for 32,767 characters."""
"""Comments are kept in memory until the workbook is closed."""
_NARROWEST, _WIDEST = 9, 44
_ROWS_MEASURED = 500
_COMMENT_CHARACTERS = 500
_ROW_COLUMNS = ("Row", "Outcome")
_RESULT_COLUMNS = ("HTTP status", "Message", "Attempts", "Sent at", "Seconds")
_WRONG_WIDTH, _TODO_WIDTH = 56, 44
_LINE_HEIGHT, _HIGHEST_ROW = 15, 240
_DAYS_BEFORE_1970 = 25_569
_TYPED_AS_THEY_ARE = frozenset({Kind.DECIMAL, Kind.BOOLEAN, Kind.ANY})
"""Kinds of fields whose cells have no format."""
_FORMATS = {Kind.DATE: DATE, Kind.DATE_TIME: DATE_TIME}
_TIME_FORMATS = ((datetime, DATE_TIME), (date, DATE), (time, TIME), (timedelta, DURATION))


class ColumnWidths:
    """How wide the columns of a sheet should be, by their first rows."""

    def __init__(self) -> None:
        self._widest: dict[int, int] = {}
        self._measured = 0

    @property
    def wanted(self) -> bool:
        """Whether further rows are measured."""
        return self._measured < _ROWS_MEASURED

    def measure(self, texts: Sequence[str]) -> None:
        """Take note of one row's texts, from the first column on."""
        if self.wanted:
            self._measured += 1
            for column, text in enumerate(texts):
                longest = max((len(line) for line in text.splitlines()), default=0)
                self._widest[column] = max(self._widest.get(column, _NARROWEST), min(longest + 2, _WIDEST))

    def apply(self, sheet: OutputSheet, formats: Mapping[int, Format], fixed: Mapping[int, int]) -> None:
        """Set the widths, those in `fixed` regardless of what was measured."""
        for column, width in self._widest.items():
            sheet.set_column(column, column, fixed.get(column, width), formats.get(column))


class CellWriter:
    """Writes cells of the input as they are."""

    def __init__(self, book: OutputWorkbook) -> None:
        self._book = book
        self._plain = book.style()

    def write(self, sheet: OutputSheet, row: int, column: int, cell: Cell, **properties: object) -> None:
        """Write a cell; `properties` change its format, as XlsxWriter names them."""
        value, style = writable(cell), self._book.style
        if value is None:
            if properties:
                sheet.write_blank(row, column, None, style(**properties))
        elif isinstance(value, str):
            quoted = {"quote_prefix": True} if value[:1] in STARTS_FORMULA else {}
            sheet.write_string(row, column, value, style(**properties, **quoted))
        elif isinstance(value, bool):
            # LibreOffice makes a number of a truth value whose format says anything else.
            sheet.write_boolean(row, column, value, style(**{**properties, "num_format": "General"}))
        elif isinstance(value, (date, time, timedelta)):
            shown_as = next(shown_as for kind, shown_as in _TIME_FORMATS if isinstance(value, kind))
            formatted = style(**{**properties, "num_format": shown_as, "align": "left"})
            sheet.write_datetime(row, column, value, formatted)
        else:
            if isinstance(cell, FormattedNumber):
                properties = {**properties, "num_format": cell.format}
            elif properties.get("num_format") == DATE:
                # With a date's format a number would come back as a day: 45000 as 2023-03-15.
                properties = {**properties, "num_format": "General"}
            sheet.write_number(row, column, value, style(**properties))


def lines_in(text: str, width: int) -> int:
    """Return how many lines a text takes in a column so wide."""
    return sum(max(1, math.ceil(len(line) / (width - 2))) for line in text.splitlines()) or 1


class ToFixSheet:
    """Every row that needs a person or another run, ready to be repaired and read again."""

    def __init__(self, book: OutputWorkbook, columns: Columns, endpoint: Endpoint, rows_of_a_sheet: int) -> None:
        self._book = book
        self._columns = columns
        self._endpoint = endpoint
        self._limit = rows_of_a_sheet
        self._cells = CellWriter(book)
        self._fields = {position: endpoint.field(name) for name, position in columns.of_field.items()}
        self._properties = [cell_properties(self._fields.get(position)) for position in range(len(columns.headers))]
        self._widths = ColumnWidths()
        self._next = 1
        self._ranges: list[list[int]] = []
        self._comments = 0
        self.left_out = 0
        """Rows for which the sheet has no room."""
        self._sheet: OutputSheet = book.add_worksheet(TO_FIX)
        _write_headers(book, self._sheet, self._widths, (*TO_FIX_COLUMNS, *columns.headers))

    def add(self, row: ReportRow) -> None:
        """Write one row."""
        if self._next >= self._limit:
            self.left_out += 1
            return
        sheet, number, outcome, style = self._sheet, self._next, row.outcome, self._book.style
        wrong, todo = wrong_in_rounds(row, self._columns), what_to_do(outcome, self._columns)
        # Programs do not agree on who fits the height of wrapped text, so it is set.
        lines = max(lines_in(wrong, _WRONG_WIDTH), lines_in(todo, _TODO_WIDTH))
        sheet.set_row(number, min(_LINE_HEIGHT * lines, _HIGHEST_ROW))
        sheet.write_number(number, 0, row.row.number, style())
        if self._ranges and self._ranges[-1][1] == row.row.number - 1:
            self._ranges[-1][1] += 1
        elif len(self._ranges) <= _RANGES_AT_MOST:
            self._ranges.append([row.row.number, row.row.number])
        sheet.write_string(number, 1, outcome.kind.value, self._book.outcome_style(outcome.kind))
        sheet.write_string(number, 2, readable(wrong), style(text_wrap=True))
        sheet.write_string(number, 3, readable(todo), style(text_wrap=True))
        faulty = {self._columns.of_field.get(problem.field or ""): problem for problem in outcome.problems}
        for position, cell in enumerate(row.row.cells):
            properties, column = self._properties[position], len(TO_FIX_COLUMNS) + position
            if problem := faulty.get(position):
                properties = {**properties, "bg_color": FAULTY, "border": 1, "border_color": "#D64545"}
                self._comments += 1
                if self._comments <= _COMMENTS_AT_MOST:
                    text = readable(problem.in_full)[:_COMMENT_CHARACTERS]
                    size = {"x_scale": 2, "y_scale": max(1.0, len(text) / 120), "font_size": 9}
                    sheet.write_comment(number, column, text, size)
            self._cells.write(sheet, number, column, cell, **properties)
        if self._widths.wanted:
            self._widths.measure([str(row.row.number), outcome.kind.value, wrong, todo, *map(shown, row.row.cells)])
        self._next += 1

    @property
    def rows(self) -> str:
        """The numbers of its rows, as `Origin.rows`."""
        if len(self._ranges) > _RANGES_AT_MOST:
            return ""
        return ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in self._ranges)

    def finish(self, allowed: tuple[AllowedList, ...]) -> None:
        """Set widths, drop-downs of valid names, filter and panes, now that all rows are there."""
        own, last = len(TO_FIX_COLUMNS), max(self._next - 1, 1)
        formats = {own + position: self._book.style(**made) for position, made in enumerate(self._properties)}
        self._widths.apply(self._sheet, formats, {0: 7, 1: 13, 2: _WRONG_WIDTH, 3: _TODO_WIDTH})
        letters = {field.name: column_letters(own + position) for position, field in self._fields.items()}
        for position, field in self._fields.items():
            if validation := drop_down(field, allowed, self._endpoint, letters):
                self._sheet.data_validation(1, own + position, last, own + position, validation)
        _finish(self._sheet, self._next - 1, own + len(self._columns.headers))


class AllRowsSheet:
    """Every row with its outcome; continues on another sheet where one is full."""

    def __init__(self, book: OutputWorkbook, columns: Columns, rows_of_a_sheet: int) -> None:
        self._book = book
        self._columns = columns
        self._limit = rows_of_a_sheet
        self._cells = CellWriter(book)
        self._plain = OwnStyle(book.style())
        self._sent_at = OwnStyle(book.style(num_format=DATE_TIME, align="left"))
        self._seconds = OwnStyle(book.style(num_format="0.000"))
        self._outcomes = {kind: OwnStyle(book.outcome_style(kind)) for kind in COLOURS}
        self._headers = (*_ROW_COLUMNS, *columns.headers, *_RESULT_COLUMNS)
        self._rows = PlainRows(len(self._headers), self._plain, OwnStyle(book.style(num_format=DATE, align="left")))
        self._is_within_limits = len(self._headers) <= COLUMNS_OF_A_SHEET
        """Whether there is room for every column; XlsxWriter leaves out the others."""
        self._sheets = 0
        self._open()

    def _open(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(ALL_ROWS if self._sheets == 1 else f"{ALL_ROWS} {self._sheets}")
        self._widths = ColumnWidths()
        self._next = 1
        _write_headers(self._book, self._sheet, self._widths, self._headers)

    def add(self, row: ReportRow) -> None:
        """Write one row."""
        if self._next >= self._limit:
            self.finish()
            self._open()
        outcome = row.outcome
        message = outcome_message(outcome, self._columns)
        days = seconds = None
        if outcome.sent_at is not None:
            # Excel counts days since 1899-12-30. Cells have no time zone; it is UTC.
            days = outcome.sent_at.timestamp() / 86_400 + _DAYS_BEFORE_1970
        if outcome.seconds is not None:
            seconds = round(outcome.seconds, _DIGITS_OF_SECONDS)
        own = (row.row.number, self._plain), (outcome.kind.value, self._outcomes[outcome.kind])
        results = (
            (outcome.status, self._plain),
            (readable(message) if message else None, self._plain),
            (outcome.attempts, self._plain),
            (days, self._sent_at),
            (seconds, self._seconds),
        )
        if self._is_within_limits and (xml := self._rows.row(self._next + 1, own, row.row.cells, results)):
            self._sheet.write_row_xml(self._next, len(self._headers), xml)
        else:
            self._write(own, 0)
            for column, cell in enumerate(row.row.cells, len(own)):
                if cell is not None:
                    self._cells.write(self._sheet, self._next, column, cell)
            self._write(results, len(own) + len(row.row.cells))
        if self._widths.wanted:
            shown_cells = map(shown, row.row.cells)
            texts = [str(row.row.number), outcome.kind.value, *shown_cells, "", message, "", "2" * 18, ""]
            self._widths.measure(texts)
        self._next += 1

    def _write(self, values: Iterable[Own], first_column: int) -> None:
        for column, (value, own) in enumerate(values, first_column):
            if isinstance(value, str):
                self._sheet.write_string(self._next, column, value, own.style)
            elif value is not None:
                self._sheet.write_number(self._next, column, value, own.style)

    def finish(self) -> None:
        """Set widths, filter and panes of the sheet that is open."""
        self._widths.apply(self._sheet, {}, {0: 7})
        _finish(self._sheet, self._next - 1, len(self._headers))


def cell_properties(field: Field | None) -> dict[str, object]:
    """Return the format of a field's cells: text stays as typed, a typed date becomes one."""
    return (
        {} if field is None or field.kind in _TYPED_AS_THEY_ARE else {"num_format": _FORMATS.get(field.kind, AS_TEXT)}
    )


def _write_headers(book: OutputWorkbook, sheet: OutputSheet, widths: ColumnWidths, headers: Sequence[str]) -> None:
    for column, header in enumerate(headers):
        sheet.write_string(0, column, readable(header), book.header_style())
    widths.measure(headers)


def _finish(sheet: OutputSheet, last_row: int, columns: int) -> None:
    sheet.freeze_panes(1, 1)  # more would leave a small screen no room for the cells to repair
    sheet.autofilter(0, 0, last_row, columns - 1)
    sheet.print_wide()
