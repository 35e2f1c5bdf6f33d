"""The parts of a workbook that are one long list: a sheet's rows, a table of texts."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import IO
from xml.parsers import expat

from batch_updater.loader.formats.safe_xml import CHUNK_BYTES, Feeder

PLAIN_CONTENT = r"[^<&\]\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]"
"""Characters that stand for themselves in XML, whatever a parser would do with others."""
_OTHER_ENCODING = re.compile(
    rb"""\xff\xfe|\xfe\xff|<\0|\0<|<\?xml[^>]*encoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE
)
"""How a part begins that is not in UTF-8."""
_MOST_KEPT = 1 << 20
"""Characters of one element, or of what stands before the list, that are looked at as a whole."""


class LongPart:
    """Gives a part to its parser, but for elements of the list that its reader may know without parsing them."""

    def __init__(
        self, parser: expat.XMLParserType, container: str, element: str, *, is_open: Callable[[], bool]
    ) -> None:
        """`is_open` tells whether the parser has come to the list, which is `element`s in a `container`."""
        self._feeder = Feeder(parser)
        self._container, self._element = container, element
        self._is_open = is_open
        self.prefix = ""
        """What stands before the names of elements, its colon included. It means the same in the whole list."""

    @property
    def end(self) -> str:
        """The end tag of an element of the list."""
        return f"</{self.prefix}{self._element}>"

    def feed(self, elements: str) -> None:
        """Let the parser read elements after all. Raises UnreadableError, and ExpatError if they are no XML."""
        self._feeder.feed(elements)

    def elements(self, stream: IO[bytes]) -> Iterator[str]:
        """Yield the elements of the list, many at a time, to be known or fed; '' when the parser has read others.

        Only whole elements are yielded, and only as long as no comment, CDATA section, processing instruction or end
        of the list could make them something else: from there on, and in other encodings, all goes to the parser.
        """
        chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
        first = next(chunks, b"")
        chunks = chain((first,), chunks)
        if _OTHER_ENCODING.match(first):
            yield from self._parsed(chunks)
            return
        start_tag = re.compile(rf"<([A-Za-z_][A-Za-z0-9_.-]*:)?{self._container}(?:\s[^<>]*)?(?<!/)>")
        pieces = codecs.iterdecode(chunks, "utf-8")
        text, is_open = "", False
        for piece in pieces:
            text += piece
            if not is_open and (start := start_tag.search(text)):
                self.feed(text[: start.end()])
                text = text[start.end() :]
                if not self._is_open():  # it is in a comment, or in another namespace
                    break
                is_open, self.prefix = True, start[1] or ""
            if len(text) > _MOST_KEPT or (is_open and self._is_mixed(text)):
                break
            if is_open:
                whole, end, text = text.rpartition(self.end)
                yield whole + end
        yield from self._parsed(chain((text,), pieces))

    def _is_mixed(self, text: str) -> bool:
        # A single character is found so much faster that it is worth looking for first.
        has_marks = ("!" in text and "<!" in text) or ("?" in text and "<?" in text)
        return has_marks or f"</{self.prefix}{self._container}" in text

    def _parsed(self, pieces: Iterable[bytes] | Iterable[str]) -> Iterator[str]:
        for piece in pieces:
            self._feeder.feed(piece)
            yield ""
        self._feeder.end()
        yield ""
