"""Outcomes -> the results workbook, in one pass over the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from batch_updater.files.writing import write_workbook
from batch_updater.records import MAPPED_HEADER, MARK_PROPERTY, SETTINGS_SHEET, OutcomeKind, Setting
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.changes_sheet import ChangesSheet
from batch_updater.reporter.expected_sheet import write_expected
from batch_updater.reporter.list_sheets import ValidNames
from batch_updater.reporter.output_workbook import Book, sink_for
from batch_updater.reporter.row_sheets import AllRowsSheet, ToFixSheet, bounded
from batch_updater.reporter.style import Styles
from batch_updater.reporter.summary import NEEDS_NOTHING, RUN_AGAIN, Summary, Tally
from batch_updater.reporter.summary_sheet import Figures, write_overview
from batch_updater.reporter.summary_view import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import RawIOBase
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Columns, ReportRow, RunFacts

ROWS_OF_A_SHEET = 1_048_576
"""What an xlsx sheet holds at most, its header included (ECMA-376, part 1, 18.3.1.73)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A workbook that was written."""

    path: Path
    """Where it is: beside the target if another program holds that open, or somebody has put a file there."""
    summary: Summary
    progress: Progress
    change_summary: ChangeSummary
    """What the changes of rows whose record was read come to."""


def write_results(
    path: Path,
    facts: RunFacts,
    columns: Columns,
    endpoint: Endpoint,
    rows: Iterable[ReportRow],
    *,
    planned: int = 0,
    rows_of_a_sheet: int = ROWS_OF_A_SHEET,
) -> Written:
    """Write the workbook of a run or a check, whole or not at all.

    `rows` are gone over once, in file order; `planned` is how many good rows a check has beside them. Raises OSError.
    """
    found: list[tuple[Summary, Progress, ChangeSummary]] = []

    def write(draft: Path) -> None:
        with sink_for(draft) as sink:
            book = _Results(sink, facts, columns, endpoint, rows_of_a_sheet)
            found.append((book.write(rows, planned), book.progress, book.change_summary))

    return Written(write_workbook(path, write), *found[0])


class _Results:
    """One workbook while it is written."""

    def __init__(
        self, sink: RawIOBase, facts: RunFacts, columns: Columns, endpoint: Endpoint, rows_of_a_sheet: int
    ) -> None:
        self._book = Book(sink)
        self._facts = facts
        self._endpoint = endpoint
        self._columns = columns
        styles = self._styles = Styles(self._book)
        self._overview = self._book.add_worksheet("Summary")
        self._names = ValidNames(endpoint, facts.allowed)
        self._to_fix = ToFixSheet(self._book, styles, columns, endpoint, self._names, rows_of_a_sheet)
        self._all = AllRowsSheet(self._book, styles, columns, rows_of_a_sheet) if facts.command != "check" else None
        self._changes = ChangesSheet(self._book, styles, rows_of_a_sheet)
        self.change_summary = ChangeSummary.of(endpoint)
        self.progress = Progress(facts.started_at, facts.finished_at)

    def write(self, rows: Iterable[ReportRow], planned: int) -> Summary:
        """Go over the rows and fill every sheet. Returns what became of them."""
        tally = Tally(self._columns, planned, of_check=self._facts.command == "check")
        for row in rows:
            tally.add(row.outcome)
            self.progress.add(row.outcome)
            if row.changes or row.outcome.kind is OutcomeKind.UNCHANGED:
                self.change_summary.add(row)
                self._changes.add(row)
            if row.outcome.kind not in NEEDS_NOTHING:
                self._to_fix.add(row)
            if self._all:
                self._all.add(row)
        self.change_summary.settle()
        summary = tally.summary()
        self._finish(summary)
        return summary

    def _finish(self, summary: Summary) -> None:
        self._to_fix.finish()
        if self._all:
            self._all.finish()
        self._changes.finish()
        self._names.write(self._book, self._styles)
        if self._facts.expected is not None:
            write_expected(self._book, self._styles, self._facts.expected.items())
        self._write_settings()
        facts = self._facts if summary.total(RUN_AGAIN) else replace(self._facts, stop=None)
        figures = Figures(summary, self.progress, self.change_summary)
        write_overview(self._overview, self._book, self._styles, facts, self._endpoint, self._columns, figures)
        self._overview.activate()
        # Created and modified alike: that is how an untouched workbook of ours is told from one that somebody saved.
        written_at = facts.finished_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        title = "Results of a check" if facts.command == "check" else "Results of a run"
        self._book.set_properties({"title": title, "created": written_at})
        mark = "check" if facts.command == "check" else "results"
        self._book.set_custom_property(MARK_PROPERTY, mark if facts.expected is None else f"undo-{mark}")
        self._book.close()

    def _write_settings(self) -> None:
        sheet = self._book.add_worksheet(SETTINGS_SHEET)
        sheet.write_row(0, 0, ("Setting", "Value"), self._styles.header())
        wrapped = self._styles(text_wrap=True)
        # By these the sheet To fix is read when it comes back: its headers are written in the same way.
        mapping = (Setting(MAPPED_HEADER + bounded(one.header), one.meaning) for one in self._columns.mapping)
        for number, setting in enumerate((*self._facts.settings, *mapping), 1):
            sheet.write_string(number, 0, bounded(setting.name), self._styles())
            sheet.write_string(number, 1, readable(setting.value), wrapped)  # a folder's name may be no text
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 80)
        sheet.freeze_panes(1, 0)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)


__all__ = ["ROWS_OF_A_SHEET", "OutcomeKind", "Written", "write_results"]
