"""The rows of a sheet, compressed while they are written: at the end nothing of them is read or compressed again."""

from __future__ import annotations

import errno
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP64_LIMIT, ZipFile, ZipInfo

PLACE = "<!-- rows -->"
"""Stands for the rows in the XML of their sheet."""
_GATHERED = 1 << 16
"""Characters that are compressed at a time."""
_RAW = -zlib.MAX_WBITS
"""A deflate stream without any header (RFC 1951), as zip files hold it."""


class PackedRows:
    """Takes the XML of rows like a text file and keeps it compressed, in a temporary file."""

    def __init__(self, folder: Path | str | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by `close`)
        self._deflater = zlib.compressobj(wbits=_RAW)
        self._texts: list[str] = []
        self._characters = 0
        self._bytes = 0
        """So many the XML has, uncompressed."""
        self._crc = 0

    def write(self, text: str) -> None:
        """Add a piece of XML. Raises OSError."""
        self._texts.append(text)
        self._characters += len(text)
        if self._characters >= _GATHERED:
            self._compress()

    def _compress(self) -> None:
        data = "".join(self._texts).encode()
        self._texts.clear()
        self._characters = 0
        self._bytes += len(data)
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(self._deflater.compress(data))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def add_to(self, archive: ZipFile, part: ZipInfo, before: bytes, behind: bytes) -> None:
        """Add the sheet to an archive whole, with what stands before and behind its rows. Raises OSError.

        A full flush ends a piece on a whole byte, and the next one refers to nothing in it: pieces that were compressed
        one by one are then one stream (RFC 1951, section 3.2.4).
        """
        self._compress()
        self._file.write(self._deflater.flush(zlib.Z_FULL_FLUSH))
        first, last = zlib.compressobj(wbits=_RAW), zlib.compressobj(wbits=_RAW)
        head = first.compress(before) + first.flush(zlib.Z_FULL_FLUSH)
        tail = last.compress(behind) + last.flush()
        part.file_size = len(before) + self._bytes + len(behind)
        if part.file_size > ZIP64_LIMIT:
            raise OSError(errno.EFBIG, f"{part.filename} would be larger than the 2 GiB that every program reads")
        part.compress_size = len(head) + self._file.tell() + len(tail)
        part.CRC = zlib.crc32(behind, _joined_crc(zlib.crc32(before), self._crc, self._bytes))
        # The standard library has no call for data that is compressed already.
        stream = archive.fp
        if stream is None:
            raise ValueError("the archive is closed")
        part.header_offset = stream.tell()
        stream.write(part.FileHeader())
        stream.write(head)
        self._file.seek(0)
        while data := self._file.read(_GATHERED):
            stream.write(data)
        stream.write(tail)
        archive.start_dir = stream.tell()  # the directory goes behind
        archive.filelist.append(part)
        archive.NameToInfo[part.filename] = part


def _joined_crc(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC of two pieces of data from the CRC of each: it is linear, so zeros stand in for the second."""
    zeros, of_zeros = bytes(_GATHERED), 0
    for left in range(second_bytes, 0, -_GATHERED):
        piece = zeros[:left]
        first, of_zeros = zlib.crc32(piece, first), zlib.crc32(piece, of_zeros)
    return first ^ of_zeros ^ second


def join(parts: ZipFile, target: ZipFile, rows: Mapping[str, PackedRows]) -> None:
    """Copy every part of a workbook, those of sheets with their rows: name of the part -> rows. Raises OSError."""
    for part in parts.infolist():
        content = parts.read(part)
        if packed := rows.get(part.filename):
            packed.add_to(target, part, *content.split(PLACE.encode()))
        else:
            target.writestr(part, content)
