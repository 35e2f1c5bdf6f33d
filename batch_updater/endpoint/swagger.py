"""Swagger 2.0 in the form of OpenAPI 3.0, as far as a description of a call needs it.

The root is converted when the document is read, a path when it is needed: so references lead to what is written, and a
mistake elsewhere does no harm. Schemas stay where they are, under `definitions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

_Node = Mapping[str, object]
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_NOT_OF_THE_SCHEMA = frozenset(
    {"name", "in", "description", "required", "collectionFormat", "allowEmptyValue", "schema", "example"}
)
"""Keys of a parameter that are not those of its schema; `x-` is both."""
_DELIMITED = {"ssv": "spaceDelimited", "tsv": "tabDelimited", "pipes": "pipeDelimited"}
"""`collectionFormat` -> `style`. OpenAPI 3 has none for tabs."""
_FLOWS = {"application": "clientCredentials", "accessCode": "authorizationCode"}


def converted(root: _Node) -> _Node:
    """Return the root of a document of OpenAPI 3, whose paths are still those of Swagger 2."""
    host, base = root.get("host"), root.get("basePath")
    path = f"/{str(base).strip('/')}" if base else ""
    schemes = [scheme for scheme in _texts(root.get("schemes")) if scheme in {"http", "https"}]
    servers = [f"{scheme}://{host}{path}" for scheme in schemes or ["https"]] if host else [path or "/"]
    definitions = root.get("securityDefinitions")
    security = definitions if isinstance(definitions, Mapping) else {}
    version = str(root["swagger"])
    return {
        **root,
        "openapi": "3.0.3" if version.startswith("2.") else f"Swagger {version}",
        "servers": [{"url": url} for url in servers],
        "components": {"securitySchemes": {name: _security_scheme(scheme) for name, scheme in security.items()}},
    }


def _security_scheme(scheme: object) -> object:
    if not isinstance(scheme, Mapping):
        return scheme
    match scheme.get("type"):
        case "basic":
            return {**scheme, "type": "http", "scheme": "basic"}
        case "oauth2":
            flow = str(scheme.get("flow"))
            keys = ("authorizationUrl", "tokenUrl", "refreshUrl", "scopes")
            flows = {_FLOWS.get(flow, flow): {key: scheme[key] for key in keys if key in scheme}}
            return {"type": "oauth2", "flows": flows}
    return scheme


def converted_schema(schema: _Node) -> _Node:
    """Return a schema of OpenAPI 3; those within it are still those of Swagger 2."""
    changed: dict[str, object] = {}
    if schema.get("x-nullable") is True:
        changed["nullable"] = True
    if schema.get("type") == "file":
        changed |= {"type": "string", "format": "binary"}
    if isinstance(schema.get("discriminator"), str):
        changed["discriminator"] = {"propertyName": schema["discriminator"]}
    return {**schema, **changed} if changed else schema


def converted_path(item: _Node, root: _Node, followed: Callable[[object], object]) -> _Node:
    """Return a path item of OpenAPI 3; `followed` returns what references lead to, or a reference that leads nowhere.

    `consumes` and `produces` of the root count where an operation has none.
    """
    shared = _parameters(item.get("parameters"), followed)
    new: dict[str, object] = {**item, "parameters": _of_requests(shared)}
    for method in _METHODS:
        operation = followed(item.get(method))
        if isinstance(operation, Mapping):
            new[method] = _operation(operation, shared, root, followed)
    return new


def _operation(
    operation: _Node, shared: list[object], root: _Node, followed: Callable[[object], object]
) -> dict[str, object]:
    own = _parameters(operation.get("parameters"), followed)
    new = {key: value for key, value in operation.items() if key not in {"consumes", "produces", "schemes"}}
    new["parameters"] = _of_requests(own)
    consumes = _media_types(operation.get("consumes", root.get("consumes")))
    if (body := _request_body([*shared, *own], consumes)) is not None:
        new["requestBody"] = body
    produces = _media_types(operation.get("produces", root.get("produces"))) or [_JSON]
    responses = operation.get("responses")
    if isinstance(responses, Mapping):
        new["responses"] = {status: _response(followed(response), produces) for status, response in responses.items()}
    return new


def _parameters(written: object, followed: Callable[[object], object]) -> list[object]:
    return [followed(one) for one in written] if isinstance(written, list) else []


def _texts(written: object) -> list[str]:
    return [str(one) for one in written] if isinstance(written, list) else []


def _media_types(written: object) -> list[str]:
    """Return media types; any of them is JSON here."""
    return list(dict.fromkeys(_JSON if one.startswith("*") else one for one in _texts(written)))


def _location(parameter: object) -> object:
    return parameter.get("in") if isinstance(parameter, Mapping) else None


def _of_requests(parameters: Iterable[object]) -> list[object]:
    """Return those that are no part of the body."""
    return [
        _parameter(one) if isinstance(one, Mapping) and "$ref" not in one else one
        for one in parameters
        if _location(one) not in {"body", "formData"}
    ]


def _parameter(parameter: _Node) -> dict[str, object]:
    kept = {key: value for key, value in parameter.items() if key in _NOT_OF_THE_SCHEMA or key.startswith("x-")}
    new = {key: value for key, value in kept.items() if key not in {"collectionFormat", "schema"}}
    schema = parameter.get("schema")  # which many write as in OpenAPI 3
    new["schema"] = schema if isinstance(schema, Mapping) else _own_schema(parameter)
    return new | _style(parameter, "simple" if parameter.get("in") in {"path", "header"} else "form")


def _own_schema(parameter: _Node) -> _Node:
    return converted_schema(
        {
            key: value
            for key, value in parameter.items()
            if (key not in _NOT_OF_THE_SCHEMA and not key.startswith("x-")) or key == "x-nullable"
        }
    )


def _style(parameter: _Node, unquoted: str) -> dict[str, object]:
    """Return how the items of an array are written; without `collectionFormat` with commas between."""
    if parameter.get("type") != "array":
        return {}
    written = str(parameter.get("collectionFormat"))
    return {"style": _DELIMITED.get(written, unquoted), "explode": written == "multi"}


def _request_body(parameters: list[object], consumes: list[str]) -> dict[str, object] | None:
    """Return the body of a request; None if it has none. An operation's own parameters come last, and count."""
    found = {_location(one): one for one in parameters}
    body = found.get("body")
    if isinstance(body, Mapping):
        media_type = {key: value for key, value in body.items() if key == "schema"}
        described = {key: body[key] for key in ("description", "required") if key in body}
        return {**described, "content": dict.fromkeys(consumes or [_JSON], media_type)}
    if "formData" not in found:
        # What a reference to nothing would be is not known: perhaps the body.
        return next((dict(one) for one in parameters if isinstance(one, Mapping) and "$ref" in one), None)
    named = {one.get("name"): one for one in parameters if isinstance(one, Mapping) and one.get("in") == "formData"}
    schema = {
        "type": "object",
        "properties": {
            name: {**_annotations(one), **_own_schema(one)} for name, one in named.items() if isinstance(name, str)
        },
        "required": [name for name, one in named.items() if one.get("required") is True],
    }
    encoding = {name: style for name, one in named.items() if (style := _style(one, "form"))}
    has_file = any(one.get("type") == "file" for one in named.values())
    usual = _MULTIPART if has_file else _FORM
    forms = [one for one in consumes if one in {_FORM, _MULTIPART} and not (has_file and one == _FORM)] or [usual]
    return {"content": {one: {"schema": schema, "encoding": encoding} for one in forms}}


def _annotations(parameter: _Node) -> dict[str, object]:
    return {key: value for key, value in parameter.items() if key in {"description", "example"} or key.startswith("x-")}


def _response(response: object, produces: list[str]) -> object:
    if not isinstance(response, Mapping) or "$ref" in response:
        return response
    new = {key: value for key, value in response.items() if key not in {"schema", "examples"}}
    if "schema" in response:
        new["content"] = {one: {"schema": response["schema"]} for one in produces}
    return new
