"""The garbage collector, while objects are made by the hundred thousand and nearly none of them in a circle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_COLLECTED_EVERY = 50_000
"""Objects, instead of Python's 700."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the garbage collector look for circles seldom, and not go over what there is by now.

    It buys a tenth of sending and a twentieth of staging. Afterwards it is as it was: the process may belong to a
    program that uses the library. Where another thread is in here it is so already, and that thread sets it back.
    """
    before = gc.get_threshold()
    if before[0] == _COLLECTED_EVERY:
        yield
        return
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
