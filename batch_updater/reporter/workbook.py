"""Outcomes -> the results workbook, in one pass over the rows."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from xlsxwriter.exceptions import XlsxFileError

from batch_updater.files import write_workbook
from batch_updater.model import MARK_PROPERTY, OutcomeKind
from batch_updater.reporter.book import Book
from batch_updater.reporter.changes import ChangesSheet
from batch_updater.reporter.content import Progress
from batch_updater.reporter.exact import readable
from batch_updater.reporter.expected import write_expected
from batch_updater.reporter.lists import ValidNames
from batch_updater.reporter.overview import Figures, write_overview
from batch_updater.reporter.rows import AllRowsSheet, ToFixSheet
from batch_updater.reporter.style import Styles
from batch_updater.stakes import Stakes
from batch_updater.summary import NEEDS_NOTHING, RUN_AGAIN, Summary, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.model import Columns, ReportRow, RunFacts

ROWS_OF_A_SHEET = 1_048_576
"""What an xlsx sheet holds at most, its header included (ECMA-376, part 1, 18.3.1.73)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A workbook that was written."""

    path: Path
    """Where it is: beside the target if another program holds that open, or somebody has put a file there."""
    summary: Summary
    progress: Progress
    stakes: Stakes
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
    found: list[tuple[Summary, Progress, Stakes]] = []

    def write(draft: Path) -> None:
        with draft.open("r+b", buffering=0) as file, _Sink(file) as sink:
            book = _Results(sink, facts, columns, endpoint, rows_of_a_sheet)
            found.append((book.write(rows, planned), book.progress, book.stakes))

    return Written(write_workbook(path, write), *found[0])


class _Sink(io.RawIOBase):
    """A file for a zip file: once a fault is known or the block has ended, it takes whatever comes and keeps nothing.

    A zip file that cannot be written would otherwise raise once more when it is thrown away, where nobody can catch it.
    The fault is raised at the end of the block.
    """

    def __init__(self, file: io.RawIOBase) -> None:
        self._file: io.RawIOBase | None = file
        self._at = 0
        self._fault: OSError | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file = None
        if isinstance(error, XlsxFileError):
            raise self._fault or OSError(str(error)) from error
        if error is None and self._fault:
            raise self._fault

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if self._file:
            self._at = self._file.seek(offset, whence)
        return self._at

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # zipfile gives bytes
        rest = memoryview(data)
        try:
            while rest and self._file:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._file, self._fault = None, error
        self._at += len(data)
        return len(data)


class _Results:
    """One workbook while it is written."""

    def __init__(
        self, sink: io.RawIOBase, facts: RunFacts, columns: Columns, endpoint: Endpoint, rows_of_a_sheet: int
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
        self.stakes = Stakes.of(endpoint)
        self.progress = Progress(facts.started_at, facts.finished_at)

    def write(self, rows: Iterable[ReportRow], planned: int) -> Summary:
        """Go over the rows and fill every sheet. Returns what became of them."""
        tally = Tally(self._columns, planned, of_check=self._facts.command == "check")
        for row in rows:
            tally.add(row.outcome)
            self.progress.add(row.outcome)
            if row.changes or row.outcome.kind is OutcomeKind.UNCHANGED:
                self.stakes.add(row)
                self._changes.add(row)
            if row.outcome.kind not in NEEDS_NOTHING:
                self._to_fix.add(row)
            if self._all:
                self._all.add(row)
        self.stakes.settle()
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
        figures = Figures(self.progress, self.stakes)
        write_overview(self._overview, self._book, self._styles, facts, summary, self._endpoint, figures)
        self._overview.activate()
        # Created and modified alike: that is how an untouched workbook of ours is told from one that somebody saved.
        written_at = facts.finished_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        title = "Results of a check" if facts.command == "check" else "Results of a run"
        self._book.set_properties({"title": title, "created": written_at})
        mark = "check" if facts.command == "check" else "results"
        self._book.set_custom_property(MARK_PROPERTY, mark if facts.expected is None else f"undo-{mark}")
        self._book.close()

    def _write_settings(self) -> None:
        sheet = self._book.add_worksheet("Settings")
        sheet.write_row(0, 0, ("Setting", "Value"), self._styles.header())
        wrapped = self._styles(text_wrap=True)
        for number, setting in enumerate(self._facts.settings, 1):
            sheet.write_string(number, 0, setting.name, self._styles())
            sheet.write_string(number, 1, readable(setting.value), wrapped)  # a folder's name may be no text
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 80)
        sheet.freeze_panes(1, 0)
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)


__all__ = ["ROWS_OF_A_SHEET", "OutcomeKind", "Written", "write_results"]
