"""The last step before the wire: a connection that can be trusted, the permit, and the request written at once.

Between the permit and the last byte of a request the event loop has no turn, so that a permit belongs to the moment in
which its request leaves, and no byte that was there before it can be taken for its answer.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp import ClientResponse
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.hdrs import CONTENT_LENGTH
from aiohttp.helpers import TimerNoop
from aiohttp.http import HttpProcessingError, StreamWriter
from aiohttp.tracing import Trace
from multidict import CIMultiDictProxy
from yarl import URL

from batch_updater.daemon_thread import in_daemon_thread
from batch_updater.endpoint.request import Request
from batch_updater.sender.answer import Answer
from batch_updater.sender.classify import is_refusal
from batch_updater.sender.in_flight import InFlight, Outgoing
from batch_updater.sender.limiter import RateLimiter

_log = logging.getLogger("batch_updater.sender")


class RowRequest(Outgoing, msgspec.Struct, eq=False):
    """One request of a row and its answer, from the moment in which it asks for a connection."""

    before_write: Callable[[], None]
    """Called in the moment in which the request is written; raises what keeps it from being written."""
    reader: AnswerReader | None = None
    on_kept_connection: bool = False
    written_at: float | None = None
    """When it was written, on the monotonic clock: only then it can have been applied."""
    refusal: Answer | None = None
    """The answer as far as its status, if that is no success: it counts even if the rest does not come."""

    @property
    def is_written(self) -> bool:
        """Whether the request was written."""
        return self.written_at is not None


_KEPT_FOR_S = 15.0
"""How long a connection may be idle before its next request; many services end theirs after a little more."""
_DOUBTED_FOR_S = 0.05
_DOUBTED_AT_MOST_S = 2.0
_ROUNDS_TO_CLOSE = 10
"""Rounds of the event loop after which the socket of a connection that has ended is closed."""


async def sockets_closed() -> None:
    """Give the event loop the rounds in which it closes the sockets of connections that have ended.

    It closes none by itself once the coroutine that it runs has returned.
    """
    for _ in range(_ROUNDS_TO_CLOSE):
        await asyncio.sleep(0)


class AnswerReader(ResponseHandler):
    """One connection, which takes for an answer only what comes after its request was written.

    HTTP/1.1 has nothing but the order of answers to tell which request one belongs to (RFC 9112, section 9.3.2).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, connector: Connector) -> None:
        super().__init__(loop)
        self._connector = connector
        self._is_readable: Callable[[], bool] = bool  # False, before there is a connection
        """Whether the kernel holds bytes, the end or an error of the socket that wait to be read."""
        self.is_used = False
        """Whether a request has ever been written to it. What a proxy answers before that is for aiohttp."""
        self._is_idle = False
        self._awaits_status = False
        self._was_used = False
        """Whether the request that is being answered is not the first one."""
        self.is_doubted = False
        """Whether the last answer is a refusal that may have been meant for an earlier request."""
        self.has_spoken_unasked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection's socket."""
        super().connection_made(transport)
        descriptor = transport.get_extra_info("socket").fileno()
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            self._is_readable = lambda: bool(poll.poll(0))
        else:  # Windows
            self._is_readable = lambda: bool(select.select([descriptor], [], [], 0)[0])

    def data_received(self, data: bytes) -> None:
        """Take what came; unasked, it ends the connection, and whatever waits for an answer on it waits in vain."""
        is_being_written = self.transport is not None and self.transport.get_write_buffer_size() > 0
        is_asked = not self._is_idle and not (self.is_used and is_being_written)
        if is_asked or not data:  # aiohttp hands on nothing to go on with what it has
            if self._awaits_status and data:
                status = data[9:12]  # of `HTTP/1.1 404 ...` (RFC 9112, section 4)
                self._awaits_status = status[:1] == b"1"  # an interim answer is followed by another
                self.is_doubted = self._was_used and status.isdigit() and is_refusal(int(status))
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(aiohttp.ClientConnectionError("bytes came before the request had been written"))
            self.transport.abort()
            self.has_spoken_unasked = True
            if self._is_idle:
                self._connector.distrust("bytes came that no request had asked for")

    @property
    def has_more(self) -> bool:
        """Whether more than the answer came with it."""
        return bool(self._buffer or self._tail)

    def is_usable(self, *, is_tls: bool) -> bool:
        """Whether the next bytes that come will be the answer to a request that is written now."""
        if not self.is_connected() or self.should_close:
            return False
        # What has just arrived on a new connection with TLS may be its session ticket.
        return (is_tls and not self.is_used) or not self._is_readable()

    def written(self) -> None:
        """Take note that a request has been written."""
        self._was_used, self.is_used = self.is_used, True
        self._is_idle = False
        self._awaits_status = True
        self._connector.limiter.take()

    def close(self) -> None:
        """Let go of the socket now: TLS would wait for the other side's farewell, beyond the end of the event loop."""
        self.abort()

    def rest(self) -> None:
        """Take note that an answer has come to its end."""
        self._is_idle = True
        if self._connector.is_distrusting:
            self.force_close()
            self.abort()


class WrittenAtOnce(aiohttp.ClientRequest):
    """A request that writes head and body in one step; aiohttp's own leaves the body to a task of its own."""

    async def send(self, conn: Connection) -> ClientResponse:
        """Write the request; its body is all in memory."""
        reader = cast("AnswerReader", conn.protocol)
        body = await self.body.as_bytes() if self.body else b""
        target = str(self.url) if self.proxy and not self.is_ssl() else self.url.raw_path_qs
        writer = StreamWriter(reader, self.loop)
        await writer.write_headers(f"{self.method} {target} HTTP/1.1", self.headers)
        if body:
            await writer.write(body, drain=False)
        writer.set_eof()
        reader.written()
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


class RequestHead:
    """What all requests of one method with one token share: where they go, and their headers.

    It is made of a request of aiohttp's, once. One for each row takes about as long as everything else about the row.
    """

    def __init__(self, method: str, base: str, headers: Mapping[str, str], proxy: str | None) -> None:
        self.request = aiohttp.ClientRequest(method, URL(base), headers=headers, proxy=URL(proxy) if proxy else None)
        """By which connections are made."""
        self._lines = b""
        self._takes_length = method not in aiohttp.ClientRequest.GET_METHODS
        is_whole = proxy is not None and not self.request.is_ssl()  # RFC 9112, section 3.2.2
        self._start = f"{method} {self.request.url.origin() if is_whole else ''}".encode()

    def of(self, target: str, size_bytes: int, headers: Sequence[tuple[str, str]]) -> bytes:
        """Return the head of a request to a path and query, with a body of that size.

        `headers` are its own; they replace none of those that all have.
        """
        if not self._lines or self.request.proxy:  # a login at a proxy is added once there is a connection
            lines = [f"{name}: {value}" for name, value in self.request.headers.items() if name != CONTENT_LENGTH]
            if any("\r" in line or "\n" in line for line in lines):
                raise ValueError("a header holds a line break")
            self._lines = "".join(f"{line}\r\n" for line in lines).encode()
        own = b""
        if headers:
            shared = self.request.headers
            own = "".join(f"{name}: {value}\r\n" for name, value in headers if name not in shared).encode("ascii")
        length = b"Content-Length: %d\r\n" % size_bytes if size_bytes or self._takes_length else b""
        return b"%b%b HTTP/1.1\r\n%b%b%b\r\n" % (self._start, target.encode(), self._lines, own, length)


class AnswerHead(msgspec.Struct, frozen=True):
    """An answer as far as its headers. Its connection has to be released or closed."""

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    connection: Connection
    request: aiohttp.ClientRequest

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        """What it answers, as aiohttp's errors say it."""
        return self.request.request_info


class _Lookups:
    """As much of an event loop as aiohttp's resolver uses, with look-ups that can be left behind.

    The system's look-up takes as long as it takes. An event loop makes it in threads that it waits for when it ends, so
    that a run whose name server hangs could not be ended for a minute.
    """

    def getaddrinfo(self, host: Any, port: Any, **how: int) -> Awaitable[Any]:
        return asyncio.wrap_future(in_daemon_thread(functools.partial(socket.getaddrinfo, host, port, **how)))

    def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Awaitable[Any]:
        return asyncio.wrap_future(in_daemon_thread(functools.partial(socket.getnameinfo, sockaddr, flags)))


class Connector(aiohttp.TCPConnector):
    """Gives a connection that can be trusted, in the moment in which its request may be written.

    A request is written in the step in which it is given a connection: that of a row by `exchange`, one for a token
    by aiohttp's session (`WrittenAtOnce`).
    """

    def __init__(
        self, limit: int, tls: ssl.SSLContext | bool, limiter: RateLimiter, in_flight: InFlight,
        connect_timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        resolver = aiohttp.ThreadedResolver(cast("asyncio.AbstractEventLoop", _Lookups()))
        super().__init__(limit=limit, ssl=tls, resolver=resolver)
        self._factory = functools.partial(AnswerReader, self._loop, self)  # type: ignore[assignment]
        self._in_flight = in_flight
        self._kept: deque[tuple[Connection, float]] = deque()
        """Connections for further rows, and since when they are idle; for aiohttp they are still being used."""
        self.timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        self.limiter = limiter
        self.is_distrusting = False
        """Whether the service has answered unasked: from then on every request gets a connection of its own."""
        self.doubt_s = _DOUBTED_FOR_S
        """How long a connection is left alone after a refusal that may have been meant for an earlier request."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],  # noqa: ARG002  (there are none)
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's)
    ) -> Connection:
        """Give a connection for a request that aiohttp's session writes."""
        return await self._connected(req, None, timeout)

    async def exchange(self, head: RequestHead, target: str, request: Request, outgoing: RowRequest) -> AnswerHead:
        """Write one request, once, to a path and query, and return its answer as far as its headers.

        aiohttp's session would send it a second time by itself where a kept connection dies. Raises what
        `RowRequest.before_write`, the limiter and aiohttp raise.
        """
        connection = await self._connected(head.request, outgoing, self.timeout)
        reader = cast("AnswerReader", connection.protocol)
        try:
            reader.set_response_params(read_until_eof=True)
            body = request.body
            cast("asyncio.Transport", reader.transport).write(head.of(target, len(body), request.headers) + body)
            reader.written()
            while True:
                message, content = await reader.read()
                if message.code >= 200 or message.code == 101:  # others are interim answers (RFC 9110, section 15.2)
                    return AnswerHead(message.code, message.headers, content, connection, head.request)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                head.request.request_info, (), status=error.code, message=error.message, headers=error.headers
            ) from error
        except BaseException:
            connection.close()
            raise

    async def _connected(
        self, req: aiohttp.ClientRequest, outgoing: RowRequest | None, limits: aiohttp.ClientTimeout
    ) -> Connection:
        """Give a connection, a kept one or a new one, that may be written to now."""
        has_failed = False
        while True:
            connection = self._kept_one() if outgoing is not None else None
            if connection is None:
                connection = await super().connect(req, [], limits)  # name, TCP, proxy and TLS all happen in there
            elif req.proxy:
                self._update_proxy_auth_header_and_build_proxy_req(req)  # as aiohttp does where it keeps them
            reader = cast("AnswerReader", connection.protocol)
            try:
                if not self.limiter.is_free:  # it took its time to connect, and others have left meanwhile
                    with self._in_flight.suspended():
                        await self.limiter.permit()
                if reader.is_usable(is_tls=req.is_ssl()) and not (self.is_distrusting and reader.is_used):
                    if outgoing is not None:
                        outgoing.before_write()
                        outgoing.reader, outgoing.on_kept_connection = reader, reader.is_used
                        outgoing.written_at = time.monotonic()
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

    def keep(self, connection: Connection) -> None:
        """Take back the connection of a row whose answer was read to its end.

        The next row takes it from here: by way of aiohttp's own pool that takes a tenth of a row's time.
        """
        reader = cast("AnswerReader", connection.protocol)
        if reader.is_doubted or self.is_distrusting or reader.should_close:
            connection.release()
        else:
            reader.rest()
            self._kept.append((connection, time.monotonic()))

    def _kept_one(self) -> Connection | None:
        while self._kept:
            connection, idle_since = self._kept.popleft()
            if time.monotonic() - idle_since <= _KEPT_FOR_S:
                return connection
            connection.close()
        return None

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection."""
        while self._kept:
            self._kept.popleft()[0].close()
        await super().close(abort_ssl=abort_ssl)

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if isinstance(protocol, AnswerReader):  # and not what stands for a connection that is being made
            protocol.rest()
            if protocol.is_doubted and not should_close and protocol.is_connected():
                # If it was another request's, the right answer is still to come: then the connection must be idle.
                self._loop.call_later(self.doubt_s, super()._release, key, protocol)
                return
        super()._release(key, protocol, should_close=should_close)

    async def is_for_another_request(self, reader: AnswerReader) -> bool:
        """Whether a refusal that is doubted may have been meant for an earlier request on its connection.

        The answer that follows it shows that; of a service that has answered unasked before, none is waited for.
        """
        if not self.is_distrusting:
            await asyncio.sleep(self.doubt_s)
        return self.is_distrusting or reader.has_spoken_unasked or reader.has_more

    def expect_answers_within(self, first_answer_s: float) -> None:
        """Wait in doubt for as long as an answer may take, judged by the first one."""
        self.doubt_s = min(max(_DOUBTED_FOR_S, 2 * first_answer_s), _DOUBTED_AT_MOST_S)

    def distrust(self, why: str) -> None:
        """Keep no connection any more, and use none that is kept: its next answer may be to any request before."""
        if not self.is_distrusting:
            self.is_distrusting = True
            said = f"{why}: each request now has a connection of its own"
            _log.warning("connections not kept", extra={"event": "connections not kept", "why": said})
