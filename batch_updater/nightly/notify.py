"""Messages to people through apprise: one for each recipient, within a time limit, without a word about secrets."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from batch_updater.config.schema import SecretReference
from batch_updater.config.secrets import fetch_secret
from batch_updater.errors import ConfigError
from batch_updater.nightly.time_limit import tried

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batch_updater.config.environment import Environment
    from batch_updater.nightly.message import Message

LIMIT_S = 30.0
"""For one recipient."""
ANSWER_S = 20.0
"""For one answer of a service, in place of apprise's 4 s."""


def notify(
    message: Message,
    recipients: Sequence[str | SecretReference],
    environment: Environment,
    limit_s: float = LIMIT_S,
) -> Iterator[str]:
    """Send the message to every recipient; yields a sentence for each that could not be told."""
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
    return tried(lambda: _sent_somehow(url, message), limit_s)


def address_of(value: str | SecretReference, environment: Environment, what: str) -> str:
    """Return the address itself, fetched where it is kept. Raises ConfigError, which does not hold it."""
    address = fetch_secret(value, environment, what).reveal() if isinstance(value, SecretReference) else value
    environment.redaction.remember_address(address)
    return address


def _sent_somehow(url: str, message: Message) -> str | None:
    """Send it; without its attachments if it is refused with them, for they may be what is too much.

    A service that has not answered in time may have taken it: nobody shall get it twice.
    """
    started_s = time.monotonic()
    why = _send(url, message)
    is_refused = why is not None and time.monotonic() - started_s < ANSWER_S
    return _send(url, replace(message, attachments=())) if is_refused and message.attachments else why


def _send(url: str, message: Message) -> str | None:
    import apprise  # noqa: PLC0415  (slow to import, and only needed where somebody is told)

    # It logs addresses, and those hold passwords.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        return "its address is none that apprise knows"
    service.socket_connect_timeout = service.socket_read_timeout = ANSWER_S
    body, attached = message.body, [str(path) for path in message.attachments]
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:  # each service has its own longest message
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
        if len(attached) > 1:  # of which apprise keeps the first alone where it may cut the message off itself
            service.overflow_mode = apprise.OverflowMode.SPLIT
            # Some services have no title but put it, and a blank line, before the message.
            body = body[: max(1, service.body_maxlen - len(message.subject) - len("\r\n\r\n"))]
    told = apprise.Apprise()
    told.add(service)
    sent = told.notify(
        title=message.subject,
        body=body,
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=apprise.NotifyType(message.kind),
        attach=attached if attached and service.attachment_support else None,
    )
    return None if sent else "the service does not take it, cannot be reached, or does not answer in time"
