"""The command line's grammar, and the answers to one typed wrong."""

from __future__ import annotations

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
        (["chekc", "a b.csv"], "There is no command chekc. Did you mean batch-updater check 'a b.csv'?"),
        (["reports"], "Did you mean batch-updater report?"),
        (
            ["changes.xlsx", "--limit", "5"],
            "Did you mean batch-updater check changes.xlsx --limit 5, or batch-updater run changes.xlsx --limit 5?",
        ),
        (["-", "--yes"], "Did you mean batch-updater check - --yes, or batch-updater run - --yes?"),
        (
            ["--json", "run", "c.csv"],
            "The option --json comes before the command. Did you mean batch-updater run --json",
        ),
        (["--limit"], "A command is missing before --limit."),
        (["frobnicate"], "Commands: run, check, template, "),
        (["run"], "The following arguments are required: FILE."),
        (["run", "c.csv", "--limit", "0"], "'0' is not a whole number above 0"),
        (["run", "c.csv", "--set", "=x"], "'=x' is not of the form FIELD=VALUE"),
        (["check", "c.csv", "--shet", "x"], "Did you mean --sheet? See batch-updater check --help."),
    ],
)
def test_a_command_typed_wrong_is_answered_with_the_one_that_was_probably_meant(typed: list[str], meant: str) -> None:
    """Exit 2 with the whole command, to be copied."""
    assert meant in refused(*typed)


def test_a_file_without_an_ending_is_recognised_by_being_there(tmp_path: Path) -> None:
    """A path that exists is a file, not a command."""
    path = tmp_path / "changes"
    path.touch()
    assert f"Did you mean batch-updater check {path}" in refused(str(path))


def test_no_abbreviation_is_taken_for_an_option() -> None:
    """`--over` may become ambiguous with a later version."""
    assert "Unrecognized arguments: --over" in refused("run", "c.csv", "--over")
    options = parse(["run", "c.csv", "--set", "A=1=2", "--set", "B="])
    assert (options.command, options.constants) == ("run", [("A", "1=2"), ("B", "")])
