"""The pipeline: the only module that knows all three stages, and carries rows from one to the next.

It goes over its own copy of the input three times, so that nobody holds all the rows: to judge, to send, to report.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from batch_updater import snapshot as snapshots
from batch_updater.config import settings_of
from batch_updater.endpoint.openapi import load_endpoint
from batch_updater.errors import ExitCode, JournalError, ResultsError
from batch_updater.files import check_replaceable, private_folder
from batch_updater.journal import Journal
from batch_updater.loader.loader import open_table
from batch_updater.model import Outcome, OutcomeKind, ReportRow, RunFacts, Stop, StopReason
from batch_updater.reporter.workbook import write_results
from batch_updater.run_log import logged_to
from batch_updater.summary import RUN_AGAIN, Summary, Tally
from batch_updater.whereabouts import whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from batch_updater.config import Config
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.interrupts import Interrupts
    from batch_updater.loader.loader import JudgedRow, Review, Table
    from batch_updater.model import Columns, Job
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.pool import SendResult
    from batch_updater.snapshot import Snapshot, Source

_JOURNAL = "journal.sqlite"


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
    facts: RunFacts
    rows: Callable[[], Iterator[ReportRow]]
    """Goes over every row and its outcome once more, in file order."""
    rows_in_doubt: Callable[[], Iterator[ReportRow]]
    """The same without those of a check that are planned, which is faster."""
    results: Path | None
    """The workbook; None if it was not written."""
    summary: Summary
    elapsed_s: float
    folder: Path | None = None
    """The run's folder; None for a check."""
    results_fault: str | None = None
    """Why there is no workbook; None if there is one, or if none was asked for."""
    requests: int = 0
    retries: int = 0
    stop: Stop | None = None

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


def check(plan: Plan, results: Path | None) -> Finished:
    """Judge every row and write the workbook, if it is given a place; send nothing.

    Raises ResultsError if the place is taken or cannot be written.
    """
    started_at, clock = datetime.now(UTC), time.monotonic()
    in_doubt = functools.partial(_planned_rows, plan, only_in_doubt=True)
    planned = plan.review.rows - len(plan.review.in_doubt)
    facts = _facts(plan, "check", None, started_at, None)
    written = None
    if results is not None:
        check_replaceable(results)
        written = write_results(results, facts, plan.table.columns, plan.endpoint, in_doubt(), planned=planned)
    summary = written.summary if written else _counted(in_doubt(), plan.table.columns, planned)
    _require_sum(plan, summary)
    return Finished(
        plan=plan,
        facts=facts,
        rows=functools.partial(_planned_rows, plan),
        rows_in_doubt=in_doubt,
        results=written.path if written else None,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
    )


class Run:
    """One run: from a plan and the folder it was prepared in to its workbook."""

    def __init__(self, plan: Plan, folder: Path, options: Options, environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._folder = folder
        self._options = options
        self._environ = environ
        self._started_at = datetime.now(UTC)
        self._clock = time.monotonic()

    def execute(self, progress: Progress | None = None, interrupts: Interrupts | None = None) -> Finished:
        """Send every good row, then write the workbook.

        Raises ConfigError if no token is to be had, ResultsError if the workbook's place is taken: then nothing
        was sent. Raises JournalError if the journal cannot even be made.
        """
        import asyncio

        from batch_updater.sender.auth import fetch_credentials

        results = self._options.results or self._folder / self._workbook_name()
        check_replaceable(results)
        sent: SendResult | None = None
        credentials = fetch_credentials(self._plan.config.api, self._environ) if self._plan.review.good else None
        with logged_to(self._folder / "run.log"), Journal(self._folder / _JOURNAL) as journal:
            journal.note(_opening_facts(self._plan, self._started_at))
            if credentials:
                sent = asyncio.run(self._send(journal, credentials, progress, interrupts))
            finished = self._report(results, journal, sent)
            journal.note(_closing_facts(finished))
        return finished

    async def _send(
        self, journal: Journal, credentials: Credentials, progress: Progress | None, interrupts: Interrupts | None
    ) -> SendResult:
        import asyncio

        from batch_updater.sender.pool import Hooks, Sender

        async def settled(outcome: Outcome) -> None:
            await journal.settle(outcome)
            if progress:
                progress.settled(outcome)

        sender = Sender(
            self._plan.endpoint,
            self._plan.config,
            Hooks(before_send=journal.will_send, on_outcome=settled),
            credentials,
            self._environ,
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

    def _report(self, results: Path, journal: Journal, sent: SendResult | None) -> Finished:
        """Write the workbook. A fault of the disk is reported, not raised: the outcomes are known all the same."""
        stop = (sent.stop if sent else None) or self._limit_stop()
        stop = _flushed(journal) or stop
        rows = functools.partial(self._settled_rows, journal, stop)
        written, fault = None, None
        facts = _facts(self._plan, "run", self._folder, self._started_at, sent)
        if not (sent and sent.aborted):
            try:
                written = write_results(results, facts, self._plan.table.columns, self._plan.endpoint, rows())
            except (OSError, ResultsError) as error:
                fault = f"The workbook {results} could not be written: {error}."
        summary = written.summary if written else _counted(rows(), self._plan.table.columns)
        _require_sum(self._plan, summary)
        return Finished(
            plan=self._plan,
            facts=facts,
            rows=rows,
            rows_in_doubt=rows,
            results=written.path if written else None,
            summary=summary,
            elapsed_s=time.monotonic() - self._clock,
            folder=self._folder,
            results_fault=fault,
            requests=sent.requests if sent else 0,
            retries=sent.retries if sent else 0,
            stop=_lasting(stop, summary),
        )

    def _settled_rows(self, journal: Journal, stop: Stop | None) -> Iterator[ReportRow]:
        """Yield every row with its one outcome: its problems, what the journal holds, or that it had no turn."""
        known = journal.outcomes()
        settled = next(known, None)
        for judged in self._judged():
            if settled is not None and settled.row == judged.row.number:
                yield ReportRow(judged.row, settled)
                settled = next(known, None)
            else:
                yield ReportRow(judged.row, _invalid(judged) if judged.job is None else _not_sent(judged, stop))
        if settled is not None:
            raise RuntimeError(f"the journal holds row {settled.row}, which the input does not have as a good row")

    def _limit_stop(self) -> Stop | None:
        limit = self._options.limit
        if limit is None or self._plan.review.good <= limit:
            return None
        return Stop(
            StopReason.LIMIT,
            f"Only the first {limit:,} good rows were sent, as --limit asked.",
            "If they are as you want them, run again without --limit.",
        )


def _counted(rows: Iterator[ReportRow], columns: Columns, planned: int = 0) -> Summary:
    tally = Tally(columns, planned)
    for row in rows:
        tally.add(row.outcome)
    return tally.summary()


def _flushed(journal: Journal) -> Stop | None:
    """Wait for the disk; returns why the run counts as stopped if it does not take the last outcomes."""
    try:
        journal.flush()
    except JournalError as error:
        return Stop(StopReason.DISK, str(error), "Free some space, then run again.")
    return None


def _invalid(judged: JudgedRow) -> Outcome:
    return Outcome(judged.row.number, OutcomeKind.INVALID, problems=judged.problems)


def _not_sent(judged: JudgedRow, stop: Stop | None) -> Outcome:
    row = judged.row.number
    if judged.waits_for is not None:
        return Outcome(
            row,
            OutcomeKind.NOT_SENT,
            f"Row {judged.waits_for} updates the same record and has to be done first.",
            f"Repair row {judged.waits_for}, then run again.",
            "waits for an earlier row of the same record",
        )
    why = stop.message if stop else "The run ended early."
    return Outcome(
        row,
        OutcomeKind.NOT_SENT,
        f"The run ended before this row's turn. {why}",
        "Run again.",
        "no turn before the end",
    )


def _planned_rows(plan: Plan, *, only_in_doubt: bool = False) -> Iterator[ReportRow]:
    for judged in plan.table.judged(plan.review, only_in_doubt=only_in_doubt):
        if judged.job is None:
            outcome = _invalid(judged)
        elif judged.waits_for is not None:
            outcome = _not_sent(judged, None)
        else:
            outcome = Outcome(judged.row.number, OutcomeKind.PLANNED)
        yield ReportRow(judged.row, outcome)


def _lasting(stop: Stop | None, summary: Summary) -> Stop | None:
    """Return what the run was stopped by: nothing if every row came to its end all the same."""
    if not summary.total(RUN_AGAIN):
        return None
    if stop is None and summary[OutcomeKind.NOT_SENT]:
        return Stop(
            StopReason.WAITING,
            f"{summary[OutcomeKind.NOT_SENT]:,} rows wait for an earlier row of the same record.",
            "Repair the earlier rows, then run again.",
        )
    return stop


def _require_sum(plan: Plan, summary: Summary) -> None:
    """Every data row has exactly one outcome, or the program itself is wrong and says so."""
    if summary.rows != plan.review.rows:
        raise RuntimeError(f"{plan.review.rows} rows went in, but {summary.rows} outcomes came out")


def _facts(plan: Plan, command: str, folder: Path | None, started_at: datetime, sent: SendResult | None) -> RunFacts:
    return RunFacts(
        command=command,
        input_path=plan.snapshot.name,
        input_sha256=plan.snapshot.sha256,
        sheet=plan.table.sheet,
        endpoint=plan.endpoint.name,
        base_url=plan.config.api.base_url,
        run_folder=str(folder) if folder else None,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        requests=sent.requests if sent else 0,
        retries=sent.retries if sent else 0,
        stop=sent.stop if sent else None,
        allowed=sent.allowed.lists if sent else (),
        settings=(*settings_of(plan.config), *whereabouts()),
        notes=plan.table.notes,
    )


def _opening_facts(plan: Plan, started_at: datetime) -> dict[str, object]:
    return {
        "input": plan.snapshot.name,
        "sha256": plan.snapshot.sha256,
        "sheet": plan.table.sheet,
        "endpoint": plan.endpoint.name,
        "base_url": plan.config.api.base_url,
        "settings": {setting.name: setting.value for setting in settings_of(plan.config)},
        "started_at": started_at.isoformat(),
    }


def _closing_facts(finished: Finished) -> dict[str, object]:
    return {
        "ended_at": datetime.now(UTC).isoformat(),
        "outcomes": dict(finished.summary.counts),
        "requests": finished.requests,
        "retries": finished.retries,
        "stopped": finished.stop.reason if finished.stop else None,
        "results": str(finished.results) if finished.results else None,
    }
