"""A cell of a column without a type -> the value that the cell has: text, number, truth value, date or date-time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from batch_updater.endpoint.description import Field
from batch_updater.endpoint.exact_json import from_json
from batch_updater.loader.date_times import DateTimeReader
from batch_updater.loader.findings import CellNote
from batch_updater.loader.plain_cells import date_of, decimal_of, integer_of, text_of
from batch_updater.loader.refusal import shown
from batch_updater.records import Value
from batch_updater.text.lazy_pattern import lazy_pattern

_NUMBER = lazy_pattern(r"-?[0-9]+(?:[.,][0-9]+)?")


class AnyReader:
    """Reads the cells of one column of a free map."""

    def __init__(
        self, field: Field, noted: list[CellNote], read_text: Callable[[str], str], moments: DateTimeReader
    ) -> None:
        """Add notes to `noted`; `read_text` and `moments` read the texts and the points in time."""
        self._field = field
        self._noted = noted
        self._read_text = read_text
        self._moments = moments
        self._has_numbers = False
        """Whether a cell so far is a number, and whether one is a number in a text."""
        self._has_texts = False

    def from_text(self, text: str) -> str:
        """Return a text as it is, be it a number. Raises ValueProblem."""
        value = self._read_text(text)
        if text[0] in "-0123456789" and _NUMBER.fullmatch(text):
            self._has_texts = True
            if self._has_numbers:
                self._note(f"{shown(text, quoted=True)} is sent as a text; other cells of the column are numbers.")
        elif text[0] in "[{" and _is_json(text):
            meant = f"If JSON is meant, set kind: JSON for {self._field.name} under api.fields."
            sentence = f"{shown(text, quoted=True)} is sent as a text. {meant}"
            self._noted.append(CellNote(self._field.name, "json-as-text", sentence))
        return value

    def from_cell(self, cell: object) -> Value:
        """Return the value of a cell that is no text. Raises ValueProblem."""
        if isinstance(cell, bool):
            return cell
        if isinstance(cell, (int, Decimal)):
            self._has_numbers = True
            if self._has_texts:
                self._note(f"{shown(cell)} is sent as a number; other numbers of the column are texts.")
            return integer_of(cell) if isinstance(cell, int) else decimal_of(cell)
        if isinstance(cell, datetime):
            return self._moments.from_cell(cell)
        return date_of(cell) if isinstance(cell, date) else text_of(cell)

    def _note(self, sentence: str) -> None:
        self._noted.append(CellNote(self._field.name, "mixed-types", sentence))


def _is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True
