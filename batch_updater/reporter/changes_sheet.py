"""The sheet `Changes`: of every row whose record was read, each field with its value now and the new one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from batch_updater.endpoint.exact_json import to_json
from batch_updater.records import Unknown
from batch_updater.reporter.row_sheets import CellWriter, bounded
from batch_updater.reporter.style import DATE, FAULTY, QUIET

if TYPE_CHECKING:
    from xlsxwriter import Workbook

    from batch_updater.records import Cell, FieldChange, ReportRow
    from batch_updater.reporter.style import Styles

CHANGES = "Changes"
_COLUMNS = (("Row", 8), ("Target", 44), ("Field", 22), ("Now", 40), ("New", 40))


class ChangesSheet:
    """Every field that changes; made when the first one comes."""

    def __init__(self, book: Workbook, styles: Styles, rows_of_a_sheet: int) -> None:
        self._book = book
        self._styles = styles
        self._limit = rows_of_a_sheet
        self._cells = CellWriter(styles)
        self._next = 0
        self.left_out = 0
        """Changes for which the sheet had no place."""

    def add(self, row: ReportRow) -> None:
        """Write the changes of one row."""
        if row.changes and not self._next:
            self._open()
        for change in row.changes:
            if self._next >= self._limit:
                self.left_out += 1
            else:
                self._write(row, change)

    def _open(self) -> None:
        self._sheet = self._book.add_worksheet(CHANGES)
        for column, (header, width) in enumerate(_COLUMNS):
            self._sheet.write_string(0, column, header, self._styles.header())
            self._sheet.set_column(column, column, width)
        self._sheet.freeze_panes(1, 1)
        self._sheet.set_landscape()
        self._sheet.set_paper(9)
        self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0)
        self._next = 1

    def _write(self, row: ReportRow, change: FieldChange) -> None:
        sheet, number, styles = self._sheet, self._next, self._styles
        sheet.write_number(number, 0, row.row.number, styles())
        sheet.write_string(number, 1, bounded(row.target.replace("&", ", ").replace("=", " ")), styles())
        sheet.write_string(number, 2, bounded(change.field), styles(bold=True))
        self._value(number, 3, change.now)
        self._value(number, 4, change.new)
        self._next += 1

    def _value(self, number: int, column: int, value: object) -> None:
        if isinstance(value, Unknown):
            text = f"id {value.id}, whose name is not known" if value.id else "not told by the API"
            self._sheet.write_string(number, column, bounded(text), self._styles(font_color=QUIET, italic=True))
        elif value is None or value == "":
            properties = {"bg_color": FAULTY} if column == len(_COLUMNS) - 1 else {}
            self._sheet.write_string(number, column, "(empty)", self._styles(font_color=QUIET, **properties))
        else:
            as_date = {"num_format": DATE} if isinstance(value, date) else {}
            self._cells.write(self._sheet, number, column, cell_of(value), align="left", text_wrap=True, **as_date)

    def finish(self) -> None:
        """Set the filter, now that all rows are there."""
        if self._next > 1:
            self._sheet.autofilter(0, 0, self._next - 1, len(_COLUMNS) - 1)


def cell_of(value: object) -> Cell:
    """Return a reported value as a cell; what JSON alone can say is shown as text."""
    return value if isinstance(value, (str, bool, int, Decimal, date)) else to_json(value)
