"""The first values of a column, as evidence of what it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

import msgspec

from batch_updater.endpoint.description import Field, Kind
from batch_updater.loader.currencies import currency_sign
from batch_updater.loader.dates import SEVERAL_DAYS, DateSettings, date_from_text, day_in
from batch_updater.loader.numbers import may_be_grouped, number_in, one_reading_each
from batch_updater.loader.refusal import ValueProblem
from batch_updater.records import AllowedList, Cell, CellError, FormattedNumber, ShownAs
from batch_updater.text.characters import folded
from batch_updater.text.spelling import nearest

KnownNames: TypeAlias = Callable[[], Sequence["AllowedList"]]
"""Gives the names that the API is known to have; asked only where values have to be held against them."""

_MOST = 0.8
"""Share of the values that have to be of a kind: one of them may be wrong."""
_LETTERS_OF_A_NAME = 3
"""Fewer, such as Y and N, are found in any column."""
_WHOLE = re.compile(r"[0-9]+(?:\.0+)?")
_NUMBER = re.compile(r"[^\w]*(?:(?:S?[Ff]r\.?|[A-Za-z]{3})\s*)?[0-9][0-9.,'\u2019\s-]*(?:S?[Ff]r|[A-Za-z]{3})?[^\w]*")
_WORDS_OF_A_NAME = re.compile(r"[^\W\d_]{2,}\s+[^\W\d_]{2,}")
_LARGE, _LARGE_WITH_CENTS, _FIRST_YEAR, _LAST_YEAR = 1000, 100, 1900, 2100
"""Whole numbers, and others, from which on they rather are amounts than counts and shares; and those that are years."""
_NO_AMOUNTS = frozenset({ShownAs.OTHER_TEXT, ShownAs.OTHERWISE})
"""How codes, percentages and fractions are shown."""
_SOME_DATES = DateSettings()
_FIRST_OF_JSON = ("{", "[", '"', "-", *"0123456789", "true", "false", "null")
_TRUTHS = frozenset({"true", "false"})


class ColumnValues(msgspec.Struct, frozen=True, dict=True):
    """The cells of a column that hold anything, from the first few hundred rows."""

    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Cell]], position: int) -> ColumnValues:
        """Return those of one column; what is an error or blank says nothing."""
        found = (row[position] for row in rows if position < len(row))
        filled = (cell for cell in found if cell is not None and not isinstance(cell, CellError))
        return cls(tuple(cell for cell in filled if not isinstance(cell, str) or cell.strip()))

    @cached_property
    def are_dates(self) -> bool:
        """Whether they are days, without a time of day."""
        return self._mostly(_is_date)

    @cached_property
    def are_numbers(self) -> bool:
        """Whether they are numbers, or look like amounts."""
        return self._mostly(_is_number)

    @cached_property
    def are_numbering(self) -> bool:
        """Whether they are whole numbers, hardly any of them twice, as identifiers are and names are not."""
        is_whole = [
            type(cell) is int or (isinstance(cell, str) and _WHOLE.fullmatch(cell.strip()) is not None)
            for cell in self.cells
        ]
        least = _MOST * len(self.cells)
        return len(self.cells) > 1 and len(set(self.cells)) >= least and sum(is_whole) >= least

    @property
    def are_amounts(self) -> bool:
        """Whether they are numbers, and half of them or more look like money: no counters, years, shares or codes."""
        # Codes are whole numbers of one length, hardly any twice or round, as customers' numbers are.
        texts = [str(cell).strip() for cell in self.cells]
        round_ones = sum(text.endswith("0") for text in texts)
        of_one_length = max(Counter(map(len, texts)).values(), default=0)
        if self.are_numbering and of_one_length >= _MOST * len(texts) and round_ones * 2 < len(texts):
            return False
        return self.are_numbers and sum(map(_is_amount, self.cells)) * 2 >= len(self.cells)

    @cached_property
    def are_names(self) -> bool:
        """Whether at least half of them have words side by side, as names have and identifiers do not."""
        names = sum(isinstance(cell, str) and _WORDS_OF_A_NAME.search(cell) is not None for cell in self.cells)
        return bool(self.cells) and 2 * names >= len(self.cells)

    def are_among(self, names: Collection[str]) -> bool:
        """Whether they are texts out of a list of names, which are compared without regard to case; a few mistyped."""
        names = {folded(name) for name in names}
        texts = Counter(folded(cell) for cell in self.cells if isinstance(cell, str))
        listed = sum(count for text, count in texts.items() if text in names)
        if 2 * listed < len(self.cells) or max(map(len, texts.keys() & names), default=0) < _LETTERS_OF_A_NAME:
            return False
        mistyped = (count for text, count in texts.items() if text not in names and nearest(text, names, cutoff=_MOST))
        return listed + sum(mistyped) >= _MOST * len(self.cells)

    def contradict(self, field: Field) -> bool:
        """Whether hardly any of them can be a value of that field."""
        if self.cells and field.enum and field.kind is Kind.TEXT:
            listed = {folded(str(value)) for value in field.enum}
            return not any(folded(str(cell)) in listed for cell in self.cells)
        return self.contradict_kind_of(field)

    def contradict_kind_of(self, field: Field) -> bool:
        """Whether hardly any of them is of that field's kind, be it one of the values that are described or not."""
        if not self.cells:
            return False
        match field.kind:
            case Kind.INTEGER | Kind.DECIMAL:
                # The word "Total" may be below the numbers of a short table, and one of three may be "tbd".
                share = 2 if field.selects_record else 1.5
                return share * sum(map(_is_number, self.cells)) < len(self.cells)
            case Kind.DATE:
                return not any(map(_is_date, self.cells))
            case Kind.DATE_TIME:
                return not any(map(_has_date, self.cells))
            case Kind.JSON:
                return not any(map(_may_be_json, self.cells))
            case Kind.BOOLEAN:
                return not any(isinstance(cell, bool) or str(cell).strip().casefold() in _TRUTHS for cell in self.cells)
            case Kind.TEXT:
                return self.are_dates or (self.are_names if field.is_identifier else self.are_numbering)
            case _:
                return False

    def _mostly(self, is_one: Callable[[Cell], bool]) -> bool:
        return bool(self.cells) and sum(map(is_one, self.cells)) >= _MOST * len(self.cells)


def _is_date(cell: Cell) -> bool:
    if isinstance(cell, datetime):
        return cell.time() == time()
    if isinstance(cell, str):
        try:
            date_from_text(cell, _SOME_DATES)
        except ValueProblem as refusal:
            return refusal.code in SEVERAL_DAYS
        return True
    return isinstance(cell, date)


def _has_date(cell: Cell) -> bool:
    """Whether a cell is a day, with a time of day or without."""
    return _is_date(day_in(cell)) if isinstance(cell, str) else isinstance(cell, date)


def _may_be_json(cell: Cell) -> bool:
    return cell.strip().startswith(_FIRST_OF_JSON) if isinstance(cell, str) else not isinstance(cell, date)


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell.strip()) is not None and not _is_date(cell)
    return isinstance(cell, (int, Decimal, FormattedNumber)) and not isinstance(cell, bool)


def _is_amount(cell: Cell) -> bool:
    if isinstance(cell, FormattedNumber):
        if cell.currency or cell.effect in _NO_AMOUNTS:
            return bool(cell.currency)
    elif isinstance(cell, str):
        if currency_sign(cell):
            return True
        if any(may_be_grouped(cell, mark) for mark in ".,"):
            cell, _ = one_reading_each(cell, ".")
    number = number_in(cell)
    if number is None:
        return False
    has_cents = str(number)[-3:-2] == "."
    if number == number.to_integral_value() and not has_cents:
        return abs(number) >= _LARGE and not _FIRST_YEAR <= number <= _LAST_YEAR
    return abs(number) >= _LARGE_WITH_CENTS
