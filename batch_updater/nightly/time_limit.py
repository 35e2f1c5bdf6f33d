"""Runs what may fail or hang without any bearing on the night: within a time limit, and reported instead of raised."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_hanging: list[threading.Thread] = []


def exit_if_threads_hang(exit_code: int) -> None:
    """End the process at once if something that took too long still goes on: Python would wait for it at its exit.

    Libraries start threads of their own, which a daemon thread cannot end.
    """
    if any(thread.is_alive() for thread in _hanging):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def run_with_timeout(work: Callable[[], str | None], limit_s: float) -> str | None:
    """Do the work for at most `limit_s`; returns why it failed, None if it did not.

    `work` returns None, or why it failed. The text of an exception is not reported: it may quote an address, which may
    hold a secret. Work that takes longer is left in a thread that ends with the process.
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
            _hanging.append(thread)
    return next(iter(failures), None)
