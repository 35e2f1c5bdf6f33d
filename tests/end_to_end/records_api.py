"""A small API on loopback whose records can be read and updated, with a description of its own and odd habits."""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.in_thread import InThread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Reply = Callable[["RecordsApi", web.Request], Awaitable[web.StreamResponse]]

_PROPERTIES = """\
            name: {type: [string, "null"]}
            amount: {type: [number, "null"]}
            since: {type: [string, "null"], format: date}
"""
_DESCRIPTION = """\
openapi: 3.1.0
info: {title: Depot, version: "1"}
paths:
  /items/{itemId}:
    parameters:
      - {name: itemId, in: path, required: true, schema: {type: integer}, x-reported-as: id}
    get:
      operationId: read-item
      responses:
        "200":
          description: The record.
          content: {application/json: {schema: READ}}
    put:
      operationId: item
      x-read: read-item
      requestBody:
        content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}
      responses:
        ANSWER
components:
  schemas:
    Item:
      type: object
      properties:
PROPERTIES\
    Record:
      type: object
      properties:
            id: {type: integer}
PROPERTIES"""
_RECORD = '{$ref: "#/components/schemas/Record"}'
_STAMP = "{type: object, properties: {id: {type: integer}, updatedAt: {type: string}}}"


def describe(folder: Path, answer: str = "record", *, listed: bool = False) -> str:
    """Write the description of an API that answers an update so; `listed`: a reading gives an array."""
    answers = {
        "record": f'"200": {{description: ok, content: {{application/json: {{schema: {_RECORD}}}}}}}',
        "stamp": f'"200": {{description: ok, content: {{application/json: {{schema: {_STAMP}}}}}}}',
        "nothing": '"204": {description: done}',
    }
    read = f"{{type: array, items: {_RECORD}}}" if listed else _RECORD
    text = _DESCRIPTION.replace("READ", read).replace("ANSWER", answers[answer]).replace("PROPERTIES", _PROPERTIES)
    (folder / "items.yaml").write_text(text, encoding="utf-8")
    return f"{folder / 'items.yaml'}#item"


async def lost(api: RecordsApi, request: web.Request) -> web.StreamResponse:
    """Do what was asked, and do not answer."""
    await api.answered(request)
    assert request.transport
    request.transport.abort()
    return web.Response()


def status(code: int, **headers: str) -> Reply:
    async def reply(_api: RecordsApi, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text="", headers={name.replace("_", "-"): v for name, v in headers.items()})

    return reply


@dataclass
class RecordsApi(InThread):
    """Holds the records 1 to 9; `script` says how the next requests (method, record) are answered instead."""

    answer: str = "record"
    """What an update is answered with: see `describe`."""
    listed: bool = False
    null_clears: bool = True
    encoding: str = "utf-8"
    more: dict[str, object] = field(default_factory=dict)
    """Further properties that every record has."""
    script: dict[tuple[str, int], deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    """Of all requests, in turn."""
    url: str = ""

    def __post_init__(self) -> None:
        self.records |= {number: {"name": f"name {number}", "amount": number, "since": None} for number in range(1, 10)}

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/items/{id}", self._reply)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        self.methods.append(request.method)
        script = self.script[request.method, int(request.match_info["id"])]
        return await (script.popleft()(self, request) if script else self.answered(request))

    async def answered(self, request: web.Request) -> web.StreamResponse:
        """Do what is asked."""
        number = int(request.match_info["id"])
        if number not in self.records:
            return web.Response(status=404)
        if request.method == "GET":
            record = self._whole(number)
            return self._json([record] if self.listed else record)
        change = json.loads(await request.read(), parse_float=Decimal)
        kept = {name: value for name, value in change.items() if value is not None or self.null_clears}
        self.records[number] = self.records[number] | kept
        if self.answer == "nothing":
            return web.Response(status=204)
        stamp = {"id": number, "updatedAt": "2026-01-01T00:00:00Z"}
        return self._json(stamp if self.answer == "stamp" else self._whole(number))

    def _whole(self, number: int) -> dict[str, object]:
        return {"id": number, **self.records[number], **self.more}

    def _json(self, body: object) -> web.Response:
        # Amounts are reported as numbers, with the digits that they were given with.
        text = re.sub(r'"@([0-9.E+-]+)"', r"\1", json.dumps(body, default=lambda amount: f"@{amount}"))
        return web.Response(body=text.encode(self.encoding), content_type="application/json")
