from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.loader.numbers import decimal_from_text, integer_from_text
from batch_updater.loader.refusal import ValueProblem


@pytest.mark.parametrize(
    ("text", "number"),
    [("123", 123), (" 123 ", 123), ("123.0", 123), ("123.", 123), ("-5", -5), ("00123", 123), ("0", 0),
     ("1,234,567", 1234567), ("12345678901234567890", 12345678901234567890)],
)  # fmt: skip
def test_whole_numbers_with_one_reading_are_taken(text: str, number: int) -> None:
    """A text that can only be one whole number is that number, with all its digits."""
    assert integer_from_text(text, ".") == number


@pytest.mark.parametrize(
    ("text", "code"),
    [("1.23E+11", "may-be-damaged"), ("1e3", "may-be-damaged"), ("1.5", "not-a-whole-number"),
     ("1,234", "ambiguous-number"), ("TRUE", "not-a-number"), ("+123", "not-a-number"), ("123?", "not-a-number"),
     ("\uff11\uff12\uff13", "not-a-number"), ("\u0661", "not-a-number"), ("1_000", "not-a-number"),
     ("--1", "not-a-number"), ("123\u200b", "not-a-number"), ("9" * 5000, "not-a-number"), ("-", "not-a-number"),
     (".0", "not-a-whole-number"), ("12,34", "other-decimal-mark"), ("1 234", "not-a-number")],
)  # fmt: skip
def test_whole_numbers_with_none_or_two_readings_are_refused(text: str, code: str) -> None:
    """What may be damaged, is a fraction, or could be two numbers is refused and says why."""
    with pytest.raises(ValueProblem) as refused:
        integer_from_text(text, ".")
    assert refused.value.code == code
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "mark", "digits"),
    [("200000.00", ".", "200000.00"), (".5", ".", "0.5"), ("5.", ".", "5"), ("-0.10", ".", "-0.10"), ("-0", ".", "0"),
     ("1,234.50", ".", "1234.50"), ("1,234,567", ".", "1234567"), ("1.234,50", ",", "1234.50"),
     ("1234,5", ",", "1234.5"), ("1.234.567", ",", "1234567"), ("1.234", ".", "1.234"), ("1,234", ",", "1.234"),
     ("$(500)", ".", "-500"), ("- 5", ".", "-5"), ("-$5", ".", "-5"), ("$-5", ".", "-5"), ("500- EUR", ".", "-500"),
     ("1,5e3", ",", "1500"), ("1'234.5", ".", "1234.5"), ("+5", ".", "5"), ("5 \u20ac", ",", "5"),
     ("1\u00a0234\u00a0567,5", ",", "1234567.5"), ("\u22125", ".", "-5"), ("\uff11\uff12.\uff15", ".", "12.5")],
)  # fmt: skip
def test_decimals_keep_the_digits_of_the_text(text: str, mark: str, digits: str) -> None:
    """A decimal has exactly the digits that were typed, whichever mark they were typed with."""
    assert format(decimal_from_text(text, mark), "f") == digits


@pytest.mark.parametrize(
    ("text", "mark", "code"),
    [("1,234", ".", "ambiguous-number"), ("1.234", ",", "ambiguous-number"), ("1.234,50", ".", "other-decimal-mark"),
     ("200000.00", ",", "other-decimal-mark"), ("NaN", ".", "not-a-number"), ("Infinity", ".", "not-a-number"),
     ("1e400", ".", "may-be-damaged"), ("1.23E+11", ".", "may-be-damaged"), ("$", ".", "not-a-number"),
     ("1,23,45", ".", "not-a-number"),
     ("1.2.3", ".", "not-a-number"), ("1,234.5,6", ".", "not-a-number"), ("0,123", ".", "other-decimal-mark"),
     (".", ".", "not-a-number"), ("12 %", ".", "percentage"), ("1\n2", ".", "not-a-number"),
     ("(-5)", ".", "not-a-number"), ("-5-", ".", "not-a-number"), ("(5", ".", "not-a-number"),
     ("$5 EUR", ".", "not-a-number"), ("5 kg", ".", "not-a-number"), ("1 23", ".", "not-a-number"),
     ("0 123", ".", "not-a-number"), ("0'123", ".", "not-a-number"), ("001 234", ",", "not-a-number"),
     ("1 234'567", ".", "not-a-number"), ("1 234,567", ".", "other-decimal-mark"),
     ("\u0661\u0662", ".", "not-a-number"),
     ("$1,234", ".", "ambiguous-number"), ("abc", ".", "not-a-number"), ("", ".", "not-a-number")],
)  # fmt: skip
def test_decimals_with_none_or_two_readings_are_refused(text: str, mark: str, code: str) -> None:
    """No number is guessed."""
    with pytest.raises(ValueProblem) as refused:
        decimal_from_text(text, mark)
    assert refused.value.code == code


@pytest.mark.parametrize(("text", "mark"), [("1.234.567", "."), ("1,234,567", ","), ("-1.234,5", "."), ("5.", ",")])
def test_a_number_of_the_other_decimal_mark_names_the_setting(text: str, mark: str) -> None:
    """The message says which setting reads a whole file of such numbers."""
    with pytest.raises(ValueProblem) as refused:
        decimal_from_text(text, mark)
    assert f"add --decimal {'.' if mark == ',' else ','} (or set input.decimal)" in refused.value.remedy


def test_an_ambiguous_number_names_both_readings() -> None:
    """The message names both numbers to choose from."""
    with pytest.raises(ValueProblem) as refused:
        decimal_from_text("1,234", ".")
    assert refused.value.reason == "'1,234' could be 1234 or 1.234."


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12))
def test_any_plain_decimal_survives_unchanged(number: Decimal) -> None:
    """What is written with digits and a point is read as just that, sign of a zero aside."""
    assert format(decimal_from_text(format(number, "f"), "."), "f") == format(number or abs(number), "f")


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_is_refused(text: str) -> None:
    """No text makes the reading of numbers fail in another way."""
    for read in (integer_from_text, decimal_from_text):
        for mark in (".", ","):
            with contextlib.suppress(ValueProblem):
                assert Decimal(read(text, mark)).is_finite()


@pytest.mark.parametrize("text", ["1.234e3", "1.5e3", "-1.234e3", "$1.234e3"])
def test_an_exponent_does_not_hide_the_other_decimal_mark(text: str) -> None:
    """With a decimal comma, 1.234e3 has two readings as 1.234 has."""
    with pytest.raises(ValueProblem):
        decimal_from_text(text, ",")
    assert decimal_from_text(text.replace(".", ","), ",") == decimal_from_text(text, ".")
