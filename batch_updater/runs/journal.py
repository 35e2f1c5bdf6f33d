"""What is known about every row, on disk: one SQLite file in the run's folder, written by one thread.

A row that may be in flight is on disk before it is sent; its outcome follows within one commit. Callers on the event
loop await only the commit that they need: whatever has gathered meanwhile is committed together, so that the cost of
an fsync is shared by all workers.

A run that is resumed goes on in the same file, as a further part of the run.

Most of an open journal is in SQLite's `-wal` file, and SQLite takes a `-wal` that is lost, cut or garbled for one that
holds less. Two things tell that commits are missing. The main file says that the journal is open from before the first
row until everything is in that one file. And every commit has a number, which its rows carry, and which is in the
counter file beside the journal before anybody is told of the commit. A reader refuses an open journal without its
counter, and one that ends before the commit that its counter names. The counter is never ahead of the journal: it is
written after the commit, so a killed process leaves it behind by one commit at most, of which nobody has heard; after
a crash of the machine it may be further behind, for it is not synced while the commits are.

What a person or another program has put into a journal is refused where it is read: every record goes through
`_converted`, which takes only what this program writes.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import queue
import sqlite3
import stat
import threading
import time
from array import array
from bisect import bisect_left
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, TypeVar

import msgspec

from batch_updater.endpoint.exact_json import from_json
from batch_updater.errors import JournalError
from batch_updater.files.writing import sync_folder
from batch_updater.records import AllowedList, AllowedValue, Outcome, OutcomeKind, Problem, RecordSnapshots, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from io import FileIO
    from pathlib import Path
    from types import TracebackType

    from batch_updater.endpoint.request import Prepared, Request

CONFIRMED = frozenset({OutcomeKind.UPDATED, OutcomeKind.UNCHANGED, OutcomeKind.DIFFERS})
"""What a resumed run keeps; every other row is judged and sent again."""

_FORMAT = 2
"""SQLite's `user_version` of a journal with the tables below."""
_SCHEMA = (
    f"PRAGMA user_version = {_FORMAT}",
    "CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL)",  # values in JSON
    """
    CREATE TABLE parts (                 -- one for each time that the run was started or resumed
        number INTEGER PRIMARY KEY,
        commit_number INTEGER,           -- of the commit that wrote it last, as in the tables below
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
        commit_number INTEGER NOT NULL,
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
        commit_number INTEGER NOT NULL,
        field TEXT NOT NULL, depends_on TEXT NOT NULL, list TEXT NOT NULL, PRIMARY KEY (field, depends_on)
    )
    """,
)
_FACT = "INSERT OR REPLACE INTO run VALUES (?, ?)"
_IS_OPEN = "is_open"
"""Name of the fact whether commits may have been made that are not in the main file."""
_NEW_PART = "INSERT INTO parts (started_at) VALUES (?)"
_END_OF_PART = """
UPDATE parts SET commit_number = ?, ended_at = ?, requests = ?, retries = ?, elapsed_s = ?, stopped = ?,
    stop_message = ?, stop_advice = ?, results = ?
WHERE number = (SELECT max(number) FROM parts)
"""
_COUNT_AS_EARLIER = """
UPDATE rows SET earlier_attempts = earlier_attempts + attempts, attempts = 0,
    before = CASE WHEN kind IN ('failed', 'not_sent') OR (kind = 'rejected' AND asked IS NULL) THEN NULL ELSE before END
"""
"""What was read before an update that was certainly not applied is old by now: what is read next counts."""
_NAMES = "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?)"
_UPSERT_ROWS = """
INSERT INTO rows (commit_number, number, target, digest, attempts, kind, status, message, advice, cause, sent_at,
    seconds, before, asked, reported)
SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), '', '', '',
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'), json_extract(value, '$[9]'),
    json_extract(value, '$[10]')
FROM json_each(?) WHERE true
ON CONFLICT (number) DO UPDATE SET commit_number = excluded.commit_number, digest = coalesce(excluded.digest, digest),
    attempts = excluded.attempts, kind = excluded.kind, status = excluded.status, message = '', advice = '', cause = '',
    problems = NULL, sent_at = excluded.sent_at, seconds = excluded.seconds, before = coalesce(before, excluded.before),
    asked = excluded.asked, reported = excluded.reported
"""
"""Writes many rows at once, given as JSON: that they may be in flight (no kind), or that they were confirmed.

Each call of SQLite lets go of Python's lock and has to wait for it again, which beside a busy event loop takes longer
than the call. One call for all rows of a commit, which is the commit as well, makes the sending twice as fast."""
_SETTLED = """
INSERT INTO rows (commit_number, number, target, attempts, kind, status, message, advice, cause, problems, sent_at,
    seconds, before, asked, reported)
VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET commit_number = excluded.commit_number, attempts = excluded.attempts,
    kind = excluded.kind, status = excluded.status, message = excluded.message, advice = excluded.advice,
    cause = excluded.cause, problems = excluded.problems, sent_at = excluded.sent_at, seconds = excluded.seconds,
    before = coalesce(before, excluded.before), asked = excluded.asked, reported = excluded.reported
"""
_BEFORE = "UPDATE rows SET commit_number = ?, before = coalesce(before, ?) WHERE number = ?"
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
_APPLIED = """
SELECT number, kind, digest FROM rows
WHERE kind IN ('updated', 'unchanged') AND digest IS NOT NULL ORDER BY number LIMIT {}
"""
_OUTCOMES = """
SELECT number, kind, message, advice, cause, problems, status, earlier_attempts, attempts, sent_at, seconds,
    before, asked, reported
FROM rows ORDER BY number
"""
_PARTS = """
SELECT started_at, ended_at, requests, retries, elapsed_s, stopped, stop_message, stop_advice, results
FROM parts ORDER BY number
"""
_COUNTS = "SELECT kind, count(*) FROM rows GROUP BY kind"
_LAST_COMMIT = """
SELECT coalesce(max(last), 0) FROM (
    SELECT max(commit_number) AS last FROM rows UNION ALL SELECT max(commit_number) FROM names
    UNION ALL SELECT max(commit_number) FROM parts
)
"""
_NOTHING_KEPT = RecordSnapshots(None, None, None)
_GATHERED_FOR_S = 0.004
"""How long a commit waits for more to commit: it then serves all workers, and disturbs the event loop less often."""
_UNAWAITED_FOR_S = 0.1
"""How long outcomes that nobody waits for may gather; they have to be on disk within half a second of the answer."""
_DIGEST_BYTES = 16
_COUNTER = "-commits"
_COUNTER_BYTES = 8
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

    def __init__(self, rows: Iterable[_KnownRow]) -> None:
        """`rows` come by number. Raises DamagedJournalError."""
        self._numbers = array("q")
        self._states = bytearray()
        self._digests = bytearray()
        self.confirmed = 0
        for number, kind, digest in rows:
            state = _UNKNOWN if kind in {None, OutcomeKind.UNCONFIRMED} else kind in CONFIRMED
            if state == _KEPT and digest is None:
                raise DamagedJournalError(f"its row {number} is done, and it does not say by which request")
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
    """Rows for `_UPSERT_ROWS`, and who waits for them to be committed."""

    values: Sequence[tuple[object, ...]]
    committed: asyncio.Future[None] | None


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

    def __init__(self, path: Path, connection: sqlite3.Connection, counter: _Counter, earlier: EarlierRows) -> None:
        self._path = path
        self._connection = connection
        self._counter = counter
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
        draft = path.with_name(f"{path.name}-new")
        with _faults_named(path):
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with ExitStack() as undone:
            for made in (draft, path, *companions(path)):
                undone.callback(made.unlink, missing_ok=True)
            with _faults_named(path):
                _fill(draft, facts, started_at)
                counter = undone.enter_context(closing(_Counter.create(path, 0)))
                draft.rename(path)
                sync_folder(path.parent)
            connection = _opened(path)
            undone.pop_all()
        return cls(path, connection, counter, EarlierRows(()))

    @classmethod
    def reopen(cls, path: Path, started_at: datetime, *, reads_first: bool, **facts: object) -> Self:
        """Go on with the journal of a run that is resumed. Raises JournalError.

        `reads_first`: whether this part of the run reads each record before its update; a fact of that name says so of
        the part before. Further `facts` replace those of the same names.
        """
        with ExitStack() as undone, _faults_named(path):
            connection = undone.enter_context(closing(_opened(path)))
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_NEVER_SENT)
            connection.executemany(_FACT, _told({**facts, "reads_first": reads_first, _IS_OPEN: True}))
            earlier = EarlierRows(_known(connection))
            connection.execute(_COUNT_AS_EARLIER)
            connection.execute(_NEW_PART, (started_at.timestamp(),))
            counter = undone.enter_context(closing(_Counter.create(path, _last_commit(connection))))
            sync_folder(path.parent)
            connection.execute("COMMIT")
            # From now on the main file itself says that it may not be all.
            _checkpoint(connection)
            undone.pop_all()
        return cls(path, connection, counter, earlier)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is queued and close the file; if all was written, the main file then holds everything."""
        self._put_awaited(None)
        self._writer.join()
        is_closed = False
        if self._fault is None:
            with suppress(sqlite3.Error, OSError):  # it stays open then, beside its counter, and nothing is lost
                self._require_file()
                self._connection.execute(_FACT, (_IS_OPEN, json.dumps(False)))
                is_closed = True
        self._connection.close()  # which takes everything from the `-wal` into the main file, if nobody reads just now
        self._counter.close()
        if is_closed and not self._path.with_name(f"{self._path.name}-wal").exists():
            with suppress(OSError):  # what is too much says nothing wrong
                counter_of(self._path).unlink()

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
        row, kind, message, advice, cause, problems, status, attempts, sent_at, seconds, kept, _ = outcome
        if message or advice or cause or problems:
            self._writes.put(_Write(_SETTLED, _settled_values(outcome)))
            return
        sent = sent_at.timestamp() if sent_at else None
        values = (row, "", None, attempts, kind, status, sent, seconds, *(kept or _NOTHING_KEPT))
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

        A row without an outcome may have been in flight when the run ended: `unconfirmed`. Raises JournalError.
        """
        # On the writer's connection, which stays when the folder is removed; the writer has nothing to do meanwhile.
        with _faults_named(self._path, "read"):
            yield from _outcomes(self._connection)

    def allowed(self) -> tuple[AllowedList, ...]:
        """Return the valid names that are known, whichever part learned them. Call `flush` before.

        Raises JournalError.
        """
        with _faults_named(self._path, "read"):
            return _allowed(self._connection)

    def parts(self) -> tuple[Part, ...]:
        """Return every part of the run, this one included. Call `flush` before. Raises JournalError."""
        with _faults_named(self._path, "read"):
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
        """Write, commit and count. The order of rows does not matter, since a row is written once in a commit.

        It is: whoever writes that a row may be in flight waits for the commit before anything becomes of the row.
        """
        number = self._counter.commits + 1
        plain = _JSON.encode(
            [values for write in writes if isinstance(write, _Rows) for values in write.values]
        ).decode()
        others = [write for write in writes if isinstance(write, _Write)]
        if others:
            self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(_UPSERT_ROWS, (number, plain))
        for write in others:
            self._connection.execute(write.statement, (number, *write.values))
        if others:
            self._connection.execute("COMMIT")
        self._counter.count(number)

    def _require_file(self) -> None:
        """Raise OSError if the file is gone: the system would go on writing to it, and nobody could ever read it."""
        if _identity(self._path) != self._file:
            raise FileNotFoundError(errno.ENOENT, "it has been removed or replaced")


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Move what the write-ahead log holds into the main file. Raises sqlite3.OperationalError if a reader prevents it.

    Who has the main file alone then sees that the journal is open.
    """
    connection.execute("PRAGMA busy_timeout = 5000")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("another program is reading it")


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


def _told(facts: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    return ((name, json.dumps(value)) for name, value in facts.items())


def _fill(draft: Path, facts: Mapping[str, object], started_at: datetime) -> None:
    """Write a journal of a first part. Raises sqlite3.Error and OSError."""
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")  # it gets its name once it is whole, and not before
        connection.execute("BEGIN")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.executemany(_FACT, _told({**facts, _IS_OPEN: True}))
        connection.execute(_NEW_PART, (started_at.timestamp(),))
        connection.execute("COMMIT")


def _opened(path: Path) -> sqlite3.Connection:
    """Open a journal for writing. Raises JournalError."""
    with _faults_named(path), ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)))
        # WAL is not to be had on a network share; SQLite then stays with its rollback journal.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # The first access makes the `-shm` file: a disk that has no room for it is known before anything is sent.
        connection.execute("SELECT count(*) FROM run").fetchone()
        stack.pop_all()
    return connection


def _as_text(path: str) -> str:
    """Return a path as SQLite can hold it: on POSIX the bytes of a name need not be text."""
    return path.encode(errors="backslashreplace").decode()


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _faults_named(path: Path, refused: str = "written") -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"The journal {path} cannot be {refused}: {_why(error)}.") from error


class DamagedJournalError(Exception):
    """A journal cannot be relied on: nobody can tell from it which rows are done."""


class WithheldJournalError(DamagedJournalError):
    """A journal cannot be read where it lies, because the disk is full or read-only; it may be whole."""


_NO_ROOM = frozenset({
    sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_DIRECTORY,
})  # fmt: skip
"""SQLite's codes where the index of a write-ahead log, which reading needs too, can be neither made nor grown."""


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files that belong to a journal beside its main file, wherever they are there."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal", _COUNTER))


def counter_of(path: Path) -> Path:
    """Return where the counter of a journal is while that is open."""
    return path.with_name(path.name + _COUNTER)


class _Counter:
    """The number of the last commit, in a file beside the journal that a killed process leaves as it is."""

    def __init__(self, file: FileIO, commits: int) -> None:
        self._file = file
        self.commits = commits

    @classmethod
    def create(cls, path: Path, commits: int) -> Self:
        """Make the counter of a journal, or set the one that is there. Raises OSError."""
        flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0)
        file = open(os.open(counter_of(path), flags, 0o600), "r+b", buffering=0)  # noqa: PTH123, SIM115  (closed by `close`)
        counter = cls(file, commits)
        counter.count(commits)
        os.fsync(file.fileno())
        return counter

    def count(self, commits: int) -> None:
        """Write it, in one piece: a reader sees the number before or after. Raises OSError."""
        self._file.seek(0)
        self._file.write(commits.to_bytes(_COUNTER_BYTES, "little"))
        self.commits = commits

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()


def _counted(path: Path) -> int | None:
    """Return how many commits a journal must hold; None if it has no counter. Raises DamagedJournalError."""
    try:
        with counter_of(path).open("rb") as file:
            content = file.read(_COUNTER_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) != _COUNTER_BYTES:
        raise DamagedJournalError(f"its counter {counter_of(path).name} is damaged")
    return int.from_bytes(content, "little")


def is_left_alone(path: Path) -> bool:
    """Whether a journal is gone from beside files that it had. Raises DamagedJournalError, OSError."""
    _require_files(path)
    return bool(_counted(path)) or any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal"))


def _require_files(path: Path) -> None:
    """Raise DamagedJournalError unless each file of a journal is a file: SQLite would wait for a pipe for ever."""
    for file in (path, *companions(path)):
        with suppress(FileNotFoundError):
            mode = file.lstat().st_mode
            if not stat.S_ISREG(mode):
                kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
                raise DamagedJournalError(f"{file.name} is {kind}, not a file")


_T = TypeVar("_T")
_LATEST_S = 32_503_680_000
"""The year 3000: every time zone can show it."""
_Moment = Annotated[float, msgspec.Meta(ge=0, le=_LATEST_S)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LATEST_S)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
_Digest = Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{2 * _DIGEST_BYTES}}}$")]
_Text = Annotated[str, msgspec.Meta(max_length=1_000_000)]
"""Far longer than any words that are written."""


class _KnownRow(NamedTuple):
    """A record of `_KNOWN`."""

    number: _RowNumber
    kind: OutcomeKind | None
    digest: _Digest | None


class _Record(NamedTuple):
    """A record of `_OUTCOMES`."""

    number: _RowNumber
    kind: OutcomeKind | None
    message: _Text | None
    advice: _Text | None
    cause: _Text | None
    problems: _Text | None
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None
    earlier_attempts: _Count
    attempts: _Count
    sent_at: _Moment | None
    seconds: _Seconds | None
    before: str | None
    asked: str | None
    reported: str | None


class _PartRecord(NamedTuple):
    """A record of `_PARTS`."""

    started_at: _Moment
    ended_at: _Moment | None
    requests: _Count | None
    retries: _Count | None
    elapsed_s: _Seconds | None
    stopped: StopReason | None
    stop_message: _Text | None
    stop_advice: _Text | None
    results: _Text | None


class _NamesRecord(NamedTuple):
    field: str
    depends_on: str
    list: str


class _KindCount(NamedTuple):
    kind: OutcomeKind | None
    count: _Count  # type: ignore[assignment]  # a tuple has a method of that name


class _FactRecord(NamedTuple):
    name: str
    value: str


def _converted(value: object, kind: type[_T], what: str, hook: Callable[[Any, object], object] | None = None) -> _T:
    """Return what a journal holds as the record that it must be. Raises DamagedJournalError.

    The one place through which everything goes that is read.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise DamagedJournalError(f"{what} holds what is never written there ({error})") from error


def from_facts(facts: Mapping[str, object], kind: type[_T]) -> _T:
    """Return the facts about a run as the record that they must be. Raises DamagedJournalError."""
    return _converted(facts, kind, "its table run", lambda section, value: section.model_validate(value))


def _parsed(text: str, what: str) -> object:
    # The standard library's: names of files may hold half a surrogate, which stands for a byte that is no text.
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedJournalError(f"{what} holds what is no JSON") from error


def _records(connection: sqlite3.Connection, statement: str, kind: type[_T], table: str) -> Iterator[_T]:
    what = f"its table {table}"
    for record in connection.execute(statement):
        yield _converted(record, kind, what)


def _outcome(record: _Record) -> Outcome:
    attempts = record.earlier_attempts + record.attempts
    if record.kind is None:
        return Outcome(
            row=record.number,
            kind=OutcomeKind.UNCONFIRMED,
            message="The run ended while this row was on its way; whether it was applied is unknown.",
            advice="Run again to settle it.",
            cause="ended while on its way",
            attempts=attempts,
        )
    if record.message is None or record.advice is None or record.cause is None:
        raise DamagedJournalError(f"its row {record.number} has an outcome without words")
    what = f"its row {record.number}"
    problems = _converted(_parsed(record.problems, what), tuple[Problem, ...], what) if record.problems else ()
    return Outcome(
        row=record.number,
        kind=record.kind,
        message=record.message,
        advice=record.advice,
        cause=record.cause,
        problems=problems,
        status=record.status,
        attempts=attempts,
        sent_at=None if record.sent_at is None else datetime.fromtimestamp(record.sent_at, UTC),
        seconds=record.seconds,
        kept=_kept(record),
    )


def _kept(record: _Record) -> RecordSnapshots | None:
    kept = RecordSnapshots(record.before, record.asked, record.reported)
    return None if kept == _NOTHING_KEPT else kept


def _outcomes(connection: sqlite3.Connection) -> Iterator[Outcome]:
    return map(_outcome, _records(connection, _OUTCOMES, _Record, "rows"))


def _known(connection: sqlite3.Connection) -> Iterator[_KnownRow]:
    return _records(connection, _KNOWN, _KnownRow, "rows")


def _allowed(connection: sqlite3.Connection) -> tuple[AllowedList, ...]:
    what = "its table names"
    statement = "SELECT field, depends_on, list FROM names ORDER BY rowid"
    return tuple(
        AllowedList(
            record.field,
            _converted(_parsed(record.depends_on, what), tuple[tuple[str, str], ...], what),
            _converted(_parsed(record.list, what), tuple[AllowedValue, ...], what),
        )
        for record in _records(connection, statement, _NamesRecord, "names")
    )


def _parts(connection: sqlite3.Connection) -> tuple[Part, ...]:
    return tuple(
        Part(
            datetime.fromtimestamp(started_at, UTC),
            None if ended_at is None else datetime.fromtimestamp(ended_at, UTC),
            requests or 0, retries or 0, elapsed_s or 0.0, *ending,
        )
        for started_at, ended_at, requests, retries, elapsed_s, *ending in _records(
            connection, _PARTS, _PartRecord, "parts"
        )
    )  # fmt: skip


def _last_commit(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute(_LAST_COMMIT).fetchone()
    return _converted(last, _Count, "the number of its last commit")


@contextmanager
def journal_reader(path: Path) -> Iterator[JournalReader]:
    """Open the journal of any run for reading. Raises DamagedJournalError, OSError if the system withholds it."""
    _require_files(path)
    if not path.stat().st_size:
        raise DamagedJournalError("it is empty")
    counted = _counted(path)  # before the journal: of one that is being written, the counter is the older then
    try:
        with closing(_opened_for_reading(path)) as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != _FORMAT:
                raise DamagedJournalError(f"it is of the format {found}, and this program writes and reads {_FORMAT}")
            yield JournalReader(path, connection, counted)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in _NO_ROOM:
            raise WithheldJournalError(f"{error}, as on a disk that is full or read-only") from error
        raise DamagedJournalError(str(error)) from error


def _opened_for_reading(path: Path) -> sqlite3.Connection:
    """Open a journal for reading, also where no index of a write-ahead log can be made. Raises sqlite3.Error.

    One that was closed has no such log, and is read as it lies there.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode not in _NO_ROOM or path.with_name(f"{path.name}-wal").exists():
            raise
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    return connection


class JournalReader:
    """What a journal says, without writing to it; within `journal_reader` every method raises DamagedJournalError."""

    def __init__(self, path: Path, connection: sqlite3.Connection, counted: int | None) -> None:
        self._path = path
        self._connection = connection
        self._counted = counted

    def require_all_commits(self) -> None:
        """Check that it holds every commit of which anybody was told: the head of this module says how."""
        is_open = self.facts().get(_IS_OPEN) is not False
        if is_open and self._counted is None and _counted(self._path) is None:
            raise DamagedJournalError(
                f"it was not closed, and {counter_of(self._path).name}, which tells whether it is all there, is gone"
            )
        last = _last_commit(self._connection)
        if self._counted is not None and self._counted > last:
            raise DamagedJournalError(
                f"it ends after commit {last:,} of {self._counted:,}, as where the file {self._path.name}-wal is lost"
            )

    def require_whole(self) -> None:
        """Check every page of the file and every record in it; takes some 10 us a row."""
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedJournalError(str(found))
        self.require_all_commits()
        self.earlier_rows()
        self.allowed()
        for outcome in self.outcomes():
            if outcome.kept:
                _require_json(outcome.row, outcome.kept)

    def require_rows_of(self, numbers: Container[int]) -> None:
        """Check that every row is one of those of the input."""
        for row in _known(self._connection):
            if row.number not in numbers:
                raise DamagedJournalError(f"it holds row {row.number}, which the input does not have")

    def facts(self) -> dict[str, object]:
        """Return the facts about the run."""
        facts = _records(self._connection, "SELECT name, value FROM run", _FactRecord, "run")
        return {name: _parsed(value, "its table run") for name, value in facts}

    def parts(self) -> tuple[Part, ...]:
        """Return every part of the run, by time."""
        return _parts(self._connection)

    def counts(self) -> dict[OutcomeKind, int]:
        """Return how many rows have each outcome, of those that were about to be sent."""
        counts: dict[OutcomeKind, int] = {}
        for kind, count in _records(self._connection, _COUNTS, _KindCount, "rows"):
            known = OutcomeKind.UNCONFIRMED if kind is None else kind
            counts[known] = counts.get(known, 0) + count
        return counts

    def earlier_rows(self) -> EarlierRows:
        """Return what is known of every row, in little memory."""
        return EarlierRows(_known(self._connection))

    def applied(self, most: int = -1) -> Iterator[tuple[int, bytes]]:
        """Yield the rows whose records hold what was asked, by number, with their requests' digests; `most` at most."""
        for row in _records(self._connection, _APPLIED.format(most), _KnownRow, "rows"):
            yield row.number, bytes.fromhex(row.digest or "")

    def last_heard_at(self) -> datetime | None:
        """Return when the last answer came, UTC; None if none did. Call `require_whole` before."""
        (at,) = self._connection.execute("SELECT max(sent_at + coalesce(seconds, 0)) FROM rows").fetchone()
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what is known of every row that was about to be sent, by row number."""
        return _outcomes(self._connection)

    def allowed(self) -> tuple[AllowedList, ...]:
        """Return the valid names that were learned."""
        return _allowed(self._connection)


def _require_json(row: int, kept: RecordSnapshots) -> None:
    """Raise DamagedJournalError unless what was kept is JSON: records, and of what came back anything."""
    try:
        are_records = all(isinstance(from_json(text), dict) for text in (kept.before, kept.asked) if text is not None)
        if kept.reported is not None:
            from_json(kept.reported)
    except ValueError:
        are_records = False
    if not are_records:
        raise DamagedJournalError(f"its row {row} holds what is no record in JSON")
