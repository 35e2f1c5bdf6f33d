"""Records of our own types from JSON and from what it holds, in any number of threads at once.

msgspec (0.22) puts what it knows of a type into place before it is complete, and a thread that comes to the type
meanwhile ends the whole process with a segmentation fault. So one thread makes each type ready before it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")
_LOCK = threading.Lock()


@cache
def _make_ready(kind: object) -> None:
    with _LOCK:
        msgspec.json.Decoder(kind)


def typed(
    value: object, kind: type[_T], hook: Callable[[Any, Any], object] | None = None, *, str_keys: bool = False
) -> _T:
    """Return a value as `msgspec.convert` does. Raises ValidationError."""
    _make_ready(kind)  # type: ignore[arg-type]  # any type is hashable
    return msgspec.convert(value, kind, dec_hook=hook, str_keys=str_keys)


def typed_json(content: str | bytes, kind: type[_T], hook: Callable[[Any, Any], object] | None = None) -> _T:
    """Return what JSON holds as `msgspec.json.decode` does. Raises DecodeError, of which ValidationError is one."""
    _make_ready(kind)  # type: ignore[arg-type]  # any type is hashable
    return msgspec.json.decode(content, type=kind, dec_hook=hook)
