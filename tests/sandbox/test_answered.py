"""sandbox/response_faults.py: every fault of an answer does what its name says."""

from __future__ import annotations

import json
import time
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.faults import find_fault
from tests.sandbox.raw import BEARER, Reply, get, put, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.sandbox.server import Sandbox

TARGET = "7?opportunityType=Pre"
RECORD = {"Type": "Pre", "ID": 7}


def reply_to(sandbox: Sandbox, fault: str, **fields: object) -> Reply:
    """Send an update that meets a fault, and check that it is carried out if and only if the fault says so."""
    body = json.dumps({"OpportunityName": f"fault:{fault}", "SalesRevenue": 12.5, **fields})
    reply = put(sandbox, TARGET, body)
    received, record = sandbox.received[-1], sandbox.record("Pre", 7)
    assert record
    assert received.fault == fault
    assert received.applied is find_fault(fault).kind.applied
    assert (record.name or "").startswith("fault:") is received.applied
    return reply


def message(text: str) -> Callable[[Reply], bool]:
    return lambda reply: reply.json() == {"message": text}


def waits(seconds: str) -> Callable[[Reply], bool]:
    return lambda reply: reply.headers["Retry-After"] == seconds


def waits_until_soon(reply: Reply) -> bool:
    left_s = (parsedate_to_datetime(reply.headers["Retry-After"]) - datetime.now(UTC)).total_seconds()
    return 50 < left_s <= 60


def resets_soon(reply: Reply) -> bool:
    return 50 < int(reply.headers["X-Ratelimit-Reset"]) - time.time() <= 60


def says(text: str) -> Callable[[Reply], bool]:
    return lambda reply: text.encode() in reply.body


def validation(text: str) -> Callable[[Reply], bool]:
    return lambda reply: text in reply.json()["ValidationMessage"] and reply.json()["AvailableStages"] == []


def body_is(body: bytes) -> Callable[[Reply], bool]:
    return lambda reply: reply.body == body


def reports(**fields: object) -> Callable[[Reply], bool]:
    return lambda reply: reply.json().items() >= fields.items()


def is_web_page(reply: Reply) -> bool:
    return reply.headers["Content-Type"].startswith("text/html") and reply.body.startswith(b"<!DOCTYPE html>")


def leads_elsewhere(reply: Reply) -> bool:
    return reply.headers["Location"] == "/elsewhere"


def is_bomb(reply: Reply) -> bool:
    return len(reply.body) < 100_000 and len(zlib.decompress(reply.body, wbits=31)) == 64 * 1024 * 1024


ANSWERS: list[tuple[str, int, Callable[[Reply], bool]]] = [
    ("echo-authorization", 400, validation("You sent Bearer sandbox-token (Bearer%20sandbox-token, %42")),
    ("echo-authorization-503", 503, lambda reply: reply.headers["X-Echo"] == "Bearer sandbox-token"),
    ("echo-in-record", 200, lambda reply: "in short Bearer sandbox-to" in reply.json()["OpportunityName"]),
    ("status-202", 202, message("Accepted")),
    ("status-204", 204, body_is(b"")),
    ("status-400", 400, validation("not valid")),
    ("status-401", 401, body_is(b"Not Authorized")),
    ("status-403", 403, message("Forbidden")),
    ("status-404", 404, lambda reply: list(reply.json()) == ["Message"]),
    ("status-408", 408, message("Request Timeout")),
    ("status-409", 409, message("Conflict")),
    ("status-425", 425, message("Too Early")),
    ("status-429", 429, message("Too Many Requests")),
    ("status-500", 500, lambda reply: list(reply.json()) == ["Message"]),
    ("status-502", 502, message("Internal server error")),
    ("status-503", 503, message("Service Unavailable")),
    ("status-504", 504, message("Endpoint request timed out")),
    ("status-599", 599, message("Status 599")),
    ("throttled", 429, message("Too Many Requests")),
    ("quota", 429, message("Limit Exceeded")),
    ("retry-after-3", 429, waits("3")),
    ("retry-after-503-3", 503, waits("3")),
    ("retry-after-date-60", 503, waits_until_soon),
    ("retry-after-fraction-1500", 503, waits("1.500")),
    ("retry-after-ms-1500", 429, lambda reply: reply.headers["X-Ms-Retry-After-Ms"] == "1500"),
    ("rate-limit-reset-60", 429, resets_soon),
    ("locked", 423, says("Record is locked by another user.")),
    ("locked-409", 409, says("Record is locked by another user.")),
    ("conflict", 409, says("changed by another user")),
    ("errors-by-field", 400, lambda reply: list(reply.json()["errors"]) == ["$.StageName", "AcctPotential"]),
    ("error-list", 422, lambda reply: reply.json()["errors"][0]["field"] == "StageName"),
    ("bare-list", 400, lambda reply: reply.json()[0]["fields"] == ["StageName"]),
    ("odata-error", 400, lambda reply: reply.json()["error"]["details"][0]["target"] == "StageName"),
    ("json-api-errors", 422, lambda reply: "pointer" in reply.json()["errors"][0]["source"]),
    ("soap-fault", 400, says("<faultstring>Stage is not valid")),
    ("text-refusal", 400, body_is("Die Phase ist ungültig.".encode("latin-1"))),
    ("json-as-html", 400, lambda reply: reply.headers["Content-Type"].startswith("text/html") and reply.json()),
    ("unknown-form", 400, says("it is closed")),
    ("nested-reason", 400, says("it is closed")),
    ("translated-reason", 422, says("it is closed")),
    ("no-words", 400, says("1234")),
    ("binary-refusal", 400, body_is(b"\x00\x01\x02\xff\xfe")),
    ("no-reason", 400, body_is(b"")),
    ("accepted", 202, body_is(b"")),
    ("accepted-page", 202, says("queued")),
    ("missing-token", 403, message("Missing Authentication Token")),
    ("no-lists", 400, validation("Stage not found")),
    ("hostile-message", 400, validation("=HYPERLINK(")),
    ("long-message", 400, validation("long " * 40_000)),
    ("html-200", 200, is_web_page),
    ("html-502", 502, is_web_page),
    ("redirect-301", 301, leads_elsewhere),
    ("redirect-303", 303, leads_elsewhere),
    ("redirect-308", 308, leads_elsewhere),
    ("slow-20", 200, reports(**RECORD, SalesRevenue=12.5)),
    ("close", 200, lambda reply: reply.headers["Connection"] == "close"),
    ("stored-differs", 200, reports(**RECORD, SalesRevenue=13.5, OpportunityName="fault:stored-differs (changed)")),
    ("other-record", 200, reports(Type="Pre", ID=8)),
    ("other-type", 200, reports(Type="Post", ID=7)),
    ("partial-record", 200, lambda reply: reply.json() == RECORD),
    ("id-only", 200, lambda reply: reply.json() == {"ID": 7}),
    ("no-id", 200, lambda reply: "ID" not in reply.json() and reply.json()["SalesRevenue"] == 12.5),
    ("null-id", 200, reports(Type="Pre", ID=None, SalesRevenue=12.5)),
    ("not-saved", 200, reports(**RECORD, success=False, error="The record is locked, nothing was saved.")),
    ("errors-200", 200, reports(VisitID=None, errors=["The record is locked, nothing was saved."])),
    ("contradiction", 200, reports(**RECORD, SalesRevenue=12.5, success=False)),
    ("record-206", 206, reports(**RECORD, SalesRevenue=12.5)),
    ("record-207", 207, reports(**RECORD, SalesRevenue=12.5)),
    ("huge-number", 200, lambda reply: b'"SalesRevenue": 1e999999999,' in reply.body),
    ("tiny-number", 200, lambda reply: b'"SalesRevenue": 1e-999999999,' in reply.body),
    ("long-number", 200, lambda reply: b'"SalesRevenue": ' + b"7" * 100_000 in reply.body),
    ("minus-zero", 200, lambda reply: b'"SalesRevenue": -0.00,' in reply.body),
    ("array-200", 200, lambda reply: len(reply.json()) == 1 and reply.json()[0]["ID"] == 7),
    ("numbers-as-text", 200, reports(ID="7", SalesRevenue="12.5")),
    ("duplicate-keys", 200, lambda reply: b'"ID": null, "ID": 7' in reply.body and reply.json()["ID"] == 7),
    ("nan", 200, lambda reply: b'"SalesRevenue": NaN' in reply.body),
    ("empty-200", 200, body_is(b"")),
    ("null-200", 200, body_is(b"null")),
    ("text-200", 200, body_is(b"OK")),
    ("deep-json", 200, lambda reply: reply.body.startswith(b"[" * 1000)),
    ("latin-1", 200, lambda reply: b'"Gl\xfcck"' in reply.body),
    ("byte-order-mark", 200, lambda reply: reply.body.startswith(b'\xef\xbb\xbf{"Type"')),
    ("wrong-content-type", 200, lambda reply: reply.headers["Content-Type"].startswith("text/html") and reply.json()),
    ("gzip-bomb", 200, is_bomb),
]
FAULTS_TESTED = [*(name for name, _, _ in ANSWERS), "token-revoked", "huge-headers"]


@pytest.mark.parametrize(("fault", "status", "holds"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_the_answer_is_what_the_name_says(
    sandbox: Sandbox, fault: str, status: int, holds: Callable[[Reply], bool]
) -> None:
    """Status and body are the fault's own, the log knows them, and the record is changed only where it says so."""
    reply = reply_to(sandbox, fault)
    assert reply.status == status == sandbox.received[-1].status
    assert holds(reply)


def test_a_revoked_token_stays_revoked(sandbox: Sandbox) -> None:
    """From then on the token is refused, also for other records, until the sandbox is reset."""
    assert reply_to(sandbox, "token-revoked").status == 401
    assert put(sandbox, "8?opportunityType=Pre", "{}").status == 401


def test_huge_headers_are_more_than_a_client_takes(sandbox: Sandbox) -> None:
    """The standard library's client gives up on them; the update is carried out all the same."""
    with pytest.raises(Exception, match="header line"):
        reply_to(sandbox, "huge-headers")
    assert sandbox.received[-1].applied


def test_stored_differs_differs_in_every_field_that_was_sent(sandbox: Sandbox) -> None:
    """Whatever a row updates, it is found out; fields that were not sent stay as they are."""
    before = get(sandbox, TARGET).json()[0]
    asked = {"OpportunityID": "A", "CategoryName": "Renewal", "StageName": "Proposal", "AcctPotential": 5,
             "PendingCloseDate": "2026-03-31"}  # fmt: skip
    after = reply_to(sandbox, "stored-differs", **asked).json()
    assert after == {
        **before, "OpportunityName": "fault:stored-differs (changed)", "OpportunityID": "A-changed",
        "OpportunityCategoryID": 4, "OpportunityStageID": 4, "AcctPotential": 6, "SalesRevenue": 13.5,
        "PendingCloseDate": "2026-04-01",
    }  # fmt: skip
    assert get(sandbox, TARGET).json() == [after]


def test_a_fault_does_not_make_a_wrong_request_right(sandbox: Sandbox) -> None:
    """An update that is refused is refused, whatever the fault would make of its answer."""
    for fault in ("other-record", "nan", "partial-record", "stored-differs"):
        body = json.dumps({"OpportunityName": f"fault:{fault}", "StageName": "None such"})
        assert put(sandbox, TARGET, body).status == 400
        assert not sandbox.received[-1].applied


def test_odd_answers_are_given_to_readings_too(sandbox: Sandbox) -> None:
    """What a record that is read holds can be as odd as what an update reports."""
    for fault, told in (("huge-number", b"1e999999999"), ("contradiction", b'"success": false'), ("no-id", b"Type")):
        headers = {"X_Sandbox_Fault": fault, **BEARER}
        reply = send(sandbox, "GET", f"/api/v2/opportunities/{TARGET}", b"", **headers)
        assert (reply.status, told in reply.body) == (200, True)
