"""sender/wire.py: only what comes after a request is its answer, and no request leaves before its permit."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest
import uvloop
from msgspec.structs import replace
from yarl import URL

from batch_updater.endpoint.request import Prepared
from batch_updater.records import OutcomeKind
from batch_updater.sender.in_flight import InFlight
from batch_updater.sender.limiter import Limiter
from batch_updater.sender.shutdown import Shutdown
from batch_updater.sender.wire import Connector, WrittenAtOnce
from tests.sender.driver import ENDPOINT, Run, job, send
from tests.sender.raw import REFUSAL, Connection, serving, whole

CERTIFICATES = Path(__file__).parent / "certificates"
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
OTHER_RECORD = whole({"ID": 99, "Type": "Pre", "OpportunityName": "other"})
UNASKED = {
    "refusal": REFUSAL,
    "other-record": OTHER_RECORD,
    "half-a-head": REFUSAL[:20],
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "junk": b"\0",
}
WITHIN_S = 30.0


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "key.pem")
    return context


OVER_TLS: dict[str, object] = {"ca_file": str(CERTIFICATES / "localhost.pem")}


class Signal(threading.Event):
    """Something that one side does and the other waits for, again and again."""

    def wait_for(self) -> None:
        assert self.wait(WITHIN_S)
        self.clear()


@LOOPS
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
def test_what_came_unasked_and_lies_unread_is_no_answer(run: Run, unasked: bytes, *, is_secure: bool) -> None:
    """Bytes that the kernel holds when the next row is sent cost the connection; every row has its own answer."""
    is_given, is_sent = Signal(), Signal()

    class WatchedLimiter(Limiter):
        """Lets the bytes come while a request already has a connection that was kept: from then on nothing is read."""

        given = 0

        @property
        def is_free(self) -> bool:
            self.given += 1
            if self.given % 2 == 0:  # a kept connection, and then a new one in its place
                is_given.set()
                is_sent.wait_for()
            return super().is_free

    async def talk(connection: Connection) -> None:
        request = await connection.request()
        assert request
        connection.write(request.answer())
        if connection.number < 3:
            await asyncio.to_thread(is_given.wait_for)
            connection.write(unasked)
            is_sent.set()
        assert await connection.request() is None

    with serving(talk, tls() if is_secure else None) as server:
        sent = send(
            server.url, [job(n) for n in range(1, 4)], concurrency=1, api=OVER_TLS if is_secure else {},
            limiter=WatchedLimiter(10_000, 0, Shutdown()), run=run,
        )  # fmt: skip
    assert sent.kinds() == ["updated"] * 3
    assert server.connections_of_updates() == [1, 2, 3]
    assert (sent.result.requests, sent.result.retries) == (3, 0)


@LOOPS
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
def test_what_comes_unasked_ends_the_connection(run: Run, unasked: bytes, *, is_secure: bool) -> None:
    """An idle connection on which bytes come is closed at once, and from then on each request has one of its own."""
    is_answered, is_closed = Signal(), Signal()

    async def talk(connection: Connection) -> None:
        request = await connection.request()
        assert request
        connection.write(request.answer())
        if connection.number > 1:
            while request := await connection.request():
                connection.write(request.answer())
            return
        await asyncio.to_thread(is_answered.wait_for)
        connection.write(unasked)
        assert await connection.request() is None
        is_closed.set()

    async def before_send(batch: Sequence[Prepared]) -> None:
        if batch[0].job.row != 1:
            await asyncio.to_thread(is_closed.wait_for)
            is_closed.set()

    with serving(talk, tls() if is_secure else None) as server:
        sent = send(
            server.url, [job(n) for n in range(1, 4)], concurrency=1, api=OVER_TLS if is_secure else {},
            before_send=before_send, watch=lambda *_: is_answered.set(), run=run,
        )  # fmt: skip
    assert sent.kinds() == ["updated"] * 3
    assert server.connections_of_updates() == [1, 2, 3]
    assert (sent.result.requests, sent.result.retries) == (3, 0)


@LOOPS
@pytest.mark.parametrize("unasked", UNASKED.values(), ids=UNASKED)
def test_what_comes_with_the_right_answer_is_no_answer(run: Run, unasked: bytes) -> None:
    """Bytes behind an answer in the same segment cost the connection; no row gets another outcome than its own."""

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            connection.write(request.answer() + unasked)

    with serving(talk) as server:
        sent = send(server.url, [job(n) for n in range(1, 4)], concurrency=1, run=run, attempts=2)
    # Junk leaves nothing of the answer before it: it is lost, and the row may have been applied.
    assert set(sent.kinds()) == {"updated" if unasked != b"\0" else "unconfirmed"}
    connections = server.connections_of_updates()
    # Of a head that has only begun, the rest is no answer either, whenever it comes.
    assert len(set(connections)) == (len(connections) if unasked != UNASKED["half-a-head"] else 1)


@LOOPS
@pytest.mark.parametrize("interim", [["100 Continue"], ["103 Early Hints"] * 3, ["102 Processing", "100 Continue"]])
def test_an_interim_answer_is_waited_past(run: Run, interim: list[str]) -> None:
    """1xx before the answer, in pieces or together with it, changes nothing, and the connection is kept."""

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            for line in interim:
                connection.write(f"HTTP/1.1 {line}\r\n\r\n".encode())
                if len(interim) == 1:
                    await asyncio.sleep(0.01)
            connection.write(request.answer())

    with serving(talk) as server:
        assert send(server.url, [job(n) for n in range(1, 4)], concurrency=1, run=run).kinds() == ["updated"] * 3
    assert server.connections == 1


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@LOOPS
@pytest.mark.parametrize(("is_idempotent", "requests"), [(True, 2), (False, 1)])
def test_an_answer_to_a_request_that_is_still_being_written_is_lost(
    run: Run, requests: int, *, is_idempotent: bool
) -> None:
    """What comes before the last byte of a request has left is not its answer: it may have been applied."""

    async def talk(connection: Connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.write(REFUSAL)
        await asyncio.sleep(WITHIN_S)  # the rest of the request never finds room

    with serving(talk) as server:
        sent = send(
            server.url, [job(1, OpportunityName="x" * 30_000_000)], attempts=2, api={"timeout_s": 20}, run=run,
            endpoint=replace(ENDPOINT, idempotent=is_idempotent),
        )  # fmt: skip
        assert (server.connections, sent.result.requests) == (requests, requests)
    assert sent.kinds() == ["unconfirmed"]
    assert sent.outcomes[1].cause == "connection lost"


@LOOPS
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_a_service_that_closes_idle_connections_costs_no_attempt(run: Run, *, is_secure: bool) -> None:
    """A connection that has been closed when the next row is sent, though nothing has noticed yet, is not used."""
    is_closed = Signal()

    async def talk(connection: Connection) -> None:
        request = await connection.request()
        assert request
        connection.write(request.answer())
        connection.end()
        is_closed.set()

    with serving(talk, tls() if is_secure else None) as server:
        sent = send(
            server.url, [job(n) for n in range(1, 4)], concurrency=1, api=OVER_TLS if is_secure else {},
            watch=lambda *_: is_closed.wait_for(), run=run,
        )  # fmt: skip
    assert (sent.kinds(), server.connections) == (["updated"] * 3, 3)
    assert (sent.result.requests, sent.result.retries) == (3, 0)


def test_an_honest_service_keeps_its_connection() -> None:
    """Twenty rows one after another, over TLS as well, need one connection."""

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            connection.write(request.answer())

    for context, api in ((None, {}), (tls(), OVER_TLS)):
        with serving(talk, context) as server:
            sent = send(server.url, [job(n) for n in range(1, 21)], concurrency=1, api=api)
        assert (sent.kinds(), server.connections) == (["updated"] * 20, 1)


def test_a_second_answer_to_a_reading_is_not_the_update_s() -> None:
    """What comes after the record that was read, and before the update is sent, says nothing about the update."""
    is_sent = Signal()

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            connection.write(request.answer())
            if request.method == "GET":
                connection.write(REFUSAL)
                is_sent.set()

    with serving(talk) as server:
        sent = send(server.url, [job(n) for n in (1, 2)], concurrency=1, before_change=lambda *_: is_sent.wait_for())
    assert sent.kinds() == ["updated"] * 2
    assert [request.method for request in server.requests] == ["GET", "PUT"] * 2
    assert [one.before is not None for one in (sent.outcomes[row].kept for row in (1, 2)) if one] == [True] * 2


def test_a_second_answer_to_the_token_request_is_no_row_s() -> None:
    """Where token and API share their host, what comes after the token costs the connection, and no row."""
    is_taken, is_closed = Signal(), Signal()

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            connection.write(request.answer())
            if request.path == "/oauth/token":
                await asyncio.to_thread(is_taken.wait_for)
                connection.write(REFUSAL)
                assert await connection.request() is None
                is_closed.set()

    async def before_send(batch: Sequence[Prepared]) -> None:
        if batch[0].job.row == 1:
            is_taken.set()
            await asyncio.to_thread(is_closed.wait_for)

    with serving(talk) as server:
        oauth = {"token_url": f"{server.url}/oauth/token", "client_id": "me", "client_secret": "env:SECRET"}
        sent = send(
            server.url, [job(1), job(2)], api={"oauth": oauth, "token": None}, environ={"SECRET": "s"},
            before_send=before_send,
        )  # fmt: skip
    assert sent.kinds() == ["updated"] * 2


@pytest.mark.parametrize("ends", [False, True], ids=["speaks-first", "ends-at-once"])
def test_a_connection_that_went_bad_while_it_waited_for_its_permit_is_replaced(*, ends: bool) -> None:
    """A new connection on which the server spoke, or which it ended, before the permit came gets no request."""
    went_bad = Signal()
    now = [1000.0]

    async def talk(connection: Connection) -> None:
        if connection.number == 1:
            if ends:
                connection.end()
            else:
                connection.write(OTHER_RECORD)
            went_bad.set()
            await connection.reader.read()
        elif request := await connection.request():
            connection.write(request.answer())

    async def go(url: str) -> int:
        limiter, in_flight = Limiter(1000, 0, Shutdown(), lambda: now[0]), InFlight(WITHIN_S)
        connector = Connector(2, True, limiter, in_flight)

        async def asked(session: aiohttp.ClientSession) -> int:
            async with in_flight.limited(), session.put(URL(url) / "7", data=b"{}") as response:
                return response.status

        async with aiohttp.ClientSession(connector=connector, request_class=WrittenAtOnce) as session:
            limiter.pause(0.01)  # on a clock that does not move
            asking = asyncio.create_task(asked(session))
            await asyncio.to_thread(went_bad.wait_for)
            now[0] += 1
            return await asking

    with serving(talk) as server:
        assert asyncio.run(go(server.url)) == 200
        assert server.connections_of_updates() == [2]


@pytest.mark.parametrize(("kept_for_s", "connections"), [(15.0, [1, 1, 1]), (0.0, [1, 2, 3])])
def test_a_connection_that_was_idle_for_long_is_not_used(
    monkeypatch: pytest.MonkeyPatch, kept_for_s: float, connections: list[int]
) -> None:
    """The service may be about to end it, and a request that it then no longer reads may have been applied."""
    monkeypatch.setattr("batch_updater.sender.wire._KEPT_FOR_S", kept_for_s)
    with serving(answer_all) as server:
        sent = send(server.url, [job(n) for n in range(1, 4)], concurrency=1)
    assert sent.kinds() == ["updated"] * 3
    assert server.connections_of_updates() == connections


def test_a_service_that_ends_every_connection_at_once_is_left() -> None:
    """No number of connections is made for one attempt, whether or not a request went out on one of them."""

    async def talk(connection: Connection) -> None:
        pass

    with serving(talk) as server:
        sent = send(server.url, [job(1)], attempts=3)
        assert server.connections <= 6
    assert sent.outcomes[1].kind in (OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED)


@pytest.mark.parametrize(("is_idempotent", "kind", "requests"), [(True, "updated", 4), (False, "differs", 3)])
def test_an_answer_that_is_one_behind_is_found_out(kind: str, requests: int, *, is_idempotent: bool) -> None:
    """A record that is another row's, on a kept connection, is asked for once more on a new one where that may be."""

    async def talk(connection: Connection) -> None:
        late = b""
        while request := await connection.request():
            answer = request.answer()
            connection.write(late or answer)
            late = answer if connection.number == 1 else b""

    with serving(talk) as server:
        sent = send(
            server.url, [job(n) for n in (1, 2, 3)], concurrency=1,
            endpoint=replace(ENDPOINT, idempotent=is_idempotent),
        )  # fmt: skip
    assert sent.kinds() == ["updated", kind, "updated" if is_idempotent else "differs"]
    assert len(server.requests) == sent.result.requests == requests


@pytest.mark.parametrize("is_idempotent", [True, False])
def test_a_refusal_that_is_one_behind_is_found_out(monkeypatch: pytest.MonkeyPatch, *, is_idempotent: bool) -> None:
    """What comes while the next row waits for its answer is not that row's, as the answer behind it shows."""
    # The answer comes right behind it, as soon as the machine has the time.
    monkeypatch.setattr("batch_updater.sender.wire._DOUBTED_FOR_S", 2.0)

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            if connection.number == 1 and len(server.requests) == 2:
                connection.write(REFUSAL)
            connection.write(request.answer())

    with serving(talk) as server:
        sent = send(
            server.url, [job(n) for n in (1, 2, 3)], concurrency=1,
            endpoint=replace(ENDPOINT, idempotent=is_idempotent),
        )  # fmt: skip
    assert sent.kinds() == ["updated", "updated" if is_idempotent else "unconfirmed", "updated"]


def test_refusals_keep_their_connection_and_cost_one_request_each() -> None:
    """What a service refuses it need not refuse twice."""

    async def talk(connection: Connection) -> None:
        while await connection.request():
            connection.write(REFUSAL)

    with serving(talk) as server:
        sent = send(server.url, [job(n) for n in range(1, 6)], concurrency=1)
    assert sent.kinds() == ["rejected"] * 5
    assert (len(server.requests), server.connections) == (5, 1)


def test_a_service_that_means_another_record_keeps_its_connections() -> None:
    """What a new connection says as well is what the service says: `differs`, and connections are kept again."""

    async def talk(connection: Connection) -> None:
        while request := await connection.request():
            connection.write(OTHER_RECORD if request.path.startswith("/api/v2/opportunities/2?") else request.answer())

    with serving(talk) as server:
        sent = send(server.url, [job(n) for n in range(1, 11)], concurrency=1)
    assert sent.kinds() == ["updated", "differs", *["updated"] * 8]
    assert (len(server.requests), server.connections) == (11, 3)


async def answer_all(connection: Connection) -> None:
    while request := await connection.request():
        connection.write(request.answer())


def test_the_head_of_a_request_says_each_thing_once() -> None:
    """Host, credentials, kind and length; a reading has neither a body nor a length."""
    with serving(answer_all) as server:
        sent = send(f"{server.url}/base", [job(1)], before_change=lambda *_: None)
        assert sent.kinds() == ["updated"]
    reading, update = server.requests
    assert (reading.method, reading.body, "content-length" in dict(reading.headers)) == ("GET", b"", False)
    assert update.path.startswith("/base/api/v2/opportunities/1?")
    names = [name for name, _ in update.headers]
    assert sorted(names) == sorted(set(names))
    found = dict(update.headers)
    assert found["host"] == server.url.removeprefix("http://")
    assert found["content-length"] == str(len(update.body))
    assert (found["content-type"], found["authorization"]) == ("application/json", "Bearer canary-token")


def test_a_proxy_for_plain_http_is_given_the_whole_address_and_its_login() -> None:
    """With every request; the API's own credentials go with it, since it stands for the API."""
    with serving(answer_all) as proxy:
        address = proxy.url.replace("http://", "http://me:secret@")
        sent = send("http://127.0.0.1:9", [job(1), job(2)], api={"proxy": address}, before_change=lambda *_: None)
    assert sent.kinds() == ["updated"] * 2
    for request in proxy.requests:
        assert request.path.startswith("http://127.0.0.1:9/api/v2/opportunities/")
        found = dict(request.headers)
        assert (found["host"], found["proxy-authorization"]) == ("127.0.0.1:9", "Basic bWU6c2VjcmV0")
