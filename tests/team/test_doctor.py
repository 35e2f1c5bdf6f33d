"""The doctor on a team's set-up: every check fails once, and no secret is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest

from batch_updater.config.environment import Environment
from batch_updater.config.secrets import Secret
from batch_updater.doctor.examination import examine
from batch_updater.doctor.finding import Finding, Status
from batch_updater.doctor.team import clock_finding
from batch_updater.runs.team_database import SCHEMA_VERSION, TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.end_to_end.program import batch_updater, configure, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian
CERTIFICATES = Path(__file__).parent.parent / "sender" / "certificates"
CHECKS = ["team database", "team clock", "team schema", "team workers", "team queue", "team quota"]
PASSWORD = "Zq7-xK2mNw9!"
BASE_URL = "http://127.0.0.1:9"
ORIGIN = "http://127.0.0.1:9"


@pytest.fixture
def address(server: PostgresServer) -> str:
    """Give the address of a database with the tables of this program."""
    found = with_role(server.new_database())
    migrate(TeamDatabase(Secret(address_of(found))))
    return found


def with_role(address: str) -> str:
    """Return an address with a password that has no word in common with what is told of a database."""
    with psycopg.connect(address, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'examiner'").fetchone():
            connection.execute(f"CREATE ROLE examiner SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    return address.replace("postgres:secret-of-the-database@", f"examiner:{PASSWORD}@")


def examined(folder: Path, address: str, more: str = "") -> dict[str, Finding]:
    """Examine a configuration with a team; returns its findings on that."""
    path = folder / "config.yaml"
    path.write_text(f"api: {{base_url: '{BASE_URL}'{more}}}\nteam: {{database: env:TEAM_DATABASE}}\n", encoding="utf-8")
    found = list(examine(path, Environment({"TEAM_DATABASE": address})))
    assert PASSWORD not in str(found)
    assert "lock" not in {finding.check for finding in found}  # a run of a team holds none
    return {finding.check: finding for finding in found if finding.check.startswith("team")}


def test_a_good_set_up_of_a_team(tmp_path: Path, address: str) -> None:
    """Each check in one line; a worker has been seen, and the queue is told with the run that waits the longest."""
    with psycopg.connect(address_of(address), autocommit=True) as connection:
        for host in ("host-a", "host-b", "host-b"):
            connection.execute("INSERT INTO workers SELECT procrastinate_register_worker_v1(), %s, %s", [host, ORIGIN])
        connection.execute("SELECT procrastinate_register_worker_v1()")  # of another queue of the same process
        connection.execute("INSERT INTO runs (name, origin, state, submitted_at) VALUES "
                           "('20261130-a', 'o', 'queued', now() - interval '5 min'), "
                           "('b', 'o', 'sending', now())")  # fmt: skip
        connection.execute("INSERT INTO quotas (origin, account) VALUES (%s, 'abcdefghijk')", (ORIGIN,))
        connection.execute("INSERT INTO months SELECT origin, account, date_trunc('month', now() AT TIME ZONE 'UTC'), "
                           "1234 FROM quotas")  # fmt: skip
    found = examined(tmp_path, address, ", quota_per_month: 2000")
    assert list(found) == CHECKS
    assert {finding.status for finding in found.values()} == {Status.OK}
    assert found["team database"].message.startswith("PostgreSQL 1")
    assert "on this machine" in found["team database"].message
    assert found["team workers"].message == "3 workers for this API seen in the last 30 seconds: host-a, host-b (2)."
    assert found["team queue"].message.startswith(
        "1 run waiting, 1 going on; 20261130-a has waited the longest, for 5 min"
    )
    assert found["team quota"].message == "1,234 requests this month of 2,000, 766 left."


def test_a_used_up_quota_an_open_breaker_and_failed_jobs_are_told(tmp_path: Path, address: str) -> None:
    """So is that no worker is there; they are warnings, for sending is allowed."""
    with psycopg.connect(address_of(address), autocommit=True) as connection:
        connection.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')")
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('runs', 's', 'failed')"
        )
        connection.execute("INSERT INTO quotas (origin, account, opened_at, deadline) VALUES "
                           "(%s, 'a', 1, extract(epoch FROM now()) + 60), (%s, 'b', 1, 2)",
                           (ORIGIN, ORIGIN))  # fmt: skip
        connection.execute("INSERT INTO months VALUES (%s, 'a', date_trunc('month', now() AT TIME ZONE 'UTC'), 7)",
                           (ORIGIN,))  # fmt: skip
    found = examined(tmp_path, address, ", quota_per_month: 5")
    assert found["team workers"].status is found["team queue"].status is found["team quota"].status is Status.WARNING
    assert "batch-updater worker" in found["team workers"].remedy
    assert "1 job failed" in found["team queue"].message
    assert found["team quota"].message == (
        "account a: 7 requests this month of 5, 0 left; the circuit breaker is open. "
        "account b: 0 requests this month of 5, 5 left."
    )


def test_only_workers_of_this_api_count(tmp_path: Path, address: str) -> None:
    """Those of another take none of its runs; they are named, so that a person sees what is wrong."""
    with psycopg.connect(address_of(address), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO workers SELECT procrastinate_register_worker_v1(), 'host-b', 'https://other.example.com'"
        )
    finding = examined(tmp_path, address)["team workers"]
    assert finding.status is Status.WARNING
    assert finding.message == (
        "none for this API was seen in the last 30 seconds, so its runs wait in the queue. "
        "Others: host-b for https://other.example.com."
    )


def test_the_way_to_the_api_is_looked_at_without_the_database(tmp_path: Path) -> None:
    """As far as nothing is sent: what is sent counts for the team's quota."""
    with sandbox() as api:
        configure(tmp_path, api.url, "team: {database: env:TEAM_DATABASE}\n")
        found = {
            finding.check: finding.status
            for finding in examine(tmp_path / "config.yaml", Environment({"TEAM_DATABASE": "postgresql://u@[::1]:1/x"}))
        }
        requests = api.requests()
    assert not requests
    assert found["team database"] is Status.WRONG
    assert {found[check] for check in ("DNS", "connection", "certificate", "clock")} == {Status.OK}
    assert found["answer"] is found["token"] is Status.SKIPPED


def test_a_database_that_cannot_be_reached_is_told_with_its_place(tmp_path: Path, closed_port: int) -> None:
    """The reason of each host, once; the rest is skipped."""
    one = f"postgresql://me:{PASSWORD}@127.0.0.1:{closed_port}/x"
    for address, hosts in ((one, 1), (one.replace("/x", f",127.0.0.1:{closed_port}/x"), 2)):
        found = examined(tmp_path, address)
        assert list(found) == CHECKS
        assert found["team database"].status is Status.WRONG
        where = " or ".join([f"127.0.0.1, port {closed_port}"] * hosts)
        why = f"cannot be used: database x at {where}, as user me: Connection refused."
        assert found["team database"].message == why
        assert {found[check].status for check in CHECKS[1:]} == {Status.SKIPPED}


def test_a_wrong_password_is_told_and_not_shown(tmp_path: Path, address: str) -> None:
    """PostgreSQL's own words."""
    found = examined(tmp_path, address.replace("Zq7", "Another-"))
    assert found["team database"].status is Status.WRONG
    assert "password authentication failed" in found["team database"].message


def test_a_secret_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """The variable is named."""
    found = examined(tmp_path, "")
    assert found["team database"].status is Status.WRONG
    assert "TEAM_DATABASE" in found["team database"].message
    assert found["team database"].remedy == "Set TEAM_DATABASE and run again."
    assert "export TEAM_DATABASE" in found["team database"].steps[0]
    assert found["team database"].steps[-1].endswith("a private file, by team.database: file:PATH")


def test_tables_that_are_not_there_and_those_of_a_newer_program(tmp_path: Path, server: PostgresServer) -> None:
    """Each with what to do; the checks that need them are skipped."""
    address = with_role(server.new_database())
    found = examined(tmp_path, address)
    assert found["team schema"].status is Status.WRONG
    assert "batch-updater worker --migrate" in found["team schema"].remedy
    assert found["team clock"].status is Status.OK
    assert {found[check].status for check in CHECKS[3:]} == {Status.SKIPPED}
    migrate(TeamDatabase(Secret(address_of(address))))
    with psycopg.connect(address_of(address), autocommit=True) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    newer = examined(tmp_path, address)["team schema"]
    assert newer.status is Status.WRONG
    assert "newer" in newer.message


def test_a_role_that_may_change_the_version_of_the_tables_is_a_warning(tmp_path: Path, server: PostgresServer) -> None:
    """Until the file with the roles has been run after the migration, too."""
    address = server.new_database()
    roles = (Path(__file__).parents[2] / "samples" / "team" / "roles.sql").read_text(encoding="utf-8")
    worker = address.replace("postgres:secret-of-the-database", f"batch_updater_worker:{quote(PASSWORD)}")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(roles)
        for role in ("owner", "worker"):
            connection.execute(f"ALTER ROLE batch_updater_{role} PASSWORD '{PASSWORD}'")
        migrate(TeamDatabase(Secret(address_of(worker.replace("batch_updater_worker", "batch_updater_owner")))))
        found = examined(tmp_path, worker)["team schema"]
        assert (found.status, "batch_updater_worker may change" in found.message) == (Status.WARNING, True)
        assert "roles.sql once more" in found.remedy
        connection.execute(roles)
    assert examined(tmp_path, worker)["team schema"].status is Status.OK


def test_the_version_of_the_tables_is_that_of_the_newest_revision() -> None:
    """What is required is what `--migrate` makes."""
    versions = Path(__file__).parents[2] / "batch_updater" / "team" / "migrations" / "versions"
    assert max(path.name for path in versions.glob("v*.py")).startswith(f"v{SCHEMA_VERSION}_")


@pytest.mark.parametrize(
    ("off_s", "said"),
    [(0.0, "agrees"), (-1.9, "agrees"), (2.6, "3 s ahead of"), (-3700, "3,700 s behind")],
)
def test_a_clock_that_differs_by_more_than_two_seconds_is_a_warning(off_s: float, said: str) -> None:
    """Ahead or behind."""
    finding = clock_finding(off_s)
    assert said in finding.message
    assert (finding.status is Status.WARNING) == (said != "agrees")


@pytest.fixture
def tls(server: PostgresServer) -> Iterator[PostgresServer]:
    """Give the server with a certificate of `localhost`."""
    data = server.folder / "data"
    for name, target in (("localhost.pem", "server.crt"), ("key.pem", "server.key")):
        shutil.copy(CERTIFICATES / name, data / target)
        (data / target).chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(data / target, "postgres", "postgres")
    _set_tls(server, "on")
    yield server
    _set_tls(server, "off")


def _set_tls(server: PostgresServer, value: str) -> None:
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET ssl = {value}")
        connection.execute("SELECT pg_reload_conf()")
    while True:
        with psycopg.connect(f"{server.address()}?sslmode=prefer") as connection:
            if connection.pgconn.ssl_in_use == (value == "on"):
                return


def test_tls_is_told(tmp_path: Path, tls: PostgresServer) -> None:
    """Verified, not verified, or none although the address asks for it to be done without."""
    address = with_role(tls.new_database()).replace("127.0.0.1", "localhost")
    migrate(TeamDatabase(Secret(address_of(address))))
    authority = quote(str(CERTIFICATES / "localhost.pem"))
    found = examined(tmp_path, f"{address}?sslmode=verify-full&sslrootcert={authority}")
    assert found["team database"].status is Status.OK
    assert found["team database"].message.endswith("; TLS, verified.")
    finding = examined(tmp_path, f"{address}?sslmode=require")["team database"]
    assert finding.status is Status.WARNING
    assert "not verified (sslmode=require)" in finding.message
    finding = examined(tmp_path, f"{address}?sslmode=disable")["team database"]
    assert finding.status is Status.OK
    assert finding.message.endswith("on this machine; the connection is not encrypted.")


@pytest.mark.parametrize(
    ("host", "authority", "said", "remedy"),
    [
        ("localhost", "expired.pem", "certificate verify failed", "sslrootcert=FILE"),
        ("127.0.0.1", "localhost.pem", "does not match host name", "the server's certificate is for"),
    ],
)
def test_a_certificate_of_another_authority_or_host_is_refused(
    tmp_path: Path, tls: PostgresServer, host: str, authority: str, said: str, remedy: str
) -> None:
    """Nothing is sent to it: the password goes after the certificate."""
    address = with_role(tls.new_database()).replace("127.0.0.1", host)
    verified = f"sslmode=verify-full&sslrootcert={quote(str(CERTIFICATES / authority))}"
    found = examined(tmp_path, f"{address}?{verified}")["team database"]
    assert found.status is Status.WRONG
    assert said in found.message
    assert remedy in found.remedy


def test_the_command_prints_it_and_so_does_json(tmp_path: Path, address: str) -> None:
    """As every other check."""
    with sandbox() as api:
        configure(tmp_path, api.url, "team: {database: env:TEAM_DATABASE}\n")
        done = batch_updater("doctor", cwd=tmp_path, TEAM_DATABASE=address)
        printed = batch_updater("doctor", "--json", cwd=tmp_path, TEAM_DATABASE=address)
    assert re.search(r"(?m)^warning +team workers +none", done.out)
    checks = [finding["check"] for finding in json.loads(printed.out)["checks"]]
    assert [check for check in checks if check.startswith("team")] == CHECKS
    assert PASSWORD not in done.out + done.err + printed.out
