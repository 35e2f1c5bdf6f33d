"""The sheet `Changes`: of every row whose record was read, each field with its value now and the new one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from batch_updater.endpoint.reported import as_text
from batch_updater.records import Cell, Columns, ReportRow, Unknown
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.output_workbook import OutputSheet, OutputWorkbook
from batch_updater.reporter.row_sheets import CellWriter
from batch_updater.reporter.style import DATE, FAULTY, QUIET

CHANGES = "Changes"
_COLUMNS = {"Row": 8, "Target": 44, "Field": 22, "Now": 40, "New": 40}


class ChangesSheet:
    """Every field that changes; made when the first one comes."""

    def __init__(self, book: OutputWorkbook, columns: Columns, rows_of_a_sheet: int) -> None:
        self._book = book
        self._columns = columns
        self._limit = rows_of_a_sheet
        self._cells = CellWriter(book)
        self._sheet: OutputSheet | None = None
        self._next = 1
        self.left_out = 0
        """Changes for which the sheet has no room."""

    def add(self, row: ReportRow) -> None:
        """Write the changes of one row."""
        style = self._book.style
        for change in row.changes:
            if self._next >= self._limit:
                self.left_out += 1
                continue
            if self._sheet is None:
                self._sheet = self._book.add_list(CHANGES, _COLUMNS)
            self._sheet.write_number(self._next, 0, row.row.number, style())
            target = readable(row.target.replace("&", ", ").replace("=", " "))
            self._sheet.write_string(self._next, 1, target, style())
            self._sheet.write_string(self._next, 2, readable(self._columns.called(change.field)), style(bold=True))
            self._write_value(self._sheet, 3, change.now)
            self._write_value(self._sheet, 4, change.new)
            self._next += 1

    def _write_value(self, sheet: OutputSheet, column: int, value: object) -> None:
        number, style = self._next, self._book.style
        if isinstance(value, Unknown):
            sheet.write_string(number, column, readable(not_known(value)), style(font_color=QUIET, italic=True))
        elif is_empty(value):
            properties = {"bg_color": FAULTY} if column == len(_COLUMNS) - 1 else {}
            sheet.write_string(number, column, "(empty)", style(font_color=QUIET, **properties))
        else:
            as_date = {"num_format": DATE} if isinstance(value, date) else {}
            self._cells.write(sheet, number, column, cell_of(value), align="left", text_wrap=True, **as_date)

    def finish(self) -> None:
        """Set the filter, now that all rows are there."""
        if self._sheet is not None:
            self._sheet.autofilter(0, 0, self._next - 1, len(_COLUMNS) - 1)


def not_known(value: Unknown) -> str:
    """Return what people read in place of a value that the API does not tell."""
    return f"id {value.id}, whose name is not known" if value.id else "not reported by the API"


def is_empty(value: object) -> bool:
    """Whether people read a value as empty."""
    return value is None or value in ("", [])


def cell_of(value: object) -> Cell:
    """Return a reported value as a cell; what JSON alone can express is shown as text."""
    return value if isinstance(value, (str, bool, int, Decimal, date)) else as_text(value)
