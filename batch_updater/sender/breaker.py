"""The circuit breaker: while the service only fails, one probe at a time goes out instead of every row."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Protocol

from batch_updater.sender.shutdown import Shutdown

_FAILURES_ALONE = 10
"""So many failures in a row, with no other answer between them, open the breaker."""
_NO_CONNECTION_COUNTS = 3
"""A connection that cannot be made is never a row's fault, so it counts for more than an answer."""
_RETRIES_FREE = 100
"""Repeats that a run may make whatever its size, before its retry budget counts."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0

_log = logging.getLogger("batch_updater.sender")


class ServiceDown(Exception):  # noqa: N818  (an observation, not an error of ours)
    """The service has answered nothing but failures for as long as the run may wait."""


class CircuitBreaker(Protocol):
    """What the sender needs of a circuit breaker, whether it is this process's alone or a team's."""

    turn: asyncio.Lock
    """Held by the row that probes."""

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes may go out."""

    def answered(self) -> None:
        """Take note of an answer that is neither 429 nor 5xx."""

    def allows(self, *, requests: int, retries: int) -> bool:
        """Whether the budget for repeats is not spent."""

    def failed(self, what: str, *, unreachable: bool, requests: int, retries: int) -> None:
        """Take note of a 429, a 5xx or no answer, in words; `requests` and `retries` have gone out so far."""

    async def before_probe(self) -> None:
        """Wait until the next probe is due. Call it with `turn` held, and only while the breaker is open.

        Raises ServiceDown if the last one allowed has failed, ShuttingDown if the run is ending.
        """


class Failures:
    """Counts failures that come alone, and repeats against their budget."""

    def __init__(self, retry_budget: float) -> None:
        self._retry_budget = retry_budget
        self._alone = 0

    def end_series(self) -> None:
        """Take note of an answer that is none."""
        self._alone = 0

    def allow(self, *, requests: int, retries: int) -> bool:
        """Whether the budget for repeats is not spent."""
        return retries < _RETRIES_FREE + self._retry_budget * requests

    def add(self, what: str, *, unreachable: bool, requests: int, retries: int) -> str | None:
        """Take note of one more, in words; returns why a breaker that is closed has to open, or None."""
        self._alone += _NO_CONNECTION_COUNTS if unreachable else 1
        if self._alone >= _FAILURES_ALONE:
            return f"nothing but failures; the last: {what.rstrip('.')}"
        if not self.allow(requests=requests, retries=retries):
            return f"too many repeats were needed; the last: {what.rstrip('.')}"
        return None


class Breaker:
    """Opens when failures come alone or the retry budget is spent; any other answer closes it.

    While it is open, rows wait for `turn` and one of them at a time is sent as a probe, with growing pauses. After
    `max_wait_s` without success `before_probe` raises ServiceDown.
    """

    def __init__(
        self,
        max_wait_s: float,
        retry_budget: float,
        shutdown: Shutdown,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._max_wait_s = max_wait_s
        self._failures = Failures(retry_budget)
        self._shutdown = shutdown
        self._clock = clock
        self._chance = chance
        self._opened_at: float | None = None
        self._deadline = 0.0
        self._probes = 0
        self._pause_s = FIRST_PAUSE_S
        self._next_probe_at = 0.0
        self.turn = asyncio.Lock()
        """Held by the row that probes; given to the waiting rows in the order in which they came."""

    @property
    def is_open(self) -> bool:
        """Whether nothing but probes may go out."""
        return self._opened_at is not None

    @property
    def next_probe_s(self) -> float:
        """How long the next probe has to wait, in seconds; 0 or less if it need not."""
        return min(self._next_probe_at, self._deadline) - self._clock()

    def answered(self) -> None:
        """Take note of an answer that is neither 429 nor 5xx: the service works."""
        self._failures.end_series()
        if self._opened_at is not None:
            _log.warning("breaker closed", extra={"event": "breaker closed", "why": "the service answers again"})
            self._opened_at = None

    def allows(self, *, requests: int, retries: int) -> bool:
        """Whether the budget for repeats is not spent."""
        return self._failures.allow(requests=requests, retries=retries)

    def failed(self, what: str, *, unreachable: bool, requests: int, retries: int) -> None:
        """Take note of a 429, a 5xx or no answer, in words; `requests` and `retries` have gone out so far."""
        why = self._failures.add(what, unreachable=unreachable, requests=requests, retries=retries)
        if self._opened_at is not None:
            self._next_probe_at = self._clock() + self._jittered_pause_s()
        elif why is not None:
            self._open(why)

    async def before_probe(self) -> None:
        """Wait until the next probe is due. Call it with `turn` held, and only while the breaker is open.

        Raises ServiceDown if the last one allowed has failed, ShuttingDown if the run is ending.
        """
        if self._probes and self._clock() >= self._deadline:
            raise ServiceDown
        if (wait_s := self.next_probe_s) > 0:
            if _log.isEnabledFor(logging.INFO):
                _log.info("breaker waits", extra={"event": "breaker waits", "wait_s": round(wait_s, 3)})
            await self._shutdown.pause(wait_s)
        self._probes += 1
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _open(self, why: str) -> None:
        self._opened_at = self._clock()
        self._deadline = self._opened_at + self._max_wait_s
        self._probes = 0
        self._pause_s = FIRST_PAUSE_S
        self._next_probe_at = self._opened_at + self._jittered_pause_s()
        _log.warning("breaker open", extra={"event": "breaker open", "why": why, "wait_s": self._max_wait_s})

    def _jittered_pause_s(self) -> float:
        return self._pause_s * share_of_pause(self._chance)


def share_of_pause(chance: Callable[[], float]) -> float:
    """Return half of a pause that is due, or more, by chance: other programs may be waiting as well."""
    return 0.5 + 0.5 * chance()
