"""What one night leaves for the next: its exit code, and the files that were run and not archived."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.errors import ResultsError
from batch_updater.files.reading import read_regular
from batch_updater.files.writing import private_folder, write_whole
from batch_updater.nightly.inbox import ReadyFile, Stamp, stamp_of
from batch_updater.runs.team_folders import team_of
from batch_updater.text.typed_values import typed

_MOST_BYTES = 10_000_000
_NIGHTS_APART = timedelta(hours=12)
"""A start sooner after the last is the same night: a scheduler tries again every half hour."""
_GET = "SELECT content FROM nights WHERE name = %(name)s"
_PUT = """
    INSERT INTO nights (name, content) VALUES (%(name)s, %(content)s)
    ON CONFLICT (name) DO UPDATE SET content = excluded.content"""


class PendingFile(msgspec.Struct, frozen=True):
    """A file that was begun. If its run has ended since and the file is still there, only the move is missing."""

    path: str
    stamp: Stamp
    since: datetime
    """When it was begun, or last left for another night."""
    nights: int = 0
    """On how many nights in a row it was left with trouble of its own."""
    counted_at: datetime | None = None
    """When the last of them began."""

    def is_of(self, file: ReadyFile) -> bool:
        """Whether it is still that very file."""
        return (self.path, self.stamp) == (str(file.path), file.stamp)

    def nights_with(self, now: datetime) -> int:
        """Return the number of those nights if it is left with trouble of its own once more."""
        return self.nights + (self.counted_at is None or now - self.counted_at >= _NIGHTS_APART)


class NightState(msgspec.Struct, frozen=True):
    """What is kept between nights."""

    exit_code: int | None = None
    """Of the last night; None if there was none. Of the last one with trouble, while no one knows that it is over."""
    pending: tuple[PendingFile, ...] = ()
    running_since: datetime | None = None
    """When the night that is going on was started. There still when the next one starts: it was killed."""
    killed: tuple[datetime, ...] = ()
    """When nights were started that were killed, as long as no one has been told of it."""
    removed: tuple[str, ...] = ()
    """Names of old runs that were removed, as long as no one has been told of it."""


class StateStore:
    """Keeps the state of the nights over one inbox: in a file in the folder of results, for a team in its database.

    Machines of a team that have the same path as their inbox share the state. All methods raise ResultsError if it
    cannot be written, or if a team's database cannot be used.
    """

    def __init__(self, folder: Path, inbox: Path | None) -> None:
        self.path = folder / f".nightly-{hashlib.sha256(os.fsencode(inbox or '')).hexdigest()[:12]}.json"
        """The file; its name is that of the record in a team's database, too."""
        self._state: NightState | None = None

    @property
    def state(self) -> NightState:
        """The state, read on first use, when the lock is held. A missing or damaged one is empty."""
        if self._state is None:
            try:
                self._state = typed(json.loads(self._read()), NightState)
            except (OSError, ValueError, msgspec.ValidationError):
                self._state = NightState()
        return self._state

    def _read(self) -> str | bytes:
        if team := team_of(self.path.parent):
            with team.session() as connection:
                record = connection.execute(_GET, {"name": self.path.name}).fetchone()
            if record:
                return str(record[0])
        return read_regular(self.path, _MOST_BYTES)  # for a team, what this machine knew before it joined

    def start(self, now: datetime) -> tuple[datetime, ...]:
        """Note that a night starts. Returns when those before it started that were killed and are not told of yet."""
        state = self.state
        killed = (*state.killed, *([state.running_since] if state.running_since else []))
        self._write(replace(state, running_since=now, killed=killed))
        return killed

    def begin(self, file: ReadyFile) -> PendingFile:
        """Note that a file is run next, and forget files that have left the inbox. Returns what is known of it."""
        pending = self.pending(file) or PendingFile(str(file.path), file.stamp, datetime.now(UTC))
        self._put(pending, file)
        return pending

    def leave(self, file: ReadyFile, night: datetime, *, own_trouble: bool) -> None:
        """Note that a file that was begun is left for another night."""
        if (pending := self.pending(file)) is None:
            return
        left, nights = replace(pending, since=datetime.now(UTC)), pending.nights_with(night)
        if own_trouble and nights > pending.nights:
            left = replace(left, nights=nights, counted_at=night)
        self._put(left, file)

    def remove(self, file: ReadyFile) -> None:
        """Note that a file is archived."""
        self._write(replace(self.state, pending=tuple(one for one in self.state.pending if not one.is_of(file))))

    def end(self, exit_code: int, started_at: datetime, removed: Sequence[str]) -> None:
        """Note how the night that started then ended, and which old runs it has removed."""
        state = self.state
        running_since = None if state.running_since == started_at else state.running_since
        removed = (*state.removed, *removed)
        self._write(replace(state, exit_code=exit_code, running_since=running_since, removed=removed))

    def told(self, killed: Collection[datetime]) -> None:
        """Note that people were told of those nights that were killed, and of all runs that were removed."""
        left = tuple(one for one in self.state.killed if one not in killed)
        if (left, ()) != (self.state.killed, self.state.removed):
            self._write(replace(self.state, killed=left, removed=()))

    def pending(self, file: ReadyFile) -> PendingFile | None:
        """Return what is known of that very file."""
        return next((one for one in self.state.pending if one.is_of(file)), None)

    def _put(self, pending: PendingFile, file: ReadyFile) -> None:
        others = (one for one in self.state.pending if not one.is_of(file) and stamp_of(Path(one.path)) == one.stamp)
        self._write(replace(self.state, pending=(*others, pending)))

    def _write(self, state: NightState) -> None:
        text = json.dumps(msgspec.to_builtins(state))  # a name may hold bytes that msgspec does not encode
        if team := team_of(self.path.parent):
            with team.session() as connection:
                connection.execute(_PUT, {"name": self.path.name, "content": text})
        else:
            try:
                private_folder(self.path.parent)
                write_whole(self.path, lambda draft: draft.write_text(text, encoding="utf-8"))
            except OSError as error:
                raise ResultsError(
                    f"{self.path} could not be written: {error.strerror}.", remedy="See that the job may write there."
                ) from error
        self._state = state
