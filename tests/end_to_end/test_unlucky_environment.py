"""Disks, folders and streams that fail under the real command line: what it says, and that no row is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import Done, batch_updater, configure, environment, sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell prepares the surroundings")


def in_shell(prepared: str, *arguments: str, cwd: Path) -> Done:
    """Run one command in a POSIX shell in which something was prepared; `$@` in it is the command."""
    # Where the program cannot write, neither can what measures it.
    without = {"PYTHONUNBUFFERED", "COVERAGE_PROCESS_CONFIG"}
    variables = {name: value for name, value in environment().items() if name not in without}
    done = subprocess.run(
        ["sh", "-c", prepared, "sh", sys.executable, "-m", "batch_updater", *arguments],
        cwd=cwd, env=variables, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def test_an_input_whose_copy_does_not_fit_is_refused_and_not_cut_off(tmp_path: Path) -> None:
    """A disk that takes a part of the copy: exit code 2, nothing sent; otherwise the last rows would vanish."""
    rows = "".join(f"{number},Pre,name {number},{'x' * 15_000}\n" for number in range(1, 31))
    (tmp_path / "rows.csv").write_text(f"Id,Type,OpportunityName,Note\n{rows}", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        # 512 bytes each: more than everything but the copy needs, and less than half of the copy.
        done = in_shell('ulimit -f 400; exec "$@"', "run", "rows.csv", "--json", cwd=tmp_path)
        assert not api.requests()
    assert done.code == 2
    assert "The copy of the input" in done.object["error"]["message"]
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(("rows", "code"), [("1,Pre,x\n2,Pst,y\n", 1), ("1,Pre,x\n", 3)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_check_whose_workbook_cannot_be_written_tells_its_problems(
    tmp_path: Path, rows: str, code: int, options: list[str]
) -> None:
    """A disk that takes no workbook: the outcomes are told, one sentence names --results; problems come first."""
    (tmp_path / "rows.csv").write_text(f"Id,Type,OpportunityName\n{rows}", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    done = in_shell('ulimit -f 2; exec "$@"', "check", "rows.csv", *options, cwd=tmp_path)
    assert done.code == code
    assert "could not be written" in done.out + done.err
    assert "--results" in done.out + done.err
    if options:
        assert (done.object["exit_code"], done.object["results"]) == (code, None)
        assert done.outcomes == ({"planned": 1, "invalid": 1} if code == 1 else {"planned": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "rows.csv"]


def test_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    """A file whose name is as long as a name can be is checked and run; a longer one for results is refused."""
    name = f"{'n' * 251}.csv"
    (tmp_path / name).write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        for _ in range(2):  # the second one replaces the workbook of the first
            assert batch_updater("check", name, cwd=tmp_path).code == 0
        assert batch_updater("run", name, "--results", f"{'r' * 250}.xlsx", cwd=tmp_path).code == 0
        for command in ("check", "run"):
            done = batch_updater(command, name, "--results", f"{'r' * 252}.xlsx", "--json", cwd=tmp_path)
            assert done.code == 2
            assert "File name too long" in done.object["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["runs"], 0), (["runs", "--json"], 0), (["doctor"], 2), (["--help"], 0), (["run", "nowhere.csv", "--json"], 2)],
)
@pytest.mark.parametrize("stdout", [">/dev/full", ">&-", "| false"])
def test_what_cannot_be_printed_changes_no_exit_code(
    tmp_path: Path, arguments: list[str], code: int, stdout: str
) -> None:
    """Standard output on a full disk, closed, or not read: every command ends as it would."""
    configure(tmp_path, "http://127.0.0.1:9")
    prepared = f'{{ "$@"; echo $? >code; }} {stdout}'
    done = in_shell(prepared, *arguments, cwd=tmp_path)
    assert int((tmp_path / "code").read_text()) == code, done.err
    assert ("standard output cannot be written" in done.err) == (stdout == ">/dev/full"), done.err


@pytest.mark.parametrize("command", ["runs", "check", "run", "nightly"])
def test_a_folder_that_has_been_removed_is_said(tmp_path: Path, command: str) -> None:
    """Started in a folder that is no longer there: exit code 2 and what to do, whatever the command."""
    arguments = [command, "a.csv", "--json"] if command in {"check", "run"} else [command, "--json"]
    done = in_shell('mkdir gone && cd gone && rmdir ../gone && exec "$@"', *arguments, cwd=tmp_path)
    assert done.code == 2
    assert "has been removed" in done.object["error"]["message"]
    assert done.object["error"]["remedy"]


@pytest.mark.parametrize(
    "arguments",
    [["template", "made.xlsx"],
     ["init", "made.yaml", "--base-url", "https://nexus.example.com", "--token", "env:T", "--yes"]],
)  # fmt: skip
def test_what_finds_no_room_is_said_and_not_half_there(tmp_path: Path, arguments: list[str]) -> None:
    """A template or a configuration on a full disk: exit code 2, a sentence, and nothing is left."""
    done = in_shell('ulimit -f 2; exec "$@"', *arguments, "--json", cwd=tmp_path)
    assert done.code == 2
    assert f"{arguments[1]} cannot be written: File too large" in done.object["error"]["message"]
    assert not list(tmp_path.iterdir())


def test_that_temporary_files_find_no_room_is_said_of_their_folder(tmp_path: Path) -> None:
    """A workbook is put together in temporary files: where those do not fit, it is not the place of the results."""
    chance = random.Random(1)
    rows = "".join(f"{number},Pre,{chance.randbytes(500).hex()}\n" for number in range(1, 301))
    (tmp_path / "rows.csv").write_text(f"Id,Type,OpportunityName\n{rows}", encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    with sandbox() as api:
        configure(tmp_path, api.url)
        run = batch_updater("run", "rows.csv", "--json", cwd=tmp_path).object["run"]
        # Blocks of 512 bytes: too little for the rows, which are compressed into a temporary file before anything else.
        prepared = 'ulimit -f 200; TMPDIR=$PWD/temporary exec "$@"'
        done = in_shell(prepared, "report", run, "--results", "again.xlsx", "--json", cwd=tmp_path)
    assert done.code == 2
    assert f"(temporary files in {tmp_path / 'temporary'})" in done.object["error"]["message"]
    assert not (tmp_path / "again.xlsx").exists()
