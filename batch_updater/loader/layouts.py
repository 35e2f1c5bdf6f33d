"""Which of the remembered layouts a file has: the set of its headers decides, wherever in the file they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct, structs

from batch_updater.errors import InputError, Location
from batch_updater.loader.formats.book import Book, is_blank_row
from batch_updater.loader.header_words import plain
from batch_updater.loader.refusal import shown
from batch_updater.questions import Answers
from batch_updater.records import Columns
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


class LayoutChoice(Struct, frozen=True):
    """Which layouts there are, and which one a person asks for."""

    layouts: tuple[Layout, ...] = ()
    name: str | None = None
    """None: the one that fits, if one does."""


NO_LAYOUTS: Final = LayoutChoice()


class FittingLayout(Struct, frozen=True):
    """A layout as it applies to one file."""

    name: str
    answers: Answers
    """Where the headers are, and what was answered; keys are the headers as the file spells them."""
    added: frozenset[str]
    """Headers that the layout does not know: about them alone there are questions."""
    missing: tuple[str, ...]
    """Headers of the layout that the file does not have."""

    @property
    def note(self) -> str:
        """What a person should know: that it is used, and what has changed."""
        changes = [f"it does not know {', '.join(map(_quoted, sorted(self.added)))}"] if self.added else []
        changes += [f"the file has no {', '.join(map(_quoted, self.missing))}"] if self.missing else []
        return f"The layout {self.name!r} is used{': ' if changes else ''}{'; '.join(changes)}."


class _Head(NamedTuple):
    """A row that may be the header row of a layout."""

    sheet: int
    row: int
    texts: Mapping[str, str]
    """What headers are compared by -> the header."""


def fitting_layout(source: Book, choice: LayoutChoice, answers: Answers) -> FittingLayout | None:
    """Return the layout that a file has; None if it has none. `answers` may say which sheet and row to look at.

    Raises InputError if more than one fits as well, or not even the one that is asked for.
    """
    layouts = [layout for layout in choice.layouts if choice.name in {None, layout.name}]
    if choice.name is not None and not layouts:
        names = [layout.name for layout in choice.layouts]
        close = nearest(choice.name, names)
        raise InputError(
            f"There is no layout {choice.name!r}.",
            remedy=f"Did you mean {close!r}?" if close else f"Layouts are: {', '.join(names) or 'none yet'}.",
        )
    best: list[tuple[Layout, _Head]] = []
    best_share = (0.0, 0.0)
    for head in _heads(source, answers) if layouts else ():
        for layout in layouts:
            keys = {_key(header) for header in layout.headers}
            common = len(keys & head.texts.keys())
            if common < min(_FEWEST, len(keys)) or (common < _ENOUGH * len(keys) and choice.name is None):
                continue
            share = common / len(keys), common / len(head.texts)
            if share > best_share:
                best, best_share = [], share
            if share == best_share:
                best.append((layout, head))
    if not best:
        if choice.name is None:
            return None
        headers = ", ".join(map(_quoted, layouts[0].headers))
        raise InputError(
            f"No row of {source.name} has the headers of the layout {choice.name!r}: {headers}.",
            remedy="Name another layout, or leave --layout out.",
            place=Location(source.name),
        )
    names = list(dict.fromkeys(layout.name for layout, _ in best))
    if len(names) > 1:
        raise InputError(
            f"The layouts {' and '.join(map(repr, names))} fit {source.name} equally well.",
            remedy=f"Name one with --layout, such as --layout {names[0]}, or remove one of the files.",
            place=Location(source.name),
        )
    layout, head = next(((one, at) for one, at in best if source.sheets[at.sheet].name == one.answers.sheet), best[0])
    return _applied(layout, head, source)


def _heads(source: Book, answers: Answers) -> Iterator[_Head]:
    sheets = [
        index
        for index, entry in enumerate(source.sheets)
        if (not entry.hidden if answers.sheet is None else entry.name in {None, answers.sheet})
    ]
    for index in sheets[:_SHEETS_LOOKED_AT]:
        filled = (row for row in source.rows(index) if not is_blank_row(row.cells))
        for row in islice(filled, _ROWS_LOOKED_AT):
            if answers.header_row in {None, row.number} and len(row.cells) <= _WIDEST_LOOKED_AT:
                texts = [cell if isinstance(cell, str) else shown(cell) for cell in row.cells]
                yield _Head(index, row.number, {_key(text): text for text in texts if text.strip()})


def _applied(layout: Layout, head: _Head, source: Book) -> FittingLayout:
    spelled = {header: head.texts[_key(header)] for header in layout.headers if _key(header) in head.texts}
    known = {_key(header) for header in layout.headers}
    answers = layout.answers.renamed(spelled).with_more(
        Answers(sheet=source.sheets[head.sheet].name, header_row=head.row)
    )
    return FittingLayout(
        layout.name,
        answers,
        frozenset(text for key, text in head.texts.items() if key not in known),
        tuple(header for header in layout.headers if header not in spelled),
    )


def layout_of(name: str, columns: Columns, answers: Answers) -> Layout:
    """Return the layout of a file with some columns, for which there are `answers`."""
    mapping = {column.header: column.field for column in columns.mapping}
    own = answers.renamed({header: header for header in mapping})
    return Layout(name, tuple(mapping), structs.replace(own, columns=mapping, header_row=None))


def _key(header: str) -> str:
    return plain(header).casefold()


def _quoted(header: str) -> str:
    return shown(header, quoted=True)
