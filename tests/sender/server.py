"""A small API on loopback that plays a script: what it answers to each request of a record, in turn."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from tests.in_thread import InThread

Answer: TypeAlias = Callable[["Seen"], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it arrived."""

    request: web.Request
    id: str
    body: bytes
    at: float

    @property
    def authorization(self) -> str | None:
        return self.request.headers.get("Authorization")


def record(seen: Seen) -> dict[str, object]:
    kind = seen.request.query.get("opportunityType", "Pre")
    ids = {"OpportunityCategoryID": 1, "OpportunityStageID": 1}
    return {"ID": int(seen.id), "Type": kind, **ids, **json.loads(seen.body, parse_float=str)}


def with_status(code: int) -> Answer:
    """Confirm the update with another status."""

    async def answer(seen: Seen) -> web.StreamResponse:
        return web.json_response(record(seen), status=code)

    return answer


def besides(**members: object) -> Answer:
    """Confirm the update, and say something else in the same breath."""

    async def answer(seen: Seen) -> web.StreamResponse:
        return web.json_response({**record(seen), **members})

    return answer


async def ok(seen: Seen) -> web.StreamResponse:
    return web.json_response(record(seen))


def status(code: int, body: object = None, **headers: str) -> Answer:
    async def answer(_: Seen) -> web.StreamResponse:
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=code, text=text, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return answer


async def drop(seen: Seen) -> web.StreamResponse:
    """End the connection without an answer, after the whole request has arrived."""
    assert seen.request.transport
    seen.request.transport.abort()
    return web.Response()


async def hang(seen: Seen) -> web.StreamResponse:
    await asyncio.sleep(60)
    return await ok(seen)


async def cut_off(seen: Seen) -> web.StreamResponse:
    """Promise more bytes than come."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(seen.request)
    await response.write(b'{"ID": ')
    assert seen.request.transport
    seen.request.transport.abort()
    return response


async def endless(seen: Seen) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(seen.request)
    while True:
        await response.write(b" " * 65536)


async def stored(seen: Seen) -> web.StreamResponse:
    """Give the record as it is before any update."""
    kind = seen.request.query.get("opportunityType", "Pre")
    return web.json_response([{"ID": int(seen.id), "Type": kind, "OpportunityName": "before"}])


@dataclass
class Api(InThread):
    """Plays `script[id]` for a record, one answer a request; then, and for others, `usual`."""

    usual: Answer = ok
    script: dict[str, list[Answer]] = field(default_factory=dict)
    readings: dict[str, list[Answer]] = field(default_factory=dict)
    """The same for requests that read a record, which are answered with `stored` then."""
    token_answers: list[Answer] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    token_requests: list[Seen] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    url: str = ""
    most_at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _in_flight: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_put("/api/v2/opportunities/{id}", self._put)
        app.router.add_get("/api/v2/opportunities/{id}", self._get)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_route("*", "/{elsewhere:.*}", self._elsewhere)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        origin = "https://localhost" if self.tls else "http://127.0.0.1"
        self.url = f"{origin}:{runner.addresses[0][1]}"
        return runner

    async def _put(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request, request.match_info["id"], await request.read(), time.monotonic())
        self.seen.append(seen)
        self._in_flight[seen.id] += 1
        self.most_at_once[seen.id] = max(self.most_at_once[seen.id], self._in_flight[seen.id])
        try:
            script = self.script.get(seen.id)
            return await (script.pop(0) if script else self.usual)(seen)
        finally:
            self._in_flight[seen.id] -= 1

    async def _get(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request, request.match_info["id"], b"", time.monotonic())
        self.seen.append(seen)
        script = self.readings.get(seen.id)
        return await (script.pop(0) if script else stored)(seen)

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request, request.path, await request.read(), time.monotonic()))
        return web.Response(status=418)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request, "", await request.read(), time.monotonic())
        self.token_requests.append(seen)
        if self.token_answers:
            return await self.token_answers.pop(0)(seen)
        number = len(self.token_requests)
        return web.json_response({"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600})

    def methods(self) -> list[str]:
        """Return the methods of all requests, in turn."""
        return [seen.request.method for seen in self.seen]

    def requests(self, identity: int) -> int:
        """Count the requests for one record."""
        return sum(1 for seen in self.seen if seen.id == str(identity))
