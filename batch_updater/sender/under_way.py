"""Everything that waits for an answer just now, so that it can be ended at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class UnderWay:
    """The time limits of all requests that are under way, those for tokens included."""

    def __init__(self) -> None:
        self._timeouts: set[asyncio.Timeout] = set()
        self.is_cut = False

    def add(self, timeout: asyncio.Timeout) -> None:
        """Take note of a limit that is about to be entered."""
        self._timeouts.add(timeout)

    def discard(self, timeout: asyncio.Timeout) -> None:
        """Forget a limit that has been left."""
        self._timeouts.discard(timeout)

    @asynccontextmanager
    async def limited(self, seconds: float) -> AsyncIterator[None]:
        """Limit a block to so many seconds, or until everything is cut. Raises TimeoutError."""
        timeout = asyncio.timeout(seconds)
        self.add(timeout)
        try:
            async with timeout:
                yield
        finally:
            self.discard(timeout)

    def cut(self) -> None:
        """End everything under way now, as if its time were up."""
        self.is_cut = True
        now = asyncio.get_running_loop().time()
        for timeout in self._timeouts:
            if not timeout.expired():  # one whose time is up already cannot be changed any more
                timeout.reschedule(now)
