"""Puts a file away with its workbook and a note: never over another file, and there is no moment without it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_updater.files.writing import fitting_name, sync_folder
from batch_updater.nightly.inbox import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from batch_updater.nightly.inbox import Waiting

_NAMES_TRIED = 10_000
_PRIVATE = 0o600
_LONGEST_ENDING = 16
"""Characters: what is longer behind a dot is no kind of file."""
_OF_GROUP = 0o060
_CHANGED = "it was changed while it was moved"


@dataclass(frozen=True, slots=True)
class Filed:
    """Where everything went."""

    file: Path | None
    """None if it stays where it was: another has been put in its place."""
    results: Path | None
    note: Path | None


def put_away(
    waiting: Waiting, place: Path, day: date, results: Path | None = None, note: str = "", read: Path | None = None
) -> Filed:
    """Move a file to `place/<day>/`, with a copy of its workbook and its note as `<name>.txt`.

    The file goes last: while it is still in the inbox, the next night finds it there. If it is not the one any more
    that was waiting, it stays, and what was made of the other is put away, with `read`, a copy of it. Raises OSError.
    """
    file = waiting.path
    folder = _folder_of(day, place)
    target = _free_name(folder, file.name, has_note=bool(note))
    mode = _mode(file, folder)
    workbook = written = None
    if results is not None:
        workbook = _copied(results, _free_name(folder, results.name), mode)
    if note:
        written = _noted(_note_of(target), note, mode)
    if stamp_of(file) != waiting.stamp:
        if read is not None:
            _copied(read, target, mode)
        return Filed(None, workbook, written)
    try:
        _move(waiting, target)
    except OSError:  # the next night tries it again, with another workbook and note
        for made in (workbook, written):
            if made is not None:
                made.unlink(missing_ok=True)
        raise
    return Filed(target, workbook, written)


def _folder_of(day: date, place: Path) -> Path:
    """Make the folder of a day, as open as the one it lies in: whoever may put files there may do so here."""
    place.mkdir(parents=True, exist_ok=True)
    folder = place / day.isoformat()
    if not folder.is_dir():
        before = os.umask(0)  # a chmod afterwards would take away what the folder of a group hands down
        try:
            folder.mkdir(mode=place.stat().st_mode & 0o777, exist_ok=True)
        finally:
            os.umask(before)
    return folder


def _mode(file: Path, folder: Path) -> int:
    """Return the mode of what is made: for whoever may read the file, and for a group that may change the folder."""
    try:
        mode = file.stat().st_mode & 0o666
    except FileNotFoundError:
        mode = _PRIVATE  # somebody has taken it away
    return mode | (_OF_GROUP if folder.stat().st_mode & stat.S_IWGRP else 0)


def _free_name(folder: Path, name: str, *, has_note: bool = False) -> Path:
    """Return the name, or one with `-2`, `-3` ... before its ending, under which nothing is there yet."""
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > _LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    for number in range(1, _NAMES_TRIED):
        path = folder / (name if number == 1 else fitting_name(stem, f"-{number}{dot}{ending}"))
        beside = _note_of(path) if has_note else None
        if not os.path.lexists(path) and not (beside and os.path.lexists(beside)):
            return path
    raise FileExistsError(errno.EEXIST, "every name is taken", str(folder / name))


def _note_of(target: Path) -> Path:
    return target.with_name(fitting_name(target.name, ".txt"))


def _noted(target: Path, text: str, mode: int) -> Path:
    # A file's name may hold bytes that are no UTF-8.
    return _written(lambda draft: draft.write_text(text, encoding="utf-8", errors="backslashreplace"), target, mode)


def _copied(source: Path, target: Path, mode: int) -> Path:
    return _written(lambda draft: shutil.copy2(source, draft), target, mode)


def _written(write: Callable[[Path], object], target: Path, mode: int) -> Path:
    draft = _draft(target)
    try:
        write(draft)
        return _settled(draft, target, mode)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _draft(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}{target.suffix}")


def _settled(draft: Path, target: Path, mode: int) -> Path:
    with draft.open("rb+") as stream:
        os.fsync(stream.fileno())
    draft.chmod(mode)  # last: a read-only one could not be opened again
    _rename(draft, target)
    return target


def _move(waiting: Waiting, target: Path) -> None:
    file = waiting.path
    try:
        _rename(file, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: a copy that is whole and on disk, and only then the original goes.
        _copied(file, target, file.stat().st_mode & 0o777)
        if stamp_of(file) != waiting.stamp:  # put there while it was copied: not read yet
            target.unlink()
            raise OSError(errno.EBUSY, _CHANGED) from error
        file.unlink()
    else:
        if stamp_of(target) != waiting.stamp:  # put there just before: not read yet
            _rename(target, _free_name(file.parent, file.name))
            raise OSError(errno.EBUSY, _CHANGED)
    sync_folder(file.parent)


def _rename(source: Path, target: Path) -> None:
    """Rename within a file system; what is there stays. A name that is ours comes first: rename would replace.

    If anything fails, a signal included, what lies under the target's name is removed only if it is still ours.
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
