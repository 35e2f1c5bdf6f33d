"""An OpenAPI 3.0 or 3.1 document -> `Endpoint`; docs/endpoints.md explains the extensions that say what OpenAPI cannot.

The configuration has the base URL. The document's `servers` only show which base URLs are right although the path of
the call begins like them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

import msgspec

from batch_updater.endpoint import document
from batch_updater.endpoint.body_fields import BodyFields, fields_of_body, is_json_patch, multipart, open_body
from batch_updater.endpoint.described_answers import AnswerReader, DescribedAnswers
from batch_updater.endpoint.description import (
    BodyFormat,
    Endpoint,
    Field,
    Kind,
    LeftOut,
    NoSuchReadError,
    OpenKind,
    ParameterLocation,
    ReadOperation,
)
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.field_names import distinct, with_short_names
from batch_updater.endpoint.media_types import body_content
from batch_updater.endpoint.parameters import PLACEHOLDER, ParameterReader
from batch_updater.endpoint.schemas import Shapes, child_at
from batch_updater.endpoint.security import security_of, servers_of, takes_anyone
from batch_updater.endpoint.words import ID_WORDS, address, bare, collection, is_one_of, last_word, name_words
from batch_updater.errors import EndpointError
from batch_updater.text.spelling import nearest

_UPDATES = ("put", "patch", "post")
_UNSUPPORTED = {
    "get": "It only reads.", "head": "It only reads.", "options": "It only reads.", "trace": "It only reads.",
    "delete": "It deletes, and only updates are supported.",
}  # fmt: skip
"""Why an operation cannot be used, by its method."""
_NAMES_SHOWN = 10
"""Of operations that a message lists."""
_METHODS = ("get", "put", "post", "patch", "delete", "head", "options", "trace")
_PATH = re.compile(r"(/[^/?\\\s]+)+/?")


def described_endpoint(files: DocumentFiles, operation: str | None, name: str | None, read: str | None) -> Endpoint:
    """Return the endpoint of one operation of a document, or of its only updating one if `operation` is None.

    `name` is the configuration's, None for the operation's own; `read` names the operation that reads a record, in
    place of the document's. Raises EndpointError, which names the file and the place in it, and NoSuchReadError.
    """
    described = _DescribedApi(document.Resolver(files))
    return _EndpointBuilder(described, described.update(operation), read).build(name)


class DescribedOperation(NamedTuple):
    """One operation of a document, for the list of what can be used."""

    operation: str
    """Its id, or `put /path/{id}` if it has none: what follows the # of a reference to it."""
    method: str
    """In capitals."""
    path: str
    summary: str
    endpoint: Endpoint | None
    why_not: str | None
    """A sentence, if there is no endpoint."""


def operations(resolver: document.Resolver) -> Iterator[DescribedOperation]:
    """Yield every operation of a document, with its endpoint or the reason why it has none.

    A path that cannot be read comes in place of its operations, without a method. Raises EndpointError if the document
    is none of OpenAPI 3.
    """
    described = _DescribedApi(resolver)
    for call in described.calls(*_METHODS):
        if isinstance(call, _UnreadOperation):
            yield DescribedOperation(call.reference, call.method.upper(), call.path, "", None, call.error.message)
            continue
        endpoint, why_not = None, _UNSUPPORTED.get(call.method)
        if why_not is None:
            try:
                endpoint = _EndpointBuilder(described, call).build(None)
            except EndpointError as error:
                why_not = error.message
            if endpoint and not endpoint.fields and not endpoint.opens:
                endpoint, why_not = None, "It has no parameter and no body that a row could fill in."
        summary = " ".join((call.operation.summary or "").split())
        yield DescribedOperation(call.reference, call.method.upper(), call.path, summary, endpoint, why_not)


class _LocatedOperation(NamedTuple):
    """An operation and its place in the document."""

    path: str
    method: str
    item: document.PathItem
    operation: document.Operation

    @property
    def reference(self) -> str:
        """What names it after the # of `api.endpoint`."""
        return self.operation.operation_id or f"{self.method} {self.path}"

    @property
    def creates(self) -> bool:
        """Whether it is a POST to a path that does not end in a parameter, so that it names no record."""
        return self.method == "post" and "{" not in address(self.path).rpartition("/")[2]


class _UnreadOperation(NamedTuple):
    """An operation, or a path with all of them, that cannot be read."""

    path: str
    method: str
    """'' of a path."""
    reference: str
    error: EndpointError


class _DescribedApi:
    """The operations of one document."""

    def __init__(self, resolver: document.Resolver) -> None:
        self.resolver = resolver
        self.shapes = Shapes(resolver)
        self.root = resolver.document()
        if not (self.root.openapi or "").startswith("3."):
            resolver.refuse("/openapi", "is not version 3.0 or 3.1 of OpenAPI", "Convert the document.")

    @cached_property
    def _alike(self) -> Mapping[str, list[str]]:
        """The paths that differ in the names of their parameters alone."""
        alike: dict[str, list[str]] = {}
        for path in self.root.paths:
            alike.setdefault(_template(path), []).append(path)
        return alike

    def credentials(self) -> Iterator[tuple[str, str]]:
        """Yield where a key of the API's users is sent, and under which name."""
        schemes = self.root.components.get("securitySchemes")
        for scheme in schemes.values() if isinstance(schemes, Mapping) else ():
            if isinstance(scheme, Mapping) and isinstance(scheme.get("name"), str):
                yield str(scheme.get("in")), scheme["name"]

    def calls(self, *methods: str) -> Iterator[_LocatedOperation | _UnreadOperation]:
        """Yield the operations with these methods."""
        for path, written in self.root.paths.items():
            if path.startswith("x-"):
                continue
            try:
                item = self.resolver.node(document.PathItem, written, self.root, "paths", path)
            except EndpointError as error:
                yield _UnreadOperation(path, "", path, error)
                continue
            for method in methods:
                if (one := item.written.get(method)) is None:
                    continue
                try:
                    operation = self.resolver.node(document.Operation, one, item, method)
                except EndpointError as error:
                    name = one.get("operationId") if isinstance(one, Mapping) else None
                    yield _UnreadOperation(path, method, str(name or f"{method} {path}"), error)
                else:
                    yield _LocatedOperation(path, method, item, operation)

    def update(self, wanted: str | None) -> _LocatedOperation:
        """Return the operation of that id, or of that method and path; the only update if None.

        Raises EndpointError.
        """
        calls = list(self.calls(*_UPDATES))
        updates = [call for call in calls if isinstance(call, _LocatedOperation)]
        method, _, path = (wanted or "").partition(" ")
        if wanted is None:
            matching = [call for call in updates if not call.creates] or updates
        else:
            matching = [call for call in updates if call.operation.operation_id == wanted] or [
                call for call in updates if (call.method, call.path) == (method.lower(), path.strip())
            ]
        if len(matching) == 1:
            return matching[0]
        for call in calls if not matching else ():
            is_named = wanted in {None, call.reference} or (path.strip() == call.path and call.method in {"", method})
            if isinstance(call, _UnreadOperation) and is_named:
                raise call.error
        # Ids that are not unique do not tell which is meant.
        names = [f"{call.method} {call.path}" for call in matching] if wanted else []
        names = names or [call.reference for call in matching or updates]
        close = nearest(wanted or "", names)
        what = f"has no single PUT, PATCH or POST operation {wanted or ''}".rstrip()
        if other := next((call for call in self.calls(*_UNSUPPORTED) if wanted == call.reference), None):
            what = f"has {wanted}, which cannot be used: {_UNSUPPORTED[other.method].rstrip('.')}"
            close = next((call.reference for call in updates if call.path == other.path), close)
        listed = ", ".join(names[:_NAMES_SHOWN]) or "there is none"
        more = ", and more that `batch-updater endpoints` lists" if names[_NAMES_SHOWN:] else ""
        self.resolver.refuse(
            "/paths",
            what,
            f"Did you mean {close!r}?" if close else f"Name one after #: {listed}{more}.",
        )

    def reading(self, call: _LocatedOperation, wanted: str | None) -> _LocatedOperation | None:
        """Return the GET operation with a name, by its id or as `get /path`; without a name that of the same path."""
        if wanted is not None:
            method, _, path = wanted.partition(" ")
            for one in self.calls("get"):
                is_it = wanted == one.reference or (method.lower() == "get" and one.path == path.strip())
                if is_it and isinstance(one, _LocatedOperation):
                    return one
            return None
        alike = [path for path in self._alike[_template(call.path)] if path != call.path]
        for path in (call.path, *sorted(alike, key=len)):
            with suppress(EndpointError):
                item = self.resolver.node(document.PathItem, self.root.paths[path], self.root, "paths", path)
                if (written := item.written.get("get")) is not None:
                    own = self.resolver.node(document.Operation, written, item, "get")
                    return _LocatedOperation(path, "get", item, own)
        return None


class _EndpointBuilder:
    """Builds the endpoint of one operation."""

    def __init__(self, described: _DescribedApi, call: _LocatedOperation, read_by: str | None = None) -> None:
        """`read_by`: the operation that reads a record, by its id or as `get /path`; None: the document says."""
        self._read_by = read_by or call.operation.x_read
        self._is_configured = read_by is not None
        self._described = described
        self._call = call
        self._resolver = described.resolver
        self._refuse = described.resolver.refuse
        self._shapes = described.shapes
        self._answers = AnswerReader(self._shapes)
        self._parameters = ParameterReader(self._shapes, described.credentials())

    def build(self, name: str | None) -> Endpoint:
        """Build the endpoint; `name` is the configuration's, None for the operation's. Raises EndpointError."""
        call = self._call
        path, method, item, operation = call
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            self._refuse(item.at, "is not a path that leads straight to one place", "Correct it.")
        if call.creates:
            self._refuse(operation.at, "creates a record", "Name an operation that updates one.")
        parameters = self._parameters.read(path, (item, operation))
        reading = self._described.reading(call, self._read_by)
        if reading is None and self._is_configured:
            raise NoSuchReadError(tuple(one.reference for one in self._described.calls("get")))
        if reading is None and self._read_by is not None:
            what = f"names {self._read_by}, which is no GET operation here"
            self._refuse(f"{operation.at}/x-read", what, "Correct it.")
        content_type, body_format, body = self._body(reading)
        fields = distinct([*parameters.fields, *body.fields])
        is_named = self._read_by is not None
        answers = self._answers.read(
            operation, reading.operation if reading else None, path, fields, body.opens, is_named=is_named
        )
        fields, opens = with_short_names(_with_selector(answers.fields, path), answers.opens)
        read = sample_read = None
        if reading is not None:
            try:
                sample_read = self._read_operation(reading, fields)
            except EndpointError:
                if is_named:
                    raise
        # It is not for us to say that a reading that is named returns something else.
        if sample_read and (is_named or (answers.read_path is not None and _is_of_record(fields, answers))):
            read = sample_read = msgspec.structs.replace(
                sample_read, properties=answers.read_properties, record_path=answers.read_path or ()
            )
        return Endpoint(
            name=name or call.reference,
            api_name=self._described.root.title or "the API",
            record_name=operation.x_record_name or "record",
            method=method.upper(),
            path=path,
            content_type=content_type,
            fields=fields,
            idempotent=method == "put" or operation.x_idempotent is True,
            record_statuses=answers.record_statuses,
            default_record=answers.default_record,
            record_properties=answers.record_properties,
            error_message_keys=operation.x_error_message,
            quota_message=self._quota_message(operation),
            read=read,
            quota_per_month=operation.x_quota_per_month,
            sample_read=sample_read,
            server_paths=_server_paths((*self._described.root.servers, *item.servers, *operation.servers)),
            body_format=body_format,
            opens=opens,
            requirements=body.requirements,
            left_out=(*parameters.left_out, *body.left_out),
            record_path=answers.record_path,
            if_match=parameters.if_match,
            requires_if_match=parameters.requires_if_match,
            idempotency_key=parameters.idempotency_key,
            security=security_of(self._described.root.written, operation.written),
            takes_anyone=takes_anyone(self._described.root.written, operation.written),
            servers=servers_of(self._described.root.written, item.written, operation.written),
        )

    def _quota_message(self, operation: document.Operation) -> str | None:
        for status, written in operation.responses.items():
            with suppress(EndpointError):
                answer = self._resolver.node(document.Response, written, operation, "responses", status)
                if answer.x_quota_exceeded:
                    return answer.x_quota_exceeded
        return None

    def _read_operation(self, reading: _LocatedOperation, fields: Sequence[Field]) -> ReadOperation:
        """Return how to read with the values of an update, which must have them all. Raises EndpointError."""
        by_key = {(field.wire_name, field.location): field for field in fields}
        path = reading.path
        if self._read_by is None:
            path = self._call.path  # the same, but for the names of its parameters
        needed = self._parameters.read(path, (reading.item, reading.operation))
        query = []
        for one in needed.fields:
            if field := by_key.get((one.wire_name, one.location)):
                query += [field.name] if one.location is ParameterLocation.QUERY else []
            elif one.required:
                what = f"needs {one.wire_name}, which the update does not have"
                self._refuse(reading.operation.at, what, "Name another operation.")
        return ReadOperation(path, tuple(query))

    def _body(self, reading: _LocatedOperation | None) -> tuple[str, BodyFormat, BodyFields]:
        operation = self._call.operation
        if operation.request_body is None:
            return "", BodyFormat.NONE, BodyFields()
        body = self._resolver.node(document.RequestBody, operation.request_body, operation, "requestBody")
        if not body.content:
            return "", BodyFormat.NONE, BodyFields()
        content = body_content(self._resolver, body)
        if content is None:
            kinds = ", ".join(body.content) or "nothing"
            self._refuse(f"{body.at}/content", f"holds {kinds}, and neither JSON nor a form", "Name another operation.")
        content_type, media, body_format = content
        schema = child_at(media.schema or {}, media, "schema")
        if body_format is BodyFormat.JSON and is_json_patch(self._shapes, schema, content_type):
            return content_type, BodyFormat.JSON_PATCH, self._patched(reading)
        encodings = self._encodings(media) if body_format.is_form else None
        if encodings is not None and body_format is BodyFormat.MULTIPART:
            parts = multipart(self._shapes, schema)
            if parts.needed_file is not None or not parts.has_texts:
                which = f" ({parts.needed_file})" if parts.needed_file else ""
                self._refuse(f"{body.at}/content", f"needs a file{which}", "Name another operation.")
            as_json = document.Encoding({"contentType": "application/json"}, media.at)
            encodings = dict.fromkeys(parts.objects, as_json) | encodings
        found = fields_of_body(self._shapes, schema, self._call.path, encodings)
        return content_type, body_format, found

    def _encodings(self, media: document.MediaType) -> dict[str, document.Encoding]:
        encodings = {}
        for name, written in media.encoding.items():
            with suppress(EndpointError):
                encodings[name] = self._resolver.node(document.Encoding, written, media, "encoding", name)
        return encodings

    def _patched(self, reading: _LocatedOperation | None) -> BodyFields:
        """Return what a JSON Patch may replace: what the reading returns, and any other member."""
        record = self._answers.record_read(reading.operation) if reading else None
        if record is None:
            return BodyFields(opens=(open_body(),))
        found = fields_of_body(self._shapes, record, self._call.path)
        optional = tuple(msgspec.structs.replace(field, required=False) for field in found.fields if field.path)
        # An operation names an element of a list by its position, not by its key.
        opens = tuple(one for one in found.opens if one.path and one.kind is not OpenKind.PAIRS)
        pairs = tuple(
            LeftOut(one.name, "a JSON Patch names no element by its key")
            for one in found.opens
            if one.kind is OpenKind.PAIRS
        )
        described = tuple(self._shapes.of(record).properties)
        return BodyFields(optional, (*opens, open_body(described)), (), (*found.left_out, *pairs))


def _template(path: str) -> str:
    """Return a path without the names of its parameters."""
    return PLACEHOLDER.sub("{}", address(path))


def _with_selector(fields: Sequence[Field], call_path: str) -> tuple[Field, ...]:
    """Return fields of which some select the record: the body's own id or ids in the query, if the path names none."""
    if any(field.selects_record for field in fields):
        return tuple(fields)
    ids = [bare(word) for word in ID_WORDS]
    named = [
        field
        for field in fields
        if field.location is ParameterLocation.BODY
        and field.kind in {Kind.TEXT, Kind.INTEGER}
        and (
            bare(field.wire_name) in ids
            or (
                last_word(field.wire_name) in ids
                and is_one_of("".join(name_words(field.wire_name)[:-1]), collection(call_path))
            )
        )
    ]
    named.sort(key=lambda field: (len(field.path), ids.index(last_word(field.wire_name))))
    in_query = [
        field
        for field in fields
        if field.location is ParameterLocation.QUERY and last_word(field.wire_name).removesuffix("s") in ids
    ]
    chosen = {field.name for field in named[:1] or in_query}
    return tuple(_selecting(field) if field.name in chosen else field for field in fields)


def _selecting(field: Field) -> Field:
    """Return a field as one that every row needs: without it an API may create a record, for each repetition one."""
    return msgspec.structs.replace(
        field, selects_record=True, required=True, is_identifier=field.kind is Kind.TEXT and not field.enum
    )


def _is_of_record(fields: Iterable[Field], answers: DescribedAnswers) -> bool:
    """Whether a reading with the same parameters returns the record, rather than all of a collection."""
    locations = {field.location for field in fields if field.selects_record}
    if ParameterLocation.BODY in locations:
        return False
    return ParameterLocation.PATH in locations or not answers.is_read_from_list


def _server_paths(servers: Iterable[object]) -> frozenset[str]:
    """Return the paths of servers, without slashes around them, with the defaults of their variables."""
    paths = set()
    for server in servers:
        if isinstance(server, Mapping):
            variables = server.get("variables")
            url = str(server.get("url", ""))
            for name, variable in variables.items() if isinstance(variables, Mapping) else ():
                default = variable.get("default", "") if isinstance(variable, Mapping) else ""
                url = url.replace(f"{{{name}}}", str(default))
            paths.add(re.sub(r"^(\w+:)?//[^/]*", "", url).strip("/"))
    return frozenset(paths - {""})
