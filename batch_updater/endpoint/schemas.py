"""The schemas of a document as shapes: what a value may be, however its schema is composed.

A shape is the widest reading of a schema. `allOf` is merged, the choices of `oneOf` and `anyOf` are united, and what
cannot be said so, such as `not`, is left to the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import reduce
from typing import NamedTuple, TypeAlias

import msgspec

from batch_updater.endpoint import document
from batch_updater.errors import EndpointError

PLAIN_TYPES = frozenset({"string", "integer", "number", "boolean"})
_SLOPPY_TYPES = {
    "bool": "boolean", "int": "integer", "long": "integer", "float": "number", "double": "number",
    "decimal": "number", "str": "string", "text": "string", "uuid": "string", "date": "string",
    "datetime": "string", "date-time": "string", "list": "array", "map": "object", "dict": "object",
}  # fmt: skip
"""Words that authors write for a type."""
_TYPES = PLAIN_TYPES | {"object", "array"}
_NUMBER_FORMATS = {"int32": "integer", "int64": "integer", "float": "number", "double": "number"}
_LEAST = frozenset({"minimum", "minLength", "minItems", "exclusiveMinimum"})
"""Keywords of which the greater of two holds."""
_MOST = frozenset({"maximum", "maxLength", "maxItems", "exclusiveMaximum"})
_LIMITS = _LEAST | _MOST | {"pattern", "format", "multipleOf"}
_ABOUT_TEXT = frozenset({"pattern", "minLength", "maxLength"})
_ABOUT_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_KEYWORDS = _LIMITS | {"enum"} | {key.name for key in document.Annotations.keys.values()}


class Place(NamedTuple):
    """Where a schema is written, as `Resolver.node` takes it."""

    written: object
    parent: document.Node
    keys: tuple[str, ...]


Child: TypeAlias = tuple[tuple[Place, ...], ...]
"""The schemas of a value: it is valid by all of those in at least one of these. `((),)` takes any value."""
ANYTHING: Child = ((),)


class Shape(msgspec.Struct, frozen=True):
    """What a value may be."""

    at: frozenset[str] = frozenset()
    """JSON pointers of its schemas, without those that they are composed of."""
    types: frozenset[str] | None = None
    """Its types in JSON, without null; None: any. Empty: null or an empty text alone."""
    nullable: bool = False
    takes_empty: bool = False
    """Whether an empty text is one of the choices."""
    read_only: bool = False
    write_only: bool = False
    keywords: Mapping[str, object] = {}
    """Annotations, and the limits of plain values, as written."""
    properties: Mapping[str, Child] = {}
    required: frozenset[str] = frozenset()
    sometimes: frozenset[str] = frozenset()
    """Properties that one of its choices does not have."""
    additional: Child | None = None
    """Members beside the properties; None: not described."""
    is_closed: bool = False
    """Whether no other members are allowed."""
    items: Child | None = None
    is_mixed: bool = False
    """Whether its properties belong to choices that require different ones."""
    is_unclear: bool = False
    """Whether it says more than a shape can, such as a list with a schema for each position."""

    @property
    def plain_types(self) -> frozenset[str]:
        """The types that one cell can hold."""
        return (self.types or frozenset()) & PLAIN_TYPES

    def takes(self, type_name: str) -> bool:
        """Whether a type is one of those that are described; not so of any type."""
        return self.types is not None and type_name in self.types

    def schema(self) -> document.Schema:
        """Return its keywords as a node."""
        return document.Schema(self.keywords, next(iter(sorted(self.at)), ""))


class Shapes:
    """The shapes of the schemas of one document, each read once."""

    def __init__(self, resolver: document.Resolver) -> None:
        self.resolver = resolver
        self._node = resolver.node
        self._read: dict[tuple[str, ...], Shape] = {}
        """By JSON pointer."""

    def of(self, child: Child) -> Shape:
        """Return the shape of a value. Raises EndpointError for a reference that leads nowhere."""
        if len(child) == len(child[0]) == 1:  # nearly always
            return self._at(child[0][0])
        choices = []
        for places in child:
            parts = [self._at(place) for place in places] or [Shape()]
            at = frozenset[str]().union(*(part.at for part in parts))
            choices.append(msgspec.structs.replace(reduce(_both, parts), at=at))
        return _either(choices)

    def _at(self, place: Place) -> Shape:
        key = (place.parent.at, *place.keys)
        if (shape := self._read.get(key)) is None:
            shape = self._read[key] = self._schema(place, frozenset())
        return shape

    def _schema(self, place: Place, outer: frozenset[str]) -> Shape:
        if isinstance(place.written, bool):
            return Shape()
        node = self._node(document.Schema, place.written, place.parent, *place.keys)
        if node.at in outer:
            return Shape()
        outer |= {node.at}
        parts = [_own(node), *self._parts(node, "allOf", node.all_of, outer)]
        for keyword, written in (("oneOf", node.one_of), ("anyOf", node.any_of)):
            if choices := self._parts(node, keyword, written, outer):
                untitled = [_without(choice, {"title", "x-field-name"}) for choice in choices]
                parts.append(_either(untitled))
        if subtypes := self._subtypes(node, outer):
            parts.append(msgspec.structs.replace(_either(subtypes), required=frozenset(), is_mixed=False))
        return reduce(_both, parts)

    def _subtypes(self, node: document.Schema, outer: frozenset[str]) -> list[Shape]:
        """Return the shapes that the discriminator of a schema names (OpenAPI 3.0.3, Discriminator Object).

        None if the schema has members beside the discriminator: those are what its subtypes have in common, and all
        that the subtypes add may be a hundred times as much.
        """
        written = node.written.get("discriminator")
        if not isinstance(written, Mapping) or node.one_of or node.any_of:
            return []
        mapping = written.get("mapping")
        if not isinstance(mapping, Mapping) or node.properties.keys() - {written.get("propertyName")}:
            return []
        shapes = []
        for value, target in mapping.items():
            reference = {"$ref": target if "/" in str(target) else f"#/components/schemas/{target}"}
            with suppress(EndpointError):
                shapes.append(self._schema(Place(reference, node, ("discriminator", "mapping", str(value))), outer))
        return [_without(shape, {"title", "description", "x-field-name"}) for shape in shapes]

    def _parts(
        self, node: document.Schema, keyword: str, written: Iterable[object], outer: frozenset[str]
    ) -> list[Shape]:
        """Return the shapes of the parts that can be read. Raises EndpointError if none can."""
        shapes, fault = [], None
        for number, part in enumerate(written):
            try:
                shapes.append(self._schema(Place(part, node, (keyword, str(number))), outer))
            except document.ExtensionError:
                raise
            except EndpointError as error:
                fault = error
        if fault and not shapes and not node.properties:
            raise fault
        return shapes


def child_at(written: object, parent: document.Node, *keys: str) -> Child:
    """Return the schema at one place as a child."""
    return ((Place(written, parent, keys),),)


def _own(node: document.Schema) -> Shape:
    """Return the shape of a schema without the schemas that it is composed of."""
    written = node.written
    enum = [node.const] if "const" in written else node.enum
    named = {_SLOPPY_TYPES.get(name.lower(), name.lower()) for name in node.type}
    nullable = node.nullable is True or "null" in named or None in enum
    takes_empty = "" in enum or node.max_length == 0
    values = [value for value in enum if value is not None and value != ""]
    keywords = {key: value for key, value in written.items() if key in _KEYWORDS}
    keywords.pop("enum", None)
    if values:
        keywords["enum"] = values
    types: frozenset[str] | None = frozenset(named & _TYPES) or _inferred_types(node, values)
    if (enum and not values) or named == {"null"} or node.max_length == 0:
        types = frozenset()
    elif types == frozenset({"number"}) and _NUMBER_FORMATS.get(node.format or "") == "integer":
        types = frozenset({"integer"})
    more = [written[key] for key in ("additionalProperties", "patternProperties") if written.get(key) is not None]
    additional: Child | None = None
    if more and isinstance(more[0], Mapping) and "additionalProperties" not in written:
        additional = tuple((Place(one, node, ("patternProperties", key)),) for key, one in more[0].items()) or None
    elif more and more[0] is not False:
        additional = child_at(more[0], node, "additionalProperties") if isinstance(more[0], Mapping) else ANYTHING
    return Shape(
        at=frozenset({node.at}),
        types=types,
        nullable=nullable,
        takes_empty=takes_empty,
        read_only=node.read_only is True,
        write_only=node.write_only is True,
        keywords=keywords,
        properties={name: child_at(one, node, "properties", name) for name, one in node.properties.items()},
        required=frozenset(node.required),
        additional=additional,
        is_closed=bool(more) and more[0] is False,
        items=child_at(node.items, node, "items") if isinstance(node.items, (Mapping, bool)) else None,
        is_unclear=isinstance(node.items, list) or "prefixItems" in written,
    )


def _inferred_types(node: document.Schema, values: Sequence[object]) -> frozenset[str] | None:
    """Return the types that a schema without one is about; None if it does not tell."""
    written = node.written
    if values:
        return frozenset(map(_type_of, values))
    if node.properties or "additionalProperties" in written or "patternProperties" in written:
        return frozenset({"object"})
    if "items" in written:
        return frozenset({"array"})
    if node.format in _NUMBER_FORMATS:
        return frozenset({_NUMBER_FORMATS[node.format]})
    if node.format or not _ABOUT_TEXT.isdisjoint(written):
        return frozenset({"string"})
    return frozenset({"number"}) if not _ABOUT_NUMBERS.isdisjoint(written) else None


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, (Decimal, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _without(shape: Shape, names: set[str]) -> Shape:
    keywords = {key: value for key, value in shape.keywords.items() if key not in names}
    return msgspec.structs.replace(shape, keywords=keywords)


def _both(one: Shape, other: Shape) -> Shape:
    """Return the shape of a value that is valid by both; the annotations of the first win."""
    return Shape(
        at=one.at,
        types=_common_types(one.types, other.types),
        nullable=one.nullable or other.nullable,
        takes_empty=one.takes_empty or other.takes_empty,
        read_only=one.read_only or other.read_only,
        write_only=one.write_only or other.write_only,
        keywords=_common_keywords(one.keywords, other.keywords),
        properties={
            name: _common_child(one.properties.get(name), other.properties.get(name)) or ANYTHING
            for name in [*one.properties, *(name for name in other.properties if name not in one.properties)]
        },
        required=one.required | other.required,
        sometimes=one.sometimes | other.sometimes,
        additional=_common_child(one.additional, other.additional),
        is_closed=one.is_closed or other.is_closed,
        items=_common_child(one.items, other.items),
        is_mixed=one.is_mixed or other.is_mixed,
        is_unclear=one.is_unclear or other.is_unclear,
    )


def _common_types(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    common = one & other
    if ("integer" in one and "number" in other) or ("number" in one and "integer" in other):
        common |= {"integer"}
    return common or one | other  # no value could be both: one of them is a slip


def _common_child(one: Child | None, other: Child | None) -> Child | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple((*places, *more) for places in one for more in other)


def _common_keywords(one: Mapping[str, object], other: Mapping[str, object]) -> Mapping[str, object]:
    if not one or not other:
        return other or one
    common = {**other, **one}
    for key in other.keys() & one.keys():
        mine, its = one[key], other[key]
        if key == "enum" and isinstance(mine, list) and isinstance(its, list):
            common[key] = [value for value in mine if value in its] or mine
        elif key in _LEAST | _MOST and isinstance(mine, (int, Decimal)) and isinstance(its, (int, Decimal)):
            common[key] = max(mine, its) if key in _LEAST else min(mine, its)
    return common


def _either(choices: Sequence[Shape]) -> Shape:
    """Return the shape of a value that is valid by one of them at least."""
    # Without those that only say null or empty text, and those that only add conditions, such as `required`.
    rest = [one for one in choices if one.types or (one.types is None and (one.keywords.get("enum") or one.is_unclear))]
    # So does `{"type": "object", "nullable": true}`, which converters of OData write for null.
    if any(one.properties for one in rest):
        rest = [
            one for one in rest if not (one.nullable and one.types == frozenset({"object"}) and not _has_members(one))
        ]
    nullable, takes_empty = any(one.nullable for one in choices), any(one.takes_empty for one in choices)
    if not rest:
        first = choices[0] if choices else Shape()
        none_left: frozenset[str] | None = frozenset() if all(one.types is not None for one in choices) else None
        return msgspec.structs.replace(
            first, types=none_left, required=frozenset(), nullable=nullable, takes_empty=takes_empty
        )
    if len(rest) == 1:
        return msgspec.structs.replace(rest[0], nullable=nullable, takes_empty=takes_empty)
    objects = [one for one in rest if one.takes("object")]
    lists = [one for one in rest if one.takes("array")]
    names = list(dict.fromkeys(name for one in objects for name in one.properties))
    additional = _distinct(choice for one in objects for choice in one.additional or ())
    items = tuple(choice for one in lists for choice in one.items or ANYTHING)
    return Shape(
        at=frozenset().union(*(one.at for one in rest)),
        types=frozenset().union(*(one.types or () for one in rest)),
        nullable=nullable,
        takes_empty=takes_empty,
        read_only=all(one.read_only for one in rest),
        write_only=all(one.write_only for one in rest),
        keywords=_united_keywords(rest),
        properties={
            name: _distinct(choice for one in objects for choice in one.properties.get(name, ())) for name in names
        },
        required=frozenset.intersection(*(one.required for one in objects)) if objects else frozenset(),
        sometimes=frozenset(name for name in names if not all(name in one.properties for one in objects)),
        additional=additional or None,
        is_closed=bool(objects) and all(one.is_closed for one in objects),
        items=_distinct(items) or None,
        is_mixed=len({one.required for one in objects}) > 1 or any(one.is_mixed for one in objects),
        is_unclear=any(one.is_unclear for one in rest),
    )


def _has_members(shape: Shape) -> bool:
    return bool(shape.properties or shape.required or shape.additional)


def _distinct(choices: Iterable[tuple[Place, ...]]) -> Child:
    """Return the choices without those that are written alike."""
    distinct: list[tuple[Place, ...]] = []
    seen: list[list[object]] = []
    for places in choices:
        written = [place.written for place in places]
        if written not in seen:
            seen.append(written)
            distinct.append(places)
    return tuple(distinct)


def _united_keywords(shapes: Sequence[Shape]) -> Mapping[str, object]:
    """Return the annotations of all, and the limits that all plain ones have."""
    keywords = {key: value for one in reversed(shapes) for key, value in one.keywords.items()}
    plain = [one for one in shapes if one.plain_types] or shapes
    for key in _LIMITS & keywords.keys():
        if any(one.keywords.get(key) != plain[0].keywords.get(key) for one in plain):
            del keywords[key]
    keywords.pop("enum", None)
    enums = [one.keywords.get("enum") for one in plain]
    if all(isinstance(enum, list) for enum in enums):
        values = [value for enum in enums if isinstance(enum, list) for value in enum]
        keywords["enum"] = [value for position, value in enumerate(values) if value not in values[:position]]
    return keywords
