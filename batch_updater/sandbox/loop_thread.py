"""An event loop in a thread of its own, beside a program that has none."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

_T = TypeVar("_T")
_LOOK_EVERY_S = 0.001
_LOOKS_AT_MOST = 1000
"""How often to look whether connections are gone when the loop ends, a second or more: what a peer still holds after
that is left as it is. Looks and not seconds, because a machine may stand still for longer than those."""
_QUIET_ROUNDS = 10
"""Rounds of the loop without a watched socket: one that was just accepted or left lacks two or three of them."""


class LoopThread:
    """A running event loop; `end` waits until its connections are gone, so that no socket is left behind unclosed."""

    def __init__(self, name: str) -> None:
        # A selector of our own tells which sockets the loop still watches; the loop itself does not say.
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._own = len(self._selector.get_map())
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine in the loop and wait for its end. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def call(self, step: Callable[[], object]) -> None:
        """Have the loop do something that needs no waiting."""
        self._loop.call_soon_threadsafe(step)

    def settle(self) -> None:
        """Take the connections that have come; call it before a server is closed.

        One that asyncio has accepted, but not yet begun to serve when its server closes, is never closed.
        """

        async def some_rounds() -> None:
            for _ in range(_QUIET_ROUNDS):
                await asyncio.sleep(0)

        self.run(some_rounds())

    def end(self) -> None:
        """Wait for the connections' ends, about a second at most; then end loop and thread."""

        async def connections_gone() -> None:
            looks = quiet = 0
            while quiet < _QUIET_ROUNDS and looks < _LOOKS_AT_MOST:
                looks += 1
                watched = len(self._selector.get_map()) > self._own
                quiet = 0 if watched else quiet + 1
                await asyncio.sleep(_LOOK_EVERY_S if watched else 0)

        self.run(connections_gone())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
