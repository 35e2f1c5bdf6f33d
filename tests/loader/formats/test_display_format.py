"""display_format.py: what a number format shows of a number or a text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from batch_updater.loader.formats.display_format import display_format_of
from batch_updater.records import CellError, FormattedNumber, ShownAs


@pytest.mark.parametrize(
    ("code", "number", "text", "effect"),
    [
        ("00000", 123, "00123", ShownAs.OTHER_TEXT), ("0%", Decimal("0.4"), "40%", ShownAs.OTHERWISE),
        ("0.0%", Decimal("0.405"), "40.5%", ShownAs.OTHERWISE), ('"OPP-"0', 7, "OPP-7", ShownAs.OTHERWISE),
        ("# ?/?", Decimal("0.5"), "1/2", ShownAs.OTHERWISE), ("??/100", Decimal("0.25"), "25/100", ShownAs.OTHERWISE),
        ('0,"K"', 5000, "5K", ShownAs.OTHERWISE), ("0.0", Decimal("1.25"), "1.3", ShownAs.ROUNDED),
        ("0", Decimal("2.5"), "3", ShownAs.ROUNDED), ("0;[Red]0", -5, "5", ShownAs.UNSIGNED),
        (";;;", 5, "", ShownAs.NOTHING), ("0.00E+00", 1234, "1.23E+03", ShownAs.OTHERWISE),
        ("$#,##0.00", Decimal("1234.5"), "1234.5", ShownAs.IN_CURRENCY),
        ("#'##0.00", Decimal("1234.5"), "1'234.50", ShownAs.OTHER_TEXT),
    ],
)  # fmt: skip
def test_a_number_comes_with_what_its_format_shows(
    code: str, number: int | Decimal, text: str, effect: ShownAs
) -> None:
    """The eye sees another text than the cell holds, and how far that is another number."""
    known = display_format_of(code)
    assert known
    shown = known.shown(number)
    assert isinstance(shown, FormattedNumber)
    assert (shown.number, shown.text, shown.format, shown.effect) == (number, text, code, effect)


@pytest.mark.parametrize("code", ["General", "@", ""])
def test_a_format_that_shows_every_number_as_it_is_is_none(code: str) -> None:
    """Cells with such a format hold plain numbers."""
    assert display_format_of(code) is None


@pytest.mark.parametrize(("code", "number"), [("0.00", Decimal("1.5")), ("[Red]0.00", -2), ("#,##0", 1234567)])
def test_a_number_that_is_shown_in_full_is_a_plain_number(code: str, number: int | Decimal) -> None:
    """Zeros behind it, marks between its digits and colours do not make it another one."""
    known = display_format_of(code)
    assert known
    assert known.shown(number) == number


@pytest.mark.parametrize(
    ("code", "text", "shown"),
    [
        ('"OPP-"@', "123", CellError("text-shown-otherwise", "OPP-123")), (";;;", "a", CellError("hidden-text", "a")),
        ("0;-0;;@", "a", "a"),
    ],
)  # fmt: skip
def test_a_text_that_its_format_hides_or_adds_to_has_no_value(code: str, text: str, shown: object) -> None:
    """The eye would not see what is sent."""
    known = display_format_of(code)
    assert known
    assert known.shown_text(text) == shown
