"""Runs what may fail or hang without any bearing on the night: within a time limit, and reported instead of raised."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_hanging: list[threading.Event] = []


def exit_if_threads_hang(exit_code: int) -> None:
    """End the process at once if something that took too long still goes on: Python would wait for it at its exit.

    Libraries start threads of their own, which a daemon thread cannot end.
    """
    if any(not ended.is_set() for ended in _hanging):
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
        ended.set()

    # Not `join`: before Python 3.13 a signal that ends it has `is_alive` call a running thread ended.
    ended = threading.Event()
    try:
        threading.Thread(target=attempt, name="attempt", daemon=True).start()
        ended.wait(limit_s)
    finally:  # a signal may end the waiting
        if not ended.is_set():
            _hanging.append(ended)
    return next(iter(failures), None)
