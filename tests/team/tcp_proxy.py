"""A network between programs and a server that can be cut: nothing arrives then, and no one is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TcpProxy:
    """Passes bytes on between a port of its own and another one, in a thread."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        """Set while the network is whole."""
        self._flows.set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Return once it listens."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Let nothing through, in either direction, of new connections either."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def join(self) -> None:
        """Let everything through again, what was sent meanwhile included."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._pass_on, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        with suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._pump(reader, behind_writer), self._pump(behind_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(content)
                await writer.drain()
        await self._flows.wait()
        writer.close()


@contextmanager
def tcp_proxy(target: int) -> Iterator[TcpProxy]:
    """Give a proxy in front of a port of this machine."""
    proxy = TcpProxy(target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
