"""What one night leaves for the next: how it ended, and which files it was about to put away."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_updater.files.reading import read_regular
from batch_updater.files.writing import private_folder, write_whole
from batch_updater.nightly.inbox import Stamp, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.nightly.inbox import Waiting

_MOST_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class InHand:
    """A file that is being run: if its run has ended and the file is still there, only the moving is missing."""

    path: str
    stamp: Stamp
    since: datetime
    """When it was taken in hand, or last left for another night."""
    nights: int = 0
    """In how many nights on end the API has failed at rows of it."""
    is_over: bool = False
    """Whether no night may go on with it: newer files may have had their turn since."""
    refused_on: tuple[str, ...] = ()
    """The dates of the last nights, in which it was left because every row was refused in the same way."""

    def is_of(self, file: Waiting) -> bool:
        """Whether that is still the very file."""
        return self.path == str(file.path) and self.stamp == file.stamp


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered."""

    exit_code: int | None = None
    """Of the last night; None if there was none."""
    in_hand: tuple[InHand, ...] = ()

    def held(self, file: Waiting) -> InHand | None:
        """Return what is noted of that very file."""
        return next((held for held in self.in_hand if held.is_of(file)), None)


class MemoryFile:
    """Keeps the memory of the nights over one inbox in the folder of results, where those of others may lie."""

    def __init__(self, folder: Path, inbox: Path | None) -> None:
        self.path = folder / f".nightly-{hashlib.sha256(os.fsencode(inbox or '')).hexdigest()[:12]}.json"
        self._memory: Memory | None = None

    @property
    def memory(self) -> Memory:
        """What is remembered; read when it is first asked for, which is when the lock is held."""
        if self._memory is None:
            self._memory = _read(self.path)
        return self._memory

    def take_in_hand(self, file: Waiting, since: datetime) -> None:
        """Note the file that is run next; what has left the inbox is forgotten. Raises OSError."""
        held = self.memory.held(file) or InHand(str(file.path), file.stamp, since)
        others = [one for one in self.memory.in_hand if one != held and stamp_of(Path(one.path)) == one.stamp]
        self._keep(replace(self.memory, in_hand=(*others, held)))

    def leave(self, file: Waiting, refused_on: tuple[str, ...] = ()) -> None:
        """Note that rows of a file in hand are left for one more night. Raises OSError."""
        now = datetime.now(UTC)
        self._change(
            file,
            lambda held: replace(held, since=now, nights=held.nights + 1, is_over=False, refused_on=refused_on),
        )

    def give_up(self, file: Waiting) -> None:
        """Note that no night may go on with a file in hand, before newer ones have their turn. Raises OSError."""
        self._change(file, lambda held: replace(held, is_over=True))

    def put_down(self, file: Waiting) -> None:
        """Note that a file has been put away. Raises OSError."""
        self._keep(replace(self.memory, in_hand=tuple(one for one in self.memory.in_hand if not one.is_of(file))))

    def end(self, exit_code: int) -> None:
        """Note how the night ended; what is still in hand stays noted. Raises OSError."""
        self._keep(replace(self.memory, exit_code=exit_code))

    def _change(self, file: Waiting, change: Callable[[InHand], InHand]) -> None:
        in_hand = tuple(change(one) if one.is_of(file) else one for one in self.memory.in_hand)
        self._keep(replace(self.memory, in_hand=in_hand))

    def _keep(self, memory: Memory) -> None:
        text = json.dumps(asdict(memory), default=datetime.isoformat)
        private_folder(self.path.parent)
        write_whole(self.path, lambda draft: _write(draft, text))
        self._memory = memory


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> Memory:
    """Read the memory; one that is missing or damaged is empty: it is written whole, so that takes other hands."""
    try:
        told = json.loads(read_regular(path, _MOST_BYTES))
        return Memory(told["exit_code"], tuple(_held(one) for one in told["in_hand"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Memory()


def _held(told: dict[str, Any]) -> InHand:
    stamp, since = Stamp(**told["stamp"]), datetime.fromisoformat(told["since"])
    refused_on = tuple(map(str, told.get("refused_on", ())))  # earlier versions do not write it
    return InHand(told["path"], stamp, since, int(told["nights"]), bool(told["is_over"]), refused_on)
