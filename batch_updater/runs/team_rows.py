"""All that is known of a run from a store in a file into a team's database, in bulk, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from batch_updater.runs.postgres import RunConnection, TeamConnection
from batch_updater.runs.store import Store

_TABLES = ("run", "parts", "rows", "attempts", "names", "expected", "edits", "refusals")
_HAVE_POSITIONS = {"names", "expected"}
_READ_AT_ONCE = 1_000
"""Records that are fetched from the team's database at a time."""


def copy_run(store: Store, connection: TeamConnection, run: int, facts: Mapping[str, object]) -> None:
    """Write all that a store in a file holds as the run of that number, which has nothing yet.

    `facts` replace those of the same names. Within the transaction of `connection`. Raises psycopg.Error and
    sqlite3.Error.
    """
    for table in _TABLES:
        found = store.sqlite.execute(f"SELECT * FROM {table} ORDER BY rowid")  # noqa: S608  (constants)
        names = _quoted(name for name, *_ in found.description)
        records: Iterator[tuple[Any, ...]] = found
        if table == "run":
            own = ((name, value) for name, value in found if name not in facts)
            records = chain(own, ((name, json.dumps(value)) for name, value in facts.items()))
        if (first := next(records, None)) is None:
            continue
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} (run, {names}) FROM STDIN") as copy:
            for record in chain((first,), records):
                copy.write_row((run, *record))


def copy_back(source: RunConnection, store: Store) -> None:
    """Write all that a team's database holds of a run into a store in a file, as it is at one moment.

    Within the transaction of `store`, which has nothing yet. Raises psycopg.Error, sqlite3.Error.
    """
    with source.connection.transaction():
        source.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for table in _TABLES:
            columns = [name for name, *_ in store.sqlite.execute(f"SELECT * FROM {table}").description]  # noqa: S608
            names, marks = _quoted(columns), ", ".join("?" * len(columns))
            order = "position" if table in _HAVE_POSITIONS else "1"
            with source.connection.cursor(table) as records:  # of the server: a run may have any number of rows
                records.itersize = _READ_AT_ONCE
                records.execute(f"SELECT {names} FROM {table} WHERE run = %s ORDER BY {order}", (source.run,))  # noqa: S608
                store.sqlite.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", records)  # noqa: S608


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
