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

    def refuse(*_: object) -> NoReturn:
        raise UnreadableError("holds a document type definition, which no spreadsheet program writes", SAVE_AGAIN)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    return parser


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
    taken: list[Element] = []
    builder: TreeBuilder | None = None  # of the tree that is not complete
    depth = 0  # elements that are open within it, or within what is skipped, itself included
    elements = characters = 0
    is_stopped = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal builder, depth, elements, characters, is_stopped
        if not depth:
            step = choose(name, attributes)
            if step is Step.ENTER:
                return
            builder = TreeBuilder() if step is Step.TAKE else None
            elements = characters = 0
            is_stopped = is_stopped or step is Step.STOP
        depth += 1
        if builder is not None:
            elements += 1
            if elements > _MOST_ELEMENTS:
                raise _too_large()
            builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal builder, depth
        if depth:
            depth -= 1
            if builder is not None:
                element = builder.end(name)
                if not depth:
                    taken.append(element)
                    builder = None

    def add(text: str) -> None:
        nonlocal characters
        if builder is not None:
            characters += len(text)
            if characters > _MOST_CHARACTERS:
                raise _too_large()
            builder.data(text)

    parser = safe_parser(start, end)
    parser.CharacterDataHandler = add
    feeder = Feeder(parser)
    while not is_stopped:
        chunk = stream.read(CHUNK_BYTES)
        if chunk:
            feeder.feed(chunk)
        else:
            feeder.end()
            is_stopped = True
        yield from taken
        taken.clear()


def _too_large() -> UnreadableError:
    return UnreadableError("has an element of an unreasonable size", SAVE_AGAIN)
