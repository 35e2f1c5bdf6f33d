"""Outcomes made for the writing of workbooks: rows of eight cells, which make fifteen columns with their results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from batch_updater.records import Columns, Outcome, OutcomeKind, ReportRow, Row
from benchmarks.rows import made

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED_AT = datetime(2026, 3, 1, 14, 2, tzinfo=UTC)
RATE_PER_S = 1_000
REFUSED_EVERY = 100
HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "CategoryName", "StageName", "AcctPotential",
           "SalesRevenue", "PendingCloseDate")  # fmt: skip
COLUMNS = Columns(HEADERS, 0, {name: position for position, name in enumerate(HEADERS)}, ())


def report_rows(count: int) -> Iterator[ReportRow]:
    """Yield rows with their outcomes: one in a hundred was refused, all others are updated."""
    for number, row in enumerate(made(count), 2):
        cells = (row.identity, row.kind, row.name, row.category, row.stage, Decimal(repr(row.potential)),
                 Decimal(repr(row.revenue)), row.closes_on)  # fmt: skip
        yield ReportRow(Row(number, cells), _outcome(number))


def _outcome(number: int) -> Outcome:
    sent_at = STARTED_AT + timedelta(seconds=number / RATE_PER_S)
    if number % REFUSED_EVERY:
        return Outcome(number, OutcomeKind.UPDATED, status=200, attempts=1, sent_at=sent_at, seconds=0.05)
    return Outcome(
        number,
        OutcomeKind.REJECTED,
        message="The record is closed.",
        advice="Open it again, or leave the row out.",
        cause="the record is closed",
        status=409,
        attempts=1,
        sent_at=sent_at,
        seconds=0.05,
    )
