"""The base of the vendors' servers: what it tells of a request, and the faults that it plays."""

from __future__ import annotations

import http.client
import socket
from collections import deque
from typing import TYPE_CHECKING

import pytest

from tests.recipes.vendor_server import Fault, Received, Refused, Reply, VendorServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notes(VendorServer):
    """Keeps the body of every note."""

    def reply(self, request: Received) -> Reply:
        if request.method == "GET":
            return Reply(200, self.records[request.path])
        if request.content_type != "application/json":
            raise Refused(Reply(415, b"JSON, please."))
        self.records[request.path] = request.json()
        return Reply(204)

    def too_fast(self) -> Reply:
        return Reply(429, {"error": "slow down"}, {"Retry-After": "0"})


@pytest.fixture
def notes() -> Iterator[Notes]:
    with Notes() as server:
        yield server


def call(server: Notes, method: str, target: str, body: str = "", kind: str = "application/json") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.request(method, target, body.encode(), {"Content-Type": f"{kind}; charset=utf-8"})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_request_is_kept_as_it_was_sent_and_answered_by_the_rules(notes: Notes) -> None:
    """Path and query are there as sent and decoded; a refusal is an answer."""
    assert call(notes, "PUT", "/notes/a%20b?x=1%2C2", '{"text": "ü"}') == (204, b"")
    assert call(notes, "GET", "/notes/a%20b") == (200, b'{"text": "\\u00fc"}')
    assert call(notes, "PUT", "/notes/1", "x=1", "text/plain") == (415, b"JSON, please.")
    first, *_ = notes.updates()
    assert (first.path, first.target, first.query) == ("/notes/a b", "/notes/a%20b?x=1%2C2", {"x": "1,2"})
    assert (first.headers["content-type"], first.body) == ("application/json; charset=utf-8", b'{"text": "\xc3\xbc"}')
    assert [request.method for request in notes.requests] == ["PUT", "GET", "PUT"]


def test_faults_are_played_in_turn(notes: Notes) -> None:
    """A reply of the script carries nothing out; an answer that is lost was carried out."""
    notes.script["PUT", "/notes/1"] = deque([notes.too_fast(), Fault.LOST])
    assert call(notes, "PUT", "/notes/1", "{}") == (429, b'{"error": "slow down"}')
    assert not notes.records
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call(notes, "PUT", "/notes/1", '{"text": "x"}')
    assert notes.records == {"/notes/1": {"text": "x"}}
    assert call(notes, "PUT", "/notes/1", "{}") == (204, b"")


def test_updates_after_a_number_are_carried_out_and_not_answered(notes: Notes) -> None:
    """A test can wait for them, and the server ends with a client that still waits."""
    notes.held_after = 1
    assert call(notes, "PUT", "/notes/1", "{}") == (204, b"")
    address = notes.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as client:
        client.sendall(
            b"PUT /notes/2 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        notes.wait_for_updates(2)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    assert set(notes.records) == {"/notes/1", "/notes/2"}
