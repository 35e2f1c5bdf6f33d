"""What becomes of one file in a night, and in which words that is said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.errors import GuardError, InputError, as_lines
from batch_updater.messages import format_date_time
from batch_updater.nightly.inbox import stamp_of
from batch_updater.nightly.night import FileResult, Trouble, Verdict
from batch_updater.records import StopReason
from batch_updater.reporter.next_step import repair_step
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN
from batch_updater.runs.journal import CONFIRMED
from batch_updater.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.errors import BatchUpdaterError
    from batch_updater.nightly.inbox import Skipped, Waiting
    from batch_updater.records import Stop
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.result import RunResult

_STALE = timedelta(days=1)
"""What is not finished for longer is not under way any more."""
NO_TURN = "The job ended before its turn; it stays in the inbox for the next time."
CHANGED = "Left in the inbox: it was changed or taken away after it was looked at."
REPLACED = "While it was run, it was changed or another file was put in its place: what lies in the inbox now waits."
_BY_HAND = "by hand as the job does, with its user, token and --config"
_NEWER_MAY_BE_SENT = (
    f"Newer files may have been sent since: if none of them has the same records, run it {_BY_HAND}, and with --yes, "
    "which goes on with the rows that are not done; if one has, take those rows out first, or leave it."
)
_FAILED_TWICE = (
    "{again:,} of its {rows:,} rows are not done: the API failed at it in two starts of the job on end, and the other "
    "files do not wait for it any longer."
)
_OVER = (
    "Its rows are not all done, and the job does not go on with it: it was ended while it tried newer files, which may "
    "have been sent."
)
_BUT_NEWER = "Newer files may have been sent since: take out the rows of records that they have, too."
_CHECK_THE_SET_UP = (
    "Check api.base_url and the account. If they are right, see whether the file is: it stays in the inbox until "
    "another one shows that rows are taken."
)


INTERRUPTED = Trouble("interrupted", "Somebody ended it by a signal.", "Start it again to go on.")


@dataclass(frozen=True, slots=True)
class Settled:
    """A file that was run to the end of this night's attempts, before it is put away."""

    result: FileResult
    workbook: Path | None = None
    note: str = ""
    """What is put beside the file for people; '' where the workbook says it."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A file at which the job ended: it stays in the inbox, whatever was done of it."""

    trouble: Trouble
    result: FileResult


@dataclass(frozen=True, slots=True)
class Passed:
    """A file at whose rows the API failed one night more: whether it is the file or the service, the next ones tell."""

    file: Waiting
    result: FileResult
    """What becomes of it if it is the service."""
    as_its_fault: Settled
    """What becomes of it if it is the file."""
    trouble: Trouble | None
    if_alone: Settled | None = None
    """What becomes of it if no other file of the night shows that it is the set-up; None if it shows that by itself."""
    if_left: Settled | None = None
    """What becomes of it instead of being left for one more night; None if it is left."""

    @property
    def is_refused(self) -> bool:
        """Whether all of its rows were refused in the same way."""
        return self.trouble is not None and self.trouble.reason == StopReason.ALL_ALIKE.value

    @property
    def is_service_down(self) -> bool:
        """Whether the service did not even answer."""
        return self.trouble is not None and self.trouble.reason == StopReason.SERVICE_DOWN.value


@dataclass(slots=True)
class Tonight:
    """What has been made of one file in this night."""

    runs: list[RunResult] = field(default_factory=list)
    confirmed_before: int = 0
    remark: str = ""
    """What earlier runs of the file mean for it, where that is worth a word."""


Ran: TypeAlias = "FileResult | Stopped | Passed"


def file_result(file: Waiting, verdict: Verdict, note: str, made: Tonight) -> FileResult:
    """Return what became of a file, with whatever was made of it in this night."""
    if not made.runs:
        return FileResult(file.path.name, verdict, note)
    note = f"{note} {made.remark}".strip()
    runs, last = made.runs, made.runs[-1]
    return FileResult(
        file.path.name, verdict, note, last.summary, results=last.results, run=last.folder,
        columns=last.table.columns.mapping,
        requests=sum(one.requests for one in runs), retries=sum(one.retries for one in runs),
        throttled=sum(one.throttled for one in runs),
        confirmed=last.summary.total(CONFIRMED) - made.confirmed_before,
    )  # fmt: skip


def stopped(file: Waiting, trouble: Trouble, made: Tonight) -> Stopped:
    """Return a file at which the job ends: it stays, and how far it has come is said."""
    note = f"Left in the inbox: {trouble.message}"
    if made.runs:
        summary = made.runs[-1].summary
        note += f" {summary.total(CONFIRMED):,} of its {summary.rows:,} rows are done."
    return Stopped(trouble, file_result(file, Verdict.LEFT, note, made))


def for_person(
    file: Waiting, message: str | Sequence[str], remedy: str | Sequence[str], made: Tonight | None = None
) -> Settled:
    """Return a file that goes to a person, with a note that says what is wrong and what to do."""
    name = file.path.name
    lines = [line.replace(str(file.path), name) for line in as_lines(message)]  # it will have left the inbox
    first, *more = as_lines(remedy) or ("",)
    note = (f"{name}: this file needs you.", "", *lines, "", f"What to do: {first}", *more, "")
    said = " ".join(line.strip() for line in (*lines, first, *more))
    result = file_result(file, Verdict.ATTENTION, said.strip(), made or Tonight())
    return Settled(result, result.results, "\n".join(map(printable, note)))


def not_finished(file: Skipped) -> FileResult:
    """Return what becomes of a file that is not finished; what is not for so long is for a person, where it lies."""
    if file.still_since is None or datetime.now(UTC) - file.still_since < _STALE:
        return FileResult(file.path.name, Verdict.LEFT, f"Left in the inbox: {file.why}.")
    note = (
        f"Left in the inbox: {file.why}, and nothing has changed for more than a day. See that it is finished, or take "
        "it away."
    )
    return FileResult(file.path.name, Verdict.ATTENTION, note)


def ended_by_refusals(file: Waiting, stop: Stop, made: Tonight) -> Settled:
    """Return a file of which so many rows were refused that its run was ended."""
    return for_person(file, stop.message, _repair(made), made)


def uniform_refusal(how: str) -> Trouble:
    """Return the trouble that the API refuses every row in the same way: the set-up is wrong, or the file."""
    message = f"Every row that was sent was refused in the same way: {how}."
    return Trouble(StopReason.ALL_ALIKE.value, message, _CHECK_THE_SET_UP)


def refused_alike(file: Waiting, trouble: Trouble, made: Tonight) -> Settled:
    """Return a file whose first rows were all refused alike, although those of others are taken."""
    message = f"{trouble.message} Rows of other files are taken, so it is this file."
    return for_person(file, message, _repair(made), made)


def refused_for_long(file: Waiting, trouble: Trouble, nights: int, made: Tonight) -> Settled:
    """Return a file whose rows were all refused in the same way for so many nights."""
    message = (
        f"{trouble.message} That happened on {nights} nights in a row. The file is unfinished, and the job does not "
        "try it again."
    )
    remedy = (
        "Check api.base_url and the account. If one is wrong, correct it and put the file into the inbox again.",
        f"If they are right: {_repair(made)}",
    )
    return for_person(file, message, remedy, made)


def with_refused_rows(file: Waiting, made: Tonight) -> Settled:
    """Return a file all rows of which are settled, and some are for a person."""
    return Settled(file_result(file, Verdict.ATTENTION, "", made), made.runs[-1].results)


def _repair(made: Tonight) -> str:
    """Say how a file is repaired; that its other rows may be older than what was sent since, where there are any."""
    last = made.runs[-1]
    repair = repair_step(last.facts, last.summary, None).text
    return f"{repair} {_BUT_NEWER}" if last.summary.total(RUN_AGAIN) else repair


def waits(file: Waiting, waited_for: Sequence[Waiting]) -> FileResult | None:
    """Return that a file has to wait, if one that is not newer has rows left: they would overwrite its values."""
    older = next((one for one in waited_for if one.stamp.mtime_ns <= file.stamp.mtime_ns), None)
    if older is None:
        return None
    why = (
        f"Left in the inbox: it is newer than {older.path.name}, whose rows are not all done; sent now, its values "
        "could be overwritten by older ones. The next night goes on with both, in that order."
    )
    return FileResult(file.path.name, Verdict.LEFT, why)


def refused(file: Waiting, error: BatchUpdaterError, made: Tonight) -> Settled:
    """Return what becomes of a file that cannot be run as it is; one that changed meanwhile is not finished yet."""
    if stamp_of(file.path) != file.stamp:
        return replaced(file, made)
    again = ("Then put it into the inbox again.",) if isinstance(error, InputError) else ()
    settled = for_person(file, error.lines, (*error.remedy_lines, *again), made)
    if isinstance(error, GuardError):  # to find it out, records may have been read
        result = replace(settled.result, requests=error.requests, retries=error.retries, throttled=error.throttled)
        return replace(settled, result=result)
    return settled


def replaced(file: Waiting, made: Tonight) -> Settled:
    """Return what becomes of a file in whose place another is: the rows that are left of it are for a person."""
    if not made.runs:
        return Settled(FileResult(file.path.name, Verdict.LEFT, CHANGED))
    again = made.runs[-1].summary.total(RUN_AGAIN)
    message = f"{again:,} of its rows are not done, and the job cannot go on with them. {REPLACED}"
    return for_person(file, message, f"What was read of it is put away with its workbook. {_NEWER_MAY_BE_SENT}", made)


def given_up(file: Waiting, made: Tonight) -> Settled:
    """Return a file at whose rows the API fails night after night as one for a person."""
    summary = made.runs[-1].summary
    message = _FAILED_TWICE.format(again=summary.total(RUN_AGAIN), rows=summary.rows)
    return for_person(file, message, _NEWER_MAY_BE_SENT, made)


def over(file: Waiting, made: Tonight) -> Settled:
    """Return a file that an earlier night has passed over for good, before it was killed."""
    return for_person(file, _OVER, _NEWER_MAY_BE_SENT, made)


def left_for_long(file: Waiting, resumed: PastRun) -> Settled:
    """Return a file whose unfinished run nobody has gone on with for too long."""
    return for_person(
        file,
        f"Nothing more of it was sent: its run of {format_date_time(resumed.last_started_at)} is unfinished "
        f"({resumed.confirmed:,} of {resumed.rows:,} rows are done), and was left for more than 36 hours. Going on "
        "with it could overwrite changes that others have made since.",
        f"To go on all the same, run the file {_BY_HAND}, and with --yes; to send every row anew, add --restart.",
    )


def repeated(file: Waiting, past: PastRun, undo_workbook: PastRun | None) -> Settled:
    """Return a file whose content was applied before; `undo_workbook` has set some of it back since."""
    since = f" The run {undo_workbook.folder.name} has taken some of that back." if undo_workbook else ""
    return for_person(
        file,
        f"It was not applied again: a file with the same content was applied on {format_date_time(past.started_at)} "
        f"({PurePath(past.input).name}, run {past.folder.name}), and {past.confirmed:,} of {past.rows:,} rows are "
        f"done since.{since}",
        f"Rows that were refused then are repaired in the workbook of that run. If all of it is meant again, run it "
        f"{_BY_HAND}, or set nightly.repeat to allow; if not, delete it.",
    )


def as_it_ended(file: Waiting, past: PastRun) -> Settled:
    """Return a file whose run had come to its end when the job was killed."""
    verdict = Verdict.ATTENTION if past.summary.total(NEEDS_PERSON) else Verdict.DONE
    note = f"It was run on {format_date_time(past.started_at)}; only the moving was missing."
    told = past.parts[-1].results
    workbook = past.folder / told if told and (past.folder / told).exists() else None
    return Settled(FileResult(file.path.name, verdict, note, past.summary, run=past.folder), workbook)


def half_done(file: Waiting, past: PastRun, open_run: OpenRun) -> Settled:
    """Return what becomes of a file that was begun with other settings: nobody knows whether they are meant."""
    changed = open_run.candidate.changed_since(past) or "what the run had done was taken back"
    return for_person(
        file,
        f"Nothing more of it was sent: its run of {format_date_time(past.started_at)} "
        f"({PurePath(past.input).name}, run "
        f"{past.folder.name}) is unfinished, {past.summary.total(RUN_AGAIN):,} of {past.rows:,} rows of it are not "
        f"done, and it is not gone on with, because this has changed since: {changed}.",
        f"To go on with it, undo that change and run the file {_BY_HAND}; to send every row anew as it is set up "
        "now, run it so without undoing it.",
    )


def faulty(file: Waiting, made: Tonight) -> Settled:
    """Return a file at which the program itself has failed."""
    settled = for_person(
        file,
        "The program itself failed at it; what has been sent of it is kept, and `batch-updater runs` shows it.",
        f"See the log of the job for the fault and report it; then run the file {_BY_HAND}, which goes on where it "
        "ended.",
        made,
    )
    return replace(settled, result=replace(settled.result, fault=True))


def disk_trouble(message: str, advice: str = "") -> Trouble:
    """Return what ends the job where the disk takes no more."""
    return Trouble(StopReason.DISK.value, message, advice or "See that there is space, and the right to write there.")
