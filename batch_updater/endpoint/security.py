"""How requests are authenticated, and where they go, as an OpenAPI document says it.

Documents are often careless here: what is not understood is left out, and the configuration says it instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from batch_updater.config.schema import ApiSettings, AuthSettings, BasicSettings, HeaderSecret, QuerySecret
from batch_updater.endpoint.description import Endpoint, SecurityKind, SecurityScheme

_BEARER = "Bearer"
_BEARER_TOKEN = SecurityScheme(SecurityKind.SCHEME, _BEARER)
_AUTHORIZATION = "authorization"
_IN_AUTHORIZATION = frozenset({SecurityKind.BASIC, SecurityKind.SCHEME})
_NEEDS_CHALLENGE = frozenset({"digest", "hoba", "mutual", "negotiate", "ntlm", "privatetoken", "scram", "vapid"})
"""Schemes of HTTP that take more than a secret, in small letters (a part of IANA's registry, and NTLM)."""
_SAYS_BEARER = re.compile(r"\bbearer\b|\bjwt\b|oauth", re.IGNORECASE)
_SAYS_WORD = re.compile(
    r"prefix(?:ed)?(?: (?:of|with|by))? [\"'`]([A-Za-z][\w-]*)|authorization: ?[\"'`]?([A-Za-z][\w-]*) ", re.IGNORECASE
)
"""How descriptions say which word goes before the key."""


def security_of(
    document: Mapping[str, object], operation: Mapping[str, object]
) -> tuple[tuple[SecurityScheme, ...], ...]:
    """Return the ways in which an operation can be authenticated, each of all the schemes that it needs at once.

    () where the document says nothing that can be used. A way with a scheme that cannot be used, such as a cookie or
    one that is not defined, is left out (OpenAPI 3.1, Security Requirement Object). Whatever is no header comes first.
    """
    schemes = _mapping(_mapping(document.get("components")).get("securitySchemes"))
    ways = []
    for requirement in _requirements(document, operation):
        needed = _mapping(requirement)
        found = (_scheme(str(name), _mapping(schemes.get(name)), scopes) for name, scopes in needed.items())
        way = tuple(scheme for scheme in found if scheme)
        # The configuration has one place for a secret, and headers beside it.
        others = [scheme for scheme in way if scheme.kind is not SecurityKind.HEADER]
        if way and len(way) == len(needed) and len(others) <= 1:
            ways.append((*others, *(scheme for scheme in way if scheme.kind is SecurityKind.HEADER)))
    return tuple(dict.fromkeys(ways))


def takes_anyone(document: Mapping[str, object], operation: Mapping[str, object]) -> bool:
    """Whether an empty requirement is among those of an operation (OpenAPI 3.1, Security Requirement Object)."""
    return {} in _requirements(document, operation)


def _requirements(document: Mapping[str, object], operation: Mapping[str, object]) -> list[object]:
    required = operation.get("security", document.get("security"))
    return required if isinstance(required, list) else []


def _scheme(name: str, written: Mapping[str, object], scopes: object) -> SecurityScheme | None:
    """Return the scheme that an object of `securitySchemes` describes; None for one that cannot be used."""
    where = str(written.get("name", ""))
    match written.get("type"), written.get("in"):
        case "http", _:
            word = str(written.get("scheme", ""))
            if word.lower() == "basic":
                return SecurityScheme(SecurityKind.BASIC, "Basic")
            if not re.fullmatch(r"[\w.+-]+", word) or word.lower() in _NEEDS_CHALLENGE:
                return None
            return SecurityScheme(SecurityKind.SCHEME, _BEARER if word.lower() == "bearer" else word)
        case "apiKey", "header" if where.lower() == "authorization":
            return _in_authorization(name, str(written.get("description", "")))
        case "apiKey", "header" if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", where):
            return SecurityScheme(SecurityKind.HEADER, where)
        case "apiKey", "query" if where:
            return SecurityScheme(SecurityKind.QUERY, where)
        case "oauth2", _:
            flow = _mapping(_mapping(written.get("flows")).get("clientCredentials"))
            needed = tuple(map(str, scopes)) if isinstance(scopes, list) else ()
            return SecurityScheme(SecurityKind.SCHEME, _BEARER, str(flow.get("tokenUrl") or ""), needed)
        case "openIdConnect", _:
            return SecurityScheme(SecurityKind.SCHEME, _BEARER)
    return None


def _in_authorization(name: str, description: str) -> SecurityScheme:
    """Return the scheme of a key in the header Authorization: which word goes before it only prose can say."""
    if said := _SAYS_WORD.search(description):
        word = said[1] or said[2]
        return SecurityScheme(SecurityKind.SCHEME, _BEARER if word.lower() == "bearer" else word)
    if _SAYS_BEARER.search(f"{name} {description}"):
        return SecurityScheme(SecurityKind.SCHEME, _BEARER)
    return SecurityScheme(SecurityKind.HEADER, "Authorization")


def servers_of(*owners: Mapping[str, object]) -> tuple[str, ...]:
    """Return the addresses in the `servers` of the last owner that has some; from root, path item and operation.

    A variable with a list of values has its default in it; any other one stays in braces, for a person to fill in.
    """
    for owner in reversed(owners):
        written = owner.get("servers")
        servers = [_mapping(server) for server in written] if isinstance(written, list) else []
        if servers:
            return tuple(filter(None, map(_address, servers)))
    return ()


def _address(server: Mapping[str, object]) -> str:
    address = str(server.get("url", ""))
    for name, written in _mapping(server.get("variables")).items():
        variable = _mapping(written)
        if variable.get("enum") and "default" in variable:
            address = address.replace(f"{{{name}}}", str(variable["default"]))
    return address


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def scheme_of(api: ApiSettings, endpoint: Endpoint) -> SecurityScheme:
    """Return how the configured secret is sent.

    `api.auth` says it itself. A token goes where the description has a place for one, Bearer before any other; what
    else it needs at the same time has to be among `api.headers`.
    """
    match api.auth:
        case AuthSettings(basic=BasicSettings()):
            return SecurityScheme(SecurityKind.BASIC, "Basic")
        case AuthSettings(header=HeaderSecret(name=name)):
            return SecurityScheme(SecurityKind.HEADER, name)
        case AuthSettings(query=QuerySecret(name=name)):
            return SecurityScheme(SecurityKind.QUERY, name)
        case AuthSettings(scheme=str() as words):
            return SecurityScheme(SecurityKind.SCHEME, words)
    if api.oauth or _bearer_is_described(endpoint):
        return _BEARER_TOKEN
    given = {name.lower() for name in api.headers}
    for way in endpoint.security:
        rest = [one for one in way if one.kind is not SecurityKind.HEADER or one.name.lower() not in given]
        if len(rest) == 1 and rest[0].kind is not SecurityKind.BASIC:
            return rest[0]
    return _BEARER_TOKEN


def _bearer_is_described(endpoint: Endpoint) -> bool:
    """Whether a bearer token alone is one of the ways, or the description says nothing of any."""
    return not endpoint.security or any(
        len(way) == 1 and way[0].kind is SecurityKind.SCHEME and way[0].name == _BEARER for way in endpoint.security
    )


def unlike_described(api: ApiSettings, endpoint: Endpoint) -> str:
    """Return a sentence on credentials that are none of those that the description has; '' if there is none.

    What `api.auth` says is meant as it is, unless the header in which it is sent is not looked at.
    """
    if not endpoint.security or any(_is_beside(way, api, endpoint) for way in endpoint.security):
        return ""
    if not (api.secret or api.oauth):
        if endpoint.takes_anyone:
            return ""
        return f"No credentials are configured, and the description asks for some: set {asked_for(endpoint)}."
    scheme, key = scheme_of(api, endpoint), api.secret[0] if api.secret else "api.oauth"
    if api.auth and (scheme.kind not in _IN_AUTHORIZATION or any(map(_has_authorization, endpoint.security))):
        return ""
    if any((one.kind, one.name) == (scheme.kind, scheme.name) for way in endpoint.security for one in way):
        return ""
    what = "in the header Authorization" if api.auth else "as a bearer token"
    return f"{key} is sent {what}, and the description asks for something else: {asked_for(endpoint)}."


def _has_authorization(way: tuple[SecurityScheme, ...]) -> bool:
    return any(one.kind in _IN_AUTHORIZATION or one.name.lower() == _AUTHORIZATION for one in way)


def _is_beside(way: tuple[SecurityScheme, ...], api: ApiSettings, endpoint: Endpoint) -> bool:
    """Whether all that a way needs is among `api.headers` and the fields, so that no secret has to be configured."""
    headers = {name.lower() for name in api.headers}
    fields = {(field.location.value, field.wire_name.lower()) for field in endpoint.fields}

    def is_there(one: SecurityScheme) -> bool:
        name = _AUTHORIZATION if one.kind in _IN_AUTHORIZATION else one.name.lower()
        return (one.kind is not SecurityKind.QUERY and name in headers) or (one.kind.value, name) in fields

    return all(map(is_there, way))


def asked_for(endpoint: Endpoint) -> str:
    """Return what to write into the configuration for the ways that the description has; '' if it has none."""
    return ", or ".join(dict.fromkeys(" and ".join(_as_configured(way)) for way in endpoint.security))


def _as_configured(way: tuple[SecurityScheme, ...]) -> Iterator[str]:
    for position, scheme in enumerate(way):
        match scheme.kind:
            case SecurityKind.BASIC:
                yield "api.auth: {basic: {user: NAME, password: env:NAME}}"
            case SecurityKind.SCHEME if scheme.name == _BEARER:
                yield "api.token: env:NAME" + (" (or api.oauth)" if scheme.token_url else "")
            case SecurityKind.SCHEME:
                yield f"api.auth: {{scheme: {scheme.name}, token: env:NAME}}"
            case SecurityKind.HEADER if position:
                yield f"api.headers: {{{scheme.name}: env:NAME}}"
            case SecurityKind.HEADER | SecurityKind.QUERY:
                yield f"api.auth: {{{scheme.kind}: {{name: {scheme.name}, value: env:NAME}}}}"
