"""Files of ours: written whole or not at all, private, and never over somebody else's."""

from __future__ import annotations

import os
import secrets
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

from batch_updater.errors import Location, ResultsError
from batch_updater.files.reading import open_regular
from batch_updater.records import MARK_PROPERTY

_OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
_OTHER_NAMES_TRIED = 100
_ENCRYPTED = 1
"""Bit of a part's flags (APPNOTE.TXT 4.4.4)."""
_NOT_OURS = (
    OSError, EOFError, ValueError, LookupError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
    ET.ParseError,
)  # fmt: skip
"""What reading a file of somebody else's may raise, which is damaged, encrypted, or no workbook at all."""
_LONGEST_NAME_BYTES = 255
"""Of the usual file systems."""

OTHER_PLACE = "See that there is space and the right to write there, or name another place with --results."
ROOM_FOR_TEMPORARY_FILES = "Free some space, or set the variable TMPDIR to another folder that can be written."


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it, that only its owner may enter (POSIX). Returns it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
    return path


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder until the block ends. Raises ResultsError if none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="batch-updater-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_temporary_folder(error) from error
    with folder as path:
        yield Path(path)


def no_temporary_folder(error: OSError) -> ResultsError:
    """Return what is said where temporary files cannot be kept."""
    return ResultsError(
        f"A temporary folder cannot be made: {error.strerror or error}.", remedy=ROOM_FOR_TEMPORARY_FILES
    )


class TemporaryFilesError(OSError):
    """The temporary files, from which a workbook is put together, cannot be written; `strerror` names their folder."""


def remedy_of(error: Exception, otherwise: str) -> str:
    """Return what to do about a file that cannot be written; `otherwise` where the place itself is to blame."""
    if isinstance(error, ResultsError) and error.remedy:
        return error.remedy
    if isinstance(error, TemporaryFilesError):
        return ROOM_FOR_TEMPORARY_FILES
    return f"Its folder is not there. {otherwise}" if isinstance(error, FileNotFoundError) else otherwise


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
    # Not the methods of Path: those raise where `~$` makes a name longer than a file system takes.
    return os.path.exists(path) and os.path.exists(path.with_name(f"~${path.name}"))  # noqa: PTH110


def _other_name(path: Path) -> Path:
    for number in range(2, _OTHER_NAMES_TRIED):
        other = path.with_name(fitting_name(path.stem, f" ({number}){path.suffix}"))
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


def _at(path: Path) -> Location:
    return Location(file=str(path))


def _is_replaceable(path: Path) -> bool:
    return not path.is_symlink() and (not path.exists() or is_untouched_of_ours(path))


def is_untouched_of_ours(path: Path) -> bool:
    """Whether the workbook has our mark, and was not saved by another program since; whatever else it is, is not."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            marks = {element.get("name") for element in _part(archive, "docProps/custom.xml")}
            dates = {element.tag.rpartition("}")[2]: element.text for element in _part(archive, "docProps/core.xml")}
    except _NOT_OURS:
        return False
    return MARK_PROPERTY in marks and dates.get("created") is not None and dates["created"] == dates.get("modified")


def _part(archive: zipfile.ZipFile, name: str) -> ET.Element:
    """Return a part of a workbook. Raises `_NOT_OURS`."""
    part = archive.getinfo(name)
    if part.file_size > 1_000_000 or part.flag_bits & _ENCRYPTED or part.compress_type != zipfile.ZIP_DEFLATED:
        raise KeyError(name)  # ours are small and as XlsxWriter packs them
    return ET.fromstring(archive.read(part))  # noqa: S314  (small, and expat bounds what entities may unfold to)
