"""Notes about cells: what is sent as it is, but is probably not meant. People are told before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from batch_updater.records import Columns

_CELLS_NAMED = 3


class CellNote(NamedTuple):
    """One cell that is probably not meant as it is written."""

    field: str
    code: str
    """A short name of the kind of note, such as `invisible-character`; what a format hides is part of it."""
    sentence: str
    """What a person should know, with the value; cells of the same field and code are told of together."""


class NoteCollector:
    """Counts notes by field and kind; holds the first few cells of each."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], tuple[str, list[int]]] = {}
        """Field and code -> the sentence of the first cell, and the first few rows."""

    def add(self, row: int, notes: Iterable[CellNote]) -> None:
        """Count the notes of one row."""
        for note in notes:
            key = (note.field, note.code)
            self._count[key] += 1
            _, rows = self._first.setdefault(key, (note.sentence, []))
            if len(rows) < _CELLS_NAMED:
                rows.append(row)

    def sentences(self, columns: Columns) -> Iterator[str]:
        """Yield a sentence for each field and kind, with the addresses of its first cells."""
        for (name, code), (sentence, rows) in self._first.items():
            cells = ", ".join(columns.address(row, columns.of_field[name]) for row in rows)
            more = self._count[name, code] - len(rows)
            yield f"{name} ({cells}{f' and {more:,} more' if more else ''}): {sentence}"
