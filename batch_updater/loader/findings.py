"""What is found out about cells: notes on single ones, and how they are read once the whole file is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from batch_updater.records import Columns

_CELLS_NAMED = 3
RAGGED = "ragged-row"
"""Code of the problem of a row that is longer or shorter than the header row."""


class MarkEvidence(NamedTuple):
    """What shows that numbers of a column may be written with the other decimal mark."""

    sentence: str
    """Without a full stop: `Row 5 has 1.234,50 (amountDue)`."""
    decides: bool
    """Whether every cell of the column that can tell is written so: then the column is read with that mark."""
    is_mixed: bool = False
    """Whether other cells of the column show the other mark."""


class Findings(msgspec.Struct, frozen=True):
    """How cells are read once the whole file is known."""

    marks: Mapping[str, MarkEvidence] = msgspec.field(default_factory=dict)
    """Number fields in which the configured decimal mark does not settle every number."""
    perhaps_thousands: frozenset[str] = frozenset()
    """Number fields in which every number with a decimal mark has three digits behind it, so that it may be none."""
    with_fractions: frozenset[str] = frozenset()
    """Text fields that hold numbers with a fraction, so that 2.0 is meant as it is written."""
    below_from: int | None = None
    """First row below the table; None if there is none."""


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
            cells = ", ".join(filter(None, [columns.cell(row, name) for row in rows]))
            more = self._count[name, code] - len(rows)
            yield f"{columns.header_of(name)} ({cells}{f' and {more:,} more' if more else ''}): {sentence}"
