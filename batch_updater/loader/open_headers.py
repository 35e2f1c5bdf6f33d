"""Headers of the open parts of a body, and names in options and layouts that mean their columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher

from batch_updater.endpoint.description import Endpoint, OpenColumns, OpenKind
from batch_updater.endpoint.open_columns import example_header, field_of
from batch_updater.loader.header_words import plain, squeezed
from batch_updater.loader.refusal import shown
from batch_updater.text.spelling import nearest

_CLOSE, _CLOSE_BEFORE_A_NUMBER = 0.8, 0.65
"""Similarity from which on what a header begins with may be the name of an open part, mistyped.

Before a number, as in `costum[360001]`, few other headers are as close.
"""
_SLIP = 0.75
"""The same for a member of a free map that may be one of the description's."""
_OWN_MARKS = frozenset(".[")
"""What follows such a name where it is written rightly; others are taken for it behind the very name."""
_BEHIND = re.compile(r"[.:/\[]")
"""What may follow the name of an open part in a header."""
_AROUND_A_DOT = re.compile(r"\s*\.\s*")
_ELEMENT = re.compile(r"([0-9]{1,4})?[\])]?[.:/ ]*(.*)", re.DOTALL)


def canonical(endpoint: Endpoint, fields: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return a mapping of headers to fields with the names that the fields have; what is none stays."""
    return {header: name and _canonical(endpoint, name) for header, name in fields.items()}


def _canonical(endpoint: Endpoint, name: str) -> str:
    field = field_of(endpoint, plain(name))
    return field.name if field else name


def fields_called(endpoint: Endpoint, text: str) -> tuple[str, ...]:
    """Return the fields that a person may mean by a text: the one of that name, or all with that alias or title."""
    if field := field_of(endpoint, plain(text)):
        return (field.name,)
    spellings = _spellings(endpoint)
    return tuple(dict.fromkeys(name for spelling, name in spellings if squeezed(spelling) == squeezed(text)))


def near_field(endpoint: Endpoint, text: str) -> str | None:
    """Return the field whose name, alias or title is closest to a text; None if none is close."""
    spellings = dict(reversed(_spellings(endpoint)))
    close = nearest(text, spellings)
    return spellings[close] if close else None


def _spellings(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return every name, alias and title with the field that has it, the names first."""
    names = [(field.name, field.name) for field in endpoint.fields]
    return names + [(text, field.name) for field in endpoint.fields for text in (*field.aliases, field.title)]


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
            if part.kind is OpenKind.MAP and text.casefold().startswith(f"{beginning.casefold()}."):
                # It says itself which member is meant, but for blanks around a dot.
                if field := field_of(endpoint, _AROUND_A_DOT.sub(".", text)):
                    return field.name
                continue
            for found in _BEHIND.finditer(text):
                ratio = _similarity(text[: found.start()], beginning)
                is_number = text[found.end() : found.end() + 1].isdecimal()
                least = _CLOSE_BEFORE_A_NUMBER if is_number else _CLOSE
                least = least if found[0] in _OWN_MARKS else 1.0
                if ratio < least or (best and best[0] >= ratio):
                    continue
                for rest in _rests(part, text[found.end() :]):
                    if field := field_of(endpoint, f"{part.name}{rest}"):
                        best = ratio, field.name
                        break
    return best[1] if best and best[1] != text else None


def why_no_column(endpoint: Endpoint, header: str) -> str | None:
    """Return why an unknown header that begins with the name of an open part is no column of it; None for any other."""
    text = plain(header).casefold()
    for part in endpoint.opens:
        for beginning in (part.name, *part.aliases):
            if not text.startswith(beginning.casefold()) or text[len(beginning) : len(beginning) + 1] not in _OWN_MARKS:
                continue
            first = text[len(beginning) + 1 :].partition(".")[0]
            why = f"one is such as {example_header(part)}"
            if member := next((name for name in part.described if name.casefold() == first), None):
                why = f"the description has {member} as a field of its own, or as one that cannot be sent"
            return f"{shown(header, quoted=True)} is no column of {part.name}: {why}."
    return None


def near_described_field(endpoint: Endpoint, name: str, fed: Collection[str]) -> str | None:
    """Return the field for which the name of a free map's column may be a slip; None if there is none.

    That is one of the members that the description lists, without a column or constant among `fed`.
    """
    path = endpoint.by_name[name].path if name in endpoint.by_name else ()  # an unknown one is a fault of its own
    for part in endpoint.opens if path else ():
        size = len(part.path) + 1
        if part.described and path and path[:-1] == part.path and str(path[-1]) not in part.described:
            free = [one for one in endpoint.body_fields if len(one.path) == size and one.path[:-1] == part.path]
            by_member = {str(one.path[-1]): one.name for one in free if one.name not in fed}
            close = nearest(str(path[-1]), by_member, cutoff=_SLIP)
            return by_member[close] if close else None
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
