"""The rate, seen from where requests arrive.

The kernel of this machine says when it received a request (`arrivals`), which is when it left. When a server reads it
is another matter on a busy machine: a hundred milliseconds without a turn are ten requests at 100/s, read at once, that
did not come at once. The moment of writing, as the client sees it, is held in `tests/sender/test_stalls.py`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import configure, sandbox
from tests.sender.raw import Connection, serving
from tests.sender.test_wire import CERTIFICATES, tls
from tests.torture.arrivals import arrivals
from tests.torture.runs import numbered, run

if TYPE_CHECKING:
    from pathlib import Path


def busiest_second(times: list[float]) -> int:
    """Return the largest number of requests in any window of one second."""
    times, first, most = sorted(times), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's time of arrival is Linux's")
@pytest.mark.parametrize("burst", [0, 20])
def test_the_rate_is_held_and_used_seen_from_the_server(tmp_path: Path, burst: int, *, torture: bool) -> None:
    """With faults and retries, no second holds more than rate and burst; 95% of the rate is used on a quiet machine."""
    rate, seconds = 100, 60 if torture else 6
    numbered(tmp_path / "rows.csv", rate * seconds)
    with sandbox("--fault", "status-500=0.03", "--fault", "drop-after=0.02") as api, arrivals(api.url) as arrived:
        configure(
            tmp_path,
            f"http://127.0.0.1:{arrived.port}",
            f"sending: {{rate_per_s: {rate}, burst: {burst}, concurrency: 20}}\n",
        )
        code, result, said = run(tmp_path, "rows.csv")
        assert len(api.requests()) == len(arrived.times) == result["requests"]
    times = arrived.times
    assert code == 0, said
    busiest = busiest_second(times)
    # Retries of the last rows come when there is no other work.
    working = sorted(times)[: rate * (seconds - 1)]
    share = (len(working) - 1) / (working[-1] - working[0]) / rate
    print(f"burst {burst}: {result['requests']} requests, busiest second {busiest}, {share:.1%} of the rate used")
    assert busiest <= rate + burst
    assert share >= 0.95 or not torture


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's time of arrival is Linux's")
def test_the_rate_is_held_after_connections_have_stalled(tmp_path: Path, *, torture: bool) -> None:
    """With TLS handshakes that stall until many wait, and then end together, no second holds more than the rate."""
    rate, waiting = (20, 99) if torture else (20, 25)
    numbered(tmp_path / "rows.csv", waiting + 20)

    async def last_of_its_connection(connection: Connection) -> None:
        request = await connection.request()
        assert request
        connection.write(request.answer())

    with serving(last_of_its_connection, tls()) as api, arrivals(api.url, held=waiting) as arrived:
        configure(tmp_path, f"https://localhost:{arrived.port}", f"sending: {{concurrency: {waiting + 1}}}\n")
        trusted = {"BATCH_UPDATER_API__CA_FILE": str(CERTIFICATES / "localhost.pem")}
        times = {"BATCH_UPDATER_API__TIMEOUT_S": "60", "BATCH_UPDATER_API__CONNECT_TIMEOUT_S": "50"}
        code, result, said = run(tmp_path, "rows.csv", **trusted, **times)
    assert code == 0, said
    busiest = busiest_second(arrived.times)
    print(f"{waiting} connections together: {len(arrived.times)} requests, busiest second {busiest}")
    assert len(arrived.times) == result["requests"]
    assert busiest <= rate


def test_a_service_that_allows_less_is_met(tmp_path: Path, *, torture: bool) -> None:
    """Asked at 1,000/s, a gateway of 100/s with burst 50 refuses 10% at most; 1.5 times the shortest time is enough."""
    rows = 6000 if torture else 1000
    numbered(tmp_path / "rows.csv", rows)
    with sandbox("--rate", "100", "--burst", "50") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 1000, concurrency: 20, max_wait_s: 60}\n")
        code, result, said = run(tmp_path, "rows.csv")
        requests = api.requests()
    assert (code, result["outcomes"]["updated"]) == (0, rows), said
    refused = sum(request["status"] == 429 for request in requests) / len(requests)
    took = max(request["at_s"] for request in requests) - min(request["at_s"] for request in requests)
    shortest = (rows - 50) / 100
    print(f"{refused:.1%} refused, {took / shortest:.2f} times the shortest time")
    assert refused <= 0.10
    assert took <= 1.5 * shortest or not torture


def test_a_service_that_only_answers_503_is_hardly_asked(tmp_path: Path) -> None:
    """Of 1,000 rows, at most 1.2 requests a row go out, and the run ends with `service_down`."""
    numbered(tmp_path / "rows.csv", 1000)
    with sandbox("--fault", "status-503=1") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 2000, concurrency: 20, max_wait_s: 4}\n")
        began = time.monotonic()
        code, result, _ = run(tmp_path, "rows.csv")
        took, requests = time.monotonic() - began, len(api.requests())
    assert (code, result["stopped"]) == (3, "service_down")
    print(f"{requests / 1000:.3f} requests a row, ended after {took:.1f} s")
    assert requests <= 1200
    assert result["requests"] == requests
    assert result["outcomes"]["failed"] + result["outcomes"]["not_sent"] == 1000
