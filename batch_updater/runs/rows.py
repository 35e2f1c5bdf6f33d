"""Rows with their outcomes as reports take them, and the proof that outcomes add up to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import changes_of
from batch_updater.endpoint.description import Endpoint
from batch_updater.loader.findings import RAGGED
from batch_updater.loader.row_parser import carried_cells
from batch_updater.records import (
    AllowedList,
    Columns,
    MadeEdit,
    Outcome,
    OutcomeKind,
    ReportRow,
    Row,
    StagedInput,
    Stop,
    StopReason,
)
from batch_updater.reporter.summary import NEEDS_NOTHING, RUN_AGAIN, Summary, Tally
from batch_updater.runs import statements
from batch_updater.runs.edits import EditsOfRows
from batch_updater.runs.family import first_round
from batch_updater.runs.history import DATABASE
from batch_updater.runs.store import Store, StoredRow, opened_store

_CHANGING = frozenset({OutcomeKind.UPDATED, OutcomeKind.DIFFERS, OutcomeKind.PLANNED})
PLANNED = Outcome(0, OutcomeKind.PLANNED)
"""Of a row of a check that would be sent."""


def unsent(stop: Stop | None) -> Outcome:
    """Return the outcome of rows that had no turn before the run was stopped, or up to now."""
    why = f"The run ended before this row's turn. {stop.message}" if stop else "This row's turn had not come yet."
    advice = "Run again without --limit." if stop and stop.reason is StopReason.LIMIT else "Run again."
    return Outcome(0, OutcomeKind.NOT_SENT, why, advice, "no turn before the end")


def report_rows(
    store: Store,
    staged: StagedInput,
    endpoint: Endpoint,
    without_turn: Outcome,
    statement: str = statements.ROWS,
) -> Iterator[ReportRow]:
    """Yield rows with their outcomes, in file order; with `statements.ROWS_TO_FIX` those that are not done alone."""
    with first_round(store.path, staged.columns.origin) as first_wrong:
        rows, made = store.rows(without_turn, statement), EditsOfRows(store)
        yield from with_changes(rows, staged, endpoint, store.names(), first_wrong, made.of)


def with_changes(
    rows: Iterable[StoredRow],
    staged: StagedInput,
    endpoint: Endpoint,
    names: tuple[AllowedList, ...],
    first_wrong: Callable[[int], str],
    edits_of: Callable[[int], tuple[MadeEdit, ...]],
) -> Iterator[ReportRow]:
    """Yield rows as reports take them.

    `names` are those that are known for the ids in records; `first_wrong` tells of a row that is not done what was
    wrong with it in the first round, and `edits_of` what people have changed in it.
    """
    changes = partial(changes_of, endpoint, AllowedValues.of(endpoint, names))
    for stored in rows:
        outcome, row = stored.outcome, input_row(stored, staged)
        before = outcome.kept.before if outcome.kept else None
        wrong = "" if outcome.kind in NEEDS_NOTHING else first_wrong(row.number)
        edits = edits_of(row.number)
        # Of a row that was refused or not done the record has not changed, whatever was read of it.
        if before is None or outcome.kind not in _CHANGING:
            yield ReportRow(row, outcome, first_wrong=wrong, edits=edits)
        else:
            otherwise = [problem.field for problem in outcome.problems]
            changed = changes(stored.job, before, otherwise)
            yield ReportRow(row, outcome, stored.target, changed, stored.is_repeated, wrong, edits)


def input_row(stored: StoredRow, staged: StagedInput) -> Row:
    """Return a row as the file had it, with as many cells as there are headers."""
    stated = staged.stated_width
    is_ragged = stated is not None and any(problem.code == RAGGED for problem in stored.outcome.problems)
    return Row(stored.number, carried_cells(stored.cells, len(staged.columns.headers), stated, is_ragged=is_ragged))


def rows_in(
    folder: Path,
    staged: StagedInput,
    endpoint: Endpoint,
    without_turn: Outcome,
    statement: str = statements.ROWS,
) -> Iterator[ReportRow]:
    """Go over the rows of a run from its folder. Raises DamagedStoreError, OSError."""
    with opened_store(folder / DATABASE) as store:
        yield from report_rows(store, staged, endpoint, without_turn, statement)


def tallied(
    rows: Iterable[ReportRow | StoredRow], columns: Columns, planned: int = 0, *, of_check: bool = False
) -> Summary:
    """Count outcomes; `planned` rows of that outcome are counted beforehand."""
    tally = Tally(columns, planned, of_check=of_check)
    for row in rows:
        tally.add(row.outcome)
    return tally.summary()


def check_row_count(staged: StagedInput, summary: Summary) -> None:
    """Every data row has exactly one outcome, or the program itself is wrong and says so."""
    if summary.rows != staged.rows:
        raise RuntimeError(f"{staged.rows} rows went in, but {summary.rows} outcomes came out")


def lasting(stop: Stop | None, summary: Summary) -> Stop | None:
    """Return what stopped the run; None if every row has come to its end all the same."""
    if not summary.total(RUN_AGAIN):
        return None
    if stop is None and summary[OutcomeKind.NOT_SENT] == summary.total(RUN_AGAIN):
        # Every row had its turn, then: those that were not sent had to wait, and for one that needs repair.
        return Stop(
            StopReason.WAITING,
            f"{summary[OutcomeKind.NOT_SENT]:,} rows wait for an earlier row of the same record.",
            "Repair the earlier rows, then run again.",
        )
    return stop
