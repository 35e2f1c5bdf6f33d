"""A server on loopback that decides about every byte, on connections that it tells apart."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from batch_updater.sandbox.loop_thread import LoopThread

REFUSAL = b'HTTP/1.1 400 Bad Request\r\nContent-Length: 28\r\n\r\n{"ValidationMessage": "No."}'


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    connection: int
    """From 1, in the order in which the server took them."""
    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Names in small letters, in their order."""

    def answer(self) -> bytes:
        """Return the right answer: a token, the record, or the record as it was."""
        if self.path == "/oauth/token":
            return whole({"access_token": "t", "expires_in": 3600})
        identity = int(self.path.partition("?")[0].rpartition("/")[2])
        if self.method == "GET":
            return whole([{"ID": identity, "Type": "Pre", "OpportunityName": "before"}])
        return whole({"ID": identity, "Type": "Pre", **json.loads(self.body)})


def whole(content: object) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@dataclass
class Connection:
    """One connection, seen from the server."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[Request]

    async def request(self) -> Request | None:
        """Return the next request; None when the client has left."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = await self.reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, OSError):
            return None
        method, path, _ = head.split(" ", 2)
        lines = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
        headers = tuple((name.lower(), value) for name, _, value in lines)
        self.requests.append(Request(self.number, method, path, body, headers))
        return self.requests[-1]

    def write(self, data: bytes) -> None:
        """Send bytes at once."""
        self.writer.write(data)

    def end(self) -> None:
        """End the connection at once: closing alone would wait for the event loop's next turn."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
        self.writer.close()


@dataclass
class Server:
    """What a server has seen."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def connections_of_updates(self) -> list[int]:
        return [request.connection for request in self.requests if request.method == "PUT"]


@contextmanager
def serving(talk: Callable[[Connection], Awaitable[None]], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve every connection with `talk`, and close it then."""
    server = Server()
    talking: set[asyncio.Task[object]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talking.add(task)
        writers.append(writer)
        server.connections += 1
        try:
            with suppress(OSError):
                await talk(Connection(server.connections, reader, writer, server.requests))
        finally:
            talking.remove(task)
            writer.close()

    async def ended() -> None:
        listening.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # TLS would wait for the other side's farewell

    loop = LoopThread("raw server")
    listening = loop.run(asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, backlog=256))
    server.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        loop.settle()
        loop.run(ended())
        loop.end()
