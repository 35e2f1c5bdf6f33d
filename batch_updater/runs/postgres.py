"""The rows of one run in a team's database: what `Store` asks of a connection, of psycopg instead of sqlite3.

Callers name a statement by its text for SQLite, as everywhere. It is executed in its form for PostgreSQL, with the run
as one more parameter.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, cast

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import IntDumper

from batch_updater.runs.statements import statements_in

TeamConnection = psycopg.Connection[tuple[Any, ...]]
_BATCH = 500
"""Rows that are read at a time of selections of any length."""
_BEFORE_ALL_ROWS = -1
_BY_BATCH = "%(batch_rows)s"
_TRANSACTION = {"BEGIN IMMEDIATE": "BEGIN", "COMMIT": "COMMIT", "ROLLBACK": "ROLLBACK"}


class _Statement(NamedTuple):
    text: str
    by_batch: bool


@cache
def _statements() -> Mapping[str, _Statement]:
    """Return the statements for PostgreSQL by their texts for SQLite; those that SQLite has not, by their own."""
    sqlite, found = statements_in("sqlite.sql"), dict(_TRANSACTION)
    for name, texts in statements_in("postgres.sql").items():
        found.update(zip(sqlite.get(name, texts), texts, strict=True))
    return {named: _Statement(text, _BY_BATCH in text) for named, text in found.items()}


class _BoolAsInteger(Dumper):
    """Writes a bool as SQLite does: into columns of whole numbers."""

    oid = IntDumper.oid

    def dump(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


def prepare(connection: TeamConnection) -> None:
    """Make a new connection convert values as `sqlite3` does."""
    connection.adapters.register_dumper(bool, _BoolAsInteger)


def run_number(connection: TeamConnection, name: str) -> int:
    """Return the number of the run of that name. Raises FileNotFoundError if there is none."""
    found = connection.execute("SELECT id FROM runs WHERE name = %s", (name,)).fetchone()
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "the team has no such run", name)
    return int(found[0])


class BatchCursor:
    """Records of a selection of any length: as many are in memory as one batch has."""

    def __init__(self, read: Callable[[int], list[tuple[Any, ...]]], after: int) -> None:
        """`read` returns the batch behind the row of that number."""
        self._records = self._read_all(read, after)

    @staticmethod
    def _read_all(read: Callable[[int], list[tuple[Any, ...]]], after: int) -> Iterator[tuple[Any, ...]]:
        while batch := read(after):
            yield from batch
            if len(batch) < _BATCH:
                return
            after = batch[-1][0]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._records

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next record; None behind the last."""
        return next(self._records, None)

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Return the next records, at most so many."""
        return list(islice(self._records, size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the records that are left."""
        return list(self._records)

    def close(self) -> None:
        """Read no more."""
        self._records = iter(())


class RunConnection:
    """A connection to a team's database that knows the tables of one run. Every method raises psycopg.Error."""

    def __init__(self, connection: TeamConnection, run: int, give_back: Callable[[TeamConnection], None]) -> None:
        """Take a connection that commits each statement by itself; `give_back` takes it in the end."""
        self.run = run
        """Its number in the table `runs`."""
        self.earlier_run: int | None = None
        """Of the run whose rows statements name as those of `earlier`."""
        self.connection = connection
        """For statements of the team's own tables."""
        self._give_back = give_back
        self._is_closed = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one included."""
        return self.connection.info.transaction_status not in {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}

    def execute(
        self, statement: str, values: Mapping[str, object] = {}
    ) -> psycopg.Cursor[tuple[Any, ...]] | BatchCursor:
        """Execute one of `statements`."""
        text, by_batch = _statements()[statement]
        of_run = {**values, "run": self.run, "earlier_run": self.earlier_run}
        if not by_batch:
            return self.connection.execute(text, of_run)

        def read(after: int) -> list[tuple[Any, ...]]:
            return self.connection.execute(text, {**of_run, "after": after, "batch_rows": _BATCH}).fetchall()

        return BatchCursor(read, cast("int", values.get("after", _BEFORE_ALL_ROWS)))

    def executemany(self, statement: str, records: Iterable[Mapping[str, object]]) -> None:
        """Execute one of `statements` once for each record."""
        of_run = {"run": self.run, "earlier_run": self.earlier_run}
        with self.connection.cursor() as cursor:
            cursor.executemany(_statements()[statement].text, ({**record, **of_run} for record in records))

    def number_of(self, name: str) -> int:
        """Return the number of a run of that name. Raises FileNotFoundError if there is none."""
        return run_number(self.connection, name)

    def rollback(self) -> None:
        """Take back what the open transaction has written."""
        self.connection.rollback()

    def close(self) -> None:
        """Give the connection back; as with one of SQLite, nothing happens the second time."""
        if not self._is_closed:
            self._is_closed = True
            self._give_back(self.connection)
