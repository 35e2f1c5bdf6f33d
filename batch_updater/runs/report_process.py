"""A second process that writes the results workbook while rows are sent.

It follows the table of the run in the order of its rows, and writes each one as soon as its outcome is final, so that
little is left to write after the last answer. Nothing depends on it: if it cannot be started, dies or is stuck, the run
writes the workbook itself.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import ResultsError
from batch_updater.files.writing import temporary_folder, write_workbook
from batch_updater.records import Outcome, RunFacts, StagedInput
from batch_updater.reporter.output_workbook import new_workbook
from batch_updater.reporter.page import RowsForReview
from batch_updater.reporter.workbook import ResultsWorkbook, WrittenWorkbook
from batch_updater.runs.rows import with_changes
from batch_updater.runs.store import BEFORE_ALL_ROWS, StoredRow, opened_store

FEWEST_ROWS = 5_000
"""For fewer rows it takes longer to start than it saves."""
_LOOKED_EVERY_S, _LOOKED_AT_LEAST_EVERY_S = 0.25, 4.0
"""How often the table is looked at for rows that are final by now: less often where few come in that time."""
_FEW = 250
_PATIENCE_S = 60.0
"""How long it may say nothing once every row is final: then it counts as stuck."""
_SAID_EVERY = 5_000
"""Rows that it then writes before it says that it goes on."""
_TASK, _END, _WORKBOOK, _ERRORS = "task", "end", "results.xlsx", "errors"
"""Files in its folder."""
_NICER_BY = 5
"""Sending cannot wait, and what this process does can."""
_log = logging.getLogger("batch_updater.runs")


class _Task(NamedTuple):
    """What it has to know from the start."""

    database: Path
    staged: StagedInput
    endpoint: Endpoint
    started_at: datetime


class _End(NamedTuple):
    """What is known once every row is final."""

    facts: RunFacts
    unsent: Outcome
    """The outcome of a row that had no turn."""


class Report(NamedTuple):
    """What was written, and the rows that the page shows."""

    workbook: WrittenWorkbook
    for_review: RowsForReview


class ReportProcess:
    """The process as the run sees it; a context manager that ends it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, stack: ExitStack) -> None:
        self._process = process
        self._folder = folder
        self._stack = stack
        self._messages: queue.SimpleQueue[Report | int | None] = queue.SimpleQueue()
        """What it says: its report, or how many rows it has written; None if it ended without a report."""
        self._listener = threading.Thread(target=self._listen, name="report listener", daemon=True)
        self._listener.start()

    @classmethod
    def start(cls, database: Path, staged: StagedInput, endpoint: Endpoint, started_at: datetime) -> Self | None:
        """Start to follow the run in a database. Returns None if that is not possible."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(temporary_folder())
                (folder / _TASK).write_bytes(pickle.dumps(_Task(database.absolute(), staged, endpoint, started_at)))
                errors = stack.enter_context((folder / _ERRORS).open("wb"))
                process = subprocess.Popen(  # noqa: S603  (this very program)
                    [sys.executable, "-P", "-c", f"from {__name__} import main; main()", str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    # It imports what this process does, and its temporary files are all in its folder.
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
                    start_new_session=True,  # Ctrl-C is for the run alone
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
                )
            except (OSError, ResultsError) as error:
                _warn(f"it cannot be started: {error}")
                return None
            return cls(process, folder, stack.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        with suppress(OSError):  # what was not taken from a pipe any more
            self._process.__exit__(None, None, None)
        self._stack.close()

    def finish(self, results: Path, facts: RunFacts, unsent: Outcome, patience_s: float = _PATIENCE_S) -> Report | None:
        """Let it write the rest, and put the workbook into its place.

        Returns None if it does not write it, or says nothing for `patience_s`. Raises OSError if the place cannot be
        written.
        """
        try:
            (self._folder / _END).write_bytes(pickle.dumps(_End(facts, unsent)))
            if self._process.stdin:
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()
            while isinstance(report := self._messages.get(timeout=patience_s), int):
                pass
        except queue.Empty:
            _warn(f"it said nothing for {patience_s:g} s")
            return None
        except OSError as error:
            _warn(f"it is not reached: {error}")
            return None
        if report is None:
            said = (self._folder / _ERRORS).read_text(encoding="utf-8", errors="replace").strip()
            _warn(f"it ended before its time: {said.rpartition(chr(10))[2]}")
            return None
        path = write_workbook(results, lambda draft: shutil.copyfile(report.workbook.path, draft))
        return report._replace(workbook=replace(report.workbook, path=path))

    def _listen(self) -> None:
        """Pass on what it says until it ends. Runs in a thread of its own."""
        report = None
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while self._process.stdout and not isinstance(report, Report):
                report = pickle.load(self._process.stdout)  # noqa: S301  (from this very program)
                self._messages.put(report)
        self._messages.put(None)


def _warn(why: str) -> None:
    why = f"the run writes the workbook itself, not a second process: {why}"
    _log.warning("no report process", extra={"event": "no report process", "why": why})


# --- in the process itself -------------------------------------------------------------------------------------------


class _OrphanedError(Exception):
    """The run was killed."""


def main() -> None:
    """Follow a run until it ends, write its workbook, and say so to the run."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the run decides; Windows has no SIGHUP
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICER_BY)
    folder = Path(sys.argv[1])
    try:
        _follow(folder)
    except (_OrphanedError, BrokenPipeError):
        shutil.rmtree(folder, ignore_errors=True)


def _follow(folder: Path) -> None:
    """Write the workbook. Raises _OrphanedError."""
    task: _Task = pickle.loads((folder / _TASK).read_bytes())  # noqa: S301  (from the run)
    staged, endpoint = task.staged, task.endpoint
    is_ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
    """Has one entry: whether the run has ended, or is gone."""
    threading.Thread(target=lambda: is_ended.put(bool(sys.stdin.buffer.read(1))), daemon=True).start()
    for_review, draft = RowsForReview(staged.columns, endpoint), folder / _WORKBOOK
    draft.touch()
    with opened_store(task.database) as store, new_workbook(draft) as book:
        results, names, has_changes = (
            ResultsWorkbook(book, staged.columns, endpoint, task.started_at),
            store.names(),
            False,
        )

        def add(rows: Iterable[StoredRow]) -> Iterable[int]:
            """Write rows; yields the number of each."""
            nonlocal has_changes
            for row in for_review.noting(with_changes(rows, staged, endpoint, names)):
                results.add(row)
                has_changes = has_changes or bool(row.changes)
                yield row.row.number

        after, since_waited, wait_s, has_ended = BEFORE_ALL_ROWS, 0, _LOOKED_EVERY_S, None
        while has_ended is None:
            written = list(add(store.final_rows(after)))
            after = written[-1] if written else after
            since_waited += len(written)
            is_behind = len(written) >= _FEW
            if not is_behind:
                wait_s = _LOOKED_EVERY_S if since_waited >= _FEW else min(2 * wait_s, _LOOKED_AT_LEAST_EVERY_S)
                since_waited = 0
            with suppress(queue.Empty):
                has_ended = is_ended.get(timeout=0 if is_behind else wait_s)
        if not has_ended:
            raise _OrphanedError
        end: _End = pickle.loads((folder / _END).read_bytes())  # noqa: S301  (from the run)
        for count, _ in enumerate(add(store.rows(end.unsent, after=after))):
            if not count % _SAID_EVERY:
                _say(count)
        if has_changes and end.facts.allowed != names:
            raise RuntimeError("names that were learned meanwhile are shown otherwise in the rows that are written")
        view, summary, change_summary = results.finish(end.facts)
    _say(Report(WrittenWorkbook(draft, view, summary, change_summary), for_review))


def _say(message: Report | int) -> None:
    pickle.dump(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()
