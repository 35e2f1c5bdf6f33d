"""Number formats that show digits or letters which the number does not have: `00000`, `"OPP-"0000`, `000-00-0000`.

As a number such a cell is what it is; as text the eye and the cell say different things.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.model import ShownNumber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_.|\*.|\[(?P<bracket>[^\]]*)\]?|(?P<general>General)|(?P<plain>.)',
    re.DOTALL | re.IGNORECASE,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[0-9]+(?:\.[0-9]+)?)")
_COMPARED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
_MOST_CHARACTERS = 200
_EXACT = Context(prec=1000)
"""Room for the digits of every double and for the places of a format."""


class _Kind(Enum):
    LITERAL = "stands for itself"
    PLACE = "0, # or ?, of the whole part"
    FRACTION = "0, # or ?, behind the decimal point"
    POINT = "the decimal point"
    GENERAL = "the number as it is"
    OTHER = "per cent, exponents, fractions: the format is about amounts"


class _Piece(NamedTuple):
    kind: _Kind
    text: str


@dataclass(frozen=True, slots=True)
class _Section:
    """One of the parts of a format, between semicolons."""

    condition: tuple[str, Decimal] | None
    pieces: tuple[_Piece, ...]

    @property
    def tells_more(self) -> bool:
        """Whether it shows digits or letters of its own; blanks, signs and currencies change no reader's mind."""
        kinds = [piece.kind for piece in self.pieces]
        if _Kind.OTHER in kinds:
            return False
        if any(piece.kind is _Kind.LITERAL and piece.text.isalnum() for piece in self.pieces):
            return True
        places = [index for index, kind in enumerate(kinds) if kind is _Kind.PLACE]
        between = kinds[places[0] : places[-1]] if places else []
        return _Kind.LITERAL in between or sum(self.pieces[index].text == "0" for index in places) > 1

    def render(self, number: Decimal) -> str:
        """Return what is shown for a number that is not negative."""
        fraction_places = [piece for piece in self.pieces if piece.kind is _Kind.FRACTION]
        rounded = number.quantize(Decimal(1).scaleb(-len(fraction_places)), ROUND_HALF_UP, _EXACT)
        whole, _, fraction = format(rounded, "f").partition(".")
        places = sum(piece.kind is _Kind.PLACE for piece in self.pieces)
        surplus = whole[: max(0, len(whole) - places)]
        digits, behind = iter(whole.rjust(places)[-places:] if places else ""), iter(fraction)
        shown = []
        for piece in self.pieces:
            match piece.kind:
                case _Kind.PLACE:
                    shown.append(surplus + _filled(next(digits), piece.text))
                    surplus = ""
                case _Kind.FRACTION:
                    shown.append(next(behind))
                case _Kind.GENERAL:
                    shown.append(format(number, "f"))
                case _:
                    shown.append(piece.text)
        return "".join(shown).strip()


def _filled(digit: str, place: str) -> str:
    """Return what a place shows for a digit; a blank is no digit."""
    return digit if digit != " " else {"0": "0", "?": " "}.get(place, "")


@dataclass(frozen=True, slots=True)
class Mask:
    """A format of which at least one section tells more than the number."""

    code: str
    """The format as Excel writes it."""
    sections: tuple[_Section, ...]

    def shown(self, number: int | Decimal) -> int | Decimal | ShownNumber:
        """Return the number as the format shows it; the number itself where that makes no difference."""
        value = Decimal(number)
        section, sign = self._section_for(value)
        if not section.tells_more:
            return number
        text = sign + section.render(abs(value))
        return number if text == format(value, "f") or _is_same(text, value) else ShownNumber(number, text, self.code)

    def _section_for(self, value: Decimal) -> tuple[_Section, str]:
        """Return the section that shows a number, and the sign that Excel puts in front by itself."""
        sign = "-" if value < 0 else ""
        if any(section.condition for section in self.sections):
            for section in self.sections:
                if section.condition is None or _COMPARED[section.condition[0]](value, section.condition[1]):
                    return section, sign
            return self.sections[-1], sign
        if value < 0 and len(self.sections) > 1:
            return self.sections[1], ""
        return self.sections[2 if value == 0 and len(self.sections) > 2 else 0], sign


def _is_same(text: str, value: Decimal) -> bool:
    """Whether the text shows just the number, with zeros behind its fraction perhaps."""
    return re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", text) is not None and Decimal(text) == value


def mask_of(code: str) -> Mask | None:
    """Return the mask that a number format is; None if it shows no more than the number."""
    sections = tuple(_sections(code[:_MOST_CHARACTERS]))
    return Mask(code, sections) if any(section.tells_more for section in sections) else None


def _sections(code: str) -> Iterator[_Section]:
    condition: tuple[str, Decimal] | None = None
    pieces: list[_Piece] = []
    place = _Kind.PLACE
    for token in _TOKENS.finditer(code):
        if token["plain"] == ";":
            yield _Section(condition, tuple(pieces))
            condition, pieces, place = None, [], _Kind.PLACE
        elif token["bracket"] is not None:
            found = _CONDITION.fullmatch(token["bracket"].strip())
            condition = (found[1], Decimal(found[2])) if found else condition
        elif token["plain"] in ("0", "#", "?"):
            pieces.append(_Piece(place, token["plain"]))
        elif token["plain"] == ".":
            pieces.append(_Piece(_Kind.POINT, "."))
            place = _Kind.FRACTION
        elif token["plain"] != ",":
            pieces.extend(_other(token))
    yield _Section(condition, tuple(pieces))


def _other(token: re.Match[str]) -> list[_Piece]:
    if token["general"]:
        return [_Piece(_Kind.GENERAL, "General")]
    plain = token["plain"] or ""
    if plain.isalpha() or plain in ("%", "/", "@"):
        return [_Piece(_Kind.OTHER, plain)]
    text = token["quoted"] or token["escaped"] or plain
    return [_Piece(_Kind.LITERAL, character) for character in text]
