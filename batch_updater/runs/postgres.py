"""The rows of one run in a team's database: what `Store` asks of a connection, of psycopg instead of sqlite3.

Callers name a statement by its text for SQLite, as everywhere. It is executed in its form for PostgreSQL, with the run
as one more parameter.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, cast
from weakref import finalize

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import IntDumper

from batch_updater.runs.statements import statements_in

TeamConnection = psycopg.Connection[tuple[Any, ...]]
_BATCH = 500
"""Rows that are read at a time of selections of any length."""
_MOST_IDLE = 8
"""Connections that are not in use; PostgreSQL's own bound is 100 for all hosts, by default."""
_ON_DISK = """SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'"""
_BEFORE_ALL_ROWS = -1
_BY_BATCH = "%(batch_rows)s"
_NUL_IN_JSON = r"\u0000"
_TRANSACTION = {"BEGIN IMMEDIATE": "BEGIN", "COMMIT": "COMMIT", "ROLLBACK": "ROLLBACK"}


class _Statement(NamedTuple):
    text: str
    by_batch: bool


@cache
def _statements() -> Mapping[str, _Statement]:
    """Return the statements for PostgreSQL by their texts for SQLite; those that SQLite has not, by their own."""
    sqlite, texts_for_postgres = statements_in("sqlite.sql"), dict(_TRANSACTION)
    for name, texts in statements_in("postgres.sql").items():
        texts_for_postgres.update(zip(sqlite.get(name, texts), texts, strict=True))
    return {named: _Statement(text, _BY_BATCH in text) for named, text in texts_for_postgres.items()}


def storable(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return texts as PostgreSQL can hold them: the character NUL as the escape that is shown for it everywhere.

    An answer of an API may hold it. That must not end a run, as it would if PostgreSQL refused the outcome of a row.
    """
    if any(type(value) is str and ("\0" in value or _NUL_IN_JSON in value) for value in values.values()):
        return {name: _without_nul(value, is_json=name == "batch") for name, value in values.items()}
    return values


def _without_nul(value: object, *, is_json: bool = False) -> object:
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    if not isinstance(value, str):
        return value
    return json.dumps(_without_nul(json.loads(value))) if is_json else value.replace("\0", r"\x00")


class _BoolAsInteger(Dumper):
    """Writes a bool as SQLite does: into columns of whole numbers."""

    oid = IntDumper.oid

    def dump(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


class Connections:
    """Connections to a team's database that are kept for the next use. For any number of threads.

    psycopg_pool connects in threads of its own: why that fails is only in its log, with the names of host and user, and
    after an outage its pauses double while everyone waits.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[TeamConnection] = []
        self._is_closed = False
        # Not in `__del__`: of a cycle that is collected, the connections may be deleted first.
        finalize(self, _close, self._idle)

    def take(self) -> TeamConnection:
        """Return a connection that works and commits each statement by itself. Raises psycopg.Error."""
        while self._idle:
            with suppress(IndexError):  # another thread has taken it
                connection = self._idle.pop()
                with suppress(psycopg.Error):  # it was lost meanwhile, as in a restart of PostgreSQL
                    connection.execute("")
                    return connection
                connection.close()
        connection = psycopg.connect(self._address, autocommit=True)
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def give_back(self, connection: TeamConnection) -> None:
        """Keep a connection for the next use; one that has failed, or that is one too many, is closed."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.rollback()
            if not connection.autocommit:
                connection.autocommit = True
            if len(self._idle) < _MOST_IDLE and not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that are not in use, and the others as soon as they are given back."""
        self._is_closed = True
        _close(self._idle)


def _set_up(connection: TeamConnection) -> None:
    """Let a new connection work as the statements of a run expect it. Raises psycopg.Error."""
    # As `sqlite3` does.
    connection.adapters.register_dumper(bool, _BoolAsInteger)
    # Rows are read in the order of their key. Until PostgreSQL has looked at those of a new run, it takes them for few:
    # it would collect all that are left and sort them for every batch.
    connection.execute("SET enable_bitmapscan = off")
    # Whatever the database has as its defaults: a confirmed row is on disk, and who waited for a lock sees what the one
    # before has written.
    connection.execute("SET default_transaction_isolation = 'read committed'")
    connection.execute(_ON_DISK)


def _close(idle: list[TeamConnection]) -> None:
    while idle:
        with suppress(IndexError):  # another thread has taken it
            idle.pop().close()


def run_number(connection: TeamConnection, name: str) -> int:
    """Return the number of the run of that name. Raises FileNotFoundError if there is none."""
    record = connection.execute("SELECT id FROM runs WHERE name = %s", (name,)).fetchone()
    if record is None:
        raise FileNotFoundError(errno.ENOENT, "the team has no such run", name)
    return int(record[0])


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
        of_run = {**storable(values), "run": self.run, "earlier_run": self.earlier_run}
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
