"""Notes about cells: what is sent as it is, but is probably not meant. People are told before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Noted:
    sentence: str
    """Of the first cell."""
    count: int = 0
    rows: list[int] = field(default_factory=list)
    """The first few."""


class NoteCollector:
    """Counts notes by field and kind; holds the first few cells of each."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], _Noted] = {}

    def add(self, row: int, notes: Iterable[CellNote]) -> None:
        """Count the notes of one row."""
        for note in notes:
            noted = self._noted.setdefault((note.field, note.code), _Noted(note.sentence))
            noted.count += 1
            if len(noted.rows) < _CELLS_NAMED:
                noted.rows.append(row)

    def sentences(self, columns: Columns) -> Iterator[str]:
        """Yield a sentence for each field and kind, with the addresses of its first cells."""
        for (name, _), noted in self._noted.items():
            cells = ", ".join(columns.address(row, columns.of_field[name]) for row in noted.rows)
            more = noted.count - len(noted.rows)
            yield f"{name} ({cells}{f' and {more:,} more' if more else ''}): {noted.sentence}"
