"""The database of one run, `run.sqlite` in its folder: what is read from it, and what is written while nothing is sent.

Most of an open database is in SQLite's `-wal` file, and SQLite takes a `-wal` that is lost, cut or garbled for one that
holds less. Two things tell that commits are missing. The main file says that the database is open from before the
first row is sent until everything is in that one file. And every commit has a number, which its rows carry, and which
is in the counter file beside the database before the commit counts as done. A reader refuses an open database without
its counter, and one that ends before the commit that its counter names. The counter is never ahead of the database: it
is written after the commit, so a killed process leaves it behind by one commit at most, which no one relies on yet;
after a crash of the machine it may be further behind, for it is not synced while the commits are.

What a person or another program has put into a database is refused where it is read: every record is converted to the
type that this program writes.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from heapq import merge
from io import FileIO
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self, TypeVar

import msgspec
from msgspec.structs import asdict, replace

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.exact_json import from_json
from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.errors import StoreError
from batch_updater.records import (
    AllowedList,
    AllowedValue,
    Cell,
    Expected,
    ExpectedValue,
    Job,
    Outcome,
    OutcomeKind,
    RecordSnapshots,
    StopReason,
)
from batch_updater.runs import statements
from batch_updater.runs.encoding import UndecodableError, decode_cells, decode_fields, decode_problems
from batch_updater.text.typed_values import typed

IS_OPEN = "is_open"
"""Name of the fact whether commits may have been made that are not in the main file."""
REPORT = "report"
"""Name of the fact what the report of the last part says that came to its end: a `SummaryView`."""
_BATCH = 500
BEFORE_ALL_ROWS = -1
"""No row has this number or one below it."""
_OLDEST_SQLITE = (3, 33)
"""The first that knows UPDATE ... FROM."""
_COUNTER = "-commits"
_COUNTER_BYTES = 8
_T = TypeVar("_T")


class DamagedStoreError(Exception):
    """A database cannot be relied on: it does not tell which rows are done."""


class OtherFormatError(DamagedStoreError):
    """A database is of another version of the program."""


class WithheldStoreError(DamagedStoreError):
    """A database cannot be read where it lies, because the disk is full or read-only; it may be whole."""


_NO_ROOM = frozenset({
    sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_DIRECTORY,
})  # fmt: skip
"""SQLite's codes where the index of a write-ahead log, which reading needs too, can be neither made nor grown."""


class Cursor(Protocol):
    """The records of one statement, as those of `sqlite3`."""

    def fetchone(self) -> Any: ...  # noqa: D102
    def fetchmany(self, size: int, /) -> list[Any]: ...  # noqa: D102
    def fetchall(self) -> list[Any]: ...  # noqa: D102
    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...  # noqa: D102


class Connection(Protocol):
    """What a store asks of a connection: one of `sqlite3`, or one to a team's database.

    Statements are named by their texts for SQLite. Every method raises one of `database_errors`.
    """

    @property
    def in_transaction(self) -> bool: ...  # noqa: D102
    def execute(self, statement: str, values: Mapping[str, object] = ..., /) -> Cursor: ...  # noqa: D102
    def executemany(self, statement: str, records: Iterable[Mapping[str, object]], /) -> object: ...  # noqa: D102
    def rollback(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def database_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return what a connection raises, and others: psycopg is imported where there is a team, and only there."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error, *others) if psycopg is None else (sqlite3.Error, psycopg.Error, *others)


def reason_of(error: Exception) -> str:
    """Return why a database was not read or written, without names of hosts, users and databases."""
    if isinstance(error, (sqlite3.Error, OSError)):
        return str(getattr(error, "strerror", None) or error)
    if primary := getattr(getattr(error, "diag", None), "message_primary", None):
        return str(primary)
    # libpq has a line for each host that it tried, such as: connection to server at "db", port 5432 failed: reason
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(("\t", "Multiple"))]
    reasons = dict.fromkeys(line.rpartition(" failed: ")[2].strip().rstrip(".") for line in lines)
    return _QUOTED.sub("…", "; ".join(reasons)) or type(error).__name__


_QUOTED = re.compile(r"""(["']).*?\1""")
"""Names in what libpq says of a connection that failed."""

# --- the records that are read ---------------------------------------------------------------------------------------

_LATEST_S = 32_503_680_000
"""The year 3000: every time zone can show it."""
_Time = Annotated[float, msgspec.Meta(ge=0, le=_LATEST_S)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LATEST_S)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
_Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
_Text = Annotated[str, msgspec.Meta(max_length=1_000_000)]
"""Far longer than any sentence that is written."""


class StoredRow(NamedTuple):
    """A row of the table with its one outcome."""

    number: int
    target: str
    """'' where the row does not say which record it is about."""
    cells: list[Cell]
    """As they stood in the file, without blank ones at the end."""
    stored_fields: str | None
    """None unless the row can be sent, or another one has the same target."""
    outcome: Outcome
    is_good: bool
    """Whether it can be sent as it is, whether or not it has been by now."""
    is_repeated: bool
    """Whether another row has the same target."""

    @property
    def job(self) -> Job:
        """The row as a job; of a good one. Raises DamagedStoreError."""
        try:
            return Job(self.number, self.target, decode_fields(self.stored_fields or ""))
        except UndecodableError as error:
            raise _undecodable(self.number, error) from error


class _RowRecord(NamedTuple):
    """A record of `statements.ROWS`."""

    number: _RowNumber
    state: Literal["invalid", "ready", "in_flight", "finished"]
    kind: OutcomeKind
    waits_for: _RowNumber | None
    is_repeated: _Flag
    maybe_applied: _Flag
    attempts: _Count
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None
    sent_at: _Time | None
    seconds: _Seconds | None
    target: str | None
    cells: str
    fields: str | None
    body: str | None
    problems: _Text | None
    message: _Text | None
    advice: _Text | None
    cause: _Text | None
    before: str | None
    reported: str | None


class _JobRecord(NamedTuple):
    number: _RowNumber
    target: str
    fields: str
    path: str
    query: str
    body: str
    maybe_applied: _Flag
    place: _RowNumber | None


def _job_record(record: object) -> _JobRecord:
    return converted(record, _JobRecord, "its table rows")


class RequestTexts(NamedTuple):
    """What differs between the requests of an endpoint."""

    path: str
    query: str
    body: str


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
    counts: Mapping[OutcomeKind, int] | None = None
    """How many rows have each outcome at its end; None before."""


class _PartRecord(NamedTuple):
    started_at: _Time
    ended_at: _Time | None
    requests: _Count | None
    retries: _Count | None
    elapsed_s: _Seconds | None
    stopped: StopReason | None
    stop_message: _Text | None
    stop_advice: _Text | None
    results: _Text | None
    counts: str | None


class StoredAttempt(NamedTuple):
    """One attempt at a row, as far as it is known."""

    part: int
    """Of the run, from 1."""
    number: int
    """From 1 in each part."""
    method: str | None
    sent_at: datetime | None
    wait_s: float | None
    """Since the attempt before it had ended."""
    seconds: float | None
    """How long it took."""
    status: int | None
    why: str
    """What it meant, as in the log."""
    message: str | None = None
    answer: str | None = None


class _AttemptRecord(NamedTuple):
    part: _Count
    number: _Count
    method: str | None
    sent_at: _Time | None
    wait_s: _Seconds | None
    seconds: _Seconds | None
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] | None
    why: _Text
    message: _Text | None
    answer: _Text | None


class _NamesRecord(NamedTuple):
    field: str
    depends_on: str
    list: str


def converted(value: object, kind: type[_T], what: str, hook: Callable[[Any, object], object] | None = None) -> _T:
    """Return what a database holds as the record that it must be. Raises DamagedStoreError."""
    try:
        return typed(value, kind, hook)
    except msgspec.ValidationError as error:
        raise DamagedStoreError(f"{what} holds what is never written there ({error})") from error


def _parsed(text: str, what: str) -> object:
    # The standard library's: names of files may hold half a surrogate, which is a byte that is no text.
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedStoreError(f"{what} holds what is no JSON") from error


class Store:
    """The database of one run, over one connection. Every reading method raises DamagedStoreError."""

    def __init__(self, connection: Connection, path: Path | None, counted: int | None = None) -> None:
        """`path` is None for a temporary one; `counted`: how many commits it must hold, where that is known."""
        self.connection = connection
        self.path = path
        self._counted = counted

    @classmethod
    def temporary(cls) -> Self:
        """Return an empty store that SQLite keeps in a temporary file of its own, for as long as it is open."""
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False, uri=True)
        return cls(_filled(connection), None)

    @classmethod
    def draft(cls, path: Path) -> Self:
        """Make the store of a run that may begin, under another name until then. Raises StoreError."""
        draft = draft_of(path)
        with faults_named(path):
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with ExitStack() as on_error:
                connection = on_error.enter_context(closing(sqlite3.connect(
                    draft.absolute().as_uri(), isolation_level=None, check_same_thread=False, uri=True
                )))  # fmt: skip
                store = cls(_filled(connection), draft)
                on_error.pop_all()
            return store

    @classmethod
    def reading(cls, path: Path) -> Store:
        """Open a run's database for reading. Raises one of `database_errors`, OSError if it is not there."""
        if teams := _teams.get(path.parent.parent):
            return teams[-1](path)
        return cls(_opened_for_reading(path), path)

    @classmethod
    def writing(cls, path: Path) -> Self:
        """Open a run's database for writing. Raises sqlite3.Error."""
        store = cls(sqlite3.connect(":memory:"), path)
        store.open_for_writing(path)
        return store

    def open_for_writing(self, path: Path) -> None:
        """Open a run's database in place of the one before. Raises sqlite3.Error."""
        with ExitStack() as stack:
            connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            stack.callback(connection.close)
            # SQLite has no write-ahead log on a network share; it then stays with its rollback journal.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # The first access makes the `-shm` file: a disk that has no room for it is known before anything is sent.
            connection.execute("SELECT count(*) FROM run").fetchone()
            stack.pop_all()
        self.connection.close()
        self.connection, self.path = connection, path

    @property
    def sqlite(self) -> sqlite3.Connection:
        """Its connection, of a store that is a file."""
        if not isinstance(self.connection, sqlite3.Connection):
            raise TypeError("the rows of this store are in a team's database")
        return self.connection

    @property
    def has_write_ahead_log(self) -> bool:
        """Whether others may read it while it is written, without keeping the writer waiting."""
        (mode,) = self.execute("PRAGMA journal_mode").fetchone()
        return str(mode) == "wal"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything that follows at once, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # on a full disk SQLite has gone back by itself
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()

    def __enter__(self) -> Self:
        """Close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading ---

    def facts(self) -> dict[str, object]:
        """Return the facts about the run, without what the input holds."""
        return facts_in(self.execute(statements.FACTS))

    def fact(self, name: str) -> object:
        """Return one fact; None if there is none of that name."""
        found = self.execute(statements.FACT, name=name).fetchone()
        return None if found is None else _parsed(converted(found[0], str, "its table run"), "its table run")

    def parts(self) -> tuple[Part, ...]:
        """Return every part of the run, by time."""
        return parts_in(self.execute(statements.PARTS))

    def counts(self, unsent: OutcomeKind) -> dict[OutcomeKind, int]:
        """Return how many rows have each outcome."""
        found = {
            converted(kind, OutcomeKind, "its table rows"): n
            for kind, n in self.execute(statements.COUNTS, unsent=unsent)
        }
        return {kind: found.get(kind, 0) for kind in OutcomeKind}

    def rows(
        self, unsent: Outcome, statement: str = statements.ROWS, after: int = BEFORE_ALL_ROWS
    ) -> Iterator[StoredRow]:
        """Yield rows with their outcomes, by number, those behind the row `after`.

        `unsent` is the outcome of a row that had no turn. With `statements.ROWS_TO_FIX` only rows that someone or
        another run has still to deal with.
        """
        for record in self.execute(statement, unsent=unsent.kind, after=after):
            yield _stored_row(converted(record, _RowRecord, "its table rows"), unsent)

    def final_rows(self, after: int = BEFORE_ALL_ROWS) -> Iterator[StoredRow]:
        """Yield the rows behind the row `after` up to the first whose outcome this part of the run may still change.

        At most a batch, read before the first is yielded: the write-ahead log grows for as long as someone reads.
        """
        unsent = Outcome(0, OutcomeKind.NOT_SENT)
        with closing(self.execute(statements.ROWS, unsent=unsent.kind, after=after)) as cursor:
            records = cursor.fetchmany(_BATCH)
        for values in records:
            record = converted(values, _RowRecord, "its table rows")
            if record.state in {"ready", "in_flight"} and record.waits_for is None:
                return
            yield _stored_row(record, unsent)

    def jobs(self, endpoint: Endpoint, limit: int | None = None, block: int | None = None) -> Iterator[Prepared]:
        """Yield the jobs that are to be sent and their requests, in file order; what is done counts towards a limit.

        A row that was added on the sheet To fix comes behind the row that it is below. `block`: only those of a part of
        a team's run, whatever the limit, which has counted when the run was cut. Raises StoreError.
        """
        builder = RequestBuilder(endpoint)
        of: dict[str, object] = {"limit": limit} if block is None else {"block": block}
        added_jobs = statements.ADDED_JOBS if block is None else statements.BLOCK_ADDED_JOBS
        try:
            added = self.execute(added_jobs, **of).fetchall()
            records = (map(_job_record, some) for some in (self._job_records(of), added))
            for row in merge(*records, key=lambda row: (row.number if row.place is None else row.place, row.number)):
                job = Job(row.number, row.target, decode_fields(row.fields), bool(row.maybe_applied))
                yield Prepared(job, builder.of(job, row.path, row.query, row.body))
        except (DamagedStoreError, UndecodableError) as error:
            raise StoreError(f"The run's database {self.path} cannot be read: {error}.") from error
        except database_errors() as error:
            raise StoreError(f"The run's database {self.path} cannot be read: {reason_of(error)}.") from error

    def _job_records(self, of: Mapping[str, object]) -> Iterator[tuple[Any, ...]]:
        after, jobs = BEFORE_ALL_ROWS, statements.BLOCK_JOBS if "block" in of else statements.JOBS
        while batch := self.execute(jobs, after=after, most=_BATCH, **of).fetchall():
            yield from batch
            after = batch[-1][0]

    def attempts(self, row: int) -> list[StoredAttempt]:
        """Return what was kept of the attempts at a row, by time."""
        found = []
        for record in self.execute(statements.ATTEMPTS, of_row=row):
            one = converted(record, _AttemptRecord, "its table attempts")
            sent_at = None if one.sent_at is None else datetime.fromtimestamp(one.sent_at, UTC)
            found.append(
                StoredAttempt(
                    one.part, one.number, one.method, sent_at, one.wait_s, one.seconds, one.status, one.why,
                    one.message, one.answer,
                )
            )  # fmt: skip
        return found

    def request(self, row: int) -> RequestTexts:
        """Return path, query and body of the request of a row that can be sent as it is."""
        record = self.execute(statements.REQUEST, of_row=row).fetchone()
        return converted(record, RequestTexts, "its table rows")

    def names(self) -> tuple[AllowedList, ...]:
        """Return the valid names that were learned."""
        what = "its table names"
        return tuple(
            AllowedList(
                record.field,
                converted(_parsed(record.depends_on, what), tuple[tuple[str, str], ...], what),
                converted(_parsed(record.list, what), tuple[AllowedValue, ...], what),
            )
            for record in (converted(one, _NamesRecord, what) for one in self.execute(statements.NAMES))
        )

    def expected(self) -> Expected:
        """Return what the records must still hold where the run undoes another one; else nothing."""
        found: dict[str, tuple[ExpectedValue, ...]] = {}
        for target, *value in self.execute(statements.EXPECTED):
            known = converted(value, ExpectedValue, "its table expected")
            found[target] = (*found.get(target, ()), known)
        return found

    def last_answer_at(self) -> datetime | None:
        """Return when the last answer came, UTC; None if none did."""
        (at,) = self.execute(statements.LAST_ANSWER_AT).fetchone()
        return None if at is None else datetime.fromtimestamp(converted(at, _Time, "its table rows"), UTC)

    def last_row(self) -> int:
        """Return the number of the last row; 0 if there is none."""
        return self.numbers(statements.LAST_ROW)[0]

    def first_job(self) -> Job | None:
        """Return the first row that can be sent, of rows that are staged for sending; None if there is none."""
        found = self.execute(statements.FIRST_JOB).fetchone()
        return None if found is None else Job(found[0], found[1], decode_fields(found[2]))

    def to_send(self, limit: int | None = None) -> int:
        """Return how many jobs are to be sent, of the first `limit` good rows."""
        (count,) = self.execute(statements.COUNT_TO_SEND, limit=limit).fetchone()
        return int(count)

    def numbers(self, statement: str, **values: object) -> list[int]:
        """Return the row numbers that a statement selects."""
        return [number for (number,) in self.execute(statement, **values)]

    def first_invalid(self, most: int) -> tuple[list[int], str]:
        """Return the numbers of the first invalid rows, and the reason of the first of them."""
        found = self.execute(statements.FIRST_INVALID, most=most).fetchall()
        return [number for number, _ in found], decode_problems(found[0][1])[0].reason if found else ""

    def require_all_commits(self) -> None:
        """Check that it holds every commit that was counted: the head of this module says how."""
        if self.path is None:
            return
        is_open = self.fact(IS_OPEN) is not False
        if not is_open and self._counted is None:  # as nearly always, and the last commit takes a look at every row
            return
        if is_open and self._counted is None and counted_commits(self.path) is None:
            raise DamagedStoreError(
                f"it was not closed, and {counter_of(self.path).name}, which tells whether it is all there, is gone"
            )
        last = self.last_commit()
        if self._counted is not None and self._counted > last:
            raise DamagedStoreError(
                f"it ends after commit {last:,} of {self._counted:,}, as where the file {self.path.name}-wal is lost"
            )

    def last_commit(self) -> int:
        """Return the number of the last commit."""
        (last,) = self.execute(statements.LAST_COMMIT).fetchone()
        return converted(last, _Count, "the number of its last commit")

    def require_whole(self) -> None:
        """Check every page of the file and every record in it; takes some 10 us a row."""
        self.require_pages()
        self.require_all_commits()
        self.last_commit()
        self.names()
        self.expected()
        if self.numbers(statements.WAITING_FOR_NOTHING):
            raise DamagedStoreError("its rows wait for rows that need no repair")
        parts = self.parts()  # before the rows: a run that ends just now notes the counts of its last rows
        counts = self.counts(OutcomeKind.NOT_SENT)
        noted = parts[-1].counts or counts if parts else counts  # a team's run has no part before its turn
        if counts[OutcomeKind.PLANNED] or any(noted.get(kind, 0) != count for kind, count in counts.items()):
            raise DamagedStoreError("its rows are not those that were counted when the run ended")
        for row in self.rows(Outcome(0, OutcomeKind.NOT_SENT)):
            if row.stored_fields is not None:
                _ = row.job
            if row.outcome.kept:
                _require_json(row.number, row.outcome.kept)

    def require_pages(self) -> None:
        """Check every page of the file."""
        (found,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise DamagedStoreError(str(found))

    def require_requests(self, endpoint: Endpoint) -> None:
        """Check that every request that is stored is the one that its row's values make; takes some 10 us a row."""
        builder, records = RequestBuilder(endpoint), self.execute(statements.REQUESTS)
        while batch := records.fetchmany(_BATCH):
            if not _are_requests(batch, builder):
                number = next(record[0] for record in batch if not _are_requests([record], builder))
                raise DamagedStoreError(f"its row {number} holds another request than its values make")

    @contextmanager
    def copied_to(self, path: Path) -> Iterator[Store]:
        """Give a copy for a comparison, in which what was done counts as having no turn. Raises StoreError."""
        with Store.draft(path) as copy:
            with faults_named(path):
                self.sqlite.backup(copy.sqlite)
                with copy.transaction():
                    copy.forget_results()
            yield copy

    def attach(self, path: Path) -> None:
        """Open another run's database for reading, as `earlier`, until `detach`. Raises sqlite3.Error."""
        self.sqlite.execute("ATTACH ? AS earlier", (f"{path.absolute().as_uri()}?mode=ro",))

    @contextmanager
    def applied_lent_to(self, store: Store, most: int | None = None) -> Iterator[None]:  # noqa: ARG002  (as a team's)
        """Let another store read the rows that this run has applied as those of `earlier`, at least the first `most`.

        Raises one of `database_errors`.
        """
        if self.path is None:
            raise TypeError("the rows of a temporary store are not lent")
        store.attach(self.path)
        try:
            yield
        finally:
            store.detach()

    def detach(self) -> None:
        """Close the other run's database."""
        self.connection.execute("DETACH earlier")

    # --- writing, while nothing is sent ---

    def make_ready(self) -> None:
        """Make every row ready again that is not confirmed, keeping what is known of it."""
        for statement in (
            statements.NEVER_SENT, statements.KEEP_IN_FLIGHT, statements.RESUME, statements.COUNT_AS_EARLIER,
        ):  # fmt: skip
            self.execute(statement)

    def forget_results(self) -> None:
        """Let nothing be known of what became of the rows that are still to be sent, for a comparison."""
        self.make_ready()
        for statement in statements.in_order("FORGET_RESULTS"):
            self.execute(statement)

    def learn(self, lists: Iterable[AllowedList]) -> None:
        """Write valid names that earlier runs were told, except for fields whose names are there. Raises StoreError."""
        known = {(one.field, one.depends_on) for one in self.names()}
        new = [{"commit": 0, **as_record(one)} for one in lists if (one.field, one.depends_on) not in known]
        if new:
            with faults_named(self.path or Path("run.sqlite")), self.transaction():
                self.executemany(statements.LEARN, new)

    def set_facts(self, facts: Mapping[str, object]) -> None:
        """Write facts about the run; they replace those of the same names."""
        self.executemany(
            statements.SET_FACT, ({"name": name, "value": json.dumps(value)} for name, value in facts.items())
        )

    def executemany(self, statement: str, records: Iterable[Mapping[str, object]]) -> None:
        """Execute a statement once for each record."""
        self.connection.executemany(statement, records)

    def execute(self, statement: str, **values: object) -> Cursor:
        """Execute a statement. Raises one of `database_errors`."""
        return self.connection.execute(statement, values)


def as_record(names: AllowedList) -> dict[str, object]:
    """Return valid names as `statements.LEARN` takes them."""
    values = json.dumps([asdict(value) for value in names.values])
    return {"field": names.field, "depends_on": json.dumps(names.depends_on), "list": values}


def _are_requests(records: Sequence[tuple[Any, ...]], builder: RequestBuilder) -> bool:
    """Whether the request of each record of `statements.REQUESTS` is the one that its values make."""
    try:
        made = builder.texts([decode_fields(fields) for _, _, fields, *_ in records])
        return list(zip(*made, strict=True)) == [(path, query, body) for *_, path, query, body in records]
    except (KeyError, TypeError, ValueError, AttributeError):  # a value that the field cannot have
        return False


def facts_in(records: Iterable[tuple[object, ...]]) -> dict[str, object]:
    """Return the facts that records of `statements.FACTS` hold. Raises DamagedStoreError."""
    what = "its table run"
    return {converted(name, str, what): _parsed(converted(value, str, what), what) for name, value in records}


def parts_in(records: Iterable[tuple[object, ...]]) -> tuple[Part, ...]:
    """Return the parts that records of `statements.PARTS` hold. Raises DamagedStoreError."""
    return tuple(map(_part, records))


def _part(record: tuple[object, ...]) -> Part:
    one = converted(record, _PartRecord, "its table parts")
    counts = (
        None
        if one.counts is None
        else converted(_parsed(one.counts, "its table parts"), dict[OutcomeKind, _Count], "its table parts")
    )
    return Part(
        datetime.fromtimestamp(one.started_at, UTC),
        None if one.ended_at is None else datetime.fromtimestamp(one.ended_at, UTC),
        one.requests or 0, one.retries or 0, one.elapsed_s or 0.0,
        one.stopped, one.stop_message, one.stop_advice, one.results, counts,
    )  # fmt: skip


def _stored_row(record: _RowRecord, unsent: Outcome) -> StoredRow:
    try:
        return StoredRow(
            record.number,
            record.target or "",
            decode_cells(record.cells),
            record.fields,
            _outcome(record, unsent),
            record.state != "invalid" and record.waits_for is None,
            bool(record.is_repeated),
        )
    except UndecodableError as error:
        raise _undecodable(record.number, error) from error


def _undecodable(row: int, error: UndecodableError) -> DamagedStoreError:
    return DamagedStoreError(f"its row {row} holds what is never written there ({error})")


def _outcome(record: _RowRecord, unsent: Outcome) -> Outcome:
    number, kind = record.number, record.kind
    if record.state == "invalid":
        problems = decode_problems(record.problems)
        if not problems:
            raise DamagedStoreError(f"its row {number} is invalid without a reason")
        return Outcome(number, kind, problems=problems)
    if record.state == "in_flight":
        return Outcome(
            number, kind, statements.IN_FLIGHT_AT_THE_END,
            "Run again to settle it.", statements.ENDED_IN_FLIGHT, attempts=record.attempts,
        )  # fmt: skip
    if record.message is not None and record.advice is not None and record.cause is not None:
        return Outcome(
            number, kind, record.message, record.advice, record.cause, decode_problems(record.problems),
            record.status, record.attempts,
            None if record.sent_at is None else datetime.fromtimestamp(record.sent_at, UTC), record.seconds,
            _snapshots(record), bool(record.maybe_applied),
        )  # fmt: skip
    if record.state == "finished" or kind not in {unsent.kind, OutcomeKind.NOT_SENT}:
        raise DamagedStoreError(f"its row {number} has an outcome without words")
    if record.waits_for is not None:
        return Outcome(
            number, OutcomeKind.NOT_SENT, statements.WAITS_FOR_ROW % record.waits_for,
            f"Repair row {record.waits_for}, then run again.", statements.WAITS,
        )  # fmt: skip
    return replace(unsent, row=number)


_WITH_BODY = frozenset({OutcomeKind.UPDATED, OutcomeKind.DIFFERS, OutcomeKind.PLANNED})


def _snapshots(record: _RowRecord) -> RecordSnapshots | None:
    """Return what is known of the record; what was asked only where it may have changed something."""
    may_have_changed = record.kind in _WITH_BODY or (record.kind is OutcomeKind.REJECTED and record.maybe_applied)
    found = RecordSnapshots(record.before, record.body if may_have_changed else None, record.reported)
    return None if found == NO_SNAPSHOTS else found


NO_SNAPSHOTS = RecordSnapshots(None, None, None)


def _require_json(row: int, kept: RecordSnapshots) -> None:
    """Raise DamagedStoreError unless what was kept is JSON: a record before, and of what came back anything."""
    try:
        are_records = kept.before is None or isinstance(from_json(kept.before), dict)
        if kept.reported is not None:
            from_json(kept.reported)
    except ValueError:
        are_records = False
    if not are_records:
        raise DamagedStoreError(f"its row {row} holds what is no record in JSON")


# --- the files -------------------------------------------------------------------------------------------------------


def _filled(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Make the tables. What is not a run yet may be lost: no journal, nothing synced. Raises sqlite3.Error."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise sqlite3.NotSupportedError(f"this Python has SQLite {sqlite3.sqlite_version}, and 3.33 or later is needed")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for statement in statements.in_order("CREATE"):
        connection.execute(statement)
    connection.execute("COMMIT")
    return connection


def draft_of(path: Path) -> Path:
    """Return where the database of a run lies until the run begins."""
    return path.with_name(f"{path.name}-new")


def companions(path: Path) -> tuple[Path, ...]:
    """Return the files that belong to a database beside its main file, wherever they are there."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal", _COUNTER))


def counter_of(path: Path) -> Path:
    """Return where the counter of a database is while that is open."""
    return path.with_name(path.name + _COUNTER)


class CommitCounter:
    """The number of the last commit, in a file beside the database that a killed process leaves as it is."""

    def __init__(self, file: FileIO, commits: int) -> None:
        self._file = file
        self.commits = commits

    @classmethod
    def create(cls, path: Path, commits: int) -> Self:
        """Make the counter of a database, or set the one that is there. Raises OSError."""
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


def counted_commits(path: Path) -> int | None:
    """Return how many commits a database must hold; None if it has no counter. Raises DamagedStoreError."""
    try:
        with counter_of(path).open("rb") as file:
            content = file.read(_COUNTER_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) != _COUNTER_BYTES:
        raise DamagedStoreError(f"its counter {counter_of(path).name} is damaged")
    return int.from_bytes(content, "little")


def is_left_alone(path: Path) -> bool:
    """Whether a database is gone from beside files that it had. Raises DamagedStoreError, OSError."""
    _require_files(path)
    return bool(counted_commits(path)) or any(
        path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")
    )


def _require_files(path: Path) -> None:
    """Raise DamagedStoreError unless each file of a database is a file: SQLite would wait for a pipe for ever."""
    for file in (path, *companions(path)):
        with suppress(FileNotFoundError):
            mode = file.lstat().st_mode
            if not stat.S_ISREG(mode):
                kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
                raise DamagedStoreError(f"{file.name} is {kind}, not a file")


@contextmanager
def faults_named(path: Path, refused: str = "written") -> Iterator[None]:
    """Turn what fails in a database into a StoreError that names it."""
    try:
        yield
    except database_errors(OSError) as error:
        raise StoreError(f"The run's database {path} cannot be {refused}: {reason_of(error)}.") from error


_teams: dict[Path, list[Callable[[Path], Store]]] = {}
"""Folders of results whose runs are in a team's database -> what opens one by the path that its file would have.

Several threads may have joined the same: each has its own.
"""


@contextmanager
def opened_by_team(folder: Path, store_of: Callable[[Path], Store]) -> Iterator[None]:
    """Let the runs of a folder of results be opened by a team while it is entered."""
    every = _teams.setdefault(folder, [])
    every.append(store_of)
    try:
        yield
    finally:
        every.remove(store_of)


@contextmanager
def opened_store(path: Path) -> Iterator[Store]:
    """Open the database of any run for reading. Raises DamagedStoreError, OSError if the system withholds it."""
    if teams := _teams.get(path.parent.parent):
        try:
            with teams[-1](path) as store:
                yield store
        except database_errors() as error:
            raise WithheldStoreError(reason_of(error)) from error
        return
    _require_files(path)
    if not path.stat().st_size:
        raise DamagedStoreError("it is empty")
    counted = counted_commits(path)  # before the database: while that is written, the counter is the older of the two
    try:
        with closing(_opened_for_reading(path)) as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found != statements.FORMAT:
                raise OtherFormatError(
                    f"it is of the format {found}, and this program writes and reads {statements.FORMAT}"
                )
            yield Store(connection, path, counted)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in _NO_ROOM:
            raise WithheldStoreError(f"{error}, as on a disk that is full or read-only") from error
        raise DamagedStoreError(str(error)) from error


def _opened_for_reading(path: Path) -> sqlite3.Connection:
    """Open a database for reading, also where no index of a write-ahead log can be made. Raises sqlite3.Error.

    One that was closed has no such log, and is read as it lies there.
    """
    connection = sqlite3.connect(path.absolute().as_uri(), isolation_level=None, check_same_thread=False, uri=True)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode not in _NO_ROOM or path.with_name(f"{path.name}-wal").exists():
            raise
        unchanging = f"{path.absolute().as_uri()}?immutable=1"
        return sqlite3.connect(unchanging, uri=True, isolation_level=None, check_same_thread=False)
    return connection
