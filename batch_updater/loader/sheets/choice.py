"""Which sheet of a file is read, and which of its columns are the input's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from batch_updater.endpoint.expected import UNDO_MARK
from batch_updater.errors import InputError, Place
from batch_updater.loader.sheets.book import is_blank_row
from batch_updater.model import TEMPLATE_SHEET, TO_FIX, TO_FIX_COLUMNS
from batch_updater.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from batch_updater.config import InputSettings
    from batch_updater.loader.sheets.book import Layout, SheetRow
    from batch_updater.loader.sheets.opening import Source

_OUR_SHEETS = {
    "results": TO_FIX, "check": TO_FIX, "template": TEMPLATE_SHEET,
    UNDO_MARK: TEMPLATE_SHEET, "undo-results": TO_FIX, "undo-check": TO_FIX,
}  # fmt: skip
"""Value of our document property -> the sheet that is read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that was chosen."""

    source: Source
    index: int
    ours: bool
    """Whether this program wrote it: then `header_row` of the configuration is not about it."""
    marked: bool
    """Whether the workbook is one of ours, so that the marks of a ragged row have their meaning."""
    visible_only: bool = False
    """Whether rows that it does not show are left out."""

    @property
    def name(self) -> str | None:
        """The sheet's name; None if the format has no sheets."""
        return self.source.sheets[self.index].name

    def layout(self) -> Layout:
        """Return what it says beside its rows. Raises InputError."""
        return self.source.layout(self.index)

    def rows(self, only: Container[int] | None = None) -> Iterator[SheetRow]:
        """Yield its rows, or at least those of `only`. Raises InputError."""
        return self.source.rows(self.index, only)

    @property
    def note(self) -> str | None:
        """What a person should know about the sheet as such; None if there is nothing."""
        if not (self.ours and self.source.mark in {"check", "undo-check"}):
            return None
        return (
            f'This is the workbook of a check: its sheet "{TO_FIX}" holds the rows with problems alone. The good rows '
            "stand in the file that was checked."
        )

    def own_columns(self, headers: Sequence[str]) -> int:
        """Return how many columns at the left are ours and not the input's, given the texts of the header row."""
        width = len(TO_FIX_COLUMNS)
        return width if self.ours and tuple(headers[:width]) == TO_FIX_COLUMNS else 0


def choose_sheet(source: Source, settings: InputSettings) -> Sheet:
    """Return the sheet that is configured, else ours, else the only visible one that holds anything.

    Raises InputError if there is no such sheet, or more than one.
    """
    names = [entry.name for entry in source.sheets]
    mark = source.mark
    ours = _OUR_SHEETS.get(mark or "")
    if settings.sheet is not None and names != [None] and (settings.sheet in names or ours not in names):
        return Sheet(source, _named(source, settings.sheet), ours=settings.sheet == ours, marked=mark is not None)
    if ours is not None and ours in names:
        return Sheet(source, names.index(ours), ours=True, marked=True)
    return Sheet(source, _only_sheet(source), ours=False, marked=mark is not None)


def _named(source: Source, wanted: str) -> int:
    names = [entry.name or "" for entry in source.sheets]
    if wanted in names:
        return names.index(wanted)
    close = nearest(wanted, names)
    raise InputError(
        f"{source.name} has no sheet {wanted!r}.",
        remedy=f"{f'Did you mean {close!r}? ' if close else ''}It has: {_listed(names)}.",
        place=Place(file=source.name, sheet=wanted),
    )


def _only_sheet(source: Source) -> int:
    if len(source.sheets) == 1 and not source.sheets[0].hidden:
        return 0
    visible = [index for index, entry in enumerate(source.sheets) if not entry.hidden]
    # No more than a message lists: of thousands of sheets each would have to be read.
    filled = list(islice((index for index in visible if _holds_anything(source, index)), _SHEETS_LISTED + 1))
    hidden = [index for index, entry in enumerate(source.sheets) if entry.hidden]
    if len(filled) == 1:
        return filled[0]
    if len(visible) == 1 and not filled and not any(_holds_anything(source, index) for index in hidden):
        return visible[0]
    names = [source.sheets[index].name or "" for index in filled]
    if filled:
        counts = ", ".join(
            f"{name!r} ({_rows_below_the_first(source, index)})"
            for name, index in zip(names[:_SHEETS_LISTED], filled, strict=False)
        )
        more = " and more" if len(filled) > _SHEETS_LISTED else ""
        message = f"{source.name} has several sheets with rows: {counts}{more}."
    else:
        names = [source.sheets[index].name or "" for index in hidden]
        message = f"{source.name} has no visible sheet that holds anything" + (
            f"; hidden are: {_listed(names)}." if names else "."
        )
    example = names[0] if names else "Sheet1"
    raise InputError(
        message,
        remedy=f'Say which one to read: --sheet "{example}", or input.sheet in the configuration.',
        place=Place(file=source.name),
    )


_SHEETS_LISTED = 10


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:_SHEETS_LISTED]) + (" ..." if len(names) > _SHEETS_LISTED else "")


def _holds_anything(source: Source, index: int) -> bool:
    if source.sheets[index].is_blank:
        return False
    return any(not is_blank_row(row.cells) for row in source.rows(index))


def _rows_below_the_first(source: Source, index: int) -> str:
    count = sum(not is_blank_row(row.cells) for row in source.rows(index)) - 1
    return "1 row" if count == 1 else f"{count:,} rows"
