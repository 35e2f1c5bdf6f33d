"""What is known about every row, on disk: one SQLite file in the run's folder, written by one thread.

A row that may be in flight is on disk before it is sent; its outcome follows within one commit. Callers on the event
loop await only the commit that they need: whatever has gathered meanwhile is committed together, so that the cost of
an fsync is shared by all workers.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

from batch_updater.errors import JournalError
from batch_updater.model import AllowedList, Outcome, OutcomeKind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from batch_updater.model import Job

_SCHEMA = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE rows (
    number INTEGER PRIMARY KEY,   -- as Excel shows it
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,    -- requests that were about to go out when this was written
    kind TEXT,                    -- NULL: may be in flight
    status INTEGER, message TEXT, advice TEXT, cause TEXT, problems TEXT,
    sent_at REAL,                 -- seconds since 1970-01-01 UTC
    seconds REAL
);
"""
_MAY_BE_IN_FLIGHT = """
INSERT INTO rows (number, target, attempts) VALUES (?, ?, ?)
ON CONFLICT (number) DO UPDATE SET attempts = excluded.attempts, kind = NULL
"""
_SETTLED = """
INSERT INTO rows (number, target, attempts, kind, status, message, advice, cause, problems, sent_at, seconds)
VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET attempts = excluded.attempts, kind = excluded.kind, status = excluded.status,
    message = excluded.message, advice = excluded.advice, cause = excluded.cause, problems = excluded.problems,
    sent_at = excluded.sent_at, seconds = excluded.seconds
"""
_OUTCOMES = """
SELECT number, kind, message, advice, cause, problems, status, attempts, sent_at, seconds FROM rows ORDER BY number
"""
_QUEUED_AT_MOST = 10_000
"""Writes that may wait for the disk; whoever adds one more waits too."""


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    values: tuple[object, ...]
    committed: asyncio.Future[None] | None = None


class _Record(NamedTuple):
    """A record of `_OUTCOMES`."""

    number: int
    kind: str | None
    message: str
    advice: str
    cause: str
    problems: str | None
    status: int | None
    attempts: int
    sent_at: float | None
    seconds: float | None


def _settled_values(outcome: Outcome) -> tuple[object, ...]:
    problems = json.dumps([asdict(problem) for problem in outcome.problems]) if outcome.problems else None
    sent_at = outcome.sent_at.timestamp() if outcome.sent_at else None
    return (
        outcome.row, outcome.attempts, outcome.kind.value, outcome.status, outcome.message, outcome.advice,
        outcome.cause, problems, sent_at, outcome.seconds,
    )  # fmt: skip


class Journal:
    """The journal of one run, opened for writing; a context manager that closes it.

    The asynchronous methods belong to one event loop. Raises JournalError from every method once the file can no
    longer be written: then nothing more may be sent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes: queue.Queue[_Write | threading.Event | None] = queue.Queue(_QUEUED_AT_MOST)
        self._fault: JournalError | None = None
        with _faults_named(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # WAL is not to be had on a network share; SQLite then stays with its rollback journal.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._writes.put(None)
        self._writer.join()
        self._connection.close()

    def flush(self) -> None:
        """Return when everything queued so far is on disk. Raises JournalError."""
        flushed = threading.Event()
        self._writes.put(flushed)
        flushed.wait()
        if self._fault:
            raise self._fault

    async def will_send(self, job: Job, attempt: int) -> None:
        """Return when the journal holds that the row may be in flight. Raises JournalError.

        A repeat needs no new wait: the row is in flight already, and its count of attempts comes with its outcome.
        """
        if self._fault:
            raise self._fault
        if attempt > 1:
            return
        committed = asyncio.get_running_loop().create_future()
        await self._put(_Write(_MAY_BE_IN_FLIGHT, (job.row, job.target, attempt), committed))
        await committed

    async def settle(self, outcome: Outcome) -> None:
        """Queue a row's outcome for the next commit. Raises JournalError if an earlier one could not be written."""
        if self._fault:
            raise self._fault
        await self._put(_Write(_SETTLED, _settled_values(outcome), None))

    def note(self, facts: Mapping[str, object]) -> None:
        """Queue facts about the run: name -> value that JSON can hold."""
        for name, value in facts.items():
            statement = "INSERT OR REPLACE INTO run VALUES (?, ?)"
            self._writes.put(_Write(statement, (name, json.dumps(value)), None))

    def note_allowed(self, lists: Iterable[AllowedList]) -> None:
        """Queue the valid names that were learned."""
        self.note({"allowed": [asdict(names) for names in lists]})

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is known of every row that was about to be sent, by row number.

        A row without an outcome may have been in flight when the run ended: `unconfirmed`. Call `flush` before.
        """
        with closing(sqlite3.connect(self._path)) as reader:
            yield from map(_outcome, map(_Record._make, reader.execute(_OUTCOMES)))

    async def _put(self, write: _Write) -> None:
        try:
            self._writes.put_nowait(write)
        except queue.Full:
            await asyncio.to_thread(self._writes.put, write)

    def _write_all(self) -> None:
        """Commit what has gathered, again and again, until None is taken. Runs in the writer's thread."""
        ended = False
        while not ended:
            batch = [self._writes.get()]
            while not self._writes.empty():
                batch.append(self._writes.get_nowait())
            self._commit([write for write in batch if isinstance(write, _Write)])
            for flushed in batch:
                if isinstance(flushed, threading.Event):
                    flushed.set()
            ended = None in batch

    def _commit(self, writes: list[_Write]) -> None:
        if self._fault is None:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for write in writes:
                    self._connection.execute(write.statement, write.values)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._fault = JournalError(f"The journal {self._path} cannot be written: {error}.")
        waiting = [write.committed for write in writes if write.committed is not None]
        if waiting:
            waiting[0].get_loop().call_soon_threadsafe(_release, waiting, self._fault)


def _release(waiting: list[asyncio.Future[None]], fault: JournalError | None) -> None:
    for committed in waiting:
        if committed.done():  # whoever waited was cancelled
            continue
        if fault is None:
            committed.set_result(None)
        else:
            committed.set_exception(fault)


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"The journal {path} cannot be written: {error}.") from error


def _outcome(record: _Record) -> Outcome:
    if record.kind is None:
        return Outcome(
            row=record.number,
            kind=OutcomeKind.UNCONFIRMED,
            message="The run ended while this row was on its way; whether it was applied is unknown.",
            advice="Run again to settle it.",
            cause="ended while on its way",
            attempts=record.attempts,
        )
    return Outcome(
        row=record.number,
        kind=OutcomeKind(record.kind),
        message=record.message,
        advice=record.advice,
        cause=record.cause,
        problems=tuple(Problem(**problem) for problem in json.loads(record.problems or "[]")),
        status=record.status,
        attempts=record.attempts,
        sent_at=None if record.sent_at is None else datetime.fromtimestamp(record.sent_at, UTC),
        seconds=record.seconds,
    )
