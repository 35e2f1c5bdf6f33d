"""Permits: one for every request that goes out, retries and token requests included."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW_S = 1.0
_MARGIN_S = 0.0005
"""Clocks and event loops round; a permit that comes this much later than it could is never one too early."""
_CATCH_UP_S = 0.02
"""How far a permit may lag behind its pace without the pace being lost: sleeps overshoot."""


class Stopped(Exception):  # noqa: N818  (no error: somebody asked for it)
    """The run is ending: nothing more may go out."""


class Limiter:
    """Gives permits so that no one-second window holds more than `rate_per_s + burst` of them (but at least one).

    Permits are paced evenly at `rate_per_s`; up to `burst` may come at once after a lull. Two rules together: the
    pace keeps the average, the window keeps the promise whatever the pace has caught up on.
    """

    def __init__(
        self, rate_per_s: float, burst: int, stopping: asyncio.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s = 1 / rate_per_s
        self._tolerance_s = max(burst * self._interval_s, _CATCH_UP_S)
        self._recent: deque[float] = deque(maxlen=max(1, int(rate_per_s + burst)))
        self._stopping = stopping
        self._clock = clock
        self._paced_at = 0.0
        self._paused_until = 0.0
        self._turn = asyncio.Lock()
        self.permits = 0

    async def permit(self) -> None:
        """Return when one request may go out. Raises Stopped once the run is ending."""
        async with self._turn:
            while (wait_s := self.wait_s()) > 0:
                await pause(wait_s, self._stopping)
            if self._stopping.is_set():
                raise Stopped
            self.take()

    def wait_s(self) -> float:
        """Return how long the next permit has to wait, in seconds; 0 or less if it need not."""
        earliest = max(self._paced_at - self._tolerance_s, self._paused_until)
        if len(self._recent) == self._recent.maxlen:
            earliest = max(earliest, self._recent[0] + _WINDOW_S + _MARGIN_S)
        return earliest - self._clock()

    def take(self) -> None:
        """Take a permit now; the caller has waited for it."""
        now = self._clock()
        self._paced_at = max(self._paced_at, now) + self._interval_s
        self._recent.append(now)
        self.permits += 1

    def pause(self, seconds: float) -> None:
        """Let nothing at all go out for so long: the service asked for it (Retry-After, RFC 9110, section 10.2.3)."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, but not longer than the run goes on. Raises Stopped if it is ending."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
    raise Stopped
