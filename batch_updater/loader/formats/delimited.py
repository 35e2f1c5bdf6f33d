"""Delimited text: CSV and its relatives (RFC 4180), in UTF-8, in UTF-16 with its mark, or as configured."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from batch_updater.loader.formats.book import (
    DELIMITERS,
    LAST_COLUMN,
    SHORTEN,
    Book,
    SheetEntry,
    SheetRow,
    UnreadableError,
    name_of_delimiter,
)
from batch_updater.records import Cell

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHUNK_BYTES = 1 << 16
_SAMPLE_CHARACTERS = 1 << 16
_SAMPLE_ROWS = 50
_MOST_OF_A_LINE = 8 << 20
"""Characters, and as many of a record, which may have many lines."""
_BYTE_ORDER_MARKS = re.compile("(?:\ufeff|\u00ef\u00bb\u00bf)*")
"""As they are, and as a program writes them that has taken them for three letters of Windows-1252."""
_END_MARK = "\x1a"
"""Ctrl-Z, with which old programs of DOS say that a text ends."""
_QUOTED_LINE = re.compile(r'"(?:[^"]++|"")*+"')
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_REQUIRED_MARKS = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
"""Codec of Python that insists on a byte order mark -> the marks."""
_NO_ENCODINGS = {"unicode-escape", "raw-unicode-escape", "utf-7", "idna", "punycode", "undefined"}
"""Codecs of Python that take a text apart in other ways than by its characters."""
_SAVE_UTF8 = "Save it as 'CSV UTF-8', or say under input.encoding how it is written, such as windows-1252."


def codec_of(configured: str) -> str:
    """Return the name of Python's codec for an encoding. Raises UnreadableError if it is none."""
    try:
        # Encoding tells the encodings of text from the other codecs of Python, such as base64.
        " ".encode(configured)
        name = codecs.lookup(configured).name
    except (LookupError, ValueError):
        name = "undefined"
    if name.replace("_", "-") in _NO_ENCODINGS:
        raise UnreadableError(
            f"cannot be read as {configured!r}, which is no known encoding",
            "Correct input.encoding; common ones are utf-8, windows-1252 and utf-16-le.",
        )
    return name


class DelimitedBook(Book):
    """A text file with one row on a line.

    Row numbers are Excel's: a quoted line break starts no row, a blank line counts, and a first line `sep=;`, which
    Excel takes as an instruction and does not show, does not. Blanks around quotation marks that hold a cell are no
    part of it.
    """

    sheets = (SheetEntry(None, hidden=False),)
    delimiter: str

    def __init__(self, path: Path, *, encoding: str | None, header_row: int | None) -> None:
        self._path = path
        self._is_configured = encoding is not None
        with path.open("rb") as stream:
            head = stream.read(_CHUNK_BYTES)
            stream.seek(max(0, stream.seek(0, io.SEEK_END) - _CHUNK_BYTES))
            self._has_end_mark = stream.read().rstrip(b"\r\n\0").endswith(_END_MARK.encode())
        if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
            raise UnreadableError("is written in UTF-32", "Save it as 'CSV UTF-8'.")
        stated_by_mark = next((codec for mark, codec in _MARKS if head.startswith(mark)), None)
        if not stated_by_mark and encoding is None and head.count(0) > len(head) // 20:
            raise UnreadableError(
                "is neither a workbook nor a text file",
                "If it is text in UTF-16, save it as 'CSV UTF-8'; else name the right file.",
            )
        self._encoding = stated_by_mark or ("utf-8" if encoding is None else codec_of(encoding))
        sample = io.StringIO(newline="")
        with self._lines() as (stated, lines):
            for line in lines:
                sample.write(line)
                if sample.tell() >= _SAMPLE_CHARACTERS:
                    break
        self.delimiter = stated or _delimiter_of(sample.getvalue(), header_row)
        tidied = _Tidied(io.StringIO(sample.getvalue(), newline=""), self.delimiter)
        self._has_blanks = any(tidied.has_blanks for _ in tidied)
        if self._has_blanks:
            between = f"Blanks stand between {name_of_delimiter(self.delimiter)} and quotation marks"
            self.notes = (f"{between}; blanks at the beginning of a cell are left out.",)

    def read_rows(self, _sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of the text."""
        number = lines_read = size = 0

        def bounded(lines: Iterable[str]) -> Iterator[str]:
            """Refuse a record of so many lines that it would fill the memory before it ends."""
            nonlocal size
            for line in lines:
                size += len(line)
                if size > _MOST_OF_A_LINE:
                    raise UnreadableError(
                        f"has more than {_MOST_OF_A_LINE:,} characters in row {number + 1:,}", SHORTEN
                    )
                yield line

        with self._lines() as (stated, lines):
            tidied = _Tidied(bounded(lines), self.delimiter)
            # Strict: a quote that is never closed must not swallow the rest of the file.
            records = csv.reader(tidied, delimiter=self.delimiter, strict=True, skipinitialspace=self._has_blanks)
            try:
                for record in records:
                    number, lines_read, size = number + 1, records.line_num, 0
                    if len(record) > LAST_COLUMN:
                        raise UnreadableError(
                            f"has {len(record):,} columns in row {number:,}; a sheet has {LAST_COLUMN:,} at most",
                            SHORTEN,
                        )
                    cells: list[Cell] = [cell or None for cell in record]
                    yield SheetRow(number, cells, hidden=False)
            except csv.Error as error:
                where = f"row {number + 1:,} (line {lines_read + 1 + (stated is not None):,})"
                if "field limit" in str(error):
                    sentence = f"has a cell of more than {csv.field_size_limit():,} characters in {where}"
                elif "unexpected end" in str(error):
                    sentence = f"has a quotation mark in {where} that is never closed"
                else:
                    sentence = f"has text after a closing quotation mark in {where}"
                raise UnreadableError(
                    sentence, 'Open it in a text editor: a quotation mark inside a quoted cell is written twice ("").'
                ) from error

    @contextmanager
    def _lines(self) -> Iterator[tuple[str | None, Iterator[str]]]:
        """Open the text. Gives the delimiter that a first line `sep=;` states, if there is one, and the other lines."""
        with self._path.open(encoding=self._encoding, newline="") as text:
            try:
                lines = self._without_end_marks(text)
                first = next(lines, "")
                stated = _SEP_LINE.fullmatch(first)
                yield (stated[1], lines) if stated else (None, itertools.chain((first,) if first else (), lines))
            except UnicodeError as error:
                raise self._undecodable() from error

    def _without_end_marks(self, text: TextIO) -> Iterator[str]:
        """Yield the lines of the text without the Ctrl-Zs at its very end; elsewhere they are characters of a cell."""
        last, marks = "", list[str]()
        number = 0
        while line := text.readline(_MOST_OF_A_LINE):
            number += 1
            if len(line) == _MOST_OF_A_LINE:
                raise UnreadableError(f"has more than {_MOST_OF_A_LINE:,} characters in line {number:,}", SHORTEN)
            if not self._has_end_mark:
                yield line
            elif number > 1 and not line.strip(f"{_END_MARK}\r\n\0") and (marks or _END_MARK in last[-3:] + line):
                marks.append(line)
            else:
                yield from (last, *marks) if number > 1 else ()
                last, marks = line, []
        if last := last.rstrip("\r\n").rstrip(_END_MARK):
            yield last

    def _undecodable(self) -> UnreadableError:
        """Say where the first byte is that is no text. The decoder itself does not know the line."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        line = 1
        with self._path.open("rb") as stream:
            if not stream.peek(4).startswith(_REQUIRED_MARKS.get(self._encoding, b"")):
                return UnreadableError(f"is not {self._encoding} with a mark at its beginning", _SAVE_UTF8)
            while True:
                chunk = stream.read(_CHUNK_BYTES)
                try:
                    line += decoder.decode(chunk, final=not chunk).count("\n")
                except UnicodeDecodeError as error:
                    line += error.object[: error.start].decode(self._encoding, "replace").count("\n")
                    byte = error.object[error.start]
                    break
        if self._encoding.startswith("utf-16"):
            return UnreadableError(f"is not written in UTF-16, as its mark says, from line {line:,} on", _SAVE_UTF8)
        name = "UTF-8" if self._encoding.startswith("utf-8") else self._encoding
        sentence = f"is not written in {name}: line {line:,} holds the byte {byte:02X}"
        if self._is_configured and name != "UTF-8":
            return UnreadableError(sentence, f"{_SAVE_UTF8[:-1]}; now it is {self._encoding}.")
        western = bytes((byte,)).decode("cp1252", "replace")
        if western.isprintable() and western != "\ufffd":
            sentence += f" (in windows-1252 it would be {western!r})"
        return UnreadableError(sentence, _SAVE_UTF8)


class _Tidied:
    """Lines of a text without what the csv module would take for characters of a cell.

    These are blanks around quotation marks that hold a cell, and the byte order marks of files that were put together.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self.has_blanks = False
        """Whether blanks stood before a quotation mark."""
        self._lines = iter(lines)
        self._is_open = False
        """Whether the next line continues a cell in quotation marks."""
        mark = re.escape(delimiter)
        blanks = rf"(?:(?!{mark})[^\S\r\n])*+"
        inside = r'(?:[^"]++|"")*+'
        usual = rf'(?:"{inside}"|[^"\r\n{mark}]*+)'
        end = rf"{blanks}(?={mark}|[\r\n]|$)"
        self._usual = re.compile(rf"{usual}(?:{mark}{usual})*+[\r\n]*")
        # What has text behind its closing mark is taken for open here, and refused by the csv module.
        self._cell = re.compile(rf'(?:({blanks})(?:("{inside}"){end}|("[\s\S]*))|([^\r\n{mark}]*+))([\s\S]?)')
        self._closed = re.compile(rf'({inside}"){end}([\s\S]?)')

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if not self._is_open and line[:1] in "\ufeff\u00ef":
            line = _BYTE_ORDER_MARKS.sub("", line, count=1)
        if '"' not in line or (not self._is_open and self._usual.fullmatch(line)):
            return line
        pieces: list[str] = []
        at = 0
        if self._is_open:
            closed = self._closed.match(line)
            if closed is None:
                return line
            self._is_open = False
            pieces += closed.groups()
            at = closed.end()
        for cell in self._cell.finditer(line, at):
            before, quoted, opened, plain, behind = cell.groups()
            self.has_blanks = self.has_blanks or bool(before)
            self._is_open = self._is_open or opened is not None
            pieces += (quoted or opened or plain, behind)
        return "".join(pieces)


def _delimiter_of(sample: str, header_row: int | None) -> str:
    """Return the delimiter that the header row has and that the rows after it agree with."""
    widths = {delimiter: _widths(sample, delimiter, header_row) for delimiter in DELIMITERS}
    possible = {delimiter: found for delimiter, found in widths.items() if found and found[0] > 1}
    if not possible:
        _refuse_quoted_lines(sample)
    consistent = {delimiter: found for delimiter, found in possible.items() if len(set(found)) == 1}
    # A row that is too long or too short is a fault of that row.
    consistent = consistent or {
        delimiter: found for delimiter, found in possible.items() if found.count(found[0]) > len(found) / 2
    }
    if not consistent and header_row is None:
        # Lines of title may be above the headers, as the rows below them show: the last ones, all equally wide.
        for delimiter, found in widths.items():
            runs = [list(run) for _, run in itertools.groupby(found)]
            if runs and len(runs[-1]) > 1 and runs[-1][0] > 1:
                consistent[delimiter] = runs[-1]
        for ours, header in widths.items():
            for theirs, table in consistent.items():
                if ours != theirs and len(table) == len(header) - 1 and header[0] == table[0]:
                    raise UnreadableError(
                        f"has its headers separated by {DELIMITERS[ours]}, but its rows by {DELIMITERS[theirs]}",
                        "Open it in a text editor and separate the headers as the rows are.",
                    )
    consistent = consistent or possible
    if not consistent:
        return ","
    widest = max(found[0] for found in consistent.values())
    best = [delimiter for delimiter, found in consistent.items() if found[0] == widest]
    if len(best) > 1:
        names = " or ".join(DELIMITERS[delimiter] for delimiter in best)
        raise UnreadableError(
            f"could have its columns separated by {names}",
            f'Write a line such as sep={best[0]} above the header row, or put headers that hold "{best[1]}" in quotes.',
        )
    return best[0]


def _refuse_quoted_lines(sample: str) -> None:
    """Refuse a text each of whose lines is one cell in quotation marks that holds a row."""
    lines = [line.strip() for line in sample.splitlines() if line.strip()][:2]
    if (
        lines
        and all(_QUOTED_LINE.fullmatch(line) for line in lines)
        and any(all(delimiter in line for line in lines) for delimiter in DELIMITERS)
    ):
        raise UnreadableError(
            "has each line as a whole in quotation marks, so that it is one cell",
            "Export it once more; or open it in a text editor and take away the first and the last quotation mark of "
            "each line, and one of each two inside.",
        )


def _widths(sample: str, delimiter: str, header_row: int | None) -> list[int]:
    """Return how many cells the header row and the rows after it have, blank rows left out."""
    widths = []
    try:
        lines = _Tidied(io.StringIO(sample, newline=""), delimiter)
        for number, record in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
            if any(record) and number >= (header_row or 1):
                widths.append(len(record))
                if len(widths) == _SAMPLE_ROWS:
                    break
    except csv.Error:
        # The rows themselves are read strictly, and that reading says what is wrong.
        return widths
    return widths
