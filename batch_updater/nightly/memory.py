"""What one night leaves for the next: how it ended, and which file it was about to put away."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from batch_updater.files import private_folder, write_whole
from batch_updater.nightly.inbox import Stamp, Waiting

if TYPE_CHECKING:
    from pathlib import Path

_NAME = ".nightly.json"


@dataclass(frozen=True, slots=True)
class InHand:
    """A file that is being run: if its run has ended and the file is still there, only the moving is missing."""

    path: str
    stamp: Stamp
    since: datetime

    def is_of(self, file: Waiting) -> bool:
        """Whether that is still the very file."""
        return self.path == str(file.path) and self.stamp == file.stamp


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered."""

    exit_code: int | None = None
    """Of the last night; None if there was none."""
    in_hand: InHand | None = None


class MemoryFile:
    """Keeps the memory in the folder of results."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self.memory = _read(self._path)

    def take_in_hand(self, file: Waiting, since: datetime) -> None:
        """Note the file that is run next. Raises OSError."""
        self._keep(replace(self.memory, in_hand=InHand(str(file.path), file.stamp, since)))

    def put_down(self) -> None:
        """Note that the file in hand has been put away. Raises OSError."""
        self._keep(replace(self.memory, in_hand=None))

    def end(self, exit_code: int) -> None:
        """Note how the night ended; what is still in hand stays noted. Raises OSError."""
        self._keep(replace(self.memory, exit_code=exit_code))

    def _keep(self, memory: Memory) -> None:
        text = json.dumps(asdict(memory), default=datetime.isoformat)
        private_folder(self._path.parent)
        write_whole(self._path, lambda draft: _write(draft, text))
        self.memory = memory


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> Memory:
    """Read the memory; one that is missing or damaged is empty: the worst is a message too many or too few."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        held = told["in_hand"]
        in_hand = held and InHand(held["path"], Stamp(**held["stamp"]), datetime.fromisoformat(held["since"]))
        return Memory(told["exit_code"], in_hand)
    except (OSError, ValueError, KeyError, TypeError):
        return Memory()
