"""The zip file with XML parts that a workbook is, read without trusting it."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree.ElementTree import Element

from batch_updater.loader.formats.book import SAVE_AGAIN, UnreadableError
from batch_updater.loader.formats.safe_xml import Step, trees

_SAVE_AS_XLSX = "Open it in a spreadsheet program and save it again as .xlsx."
_RAISE = "raise input.max_unpacked_mb in the configuration"
_SMALL_PART_BYTES = 64 << 20
"""The parts that are kept in memory (workbook, styles, relationships) are never near this size."""


class Relationship(NamedTuple):
    """How one part refers to another."""

    id: str
    type: str
    """Last segment of the relationship's type: `worksheet`, `styles`."""
    part: str
    """Name of the part within the package."""


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
        with nullcontext(file) if isinstance(file, io.BytesIO) else file.open("rb") as stream:
            # The library's own reading of where the list is; what it makes of the list itself is many times as large.
            end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]  # noqa: SLF001
        if end is not None and end[zipfile._ECD_SIZE] > _MOST_LIST_BYTES:  # type: ignore[attr-defined]  # noqa: SLF001
            raise UnreadableError("is a zip file of an unreasonable number of files", _SAVE_AS_XLSX)
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
            raise UnreadableError(f"lacks its part {part}", _SAVE_AS_XLSX)
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadableError("is protected by a password", "Unpack it and name the spreadsheet in it.")
        if entry.compress_type not in _COMPRESSIONS:
            raise UnreadableError("is compressed in a way that no spreadsheet program uses", SAVE_AGAIN)
        with self._archive.open(entry) as stream:
            yield stream

    def elements(self, part: str, *wanted: str) -> Iterator[Element]:
        """Yield the elements of a small part that have these names, each as a tree; none if the part is missing.

        All names are without their namespaces.
        """
        if part not in self:
            return
        if self._entries[_part_name(part)].file_size > _SMALL_PART_BYTES:
            raise UnreadableError(f"has a part {part} of an unreasonable size", _SAVE_AS_XLSX)
        with self.open(part) as stream:
            for tree in trees(stream, lambda name, _: Step.TAKE if _local(name) in wanted else Step.ENTER):
                for element in tree.iter():
                    element.tag = _local(element.tag)
                    element.attrib = {_local(name): value for name, value in element.attrib.items()}
                yield tree

    def has_macros(self, workbook: str) -> bool:
        """Whether the part is declared as a workbook that may hold macros."""
        return any(
            "macroenabled" in element.get("ContentType", "").lower()
            for element in self.elements("[Content_Types].xml", "Override")
            if element.get("PartName", "").lower() == f"/{workbook.lower()}"
        )

    def relationships(self, part: str) -> tuple[Relationship, ...]:
        """Return how a part refers to others inside the package; '' is the package itself."""
        folder, name = posixpath.split(part)
        listing = posixpath.join(folder, "_rels", f"{name}.rels")
        return tuple(
            Relationship(
                element.get("Id", ""),
                element.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, element.get("Target", "").replace("\\", "/"))).lstrip(
                    "/"
                ),
            )
            for element in self.elements(listing, "Relationship")
            if element.get("TargetMode") != "External"
        )


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _part_name(name: str) -> str:
    r"""Return a part's name as it is compared: without case (ECMA-376 part 2, 6.2.2.3), and with `/` for `\`.

    Programs for Windows alone write its own separator, and Excel takes it.
    """
    return name.replace("\\", "/").lstrip("/").lower()
