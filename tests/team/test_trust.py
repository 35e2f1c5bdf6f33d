"""What someone who can write to a team's database, such as a foreign host, cannot make the hosts of the team do."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_updater.errors import ResultsError
from batch_updater.runs.history import PastRun, run_named
from batch_updater.runs.queued_runs import queued_run
from batch_updater.runs.run_files import files_of
from batch_updater.runs.team_database import TeamDatabase
from batch_updater.runs.team_uploads import TeamUploads
from tests.end_to_end.program import sandbox
from tests.team.hosts import Host, hosts, migrated, query, state_of, until
from tests.team.machines import machine_with_runs, member
from tests.team.postgres import PostgresServer
from tests.team.test_history import joined_as
from tests.torture.runs import numbered

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]


def test_a_token_goes_to_the_address_of_the_hosts_own_configuration_alone(tmp_path: Path, address: str) -> None:
    """A run that names another one ends before its first row."""
    numbered(tmp_path / "many.csv", 30)
    with sandbox() as own, sandbox() as foreign:
        host = Host(tmp_path, own.url, address)
        with hosts(host):
            run = host.submit("many.csv")
            query(
                address,
                "UPDATE run SET value = replace(value, %s, %s) WHERE name = 'identity' RETURNING value",
                own.url,
                foreign.url,
            )
            worker = host.work()
            until(lambda: state_of(address, run) == "ended")
            assert worker.end() == 0
        assert own.requests() == []
        assert foreign.requests() == []
    ((stop,),) = query(address, "SELECT stop FROM runs WHERE name = %s", run)
    assert '"credentials"' in stop
    assert foreign.url in stop


def test_a_file_of_a_run_never_lands_outside_its_folder(tmp_path: Path, server: PostgresServer) -> None:
    """Names that are paths are no files of a run, on no host that lists or fetches them."""
    with sandbox() as api:
        sender = machine_with_runs(tmp_path / "sender", api.url, migrated(server))
        assert sender("team", "import").code == 0
        other = member(tmp_path / "other", api.url, sender.address)
        for name in ("../../escaped-1.xlsx", str(tmp_path / "escaped-2.xlsx"), "..\\escaped-3.xlsx", ".."):
            query(
                sender.address,
                "INSERT INTO files (run, name, content) SELECT id, %s, 'x' FROM runs RETURNING run",
                name,
            )
        (run, *_) = [Path(str(one["run"])).name for one in other("runs", "--json").object["runs"]]
        assert other("report", run).code == 0
        with joined_as(other):
            past = run_named(other.runs, run)
            assert isinstance(past, PastRun)
            files_of(past)
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_run_whose_name_is_a_path_is_none(tmp_path: Path, server: PostgresServer) -> None:
    """No host lists it, follows it or makes a folder for it."""
    with sandbox() as api:
        sender = machine_with_runs(tmp_path / "sender", api.url, migrated(server))
        assert sender("team", "import").code == 0
        query(sender.address, "UPDATE runs SET name = '../../' || name RETURNING id")
        other = member(tmp_path / "other", api.url, sender.address)
        assert other("runs", "--json").object["runs"] == []
        with joined_as(other) as team:
            assert team is not None
            with team.connected() as connection:
                ((name,), *_) = connection.execute("SELECT name FROM runs").fetchall()
                assert queued_run(connection, name) is None


def test_the_page_removes_nothing_but_its_own_folders(tmp_path: Path, team: TeamDatabase) -> None:
    """The ids of uploads that are long unused come from the database, where another host may have written a path."""
    kept = tmp_path / "kept"
    kept.mkdir()
    uploads = TeamUploads(tmp_path / "runs" / "web", team, str)
    with closing(uploads), team.connected() as connection:
        for upload in ("../../kept", str(kept)):
            insert = 'INSERT INTO uploads (id, name, file, "by", at, changed_at, answers)'
            connection.execute(f"{insert} VALUES (%s, '', 'input', '', 1, 1, '')", [upload])
        assert uploads.remove_unused(datetime.now(UTC), "server") == 0
        with pytest.raises(ResultsError):
            uploads.remove("../../kept", "someone")
    assert kept.is_dir()


def test_a_host_with_other_headers_sends_nothing(tmp_path: Path, address: str) -> None:
    """A run goes out with the headers that a person has seen in its preview, such as a tenant's, or not at all."""
    numbered(tmp_path / "many.csv", 30)
    with sandbox() as api:
        host = Host(tmp_path, api.url, address)
        other = Host(tmp_path / "other", api.url, address)
        config = (other.folder / "config.yaml").read_text()
        (other.folder / "config.yaml").write_text(config.replace("api: {", "api: {headers: {X-Tenant: 'b'}, "))
        with hosts(host, other):
            run = host.submit("many.csv")
            other.work()
            until(lambda: state_of(address, run) == "ended")
        assert api.requests() == []
    ((stop,),) = query(address, "SELECT stop FROM runs WHERE name = %s", run)
    assert "X-Tenant" in stop
