"""A job that keeps failing with an unforeseen error ends its run, so that no one waits for it in vain."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psycopg
import pytest

from batch_updater.config.environment import machine_name
from batch_updater.runs.team_database import SCHEMA
from tests.end_to_end.program import sandbox
from tests.team.hosts import Host, hosts, query, until
from tests.torture.runs import numbered

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]
SAID = "value-of-a-row"


def refuse(address: str, when: str, code: str = "raise_exception") -> None:
    """Have PostgreSQL refuse some writes, as a fault of the program or a limit of the server would."""
    execute(
        address,
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE '{SAID}' USING ERRCODE = '{code}';
        END $$;
        CREATE TRIGGER refuse BEFORE {when} EXECUTE FUNCTION refuse()""",
    )


def execute(address: str, statements: str) -> None:
    with psycopg.connect(address, options=f"-c search_path={SCHEMA}") as connection:
        connection.execute(statements.encode())


_OF_SEND = "UPDATE ON runs FOR EACH ROW WHEN (NEW.state = 'sending')"
_OF_FIRST_BLOCK = "UPDATE ON blocks FOR EACH ROW WHEN (NEW.state = 'sending')"
_OF_A_BLOCK = "UPDATE ON blocks FOR EACH ROW WHEN (NEW.state = 'sending' AND OLD.number = 1)"
_OF_REPORT = "INSERT OR UPDATE ON files FOR EACH ROW WHEN (NEW.name = 'report.html')"


@pytest.mark.parametrize(
    ("when", "sent"), [(_OF_SEND, 0), (_OF_FIRST_BLOCK, 0), (_OF_A_BLOCK, None), (_OF_REPORT, 100)]
)
def test_a_job_that_fails_three_times_ends_the_run(tmp_path: Path, address: str, when: str, sent: int | None) -> None:
    """Who waits gets the outcomes; the worker says what has failed without any value, and takes the next run.

    Run again once the cause is gone, the rest is sent.
    """
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        numbered(tmp_path / "many.csv", 100)
        refuse(address, when)
        with hosts(host):
            worker = host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json")
            confirmed = json.loads(out)["outcomes"]["updated"]
            assert SAID not in out + err + worker.said
            assert worker.said.count("RaiseException") == 3
            assert ", in " in worker.said
            if sent is None:
                assert 0 < confirmed < 100
            else:
                assert confirmed == sent
            if confirmed < 100:
                assert (code, json.loads(out)["stopped"]) == (3, "disk"), err
                said = "The workers failed three times with an internal error."
                assert query(address, "SELECT stop_message, ended_at >= started_at FROM parts") == [(said, True)]
            assert Path(json.loads(out)["results"]).is_file()
            until(lambda: query(address, "SELECT count(*) FROM procrastinate_jobs") == [(0,)])
            execute(address, "DROP FUNCTION refuse CASCADE")
            code, out, err = host.run("run", "many.csv", "--json")
            assert (code, json.loads(out)["outcomes"]["updated"]) == (0, 100), err
            assert worker.process.poll() is None
        assert len(api.requests()) == 100


@pytest.mark.parametrize("when", [_OF_SEND, _OF_FIRST_BLOCK, _OF_REPORT])
def test_a_statement_that_is_cancelled_each_time_ends_the_run(tmp_path: Path, address: str, when: str) -> None:
    """As by a statement_timeout that is too short: the database answers, and its refusal counts as a failure."""
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        numbered(tmp_path / "many.csv", 30)
        refuse(address, when, "query_canceled")
        with hosts(host):
            worker = host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json")
            assert worker.said.count("QueryCanceled") == 3
    assert (code, json.loads(out)["stopped"]) == ((0, None) if when is _OF_REPORT else (3, "disk")), err


def test_outcomes_that_are_refused_by_the_database_end_the_run(tmp_path: Path, address: str) -> None:
    """It says why; a disk that is full is waited for instead, and the worker says so."""
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        numbered(tmp_path / "many.csv", 30)
        finished = "UPDATE ON rows FOR EACH ROW WHEN (NEW.state = 'finished')"
        refuse(address, finished, "query_canceled")
        with hosts(host):
            worker = host.work(quick=False)
            code, out, err = host.run("run", "many.csv", "--json")
            assert (code, json.loads(out)["stopped"]) == (3, "disk"), err
            assert "cannot be written: " in worker.said
            execute(address, "DROP FUNCTION refuse CASCADE")
            refuse(address, finished, "disk_full")
            going = host.start("run", "many.csv", "--json")
            worker.wait_for(" cannot be used: ")
            execute(address, "DROP FUNCTION refuse CASCADE")
            out, err = going.communicate(timeout=200)
            assert (going.returncode, json.loads(out)["outcomes"]["updated"]) == (0, 30), err


def test_a_stopped_run_whose_report_fails_was_stopped_for_its_first_reason(tmp_path: Path, address: str) -> None:
    """That the workers have given up as well is in their log."""
    with sandbox("--latency-ms", "50") as api:
        host = Host(tmp_path, api.url, address)
        numbered(tmp_path / "many.csv", 400)
        refuse(address, _OF_REPORT)
        with hosts(host):
            worker = host.work(quick=False)
            command = host.start("run", "many.csv", "--json")
            until(lambda: api.received)
            command.send_signal(signal.SIGTERM)
            command.communicate(timeout=200)
            worker.wait_for("has failed too often")
    said = f"A command on {machine_name()} stopped the run."
    assert query(address, "SELECT stop_message FROM parts") == [(said,)]


_AWAY = """
    CREATE SEQUENCE failures;
    CREATE FUNCTION is_there() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM runs WHERE state = 'reporting') AND nextval('failures') <= 5 THEN
            RAISE 'the database system is starting up' USING ERRCODE = 'cannot_connect_now';
        END IF;
        RETURN true;
    END $$;
    ALTER TABLE run RENAME TO facts;
    CREATE VIEW run AS SELECT * FROM facts WHERE is_there();
"""
"""Lets the facts about a run, which are read when its report begins, be read only at the sixth time."""


def test_a_database_that_is_lost_again_and_again_during_a_report_counts_as_no_failure(
    tmp_path: Path, address: str
) -> None:
    """The report is written once it answers."""
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        numbered(tmp_path / "many.csv", 30)
        with hosts(host):
            host.submit("many.csv")
            execute(address, _AWAY)
            worker = host.work(quick=False)
            until(lambda: query(address, "SELECT true FROM runs WHERE state = 'ended'"))
            assert worker.end() == 0
    assert query(address, "SELECT last_value > 5 FROM failures") == [(True,)]
    assert query(address, "SELECT stopped, results IS NOT NULL FROM parts") == [(None, True)]
    assert query(address, "SELECT count(*) FROM files WHERE name IN ('report.html', 'result.json')") == [(2,)]
    assert "cannot be used" not in worker.said
