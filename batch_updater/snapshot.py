"""The copy of the input that a run works on, so that the file may change or vanish while it is worked through."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from batch_updater.errors import InputError, Place

if TYPE_CHECKING:
    from datetime import datetime

_CHUNK_BYTES = 1 << 20
_STEM_CHARACTERS = 60
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the input, byte for byte."""

    path: Path
    """The copy: `input.<ext>`."""
    name: str
    """What people call the input: its path as they gave it, or `standard input`."""
    stem: str
    """The input's name without ending, in characters that every file system takes."""
    sha256: str


def safe_stem(name: str) -> str:
    """Return a file's name without ending, in ASCII letters, digits, dot, dash and underscore, 60 at most."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).stem).strip("._")
    return stem[:_STEM_CHARACTERS].rstrip("._") or "input"


def take_snapshot(source: Path, folder: Path) -> Snapshot:
    """Copy the file into the folder as `input.<ext>`.

    Raises InputError if it cannot be read, or if it changed while it was read.
    """
    copy = folder / f"input{source.suffix.lower()}"
    try:
        with source.open("rb") as reader:
            before = os.fstat(reader.fileno())
            sha256 = _copy(reader, copy)
            after = source.stat()
    except OSError as error:
        raise _unreadable(source, error) from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise InputError(
            f"{source} changed while it was being read.",
            remedy="Wait until whoever writes it has finished, then start again.",
            place=Place(file=str(source)),
        )
    return Snapshot(copy, str(source), safe_stem(source.name), sha256)


def take_stdin(stream: BinaryIO, folder: Path) -> Snapshot:
    """Copy CSV from standard input into the folder as `input.csv`."""
    copy = folder / "input.csv"
    return Snapshot(copy, "standard input", "stdin", _copy(stream, copy))


def _copy(reader: BinaryIO, target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
    return digest.hexdigest()


def _unreadable(source: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        message, remedy = f"There is no file {source}.", "Check the name and the folder."
    elif isinstance(error, IsADirectoryError) or source.is_dir():
        message, remedy = f"{source} is a folder, not a file.", "Name the file inside it."
    elif isinstance(error, PermissionError):
        message = f"{source} may not be read."
        remedy = "Close it in other programs, or ask for the right to read it."
    else:
        message, remedy = f"{source} cannot be read: {error.strerror or error}.", "Copy the file here and try again."
    return InputError(message, remedy=remedy, place=Place(file=str(source)))


def run_name(started_at: datetime, stem: str) -> str:
    """Return the name of a run's folder: `YYYYMMDD-HHMMSS-<stem>`, UTC."""
    return f"{started_at:%Y%m%d-%H%M%S}-{stem}"


def claim_folder(staging: Path, folder: Path) -> Path:
    """Give the staging folder its final name, or that name with `-2`, `-3` ... if it is taken. Returns it."""
    taken, candidate = 1, folder
    while True:
        try:
            # rename() replaces an empty folder silently, so the name is claimed by making it first.
            candidate.mkdir(mode=0o700)
        except FileExistsError:
            taken += 1
            candidate = folder.with_name(f"{folder.name}-{taken}")
            continue
        for path in staging.iterdir():
            path.rename(candidate / path.name)
        staging.rmdir()
        return candidate
