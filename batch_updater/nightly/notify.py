"""Messages to people through apprise and pings of a health check: within a time limit, and without secrets."""

from __future__ import annotations

import logging
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import SecretReference
from batch_updater.config.secrets import fetch_secret
from batch_updater.errors import ConfigError
from batch_updater.nightly.night import Message

LIMIT_S = 30.0
"""For one recipient."""
ANSWER_S = 20.0
"""For one answer of a service, in place of apprise's 4 s."""
PING_LIMIT_S = 10.0
_SIGNALS_NOTICED_AFTER_S = 0.5
START, SUCCESS, FAILURE = "/start", "", "/fail"
"""What is put behind the address of a health check, as Healthchecks.io defines it."""
_hanging: list[threading.Event] = []


def notify(
    message: Message, recipients: Sequence[str | SecretReference], environment: Environment, limit_s: float = LIMIT_S
) -> Iterator[str]:
    """Send the message to every recipient; yields a sentence for each failure."""
    for number, recipient in enumerate(recipients, 1):
        what = f"nightly.notify, number {number}"
        if why := why_not_told(message, recipient, environment, what, limit_s):
            yield f"Sending the message to {what} failed: {why}."


def why_not_told(
    message: Message, recipient: str | SecretReference, environment: Environment, what: str, limit_s: float = LIMIT_S
) -> str | None:
    """Send the message to one recipient; returns why it was not sent, None if it was."""
    try:
        url = address_of(recipient, environment, what)
    except ConfigError as error:
        return error.message.rstrip(".")

    def send() -> str | None:
        started_s = time.monotonic()
        why = _send(url, message)
        # The attachments may be too much for the service. One that has not answered in time may have taken it all:
        # it must not get it twice.
        if why and message.attachments and time.monotonic() - started_s < ANSWER_S:
            return _send(url, replace(message, attachments=()))
        return why

    return run_with_timeout(send, limit_s)


def address_of(value: str | SecretReference, environment: Environment, what: str) -> str:
    """Return the address itself, fetched where it is kept. Raises ConfigError, which does not hold it."""
    address = fetch_secret(value, environment, what).reveal() if isinstance(value, SecretReference) else value
    environment.redaction.remember_address(address)
    return address


def _send(url: str, message: Message) -> str | None:
    import apprise  # noqa: PLC0415  (slow to import, and only needed where people are told)

    # It logs addresses, and those hold passwords.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        return "apprise does not know this kind of address"
    service.socket_connect_timeout = service.socket_read_timeout = ANSWER_S
    body, attached = message.body, [str(path) for path in message.attachments]
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:  # each service has its own longest message
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
        if len(attached) > 1:  # of which apprise keeps the first alone where it may cut the message off itself
            service.overflow_mode = apprise.OverflowMode.SPLIT
            # Some services have no title but put it, and a blank line, before the message.
            body = body[: max(1, service.body_maxlen - len(message.subject) - len("\r\n\r\n"))]
    sender = apprise.Apprise()
    sender.add(service)
    sent = sender.notify(
        title=message.subject,
        body=body,
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=apprise.NotifyType(message.kind),
        attach=attached if attached and service.attachment_support else None,
    )
    return None if sent else "the service does not take it, cannot be reached, or does not answer in time"


def ping(
    health_check: str | SecretReference | None, sign: str, environment: Environment, limit_s: float = PING_LIMIT_S
) -> str | None:
    """Send START, SUCCESS or FAILURE; returns a sentence if that failed. The address itself is a secret."""
    if health_check is None:
        return None

    def get() -> str | None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "its address does not begin with https:// or http://"
        url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + sign))
        try:
            with urllib.request.urlopen(url, timeout=limit_s):  # noqa: S310  (the scheme is judged above)
                return None
        except urllib.error.HTTPError as error:
            return f"it answers {error.code}"
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                return "no secure connection to it can be made"
            return f"it cannot be reached ({getattr(error.reason, 'strerror', None) or 'no connection'})"

    try:
        address = address_of(health_check, environment, "nightly.health_check")
    except ConfigError as error:
        return f"The health check was not told: {error.message}"
    why = run_with_timeout(get, limit_s)
    return f"The health check (nightly.health_check) was not told: {why}." if why else None


def run_with_timeout(work: Callable[[], str | None], limit_s: float) -> str | None:
    """Do the work for at most `limit_s`; returns why it failed, None if it did not.

    `work` returns None, or why it failed. The text of an exception is not reported: it may quote an address, which may
    hold a secret. Work that takes longer is left in a thread that ends with the process.
    """
    failures: list[str] = [f"it took longer than {limit_s:g} s"]

    def attempt() -> None:
        try:
            why = work()
        except Exception:  # noqa: BLE001  (other people's code; nothing it raises may change the night)
            why = "it failed in a way that was not foreseen"
        failures[:] = [why] if why else []
        ended.set()

    # Not `join`: before Python 3.13 a signal that ends it has `is_alive` call a running thread ended.
    ended, deadline_s = threading.Event(), time.monotonic() + limit_s
    try:
        threading.Thread(target=attempt, name="attempt", daemon=True).start()
        # In steps: a signal that comes in the moment before a wait begins is noticed only after it.
        while (left_s := deadline_s - time.monotonic()) > 0 and not ended.wait(min(left_s, _SIGNALS_NOTICED_AFTER_S)):
            pass
    finally:  # a signal may end the waiting
        if not ended.is_set():
            _hanging.append(ended)
    return next(iter(failures), None)


def exit_if_threads_hang(exit_code: int) -> None:
    """End the process at once if something that took too long still goes on: Python would wait for it at its exit.

    Libraries start threads of their own, which a daemon thread cannot end.
    """
    if any(not ended.is_set() for ended in _hanging):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
