"""Rows and what became of them, put together: every row of the input with exactly one outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from batch_updater.records import Outcome, OutcomeKind, ReportRow, Stop, StopReason
from batch_updater.reporter.summary import RUN_AGAIN, Summary, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from batch_updater.loader.table import JudgedRow, Review, Table
    from batch_updater.records import Columns, FieldChange, Job


Changed: TypeAlias = "Callable[[Job, str, Collection[str | None]], tuple[FieldChange, ...]]"
"""A job, its record as it was read, as JSON, and the fields that did not become what was asked -> what it changes."""


_CHANGING = frozenset({OutcomeKind.UPDATED, OutcomeKind.DIFFERS, OutcomeKind.PLANNED})


def settled_rows(
    table: Table, review: Review, outcomes: Iterator[Outcome], stop: Stop | None, changed: Changed
) -> Iterator[ReportRow]:
    """Yield every row with its one outcome: what the journal holds, its problems, or that it had no turn.

    `changed` says what a row whose record was read changes.
    """
    settled = next(outcomes, None)
    for judged in table.judged(review):
        if settled is not None and settled.row == judged.row.number:
            kept = settled.kept
            # Of a row that was refused or not done the record has not changed, whatever was read of it.
            if kept is None or kept.before is None or judged.job is None or settled.kind not in _CHANGING:
                yield ReportRow(judged.row, settled)
            else:
                target = judged.job.target
                is_repeated = bool(review.targets.others(target, judged.row.number, 1))
                changes = changed(judged.job, kept.before, _otherwise(settled))
                yield ReportRow(judged.row, settled, target, changes, is_repeated)
            settled = next(outcomes, None)
        else:
            yield ReportRow(judged.row, _invalid(judged) if judged.job is None else _not_sent(judged, stop))
    if settled is not None:
        raise RuntimeError(f"the journal holds row {settled.row}, which the input does not have as a good row")


def _otherwise(outcome: Outcome) -> Collection[str | None]:
    """Return the fields that the API reported otherwise than asked."""
    return [problem.field for problem in outcome.problems]


def planned_rows(table: Table, review: Review, *, only_in_doubt: bool = False) -> Iterator[ReportRow]:
    """Yield every row of a check with its one outcome; `only_in_doubt` leaves out rows that are planned for sure."""
    for judged in table.judged(review, only_in_doubt=only_in_doubt):
        if judged.job is None:
            outcome = _invalid(judged)
        elif judged.waits_for is not None:
            outcome = _not_sent(judged, None)
        else:
            outcome = Outcome(judged.row.number, OutcomeKind.PLANNED)
        yield ReportRow(judged.row, outcome)


def counted(rows: Iterable[ReportRow], columns: Columns, planned: int = 0, *, of_check: bool = False) -> Summary:
    """Return what became of all rows; `planned` rows of that outcome are counted beforehand."""
    tally = Tally(columns, planned, of_check=of_check)
    for row in rows:
        tally.add(row.outcome)
    return tally.summary()


def counted_without_input(review: Review, columns: Columns, outcomes: Iterable[Outcome]) -> Summary:
    """Return what became of all rows where the input can no longer be read: the journal, and what the review found."""
    tally = Tally(columns)
    known = 0
    for outcome in outcomes:
        tally.add(outcome)
        known += 1
    invalid = invalid_rows(review)
    for _ in range(invalid):
        tally.add(Outcome(0, OutcomeKind.INVALID))
    for _ in range(review.rows - invalid - known):
        tally.add(Outcome(0, OutcomeKind.NOT_SENT))
    return tally.summary()


def invalid_rows(review: Review) -> int:
    """Return how many rows cannot be sent as they are."""
    return review.rows - review.good - review.waiting


def lasting(stop: Stop | None, summary: Summary) -> Stop | None:
    """Return what the run was stopped by: nothing if every row came to its end all the same."""
    if not summary.total(RUN_AGAIN):
        return None
    if stop is None and summary[OutcomeKind.NOT_SENT] == summary.total(RUN_AGAIN):
        # Every row had its turn, then: those that were not sent had to wait, and for one that somebody has to repair.
        return Stop(
            StopReason.WAITING,
            f"{summary[OutcomeKind.NOT_SENT]:,} rows wait for an earlier row of the same record.",
            "Repair the earlier rows, then run again.",
        )
    return stop


def require_sum(review: Review, summary: Summary) -> None:
    """Every data row has exactly one outcome, or the program itself is wrong and says so."""
    if summary.rows != review.rows:
        raise RuntimeError(f"{review.rows} rows went in, but {summary.rows} outcomes came out")


def _invalid(judged: JudgedRow) -> Outcome:
    return Outcome(judged.row.number, OutcomeKind.INVALID, problems=judged.problems)


def _not_sent(judged: JudgedRow, stop: Stop | None) -> Outcome:
    row = judged.row.number
    if judged.waits_for is not None:
        return Outcome(
            row,
            OutcomeKind.NOT_SENT,
            f"Row {judged.waits_for} updates the same record and has to be done first.",
            f"Repair row {judged.waits_for}, then run again.",
            "waits for an earlier row of the same record",
        )
    ended = f"The run ended before this row's turn. {stop.message}" if stop else "This row's turn had not come yet."
    return Outcome(
        row,
        OutcomeKind.NOT_SENT,
        ended,
        "Run again.",
        "no turn before the end",
    )
