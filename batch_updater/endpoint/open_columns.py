"""The columns of the open parts of a body, which no description can list: a file's headers say which there are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from batch_updater.endpoint.description import Endpoint, Field, Kind, OpenColumns, OpenKind, Pair, Requirement, Step

_IN_BRACKETS = re.compile(r"\[([^\[\]]+)\]")
_ELEMENT = re.compile(r"\[(\d{1,4})\]\.")
_POSITION = re.compile(r"\[\d")
"""What the name of a member hardly has in it: an element of a list is meant."""


class _Found(NamedTuple):
    """The field that a name means, and what its element needs."""

    field: Field
    requirements: tuple[Requirement, ...] = ()


def field_of(endpoint: Endpoint, name: str) -> Field | None:
    """Return the field of that exact name, or the one that an open part of the body has for it; None if none has."""
    if field := endpoint.by_name.get(name):
        return field
    found = _found(endpoint.opens, name)
    return found.field if found else None


def example_header(part: OpenColumns) -> str:
    """Return what a header of an open part looks like, in capitals where a person says which: `properties.NAME`."""
    match part.kind:
        case OpenKind.MAP:
            return f"{part.name}.NAME"
        case OpenKind.PAIRS:
            return f"{part.name}[{'NUMBER' if part.has_number_keys else 'KEY'}]"
        case OpenKind.ITEMS:
            names = (*(field.name for field in part.fields), *map(example_header, part.opens))
            return f"{part.name}[0].{next(iter(names))}"


def opened(endpoint: Endpoint, names: Iterable[str]) -> Endpoint:
    """Return the endpoint with a field for each of the names that an open part of its body has one for."""
    by_name = dict(endpoint.by_name)
    requirements = dict.fromkeys(endpoint.requirements)
    for name in names:
        if name not in by_name and (found := _found(endpoint.opens, name)):
            by_name.setdefault(found.field.name, found.field)
            requirements |= dict.fromkeys(found.requirements)
    if len(by_name) == len(endpoint.fields):
        return endpoint
    return replace(endpoint, fields=tuple(by_name.values()), requirements=tuple(requirements))


def _found(opens: Iterable[OpenColumns], name: str) -> _Found | None:
    for part in opens:
        for beginning in (part.name, *part.aliases):
            begins = name[: len(beginning)].casefold() == beginning.casefold()
            if begins and (found := _below(part, name[len(beginning) :])):
                return found
    return None


def _below(part: OpenColumns, rest: str) -> _Found | None:
    """Return the field that an open part has for the rest of a name behind the part's own."""
    match part.kind:
        case OpenKind.MAP:
            steps = tuple(rest.removeprefix(".").split(".")) if rest.startswith(".") else ()
            if not all(step and step == step.strip() and not _POSITION.search(step) for step in steps):
                return None
            if not steps or steps[0].casefold() in map(str.casefold, part.described):
                return None
            (model,) = part.fields
            if model.kind is not Kind.ANY:
                steps = (".".join(steps),)  # members of a known type have no members: a dot is part of the name
            return _Found(_renamed(model, part, rest, steps))
        case OpenKind.PAIRS:
            key = _IN_BRACKETS.fullmatch(rest)
            if key is None or (part.has_number_keys and not key[1].isdecimal()):
                return None
            (model,) = part.fields
            pair = Pair(part.key_name, int(key[1]) if part.has_number_keys else key[1], part.value_name)
            return _Found(_renamed(model, part, f"[{pair.key}]", (pair,)))
        case OpenKind.ITEMS:
            element = _ELEMENT.match(rest)
            if element is None:
                return None
            inner = rest[element.end() :]
            spelled = inner.casefold()
            relative = next(
                (_Found(one) for one in part.fields if spelled in map(str.casefold, (one.name, *one.aliases))), None
            )
            if relative is None and (relative := _found(part.opens, inner)) is None:
                return None
            root: tuple[Step, ...] = (*part.path, int(element[1]))
            field = relative.field
            return _Found(
                _renamed(field, part, f"[{int(element[1])}].{field.name}", (int(element[1]), *field.path)),
                tuple(
                    Requirement((*root, *one.within), (*root, *one.member))
                    for one in (*part.requirements, *relative.requirements)
                ),
            )


def _renamed(model: Field, part: OpenColumns, rest: str, steps: tuple[Step, ...]) -> Field:
    """Return a field below an open part: the rest of its name behind the part's, and the steps behind its path."""
    name, last = f"{part.name}{rest}", steps[-1]
    return replace(
        model,
        name=name,
        wire_name=last if isinstance(last, str) else str(last.key) if isinstance(last, Pair) else model.wire_name,
        title=name if model.title in {model.name, ""} else model.title,
        path=(*part.path, *steps),
        reported_as=(*part.reported_as, *steps) if part.reported_as or part.is_record else (),
        aliases=(),
        required=False,
    )
