"""What lies around the program: pipes, links and folders where files belong, and few open files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.runs.lock import locked
from tests.end_to_end.program import batch_updater, configure, environment, sandbox
from tests.end_to_end.test_night import opportunities, prepared
from tests.torture.runs import write_rows

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")

NO_FILE = "it is a device or a pipe, not a file"


@pytest.mark.parametrize(
    ("place", "arguments", "said"),
    [
        ("pipe.yaml", ["check", "c.csv", "--config", "pipe.yaml"], f"pipe.yaml cannot be read: {NO_FILE}"),
        ("openapi.yaml", ["check", "c.csv"], f"openapi.yaml cannot be read: {NO_FILE}"),
        ("token", ["run", "c.csv", "--yes"], f"token cannot be read: {NO_FILE}"),
        ("token", ["doctor"], f"token cannot be read: {NO_FILE}"),
        ("authority.pem", ["run", "c.csv", "--yes"], "authority.pem holds no certificates"),
        ("pipe.csv", ["run", "pipe.csv", "--yes"], "pipe.csv is a device or a pipe, not a file"),
        ("results.xlsx", ["check", "c.csv", "--results", "results.xlsx"], "results.xlsx already exists"),
        ("c-check.xlsx", ["check", "c.csv"], "c-check.xlsx already exists"),
        ("template.xlsx", ["template", "template.xlsx"], "template.xlsx already exists"),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, place: str, arguments: list[str], said: str
) -> None:
    """Exit code 2 and a sentence that names it, whatever would have been read or written there."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    api = {"base_url": "https://127.0.0.1:9", "token": "file:token" if place == "token" else "env:NEXUS_TOKEN"}
    if place == "openapi.yaml":
        api["endpoint"] = "openapi.yaml#operation"
    if place == "authority.pem":
        api["ca_file"] = place
    (tmp_path / "config.yaml").write_text(json.dumps({"api": api}), encoding="utf-8")
    os.mkfifo(tmp_path / place)
    done = batch_updater(*arguments, cwd=tmp_path)
    assert done.code == 2, done.err
    assert said in " ".join((done.out + done.err).split())


def test_pipes_in_the_folders_of_the_program_are_not_waited_for(tmp_path: Path) -> None:
    """Run log, copy of the input, memory and metrics: rows are sent, once each, and files are archived."""
    with sandbox("--fault", "status-503=1") as down, sandbox() as api:
        inbox = prepared(tmp_path, down.url)
        opportunities(inbox / "a.csv", (1, "Pre", "a"))
        assert batch_updater("run", "inbox/a.csv", "--yes", cwd=tmp_path).code == 3
        (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
        for path in (run / "run.log", run / "input.csv", tmp_path / "night.prom"):
            path.unlink(missing_ok=True)
            os.mkfifo(path)
        assert batch_updater("runs", cwd=tmp_path).code == 0
        assert batch_updater("report", run, cwd=tmp_path).code == 3  # it needs no copy of the input
        configure(tmp_path, api.url, (tmp_path / "config.yaml").read_text(encoding="utf-8").partition("\n")[2])
        done = batch_updater("nightly", "--json", cwd=tmp_path)
        assert [(file["name"], file["disposition"]) for file in done.object["files"]] == [("a.csv", "done")], done.err
        (memory,) = (tmp_path / "runs").glob(".nightly-*.json")
        memory.unlink()
        os.mkfifo(memory)
        opportunities(inbox / "b.csv", (2, "Pre", "b"))
        os.mkfifo(inbox / "c.csv")
        done = batch_updater("nightly", "--json", cwd=tmp_path)
    found = {file["name"]: (file["disposition"], file["note"]) for file in done.object["files"]}
    assert found["b.csv"][0] == "done", done.err
    assert found["c.csv"] == ("left", "Left in the inbox: it is no file.")
    assert memory.is_file()


@pytest.mark.parametrize("kind", ["pipe", "link", "nonsense"])
def test_what_lies_where_a_lock_says_whose_it_is_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The second run ends with 4 at once; the owner of the lock is unknown."""
    monkeypatch.setattr("batch_updater.runs.lock._OWNER_ASKED_FOR_S", 0.1)
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "runs").mkdir()
    with locked(tmp_path / "runs", "http://127.0.0.1:9", "one.csv"):
        (signature,) = (tmp_path / "runs").glob(".lock-*.json")
        signature.unlink()
        match kind:
            case "pipe":
                os.mkfifo(signature)
            case "link":
                signature.symlink_to("/dev/zero")
            case _:
                signature.write_text('{"process": 1e99, "file": 1, "since": "yesterday"}', encoding="utf-8")
        done = batch_updater("run", "c.csv", "--yes", cwd=tmp_path)
    assert (done.code, "has not said which" in done.err) == (4, True), done.err


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_lies_in_the_place_of_a_lock_is_named(tmp_path: Path, kind: str) -> None:
    """It is no lock of ours: exit code 2, and what a link leads to stays as it was."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    (tmp_path / "other").write_text("another's", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "runs").mkdir()
    with locked(tmp_path / "runs", "http://127.0.0.1:9", "one.csv"):
        (lock,) = (path for path in (tmp_path / "runs").glob(".lock-*") if not path.suffix)
    if kind == "link":
        lock.symlink_to(tmp_path / "other")
    else:
        lock.mkdir()
    done = batch_updater("run", "c.csv", "--yes", cwd=tmp_path)
    assert (done.code, f"The lock {lock.relative_to(tmp_path)} cannot be written" in done.err) == (2, True), done.err
    assert (tmp_path / "other").read_text(encoding="utf-8") == "another's"


def limited(most_files: int, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batch_updater", *arguments]
    return subprocess.run(
        ["sh", "-c", f'ulimit -n {most_files} && exec "$@"', "sh", *command],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("most_files", [10, 18, 30])
def test_too_few_open_files_are_a_sentence(tmp_path: Path, most_files: int) -> None:
    """Before anything is sent: exit code 2, with the limit that has to be raised."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n1,Pre,x\n", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    done = limited(most_files, tmp_path, "run", "c.csv", "--yes")
    assert (done.returncode, f"may open {most_files} files at once (ulimit -n)" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_connections_for_which_no_file_can_be_opened_are_made_later(tmp_path: Path) -> None:
    """Every row has its outcome, and the workbook is written, though there are more workers than open files."""
    write_rows(tmp_path / "c.csv", [{"Id": n, "Type": "Pre", "OpportunityName": "x"} for n in range(1, 101)])
    with sandbox("--latency-ms", "200") as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 1000, concurrency: 100, max_wait_s: 60}\n")
        done = limited(46, tmp_path, "run", "c.csv", "--yes", "--json")
    result = json.loads(done.stdout)
    assert sum(result["outcomes"].values()) == 100, done.stderr
    assert set(result["outcomes"]) >= {"updated", "failed"}
    assert result["outcomes"]["updated"] + result["outcomes"]["failed"] == 100, done.stderr
    assert result["outcomes"]["updated"] > 0
    assert openpyxl.load_workbook(result["results"]).sheetnames[0] == "Summary"
