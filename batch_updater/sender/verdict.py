"""What an answer, or the lack of one, means for its row. Pure: no network, no clock but the one passed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.compare import NO_RECORD, Confirmation, Doubt, confirmation, record_of
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.model import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.endpoint.allowed import AllowedValues
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.model import Job

MESSAGE_CHARACTERS = 500
"""How much of what the API says stands in a message: an answer may hold a megabyte."""
_CHARACTERS_LOOKED_AT = 20_000
_WEB_PAGE = "a web page"
_LONGEST_WAIT_S = 1e9
"""More than any run waits; keeps a number of any length finite."""


class Effect(Enum):
    """Whether an attempt that did not succeed can have changed the record."""

    NONE = auto()
    POSSIBLE = auto()


class Meaning(Enum):
    """What an attempt means for its row."""

    ACCEPTED = auto()
    """2xx that says what the update came to: what the record in it holds decides."""
    REFUSED = auto()
    """The API will not do it, now or later."""
    TOKEN_REFUSED = auto()
    """401: the token, not the row."""
    QUOTA_USED_UP = auto()
    """The account may send nothing more for a long time."""
    TRY_AGAIN = auto()
    """It may work in a moment."""
    GIVE_UP = auto()
    """It did not work, and trying again at once would not help."""


class Answer(NamedTuple):
    """An answer of the API, read as far as it could be."""

    status: int
    body: bytes
    complete: bool
    """Whether the whole body arrived within its bounds."""
    retry_after: str | None = None
    """The header's value."""

    def parsed(self) -> object:
        """Return the body's JSON with exact numbers; None if it is none."""
        if not self.complete:
            return None
        try:
            return from_json(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Fault:
    """An attempt that brought no answer."""

    cause: str
    """A short name, such as `no connection`."""
    message: str
    advice: str
    effect: Effect
    lasting: bool = False
    """Whether another attempt is bound to end the same way."""


class Verdict(NamedTuple):
    """What one attempt means."""

    meaning: Meaning
    effect: Effect


_LATER = {425, 429, 500, 503}
"""Not applied, and worth another attempt."""
_UNKNOWN_LATER = {408, 502, 504}
"""May have been applied, and worth another attempt."""
_NO_CONFIRMATION = {202, 206, 207}
"""Accepted to be done later, a part of an answer, one status for each of several things: RFC 9110, RFC 4918."""
_CUT_OFF = Doubt(", cut off", ", but the answer was cut off")
_NOT_DONE = Doubt(", which is no confirmation", ", which does not say that it was done")


def is_success(status: int) -> bool:
    """Whether a status says that all of a request was done."""
    return 200 <= status < 300 and status not in _NO_CONFIRMATION


def confirmation_in(answer: Answer, endpoint: Endpoint, job: Job, allowed: AllowedValues) -> Confirmation:
    """Return what an answer of the kind 2xx says of the update."""
    if answer.status in _NO_CONFIRMATION:
        return Confirmation(doubt=_NOT_DONE)
    if not answer.complete:
        return Confirmation(doubt=_CUT_OFF)
    parsed = answer.parsed()
    if parsed is None:
        parsed = _text_of(answer.body)
        if parsed is not None and parsed.startswith(_WEB_PAGE):
            return Confirmation(doubt=NO_RECORD)
    return confirmation(endpoint, job, answer.status, parsed, allowed)


def reading_in(answer: Answer, endpoint: Endpoint, job: Job) -> Confirmation:
    """Return the record in an answer of the kind 2xx to a reading; a doubt if it is not certain that it is there."""
    if not answer.complete:
        return Confirmation(doubt=_CUT_OFF)
    record = record_of(endpoint, job, answer.parsed()) if is_success(answer.status) else None
    return Confirmation(record, doubt=NO_RECORD if record is None else None)


def verdict_on(result: Answer | Fault, endpoint: Endpoint, *, settles: bool) -> Verdict:
    """Judge one attempt.

    `settles`: whether an answer of the kind 2xx says what the request came to.
    """
    if isinstance(result, Fault):
        again = not result.lasting and may_repeat(endpoint, result.effect)
        return Verdict(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, result.effect)
    status = result.status
    if 200 <= status < 300:
        if settles:
            return Verdict(Meaning.ACCEPTED, Effect.POSSIBLE)
        # A cut-off answer is a lost one, and asking again is harmless. A whole one would come again as it is.
        again = not result.complete and may_repeat(endpoint, Effect.POSSIBLE)
        return Verdict(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, Effect.POSSIBLE)
    if status == 401:
        return Verdict(Meaning.TOKEN_REFUSED, Effect.NONE)
    if status == 429 and means_quota(result, endpoint):
        return Verdict(Meaning.QUOTA_USED_UP, Effect.NONE)
    if status in _LATER:
        return Verdict(Meaning.TRY_AGAIN, Effect.NONE)
    if status in _UNKNOWN_LATER:
        again = may_repeat(endpoint, Effect.POSSIBLE)
        return Verdict(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, Effect.POSSIBLE)
    if 300 <= status < 500:
        return Verdict(Meaning.REFUSED, Effect.NONE)
    return Verdict(Meaning.GIVE_UP, Effect.POSSIBLE)


def shows_service_down(result: Answer | Fault) -> bool:
    """Whether a service that is down would answer like this: with 429, 5xx or not at all."""
    return isinstance(result, Fault) or result.status == 429 or result.status >= 500


def asks_to_slow_down(result: Answer | Fault) -> bool:
    """Whether the service says that requests come too fast for it."""
    return isinstance(result, Answer) and result.status in (429, 503)


def may_repeat(endpoint: Endpoint, effect: Effect) -> bool:
    """Whether a request may be sent again after an attempt with this effect (RFC 9110, section 9.2.2)."""
    return effect is Effect.NONE or endpoint.idempotent


def unsettled_kind(effect: Effect) -> OutcomeKind:
    """Return the outcome of a row that no attempt has settled; `effect` is the gravest of all its attempts."""
    return OutcomeKind.FAILED if effect is Effect.NONE else OutcomeKind.UNCONFIRMED


def means_quota(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether a 429 says that the quota is used up, so that waiting does not help."""
    quota = endpoint.quota_message
    return quota is not None and quota.casefold() in (message_of(answer, endpoint) or "").casefold()


def message_of(answer: Answer, endpoint: Endpoint) -> str | None:
    """Return the API's own words, on one line and bounded; None if it has none."""
    parsed = answer.parsed()
    text = parsed if isinstance(parsed, str) else _message_in(parsed, endpoint.error_message_keys)
    if text is None and parsed is None:
        text = _text_of(answer.body)
    return one_line(text) if text else None


def text_of(answer: Answer) -> str | None:
    """Return what a whole answer says, whatever it is, on one line and bounded; None if it says nothing."""
    parsed = answer.parsed()
    text = to_json(parsed) if isinstance(parsed, (dict, list)) else _text_of(answer.body)
    return one_line(text) if text else None


def one_line(text: str) -> str:
    """Return a text of the API's as a message holds it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_CHARACTERS_LOOKED_AT]).split())
    return line if len(line) <= MESSAGE_CHARACTERS else f"{line[:MESSAGE_CHARACTERS]} ..."


def _message_in(parsed: object, keys: tuple[str, ...]) -> str | None:
    if not isinstance(parsed, dict):
        return None
    usual = ("message", "Message", "detail", "title", "error_description", "error")
    texts = (parsed.get(key) for key in (*keys, *usual))
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def _text_of(body: bytes) -> str | None:
    text = body[:_CHARACTERS_LOOKED_AT].decode("utf-8", errors="replace")
    if re.search(r"<(html|!doctype|body|head)\b", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"{_WEB_PAGE}: {title[1]}" if title else _WEB_PAGE
    return text.strip() or None


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None if it asks for none."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+\s*", value):
        return min(float(value), _LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def status_name(status: int) -> str:
    """Return `404 Not Found`; the number alone if the standard has no name for it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


_ADVICE: Mapping[int, str] = {
    400: "Correct what the message names, then run this row again.",
    401: "Check the token in the configuration, then run again.",
    403: "Ask whoever manages the account whether it may update this {record}.",
    404: "Check the cells that say which {record} is meant: there is none like that.",
    409: "Look at the {record} in {api}: somebody else may have changed it.",
    413: "Shorten the texts in this row.",
    429: "Run again later, or with a lower sending.rate_per_s.",
    500: "Run again. If it stays like this, ask the people who run {api}.",
    503: "Run again later: {api} is not available just now.",
}


def advice_on(status: int, endpoint: Endpoint) -> str:
    """Return what a person should do about an answer of that status."""
    if 300 <= status < 400:
        text = "Check api.base_url in the configuration: {api} answers from another address."
    elif 400 <= status < 500 and status not in (408, 425):
        text = _ADVICE.get(status, "Correct the row, then run it again.")
    else:
        text = _ADVICE.get(status, again_advice(endpoint))
    return text.format(record=endpoint.record_name, api=endpoint.api_name)


def again_advice(endpoint: Endpoint) -> str:
    """Return what to do about a row that may have been applied."""
    if endpoint.idempotent:
        return "Run again: the row is sent once more, which does no harm."
    return f"Look at the {endpoint.record_name} first: running again could apply the row twice."


def utc_now() -> datetime:
    """Return the time, for outcomes and for Retry-After dates."""
    return datetime.now(UTC)
