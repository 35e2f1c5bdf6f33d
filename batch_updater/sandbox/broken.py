"""Faults of the connection: no answer, or one without an end."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from batch_updater.sandbox.exchange import Exchange

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
    transport = exchange.request.transport
    if transport is not None:
        transport.write(b"\x15\x03\x01\x00\x02\x02\x46")
    exchange.hang_up()
    return web.Response()
