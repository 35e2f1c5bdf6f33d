"""Updates whose bodies are parts of multipart/form-data, or a JSON Patch: shown as they go out, and resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.end_to_end.program import batch_updater, configure
from tests.in_thread import InThread

if TYPE_CHECKING:
    from pathlib import Path

_MULTIPART = "multipart/form-data"
_PATCH = "application/json-patch+json"

pytestmark = pytest.mark.usefixtures("store")


@dataclass
class Shop(InThread):
    """Takes every update while it is open for more, and keeps the bytes of each."""

    takes: int = 100
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Path, content type and body."""
    url: str = ""

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_patch("/items/{id}", self._reply)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        if len(self.received) >= self.takes:
            return web.json_response({"message": "who are you"}, status=401)
        body = await request.read()
        self.received.append((request.path, request.headers["Content-Type"], body))
        return web.Response(status=204)


def describe(folder: Path, url: str, media_type: str) -> None:
    """Write a description whose update has a body of that type, a configuration, and three rows."""
    properties: dict[str, Any] = {"name": {"type": "string"}, "note": {"type": "string"}, "size": {"type": "integer"}}
    record: dict[str, Any] = {"type": "object", "properties": properties}
    operation = {"type": "object", "properties": {"op": {"type": "string"}, "path": {"type": "string"}, "value": {}}}
    body = {"type": "array", "items": operation} if media_type == _PATCH else record
    parameters = [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
    calls: dict[str, Any] = {
        "patch": {
            "operationId": "update",
            "parameters": parameters,
            "requestBody": {"content": {media_type: {"schema": body}}},
            "responses": {"204": {"description": "done"}},
        },
    }
    if media_type == _PATCH:
        answer = {"description": "it", "content": {"application/json": {"schema": record}}}
        calls["get"] = {"parameters": parameters, "responses": {"200": answer}}
    about = {"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}}
    document = json.dumps({**about, "paths": {"/items/{id}": calls}})
    (folder / "shop.json").write_text(document, encoding="utf-8")
    configure(folder, url, "sending: {rate_per_s: 5000, concurrency: 1}\n")
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8").replace("api: {", "api: {endpoint: 'shop.json#update', ")
    config.write_text(text, encoding="utf-8")
    rows = 'id,name,note,size\n1,Bolt & Söhne,"two\nlines",3\n2,Nut,,4\n3,Nail,x,5\n'
    (folder / "items.csv").write_text(rows, encoding="utf-8")


def parts_of(content_type: str, body: bytes) -> dict[str, str]:
    """Return the parts of a multipart body, read as mail is, by the boundary that the header names."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    assert isinstance(message, EmailMessage)
    parts = {}
    for part in message.iter_parts():
        text = part.get_payload(decode=True)
        assert isinstance(text, bytes)
        parts[str(part.get_param("name", header="Content-Disposition"))] = text.decode()
    return parts


def test_every_request_names_the_boundary_of_its_own_parts(tmp_path: Path) -> None:
    """Requests after the first can be read as well."""
    with Shop() as shop:
        describe(tmp_path, shop.url, _MULTIPART)
        done = batch_updater("run", "items.csv", "--yes", "--json", cwd=tmp_path)
    assert done.outcomes == {"updated": 3}, done.err
    assert {path: parts_of(kind, body) for path, kind, body in shop.received} == {
        "/items/1": {"name": "Bolt & Söhne", "note": "two\nlines", "size": "3"},
        "/items/2": {"name": "Nut", "size": "4"},
        "/items/3": {"name": "Nail", "note": "x", "size": "5"},
    }


def test_an_interrupted_run_sends_each_form_once(tmp_path: Path) -> None:
    """What was confirmed is not sent again, and what follows is what an uninterrupted run sends."""
    with Shop() as shop:
        describe(tmp_path, shop.url, _MULTIPART)
        shop.takes = 1
        first = batch_updater("run", "items.csv", "--yes", "--json", cwd=tmp_path)
        assert first.outcomes == {"updated": 1, "failed": 1, "not_sent": 1}, first.err
        shop.takes = 100
        second = batch_updater("run", "items.csv", "--yes", "--json", cwd=tmp_path)
        assert second.outcomes == {"updated": 3}, second.err
        assert second.object["run"] == first.object["run"]
        sent = list(shop.received)
        whole = batch_updater("run", "items.csv", "--yes", "--json", cwd=tmp_path)
    assert whole.outcomes == {"updated": 3}, whole.err
    assert sent == shop.received[3:]


@pytest.mark.parametrize(
    ("media_type", "lines"),
    [
        (_MULTIPART, ['Content-Disposition: form-data; name="name"', "Bolt & Söhne", "two\\nlines", "3"]),
        (_PATCH, ['[{"op": "replace", "path": "/name", "value": "Bolt & Söhne"}, ']),
    ],
)
def test_a_request_is_shown_as_it_goes_out(tmp_path: Path, media_type: str, lines: list[str]) -> None:
    """In the preview and of a row of a past run, each part on lines of its own; `Done` looks for the token."""
    with Shop() as shop:
        describe(tmp_path, shop.url, media_type)
        done = batch_updater("run", "items.csv", "--yes", cwd=tmp_path)
    shown = batch_updater("report", "--row", "2", cwd=tmp_path).out
    _, kind, _ = shop.received[0]
    for text in (done.err, shown):
        assert f"Content-Type: {kind}" in text
        for line in lines:
            assert line in text
        assert "\\r" not in text
