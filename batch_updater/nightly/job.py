"""The nightly job: runs every ready file of the inbox, the oldest first, archives it, and reports the night."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment, machine_name
from batch_updater.config.schema import Config, require_sendable
from batch_updater.errors import BatchUpdaterError, ConfigError, ExitCode, GuardError, LockedError, ResultsError
from batch_updater.nightly import dispositions
from batch_updater.nightly.archive import archive
from batch_updater.nightly.dispositions import Decision, Disposition, NightStop
from batch_updater.nightly.inbox import ReadyFile, SkippedFile, look, stamp_of
from batch_updater.nightly.metrics import write_metrics
from batch_updater.nightly.night import FileResult, Night, compose, has_recovered, is_due, note_beside
from batch_updater.nightly.notify import FAILURE, START, SUCCESS, notify, ping
from batch_updater.nightly.state import NightState, StateStore
from batch_updater.reporter.summary import RUN_AGAIN, Summary
from batch_updater.runs.history import past_runs
from batch_updater.runs.interrupts import Interrupted, Interrupts
from batch_updater.runs.lock import locked_inbox
from batch_updater.runs.open_run import open_run
from batch_updater.runs.result import Options, RunResult
from batch_updater.runs.team_files import fetched
from batch_updater.runs.team_folders import joined
from batch_updater.team import submit

_STARTS_A_NIGHT = 2
"""How often a file is run in one night if rows are not done although nothing stopped it."""


def run_night(
    config: Config,
    environment: Environment,
    interrupts: Interrupts,
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> Night:
    """Run the nightly job once and report it, also if an exception ends it early.

    `say` takes a line for each file, `complain` one for whatever fails and is part of no result. Raises LockedError if
    another job is running, which reports its own end, and ConfigError if the inbox or the team's database cannot be
    used, or no API is named.
    """
    state = StateStore(config.results.folder, config.nightly.inbox)
    job = _NightlyJob(config, environment, interrupts, say, complain, state)
    night: Night | None = None
    with ExitStack() as team:
        try:
            require_sendable(config)
            team.enter_context(joined(config, environment))
            inbox = required_inbox(config.nightly.inbox)
            with locked_inbox(inbox):
                job.start()
                with suppress(Interrupted), interrupts.ending_at_once():
                    job.ping(START)
                night = job.run(inbox)
                job.report(night)
                return night
        except LockedError:
            raise
        except BaseException as error:
            if night is None:  # else a second signal has ended the report
                stop = NightStop("fault", "An internal error ended it.", "Look at its log.", ExitCode.FAULT)
                if isinstance(error, BatchUpdaterError):
                    stop = NightStop("configuration", error.message, error.remedy, ExitCode.NOTHING_SENT)
                elif isinstance(error, KeyboardInterrupt):
                    stop = NightStop("interrupted", "A second signal ended it at once.", "Start it again to go on.")
                job.report(job.night(config.nightly.inbox or Path("?"), stop))
            raise


def required_inbox(inbox: Path | None) -> Path:
    """Return the inbox of a configuration. Raises ConfigError if there is none."""
    if inbox is None:
        raise ConfigError(
            "The configuration does not say where the files of the nightly job lie.",
            remedy="Set nightly.inbox in config.yaml to the folder into which they are put.",
        )
    if not inbox.is_dir():
        raise ConfigError(
            f"The inbox {inbox} is not there, or is no folder.",
            remedy="Make it, or correct nightly.inbox; if it is on another machine, see whether it is connected.",
        )
    return inbox


class _FileRuns(msgspec.Struct):
    made: list[RunResult | GuardError] = msgspec.field(default_factory=list)
    """Runs, and the guard that stopped one: to judge it, records may have been read."""
    note: str = ""
    """What earlier runs of the file mean for it."""
    past_workbook: Path | None = None
    """That of a run of an earlier night that was complete but for the move."""

    @property
    def last(self) -> RunResult | None:
        """The last run of this night."""
        return next((run for run in reversed(self.made) if isinstance(run, RunResult)), None)

    @property
    def summary(self) -> Summary | None:
        """The summary of that run."""
        return self.last.summary if self.last else None

    def result(self, file: ReadyFile | SkippedFile, decision: Decision) -> FileResult:
        """Return the result of a file that is still where it was."""
        remedy = (line for line in decision.remedy if not line.startswith(dispositions.OPTION_INDENT))
        lines, last = (*decision.message, *remedy, self.note if self.last else ""), self.last
        result = FileResult(
            file.path.name, decision.disposition, " ".join(line.strip() for line in lines).strip(),
            requests=sum(one.requests for one in self.made), retries=sum(one.retries for one in self.made),
            throttled=sum(one.throttled for one in self.made), is_fault=decision.is_fault, last=last,
            past=None if last else decision.past, exit_code=decision.exit_code,
            next_step=dispositions.next_step_of(decision, last),
        )  # fmt: skip
        if last:
            return replace(result, summary=last.summary, results=last.results, run=last.folder)
        if past := decision.past:
            return replace(result, summary=past.summary, results=self.past_workbook, run=past.folder)
        return result


class _NightlyJob(msgspec.Struct):
    """One night over one inbox. The caller holds its lock."""

    config: Config
    environment: Environment
    interrupts: Interrupts
    say: Callable[[str], None]
    complain: Callable[[str], None]
    state: StateStore
    started_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    clock: float = msgspec.field(default_factory=time.monotonic)
    results: list[FileResult] = msgspec.field(default_factory=list)
    killed: tuple[datetime, ...] = ()
    """When nights before it were started that were killed, as far as no one has been told of them."""

    def start(self) -> None:
        """Note that the night goes on from now, and learn whether the one before has come to its end."""
        try:
            self.killed = self.state.start(self.started_at)
        except ResultsError as error:
            self.complain(error.message)

    def run(self, inbox: Path) -> Night:
        """Run every ready file. Raises ConfigError and ResultsError where inbox or past runs cannot be read."""
        past_runs(self.config.results.folder)  # raises here, before any file is blamed
        stop: NightStop | None = None
        try:
            with self.interrupts.ending_at_once():
                listing = look(inbox, self.config.nightly.patterns)
        except OSError as error:
            raise ConfigError(
                f"The inbox {inbox} cannot be read: {error.strerror}.", remedy="Give the job the right to read it."
            ) from error
        except Interrupted:
            return self.night(inbox, dispositions.INTERRUPTED)
        for file in listing.ready:
            if stop:
                self._add(_FileRuns().result(file, dispositions.NO_TURN))
            else:
                stop = self._run_and_archive(file)
        for skipped in listing.skipped:
            self._add(_FileRuns().result(skipped, dispositions.decide_not_ready(skipped, datetime.now(UTC))))
        return self.night(inbox, stop)

    def night(self, inbox: Path, stop: NightStop | None) -> Night:
        """Return the night so far."""
        api = self.config.api
        removed = (name for file in self.results if file.last for name in file.last.removed)
        return Night(
            inbox, tuple(self.results), stop, self.started_at, time.monotonic() - self.clock, machine_name(),
            f"{api.base_url or 'none'} ({api.endpoint})", self.killed, tuple(removed),
        )  # fmt: skip

    def _add(self, result: FileResult) -> None:
        self.results.append(result)
        line = result.note  # of a file that stays, it says so
        if result.moved_to:
            line = f"{result.summary.verdict if result.summary else result.note} Moved to {result.moved_to}."
        self.say(f"{result.name}: {line}")

    def _run_and_archive(self, file: ReadyFile) -> NightStop | None:
        """Run one file and put it where it belongs; returns why the night ends with it, None if it does not."""
        runs, nightly = _FileRuns(), self.config.nightly
        try:
            decision = self._decide(file, runs)
        except (Exception, Interrupted) as error:  # noqa: BLE001  (one file must not keep the others and the message back)
            decision = dispositions.decide_error(error, file.path, runs.summary)
            if isinstance(error, GuardError):
                runs.made.append(error)
            if decision.is_fault:
                for line in (f"{file.path.name}:", *traceback.format_exc().split("\n")):
                    self.complain(f"    {line}" if line else "")
        if stamp_of(file.path) != file.stamp and not decision.is_fault:
            decision = dispositions.decide_replaced(decision, runs.summary)
        if decision.disposition in {Disposition.TROUBLE, Disposition.NOT_READY}:
            self._add(runs.result(file, decision))
            own = decision.is_own_trouble
            if runs.last:
                self._note(file, lambda: self.state.leave(file, self.started_at, own_trouble=own))
            return decision.stop
        # To done/ or attention/ with it; one that cannot be moved stays.
        verdict, result = decision.disposition.verdict, runs.result(file, decision)
        folder = (nightly.done if verdict == "done" else nightly.attention) or file.path.parent.parent / verdict
        copy = next(iter(sorted(result.run.glob("input.*"))), None) if result.run and result.needs_person else None
        try:
            day = self.started_at.astimezone().date()
            archived = archive(file, folder, day, result.results, note_beside(file.path.name, decision), copy)
        except OSError as error:
            why = str(error.strerror or error)
            decision = dispositions.decide_not_archived(decision, runs.summary, str(folder), why)
            self._add(runs.result(file, decision))
            return decision.stop
        note = result.note if archived.file else f"{result.note} {dispositions.REPLACED}".strip()
        self._add(replace(result, note=note, moved_to=archived.file, results=archived.results))
        self._note(file, lambda: self.state.remove(file))
        return decision.stop

    def _note(self, file: ReadyFile, write: Callable[[], None]) -> None:
        try:
            write()
        except ResultsError as error:
            self.complain(f"{file.path.name}: {error.message}")

    def _decide(self, file: ReadyFile, runs: _FileRuns) -> Decision:
        """Run a file, once more if rows failed, and decide on it. Raises what `open_run` and a run raise."""
        if self.interrupts.count:
            raise Interrupted(0)
        if stamp_of(file.path) != file.stamp:
            return dispositions.CHANGED
        pending = self.state.begin(file)
        while True:
            with (
                self.interrupts.ending_at_once(),
                open_run(file.path, self.config, self.environment) as opened,
            ):
                if stamp_of(file.path) != file.stamp:
                    return dispositions.CHANGED
                if not runs.made:
                    if decision := dispositions.decide_beforehand(opened, pending.since, self.started_at):
                        if past := decision.past:  # a team's files may be in its database alone
                            runs.past_workbook = past.workbook
                            if decision.disposition is Disposition.ATTENTION:
                                fetched(past.folder, past.facts.input_file)
                        return decision
                    runs.note = opened.earlier.note or ""
                options = Options(inbox=str(self.config.nightly.inbox))
                result = submit.execute(
                    opened, options, self.environment, None, self.interrupts,
                    # What ends the job without a person, as where its machine goes down, does not end a team's run.
                    lambda: self.interrupts.is_by_person,
                )  # fmt: skip
            runs.made.append(result)
            if result.stop or not result.summary.total(RUN_AGAIN) or len(runs.made) == _STARTS_A_NIGHT:
                return dispositions.decide_run(result, pending.nights_with(self.started_at))

    def report(self, night: Night) -> None:
        """Report a night, once to each machine and person. A failure is a complaint and changes nothing."""
        settings = self.config.nightly
        try:
            known = self.state.state
        except ResultsError as error:
            self.complain(f"What people know of earlier nights could not be read. {error.message}")
            known = NightState()
        last = known.exit_code
        # The local files come first: a second signal may end the report, and people take longest.
        if failure := write_metrics(settings.metrics, night):
            self.complain(failure)
        recovers = has_recovered(night, last)
        if not recovers:
            self._keep(night, night.exit_code)
        self.ping(SUCCESS if night.exit_code == ExitCode.OK else FAILURE)
        are_told = not settings.notify or settings.notify_when == "never"  # by what the job prints alone
        if is_due(settings.notify_when, night, last):
            # What earlier nights have removed, no one has been told of yet.
            removed = tuple(dict.fromkeys((*known.removed, *night.removed)))
            message, redact = compose(replace(night, removed=removed), last), self.environment.redaction.text
            message = replace(message, subject=redact(message.subject), body=redact(message.body))
            failures = 0
            for failure in notify(message, settings.notify, self.environment):
                self.complain(failure)
                failures += 1
            are_told = failures < len(settings.notify) or are_told
        if recovers:  # until people have been told of it, the trouble is what they know
            self._keep(night, night.exit_code if are_told or last is None else last)
        if are_told:
            self._note_end(lambda: self.state.told(night.killed))

    def ping(self, sign: str) -> None:
        """Tell the health check."""
        if failure := ping(self.config.nightly.health_check, sign, self.environment):
            self.complain(failure)

    def _keep(self, night: Night, exit_code: int) -> None:
        self._note_end(lambda: self.state.end(int(exit_code), night.started_at, night.removed))

    def _note_end(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ResultsError as error:
            self.complain(f"The end of the night could not be noted. {error.message} {error.remedy}")
