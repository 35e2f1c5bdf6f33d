"""Stages tables as a run does, and gives what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from batch_updater.endpoint.request import RequestBuilder
from batch_updater.records import Outcome, OutcomeKind
from batch_updater.runs.rows import report_rows
from batch_updater.runs.stage import Staging
from batch_updater.runs.store import Store

if TYPE_CHECKING:
    from batch_updater.loader.table import Table
    from batch_updater.records import Job, Problem, Row, StagedInput


_STAGED: WeakKeyDictionary[Table, StagedTable] = WeakKeyDictionary()


class JudgedRow(NamedTuple):
    """A data row and what it comes to: either a job or problems."""

    row: Row
    job: Job | None
    problems: tuple[Problem, ...]
    waits_for: int | None


class StagedTable(NamedTuple):
    """A table whose rows were judged."""

    input: StagedInput
    rows: list[JudgedRow]
    first_job: Job | None


def staged(table: Table) -> StagedTable:
    """Judge every row of a table, the first time that it is asked for."""
    if table not in _STAGED:
        _STAGED[table] = _staged(table)
    return _STAGED[table]


def _staged(table: Table) -> StagedTable:
    with Store.temporary() as store:
        with store.transaction():
            known = Staging(table, store, RequestBuilder(table.endpoint)).stage()
        waits_for = dict(store.connection.execute("SELECT number, waits_for FROM rows"))
        planned = Outcome(0, OutcomeKind.PLANNED)
        shown = report_rows(store, known, table.endpoint, planned)
        rows = [
            JudgedRow(shown.row, stored.job if stored.outcome.kind is not OutcomeKind.INVALID else None,
                      stored.outcome.problems, waits_for[stored.number])
            for stored, shown in zip(list(store.rows(planned)), shown, strict=True)
        ]  # fmt: skip
        return StagedTable(known, rows, store.first_job())
