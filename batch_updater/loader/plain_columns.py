"""Cells of one column that are all in the usual form of its field -> their values, without a look at each of them.

Built-in functions go over such a column in a fraction of the time that `cells` takes, which judges every other one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.description import Field, Kind
from batch_updater.loader.as_seen import TINY
from batch_updater.loader.clear_marker import ClearMarker
from batch_updater.loader.dates import EARLIEST_YEAR
from batch_updater.loader.limits import judge_of
from batch_updater.loader.refusal import ValueProblem
from batch_updater.loader.texts import plain_texts
from batch_updater.records import DIGITS_OF_A_CELL, Value

PlainReader: TypeAlias = Callable[[Sequence[Any], set[type]], Sequence[Value] | None]
"""Gives the values of cells, none of them blank, and of these types; None if any of them is unusual."""

_AMOUNTS = re.compile(r"(?:-?[0-9]++(?:\.[0-9]++)?\n)++")
"""Lines of digits, with or without a decimal point between them."""


def plain_reader(field: Field, settings: InputSettings) -> PlainReader | None:
    """Return what reads cells of a field if `converter` would take every one of them without a note; else None."""
    judge, marker = judge_of(field), ClearMarker(settings.clear_marker)
    if field.enum or field.bounds.multiple_of is not None:
        return None
    read: PlainReader
    match field.kind:
        case Kind.INTEGER:
            read = _integers
        case Kind.DECIMAL:
            read = _amounts if settings.decimal == "." else _numbers
        case Kind.DATE:
            read = _days
        case Kind.TEXT if judge is None:
            return _texts(plain_texts(marker))
        case _:
            return None

    def read_within_limits(cells: Sequence[Any], kinds: set[type]) -> Sequence[Value] | None:
        values = read(cells, kinds)
        if values is None or (str in kinds and marker.text in cells):
            return None
        if judge is not None:
            try:  # limits that the smallest and the largest value keep are kept by all
                judge(min(values))
                judge(max(values))
            except ValueProblem:
                return None
        return values

    return read_within_limits


def _texts(are_plain: Callable[[Sequence[str]], bool]) -> PlainReader:
    return lambda cells, kinds: cells if kinds == {str} and are_plain(cells) else None


def _integers(cells: Sequence[Any], kinds: set[type]) -> Sequence[int] | None:
    if kinds == {str}:
        digits, lengths = "".join(cells), set(map(len, cells))
        if digits.isdigit() and digits.isascii() and min(lengths) > 0 and max(lengths) <= DIGITS_OF_A_CELL:
            return list(map(int, cells))
    elif kinds == {int} and max(map(abs, cells)) < 10**DIGITS_OF_A_CELL:
        return cells
    return None


def _amounts(cells: Sequence[Any], kinds: set[type]) -> Sequence[Decimal] | None:
    if kinds != {str}:
        return _numbers(cells, kinds)
    # A line break within a cell would make two lines of it.
    lines = "\n".join((*cells, ""))
    if max(map(len, cells)) > DIGITS_OF_A_CELL or lines.count("\n") > len(cells) or not _AMOUNTS.fullmatch(lines):
        return None
    return [value or value.copy_abs() for value in map(Decimal, cells)]


def _numbers(cells: Sequence[Any], kinds: set[type]) -> Sequence[Decimal] | None:
    if not kinds <= {int, Decimal}:
        return None
    values = list(map(Decimal, cells))
    powers = set(map(Decimal.adjusted, values))
    return values if min(powers) >= TINY and max(powers) < DIGITS_OF_A_CELL else None


def _days(cells: Sequence[Any], kinds: set[type]) -> Sequence[date] | None:
    return cells if kinds == {date} and min(cells).year >= EARLIEST_YEAR else None
