"""A night and its files: exit code, verdict, and what people are told: the message, and the note beside a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.errors import ExitCode
from batch_updater.messages import format_date_time, format_time, removal_note
from batch_updater.nightly.dispositions import Decision, Disposition, NightStop
from batch_updater.records import Cause, OutcomeKind
from batch_updater.reporter.next_step import NOTHING_LEFT, NextKind, NextStep
from batch_updater.reporter.page import PAGE
from batch_updater.reporter.summary import Summary
from batch_updater.runs.history import PastRun
from batch_updater.runs.result import RunResult
from batch_updater.text.printable import printable

WORKED = frozenset({ExitCode.OK, ExitCode.NEEDS_PERSON})
"""Exit codes of a night without trouble of the account, the service or the set-up."""
_CAUSES_NAMED = 5
_FILES_NAMED = 50
"""Those that need a person come first."""
_LONGEST_LINE = 1000
"""Characters: an answer of the API may be long, and services refuse long messages."""
_MOST_ATTACHED_BYTES = 8_000_000
"""Mail servers refuse more than ten to twenty-five million, and a third is added on the way."""
_VERDICTS = {"done": "done", "attention": "needs you", "left": "left in the inbox"}


class FileResult(msgspec.Struct, frozen=True):
    """One file of the inbox at the end of the night."""

    name: str
    disposition: Disposition
    note: str = ""
    """The reason in whole sentences; empty where its rows say it all."""
    summary: Summary | None = None
    """None if it was not run."""
    moved_to: Path | None = None
    results: Path | None = None
    """The workbook that people should open."""
    run: Path | None = None
    last: RunResult | None = None
    """Its last run in this night."""
    past: PastRun | None = None
    """The run of an earlier night that was complete but for the move."""
    exit_code: ExitCode = ExitCode.OK
    """That of a night with this file alone."""
    next_step: NextStep = NOTHING_LEFT
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    is_fault: bool = False
    """Whether the program itself failed at it."""

    @property
    def needs_person(self) -> bool:
        """Whether it is for a person, in attention/ or where it lies."""
        return self.disposition in {Disposition.ATTENTION, Disposition.UNFINISHED}

    @property
    def is_left(self) -> bool:
        """Whether it stays in the inbox for another night."""
        return self.disposition in {Disposition.TROUBLE, Disposition.NOT_READY}


class Night(msgspec.Struct, frozen=True):
    """One start of the nightly job, at its end."""

    inbox: Path
    files: tuple[FileResult, ...]
    stop: NightStop | None
    """None if every file had its turn."""
    started_at: datetime
    """UTC."""
    elapsed_s: float
    host: str = ""
    """The machine on which it ran."""
    api: str = ""
    """Where it sends to, and by which description."""
    killed: tuple[datetime, ...] = ()
    """When nights before it were started that were killed, as far as no one has been told of them."""
    removed: tuple[str, ...] = ()
    """Names of old runs that were removed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know besides the files."""
        killed = (
            f"The job that was started on {format_date_time(at)} did not come to its end: it was killed, or the "
            "machine went down. Files that it had not finished stayed in the inbox, and no confirmed row is sent again."
            for at in self.killed
        )
        return (*killed, *([removal_note(self.removed)] if self.removed else []))

    @property
    def exit_code(self) -> ExitCode:
        """What the process tells its caller."""
        if any(file.is_fault for file in self.files):
            return ExitCode.FAULT
        if self.stop:
            return self.stop.exit_code
        return ExitCode.NEEDS_PERSON if any(file.needs_person for file in self.files) else ExitCode.OK

    @property
    def has_worked(self) -> bool:
        """Whether every file had its turn."""
        return self.exit_code in WORKED

    @property
    def outcomes(self) -> dict[OutcomeKind, int]:
        """The outcomes of the rows of all files."""
        total = Counter[OutcomeKind]()
        for file in self.files:
            total.update(file.summary.counts if file.summary else {})
        return {kind: total[kind] for kind in OutcomeKind}

    @property
    def verdict(self) -> str:
        """One or more plain sentences."""
        sentences = [f"The job ended early: {self.stop.message}"] if self.stop else []
        if attention := sum(file.needs_person for file in self.files):
            sentences.append(f"{attention:,} {'file needs' if attention == 1 else 'files need'} you.")
        if done := sum(file.disposition is Disposition.DONE for file in self.files):
            sentences.append(f"{done:,} {'file is' if done == 1 else 'files are'} done.")
        return " ".join(sentences) or "There was nothing to do: no finished file in the inbox."


class Message(msgspec.Struct, frozen=True):
    """A message to a recipient."""

    subject: str
    body: str
    attachments: tuple[Path, ...]
    kind: str
    """`failure` after trouble of the job, `warning` where a file needs a person, else `success`: apprise's words."""


def note_beside(name: str, decision: Decision) -> str:
    """Return the note that is put beside a file; '' where the workbook says it."""
    if not decision.remedy:
        return ""
    first, *more = decision.remedy
    lines = (f"{name}: this file needs you.", "", *decision.message, "", f"What to do: {first}", *more, "")
    return "\n".join(map(printable, lines))


def is_due(when: str, night: Night, last_exit_code: int | None) -> bool:
    """Whether people are told: always, never, or if a person is needed, the job has recovered, or one was killed."""
    if when != "attention":
        return when == "always"
    return night.exit_code != ExitCode.OK or bool(night.killed) or has_recovered(night, last_exit_code)


def has_recovered(night: Night, last_exit_code: int | None) -> bool:
    """Whether the job works again after a night with trouble of the account, the service or the set-up.

    A night that gave a file up has met that trouble once more.
    """
    is_well = night.has_worked and not any(file.disposition is Disposition.UNFINISHED for file in night.files)
    return is_well and last_exit_code is not None and last_exit_code not in WORKED


def compose(night: Night, last_exit_code: int | None) -> Message:
    """Return the message of a night. No name, cell or answer can begin a line of its own in it."""
    verdict = f"The job works again. {night.verdict}" if has_recovered(night, last_exit_code) else night.verdict
    lines = [verdict]
    if night.stop:
        lines.append(night.stop.advice)
        if any(file.is_left for file in night.files):
            lines.append("The files that were not done stay in the inbox; the next start of the job runs them.")
    lines += [
        *night.notes,
        "",
        *_files(night),
        f"API: {night.api}",
        f"Inbox: {night.inbox}",
        f"Host: {night.host}",
        f"Started: {format_time(night.started_at)}, for {night.elapsed_s:.0f} s. Exit code: {int(night.exit_code)}.",
    ]
    attachments, room = [], _MOST_ATTACHED_BYTES
    for file in night.files:
        if file.needs_person and file.results:
            with suppress(OSError):  # it may be gone by now
                size_bytes = file.results.stat().st_size
                if size_bytes <= room:
                    room -= size_bytes
                    attachments.append(file.results)
    kind = "success" if night.exit_code == ExitCode.OK else "warning" if night.has_worked else "failure"
    subject = f"batch-updater: {printable(verdict.rstrip('.'))}"
    return Message(subject, "\n".join(map(printable, lines)), tuple(attachments), kind)


def _files(night: Night) -> Iterator[str]:
    """Yield lines on each file, those that need a person first, those left for the same reason together."""
    left: dict[str, list[FileResult]] = {}
    for file in night.files:
        if file.is_left:
            left.setdefault(file.note, []).append(file)
    others = sorted((file for file in night.files if not file.is_left), key=lambda file: not file.needs_person)
    named = 0
    for group in (*([file] for file in others), *left.values()):
        names = [file.name for file in group[: _FILES_NAMED - named]]
        if not names:
            break
        named += len(names)
        yield f"{', '.join(names)}: {_VERDICTS[group[0].disposition.verdict]}"
        yield from (f"    {line[:_LONGEST_LINE]}" for line in _details(group[0]))
        yield ""
    if more := len(night.files) - named:
        yield f"And {more:,} more; the log of the job names them."
        yield ""


def _details(file: FileResult) -> Iterator[str]:
    if file.summary:
        if not file.is_left:  # its verdict would tell a person to do what the job does
            yield file.summary.verdict
        yield ", ".join(f"{count:,} {kind.value}" for kind, count in file.summary.counts.items() if count)
        yield from map(_cause_line, file.summary.causes[:_CAUSES_NAMED])
    if file.note:
        yield file.note
    if not file.is_left and file.next_step.kind is not NextKind.NOTHING and file.next_step.text not in file.note:
        yield f"What to do: {file.next_step.text}"
    if file.run:
        yield f"Run: {file.run.name}"
        if (page := file.run / PAGE).exists():
            yield f"Page: {page}"
    if file.results and file.needs_person:
        yield f"Workbook: {file.results}"
    if file.moved_to:
        yield f"File: {file.moved_to}"


def _cause_line(cause: Cause) -> str:
    """Return a cause with the HTTP status of its example, unless it is named after that."""
    if cause.status is None or cause.text.startswith(str(cause.status)):
        return cause.as_line
    return replace(cause, text=f"{cause.text} (HTTP {cause.status})").as_line
