"""What a run learns about its rows, written to its database by one thread.

A row that may be in flight is on disk before it is sent; its outcome follows within one commit. Callers on the event
loop await only the commit that they need: whatever has gathered meanwhile is committed together, so that the cost of
an fsync is shared by all workers.
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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from batch_updater.endpoint.request import Prepared
from batch_updater.errors import StoreError
from batch_updater.files.writing import sync_folder
from batch_updater.records import AllowedList, Attempt, Outcome, OutcomeKind
from batch_updater.reporter.summary_view import SummaryView
from batch_updater.runs import statements
from batch_updater.runs.encoding import encode_problems
from batch_updater.runs.store import (
    IS_OPEN,
    NO_SNAPSHOTS,
    REPORT,
    CommitCounter,
    Part,
    Store,
    as_record,
    companions,
    counter_of,
    faults_named,
)

_GATHERED_FOR_S = 0.004
"""How long a commit waits for more to commit: it then serves all workers, and disturbs the event loop less often."""
_UNAWAITED_FOR_S = 0.1
"""How long outcomes that no one waits for may gather; they have to be on disk within half a second of the answer."""
_encode = msgspec.json.Encoder().encode
"""Keeps Python's lock for a fifth of the time that the standard library's takes."""


class Write(NamedTuple):
    """Statements of one commit with the values of them all."""

    statements: Sequence[str]
    values: Mapping[str, object]


class Many(NamedTuple):
    """Records of a statement that takes those of a whole commit, shorter where the rest is NULL."""

    statement: str
    records: Sequence[tuple[object, ...]]
    committed: asyncio.Future[None] | None = None


def sorted_writes(
    writes: Iterable[Many | Write],
) -> tuple[dict[str, list[tuple[object, ...]]], list[tuple[str, Mapping[str, object]]]]:
    """Return the records of each statement that takes many, and the other statements with their values."""
    batches: dict[str, list[tuple[object, ...]]] = {}
    others: list[tuple[str, Mapping[str, object]]] = []
    for write in writes:
        if isinstance(write, Many):
            batches.setdefault(write.statement, []).extend(write.records)
        else:
            others += [(statement, write.values) for statement in write.statements]
    return batches, others


def as_batch(records: Sequence[tuple[object, ...]]) -> str:
    """Return records as a statement takes those of a whole commit."""
    return _encode(records).decode()


class RowWriter:
    """Gathers what is learned of rows and commits it together, in a thread of its own.

    The asynchronous methods belong to one event loop. Raises StoreError from every method once nothing can be written
    any more: then nothing more may be sent.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        """For reading: on the writer's connection. Call `flush` before."""
        self.taught: list[AllowedList] = []
        """Lists of valid names that answers have taught since the writer began."""
        # Without a bound, but never long: every row waits for its first commit, and a worker has one row at a time.
        self._writes: queue.SimpleQueue[Many | Write | threading.Event | None] = queue.SimpleQueue()
        self._fault: StoreError | None = None
        self._awaited = threading.Event()
        """Set when someone waits for what was queued."""
        self._writer = threading.Thread(target=self._write_all, name="run writer", daemon=True)

    def _save(self, writes: Sequence[Many | Write]) -> StoreError | None:
        """Commit writes; returns why nothing can be written any more. Runs in the writer's thread."""
        raise NotImplementedError

    def flush(self) -> None:
        """Return when everything queued so far is in the database. Raises StoreError."""
        flushed = threading.Event()
        self._put_awaited(flushed)
        flushed.wait()
        self.require_writable()

    def require_writable(self) -> None:
        """Raise StoreError if nothing can be written any more."""
        if self._fault:
            raise self._fault

    async def will_send(self, batch: Sequence[Prepared]) -> None:
        """Return when the database holds that these rows may be in flight. Raises StoreError.

        Once for each row: repeats find it in flight already, and its count of attempts comes with its outcome.
        """
        self.require_writable()
        committed = asyncio.get_running_loop().create_future()
        self._put_awaited(Many(statements.WRITE_MANY, [(job.row, None, 1) for job, _ in batch], committed))
        await committed

    def settle(self, outcome: Outcome) -> None:
        """Queue a row's outcome for the next commit. Raises StoreError if an earlier one could not be written."""
        self.require_writable()
        sent_at = outcome.sent_at.timestamp() if outcome.sent_at else None
        kept = outcome.kept or NO_SNAPSHOTS
        refused_late = outcome.kind is OutcomeKind.REJECTED and outcome.maybe_applied
        maybe_applied = refused_late or outcome.kind is OutcomeKind.UNCONFIRMED
        if not (outcome.message or outcome.advice or outcome.cause or outcome.problems or maybe_applied):
            record = (
                outcome.row, outcome.kind, outcome.attempts, outcome.status, sent_at, outcome.seconds, kept.before,
                kept.reported,
            )  # fmt: skip
            self._writes.put(Many(statements.WRITE_MANY, (record,)))
            return
        self._writes.put(Write((statements.SETTLE,), {
            "row": outcome.row, "kind": outcome.kind.value, "tries": outcome.attempts, "http": outcome.status,
            "said": outcome.message, "remedy": outcome.advice, "why": outcome.cause,
            "found": encode_problems(outcome.problems), "at": sent_at, "took": outcome.seconds, "record": kept.before,
            "answer": kept.reported, "doubt": maybe_applied,
        }))  # fmt: skip

    def attempted(self, made: Attempt) -> None:
        """Queue what is kept of an attempt, if that is anything."""
        if (details := made.details) is None:
            return
        if details.message or details.answer is not None:
            self._writes.put(Write((statements.KEEP_ATTEMPT,), {
                "of_row": made.row, "nth": made.number, "verb": details.method, "at": details.sent_at.timestamp(),
                "wait": details.wait_s, "took": details.took_s, "http": made.status, "meaning": made.why,
                "said": details.message, "text": details.answer,
            }))  # fmt: skip
        else:
            record = (
                made.row, made.number, details.method, details.sent_at.timestamp(), details.wait_s, details.took_s,
                made.status, made.why,
            )  # fmt: skip
            self._writes.put(Many(statements.KEEP_FINE_ATTEMPTS, (record,)))

    async def will_change(self, row: int, before: str, read: Attempt | None = None) -> None:
        """Return when the database holds what a record was before its update. Raises StoreError.

        `read`: the attempt that has read it, if that is not kept yet.
        """
        self.require_writable()
        if read is not None:
            self.attempted(read)
        committed = asyncio.get_running_loop().create_future()
        self._put_awaited(Many(statements.KEEP_BEFORE, ((row, before),), committed))
        await committed

    def learned(self, names: AllowedList) -> None:
        """Queue valid names that an answer taught."""
        self.taught.append(names)
        self._writes.put(Write((statements.LEARN,), as_record(names)))

    def _put_awaited(self, write: Many | threading.Event | None) -> None:
        self._writes.put(write)
        self._awaited.set()

    def _write_all(self) -> None:
        """Commit what has gathered, again and again, until None is taken. Runs in the writer's thread."""
        ended = False
        while not ended:
            batch = [self._writes.get()]
            if isinstance(batch[0], tuple):
                self._awaited.wait(_UNAWAITED_FOR_S)
                time.sleep(_GATHERED_FOR_S)
            self._awaited.clear()
            batch += [self._writes.get_nowait() for _ in range(self._writes.qsize())]
            self._commit([write for write in batch if isinstance(write, (Many, Write))])
            for flushed in batch:
                if isinstance(flushed, threading.Event):
                    flushed.set()
            ended = None in batch

    def _commit(self, writes: list[Many | Write]) -> None:
        if self._fault is None and writes:
            self._fault = self._save(writes)
        waiting = [one.committed for one in writes if isinstance(one, Many) and one.committed is not None]
        if waiting:
            waiting[0].get_loop().call_soon_threadsafe(_release, waiting, self._fault)


class RunWriter(RowWriter):
    """The database of a run that is going on; a context manager that closes it.

    `store` stays readable when the folder is removed. What the methods raise is a fault of the file.
    """

    def __init__(self, path: Path, store: Store, counter: CommitCounter) -> None:
        super().__init__(store)
        self._path = path
        self._connection = store.sqlite
        self._counter = counter
        self._file = _file_identity(path)
        self._writer.start()

    @classmethod
    def begin(cls, store: Store, path: Path, facts: Mapping[str, object], started_at: datetime) -> Self:
        """Make a draft the database of a new run: it is there with all its facts, or not at all. Raises StoreError."""
        draft = store.path or path
        with ExitStack() as undone:
            for made in (path, *companions(path)):
                undone.callback(made.unlink, missing_ok=True)
            with faults_named(path):
                with store.transaction():
                    store.set_facts({**facts, IS_OPEN: True})
                    store.executemany(statements.NEW_PART, [{"started_at": started_at.timestamp()}])
                store.close()
                _sync(draft)
                counter = undone.enter_context(closing(CommitCounter.create(path, 0)))
                draft.rename(path)
                sync_folder(path.parent)
                store.open_for_writing(path)
            undone.pop_all()
        return cls(path, store, counter)

    @classmethod
    def resume(cls, path: Path, facts: Mapping[str, object], started_at: datetime) -> Self:
        """Open the database of a run that is resumed; `facts` replace those of the same names. Raises StoreError.

        The fact `reads_first` still says of the part before whether it read each record before its update.
        """
        with ExitStack() as undone, faults_named(path):
            store = undone.enter_context(Store.writing(path))
            with store.transaction():
                store.make_ready()
                store.set_facts({**facts, IS_OPEN: True})
                store.executemany(statements.NEW_PART, [{"started_at": started_at.timestamp()}])
                counter = undone.enter_context(closing(CommitCounter.create(path, store.last_commit())))
                sync_folder(path.parent)
            # From now on the main file itself says that it may not be all.
            _checkpoint(store.sqlite)
            undone.pop_all()
        return cls(path, store, counter)

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
                self.store.set_facts({IS_OPEN: False})
                is_closed = True
        self._connection.close()  # which takes everything from the `-wal` into the main file, if no one reads just now
        self._counter.close()
        if is_closed and not self._path.with_name(f"{self._path.name}-wal").exists():
            with suppress(OSError):  # what is too much says nothing wrong
                counter_of(self._path).unlink()

    def end_part(self, part: Part, view: SummaryView | None = None) -> None:
        """Queue how this part of the run ended, and what its report says; None: there is no report."""
        report = json.dumps(msgspec.to_builtins(view))
        values = {"name": REPORT, "value": report, **part_record(part)}
        self._writes.put(Write((statements.SET_FACT, statements.END_PART), values))

    def close_run(self, part: Part) -> None:
        """Queue that the run is closed by a part which does nothing else: all of it is one commit.

        Rows that are not done count as not sent.
        """
        self._writes.put(closing_write(part))

    def _save(self, writes: Sequence[Many | Write]) -> StoreError | None:
        try:
            self._require_file()
            self._execute(writes)
        except (sqlite3.Error, OSError, UnicodeEncodeError) as error:  # the last: bytes of a name that are no text
            why = getattr(error, "strerror", None) or error
            if self._connection.in_transaction:
                self._connection.rollback()
            return StoreError(f"The run's database {self._path} cannot be written: {why}.")
        return None

    def _execute(self, writes: Sequence[Many | Write]) -> None:
        """Write, commit and count. The order of rows does not matter, since a row is written once in a commit.

        It is: nothing becomes of a row before the commit that says that it may be in flight.
        """
        number = self._counter.commits + 1
        batches, others = sorted_writes(writes)
        is_one = len(batches) == 1 and not others  # and is a commit by itself
        if not is_one:
            self._connection.execute("BEGIN IMMEDIATE")
        for statement, records in batches.items():
            self._connection.execute(statement, {"commit": number, "batch": as_batch(records)})
        for statement, values in others:
            self._connection.execute(statement, {"commit": number, **values})
        if not is_one:
            self._connection.execute("COMMIT")
        self._counter.count(number)

    def _require_file(self) -> None:
        """Raise OSError if the file is gone: the system would go on writing to it, and no one could ever read it."""
        if _file_identity(self._path) != self._file:
            raise FileNotFoundError(errno.ENOENT, "it has been removed or replaced")


def closing_write(part: Part) -> Write:
    """Return what closes a run, by a part which does nothing else."""
    closed_at = {"name": "closed_at", "value": json.dumps(part.started_at.isoformat())}
    every = (*statements.in_order("CLOSE"), statements.SET_FACT, statements.END_PART)
    return Write(every, {**closed_at, **part_record(part)})


def part_record(part: Part) -> dict[str, object]:
    """Return how a part of a run ended as `statements.END_PART` takes it."""
    values = part._asdict()
    del values["started_at"]
    values["ended_at"] = part.ended_at.timestamp() if part.ended_at else None
    values["results"] = part.results and part.results.encode(errors="backslashreplace").decode()
    values["counts"] = None if part.counts is None else json.dumps(part.counts)
    return {f"new_{name}": value for name, value in values.items()}


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Move what the write-ahead log holds into the main file. Raises sqlite3.OperationalError if a reader prevents it.

    Who has the main file alone then sees that the database is open.
    """
    connection.execute("PRAGMA busy_timeout = 5000")
    (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError("another program is reading it")


def _release(waiting: list[asyncio.Future[None]], fault: StoreError | None) -> None:
    for committed in waiting:
        if committed.done():  # its task was cancelled
            continue
        if fault is None:
            committed.set_result(None)
        else:
            committed.set_exception(fault)


def _file_identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
