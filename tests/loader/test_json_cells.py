"""Cells of JSON: sent as written, once they parse and fit the schema."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind
from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import FormattedNumber
from tests.loader.described import TEXT, settings

if TYPE_CHECKING:
    from batch_updater.loader.findings import CellNote
    from batch_updater.records import Cell

LINE = {
    "type": "object",
    "required": ["sku"],
    "additionalProperties": False,
    "properties": {
        "sku": {"type": "string", "maxLength": 3, "pattern": "^[a-z]+$"},
        "amount": {"type": "number", "minimum": 0, "multipleOf": 0.01},
        "unit": {"enum": ["piece", "box"]},
        "tax": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["rate"]}]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/line"}, "maxItems": 2, "uniqueItems": True},
    },
}
SCHEMA = {"type": "array", "items": {"$ref": "#/$defs/line"}, "$defs": {"line": LINE}}
LINES = replace(
    TEXT, name="order.lines", wire_name="lines", kind=Kind.JSON, title="lines", nullable=False,
    json_schema=json.dumps(SCHEMA),
)  # fmt: skip
ANYTHING = replace(LINES, json_schema="")


def problem(cell: Cell, field: object = LINES) -> ValueProblem:
    with pytest.raises(ValueProblem) as raised:
        converter(field, settings(), [])(cell)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.parametrize(
    "text",
    [
        "[]", '[{"sku": "a", "amount": 1.10}]', '[ {"sku":"a",\n "parts": [{"sku": "b"}]} ]',
        '[{"sku":"a","tax":{"rate":1}}]',
        '[{"sku": "a", "amount": 12345678901234567890.01}]',
    ],
)  # fmt: skip
def test_json_that_fits_is_sent_as_written(text: str) -> None:
    """Its digits, blanks and order stay; those around it go."""
    assert converter(LINES, settings(), [])(f" {text}\n") == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"sku": "a"}', "lines is an object, where a list in [ ] is expected"),
        ("[{}]", "lines[0] has no member 'sku', which it needs"),
        ('[{"sku": "a"}, {"sku": 5}]', "lines[1].sku is 5, where a text is expected"),
        ('[{"sku": "abcd"}]', "lines[0].sku is 'abcd', a text of 4 characters; the most that is allowed is 3"),
        ('[{"sku": "A"}]', "lines[0].sku is 'A', which does not have the form '^[a-z]+$'"),
        ('[{"sku": "a", "amount": -1}]', "lines[0].amount is -1, less than the smallest that is allowed, 0"),
        ('[{"sku": "a", "amount": 0.015}]', "lines[0].amount is 0.015, which is not a multiple of 0.01"),
        ('[{"sku": "a", "unit": "pallet"}]', "lines[0].unit is 'pallet'; valid are 'piece', 'box'"),
        ('[{"sku": "a", "colour": 1}]', "lines[0] has 'colour', which the description does not have there"),
        ('[{"sku": "a", "tax": {}}]', "lines[0].tax has no member 'rate', which it needs"),
        ('[{"sku": "a", "parts": [{"sku": null}]}]', "lines[0].parts[0].sku is null, where a text is expected"),
        ('[{"sku": "a", "parts": [{"sku": "b"}, {"sku": "b"}]}]', "lines[0].parts has the same item twice"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(text: str, words: str) -> None:
    """The place inside, what is there and what belongs there."""
    refusal = problem(text)
    assert refusal.code == "not-valid"
    assert words in refusal.reason


def test_several_faults_are_told_together() -> None:
    """The first few, and that there are more."""
    reason = problem('[{"sku": 1}, {"sku": 2}, {"sku": 3}, {"sku": 4}]').reason
    assert reason.count("where a text is expected") == 3
    assert reason.endswith("and more.")


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("[{\u201csku\u201d: \u201ca\u201d}]", "U+201C (LEFT DOUBLE QUOTATION MARK)", "straight ones"),
        ('["a\u201d]', "U+201D", "straight ones"),
        ("[{'sku': 'a'}]", "at character 3", "double quotation marks"),
        ('[{"sku": True}]', "a value is missing, at character 10", "not True"),
        ('[{"sku": "a"}', "a comma or a closing bracket is missing", ""),
        ('[{"sku": "a"}] x', "something follows behind its end", ""),
        ('[{"sku":\u00a0"a"}]', "U+00A0 (NO-BREAK SPACE)", ""),
        ('[{"sku": "a\nb"}]', "a line break or tab", ""),
        ("vip", "a value is missing", '"vip"'),
        ("[NaN]", "NaN", "or null"),
        ("[1e999]", "a number that is too long", ""),
        ("[" * 200 + "]" * 200, "too many brackets", ""),
        ("[" * 100_000, "too many brackets", ""),
    ],
)
def test_what_is_no_json_is_told_with_the_likely_cause(text: str, words: str, remedy: str) -> None:
    """Quotation marks of word processors are the usual one."""
    refusal = problem(text, ANYTHING)
    assert refusal.code == "not-JSON"
    assert words in refusal.reason
    assert remedy in refusal.remedy


def test_a_member_that_is_there_twice_is_refused() -> None:
    """Which of the two the API would take is open."""
    assert problem('{"a": 1, "a": 2}', ANYTHING).code == "member-twice"


@pytest.mark.parametrize(
    ("cell", "value"), [(12, "12"), (Decimal("1.50"), "1.50"), (True, "true"), ("12", "12"), ('"x"', '"x"')]
)
def test_plain_values_are_json_too(cell: Cell, value: str) -> None:
    """A number or a truth value of a cell is written as JSON writes it."""
    assert converter(ANYTHING, settings(), [])(cell) == value


@pytest.mark.parametrize("cell", [date(2026, 1, 1), FormattedNumber(5, "005", "000")])
def test_cells_that_show_something_else_are_no_json(cell: Cell) -> None:
    """Dates have no form in JSON, and of a formatted number either reading may be meant."""
    assert problem(cell, ANYTHING).code in {"not-JSON", "shown-otherwise"}


def test_null_clears_the_field() -> None:
    """Written as JSON or as the clear marker, it counts as clearing; where null is not valid it is a problem."""
    nullable = replace(LINES, nullable=True)
    assert converter(nullable, settings(), [])("null") is None
    assert converter(nullable, settings(), [])("#CLEAR") is None
    assert problem("#CLEAR").code == "cannot-be-cleared"
    assert problem("null").code == "word-for-nothing"


@pytest.mark.parametrize(
    "schema", ['{"type": "nonsense"}', '{"pattern": "("}', '{"$ref": "https://example.com/s.json"}']
)
def test_a_schema_that_cannot_be_used_keeps_nothing_from_being_sent(schema: str) -> None:
    """A fault of the document is no fault of the cell: it is told, nothing is fetched, and the API judges."""
    noted: list[CellNote] = []
    assert converter(replace(LINES, json_schema=schema), settings(), noted)("[1]") == "[1]"
    assert [note.code for note in noted] == ["not-checked"]


def test_a_value_that_fits_two_of_the_schemas_is_sent() -> None:
    """Many documents say `oneOf` where they mean `anyOf`."""
    schema = json.dumps({"oneOf": [{"type": "integer"}, {"type": "number"}]})
    assert converter(replace(LINES, json_schema=schema), settings(), [])("5") == "5"
    assert problem('"x"', replace(LINES, json_schema=schema)).code == "not-valid"


def test_characters_that_cannot_be_seen_are_told() -> None:
    """They are sent with it, as in a text."""
    noted: list[CellNote] = []
    converter(ANYTHING, settings(), noted)('{"a": "b\u200b"}')
    assert [note.code for note in noted] == ["invisible-character"]
