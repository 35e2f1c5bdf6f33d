"""One request that meets a fault, and what the fault may do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from batch_updater.sandbox.responses import ApiResponse
from batch_updater.sandbox.update import Call, Received


class Exchange(msgspec.Struct, frozen=True):
    """A request and its connection."""

    request: web.BaseRequest
    received: Received
    call: Call
    revoke_token: Callable[[], None]

    def hang_up(self) -> None:
        """End the connection as soon as what was written has gone out."""
        if self.request.transport is not None:
            self.request.transport.close()

    def write(self, data: bytes) -> None:
        """Send bytes as they are, if there still is a connection."""
        if self.request.transport is not None:
            self.request.transport.write(data)

    async def begin(self, headers: dict[str, str]) -> web.StreamResponse:
        """Send the head of an answer with the status 200."""
        response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
        self.received.status = response.status
        await response.prepare(self.request)
        return response


class FaultKind(msgspec.Struct, frozen=True):
    """One fault, or a family of them."""

    name: str
    """`drop-after`; N in it is a whole number, as in `status-N`."""
    meaning: str
    applied: bool
    """Whether the update is carried out all the same."""
    play: Callable[[Exchange, int], ApiResponse | Awaitable[web.StreamResponse]]
    """Answers the request, or breaks off; the number is N, or 0."""
    lowest: int = 0
    highest: int = 600_000
    """The largest N."""


def as_response(answer: ApiResponse) -> web.Response:
    """Return an answer as the server sends it."""
    kind, _, charset = answer.content_type.partition("; charset=")
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=kind,
        charset=charset or "utf-8",
        headers=answer.headers or None,
    )
