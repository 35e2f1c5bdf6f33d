"""Number formats, as far as what they show is another number than the cell holds, another text, or nothing.

What a format shows is read as if it had been typed: 40% and 1/2 are no amounts, $1,234.00 is one. Formats follow
ECMA-376 part 1, 18.8.31.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import TypeAlias

from batch_updater.loader.currencies import currency_beside
from batch_updater.loader.numbers import decimal_from_text
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import CellError, FormattedNumber, ShownAs

_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]?|(?P<general>General)|'
    r"(?P<exponent>[eE][+-])|(?P<plain>.)",
    re.DOTALL | re.IGNORECASE,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9]+(?:\.[0-9]+)?)")
_COLOUR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|color ?[0-9]{1,2}", re.IGNORECASE)
_COMPARED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_CURRENCY_WORDS = frozenset(
    ["$u", "b/", "bs", "din", "fr", "ft", "gs", "kc", "kč", "km", "kn", "kr", "ksh", "lei", "lek", "ls", "lt", "p", "r",
     "rf", "rm", "rmb", "rp", "rs", "s/", "sfr", "tl", "tsh", "zł", "грн", "ден", "дин", "лв", "р", "руб", "сом", "тг"]
)  # fmt: skip
"""What formats write for a currency and people do not type: the currency formats of Excel's languages, in small
letters and without the dot behind them."""
_DASH = re.compile("[-\N{EN DASH}\N{EM DASH}]")
"""How accountants write a zero."""
_APOSTROPHES = "'\u2019"
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_POWER_OF_TEN = re.compile(r"-?[0-9]+(?:\.[0-9]*)?E[+-]?[0-9]{1,3}")
_MOST_CHARACTERS = 200
_SECTIONS_OF_NUMBERS = 3
_EXACT = Context(prec=1000)
"""Room for the digits of every double and for the places of a format."""
# A section is a list of pieces, each of a kind, which one character stands for, and a text:
#   0  a place (0, # or ?) of the whole part      9  one behind the decimal point   .  the decimal point
#   E  the number as a power of ten               e  a place of the exponent        G  the number as it is
#   ,  digits in groups, or a thousandth          %  a hundred times the number     /  the line of a fraction
#   L  a character that stands for itself         $  the same, and for a currency
_Piece: TypeAlias = tuple[str, str]
_OF_ONE_CHARACTER = {"%": "%", ",": ",", "/": "/", "@": "G"}
_BETWEEN_DIGITS = re.compile("(?<=[09]).*[^09.,].*(?=[09])")
"""The kinds from the first digit to the last, if something stands between them, as in 000-000."""


class _Section:
    """One of the parts of a format, between semicolons."""

    def __init__(self, tokens: Sequence[re.Match[str]]) -> None:
        brackets = [token["bracket"] for token in tokens if token["bracket"] is not None]
        conditions = [found for bracket in brackets if (found := _CONDITION.fullmatch(bracket.strip()))]
        self.condition = (conditions[-1][1], Decimal(conditions[-1][2])) if conditions else None
        self._has_colour = any(map(_COLOUR.fullmatch, brackets))
        pieces, beside = _pieces(tokens)
        self.currency = currency_beside(beside)
        """What it shows of a currency; '' if nothing."""
        self._pieces = pieces
        self._kinds = kinds = "".join(kind for kind, _ in pieces)
        # Commas behind the last digit of the whole part, or of the number, divide by 1000.
        behind = re.findall("[09][.,]+", kinds[max(0, kinds.rfind("0")) :])
        self._thousands = "".join(behind).count(",")
        self._is_percent, self._has_exponent = "%" in kinds, "E" in kinds
        self.decimals = kinds.count("9")
        zeros = pieces.count(("0", "0"))
        self._shows_zero = zeros > 0
        slash = kinds.find("/")
        is_fraction = "0" in kinds[: max(0, slash)] and any(
            kind == "0" or text.isdecimal() for kind, text in pieces[slash:]
        )
        self._slash = slash if is_fraction else None
        between = _BETWEEN_DIGITS.search(kinds)
        # Switzerland groups digits so: #'##0.00.
        self._is_grouped = between is not None and all(
            text in _APOSTROPHES for kind, text in pieces[between.start() : between.end()] if kind not in "09.,"
        )
        is_other = self._thousands or self._is_percent or self._has_exponent or is_fraction
        sign = 0 if is_other or between else self._sign_of_one()
        has_digits = any(kind == "L" and text.isdecimal() for kind, text in pieces)
        self._tells_more = between is not None or zeros > 1 or has_digits or not sign
        """Whether it shows digits or letters of its own; blanks, signs and currencies change no reader's mind."""
        self._sign = 0 if self._tells_more else sign
        self.is_general = self._sign == 1 and kinds.count("G") == 1

    def _sign_of_one(self) -> int:
        """Return as what 1 reads in this section: 1 or -1, or 0 if it is no such number."""
        own = re.search("[^L$,](?:.*[^L$,])?", self._kinds)
        if own is None:
            return 0
        before, behind = (
            "".join(text for kind, text in around if kind == "L")
            for around in (self._pieces[: own.start()], self._pieces[own.end() :])
        )
        read = _typed(f"{before}1{behind}")
        return int(read) if read in {Decimal(1), Decimal(-1)} else 0

    def shows_just(self, number: int | Decimal, sign: int) -> bool:
        """Whether it certainly shows all digits of a number and nothing else; `sign` is what its own text has to say.

        Runs for every number of a format.
        """
        if self._sign != sign:
            return False
        if self.is_general:
            return True
        if not self._shows_zero and -1 < number < 1:
            return False
        if isinstance(number, int):
            return True
        exponent = number.as_tuple().exponent
        return isinstance(exponent, int) and -exponent <= self.decimals

    def effect(self, value: Decimal, sign: str, text: str) -> ShownAs | None:
        """Return how far the text that it shows is another number; None where it is just that number."""
        if not text:
            return ShownAs.NOTHING
        if text == format(value, "f") or (_PLAIN_NUMBER.fullmatch(text) and Decimal(text) == value):
            return None
        if self._is_percent:
            return ShownAs.OTHERWISE
        if self._has_exponent:
            is_same = _POWER_OF_TEN.fullmatch(text) and Decimal(text) == value
            return ShownAs.EXPONENT if is_same else ShownAs.OTHERWISE
        bare = (sign + self.render(abs(value), currencies=False)).strip()
        read = _typed(re.sub(f"[{_APOSTROPHES}]", "", bare) if self._is_grouped else bare)
        if read is None:
            is_dash = not value and _typed(_DASH.sub("1", bare, 1)) == 1
            return ShownAs.OTHER_TEXT if is_dash else ShownAs.OTHERWISE
        if read == value:
            return ShownAs.OTHER_TEXT if self._tells_more else None
        most = Decimal(1).scaleb(-self.decimals) / 2
        if not self._thousands and self._slash is None:
            if abs(read - value) <= most:
                return ShownAs.ROUNDED
            if self._has_colour and abs(read + value) <= most:
                return ShownAs.UNSIGNED
        return ShownAs.OTHERWISE

    def render(self, number: Decimal, *, currencies: bool = True) -> str:
        """Return what is shown for a number that is not negative, without the marks between groups of digits."""
        if self._slash is not None:
            is_mixed = _BETWEEN_DIGITS.search(self._kinds[: self._slash]) is not None
            return _as_fraction(number, self._pieces[self._slash + 1 :], is_mixed=is_mixed)
        number = _EXACT.scaleb(number, 2 * self._is_percent - 3 * self._thousands)
        places = self._kinds.count("0")
        unit = Decimal(1).scaleb(-self.decimals)
        power = 0
        if self._has_exponent:
            step = max(1, places)
            power = number.adjusted() // step * step if number else 0
            mantissa = _EXACT.scaleb(number, -power)
            power += step * (mantissa.quantize(unit, ROUND_HALF_UP, _EXACT) >= 10**step)
            number = _EXACT.scaleb(number, -power)
        whole, _, fraction = format(number.quantize(unit, ROUND_HALF_UP, _EXACT), "f").partition(".")
        whole = "" if whole == "0" else whole
        # What has no place of its own is shown at the first one, or in front of the point.
        surplus = whole[: max(0, len(whole) - places)]
        digits, behind = iter(whole.rjust(places)[len(surplus) :]), iter(fraction)
        texts = {
            "G": format(number, "f"),
            "E": f"E{'-' if power < 0 else '+'}{str(abs(power)).zfill(self._kinds.count('e'))}",
            "e": "",
        }
        shown = []
        for kind, text in self._pieces:
            if kind == "0":
                digit = next(digits)
                shown.append(surplus + (digit if digit != " " else {"0": "0", "?": " "}.get(text, "")))
                surplus = ""
            elif kind == ".":
                shown.append(surplus + ".")
                surplus = ""
            elif kind == "9":
                shown.append(next(behind))
            elif currencies or kind != "$":
                shown.append(texts.get(kind, text))
        return "".join(shown).strip()


def _pieces(tokens: Sequence[re.Match[str]]) -> tuple[list[_Piece], str]:
    """Return the pieces of a section, and all that it shows beside its digits."""
    pieces: list[_Piece] = []
    beside = ""
    place = "0"
    for token in tokens:
        plain = token["plain"] or ""
        if token["bracket"] is not None:  # a currency such as [$EUR] or [$kr-414], else a colour, a language ...
            if token["bracket"].startswith("$"):
                currency, _, language = token["bracket"][1:].partition("-")
                beside += currency
                is_word = not language or any(each.isdigit() or each in "%\u2030#" for each in currency)
                if is_word and _typed(f"{currency}1") != 1:
                    pieces += [("L", each) for each in currency]
        elif plain in {"0", "#", "?"}:
            # As Excel has it, a place of the whole part behind a 0 is a 0 too.
            pieces.append((place, "0" if place == "0" and ("0", "0") in pieces else plain))
        elif plain == "." and place == "0":
            pieces.append((".", "."))
            place = "9"
        elif token["exponent"]:
            pieces.append(("E", token[0]))
            place = "e"
        elif token["general"] or plain in _OF_ONE_CHARACTER:
            pieces.append((_OF_ONE_CHARACTER.get(plain, "G"), token[0].strip(",")))
        else:
            text = token["quoted"] or token["escaped"] or plain
            beside += text
            pieces += [("L", each) for each in text]
    for run in re.finditer("L+", "".join(kind for kind, _ in pieces)):
        texts = [text for _, text in pieces[run.start() : run.end()]]
        if "".join(texts).strip().casefold().removesuffix(".") in _CURRENCY_WORDS:
            pieces[run.start() : run.end()] = [("$", text) for text in texts]
    return pieces, beside


def _typed(text: str) -> Decimal | None:
    """Return the number that a text would be if it had been typed."""
    try:
        return decimal_from_text(text.strip(), ".")
    except ValueProblem:
        return None


def _as_fraction(number: Decimal, below: Sequence[_Piece], *, is_mixed: bool) -> str:
    """Return a number as a fraction, about as Excel chooses it; `is_mixed`: with its whole part apart.

    `below` is what is under the line: places, or a denominator that the format names, such as 8 or 100.
    """
    is_named = any(kind == "L" and text.isdecimal() for kind, text in below)
    named = re.search("[0-9]+", "".join(text for _, text in below)) if is_named else None
    fixed = int(named[0]) if named else 0
    whole, part = divmod(Fraction(number), 1)
    if fixed:
        upper, lower = int(part * fixed + Fraction(1, 2)), fixed
    else:
        near = part.limit_denominator(max(1, 10 ** sum(kind == "0" for kind, _ in below) - 1))
        upper, lower = near.numerator, near.denominator
    if not is_mixed:
        return f"{whole * lower + upper}/{lower}"
    if not upper or upper == lower:
        return str(whole + upper // lower)
    return f"{whole or ''} {upper}/{lower}".strip()


class DisplayFormat:
    """A format that may show more than the number, or less."""

    def __init__(self, code: str, sections: Sequence[_Section], text: str | None) -> None:
        """`text` is what it shows of a text, which an @ stands for; None if just the text."""
        self._text = text
        self.changes_texts = text is not None
        self.code = code
        """The format as Excel writes it."""
        self._sections = sections
        self._has_conditions = any(section.condition for section in sections)
        first = sections[0]
        is_plain = first.shows_just(1, 1) and not self._has_conditions and not first.currency
        self.decimals = first.decimals if is_plain else None
        """How many digits behind the point it shows of numbers from 1 on, and nothing else; None if it does else."""

    def shown(self, number: int | Decimal) -> int | Decimal | FormattedNumber:
        """Return the number as the format shows it; the number itself where that makes no difference."""
        section, sign = self._sections[0], "-" if number < 0 else ""  # Excel puts the sign in front by itself
        if self._has_conditions:
            # Where only negative numbers, or nearly, come to a section, a minus is for its own text to say.
            has_positive = True
            for section in self._sections:
                compared, bound = section.condition or ("", Decimal(0))
                is_of_negatives = bound <= 0 if compared in {"<", "<="} else not has_positive
                if not compared or _COMPARED[compared](Decimal(number), bound):
                    sign = "" if is_of_negatives else sign
                    break
                has_positive = has_positive and not (compared in {">", ">="} and bound <= 0)
        elif number < 0 and len(self._sections) > 1:
            section, sign = self._sections[1], ""
        elif not number and len(self._sections) > 2:
            section = self._sections[2]
        if not section.shows_just(number, -1 if number < 0 and not sign else 1):
            value = Decimal(number)
            text = (sign + section.render(abs(value))).strip()
            if effect := section.effect(value, sign, text):
                return FormattedNumber(number, text, self.code, effect, section.currency)
        if not section.currency:
            return number
        return FormattedNumber(number, str(number), self.code, ShownAs.IN_CURRENCY, section.currency)

    def shown_text(self, text: str) -> str | CellError:
        """Return a text; a fault of its cell where the format shows none of it, or more."""
        if self._text is None:
            return text
        if "@" not in self._text:
            return CellError("hidden-text", text)
        return CellError("text-shown-otherwise", self._text.replace("@", text))


def display_format_of(code: str) -> DisplayFormat | None:
    """Return a number format as it shows numbers; None if it shows every number as it is."""
    parts: list[list[re.Match[str]]] = [[]]
    for token in _TOKENS.finditer(code[:_MOST_CHARACTERS] or "General"):
        if token["plain"] == ";":
            parts.append([])
        else:
            parts[-1].append(token)
    # The fourth section is for texts, and so is the last one if it holds an @.
    of_texts = next(iter(parts[_SECTIONS_OF_NUMBERS:]), None)
    if of_texts is None and any(token["plain"] == "@" for token in parts[-1]):
        of_texts = parts.pop()
    text = None
    if of_texts is not None:
        shown = (
            "@" if token["general"] else token["quoted"] or token["escaped"] or token["plain"] for token in of_texts
        )
        text = "".join(piece or "" for piece in shown).strip()
        text = None if text == "@" else text
    sections = [_Section(part) for part in parts[:_SECTIONS_OF_NUMBERS] or [list(_TOKENS.finditer("General"))]]
    is_plain = all(section.is_general and not section.currency for section in sections)
    return None if is_plain and text is None else DisplayFormat(code, sections, text)
