"""`web.sqlite`: the spreadsheets given to the page, what is to be done with them, and who did what."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from batch_updater.questions import NO_ANSWERS, Answers, Question, SampledColumn


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
    """Name of the last run that began from it."""


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


class SendingOptions(msgspec.Struct, frozen=True):
    """What a person chose when sending."""

    override_guards: bool = False
    """Only with an approval."""
    restart: bool = False
    resume_old: bool = False


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
    """`uploaded`, `answered`, `edited`, `undid an edit`, `approved`, `sent`, `stopped`, `resumed`, `closed`,
    `undid`, `removed`, `renamed a layout`, `deleted a layout` ..."""
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


class Uploads:
    """The database of the page. Every method may be called from any thread, and is one transaction."""

    def __init__(self, folder: Path) -> None:
        """`folder`: `web` in the folder of results; it is made if need be. Raises ResultsError."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database."""
        raise NotImplementedError

    # --- uploads ---

    def new_folder(self) -> tuple[str, Path]:
        """Return the id of a new upload and its folder, into which its file is written before `add`."""
        raise NotImplementedError

    def add(
        self,
        upload_id: str,
        name: str,
        file: str,
        by: str,
        *,
        source_path: str | None = None,
        repairs: str | None = None,
        undoes: str | None = None,
    ) -> StoredUpload:
        """Keep an upload whose file is in its folder, with a task that checks it."""
        raise NotImplementedError

    def upload(self, upload_id: str) -> StoredUpload | None:
        """Return an upload; None if there is none of that id."""
        raise NotImplementedError

    def uploads(self) -> tuple[StoredUpload, ...]:
        """Return all uploads, the newest first."""
        raise NotImplementedError

    def repair_of(self, run: str) -> StoredUpload | None:
        """Return the newest upload that repairs a run; None if there is none."""
        raise NotImplementedError

    def answer(self, upload_id: str, answers: Answers, by: str, *, layout: str | None, remember: str | None) -> None:
        """Keep the answers about a file, in place of earlier ones, with a task that checks it again."""
        raise NotImplementedError

    def set_compare(self, upload_id: str, by: str, *, compare: bool) -> None:
        """Keep whether records are read first."""
        raise NotImplementedError

    def set_asked(self, upload_id: str, asked: OpenColumnsQuestions | None) -> None:
        """Keep what a check has to ask; None: nothing."""
        raise NotImplementedError

    def remove(self, upload_id: str, by: str) -> None:
        """Remove an upload and its folder, unless a task of it is waiting or running (UsageError)."""
        raise NotImplementedError

    # --- tasks ---

    def add_task(
        self,
        kind: TaskKind,
        by: str,
        *,
        upload: str | None,
        run: str | None = None,
        options: SendingOptions = NO_OPTIONS,
    ) -> Task:
        """Put a task into the queue; that of an equal one which is still waiting is returned instead."""
        raise NotImplementedError

    def tasks(self, upload_id: str) -> tuple[Task, ...]:
        """Return the tasks of an upload, the newest first."""
        raise NotImplementedError

    def open_tasks(self) -> tuple[Task, ...]:
        """Return the tasks that are waiting or running, in their order."""
        raise NotImplementedError

    def task_of_run(self, run: str) -> Task | None:
        """Return the newest task that works, or has worked, on a run."""
        raise NotImplementedError

    # --- who did what ---

    def note(self, by: str, what: str, *, upload: str | None = None, run: str | None = None, text: str = "") -> None:
        """Keep who did what."""
        raise NotImplementedError

    def events(self, *, upload: str | None = None, run: str | None = None, most: int = 100) -> tuple[Event, ...]:
        """Return what was done, the newest first: all, or with one upload (what led to it included), or run."""
        raise NotImplementedError

    def approve(self, upload_id: str, digest: str, by: str) -> None:
        """Keep an approval."""
        raise NotImplementedError

    def approval(self, upload_id: str, digest: str) -> Approval | None:
        """Return the approval of that content; one of another content is withdrawn by this."""
        raise NotImplementedError

    def people_of(self, upload_id: str) -> frozenset[str]:
        """Return who uploaded, answered or edited it: none of them may approve it."""
        raise NotImplementedError

    # --- sessions ---

    def add_session(self, digest: str, user: str, expires_at: datetime) -> None:
        """Keep a session by the digest of its cookie."""
        raise NotImplementedError

    def session_user(self, digest: str, now: datetime) -> str | None:
        """Return whose session it is; None if there is none, or it has expired."""
        raise NotImplementedError
