"""Headers and names of fields as they are compared: blanks, case, words, and marks that are no part of a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batch_updater.characters import composed, without_unseen
from batch_updater.loader.currencies import currency_in_header

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"[^\W\d_]+|\d+")
_IN_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>")
_AT_THE_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_NUMBER_SIGN = re.compile(r"(?<=\w)[\s_]*[#\u2116]\W*$")
_MARKS = frozenset({"required", "optional", "mandatory", "needed", "req", "opt"})
"""Words that say something of a column and are no part of its name."""
IDENTIFIER_WORDS = frozenset({"id", "no", "nr", "num", "number", "key", "code", "ref", "reference", "identifier"})
"""What people write for one another at the end of a header."""
_ENDINGS = ("ing", "ed", "es", "s", "d", "e")
_SHORTEST_STEM = 4


def plain(header: str) -> str:
    """Return a header as it is compared: composed, without invisible characters, every run of blanks a single space."""
    return " ".join(without_unseen(composed(header)).split())


def loose(header: str) -> str:
    """Return a header without regard to case, `_` counting as a blank."""
    return " ".join(plain(header).replace("_", " ").split()).casefold()


def squeezed(header: str) -> str:
    """Return a header without regard to case, blanks and `_`."""
    return loose(header).replace(" ", "")


def words(text: str) -> list[str]:
    """Return the words of a header or name: `itemKind`, `item_kind` and `Item kind` have two."""
    return [part for run in _WORD.findall(text) for part in _parts(run)]


def _parts(run: str) -> Iterator[str]:
    """Yield the words of a run of letters, each of which but the first begins with a capital."""
    start = 0
    for at in range(1, len(run)):
        before, here, after = run[at - 1], run[at], run[at + 1 : at + 2]
        if here.isupper() and (before.islower() or (before.isupper() and after.islower())):
            yield run[start:at]
            start = at
    yield run[start:]


def spaced(name: str) -> str:
    """Return a field's name with spaces between its words: `itemKind` and `item_kind` are `item Kind`."""
    return " ".join(words(name))


def stem(word: str) -> str:
    """Return what `Close`, `closing` and `closed` have in common."""
    word = word.casefold()
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


def undecorated(header: str) -> str:
    """Return a header without what is no part of a name: `Total * (required)` and `Total EUR` are `Total`."""
    text = plain(_IN_BRACKETS.sub(" ", plain(header)))
    while True:
        text = _AT_THE_ENDS.sub("", text)
        first, _, rest = text.partition(" ")
        before, _, last = text.rpartition(" ")
        if before and (_is_mark(last) or currency_in_header(last)[0] == last):
            text = before
        elif rest and _is_mark(first):
            text = rest
        else:
            return text


def _is_mark(word: str) -> bool:
    return _AT_THE_ENDS.sub("", word).casefold() in _MARKS


def as_identifier(header: str) -> str | None:
    """Return the header with `Id` in place of another word for it: `Item No.` is `Item Id`; None if it has none."""
    text = _NUMBER_SIGN.sub(" number", _IN_BRACKETS.sub(" ", plain(header)))
    found = words(undecorated(text))
    if len(found) > 1 and found[-1].casefold() in IDENTIFIER_WORDS:
        return " ".join([*found[:-1], "Id"])
    return None
