"""`Endpoint` and `Field`: one call of any API.

`endpoint/stored.py` stores them without what has its default, so that an attribute that is new changes no digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from batch_updater.endpoint.reported_failure import is_call_status
from batch_updater.endpoint.words import bare
from batch_updater.records import Value

if TYPE_CHECKING:
    _EnumValue: TypeAlias = Value
else:
    _EnumValue = Any  # msgspec knows no union of texts with numbers and dates, which it writes as texts


class ParameterLocation(StrEnum):
    """The part of the request that holds a field."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    BODY = "body"


class Kind(StrEnum):
    """The type of a field's values."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "date-time"
    """A point in time. Its value is the text of RFC 3339 that is sent."""
    LIST = "list"
    """A list of plain values. Its value is the text of the JSON array."""
    JSON = "JSON"
    """Anything else. Its value is a JSON text, as written in the cell."""
    ANY = "any"
    """A member of a free map, of the type that its cell has: text, number, truth value or date."""


class BodyFormat(StrEnum):
    """How the body of a request is written."""

    JSON = "JSON"
    FORM = "form"
    """`application/x-www-form-urlencoded`."""
    MULTIPART = "multipart form"
    """`multipart/form-data` (RFC 7578) with a part of text for each value. Texts of rows have it as a form."""
    JSON_PATCH = "JSON Patch"
    """A list of `replace` operations (RFC 6902)."""
    NONE = "none"

    @property
    def is_form(self) -> bool:
        """Whether it has names and texts alone, and so neither null nor an empty list."""
        return self in {BodyFormat.FORM, BodyFormat.MULTIPART}


EMPTY_VALUES = frozenset({"[]", "{}"})
"""Values of lists and JSON that hold nothing."""


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """The element of a list that has a key, and its member that holds the value: `{"id": 360001, "value": ...}`."""

    key_name: str
    key: str | int
    value_name: str


Step: TypeAlias = str | int | Pair
"""One step into JSON: the name of a member, a 0-based position in a list, or the value of the element with a key."""


class AllowedNames(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an error answer lists the valid names of a field."""

    list_name: str
    """The property of the error answer that holds the list of objects."""
    name_key: str
    """The property of an object in the list that holds the name."""
    id_key: str | None
    """The property that holds the id that an answer reports; None if there is none."""
    depends_on: tuple[str, ...]
    """Names of the fields that the list depends on, such as the language."""


class Bounds(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of a number, or of a text's length in characters; None means unlimited."""

    minimum: Decimal | None = None
    maximum: Decimal | None = None
    exclusive_minimum: Decimal | None = None
    exclusive_maximum: Decimal | None = None
    multiple_of: Decimal | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    """A regular expression that must be found in a text."""
    min_items: int | None = None
    max_items: int | None = None


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter or body field of the call."""

    name: str
    """Unique within the endpoint; also the header that a template has: `ticket.status`."""
    wire_name: str
    """The name of the parameter, or of the innermost member in the body: `status`."""
    location: ParameterLocation
    kind: Kind
    required: bool
    title: str
    """For people, such as `stage`; the name if the description has no title."""
    description: str
    aliases: tuple[str, ...]
    """Further headers of its column; matched without regard to case."""
    enum: tuple[_EnumValue, ...]
    """The only valid values; empty if any is."""
    bounds: Bounds
    nullable: bool
    """Whether null may be sent, which clears the field. Body fields only."""
    date_format: str
    """The format of a date in the request, for `date.strftime`."""
    example: str
    default: str | None
    """The API's value if the field is not sent, as text; None if the description has none."""
    selects_record: bool
    """Whether the field is part of the target: two rows with the same of these update the same record."""
    reported_as: tuple[Step, ...]
    """Where the record of an answer holds the value, from the record's root; () if it does not."""
    reported_id_as: str | None
    """The property of an answer that holds the id for the name; None if none does."""
    allowed: AllowedNames | None
    is_identifier: bool = False
    """Whether a text is a number or code, exact to the character, rather than a name or prose; or a whole number of
    the body no amount, but what identifies something."""
    path: tuple[Step, ...] = ()
    """Where the value is in the body, from its root: `("ticket", "status")`; () outside of the body."""
    format: str = ""
    """`email`, `uuid` or `uri` for a text that has to be one; '' for any text."""
    item_kind: Kind = Kind.TEXT
    """Kind of the items of a list, which `enum`, `bounds` (but for its `_items`) and `format` are about."""
    delimiter: str = ""
    """What is written between the items of a list in a query or form; '' for a parameter for each of them."""
    is_indexed: bool = False
    """Whether the parameter for each item of a list has its position: `tags[0]`, as a form in style deepObject."""
    clears_with: str | None = None
    """What is sent to empty a field that can be emptied, such as ''; None: JSON null. A list in JSON is `[]`."""
    json_schema: str = ""
    """The JSON Schema, as JSON with everything it refers to, that a cell of JSON has to be valid by; '' for any."""

    @property
    def has_title(self) -> bool:
        """Whether the description calls it otherwise than by its name, so that `a` can go before that."""
        return self.title != self.name

    @property
    def takes_empty_list(self) -> bool:
        """Whether it is a list of the body that may have no items."""
        return self.kind is Kind.LIST and self.location is ParameterLocation.BODY and not self.bounds.min_items

    @property
    def can_be_cleared(self) -> bool:
        """Whether the clear marker may be used."""
        return self.nullable or self.clears_with is not None or self.takes_empty_list

    @property
    def may_be_empty(self) -> bool:
        """Whether a value of its own, out of `EMPTY_VALUES`, empties the field as null does."""
        return self.kind in {Kind.LIST, Kind.JSON}

    @property
    def list_reported_as(self) -> tuple[Step, ...]:
        """Where the record of an answer holds the list of which an element has the field; () if there is none."""
        at = next((at for at, step in enumerate(self.reported_as) if isinstance(step, int)), 0)
        return self.reported_as[:at]

    @property
    def is_json_array(self) -> bool:
        """Whether a cell of JSON has to hold an array."""
        schema = msgspec.json.decode(self.json_schema) if self.json_schema else None
        types = schema.get("type") if isinstance(schema, dict) else None
        return "array" in (types if isinstance(types, list) else [types])


class Requirement(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the body that has to be there if another part is."""

    within: tuple[Step, ...]
    """An object, which is sent if one of the fields below it has a value; () for the body, which is always sent."""
    member: tuple[Step, ...]
    """The path of the member that it then needs: a field's own, or one above that of several fields."""


class OpenKind(StrEnum):
    """What the columns of an open part of a body are."""

    MAP = "map"
    """`properties.email`: any member of an object."""
    PAIRS = "pairs"
    """`ticket.custom_fields[360001]`: the value of the element with that key."""
    ITEMS = "items"
    """`lines[0].amount`: a member of the element at that position."""


class OpenColumns(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the body whose columns a description cannot list: the file's headers say which there are."""

    name: str
    """What the headers of its columns begin with: `properties`, `ticket.custom_fields`, `lines`."""
    path: tuple[Step, ...]
    """Where it is in the body."""
    kind: OpenKind
    title: str
    fields: tuple[Field, ...]
    """MAP, PAIRS: one, a model of each field. ITEMS: those of an element, names and paths relative to it."""
    opens: tuple[OpenColumns, ...] = ()
    """ITEMS: the open parts of an element, names and paths relative to it."""
    requirements: tuple[Requirement, ...] = ()
    """ITEMS: those within an element, relative to it."""
    key_name: str = ""
    """PAIRS: the member that holds the key."""
    has_number_keys: bool = False
    """PAIRS: whether the key is a number."""
    value_name: str = ""
    """PAIRS: the member that holds the value."""
    aliases: tuple[str, ...] = ()
    """Other beginnings of headers: the last part of the name where it is unique."""
    reported_as: tuple[Step, ...] = ()
    """Where the record of an answer holds the part, as in `Field`; () if it does not."""
    is_record: bool = False
    """MAP: whether it is the record itself, so that `reported_as` is () although the record reports it."""
    described: tuple[str, ...] = ()
    """MAP: the members that the description lists: they have fields of their own, or cannot be sent."""


class LeftOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of the description that no column can be."""

    field: str
    why: str
    """To follow `is left out because`: `it is a file`."""


class SecurityKind(StrEnum):
    """Where a request has what authenticates it."""

    BASIC = "basic"
    """In the header Authorization: user and password in Base64 (RFC 7617)."""
    SCHEME = "scheme"
    """In the header Authorization, after a word such as Bearer (RFC 9110, section 11.4)."""
    HEADER = "header"
    QUERY = "query"


class SecurityScheme(msgspec.Struct, frozen=True, omit_defaults=True):
    """One secret that authenticates a request."""

    kind: SecurityKind
    name: str
    """The word before it, or the name of the header or parameter."""
    token_url: str = ""
    """Where client credentials of OAuth 2.0 get a bearer token; '' if the description names none."""
    scopes: tuple[str, ...] = ()
    """Of OAuth 2.0, that the operation needs."""


class NoSuchReadError(Exception):
    """The operation that is to read a record according to the configuration is not in the document."""

    def __init__(self, operations: tuple[str, ...]) -> None:
        """`operations` are the GET operations that are."""
        super().__init__("no such operation")
        self.operations = operations


class ReadOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The operation of the same API that returns a record."""

    path: str
    """With a leading slash and `{wire_name}` for each path field of the update."""
    query: tuple[str, ...]
    properties: frozenset[str] = frozenset()
    record_path: tuple[str | int, ...] = ()
    """Where the record is in the answer, as in `Endpoint`."""
    more_query: str = ""
    """Parameters that every reading has beside those of its row, as they are sent: `properties=phone,email`."""


class Endpoint(msgspec.Struct, frozen=True, dict=True, omit_defaults=True):
    """One operation of an API."""

    name: str
    """`nexus-opportunity`, or the operation's id."""
    api_name: str
    """For people, such as `Nexus`: the description's `info.title`."""
    record_name: str
    method: str
    path: str
    """With a leading slash and `{wire_name}` for each path field."""
    content_type: str
    """'' where there is no body."""
    fields: tuple[Field, ...]
    """Path, query, header, body, in the order of the description."""
    idempotent: bool
    """Whether a request that may have been applied may be repeated (RFC 9110, section 9.2.2)."""
    record_statuses: Mapping[int, frozenset[str] | None]
    """2xx status that the description lists -> the properties that the record in the answer always has; None: the
    answer has no record."""
    default_record: frozenset[str] | None
    """The same for the 2xx statuses that it does not list."""
    record_properties: frozenset[str]
    """Properties of the record that a 2xx answer may hold; empty if none is described."""
    error_message_keys: tuple[str, ...]
    """Properties of an error answer that hold its message, the best first."""
    quota_message: str | None
    """The message of a 429 for a used-up quota; None if the description has none."""
    read: ReadOperation | None = None
    """None if the description names no such operation."""
    quota_per_month: int | None = None
    """Requests that the account may send in a month; None if not described."""
    sample_read: ReadOperation | None = None
    """Reads a record to try the set-up: `read`, or else the GET of the update's own path, if any."""
    server_paths: frozenset[str] = frozenset()
    """Paths of the description's `servers`, without slashes around them."""
    body_format: BodyFormat = BodyFormat.JSON
    opens: tuple[OpenColumns, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    """Beside those of the fields that are always required."""
    left_out: tuple[LeftOut, ...] = ()
    record_path: tuple[str | int, ...] = ()
    """Where the record is in a 2xx answer: `("ticket",)`, `("data", 0)`; () for the whole answer."""
    if_match: bool = False
    """Whether the ETag of a reading is to go out as If-Match (RFC 9110, section 13.1.1)."""
    requires_if_match: bool = False
    """Whether a request without If-Match is refused: without a reading it then says that any version will do."""
    idempotency_key: str | None = None
    """Name of the header that makes a repeated request count once; None if the description has none."""
    security: tuple[tuple[SecurityScheme, ...], ...] = ()
    """The ways to authenticate a request, each of all that it needs at once; () if the description says nothing."""
    notes: tuple[str, ...] = ()
    """Sentences on how it was read, for people."""
    takes_anyone: bool = False
    """Whether a request may be without any of them."""
    servers: tuple[str, ...] = ()
    """Addresses of the API that the description names; what a person fills in stands in braces."""

    def field(self, name: str) -> Field:
        """Return the field of that exact name. Raises KeyError if there is none."""
        return self.by_name[name]

    def field_called(self, word: str) -> Field | None:
        """Return the field that a word in an answer names, in any case and spelling; None if not exactly one."""
        fields = self._by_bare_name.get(bare(word), [])
        fields = [field for field in fields if word in (field.wire_name, field.name)] or fields
        return fields[0] if len(fields) == 1 else None

    def is_called(self, word: str) -> bool:
        """Whether a word in an answer is the name of a field, or of several."""
        return bare(word) in self._by_bare_name

    @cached_property
    def _by_bare_name(self) -> Mapping[str, list[Field]]:
        fields: dict[str, list[Field]] = {}
        for field in self.fields:
            for name in {bare(field.wire_name), bare(field.name)}:
                fields.setdefault(name, []).append(field)
        return fields

    @property
    def can_repeat(self) -> bool:
        """Whether a request that may have been applied may be sent once more."""
        return self.idempotent or self.idempotency_key is not None

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Every field under its exact name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def body_fields(self) -> tuple[Field, ...]:
        """The fields of the body."""
        return tuple(field for field in self.fields if field.location is ParameterLocation.BODY)

    @cached_property
    def has_body(self) -> bool:
        """Whether anything of the body can be a column."""
        return bool(self.body_fields or self.opens)

    @cached_property
    def reported_fields(self) -> tuple[Field, ...]:
        """The fields whose value or id an answer may report."""
        return tuple(field for field in self.fields if field.reported_as or field.reported_id_as is not None)

    @cached_property
    def reported_pairs(self) -> tuple[tuple[Field, tuple[Step, ...]], ...]:
        """The fields whose values answers report in lists of keys and values, and where the list of each is."""
        first_pairs = (
            (field, next((at for at, step in enumerate(field.reported_as) if isinstance(step, Pair)), None))
            for field in self.reported_fields
        )
        return tuple((field, field.reported_as[:at]) for field, at in first_pairs if at is not None)

    @cached_property
    def known_properties(self) -> frozenset[str]:
        """All properties of answers that belong to the record."""
        names = {str(field.reported_as[0]) for field in self.fields if field.reported_as}
        names.update(field.reported_id_as for field in self.fields if field.reported_id_as)
        described = self.record_properties | (self.read.properties if self.read else frozenset())
        return frozenset(names).union(name for name in described if not is_call_status(name))

    def always_reported(self, status: int) -> frozenset[str] | None:
        """Return the properties that the record in an answer of a 2xx status always has; None if it has no record."""
        return self.record_statuses.get(status, self.default_record)
