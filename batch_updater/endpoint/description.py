"""`Endpoint` and `Field`: an API call as the rest of the program knows it, whatever the API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from batch_updater.endpoint.objection import speaks_of_the_call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from batch_updater.records import Value


class ParameterLocation(StrEnum):
    """Where a field travels in the request."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


class Kind(StrEnum):
    """What a field's value is."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class AllowedNames:
    """The field holds a name out of a list that only the API knows, and that an error answer gives."""

    list_name: str
    """Which property of the error answer holds the list of objects."""
    name_key: str
    """Which property of an object of the list holds the name."""
    id_key: str | None
    """Which property of an object of the list holds the id that the answer reports; None if there is none."""
    depends_on: tuple[str, ...]
    """Names of the fields that the list depends on, such as the language."""


@dataclass(frozen=True, slots=True)
class Bounds:
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


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or body field of the call."""

    name: str
    """Unique within the endpoint; also the header that a template has."""
    wire_name: str
    """The name of the parameter or property in the request."""
    location: ParameterLocation
    kind: Kind
    required: bool
    title: str
    """What a person calls it, such as `stage`; the name if the description has no title."""
    description: str
    aliases: tuple[str, ...]
    """Further headers under which a sheet may have it; matched without regard to case."""
    enum: tuple[Value, ...]
    """The values it may have; empty if it is free."""
    bounds: Bounds
    nullable: bool
    """Whether the clear marker may be used, which sends null. Body fields only."""
    date_format: str
    """How a date is written on the wire, for `date.strftime`."""
    example: str
    """An example as a person would type it; '' if there is none."""
    default: str | None
    """What the API takes when the field is not sent, as text; None if the description does not say."""
    selects_record: bool
    """Whether the field is part of the target: two rows with the same of these update the same record."""
    reported_as: str | None
    """Under which name the answer reports the value; None if it does not."""
    reported_id_as: str | None
    """Under which name the answer reports the id that stands for the name; None if it does not."""
    allowed: AllowedNames | None
    is_identifier: bool = False
    """Whether a text of it is a number or code that has to be exact to the character, rather than a name or prose."""


@dataclass(frozen=True, slots=True)
class ReadOperation:
    """The operation of the same API that gives a record as it stands."""

    path: str
    """With a leading slash and `{wire_name}` for each path field of the update."""
    query: tuple[str, ...]
    """Names of the update's query fields that this one takes too."""
    properties: frozenset[str] = frozenset()
    """Names of the properties of the record that it gives; empty if none is described."""


@dataclass(frozen=True)
class Endpoint:
    """One operation of an API."""

    name: str
    """How the configuration calls it: `nexus-opportunity`, or the operation's id."""
    api_name: str
    """What a person calls the API, such as `Nexus` (the description's `info.title`)."""
    record_name: str
    """What a person calls one record, such as `opportunity`."""
    method: str
    path: str
    """With a leading slash and `{wire_name}` for each path field."""
    content_type: str
    """Of the request's body."""
    fields: tuple[Field, ...]
    """Path, query, body, in the order of the description."""
    idempotent: bool
    """Whether a request that may have been applied may be repeated (RFC 9110, section 9.2.2)."""
    record_statuses: Mapping[int, frozenset[str] | None]
    """2xx statuses that the description lists -> the properties that the record in their answer always has; None: no
    record comes back."""
    default_record: frozenset[str] | None
    """The same for the 2xx statuses that it does not list."""
    record_properties: frozenset[str]
    """Names of the properties of the record that a 2xx answer may hold; empty if none is described."""
    error_message_keys: tuple[str, ...]
    """Properties of an error answer that hold its message, the best first."""
    quota_message: str | None
    """The message of a 429 that means that the quota is used up; None if the description does not say."""
    read: ReadOperation | None = None
    """How a record is read; None if the description names no such operation."""
    quota_per_month: int | None = None
    """Requests that the account may send in a month; None if the description does not say."""
    sample_read: ReadOperation | None = None
    """How a record is read to try the set-up: as `read` says, else by the GET of the update's own path, if any."""
    server_paths: frozenset[str] = frozenset()
    """Paths of the addresses that the description names under `servers`, without slashes around them."""

    def field(self, name: str) -> Field:
        """Return the field of that exact name. Raises KeyError if there is none."""
        return self.by_name[name]

    def field_called(self, word: str) -> Field | None:
        """Return the field that an answer of the API calls so, in any case and spelling; None if not exactly one."""
        if exact := next((field for field in self.fields if field.wire_name == word), None):
            return exact
        found = self._by_bare_name.get(_bare(word), ())
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_bare_name(self) -> Mapping[str, list[Field]]:
        found: dict[str, list[Field]] = {}
        for field in self.fields:
            for name in {_bare(field.wire_name), _bare(field.name)}:
                found.setdefault(name, []).append(field)
        return found

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Every field under its exact name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def body_fields(self) -> tuple[Field, ...]:
        """The fields that travel in the body."""
        return tuple(field for field in self.fields if field.location is ParameterLocation.BODY)

    @cached_property
    def reported_fields(self) -> tuple[Field, ...]:
        """The fields whose value, or its id, an answer may report."""
        return tuple(
            field for field in self.fields if field.reported_as is not None or field.reported_id_as is not None
        )

    @cached_property
    def known_properties(self) -> frozenset[str]:
        """Names of all properties that an answer may hold and that belong to the record."""
        names = {field.wire_name for field in self.body_fields}
        names.update(name for field in self.fields for name in (field.reported_as, field.reported_id_as) if name)
        described = self.record_properties | (self.read.properties if self.read else frozenset())
        return frozenset(names).union(name for name in described if not speaks_of_the_call(name))

    def promised(self, status: int) -> frozenset[str] | None:
        """Return the properties that the record in a 2xx answer of that status always has; None if it holds none."""
        return self.record_statuses.get(status, self.default_record)


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))
