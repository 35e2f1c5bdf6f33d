"""Moves a file to done/ or attention/ with its workbook and a note. No file there is replaced, none is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec

from batch_updater.files.writing import fitting_name, sync_folder
from batch_updater.nightly.inbox import ReadyFile, stamp_of

_NAMES_TRIED = 10_000
_PRIVATE = 0o600
_LONGEST_ENDING = 16
"""Characters: what is longer behind a dot is no kind of file."""
_GROUP = 0o060
_CHANGED = "it was changed while it was moved"


class ArchivedPaths(msgspec.Struct, frozen=True):
    """Where everything went."""

    file: Path | None
    """None if it stays where it was: another file has been put in its place."""
    results: Path | None
    note: Path | None


def archive(
    file: ReadyFile, place: Path, day: date, results: Path | None = None, note: str = "", copy: Path | None = None
) -> ArchivedPaths:
    """Move a file to `place/<day>/`, with a copy of its workbook, and its note as `<name>.txt`.

    The file goes last: while it is still in the inbox, the next night finds it there. If another file is in its place
    by now, that one stays, and `copy`, a copy of what was read, is archived. Raises OSError.
    """
    place.mkdir(parents=True, exist_ok=True)
    folder = place / day.isoformat()
    if not folder.is_dir():  # as open as the one it lies in: who may put files there may do so here
        before = os.umask(0)  # a chmod afterwards would take away what the folder of a group hands down
        try:
            folder.mkdir(mode=place.stat().st_mode & 0o777, exist_ok=True)
        finally:
            os.umask(before)
    try:  # new files are for who may read the file, and for a group that may change the folder
        mode = file.path.stat().st_mode & 0o666
    except FileNotFoundError:
        mode = _PRIVATE  # it has been taken away
    mode |= _GROUP if folder.stat().st_mode & stat.S_IWGRP else 0
    target = _free_name(folder, file.path.name, has_note=bool(note))
    workbook = beside = None
    try:
        if results is not None:
            workbook = _copy(results, _free_name(folder, results.name), mode)
        if note:
            # A file's name may hold bytes that are no UTF-8.
            text = note.encode(errors="backslashreplace")
            beside = _write(_note_name(target), mode, lambda draft: draft.write_bytes(text))
        if stamp_of(file.path) != file.stamp:
            if copy is not None:
                _copy(copy, target, mode)
            return ArchivedPaths(None, workbook, beside)
        _move(file, target)
    except OSError:  # the next night tries again, with another workbook and note
        for path in filter(None, (workbook, beside)):
            path.unlink(missing_ok=True)
        raise
    return ArchivedPaths(target, workbook, beside)


def _free_name(folder: Path, name: str, *, has_note: bool = False) -> Path:
    """Return the name, or one with `-2`, `-3` ... before its ending, under which there is nothing yet."""
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    for number in range(1, _NAMES_TRIED):
        path = folder / (name if number == 1 else fitting_name(stem, f"-{number}{dot}{ending}"))
        if not os.path.lexists(path) and not (has_note and os.path.lexists(_note_name(path))):
            return path
    raise FileExistsError(errno.EEXIST, "every name is taken", str(folder / name))


def _note_name(target: Path) -> Path:
    return target.with_name(fitting_name(target.name, ".txt"))


def _copy(source: Path, target: Path, mode: int) -> Path:
    return _write(target, mode, lambda draft: shutil.copy2(source, draft))


def _write(target: Path, mode: int, write: Callable[[Path], object]) -> Path:
    """Write a file under a name of ours, have it on disk, and give it its own name, under which nothing may be yet."""
    draft = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
    try:
        write(draft)
        with draft.open("rb+") as stream:
            os.fsync(stream.fileno())
        draft.chmod(mode)  # last: a read-only one could not be opened again
        _rename(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return target


def _move(file: ReadyFile, target: Path) -> None:
    try:
        _rename(file.path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: a copy that is whole and on disk, and only then the original goes.
        _copy(file.path, target, file.path.stat().st_mode & 0o777)
        if stamp_of(file.path) != file.stamp:  # put there while it was copied: not read yet
            target.unlink()
            raise OSError(errno.EBUSY, _CHANGED) from error
        file.path.unlink()
    else:
        if stamp_of(target) != file.stamp:  # put there just before: not read yet
            _rename(target, _free_name(file.path.parent, file.path.name))
            raise OSError(errno.EBUSY, _CHANGED)
    sync_folder(file.path.parent)


def _rename(source: Path, target: Path) -> None:
    """Rename within a file system, keeping a file that is there. A name that is ours comes first: rename would replace.

    If anything fails, a signal included, the file under the target's name is removed only if it is still ours.
    """
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE)
    try:
        ours = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    try:
        source.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(ours, target.lstat()):
                target.unlink()
        raise
    sync_folder(target.parent)
