"""Headers and names of fields as they are compared: blanks, case, words, and marks that are no part of a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from batch_updater.loader.currencies import currency_in_header
from batch_updater.text.characters import composed, without_unseen

_WORD = re.compile(r"[^\W\d_]+|\d+")
_IN_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>")
_AT_THE_ENDS = re.compile(r"^[\W_]+|[\W_]+$")
_NUMBER_SIGN = re.compile(r"[\s_]*[#\u2116]\W*$")
_MARKS = frozenset({"required", "optional", "mandatory", "needed", "req", "opt"})
"""Words that say something of a column and are no part of its name."""
IDENTIFIER_WORDS = frozenset({"id", "no", "nr", "num", "number", "key", "code", "ref", "reference", "identifier"})
"""What people write for one another at the end of a header."""
ID = "id"
"""What stands for all of them."""
_SHORTEST_ABBREVIATION, _LONGEST_ABBREVIATION = 3, 0.6
"""Letters of one, and its length as a share of the word's: `stage` is none of `storage`."""
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


def spelled_in(texts: Iterable[str], headers: Iterable[str]) -> dict[str, str]:
    """Return how the texts of a header row spell some headers: header -> text, of those that are there.

    It is spelled so exactly, or without regard to case, blanks and `_` if that leaves one reading.
    """
    wanted, texts = list(dict.fromkeys(headers)), dict.fromkeys(texts)
    found = {header: header for header in wanted if header in texts}
    left = _by_spelling(text for text in texts if text not in found)
    for key, (header, *others) in _by_spelling(header for header in wanted if header not in found).items():
        if not others and len(left.get(key, ())) == 1:
            (found[header],) = left[key]
    return {header: found[header] for header in wanted if header in found}


def each_spelled_in(texts: Sequence[str], headers: Iterable[str]) -> dict[str, str]:
    """Return the same for headers of which several may mean one text, as people have typed them."""
    return {header: text for header in headers for text in spelled_in(texts, (header,)).values()}


def _by_spelling(texts: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(squeezed(text), []).append(text)
    return found


def words(text: str) -> list[str]:
    """Return the words of a header or name: `itemKind`, `item_kind` and `Item kind` have two."""
    found = []
    for run in _WORD.findall(text):
        start = 0
        for at in range(1, len(run)):
            before, here, after = run[at - 1], run[at], run[at + 1 : at + 2]
            if here.isupper() and (before.islower() or (before.isupper() and after.islower())):
                found.append(run[start:at])
                start = at
        found.append(run[start:])
    return found


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


def key_words(header: str) -> tuple[str, ...]:
    """Return the words of a header or name in lower case, `id` at the end for all that people write for it.

    `Item No.`, `itemNumber` and `Item ID #` are (`item`, `id`).
    """
    text = _NUMBER_SIGN.sub(" number", _IN_BRACKETS.sub(" ", plain(header)))
    found = [word.casefold() for word in words(undecorated(text))]
    own = list(found)
    while own and own[-1] in IDENTIFIER_WORDS:
        own.pop()
    return tuple(found) if own == found else (*own, ID)


def identifier_spellings(name: str) -> tuple[str, ...]:
    """Return a name, squeezed, with each word that people write for `id`; empty if it does not end with one."""
    *own, last = key_words(name) or ("",)
    return tuple(f"{''.join(own)}{word}" for word in sorted(IDENTIFIER_WORDS)) if own and last == ID else ()


def same_word(one: str, other: str) -> bool:
    """Whether two words, in lower case, are forms of one word, or one is short for the other, as `opp` and `dept`."""
    if one[:1] != other[:1]:
        return False
    return stem(one) == stem(other) or _is_short_for(one, other) or _is_short_for(other, one)


def _is_short_for(short: str, word: str) -> bool:
    if not _SHORTEST_ABBREVIATION <= len(short) <= _LONGEST_ABBREVIATION * len(word):
        return False
    if word.startswith(short):
        return True
    letters = iter(word)
    return short[0] == word[0] and short[-1] == word[-1] and all(letter in letters for letter in short)
