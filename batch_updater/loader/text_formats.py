"""The formats `email`, `uuid` and `uri` of texts: what is none for certain, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.records import Value
from batch_updater.text.lazy_pattern import lazy_pattern

_BLANK = lazy_pattern(r"\s")
_UUID = lazy_pattern(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_BARE_UUID = lazy_pattern(r"(?:urn:uuid:)?[{(]?([0-9A-Fa-f]{8})-?((?:[0-9A-Fa-f]{4}-?){3})([0-9A-Fa-f]{12})[)}]?")
_SCHEME = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WEB_PAGE = lazy_pattern(r"(?:www\.|[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}(?:[/:?#]|$)).*")
_NAMED_ADDRESS = lazy_pattern(r"(?:.*<|mailto:)([^<>\s@]+@[^<>\s@]+)>?\s*")
"""`Ann <ann@example.com>`, as mail programs copy it."""
_MOST_OCTETS, _MOST_LOCAL_OCTETS = 254, 64
"""RFC 5321, sections 4.5.3.1.3 (256 with the angle brackets) and 4.5.3.1.1."""

_CODES: Final = {"email": "not-an-email-address", "uuid": "not-a-UUID", "uri": "not-a-web-address"}


def format_check(name: str) -> Callable[[Value], Value] | None:
    """Return what refuses the texts that are certainly not of a format; None for a format that is not checked."""
    refuse = _CHECKS.get(name)
    if refuse is None:
        return None

    def check(value: Value) -> Value:
        if isinstance(value, str):
            if value != (bare := value.strip()):
                raise ValueProblem.of(value, _CODES[name], "has blanks around it", f"Type {shown(bare)}.")
            refuse(value)
        return value

    return check


def _octets(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _refuse_no_email(text: str) -> None:
    """Raise ValueProblem for what is no address by RFC 5321; letters of all scripts are taken (RFC 6531)."""
    local, at, domain = text.rpartition("@")
    remedy = "Type it like name@example.com."
    is_quoted = len(local) > 1 and local[0] == local[-1] == '"'
    if found := _NAMED_ADDRESS.fullmatch(text):
        what, remedy = "holds more than the address", f"Type {shown(found[1])}."
    elif not at:
        what = "has no @"
    elif not local or not domain:
        what = f"has nothing {'behind' if local else 'before'} the @"
    elif "@" in local and not is_quoted:
        what, remedy = "has more than one @", "Type one address."
    elif _BLANK.search(domain) or (_BLANK.search(local) and not is_quoted):
        what = "has a blank in it"
    elif any(mark in text for mark in ",;<>()") and not is_quoted:
        what = "has a character that no address has"
    elif "" in domain.split(".") or ("" in local.split(".") and not is_quoted):
        what = "has a dot too many"
    elif _octets(local) > _MOST_LOCAL_OCTETS or _octets(text) > _MOST_OCTETS:
        what = f"is longer than an address can be ({_MOST_LOCAL_OCTETS} characters before the @, {_MOST_OCTETS} in all)"
    else:
        return
    raise ValueProblem.of(text, _CODES["email"], f"is no e-mail address: it {what}", remedy)


def _refuse_no_uuid(text: str) -> None:
    """Raise ValueProblem for what is not in the form of RFC 9562, section 4."""
    if _UUID.fullmatch(text):
        return
    remedy = "Type it like 123e4567-e89b-42d3-a456-426614174000."
    if found := _BARE_UUID.fullmatch(text):
        digits = found[2].replace("-", "")
        remedy = f"Type {found[1]}-{digits[:4]}-{digits[4:8]}-{digits[8:]}-{found[3]}."
    what = "is no UUID: 32 digits from 0 to f in groups of 8, 4, 4, 4 and 12"
    raise ValueProblem.of(text, _CODES["uuid"], what, remedy)


def _refuse_no_uri(text: str) -> None:
    """Raise ValueProblem for what is no absolute URI (RFC 3986, section 3), or IRI (RFC 3987)."""
    remedy = "Type it like https://example.com/page."
    if _BLANK.search(text):
        what, remedy = "has a blank in it", "Type %20 where a blank is meant, or correct it."
    elif not (scheme := _SCHEME.match(text)) or (_WEB_PAGE.fullmatch(text) and "." in scheme[0]):
        what = "does not say how it is reached, as https:// does"
        if _WEB_PAGE.fullmatch(text):
            remedy = f"Type https://{shown(text)} if that page is meant."
    elif scheme[0].lower() in {"http:", "https:"} and not text[scheme.end() :].lstrip("/"):
        what = "names no page"
    elif any(mark in text for mark in '<>"'):
        what = "has a character that no address has"
    else:
        return
    raise ValueProblem.of(text, _CODES["uri"], f"is no web address: it {what}", remedy)


_CHECKS: Final = {"email": _refuse_no_email, "uuid": _refuse_no_uuid, "uri": _refuse_no_uri}
