"""Exceptions that end a command, and the exit codes that they become in `cli/commands.py`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec


class ExitCode(IntEnum):
    """The exit codes; of several that apply, 70 before 3 before 1 before 0."""

    OK = 0
    NEEDS_PERSON = 1
    NOTHING_SENT = 2
    RUN_AGAIN = 3
    LOCKED = 4
    FAULT = 70


class Location(msgspec.Struct, frozen=True):
    """Where a problem is; None where it is unknown or does not apply."""

    file: str | None = None
    sheet: str | None = None
    cell: str | None = None


class BatchUpdaterError(Exception):
    """The program cannot go on, and nothing was sent. Ends the command with `ExitCode.NOTHING_SENT`.

    `message` is one plain sentence, or several lines; `remedy` says what to do, `place` where the problem is. A line
    may contain foreign text with line breaks, so only `lines` and `remedy_lines` tell our own line breaks.
    """

    exit_code = ExitCode.NOTHING_SENT

    def __init__(
        self, message: str | Sequence[str], *, remedy: str | Sequence[str] = "", place: Location | None = None
    ) -> None:
        self.lines = as_lines(message)
        self.message = "\n".join(self.lines)
        super().__init__(self.message)
        self.remedy_lines = as_lines(remedy)
        self.remedy = "\n".join(self.remedy_lines)
        self.place = place or Location()


def as_lines(text: str | Sequence[str]) -> tuple[str, ...]:
    """Return lines as a tuple; a str is one line, and none if it is empty."""
    if isinstance(text, str):
        return (text,) if text else ()
    return tuple(text)


class EndedEarlyError(BatchUpdaterError):
    """A signal or a full disk ended the command: it has to be run again."""

    exit_code = ExitCode.RUN_AGAIN


class UsageError(BatchUpdaterError):
    """The command line is wrong, or a question was declined."""


class ConfigError(BatchUpdaterError):
    """The configuration, or something it refers to, is wrong."""


class CredentialsError(ConfigError):
    """A referenced secret could not be read."""


class EndpointError(BatchUpdaterError):
    """The description of the endpoint is wrong, or uses what is not supported."""


class InputError(BatchUpdaterError):
    """The file cannot be read, or its header row does not fit the endpoint."""


class GuardError(BatchUpdaterError):
    """The run would exceed a limit of the section `guards`."""

    requests = 0
    """Sent to find that out, as `retries` and `throttled`."""
    retries = 0
    throttled = 0


class ResultsError(BatchUpdaterError):
    """A file cannot be written at the given path."""


class LockedError(BatchUpdaterError):
    """Another run holds the lock."""

    exit_code = ExitCode.LOCKED


class StoreError(Exception):
    """The run's database cannot be written or read, so that nothing more may be sent.

    Not a `BatchUpdaterError`: rows may have been sent before.
    """

    remedy = "Check that its folder exists, has room and may be written, then run again."
