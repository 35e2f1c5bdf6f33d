"""Large XML documents as a stream of small trees."""

from __future__ import annotations

from enum import Enum
from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import Element, TreeBuilder

from batch_updater.loader.formats.book import SHORTEN, UnreadableError
from batch_updater.loader.formats.package import CHUNK_BYTES, Feeder, safe_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_ELEMENTS = 500_000
_MOST_CHARACTERS = 8 << 20
"""Of one tree, which may be a row of 16,384 cells."""


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
    return UnreadableError("has a row of an unreasonable size", SHORTEN)
