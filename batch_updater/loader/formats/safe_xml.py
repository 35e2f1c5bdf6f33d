"""XML read without trusting it: piece by piece, bounded in depth and size, without definitions of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import IO, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from batch_updater.loader.formats.book import SAVE_AGAIN, UnreadableError

CHUNK_BYTES = 1 << 16
_DEEPEST = 100
_MOST_PENDING = 8 << 20
"""Bytes of one tag that has begun and not ended: the parser keeps it in memory until then."""
_MOST_ELEMENTS = 500_000
_MOST_CHARACTERS = 8 << 20
"""Of one tree, which may be a row of 16,384 cells."""


def safe_parser(
    start: Callable[[str, dict[str, str]], object], end: Callable[[str], object] | None = None
) -> expat.XMLParserType:
    """Return an XML parser that refuses a DTD, and with it every entity of a document's own making.

    `start` and `end` handle elements, whose names are `namespace name`. It also refuses elements within one another
    that are more than `_DEEPEST`, since it keeps each of them in memory until it ends.
    """
    depth = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise UnreadableError("has too many elements within one another", SAVE_AGAIN)
        start(name, attributes)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(name)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_dtd
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    return parser


def _refuse_dtd(*_: object) -> NoReturn:
    raise UnreadableError("holds a document type definition, which no spreadsheet program writes", SAVE_AGAIN)


class Feeder:
    """Gives a document to a parser piece by piece, and refuses one of which a single tag would fill the memory."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self._fed = 0

    def feed(self, data: bytes | str) -> None:
        """Parse the next piece. Raises UnreadableError, and ExpatError if it is no XML."""
        self._parser.Parse(data)
        self._fed += len(data)
        if self._fed - self._parser.CurrentByteIndex > _MOST_PENDING:
            raise _too_large()

    def end(self) -> None:
        """End the document. Raises ExpatError if it is not complete."""
        self._parser.Parse(b"", True)


class Step(Enum):
    """What is done with an element."""

    ENTER = "look at each element in it"
    TAKE = "yield it with all that is in it"
    SKIP = "leave it out with all that is in it"
    STOP = "read no further"


def trees(stream: IO[bytes], choose: Callable[[str, dict[str, str]], Step]) -> Iterator[Element]:
    """Yield the elements of a document that `choose` takes, given their names and attributes.

    All names are `namespace name`. Raises UnreadableError, and ExpatError if it is no XML.
    """
    grower = _Grower(choose)
    parser = safe_parser(grower.start, grower.end)
    parser.CharacterDataHandler = grower.characters
    feeder = Feeder(parser)
    while not grower.is_stopped:
        chunk = stream.read(CHUNK_BYTES)
        if chunk:
            feeder.feed(chunk)
        else:
            feeder.end()
            grower.is_stopped = True
        yield from grower.taken
        grower.taken.clear()


class _Grower:
    def __init__(self, choose: Callable[[str, dict[str, str]], Step]) -> None:
        self.taken: list[Element] = []
        self.is_stopped = False
        self._choose = choose
        self._builder: TreeBuilder | None = None
        """Of the tree that is not complete."""
        self._depth = 0
        """Elements that are open within it, or within what is skipped, itself included."""
        self._elements = self._characters = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth:
            self._depth += 1
        else:
            step = self._choose(name, attributes)
            if step is Step.ENTER:
                return
            self._depth = 1
            self._elements = self._characters = 0
            self._builder = TreeBuilder() if step is Step.TAKE else None
            self.is_stopped = self.is_stopped or step is Step.STOP
        if self._builder is not None:
            self._elements += 1
            if self._elements > _MOST_ELEMENTS:
                raise _too_large()
            self._builder.start(name, attributes)

    def end(self, name: str) -> None:
        if self._depth:
            self._depth -= 1
            if self._builder is not None:
                element = self._builder.end(name)
                if not self._depth:
                    self.taken.append(element)
                    self._builder = None

    def characters(self, text: str) -> None:
        if self._builder is not None:
            self._characters += len(text)
            if self._characters > _MOST_CHARACTERS:
                raise _too_large()
            self._builder.data(text)


def _too_large() -> UnreadableError:
    return UnreadableError("has an element of an unreasonable size", SAVE_AGAIN)
