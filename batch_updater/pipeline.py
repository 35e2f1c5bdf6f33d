"""The pipeline: the only module that knows all three stages, and carries rows from one to the next.

It goes over its own copy of the input three times, so that nobody holds all the rows: to judge, to send, to report.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from batch_updater import snapshot as snapshots
from batch_updater.config import settings_of
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ConfigError, ExitCode, JournalError, ResultsError
from batch_updater.files import check_replaceable, private_folder
from batch_updater.journal import Journal
from batch_updater.loader.loader import open_table
from batch_updater.model import Outcome, OutcomeKind, ReportRow, RunFacts, Stop, StopReason
from batch_updater.reporter.workbook import write_results
from batch_updater.run_log import logged_to
from batch_updater.sender.pool import Hooks, Sender, SendResult
from batch_updater.summary import RUN_AGAIN, Summary
from batch_updater.whereabouts import whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from batch_updater.config import Config
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.interrupts import Interrupts
    from batch_updater.loader.loader import JudgedRow, Review, Table
    from batch_updater.snapshot import Snapshot

Source = "Path | BinaryIO | pd.DataFrame"


class Progress(Protocol):
    """Whoever wants to show how far the sending is."""

    def settled(self, outcome: Outcome) -> None:
        """Take note of one more row that has its outcome."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: the input copied, read and judged, nothing sent."""

    config: Config
    endpoint: Endpoint
    snapshot: Snapshot
    table: Table
    review: Review


@dataclass(frozen=True, slots=True)
class Options:
    """What a single run is asked for besides its configuration."""

    results: Path | None = None
    """Where the workbook goes; None: into the run's folder, or beside the input for a check."""
    limit: int | None = None
    """Send only the first so many good rows."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused alike."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run or a check ended."""

    plan: Plan
    folder: Path | None
    """The run's folder; None for a check."""
    results: Path | None
    """The workbook; None if it was not written."""
    results_fault: str | None
    """Why it was not; None if it was."""
    summary: Summary
    requests: int
    retries: int
    elapsed_s: float
    stop: Stop | None

    @property
    def exit_code(self) -> ExitCode:
        """A workbook that could not be written asks for another run, like a row that is not done."""
        return self.summary.exit_code if self.results_fault is None else ExitCode.RUN_AGAIN

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole run."""
        return self.requests / self.elapsed_s if self.elapsed_s else 0.0


@contextmanager
def run_folder(source: Source, config: Config) -> Iterator[Path]:
    """Give a new folder for a run; it is removed again if no run comes of it.

    Raises ResultsError if it cannot be made.
    """
    parent = config.results.folder
    try:
        private_folder(parent)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{snapshots.stem_of(source)}"
        folder = snapshots.claim_folder(parent, name)
    except OSError as error:
        raise ResultsError(
            f"The folder of results {parent} cannot be written: {error.strerror or error}.",
            remedy="Name another one under results.folder in the configuration.",
        ) from error
    try:
        yield folder
    finally:
        if not (folder / _JOURNAL).exists():
            shutil.rmtree(folder)


def prepare(source: Source, config: Config, folder: Path) -> Plan:
    """Copy the input into the folder, read it and judge every row. Opens no connection.

    Raises EndpointError and InputError.
    """
    endpoint = load_endpoint(config.api.endpoint)
    snapshot = snapshots.take(source, folder)
    table = open_table(snapshot.path, endpoint, config.input, name=snapshot.name)
    return Plan(config, endpoint, snapshot, table, table.review())


def check(plan: Plan, results: Path) -> Finished:
    """Write the workbook of every row's judgement; send nothing. Raises ResultsError if its place is taken."""
    check_replaceable(results)
    started_at, clock = datetime.now(UTC), time.monotonic()
    facts = _facts(plan, "check", None, started_at, _NOTHING_SENT)
    written = write_results(results, facts, plan.table.columns, plan.endpoint, _planned_rows(plan))
    _require_sum(plan, written.summary)
    return Finished(plan, None, written.path, None, written.summary, 0, 0, time.monotonic() - clock, None)


class Run:
    """One run: from a plan and the folder it was prepared in to its workbook."""

    def __init__(self, plan: Plan, folder: Path, options: Options, environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._folder = folder
        self._options = options
        self._environ = environ
        self._started_at = datetime.now(UTC)
        self._clock = time.monotonic()
        self._limited = False

    def execute(self, progress: Progress | None = None, interrupts: Interrupts | None = None) -> Finished:
        """Send every good row, then write the workbook.

        Raises ConfigError if no token is to be had, ResultsError if the workbook's place is taken: then nothing
        was sent. Raises JournalError if the journal cannot even be made.
        """
        results = self._options.results or self._folder / self._workbook_name()
        check_replaceable(results)
        sent = _NOTHING_SENT
        with logged_to(self._folder / "run.log"), Journal(self._folder / _JOURNAL) as journal:
            journal.note(_opening_facts(self._plan, self._started_at))
            if self._plan.review.good:
                sent = asyncio.run(self._send(journal, progress, interrupts))
            finished = self._report(results, journal, sent)
            journal.note(_closing_facts(finished))
        return finished

    async def _send(self, journal: Journal, progress: Progress | None, interrupts: Interrupts | None) -> SendResult:
        async def settled(outcome: Outcome) -> None:
            await journal.settle(outcome)
            if progress:
                progress.settled(outcome)

        sender = Sender(
            self._plan.endpoint,
            self._plan.config,
            Hooks(before_send=journal.will_send, on_outcome=settled),
            environ=self._environ,
            rows=self._plan.review.rows,
            keep_going=self._options.keep_going,
        )
        if interrupts:
            interrupts.sending(asyncio.get_running_loop(), sender.stop, sender.abort)
        try:
            return await sender.send(self._jobs())
        finally:
            if interrupts:
                interrupts.sent()

    def _jobs(self) -> Iterator[Job]:
        """Yield the jobs that are to be sent, in file order."""
        jobs = (judged.job for judged in self._judged() if judged.job and judged.waits_for is None)
        return itertools.islice(jobs, self._options.limit)

    def _judged(self) -> Iterator[JudgedRow]:
        return self._plan.table.judged(self._plan.review)

    def _workbook_name(self) -> str:
        return f"{self._plan.snapshot.stem}-results-{self._started_at:%Y%m%d-%H%M%S}.xlsx"
