"""What an answer, or the lack of one, means for its row. Pure: no network, no clock but the one passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.endpoint.compare import NO_RECORD, Confirmation, Unconfirmed, confirmation, record_of
from batch_updater.endpoint.exact_json import from_json, to_json
from batch_updater.records import OutcomeKind
from batch_updater.sender.bodies import WEB_PAGE, read_body, read_text
from batch_updater.sender.locked import says_locked
from batch_updater.sender.reasons import SAYS_NOTHING, Said, error_codes, one_line, read_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.endpoint.allowed import AllowedValues
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Job

MESSAGE_CHARACTERS = 500
"""How much of an answer that confirms nothing stands in a message: it may hold a megabyte."""
REASON_CHARACTERS = 1_000
"""How much of the reasons for a refusal does: there may be one for each cell."""


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
    content_type: str = ""
    """The header's value."""
    asked_wait_s: float | None = None
    """How long the service asks to wait; None if it does not."""

    def parsed(self) -> object:
        """Return the body's JSON with exact numbers; None if it is none."""
        if not self.complete:
            return None
        try:
            return from_json(self.body)
        except ValueError:
            return None

    def said(self, endpoint: Endpoint) -> Said:
        """Return what the answer says if it is that of an error; as far as it arrived, be it cut off."""
        keys = endpoint.error_message_keys
        return read_error(self.body, self.content_type, keys, lambda name: endpoint.field_called(name) is not None)


@dataclass(frozen=True, slots=True)
class TransportError:
    """An attempt that brought no answer."""

    cause: str
    """A short name, such as `no connection`."""
    message: str
    advice: str
    effect: Effect
    lasting: bool = False
    """Whether another attempt is bound to end the same way."""


class Classification(NamedTuple):
    """What one attempt means."""

    meaning: Meaning
    effect: Effect
    is_of_record: bool = False
    """Whether it concerns this record alone and says nothing about the service: the record is locked."""


_LATER = {423, 425, 429, 500, 503}
"""Not applied, and worth another attempt."""
_UNKNOWN_LATER = {408, 502, 504}
"""May have been applied, and worth another attempt."""
_NO_CONFIRMATION = {202, 206, 207}
"""Accepted to be done later, a part of an answer, one status for each of several things: RFC 9110, RFC 4918."""
_CUT_OFF = Unconfirmed(", cut off", ", but the answer was cut off")
_NOT_DONE = Unconfirmed(", which is no confirmation", ", which does not say that it was done")
ACCEPTED_ONLY = _NOT_DONE._replace(
    words=", which does not say that it was done (if every update is answered like this, set api.accepted_is_done: "
    "true in the configuration)"
)
"""Of a 202 where the configuration does not say that it confirms an update. The terminal shows no advice of a row."""


def is_success(status: int) -> bool:
    """Whether a status says that all of a request was done."""
    return 200 <= status < 300 and status not in _NO_CONFIRMATION


def confirmation_in(
    answer: Answer, endpoint: Endpoint, job: Job, allowed: AllowedValues, *, accepted_is_done: bool = False
) -> Confirmation:
    """Return what an answer of the kind 2xx says of the update.

    `accepted_is_done`: whether 202 alone says that it was done, unless its body says that it failed or holds another
    record.
    """
    is_accepted = accepted_is_done and answer.status == HTTPStatus.ACCEPTED
    if answer.status in _NO_CONFIRMATION and not is_accepted:
        return Confirmation(doubt=ACCEPTED_ONLY if answer.status == HTTPStatus.ACCEPTED else _NOT_DONE)
    if not answer.complete:
        return Confirmation(doubt=_CUT_OFF)
    parsed = answer.parsed()
    if parsed is None:
        said = read_body(answer.body, answer.content_type)[0]
        if isinstance(said, str) and said.startswith(WEB_PAGE):
            if not is_accepted:
                return Confirmation(doubt=NO_RECORD)
            said = said.removeprefix(WEB_PAGE).removeprefix(": ")
        # XML may say that it failed. Its values are all texts, so it is not taken for the record: a list never is.
        parsed = [said] if said else None
    told = confirmation(endpoint, job, answer.status, parsed, allowed)
    if is_accepted and told.doubt and not told.doubt.said:
        return told._replace(doubt=None)  # a record was not promised
    return told


def reading_in(answer: Answer, endpoint: Endpoint, job: Job) -> Confirmation:
    """Return the record in an answer of the kind 2xx to a reading; a doubt if it is not certain that it is there."""
    if not answer.complete:
        return Confirmation(doubt=_CUT_OFF)
    record = record_of(endpoint, job, answer.parsed()) if is_success(answer.status) else None
    return Confirmation(record, doubt=NO_RECORD if record is None else None)


def classify(result: Answer | TransportError, endpoint: Endpoint, *, settles: bool) -> Classification:
    """Judge one attempt.

    `settles`: whether an answer of the kind 2xx says what the request came to.
    """
    if isinstance(result, TransportError):
        again = not result.lasting and may_repeat(endpoint, result.effect)
        return Classification(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, result.effect)
    status = result.status
    if 200 <= status < 300:
        if settles:
            return Classification(Meaning.ACCEPTED, Effect.POSSIBLE)
        # A cut-off answer is a lost one, and asking again is harmless. A whole one would come again as it is.
        again = not result.complete and may_repeat(endpoint, Effect.POSSIBLE)
        return Classification(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, Effect.POSSIBLE)
    if status == 401:
        return Classification(Meaning.TOKEN_REFUSED, Effect.NONE)
    if status == 429 and means_quota(result, endpoint):
        return Classification(Meaning.QUOTA_USED_UP, Effect.NONE)
    if (is_of_record := is_locked(result, endpoint)) or status in _LATER:
        return Classification(Meaning.TRY_AGAIN, Effect.NONE, is_of_record)
    if status in _UNKNOWN_LATER:
        again = may_repeat(endpoint, Effect.POSSIBLE)
        return Classification(Meaning.TRY_AGAIN if again else Meaning.GIVE_UP, Effect.POSSIBLE)
    if is_refusal(status):
        return Classification(Meaning.REFUSED, Effect.NONE)
    return Classification(Meaning.GIVE_UP, Effect.POSSIBLE)


def is_refusal(status: int) -> bool:
    """Whether a status says that the API will not do it, now or later."""
    return 300 <= status < 500 and status != 401 and status not in _LATER and status not in _UNKNOWN_LATER


def is_locked(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether an answer says that the record is locked for the moment: 423, or a 409 with such a reason."""
    if answer.status != HTTPStatus.CONFLICT:
        return answer.status == HTTPStatus.LOCKED
    reasons = (reason.text for reason in answer.said(endpoint).reasons)
    return says_locked((*reasons, *error_codes(answer.body, answer.content_type)), endpoint.record_name)


def shows_service_down(result: Answer | TransportError) -> bool:
    """Whether a service that is down would answer like this: with 429, 5xx or not at all."""
    return isinstance(result, TransportError) or result.status == 429 or result.status >= 500


def asks_to_slow_down(result: Answer | TransportError) -> bool:
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
    """Return why the API says no, on one line and bounded; None if it does not say."""
    return one_line(answer.said(endpoint).text, REASON_CHARACTERS) or None


def text_of(answer: Answer) -> str | None:
    """Return what a whole answer says, whatever it is, on one line and bounded; None if it says nothing."""
    parsed = answer.parsed()
    text = to_json(parsed) if isinstance(parsed, (dict, list)) else read_text(answer.body, answer.content_type)
    return one_line(text, MESSAGE_CHARACTERS) or None


def status_name(status: int) -> str:
    """Return `404 Not Found`; the number alone if the standard has no name for it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


_CORRECT = "Correct what the message names, then run this row again."
_SET_UP = "Check api.base_url and api.endpoint in the configuration: {api} takes no such update there."
_CHANGED = "Look at the {record} in {api}: it may have been changed, or clash with another one."
_TOO_LONG = "Shorten the texts in this row."
_ADVICE: Mapping[int, str] = {
    400: _CORRECT,
    401: "Check the token in the configuration, then run again.",
    402: "Ask the people who manage the account: {api} wants to be paid.",
    403: "Ask the people who manage the account whether it may update this {record}.",
    404: "Check the cells that say which {record} is meant: there is none like that.",
    405: _SET_UP,
    406: _SET_UP,
    407: "Ask the people who run the network for the name and password that the proxy wants, and set api.proxy.",
    409: _CHANGED,
    410: "Check the cells that say which {record} is meant: it was deleted.",
    412: _CHANGED,
    413: _TOO_LONG,
    414: _TOO_LONG,
    415: _SET_UP,
    422: _CORRECT,
    423: "Run again: the {record} was locked, perhaps by a person who has it open in {api}.",
    428: _CHANGED,
    429: "Run again later, or with a lower sending.rate_per_s.",
    431: _TOO_LONG,
    500: "Run again. If it stays like this, ask the people who run {api}.",
    503: "Run again later: {api} is not available just now.",
}
_SAYS_NOTHING = (
    "{api} does not say what is wrong. Compare this row with the {record} in {api}; if its cells are right, ask the "
    "people who run {api}."
)
_SAYS_A_PAGE = (
    "A web page is no answer of {api}. Check api.base_url, and ask the people who run the network whether a proxy "
    "answers in its place."
)
_ACCEPTED = (
    "If {api} answers every update like this, set api.accepted_is_done: true in the configuration; such rows then "
    "count as updated."
)


def advice_on(status: int, endpoint: Endpoint, said: Said = SAYS_NOTHING, *, names_cells: bool = False) -> str:
    """Return what a person should do about an answer of that status.

    `said`: what it says; `names_cells`: whether cells are named beside it.
    """
    if 300 <= status < 400:
        text = "Check api.base_url in the configuration: {api} answers from another address."
    elif 400 <= status < 500 and status not in (408, 425):
        text = _ADVICE.get(status, _CORRECT)
        if text is _CORRECT and not names_cells:
            is_page = said.text.startswith(WEB_PAGE)
            text = _SAYS_A_PAGE if is_page else text if said.is_worded else _SAYS_NOTHING
    else:
        text = _ADVICE.get(status, again_advice(endpoint))
    return text.format(record=endpoint.record_name, api=endpoint.api_name)


def advice_on_doubt(status: int, endpoint: Endpoint, doubt: Unconfirmed) -> str:
    """Return what a person should do about an answer of that status, of the kind 2xx, that confirms nothing."""
    advice = advice_on(status, endpoint)
    return f"{advice} {_ACCEPTED.format(api=endpoint.api_name)}" if doubt is ACCEPTED_ONLY else advice


def again_advice(endpoint: Endpoint) -> str:
    """Return what to do about a row that may have been applied."""
    if endpoint.idempotent:
        return "Run again: the row is sent once more, which does no harm."
    return f"Look at the {endpoint.record_name} first: running again could apply the row twice."


def utc_now() -> datetime:
    """Return the time, for outcomes and for Retry-After dates."""
    return datetime.now(UTC)
