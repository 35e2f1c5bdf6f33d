from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.program import sandbox
from tests.team.hosts import (
    Host,
    confirmed_rows,
    hosts,
    migrated,
    outcomes_of,
    query,
    require_counted,
    state_of,
    until,
)
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


def numbered_in_order(path: Path, count: int, first: int) -> None:
    """Write a file of so many rows, five for each record, each with a value that tells its number from `first` on."""
    records = count // 5
    numbers = range(first, first + count)
    write_rows(path, [{"Id": first + n % records, "Type": "Pre", "OpportunityName": f"row {n}"} for n in numbers])


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


class Submitted:
    """The files that a host has submitted, one after the other: records of their own, and rows numbered through."""

    def __init__(self, host: Host, address: str) -> None:
        self._host = host
        self._address = address
        self._rows: dict[str, int] = {}
        """Run -> how many rows it has, in the order of their submission."""

    @property
    def rows(self) -> int:
        """How many there are in all."""
        return sum(self._rows.values())

    @property
    def left(self) -> int:
        """How many of them have no outcome yet."""
        ((left,),) = query(self._address, "SELECT count(*) FROM rows WHERE state <> 'finished'")
        return int(left)

    def add(self, count: int) -> None:
        """Submit a further file of so many rows."""
        numbered_in_order(self._host.folder / self._file(len(self._rows)), count, 2 + self.rows)
        self._rows[self._host.submit(self._file(len(self._rows)))] = count

    def confirmed(self) -> set[int]:
        """Return the rows whose confirmation the database holds."""
        found, before = set[int](), 0
        for run, count in self._rows.items():
            found |= {before + number for number in confirmed_rows(self._address, run)}
            before += count
        return found

    def ended_with_all(self) -> None:
        """Wait for the end, and resume runs while rows are left: an answer without the record is not asked again."""
        for place, (run, count) in enumerate(self._rows.items()):
            until(partial(self._is_ended, run), 600)
            require_counted(self._address, run)
            for _ in range(6):
                until(partial(self._is_ended, run), 600)
                outcomes = outcomes_of(self._address, run)
                assert sum(outcomes.values()) == count
                if outcomes == {"updated": count}:
                    break
                assert self._host.submit(self._file(place)) == run
            else:
                raise AssertionError(outcomes_of(self._address, run))

    def _is_ended(self, run: str) -> bool:
        return state_of(self._address, run) == "ended"

    @staticmethod
    def _file(place: int) -> str:
        return f"many-{place}.csv"


class Kept:
    """The rows whose confirmation the database held at a moment: none of them may go out after it."""

    def __init__(self, api: Sandbox, submitted: Submitted) -> None:
        self._api = api
        self.rows = submitted.confirmed()
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
    """Either of two is killed again and again, with 10% faults, and PostgreSQL restarts in the middle.

    However long the kills take, each hits workers that have rows to send.
    """
    rows, kills, rate = (3000, 50, 20) if torture else (150, 2, 20)
    chance = random.Random(20)
    address = migrated(server)
    with sandbox(*TENTH, "--seed", "3") as api:
        host = Host(tmp_path, api.url, address, sending=_SENDING.format(rate=rate), more=_IN_ORDER)
        submitted = Submitted(host, address)
        with hosts(host):
            workers = [host.work(), host.work()]
            submitted.add(rows)
            kept: list[Kept] = []
            killed = 0
            while killed < kills:
                while submitted.left < 3 * rate:
                    submitted.add(10 * rate)
                time.sleep(chance.uniform(0.2, 2))  # the moment is meant to be any
                chosen = chance.randrange(2)
                workers[chosen].kill()
                kept.append(Kept(api, submitted))
                if submitted.left:
                    killed += 1
                    if killed == kills // 2 + 1:
                        server.restart("immediate")
                        kept.append(Kept(api, submitted))
                workers[chosen] = host.work()
            submitted.ended_with_all()
            assert [worker.end() for worker in workers] == [0, 0]
        for one in kept:
            one.require()
        require_in_order(api)
        print(f"{kills} kills, {len(api.requests())} requests for {submitted.rows} rows")


def test_a_network_that_is_cut_loses_nothing(
    tmp_path: Path,
    server: PostgresServer,
    *,
    torture: bool,
) -> None:
    """All workers are without the database for a while, longer than they may send without it."""
    rows, cut_s = (1500, 20.0) if torture else (150, 4.0)
    address = migrated(server)
    with tcp_proxy(server.port) as proxy, sandbox(*TENTH, "--seed", "5") as api:
        behind = address.replace(f":{server.port}/", f":{proxy.port}/")
        host = Host(tmp_path, api.url, behind, sending=_SENDING.format(rate=50), more=_IN_ORDER)
        with hosts(host):
            workers = [host.work(quick=not torture) for _ in range(2)]
            submitted = Submitted(host, address)
            submitted.add(rows)
            until(lambda: len(submitted.confirmed()) >= 40)
            proxy.cut()
            time.sleep(cut_s)  # so long it is cut
            kept = Kept(api, submitted)
            proxy.join()
            submitted.ended_with_all()
            assert [worker.end() for worker in workers] == [0, 0]
        kept.require()
        require_in_order(api)
