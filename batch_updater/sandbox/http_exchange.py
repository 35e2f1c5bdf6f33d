"""One request that meets a fault: what the fault may do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from batch_updater.sandbox.request_log import Received
from batch_updater.sandbox.responses import ApiResponse
from batch_updater.sandbox.update import Call


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its connection."""

    request: web.BaseRequest
    received: Received
    call: Call
    revoke_token: Callable[[], None]

    def break_off(self) -> web.Response:
        """End the connection at once; the response returned is never seen."""
        if self.request.transport is not None:
            self.request.transport.abort()
        return web.Response()

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
