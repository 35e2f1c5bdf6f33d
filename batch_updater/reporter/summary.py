"""Outcomes -> counts, causes ranked, verdict and exit code: what every report of a run says first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from batch_updater.errors import ExitCode
from batch_updater.records import Cause, Columns, Outcome, OutcomeKind

NEEDS_NOTHING = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.PLANNED})
NEEDS_PERSON = frozenset({OutcomeKind.INVALID, OutcomeKind.REJECTED, OutcomeKind.DIFFERS})
RUN_AGAIN = frozenset({OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED, OutcomeKind.NOT_SENT})
_PLACES_NAMED = 3
"""Cells of each cause."""


class Summary(msgspec.Struct, frozen=True):
    """The outcomes of all rows."""

    rows: int
    counts: Mapping[OutcomeKind, int]
    """Every outcome, those with no row too."""
    causes: tuple[Cause, ...]
    """The most common first."""
    of_check: bool = False
    """Whether it is about a check, which sends nothing."""

    def __getitem__(self, kind: OutcomeKind) -> int:
        return self.counts[kind]

    def total(self, kinds: frozenset[OutcomeKind]) -> int:
        """Return how many rows have one of these outcomes."""
        return sum(self.counts[kind] for kind in kinds)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code by the outcomes alone: run again before needs a person before fine."""
        if self.total(RUN_AGAIN):
            return ExitCode.RUN_AGAIN
        return ExitCode.NEEDS_PERSON if self.total(NEEDS_PERSON) else ExitCode.OK

    @property
    def verdict(self) -> str:
        """A few plain sentences: how many rows are done, how many need a person."""
        if not self.rows:
            return "There was nothing to do: the file has no data rows."
        is_check = self.of_check or self.counts[OutcomeKind.INVALID] == self.rows
        if self.counts[OutcomeKind.UNCHANGED] == self.rows:
            return f"Every record already holds these values: nothing {'would be' if is_check else 'was'} sent."
        planned, updated = self.counts[OutcomeKind.PLANNED], self.counts[OutcomeKind.UPDATED]
        person, again, rows = self.total(NEEDS_PERSON), self.total(RUN_AGAIN), self.rows
        needs_you = person, "needs you", "need you"
        if not is_check:
            if updated == rows:
                first = f"All {rows:,} rows were updated." if rows > 1 else "The row was updated."
            elif updated:
                first = f"{updated:,} of {rows:,} rows {'was' if updated == 1 else 'were'} updated."
            else:
                first = f"None of the {rows:,} rows was updated." if rows > 1 else "The row was not updated."
            return self._sentences(first, needs_you, (again, "is not done", "are not done"))
        if person == rows:
            return f"None of the {rows:,} rows can be sent." if rows > 1 else "The row cannot be sent."
        if planned == rows:
            return f"All {rows:,} rows are good." if rows > 1 else "The row is good."
        good = "is good" if planned == 1 else "are good"
        first = f"{planned:,} of {rows:,} rows {good if planned + person == rows else 'would be sent'}."
        unread = self.counts[OutcomeKind.FAILED] + self.counts[OutcomeKind.UNCONFIRMED]
        left = ("record could not be read", "records could not be read") if unread else ("has to wait", "have to wait")
        return self._sentences(first, (again, *left), needs_you)

    def _sentences(self, first: str, *counted: tuple[int, str, str]) -> str:
        """Return the first sentence and one for each count that is not 0, with its words for one and for several."""
        counted = ((self.counts[OutcomeKind.UNCHANGED], "was so already", "were so already"), *counted)
        more = (f"{count:,} {one if count == 1 else several}." for count, one, several in counted if count)
        return " ".join((first, *more))


class Tally:
    """Counts outcomes one by one; holds no row. `planned` rows of that outcome are counted beforehand."""

    def __init__(self, columns: Columns, planned: int = 0, *, of_check: bool = False) -> None:
        self._of_check = of_check
        self._columns = columns
        self._counts = Counter({OutcomeKind.PLANNED: planned})
        self._causes: dict[str, Cause] = {}
        self._cause_counts: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Count one row's outcome."""
        self._counts[outcome.kind] += 1
        if outcome.problems:
            columns = self._columns
            for text, problem in {problem.cause(columns): problem for problem in reversed(outcome.problems)}.items():
                self._add_cause(outcome, text, columns.cell(problem.row, problem.field), problem.in_full)
        elif outcome.cause:
            self._add_cause(outcome, outcome.cause, None, outcome.message)

    def _add_cause(self, outcome: Outcome, text: str, cell: str | None, example: str) -> None:
        # Not by outcome as well: which of two equal rows was rejected and which was invalid depends on chance.
        self._cause_counts[text] += 1
        places = self._places.setdefault(text, [])
        if len(places) < _PLACES_NAMED:
            places.append(cell or str(outcome.row))
        if text not in self._causes:
            self._causes[text] = Cause(text, 0, outcome.row, cell, example, status=outcome.status)

    def summary(self) -> Summary:
        """Return what was counted so far."""
        counts = {kind: self._counts[kind] for kind in OutcomeKind}
        causes = (
            replace(cause, count=self._cause_counts[text], places=tuple(self._places[text]))
            for text, cause in self._causes.items()
        )
        ranked = tuple(sorted(causes, key=lambda cause: (-cause.count, cause.example_row)))
        return Summary(sum(counts.values()), counts, ranked, self._of_check)
