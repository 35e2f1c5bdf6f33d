"""The sandbox's bare mode: a server that confirms every PUT as fast as Python can, for measuring clients.

It judges nothing and stores nothing: it answers with the id, the type and the fields of the request, and with 1 for the
id of a name. `GET /` tells what it saw, as JSON: requests, when the first came and the last answer went, in seconds
since the epoch, and how many came in the second in which most did.

    python -m benchmarks.echo_server [LATENCY_MS]

prints its URL and serves until it is terminated.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from typing import cast

_REQUEST = re.compile(rb"PUT /api/v2/opportunities/([0-9]+)\?opportunityType=(Pre|Post)[^ ]* HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)

_ANSWER = b'{"Type": "%b", "ID": %b, "OpportunityCategoryID": 1, "OpportunityStageID": 1%b%b'


class Seen:
    """What the server saw since it was last asked."""

    def __init__(self) -> None:
        self.requests = 0
        self.first_s = 0.0
        self.last_s = 0.0
        self.most_in_a_second = 0
        self._recent: deque[float] = deque()
        """When those of the last second came."""

    def count(self) -> None:
        """Note that a request has come."""
        now_s = time.time()
        if not self.requests:
            self.first_s = now_s
        self.requests += 1
        self._recent.append(now_s)
        while self._recent[0] <= now_s - 1:
            self._recent.popleft()
        self.most_in_a_second = max(self.most_in_a_second, len(self._recent))

    def take(self) -> bytes:
        """Return it as JSON, and start again."""
        told = {name: getattr(self, name) for name in ("requests", "first_s", "last_s", "most_in_a_second")}
        self.requests = self.most_in_a_second = 0
        self._recent.clear()
        return json.dumps(told).encode()


class BareConnection(asyncio.Protocol):
    """One connection: requests in, answers out, `latency_s` later."""

    def __init__(self, seen: Seen, latency_s: float) -> None:
        self._seen = seen
        self._latency_s = latency_s
        self._kept = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        data = self._kept + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end + 2)
            after = end + 4 + (int(length[1]) if length else 0)
            if len(data) < after:
                break
            self._answer(data, data[end + 4 : after])
            data = data[after:]
        self._kept = data

    def _answer(self, request: bytes, fields: bytes) -> None:
        seen, found = self._seen, _REQUEST.match(request)
        if found is None:
            self._write(seen.take() if request.startswith(b"GET / ") else b"{}")
            return
        seen.count()
        body = _ANSWER % (found[2], found[1], b", " if len(fields) > len(b"{}") else b"", fields[1:])
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._write, body)
        else:
            self._write(body)

    def _write(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % len(body) + body)
            self._seen.last_s = time.time()


async def serve(latency_s: float) -> None:
    """Serve on any free port of this machine; prints the URL."""
    seen = Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BareConnection(seen, latency_s), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve with the latency that the command line asks for."""
    latency_s = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    try:
        import uvloop  # noqa: PLC0415  (where it is installed; twice as fast)
    except ImportError:
        asyncio.run(serve(latency_s))
    else:
        uvloop.run(serve(latency_s))


if __name__ == "__main__":
    main()
