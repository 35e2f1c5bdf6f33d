"""Turns and permits: one of each for every request that goes out, retries and token requests included."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from batch_updater.sender.shutdown import Shutdown, ShuttingDown

_WINDOW_S = 1.0
_MARGIN_S = 0.004
"""How much later than it could a permit comes where the window is full: so much later than the one after it may a
request arrive at the service, and no second there holds one too many."""
_SLACK_S = 0.003
"""How much later than that the pace fills a window. A request that leaves a little late has not to wait for its permit
as well then, which at 100 a second takes a fifth of what a row takes."""
WINDOW_SLACK_S = _MARGIN_S + _SLACK_S
_CATCH_UP_S = 0.02
"""How far a permit may lag behind its pace without the pace being lost: sleeps overshoot."""
_CONNECTS_WITHIN_S = 0.25
"""How much longer than others a new connection may take before the pace is kept again when its request is written: to
hold every one to the pace would lose a permit for each that comes late."""
_READY_S = 0.1
_READY_AT_LEAST = 3
"""Requests with a connection that may wait for their permits before no more turns are given: as many as the pace takes
in so long. They use what those that come late leave; simulated with connections of 50 to 300 ms, that makes 97% to 99%
of the permits."""
DECREASE = 0.7
_INCREASE_SHARE_PER_S = 0.02
"""Of the configured rate. Simulated against token buckets of 50 to 100 a second, asked for up to 100 times as much:
a larger step or a weaker decrease gets more requests refused, a smaller one leaves more of the service unused."""
_LEAST_INCREASE_PER_S = 2.0
"""Each second, whatever its share of the configured rate: a slow run would take long to recover otherwise."""
_SLOWEST_PER_S = 1.0
"""No decrease goes below this, unless the configured rate does."""


def increase_per_s(rate_per_s: float) -> float:
    """Return by how much the pace grows in a second after it was slowed down."""
    return max(_LEAST_INCREASE_PER_S, rate_per_s * _INCREASE_SHARE_PER_S)


def slowest_per_s(rate_per_s: float) -> float:
    """Return the pace below which it is not slowed down."""
    return min(_SLOWEST_PER_S, rate_per_s)


class RateLimiter(Protocol):
    """What the sender needs of a limiter, whether its permits are this process's alone or a team's."""

    def go_on(self, shutdown: Shutdown) -> None:
        """Serve other requests to the same service, perhaps in another event loop."""

    async def turn(self) -> None:
        """Return when one more request may be made ready to leave. Raises ShuttingDown once the run is ending."""

    async def permit(self) -> None:
        """Return when a request that has a connection may be written; it must be at once, and followed by `take`.

        Raises ShuttingDown once the run is ending.
        """

    @property
    def is_free(self) -> bool:
        """Whether a request may be written now, before none that has waited longer."""

    def take(self) -> None:
        """Take a permit for the request that has just been written."""

    def pace_per_s(self) -> float:
        """Return how many permits a second are given just now."""

    def throttled(self, written_at: float) -> bool:
        """Slow down, because the service refused a request that was written at that moment; returns whether."""

    def pause(self, seconds: float) -> None:
        """Let nothing at all go out for so long."""


class ReadyRequests:
    """The requests that have their connections and wait for their permits, of which a pace needs only a few."""

    def __init__(self, rate_per_s: float) -> None:
        self._most = max(_READY_AT_LEAST, int(rate_per_s * _READY_S))
        self._count = 0
        self.room = asyncio.Event()
        """Set while they are few enough for further turns."""
        self.room.set()

    def count(self, more: int) -> None:
        """Count so many more of them, or less."""
        self._count += more
        if self._count < self._most:
            self.room.set()
        else:
            self.room.clear()

    async def wait_for_room(self) -> None:
        """Return while they are few enough for a further turn."""
        while not self.room.is_set():
            await self.room.wait()


class Limiter:
    """Lets requests leave so that no one-second window holds more than `rate_per_s + burst` of them (but at least one).

    A request waits twice. Its turn comes first, before it has a connection: turns are paced evenly at `rate_per_s`; up
    to `burst` may come at once after a lull. Its permit belongs to the moment in which it is written. With a kept
    connection that is the moment of its turn. A new connection may take seconds, and many may be there at once: then
    the permit has to be waited for. The pace keeps the average, the window keeps the promise whatever the pace has
    caught up on.

    The pace adapts to a service that allows less (additive increase, multiplicative decrease): `throttled` slows it
    down, and it then grows evenly until it is the configured one again.
    """

    def __init__(
        self, rate_per_s: float, burst: int, shutdown: Shutdown, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate_per_s = rate_per_s
        self._full_tolerance_s = self._tolerance_s = max(burst / rate_per_s, _CATCH_UP_S)
        """How far turns may lag behind their pace: a burst is for a service that keeps up."""
        self._most = max(1, int(rate_per_s + burst))
        self._least_interval_s = (_WINDOW_S + WINDOW_SLACK_S) / self._most
        self._recent: deque[float] = deque()
        """When the requests of the last second left."""
        self._clock = clock
        self._next_turn_at = 0.0
        self._next_permit_at = 0.0
        """When the next turn and the next permit are due by the pace, if nothing is caught up on."""
        self._paused_until = 0.0
        self._slowed_to_per_s = rate_per_s
        self._slowed_at: float | None = None
        """None while the pace is the configured one."""
        self.go_on(shutdown)

    def go_on(self, shutdown: Shutdown) -> None:
        """Serve other requests to the same service, perhaps in another event loop: what was learned holds for them."""
        self._shutdown = shutdown
        self._turns = asyncio.Lock()
        self._permits = asyncio.Lock()
        self._ready = ReadyRequests(self._rate_per_s)

    async def turn(self) -> None:
        """Return when one more request may be made ready to leave. Raises ShuttingDown once the run is ending."""
        if self._turns.locked() or not self._ready.room.is_set() or self._shutdown.is_set() or self.turn_wait_s() > 0:
            async with self._turns:
                await self._wait(self.turn_wait_s)
                await self._ready.wait_for_room()
                if self._shutdown.is_set():
                    raise ShuttingDown
        self.take_turn()

    async def permit(self) -> None:
        """Return when a request that has a connection may be written; it must be at once, and followed by `take`.

        Raises ShuttingDown once the run is ending.
        """
        self._ready.count(1)
        try:
            async with self._permits:
                await self._wait(self.permit_wait_s)
        finally:
            self._ready.count(-1)

    async def _wait(self, wait_s: Callable[[], float]) -> None:
        while (left_s := wait_s()) > 0:
            await self._shutdown.pause(left_s)
        if self._shutdown.is_set():
            raise ShuttingDown

    @property
    def is_free(self) -> bool:
        """Whether a request may be written now, before none that has waited longer."""
        return not self._permits.locked() and self.permit_wait_s() <= 0

    def turn_wait_s(self) -> float:
        """Return how long the next turn has to wait, in seconds; 0 or less if it need not."""
        return max(self._next_turn_at - self._tolerance_s, self._paused_until) - self._clock()

    def permit_wait_s(self) -> float:
        """Return how long the next permit has to wait, in seconds; 0 or less if it need not."""
        earliest = max(self._next_permit_at - self._tolerance_s - _CONNECTS_WITHIN_S, self._paused_until)
        if len(self._recent) >= self._most:
            earliest = max(earliest, self._recent[0] + _WINDOW_S + _MARGIN_S)
        return earliest - self._clock()

    def take_turn(self) -> None:
        """Take a turn now; the caller has waited for it."""
        interval_s = max(1 / self.pace_per_s(), self._least_interval_s)
        self._next_turn_at = max(self._next_turn_at, self._clock()) + interval_s

    def take(self) -> None:
        """Take a permit for the request that has just been written; the caller has waited for it.

        It is taken after the request has left: then the clock shows no less than when it did, however busy the machine.
        """
        now = self._clock()
        self._next_permit_at = max(self._next_permit_at, now) + 1 / self.pace_per_s()
        self._recent.append(now)
        while self._recent[0] <= now - _WINDOW_S - _MARGIN_S:
            self._recent.popleft()

    def pace_per_s(self) -> float:
        """Return how many permits a second are given just now."""
        if self._slowed_at is None:
            return self._rate_per_s
        grown_s = max(0.0, self._clock() - max(self._slowed_at, self._paused_until))
        pace_per_s = self._slowed_to_per_s + increase_per_s(self._rate_per_s) * grown_s
        if pace_per_s < self._rate_per_s:
            return pace_per_s
        self._slowed_at = None
        self._tolerance_s = self._full_tolerance_s
        return self._rate_per_s

    def throttled(self, written_at: float) -> bool:
        """Slow down, because the service refused a request that was written at that moment; returns whether.

        It does so once for all the requests that were in flight together: those after the first say nothing new.
        """
        if self._slowed_at is not None and written_at <= self._slowed_at:
            return False
        self._slowed_to_per_s = max(slowest_per_s(self._rate_per_s), self.pace_per_s() * DECREASE)
        self._slowed_at = self._clock()
        self._tolerance_s = _CATCH_UP_S
        return True

    def pause(self, seconds: float) -> None:
        """Let nothing at all go out for so long: the service asked for it (Retry-After, RFC 9110, section 10.2.3)."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
