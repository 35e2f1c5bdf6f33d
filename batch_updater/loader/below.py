"""Rows that are no records: remarks below the table, and totals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum

from batch_updater.endpoint.description import Endpoint, Field, Kind
from batch_updater.loader.findings import CellNote
from batch_updater.loader.header_words import undecorated
from batch_updater.loader.refusal import shown
from batch_updater.records import Cell, CellError, Columns, FormattedNumber, Problem, Value
from batch_updater.text.lazy_pattern import lazy_pattern

_MOST_CELLS = 4
"""Of a remark; and never more than half as many as there are headers."""
_SHORTEST_WORD = 3
_TOTAL = lazy_pattern(
    r"[\s\u03a3\u2211*]*(?:(?:grand|sub|overall|final|running)[ -]?total|"
    r"total(?:e|es|t)?(?: (?:g\u00e9n\u00e9rale?|generale?|geral))?|sums?|summe|gesamt|"
    r"gesamt(?:summe|betrag|ergebnis)|zwischensumme|endsumme|insgesamt|"
    r"sous-total|totaux|subtotale|totais|somme|suma|summa|totaal|subtotaal|celkem|razem|toplam|yhteens\u00e4|"
    r"i alt|\u00f6sszesen|ukupno|\u0438\u0442\u043e\u0433\u043e|\u0432\u0441\u0435\u0433\u043e|"
    r"\u0440\u0430\u0437\u043e\u043c|\u5408\u8ba1|\u5408\u8a08|\u5c0f\u8ba1|\u5c0f\u8a08|\u603b\u8ba1|\u7dcf\u8a08|"
    r"\ud569\uacc4|\ucd1d\uacc4)s?\b",
    re.IGNORECASE,
)
"""How totals are called, at the beginning of a text."""
_FIGURE = lazy_pattern(
    r"[\s*]*(?:averages?|avg|mean|median|min(?:imum)?|max(?:imum)?|count|durchschnitt|mittelwert|anzahl|moyenne|nombre|"
    r"promedio|recuento|media|conteggio|gemiddelde|aantal|\u5e73\u5747)\b",
    re.IGNORECASE,
)
"""How other figures about a column are called, which in its own column may be a name."""
_AFTER_TOTAL = lazy_pattern(r"[\s:=*_.-]*(?:\([0-9]+\))?[\s:=*_.-]*|\s(?:of|de|von|der|di)\s.+", re.IGNORECASE)
"""What may follow such a word in the place of a record's name."""
_DOWN = r"\.?\$?([A-Z]{1,3})\$?[0-9]+:\.?\$?\1\$?[0-9]+"
_SUM = lazy_pattern(rf"=\s*\+?(?:SUM|SUBTOTAL|AGGREGATE)\((?:.*\W)?(?:{_DOWN}|\w*\[[^@\[\]]+\])", re.IGNORECASE)
"""The sum of cells one below the other, or of a column of a table: =SUM(F2:F4), =SUBTOTAL(109,Table1[Amount])."""
_FORMULAS = frozenset({"formula-without-value", "stale-formula"})
_ONLY_SIGNS = lazy_pattern(r"[\s\u03a3\u2211*:=_.-]*")
_NUMBER = lazy_pattern(r"[^\W\d_]{0,3}[\W\d_]*[^\W\d_]{0,3}")
"""Digits and marks, with or without a currency, of an amount that cannot be read perhaps."""
_LONGEST_NUMBER = 50
_RULE = lazy_pattern(r"[\s=_+|-]{2,}")
"""A line that is drawn below headers, or below a table."""
_MOMENT = lazy_pattern(r"\W*[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{1,4}[ ,T]+[0-9]{1,2}:[0-9]{2}.*", re.DOTALL)
"""When a report was printed."""
_ADDRESS = lazy_pattern(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_REMARK = lazy_pattern(
    r"\W*(?:generated|printed|created|exported|extracted|downloaded|prepared|produced|copyright|\(c\)|\u00a9|"
    r"confidential|internal use|source|page \d|report\b|filter|end of|eof\b|as of|notes?\b|legend|run (?:date|by|on)|"
    r"last (?:updated|refresh)|records?:|rows?:|\(?\d+ (?:rows?|records?)|erstellt|gedruckt|exportiert|vertraulich|"
    r"quelle|seite \d|stand\b|hinweis|legende|confidentiel|imprim|g\u00e9n\u00e9r)",
    re.IGNORECASE,
)
"""How the lines begin that programs and people write below a table."""


class Below(Enum):
    """What a row that cannot be sent is, if it is no record."""

    REMARK = 1
    PERHAPS_REMARK = 2
    """A remark if a blank row or another remark is above it."""
    TOTALS = 3
    PERHAPS_TOTALS = 4
    """Totals if its numbers are the sums of their columns."""
    SUMS = 5
    """Totals if no record follows: its formulas add up what is above it."""
    RULE = 6
    """A line of dashes, wherever it is."""

    @property
    def is_certain(self) -> bool:
        """Whether it is no record even where records follow."""
        return self in {Below.TOTALS, Below.RULE}


class BelowTable:
    """Tells which rows are no records, for one endpoint and one header row."""

    def __init__(self, endpoint: Endpoint, columns: Columns) -> None:
        mapped = [field for field in endpoint.fields if field.name in columns.of_field]
        others = [field for field in mapped if not field.selects_record]
        self._selecting = [field.name for field in mapped if field.selects_record]
        self._listed = {value for field in mapped if field.selects_record for value in field.enum}
        self.names_are_texts = bool(self._selecting) and all(
            field.kind is Kind.TEXT and not field.enum for field in mapped if field.selects_record
        )
        """Whether any text may name a record, as that of totals or of a drawn line."""
        self._positions = columns.of_field
        self._first_columns = {0, *(columns.of_field[name] for name in self._selecting)}
        self._numbers = {field.name for field in others if field.kind in {Kind.DECIMAL, Kind.INTEGER}}
        self._telling = {field.name for field in others if not _takes_any_text(field)} - self._numbers
        """Fields whose values only records have."""
        self._amounts = {self._positions[name] for name in self._numbers}
        self._most = max(1, min(_MOST_CELLS, len(columns.headers) // 2))

    def kind_by_name(self, values: Mapping[str, Value]) -> Below | None:
        """Return what a row without problems is by the texts that name its record; None if it may be a record."""
        for name in self._selecting:
            text = values.get(name)
            if isinstance(text, str):
                if _RULE.fullmatch(text):
                    return Below.RULE
                if _is_called(text, _TOTAL):
                    return Below.TOTALS
        return None

    def notes_by_name(self, values: Mapping[str, Value]) -> tuple[CellNote, ...]:
        """Return what a person should know of a row whose record has the name of a figure, which it may really have."""
        return tuple(
            CellNote(
                name, "figure-row", f"{shown(text, quoted=True)} is sent as a record: is the row one, or a figure?"
            )
            for name in self._selecting
            if isinstance(text := values.get(name), str) and _is_called(text, _FIGURE)
        )

    def kind_of(self, cells: Sequence[Cell], values: Mapping[str, Value]) -> Below | None:
        """Return what a row with problems is; None if it may be a record.

        `values` are those of the cells without a problem. A row that names a record, or that has a value which only a
        record has, is always taken for one.
        """
        names = [values[name] for name in self._selecting if name in values]
        # Prose is no name, though a text may hold it.
        is_named = any(not isinstance(name, str) or name in self._listed or " " not in name for name in names)
        if not self._selecting or is_named or not self._telling.isdisjoint(values):
            return None
        filled = [(position, cell) for position, cell in enumerate(cells) if not _is_blank(cell)]
        numbers = {self._positions[name] for name in self._numbers & values.keys()}
        numbers |= {position for position, cell in filled if self._is_figure(position, cell)}
        rest = [(position, cell) for position, cell in filled if position not in numbers]
        if any(not isinstance(cell, str) for _, cell in rest):
            return None
        if filled and all(isinstance(cell, str) and _RULE.fullmatch(cell) for _, cell in filled):
            return Below.RULE
        texts = [(position, str(cell).strip()) for position, cell in rest]
        if not numbers:
            return self._remark(texts)
        for position, text in texts:
            bare = undecorated(text) or text
            found = _TOTAL.match(bare) or (position in self._first_columns and _FIGURE.match(bare))
            if found and _ONLY_SIGNS.fullmatch(bare, found.end()):
                return Below.TOTALS
        if not all(_TOTAL.match(text) or _ONLY_SIGNS.fullmatch(text) for _, text in texts):
            return None
        has_sums = any(_SUM.match(_formula(cell)) for _, cell in filled)
        return Below.SUMS if has_sums else Below.PERHAPS_TOTALS

    def _is_figure(self, position: int, cell: Cell) -> bool:
        """Whether a cell holds a number or formula that totals may have there, whatever the field takes."""
        if _formula(cell):
            return True
        if isinstance(cell, str):
            is_short = position in self._amounts and len(cell) <= _LONGEST_NUMBER
            return is_short and any(map(str.isdigit, cell)) and _NUMBER.fullmatch(cell.strip()) is not None
        is_number = isinstance(cell, (int, Decimal, FormattedNumber)) and not isinstance(cell, bool)
        return is_number and (position in self._amounts or position not in self._positions.values())

    def _remark(self, texts: Sequence[tuple[int, str]]) -> Below | None:
        if not texts or len(texts) > self._most:
            return None
        position, text = texts[0]
        if _MOMENT.fullmatch(text) or _ADDRESS.fullmatch(text):
            return Below.REMARK if len(texts) == 1 else None
        if not any(character.isalpha() for character in text):
            return Below.REMARK if len(text) > 1 and _ONLY_SIGNS.fullmatch(text) else None
        if " " not in text and any(character.isdigit() for character in text):
            return None  # rather a number or code that was mistyped
        is_first, is_prose = position in self._first_columns, " " in text or len(text) >= _SHORTEST_WORD
        if _REMARK.match(text) or (is_first and (text.endswith(":") or (len(texts) == 1 and is_prose))):
            return Below.REMARK
        return Below.PERHAPS_REMARK if len(texts) == 1 or (is_first and " " in text) else None


def _takes_any_text(field: Field) -> bool:
    kind = field.item_kind if field.kind is Kind.LIST else field.kind
    return kind in {Kind.TEXT, Kind.ANY} and not field.enum


def _is_called(name: str, words: re.Pattern[str]) -> bool:
    """Whether the name of a record is one of these words, and nothing of its own."""
    found = words.match(name)
    return found is not None and _AFTER_TOTAL.fullmatch(name, found.end()) is not None


def _is_blank(cell: Cell) -> bool:
    if isinstance(cell, CellError):
        return cell.code == "merged-cell"  # titles lie across the table: the cells beside the first one hold nothing
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _formula(cell: Cell) -> str:
    """Return the formula that a cell shows instead of a value; '' if it shows none."""
    if isinstance(cell, CellError):
        return cell.text if cell.code in _FORMULAS else ""
    return cell if isinstance(cell, str) and _SUM.match(cell) else ""


REMARK = "remark-below-table"
NO_RECORD = frozenset({"totals-row", "rule", REMARK})
"""Codes of the problems of rows that are no records."""


def below_problem(row: int, kind: Below, cells: Sequence[Cell]) -> Problem:
    """Return the one problem of a row that is no record."""
    if kind in {Below.TOTALS, Below.PERHAPS_TOTALS, Below.SUMS}:
        code, reason = "totals-row", "The row holds totals, not a record."
    elif kind is Below.RULE:
        code, reason = "rule", "The row is a line of dashes, not a record."
    else:
        first = next(cell for cell in cells if not _is_blank(cell))
        code, reason = REMARK, f"{shown(first, quoted=True)} is a remark below the table, not a record."
    return Problem(row, None, code, "", reason, "Leave it out: delete the row.")
