"""Cells of list fields: items between separators, or a problem that names the item."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.description import Bounds, Kind, ParameterLocation
from batch_updater.loader.cells import ColumnFacts, converter
from batch_updater.loader.refusal import ValueProblem
from tests.loader.described import TEXT, settings

if TYPE_CHECKING:
    from batch_updater.endpoint.description import Field
    from batch_updater.loader.findings import CellNote
    from batch_updater.records import Cell

TAGS = replace(TEXT, name="tags", wire_name="tags", kind=Kind.LIST, title="tags", nullable=False)
NUMBERS = replace(TAGS, item_kind=Kind.INTEGER, bounds=Bounds(maximum=Decimal(99)))
DAYS = replace(TAGS, item_kind=Kind.DATE)
FLAGS = replace(TAGS, item_kind=Kind.BOOLEAN)
PRICES = replace(TAGS, item_kind=Kind.DECIMAL)
CHOSEN = replace(TAGS, enum=("vip", "EU"))


def problem(field: Field, cell: Cell, **given_settings: object) -> ValueProblem:
    with pytest.raises(ValueProblem) as raised:
        converter(field, settings(**given_settings), [])(cell)
    return raised.value


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        (TAGS, "vip", '["vip"]'), (TAGS, "vip; eu ;vip", '["vip", "eu", "vip"]'),
        (TAGS, "vip\r\neu\n\nus", '["vip", "eu", "us"]'),
        (TAGS, "vip;\neu;", '["vip", "eu"]'), (TAGS, 'a "b"; ü', '["a \\"b\\"", "ü"]'), (TAGS, 12, '["12"]'),
        (TAGS, '["a;b", "c"]', '["a;b", "c"]'), (TAGS, "[draft]", '["[draft]"]'), (TAGS, "[]", "[]"),
        (NUMBERS, "1; 02;3", "[1, 2, 3]"), (NUMBERS, 7, "[7]"), (NUMBERS, "[1, 2]", "[1, 2]"),
        (PRICES, "1.50;2", "[1.50, 2]"), (PRICES, Decimal("0.1"), "[0.1]"), (PRICES, "[1.10]", "[1.10]"),
        (DAYS, "2026-01-31; 28 Feb 2026", '["2026-01-31", "2026-02-28"]'), (DAYS, date(2026, 1, 31), '["2026-01-31"]'),
        (FLAGS, "true;FALSE", "[true, false]"), (FLAGS, True, "[true]"), (CHOSEN, "VIP;eu", '["vip", "EU"]'),
    ],
)  # fmt: skip
def test_a_cell_is_the_list_of_its_items(field: Field, cell: Cell, value: str) -> None:
    """Items are trimmed and of the list's kind; an array in JSON is what it is, a single value a list of one."""
    assert converter(field, settings(), [])(cell) == value


@pytest.mark.parametrize(
    ("field", "cell", "code", "words"),
    [
        (TAGS, "a;;b", "empty-item", "empty item"), (TAGS, ";a", "empty-item", "empty item"),
        (TAGS, ";", "empty-item", ""),
        (NUMBERS, "1;x", "not-a-number", "Item 2: 'x'"), (NUMBERS, "1;100", "too-large", "Item 2: 100"),
        (PRICES, "1,5;2", "item-other-decimal-mark", "Item 1"),
        (DAYS, "3/4/2026;2026-01-01", "ambiguous-date", "Item 1"),
        (FLAGS, "yes", "not-true-or-false", ""), (CHOSEN, "vip;us", "not-one-of-the-values", "Item 2: 'us'"),
        (TAGS, "a;#N/A", "error-cell", "Item 2"), (TAGS, "a;#CLEAR", "cannot-be-cleared", "Item 2"),
        (TAGS, "#clear", "near-clear-marker", "#CLEAR"), (TAGS, "[\u201ca\u201d]", "not-JSON", "looks like a list"),
        (TAGS, '[{"a": 1}]', "not-plain-items", ""), (TAGS, "[1, null]", "not-plain-items", ""),
        (TAGS, '["a", ""]', "empty-item", "Item 2"),
        (TAGS, True, "not-text", ""), (TAGS, "[ ]", "no-items", ""),
        (replace(TAGS, bounds=Bounds(min_items=2)), "a", "too-few-items", "1 item"),
        (replace(TAGS, bounds=Bounds(max_items=1)), "a;b", "too-many-items", "2 items"),
        (replace(TAGS, bounds=Bounds(max_length=2)), "ab;abc", "too-long", "Item 2"),
        (replace(TAGS, format="email"), "a@example.com;b", "not-an-email-address", "Item 2"),
    ],
)  # fmt: skip
def test_an_item_that_is_wrong_is_named(field: Field, cell: Cell, code: str, words: str) -> None:
    """The whole cell is a problem then: part of a list would empty the rest of the record's."""
    refusal = problem(field, cell)
    assert refusal.code == code
    assert words in refusal.reason


def test_the_clear_marker_sends_an_empty_list() -> None:
    """So does the empty array, as far as the list may be empty."""
    for text in ("#CLEAR", "[]"):
        assert converter(TAGS, settings(), [])(text) == "[]"
        assert converter(replace(TAGS, nullable=True), settings(), [])(text) == "[]"
        at_least_one = replace(TAGS, bounds=Bounds(min_items=1))
        assert problem(at_least_one, text).code == "cannot-be-cleared"
        assert "set nullable for tags under api.fields" in problem(at_least_one, text).remedy
        assert converter(replace(at_least_one, nullable=True), settings(), [])(text) is None
        in_query = problem(replace(TAGS, location=ParameterLocation.QUERY), text)
        assert (in_query.code, in_query.remedy) == ("cannot-be-cleared", "Type a value.")


def test_a_form_empties_a_list_only_where_the_description_says_how() -> None:
    """A form cannot hold a list without items."""
    form = ColumnFacts(takes_empty_lists=False)
    assert converter(replace(TAGS, clears_with=""), settings(), [], form)("#CLEAR") is None
    with pytest.raises(ValueProblem, match="cannot be cleared"):
        converter(TAGS, settings(), [], form)("#CLEAR")


def test_another_separator_can_be_configured() -> None:
    """It may be of several characters; a line break separates always."""
    assert converter(TAGS, settings(list_separator=","), [])("a, b\nc;d") == '["a", "b", "c;d"]'
    assert converter(TAGS, settings(list_separator=" | "), [])("a | b|c") == '["a", "b|c"]'


def test_one_item_that_looks_like_several_is_told() -> None:
    """A list by commas is one item where the separator is a semicolon: a text is noted, anything else says why."""
    noted: list[CellNote] = []
    assert converter(TAGS, settings(), noted)("vip, eu") == '["vip, eu"]'
    assert [note.code for note in noted] == ["perhaps-several-items"]
    assert "Separate items by ';'" in problem(CHOSEN, "vip, eu").remedy
    assert "Separate items by ';'" in problem(NUMBERS, "1,2,3").remedy
    noted.clear()
    assert converter(TAGS, settings(), noted)("vip; eu, us") == '["vip", "eu, us"]'
    assert noted == []


_ITEMS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(_ITEMS, min_size=1, max_size=6), st.sampled_from([";", "\n", " ; "]))
def test_a_list_survives_cell_value_cell(items: list[str], separator: str) -> None:
    """What is sent is what was typed, and read back as JSON it is the same value again."""
    as_written = replace(TAGS, is_identifier=False)
    value = converter(as_written, settings(), [], ColumnFacts(is_verbatim=True))(separator.join(items))
    assert isinstance(value, str)
    assert json.loads(value) == items
    assert converter(as_written, settings(), [], ColumnFacts(is_verbatim=True))(value) == value


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8).filter(str.strip),
        min_size=1,
    )
)
def test_every_list_can_be_typed_as_json(items: list[str]) -> None:
    """Separators, quotation marks and brackets inside items included."""
    value = converter(TAGS, settings(), [], ColumnFacts(is_verbatim=True))(json.dumps(items, ensure_ascii=False))
    assert isinstance(value, str)
    assert json.loads(value) == items
