"""Headers of the open parts of a body, and names in options and layouts that mean their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher

from batch_updater.endpoint.description import Endpoint, OpenColumns, OpenKind
from batch_updater.endpoint.open_columns import example_header, field_of
from batch_updater.loader.header_words import plain, squeezed
from batch_updater.text.spelling import nearest

_CLOSE = 0.65
"""Similarity from which on what a header begins with may be the name of an open part, mistyped.

What follows has to be right, so that few others are as close.
"""
_BEHIND = re.compile(r"[.:/\[(]")
"""What may follow the name of an open part in a header."""
_ELEMENT = re.compile(r"([0-9]{1,4})?[\])]?[.:/ ]*(.*)", re.DOTALL)


def canonical(endpoint: Endpoint, fields: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return a mapping of headers to fields with the names that the fields have; what is none stays."""
    return {header: name and _canonical(endpoint, name) for header, name in fields.items()}


def _canonical(endpoint: Endpoint, name: str) -> str:
    field = field_of(endpoint, plain(name))
    return field.name if field else name


def possible_columns(opens: Iterable[OpenColumns]) -> str:
    """Return a sentence on the columns that open parts take; '' without such parts."""
    examples = [example_header(part) for part in opens]
    listed = " and ".join([", ".join(examples[:-1]), examples[-1]] if examples[1:] else examples)
    return f"There may also be columns such as {listed}." if examples else ""


def near_open_name(endpoint: Endpoint, header: str) -> str | None:
    """Return the name of an open part's column that a header is probably meant for; None if it is like none."""
    best: tuple[float, str] | None = None
    text = plain(header)
    for part in endpoint.opens:
        for beginning in (part.name, *part.aliases):
            for found in _BEHIND.finditer(text):
                ratio = _similarity(text[: found.start()], beginning)
                if ratio < _CLOSE or (best and best[0] >= ratio):
                    continue
                for rest in _rests(part, text[found.end() :]):
                    if field := field_of(endpoint, f"{part.name}{rest}"):
                        best = ratio, field.name
                        break
    return best[1] if best and best[1] != text else None


def open_part_of(endpoint: Endpoint, header: str) -> OpenColumns | None:
    """Return the open part whose name a header begins with, whatever follows; None if there is none."""
    text = plain(header).casefold()
    for part in endpoint.opens:
        for beginning in (part.name, *part.aliases):
            if text.startswith(beginning.casefold()) and _BEHIND.match(text, len(beginning)):
                return part
    return None


def _similarity(typed: str, beginning: str) -> float:
    if squeezed(typed) == squeezed(beginning):
        return 1.0
    return SequenceMatcher(None, typed.casefold(), beginning.casefold()).ratio()


def _rests(part: OpenColumns, rest: str) -> Iterator[str]:
    """Yield what may be meant behind the name of an open part, the likeliest first."""
    bare = rest.strip(" .:/[]()")
    match part.kind:
        case OpenKind.MAP:
            yield f".{bare}"
        case OpenKind.PAIRS:
            yield f"[{bare}]"
        case OpenKind.ITEMS:
            if found := _ELEMENT.fullmatch(rest.strip()):
                element, inner = f"[{found[1] or 0}].", found[2].strip()
                yield f"{element}{inner}"
                names = [field.name for field in part.fields]
                if close := nearest(inner, names):
                    yield f"{element}{close}"
