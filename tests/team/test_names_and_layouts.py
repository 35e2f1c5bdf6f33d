"""What one host of a team remembers, all of them know: names that an API has told, and layouts of files."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.errors import UsageError
from batch_updater.loader.layouts import Layout
from batch_updater.questions import NO_ANSWERS
from batch_updater.records import AllowedList, AllowedValue
from batch_updater.runs.caller import CallerDigest
from batch_updater.runs.layouts import delete_layout, is_taken, layout_names, read_layouts, rename_layout, write_layout
from batch_updater.runs.names import names_stamp, remember_names, remembered_names
from batch_updater.runs.team_folders import joined
from tests.loader.described import workbook
from tests.team.hosts import migrated
from tests.team.machines import HEADERS, ROWS, Machine, member

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from batch_updater.runs.team_database import TeamDatabase
    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian
API, ENDPOINT = "https://api.example.com", "things"
CALLER = CallerDigest("00" * 16, {}, {})


@pytest.fixture
def hosts(tmp_path: Path, server: PostgresServer) -> Iterator[tuple[Machine, Machine]]:
    """Give two hosts of a team that has nothing yet, both of which have joined it."""
    address = migrated(server)
    first, second = (member(tmp_path / name, "http://127.0.0.1:1", address) for name in ("first", "second"))
    with joined_as(first), joined_as(second):
        yield first, second


def joined_as(host: Machine) -> AbstractContextManager[TeamDatabase | None]:
    environ = {"TEAM_DATABASE": host.address}
    return joined(load_config(host.folder / "config.yaml", environ), Environment(environ))


def taught(field: str, *names: str) -> AllowedList:
    return AllowedList(field, (), tuple(AllowedValue(name, position) for position, name in enumerate(names)))


def known(host: Machine) -> dict[str, list[str]]:
    found = remembered_names(host.runs, ENDPOINT, API)
    assert not found.fault
    return {one.field: [value.name for value in one.values] for one in found.allowed}


def test_names_that_one_host_learns_are_known_to_the_other(hosts: tuple[Machine, Machine]) -> None:
    """A later list replaces the one of its field; those of other fields stay."""
    first, second = hosts
    before = names_stamp(second.runs)
    remember_names(first.runs, ENDPOINT, API, CALLER, [taught("Stage", "Open", "Won"), taught("Kind", "A")])
    assert known(second) == {"Stage": ["Open", "Won"], "Kind": ["A"]}
    after = names_stamp(second.runs)
    assert after != before
    remember_names(second.runs, ENDPOINT, API, CALLER, [taught("Stage", "Open", "Lost")])
    assert known(first) == {"Stage": ["Open", "Lost"], "Kind": ["A"]}
    assert names_stamp(first.runs) != after
    assert remembered_names(first.runs, "others", API).allowed == ()
    assert not (first.runs / "names.json").exists()


def test_what_two_hosts_learn_at_the_same_time_is_kept(hosts: tuple[Machine, Machine]) -> None:
    """Neither waits for the other, and neither replaces what the other has written."""
    fields = [[f"{name}{number}" for number in range(30)] for name in "ab"]
    begin = threading.Barrier(2)

    def learn(host: Machine, own: list[str]) -> None:
        begin.wait()
        for field in own:
            remember_names(host.runs, ENDPOINT, API, CALLER, [taught(field, "x"), taught("both", field)])

    threads = [threading.Thread(target=learn, args=args) for args in zip(hosts, fields, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert known(hosts[0]).keys() == {*fields[0], *fields[1], "both"}


def test_names_that_are_damaged_are_passed_over(hosts: tuple[Machine, Machine]) -> None:
    """The others are still known, and a sentence says so."""
    with joined_as(hosts[0]) as team:
        assert team is not None
        remember_names(hosts[0].runs, ENDPOINT, API, CALLER, [taught("Stage", "Open")])
        with team.connected() as connection:
            connection.execute("INSERT INTO remembered_names (name, content) VALUES ('x', '{')")
    found = remembered_names(hosts[1].runs, ENDPOINT, API)
    assert [one.field for one in found.allowed] == ["Stage"]
    assert "are damaged" in found.fault


def test_layouts_are_shared(hosts: tuple[Machine, Machine]) -> None:
    """Written, replaced, renamed and deleted on either host; no file is written."""
    first, second = (host.folder / "layouts" for host in hosts)
    write_layout(first, Layout("q1", ("Id", "Stage"), NO_ANSWERS))
    write_layout(second, Layout("q1", ("Id", "Stage", "Name"), NO_ANSWERS))
    write_layout(second, Layout("q2", ("Id",), NO_ANSWERS))
    assert {one.name: one.headers for one in read_layouts(first).layouts} == {
        "q1": ("Id", "Stage", "Name"),
        "q2": ("Id",),
    }
    assert is_taken(first, "q2")
    with pytest.raises(UsageError, match="There is a layout 'q2' already"):
        rename_layout(first, "q1", "q2")
    assert rename_layout(first, "q1", " pipeline ") == "pipeline"
    assert layout_names(second) == ["pipeline", "q2"]
    with pytest.raises(UsageError, match="There is no layout 'q1'"):
        rename_layout(second, "q1", "other")
    delete_layout(second, "q2")
    with pytest.raises(UsageError, match="There is no layout 'q2'"):
        delete_layout(first, "q2")
    assert layout_names(first) == ["pipeline"]
    assert not first.exists()


def test_a_damaged_layout_names_no_file(hosts: tuple[Machine, Machine]) -> None:
    """It may have been written by another version of the program; the message says which layout it is."""
    with joined_as(hosts[0]) as team:
        assert team is not None
        with team.connected() as connection:
            connection.execute("INSERT INTO layouts (name, content) VALUES ('q1', 'headers: [')")
    (damaged,) = read_layouts(hosts[1].folder / "layouts").damaged
    assert damaged.why.startswith("The layout 'q1' cannot be read: line ")
    assert damaged.error.place.file is None


def test_a_file_is_read_with_the_layout_that_another_host_has_saved(hosts: tuple[Machine, Machine]) -> None:
    """`columns --save` says that it is the team's, and `check` on the other host uses it."""
    first, second = hosts
    headers = ["Nr", *HEADERS[1:]]
    for host in hosts:
        workbook(host.folder / "q1.xlsx", {"Data": [headers, *ROWS]})
    saved = first("columns", "q1.xlsx", "--map", "Nr=OpportunityId", "--save", "pipeline")
    assert saved.code == 0, saved.err
    assert "Saved as the team's layout 'pipeline': files with these headers are read so from now on." in saved.out
    checked = second("check", "q1.xlsx")
    assert checked.code == 0, checked.err
    assert "The layout 'pipeline' is used." in checked.out
