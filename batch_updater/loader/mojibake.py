"""Letters that were written in UTF-8 and read in another encoding: `GrÃ¼nwald` for `Grünwald`."""

from __future__ import annotations

import re
from typing import Final

from batch_updater.text.lazy_pattern import lazy_pattern

_OTHERS: Final = {"mac_roman": "\u221a\u00ac", "cp437": "\u251c\u252c", "cp850": "\u251c\u252c"}
"""Further encodings, and how they show the two bytes with which most letters of Western Europe begin in UTF-8."""
_SHOWN_BYTES: Final = {
    **{chr(byte): byte for byte in range(0x80, 0x100)},
    **{bytes((byte,)).decode("cp1252", "ignore"): byte for byte in range(0x80, 0xA0)},
}
"""What Windows-1252 and Latin-1 show for a byte that is not ASCII -> the byte."""
_SHOWN_BYTES.pop("", None)
_FOLLOWING = "".join(re.escape(shown) for shown, byte in _SHOWN_BYTES.items() if byte < 0xC0)
_SEQUENCES = lazy_pattern(
    f"(?:[\u00c2-\u00df][{_FOLLOWING}]|[\u00e0-\u00ef][{_FOLLOWING}]{{2}}|[\u00f0-\u00f4][{_FOLLOWING}]{{3}})+"
)
_LONE_BYTES = lazy_pattern("[\u0080-\u0084\u0086-\u009f]")
"""Control characters that no text has: quotation marks and dashes of Windows-1252, read as Latin-1."""
_MOST_PASSES = 3
_END_OF_A_WORD = lazy_pattern("[\u2018\u2019\u201c\u201d\u2026\u2013\u2014\u00ae\u2122\u00a9\u00bb\u203a\u00a0\u00b0]")
"""What may follow a capital letter with an accent in an ordinary text: `\u201cAMANH\u00c3\u201d`."""


def meant_by(text: str) -> str | None:
    """Return what a text was before its letters were read in another encoding; None if they were not.

    Only a sequence that is UTF-8, and that no ordinary text has, counts.
    """
    if text.isascii():
        return None
    repaired = text
    for _ in range(_MOST_PASSES):  # read wrongly more than once
        again = _SEQUENCES.sub(_letters_of, repaired)
        if again == repaired:
            break
        repaired = again
    repaired = _LONE_BYTES.sub(lambda found: bytes((ord(found[0]),)).decode("cp1252", "ignore"), repaired)
    if repaired != text:
        return repaired
    for encoding, leads in _OTHERS.items():
        if any(lead in text for lead in leads):
            try:
                repaired = text.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            if repaired.isprintable():
                return repaired if repaired != text else None
    return None


def _letters_of(found: re.Match[str]) -> str:
    """Return the letters that some bytes stand for in UTF-8, if no ordinary text has such a sequence."""
    shown, before, after = found[0], found.string[: found.start()], found.string[found.end() :]
    try:
        letters = bytes(_SHOWN_BYTES[character] for character in shown).decode("utf-8")
    except UnicodeDecodeError:
        return shown
    if len(letters) == 1 and len(shown) == 2:
        ends_word = not before[-1:].islower() and not after[:1].isalpha() and _END_OF_A_WORD.match(shown[1])
        # Other capitals with a sign behind are ordinary: CAFÉ’S
        is_likely = shown[0] in "\u00c2\u00c3\u00c4\u00c5" and (shown[0] == "\u00c2" or not ends_word)
    elif len(letters) == 1 and len(shown) == 3:
        # Dashes, quotation marks, currencies, signs.
        is_likely = "\u2010" <= letters <= "\u27bf" or letters == "\ufeff"
    else:
        # A row of letters of Greek, Cyrillic, Chinese ..., an emoji, or bytes that were read wrongly twice.
        is_likely = all(
            letter.isprintable() or letter in "\u00a0\u00ad\ufeff" or letter < "\u00a0" for letter in letters
        )
    return letters if is_likely else shown
