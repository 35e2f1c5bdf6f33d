"""Web addresses as people type them: whether one can be used, and which one was probably meant if not."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from batch_updater.text.lazy_pattern import lazy_pattern

_QUOTES_AROUND = "\"'`\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a\uff02"
_TYPED = lazy_pattern(
    r"(?P<scheme>h?t+ps?(?:[:;]/{0,3}|//)|//)?(?P<host>[a-z0-9_.-]+|\[[0-9a-f:]+\])(?P<port>:\d{1,5})?(?P<path>/[^\s?#@\\]*)?"
    r"(?:[?#].*)?",
    re.IGNORECASE,
)
_DOMAIN = lazy_pattern(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+(xn--[a-z0-9-]{1,59}|[a-z]{2,24})", re.IGNORECASE)
"""A host name with its domain; most tokens with dots in them end in another way."""
_SECRET_WORD = lazy_pattern(r"secret|token|passw", re.IGNORECASE)
_LONGEST_WORD = 20
"""Characters; in a longer part of an address digits and letters of both cases look like a key."""


def _is_loopback(host: str) -> bool:
    address = _ip_address(host)
    return host.rstrip(".").lower() == "localhost" or (address is not None and address.is_loopback)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def require_web_address(text: str) -> str:
    """Return an address that leads where it says; plain http only to this machine.

    Raises ValueError, whose text says what the address must be and repeats no more of it than `meant_address`.
    """
    try:
        parts, host = _split(text)
    except ValueError as error:
        raise ValueError("must be an address such as https://host/prefix") from error
    if "//" not in text and (meant := meant_address(text)):
        raise ValueError(f"must begin with {meant.partition('//')[0]}//{_hint(text)}")
    if parts.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError(f"must be an address such as https://host/prefix{_hint(text)}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a name or password")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"must begin with https:// (plain http is for this machine only){_hint(text)}")
    if parts.fragment or any(segment in (".", "..") for segment in parts.path.split("/")):
        raise ValueError(f"must not hold #, . or .. as a part of the path{_hint(text)}")
    return text


def _split(text: str) -> tuple[SplitResult, str]:
    """Return an address in parts, and its host. Raises ValueError for a host that cannot be looked up."""
    parts = urlsplit(text)
    host, _ = parts.hostname or "", parts.port
    if re.search(r"[^\w.:%-]", host):  # urlsplit takes any
        raise ValueError("no name of a host")
    host.encode("idna")
    return parts, host


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
    is_here = _is_loopback(host.strip("[]"))
    if not (is_here or match["scheme"] or _ip_address(host.strip("[]"))):
        # Without a scheme any word would do. With a port a host needs no domain.
        is_word = port and re.fullmatch(r"[a-z][a-z0-9-]*", host, re.IGNORECASE)
        if not (is_word or _DOMAIN.fullmatch(host)) or _SECRET_WORD.search(host):
            return None
    for part in re.split(r"[./]", f"{host}{path}"):
        if len(part) > _LONGEST_WORD and all(re.search(needed, part) for needed in ("[a-z]", "[A-Z]", "[0-9]")):
            return None  # it looks like a key
    if {".", ".."} & set(path.split("/")):
        return None
    if is_here and not (match["scheme"] or "").lower().startswith("https"):
        return f"http://{host}{port}{path}"
    return f"https://{host}{port.removesuffix(':80')}{path}"


def _hint(text: str) -> str:
    meant = None if "?" in text else meant_address(text)  # the query of a token URL may be needed
    return f"; write {meant}" if meant and meant != text else ""


def proxy_problem(text: str) -> str | None:
    """Return why an address cannot be that of a proxy, as "must ..."; None if it can. No password is repeated."""
    try:
        parts, host = _split(text)
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
