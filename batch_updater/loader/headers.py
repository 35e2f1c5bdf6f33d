"""Which row of a sheet is the header row."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from batch_updater.errors import InputError, Place
from batch_updater.loader.columns import HeaderRow
from batch_updater.loader.refusal import shown
from batch_updater.loader.sheets.book import is_blank_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.loader.sheets.book import SheetRow
    from batch_updater.loader.sheets.choice import Sheet
    from batch_updater.model import Cell

_ROWS_LOOKED_AT, _WIDEST_LOOKED_AT = 50, 500
"""Down to which row, and up to how many cells of one, a header row is looked for to say where it is."""


def header_row(sheet: Sheet, number: int | None) -> HeaderRow:
    """Return the configured row, or the first that is not blank. Raises InputError."""
    for row in sheet.rows():
        if number is not None and row.number > number:
            break
        if not is_blank_row(row.cells) and (number is None or row.number == number):
            return _as_header(sheet, row)
    where = "no header row" if number is None else f"nothing in row {number:,}, where input.header_row says it is"
    raise InputError(
        f"{sheet.source.name} has {where}.",
        remedy="Put the names of the fields into the first row." if number is None else "Correct input.header_row.",
        place=Place(sheet.source.name, sheet.name),
    )


def refuse_titles_above(sheet: Sheet, first: HeaderRow, fit: Callable[[HeaderRow], object], fault: InputError) -> None:
    """Say which row is the header row, if the first one is none and a later one clearly is.

    `fit` raises InputError for a row that does not fit, as it did for `first` with `fault`. Raises InputError if there
    is such a later row.
    """
    below = (row for row in sheet.rows() if row.number > first.number and not is_blank_row(row.cells))
    for row in islice(below, _ROWS_LOOKED_AT):
        if len(row.cells) > _WIDEST_LOOKED_AT:
            continue
        try:
            fit(_as_header(sheet, row))
        except InputError:
            continue
        raise InputError(
            f"Row {first.number} of {sheet.source.name} is not the header row, but row {row.number} is: "
            f"row {first.number} begins with {shown(next(filter(str.strip, first.texts)), quoted=True)}.",
            remedy=f"Set input.header_row to {row.number}, or delete the rows above it.",
            place=Place(sheet.source.name, sheet.name, f"A{first.number}"),
        ) from fault


def _as_header(sheet: Sheet, row: SheetRow) -> HeaderRow:
    texts = ["" if cell is None else _text(cell) for cell in row.cells]
    width = len(texts)
    while not texts[-1].strip():
        texts.pop()
    own = sheet.own_columns(texts)
    return HeaderRow(sheet.source.name, sheet.name, row.number, own, tuple(texts[own:]), width - own)


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else shown(cell)
