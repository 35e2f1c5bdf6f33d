"""sandbox/app.py: what is served where, and what the log says of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.server import Sandbox
from batch_updater.sandbox.settings import SandboxSettings
from tests.sandbox.raw import BEARER, get, put, send

if TYPE_CHECKING:
    from typing import Any

TARGET = "7?opportunityType=Pre"


def logged(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(line) for line in send(sandbox, "GET", "/_sandbox/requests").body.splitlines()]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v2/opportunities"),
        ("PUT", "/api/v2/opportunities/"),
        ("PUT", "/api/v2/opportunities/1/2"),
        ("PUT", "/api/v2/opportunities/../opportunities/1"),
        ("PUT", "//api/v2/opportunities/1"),
        ("PATCH", "/api/v2/opportunities/1"),
        ("POST", "/api/v2/opportunities/1"),
        ("GET", "/oauth/token"),
        ("PUT", "/elsewhere"),
    ],
)
def test_an_unknown_path_or_method_is_answered_by_the_gateway(sandbox: Sandbox, method: str, path: str) -> None:
    """Whatever is no operation of the API is a 403 about a token, as the gateway has it; the path is never tidied."""
    reply = send(sandbox, method, f"{path}?opportunityType=Pre", b"{}", **BEARER)
    assert (reply.status, reply.json()) == (403, {"message": "Missing Authentication Token"})
    assert sandbox.received[-1].path == path


def test_what_does_not_exist_is_not_found(sandbox: Sandbox) -> None:
    """A number beyond the last is 404 with a body in JSON, read or updated."""
    for reply in (put(sandbox, "100001?opportunityType=Pre", "{}"), get(sandbox, "100001")):
        assert reply.status == 404
        assert "100001" in reply.json()["Message"]


def test_reading_without_a_type_gives_both(sandbox: Sandbox) -> None:
    """GET answers with an array, of one type or of both."""
    assert [record["Type"] for record in get(sandbox, "7").json()] == ["Pre", "Post"]
    assert [record["Type"] for record in get(sandbox, "7?opportunityType=Post&LanguageId=1").json()] == ["Post"]
    assert get(sandbox, "0").status == 400
    assert get(sandbox, "7?opportunityType=Other").status == 400


def test_a_body_must_be_labelled_as_json(sandbox: Sandbox) -> None:
    """An update that does not say that it is JSON is refused."""
    reply = put(sandbox, TARGET, "{}", **{"Content-Type": "text/plain"})
    assert (reply.status, reply.json()) == (415, {"message": "Unsupported Media Type"})


def test_an_update_without_a_field_changes_nothing(sandbox: Sandbox) -> None:
    """Every field is optional, so that none at all is taken too."""
    before = get(sandbox, TARGET).json()
    reply = put(sandbox, TARGET, "{}")
    assert (reply.status, [reply.json()]) == (200, before)


def test_the_log_has_what_arrived_byte_for_byte(sandbox: Sandbox) -> None:
    """Path and query are as they stood on the wire, the body too, and the token is left out."""
    body = '{"OpportunityName": "Caf\u00e9", "SalesRevenue": 1.50}'
    put(sandbox, "%37?opportunityType=P%72e", body, **{"X-Trace": "1"})
    (line,) = logged(sandbox)
    assert (line["method"], line["path"], line["query"]) == (
        "PUT",
        "/api/v2/opportunities/%37",
        "opportunityType=P%72e",
    )
    assert (line["status"], line["applied"], line["fault"], line["token"]) == (200, True, None, "sandbox-token")
    assert line["body"] == body
    assert line["headers"]["X-Trace"] == "1"
    assert "authorization" not in {name.lower() for name in line["headers"]}
    assert abs(line["at_s"] - time.time()) < 60


def test_a_body_that_is_no_text_is_shown_in_base64(sandbox: Sandbox) -> None:
    """No byte is lost, whatever was sent."""
    put(sandbox, TARGET, b"\xff")
    (line,) = logged(sandbox)
    assert (line["body_base64"], "body" in line) == ("/w==", False)


def test_bodies_need_not_be_kept() -> None:
    """A run of a million rows leaves a log that fits in memory."""
    with Sandbox(SandboxSettings(keep_bodies=False)) as sandbox:
        assert put(sandbox, TARGET, '{"StageName": "Proposal"}').json()["OpportunityStageID"] == 3
        assert (sandbox.received[-1].body, dict(sandbox.received[-1].headers)) == (b"", {})


def test_the_records_that_were_changed_can_be_read(sandbox: Sandbox) -> None:
    """One line for each, as it is now."""
    reply = put(sandbox, TARGET, '{"StageName": "Proposal"}')
    get(sandbox, "8")
    assert send(sandbox, "GET", "/_sandbox/records").body.splitlines() == [reply.body]


def test_reset_forgets_everything(sandbox: Sandbox) -> None:
    """Log, changes, attempts and revoked tokens are gone."""
    before = get(sandbox, TARGET).body
    put(sandbox, TARGET, '{"OpportunityName": "fault:token-revoked:1"}')
    assert send(sandbox, "POST", "/_sandbox/reset").status == 204
    assert sandbox.received == ()
    assert get(sandbox, TARGET).body == before


def test_looking_at_the_sandbox_leaves_no_trace(sandbox: Sandbox) -> None:
    """The log holds what clients of the API sent, and nothing of those who look at it."""
    for path in ("/", "/_sandbox/requests", "/_sandbox/records", "/_sandbox/faults"):
        assert send(sandbox, "GET", path).status == 200
    assert send(sandbox, "GET", "/_sandbox/other").status == 404
    assert send(sandbox, "GET", "/_sandbox/reset").status == 404
    assert sandbox.received == ()


def test_every_answer_takes_the_latency() -> None:
    """A service that is slow is slow for everybody."""
    with Sandbox(SandboxSettings(latency_ms=60)) as sandbox:
        begun = time.monotonic()
        assert put(sandbox, TARGET, "{}").status == 200
        assert time.monotonic() - begun >= 0.06
