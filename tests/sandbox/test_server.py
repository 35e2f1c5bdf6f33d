"""sandbox/server.py: where and how long the sandbox is served."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from batch_updater.sandbox.server import Sandbox, SandboxSettings, running
from tests.reserved_port import reserved_port
from tests.sandbox.raw import put, put_on_socket


def test_it_is_served_in_a_program_that_has_an_event_loop() -> None:
    """`running` gives the URL and serves until its block ends."""

    async def connect_while_and_after() -> None:
        async with running(SandboxSettings(port=port)) as url:
            address = urlsplit(url)
            assert address.hostname == "127.0.0.1"
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.close()
            await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address.hostname, address.port)

    with reserved_port() as port:
        asyncio.run(connect_while_and_after())


def test_a_port_can_be_chosen() -> None:
    """The URL names the port that was asked for; one that is taken is an error."""
    with reserved_port() as port, Sandbox(SandboxSettings(port=port)) as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="in use"), Sandbox(SandboxSettings(port=port)):
            pass


def test_it_ends_at_once_while_requests_hang() -> None:
    """A client that waits for an answer does not keep the sandbox alive."""
    with Sandbox() as sandbox:
        connection = put_on_socket(sandbox, "1?opportunityType=Pre", '{"OpportunityName": "fault:hang"}')
        assert put(sandbox, "2?opportunityType=Pre", "{}").status == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 30
    connection.close()


def test_two_thousand_updates_on_one_connection_are_held(sandbox: Sandbox) -> None:
    """A run of that size is logged and stored in full, in the order in which it arrived."""
    from contextlib import closing
    from http.client import HTTPConnection

    address = urlsplit(sandbox.url)
    headers = {"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"}
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=60)) as connection:
        for number in range(1, 2_001):
            target = f"/api/v2/opportunities/{number}?opportunityType=Post"
            connection.request("PUT", target, f'{{"SalesRevenue": {number}.10}}', headers)
            assert connection.getresponse().read().endswith(b"null}")
    assert [received.path.rpartition("/")[2] for received in sandbox.received] == [str(n) for n in range(1, 2_001)]
    assert str(sandbox.record("Post", 2_000)).count("2000.10") == 1
