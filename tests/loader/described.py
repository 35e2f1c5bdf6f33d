"""A small endpoint with every kind of field, and tables of it as files."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import openpyxl
from msgspec.structs import replace
from openpyxl.packaging.custom import StringProperty

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Bounds, Endpoint, Field, Kind, ParameterLocation
from batch_updater.loader.table import Table, open_table
from tests.loader.staged import JudgedRow, staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

TEXT = Field(
    name="label", wire_name="label", location=ParameterLocation.BODY, kind=Kind.TEXT, required=False, title="label",
    description="", aliases=(), enum=(), bounds=Bounds(), nullable=True, date_format="%Y-%m-%d", example="",
    default=None, selects_record=False, reported_as=(), reported_id_as=None, allowed=None,
)  # fmt: skip
ITEM = replace(
    TEXT, name="itemId", wire_name="itemId", location=ParameterLocation.PATH, kind=Kind.INTEGER, required=True,
    title="item number", nullable=False, selects_record=True, aliases=("Number of item",), example="7",
)  # fmt: skip
KIND = replace(
    TEXT, name="itemKind", wire_name="itemKind", location=ParameterLocation.QUERY, required=False,
    title="kind", nullable=False,
    selects_record=True, enum=("Small", "Large"), default="Small",
)  # fmt: skip
AMOUNT = replace(TEXT, name="amountDue", wire_name="amountDue", kind=Kind.DECIMAL, title="amount")
COUNT = replace(TEXT, name="count", wire_name="count", kind=Kind.INTEGER, title="count")
DAY = replace(TEXT, name="dueDay", wire_name="dueDay", kind=Kind.DATE, title="day")
ACTIVE = replace(TEXT, name="active", wire_name="active", kind=Kind.BOOLEAN, title="state")
FIELDS = (ITEM, KIND, TEXT, AMOUNT, COUNT, DAY, ACTIVE)


def endpoint(fields: tuple[Field, ...] = FIELDS) -> Endpoint:
    """Describe PUT /items/{itemId}."""
    return Endpoint(
        name="items", api_name="Stock", record_name="item", method="PUT", path="/items/{itemId}",
        content_type="application/json", fields=fields, idempotent=True, record_statuses={200: frozenset()},
        default_record=frozenset(), record_properties=frozenset(), error_message_keys=(), quota_message=None,
    )  # fmt: skip


def settings(**given: object) -> InputSettings:
    """Return the settings with some of them changed."""
    return InputSettings.model_validate(given)


def csv_text(rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """Return rows as CSV; None is a blank cell."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows([["" if cell is None else cell for cell in row] for row in rows])
    return stream.getvalue()


def table_of(path: Path, content: str | bytes, **given: object) -> Table:
    """Write a CSV file and open it."""
    path = path / "items.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path, endpoint(), settings(**given), name="items.csv")


def judged(table: Table) -> list[JudgedRow]:
    """Return every row's verdict."""
    return staged(table).rows


def codes(table: Table) -> dict[int, list[tuple[str | None, str]]]:
    """Return (field, code) of every problem, by row."""
    return {row.row.number: [(problem.field, problem.code) for problem in row.problems] for row in judged(table)}


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]], **properties: str) -> Path:
    """Write a workbook with openpyxl; `properties` are custom document properties (`_` is written as `-`)."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    for name, value in properties.items():
        property_ = StringProperty(name=name.replace("_", "-"), value=value)
        book.custom_doc_props.append(property_)  # type: ignore[attr-defined]  # missing in the stubs
    book.save(path)
    return path
