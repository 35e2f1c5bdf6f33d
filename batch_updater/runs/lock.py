"""One run at a time for one API and one folder of results.

The operating system holds the lock, so that one left by a killed process does not block. It covers this machine, and
others only where the folder's file system passes locks on.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from filelock import FileLock, Timeout

from batch_updater.errors import Location, LockedError, ResultsError
from batch_updater.files.reading import read_regular
from batch_updater.files.writing import write_whole
from batch_updater.messages import format_time
from batch_updater.text.typed_values import typed_json

_TRIED_FOR_S = 0.2
"""For how long a lock that is held is tried: another process may be letting go of it just now."""
_OWNER_ASKED_FOR_S = 5.0
"""How long to look for who holds the lock: they write their name right after they have it, but a disk may be busy."""
WEB = "web"
"""Name of the folder, in the folder of results, that holds what was given to the page."""
_MOST_SIGNED_BYTES = 100_000


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock."""

    process: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    file: str
    """What it works on."""
    since: Annotated[datetime, msgspec.Meta(tz=True)]


def origin_of(base_url: str) -> str:
    """Return scheme, host and port of an address: who counts requests, whatever the path (RFC 6454, section 4)."""
    parts = urlsplit(base_url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


class _Owner(msgspec.Struct, frozen=True):
    """How others are told who holds a lock."""

    name: str
    """What it works on, or where it is reached."""
    kind: str
    """`run`, `unattended job` or `server`."""
    where: str
    works: str = "has been working on"
    remedy: str = "Wait until it has ended, then run again."


def locked(folder: Path, base_url: str, file: str) -> AbstractContextManager[None]:
    """Hold the lock for an API's origin in a folder of results; `file` is what the others are told.

    Raises LockedError if another process holds it, ResultsError if the folder cannot hold a lock.
    """
    origin = origin_of(base_url)
    return _held(_path(folder, origin), _Owner(file, "run", f"to {origin} with results in {folder}"))


def locked_inbox(inbox: Path) -> AbstractContextManager[None]:
    """Hold the lock of the unattended job over an inbox, whatever it sends to.

    Raises LockedError if another process holds it, ResultsError if the folder cannot hold a lock.
    """
    return _held(inbox / ".batch-updater-lock", _Owner(str(inbox), "unattended job", f"for {inbox}"))


def locked_pages(folder: Path, address: str) -> AbstractContextManager[None]:
    """Hold the lock of the server for a folder of results; `address` is what the others are told.

    Raises LockedError if another process holds it, ResultsError if the folder cannot hold a lock.
    """
    remedy = "Use that one, or stop it first."
    owner = _Owner(address, "server", f"for {folder}", "has been serving", remedy)
    return _held(folder / WEB / ".lock", owner)


@contextmanager
def _held(path: Path, owner: _Owner) -> Iterator[None]:
    """Hold the lock at a path; another process is told of its owner."""
    holder = path.with_suffix(".json")
    lock = FileLock(path, timeout=_TRIED_FOR_S, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        signed = _who_holds(holder)
        if signed is None:
            why = f"Another {owner.kind} is going on {owner.where}; it has not said which."
            raise LockedError(why, remedy=owner.remedy) from error
        raise LockedError(
            f"Another {owner.kind} is going on: process {signed.process} {owner.works} {signed.file} since "
            f"{format_time(signed.since)}.",
            remedy=owner.remedy,
            place=Location(file=signed.file),
        ) from error
    except (OSError, NotImplementedError) as error:
        raise _no_lock(path, error) from error
    try:
        # Of a name that is no text the others are told as much as is.
        named = owner.name.encode(errors="backslashreplace").decode()
        signature = msgspec.json.encode(Holder(os.getpid(), named, datetime.now(UTC)))
        try:
            write_whole(holder, lambda draft: draft.write_bytes(signature))
        except OSError as error:
            raise _no_lock(holder, error) from error
        yield
    finally:
        _remove(holder)
        # Removed while it is held: a process that has opened it meanwhile sees that its name is gone, and tries again.
        _remove(path)
        lock.release()


def holder_of(folder: Path, base_url: str) -> Holder | None:
    """Return who holds that lock; None if no process does, or none says so."""
    path = _path(folder, origin_of(base_url))
    if not path.exists():
        return None
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return _who_holds(path.with_suffix(".json"))
    except (OSError, NotImplementedError):
        return None  # another user's folder: what is going on there cannot be read
    lock.release()
    return None  # a killed process left the file


def is_held_since(folder: Path, at: datetime) -> bool:
    """Whether a living process may hold a lock in a folder of results, for any API, since that time or before."""
    holders = map(_signed, folder.glob(".lock-*.json"))
    return any(holder and holder.since <= at and _is_alive(holder.process) for holder in holders)


def _path(folder: Path, origin: str) -> Path:
    return folder / f".lock-{hashlib.sha256(origin.encode()).hexdigest()[:12]}"


def _remove(path: Path) -> None:
    with suppress(OSError):  # Windows keeps a file that is open; what is left there holds no lock
        path.unlink(missing_ok=True)


def _no_lock(path: Path, error: Exception) -> ResultsError:
    return ResultsError(
        f"The lock {path} cannot be written: {getattr(error, 'strerror', None) or error}.",
        remedy="Free some space, allow writing there, remove what lies there, or name another folder in the "
        "configuration.",
    )


def _who_holds(path: Path) -> Holder | None:
    """Return who holds the lock; None if it does not say so in time. The name of a dead process is an old one."""
    deadline = time.monotonic() + _OWNER_ASKED_FOR_S
    while time.monotonic() < deadline:
        holder = _signed(path)
        if holder and _is_alive(holder.process):
            return holder
        time.sleep(0.02)
    return None


def _signed(path: Path) -> Holder | None:
    """Return what the file says; None if it is not written yet, or is none of ours."""
    try:
        return typed_json(read_regular(path, _MOST_SIGNED_BYTES), Holder)
    except (OSError, ValueError):
        return None


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # there, signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's, but there
    return True
