"""JSON of an API, read and written again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.endpoint.exact_json import from_json, to_json

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


@pytest.mark.parametrize("text", ["", "{", "<html>", "1e9999999999999999999", "[" * 100_000])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    """Whatever an API answers, there is one exception for it."""
    with pytest.raises(ValueError, match=r"\w"):
        from_json(text)


def test_numbers_that_are_none_are_texts() -> None:
    """NaN is neither blank, which an encoder would make of it, nor a number to reckon with."""
    assert from_json("[NaN, -Infinity]") == ["NaN", "-Infinity"]
