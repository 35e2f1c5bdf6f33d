"""Contents of the cells of an .xlsx workbook, as they are in its XML -> cells (ECMA-376 part 1, 18.3.1.4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from batch_updater.loader.formats.display_format import DisplayFormat
from batch_updater.loader.formats.number_formats import (
    NO_VALUE,
    Format,
    Number,
    apply_format,
    from_double,
    from_iso,
    no_value,
    text_as_shown,
)
from batch_updater.loader.formats.shared_strings import SharedStrings, unescaped
from batch_updater.records import DIGITS_OF_A_CELL, Cell, CellError

_WHOLE = re.compile(r"-?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_XML_BLANKS = " \t\r\n"
_NOT_ZERO = frozenset("123456789")
_MOST_REMEMBERED = 4096
_MOST_DIGITS_REMEMBERED = 20
_UNKNOWN: Final = CellError("", "")

Converter: TypeAlias = "Callable[[str], Cell]"


def number(text: str) -> Number | CellError:
    """Return a number as it is in a file: whole with all its digits, else as Excel shows it at most.

    What is none, such as the NaN of a program that does not know better, is a fault of its cell.
    """
    bare = text.strip(_XML_BLANKS)
    if _WHOLE.fullmatch(bare):
        return int(bare)
    value = float(bare) if _NUMBER.fullmatch(bare) else math.nan
    return from_double(value) if math.isfinite(value) else no_value(bare)


def _plain_number(content: str) -> Number | CellError | None:
    """Return the number that a cell holds, as `number` does; the forms that nearly all have are read at once."""
    if content.isdigit() and len(content) <= DIGITS_OF_A_CELL and content.isascii():
        return int(content)
    # Up to 15 digits are the shortest ones that stand for their double, unless there are zeros at the end.
    if (
        "." in content
        and len(content) <= DIGITS_OF_A_CELL + 1
        and content[-1] in _NOT_ZERO
        and content.replace(".", "", 1).isdigit()
        and content.isascii()
    ):
        return Decimal(content)
    return number(content) if content else None


class CellContents:
    """Converts contents of cells by their type and style, the attributes `t` and `s`."""

    def __init__(self, strings: SharedStrings, shown_by_style: Mapping[str, Format], *, epoch_1904: bool) -> None:
        self._strings = strings
        self._shown_by_style = shown_by_style
        self._epoch_1904 = epoch_1904
        self._known: dict[tuple[str, str], Converter] = {}

    def converter(self, kind: str, style: str) -> Converter:
        """Return what makes a cell of the content of cells of a type and a style; '' is that of a cell without any."""
        known = self._known.get((kind, style))
        if known is None:
            known = self._new(kind, self._shown_by_style.get(style))
            if len(self._known) < _MOST_REMEMBERED:
                self._known[kind, style] = known
        return known

    def _new(self, kind: str, shown: Format | None) -> Converter:
        match kind:
            case "s" if isinstance(shown, DisplayFormat) and shown.changes_texts:
                return lambda content: text_as_shown(self._strings.cell(content), shown)
            case "s":
                return self._strings.cell
            case "n":
                return _plain_number if shown is None else _Formatted(shown, epoch_1904=self._epoch_1904)
            case "str" | "inlineStr":
                return lambda content: text_as_shown(unescaped(content) or None, shown)
            case "d":
                return lambda content: from_iso(content, shown) if content else None
            case "e":
                return lambda content: CellError("error-cell", content or NO_VALUE)
            case "b":
                return _truth
            case _:
                return lambda content: no_value(content) if content else None


def _truth(content: str) -> Cell:
    if content in {"0", "1", "true", "false"}:
        return content in {"1", "true"}
    return no_value(content) if content else None


class _Formatted:
    """Makes cells of numbers as a format shows them. Remembers them: days are few."""

    def __init__(self, shown: Format, *, epoch_1904: bool) -> None:
        self._shown = shown
        self._epoch_1904 = epoch_1904
        self._decimals = shown.decimals if isinstance(shown, DisplayFormat) else None
        self._known: dict[str, Cell] = {"": None}

    def __call__(self, content: str) -> Cell:
        # Most amounts are shown with all their digits, which their length tells.
        if self._decimals is not None and content[:1] in _NOT_ZERO:
            whole, _, fraction = content.partition(".")
            if len(fraction) <= self._decimals and whole.isdigit() and (not fraction or fraction.isdigit()):
                return _plain_number(content)
        cell = self._known.get(content, _UNKNOWN)
        if cell is _UNKNOWN:
            cell = found = _plain_number(content)
            if isinstance(found, (int, Decimal)):
                cell = apply_format(found, self._shown, epoch_1904=self._epoch_1904)
            if len(self._known) < _MOST_REMEMBERED and len(content) <= _MOST_DIGITS_REMEMBERED:
                self._known[content] = cell
        return cell
