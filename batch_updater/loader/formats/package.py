"""The zip file with XML parts that a workbook is, read without trusting it."""

from __future__ import annotations

import io
import posixpath
import zipfile
from contextlib import contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, NamedTuple, NoReturn
from xml.parsers import expat

from batch_updater.loader.formats.book import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from pathlib import Path

NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
"""Of a workbook's parts: transitional and strict (ECMA-376 part 1, annex A)."""
SAVE_AGAIN = "Open it in a spreadsheet program, look whether anything is missing, and save it again as .xlsx."
CHUNK_BYTES = 1 << 16
_MOST_PENDING = 8 << 20
"""Bytes of one tag that has begun and not ended: the parser keeps it in memory until then."""
_NO_DTD = "Open it in a spreadsheet program and save it again as .xlsx."
_RAISE = "raise input.max_unpacked_mb in the configuration"
_SMALL_PART_BYTES = 64 << 20
"""The parts that are kept in memory (workbook, styles, relationships) are never near this size."""


class Element(NamedTuple):
    """One XML element, without the namespaces."""

    name: str
    parent: str
    attributes: Mapping[str, str]
    text: str
    """Its own characters, without those of the elements in it."""


class Relationship(NamedTuple):
    """How one part refers to another."""

    id: str
    type: str
    """Last segment of the relationship's type: `worksheet`, `styles`."""
    part: str
    """Name of the part within the package."""


_MOST_ELEMENTS = 1_000_000
"""Of a small part: styles with all the 65,490 formats that Excel has room for are less than that."""
_DEEPEST = 100
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those of a package (ECMA-376 part 2, annex C, and OpenDocument part 2). Others may ask for any amount of memory."""
_MOST_LIST_BYTES = 8 << 20
"""Of a zip file's list of its parts: more than 50,000 of them."""
_ENCRYPTED = 0x1
"""Flag of an entry of a zip file."""


class Allowance:
    """What a sheet may come to by saying much in a few bytes: that a row or a cell is repeated, or stands far away."""

    def __init__(self, left_bytes: int, limit_mb: int, sheet: str | None) -> None:
        self._left_bytes = left_bytes
        self._limit_mb = limit_mb
        self._sheet = sheet

    def charge(self, size_bytes: int) -> None:
        """Count what is not written in the file, but comes of it. Raises UnreadableError if it is too much."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise UnreadableError(
                f"has so many repeated or far-off cells on its sheet {self._sheet!r} that it comes to more than "
                f"{self._limit_mb:,} MB",
                "Delete the rows and columns that are repeated, or copy the table into a new workbook; if it is what "
                f"it should be, {_RAISE}.",
            )


class Package:
    """A zip file of XML parts. Holds the file open: its list of parts may be long and is read once."""

    def __init__(self, file: Path | io.BytesIO, *, max_unpacked_mb: int) -> None:
        _refuse_long_list(file)
        self._archive = zipfile.ZipFile(file)
        entries = self._archive.infolist()
        self._limit_mb = max_unpacked_mb
        self._left_bytes = (max_unpacked_mb << 20) - sum(entry.file_size for entry in entries)
        if self._left_bytes < 0:
            raise UnreadableError(
                f"unpacks to more than {max_unpacked_mb:,} MB", f"If it is what it should be, {_RAISE}."
            )
        self._entries = {_part_name(entry.filename): entry for entry in entries}
        if len(self._entries) < len(entries):
            raise UnreadableError("holds two parts of the same name, of which one hides the other", SAVE_AGAIN)

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    @property
    def names(self) -> Iterable[str]:
        """The names of its parts, in small letters."""
        return self._entries.keys()

    def allowance(self, sheet: str | None) -> Allowance:
        """Return what one reading of a sheet may add to what the file unpacks to."""
        return Allowance(self._left_bytes, self._limit_mb, sheet)

    def __contains__(self, part: str) -> bool:
        return _part_name(part) in self._entries

    @contextmanager
    def open(self, part: str) -> Iterator[IO[bytes]]:
        """Open a part for reading. `zipfile` never gives more bytes than the declared size, which was bounded."""
        entry = self._entries.get(_part_name(part))
        if entry is None:
            raise UnreadableError(f"lacks its part {part}", _NO_DTD)
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadableError("is protected by a password", "Unpack it and name the spreadsheet in it.")
        if entry.compress_type not in _COMPRESSIONS:
            raise UnreadableError("is compressed in a way that no spreadsheet program uses", SAVE_AGAIN)
        with self._archive.open(entry) as stream:
            yield stream

    def elements(self, part: str, wanted: Container[str] | None = None) -> Iterator[Element]:
        """Yield the elements of a small part, each when it ends; none if the part is missing.

        `wanted` are the local names of those that are asked for; None for all.
        """
        if part not in self:
            return
        collector = _Collector(part, wanted)
        with self.open(part) as stream:
            if self._entries[_part_name(part)].file_size > _SMALL_PART_BYTES:
                raise UnreadableError(f"has a part {part} of an unreasonable size", _NO_DTD)
            Feeder(collector.parser).feed_rest(stream)
        yield from collector.elements

    def has_macros(self, workbook: str) -> bool:
        """Whether the part is declared as a workbook that may hold macros."""
        return any(
            "macroenabled" in element.attributes.get("ContentType", "").lower()
            for element in self.elements("[Content_Types].xml", {"Override"})
            if element.attributes.get("PartName", "").lower() == f"/{workbook.lower()}"
        )

    def relationships(self, part: str) -> tuple[Relationship, ...]:
        """Return how a part refers to others inside the package; '' is the package itself."""
        folder, name = posixpath.split(part)
        listing = posixpath.join(folder, "_rels", f"{name}.rels")
        return tuple(
            Relationship(
                element.attributes.get("Id", ""),
                element.attributes.get("Type", "").rpartition("/")[2],
                posixpath.normpath(
                    posixpath.join("/", folder, element.attributes.get("Target", "").replace("\\", "/"))
                ).lstrip("/"),
            )
            for element in self.elements(listing, {"Relationship"})
            if element.name == "Relationship" and element.attributes.get("TargetMode") != "External"
        )


def _part_name(name: str) -> str:
    r"""Return a part's name as it is compared: without case (ECMA-376 part 2, 6.2.2.3), and with `/` for `\`.

    Programs for Windows alone write its own separator, and Excel takes it.
    """
    return name.replace("\\", "/").lstrip("/").lower()


def _refuse_long_list(file: Path | io.BytesIO) -> None:
    """Refuse a zip file whose list of parts is so long that reading it would fill the memory."""
    with nullcontext(file) if isinstance(file, io.BytesIO) else file.open("rb") as stream:
        # The library's own reading of where the list is; what it makes of the list itself is many times as large.
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # noqa: SLF001
    if end is not None and end[zipfile._ECD_SIZE] > _MOST_LIST_BYTES:  # type: ignore[attr-defined]  # noqa: SLF001
        raise UnreadableError("is a zip file of an unreasonable number of files", _NO_DTD)


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
    raise UnreadableError("holds a document type definition, which no spreadsheet program writes", _NO_DTD)


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
            raise UnreadableError("has an element of an unreasonable size", _NO_DTD)

    def feed_rest(self, stream: IO[bytes]) -> None:
        """Parse the rest of a stream, with which the document ends."""
        while chunk := stream.read(CHUNK_BYTES):
            self.feed(chunk)
        self.end()

    def end(self) -> None:
        """End the document. Raises ExpatError if it is not complete."""
        self._parser.Parse(b"", True)


class _Collector:
    """Gathers the elements of a small part."""

    def __init__(self, part: str, wanted: Container[str] | None) -> None:
        self._part = part
        self._wanted = wanted
        self._seen = 0
        self.elements: list[Element] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = [("", {}, [])]
        self.parser = safe_parser(self._start, self._end)
        self.parser.CharacterDataHandler = self._characters

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._seen += 1
        if self._seen > _MOST_ELEMENTS:
            raise UnreadableError(f"has a part {self._part} of an unreasonable size", _NO_DTD)
        plain = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        self._open.append((name.rpartition(" ")[2], plain, []))

    def _characters(self, text: str) -> None:
        self._open[-1][2].append(text)

    def _end(self, _: str) -> None:
        name, attributes, text = self._open.pop()
        if self._wanted is None or name in self._wanted:
            self.elements.append(Element(name, self._open[-1][0], attributes, "".join(text)))
