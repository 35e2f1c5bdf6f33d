"""The texts of a workbook that its cells refer to by number (ECMA-376 part 1, 18.4)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from typing import IO

from batch_updater.loader.formats.book import MOST_CHARACTERS, SAVE_AGAIN, SHORTEN, UnreadableError, too_long
from batch_updater.loader.formats.long_part import PLAIN_CONTENT, LongPart
from batch_updater.loader.formats.office_book import NAMESPACES
from batch_updater.loader.formats.safe_xml import safe_parser

_MOST_LOOSE = 250_000
"""Texts that are kept as they are; further ones are packed, which takes a fourth of the memory and twice the time."""
_MOST_LOOSE_CHARACTERS = 16 << 20
_MOST_PACKED_BYTES = 128 << 20
_MOST_TEXTS = 4_000_000
_TABLES, _ITEMS, _TEXTS, _PRONUNCIATIONS = (
    {f"{namespace} {name}" for namespace in NAMESPACES} for name in ("sst", "si", "t", "rPh")
)
_PLAIN_TEXTS = re.compile(f"{PLAIN_CONTENT}*")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


class SharedStrings:
    """The texts, kept in memory while the rows are read; a big workbook has a million of them."""

    def __init__(self) -> None:
        self._loose: list[str | None] = []
        """The first of them; once one is packed all further ones are."""
        self._loose_characters = 0
        self._packed = bytearray()
        self._ends = array("Q", [0])

    def cell(self, content: str) -> str | None:
        """Return the text of a cell whose content is a text's number; blank if it has no content, or no characters."""
        if content.isdigit():
            try:
                return self._loose[int(content)]
            except IndexError:
                return self[int(content)]
        if content:
            raise UnreadableError(f"refers to the text {content[:20]!r}, which is no number", SAVE_AGAIN)
        return None

    def __getitem__(self, number: int) -> str | None:
        """Return a text by its number, which is not negative."""
        if number < len(self._loose):
            return self._loose[number]
        index = number - len(self._loose)
        if index >= len(self._ends) - 1:
            raise UnreadableError("refers to a text that it does not hold", SAVE_AGAIN)
        return self._packed[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass") or None

    def add(self, text: str) -> None:
        """Add the next text. Raises UnreadableError if there is too much of it to be kept."""
        if len(text) > MOST_CHARACTERS:
            raise too_long("a text")
        if len(self._loose) < _MOST_LOOSE and self._loose_characters < _MOST_LOOSE_CHARACTERS:
            self._loose.append(text or None)
            self._loose_characters += len(text)
            return
        self._packed += text.encode("utf-8", "surrogatepass")
        if len(self._packed) > _MOST_PACKED_BYTES:
            raise UnreadableError(f"holds more than {_MOST_PACKED_BYTES >> 20} MB of text", SHORTEN)
        if len(self._ends) > _MOST_TEXTS:
            raise UnreadableError(f"holds more than {_MOST_TEXTS:,} different texts", SHORTEN)
        self._ends.append(len(self._packed))

    def read(self, stream: IO[bytes]) -> None:
        """Add the texts of a sharedStrings part. Those in one format, as nearly all are, need no parser."""
        text = TextCollector()
        is_open = False

        def start(name: str, _: dict[str, str]) -> None:
            nonlocal is_open
            if name in _ITEMS:
                text.clear()
            else:
                is_open = is_open or name in _TABLES
                text.start(name)

        def end(name: str) -> None:
            if name in _ITEMS:
                self.add(unescaped(text.text()))
            else:
                text.end(name)

        parser = safe_parser(start, end)
        parser.CharacterDataHandler = text.characters
        part = LongPart(parser, "sst", "si", is_open=lambda: is_open)
        for items in part.elements(stream):
            opening, closing = f"<{part.prefix}si><{part.prefix}t>", f"</{part.prefix}t></{part.prefix}si>"
            if items.startswith(opening) and items.endswith(closing):
                texts = items[len(opening) : -len(closing)].split(closing + opening)
                joined = "\n".join(texts)
                if "_x" not in joined and _PLAIN_TEXTS.fullmatch(joined):
                    for known in texts:
                        self.add(known)
                    continue
            prefix = re.escape(part.prefix)
            plain = re.compile(rf'\s*<{prefix}si><{prefix}t(?: xml:space="preserve")?>({PLAIN_CONTENT}*)</{prefix}t>')
            for item in items.split(part.end)[:-1]:
                if found := plain.fullmatch(item):
                    self.add(unescaped(found[1]))
                else:
                    part.feed(item + part.end)


class TextCollector:
    """Gathers the characters of a text in runs (`r/t`) or in one (`t`), leaving out how it is pronounced (`rPh`)."""

    def __init__(self, where: Callable[[], str] = lambda: "a text") -> None:
        """`where` says what a text is called that is too long."""
        self._where = where
        self._pieces: list[str] = []
        self._length = 0
        self._in_text = False
        self._in_pronunciation = False

    def start(self, name: str) -> None:
        """Take note of an element that begins."""
        if name in _TEXTS:
            self._in_text = not self._in_pronunciation
        elif name in _PRONUNCIATIONS:
            self._in_pronunciation = True

    def end(self, name: str) -> None:
        """Take note of an element that ends."""
        if name in _TEXTS:
            self._in_text = False
        elif name in _PRONUNCIATIONS:
            self._in_pronunciation = False

    def characters(self, text: str) -> None:
        """Add characters, if they are the text's. Raises UnreadableError if there are too many."""
        if self._in_text:
            self._pieces.append(text)
            self._length += len(text)
            if self._length > MOST_CHARACTERS:
                raise too_long(self._where())

    def clear(self) -> None:
        """Begin another text."""
        self._pieces.clear()
        self._length = 0

    def text(self) -> str:
        """Return the text as it is in the file, its escapes included."""
        return "".join(self._pieces)


def unescaped(text: str) -> str:
    """Return a text with `_xHHHH_` replaced by the character it stands for (ECMA-376 part 1, 22.9.2.19, ST_Xstring)."""
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Two escapes may be the halves of one character.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
