"""Files of every format through the whole program, hostile ones among them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xlwt

from tests.data import make_data
from tests.data.made_xlsb import write_xlsb
from tests.data.make_data import cell, opendocument_parts, row, sheet_xml, workbook_parts, write_package
from tests.end_to_end.program import batch_updater, configure, environment, sandbox
from tests.loader.test_formats_agree import ods_cell
from tests.loader.test_mutants import DATA, WORKBOOKS, mutant

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE: tuple[tuple[str | int, ...], ...] = (
    ("Id", "Type", "OpportunityName"), (407, "Post", "Ä"), (495, "Pre", "b"), ("x", "Pre", "c"),
)  # fmt: skip
MOST_MB = 300
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print("peak KB", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""
"""Runs a command from a small process: the peak of a child's memory counts from that of its parent."""


def as_workbook(path: Path, *, macros: bool = False) -> None:
    rows = "".join(row(number, *cells) for number, cells in enumerate(TABLE, 1))
    write_package(path, workbook_parts({"S": sheet_xml(rows)}, macros=macros))


def as_old_workbook(path: Path) -> None:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("S")
    for number, cells in enumerate(TABLE):
        for column, value in enumerate(cells):
            sheet.write(number, column, value)
    book.save(str(path))


def as_spreadsheet(path: Path) -> None:
    lines = "".join(f"<table:table-row>{''.join(map(ods_cell, cells))}</table:table-row>" for cells in TABLE)
    write_package(path, opendocument_parts(lines))


def as_text(path: Path) -> None:
    path.write_text("\n".join("\t".join(map(str, cells)) for cells in TABLE), encoding="utf-16")


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.xlsx": as_workbook,
    "a.xlsm": lambda path: as_workbook(path, macros=True),
    "a.xls": as_old_workbook,
    "a.xlsb": lambda path: void(write_xlsb(path, {"S": TABLE})),
    "a.ods": as_spreadsheet,
    "a.tsv": as_text,
}


def void(_: object) -> None:
    """Take a result that is not needed."""


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_any_format_is_run_and_its_repaired_rows_again(tmp_path: Path, name: str) -> None:
    """Good rows are updated, the bad one is named by its cell, and a second run finds only that one to do."""
    WRITERS[name](tmp_path / name)
    with sandbox() as served:
        configure(tmp_path, served.url)
        first = batch_updater("run", name, "--json", cwd=tmp_path)
        assert first.code == 1, first.err
        assert first.outcomes == {"updated": 2, "invalid": 1}
        assert (tmp_path / "runs").exists()
        again = batch_updater("check", first.object["results"], cwd=tmp_path)
        assert again.code == 1, again.err
        assert "'x' is not a whole number" in again.out


def test_a_workbook_on_standard_input_is_refused(tmp_path: Path) -> None:
    """Only CSV is read from standard input; a workbook sent there is named for what it is."""
    as_workbook(tmp_path / "a.xlsx")
    done = subprocess.run(
        [sys.executable, "-m", "batch_updater", "check", "-", "--json"],
        cwd=tmp_path, env=environment(), input=(tmp_path / "a.xlsx").read_bytes(), capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["message"] == "Standard input holds a workbook, but only CSV is read from it."
    assert error["remedy"] == "Name the file instead of -."


def test_zero_bytes_without_end_are_refused_on_standard_input(tmp_path: Path) -> None:
    """A stream that holds no text is refused for its beginning, before it fills the disk."""
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-m", "batch_updater", "check", "-", "--json"],
            cwd=tmp_path, env=environment(), stdin=endless, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "nothing but zero bytes" in json.loads(done.stdout)["error"]["message"]


def test_what_is_hidden_or_not_used_is_said(tmp_path: Path) -> None:
    """Hidden rows, hidden columns and macros are named before anything is sent."""
    rows = row(1, *TABLE[0]) + row(2, *TABLE[1], attributes=' hidden="1"')
    parts = workbook_parts(
        {"S": sheet_xml(rows, before='<cols><col min="3" max="3" hidden="1"/></cols>')},
        macros=True,
        relations=["vbaProject"],
    )
    write_package(tmp_path / "a.xlsm", parts)
    done = batch_updater("check", "a.xlsm", cwd=tmp_path)
    assert done.code == 0
    said = done.out + done.err
    assert "1 row is hidden in the sheet" in said
    assert "Column C is hidden in the sheet" in said
    assert "It has macros, which are not run." in said


def header() -> str:
    return row(1, *TABLE[0])


MUCH_TEXT = f'<sst xmlns="{make_data.MAIN}">' + ("<si><t>" + "y" * 100_000 + "</t></si>") * 1600 + "</sst>"

HOSTILE: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "million-columns.csv": (
        lambda path: path.write_text(",".join(["a"] * 1_000_000) + "\n"), 2, "has 1,000,000 columns in row 1",
    ),
    "one-line.csv": (lambda path: path.write_text("Id,Type\n1," + "x" * 50_000_000), 2, "characters in line 2"),
    "long-cell.csv": (
        lambda path: path.write_text("Id,Type\n1," + "x" * 1_000_000), 2, "has a cell of more than 131,072 characters",
    ),
    "long-cell.xlsx": (
        lambda path: write_package(path, workbook_parts({"S": sheet_xml(header() + row(2, 1, "x" * 10_000_000))})),
        2, "has a text in cell B2 of more than 131,072 characters",
    ),
    "long-attribute.xlsx": (
        lambda path: write_package(
            path, workbook_parts({"S": sheet_xml(header() + f'<row r="2" x="{"y" * 100_000_000}"/>')})
        ),
        2, "has an element of an unreasonable size",
    ),
    "much-text.xlsx": (
        lambda path: write_package(
            path,
            workbook_parts(
                {"S": sheet_xml(header())},
                relations=["sharedStrings"],
                others={"xl/sharedStrings": MUCH_TEXT},
            ),
        ),
        2, "holds more than 128 MB of text",
    ),
    "thousands-of-sheets.xlsx": (
        lambda path: write_package(
            path, workbook_parts({f"S{number}": sheet_xml(header() + row(2, 1)) for number in range(3000)})
        ),
        2, "'S9' (1 row) and more",
    ),
    "areas-over-areas.xlsx": (
        lambda path: write_package(
            path,
            workbook_parts(
                {
                    "S": sheet_xml(
                        header() + "".join(row(number, number) for number in range(2, 2000)),
                        after="<mergeCells>" + '<mergeCell ref="A2:B1048576"/>' * 100_000 + "</mergeCells>",
                    )
                }
            ),
        ),
        2, "merged cells that lie over one another",
    ),
    "a-million-blank-rows.xlsx": (
        lambda path: write_package(
            path,
            workbook_parts({"S": sheet_xml(header() + "".join(f'<row r="{n}"/>' for n in range(2, 1_048_577)))}),
        ),
        0, "nothing to do",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_neither_fills_the_memory_nor_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    """What would fill the memory is refused, or read, in less than 300 MB."""
    write, code, said = HOSTILE[name]
    write(tmp_path / name)
    command = [sys.executable, "-c", PEAK, sys.executable, "-m", "batch_updater", "check", name]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    assert said in printed
    assert "Traceback" not in printed
    assert int(printed.rpartition("peak KB ")[2]) / 1024 < MOST_MB


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_changed_workbook_ends_in_an_exit_code_and_a_sentence(tmp_path: Path, name: str) -> None:
    """The command line, too, says in a sentence what it cannot read, and never shows a traceback."""
    chance = random.Random(f"whole program, {name}")
    content = (DATA / name).read_bytes()
    (tmp_path / "input").mkdir()
    for number in range(3):
        path = tmp_path / "input" / f"{number}-{name}"
        path.write_bytes(mutant(content, chance))
        done = batch_updater("check", path, "--set", "opportunityType=Pre", cwd=tmp_path)
        assert done.code in {0, 1, 2}
        assert "Traceback" not in done.out + done.err
        assert (done.out + done.err).strip()


def test_cells_of_the_makers_are_what_they_say() -> None:
    """The XML made for these tests is escaped where it is text."""
    assert cell("A1", 5) == '<c r="A1"><v>5</v></c>'
