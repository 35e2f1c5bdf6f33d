"""JSON of an API to Python's own types and back, with exact numbers: every digit is kept.

msgspec is fast, but refuses what some services send: half a surrogate (a text that was cut inside an emoji), UTF-16,
NaN. Such texts go through the standard library, in both directions.

NaN, the infinities and numbers that are far too long become texts: an exponent of nine digits would fill the memory as
soon as it is written out, and Python does not print integers of more than 4,300 digits. Every number that leaves this
module can be compared, summed up and shown.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation

import msgspec

_LONGEST_NUMBER = 400
"""Characters, digits before the point, and places behind it: enough for every double written out in full."""
_DEEPEST = 100
"""Arrays and objects inside one another, so that no writer runs out of stack."""
_LONG_IN_TEXT = re.compile(f"[0-9]{{{_LONGEST_NUMBER + 1}}}")
_LONG_IN_BYTES = re.compile(_LONG_IN_TEXT.pattern.encode())
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _exact(number: str) -> Decimal | str:
    """Return a number with all its digits; unchanged if it is too long."""
    if len(number) > _LONGEST_NUMBER:
        return number
    try:
        exact = Decimal(number)
    except InvalidOperation:  # an exponent beyond any number
        return number
    return exact if abs(exact.adjusted()) <= _LONGEST_NUMBER else number


_DECODER = msgspec.json.Decoder(float_hook=_exact)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def from_json(text: str | bytes) -> object:
    """Return the value of a JSON text, numbers with a fraction as Decimal. Raises ValueError."""
    if isinstance(text, bytes):
        has_long_number = _LONG_IN_BYTES.search(text) is not None
        brackets = text.count(b"[") + text.count(b"{")
    else:
        has_long_number = _LONG_IN_TEXT.search(text) is not None
        brackets = text.count("[") + text.count("{")
    try:
        value = _read_leniently(text) if has_long_number else _DECODER.decode(text)
    except (ValueError, RecursionError):
        value = _read_leniently(text)
    if brackets <= _DEEPEST:
        return value
    level = [value]
    for _ in range(_DEEPEST + 1):
        containers = [one for one in level if isinstance(one, (dict, list))]
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return value
    raise ValueError("it is nested too deep")


def _read_leniently(text: str | bytes) -> object:
    def whole(number: str) -> int | str:
        return int(number) if len(number.lstrip("-")) <= _LONGEST_NUMBER else number

    try:
        return json.loads(text, parse_float=_exact, parse_int=whole, parse_constant=str)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def number_of(value: object) -> Decimal | None:
    """Return a value of `from_json` as a number, also one in quotation marks; None if it is not a number."""
    if isinstance(value, str):
        bare = value.strip()
        value = _exact(bare) if len(bare) <= _LONGEST_NUMBER and _NUMBER.fullmatch(bare) else None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number or number.copy_abs()


def to_json(value: object) -> str:
    """Return a value of `from_json` as JSON, numbers with their digits."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:
        return _to_ascii_json(value)


def _to_ascii_json(value: object) -> str:
    """Write half a surrogate as an escape, which only the standard library does; a Decimal, which that would round."""
    match value:
        case dict():
            members = [f"{json.dumps(name)}:{_to_ascii_json(member)}" for name, member in value.items()]
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join([_to_ascii_json(item) for item in value])}]"
        case str():
            return json.dumps(value)
        case _:
            return _ENCODER.encode(value).decode()
