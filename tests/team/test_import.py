"""What a machine has sent before it joins a team is copied into the team's database."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.end_to_end.program import configure, sandbox
from tests.team.hosts import migrated
from tests.team.machines import OF_A_TEAM, SETTINGS, Machine, machine_with_runs, member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Machine]:
    """Give a machine with five runs that has joined a team, and has not copied them yet."""
    with sandbox() as api:
        yield machine_with_runs(tmp_path_factory.mktemp("hosts") / "old", api.url, migrated(server))


@pytest.fixture
def fresh(machine: Machine, server: PostgresServer, tmp_path: Path) -> Machine:
    """Give a copy of the machine with a team that has nothing yet: what a test changes there, no other one sees."""
    return Machine(shutil.copytree(machine.folder, tmp_path / "old"), migrated(server), machine.url)


def imported(host: Machine) -> dict[str, str]:
    """Copy what the host has; returns what became of each run, by its name."""
    listed = host("team", "import", "--json").object["imported"]
    return {one["name"]: one["state"] for one in listed if one["kind"] == "run"}


def listed(host: Machine) -> list[dict[str, object]]:
    """Return the list of runs, without the folders, which differ by host."""
    runs = host("runs", "--json").object["runs"]
    return [{key: value for key, value in run.items() if key != "run"} for run in runs]


def test_runs_are_copied_as_they_are(machine: Machine, server: PostgresServer) -> None:
    """The list of the team says the same of them as that of the machine did; their folders stay as they were."""
    own = Machine(machine.folder, migrated(server), machine.url)
    before = {path: path.read_bytes() for path in own.runs.rglob("*") if path.is_file()}
    configure(own.folder, own.url, SETTINGS)
    alone = listed(own)
    configure(own.folder, own.url, OF_A_TEAM)
    done = own("team", "import")
    assert done.code == 0
    assert done.out.endswith(
        "5 imported, 0 already there.\nFrom now on, do not send from this folder without team.database.\n"
    )
    assert listed(own) == alone
    assert {path: path.read_bytes() for path in own.runs.rglob("*") if path.is_file()} == before


def test_copying_again_changes_nothing(fresh: Machine) -> None:
    """The same command only says what is there already."""
    assert set(imported(fresh).values()) == {"imported"}
    before = listed(fresh)
    assert set(imported(fresh).values()) == {"known"}
    assert listed(fresh) == before


def test_a_damaged_run_is_named_and_the_others_are_copied(fresh: Machine) -> None:
    """The run whose database tells no outcomes stays out, and the exit code says so."""
    folder = shutil.copytree(fresh.runs, fresh.folder / "copy")
    damaged = next(folder.glob("*-fine"))
    with closing(sqlite3.connect(damaged / "run.sqlite")) as connection, connection:
        connection.execute("UPDATE rows SET outcome = 'nonsense'")
    done = fresh("team", "import", folder)
    assert done.code == 1
    assert f"run {damaged.name}: not imported\n    " in done.out
    assert "4 imported, 0 already there, 1 not imported." in done.out
    assert damaged.name not in fresh("runs").out


def test_another_run_of_the_same_name_is_not_taken_for_this_one(fresh: Machine) -> None:
    """Two machines may have sent files of the same name in the same second."""
    imported(fresh)
    other = fresh.folder / "other"
    run = shutil.copytree(next(fresh.runs.glob("*-fine")), other / next(fresh.runs.glob("*-fine")).name)
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        (caller,) = connection.execute("SELECT value FROM run WHERE name = 'caller'").fetchone()
        value = json.dumps(json.loads(caller) | {"salt": "00" * 16})
        connection.execute("UPDATE run SET value = ? WHERE name = 'caller'", (value,))
    done = fresh("team", "import", other)
    assert done.code == 1
    assert "The team has another run of that name." in done.out


def test_layouts_and_names_are_copied(fresh: Machine) -> None:
    """Another host has them; a layout of the team is not replaced by another one of its name."""
    fresh("columns", "q1.xlsx", "--save", "before")
    layouts = fresh.folder / "layouts"
    layouts.mkdir(exist_ok=True)
    (layouts / "q1.yaml").write_text("headers: [Id, Type, Stufe]\ncolumns: {Stufe: StageName}\n", encoding="utf-8")
    (layouts / "before.yaml").write_text("headers: [Other]\n", encoding="utf-8")
    (fresh.runs / "names.json").write_text(
        json.dumps({"lists": [{
            "api": "http://127.0.0.1:1", "endpoint": "nexus-opportunity", "field": "StageName",
            "depends_on": {"LanguageId": "1"}, "seen": "2026-11-01", "names": [{"name": "Angebot", "id": 4}],
            "caller": {"salt": "00" * 16, "headers": {}, "account": {}},
        }]}),
        encoding="utf-8",
    )  # fmt: skip
    done = fresh("team", "import", "--json")
    states = {one["name"]: one["state"] for one in done.object["imported"] if one["kind"] != "run"}
    assert states == {"names.json": "imported", "q1": "imported", "before": "refused"}
    with psycopg.connect(fresh.address, options="-c search_path=batch_updater") as connection:
        found = connection.execute("SELECT content FROM remembered_names").fetchall()
    assert len(found) == 1
    assert "Angebot" in found[0][0]


def test_without_a_team_nothing_is_copied(machine: Machine, tmp_path: Path) -> None:
    """The command says which key is missing."""
    alone = member(tmp_path / "alone", "http://127.0.0.1:1", machine.address)
    configure(alone.folder, "http://127.0.0.1:1", SETTINGS)
    done = alone("team", "import")
    assert done.code == 2
    assert "team.database is not set." in done.err


def test_what_is_not_copied_yet_is_said_where_it_matters(fresh: Machine) -> None:
    """A new run may send rows again that the machine has sent; who asks for such a run is told where it is."""
    told = fresh("run", "fine.xlsx", "--detach", "--yes")
    assert told.code == 0
    assert "5 runs of this machine are not in the team's" in told.err
    name = next(fresh.runs.glob("*-back")).name
    asked = fresh("report", name)
    assert asked.code == 2
    assert "`batch-updater team import` copies it." in asked.err


def test_a_file_that_is_too_large_stays_where_it_is(fresh: Machine) -> None:
    """The run is copied without it, and the line of the run says so."""
    run = next(fresh.runs.glob("*-fine"))
    other = fresh.folder / "large" / run.name
    shutil.copytree(run, other)
    with (other / "run.log").open("ab") as file:
        file.truncate(64 * 1024**2 + 1)
    done = fresh("team", "import", other.parent)
    assert done.code == 0
    assert "run.log stays in its folder: more than 64 MB are not kept in the database." in done.out
