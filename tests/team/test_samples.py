"""samples/team/: what is installed for a team parses, is hardened, and works with the rights that it says."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import yaml

from batch_updater.config.loading import load_config
from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.end_to_end.program import batch_updater, configure, environment, sandbox
from tests.test_schedule import MOST_EXPOSURE, SCHEDULE

if TYPE_CHECKING:
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian
TEAM = SCHEDULE.parent / "team"
UNIT = "batch-updater-worker.service"
PAGE = (SCHEDULE.parents[1] / "docs" / "guide" / "team.md").read_text(encoding="utf-8")


def text_of(name: str) -> str:
    return (TEAM / name).read_text(encoding="utf-8")


def installed(folder: Path) -> Path:
    path = folder / UNIT
    path.write_text(text_of(UNIT).replace("/usr/local/bin/batch-updater", "/bin/true"), encoding="utf-8")
    return path


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing at all."""
    command = ["systemd-analyze", "verify", str(installed(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """As those of the nightly job and of the page."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(installed(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found
    assert float(found[1]) <= MOST_EXPOSURE
    assert f"exposure {found[1]} of 10" in PAGE


def test_the_unit_runs_the_command_with_secrets_by_reference() -> None:
    """They are such that the sample configuration takes; there is time to hand blocks back."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have case
    unit.read_string(text_of(UNIT))
    assert unit["Service"]["ExecStart"].startswith("/usr/local/bin/batch-updater worker --config ")
    environ = dict(re.findall(r"(?m)^Environment=(BATCH_UPDATER_\w+)=(.+)$", text_of(UNIT)))
    assert set(environ) == {"BATCH_UPDATER_API__TOKEN", "BATCH_UPDATER_TEAM__DATABASE"}
    config = load_config(
        TEAM / "config.yaml", {name: value.replace("%d", "/run/credentials/x") for name, value in environ.items()}
    )
    assert str(config.team.database) == "file:/run/credentials/x/team-database"
    assert int(unit["Service"]["TimeoutStopSec"]) > config.sending.drain_s + 60
    for path in (config.results.folder, config.nightly.inbox):
        assert path
        assert path.is_relative_to(unit["Service"]["ReadWritePaths"])


def test_the_compose_file_says_that_it_is_untested_and_gives_secrets_as_files() -> None:
    """It is YAML, and its variables are such that the configuration takes."""
    text = text_of("compose.yaml")
    assert "UNTESTED" in text
    compose = yaml.safe_load(text)
    services = compose["services"]
    assert set(services) == {"database", "migrate", "roles", "worker"}
    for service, role in (("migrate", "owner"), ("worker", "worker")):
        address = f"batch_updater_{role}-address"
        assert services[service]["secrets"] == ["nexus-token", address]
        config = load_config(TEAM / "config.yaml", services[service]["environment"])
        assert str(config.team.database) == f"file:/run/secrets/{address}"
    for service in services.values():
        assert set(service["secrets"]) <= set(compose["secrets"])
    assert re.search(r"untested", PAGE, re.IGNORECASE)


def test_the_compose_file_gives_the_roles_their_passwords(tmp_path: Path, server: PostgresServer) -> None:
    """What the image executes at its first start, executed: both roles connect with what is in the secrets."""
    compose = yaml.safe_load(text_of("compose.yaml"))
    mounts = (*compose["services"]["database"]["volumes"], compose["services"]["database"]["configs"][0]["target"])
    assert [re.findall(r"initdb\.d/(\S+?\.sql)", mount) for mount in mounts] == [
        [],
        ["1-roles.sql"],
        ["2-passwords.sql"],
    ]
    for role in ("owner", "worker"):
        (tmp_path / f"batch_updater_{role}-password").write_text(f"it's {role}\n", encoding="utf-8")
    passwords = tmp_path / "2-passwords.sql"
    passwords.write_text(
        compose["configs"]["passwords"]["content"].replace("/run/secrets", str(tmp_path)), encoding="utf-8"
    )
    address = server.new_database()
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-f", str(TEAM / "roles.sql"), "-f", str(passwords), address]
    subprocess.run(command, check=True, capture_output=True)
    for role in ("owner", "worker"):
        user = f"batch_updater_{role}"
        with psycopg.connect(address, user=user, password=f"it's {role}") as connection:
            assert connection.info.user == user


@pytest.mark.parametrize("name", sorted(path.name for path in TEAM.iterdir()))
def test_the_page_explains_every_file(name: str) -> None:
    """Each has its place there."""
    assert f"samples/team/{name}" in PAGE


@pytest.fixture
def roles(server: PostgresServer) -> dict[str, str]:
    """Give the addresses of a database whose tables one role owns and another one works with."""
    address = server.new_database()
    addresses = {}
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(text_of("roles.sql"))
        for role in ("owner", "worker"):
            connection.execute(f"ALTER ROLE batch_updater_{role} PASSWORD 'password-of-{role}'")
            addresses[role] = address.replace(
                "postgres:secret-of-the-database", f"batch_updater_{role}:password-of-{role}"
            )
        migrate(TeamDatabase(Secret(address_of(addresses["owner"]))))
        connection.execute(text_of("roles.sql"))
    return addresses


def test_the_role_of_workers_does_everything_but_change_tables(tmp_path: Path, roles: dict[str, str]) -> None:
    """A run from its file to its workbook, and what is known of it; no migration."""
    with sandbox() as api:
        configure(tmp_path, api.url, "team: {database: env:TEAM_DATABASE, block_rows: 5}\nsending: {rate_per_s: 500}\n")
        rows = "".join(f"{number},Pre,{number}\n" for number in range(1, 31))
        (tmp_path / "c.csv").write_text(f"Id,Type,SalesRevenue\n{rows}", encoding="utf-8")
        variables = {"TEAM_DATABASE": roles["worker"]}
        command = [sys.executable, "-m", "batch_updater", "worker"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(**variables), stderr=subprocess.PIPE, text=True
        ) as worker:
            done = batch_updater("run", "c.csv", "--yes", cwd=tmp_path, **variables)
            worker.terminate()
            _, said = worker.communicate(timeout=60)
        assert (done.code, worker.returncode) == (0, 0), (done.err, said)
        assert "30  updated" in done.out
        for arguments in (["runs"], ["report"], ["doctor"]):
            assert batch_updater(*arguments, cwd=tmp_path, **variables).code == 0
        again = batch_updater("worker", "--migrate", cwd=tmp_path, **variables)
        assert (again.code, "nothing to do" in again.out) == (0, True)
    assert "password-of" not in done.out + done.err + said + again.out + again.err


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE TEMP TABLE mine (x int)",
        "DROP TABLE blocks",
        "ALTER TABLE blocks ADD COLUMN x int",
        "TRUNCATE blocks",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION procrastinate_register_worker_v1()",
        "UPDATE schema_version SET version_num = '9999'",
        "DELETE FROM schema_version",
    ],
)
def test_a_worker_changes_no_table(roles: dict[str, str], statement: str) -> None:
    """PostgreSQL refuses it."""
    with (
        psycopg.connect(address_of(roles["worker"]), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_others_have_no_way_in(server: PostgresServer, roles: dict[str, str]) -> None:
    """A role of another application of the same server cannot even connect."""
    with psycopg.connect(server.address(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS other_application")
        connection.execute("CREATE ROLE other_application LOGIN PASSWORD 'x'")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(roles["worker"], user="other_application", password="x")
