"""Cells, field values and problems as the run's table holds them: JSON texts that come back as exactly what they were.

The first element of an array says of which kind the values behind it are, a letter for each: `["sn", "Bolt", "12.50"]`
holds a text and a Decimal. Rows with a value that JSON cannot hold so have null there, and such values as an array of a
tag and its parts: `[null, "Bolt", ["p", "2025-12-31", "day"]]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import asdict

from batch_updater.records import (
    Cell,
    CellError,
    FormattedNumber,
    PartlyShownDate,
    PartlyShownDateTime,
    Problem,
    ShownAs,
    Value,
)
from batch_updater.text.typed_values import typed

_ENCODER = msgspec.json.Encoder()
_encode, _encode_lines = _ENCODER.encode, _ENCODER.encode_lines
_decode = msgspec.json.Decoder().decode
_decode_problems = msgspec.json.Decoder(tuple[Problem, ...]).decode
_KINDS: dict[type, str] = {
    str: "s", int: "i", bool: "b", type(None): "-", Decimal: "n", date: "d", datetime: "m", time: "t",
}  # fmt: skip
"""Types that the encoder turns into JSON by itself, a few times faster than any code of ours would."""
_OTHER = "?"
_READERS: dict[str, Callable[[str], Cell]] = {
    "n": Decimal, "d": date.fromisoformat, "m": datetime.fromisoformat, "t": time.fromisoformat,
}  # fmt: skip
_IN_JSON: dict[str, type] = {letter: kind for kind, letter in _KINDS.items()} | dict.fromkeys(_READERS, str)
"""What a value of each kind is in JSON: what a reader takes is a text there, everything else is of its own kind."""
_EMPTY_KINDS = len('[""')
_LARGEST_INT = 2**63
_NOT_IN_JSON = (OverflowError, UnicodeEncodeError)
"""What the encoder raises for whole numbers that are too large, and for half a surrogate."""


def encode_cells(rows: Sequence[Sequence[Cell]], *, keeps_blank: bool = False) -> list[str]:
    """Return the cells of each of some rows as JSON; `keeps_blank`: with blank ones at the end. Runs for every row."""
    if not keeps_blank:
        rows = [_without_blank_end(cells) if cells and cells[-1] is None else cells for cells in rows]
    kinds = [_letters_of(tuple(map(type, cells))) for cells in rows]
    if (lines := _lines(kinds, [[of_row, *cells] for of_row, cells in zip(kinds, rows, strict=True)])) is not None:
        return lines
    if len(rows) == 1:
        return [_tagged_list(*rows)]
    return [text for cells in rows for text in encode_cells([cells], keeps_blank=True)]


def encode_fields(rows: Sequence[Mapping[str, Value]], heads: Sequence[str]) -> list[str]:
    """Return the field values of each of some rows, in their order, as JSON: their names, then their values.

    `heads`: what `head_of_fields` says of each. Runs for every row.
    """
    kinds = [head.rpartition('["')[2] for head in set(heads)]
    if (lines := _lines(kinds, [["", *values.values()] for values in rows])) is not None:
        return [f"{head}{line[_EMPTY_KINDS:]}]" for head, line in zip(heads, lines, strict=True)]
    if len(rows) == 1:
        (values,) = rows
        return [f"[{_encode(tuple(values)).decode()},{_tagged_list(values.values())}]"]
    return [text for one in zip(rows, heads, strict=True) for text in encode_fields(one[:1], one[1:])]


def _lines(kinds: Iterable[str], arrays: Iterable[Sequence[Cell]]) -> list[str] | None:
    """Return each array as JSON; None if one holds what the encoder does not write by itself, as its kinds may say."""
    if any(_OTHER in letters for letters in kinds):
        return None
    try:
        # Split before it is decoded: one wide character would make all rows of the batch take four times the memory.
        return [str(line, "utf-8") for line in _encode_lines(arrays).split(b"\n")[:-1]]
    except _NOT_IN_JSON:
        return None


def _without_blank_end(cells: Sequence[Cell]) -> Sequence[Cell]:
    count = len(cells)
    while count and cells[count - 1] is None:
        count -= 1
    return cells[:count]


def head_of_fields(values: Mapping[str, Value]) -> str:
    """Return which fields a row sends, and values of which kinds they have, in a form that most rows share."""
    return _head(tuple(values), tuple(map(type, values.values())))


@lru_cache(maxsize=256)
def names_in_head(head: str) -> tuple[list[str], list[str]]:
    """Return the names of the fields that rows of a head send, and of those that they clear."""
    names, (kinds,) = _decode(f"{head}]]")
    return names, [name for name, kind in zip(names, kinds, strict=True) if kind == "-"]


@lru_cache(maxsize=256)
def _head(names: tuple[str, ...], types: tuple[type, ...]) -> str:
    return f'[{_encode(names).decode()},["{_letters_of(types)}"'


@lru_cache(maxsize=256)
def _letters_of(types: tuple[type, ...]) -> str:
    return "".join(_KINDS.get(kind, _OTHER) for kind in types)


def _tagged_list(cells: Iterable[Cell]) -> str:
    return _encode([None, *map(_tagged, cells)]).decode()


_TAGGED: dict[type, Callable[[Any], list[object]]] = {
    Decimal: lambda cell: ["n", str(cell)],
    date: lambda cell: ["d", cell.isoformat()],
    datetime: lambda cell: ["dt", cell.isoformat()],
    time: lambda cell: ["t", cell.isoformat()],
    timedelta: lambda cell: ["s", cell.days, cell.seconds, cell.microseconds],
    PartlyShownDate: lambda cell: ["p", cell.isoformat(), cell.hidden],
    PartlyShownDateTime: lambda cell: ["pt", cell.isoformat(), cell.hidden],
    CellError: lambda cell: ["e", cell.code, _tagged(cell.text)],
    FormattedNumber: lambda cell: [
        "f", _tagged(cell.number), _tagged(cell.text), _tagged(cell.format), cell.effect.name, cell.currency,
    ],
}  # fmt: skip


def _tagged(cell: Cell) -> object:
    """Return one cell as JSON's own type, or as an array of a tag and its parts."""
    if isinstance(cell, str):
        return cell if _is_utf8(cell) else ["u", cell.encode("utf-16-le", "surrogatepass").hex()]
    if isinstance(cell, int) and abs(cell) >= _LARGEST_INT:
        return ["i", str(cell)]
    return _TAGGED[type(cell)](cell) if type(cell) in _TAGGED else cell


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_UNTAGGED: dict[str, Callable[..., Cell]] = {
    "n": Decimal,
    "d": date.fromisoformat,
    "dt": datetime.fromisoformat,
    "t": time.fromisoformat,
    "s": timedelta,
    "p": lambda day, hidden: PartlyShownDate.of(date.fromisoformat(day), hidden),
    "pt": lambda moment, hidden: PartlyShownDateTime.of(datetime.fromisoformat(moment), hidden),
    "e": lambda code, text: CellError(code, _untagged(text)),  # type: ignore[arg-type]
    "f": lambda number, text, pattern, effect, currency: FormattedNumber(
        _untagged(number), _untagged(text), _untagged(pattern), ShownAs[effect], currency,  # type: ignore[arg-type]
    ),
    "u": lambda hexadecimal: bytes.fromhex(hexadecimal).decode("utf-16-le", "surrogatepass"),
    "i": int,
}  # fmt: skip


def _untagged(value: object) -> Cell:
    if value is None or isinstance(value, (str, int)):
        return value
    if not isinstance(value, list):
        raise TypeError("a value of no kind")
    tag, *parts = value
    return _UNTAGGED[tag](*parts)


class UndecodableError(ValueError):
    """A text is none that this module writes."""


def decode_cells(text: str) -> list[Cell]:
    """Return the cells of a row as they were in the file. Raises UndecodableError."""
    try:
        return _decoded(_decode(text))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise UndecodableError(str(error)) from error


def decode_fields(text: str) -> dict[str, Value]:
    """Return field values in their order. Raises UndecodableError."""
    try:
        names, values = _decode(text)
        return dict(zip(names, _decoded(values), strict=True))
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise UndecodableError(str(error)) from error


def _decoded(values: list[Any]) -> list[Cell]:
    kinds, *cells = values
    if kinds is None:
        return list(map(_untagged, cells))
    types, readers = _types_and_readers(kinds)
    if tuple(map(type, cells)) != types:
        raise TypeError("the kinds of the values are not those that they are said to have")
    for at, read in readers:
        cells[at] = read(cells[at])
    return cells


@lru_cache(maxsize=256)
def _types_and_readers(kinds: str) -> tuple[tuple[type, ...], list[tuple[int, Callable[[str], Cell]]]]:
    """Return what values of these kinds are in JSON, and which of them are then read, by position."""
    readers = [(at, _READERS[kind]) for at, kind in enumerate(kinds) if kind in _READERS]
    return tuple(map(_IN_JSON.__getitem__, kinds)), readers


def as_list(items: Iterable[int | str]) -> str:
    """Return numbers or texts as the statements take a list of them."""
    return _encode([*items]).decode()


def encode_problems(problems: Sequence[Problem]) -> str | None:
    """Return problems as JSON; None if there are none."""
    # The standard library's: an answer of an API may hold half a surrogate.
    return json.dumps([asdict(problem) for problem in problems]) if problems else None


def decode_problems(text: str | None) -> tuple[Problem, ...]:
    """Return problems. Raises UndecodableError."""
    if text is None:
        return ()
    with suppress(msgspec.MsgspecError, UnicodeEncodeError):  # as for half a surrogate, which the other way can read
        return _decode_problems(text)
    try:
        return typed(json.loads(text), tuple[Problem, ...])
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UndecodableError(str(error)) from error
