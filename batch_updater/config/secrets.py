"""Secrets by reference: fetched from a variable, a file or a command, and redacted from then on."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.schema import ReferenceKind, SecretReference
from batch_updater.config.secret_shape import secret_problem
from batch_updater.daemon_thread import in_daemon_thread
from batch_updater.errors import CredentialsError
from batch_updater.files.reading import read_regular
from batch_updater.text.redaction import Redaction
from batch_updater.text.spelling import nearest

_COMMAND_LIMIT_S = 30
_STEP_S = 0.01
_KILLED_WITHIN_S = 5.0
_LARGEST_BYTES = 64_000
DOCTOR_SAYS_HOW = "; batch-updater doctor says how"
"""How a remedy ends that the doctor, who says how, gives without it."""


class UnsetVariableError(CredentialsError):
    """The environment variable of a secret is not set."""

    def __init__(self, key: str, variable: str, remedy: str) -> None:
        super().__init__(f"{key}: the environment variable {variable} is not set.", remedy=remedy)
        self.key = key
        """Of the configuration."""
        self.variable = variable


# No struct: its repr and msgspec would show the text.
@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that only `reveal` shows."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __str__(self) -> str:
        return "***"


def fetch_secret(reference: SecretReference, environment: Environment, what: str) -> Secret:
    """Fetch a secret, which is redacted from now on; `what` is the configuration key, for messages.

    Takes up to 30 s for a command. Raises CredentialsError, which says where the secret should have been and never what
    is there.
    """
    match reference.kind:
        case ReferenceKind.ENVIRONMENT:
            name, variables = reference.location, environment.variables
            if not (text := variables.get(name, "")):
                close = nearest(name, variables, cutoff=0.85)
                hint = f"Did you mean {close}? " if close and variables[close] else ""
                raise UnsetVariableError(what, name, f"{hint}Set {name} and run again{DOCTOR_SAYS_HOW}.")
        case ReferenceKind.FILE:
            try:
                content = read_regular(Path(reference.location), _LARGEST_BYTES)
            except OSError as error:
                raise CredentialsError(
                    f"{what}: {reference.location} cannot be read: {error.strerror or 'the system does not say why'}.",
                    remedy="Put the secret into that file.",
                ) from error
            text = content.decode("utf-8-sig", errors="replace")  # what is not text is refused below
        case ReferenceKind.COMMAND:
            text = _from_command(reference.location, what)
    text = text.strip()
    if problem := secret_problem(text, what):
        raise CredentialsError(f"{what}: the value from {reference.shown} {problem.what}.", remedy=problem.remedy)
    remember_secret(text, environment.redaction)
    return Secret(text)


def _from_command(command: str, what: str) -> str:
    arguments = shlex.split(command)
    program = arguments[0]
    try:
        code, printed = _run(arguments)
    except subprocess.TimeoutExpired:
        # `from None`: the exception carries what the command printed.
        raise CredentialsError(
            f"{what}: {program} took longer than {_COMMAND_LIMIT_S} s.", remedy="Try the command by itself."
        ) from None
    except OSError as error:
        raise CredentialsError(
            f"{what}: {program} cannot be started: {error.strerror}.", remedy="Check the command's name and path."
        ) from error
    if code:
        raise CredentialsError(f"{what}: {program} ended with exit code {code}.", remedy="Try the command by itself.")
    return printed.decode("utf-8", errors="replace")


def _run(arguments: Sequence[str]) -> tuple[int, bytes]:
    """Run a program to its end. Returns its exit code and its output until then, `_LARGEST_BYTES` at most.

    A helper that it leaves running may hold its output open, so the end of the output is not waited for: once the
    program has ended, a mark of ours follows it. Threads start, read and end the program, because a signal may come
    between any two steps of the main thread. Raises TimeoutExpired and OSError.
    """
    mark, is_given_up, is_over = secrets.token_bytes(32), threading.Event(), threading.Event()
    reading, writing = os.pipe()

    def exit_code() -> int:
        """Run the program until it ends, times out or is given up; then write the mark."""
        ends_at = time.monotonic() + _COMMAND_LIMIT_S
        try:
            # The program and its arguments come from the user's own configuration, and no shell reads them.
            with subprocess.Popen(  # noqa: S603
                arguments, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.DEVNULL
            ) as process:
                while process.poll() is None:
                    if is_given_up.wait(_STEP_S) or time.monotonic() > ends_at:
                        process.kill()
                        raise subprocess.TimeoutExpired(arguments, _COMMAND_LIMIT_S)
            return process.returncode
        finally:
            writer.write(mark)
            is_over.set()

    def output() -> bytes:
        """Return the first `_LARGEST_BYTES` before the mark; the rest is read and dropped."""
        first, latest = b"", b""
        while mark not in latest:
            chunk = reader.read(_LARGEST_BYTES)
            first = (first + chunk)[: _LARGEST_BYTES + len(mark)]
            latest = latest[-len(mark) :] + chunk
        return first.partition(mark)[0][:_LARGEST_BYTES]

    with os.fdopen(reading, "rb", 0) as reader, os.fdopen(writing, "wb", 0) as writer:
        try:
            ended, printed = in_daemon_thread(exit_code), in_daemon_thread(output)
            # Step by step: a signal that came right before a wait without end would not be noticed in it.
            while not is_over.wait(_STEP_S):
                pass
            return ended.result(), printed.result()
        finally:
            is_given_up.set()
            is_over.wait(_KILLED_WITHIN_S)


def remember_secret(text: str, redaction: Redaction) -> None:
    """Redact a secret, and also what follows a scheme such as Bearer (RFC 9110, section 11.4) by itself."""
    redaction.remember(text)
    if scheme := re.fullmatch(r"[A-Za-z][\w-]*\s+(\S+)", text):
        redaction.remember(scheme[1])
