"""The circuit breaker: while the service only fails, one probe at a time goes out instead of every row."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from batch_updater.sender.shutdown import Shutdown

_FAILURES_ALONE = 10
"""So many failures in a row, with no other answer between them, open the breaker."""
_NO_CONNECTION_COUNTS = 3
"""A connection that cannot be made is never a row's fault, so it counts for more than an answer."""
_RETRIES_FREE = 100
"""Repeats that a run may make whatever its size, before its retry budget counts."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0

_log = logging.getLogger("batch_updater.sender")


class ServiceDown(Exception):  # noqa: N818  (an observation, not an error of ours)
    """The service has answered nothing but failures for as long as the run may wait."""


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
        self._retry_budget = retry_budget
        self._shutdown = shutdown
        self._clock = clock
        self._chance = chance
        self._alone = 0
        self._opened_at: float | None = None
        self._deadline = 0.0
        self._probes = 0
        self._pause_s = _FIRST_PAUSE_S
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
        self._alone = 0
        if self._opened_at is not None:
            _log.warning("breaker closed", extra={"event": "breaker closed", "why": "the service answers again"})
            self._opened_at = None

    def allows(self, *, requests: int, retries: int) -> bool:
        """Whether the budget for repeats is not spent."""
        return retries < _RETRIES_FREE + self._retry_budget * requests

    def failed(self, what: str, *, unreachable: bool, requests: int, retries: int) -> None:
        """Take note of a 429, a 5xx or no answer, in words; `requests` and `retries` have gone out so far."""
        self._alone += _NO_CONNECTION_COUNTS if unreachable else 1
        if self._opened_at is not None:
            self._next_probe_at = self._clock() + self._jittered_pause_s()
        elif self._alone >= _FAILURES_ALONE:
            self._open(f"nothing but failures; the last: {what.rstrip('.')}")
        elif not self.allows(requests=requests, retries=retries):
            self._open(f"too many repeats were needed; the last: {what.rstrip('.')}")

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
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _open(self, why: str) -> None:
        self._opened_at = self._clock()
        self._deadline = self._opened_at + self._max_wait_s
        self._probes = 0
        self._pause_s = _FIRST_PAUSE_S
        self._next_probe_at = self._opened_at + self._jittered_pause_s()
        _log.warning("breaker open", extra={"event": "breaker open", "why": why, "wait_s": self._max_wait_s})

    def _jittered_pause_s(self) -> float:
        """Return half the pause that is due or more, by chance: other programs may be waiting as well."""
        return self._pause_s * (0.5 + 0.5 * self._chance())
