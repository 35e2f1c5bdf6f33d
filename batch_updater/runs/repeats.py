"""Rows that earlier runs have applied with the same values although their input was another: one that was repaired."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from batch_updater.messages import counted, format_date_time
from batch_updater.records import StagedInput
from batch_updater.reporter.summary import NEEDS_NOTHING
from batch_updater.runs import statements
from batch_updater.runs.history import DATABASE, PastRun, reference_to
from batch_updater.runs.store import DamagedStoreError, Store, opened_store

_SAMPLE = 50
"""The first rows that an earlier run has applied: one of them has to be among the rows up to there."""
_MOVED = 100
"""How many rows further down it may be, where rows were put in above it."""


class Repeats(msgspec.Struct, frozen=True):
    """Rows to be sent that earlier runs have applied."""

    rows: int
    """Good rows that were applied with the same values."""
    good: int
    """Good rows in all."""
    runs: tuple[PastRun, ...]
    """Which runs did it, the newest first."""
    unfinished: PastRun | None
    """The last round of the newest of them that has rows that are left; None if none has."""

    def note(self, *, reads_first: bool) -> str:
        """Return what people are told; `reads_first`: what a record holds already is not sent."""
        which = " and ".join(f"{run.folder.name} ({format_date_time(run.started_at)})" for run in self.runs)
        runs = "run" if len(self.runs) == 1 else "runs"
        rows = f"{self.rows:,} of {counted(self.good, 'good row')}"
        was, are, they = ("was", "is", "it") if self.rows == 1 else ("were", "are", "they")
        again = f"{they} {are} sent again"
        if reads_first:
            again += " only where the record holds something else by now"
        return f"{rows} {was} updated with the same values by the {runs} {which}: {again}. {self._instead}".rstrip()

    @property
    def run_of_all(self) -> str | None:
        """Return the one run that has applied every good row, as facts name it; None if there is none."""
        return reference_to(self.runs[0].folder) if self.rows == self.good and len(self.runs) == 1 else None

    @property
    def _instead(self) -> str:
        """How the rows that are left are sent alone; '' where none are, or where no workbook holds them all."""
        past = self.unfinished
        if past is None or self.rows == self.good:
            return ""
        left = past.rows - past.summary.total(NEEDS_NOTHING)
        if left < self.good - self.rows:  # some that are left here were not in that run, as rows that were hidden then
            return ""
        what = "only the row that is left" if left == 1 else f"only the {left:,} rows that are left"
        workbook = past.parts[-1].results
        if workbook and Path(workbook).is_file():
            return f"To send {what}, run this results workbook instead, repaired where that is needed: {workbook}"
        name = past.folder.name
        return f"The workbook of {name} would send {what}: batch-updater report {name} writes it again."


def repeats_of(store: Store, staged: StagedInput, earlier: Sequence[PastRun]) -> Repeats | None:
    """Return what earlier runs of the same endpoint have applied of the rows of a store; None if that is not much.

    It is much if half of the rows that are sent, or half of those that a run has applied, are the same. A file that has
    nothing to do with these runs costs no more than a look at its first rows.
    """
    if not earlier or not staged.good or staged.is_undo:
        return None
    found: set[int] = set()
    runs = []
    for past in earlier:
        with suppress(DamagedStoreError, sqlite3.Error, OSError):  # such a run costs no more than the sentence
            numbers, applied = _repeated(store, past.folder / DATABASE)
            if 2 * len(numbers) >= min(staged.good, applied) > 0:
                found.update(numbers)
                runs.append(past)
    if not runs:
        return None
    last = {run.first_round: run for run in reversed(earlier)}  # the newest first: the last round is kept
    rounds = (last[run.first_round] for run in runs)
    unfinished = next((run for run in rounds if run.summary.total(NEEDS_NOTHING) < run.rows), None)
    return Repeats(len(found), staged.good, tuple(runs), unfinished)


def _repeated(store: Store, path: Path) -> tuple[list[int], int]:
    """Return the rows to be sent that a run has applied with the same request, and how many rows it has applied."""
    with opened_store(path) as earlier:  # it is whole, and of this format
        with earlier.applied_lent_to(store, _SAMPLE):
            (is_likely,) = store.execute(statements.FIRST_REPEATED, most=_SAMPLE, further=_MOVED).fetchone()
        if not is_likely:
            return [], 0
        with earlier.applied_lent_to(store):
            return store.numbers(statements.REPEATED_IN_EARLIER), store.numbers(statements.APPLIED_EARLIER)[0]
