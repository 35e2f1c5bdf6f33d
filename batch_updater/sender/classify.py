"""What an answer, or the lack of one, means for its row. Pure: no network, no clock."""

from __future__ import annotations

import re
from enum import StrEnum, auto
from http import HTTPStatus

import msgspec
from msgspec.structs import replace

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import NO_RECORD, Confirmation, Unconfirmed, confirmation, record_of
from batch_updater.endpoint.description import Endpoint
from batch_updater.records import Job
from batch_updater.sender.answer import Answer, TransportError
from batch_updater.sender.bodies import WEB_PAGE
from batch_updater.sender.locked import says_locked
from batch_updater.sender.reasons import error_codes

RETRYABLE = frozenset({423, 425, 429, 500, 503})
"""Statuses of updates that were not applied, and are worth another attempt."""
RETRYABLE_MAYBE_APPLIED = frozenset({408, 502, 504})
"""Statuses of updates that may have been applied, and are worth another attempt where the call is idempotent."""
_NO_CONFIRMATION = frozenset({202, 206, 207})
"""Accepted to be done later, a part of an answer, one status for each of several things: RFC 9110, RFC 4918."""
_CUT_OFF = Unconfirmed(", cut off", ", but the answer was cut off")
_NOT_DONE = Unconfirmed(", which is no confirmation", ", which does not say that it was done")
ACCEPTED_ONLY = _NOT_DONE._replace(
    words=", which does not say that it was done (if every update is answered like this, set api.accepted_is_done: "
    "true in the configuration)"
)
"""Of a 202 where the configuration does not say that it confirms an update. The terminal shows no advice of a row."""
_ADDRESS = re.compile(r"\S*/\S*")
"""It holds the record's id, and often the name of records, whatever is missing."""
_OF_ADDRESS = re.compile(
    r"\b(?:routes?|routing|endpoints?|urls?|uris?|paths?|pages?|handlers?|methods?|actions?|controllers?"
    r"|static resource|can ?not (?:put|get)|api version)\b"
)
_OF_RECORD = r"record|object|entity|item|row|entry|document|id|identifier"
_SHORTEST_WORD = 4
"""Letters of a value that is looked for in a text; a number may have fewer digits."""
NOTHING_REPORTED = Confirmation()
"""Of an attempt that brought no answer of the kind 2xx."""


class Meaning(StrEnum):
    """What an attempt means for its row; in the log under this name."""

    ACCEPTED = auto()
    """2xx that says what the update came to: what the record in it holds decides."""
    REFUSED = auto()
    """The API will not do it, now or later."""
    TOKEN_REFUSED = auto()
    """401: the token, not the row."""
    QUOTA_USED_UP = auto()
    """The account may send nothing more for a long time."""
    RETRY = auto()
    """It may work in a moment."""
    GIVE_UP = auto()
    """It did not work, and a retry at once would not help."""


class Classification(msgspec.Struct, frozen=True):
    """What one attempt means."""

    meaning: Meaning
    maybe_applied: bool = False
    """Whether an attempt that is not accepted may have changed the record."""
    is_of_record: bool = False
    """Whether it concerns this record alone and says nothing about the service: the record is locked."""
    confirmation: Confirmation = NOTHING_REPORTED
    """What an answer of the kind 2xx says of the record."""


def classify_update(
    result: Answer | TransportError, endpoint: Endpoint, job: Job, allowed: AllowedValues, *, accepted_is_done: bool
) -> Classification:
    """Classify an attempt at an update.

    `accepted_is_done`: whether 202 alone says that it was done, unless its body says that it failed or holds another
    record.
    """
    if not isinstance(result, Answer) or not result.is_2xx:
        return _without_success(result, endpoint, can_repeat=endpoint.can_repeat)
    reported = _confirmation_in(result, endpoint, job, allowed, accepted_is_done=accepted_is_done)
    return _of_success(result, reported, can_repeat=endpoint.can_repeat)


def classify_read(result: Answer | TransportError, endpoint: Endpoint, job: Job) -> Classification:
    """Classify an attempt at reading a record: that changes nothing, whatever comes of it, and may be repeated."""
    if not isinstance(result, Answer) or not result.is_2xx:
        return replace(_without_success(result, endpoint, can_repeat=True), maybe_applied=False)
    if not result.complete:
        reported = Confirmation(doubt=_CUT_OFF)
    else:
        is_whole = is_success(result.status) and result.body.is_json
        record = record_of(endpoint, job, result.body.value) if is_whole else None
        reported = Confirmation(record, doubt=NO_RECORD if record is None else None)
    return replace(_of_success(result, reported, can_repeat=True), maybe_applied=False)


def _of_success(answer: Answer, reported: Confirmation, *, can_repeat: bool) -> Classification:
    if reported.settles:
        return Classification(Meaning.ACCEPTED, confirmation=reported)
    # A cut-off answer is a lost one, and asking again is harmless. A whole one would come again as it is.
    meaning = Meaning.RETRY if can_repeat and not answer.complete else Meaning.GIVE_UP
    return Classification(meaning, maybe_applied=True, confirmation=reported)


def _without_success(result: Answer | TransportError, endpoint: Endpoint, *, can_repeat: bool) -> Classification:
    """Classify what is not of the kind 2xx; `can_repeat`: whether the call is idempotent (RFC 9110, section 9.2.2)."""
    if isinstance(result, TransportError):
        is_worth_another = not result.lasting and (can_repeat or not result.maybe_applied)
        return Classification(Meaning.RETRY if is_worth_another else Meaning.GIVE_UP, result.maybe_applied)
    status = result.status
    if status == HTTPStatus.UNAUTHORIZED:
        return Classification(Meaning.TOKEN_REFUSED)
    quota = endpoint.quota_message
    if status == HTTPStatus.TOO_MANY_REQUESTS and quota and quota.casefold() in result.explanation.line.casefold():
        return Classification(Meaning.QUOTA_USED_UP)  # waiting does not help
    if (is_of_record := is_locked(result, endpoint)) or status in RETRYABLE or is_throttled(result):
        return Classification(Meaning.RETRY, is_of_record=is_of_record)
    if is_refusal(status):
        return Classification(Meaning.REFUSED)
    can_repeat = can_repeat and status in RETRYABLE_MAYBE_APPLIED
    return Classification(Meaning.RETRY if can_repeat else Meaning.GIVE_UP, maybe_applied=True)


def _confirmation_in(
    answer: Answer, endpoint: Endpoint, job: Job, allowed: AllowedValues, *, accepted_is_done: bool
) -> Confirmation:
    """Return what an answer of the kind 2xx says of the update."""
    is_accepted = accepted_is_done and answer.status == HTTPStatus.ACCEPTED
    if answer.status in _NO_CONFIRMATION and not is_accepted:
        return Confirmation(doubt=ACCEPTED_ONLY if answer.status == HTTPStatus.ACCEPTED else _NOT_DONE)
    if not answer.complete:
        return Confirmation(doubt=_CUT_OFF)
    content = answer.body.value
    if not answer.body.is_json:
        if isinstance(content, str) and content.startswith(WEB_PAGE):
            if not is_accepted:
                return Confirmation(doubt=NO_RECORD)
            content = content.removeprefix(WEB_PAGE).removeprefix(": ")
        # XML may say that it failed. Its values are all texts, so it is not taken for the record: a list never is.
        content = [content] if content else None
    reported = confirmation(endpoint, job, answer.status, content, allowed)
    if is_accepted and reported.doubt and not reported.doubt.said:
        return replace(reported, doubt=None)  # a record was not promised
    return reported


def is_success(status: int) -> bool:
    """Whether a status says that all of a request was done."""
    return 200 <= status < 300 and status not in _NO_CONFIRMATION


def is_refusal(status: int) -> bool:
    """Whether a status says that the API will not do it, now or later."""
    return 300 <= status < 500 and status != 401 and status not in RETRYABLE | RETRYABLE_MAYBE_APPLIED


def is_locked(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether an answer says that the record is locked for the moment: 423, or a 409 with such a reason.

    A 409 about an idempotency key says that an earlier attempt with it has not come to its end (IETF draft
    idempotency-key-header-07, section 2.6).
    """
    if answer.status != HTTPStatus.CONFLICT:
        return answer.status == HTTPStatus.LOCKED
    texts = (*(reason.text for reason in answer.explanation.reasons), *error_codes(answer.body))
    is_of_key = endpoint.idempotency_key is not None and any("idempoten" in text.casefold() for text in texts)
    return is_of_key or says_locked(texts, endpoint.record_name)


def says_record_missing(answer: Answer, endpoint: Endpoint, job: Job) -> bool:
    """Whether a 404 has a reason that names the record of the job: by its id, or as what the API calls a record.

    Gateways, frameworks and wrong addresses answer 404, too: with a web page, nothing at all, or `no such route`.
    """
    if answer.status != HTTPStatus.NOT_FOUND:
        return False
    values = (str(job.values.get(field.name) or "") for field in endpoint.fields if field.selects_record)
    ids = [re.escape(value.casefold()) for value in values if value.isdecimal() or len(value) >= _SHORTEST_WORD]
    names = re.compile(rf"(?<!\w)(?:{'|'.join((_OF_RECORD, re.escape(endpoint.record_name.casefold()), *ids))})(?!\w)")
    for text in (*(reason.text for reason in answer.explanation.reasons), *error_codes(answer.body)):
        words = re.sub("(?<=[a-z])(?=[A-Z])|_", " ", _ADDRESS.sub(" ", text)).casefold()
        if not text.startswith(WEB_PAGE) and not _OF_ADDRESS.search(words) and names.search(words):
            return True
    return False


def is_throttled(answer: Answer) -> bool:
    """Whether an answer refuses a request for the moment, because there were too many: 429 (RFC 6585, section 4).

    Some services say so with a 403; it then has a header that tells when to ask again, which a lasting one has not.
    """
    is_for_now = answer.status == HTTPStatus.FORBIDDEN and answer.retry_after_s is not None
    return is_for_now or answer.status == HTTPStatus.TOO_MANY_REQUESTS


def shows_service_down(result: Answer | TransportError) -> bool:
    """Whether a service that is down would answer like this: with 429, 5xx or not at all."""
    return isinstance(result, TransportError) or is_throttled(result) or result.status >= 500


def asks_to_slow_down(result: Answer | TransportError) -> bool:
    """Whether the service says that requests come too fast for it."""
    return isinstance(result, Answer) and (is_throttled(result) or result.status == HTTPStatus.SERVICE_UNAVAILABLE)
