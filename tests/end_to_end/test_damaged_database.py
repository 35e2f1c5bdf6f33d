"""Databases that other hands or a lost file have damaged: refused in a sentence, and no row is sent again unsaid."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure, sandbox
from tests.torture.runs import numbered, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox

ROWS = 60
SLOW = "sending: {rate_per_s: 20, concurrency: 3}\n"
FAST = "sending: {rate_per_s: 5000}\n"


class CutOff(NamedTuple):
    """A run that was killed, kept whole for every test to hurt a copy."""

    folder: Path
    api: Sandbox
    name: str


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CutOff]:
    folder = tmp_path_factory.mktemp("killed")
    with sandbox() as api:
        configure(folder, api.url, SLOW)
        numbered(folder / "rows.csv", ROWS)
        process = start(folder, "run", "rows.csv")
        api.wait_for(ROWS // 5)
        process.kill()
        process.communicate()
        configure(folder, api.url, FAST)
        (run,) = (folder / "runs").glob("2*")
        yield CutOff(folder, api, run.name)


@pytest.fixture
def program(tmp_path: Path) -> Inside:
    return Inside(tmp_path)


def copied(killed: CutOff, folder: Path) -> Path:
    """Copy what the killed run left, with its configuration. Returns the run's folder."""
    shutil.copytree(killed.folder, folder, dirs_exist_ok=True)
    return folder / "runs" / killed.name


def other_kind(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def become_link(path: Path) -> None:
    elsewhere = path.rename(path.with_name("elsewhere"))
    path.symlink_to(elsewhere)


def lose_the_end(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def become_noise(path: Path) -> None:
    path.write_bytes(b"noise" * 20_000)


def alone(path: Path) -> None:
    """Leave nothing but the database's main file and the input."""
    for other in path.parent.iterdir():
        if other.name not in {path.name, "input.csv"}:
            other.unlink()


def lose_all_of_it(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


become_pipe, become_folder = other_kind(os.mkfifo), other_kind(os.mkdir)


@pytest.mark.parametrize(
    ("suffix", "hurt", "why"),
    [
        ("-wal", lose, "it ends after commit 0 of "), ("-wal", empty, "it ends after commit 0 of "),
        ("-wal", become_noise, "it ends after commit 0 of "), ("-wal", lose_the_end, "it ends after commit "),
        ("-wal", become_pipe, "is a pipe or a device"), ("-wal", become_folder, "is a folder"),
        ("-wal", become_link, "is a link"), ("-commits", lose, "it was not closed"),
        ("-commits", empty, "its counter"), ("-commits", become_pipe, "is a pipe or a device"),
        ("", alone, "it was not closed"), ("", lose, "it is gone"), ("", lose_all_of_it, "it is gone"),
        ("", empty, "it is empty"), ("", become_noise, "database"), ("", become_link, "is a link"),
        ("", become_pipe, "is a pipe or a device"), ("", become_folder, "is a folder"),
    ],
)  # fmt: skip
def test_a_database_that_does_not_fit_is_refused_and_nothing_is_sent(
    tmp_path: Path, killed: CutOff, program: Inside, suffix: str, hurt: Callable[[Path], None], why: str
) -> None:
    """Whatever of it is lost, cut or replaced after a kill, and however often it is looked at."""
    run = copied(killed, tmp_path)
    hurt(run / f"run.sqlite{suffix}")
    before = len(killed.api.requests())
    for _ in range(2):
        (listed,) = program("runs", "--json").object["runs"]
        assert why in listed["damaged"]
        refused = program("run", "rows.csv", "--json")
        assert refused.code == 2
        assert why in refused.object["error"]["message"]
        assert "--restart" in refused.object["error"]["remedy"]
        assert [program(command, run.name).code for command in ("report", "undo")] == [2, 2]
    assert len(killed.api.requests()) == before


def test_what_a_killed_run_left_whole_is_resumed(tmp_path: Path, killed: CutOff, program: Inside) -> None:
    """Looking at it before changes nothing, and the rows that were confirmed are not sent again."""
    copied(killed, tmp_path)
    (listed,) = program("runs", "--json").object["runs"]
    kept, before = listed["outcomes"]["updated"], len(killed.api.requests())
    done = program("run", "rows.csv", "--json")
    assert (done.code, done.outcomes) == (0, {"updated": ROWS})
    assert len(killed.api.requests()) - before == ROWS - kept
    (run,) = (tmp_path / "runs").glob("2*")
    assert sorted(path.name for path in run.glob("run.sqlite*")) == ["run.sqlite"]


def test_a_new_run_beside_a_damaged_one_can_be_resumed(tmp_path: Path, killed: CutOff, program: Inside) -> None:
    """The new run counts from then on, and the older database is not read again."""
    empty(copied(killed, tmp_path) / "run.sqlite")
    trial = program("run", "rows.csv", "--json", "--restart", "--limit", "3")
    assert trial.outcomes == {"updated": 3, "not_sent": ROWS - 3}
    done = program("run", "rows.csv", "--json")
    assert (done.object["run"], done.object["requests"]) == (trial.object["run"], ROWS - 3)


def test_a_damaged_database_is_found_by_its_copy_of_the_input(tmp_path: Path, killed: CutOff, program: Inside) -> None:
    """A file of another name with the same content would have been resumed, so it is refused as well."""
    lose(copied(killed, tmp_path) / "run.sqlite-wal")
    (tmp_path / "rows.csv").rename(tmp_path / "other.csv")
    assert program("run", "other.csv", "--json").code == 2


@pytest.mark.parametrize("become", [become_pipe, become_noise, lose])
def test_a_copy_of_the_input_that_is_none_is_made_again(
    tmp_path: Path, killed: CutOff, program: Inside, become: Callable[[Path], None]
) -> None:
    """The run is resumed with the person's own file, which has the same content; a report needs no copy."""
    run = copied(killed, tmp_path)
    become(run / "input.csv")
    assert program("report", run.name, "--json").code == 3
    assert program("run", "rows.csv", "--json").outcomes == {"updated": ROWS}


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory, killed: CutOff) -> CutOff:
    """Make a run that has something in every table, and rows that are not done."""
    folder = tmp_path_factory.mktemp("unfinished")
    configure(folder, killed.api.url, "sending: {rate_per_s: 5000, compare: true}\n")
    lines = [f"{row},Pre,name {row}," for row in range(100, 105)]
    text = "\n".join(["Id,Type,OpportunityName,StageName", *lines, "110,Pre,x,Propsal", "x,Pre,y,", "111,Pre,z,"])
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    start(folder, "run", "rows.csv", "--limit", "6").communicate()
    (run,) = (folder / "runs").glob("2*")
    return CutOff(folder, killed.api, run.name)


CELLS: st.SearchStrategy[object] = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 20), st.floats(allow_nan=False), st.text(max_size=9),
    st.binary(max_size=5),
    st.sampled_from([
        "updated", "planned", "invalid", "null", "[]", "{}", "1", '"x"', '{"a": 1}', '[{"row": 1}]', '[["a", "b"]]',
        "[" * 100_000, "9" * 5_000, "1e999", "NaN", '"\\ud800"', "x" * 2_000_000, '"../x"', "\x00",
    ]),
)  # fmt: skip
INSIDE_FACTS: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.just([]), st.just({}), st.just(["x"]),
    st.sampled_from(["../x", "/", ".", "input.csv/..", "http://[", "\x00", "\udc80", "x" * 100_000]),
)  # fmt: skip


def tamper(connection: sqlite3.Connection, data: st.DataObject) -> str:
    """Change one cell of a database, or one value inside a fact. Returns which."""
    table = data.draw(st.sampled_from(["run", "parts", "rows", "names"]))
    columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
    rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]  # noqa: S608  (tables of ours)
    row, column, value = data.draw(st.sampled_from(rows)), data.draw(st.sampled_from(columns)), data.draw(CELLS)
    if table == "run" and column == "value" and data.draw(st.booleans()):
        (text,) = connection.execute("SELECT value FROM run WHERE rowid = ?", (row,)).fetchone()
        value = json.dumps(other_inside(json.loads(text), data))
    try:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))  # noqa: S608
    except sqlite3.IntegrityError:
        return "nothing: the table does not take it"
    return f"{table}.{column} of {row}: {value!r:.100}"


def other_inside(fact: Any, data: st.DataObject) -> object:
    if not isinstance(fact, dict) or not fact:
        return data.draw(INSIDE_FACTS)
    key = data.draw(st.sampled_from(sorted(fact)))
    if data.draw(st.booleans()):
        return {name: value for name, value in fact.items() if name != key}
    return fact | {key: other_inside(fact[key], data)}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_single_cell_of_a_database_makes_the_program_fail(
    tmp_path: Path, unfinished: CutOff, program: Inside, data: st.DataObject
) -> None:
    """Whatever it holds: listed, and used or refused in a sentence, and refused before anything is sent."""
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    run = copied(unfinished, tmp_path)
    with closing(sqlite3.connect(run / "run.sqlite")) as connection, connection:
        changed = tamper(connection, data)
    assert program("runs").code == 0, changed
    assert program("report", run.name, "--json").code in {2, 3}, changed
    assert program("undo", run.name, "--json").code in {0, 2}, changed
    before = len(unfinished.api.requests())
    done = program("run", "rows.csv", "--yes", "--json")
    assert done.code in {1, 2}, changed
    assert done.code == 1 or len(unfinished.api.requests()) == before, changed


def test_rows_that_names_of_the_api_have_made_invalid_damage_no_database(tmp_path: Path, program: Inside) -> None:
    """They were good when the run began; the API told its valid names on the way."""
    rows = "".join(f"{number},Pre,Propsal\n" for number in range(2, 40))
    (tmp_path / "rows.csv").write_text(f"Id,Type,StageName\n{rows}500,Pre,Qualified\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 500, concurrency: 1}\n")
        first = program("run", "rows.csv", "--json")
        assert first.outcomes == {"updated": 1, "rejected": 1, "invalid": 37}
        (listed,) = program("runs", "--json").object["runs"]
        assert {kind: count for kind, count in listed["outcomes"].items() if count} == first.outcomes
        assert program("report", first.object["run"], "--json").outcomes == first.outcomes
        assert program("undo", first.object["run"], "--json").code == 0
        assert program("run", "rows.csv", "--json").outcomes == first.outcomes
