"""The next step is short: the newest run, its workbook opened, and lines that fit the terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.text.printable import command_line
from tests.end_to_end.program import SAMPLES, batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import dialogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.program import Sandbox

pytestmark = pytest.mark.usefixtures("store")

ROWS = "Id,Type,SalesRevenue\n1,Pre,100\n2,Pre,abc\n3,Pre,300\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve the sandbox, with a configuration and a file of three rows, of which one is wrong."""
    with sandbox() as running:
        configure(tmp_path, running.url, "sending: {rate_per_s: 500, compare: true}\n")
        (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
        yield running


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "runs").iterdir())


def repair(workbook: Path, value: int) -> None:
    """Type a value into the wrong cell of the sheet To fix."""
    book = openpyxl.load_workbook(workbook)
    sheet = book["To fix"]
    headers = [cell.value for cell in sheet[1]]
    sheet.cell(2, headers.index("SalesRevenue") + 1, value)
    book.save(workbook)


def puts(api: Sandbox) -> list[str]:
    return [request["path"].rpartition("/")[2] for request in api.requests() if request["method"] == "PUT"]


@pytest.mark.one_process("the question names the database")
def test_the_newest_workbook_with_rows_to_fix_is_run_and_named_in_the_question(tmp_path: Path, api: Sandbox) -> None:
    """The command that is printed is the one that is typed; a workbook that was run is not taken again."""
    first = batch_updater("run", "c.csv", "--yes", cwd=tmp_path)
    assert first.code == 1
    assert first.out.endswith("\n         batch-updater run --fix\n")
    (workbook,) = runs(tmp_path)[0].glob("*.xlsx")
    repair(workbook, 200)
    code, shown = dialogue([("[y/N]", "y")], tmp_path, "run", "--fix")
    said = " ".join(shown.split())
    assert code == 0, shown
    assert f"Send 1 update of {workbook.name} to {api.url}?" in said
    assert f"Rows to fix: {workbook.relative_to(tmp_path)}, of the run {workbook.parent.name} (c.csv, " in said
    assert puts(api) == ["1", "3", "2"]
    again = batch_updater("run", "--fix", "--yes", cwd=tmp_path)
    assert (again.code, len(puts(api))) == (2, 3)
    assert "has rows to fix" in again.err


def test_rows_to_fix_of_a_repair_come_before_those_of_an_older_run(tmp_path: Path, api: Sandbox) -> None:
    """A repaired workbook that still has a wrong row is followed by its own; then the older run's is left."""
    (tmp_path / "d.csv").write_text(ROWS.replace("300", "x"), encoding="utf-8")
    for name in ("d.csv", "c.csv"):
        assert batch_updater("run", name, "--yes", cwd=tmp_path).code == 1
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 1
    *_, workbook = sorted((tmp_path / "runs").glob("*-c*/c-results-*.xlsx"))
    repair(workbook, 200)
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 0
    done = batch_updater("run", "--fix", "--yes", cwd=tmp_path)
    assert done.code == 1
    assert "/d-results-" in done.err
    assert puts(api) == ["1", "3", "2"]


def test_a_workbook_that_was_run_from_another_folder_is_not_taken_again(tmp_path: Path, api: Sandbox) -> None:
    """Its copy in the run's folder still has the wrong cell; nor is it where the repair's own workbook is gone."""
    assert batch_updater("run", "c.csv", "--yes", cwd=tmp_path).code == 1
    (workbook,) = runs(tmp_path)[0].glob("*.xlsx")
    (tmp_path / "desktop").mkdir()
    shutil.copy(workbook, tmp_path / "desktop" / "mine.xlsx")
    repair(tmp_path / "desktop" / "mine.xlsx", 200)
    first = batch_updater("run", "desktop/mine.xlsx", "--yes", cwd=tmp_path)
    assert (first.code, puts(api)) == (0, ["1", "3", "2"])
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 2
    for written in runs(tmp_path)[1].glob("*.xlsx"):
        written.rename(tmp_path / "desktop" / written.name)
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 2


@pytest.mark.parametrize(
    ("name", "amount", "options"), [("c.csv", "200", ()), ("copy.csv", "abc", ("--map", "SalesRevenue="))]
)
def test_a_file_that_was_run_again_since_leaves_nothing_to_fix(
    tmp_path: Path, api: Sandbox, name: str, amount: str, options: tuple[str, ...]
) -> None:
    """Corrected under its name, or as it is under another one: the workbook of before would send old values."""
    for file, value in (("c.csv", "abc"), (name, amount)):
        rows = f"Id,Type,SalesRevenue,OpportunityName\n1,Pre,100,a\n2,Pre,{value},b\n"
        (tmp_path / file).write_text(rows, encoding="utf-8")
        more, code = (options, 0) if puts(api) else ((), 1)
        assert batch_updater("run", file, "--yes", *more, cwd=tmp_path).code == code
    before = puts(api)
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 2
    assert puts(api) == before


@pytest.mark.one_process("it is fetched from the database")
def test_a_workbook_with_rows_to_fix_that_is_gone_can_be_written_again(tmp_path: Path, api: Sandbox) -> None:
    """The message names its run and the command; where all are done it says which command lists the runs."""
    assert batch_updater("run", "c.csv", "--yes", cwd=tmp_path).code == 1
    (run,) = runs(tmp_path)
    (workbook,) = run.glob("*.xlsx")
    workbook.unlink()
    refused = batch_updater("run", "--fix", "--yes", cwd=tmp_path)
    assert refused.code == 2
    assert f"The run {run.name} has rows to fix, but its results workbook is not there." in refused.err
    assert f"or write it: `batch-updater report {run.name}`." in refused.err
    assert batch_updater("report", run.name, cwd=tmp_path).code == 1
    (workbook,) = run.glob("*.xlsx")
    repair(workbook, 200)
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path).code == 0
    assert "`batch-updater runs` says how each run ended." in batch_updater("run", "--fix", cwd=tmp_path).err
    assert puts(api) == ["1", "3", "2"]


@pytest.mark.parametrize("kind", ["relative", "link"])
def test_the_results_folder_may_be_named_in_any_way(tmp_path: Path, api: Sandbox, kind: str) -> None:
    """By a relative path with dots in it, or through a link: the repaired workbook is found, and then never again."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    folder = {"relative": "link/../real", "link": "link"}[kind]
    variables = {"BATCH_UPDATER_RESULTS__FOLDER": folder}
    assert batch_updater("run", "c.csv", "--yes", cwd=tmp_path, **variables).code == 1
    (workbook,) = (tmp_path / "real").glob("*/c-results-*.xlsx")
    repair(workbook, 200)
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path, **variables).code == 0
    assert batch_updater("run", "--fix", "--yes", cwd=tmp_path, **variables).code == 2
    assert puts(api) == ["1", "3", "2"]


def test_without_a_run_the_newest_is_named_in_a_question(tmp_path: Path, api: Sandbox) -> None:
    """Enter is yes, for nothing is sent; no writes nothing; without a terminal it is named and taken."""
    for name in ("c.csv", "d.csv"):
        (tmp_path / name).write_text(ROWS, encoding="utf-8")
        batch_updater("run", name, "--yes", cwd=tmp_path)
    newest = runs(tmp_path)[-1]
    for command, written in (("report", "*-results-*.xlsx"), ("undo", "undo.xlsx")):
        before = set(newest.glob(written))
        code, shown = dialogue([("[Y/n]", "n")], tmp_path, command)
        said = " ".join(shown.split())
        assert (code, f"the newest run, {newest.name} (d.csv, " in said) == (2, True), shown
        assert "Cancelled. Nothing was written." in said
        assert set(newest.glob(written)) == before
        for path in before:
            path.unlink()
        code, shown = dialogue([("[Y/n]", "")], tmp_path, command)
        assert code in {0, 1}, shown
        (path,) = newest.glob(written)
        done = batch_updater(command, cwd=tmp_path)
        assert f"The newest run: {newest.name} (d.csv, " in done.err
        assert newest.name not in batch_updater(command, "--json", cwd=tmp_path).err
    assert puts(api) == ["1", "3"]


@pytest.mark.one_process("the sentence names the database")
def test_no_runs_and_none_to_fix_say_so(tmp_path: Path) -> None:
    """Exit 2 and the folder that was looked into."""
    for command in (("report",), ("undo",), ("run", "--fix", "--yes")):
        (tmp_path / "config.yaml").write_text("api: {base_url: 'http://127.0.0.1:9'}\n", encoding="utf-8")
        done = batch_updater(*command, cwd=tmp_path)
        assert done.code == 2
        assert " in runs" in done.err


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """Give the variables of a desktop whose starter notes what it was asked to open."""
    programs = tmp_path / "programs"
    programs.mkdir()
    starter = programs / "xdg-open"
    starter.write_text(f"#!/bin/sh\necho \"$1\" >> '{tmp_path}/opened'\nexit $CODE\n", encoding="utf-8")
    starter.chmod(0o755)
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "DISPLAY": ":0", "CODE": "0"}


def opened(folder: Path) -> list[str]:
    """Return the names of the files that were opened, and forget them."""
    told = folder / "opened"
    names = [Path(line).name for line in told.read_text(encoding="utf-8").splitlines()] if told.exists() else []
    told.unlink(missing_ok=True)
    return names


def test_a_workbook_is_opened_where_that_is_asked_for(tmp_path: Path, api: Sandbox, desktop: dict[str, str]) -> None:
    """By `--open`; without a terminal, or with nothing to repair, never by itself."""
    assert batch_updater("check", "c.csv", "--open", cwd=tmp_path, **desktop).code == 1
    assert opened(tmp_path) == ["c-check.xlsx"]
    for command in (("check", "c.csv"), ("run", "c.csv", "--yes"), ("report",), ("undo",), ("template", "t.xlsx")):
        batch_updater(*command, cwd=tmp_path, **desktop)
        assert opened(tmp_path) == []
    done = batch_updater("undo", "--open", "--json", cwd=tmp_path, **desktop)
    assert done.object["undo"].endswith("undo.xlsx")
    assert opened(tmp_path) == ["undo.xlsx"]
    assert api.requests()


@pytest.mark.parametrize(("answer", "names"), [("y", ["c-check.xlsx"]), ("n", []), ("", [])])
def test_on_a_desktops_terminal_a_question_opens_it(
    tmp_path: Path, desktop: dict[str, str], answer: str, names: list[str]
) -> None:
    """Only yes does; with `--yes`, and where no row needs a person, there is no question."""
    (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
    code, shown = dialogue([("Open c-check.xlsx? [y/N]", answer)], tmp_path, "check", "c.csv", variables=desktop)
    assert (code, opened(tmp_path)) == (1, names), shown
    _, shown = dialogue([], tmp_path, "check", "c.csv", "--yes", variables=desktop)
    assert "Open " not in shown
    (tmp_path / "c.csv").write_text(ROWS.replace("abc", "200"), encoding="utf-8")
    code, shown = dialogue([], tmp_path, "check", "c.csv", variables=desktop)
    assert (code, "Open " in shown) == (0, False)


def test_a_workbook_that_cannot_be_opened_is_a_note(tmp_path: Path, desktop: dict[str, str]) -> None:
    """The exit code is that of the command, where the starter fails and where there is no desktop."""
    (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
    done = batch_updater("check", "c.csv", "--open", cwd=tmp_path, **desktop | {"CODE": "3"})
    assert (done.code, done.err) == (1, "Note: c-check.xlsx could not be opened: xdg-open ended with 3.\n")
    done = batch_updater("check", "c.csv", "--open", cwd=tmp_path, DISPLAY=None, WAYLAND_DISPLAY=None)
    assert done.code == 1
    assert done.err == "Note: c-check.xlsx could not be opened: there is no desktop, or no xdg-open.\n"


def test_paths_are_relative_where_that_is_shorter(tmp_path: Path, api: Sandbox) -> None:
    """In what is printed and in commands; JSON keeps them whole, and a path elsewhere stays absolute."""
    done = batch_updater("run", "c.csv", "--yes", cwd=tmp_path)
    assert str(tmp_path) not in done.out
    (workbook,) = runs(tmp_path)[0].glob("*.xlsx")
    assert f"Results: {workbook.relative_to(tmp_path)}\n" in done.out
    assert batch_updater("check", "c.csv", "--json", cwd=tmp_path).object["results"] == str(tmp_path / "c-check.xlsx")
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz")
    deep.mkdir(parents=True)
    far = batch_updater("report", str(runs(tmp_path)[0]), "--config", tmp_path / "config.yaml", cwd=deep)
    assert f"Results: {runs(tmp_path)[0]}/" in far.out
    assert "--config" in far.out
    assert "--config" not in batch_updater("report", str(runs(tmp_path)[0]), cwd=tmp_path).out
    assert api.requests()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_word_is_broken_on_a_terminal(tmp_path: Path, columns: int) -> None:
    """Every line fits, unless it is a path or a command to be copied, or one word; and no word of it is lost."""
    shutil.copy(SAMPLES / "mistakes.xlsx", tmp_path / "changes.xlsx")
    plain = batch_updater("check", "changes.xlsx", cwd=tmp_path)
    code, shown = dialogue([], tmp_path, "check", "changes.xlsx", "--yes", columns=columns)
    assert code == 1
    lines = shown.replace("\r\n", "\n").splitlines()
    too_long = [line for line in lines if len(line) > columns]
    assert all(line.startswith(("Results: ", "         batch-updater ")) for line in too_long), too_long
    table = len(re.findall(r"(?m)^  \w.*$", plain.out.partition("\n\n")[0]))  # is cut to fit, not broken
    assert " ".join(shown.split()).endswith(" ".join(plain.out.split("\n\n", 1)[1].split()))
    assert table == 12


def test_a_command_in_an_error_is_not_broken(tmp_path: Path) -> None:
    """It is longer than the terminal is wide, and stays one line."""
    name = f"{'long ' * 20}name.csv"
    code, shown = dialogue([], tmp_path, "runn", name)
    assert code == 2
    assert f"    {command_line(('batch-updater', 'run', name))}\r\n" in shown


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_word_of_an_error_is_broken_on_a_terminal(tmp_path: Path, columns: int) -> None:
    """Its lines are indented further where they go on; options stay on one line, to be copied."""
    (tmp_path / "c.csv").write_text("Id,Type,Sales Stagee,Sales Revenues\n1,Pre,a,2\n", encoding="utf-8")
    plain = batch_updater("check", "c.csv", cwd=tmp_path).err
    code, shown = dialogue([], tmp_path, "check", "c.csv", "--yes", columns=columns)
    assert code == 2
    assert shown.split() == plain.split()
    lines = shown.replace("\r\n", "\n").splitlines()
    too_long = [line for line in lines if len(line) > columns]
    assert all(line.startswith(('    --map "', "`")) for line in too_long), too_long
    for options in re.findall("(?m)^    --.*?(?=   |$)", plain):
        assert any(line.startswith(options) for line in lines), options


def test_json_on_a_terminal_is_one_line(tmp_path: Path) -> None:
    """Whatever the width: it is for a program, or to be copied."""
    (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
    for words in (("check", "c.csv"), ("check", "missing.csv")):
        _, shown = dialogue([], tmp_path, *words, "--json", columns=40)
        assert json.loads(shown)["exit_code"]
        assert shown.count("\n") == 1


def test_the_answers_of_a_row_fit_the_terminal(tmp_path: Path, api: Sandbox) -> None:
    """JSON without blanks goes on behind a comma, and nothing of it is lost."""
    rows = "Id,Type,StageName\n1,Pre,fault:status-503:1 x\n2,Pre,Prospekt\n"
    (tmp_path / "d.csv").write_text(rows, encoding="utf-8")
    batch_updater("run", "d.csv", "--yes", cwd=tmp_path, BATCH_UPDATER_SENDING__COMPARE="false")
    for number in ("2", "3"):
        plain = batch_updater("report", "--row", number, cwd=tmp_path)
        code, shown = dialogue([], tmp_path, "report", "--row", number, "--yes", columns=60)
        assert code == 0
        assert "".join(plain.out.split()) in "".join(shown.split())
        too_long = [line for line in shown.replace("\r\n", "\n").splitlines() if len(line) > 60]
        assert all(" http://" in line or line.startswith("Run: ") for line in too_long), too_long
    assert api.requests()


@pytest.mark.one_process("it is about the database as a file")
def test_paths_within_a_sentence_are_relative_too(tmp_path: Path, api: Sandbox) -> None:
    """Of errors and of a single row; a cell that holds such a path is shown as it is."""
    row = f"Id,Type,SalesRevenue\n1,Pre,{tmp_path}/x\n"
    (tmp_path / "d.csv").write_text(row, encoding="utf-8")
    said = batch_updater("check", "d.csv", cwd=tmp_path).out
    start = str(tmp_path)[:18]  # long texts are cut off
    assert f"SalesRevenue  {start}" in said
    assert f"'{start}" in said
    batch_updater("run", "c.csv", "--yes", cwd=tmp_path)
    run = runs(tmp_path)[0]
    assert f"Run: runs/{run.name}\n" in batch_updater("report", "--row", "2", cwd=tmp_path).out
    (run / "run.sqlite").write_bytes(b"no database")
    assert f"The outcomes of the run runs/{run.name} cannot" in batch_updater("report", run.name, cwd=tmp_path).err
    assert api.requests()


def test_check_groups_problems_and_names_each_with_verbose(tmp_path: Path) -> None:
    """A cause with its first cells and how many more; row by row on request; verdict and next step last."""
    rows = [f"{number},Pre,{'abc' if number % 2 else number}" for number in range(1, 21)]
    (tmp_path / "c.csv").write_text("\n".join(["Id,Type,SalesRevenue", *rows, ""]), encoding="utf-8")
    lines = batch_updater("check", "c.csv", cwd=tmp_path).out.splitlines()
    at = lines.index("Problems:")
    assert lines[at + 1] == "  10 x SalesRevenue: not a number (C2, C4, C6 and 7 more)"
    assert lines[at + 2] == "      'abc' is not a number. Type the digits alone, such as 1234.5."
    verdict = lines.index("10 of 20 rows are good. 10 need you.")
    assert at < verdict < next(number for number, line in enumerate(lines) if line.startswith("Next:"))
    every = batch_updater("check", "c.csv", "--verbose", cwd=tmp_path).out
    assert re.findall(r"(?m)^Row (\d+), SalesRevenue \(C\1\): 'abc' is not a number\.", every) == [
        str(number) for number in range(2, 21, 2)
    ]


SGR = re.compile(r"\x1b\[(?:31|32|35|1|0)m")


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colours_are_those_that_the_terminal_takes(
    tmp_path: Path, variables: dict[str, str], *, coloured: bool
) -> None:
    """And only those that can be read on light and dark backgrounds; the words are the same."""
    (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
    _, shown = dialogue([], tmp_path, "check", "c.csv", variables={"NO_COLOR": "", **variables})
    assert bool(SGR.search(shown)) == coloured
    assert "\x1b" not in SGR.sub("", shown)
    _, plain = dialogue([], tmp_path, "check", "c.csv")
    assert SGR.sub("", shown) == plain


def test_a_pipe_and_json_get_no_colours(tmp_path: Path) -> None:
    """Unless FORCE_COLOR asks for them, which JSON ignores."""
    (tmp_path / "c.csv").write_text(ROWS, encoding="utf-8")
    assert "\x1b" not in batch_updater("check", "c.csv", cwd=tmp_path, FORCE_COLOR=None, NO_COLOR=None).out
    assert "\x1b[31m" in batch_updater("check", "c.csv", cwd=tmp_path, FORCE_COLOR="1", NO_COLOR=None).out
    done = batch_updater("check", "c.csv", "--json", cwd=tmp_path, FORCE_COLOR="1", NO_COLOR=None)
    assert "\x1b" not in done.out + done.err
    assert done.object["exit_code"] == 1
