"""What a cell that is to be emptied holds, and what is probably meant for it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from batch_updater.text.characters import skeleton

_FEWEST_LETTERS: Final = 3
"""Of a marker whose letters alone tell that it is meant; `-` or `0` is met in too many other texts."""
_MOST_ADDED: Final = 8
"""Characters by which a near miss is longer than the marker."""

_LONGEST_ENDING: Final = 2
_BEGINNING: Final = 2
"""Letters that a word and what is short for it have in common in front."""
_USUAL: Final = "#CLEAR"
"""The marker where none is configured."""
_SIGNS_OF_USUAL: Final = frozenset("#\uff03")
_IN_FRONT: Final = 3


class Nearness(Enum):
    """How close a text is to the clear marker."""

    NONE = 0
    WORD = 1
    """It is the marker's word without its sign, as an ordinary text may be: `Clear`."""
    NEAR_MISS = 2
    """It is the marker written wrongly: `#clear`, `# CLEAR`, `<clear>`, `#CLAER`, `CLEAR`."""


class ClearMarker:
    """The text that empties a field."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._longest = len(self.text) + _MOST_ADDED
        self._flat = _flat(self.text)
        self._letters = _letters(self._flat)
        self._signs = {sign for sign in self._flat if not sign.isalnum()}
        self._word = "".join(filter(str.isalnum, self.text))
        # People may still think of the usual one where another is configured.
        self._usual = ClearMarker(_USUAL) if self.text != _USUAL else None
        self.firsts = {
            character for character in map(chr, range(128)) if _flat(character) in {self._flat[:1], self._letters[:1]}
        }
        """The letters and digits with which near misses begin."""

    def nearness(self, text: str) -> Nearness:
        """Return how close a text without blanks around it, which is not the marker, is to the marker.

        The usual marker, with its sign, is a near miss of every other.
        """
        # `#CLEAR it` begins with the marker itself; a marker without a sign is a word as any other.
        behind = text[len(self.text) : len(self.text) + 1]
        has_letters = len(self._letters) >= _FEWEST_LETTERS
        if self._signs and has_letters and text.startswith(self.text) and not behind.isalnum():
            return Nearness.NEAR_MISS
        has_usual_sign = not text[0].isalnum() and not _SIGNS_OF_USUAL.isdisjoint(text[:_IN_FRONT])
        if self._usual and has_usual_sign and (text == _USUAL or self._usual.nearness(text) is not Nearness.NONE):
            return Nearness.NEAR_MISS
        if len(text) > self._longest:
            return Nearness.NONE
        if text.isascii() and text[0].isalnum() and text[0] not in self.firsts:
            return Nearness.NONE  # as nearly always
        flat = _flat(text)
        own = _letters(flat)
        if flat == self._flat or (not self._letters and not own and set(flat) == self._signs):
            return Nearness.NEAR_MISS
        if not has_letters or not own:
            return Nearness.NONE
        if own != self._letters:
            is_marked = flat[0] in self._signs and flat[0] == self._flat[0]
            # In the name `#1 Clear` one of several words is a number.
            words = [_letters(word) for word in text.split()]
            has_number = len(words) > 1 and any(map(str.isdigit, words))
            is_near = is_marked and not has_number and _is_nearly(own, self._letters)
            return Nearness.NEAR_MISS if is_near else Nearness.NONE
        if flat[0].isalnum() and self._signs and self._signs.isdisjoint(flat) and "".join(text.split()) != self._word:
            return Nearness.WORD
        return Nearness.NEAR_MISS


def _flat(text: str) -> str:
    return skeleton(text).replace(" ", "")


def _letters(flat: str) -> str:
    return "".join(filter(str.isalnum, flat))


def _is_nearly(typed: str, meant: str) -> bool:
    """Whether a word has one slip, an ending more (`cleared`), or is short for the other (`clr`)."""
    same = next((at for at, (one, other) in enumerate(zip(typed, meant, strict=False)) if one != other), len(meant))
    left, right = typed[same:], meant[same:]
    # One letter is another, too many or missing, or two beside each other are swapped.
    if left[1:] in {right, right[1:]} or left == right[1:] or left == right[1::-1] + right[2:]:
        return True
    if typed.startswith(meant):
        return len(typed) - len(meant) <= _LONGEST_ENDING
    rest = iter(meant)
    is_short = typed[:_BEGINNING] == meant[:_BEGINNING] and typed[-1] == meant[-1] and all(one in rest for one in typed)
    return is_short and len(typed) >= _FEWEST_LETTERS
