"""What every report of a run says besides its rows: what next, the facts, how the rows came in over time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from batch_updater.reporter.summary import NEEDS_PERSON
from batch_updater.text.printable import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Cause, Invocation, Outcome, RunFacts, Stop
    from batch_updater.reporter.summary import Summary

CAUSES_LISTED = 15
_BUCKETS_AT_MOST = 60
_NICE_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


class Progress:
    """How many rows were finished in each stretch of time."""

    def __init__(self, started_at: datetime, finished_at: datetime) -> None:
        lasted_s = max((finished_at - started_at).total_seconds(), 0.1)
        steps = (step for step in _NICE_STEPS_S if lasted_s / step <= _BUCKETS_AT_MOST)
        self.step_s = next(steps, math.ceil(lasted_s / _BUCKETS_AT_MOST))
        self._started_at = started_at
        self._finished = [0] * (int(lasted_s / self.step_s) + 1)
        self.any = False

    def add(self, outcome: Outcome) -> None:
        """Count a row that was sent, at the moment of its last answer."""
        if outcome.sent_at is not None:
            at_s = (outcome.sent_at - self._started_at).total_seconds() + (outcome.seconds or 0.0)
            bucket = min(max(int(at_s / self.step_s), 0), len(self._finished) - 1)
            self._finished[bucket] += 1
            self.any = True

    def totals(self) -> Iterator[tuple[float, int]]:
        """Yield seconds since the start, and how many rows were finished by then."""
        total = 0
        yield 0.0, 0
        for number, finished in enumerate(self._finished, 1):
            total += finished
            yield round(number * self.step_s, 1), total


def what_next(facts: RunFacts, summary: Summary, workbook: str | None = None) -> str:
    """Return what a person should do now; `workbook` is the name of the workbook where it is not the reader's own."""
    if not summary.rows:
        return "Nothing is to be done."
    return _after_check(facts, summary) if facts.command == "check" else _after_run(facts, summary, workbook)


def _after_check(facts: RunFacts, summary: Summary) -> str:
    if summary.total(NEEDS_PERSON):
        source = PurePath(facts.input_path).name
        if facts.is_over_guard:
            return f"Correct these cells in {source} and check again: as it is, a guard is exceeded (see the notes)."
        return (
            f"Correct these cells in {source} and check again. Or run it as it is, {_run_command(facts)}: the "
            "good rows are sent, and the workbook of that run lets you repair the others."
        )
    if summary.is_gone_on_with(facts.stop):
        return "Check again: not every record was read."
    if facts.is_over_guard:
        return (
            "A guard is exceeded (see the notes): correct the file. If it is as it should be, send it: "
            f"{_run_command(facts)} --override-guards"
        )
    return f"Send them: {_run_command(facts)}"


def _after_run(facts: RunFacts, summary: Summary, workbook: str | None) -> str:
    goes_on = summary.is_gone_on_with(facts.stop)
    if goes_on and not facts.inbox:
        return "Start the same run again: it goes on with the rows that are not done."
    if not goes_on and not summary.total(NEEDS_PERSON):
        return "Nothing is to be done."
    this, name = (f"the workbook {workbook}", workbook) if workbook else ("this workbook", "THIS-WORKBOOK")
    how = f'{summary.repair} the sheet "To fix", save {this} and'
    first = f"{how[0].upper()}{how[1:]}"
    if facts.inbox and goes_on:
        return (
            "The next night goes on with the rows that are not done, as long as the file lies in the inbox. If it was "
            f"put away: {how} put it into the inbox, {facts.inbox}."
        )
    if facts.inbox:
        return f"{first} put it into the inbox, {facts.inbox}: the next night sends just those rows."
    again = _as_typed(facts.invocation).repaired(name) if facts.invocation else ("run", name)
    return f"{first} run it again: {command_line(('batch-updater', *again))}. It sends just those rows."


def _as_typed(invocation: Invocation) -> Invocation:
    """Return the command line without the path of a configuration that nobody has typed."""
    return replace(invocation, config=None) if invocation.is_default_config else invocation


def _run_command(facts: RunFacts) -> str:
    """Return the command that sends what was checked."""
    return command_line(("batch-updater", "run", PurePath(facts.input_path).name, *facts.run_options))


def ended_early(stop: Stop) -> str:
    """Return why a run came to its end before every row had its turn."""
    return f"The run ended early: {stop.message} {stop.advice}"


def example_place(cause: Cause) -> str:
    """Return where a cause shows first: `F14 (row 14)`."""
    return f"{cause.example_cell} (row {cause.example_row})" if cause.example_cell else f"row {cause.example_row}"


def told_facts(facts: RunFacts, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Yield name and value of each fact that there is."""
    lasted_s = (facts.finished_at - facts.started_at).total_seconds()
    rate = f" ({facts.requests / lasted_s:,.1f} a second)" if facts.requests and lasted_s > 0 else ""
    name = PurePath(facts.input_path).name
    entries = (
        ("When", f"{facts.started_at:%Y-%m-%d %H:%M:%S} UTC, {lasted_s:,.1f} s"),
        ("File", f"{name}, from the inbox {facts.inbox}" if facts.inbox else facts.input_path),
        ("sha256", facts.input_sha256),
        ("Sheet", facts.sheet or ""),
        ("API", f"{facts.base_url or 'none'}, {endpoint.method} {endpoint.path} ({facts.endpoint})"),
        (
            "Requests",
            f"{facts.requests:,}{rate}, {facts.retries:,} of them repeats"
            if facts.requests or facts.command != "check"
            else "none",
        ),
        ("Run folder", facts.run_folder or ""),
        *(("Note", note) for note in facts.notes),
    )
    yield from ((name, value) for name, value in entries if value)
