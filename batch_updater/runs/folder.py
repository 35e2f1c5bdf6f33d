"""The copy of the input that a run works on, so that the file may change or vanish while it is worked through."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, TypeGuard, Union, cast

import msgspec

from batch_updater.errors import InputError, Location, ResultsError, StoreError
from batch_updater.files.reading import PrivateFile, UnfitFileError, open_regular
from batch_updater.text.spelling import nearest

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = Union[Path, BinaryIO, "pd.DataFrame"]
"""A file, a stream of CSV bytes, or a DataFrame of pandas."""
_CHUNK_BYTES = 1 << 20
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of the workbooks of every format."""
_STEM_CHARACTERS = 60
_STEM_BYTES = 180
"""The longest name made of it is `<stem>-results-YYYYMMDD-HHMMSS (99).xlsx`, and file systems take 255 bytes."""
_RESERVED = "con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]"
"""Names that Windows keeps for devices, whatever follows a dot behind them (Naming Files, Paths, and Namespaces)."""


class Snapshot(msgspec.Struct, frozen=True):
    """A copy of the input, byte for byte."""

    path: Path
    """The copy: `input.<ext>`."""
    name: str
    """What people call the input: its path as they gave it, or `standard input`."""
    stem: str
    """The input's name without ending, in characters that every file system takes."""
    sha256: str
    source_path: str | None = None
    """Absolute path of the input; None if it was no file."""


def safe_stem(name: str) -> str:
    """Return a file's name without ending, in letters and digits of any script, dot, dash and underscore.

    Composed (NFC), since macOS gives names with their accents apart; at most `_STEM_CHARACTERS` and `_STEM_BYTES`.
    """
    text = unicodedata.normalize("NFC", Path(name).stem)
    # Where names are not kept in UTF-8, a folder cannot be named with letters that the encoding lacks.
    encoding = sys.getfilesystemencoding()
    text = text.encode(encoding, "replace").decode(encoding)
    # Letters, marks on them (as the vowels of Indic scripts) and digits stay; what only joins or parts letters goes.
    kept = "".join(
        character if character in "._-" or unicodedata.category(character)[0] in "LMN" else "/"
        for character in text
        if unicodedata.category(character) != "Cf"
    )
    stem = re.sub("/+", "_", kept).strip("._")
    while stem and unicodedata.category(stem[0])[0] == "M":  # without the letter that it belongs to
        stem = stem[1:].lstrip("._")
    stem = re.sub(rf"(?i)^({_RESERVED})\.", r"\1_", stem)
    end = min(len(stem), _STEM_CHARACTERS)  # as much as fits, and no letter without its marks
    while len(os.fsencode(stem[:end])) > _STEM_BYTES or (end < len(stem) and unicodedata.category(stem[end])[0] == "M"):
        end -= 1
    return stem[:end].rstrip("._") or "input"


def is_file_name(name: str) -> bool:
    """Whether a name, whatever its source, stays in the folder that it is looked for in: it is not a path."""
    return PurePath(name).name == name and name not in {"", ".."} and not {"\\", "\0"} & {*name}


def take(source: Source, folder: Path) -> Snapshot:
    """Copy the input into the folder: a file as it is, standard input and a DataFrame as CSV.

    Raises InputError if a file cannot be read, or if it changed while it was read.
    """
    if isinstance(source, Path):
        return _take_file(source, folder)
    if _is_frame(source):
        return _take_frame(source, folder)
    return _take_stream(cast("BinaryIO", source), folder)


def stem_of(source: Source) -> str:
    """Return the name that a run's folder and workbook carry for the input."""
    if isinstance(source, Path):
        return safe_stem(source.name)
    return "dataframe" if _is_frame(source) else "stdin"


def name_of(source: Source) -> str:
    """Return what another process is told of the input: where it is."""
    if isinstance(source, Path):
        return str(source.resolve())
    return "DataFrame" if _is_frame(source) else "standard input"


def sha256_of(path: Path) -> str:
    """Return the digest of a file. Raises OSError."""
    with open_regular(path) as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def _is_frame(source: Source) -> TypeGuard[pd.DataFrame]:
    """Tell a DataFrame without importing pandas, which takes longer than a small run."""
    return hasattr(source, "to_csv")


def _take_frame(frame: pd.DataFrame, folder: Path) -> Snapshot:
    """Write the frame as CSV, which every value survives as text: whole numbers with all digits, dates as ISO.

    An index is a column like any other if it has a name, as after `set_index`.
    """
    copy = folder / "input.csv"
    place = Location(file=name_of(frame))
    if frame.columns.nlevels > 1:
        raise InputError(
            f"The columns of the DataFrame have {frame.columns.nlevels} levels (MultiIndex), but a header is one text.",
            remedy="Give each column one name, such as by frame.columns = frame.columns.map(' '.join).",
            place=place,
        )
    named = [name for name in frame.index.names if name is not None]
    if doubled := [name for name in named if name in frame.columns]:
        raise InputError(
            f"The index of the DataFrame and a column are both named {doubled[0]!r}.",
            remedy="Rename one of them, or leave the index out: frame.reset_index(drop=True).",
            place=place,
        )
    if named:
        frame = frame.reset_index(level=named)
    try:
        with _create(copy) as writer, _write_faults(copy):
            frame.to_csv(writer, index=False, encoding="utf-8", lineterminator="\r\n", date_format=None)
    except UnicodeEncodeError as error:
        raise InputError(
            f"The DataFrame holds {error.object[error.start : error.end]!r}, which is no character of its own.",
            remedy="Decode its texts with the encoding that they have.",
            place=place,
        ) from error
    return Snapshot(copy, name_of(frame), "dataframe", sha256_of(copy))


def _take_stream(stream: BinaryIO, folder: Path) -> Snapshot:
    copy = folder / "input.csv"
    beginning = stream.read(_CHUNK_BYTES)
    # Looked at before anything is copied: what never ends, as /dev/zero, would fill the disk first.
    is_workbook = beginning[:4] in _WORKBOOKS
    if is_workbook or (beginning and not beginning.strip(b"\0")):
        holds = "a workbook" if is_workbook else "nothing but zero bytes"
        raise InputError(
            f"Standard input holds {holds}, but only CSV is read from it.",
            remedy="Name the file instead of -.",
            place=Location(file="standard input"),
        )
    return Snapshot(copy, "standard input", "stdin", _copy(chain((beginning,), _chunks(stream)), copy))


def _take_file(source: Path, folder: Path) -> Snapshot:
    copy = folder / f"input{source.suffix.lower()}"
    try:
        with open_regular(source) as reader:
            before = os.fstat(reader.fileno())
            sha256 = _copy(_chunks(reader), copy)
            after = source.stat()
    except OSError as error:
        message, remedy = f"{source} cannot be read: {error.strerror or error}.", "Copy the file here and try again."
        if isinstance(error, FileNotFoundError):
            message, remedy = f"There is no file {source}.", _file_meant(source)
        elif isinstance(error, IsADirectoryError) or source.is_dir():
            message, remedy = f"{source} is a folder, not a file.", "Name the file inside it."
        elif isinstance(error, UnfitFileError):
            message = f"{source} is a device or a pipe, not a file."
            remedy = "Name a file; CSV from another program is read from standard input, with - as its name."
        elif isinstance(error, PermissionError):
            message = f"{source} may not be read."
            remedy = "Close it in other programs, and see that you have the right to read it."
        raise InputError(message, remedy=remedy, place=Location(file=str(source))) from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise InputError(
            f"{source} changed while it was being read.",
            remedy="Wait until the program that writes it has finished, then start again.",
            place=Location(file=str(source)),
        )
    return Snapshot(copy, str(source), safe_stem(source.name), sha256, str(source.resolve()))


def _file_meant(path: Path) -> str:
    """Return a sentence on the file of the same folder that a path which is none is probably meant for."""
    try:
        names = [other.name for other in path.parent.iterdir() if other.is_file()]
    except OSError:
        names = []
    close = nearest(path.name, names)
    return f"Did you mean {path.with_name(close)}?" if close else "Check the name and the folder."


def restore_copy(snapshot: Snapshot, target: Path) -> None:
    """Put a copy of the copy at the target unless there is one, whatever else is there. Raises ResultsError."""
    with suppress(OSError):
        if sha256_of(target) == snapshot.sha256:
            return
    with _write_faults(target):
        target.unlink(missing_ok=True)
    with snapshot.path.open("rb") as reader:
        _copy(_chunks(reader), target)


def _chunks(reader: BinaryIO) -> Iterator[bytes]:
    return iter(partial(reader.read, _CHUNK_BYTES), b"")


def _copy(chunks: Iterable[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with _create(target) as writer:
        for chunk in chunks:
            digest.update(chunk)
            with _write_faults(target):
                writer.write(chunk)
    return digest.hexdigest()


def _create(path: Path) -> PrivateFile:
    with _write_faults(path):
        return PrivateFile(path, "xb")


@contextmanager
def _write_faults(path: Path) -> Iterator[None]:
    """Tell a copy that cannot be written from an input that cannot be read."""
    try:
        yield
    except OSError as error:
        raise ResultsError(
            f"The copy of the input {path} cannot be written: {error.strerror or error}.",
            remedy="See that there is space and the right to write there, or name another folder: results.folder in "
            "the configuration for a run, the variable TMPDIR for a check.",
            place=Location(file=str(path)),
        ) from error


def claim_folder(
    parent: Path, started_at: datetime, stem: str, is_free: Callable[[str], bool] = lambda _: True
) -> Path:
    """Make a private folder for a run, `YYYYMMDD-HHMMSS-<stem>` (UTC), or with `-2`, `-3` ... if that is taken.

    `is_free` says whether no other host has taken a name.
    """
    name, taken = f"{started_at:%Y%m%d-%H%M%S}-{stem}", 1
    while True:
        folder = parent / (name if taken == 1 else f"{name}-{taken}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            taken += 1
        else:
            if is_free(folder.name):
                return folder
            folder.rmdir()
            taken += 1


@contextmanager
def folder_faults(folder: Path) -> Iterator[None]:
    """Turn whatever fails in a folder of results into a ResultsError."""
    remedy = "See that there is space and the right to write there, or name another folder under results.folder."
    try:
        yield
    except StoreError as error:
        raise ResultsError(str(error), remedy=remedy) from error
    except OSError as error:
        why = error.strerror or error
        raise ResultsError(f"The folder of results {folder} cannot be written: {why}.", remedy=remedy) from error
