"""endpoint/swagger.py: a document of Swagger 2.0 describes the same call as one of OpenAPI 3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint import document
from batch_updater.endpoint.description import Kind, ParameterLocation
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint


def swagger(*parameters: dict[str, Any], **operation: Any) -> dict[str, Any]:
    """Make a small document of Swagger 2.0."""
    thing = {"name": "thing", "in": "path", "required": True, "type": "string", "maxLength": 9}
    body = {"name": "whatever", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Thing"}}
    put = {"operationId": "put-thing", "parameters": [{"$ref": "#/parameters/thing"}, *(parameters or [body])]}
    return {
        "swagger": "2.0",
        "info": {"title": "Shop", "version": "1"},
        "host": "api.example.com",
        "basePath": "/v3/",
        "schemes": ["https", "wss"],
        "paths": {
            "/things/{thing}": {"put": {**put, "responses": {"200": {"$ref": "#/responses/Thing"}}, **operation}}
        },
        "parameters": {"thing": thing},
        "responses": {"Thing": {"description": "done", "schema": {"$ref": "#/definitions/Thing"}}},
        "definitions": {
            "Thing": {
                "type": "object",
                "required": ["size"],
                "discriminator": "size",
                "properties": {
                    "size": {"type": "number"},
                    "note": {"type": "string", "x-nullable": True},
                    "id": {"type": "integer", "readOnly": True},
                },
            }
        },
        "securityDefinitions": {
            "user": {"type": "basic"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "client": {"type": "oauth2", "flow": "application", "tokenUrl": "https://x.example/token", "scopes": {}},
        },
    }


def written(content: dict[str, Any], folder: Path) -> Path:
    path = folder / "swagger.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def operation_in(content: dict[str, Any], folder: Path) -> document.Operation:
    """Return the operation as the reader sees it."""
    path = written(content, folder)
    resolver = document.Resolver(DocumentFiles(path, path.read_bytes()))
    root = resolver.document()
    item = resolver.node(document.PathItem, root.paths["/things/{thing}"], root, "paths", "/things/{thing}")
    return resolver.node(document.Operation, item.written["put"], item, "put")


def test_a_document_of_swagger_2_describes_a_call(load: Callable[..., Endpoint]) -> None:
    """Parameters, body, answers and the server are those of its own keys, behind references as well."""
    endpoint = load(swagger())
    assert (endpoint.content_type, set(endpoint.server_paths)) == ("application/json", {"v3"})
    assert [(one.name, one.location, one.kind, one.required, one.nullable) for one in endpoint.fields] == [
        ("thing", ParameterLocation.PATH, Kind.TEXT, True, False),
        ("size", ParameterLocation.BODY, Kind.DECIMAL, True, False),
        ("note", ParameterLocation.BODY, Kind.TEXT, False, True),
    ]
    assert endpoint.field("thing").bounds.max_length == 9
    assert set(endpoint.always_reported(200) or ()) == {"size"}


def test_media_types_are_those_of_the_operation_or_of_the_document(tmp_path: Path) -> None:
    """`consumes` and `produces`; anything, or nothing, is JSON."""

    def content_of(**keys: Any) -> tuple[list[str], list[str]]:
        content = {**swagger(**keys.pop("operation", {})), **keys}
        operation = operation_in(content, tmp_path)
        assert isinstance(operation.request_body, dict)
        answer: Any = operation.responses["200"]
        return list(operation.request_body["content"]), list(answer["content"])

    assert content_of() == (["application/json"], ["application/json"])
    assert content_of(consumes=["text/json", "*/*"], produces=["*/*"]) == (
        ["text/json", "application/json"],
        ["application/json"],
    )
    assert content_of(consumes=["text/xml"], operation={"consumes": ["application/merge-patch+json"]}) == (
        ["application/merge-patch+json"],
        ["application/json"],
    )


def test_form_fields_are_the_properties_of_a_form(tmp_path: Path) -> None:
    """In the encoding that `consumes` says; a file makes it a multipart form."""
    tags = {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "pipes"}
    size = {"name": "size", "in": "formData", "type": "integer", "required": True, "description": "In mm.", "x-a": 1}
    body = operation_in(swagger(tags, size), tmp_path).request_body
    form = {
        "schema": {
            "type": "object",
            "properties": {
                "tags": {"type": "array", "items": {"type": "string"}},
                "size": {"type": "integer", "description": "In mm.", "x-a": 1},
            },
            "required": ["size"],
        },
        "encoding": {"tags": {"style": "pipeDelimited", "explode": False}},
    }
    assert body == {"content": {"application/x-www-form-urlencoded": form}}
    file = {"name": "file", "in": "formData", "type": "file"}
    both = ["application/x-www-form-urlencoded", "multipart/form-data"]
    upload: Any = operation_in(swagger(size, file, consumes=both), tmp_path).request_body
    assert list(upload["content"]) == ["multipart/form-data"]
    properties = upload["content"]["multipart/form-data"]["schema"]["properties"]
    assert properties["file"] == {"type": "string", "format": "binary"}


@pytest.mark.parametrize(
    ("location", "keys", "style"),
    [
        ("query", {}, {"style": "form", "explode": False}),
        ("query", {"collectionFormat": "multi"}, {"style": "form", "explode": True}),
        ("query", {"collectionFormat": "ssv"}, {"style": "spaceDelimited", "explode": False}),
        ("path", {"collectionFormat": "csv"}, {"style": "simple", "explode": False}),
    ],
)
def test_lists_are_written_as_the_collection_format_says(
    tmp_path: Path, location: str, keys: dict[str, str], style: dict[str, object]
) -> None:
    """It becomes the style of the parameter."""
    items = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
    _, parameter = operation_in(swagger({"name": "ids", "in": location, **items, **keys}), tmp_path).parameters
    assert parameter == {"name": "ids", "in": location, "schema": items, **style}


def test_a_body_of_the_path_counts_unless_the_operation_has_its_own(load: Callable[..., Endpoint]) -> None:
    """As parameters of a path do."""
    content = swagger()
    item = content["paths"]["/things/{thing}"]
    item["parameters"] = [item["put"]["parameters"].pop()]
    assert [one.name for one in load(content).body_fields] == ["size", "note"]
    own = {"in": "body", "name": "x", "schema": {"properties": {"colour": {"type": "string"}}}}
    item["put"]["parameters"].append(own)
    assert [one.name for one in load(content).body_fields] == ["colour"]


def test_security_and_schemas_have_the_keys_of_openapi_3(tmp_path: Path) -> None:
    """`securityDefinitions` become `securitySchemes`, and the discriminator an object."""
    path = written(swagger(), tmp_path)
    files = DocumentFiles(path, path.read_bytes())
    assert files.root["components"] == {
        "securitySchemes": {
            "user": {"type": "http", "scheme": "basic"},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "client": {
                "type": "oauth2",
                "flows": {"clientCredentials": {"tokenUrl": "https://x.example/token", "scopes": {}}},
            },
        }
    }
    assert files.root["servers"] == [{"url": "https://api.example.com/v3"}]
    resolver = document.Resolver(files)
    schema = resolver.node(document.Schema, {"$ref": "#/definitions/Thing"}, resolver.document())
    assert schema.written["discriminator"] == {"propertyName": "size"}


def test_a_mistake_elsewhere_does_no_harm_and_one_in_the_operation_has_its_place(tmp_path: Path) -> None:
    """A reference to nothing, in another operation and as the body of this one."""
    content = swagger()
    put = content["paths"]["/things/{thing}"]["put"]
    other = {**put, "operationId": "other", "parameters": [put["parameters"][0], {"$ref": "#/nowhere"}]}
    content["paths"]["/others/{thing}"] = {"put": other}
    path = written(content, tmp_path)
    assert load_endpoint(f"{path}#put-thing")
    with pytest.raises(EndpointError, match="refers to #/nowhere, which does not exist"):
        load_endpoint(f"{path}#other")


def test_other_versions_are_refused(load: Callable[..., Endpoint]) -> None:
    """Swagger 1.2 is another language."""
    with pytest.raises(EndpointError, match="/openapi is not version"):
        load({**swagger(), "swagger": "1.2"})
