"""Which of the remembered layouts a file has: the set of its headers decides, wherever in the file they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct, structs

from batch_updater.endpoint.description import Endpoint
from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, is_blank_row
from batch_updater.loader.formats.choice import is_named, which_sheet
from batch_updater.loader.header_words import spelled_in, squeezed
from batch_updater.loader.open_headers import fields_called
from batch_updater.loader.refusal import shown
from batch_updater.questions import OF_ONE_FILE, Answers, Choice, OpenQuestionsError
from batch_updater.records import ANNOTATION_COLUMNS, Columns, annotation_at, distinct_headers
from batch_updater.text.printable import command_line
from batch_updater.text.spelling import nearest

_ROWS_LOOKED_AT, _WIDEST_LOOKED_AT = 50, 500
"""Down to which row of a sheet, and up to how many cells of one, the headers of a layout are looked for."""
_SHEETS_LOOKED_AT = 20
_ENOUGH = 0.6
"""Share of a layout's headers from which on a file has that layout, with some headers changed."""
_FEWEST = 2
"""Headers that a file and a layout have in common then, at least."""


class Layout(Struct, frozen=True):
    """A kind of file: its headers, and what was answered for it."""

    name: str
    headers: tuple[str, ...]
    answers: Answers
    file: str = ""
    """Its path; '' if it is not read from a file, as one of a team."""


class DamagedLayout(Struct, frozen=True):
    """A layout that cannot be used until it is corrected."""

    name: str
    file: str
    """Its path; '' of one of a team."""
    why: str
    """What is wrong with it, in a sentence."""
    text: str
    """What it holds; '' if that is not known."""

    @property
    def error(self) -> InputError:
        """What ends a command that may need it."""
        remedy = "Correct it, or delete it and answer the questions again."
        return InputError(self.why, remedy=remedy, place=Location(file=self.file or None))

    @property
    def note(self) -> str:
        """What a person should know where it is not needed."""
        return f"{self.why} It is passed over."


class LayoutChoice(Struct, frozen=True):
    """Which layouts there are, and which one a person asks for."""

    layouts: tuple[Layout, ...] = ()
    name: str | None = None
    """None: the one that fits, if one does."""
    damaged: tuple[DamagedLayout, ...] = ()


NO_LAYOUTS: Final = LayoutChoice()


class FittingLayout(Struct, frozen=True):
    """A layout as it applies to one file."""

    name: str
    answers: Answers
    """Where the headers are, and what was answered; keys are the headers as the file spells them."""
    texts: tuple[str, ...]
    """The headers of the file."""
    added: frozenset[str]
    """Headers that the layout does not know: about them alone there are questions."""
    missing: tuple[str, ...]
    """Headers of the layout that the file does not have."""
    is_hidden: bool
    """Whether the sheet is hidden."""
    file: str
    """The path of the layout."""
    missing_sheet: str | None
    """The sheet that the layout names, if the file has sheets and none of that name."""

    @property
    def called(self) -> str:
        """How messages name it, for a person to find it."""
        return f"layout {self.name!r} ({self.file})" if self.file else f"layout {self.name!r}"

    @property
    def note(self) -> str:
        """What a person should know: that it is used, and what has changed."""
        added = f" New headers: {', '.join(map(_quoted, sorted(self.added)))}." if self.added else ""
        missing = f" Missing: {', '.join(map(_quoted, self.missing))}." if self.missing else ""
        hidden = f" The hidden sheet {self.answers.sheet!r} is read." if self.is_hidden else ""
        other = f" The file has no sheet {self.missing_sheet!r}, which it names." if self.missing_sheet else ""
        return f"The layout {self.name!r} is used.{added}{missing}{hidden}{other}"


class _Head(NamedTuple):
    """A row that may be the header row of a layout."""

    sheet: str | None
    is_hidden: bool
    row: int
    texts: tuple[str, ...]
    keys: frozenset[str]
    """What headers are compared by."""


class _Match(NamedTuple):
    layout: Layout
    head: _Head
    spelled: Mapping[str, str]
    """Header of the layout -> as the file spells it."""

    @property
    def share(self) -> float:
        """Which part of the headers that either has both have."""
        common = len(self.spelled)
        return common / (len(self.layout.headers) + len(self.head.texts) - common)


def fitting_layout(
    source: Book, choice: LayoutChoice, answers: Answers, endpoint: Endpoint, configured_sheet: str | None
) -> FittingLayout | None:
    """Return the layout that a file has; None if it has none. `answers` may say which sheet and row to look at.

    A layout that names mostly fields that `endpoint` has not is of another one. Raises InputError if more
    than one fits as well, or not even the one that is asked for, or if a damaged one may be meant, OpenQuestionsError
    if it fits several sheets and neither it nor the configuration says which one is read.
    """
    for damaged in choice.damaged:
        if damaged.name == choice.name:
            raise damaged.error
    layouts = [
        layout
        for layout in choice.layouts
        if choice.name == layout.name or (choice.name is None and _is_of_endpoint(layout, endpoint))
    ]
    if choice.name is not None and not layouts:
        names = [layout.name for layout in choice.layouts]
        close = nearest(choice.name, names)
        raise InputError(
            f"There is no layout {choice.name!r}.",
            remedy=f"Did you mean {close!r}?" if close else f"Layouts are: {', '.join(names) or 'none yet'}.",
        )
    matches = list(_matches(source, layouts, answers, 0.0 if choice.name else _ENOUGH)) if layouts else []
    if choice.name is None and all(match.share < 1 for match in matches):
        for damaged in choice.damaged:
            if _may_be_of(damaged, source, answers):
                raise damaged.error
    if not matches:
        if choice.name is None:
            return None
        headers = ", ".join(map(_quoted, layouts[0].headers))
        raise InputError(
            f"No row of {source.name} has the headers of the layout {choice.name!r}: {headers}.",
            remedy="Name another layout, or leave --layout out.",
            place=Location(source.name),
        )
    best = max(match.share for match in matches)
    names = list(dict.fromkeys(match.layout.name for match in matches if match.share == best))
    if len(names) > 1:
        raise InputError(
            f"The layouts {' and '.join(map(repr, names))} fit {source.name} equally well.",
            remedy=f"Name one, such as {command_line(['--layout', names[0]])}, or remove one of the files.",
            place=Location(source.name),
        )
    matches = [match for match in matches if match.layout.name == names[0] and match.share == best]
    return _applied(matches, source, configured_sheet)


def _is_of_endpoint(layout: Layout, endpoint: Endpoint) -> bool:
    """Whether most of the fields that a layout names are those of an endpoint; others may be mistyped."""
    named = [name for name in layout.answers.columns.values() if name is not None]
    return 2 * sum(bool(fields_called(endpoint, name)) for name in named) > len(named)


def _matches(source: Book, layouts: Sequence[Layout], answers: Answers, enough: float) -> Iterator[_Match]:
    keys = {layout.name: frozenset(map(squeezed, layout.headers)) for layout in layouts}
    remembered = {layout.answers.sheet for layout in layouts} - {None}
    for head in _heads(source, answers, remembered):
        for layout in layouts:
            fewest = max(min(_FEWEST, len(layout.headers)), enough * len(layout.headers))
            if len(keys[layout.name] & head.keys) < min(fewest, len(keys[layout.name])):
                continue
            if head.is_hidden and layout.answers.sheet != head.sheet and answers.sheet is None:
                continue
            match = _Match(layout, head, spelled_in(head.texts, layout.headers))
            if len(match.spelled) >= max(fewest, enough * len(head.texts)):
                yield match


def _may_be_of(damaged: DamagedLayout, source: Book, answers: Answers) -> bool:
    """Whether a file may have a damaged layout: some of its headers are in it, or it is unknown what is."""
    text = squeezed(damaged.text)
    return not text or any(
        sum(key in text for key in head.keys) >= min(_FEWEST, len(head.keys)) for head in _heads(source, answers, ())
    )


def _heads(source: Book, answers: Answers, remembered: Collection[str | None]) -> Iterator[_Head]:
    """Yield the rows that may be header rows, of hidden sheets only where a layout remembers one."""
    if answers.sheet is None:
        sheets = [at for at, one in enumerate(source.sheets) if not one.hidden or one.name in remembered]
    else:
        sheets = [at for at, one in enumerate(source.sheets) if one.name is None or is_named(one, answers.sheet)]
    for index in sheets[:_SHEETS_LOOKED_AT]:
        filled = (row for row in source.rows(index) if not is_blank_row(row.cells))
        for row in islice(filled, _ROWS_LOOKED_AT):
            if answers.header_row in {None, row.number} and len(row.cells) <= _WIDEST_LOOKED_AT:
                texts = [cell if isinstance(cell, str) else shown(cell) for cell in row.cells]
                at = annotation_at(texts) if source.is_annotated else None
                if at is not None:
                    del texts[at : at + len(ANNOTATION_COLUMNS)]
                texts = [text for text in distinct_headers(texts) if text.strip()]
                sheet = source.sheets[index]
                yield _Head(sheet.name, sheet.hidden, row.number, tuple(texts), frozenset(map(squeezed, texts)))


def _applied(matches: Sequence[_Match], source: Book, configured_sheet: str | None) -> FittingLayout:
    layout, sheets = matches[0].layout, list(dict.fromkeys(match.head.sheet for match in matches))
    sheet = next((name for name in (layout.answers.sheet, configured_sheet) if name in sheets), sheets[0])
    if len(sheets) > 1 and sheet not in {layout.answers.sheet, configured_sheet}:
        sentence = (
            f"{source.name} has several sheets with the headers of the layout {layout.name!r}: "
            f"{', '.join(map(repr, sheets))}."
        )
        choices = tuple(Choice(f"the sheet {name!r}", Answers(sheet=name)) for name in sheets)
        question = which_sheet(source, sentence, choices)
        remedy = ("Say which one to read:", *(f"    {line}" for line in question.lines))
        raise OpenQuestionsError(sentence, (question,), remedy=remedy, place=Location(source.name))
    match = max((match for match in matches if match.head.sheet == sheet), key=lambda match: match.share)
    known = set(match.spelled.values())
    named = layout.answers.sheet
    has_named = named is None or any(one.name is None or is_named(one, named) for one in source.sheets)
    return FittingLayout(
        layout.name,
        layout.answers.renamed({header: (text,) for header, text in match.spelled.items()}).with_more(
            Answers(sheet=sheet, header_row=match.head.row)
        ),
        match.head.texts,
        frozenset(text for text in match.head.texts if text not in known),
        tuple(header for header in layout.headers if header not in match.spelled),
        match.head.is_hidden,
        layout.file,
        None if has_named else named,
    )


def layout_of(name: str, columns: Columns, answers: Answers) -> Layout:
    """Return the layout of a file with some columns, for which there are `answers`."""
    mapping = {column.header: column.field for column in columns.mapping}
    own = answers.renamed({header: (header,) for header in mapping})
    return Layout(
        name,
        tuple(mapping),
        structs.replace(
            own,
            columns=mapping,
            header_row=None,
            hidden_rows=None if own.hidden_rows == OF_ONE_FILE.hidden_rows else own.hidden_rows,
        ),
    )


def _quoted(header: str) -> str:
    return shown(header, quoted=True)
