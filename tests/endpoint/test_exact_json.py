"""JSON of an API, read and written again."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.exact_json import from_json, number_of, to_json

TEXTS = st.text(st.characters(codec=None, exclude_categories=[]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def test_digits_survive() -> None:
    """A number comes out of JSON and goes back with the very digits that it had, beside a broken text too."""
    text = '{"a":200000.00,"b":12345678901234567890,"c":[1.10,null,true]'
    assert to_json(from_json(text + "}")) == text + "}"
    broken = text + ',"d":"Deal \\ud83d","\\udc00":-0.50}'
    assert to_json(from_json(broken)) == broken


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    """Every value comes back as it was, with half a surrogate in any text or name."""
    again = from_json(to_json(value))
    assert again == value or str(again) == str(value)
    assert to_json(again) == to_json(value)
    assert to_json(value).encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_bytes_of_every_encoding_of_json_are_read(encoding: str) -> None:
    """RFC 8259 asks for UTF-8; services of other days send a byte order mark or UTF-16."""
    assert from_json(json.dumps({"a": "é"}, ensure_ascii=False).encode(encoding)) == {"a": "é"}


@pytest.mark.parametrize(
    "text", ["", "{", "<html>", "[" * 100_000, "[" * 102 + "]" * 102, '{"a":' * 500 + "1" + "}" * 500]
)
def test_text_that_is_not_json_is_a_value_error(text: str) -> None:
    """Whatever an API answers, there is one exception for it."""
    with pytest.raises(ValueError, match=r"\w"):
        from_json(text)


def test_nan_and_infinities_are_texts() -> None:
    """NaN is neither blank, which an encoder would make of it, nor a number to calculate with."""
    assert from_json("[NaN, -Infinity]") == ["NaN", "-Infinity"]


@pytest.mark.parametrize(
    "number",
    ["1e999999999", "-1e-999999999", "1e9999999999999999999", "0e401", "1e401", "1e-401", "7" * 401, "-" + "7" * 5000,
     "7" * 100_000, "0." + "1" * 400],
)  # fmt: skip
@pytest.mark.parametrize("also", ["", ', "b": "\\ud83d"'])
def test_a_number_out_of_all_proportion_is_a_text_and_no_number(number: str, also: str) -> None:
    """It costs no time and no memory, keeps what it was, and is never compared or added up, in quotation marks too."""
    read = from_json(f'{{"a": [{number}, "{number}"]{also}}}')
    assert isinstance(read, dict)
    assert read["a"] == [number, number]
    assert number_of(number) is None
    assert from_json(to_json(read)) == read


@pytest.mark.parametrize("number", ["1e400", "1e-400", "7" * 400, "5e-324", "1.797e308", "0", "-0.00", "1E5"])
def test_every_number_that_a_sheet_can_ask_for_is_one(number: str) -> None:
    """All doubles, and all digits that a cell may have; zero has no sign."""
    for text in (number, f'" {number} "'):
        assert number_of(from_json(text)) == Decimal(number)
    assert str(number_of(from_json("-0.00"))) == "0.00"


@pytest.mark.parametrize("value", ["1_000", "\uff11", "0x1", "", "NaN", "sNaN", "Infinity", "1,5", True, None, [1], {}])
def test_other_values_than_json_numbers_are_not_numbers(value: object) -> None:
    """What Python would take for a number is none that an API reports."""
    assert number_of(value) is None
