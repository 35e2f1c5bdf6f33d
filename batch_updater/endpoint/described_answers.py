"""The responses of an operation: where the record is in its answers, and what it reports of the fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from batch_updater.endpoint import document
from batch_updater.endpoint.body_fields import open_pairs
from batch_updater.endpoint.description import (
    Field,
    Kind,
    OpenColumns,
    OpenKind,
    ParameterLocation,
    Step,
)
from batch_updater.endpoint.fields import UNTOLD
from batch_updater.endpoint.media_types import json_content
from batch_updater.endpoint.reported_failure import is_about_call
from batch_updater.endpoint.schemas import Child, Shape, Shapes, child_at
from batch_updater.endpoint.words import ID_WORDS, address, bare, collection, is_one_of, last_word, name_words, spelled
from batch_updater.errors import EndpointError

_SUCCESS = re.compile(r"2\d\d|2XX|default", re.IGNORECASE)
_WITHOUT_BODY = frozenset({"204", "205"})
"""Statuses whose answers have none (RFC 9110, sections 15.3.5 and 15.3.6)."""
_DEEPEST = 3
"""Levels at which a record is looked for in an answer."""
_MOST_BESIDE = 8
"""Members of an envelope: an object with more is the record, or one of its parts."""

RecordPath: TypeAlias = tuple[str | int, ...]


class DescribedAnswers(NamedTuple):
    """What the answers of an update, and those of a reading, hold."""

    record_path: RecordPath
    """As in `Endpoint`, like all that follow."""
    record_statuses: Mapping[int, frozenset[str] | None]
    default_record: frozenset[str] | None
    record_properties: frozenset[str]
    fields: tuple[Field, ...]
    """With what they are reported as."""
    opens: tuple[OpenColumns, ...]
    read_path: RecordPath | None
    """Where the record is in the answer of a reading: of a list, where that is. None if it has no such record."""
    read_properties: frozenset[str]
    is_read_from_list: bool


class _Answer(NamedTuple):
    """A 2xx answer."""

    status: str
    """`200`, `2XX` or `DEFAULT`."""
    node: document.Response
    schema: Child | None
    """None: no JSON."""


class _Place(NamedTuple):
    """Where the record is."""

    in_request: tuple[Step, ...] = ()
    """Where it is in the body of the update."""
    in_answer: RecordPath = ()
    reports: int = 0
    """How many of the fields and open parts of the update it reports."""


class AnswerReader:
    """Reads what the responses of one document describe."""

    def __init__(self, shapes: Shapes) -> None:
        self._resolver = shapes.resolver
        self._shapes = shapes

    def read(
        self,
        update: document.Operation,
        reading: document.Operation | None,
        call_path: str,
        fields: Sequence[Field],
        opens: Sequence[OpenColumns],
        *,
        is_named: bool,
    ) -> DescribedAnswers:
        """Return what the answers of an update are to be like.

        A reading is of use if it reports a field of the body, or if it is one that is named. Raises
        EndpointError for extensions that do not fit.
        """
        answers = list(self._successes(update))
        parts: list[Field | OpenColumns] = [*(one for one in fields if one.location is ParameterLocation.BODY), *opens]
        prefixes = _prefixes([one.path for one in parts])
        place = max((self._place(one, call_path, parts, prefixes) for one in answers), key=_rank, default=_Place())
        read_place, read_record = _Place(), None
        for answer in self._successes(reading) if reading is not None else ():
            found = self._place(answer, call_path, parts, [place.in_request] if place.reports else prefixes)
            if read_record is None or found.reports > read_place.reports:
                read_place, read_record = found, self._record(answer, found.in_answer)
        is_readable = read_record is not None and (read_place.reports > 0 or is_named)
        in_request = place.in_request if place.reports or not is_readable else read_place.in_request
        statuses: dict[str, frozenset[str] | None] = {}
        records = [read_record] if read_record is not None and is_readable else []
        properties: frozenset[str] = frozenset()
        for answer in answers:
            record = self._record(answer, place.in_answer)
            if record is not None and _is_acknowledgement(record, parts):
                record = Shape(types=record.types)
            statuses[answer.status] = self._always_reported(answer, record)
            if record is not None:
                records.append(record)
                properties |= record.properties.keys()
            properties |= statuses[answer.status] or frozenset()
        told = tuple(self._told(one, in_request, records, call_path) for one in fields)
        mapped = {str(one.reported_as[0]) for one in told if one.reported_as and one.reported_as != one.path}
        mapped |= {one.reported_id_as for one in told if one.reported_id_as is not None}
        # Reported according to an extension, whatever the schema of the answer lists.
        unlisted = frozenset(mapped).difference(properties, *(record.properties for record in records))
        listed, other = _by_status(statuses)
        return DescribedAnswers(
            record_path=place.in_answer,
            record_statuses={status: None if names is None else names | unlisted for status, names in listed.items()},
            default_record=None if other is None else other | unlisted,
            record_properties=properties,
            fields=told,
            opens=tuple(self._opened(one, in_request, records) for one in opens),
            read_path=_without_position(read_place.in_answer) if is_readable or is_named else None,
            read_properties=frozenset(read_record.properties) if read_record and is_readable else frozenset(),
            is_read_from_list=0 in read_place.in_answer,
        )

    def record_read(self, reading: document.Operation) -> Child | None:
        """Return the schema of the record that a reading returns, without an envelope; None if it is not described."""
        for answer in self._successes(reading):
            if answer.schema is not None and self._record(answer, ()) is not None:
                return answer.schema
        return None

    def _successes(self, operation: document.Operation) -> Iterator[_Answer]:
        """Yield what can be read of the answers that may be successes."""
        for status, written in operation.responses.items():
            if not _SUCCESS.fullmatch(status):
                continue
            try:
                node = self._resolver.node(document.Response, written, operation, "responses", status)
            except EndpointError:
                continue
            media = None if status in _WITHOUT_BODY else json_content(self._resolver, node)
            schema = None if media is None or media.schema is None else child_at(media.schema, media, "schema")
            yield _Answer(status.upper(), node, schema)

    def _always_reported(self, answer: _Answer, record: Shape | None) -> frozenset[str] | None:
        node = answer.node
        if node.x_always_reported is None:
            if record is None:
                return None
            # What it requires, or all if it says nothing of it.
            return record.required.intersection(record.properties) or frozenset(record.properties) - record.sometimes
        always = frozenset(node.x_always_reported)
        if not always or (record is not None and record.properties and not always <= record.properties.keys()):
            what = "is no list of properties of the answer"
            self._resolver.refuse(f"{node.at}/x-always-reported", what, "Correct it.")
        return always

    def _place(
        self,
        answer: _Answer,
        call_path: str,
        parts: Sequence[Field | OpenColumns],
        prefixes: Iterable[tuple[Step, ...]],
    ) -> _Place:
        """Return where in an answer the record is that reports most of the parts of a body."""
        best, most = _Place(), (False, 0, False, 0, 0)
        is_envelope = True
        for in_answer, record in self._candidates(answer.schema) if answer.schema is not None else ():
            if _is_acknowledgement(record, parts):
                continue
            has_id = any(name.lower() in ID_WORDS for name in record.properties)
            is_envelope = is_envelope and (bool(in_answer) or not has_id)
            is_named = is_envelope and any(
                is_one_of(step, collection(call_path)) for step in in_answer if isinstance(step, str)
            )
            for prefix in prefixes:
                reports = sum(bool(self._reported_as(one, prefix, [record])) for one in parts)
                # Unwrapped if that is as good; the outermost that is.
                rank = (
                    is_named and reports > 0,
                    reports + 2 * has_id if reports else 0,
                    has_id,
                    len(prefix),
                    -len(in_answer),
                )
                if rank > most:
                    best, most = _Place(prefix, in_answer, reports), rank
        return best

    def _candidates(self, schema: Child) -> Iterator[tuple[RecordPath, Shape]]:
        """Yield the objects in an answer that may be the record, the outermost first."""
        level: list[tuple[RecordPath, Child]] = [((), schema)]
        for _ in range(_DEEPEST + 1):
            deeper: list[tuple[RecordPath, Child]] = []
            for path, child in level:
                shape, inner = self._shape(child), path
                if shape is not None and shape.takes("array") and not shape.takes("object"):
                    shape, inner = self._shape(shape.items), (*path, 0)
                if shape is None or not shape.takes("object"):
                    continue
                yield inner, shape
                if len(shape.properties) <= _MOST_BESIDE:
                    deeper += [((*inner, name), member) for name, member in shape.properties.items()]
            level = deeper

    def _record(self, answer: _Answer, path: RecordPath) -> Shape | None:
        """Return the record at a place in an answer; None if no object is there."""
        shape = self._below(self._shape(answer.schema), path)
        return shape if shape is not None and shape.takes("object") else None

    def _shape(self, child: Child | None) -> Shape | None:
        try:
            return None if child is None else self._shapes.of(child)
        except EndpointError:
            return None

    def _below(self, shape: Shape | None, path: Sequence[Step]) -> Shape | None:
        found = None if shape is None else self._found(shape, path)
        return found[1] if found is not None else None

    def _found(self, shape: Shape, path: Sequence[Step]) -> tuple[tuple[Step, ...], Shape] | None:
        """Return where a path leads, with names as they are spelled there, and the shape that is there."""
        found: list[Step] = []
        for step in path:
            if isinstance(step, str):
                name = spelled(step, shape.properties)
                child = shape.properties.get(name)
                found.append(name)
            else:
                child = shape.items
                found.append(step)
            inner = self._shape(child)
            if inner is None:
                return None
            shape = inner
        return tuple(found), shape

    def _told(self, field: Field, in_request: tuple[Step, ...], records: Sequence[Shape], call_path: str) -> Field:
        """Return a field with what it is reported as, unless an extension has told it."""
        if field.reported_as != UNTOLD:
            return field
        if field.location is ParameterLocation.BODY:
            is_below = field.path[: len(in_request)] == in_request
            undescribed = field.path[len(in_request) :] if is_below else ()
            path = self._reported_as(field, in_request, records) if records else undescribed
        elif not records or not field.selects_record or field.location is ParameterLocation.HEADER:
            path = (field.wire_name,) if field.selects_record and not records else ()
        else:
            path = self._selector(field, call_path, records)
        return msgspec.structs.replace(field, reported_as=path)

    def _opened(self, part: OpenColumns, in_request: tuple[Step, ...], records: Sequence[Shape]) -> OpenColumns:
        """Return an open part with what it is reported as.

        A list that is reported as keys and values is one, even if it is described like the definition of what it holds.
        """
        if part.kind is OpenKind.MAP and part.path == in_request and any(record.properties for record in records):
            return msgspec.structs.replace(part, is_record=True)
        where = self._reported_as(part, in_request, records)
        part = msgspec.structs.replace(part, reported_as=where)
        if part.kind is not OpenKind.ITEMS or not where:
            return part
        for record in records:
            shape = self._below(record, where)
            items = None if shape is None else self._shape(shape.items)
            pairs = None if items is None else open_pairs(self._shapes, part, items)
            if pairs is not None and pairs.value_name not in {field.wire_name for field in part.fields}:
                return pairs
        return part

    def _selector(self, field: Field, call_path: str, records: Sequence[Shape]) -> tuple[Step, ...]:
        """Return the property of records that a parameter selects them by; () unless it is surely the same."""
        wanted = [field.wire_name, bare(field.wire_name)]
        *first, last = name_words(field.wire_name) or [""]
        if last in ID_WORDS and f"{{{field.wire_name}}}" in address(call_path).rpartition("/")[2]:
            # The record of /tickets/{ticket_id} is told by its id, that of /users/{user_id}/address is not.
            wanted += [last] if is_one_of("".join(first), collection(call_path)) else []
        for name in wanted:
            named = {one: record for record in records for one in record.properties if name in {one, bare(one)}}
            for one in sorted(named, key=lambda found: found != name):
                shapes = [shape for record in records if (shape := self._shape(record.properties.get(one)))]
                if all(shape.types is None or _is_same_type(field, shape) for shape in shapes):
                    return (one,)
        return ()

    def _reported_as(
        self, part: Field | OpenColumns, in_request: tuple[Step, ...], records: Iterable[Shape]
    ) -> tuple[Step, ...]:
        """Return where records report a part of the body; () if none does, or not as it is sent."""
        path = part.path[len(in_request) :]
        if not path or part.path[: len(in_request)] != in_request:
            return ()
        reports = {report for record in records if (report := self._report(part, record, path)) is not None}
        return reports.pop() if len(reports) == 1 else ()

    def _report(self, part: Field | OpenColumns, record: Shape, path: tuple[Step, ...]) -> tuple[Step, ...] | None:
        """Return where a record reports a part; () if not as it is sent, None if not at all."""
        if isinstance(part, Field) and part.reported_as not in {UNTOLD, ()}:
            path = part.reported_as
        found = self._found(record, path)
        *outer, last = path
        if found is None and isinstance(part, Field) and isinstance(last, str):
            # What is sent as assignee_id may be reported as an object, the assignee.
            parts = name_words(last)
            if len(parts) > 1 and parts[-1] in ID_WORDS:
                found = self._found(record, (*outer, "".join(parts[:-1])))
                if found is not None and not found[1].properties:
                    return None
        if found is None:
            return None
        where, shape = found
        if _is_alike(part, shape):
            return where
        if isinstance(part, Field) and part.kind not in {Kind.LIST, Kind.JSON}:
            for name, child in shape.properties.items():
                inner = self._shape(child)
                if inner is not None and _is_key_of(part, name, inner):
                    return (*where, name)
        return ()


def _is_acknowledgement(shape: Shape, parts: Iterable[Field | OpenColumns]) -> bool:
    """Whether an object only says how the call went: what it has are no properties of a record.

    An object of which the body has all members may be the record all the same.
    """
    sent = {bare(step) for part in parts for step in part.path[-1:] if isinstance(step, str)}
    names = shape.properties
    return bool(names) and all(map(is_about_call, names)) and not all(bare(name) in sent for name in names)


def _is_alike(part: Field | OpenColumns, shape: Shape) -> bool:
    """Whether what is reported can be compared with what is sent."""
    if isinstance(part, OpenColumns):
        return shape.types is None or shape.takes("object" if part.kind is OpenKind.MAP else "array")
    if shape.types is None or part.kind is Kind.JSON:
        return True
    if part.kind is Kind.LIST:
        return shape.takes("array")
    # A point in time may come back as a number, a day may not.
    return shape.takes("string") if part.kind is Kind.DATE else bool(shape.plain_types)


def _is_key_of(field: Field, name: str, member: Shape) -> bool:
    """Whether a member of an object that is reported for a field is what is sent: its id, or one of the same words."""
    enum = member.keywords.get("enum")
    if field.enum and isinstance(enum, list):
        return {str(value) for value in field.enum} <= {str(value) for value in enum}
    return name.lower() in ID_WORDS and last_word(field.wire_name) == name.lower() and _is_same_type(field, member)


def _is_same_type(field: Field, shape: Shape) -> bool:
    """Whether a parameter and a property are both numbers, or both texts: an id is often one, and its key the other."""
    is_number = field.kind in {Kind.INTEGER, Kind.DECIMAL}
    return bool(shape.plain_types & {"integer", "number"}) if is_number else shape.takes("string")


def _rank(place: _Place) -> tuple[int, int]:
    return place.reports, len(place.in_answer)


def _prefixes(paths: Sequence[tuple[Step, ...]]) -> list[tuple[Step, ...]]:
    """Return where in a body the record may be: its root, and what holds half of the fields at least."""
    for path in paths:
        if 0 in path[:2]:  # of a list of one record
            return [path[: path.index(0) + 1]]
    counts = Counter(path[:length] for path in paths for length in range(1, min(len(path), _DEEPEST + 1)))
    return [(), *(path for path, count in counts.items() if 2 * count >= len(paths))]


def _without_position(path: RecordPath) -> RecordPath:
    """Return the path of a list for that of its first element: the record is looked for among all."""
    return path[:-1] if path and path[-1] == 0 else path


def _by_status(
    records: Mapping[str, frozenset[str] | None],
) -> tuple[dict[int, frozenset[str] | None], frozenset[str] | None]:
    """Return what each listed 2xx status always reports, and what the others do; None: no record."""
    successes = {status: record for status, record in records.items() if status.startswith("2")}
    if not successes:
        # `default` means errors to most authors: it describes a success only if nothing else does.
        other = records.get("DEFAULT")
    elif "2XX" in successes:
        other = successes.pop("2XX")
    else:  # what all that are listed have
        described = [record for record in successes.values() if record is not None]
        other = frozenset.intersection(*described) if described else None
    return {int(status): record for status, record in successes.items()}, other
