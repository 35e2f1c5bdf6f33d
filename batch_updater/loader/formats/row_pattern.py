"""Rows of a worksheet in which every cell is written like one that was parsed, but for its row and its content.

Nearly all rows are. One pattern of the whole sheet, made of the cells that the parser has read, takes such a row apart
in a fraction of the time that parsing it takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeAlias

from batch_updater.loader.formats.book import SheetRow
from batch_updater.loader.formats.cell_contents import CellContents, Converter
from batch_updater.loader.formats.long_part import PLAIN_CONTENT
from batch_updater.records import Cell

WrittenCell: TypeAlias = "tuple[int, str, str]"
"""Column, type and style of a cell."""
_MOST_FORMS = 2_000
"""Of the cells of a sheet."""
_MOST_TRIED = 1_000
"""After so many rows that were not known before, only few more are learned from."""
_ATTRIBUTES = r"(?:\s[^<>]*)?"
_REFERENCE = re.compile(r"\sr=['\"][A-Za-z]+([0-9]+)['\"]")


class RowPattern:
    """Learns how the cells of a sheet are written, and reads rows in which all are written so."""

    def __init__(self, contents: CellContents, prefix: str) -> None:
        """`prefix` is what stands before the names of elements."""
        self._contents = contents
        self._formula = f"<{prefix}f"
        self._prefix = prefix = re.escape(prefix)
        self._start = re.compile(rf'\s*<{prefix}row r="([1-9][0-9]*)"({_ATTRIBUTES})>')
        formula = rf"(?:<{prefix}f{_ATTRIBUTES}>(?:([^<]*)</{prefix}f>)?)?"
        text = rf"<{prefix}is><{prefix}t{_ATTRIBUTES}>"
        value = rf"(?:<{prefix}v>|{text})([^<]*)(?:</{prefix}v>|</{prefix}t></{prefix}is>)"
        self._cell = re.compile(rf"(<{prefix}c{_ATTRIBUTES})(?:/>|>(?:{formula}{value})?</{prefix}c>)\s*")
        self._hidden: dict[str, bool] = {}
        """Attributes of a row behind its number -> whether they hide it."""
        self._forms: dict[int, dict[str, Converter | None]] = {}
        """Column -> pattern of a cell in it -> what converts its content; None for a cell that has none."""
        self._tried = self._size = 0
        self._is_changed = False
        self._pattern: re.Pattern[str] | None = None
        self._columns: list[tuple[int, list[Converter]]] = []
        """What converts the groups of the pattern, column by column."""

    @property
    def gaps(self) -> int:
        """How many columns hold nothing in any row, but one to their right does."""
        return self._columns[-1][0] + 1 - len(self._columns) if self._columns else 0

    def match(self, row: str) -> re.Match[str] | None:
        """Match a row, without its end tag; None if the parser has to read it."""
        return self._pattern.fullmatch(row) if self._pattern else None

    def rows(self, matched: Sequence[re.Match[str]]) -> list[SheetRow]:
        """Convert rows that were matched: column by column, which is faster than row by row."""
        numbers, attributes, *contents = zip(*[row.groups() for row in matched], strict=True)
        left = iter(contents)
        blank = [None] * len(matched)
        columns: list[Sequence[Cell]] = [blank] * (self._columns[-1][0] + 1 if self._columns else 0)
        for column, converters in self._columns:
            columns[column] = _cells(converters, list(islice(left, len(converters))), blank)
        cells = map(list, zip(*columns, strict=True)) if columns else ([] for _ in matched)
        return list(map(SheetRow, map(int, numbers), cells, map(self._hidden.__getitem__, attributes)))

    def learn(self, text: str, row: SheetRow, cells: Sequence[WrittenCell]) -> None:
        """Learn from the text of a row, without its end tag, and what the parser has read of it.

        A row that is written in an unusual way teaches nothing.
        """
        self._tried += 1
        is_power_of_two = not self._tried & (self._tried - 1)
        if self._size < _MOST_FORMS >= len(cells) and (is_power_of_two or self._tried < _MOST_TRIED):
            self._learn(text, row, cells)
        if is_power_of_two and self._is_changed:  # making a pattern takes milliseconds
            self._compile()

    def _learn(self, text: str, row: SheetRow, cells: Sequence[WrittenCell]) -> None:
        start = self._start.match(text)
        if start is None or int(start[1]) != row.number or "xmlns" in text:
            return
        forms = []
        at = start.end()
        for column, kind, style in cells:
            found = self._cell.match(text, at)
            form = found and self._form(found, start[1], kind)
            convert = self._contents.converter(kind, style)
            if not found or not form or convert(found[3] or "") != row.cells[column]:
                return
            forms.append((column, form, convert if found[3] is not None else None))
            at = found.end()
        if at == len(text):
            size = self._size + len(self._hidden)
            self._hidden[start[2]] = row.hidden
            for column, form, converter in forms:
                self._forms.setdefault(column, {})[form] = converter
            self._size = sum(map(len, self._forms.values()))
            self._is_changed = self._is_changed or self._size + len(self._hidden) > size

    def _form(self, cell: re.Match[str], number: str, kind: str) -> str | None:
        """Return the pattern of a cell; None if it does not say in which row it is."""
        own = _REFERENCE.search(cell[1])
        if own is None or own[1] != number:
            return None
        # Beside a formula a blank is no value, unless it is a text.
        some = "++" if self._formula in cell[0] and kind != "str" else "*+"
        varying = [
            (cell.start(1) + own.start(1), cell.start(1) + own.end(1), r"\1"),
            (*cell.span(2), f"{PLAIN_CONTENT}*+"),
            (*cell.span(3), f"({PLAIN_CONTENT}{some})"),
        ]
        pieces, at = [], cell.start()
        for start, end, pattern in varying:
            if start >= 0:
                pieces += [re.escape(cell.string[at:start]), pattern]
                at = end
        return "".join((*pieces, re.escape(cell.string[at : cell.end()])))

    def _compile(self) -> None:
        cells = [f"(?>{'|'.join(self._forms[column])}|)" for column in sorted(self._forms)]
        attributes = "|".join(map(re.escape, self._hidden))
        self._pattern = re.compile(rf'\s*<{self._prefix}row r="([1-9][0-9]{{0,6}})"({attributes})>{"".join(cells)}')
        self._is_changed = False
        converters = {column: [*filter(None, forms.values())] for column, forms in self._forms.items()}
        self._columns = sorted(converters.items())


def _cells(
    converters: Sequence[Converter], contents: Sequence[tuple[str | Any, ...]], blank: Sequence[Cell]
) -> Sequence[Cell]:
    """Convert the contents of one column, of which each row has at most one, whichever form its cell has."""
    cells = list(blank)
    for convert, of_form in zip(converters, contents, strict=True):
        blanks = of_form.count(None)
        if not blanks:
            return list(map(convert, of_form))
        if blanks < len(of_form):
            for at, content in enumerate(of_form):
                if content is not None:
                    cells[at] = convert(content)
    return cells
