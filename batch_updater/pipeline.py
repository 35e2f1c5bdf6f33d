"""The pipeline: the only module that knows all three stages, and carries rows from one to the next.

It goes over its own copy of the input three times, so that nobody holds all the rows: to judge, to send, to report.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import itertools
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from batch_updater import snapshot as snapshots
from batch_updater.config import InputSettings, settings_of
from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes_of
from batch_updater.endpoint.openapi import Description, endpoint_of, read_description
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import ConfigError, ExitCode, InputError, JournalError, Place, ResultsError, UsageError
from batch_updater.files import check_replaceable, private_folder
from batch_updater.guards import (
    exceeded,
    exceeded_by_changes,
    needs_changes,
    not_judged,
    require_changes_allowed,
    require_none_exceeded,
)
from batch_updater.history import JOURNAL, Earlier, Identity, earlier_run
from batch_updater.housekeeping import remove_old_runs
from batch_updater.journal import DamagedJournalError, Journal, Part, journal_reader
from batch_updater.loader.loader import open_table
from batch_updater.lock import locked
from batch_updater.model import OutcomeKind, RunFacts, Setting, Stop, StopReason
from batch_updater.reckoning import (
    counted,
    counted_without_input,
    invalid_rows,
    lasting,
    planned_rows,
    require_sum,
    settled_rows,
)
from batch_updater.reporter.html import PAGE, Attention, Page, write_page
from batch_updater.reporter.workbook import write_results
from batch_updater.run_log import LogFile
from batch_updater.sender.course import Course
from batch_updater.stakes import Stakes
from batch_updater.summary import RUN_AGAIN, Tally
from batch_updater.whereabouts import whereabouts
from batch_updater.wording import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping

    from batch_updater.config import Config
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.guards import Exceeded
    from batch_updater.history import PastRun
    from batch_updater.interrupts import Interrupts
    from batch_updater.journal import EarlierRows, JournalReader
    from batch_updater.loader.loader import Review, Table
    from batch_updater.model import AllowedList, Invocation, Job, Outcome, ReportRow
    from batch_updater.reckoning import Changed
    from batch_updater.sender.auth import Credentials
    from batch_updater.sender.client import Hooks, Reading
    from batch_updater.sender.limiter import Limiter
    from batch_updater.sender.pool import SendResult
    from batch_updater.snapshot import Snapshot, Source
    from batch_updater.summary import Summary

_COLLECTED_EVERY = 50_000
"""Objects, instead of Python's 700; a request makes a few hundred, and nearly none of them in a circle."""
_OLD = timedelta(days=1)
"""A run that began longer ago is not resumed without a question: others may have changed the records since."""


_LEAVE_ROWS_OUT = frozenset({StopReason.WAITING, StopReason.LIMIT})
"""Why rows have no turn although nothing goes wrong."""
_NOT_WAITED_FOR = "The workbook was not written: the second signal ended the run at once."
_NOT_WAITED_FOR_PAGE = "The page was not written: the second signal ended the run at once."


class Progress(Protocol):
    """Whoever wants to show how far the sending is."""

    def settled(self, outcome: Outcome) -> None:
        """Take note of one more row that has its outcome."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: the input copied, read and judged, nothing sent."""

    config: Config
    description: Description
    endpoint: Endpoint
    snapshot: Snapshot
    table: Table
    review: Review

    @property
    def reads_first(self) -> bool:
        """Whether each record is read before its update: as asked, and always where a run is taken back."""
        return self.config.sending.compare or self.table.expected is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand."""
        return (*self.table.notes, *not_judged(self.config.guards, reads_first=self.reads_first))

    def jobs(self, limit: int | None = None, earlier: EarlierRows | None = None) -> Iterator[Job]:
        """Yield the jobs of the first good rows, in file order, without those that an earlier part has confirmed.

        What is confirmed counts towards the limit.
        """
        judged_rows = self.table.judged(self.review)
        good = (judged.job for judged in judged_rows if judged.job and judged.waits_for is None)
        builder = RequestBuilder(self.endpoint)
        for job in itertools.islice(good, limit):
            if earlier is None or not earlier.is_confirmed(job.row, builder.build(job)):
                yield job


class EarlierPart(NamedTuple):
    """What the parts of a run before this one have come to."""

    rows: EarlierRows
    allowed: tuple[AllowedList, ...]
    """Names that the API told."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that holds its lock and has its folder; nothing has been sent."""

    plan: Plan
    folder: Path
    identity: Identity
    earlier: Earlier
    overrides_guards: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand, the guards that are overridden included."""
        plan = self.plan
        over = exceeded(plan.config.guards, plan.table, plan.review) if self.overrides_guards else ()
        return (*plan.notes, *(guard.override_note for guard in over))

    @property
    def needs_changes(self) -> bool:
        """Whether every record has to be read before the first update: a guard asks for what would change."""
        config = self.plan.config
        return self.plan.reads_first and not self.overrides_guards and needs_changes(config.guards)

    @property
    def to_send(self) -> int:
        """Good rows that are not done yet."""
        resumed = self.earlier.resumed
        return self.plan.review.good - (min(resumed.confirmed, self.plan.review.good) if resumed else 0)

    def earlier_part(self) -> EarlierPart | None:
        """Return what the journal of the run that it goes on with knows; None if it is a new run."""
        if self.earlier.resumed is None:
            return None
        with journal_reader(self.folder / JOURNAL) as journal:
            return EarlierPart(journal.earlier_rows(), journal.allowed())

    def sends(self, limit: int | None) -> int:
        """Return how many rows will be sent, at most."""
        if limit is None:
            return self.to_send
        part = self.earlier_part()
        return sum(1 for _ in self.plan.jobs(limit, part.rows)) if part else min(limit, self.plan.review.good)

    @property
    def is_old(self) -> bool:
        """Whether it goes on with a run that began more than a day ago, or in the future: then nobody knows when."""
        resumed = self.earlier.resumed
        return resumed is not None and abs(datetime.now(UTC) - resumed.started_at) > _OLD

    def is_left_since(self, age: timedelta) -> bool:
        """Whether nobody has gone on for so long with the run that it goes on with, or its clock was wrong."""
        resumed = self.earlier.resumed
        return resumed is not None and abs(datetime.now(UTC) - resumed.last_started_at) > age

    def require_recent(self) -> None:
        """Raise UsageError if resuming needs a person's word."""
        if self.is_old and self.to_send and self.earlier.resumed:
            began = moment(self.earlier.resumed.started_at)
            raise UsageError(
                f"The run of {began} is unfinished, but more than a day old: going on with it could overwrite newer "
                "changes.",
                remedy="To go on all the same, add --yes; to send every row anew, add --restart.",
            )


@dataclass(frozen=True, slots=True)
class Options:
    """What a single run is asked for besides its configuration."""

    results: Path | None = None
    """Where the workbook goes; None: that of a run into its folder, and a comparison writes none."""
    limit: int | None = None
    """Send, or compare, only the first so many good rows."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused alike."""
    compared: Finished | None = None
    """What reading every record just before came to, if it was done."""
    invocation: Invocation | None = None
    """The command line that asks for it; None if none does."""
    inbox: Path | None = None
    """The inbox from which the unattended job took the file; None if it did not."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run or a check ended."""

    table: Table
    facts: RunFacts
    rows: Callable[[], Iterator[ReportRow]]
    """Goes over every row and its outcome once more, in file order."""
    rows_in_doubt: Callable[[], Iterator[ReportRow]]
    """The same without those of a check that are planned, which is faster."""
    results: Path | None
    """The workbook; None if it was not written."""
    summary: Summary
    elapsed_s: float
    asked_results: Path | None = None
    """Where the workbook should have gone."""
    folder: Path | None = None
    """The run's folder; None for a check."""
    fault: str | None = None
    """What could not be written at the end; None if everything was."""
    requests: int = 0
    """Of this invocation, as `retries`."""
    retries: int = 0
    throttled: int = 0
    """Requests of this invocation that were answered with 429."""
    stop: Stop | None = None
    stakes: Stakes | None = None
    """What the changes come to; None unless records were read."""
    limiter: Limiter | None = None
    """What a comparison was permitted, for the requests that follow it."""

    @property
    def is_stopped(self) -> bool:
        """Whether something has gone wrong that ended it."""
        return self.stop is not None and self.stop.reason not in _LEAVE_ROWS_OUT

    @property
    def unread(self) -> int:
        """Records that could not be read, of a comparison that nothing has stopped."""
        return self.summary[OutcomeKind.FAILED] + self.summary[OutcomeKind.UNCONFIRMED]

    @property
    def is_whole(self) -> bool:
        """Whether a comparison has read every record that it was to read."""
        return not self.unread and not self.is_stopped

    @property
    def exit_code(self) -> ExitCode:
        """A workbook that could not be written asks for another run, like a row that is not done."""
        return self.summary.exit_code if self.fault is None else ExitCode.RUN_AGAIN

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole run."""
        return self.requests / self.elapsed_s if self.elapsed_s else 0.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """The input copied and its header row read."""

    config: Config
    description: Description
    endpoint: Endpoint
    snapshot: Snapshot
    table: Table

    def judged(self) -> Plan:
        """Judge every row. Raises InputError."""
        return Plan(self.config, self.description, self.endpoint, self.snapshot, self.table, self.table.review())

    def in_folder_of(self, past: PastRun) -> _Opened:
        """Return the same from the copy that an earlier run made, and let go of this one. Raises InputError."""
        self.table.close()
        copy = past.folder / str(past.facts["input_file"])
        if not copy.exists() or snapshots.sha256_of(copy) != self.snapshot.sha256:
            snapshots.copy_again(self.snapshot, copy)
        table = open_table(copy, self.endpoint, self.config.input, name=self.snapshot.name)
        return replace(self, snapshot=replace(self.snapshot, path=copy), table=table)


def _opened(source: Source, config: Config, folder: Path) -> _Opened:
    description = read_description(config.api.endpoint)
    endpoint = endpoint_of(description)
    if config.sending.compare and endpoint.read is None:
        raise ConfigError(
            f"Comparing needs a way to read a record, and the description {endpoint.name} names none (x-read).",
            remedy="Leave out --compare and sending.compare, or add x-read to the description.",
        )
    snapshot = snapshots.take(source, folder)
    table = open_table(snapshot.path, endpoint, config.input, name=snapshot.name)
    if table.expected is not None:
        try:
            require_read(endpoint)
        except ConfigError as error:  # it is this file that asks for it
            table.close()
            raise InputError(error.message, remedy=error.remedy, place=Place(file=snapshot.name)) from error
    return _Opened(config, description, endpoint, snapshot, table)


def require_read(endpoint: Endpoint) -> None:
    """Raise ConfigError unless the endpoint describes how a record is read, which taking a run back needs."""
    if endpoint.read is None:
        raise ConfigError(
            f"Taking a run back needs a way to read a record, and the description {endpoint.name} names none (x-read).",
            remedy="Add x-read to the description.",
        )


def prepare(source: Source, config: Config, folder: Path) -> Plan:
    """Copy the input into the folder, read it and judge every row. Opens no connection.

    Raises EndpointError and InputError.
    """
    return _opened(source, config, folder).judged()


@contextmanager
def begun(source: Source, config: Config, *, restart: bool = False, override_guards: bool = False) -> Iterator[Begun]:
    """Hold the lock, and give a run that has its folder: a new one, or that of the run that it goes on with.

    A new folder is removed again if no run comes of it. `restart`: do not go on with an unfinished run. Raises
    LockedError, ResultsError if the folder cannot be made, GuardError unless `override_guards`, and what `prepare`
    raises.
    """
    parent, stem = config.results.folder, snapshots.stem_of(source)
    with _folder_faults(parent):
        private_folder(parent)
    with locked(parent, config.api.base_url or "", snapshots.name_of(source)):
        with _folder_faults(parent):
            folder = snapshots.claim_folder(parent, snapshots.run_name(datetime.now(UTC), stem))
        table: Table | None = None
        try:
            opened = _opened(source, config, folder)
            table = opened.table
            identity = _identity(opened)
            earlier = earlier_run(parent, identity, opened.snapshot.source_path, stem, restart=restart)
            if earlier.resumed:
                opened = opened.in_folder_of(earlier.resumed)
                shutil.rmtree(folder)  # now, and not in the end: a killed process would leave it
            plan = opened.judged()
            if not override_guards:
                require_none_exceeded(config.guards, plan.table, plan.review, plan.snapshot.name)
            yield Begun(plan, earlier.resumed.folder if earlier.resumed else folder, identity, earlier, override_guards)
        finally:
            if not (folder / JOURNAL).exists():
                if table is not None:
                    table.close()
                shutil.rmtree(folder, ignore_errors=not folder.exists())


@contextmanager
def _folder_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, JournalError) as error:
        raise ResultsError(
            f"The folder of results {folder} cannot be written: {getattr(error, 'strerror', None) or error}.",
            remedy="Free some space, or name another folder under results.folder in the configuration.",
        ) from error


def _identity(opened: _Opened) -> Identity:
    columns, settings = opened.table.columns, opened.config.input
    reading = settings.model_dump(
        mode="json", include={"header_row", "encoding", "date_order", "decimal", "clear_marker"}
    )
    described = f"{opened.endpoint.name}\n{opened.description.text}".encode()
    return Identity(
        content=opened.snapshot.sha256,
        sheet=opened.table.sheet,
        mapping={
            name: f"{columns.address(0, at)[:-1]}: {columns.headers[at]}" for name, at in columns.of_field.items()
        },
        constants=dict(settings.constants),
        reading={name: None if value is None else str(value) for name, value in reading.items()},
        description=hashlib.sha256(described).hexdigest(),
        base_url=opened.config.api.base_url,
        duplicates=settings.duplicates,
    )


def check(plan: Plan, results: Path | None) -> Finished:
    """Judge every row and write the workbook, if it is given a place; send nothing.

    Raises ResultsError if the place is taken or cannot be written.
    """
    started_at, clock = datetime.now(UTC), time.monotonic()
    table, review = plan.table, plan.review
    in_doubt = functools.partial(planned_rows, table, review, only_in_doubt=True)
    planned = review.rows - len(review.in_doubt)
    over = exceeded(plan.config.guards, table, review)
    facts = _facts_of_check(plan, started_at, over)
    written = None
    if results is not None:
        check_replaceable(results)
        written = write_results(results, facts, table.columns, plan.endpoint, in_doubt(), planned=planned)
    summary = written.summary if written else counted(in_doubt(), table.columns, planned, of_check=True)
    require_sum(review, summary)
    return Finished(
        table=table,
        facts=facts,
        rows=functools.partial(planned_rows, table, review),
        rows_in_doubt=in_doubt,
        results=written.path if written else None,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
    )


def _facts_of_check(plan: Plan, started_at: datetime, over: tuple[Exceeded, ...]) -> RunFacts:
    return RunFacts(
        command="check",
        input_path=plan.snapshot.name,
        input_sha256=plan.snapshot.sha256,
        sheet=plan.table.sheet,
        endpoint=plan.endpoint.name,
        base_url=plan.config.api.base_url,
        run_folder=None,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        requests=0,
        retries=0,
        stop=None,
        allowed=(),
        settings=_settings(plan.config),
        notes=(*plan.notes, *(guard.note for guard in over)),
        expected=plan.table.expected,
        run_options=("--compare",) if plan.config.sending.compare else (),
        is_over_guard=bool(over),
    )


def compare(
    plan: Plan,
    asked: Options,
    folder: Path,
    environ: Mapping[str, str],
    progress: Progress | None = None,
    interrupts: Interrupts | None = None,
    earlier: EarlierPart | None = None,
) -> Finished:
    """Read the record of every good row and say what would change; send nothing but readings.

    `folder` is a scratch folder, which must stay as long as the result is looked at; of a run that is resumed,
    `earlier` leaves out the rows that are done. Raises what `check` and `Run.execute` raise.
    """
    from batch_updater.sender.auth import fetch_credentials

    started_at, clock = datetime.now(UTC), time.monotonic()
    table, review = plan.table, plan.review
    if asked.results is not None:
        check_replaceable(asked.results)
    credentials = fetch_credentials(plan.config.api, environ)
    path = folder / JOURNAL
    path.unlink(missing_ok=True)
    with Journal.create(path, {}, started_at) as journal, LogFile(folder / "run.log") as log:
        done, known = earlier or (None, ())
        for names in known:
            journal.learned(names)
        course = Course(review.rows, asked.keep_going, _reading(plan, journal, only=True), allowed=known)
        jobs, hooks = plan.jobs(asked.limit, done), _hooks(journal, log, progress)
        sent = _run_loop(_send(plan, hooks, jobs, credentials, environ, course, interrupts))
        journal.flush()
        allowed = journal.allowed()
    stop = sent.stop or _limit_stop(review, asked.limit, "were read")
    again = functools.partial(_rows_of, folder, table, review, stop, plan.endpoint)
    summary, stakes = _reckoned(again(), plan)
    require_sum(review, summary)
    guards = plan.config.guards
    over = (*exceeded(guards, table, review), *exceeded_by_changes(guards, stakes))
    facts = replace(
        _facts_of_check(plan, started_at, over),
        requests=sent.requests, retries=sent.retries, stop=stop, allowed=allowed,
    )  # fmt: skip
    written = None
    if asked.results is not None:
        written = write_results(asked.results, facts, table.columns, plan.endpoint, again()).path
    return Finished(
        table=table,
        facts=facts,
        rows=again,
        rows_in_doubt=again,
        results=written,
        summary=summary,
        elapsed_s=time.monotonic() - clock,
        requests=sent.requests,
        retries=sent.retries,
        throttled=sent.throttled,
        stop=lasting(stop, summary),
        stakes=stakes,
        limiter=sent.limiter,
    )


def _reckoned(rows: Iterator[ReportRow], plan: Plan) -> tuple[Summary, Stakes]:
    """Count rows and what they change."""
    stakes, tally = Stakes.of(plan.endpoint), Tally(plan.table.columns, of_check=True)
    for row in rows:
        tally.add(row.outcome)
        stakes.add(row)
    stakes.settle()
    return tally.summary(), stakes


def require_allowed(begun: Begun, compared: Finished) -> None:
    """Raise GuardError if what would change is over a guard; a comparison that is not whole says nothing of that."""
    plan = begun.plan
    if begun.needs_changes and compared.is_whole and compared.stakes:
        place = Place(file=plan.snapshot.name, sheet=plan.table.sheet)
        require_changes_allowed(plan.config.guards, compared.stakes, place)


def overridden(begun: Begun, compared: Finished | None) -> tuple[str, ...]:
    """Return a note for each guard on changes that is overridden, as far as records were read beforehand."""
    if not begun.overrides_guards or compared is None or compared.stakes is None:
        return ()
    return tuple(guard.override_note for guard in exceeded_by_changes(begun.plan.config.guards, compared.stakes))


def _incomplete(compared: Finished) -> Stop | None:
    """Return why not every record was read; None if all were."""
    why = "Nothing was sent, because the guards judge what would change:"
    if compared.is_whole:
        return None
    if compared.stop and compared.is_stopped:
        return replace(compared.stop, message=f"{why} {compared.stop.message}")
    records = "1 record" if compared.unread == 1 else f"{compared.unread:,} records"
    return Stop(StopReason.SERVICE_DOWN, f"{why} {records} could not be read.", "Run again later.")


def _limit_stop(review: Review, limit: int | None, done: str) -> Stop | None:
    if limit is None or review.good <= limit:
        return None
    return Stop(
        StopReason.LIMIT,
        f"Only the first {limit:,} good rows {done}, as --limit asked.",
        "If they are as you want them, run again without --limit: it goes on with the rest.",
    )


def _settings(config: Config) -> tuple[Setting, ...]:
    return (*settings_of(config), *whereabouts())


class Run:
    """One run, or one more part of it: from what was begun to its workbook."""

    def __init__(self, begun: Begun, options: Options, environ: Mapping[str, str]) -> None:
        self._begun = begun
        self._plan = begun.plan
        self._folder = begun.folder
        # That the first rows are all refused alike is judged once for a run, and not again when it is resumed.
        self._options = replace(options, keep_going=options.keep_going or begun.earlier.resumed is not None)
        self._environ = environ
        self._started_at = datetime.now(UTC)
        self._readings = [options.compared] if options.compared else []
        self._clock = time.monotonic() - sum(one.elapsed_s for one in self._readings)

    def execute(self, progress: Progress | None = None, interrupts: Interrupts | None = None) -> Finished:
        """Send every good row that is not done yet, then write the workbook.

        Raises ConfigError if no token is to be had, ResultsError if the workbook's place is taken or the folder
        cannot be written, GuardError if a guard is exceeded: then nothing was sent.
        """
        from batch_updater.sender.auth import fetch_credentials

        results = self._options.results or self._folder / _workbook_name(self._plan.snapshot.stem, self._started_at)
        check_replaceable(results)
        sent: SendResult | None = None
        credentials = fetch_credentials(self._plan.config.api, self._environ) if self._begun.to_send else None
        stop = self._stop_beforehand(interrupts) if credentials else None
        with ExitStack() as stack:
            with _folder_faults(self._folder):
                journal = stack.enter_context(self._journal())
                log = stack.enter_context(LogFile(self._folder / "run.log"))
            if credentials and stop is None:
                hooks = _hooks(journal, log, progress)
                reading = _reading(self._plan, journal) if self._plan.reads_first else None
                before = self._readings[-1].limiter if self._readings else None
                jobs, known = self._jobs(journal), journal.allowed()
                course = Course(self._plan.review.rows, self._options.keep_going, reading, before, known)
                sent = _run_loop(_send(self._plan, hooks, jobs, credentials, self._environ, course, interrupts))
            finished = self._report(results, journal, sent, stop)
            remove_old_runs(self._plan.config.results, datetime.now(UTC), in_use=self._folder)
            return finished

    def _stop_beforehand(self, interrupts: Interrupts | None) -> Stop | None:
        """Return why nothing is sent. Raises GuardError."""
        compared = self._options.compared
        if compared is not None and compared.stop and compared.is_stopped:
            return replace(compared.stop, message=f"Nothing was sent. {compared.stop.message}")
        return self._judge_changes(interrupts) if self._begun.needs_changes else None

    def _judge_changes(self, interrupts: Interrupts | None) -> Stop | None:
        """Judge what would change; return why nothing is sent if not every record could be read. Raises GuardError."""
        compared = self._options.compared
        if compared is None or _incomplete(compared):
            with tempfile.TemporaryDirectory(prefix="batch-updater-") as folder:
                asked = replace(self._options, results=None)
                earlier = self._begun.earlier_part()
                compared = compare(self._plan, asked, Path(folder), self._environ, None, interrupts, earlier)
            self._readings.append(compared)
        require_allowed(self._begun, compared)
        return _incomplete(compared)

    def _journal(self) -> Journal:
        path = self._folder / JOURNAL
        if self._begun.earlier.resumed:
            return Journal.reopen(path, self._started_at, reads_first=self._plan.reads_first)
        invocation = self._options.invocation
        inbox = self._options.inbox
        facts = {
            **_opening_facts(self._begun),
            "invocation": asdict(invocation) if invocation else None,
            "inbox": str(inbox) if inbox else None,
        }
        return Journal.create(path, facts, self._started_at)

    def _jobs(self, journal: Journal) -> Iterator[Job]:
        """Yield the jobs that are to be sent, in file order: those that an earlier part confirmed are left out."""
        if not self._begun.earlier.resumed:
            yield from self._plan.jobs(self._options.limit)
            return
        for job in self._plan.jobs(self._options.limit, journal.earlier):
            yield job._replace(maybe_applied=True) if journal.earlier.maybe_applied(job.row) else job

    def _report(self, results: Path, journal: Journal, sent: SendResult | None, stop: Stop | None) -> Finished:
        """Write workbook and page. A fault of the disk is reported, not raised: the outcomes are known all the same.

        `stop`: why nothing was sent.
        """
        stop = (
            stop
            or (sent.stop if sent else None)
            or _limit_stop(self._plan.review, self._options.limit, "had their turn")
        )
        stop = _flushed(journal) or stop
        table, review = self._plan.table, self._plan.review
        facts, attention = self._facts(journal, sent, stop), Attention(table.columns, self._plan.endpoint)
        written, fault = None, None
        try:
            if not (sent and sent.aborted):
                changed = _changed(self._plan.endpoint, journal.allowed())
                rows = attention.noting(settled_rows(table, review, journal.outcomes(), stop, changed))
                written = write_results(results, facts, table.columns, self._plan.endpoint, rows)
            else:
                fault = _NOT_WAITED_FOR
            summary = written.summary if written else self._summary(journal, stop)
        except (OSError, ResultsError, InputError) as error:
            fault = f"The workbook {results} could not be written: {getattr(error, 'strerror', None) or error}."
            summary = self._summary(journal, stop)
        except KeyboardInterrupt:  # somebody asked twice: not even the workbook is waited for
            fault, summary = _NOT_WAITED_FOR, self._summary(journal, stop)
        require_sum(review, summary)
        if fault != _NOT_WAITED_FOR:
            fault = _page_written(Page(facts, self._plan.endpoint, summary, attention, written), self._folder, fault)
        made = self._made(sent)
        finished = Finished(
            table=table,
            facts=facts,
            rows=functools.partial(_rows_of, self._folder, table, review, stop, self._plan.endpoint),
            rows_in_doubt=functools.partial(_rows_of, self._folder, table, review, stop, self._plan.endpoint),
            results=written.path if written else None,
            asked_results=results,
            summary=summary,
            elapsed_s=time.monotonic() - self._clock,
            folder=self._folder,
            fault=fault,
            requests=sum(one.requests for one in made),
            retries=sum(one.retries for one in made),
            throttled=sum(one.throttled for one in made),
            stop=lasting(stop, summary),
            stakes=written.stakes if written else None,
        )
        return _ended(journal, finished, self._started_at)

    def _made(self, sent: SendResult | None) -> list[Finished | SendResult]:
        """Return what made requests in this part of the run: readings of all records beforehand, and the sending."""
        return [*self._readings, *([sent] if sent else [])]

    def _summary(self, journal: Journal, stop: Stop | None) -> Summary:
        """Count the outcomes, from the journal alone where the copy of the input has gone."""
        table, review = self._plan.table, self._plan.review
        try:
            changed = _changed(self._plan.endpoint, journal.allowed())
            return counted(settled_rows(table, review, journal.outcomes(), stop, changed), table.columns)
        except (OSError, InputError):
            return counted_without_input(review, table.columns, journal.outcomes())

    def _facts(self, journal: Journal, sent: SendResult | None, stop: Stop | None) -> RunFacts:
        """Return the facts about the whole run, the parts before this one included."""
        parts = journal.parts()
        notes = [*self._begun.notes, *overridden(self._begun, self._options.compared)]
        if len(parts) > 1:
            notes.append(f"The run was resumed {_times(len(parts) - 1)}; requests and time are those of all its parts.")
        return RunFacts(
            command="run",
            input_path=self._plan.snapshot.name,
            input_sha256=self._plan.snapshot.sha256,
            sheet=self._plan.table.sheet,
            endpoint=self._plan.endpoint.name,
            base_url=self._plan.config.api.base_url,
            run_folder=str(self._folder),
            started_at=parts[0].started_at,
            finished_at=datetime.now(UTC),
            requests=sum(one.requests for one in (*parts, *self._made(sent))),
            retries=sum(one.retries for one in (*parts, *self._made(sent))),
            stop=stop,
            allowed=journal.allowed(),
            settings=_settings(self._plan.config),
            notes=tuple(notes),
            expected=self._plan.table.expected,
            invocation=self._options.invocation,
            inbox=str(self._options.inbox) if self._options.inbox else None,
        )


async def _send(
    plan: Plan,
    hooks: Hooks,
    jobs: Iterator[Job],
    credentials: Credentials,
    environ: Mapping[str, str],
    course: Course,
    interrupts: Interrupts | None,
) -> SendResult:
    import asyncio

    from batch_updater.sender.pool import Sender

    sender = Sender(plan.endpoint, plan.config, hooks, credentials, environ, course)
    if interrupts:
        interrupts.sending(asyncio.get_running_loop(), sender.stop, sender.abort)
    try:
        return await sender.send(jobs)
    finally:
        if interrupts:
            interrupts.sent()


def _reading(plan: Plan, journal: Journal, *, only: bool = False) -> Reading:
    from batch_updater.sender.client import Reading

    return Reading.of(plan.endpoint, journal.will_change, only=only, expected=plan.table.expected)


def _hooks(journal: Journal, log: LogFile, progress: Progress | None) -> Hooks:
    from batch_updater.sender.client import Hooks

    async def settled(outcome: Outcome) -> None:
        await journal.settle(outcome)
        if progress:
            progress.settled(outcome)

    return Hooks(
        before_send=journal.will_send,
        may_send=journal.require_writable,
        on_outcome=settled,
        on_names=journal.learned,
        on_attempt=log.attempt,
    )


def _run_loop(work: Coroutine[object, object, SendResult]) -> SendResult:
    """Run an event loop: that of uvloop, which is faster, where it is to be had (not on Windows)."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        run: Callable[[Coroutine[object, object, SendResult]], SendResult] = asyncio.run
    else:
        run = uvloop.run
    with _seldom_collected():
        return run(work)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the garbage collector look for circles seldom, and not go over what there is by now. It buys a tenth.

    Afterwards it is as it was: the process may be somebody else's, who uses the library.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _page_written(page: Page, folder: Path, fault: str | None) -> str | None:
    """Write the page. Returns the fault that there was and that of the page: neither hides the other."""
    try:
        write_page(folder / PAGE, page)
    except OSError as error:
        why = f"The page {folder / PAGE} could not be written: {error.strerror or error}."
        return f"{fault} {why}" if fault else why
    except KeyboardInterrupt:
        return fault or _NOT_WAITED_FOR_PAGE
    return fault


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _workbook_name(stem: str, at: datetime) -> str:
    return f"{stem}-results-{at:%Y%m%d-%H%M%S}.xlsx"


def _rows_of(folder: Path, table: Table, review: Review, stop: Stop | None, endpoint: Endpoint) -> Iterator[ReportRow]:
    with journal_reader(folder / JOURNAL) as journal:
        yield from settled_rows(table, review, journal.outcomes(), stop, _changed(endpoint, journal.allowed()))


def _changed(endpoint: Endpoint, lists: Iterable[AllowedList]) -> Changed:
    return functools.partial(changes_of, endpoint, AllowedValues.of(endpoint, lists))


def _flushed(journal: Journal) -> Stop | None:
    """Wait for the disk; returns why the run counts as stopped if it does not take the last outcomes."""
    try:
        journal.flush()
    except JournalError as error:
        return Stop(StopReason.DISK, str(error), "Free some space, then run again.")
    return None


def _ended(journal: Journal, finished: Finished, started_at: datetime) -> Finished:
    """Note in the journal how this part of the run ended; that it cannot be noted is a fault of its own."""
    stop = finished.stop
    part = Part(
        started_at, datetime.now(UTC), finished.requests, finished.retries, finished.elapsed_s,
        stop.reason.value if stop else None, stop.message if stop else None, stop.advice if stop else None,
        # Without everything written it is unfinished: running it again sends nothing anew, and writes.
        str(finished.results) if finished.results and finished.fault is None else None,
    )  # fmt: skip
    try:
        journal.end_part(part)
        journal.flush()
    except JournalError as error:
        return replace(finished, fault=finished.fault or f"How the run ended could not be noted: {error}")
    return finished


def _opening_facts(begun: Begun) -> dict[str, object]:
    plan = begun.plan
    return {
        "identity": asdict(begun.identity),
        "input": plan.snapshot.name,
        "input_path": plan.snapshot.source_path,
        "is_takeback": plan.table.expected is not None,
        "input_file": plan.snapshot.path.name,
        "stem": plan.snapshot.stem,
        "endpoint": plan.endpoint.name,
        "description": asdict(plan.description),
        "reading": plan.config.input.model_dump(mode="json"),
        "settings": [[setting.name, setting.value] for setting in _settings(plan.config)],
        "rows": plan.review.rows,
        "invalid": invalid_rows(plan.review),
        "reads_first": plan.reads_first,
    }


def endpoint_of_run(past: PastRun) -> Endpoint:
    """Return the endpoint of a past run as it was described then."""
    return endpoint_of(Description(**past.facts["description"]))  # type: ignore[arg-type]  # written from a Description


def table_of_run(past: PastRun, endpoint: Endpoint) -> Table:
    """Open the copy of the input that a past run worked on. Raises InputError if it cannot be relied on."""
    facts = past.facts
    copy = past.folder / str(facts["input_file"])
    if not copy.exists() or snapshots.sha256_of(copy) != past.identity.content:
        raise InputError(
            f"The copy of the input {copy} is not what the run read.",
            remedy="The workbooks in that folder are all there is.",
            place=Place(file=str(copy)),
        )
    settings = InputSettings.model_validate(facts["reading"])
    return open_table(copy, endpoint, settings, name=past.input)


def report(past: PastRun, results: Path | None) -> Finished:
    """Write the workbook of a past run again, from its folder alone; sends nothing.

    Raises InputError if what the folder holds cannot be relied on, ResultsError if the place is taken.
    """
    clock = time.monotonic()
    results = results or past.folder / _workbook_name(str(past.facts["stem"]), datetime.now(UTC))
    check_replaceable(results)
    endpoint = endpoint_of_run(past)
    table = table_of_run(past, endpoint)
    review, stop = table.review(), past.stop
    try:
        with journal_reader(past.folder / JOURNAL) as journal:
            journal.require_whole()
            told = _facts_of(past, table, journal)
            attention = Attention(table.columns, endpoint)
            changed = _changed(endpoint, journal.allowed())
            rows = attention.noting(settled_rows(table, review, journal.outcomes(), stop, changed))
            try:
                written = write_results(results, told, table.columns, endpoint, rows)
            except OSError as error:
                raise ResultsError(f"{results} cannot be written: {error.strerror or error}.") from error
    except DamagedJournalError as error:
        raise past.damaged(str(error)) from error
    require_sum(review, written.summary)
    fault = _page_written(Page(told, endpoint, written.summary, attention, written), past.folder, None)
    again = functools.partial(_rows_of, past.folder, table, review, stop, endpoint)
    return Finished(
        table=table,
        facts=told,
        rows=again,
        rows_in_doubt=again,
        results=written.path,
        summary=written.summary,
        elapsed_s=time.monotonic() - clock,
        folder=past.folder,
        fault=fault,
        stop=stop if written.summary.total(RUN_AGAIN) else None,
    )


def _facts_of(past: PastRun, table: Table, journal: JournalReader) -> RunFacts:
    notes, finished_at = list(table.notes), past.ended_at
    if past.is_going_on:
        notes.append("The run is going on: this is how far it had come, and rows on their way count as unconfirmed.")
    elif finished_at is None:
        notes.append("The run was cut off: rows on their way count as unconfirmed; its time ends with the last answer.")
        finished_at = journal.last_heard_at() or past.parts[-1].started_at
    settings = (Setting(str(name), str(value)) for name, value in past.settings)
    return RunFacts(
        command="run",
        input_path=past.input,
        input_sha256=past.identity.content,
        sheet=past.identity.sheet,
        endpoint=str(past.facts["endpoint"]),
        base_url=past.identity.base_url,
        run_folder=str(past.folder),
        started_at=past.started_at,
        finished_at=finished_at or datetime.now(UTC),
        requests=past.requests,
        retries=past.retries,
        stop=past.stop,
        allowed=journal.allowed(),
        settings=tuple(settings),
        notes=tuple(notes),
        expected=table.expected,
        invocation=past.invocation,
        inbox=past.inbox,
    )
