"""Which sheet of a file is read, and which of its columns are the input's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.expected_values import UNDO_MARK
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, SheetEntry, SheetProperties, SheetRow, is_blank_row
from batch_updater.loader.refusal import shown
from batch_updater.messages import counted
from batch_updater.questions import Answers, Choice, OpenQuestionsError, Question, QuestionKind
from batch_updater.records import TEMPLATE_SHEET, TO_FIX, TO_FIX_COLUMNS
from batch_updater.text.characters import folded
from batch_updater.text.spelling import nearest

_OUR_SHEETS = {
    "results": TO_FIX, "check": TO_FIX, "template": TEMPLATE_SHEET,
    UNDO_MARK: TEMPLATE_SHEET, "undo-results": TO_FIX, "undo-check": TO_FIX,
}  # fmt: skip
"""Value of our document property -> the sheet that is read."""


class Sheet(msgspec.Struct, frozen=True):
    """The sheet that was chosen."""

    source: Book
    index: int
    ours: bool = False
    """Whether this program wrote it: then `header_row` of the configuration is not about it."""
    why: str = ""
    """Why it was chosen among several that hold anything, in a sentence."""
    visible_only: bool = False
    """Whether rows that it does not show are left out."""

    @property
    def name(self) -> str | None:
        """The sheet's name; None if the format has no sheets."""
        return self.source.sheets[self.index].name

    @property
    def marked(self) -> bool:
        """Whether the workbook is one of ours, so that the marks of a ragged row have their meaning."""
        return self.source.mark is not None

    def properties(self) -> SheetProperties:
        """Return what it says beside its rows. Raises InputError."""
        return self.source.properties(self.index)

    def rows(self) -> Iterator[SheetRow]:
        """Yield its rows. Raises InputError."""
        return self.source.rows(self.index)

    @property
    def notes(self) -> list[str]:
        """What a person should know about the sheet as such."""
        if self.why:
            return [self.why]
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
    ours = _OUR_SHEETS.get(source.mark or "")
    if settings.sheet is not None and names != [None]:
        index = _named(source, settings.sheet)
        if index is not None:
            return Sheet(source, index, ours=names[index] == ours)
        if ours not in names:
            close = nearest(settings.sheet, map(str, names))
            remedy = f"{f'Did you mean {close!r}? ' if close else ''}It has: {_listed(names)}."
            raise _error(source, f"no sheet {settings.sheet!r}.", remedy, settings.sheet)
    if ours is not None and ours in names:
        return Sheet(source, names.index(ours), ours=True)
    sheets = [Sheet(source, index) for index in _filled(source)]
    hidden = [Sheet(source, index) for index, entry in enumerate(source.sheets) if entry.hidden]
    if len(sheets) == 1 and not hidden:
        return sheets[0]
    fits = {sheet: fit_of(sheet) for sheet in sheets}
    fitting = [sheet for sheet, fit in fits.items() if fit and fit.is_whole]
    if len(fitting) == 1:
        (chosen,) = fitting
        if len(sheets) == 1:
            return chosen
        others = _listed([sheet.name for sheet in sheets if sheet is not chosen])
        return replace(chosen, why=f'The sheet "{chosen.name}" is read: its headers fit, unlike those of {others}.')
    is_likely = bool(fitting) or any(fit and fit.is_likely for fit in fits.values())
    if not is_likely:
        fitting = [sheet for sheet in hidden[:_SHEETS_LISTED] if (fit := fit_of(sheet)) and fit.is_whole]
        if fitting or not sheets:
            raise _only_hidden(source, fits, hidden, fitting)
    if len(sheets) == 1:
        return sheets[0]
    if not is_likely and any(fits.values()):
        remedy = (
            "Put the names of the fields above the values of one sheet, or name its headers in input.columns. Or say "
            "which one to read:"
        )
        choices = tuple(
            Choice(f"{sheet.name!r}, which begins with {fit.headers}", Answers(sheet=sheet.name))
            for sheet, fit in list(fits.items())[:_SHEETS_LISTED]
            if fit
        )
        raise _question(source, f"no sheet whose headers fit: {_beginnings(fits)}. {needed}", choices, remedy)
    counts = {sheet: _rows_below(sheet, fits[sheet]) for sheet in (fitting or sheets)[:_SHEETS_LISTED]}
    with_rows = {sheet: count for sheet, count in counts.items() if count} or counts
    if len(with_rows) == 1 and len(sheets) <= _SHEETS_LISTED:
        (chosen,) = with_rows
        return replace(chosen, why=f'The sheet "{chosen.name}" is read: it alone has rows below its headers.')
    raise _several(source, with_rows, fits, more=len(fitting or sheets) > _SHEETS_LISTED)


def _question(
    source: Book, text: str, choices: tuple[Choice, ...], remedy: str, sheet: str | None = None
) -> OpenQuestionsError:
    sentence = f"{source.name} has {text}"
    question = which_sheet(source, sentence, choices)
    remedies = (remedy, *(f"    {line}" for line in question.lines))
    return OpenQuestionsError(sentence, (question,), remedy=remedies, place=Location(file=source.name, sheet=sheet))


def which_sheet(source: Book, evidence: str, choices: Sequence[Choice]) -> Question:
    """Return the question which sheet is read, with the first rows of each that may be."""
    names = [entry.name for entry in source.sheets]

    def first_rows(sheet: str | None) -> tuple[tuple[str, ...], ...]:
        filled = (row.cells for row in source.rows(names.index(sheet)) if not is_blank_row(row.cells))
        return tuple(tuple(map(shown, cells[:_CELLS_SHOWN])) for cells in islice(filled, _ROWS_SHOWN))

    shown_choices = (replace(choice, first_rows=first_rows(choice.answers.sheet)) for choice in choices)
    return Question(QuestionKind.SHEET, "Which sheet is to be read?", evidence, tuple(shown_choices))


def _error(source: Book, text: str, remedy: str, sheet: str | None = None) -> InputError:
    return InputError(f"{source.name} has {text}", remedy=remedy, place=Location(file=source.name, sheet=sheet))


def is_named(sheet: SheetEntry, wanted: str) -> bool:
    """Whether a sheet has a name, without regard to case and blanks at the ends."""
    return folded(sheet.name or "") == folded(wanted)


def _named(source: Book, wanted: str) -> int | None:
    """Return the sheet of a name: written so, else without regard to case and blanks at the ends; None if none is."""
    names = [entry.name or "" for entry in source.sheets]
    if wanted in names:
        return names.index(wanted)
    same = [index for index, entry in enumerate(source.sheets) if is_named(entry, wanted)]
    if len(same) > 1:
        text = f"more than one sheet {wanted!r}: {_listed([names[index] for index in same])}."
        raise _error(source, text, "Name one of them as it is written.", wanted)
    return same[0] if same else None


def _filled(source: Book) -> list[int]:
    """Return the visible sheets that hold anything, or the only visible one where none does; a few at most.

    Of thousands of sheets each would have to be read.
    """

    def holds_anything(index: int) -> bool:
        is_blank = source.sheets[index].is_blank
        return not is_blank and any(not is_blank_row(row.cells) for row in source.rows(index))

    visible = [index for index, entry in enumerate(source.sheets) if not entry.hidden]
    if visible == [0] and len(source.sheets) == 1:
        return visible
    filled = list(islice(filter(holds_anything, visible), _SHEETS_LISTED + 1))
    hidden = (index for index, entry in enumerate(source.sheets) if entry.hidden)
    return visible if not filled and len(visible) == 1 and not any(map(holds_anything, hidden)) else filled


def _only_hidden(
    source: Book, visible: Mapping[Sheet, Fit | None], hidden: Sequence[Sheet], fitting: Sequence[Sheet]
) -> InputError:
    """Return the error of a file whose visible sheets hold nothing, or nothing that fits; `fitting` are hidden ones."""
    names = [sheet.name for sheet in fitting or hidden]
    if visible:
        text = f"no visible sheet whose headers fit: {_beginnings(visible)}."
    elif hidden:
        text = f"no visible sheet that holds anything; hidden are: {_listed([sheet.name for sheet in hidden])}."
    else:
        text = "no visible sheet that holds anything."
    if fitting:
        text += f" The headers of the hidden {'sheet' if len(names) == 1 else 'sheets'} {_listed(names)} fit."
    remedy = f"Say which one to read: {_options((*names, 'Sheet1')[0])}."
    if visible:
        remedy += " If a visible sheet is meant, correct its headers."
    if not fitting:
        return _error(source, text, remedy)
    choices = tuple(Choice(f"the hidden sheet {name!r}", Answers(sheet=name)) for name in names)
    return _question(source, text, choices, remedy)


def _beginnings(fits: Mapping[Sheet, Fit | None]) -> str:
    """Return what each sheet begins with, in words."""
    listed = [
        f"{sheet.name!r} {f'begins with {fit.headers}' if fit else 'has no header row'}" for sheet, fit in fits.items()
    ]
    return "; ".join(listed[:_SHEETS_LISTED]) + ("; ..." if len(listed) > _SHEETS_LISTED else "")


def _rows_below(sheet: Sheet, fit: Fit | None) -> int:
    """Return how many rows are below the headers, which are the first row that holds anything where none fits."""
    count = sum(not is_blank_row(row.cells) for row in sheet.rows() if fit is None or row.number > fit.row)
    return count - (fit is None)


def _several(
    source: Book, counts: Mapping[Sheet, int], fits: Mapping[Sheet, Fit | None], *, more: bool
) -> OpenQuestionsError:
    """Return the error of a file of which more than one sheet may be meant, or none has headers that fit.

    `counts`: the sheets that may be, with how many rows each has; `more`: whether they are not all.
    """
    sheets, listed = list(counts), [f"{sheet.name!r} ({counted(count, 'row')})" for sheet, count in counts.items()]
    found = {sheet: fit for sheet in sheets if (fit := fits[sheet])}
    if all(fit.is_whole for fit in found.values()) and len(found) > 1:
        text, example, best = "several sheets whose headers fit", sheets[0], None
    else:
        text = "several sheets with rows"
        example = max(found, key=lambda sheet: found[sheet].fields, default=sheets[0])
        best = fits[example]
    text += f": {', '.join(listed)}{' and more' if more else ''}."
    choices = [Choice(words, Answers(sheet=sheet.name)) for sheet, words in zip(sheets, listed, strict=True)]
    if best is None or not best.fields:
        return _question(source, text, tuple(choices), f"Say which one to read: {_options(example.name)}.")
    text += f" The headers of {example.name!r} (row {best.row:,}) fit best."
    row = best.row if best.row != best.first_row else None
    choices.sort(key=lambda choice: choice.answers.sheet != example.name)
    remedy = f"Say which one to read: {_options(example.name, row)}."
    return _question(source, text, tuple(choices), remedy, example.name)


def _options(sheet: str | None, header_row: int | None = None) -> str:
    if header_row is None:
        return f'--sheet "{sheet}", or input.sheet in the configuration'
    return f'--sheet "{sheet}" --header-row {header_row}, or input.sheet and input.header_row in the configuration'


_SHEETS_LISTED = 10
_ROWS_SHOWN, _CELLS_SHOWN = 3, 8
"""Of each sheet that may be meant."""
_FIELDS_OF_A_GUESS = 2
"""Headers that name fewer fields, and do not fit, may be those of any table."""


def _listed(names: Sequence[str | None]) -> str:
    return ", ".join(repr(name) for name in names[:_SHEETS_LISTED]) + (" ..." if len(names) > _SHEETS_LISTED else "")
