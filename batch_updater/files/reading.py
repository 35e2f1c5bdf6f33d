"""Other people's files: opened without blocking and read up to a limit, or refused.

Opening a pipe waits for the other end, and a device may have no end. A path can be replaced between a check and the
opening, so the open file itself is checked.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Windows has neither; for regular files they change nothing."""
_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)
_Opened = TypeVar("_Opened", bound=IO[bytes])


class PrivateFile(io.FileIO):
    """A file that only its owner may read (POSIX), unbuffered: a write fails at once, not when the file is closed.

    A full disk takes a part of the data and reports how much (POSIX, write); Python's own unbuffered file passes that
    on as a success.
    """

    def __init__(self, path: Path, mode: str, opener: Callable[[str, int], int] | None = None) -> None:
        """Open the file; `mode` and `opener` are those of `open`. Raises OSError."""
        super().__init__(path, mode, opener=opener or _open_private)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it. Raises OSError, perhaps after a part of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return size


class UnfitFileError(OSError):
    """A path is not a regular file, or the file is too large. `strerror` is a text for people."""


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading. Raises OSError; UnfitFileError for anything but a regular file."""
    # No child process inherits what os.open opens (PEP 446).
    try:
        return _required_regular(open(path, "rb", opener=_open), path)
    except ValueError as error:  # a NUL, which a configuration may contain
        raise UnfitFileError(errno.EINVAL, "no file can have such a name", str(path)) from error


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file. Raises OSError; UnfitFileError if it has more than `most_bytes`."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UnfitFileError(errno.EFBIG, f"it is larger than {most_bytes:,} bytes", str(path))
    return content


def read_regular_text(path: Path, most_bytes: int) -> str:
    """Return the UTF-8 text of a regular file with uniform line ends. Raises OSError and UnicodeDecodeError."""
    return io.TextIOWrapper(io.BytesIO(read_regular(path, most_bytes)), encoding="utf-8-sig").read()


def append_to_regular(path: Path) -> PrivateFile:
    """Open a regular file for appending, or create a private one; a link is not followed.

    Raises OSError; UnfitFileError for anything but a regular file.
    """
    return _required_regular(PrivateFile(path, "ab", lambda name, flags: _open(name, flags | _NOT_FOLLOWED)), path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _open(path: str, flags: int) -> int:
    try:
        return _open_private(path, flags | _WITHOUT_WAITING)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, or a pipe from which nothing reads
            raise _no_file(path) from error
        raise


def _required_regular(file: _Opened, path: Path) -> _Opened:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _no_file(str(path))
    return file


def _no_file(path: str) -> UnfitFileError:
    return UnfitFileError(errno.EINVAL, "it is a device or a pipe, not a file", path)
