"""Tries what may fail or hang without any bearing on the night: within a time limit, and said instead of raised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def tried(work: Callable[[], str | None], limit_s: float) -> str | None:
    """Do the work for so many seconds at most; returns why it failed, None if it did not.

    `work` returns None, or why it failed. Of an exception only the kind is told: its text may quote an address, which
    may hold a secret. What takes longer is left behind in a thread that ends with the process.
    """
    failures: list[str] = [f"it took longer than {limit_s:g} s"]

    def attempt() -> None:
        try:
            why = work()
        except Exception as error:  # noqa: BLE001  (other people's code; nothing it raises may change the night)
            why = f"it failed ({type(error).__name__})"
        failures[:] = [why] if why else []

    thread = threading.Thread(target=attempt, name="attempt", daemon=True)
    thread.start()
    thread.join(limit_s)
    return next(iter(failures), None)
