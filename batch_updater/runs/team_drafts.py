"""Drafts of uploads where several hosts serve the page: each is on one host at a time, and moves between them.

A draft is a database of SQLite in a folder of one host, its server; a row of the table `drafts` says of which. The
team's database has what is needed to make it on any other host: the uploaded file, the rows as the last check has
staged them, the last comparison (each up to `MOST_BYTES`), and every edit. An edit is there before it is answered, and
only the server of the draft may keep one: each change of the server makes `epoch` higher, and an edit of an older one
is refused.

A host that needs the draft of another one asks for it by `asked_by`. The server looks at that every half second. Unless
it works on the upload, it closes the draft and names the other host as the server; that one fetches the files and makes
the edits in them that came after. A draft whose server is dead is taken without asking. Where the staged rows are not
in the database, because they are too large or were never put there, the file is checked again, edits included.

What a host has in the folder of an upload is as of the epoch in the file `epoch` there. Of any other epoch it is old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.errors import UsageError
from batch_updater.files.reading import read_regular
from batch_updater.files.writing import private_folder, write_whole
from batch_updater.runs.comparison import COMPARED
from batch_updater.runs.draft import DRAFT, Draft, HeldDraftError, Judgement
from batch_updater.runs.edits import KeptEdits
from batch_updater.runs.store import companions
from batch_updater.runs.team_files import MOST_BYTES
from batch_updater.runs.team_uploads import INPUT, IS_ALIVE, TeamUploads
from batch_updater.runs.uploads import StoredUpload, TaskKind

if TYPE_CHECKING:
    from batch_updater.runs.postgres import TeamConnection

_EPOCH = "epoch"
"""Name of the file that says as of when the others in its folder are."""
_COPY = "draft-copy.sqlite"
_LONGEST_EPOCH = 20
_ASKED_FOR_S = 10.0
"""For so long a page waits for the draft of another host."""
_LOOKED_EVERY_S = 0.1
_SERVER = "batch-updater"
"""Who checks a file again, in the list of who did what."""
_CAN_TRAVEL = f"""(EXISTS (SELECT 1 FROM draft_files WHERE draft_files.upload = drafts.upload AND name = '{INPUT}')
    AND (sheet IS NULL AND first_column IS NULL
        OR EXISTS (SELECT 1 FROM draft_files WHERE draft_files.upload = drafts.upload AND name = '{DRAFT}')))"""
"""Whether another host can have all of it: else it waits for its own, as long as that is there."""
_LEASE = f"""SELECT server, epoch, host, {IS_ALIVE}, {_CAN_TRAVEL}, first_column IS NOT NULL, EXISTS (
        SELECT 1 FROM tasks WHERE tasks.upload = drafts.upload AND state IN ('waiting', 'running') AND kind = 'check')
    FROM drafts JOIN servers ON servers.id = server WHERE upload = %s"""
_ASK = f"""UPDATE drafts SET asked_by = %s WHERE upload = %s AND server = %s AND (asked_by IS NULL
    OR asked_by IN (SELECT id FROM servers WHERE NOT {IS_ALIVE}))"""
_TAKE = """UPDATE drafts SET server = %s, epoch = epoch + 1, asked_by = NULL WHERE upload = %s AND epoch = %s"""
_GIVE = f"""UPDATE drafts SET server = asked_by, epoch = epoch + 1, asked_by = NULL
    WHERE upload = %s AND server = %s AND asked_by IS NOT NULL AND {_CAN_TRAVEL} RETURNING server"""
_KEEP_IT = "UPDATE drafts SET asked_by = NULL WHERE upload = %s AND server = %s"
_FENCE = "SELECT 1 FROM drafts WHERE upload = %s AND server = %s AND epoch = %s FOR UPDATE"
_JUDGED = "UPDATE drafts SET verdict = %s, questions = %s WHERE upload = %s"
_STAGED = "UPDATE drafts SET sheet = %s, first_column = %s WHERE upload = %s"
_JUDGEMENT = "SELECT verdict, questions FROM drafts WHERE upload = %s AND verdict IS NOT NULL"
_FILE = "SELECT content FROM draft_files WHERE upload = %s AND name = %s"
_PUT_FILE = """INSERT INTO draft_files (upload, name, content) VALUES (%s, %s, %s)
    ON CONFLICT (upload, name) DO UPDATE SET content = excluded.content"""
_REMOVE_FILE = "DELETE FROM draft_files WHERE upload = %s AND name = %s"
_EDIT = ("number", "batch", "row", "position", "width", "old", "new", "author", "at", "undone_by", "undone_at")
_REFUSAL = ("row", "problems", "by_cell", "accepted_by", "accepted_at")


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _put(table: str, names: Sequence[str], key: str) -> str:
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name != key)
    return (
        f"INSERT INTO {table} (upload, {_columns(names)}) VALUES (%s{', %s' * len(names)})"
        f' ON CONFLICT (upload, "{key}") DO UPDATE SET {changed}'
    )


_PUT_EDIT, _PUT_REFUSAL = _put("draft_edits", _EDIT, "number"), _put("draft_refusals", _REFUSAL, "row")
_EDITS = f"SELECT {_columns(_EDIT)} FROM draft_edits WHERE upload = %s ORDER BY number"
_REFUSALS = f'SELECT {_columns(_REFUSAL)} FROM draft_refusals WHERE upload = %s ORDER BY "row"'


class ElsewhereError(UsageError):
    """The draft of an upload is on another host, which does not give it at this moment."""


class _Lease(NamedTuple):
    """Which server has a draft."""

    server: str
    epoch: int
    host: str
    is_alive: bool
    can_travel: bool
    is_staged: bool
    """Whether it was checked, so that there are rows."""
    is_to_be_checked: bool


class TeamDrafts:
    """The drafts of a team, as one of its servers sees them. From any thread. Every method raises ResultsError."""

    def __init__(self, uploads: TeamUploads) -> None:
        self.uploads = uploads
        self._fetching = threading.Lock()
        self._fetched: dict[str, int] = {}
        """Id of an upload -> the epoch as of which its folder is, where that was looked at."""

    # --- to whom a draft belongs ---

    def bring(self, upload: StoredUpload, let_go: Callable[[], object] = lambda: None) -> TeamJournal:
        """Make this host the server of a draft, with its files in the folder of the upload; returns its journal.

        `let_go` closes what is open of it before its files are replaced. Raises ElsewhereError if another host does not
        give it, UsageError if the upload was removed.
        """
        deadline = time.monotonic() + _ASKED_FOR_S
        while True:
            lease = self._lease(upload)
            if lease.server == self.uploads.server:
                if self._fetched.get(upload.id) != lease.epoch:
                    self._fetch(upload, lease, let_go)
                return TeamJournal(self.uploads, upload.id, lease.epoch)
            if not lease.is_alive:
                self._execute(_TAKE, self.uploads.server, upload.id, lease.epoch)
                continue
            self._ask(upload, lease, is_late=time.monotonic() > deadline)
            time.sleep(_LOOKED_EVERY_S)

    def _lease(self, upload: StoredUpload) -> _Lease:
        with self.uploads.transaction() as connection:
            record = connection.execute(_LEASE, [upload.id]).fetchone()
        if record is None:
            raise UsageError(f"{upload.name} was removed.", remedy="Upload it once more.")
        return _Lease(*record)

    def _ask(self, upload: StoredUpload, lease: _Lease, *, is_late: bool) -> None:
        if not lease.can_travel and not lease.is_to_be_checked:
            raise ElsewhereError(
                f"{upload.name} is on the host {lease.host}, and too large to be moved to this one.",
                remedy=f"Open the page of {lease.host}.",
            )
        if is_late:
            raise ElsewhereError(
                f"{upload.name} is on the host {lease.host}, which works on it just now.",
                remedy=f"Try it again in a moment, or open the page of {lease.host}.",
            )
        self._execute(_ASK, self.uploads.server, upload.id, lease.server)

    def give(self, upload: StoredUpload) -> None:
        """Name the host as the server that has asked for a draft; what this one had open of it is closed."""
        with self._fetching:
            with self.uploads.transaction() as connection:
                given = connection.execute(_GIVE, [upload.id, self.uploads.server]).fetchone()
                if given is None:
                    connection.execute(_KEEP_IT, [upload.id, self.uploads.server])
            if given:
                self._forget(upload)

    def is_here(self, journal: TeamJournal) -> bool:
        """Whether the files in the folder of an upload are still those of a journal, as far as this process knows."""
        return self._fetched.get(journal.upload) == journal.epoch

    def judgement(self, upload_id: str) -> Judgement | None:
        """Return what the rows of a draft come to, wherever it is; None if it is not checked yet."""
        with self.uploads.transaction() as connection:
            record = connection.execute(_JUDGEMENT, [upload_id]).fetchone()
        return Judgement(*record) if record else None

    # --- its files ---

    def _fetch(self, upload: StoredUpload, lease: _Lease, let_go: Callable[[], object]) -> None:
        """Put the files of a draft into its folder, unless they are there."""
        with self._fetching:
            if self._fetched.get(upload.id) == lease.epoch:
                return
            if _epoch_of(upload.folder) != lease.epoch:
                let_go()
                self._forget(upload)
                private_folder(upload.folder)
                for name, file in ((INPUT, upload.file), (DRAFT, DRAFT), (COMPARED, COMPARED)):
                    self._fetch_file(upload, name, file)
                if not (upload.folder / upload.file).exists():
                    raise ElsewhereError(
                        f"{upload.name} was on the host {lease.host}, which is gone, and it is too large to be moved.",
                        remedy="Upload it once more.",
                    )
                _set_epoch(upload.folder, lease.epoch)
            if lease.is_staged and not (upload.folder / DRAFT).exists() and not lease.is_to_be_checked:
                self.uploads.add_task(TaskKind.CHECK, _SERVER, upload=upload.id)
            self._fetched[upload.id] = lease.epoch

    def _fetch_file(self, upload: StoredUpload, name: str, file: str) -> None:
        with self.uploads.transaction() as connection:
            record = connection.execute(_FILE, [upload.id, name]).fetchone()
        if record is not None:
            write_whole(upload.folder / file, lambda draft: draft.write_bytes(record[0]))

    def _forget(self, upload: StoredUpload) -> None:
        """Remove what this host has of a draft: from now on it changes elsewhere."""
        self._fetched.pop(upload.id, None)
        for name in (DRAFT, COMPARED):
            for file in (upload.folder / name, *companions(upload.folder / name)):
                file.unlink(missing_ok=True)
        (upload.folder / _EPOCH).unlink(missing_ok=True)

    def put(self, draft: Draft, journal: TeamJournal) -> None:
        """Put the rows of a draft, which was checked just now, into the team's database; not if they are too large."""
        if (draft.folder / DRAFT).stat().st_size > MOST_BYTES:
            return
        copy = draft.folder / _COPY
        copy.unlink(missing_ok=True)
        try:
            draft.copy_to(copy)
            journal.put_file(DRAFT, copy)
        finally:
            copy.unlink(missing_ok=True)

    def _execute(self, statement: str, *values: object) -> None:
        with self.uploads.transaction() as connection:
            connection.execute(statement, values)


class TeamJournal:
    """Keeps the edits of a draft in the team's database, as long as this host is its server."""

    def __init__(self, uploads: TeamUploads, upload: str, epoch: int) -> None:
        self._uploads = uploads
        self.upload = upload
        self.epoch = epoch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TeamJournal) and (self.upload, self.epoch) == (other.upload, other.epoch)

    def __hash__(self) -> int:
        return hash((self.upload, self.epoch))

    def edits(self) -> KeptEdits:
        """Return all that are kept."""
        with self._uploads.transaction() as connection:
            edits = connection.execute(_EDITS, [self.upload]).fetchall()
            refusals = connection.execute(_REFUSALS, [self.upload]).fetchall()
        return KeptEdits(
            tuple(dict(zip(_EDIT, record, strict=True)) for record in edits),
            tuple(dict(zip(_REFUSAL, record, strict=True)) for record in refusals),
        )

    def edits_of(self, sheet: str | None, first_column: int) -> KeptEdits:
        """Return those that are kept, if they are of that sheet and its columns; else none."""
        with self._uploads.transaction() as connection:
            statement = "SELECT sheet, first_column FROM drafts WHERE upload = %s"
            place = connection.execute(statement, [self.upload]).fetchone()
        return self.edits() if place == (sheet, first_column) else KeptEdits()

    def keep(self, changed: KeptEdits, judgement: Judgement) -> None:
        """Keep edits that were made or undone just now. Raises HeldDraftError."""
        with self._uploads.transaction() as connection:
            self._require_server(connection)
            self._put(connection, changed)
            connection.execute(_JUDGED, [judgement.verdict, judgement.questions, self.upload])

    def keep_all(self, edits: KeptEdits, sheet: str | None, first_column: int) -> None:
        """Keep these in place of all others; the rows that were staged before count no more. Raises HeldDraftError."""
        with self._uploads.transaction() as connection:
            self._require_server(connection)
            for table in ("draft_edits", "draft_refusals"):
                connection.execute(f"DELETE FROM {table} WHERE upload = %s", [self.upload])
            self._put(connection, edits)
            connection.execute(_STAGED, [sheet, first_column, self.upload])
            connection.execute(_REMOVE_FILE, [self.upload, DRAFT])

    def judge(self, judgement: Judgement) -> None:
        """Keep what the rows come to. Raises HeldDraftError."""
        self.keep(KeptEdits(), judgement)

    def put_file(self, name: str, path: Path) -> None:
        """Put a file of the draft into the database, unless it is too large. Raises HeldDraftError, OSError."""
        with self._uploads.transaction() as connection:
            self._require_server(connection)
            if path.stat().st_size > MOST_BYTES:
                connection.execute(_REMOVE_FILE, [self.upload, name])
            else:
                connection.execute(_PUT_FILE, [self.upload, name, path.read_bytes()])

    def _require_server(self, connection: TeamConnection) -> None:
        if connection.execute(_FENCE, [self.upload, self._uploads.server, self.epoch]).fetchone() is None:
            raise HeldDraftError("Another host has taken over the file. Load the page again.")

    def _put(self, connection: TeamConnection, edits: KeptEdits) -> None:
        with connection.cursor() as cursor:
            for statement, names, records in (
                (_PUT_EDIT, _EDIT, edits.edits),
                (_PUT_REFUSAL, _REFUSAL, edits.refusals),
            ):
                if records:
                    cursor.executemany(statement, [[self.upload, *(one[name] for name in names)] for one in records])


def _epoch_of(folder: Path) -> int:
    """Return as of which epoch the files in a folder are: without that file of the first, as they were uploaded."""
    with suppress(OSError, ValueError):
        return int(read_regular(folder / _EPOCH, _LONGEST_EPOCH))
    return 1


def _set_epoch(folder: Path, epoch: int) -> None:
    write_whole(folder / _EPOCH, lambda draft: draft.write_text(str(epoch), encoding="utf-8"))
