"""Our files: written whole or not at all, private, and never over other people's."""

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

_OTHER_NAMES_TRIED = 100
_ENCRYPTED = 1
"""Bit of a part's flags (APPNOTE.TXT 4.4.4)."""
_NOT_OURS = (
    OSError, EOFError, ValueError, LookupError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
    ET.ParseError,
)  # fmt: skip
"""What reading a file may raise that is damaged, encrypted, or not a workbook at all."""
_LONGEST_NAME_BYTES = 255
"""In the usual file systems."""

OTHER_PLACE = "Check space and permissions there, or name another path with --results."
ROOM_THERE = "See that there is space, and the right to write there."
ROOM_FOR_TEMPORARY_FILES = "Free some space, or set the variable TMPDIR to another folder that can be written."


def private_folder(path: Path) -> None:
    """Create a folder that only its owner may enter (POSIX), and its parents. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a temporary folder until the block ends. Raises ResultsError if none can be created."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="batch-updater-", ignore_cleanup_errors=True)
    except OSError as error:
        raise no_temporary_folder(error) from error
    with folder as path:
        yield Path(path)


def no_temporary_folder(error: OSError) -> ResultsError:
    """Return the error for temporary files that cannot be written."""
    return ResultsError(
        f"A temporary folder cannot be created: {error.strerror or error}.", remedy=ROOM_FOR_TEMPORARY_FILES
    )


class TemporaryFilesError(OSError):
    """The temporary files of a workbook cannot be written; `strerror` names their folder."""


def remedy_of(error: Exception, otherwise: str) -> str:
    """Return what to do about a file that cannot be written; `otherwise` if its own path is the reason."""
    if isinstance(error, ResultsError) and error.remedy:
        return error.remedy
    if isinstance(error, TemporaryFilesError):
        return ROOM_FOR_TEMPORARY_FILES
    return f"Its folder does not exist. {otherwise}" if isinstance(error, FileNotFoundError) else otherwise


def not_written(what: str, error: Exception, otherwise: str) -> str:
    """Return the sentences that say that something could not be written, and what to do about it."""
    return f"{what} could not be written: {getattr(error, 'strerror', None) or error}. {remedy_of(error, otherwise)}"


@contextmanager
def write_faults(path: Path, otherwise: str) -> Iterator[None]:
    """Turn an OSError into a ResultsError: the path cannot be written."""
    try:
        yield
    except OSError as error:
        why = f"{path} cannot be written: {error.strerror or error}."
        raise ResultsError(why, remedy=remedy_of(error, otherwise), place=Location(file=str(path))) from error


def write_whole(
    path: Path, write: Callable[[Path], object], *, is_free: Callable[[Path], bool] = lambda _: True
) -> Path:
    """Let `write` fill a new file beside the target, then replace the target in one step.

    The target has either its old or its whole new content, whatever happens meanwhile. Returns the path of the file:
    another name if the target is not free, or another program has it open. Raises OSError.
    """
    draft = path.with_name(fitting_name(f".{path.stem}", f"-{secrets.token_hex(4)}{path.suffix}"))
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write(draft)
        draft.chmod(0o600)
        with draft.open("rb+") as written:
            os.fsync(written.fileno())
        # Excel keeps a file `~$...` beside one that it has open. The methods of Path raise where that name is too long.
        is_open = os.path.exists(path) and os.path.exists(path.with_name(f"~${path.name}"))  # noqa: PTH110
        target = path if not is_open and is_free(path) else _other_name(path)
        try:
            draft.replace(target)
        except PermissionError:
            if not target.exists():
                raise  # the folder itself refuses
            target = draft.replace(_other_name(target))
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return target


def write_workbook(path: Path, write: Callable[[Path], object]) -> Path:
    """Do the same for a workbook, which also gets another name if the target is not ours."""
    return write_whole(path, write, is_free=_is_replaceable)


def _other_name(path: Path) -> Path:
    for number in range(2, _OTHER_NAMES_TRIED):
        other = path.with_name(fitting_name(path.stem, f" ({number}){path.suffix}"))
        if not other.exists() and not other.is_symlink():
            return other
    raise PermissionError(f"{path} and its other names are taken")


def fitting_name(name: str, ending: str) -> str:
    """Return name and ending, the name cut where a file system would refuse the whole."""
    while name and len(os.fsencode(f"{name}{ending}")) > _LONGEST_NAME_BYTES:
        name = name[:-1]
    return f"{name}{ending}"


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the system can. Raises OSError."""
    if os.name != "posix":
        return  # Windows cannot sync a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_replaceable(path: Path) -> None:
    """Raise ResultsError unless a workbook may be written there: the path is free, or the file is ours.

    A workbook of ours that was saved by another program since contains a person's work, and is not replaced.
    """
    cause = None
    try:
        if not path.parent.is_dir():
            why, remedy = f"There is no folder {path.parent}.", "Create it, or name another with --results."
        elif path.suffix.lower() != ".xlsx":
            why, remedy = f"{path} cannot be a results workbook.", "Give it a name that ends in .xlsx."
        elif _is_replaceable(path):
            return
        else:
            why = f"{path} already exists, and is not a workbook as batch-updater wrote it."
            remedy = "Move it away, or name another with --results."
    except OSError as error:
        why, remedy = f"{path} cannot be written: {error.strerror or error}.", "Name another with --results."
        cause = error
    raise ResultsError(why, remedy=remedy, place=Location(file=str(path))) from cause


def _is_replaceable(path: Path) -> bool:
    return not path.is_symlink() and (not path.exists() or is_untouched_of_ours(path))


def is_untouched_of_ours(path: Path) -> bool:
    """Whether a file is a workbook with our mark that no other program has saved since."""
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
