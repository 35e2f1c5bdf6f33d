"""Numbers as people type them -> the number, where exactly one reading is possible."""

from __future__ import annotations

import re
from decimal import Decimal

from batch_updater.loader.refusal import Refusal, shown

_MOST_DIGITS = 100
"""Far more than any API takes; conversions of longer texts cost more time than they are worth."""
_PLAIN = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_WHOLE = re.compile(r"-?[0-9]+(?:\.0*)?")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]+")
_DIGITS_AND_MARKS = re.compile(r"-?[0-9][0-9.,]*")


def integer_from_text(text: str, decimal_mark: str) -> int:
    """Return the whole number that a text that is not blank stands for. Raises Refusal.

    Leading zeros are taken: they do not change which number it is.
    """
    bare = text.strip()
    if bare.isascii() and bare.isdigit() and len(bare) <= _MOST_DIGITS:
        return int(bare)
    plain = _with_point(bare, decimal_mark, "a whole number")
    if _WHOLE.fullmatch(plain):
        return int(plain.partition(".")[0])
    raise Refusal(
        "not-a-whole-number",
        f"{shown(bare, quoted=True)} is not a whole number.",
        "Type it without a decimal fraction.",
    )


def decimal_from_text(text: str, decimal_mark: str) -> Decimal:
    """Return the number that a text that is not blank stands for, with just the digits it has. Raises Refusal."""
    bare = text.strip()
    if decimal_mark == "." and len(bare) <= _MOST_DIGITS and _PLAIN.fullmatch(bare):
        value = Decimal(bare)
    else:
        value = Decimal(_with_point(bare, decimal_mark, "a number"))
    return value or value.copy_abs()


def _with_point(bare: str, decimal_mark: str, wanted: str) -> str:
    """Return the text of a number in ASCII digits without grouping and with a decimal point. Raises Refusal."""
    if len(bare) > _MOST_DIGITS:
        raise Refusal("not-a-number", f"{shown(bare, quoted=True)} is too long to be {wanted}.", "Correct the number.")
    if _SCIENTIFIC.fullmatch(bare):
        raise Refusal(
            "may-be-damaged",
            f"{shown(bare, quoted=True)} is in scientific notation: Excel may have left out digits.",
            "Type the number in full, from its source.",
        )
    if not bare.isascii() and bare.lstrip("-").replace(".", "").replace(",", "").isdecimal():
        raise Refusal(
            "not-a-number",
            f"{shown(bare, quoted=True)} is written in digits other than 0 to 9.",
            "Type it with the digits 0 to 9.",
        )
    if not _DIGITS_AND_MARKS.fullmatch(bare) and not _PLAIN.fullmatch(bare.replace(decimal_mark, ".")):
        raise Refusal(
            "not-a-number", f"{shown(bare, quoted=True)} is not {wanted}.", "Type the digits alone, such as 1234.5."
        )
    return _ungrouped(bare, decimal_mark)


def _ungrouped(bare: str, mark: str) -> str:
    """Return a number of digits and marks with a decimal point; refuse it where there are two readings, or none."""
    group = "," if mark == "." else "."
    if group not in bare:
        if bare.count(mark) <= 1:
            return bare.replace(mark, ".")
    elif _is_grouped(bare, group, mark):
        # A single group mark might also be somebody else's decimal mark.
        if bare.count(group) > 1 or mark in bare:
            return bare.replace(group, "").replace(mark, ".")
        grouped, fraction = bare.replace(group, ""), bare.replace(group, ".")
        raise Refusal(
            "ambiguous-number",
            f"'{bare}' could be {grouped} or {fraction}.",
            f"Type {grouped} or {fraction.replace('.', mark)}.",
        )
    if bare.count(group) == 1 and _is_grouped(bare, mark, group):
        raise Refusal(
            "not-a-number",
            f"'{bare}' is no number as long as the decimal mark is {mark!r}.",
            f"Type it with {mark!r}, or set input.decimal to {group!r} if the whole file is written so.",
        )
    raise Refusal("not-a-number", f"'{bare}' is not a number.", "Type the digits alone, such as 1234.5.")


def _is_grouped(bare: str, group: str, mark: str) -> bool:
    """Whether a number has its digits in groups of three, or has no groups at all."""
    whole, _, fraction = bare.lstrip("-").partition(mark)
    first, *groups = whole.split(group)
    if group in fraction or mark in fraction or not first:
        return False
    return not groups or (len(first) <= 3 and first != "0" and all(len(digits) == 3 for digits in groups))
