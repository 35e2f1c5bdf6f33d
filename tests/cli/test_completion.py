"""What the Tab key completes, asked by the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure, environment, sandbox

PROGRAMS = Path(sys.executable).parent
ASK_BASH = """
source <(batch-updater completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMPREPLY=()
_python_argcomplete batch-updater
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_ZSH = """
autoload -Uz compinit; compinit -u -d "$PWD/.zcompdump"
source <(batch-updater completion zsh)
_describe() { print -l -- "${(@)completions%%:*}" }
BUFFER=$1 CURSOR=${#1} words=(batch-updater)
_python_argcomplete batch-updater
"""


def completed(shell: str, line: str, folder: Path) -> list[str]:
    """Return what a shell offers for a line typed so far, with the blank that it adds after a whole word."""
    path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    script = {"bash": ASK_BASH, "zsh": ASK_ZSH}[shell]
    done = subprocess.run(
        [shell, "-c", script, shell, line], cwd=folder, env=environment(PATH=path), check=True, capture_output=True,
        text=True, encoding="utf-8",
    )  # fmt: skip
    return [word.rstrip(" ") for word in done.stdout.splitlines() if word]


SHELLS = [
    pytest.param("bash", marks=pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")),
    pytest.param("zsh", marks=pytest.mark.debian),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch-updater ru", ["run", "runs"]),
        ("batch-updater run --ov", ["--override-guards"]),
        ("batch-updater undo --results x --o", ["--open"]),
        ("batch-updater run --fi", ["--fix"]),
        ("batch-updater completion ", ["bash", "zsh", "powershell"]),
        ("batch-updater check --limit", []),
        ("batch-updater run chan", ["changes.xlsx"]),
        ("batch-updater check folder/", ["folder/one.csv"]),
        ("batch-updater check c.csv --config conf", ["config.yaml"]),
        ("batch-updater run changes.xlsx --limit ", []),
    ],
)
def test_tab_completes_commands_options_and_files(shell: str, line: str, words: list[str], tmp_path: Path) -> None:
    """Each command completes its own options, and files where it takes one."""
    (tmp_path / "folder").mkdir()
    for name in ("changes.xlsx", "config.yaml", "folder/one.csv"):
        (tmp_path / name).touch()
    assert sorted(completed(shell, line, tmp_path)) == sorted(words)


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_the_names_of_past_runs(shell: str, tmp_path: Path) -> None:
    """For RUN, from the results folder of the configuration; a broken configuration completes none."""
    shutil.copy(SAMPLES / "opportunities.xlsx", tmp_path / "changes.xlsx")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000}\nresults: {folder: past}\n")
        assert batch_updater("run", "changes.xlsx", "--limit", "1", cwd=tmp_path).code == 3
    (run,) = (tmp_path / "past").iterdir()
    for command in ("report", "undo", "runs --close"):
        assert completed(shell, f"batch-updater {command} 2", tmp_path) == [run.name]
        assert completed(shell, f"batch-updater {command} x", tmp_path) == []
    (tmp_path / "config.yaml").write_text("nothing: [", encoding="utf-8")
    assert completed(shell, "batch-updater undo ", tmp_path) == []


def test_tab_completes_the_runs_that_a_command_takes(tmp_path: Path) -> None:
    """Those with confirmed rows for undo, unfinished ones to close, and all for report."""
    (tmp_path / "done.csv").write_text("Id,Type,OpportunityName\n1,Pre,a\n", encoding="utf-8")
    (tmp_path / "open.csv").write_text("Id,Type,OpportunityName\n1,Pre,fault:status-503:9\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        assert batch_updater("run", "done.csv", cwd=tmp_path).code == 0
        assert batch_updater("run", "open.csv", cwd=tmp_path).code == 3
    done, unfinished = (next((tmp_path / "runs").glob(f"*-{stem}")).name for stem in ("done", "open"))
    assert completed("bash", "batch-updater undo ", tmp_path) == [done]
    assert completed("bash", "batch-updater runs --close ", tmp_path) == [unfinished]
    assert sorted(completed("bash", "batch-updater report ", tmp_path)) == sorted([done, unfinished])


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("batch-updater run q1.xlsx --layout ", ["north", "q1-pipeline"]),
        ("batch-updater columns q1.xlsx --save q", ["q1-pipeline"]),
        ("batch-updater check q1.xlsx --sheet D", ["Data"]),
        ("batch-updater check missing.xlsx --sheet ", []),
        ("batch-updater check q1.xlsx --map Owner=Stage", ["StageName"]),
        ("batch-updater check q1.xlsx --map 'Sales Stage=Stage", ["Sales Stage=StageName"]),
        ("batch-updater check q1.xlsx --map Own", []),
        ("batch-updater check q1.xlsx --set Stage", ["StageName="]),
        ("batch-updater check q1.xlsx --date-order D", ["DMY"]),
        ("batch-updater check q1.xlsx --date-order 'Close date=M", ["Close date=MDY"]),
    ],
)
def test_tab_completes_the_values_of_options(shell: str, line: str, words: list[str], tmp_path: Path) -> None:
    """Layouts that are remembered, sheets of the file typed before, fields of the API."""
    book = openpyxl.Workbook()
    book.worksheets[0].title = "Data"
    book.create_sheet("Lists")
    book.save(tmp_path / "q1.xlsx")
    (tmp_path / "layouts").mkdir()
    for name in ("q1-pipeline", "north"):
        (tmp_path / "layouts" / f"{name}.yaml").touch()
    # Of a word without quotes bash completes what is behind the equals sign.
    assert sorted(word.removeprefix("Owner=") for word in completed(shell, line, tmp_path)) == words


def test_powershell_gets_code_that_registers_a_completer(tmp_path: Path) -> None:
    """There is no PowerShell to ask here: the code names the command and passes it the line."""
    done = batch_updater("completion", "powershell", cwd=tmp_path)
    assert done.code == 0
    assert "Register-ArgumentCompleter -Native -CommandName batch-updater" in done.out
    assert batch_updater("completion", "tcsh", cwd=tmp_path).code == 2
