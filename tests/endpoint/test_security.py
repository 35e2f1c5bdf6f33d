"""What a document says of authentication and addresses, careless documents included."""

from __future__ import annotations

from typing import Any

import pytest

from batch_updater.endpoint.description import SecurityKind, SecurityScheme
from batch_updater.endpoint.security import security_of, servers_of

BEARER = SecurityScheme(SecurityKind.SCHEME, "Bearer")


def of(scheme: object, security: object = None, **more: Any) -> tuple[tuple[SecurityScheme, ...], ...]:
    schemes = {"one": scheme, **more}
    return security_of({"components": {"securitySchemes": schemes}, "security": security or [{"one": []}]}, {})


@pytest.mark.parametrize(
    ("scheme", "found"),
    [
        ({"type": "http", "scheme": "basic"}, SecurityScheme(SecurityKind.BASIC, "Basic")),
        ({"type": "http", "scheme": "BEARER"}, BEARER),
        ({"type": "http", "scheme": "Token"}, SecurityScheme(SecurityKind.SCHEME, "Token")),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, SecurityScheme(SecurityKind.HEADER, "X-Key")),
        ({"type": "apiKey", "in": "query", "name": "key"}, SecurityScheme(SecurityKind.QUERY, "key")),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://x"}, BEARER),
        ({"type": "oauth2", "flows": {"implicit": {"scopes": {}}}}, BEARER),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x/t", "scopes": {}}}},
            SecurityScheme(SecurityKind.SCHEME, "Bearer", "https://x/t"),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": 'with required prefix "Token"'},
            SecurityScheme(SecurityKind.SCHEME, "Token"),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "authorization", "description": "A JWT."},
            BEARER,
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": 'As "Authorization: Bot {key}"'},
            SecurityScheme(SecurityKind.SCHEME, "Bot"),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization"},
            SecurityScheme(SecurityKind.HEADER, "Authorization"),
        ),
    ],
)
def test_schemes_are_read(scheme: dict[str, object], found: SecurityScheme) -> None:
    """A key in the header Authorization has the word before it that its description names."""
    assert of(scheme) == ((found,),)


@pytest.mark.parametrize(
    "scheme",
    [
        {"type": "apiKey", "in": "cookie", "name": "session"},
        {"type": "http", "scheme": "digest"},
        {"type": "mutualTLS"},
        {"type": "apiKey", "in": "header", "name": "two words"},
        {"type": "apiKey", "in": "query"},
        {"type": "http"},
        "nothing",
        None,
    ],
)
def test_what_cannot_be_used_is_left_out(scheme: object) -> None:
    """Whatever stands there; other ways stay."""
    assert of(scheme) == ()
    assert of(scheme, [{"one": []}, {"two": []}], two={"type": "http", "scheme": "bearer"}) == ((BEARER,),)
    assert of(scheme, [{"one": [], "two": []}], two={"type": "http", "scheme": "bearer"}) == ()


def test_the_operation_goes_before_the_document() -> None:
    """An empty list says that nothing is needed, and so does nothing at all."""
    root = {"components": {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}, "security": [{"b": []}]}
    assert security_of(root, {}) == ((BEARER,),)
    assert security_of(root, {"security": []}) == ()
    assert security_of({**root, "security": "b"}, {}) == ()
    assert security_of(root, {"security": [{}, {"b": []}, {"b": []}, {"gone": []}]}) == ((BEARER,),)


def test_of_several_at_once_one_is_no_header() -> None:
    """It comes first: the configuration has one place for a secret, and headers beside it."""
    header, query = {"type": "apiKey", "in": "header", "name": "A"}, {"type": "apiKey", "in": "query", "name": "q"}
    (way,) = of(header, [{"one": [], "two": []}], two=query)
    assert [scheme.name for scheme in way] == ["q", "A"]
    assert of(query, [{"one": [], "two": []}], two={**query, "name": "r"}) == ()


def test_addresses_are_those_of_the_innermost_owner() -> None:
    """A variable with a list of values has its default; another one is for a person to fill in."""
    variables = {"stage": {"enum": ["live", "test"], "default": "live"}, "shop": {"default": "demo"}}
    root = {"servers": [{"url": "https://{shop}.example.org/{stage}", "variables": variables}, {"url": ""}, 7]}
    assert servers_of(root, {}, {}) == ("https://{shop}.example.org/live",)
    assert servers_of(root, {"servers": [{"url": "/v2"}]}, {"servers": "none"}) == ("/v2",)
    assert servers_of({}, {}, {}) == ()
