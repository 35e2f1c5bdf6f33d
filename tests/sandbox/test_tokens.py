"""sandbox/tokens.py: who may use the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.tokens import Tokens
from tests.sandbox.raw import put, send
from tests.sandbox.test_gateway import Clock

if TYPE_CHECKING:
    from batch_updater.sandbox.server import Sandbox

FORM = "application/x-www-form-urlencoded"
GOOD = b"grant_type=client_credentials&client_id=sandbox&client_secret=sandbox-secret&scope=nexus"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer other", "Basic sandbox-token", "sandbox-token"])
def test_a_request_without_a_good_token_is_answered_with_a_plain_401(
    sandbox: Sandbox, authorization: str | None
) -> None:
    """The documented body of a 401 is a string; nothing is changed."""
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = send(sandbox, "PUT", "/api/v2/opportunities/1?opportunityType=Pre", b"{}", **headers)
    assert (reply.status, reply.body) == (401, b"Not Authorized")
    assert not sandbox.received[-1].applied


def test_client_credentials_give_a_token_that_is_taken(sandbox: Sandbox) -> None:
    """The token endpoint answers as OAuth 2.0 says, and the API takes what it gave."""
    reply = send(sandbox, "POST", "/oauth/token", GOOD, Content_Type=FORM)
    given = reply.json()
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3600)
    updated = put(sandbox, "1?opportunityType=Pre", "{}", Authorization=f"Bearer {given['access_token']}")
    assert updated.status == 200
    assert sandbox.received[-1].token == "issued-1"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "error"),
    [
        (FORM, b"grant_type=client_credentials&client_id=sandbox&client_secret=wrong", 401, "invalid_client"),
        (FORM, b"grant_type=client_credentials&client_id=other&client_secret=sandbox-secret", 401, "invalid_client"),
        (FORM, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM, b"grant_type=password&client_id=sandbox&client_secret=sandbox-secret", 400, "unsupported_grant_type"),
        (FORM, GOOD + b"&client_id=sandbox", 400, "invalid_request"),
        (FORM, b"", 400, "invalid_request"),
        ("application/json", b"{}", 400, "invalid_request"),
    ],
)
def test_a_wrong_token_request_is_refused(content_type: str, body: bytes, status: int, error: str) -> None:
    """Errors are those of RFC 6749, section 5.2."""
    answer = Tokens(3600).answer(content_type, body)
    assert (answer.status, json.loads(answer.body)) == (status, {"error": error})


def test_a_token_is_taken_until_it_expires() -> None:
    """A run that outlives its token is told so by a 401."""
    clock = Clock()
    tokens = Tokens(60, clock)
    authorization = f"Bearer {json.loads(tokens.answer(FORM, GOOD).body)['access_token']}"
    clock.now_s += 59
    assert tokens.name_of(authorization) == "issued-1"
    clock.now_s += 1
    assert tokens.name_of(authorization) is None
    assert tokens.name_of("Bearer sandbox-token") == "sandbox-token"


def test_no_secret_is_kept_in_the_log(sandbox: Sandbox) -> None:
    """Neither the token nor the client's secret can be read from what the sandbox shows."""
    given = send(sandbox, "POST", "/oauth/token", GOOD, Content_Type=FORM).json()["access_token"]
    put(sandbox, "1?opportunityType=Pre", "{}", Authorization=f"Bearer {given}")
    shown = send(sandbox, "GET", "/_sandbox/requests").body + send(sandbox, "GET", "/").body
    assert shown.count(b"/oauth/token") == 2
    assert given.encode() not in shown
    assert b"sandbox-secret" not in shown
