from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.program import sandbox
from tests.team.hosts import Host, confirmed_rows, hosts, migrated, outcomes_of, require_counted, state_of, until
from tests.team.postgres import postgres_server
from tests.team.tcp_proxy import tcp_proxy
from tests.torture.runs import write_rows
from tests.torture.test_kill import TENTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian
_SENDING = "{{rate_per_s: {rate}, concurrency: 10, attempts: 8, max_wait_s: 60, retry_budget: 5}}"
_IN_ORDER = "input: {duplicates: in_order}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server of its own, which is restarted."""
    with postgres_server() as server:
        yield server


def numbered_in_order(path: Path, count: int) -> None:
    """Write a file of so many rows, five for each record, each with a value that tells its number."""
    records = count // 5
    write_rows(path, [{"Id": 1 + n % records, "Type": "Pre", "OpportunityName": f"row {n + 2}"} for n in range(count)])


def rows_of(requests: list[dict[str, Any]]) -> list[int]:
    """Return the rows that requests were for."""
    return [int(request["body"].split("row ")[1].rstrip('"}')) for request in requests]


def require_in_order(api: Sandbox) -> None:
    """Fail if a row was applied after a later one of its record; the same one may be applied twice."""
    applied: dict[str, list[int]] = {}
    for request in api.requests():
        if request["applied"]:
            applied.setdefault(request["path"], []).extend(rows_of([request]))
    assert all(numbers == sorted(numbers) for numbers in applied.values())


def ended_with_all(host: Host, address: str, run: str, rows: int) -> None:
    """Wait for the end, and resume the run while rows are left: an answer without the record is not asked for again."""
    until(lambda: state_of(address, run) == "ended", 600)
    require_counted(address, run)
    assert sum(outcomes_of(address, run).values()) == rows
    for _ in range(5):
        if outcomes_of(address, run) == {"updated": rows}:
            return
        assert host.submit("many.csv") == run
        until(lambda: state_of(address, run) == "ended", 600)
    raise AssertionError(outcomes_of(address, run))


class Kept:
    """The rows whose confirmation the database held at a moment: none of them may go out after it."""

    def __init__(self, api: Sandbox, address: str, run: str) -> None:
        self._api = api
        self.rows = confirmed_rows(address, run)
        self._seen = len(api.requests())

    def require(self) -> None:
        """Fail if one has gone out since."""
        assert not self.rows & set(rows_of(self._api.requests()[self._seen :]))


def test_workers_killed_at_any_moment_lose_nothing(
    tmp_path: Path,
    server: PostgresServer,
    *,
    torture: bool,
) -> None:
    """Either of two is killed again and again, with 10% faults, and PostgreSQL restarts in the middle."""
    rows, kills, rate = (3000, 50, 20) if torture else (150, 2, 20)
    chance = random.Random(20)
    address = migrated(server)
    numbered_in_order(tmp_path / "many.csv", rows)
    with sandbox(*TENTH, "--seed", "3") as api:
        host = Host(tmp_path, api.url, address, sending=_SENDING.format(rate=rate), more=_IN_ORDER)
        with hosts(host):
            workers = [host.work(), host.work()]
            run = host.submit("many.csv")
            kept: list[Kept] = []
            for number in range(kills):
                time.sleep(chance.uniform(0.2, 2))  # the moment is meant to be any
                chosen = chance.randrange(2)
                workers[chosen].kill()
                kept.append(Kept(api, address, run))
                if number == kills // 2:
                    server.restart("immediate")
                    kept.append(Kept(api, address, run))
                workers[chosen] = host.work()
            was_ended = state_of(address, run) == "ended"
            ended_with_all(host, address, run, rows)
            assert [worker.end() for worker in workers] == [0, 0]
        for one in kept:
            one.require()
        assert not was_ended
        require_in_order(api)
        print(f"{kills} kills, {len(api.requests())} requests for {rows} rows")


def test_a_network_that_is_cut_loses_nothing(
    tmp_path: Path,
    server: PostgresServer,
    *,
    torture: bool,
) -> None:
    """All workers are without the database for a while, longer than they may send without it."""
    rows, cut_s = (1500, 20.0) if torture else (150, 4.0)
    address = migrated(server)
    numbered_in_order(tmp_path / "many.csv", rows)
    with tcp_proxy(server.port) as proxy, sandbox(*TENTH, "--seed", "5") as api:
        behind = address.replace(f":{server.port}/", f":{proxy.port}/")
        host = Host(tmp_path, api.url, behind, sending=_SENDING.format(rate=50), more=_IN_ORDER)
        with hosts(host):
            workers = [host.work(quick=not torture) for _ in range(2)]
            run = host.submit("many.csv")
            until(lambda: len(confirmed_rows(address, run)) >= 40)
            proxy.cut()
            time.sleep(cut_s)  # so long it is cut
            kept = Kept(api, address, run)
            proxy.join()
            ended_with_all(host, address, run, rows)
            assert [worker.end() for worker in workers] == [0, 0]
        kept.require()
        require_in_order(api)
