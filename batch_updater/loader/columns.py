"""Header row -> fields: which column holds which field of the endpoint, and what is wrong with the header row."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_updater.endpoint.description import Location
from batch_updater.errors import InputError, Place
from batch_updater.loader.refusal import shown
from batch_updater.model import Columns, column_letters
from batch_updater.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from batch_updater.endpoint.description import Endpoint, Field

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FAULTS_NAMED = 100
"""Of a header row; one with more is none."""
_ADD_LINES = "Correct the header, or add to the configuration those of these lines that are true:"
_CLOSE = 0.8
"""Similarity from which on an unknown header may be a field's name mistyped."""


@dataclass(frozen=True, slots=True)
class HeaderRow:
    """The header row as it stands in the file."""

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

    def address(self, position: int) -> str:
        """Return the address of one header, such as `F1`."""
        return f"{column_letters(self.first_column + position)}{self.number}"


@dataclass(slots=True)
class _Findings:
    """What the header row was found to say, and everything that is wrong with it."""

    field_at: dict[int, str] = field(default_factory=dict)
    ignored: set[int] = field(default_factory=set)
    faults: list[_Fault] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)
    """Fields that some column may be meant for: they are not also said to be missing."""


@dataclass(frozen=True, slots=True)
class _Fault:
    sentence: str
    cell: str | None = None
    lines: tuple[str, ...] = ()
    """Lines of `input.columns` that would settle it."""


def plain(header: str) -> str:
    """Return a header as it is compared: without invisible characters, every run of blanks a single space."""
    return " ".join(_INVISIBLE.sub("", header).split())


def spaced(name: str) -> str:
    """Return a field's name with spaces between its words: `itemKind` and `item_kind` are `item Kind`."""
    return " ".join(_WORDS.findall(name))


def fit_columns(
    row: HeaderRow, endpoint: Endpoint, mapping: Mapping[str, str | None], constants: Collection[str]
) -> Columns:
    """Find the field that each column holds.

    `mapping` is `input.columns`; `constants` are the fields that need no column. Raises InputError with all faults.
    """
    findings = _Findings()
    _apply_mapping(row, endpoint, mapping, findings)
    _match(row, endpoint, findings)
    _find_doubled(row, findings)
    _find_close(row, endpoint, findings)
    _find_constant_columns(row, constants, findings)
    _find_missing(endpoint, constants, findings)
    if findings.faults:
        raise _error(row, findings.faults)
    return Columns(
        headers=row.texts,
        first_column=row.first_column,
        of_field={name: position for position, name in sorted(findings.field_at.items())},
        not_sent=tuple(text for position, text in enumerate(row.texts) if text and position not in findings.field_at),
    )


def _apply_mapping(row: HeaderRow, endpoint: Endpoint, mapping: Mapping[str, str | None], findings: _Findings) -> None:
    for header, name in mapping.items():
        positions = _positions(row, header)
        if not positions:
            sentence = f"There is no header {header!r}, which input.columns names."
            findings.faults.append(_Fault(sentence + _did_you_mean(header, row.texts)))
        if name is None:
            findings.ignored.update(positions)
        elif name in endpoint.by_name:
            findings.field_at.update(dict.fromkeys(positions, name))
            findings.in_doubt.add(name)
        else:
            findings.ignored.update(positions)
            sentence = f"input.columns says that {header!r} is {name!r}, which is no field."
            findings.faults.append(_Fault(sentence + _did_you_mean(name, endpoint.by_name)))


def _positions(row: HeaderRow, header: str) -> list[int]:
    """Return which columns a header of the configuration means: those that are written so, else those that look so."""
    exact = [position for position, text in enumerate(row.texts) if text == header]
    return exact or [position for position, text in enumerate(row.texts) if text and plain(text) == plain(header)]


def _did_you_mean(typed: str, valid: Iterable[str]) -> str:
    close = nearest(typed, [text for text in valid if text])
    return f" Did you mean {shown(close, quoted=True)}?" if close else ""


def _match(row: HeaderRow, endpoint: Endpoint, findings: _Findings) -> None:
    """Match by exact name, else by alias, else without case; more than one reading left is a fault."""
    aliases, folded = _aliases(endpoint), _folded_names(endpoint)
    for position, text in enumerate(row.texts):
        header = plain(text)
        if not header or position in findings.field_at or position in findings.ignored:
            continue
        if header in endpoint.by_name:
            findings.field_at[position] = header
            continue
        names = aliases.get(header.casefold()) or folded.get(header.casefold(), [])
        if len(names) == 1:
            findings.field_at[position] = names[0]
        elif names:
            findings.in_doubt.update(names)
            findings.faults.append(
                _Fault(
                    f"{shown(text, quoted=True)} could be {' or '.join(names)}, which are different fields.",
                    row.address(position),
                    tuple(_mapping_line(text, name) for name in names),
                )
            )
            findings.ignored.add(position)


def _aliases(endpoint: Endpoint) -> Mapping[str, list[str]]:
    """Every alias without case, the spaced names among them -> the fields that have it."""
    found = defaultdict(list)
    for described in endpoint.fields:
        for alias in {plain(text).casefold() for text in (*described.aliases, spaced(described.name))}:
            found[alias].append(described.name)
    return found


def _folded_names(endpoint: Endpoint) -> Mapping[str, list[str]]:
    found = defaultdict(list)
    for name in endpoint.by_name:
        found[name.casefold()].append(name)
    return found


def _find_doubled(row: HeaderRow, findings: _Findings) -> None:
    positions = defaultdict(list)
    for position, name in sorted(findings.field_at.items()):
        positions[name].append(position)
    for name, doubled in positions.items():
        if len(doubled) > 1:
            cells = " and ".join(f"{row.address(at)} ({shown(row.texts[at], quoted=True)})" for at in doubled)
            lines = tuple(_mapping_line(row.texts[at], None) for at in doubled[1:])
            findings.faults.append(_Fault(f"{name} has more than one column: {cells}.", row.address(doubled[0]), lines))


def _find_close(row: HeaderRow, endpoint: Endpoint, findings: _Findings) -> None:
    """Find unknown headers that may be a field's name mistyped, or what a person calls a field that has no column."""
    taken = set(findings.field_at.values())
    spellings = {spelling: described for described in endpoint.fields for spelling in _spellings(described)}
    titles = {described.title.casefold(): described for described in endpoint.fields if described.name not in taken}
    for position, text in enumerate(row.texts):
        header = plain(text)
        if not header or position in findings.field_at or position in findings.ignored:
            continue
        close = nearest(header, spellings, cutoff=_CLOSE)
        meant = spellings[close] if close else titles.get(header.casefold())
        if meant is not None:
            findings.in_doubt.add(meant.name)
            lines = (_mapping_line(text, meant.name), _mapping_line(text, None))
            sentence = f"{shown(text, quoted=True)} is not the name of a field, but close to {meant.name}."
            findings.faults.append(_Fault(sentence, row.address(position), lines))


def _spellings(described: Field) -> tuple[str, ...]:
    return (described.name, spaced(described.name), *described.aliases)


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
                if described.location is not Location.PATH
                else ""
            )
            findings.faults.append(
                _Fault(f"There is no column {described.name}, which every row needs. Add one{same}.")
            )
    if not any(described.name in known for described in endpoint.body_fields):
        names = ", ".join(described.name for described in endpoint.body_fields)
        findings.faults.append(_Fault(f"There is no column to update from. Add at least one of: {names}."))


def _mapping_line(header: str, name: str | None) -> str:
    comment = "" if name else "   # not sent"
    return f"    {json.dumps(header, ensure_ascii=False)}: {name or 'null'}{comment}"


def _error(row: HeaderRow, all_faults: Sequence[_Fault]) -> InputError:
    faults = all_faults[:_FAULTS_NAMED]
    sentences = [f"Cell {fault.cell}: {fault.sentence}" if fault.cell else fault.sentence for fault in faults]
    if len(sentences) == 1:
        message = [f"The header row of {row.file} does not fit: {sentences[0]}"]
    else:
        message = [f"The header row of {row.file} has {len(all_faults):,} faults:", *(f"  {one}" for one in sentences)]
        if more := len(all_faults) - len(faults):
            message.append(f"  and {more:,} more.")
    lines = [line for fault in faults for line in fault.lines]
    remedy = [_ADD_LINES, "input:", "  columns:", *lines] if lines else ["Correct the header row."]
    cell = next((fault.cell for fault in faults if fault.cell), None)
    return InputError(message, remedy=remedy, place=Place(row.file, row.sheet, cell))
