"""An OpenAPI 3.0 or 3.1 document as nodes: one model for each kind of node, with exactly the keys that are used.

A node is read when it is needed, so that a mistake elsewhere in a large document does no harm. Published documents are
often careless: a key whose value has an unexpected type counts as absent unless the node is useless without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, NoReturn, TypeVar

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from batch_updater.errors import EndpointError, Location


def _text(value: object) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


Text = Annotated[str | None, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda one: tuple(_text(item) or "null" for item in _list([one] if isinstance(one, str) else one))),
]
Truth = Annotated[bool | None, BeforeValidator(lambda value: value if isinstance(value, bool) else None)]
Whole = Annotated[int | None, BeforeValidator(lambda value: value if type(value) is int else None)]
Number = Annotated[Decimal | None, BeforeValidator(_number)]
Limit = Annotated[Decimal | bool | None, BeforeValidator(lambda value: value if value is True else _number(value))]
"""In 3.0 `exclusiveMinimum: true` sharpens `minimum`; in 3.1 it is a number of its own."""
Items = Annotated[list[object], BeforeValidator(_list)]
Members = Annotated[
    dict[str, object],
    BeforeValidator(lambda one: {str(key): member for key, member in one.items()} if isinstance(one, Mapping) else {}),
]
"""With keys that are texts: YAML reads the status 200 as a number."""


def _key(attribute: str) -> str:
    """Return the key of an attribute: `operationId` for `operation_id`, `x-field-name` for `x_field_name`."""
    name = attribute.rstrip("_")
    return name.replace("_", "-") if name.startswith("x_") else to_camel(name)


class Node(BaseModel):
    """A node. Its children are as they are written, for `Resolver.node`."""

    model_config = ConfigDict(frozen=True, alias_generator=_key)

    at: str = ""
    """Its JSON pointer (RFC 6901), references followed."""


class NameList(Node):
    """The value of `x-allowed-names`."""

    list: Name
    name: Name
    id: Text = None
    depends_on: Texts = Field((), alias="depends-on")


class Annotations(Node):
    """The keys of a parameter or schema that describe a field and do not restrict its values."""

    title: Text = None
    description: Text = None
    default: Text = None
    example: Text = None
    examples: Annotated[list[Text], BeforeValidator(_list)] = []
    """A list in a schema; an object in a parameter."""
    x_field_name: Text = None
    x_aliases: Texts = ()
    x_date_format: Text = None
    x_reported_as: Text = None
    x_reported_id_as: Text = None
    x_selects_record: Truth = None
    x_allowed_names: NameList | None = None
    x_identifier: Truth = None


_ANNOTATION_KEYS = frozenset(_key(name) for name in Annotations.model_fields if name != "at")
"""Keys that count beside a `$ref` (3.1), too."""


class Schema(Annotations):
    """A schema of a value, or of an object with properties."""

    type: Texts = ()
    format: Text = None
    enum: Items = []
    const: object = None
    minimum: Number = None
    maximum: Number = None
    exclusive_minimum: Limit = None
    exclusive_maximum: Limit = None
    multiple_of: Number = None
    min_length: Whole = None
    max_length: Whole = None
    pattern: Text = None
    nullable: Truth = None
    read_only: Truth = None
    properties: Members = {}
    required: Texts = ()
    items: object = None
    one_of: object = None
    any_of: object = None
    all_of: Items = []
    not_: object = None
    if_: object = None

    @property
    def compositions(self) -> tuple[str, ...]:
        """The keywords with which it is composed of other schemas, such as `oneOf`."""
        return tuple(
            _key(name) for name in ("one_of", "any_of", "all_of", "not_", "if_") if name in self.model_fields_set
        )

    def annotated(self, annotations: Annotations) -> Schema:
        """Return the schema with annotations in place of its own."""
        names = annotations.model_fields_set & Annotations.model_fields.keys() - {"at"}
        return self.model_copy(update={name: getattr(annotations, name) for name in names})


class Parameter(Annotations):
    """A parameter."""

    name: Name
    in_: Name
    required: Truth = None
    schema_: object = {}
    content: object = None


class MediaType(Node):
    """A body in one format."""

    schema_: object = None


class RequestBody(Node):
    """The body of a request."""

    content: Members = {}


class Response(Node):
    """The answers of one status."""

    content: Members = {}
    x_always_reported: Texts | None = None
    x_quota_exceeded: Text = None


class Operation(Node):
    """One method of a path."""

    operation_id: Text = None
    parameters: Items = []
    request_body: object = None
    responses: Members = {}
    x_record_name: Text = None
    x_error_message: Texts = ()
    x_idempotent: Truth = None
    x_read: Text = None
    x_quota_per_month: Whole = None


class PathItem(Node):
    """The operations of one path, by method."""

    parameters: Items = []
    get: object = None
    put: object = None
    patch: object = None
    post: object = None


class Document(Node):
    """The root."""

    openapi: Text = None
    title: Text = Field(None, validation_alias=AliasPath("info", "title"))
    servers: Items = []
    paths: Members = {}


_Model = TypeVar("_Model", bound=Node)


class Resolver:
    """Reads the nodes of one document and follows `$ref`. Every refusal names the file and the JSON pointer."""

    def __init__(self, path: str, root: Mapping[str, object]) -> None:
        self._path = path
        self._root = root

    def document(self) -> Document:
        """Return the root. Raises EndpointError."""
        return Document.model_validate({**self._root, "at": ""})

    def node(self, model: type[_Model], written: object, parent: Node, *keys: str) -> _Model:
        """Return what is written under these keys of a node, or what a reference there leads to.

        Raises EndpointError.
        """
        at = "/".join((parent.at, *(key.replace("~", "~0").replace("/", "~1") for key in keys)))
        beside: dict[str, object] = {}
        seen: set[str] = set()
        while isinstance(written, Mapping) and "$ref" in written:
            target = str(written["$ref"])
            if not target.startswith("#/") or target in seen:
                self.refuse(at, f"refers to {target}, which is not supported", "Refer to a part of the same document.")
            seen.add(target)
            beside = {**written, **beside}
            written = self._root
            for part in target[2:].split("/"):
                key = part.replace("~1", "/").replace("~0", "~")
                if not isinstance(written, Mapping) or key not in written:
                    self.refuse(at, f"refers to {target}, which does not exist", "Correct the reference.")
                written = written[key]
            at = target[1:]
        if not isinstance(written, Mapping):
            self.refuse(at, "is not an object", "Correct the document.")
        try:
            annotations = {key: beside[key] for key in _ANNOTATION_KEYS & beside.keys()}
            return model.model_validate({**written, **annotations, "at": at})
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            place = "/".join((at, *map(str, detail["loc"])))
            what = {"missing": "is missing", "model_type": "is not an object"}.get(detail["type"], "has a wrong value")
            self.refuse(place, what, "Correct the document.")

    def refuse(self, at: str, what: str, remedy: str) -> NoReturn:
        """Raise the EndpointError that something at a JSON pointer is not accepted."""
        raise EndpointError(f"{self._path}: {at} {what}.", remedy=remedy, place=Location(file=self._path))


def parse(path: str, text: str) -> Mapping[str, object]:
    """Return the document that a text in YAML or JSON holds; `path` is for messages. Raises EndpointError."""
    from ruamel.yaml import YAML  # noqa: PLC0415  (slow to import)
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    from batch_updater.config.yaml_limits import exceeds_alias_limit  # noqa: PLC0415  (it imports the same)

    def exact_number(_constructor: object, node: object) -> Decimal:
        """Read 0.1 as 0.1: a bound may not pass through binary floating point."""
        try:
            return Decimal(str(getattr(node, "value", "")).replace("_", ""))
        except ArithmeticError:
            return Decimal("NaN")

    place = Location(file=path)
    yaml = YAML(typ="safe", pure=True)
    # `add_constructor` would change every reader of YAML in the process.
    yaml.constructor.yaml_constructors = yaml.constructor.yaml_constructors | {
        "tag:yaml.org,2002:float": exact_number,
        "tag:yaml.org,2002:timestamp": lambda _, node: node.value,
    }
    try:
        if exceeds_alias_limit(text):
            raise EndpointError(f"{path} uses too many YAML aliases.", remedy="Write them out.", place=place)
        document = yaml.load(text)
    except (YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" in line {line + 1}"
        raise not_valid(path, where, getattr(error, "problem", None) or "it cannot be parsed") from error
    if not isinstance(document, Mapping):
        raise EndpointError(f"{path} is not an OpenAPI document.", remedy="Name one that is.", place=place)
    return document


def not_valid(path: str, where: str, what: str) -> EndpointError:
    """Return the error of a file that is neither YAML nor JSON; `where` is such as ` in line 3`."""
    return EndpointError(
        f"{path} is not valid YAML or JSON{where}: {what}.", remedy="Correct the document.", place=Location(file=path)
    )
