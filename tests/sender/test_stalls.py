"""Connections that take long and are there together give no second more requests than the rate allows.

The client itself counts its requests, in the moment in which they are written: whether the machine that runs the tests
has time for the server, and when, makes no difference.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from batch_updater.sandbox.loop_thread import LoopThread
from tests.sender.driver import Run, job, send
from tests.sender.raw import Connection, serving
from tests.sender.test_limiter import busiest_second
from tests.sender.test_wire import OVER_TLS, tls

RATE = 30
WAITING = 40
"""Connections that are held back, and then let go together."""


async def first_ends(connection: Connection) -> None:
    """Answer; the first connection ends with its answer, so that every row after the first needs a new one."""
    while request := await connection.request():
        connection.write(request.answer())
        if connection.number == 1:
            break


class Gate:
    """Lets the first that comes through, holds the others until `WAITING` have come, and lets all go together."""

    def __init__(self) -> None:
        self._came = 0
        self._opens = asyncio.Event()

    async def through(self) -> None:
        self._came += 1
        if self._came > WAITING:
            self._opens.set()
        if self._came > 1:
            await self._opens.wait()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@contextmanager
def gate_before(target: int, *, is_proxy: bool) -> Iterator[int]:
    """Hold connections to a port back: before anything is passed on, or as a proxy that does not answer CONNECT."""
    gate = Gate()
    passing: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        passing.add(task)
        try:
            if is_proxy:
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT ")
            await gate.through()
            if is_proxy:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            behind, before = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(pass_on(reader, before), pass_on(behind, writer), return_exceptions=True)
        finally:
            passing.remove(task)
            writer.close()

    async def ended() -> None:
        server.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    loop = LoopThread("gate")
    server = loop.run(asyncio.start_server(connected, "127.0.0.1", 0, backlog=256))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.settle()
        loop.run(ended())
        loop.end()


@pytest.mark.parametrize(
    ("run", "is_proxy"), [(asyncio.run, False), (uvloop.run, False), (uvloop.run, True)],
    ids=["tls-asyncio", "tls-uvloop", "proxy-uvloop"],
)  # fmt: skip
def test_handshakes_that_end_together_do_not_exceed_the_rate(run: Run, *, is_proxy: bool) -> None:
    """40 connections that stall, in the TLS handshake or at a proxy, and come together, send as the rate allows."""
    written: list[float] = []
    with (
        serving(first_ends, tls()) as server,
        gate_before(int(server.url.rpartition(":")[2]), is_proxy=is_proxy) as port,
    ):
        url = server.url if is_proxy else f"https://localhost:{port}"
        proxy = {"proxy": f"http://127.0.0.1:{port}"} if is_proxy else {}
        sent = send(
            url, [job(n) for n in range(1, WAITING + 11)], rate_per_s=RATE, concurrency=WAITING + 1, run=run,
            api={**OVER_TLS, **proxy, "timeout_s": 60, "connect_timeout_s": 50},
            may_send=lambda: written.append(time.monotonic()),
        )  # fmt: skip
        assert server.connections >= WAITING
    assert set(sent.kinds()) == {"updated"}
    assert len(written) == sent.result.requests
    assert busiest_second(written) <= RATE


def test_names_that_are_found_together_do_not_exceed_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that wait for the resolver, again and again, send as the rate allows."""
    written: list[float] = []
    resolve, calls, never = socket.getaddrinfo, itertools.count(1), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        if next(calls) > 1:
            never.wait(1.5)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)  # the system's resolver, as asyncio calls it

    async def last_of_its_connection(connection: Connection) -> None:
        request = await connection.request()
        assert request
        connection.write(request.answer())

    with serving(last_of_its_connection) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        sent = send(
            url, [job(n) for n in range(1, 61)], rate_per_s=RATE, concurrency=WAITING,
            may_send=lambda: written.append(time.monotonic()),
        )  # fmt: skip
    assert set(sent.kinds()) == {"updated"}
    assert busiest_second(written) <= RATE
