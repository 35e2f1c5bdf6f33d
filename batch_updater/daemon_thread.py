"""What may hang beyond any time limit, such as the system's look-up of a name, in a thread that is left behind then."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def in_daemon_thread(call: Callable[[], _T]) -> Future[_T]:
    """Call something in a thread that does not keep the program from ending. Raises OSError if there is no thread."""
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()

    def do() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001  (raised again for whoever waits)
            done.set_exception(error)

    try:
        threading.Thread(target=do, daemon=True).start()
    except RuntimeError as error:  # the system gives no more threads
        raise OSError(errno.EAGAIN, "no thread can be started") from error
    return done
