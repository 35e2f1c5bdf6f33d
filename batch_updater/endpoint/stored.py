"""An `Endpoint` as a run and the cache hold it: a JSON text, from which it is read back as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from batch_updater.endpoint.description import Endpoint
from batch_updater.text.typed_values import typed

_TAGGED = {Decimal: "number", date: "date"}
_READERS: dict[str, Callable[[str], object]] = {"number": Decimal, "date": date.fromisoformat}


def encode_endpoint(endpoint: Endpoint) -> str:
    """Return the endpoint as JSON, the same text for the same endpoint."""
    told: Any = msgspec.to_builtins(endpoint, builtin_types=(Decimal, date), order="deterministic")
    for field in _fields(told):
        field["enum"] = [{_TAGGED[type(one)]: str(one)} if type(one) in _TAGGED else one for one in field["enum"]]
    return msgspec.json.encode(told).decode()


def digest_of(endpoint: Endpoint) -> str:
    """Return SHA-256 (hex) of an endpoint as it is stored."""
    return hashlib.sha256(encode_endpoint(endpoint).encode()).hexdigest()


def decode_endpoint(text: str | bytes) -> Endpoint:
    """Return an endpoint. Raises ValueError for a text that `encode_endpoint` does not write."""
    try:
        told = msgspec.json.decode(text)
        for field in _fields(told):
            field["enum"] = [_enum_value(one) for one in field["enum"]]
        return typed(told, Endpoint, str_keys=True)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _fields(part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the fields of an endpoint, or of an open part of a body, and those of the open parts in it."""
    yield from part["fields"]
    for inner in part.get("opens", ()):
        yield from _fields(inner)


def _enum_value(told: object) -> object:
    if isinstance(told, dict):
        ((tag, text),) = told.items()
        return _READERS[tag](text)
    if told is not None and not isinstance(told, (str, int)):
        raise TypeError(f"{told!r} is no value of a field")
    return told
