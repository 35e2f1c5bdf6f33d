"""Faults of the connection: no answer, one without an end, or one too many."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from batch_updater.sandbox import responses as answers
from batch_updater.sandbox.http_exchange import Exchange, as_response
from batch_updater.sandbox.responses import ApiResponse

_BLANKS = b" " * 65_536
_DRIP_EVERY_S = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST in place of FIN."""


async def drop_before(exchange: Exchange, _: int) -> web.StreamResponse:
    """Break off before anything is done."""
    return exchange.break_off()


async def drop_after(exchange: Exchange, _: int) -> web.StreamResponse:
    """Break off after it is done."""
    exchange.call.process()
    return exchange.break_off()


async def reset_before(exchange: Exchange, _: int) -> web.StreamResponse:
    """Reset the connection before anything is done."""
    _reset_on_close(exchange)
    return exchange.break_off()


async def reset_after(exchange: Exchange, _: int) -> web.StreamResponse:
    """Reset the connection after it is done."""
    exchange.call.process()
    _reset_on_close(exchange)
    return exchange.break_off()


def _reset_on_close(exchange: Exchange) -> None:
    transport = exchange.request.transport
    connection = transport.get_extra_info("socket") if transport else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


async def cut_off(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send half of the bytes that the head promises."""
    body = exchange.call.process().body
    response = await exchange.begin({"Content-Length": str(len(body))})
    await response.write(body[: len(body) // 2])
    exchange.hang_up()
    return response


async def cut_off_chunked(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send the first half in chunks, and never the last chunk."""
    body = exchange.call.process().body
    response = await exchange.begin({})
    await response.write(body[: len(body) // 2])
    exchange.hang_up()
    return response


async def endless(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send blanks until the client leaves."""
    exchange.call.process()
    response = await exchange.begin({})
    while True:
        await response.write(_BLANKS)


async def drip(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send one blank at a time until the client leaves."""
    exchange.call.process()
    response = await exchange.begin({})
    while True:
        await response.write(b" ")
        await asyncio.sleep(_DRIP_EVERY_S)


async def hang_before(_: Exchange, __: int) -> web.StreamResponse:
    """Wait until the client leaves."""
    return await _forever()


async def hang_after(exchange: Exchange, _: int) -> web.StreamResponse:
    """Do it, then wait until the client leaves."""
    exchange.call.process()
    return await _forever()


async def _forever() -> web.StreamResponse:
    # The server cancels this when the client leaves, and when it ends itself.
    forever: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await forever


async def not_http(exchange: Exchange, _: int) -> web.StreamResponse:
    """Send what a TLS server says to a client that speaks plain HTTP."""
    exchange.write(b"\x15\x03\x01\x00\x02\x02\x46")
    exchange.hang_up()
    return web.Response()


async def second_answer(exchange: Exchange, milliseconds: int) -> web.StreamResponse:
    """ApiResponse, and later refuse on the same connection what nothing asked for."""
    return await _twice(exchange, answers.invalid_answer("The request is not valid."), milliseconds)


async def second_record(exchange: Exchange, milliseconds: int) -> web.StreamResponse:
    """ApiResponse, and later report the next record on the same connection."""
    other = exchange.call.find_record(1)
    second = answers.not_found_answer() if other is None else answers.record_answer(other)
    return await _twice(exchange, second, milliseconds)


async def _twice(exchange: Exchange, second: ApiResponse, milliseconds: int) -> web.StreamResponse:
    response = as_response(exchange.call.process())
    await response.prepare(exchange.request)
    await response.write_eof()
    if milliseconds:
        asyncio.get_running_loop().call_later(milliseconds / 1000, exchange.write, second.on_the_wire())
    else:
        exchange.write(second.on_the_wire())
    return response


async def interim(exchange: Exchange, status: int) -> web.StreamResponse:
    """Send an interim answer (RFC 9110, section 15.2) before the right one."""
    exchange.write(f"HTTP/1.1 {status} Wait\r\n\r\n".encode())
    return as_response(exchange.call.process())
