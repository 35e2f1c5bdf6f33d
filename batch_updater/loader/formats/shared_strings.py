"""The texts of a workbook that its cells refer to by number (ECMA-376 part 1, 18.4)."""

from __future__ import annotations

import codecs
import contextlib
import re
from array import array
from typing import IO, TYPE_CHECKING

from batch_updater.loader.formats.book import MOST_CHARACTERS, SHORTEN, UnreadableError
from batch_updater.loader.formats.package import (
    DEEPEST,
    NAMESPACES,
    OTHER_ENCODING,
    PLAIN_CONTENT,
    SAVE_AGAIN,
    Feeder,
    safe_parser,
    too_deep,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CHUNK_BYTES = 1 << 16
_MOST_KEPT = 1 << 20
"""Characters of one item that are looked at as a whole."""
_MOST_LOOSE = 250_000
"""Texts that are kept as they are; further ones are packed, which takes a fourth of the memory and twice the time."""
_MOST_LOOSE_CHARACTERS = 16 << 20
_MOST_PACKED_BYTES = 128 << 20
_MOST_TEXTS = 4_000_000
_START_OF_TABLE = re.compile(r"<(?:([A-Za-z_][A-Za-z0-9_.-]*):)?sst[\s>]")
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
            number = int(content)
            return self._loose[number] if number < len(self._loose) else self[number]
        if content:
            raise UnreadableError(f"refers to the text {content[:20]!r}, which is no number", SAVE_AGAIN)
        return None

    def cells(self, contents: Sequence[str]) -> Sequence[str | None]:
        """Return the texts of several cells, as `cell` does for each."""
        loose = self._loose
        digits = "".join(contents)
        if digits.isdigit() and digits.isascii():
            with contextlib.suppress(ValueError, IndexError):  # no content, or a text that is packed
                return [loose[int(content)] for content in contents]
        return list(map(self.cell, contents))

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
            raise UnreadableError(f"has a text of more than {MOST_CHARACTERS:,} characters", SHORTEN)
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
        """Add the texts of a sharedStrings part."""
        _Reader(self).read(stream)


class _Reader:
    """Reads a part. Items of one plain text, as nearly all are, are taken apart without the XML parser."""

    def __init__(self, strings: SharedStrings) -> None:
        self._strings = strings
        self._text = TextCollector()
        self._items = {f"{namespace} si" for namespace in NAMESPACES}
        self._depth = 0
        self._parsed = 0
        """Items that came from the parser."""
        parser = self._parser = safe_parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.characters
        self._feeder = Feeder(parser)
        self._plain_allowed = False
        """Whether an item in the plain form has turned out to be one of a workbook: then the others are, too."""
        self._use_prefix("")

    def _use_prefix(self, prefix: str) -> None:
        """Set what items look like where `prefix`, with its colon, stands before the names of elements."""
        self._start_of_item, self._end_of_item = f"<{prefix}si>", f"</{prefix}si>"
        self._plain_item = re.compile(rf'<{prefix}si><{prefix}t(?: xml:space="preserve")?>{PLAIN_CONTENT}</{prefix}t>')

    def read(self, stream: IO[bytes]) -> None:
        """Read the whole part."""
        first = stream.read(_CHUNK_BYTES)
        if OTHER_ENCODING.match(first):
            self._feeder.feed(first)
            self._feeder.feed_all(stream)
            return
        kept, scanning = "", True
        if found := _START_OF_TABLE.search(first.decode("utf-8", "replace")):
            self._use_prefix(f"{found[1]}:" if found[1] else "")
        for text in _decoded(first, stream):
            if not scanning:
                self._feeder.feed(text)
                continue
            *items, kept = (kept + text).split(self._end_of_item)
            for number, item in enumerate(items):
                if scanning:
                    scanning = self._read_item(item)
                else:
                    kept = self._end_of_item.join((*items[number:], kept))
                    break
            if not scanning or len(kept) > _MOST_KEPT:
                self._feeder.feed(kept)
                kept, scanning = "", False
        self._feeder.feed(kept)
        self._parser.Parse(b"", True)

    def _read_item(self, item: str) -> bool:
        """Take an item without its end tag. Returns False if what follows has to be left to the parser."""
        if self._plain_allowed and (plain := self._plain_item.fullmatch(item)):
            self._strings.add(unescaped(plain[1]))
            return True
        before = self._parsed
        self._feeder.feed(item + self._end_of_item)
        is_first = "<?xml" in item[:200]
        if "<!" in item or "<?" in item[is_first:]:
            return False  # what looks like an item may be part of a comment
        self._plain_allowed = self._plain_allowed or (self._parsed > before and self._start_of_item in item)
        return True

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise too_deep()
        if name in self._items:
            self._text.clear()
        else:
            self._text.start(name)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name in self._items:
            self._strings.add(unescaped(self._text.text()))
            self._parsed += 1
        else:
            self._text.end(name)


def _decoded(first: bytes, stream: IO[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunk = first
    while chunk:
        yield decoder.decode(chunk)
        chunk = stream.read(_CHUNK_BYTES)
    yield decoder.decode(b"", final=True)


class TextCollector:
    """Gathers the characters of a text in runs (`r/t`) or in one (`t`), leaving out how it is pronounced (`rPh`)."""

    def __init__(self, where: Callable[[], str] = lambda: "a text") -> None:
        """`where` says what a text is called that is too long."""
        self._where = where
        self.pieces: list[str] = []
        self._texts = {f"{namespace} t" for namespace in NAMESPACES}
        self._readings = {f"{namespace} rPh" for namespace in NAMESPACES}
        self._length = 0
        self._in_text = False
        self._in_reading = False

    def start(self, name: str) -> None:
        """Take note of an element that begins."""
        if name in self._texts:
            self._in_text = not self._in_reading
        elif name in self._readings:
            self._in_reading = True

    def end(self, name: str) -> None:
        """Take note of an element that ends."""
        if name in self._texts:
            self._in_text = False
        elif name in self._readings:
            self._in_reading = False

    def characters(self, text: str) -> None:
        """Add characters, if they are the text's. Raises UnreadableError if there are too many."""
        if self._in_text:
            self.pieces.append(text)
            self._length += len(text)
            if self._length > MOST_CHARACTERS:
                raise UnreadableError(f"has {self._where()} of more than {MOST_CHARACTERS:,} characters", SHORTEN)

    def clear(self) -> None:
        """Begin another text."""
        self.pieces.clear()
        self._length = 0

    def text(self) -> str:
        """Return the text as it stands in the file, its escapes included."""
        return "".join(self.pieces)


def unescaped(text: str) -> str:
    """Return a text with `_xHHHH_` replaced by the character it stands for (ECMA-376 part 1, 22.9.2.19, ST_Xstring)."""
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Two escapes may be the halves of one character.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
