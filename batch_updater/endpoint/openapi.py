"""An OpenAPI 3.0 or 3.1 document -> `Endpoint`; docs/endpoints.md explains the extensions that say what OpenAPI cannot.

The configuration has the base URL. The document's `servers` only show which base URLs are right although the path of
the call begins like them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from batch_updater.endpoint import document
from batch_updater.endpoint.cache import cache_key, cached_endpoint, keep_endpoint
from batch_updater.endpoint.description import (
    AllowedNames,
    Bounds,
    Endpoint,
    Field,
    Kind,
    ParameterLocation,
    ReadOperation,
)
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.parsing import read_content
from batch_updater.endpoint.security import security_of, servers_of
from batch_updater.errors import EndpointError
from batch_updater.records import Value
from batch_updater.text.spelling import nearest

BUILT_IN = ("nexus-opportunity",)
_JSON = re.compile(r"application/(json|[a-z0-9.+-]+\+json)\s*(;.*)?", re.IGNORECASE)
_TYPES = {"string": Kind.TEXT, "integer": Kind.INTEGER, "number": Kind.DECIMAL, "boolean": Kind.BOOLEAN}
_UNSUPPORTED_FORMATS = frozenset({"date-time", "time", "binary", "byte"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LAST_WORDS = frozenset(
    {
        "id", "ids", "identifier", "number", "no", "nr", "num", "code", "key", "reference", "ref", "uuid", "guid",
        "sku", "ean", "gtin", "isbn", "iban", "bic", "vin", "zip", "postcode", "phone", "telephone", "mobile", "fax",
    }
)  # fmt: skip
"""Words with which names and titles of identifiers end."""
_NUMBERED = frozenset({"version", "release", "revision", "edition"})
"""Words for things that are numbered like 2.0."""
_DESCRIPTION = re.compile(
    r"(?:[\w/'-]+ ){0,3}?(?:id|number|code|key|reference)\b(?! of\b)|(?:[\w/'-]+ ){0,5}?identifier\b", re.IGNORECASE
)
"""How the description of an identifier begins: "The number that the CRM gave the opportunity."."""


class NoSuchReadError(Exception):
    """The operation that is to read a record according to the configuration is not in the document."""

    def __init__(self, operations: tuple[str, ...]) -> None:
        """`operations` are the GET operations that are."""
        super().__init__("no such operation")
        self.operations = operations


def load_endpoint(reference: str, overlay: Path | None = None, read: str | None = None) -> Endpoint:
    """Read the description of one operation: a built-in one, or `path/openapi.yaml#operationId`.

    Without an operation it is the only updating one of the document; `overlay` is an overlay to apply first, `read`
    the operation that reads a record, in place of the document's own: by its id or as `get /path`. What was read once
    is cached. Raises EndpointError, which names the file and the place in it, and NoSuchReadError.
    """
    named = _named(reference)
    content = read_content(named.path)
    overlaid = read_content(overlay, "api.overlay") if overlay else None
    key = cache_key(named.name, named.operation, content, overlaid, read)
    if cached := cached_endpoint(key, named.path):
        return cached
    files = DocumentFiles(named.path, content, overlay)
    endpoint = _EndpointBuilder(document.Resolver(files)).build(named.operation, named.name, read)
    keep_endpoint(key, endpoint, files.digests)
    return endpoint


def built_in_path(name: str) -> Path:
    """Return the document of a built-in description."""
    return Path(__file__).with_name(f"{name}.openapi.yaml")


class _Named(NamedTuple):
    """What a reference in the configuration names."""

    path: Path
    operation: str | None
    """None: the only updating one of the document."""
    name: str | None
    """Of a built-in description."""


def _named(reference: str) -> _Named:
    if reference in BUILT_IN:
        return _Named(built_in_path(reference), reference, reference)
    path_text, _, operation = reference.partition("#")
    path = Path(path_text)
    if not path.suffix and not path.exists():
        close = nearest(path_text, BUILT_IN)
        raise EndpointError(
            f"There is no built-in description {path_text!r}" + (f"; did you mean {close!r}?" if close else "."),
            remedy=f"Set api.endpoint to {', '.join(BUILT_IN)}, or to a file such as openapi.yaml#operationId.",
        )
    return _Named(path, operation or None, None)


class _LocatedOperation(NamedTuple):
    """An operation and its place in the document."""

    path: str
    method: str
    item: document.PathItem
    operation: document.Operation


class _FieldSource(NamedTuple):
    """A parameter or a property of the body, before it is a field."""

    wire_name: str
    location: ParameterLocation
    required: bool
    schema: document.Schema
    """With all annotations, those of the parameter included."""


class _DescribedAnswers(NamedTuple):
    """What the responses of an operation describe."""

    statuses: Mapping[int, frozenset[str] | None]
    """2xx status -> the properties that the record always has; None: no record."""
    other: frozenset[str] | None
    """The same for a 2xx status that is not listed."""
    properties: frozenset[str]
    """All properties that the record may have; empty if none is described."""
    quota_message: str | None


class _EndpointBuilder:
    """Builds the endpoint of an operation from the nodes of a document."""

    def __init__(self, resolver: document.Resolver) -> None:
        self._node = resolver.node
        self._refuse = resolver.refuse
        self._document = resolver.document()

    def build(self, operation_id: str | None, name: str | None, read_by: str | None = None) -> Endpoint:
        """Build the endpoint; `name` is the configuration's, None for the operation's id. Raises EndpointError.

        `read_by`: the operation that reads a record, by its id or as `get /path`.
        """
        if not (self._document.openapi or "").startswith("3."):
            self._refuse("/openapi", "is not version 3.0 or 3.1 of OpenAPI", "Convert the document.")
        update = self._update(operation_id)
        path, method, item, operation = update
        if not re.fullmatch(r"(/[^/?#\\\s]+)+/?", path) or {".", ".."} & set(path.split("/")):
            self._refuse(item.at, "is not a path that leads straight to one place", "Correct it.")
        answers = self._answers(operation)
        reading, read_properties = None, frozenset[str]()
        if (wanted := read_by or operation.x_read) is not None:
            reading = self._reading(wanted)
            if reading is None and read_by:
                raise NoSuchReadError(tuple(_name_of(call) for call in self._calls("get")))
            if reading is None:
                self._refuse(f"{operation.at}/x-read", f"names {wanted}, which is no GET operation here", "Correct it.")
            read_properties = self._properties_read(reading.operation)
        reported = answers.properties | read_properties
        body, content_type = self._body(operation)
        sources = [*self._of_parameters(update), *body]
        sources.sort(key=lambda source: list(ParameterLocation).index(source.location))
        fields = tuple(self._field(source, reported) for source in sources)
        by_name: dict[str, Field] = {}
        for field in fields:
            if (other := by_name.setdefault(field.name, field)) is not field:
                what = f"has two fields called {field.name}, in the {other.location} and in the {field.location}"
                self._refuse(operation.at, what, "Give one of them another name with x-field-name.")
        mapped = {name for source in sources for name in (source.schema.x_reported_as, source.schema.x_reported_id_as)}
        # Reported according to an extension, whatever the schema of the answer lists.
        unlisted = {name for name in mapped if name is not None} - reported
        read = sample_read = self._read_operation(reading, fields, read_properties) if reading else None
        if read is None and item.get is not None:
            with suppress(EndpointError):  # the GET of the update's own path is optional, and so need not be right
                own = self._node(document.Operation, item.get, item, "get")
                sample_read = self._read_operation(update._replace(operation=own), fields, frozenset())
        urls = (str(one.get("url", "")) for one in self._document.servers if isinstance(one, Mapping))
        return Endpoint(
            name=name or operation.operation_id or f"{method} {path}",
            api_name=self._document.title or "the API",
            record_name=operation.x_record_name or "record",
            method=method.upper(),
            path=path,
            content_type=content_type,
            fields=fields,
            idempotent=method == "put" or operation.x_idempotent is True,
            record_statuses={
                status: None if names is None else names | unlisted for status, names in answers.statuses.items()
            },
            default_record=None if answers.other is None else answers.other | unlisted,
            record_properties=answers.properties,
            error_message_keys=operation.x_error_message,
            quota_message=answers.quota_message,
            read=read,
            quota_per_month=operation.x_quota_per_month,
            sample_read=sample_read,
            server_paths=frozenset(re.sub(r"^(\w+:)?//[^/]*", "", url).strip("/") for url in urls) - {""},
            security=security_of(self._document.written, operation.written),
            servers=servers_of(self._document.written, item.written, operation.written),
        )

    def _update(self, operation_id: str | None) -> _LocatedOperation:
        updates = list(self._calls("put", "patch", "post"))
        matching = [call for call in updates if operation_id in (None, call.operation.operation_id)]
        if len(matching) == 1:
            return matching[0]
        ids = [call.operation.operation_id for call in updates if call.operation.operation_id is not None]
        close = nearest(operation_id or "", ids)
        remedy = f"Name one after #: {', '.join(ids) or 'none has an operationId'}."
        self._refuse(
            "/paths",
            f"has no single PUT, PATCH or POST operation {operation_id or ''}".rstrip(),
            f"Did you mean {close!r}?" if close else remedy,
        )

    def _reading(self, wanted: str) -> _LocatedOperation | None:
        """Return the GET operation of that id, or of the path behind `get`."""
        method, _, path = wanted.partition(" ")
        for call in self._calls("get"):
            if call.operation.operation_id == wanted or (method.lower() == "get" and call.path == path.strip()):
                return call
        return None

    def _calls(self, *methods: str) -> Iterator[_LocatedOperation]:
        for path, written in self._document.paths.items():
            item = self._node(document.PathItem, written, self._document, "paths", path)
            for method in methods:
                if (operation := getattr(item, method)) is not None:
                    yield _LocatedOperation(path, method, item, self._node(document.Operation, operation, item, method))

    def _read_operation(
        self, call: _LocatedOperation, fields: tuple[Field, ...], properties: frozenset[str]
    ) -> ReadOperation:
        """Return how to read with the values of an update, which must have them all."""
        by_key = {(field.wire_name, field.location): field for field in fields}
        query = []
        for parameter in self._parameters(call):
            location = ParameterLocation(parameter.in_)
            if field := by_key.get((parameter.name, location)):
                query += [field.name] if location is ParameterLocation.QUERY else []
            elif location is ParameterLocation.PATH or parameter.required:
                what = f"needs {parameter.name}, which the update does not have"
                self._refuse(parameter.at, what, "Name another operation.")
        return ReadOperation(call.path, tuple(query), properties)

    def _parameters(self, call: _LocatedOperation) -> list[document.Parameter]:
        """Return the parameters of path and query: those of the path item, overridden by the operation's own."""
        by_key = {}
        for owner in (call.item, call.operation):
            for position, written in enumerate(owner.parameters):
                parameter = self._node(document.Parameter, written, owner, "parameters", str(position))
                by_key[parameter.name, parameter.in_] = parameter
        in_path = {name for name, location in by_key if location == ParameterLocation.PATH}
        if unclear := in_path ^ set(re.findall(r"{([^}]*)}", call.path)):
            what = f"and its path do not agree on {', '.join(sorted(unclear))}"
            self._refuse(call.operation.at, what, "Describe each once.")
        supported = []
        for (name, location), parameter in by_key.items():
            if location in (ParameterLocation.PATH, ParameterLocation.QUERY):
                supported.append(parameter)
            elif parameter.required:
                remedy = f"Set {name} under api.headers, and leave it out here."
                self._refuse(parameter.at, f"requires a value in a {location}", remedy)
        return supported

    def _of_parameters(self, call: _LocatedOperation) -> Iterator[_FieldSource]:
        for parameter in self._parameters(call):
            if parameter.content is not None:
                self._refuse(f"{parameter.at}/content", "is not supported for a parameter", "Use a schema.")
            schema = self._node(document.Schema, parameter.schema, parameter, "schema")
            location = ParameterLocation(parameter.in_)
            required = location is ParameterLocation.PATH or parameter.required is True
            yield _FieldSource(parameter.name, location, required, schema.annotated(parameter))

    def _body(self, operation: document.Operation) -> tuple[list[_FieldSource], str]:
        if operation.request_body is None:
            self._refuse(operation.at, "has no request body, so there is nothing to update", "Name another operation.")
        body = self._node(document.RequestBody, operation.request_body, operation, "requestBody")
        content_type, media = self._json_content(body)
        if media is None:
            self._refuse(f"{body.at}/content", "has no JSON", "Only JSON bodies are supported.")
        schema = self._node(document.Schema, media.schema or {}, media, "schema")
        self._require_plain(schema)
        if schema.type not in ((), ("object",)) or not schema.properties:
            self._refuse(schema.at, "is not an object with properties", "Only flat JSON objects are supported.")
        sources = []
        for name, written in schema.properties.items():
            part = self._node(document.Schema, written, schema, "properties", name)
            if part.read_only is not True:
                sources.append(_FieldSource(name, ParameterLocation.BODY, name in schema.required, part))
        return sources, content_type

    def _json_content(self, owner: document.RequestBody | document.Response) -> tuple[str, document.MediaType | None]:
        for media_type, written in owner.content.items():
            if _JSON.fullmatch(media_type):
                return media_type, self._node(document.MediaType, written, owner, "content", media_type)
        return "", None

    def _require_plain(self, schema: document.Schema) -> None:
        for keyword in schema.compositions:
            self._refuse(f"{schema.at}/{keyword}", "is not supported", "Write the properties out in one schema.")

    def _field(self, source: _FieldSource, reported: frozenset[str]) -> Field:
        wire_name, location, required, schema = source
        self._require_plain(schema)
        name = schema.x_field_name or wire_name
        description = " ".join((schema.description or "").split())
        kind = self._kind(schema)
        enum: list[Value] = []
        for value in [schema.const] if "const" in schema.written else schema.enum:
            if value is not None and not isinstance(value, (str, int, Decimal)):
                self._refuse(f"{schema.at}/enum", "holds something that is no plain value", "Correct it.")
            enum.append(value)
        if kind is Kind.DATE and enum:
            self._refuse(f"{schema.at}/enum", "is not supported for a date", "Leave it out.")
        names = schema.x_allowed_names
        selects_record = location is not ParameterLocation.BODY and schema.x_selects_record is not False
        reported_as = wire_name if not reported or wire_name in reported else None
        if "x-reported-as" in schema.written:
            reported_as = schema.x_reported_as
        is_identifier = schema.x_identifier
        if is_identifier is None:
            is_identifier = _is_called_identifier(name, schema.title or "", description)
        minimum, exclusive_minimum = _limits(schema.minimum, schema.exclusive_minimum)
        maximum, exclusive_maximum = _limits(schema.maximum, schema.exclusive_maximum)
        bounds = Bounds(
            minimum, maximum, exclusive_minimum, exclusive_maximum, schema.multiple_of, schema.min_length,
            schema.max_length, schema.pattern,
        )  # fmt: skip
        return Field(
            name=name,
            wire_name=wire_name,
            location=location,
            kind=kind,
            required=required,
            title=schema.title or name,
            description=description,
            aliases=schema.x_aliases,
            enum=tuple(value for value in enum if value is not None),
            bounds=bounds,
            nullable=location is ParameterLocation.BODY
            and (schema.nullable is True or "null" in schema.type or None in enum),
            date_format=schema.x_date_format or "%Y-%m-%d",
            example=(schema.examples[0] if schema.examples else schema.example) or "",
            default=schema.default,
            selects_record=selects_record,
            reported_as=() if reported_as is None else (reported_as,),
            reported_id_as=schema.x_reported_id_as,
            allowed=AllowedNames(names.list, names.name, names.id, names.depends_on) if names else None,
            is_identifier=kind is Kind.TEXT and not enum and not names and (selects_record or is_identifier),
            path=(wire_name,) if location is ParameterLocation.BODY else (),
        )

    def _kind(self, schema: document.Schema) -> Kind:
        types = [name for name in schema.type if name != "null"]
        if not schema.type and schema.enum and all(value is None or isinstance(value, str) for value in schema.enum):
            types = ["string"]
        if len(types) != 1 or types[0] not in _TYPES:
            given = f"the type {', '.join(schema.type)}" if schema.type else "no type"
            self._refuse(schema.at, f"has {given}, which is not supported", f"Use one of {', '.join(_TYPES)}.")
        kind = _TYPES[types[0]]
        if kind is Kind.TEXT and schema.format == "date":
            return Kind.DATE
        if kind is Kind.TEXT and schema.format in _UNSUPPORTED_FORMATS:
            what = f"is {schema.format}, which is not supported"
            self._refuse(f"{schema.at}/format", what, "Leave the format out.")
        return kind

    def _answers(self, operation: document.Operation) -> _DescribedAnswers:
        statuses: dict[str, frozenset[str] | None] = {}
        all_properties: frozenset[str] = frozenset()
        quota_message = None
        for status, written in operation.responses.items():
            answer = self._node(document.Response, written, operation, "responses", status)
            quota_message = quota_message or answer.x_quota_exceeded
            if not re.fullmatch(r"2\d\d|2XX|default", status, re.IGNORECASE):
                continue
            schema, record = self._answer_schema(answer), None
            if schema is not None:
                properties = self._properties(schema)
                record = properties if properties or schema.type == ("object",) or schema.compositions else None
                all_properties |= record or frozenset()
            if answer.x_always_reported is not None:
                always = frozenset(answer.x_always_reported)
                if not always or not always <= (record or always):
                    what = "is no list of properties of the answer"
                    self._refuse(f"{answer.at}/x-always-reported", what, "Correct it.")
                record = always
            statuses[status.upper()] = record
        successes = {status: record for status, record in statuses.items() if status.startswith("2")}
        if not successes:
            # `default` means errors to most authors: it describes a success only if nothing else does.
            other = statuses.get("DEFAULT")
        elif "2XX" in successes:
            other = successes.pop("2XX")
        else:  # what all that are listed have
            records = [record for record in successes.values() if record is not None]
            other = frozenset.intersection(*records) if records else None
        listed = {int(status): record for status, record in successes.items()}
        return _DescribedAnswers(listed, other, all_properties, quota_message)

    def _properties(self, schema: document.Schema, *outer: str) -> frozenset[str]:
        """Return the properties that every object of a schema may have; `outer`: the schemas that contain it."""
        names = frozenset(schema.properties)
        for number, written in enumerate(schema.all_of):
            part = self._node(document.Schema, written, schema, "allOf", str(number))
            if part.at not in outer:
                names |= self._properties(part, schema.at, *outer)
        return names

    def _answer_schema(self, answer: document.Response) -> document.Schema | None:
        _, media = self._json_content(answer)
        if media is None or media.schema is None:
            return None
        return self._node(document.Schema, media.schema, media, "schema")

    def _properties_read(self, operation: document.Operation) -> frozenset[str]:
        """Return the properties of the record that a GET returns, alone or in an array."""
        properties: frozenset[str] = frozenset()
        for status, written in operation.responses.items():
            answer = self._node(document.Response, written, operation, "responses", status)
            schema = self._answer_schema(answer) if re.fullmatch(r"2\d\d|2XX", status, re.IGNORECASE) else None
            if schema and schema.items is not None:
                schema = self._node(document.Schema, schema.items, schema, "items")
            properties |= self._properties(schema) if schema else frozenset()
        return properties


def _name_of(call: _LocatedOperation) -> str:
    return call.operation.operation_id or f"{call.method} {call.path}"


def _limits(limit: Decimal | None, exclusive: Decimal | bool | None) -> tuple[Decimal | None, Decimal | None]:
    """Return the limit that is allowed itself, and the one that is not."""
    return (None, limit) if isinstance(exclusive, bool) else (limit, exclusive)


def _is_called_identifier(name: str, title: str, description: str) -> bool:
    """Whether a field's name, title or first sentence says that it is an identifier."""
    for text in (name, title):
        words = [word.lower() for word in _WORDS.findall(text)]
        if not _NUMBERED.isdisjoint(words):
            return False
        if words and (words[0] == "id" or words[-1] in _LAST_WORDS):
            return True
    return _DESCRIPTION.match(description) is not None
