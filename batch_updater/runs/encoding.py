"""Cells, field values and problems as the run's table holds them: JSON texts that come back as exactly what they were.

Texts, whole numbers, truth values and blanks are JSON's own. Everything else is an array of a tag and its parts:
`["n", "12.50"]` is a Decimal, `["d", "2025-12-31"]` a date.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from batch_updater.records import Cell, CellError, FormattedNumber, PartlyShownDate, Problem, ShownAs, Value

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_JSON_TYPES = frozenset({str, int, bool, type(None)})
_LARGEST_INT = 2**63


def encode_cells(cells: Sequence[Cell], *, is_ragged: bool = False) -> str:
    """Return the cells of a row as JSON, those of a ragged row with blank ones at the end. Runs for every row."""
    count = len(cells)
    while count and cells[count - 1] is None and not is_ragged:
        count -= 1
    cells = cells[:count]
    try:
        if _JSON_TYPES.issuperset(map(type, cells)):
            return _encode(cells).decode()
        return _encode([cell if type(cell) in _JSON_TYPES else _tagged(cell) for cell in cells]).decode()
    except (OverflowError, UnicodeEncodeError):  # a number, or a text with half a surrogate, that JSON cannot hold
        return _encode([_tagged(cell) for cell in cells]).decode()


def encode_fields(values: Mapping[str, Value]) -> str:
    """Return field values, in their order, as JSON. Runs for every row: kept lean."""
    try:
        if _JSON_TYPES.issuperset(map(type, values.values())):
            return _encode(values).decode()
        return _encode(
            {name: value if type(value) in _JSON_TYPES else _tagged(value) for name, value in values.items()}
        ).decode()
    except (OverflowError, UnicodeEncodeError):
        return _encode({name: _tagged(value) for name, value in values.items()}).decode()


_TAGGED: dict[type, Callable[[Any], list[object]]] = {
    Decimal: lambda cell: ["n", str(cell)],
    date: lambda cell: ["d", cell.isoformat()],
    datetime: lambda cell: ["dt", cell.isoformat()],
    time: lambda cell: ["t", cell.isoformat()],
    timedelta: lambda cell: ["s", cell.days, cell.seconds, cell.microseconds],
    PartlyShownDate: lambda cell: ["p", cell.isoformat(), cell.hidden],
    CellError: lambda cell: ["e", cell.code, _tagged(cell.text)],
    FormattedNumber: lambda cell: [
        "f", _tagged(cell.number), _tagged(cell.text), _tagged(cell.format), cell.effect.name, cell.currency,
    ],
}  # fmt: skip


def _tagged(cell: Cell) -> object:
    """Return one cell as JSON's own type, or as an array of a tag and its parts."""
    kind = type(cell)
    if isinstance(cell, str):
        return cell if _is_utf8(cell) else ["u", cell.encode("utf-16-le", "surrogatepass").hex()]
    if isinstance(cell, int) and abs(cell) >= _LARGEST_INT:
        return ["i", str(cell)]
    return cell if kind in _JSON_TYPES else _TAGGED[kind](cell)


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
    "e": lambda code, text: CellError(code, _untagged(text)),  # type: ignore[arg-type]
    "f": lambda number, text, pattern, effect, currency: FormattedNumber(
        _untagged(number), _untagged(text), _untagged(pattern), ShownAs[effect], currency,  # type: ignore[arg-type]
    ),
    "u": lambda hexadecimal: bytes.fromhex(hexadecimal).decode("utf-16-le", "surrogatepass"),
    "i": int,
}  # fmt: skip


def _untagged(value: object) -> Cell:
    if not isinstance(value, list):
        return value  # type: ignore[return-value]
    tag, *parts = value
    return _UNTAGGED[tag](*parts)


class UndecodableError(ValueError):
    """A text is none that this module writes."""


def decode_cells(text: str) -> list[Cell]:
    """Return the cells of a row as they stood in the file. Raises UndecodableError."""
    try:
        cells = _decode(text)
        if type(cells) is not list or float in set(map(type, cells)) or dict in set(map(type, cells)):
            raise UndecodableError("no list of cells")
        return [cell if type(cell) is not list else _untagged(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise UndecodableError(str(error)) from error


def decode_fields(text: str) -> dict[str, Value]:
    """Return field values in their order. Raises UndecodableError."""
    try:
        values = _decode(text)
        if type(values) is not dict:
            raise UndecodableError("no field values")
        return {
            name: value if type(value) is not list else _untagged(value)  # type: ignore[misc]
            for name, value in values.items()
        }
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise UndecodableError(str(error)) from error


def encode_problems(problems: Sequence[Problem]) -> str | None:
    """Return problems as JSON; None if there are none."""
    # The standard library's: an answer of an API may hold half a surrogate.
    return json.dumps([asdict(problem) for problem in problems]) if problems else None


def decode_problems(text: str | None) -> tuple[Problem, ...]:
    """Return problems. Raises UndecodableError."""
    if text is None:
        return ()
    try:
        return msgspec.convert(json.loads(text), tuple[Problem, ...])
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UndecodableError(str(error)) from error
