"""The limits of a usage plan, as Amazon API Gateway applies them.

A token bucket refills at the rate and holds as many requests as the burst; a quota counts the admitted ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from batch_updater.sandbox.responses import LIMIT_EXCEEDED, TOO_MANY_REQUESTS


class Gateway:
    """One account's limits, shared by everybody who uses it."""

    def __init__(
        self,
        rate_per_s: float | None,
        burst: int,
        quota: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`burst` 0: as many as one second allows; None: no limit. `clock` gives seconds."""
        self._rate_per_s = rate_per_s
        self._capacity = float(burst or max(1, math.ceil(rate_per_s or 0)))
        self._quota = quota
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Fill the bucket and count from zero."""
        self._permits = self._capacity
        self._filled_at = self._clock()
        self._admitted = 0

    def admit(self) -> str | None:
        """Return why one request is refused; None if it is admitted, and only then uses up anything."""
        if self._quota is not None and self._admitted >= self._quota:
            return LIMIT_EXCEEDED  # waiting does not help
        if self._rate_per_s is not None and not self._take(self._rate_per_s):
            return TOO_MANY_REQUESTS
        self._admitted += 1
        return None

    def _take(self, rate_per_s: float) -> bool:
        now = self._clock()
        self._permits = min(self._capacity, self._permits + (now - self._filled_at) * rate_per_s)
        self._filled_at = now
        # Sums of floating point numbers may stay a hair below a whole permit.
        if self._permits < 1 - 1e-9:
            return False
        self._permits -= 1
        return True
