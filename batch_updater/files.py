"""Files of ours: written whole or not at all, private, and never over somebody else's."""

from __future__ import annotations

import io
import os
import secrets
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from batch_updater.errors import Place, ResultsError
from batch_updater.model import MARK_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import ReadableBuffer

_OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
_OTHER_NAMES_TRIED = 100
_LONGEST_NAME_BYTES = 255
"""Of the usual file systems."""


class PrivateFile(io.FileIO):
    """A file that only its owner may read (POSIX), unbuffered: what cannot be written fails at once, not at the close.

    A full disk takes a part of what it is given and reports how much (POSIX, write); Python's own unbuffered file
    passes that on as a success.
    """

    def __init__(self, path: Path, mode: str) -> None:
        """Open the file; `mode` is that of `open`. Raises OSError."""
        super().__init__(path, mode, opener=lambda name, flags: os.open(name, flags, _OWNER_ONLY))

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it. Raises OSError after a part of it where the rest finds no room."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return size


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it, that only its owner may enter (POSIX). Returns it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
    return path


def write_whole(path: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a new file beside the target, then put it there in one step.

    The target holds either what it held before or the whole new content, whatever happens meanwhile. Returns where
    the file is: under another name if another program holds the target open. Raises OSError.
    """
    return _written(path, write, lambda target: not _held_open(target))


def write_workbook(path: Path, write: Callable[[Path], None]) -> Path:
    """Do the same for a workbook: it goes under another name too if somebody has put a file of theirs there."""
    return _written(path, write, lambda target: not _held_open(target) and _is_replaceable(target))


def _written(path: Path, write: Callable[[Path], None], is_free: Callable[[Path], bool]) -> Path:
    draft = path.with_name(fitting_name(f".{path.stem}", f"-{secrets.token_hex(4)}{path.suffix}"))
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    try:
        write(draft)
        draft.chmod(_OWNER_ONLY)
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        target = _put(draft, path if is_free(path) else _other_name(path))
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return target


def _put(draft: Path, path: Path) -> Path:
    try:
        return draft.replace(path)
    except PermissionError:
        if not path.exists():
            raise  # no other program's doing: the folder itself refuses
    return draft.replace(_other_name(path))


def _held_open(path: Path) -> bool:
    """Whether Excel has it open: it then keeps a file of that name beside it."""
    return path.exists() and path.with_name(f"~${path.name}").exists()


def _other_name(path: Path) -> Path:
    for number in range(2, _OTHER_NAMES_TRIED):
        other = path.with_name(f"{path.stem} ({number}){path.suffix}")
        if not other.exists() and not other.is_symlink():
            return other
    raise PermissionError(f"{path} and its other names are taken")


def fitting_name(name: str, ending: str) -> str:
    """Return both as one name, of which the first loses its end where a file system would refuse it."""
    while name and len(os.fsencode(f"{name}{ending}")) > _LONGEST_NAME_BYTES:
        name = name[:-1]
    return f"{name}{ending}"


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, as far as the system knows how. Raises OSError."""
    if os.name != "posix":
        return  # Windows has no such thing as syncing a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_replaceable(path: Path) -> None:
    """Raise ResultsError unless a workbook may be written there: nothing is there, or one that we wrote.

    One that somebody has saved since we wrote it holds their work, and is theirs.
    """
    try:
        _require_replaceable(path)
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy="Name another with --results.",
            place=_at(path),
        ) from error


def _require_replaceable(path: Path) -> None:
    if not path.parent.is_dir():
        raise ResultsError(
            f"There is no folder {path.parent}.", remedy="Make it, or name another with --results.", place=_at(path)
        )
    if path.suffix.lower() != ".xlsx":
        raise ResultsError(
            f"{path} cannot be a results workbook.", remedy="Give it a name that ends in .xlsx.", place=_at(path)
        )
    if not _is_replaceable(path):
        raise ResultsError(
            f"{path} is there already, and is not a workbook as this program left it.",
            remedy="Move it away, or name another with --results.",
            place=_at(path),
        )


def _at(path: Path) -> Place:
    return Place(file=str(path))


def _is_replaceable(path: Path) -> bool:
    return not path.is_symlink() and (not path.exists() or is_untouched_of_ours(path))


def is_untouched_of_ours(path: Path) -> bool:
    """Whether the workbook has our mark, and was not saved by another program since."""
    try:
        with zipfile.ZipFile(path) as archive:
            marks = {element.get("name") for element in _part(archive, "docProps/custom.xml")}
            dates = {element.tag.rpartition("}")[2]: element.text for element in _part(archive, "docProps/core.xml")}
    except (zipfile.BadZipFile, KeyError, ET.ParseError, OSError):
        return False
    return MARK_PROPERTY in marks and dates.get("created") == dates.get("modified")


def _part(archive: zipfile.ZipFile, name: str) -> ET.Element:
    if archive.getinfo(name).file_size > 1_000_000:
        raise KeyError(name)  # ours are small
    return ET.fromstring(archive.read(name))  # noqa: S314  (small, and expat bounds what entities may unfold to)
