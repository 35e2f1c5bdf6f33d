"""Facts and summary of a run -> everything that page and Summary sheet show except the rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from pathlib import PurePath

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import SENT_BY
from batch_updater.endpoint.description import Endpoint
from batch_updater.messages import mapping_shown
from batch_updater.records import Cause, Columns, MappedColumn, Outcome, OutcomeKind, RunFacts
from batch_updater.reporter.change_summary import ChangeSummary
from batch_updater.reporter.next_step import NextStep, next_step
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN, Summary

_CAUSES_LISTED = 15
_BUCKETS_AT_MOST = 60
_STRETCHES_AT_MOST = 6_000
"""So that a run of days takes no more memory than one of ten minutes."""
_NICE_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MEANINGS = {
    OutcomeKind.UPDATED: "confirmed by {api}",
    OutcomeKind.UNCHANGED: "already held these values",
    OutcomeKind.PLANNED: "would be sent",
    OutcomeKind.DIFFERS: "{api} took it but reports something else: look at the record",
    OutcomeKind.INVALID: "a cell is wrong; nothing was sent: repair it on the sheet To fix",
    OutcomeKind.REJECTED: "refused by {api}: repair it on the sheet To fix",
    OutcomeKind.FAILED: "cannot have been applied: run again",
    OutcomeKind.UNCONFIRMED: "may have been applied, but nothing confirmed it: run again",
    OutcomeKind.NOT_SENT: "the run ended before its turn, or it waits for another row",
}
_WRONG_IN_CHECK = "a cell is wrong: correct it in the file that was checked"


class OutcomeCount(msgspec.Struct, frozen=True):
    """How many rows have an outcome."""

    kind: OutcomeKind
    rows: int
    meaning: str


class SummaryView(msgspec.Struct, frozen=True):
    """What page and Summary sheet show."""

    file: str
    """Name of the input."""
    started_at: datetime
    """UTC."""
    verdict: str
    family: str
    """What all rounds of the first file have come to; '' in the first one."""
    gravest: OutcomeKind
    """The outcome that gives the whole run its colour."""
    next_step: NextStep
    stop: str
    """Why the run ended early; '' if it did not."""
    header_row: int
    columns: tuple[MappedColumn, ...]
    more_columns: str
    """How many more columns are not sent; '' if none."""
    rows: int
    counts: tuple[OutcomeCount, ...]
    """Outcomes that some row has; they add up to `rows`."""
    for_review: int
    """Rows that need a person."""
    to_run_again: int
    changes_heading: str
    changes: tuple[str, ...]
    """What the changes come to, in sentences."""
    causes: tuple[Cause, ...]
    """The most common first."""
    more_causes: int
    """Causes beyond `causes`."""
    timeline: tuple[tuple[float, int], ...]
    """Seconds since the start, and rows finished by then; empty if no row was sent."""
    facts: tuple[tuple[str, str], ...]
    """Name and value, the notes included."""

    @property
    def outcomes(self) -> dict[OutcomeKind, int]:
        """Outcome -> rows, for those that some row has."""
        return {count.kind: count.rows for count in self.counts}


class Timeline:
    """Counts the rows finished in each stretch of time."""

    def __init__(self, started_at: datetime) -> None:
        self._started_at = started_at
        self._resolution_s = _NICE_STEPS_S[0]
        self._finished: Counter[int] = Counter()
        """Stretch of the resolution, from 0 -> rows."""

    def add(self, outcome: Outcome) -> None:
        """Count a row that was sent, at the time of its last answer."""
        if outcome.sent_at is not None:
            at_s = (outcome.sent_at - self._started_at).total_seconds() + (outcome.seconds or 0.0)
            self._finished[max(int(at_s / self._resolution_s), 0)] += 1
            if len(self._finished) > _STRETCHES_AT_MOST:
                self._coarsen(10)

    def _coarsen(self, by: int) -> None:
        finer, self._finished = self._finished, Counter()
        for stretch, rows in finer.items():
            self._finished[stretch // by] += rows
        self._resolution_s *= by

    def points(self, finished_at: datetime) -> Iterator[tuple[float, int]]:
        """Yield seconds since the start and rows finished by then; nothing if no row was sent."""
        if not self._finished:
            return
        lasted_s = max((finished_at - self._started_at).total_seconds(), 0.1)
        steps = (step for step in _NICE_STEPS_S if lasted_s / step <= _BUCKETS_AT_MOST)
        step_s = next(steps, math.ceil(lasted_s / _BUCKETS_AT_MOST))
        buckets = [0] * (int(lasted_s / step_s) + 1)
        for stretch, rows in self._finished.items():
            buckets[min(int((stretch + 0.5) * self._resolution_s / step_s), len(buckets) - 1)] += rows
        yield 0.0, 0
        for number, total in enumerate(accumulate(buckets), 1):
            yield round(number * step_s, 1), total


def summary_view(
    facts: RunFacts,
    endpoint: Endpoint,
    columns: Columns,
    summary: Summary,
    timeline: Timeline | None = None,
    change_summary: ChangeSummary | None = None,
) -> SummaryView:
    """Return what page and Summary sheet show. Without timeline and change summary: the workbook was not written."""
    for_review, to_run_again = summary.total(NEEDS_PERSON), summary.total(RUN_AGAIN)
    invocation = facts.invocation
    if invocation and invocation.is_default_config:  # its path was not typed
        invocation = replace(invocation, config=None)
    done = OutcomeKind.FAILED if to_run_again else OutcomeKind.UPDATED
    shown_columns, more_columns = mapping_shown(columns.mapping)
    return SummaryView(
        file=PurePath(facts.input_path).name,
        started_at=facts.started_at,
        verdict=summary.verdict,
        family=facts.family,
        gravest=OutcomeKind.REJECTED if for_review else done,
        next_step=next_step(facts, summary, invocation, is_written=timeline is not None),
        stop=f"The run ended early: {facts.stop.message} {facts.stop.advice}" if facts.stop and to_run_again else "",
        header_row=columns.header_row,
        columns=tuple(shown_columns),
        more_columns=more_columns,
        rows=summary.rows,
        counts=tuple(
            OutcomeCount(kind, summary[kind], _meaning(kind, facts).format(api=endpoint.api_name))
            for kind in OutcomeKind
            if summary[kind]
        ),
        for_review=for_review,
        to_run_again=to_run_again,
        changes_heading="What would change" if facts.command == "check" else "What has changed, or would",
        changes=tuple(change_summary.in_words()) if change_summary else (),
        causes=summary.causes[:_CAUSES_LISTED],
        more_causes=max(len(summary.causes) - _CAUSES_LISTED, 0),
        timeline=tuple(timeline.points(facts.finished_at)) if timeline else (),
        facts=tuple(_facts(facts, endpoint)),
    )


def _meaning(kind: OutcomeKind, facts: RunFacts) -> str:
    if kind is OutcomeKind.INVALID and facts.command == "check":
        return _WRONG_IN_CHECK
    is_open = kind is OutcomeKind.NOT_SENT and facts.is_closed
    return "not done when the run was closed; run this workbook to send them" if is_open else _MEANINGS[kind]


def _facts(facts: RunFacts, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    lasted_s = (facts.finished_at - facts.started_at).total_seconds()
    rate = f" ({facts.requests / lasted_s:,.1f} a second)" if facts.requests and lasted_s > 0 else ""
    requests = f"{facts.requests:,}{rate}, {facts.retries:,} of them retries"
    name, settings = PurePath(facts.input_path).name, {setting.name: setting.value for setting in facts.settings}
    entries = (
        ("When", f"{facts.started_at:%Y-%m-%d %H:%M:%S} UTC, {lasted_s:,.1f} s"),
        ("File", f"{name}, from the inbox {facts.inbox}" if facts.inbox else facts.input_path),
        ("sha256", facts.input_sha256),
        ("Sheet", facts.sheet or ""),
        ("API", f"{facts.base_url or 'none'}, {endpoint.method} {endpoint.path} ({facts.endpoint})"),
        ("Requests", requests if facts.requests or facts.command != "check" else "none"),
        ("Run folder", facts.run_folder or ""),
        ("Sent by", settings.get(SENT_BY, "")),
        *(("Note", note) for note in facts.notes),
    )
    yield from ((name, value) for name, value in entries if value)
