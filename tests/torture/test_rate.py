from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import configure, sandbox
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


@pytest.mark.parametrize("burst", [0, 20])
def test_the_rate_is_held_and_used_seen_from_the_server(tmp_path: Path, burst: int, *, torture: bool) -> None:
    """With faults and retries, no second holds 2% more than rate and burst, and 95% of the rate is used."""
    rate, seconds = 100, 60 if torture else 6
    numbered(tmp_path / "rows.csv", rate * seconds)
    with sandbox("--fault", "status-500=0.03", "--fault", "drop-after=0.02") as api:
        configure(tmp_path, api.url, f"sending: {{rate_per_s: {rate}, burst: {burst}, concurrency: 20}}\n")
        code, result, said = run(tmp_path, "rows.csv")
        times = [request["at_s"] for request in api.requests()]
    assert code == 0, said
    busiest = busiest_second(times)
    # Retries of the last rows come when there is no other work.
    working = sorted(times)[: rate * (seconds - 1)]
    share = (len(working) - 1) / (working[-1] - working[0]) / rate
    print(f"burst {burst}: {result['requests']} requests, busiest second {busiest}, {share:.1%} of the rate used")
    assert busiest <= 1.02 * (rate + burst)
    assert share >= 0.95


def test_a_service_that_allows_less_is_met(tmp_path: Path, *, torture: bool) -> None:
    """Asked at 1,000/s, a gateway of 100/s with burst 50 refuses 10% at most, and 1.5 times the shortest time does."""
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
    assert took <= 1.5 * shortest


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
