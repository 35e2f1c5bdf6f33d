"""The reference: write the same rows, styled in the same way, as openpyxl's ordinary mode does it.

python -m benchmarks.workbook_by_openpyxl FILE ROWS
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, NamedStyle, PatternFill

from batch_updater.reporter.style import COLOURS, DATE, DATE_TIME, HEADER, INK
from benchmarks.outcomes import HEADERS, report_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.records import ReportRow

RESULT_HEADERS = ("Outcome", "HTTP status", "Message", "Attempts", "Sent at", "Seconds")
TOP = Alignment(vertical="top")
TOP_LEFT = Alignment(vertical="top", horizontal="left")


def styles() -> Iterator[NamedStyle]:
    """Yield the looks of the product's sheet. One named style a cell costs less than setting font, fill and format."""
    ink = Font(color=_argb(INK))
    yield NamedStyle("plain", ink, alignment=TOP)
    yield NamedStyle("day", ink, alignment=TOP_LEFT, number_format=DATE)
    yield NamedStyle("moment", ink, alignment=TOP_LEFT, number_format=DATE_TIME)
    yield NamedStyle("seconds", ink, alignment=TOP, number_format="0.000")
    yield NamedStyle("header", Font(bold=True, color="FFFFFFFF"), PatternFill("solid", _argb(HEADER)))
    for kind, (fill, letters) in COLOURS.items():
        yield NamedStyle(kind.value, Font(bold=True, color=_argb(letters)), PatternFill("solid", _argb(fill)))


def _argb(colour: str) -> str:
    return f"FF{colour[1:]}"


def cells(row: ReportRow) -> list[tuple[object, str]]:
    """Return a row's values, each with the name of its style."""
    *given, day = row.row.cells
    outcome = row.outcome
    return [
        (row.row.number, "plain"),
        *((value, "plain") for value in given),
        (day, "day"),
        (outcome.kind.value, outcome.kind.value),
        (outcome.status, "plain"),
        (outcome.message or None, "plain"),
        (outcome.attempts, "plain"),
        (outcome.sent_at.replace(tzinfo=None) if outcome.sent_at else None, "moment"),
        (outcome.seconds, "seconds"),
    ]


def main() -> None:
    """Write the sheet that holds every row."""
    path, rows = sys.argv[1], int(sys.argv[2])
    book = Workbook()
    for style in styles():
        book.add_named_style(style)
    book.remove(book.worksheets[0])
    sheet = book.create_sheet("All rows")
    for column, header in enumerate(("Row", *HEADERS, *RESULT_HEADERS), 1):
        sheet.cell(1, column, header).style = "header"
    for number, row in enumerate(report_rows(rows), 2):
        for column, (value, look) in enumerate(cells(row), 1):
            if value is not None:
                sheet.cell(number, column, value).style = look
    sheet.freeze_panes = "B2"
    book.save(path)


if __name__ == "__main__":
    main()
