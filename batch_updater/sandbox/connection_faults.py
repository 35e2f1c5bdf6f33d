"""Faults of the connection: no answer, one without an end, or one too many."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from batch_updater.sandbox.http_exchange import Exchange, FaultKind, as_response
from batch_updater.sandbox.responses import ApiResponse, invalid_answer, not_found_answer, record_answer

_BLANKS = b" " * 65_536
_DRIP_EVERY_S = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST in place of FIN."""


def _break_off(*, after: bool, reset: bool = False) -> Callable[[Exchange, int], ApiResponse]:
    """Return what ends the connection at once, before or after the request is done; what it returns is never seen."""

    def play(exchange: Exchange, _: int) -> ApiResponse:
        if after:
            exchange.call.process()
        if transport := exchange.request.transport:
            if reset:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        return ApiResponse(200, b"")

    return play


def _cut_off(*, chunked: bool) -> Callable[[Exchange, int], Awaitable[web.StreamResponse]]:
    """Return what sends half of the bytes that the head promises, or that a last chunk would end."""

    async def play(exchange: Exchange, _: int) -> web.StreamResponse:
        body = exchange.call.process().body
        response = await exchange.begin({} if chunked else {"Content-Length": str(len(body))})
        await response.write(body[: len(body) // 2])
        exchange.hang_up()
        return response

    return play


def _endless(piece: bytes, every_s: float) -> Callable[[Exchange, int], Awaitable[web.StreamResponse]]:
    """Return what sends this until the client leaves."""

    async def play(exchange: Exchange, _: int) -> web.StreamResponse:
        exchange.call.process()
        response = await exchange.begin({})
        while True:
            await response.write(piece)
            if every_s:
                await asyncio.sleep(every_s)

    return play


def _hang(*, after: bool) -> Callable[[Exchange, int], Awaitable[web.StreamResponse]]:
    """Return what never answers, be it done before."""

    async def play(exchange: Exchange, _: int) -> web.StreamResponse:
        if after:
            exchange.call.process()
        # The server cancels this when the client leaves, and when it ends itself.
        forever: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
        return await forever

    return play


async def _second_record(exchange: Exchange, milliseconds: int) -> web.StreamResponse:
    other = exchange.call.find_record(1)
    return await _twice(exchange, not_found_answer() if other is None else record_answer(other), milliseconds)


async def _twice(exchange: Exchange, second: ApiResponse, milliseconds: int) -> web.StreamResponse:
    """Answer, and later answer on the same connection what nothing asked for."""
    response = as_response(exchange.call.process())
    await response.prepare(exchange.request)
    await response.write_eof()
    if milliseconds:
        asyncio.get_running_loop().call_later(milliseconds / 1000, exchange.write, second.on_the_wire())
    else:
        exchange.write(second.on_the_wire())
    return response


def _interim(exchange: Exchange, status: int) -> ApiResponse:
    """Send an interim answer (RFC 9110, section 15.2) before the right one."""
    exchange.write(f"HTTP/1.1 {status} Wait\r\n\r\n".encode())
    return exchange.call.process()


def _not_http(exchange: Exchange, _: int) -> ApiResponse:
    """Send what a TLS server says to a client that speaks plain HTTP."""
    exchange.write(b"\x15\x03\x01\x00\x02\x02\x46")
    exchange.hang_up()
    return ApiResponse(200, b"")


CONNECTION_FAULTS = (
    FaultKind("drop-before", "breaks the connection off without an answer", False, _break_off(after=False)),
    FaultKind("drop-after", "applies the update, then breaks off without an answer", True, _break_off(after=True)),
    FaultKind("reset-before", "as drop-before, by a TCP reset", False, _break_off(after=False, reset=True)),
    FaultKind("reset-after", "as drop-after, by a TCP reset", True, _break_off(after=True, reset=True)),
    FaultKind("cut-off", "applies the update, and breaks off in the middle of the answer", True,
              _cut_off(chunked=False)),
    FaultKind("cut-off-chunked", "as cut-off, in an answer without a stated length", True, _cut_off(chunked=True)),
    FaultKind("endless", "applies the update, and answers without an end", True, _endless(_BLANKS, 0)),
    FaultKind("drip", "applies the update, and answers one byte at a time without an end", True,
              _endless(b" ", _DRIP_EVERY_S)),
    FaultKind("hang", "never answers", False, _hang(after=False)),
    FaultKind("hang-after", "applies the update and never answers", True, _hang(after=True)),
    FaultKind("second-answer-N", "answers, and refuses N milliseconds later unasked", True,
              lambda exchange, n: _twice(exchange, invalid_answer("The request is not valid."), n)),
    FaultKind("second-record-N", "answers, and reports the next record N ms later", True, _second_record),
    FaultKind("interim-N", "answers after an interim answer with that status", True, _interim, 100, 199),
    FaultKind("not-http", "answers with bytes that are no HTTP", False, _not_http),
)  # fmt: skip
