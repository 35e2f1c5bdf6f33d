"""What a configuration says beside the description goes before it, and names that are not there are errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.config.loading import load_config
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.description import Endpoint, Kind, ParameterLocation
from batch_updater.endpoint.stored import encode_endpoint
from batch_updater.errors import ConfigError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKET = {
    "type": "object",
    "required": ["subject"],
    "properties": {
        "subject": {"type": "string"},
        "status": {"type": "string", "enum": ["open", "done"]},
        "due": {"type": "string"},
        "extra": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_ANSWER = {"type": "object", "properties": {"id": {"type": "integer"}, "subject": {"type": "string"}}}


def _operation(name: str, **more: Any) -> dict[str, Any]:
    answers = {"200": {"description": "ok", "content": {"application/json": {"schema": _ANSWER}}}}
    return {"operationId": name, "responses": answers, **more}


_DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Desk", "version": "1"},
    "paths": {
        "/tickets/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                {"name": "X-Tenant", "in": "header", "required": True, "schema": {"type": "string"}},
                {"name": "notify", "in": "query", "schema": {"type": "boolean"}},
                {"name": "api_key", "in": "query", "schema": {"type": "string"}},
            ],
            "get": _operation("ShowTicket"),
            "patch": _operation(
                "UpdateTicket",
                requestBody={
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "required": ["ticket"], "properties": {"ticket": _TICKET}}
                        }
                    }
                },
            ),
        },
        "/archive/{id}": {
            "get": {
                **_operation("ShowArchived"),
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            }
        },
    },
}


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Endpoint]:
    """Return the endpoint of a configuration whose keys below `endpoint` are given as lines of YAML."""

    def load(*lines: str, constants: str = "{}") -> Endpoint:
        (tmp_path / "desk.json").write_text(json.dumps(_DOCUMENT), encoding="utf-8")
        keys = "".join(f"  {line}\n" for line in lines)
        text = f"api:\n  endpoint: desk.json#UpdateTicket\n{keys}input: {{constants: {constants}}}\n"
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        config = load_config(tmp_path / "config.yaml", {})
        return endpoint_for(config.api, config.input.constants)

    return load


def names(endpoint: Endpoint) -> list[str]:
    return [field.name for field in endpoint.fields]


def test_without_these_keys_the_description_is_as_it_is(configured: Callable[..., Endpoint]) -> None:
    """Every parameter and field of the body is there."""
    endpoint = configured()
    assert {"id", "X-Tenant", "notify", "api_key", "ticket.subject", "ticket.status", "ticket.due"} <= set(
        names(endpoint)
    )
    assert [part.name for part in endpoint.opens] == ["ticket.extra"]


def test_keys_of_a_field_change_that_field(configured: Callable[..., Endpoint]) -> None:
    """By its name or an alias of its own; the others stay, and so does what is not set."""
    before = configured()
    after = configured(
        "fields:",
        "  ticket.status: {aliases: [State], nullable: true, reported_as: state.name, title: Status of it}",
        "  due: {kind: date, date_format: '%d.%m.%Y', default: 1, reported_as: null, identifier: true}",
        "  ticket.subject: {field_name: Betreff, required: false}",
    )
    status, due, subject = (after.field(name) for name in ("ticket.status", "ticket.due", "Betreff"))
    assert "State" in status.aliases
    assert set(before.field("ticket.status").aliases) < set(status.aliases)
    assert (status.nullable, status.title, status.reported_as) == (True, "Status of it", ("state", "name"))
    assert (status.enum, status.path) == (("open", "done"), ("ticket", "status"))
    assert (due.kind, due.date_format, due.default, due.reported_as) == (Kind.DATE, "%d.%m.%Y", "1", ())
    assert not due.is_identifier  # a date is none
    assert (subject.required, subject.path) == (False, ("ticket", "subject"))
    assert not [one for one in after.requirements if one.member == subject.path]
    assert before.field("id") == after.field("id")
    assert all("state" in always for always in after.record_statuses.values() if always is not None)


def test_only_keeps_what_it_names_and_what_the_request_needs(configured: Callable[..., Endpoint]) -> None:
    """Parameters of the path and required ones stay; fixed values stay, too; an open part stays where it is named."""
    endpoint = configured("only: [subject, ticket.extra]")
    assert names(endpoint) == ["id", "X-Tenant", "ticket.subject"]
    assert [part.name for part in endpoint.opens] == ["ticket.extra"]
    endpoint = configured("only: [ticket.extra.size]", constants="{subject: x, notify: 'true'}")
    assert set(names(endpoint)) == {"id", "X-Tenant", "notify", "ticket.subject", "ticket.extra.size"}
    assert endpoint.opens == ()
    assert endpoint.field("ticket.extra.size").location is ParameterLocation.BODY


def test_a_column_of_a_free_map_can_be_described(configured: Callable[..., Endpoint]) -> None:
    """It is a field of its own from then on, and the others of the map can still be columns."""
    endpoint = configured("fields: {ticket.extra.size: {aliases: [Size], title: How large}}")
    assert endpoint.field("ticket.extra.size").aliases == ("Size",)
    assert endpoint.field("ticket.extra.size").title == "How large"
    assert [part.name for part in endpoint.opens] == ["ticket.extra"]


def test_keys_of_the_call(configured: Callable[..., Endpoint]) -> None:
    """Each goes before the extension of the document that says the same."""
    endpoint = configured(
        "idempotent: true", "record_name: ticket", "always_reported: [id]", "error_message: reason",
        "quota_per_month: 1000", "quota_exceeded: used up", "read: get /archive/{id}",
    )  # fmt: skip
    assert (endpoint.idempotent, endpoint.record_name, endpoint.error_message_keys) == (True, "ticket", ("reason",))
    assert (endpoint.quota_per_month, endpoint.quota_message) == (1000, "used up")
    assert endpoint.always_reported(200) == frozenset({"id"})
    assert endpoint.read
    assert endpoint.read.path == "/archive/{id}"
    by_id = configured("read: ShowArchived").read
    assert by_id == endpoint.read
    assert not configured().idempotent


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["headers: {x-tenant: '7'}"], {"X-Tenant"}),
        (["auth: {query: {name: api_key, value: env:X}}"], {"api_key"}),
        (["auth: {header: {name: X-TENANT, value: env:X}}"], {"X-Tenant"}),
        (["auth: {scheme: Bot, token: env:X}"], set()),
    ],
)
def test_what_is_given_for_every_request_is_no_column(
    configured: Callable[..., Endpoint], lines: list[str], left: set[str]
) -> None:
    """Headers without regard to case, parameters by their exact name."""
    assert set(names(configured())) - set(names(configured(*lines))) == left


@pytest.mark.parametrize(
    ("lines", "place", "words", "remedy"),
    [
        (["fields:", "  ticket.staus: {}"], 4, "api.fields.ticket.staus is no field of UpdateTicket", "ticket.status?"),
        (["only:", "  - id", "  - staus"], 3, "api.only names staus, which is no field", "ticket.status?"),
        (
            ["only: [status]"],
            3,
            "api.only leaves out what UpdateTicket needs in every row: ticket.subject",
            "constants",
        ),
        (["read: ShowTickets"], 3, "api.read names ShowTickets, which is no GET operation", "ShowTicket?"),
        (["fields:", "  id: {required: false}"], 4, "api.fields.id.required cannot be false", "constants"),
        (["fields: {id: {nullable: true}}"], 3, "api.fields.id.nullable cannot be true", "Remove"),
        (["fields: {status: {field_name: id}}"], 3, "is id, which is the name of another field", "free"),
        (["always_reported: [subjekt]"], 3, "api.always_reported names subjekt", "subject?"),
    ],
)
def test_a_fault_is_told_with_its_key_and_line(
    configured: Callable[..., Endpoint], tmp_path: Path, lines: list[str], place: int, words: str, remedy: str
) -> None:
    """And with the nearest name, if there is one."""
    with pytest.raises(ConfigError) as caught:
        configured(*lines)
    assert caught.value.message.startswith(f"{tmp_path}/config.yaml, line {place}: ")
    assert words in caught.value.message
    assert remedy in caught.value.remedy
    assert caught.value.place.file == f"{tmp_path}/config.yaml"


def test_the_same_adjustments_are_the_same_endpoint(configured: Callable[..., Endpoint]) -> None:
    """A run is known again by them, and by any other one it is not."""
    lines = "only: [subject, status]", "fields: {status: {nullable: true}}"
    assert encode_endpoint(configured(*lines)) == encode_endpoint(configured(*lines))
    assert encode_endpoint(configured(*lines)) != encode_endpoint(configured(lines[0]))


def test_a_document_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    """It names the file."""
    (tmp_path / "config.yaml").write_text("api: {endpoint: none.yaml#x, read: y}\n", encoding="utf-8")
    with pytest.raises(EndpointError, match=r"none\.yaml"):
        endpoint_for(load_config(tmp_path / "config.yaml", {}).api)
