"""Outcomes -> the results workbook, in one pass over the rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.files.writing import write_workbook
from batch_updater.records import (
    MAPPED_HEADER,
    ORIGIN_SETTING,
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
from batch_updater.reporter.edits_sheet import EDITS, EditsSheet
from batch_updater.reporter.list_sheets import write_allowed_values, write_expected
from batch_updater.reporter.output_workbook import ROWS_OF_A_SHEET, OutputWorkbook, new_workbook
from batch_updater.reporter.row_sheets import AllRowsSheet, ToFixSheet
from batch_updater.reporter.summary import NEEDS_NOTHING, Summary, Tally
from batch_updater.reporter.summary_sheet import write_summary
from batch_updater.reporter.summary_view import SummaryView, Timeline, summary_view


class WrittenWorkbook(msgspec.Struct, frozen=True):
    """A results workbook that was written, and what it says."""

    path: Path
    """Where it is: next to the target if that is open in another program or was not written by this one."""
    view: SummaryView
    summary: Summary
    change_summary: ChangeSummary
    """The changes of the rows whose record was read."""


class ResultsWorkbook:
    """The workbook of a run or a check while it is filled, row by row in file order."""

    def __init__(
        self,
        book: OutputWorkbook,
        columns: Columns,
        endpoint: Endpoint,
        started_at: datetime,
        *,
        is_check: bool = False,
        planned: int = 0,
        rows_of_a_sheet: int = ROWS_OF_A_SHEET,
    ) -> None:
        """`planned` is how many rows of a check are good besides those that are added."""
        self._book = book
        self._columns = columns
        self._endpoint = endpoint
        self._is_check = is_check
        self._summary_sheet = book.add_worksheet("Summary")
        self._to_fix = ToFixSheet(book, columns, endpoint, rows_of_a_sheet)
        self._all_rows = None if is_check else AllRowsSheet(book, columns, rows_of_a_sheet)
        self._changes = ChangesSheet(book, columns, rows_of_a_sheet)
        self._edits = EditsSheet(book, columns, rows_of_a_sheet)
        self._tally = Tally(columns, planned, of_check=is_check)
        self._timeline = Timeline(started_at)
        self._change_summary = ChangeSummary.of(endpoint, columns)

    def add(self, row: ReportRow) -> None:
        """Write one row."""
        outcome = row.outcome
        self._tally.add(outcome)
        self._timeline.add(outcome)
        if row.changes or outcome.kind is OutcomeKind.UNCHANGED:
            self._change_summary.add(row)
            self._changes.add(row)
        if row.edits:
            self._edits.add(row)
        if outcome.kind not in NEEDS_NOTHING:
            self._to_fix.add(row)
        if self._all_rows:
            self._all_rows.add(row)

    def finish(self, facts: RunFacts) -> tuple[SummaryView, Summary, ChangeSummary]:
        """Write what is known only at the end; returns what the workbook says, and what its changes come to."""
        book = self._book
        self._change_summary.settle()
        self._to_fix.finish(facts.allowed)
        if self._all_rows:
            self._all_rows.finish()
        self._changes.finish()
        self._edits.finish()
        write_allowed_values(book, facts.allowed)
        if facts.expected is not None:
            write_expected(book, facts.expected.items())
        settings = book.add_list(SETTINGS_SHEET, {"Setting": 28, "Value": 80})
        # By these the sheet To fix is read when it comes back: its headers are written in the same way.
        own = [Setting(MAPPED_HEADER + readable(one.header), one.meaning) for one in self._columns.mapping]
        if facts.origin:
            origin = replace(facts.origin, rows=self._to_fix.rows)
            own.append(Setting(ORIGIN_SETTING, msgspec.json.encode(origin).decode()))
        for number, setting in enumerate((*facts.settings, *own), 1):
            settings.write_string(number, 0, readable(setting.name), book.style())
            # The name of a folder may not be valid text.
            settings.write_string(number, 1, readable(setting.value), book.style(text_wrap=True))
        full = (
            (TO_FIX, self._to_fix.left_out, "rows"), (CHANGES, self._changes.left_out, "changes"),
            (EDITS, self._edits.left_out, "edits"),
        )  # fmt: skip
        notes = (
            f'The sheet "{name}" is full: {left_out:,} more {what} have no room.'
            for name, left_out, what in full
            if left_out
        )
        noted, summary = replace(facts, notes=(*facts.notes, *notes)), self._tally.summary()
        view = summary_view(noted, self._endpoint, self._columns, summary, self._timeline, self._change_summary)
        write_summary(self._summary_sheet, book, view)
        self._summary_sheet.activate()
        title, mark = ("Results of a check", "check") if self._is_check else ("Results of a run", "results")
        book.describe(title, mark if facts.expected is None else f"undo-{mark}", facts.finished_at)
        return view, summary, self._change_summary


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
    written: list[tuple[SummaryView, Summary, ChangeSummary]] = []

    def write(draft: Path) -> None:
        with new_workbook(draft) as book:
            results = ResultsWorkbook(
                book, columns, endpoint, facts.started_at, is_check=facts.command == "check", planned=planned,
                rows_of_a_sheet=rows_of_a_sheet,
            )  # fmt: skip
            for row in rows:
                results.add(row)
            written.append(results.finish(facts))

    return WrittenWorkbook(write_workbook(path, write), *written[-1])
