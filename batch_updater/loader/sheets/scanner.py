"""Reads a worksheet's rows fast where they are written in the one form that nearly all programs write.

An XML parser reads the worksheet, but for rows in that form: those are taken apart by a regular expression, which
is three times as fast. It has to match a row as a whole, so that nothing can be overlooked; whatever it does not match,
and all that stands before and after the rows, goes to the parser. A test holds both ways against each other.
"""

from __future__ import annotations

import codecs
import re
from typing import IO, TYPE_CHECKING

from batch_updater.loader.sheets.package import OTHER_ENCODING, PLAIN_CONTENT, Feeder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from batch_updater.loader.sheets.book import SheetRow
    from batch_updater.loader.sheets.worksheet import RowReader

_CHUNK_BYTES = 1 << 16
_MOST_KEPT = 1 << 20
"""Characters of one row, or of what stands before the rows, that are looked at as a whole."""
_START_OF_ROWS = "<sheetData>"
_END_OF_ROW = "</row>"
_NOT_ROWS = ("<!", "<?", "sheetData")
"""Behind these what looks like a row may be a comment, or stand outside the rows."""

_FORMULA = r"(?:<f(?: [^<>]*)?(?:/>|>[^<]*</f>)(?=<v>[^<]))?"
"""A formula beside the value that was saved for it, which is all that counts."""
_START_OF_VALUE = f'(?:{_FORMULA}<v>|<is><t(?: xml:space="preserve")?>)'
_VALUE = f'{_FORMULA}<v>{PLAIN_CONTENT}</v>|<is><t(?: xml:space="preserve")?>{PLAIN_CONTENT}</t></is>'
_ATTRIBUTES = r'(?: s="([0-9]+)")?(?: t="([a-zA-Z]+)")?'
_ROW = re.compile(
    r"""\s*<row r="([0-9]{1,7})"((?: [^<>'/]*)?)>"""
    "((?:"
    + re.sub(r"(?<!\\)\((?!\?)", "(?:", rf'<c r="[A-Z]{{1,3}}NUMBER"{_ATTRIBUTES}(?:/>|>(?:{_VALUE})?</c>)').replace(
        "NUMBER", r"\1"
    )
    + ")*)"
)
_CELLS = re.compile(
    rf'<c r="([A-Z]{{1,3}})[0-9]+"{_ATTRIBUTES}(?:/>|>(?:{_START_OF_VALUE}{PLAIN_CONTENT}(?:</v>|</t></is>))?</c>)'
)
"""The parts of each cell of a row that `_ROW` has matched: letters, style, type, content."""
_START_OF_ROW = re.compile(r"""\s*<row r="([0-9]{1,7})"(?: [^<>'/]*)?>""")


def read_rows(
    stream: IO[bytes], reader: RowReader, only: Container[int] | None = None, *, formulas_fast: bool = True
) -> Iterator[SheetRow]:
    """Yield the rows of a worksheet's XML as they are read; what it says about its own size is not believed.

    Where `only` is given, rows whose numbers it does not contain may be left out. `formulas_fast`: of a formula the
    value beside it is all that counts.
    """
    scanner = _Scanner(reader, only, formulas_fast=formulas_fast)
    while chunk := stream.read(_CHUNK_BYTES):
        scanner.feed(chunk)
        yield from reader.take()
    scanner.close()
    yield from reader.take()


class _Scanner:
    """Decides for each piece of a worksheet which way it is read."""

    def __init__(self, reader: RowReader, only: Container[int] | None, *, formulas_fast: bool) -> None:
        self._reader = reader
        self._formulas_fast = formulas_fast
        self._only = only
        self._feeder = Feeder(reader.parser)
        self._decoder: codecs.IncrementalDecoder | None = None
        """None where the parser is given the bytes as they are, which know their encoding themselves."""
        self._started = False
        self._scanning = True
        self._kept = ""
        """The beginning of a piece whose end is not yet there."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if not self._started:
            self._started = True
            if not OTHER_ENCODING.match(chunk):
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        if self._decoder is None:
            self._feeder.feed(chunk)
        elif self._scanning:
            self._scan(self._kept + self._decoder.decode(chunk))
        else:
            self._feeder.feed(self._decoder.decode(chunk))

    def close(self) -> None:
        """Take the end."""
        if self._decoder is not None:
            self._feeder.feed(self._kept + self._decoder.decode(b"", final=True))
        self._reader.parser.Parse(b"", True)

    def _scan(self, text: str) -> None:
        if not self._reader.in_data:
            text = self._before_rows(text)
        *rows, self._kept = text.split(_END_OF_ROW) if self._scanning and self._reader.in_data else (text,)
        while rows and self._scanning:
            row = rows.pop(0)
            if self._only is not None and self._can_be_left_out(row):
                continue
            if not self._in_usual_form(row):
                self._feeder.feed(row + _END_OF_ROW)
                self._scanning = not any(mark in row for mark in _NOT_ROWS)
        self._kept = _END_OF_ROW.join((*rows, self._kept))
        if len(self._kept) > _MOST_KEPT or (self._reader.in_data and any(mark in self._kept for mark in _NOT_ROWS)):
            self._scanning = False
        if not self._scanning:
            self._feeder.feed(self._kept)
            self._kept = ""

    def _before_rows(self, text: str) -> str:
        """Give what stands before the rows to the parser, if the rows are in sight. Returns what is left."""
        before, found, after = text.partition(_START_OF_ROWS)
        if not found:
            return text
        self._feeder.feed(before + found)
        # It may have stood in a comment, or in another namespace.
        self._scanning = self._reader.in_data
        return after

    def _can_be_left_out(self, row: str) -> bool:
        """Whether a row was not asked for. Its cells are not looked at, which makes a second reading cheap."""
        start = _START_OF_ROW.match(row)
        return (
            start is not None
            and self._only is not None
            and int(start[1]) not in self._only
            and not any(mark in row for mark in _NOT_ROWS)
        )

    def _in_usual_form(self, row: str) -> bool:
        """Hand a row over, if it is in the form that can be taken apart; `row` lacks its end tag."""
        usual = _ROW.fullmatch(row)
        if usual is None or (not self._formulas_fast and "<f" in row):
            return False
        number, attributes, cells = usual.groups()
        hidden = ' hidden="1"' in attributes or ' hidden="true"' in attributes
        columns, styles, kinds, contents = zip(*_CELLS.findall(cells), strict=True) if cells else ((), (), (), ())
        self._reader.add_row(int(number), (columns, styles, kinds), contents, hidden=hidden)
        return True
