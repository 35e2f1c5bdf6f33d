"""sender/client.py: one job, its attempts and its one outcome, against a real server."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace

from batch_updater.config.schema import ApiSettings
from batch_updater.records import OutcomeKind, StopReason
from batch_updater.sandbox.loop_thread import LoopThread
from batch_updater.sender.transport import tls_for
from tests.sender.driver import ENDPOINT, job, send
from tests.sender.server import Answer, Api, Seen, besides, cut_off, drop, endless, hang, ok, status, with_status

LISTS = {
    "ValidationMessage": "Stage 'Propsal' not found. Please select from available stages.",
    "AvailableCategories": [{"CategoryID": 1, "CategoryName": "New Business"}],
    "AvailableStages": [{"StageID": 3, "StageName": "Proposal"}],
}


def test_a_confirmed_row_is_updated() -> None:
    """A 200 with the record that was asked for is `updated`, after one request with the token."""
    with Api() as api:
        sent = send(api.url, [job(1, SalesRevenue=Decimal("150000.00"))])
        assert sent.kinds() == ["updated"]
        (seen,) = api.seen
    assert seen.authorization == "Bearer canary-token"
    assert seen.body == b'{"SalesRevenue": 150000.00}'
    assert seen.request.headers["Content-Type"] == "application/json"
    outcome = sent.outcomes[1]
    assert (outcome.status, outcome.attempts, outcome.message, outcome.advice) == (200, 1, "", "")
    assert outcome.sent_at
    assert outcome.seconds is not None


@pytest.mark.parametrize(
    ("answer", "kind", "requests"),
    [
        (status(400, {"ValidationMessage": "No."}), "rejected", 1),
        (status(403, {"message": "Forbidden"}), "rejected", 1),
        (status(404), "rejected", 1),
        (status(409, "<html><title>Conflict</title></html>"), "rejected", 1),
        (status(422), "rejected", 1),
        (status(301, Location="/api/v2/opportunities/9"), "rejected", 1),
        (status(303, Location="/elsewhere"), "rejected", 1),
        (status(307, Location="http://127.0.0.2:9/x"), "rejected", 1),
        (status(409, {"message": "Changed by another user."}), "rejected", 1),
        (status(409, {"message": "The record is being edited by Anna."}), "failed", 3),
        (status(423), "failed", 3),
        (status(425), "failed", 3),
        (status(429, {"message": "Too Many Requests"}), "failed", 3),
        (status(500, {"Message": "Oops"}), "failed", 3),
        (status(503), "failed", 3),
        (status(408), "unconfirmed", 3),
        (status(502, "<html>Bad Gateway</html>"), "unconfirmed", 3),
        (status(504, {"message": "Endpoint request timed out"}), "unconfirmed", 3),
        (status(501), "unconfirmed", 1),
        (status(507), "unconfirmed", 1),
        (drop, "unconfirmed", 3),
        (cut_off, "unconfirmed", 3),
        (status(200, "<html>Maintenance</html>"), "unconfirmed", 1),
        (status(200), "unconfirmed", 1),
        (status(200, "null"), "unconfirmed", 1),
        (status(200, {"message": "ok"}), "unconfirmed", 1),
        (status(204), "unconfirmed", 1),
        (status(200, {"ID": 1}), "unconfirmed", 1),
        (status(200, {"ID": 1, "Type": "Pre"}), "unconfirmed", 1),
        (status(200, {"Type": "Pre", "OpportunityName": "name 1"}), "unconfirmed", 1),
        (status(200, {"ID": 1, "success": False, "error": "record is locked, nothing was saved"}), "unconfirmed", 1),
        (status(200, {"VisitID": None, "errors": [{"code": 7}]}), "unconfirmed", 1),
        (besides(success=False), "unconfirmed", 1),
        (besides(ErrorMessage="locked"), "unconfirmed", 1),
        (besides(ValidationMessage="Stage not found."), "unconfirmed", 1),
        (besides(success=True, errors=[], error=None, status="OK", VisitID=5), "updated", 1),
        (with_status(201), "updated", 1),
        (with_status(202), "unconfirmed", 1),
        (with_status(206), "unconfirmed", 1),
        (with_status(207), "unconfirmed", 1),
        (status(200, {"ID": 2, "Type": "Pre"}), "differs", 1),
        (status(200, {"ID": 1, "Type": "Post"}), "differs", 1),
        (status(200, {"ID": 1, "Type": "Pre", "OpportunityName": "other"}), "differs", 1),
    ],
)
def test_every_answer_has_its_outcome(answer: Answer, kind: str, requests: int) -> None:
    """What an answer means, and whether it is worth another attempt, is as the interface says."""
    with Api(usual=answer) as api:
        sent = send(api.url, [job(1)], api={"timeout_s": 30}, attempts=3)
        assert sent.kinds() == [kind]
        assert len(api.seen) == requests
    assert sent.outcomes[1].attempts == sent.result.requests == requests
    assert sent.result.retries == requests - 1
    assert bool(sent.outcomes[1].message) == bool(sent.outcomes[1].advice) == (kind != "updated")


@pytest.mark.parametrize(
    ("answer", "said", "cause"),
    [
        (
            status(200, {"ID": 1, "success": False, "error": "record is locked, nothing was saved"}),
            'Nexus answered 200 OK, but says that it failed: "success": false, "error": "record is locked, nothing',
            "200 OK that says it failed",
        ),
        (
            status(200, {"ID": 1, "note": "x" * 9_000}),
            'Nexus answered 200 OK, but the record lacks Type and OpportunityName: {"ID":1,"note":"xxx',
            "200 OK with less than the record",
        ),
        (
            status(206, {"ID": 1, "a": "\ud800\x00\u202e"}),
            "Nexus answered 206 Partial Content, which does not say that it was done: {",
            "206 Partial Content, which is no confirmation",
        ),
        (status(200, "<title>Hello</title><html>"), "but not with the record: a web page: Hello", "without the record"),
    ],
)
def test_an_answer_that_confirms_nothing_is_quoted(answer: Answer, said: str, cause: str) -> None:
    """The message says why it is no confirmation, and what the answer says, on one line and bounded."""
    with Api(usual=answer) as api:
        outcome = send(api.url, [job(1)]).outcomes[1]
    assert said in outcome.message
    assert cause in outcome.cause
    assert outcome.message.isprintable()
    assert len(outcome.message) < 700


def test_another_record_is_told_with_what_the_api_says_besides() -> None:
    """A person who has to look at the record reads the API's own words too."""
    with Api(usual=status(200, {"ID": 0, "Type": "Pre", "success": False, "error": "locked"})) as api:
        outcome = send(api.url, [job(1)]).outcomes[1]
    assert outcome.kind is OutcomeKind.DIFFERS
    assert outcome.message.startswith("OpportunityId: asked for '1', got '0'. Nexus answered 200 OK, but says that")
    assert outcome.message.endswith('"error": "locked"')


@pytest.mark.parametrize("trouble", [status(503), status(500), drop, status(502), cut_off, status(408)])
def test_a_passing_trouble_is_survived(trouble: Answer) -> None:
    """After a trouble that may pass, the row is sent again and confirmed."""
    with Api(script={"1": [trouble, trouble]}) as api:
        sent = send(api.url, [job(1)], attempts=3)
        assert sent.kinds() == ["updated"]
        assert api.requests(1) == sent.outcomes[1].attempts == 3


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (drop, status(503), "unconfirmed"),
        (drop, status(500), "unconfirmed"),
        (drop, status(400), "rejected"),
        (status(503), drop, "unconfirmed"),
        (status(502), ok, "updated"),
    ],
)
def test_what_may_have_been_applied_stays_so_until_it_is_settled(first: Answer, second: Answer, kind: str) -> None:
    """An attempt that may have been applied makes the row `unconfirmed`, unless a later answer settles it."""
    with Api(script={"1": [first, second]}) as api:
        assert send(api.url, [job(1)], attempts=2).kinds() == [kind]


def test_the_library_never_resends_by_itself() -> None:
    """A dropped connection is one request on the wire and one attempt in the books, on a reused connection too."""
    with Api(script={"3": [drop]}) as api:
        sent = send(api.url, [job(1), job(2), job(3)], attempts=1, concurrency=1)
        assert sent.kinds() == ["updated", "updated", "unconfirmed"]
        assert api.requests(3) == sent.outcomes[3].attempts == 1


def test_an_attempt_that_may_have_been_applied_is_not_repeated_where_that_could_harm() -> None:
    """A method that is not idempotent is sent once more only after an answer that excludes that it was applied."""
    careful = replace(ENDPOINT, idempotent=False)
    with Api(usual=drop) as api:
        assert send(api.url, [job(1)], endpoint=careful, attempts=3).kinds() == ["unconfirmed"]
        assert len(api.seen) == 1
    with Api(script={"1": [status(503)]}) as api:
        assert send(api.url, [job(1)], endpoint=careful, attempts=3).kinds() == ["updated"]


def test_a_hanging_service_is_left_after_the_time_limit() -> None:
    """No answer within api.timeout_s may have been applied."""
    with Api(usual=hang) as api:
        sent = send(api.url, [job(1)], attempts=1, api={"timeout_s": 3})
    assert sent.kinds() == ["unconfirmed"]
    assert sent.outcomes[1].cause == "no answer in time"


@pytest.mark.parametrize(("code", "kind", "requests"), [(400, "rejected", 1), (503, "failed", 2)])
def test_a_status_that_has_arrived_counts_even_if_the_rest_does_not(code: int, kind: str, requests: int) -> None:
    """A body that comes too slowly changes nothing about what its status says."""

    async def drips(seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(status=code, headers={"Content-Length": "1000"})
        await response.prepare(seen.request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    with Api(usual=drips) as api:
        sent = send(api.url, [job(1)], attempts=2, api={"timeout_s": 3})
        assert (sent.kinds(), sent.outcomes[1].status) == ([kind], code)
        assert len(api.seen) == sent.result.requests == requests


def test_an_endless_answer_is_cut() -> None:
    """An answer beyond the bound is read no further and confirms nothing."""
    with Api(usual=endless) as api:
        assert send(api.url, [job(1)], attempts=1).kinds() == ["unconfirmed"]


def test_no_connection_cannot_have_been_applied(closed_port: int) -> None:
    """Where nothing listens, the row has failed and the run ends: the pool never opens without an answer."""
    sent = send(f"http://127.0.0.1:{closed_port}", [job(n) for n in range(1, 101)], max_wait_s=1)
    assert sent.kinds() == ["failed"]
    assert (sent.result.requests, sent.result.retries) == (0, 0), "nothing has gone out"
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.SERVICE_DOWN
    assert "127.0.0.1" in sent.outcomes[1].message


def test_a_message_is_bounded_whatever_the_answer_holds() -> None:
    """A value of half a megabyte where another was asked for does not swell the database of every row."""
    with Api(usual=status(200, {"ID": 1, "Type": "Pre", "OpportunityName": "x" * 500_000})) as api:
        sent = send(api.url, [job(1)])
    assert sent.kinds() == ["differs"]
    assert len(sent.outcomes[1].message) < 700


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e999999999", "1e-999999", "NaN", "7" * 100_000])
def test_a_number_beyond_all_numbers_harms_no_other_row(number: str) -> None:
    """A number that nothing can hold is not the one that was asked for; the run goes on."""
    beyond = f'{{"ID": 2, "Type": "Pre", "OpportunityName": "name 2", "SalesRevenue": {number}}}'
    with Api(script={"2": [status(200, beyond)]}) as api:
        jobs = [job(n, OpportunityName=f"name {n}", SalesRevenue=Decimal("1.5")) for n in (1, 2, 3)]
        sent = send(api.url, jobs, attempts=1)
    assert sent.kinds() == ["updated", "differs", "updated"]
    assert "SalesRevenue: asked for '1.5', got '" in sent.outcomes[2].message


def test_redirects_are_not_followed() -> None:
    """Whatever a redirect promises, nothing is asked there."""
    with Api(usual=status(303, Location="/api/v2/opportunities/9")) as api:
        send(api.url, [job(1)])
        assert [seen.id for seen in api.seen] == ["1"]


def test_a_refused_name_teaches_and_later_rows_are_not_sent() -> None:
    """After the API has listed its names, a row with another one is `invalid` and no request."""
    with Api(script={"1": [status(400, LISTS)]}) as api:
        sent = send(api.url, [job(n, StageName="Propsal") for n in (1, 2, 3)], concurrency=1)
        assert sent.kinds() == ["rejected", "invalid", "invalid"]
        assert len(api.seen) == 1
    for row in (1, 2, 3):
        (problem,) = sent.outcomes[row].problems
        assert problem.remedy == "Did you mean 'Proposal'?"
    assert "Please select" in sent.outcomes[1].message
    assert [names.field for names in sent.result.allowed.lists] == ["CategoryName", "StageName"]


def test_retry_after_is_obeyed() -> None:
    """After 429 with Retry-After: 1, nothing goes out for a second."""
    with Api(script={"1": [status(429, Retry_After="1")]}) as api:
        assert send(api.url, [job(n) for n in range(1, 6)]).kinds() == ["updated"] * 5
        assert api.seen[1].at - api.seen[0].at >= 0.99


def test_a_403_that_asks_to_wait_delays_a_row_and_one_that_does_not_refuses_it() -> None:
    """Some services refuse with it what comes too fast, and say when to ask again."""
    with Api(script={"1": [status(403, Retry_After="0")], "2": [status(403)]}) as api:
        sent = send(api.url, [job(1), job(2)])
    assert sent.kinds() == ["updated", "rejected"]
    with Api(script={"1": [status(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="3600")]}) as api:
        sent = send(api.url, [job(1), job(2)], concurrency=1)
    assert sent.kinds() == ["failed"]
    assert sent.outcomes[1].advice == "Run again later."


def test_a_pause_in_any_form_is_obeyed() -> None:
    """Half a second before the next request, be it a fraction or milliseconds in a header of its own."""
    for headers in ({"Retry_After": "0.5"}, {"x_ms_retry_after_ms": "500"}):
        with Api(script={"1": [status(429, **headers)]}) as api:
            assert send(api.url, [job(n) for n in range(1, 4)]).kinds() == ["updated"] * 3
            assert api.seen[1].at - api.seen[0].at >= 0.49


@pytest.mark.parametrize(
    ("answers", "kind", "maybe_applied"),
    [
        ([ok], "updated", False),
        ([status(503), ok], "updated", False),
        ([status(504), ok], "updated", True),
        ([status(400)], "rejected", False),
        ([status(503), status(400)], "rejected", False),
        ([status(504), status(400)], "rejected", True),
        ([drop, status(400)], "rejected", True),
        ([cut_off, status(400)], "rejected", True),
        ([status(500)] * 2, "failed", False),
        ([drop, status(500)], "unconfirmed", True),
    ],
)
def test_an_outcome_tells_whether_an_attempt_before_may_have_been_applied(
    answers: list[Answer], kind: str, *, maybe_applied: bool
) -> None:
    """A row that is refused in the end may have changed its record all the same, by an attempt without an answer."""
    with Api(script={"1": answers}) as api:
        outcome = send(api.url, [job(1)], attempts=2).outcomes[1]
    assert (outcome.kind, outcome.maybe_applied) == (kind, maybe_applied)


def test_a_longer_wait_than_allowed_ends_the_run() -> None:
    """Retry-After beyond sending.max_wait_s stops with `max_wait`; the row has failed."""
    with Api(usual=status(503, Retry_After="3600")) as api:
        sent = send(api.url, [job(1), job(2)], max_wait_s=5)
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.MAX_WAIT
    assert sent.outcomes[1].kind is OutcomeKind.FAILED


_LOCKED = {"Message": "Record is locked by another user. Try again."}


def test_a_locked_record_concerns_its_row_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again; meanwhile nothing pauses or slows down, and neither breaker nor run end for it."""
    locked = status(423, _LOCKED, Retry_After="0.05")
    with caplog.at_level(logging.INFO), Api(script={"1": [locked] * 3, "2": [locked]}) as api:
        sent = send(api.url, [job(n) for n in range(1, 9)], attempts=3, stop_after_alike=1)
    assert sent.kinds() == ["failed", *["updated"] * 7]
    assert (sent.outcomes[1].attempts, sent.outcomes[2].attempts, sent.result.throttled) == (3, 2, 0)
    assert sent.outcomes[1].message == "Nexus answered 423 Locked: Record is locked by another user. Try again."
    assert sent.outcomes[1].advice.startswith("Run again")
    assert {getattr(record, "event", "back-off") for record in caplog.records} == {"back-off", "outcome"}


def test_a_record_that_is_locked_for_long_is_left_at_once() -> None:
    """A Retry-After beyond sending.max_wait_s ends the attempts at that row, and not the run."""
    with Api(script={"1": [status(423, _LOCKED, Retry_After="3600")] * 9}) as api:
        sent = send(api.url, [job(1), job(2)], max_wait_s=5)
    assert (sent.kinds(), sent.result.stop, sent.outcomes[1].attempts) == (["failed", "updated"], None, 1)


def test_locks_everywhere_do_not_multiply_the_requests(caplog: pytest.LogCaptureFixture) -> None:
    """Once the budget for repeats is spent, locked rows fail at their first attempt; other rows are still repeated."""
    with caplog.at_level(logging.INFO), Api(usual=status(423), script={"200": [status(503), ok]}) as api:
        jobs = [job(n) for n in range(1, 201)]
        sent = send(api.url, jobs, attempts=3, concurrency=60, retry_budget=0)
    assert sent.kinds() == [*["failed"] * 199, "updated"]
    assert sent.result.stop is None
    assert 100 <= sent.result.retries <= 161
    assert "breaker open" not in {getattr(record, "event", "") for record in caplog.records}


async def cut_off_accepted(seen: Seen) -> web.StreamResponse:
    response = web.StreamResponse(status=202, headers={"Content-Length": "1000"})
    await response.prepare(seen.request)
    await response.write(b'{"state": ')
    assert seen.request.transport
    seen.request.transport.abort()
    return response


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(202), "updated"),
        (status(202, {"jobId": 7, "state": "queued"}), "updated"),
        (with_status(202), "updated"),
        (status(202, {"ID": 1, "Type": "Pre", "OpportunityName": "other"}), "differs"),
        (status(202, {"success": False, "error": "record is locked"}), "unconfirmed"),
        (status(202, "<html>Please wait</html>"), "updated"),
        (status(202, "queued"), "updated"),
        (status(202, ["queued", 7]), "updated"),
        (status(202, "<job><state>queued</state></job>"), "updated"),
        (status(202, "<html><title>Error</title><p>It was not saved.</p></html>"), "unconfirmed"),
        (status(202, "<html><h1>Failed</h1></html>"), "unconfirmed"),
        (status(202, "<result><success>false</success></result>"), "unconfirmed"),
        (status(202, [{"status": "error"}]), "unconfirmed"),
        (status(202, "Rejected: the record is locked"), "unconfirmed"),
        (cut_off_accepted, "unconfirmed"),
        (status(200), "unconfirmed"),
        (with_status(206), "unconfirmed"),
    ],
)
def test_accepted_is_done_where_the_configuration_says_so(answer: Answer, kind: str) -> None:
    """With api.accepted_is_done a 202 confirms the update, unless its answer says something else."""
    with Api(usual=answer) as api:
        sent = send(api.url, [job(1)], api={"accepted_is_done": True}, attempts=2)
    assert sent.kinds() == [kind]
    assert "accepted_is_done" not in sent.outcomes[1].message + sent.outcomes[1].advice


@pytest.mark.parametrize("body", ["", "<html>queued</html>", {"jobId": 7}, "x" * 10_000])
def test_an_accepted_row_is_told_about_the_setting(body: object) -> None:
    """Without it the row is unconfirmed for ever where the API never says more: message and advice name the key."""
    with Api(usual=status(202, body)) as api:
        outcome = send(api.url, [job(1)]).outcomes[1]
    assert outcome.kind is OutcomeKind.UNCONFIRMED
    assert "set api.accepted_is_done: true" in outcome.message  # of which the terminal shows an example
    assert "set api.accepted_is_done: true" in outcome.advice


def test_a_reading_that_is_only_accepted_is_not_told_about_the_setting() -> None:
    """The setting is about updates: a reading that is answered by 202 has not been read with it either."""
    with Api(readings={"1": [status(202)] * 3}) as api:
        outcome = send(api.url, [job(1)], before_change=lambda *_: None, attempts=3).outcomes[1]
    assert outcome.kind is OutcomeKind.FAILED
    assert "accepted_is_done" not in outcome.message + outcome.advice


def test_the_cell_that_an_answer_names_is_to_blame() -> None:
    """Its reason is told once; the cell is marked, unless the row does not have it, or the name fits two fields."""
    errors = {"errors": {"$.stage_name": ["is closed"], "opportunityid": ["is odd"], "CategoryName": ["is old"]}}
    with Api(usual=status(400, errors)) as api:
        outcome = send(api.url, [job(1, StageName="Won")]).outcomes[1]
    assert outcome.message == (
        "Nexus refused it (400 Bad Request): stage_name: is closed; opportunityid: is odd; CategoryName: is old"
    )
    assert [(one.field, one.reason) for one in outcome.problems] == [("StageName", "stage_name: is closed")]


def test_a_used_up_quota_ends_the_run() -> None:
    """429 `Limit Exceeded` is not worth waiting for: the run stops with `quota`."""
    with Api(script={"2": [status(429, {"message": "Limit Exceeded"})]}) as api:
        sent = send(api.url, [job(1), job(2), job(3)], concurrency=1)
        assert len(api.seen) == 2
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.QUOTA
    assert sent.outcomes[2].kind is OutcomeKind.FAILED


@pytest.mark.parametrize(
    "value", ["0", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 99999999999999 07:28 GMT"]
)
def test_a_retry_after_that_asks_for_no_wait_still_backs_off(value: str) -> None:
    """Retry-After that is zero, past or nonsense leaves the usual pauses and ends nothing."""
    with Api(usual=status(503, Retry_After=value)) as api:
        sent = send(api.url, [job(1)], attempts=3)
        assert sent.kinds() == ["failed"]
        assert len(api.seen) == 3
    assert sent.result.stop is None


def test_configured_headers_are_sent() -> None:
    """api.headers go out with every request, those by reference with what they refer to."""
    with Api() as api:
        headers = {"X-Tenant": "bc-7", "X-Key": "env:KEY"}
        send(api.url, [job(1)], api={"headers": headers}, environ={"TOKEN": "t", "KEY": "k-1"})
        assert (api.seen[0].request.headers["X-Tenant"], api.seen[0].request.headers["X-Key"]) == ("bc-7", "k-1")


CERTIFICATES = Path(__file__).parent / "certificates"


def tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / certificate, CERTIFICATES / "key.pem")
    return context


@pytest.mark.parametrize(
    ("base_url", "proxy", "is_secure"),
    [
        ("http://localhost:1", None, False),
        ("https://api.example.com", None, True),
        ("http://localhost:1", "https://proxy.example.com:8443", True),
    ],
)
def test_certificates_are_loaded_where_an_address_needs_them(base_url: str, proxy: str | None, is_secure: bool) -> None:
    """The proxy's is one of the addresses."""
    assert isinstance(tls_for(ApiSettings(base_url=base_url, proxy=proxy), base_url), ssl.SSLContext) is is_secure


def test_a_certificate_of_our_own_authority_is_taken() -> None:
    """With api.ca_file the service is trusted by that file."""
    with Api(tls=tls("localhost.pem")) as api:
        assert send(api.url, [job(1)], api={"ca_file": str(CERTIFICATES / "localhost.pem")}).kinds() == ["updated"]


@pytest.mark.parametrize(
    ("certificate", "ca_file", "host"),
    [
        ("localhost.pem", None, "localhost"),
        ("localhost.pem", "localhost.pem", "127.0.0.1"),
        ("expired.pem", "expired.pem", "localhost"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_ends_the_run(certificate: str, ca_file: str | None, host: str) -> None:
    """Self-signed, for another host, expired: no byte of a row goes out, nothing is tried again, the run ends."""
    api_keys: dict[str, object] = {"ca_file": str(CERTIFICATES / ca_file)} if ca_file else {}
    with Api(tls=tls(certificate)) as api:
        sent = send(api.url.replace("localhost", host), [job(n) for n in range(1, 9)], api=api_keys)
        assert api.seen == []
    assert sent.kinds() == ["failed"]
    assert sent.outcomes[1].attempts == 1
    assert "secure connection" in sent.outcomes[1].message
    assert sent.result.stop
    assert sent.result.stop.reason is StopReason.SERVICE_DOWN


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@contextmanager
def behind_a_gate(target: int, shut: set[int]) -> Iterator[int]:
    """Pass connections on to a port; those with the numbers in `shut` (from 1) get an answer that is no TLS."""
    connections = itertools.count(1)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(connections) in shut:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            writer.close()
            return
        behind, before = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pass_on(reader, before), pass_on(behind, writer), return_exceptions=True)
        before.close()  # one that was reset has not come to the end of what it passes on
        writer.close()

    loop = LoopThread("gate")
    server = loop.run(asyncio.start_server(connected, "127.0.0.1", 0))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call(server.close)
        loop.end()


def test_trouble_with_tls_passes_once_it_has_worked() -> None:
    """A gateway that is restarted breaks a handshake or two; that costs an attempt, not the run."""

    async def last_of_its_connection(seen: Seen) -> web.StreamResponse:
        response = await ok(seen)
        response.force_close()
        return response

    with (
        Api(usual=last_of_its_connection, tls=tls("localhost.pem")) as api,
        behind_a_gate(int(api.url.rpartition(":")[2]), {2}) as port,
    ):
        ca_file: dict[str, object] = {"ca_file": str(CERTIFICATES / "localhost.pem")}
        sent = send(f"https://localhost:{port}", [job(1), job(2)], concurrency=1, api=ca_file)
    assert sent.kinds() == ["updated", "updated"]
    assert (sent.outcomes[2].attempts, sent.result.requests) == (2, 2)


def test_no_proxy_of_the_system_sees_a_token_in_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY says nothing about plain http, which never leaves this machine."""
    with Api() as api, Api() as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert send(api.url, [job(1)]).kinds() == ["updated"]
        assert (len(api.seen), proxy.seen) == (1, [])


def test_a_connection_that_was_never_made_cannot_have_been_applied() -> None:
    """A time-out while the connection is still being made leaves `failed`, not `unconfirmed`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        sent = send(url, [job(1)], attempts=2, api={"timeout_s": 0.2, "connect_timeout_s": 0.1})
    assert sent.kinds() == ["failed"]
    assert sent.outcomes[1].attempts == 2
    assert sent.outcomes[1].cause == "no connection"


@pytest.mark.parametrize("answer", [status(401, "canary-token"), status(403), status(500), drop, hang, endless])
def test_the_token_is_in_no_log(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens, at any level, neither the token nor a value of a row is logged or told."""
    with caplog.at_level(logging.DEBUG), Api(usual=answer) as api:
        sent = send(api.url, [job(1, OpportunityName="Customer Ltd")], attempts=2, api={"timeout_s": 0.3})
    logged = "".join(str(vars(record)) for record in caplog.records if record.name.startswith("batch_updater"))
    logged += str(sent.attempts)
    assert sent.attempts[0].row == 1
    assert "canary-token" not in logged
    assert "Customer Ltd" not in logged + str(sent.outcomes)
