"""Cells of a file -> bodies, for any schema: valid by an independent validator, and read back without the program."""

from __future__ import annotations

import json
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Endpoint, Field, Kind, OpenColumns, OpenKind
from batch_updater.endpoint.open_columns import opened
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.endpoint.reported import equals_reported, value_at
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.loader.table import open_table
from tests.endpoint.documents import document
from tests.loader.described import workbook
from tests.loader.staged import staged

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
RECORD = "the-record"


def an_object(required: set[str], properties: dict[str, Any], others: object = False) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(required), "additionalProperties": others}


def a_list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


NAMES = st.text("abcdefgh", min_size=2, max_size=5)
LEAVES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        TEXT,
        NUMBER,
        {"type": "number"},
        {"type": "boolean"},
        {"type": ["string", "null"]},
        {"type": "string", "enum": ["low", "High"]},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        a_list(TEXT),
        a_list(NUMBER),
        a_list({"type": "string", "enum": ["low", "High"]}),
        {"anyOf": [NUMBER, {"type": "null"}]},
        {"allOf": [{"type": "string"}, {"maxLength": 4}]},
        {},
        a_list(a_list(NUMBER)),
    ]
)
KEYED: st.SearchStrategy[dict[str, Any]] = st.sampled_from([TEXT, NUMBER, {}]).map(
    lambda value: a_list(an_object({"id", "value"}, {"id": NUMBER, "value": value}))
)
MAPS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([TEXT, NUMBER, {}, True]).map(
    lambda others: {"type": "object", "additionalProperties": others}
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.dictionaries(NAMES, st.tuples(inner, st.booleans()), min_size=1, max_size=4)
    return st.tuples(members, st.sampled_from([False, False, True])).map(
        lambda drawn: an_object(
            {name for name, (_, is_required) in drawn[0].items() if is_required},
            {name: schema for name, (schema, _) in drawn[0].items()},
            drawn[1],
        )
    )


SCHEMAS = _objects(
    st.recursive(LEAVES | KEYED | MAPS, lambda inner: _objects(inner) | _objects(inner).map(a_list), max_leaves=8)
)
WORDS = st.text("xyzäß 7", min_size=1, max_size=4).map(str.strip).filter(lambda text: text.strip("7 ") != "")
CELLS: dict[Kind, st.SearchStrategy[object]] = {
    Kind.TEXT: WORDS,
    Kind.INTEGER: st.integers(-(10**9), 10**9),
    Kind.DECIMAL: st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
    Kind.BOOLEAN: st.booleans(),
    Kind.DATE: st.dates(date(1990, 1, 1), date(2040, 1, 1)),
    Kind.DATE_TIME: st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(microsecond=0)
    ),
    Kind.ANY: WORDS | st.integers(-99, 99) | st.booleans(),
    Kind.JSON: st.sampled_from(["[[1, 2], []]", "[]", "[[7]]"]),
}


def cell_of(field: Field, data: st.DataObject) -> object:
    """Draw what a person types for a field."""
    if field.kind is Kind.LIST:
        items = st.sampled_from(["low", "High"]) if field.enum else CELLS[field.item_kind]
        return ";".join(str(item) for item in data.draw(st.lists(items, min_size=1, max_size=3)))
    return data.draw(st.sampled_from(field.enum) if field.enum else CELLS[field.kind])


def in_json(field: Field, cell: object) -> object:
    """Return what a cell is in JSON, by the type that its field has."""
    if field.kind is Kind.LIST:
        items = str(cell).split(";")
        return [int(item) for item in items] if field.item_kind is Kind.INTEGER else items
    if field.kind is Kind.JSON:
        return json.loads(str(cell))
    if isinstance(cell, datetime):
        return f"{cell.isoformat()}Z"
    return cell.isoformat() if isinstance(cell, date) else cell


def columns(part: OpenColumns) -> list[str]:
    """Return names of columns of an open part."""
    match part.kind:
        case OpenKind.MAP:
            return [f"{part.name}.other", f"{part.name}.One more"]
        case OpenKind.PAIRS:
            return [f"{part.name}[3]", f"{part.name}[12]"]
        case OpenKind.ITEMS:
            inner = [*(field.name for field in part.fields), *(name for one in part.opens for name in columns(one))]
            return [f"{part.name}[{at}].{name}" for at in (0, 1) for name in inner]


def completed(endpoint: Endpoint, chosen: set[str]) -> set[str]:
    """Return names of fields with what they need beside them, and without gaps in lists."""
    by_path = {field.path: field for field in endpoint.body_fields}
    while True:
        paths = [endpoint.field(name).path for name in chosen]
        needed = {field.path for field in endpoint.body_fields if field.required}
        for one in endpoint.requirements:
            is_sent = not one.within or any(path[: len(one.within)] == one.within for path in paths)
            if is_sent and not any(path[: len(one.member)] == one.member for path in paths):
                below = [path for path in by_path if path[: len(one.member)] == one.member]
                needed.add(max(below, key=len))
        for path in paths:
            needed |= {
                next(other for other in by_path if other[: at + 1] == (*path[:at], 0))
                for at, step in enumerate(path)
                if step == 1 and not any(other[: at + 1] == (*path[:at], 0) for other in paths)
            }
        more = {by_path[path].name for path in needed} - chosen
        if not more:
            return chosen
        chosen |= more


def flat(schema: dict[str, Any], value: Any, name: str) -> Iterator[tuple[str, object]]:
    """Yield the values of a body by the names of their columns."""
    items = schema.get("items", {})
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for member, inner in value.items():
            below = properties.get(member, others if isinstance(others, dict) else {})
            # Others than the described members of a body, or of an element of a list, are below "body".
            own = "body." if name[-1:] in {"", "]"} and member not in properties else ""
            yield from flat(below, inner, f"{name}.{own}{member}" if name else f"{own}{member}")
    elif isinstance(value, list) and items.get("properties", {}).keys() == {"id", "value"}:
        for element in value:
            assert element.keys() == {"id", "value"}
            yield f"{name}[{element['id']}]", element["value"]
    elif isinstance(value, list) and items.get("type") == "object":
        for at, element in enumerate(value):
            yield from flat(items, element, f"{name}[{at}]")
    else:
        yield name, value


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(schema=SCHEMAS, data=st.data())
def test_bodies_hold_the_cells_of_their_rows_and_nothing_else(schema: dict[str, Any], data: st.DataObject) -> None:
    """Whatever the schema and the columns: each cell once, at its place, and a body that the schema allows."""
    parameter = {"name": RECORD, "in": "path", "required": True, "schema": NUMBER}
    content = document(parameters=[parameter], requestBody={"content": {"application/json": {"schema": schema}}})
    content["paths"] = {f"/things/{{{RECORD}}}": content["paths"]["/things/{thing}"]}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "openapi.json").write_text(json.dumps(content | {"openapi": "3.1.0"}), encoding="utf-8")
        endpoint = load_endpoint(f"{folder}/openapi.json")
        every = opened(endpoint, [name for part in endpoint.opens for name in columns(part)])
        wholes = {part.path for part in endpoint.opens}  # a cell of JSON is another way to fill in their columns
        fields = tuple(field for field in every.fields if not field.path or field.path not in wholes)
        every = replace(every, fields=fields)
        names = [field.name for field in every.body_fields]
        rows: list[dict[str, object]] = []
        for _ in range(data.draw(st.integers(1, 3))):
            chosen = completed(every, set(data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))))
            rows.append({name: cell_of(every.field(name), data) for name in sorted(chosen)})
        headers = sorted({name for row in rows for name in row})
        lines: list[list[object]] = [
            [RECORD, *headers],
            *([at, *map(row.get, headers)] for at, row in enumerate(rows, 1)),
        ]
        path = workbook(Path(folder) / "rows.xlsx", {"Data": lines})
        opened_table = open_table(path, endpoint, InputSettings(time_zone="UTC"), name=path.name)
        judged = staged(opened_table).rows
        opened_table.close()
    table_endpoint = opened_table.endpoint
    assert len(judged) == len(rows)
    for row, cells in zip(judged, rows, strict=True):
        assert row.job, row.problems
        body = json.loads(RequestBuilder(table_endpoint).build(row.job).body, parse_float=Decimal)
        assert not list(Draft202012Validator(schema).iter_errors(body)), body
        expected = {name: in_json(every.field(name), cell) for name, cell in cells.items()}
        found = list(flat(schema, body, ""))
        assert sorted(name for name, _ in found) == sorted(expected)
        for name, value in found:
            is_number = isinstance(value, Decimal)
            assert (value == Decimal(str(expected[name]))) if is_number else (value == expected[name]), name
            field = table_endpoint.field(name)
            # An answer that has the body in it confirms the row.
            assert equals_reported(field, row.job.values[name], value_at(body, field.path))
