"""Permits: one for every request that goes out, retries and token requests included."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING

from batch_updater.sender.stopping import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from batch_updater.sender.stopping import Stopping

_WINDOW_S = 1.0
_MARGIN_S = 0.01
"""How much later than it could a permit comes where the window is full: as much later may an earlier request arrive at
the service, as those do that have to make their connection first, and no second there holds one too many."""
_CATCH_UP_S = 0.02
"""How far a permit may lag behind its pace without the pace being lost: sleeps overshoot."""
_DECREASE = 0.7
_INCREASE_SHARE_PER_S = 0.02
"""Of the configured rate. Simulated against token buckets of 50 to 100 a second, asked for up to 100 times as much:
a larger step or a weaker decrease gets more requests refused, a smaller one leaves more of the service unused."""
_LEAST_INCREASE_PER_S = 2.0
"""Each second, whatever its share of the configured rate: a slow run would take long to recover otherwise."""
_SLOWEST_PER_S = 1.0
"""No decrease goes below this, unless the configured rate does."""


class Limiter:
    """Gives permits so that no one-second window holds more than `rate_per_s + burst` of them (but at least one).

    Permits are paced evenly at `rate_per_s`; up to `burst` may come at once after a lull. Two rules together: the
    pace keeps the average, the window keeps the promise whatever the pace has caught up on.

    The pace adapts to a service that allows less (additive increase, multiplicative decrease): `throttled` slows it
    down, and it then grows evenly until it is the configured one again.
    """

    def __init__(
        self, rate_per_s: float, burst: int, stopping: Stopping, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate_per_s = rate_per_s
        self._tolerance_s = max(burst / rate_per_s, _CATCH_UP_S)
        self._most = max(1, int(rate_per_s + burst))
        self._recent: deque[float] = deque()
        """When the permits of the last second were given."""
        self._stopping = stopping
        self._clock = clock
        self._paced_at = 0.0
        self._paused_until = 0.0
        self._slowed_to_per_s = rate_per_s
        self._slowed_at = -math.inf
        self._turn = asyncio.Lock()
        self.last_permit_at = 0.0
        """On the clock. Right after `permit`, before anything else is awaited, it is that permit's."""

    def go_on(self, stopping: Stopping) -> None:
        """Serve other requests to the same service, perhaps in another event loop: what was learned holds for them."""
        self._stopping = stopping
        self._turn = asyncio.Lock()

    async def permit(self) -> None:
        """Return when one request may go out. Raises Stopped once the run is ending."""
        if not self._turn.locked() and not self._stopping.is_set() and self.wait_s() <= 0:
            self.take()  # nobody waits, and nobody has to
            return
        async with self._turn:
            while (wait_s := self.wait_s()) > 0:
                await self._stopping.pause(wait_s)
            if self._stopping.is_set():
                raise Stopped
            self.take()

    def wait_s(self) -> float:
        """Return how long the next permit has to wait, in seconds; 0 or less if it need not."""
        # A burst is for a service that keeps up.
        tolerance_s = self._tolerance_s if self._slowed_at == -math.inf else _CATCH_UP_S
        earliest = max(self._paced_at - tolerance_s, self._paused_until)
        if len(self._recent) >= self._most:
            earliest = max(earliest, self._recent[0] + _WINDOW_S + _MARGIN_S)
        return earliest - self._clock()

    def take(self) -> None:
        """Take a permit now; the caller has waited for it."""
        now = self._clock()
        self._paced_at = max(self._paced_at, now) + 1 / self.pace_per_s()
        self._recent.append(now)
        while self._recent[0] <= now - _WINDOW_S - _MARGIN_S:
            self._recent.popleft()
        self.last_permit_at = now

    def pace_per_s(self) -> float:
        """Return how many permits a second are given just now."""
        if self._slowed_at == -math.inf:
            return self._rate_per_s
        grown_s = max(0.0, self._clock() - max(self._slowed_at, self._paused_until))
        increase_per_s = max(_LEAST_INCREASE_PER_S, self._rate_per_s * _INCREASE_SHARE_PER_S)
        pace_per_s = self._slowed_to_per_s + increase_per_s * grown_s
        if pace_per_s < self._rate_per_s:
            return pace_per_s
        self._slowed_at = -math.inf
        return self._rate_per_s

    def throttled(self, permitted_at: float) -> bool:
        """Slow down, because the service refused a request that was permitted at that moment; returns whether.

        It does so once for all the requests that were under way together: those after the first say nothing new.
        """
        if permitted_at <= self._slowed_at:
            return False
        slowest_per_s = min(_SLOWEST_PER_S, self._rate_per_s)
        self._slowed_to_per_s = max(slowest_per_s, self.pace_per_s() * _DECREASE)
        self._slowed_at = self._clock()
        return True

    def pause(self, seconds: float) -> None:
        """Let nothing at all go out for so long: the service asked for it (Retry-After, RFC 9110, section 10.2.3)."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
