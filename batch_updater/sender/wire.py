"""The last step before the wire: a connection that can be trusted, the permit, and the request written at once.

Between the permit and the last byte of a request the event loop has no turn, so that a permit belongs to the moment in
which its request leaves, and no byte that was there before it can be taken for its answer.
"""

from __future__ import annotations

import errno
import functools
import logging
import select
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import aiohttp
from aiohttp import ClientResponse
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import TimerNoop
from aiohttp.http import StreamWriter

if TYPE_CHECKING:
    import asyncio
    import ssl

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from batch_updater.sender.limiter import Limiter
    from batch_updater.sender.under_way import UnderWay

_log = logging.getLogger("batch_updater.sender")


class Departure(Protocol):
    """A request of a row, from its turn to the moment in which it leaves."""

    def connects(self) -> None:
        """Take note that a connection is asked for; raises what keeps it from being asked for twice."""

    def leaves(self) -> None:
        """Take note that the request is written now; raises what keeps it from being written."""


DEPARTURE: ContextVar[Departure | None] = ContextVar("DEPARTURE", default=None)
"""The request that the current task is sending; None for one for a token."""


class AnswerReader(ResponseHandler):
    """One connection, which takes for an answer only what comes after its request was written.

    HTTP/1.1 has nothing but the order of answers to tell which request one belongs to (RFC 9112, section 9.3.2).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, connector: Connector) -> None:
        super().__init__(loop)
        self._connector = connector
        self._socket: _Watched | None = None
        self.is_used = False
        """Whether a request has ever been written to it. What a proxy answers before that is for aiohttp."""
        self._is_idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection's socket."""
        super().connection_made(transport)
        self._socket = _Watched(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        """Take what came; unasked, it ends the connection, and whatever waits for an answer on it waits in vain."""
        is_asked = not self._is_idle and not (self.is_used and self._is_being_written())
        if is_asked or not data:  # aiohttp hands on nothing to go on with what it has
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(aiohttp.ClientConnectionError("bytes came before the request had been written"))
            self.transport.abort()
            if self._is_idle:
                self._connector.distrust()

    def _is_being_written(self) -> bool:
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def is_usable(self, *, is_tls: bool) -> bool:
        """Whether the next bytes that come will be the answer to a request that is written now."""
        if self._socket is None or not self.is_connected() or self.should_close:
            return False
        # What has just arrived on a new connection with TLS may be its session ticket.
        return (is_tls and not self.is_used) or not self._socket.is_readable()

    def written(self) -> None:
        """Take note that a request has been written."""
        self.is_used = True
        self._is_idle = False
        self._connector.limiter.take()

    def rest(self) -> None:
        """Take note that an answer has come to its end."""
        self._is_idle = True
        if self._connector.is_distrusting:
            self.force_close()


class _Watched:
    """A socket, and whether the kernel holds bytes of it that the event loop has not seen."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)

    if hasattr(select, "poll"):

        def is_readable(self) -> bool:
            """Whether bytes, the end of the stream or an error wait to be read."""
            return bool(self._poll.poll(0))
    else:  # Windows

        def is_readable(self) -> bool:
            """Whether bytes, the end of the stream or an error wait to be read."""
            return bool(select.select([self._descriptor], [], [], 0)[0])


class WrittenAtOnce(aiohttp.ClientRequest):
    """A request that writes head and body in one step; aiohttp's own leaves the body to a task of its own."""

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request; its body is all in memory."""
        reader = conn.protocol
        if not isinstance(reader, AnswerReader):
            raise TypeError("a request is sent through another connector")
        body = await self.body.as_bytes() if self.body else b""
        target = str(self.url) if self.proxy and not self.is_ssl() else self.url.raw_path_qs
        writer = StreamWriter(reader, self.loop)
        await writer.write_headers(f"{self.method} {target} HTTP/1.1", self.headers)
        if body:
            await writer.write(body, drain=False)
        writer.set_eof()
        reader.written()
        conn.add_callback(reader.rest)
        return ClientResponse(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=TimerNoop(),
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self.session,
            stream_writer=writer,
        )


class Connector(aiohttp.TCPConnector):
    """Gives a connection that can be trusted, in the moment in which its request may be written.

    aiohttp asks for a connection before every physical sending of a request, its own silent repeats included, and
    writes the request (`WrittenAtOnce`) in the same step in which it is given one.
    """

    def __init__(self, limit: int, tls: ssl.SSLContext | bool, limiter: Limiter, under_way: UnderWay) -> None:
        super().__init__(limit=limit, ssl=tls)
        self._factory = functools.partial(AnswerReader, self._loop, self)  # type: ignore[assignment]
        self._under_way = under_way
        self.limiter = limiter
        self.is_distrusting = False
        """Whether the service has answered unasked: from then on every request gets a connection of its own."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's)
    ) -> Connection:
        """Give a connection, a kept one or a new one; raises what the departure, the limiter and aiohttp raise."""
        departure = DEPARTURE.get()
        if departure is not None:
            departure.connects()
        has_failed = False
        while True:
            connection = await super().connect(req, traces, timeout)  # name, TCP, proxy and TLS all happen in there
            try:
                reader = await self._permitted(connection)
                if reader.is_usable(is_tls=req.is_ssl()) and not (self.is_distrusting and reader.is_used):
                    if departure is not None:
                        departure.leaves()
                    return connection
            except BaseException:
                connection.release()
                raise
            connection.close()
            if not reader.is_used:
                if has_failed:
                    why = OSError(errno.ECONNRESET, "it ends new connections, or speaks before it is asked")
                    raise aiohttp.ClientConnectorError(req.connection_key, why)
                has_failed = True

    async def _permitted(self, connection: Connection) -> AnswerReader:
        """Return the connection's reader when a request may be written to it."""
        if not self.limiter.is_free:  # it took its time to connect, and others have left meanwhile
            with self._under_way.suspended():
                await self.limiter.permit()
        if not isinstance(connection.protocol, AnswerReader):
            raise TypeError("a connection was made by something else")
        return connection.protocol

    def distrust(self) -> None:
        """Keep no connection any more: what came unasked may be the answer to any request before."""
        if not self.is_distrusting:
            self.is_distrusting = True
            why = "the service sent an answer that no request had asked for: each now has a connection of its own"
            _log.warning("unasked answer", extra={"event": "unasked answer", "why": why})
