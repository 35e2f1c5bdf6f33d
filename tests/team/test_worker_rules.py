"""As whom, and by whose rules, workers send a run, and what ends it for all of them."""

from __future__ import annotations

import itertools
import json
import signal
import sys
from pathlib import Path

import pytest

from batch_updater.config.environment import machine_name
from tests.end_to_end.program import TOKEN, sandbox
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
    wait_until_handing_back,
)
from tests.team.postgres import PostgresServer
from tests.team.tcp_proxy import tcp_proxy
from tests.torture.runs import numbered, write_rows

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]
_NEW_TOKEN = """
import json, urllib.parse, urllib.request
asked = {{"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox-secret"}}
with urllib.request.urlopen("{url}", urllib.parse.urlencode(asked).encode()) as answer:
    print(json.load(answer)["access_token"])
"""
"""A program that prints another valid token each time."""


@pytest.mark.parametrize(
    ("account", "variables", "differs"),
    [
        ("token: 'env:NEXUS_TOKEN', headers: {X-Tenant: other-tenant}", {}, "X-Tenant"),
        ("token: 'env:OTHER_TOKEN'", {"OTHER_TOKEN": "token-of-another"}, "api.token"),
        ("token: 'env:NEXUS_TOKEN'", {"NEXUS_TOKEN": "token-of-another"}, "api.token"),
    ],
    ids=["another header", "another token from elsewhere", "another token by the same reference"],
)
def test_a_worker_of_another_caller_sends_nothing(
    tmp_path: Path, address: str, account: str, variables: dict[str, str], differs: str
) -> None:
    """It ends the run, and says on which host what differs."""
    with sandbox() as api:
        desk = Host(tmp_path / "desk", api.url, address)
        other = Host(tmp_path / "other", api.url, address, account=account, variables=variables)
        numbered(desk.folder / "many.csv", 30)
        with hosts(other):
            worker = other.work(quick=False)
            code, out, err = desk.run("run", "many.csv", "--json")
            assert worker.end() == 0
        assert "ends for all" in worker.said
        assert not api.requests()
        for text in (out, err, worker.said):
            assert TOKEN not in text
            assert "token-of-another" not in text
            assert "other-tenant" not in text
    assert code == 3, err
    assert '"stopped": "credentials"' in out
    assert f"On {machine_name()}: " in out
    assert differs in out
    ((advice,),) = query(address, "SELECT stop_advice FROM parts")
    assert "renewed after the run was submitted, run again" in advice


def test_a_worker_sends_with_the_new_token_of_the_same_command(tmp_path: Path, address: str) -> None:
    """Although each call of it gives another one: they are of one account, and share its quota."""
    with sandbox() as api:
        program = tmp_path / "token.py"
        program.write_text(_NEW_TOKEN.format(url=f"{api.url}/oauth/token"), encoding="utf-8")
        account = f"token: 'command:{sys.executable} {program}'"
        desk, other = (Host(tmp_path / name, api.url, address, account=account) for name in ("desk", "other"))
        numbered(desk.folder / "many.csv", 30)
        with hosts(other):
            worker = other.work(quick=False)
            code, out, err = desk.run("run", "many.csv", "--json")
            assert code == 0, err
            assert worker.end() == 0
        assert json.loads(out)["outcomes"]["updated"] == 30
        assert [request["path"] for request in api.requests()].count("/oauth/token") > 1
    assert query(address, "SELECT count(DISTINCT account) FROM quotas") == [(1,)]
    for text in (out, err, worker.said):
        assert "sandbox-issued" not in text


def test_the_rules_are_those_of_who_submits(tmp_path: Path, address: str) -> None:
    """Rate, and whether 202 counts as done: not what the worker's host says."""
    with sandbox("--fault", "accepted=1.0") as api:
        desk = Host(
            tmp_path / "desk", api.url, address, sending="{rate_per_s: 20}",
            account="token: 'env:NEXUS_TOKEN', accepted_is_done: true",
        )  # fmt: skip
        other = Host(tmp_path / "other", api.url, address, sending="{rate_per_s: 2000}")
        numbered(desk.folder / "many.csv", 60)
        with hosts(other):
            other.work(quick=False)
            code, out, err = desk.run("run", "many.csv", "--json")
        assert code == 0, err
        assert json.loads(out)["outcomes"]["updated"] == 60
        sent_at = [request["at_s"] for request in api.requests()]
        assert sent_at[-1] - sent_at[0] > 0.9 * 59 / 20


def test_limits_are_those_of_who_submits(tmp_path: Path, address: str) -> None:
    """After how many rows that are refused in the same way a run stops."""
    with sandbox("--fault", "status-403=1.0") as api:
        desk = Host(tmp_path / "desk", api.url, address, sending="{rate_per_s: 20, stop_after_alike: 5}")
        other = Host(tmp_path / "other", api.url, address, sending="{rate_per_s: 2000, stop_after_alike: 1000}")
        numbered(desk.folder / "many.csv", 200)
        with hosts(other):
            other.work(quick=False)
            _, out, err = desk.run("run", "many.csv", "--json")
        assert '"stopped": "all_alike"' in out, err
        assert "The first 5 rows" in out
        assert 5 <= len(api.requests()) < 200


def test_failures_are_counted_over_all_blocks(tmp_path: Path, address: str) -> None:
    """No block alone has as many as sending.stop_after_failures allows."""
    numbered(tmp_path / "many.csv", 400)
    with sandbox("--fault", "text-refusal=1.0", "--latency-ms", "20") as api:
        sending = "{rate_per_s: 100, stop_after_failures: 100}"
        host = Host(tmp_path, api.url, address, sending=sending)
        with hosts(host):
            host.work(quick=False)
            host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json")
        assert code == 3, err
        assert '"stopped": "failures"' in out
        ((largest,),) = query(address, "SELECT max(rows) FROM blocks")
        assert largest < 100 <= len(api.requests()) < 400


def test_a_worker_fetches_one_token_for_all_blocks_of_a_run(tmp_path: Path, address: str) -> None:
    """It is fetched again only when it runs out, by one of those who send."""
    with sandbox("--token-expires-s", "6") as api:
        account = (
            f"oauth: {{token_url: '{api.url}/oauth/token', client_id: sandbox, client_secret: 'env:CLIENT_SECRET'}}"
        )
        host = Host(
            tmp_path, api.url, address, account=account, sending="{rate_per_s: 15}",
            variables={"CLIENT_SECRET": "sandbox-secret"},
        )  # fmt: skip
        numbered(tmp_path / "many.csv", 150)
        with hosts(host):
            worker = host.work(concurrency=3, quick=False)
            code, _, err = host.run("run", "many.csv", "--json")
            assert code == 0, err
            assert worker.end() == 0
        fetched = [request["at_s"] for request in api.requests() if request["path"] == "/oauth/token"]
        assert query(address, "SELECT count(*) > 3 FROM blocks") == [(True,)]
        assert len(fetched) > 1
        assert all(later - earlier > 2 for earlier, later in itertools.pairwise(fetched))  # a tenth less than 6


def test_records_are_read_first_although_a_worker_is_killed(tmp_path: Path, address: str) -> None:
    """Every record is kept as it was, and only rows whose update may have gone out count as perhaps applied."""
    with sandbox("--latency-ms", "50", "--fault", "status-503=0.05", answers=120) as api:
        sending = "{rate_per_s: 100, attempts: 5, retry_budget: 5, max_wait_s: 60, compare: true, drain_s: 100}"
        host = Host(tmp_path, api.url, address, sending=sending, timeout_s=PATIENT_S)
        numbered(tmp_path / "many.csv", 150)
        with hosts(host):
            killed, other, run = joined_run(host, address, 20)
            other.wait_for(f"{run}, block")  # each has some by now, of which no request is answered
            killed.kill()
            kept, seen = confirmed_rows(address, run), len(api.requests())
            api.release()
            ended(address, run)
            assert other.end() == 0
        updates = [request for request in api.requests()[seen:] if request["method"] == "PUT"]
        assert not {int(request["path"].rpartition("/")[2]) for request in updates} & kept
        assert outcomes_of(address, run) == {"updated": 150}
        assert query(address, "SELECT count(*) FROM rows WHERE before IS NULL") == [(0,)]
        applied = [request["path"] for request in api.requests() if request["applied"] and request["method"] == "PUT"]
        twice = {int(path.rpartition("/")[2]) for path in applied if applied.count(path) > 1}
        assert twice <= unanswered_rows(address)


def test_an_undo_is_sent_by_workers(tmp_path: Path, address: str) -> None:
    """What a run has changed in the team is as it was before, and a record that was changed since stays."""
    with sandbox() as api:
        host = Host(tmp_path, api.url, address, sending="{rate_per_s: 500, compare: true}")
        numbered(tmp_path / "many.csv", 60)
        write_rows(tmp_path / "since.csv", [{"Id": 7, "Type": "Pre", "OpportunityName": "since"}])
        with hosts(host):
            host.work(quick=False)
            host.work(quick=False)
            assert host.run("run", "many.csv", "--json")[0] == 0
            before = query(address, "SELECT number, before::json ->> 'OpportunityName' FROM rows ORDER BY number")
            names = {number: str(name) for number, name in before}
            run = query(address, "SELECT name FROM runs")[0][0]
            assert host.run("run", "since.csv", "--json")[0] == 0
            code, out, err = host.run("undo", run, "--json")
            assert code == 0, err
            _, out, err = host.run("run", json.loads(out)["undo"], "--json", "--yes")
        outcomes = json.loads(out)["outcomes"]
        assert outcomes["updated"] == 59, (out, err)
        records = api.records()
        assert records[7]["OpportunityName"] == "since"
        assert all(records[number]["OpportunityName"] == name for number, name in names.items() if number != 7)


def test_a_second_signal_does_not_wait_for_answers(tmp_path: Path, address: str) -> None:
    """Rows whose answers were not awaited count as perhaps applied, and another worker sends them."""
    with sandbox(answers=1) as api:
        sending = "{rate_per_s: 100, attempts: 5, retry_budget: 5, max_wait_s: 60, drain_s: 600}"
        host = Host(tmp_path, api.url, address, sending=sending, timeout_s=600)
        numbered(tmp_path / "many.csv", 30)
        with hosts(host):
            first = host.work(quick=False)
            run = host.submit("many.csv")
            until(lambda: len(api.received) >= 8)
            first.process.send_signal(signal.SIGTERM)
            wait_until_handing_back(tmp_path)  # else both signals may be one
            first.process.send_signal(signal.SIGTERM)
            first.process.wait(100)
            assert "Traceback" not in first.said
            api.release()
            second = host.work(quick=False)
            ended(address, run)
            assert second.end() == 0
        assert outcomes_of(address, run) == {"updated": 30}
        ((doubtful,),) = query(address, "SELECT count(*) FROM rows WHERE earlier_attempts > 0 OR maybe_applied = 1")
        assert doubtful > 0


def test_rows_of_an_imported_run_that_was_killed_may_be_applied(tmp_path: Path, address: str) -> None:
    """That the team reads records first says nothing of a run which sent its updates without that, until its end."""
    with sandbox(answers=1) as api:
        sending = "{rate_per_s: 200, concurrency: 10, compare: true}"
        host = Host(tmp_path, api.url, address, sending=sending, timeout_s=PATIENT_S)
        numbered(tmp_path / "many.csv", 40)
        config = tmp_path / "config.yaml"
        of_team = config.read_text()
        alone = [line for line in of_team.splitlines() if not line.startswith("team")]
        config.write_text("\n".join(alone).replace("compare: true", "compare: false"))
        killed = host.start("run", "many.csv", "--json")
        until(lambda: len(api.received) >= 8)
        killed.kill()
        killed.communicate()
        api.release()
        sent = {int(request["path"].rpartition("/")[2]) for request in api.requests()}
        config.write_text(of_team)
        code, _, err = host.run("team", "import")
        assert code == 0, err
        left = {row for (row,) in query(address, "SELECT number FROM rows WHERE state = 'in_flight'")}
        assert left
        assert query(address, "SELECT value FROM run WHERE name = 'reads_first'") == [("false",)]
        with hosts(host):
            host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json", "--yes")
        assert code == 0, err
        assert query(address, "SELECT value FROM run WHERE name = 'reads_first'") == [("true",)]
        told = query(address, "SELECT \"row\" FROM attempts WHERE why = 'ended while in flight'")
        assert {row for (row,) in told} == left >= sent - {2}
        assert json.loads(out)["outcomes"]["updated"] == 40


def test_a_worker_that_has_lost_the_database_awaits_no_answer_once_others_may_take_over(
    tmp_path: Path, address: str, server: PostgresServer
) -> None:
    """However long sending.drain_s is: its request ends before another one may send the next row of the record."""
    with tcp_proxy(server.port) as proxy, sandbox(answers=0) as api:
        behind = address.replace(f":{server.port}/", f":{proxy.port}/")
        host = Host(
            tmp_path, api.url, behind, sending="{drain_s: 600, attempts: 5, retry_budget: 5}", timeout_s=600
        )  # fmt: skip
        numbered(tmp_path / "many.csv", 1)

        def attempts(run: str) -> list[dict[str, object]]:
            lines = (tmp_path / "runs" / run / "run.log").read_text(encoding="utf-8").splitlines()
            return [line for line in map(json.loads, lines) if line["event"] == "attempt"]

        with hosts(host):
            worker = host.work()
            run = host.submit("many.csv")
            until(lambda: len(api.received) == 1)
            proxy.cut()
            worker.wait_for("does not answer")
            until(lambda: attempts(run))  # no answer has come, and none was awaited
            api.release()
            proxy.join()
            ended(address, run)
            assert worker.end() == 0
        assert outcomes_of(address, run) == {"updated": 1}
    assert "status" not in attempts(run)[0]
