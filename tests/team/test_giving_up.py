"""A job that keeps failing with an unforeseen error ends its run, so that no one waits for it in vain."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from batch_updater.runs.team_database import SCHEMA
from tests.end_to_end.program import sandbox
from tests.team.hosts import Host, hosts, migrated, query, until
from tests.team.postgres import PostgresServer
from tests.torture.runs import numbered

pytestmark = pytest.mark.debian
SAID = "value-of-a-row"


@pytest.fixture
def address(server: PostgresServer) -> str:
    """Return the address of a database with the tables of this program."""
    return migrated(server)


def refuse(address: str, when: str) -> None:
    """Have PostgreSQL refuse some writes, as a fault of the program would."""
    execute(
        address,
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '{SAID}'; END $$;
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
            worker = host.work()
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
            worker = host.work()
            until(lambda: query(address, "SELECT true FROM runs WHERE state = 'ended'"))
            assert worker.end() == 0
    assert query(address, "SELECT last_value > 5 FROM failures") == [(True,)]
    assert query(address, "SELECT stopped, results IS NOT NULL FROM parts") == [(None, True)]
    assert query(address, "SELECT count(*) FROM files WHERE name IN ('report.html', 'result.json')") == [(2,)]
    assert "cannot be used" not in worker.said
