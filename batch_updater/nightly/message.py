"""The one message of a night: subject, text, and the workbooks that go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_updater.errors import ExitCode
from batch_updater.messages import format_time
from batch_updater.nightly.night import WORKED, Verdict
from batch_updater.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from batch_updater.nightly.night import FileResult, Night

_CAUSES_NAMED = 5
_FILES_NAMED = 50
"""Those that need somebody come first."""
_LONGEST_LINE = 1000
"""Characters: an answer of the API may be long, and services refuse long messages."""
_MOST_ATTACHED_BYTES = 8_000_000
"""Mail servers refuse more than ten to twenty-five million, and a third is added on the way."""
_IN_WORDS = {
    Verdict.DONE: "done",
    Verdict.ATTENTION: "needs you",
    Verdict.AGAIN: "not done yet",
    Verdict.LEFT: "left in the inbox",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a recipient gets."""

    subject: str
    body: str
    attachments: tuple[Path, ...]
    kind: str
    """`failure` after trouble of the job, `warning` where a file needs somebody, else `success`: apprise's words."""


def is_due(when: str, night: Night, last_exit_code: int | None) -> bool:
    """Whether people are told: always, never, or if somebody is needed or the job has recovered from trouble."""
    if when != "attention":
        return when == "always"
    return night.exit_code != ExitCode.OK or has_recovered(night, last_exit_code)


def has_recovered(night: Night, last_exit_code: int | None) -> bool:
    """Whether the job works again after a night with trouble of the account, the service or the set-up."""
    return night.has_worked and last_exit_code is not None and last_exit_code not in WORKED


def compose(night: Night, last_exit_code: int | None) -> Message:
    """Return the message of a night."""
    recovered = has_recovered(night, last_exit_code)
    lead = "The job works again. " if recovered else ""
    lines = [f"{lead}{night.verdict}", *_trouble(night), "", *_files(night), *_ending(night)]
    return _message(night, f"{lead}{night.verdict}".rstrip("."), lines, tuple(_attachments(night)))


def compose_verdict(night: Night) -> Message:
    """Return the message of a night that says its verdict alone."""
    return _message(night, night.verdict, (night.verdict, "See the log of the job."))


def _message(night: Night, subject: str, lines: Iterable[str], attachments: tuple[Path, ...] = ()) -> Message:
    """Make a message in which no name, cell or answer can begin a line of its own."""
    body = "\n".join(map(printable, lines))
    return Message(f"batch-updater: {printable(subject)}", body, attachments, kind_of(night))


def kind_of(night: Night) -> str:
    """Return how bad it is, in apprise's words."""
    if not night.has_worked:
        return "failure"
    return "success" if night.exit_code == ExitCode.OK else "warning"


def _trouble(night: Night) -> Iterator[str]:
    if night.trouble:
        yield night.trouble.advice
        if night.of(Verdict.LEFT) or night.of(Verdict.AGAIN):
            yield "The files that were not done stay in the inbox; the next start of the job goes on with them."


def _files(night: Night) -> Iterator[str]:
    named = 0
    for alike in _alike(night):
        names = [file.name for file in alike[: _FILES_NAMED - named]]
        if not names:
            break
        named += len(names)
        yield f"{', '.join(names)}: {_IN_WORDS[alike[0].verdict]}"
        yield from (f"    {line[:_LONGEST_LINE]}" for line in _details(alike[0]))
        yield ""
    if more := len(night.files) - named:
        yield f"And {more:,} more; the log of the job names them."
        yield ""


def _alike(night: Night) -> Iterator[list[FileResult]]:
    """Yield the files one by one, those that need somebody first; but together those left for the same reason."""
    for verdict in (Verdict.ATTENTION, Verdict.AGAIN, Verdict.DONE):
        yield from ([file] for file in night.of(verdict))
    left: dict[str, list[FileResult]] = {}
    for file in night.of(Verdict.LEFT):
        left.setdefault(file.note, []).append(file)
    yield from left.values()


def _details(file: FileResult) -> Iterator[str]:
    is_over = file.verdict in (Verdict.ATTENTION, Verdict.DONE)
    if file.summary:
        if is_over:  # else it says what somebody should do, which the job does
            yield file.summary.verdict
        yield ", ".join(f"{count:,} {kind.value}" for kind, count in file.summary.counts.items() if count)
        for cause in file.summary.causes[:_CAUSES_NAMED]:
            yield cause.as_line
    if file.note:
        yield file.note
    if file.results and file.verdict is Verdict.ATTENTION:
        yield f"Workbook: {file.results}"
    if file.moved_to:
        yield f"File: {file.moved_to}"


def _ending(night: Night) -> Iterator[str]:
    yield f"Inbox: {night.inbox}"
    yield f"Started: {format_time(night.started_at)}, for {night.elapsed_s:.0f} s. Exit code: {int(night.exit_code)}."


def _attachments(night: Night) -> Iterator[Path]:
    """Yield the workbooks that somebody has to repair, as far as they are small enough together."""
    left = _MOST_ATTACHED_BYTES
    for file in night.of(Verdict.ATTENTION):
        size = file.results.stat().st_size if file.results and file.results.exists() else left + 1
        if file.results and size <= left:
            left -= size
            yield file.results
