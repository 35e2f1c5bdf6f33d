"""Headers that a row, its reading or its run decide: fields in headers, If-Match, idempotency keys."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from aiohttp import web
from msgspec.structs import replace

from batch_updater.endpoint.description import BodyFormat, Endpoint, Kind, ParameterLocation
from batch_updater.records import Job
from batch_updater.sender.pool import Sender
from tests.sender.driver import ENDPOINT, Sent, job, send
from tests.sender.server import Answer, Api, Seen, drop, ok, status

GUARDED = replace(ENDPOINT, if_match=True)
KEYED = replace(ENDPOINT, idempotent=False, idempotency_key="Idempotency-Key")
TENANT = replace(
    ENDPOINT.field("OpportunityName"), name="tenant", wire_name="X-Tenant", location=ParameterLocation.HEADER, path=()
)


def nothing(_sender: Sender, _row: int, _before: str) -> None:
    """Keep nothing of what a record was."""


def before(**headers: str) -> Answer:
    """Give the record as it is, with headers."""

    async def answer(seen: Seen) -> web.StreamResponse:
        record = {"ID": int(seen.id), "Type": "Pre", "OpportunityName": "before"}
        return web.json_response(record, headers=headers)

    return answer


def sent_with(api: Api, endpoint: Endpoint, *jobs: Job, reads: bool = True, concurrency: int = 10) -> Sent:
    return send(
        api.url, jobs or [job(1)], endpoint=endpoint, before_change=nothing if reads else None, concurrency=concurrency
    )


def headers_of(api: Api, name: str, method: str = "PUT") -> list[str | None]:
    return [seen.request.headers.get(name) for seen in api.seen if seen.request.method == method]


@pytest.mark.parametrize("etag", ['"v7"', 'W/"470867"'])
def test_the_version_that_was_read_goes_out_with_the_update(etag: str) -> None:
    """As it came, weak ones too; the request that reads has no condition."""
    with Api(readings={"1": [before(ETag=etag)]}) as api:
        sent = sent_with(api, GUARDED)
        assert headers_of(api, "If-Match") == [etag]
        assert headers_of(api, "If-Match", "GET") == [None]
    assert sent.kinds() == ["updated"]


def test_a_version_in_the_record_counts_where_no_header_has_one() -> None:
    """OData's member, or one that is called etag."""

    async def in_record(seen: Seen) -> web.StreamResponse:
        name = "@odata.etag" if seen.id == "1" else "etag"
        return web.json_response({"ID": int(seen.id), "Type": "Pre", "OpportunityName": "before", name: f"e{seen.id}"})

    with Api(readings={"1": [in_record], "2": [in_record]}) as api:
        sent_with(api, GUARDED, job(1), job(2), concurrency=1)
        assert headers_of(api, "If-Match") == ["e1", "e2"]


def test_a_description_without_if_match_sends_none() -> None:
    """An ETag alone does not say that the service takes conditions."""
    with Api(readings={"1": [before(ETag='"v7"')]}) as api:
        sent_with(api, ENDPOINT)
        assert headers_of(api, "If-Match") == [None]


@pytest.mark.parametrize(("requires", "expected"), [(True, ["*"]), (False, [None])])
def test_without_a_reading_a_required_condition_is_any_version(*, requires: bool, expected: list[str | None]) -> None:
    """One that may be left out is left out."""
    with Api() as api:
        assert sent_with(api, replace(GUARDED, requires_if_match=requires), reads=False).kinds() == ["updated"]
        assert headers_of(api, "If-Match") == expected


def test_a_record_that_was_changed_since_it_was_read_is_rejected_in_plain_words() -> None:
    """412 says that the row was not applied, and what to do."""
    refuse = status(412, {"message": "etag does not match"})
    with Api(script={"1": [refuse]}, readings={"1": [before(ETag='"v7"')]}) as api:
        sent = sent_with(api, GUARDED)
    outcome = sent.outcomes[1]
    assert sent.kinds() == ["rejected"]
    assert outcome.message == (
        "The opportunity was changed since it was read, so Nexus did not apply the row: "
        "412 Precondition Failed: etag does not match"
    )
    assert outcome.cause == "changed since it was read"


def test_a_change_that_may_be_ours_does_not_count_as_refused() -> None:
    """The attempt that had no answer may have been applied, and have changed the version."""
    with Api(script={"1": [drop, status(412)]}, readings={"1": [before(ETag='"v7"')]}) as api:
        sent = sent_with(api, GUARDED)
        assert headers_of(api, "If-Match") == ['"v7"', '"v7"']
    assert sent.kinds() == ["unconfirmed"]
    assert "perhaps by an attempt that had no answer" in sent.outcomes[1].message


def test_every_attempt_at_a_row_has_its_key() -> None:
    """A call that is not idempotent by itself is repeated with it, and other rows have other keys."""
    with Api(script={"1": [drop, status(502), ok]}) as api:
        sent = sent_with(api, KEYED, job(1), job(2), reads=False, concurrency=1)
        first, *repeats, second = headers_of(api, "Idempotency-Key")
    assert sent.kinds() == ["updated", "updated"]
    assert repeats == [first, first]
    assert first is not None
    assert str(UUID(first)) == first != second


def test_without_a_key_such_a_call_is_not_repeated() -> None:
    """It may have been applied."""
    with Api(script={"1": [drop]}) as api:
        sent = sent_with(api, replace(KEYED, idempotency_key=None), reads=False)
        assert (sent.kinds(), api.requests(1)) == (["unconfirmed"], 1)


def test_a_key_in_use_is_waited_for() -> None:
    """409 says that the attempt before has not come to its end; any other conflict is a refusal."""
    in_use = status(409, {"error": {"code": "idempotency_key_in_use", "message": "Try again later."}})
    with Api(script={"1": [in_use, ok], "2": [status(409, {"message": "There is one already."})]}) as api:
        assert sent_with(api, KEYED, job(1), job(2), reads=False).kinds() == ["updated", "rejected"]


def test_fields_in_headers_go_out_with_both_requests_and_replace_none_of_ours() -> None:
    """The token is the configuration's, whatever a cell holds."""
    accept = replace(TENANT, name="x", wire_name="X-Config")
    endpoint = replace(ENDPOINT, fields=(*ENDPOINT.fields, TENANT, accept))
    with Api() as api:
        send(
            api.url,
            [job(1, OpportunityName="a", tenant="acme", x="cell")],
            endpoint=endpoint,
            before_change=nothing,
            api={"headers": {"x-config": "set"}},
        )
        assert headers_of(api, "X-Tenant") == headers_of(api, "X-Tenant", "GET") == ["acme"]
        (put,) = [seen for seen in api.seen if seen.request.method == "PUT"]
        assert put.request.headers.getall("X-Config") == ["set"]
    assert json.loads(put.body) == {"OpportunityName": "a"}


def test_what_has_no_body_has_no_content_type() -> None:
    """Nor has a request that reads."""
    endpoint = replace(ENDPOINT, body_format=BodyFormat.NONE, content_type="", default_record=None, record_statuses={})
    with Api(usual=status(204)) as api:
        sent = send(api.url, [job(1)], endpoint=endpoint)
        send(api.url, [job(2)], before_change=nothing)
        assert headers_of(api, "Content-Type") == [None, "application/json"]
        assert headers_of(api, "Content-Type", "GET") == [None]
        assert [seen.body for seen in api.seen if seen.id == "1"] == [b""]
    assert sent.kinds() == ["updated"]


def test_a_form_goes_out_as_one() -> None:
    """With its own content type; what comes back is JSON with types of its own."""
    form = "application/x-www-form-urlencoded"
    name = replace(ENDPOINT.field("OpportunityName"), kind=Kind.ANY)
    fields = tuple(name if one.name == name.name else one for one in ENDPOINT.fields)
    endpoint = replace(ENDPOINT, body_format=BodyFormat.FORM, content_type=form, fields=fields)
    reported = {"ID": 1, "Type": "Pre", "OpportunityName": "7"}
    with Api(usual=status(200, reported)) as api:
        sent = send(api.url, [job(1, OpportunityName=7)], endpoint=endpoint)
        assert headers_of(api, "Content-Type") == [form]
        assert [seen.body for seen in api.seen] == [b"OpportunityName=7"]
    assert sent.kinds() == ["updated"]
