"""Rows that earlier runs have applied with the same values although their input was another: one that was repaired."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.endpoint.request import RequestBuilder
from batch_updater.messages import format_date_time
from batch_updater.reporter.summary import NEEDS_NOTHING
from batch_updater.runs.history import JOURNAL
from batch_updater.runs.journal import DamagedJournalError, journal_reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batch_updater.runs.history import PastRun
    from batch_updater.runs.stage import Plan

_SAMPLE = 50
"""The first rows that an earlier run has applied: one of them has to be among the rows up to there."""
_MOVED = 100
"""How many rows further down it may be, where rows were put in above it."""
_DIGEST_BYTES = 8
"""As much of a request's digest as is kept of each row: enough among millions, and it counts only for a sentence."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows to be sent that earlier runs have applied."""

    rows: int
    """Good rows that were applied with the same values."""
    good: int
    """Good rows in all."""
    runs: tuple[PastRun, ...]
    """Which runs did it, the newest first."""
    unfinished: PastRun | None
    """The newest of them with rows that are left, whose workbook has not been run since; None if none has."""

    def note(self, *, reads_first: bool) -> str:
        """Return what people are told; `reads_first`: what a record holds already is not sent."""
        which = " and ".join(f"{run.folder.name} ({format_date_time(run.started_at)})" for run in self.runs)
        runs = "run" if len(self.runs) == 1 else "runs"
        counted = f"{self.rows:,} of {self.good:,} good {'row' if self.good == 1 else 'rows'}"
        was, are, they = ("was", "is", "it") if self.rows == 1 else ("were", "are", "they")
        again = f"{they} {are} sent again"
        if reads_first:
            again += " only where the record holds something else by now"
        return f"{counted} {was} updated with the same values by the {runs} {which}: {again}. {self._instead}".rstrip()

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


def repeats_of(plan: Plan, earlier: Sequence[PastRun]) -> Repeats | None:
    """Return what earlier runs of the same endpoint have applied of the rows of a plan; None if that is not much.

    It is much if half of the rows that are sent, or half of those that a run has applied, are the same. A file that has
    nothing to do with these runs costs no more than its first rows.
    """
    if not earlier or not plan.review.good or plan.table.expected is not None:
        return None
    try:
        return _counted(plan, earlier)
    except (DamagedJournalError, OSError):
        return None  # a journal that cannot be read costs no more than the sentence: this run does not rely on it


def _counted(plan: Plan, earlier: Sequence[PastRun]) -> Repeats | None:
    likely = _likely(plan, earlier)
    known = [_digests(run) for run in likely]
    if not any(known):
        return None
    found: Counter[tuple[int, ...]] = Counter()
    for digest in _digests_of(plan):
        found[tuple(at for at, digests in enumerate(known) if _holds(digests, digest))] += 1
    counts: Counter[int] = Counter()
    for holders, count in found.items():
        counts.update(dict.fromkeys(holders, count))
    repeated = {at for at, count in counts.items() if 2 * count >= min(plan.review.good, len(known[at]))}
    if not repeated:
        return None
    rows = sum(count for holders, count in found.items() if repeated.intersection(holders))
    runs = tuple(likely[at] for at in sorted(repeated))
    return Repeats(rows, plan.review.good, runs, _with_rows_left(runs, earlier))


def _with_rows_left(runs: Sequence[PastRun], later: Sequence[PastRun]) -> PastRun | None:
    inputs = {run.facts.input_path for run in later}
    return next((run for run in runs if _has_rows_left(run) and run.parts[-1].results not in inputs), None)


def _has_rows_left(run: PastRun) -> bool:
    return run.summary.total(NEEDS_NOTHING) < run.rows


def _likely(plan: Plan, earlier: Sequence[PastRun]) -> list[PastRun]:
    """Return the runs of whose first rows one is among the rows up to there."""
    samples = [_sample(run) for run in earlier]
    last = max((number for sample in samples for number in sample.values()), default=0) + _MOVED
    hit: set[int] = set()
    for job, digest in _jobs_of(plan):
        if job > last or len(hit) == len(samples):
            break
        hit.update(at for at, sample in enumerate(samples) if digest in sample)
    return [run for at, run in enumerate(earlier) if at in hit]


def _sample(run: PastRun) -> dict[bytes, int]:
    """Return the digests of a run's first applied rows, each with its row."""
    with journal_reader(run.folder / JOURNAL) as journal:
        return {digest: number for number, digest in journal.applied(_SAMPLE)}


def _digests(run: PastRun) -> array[int]:
    """Return the beginning of each digest of a run's applied rows, in ascending order."""
    with journal_reader(run.folder / JOURNAL) as journal:
        found = array("Q", (_beginning(digest) for _, digest in journal.applied()))
    return array("Q", sorted(found))


def _jobs_of(plan: Plan) -> Iterable[tuple[int, bytes]]:
    builder = RequestBuilder(plan.endpoint)
    return ((job.row, builder.build(job).digest) for job in plan.jobs())


def _digests_of(plan: Plan) -> Iterable[int]:
    return (_beginning(digest) for _, digest in _jobs_of(plan))


def _beginning(digest: bytes) -> int:
    return int.from_bytes(digest[:_DIGEST_BYTES], "little")


def _holds(digests: array[int], digest: int) -> bool:
    at = bisect_left(digests, digest)
    return at < len(digests) and digests[at] == digest
