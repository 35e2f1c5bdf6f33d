"""Number formats, as far as what they show is another number than the cell holds, another text, or nothing.

What a format shows is read as if it had been typed: 40% and 1/2 are no amounts, $1,234.00 is one. Formats follow
ECMA-376 part 1, 18.8.31.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

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
_APOSTROPHES = frozenset("'\u2019")
_WITHOUT_APOSTROPHES = dict.fromkeys(map(ord, _APOSTROPHES))
_MOST_CHARACTERS = 200
_SECTIONS_OF_NUMBERS = 3
_EXACT = Context(prec=1000)
"""Room for the digits of every double and for the places of a format."""


class _Kind(Enum):
    LITERAL = "stands for itself"
    CURRENCY = "stands for itself, and for a currency"
    PLACE = "0, # or ?, of the whole part"
    FRACTION = "0, # or ?, behind the decimal point"
    POINT = "the decimal point"
    GENERAL = "the number as it is"
    PERCENT = "a hundred times the number"
    COMMA = "digits in groups, or a thousandth of the number"
    EXPONENT = "the number as a power of ten"
    POWER = "0, # or ?, of the exponent"
    SLASH = "the number as a fraction, where there are places on both sides"


class _Piece(NamedTuple):
    kind: _Kind
    text: str


class _Section:
    """One of the parts of a format, between semicolons."""

    def __init__(
        self, condition: tuple[str, Decimal] | None, pieces: Sequence[_Piece], *, has_colour: bool, currency: str
    ) -> None:
        self.condition = condition
        self.has_colour = has_colour
        self.currency = currency
        """What it shows of a currency; '' if nothing."""
        kinds = [piece.kind for piece in pieces]
        self._thousands = _commas_behind(kinds)
        self._is_percent = _Kind.PERCENT in kinds
        self._has_exponent = _Kind.EXPONENT in kinds
        self._powers = kinds.count(_Kind.POWER)
        self._pieces = _filled_up([piece for piece in pieces if piece.kind is not _Kind.COMMA])
        self._slash = _slash_of_fraction(self._pieces)
        self.decimals = kinds.count(_Kind.FRACTION)
        whole = [index for index, piece in enumerate(self._pieces) if piece.kind is _Kind.PLACE]
        self._places = len(whole)
        zeros = sum(self._pieces[index].text == "0" for index in whole)
        self._shows_zero = zeros > 0
        is_other = self._thousands or self._is_percent or self._has_exponent or self._slash is not None
        is_in_pieces = _is_in_pieces([piece.kind for piece in self._pieces])
        sign = 0 if is_other or is_in_pieces else self._sign_of_one()
        has_digits = any(piece.text.isdecimal() and piece.kind is _Kind.LITERAL for piece in self._pieces)
        self._is_grouped = is_in_pieces and _has_only_apostrophes_between(self._pieces)
        self._tells_more = is_in_pieces or zeros > 1 or has_digits or not sign
        """Whether it shows digits or letters of its own; blanks, signs and currencies change no reader's mind."""
        self._sign = 0 if self._tells_more else sign
        self.is_general = self._sign == 1 and kinds.count(_Kind.GENERAL) == 1

    def _sign_of_one(self) -> int:
        """Return as what 1 reads in this section: 1 or -1, or 0 if it is no such number."""
        read = _typed(self._around("1"))
        return int(read) if read in {Decimal(1), Decimal(-1)} else 0

    def _around(self, digits: str) -> str:
        """Return digits with what the section has around its own, currencies left out."""
        numeric = [index for index, piece in enumerate(self._pieces) if piece.kind not in _AROUND_DIGITS]
        if not numeric:
            return ""
        before, behind = self._pieces[: numeric[0]], self._pieces[numeric[-1] + 1 :]
        return _joined(before) + digits + _joined(behind)

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

    def shown(self, number: int | Decimal, sign: str, code: str) -> FormattedNumber | None:
        """Return a number as it shows it; None where it shows just that number. `sign` is Excel's, not its own."""
        value = Decimal(number)
        text = (sign + self._render(abs(value))).strip()
        effect = self._effect(value, sign, text) if text else ShownAs.NOTHING
        return None if effect is None else FormattedNumber(number, text, code, effect, self.currency)

    def _effect(self, value: Decimal, sign: str, text: str) -> ShownAs | None:
        if text == format(value, "f") or _is_same(text, value):
            return None
        if self._is_percent:
            return ShownAs.OTHERWISE
        if self._has_exponent:
            return ShownAs.EXPONENT if _power(text) == value else ShownAs.OTHERWISE
        bare = (sign + self._render(abs(value), currencies=False)).strip()
        read = _typed(bare.translate(_WITHOUT_APOSTROPHES) if self._is_grouped else bare)
        if read is None:
            is_dash = not value and _typed(_DASH.sub("1", bare, 1)) == 1
            return ShownAs.OTHER_TEXT if is_dash else ShownAs.OTHERWISE
        if read == value:
            return ShownAs.OTHER_TEXT if self._tells_more else None
        most = Decimal(1).scaleb(-self.decimals) / 2
        if self._thousands or self._slash is not None:
            return ShownAs.OTHERWISE
        if abs(read - value) <= most:
            return ShownAs.ROUNDED
        return ShownAs.UNSIGNED if self.has_colour and abs(read + value) <= most else ShownAs.OTHERWISE

    def _render(self, number: Decimal, *, currencies: bool = True) -> str:
        """Return what is shown for a number that is not negative, without the marks between groups of digits."""
        if self._slash is not None:
            return _as_fraction(number, self._pieces[: self._slash], self._pieces[self._slash + 1 :])
        number = _EXACT.scaleb(number, 2 * self._is_percent - 3 * self._thousands)
        power = 0
        if self._has_exponent:
            number, power = self._mantissa(number)
        rounded = number.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP, _EXACT)
        whole, _, fraction = format(rounded, "f").partition(".")
        whole = "" if whole == "0" else whole
        surplus = whole[: max(0, len(whole) - self._places)]
        digits, behind = iter(whole.rjust(self._places)[len(surplus) :]), iter(fraction)
        sign = "-" if power < 0 else "+"
        texts = {
            _Kind.GENERAL: format(number, "f"),
            _Kind.EXPONENT: f"E{sign}{str(abs(power)).zfill(self._powers)}",
            _Kind.POWER: "",
        }
        shown = []
        for piece in self._pieces:
            match piece.kind:
                case _Kind.PLACE:
                    shown.append(surplus + _filled(next(digits), piece.text))
                    surplus = ""
                case _Kind.POINT:
                    shown.append(surplus + ".")
                    surplus = ""
                case _Kind.FRACTION:
                    shown.append(next(behind))
                case _ if currencies or piece.kind is not _Kind.CURRENCY:
                    shown.append(texts.get(piece.kind, piece.text))
        return "".join(shown).strip()

    def _mantissa(self, number: Decimal) -> tuple[Decimal, int]:
        """Return a number as one with so many digits in front of its point as there are places, and a power of ten."""
        step = max(1, self._places)
        power = number.adjusted() // step * step if number else 0
        mantissa = _EXACT.scaleb(number, -power)
        rounded = mantissa.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP, _EXACT)
        if rounded >= 10**step:
            return _EXACT.scaleb(mantissa, -step), power + step
        return mantissa, power


_AROUND_DIGITS = {_Kind.LITERAL, _Kind.CURRENCY}
_DIGITS = {_Kind.PLACE, _Kind.FRACTION}


def _joined(pieces: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in pieces if piece.kind is not _Kind.CURRENCY)


def _typed(text: str) -> Decimal | None:
    """Return the number that a text would be if it had been typed."""
    try:
        return decimal_from_text(text.strip(), ".")
    except ValueProblem:
        return None


def _power(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"-?[0-9]+(?:\.[0-9]*)?E[+-]?[0-9]{1,3}", text) else None


def _filled_up(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return pieces in which a place of the whole part behind a 0 is a 0 too, as Excel has it."""
    zero = next((index for index, piece in enumerate(pieces) if piece == (_Kind.PLACE, "0")), len(pieces))
    return [
        _Piece(_Kind.PLACE, "0") if index > zero and piece.kind is _Kind.PLACE else piece
        for index, piece in enumerate(pieces)
    ]


def _slash_of_fraction(pieces: Sequence[_Piece]) -> int | None:
    """Return where the line of a fraction is; None if the section shows none."""
    kinds = [piece.kind for piece in pieces]
    if _Kind.SLASH not in kinds:
        return None
    slash = kinds.index(_Kind.SLASH)
    has_below = any(piece.kind is _Kind.PLACE or piece.text.isdecimal() for piece in pieces[slash:])
    return slash if _Kind.PLACE in kinds[:slash] and has_below else None


def _commas_behind(kinds: Sequence[_Kind]) -> int:
    """Return how many commas divide by 1000: those behind the last digit of the whole part, or of the number."""
    count = 0
    is_behind = False
    for kind in kinds:
        if kind is _Kind.PLACE:
            count = 0
        if kind is _Kind.COMMA:
            count += is_behind
        elif kind is not _Kind.POINT:
            is_behind = kind in _DIGITS
    return count


def _is_in_pieces(kinds: Sequence[_Kind]) -> bool:
    """Whether something stands between the digits, as in 000-000."""
    digits = [index for index, kind in enumerate(kinds) if kind in _DIGITS]
    return bool(digits) and not {*_DIGITS, _Kind.POINT}.issuperset(kinds[digits[0] : digits[-1]])


def _has_only_apostrophes_between(pieces: Sequence[_Piece]) -> bool:
    """Whether a format groups digits as in Switzerland: #'##0.00."""
    digits = [index for index, piece in enumerate(pieces) if piece.kind in _DIGITS]
    between = [piece for piece in pieces[digits[0] : digits[-1]] if piece.kind not in {*_DIGITS, _Kind.POINT}]
    return all(piece.text in _APOSTROPHES for piece in between)


def _as_fraction(number: Decimal, above: Sequence[_Piece], below: Sequence[_Piece]) -> str:
    """Return a number as a fraction, about as Excel chooses it: with its whole part apart if there are places for it.

    `above` and `below` are what is on both sides of the line.
    """
    fixed = _denominator(below)
    most = fixed or max(1, 10 ** sum(piece.kind is _Kind.PLACE for piece in below) - 1)
    whole, part = divmod(Fraction(number), 1)
    if fixed:
        upper, lower = int(part * fixed + Fraction(1, 2)), fixed
    else:
        near = part.limit_denominator(most)
        upper, lower = near.numerator, near.denominator
    if not _is_in_pieces([piece.kind for piece in above]):
        return f"{whole * lower + upper}/{lower}"
    if not upper or upper == lower:
        return str(whole + upper // lower)
    return f"{whole or ''} {upper}/{lower}".strip()


def _denominator(below: Sequence[_Piece]) -> int:
    """Return the denominator that a format names, such as 8 or 100; 0 if it names none."""
    is_named = any(piece.kind is _Kind.LITERAL and piece.text.isdecimal() for piece in below)
    found = re.search("[0-9]+", "".join(piece.text for piece in below)) if is_named else None
    return int(found[0]) if found else 0


def _filled(digit: str, place: str) -> str:
    """Return what a place shows for a digit; a blank is no digit."""
    return digit if digit != " " else {"0": "0", "?": " "}.get(place, "")


def _is_same(text: str, value: Decimal) -> bool:
    """Whether the text shows just the number, with zeros behind its fraction perhaps."""
    return re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", text) is not None and Decimal(text) == value


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
        section, sign = self._section_for(number)
        if section.shows_just(number, -1 if number < 0 and not sign else 1):
            return self._beside_currency(number, section)
        return section.shown(number, sign, self.code) or self._beside_currency(number, section)

    def shown_text(self, text: str) -> str | CellError:
        """Return a text; a fault of its cell where the format shows none of it, or more."""
        if self._text is None:
            return text
        if "@" not in self._text:
            return CellError("hidden-text", text)
        return CellError("text-shown-otherwise", self._text.replace("@", text))

    def _beside_currency(self, number: int | Decimal, section: _Section) -> int | Decimal | FormattedNumber:
        if not section.currency:
            return number
        return FormattedNumber(number, str(number), self.code, ShownAs.IN_CURRENCY, section.currency)

    def _section_for(self, value: int | Decimal) -> tuple[_Section, str]:
        """Return the section that shows a number, and the sign that Excel puts in front by itself."""
        sign = "-" if value < 0 else ""
        if self._has_conditions:
            for index, section in enumerate(self._sections):
                if section.condition is None or _COMPARED[section.condition[0]](Decimal(value), section.condition[1]):
                    return section, "" if self._is_for_negatives(index) else sign
            return self._sections[-1], sign
        if value < 0 and len(self._sections) > 1:
            return self._sections[1], ""
        return self._sections[2 if not value and len(self._sections) > 2 else 0], sign

    def _is_for_negatives(self, index: int) -> bool:
        """Whether only negative numbers, or nearly, come to a section: then a minus is for its own text to say."""
        condition = self._sections[index].condition
        if condition is not None and condition[0] in {"<", "<="}:
            return condition[1] <= 0
        return any(
            earlier.condition and earlier.condition[0] in {">", ">="} and earlier.condition[1] <= 0
            for earlier in self._sections[:index]
        )


def display_format_of(code: str) -> DisplayFormat | None:
    """Return a number format as it shows numbers; None if it shows every number as it is."""
    parts: list[list[re.Match[str]]] = [[]]
    for token in _TOKENS.finditer(code[:_MOST_CHARACTERS] or "General"):
        if token["plain"] == ";":
            parts.append([])
        else:
            parts[-1].append(token)
    # The fourth section is for texts, and so is the last one if it holds an @.
    is_last_of_texts = len(parts) <= _SECTIONS_OF_NUMBERS and any(token["plain"] == "@" for token in parts[-1])
    of_texts = parts.pop() if is_last_of_texts else next(iter(parts[_SECTIONS_OF_NUMBERS:]), None)
    text = None if of_texts is None else _text_of(of_texts)
    sections = [_section(part) for part in parts[:_SECTIONS_OF_NUMBERS] or [list(_TOKENS.finditer("General"))]]
    is_plain = all(section.is_general and not section.currency for section in sections)
    return None if is_plain and text is None else DisplayFormat(code, sections, text)


def _text_of(tokens: Sequence[re.Match[str]]) -> str | None:
    """Return what a section for texts shows, an @ for the text itself; None if just the text, with blanks perhaps."""
    pieces = [token["quoted"] or token["escaped"] or token["plain"] or "" for token in tokens]
    text = "".join("@" if token["general"] else piece for token, piece in zip(tokens, pieces, strict=True)).strip()
    return None if text == "@" else text


def _section(tokens: Sequence[re.Match[str]]) -> _Section:
    condition: tuple[str, Decimal] | None = None
    has_colour = False
    pieces: list[_Piece] = []
    beside: list[str] = []
    place = _Kind.PLACE
    for token in tokens:
        if token["bracket"] is not None:
            found = _CONDITION.fullmatch(token["bracket"].strip())
            condition = (found[1], Decimal(found[2])) if found else condition
            has_colour = has_colour or _COLOUR.fullmatch(token["bracket"]) is not None
            pieces.extend(_bracketed(token["bracket"]))
            if token["bracket"].startswith("$"):
                beside.append(token["bracket"][1:].partition("-")[0])
        elif token["plain"] in ("0", "#", "?"):
            pieces.append(_Piece(place, token["plain"]))
        elif token["plain"] == "." and place is _Kind.PLACE:
            pieces.append(_Piece(_Kind.POINT, "."))
            place = _Kind.FRACTION
        elif token["exponent"]:
            pieces.append(_Piece(_Kind.EXPONENT, token["exponent"]))
            place = _Kind.POWER
        else:
            literals = _other(token)
            pieces.extend(literals)
            beside += [piece.text for piece in literals if piece.kind is _Kind.LITERAL]
    return _Section(
        condition, _with_currencies(pieces), has_colour=has_colour, currency=currency_beside("".join(beside))
    )


def _bracketed(text: str) -> list[_Piece]:
    """Return the currency that a bracket such as `[$EUR]` or `[$kr-414]` holds; colours and languages are none."""
    if not text.startswith("$"):
        return []
    currency, _, language = text[1:].partition("-")
    is_one = bool(language) and not any(character.isdigit() or character in "%\u2030#" for character in currency)
    return [] if is_one or _typed(f"{currency}1") == 1 else [_Piece(_Kind.LITERAL, each) for each in currency]


_OF_ONE_CHARACTER = {"%": _Kind.PERCENT, ",": _Kind.COMMA, "/": _Kind.SLASH, "@": _Kind.GENERAL}


def _other(token: re.Match[str]) -> list[_Piece]:
    if token["general"]:
        return [_Piece(_Kind.GENERAL, "General")]
    plain = token["plain"] or ""
    if plain in _OF_ONE_CHARACTER:
        return [_Piece(_OF_ONE_CHARACTER[plain], plain)]
    text = token["quoted"] or token["escaped"] or plain
    return [_Piece(_Kind.LITERAL, character) for character in text]


def _with_currencies(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Return pieces of which those that write a currency as people do not type it are known as such."""
    made: list[_Piece] = []
    run: list[_Piece] = []
    for piece in (*pieces, None):
        if piece is not None and piece.kind is _Kind.LITERAL:
            run.append(piece)
            continue
        word = "".join(one.text for one in run).strip().casefold().removesuffix(".")
        made.extend(_Piece(_Kind.CURRENCY, one.text) if word in _CURRENCY_WORDS else one for one in run)
        run.clear()
        if piece is not None:
            made.append(piece)
    return made
