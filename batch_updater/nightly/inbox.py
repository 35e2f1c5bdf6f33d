"""Which files of the inbox are finished, and why the others are left for the next time."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

LOOK_S = 2.0
"""How long files are watched, all of them together."""
SETTLED_S = 10.0
"""A file that was written to more recently is watched until it has been still for so long: an upload may stall."""
_UPLOADING = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".filepart", ".upload", ".uploading")
"""How browsers and file transfer programs call what they have not finished."""
_FOREIGN = "its name fits none of nightly.patterns"
_LOCK_PREFIXES = ("~$", ".~lock.")
"""Of Excel and LibreOffice: they lie beside a file that is open."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when somebody writes a file or puts another one in its place."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A finished file."""

    path: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that stays where it is, and why."""

    path: Path
    why: str
    still_since: datetime | None
    """When it, or what lies beside it for its sake, has last changed; None if it is none of ours."""


@dataclass(frozen=True, slots=True)
class Look:
    """What lies in an inbox."""

    finished: tuple[Waiting, ...]
    """The oldest first, by when they were last written."""
    skipped: tuple[Skipped, ...]


def stamp_of(path: Path) -> Stamp | None:
    """Return the file's stamp; None if no file can be seen there."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    return Stamp(seen.st_size, seen.st_mtime_ns, seen.st_ino)


def look(inbox: Path, patterns: Sequence[str], look_s: float = LOOK_S, settled_s: float = SETTLED_S) -> Look:
    """Watch a folder and tell finished files from others.

    It takes `look_s`, or as long as the newest file needs to have been still for `settled_s`.

    Hidden files, lock files of office programs and folders that fit no pattern are passed over. Raises OSError if the
    folder cannot be read.
    """
    names = {entry.name for entry in inbox.iterdir()}
    seen = [inbox / name for name in sorted(names) if not name.startswith((".", "~$"))]
    candidates, skipped = [], []
    for path in seen:
        if why := _unfit(path, patterns, names):
            skipped.append(Skipped(path, why, None if why == _FOREIGN else _still_since(path, names)))
        elif why is None:
            candidates.append(path)
    before = {path: stamp_of(path) for path in candidates}
    if candidates:
        time.sleep(max(look_s, _settles_in_s(before.values(), settled_s)))
    finished = []
    for path, stamp in before.items():
        if why := _unsettled(path, stamp, time.time()):
            skipped.append(Skipped(path, why, _still_since(path, names)))
        elif stamp:
            finished.append(Waiting(path, stamp))
    ordered = sorted(finished, key=lambda file: (file.stamp.mtime_ns, file.path.name))
    return Look(tuple(ordered), tuple(sorted(skipped, key=lambda file: file.path.name)))


def _settles_in_s(stamps: Iterable[Stamp | None], settled_s: float) -> float:
    """Return how long the newest file has to stay as it is; 0 if it has been still for long enough."""
    ages_s = (time.time() - stamp.mtime_ns / 1e9 for stamp in stamps if stamp)
    return max((settled_s - age_s for age_s in ages_s if 0 <= age_s < settled_s), default=0.0)


def _unfit(path: Path, patterns: Sequence[str], names: set[str]) -> str | None:
    """Return why a file is not looked at any further; '' if nobody need hear of it, None if it is to be looked at."""
    if path.name.lower().endswith(_UPLOADING):
        return "its name says that it is still being uploaded"
    fits = any(fnmatch.fnmatchcase(path.name.lower(), pattern.lower()) for pattern in patterns)
    if path.is_symlink():
        return "it is a link to a file, and links are not followed"
    if path.is_dir():
        return "it is a folder" if fits else ""
    if not fits:
        return _FOREIGN
    if not path.is_file():
        return "it is no file"
    if any(beside in names for beside in _lock_names(path.name)):
        return "it is open in another program"
    if any(f"{path.name}{suffix}" in names for suffix in _UPLOADING):
        return "it is still being uploaded"
    return None


def _still_since(path: Path, names: set[str]) -> datetime | None:
    """Return when anything has last happened to a file; None if it has gone. Of a time in the future, when it came."""
    beside = (*_lock_names(path.name), *(f"{path.name}{suffix}" for suffix in _UPLOADING))
    now_s, changes_s = time.time(), []
    for one in (path, *(path.with_name(name) for name in beside if name in names)):
        try:
            seen = one.lstat()
        except OSError:
            return None
        changes_s.append(seen.st_mtime if seen.st_mtime <= now_s else seen.st_ctime)
    return datetime.fromtimestamp(max(changes_s), UTC)


def _lock_names(name: str) -> Iterator[str]:
    """Yield the names that office programs give the file beside one that is open."""
    excel, libre = _LOCK_PREFIXES
    yield f"{excel}{name}"
    yield f"{excel}{name[2:]}"  # Excel puts its mark over the first two letters of a long name
    yield f"{libre}{name}#"


def _unsettled(path: Path, before: Stamp | None, now_s: float) -> str | None:
    """Return why a file is not finished; None if it is."""
    after = stamp_of(path)
    if before is None or after is None:
        return "it was taken away while it was looked at"
    if before != after or path.is_symlink() or not path.is_file():
        return "it is still being written"
    if after.mtime_ns / 1e9 > now_s:
        return "its time of last change lies in the future; copy it anew if it stays here"
    return None
