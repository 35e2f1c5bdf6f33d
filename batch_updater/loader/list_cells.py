"""A cell -> a list of plain values, as the JSON array that is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from batch_updater.endpoint.description import Field, Kind
from batch_updater.endpoint.request import wire_text
from batch_updater.loader.findings import CellNote
from batch_updater.loader.numbers import AMBIGUOUS_NUMBER, OTHER_MARK
from batch_updater.loader.refusal import ValueProblem, shown
from batch_updater.messages import counted
from batch_updater.records import Cell
from batch_updater.text.lazy_pattern import lazy_pattern

EMPTY_LIST: Final = "[]"
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_QUOTED_OR_SEVERAL = lazy_pattern("[\"',;\u2018-\u201f\u00ab\u00bb]")
"""What makes a JSON array, mistyped, of a text in brackets."""
_OTHER_SEPARATORS: Final = {mark: lazy_pattern(rf"\S\s*{re.escape(mark)}\s*\S") for mark in (",", ";", "|")}
_ASKED_OF_COLUMNS: Final = frozenset({AMBIGUOUS_NUMBER, OTHER_MARK})
"""Codes of problems that are asked about column by column, which is done for single numbers alone."""


def item_field(field: Field) -> Field:
    """Return the field that one item of a list would be."""
    bounds = replace(field.bounds, min_items=None, max_items=None)
    return replace(field, kind=field.item_kind, bounds=bounds, nullable=False, clears_with=None)


class ListReader:
    """Reads the lists of one column."""

    def __init__(
        self, field: Field, separator: str, noted: list[CellNote], convert_item: Callable[[Cell], object]
    ) -> None:
        """`convert_item` returns the value of an item that is a cell of its own, or raises ValueProblem.

        `separator` is what is between items; a line break is, too. Add notes to `noted`.
        """
        self._field = field
        self._item = item_field(field)
        self._separator = separator
        self._noted = noted
        self._convert = convert_item

    def from_text(self, text: str) -> str:
        """Return the list that a text says which is not blank. Raises ValueProblem.

        A JSON array of plain values is taken as what it is.
        """
        bare = text.strip()
        in_json = _json_items(bare) if bare[0] == "[" and bare[-1] == "]" else None
        items: Sequence[Cell] = self._split(bare) if in_json is None else in_json
        if len(items) != 1 or in_json is not None:
            return self._list_of(items)
        (item,) = items
        may_be_several = any(
            several.search(bare) for mark, several in _OTHER_SEPARATORS.items() if mark != self._separator
        )
        try:
            value = self._list_of(items)
        except ValueProblem as refusal:
            if not may_be_several:
                raise
            remedy = f"{refusal.remedy} Separate items by {self._separator!r}, if several are meant."
            raise ValueProblem(refusal.code, refusal.reason, remedy) from None
        if may_be_several and self._item.kind in {Kind.TEXT, Kind.ANY}:
            sentence = f"{shown(item, quoted=True)} is sent as one item: items are separated by {self._separator!r}."
            self._noted.append(CellNote(self._field.name, "perhaps-several-items", sentence))
        return value

    def from_cell(self, cell: Cell) -> str:
        """Return the list of the one item that a cell is which is no text. Raises ValueProblem."""
        return self._list_of([cell])

    def _split(self, bare: str) -> list[str]:
        items: list[str] = []
        for line in filter(str.strip, _LINE_BREAK.split(bare)):
            parts = [part.strip() for part in line.split(self._separator)]
            if len(parts) > 1 and not parts[-1]:
                del parts[-1]  # many programs write the separator behind the last one as well
            if "" in parts:
                what = f"has an empty item: {self._separator!r} is between items"
                raise ValueProblem.of(bare, "empty-item", what, "Delete the separator, or type what is missing.")
            items += parts
        return items

    def _list_of(self, items: Sequence[Cell]) -> str:
        if not items:
            raise ValueProblem("no-items", "The list has no items.", f"Type {EMPTY_LIST} to empty the field.")
        least, most = self._field.bounds.min_items or 0, self._field.bounds.max_items
        if len(items) < least or (most is not None and len(items) > most):
            code, kind, limit = (
                ("too-few-items", "least", least) if len(items) < least else ("too-many-items", "most", most)
            )
            reason = f"The cell has {counted(len(items), 'item')}; the {kind} that is allowed is {limit:,}."
            raise ValueProblem(code, reason, f"Items are separated by {self._separator!r}, or by line breaks.")
        return f"[{', '.join(self._texts(items))}]"

    def _texts(self, items: Sequence[Cell]) -> Iterable[str]:
        for number, item in enumerate(items, 1):
            try:
                value = self._convert(item)
            except ValueProblem as refusal:
                code = f"item-{refusal.code}" if refusal.code in _ASKED_OF_COLUMNS else refusal.code
                reason = f"Item {number}: {refusal.reason}" if len(items) > 1 else refusal.reason
                raise ValueProblem(code, reason, refusal.remedy) from None
            if not isinstance(value, (str, int, Decimal, date)):
                raise ValueProblem("empty-item", f"Item {number} of the list is empty.", "Delete it, or type a value.")
            text = wire_text(self._item, value)
            yield json.dumps(text, ensure_ascii=False) if isinstance(value, (str, date)) else text


def _json_items(bare: str) -> list[Cell] | None:
    """Return the items of a JSON array; None if it rather is a text in brackets."""
    try:
        items = json.loads(bare, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        if not _QUOTED_OR_SEVERAL.search(bare):
            return None
        what = "looks like a list in JSON, but is none"
        raise ValueProblem.of(bare, "not-JSON", what, 'Type it like ["a", "b"], or without brackets.') from None
    if any(isinstance(item, (list, dict)) or item is None for item in items):
        what = "is a list of other things than plain values"
        raise ValueProblem.of(bare, "not-plain-items", what, 'Type it like ["a", "b"], or without brackets.')
    return list(items)


def _no_constant(name: str) -> object:
    raise ValueError(name)
