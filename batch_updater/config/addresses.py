"""Web addresses as people type them: whether one can be used, and which one was probably meant if not."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_QUOTES_AROUND = "\"'`\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a\uff02"
_TYPED = re.compile(
    r"(?P<scheme>h?t+ps?(?:[:;]/{0,3}|//)|//)?(?P<host>[a-z0-9_.-]+|\[[0-9a-f:]+\])(?P<port>:\d{1,5})?(?P<path>/[^\s?#@\\]*)?"
    r"(?:[?#].*)?",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+(xn--[a-z0-9-]{1,59}|[a-z]{2,24})", re.IGNORECASE)
"""A host name with its domain; most tokens with dots in them end in another way."""
_SECRET_WORD = re.compile(r"secret|token|passw", re.IGNORECASE)
_LONGEST_WORD = 20
"""Characters; in a longer part of an address digits and letters of both cases look like a key."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_web_address(text: str) -> str:
    """Return an address that leads where it says; plain http only to this machine.

    Raises ValueError, whose text says what the address must be and repeats no more of it than `meant_address`.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
        _require_host(host)
    except ValueError as error:
        raise ValueError("must be an address such as https://host/prefix") from error
    if "//" not in text and (meant := meant_address(text)):
        raise ValueError(f"must begin with {meant.partition('//')[0]}//{_hint(text)}")
    if parts.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError(f"must be an address such as https://host/prefix{_hint(text)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a name or password")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"must begin with https:// (plain http is for this machine only){_hint(text)}")
    if parts.fragment or any(segment in (".", "..") for segment in parts.path.split("/")):
        raise ValueError(f"must not hold #, . or .. as a part of the path{_hint(text)}")
    return text


def _require_host(host: str) -> None:
    """Raise ValueError for a host that cannot be looked up."""
    if re.search(r"[^\w.:%-]", host):  # urlsplit takes any
        raise ValueError("no name of a host")
    host.encode("idna")


def require_base_url(text: str) -> str:
    """Return a base URL without its last slash. Raises ValueError as `require_web_address` does."""
    if "?" in text:
        meant = meant_address(text)
        raise ValueError("must not hold a question mark" + (f"; write {meant}" if meant else ""))
    return require_web_address(text).rstrip("/")


def meant_address(text: str) -> str | None:
    """Return the base URL that was probably meant; None if that cannot be told.

    It never contains what may be a secret: a name and password, a query, a token in place of the address.
    """
    match = _TYPED.fullmatch(text.strip().strip(_QUOTES_AROUND).strip())
    if match is None:
        return None
    host, port, path = match["host"], match["port"] or "", (match["path"] or "").rstrip("/")
    is_here = is_loopback(host.strip("[]"))
    if not (is_here or match["scheme"] or _is_ip_address(host) or _is_name(host, has_port=bool(port))):
        return None  # any word would do
    if any(map(_is_like_a_key, re.split(r"[./]", f"{host}{path}"))):
        return None
    if {".", ".."} & set(path.split("/")):
        return None
    if is_here and not (match["scheme"] or "").lower().startswith("https"):
        return f"http://{host}{port}{path}"
    return f"https://{host}{port.removesuffix(':80')}{path}"


def _is_name(host: str, *, has_port: bool) -> bool:
    """Whether a word without a scheme is the name of a host rather than a token; with a port it needs no domain."""
    is_word = has_port and re.fullmatch(r"[a-z][a-z0-9-]*", host, re.IGNORECASE)
    return bool(is_word or _DOMAIN.fullmatch(host)) and not _SECRET_WORD.search(host)


def _is_like_a_key(part: str) -> bool:
    needed = ("[a-z]", "[A-Z]", "[0-9]")
    return len(part) > _LONGEST_WORD and all(re.search(characters, part) for characters in needed)


def _hint(text: str) -> str:
    meant = None if "?" in text else meant_address(text)  # the query of a token URL may be needed
    return f"; write {meant}" if meant and meant != text else ""


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def proxy_problem(text: str) -> str | None:
    """Return why an address cannot be that of a proxy, as "must ..."; None if it can. No password is repeated."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
        _require_host(host)
    except ValueError:
        return "must be an address such as http://proxy.example.com:8080"
    if parts.scheme.startswith("socks"):
        return "must name an HTTP proxy, such as http://proxy.example.com:8080 (SOCKS proxies are not supported)"
    if parts.scheme in ("http", "https") and host and text.isprintable() and " " not in text:
        return None
    shown = shown_proxy(text)
    if re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?", shown):
        return f"must begin with http://; write http://{'USER:SECRET@' if '@' in text else ''}{shown}"
    return "must be an address such as http://proxy.example.com:8080"


def shown_proxy(text: str) -> str:
    """Return host and port of a proxy's address, without the name and password in front of them."""
    bare = text.strip().strip(_QUOTES_AROUND)
    return bare.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
