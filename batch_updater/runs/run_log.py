"""run.log: one line of JSON for every attempt and every decision, enough to explain any outcome afterwards.

Each part of a run has a first line that says what was started, with which settings, and a last one that says how it
ended. Modules log through `logging` with `extra={"event": ..., ...}`; only the names below are written, and what is
`said` has passed the redaction, so that no token can get into the file by way of a message.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from batch_updater.files.reading import PrivateFile, append_to_regular
from batch_updater.records import Attempt
from batch_updater.text.printable import print_line, printable

LOGGED = {
    "event": "event", "row": "row", "attempt": "attempt", "status": "status", "seconds": "seconds", "wait_s": "wait_s",
    "why": "why", "target": "target", "said": "message",
}  # fmt: skip
"""Attribute of a log record -> its name in the file. `message` is one that `logging` keeps to itself."""
_ROOT = "batch_updater"
_WRITTEN_EVERY_S = 0.2


class _JsonLines(logging.Formatter):
    """Makes a line of JSON. The text of the last millisecond is kept, because many lines are of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._second = self._millisecond = 0
        self._text_of_second = self._text = ""

    def at(self, seconds: float) -> str:
        """Return a time, given in seconds since 1970, in UTC to the millisecond."""
        millisecond = int(seconds * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second, self._text_of_second = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._text = f"{self._text_of_second}.{rest:03d}+00:00"
        return self._text

    def format(self, record: logging.LogRecord) -> str:
        known = record.__dict__
        facts = {name: known[attribute] for attribute, name in LOGGED.items() if known.get(attribute) is not None}
        return self.line(record.created, record.levelname.lower(), facts)

    def line(self, seconds: float, level: str, facts: Mapping[str, object]) -> str:
        """Return one line, of a time given in seconds since 1970."""
        return json.dumps({"at": self.at(seconds), "level": level, **facts})


class _ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        known = record.__dict__
        named = ((name, known.get(attribute)) for attribute, name in LOGGED.items() if name != "event")
        facts = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        return printable(f"{at:%H:%M:%S} {known.get('event', record.levelname)}: {facts}")


class _Spoken(logging.Handler):
    """Says the few decisions that a person who waits should know of."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        match getattr(record, "event", None):
            case "breaker open":
                self._say(
                    f"The service does not answer as it should: {getattr(record, 'why', '')}. One request at a time "
                    f"tries whether it is back, for {getattr(record, 'wait_s', 0):g} s at most."
                )
            case "stop" if getattr(record, "why", None) == "interrupted":
                self._say(
                    f"Stopping: requests in flight are waited for, {getattr(record, 'wait_s', 0):g} s at most, and the "
                    "workbook is written. Once more ends at once."
                )
            case "breaker closed":
                self._say("The service answers again: going on.")
            case "team's database lost":
                self._say("The team's database does not answer. Nothing is sent until it does.")
            case "team's database back":
                self._say("The team's database answers again.")
            case "followed":
                self._say(getattr(record, "why", ""))


@contextmanager
def _attached(handler: logging.Handler, formatter: logging.Formatter) -> Iterator[None]:
    """Let a handler take what this thread logs: others of the process may be sending runs of their own."""
    logger, thread = logging.getLogger(_ROOT), threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
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
        """Open the file; if that fails, stderr says so and nothing is written."""
        super().__init__()
        self._path = path
        self._lines: list[str] = []
        self._written_at = 0.0
        self._stream: PrivateFile | None = None
        """None once it cannot be written: the database holds every outcome, so the run goes on."""
        try:
            # Unbuffered: what was written is in the file, and closing cannot fail.
            self._stream = append_to_regular(path)
        except OSError as error:
            self._give_up(error)
        self._json_lines = _JsonLines()
        self._logger = logging.getLogger(_ROOT)
        self._has_listeners = False
        self._attachment = _attached(self, self._json_lines)

    def __enter__(self) -> Self:
        others = (handler for handler in self._logger.handlers if not isinstance(handler, LogFile))
        self._has_listeners = any(handler.level <= logging.INFO for handler in others)
        self._attachment.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # what an internal error says may hold anything
            self.note("run ended", why=f"an error: {type(error).__name__}")
        self._attachment.__exit__(kind, error, trace)

    def note(self, event: str, **facts: object) -> None:
        """Write a line about the whole run, at once."""
        if self._stream is not None:
            known = {name: value for name, value in facts.items() if value is not None}
            self._lines.append(self._json_lines.line(time.time(), "info", {"event": event, **known}))
            self.flush()

    def attempt(self, made: Attempt) -> None:
        """Write the line of one request, of which there are as many as requests.

        Putting it together here takes a tenth of the time that `logging` takes, so `logging` is asked only if someone
        else listens.
        """
        details = made.details
        if self._has_listeners or (details is not None and details.for_log):
            facts = {"row": made.row, "attempt": made.number, "status": made.status, "seconds": round(made.seconds, 4)}
            target, said = (details.target, details.for_log or None) if details else (None, None)
            words = {"why": made.why, "target": target, "said": said}
            self._logger.info("attempt", extra={"event": "attempt", **facts, **words})
            return
        if self._stream is None:
            return
        now = time.time()
        status = "" if made.status is None else f', "status": {made.status}'
        target = f', "target": {json.dumps(details.target)}' if details else ""
        self._lines.append(
            f'{{"at": "{self._json_lines.at(now)}", "level": "info", "event": "attempt", "row": {made.row}, '
            f'"attempt": {made.number}{status}, "seconds": {made.seconds:.4f}, "why": "{made.why}"{target}}}'
        )
        self._flush_in_time(now)

    def _flush_in_time(self, now: float) -> None:
        if not 0 <= now - self._written_at <= _WRITTEN_EVERY_S:  # clocks jump, too
            self._written_at = now
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; the first that cannot be written is reported on stderr, and is the last: the run goes on."""
        if self._stream is None:
            return
        self._lines.append(self.format(record))
        if record.levelno > logging.INFO:
            self.flush()
        else:
            self._flush_in_time(record.created)

    def flush(self) -> None:
        """Write what has gathered: a call of the system for each line would take longer than all else about it."""
        if not self._lines or self._stream is None:
            return
        text = "\n".join([*self._lines, ""]).encode()
        self._lines.clear()
        size = self._stream.tell()
        try:
            self._stream.write(text)
        except OSError as error:
            with suppress(OSError):  # a device has no length
                self._stream.truncate(size)  # half a line would spoil the first one of the next part of the run
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        print_line(f"{self._path} cannot be written: {error.strerror}. The run goes on without it.", sys.stderr)

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()


def logged_to_terminal() -> AbstractContextManager[None]:
    """Write what is logged to stderr, for people, until the block ends."""
    return _attached(logging.StreamHandler(), _ForPeople())


def spoken(say: Callable[[str], None]) -> AbstractContextManager[None]:
    """Pass on in words what a person who waits should know, until the block ends."""
    return _attached(_Spoken(say), logging.Formatter())
