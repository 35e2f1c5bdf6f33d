"""The unattended job: every finished file of the inbox is run, then put away; trouble of the service ends the job."""

from __future__ import annotations

import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.errors import (
    BatchUpdaterError,
    ConfigError,
    CredentialsError,
    EndpointError,
    ExitCode,
    JournalError,
    LockedError,
    ResultsError,
)  # fmt: skip
from batch_updater.nightly import dispositions as settling
from batch_updater.nightly.archive import put_away
from batch_updater.nightly.dispositions import Passed, Settled, Stopped, Tonight
from batch_updater.nightly.inbox import LOOK_S, look, stamp_of
from batch_updater.nightly.memory import Memory
from batch_updater.nightly.night import FileResult, Night, Trouble, Verdict
from batch_updater.records import StopReason
from batch_updater.reporter.next_step import NextKind, next_step
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN
from batch_updater.runs.folder import sha256_of
from batch_updater.runs.history import DamagedRun, applied_before, past_runs, undone_by
from batch_updater.runs.interrupts import Interrupted
from batch_updater.runs.open_run import open_run
from batch_updater.runs.result import Options
from batch_updater.runs.run import Run as RunToSend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batch_updater.config.environment import Environment
    from batch_updater.config.schema import Config
    from batch_updater.nightly.dispositions import Ran
    from batch_updater.nightly.inbox import Waiting
    from batch_updater.nightly.memory import MemoryFile
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.result import RunResult

_STARTS_A_NIGHT = 2
"""How often a file is run in one night if rows are not done although nothing stopped it."""
_NIGHTS_REFUSED = 3
"""A file all rows of which were refused in the same way on so many nights in a row is for a person."""
_OLD = timedelta(hours=36)
"""A run last started longer ago is for a person. A job of every day is never that late for what it left over."""
_ENDS_THE_JOB = frozenset({
    StopReason.CREDENTIALS, StopReason.QUOTA, StopReason.SERVICE_DOWN, StopReason.MAX_WAIT,
    StopReason.INTERRUPTED, StopReason.DISK,
})  # fmt: skip
"""Stops that the next file would meet as well, unless it is the file after all."""


def required_inbox(config: Config) -> Path:
    """Return the inbox. Raises ConfigError if none is configured, or the folder is not there."""
    inbox = config.nightly.inbox
    if inbox is None:
        raise ConfigError(
            "The configuration does not say where the files of the unattended job lie.",
            remedy="Set nightly.inbox in config.yaml to the folder into which they are put.",
        )
    if not inbox.is_dir():
        raise ConfigError(
            f"The inbox {inbox} is not there, or is no folder.",
            remedy="Make it, or correct nightly.inbox; if it is on another machine, see whether it is connected.",
        )
    return inbox


class Job:
    """One night over one inbox; whoever makes it holds the lock."""

    def __init__(
        self,
        config: Config,
        environment: Environment,
        memory: MemoryFile,
        interrupts: Interrupts,
        say: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        """`say` is told in a line what becomes of each file, `complain` what fails besides."""
        self._config = config
        self._environment = environment
        self._memory = memory
        self._earlier = Memory()
        self._interrupts = interrupts
        self._say = say
        self._complain = complain
        self._started_at = datetime.now(UTC)
        self._clock = time.monotonic()
        self.results: list[FileResult] = []
        """What became of the files so far."""

    def run(self, look_s: float = LOOK_S) -> Night:
        """Run every finished file. Raises ConfigError if the inbox cannot be used."""
        self._earlier = self._memory.memory
        inbox = required_inbox(self._config)
        try:
            with self._interrupts.ending_at_once():
                found = look(inbox, self._config.nightly.patterns, look_s)
                files = self._unfinished_first(found.finished)
        except OSError as error:
            raise ConfigError(
                f"The inbox {inbox} cannot be read: {error.strerror}.", remedy="Give the job the right to read it."
            ) from error
        except Interrupted:
            return self._night(inbox, settling.INTERRUPTED)
        trouble = self._run_all(files)
        self._add(*map(settling.not_finished, found.skipped))
        return self._night(inbox, trouble)

    def _night(self, inbox: Path, trouble: Trouble | None) -> Night:
        return Night(inbox, tuple(self.results), trouble, self._started_at, time.monotonic() - self._clock)

    def _unfinished_first(self, files: Sequence[Waiting]) -> list[Waiting]:
        """Put first what an earlier night was about to move, then what it began: nothing newer may come in between."""
        opened = {
            past.identity.content
            for past in past_runs(self._config.results.folder)
            if not isinstance(past, DamagedRun) and past.is_unfinished
        }
        return sorted(
            files, key=lambda file: (not self._earlier.held(file), bool(opened) and _content(file) not in opened)
        )

    def _run_all(self, files: Sequence[Waiting]) -> Trouble | None:
        waited_for: list[Waiting] = []
        passed: list[Passed] = []
        for at, file in enumerate(files):
            settled = settling.waits(file, waited_for) or self._one(file)
            if passed and _result_of(settled).confirmed:  # the service works, then: it is those files
                self._add(*(self._filed(one.file, one.as_its_fault) for one in passed))
                passed.clear()
            if isinstance(settled, Passed) and not (
                settled.is_service_down and any(one.is_service_down for one in passed)
            ):
                passed.append(settled)
            elif isinstance(settled, FileResult):
                self._add(settled)
                waited_for += [file] if settled.verdict is Verdict.AGAIN else []
            else:
                left = (FileResult(rest.path.name, Verdict.LEFT, settling.NO_TURN) for rest in files[at + 1 :])
                ended = [settled] if isinstance(settled, Passed) else []
                self._add(*map(self._kept, passed + ended), *(() if ended else (settled.result,)), *left)
                return settled.trouble
        refused = [one for one in passed if one.is_refused]
        if len(refused) == 1 and refused[0].if_alone:
            passed.remove(refused[0])
            self._add(self._filed(refused[0].file, refused[0].if_alone))
        self._add(*map(self._kept, passed))
        return next((one.trouble for one in passed if one.trouble), None)

    def _add(self, *results: FileResult) -> None:
        for result in results:
            self.results.append(result)
            self._say(f"{result.name}: {_in_a_line(result)}")

    def _one(self, file: Waiting) -> Ran:
        if self._interrupts.count:
            return settling.stopped(file, settling.INTERRUPTED, Tonight())
        if stamp_of(file.path) != file.stamp:
            return FileResult(file.path.name, Verdict.LEFT, settling.CHANGED)
        tonight = Tonight()
        try:
            self._memory.take_in_hand(file, self._started_at)
            settled = self._attempted(file, tonight)
            return self._filed(file, settled) if isinstance(settled, Settled) else settled
        except JournalError as error:
            return settling.stopped(file, settling.disk_trouble(str(error)), tonight)
        except OSError as error:
            why = f"{error.filename or self._memory.path} cannot be written: {error.strerror or error}."
            return settling.stopped(file, settling.disk_trouble(why), tonight)
        except Exception:  # noqa: BLE001  (the other files, and the message about this one, must not suffer from it)
            for line in (f"{file.path.name}:", *traceback.format_exc().split("\n")):
                self._complain(f"    {line}" if line else "")
            return self._filed(file, settling.faulty(file, tonight))

    def _attempted(self, file: Waiting, made: Tonight) -> Settled | Stopped | Passed:
        """Run a file, once more if rows were not done; say what that comes to."""
        held = self._earlier.held(file)
        if held and held.is_over:
            return settling.over(file, made)
        while True:
            if settled := self._once(file, made):
                return settled

    def _once(self, file: Waiting, made: Tonight) -> Settled | Stopped | Passed | None:
        """Run a file one time; None if it is worth another."""
        try:
            with (
                self._interrupts.ending_at_once(),
                open_run(file.path, self._config, self._environment) as opened,
            ):
                return self._run_of(file, opened, made)
        except Interrupted:
            return settling.stopped(file, settling.INTERRUPTED, made)
        except CredentialsError as error:
            return settling.stopped(file, Trouble(StopReason.CREDENTIALS.value, error.message, error.remedy), made)
        except LockedError as error:
            return settling.stopped(file, Trouble("locked", error.message, error.remedy, ExitCode.LOCKED), made)
        except (ConfigError, EndpointError) as error:
            return settling.stopped(
                file, Trouble("configuration", error.message, error.remedy, ExitCode.NOTHING_SENT), made
            )
        except ResultsError as error:
            return settling.stopped(file, settling.disk_trouble(error.message, error.remedy), made)
        except BatchUpdaterError as error:
            return settling.refused(file, error, made)

    def _run_of(self, file: Waiting, opened: OpenRun, made: Tonight) -> Settled | Stopped | Passed | None:
        if stamp_of(file.path) != file.stamp:
            return settling.replaced(file, made)
        if refused := self._not_run(file, opened):
            return refused
        if not made.runs:
            made.confirmed_before = opened.earlier.resumed.confirmed if opened.earlier.resumed else 0
            made.remark = opened.earlier.note or ""
        options = Options(inbox=str(self._config.nightly.inbox))
        finished = RunToSend(opened, options, self._environment).execute(None, self._interrupts)
        made.runs.append(finished)
        if trouble := _trouble_of(finished):
            return self._ended_by(file, trouble, made)
        return None if _is_worth_another(finished, len(made.runs)) else self._judged(file, made)

    def _ended_by(self, file: Waiting, trouble: Trouble, made: Tonight) -> Settled | Stopped | Passed:
        ended = settling.stopped(file, trouble, made)
        if trouble.reason == StopReason.ALL_ALIKE.value:
            # Whether it is the set-up or the file, the others of this night tell: those before it, or those after.
            # So each of them has its turn: bad files would keep out the good ones night after night otherwise.
            self._memory.give_up(file)
            as_its_fault = settling.refused_alike(file, trouble, made)
            if any(result.confirmed for result in self.results):
                return as_its_fault
            nights, refusal = len(self._refused_on(file)), made.runs[-1].uniform_refusal
            is_evidence = refusal is None or refusal.shows_set_up
            return Passed(
                file, ended.result, as_its_fault, trouble,
                if_alone=None if is_evidence else settling.with_refused_rows(file, made),
                if_left=settling.refused_for_long(file, trouble, nights, made) if nights >= _NIGHTS_REFUSED else None,
            )  # fmt: skip
        if trouble.reason != StopReason.SERVICE_DOWN.value:
            return ended
        return self._failed_at(file, ended.result, made, trouble) or ended

    def _judged(self, file: Waiting, made: Tonight) -> Settled | Passed:
        """Return what becomes of a file that was run, nothing of which concerns other files."""
        last = made.runs[-1]
        again = last.summary.total(RUN_AGAIN)
        if last.stop and next_step(last.facts, last.summary, None).kind is NextKind.REPAIR:
            self._memory.give_up(file)
            return settling.ended_by_refusals(file, last.stop, made)
        if not again:
            verdict = Verdict.ATTENTION if last.summary.total(NEEDS_PERSON) else Verdict.DONE
            return Settled(settling.file_result(file, verdict, "", made), last.results)
        if stamp_of(file.path) != file.stamp:
            return settling.replaced(file, made)
        note = (
            f"{again:,} of {last.summary.rows:,} rows are not done; it stays in the inbox, and the next night goes on."
        )
        result = settling.file_result(file, Verdict.AGAIN, note, made)
        passed = self._failed_at(file, result, made, None)
        if passed and result.confirmed and last.stop is None:  # at the same time it did others of its rows
            return passed.as_its_fault
        return passed or Settled(result)

    def _failed_at(self, file: Waiting, result: FileResult, made: Tonight, trouble: Trouble | None) -> Passed | None:
        """Note that the API has failed at rows of a file; return it as passed over if it did so in the last night too.

        What is passed over counts as given up for the time being: a job killed meanwhile may have sent newer files.
        """
        held = self._earlier.held(file)
        if held is None or not held.nights:
            self._memory.leave(file)
            return None
        self._memory.give_up(file)
        return Passed(file, result, settling.given_up(file, made), trouble)

    def _refused_on(self, file: Waiting) -> tuple[str, ...]:
        """Return the dates of the nights in a row, this one included, in which a file was refused as a whole."""
        held = self._earlier.held(file)
        today = self._started_at.astimezone().date().isoformat()
        return tuple(dict.fromkeys((*(held.refused_on if held else ()), today)))

    def _kept(self, passed: Passed) -> FileResult:
        """Leave a file for the next night, as nothing newer was done meanwhile, unless it was left too often."""
        if passed.if_left:
            return self._filed(passed.file, passed.if_left)
        try:
            self._memory.leave(passed.file, self._refused_on(passed.file) if passed.is_refused else ())
        except OSError as error:  # the next night takes it for given up, which is safe
            self._complain(f"{passed.file.path.name}: it could not be noted for the next night: {error.strerror}.")
        return passed.result

    def _not_run(self, file: Waiting, opened: OpenRun) -> Settled | None:
        """Return what becomes of a file that is not to be sent: old, or applied before."""
        resumed = opened.earlier.resumed
        if resumed and opened.to_send and opened.is_left_since(_OLD):
            return settling.left_for_long(file, resumed)
        past = None if resumed else applied_before(self._config.results.folder, opened.candidate)
        for ended in (opened.earlier.finished, past):  # the first may have confirmed no row
            if ended and self._was_only_to_be_moved(file, ended):
                return settling.as_it_ended(file, ended)
        if past is None:
            return None
        if past.is_unfinished:
            return settling.half_done(file, past, opened)
        if self._config.nightly.repeat == "allow":
            return None
        return settling.repeated(file, past, undone_by(self._config.results.folder, past))

    def _was_only_to_be_moved(self, file: Waiting, past: PastRun) -> bool:
        """Whether an earlier night was killed after it had run this very file and before it was moved."""
        held = self._earlier.held(file)
        return bool(held and not past.is_unfinished and past.ended_at and past.ended_at >= held.since)

    def _filed(self, file: Waiting, settled: Settled) -> FileResult:
        """Put a file away; one for which that fails stays, and a person is told."""
        result = settled.result
        if result.verdict in (Verdict.AGAIN, Verdict.LEFT):
            return result
        try:
            return self._moved(file, settled)
        except OSError as error:
            where, why = self._place_of(result), error.strerror or error
            remedy = "See that there is space, and the right to write there and in the inbox"
            note = f"{result.note} It could not be put away in {where} ({why}). {remedy}; the next night tries again."
            return replace(result, verdict=Verdict.ATTENTION, note=note.strip())

    def _place_of(self, result: FileResult) -> Path:
        """Return the folder into which a file is put away."""
        nightly = self._config.nightly
        place = nightly.done if result.verdict is Verdict.DONE else nightly.attention
        return place or (nightly.inbox or Path()).parent / result.verdict.value

    def _moved(self, file: Waiting, settled: Settled) -> FileResult:
        """Put a file away, unless somebody has put another in its place while it was run. Raises OSError."""
        result, place = settled.result, self._place_of(settled.result)
        day = self._started_at.astimezone().date()
        read = _copy_of(result.run) if result.verdict is Verdict.ATTENTION else None
        filed = put_away(file, place, day, settled.workbook, settled.note, read)
        try:
            self._memory.put_down(file)
        except OSError as error:  # it has gone all the same
            self._complain(f"{file.path.name}: that it was put away could not be noted: {error.strerror}.")
        if filed.file is None:
            return replace(result, note=f"{result.note} {settling.REPLACED}".strip(), results=filed.results)
        return replace(result, moved_to=filed.file, results=filed.results)


def _result_of(settled: Ran) -> FileResult:
    return settled if isinstance(settled, FileResult) else settled.result


def _copy_of(run: Path | None) -> Path | None:
    """Return the copy of the input in a run's folder: what was read, whatever lies in the inbox now."""
    return next(iter(sorted(run.glob("input.*"))), None) if run else None


def _content(file: Waiting) -> str:
    try:
        return sha256_of(file.path)
    except OSError:
        return ""  # it will be said when it is its turn


def _trouble_of(finished: RunResult) -> Trouble | None:
    is_over = finished.stop is None or finished.stop.reason in (StopReason.ALL_ALIKE, StopReason.FAILURES)
    refusal = finished.uniform_refusal
    # A few mistyped ids are left until other files have their turn only where nothing else is left of their own file.
    is_all = not (finished.fault or finished.summary.total(RUN_AGAIN))
    if is_over and refusal and (refusal.shows_set_up or is_all):
        return settling.uniform_refusal(refusal.how)
    if finished.stop and finished.stop.reason in _ENDS_THE_JOB:
        return Trouble(finished.stop.reason.value, finished.stop.message, finished.stop.advice)
    return settling.disk_trouble(finished.fault) if finished.fault else None


def _is_worth_another(finished: RunResult, starts: int) -> bool:
    """Whether running it again at once may get rows done: those that had their turn and met a fault."""
    return finished.stop is None and bool(finished.summary.total(RUN_AGAIN)) and starts < _STARTS_A_NIGHT


def _in_a_line(file: FileResult) -> str:
    if file.moved_to:
        return f"{file.summary.verdict if file.summary else file.note} Moved to {file.moved_to}."
    return file.note  # which says that it stays, and why
