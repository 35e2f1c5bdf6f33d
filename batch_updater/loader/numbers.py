"""Numbers as people type them -> the number, where exactly one reading is possible."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from batch_updater.loader.currencies import AROUND_AN_AMOUNT, FRANCS
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import DIGITS_OF_A_CELL, Cell, FormattedNumber, digits_of_double
from batch_updater.text.lazy_pattern import lazy_pattern

OTHER_MARK: Final = "other-decimal-mark"
"""Code of the problem of a number that is written with the other decimal mark."""
AMBIGUOUS_NUMBER: Final = "ambiguous-number"
"""Code of the problem of a number that may be a thousand or a fraction."""
_MOST_DIGITS = 100
"""Far more than any API takes; conversions of longer texts cost more time than they are worth."""
_PLAIN = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_WHOLE = re.compile(r"-?[0-9]+(?:\.0*)?")
_SCIENTIFIC = lazy_pattern(r"[+-]?(?=[0-9.,])[0-9]*[.,]?[0-9]*[eE][+-]?[0-9]+")
_ROUNDED_BY_EXCEL = lazy_pattern(r"-?[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,}")
"""As Excel shows a number that its column is too narrow for, and writes it into a CSV file: digits are missing."""
_EXPONENT = lazy_pattern(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE]([+-]?[0-9]{1,2})")
_DIGITS_AND_MARKS = lazy_pattern(r"-?[0-9][0-9.,]*")
_GROUPED_BY_BLANKS = lazy_pattern("[1-9][0-9]{0,2}(?:([ \u00a0\u2009\u202f'\u2019])[0-9]{3})(?:\\1[0-9]{3})*(?![0-9])")
"""Groups of three digits with the blanks, or Swiss apostrophes, that are used between them: always the same one."""
_FULL_WIDTH: Final = {0xFF10 + digit: str(digit) for digit in range(10)} | {
    0xFF0C: ",", 0xFF0E: ".", 0xFF0D: "-", 0xFF0B: "+", 0xFF08: "(", 0xFF09: ")", 0xFFE5: "\u00a5", 0xFF04: "$",
    0x2212: "-",
}  # fmt: skip
"""Full-width characters of East Asian keyboards, and the minus sign of typesetters, have one reading each."""
_PRICE_WITHOUT_CENTS = lazy_pattern("(?<=[0-9])([.,])(?:-{1,2}|[\u2013\u2014])(?![0-9])")
"""As prices are written in German, Dutch and Scandinavian: 500,- and 500.-- are 500, never less than nothing."""
_MILLIONS_WITH_APOSTROPHE = lazy_pattern("([1-9][0-9]{0,2})['\u2019]([0-9]{3}(?:,[0-9]{3})+\\.[0-9]*)")
"""1'234,567.50, as in Mexico."""
_PLAIN_FRACTION = lazy_pattern(r"[-+]?[0-9]*[.,][0-9]+(?:[eE][-+]?[0-9]{1,2})?")
_MOST_DIGITS_MEANT = 12
"""Of a number to which arithmetic has added something: by chance, one in a thousand others ends in so many zeros."""
_ONE_GROUP = {mark: lazy_pattern(rf"[^0-9]*[1-9][0-9]{{0,2}}{re.escape(mark)}[0-9]{{3}}[^0-9]*") for mark in (".", ",")}
_GROUP = lazy_pattern(r"([0-9]+)[.,]([0-9]{3})")
_GROUPED = {
    ".": lazy_pattern(r"-?(?:[0-9]+|(?!0\.)[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]*)?"),
    ",": lazy_pattern(
        r"-?(?:[0-9]+|(?!0,)[0-9]{1,3}(?:,[0-9]{3})+|(?!0)[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}"
        r"|(?!0)[0-9]{1,4}(?:(?:,[0-9]{4}){2,}|,[0-9]{4}(?=\.[0-9])))(?:\.[0-9]*)?"
    ),
}
"""Mark -> numbers that have it between groups of digits as some country writes them, or have no groups at all.

1,23,456 in India; 1,2345,6789 in China and Japan, where a single group of four might be a fraction.
"""
_AROUND = lazy_pattern(
    r"([+-]?)\s*(?:(CUR)\s*)?(?:([+-]?)\s*(NUM)|(\()\s*(NUM)\s*\))\s*(-?)(?:\s*(CUR))?\s*(-?)".replace(
        "CUR", AROUND_AN_AMOUNT
    ).replace("NUM", r"[0-9.,](?:.*[0-9.,])?")
)
"""What may stand around the digits: a sign, brackets for a negative amount, a currency."""
_WHOLE_NUMBER = "a whole number"
_SWAPPED_MARKS = str.maketrans(".,", ",.")


def integer_from_text(text: str, decimal_mark: str) -> int:
    """Return the whole number that a text that is not blank stands for. Raises ValueProblem.

    Leading zeros are taken: they do not change which number it is. Whole numbers are mostly names of records, so
    nothing is taken that a program made of one: no scientific notation, no currency, no digits but ASCII's.
    """
    bare = text.strip()
    if bare.isascii() and bare.isdigit() and len(bare) <= _MOST_DIGITS:
        return int(bare)
    _refuse_unread(bare, bare, decimal_mark, _WHOLE_NUMBER)
    plain = _with_point(bare, bare, decimal_mark, _WHOLE_NUMBER)
    if _WHOLE.fullmatch(plain):
        return int(plain.partition(".")[0])
    raise ValueProblem.of(bare, "not-a-whole-number", "is not a whole number", "Type it without a decimal fraction.")


def decimal_from_text(text: str, decimal_mark: str) -> Decimal:
    """Return the number that a text that is not blank stands for, with just the digits it has. Raises ValueProblem."""
    bare = text.strip()
    if decimal_mark == "." and len(bare) <= _MOST_DIGITS and _PLAIN.fullmatch(bare):
        value = Decimal(bare)
    else:
        value = _amount(bare, decimal_mark)
    return value or value.copy_abs()


def _amount(bare: str, decimal_mark: str) -> Decimal:
    """Read a number with what people put around and between its digits."""
    begin = bare[:_MOST_DIGITS]  # a longer one is refused at once
    plain = FRANCS.sub("CHF", _PRICE_WITHOUT_CENTS.sub(r"\1", begin.translate(_FULL_WIDTH)))
    _refuse_unread(bare, plain, decimal_mark, "a number")
    if plain.endswith("%"):
        what, digits = "is not a number", bare[:-1].strip().replace(decimal_mark, ".")
        if _PLAIN.fullmatch(digits):
            what = f"could be {digits} or {Decimal(digits).scaleb(-2):f}"
        raise ValueProblem.of(bare, "percentage", what, "Type the number that is meant, without a percent sign.")
    bracket = plain.startswith("(") and plain.endswith(")")
    found = _AROUND.fullmatch(plain[1:-1].strip() if bracket else plain)
    signs = [sign for sign in ("(" if bracket else "", *(found.group(1, 3, 5, 7, 9) if found else ())) if sign]
    if found is None or (found[2] and found[8]) or len(signs) > 1:
        raise _no_number(bare)  # more than one sign, or currency
    sign, digits = "" if signs in ([], ["+"]) else "-", found[4] or found[6]
    if exponent := _EXPONENT.fullmatch(_signless(digits, decimal_mark)):
        return Decimal(sign + format(Decimal(exponent[0]), "f"))
    if decimal_mark == "." and (millions := _MILLIONS_WITH_APOSTROPHE.fullmatch(digits)):
        digits = ",".join(millions.groups())
    elif grouped := _GROUPED_BY_BLANKS.match(digits):
        whole, rest = grouped[0], digits[grouped.end() :]
        if rest and not re.fullmatch(re.escape(decimal_mark) + "[0-9]*", rest):
            raise _other_mark(bare, decimal_mark) if rest[0] in ".," else _no_number(bare)
        digits = whole.replace(grouped[1], "") + rest
    return Decimal(sign + _with_point(digits, bare, decimal_mark, "a number"))


def without_residue(number: Decimal) -> Decimal | None:
    """Return 0.3 for 0.30000000000000004: what a program has calculated, in the 15 digits that workbooks have of it.

    None for any other number, exact decimals of 16 and more digits among them.
    """
    if _digits_of(number) <= DIGITS_OF_A_CELL or not -_MOST_DIGITS < number.adjusted() < DIGITS_OF_A_CELL:
        return None
    double = float(number)
    # As JSON and Python, C and .NET, and Python's Decimal write a double in full.
    if number not in {Decimal(repr(double)), Decimal(format(double, ".17g")), Decimal(double)}:
        return None
    rounded = digits_of_double(double)
    return rounded if _digits_of(rounded) <= _MOST_DIGITS_MEANT else None


def text_without_residue(text: str) -> Decimal | None:
    """Return the same for a text of digits and one decimal mark, whichever it is; None for any other text."""
    bare = text.strip()
    if not DIGITS_OF_A_CELL < len(bare) <= _MOST_DIGITS or not _PLAIN_FRACTION.fullmatch(bare):
        return None
    return without_residue(Decimal(bare.replace(",", ".")))


def _digits_of(number: Decimal) -> int:
    """Return how many significant digits a number has, zeros at its end left out."""
    return len("".join(map(str, number.as_tuple().digits)).rstrip("0"))


def may_be_grouped(text: str, decimal_mark: str) -> bool:
    """Whether a number has one mark with three digits behind, so that with the other decimal mark it is a thousand."""
    return _ONE_GROUP[decimal_mark].fullmatch(text) is not None


def refuse_grouped(text: str, configured: str, mark: str, evidence: str, *, is_whole: bool) -> None:
    """Raise ValueProblem if a number may be a thousand with one of the two decimal marks.

    `evidence`, a sentence without its full stop, says why the `configured` decimal mark does not settle it; `mark` is
    the one with which the column is read. `is_whole`: the field takes whole numbers alone.
    """
    found = next((mark for mark in ".," if may_be_grouped(text, mark)), None)
    if found is None:
        return
    bare = text.strip()
    thousand, fraction = one_reading_each(bare, mark)
    # With the other mark configured, a thousand such as 2.000 would still have two readings.
    settled = (
        f"if the whole file is written so, add --decimal {found} (or set input.decimal); else "
        if found != configured
        else ""
    )
    choice = thousand if is_whole and mark in fraction else f"{thousand} or {fraction}"
    what = f"could be {thousand} or {bare.replace(found, '.')}"
    raise ValueProblem.of(bare, AMBIGUOUS_NUMBER, what, f"{evidence}: {settled}type {choice}.")


def one_reading_each(text: str, mark: str) -> tuple[str, str]:
    """Return what to type for a number with one mark and three digits behind: for the thousand, and for the fraction.

    Where `mark` is the decimal mark, neither has another reading: `9.000` gives `9000` and `9`, `1,234` gives `1234`
    and `1.2340`.
    """

    def fraction(found: re.Match[str]) -> str:
        digits = found[2].rstrip("0")
        return f"{found[1]}{mark}{digits.ljust(len(digits) // 3 * 4, '0')}" if digits else found[1]

    return _GROUP.sub(r"\1\2", text), _GROUP.sub(fraction, text)


def without_group_mark(text: str, mark: str) -> str:
    """Return a number without the mark before its last three digits, where a person has told the decimal mark.

    `1.500` is `1500` then with a decimal comma; any other text stays as it is.
    """
    group = "," if mark == "." else "."
    return one_reading_each(text.strip(), mark)[0] if may_be_grouped(text, group) else text


def mark_shown_by(text: str) -> str | None:
    """Return the decimal mark of a number that can be read with one only, as 200,50 and 1.234.567 can."""
    if "." not in text and "," not in text:
        return None
    faults: dict[str, str] = {}
    for mark in ".,":
        try:
            decimal_from_text(text, mark)
        except ValueProblem as refusal:
            faults[mark] = refusal.code
    if len(faults) != 1 or OTHER_MARK not in faults.values():
        return None
    return "." if "," in faults else ","


def _signless(text: str, decimal_mark: str) -> str:
    """Return a number as `Decimal` reads it; a mark that is not the decimal mark stays and is none."""
    bare = text.lstrip("+-")
    return bare if decimal_mark == "." else bare.translate(_SWAPPED_MARKS)


def _refuse_unread(bare: str, plain: str, decimal_mark: str, wanted: str) -> None:
    """Refuse what is too long, has lost digits or is written in others than ASCII's; `bare` is `plain` as typed."""
    if len(bare) > _MOST_DIGITS:
        raise ValueProblem.of(bare, "not-a-number", f"is too long to be {wanted}", "Correct the number.")
    if _SCIENTIFIC.fullmatch(plain) and (
        wanted == _WHOLE_NUMBER
        or _ROUNDED_BY_EXCEL.fullmatch(plain)
        or not _EXPONENT.fullmatch(_signless(plain, decimal_mark))
    ):
        what = "is in scientific notation: Excel may have left out digits"
        raise ValueProblem.of(bare, "may-be-damaged", what, "Type the number in full, from its source.")
    if any(character.isdigit() and not character.isascii() for character in plain):
        what = "is written in digits other than 0 to 9"
        raise ValueProblem.of(bare, "not-a-number", what, "Type it with the digits 0 to 9.")


def _no_number(bare: str, wanted: str = "a number") -> ValueProblem:
    example = "1234" if wanted == _WHOLE_NUMBER else "1234.5"
    return ValueProblem.of(bare, "not-a-number", f"is not {wanted}", f"Type the digits alone, such as {example}.")


def _other_mark(bare: str, decimal_mark: str) -> ValueProblem:
    other = "," if decimal_mark == "." else "."
    remedy = (
        f"Type it with {decimal_mark!r}, or if the whole file is written so, add --decimal {other} (or set "
        "input.decimal)."
    )
    return ValueProblem.of(bare, OTHER_MARK, f"is no number as long as the decimal mark is {decimal_mark!r}", remedy)


def _with_point(digits: str, bare: str, mark: str, wanted: str) -> str:
    """Return a number of digits and marks with a decimal point alone; refuse it unless it has one reading."""
    if not _DIGITS_AND_MARKS.fullmatch(digits) and not _PLAIN.fullmatch(digits.replace(mark, ".")):
        raise _no_number(bare, wanted)
    group = "," if mark == "." else "."
    if group not in digits:
        if digits.count(mark) <= 1:
            return digits.replace(mark, ".")
    elif _GROUPED[group].fullmatch(digits):
        # A single group mark might also be another person's decimal mark.
        if digits.count(group) > 1 or mark in digits:
            return digits.replace(group, "").replace(mark, ".")
        grouped, typed = one_reading_each(digits, mark)
        what = f"could be {grouped} or {digits.replace(group, '.')}"
        remedy = f"Type {grouped}." if wanted == _WHOLE_NUMBER else f"Type {grouped} or {typed}."
        raise ValueProblem.of(bare, AMBIGUOUS_NUMBER, what, remedy)
    if digits.count(group) <= 1 and _GROUPED[mark].fullmatch(digits):
        raise _other_mark(bare, mark)
    raise _no_number(bare)


def number_in(cell: Cell) -> Decimal | None:
    """Return the number that a cell holds, with either decimal mark; None if it holds none."""
    if isinstance(cell, str):
        for mark in (".", ","):
            try:
                return decimal_from_text(cell, mark)
            except ValueProblem:
                continue
        return None
    if isinstance(cell, FormattedNumber):
        cell = cell.number
    return Decimal(cell) if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool) else None
