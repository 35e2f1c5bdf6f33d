"""SummaryView -> report.html: the summary and the rows for review, for those who get a link and no workbook.

The page is complete in itself: it has no script and loads nothing. It is well-formed XML, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from batch_updater.endpoint.description import Endpoint
from batch_updater.files.writing import write_whole
from batch_updater.messages import what_to_do, wrong_in_rounds
from batch_updater.records import Columns, OutcomeKind, ReportRow
from batch_updater.reporter.cell_values import shown
from batch_updater.reporter.markup import TEMPLATES, as_value, bar_parts, in_body, plain, shortened
from batch_updater.reporter.style import COLOURS
from batch_updater.reporter.summary import NEEDS_PERSON
from batch_updater.reporter.summary_view import SummaryView

PAGE = "report.html"
"""The page's name in a run's folder."""
_ROWS_SHOWN = 1_000
_CELLS_SHOWN = 8
"""Of one row."""


class _NamedCell(NamedTuple):
    header: str
    address: str
    value: str


class _ReviewedRow(NamedTuple):
    """A row that needs a person, its texts no longer than they are shown."""

    number: int
    kind: OutcomeKind
    selecting: Sequence[_NamedCell]
    """The cells that say which record it is."""
    wrong: str
    faulty: Sequence[_NamedCell]
    more_faulty: int
    todo: str


class RowsForReview:
    """The rows that need a person, as the page shows them: the first thousand, so that memory stays flat."""

    def __init__(self, columns: Columns, endpoint: Endpoint) -> None:
        self._columns = columns
        selecting = (field.name for field in endpoint.fields if field.selects_record)
        self._selecting = tuple(name for name in selecting if name in columns.of_field)
        self.rows: list[_ReviewedRow] = []
        """In file order."""

    def noting(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """Pass on every row, and keep what the page shows of those that need a person."""
        for row in rows:
            if row.outcome.kind in NEEDS_PERSON and len(self.rows) < _ROWS_SHOWN:
                outcome, columns = row.outcome, self._columns
                fields = dict.fromkeys(problem.field for problem in outcome.problems if problem.field)
                faulty = [field for field in fields if field in columns.of_field]
                self.rows.append(
                    _ReviewedRow(
                        number=row.row.number,
                        kind=outcome.kind,
                        selecting=self._cells(row, self._selecting),
                        wrong=shortened(wrong_in_rounds(row, columns)),
                        faulty=self._cells(row, faulty[:_CELLS_SHOWN]),
                        more_faulty=max(len(faulty) - _CELLS_SHOWN, 0),
                        todo=shortened(what_to_do(outcome, columns)),
                    )
                )
            yield row

    def _cells(self, row: ReportRow, fields: Sequence[str]) -> list[_NamedCell]:
        columns, number = self._columns, row.row.number
        return [
            _NamedCell(
                as_value(columns.headers[columns.of_field[field]]),
                columns.cell(number, field) or "",
                as_value(shown(row.row.cells[columns.of_field[field]])),
            )
            for field in fields
        ]


def write_page(path: Path, view: SummaryView, reviewed: RowsForReview, workbook: Path | None) -> None:
    """Write the page, whole or not at all, for its owner alone. `workbook`: None if it was not written.

    Raises OSError.
    """
    from markupsafe import Markup  # noqa: PLC0415  (only where a page is written)

    from batch_updater.text.templates import environment_of  # noqa: PLC0415  (as above)

    environment = environment_of(TEMPLATES, in_body)
    environment.filters |= {"plain": plain, "value": as_value}
    environment.globals["bar_parts"] = bar_parts
    style = environment.get_template("report.css.j2").render(colours=COLOURS)
    is_beside = workbook is not None and workbook.parent == path.parent
    text = environment.get_template("report.html.j2").render(
        view=view,
        next_step=view.next_step.with_workbook(workbook.name) if workbook else view.next_step,
        reviewed=reviewed.rows,
        workbook=workbook,
        # Relative, so that it works wherever the folder is moved.
        link=f"./{quote(os.fsencode(workbook.name))}" if workbook and is_beside else None,
        style=Markup(style),  # noqa: S704  (our own template)
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
