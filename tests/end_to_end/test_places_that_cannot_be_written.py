"""Folders that are read-only, full or gone: the message, the exit code, and that no row is lost.

Tests run as root, for whom permissions mean nothing: the folders are mounted so, in a namespace of their own.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import Done, configure, environment, sandbox
from tests.end_to_end.test_night import aged
from tests.sender.server import Api, ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from tests.end_to_end.program import Sandbox
    from tests.sender.server import Seen

READ_ONLY = "read_only() { mount --bind $1 $1 && mount -o remount,ro,bind $1; }\n"
FULL = "full() { mkdir -p $1 && mount -t tmpfs -o size=$2 none $1; }\n"
BAD, GOOD = "Id,Type,OpportunityName\n1,Pre,x\n2,Pst,y\n", "Id,Type,OpportunityName\n1,Pre,x\n2,Pre,y\n3,Pre,z\n"


@pytest.fixture(scope="module", autouse=True)
def can_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("mounted")
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("folders can be mounted by root on Linux only")


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


def mounted(script: str, *arguments: str, cwd: Path) -> Done:
    """Run a script in a namespace of its own in which `$@` is the command; it ends with the command's exit code."""
    (cwd / "temporary").mkdir(exist_ok=True)
    # Where the program cannot write, neither can what measures it.
    without = {"PYTHONUNBUFFERED", "COVERAGE_PROCESS_CONFIG"}
    variables = {name: value for name, value in environment().items() if name not in without}
    program = (sys.executable, "-m", "batch_updater")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{READ_ONLY}{FULL}{script}", "sh", *program, *arguments],
        cwd=cwd, env=variables, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("rows", "code", "counts"), [(BAD, 1, {"planned": 1, "invalid": 1}), (GOOD, 3, {"planned": 3})]
)
@pytest.mark.parametrize(
    ("script", "options"),
    [
        ('read_only "$PWD" && cd "$PWD" && exec "$@"', []),
        ('mkdir d && read_only d && exec "$@"', ["--results", "d/checked.xlsx"]),
        ('full d 4k && head -c 4096 /dev/zero >d/all && exec "$@"', ["--results", "d/checked.xlsx"]),
        ('full temporary 8k && TMPDIR=$PWD/temporary exec "$@"', []),
    ],
    ids=["the folder is read-only", "read-only --results", "full --results", "full TMPDIR"],
)
def test_a_check_tells_what_it_found_though_its_workbook_cannot_be_written(
    tmp_path: Path, script: str, options: list[str], rows: str, code: int, counts: dict[str, int]
) -> None:
    """Problems first (1), else that the workbook is missing (3); one sentence names the path and --results."""
    (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    done = mounted(script, "check", "rows.csv", "--json", *options, cwd=tmp_path)
    assert (done.code, done.outcomes, done.object["results"]) == (code, counts, None), done.err
    (note,) = (note for note in done.object["notes"] if "could not be written" in note)
    assert f"The workbook {tmp_path}" in note
    assert "--results" in note
    assert ("TMPDIR" in note) == ("TMPDIR" in script)
    assert not list(tmp_path.rglob("*check*"))


def test_the_problems_are_printed_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A person reads the cell, the sentence and the next command."""
    (tmp_path / "rows.csv").write_text(BAD, encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    done = mounted('read_only "$PWD" && cd "$PWD" && exec "$@"', "check", "rows.csv", cwd=tmp_path)
    assert done.code == 1
    assert "(B3)" in done.out
    assert "'Pst' is not a type" in done.out
    assert "could not be written: Read-only file system. Name another place with --results." in done.out


@pytest.mark.parametrize(("mode", "place"), [("555", "checked.xlsx"), ("000", "closed/checked.xlsx")])
def test_a_folder_without_the_permission_is_told_beside_the_problems(tmp_path: Path, mode: str, place: str) -> None:
    """One that may only be read, and one that cannot be entered, where not even what is there can be told."""
    (tmp_path / "rows.csv").write_text(BAD, encoding="utf-8")
    (tmp_path / "closed").mkdir()
    configure(tmp_path, "http://127.0.0.1:9")
    # Without these two capabilities permissions mean something to root as well.
    script = f'chmod {mode} {"." if mode == "555" else "closed"}; exec setpriv --bounding-set {_WITHOUT} "$@"'
    done = mounted(script, "check", "rows.csv", "--json", "--results", place, cwd=tmp_path)
    tmp_path.chmod(0o700)
    assert (done.code, done.outcomes) == (1, {"planned": 1, "invalid": 1}), done.err
    assert any("could not be written: Permission denied" in note for note in done.object["notes"])


_WITHOUT = "-dac_override,-dac_read_search"


@pytest.mark.parametrize("arguments", [["check", "rows.csv", "--json"], ["demo", "--json"]])
def test_that_there_is_no_place_for_temporary_files_is_a_sentence(tmp_path: Path, arguments: list[str]) -> None:
    """Exit code 2, and the variable that names another folder."""
    (tmp_path / "rows.csv").write_text(BAD, encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    everywhere = "for place in /tmp /var/tmp /usr/tmp; do [ -d $place ] && read_only $place; done"
    script = f'read_only "$PWD" && cd "$PWD"; export TMPDIR=$PWD/temporary; {everywhere}; exec "$@"'
    done = mounted(script, *arguments, cwd=tmp_path)
    assert done.code == 2, done.err
    assert "A temporary folder cannot be created: No usable temporary directory" in done.object["error"]["message"]
    assert "TMPDIR" in done.object["error"]["remedy"]


@pytest.mark.parametrize("size", ["8k", "84k"])
def test_a_comparison_whose_temporary_files_find_no_room_says_where(tmp_path: Path, api: Sandbox, size: str) -> None:
    """Nothing is sent, and the sentence names TMPDIR, whichever of the files does not fit."""
    (tmp_path / "rows.csv").write_text(BAD, encoding="utf-8")
    configure(tmp_path, api.url)
    done = mounted(
        f'full temporary {size} && TMPDIR=$PWD/temporary exec "$@"', "check", "rows.csv", "--compare", cwd=tmp_path
    )
    assert done.code in {1, 2}, done.err
    assert re.search(r"\btemporary\b", done.out + done.err)
    assert "TMPDIR" in done.out + done.err


@pytest.mark.parametrize("size", ["40k", "64k", "92k", "116k"])
def test_a_run_on_a_full_disk_is_resumed_once_there_is_room(tmp_path: Path, size: str) -> None:
    """Whatever does not fit: an exit code of its own, a sentence, every row with an outcome; then the rest is sent."""
    (tmp_path / "rows.csv").write_text(GOOD, encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        script = f'full runs {size}; "$@" >first; echo $? >code; mount -o remount,size=9m runs; exec "$@"'
        done = mounted(script, "run", "rows.csv", "--json", cwd=tmp_path)
        sent = [request["path"].rpartition("/")[2] for request in api.requests()]
    first, code = json.loads((tmp_path / "first").read_text()), int((tmp_path / "code").read_text())
    assert (done.code, done.outcomes) == (0, {"updated": 3}), done.err
    if code == 2:
        assert f"{tmp_path}/runs" in first["error"]["message"]
        assert "there is space" in first["error"]["remedy"]
    else:
        assert (code, sum(first["outcomes"].values())) == (3, 3), first
        remedies = ("Free some space", "there is space")
        assert any(f"{tmp_path}/runs" in note and any(map(note.__contains__, remedies)) for note in first["notes"])
    unconfirmed = 0 if code == 2 else first["outcomes"]["unconfirmed"]
    assert len(sent) == 3 + unconfirmed
    assert set(sent) == {"1", "2", "3"}


def test_past_runs_can_be_read_where_nothing_can_be_written(tmp_path: Path, api: Sandbox) -> None:
    """An archive on a read-only disk is not called damaged: runs, report and undo work, and a check says no less."""
    (tmp_path / "rows.csv").write_text(GOOD, encoding="utf-8")
    configure(tmp_path, api.url)
    commands = (
        "runs --json", "report $run --json --results r.xlsx", "undo $run --json --results u.xlsx",
        "run rows.csv --json", "check rows.csv --json",
    )  # fmt: skip
    told = "; ".join(f"$program {command}" for command in commands)
    script = f'program="$1 $2 $3"; $program run rows.csv --json >first; read_only runs; run=$(ls runs); {told}'
    done = mounted(script, cwd=tmp_path)
    runs, report, undo, run, checked = map(json.loads, done.out.splitlines())
    assert [one["outcomes"]["updated"] for one in runs["runs"]] == [3]
    assert (report["exit_code"], report["results"]) == (3, str(tmp_path / "r.xlsx"))  # its page is in the run's folder
    assert undo["undo"] == str(tmp_path / "u.xlsx")
    assert (run["exit_code"], f"The lock {tmp_path}/runs" in run["error"]["message"]) == (2, True)
    assert checked["exit_code"] == 0


@pytest.mark.parametrize(
    ("script", "code", "path"),
    [
        ("read_only inbox", 2, "inbox"), ("mkdir runs && read_only runs", 3, "runs"), ("full runs 60k", 3, "runs"),
        ("mkdir done && read_only done", 1, "done"), ("full done 8k", 1, "done"),
        ("mkdir metrics && read_only metrics", 0, "metrics"),
    ],
)  # fmt: skip
def test_a_night_names_the_place_that_cannot_be_written(
    tmp_path: Path, api: Sandbox, script: str, code: int, path: str
) -> None:
    """The file stays in the inbox unless it was archived, and the line says what to do."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "rows.csv").write_text(GOOD, encoding="utf-8")
    aged(tmp_path / "inbox" / "rows.csv")
    configure(tmp_path, api.url, "nightly: {inbox: inbox, metrics: metrics/night.prom}\n")
    done = mounted(f'{script} && exec "$@"', "nightly", cwd=tmp_path)
    said = done.out + done.err
    assert done.code == code, said
    assert re.search(rf"[ /]{path}[ /]", said)
    assert any(word in said for word in ("See that", "Free some space"))
    assert (tmp_path / "inbox" / "rows.csv").exists() == (code != 0)


def test_a_run_whose_folder_is_removed_meanwhile_says_what_that_means(tmp_path: Path) -> None:
    """Every row has its outcome, exit code 3, and the next command is not described as resuming."""
    (tmp_path / "rows.csv").write_text(GOOD, encoding="utf-8")
    arrived, released = threading.Event(), threading.Event()

    async def held(seen: Seen) -> web.StreamResponse:
        arrived.set()
        await asyncio.to_thread(released.wait)
        return await ok(seen)

    command = [sys.executable, "-m", "batch_updater", "run", "rows.csv"]
    with Api(usual=held) as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 50, concurrency: 1}\n", timeout_s=60)
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert arrived.wait(60)
                (tmp_path / "runs").rename(tmp_path / "moved away")
            finally:
                released.set()
            said = process.communicate(timeout=60)[0]
    assert process.returncode == 3, said
    assert "  3  rows" in said
    assert "No such file or directory. Its folder does not exist." in said
    assert "The folder of the run has been removed, so the same command starts again with the first row:" in said
