"""Calls that may hang beyond any time limit, such as the system's name look-up, in a thread that can be abandoned."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def in_daemon_thread(call: Callable[[], _T]) -> Future[_T]:
    """Call a function in a thread that does not keep the program from ending. Raises OSError if none can be started."""
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()

    def do() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001  (raised again where the result is awaited)
            done.set_exception(error)

    try:
        threading.Thread(target=do, daemon=True).start()
    except RuntimeError as error:  # the system gives no more threads
        raise OSError(errno.EAGAIN, "no thread can be started") from error
    return done
