"""`web.sqlite`: the spreadsheets given to the page, what is to be done with them, and who did what."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from batch_updater.errors import Location, ResultsError, UsageError
from batch_updater.files.reading import open_regular
from batch_updater.files.writing import private_folder, sync_folder
from batch_updater.questions import NO_ANSWERS, Answers, Question, SampledColumn
from batch_updater.runs import upload_statements
from batch_updater.runs.folder import is_file_name
from batch_updater.runs.upload_statements import UPLOADS_FORMAT
from batch_updater.text.typed_values import typed_json

_DATABASE = "web.sqlite"
_ID_BYTES = 9
_COARSE_S = 2
"""File systems keep times to so many seconds at worst (FAT), and others are some milliseconds behind the clock."""
_WAITED_FOR_MS = 10_000
"""For the lock of the database, which only a person who looks into it may hold."""
_START_AFRESH = "Move its folder away, and upload the files again."
_MOST_SESSIONS = 100
"""Of one person: as many browsers stay signed in."""
_CHANGES_CONTENT = ("uploaded", "answered", "edited", "undid an edit", "undid edits", "accepted a row")
"""Events after which a person may not approve the upload: they had a hand in it."""
_T = TypeVar("_T")


class OpenColumnsQuestions(msgspec.Struct, frozen=True):
    """What keeps an upload from being read: questions about sheet, header row and columns."""

    message: str
    questions: tuple[Question, ...]
    columns: tuple[SampledColumn, ...] = ()
    """Those of the header row, if that is known."""


class StoredUpload(msgspec.Struct, frozen=True):
    """One spreadsheet that was given to the page."""

    id: str
    name: str
    """The file's name, or `pasted rows`: text only, never a path."""
    file: str
    """Name of the copy in `folder`: `input.<ext>`."""
    folder: Path
    by: str
    at: datetime
    changed_at: datetime
    """When anyone did anything with it."""
    source_path: str | None = None
    repairs: str | None = None
    """Name of the run whose rows it repairs."""
    undoes: str | None = None
    """Name of the run that it undoes."""
    answers: Answers = NO_ANSWERS
    layout: str | None = None
    """Name of a layout that a person chose."""
    remember: str | None = None
    """Under which name the answers are to be remembered for files with these headers, once they are complete."""
    compare: bool = False
    """Whether records are read before they are changed, beyond what the configuration says."""
    asked: OpenColumnsQuestions | None = None
    run: str | None = None
    """Name of the last run that began, or was resumed, from it."""


class TaskKind(StrEnum):
    """What a task does with its upload."""

    CHECK = "check"
    COMPARE = "compare"
    SEND = "send"


class TaskState(StrEnum):
    """How far a task is. One that a killed server was working on is waiting again."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class TaskFault(msgspec.Struct, frozen=True):
    """Why a task could not do its work; no text holds a secret."""

    message: str
    remedy: str
    sheet: str | None = None
    cell: str | None = None
    is_unreadable: bool = False
    """Whether no answer helps: another file does."""


class SendingOptions(msgspec.Struct, frozen=True):
    """What a person chose when sending."""

    resume_old: bool = False
    """Whether a run goes on that began more than a day ago."""
    digest: str = ""
    """Of what the person saw (`Permission.digest`): other content is not sent; '': whatever is there then."""
    earlier: str | None = None
    """Which earlier run of these rows the person saw (`Earlier.key`): not sent if that is another; None: whatever."""


NO_OPTIONS = SendingOptions()


class Task(msgspec.Struct, frozen=True):
    """One piece of work in the queue of the server."""

    number: int
    kind: TaskKind
    upload: str | None
    """None: it resumes a run that did not begin on the page."""
    state: TaskState
    by: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run: str | None = None
    """Folder name of the run, noted before anything is sent."""
    fault: TaskFault | None = None
    waits_for: str = ""
    """Who holds the lock that it waits for, in a sentence; '' if no one does."""
    options: SendingOptions = NO_OPTIONS


class Event(NamedTuple):
    """Who did what."""

    at: datetime
    by: str
    what: str
    """`uploaded`, `began to repair`, `answered`, `edited`, `undid an edit`, `undid edits`, `approved`, `sent`,
    `stopped`, `resumed`, `closed`, `undid`, `removed`, `renamed a layout`, `deleted a layout` ..."""
    upload: str | None
    run: str | None
    text: str
    """What exactly, in a sentence; '' where `what` says it all."""


class Approval(NamedTuple):
    """A second person's consent to send exactly one content."""

    digest: str
    by: str
    at: datetime
    withdrawn_at: datetime | None


class Record(Protocol):
    """A record of the database: its values by their names, and in their order."""

    def keys(self) -> Sequence[str]:
        """Return the names."""
        ...

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class Records(Protocol):
    """What a statement gives."""

    @property
    def rowcount(self) -> int:
        """How many records it has changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next record; None if there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all that are left."""
        ...


class PageConnection(Protocol):
    """A connection to the database of the page, within a transaction."""

    def execute(self, statement: str, values: Mapping[str, object], /) -> Records:
        """Execute one of `upload_statements`."""
        ...


class Uploads:
    """The database of the page. Every method may be called from any thread, and is one transaction.

    What it returns is on disk. Every method raises ResultsError if the database cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: `web` in the folder of results; it is made if need be. Raises ResultsError."""
        self.folder = folder
        self._opened_at = _now()
        self._path = folder / _DATABASE
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self.follow_ups = threading.Lock()
        """Held while an upload is made of a run's workbook, which two people may ask for at the same time."""
        with self._faults():
            private_folder(folder)
            self._open()

    def _open(self) -> None:
        self._writer = self._opened()
        self._reader = self._opened()

    def _opened(self) -> sqlite3.Connection:
        # Never opened once it is there: closing any descriptor of a file gives up the locks that SQLite holds on it in
        # this process (How To Corrupt An SQLite Database File, 2.2).
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with ExitStack() as on_error:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            on_error.callback(connection.close)
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout = {_WAITED_FOR_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if not found:
                for statement in upload_statements.in_order("CREATE_UPLOADS"):
                    connection.execute(statement)
            connection.execute("COMMIT")
            if found not in {0, UPLOADS_FORMAT}:
                raise ResultsError(
                    f"{self._path} is of the format {found}, and this program writes and reads {UPLOADS_FORMAT}.",
                    remedy="Start the version of the program that has written it, or move its folder away.",
                    place=Location(file=str(self._path)),
                )
            on_error.pop_all()
        return connection

    def close(self) -> None:
        """Let go of the database."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn whatever fails in the folder or the database into a ResultsError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or error
            is_damaged = getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
            raise ResultsError(
                f"What was given to the page cannot be kept in {self._path}: {why}.",
                remedy=_START_AFRESH if is_damaged else "See that there is space and the right to write there.",
                place=Location(file=str(self._path)),
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[PageConnection]:
        """Give the connection that writes, for one transaction."""
        with self._write_lock, self._faults():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                if self._writer.in_transaction:  # on a full disk SQLite has gone back by itself
                    self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def _read(self, statement: str, **values: object) -> Sequence[Record]:
        with self._read_lock, self._faults():
            return self._reader.execute(statement, values).fetchall()

    # --- uploads ---

    def new_folder(self) -> tuple[str, Path]:
        """Return the id of a new upload and its folder, into which its file is written before `add`."""
        with self._faults():
            upload_id = secrets.token_urlsafe(_ID_BYTES)
            folder = self.folder / upload_id
            folder.mkdir(mode=0o700)
        return upload_id, folder

    def add(  # noqa: PLR0913  (keywords)
        self,
        upload_id: str,
        name: str,
        file: str,
        by: str,
        *,
        source_path: str | None = None,
        repairs: str | None = None,
        undoes: str | None = None,
        text: str = "",
    ) -> StoredUpload:
        """Keep an upload whose file is in its folder, with a task that checks it; `text` is that of its event.

        Where an upload `repairs` that run already, or `undoes` it and nothing of it was sent, that one is returned
        instead, and the folder of this one goes.
        """
        now, folder = _now(), self.folder / upload_id
        with self._faults():
            with open_regular(folder / file) as written:
                os.fsync(written.fileno())
            sync_folder(folder)
            sync_folder(self.folder)
        with self._writing() as connection:
            if found := _follow_up(connection, repairs, undoes):
                shutil.rmtree(folder, ignore_errors=True)  # what stays is removed at the next start
                return self._upload(found)
            connection.execute(
                upload_statements.ADD_UPLOAD,
                {
                    "id": upload_id, "name": name, "file": file, "by": by, "at": now, "source_path": source_path,
                    "repairs": repairs, "undoes": undoes, "answers": _json(NO_ANSWERS),
                },
            )  # fmt: skip
            if repairs is None:  # which a run that has ended does by itself
                what = "undid" if undoes else "uploaded"
                _note(connection, by, what, upload=upload_id, run=undoes, text=text or name)
            _add_task(connection, TaskKind.CHECK, by, upload_id, None, NO_OPTIONS)
            self._share(connection, upload_id, folder / file)
            found = connection.execute(upload_statements.UPLOAD, {"upload_id": upload_id}).fetchone()
        return self._upload(found)

    def _share(self, connection: PageConnection, upload_id: str, file: Path) -> None:
        """Let the other hosts have a new upload: there are none."""

    def _upload(self, record: Record) -> StoredUpload:
        values = dict(record)
        for name in ("at", "changed_at"):
            values[name] = _time(values[name])
        values["answers"] = self._decoded(values["answers"], Answers)
        values["asked"] = values["asked"] and self._decoded(values["asked"], OpenColumnsQuestions)
        values["compare"] = bool(values["compare"])
        if not is_file_name(values["file"]):
            raise ResultsError("What is kept of an upload names a file that is not in its folder.")
        return StoredUpload(**values, folder=self._folder_of(values["id"]))

    def _decoded(self, text: str, kind: type[_T]) -> _T:
        try:
            return typed_json(text, kind)
        except msgspec.MsgspecError as error:
            raise ResultsError(
                f"{self._path} holds what is never written there ({error}).",
                remedy=_START_AFRESH,
                place=Location(file=str(self._path)),
            ) from error

    def upload(self, upload_id: str) -> StoredUpload | None:
        """Return an upload; None if there is none of that id."""
        return self._first_upload(upload_statements.UPLOAD, upload_id=upload_id)

    def uploads(self) -> tuple[StoredUpload, ...]:
        """Return all uploads, the newest first."""
        return tuple(map(self._upload, self._read(upload_statements.UPLOADS)))

    def repair_of(self, run: str) -> StoredUpload | None:
        """Return the newest upload that repairs a run; None if there is none."""
        return self._first_upload(upload_statements.UPLOADS_REPAIRING, past=run)

    def undo_of(self, run: str) -> StoredUpload | None:
        """Return the newest upload that undoes a run; None if there is none."""
        return self._first_upload(upload_statements.UPLOADS_UNDOING, past=run)

    def _first_upload(self, statement: str, **values: object) -> StoredUpload | None:
        return next(map(self._upload, self._read(statement, **values)), None)

    def answer(
        self, upload_id: str, answers: Answers, by: str, *, layout: str | None, remember: str | None, text: str = ""
    ) -> None:
        """Keep the answers about a file, in place of earlier ones, with a task that checks it again.

        `text`: what is new about them, in words.
        """
        values = {
            "upload_id": upload_id, "now": _now(), "given": _json(answers), "by_layout": layout, "as_layout": remember,
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(upload_statements.SET_ANSWERS, values)
            _note(connection, by, "answered", upload=upload_id, text=text)
            _add_task(connection, TaskKind.CHECK, by, upload_id, None, NO_OPTIONS)

    def set_compare(self, upload_id: str, by: str, *, compare: bool) -> None:
        """Keep whether records are read first."""
        text = "Every record is read first." if compare else "Records are not read first."
        with self._writing() as connection:
            connection.execute(
                upload_statements.SET_COMPARE, {"upload_id": upload_id, "reads_first": compare, "now": _now()}
            )
            _note(connection, by, "chose", upload=upload_id, text=text)

    def set_asked(self, upload_id: str, asked: OpenColumnsQuestions | None) -> None:
        """Keep what a check has to ask; None: nothing."""
        with self._writing() as connection:
            text = None if asked is None else _json(asked)
            connection.execute(upload_statements.SET_ASKED, {"upload_id": upload_id, "questions": text})

    def set_remembered(self, upload_id: str, by: str, layout: str) -> None:
        """Keep that the answers are remembered now under the name of a layout."""
        with self._writing() as connection:
            connection.execute(upload_statements.SET_REMEMBERED, {"upload_id": upload_id})
            _note(connection, by, "remembered a layout", upload=upload_id, text=layout)

    def remove(self, upload_id: str, by: str) -> None:
        """Remove an upload and its folder, unless a task of it is waiting or running (UsageError)."""
        if not self._remove(upload_id, by):
            raise UsageError("The file is being worked on.", remedy="Wait until that has ended, or stop it.")

    def _remove(self, upload_id: str, by: str) -> bool:
        """Whether it is gone: a task of it may be open. Its events stay."""
        folder = self._folder_of(upload_id)
        with self._writing() as connection:
            found = connection.execute(upload_statements.UPLOAD, {"upload_id": upload_id}).fetchone()
            if found is None:
                return True
            if not connection.execute(upload_statements.REMOVE_UPLOAD, {"upload_id": upload_id}).rowcount:
                return False
            connection.execute(upload_statements.REMOVE_APPROVALS, {"of_upload": upload_id})
            _note(connection, by, "removed", upload=upload_id, text=found["name"])
        shutil.rmtree(folder, ignore_errors=True)  # what stays is removed at the next start
        return True

    def _folder_of(self, upload_id: str) -> Path:
        """Return the folder of an upload; the ids of a team's are from its database, which other hosts write."""
        if not is_file_name(upload_id):
            raise ResultsError("What is kept of an upload has an id that is none.")
        return self.folder / upload_id

    def remove_unused(self, before: datetime, by: str) -> int:
        """Remove uploads with which nothing was done since that time (UTC). Returns how many."""
        old = self._read(upload_statements.UNUSED_UPLOADS, before=before.timestamp())
        return sum(self._remove(record["id"], by) for record in old if is_file_name(record["id"]))

    def remove_leftovers(self) -> None:
        """Remove folders of no upload: of one that was not whole when a process was killed, or was being removed."""
        known = {upload.id for upload in self.uploads()}
        with self._faults():
            for entry in self.folder.iterdir():
                is_ours = entry.is_dir() and not entry.is_symlink() and entry.name not in known
                arrived_by = entry.stat().st_mtime + _COARSE_S
                if is_ours and arrived_by < self._opened_at:  # an upload may be arriving by now
                    shutil.rmtree(entry, ignore_errors=True)

    # --- tasks ---

    def add_task(
        self,
        kind: TaskKind,
        by: str,
        *,
        upload: str | None,
        run: str | None = None,
        options: SendingOptions = NO_OPTIONS,
        after: int | None = None,
    ) -> Task:
        """Put a task into the queue; that of an equal one which is still waiting is returned instead.

        `after`: the number of the newest task of that kind which the person knew of, 0 for none: a newer one of the
        upload is returned instead, whatever has become of it.
        That something is to be sent, or a run resumed, is kept as an event, too.
        """
        with self._writing() as connection:
            number, is_new = _add_task(connection, kind, by, upload, run, options, after)
            if kind is TaskKind.SEND and is_new:
                _note(connection, by, "resumed" if run else "sent", upload=upload, run=run)
            found = connection.execute(upload_statements.TASK, {"task": number}).fetchone()
        return self._task(found)

    def _task(self, record: Record) -> Task:
        values = dict(record)
        for name in ("created_at", "started_at", "ended_at"):
            values[name] = None if values[name] is None else _time(values[name])
        values["fault"] = values["fault"] and self._decoded(values["fault"], TaskFault)
        values["options"] = self._decoded(values["options"], SendingOptions)
        values["kind"], values["state"] = TaskKind(values["kind"]), TaskState(values["state"])
        return Task(**values)

    def _tasks(self, statement: str, **values: object) -> tuple[Task, ...]:
        return tuple(map(self._task, self._read(statement, **values)))

    def task(self, number: int) -> Task | None:
        """Return a task; None if there is none of that number."""
        return next(iter(self._tasks(upload_statements.TASK, task=number)), None)

    def tasks(self, upload_id: str) -> tuple[Task, ...]:
        """Return the tasks of an upload, the newest first."""
        return self._tasks(upload_statements.TASKS, of_upload=upload_id)

    def open_tasks(self) -> tuple[Task, ...]:
        """Return the tasks that are waiting or running, in their order."""
        return self._tasks(upload_statements.OPEN_TASKS)

    def startable_tasks(self) -> tuple[Task, ...]:
        """Return the open tasks that this server may work on, in their order."""
        return self.open_tasks()

    def task_of_run(self, run: str) -> Task | None:
        """Return the newest task that works, or has worked, on a run."""
        return next(iter(self._tasks(upload_statements.TASK_OF_RUN, past=run)), None)

    def has_begun(self, run: str) -> bool:
        """Whether a run began with an upload."""
        return bool(self._read(upload_statements.UPLOADS_OF_RUN, past=run))

    # --- what the worker does with them ---

    def take_up_tasks(self) -> None:
        """Let the tasks wait again that a killed server was working on."""
        self._write(upload_statements.TAKE_UP_TASKS)

    def start_task(self, number: int) -> bool:
        """Whether a task was waiting; it is running now."""
        return bool(self._write(upload_statements.START_TASK, task=number, now=_now()))

    def defer_task(self, number: int, waits_for: str = "") -> None:
        """Let a task wait, again, for its turn or for who holds the lock."""
        with self._writing() as connection:
            self._require_own(connection, number)
            connection.execute(upload_statements.DEFER_TASK, {"task": number, "holder": waits_for})

    def set_task_run(self, number: int, run: str | None) -> None:
        """Keep on which run a task works, before anything of it is sent; None: nothing came of that run."""
        with self._writing() as connection:
            self._require_own(connection, number)
            connection.execute(upload_statements.SET_TASK_RUN, {"task": number, "past": run})

    def end_task(self, number: int, fault: TaskFault | None = None) -> None:
        """Keep that a task has ended: it is done, or it has failed with a fault."""
        with self._writing() as connection:
            self._require_own(connection, number)
            now, why = _now(), None if fault is None else _json(fault)
            end = TaskState.DONE if fault is None else TaskState.FAILED
            connection.execute(upload_statements.END_TASK, {"task": number, "end": end, "now": now, "why": why})
            upload = connection.execute(upload_statements.TASK, {"task": number}).fetchone()["upload"]
            connection.execute(upload_statements.TOUCH, {"upload_id": upload, "now": now})

    def is_elsewhere(self, number: int) -> bool:  # noqa: ARG002
        """Whether another server works on a task: there is none."""
        return False

    def _require_own(self, connection: PageConnection, number: int) -> None:
        """Raise ResultsError if another server works on a task: there is none."""

    def stop_task(self, number: int) -> bool:
        """Keep that a person has asked a task to stop. Returns whether it was still open."""
        return bool(self._write(upload_statements.STOP_TASK, task=number))

    def is_stopped(self, number: int) -> bool:
        """Whether a person has asked a task to stop."""
        return any(record[0] for record in self._read(upload_statements.TASK_IS_STOPPED, task=number))

    def _write(self, statement: str, **values: object) -> int:
        """Execute one statement. Returns how many records it has changed."""
        with self._writing() as connection:
            return connection.execute(statement, values).rowcount

    # --- who did what ---

    def note(self, by: str, what: str, *, upload: str | None = None, run: str | None = None, text: str = "") -> None:
        """Keep who did what."""
        with self._writing() as connection:
            _note(connection, by, what, upload=upload, run=run, text=text)

    def events(self, *, upload: str | None = None, run: str | None = None, most: int = 100) -> tuple[Event, ...]:
        """Return what was done, the newest first: all, or with one upload, or run, and with those it came from."""
        if upload is None and run is None:
            found = self._read(upload_statements.EVENTS, most=most)
        else:
            uploads, runs = self._origins(upload, run)
            found = self._read(
                upload_statements.EVENTS_OF, most=most, of_uploads=json.dumps(uploads), of_runs=json.dumps(runs)
            )
        return tuple(Event(_time(record["at"]), *tuple(record)[1:]) for record in found)

    def _origins(self, upload: str | None, run: str | None) -> tuple[list[str], list[str]]:
        """Return uploads and runs: the one given, and all from which it came."""
        uploads, runs = dict.fromkeys(filter(None, [upload])), dict.fromkeys(filter(None, [run]))
        new_uploads, new_runs = list(uploads), list(runs)
        while new_uploads or new_runs:
            if new_runs:
                records = self._read(upload_statements.UPLOADS_OF_RUN, past=new_runs.pop())
                more = [record[0] for record in records if record[0] not in uploads]
                uploads.update(dict.fromkeys(more))
                new_uploads += more
            elif found := self.upload(new_uploads.pop()):
                earlier = [one for one in (found.repairs, found.undoes) if one and one not in runs]
                runs.update(dict.fromkeys(earlier))
                new_runs += earlier
        return list(uploads), list(runs)

    def approve(self, upload_id: str, digest: str, by: str) -> None:
        """Keep an approval."""
        with self._writing() as connection:
            connection.execute(
                upload_statements.ADD_APPROVAL, {"upload": upload_id, "digest": digest, "by": by, "at": _now()}
            )
            _note(connection, by, "approved", upload=upload_id)

    def approval(self, upload_id: str, digest: str) -> Approval | None:
        """Return the approval of that content; one of another content is withdrawn by this."""
        values = {"of_upload": upload_id, "of_digest": digest}
        if self._read(upload_statements.OTHER_APPROVALS, **values):
            with self._writing() as connection:
                for number, by in connection.execute(upload_statements.OTHER_APPROVALS, values).fetchall():
                    connection.execute(upload_statements.WITHDRAW_APPROVAL, {"approval": number, "now": _now()})
                    text = f"What would be sent has changed since {by} approved it."
                    _note(connection, by, "approval withdrawn", upload=upload_id, text=text)
        found = self._read(upload_statements.APPROVAL, **values)
        return next((Approval(one["digest"], one["by"], _time(one["at"]), None) for one in found), None)

    def people_of(self, upload_id: str) -> frozenset[str]:
        """Return who uploaded, answered or edited it: none of them may approve it."""
        deeds = json.dumps(_CHANGES_CONTENT)
        return frozenset(one[0] for one in self._read(upload_statements.PEOPLE, of_upload=upload_id, deeds=deeds))

    # --- sessions ---

    def add_session(self, digest: str, user: str, expires_at: datetime) -> None:
        """Keep a session by the digest of its cookie; those that have expired, and a person's oldest, are forgotten."""
        with self._writing() as connection:
            connection.execute(upload_statements.REMOVE_EXPIRED_SESSIONS, {"now": _now()})
            values = {"digest": digest, "user": user, "expires_at": expires_at.timestamp()}
            connection.execute(upload_statements.ADD_SESSION, values)
            surplus = {"of_user": user, "most": _MOST_SESSIONS}
            connection.execute(upload_statements.REMOVE_SURPLUS_SESSIONS, surplus)

    def session_user(self, digest: str, now: datetime) -> str | None:
        """Return whose session it is; None if there is none, or it has expired."""
        found = self._read(upload_statements.SESSION_USER, cookie=digest, now=now.timestamp())
        return found[0]["user"] if found else None


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _follow_up(connection: PageConnection, repairs: str | None, undoes: str | None) -> Record | None:
    """Return the upload that repairs a run, or that undoes it and is not sent yet; None if there is none."""
    statement = upload_statements.UPLOADS_REPAIRING if repairs else upload_statements.UPLOADS_UNDOING
    found: Record | None = connection.execute(statement, {"past": repairs or undoes}).fetchone()
    return found if found and (repairs or found["run"] is None) else None


def _note(
    connection: PageConnection, by: str, what: str, *, upload: str | None = None, run: str | None = None,
    text: str = "",
) -> None:  # fmt: skip
    values = {"at": _now(), "by": by, "what": what, "upload": upload, "run": run, "text": text}
    connection.execute(upload_statements.ADD_EVENT, values)
    if upload is not None:
        connection.execute(upload_statements.TOUCH, {"upload_id": upload, "now": values["at"]})


def _add_task(
    connection: PageConnection, kind: TaskKind, by: str, upload: str | None, run: str | None,
    options: SendingOptions, after: int | None = None,
) -> tuple[int, bool]:  # fmt: skip
    """Return the number of a task in the queue, and whether it is a new one."""
    if after is not None:
        newer = connection.execute(upload_statements.TASKS, {"of_upload": upload}).fetchall()
        if found := next((one for one in newer if one["kind"] == kind and one["number"] > after), None):
            return found["number"], False
    equal = {"which": kind, "of_upload": upload, "of_run": run, "with_options": _json(options)}
    if found := connection.execute(upload_statements.EQUAL_TASKS, equal).fetchone():
        return found["number"], False
    values = {
        "kind": kind, "upload": upload, "by": by, "created_at": _now(), "run": run, "options": equal["with_options"]
    }  # fmt: skip
    connection.execute(upload_statements.ADD_TASK, values)
    return connection.execute(upload_statements.LAST_TASK, {}).fetchone()[0], True
