"""run.log: one line of JSON for every attempt and every decision, enough to explain any outcome afterwards.

Modules log through `logging` with `extra={"event": ..., ...}`; only the names below are written, so that neither a
cell of the customer's nor a token can get into the file by way of a message.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

LOGGED = ("event", "row", "attempt", "status", "seconds", "wait_s", "why")
_ROOT = "batch_updater"
_WRITTEN_EVERY_S = 0.2


class _JsonLines(logging.Formatter):
    """Makes a line of JSON; the second that a record is of is kept, because most lines have that of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._at = ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second, self._at = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        known = record.__dict__
        facts = [f', "{name}": {_as_json(known[name])}' for name in LOGGED if known.get(name) is not None]
        milliseconds = int((record.created - second) * 1000)
        return f'{{"at": "{self._at}.{milliseconds:03d}+00:00", "level": "{record.levelname.lower()}"{"".join(facts)}}}'


def _as_json(value: object) -> str:
    return repr(value) if type(value) in (int, float) else json.dumps(value)


class _ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        facts = (f"{name} {getattr(record, name)}" for name in LOGGED[1:] if getattr(record, name, None) is not None)
        return f"{at:%H:%M:%S} {getattr(record, 'event', record.levelname)}: {', '.join(facts)}"


class _Spoken(logging.Handler):
    """Says the few decisions that a person who waits should know of."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        match getattr(record, "event", None):
            case "breaker open":
                self._say(
                    f"The service does not answer as it should ({getattr(record, 'why', '')}). One request at a time "
                    f"tries whether it is back, for {getattr(record, 'wait_s', 0):g} s at most."
                )
            case "breaker closed":
                self._say("The service answers again: going on.")


def _attached(handler: logging.Handler, formatter: logging.Formatter) -> Iterator[None]:
    logger = logging.getLogger(_ROOT)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class LogFile(logging.Handler):
    """Writes what is logged to a file, readable by its owner alone, while it is entered."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError."""
        super().__init__()
        self._path = path
        self._lines: list[str] = []
        self._written_at = 0.0
        # Unbuffered: what was written is in the file, and closing cannot fail.
        self._stream = open(path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
        self._attachment = contextmanager(_attached)(self, _JsonLines())

    def __enter__(self) -> Self:
        self._attachment.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._attachment.__exit__(kind, error, trace)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; the first that cannot be written is said on stderr, and the last: the run goes on."""
        if self._stream.closed:
            return
        self._lines.append(self.format(record))
        if record.levelno > logging.INFO or record.created - self._written_at > _WRITTEN_EVERY_S:
            self._written_at = record.created
            self.flush()

    def flush(self) -> None:
        """Write what has gathered: a call of the system for each line would take longer than all else about it."""
        if not self._lines or self._stream.closed:
            return
        text = "\n".join([*self._lines, ""]).encode()
        self._lines.clear()
        try:
            self._stream.write(text)
        except OSError as error:
            self._stream.close()
            print(f"{self._path} cannot be written any more: {error.strerror}. The run goes on.", file=sys.stderr)

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        self._stream.close()
        super().close()


@contextmanager
def logged_to_terminal() -> Iterator[None]:
    """Write what is logged to stderr, for people, until the block ends."""
    yield from _attached(logging.StreamHandler(), _ForPeople())


@contextmanager
def spoken(say: Callable[[str], None]) -> Iterator[None]:
    """Pass on in words what a person who waits should know, until the block ends."""
    yield from _attached(_Spoken(say), logging.Formatter())
