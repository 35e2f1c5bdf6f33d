"""What every file format looks like to the rest of the loader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from batch_updater.records import Cell, column_letters


class SheetRow(NamedTuple):
    """One row as the sheet holds it."""

    number: int
    """As Excel shows it, from 1."""
    cells: list[Cell]
    """From column A on, as many as the file has; text of no characters is None."""
    hidden: bool


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet that can be read."""

    name: str | None
    """None where the format has no sheets, as CSV."""
    hidden: bool
    is_blank: bool = False
    """Whether it is known to hold nothing, without reading its rows."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of cells, its borders included."""

    first_row: int
    """As Excel shows it, from 1."""
    last_row: int
    first_column: int
    """0-based, as the others."""
    last_column: int

    @property
    def address(self) -> str:
        """As Excel shows it: `B2:C4`."""
        return f"{column_letters(self.first_column)}{self.first_row}:{column_letters(self.last_column)}{self.last_row}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a sheet says beside its rows."""

    merged: tuple[Area, ...] = ()
    """Areas that are shown as one cell; only the cell at the top left of each has a value."""
    hidden_columns: tuple[range, ...] = ()
    """Positions of the columns that are not shown, 0-based."""


class Book(Protocol):
    """A file whose format is known. Its methods may raise `UnreadableError` or what the format's library raises."""

    @property
    def sheets(self) -> Sequence[SheetEntry]:
        """The sheets in their order; charts and macro sheets are left out."""

    @property
    def mark(self) -> str | None:
        """Value of the document property `model.MARK_PROPERTY`; None if the file is not one of ours."""

    @property
    def delimiter(self) -> str | None:
        """The character between the cells of a row, which thus says itself how many it has; None in a grid of cells."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about the file that a person should know: what is in it and not used."""

    def layout(self, sheet: int) -> Layout:
        """Return what the sheet at that position of `sheets` says beside its rows."""

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of the sheet at that position of `sheets`, in ascending order, reading as it goes."""

    def close(self) -> None:
        """Let go of the file: Windows neither moves nor removes one that is held open."""


def name_of_delimiter(delimiter: str) -> str:
    """Return what a character between cells is called."""
    return DELIMITERS.get(delimiter) or repr(delimiter)


DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""The most that a sheet has (Excel's limits), whatever the format could say."""
MOST_CHARACTERS = 131_072
"""Of one cell. Excel holds 32,767; what is four times that is no cell of a table of changes."""


SHORTEN = "Save what is to be sent, and only that, as a workbook of its own."
"""What to do about a cell or a workbook that is larger than any table of changes."""
SAVE_AGAIN = "Open it in a spreadsheet program, look whether anything is missing, and save it again as .xlsx."
"""What to do about a file that contradicts itself."""


def column_position(letters: str) -> int:
    """Return the 0-based position of a column from its letters A to Z: A is 0, AA is 26."""
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


GAP_BYTES = 4
"""What each blank cell counts that is not in the file but has one to its right that is."""
CALCULATED_BY_HAND = "It is calculated by hand only: results of formulas in it may be out of date."
"""The note about a workbook whose formulas are not calculated when it is saved."""
MOST_AREAS = 200_000
"""Merged areas and groups of columns of a sheet: what has more is no table."""


class UnreadableError(Exception):
    """The file cannot be read. `sentence` names the fault but not the file, `remedy` says what to do."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy


def too_long(what: str) -> UnreadableError:
    """Return the refusal of a text of more than `MOST_CHARACTERS`; `what` is the text, as in "a text in cell A1"."""
    return UnreadableError(f"has {what} of more than {MOST_CHARACTERS:,} characters", SHORTEN)


def too_many_areas() -> UnreadableError:
    """Return the refusal of a sheet with more than `MOST_AREAS`."""
    return UnreadableError(
        f"has more than {MOST_AREAS:,} merged areas in one sheet",
        "Open it in a spreadsheet program, unmerge all cells and save it again.",
    )


def is_blank_row(cells: Sequence[Cell]) -> bool:
    """Whether no cell of a row holds anything but blanks."""
    for cell in cells:  # noqa: SIM110  (runs for every row; a loop stops at the first cell without a generator)
        if cell is not None and not (isinstance(cell, str) and not cell.strip()):
            return False
    return True
