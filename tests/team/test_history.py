"""What a host of a team knows of runs that were sent on another one: all of it, without their folders."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.config.schema import ResultsSettings
from batch_updater.questions import NO_ANSWERS
from batch_updater.records import OutcomeKind
from batch_updater.runs.draft import Upload, stage_draft
from batch_updater.runs.history import PastRun, find_run, past_runs, related_by_name, run_named
from batch_updater.runs.retention import remove_old_runs
from batch_updater.runs.run_files import RunFileKind, files_of
from batch_updater.runs.run_list import RunList, RunState
from batch_updater.runs.team_folders import joined
from tests.end_to_end.program import sandbox
from tests.team.hosts import migrated
from tests.team.machines import Machine, machine_with_runs, member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from batch_updater.runs.team_database import TeamDatabase
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Machine]:
    """Give the host that has sent five runs, which are in the team's database."""
    with sandbox() as api:
        host = machine_with_runs(tmp_path_factory.mktemp("hosts") / "sender", api.url, migrated(server))
        assert host("team", "import").code == 0
        yield host


@pytest.fixture
def other(sender: Machine, tmp_path: Path) -> Machine:
    """Give another host, which has nothing but the configuration."""
    return member(tmp_path / "other", sender.url, sender.address)


@pytest.fixture
def own_team(sender: Machine, server: PostgresServer) -> Machine:
    """Give the first host with the same runs in a database of its own, to be changed."""
    host = Machine(sender.folder, migrated(server), sender.url)
    assert host("team", "import").code == 0
    return host


@pytest.fixture
def inside(other: Machine) -> Iterator[None]:
    """Join the other host to the team."""
    with joined_as(other):
        yield


def joined_as(host: Machine) -> AbstractContextManager[TeamDatabase | None]:
    """Join a host to the team, in this process."""
    environ = {"TEAM_DATABASE": host.address}
    return joined(load_config(host.folder / "config.yaml", environ), Environment(environ))


def name_of(host: Machine, stem: str) -> str:
    """Return the name of the newest run of an input."""
    names = [str(run["run"]).rpartition("/")[2] for run in host("runs", "--json").object["runs"]]
    return next(name for name in names if stem in name)


def test_the_list_is_the_same_on_every_host(sender: Machine, other: Machine) -> None:
    """Rounds, who undid what, outcomes."""
    told = other("runs")
    assert told.out == sender("runs").out
    assert "q1.xlsx: 3 of 4 rows updated in 2 rounds, 1 needs you." in told.out
    assert f"Undone, at least in part, by the run {name_of(other, 'undo')}." in told.out
    assert not other.runs.exists()


def test_a_report_is_written_from_the_database_alone(sender: Machine, other: Machine) -> None:
    """The workbook has what the sender's has, and the page is beside it."""
    name = name_of(other, "fine")
    written = other("report", name, "--json").object
    assert (other.runs / name / "report.html").exists()
    mine, theirs = (
        list(openpyxl.load_workbook(path)["All rows"].values)
        for path in (written["results"], next((sender.runs / name).glob("*-results-*.xlsx")))
    )
    assert mine == theirs
    assert other("report", name, "--results", "here.xlsx").code == 0
    assert (other.folder / "here.xlsx").exists()


def test_a_row_is_explained_without_the_folder(other: Machine) -> None:
    """With its attempts, and the row of the sheet To fix, for which the input is fetched."""
    told = other("report", name_of(other, "q1"), "--row", "4")
    assert told.code == 0
    assert "Row 4 of q1.xlsx, here row 2 of " in told.out
    assert "1. PUT " in told.out
    rows = other("report", name_of(other, "q1"), "--rows").lines
    assert [(row["row"], row["outcome"]) for row in rows] == [(4, "updated"), (5, "invalid")]


def test_another_host_undoes_a_run(other: Machine) -> None:
    """The workbook is written into the folder of the run on this host, or where it is asked for."""
    name = name_of(other, "back")
    done = other("undo", name, "--json").object
    assert done["undo"] == str(other.runs / name / "undo.xlsx")
    assert done["rows"] == 1
    assert other("undo", name, "--results", "back.xlsx").code == 0
    assert (other.folder / "back.xlsx").exists()


@pytest.mark.usefixtures("inside")
def test_an_undo_names_the_run_that_it_undoes_on_every_host(other: Machine) -> None:
    """Facts name runs by their names, since folders differ."""
    runs = {run.folder.name: run for run in past_runs(other.runs) if isinstance(run, PastRun)}
    undo = next(run for run in runs.values() if run.facts.is_undo)
    assert undo.facts.undoes in runs


@pytest.mark.usefixtures("inside")
def test_a_workbook_is_fetched_when_it_is_asked_for(sender: Machine, other: Machine) -> None:
    """Listing runs fetches nothing. A workbook that a person has changed here is never replaced."""
    past = next(run for run in past_runs(other.runs) if "fine" in run.folder.name)
    assert isinstance(past, PastRun)
    assert not past.folder.exists()
    theirs = next((sender.runs / past.folder.name).glob("*-results-*.xlsx"))
    theirs.rename(theirs.with_suffix(".away"))  # as on another machine
    try:
        own = past.workbook
        assert own is not None
        assert own.read_bytes() == theirs.with_suffix(".away").read_bytes()
        own.write_bytes(b"changed by a person")
        assert past.workbook == own
        assert own.read_bytes() == b"changed by a person"
    finally:
        theirs.with_suffix(".away").rename(theirs)
    kinds = {file.kind for file in files_of(past)}
    assert {RunFileKind.PAGE} <= kinds


def test_the_same_content_was_applied_before_on_another_host(sender: Machine, other: Machine) -> None:
    """A check on one host knows of rows that another one has updated with the same values."""
    told = other("check", sender.folder / "fine.xlsx", "--results", "check.xlsx").out.replace("\n", " ")
    assert "2 of 2 good rows were updated with the same values by the runs " in told


@pytest.mark.usefixtures("inside")
def test_few_runs_are_related_by_name(sender: Machine, other: Machine) -> None:
    """They are found among those of all hosts."""
    past = find_run(other.runs, name_of(sender, "fine"))
    identity = past.identity
    found = related_by_name(other.runs, identity.endpoint, identity.base_url, past.facts.input_path, "fine")
    assert past.folder in [run.folder for run in found]


def test_a_name_that_is_no_run_of_the_team(other: Machine) -> None:
    """The message says where the runs are; no path leads elsewhere."""
    told = other("report", "20200101-000000-none")
    assert told.code == 2
    assert "There is no run 20200101-000000-none in the team's " in told.err
    assert other("report", "../sender/config.yaml").code == 2


def test_a_page_does_not_read_what_has_not_changed(own_team: Machine, tmp_path: Path) -> None:
    """What was read of a run that has ended is kept; a change by another host is seen."""
    host = member(tmp_path / "page", own_team.url, own_team.address)
    with joined_as(host) as team:
        assert team is not None
        runs = RunList(host.runs)
        first, second = runs.runs(), runs.runs()
        assert [id(run) for run in first] == [id(run) for run in second]
        assert {state for entry in runs.entries() for state in entry.states} == {
            RunState.NEEDS_SOMEONE,
            RunState.UNDONE,
        }
        with team.connected() as connection:
            connection.execute(
                "UPDATE runs SET state = 'queued', changed_at = clock_timestamp() WHERE name LIKE '%-fine'"
            )
        queued = next(run for run in runs.runs() if "fine" in run.folder.name)
        assert isinstance(queued, PastRun)
        assert queued.is_going_on
        assert queued.is_queued


def test_a_queued_run_is_not_undone(own_team: Machine) -> None:
    """Who wants to undo it waits; its report says how far it is."""
    name = name_of(own_team, "back")
    with joined_as(own_team) as team:
        assert team is not None
        with team.connected() as connection:
            connection.execute("UPDATE runs SET state = 'queued' WHERE name = %s", (name,))
    told = own_team("undo", name)
    assert told.code == 4
    assert f"The run {name} is going on." in told.err
    assert "waiting in the queue" in own_team("runs").out


def test_old_runs_go_from_the_database_and_from_every_host(own_team: Machine, tmp_path: Path) -> None:
    """One host removes them; another one then removes what it has fetched of them. A person's file stays."""
    host, third = (member(tmp_path / name, own_team.url, own_team.address) for name in ("second", "third"))
    name, kept = name_of(host, "fine"), name_of(host, "back")
    for one in (name, kept):
        assert host("report", one).code == third("report", one).code == 0
    (third.runs / kept / "notes.txt").write_text("mine", encoding="utf-8")
    late, results = datetime.now(UTC) + timedelta(days=100), ResultsSettings(folder=host.runs)
    with joined_as(host):
        assert set(remove_old_runs(results, late, in_use=host.runs / "none")) >= {name, kept}
        assert [run for run in past_runs(host.runs) if isinstance(run, PastRun) and not run.is_unfinished] == []
    assert not (host.runs / name).exists()
    with joined_as(third):
        assert remove_old_runs(ResultsSettings(folder=third.runs), late, in_use=third.runs / "none") == ()
    assert not (third.runs / name).exists()
    assert (third.runs / kept / "notes.txt").exists()
    assert (own_team.runs / name / "run.sqlite").exists()


def test_old_runs_go_one_by_one_where_each_takes_too_long(own_team: Machine, tmp_path: Path) -> None:
    """A command that has no time for more removes one, also where those before it stay: on a slow machine, too."""
    host = member(tmp_path / "slow", own_team.url, own_team.address)
    late, results = datetime.now(UTC) + timedelta(days=100), ResultsSettings(folder=host.runs)
    with joined_as(host) as team:
        assert team is not None
        with team.connected() as connection:
            connection.execute("UPDATE runs SET state = 'queued' WHERE name = (SELECT max(name) FROM runs)")
        removed = [remove_old_runs(results, late, in_use=host.runs / "none", within_s=0) for _ in range(2)]
        assert [len(names) for names in removed] == [1, 1]
        assert len(list(past_runs(host.runs))) == 3


def test_an_unfinished_run_is_closed_by_another_host(own_team: Machine, tmp_path: Path) -> None:
    """Its open rows count as not sent everywhere, and it is not resumed any more."""
    host = member(tmp_path / "closer", own_team.url, own_team.address)
    name = name_of(host, "fine")
    with joined_as(host) as team:
        assert team is not None
        with team.connected() as connection:  # as if the service had gone down before the last row
            connection.execute(
                "UPDATE rows SET outcome = 'failed', message = 'm', advice = 'a', cause = 'c'"
                " FROM runs WHERE runs.id = rows.run AND runs.name = %s AND number = 3",
                (name,),
            )
            connection.execute(
                """UPDATE parts SET counts = '{"updated": 1, "failed": 1}' FROM runs
                WHERE runs.id = parts.run AND runs.name = %s""",
                (name,),
            )
    assert "Unfinished." in host("runs").out
    done = host("runs", "--close", name, "--yes")
    assert done.code == 0, done.err
    with joined_as(own_team):
        past = run_named(own_team.runs, name)
        assert isinstance(past, PastRun)
        assert past.facts.closed_at is not None
        assert past.counts[OutcomeKind.NOT_SENT] == 1
        assert not past.is_unfinished
        past.require_whole()
    assert "closed" in host("runs", "--close", name, "--yes").err


def test_the_tab_key_knows_the_runs_of_all_hosts(other: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`report` completes any of them."""
    from batch_updater.cli.completion import _runs
    from batch_updater.cli.parser import parse

    monkeypatch.chdir(other.folder)
    monkeypatch.setenv("TEAM_DATABASE", other.address)
    assert len(list(_runs("2", parse(["report"])))) == 5
    assert [name for name in _runs("2", parse(["undo"])) if "fine" in name]


def test_queued_runs_name_the_runs_that_they_have_to_do_with(own_team: Machine, tmp_path: Path) -> None:
    """The run that it undoes, and the one that has applied the same rows before."""
    host = member(tmp_path / "second", own_team.url, own_team.address)
    undone, before = name_of(host, "back"), name_of(host, "fine")
    host("undo", undone)
    undo = host("run", host.runs / undone / "undo.xlsx", "--detach", "--yes")
    again = host("run", own_team.folder / "fine.xlsx", "--detach", "--yes")
    assert undo.code == again.code == 0, undo.err + again.err
    assert "This was applied before" in again.err
    with joined_as(own_team):
        undoing, repeating = (find_run(own_team.runs, done.out.strip()) for done in (undo, again))
    assert undoing.facts.undoes == undone
    assert repeating.facts.repeats == before
    assert undoing.is_queued
    assert repeating.is_queued


@pytest.mark.usefixtures("inside")
def test_another_host_repairs_the_rows_of_a_run_on_its_page(sender: Machine, other: Machine) -> None:
    """Which cells are wrong is known from the database; the workbook is fetched."""
    past = find_run(other.runs, name_of(sender, "q1"))
    workbook = past.workbook
    assert workbook is not None
    assert workbook.parent == past.folder
    folder = other.folder / "upload"
    folder.mkdir()
    upload = Upload(Path(shutil.copy(workbook, folder / "input.xlsx")), workbook.name, "q1", None, past.folder)
    config = load_config(other.folder / "config.yaml", {"TEAM_DATABASE": other.address})
    with closing(stage_draft(upload, config, NO_ANSWERS, None, progress=lambda _: None)) as draft:
        assert [row.number for row in draft.grid().rows] == [5]
