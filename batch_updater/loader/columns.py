"""Header row -> fields: which column holds which field of the endpoint, and what is wrong with the header row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from batch_updater.endpoint.description import Endpoint, Kind, ParameterLocation
from batch_updater.errors import InputError, Location
from batch_updater.loader.column_values import ColumnValues, KnownNames
from batch_updater.loader.header_words import IDENTIFIER_WORDS, stem, words
from batch_updater.loader.proposals import HeaderNames, Proposals, told_apart
from batch_updater.loader.refusal import shown
from batch_updater.records import Cell, Columns, column_letters
from batch_updater.text.spelling import nearest

_FAULTS_NAMED = 100
"""Of a header row; one with more is none."""
_HEADERS_NAMED = 8
_NOTED = 10
_ADD_LINES = (
    "Correct the header, or keep in the configuration one line for each header, under `input:` and `columns:` if they "
    "are there already:"
)
_FIELDS_NAMED = 4
_IDENTIFIER_STEMS = frozenset(map(stem, IDENTIFIER_WORDS))
_NO_AMOUNTS = _IDENTIFIER_STEMS | frozenset(
    map(stem, ("phone", "telephone", "tel", "mobile", "fax", "zip", "postal", "postcode", "plz", "sku", "ean", "year"))
)
"""Words, by their stems, of columns whose long numbers are no amounts."""


class HeaderRow(msgspec.Struct, frozen=True):
    """The header row as the file holds it."""

    file: str
    sheet: str | None
    number: int
    """Row of the sheet."""
    first_column: int
    """0-based column of `texts[0]`: those before it are ours."""
    texts: tuple[str, ...]
    """From `first_column` to the last one that is not blank."""
    width: int
    """Cells of the row from `first_column` on, blank ones at its end included."""
    below: tuple[Sequence[Cell], ...] = ()
    """The first few hundred rows below it that are not blank, from `first_column` on."""
    ours: range = range(0)
    """Positions of the columns that an annotated copy has for us: they are not sent, whatever fields there are."""

    def is_theirs(self, position: int) -> bool:
        """Whether a header is there that is not ours."""
        return position not in self.ours and bool(self.texts[position].strip())

    def address(self, position: int) -> str:
        """Return the address of one header, such as `F1`."""
        return f"{column_letters(self.first_column + position)}{self.number}"

    @property
    def contents(self) -> str:
        """What it holds, in words."""
        texts = [shown(text, quoted=True) for text in self.texts if text.strip()]
        more = f" and {len(texts) - _HEADERS_NAMED:,} more" if len(texts) > _HEADERS_NAMED else ""
        return ", ".join(texts[:_HEADERS_NAMED]) + more


class _Match(NamedTuple):
    """What the headers are, by position."""

    field_at: dict[int, str]
    several: dict[int, tuple[str, ...]]
    """Columns that may be several fields."""
    unknown: list[int]


class _Fault(NamedTuple):
    sentence: str
    cell: str | None = None
    lines: Sequence[str] = ()
    """Lines of `input.columns` that would settle it."""
    meant: tuple[str, ...] = ()
    """Fields that the column may be meant for: they are not also said to be missing."""


def no_names() -> tuple[()]:
    """Return that no names are known."""
    return ()


def fit_columns(
    row: HeaderRow,
    endpoint: Endpoint,
    further: Mapping[str, str | None],
    constants: Collection[str],
    names: KnownNames = no_names,
) -> Columns:
    """Find the field that each column holds.

    `further` are more headers that are understood, as in `input.columns`: header -> field, or None for a column that is
    not sent. `constants` are the fields that need no column. Raises InputError with all faults.
    """
    known = HeaderNames(endpoint, further)
    match = _Match({}, {}, [])
    for position, text in enumerate(row.texts):
        meanings = known.meanings(text) if row.is_theirs(position) else (None,)
        if len(meanings) > 1:
            match.several[position] = tuple(name for name in meanings if name is not None and name in endpoint.by_name)
        elif not meanings:
            match.unknown.append(position)
        elif meanings[0] is not None:
            match.field_at[position] = meanings[0]
    faults = []
    for header, name in further.items():
        if name is not None and name not in endpoint.by_name:
            close = nearest(name, endpoint.by_name)
            sentence = f"input.columns says that {header!r} is {name!r}, which is no field."
            faults.append(_Fault(sentence + (f" Did you mean {close!r}?" if close else "")))
    faults += _header_faults(row, known, match, constants, names)
    in_doubt = {name for fault in faults for name in fault.meant}
    faults += _missing(endpoint, {*match.field_at.values(), *in_doubt, *constants})
    if faults:
        raise _error(row, faults, has_fields=bool(match.field_at))
    return Columns(
        headers=row.texts,
        first_column=row.first_column,
        of_field={name: position for position, name in match.field_at.items()},
        not_sent=tuple(text for position, text in enumerate(row.texts) if text and position not in match.field_at),
        header_row=row.number,
        # What the first cell of each column shows that is not blank.
        first_values=tuple(
            next(filter(str.strip, (shown(cells[at]) for cells in row.below if at < len(cells))), "")
            for at in range(len(row.texts))
        ),
        notes=tuple(islice(_notes(row, endpoint, constants, match), _NOTED)),
    )


def _header_faults(
    row: HeaderRow, known: HeaderNames, match: _Match, constants: Collection[str], names: KnownNames
) -> Iterator[_Fault]:
    """Yield what is wrong with headers, or open: which field is meant is never guessed."""
    field = known.endpoint.field
    fed = {*match.field_at.values(), *constants}

    def column(at: int) -> str:
        return f"{row.address(at)} ({shown(row.texts[at], quoted=True)})"

    for position, meant in match.several.items():
        text, free = row.texts[position], [name for name in meant if name not in fed]
        free.sort(key=lambda name: not field(name).required)
        apart = told_apart([field(name) for name in meant], ColumnValues.of(row.below, position))
        sentence = f"{shown(text, quoted=True)} could be {' or '.join(meant)}, which are different fields. {apart}"
        yield _Fault(sentence.rstrip(), row.address(position), _lines(text, free), meant)
    for name in dict.fromkeys(match.field_at.values()):
        doubled = [at for at, other in match.field_at.items() if other == name]
        if len(doubled) > 1:
            kept = next((at for at in doubled if row.texts[at] == name), doubled[0])
            others = dict.fromkeys(row.texts[at] for at in doubled if at != kept)
            sentence = f"{name} has more than one column: {' and '.join(map(column, doubled))}."
            yield _Fault(sentence, row.address(doubled[0]), [line for text in others for line in _lines(text)])
    proposals = Proposals(known, fed, row.below, names)
    for position in match.unknown:
        proposal = proposals.of(row.texts[position], position)
        if proposal is None:
            continue
        first, free = proposal.fields[0], [name for name in proposal.fields if name not in fed]
        sentence = proposal.sentence
        if not free:
            at = next((position for position, name in match.field_at.items() if name == first), None)
            how = "is set for every row" if at is None else f"has the column {column(at)}"
            sentence += f" {first} {how} already."
        yield _Fault(sentence, row.address(position), _lines(row.texts[position], free), proposal.fields)
    for position, name in match.field_at.items():
        if name in constants:
            sentence = f"{name} is set for every row (input.constants or --set), but the file has a column for it too."
            yield _Fault(sentence, row.address(position), _lines(row.texts[position]))


def _missing(endpoint: Endpoint, known: Collection[str]) -> Iterator[_Fault]:
    for field in endpoint.fields:
        if field.required and field.name not in known:
            same = f", or give all rows the same value with --set {field.name}={field.example or 'VALUE'}"
            if field.location is ParameterLocation.PATH:  # which record a row is about is the row's own
                same = ""
            yield _Fault(f"There is no column {field.name}, which every row needs. Add one{same}.")
    body = [field.name for field in endpoint.body_fields]
    if not any(name in known for name in body):
        yield _Fault(f"There is no column to update from. Add at least one of: {', '.join(body)}.")


def _notes(row: HeaderRow, endpoint: Endpoint, constants: Collection[str], match: _Match) -> Iterator[str]:
    """Yield a sentence for each unknown header that has a word of a mapped field, or amounts that no column feeds."""
    passed_over = _IDENTIFIER_STEMS | {stem(word) for word in words(endpoint.record_name)}
    stems = {name: {stem(word) for word in words(name)} - passed_over for name in match.field_at.values()}
    amounts = [field.name for field in endpoint.body_fields if field.kind is Kind.DECIMAL]
    if not {*match.field_at.values(), *constants}.isdisjoint(amounts):
        amounts = []
    for position in match.unknown:
        own = {stem(word) for word in words(row.texts[position])}
        akin = [f"{name} ({row.address(at)})" for at, name in match.field_at.items() if stems[name] & own]
        if amounts and own.isdisjoint(_NO_AMOUNTS) and ColumnValues.of(row.below, position).are_amounts:
            more = " or ..." if len(amounts) > _FIELDS_NAMED else ""
            why = f", although it holds numbers and no column is {' or '.join(amounts[:_FIELDS_NAMED])}{more}."
        elif akin:
            why = f". It shares a word with {', '.join(akin)}."
        else:
            continue
        yield f"{shown(row.texts[position], quoted=True)} ({row.address(position)}) is not sent{why}"


def _lines(header: str, names: Iterable[str] = ()) -> list[str]:
    """Return the lines of `input.columns` that make a header one of some fields, or leave it out."""
    key = json.dumps(header, ensure_ascii=False)
    return [*(f"    {key}: {name}" for name in names), f"    {key}: null   # not sent"]


def _error(row: HeaderRow, all_faults: Sequence[_Fault], *, has_fields: bool) -> InputError:
    faults = all_faults[:_FAULTS_NAMED]
    sentences = [f"Cell {fault.cell}: {fault.sentence}" if fault.cell else fault.sentence for fault in faults]
    sheet = f', sheet "{row.sheet}"' if row.sheet else ""
    subject = f"The header row of {row.file}{sheet} (row {row.number:,}: {row.contents})"
    if len(sentences) == 1:
        message = [f"{subject} does not fit: {sentences[0]}"]
    else:
        message = [f"{subject} has {len(all_faults):,} faults:", *(f"  {one}" for one in sentences)]
        if more := len(all_faults) - len(faults):
            message.append(f"  and {more:,} more.")
    lines = [line for fault in faults for line in fault.lines]
    remedy = "Correct the header row." if has_fields else "Put the names of the fields into a row above the values."
    remedies = [_ADD_LINES, "input:", "  columns:", *lines] if lines else [remedy]
    cell = next((fault.cell for fault in faults if fault.cell), None)
    return InputError(message, remedy=remedies, place=Location(row.file, row.sheet, cell))
