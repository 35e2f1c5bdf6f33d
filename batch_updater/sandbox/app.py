"""What the sandbox does with a request: the gateway, the token, the fault, the update, the answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType

from aiohttp import web

from batch_updater.sandbox import responses as answers
from batch_updater.sandbox.faults import FAULTS, FaultChooser
from batch_updater.sandbox.gateway import Gateway
from batch_updater.sandbox.http_exchange import Exchange, as_response
from batch_updater.sandbox.record_store import RecordStore
from batch_updater.sandbox.settings import SandboxSettings
from batch_updater.sandbox.tokens import Tokens
from batch_updater.sandbox.update import Call, Received

TOKEN_PATH = "/oauth/token"  # noqa: S105  (a path)
_RECORD_PATH = re.compile(r"/api/v2/opportunities/([^/]+)")
_JSON_LINES = "application/x-ndjson"
_ROWS_SHOWN = 100
_BODY_CHARACTERS = 400
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class App:
    """One sandbox: everything that it holds, and the function that answers."""

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds; limits and tokens go by it."""
        self._settings = settings
        self._gateway = Gateway(settings.rate_per_s, settings.burst, settings.quota, clock)
        self._tokens = Tokens(settings.token_expires_s, clock)
        self._faults = FaultChooser(settings.seed, settings.faults)
        self.store = RecordStore(settings.seed, settings.records, null_clears=settings.null_clears)
        self.received: deque[Received] = deque()
        """Every request of clients of the API, in the order in which they arrived in full."""

    def reset(self) -> None:
        """Forget everything that was received and changed."""
        self._gateway.reset()
        self._tokens.reset()
        self._faults.reset()
        self.store.clear()
        self.received.clear()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        if path == "/" or path.startswith("/_sandbox/"):
            return self._inspected(request.method, path)
        body = await request.read()
        headers, kept = _NO_HEADERS, b""
        if self._settings.keep_bodies:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
            kept = b"" if path == TOKEN_PATH else body
        received = Received(request.method, path, query, headers, kept, time.time())
        self.received.append(received)
        if self._settings.latency_ms:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        response = await self._answered(request, received, body)
        # A fault may have broken the connection off: then what is returned here goes nowhere.
        if request.transport is not None and not request.transport.is_closing():
            received.status = response.status
        return response

    async def _answered(self, request: web.BaseRequest, received: Received, body: bytes) -> web.StreamResponse:
        if received.path == TOKEN_PATH and request.method == "POST":
            return as_response(self._tokens.answer(request.content_type, body))
        found = _RECORD_PATH.fullmatch(received.path)
        if found is None or request.method not in ("GET", "PUT"):
            return as_response(answers.gateway_answer(403, answers.MISSING_TOKEN))
        if refusal := self._gateway.admit():
            return as_response(answers.gateway_answer(429, refusal))
        authorization = request.headers.get("Authorization")
        received.token = self._tokens.name_of(authorization)
        if received.token is None:
            return as_response(answers.unauthorized_answer())
        call = Call(self.store, received, found[1], request.content_type, body)
        try:
            fault = self._faults.choose(
                f"{request.method} {request.raw_path}", request.headers.get("X-Sandbox-Fault"), body
            )
        except ValueError as error:
            return as_response(answers.invalid_answer(str(error)))
        if fault is None:
            return as_response(call.process())
        received.fault = fault.name
        return await fault.play(Exchange(request, received, call, lambda: self._tokens.revoke(authorization)))

    def _inspected(self, method: str, path: str) -> web.StreamResponse:
        match method, path:
            case "GET", "/":
                return _status_page(self.received, self.store)
            case "GET", "/_sandbox/requests":
                return _lines([received.as_json() for received in self.received])
            case "GET", "/_sandbox/records":
                return _lines([record.as_json() for record in self.store])
            case "GET", "/_sandbox/faults":
                return web.Response(text="".join(f"{kind.name:<26}{kind.meaning}\n" for kind in FAULTS))
            case "POST", "/_sandbox/reset":
                self.reset()
                return web.Response(status=204)
            case _:
                return web.Response(status=404, text="The sandbox has no such page.\n")


def _lines(lines: list[str]) -> web.Response:
    return web.Response(text="".join(f"{line}\n" for line in lines), content_type=_JSON_LINES)


def _status_page(received: Sequence[Received], store: RecordStore) -> web.Response:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (only where the page is asked for)

    environment = Environment(
        loader=PackageLoader("batch_updater.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter("no answer" if one.status is None else str(one.status) for one in received)
    text = environment.get_template("status_page.html.j2").render(
        counts=sorted(counts.items()),
        received=len(received),
        requests=[_cells(one) for one in islice(reversed(received), _ROWS_SHOWN)],
        changed=len(store),
        records=[(f"{one.type} {one.id}", one.as_json()) for one in islice(reversed(list(store)), _ROWS_SHOWN)],
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})


def _cells(received: Received) -> Sequence[str]:
    query = f"?{received.query}" if received.query else ""
    body = received.body.decode("utf-8", errors="replace")
    return (
        f"{datetime.fromtimestamp(received.at_s, UTC):%H:%M:%S.%f}"[:-3],
        f"{received.method} {received.path}{query}",
        body if len(body) <= _BODY_CHARACTERS else f"{body[:_BODY_CHARACTERS]} ...",
        "none" if received.status is None else str(received.status),
        "yes" if received.applied else "no",
        received.fault or "",
    )
