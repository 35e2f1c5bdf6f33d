"""endpoint/parameters.py: the parameters of an operation become fields, headers that are told, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint.description import Kind, ParameterLocation
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.endpoint.description import Endpoint

TEXT = {"type": "string"}
THING = {"name": "thing", "in": "path", "required": True, "schema": {"type": "integer"}}


def parameter(name: str, location: str, schema: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": location, "schema": schema or TEXT, **more}


def with_parameters(
    load: Callable[..., Endpoint], *parameters: dict[str, Any], path: str = "/things/{thing}"
) -> Endpoint:
    content = document(parameters=[THING, *parameters])
    content["paths"] = {path: content["paths"]["/things/{thing}"]}
    content["components"] = {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}}
    return load(content)


def test_headers_are_fields_only_where_no_other_part_of_the_program_sends_them(load: Callable[..., Endpoint]) -> None:
    """Accept, Content-Type and Authorization are ignored, as OpenAPI says, and so is the one that holds the key."""
    endpoint = with_parameters(
        load,
        *(
            parameter(name, "header", required=True)
            for name in (
                "Accept",
                "content-type",
                "Authorization",
                "X-Auth-Token",
                "If-Match",
                "Idempotency-Key",
                "Tenant",
            )
        ),
        parameter("X-Trace", "header"),
    )
    headers = [field for field in endpoint.fields if field.location is ParameterLocation.HEADER]
    assert [(field.name, field.required, field.selects_record) for field in headers] == [("Tenant", True, False)]
    assert (endpoint.if_match, endpoint.requires_if_match, endpoint.idempotency_key) == (True, True, "Idempotency-Key")
    plain = with_parameters(load)
    assert (plain.if_match, plain.requires_if_match, plain.idempotency_key) == (False, False, None)


@pytest.mark.parametrize(
    "path",
    [
        "/things/{thing}.json",
        "/things/{thing}:{version}",
        "/things('{thing}')",
        "/things/{thing}#rename",
        "/a/{Thing}/",
    ],
)
def test_a_path_may_have_its_parameters_anywhere(load: Callable[..., Endpoint], path: str) -> None:
    """One that is not described is a text, and one that is spelled otherwise is the one that is described."""
    endpoint = with_parameters(load, path=path)
    assert endpoint.path == path
    kinds = {field.wire_name: field.kind for field in endpoint.fields if field.location is ParameterLocation.PATH}
    assert kinds.pop("Thing" if "{Thing}" in path else "thing") is Kind.INTEGER
    assert set(kinds.values()) <= {Kind.TEXT}


@pytest.mark.parametrize(
    ("style", "delimiter"),
    [
        ({}, ""),
        ({"explode": False}, ","),
        ({"style": "pipeDelimited", "explode": False}, "|"),
        ({"style": "spaceDelimited"}, " "),
        ({"collectionFormat": "csv"}, ","),
        ({"collectionFormat": "multi"}, ""),
    ],
)
def test_a_list_in_a_query_has_its_style(load: Callable[..., Endpoint], style: dict[str, Any], delimiter: str) -> None:
    """OpenAPI 3 and Swagger 2 each have words for it."""
    field = with_parameters(load, parameter("ids", "query", {"type": "array", "items": TEXT}, **style)).field("ids")
    assert (field.kind, field.item_kind, field.delimiter) == (Kind.LIST, Kind.TEXT, delimiter)


def test_an_object_in_a_query_is_its_members(load: Callable[..., Endpoint]) -> None:
    """With brackets in style deepObject, by themselves else; one that is joined into one text is left out."""
    schema = {"type": "object", "properties": {"since": {"type": "string", "format": "date"}}}
    endpoint = with_parameters(
        load,
        parameter("filter", "query", schema, style="deepObject"),
        parameter("page", "query", {"type": "object", "properties": {"limit": {"type": "integer"}}}),
        parameter("joined", "query", schema, explode=False),
        {"name": "where", "in": "query", "content": {"application/json": {"schema": schema}}},
    )
    fields = [(field.name, field.wire_name, field.kind) for field in endpoint.fields]
    assert fields[1:-1] == [
        ("filter.since", "filter[since]", Kind.DATE),
        ("page.limit", "limit", Kind.INTEGER),
        ("where", "where", Kind.JSON),
    ]
    assert [one.field for one in endpoint.left_out] == ["joined"]


def test_names_that_are_doubled_get_their_location(load: Callable[..., Endpoint]) -> None:
    """The path keeps the plain name, and neither has another's as an alias."""
    endpoint = with_parameters(load, parameter("size", "query"), parameter("thing", "query"))
    assert [field.name for field in endpoint.fields] == ["thing", "size", "query.thing", "body.size"]
    assert [field.aliases for field in endpoint.fields] == [(), (), (), ()]


def test_a_slip_in_a_parameter_does_no_harm(load: Callable[..., Endpoint]) -> None:
    """Without a name it is told, without a schema it is a text, and a reference to nothing is a text, too."""
    endpoint = with_parameters(
        load,
        {"in": "query", "schema": TEXT},
        {"name": "dry", "in": "query"},
        {"name": "view", "in": "query", "schema": {"$ref": "#/components/schemas/Nowhere"}},
    )
    assert [(field.name, field.kind) for field in endpoint.fields[1:3]] == [("dry", Kind.TEXT), ("view", Kind.TEXT)]
    assert [one.field for one in endpoint.left_out] == ["parameter 2"]


def test_what_selects_the_record_is_in_the_path_or_required(load: Callable[..., Endpoint]) -> None:
    """Options in the query tell no records apart; without either, ids in the query or in the body do."""
    endpoint = with_parameters(load, parameter("kind", "query", required=True), parameter("notify", "query"))
    assert [field.name for field in endpoint.fields if field.selects_record] == ["thing", "kind"]
    content = document(parameters=[parameter("ids", "query"), parameter("notify", "query")])
    content["paths"] = {"/things/many": content["paths"]["/things/{thing}"]}
    assert [field.name for field in load(content).fields if field.selects_record] == ["ids"]
    schema = {"type": "object", "properties": {"thingId": TEXT, "ownerId": TEXT, "size": TEXT}}
    content = document(parameters=[], requestBody={"content": {"application/json": {"schema": schema}}})
    content["paths"] = {"/things": content["paths"]["/things/{thing}"]}
    assert [field.name for field in load(content).fields if field.selects_record] == ["thingId"]
