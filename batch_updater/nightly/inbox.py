"""Which files of the inbox are ready, and why the others are left for the next time."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LOOK_S = 2.0
"""How long files are watched, all of them together."""
STILL_S = 10.0
"""A file that was written to more recently is watched until it has been still for so long: an upload may stall."""
_UPLOADING = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".filepart", ".upload", ".uploading")
"""How browsers and file transfer programs name files that are not complete."""
_FOREIGN = "its name fits none of nightly.patterns"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file is written to, or another one is put in its place."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A finished file."""

    path: Path
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that stays where it is, and why."""

    path: Path
    why: str
    still_since: datetime | None
    """When it, or the file beside it that marks it as open, last changed; None if it is not for the job."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of an inbox."""

    ready: tuple[ReadyFile, ...]
    """The oldest first, by their last change."""
    skipped: tuple[SkippedFile, ...]


def stamp_of(path: Path) -> Stamp | None:
    """Return the file's stamp; None if no file can be seen there."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    return Stamp(seen.st_size, seen.st_mtime_ns, seen.st_ino)


def look(inbox: Path, patterns: Sequence[str], look_s: float = LOOK_S, still_s: float = STILL_S) -> Listing:
    """Watch a folder and tell ready files from others.

    It takes `look_s`, or as long as the newest file needs to have been still for `still_s`. Hidden files, lock files of
    office programs and folders that fit no pattern are passed over. Raises OSError if the folder cannot be read.
    """
    names = {entry.name for entry in inbox.iterdir()}
    watched: dict[Path, Stamp | None] = {}
    reasons: dict[Path, str] = {}
    for path in (inbox / name for name in names if not name.startswith((".", "~$"))):
        why = _unfit(path, patterns, names)
        if why is None:
            watched[path] = stamp_of(path)
        elif why:
            reasons[path] = why
    if watched:
        ages_s = (time.time() - stamp.mtime_ns / 1e9 for stamp in watched.values() if stamp)
        time.sleep(max([look_s, *(still_s - age_s for age_s in ages_s if 0 <= age_s < still_s)]))
    ready = []
    for path, stamp in watched.items():
        if why := _unready(path, stamp):
            reasons[path] = why
        elif stamp:
            ready.append(ReadyFile(path, stamp))
    skipped = (
        SkippedFile(path, why, None if why == _FOREIGN else _still_since(path, names))
        for path, why in sorted(reasons.items())
    )
    return Listing(tuple(sorted(ready, key=lambda file: (file.stamp.mtime_ns, file.path.name))), tuple(skipped))


def _unfit(path: Path, patterns: Sequence[str], names: set[str]) -> str | None:
    """Return why a file is not watched; '' if that is not worth a word, None if it is watched."""
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


def _unready(path: Path, before: Stamp | None) -> str | None:
    """Return why a file that was watched is not ready; None if it is."""
    after = stamp_of(path)
    if before is None or after is None:
        return "it was taken away while it was looked at"
    if before != after or path.is_symlink() or not path.is_file():
        return "it is still being written"
    if after.mtime_ns / 1e9 > time.time():
        return "its time of last change lies in the future; copy it again if it stays here"
    return None


def _still_since(path: Path, names: set[str]) -> datetime | None:
    """Return the last change of a file and of those that mark it as open; None if it has gone.

    If that time lies in the future, the time when it came counts.
    """
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
    """Yield the names that Excel and LibreOffice give the file beside one that is open."""
    yield f"~${name}"
    yield f"~${name[2:]}"  # Excel puts its mark over the first two letters of a long name
    yield f".~lock.{name}#"
