"""SummaryView -> the sheet `Summary`: verdict, next step, counts that add up, causes, charts and facts."""

from __future__ import annotations

import math
from typing import TypeAlias

from xlsxwriter.chart import Chart
from xlsxwriter.format import Format

from batch_updater.records import OutcomeKind
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.output_workbook import OutputSheet, OutputWorkbook
from batch_updater.reporter.style import COLOURS, HEADER, LINE, QUIET
from batch_updater.reporter.summary_view import SummaryView

_CHART_ROWS = 15
_WIDTHS = (40, 10, 18, 30, 30, 30)
_LAST_COLUMN = len(_WIDTHS) - 1
_FACT_CHARACTERS = 105
"""What fits on one line beside the name of a fact."""
_VALUE_CHARACTERS = 30
"""What fits into the second and third column together."""
_DATA_COLUMN = 27
"""Column of the numbers behind the chart of progress, out of the way."""
_Value: TypeAlias = str | int | tuple[str, int]
"""Text, number, or a formula with its result."""


def write_summary(sheet: OutputSheet, book: OutputWorkbook, view: SummaryView) -> None:
    """Fill the sheet from the top; a sheet that is kept on disk is written once."""
    lines = _Lines(sheet, book, view)
    lines.text(view.verdict, 30, bold=True, font_size=16)
    if view.family:
        lines.text(view.family, font_size=11, bold=True)
    lines.text(view.next_step.in_full, font_size=11)
    if view.stop:
        lines.text(view.stop, font_color=COLOURS[OutcomeKind.REJECTED][1])
    lines.columns()
    lines.counts()
    if view.changes:
        lines.heading(view.changes_heading)
        for change in view.changes:
            lines.text(change)
    if view.causes:
        lines.causes()
    if view.counts:
        lines.charts()
    lines.facts()
    sheet.print_area(0, 0, lines.next, _LAST_COLUMN)
    while lines.next <= len(view.timeline):
        lines.row()
    for number, width in enumerate(_WIDTHS):
        sheet.set_column(number, number, width)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 1)


class _Lines:
    """Writes the lines of the sheet, and beside them the numbers behind the chart of progress."""

    def __init__(self, sheet: OutputSheet, book: OutputWorkbook, view: SummaryView) -> None:
        self.next = 0
        self._sheet = sheet
        self._book = book
        self._view = view
        self._quiet = book.style(font_color=QUIET)
        self._wrapped = book.style(text_wrap=True)
        self._count = book.style(num_format="#,##0", align="right")
        self._data = (("seconds", "rows finished"), *view.timeline) if view.timeline else ()

    def row(self, *cells: tuple[int, _Value, Format], height: float | None = None, wide: int | None = None) -> None:
        """Write column, value and format of each cell; the one in column `wide` reaches to the right edge."""
        sheet, number = self._sheet, self.next
        if height:
            sheet.set_row(number, height)
        for column, value, style in cells:
            if column == wide:
                sheet.merge_range(number, column, number, _LAST_COLUMN, "", style)
            if isinstance(value, tuple):
                sheet.write_formula(number, column, value[0], style, value[1])
            elif isinstance(value, int):
                sheet.write_number(number, column, value, style)
            else:
                sheet.write_string(number, column, readable(value), style)
        if number < len(self._data):
            sheet.write_row(number, _DATA_COLUMN, self._data[number], self._book.style(font_color="#9AA5B1"))
        self.next += 1

    def text(self, text: str, height: float | None = None, **properties: object) -> None:
        """Write a text over the whole width."""
        style = self._book.style(text_wrap=True, **properties)
        self.row((0, text, style), height=height or _height(text, 130), wide=0)

    def heading(self, text: str) -> None:
        """Write a heading with a blank line above it."""
        self.row()
        self.row((0, text, self._book.style(bold=True, font_size=12, font_color=HEADER)), height=20)

    def columns(self) -> None:
        header, view = self._book.header_style(), self._view
        self.heading(f"Columns, by the headers in row {view.header_row:,}")
        self.row((0, "Header", header), (1, "First value", header), (2, "", header), (3, "Field", header), wide=3)
        for column in view.columns:
            style = self._book.style() if column.field else self._book.style(font_color=QUIET, italic=True)
            value = column.first_value
            if len(value) > _VALUE_CHARACTERS:
                value = f"{value[: _VALUE_CHARACTERS - 3]}..."
            self.row((0, column.header, style), (1, value, style), (3, column.meaning, style), wide=3)
        if view.more_columns:
            self.text(view.more_columns, font_color=QUIET)

    def counts(self) -> None:
        """Write the rows of each outcome, and their sum as a formula."""
        self.heading("Rows by outcome")
        self._first_count = self.next
        for count in self._view.counts:
            outcome = self._book.outcome_style(count.kind)
            self.row((0, count.kind.value, outcome), (1, count.rows, self._count), (2, count.meaning, self._quiet))
        if self._view.counts:
            label = self._book.style(bold=True, top=1, border_color=LINE)
            total = self._book.style(bold=True, top=1, border_color=LINE, num_format="#,##0", align="right")
            formula = f"=SUM(B{self._first_count + 1}:B{self.next})"
            self.row((0, "rows in all", label), (1, (formula, self._view.rows), total))

    def causes(self) -> None:
        self.heading("Most common causes")
        header, right = self._book.header_style(), self._book.header_style(align="right")
        names = (0, "Cause", header), (1, "Rows", right), (2, "Example", header), (3, "What is wrong there", header)
        self.row(*names, wide=3)
        for cause in self._view.causes:
            self.row(
                (0, cause.text, self._wrapped),
                (1, cause.count, self._count),
                (2, cause.example_place, self._wrapped),
                (3, cause.example, self._wrapped),
                height=max(_height(cause.example, 88), _height(cause.text, 38), _height(cause.example_place, 17)),
                wide=3,
            )
        if self._view.more_causes:
            self.text(f"and {self._view.more_causes:,} more kinds: see the sheet To fix", font_color=QUIET)

    def charts(self) -> None:
        """Insert the charts and leave room for them."""
        sheet, book, view = self._sheet, self._book, self._view
        self.heading("At a glance" if view.timeline else "The rows")
        row, first = self.next, self._first_count
        last = first + len(view.counts) - 1
        bars = _chart(book, {"type": "bar"}, "Rows by outcome", {
            "name": "rows",
            "categories": ["Summary", first, 0, last, 0],
            "values": ["Summary", first, 1, last, 1],
            "points": [{"fill": {"color": COLOURS[count.kind][1]}} for count in view.counts],
            "gap": 60,
            "data_labels": {"value": True, "num_format": "#,##0"},
        })  # fmt: skip
        bars.set_y_axis({"reverse": True, "line": {"none": True}})
        bars.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
        bars.set_size({"width": 560, "height": 280})
        sheet.insert_chart(row, 0, bars, {"x_offset": 4, "y_offset": 4, "description": view.verdict})
        for _ in range(_CHART_ROWS):
            self.row()
        if not view.timeline:
            return
        title, points = "Rows finished over time", len(view.timeline)
        curve = _chart(book, {"type": "scatter", "subtype": "straight"}, title, {
            "name": "rows finished",
            "categories": ["Summary", 1, _DATA_COLUMN, points, _DATA_COLUMN],
            "values": ["Summary", 1, _DATA_COLUMN + 1, points, _DATA_COLUMN + 1],
            "line": {"color": COLOURS[OutcomeKind.PLANNED][1], "width": 2.25},
        })  # fmt: skip
        curve.set_x_axis({"name": "seconds", "min": 0, "major_gridlines": {"visible": False}})
        gridlines = {"visible": True, "line": {"color": LINE}}
        curve.set_y_axis({"min": 0, "num_format": "#,##0", "major_gridlines": gridlines})
        curve.set_size({"width": 530, "height": 280})
        sheet.insert_chart(row, 3, curve, {"x_offset": 100, "y_offset": 4, "description": title})

    def facts(self) -> None:
        self.heading("Facts")
        for name, value in self._view.facts:
            if len(value) <= _FACT_CHARACTERS:
                self.row((0, name, self._quiet), (1, value, self._book.style()))
            else:
                height = _height(value, _FACT_CHARACTERS)
                self.row((0, name, self._quiet), (1, value, self._wrapped), height=height, wide=1)


def _height(text: str, characters: int) -> float:
    """Return the height of a line, in points, that holds a text wrapped at so many characters."""
    return 15.5 * max(1, math.ceil(len(text) / characters))


def _chart(book: OutputWorkbook, kind: dict[str, str], title: str, series: dict[str, object]) -> Chart:
    chart = book.add_chart(kind)
    chart.add_series(series)
    chart.set_title({"name": title, "name_font": {"size": 12, "color": HEADER}})
    chart.set_legend({"none": True})
    return chart
