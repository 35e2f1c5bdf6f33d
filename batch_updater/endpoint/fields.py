"""A schema of one value -> `Field`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from batch_updater.endpoint import document
from batch_updater.endpoint.description import AllowedNames, Bounds, Field, Kind, ParameterLocation, Step
from batch_updater.endpoint.exact_json import to_json
from batch_updater.endpoint.schemas import Shape
from batch_updater.endpoint.words import name_words
from batch_updater.records import Value

UNTOLD: tuple[Step, ...] = ("",)
"""What a field is reported as until the answers have been looked at."""
_KINDS = {
    frozenset({"string"}): Kind.TEXT,
    frozenset({"integer"}): Kind.INTEGER,
    frozenset({"number"}): Kind.DECIMAL,
    frozenset({"integer", "number"}): Kind.DECIMAL,
    frozenset({"boolean"}): Kind.BOOLEAN,
}
_DAYS = {"date": Kind.DATE, "date-time": Kind.DATE_TIME, "datetime": Kind.DATE_TIME}
_FORMATS = {"email": "email", "uuid": "uuid", "guid": "uuid", "uri": "uri", "url": "uri"}
_DELIMITERS = {
    "spaceDelimited": " ", "pipeDelimited": "|", "ssv": " ", "tsv": "\t", "pipes": "|", "csv": ",", "multi": "",
}  # fmt: skip
"""By style (OpenAPI 3) or collectionFormat (Swagger 2)."""
_BITS = {"int32": 31, "int64": 63}
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


class Slot(NamedTuple):
    """Where a value is in the request."""

    name: str
    wire_name: str
    location: ParameterLocation
    required: bool
    path: tuple[Step, ...] = ()
    is_form: bool = False


def plain_field(slot: Slot, shape: Shape) -> Field:
    """Return the field of a value that one cell can hold: a text, a number, a truth value, or any of them."""
    schema = shape.schema()
    return _field(slot, shape, schema, kind_of(shape, schema), shape, schema)


def list_field(slot: Slot, shape: Shape, items: Shape) -> Field:
    """Return the field of a list of plain values."""
    return _field(slot, shape, shape.schema(), Kind.LIST, items, items.schema())


def json_field(slot: Slot, shape: Shape, json_schema: str) -> Field:
    """Return the field of a value that is written as JSON in its cell."""
    return _field(slot, shape, shape.schema(), Kind.JSON, Shape(), Shape().schema(), json_schema)


def _field(
    slot: Slot,
    shape: Shape,
    schema: document.Schema,
    kind: Kind,
    values: Shape,
    limits: document.Schema,
    json_schema: str = "",
) -> Field:
    in_body = slot.location is ParameterLocation.BODY
    is_list = kind is Kind.LIST
    name = schema.x_field_name or slot.name
    description = " ".join((schema.description or "").split())
    names = schema.x_allowed_names
    plain_kind = kind_of(values, limits) if is_list else kind
    enum = _enum(limits, plain_kind)
    selects_record = slot.required and slot.location in {ParameterLocation.PATH, ParameterLocation.QUERY}
    if schema.x_selects_record is not None and not in_body:
        selects_record = schema.x_selects_record
    is_identifier = schema.x_identifier
    if is_identifier is None:
        is_identifier = _is_called_identifier(schema.x_field_name or slot.wire_name, schema.title or "", description)
    if kind is Kind.INTEGER:
        is_identifier = is_identifier and in_body
    else:
        is_identifier = kind is Kind.TEXT and not enum and not names and (selects_record or is_identifier)
    clears = in_body and (shape.nullable or (slot.is_form and shape.takes_empty))
    if is_list and in_body and not slot.is_form:
        clears = clears or not schema.min_items
    return Field(
        name=name,
        wire_name=slot.wire_name,
        location=slot.location,
        kind=kind,
        required=slot.required,
        title=schema.title or name,
        description=description,
        aliases=schema.x_aliases,
        enum=enum,
        bounds=_bounds(limits, plain_kind, schema),
        nullable=clears,
        date_format=schema.x_date_format or "%Y-%m-%d",
        example=_example(schema, kind),
        default=schema.default,
        selects_record=selects_record,
        reported_as=_reported_as(shape, schema),
        reported_id_as=schema.x_reported_id_as,
        allowed=AllowedNames(names.list, names.name, names.id, names.depends_on) if names else None,
        is_identifier=is_identifier,
        path=slot.path,
        format=_FORMATS.get(limits.format or "", "") if plain_kind is Kind.TEXT else "",
        item_kind=plain_kind if is_list else Kind.TEXT,
        clears_with="" if clears and slot.is_form else None,
        json_schema=json_schema,
    )


def _reported_as(shape: Shape, schema: document.Schema) -> tuple[Step, ...]:
    if "x-reported-as" in schema.written:
        return () if schema.x_reported_as is None else (schema.x_reported_as,)
    return () if shape.write_only else UNTOLD


def delimiter_of(style: str | None, explode: bool | None) -> str:
    """Return what is written between the items of a list; '' where each is a parameter of its own."""
    return _DELIMITERS.get(style or "", "," if explode is False else "")


def kind_of(shape: Shape, schema: document.Schema) -> Kind:
    """Return the kind of a plain value, whose schema is `shape.schema()`."""
    kind = _KINDS.get(shape.plain_types, Kind.ANY)
    if kind is Kind.TEXT and "enum" not in schema.written:
        return _DAYS.get(schema.format or "", kind)
    return kind


def _enum(schema: document.Schema, kind: Kind) -> tuple[Value, ...]:
    """Return the values that a schema lists; none if one of them is no value of the kind."""
    if kind in {Kind.ANY, Kind.JSON}:
        return ()
    values: list[Value] = []
    for written in schema.enum:
        value: Value = None
        if isinstance(written, (str, int, Decimal)):
            value = _converted(written, kind)
        if value is None:
            return ()
        values.append(value)
    return tuple(dict.fromkeys(values))


def _converted(written: str | int | Decimal, kind: Kind) -> Value:
    """Return a listed value as one of the kind, whatever its type in the document; None if it is none."""
    text = str(written).lower() if isinstance(written, bool) else str(written)
    if kind is Kind.TEXT:
        return text
    if kind is Kind.BOOLEAN:
        return {"true": True, "false": False}.get(text.lower())
    if isinstance(written, bool):
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    if not number.is_finite() or (kind is Kind.INTEGER and number != number.to_integral_value()):
        return None
    return int(number) if kind is Kind.INTEGER else number


def _bounds(schema: document.Schema, kind: Kind, whole: document.Schema) -> Bounds:
    """Return the limits of a plain value; those of the number of items are of the whole list."""
    minimum, exclusive_minimum = _limits(schema.minimum, schema.exclusive_minimum)
    maximum, exclusive_maximum = _limits(schema.maximum, schema.exclusive_maximum)
    if kind is Kind.INTEGER and (bits := _BITS.get(schema.format or "")):
        minimum = max(minimum if minimum is not None else -(Decimal(2) ** bits), -(Decimal(2) ** bits))
        maximum = min(maximum if maximum is not None else Decimal(2) ** bits - 1, Decimal(2) ** bits - 1)
    is_text, is_number = kind is Kind.TEXT, kind in {Kind.INTEGER, Kind.DECIMAL}
    return Bounds(
        minimum=minimum if is_number else None,
        maximum=maximum if is_number else None,
        exclusive_minimum=exclusive_minimum if is_number else None,
        exclusive_maximum=exclusive_maximum if is_number else None,
        multiple_of=schema.multiple_of if is_number and schema.multiple_of else None,
        min_length=schema.min_length if is_text else None,
        max_length=schema.max_length if is_text and schema.max_length != 0 else None,
        pattern=understood_pattern(schema.pattern) if is_text else None,
        min_items=whole.min_items,
        max_items=whole.max_items,
    )


def _limits(limit: Decimal | None, exclusive: Decimal | bool | None) -> tuple[Decimal | None, Decimal | None]:
    """Return the limit that is allowed itself, and the one that is not."""
    return (None, limit) if isinstance(exclusive, bool) else (limit, exclusive)


def understood_pattern(pattern: str | None) -> str | None:
    """Return a pattern of ECMA-262 for `re`; None where that lacks something, so that the API alone checks it."""
    if pattern is None:
        return None
    if literal := re.fullmatch(r"/(.*)/[a-z]*", pattern, re.DOTALL):  # as it is written in a program
        pattern = literal[1]
    try:
        re.compile(pattern := pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"))
    except (re.error, OverflowError, RecursionError):
        return None
    return pattern


def _example(schema: document.Schema, kind: Kind) -> str:
    given = schema.written.get("examples")
    examples = list(given) if isinstance(given, (list, Mapping)) and given else [schema.written.get("example")]
    if isinstance(given, Mapping):  # of a parameter
        examples = [one.get("value") for one in given.values() if isinstance(one, Mapping)] or [None]
    example = examples[0]
    if kind in {Kind.LIST, Kind.JSON}:
        return to_json(example) if isinstance(example, (list, dict)) else ""
    if isinstance(example, (list, dict)):
        return ""
    return document.Schema({"example": example}, "").example or ""


def _is_called_identifier(name: str, title: str, description: str) -> bool:
    """Whether a field's name, title or first sentence says that it is an identifier."""
    for text in (name, title):
        found = name_words(text)
        if not _NUMBERED.isdisjoint(found):
            return False
        if found and (found[0] == "id" or found[-1] in _LAST_WORDS):
            return True
    return _DESCRIPTION.match(description) is not None
