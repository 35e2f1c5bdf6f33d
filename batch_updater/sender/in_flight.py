"""Every request that is in flight: its time limit, and a way to end it at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from operator import itemgetter


class Outgoing:
    """A request whose time runs."""

    __slots__ = ()

    @property
    def is_written(self) -> bool:
        """Whether it was written, so that it may be applied; one for a token applies nothing."""
        return False


class InFlight:
    """Cancels the task of a request that takes longer than `timeout_s`, as `asyncio.timeout` does.

    All requests have the same limit, those for tokens too, so that the one that began first is the first to time out,
    and one timer serves all. A timer for each took a twentieth of the time that a row takes.
    """

    def __init__(self, timeout_s: float) -> None:
        self.is_cancelled = False
        """Whether the run has ended without waiting for answers."""
        self._timeout_s = timeout_s
        self._ends_at: dict[Outgoing, float] = {}
        """Request -> when its time is up, the earliest first. On the monotonic clock: uvloop's own is slow to ask."""
        self._tasks: dict[Outgoing, asyncio.Task[object]] = {}
        self._timed_out: set[Outgoing] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, request: Outgoing, task: asyncio.Task[object]) -> None:
        """Let the time of a request run, which the task, the current one, is about to send."""
        self._tasks[request] = task
        self._ends_at[request] = time.monotonic() + self._timeout_s
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._end_overdue)

    def stop(self, request: Outgoing) -> None:
        """Let it run no longer."""
        del self._ends_at[request]
        task = self._tasks.pop(request)
        if request in self._timed_out:  # it was cancelled, but something else came of it
            self._timed_out.remove(request)
            task.uncancel()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stop the clock of the current task's request while it waits for a permit; it is not cancelled either."""
        current = asyncio.current_task()
        request, task = next((one for one in self._tasks.items() if one[1] is current), (None, None))
        if request is None or task is None:  # its time is limited in another way
            yield
            return
        left_s = self._ends_at.pop(request) - time.monotonic()
        del self._tasks[request]
        try:
            yield
        finally:
            self._tasks[request] = task
            self._ends_at[request] = time.monotonic() + left_s
            self._ends_at = dict(sorted(self._ends_at.items(), key=itemgetter(1)))
            if self._timer is not None:
                self._timer.cancel()
            self._end_overdue()

    def timed_out(self, request: Outgoing) -> bool:
        """Whether the cancellation that has just arrived came from here, and from nowhere else as well."""
        if request not in self._timed_out:
            return False
        self._timed_out.remove(request)
        return self._tasks[request].uncancel() == 0

    @asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """Limit a block to the time of a request, or until everything is cancelled. Raises TimeoutError."""
        request, task = Outgoing(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is sent outside any task")
        self.start(request, task)
        try:
            yield
        except asyncio.CancelledError:
            if self.timed_out(request):
                raise TimeoutError from None
            raise
        finally:
            self.stop(request)

    def cancel_unsent(self) -> None:
        """End what has not been written yet, and every request for a token: nothing can be applied by them."""
        for request in self._tasks:
            if not request.is_written:
                self._end(request)

    def cancel_all(self) -> None:
        """End everything in flight now, as if its time were up."""
        self.is_cancelled = True
        for request in self._tasks:
            self._end(request)

    def _end_overdue(self) -> None:
        self._timer = None
        for request, ends_at in self._ends_at.items():
            if (left_s := ends_at - time.monotonic()) > 0:
                self._timer = asyncio.get_running_loop().call_later(left_s, self._end_overdue)
                break
            self._end(request)

    def _end(self, request: Outgoing) -> None:
        if request not in self._timed_out:  # once is enough
            self._timed_out.add(request)
            self._tasks[request].cancel()
