"""What becomes of one file: decided from its own run, error and history. Other files have no say in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path, PurePath

import msgspec
from msgspec.structs import replace

from batch_updater.errors import (
    BatchUpdaterError,
    ConfigError,
    CredentialsError,
    EndedEarlyError,
    EndpointError,
    ExitCode,
    InputError,
    LockedError,
    ResultsError,
    StoreError,
)  # fmt: skip
from batch_updater.messages import format_date_time
from batch_updater.nightly.inbox import SkippedFile
from batch_updater.questions import OpenQuestionsError, QuestionKind
from batch_updater.records import StopReason
from batch_updater.reporter.next_step import NOTHING_LEFT, NextKind, NextStep, is_resumable, next_step
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN, Summary
from batch_updater.runs.history import PastRun, applied_before, undone_by
from batch_updater.runs.interrupts import Detached, Interrupted
from batch_updater.runs.open_run import OpenRun
from batch_updater.runs.result import RunResult
from batch_updater.runs.statements import CONFIRMED
from batch_updater.runs.team_database import is_of_team_database

OPTION_INDENT = "    "
"""Begins a line of a remedy that is an option: the note beside a file has them, one line is no place for them."""
NIGHTS = 3
"""A file that is left with trouble of its own on so many nights in a row goes to attention."""
OLD = timedelta(hours=36)
"""A run last started longer ago goes to attention. A daily job is never that late for what it left."""
_STALE = timedelta(days=1)
"""A file that is not ready and has not changed for so long needs a person."""


class Disposition(Enum):
    """Where a file goes, and why. The first word is what `--json` calls its verdict."""

    DONE = "done"
    """Every row is settled."""
    ATTENTION = "attention"
    """A person has to repair it."""
    UNFINISHED = "attention, unfinished"
    """It was left with trouble of its own on `NIGHTS` nights in a row."""
    TROUBLE = "left, trouble"
    """The account, the service, or all rows refused in the same way. The night ends, nothing newer overtakes it."""
    NOT_READY = "left, not ready"
    """It is being written, or open in another program."""

    @property
    def verdict(self) -> str:
        """`done`, `attention` or `left`."""
        return self.value.partition(",")[0]


class NightStop(msgspec.Struct, frozen=True):
    """Why the night ends before every file had its turn."""

    reason: str | None
    """A run's stop reason, `configuration`, `locked` or `fault`; None where rows failed and no rule stopped the run."""
    message: str
    advice: str
    exit_code: ExitCode = ExitCode.RUN_AGAIN


class Decision(msgspec.Struct, frozen=True):
    """A disposition with its reason."""

    disposition: Disposition
    message: tuple[str, ...] = ()
    """Lines for people; empty where the rows say it all."""
    remedy: tuple[str, ...] = ()
    """Lines on what to do; with any, a note is put beside the file."""
    stop: NightStop | None = None
    """Set where the night ends with this file."""
    is_own_trouble: bool = False
    """Whether rows of this file were sent and refused or failed: on `NIGHTS` such nights it becomes unfinished."""
    is_fault: bool = False
    """Whether the program itself failed."""
    past: PastRun | None = None
    """The run of an earlier night that was complete but for the move."""

    @property
    def exit_code(self) -> ExitCode:
        """What a night with this file alone would end with."""
        if self.is_fault:
            return ExitCode.FAULT
        if self.stop:
            return self.stop.exit_code
        if self.disposition is Disposition.TROUBLE:
            return ExitCode.RUN_AGAIN
        needs_person = self.disposition in {Disposition.ATTENTION, Disposition.UNFINISHED}
        return ExitCode.NEEDS_PERSON if needs_person else ExitCode.OK


INTERRUPTED = NightStop(StopReason.INTERRUPTED.value, "A signal ended it.", "Start it again to go on.")
_DETACHED = NightStop(
    StopReason.INTERRUPTED.value,
    "A signal ended it. The workers of the team continue with the run.",
    "Start it again: it then follows the run to its end.",
)
CHANGED = Decision(
    Disposition.NOT_READY, ("Left in the inbox: it was changed or removed after the job had looked at it.",)
)
NO_TURN = Decision(Disposition.TROUBLE, ("Left in the inbox: the job ended before its turn. The next start runs it.",))
REPLACED = "While it was run, another file was put in its place: the one in the inbox now waits for its turn."

_ENDS_THE_NIGHT = frozenset({
    StopReason.CREDENTIALS, StopReason.QUOTA, StopReason.MAX_WAIT, StopReason.INTERRUPTED, StopReason.DISK,
})  # fmt: skip
"""Stops that have nothing to do with the rows of the file."""
_ERRORS: tuple[tuple[type[BatchUpdaterError | StoreError], str, ExitCode], ...] = (
    (CredentialsError, StopReason.CREDENTIALS.value, ExitCode.RUN_AGAIN),
    (LockedError, "locked", ExitCode.LOCKED),
    (ConfigError, "configuration", ExitCode.NOTHING_SENT),
    (EndpointError, "configuration", ExitCode.NOTHING_SENT),
    (EndedEarlyError, StopReason.INTERRUPTED.value, ExitCode.RUN_AGAIN),
    (ResultsError, StopReason.DISK.value, ExitCode.RUN_AGAIN),
    (StoreError, StopReason.DISK.value, ExitCode.RUN_AGAIN),
)
"""Errors that the next file would meet as well."""
_DISK_REMEDY = "See that there is space and the right to write there."
_DATABASE_REMEDY = "Check it with `batch-updater doctor`."
_LAYOUT = (
    "The job asks nothing. Answer once for all files with these headers, with the job's --config: "
    "`batch-updater check {0}` asks on a terminal and remembers the answers; `batch-updater columns {0} --save NAME` "
    "takes the options that the note beside the file lists."
)
_HIDDEN = (
    "To leave hidden rows out, delete them from the file, or write `hidden_rows: leave out` into its layout by hand."
)
_BY_HAND = "by hand as the job does, with its user, token and --config"
_NEWER = "Newer files may be sent meanwhile: if one has the same records, take those rows out first."
_REPAIR = (
    'Repair the rows on the sheet "To fix" of its workbook, which holds every row that is not done, and put that '
    "workbook into the inbox."
)


def decide_run(result: RunResult, nights: int) -> Decision:
    """Decide on a file that was run.

    `nights` counts the nights with trouble of its own, this one included if it has any.
    """
    stop, summary = result.stop, result.summary
    refusal = result.uniform_refusal
    had_its_turn = stop is None or stop.reason in {StopReason.ALL_ALIKE, StopReason.FAILURES}
    if refusal and refusal.shows_set_up and had_its_turn and not summary.total(CONFIRMED):
        message = f"Every row that was sent was refused in the same way: {refusal.how}."
        advice = "Check api.base_url and the account. If they are right, repair or remove the file."
        return _own_trouble(NightStop(StopReason.ALL_ALIKE.value, message, advice), summary, nights)
    if stop and stop.reason in _ENDS_THE_NIGHT:
        return _left(NightStop(stop.reason.value, stop.message, stop.advice), summary)
    if stop and stop.reason is StopReason.SERVICE_DOWN:
        return _own_trouble(NightStop(stop.reason.value, stop.message, stop.advice), summary, nights)
    if result.fault:
        return _left(NightStop(StopReason.DISK.value, result.fault, _DISK_REMEDY), summary)
    again = summary.total(RUN_AGAIN)
    if stop and not is_resumable(summary, stop):
        return _attention(stop.message, _REPAIR, _NEWER if again else "")
    if again:
        message = "The API failed at some rows, and again when the file was run once more."
        return _own_trouble(NightStop(None, message, "The next start of the job tries them again."), summary, nights)
    return Decision(Disposition.ATTENTION if summary.total(NEEDS_PERSON) else Disposition.DONE)


def _attention(message: str, *remedy: str) -> Decision:
    return Decision(Disposition.ATTENTION, (message,), tuple(filter(None, remedy)))


def _left(stop: NightStop, summary: Summary | None = None) -> Decision:
    done = f" {summary.total(CONFIRMED):,} of its {summary.rows:,} rows are done." if summary else ""
    return Decision(Disposition.TROUBLE, (f"Left in the inbox: {stop.message}{done}",), stop=stop)


def _own_trouble(stop: NightStop, summary: Summary, nights: int) -> Decision:
    if nights < NIGHTS:
        return replace(_left(stop, summary), is_own_trouble=True)
    message = (
        f"{stop.message} That happened on {nights} nights in a row. The file is unfinished, and the job does not try "
        f"it again: {summary.total(CONFIRMED):,} of its {summary.rows:,} rows are done."
    )
    remedy = (
        "Check api.base_url, the account and the service. Once they are right, put the file into the inbox again.",
        f"If they were right all the time: {_REPAIR}",
        _NEWER,
    )
    return Decision(Disposition.UNFINISHED, (message,), remedy)


def decide_error(error: BaseException, path: Path, summary: Summary | None = None) -> Decision:
    """Decide on a file that an error ended; `summary` is that of its last run in this night, if there was any."""
    if isinstance(error, Interrupted):
        return _left(INTERRUPTED, summary)
    if isinstance(error, Detached):
        return _left(_DETACHED, summary)
    for kind, reason, exit_code in _ERRORS:
        if isinstance(error, kind):
            return _left(NightStop(reason, str(error), error.remedy, exit_code), summary)
    if is_of_team_database(error):
        stop = NightStop(StopReason.DISK.value, "The team's database does not answer.", _DATABASE_REMEDY)
        return _left(stop, summary)
    if isinstance(error, OSError):
        why = f"{error.filename or 'The disk'} cannot be used: {error.strerror or error}."
        return _left(NightStop(StopReason.DISK.value, why, _DISK_REMEDY), summary)
    if isinstance(error, BatchUpdaterError):
        remedies = error.remedy_lines
        if isinstance(error, OpenQuestionsError):
            options = [f"{OPTION_INDENT}{line}" for question in error.questions for line in question.lasting_lines]
            are_hidden = any(question.kind is QuestionKind.HIDDEN_ROWS for question in error.questions)
            remedies = (_LAYOUT.format(path.name), *options, *([_HIDDEN] if are_hidden else []))
        again = ("Then put it into the inbox again.",) if isinstance(error, InputError) else ()
        message, remedy = (
            tuple(line.replace(str(path), path.name) for line in lines)  # it will have left the inbox
            for lines in (error.lines, (*remedies, *again))
        )
        return Decision(Disposition.ATTENTION, message, remedy)
    fault = _attention(
        "The program itself failed at it. What was sent of it is kept, and `batch-updater runs` shows it.",
        f"Report the error in the log of the job. Then run the file {_BY_HAND}, which resumes it.",
    )
    return replace(fault, is_fault=True)


def decide_beforehand(opened: OpenRun, since: datetime, now: datetime) -> Decision | None:
    """Decide on a file by earlier runs of the same content; None if it is to be run.

    `since`: when it was begun or last left; `now`: when the night began.
    """
    config, resumed = opened.plan.config, opened.earlier.resumed
    if opened.is_under_way:
        return None
    if resumed:
        last_started_at = resumed.parts[-1].started_at
        if not opened.to_send or abs(now - last_started_at) <= OLD:
            return None
        return _attention(
            f"Nothing more of it was sent: its run of {format_date_time(last_started_at)} is unfinished "
            f"({resumed.confirmed:,} of {resumed.rows:,} rows are done), and was left for more than 36 hours. "
            "Resuming it could overwrite changes that others have made since.",
            f"To resume it all the same, run the file {_BY_HAND}, and with --yes; to send every row, add --restart.",
        )
    past = applied_before(config.results.folder, opened.candidate)
    for ended in (opened.earlier.finished, past):  # the first may have confirmed no row
        if ended is None or ended.is_unfinished or ended.facts.closed_at:
            continue
        if ended.ended_at and ended.ended_at >= since:
            disposition = Disposition.ATTENTION if ended.summary.total(NEEDS_PERSON) else Disposition.DONE
            message = f"It was run on {format_date_time(ended.started_at)}; only the move was missing."
            return Decision(disposition, (message,), past=ended)
    if past is None or (config.nightly.repeat == "allow" and not past.is_unfinished):
        return None
    named = f"{format_date_time(past.started_at)} ({PurePath(past.facts.input).name}, run {past.folder.name})"
    if past.is_unfinished:
        changed = opened.candidate.changed_since(past) or "the run was undone"
        return _attention(
            f"Nothing more of it was sent: its run of {named} is unfinished, {past.summary.total(RUN_AGAIN):,} of "
            f"{past.rows:,} rows of it are not done, and it cannot be resumed, because this has changed since: "
            f"{changed}.",
            f"To resume it, undo that change and run the file {_BY_HAND}; to send every row with the settings of "
            "today, run it so without undoing the change.",
        )
    by = undone_by(config.results.folder, past)
    undone = f" The run {by.folder.name} has undone some of that." if by else ""
    if past.facts.closed_at:
        undone += f" The run was closed on {format_date_time(past.facts.closed_at)} with the other rows not sent."
    return _attention(
        f"It was not applied again: a file with the same content was applied on {named}, and "
        f"{past.confirmed:,} of {past.rows:,} rows are done since.{undone}",
        "Repair rows that were refused then in the workbook of that run. If all of the file is meant again, run it "
        f"{_BY_HAND}, or set nightly.repeat to allow; if not, delete it.",
    )


def next_step_of(decision: Decision, last: RunResult | None) -> NextStep:
    """Return what a person does next about a file; `last` is its last run in this night, if there was any."""
    if decision.remedy:
        return NextStep(NextKind.REPAIR if last else NextKind.CORRECT, " ".join(map(str.strip, decision.remedy)))
    if decision.disposition is Disposition.TROUBLE:
        if decision.stop == _DETACHED:  # the next start follows its run
            return NextStep(NextKind.RESUME, _DETACHED.advice)
        advice = f"{decision.stop.advice} " if decision.stop else ""
        return NextStep(NextKind.RESUME, f"{advice}The next start of the job runs it.")
    if last:
        return next_step(last.facts, last.summary, None, is_written=last.fault is None)
    if decision.past and decision.past.summary.total(NEEDS_PERSON):
        return NextStep(NextKind.REPAIR, _REPAIR)
    return NOTHING_LEFT


def decide_replaced(decision: Decision, summary: Summary | None) -> Decision:
    """Decide on a file that is no longer the one in the inbox; `decision` is the one on what was read of it."""
    if summary is None:
        return replace(CHANGED, stop=decision.stop, past=decision.past)
    again = summary.total(RUN_AGAIN)
    if not again:
        return decision
    left = _attention(
        f"{again:,} of its rows are not done, and the job cannot resume them. {REPLACED}",
        f"The copy that was read is here with its workbook. Run it {_BY_HAND}, which resumes it. {_NEWER}",
    )
    return replace(left, stop=decision.stop)


def decide_not_archived(decision: Decision, summary: Summary | None, place: str, why: str) -> Decision:
    """Decide on a file that could not be moved to `place`. It stays; the night ends if its rows are not all done.

    Otherwise the next night would send its values over newer ones.
    """
    message = f"It could not be moved to {place} ({why})."
    again = summary is not None and summary.total(RUN_AGAIN) > 0
    return replace(
        decision,
        disposition=Disposition.TROUBLE if again else Disposition.ATTENTION,
        message=(*decision.message, message),
        remedy=(*decision.remedy, f"{_DISK_REMEDY} The next night tries again."),
        stop=NightStop(StopReason.DISK.value, message, _DISK_REMEDY) if again else decision.stop,
        is_own_trouble=False,
    )


def decide_not_ready(file: SkippedFile, now: datetime) -> Decision:
    """Decide on a file that is not ready; after a day without a change a person has to look, where it lies."""
    if file.still_since is None or now - file.still_since < _STALE:
        return Decision(Disposition.NOT_READY, (f"Left in the inbox: {file.why}.",))
    message = f"Left in the inbox: {file.why}, and nothing has changed for more than a day."
    return _attention(message, "See that it is finished, or remove it.")
