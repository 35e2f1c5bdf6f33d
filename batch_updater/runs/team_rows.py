"""Copies a run in bulk from a store in a file into a team's database, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from math import ceil
from typing import Any, NamedTuple

from batch_updater.runs import statements
from batch_updater.runs.postgres import RunConnection, TeamConnection
from batch_updater.runs.store import Store

TABLES = ("run", "parts", "rows", "attempts", "names", "expected", "edits", "refusals")
_HAVE_POSITIONS = {"names", "expected"}
_READ_AT_ONCE = 1_000
"""Records that are fetched from the team's database at a time."""


class Cut(NamedTuple):
    """How a part of a run is divided among workers."""

    block_rows: int
    """So many rows, about, are in a block."""
    limit: int | None = None
    """So many of the run's good rows are sent at most, what is done included."""


def copy_run(
    store: Store, connection: TeamConnection, run: int, facts: Mapping[str, object], cut: Cut | None = None
) -> None:
    """Write all that a store in a file holds as the run of that number, which has nothing yet.

    `facts` replace those of the same names. With `cut`, rows that are to be sent have their block already, so that
    `cut_into_blocks` finds nothing to change, which would write each of them a second time. Within the transaction of
    `connection`. Raises psycopg.Error and sqlite3.Error.
    """
    for table in TABLES:
        stored = store.sqlite.execute(f"SELECT * FROM {table} ORDER BY rowid")  # noqa: S608  (constants)
        names = [name for name, *_ in stored.description]
        records: Iterator[tuple[Any, ...]] = stored
        if table == "run":
            own = ((name, value) for name, value in stored if name not in facts)
            records = chain(own, ((name, json.dumps(value)) for name, value in facts.items()))
        if table == "rows" and cut is not None:
            records = _with_blocks(stored, names, _blocks(store, cut), _last_of(store, cut.limit))
            names.append("block")
        if (first := next(records, None)) is None:
            continue
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} (run, {_quoted(names)}) FROM STDIN") as copy:
            for record in chain((first,), records):
                copy.write_row((run, *record))


def cut_into_blocks(store: Store, cut: Cut) -> int:
    """Give every row of a team's run that is to be sent in this part its block, and make the blocks again.

    Rows of one target are in one block. Within a transaction of the store. Returns how many blocks may have rows;
    those that have none are done. Raises psycopg.Error.
    """
    blocks = _blocks(store, cut)
    for statement in statements.in_order("CUT_INTO_BLOCKS"):
        store.execute(statement, blocks=blocks, limit=cut.limit)
    return blocks


def _blocks(store: Store, cut: Cut) -> int:
    return max(1, ceil(store.to_send(cut.limit) / cut.block_rows))


def _last_of(store: Store, limit: int | None) -> int | None:
    """Return the number of the last row that a limit lets be sent; None if it lets all."""
    if limit is None:
        return None
    good = "SELECT number FROM rows WHERE state != 'invalid' AND waits_for IS NULL ORDER BY number LIMIT 1 OFFSET ?"
    record = store.sqlite.execute(good, (limit - 1,)).fetchone()
    return None if record is None else int(record[0])


def _with_blocks(
    records: Iterable[tuple[Any, ...]], names: Sequence[str], blocks: int, last: int | None
) -> Iterator[tuple[Any, ...]]:
    number, state, waits_for, target = map(names.index, ("number", "state", "waits_for", "target"))
    for record in records:
        is_cut = record[state] == "ready" and record[waits_for] is None and (last is None or record[number] <= last)
        yield (*record, block_of(record[target], blocks) if is_cut else None)


def block_of(target: str | None, blocks: int) -> int:
    """Return the block of a target's rows, as the statement `CUT_INTO_BLOCKS` computes it."""
    return int.from_bytes(sha256((target or "").encode()).digest()[:4], "big") % blocks


def copy_back(source: RunConnection, store: Store) -> None:
    """Write all that a team's database holds of a run into a store in a file, as it is at one moment.

    Within the transaction of `store`, which has nothing yet. Raises psycopg.Error, sqlite3.Error.
    """
    with source.connection.transaction():
        source.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in TABLES:
            columns = [name for name, *_ in store.sqlite.execute(f"SELECT * FROM {table}").description]  # noqa: S608
            names, marks = _quoted(columns), ", ".join("?" * len(columns))
            order = "position" if table in _HAVE_POSITIONS else "1"
            with source.connection.cursor(table) as records:  # of the server: a run may have any number of rows
                records.itersize = _READ_AT_ONCE
                records.execute(f"SELECT {names} FROM {table} WHERE run = %s ORDER BY {order}", (source.run,))  # noqa: S608
                store.sqlite.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", records)  # noqa: S608


def _quoted(names: Iterable[str]) -> str:
    return ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)
