"""sender/classify.py: what each answer, or the lack of one, means for its row."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.sender.answer import Answer, TransportError, read_answer
from batch_updater.sender.classify import (
    RETRYABLE,
    RETRYABLE_MAYBE_APPLIED,
    Classification,
    asks_to_slow_down,
    classify_read,
    classify_update,
    is_refusal,
    is_success,
    shows_service_down,
)
from tests.sender.driver import ENDPOINT, job

ONCE_ONLY = replace(ENDPOINT, idempotent=False)
JOB = job(7)
IDS = {"OpportunityCategoryID": 1, "OpportunityStageID": 1}
RECORD = {"ID": 7, "Type": "Pre", "OpportunityName": "name 7", **IDS}
NO_CONNECTION = TransportError("no connection", "", "")
BAD_CERTIFICATE = TransportError("no secure connection", "", "", lasting=True)
LOST = TransportError("connection lost", "", "", maybe_applied=True)


def answer(status: int, body: object = None, *, complete: bool = True) -> Answer:
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(status, text, "", ENDPOINT, complete=complete)


def update(result: Answer | TransportError, *, once_only: bool = False, done: bool = False) -> Classification:
    endpoint = ONCE_ONLY if once_only else ENDPOINT
    return classify_update(result, endpoint, JOB, AllowedValues(endpoint), accepted_is_done=done)


@pytest.mark.parametrize(
    ("result", "meaning", "maybe_applied", "meaning_if_not_idempotent"),
    [
        (answer(200, RECORD), "ACCEPTED", False, "ACCEPTED"),
        (answer(201, RECORD), "ACCEPTED", False, "ACCEPTED"),
        (answer(200, {**RECORD, "OpportunityName": "other"}), "ACCEPTED", False, "ACCEPTED"),  # it says what it is now
        (answer(200), "GIVE_UP", True, "GIVE_UP"),
        (answer(200, b"<html><body>Welcome</body></html>"), "GIVE_UP", True, "GIVE_UP"),
        (answer(200, {"success": False}), "GIVE_UP", True, "GIVE_UP"),
        (answer(200, RECORD, complete=False), "RETRY", True, "GIVE_UP"),
        (answer(202, RECORD), "GIVE_UP", True, "GIVE_UP"),
        (answer(206, RECORD), "GIVE_UP", True, "GIVE_UP"),
        (answer(207, RECORD), "GIVE_UP", True, "GIVE_UP"),
        (answer(302), "REFUSED", False, "REFUSED"),
        (answer(400, {"ValidationMessage": "No."}), "REFUSED", False, "REFUSED"),
        (answer(400, complete=False), "REFUSED", False, "REFUSED"),
        (answer(401), "TOKEN_REFUSED", False, "TOKEN_REFUSED"),
        (answer(403), "REFUSED", False, "REFUSED"),
        (replace(answer(403), retry_after_s=0.0), "RETRY", False, "RETRY"),
        (answer(404), "REFUSED", False, "REFUSED"),
        (answer(408), "RETRY", True, "GIVE_UP"),
        (answer(409, {"message": "Version conflict"}), "REFUSED", False, "REFUSED"),
        (answer(422), "REFUSED", False, "REFUSED"),
        (answer(425), "RETRY", False, "RETRY"),
        (answer(429), "RETRY", False, "RETRY"),
        (answer(429, {"message": "Too Many Requests"}), "RETRY", False, "RETRY"),
        (answer(429, {"message": "LIMIT EXCEEDED"}), "QUOTA_USED_UP", False, "QUOTA_USED_UP"),
        (answer(500), "RETRY", False, "RETRY"),
        (answer(501), "GIVE_UP", True, "GIVE_UP"),
        (answer(502), "RETRY", True, "GIVE_UP"),
        (answer(503, {"message": "Limit Exceeded"}), "RETRY", False, "RETRY"),
        (answer(504), "RETRY", True, "GIVE_UP"),
        (answer(599), "GIVE_UP", True, "GIVE_UP"),
        (NO_CONNECTION, "RETRY", False, "RETRY"),
        (BAD_CERTIFICATE, "GIVE_UP", False, "GIVE_UP"),
        (LOST, "RETRY", True, "GIVE_UP"),
    ],
)
def test_each_answer_to_an_update_means_one_thing(
    result: Answer | TransportError, meaning: str, meaning_if_not_idempotent: str, *, maybe_applied: bool
) -> None:
    """What may have been applied is repeated only where the call is idempotent, what was not applied everywhere."""
    assert (update(result).meaning.name, update(result).maybe_applied) == (meaning, maybe_applied)
    once_only = update(result, once_only=True)
    assert (once_only.meaning.name, once_only.maybe_applied) == (meaning_if_not_idempotent, maybe_applied)


@pytest.mark.parametrize(
    ("result", "meaning"),
    [
        (answer(200, [RECORD]), "ACCEPTED"),
        (answer(200, RECORD), "ACCEPTED"),
        (answer(200, []), "GIVE_UP"),
        (answer(200, [{**RECORD, "ID": 8}]), "GIVE_UP"),
        (answer(200, b"<record><ID>7</ID></record>"), "GIVE_UP"),
        (answer(202, [RECORD]), "GIVE_UP"),
        (answer(200, [RECORD], complete=False), "RETRY"),
        (answer(404), "REFUSED"),
        (answer(408), "RETRY"),
        (answer(502), "RETRY"),
        (answer(501), "GIVE_UP"),
        (LOST, "RETRY"),
        (BAD_CERTIFICATE, "GIVE_UP"),
    ],
)
def test_reading_a_record_changes_nothing_and_may_be_repeated(result: Answer | TransportError, meaning: str) -> None:
    """Whatever comes of it cannot have been applied, even where the update itself is not idempotent."""
    for endpoint in (ENDPOINT, ONCE_ONLY):
        found = classify_read(result, endpoint, JOB)
        assert (found.meaning.name, found.maybe_applied) == (meaning, False)


@pytest.mark.parametrize(
    ("result", "is_of_record"),
    [
        (answer(423), True),
        (answer(409, {"message": "The record is locked by another user."}), True),
        (answer(409, {"code": "RECORD_LOCKED"}), True),
        (answer(409, {"message": "Version conflict"}), False),
        (answer(400, {"message": "The record is locked by another user."}), False),
        (answer(503, {"message": "The record is locked by another user."}), False),
    ],
)
def test_a_lock_is_of_its_record_alone(result: Answer, *, is_of_record: bool) -> None:
    """A 423, or a 409 that says so, says nothing about the service, and is worth another attempt."""
    found = update(result)
    assert found.is_of_record is is_of_record
    assert not is_of_record or found.meaning.name == "RETRY"


@pytest.mark.parametrize(
    ("body", "meaning", "differences"),
    [
        (None, "ACCEPTED", 0),
        ({"state": "queued"}, "ACCEPTED", 0),
        (b"<html>Please wait</html>", "ACCEPTED", 0),
        ({**RECORD, "OpportunityName": "other"}, "ACCEPTED", 1),
        ({"success": False}, "GIVE_UP", 0),
        (b"<html>Failed</html>", "GIVE_UP", 0),
    ],
)
def test_a_202_confirms_where_the_configuration_says_so(body: object, meaning: str, differences: int) -> None:
    """Unless its body says that it failed, or holds something else than was asked."""
    found = update(answer(202, body), done=True)
    assert (found.meaning.name, len(found.confirmation.differences)) == (meaning, differences)


def test_no_status_is_both_refused_and_retried() -> None:
    """Of each status one thing is true: done, refused, retried, a refused token, or not known."""
    for status in range(200, 600):
        kinds = [is_success(status), is_refusal(status), status in RETRYABLE, status in RETRYABLE_MAYBE_APPLIED]
        assert sum(kinds) <= 1, status
    assert not is_refusal(401)


@pytest.mark.parametrize(
    ("result", "is_down", "is_too_fast"),
    [
        (answer(200, RECORD), False, False),
        (answer(400), False, False),
        (answer(408), False, False),
        (answer(423), False, False),
        (answer(429), True, True),
        (answer(500), True, False),
        (answer(503), True, True),
        (LOST, True, False),
        (NO_CONNECTION, True, False),
    ],
)
def test_what_says_something_about_the_service(
    result: Answer | TransportError, *, is_down: bool, is_too_fast: bool
) -> None:
    """429 and 503 slow the pool down; those, other 5xx and lost answers count towards the breaker."""
    assert (shows_service_down(result), asks_to_slow_down(result)) == (is_down, is_too_fast)
