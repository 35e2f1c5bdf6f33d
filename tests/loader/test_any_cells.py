"""Cells of columns without a type, as those of a free map: each is sent as what it is."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind
from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import FormattedNumber, PartlyShownDate, ShownAs
from tests.loader.described import TEXT, settings

if TYPE_CHECKING:
    from batch_updater.loader.findings import CellNote
    from batch_updater.records import Cell, Value

MEMBER = replace(TEXT, name="properties.size", wire_name="size", kind=Kind.ANY, title="properties.size")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("large", "large"), ("12", "12"), ("TRUE", "TRUE"), ("2026-01-31", "2026-01-31"), (12, 12), (True, True),
        (Decimal("1.50"), Decimal("1.50")), (date(2026, 1, 31), date(2026, 1, 31)), ("#CLEAR", None),
        (FormattedNumber(1234, "1234.00", "#,##0.00"), 1234),
        (datetime(2026, 1, 31, 10), "2026-01-31T10:00:00+01:00"),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_cell_is_sent_as_what_it_is(cell: Cell, value: Value) -> None:
    """Text stays text, be it a number."""
    found = converter(MEMBER, settings(time_zone="Europe/Berlin"), [])(cell)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (FormattedNumber(5, "005", "000"), "shown-otherwise"),
        (FormattedNumber(Decimal("0.4"), "40%", "0%", ShownAs.OTHERWISE), "shown-otherwise"),
        (datetime(2026, 1, 31, 10), "no-time-zone"),  # noqa: DTZ001
        (time(10), "not-text"),
        (1_234_567_890_123_456, "may-be-damaged"),
        ("# clear", "near-clear-marker"),
        ("#REF!", "error-cell"),
    ],
)
def test_what_the_eye_does_not_see_is_refused_as_in_a_text_field(cell: Cell, code: str) -> None:
    """Two readings, or a value that Excel may have damaged, are sent in no type."""
    with pytest.raises(ValueProblem) as raised:
        converter(MEMBER, settings(), [])(cell)
    assert raised.value.code == code


def test_a_column_of_numbers_and_texts_is_told() -> None:
    """12 and '12' are two values to an API; a column of one of them is no matter."""
    noted: list[CellNote] = []
    convert = converter(MEMBER, settings(), noted)
    assert [convert(cell) for cell in (12, "large", 13)] == [12, "large", 13]
    assert noted == []
    assert [convert(cell) for cell in ("14", 15)] == ["14", 15]
    assert [note.code for note in noted] == ["mixed-types", "mixed-types"]
    assert "'14' is sent as a text" in noted[0].sentence
    assert "15 is sent as a number" in noted[1].sentence


def test_a_date_that_is_shown_in_part_is_told() -> None:
    """As in a field for dates."""
    noted: list[CellNote] = []
    assert converter(MEMBER, settings(), noted)(PartlyShownDate.of(date(2026, 1, 31), "day")) == date(2026, 1, 31)
    assert [note.code for note in noted] == ["without-day"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [('{"a": [1]}', ["json-as-text"]), ("[1]", ["json-as-text"]), ("[sic] and more", []), ("{x}", [])],
)
def test_json_that_is_sent_as_a_text_is_told(text: str, codes: list[str]) -> None:
    """With the key that makes it JSON."""
    noted: list[CellNote] = []
    assert converter(MEMBER, settings(), noted)(text) == text
    assert [note.code for note in noted] == codes
    assert all("set kind: JSON for properties.size under api.fields" in note.sentence for note in noted)
