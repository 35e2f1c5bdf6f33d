"""A client that adds nothing of its own: what it is given goes out, what comes back is not interpreted."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batch_updater.sandbox.server import Sandbox

TOKEN = "sandbox-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def connect(sandbox: Sandbox) -> http.client.HTTPConnection:
    address = urlsplit(sandbox.url)
    assert address.hostname
    return http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)


def send(sandbox: Sandbox, method: str, target: str, body: bytes = b"", **headers: str) -> Reply:
    """Send one request with exactly these headers (`_` means `-`) on a connection of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(connect(sandbox)) as connection:
        connection.request(method, target, body, named)
        answer = connection.getresponse()
        return Reply(answer.status, {name.title(): value for name, value in answer.getheaders()}, answer.read())


def put(sandbox: Sandbox, target: str, body: str | bytes, **headers: str) -> Reply:
    """Send an update with a good token; `target` is what follows `/opportunities/`."""
    content = body if isinstance(body, bytes) else body.encode()
    named = {"Content-Type": "application/json", **BEARER, **headers}
    return send(sandbox, "PUT", f"/api/v2/opportunities/{target}", content, **named)


def get(sandbox: Sandbox, target: str) -> Reply:
    return send(sandbox, "GET", f"/api/v2/opportunities/{target}", b"", **BEARER)


def put_on_socket(sandbox: Sandbox, target: str, body: str) -> socket.socket:
    """Send an update on a bare socket, and leave the answer to be read."""
    address = urlsplit(sandbox.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=TIMEOUT_S)
    content = body.encode()
    head = (
        f"PUT /api/v2/opportunities/{target} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection
