"""The body of an error answer -> what it says, whatever its form: JSON's own types for JSON and XML, else a text."""

from __future__ import annotations

import html
import json
import re
from xml.parsers import expat

import msgspec

from batch_updater.endpoint.exact_json import from_json
from batch_updater.text.lazy_pattern import lazy_pattern

WEB_PAGE = "a web page"
_LOOKED_AT = 20_000
"""Characters of a text or web page that are looked at."""
_DEEPEST_XML = 100
_MOST_ELEMENTS = 5_000
"""More is no error: reading them all would hold up every other row."""
_PAGE = lazy_pattern(r"<(html|!doctype html|body|head)\b", re.IGNORECASE)
_TITLE = lazy_pattern(r"<title[^>]*>(.*?)(?:</title|\Z)", re.IGNORECASE | re.DOTALL)
_TAGS = lazy_pattern(r"(?is)<(script|style|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[a-z/!?][^>]*(?:>|\Z)")
"""Tags, and what a browser does not show. Each ends with the text at the latest, so that nothing is tried twice."""
_BINARY = lazy_pattern("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""Characters that are in no text, by which other data is told from it: WHATWG MIME Sniffing, section 3."""
_CHARSET = lazy_pattern(r"(?:charset|encoding)\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)


class Body(msgspec.Struct, frozen=True):
    """What the body of an answer says."""

    value: object = None
    """JSON's own types for JSON and XML, else the text that is shown; None says nothing."""
    text: str = ""
    """The whole body; '' where a success holds JSON."""
    is_json: bool = False


def read_body(body: bytes, content_type: str) -> Body:
    """Read a body.

    JSON, XML and web pages are known by how they look: `content_type`, the header's value, is wrong too often, and
    only names the charset. A web page counts as the text that it shows.
    """
    text = decoded(body, content_type)
    value = inner_json(text)
    if isinstance(value, (dict, list)) or (value is None and text.strip() == "null"):
        return Body(value, text, is_json=True)
    said = (value if isinstance(value, str) else text).strip()
    is_xml = said.startswith("<") and not _PAGE.search(said[:_LOOKED_AT])
    return Body(_from_xml(said) if is_xml else shown_text(said), text)


def decoded(body: bytes, content_type: str) -> str:
    """Return a body as text: as UTF-16 or 32 if it looks so, by the charset that its header or it names, else as UTF-8.

    What is not UTF-8 and names no charset is read as Windows-1252, as browsers read it; '' if it is no text at all.
    """
    start = body[:1024].decode("latin-1")
    named = [found[1] for text in (content_type, start if "<" in start else "") if (found := _CHARSET.search(text))]
    looks_like = json.detect_encoding(body)
    for name in (*([looks_like] if looks_like != "utf-8" else []), *named, "utf-8"):
        try:
            text = body.decode(name)
        except (LookupError, ValueError):  # no charset of that name, or not this one
            continue
        if name == "utf-8" or not _BINARY.search(text):
            return text
    return "" if _BINARY.search(start) else body.decode("windows-1252", errors="replace")


def inner_json(text: str) -> object:
    """Return what a text says as JSON, JSON in a text of JSON included; None if it is none."""
    try:
        value = from_json(text)
        return from_json(value) if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") else value
    except ValueError:
        return None


def shown_text(text: str) -> str:
    """Return the beginning of a text; of a web page what it shows, for its reason may be anywhere in it."""
    text = text[:_LOOKED_AT]
    if not _PAGE.search(text):
        return text
    title = _TITLE.search(text)
    shown = [_shown(title[1]) if title else "", _shown(text)]
    if shown[0] in shown[1]:
        shown.pop(0)
    return ": ".join(part for part in (WEB_PAGE, *shown) if part)


def _shown(marked_up: str) -> str:
    return " ".join(html.unescape(_TAGS.sub(" ", marked_up)).split())


def _from_xml(text: str) -> object:
    """Return an XML text as JSON would have it; the text without its tags if it cannot be read.

    Names are without their prefixes, attributes are members, and text beside members is the member `value`. A text
    with definitions of its own is not read: entities could unfold to gigabytes.
    """
    root: dict[str, object] = {}
    open_elements: list[tuple[dict[str, object], list[str]]] = [(root, [])]
    """Members and text of each element that is open."""
    elements = 0

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if len(open_elements) > _DEEPEST_XML or elements > _MOST_ELEMENTS:
            raise ValueError("it is nested too deep, or too long")
        open_elements.append(({name.rpartition(" ")[2]: value for name, value in attributes.items()}, []))

    def end(name: str) -> None:
        members, texts = open_elements.pop()
        if text := "".join(texts).strip():
            members["value"] = text
        value: object = text if members.keys() <= {"value"} else members
        name, outer = name.rpartition(" ")[2], open_elements[-1][0]
        before = outer.get(name)
        if isinstance(before, list):
            before.append(value)
        else:
            outer[name] = value if before is None else [before, value]

    def text_inside(characters: str) -> None:
        open_elements[-1][1].append(characters)

    def refuse_definitions(*_: object) -> None:
        raise ValueError("it has definitions of its own")

    parser = expat.ParserCreate("utf-8", " ")  # a name is its namespace, a blank and the name itself
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text_inside
    parser.StartDoctypeDeclHandler = refuse_definitions
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError):
        return _shown(text[:_LOOKED_AT])
    return next(iter(root.values()))
