"""The field that an answer means by a path into the body: `ticket.custom_fields.0.value`, `/data/attributes/name`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from batch_updater.endpoint.description import Endpoint, Field, Pair, ParameterLocation, Step
from batch_updater.endpoint.words import bare
from batch_updater.records import Value
from batch_updater.text.lazy_pattern import lazy_pattern

_STEPS = lazy_pattern(r"[^./#$\[\]\\\"']+")


def field_named(endpoint: Endpoint, values: Mapping[str, Value], path: str) -> Field | None:
    """Return the field of a row that a path in an answer means; None if that is not exactly one.

    Services write such paths in many ways: with or without what is around the record, by positions or by keys, up to
    the member that is wrong or deeper into its value. Positions are those in the body of the row, whose `values` these
    are. The field whose own path ends in the same way as the path, for as long as possible, is meant.
    """
    # Of those that are not sent, an element of a list is nowhere in the body.
    ways = list(
        _ways_to([one for one in endpoint.fields if one.name in values or all(isinstance(at, str) for at in one.path)])
    )
    words = whole = _words(path)
    while any(not word.isdecimal() for word in words):
        best, found = (0, False), list[Field]()
        for field, way in ways:
            shared = _shared_end(words, way)
            rank = (shared, shared == len(way))
            if shared and rank >= best:
                found = [*found, field] if rank == best else [field]
                best = rank
        if not found and words is whole:  # the path of an object or list with fields in it
            found = [field for field, way in ways if _holds(way, words)]
        if found:
            meant = {one.name: one for one in found}
            name, field = meant.popitem()
            return None if meant or name not in values else field
        words = words[:-1]
    return None


def _ways_to(fields: Sequence[Field]) -> Iterable[tuple[Field, list[str]]]:
    """Yield the words by which a service may tell where each field is."""
    elements: dict[tuple[Step, ...], dict[int | tuple[str, str | int], None]] = {}
    for field in fields:
        for at, step in enumerate(field.path):
            if not isinstance(step, str):
                elements.setdefault(field.path[:at], {})[_element(step)] = None
    positions = {
        path: {one: at for at, one in enumerate(sorted(found, key=lambda one: one if isinstance(one, int) else 2**31))}
        for path, found in elements.items()
    }
    for field in fields:
        if field.location is not ParameterLocation.BODY:
            yield field, _words(field.wire_name)
            continue
        by_position, by_key = list[str](), list[str]()
        for at, step in enumerate(field.path):
            if isinstance(step, str):
                by_position += _words(step)
                by_key += _words(step)
                continue
            by_position.append(str(positions[field.path[:at]][_element(step)]))
            by_key += _words(str(step.key)) if isinstance(step, Pair) else by_position[-1:]
            if isinstance(step, Pair):
                by_position += _words(step.value_name)
        yield field, by_position
        if by_key != by_position:
            yield field, by_key


def _element(step: int | Pair) -> int | tuple[str, str | int]:
    return (step.key_name, step.key) if isinstance(step, Pair) else step


def _words(path: str) -> list[str]:
    words = map(bare, _STEPS.findall(re.sub(r"~[01]", " ", path)))
    return [word for word in words if word]


def _shared_end(words: Sequence[str], way: Sequence[str]) -> int:
    """Return how many words both end with, if they are not positions alone."""
    shared = 0
    for one, other in zip(reversed(words), reversed(way), strict=False):
        if one != other:
            break
        shared += 1
    return shared if any(not word.isdecimal() for word in words[len(words) - shared :]) else 0


def _holds(way: Sequence[str], words: Sequence[str]) -> bool:
    return any(way[at : at + len(words)] == words for at in range(len(way) - len(words)))
