from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from batch_updater.config.environment import machine_name
from tests.end_to_end.program import sandbox
from tests.team.hosts import (
    PATIENT_S,
    Host,
    confirmed_rows,
    ended,
    hosts,
    joined_run,
    outcomes_of,
    query,
    unanswered_rows,
    until,
    wait_for_workers,
    wait_until_handing_back,
)
from tests.team.postgres import PostgresServer
from tests.team.tcp_proxy import tcp_proxy
from tests.torture.runs import numbered, write_rows

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]


def rows_of(requests: list[dict[str, Any]]) -> list[int]:
    """Return the rows that requests were for: row n of the file is record n."""
    return [int(request["path"].rpartition("/")[2]) for request in requests]


def test_two_workers_share_the_blocks_of_a_run(tmp_path: Path, address: str) -> None:
    """Each row goes out once, the first one alone; both end with 0 when they are told to."""
    numbered(tmp_path / "many.csv", 150)
    with sandbox("--latency-ms", "100", answers=30) as api:
        host = Host(tmp_path, api.url, address, timeout_s=PATIENT_S)
        with hosts(host):
            first, second = host.work(quick=False), host.work(quick=False)
            run = host.submit("many.csv")
            for worker in (first, second):  # neither has room for all of them
                worker.wait_for(f"{run}, block")
            api.release()
            ended(address, run)
            assert (first.end(), second.end()) == (0, 0)
        requests = api.requests()
    assert outcomes_of(address, run) == {"updated": 150}
    assert sorted(rows_of(requests)) == list(range(2, 152))
    assert requests[0]["path"].endswith("/2")
    assert requests[1]["at_s"] - requests[0]["at_s"] >= 0.1


def test_rows_of_one_record_go_in_order_over_all_workers(tmp_path: Path, address: str) -> None:
    """Never two requests of a record at once, and its last row wins, with faults."""
    lines: list[dict[str, object]] = [
        {"Id": 1 + n % 8, "Type": "Pre", "OpportunityName": f"row {n}"} for n in range(120)
    ]
    write_rows(tmp_path / "many.csv", lines)
    faults = ("--fault", "status-503=0.05", "--fault", "drop-after=0.05")
    with sandbox(*faults, "--latency-ms", "10", "--seed", "4") as api:
        host = Host(
            tmp_path, api.url, address, more="input: {duplicates: in_order}\n",
            sending="{rate_per_s: 100, attempts: 10, retry_budget: 5, max_wait_s: 60}", timeout_s=PATIENT_S,
        )  # fmt: skip
        with hosts(host):
            host.work(quick=False)
            host.work(quick=False)
            code, _, err = host.run("run", "many.csv", "--json")
            assert code == 0, err
        applied: dict[str, list[int]] = {}
        for request in api.requests():
            if request["applied"]:
                applied.setdefault(request["path"], []).append(int(request["body"].split("row ")[1].rstrip('"}')))
    assert all(numbers == sorted(numbers) for numbers in applied.values())
    assert {path: numbers[-1] for path, numbers in applied.items()} == {
        f"/api/v2/opportunities/{1 + n % 8}": n for n in range(112, 120)
    }


def test_blocks_of_a_killed_worker_are_taken_over(tmp_path: Path, address: str) -> None:
    """Its rows in flight count as perhaps applied; none whose outcome is in the database goes out again."""
    numbered(tmp_path / "many.csv", 150)
    with sandbox("--latency-ms", "100", answers=40) as api:
        host = Host(
            tmp_path, api.url, address, sending="{rate_per_s: 40, concurrency: 4, drain_s: 100}", timeout_s=PATIENT_S
        )
        with hosts(host):
            killed, other, run = joined_run(host, address, 30)
            other.wait_for(f"{run}, block")  # each has some by now, of which no request is answered
            killed.kill()
            kept, seen = confirmed_rows(address, run), len(api.requests())
            other.wait_for(f"The worker on {machine_name()} is gone: another worker takes over block ")
            api.release()
            ended(address, run)
            again = rows_of(api.requests()[seen:])
            assert other.end() == 0
        requests = rows_of(api.requests())
    assert not set(again) & kept
    assert outcomes_of(address, run) == {"updated": 150}
    assert {row for row in requests if requests.count(row) > 1} <= unanswered_rows(address)
    ((doubtful,),) = query(address, "SELECT count(*) FROM attempts WHERE why = 'ended while in flight'")
    # A block has a row for each connection in flight, and rows that are made ready ahead: those of 0.1 s, 4 at this
    # rate, one less that wait, and as many again that are being announced. Each claim but the first may leave so many.
    ((left,),) = query(address, "SELECT sum(epoch - 1)::bigint FROM blocks")
    assert 0 < doubtful <= left * (4 + 4 - 1 + 4)


def test_a_worker_that_is_told_to_end_hands_its_blocks_back(tmp_path: Path, address: str) -> None:
    """What is in flight is awaited, so that each row goes out once, whichever worker sends it."""
    numbered(tmp_path / "many.csv", 150)
    with sandbox("--latency-ms", "100", answers=40) as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 100, drain_s: 100}", timeout_s=PATIENT_S)
        with hosts(host):
            first = host.work(quick=False)
            run = host.submit("many.csv")
            until(lambda: len(confirmed_rows(address, run)) >= 30)
            first.process.send_signal(signal.SIGTERM)
            wait_until_handing_back(tmp_path)
            api.release()
            assert first.ended() == 0
            assert "handed back" in first.said
            ((sending,),) = query(address, "SELECT count(*) FROM blocks WHERE state = 'sending'")
            ((in_flight,),) = query(address, "SELECT count(*) FROM rows WHERE state = 'in_flight'")
            assert (sending, in_flight) == (0, 0)
            assert 30 <= len(api.requests()) < 150
            second = host.work(quick=False)
            ended(address, run)
            assert second.end() == 0
        assert sorted(rows_of(api.requests())) == list(range(2, 152))
    assert outcomes_of(address, run) == {"updated": 150}


def test_rows_that_were_handed_back_name_why_the_run_was_stopped(tmp_path: Path, address: str) -> None:
    """Not that a worker had ended before."""
    with sandbox(answers=3) as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 20, drain_s: 100}", timeout_s=PATIENT_S)
        numbered(tmp_path / "many.csv", 60)
        with hosts(host):
            first = host.work(quick=False)
            waiting = host.start("run", "many.csv", "--json")
            until(lambda: query(address, "SELECT true FROM rows WHERE outcome = 'updated'"))
            until(lambda: query(address, "SELECT count(*) > 10 FROM rows WHERE state = 'in_flight'") == [(True,)])
            first.process.send_signal(signal.SIGTERM)
            wait_until_handing_back(tmp_path)
            api.release()
            assert first.ended() == 0
            handed_back = "SELECT count(*) > 0 FROM rows WHERE state = 'ready' AND commit_number > 0"
            assert query(address, handed_back) == [(True,)]
            waiting.send_signal(signal.SIGINT)
            waiting.communicate(timeout=120)  # no worker can end the run yet
            ((run,),) = query(address, "SELECT name FROM runs WHERE stop IS NOT NULL")
            second = host.work(quick=False)
            code, out, err = host.run("runs", "--follow", run, "--json")
            assert second.end() == 0
    assert code == 3, err
    told = json.loads(out)
    assert told["stopped"] == "interrupted"
    sheet = openpyxl.load_workbook(told["results"])["To fix"]
    texts = [str(value) for row in sheet.iter_rows(values_only=True) for value in row]
    assert (
        sum(f"turn. A command on {machine_name()} stopped the run." in text for text in texts)
        == told["outcomes"]["not_sent"]
        > 0
    )
    assert "A worker of the team has ended" not in " ".join([*texts, out])


def test_postgresql_that_restarts_in_the_middle_costs_no_row(
    tmp_path: Path, address: str, server: PostgresServer
) -> None:
    """Workers give their blocks back, connect again and go on; no confirmed row goes out again."""
    numbered(tmp_path / "many.csv", 200)
    with sandbox("--latency-ms", "100", answers=60) as api:
        host = Host(tmp_path, api.url, address, timeout_s=PATIENT_S)
        with hosts(host):
            workers = [host.work(), host.work()]
            wait_for_workers(address, 2)
            run = host.submit("many.csv")
            until(lambda: len(confirmed_rows(address, run)) >= 30)
            server.stop("immediate")
            api.release()  # answers come that cannot be written
            server.start()
            kept, seen = confirmed_rows(address, run), len(api.requests())
            ended(address, run)
            assert not set(rows_of(api.requests()[seen:])) & kept
            assert outcomes_of(address, run) == {"updated": 200}
            assert [worker.end() for worker in workers] == [0, 0]


def test_a_network_that_is_cut_for_some_seconds_costs_no_row(
    tmp_path: Path, address: str, server: PostgresServer
) -> None:
    """A worker without the database sends nothing after its time is over, and others take its blocks over."""
    numbered(tmp_path / "many.csv", 200)
    with tcp_proxy(server.port) as proxy, sandbox("--latency-ms", "100", answers=40) as api:
        behind = address.replace(f":{server.port}/", f":{proxy.port}/")
        host = Host(tmp_path, api.url, address, timeout_s=PATIENT_S)
        cut_off = Host(tmp_path / "other", api.url, behind, timeout_s=PATIENT_S)
        with hosts(host, cut_off):
            lonely = cut_off.work()
            run = host.submit("many.csv")
            until(lambda: len(confirmed_rows(address, run)) >= 30)
            other = host.work()
            wait_for_workers(address, 2)
            proxy.cut()
            api.release()
            lonely.wait_for("does not answer")
            kept, seen = confirmed_rows(address, run), len(api.requests())
            other.wait_for(f"The worker on {machine_name()} is gone: another worker takes over block ")
            proxy.join()
            ended(address, run)
            assert not set(rows_of(api.requests()[seen:])) & kept
            assert outcomes_of(address, run) == {"updated": 200}
            assert (lonely.end(), other.end()) == (0, 0)


def test_a_stop_found_by_one_worker_ends_the_run_for_all(tmp_path: Path, address: str) -> None:
    """The quota of the account is used up: no more rows follow than a second has, of the 340 that are left."""
    numbered(tmp_path / "many.csv", 400)
    with sandbox("--quota", "60", "--latency-ms", "50") as api:
        host = Host(tmp_path, api.url, address)
        with hosts(host):
            workers = [host.work(quick=False), host.work(quick=False)]
            run = host.submit("many.csv")
            ended(address, run)
            assert 60 < len(api.requests()) <= 60 + 100
            ((stop,),) = query(address, "SELECT stop FROM runs WHERE name = %s", run)
            assert '"quota"' in stop
            assert [worker.end() for worker in workers] == [0, 0]
        code, out, _ = host.run("runs", "--follow", run, "--json")
        assert code == 3
        assert '"stopped": "quota"' in out


def test_rows_that_are_all_refused_in_the_same_way_stop_the_run(tmp_path: Path, address: str) -> None:
    """The first rows are counted over all blocks: none alone has so many."""
    write_rows(
        tmp_path / "many.csv", [{"Id": 900_000_000 + row, "Type": "Pre", "OpportunityName": "x"} for row in range(400)]
    )
    with sandbox("--fault", "status-403=1.0") as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 100, stop_after_alike: 40}")
        with hosts(host):
            host.work(quick=False)
            host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json")
        assert code != 0, err
        assert '"stopped": "all_alike"' in out
        ((largest,),) = query(address, "SELECT max(rows) FROM blocks")
        assert largest < 40 <= len(api.requests()) < 400


def test_runs_for_one_api_go_one_after_the_other_and_for_two_in_parallel(tmp_path: Path, address: str) -> None:
    """20 submissions from four processes at once."""
    with sandbox("--latency-ms", "20", answers=0) as one, sandbox("--latency-ms", "20", answers=0) as two:
        made = [Host(tmp_path / str(n), (one, two)[n % 2].url, address, timeout_s=PATIENT_S) for n in range(4)]
        for n, host in enumerate(made):
            for file in range(5):
                numbered(host.folder / f"file-{n}-{file}.csv", 8 + 5 * n + file)
        with hosts(*made):
            for host in made[:2]:
                host.work(quick=False)
            submitting = [host.submit_all(f"file-{n}-{file}.csv" for file in range(5)) for n, host in enumerate(made)]
            until(lambda: one.received and two.received)  # a run for each is being sent
            one.release()
            two.release()
            for process in submitting:
                _, err = process.communicate(timeout=120)
                assert process.returncode == 0, err
            until(lambda: query(address, "SELECT count(*) FROM runs WHERE state = 'ended'") == [(20,)], 200)
    spans = query(
        address,
        "SELECT origin, started_at, max(sent_at + seconds) FROM runs JOIN parts ON parts.run = runs.id"
        " JOIN rows ON rows.run = runs.id GROUP BY origin, started_at ORDER BY started_at",
    )
    by_origin: dict[str, list[tuple[float, float]]] = {}
    for origin, began, last in spans:
        by_origin.setdefault(origin, []).append((began, last))
    assert sorted(map(len, by_origin.values())) == [10, 10]
    for of_origin in by_origin.values():
        assert all(last <= following for (_, last), (following, _) in itertools.pairwise(of_origin))
    first, second = by_origin.values()
    assert any(a < d and c < b for a, b in first for c, d in second)


def test_a_worker_without_a_team_or_its_database_ends_with_2(tmp_path: Path, closed_port: int) -> None:
    """It says what is wrong, and not where the database is."""
    host = Host(tmp_path, "http://127.0.0.1:1", f"postgresql://me:secret@127.0.0.1:{closed_port}/team")
    code, _, err = host.run("worker")
    assert code == 2
    assert "team.database" in err
    assert "secret" not in err
    (tmp_path / "config.yaml").write_text("api: {base_url: 'http://127.0.0.1:1', token: 'env:NEXUS_TOKEN'}\n")
    code, _, err = host.run("worker")
    assert code == 2
    assert "needs team.database" in err
