"""Outcomes -> counts, causes ranked, verdict and exit code: what every report of a run says first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_updater.errors import ExitCode
from batch_updater.records import Cause, OutcomeKind, StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.records import Columns, Outcome, Stop

NEEDS_NOTHING = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.PLANNED})
NEEDS_PERSON = frozenset({OutcomeKind.INVALID, OutcomeKind.REJECTED, OutcomeKind.DIFFERS})
RUN_AGAIN = frozenset({OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED, OutcomeKind.NOT_SENT})


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of all rows."""

    rows: int
    counts: Mapping[OutcomeKind, int]
    """Every outcome, those with no row too."""
    causes: tuple[Cause, ...]
    """The commonest first."""
    of_check: bool = False
    """Whether nothing was to be sent."""

    def __getitem__(self, kind: OutcomeKind) -> int:
        return self.counts[kind]

    def total(self, kinds: frozenset[OutcomeKind]) -> int:
        """Return how many rows have one of these outcomes."""
        return sum(self.counts[kind] for kind in kinds)

    def is_gone_on_with(self, stop: Stop | None) -> bool:
        """Whether starting the same again does more: not where rows wait for others that have to be repaired."""
        again = self.total(RUN_AGAIN)
        only_wait = (
            (stop is None or stop.reason is StopReason.WAITING)
            and self.counts[OutcomeKind.NOT_SENT] == again
            and self.total(NEEDS_PERSON)
        )
        return bool(again and not only_wait and not self.is_refused(stop))

    def is_refused(self, stop: Stop | None) -> bool:
        """Whether it ended because its rows, and they alone, were refused: the same again would end so too."""
        failed = self.counts[OutcomeKind.FAILED] + self.counts[OutcomeKind.UNCONFIRMED]
        return stop is not None and stop.reason is StopReason.FAILURES and not failed

    @property
    def repair(self) -> str:
        """How rows are repaired, to be followed by the sheet that holds them."""
        has_cells = any(cause.example_cell for cause in self.causes)
        return "repair the coloured cells on" if has_cells else 'do what the column "What to do" says on'

    @property
    def exit_code(self) -> ExitCode:
        """What the outcomes alone say: run again before needs a person before fine."""
        if self.total(RUN_AGAIN):
            return ExitCode.RUN_AGAIN
        return ExitCode.NEEDS_PERSON if self.total(NEEDS_PERSON) else ExitCode.OK

    @property
    def verdict(self) -> str:
        """One or two plain sentences: how many rows are done, how many need somebody."""
        if not self.rows:
            return "There was nothing to do: the file has no data rows."
        if self.of_check or self.counts[OutcomeKind.INVALID] == self.rows:
            return self._verdict_of_check()
        if self.counts[OutcomeKind.UNCHANGED] == self.rows:
            return "Every record holds already what is asked for: nothing was sent."
        parts = [_sentence(self.counts[OutcomeKind.UPDATED], self.rows, "updated")]
        if unchanged := self.counts[OutcomeKind.UNCHANGED]:
            parts.append(f"{unchanged:,} {_were(unchanged)} so already.")
        if person := self.total(NEEDS_PERSON):
            parts.append(f"{person:,} {_need(person)} you.")
        if again := self.total(RUN_AGAIN):
            parts.append(f"{again:,} {_are(again)} not done.")
        return " ".join(parts)

    def _verdict_of_check(self) -> str:
        planned, wrong = self.counts[OutcomeKind.PLANNED], self.total(NEEDS_PERSON)
        person = f" {wrong:,} {_need(wrong)} you." if wrong else ""
        if self.counts[OutcomeKind.UNCHANGED] == self.rows:
            return "Every record holds already what is asked for: nothing would be sent."
        if unchanged := self.counts[OutcomeKind.UNCHANGED]:
            already = f"{unchanged:,} {_were(unchanged)} so already."
            return f"{planned:,} of {self.rows:,} rows would be sent. {already}{person}"
        if self.counts[OutcomeKind.FAILED] + self.counts[OutcomeKind.UNCONFIRMED]:
            unread = self.total(RUN_AGAIN)
            missing = f"{unread:,} {'record' if unread == 1 else 'records'} could not be read."
            return f"{planned:,} of {self.rows:,} rows would be sent. {missing}{person}"
        if not planned:
            return f"None of the {self.rows:,} rows can be sent." if self.rows > 1 else "The row cannot be sent."
        if not wrong:
            return f"All {self.rows:,} rows are good." if self.rows > 1 else "The row is good."
        return f"{planned:,} of {self.rows:,} rows are good. {wrong:,} {_need(wrong)} you."


def _sentence(count: int, rows: int, done: str) -> str:
    if count == rows:
        return f"All {rows:,} rows were {done}." if rows > 1 else f"The row was {done}."
    if not count:
        return f"None of the {rows:,} rows was {done}." if rows > 1 else f"The row was not {done}."
    return f"{count:,} of {rows:,} rows {_were(count)} {done}."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"


class Tally:
    """Counts outcomes one by one; holds no row."""

    def __init__(self, columns: Columns, planned: int = 0, *, of_check: bool = False) -> None:
        """`planned` rows of that outcome are counted beforehand."""
        self._of_check = of_check
        self._columns = columns
        self._counts = Counter({OutcomeKind.PLANNED: planned})
        self._causes: dict[str, Cause] = {}
        self._cause_counts: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count one row's outcome."""
        self._counts[outcome.kind] += 1
        if outcome.problems:
            for problem in {problem.cause: problem for problem in reversed(outcome.problems)}.values():
                cell = self._columns.address_of(problem)
                self._add_cause(outcome, problem.cause, cell, problem.in_full)
        elif outcome.cause:
            self._add_cause(outcome, outcome.cause, None, outcome.message)

    def _add_cause(self, outcome: Outcome, text: str, cell: str | None, example: str) -> None:
        # Not by outcome as well: which of two equal rows was rejected and which was invalid is a matter of chance.
        self._cause_counts[text] += 1
        if text not in self._causes:
            self._causes[text] = Cause(text, 0, outcome.row, cell, example)

    def summary(self) -> Summary:
        """Return what was counted so far."""
        ranked = (
            Cause(
                cause.text,
                self._cause_counts[key],
                cause.example_row,
                cause.example_cell,
                cause.example,
            )
            for key, cause in self._causes.items()
        )
        counts = {kind: self._counts[kind] for kind in OutcomeKind}
        return Summary(
            sum(counts.values()),
            counts,
            tuple(sorted(ranked, key=lambda cause: (-cause.count, cause.example_row))),
            self._of_check,
        )
