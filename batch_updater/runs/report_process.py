"""A second process that writes the results workbook while rows are sent.

It follows the table of the run in the order of its rows, and writes each one as soon as its outcome is final, so that
little is left to write after the last answer. Nothing depends on it: if it cannot be started, dies or is stuck, the run
writes the workbook itself.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import ResultsError
from batch_updater.files.writing import temporary_folder, write_workbook
from batch_updater.records import Outcome, RunFacts, StagedInput
from batch_updater.reporter.output_workbook import new_workbook
from batch_updater.reporter.page import RowsForReview
from batch_updater.reporter.workbook import ResultsWorkbook, WrittenWorkbook
from batch_updater.runs.edits import EditsOfRows
from batch_updater.runs.family import first_round
from batch_updater.runs.rows import with_changes
from batch_updater.runs.store import BEFORE_ALL_ROWS, StoredRow, opened_store

FEWEST_ROWS = 8_000
"""For fewer rows it takes longer to start than it saves."""
_LOOKED_EVERY_S, _LOOKED_AT_LEAST_EVERY_S = 0.25, 4.0
"""How often the table is looked at for rows that are final by now: less often where few come in that time."""
_FEW = 250
_PATIENCE_S, _SAID_EVERY_S = 30.0, 2.0
"""How long it may say nothing before it counts as stuck, and how often it says that it goes on."""
_SIGNALS_NOTICED_AFTER_S = 0.5
"""Windows interrupts no wait: a second signal is noticed between two."""
_TASK, _END, _WORKBOOK, _ERRORS = "task", "end", "results.xlsx", "errors"
"""Files in its folder."""
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*w?[0-9.]*t?", re.IGNORECASE)
"""The name of an interpreter. A program that embeds one, or is packed with one, would start itself once more."""
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

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._stack = ExitStack()
        """What is left to remove."""
        self._messages: queue.SimpleQueue[Report | int | None] = queue.SimpleQueue()
        """What it says: its report, or how often it has said that it goes on; None if it ended without a report."""
        self._listener = threading.Thread(target=self._listen, name="report listener", daemon=True)
        self._listener.start()

    @classmethod
    def start(cls, database: Path, staged: StagedInput, endpoint: Endpoint, started_at: datetime) -> Self | None:
        """Start to follow the run in a database. Returns None if that is not possible."""
        interpreter = sys.executable
        if not interpreter or not _PYTHON.fullmatch(Path(interpreter).name.removesuffix(".exe")):
            return None
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(temporary_folder())
                (folder / _TASK).write_bytes(pickle.dumps(_Task(database.absolute(), staged, endpoint, started_at)))
                errors = stack.enter_context((folder / _ERRORS).open("wb"))
                process = subprocess.Popen(  # noqa: S603  (this very program)
                    [interpreter, "-P", "-c", f"from {__name__} import main; main()", str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    # It imports what this process does, and its temporary files are all in its folder.
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path)), "TMPDIR": str(folder)},
                    start_new_session=True,  # Ctrl-C is for the run alone, also on Windows; and there is no window
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
                    | getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
                stack.callback(process.kill)
                started = cls(process, folder)
            except (OSError, ResultsError, RuntimeError) as error:  # RuntimeError: no more threads
                _warn(f"it cannot be started: {error}")
                return None
            started._stack = stack.pop_all()
            return started

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
        except OSError:
            self._process.kill()  # if it has not ended by itself
        import batch_updater.text.templates  # noqa: F401  (the page is next, and meanwhile there is time)

        report: Report | int | None = 0
        latest = time.monotonic() + patience_s
        while isinstance(report, int):
            try:
                report = self._messages.get(timeout=_SIGNALS_NOTICED_AFTER_S)
                latest = time.monotonic() + patience_s
            except queue.Empty:
                if time.monotonic() > latest:
                    _warn(f"it said nothing for {patience_s:g} s")
                    return None
        if report is None:
            said = (self._folder / _ERRORS).read_text(encoding="utf-8", errors="replace").strip()
            # The name of the error alone: what else it says may be a cell.
            _warn(f"it ended before its time ({said.splitlines()[-1].partition(':')[0] if said else 'killed'})")
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


def main() -> None:
    """Follow a run until it ends, write its workbook, and say so to the run."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the run decides; Windows has no SIGHUP
        if name in signal.Signals.__members__:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_NICER_BY)
    folder, has_ended, voice = Path(sys.argv[1]), threading.Event(), threading.Lock()
    is_alone = threading.Event()

    def listen() -> None:
        if os.read(sys.stdin.fileno(), 1):
            has_ended.set()
            for number in itertools.count(1):
                time.sleep(_SAID_EVERY_S)
                say(number)
        is_alone.set()  # the run was killed
        _remove(folder)
        os._exit(1)

    def say(message: Report | int) -> None:
        data = memoryview(pickle.dumps(message))
        with voice:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]

    # These threads use no stream of Python's: one that is being used while the interpreter ends is a fatal error.
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        report = _follow(folder, has_ended)
    except Exception:
        if is_alone.is_set():  # it lacks what the listener removes, and must not end before that is done
            listener.join()
        raise
    try:
        say(report)
    except BrokenPipeError:  # the run was killed in the end
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove the folder while it is still being written to."""
    with suppress(OSError):  # Windows moves no folder with open files
        folder = folder.rename(folder.with_name(f"{folder.name}-left"))  # where nothing new is put any more
    shutil.rmtree(folder, ignore_errors=True)


def _follow(folder: Path, has_ended: threading.Event) -> Report:
    """Write the workbook into the folder."""
    task: _Task = pickle.loads((folder / _TASK).read_bytes())  # noqa: S301  (from the run)
    staged, endpoint = task.staged, task.endpoint
    for_review, draft = RowsForReview(staged.columns, endpoint), folder / _WORKBOOK
    draft.touch()
    with (
        opened_store(task.database) as store,
        first_round(task.database, staged.columns.origin) as first_wrong,
        new_workbook(draft) as book,
    ):
        results = ResultsWorkbook(book, staged.columns, endpoint, task.started_at)
        names, has_changes, edits = store.names(), False, EditsOfRows(store)

        after, since_waited, wait_s = BEFORE_ALL_ROWS, 0, _LOOKED_EVERY_S

        def add(rows: Iterable[StoredRow]) -> int:
            """Write rows; returns how many they are."""
            nonlocal after, has_changes
            count = 0
            for row in for_review.noting(with_changes(rows, staged, endpoint, names, first_wrong, edits.of)):
                count += 1
                results.add(row)
                has_changes = has_changes or bool(row.changes)
                after = row.row.number
            return count

        while not has_ended.is_set():
            written = add(store.final_rows(after))
            since_waited += written
            if written < _FEW:
                wait_s = _LOOKED_EVERY_S if since_waited >= _FEW else min(2 * wait_s, _LOOKED_AT_LEAST_EVERY_S)
                since_waited = 0
                has_ended.wait(wait_s)
        end: _End = pickle.loads((folder / _END).read_bytes())  # noqa: S301  (from the run)
        if has_changes and end.facts.allowed != names:
            raise RuntimeError("names that were learned meanwhile are shown otherwise in the rows that are written")
        names = end.facts.allowed
        add(store.rows(end.unsent, after=after))
        view, summary, change_summary = results.finish(end.facts)
    return Report(WrittenWorkbook(draft, view, summary, change_summary), for_review)
