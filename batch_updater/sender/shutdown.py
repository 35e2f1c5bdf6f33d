"""Shutdown signal: wakes every task that is waiting."""

from __future__ import annotations

import asyncio
import math


class ShuttingDown(Exception):  # noqa: N818  (no error: a person or a rule ended the run)
    """The run is ending: nothing more may go out."""


class Shutdown(asyncio.Event):
    """Set once nothing new may start; ends the pauses that are being made.

    A pause is one future and one timer: `asyncio.timeout` around `wait` cancels the task and catches that again, which
    at a low rate, where every request has to wait for its permit, took a seventh of what sending a row takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.why = ""
        """The reason that rows get which are not sent because of it."""
        self._pauses: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """End every pause, those to come included."""
        super().set()
        for over in self._pauses:
            end_pause(over)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the run goes on. Raises ShuttingDown if it is ending."""
        if self.is_set():
            raise ShuttingDown
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        # uvloop rounds to whole milliseconds: less than half of one would be no pause at all, and a caller that looks
        # at the clock again would go round and round.
        timer = loop.call_later(math.ceil(seconds * 1000) / 1000, end_pause, over)
        try:
            await self.until(over)
        finally:
            timer.cancel()

    async def until(self, over: asyncio.Future[None]) -> None:
        """Wait for a future, but not longer than the run goes on. Raises ShuttingDown if it is ending."""
        if self.is_set():
            raise ShuttingDown
        self._pauses.add(over)
        try:
            await over
        finally:
            self._pauses.discard(over)
        if self.is_set():
            raise ShuttingDown


def end_pause(over: asyncio.Future[None]) -> None:
    """End what is waited for, unless it has ended."""
    if not over.done():
        over.set_result(None)
