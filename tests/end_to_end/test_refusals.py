"""What ends with exit code 2: nothing was sent, and one plain sentence says why and what to do."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "Id,Type,OpportunityName\n1,Pre,x\n"


def test_a_mistyped_file_name_gets_the_nearest_of_its_folder(tmp_path: Path) -> None:
    """Spelled as the path was typed; a folder of a similar name is no file."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "pipline.csv").mkdir()
    (tmp_path / "in" / "Pipeline-q1.csv").write_text(GOOD, encoding="utf-8")
    typed = os.path.join("in", "pipeline-q2.csv")  # noqa: PTH118  (as a person types it)
    meant = os.path.join("in", "Pipeline-q1.csv")  # noqa: PTH118
    done = batch_updater("check", typed, "--json", cwd=tmp_path)
    assert (done.code, done.object["error"]["remedy"]) == (2, f"Did you mean {meant}?")
    assert "Check the name" in batch_updater("check", "zzz.csv", cwd=tmp_path).err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.csv", None, "There is no file"),
        ("empty.csv", b"", "header"),
        ("latin.csv", "Id,Type,OpportunityName\n1,Pre,Größe\n".encode("latin-1"), "line 2"),
        ("quote.csv", b'Id,Type,OpportunityName\n1,Pre,"open\n', "quote"),
        ("cut.xlsx", (SAMPLES / "mistakes.xlsx").read_bytes()[:3000], "cut.xlsx"),
        ("image.xlsx", b"\x89PNG\r\n\x1a\n" + b"\0" * 500, "image.xlsx"),
        ("ambiguous.csv", b"opportunityid,Type,StageName\n1,Pre,x\n", "OpportunityId"),
        ("twice.csv", b"Id,OpportunityId,Type,StageName\n1,1,Pre,x\n", "OpportunityId"),
        ("missing.csv", b"Type,StageName\nPre,x\n", "OpportunityId"),
        ("nothing.csv", b"Id,Type,Owner\n1,Pre,me\n", "update"),
        ("typo.csv", b"Id,Type,SalesRevnue\n1,Pre,5\n", "SalesRevenue"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Exit code 2, a sentence that names the file, a remedy, no traceback, no run folder."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for command in ("check", "run"):
        configure(tmp_path, "http://127.0.0.1:9")
        done = batch_updater(command, name, "--json", cwd=tmp_path)
        assert done.code == 2, done.err
        assert done.object["exit_code"] == 2
        error = done.object["error"]
        assert set(error) == {"message", "file", "sheet", "cell", "remedy"}
        assert name in error["message"]
        assert message in error["message"]
        assert error["remedy"]
        assert "Traceback" not in done.err
        assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "FILE is missing"),
        (["run", "c.csv", "--sett", "a=b"], "--sett"),
        (["run", "c.csv", "--limit", "0"], "0"),
        (["run", "c.csv", "--set", "nonsense"], "FIELD=VALUE"),
        (["check", "c.csv", "--set", "StageNme=x"], "StageName"),
        (["check", "c.csv", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["check", "c.csv", "--results", "c.csv"], "c.csv"),
        (["fly"], "fly"),
    ],
)
def test_a_wrong_command_line_is_refused_in_a_sentence(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Exit code 2 and a message, as JSON where that was asked for."""
    (tmp_path / "c.csv").write_text(GOOD, encoding="utf-8")
    done = batch_updater(*arguments, "--json", cwd=tmp_path)
    assert done.code == 2
    assert message in str(done.object["error"])
    assert (tmp_path / "c.csv").read_text(encoding="utf-8") == GOOD


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "base_url"),
        ("api: {base_url: 'http://127.0.0.1:9', token: 'env:UNSET_TOKEN'}", "UNSET_TOKEN"),
        ("api: {base_url: 'http://127.0.0.1:9', token: 'file:nowhere'}", "nowhere"),
        (f"api: {{base_url: 'http://127.0.0.1:9', token: 'command:{sys.executable} -c 1/0'}}", "exit code 1"),
        ("api: {base_ur: x}", "base_url"),
    ],
)
def test_a_set_up_that_cannot_send_is_refused_before_anything_is_sent(
    tmp_path: Path, config: str, message: str
) -> None:
    """No address, no token or a wrong key: exit code 2, and no run folder stays behind."""
    (tmp_path / "c.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    done = batch_updater("run", "c.csv", "--json", cwd=tmp_path)
    assert done.code == 2
    assert message in str(done.object["error"])
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


@pytest.mark.usefixtures("store")
def test_a_file_with_a_header_only_is_nothing_to_do(tmp_path: Path) -> None:
    """0 data rows: exit code 0, no token needed, and a workbook is still written."""
    (tmp_path / "c.csv").write_text("Id,Type,OpportunityName\n", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9")
    done = batch_updater("run", "c.csv", "--json", cwd=tmp_path)
    assert (done.code, done.object["rows"]) == (0, 0)
    assert done.object["results"]


def test_a_service_that_does_not_answer_ends_the_run(tmp_path: Path) -> None:
    """Where nothing listens the run ends as service_down, with exit code 3 and truthful outcomes."""
    (tmp_path / "c.csv").write_text(GOOD + "2,Pre,y\n3,Pre,z\n", encoding="utf-8")
    configure(tmp_path, "http://127.0.0.1:9", "sending: {attempts: 2, max_wait_s: 2}\n")
    done = batch_updater("run", "c.csv", "--json", cwd=tmp_path)
    assert (done.code, done.object["stopped"]) == (3, "service_down")
    assert "tries whether it is back, for 2 s at most" in done.err
    assert set(done.outcomes) <= {"failed", "not_sent"}
    assert sum(done.outcomes.values()) == 3


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """What has no end of its own, as a named pipe or a device, is no file to read: exit code 2 at once."""
    os.mkfifo(tmp_path / "pipe.csv")
    for source, shown in ((tmp_path / "pipe.csv", "pipe.csv"), ("/dev/zero", "/dev/zero")):
        done = batch_updater("check", source, cwd=tmp_path)
        assert done.code == 2
        assert f" {shown} is a device or a pipe, not a file." in done.err
