"""Header row -> fields: which column holds which field of the endpoint, and what is wrong with the header row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
    "Correct the header, or keep in the configuration one line for each header, under the `input:` and `columns:` that "
    "are there already:"
)
_FIELDS_NAMED = 4
_IDENTIFIER_STEMS = frozenset(map(stem, IDENTIFIER_WORDS))
_NO_AMOUNTS = _IDENTIFIER_STEMS | frozenset(
    map(stem, ("phone", "telephone", "tel", "mobile", "fax", "zip", "postal", "postcode", "plz", "sku", "ean", "year"))
)
"""Words, by their stems, of columns whose long numbers are no amounts."""


@dataclass(frozen=True, slots=True)
class HeaderRow:
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


@dataclass(slots=True)
class _Findings:
    """What the header row was found to say, and everything that is wrong with it."""

    field_at: dict[int, str] = field(default_factory=dict)
    several: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Columns that may be several fields."""
    unknown: list[int] = field(default_factory=list)
    faults: list[_Fault] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)
    """Fields that some column may be meant for: they are not also said to be missing."""


@dataclass(frozen=True, slots=True)
class _Fault:
    sentence: str
    cell: str | None = None
    lines: tuple[str, ...] = ()
    """Lines of `input.columns` that would settle it."""


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
    findings = _Findings()
    _check_further(endpoint, further, findings)
    _match(row, HeaderNames(endpoint, further), findings)
    fed = {*findings.field_at.values(), *constants}
    _find_several(row, endpoint, fed, findings)
    _find_doubled(row, findings)
    _find_meant(row, Proposals(endpoint, further, fed, row.below, names), findings, fed)
    _find_constant_columns(row, constants, findings)
    _find_missing(endpoint, constants, findings)
    if findings.faults:
        raise _error(row, findings.faults, has_fields=bool(findings.field_at))
    return Columns(
        headers=row.texts,
        first_column=row.first_column,
        of_field={name: position for position, name in sorted(findings.field_at.items())},
        not_sent=tuple(text for position, text in enumerate(row.texts) if text and position not in findings.field_at),
        header_row=row.number,
        first_values=tuple(_first_value(row.below, position) for position in range(len(row.texts))),
        notes=tuple(_notes(row, endpoint, constants, findings)),
    )


def _first_value(rows: Iterable[Sequence[Cell]], position: int) -> str:
    """Return what the first cell of a column shows that is not blank; '' if there is none."""
    texts = (shown(row[position]) for row in rows if position < len(row) and row[position] is not None)
    return next((text for text in texts if text.strip()), "")


def _check_further(endpoint: Endpoint, further: Mapping[str, str | None], findings: _Findings) -> None:
    for header, name in further.items():
        if name is not None and name not in endpoint.by_name:
            close = nearest(name, endpoint.by_name)
            sentence = f"input.columns says that {header!r} is {name!r}, which is no field."
            findings.faults.append(_Fault(sentence + (f" Did you mean {close!r}?" if close else "")))


def _match(row: HeaderRow, names: HeaderNames, findings: _Findings) -> None:
    for position, text in enumerate(row.texts):
        if not row.is_theirs(position):
            continue
        match names.meanings(text):
            case ():
                findings.unknown.append(position)
            case (name,):
                if name is not None:
                    findings.field_at[position] = name
            case meanings:
                findings.several[position] = tuple(
                    name for name in meanings if name is not None and name in names.fields
                )


def _find_several(row: HeaderRow, endpoint: Endpoint, fed: Collection[str], findings: _Findings) -> None:
    """Find headers that fit several fields: which one is meant is never guessed."""
    for position, meant in findings.several.items():
        text, free = row.texts[position], [name for name in meant if name not in fed]
        findings.in_doubt.update(meant)
        apart = told_apart([endpoint.field(name) for name in meant], ColumnValues.of(row.below, position))
        sentence = f"{shown(text, quoted=True)} could be {' or '.join(meant)}, which are different fields. {apart}"
        findings.faults.append(
            _Fault(
                sentence.rstrip(),
                row.address(position),
                _lines(text, sorted(free, key=lambda name: not endpoint.field(name).required)),
            )
        )


def _find_doubled(row: HeaderRow, findings: _Findings) -> None:
    positions = defaultdict(list)
    for position, name in sorted(findings.field_at.items()):
        positions[name].append(position)
    for name, doubled in positions.items():
        if len(doubled) > 1:
            cells = " and ".join(f"{row.address(at)} ({shown(row.texts[at], quoted=True)})" for at in doubled)
            kept = next((at for at in doubled if row.texts[at] == name), doubled[0])
            others = dict.fromkeys(row.texts[at] for at in doubled if at != kept)
            lines = tuple(_mapping_line(text, None) for text in others)
            findings.faults.append(_Fault(f"{name} has more than one column: {cells}.", row.address(doubled[0]), lines))


def _find_meant(row: HeaderRow, proposals: Proposals, findings: _Findings, fed: Collection[str]) -> None:
    """Find unknown headers that may be meant for a field, such as a name mistyped."""
    for position in findings.unknown:
        text = row.texts[position]
        proposal = proposals.of(text, position)
        if proposal is None:
            continue
        findings.in_doubt.update(proposal.fields)
        free = [name for name in proposal.fields if name not in fed]
        sentence = proposal.sentence
        if not free:
            sentence += f" {_fed_by(row, proposal.fields[0], findings)}"
        findings.faults.append(_Fault(sentence, row.address(position), _lines(text, free)))


def _fed_by(row: HeaderRow, name: str, findings: _Findings) -> str:
    at = next((position for position, fed in findings.field_at.items() if fed == name), None)
    how = (
        "is set for every row"
        if at is None
        else f"has the column {row.address(at)} ({shown(row.texts[at], quoted=True)})"
    )
    return f"{name} {how} already."


def _find_constant_columns(row: HeaderRow, constants: Collection[str], findings: _Findings) -> None:
    for position, name in sorted(findings.field_at.items()):
        if name in constants:
            findings.faults.append(
                _Fault(
                    f"{name} is set for every row (input.constants or --set), but the file has a column for it too.",
                    row.address(position),
                    (_mapping_line(row.texts[position], None),),
                )
            )


def _find_missing(endpoint: Endpoint, constants: Collection[str], findings: _Findings) -> None:
    known = {*findings.field_at.values(), *findings.in_doubt, *constants}
    for described in endpoint.fields:
        if described.required and described.name not in known:
            # Which record a row is about is the row's own.
            same = (
                f", or give all rows the same value with --set {described.name}={described.example or 'VALUE'}"
                if described.location is not ParameterLocation.PATH
                else ""
            )
            findings.faults.append(
                _Fault(f"There is no column {described.name}, which every row needs. Add one{same}.")
            )
    if not any(described.name in known for described in endpoint.body_fields):
        names = ", ".join(described.name for described in endpoint.body_fields)
        findings.faults.append(_Fault(f"There is no column to update from. Add at least one of: {names}."))


def _notes(row: HeaderRow, endpoint: Endpoint, constants: Collection[str], findings: _Findings) -> Iterator[str]:
    """Yield a sentence for each unknown header that a person may believe to be sent, up to a few.

    It has a word in common with the name of a field that has a column, or holds amounts that no field takes.
    """
    passed_over = _IDENTIFIER_STEMS | {stem(word) for word in words(endpoint.record_name)}
    stems = {name: {stem(word) for word in words(name)} - passed_over for name in findings.field_at.values()}
    amounts = [described.name for described in endpoint.body_fields if described.kind is Kind.DECIMAL]
    if not {*findings.field_at.values(), *constants}.isdisjoint(amounts):
        amounts = []
    noted = 0
    for position in findings.unknown:
        own = {stem(word) for word in words(row.texts[position])}
        akin = [f"{name} ({row.address(at)})" for at, name in findings.field_at.items() if stems[name] & own]
        if amounts and own.isdisjoint(_NO_AMOUNTS) and ColumnValues.of(row.below, position).are_amounts:
            more = " or ..." if len(amounts) > _FIELDS_NAMED else ""
            why = f", although it holds numbers and no column is {' or '.join(amounts[:_FIELDS_NAMED])}{more}."
        elif akin:
            why = f". It shares a word with {', '.join(akin)}."
        else:
            continue
        noted += 1
        if noted > _NOTED:
            return
        yield f"{shown(row.texts[position], quoted=True)} ({row.address(position)}) is not sent{why}"


def _lines(header: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_mapping_line(header, name) for name in (*names, None))


def _mapping_line(header: str, name: str | None) -> str:
    comment = "" if name else "   # not sent"
    return f"    {json.dumps(header, ensure_ascii=False)}: {name or 'null'}{comment}"


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
