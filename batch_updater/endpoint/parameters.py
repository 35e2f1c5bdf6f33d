"""The parameters of an operation -> its fields beside the body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from batch_updater.endpoint import document
from batch_updater.endpoint.description import Field, LeftOut, ParameterLocation
from batch_updater.endpoint.fields import Slot, delimiter_of, json_field, list_field, plain_field
from batch_updater.endpoint.json_schemas import json_schema
from batch_updater.endpoint.schemas import ANYTHING, PLAIN_TYPES, Child, Shape, Shapes, child_at
from batch_updater.endpoint.words import bare
from batch_updater.errors import EndpointError

PLACEHOLDER = re.compile(r"{([^{}]*)}")
_IGNORED_HEADERS = frozenset({"accept", "content-type", "authorization"})
"""OpenAPI 3.0.3, section 4.7.12.2.1: a parameter of such a name is ignored."""


class Parameters(NamedTuple):
    """What the parameters of an operation consist of."""

    fields: tuple[Field, ...]
    """Path, query, header."""
    left_out: tuple[LeftOut, ...] = ()
    if_match: bool = False
    requires_if_match: bool = False
    idempotency_key: str | None = None


class _Read(NamedTuple):
    """A parameter that can be read."""

    name: str
    location: str
    node: document.Parameter


class ParameterReader:
    """Reads the parameters of operations of one document."""

    def __init__(self, shapes: Shapes, credentials: Iterable[tuple[str, str]]) -> None:
        """`credentials` are location and name of the parameters that hold keys of the API's users."""
        self._resolver = shapes.resolver
        self._shapes = shapes
        self._credentials = {(location, name.casefold()) for location, name in credentials}

    def read(self, path: str, owners: Iterable[document.PathItem | document.Operation]) -> Parameters:
        """Return the parameters of an operation: those of the path item, overridden by its own.

        Raises EndpointError for one that is required and cannot be sent.
        """
        found: dict[tuple[str, str], _Read] = {}
        left_out: list[LeftOut] = []
        for owner in owners:
            for position, written in enumerate(owner.parameters):
                try:
                    node = self._resolver.node(document.Parameter, written, owner, "parameters", str(position))
                except EndpointError:
                    # What is required of a path is in it; without any other the API says so.
                    left_out.append(LeftOut(f"parameter {position + 1}", "its name or location is not described"))
                    continue
                found[node.name, node.in_.lower()] = _Read(node.name, node.in_.lower(), node)
        fields = [*self._of_path(path, found)]
        if_match, requires_if_match, idempotency_key = False, False, None
        for (name, location), one in found.items():
            word = name.casefold()
            required = one.node.required is True
            if location == "query" and (location, word) not in self._credentials:
                fields += self._of_query(one, left_out)
            elif location == "header" and word == "if-match":
                if_match, requires_if_match = True, required
            elif location == "header" and "idempotency" in word:
                idempotency_key = name
            elif location == "header" and word not in _IGNORED_HEADERS and (location, word) not in self._credentials:
                if required:
                    fields.append(self._field(one, Slot(name, name, ParameterLocation.HEADER, required=True)))
            elif location == "cookie" and required and (location, word) not in self._credentials:
                what = "requires a value in a cookie"
                self._resolver.refuse(one.node.at, what, "Set Cookie under api.headers, and leave the parameter out.")
        order = list(ParameterLocation)
        fields.sort(key=lambda field: order.index(field.location))
        return Parameters(tuple(fields), tuple(left_out), if_match, requires_if_match, idempotency_key)

    def _of_path(self, path: str, found: Mapping[tuple[str, str], _Read]) -> Iterable[Field]:
        described = {name: one for (name, location), one in found.items() if location == "path"}
        by_word = {bare(name): one for name, one in described.items()}
        for name in dict.fromkeys(PLACEHOLDER.findall(path)):
            one = described.get(name) or by_word.get(bare(name))
            slot = Slot(name, name, ParameterLocation.PATH, required=True)
            yield self._field(one, slot) if one else plain_field(slot, Shape(types=frozenset({"string"})))

    def _of_query(self, one: _Read, left_out: list[LeftOut]) -> Iterable[Field]:
        name, node = one.name, one.node
        slot = Slot(name, name, ParameterLocation.QUERY, node.required is True)
        shape = self._shape(one)[1]
        is_object = shape.takes("object") and not shape.plain_types and not node.content
        if not is_object:
            return [self._field(one, slot)]
        if not shape.properties or (node.style != "deepObject" and node.explode is False):
            if not slot.required:
                left_out.append(LeftOut(name, "a column cannot hold the members of this parameter"))
                return []
            return [self._field(one, slot)]
        fields = []
        for member, child in shape.properties.items():
            wire_name = f"{name}[{member}]" if node.style == "deepObject" else member
            required = slot.required and member in shape.required
            inner = Slot(f"{name}.{member}", wire_name, ParameterLocation.QUERY, required)
            fields.append(self._of_child(child, self._shapes.of(child), inner, delimiter=""))
        return fields

    def _shape(self, one: _Read) -> tuple[Child, Shape]:
        """Return the schema of a parameter, and its shape with the annotations of the parameter."""
        node, child = one.node, ANYTHING
        if node.content:
            media_type, written = next(iter(node.content.items()))
            try:
                media = self._resolver.node(document.MediaType, written, node, "content", media_type)
                child = child_at(media.schema or {}, media, "schema")
            except EndpointError:
                child = ANYTHING
        elif "schema" in node.written:
            child = child_at(node.schema, node, "schema")
        elif "type" in node.written:  # as in Swagger 2
            child = child_at(node.written, node)
        try:
            shape = self._shapes.of(child)
        except EndpointError:
            child, shape = ANYTHING, Shape()
        own = document.annotations_in(node.written)
        return child, msgspec.structs.replace(shape, keywords={**shape.keywords, **own})

    def _field(self, one: _Read, slot: Slot) -> Field:
        child, shape = self._shape(one)
        node = one.node
        if node.content:
            return json_field(slot, shape, json_schema(self._resolver, child))
        explode = node.explode if slot.location is ParameterLocation.QUERY else False
        return self._of_child(child, shape, slot, delimiter_of(node.collection_format or node.style, explode))

    def _of_child(self, child: Child, shape: Shape, slot: Slot, delimiter: str) -> Field:
        if shape.types is None or "string" in shape.plain_types:  # there is nothing but text in a URL or header
            shape = msgspec.structs.replace(shape, types=(shape.types or frozenset()) - PLAIN_TYPES | {"string"})
        if shape.takes("array") and not shape.takes("object"):
            try:
                items = self._shapes.of(shape.items or ANYTHING)
            except EndpointError:
                items = Shape()
            if items.types is None or items.plain_types:
                if items.types is None:
                    items = Shape(types=frozenset({"string"}))
                return msgspec.structs.replace(list_field(slot, shape, items), delimiter=delimiter)
        if shape.plain_types:
            return plain_field(slot, shape)
        return json_field(slot, shape, json_schema(self._resolver, child))
