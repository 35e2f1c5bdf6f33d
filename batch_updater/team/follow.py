"""Follows a run of the team until it ends: its place in the queue, its progress and its result."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import machine_name
from batch_updater.errors import ConfigError, EndedEarlyError, ResultsError, UsageError
from batch_updater.files.writing import OTHER_PLACE, not_written, private_folder, write_workbook
from batch_updater.messages import outcome_counts
from batch_updater.records import Outcome, OutcomeKind, Stop
from batch_updater.reporter.page import PAGE
from batch_updater.runs import report
from batch_updater.runs.history import PastRun, find_run
from batch_updater.runs.interrupts import Detached, StopRequests
from batch_updater.runs.open_run import remove_unless_begun
from batch_updater.runs.queued_runs import QueuedRun, leave_queue, queued_run
from batch_updater.runs.result import Progress, RunResult
from batch_updater.runs.rows import rows_in, unsent
from batch_updater.runs.team_database import is_of_team_database
from batch_updater.runs.team_files import fetched, file_content
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.sender.pool import YOU_STOPPED
from batch_updater.team.overview import SEEN_WITHIN_S
from batch_updater.team.progress import NO_WORKER, rows_so_far, what_it_waits_for
from batch_updater.team.report import part_result

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

_LOOKED_EVERY_S = 0.2
_QUEUE_LOOKED_AT_EVERY_S = 1.0
"""How often it is looked at what a run waits for."""
_WITHOUT_WORKER_S = 10.0
"""A stopped run is left after so long without a worker: one that restarts, or connects again, is not seen meanwhile."""
_OUTAGE_S = 300.0
"""For so long the database may be away before it is not waited for any more."""
_SERVICE = """
    SELECT account, why, round(deadline - extract(epoch FROM clock_timestamp()))::float8 FROM quotas
    WHERE origin = %s AND opened_at IS NOT NULL AND deadline + 5 > extract(epoch FROM clock_timestamp())"""
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


AskToStop: TypeAlias = Callable[[], bool]
"""Says after a signal whether to stop the run; otherwise the command detaches."""


class _Look(NamedTuple):
    """What the database says at a moment."""

    run: QueuedRun | None
    counts: Counter[OutcomeKind]
    """Rows of this part that have their outcome."""
    waits_for: str
    """Why nothing is being sent, as a sentence; '' if something is, or will be at once."""


def follow(  # noqa: PLR0913  (keywords)
    team: TeamDatabase,
    folder: Path,
    *,
    results: Path | None = None,
    progress: Progress | None = None,
    interrupts: StopRequests | None = None,
    ask_to_stop: AskToStop = lambda: True,
    known: Mapping[OutcomeKind, int] | None = None,
    account: Callable[[], str] | None = None,
) -> RunResult:
    """Wait until the run of a folder has ended, and return how; its workbook is put there, or at `results`.

    The first request to stop asks whether to stop the run or to let it go on. The end of a stopped run is waited for,
    unless there was no worker for a while that could bring it about; a further request does not wait for it.
    `known`: rows that have their outcome already, of which `progress` is not told. `account`: returns the account
    whose quota the run uses, as `account_of` does; without it nothing is said of the circuit breaker. Raises Detached,
    EndedEarlyError if the run does not come to an end that is known here, InputError if what the database holds cannot
    be relied on.
    """
    follower = _Follower(team, folder, progress, interrupts or StopRequests(), ask_to_stop, known, account)
    return follower.followed(results)


class _Follower:
    """Looks at a run again and again."""

    def __init__(
        self,
        team: TeamDatabase,
        folder: Path,
        progress: Progress | None,
        interrupts: StopRequests,
        ask_to_stop: AskToStop,
        known: Mapping[OutcomeKind, int] | None,
        account: Callable[[], str] | None,
    ) -> None:
        self._team = team
        self._folder = folder
        self._progress = progress
        self._interrupts = interrupts
        self._ask_to_stop = ask_to_stop
        self._seen = Counter(known)
        self._account = account
        self._said = ""
        self._looked_at_queue_s = -math.inf
        self._waits_for = ""
        self._is_service_down = False
        self._handled = 0
        """How many requests to stop were dealt with."""
        self._workers_since_s = time.monotonic()
        """Since when some worker of the team is running, as far as is known."""
        self._without_worker_since_s = math.inf
        """Since when a run that was told to stop has had no worker; infinite while it has one."""
        self._last_outage_s = -math.inf
        """When the database last did not answer; workers that live may take as long to be seen as dead ones are."""

    def followed(self, results: Path | None) -> RunResult:
        self._interrupts.watched()
        try:
            self._wait_for_end()
        finally:
            self._interrupts.sent()
        result = self._patiently(lambda: _ended(self._team, self._folder, results))
        if self._handled and result.stop == _stop_from_here():
            return replace(result, stop=YOU_STOPPED, facts=replace(result.facts, stop=YOU_STOPPED))
        return result

    def _wait_for_end(self) -> None:
        last = None
        while True:
            look = self._patiently(self._look)
            if look.run is None:
                raise self._gone(last)
            last = look.run
            self._show(look)
            if look.run.state is TeamRunState.ENDED:
                return
            if self._interrupts.count > self._handled:
                self._interrupted(look.run)
            elif self._handled and time.monotonic() - self._without_worker_since_s >= _WITHOUT_WORKER_S:
                raise self._left_without_worker()
            time.sleep(_LOOKED_EVERY_S)

    # --- what is seen ---

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        """Ask the database something; it may be away for a while. Raises EndedEarlyError if it stays away."""
        since_s: float | None = None
        while True:
            try:
                answer = ask()
            except Exception as error:
                if not is_of_team_database(error):
                    raise
                now_s = self._last_outage_s = time.monotonic()
                if since_s is None:
                    since_s = now_s
                    _say(
                        "The team's database does not answer. Until it does, the workers send no further rows. The run "
                        "is followed again then."
                    )
                if now_s - since_s > _OUTAGE_S or self._interrupts.count > self._handled:
                    raise self._left_in_outage() from error
                time.sleep(_LOOKED_EVERY_S)
            else:
                if since_s is not None:
                    _say("The team's database answers again.")
                return answer

    def _left_in_outage(self) -> Detached | EndedEarlyError:
        is_asked = self._interrupts.count > self._handled
        if is_asked and not self._handled and not self._ask_to_stop():
            return Detached(self._folder, self._so_far)
        what = "has an unknown state."
        if is_asked and not self._handled:
            what = "could not be stopped: the workers continue with it once the database is back."
        return EndedEarlyError(
            f"The team's database does not answer, so the run {self._folder.name} {what} {self._so_far}".rstrip(),
            remedy=f"When it is back: batch-updater runs --follow {self._folder.name}",
        )

    @property
    def _so_far(self) -> str:
        """What was last seen, as a sentence; '' for nothing."""
        return f"So far: {outcome_counts(self._seen)}." if self._seen.total() else ""

    def _look(self) -> _Look:
        with self._team.connected() as connection:
            return self._looked(connection)

    def _looked(self, connection: TeamConnection) -> _Look:
        run = queued_run(connection, self._folder.name)
        if run is None:
            return _Look(None, Counter(), "")
        counts = rows_so_far(connection, run)
        now_s = time.monotonic()
        if now_s - self._looked_at_queue_s >= _QUEUE_LOOKED_AT_EVERY_S:
            self._looked_at_queue_s = now_s
            waited_s = now_s - self._workers_since_s if now_s - self._last_outage_s > SEEN_WITHIN_S else None
            self._waits_for = what_it_waits_for(connection, run, waited_s)
            if self._waits_for == NO_WORKER:
                self._workers_since_s = now_s
            # A run that is being stopped waits for nothing but a worker.
            self._without_worker_since_s = min(self._without_worker_since_s, now_s) if self._waits_for else math.inf
            self._tell_of_service(connection, run)
        return _Look(run, counts, self._waits_for)

    def _tell_of_service(self, connection: TeamConnection, run: QueuedRun) -> None:
        """Log that the circuit breaker of the account has opened or closed, as a run of this process does."""
        if self._account is None or run.state is not TeamRunState.SENDING or run.stop is not None:
            return
        breakers = {account: breaker for account, *breaker in connection.execute(_SERVICE, [run.origin])}
        own_breaker = breakers.get(self._own_account) if breakers else None
        if own_breaker is not None and not self._is_service_down:
            why, wait_s = own_breaker
            _LOG.warning("breaker open", extra={"event": "breaker open", "why": why, "wait_s": wait_s})
        elif own_breaker is None and self._is_service_down:
            _LOG.warning("breaker closed", extra={"event": "breaker closed"})
        self._is_service_down = own_breaker is not None

    @cached_property
    def _own_account(self) -> str | None:
        """The account whose quota the run uses; None if it cannot be known. Asked late: it may fetch a secret."""
        try:
            return self._account() if self._account else None
        except ConfigError:
            return None

    def _show(self, look: _Look) -> None:
        if look.waits_for != self._said:
            self._said = look.waits_for
            if look.waits_for:
                _say(look.waits_for)
        if self._progress:
            for kind, rows in look.counts.items():
                for _ in range(rows - self._seen[kind]):
                    self._progress(Outcome(0, kind))
            # A block that another worker has taken over may count less for a moment: no row is shown twice.
            self._seen |= look.counts

    # --- what a person asks for ---

    def _interrupted(self, run: QueuedRun) -> None:
        """Stop the run, or let it go on without us, as a person says. Raises Detached, EndedEarlyError."""
        name = self._folder.name
        if self._handled:
            raise EndedEarlyError(
                f"The run {name} is being stopped. This command did not wait for its end. {self._so_far}".rstrip(),
                remedy=f"To see how it ended: batch-updater runs --follow {name}",
            )
        if not self._ask_to_stop():
            raise Detached(self._folder, self._so_far)
        self._handled = self._interrupts.count
        self._without_worker_since_s = math.inf  # the question may have taken long
        if self._patiently(self._stop):
            remove_unless_begun(self._folder)
            raise EndedEarlyError(
                f"Interrupted before the turn of the run. {_nothing_sent(run)}", remedy="Run it again."
            )
        _say(
            "Stopping: requests in flight are waited for, and the workbook is written. Once more ends at once, without "
            "waiting for it."
        )

    def _stop(self) -> bool:
        with self._team.connected(autocommit=False) as connection:
            return stop_run(connection, self._folder.name, _stop_from_here())

    def _left_without_worker(self) -> EndedEarlyError:
        name = self._folder.name
        return EndedEarlyError(
            f"No worker for the API of the run {name} is running. The run was told to stop, and ends as soon as there "
            f"is one. {self._so_far}".rstrip(),
            remedy=f"Start one (batch-updater worker), then: batch-updater runs --follow {name}",
        )

    def _gone(self, last: QueuedRun | None) -> UsageError | EndedEarlyError:
        if last is None:
            return UsageError(f"There is no run {self._folder.name}.", remedy="`batch-updater runs` lists the runs.")
        return EndedEarlyError(
            f"The run {self._folder.name} was taken from the queue before its turn. {_nothing_sent(last)}",
            remedy="Run it again.",
        )


def _nothing_sent(run: QueuedRun) -> str:
    """Return that a part that has had no turn has sent nothing."""
    return "Nothing was sent." if run.part == 1 else "Nothing more was sent."


def _stop_from_here() -> Stop:
    """Return that a command of this machine has stopped a run, for all who read of it."""
    return replace(YOU_STOPPED, message=f"A command on {machine_name()} stopped the run.")


def stop_run(connection: TeamConnection, name: str, stop: Stop) -> bool:
    """Stop a run, within a transaction; requests in flight are awaited. The first reason counts.

    Returns whether it was still queued: then it is as if it had never been submitted.
    """
    run = queued_run(connection, name, locked=True)
    if run is None or not run.is_under_way:
        return False
    if run.state is not TeamRunState.QUEUED:
        connection.execute(
            "UPDATE runs SET stop = coalesce(stop, %s), changed_at = clock_timestamp() WHERE id = %s",
            [msgspec.json.encode(stop).decode(), run.id],
        )
        return False
    leave_queue(connection, run)
    if run.part == 1:
        connection.execute("DELETE FROM runs WHERE id = %s", [run.id])
    return True


def _ended(team: TeamDatabase, folder: Path, results: Path | None) -> RunResult:
    """Return how a run has ended, with its files on this host. Raises InputError, EndedEarlyError."""
    past = find_run(folder.parent, folder.name)
    private_folder(folder)
    part = part_result(team, folder.name)
    if part is None or past.facts.closed_at:  # as of a run that was imported, or closed since
        return report.report(past, results)
    with past.store(looks_at_all=False) as store:
        staged, names = past.staged(store), store.names()
        expected = store.expected() if staged.is_undo else None
    fetched(folder, PAGE)
    facts = replace(
        part.facts, allowed=names, expected=expected, run_folder=folder.name if past.is_of_page else str(folder)
    )
    result = RunResult(
        columns=staged.columns,
        facts=facts,
        rows=partial(rows_in, folder, staged, past.endpoint, unsent(part.stop)),
        results=None,
        summary=part.summary,
        elapsed_s=part.elapsed_s,
        folder=folder,
        fault=part.fault,
        annotation_note=part.annotation_note,
        requests=part.requests,
        retries=part.retries,
        throttled=part.throttled,
        stop=part.stop,
        uniform_refusal=part.uniform_refusal,
    )
    result = _with_workbook(team, result, past, part.workbook, results)
    return _with_annotated_copy(team, result, folder, part.annotated)


def _with_workbook(
    team: TeamDatabase, result: RunResult, past: PastRun, name: str | None, results: Path | None
) -> RunResult:
    """Put the workbook where it was asked for; one that the database does not take is written here from the rows."""
    if name is None:
        return result
    asked = results or past.folder / name
    try:
        with team.connected() as connection:
            content = file_content(connection, past.folder.name, name)
        written = report.report(past, asked).results if content is None else _written(asked, content)
    except (OSError, ResultsError) as error:
        return _with_fault(replace(result, asked_results=asked), f"The workbook {asked}", error)
    return replace(result, asked_results=asked, results=written)


def _with_annotated_copy(team: TeamDatabase, result: RunResult, folder: Path, name: str | None) -> RunResult:
    if name is None:
        return result
    with team.connected() as connection:
        content = file_content(connection, folder.name, name)
    if content is None:
        return result
    try:
        return replace(result, annotated=_written(folder / name, content))
    except OSError as error:
        return _with_fault(result, f"The annotated copy {folder / name}", error)


def _written(path: Path, content: bytes) -> Path:
    """Write a workbook; one that is not ours, or open in another program, stays. Raises OSError."""
    return write_workbook(path, lambda draft: draft.write_bytes(content))


def _with_fault(result: RunResult, what: str, error: Exception) -> RunResult:
    fault = not_written(what, error, OTHER_PLACE)
    return replace(result, fault=f"{result.fault} {fault}" if result.fault else fault)


def _say(text: str) -> None:
    """Tell the person who waits."""
    _LOG.warning("followed", extra={"event": "followed", "why": text})
