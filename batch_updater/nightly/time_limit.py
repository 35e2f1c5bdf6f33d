"""Tries what may fail or hang without any bearing on the night: within a time limit, and said instead of raised."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_left_behind: list[threading.Thread] = []


def end_if_left_behind(exit_code: int) -> None:
    """End the process at once if something that was tried still goes on: at its exit Python would wait for it.

    Libraries start threads of their own, which a thread left behind cannot end.
    """
    if any(thread.is_alive() for thread in _left_behind):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def tried(work: Callable[[], str | None], limit_s: float) -> str | None:
    """Do the work for so many seconds at most; returns why it failed, None if it did not.

    `work` returns None, or why it failed. Of an exception nothing is told: its text may quote an address, which may
    hold a secret. What takes longer is left behind in a thread that ends with the process.
    """
    failures: list[str] = [f"it took longer than {limit_s:g} s"]

    def attempt() -> None:
        try:
            why = work()
        except Exception:  # noqa: BLE001  (other people's code; nothing it raises may change the night)
            why = "it failed in a way that was not foreseen"
        failures[:] = [why] if why else []

    thread = threading.Thread(target=attempt, name="attempt", daemon=True)
    thread.start()
    try:
        thread.join(limit_s)
    finally:  # a signal may end the waiting
        if thread.is_alive():
            _left_behind.append(thread)
    return next(iter(failures), None)
