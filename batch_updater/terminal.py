"""What a run says on a terminal: the preview before it, the progress during it, the end after it."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from batch_updater.model import OutcomeKind, StopReason
from batch_updater.summary import NEEDS_NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from batch_updater.model import Outcome, Problem
    from batch_updater.run import Finished, Plan

_REFRESH_S = 0.5
_PLAIN_LINE_EVERY_S = 5.0
_CAUSES_SHOWN = 5
_SAMPLE_CHARACTERS = 600
_LABEL_WIDTH = 9


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `1 min 34 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def rows(count: int) -> str:
    """Return `1 row`, `2,000 rows`."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def at(problem_or_row: int, cell: str | None, field: str | None) -> str:
    """Return where something is wrong, as people find it: `Row 14, StageName (F14)`."""
    where = f"Row {problem_or_row}"
    if field:
        where += f", {field}"
    return f"{where} ({cell})" if cell else where


def print_preview(plan: Plan, stream: TextIO) -> None:
    """Show what will happen, before anybody is asked."""
    for label, text in _preview_lines(plan):
        print(f"{label:<{_LABEL_WIDTH}} {text}", file=stream)


def _preview_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    review, table = plan.review, plan.table
    sheet = f', sheet "{table.sheet}"' if table.sheet else ""
    yield "File", f"{plan.snapshot.name}{sheet}"
    bad = review.rows - review.good
    yield "Rows", f"{review.rows:,}: {review.good:,} good, {bad:,} with problems{' (not sent)' if bad else ''}"
    yield from _labelled("Problems", (_cause_line(cause) for cause in review.causes[:_CAUSES_SHOWN]))
    yield from _labelled("Fields", _field_lines(plan))
    yield from _labelled("Note", iter(table.notes))
    yield "To", f"{plan.config.api.base_url} ({plan.endpoint.name})"
    rate = plan.config.sending.rate_per_s
    yield "Time", f"about {duration(review.good / rate)} at {rate:g} requests a second"
    yield from _labelled("First", iter(_sample_lines(plan)))


def _labelled(label: str, lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        yield label, line
        label = ""
