"""The sheet `Expected`: what records must still hold before a run is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.endpoint.expected_values import COLUMNS, SHEET, cells_of
from batch_updater.reporter.row_sheets import print_wide
from batch_updater.reporter.style import QUIET, Styles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

    from batch_updater.records import ExpectedValue

_WIDTHS = (44, 22, 30, 30, 26, 26, 14)
_READ_BY_PEOPLE = 4
"""How many of the columns; the others are for the program."""


def write_expected(book: Workbook, styles: Styles, rows: Iterable[tuple[str, Iterable[ExpectedValue]]]) -> None:
    """Add the sheet that says what the records must still hold, from each target and its values."""
    sheet = book.add_worksheet(SHEET)
    sheet.set_tab_color(QUIET)
    write_head(sheet, styles, COLUMNS, _WIDTHS)
    text, quiet, number = styles(num_format="@"), styles(num_format="@", font_color=QUIET), 0
    for target, values in rows:
        for value in values:
            number += 1
            for column, cell in enumerate(cells_of(target, value)):
                sheet.write_string(number, column, cell, text if column < _READ_BY_PEOPLE else quiet)
    sheet.autofilter(0, 0, number, len(COLUMNS) - 1)


def write_head(sheet: Worksheet, styles: Styles, headers: Sequence[str], widths: Sequence[int]) -> None:
    """Write the header row of a sheet that is a list, widths in characters."""
    for column, (header, width) in enumerate(zip(headers, widths, strict=True)):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, header, styles.header())
    sheet.set_row(0, 24)
    sheet.freeze_panes(1, 0)
    print_wide(sheet)
