"""How many files and connections this process may have open at once."""

from __future__ import annotations

import errno
import os

from batch_updater.errors import UsageError

_NEEDED = 40
"""More than a run has open at once beside its connections: journal, log, input, workbook with its parts, event loop."""
_WANTED = 1024
"""What leaves room for connections as well. Some systems allow more than they give (macOS gives 256)."""
_FULL = {errno.EMFILE, errno.ENFILE}


def require_open_files() -> None:
    """Raise UsageError if too few files may be open at once; a limit that may be raised is raised first."""
    try:
        import resource  # noqa: PLC0415  (Windows has no such limit, and no such module)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _WANTED and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    opened: list[int] = []
    try:
        while len(opened) < _NEEDED:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        what = f"{soft} files at once (ulimit -n)" if error.errno == errno.EMFILE else "no more files"
        raise UsageError(
            f"This process may open {what}, which is too few: it needs {_NEEDED} beside those that are open.",
            remedy="Raise the limit, as with ulimit -n 1024, or LimitNOFILE in the unit of systemd.",
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
