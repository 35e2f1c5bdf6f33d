"""Serving the sandbox on loopback: inside a program that has an event loop, or in a thread beside one that has none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from batch_updater.sandbox.app import App
from batch_updater.sandbox.loop_thread import LoopThread
from batch_updater.sandbox.record_store import Record
from batch_updater.sandbox.settings import SandboxSettings
from batch_updater.sandbox.update import Received

__all__ = ["Sandbox", "SandboxSettings", "running"]

_END_WITHIN_S = 0.2
"""How long requests in flight may take to end when the sandbox does."""


@asynccontextmanager
async def running(settings: SandboxSettings, app: App | None = None) -> AsyncIterator[str]:
    """Serve until the block ends; gives the URL, without a slash at its end. Raises OSError if the port is taken."""
    # The low-level server has no router: the app looks at the path as it stood on the wire.
    server = web.Server((app or App(settings)).handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_END_WITHIN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Sandbox:
    """A sandbox in a thread of its own, from `with` to its end."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings or SandboxSettings()
        self._app = App(self._settings)
        self.url = ""

    def __enter__(self) -> Self:
        self._loop = LoopThread("sandbox")
        self._served = running(self._settings, self._app)
        try:
            self.url = self._loop.run(self._served.__aenter__())
        except OSError:
            self._loop.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.settle()
        self._loop.run(self._served.__aexit__(None, None, None))
        self._loop.end()

    @property
    def received(self) -> tuple[Received, ...]:
        """Every request of clients of the API, in the order in which they arrived."""
        return tuple(self._app.received)

    def record(self, kind: str, identity: int) -> Record | None:
        """Return a record as it now stands; None if there is none."""
        return self._app.store.get(kind, identity)
