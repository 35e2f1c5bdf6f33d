"""What every file format looks like to the rest of the loader, which hears of its faults as `InputError`s."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from xml.parsers import expat

import msgspec

from batch_updater.errors import InputError, Location
from batch_updater.records import ANNOTATED_MARK, Cell, column_letters

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LAST_ROW = 1_048_576
LAST_COLUMN = 16_384
"""The most that a sheet has (Excel's limits), whatever the format could say."""
MOST_CHARACTERS = 131_072
"""Of one cell. Excel holds 32,767; what is four times that is no cell of a table of changes."""

SHORTEN = "Save what is to be sent, and only that, as a workbook of its own."
"""What to do about a cell or a workbook that is larger than any table of changes."""
SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
ASK_AGAIN = "Ask for the file again, or open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."
SAVE_AGAIN = "Open it in a spreadsheet program, look whether anything is missing, and save it again as .xlsx."
"""What to do about a file that contradicts itself."""
_DAMAGES = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, expat.ExpatError, EOFError, NotImplementedError, RuntimeError,
    ValueError, LookupError, ArithmeticError,
)  # fmt: skip
"""What the libraries of the formats raise over a damaged file; each means the same to a person."""
GAP_BYTES = 4
"""What each blank cell counts that is not in the file but has one to its right that is."""
MOST_AREAS = 200_000
"""Merged areas and groups of columns of a sheet: what has more is no table."""


class UnreadableFileError(InputError):
    """Nothing of the file can be read, or not all of it: it is no spreadsheet, damaged or protected."""


class SheetRow(NamedTuple):
    """One row as the sheet holds it."""

    number: int
    """As Excel shows it, from 1."""
    cells: list[Cell]
    """From column A on, as many as the file has; text of no characters is None."""
    hidden: bool


class SheetEntry(msgspec.Struct, frozen=True):
    """A sheet that can be read."""

    name: str | None
    """None where the format has no sheets, as CSV."""
    hidden: bool
    is_blank: bool = False
    """Whether it is known to hold nothing, without reading its rows."""


class Area(msgspec.Struct, frozen=True):
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


class SheetProperties(msgspec.Struct, frozen=True):
    """What a sheet says beside its rows."""

    merged: tuple[Area, ...] = ()
    """Areas that are shown as one cell; only the cell at the top left of each has a value."""
    hidden_columns: tuple[range, ...] = ()
    """Positions of the columns that are not shown, 0-based."""


class UnreadableError(Exception):
    """The file cannot be read. `sentence` names the fault but not the file, `remedy` says what to do."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy


@contextmanager
def faults_named(name: str, sheet: str | None = None) -> Iterator[None]:
    """Make an `InputError` that names the file of what its reader or the library of its format raises."""
    place = Location(file=name, sheet=sheet)
    error_class = UnreadableFileError if sheet is None else InputError  # another sheet may be read
    try:
        yield
    except UnreadableError as fault:
        raise error_class(f"{name} {fault.sentence}.", remedy=fault.remedy, place=place) from fault
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror or error}."
        raise error_class(message, remedy="Check that the file is there and not locked.", place=place) from error
    except _DAMAGES as error:
        if isinstance(error, (zipfile.BadZipFile, EOFError, zlib.error)):
            what = "it is cut off or was changed on its way"
        elif isinstance(error, expat.ExpatError):
            what = "the XML inside it is broken"
        else:
            what = "it does not hold what a file of its kind holds"
        raise error_class(f"{name} is damaged: {what}.", remedy=ASK_AGAIN, place=place) from error


class Book:
    """A file whose format is known: each has a reader, which may raise `UnreadableError` or what its library raises."""

    name = ""
    """What messages call the file."""
    sheets: Sequence[SheetEntry] = ()
    """The sheets in their order; charts and macro sheets are left out."""
    marks: str | None = None
    """Value of the document property `MARK_PROPERTY`; None if the file does not have it."""
    delimiter: str | None = None
    """The character between the cells of a row, which thus says itself how many it has; None in a grid of cells."""
    notes: tuple[str, ...] = ()
    """Sentences about the file that a person should know: what is in it and not used."""

    @property
    def mark(self) -> str | None:
        """What the property says, if the file is one of ours."""
        return (self.marks or "").removesuffix(ANNOTATED_MARK).removesuffix("-") or None

    @property
    def is_annotated(self) -> bool:
        """Whether it is an annotated copy, of a workbook of ours or of any other."""
        return (self.marks or "").endswith(ANNOTATED_MARK)

    def note(self, *, has_macros: bool, links_to: str = "", is_manual: bool) -> None:
        """Note what is in a workbook and not used. `is_manual`: not calculated by itself, nor when it is saved."""
        notes = {
            "It has macros, which are not run.": has_macros,
            f"It links to other {links_to}; the values saved in it are read.": links_to,
            "It is calculated by hand only: results of formulas in it may be out of date.": is_manual,
        }
        self.notes = tuple(note for note, is_so in notes.items() if is_so)

    def properties(self, sheet: int) -> SheetProperties:
        """Return what the sheet at that position of `sheets` says beside its rows. Raises InputError."""
        with faults_named(self.name, self.sheets[sheet].name):
            return self.read_properties(sheet)

    def rows(self, sheet: int) -> Generator[SheetRow, None, None]:
        """Yield the rows of the sheet at that position, in ascending order, reading as it goes. Raises InputError."""
        with faults_named(self.name, self.sheets[sheet].name):
            yield from self.read_rows(sheet)

    def read_properties(self, _sheet: int) -> SheetProperties:
        """Do what `properties` does, as the format needs it."""
        return SheetProperties()

    def read_rows(self, sheet: int) -> Iterator[SheetRow]:
        """Do what `rows` does, as the format needs it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file, if it is held open: Windows neither moves nor removes it then."""


def name_of_delimiter(delimiter: str) -> str:
    """Return what a character between cells is called."""
    return DELIMITERS.get(delimiter) or repr(delimiter)


def column_position(letters: str) -> int:
    """Return the 0-based position of a column from its letters A to Z: A is 0, AA is 26."""
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


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
