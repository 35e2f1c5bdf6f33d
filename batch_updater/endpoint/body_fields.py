"""The schema of a body -> its fields, its open parts, and what has to be there.

Objects become names with dots. Of lists of objects, those of one record are the record itself, those of keys and values
have a column for each key, and others one for each member at each position. What no column can be is JSON in a cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from batch_updater.endpoint import document
from batch_updater.endpoint.description import (
    Field,
    LeftOut,
    OpenColumns,
    OpenKind,
    ParameterLocation,
    Requirement,
    Step,
)
from batch_updater.endpoint.fields import Slot, delimiter_of, json_field, list_field, plain_field
from batch_updater.endpoint.json_schemas import json_schema
from batch_updater.endpoint.schemas import ANYTHING, Child, Shape, Shapes
from batch_updater.endpoint.words import address, bare, collection, is_one_of, last_word
from batch_updater.errors import EndpointError

ROOT = "body"
"""Name of a body that has no members of its own."""
_MOST_FIELDS = 400
"""Columns that a person can still find something in: what would make more of them is JSON in a cell."""
_DEPTHS = (8, 6, 5, 4, 3, 2, 1)
"""Levels of objects that are columns, tried until there are no more than the most fields.

Of the next level, as many are as there is room for, the small ones first.
"""
_FILES = ("binary", "file")
"""Formats and types of what is no text; a tuple, since a format may be anything at all."""
_KEY_WORDS = frozenset({"id", "gid", "key", "name", "field", "code", "attribute", "property"})
"""Last words of names of the member that tells pairs apart."""
_VALUE_WORDS = frozenset({"value", "values", "content"})
_ENVELOPES = frozenset(
    {"data", "items", "records", "entries", "elements", "objects", "results", "list", "rows", "value", "inputs"}
)
"""Names of lists that do not say of what: of the records that a request is about."""
_MOST_BESIDE = 2
"""Optional members that a pair may have beside its key and value."""


class BodyFields(NamedTuple):
    """What a body consists of."""

    fields: tuple[Field, ...] = ()
    opens: tuple[OpenColumns, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class Multipart(NamedTuple):
    """What the parts of a multipart form are."""

    objects: tuple[str, ...]
    """Those that are JSON, as OpenAPI 3.0.3 has it of objects and lists of objects (Media Type Object)."""
    needed_file: str | None
    has_texts: bool
    """Whether any part is no file."""


class _TooManyError(Exception):
    """A body has more columns than are wanted."""


class _Level(NamedTuple):
    """An object whose members are being read."""

    name: str
    """What the names of its members begin with, without the dot; '' for the root."""
    path: tuple[Step, ...]
    is_always_sent: bool
    outer: frozenset[str]
    """JSON pointers of the schemas that contain it."""
    depth: int
    is_whole: bool = False
    """Whether it is the body, or all that a body wraps: its members are columns whatever the choices in its schema."""


def fields_of_body(
    shapes: Shapes, child: Child, call_path: str, encodings: Mapping[str, document.Encoding] | None = None
) -> BodyFields:
    """Return what a body of that schema consists of.

    `encodings` say how the members of a form are written; None: it is none. Raises EndpointError if the schema itself
    cannot be read.
    """
    for depth in _DEPTHS:
        room = _Room()
        reader = _BodyReader(shapes, encodings, deepest=depth, room=room)
        try:
            reader.read_root(child, call_path)
            if depth < _DEPTHS[0] and (room := room.filled(_MOST_FIELDS - reader.count)).largest:
                reader = _BodyReader(shapes, encodings, deepest=depth, room=room)
                reader.read_root(child, call_path)
        except _TooManyError:
            continue
        return reader.found()
    raise AssertionError("a single level is never too much")


def open_body(described: tuple[str, ...] = ()) -> OpenColumns:
    """Return the open part that takes any member of a body but those that are described."""
    anything = plain_field(Slot(ROOT, ROOT, ParameterLocation.BODY, required=False), Shape())
    return OpenColumns(ROOT, (), OpenKind.MAP, ROOT, (anything,), described=described)


def is_json_patch(shapes: Shapes, child: Child, content_type: str) -> bool:
    """Whether a body is a list of operations with paths (RFC 6902), by its schema or, without one, its content type."""
    try:
        shape = shapes.of(child)
        operation = shapes.of(shape.items or ANYTHING)
    except EndpointError:
        return False
    if shape.types is None or (shape.takes("array") and operation.types is None):
        return content_type.lower().startswith("application/json-patch+json")
    return shape.takes("array") and {"op", "path"} <= operation.properties.keys()


class _Room:
    """How many more columns the objects may have that lie one level too deep."""

    def __init__(self, columns: int = 0, largest: int = 0) -> None:
        self._columns = columns
        self.largest = largest
        """Members of the largest object that is not too large."""
        self._refused: list[int] = []
        """Members of each object that there was no room for."""

    def takes(self, members: int) -> bool:
        """Whether there is room for the members of an object, which then have it."""
        if not 0 < members <= min(self.largest, self._columns):
            self._refused.append(members)
            return False
        self._columns -= members
        return True

    def filled(self, columns: int) -> _Room:
        """Return one with room for so many columns: for as many of the objects that had none as it can be."""
        largest = needed = 0
        for members, count in sorted(Counter(self._refused).items()):
            needed += members * count
            if needed > columns:
                break
            largest = members
        return _Room(columns, largest)


class _BodyReader:
    def __init__(
        self,
        shapes: Shapes,
        encodings: Mapping[str, document.Encoding] | None,
        *,
        deepest: int,
        room: _Room,
        count: int = 0,
    ) -> None:
        self._shapes = shapes
        self._is_form = encodings is not None
        self._encodings = encodings or {}
        self._deepest = deepest
        self._room = room
        self.count = count
        # Made once the depth is settled: most schemas that are too large are found to be so without it.
        self._fields: list[tuple[Slot, Callable[[], Field]]] = []
        self._opens: list[Callable[[], OpenColumns]] = []
        self._requirements: list[Requirement] = []
        self._left_out: list[LeftOut] = []

    def found(self) -> BodyFields:
        return BodyFields(
            tuple(make() for _, make in self._fields),
            tuple(make() for make in self._opens),
            tuple(dict.fromkeys(self._requirements)),
            tuple(self._left_out),
        )

    def read_root(self, child: Child, call_path: str) -> None:
        """Read a whole body."""
        shape = self._shapes.of(child)
        root = _Level("", (), is_always_sent=True, outer=shape.at, depth=0, is_whole=len(shape.properties) < 2)
        if shape.takes("object") and shape.properties:
            # A list or a plain value that may be sent instead would say no more than the object does.
            whole = msgspec.structs.replace(shape, types=frozenset({"object"}))
            record, writable = self._record_list(shape, call_path), self._members(whole)
            for name, member in shape.properties.items():
                if name not in writable:
                    continue
                if name == record:
                    self._read_record(member, root._replace(path=(name,)))
                elif record is None or name in shape.required or not self._is_composed(member):
                    self._read_member(member, name, root, is_required=name in shape.required)
                else:
                    self._left_out.append(LeftOut(name, "it is beside the record, not a part of it"))
            if shape.additional is not None:
                self._open_map(shape, ROOT, ())
        elif shape.takes("array") and _names_record(call_path) and self._is_of_objects(shape):
            self._read_record(child, root)
        else:
            self._read_member(child, ROOT, root, is_required=True, is_root=True)

    def _record_list(self, shape: Shape, call_path: str) -> str | None:
        """Return the member of a root that is the list of records, of which the request sends one."""
        if not _names_record(call_path):
            return None
        members = {}
        for name, member in shape.properties.items():
            try:
                members[name] = self._shapes.of(member)
            except EndpointError:
                continue
        members = {name: member for name, member in members.items() if not member.read_only}
        lists = [name for name, member in members.items() if member.takes("array") and self._is_of_objects(member)]
        if len(lists) == len(members) == 1 and ("{" not in call_path or lists[0].lower() in _ENVELOPES):
            return lists[0]
        wanted = collection(call_path)
        return next((name for name in lists if bare(name) == bare(wanted) or is_one_of(name, wanted)), None)

    def _is_composed(self, child: Child) -> bool:
        """Whether it is more than a plain value or a list of such."""
        try:
            shape = self._shapes.of(child)
            items = self._shapes.of(shape.items or ANYTHING)
        except EndpointError:
            return False
        return not shape.plain_types and (not shape.takes("array") or not items.plain_types)

    def _is_of_objects(self, shape: Shape) -> bool:
        try:
            items = self._shapes.of(shape.items or ANYTHING)
        except EndpointError:
            return False
        return _is_object(items) and not items.plain_types

    def _read_record(self, child: Child, level: _Level) -> None:
        """Read the element of a list of one record."""
        items = self._shapes.of(self._shapes.of(child).items or ANYTHING)
        inner = level._replace(path=(*level.path, 0), outer=level.outer | items.at)
        self._read_object(items, inner)

    def _members(self, shape: Shape) -> list[str]:
        """Return the members of an object that can be sent; none if it is anything else."""
        if not _is_object(shape):
            return []
        writable = []
        for name, member in shape.properties.items():
            try:
                is_writable = not self._shapes.of(member).read_only
            except EndpointError:
                is_writable = True
            writable += [name] if is_writable else []
        # A reference to another record is what a record is, of which nothing can be written; it still has to be sent.
        return writable or [name for name in shape.properties if name in shape.required]

    def _read_object(self, shape: Shape, level: _Level) -> None:
        for name in self._members(shape):
            self._read_member(shape.properties[name], name, level, is_required=name in shape.required)
        if shape.additional is not None:
            self._open_map(shape, level.name or ROOT, level.path)

    def _read_member(
        self, child: Child, wire_name: str, level: _Level, *, is_required: bool, is_root: bool = False
    ) -> None:
        """Read a member of an object, or a body that is none."""
        name = f"{level.name}.{wire_name}" if level.name else wire_name
        try:
            shape = self._shapes.of(child)
        except document.ExtensionError:
            raise
        except EndpointError:
            if not is_required:
                self._left_out.append(LeftOut(name, "its schema refers to something that does not exist"))
                return
            child, shape = ANYTHING, Shape()
        path = level.path if is_root else (*level.path, wire_name)
        is_always_sent = level.is_always_sent and is_required
        slot = Slot(name, wire_name, ParameterLocation.BODY, is_always_sent, path, self._is_form)
        inner = _Level(name, path, is_always_sent, level.outer | shape.at, level.depth + (not is_root))
        is_recursive = not is_root and not shape.at.isdisjoint(level.outer)
        needs_cell = is_recursive or (shape.is_mixed and not level.is_whole) or not self._has_room(shape, inner)
        before = len(self._fields)
        self._read_value(child, shape, slot, inner, needs_cell=needs_cell)
        found = self._fields[before:]
        if is_required and not any(slot.required for slot, _ in found):
            self._requirements.append(Requirement(() if level.is_always_sent else level.path, path))

    def _has_room(self, shape: Shape, inner: _Level) -> bool:
        """Whether the members of an object, or of the elements of a list, can be columns."""
        if inner.depth < self._deepest:
            return True
        if inner.depth > self._deepest or shape.takes("object") == shape.takes("array"):
            return False
        try:
            whole = shape if shape.takes("object") else self._shapes.of(shape.items or ANYTHING)
        except EndpointError:
            return False
        return self._room.takes(len(self._members(whole)))

    def _read_value(self, child: Child, shape: Shape, slot: Slot, inner: _Level, *, needs_cell: bool) -> None:
        is_object, is_list = shape.takes("object"), shape.takes("array")
        if not slot.required and _is_file(self._shapes, shape):
            self._left_out.append(LeftOut(slot.name, "it is a file"))
            return
        if not is_object and not is_list and not shape.is_unclear:
            self._read_plain(shape, slot)
            return
        try:
            items = self._shapes.of(shape.items or ANYTHING) if is_list else Shape()
        except EndpointError:
            items = Shape(types=frozenset())
        encoding = self._encoding(slot)
        if encoding is not None and "json" in (encoding.content_type or ""):
            # A form in which this member is one text, whatever that holds.
            self._add(slot, lambda: plain_field(slot, Shape(types=frozenset({"string"}), keywords=shape.keywords)))
            return
        is_clear = not shape.is_unclear and is_object != is_list
        if is_clear and is_list and (items.types is None or items.plain_types):
            self._add(slot, lambda: self._list(slot, shape, items))
        elif is_clear and is_list and not needs_cell and self._members(items):
            self._read_beside(shape, slot)
            self._open_list(shape, items, inner)
            if slot.required and not shape.plain_types:
                self._add_json(child, shape, slot._replace(required=False))
        elif is_clear and is_object and not (needs_cell and shape.properties):
            self._read_beside(shape, slot)
            self._read_members(child, shape, slot, inner)
        else:
            self._add_json(child, shape, slot)

    def _list(self, slot: Slot, shape: Shape, items: Shape) -> Field:
        field, encoding = list_field(slot, shape, items), self._encoding(slot)
        return msgspec.structs.replace(
            field,
            is_indexed=self._is_form
            and (len(slot.path) > 1 or (encoding is not None and encoding.style == "deepObject")),
            delimiter=delimiter_of(encoding.style, encoding.explode) if encoding is not None else "",
        )

    def _encoding(self, slot: Slot) -> document.Encoding | None:
        """Return how a member of a form is written, if that is described."""
        return self._encodings.get(slot.wire_name) if slot.path == (slot.wire_name,) else None

    def _read_beside(self, shape: Shape, slot: Slot) -> None:
        """Read the plain value that may be in place of a list or an object."""
        if shape.plain_types:
            optional = slot._replace(required=False)
            self._add(optional, lambda: plain_field(optional, shape))

    def _read_members(self, child: Child, shape: Shape, slot: Slot, inner: _Level) -> None:
        if shape.properties:
            self._read_object(shape, inner)
        elif not shape.is_closed:
            self._open_map(shape, inner.name, inner.path)
        elif slot.required and not shape.plain_types:
            self._add_json(child, shape, slot)

    def _read_plain(self, shape: Shape, slot: Slot) -> None:
        if shape.types is None and not slot.path:
            # The body itself may be anything: an object of any members, or what a cell of JSON says.
            self._open_map(shape, slot.name, ())
            self._add_json(ANYTHING, shape, slot._replace(required=False))
        elif shape.types == frozenset() and not slot.required:
            self._left_out.append(LeftOut(slot.name, "it can only be empty"))
        else:
            self._add(slot, lambda: plain_field(slot, shape))

    def _add(self, slot: Slot, make: Callable[[], Field]) -> None:
        self.count += 1
        if self.count > _MOST_FIELDS and self._deepest > 1:
            raise _TooManyError
        self._fields.append((slot, make))

    def _add_json(self, child: Child, shape: Shape, slot: Slot) -> None:
        self._add(slot, lambda: json_field(slot, shape, json_schema(self._shapes.resolver, child)))

    def _open_map(self, shape: Shape, name: str, path: tuple[Step, ...]) -> None:
        def part() -> OpenColumns:
            title, model = shape.schema().title or name, self._model(shape, name)
            return OpenColumns(name, path, OpenKind.MAP, title, (model,), described=tuple(shape.properties))

        self._opens.append(part)

    def _model(self, of_map: Shape, name: str) -> Field:
        """Return the model of the members of a map."""
        child = of_map.additional or ANYTHING
        slot = Slot(name, name, ParameterLocation.BODY, required=False, is_form=self._is_form)
        try:
            shape = self._shapes.of(child)
        except EndpointError:
            child, shape = ANYTHING, Shape()
        if self._is_form and of_map.takes_empty:
            shape = msgspec.structs.replace(shape, takes_empty=True)
        if (model := _plain_model(self._shapes, slot, shape)) is not None:
            return model
        if shape.takes("object") and not shape.takes("array"):
            # Its members have columns below it, whatever they are.
            return plain_field(slot, Shape(keywords=shape.keywords))
        return json_field(slot, shape, json_schema(self._shapes.resolver, child))

    def _open_list(self, shape: Shape, items: Shape, level: _Level) -> None:
        """Read a list of objects as an open part."""
        reader = _BodyReader(
            self._shapes,
            {} if self._is_form else None,
            deepest=self._deepest,
            room=self._room,
            count=self.count,
        )
        outer = level.outer | items.at
        reader._read_object(items, _Level("", (), is_always_sent=False, outer=outer, depth=level.depth))
        self.count = reader.count
        self._left_out += [LeftOut(f"{level.name}[].{one.field}", one.why) for one in reader._left_out]

        def part() -> OpenColumns:
            whole = OpenColumns(level.name, level.path, OpenKind.ITEMS, shape.schema().title or level.name, ())
            if pairs := open_pairs(self._shapes, whole, items, is_form=self._is_form):
                return pairs
            found = reader.found()
            return msgspec.structs.replace(
                whole, fields=found.fields, opens=found.opens, requirements=found.requirements
            )

        self._opens.append(part)


def open_pairs(shapes: Shapes, part: OpenColumns, items: Shape, *, is_form: bool = False) -> OpenColumns | None:
    """Return an open part whose elements are keys and values; None if they are not.

    They have one member that tells them apart and one with the value. What they may have besides is neither required
    nor a second key.
    """
    members = {}
    for name, child in items.properties.items():
        try:
            member = shapes.of(child)
        except EndpointError:
            continue
        if not member.read_only:
            members[name] = member
    values = [name for name in members if last_word(name) in _VALUE_WORDS]
    others = [name for name in members if name not in values]
    keys = [name for name in others if last_word(name) in _KEY_WORDS and members[name].plain_types]
    needed = [name for name in others if name in items.required]
    if len(needed) == 1 and needed[0] in keys:
        keys = needed
    if len(values) != 1 or len(keys) != 1 or len(others) > 1 + _MOST_BESIDE or not set(needed) <= set(keys):
        return None
    key_name, value_name = keys[0], values[0]
    slot = Slot(part.name, value_name, ParameterLocation.BODY, required=False, is_form=is_form)
    model = _plain_model(shapes, slot, members[value_name])
    return (
        None
        if model is None
        else msgspec.structs.replace(
            part,
            kind=OpenKind.PAIRS,
            fields=(model,),
            opens=(),
            requirements=(),
            key_name=key_name,
            has_number_keys=members[key_name].plain_types <= {"integer", "number"},
            value_name=value_name,
        )
    )


def _plain_model(shapes: Shapes, slot: Slot, shape: Shape) -> Field | None:
    """Return the model of fields whose values one cell can hold; None if they are objects, or lists of such."""
    if shape.types is None or shape.plain_types:
        return plain_field(slot, shape)
    try:
        items = shapes.of(shape.items or ANYTHING)
    except EndpointError:
        return None
    if shape.takes("array") and not shape.takes("object") and (items.types is None or items.plain_types):
        return list_field(slot, shape, items)
    return None


def multipart(shapes: Shapes, child: Child) -> Multipart:
    """Tell the parts of a multipart form apart. Raises EndpointError."""
    shape = shapes.of(child)
    objects, files = [], []
    for name, member in shape.properties.items():
        try:
            part = shapes.of(member)
        except EndpointError:
            continue
        slot = Slot(name, name, ParameterLocation.BODY, required=False)
        if _is_file(shapes, part):
            files.append(name)
        elif _plain_model(shapes, slot, part) is None:
            objects.append(name)
    needed = next((name for name in files if name in shape.required), None)
    return Multipart(tuple(objects), needed, not files or len(files) < len(shape.properties))


def _is_file(shapes: Shapes, shape: Shape) -> bool:
    """Whether it is a file, or a list of files."""
    if shape.takes("array") and shape.items is not None:
        with suppress(EndpointError):
            shape = shapes.of(shape.items)
    return shape.keywords.get("format") in _FILES


def _is_object(shape: Shape) -> bool:
    """Whether it is an object with members that are described, and nothing else."""
    return shape.takes("object") and not shape.takes("array") and bool(shape.properties)


def _names_record(call_path: str) -> bool:
    """Whether a path leads to a record, or to a collection whose records the body names."""
    segments = address(call_path).split("/")
    return "{" in segments[-1] or not any("{" in segment for segment in segments)
