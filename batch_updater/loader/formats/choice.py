"""Which sheet of a file is read, and which of its columns are the input's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.expected_values import UNDO_MARK
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, Layout, SheetRow, is_blank_row
from batch_updater.records import TEMPLATE_SHEET, TO_FIX, TO_FIX_COLUMNS
from batch_updater.text.characters import composed
from batch_updater.text.spelling import nearest

_OUR_SHEETS = {
    "results": TO_FIX, "check": TO_FIX, "template": TEMPLATE_SHEET,
    UNDO_MARK: TEMPLATE_SHEET, "undo-results": TO_FIX, "undo-check": TO_FIX,
}  # fmt: skip
"""Value of our document property -> the sheet that is read."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that was chosen."""

    source: Book
    index: int
    ours: bool
    """Whether this program wrote it: then `header_row` of the configuration is not about it."""
    marked: bool
    """Whether the workbook is one of ours, so that the marks of a ragged row have their meaning."""
    others: tuple[str, ...] = ()
    """The other sheets that hold anything, where this one was chosen for its headers."""
    visible_only: bool = False
    """Whether rows that it does not show are left out."""

    @property
    def name(self) -> str | None:
        """The sheet's name; None if the format has no sheets."""
        return self.source.sheets[self.index].name

    def layout(self) -> Layout:
        """Return what it says beside its rows. Raises InputError."""
        return self.source.layout(self.index)

    def rows(self) -> Iterator[SheetRow]:
        """Yield its rows. Raises InputError."""
        return self.source.rows(self.index)

    @property
    def notes(self) -> list[str]:
        """What a person should know about the sheet as such."""
        if self.others:
            return [f'The sheet "{self.name}" is read: its headers fit, unlike those of {_listed(self.others)}.']
        if self.ours and self.source.mark in {"check", "undo-check"}:
            note = (
                f'This is the workbook of a check: its sheet "{TO_FIX}" holds the rows with problems alone. The good '
                "rows are in the file that was checked."
            )
            return [note]
        return []

    def own_columns(self, headers: Sequence[str]) -> int:
        """Return how many columns at the left are ours and not the input's, given the texts of the header row."""
        width = len(TO_FIX_COLUMNS)
        return width if self.ours and tuple(headers[:width]) == TO_FIX_COLUMNS else 0


class Fit(NamedTuple):
    """How well the headers of a sheet fit."""

    row: int
    """The row that fits best."""
    first_row: int
    """The row that is read as the header row unless another is configured."""
    fields: int
    """How many fields the row that fits best names."""
    is_whole: bool
    """Whether it is the row that is read, and nothing is wrong with it."""
    headers: str
    """What the row that is read holds, in words."""

    @property
    def is_likely(self) -> bool:
        """Whether it is worth a person's look, although something may be wrong with it."""
        return self.fields >= _FIELDS_OF_A_GUESS or (self.fields > 0 and self.row != self.first_row)


def choose_sheet(source: Book, settings: InputSettings, fit_of: Callable[[Sheet], Fit | None], needed: str) -> Sheet:
    """Return the sheet that is configured, else ours, else the only visible one that holds anything.

    Where several hold something, it is the only one whose headers fit: `fit_of` tells how well, or None of a sheet
    without headers; `needed` is a sentence about the columns that one needs. Raises InputError if there is no such
    sheet, or more than one, or if only a hidden one fits.
    """
    names = [entry.name for entry in source.sheets]
    marked = source.mark is not None
    ours = _OUR_SHEETS.get(source.mark or "")
    if settings.sheet is not None and names != [None]:
        index = _named(source, settings.sheet)
        if index is not None or ours not in names:
            index = _required(source, settings.sheet, index)
            return Sheet(source, index, ours=names[index] == ours, marked=marked)
    if ours is not None and ours in names:
        return Sheet(source, names.index(ours), ours=True, marked=True)
    sheets = [Sheet(source, index, ours=False, marked=marked) for index in _filled(source)]
    hidden = [index for index, entry in enumerate(source.sheets) if entry.hidden]
    if len(sheets) == 1 and not hidden:
        return sheets[0]
    fits = {sheet.index: fit_of(sheet) for sheet in sheets}
    fitting = [sheet for sheet in sheets if (fit := fits[sheet.index]) and fit.is_whole]
    if len(fitting) == 1:
        (chosen,) = fitting
        return replace(chosen, others=tuple(sheet.name or "" for sheet in sheets if sheet is not chosen))
    found = [fit for fit in fits.values() if fit]
    if not fitting and not any(fit.is_likely for fit in found):
        candidates = [Sheet(source, index, ours=False, marked=marked) for index in hidden[:_SHEETS_LISTED]]
        fitting = [sheet for sheet in candidates if (fit := fit_of(sheet)) and fit.is_whole]
        if fitting or not sheets:
            raise _only_hidden(source, fits, fitting)
    if len(sheets) == 1:
        return sheets[0]
    if found and not fitting and not any(fit.is_likely for fit in found):
        raise InputError(
            f"{source.name} has no sheet whose headers fit: {_beginnings(source, fits)}. {needed}",
            remedy="Put the names of the fields above the values of one sheet, or name its headers in input.columns.",
            place=Location(file=source.name),
        )
    raise _several(source, fitting or sheets, fits)


def _named(source: Book, wanted: str) -> int | None:
    """Return the sheet of a name: written so, else without regard to case and blanks at the ends; None if none is."""
    names = [entry.name or "" for entry in source.sheets]
    if wanted in names:
        return names.index(wanted)
    same = [index for index, name in enumerate(names) if _folded(name) == _folded(wanted)]
    if len(same) > 1:
        raise InputError(
            f"{source.name} has more than one sheet {wanted!r}: {_listed([names[index] for index in same])}.",
            remedy="Name one of them as it is written.",
            place=Location(file=source.name, sheet=wanted),
        )
    return same[0] if same else None


def _folded(name: str) -> str:
    return composed(name).strip().casefold()


def _required(source: Book, wanted: str, index: int | None) -> int:
    if index is not None:
        return index
    names = [entry.name or "" for entry in source.sheets]
    close = nearest(wanted, names)
    raise InputError(
        f"{source.name} has no sheet {wanted!r}.",
        remedy=f"{f'Did you mean {close!r}? ' if close else ''}It has: {_listed(names)}.",
        place=Location(file=source.name, sheet=wanted),
    )


def _filled(source: Book) -> list[int]:
    """Return the visible sheets that hold anything, or the only visible one where none does; a few at most.

    Of thousands of sheets each would have to be read.
    """
    if len(source.sheets) == 1 and not source.sheets[0].hidden:
        return [0]
    visible = [index for index, entry in enumerate(source.sheets) if not entry.hidden]
    filled = list(islice((index for index in visible if _holds_anything(source, index)), _SHEETS_LISTED + 1))
    hidden = (index for index, entry in enumerate(source.sheets) if entry.hidden)
    if not filled and len(visible) == 1 and not any(_holds_anything(source, index) for index in hidden):
        return visible
    return filled


def _only_hidden(source: Book, visible: Mapping[int, Fit | None], fitting: Sequence[Sheet]) -> InputError:
    """Return the error of a file whose visible sheets hold nothing, or nothing that fits; `fitting` are hidden ones."""
    hidden = [entry.name or "" for entry in source.sheets if entry.hidden]
    names = [sheet.name or "" for sheet in fitting]
    if visible:
        message = f"no visible sheet whose headers fit: {_beginnings(source, visible)}."
    else:
        message = f"no visible sheet that holds anything{f'; hidden are: {_listed(hidden)}' if hidden else ''}."
    if names:
        message += f" The headers of the hidden {'sheet' if len(names) == 1 else 'sheets'} {_listed(names)} fit."
    remedy = f"Say which one to read: {_options((names or hidden or ['Sheet1'])[0])}."
    if visible:
        remedy += " If a visible sheet is meant, correct its headers."
    return InputError(f"{source.name} has {message}", remedy=remedy, place=Location(file=source.name))


def _beginnings(source: Book, fits: Mapping[int, Fit | None]) -> str:
    """Return what each sheet begins with, in words."""
    listed = [
        f"{source.sheets[index].name!r} {f'begins with {fit.headers}' if fit else 'has no header row'}"
        for index, fit in fits.items()
    ]
    return "; ".join(listed[:_SHEETS_LISTED]) + ("; ..." if len(listed) > _SHEETS_LISTED else "")


def _several(source: Book, sheets: Sequence[Sheet], fits: Mapping[int, Fit | None]) -> InputError:
    """Return the error of a file of which more than one sheet may be meant, or none has headers that fit."""
    listed = [
        f"{sheet.name!r} ({_rows_below(source, sheet.index, fits[sheet.index])})" for sheet in sheets[:_SHEETS_LISTED]
    ]
    more = " and more" if len(sheets) > _SHEETS_LISTED else ""
    found = {sheet: fit for sheet in sheets if (fit := fits[sheet.index])}
    if all(fit.is_whole for fit in found.values()) and len(found) > 1:
        message, example, fit = "several sheets whose headers fit", sheets[0], None
    else:
        message = "several sheets with rows"
        example = max(found, key=lambda sheet: found[sheet].fields, default=sheets[0])
        fit = found.get(example)
    text = f"{source.name} has {message}: {', '.join(listed)}{more}."
    row = None
    if fit is not None and fit.fields:
        row = fit.row if fit.row != fit.first_row else None
        text += f" The headers of {example.name!r} (row {fit.row:,}) fit best."
    return InputError(
        text,
        remedy=f"Say which one to read: {_options(example.name or '', row)}.",
        place=Location(file=source.name, sheet=example.name if fit is not None and fit.fields else None),
    )


def _options(sheet: str, header_row: int | None = None) -> str:
    if header_row is None:
        return f'--sheet "{sheet}", or input.sheet in the configuration'
    return f'--sheet "{sheet}" --header-row {header_row}, or input.sheet and input.header_row in the configuration'


_SHEETS_LISTED = 10
_FIELDS_OF_A_GUESS = 2
"""Headers that name fewer fields, and do not fit, may be those of any table."""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:_SHEETS_LISTED]) + (" ..." if len(names) > _SHEETS_LISTED else "")


def _holds_anything(source: Book, index: int) -> bool:
    if source.sheets[index].is_blank:
        return False
    return any(not is_blank_row(row.cells) for row in source.rows(index))


def _rows_below(source: Book, index: int, fit: Fit | None) -> str:
    """Return how many rows that hold anything are below the header row, which is the first one where none fits."""
    count = sum(not is_blank_row(row.cells) for row in source.rows(index) if fit is None or row.number > fit.row)
    count -= fit is None
    return "1 row" if count == 1 else f"{count:,} rows"
