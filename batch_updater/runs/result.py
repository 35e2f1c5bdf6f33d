"""What a run or a check is asked for, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from batch_updater.errors import ExitCode
from batch_updater.messages import removal_note
from batch_updater.records import Columns, Invocation, Outcome, OutcomeKind, ReportRow, RunFacts, Stop, StopReason
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.summary import Summary
from batch_updater.runs import statements

if TYPE_CHECKING:  # the sender is imported only where something is sent: it takes long
    from batch_updater.sender.limiter import RateLimiter
    from batch_updater.sender.pool import UniformRefusal

Progress: TypeAlias = Callable[[Outcome], None]
"""Shows how far the sending is: takes note of one more row that has its outcome."""
_LEAVE_ROWS_OUT = frozenset({StopReason.WAITING, StopReason.LIMIT})
"""Why rows have no turn although nothing goes wrong."""


class Options(msgspec.Struct, frozen=True):
    """What a single run is asked for besides its configuration."""

    results: Path | None = None
    """Where the workbook goes; None: that of a run into its folder, and a comparison writes none."""
    limit: int | None = None
    """Send, or compare, only the first so many good rows."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused in the same way."""
    compared: RunResult | None = None
    """What reading every record just before came to, if it was done."""
    invocation: Invocation | None = None
    """The command line that asks for it; None if none does."""
    inbox: str | None = None
    """The inbox from which the unattended job took the file; None if it did not."""
    may_lose: bool = False
    """Whether a person has agreed to what an annotated copy loses."""


class RunResult(msgspec.Struct, frozen=True):
    """How a run or a check ended."""

    columns: Columns
    facts: RunFacts
    rows: Callable[..., Iterator[ReportRow]]
    """Goes over every row and its outcome, in file order; `statement` is another than `statements.ROWS`."""
    results: Path | None
    """The workbook; None if it was not written."""
    summary: Summary
    elapsed_s: float
    asked_results: Path | None = None
    """Where the workbook should have gone."""
    folder: Path | None = None
    """The run's folder; None for a check."""
    annotated: Path | None = None
    """The annotated copy; None if there is none."""
    annotation_note: str = ""
    """What a person should know of that copy, or why there is none."""
    fault: str | None = None
    """What could not be written at the end; None if everything was."""
    requests: int = 0
    """Of this invocation, as `retries`."""
    retries: int = 0
    throttled: int = 0
    """Requests of this invocation that were answered with 429."""
    stop: Stop | None = None
    removed: tuple[str, ...] = ()
    """Names of the folders of old runs that were removed at its end."""
    uniform_refusal: UniformRefusal | None = None
    """How the API refused every row that was sent, or the first of many; None if it did not."""
    change_summary: ChangeSummary | None = None
    """What the changes come to; None unless records were read."""
    limiter: RateLimiter | None = None
    """What a comparison was permitted, for the requests that follow it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, what became of old runs included."""
        return (*self.facts.notes, *([removal_note(self.removed)] if self.removed else []))

    def rows_to_fix(self) -> Iterator[ReportRow]:
        """Go over the rows that are not updated, unchanged or planned."""
        return self.rows(statement=statements.ROWS_TO_FIX)

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
        """A workbook that could not be written asks for another run, like a row that is not done.

        A check has told its problems all the same: they come first.
        """
        code = self.summary.exit_code
        has_told = self.folder is None and code is ExitCode.NEEDS_PERSON
        return code if self.fault is None or has_told else ExitCode.RUN_AGAIN


def limit_stop(good: int, limit: int | None, done: str, done_of_one: str) -> Stop | None:
    """Return that a limit left out some of the `good` rows, `done` being what happened to the others; else None."""
    if limit is None or good <= limit:
        return None
    first = f"{limit:,} good rows {done}" if limit > 1 else f"good row {done_of_one}"
    return Stop(
        StopReason.LIMIT,
        f"Only the first {first}, as --limit asked.",
        f"If {'they are as you want them' if limit > 1 else 'it is as you want it'}, run again without --limit: that "
        "sends the rest.",
    )
