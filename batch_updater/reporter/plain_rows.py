"""Rows of usual cells as the XML of a sheet (ECMA-376 part 1, 18.3.1.4), much faster than XlsxWriter makes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from xlsxwriter.format import Format

from batch_updater.records import DIGITS_OF_A_CELL, Cell, column_letters
from batch_updater.reporter.cell_values import FIRST_DAY, STARTS_FORMULA

_PLAIN = re.compile("[0-9A-Za-z](?:[ -%'-;=?-^`-~]{0,998}[!-%'-;=?-^`-~])?")
"""Most texts are like this: they begin with no sign, and hold neither markup nor an escape."""
_WRITTEN_OTHERWISE = re.compile("[&<>]|_x")
"""Markup, and what may be read as an escape."""
_FIRST_CHARACTERS = STARTS_FORMULA | {" "}
"""Of texts that need care: blanks are kept only if XML is told so."""
_LONGEST_TEXT = 1_000
_LARGEST_WHOLE = 10**DIGITS_OF_A_CELL
_DAY_ZERO = date(1899, 12, 30).toordinal()
_MOST_KNOWN = 2_000
_OTHER = "?"
"""In place of the XML of a cell of another kind."""


class OwnStyle:
    """The format of cells that are not the input's."""

    def __init__(self, style: Format) -> None:
        self.style = style
        self.before_number = f' s="{style._get_xf_index()}"><v>'  # noqa: SLF001  (a format has no other name in XML)
        """The XML between the address of a cell and its number."""
        self.before_text = f' s="{style._get_xf_index()}" t="inlineStr"><is><t>'  # noqa: SLF001
        """The same of a text."""


Own: TypeAlias = tuple[str | float | None, OwnStyle]
"""Value and format of a cell that is not the input's."""


class PlainRows:
    """Makes the XML of rows in which every cell is of a usual kind, the same that XlsxWriter makes."""

    def __init__(self, columns: int, plain: OwnStyle, day: OwnStyle) -> None:
        """`columns`: how many the sheet has; `plain` is the format of texts and numbers, `day` that of dates."""
        self._starts = [f'<c r="{column_letters(column)}' for column in range(columns)]
        self._text, self._number, self._day = plain.before_text, plain.before_number, day.before_number
        self._known: dict[str, str] = {}
        """Texts that were met -> their XML; names repeat down a column."""

    def row(self, number: int, own: Iterable[Own], cells: Iterable[Cell], results: Iterable[Own]) -> str | None:
        """Return the XML of a row of that number, from 1; None if one of its cells is of another kind.

        `own` and `results` are the cells before and behind those of the input.
        """
        at, ending = f'{number}"', self._ending
        endings = [
            *[_own_ending(*one) for one in own],
            *[cell if cell is None else ending(cell) for cell in cells],
            *[_own_ending(*one) for one in results],
        ]
        if _OTHER in endings:
            return None
        written = zip(self._starts, endings, strict=True)
        return f'<row r="{at}>{"".join([f"{start}{at}{ending}" for start, ending in written if ending])}</row>'

    def _ending(self, cell: Cell) -> str:
        """Return a cell's XML behind its address, or `_OTHER`. Runs for every cell: kept lean."""
        if type(cell) is str:
            return self._known.get(cell) or self._of_text(cell)
        if type(cell) is int and -_LARGEST_WHOLE < cell < _LARGEST_WHOLE:
            return f"{self._number}{cell}</v></c>"
        if type(cell) is Decimal:
            digits = str(cell)
            if len(digits) <= DIGITS_OF_A_CELL and digits[-1].isdigit() and "E" not in digits:
                return f"{self._number}{float(digits)!r}</v></c>"  # so few digits come back from the nearest double
        if type(cell) is date and cell >= FIRST_DAY:
            return f"{self._day}{cell.toordinal() - _DAY_ZERO}</v></c>"
        return _OTHER

    def _of_text(self, text: str) -> str:
        if not _is_usual(text):
            return _OTHER
        ending = f"{self._text}{text}</t></is></c>"
        if len(self._known) < _MOST_KNOWN:
            self._known[text] = ending
        return ending


def _own_ending(value: str | float | None, own: OwnStyle) -> str | None:
    if value is None:
        return None
    if type(value) is int and -_LARGEST_WHOLE < value < _LARGEST_WHOLE:
        return f"{own.before_number}{value}</v></c>"
    if isinstance(value, str):
        return f"{own.before_text}{value}</t></is></c>" if _is_usual(value) else _OTHER
    return f"{own.before_number}{value:.16G}</v></c>"


def _is_usual(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None or (
        0 < len(text) <= _LONGEST_TEXT
        and text[0] not in _FIRST_CHARACTERS
        and text[-1] != " "
        and text.isprintable()
        and not _WRITTEN_OTHERWISE.search(text)
    )
