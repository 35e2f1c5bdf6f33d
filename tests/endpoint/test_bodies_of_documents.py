"""endpoint/body_fields.py: the schema of a body becomes fields, open parts, and what has to be there."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from batch_updater.endpoint.description import (
    BodyFormat,
    Bounds,
    Endpoint,
    Field,
    Kind,
    LeftOut,
    OpenColumns,
    OpenKind,
    Requirement,
)
from batch_updater.endpoint.document import Resolver
from batch_updater.endpoint.document_files import DocumentFiles
from batch_updater.endpoint.open_columns import field_of, opened
from batch_updater.endpoint.openapi import operations
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import EndpointError
from batch_updater.records import Job, Value
from tests.endpoint.documents import document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def a_list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def body(schema: dict[str, Any], media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema, **more}}}


def of_body(load: Callable[..., Endpoint], schema: dict[str, Any], **schemas: Any) -> Endpoint:
    """Load a document whose body has that schema, and which has these others."""
    return load(document(requestBody=body(schema)) | {"components": {"schemas": schemas}})


def names(endpoint: Endpoint) -> list[str]:
    return [field.name for field in endpoint.body_fields]


def test_objects_become_names_with_dots(load: Callable[..., Endpoint]) -> None:
    """A member of an object is named by the way to it, and by its last part where no other field is."""
    endpoint = of_body(
        load, an_object(ticket=an_object(status=TEXT, requester=an_object(name=TEXT), group=an_object(name=TEXT)))
    )
    assert [(field.name, field.path, field.aliases) for field in endpoint.body_fields] == [
        ("ticket.status", ("ticket", "status"), ("status",)),
        ("ticket.requester.name", ("ticket", "requester", "name"), ()),
        ("ticket.group.name", ("ticket", "group", "name"), ()),
    ]


def test_what_is_required_depends_on_what_is_sent(load: Callable[..., Endpoint]) -> None:
    """A member is required if all above it are; otherwise as soon as its object is sent."""
    endpoint = of_body(
        load,
        an_object(
            "ticket",
            "note",
            "tags",
            ticket=an_object(status=TEXT, price=an_object("amount", amount=NUMBER)),
            note=an_object("text", text=TEXT),
            tags=a_list(TEXT),
        ),
    )
    assert [field.name for field in endpoint.fields if field.required] == ["thing", "note.text", "tags"]
    assert endpoint.requirements == (
        Requirement(("ticket", "price"), ("ticket", "price", "amount")),
        Requirement((), ("ticket",)),
    )


def test_lists_of_plain_values_are_one_field(load: Callable[..., Endpoint]) -> None:
    """What its items are is known, and so is how many there may be; a text that may stand for a list is its item."""
    tags = a_list({"type": "string", "enum": ["vip", "eu"]}) | {"maxItems": 3}
    endpoint = of_body(load, an_object(tags=tags, labels={"oneOf": [TEXT, a_list(TEXT)]}, any=a_list({})))
    field = endpoint.field("tags")
    assert (field.kind, field.item_kind, field.enum, field.bounds.max_items) == (
        Kind.LIST, Kind.TEXT, ("vip", "eu"), 3,
    )  # fmt: skip
    assert [(one.kind, one.item_kind) for one in endpoint.body_fields[1:]] == [
        (Kind.LIST, Kind.TEXT),
        (Kind.LIST, Kind.ANY),
    ]


def test_lists_of_objects_are_open_parts(load: Callable[..., Endpoint]) -> None:
    """Keys with values have a column for each key, other objects a column for each member at each position."""
    endpoint = of_body(
        load,
        an_object(
            "lines",
            ticket=an_object(custom_fields=a_list(an_object(id=NUMBER, value={}))),
            attributes=a_list(an_object("name", "value", name=TEXT, value=TEXT, label=TEXT)),
            lines=a_list(an_object("amount", amount=NUMBER, price=an_object(currency=TEXT))),
        ),
    )
    custom, attributes, lines = endpoint.opens
    assert (custom.name, custom.path, custom.kind, custom.aliases) == (
        "ticket.custom_fields", ("ticket", "custom_fields"), OpenKind.PAIRS, ("custom_fields",),
    )  # fmt: skip
    assert (custom.key_name, custom.has_number_keys, custom.value_name) == ("id", True, "value")
    assert custom.fields[0].kind is Kind.ANY
    assert (attributes.kind, attributes.key_name, attributes.has_number_keys) == (OpenKind.PAIRS, "name", False)
    assert (lines.kind, [field.name for field in lines.fields]) == (OpenKind.ITEMS, ["amount", "price.currency"])
    assert lines.requirements == (Requirement((), ("amount",)),)
    # A list that is required can be written as a whole, too; either will do.
    assert [(field.name, field.kind, field.required) for field in endpoint.body_fields] == [("lines", Kind.JSON, False)]
    assert Requirement((), ("lines",)) in endpoint.requirements


@pytest.mark.parametrize(
    "items",
    [
        an_object(id=NUMBER, name=TEXT, value=TEXT),
        an_object(name=TEXT, value=TEXT, quantity=NUMBER, price=NUMBER, sku=TEXT),
        an_object("namespace", key=TEXT, value=TEXT, namespace=TEXT),
        an_object(key=TEXT, value=an_object(amount=NUMBER)),
    ],
)
def test_objects_with_more_than_a_key_and_a_value_are_no_pairs(
    load: Callable[..., Endpoint], items: dict[str, Any]
) -> None:
    """Two keys, a third required member, many others, or a value that is an object: nothing may be lost."""
    (part,) = of_body(load, an_object(fields=a_list(items))).opens
    assert part.kind is OpenKind.ITEMS
    assert {field.name.partition(".")[0] for field in part.fields} == set(items["properties"])


@pytest.mark.parametrize("other", [a_list(an_object(amount=NUMBER)), {"type": "object", "additionalProperties": False}])
def test_a_text_beside_a_list_or_object_is_the_only_cell_for_it(
    load: Callable[..., Endpoint], other: dict[str, Any]
) -> None:
    """Two cells of one member could not both be sent."""
    endpoint = of_body(load, an_object("size", size={"oneOf": [TEXT, other]}))
    assert [(field.name, field.kind, field.required) for field in endpoint.body_fields] == [("size", Kind.TEXT, False)]
    assert endpoint.requirements == (Requirement((), ("size",)),)


def test_a_map_knows_the_members_that_are_described(load: Callable[..., Endpoint]) -> None:
    """Those that cannot be sent as well, so that no column sends one as any other member."""
    read_only = an_object(size=NUMBER, made={"type": "string", "readOnly": True}) | {"additionalProperties": True}
    endpoint = of_body(load, an_object(box=read_only))
    assert [(part.name, part.described) for part in endpoint.opens] == [("box", ("size", "made"))]
    assert [field_of(endpoint, name) for name in ("box.made", "box.made.at", "box.Made")] == [None] * 3
    assert field_of(endpoint, "box.other")
    of_root = of_body(load, read_only)
    assert [field_of(of_root, name) for name in ("body.size", "body.made")] == [None] * 2


def test_free_maps_are_open_parts(load: Callable[..., Endpoint]) -> None:
    """An object without properties, and one that allows more; the value has the type that is described."""
    endpoint = of_body(
        load,
        an_object(
            properties={"type": "object", "additionalProperties": TEXT},
            metadata={"type": "object"},
            labels={"type": "object", "additionalProperties": a_list(TEXT)},
            address=an_object(city=TEXT) | {"additionalProperties": {}},
            closed=an_object(id=TEXT) | {"additionalProperties": False},
        ),
    )
    assert [(part.name, part.kind, part.fields[0].kind) for part in endpoint.opens] == [
        ("properties", OpenKind.MAP, Kind.TEXT),
        ("metadata", OpenKind.MAP, Kind.ANY),
        ("labels", OpenKind.MAP, Kind.LIST),
        ("address", OpenKind.MAP, Kind.ANY),
    ]
    assert names(endpoint) == ["address.city", "closed.id"]


@pytest.mark.parametrize(
    ("schema", "fields", "opens"),
    [
        ({"type": "object"}, [], ["body"]),
        (an_object(city=TEXT) | {"additionalProperties": True}, ["city"], ["body"]),
        ({}, ["body"], ["body"]),
        (TEXT, ["body"], []),
        (a_list(TEXT), ["body"], []),
        (a_list(a_list(TEXT)), ["body"], []),
    ],
)
def test_a_body_without_members_is_called_body(
    load: Callable[..., Endpoint], schema: dict[str, Any], fields: list[str], opens: list[str]
) -> None:
    """A free map has columns below that name, anything else one of its own."""
    endpoint = of_body(load, schema)
    assert (names(endpoint), [part.name for part in endpoint.opens]) == (fields, opens)
    assert all(field.path == () for field in endpoint.body_fields if field.name == "body")


CONTACT = an_object(Name=TEXT, Phones=a_list(an_object(Number=TEXT)))


@pytest.mark.parametrize(
    ("path", "schema", "first", "part"),
    [
        ("/Contacts/{id}", a_list(CONTACT), (0, "Name"), (0, "Phones")),
        ("/Contacts/{id}", an_object(records=a_list(CONTACT)), ("records", 0, "Name"), ("records", 0, "Phones")),
        (
            "/Contacts/{id}",
            an_object(Contacts=a_list(CONTACT), Warnings=a_list(an_object(text=TEXT)), page=an_object(size=NUMBER)),
            ("Contacts", 0, "Name"),
            ("Contacts", 0, "Phones"),
        ),
        ("/Contacts", an_object(data=a_list(CONTACT)), ("data", 0, "Name"), ("data", 0, "Phones")),
    ],
)
def test_a_list_of_one_record_is_the_record(
    load: Callable[..., Endpoint], path: str, schema: dict[str, Any], first: tuple[Any, ...], part: tuple[Any, ...]
) -> None:
    """The list leaves no trace in the names; what lies beside it is no part of the record."""
    content = document(requestBody=body(schema), parameters=[])
    content["paths"] = {path: content["paths"]["/things/{thing}"]}
    endpoint = load(content)
    assert [(field.name, field.path) for field in endpoint.body_fields] == [("Name", first)]
    assert [(one.name, one.path) for one in endpoint.opens] == [("Phones", part)]
    beside = [name for name in ("Warnings", "page") if name in schema.get("properties", {})]
    assert [one.field for one in endpoint.left_out] == beside


def test_a_list_below_a_record_is_no_list_of_one_record(load: Callable[..., Endpoint]) -> None:
    """The lines of an order are all its lines: a row can have several."""
    content = document(requestBody=body(an_object(lines=a_list(an_object(sku=TEXT)))))
    content["paths"] = {"/orders/{thing}/lines": content["paths"]["/things/{thing}"]}
    assert [part.name for part in load(content).opens] == ["lines"]


def test_allof_is_merged_wherever_it_is(load: Callable[..., Endpoint]) -> None:
    """At the root, in a member, with siblings: properties and conditions add up, and the tighter limit holds."""
    endpoint = of_body(
        load,
        {
            "allOf": [{"$ref": "#/components/schemas/Base"}, an_object("size", size={"type": "number", "maximum": 9})],
            "properties": {
                "size": {"maximum": 5, "description": "in metres"},
                "colour": {"allOf": [{"$ref": "#/components/schemas/Colour"}], "nullable": True},
            },
        },
        Base=an_object(name={"type": "string", "maxLength": 9}, id={"type": "integer", "readOnly": True}),
        Colour={"type": "string", "enum": ["red", "blue"]},
    )
    assert {name: endpoint.field(name).kind for name in names(endpoint)} == {
        "size": Kind.DECIMAL, "colour": Kind.TEXT, "name": Kind.TEXT,
    }  # fmt: skip
    size, colour = endpoint.field("size"), endpoint.field("colour")
    assert (size.bounds.maximum, size.required, size.description) == (Decimal(5), True, "in metres")
    assert (colour.enum, colour.nullable) == (("red", "blue"), True)


@pytest.mark.parametrize(
    ("schema", "kind", "nullable"),
    [
        ({"anyOf": [TEXT, {"type": "null"}]}, Kind.TEXT, True),
        ({"oneOf": [{"type": "string", "format": "date-time"}, {"enum": [None]}]}, Kind.DATE_TIME, True),
        ({"oneOf": [NUMBER, {"type": "number"}]}, Kind.DECIMAL, False),
        ({"oneOf": [TEXT, NUMBER]}, Kind.ANY, False),
        ({"type": ["string", "integer", "null"]}, Kind.ANY, True),
        ({"type": ["null", "boolean"]}, Kind.BOOLEAN, True),
        ({"description": "of any type"}, Kind.ANY, False),
        ({"enum": [1, 2]}, Kind.INTEGER, False),
        ({"maxLength": 3}, Kind.TEXT, False),
        ({"type": "int"}, Kind.INTEGER, False),
        ({"type": "number", "format": "int32"}, Kind.INTEGER, False),
        ({"type": "array", "items": a_list(TEXT)}, Kind.JSON, False),
        ({"oneOf": [an_object(a=TEXT), a_list(TEXT)]}, Kind.JSON, False),
        ({"oneOf": [an_object("a", a=TEXT), an_object("b", b=TEXT)]}, Kind.JSON, False),
        ({"$ref": "#/components/schemas/Nowhere"}, None, False),
        ({"allOf": [{"$ref": "#/components/schemas/Nowhere"}, TEXT]}, Kind.TEXT, False),
        ({"type": "string", "format": "binary"}, None, False),
        ({"type": "string", "readOnly": True}, None, False),
    ],
)
def test_the_widest_reading_of_a_schema_counts(
    load: Callable[..., Endpoint], schema: dict[str, Any], kind: Kind | None, nullable: bool
) -> None:
    """Choices, several types and none; what no cell can hold is JSON, and what cannot be sent at all is no field."""
    fields = of_body(load, an_object(field=schema, other=TEXT)).by_name
    assert (fields["field"].kind, fields["field"].nullable) == (kind, nullable) if kind else "field" not in fields


def test_choices_of_objects_are_merged_where_that_is_harmless(load: Callable[..., Endpoint]) -> None:
    """They are if they require the same, and in any case where they are all that there is in a body."""
    card, bank = an_object(number=TEXT, name=TEXT), an_object(iban=TEXT, name=TEXT)
    assert names(of_body(load, an_object(pay={"oneOf": [card, bank]}, x=TEXT))) == [
        "pay.number", "pay.name", "pay.iban", "x",
    ]  # fmt: skip
    strict = {"oneOf": [card | {"required": ["number"]}, bank | {"required": ["iban"]}]}
    assert names(of_body(load, an_object(pay=strict, x=TEXT))) == ["pay", "x"]
    assert names(of_body(load, strict)) == ["number", "name", "iban"]
    assert names(of_body(load, an_object(pay=strict))) == ["pay.number", "pay.name", "pay.iban"]


def test_a_plain_value_in_place_of_an_object_has_a_column_of_its_own(load: Callable[..., Endpoint]) -> None:
    """An id, or the object with its members: a row can have either."""
    endpoint = of_body(load, an_object(owner={"oneOf": [NUMBER, an_object("name", name=TEXT)]}))
    assert [(field.name, field.kind) for field in endpoint.body_fields] == [
        ("owner", Kind.INTEGER),
        ("owner.name", Kind.TEXT),
    ]
    assert endpoint.requirements == (Requirement(("owner",), ("owner", "name")),)


def test_the_schema_of_a_cell_of_json_needs_nothing_else(load: Callable[..., Endpoint]) -> None:
    """It has all that it refers to, itself included, and says in today's words what version 3.0 says in its own."""
    node = an_object(
        "name", "id",
        name=TEXT,
        id={"type": "integer", "readOnly": True},
        share={"type": "number", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
        code={"type": "string", "pattern": r"\p{L}+"},
        children=a_list(a_list({"$ref": "#/components/schemas/Node"})),
    )  # fmt: skip
    endpoint = of_body(load, an_object(tree=a_list(a_list({"$ref": "#/components/schemas/Node"}))), Node=node)
    validator = Draft202012Validator(json.loads(endpoint.field("tree").json_schema))
    valid = {"name": "a", "share": 0.5, "code": "x", "children": [[{"name": "b", "share": None}]]}
    assert validator.is_valid([[valid]])
    assert not validator.is_valid([[valid | {"share": 0}]])
    assert not validator.is_valid([[valid | {"children": [[{"id": 1}]]}]])


def test_a_schema_within_itself_ends_in_a_cell_of_json(load: Callable[..., Endpoint]) -> None:
    """Its members are fields once."""
    folder = an_object(name=TEXT, parent={"$ref": "#/components/schemas/Folder"})
    endpoint = of_body(load, an_object(folder={"$ref": "#/components/schemas/Folder"}), Folder=folder)
    assert [(field.name, field.kind) for field in endpoint.body_fields] == [
        ("folder.name", Kind.TEXT),
        ("folder.parent", Kind.JSON),
    ]


def test_a_huge_schema_has_no_more_columns_than_a_person_can_look_through(load: Callable[..., Endpoint]) -> None:
    """What lies deepest is JSON in a cell; nothing is lost, and the outer members stay columns."""
    schema = an_object(**{f"leaf{number}": TEXT for number in range(8)})
    for _ in range(4):
        schema = an_object(**{f"part{number}": schema for number in range(8)})
    endpoint = of_body(load, schema | {"properties": schema["properties"] | {"name": TEXT}})
    assert len(endpoint.body_fields) <= 400
    assert endpoint.field("name").kind is Kind.TEXT
    assert endpoint.field("part0.part0").kind is Kind.JSON


def test_small_objects_stay_columns_where_large_ones_cannot(load: Callable[..., Endpoint]) -> None:
    """All of one size do, or none; the others are JSON in a cell."""
    large = an_object(**{f"leaf{number}": TEXT for number in range(60)})
    small = an_object(kind=TEXT, force=TEXT)
    parts = {f"large{number}": large for number in range(8)} | {f"small{number}": small for number in range(20)}
    endpoint = of_body(load, an_object(name=TEXT, **parts))
    names = [field.name for field in endpoint.body_fields if field.kind is Kind.TEXT]
    assert names == ["name", *(f"small{number}.{name}" for number in range(20) for name in ("kind", "force"))]
    in_cells = [field.name for field in endpoint.body_fields if field.kind is Kind.JSON]
    assert in_cells == [f"large{number}" for number in range(8)]


def test_what_is_left_out_is_named_with_the_reason(load: Callable[..., Endpoint]) -> None:
    """A file, and what refers to nothing; a required one is offered all the same."""
    file = {"type": "string", "format": "binary"}
    nowhere = {"$ref": "#/components/schemas/Nowhere"}
    endpoint = of_body(load, an_object("scan", "plan", logo=file, scan=file, map=nowhere, plan=nowhere))
    assert endpoint.left_out == (
        LeftOut("logo", "it is a file"),
        LeftOut("map", "its schema refers to something that does not exist"),
    )
    assert names(endpoint) == ["scan", "plan"]


def test_a_reference_to_another_record_can_be_sent_although_records_are_read_only(
    load: Callable[..., Endpoint],
) -> None:
    """Its required members are, if there is nothing else in it."""
    reference = an_object("id", id={"type": "string", "readOnly": True}, url={"type": "string", "readOnly": True})
    assert names(of_body(load, an_object(service=reference, name=TEXT))) == ["service.id", "name"]


@pytest.mark.parametrize(
    ("schema", "kind", "enum"),
    [
        ({"type": "integer", "enum": ["1", "2"]}, Kind.INTEGER, (1, 2)),
        ({"type": "string", "enum": [1, True]}, Kind.TEXT, ("1", "true")),
        ({"type": "integer", "enum": ["many", 2]}, Kind.INTEGER, ()),
        ({"type": "string", "enum": [{"a": 1}]}, Kind.TEXT, ()),
        ({"type": "number", "enum": [Decimal("0.5"), 1]}, Kind.DECIMAL, (Decimal("0.5"), Decimal(1))),
        ({"type": "string", "format": "date", "enum": ["today"]}, Kind.TEXT, ("today",)),
    ],
)
def test_listed_values_are_of_the_field_s_kind(
    load: Callable[..., Endpoint], schema: dict[str, Any], kind: Kind, enum: tuple[Value, ...]
) -> None:
    """Whatever their type in the document; a list with something else in it says nothing."""
    schema = json.loads(json.dumps(schema, default=float))
    field = of_body(load, an_object(field=schema)).field("field")
    assert (field.kind, field.enum) == (kind, enum)


def test_limits_of_formats_are_known(load: Callable[..., Endpoint]) -> None:
    """32 and 64 bits bound an integer; an email, a UUID and a URI are told apart from any text."""
    endpoint = of_body(
        load,
        an_object(
            small={"type": "integer", "format": "int32", "minimum": 0},
            large={"type": "integer", "format": "int64"},
            mail={"type": "string", "format": "email"},
            key={"type": "string", "format": "guid"},
            mails=a_list({"type": "string", "format": "email"}),
        ),
    )
    small, large = endpoint.field("small").bounds, endpoint.field("large").bounds
    assert small == Bounds(minimum=Decimal(0), maximum=Decimal(2**31 - 1))
    assert large == Bounds(minimum=Decimal(-(2**63)), maximum=Decimal(2**63 - 1))
    assert [endpoint.field(name).format for name in ("mail", "key", "mails")] == ["email", "uuid", "email"]


@pytest.mark.parametrize(
    ("pattern", "understood"),
    [("^[a-z]+$", "^[a-z]+$"), ("/^a\\/b$/i", "^a\\/b$"), ("(?<year>\\d+)", "(?P<year>\\d+)"), ("\\p{L}", None)],
)
def test_patterns_are_used_as_far_as_they_are_understood(
    load: Callable[..., Endpoint], pattern: str, understood: str | None
) -> None:
    """They are written for ECMA-262; the API checks what is not."""
    field = of_body(load, an_object(field={"type": "string", "pattern": pattern})).field("field")
    assert field.bounds.pattern == understood


def test_an_example_is_one_of_the_kind(load: Callable[..., Endpoint]) -> None:
    """An object is no example of a text, and a list is one of a list."""
    endpoint = of_body(
        load,
        an_object(
            size={"type": "integer", "example": 5},
            name={"type": "string", "example": {"value": "x"}},
            tags=a_list(TEXT) | {"example": ["a", "b"]},
        ),
    )
    assert [json.loads(endpoint.field("tags").example), endpoint.field("size").example] == [["a", "b"], "5"]
    assert not endpoint.field("name").example


FORM = "application/x-www-form-urlencoded"


def test_a_form_has_the_style_of_its_lists_and_what_empties_its_fields(load: Callable[..., Endpoint]) -> None:
    """Positions in style deepObject and in what is nested; an empty text empties a field where it is listed."""
    schema = an_object(
        tags=a_list(TEXT),
        locales=a_list(TEXT),
        invoice=an_object(emails=a_list(TEXT)),
        city={"anyOf": [TEXT, {"enum": [""]}]},
        metadata={"anyOf": [{"type": "object", "additionalProperties": TEXT}, {"enum": [""], "type": "string"}]},
        name=TEXT,
        codes=a_list(TEXT),
        address=an_object(city=TEXT),
    )
    encoding = {
        "locales": {"style": "deepObject", "explode": True},
        "codes": {"style": "form", "explode": False},
        "address": {"contentType": "application/json"},
    }
    endpoint = load(document(requestBody=body(schema, FORM, encoding=encoding)))
    assert (endpoint.body_format, endpoint.content_type) == (BodyFormat.FORM, FORM)
    assert [endpoint.field(name).is_indexed for name in ("tags", "locales", "invoice.emails")] == [False, True, True]
    assert [endpoint.field(name).delimiter for name in ("tags", "codes")] == ["", ","]
    assert endpoint.field("address").kind is Kind.TEXT
    clearing = {field.name: field.clears_with for field in endpoint.body_fields if field.nullable}
    assert clearing == {"city": ""}
    (metadata,) = endpoint.opens
    assert (metadata.name, metadata.fields[0].clears_with) == ("metadata", "")


@pytest.mark.parametrize(
    ("media_types", "chosen", "body_format"),
    [
        ([FORM, "application/json"], "application/json", BodyFormat.JSON),
        (["multipart/form-data", "application/merge-patch+json"], "application/merge-patch+json", BodyFormat.JSON),
        (["application/xml", "*/*"], "application/json", BodyFormat.JSON),
        (["text/json"], "text/json", BodyFormat.JSON),
        (["application/vnd.api+json; v=1"], "application/vnd.api+json; v=1", BodyFormat.JSON),
        (["application/json-patch+json", FORM], FORM, BodyFormat.FORM),
        (["multipart/form-data", FORM], FORM, BodyFormat.FORM),
        (["multipart/form-data; boundary=x"], "multipart/form-data", BodyFormat.MULTIPART),
    ],
)
def test_json_comes_first(
    load: Callable[..., Endpoint], media_types: list[str], chosen: str, body_format: BodyFormat
) -> None:
    """Then merge patches and other JSON, any format, forms."""
    content = {media_type: {"schema": an_object(name=TEXT)} for media_type in media_types}
    endpoint = load(document(requestBody={"content": content}))
    assert (endpoint.content_type, endpoint.body_format) == (chosen, body_format)


def test_a_body_that_is_an_object_or_a_list_has_the_members_of_the_object(load: Callable[..., Endpoint]) -> None:
    """The list would say the same without a name."""
    choices = {"oneOf": [an_object(labels=a_list(TEXT)), a_list(TEXT), TEXT]}
    endpoint = load(document(requestBody=body(choices)))
    assert [(field.name, field.kind, field.path) for field in endpoint.body_fields] == [
        ("labels", Kind.LIST, ("labels",))
    ]


def test_a_list_of_texts_beside_the_record_is_a_column(load: Callable[..., Endpoint]) -> None:
    """It says something of the call, as a plain value does; objects are left out."""
    record = a_list(an_object(size=NUMBER))
    schema = an_object(things=record, list_ids=a_list(TEXT), warnings=a_list(an_object(message=TEXT)))
    endpoint = load(document(requestBody=body(schema)))
    assert [field.path for field in endpoint.body_fields] == [("things", 0, "size"), ("list_ids",)]
    assert [one.field for one in endpoint.left_out] == ["warnings"]


def test_an_object_without_members_that_may_be_null_stands_for_null(load: Callable[..., Endpoint]) -> None:
    """The other choice is what there is to send, also if it needs members."""
    password = {"anyOf": [an_object("kind", kind=TEXT, force=TEXT), {"type": "object", "nullable": True}]}
    endpoint = load(document(requestBody=body(an_object(name=TEXT, password=password))))
    assert [field.name for field in endpoint.body_fields] == ["name", "password.kind", "password.force"]


def test_a_body_without_any_content_is_none(load: Callable[..., Endpoint]) -> None:
    """It is described, and has no format to be written in."""
    endpoint = load(document(requestBody={"description": "Unused.", "content": {}}))
    assert (endpoint.body_format, endpoint.content_type, endpoint.body_fields) == (BodyFormat.NONE, "", ())


def test_a_discriminator_names_what_has_no_members_of_its_own(load: Callable[..., Endpoint]) -> None:
    """An element has the members of all its subtypes, and needs those of the common one alone."""
    action = {"type": "object", "required": ["action"], "properties": {"action": TEXT}}
    kinds = {"rename": "#/components/schemas/Rename", "resize": "Resize"}
    common = {**action, "discriminator": {"propertyName": "action", "mapping": kinds}}
    below = [{"$ref": "#/components/schemas/Action"}]
    schemas = {
        "Action": common,
        "Rename": {"allOf": below, **an_object("name", name=TEXT)},
        "Resize": {"allOf": below, **an_object("size", size=NUMBER)},
    }
    content = document(requestBody=body(an_object(actions=a_list(below[0]))))
    content["components"] = {"schemas": schemas}
    (actions,) = load(content).opens
    assert [(field.name, field.kind, field.required) for field in actions.fields] == [
        ("action", Kind.TEXT, False),
        ("name", Kind.TEXT, False),
        ("size", Kind.INTEGER, False),
    ]
    assert [one.member for one in actions.requirements] == [("action",)]


def test_a_multipart_form_is_its_texts(load: Callable[..., Endpoint]) -> None:
    """An object is a text of JSON, as OpenAPI has it; files are left out, and a form that needs one is refused."""
    file = {"type": "string", "format": "binary"}
    members = {"name": TEXT, "tags": a_list(TEXT), "address": an_object(city=TEXT), "lines": a_list(an_object(a=TEXT))}
    schema = an_object("name", **members, photo=file, scans=a_list(file))
    endpoint = load(document(requestBody=body(schema, "multipart/form-data")))
    assert [(field.name, field.kind, field.required) for field in endpoint.body_fields] == [
        ("name", Kind.TEXT, True),
        ("tags", Kind.LIST, False),
        ("address", Kind.TEXT, False),
        ("lines", Kind.TEXT, False),
    ]
    assert [one.field for one in endpoint.left_out] == ["photo", "scans"]
    for needy in (an_object("photo", name=TEXT, photo=file), an_object(scans=a_list(file))):
        with pytest.raises(EndpointError, match="needs a file"):
            load(document(requestBody=body(needy, "multipart/form-data")))


def test_a_json_patch_replaces_what_the_reading_returns(load: Callable[..., Endpoint]) -> None:
    """A body is one if it is a list of operations with paths; any other member can be replaced, too."""
    operation = an_object("op", "path", op={"enum": ["replace"]}, path=TEXT, value={})
    content = document(requestBody=body(a_list(operation), "application/json-patch+json"))
    item = content["paths"]["/things/{thing}"]
    record = an_object("size", id={"type": "integer", "readOnly": True}, size=NUMBER, owner=an_object(name=TEXT))
    item["get"] = {"parameters": item["put"]["parameters"], "responses": {"200": body(record)}}
    endpoint = load(content)
    assert endpoint.body_format is BodyFormat.JSON_PATCH
    assert [(field.name, field.path, field.required) for field in endpoint.body_fields] == [
        ("size", ("size",), False),
        ("owner.name", ("owner", "name"), False),
    ]
    assert [(part.name, part.path, part.kind) for part in endpoint.opens] == [("body", (), OpenKind.MAP)]
    other = document(requestBody=body(a_list(an_object(op=TEXT, key=TEXT)), "application/json-patch+json"))
    assert load(other).body_format is BodyFormat.JSON


def test_a_call_without_a_body_has_parameters_alone(load: Callable[..., Endpoint]) -> None:
    """It has neither a format nor a content type."""
    content = document()
    del content["paths"]["/things/{thing}"]["put"]["requestBody"]
    endpoint = load(content)
    assert (endpoint.body_format, endpoint.content_type, endpoint.body_fields) == (BodyFormat.NONE, "", ())


PROPERTY_NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)
LEAVES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        TEXT,
        NUMBER,
        {"type": "number"},
        {"type": "boolean"},
        {"type": ["string", "null"]},
        {"type": "string", "enum": ["a", "b"]},
        a_list(TEXT),
        a_list(NUMBER),
        {"anyOf": [NUMBER, {"type": "null"}]},
        {"allOf": [{"type": "string"}, {"maxLength": 3}]},
        a_list(a_list(NUMBER)),
    ]
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(PROPERTY_NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=4)
    return members.map(
        lambda drawn: (
            an_object(
                *(name for name, (_, is_required) in drawn.items() if is_required),
                **{name: schema for name, (schema, _) in drawn.items()},
            )
            | {"additionalProperties": False}
        )
    )


PAIRS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([TEXT, NUMBER, {}]).map(
    lambda value: a_list(an_object("id", "value", id=NUMBER, value=value) | {"additionalProperties": False})
)
SCHEMAS = _objects(
    st.recursive(
        LEAVES | PAIRS | st.just({"type": "object", "additionalProperties": NUMBER}),
        lambda inner: _objects(inner) | _objects(inner).map(a_list),
        max_leaves=8,
    )
)
SAMPLES: dict[Kind, list[Value]] = {
    Kind.TEXT: ["x", "a"],
    Kind.INTEGER: [5],
    Kind.DECIMAL: [Decimal("1.50")],
    Kind.BOOLEAN: [True],
    Kind.ANY: ["x", 7, True],
    Kind.JSON: ["[[1]]"],
}


def _value(field: Field, data: st.DataObject) -> Value:
    if field.enum and field.kind is not Kind.LIST:
        return data.draw(st.sampled_from(field.enum))
    if field.kind is Kind.LIST:
        return "[7]" if field.item_kind is Kind.INTEGER else '["x"]'
    return data.draw(st.sampled_from(SAMPLES[field.kind]))


def _needs(endpoint: Endpoint, chosen: set[str]) -> set[str]:
    """Return the names of fields that the chosen ones need beside them."""
    paths = {name: endpoint.field(name).path for name in chosen}
    needed = {field.name for field in endpoint.body_fields if field.required}
    for one in endpoint.requirements:
        within, member = one.within, one.member
        is_sent = not within or any(path[: len(within)] == within for path in paths.values())
        if is_sent and not any(path[: len(member)] == member for path in paths.values()):
            below = [field for field in endpoint.body_fields if field.path[: len(member)] == member]
            needed.add(min(below, key=lambda field: field.kind is Kind.JSON).name)
    return needed - chosen


def _columns(part: OpenColumns) -> list[str]:
    """Return names of columns of an open part."""
    if part.kind is OpenKind.MAP:
        return [f"{part.name}.k"]
    if part.kind is OpenKind.PAIRS:
        return [f"{part.name}[3]", f"{part.name}[12]"]
    inner = [*(field.name for field in part.fields), *(name for one in part.opens for name in _columns(one))]
    return [f"{part.name}[0].{name}" for name in inner]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(schema=SCHEMAS, data=st.data())
def test_a_body_of_any_columns_is_valid_by_its_schema(
    tmp_path: Path, schema: dict[str, Any], data: st.DataObject
) -> None:
    """An independent validator accepts what is sent, whichever columns have values, if all that is needed has one."""
    content = document(requestBody=body(schema)) | {"openapi": "3.1.0"}
    files = DocumentFiles(tmp_path / "openapi.json", json.dumps(content).encode())
    (described,) = operations(Resolver(files))
    assert described.endpoint
    endpoint = described.endpoint
    endpoint = opened(endpoint, [name for part in endpoint.opens for name in _columns(part)])
    names_of_body = [field.name for field in endpoint.body_fields if field.kind is not Kind.JSON]
    chosen = set(data.draw(st.lists(st.sampled_from(names_of_body), unique=True))) if names_of_body else set()
    while more := _needs(endpoint, chosen):
        chosen |= more
    values = {name: _value(endpoint.field(name), data) for name in names_of_body if name in chosen}
    values |= dict.fromkeys(chosen - values.keys(), "[[1]]")
    job = Job(2, "", {"thing": 1, **values})
    sent = RequestBuilder(endpoint).build(job).body
    errors = list(Draft202012Validator(schema).iter_errors(json.loads(sent)))
    assert not errors, (sent, values)
