"""A proxy on loopback, for connections that are asked for with CONNECT (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_updater.sandbox.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterator


NO_HOST = ".".join(["no-host" * 8] * 5)
"""A name that cannot be looked up anywhere: it is too long (RFC 1035, section 2.3.4), so no name server is asked."""


@dataclass
class Proxy:
    """Where it listens, and what it was asked."""

    address: str
    """Host and port."""
    asked: list[str] = field(default_factory=list)
    """First lines of the requests, in turn."""


def answer(status: int, **headers: str) -> bytes:
    """Return a whole answer without a body."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} No\r\n{lines}Content-Length: 0\r\n\r\n".encode()


@contextmanager
def proxy(*answers: bytes, port: int = 0) -> Iterator[Proxy]:
    """Serve a proxy that gives these answers to requests, in turn, and closes each connection; `b""`: no answer.

    After them, and without any, it makes every connection that is asked for, to a `port` of this machine.
    """
    left = list(answers)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if not first.isalpha():
                return  # TLS
            head = first + await reader.readuntil(b"\r\n\r\n")
            serving.asked.append(head.decode().partition("\r\n")[0])
            if left or not port:
                writer.write(left.pop(0) if left else b"")
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            behind, before = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_passed_on(reader, before), _passed_on(behind, writer), return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left, or speaks no HTTP
        finally:
            writer.close()

    async def ended() -> None:
        server.close()

    loop = LoopThread("proxy")
    server = loop.run(asyncio.start_server(connected, "127.0.0.1", 0))
    serving = Proxy(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield serving
    finally:
        loop.settle()
        loop.run(ended())
        loop.end()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()
