"""Resuming a run: with the rows of its table, judged again if another version of the program staged them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from batch_updater.runs import folder as snapshots
from batch_updater.runs import statements
from batch_updater.runs.history import DATABASE, PastRun, find_run
from batch_updater.runs.plan import Opened, Plan
from batch_updater.runs.store import DamagedStoreError, Store, faults_named
from batch_updater.version import __version__


def resumed_plan(opened: Opened, past: PastRun) -> Plan:
    """Return the plan of a run that is resumed, whose store is open for reading. Raises InputError, StoreError.

    `opened` is the same input, of which nothing is read unless another version of the program staged the run.
    """
    copy, path = past.folder / past.facts.input_file, past.folder / DATABASE
    if not snapshots.is_copy_of(copy, opened.snapshot.sha256):
        snapshots.copy_again(opened.snapshot, copy)
    opened = replace(opened, snapshot=replace(opened.snapshot, path=copy))
    try:
        if past.facts.staged_by != __version__:
            _judge_again(opened, path)
            past = find_run(past.folder.parent, past.folder.name)
    except DamagedStoreError as error:
        raise past.damaged(error) from error
    with faults_named(path, "read"):
        store = Store.reading(path)
    try:
        store.require_requests(opened.endpoint)
        return opened.plan(past.staged(store), store)
    except DamagedStoreError as error:
        store.close()
        raise past.damaged(error) from error


def _judge_again(opened: Opened, path: Path) -> None:
    """Stage the input once more, in one transaction, and keep what is known of rows with the same request."""
    with faults_named(path), closing(Store.writing(path)) as store, store.transaction():
        commit = store.last_commit()
        for statement in statements.in_order("PUT_ROWS_ASIDE"):
            store.connection.execute(statement)
        staged = opened.stage(store, for_sending=True, commit=commit)
        if lost := store.numbers(statements.LOST_ROWS):
            raise DamagedStoreError(f"it holds row {lost[0]}, which the input does not have")
        store.set_facts({"rows": staged.rows})
        store.connection.execute(statements.DROP_EARLIER_ROWS)
