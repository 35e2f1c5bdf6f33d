"""What every file format looks like to the rest of the loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batch_updater.model import Cell


class SheetRow(NamedTuple):
    """One row as it stands in a sheet."""

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


class Book(Protocol):
    """A file whose format is known. Its methods may raise `UnreadableError` or what the format's library raises."""

    @property
    def sheets(self) -> Sequence[SheetEntry]:
        """The sheets in their order; charts and macro sheets are left out."""

    @property
    def mark(self) -> str | None:
        """Value of the document property `model.MARK_PROPERTY`; None if the file is not one of ours."""

    @property
    def rows_have_width(self) -> bool:
        """Whether a row itself says how many cells it has, so that one too short or too long is a fault."""

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of the sheet at that position of `sheets`, in ascending order, reading as it goes."""


class UnreadableError(Exception):
    """The file cannot be read. `sentence` names the fault but not the file, `remedy` says what to do."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy
