"""A vendor's API on loopback: it judges what is on the wire on its own, keeps records and a log of all requests.

Nothing here is shared with the client. A subclass answers as its vendor documents it, errors included.
"""

from __future__ import annotations

import asyncio
import json
import threading
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from multidict import CIMultiDict

from tests.in_thread import InThread

if TYPE_CHECKING:
    import subprocess

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """One request as it was on the wire."""

    method: str
    path: str
    """Decoded, without the query."""
    target: str
    """Path and query, as sent."""
    headers: Mapping[str, str]
    """Without regard to case."""
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def content_type(self) -> str:
        """Without its parameters; '' if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_update(self) -> bool:
        return self.method != "GET"

    def json(self) -> Any:
        """Return the body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What the server answers; `body` None: nothing, bytes: as they are, anything else: as JSON."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818  (an answer, no error of the server)
    """Raised by a vendor's rules for a request that is not carried out."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


def request(method: str, target: str, body: str = "", **headers: str) -> Received:
    """Return a request for a vendor's rules to judge; `_` in the name of a header is a hyphen."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Received(method, unquote(target.partition("?")[0]), target, named, body.encode())


class Fault(Enum):
    """What happens to a request that the server gets and carries out."""

    LOST = auto()
    """The connection ends without an answer."""
    HELD = auto()
    """There is no answer for as long as the client waits."""


class VendorServer(InThread, ABC):
    """Serves from `with` to its end."""

    def __init__(self) -> None:
        self.url = ""
        self.records: dict[str, Record] = {}
        self.requests: list[Received] = []
        """In the order of arrival, whatever became of them."""
        self.script: dict[tuple[str, str], deque[Fault | Reply]] = defaultdict(deque)
        """Method and decoded path -> what becomes of the next requests; a reply is given in place of the vendor's own,
        and nothing is carried out."""
        self.held_after: int | None = None
        """This many updates are answered, and those after them are HELD."""
        self._arrived = threading.Condition()

    @abstractmethod
    def reply(self, request: Received) -> Reply:
        """Do what is asked. Raises Refused for what the vendor refuses."""

    @abstractmethod
    def too_fast(self) -> Reply:
        """Return the vendor's answer to a request beyond its limit; it may be sent again at once."""

    def variables(self) -> Mapping[str, str]:
        """Return the variables that a configuration of this server needs beside its base URL and secrets."""
        return {}

    def updates(self) -> list[Received]:
        """Return all requests but the readings."""
        return [request for request in self.requests if request.is_update]

    def wait_for_updates(self, count: int, process: subprocess.Popen[str] | None = None) -> None:
        """Wait until so many updates have arrived and were carried out; fail if the process that sends them ends."""
        with self._arrived:
            while not self._arrived.wait_for(lambda: len(self.updates()) >= count, 0.1):
                assert process is None or process.poll() is None, process.communicate()

    async def _start(self) -> web.ServerRunner:
        # A client that ends, or is killed, ends what is HELD.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        body = await request.read()
        received = Received(request.method, unquote(target.partition("?")[0]), target, request.headers.copy(), body)
        script = self.script[received.method, received.path]
        fault = script.popleft() if script else None
        reply = fault if isinstance(fault, Reply) else self.judged(received)
        if fault is None and received.is_update and self._is_held(len(self.updates()) + 1):
            fault = Fault.HELD
        with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        if fault is Fault.HELD:
            await asyncio.Event().wait()
        if fault is Fault.LOST:
            assert request.transport
            request.transport.abort()
        return _response(reply)

    def _is_held(self, number: int) -> bool:
        return self.held_after is not None and number > self.held_after

    def judged(self, received: Received) -> Reply:
        """Return the answer to a request that comes without any fault."""
        try:
            return self.reply(received)
        except Refused as refused:
            return refused.reply


def _response(reply: Reply) -> web.Response:
    if reply.body is None or isinstance(reply.body, bytes):
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    headers = {"Content-Type": "application/json; charset=utf-8"} | dict(reply.headers)
    return web.Response(status=reply.status, body=json.dumps(reply.body).encode(), headers=headers)
