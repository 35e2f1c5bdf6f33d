"""Servers of tests, each in a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from batch_updater.sandbox.loop_thread import LoopThread

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp import web


class InThread:
    """Serves from `with` to its end; `_start` makes the runner and says where it listens."""

    async def _start(self) -> web.AppRunner | web.ServerRunner:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._loop = LoopThread(type(self).__name__)
        self._runner = self._loop.run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.settle()
        self._loop.run(self._runner.cleanup())
        self._loop.end()
