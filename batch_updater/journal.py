"""What is known about every row, on disk: one SQLite file in the run's folder, written by one thread.

A row that may be in flight is on disk before it is sent; its outcome follows within one commit. Callers on the event
loop await only the commit that they need: whatever has gathered meanwhile is committed together, so that the cost of
an fsync is shared by all workers.

A run that is resumed goes on in the same file, as a further part of the run.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import queue
import sqlite3
import threading
import time
from array import array
from bisect import bisect_left
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from batch_updater.errors import JournalError
from batch_updater.files import sync_folder
from batch_updater.model import AllowedList, AllowedValue, Kept, Outcome, OutcomeKind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from batch_updater.endpoint.request import Prepared, Request

CONFIRMED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS})
"""What a resumed run keeps; every other row is judged and sent again."""

_SCHEMA = (
    "CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL)",  # values in JSON
    """
    CREATE TABLE parts (                 -- one for each time that the run was started or resumed
        number INTEGER PRIMARY KEY,
        started_at REAL NOT NULL,        -- seconds since 1970-01-01 UTC, as all times here
        ended_at REAL,                   -- NULL: still going on, or killed
        requests INTEGER, retries INTEGER, elapsed_s REAL,
        stopped TEXT, stop_message TEXT, stop_advice TEXT,
        results TEXT                     -- the workbook; NULL: not written
    )
    """,
    """
    CREATE TABLE rows (
        number INTEGER PRIMARY KEY,      -- as Excel shows it
        target TEXT NOT NULL,
        digest TEXT,                     -- of the request; NULL: none was made
        earlier_attempts INTEGER NOT NULL DEFAULT 0,  -- requests in earlier parts of the run
        attempts INTEGER NOT NULL,       -- in this part, as far as is known
        kind TEXT,                       -- NULL: may be in flight
        status INTEGER, message TEXT, advice TEXT, cause TEXT, problems TEXT,
        sent_at REAL,
        seconds REAL,
        before TEXT, asked TEXT, reported TEXT  -- JSON: the record as it was read, what was sent, what came back
    )
    """,
    """
    CREATE TABLE names (                 -- valid names learned from answers
        field TEXT NOT NULL, depends_on TEXT NOT NULL, list TEXT NOT NULL, PRIMARY KEY (field, depends_on)
    )
    """,
)
_FACT = "INSERT OR REPLACE INTO run VALUES (?, ?)"
_NEW_PART = "INSERT INTO parts (started_at) VALUES (?)"
_END_OF_PART = """
UPDATE parts SET ended_at = ?, requests = ?, retries = ?, elapsed_s = ?, stopped = ?, stop_message = ?,
    stop_advice = ?, results = ?
WHERE number = (SELECT max(number) FROM parts)
"""
_COUNT_AS_EARLIER = """
UPDATE rows SET earlier_attempts = earlier_attempts + attempts, attempts = 0,
    before = CASE WHEN kind IN ('failed', 'not_sent') OR (kind = 'rejected' AND asked IS NULL) THEN NULL ELSE before END
"""
"""What was read before an update that was certainly not applied is old by now: what is read next counts."""
_NAMES = "INSERT OR REPLACE INTO names VALUES (?, ?, ?)"
_PLAINLY = """
INSERT INTO rows (number, target, digest, attempts, kind, status, message, advice, cause, sent_at, seconds,
    before, asked, reported)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), '', '', '',
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'), json_extract(value, '$[9]'),
    json_extract(value, '$[10]')
FROM json_each(?) WHERE true
ON CONFLICT (number) DO UPDATE SET digest = coalesce(excluded.digest, digest), attempts = excluded.attempts,
    kind = excluded.kind, status = excluded.status, message = '', advice = '', cause = '', problems = NULL,
    sent_at = excluded.sent_at, seconds = excluded.seconds, before = coalesce(before, excluded.before),
    asked = excluded.asked, reported = excluded.reported
"""
"""Writes many rows at once, given as JSON: that they may be in flight (no kind), or that they were confirmed.

Each call of SQLite lets go of Python's lock and has to wait for it again, which beside a busy event loop takes longer
than the call. One call for all rows of a commit, which is the commit as well, makes the sending twice as fast."""
_SETTLED = """
INSERT INTO rows (number, target, attempts, kind, status, message, advice, cause, problems, sent_at, seconds, before,
    asked, reported)
VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET attempts = excluded.attempts, kind = excluded.kind, status = excluded.status,
    message = excluded.message, advice = excluded.advice, cause = excluded.cause, problems = excluded.problems,
    sent_at = excluded.sent_at, seconds = excluded.seconds, before = coalesce(before, excluded.before),
    asked = excluded.asked, reported = excluded.reported
"""
_BEFORE = "UPDATE rows SET before = coalesce(before, ?) WHERE number = ?"
"""The first reading counts: a later one may show what an update without an answer has changed."""
_NEVER_SENT = """
UPDATE rows SET kind = 'not_sent', attempts = 0, message = 'The run ended before this row''s turn.',
    advice = 'Run again.', cause = 'no turn before the end'
WHERE kind IS NULL AND before IS NULL AND earlier_attempts = 0
    AND EXISTS (SELECT * FROM run WHERE name = 'reads_first' AND value = 'true')
"""
"""Of rows that a part of the run left without an outcome, no update went out if that part read records first: what a
record was is on disk before its update. Rows of earlier parts have attempts there; they may have been sent plainly."""
_KNOWN = """
SELECT number, CASE WHEN kind = 'rejected' AND asked IS NOT NULL THEN 'unconfirmed' ELSE kind END, digest
FROM rows ORDER BY number
"""
"""What was asked is kept of a refused row only if an attempt before may have been applied."""
_OUTCOMES = """
SELECT number, kind, message, advice, cause, problems, status, earlier_attempts + attempts, sent_at, seconds,
    before, asked, reported
FROM rows ORDER BY number
"""
_NOTHING_KEPT = Kept(None, None, None)
_GATHERED_FOR_S = 0.004
"""How long a commit waits for more to commit: it then serves all workers, and disturbs the event loop less often."""
_UNAWAITED_FOR_S = 0.1
"""How long outcomes that nobody waits for may gather; they have to be on disk within half a second of the answer."""
_DIGEST_BYTES = 16
_JSON = msgspec.json.Encoder()
"""Keeps Python's lock for a fifth of the time that the standard library's takes."""


class Part(NamedTuple):
    """One start of a run, and how it ended."""

    started_at: datetime
    ended_at: datetime | None
    """None: it is still going on, or was killed."""
    requests: int
    retries: int
    elapsed_s: float
    stopped: str | None
    stop_message: str | None
    stop_advice: str | None
    results: str | None
    """The workbook; None if it was not written."""


class EarlierRows:
    """What a journal knew of every row before this part of the run; 25 bytes a row."""

    def __init__(self, rows: Iterable[tuple[int, str | None, str | None]]) -> None:
        """`rows` are (number, kind, digest), by number."""
        self._numbers = array("q")
        self._states = bytearray()
        self._digests = bytearray()
        self.confirmed = 0
        for number, kind, digest in rows:
            state = _UNKNOWN if kind in {None, OutcomeKind.UNCONFIRMED} else kind in CONFIRMED
            self._numbers.append(number)
            self._states.append(state)
            self._digests += bytes.fromhex(digest) if digest else bytes(_DIGEST_BYTES)
            self.confirmed += state == _KEPT

    def is_confirmed(self, row: int, request: Request) -> bool:
        """Whether this request of the row was confirmed: another one for the same row would not be."""
        at = self._position(row)
        if at is None or self._states[at] != _KEPT:
            return False
        return bytes(self._digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES]) == request.digest

    def maybe_applied(self, row: int) -> bool:
        """Whether an earlier part may have applied the row without knowing it."""
        at = self._position(row)
        return at is not None and self._states[at] == _UNKNOWN

    def _position(self, row: int) -> int | None:
        at = bisect_left(self._numbers, row)
        return at if at < len(self._numbers) and self._numbers[at] == row else None


_KEPT, _UNKNOWN = 1, 2


class _Write(NamedTuple):
    statement: str
    values: tuple[object, ...]
    committed: asyncio.Future[None] | None = None


class _Rows(NamedTuple):
    """Rows for `_PLAINLY`, and who waits for them to be committed."""

    values: Sequence[tuple[object, ...]]
    committed: asyncio.Future[None] | None


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
    before: str | None
    asked: str | None
    reported: str | None


def _settled_values(outcome: Outcome) -> tuple[object, ...]:
    problems = json.dumps([asdict(problem) for problem in outcome.problems]) if outcome.problems else None
    sent_at = outcome.sent_at.timestamp() if outcome.sent_at else None
    return (
        outcome.row, outcome.attempts, outcome.kind.value, outcome.status, outcome.message, outcome.advice,
        outcome.cause, problems, sent_at, outcome.seconds, *(outcome.kept or _NOTHING_KEPT),
    )  # fmt: skip


class Journal:
    """The journal of one run, opened for writing; a context manager that closes it.

    The asynchronous methods belong to one event loop. Raises JournalError from every method once the file can no
    longer be written: then nothing more may be sent.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, earlier: EarlierRows) -> None:
        self._path = path
        self._connection = connection
        self.earlier = earlier
        """What earlier parts of the run came to."""
        self._file = _identity(path)
        # Without a bound, but never long: every row waits for its first commit, and a worker has one row at a time.
        self._writes: queue.SimpleQueue[_Rows | _Write | threading.Event | None] = queue.SimpleQueue()
        self._fault: JournalError | None = None
        self._awaited = threading.Event()
        """Set when somebody waits for what was queued."""
        self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._writer.start()

    @classmethod
    def create(cls, path: Path, facts: Mapping[str, object], started_at: datetime) -> Self:
        """Make the journal of a new run: it is there with all its facts, or not at all. Raises JournalError."""
        try:
            with _faults_named(path):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with _opened(path) as connection:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.executemany(_FACT, ((name, json.dumps(value)) for name, value in facts.items()))
                connection.execute(_NEW_PART, (started_at.timestamp(),))
                connection.execute("COMMIT")
                sync_folder(path.parent)
        except JournalError:
            for suffix in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            raise
        return cls(path, connection, EarlierRows(()))

    @classmethod
    def reopen(cls, path: Path, started_at: datetime, *, reads_first: bool) -> Self:
        """Go on with the journal of a run that is resumed. Raises JournalError.

        `reads_first`: whether this part of the run reads each record before its update; a fact of that name says so of
        the part before.
        """
        with _opened(path) as connection:
            connection.execute(_NEVER_SENT)
            connection.execute(_FACT, ("reads_first", json.dumps(reads_first)))
            earlier = EarlierRows(connection.execute(_KNOWN))
            connection.execute(_COUNT_AS_EARLIER)
            connection.execute(_NEW_PART, (started_at.timestamp(),))
            connection.execute("COMMIT")
        return cls(path, connection, earlier)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._put_awaited(None)
        self._writer.join()
        self._connection.close()

    def flush(self) -> None:
        """Return when everything queued so far is on disk. Raises JournalError."""
        flushed = threading.Event()
        self._put_awaited(flushed)
        flushed.wait()
        self.require_writable()

    def require_writable(self) -> None:
        """Raise JournalError if the file can no longer be written."""
        if self._fault:
            raise self._fault

    async def will_send(self, batch: Sequence[Prepared]) -> None:
        """Return when the journal holds that these rows may be in flight. Raises JournalError.

        Once for each row: repeats find it in flight already, and its count of attempts comes with its outcome.
        """
        self.require_writable()
        committed = asyncio.get_running_loop().create_future()
        values = [(job.row, job.target, request.digest.hex(), 1, None, None, None, None) for job, request in batch]
        self._put_awaited(_Rows(values, committed))
        await committed

    async def settle(self, outcome: Outcome) -> None:
        """Queue a row's outcome for the next commit. Raises JournalError if an earlier one could not be written."""
        self.require_writable()
        row, kind, message, advice, cause, problems, status, attempts, sent_at, seconds, kept = outcome
        if message or advice or cause or problems:
            self._writes.put(_Write(_SETTLED, _settled_values(outcome)))
            return
        moment = sent_at.timestamp() if sent_at else None
        values = (row, "", None, attempts, kind, status, moment, seconds, *(kept or _NOTHING_KEPT))
        self._writes.put(_Rows((values,), None))

    async def will_change(self, row: int, before: str) -> None:
        """Return when the journal holds what a record was before its update. Raises JournalError."""
        self.require_writable()
        committed = asyncio.get_running_loop().create_future()
        self._put_awaited(_Write(_BEFORE, (before, row), committed))
        await committed

    def learned(self, names: AllowedList) -> None:
        """Queue valid names that an answer taught."""
        values = (names.field, json.dumps(names.depends_on), json.dumps([asdict(value) for value in names.values]))
        self._writes.put(_Write(_NAMES, values))

    def end_part(self, part: Part) -> None:
        """Queue how this part of the run ended."""
        values = (
            part.ended_at.timestamp() if part.ended_at else None, part.requests, part.retries, part.elapsed_s,
            part.stopped, part.stop_message, part.stop_advice, part.results and _as_text(part.results),
        )  # fmt: skip
        self._writes.put(_Write(_END_OF_PART, values))

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is known of every row that was about to be sent, by row number. Call `flush` before.

        A row without an outcome may have been in flight when the run ended: `unconfirmed`.
        """
        # On the writer's connection, which stays when the folder is removed; the writer has nothing to do meanwhile.
        yield from _outcomes(self._connection)

    def allowed(self) -> tuple[AllowedList, ...]:
        """Return the valid names that are known, whichever part learned them. Call `flush` before."""
        return _allowed(self._connection)

    def parts(self) -> tuple[Part, ...]:
        """Return every part of the run, this one included. Call `flush` before."""
        return _parts(self._connection)

    def _put_awaited(self, write: _Rows | _Write | threading.Event | None) -> None:
        self._writes.put(write)
        self._awaited.set()

    def _write_all(self) -> None:
        """Commit what has gathered, again and again, until None is taken. Runs in the writer's thread."""
        ended = False
        while not ended:
            batch = [self._writes.get()]
            if isinstance(batch[0], (_Rows, _Write)):
                self._awaited.wait(_UNAWAITED_FOR_S)
                time.sleep(_GATHERED_FOR_S)
            self._awaited.clear()
            while not self._writes.empty():
                batch.append(self._writes.get_nowait())
            self._commit([write for write in batch if isinstance(write, (_Rows, _Write))])
            for flushed in batch:
                if isinstance(flushed, threading.Event):
                    flushed.set()
            ended = None in batch

    def _commit(self, writes: list[_Rows | _Write]) -> None:
        if self._fault is None and writes:
            try:
                self._require_file()
                self._execute(writes)
            except (sqlite3.Error, OSError, UnicodeEncodeError) as error:  # the last: bytes of a name that are no text
                self._fault = JournalError(f"The journal {self._path} cannot be written: {_why(error)}.")
                if self._connection.in_transaction:
                    self._connection.rollback()
        waiting = [write.committed for write in writes if write.committed is not None]
        if waiting:
            waiting[0].get_loop().call_soon_threadsafe(_release, waiting, self._fault)

    def _execute(self, writes: list[_Rows | _Write]) -> None:
        """Write and commit. The order of rows does not matter, since a row is written once in a commit.

        It is: whoever writes that a row may be in flight waits for the commit before anything becomes of the row.
        """
        plain = _JSON.encode(
            [values for write in writes if isinstance(write, _Rows) for values in write.values]
        ).decode()
        others = [write for write in writes if isinstance(write, _Write)]
        if not others:
            self._connection.execute(_PLAINLY, (plain,))
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(_PLAINLY, (plain,))
        for write in others:
            self._connection.execute(write.statement, write.values)
        self._connection.execute("COMMIT")

    def _require_file(self) -> None:
        """Raise OSError if the file is gone: the system would go on writing to it, and nobody could ever read it."""
        if _identity(self._path) != self._file:
            raise FileNotFoundError(errno.ENOENT, "it has been removed or replaced")


def _release(waiting: list[asyncio.Future[None]], fault: JournalError | None) -> None:
    for committed in waiting:
        if committed.done():  # whoever waited was cancelled
            continue
        if fault is None:
            committed.set_result(None)
        else:
            committed.set_exception(fault)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal for writing, with a transaction begun; it stays open unless the block fails."""
    with _faults_named(path), ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)))
        # WAL is not to be had on a network share; SQLite then stays with its rollback journal.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        stack.pop_all()


def _as_text(path: str) -> str:
    """Return a path as SQLite can hold it: on POSIX the bytes of a name need not be text."""
    return path.encode(errors="backslashreplace").decode()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"The journal {path} cannot be written: {_why(error)}.") from error


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
        kept=_kept(record),
    )


def _kept(record: _Record) -> Kept | None:
    kept = Kept(record.before, record.asked, record.reported)
    return None if kept == _NOTHING_KEPT else kept


def _outcomes(connection: sqlite3.Connection) -> Iterator[Outcome]:
    yield from map(_outcome, map(_Record._make, connection.execute(_OUTCOMES)))


def _allowed(connection: sqlite3.Connection) -> tuple[AllowedList, ...]:
    return tuple(
        AllowedList(
            field,
            tuple((name, text) for name, text in json.loads(depends_on)),
            tuple(AllowedValue(**value) for value in json.loads(values)),
        )
        for field, depends_on, values in connection.execute("SELECT field, depends_on, list FROM names ORDER BY rowid")
    )


def _parts(connection: sqlite3.Connection) -> tuple[Part, ...]:
    columns = "started_at, ended_at, requests, retries, elapsed_s, stopped, stop_message, stop_advice, results"
    found = connection.execute(f"SELECT {columns} FROM parts ORDER BY number")  # noqa: S608  (columns are ours)
    return tuple(
        Part(
            datetime.fromtimestamp(started_at, UTC),
            None if ended_at is None else datetime.fromtimestamp(ended_at, UTC),
            requests or 0, retries or 0, elapsed_s or 0.0, *ending,
        )
        for started_at, ended_at, requests, retries, elapsed_s, *ending in found
    )  # fmt: skip


class DamagedJournalError(Exception):
    """A journal cannot be relied on: nobody can tell from it which rows are done."""


@contextmanager
def journal_reader(path: Path) -> Iterator[JournalReader]:
    """Open the journal of any run for reading. Raises DamagedJournalError."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield JournalReader(connection)
    except sqlite3.Error as error:
        raise DamagedJournalError(str(error)) from error


class JournalReader:
    """What a journal says, without writing to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def require_whole(self) -> None:
        """Check every page of the file; takes about a second for a million rows. Raises DamagedJournalError."""
        found = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise DamagedJournalError(str(found[0]))

    def facts(self) -> dict[str, object]:
        """Return the facts about the run; empty if it never began."""
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return (
            {name: json.loads(value) for name, value in self._connection.execute("SELECT * FROM run")} if tables else {}
        )

    def parts(self) -> tuple[Part, ...]:
        """Return every part of the run, by time."""
        return _parts(self._connection)

    def counts(self) -> dict[OutcomeKind, int]:
        """Return how many rows have each outcome, of those that were about to be sent."""
        counts: dict[OutcomeKind, int] = {}
        for kind, count in self._connection.execute("SELECT kind, count(*) FROM rows GROUP BY kind"):
            known = OutcomeKind.UNCONFIRMED if kind is None else OutcomeKind(kind)
            counts[known] = counts.get(known, 0) + count
        return counts

    def earlier_rows(self) -> EarlierRows:
        """Return what is known of every row, in little memory."""
        return EarlierRows(self._connection.execute(_KNOWN))

    def last_heard_at(self) -> datetime | None:
        """Return when the last answer came, UTC; None if none did."""
        (at,) = self._connection.execute("SELECT max(sent_at + coalesce(seconds, 0)) FROM rows").fetchone()
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is known of every row that was about to be sent, by row number."""
        yield from _outcomes(self._connection)

    def allowed(self) -> tuple[AllowedList, ...]:
        """Return the valid names that were learned."""
        return _allowed(self._connection)
