"""An OpenAPI 3.0 or 3.1 document -> `Endpoint`.

What OpenAPI cannot say stands in extensions of the document:

- on the operation: `x-record-name` (what a person calls one record), `x-error-message` (properties of an error answer
  that hold its message, the best first), `x-idempotent` (whether a method other than PUT may be repeated), `x-read`
  (operationId of a GET in the same document that gives the record as it stands, alone or in an array; what it holds
  counts as reported like what the update's answer holds),
  `x-quota-per-month` (requests that the account may send);
- on a parameter or body property: `x-field-name` (the name in a header row, where the wire's is taken), `x-aliases`
  (further headers), `x-date-format` (for `strftime`), `x-reported-as` (under which name the answer reports the value;
  null: it does not), `x-reported-id-as` (under which name the answer reports the id of a name), `x-selects-record`
  (false: the parameter does not say which record), `x-allowed-names` ({list, name, id, depends-on}: the list in an
  error answer that holds the valid names), `x-identifier` (whether a text is an identifier, in which nothing invisible
  may be; without it a text is one if it says which record, if its name or title ends with a word such as id, number,
  code, key or reference, or if its description begins by calling it so);
- on a 2xx answer of the update: `x-always-reported` (the properties that it holds in any case, where it leaves some of
  those that it describes out; an update is confirmed only by what is always reported, and by nothing that differs);
- on the 429 answer: `x-quota-exceeded` (its message when the quota is used up).

The configuration says where the API is. Of `servers` the paths count, for one thing: a base URL with such a path is
right, although the call's path begins like it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.endpoint.description import (
    AllowedNames,
    Bounds,
    Endpoint,
    Field,
    Kind,
    ParameterLocation,
    ReadOperation,
)
from batch_updater.errors import EndpointError, Location
from batch_updater.files.reading import read_regular_text
from batch_updater.text.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from batch_updater.records import Value

Node: TypeAlias = Mapping[str, object]

BUILT_IN = ("nexus-opportunity",)
_METHODS = ("put", "patch", "post")
_JSON = re.compile(r"application/(json|[a-z0-9.+-]+\+json)\s*(;.*)?", re.IGNORECASE)
_TYPES = {"string": Kind.TEXT, "integer": Kind.INTEGER, "number": Kind.DECIMAL, "boolean": Kind.BOOLEAN}
_UNSUPPORTED = ("oneOf", "anyOf", "allOf", "not", "if")
_LARGEST_BYTES = 5_000_000
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_IDENTIFIERS = frozenset(
    {
        "id", "ids", "identifier", "number", "no", "nr", "num", "code", "key", "reference", "ref", "uuid", "guid",
        "sku", "ean", "gtin", "isbn", "iban", "bic", "vin", "zip", "postcode", "phone", "telephone", "mobile", "fax",
    }
)  # fmt: skip
"""Words with which names and titles of identifiers end."""
_OTHER_NUMBERS = frozenset({"version", "release", "revision", "edition"})
"""Words for what is numbered like 2.0."""
_CALLED_IDENTIFIER = re.compile(
    r"(?:[\w/'-]+ ){0,3}?(?:id|number|code|key|reference)\b(?! of\b)|(?:[\w/'-]+ ){0,5}?identifier\b", re.IGNORECASE
)
"""How a description begins that calls the field an identifier: "The number that the CRM gave the opportunity."."""
_ISO_DATE = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class Description:
    """The text of a document, and which operation of it is meant."""

    name: str | None
    """What the configuration calls a built-in description; None for any other."""
    path: str
    operation_id: str | None
    """None: the only updating operation of the document."""
    text: str


def load_endpoint(reference: str) -> Endpoint:
    """Read the description of one operation: `endpoint_of(read_description(reference))`."""
    return endpoint_of(read_description(reference))


def read_description(reference: str) -> Description:
    """Read the document that `reference` names: a built-in description, or `path/openapi.yaml#operationId`.

    Raises EndpointError, which names the file.
    """
    if reference in BUILT_IN:
        path = Path(__file__).with_name(f"{reference}.openapi.yaml")
        return Description(reference, str(path), reference, _text_of(path))
    path_text, _, operation_id = reference.partition("#")
    path = Path(path_text)
    if not path.suffix and not path.exists():
        _unknown_built_in(path_text)
    return Description(None, str(path), operation_id or None, _text_of(path))


def endpoint_of(description: Description) -> Endpoint:
    """Return the endpoint that a document describes. Raises EndpointError, which names the file and the place in it."""
    document = _Document(description.path, _parse(description))
    return document.endpoint(description.operation_id, description.name)


def _unknown_built_in(name: str) -> NoReturn:
    close = nearest(name, BUILT_IN)
    raise EndpointError(
        f"There is no built-in description {name!r}" + (f"; did you mean {close!r}?" if close else "."),
        remedy=f"Set api.endpoint to {', '.join(BUILT_IN)}, or to a file such as openapi.yaml#operationId.",
    )


def _text_of(path: Path) -> str:
    place = Location(file=str(path))
    try:
        return read_regular_text(path, _LARGEST_BYTES)
    except UnicodeDecodeError as error:
        raise _not_valid(str(path), "", "not text in UTF-8") from error
    except OSError as error:
        why = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise EndpointError(
            f"The description {path} {why}.", remedy="Correct api.endpoint in the configuration.", place=place
        ) from error


def _parse(description: Description) -> Node:
    from ruamel.yaml import YAML  # noqa: PLC0415  (slow to import; JSON is YAML too)
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    from batch_updater.config.yaml_limits import exceeds_alias_limit  # noqa: PLC0415  (it imports the same)

    path, place = description.path, Location(file=description.path)
    yaml = YAML(typ="safe", pure=True)
    # `add_constructor` would change every reader of YAML in the process.
    yaml.constructor.yaml_constructors = yaml.constructor.yaml_constructors | {
        "tag:yaml.org,2002:float": _exact_number,
        "tag:yaml.org,2002:timestamp": lambda _, node: node.value,
    }
    try:
        if exceeds_alias_limit(description.text):
            raise EndpointError(f"{path} uses too many YAML aliases.", remedy="Write them out.", place=place)
        document = yaml.load(description.text)
    except (YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" in line {line + 1}"
        raise _not_valid(path, where, getattr(error, "problem", None) or "it cannot be taken apart") from error
    if not isinstance(document, Mapping):
        raise EndpointError(f"{path} is not an OpenAPI document.", remedy="Name one that is.", place=place)
    return document


def _not_valid(path: str, where: str, what: str) -> EndpointError:
    return EndpointError(
        f"{path} is not valid YAML or JSON{where}: {what}.", remedy="Correct the document.", place=Location(file=path)
    )


def _exact_number(_constructor: object, node: object) -> Decimal:
    """Read 0.1 as 0.1: a bound may not pass through binary floating point."""
    text = str(getattr(node, "value", ""))
    try:
        return Decimal(text.replace("_", ""))
    except ArithmeticError:
        return Decimal("NaN")


@dataclass(frozen=True)
class _Found:
    """A node and where it stands, as a JSON pointer."""

    node: Node
    at: str


@dataclass(frozen=True)
class _Described:
    """A parameter or property as the document describes it."""

    node: Node
    """Everything that is said of it, wherever it stands."""
    schema: _Found
    required: bool


class _Document:
    """One OpenAPI document, with its references resolved on the way."""

    def __init__(self, path: str, root: Node) -> None:
        self._path = path
        self._root = root
        self._told: set[str] = set()
        """Properties of which an extension says that the answer reports them, whatever its schema lists."""

    def endpoint(self, operation_id: str | None, name: str | None) -> Endpoint:
        """Read one operation; `name` is what the configuration calls it, None for the operation's id."""
        if not str(self._root.get("openapi", "")).startswith("3."):
            self._refuse("/openapi", "is not version 3.0 or 3.1 of OpenAPI", "Convert the document.")
        path, method, item, operation = self._operation(operation_id)
        if not re.fullmatch(r"(/[^/?#\\\s]+)+/?", path) or {".", ".."} & set(path.split("/")):
            self._refuse(item.at, "is not a path that leads straight to one place", "Correct it.")
        answers, reading = self._answers(operation), self._reading(operation)
        if reading:
            answers = replace(answers, reported=answers.reported | reading.properties)
        parameters = self._parameters(path, item, operation)
        fields, content_type = self._body(operation, answers)
        fields = (*(self._parameter(found, answers) for found in parameters), *fields)
        answers = answers.with_told(frozenset(self._told))
        self._require_distinct(fields, operation.at)
        info = _mapping(self._root.get("info"))
        fields = tuple(sorted(fields, key=lambda field: list(ParameterLocation).index(field.location)))
        read = self._read_operation(reading, fields)
        return Endpoint(
            name=name or str(operation.node.get("operationId") or f"{method} {path}"),
            api_name=str(info.get("title") or "the API"),
            record_name=str(operation.node.get("x-record-name") or "record"),
            method=method.upper(),
            path=path,
            content_type=content_type,
            fields=fields,
            idempotent=method == "put" or operation.node.get("x-idempotent") is True,
            record_statuses=answers.record_statuses,
            default_record=answers.default_record,
            record_properties=answers.properties,
            error_message_keys=_texts(operation.node.get("x-error-message")),
            quota_message=answers.quota_message,
            read=read,
            quota_per_month=_whole(operation.node.get("x-quota-per-month")),
            sample_read=read or self._own_get(path, item, fields),
            server_paths=self._server_paths(),
        )

    def _own_get(self, path: str, item: _Found, fields: tuple[Field, ...]) -> ReadOperation | None:
        """Return the GET of the update's own path; None if there is none, or it needs what the update does not have."""
        if "get" not in item.node:
            return None
        try:
            read = self._resolved(item.node["get"], f"{item.at}/get")
            return self._read_operation(_Reading(path, item, read, frozenset()), fields)
        except EndpointError:  # nothing asks for it to be right
            return None

    def _server_paths(self) -> frozenset[str]:
        urls = (str(_mapping(server).get("url", "")) for server in _list(self._root.get("servers")))
        return frozenset(re.sub(r"^(\w+:)?//[^/]*", "", url).strip("/") for url in urls) - {""}

    def _reading(self, operation: _Found) -> _Reading | None:
        """Return the operation that reads a record, if the update names one."""
        wanted = _text(operation.node.get("x-read"))
        if wanted is None:
            return None
        for path, node in _mapping(self._root.get("paths")).items():
            item = self._resolved(node, f"/paths/{_escaped(path)}")
            read = self._resolved(item.node.get("get", {}), f"{item.at}/get")
            if read.node.get("operationId") == wanted:
                return _Reading(path, item, read, self._properties_read(read))
        self._refuse(f"{operation.at}/x-read", f"names {wanted}, which is no GET operation here", "Correct it.")

    def _read_operation(self, reading: _Reading | None, fields: tuple[Field, ...]) -> ReadOperation | None:
        """Return how to read with the values of an update: it must have them all."""
        if reading is None:
            return None
        known = {(field.wire_name, str(field.location)): field for field in fields}
        query = []
        for found in self._parameters(reading.path, reading.item, reading.operation):
            key = str(found.node.get("name")), str(found.node.get("in"))
            if key in known:
                query += [known[key].name] if key[1] == ParameterLocation.QUERY else []
            elif key[1] == ParameterLocation.PATH or found.node.get("required") is True:
                self._refuse(found.at, f"needs {key[0]}, which the update does not have", "Name another operation.")
        return ReadOperation(reading.path, tuple(query), reading.properties)

    def _operation(self, operation_id: str | None) -> tuple[str, str, _Found, _Found]:
        found = list(self._operations())
        if operation_id is None and len(found) == 1:
            return found[0]
        ids = [str(operation.node.get("operationId")) for *_, operation in found if "operationId" in operation.node]
        matching = [entry for entry in found if entry[3].node.get("operationId") == operation_id]
        if operation_id is not None and len(matching) == 1:
            return matching[0]
        close = nearest(operation_id or "", ids)
        self._refuse(
            "/paths",
            f"has no single PUT, PATCH or POST operation {operation_id or ''}".rstrip(),
            f"Did you mean {close!r}?"
            if close
            else f"Name one after #: {', '.join(ids) or 'none has an operationId'}.",
        )

    def _operations(self) -> Iterator[tuple[str, str, _Found, _Found]]:
        for path, node in _mapping(self._root.get("paths")).items():
            item = self._resolved(node, f"/paths/{_escaped(path)}")
            for method in _METHODS:
                if method in item.node:
                    yield path, method, item, self._resolved(item.node[method], f"{item.at}/{method}")

    def _resolved(self, node: object, at: str) -> _Found:
        """Follow `$ref` until something stands there itself."""
        seen: set[str] = set()
        while isinstance(node, Mapping) and "$ref" in node:
            target = str(node["$ref"])
            if not target.startswith("#/") or target in seen:
                self._refuse(at, f"refers to {target}, which is not supported", "Refer to a part of the same document.")
            seen.add(target)
            node, at = self._at(target, at), target[1:]
        if not isinstance(node, Mapping):
            self._refuse(at, "is not an object", "Correct the document.")
        return _Found(node, at)

    def _at(self, target: str, at: str) -> object:
        node: object = self._root
        for part in target[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                self._refuse(at, f"refers to {target}, which is not there", "Correct the reference.")
            node = node[key]
        return node

    def _refuse(self, at: str, what: str, remedy: str) -> NoReturn:
        raise EndpointError(f"{self._path}: {at} {what}.", remedy=remedy, place=Location(file=self._path))

    def _parameters(self, path: str, item: _Found, operation: _Found) -> list[_Found]:
        """Return the parameters that become fields: those of the path, overridden by the operation's own."""
        by_key: dict[tuple[str, str], _Found] = {}
        for owner in (item, operation):
            for position, node in enumerate(_list(owner.node.get("parameters"))):
                found = self._resolved(node, f"{owner.at}/parameters/{position}")
                by_key[str(found.node.get("name")), str(found.node.get("in"))] = found
        in_path = {name for name, location in by_key if location == "path"}
        if (needed := set(re.findall(r"{([^}]*)}", path))) != in_path:
            missing = sorted(needed ^ in_path)
            self._refuse(operation.at, f"and its path do not agree on {', '.join(missing)}", "Describe each once.")
        return [found for (_, location), found in by_key.items() if self._travels(found, location)]

    def _travels(self, found: _Found, location: str) -> bool:
        if location in (ParameterLocation.PATH, ParameterLocation.QUERY):
            return True
        if found.node.get("required") is True:
            name = found.node.get("name")
            self._refuse(
                found.at, f"requires a value in a {location}", f"Set {name} under api.headers, and leave it out here."
            )
        return False

    def _parameter(self, found: _Found, answers: _Answers) -> Field:
        if "content" in found.node:
            self._refuse(f"{found.at}/content", "is not supported for a parameter", "Use a schema.")
        schema = self._resolved(found.node.get("schema", {}), f"{found.at}/schema")
        location = ParameterLocation(str(found.node["in"]))
        required = location is ParameterLocation.PATH or found.node.get("required") is True
        described = _Described({**schema.node, **found.node}, schema, required)
        return self._field(str(found.node["name"]), location, described, answers)

    def _body(self, operation: _Found, answers: _Answers) -> tuple[tuple[Field, ...], str]:
        if "requestBody" not in operation.node:
            self._refuse(operation.at, "has no request body, so there is nothing to update", "Name another operation.")
        body = self._resolved(operation.node["requestBody"], f"{operation.at}/requestBody")
        content_type, media = self._json_content(body)
        if media is None:
            self._refuse(f"{body.at}/content", "has no JSON", "Only JSON bodies are supported.")
        schema = self._resolved(media.node.get("schema", {}), f"{media.at}/schema")
        self._require_plain(schema)
        if schema.node.get("type", "object") != "object" or not _mapping(schema.node.get("properties")):
            self._refuse(schema.at, "is not an object with properties", "Only flat JSON objects are supported.")
        required = _texts(schema.node.get("required"))
        fields = []
        for name, node in _mapping(schema.node.get("properties")).items():
            found = self._resolved(node, f"{schema.at}/properties/{_escaped(name)}")
            if found.node.get("readOnly") is not True:
                # In 3.1 extensions may stand beside a $ref.
                described = _Described({**found.node, **_mapping(node)}, found, name in required)
                fields.append(self._field(name, ParameterLocation.BODY, described, answers))
        return tuple(fields), content_type

    def _json_content(self, owner: _Found) -> tuple[str, _Found | None]:
        for media_type, node in _mapping(owner.node.get("content")).items():
            if _JSON.fullmatch(media_type):
                return media_type, self._resolved(node, f"{owner.at}/content/{_escaped(media_type)}")
        return "", None

    def _require_plain(self, schema: _Found) -> None:
        for keyword in _UNSUPPORTED:
            if keyword in schema.node:
                self._refuse(f"{schema.at}/{keyword}", "is not supported", "Write the properties out in one schema.")

    def _field(self, wire_name: str, location: ParameterLocation, described: _Described, answers: _Answers) -> Field:
        node, schema = described.node, described.schema
        name = str(node.get("x-field-name") or wire_name)
        kind, nullable = self._kind(schema)
        enum, null_in_enum = self._enum(schema, kind)
        self._told.update(filter(None, (_text(node.get("x-reported-as")), _text(node.get("x-reported-id-as")))))
        allowed = self._allowed(node, schema.at)
        selects_record = location is not ParameterLocation.BODY and node.get("x-selects-record") is not False
        is_free_text = kind is Kind.TEXT and not enum and allowed is None
        return Field(
            name=name,
            wire_name=wire_name,
            location=location,
            kind=kind,
            required=described.required,
            title=str(node.get("title") or name),
            description=" ".join(str(node.get("description") or "").split()),
            aliases=_texts(node.get("x-aliases")),
            enum=enum,
            bounds=_bounds(schema.node),
            nullable=location is ParameterLocation.BODY and (nullable or null_in_enum),
            date_format=str(node.get("x-date-format") or _ISO_DATE),
            example=_example(node),
            default=_text(node.get("default")),
            selects_record=selects_record,
            reported_as=_reported_as(node, wire_name, answers),
            reported_id_as=_text(node.get("x-reported-id-as")),
            allowed=allowed,
            is_identifier=is_free_text and (selects_record or _is_called_identifier(node, name)),
        )

    def _kind(self, schema: _Found) -> tuple[Kind, bool]:
        self._require_plain(schema)
        given = schema.node.get("type")
        types = set(_texts(given)) if isinstance(given, list) else {str(given)}
        nullable = "null" in types or schema.node.get("nullable") is True
        types -= {"null"}
        if given is None and (values := _list(schema.node.get("enum"))):
            types = {"string"} if all(isinstance(value, str) for value in values if value is not None) else types
        known = [_TYPES[name] for name in types if name in _TYPES]
        if len(types) != 1 or not known:
            self._refuse(schema.at, f"has the type {given}, which is not supported", f"Use one of {', '.join(_TYPES)}.")
        if known[0] is not Kind.TEXT:
            return known[0], nullable
        match schema.node.get("format"):
            case "date":
                return Kind.DATE, nullable
            case "date-time" | "time" | "binary" | "byte" as unsupported:
                self._refuse(
                    f"{schema.at}/format", f"is {unsupported}, which is not supported", "Leave the format out."
                )
            case _:
                return Kind.TEXT, nullable

    def _enum(self, schema: _Found, kind: Kind) -> tuple[tuple[Value, ...], bool]:
        listed = [schema.node["const"]] if "const" in schema.node else _list(schema.node.get("enum"))
        values: list[Value] = []
        for value in listed:
            if isinstance(value, (str, int, Decimal)):
                values.append(value)
            elif value is not None:
                self._refuse(f"{schema.at}/enum", "holds something that is no plain value", "Correct it.")
        if kind is Kind.DATE and values:
            self._refuse(f"{schema.at}/enum", "is not supported for a date", "Leave it out.")
        return tuple(values), None in listed

    def _allowed(self, node: Node, at: str) -> AllowedNames | None:
        allowed = node.get("x-allowed-names")
        if allowed is None:
            return None
        if not isinstance(allowed, Mapping) or not {"list", "name"} <= set(allowed):
            self._refuse(f"{at}/x-allowed-names", "needs at least list and name", "Correct it.")
        return AllowedNames(
            list_name=str(allowed["list"]),
            name_key=str(allowed["name"]),
            id_key=_text(allowed.get("id")),
            depends_on=_texts(allowed.get("depends-on")),
        )

    def _answers(self, operation: _Found) -> _Answers:
        statuses: dict[str, frozenset[str] | None] = {}
        properties: dict[str, None] = {}
        quota_message = None
        for status, node in _mapping(operation.node.get("responses")).items():
            answer = self._resolved(node, f"{operation.at}/responses/{status}")
            quota_message = quota_message or _text(answer.node.get("x-quota-exceeded"))
            if re.fullmatch(r"2\d\d|2XX|default", str(status), re.IGNORECASE):
                record = self._record(answer)
                statuses[str(status).upper()] = self._always_reported(answer, record)
                properties.update(dict.fromkeys(record or ()))
        exact = {int(key): promised for key, promised in statuses.items() if key.isdigit()}
        reported = frozenset(properties)
        return _Answers(exact, _of_other_statuses(statuses), reported, reported, quota_message)

    def _always_reported(self, answer: _Found, record: list[str] | None) -> frozenset[str] | None:
        """Return the properties that the record in an answer always has; None if it holds no record."""
        if "x-always-reported" not in answer.node:
            return None if record is None else frozenset(record)
        names = frozenset(_texts(answer.node["x-always-reported"]))
        if not names or not names <= set(record or names):
            self._refuse(f"{answer.at}/x-always-reported", "is no list of properties of the answer", "Correct it.")
        return names

    def _record(self, answer: _Found) -> list[str] | None:
        """Return the properties of the record that an answer holds; None if it holds none that is described."""
        schema = self._answer_schema(answer)
        if schema is None:
            return None
        properties = self._properties(schema)
        is_object = schema.node.get("type") == "object" or any(keyword in schema.node for keyword in _UNSUPPORTED)
        return properties if properties or is_object else None

    def _properties(self, schema: _Found, *outer: str) -> list[str]:
        """Return the properties that every object of a schema may have; `outer`: the schemas that it is a part of."""
        names = dict.fromkeys(_mapping(schema.node.get("properties")))
        for number, node in enumerate(_list(schema.node.get("allOf"))):
            part = self._resolved(node, f"{schema.at}/allOf/{number}")
            if part.at not in outer:
                names.update(dict.fromkeys(self._properties(part, schema.at, *outer)))
        return list(names)

    def _answer_schema(self, answer: _Found) -> _Found | None:
        _, media = self._json_content(answer)
        if media is None or "schema" not in media.node:
            return None
        return self._resolved(media.node["schema"], f"{media.at}/schema")

    def _properties_read(self, read: _Found) -> frozenset[str]:
        """Return the properties of the record that a reading gives, alone or in an array."""
        properties: set[str] = set()
        for status, node in _mapping(read.node.get("responses")).items():
            answer = self._resolved(node, f"{read.at}/responses/{status}")
            schema = self._answer_schema(answer) if re.fullmatch(r"2\d\d|2XX", str(status), re.IGNORECASE) else None
            if schema and "items" in schema.node:
                schema = self._resolved(schema.node["items"], f"{schema.at}/items")
            properties |= set(self._properties(schema)) if schema else set()
        return frozenset(properties)

    def _require_distinct(self, fields: tuple[Field, ...], at: str) -> None:
        seen: dict[str, Field] = {}
        for field in fields:
            if (other := seen.setdefault(field.name, field)) is not field:
                self._refuse(
                    at,
                    f"has two fields called {field.name}, in the {other.location} and in the {field.location}",
                    "Give one of them another name with x-field-name.",
                )


@dataclass(frozen=True)
class _Answers:
    """What the responses of an operation say."""

    record_statuses: Mapping[int, frozenset[str] | None]
    default_record: frozenset[str] | None
    properties: frozenset[str]
    """Of the record that they hold; empty if none is described."""
    reported: frozenset[str]
    """The same with those that a reading gives."""
    quota_message: str | None

    def with_told(self, told: frozenset[str]) -> _Answers:
        """Return the same, with what only extensions say is reported."""
        more = told - self.reported
        statuses = {key: None if names is None else names | more for key, names in self.record_statuses.items()}
        default = None if self.default_record is None else self.default_record | more
        return replace(self, record_statuses=statuses, default_record=default)


@dataclass(frozen=True)
class _Reading:
    """The operation that reads a record."""

    path: str
    item: _Found
    operation: _Found
    properties: frozenset[str]
    """Of the record that it gives; empty if none is described."""


def _of_other_statuses(statuses: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
    """Return what a 2xx answer promises whose status is not listed: what all that are listed and hold a record do."""
    # `default` means errors to most authors: it speaks of a success only where nothing else does.
    if not any(key.startswith("2") for key in statuses):
        return statuses.get("DEFAULT")
    if "2XX" in statuses:
        return statuses["2XX"]
    records = [promised for key, promised in statuses.items() if key != "DEFAULT" and promised is not None]
    return frozenset.intersection(*records) if records else None


def _is_called_identifier(node: Node, name: str) -> bool:
    """Whether a field's description says that it is an identifier, or else its name, title or first sentence does."""
    if isinstance(stated := node.get("x-identifier"), bool):
        return stated
    for text in (name, str(node.get("title") or "")):
        words = [word.lower() for word in _WORDS.findall(text)]
        if not _OTHER_NUMBERS.isdisjoint(words):
            return False
        if words and (words[0] == "id" or words[-1] in _IDENTIFIERS):
            return True
    return _CALLED_IDENTIFIER.match(str(node.get("description") or "")) is not None


def _reported_as(node: Node, wire_name: str, answers: _Answers) -> str | None:
    """Return where an answer reports a value: where the document says so, else under its own name if it has that."""
    if "x-reported-as" in node:
        return _text(node["x-reported-as"])
    return wire_name if not answers.reported or wire_name in answers.reported else None


def _bounds(node: Node) -> Bounds:
    lowest, highest = _number(node.get("minimum")), _number(node.get("maximum"))
    below, above = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    return Bounds(
        # In 3.0 `exclusiveMinimum: true` sharpens `minimum`; in 3.1 it is a number of its own.
        minimum=None if below is True else lowest,
        maximum=None if above is True else highest,
        exclusive_minimum=lowest if below is True else _number(below),
        exclusive_maximum=highest if above is True else _number(above),
        multiple_of=_number(node.get("multipleOf")),
        min_length=_whole(node.get("minLength")),
        max_length=_whole(node.get("maxLength")),
        pattern=_text(node.get("pattern")),
    )


def _example(node: Node) -> str:
    examples = node.get("examples")
    if isinstance(examples, list) and examples:
        return _text(examples[0]) or ""
    return _text(node.get("example")) or ""


def _number(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """Return a scalar as a person would type it; None for none."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in _list(value))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
