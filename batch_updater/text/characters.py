"""Characters that cannot be seen or that look like others, and texts that differ in nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from batch_updater.text.lazy_pattern import lazy_pattern
from batch_updater.text.spelling import nearest

_UNSEEN: Final = lazy_pattern(
    "[\u0080-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control characters, Unicode's Default_Ignorable_Code_Point, fillers, and marks of programs (U+FFF9 to U+FFFC)."""
_WITHOUT_JOINERS = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HANGUL", "HIRAGANA", "KATAKANA", "HEBREW")
"""Scripts, as the names of their letters begin, that do not use the zero-width joiner and non-joiner."""
_EMOJI = frozenset({"So", "Sm", "Sk", "Mn", "Me"})
"""Categories of what a joiner connects in an emoji: signs, skin tones, variation selectors, keycaps."""
_VARIED = _EMOJI | {"Po", "Pd", "Lo"}
"""Categories of what a variation selector may follow: signs, punctuation, ideographs."""
_BLACK_FLAG = "\U0001f3f4"
_COMPOSABLE = lazy_pattern("[^\uf900-\ufaff\U0002f800-\U0002fa1f]+")
"""All but the compatibility ideographs: NFC would replace those by others that look different, such as in a name."""
_NEAR = 16
"""Characters within which a black flag precedes the tags that make it the flag of a region."""
_CHARACTERS_NAMED = 3
_CAPITALS_OF_OTHERS = "\u0370-\u03ab\u03bf\u0400-\u052f"
_IN_A_LATIN_WORD = lazy_pattern(f"(?<=[A-Za-z])[{_CAPITALS_OF_OTHERS}]|[{_CAPITALS_OF_OTHERS}](?=[A-Za-z])")
"""Cyrillic letters and Greek capitals beside Latin letters; small Greek letters are ordinary, as in TNF\u03b1."""
_COMPATIBLE = "\uff21-\uff3a\uff41-\uff5a\ufb00-\ufb06\U0001d400-\U0001d7cb"
_IN_AN_ASCII_WORD = lazy_pattern(f"(?<=[A-Za-z])[{_COMPATIBLE}]|[{_COMPATIBLE}](?=[A-Za-z])")
"""Full-width and mathematical letters and ligatures beside letters of ASCII."""
_LOOK_ALIKES = (
    "A\u0410\u0391 B\u0412\u0392 C\u0421\u03f9 E\u0415\u0395 H\u041d\u0397 J\u0408 K\u041a\u039a M\u041c\u039c "
    "N\u039d O0\u041e\u039f\u0555 P\u0420\u03a1 Q\u051a S\u0405 T\u0422\u03a4 W\u051c X\u0425\u03a7 "
    "Y\u0423\u04ae\u03a5 Z\u0396 a\u0430\u03b1\u0251 c\u0441\u03f2 d\u0501 e\u0435 g\u0261 h\u04bb\u0570 "
    "i\u0456\u03b9\u0131 j\u0458 l1I|\u0406\u0399\u04c0\u01c0 n\u0578 o\u043e\u03bf\u0585 p\u0440\u03c1 q\u051b "
    "s\u0455 u\u057d\u03c5 v\u03bd w\u051d\u0561 x\u0445\u03c7 y\u0443\u04af "
    "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58 '`\u00b4\u02b9\u02bc\u2018\u2019\u201a\u201b\u2032 "
    '"\u201c\u201d\u201e\u201f\u2033 /\u2044\u2215 \u00b7\u2022\u2219\u22c5\u30fb'
)
_LOOKS_LIKE: Final = {ord(other): group[0] for group in _LOOK_ALIKES.split() for other in group[1:]}
"""Character -> the one that fonts draw like it (an extract of Unicode's confusables.txt)."""


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), in which it looks the same."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return _COMPOSABLE.sub(lambda part: unicodedata.normalize("NFC", part[0]), text)


def folded(text: str) -> str:
    """Return a text as names are compared: composed, without blanks around it and without regard to case."""
    return composed(text).strip().casefold()


def named(character: str) -> str:
    """Return a character's code and name: `U+200B (ZERO WIDTH SPACE)`."""
    name = "BYTE ORDER MARK" if character == "\ufeff" else unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def without_unseen(text: str) -> str:
    """Return a text without characters that cannot be seen; blanks stay."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def unseen_in(text: str) -> str | None:
    """Return the first character that cannot be seen and has no use where it is; None if there is none.

    In use are what joins emoji and the letters of Arabic, Indic and other scripts, and what selects the variant of the
    character before it.
    """
    if text.isascii():
        return None
    return next((match[0] for match in _UNSEEN.finditer(text) if not _is_in_use(text, match.start())), None)


def _is_in_use(text: str, at: int) -> bool:
    character, before, after = text[at], text[max(at - 1, 0) : at], text[at + 1 : at + 2]
    near = text[max(at - _NEAR, 0) : at + _NEAR]
    if not before:
        return False
    match ord(character):
        case 0x200C | 0x200D:  # joiner and non-joiner are made for certain characters on both sides
            category = unicodedata.category(before)
            is_emoji = category in _EMOJI and character == "\u200d" and unicodedata.category(after or " ") == "So"
            is_letter = category[0] in "LM" and not unicodedata.name(before, "LATIN").startswith(_WITHOUT_JOINERS)
            return bool(after) and not after.isspace() and (is_emoji or is_letter)
        case code if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
            return unicodedata.category(before) in _VARIED or after == "\u20e3"
        case code if 0xE0020 <= code <= 0xE007F:
            return _BLACK_FLAG in near
        case code if 0x180B <= code <= 0x180F:
            return unicodedata.name(before, "").startswith("MONGOLIAN")
        case 0x034F:
            return bool(after) and unicodedata.combining(after) > 0
        case 0x2800:
            return any("\u2801" <= other <= "\u28ff" for other in near)
        case 0x115F | 0x1160:
            return any("\u1100" <= other <= "\u11ff" for other in (before, after))
    return False


def look_alike_in(text: str) -> str | None:
    """Return the first letter of another script or form that passes for Latin in a Latin word; None if none does."""
    if match := _IN_AN_ASCII_WORD.search(text):
        return match[0]
    return next((match[0] for match in _IN_A_LATIN_WORD.finditer(text) if ord(match[0]) in _LOOKS_LIKE), None)


def look(text: str) -> str:
    """Return a text by its look: the same for texts that are easily mistaken for each other."""
    flat = without_unseen(unicodedata.normalize("NFKC", text)).translate(_LOOKS_LIKE)
    return " ".join(unicodedata.normalize("NFC", flat).split())


def skeleton(text: str) -> str:
    """Return a text by its look, ignoring case."""
    return look(text).casefold()


class Suggestion(NamedTuple):
    """The valid name that is closest to what was typed."""

    name: str | None
    """None if none is close."""
    other_characters: str
    """A sentence that says with which characters the typed one is written where they only look like the name's; ''
    where the two differ visibly."""


def suggestion(typed: str, valid: Sequence[str]) -> Suggestion:
    """Return the valid name that looks like what was typed, else the one that is spelled most like it."""
    looks = skeleton(typed)
    by_look = {skeleton(name): name for name in valid}
    name = by_look.get(looks) or nearest(typed, valid) or by_look.get(nearest(looks, by_look) or "")
    return Suggestion(name, _other_characters(composed(typed), composed(name)) if name else "")


def _other_characters(typed: str, meant: str) -> str:
    looks_the_same = skeleton(typed) == skeleton(meant)
    scripts = {_script(character) for character in meant}
    differences = []
    for _, start, end, other, until in SequenceMatcher(None, typed, meant, autojunk=False).get_opcodes():
        for at in range(start, end):
            character, expected = typed[at], meant[other + at - start] if end - start == until - other else ""
            if expected.casefold() == character.casefold():
                continue
            # Of a script, a width or a kind that a text without it does not have.
            is_foreign = not character.isascii() and (
                skeleton(character) != character.casefold()
                or (character.isalpha() and _script(character) not in scripts)
            )
            if looks_the_same or is_foreign:
                instead = f", not {_short(expected)}" if expected else ""
                differences.append(f"character {at + 1} is {named(character)}{instead}")
    if not differences:
        return ""
    more = len(differences) - _CHARACTERS_NAMED
    listed = "; ".join([*differences[:_CHARACTERS_NAMED], *([f"and {more} more"] if more > 0 else [])])
    return f"It is written with other characters than {meant!r}: {listed}."


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""


def _short(character: str) -> str:
    return character if character.isascii() and character.isprintable() and character != " " else named(character)
