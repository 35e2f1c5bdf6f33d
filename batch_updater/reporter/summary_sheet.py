"""The sheet `Summary`: verdict, what next, counts that add up, causes, charts and facts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_updater.messages import mapping_shown
from batch_updater.records import OutcomeKind
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.change_summary import change_summary_in_words
from batch_updater.reporter.style import COLOURS, EXPLAINED, HEADER, LINE, QUIET
from batch_updater.reporter.summary_view import CAUSES_LISTED, ended_early, example_place, told_facts, what_next

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Cause, Columns, RunFacts
    from batch_updater.reporter.change_summary import ChangeSummary
    from batch_updater.reporter.style import Styles
    from batch_updater.reporter.summary import Summary
    from batch_updater.reporter.summary_view import Progress

_CHART_ROWS = 15
_LAST_COLUMN = 5
_WIDTHS = (40, 10, 18, 30, 30, 30)
_FACT_CHARACTERS = 105
"""What stands on one line beside the name of a fact."""
_VALUE_CHARACTERS = 30
"""What fits into the second and third column together."""
_DATA_COLUMN = 27
"""Where the numbers behind the chart of progress stand, out of the way."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was gathered while the rows were gone over."""

    summary: Summary
    progress: Progress
    change_summary: ChangeSummary


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the sheet."""

    cells: tuple[tuple[int, object, Format], ...]
    """Column, text or number or formula with its value, format."""
    height: float | None = None
    wide: tuple[int, ...] = ()
    """Columns whose cell reaches to the right edge."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """A formula that adds up cells, and what it gives."""

    formula: str
    value: int


class _Page:
    """The lines of the sheet, gathered before they are written from the top."""

    def __init__(self, styles: Styles) -> None:
        self.lines: list[_Line] = []
        self._styles = styles

    def text(self, text: str, height: float | None = None, **properties: object) -> None:
        """Add a line of text over the whole width."""
        style = self._styles(text_wrap=True, **properties)
        self.lines.append(_Line(((0, text, style),), height or _height(text, 130), (0,)))

    def heading(self, text: str) -> None:
        """Add a heading with a blank line above it."""
        self.gap()
        self.lines.append(_Line(((0, text, self._styles(bold=True, font_size=12, font_color=HEADER)),), 20))

    def row(self, *cells: tuple[int, object, Format], height: float | None = None, wide: tuple[int, ...] = ()) -> None:
        """Add a line of cells; those in the columns `wide` reach to the right edge."""
        self.lines.append(_Line(cells, height, wide))

    def gap(self, count: int = 1) -> None:
        """Add blank lines."""
        self.lines.extend([_Line(())] * count)


def write_overview(
    sheet: Worksheet,
    book: Workbook,
    styles: Styles,
    facts: RunFacts,
    endpoint: Endpoint,
    columns: Columns,
    figures: Figures,
) -> None:
    """Fill the sheet. Its lines are gathered first: a sheet on disk is written from the top, once."""
    page, summary, progress = _Page(styles), figures.summary, figures.progress
    page.text(summary.verdict, 30, bold=True, font_size=16)
    page.text(what_next(facts, summary), None, font_size=11)
    if facts.stop:
        page.text(ended_early(facts.stop), font_color=COLOURS[OutcomeKind.REJECTED][1])
    _mapping(page, styles, columns)
    counted = _counts(page, styles, summary, endpoint)
    _stakes(page, figures.change_summary, facts)
    _causes(page, styles, summary)
    charts_at = _room_for_charts(page, summary, progress)
    _facts(page, styles, facts, endpoint)
    _write(sheet, page, styles, progress)
    if charts_at is not None:
        _outcome_chart(sheet, book, charts_at, counted, summary)
        if progress.any:
            _progress_chart(sheet, book, charts_at, len(list(progress.totals())))
    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 1)
    sheet.print_area(0, 0, len(page.lines), _LAST_COLUMN)


def _mapping(page: _Page, styles: Styles, columns: Columns) -> None:
    page.heading(f"Columns, by the headers in row {columns.header_row:,}")
    header = styles.header()
    page.row((0, "Header", header), (1, "First value", header), (2, "", header), (3, "Field", header), wide=(3,))
    shown, more = mapping_shown(columns.mapping)
    for column in shown:
        style = styles() if column.field else styles(font_color=QUIET, italic=True)
        value = column.first_value
        if len(value) > _VALUE_CHARACTERS:
            value = f"{value[: _VALUE_CHARACTERS - 3]}..."
        page.row((0, column.header, style), (1, value, style), (3, column.meaning, style), wide=(3,))
    if more:
        page.text(more, font_color=QUIET)


def _counts(page: _Page, styles: Styles, summary: Summary, endpoint: Endpoint) -> tuple[int, int]:
    """Add the counts; returns the first and the last of their rows."""
    page.heading("What became of the rows")
    first = len(page.lines)
    for kind in OutcomeKind:
        if count := summary[kind]:
            explained = EXPLAINED[kind].format(api=endpoint.api_name)
            number = styles(num_format="#,##0", align="right")
            page.row(
                (0, kind.value, styles.outcome(kind)), (1, count, number), (2, explained, styles(font_color=QUIET))
            )
    last = len(page.lines) - 1
    total = styles(bold=True, num_format="#,##0", top=1, border_color=LINE, align="right")
    if last >= first:
        formula = _Sum(f"=SUM(B{first + 1}:B{last + 1})", summary.rows)
        page.row((0, "rows in all", styles(bold=True, top=1, border_color=LINE)), (1, formula, total))
    return first, last


def _stakes(page: _Page, change_summary: ChangeSummary, facts: RunFacts) -> None:
    if lines := change_summary_in_words(change_summary):
        page.heading("What would change" if facts.command == "check" else "What has changed, or would")
        for line in lines:
            page.text(line)


def _causes(page: _Page, styles: Styles, summary: Summary) -> None:
    if not summary.causes:
        return
    page.heading("Commonest causes")
    header = styles.header()
    page.row(
        (0, "Cause", header),
        (1, "Rows", styles.header(align="right")),
        (2, "Example", header),
        (3, "What is wrong there", header),
        wide=(3,),
    )
    for cause in summary.causes[:CAUSES_LISTED]:
        height = max(_height(cause.example, 88), _height(cause.text, 38))
        page.row(*_cause_cells(cause, styles), height=height, wide=(3,))
    if (rest := len(summary.causes) - CAUSES_LISTED) and rest > 0:
        page.text(f"and {rest:,} more kinds: see the sheet To fix", font_color=QUIET)


def _cause_cells(cause: Cause, styles: Styles) -> tuple[tuple[int, object, Format], ...]:
    wrapped = styles(text_wrap=True)
    return (
        (0, cause.text, wrapped),
        (1, cause.count, styles(num_format="#,##0", align="right")),
        (2, example_place(cause), styles()),
        (3, cause.example, wrapped),
    )


def _room_for_charts(page: _Page, summary: Summary, progress: Progress) -> int | None:
    if not summary.rows:
        return None
    page.heading("At a glance" if progress.any else "The rows")
    page.gap(_CHART_ROWS)
    return len(page.lines) - _CHART_ROWS


def _facts(page: _Page, styles: Styles, facts: RunFacts, endpoint: Endpoint) -> None:
    page.heading("Facts")
    for name, value in told_facts(facts, endpoint):
        label = (0, name, styles(font_color=QUIET, valign="top"))
        if len(value) <= _FACT_CHARACTERS:
            page.row(label, (1, value, styles()))
        else:
            page.row(label, (1, value, styles(text_wrap=True)), height=_height(value, _FACT_CHARACTERS), wide=(1,))


def _write(sheet: Worksheet, page: _Page, styles: Styles, progress: Progress) -> None:
    """Write the lines from the top, and beside them the numbers behind the chart."""
    data = list(progress.totals()) if progress.any else []
    quiet = styles(font_color="#9AA5B1")
    for number in range(max(len(page.lines), len(data) + 1)):
        line = page.lines[number] if number < len(page.lines) else _Line(())
        if line.height:
            sheet.set_row(number, line.height)
        for column, value, style in line.cells:
            if column in line.wide:
                sheet.merge_range(number, column, number, _LAST_COLUMN, "", style)
            _write_cell(sheet, number, column, value, style)
        if data and number == 0:
            sheet.write_row(0, _DATA_COLUMN, ("seconds", "rows finished"), quiet)
        elif 0 < number <= len(data):
            sheet.write_row(number, _DATA_COLUMN, data[number - 1], quiet)


def _write_cell(sheet: Worksheet, row: int, column: int, value: object, style: Format) -> None:
    if isinstance(value, _Sum):
        sheet.write_formula(row, column, value.formula, style, value.value)
    elif isinstance(value, int):
        sheet.write_number(row, column, value, style)
    else:
        sheet.write_string(row, column, readable(str(value)), style)


def _height(text: str, characters: int) -> float:
    """Return the height of a line, in points, that holds a text wrapped at so many characters."""
    return 15.5 * max(1, math.ceil(len(text) / characters))


def _outcome_chart(sheet: Worksheet, book: Workbook, row: int, counted: tuple[int, int], summary: Summary) -> None:
    first, last = counted
    chart = book.add_chart({"type": "bar"})
    points = [{"fill": {"color": COLOURS[kind][1]}} for kind in OutcomeKind if summary[kind]]
    chart.add_series({
        "name": "rows",
        "categories": ["Summary", first, 0, last, 0],
        "values": ["Summary", first, 1, last, 1],
        "points": points,
        "gap": 60,
        "data_labels": {"value": True, "num_format": "#,##0"},
    })  # fmt: skip
    chart.set_title({"name": "Rows by outcome", "name_font": {"size": 12, "color": HEADER}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "line": {"none": True}})
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    chart.set_size({"width": 560, "height": 280})
    sheet.insert_chart(row, 0, chart, {"x_offset": 4, "y_offset": 4, "description": summary.verdict})


def _progress_chart(sheet: Worksheet, book: Workbook, row: int, points: int) -> None:
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    chart.add_series({
        "name": "rows finished",
        "categories": ["Summary", 1, _DATA_COLUMN, points, _DATA_COLUMN],
        "values": ["Summary", 1, _DATA_COLUMN + 1, points, _DATA_COLUMN + 1],
        "line": {"color": COLOURS[OutcomeKind.PLANNED][1], "width": 2.25},
    })  # fmt: skip
    chart.set_title({"name": "Rows finished over time", "name_font": {"size": 12, "color": HEADER}})
    chart.set_legend({"none": True})
    chart.set_x_axis({"name": "seconds", "min": 0, "major_gridlines": {"visible": False}})
    chart.set_y_axis({"min": 0, "num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": LINE}}})
    chart.set_size({"width": 530, "height": 280})
    sheet.insert_chart(row, 3, chart, {"x_offset": 100, "y_offset": 4, "description": "Rows finished over time"})
