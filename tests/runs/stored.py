"""Databases of runs with rows that were staged as a file's would be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_updater.endpoint.request import Prepared, Request
from batch_updater.records import Job, Outcome, OutcomeKind, Problem
from batch_updater.runs import statements
from batch_updater.runs.encoding import encode_problems
from batch_updater.runs.store import Store
from batch_updater.runs.writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_PROBLEM = Problem(0, "id", "not-a-number", "x", "'x' is no number.", "Type a number.")


def prepared(row: int) -> Prepared:
    """Return the job of a row, as it is staged by `begun`."""
    request = Request("PUT", f"/items/{row}", "", b"{}", "application/json")
    return Prepared(Job(row, f"id={row}", {"id": row}), request)


def begun(
    path: Path,
    rows: Iterable[int],
    facts: Mapping[str, object] | None = None,
    *,
    invalid: Iterable[int] = (),
    started_at: datetime = STARTED,
) -> RunWriter:
    """Stage rows and begin a run with them."""
    store = Store.draft(path)
    with store.transaction():
        store.executemany(
            statements.STAGE,
            (
                {"number": row, "commit_number": 0, "state": "ready",
                 "target": f"id={row}", "cells": f'["s","{row}"]',
                 "fields": f'[["id"],["i",{row}]]',
                 "path": f"/items/{row}", "query": "", "body": "{}", "problems": None}
                for row in rows
            ),
        )  # fmt: skip
        store.executemany(
            statements.STAGE,
            (
                {"number": row, "commit_number": 0, "state": "invalid", "target": None, "cells": '["s","x"]',
                 "fields": None, "path": None, "query": None, "body": None, "problems": encode_problems([_PROBLEM])}
                for row in invalid
            ),
        )  # fmt: skip
    return RunWriter.begin(store, path, facts or {}, started_at)


def outcomes(store: Store) -> list[Outcome]:
    """Return the outcomes of the rows that had a turn, by row."""
    found = (row.outcome for row in store.rows(Outcome(0, OutcomeKind.PLANNED)))
    return [outcome for outcome in found if outcome.kind is not OutcomeKind.PLANNED]


def maybe_applied(store: Store) -> list[int]:
    """Return the rows that an earlier part of the run may have applied."""
    found = store.connection.execute("SELECT number FROM rows WHERE maybe_applied ORDER BY number")
    return [number for (number,) in found]
