"""An OpenAPI document as nodes: one class for each kind of node, with exactly the keys that are used.

Its version is 3.0 or 3.1; one of Swagger 2.0 is converted, node by node.

A node is read when it is needed, so that a mistake elsewhere in a large document does no harm. Published documents are
often careless: a key whose value has an unexpected type counts as absent unless the node is useless without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import ClassVar, NamedTuple, NoReturn, TypeVar, cast

from batch_updater.endpoint import swagger
from batch_updater.endpoint.document_files import BadReferenceError, DocumentFiles
from batch_updater.errors import EndpointError, Location
from batch_updater.text.yaml_reader import DoubledKeys

_T = TypeVar("_T")


class ExtensionError(EndpointError):
    """An extension of this program, which a person has written for it, is not as it has to be."""


class _KeyProblem(Exception):  # noqa: N818  (it is of the document)
    """Why a node is useless with the value of one key, or without it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.keys: list[str] = []
        """That lead to it from the node, from the last to the first."""


_ABSENT = object()


def _text(value: object) -> str | None:
    if value is None:
        return None
    try:
        return str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:  # a number of thousands of digits
        return None


def _name(value: object) -> str:
    if value is _ABSENT:
        raise _KeyProblem("is missing")
    name = _text(value)
    if name is None:
        raise _KeyProblem("has a wrong value")
    return name


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(item) or "null" for item in _list([value] if isinstance(value, str) else value))


def _texts_or_none(value: object) -> tuple[str, ...] | None:
    return None if value is None else _texts(value)


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> Decimal | None:
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _limit(value: object) -> Decimal | bool | None:
    """In 3.0 `exclusiveMinimum: true` sharpens `minimum`; in 3.1 it is a number of its own."""
    return value if value is True else _number(value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _list_of_texts(value: object) -> list[str | None]:
    return [_text(item) for item in _list(value)]


def _members(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def _title(info: object) -> str | None:
    return _text(info.get("title")) if isinstance(info, Mapping) else None


def _as_written(value: object) -> object:
    return value


def _name_list(value: object) -> NameList | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _KeyProblem("is not an object")
    return NameList(value, "")


def _doubled(_value: object) -> NoReturn:
    raise _KeyProblem("is there twice")


class _Key(NamedTuple):
    """One key of a node."""

    name: str
    read: Callable[[object], object]
    absent: object
    """What is read where the node does not have it."""


def _key(name: str, read: Callable[[object], _T], absent: object = None) -> _T:
    """Declare a key of a node: the attribute is what `read` makes of its value, once there is a node."""
    return cast("_T", _Key(name, read, absent))


class Node:
    """A node. Its children are as they are written, for `Resolver.node`."""

    keys: ClassVar[Mapping[str, _Key]] = {}
    """By attribute."""
    _attributes: ClassVar[Mapping[str, str]] = {}
    """Key -> attribute."""
    _needed: ClassVar[tuple[str, ...]] = ()
    """Keys that have to be there."""

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, _Key)}
        cls.keys = {**cls.keys, **own}
        cls._attributes = {key.name: attribute for attribute, key in cls.keys.items()}
        for attribute, key in own.items():
            # Most nodes have few of their keys: the attribute of the class is what is read where a key is absent.
            try:
                setattr(cls, attribute, key.read(key.absent))
            except _KeyProblem:
                cls._needed = (*cls._needed, key.name)

    def __init__(self, written: Mapping[str, object], at: str) -> None:
        """`at` is its JSON pointer (RFC 6901), references followed."""
        self.written = written
        self.at = at
        doubled = written.doubled if isinstance(written, DoubledKeys) else frozenset()
        attributes, keys, own = self._attributes, self.keys, self.__dict__
        for name in (*written, *self._needed):
            if (attribute := attributes.get(name)) is None:
                continue
            key = keys[attribute]
            read = _doubled if name in doubled else key.read
            try:
                own[attribute] = read(written.get(name, key.absent))
            except _KeyProblem as problem:
                problem.keys.append(name)
                raise


class NameList(Node):
    """The value of `x-allowed-names`."""

    list = _key("list", _name, _ABSENT)
    name = _key("name", _name, _ABSENT)
    id = _key("id", _text)
    depends_on = _key("depends-on", _texts)


class Annotations(Node):
    """The keys of a parameter or schema that describe a field and do not restrict its values."""

    title = _key("title", _text)
    description = _key("description", _text)
    default = _key("default", _text)
    example = _key("example", _text)
    examples = _key("examples", _list_of_texts)
    """A list in a schema; an object in a parameter."""
    x_field_name = _key("x-field-name", _text)
    x_aliases = _key("x-aliases", _texts)
    x_date_format = _key("x-date-format", _text)
    x_reported_as = _key("x-reported-as", _text)
    x_reported_id_as = _key("x-reported-id-as", _text)
    x_selects_record = _key("x-selects-record", _truth)
    x_allowed_names = _key("x-allowed-names", _name_list)
    x_identifier = _key("x-identifier", _truth)


_ANNOTATION_KEYS = frozenset(key.name for key in Annotations.keys.values())
"""Keys that count beside a `$ref` (3.1), too."""


class Schema(Annotations):
    """A schema of a value, or of an object with properties."""

    type = _key("type", _texts)
    format = _key("format", _text)
    enum = _key("enum", _list)
    const = _key("const", _as_written)
    minimum = _key("minimum", _number)
    maximum = _key("maximum", _number)
    exclusive_minimum = _key("exclusiveMinimum", _limit)
    exclusive_maximum = _key("exclusiveMaximum", _limit)
    multiple_of = _key("multipleOf", _number)
    min_length = _key("minLength", _whole)
    max_length = _key("maxLength", _whole)
    min_items = _key("minItems", _whole)
    max_items = _key("maxItems", _whole)
    pattern = _key("pattern", _text)
    nullable = _key("nullable", _truth)
    read_only = _key("readOnly", _truth)
    write_only = _key("writeOnly", _truth)
    properties = _key("properties", _members)
    required = _key("required", _texts)
    items = _key("items", _as_written)
    all_of = _key("allOf", _list)
    one_of = _key("oneOf", _list)
    any_of = _key("anyOf", _list)

    def annotated(self, annotations: Annotations) -> Schema:
        """Return the schema with annotations in place of its own."""
        return Schema({**self.written, **annotations_in(annotations.written)}, self.at)


class Parameter(Annotations):
    """A parameter."""

    name = _key("name", _name, _ABSENT)
    in_ = _key("in", _name, _ABSENT)
    required = _key("required", _truth)
    schema = _key("schema", _as_written, {})
    content = _key("content", _members)
    style = _key("style", _text)
    explode = _key("explode", _truth)
    collection_format = _key("collectionFormat", _text)
    """Of Swagger 2, which some authors go on using."""


class Encoding(Node):
    """How a member of a form is written."""

    content_type = _key("contentType", _text)
    style = _key("style", _text)
    explode = _key("explode", _truth)


class MediaType(Node):
    """A body in one format."""

    schema = _key("schema", _as_written)
    encoding = _key("encoding", _members)


class RequestBody(Node):
    """The body of a request."""

    content = _key("content", _members)


class Response(Node):
    """The answers of one status."""

    content = _key("content", _members)
    x_always_reported = _key("x-always-reported", _texts_or_none)
    x_quota_exceeded = _key("x-quota-exceeded", _text)


class Operation(Node):
    """One method of a path."""

    operation_id = _key("operationId", _text)
    summary = _key("summary", _text)
    parameters = _key("parameters", _list)
    servers = _key("servers", _list)
    request_body = _key("requestBody", _as_written)
    responses = _key("responses", _members)
    x_record_name = _key("x-record-name", _text)
    x_error_message = _key("x-error-message", _texts)
    x_idempotent = _key("x-idempotent", _truth)
    x_read = _key("x-read", _text)
    x_quota_per_month = _key("x-quota-per-month", _whole)


class PathItem(Node):
    """The operations of one path, by method."""

    parameters = _key("parameters", _list)
    servers = _key("servers", _list)


class Document(Node):
    """The root."""

    openapi = _key("openapi", _text)
    title = _key("info", _title)
    servers = _key("servers", _list)
    paths = _key("paths", _members)
    components = _key("components", _members)


def annotations_in(written: Mapping[str, object]) -> dict[str, object]:
    """Return those keys of a node that are annotations."""
    return {key: value for key, value in written.items() if key in _ANNOTATION_KEYS}


_Model = TypeVar("_Model", bound=Node)


class Resolver:
    """Reads the nodes of one document and follows `$ref`. Every refusal names the file and the JSON pointer.

    A place in another file is that file's name, `#`, and the pointer.
    """

    def __init__(self, files: DocumentFiles) -> None:
        self._files = files
        self._path = str(files.path)
        self._is_swagger = "swagger" in files.root

    def document(self) -> Document:
        """Return the root. Raises EndpointError."""
        return self._read(Document, self._files.root, "")

    def node(self, model: type[_Model], written: object, parent: Node, *keys: str) -> _Model:
        """Return what is written under these keys of a node, or what a reference there leads to.

        Raises EndpointError.
        """
        at = "/".join((parent.at, *(key.replace("~", "~0").replace("/", "~1") for key in keys)))
        container: object = parent.written
        for key in keys:
            if isinstance(container, DoubledKeys) and key in container.doubled:
                self.refuse(at, "is there twice", "Correct the document.")
            container = container.get(key) if isinstance(container, Mapping) else None
        beside: dict[str, object] = {}
        seen: set[str] = set()
        while isinstance(written, Mapping) and isinstance(target := written.get("$ref"), str):
            if target in seen:
                self.refuse(at, f"refers to {target}, which leads in a circle", "Correct the reference.")
            seen.add(target)
            beside = {**written, **beside}
            try:
                written = self._files.find(target)
            except BadReferenceError as problem:
                self.refuse(at, f"refers to {target}, which {problem}", problem.remedy)
            at = target.removeprefix("#") if "#" in target else f"{target}#"
        if not isinstance(written, Mapping):
            self.refuse(at, "is not an object", "Correct the document.")
        if self._is_swagger:
            written = self._converted(model, written)
        annotations = annotations_in(beside)
        return self._read(model, {**written, **annotations} if annotations else written, at)

    def _converted(self, model: type[_Model], written: Mapping[str, object]) -> Mapping[str, object]:
        if model is PathItem:
            return swagger.converted_path(written, self._files.root, self._followed)
        return swagger.converted_schema(written) if model is Schema else written

    def _followed(self, written: object) -> object:
        """Return what a reference leads to; one that leads nowhere as it is, which is refused where it is needed."""
        with suppress(BadReferenceError, EndpointError):
            return self._files.followed(written)
        return written

    def _read(self, model: type[_Model], written: Mapping[str, object], at: str) -> _Model:
        try:
            return model(written, at)
        except _KeyProblem as problem:
            where = "/".join((at, *reversed(problem.keys)))
            kind = ExtensionError if problem.keys[-1].startswith("x-") else EndpointError
            place = Location(file=self._path)
            raise kind(
                f"{self._path}: {where} {problem.what}.", remedy="Correct the document.", place=place
            ) from problem

    def refuse(self, at: str, what: str, remedy: str) -> NoReturn:
        """Raise the EndpointError that something at a JSON pointer is not accepted."""
        raise EndpointError(f"{self._path}: {at} {what}.", remedy=remedy, place=Location(file=self._path))
