"""What the process gets before a command starts: standard streams, open files enough, and less garbage collection."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_updater.cli.parser import PROGRAM
from batch_updater.errors import UsageError
from batch_updater.text.printable import print_line

_FILES_NEEDED = 40
"""More than a run has open at once beside connections: database, log, input, workbook with its parts, event loop."""
_FILES_WANTED = 1024
"""Leaves room for connections as well. Some systems allow more than they give (macOS gives 256)."""
_COLLECTED_EVERY = 200_000
"""Objects, instead of Python's 700: importing makes as many, and none of them is garbage."""


class _ToleratedStream(io.TextIOWrapper):
    """A standard stream whose faults do not affect the run: from the first one on it writes nowhere.

    A closed or full stdout or stderr changes neither the run nor its exit code.
    """

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._write_nowhere(error)
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._write_nowhere(error)

    def _write_nowhere(self, error: OSError) -> None:
        """Redirect what is still in the buffer, too: it may not raise again at exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self is sys.stdout and not isinstance(error, BrokenPipeError):  # else the reader has seen enough
            print_line(f"{PROGRAM}: standard output cannot be written: {error.strerror}.", sys.stderr)


def prepare_streams() -> None:
    """Make writing to a standard stream never fail, and replace a closed one.

    A file of ours would be opened under the number of a closed one, and what is printed would end up in it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (until the end)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            tolerated = _ToleratedStream(
                stream.buffer,
                stream.encoding,
                "backslashreplace",  # a console without UTF-8 may not end a run because of a customer's name
                line_buffering=stream.line_buffering or name == "stderr",
                write_through=stream.write_through,
            )
            setattr(sys, name, tolerated)


def require_open_files() -> None:
    """Raise UsageError if too few files may be open at once; a limit that may be raised is raised first."""
    try:
        import resource  # Windows has no such limit, and no such module
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES_WANTED and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    opened: list[int] = []
    try:
        while len(opened) < _FILES_NEEDED:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise
        what = f"{soft} files at once (ulimit -n)" if error.errno == errno.EMFILE else "no more files"
        raise UsageError(
            f"This process may open {what}, which is too few: it needs {_FILES_NEEDED} beside those that are open.",
            remedy="Raise the limit, as with ulimit -n 1024, or LimitNOFILE in the unit of systemd.",
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def collect_seldom() -> None:
    """Let the garbage collector look for circles seldom, and not in what is given up at the end anyway.

    It is about a tenth of a small run.
    """
    gc.set_threshold(_COLLECTED_EVERY, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keep what is imported within the block from work at import that this program has no use for.

    aiohttp loads the system's certificates twice, which takes as long as all else of its import; a connection is made
    with those of `tls_for`. pydantic reads the metadata of every package that is installed, for plug-ins.
    """
    values = {"SSL_CERT_FILE": os.devnull, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
