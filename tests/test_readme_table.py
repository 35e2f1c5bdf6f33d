from __future__ import annotations

import re
from pathlib import Path

import pytest

from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from tests.loader.described import AMOUNT, COUNT, DAY, settings

README = Path(__file__).parent.parent / "README.md"
FIELDS = {"amount": AMOUNT, "date": DAY, "whole number": COUNT}


def table() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table of readings: typed, kind of field, setting, read as."""
    section = README.read_text(encoding="utf-8").partition("### Numbers and dates as typed")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(typed.strip("`"), kind, setting.strip(" |"), read) for typed, kind, setting, read in map(four, lines)]


def four(cells: list[str]) -> tuple[str, str, str, str]:
    # A blank setting leaves a bar behind.
    typed, kind, *rest = cells
    return (typed, kind, rest[0], rest[1]) if len(rest) == 2 else (typed, kind, "", rest[0].strip("| "))


def test_the_table_is_found() -> None:
    """The rows below are those of the README."""
    assert len(table()) > 40


@pytest.mark.parametrize(("typed", "kind", "setting", "read"), table())
def test_what_is_typed_is_read_as_the_readme_says(typed: str, kind: str, setting: str, read: str) -> None:
    """Each row of the README's table holds: the value, or a refusal that names what it names."""
    name, value = re.match(r"(\w*) ?`?([^`]*)", setting).groups()  # type: ignore[union-attr]
    given = int(value) if value.isdecimal() else value
    convert = converter(FIELDS[kind], settings(**({name: given} if name else {})), [])
    if read.startswith("refused"):
        with pytest.raises(ValueProblem) as refused:
            convert(typed)
        for words in read.removeprefix("refused").strip(": ").split(" or "):
            assert words in refused.value.reason
    else:
        found = convert(typed)
        assert (format(found, "f") if kind == "amount" else str(found)) == read
