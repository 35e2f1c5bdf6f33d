"""The database of the page where any number of hosts serve it: the same tables as those of `web.sqlite`, in PostgreSQL.

Each server renews its heartbeat every half second. If one has not for `DEAD_S`, others take over its tasks. Each start
of a task raises its number (`claim`), so that a server that only seemed dead cannot write about it any more.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from msgspec.structs import replace

from batch_updater.errors import ResultsError
from batch_updater.files.reading import read_regular
from batch_updater.files.writing import write_whole
from batch_updater.runs import upload_statements
from batch_updater.runs.team_database import TeamUnreachableError
from batch_updater.runs.team_files import MOST_BYTES
from batch_updater.runs.uploads import PageConnection, Record, Records, StoredUpload, Task, Uploads

if TYPE_CHECKING:  # imported only where there is a team
    import psycopg

    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

DEAD_S = 20.0
"""A server without a heartbeat for so long counts as dead."""
INPUT = "input"
"""Name under which the database has the file of an upload."""
_SERVER = "server"
"""Name of the file, in the folder of the page, that holds the server's id."""
_LONGEST_ID = 100
_ONE_WRITER = "SELECT pg_advisory_xact_lock(hashtext('batch_updater.page'))"
"""As in SQLite one host writes at a time, so that what a transaction has looked for is so when it writes."""
IS_ALIVE = "seen_at > clock_timestamp() - make_interval(secs => dead_after_s)"
_JOIN = """INSERT INTO servers (id, host, dead_after_s) VALUES (%(server)s, %(host)s, %(dead_after_s)s)
    ON CONFLICT (id) DO UPDATE SET host = excluded.host, dead_after_s = excluded.dead_after_s,
        seen_at = clock_timestamp()"""
_OTHER_HOST = f"SELECT 1 FROM servers WHERE id = %s AND host <> %s AND {IS_ALIVE}"
_BEAT = "UPDATE servers SET seen_at = clock_timestamp() WHERE id = %s"
_LEAVE = "UPDATE servers SET seen_at = '-infinity' WHERE id = %s"
_TAKE_UP = """UPDATE tasks SET state = 'waiting', waits_for = '', server = NULL
    WHERE state = 'running' AND server = %s"""
_TAKE_OVER = f"""UPDATE tasks SET state = 'waiting', waits_for = '', server = NULL
    WHERE state = 'running' AND server IN (SELECT id FROM servers WHERE NOT {IS_ALIVE})"""
_TO_STOP = "SELECT number FROM tasks WHERE state = 'running' AND server = %s AND is_stopped = 1"
_ASKED_FOR = "SELECT upload FROM drafts WHERE server = %s AND asked_by IS NOT NULL"
_MAY_WORK_ON = f"""NOT (tasks.state = 'running' AND tasks.server IS DISTINCT FROM %(server)s) AND (tasks.upload IS NULL
    OR NOT EXISTS (SELECT 1 FROM drafts JOIN servers ON servers.id = drafts.server
        WHERE drafts.upload = tasks.upload AND drafts.server <> %(server)s AND {IS_ALIVE}))"""
_STARTABLE = f"SELECT number FROM tasks WHERE state IN ('waiting', 'running') AND {_MAY_WORK_ON}"
_WAITING = f"SELECT 1 FROM tasks WHERE state = 'waiting' AND {_MAY_WORK_ON} LIMIT 1"
_START = f"""UPDATE tasks SET state = 'running', started_at = %(now)s, server = %(server)s, claim = claim + 1
    WHERE number = %(task)s AND state IN ('waiting', 'running') AND {_MAY_WORK_ON} RETURNING claim, upload"""
_TAKE_DRAFT = """UPDATE drafts SET server = %(server)s, epoch = epoch + 1, asked_by = NULL
    WHERE upload = %(upload)s AND server <> %(server)s"""
_IS_OWN = "SELECT 1 FROM tasks WHERE number = %s AND server = %s AND claim = %s"
_IS_WAITING = "SELECT 1 FROM tasks WHERE number = %s AND state = 'waiting'"


_SENDING = """SELECT runs.state <> 'staging' AND runs.submitted_at > tasks.added_at FROM runs, tasks
    WHERE runs.name = %s AND tasks.number = %s"""


class ServerWork(NamedTuple):
    """Work for this server."""

    to_stop: frozenset[int]
    """Numbers of tasks that it works on and is to stop."""
    asked_for: tuple[str, ...]
    """Uploads whose draft another host needs."""
    is_task_waiting: bool
    """Whether there is a task that it may begin."""


class TeamUploads(Uploads):
    """The database of the page that all hosts of a team have in common."""

    def __init__(
        self, folder: Path, team: TeamDatabase, redact: Callable[[str], str], dead_after_s: float = DEAD_S
    ) -> None:
        """`folder`: that of this host, for files; `redact` takes secrets out of messages. Raises ResultsError."""
        self.team = team
        self.host = socket.gethostname()
        self._redact = redact
        self._dead_after_s = dead_after_s
        self._claims: dict[int, int] = {}
        """Number of a task that this server works on -> its claim."""
        self._claims_lock = threading.Lock()
        super().__init__(folder)

    def _open(self) -> None:
        self.server = self._known_id() or self._new_id()
        with self.transaction() as connection:
            if connection.execute(_OTHER_HOST, [self.server, self.host]).fetchone():  # the folder was copied
                self.server = self._new_id()
            values = {"server": self.server, "host": self.host, "dead_after_s": self._dead_after_s}
            connection.execute(_JOIN, values)

    def _known_id(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return read_regular(self.folder / _SERVER, _LONGEST_ID).decode()
        return ""

    def _new_id(self) -> str:
        new = secrets.token_urlsafe(9)
        write_whole(self.folder / _SERVER, lambda draft: draft.write_text(new, encoding="utf-8"))
        return new

    def close(self) -> None:
        """Tell the other hosts that this one ends, so that they take over its tasks and drafts at once.

        Without the database they take them over once this host's heartbeat is too old.
        """
        with suppress(TeamUnreachableError), self.transaction() as connection:
            connection.execute(_LEAVE, [self.server])

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn whatever fails in the folder or the database into a ResultsError."""
        import psycopg

        try:
            with super()._faults():
                yield
        except psycopg.Error as error:
            message, remedy = self.team.fault_of(error)
            why = self._redact(f"The team's database cannot be used: {message}.")
            raise TeamUnreachableError(why, remedy=remedy) from error

    @contextmanager
    def transaction(self) -> Iterator[TeamConnection]:
        """Give a connection to the team's database, for one transaction. Raises ResultsError."""
        with self._faults(), self.team.connected() as connection, connection.transaction():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[PageConnection]:
        with self.transaction() as connection:
            connection.execute(_ONE_WRITER)
            yield _TeamPageConnection(connection)

    def _read(self, statement: str, **values: object) -> Sequence[Record]:
        with self._faults(), self.team.connected() as connection:
            return _TeamPageConnection(connection).execute(statement, values).fetchall()

    # --- this server among the others ---

    def beat(self) -> ServerWork:
        """Renew this server's heartbeat, take over the tasks of dead servers, and return the work for this one."""
        with self.transaction() as connection:
            connection.execute(_BEAT, [self.server])
            connection.execute(_TAKE_OVER)
            to_stop = connection.execute(_TO_STOP, [self.server]).fetchall()
            asked_for = connection.execute(_ASKED_FOR, [self.server]).fetchall()
            waiting = connection.execute(_WAITING, {"server": self.server}).fetchone()
        return ServerWork(
            frozenset(number for (number,) in to_stop), tuple(upload for (upload,) in asked_for), waiting is not None
        )

    def take_up_tasks(self) -> None:
        """Let the tasks wait again that this server was working on when it was killed."""
        with self.transaction() as connection:
            connection.execute(_TAKE_UP, [self.server])

    def startable_tasks(self) -> tuple[Task, ...]:
        """Return the open tasks that this server may work on: those whose draft it has, or may take."""
        with self.transaction() as connection:
            numbers = {number for (number,) in connection.execute(_STARTABLE, {"server": self.server})}
        return tuple(task for task in self.open_tasks() if task.number in numbers)

    def start_task(self, number: int) -> bool:
        """Whether a task is this server's to work on: no other one does, and its draft is this one's by now."""
        values = {"task": number, "server": self.server, "now": datetime.now(UTC).timestamp()}
        with self.transaction() as connection:
            connection.execute(_ONE_WRITER)
            record = connection.execute(_START, values).fetchone()
            if record is None:
                return False
            claim, upload = record
            connection.execute(_TAKE_DRAFT, {"server": self.server, "upload": upload})
        with self._claims_lock:
            self._claims[number] = claim
        return True

    def _require_own(self, connection: PageConnection, number: int) -> None:
        with self._claims_lock:
            claim = self._claims.get(number)
        postgres = cast("_TeamPageConnection", connection).postgres
        if claim is None:
            record = postgres.execute(_IS_WAITING, [number]).fetchone()
        else:
            record = postgres.execute(_IS_OWN, [number, self.server, claim]).fetchone()
        if record is None:
            raise ResultsError(f"Another host has taken over the task {number}.", remedy="Load its page again.")

    def is_elsewhere(self, number: int) -> bool:
        """Whether another server works on a task."""
        with self.transaction() as connection:
            statement = "SELECT 1 FROM tasks WHERE number = %s AND state = 'running' AND server <> %s"
            return connection.execute(statement, [number, self.server]).fetchone() is not None

    def has_submitted(self, task: Task) -> bool | None:
        """Whether a task has put the run that it has noted into the queue; None if there is no such run any more.

        Of one that it has not there is the name alone, or it is an earlier one, which the task is to resume.
        """
        with self.transaction() as connection:
            record = connection.execute(_SENDING, [task.run, task.number]).fetchone()
        return bool(record[0]) if record else None

    # --- uploads ---

    def _share(self, connection: PageConnection, upload_id: str, file: Path) -> None:
        """Let the other hosts have a new upload; its draft is this one's until another one needs it."""
        postgres = cast("_TeamPageConnection", connection).postgres
        postgres.execute("INSERT INTO drafts (upload, server) VALUES (%s, %s)", [upload_id, self.server])
        if file.stat().st_size <= MOST_BYTES:
            postgres.execute(
                "INSERT INTO draft_files (upload, name, content) VALUES (%s, %s, %s)",
                [upload_id, INPUT, file.read_bytes()],
            )

    def _upload(self, record: Record) -> StoredUpload:
        """Return an upload; what a run of the team has written lies in the folder of that run, on every host."""
        upload = super()._upload(record)
        run = upload.repairs or upload.undoes
        if run is None or upload.source_path is None:
            return upload
        return replace(upload, source_path=str(self.folder.parent / run / PurePath(upload.source_path).name))


class _Record:
    """A record as sqlite3 gives it."""

    def __init__(self, names: Sequence[str], values: Sequence[Any]) -> None:
        self._names = names
        self._values = values

    def keys(self) -> Sequence[str]:
        return self._names

    def __getitem__(self, key: int | str, /) -> Any:
        return self._values[self._names.index(key) if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)


def _as_records(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], _Record]:
    names = [column.name for column in cursor.description or ()]
    return lambda values: _Record(names, values)


class _TeamPageConnection:
    """Executes the statements of `upload_statements` as PostgreSQL takes them."""

    def __init__(self, postgres: TeamConnection) -> None:
        self.postgres = postgres

    def execute(self, statement: str, values: Mapping[str, object], /) -> Records:
        from batch_updater.runs.postgres import storable

        cursor = self.postgres.cursor(row_factory=_as_records)
        of_postgres = storable({name: _value(one) for name, one in values.items()})
        cursor.execute(upload_statements.for_postgres(statement), of_postgres)
        return cursor


def _value(value: object) -> object:
    """Return a value as PostgreSQL takes it, which has truth values of its own."""
    if isinstance(value, bool):
        return int(value)
    return value.value if isinstance(value, Enum) else value
