"""The types of records, made ready for being read by several threads.

msgspec learns how a type is read when it is first read, and two threads that do so at once end the process with a
segmentation fault (msgspec 0.21). So everything is learned before the first thread begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

_OURS = "batch_updater."


def prepare_types() -> None:
    """Let msgspec learn every type of the modules that are imported by now; takes some 50 ms."""
    for kind in (*_below(msgspec.Struct), *_below(tuple)):
        is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
        if kind.__module__.startswith(_OURS) and (is_named_tuple or issubclass(kind, msgspec.Struct)):
            with suppress(TypeError, NameError):  # one that is never read
                msgspec.json.Decoder(kind)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    below: list[type[Any]] = kind.__subclasses__()
    for one in below:
        yield one
        yield from _below(one)
