"""endpoint/described_answers.py: where the record is in answers, and what it reports of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint.allowed import AllowedValues
from batch_updater.endpoint.compare import confirmation
from batch_updater.endpoint.description import OpenKind
from batch_updater.endpoint.open_columns import opened
from batch_updater.records import Job
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.endpoint.compare import Confirmation
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Value

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def a_list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "x", "content": {"application/json": {"schema": schema}}}


def described(
    load: Callable[..., Endpoint],
    sent: dict[str, Any],
    answer: dict[str, Any] | None,
    read: dict[str, Any] | None = None,
    path: str = "/tickets/{ticket_id}",
    read_path: str = "",
    **update: Any,
) -> Endpoint:
    """Load an update that sends the one and is answered with the other; `read` is what the GET of the path returns."""
    responses = {"204": {"description": "done"}} if answer is None else {"200": content(answer)}
    whole = document(requestBody=content(sent), responses=responses, parameters=[], **update)
    item = whole["paths"].pop("/things/{thing}")
    whole["paths"] = {path: item}
    if read is not None:
        get = {"operationId": "get-it", "responses": {"200": content(read)}}
        whole["paths"].setdefault(read_path or path, {})["get"] = get
    return load(whole, "put-thing")


def reported(endpoint: Endpoint) -> dict[str, tuple[Any, ...]]:
    return {field.name: field.reported_as for field in endpoint.fields}


def judged(endpoint: Endpoint, answer: object, **values: Value) -> Confirmation:
    """Judge an answer of 200 to a row with these values."""
    job = Job(2, "", {"ticket_id": "7", **values})
    return confirmation(endpoint, job, 200, answer, AllowedValues(endpoint))


RECORD = an_object(id=TEXT, status=TEXT, tags=a_list(TEXT))


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (an_object(ok={"type": "boolean"}, message=TEXT), {"ok": False, "message": "no such ticket"}),
        (an_object(status=TEXT, message=TEXT), {"status": "error", "message": "no such ticket"}),
        (an_object(error={"type": "object"}, result={}), {"error": {"code": 5}, "result": None}),
    ],
)
def test_an_answer_about_the_call_is_no_record(
    load: Callable[..., Endpoint], answer: dict[str, Any], failure: dict[str, object]
) -> None:
    """Its status is none of the field of that name, and what it says of a failure counts although it is described."""
    endpoint = described(load, RECORD, answer)
    assert not endpoint.record_properties
    assert endpoint.field("status").reported_as == ()
    result = judged(endpoint, failure, status="open")
    assert (result.settles, result.differences) == (False, ())
    success = {"ok": True, "status": "success", "message": "done", "error": None}
    assert judged(endpoint, success, status="open").doubt is None


def test_a_record_with_such_members_is_the_record(load: Callable[..., Endpoint]) -> None:
    """If the body has them all, or if there is more in it."""
    state = an_object(status=TEXT, message=TEXT)
    assert reported(described(load, state, state))["status"] == ("status",)
    assert reported(described(load, RECORD, RECORD))["status"] == ("status",)
    enveloped = described(load, RECORD, an_object(status=TEXT, data=RECORD))
    assert (enveloped.record_path, reported(enveloped)["status"]) == (("data",), ("status",))


def test_members_of_an_open_record_are_reported_as_they_are_sent(load: Callable[..., Endpoint]) -> None:
    """The record is the free map itself: what it holds of a column is compared; what it does not say is not."""
    record = RECORD | {"additionalProperties": True}
    for sent, name in ((record, "body.color"), (an_object(ticket=record), "ticket.color")):
        endpoint = opened(described(load, sent, an_object(ticket=record)), [name])
        assert endpoint.field(name).reported_as == ("color",)
        values: dict[str, Value] = {name: "red"}
        assert judged(endpoint, {"ticket": {"id": "7", "color": "red"}}, **values).differences == ()
        (difference,) = judged(endpoint, {"ticket": {"id": "7", "color": "blue"}}, **values).differences
        assert difference == (name, "red", "blue")
        assert judged(endpoint, {"ticket": {"id": "7"}}, **values).differences == ()
    silent = opened(described(load, record, None), ["body.color"])
    assert silent.field("body.color").reported_as == ()


def test_what_a_row_empties_need_not_come_back(load: Callable[..., Endpoint]) -> None:
    """Many services leave out null and lists without items; what was sent has to come back."""
    endpoint = described(load, RECORD, RECORD)
    assert judged(endpoint, {"id": "7"}, status=None, tags="[]").doubt is None
    assert not judged(endpoint, {"id": "7"}, status="open").settles
    assert not judged(endpoint, {"id": "7"}, tags='["a"]').settles
    assert judged(endpoint, {"id": "7", "tags": ["a"]}, tags="[]").differences


@pytest.mark.parametrize(
    ("sent", "answer", "path", "fields"),
    [
        (an_object(status=TEXT), RECORD, (), {"status": ("status",)}),
        (an_object(ticket=an_object(status=TEXT)), an_object(ticket=RECORD, audit=an_object(id=TEXT)), ("ticket",),
         {"ticket.status": ("status",)}),
        (an_object(status=TEXT), an_object(success={"type": "boolean"}, data=RECORD), ("data",),
         {"status": ("status",)}),
        (an_object(data=a_list(an_object(status=TEXT))), an_object(data=a_list(RECORD)), ("data", 0),
         {"status": ("status",)}),
        (an_object(status=TEXT), a_list(RECORD), (0,), {"status": ("status",)}),
        (an_object(ticket=an_object(status=TEXT)), RECORD, (), {"ticket.status": ("status",)}),
        (an_object(address=an_object(city=TEXT)), an_object(id=TEXT, address=an_object(city=TEXT)), (),
         {"address.city": ("address", "city")}),
        (an_object(status=TEXT), an_object(customer=an_object(id=TEXT, status=TEXT, tier=TEXT), ticket=RECORD),
         ("ticket",), {"status": ("status",)}),
    ],
)  # fmt: skip
def test_the_record_is_found_in_its_envelope(
    load: Callable[..., Endpoint],
    sent: dict[str, Any],
    answer: dict[str, Any],
    path: tuple[Any, ...],
    fields: dict[str, tuple[Any, ...]],
) -> None:
    """By what was sent: it is unwrapped on both sides, and where others look alike it is the one of the path."""
    endpoint = described(load, sent, answer)
    assert endpoint.record_path == path
    assert {name: where for name, where in reported(endpoint).items() if name != "ticket_id"} == fields
    assert {"id", "status"} <= endpoint.record_properties or path == ()


def test_a_field_is_reported_only_if_it_can_be_compared(load: Callable[..., Endpoint]) -> None:
    """An id by the object that has it, a word by the object that lists it; no text by a list, no password at all."""
    sent = an_object(
        user_id=NUMBER,
        assignee_id=NUMBER,
        owner=TEXT,
        stage={"type": "string", "enum": ["a", "b"]},
        tags=a_list(TEXT),
        labels=TEXT,
        FriendlyName=TEXT,
        password={"type": "string", "writeOnly": True},
        due={"type": "string", "format": "date-time"},
        day={"type": "string", "format": "date"},
    )
    answer = an_object(
        user_id=an_object(id=NUMBER, name=TEXT),
        assignee=an_object(id=NUMBER),
        owner=an_object(id=TEXT, name=TEXT),
        stage=an_object(value={"type": "string", "enum": ["a", "b"]}, label=TEXT),
        tags=a_list(TEXT),
        labels=a_list(TEXT),
        friendly_name=TEXT,
        password=TEXT,
        due=NUMBER,
        day=NUMBER,
    )
    assert {name: where for name, where in reported(described(load, sent, answer)).items() if where} == {
        "user_id": ("user_id", "id"),
        "assignee_id": ("assignee", "id"),
        "stage": ("stage", "value"),
        "tags": ("tags",),
        "FriendlyName": ("friendly_name",),
        "due": ("due",),
    }


@pytest.mark.parametrize(
    ("path", "record", "field", "where"),
    [
        ("/tickets/{ticket_id}", an_object(id=TEXT, status=TEXT), "ticket_id", ("id",)),
        ("/companies({company_id})/tickets({ticket_id})", an_object(id=TEXT, status=TEXT), "ticket_id", ("id",)),
        ("/tickets/{Sid}.json", an_object(sid=TEXT, status=TEXT), "Sid", ("sid",)),
        ("/accounts/{account_id}/tickets/{id}", an_object(id=TEXT, account_id=TEXT, status=TEXT), "account_id",
         ("account_id",)),
        ("/users/{user_id}/address", an_object(id=TEXT, status=TEXT), "user_id", ()),
        ("/issues/{issueIdOrKey}", an_object(id=TEXT, key=TEXT, status=TEXT), "issueIdOrKey", ()),
        ("/projects/{id}", an_object(id=NUMBER, status=TEXT), "id", ()),
    ],
)  # fmt: skip
def test_a_parameter_is_held_against_the_record_only_if_it_is_surely_the_same(
    load: Callable[..., Endpoint], path: str, record: dict[str, Any], field: str, where: tuple[Any, ...]
) -> None:
    """An id of something else, one of several keys, or a name for a number would make every answer another record's."""
    assert reported(described(load, an_object(status=TEXT), record, path=path))[field] == where


def test_what_an_answer_always_reports_is_what_it_requires(load: Callable[..., Endpoint]) -> None:
    """Or all that it lists, if it requires nothing; an answer without a body has no record."""
    sent = an_object(status=TEXT)
    assert described(load, sent, RECORD | {"required": ["id"]}).always_reported(200) == frozenset({"id"})
    assert described(load, sent, RECORD).always_reported(200) == frozenset(RECORD["properties"])
    assert described(load, sent, {"anyOf": [RECORD, an_object(id=TEXT)]}).always_reported(200) == frozenset({"id"})
    assert described(load, sent, None).always_reported(204) is None


def test_the_get_of_the_same_path_reads_the_record(load: Callable[..., Endpoint]) -> None:
    """Also where its parameter has another name; what it returns is reported, if the update's answer has nothing."""
    sent = an_object(status=TEXT)
    for read_path in ("", "/tickets/{id}"):
        endpoint = described(load, sent, None, an_object(ticket=RECORD), read_path=read_path)
        assert endpoint.read
        assert (endpoint.read.path, endpoint.read.record_path) == ("/tickets/{ticket_id}", ("ticket",))
        assert endpoint.read.properties == {"id", "status", "tags"}
        assert (reported(endpoint)["status"], endpoint.sample_read) == (("status",), endpoint.read)


def test_a_get_that_returns_something_else_reads_no_record(load: Callable[..., Endpoint]) -> None:
    """One without the fields that are sent, and one that lists a collection whose records the body names."""
    endpoint = described(load, an_object(status=TEXT), None, an_object(count=NUMBER))
    assert endpoint.read is None
    assert endpoint.sample_read
    records = a_list(an_object(id=TEXT, status=TEXT))
    assert described(load, records, None, an_object(results=records), path="/tickets").read is None


def test_a_reading_that_is_named_is_used_whatever_it_is_said_to_return(load: Callable[..., Endpoint]) -> None:
    """A person knows better than the schema of its answer."""
    for read in ({}, an_object(count=NUMBER)):
        endpoint = described(load, an_object(status=TEXT), None, read, **{"x-read": "get-it"})
        assert endpoint.read
        assert endpoint.read.path == "/tickets/{ticket_id}"


def test_a_list_is_reported_as_pairs_even_if_it_is_described_by_their_definition(
    load: Callable[..., Endpoint],
) -> None:
    """What can be sent is what comes back: keys with values."""
    definition = an_object(id={"type": "integer", "readOnly": True}, title=TEXT, type=TEXT)
    pairs = an_object(id=NUMBER, value=TEXT)
    endpoint = described(
        load, an_object(status=TEXT, fields=a_list(definition)), an_object(id=TEXT, status=TEXT, fields=a_list(pairs))
    )
    (part,) = endpoint.opens
    assert (part.kind, part.key_name, part.value_name, part.reported_as) == (OpenKind.PAIRS, "id", "value", ("fields",))


def test_open_parts_are_reported_where_the_record_has_their_like(load: Callable[..., Endpoint]) -> None:
    """A map as an object, and a list as a list."""
    free = {"type": "object", "additionalProperties": TEXT}
    sent = an_object(properties=free, labels=free, lines=a_list(an_object(sku=TEXT)))
    answer = an_object(id=TEXT, properties=free, labels=a_list(TEXT), lines=a_list(an_object(sku=TEXT, id=TEXT)))
    assert {part.name: part.reported_as for part in described(load, sent, answer).opens} == {
        "properties": ("properties",), "labels": (), "lines": ("lines",),
    }  # fmt: skip
