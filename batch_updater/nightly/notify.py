"""Messages to people through apprise: one for each recipient, within a time limit and without secrets."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import SecretReference
from batch_updater.config.secrets import fetch_secret
from batch_updater.errors import ConfigError
from batch_updater.nightly.message import Message
from batch_updater.nightly.time_limit import run_with_timeout

LIMIT_S = 30.0
"""For one recipient."""
ANSWER_S = 20.0
"""For one answer of a service, in place of apprise's 4 s."""


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
