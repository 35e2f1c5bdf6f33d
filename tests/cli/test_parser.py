"""The command line's grammar, and the answers to one typed wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from batch_updater.cli.parser import parse
from batch_updater.errors import UsageError


def refused(*arguments: str) -> str:
    """Return what is answered to a command line typed wrong."""
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    return f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["chekc", "a b.csv"], ["check 'a b.csv'"]),
        (["reports"], ["report"]),
        (["runn", "q1.xlsx", "--limit", "5"], ["run q1.xlsx --limit 5"]),
        (["RUN", "q1.xlsx"], ["run q1.xlsx"]),
        (["validate", "q1.xlsx"], ["check q1.xlsx"]),
        (["rollback"], ["undo"]),
        (["help"], ["--help"]),
        (["chekc", "--help"], ["check --help"]),
        (["q1.xlsx"], ["check q1.xlsx", "run q1.xlsx"]),
        (["q1.xlsx", "run"], ["run q1.xlsx"]),
        (["my", "q1.xlsx", "check", "--json"], ["check 'my q1.xlsx' --json"]),
        (["q1.xlsx", "--limit", "5", "run"], ["run q1.xlsx --limit 5"]),
        (["q1.xlsx", "--limit", "5"], ["run q1.xlsx --limit 5"]),
        (["runs.xlsx"], ["check runs.xlsx", "run runs.xlsx"]),
        (["-", "--yes"], ["check - --yes", "run - --yes"]),
        (["--json", "run", "c.csv"], ["run --json c.csv"]),
        (["run", "q1.xlsx", "--dry-run"], ["check q1.xlsx"]),
        (["run", "--limit", "3", "q1.xlsx", "--dry-run", "--sheet", "Q 1"], ["check q1.xlsx --sheet 'Q 1'"]),
        (["--dry-run", "q1.xlsx"], ["check q1.xlsx"]),
        (["check", "-n", "q1.xlsx"], ["check q1.xlsx"]),
        (["run", "my", "file.xlsx"], ["run 'my file.xlsx'"]),
        (["my", "file.xlsx"], ["check 'my file.xlsx'", "run 'my file.xlsx'"]),
        (["runn", "my", "new", "file.xlsx", "--dry-run"], ["check 'my new file.xlsx'"]),
        (["run", "my", "in.xlsx", "--results", "my", "out.xlsx"], ["run 'my in.xlsx' --results 'my out.xlsx'"]),
        (["check", "c.csv", "--shet", "my", "sheet"], ["check c.csv --sheet 'my sheet'"]),
        (["-v", "check", "c.csv"], ["check -v c.csv"]),
        (["check", "c.csv", "--jsn"], ["check c.csv --json"]),
        (["--jsn", "runs"], ["runs --json"]),
        (["run", "c.csv", "--set=A=1", "--comparee"], ["run c.csv --set=A=1 --compare"]),
    ],
)
def test_a_command_typed_wrong_is_answered_with_the_one_that_was_probably_meant(
    typed: list[str], meant: list[str]
) -> None:
    """The whole command on a line of its own, to be copied; it is one that can be run."""
    with pytest.raises(UsageError) as caught:
        parse(typed)
    first, *lines = caught.value.remedy_lines
    assert first == "Did you mean:"
    assert lines == [f"    batch-updater {words}" for words in meant]
    for line in lines:
        words = shlex.split(line)[1:]
        if "--help" not in words:
            assert parse(words).command == words[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--limit"], "A command is missing before --limit. See batch-updater --help."),
        (["-v", "check"], "Type it behind the command: batch-updater check ... -v. See batch-updater check --help."),
        (["frobnicate"], "Commands: run, check, columns, template, "),
        (["run"], "FILE is missing: --fix takes the newest results workbook that has rows to fix."),
        (["run", "c.csv", "--fix"], "FILE and --fix exclude each other"),
        (["run", "c.csv", "--limit", "0"], "'0' is not a whole number above 0"),
        (["run", "c.csv", "--set", "=x"], "'=x' is not of the form FIELD=VALUE"),
        (["run", "c.csv", "--frobnicate"], "Unrecognized arguments: --frobnicate. See batch-updater run --help."),
        (["run", "--dry-run"], "There is no option --dry-run: check does everything but sending."),
        (["nightly", "--dry-run"], "Unrecognized arguments: --dry-run. See batch-updater nightly --help."),
    ],
)
def test_where_nothing_can_be_guessed_the_help_is_named(typed: list[str], said: str) -> None:
    """No command is shown that would end with the next error."""
    assert said in refused(*typed)


def test_a_file_without_an_ending_is_recognised_by_being_there(tmp_path: Path) -> None:
    """A path that exists is a file, not a command."""
    path = tmp_path / "changes"
    path.touch()
    assert f"batch-updater check {path}" in refused(str(path))


def test_a_pattern_that_matches_several_files_is_answered_with_a_command_for_each(tmp_path: Path) -> None:
    """The shell has replaced `*.csv` by their names: they are no path with blanks."""
    files = [str(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv")]
    for file in files:
        Path(file).touch()
    with pytest.raises(UsageError, match="run takes one file at a time") as caught:
        parse(["run", *files, "--yes"])
    assert caught.value.remedy_lines == (
        "One after the other:",
        *(f"    batch-updater run {file} --yes" for file in files),
    )


def test_no_abbreviation_is_taken_for_an_option() -> None:
    """`--over` may become ambiguous with a later version."""
    assert "Unrecognized arguments: --over" in refused("run", "c.csv", "--over")
    options = parse(["run", "c.csv", "--set", "A=1=2", "--set", "B="])
    assert (options.command, options.constants) == ("run", [("A", "1=2"), ("B", "")])
