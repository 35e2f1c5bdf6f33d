"""Which files of the inbox are ready, and why the others are left for the next time."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

LOOK_S = 2.0
"""How long files are watched, all of them together."""
STILL_S = 10.0
"""A file that was written to more recently is watched until it has been still for so long: an upload may stall."""
_UPLOADING = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".filepart", ".upload", ".uploading")
"""How browsers and file transfer programs name files that are not complete."""
_FOREIGN = "its name fits none of nightly.patterns"


class Stamp(msgspec.Struct, frozen=True):
    """What changes when a file is written to, or another one is put in its place."""

    size_bytes: int
    mtime_ns: int
    inode: int


class ReadyFile(msgspec.Struct, frozen=True):
    """A finished file."""

    path: Path
    stamp: Stamp


class SkippedFile(msgspec.Struct, frozen=True):
    """A file that stays where it is, and why."""

    path: Path
    why: str
    still_since: datetime | None
    """When it, or the file beside it that marks it as open, last changed; None if it is not for the job."""


class Listing(msgspec.Struct, frozen=True):
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
        if why := _unfit(path, patterns, names):
            reasons[path] = why
        elif not path.is_dir():
            watched[path] = stamp_of(path)
    if watched:
        ages_s = (time.time() - stamp.mtime_ns / 1e9 for stamp in watched.values() if stamp)
        time.sleep(max([look_s, *(still_s - age_s for age_s in ages_s if 0 <= age_s < still_s)]))
    ready = []
    for path, before in watched.items():
        after = stamp_of(path)
        if before is None or after is None:
            reasons[path] = "it was taken away while it was looked at"
        elif before != after or path.is_symlink() or not path.is_file():
            reasons[path] = "it is still being written"
        elif after.mtime_ns / 1e9 > time.time():
            reasons[path] = "its time of last change lies in the future; copy it again if it stays here"
        else:
            ready.append(ReadyFile(path, after))
    skipped = (
        SkippedFile(path, why, None if why == _FOREIGN else _still_since(path, names))
        for path, why in sorted(reasons.items())
    )
    return Listing(tuple(sorted(ready, key=lambda file: (file.stamp.mtime_ns, file.path.name))), tuple(skipped))


def _unfit(path: Path, patterns: Sequence[str], names: set[str]) -> str | None:
    """Return why a file is not watched; None if it is, and for a folder that is not worth a word."""
    if path.name.lower().endswith(_UPLOADING):
        return "its name says that it is still being uploaded"
    fits = any(fnmatch.fnmatchcase(path.name.lower(), pattern.lower()) for pattern in patterns)
    if path.is_symlink():
        return "it is a link to a file, and links are not followed"
    if path.is_dir():
        return "it is a folder" if fits else None
    if not fits:
        return _FOREIGN
    if not path.is_file():
        return "it is no file"
    return next((why for beside, why in _marks(path.name).items() if beside in names), None)


def _marks(name: str) -> dict[str, str]:
    """Return the names of files that other programs put beside one that is not ready, and what each of them says."""
    opened = (f"~${name}", f"~${name[2:]}", f".~lock.{name}#")  # Excel marks a long name over its first letters
    uploading = (f"{name}{suffix}" for suffix in _UPLOADING)
    return {
        **dict.fromkeys(opened, "it is open in another program"),
        **dict.fromkeys(uploading, "it is still being uploaded"),
    }


def _still_since(path: Path, names: set[str]) -> datetime | None:
    """Return the last change of a file and of those that mark it as not ready; None if it has gone.

    If that time lies in the future, the time when it came counts.
    """
    now_s, changes_s = time.time(), []
    for one in (path, *(path.with_name(name) for name in _marks(path.name) if name in names)):
        try:
            seen = one.lstat()
        except OSError:
            return None
        changes_s.append(seen.st_mtime if seen.st_mtime <= now_s else seen.st_ctime)
    return datetime.fromtimestamp(max(changes_s), UTC)
