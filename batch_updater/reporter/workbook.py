"""Outcomes -> the results workbook, in one pass over the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from batch_updater.endpoint.description import Endpoint
from batch_updater.files.writing import write_workbook
from batch_updater.records import (
    MAPPED_HEADER,
    SETTINGS_SHEET,
    TO_FIX,
    Columns,
    OutcomeKind,
    ReportRow,
    RunFacts,
    Setting,
)
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.changes_sheet import CHANGES, ChangesSheet
from batch_updater.reporter.list_sheets import write_allowed_values, write_expected
from batch_updater.reporter.output_workbook import ROWS_OF_A_SHEET, new_workbook
from batch_updater.reporter.row_sheets import AllRowsSheet, ToFixSheet
from batch_updater.reporter.summary import NEEDS_NOTHING, Summary, Tally
from batch_updater.reporter.summary_sheet import write_summary
from batch_updater.reporter.summary_view import SummaryView, Timeline, summary_view


@dataclass(frozen=True, slots=True)
class WrittenWorkbook:
    """A results workbook that was written, and what it says."""

    path: Path
    """Where it is: next to the target if that is open in another program or was not written by this one."""
    view: SummaryView
    summary: Summary
    change_summary: ChangeSummary
    """The changes of the rows whose record was read."""


def write_results(
    path: Path,
    facts: RunFacts,
    columns: Columns,
    endpoint: Endpoint,
    rows: Iterable[ReportRow],
    *,
    planned: int = 0,
    rows_of_a_sheet: int = ROWS_OF_A_SHEET,
) -> WrittenWorkbook:
    """Write the workbook of a run or a check, whole or not at all.

    `rows` are read once, in file order; `planned` is how many more rows of a check are good. Raises OSError.
    """
    is_check = facts.command == "check"
    written: list[tuple[SummaryView, Summary, ChangeSummary]] = []
    title, mark = ("Results of a check", "check") if is_check else ("Results of a run", "results")
    mark = mark if facts.expected is None else f"undo-{mark}"

    def write(draft: Path) -> None:
        with new_workbook(draft, title, mark, facts.finished_at) as book:
            summary_sheet = book.add_worksheet("Summary")
            to_fix = ToFixSheet(book, columns, endpoint, facts.allowed, rows_of_a_sheet)
            all_rows = None if is_check else AllRowsSheet(book, columns, rows_of_a_sheet)
            changes = ChangesSheet(book, rows_of_a_sheet)
            tally = Tally(columns, planned, of_check=is_check)
            timeline = Timeline(facts.started_at, facts.finished_at)
            change_summary = ChangeSummary.of(endpoint)
            for row in rows:
                tally.add(row.outcome)
                timeline.add(row.outcome)
                if row.changes or row.outcome.kind is OutcomeKind.UNCHANGED:
                    change_summary.add(row)
                    changes.add(row)
                if row.outcome.kind not in NEEDS_NOTHING:
                    to_fix.add(row)
                if all_rows:
                    all_rows.add(row)
            change_summary.settle()
            to_fix.finish()
            if all_rows:
                all_rows.finish()
            changes.finish()
            write_allowed_values(book, facts.allowed)
            if facts.expected is not None:
                write_expected(book, facts.expected.items())
            settings = book.add_list(SETTINGS_SHEET, {"Setting": 28, "Value": 80})
            # By these the sheet To fix is read when it comes back: its headers are written in the same way.
            mapping = (Setting(MAPPED_HEADER + readable(one.header), one.meaning) for one in columns.mapping)
            for number, setting in enumerate((*facts.settings, *mapping), 1):
                settings.write_string(number, 0, readable(setting.name), book.style())
                # The name of a folder may not be valid text.
                settings.write_string(number, 1, readable(setting.value), book.style(text_wrap=True))
            notes = (
                f'The sheet "{name}" is full: {left_out:,} more {what} have no room.'
                for name, left_out, what in ((TO_FIX, to_fix.left_out, "rows"), (CHANGES, changes.left_out, "changes"))
                if left_out
            )
            noted, summary = replace(facts, notes=(*facts.notes, *notes)), tally.summary()
            view = summary_view(noted, endpoint, columns, summary, timeline, change_summary)
            write_summary(summary_sheet, book, view)
            summary_sheet.activate()
            written.append((view, summary, change_summary))

    return WrittenWorkbook(write_workbook(path, write), *written[-1])
