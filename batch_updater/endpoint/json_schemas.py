"""A schema of OpenAPI -> a JSON Schema that needs nothing else, for what is written as JSON in a cell."""

from __future__ import annotations

from collections.abc import Mapping

from batch_updater.endpoint import document
from batch_updater.endpoint.exact_json import to_json
from batch_updater.endpoint.fields import understood_pattern
from batch_updater.endpoint.schemas import ANYTHING, Child, Place
from batch_updater.errors import EndpointError

_MOST_SCHEMAS = 400
"""Schemas in one that are written out: those that lie deeper are left to the API."""
_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})
_ONE = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames"})
"""Keywords that hold a schema."""
_LISTS = frozenset({"allOf", "oneOf", "anyOf", "prefixItems"})
_MAPS = frozenset({"properties", "patternProperties"})
_AS_THEY_ARE = frozenset({"enum", "const", "uniqueItems"})
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})


def json_schema(resolver: document.Resolver, child: Child) -> str:
    """Return the JSON Schema (2020-12) of a value; '' if any value is valid."""
    if child == ANYTHING:
        return ""
    writer = _Writer(resolver)
    choices = [[writer.schema(place) for place in places] for places in child]
    parts = [one[0] if len(one) == 1 else {"allOf": one} for one in choices]
    whole = parts[0] if len(parts) == 1 else {"anyOf": parts}
    if not isinstance(whole, dict) or not whole:
        return ""
    return to_json({**whole, "$defs": writer.definitions} if writer.definitions else whole)


class _Writer:
    """Writes schemas, each that is referred to once."""

    def __init__(self, resolver: document.Resolver) -> None:
        self._node = resolver.node
        self.definitions: dict[str, object] = {}
        self._names: dict[str, str] = {}
        self._count = 0

    def schema(self, place: Place) -> object:
        written = place.written
        self._count += 1
        if self._count > _MOST_SCHEMAS or not isinstance(written, Mapping):
            return written if isinstance(written, bool) else {}
        try:
            node = self._node(document.Schema, written, place.parent, *place.keys)
        except EndpointError:
            return {}
        if "$ref" not in written:
            return self._keywords(node)
        if (name := self._names.get(node.at)) is None:
            name = self._names[node.at] = f"{node.at.rsplit('/', 1)[-1]}-{len(self._names)}"
            self.definitions[name] = self._keywords(node)
        return {"$ref": f"#/$defs/{name}"}

    def _keywords(self, node: document.Schema) -> object:
        keywords: dict[str, object] = {}
        for key, value in node.written.items():
            if key in _ONE and isinstance(value, (Mapping, bool)):
                keywords[key] = self.schema(Place(value, node, (key,)))
            elif key in _LISTS and isinstance(value, list) and value:
                keywords[key] = [self.schema(Place(one, node, (key, str(at)))) for at, one in enumerate(value)]
            elif key in _MAPS and isinstance(value, Mapping):
                keywords[key] = {
                    str(name): self.schema(Place(one, node, (key, str(name))))
                    for name, one in value.items()
                    if key != "patternProperties" or understood_pattern(str(name))
                }
            elif key in _AS_THEY_ARE or (key in _COUNTS and isinstance(value, int)):
                keywords[key] = value
        if types := [name for name in node.type if name in _TYPES]:
            keywords["type"] = types
        if pattern := understood_pattern(node.pattern):
            keywords["pattern"] = pattern
        if required := [name for name in node.required if not self._is_read_only(node, name)]:
            keywords["required"] = required
        for least, less, exclusive in (
            ("minimum", node.minimum, node.exclusive_minimum), ("maximum", node.maximum, node.exclusive_maximum)
        ):  # fmt: skip
            of_exclusive = f"exclusive{least.capitalize()}"
            if less is not None:
                keywords[of_exclusive if exclusive is True else least] = less
            if exclusive is not None and exclusive is not True:
                keywords[of_exclusive] = exclusive
        if node.multiple_of:
            keywords["multipleOf"] = node.multiple_of
        return {"anyOf": [keywords, {"type": "null"}]} if node.nullable and keywords else keywords

    def _is_read_only(self, node: document.Schema, name: str) -> bool:
        """Whether a member may be missing in a request, although a record always has it."""
        written = node.properties.get(name)
        return isinstance(written, Mapping) and written.get("readOnly") is True
