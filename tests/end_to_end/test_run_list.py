"""The list of runs that a page is asked for again and again."""

from __future__ import annotations

import os
from datetime import date
from time import time
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.runs.history import DATABASE, DamagedRun
from batch_updater.runs.run_list import RunList, RunState
from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure, sandbox
from tests.loader.described import workbook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batch_updater.runs.run_list import RunEntry

pytestmark = pytest.mark.usefixtures("store")

HEADERS = ["Id", "Type", "StageName", "PendingCloseDate"]


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """Give a folder with a run that needs someone, its second round, a run that is fine, and one that is undone."""
    folder = tmp_path_factory.mktemp("runs")
    with sandbox() as api:
        configure(folder, api.url, "sending: {rate_per_s: 5000}\n")
        inside = Inside(folder)
        rows = [[number, "Pre", "Proposal", date(2026, 5, 1)] for number in (101, 102)]
        wrong = [[number, "Pre", "Proposal", "31/02/2026"] for number in (103, 104)]
        first = inside("run", workbook(folder / "q1.xlsx", {"Data": [HEADERS, *rows, *wrong]}), "--yes", "--json")
        repaired = openpyxl.load_workbook(first.object["results"])
        repaired["To fix"]["H2"] = date(2026, 6, 1)
        repaired.save(first.object["results"])
        inside("run", first.object["results"], "--yes", "--json")
        inside("run", workbook(folder / "fine.xlsx", {"Data": [HEADERS, *rows]}), "--yes", "--json")
        back = workbook(folder / "back.xlsx", {"Data": [["Id", "Type", "OpportunityName"], [105, "Pre", "Renamed"]]})
        inside("run", back, "--compare", "--yes", "--json")
        inside("run", inside("undo", "--json").object["undo"], "--yes", "--json")
        yield inside


def named(entries: tuple[RunEntry, ...], file: str) -> RunEntry:
    return next(entry for entry in entries if entry.last.file == file)


def test_the_rounds_of_a_file_are_one_entry(inside: Inside) -> None:
    """Its newest round stands for it, and what all rounds have come to is told."""
    entries = RunList(inside.folder / "runs").entries()
    assert len(entries) == 4
    entry = named(entries, "q1.xlsx")
    assert entry.family is not None
    assert [one.run.rows for one in entry.rounds if not isinstance(one.run, DamagedRun)] == [2, 4]
    assert entry.family.sentence == "q1.xlsx: 3 of 4 rows updated in 2 rounds, 1 needs you."
    assert entry.states == {RunState.NEEDS_SOMEONE}


def test_a_list_can_be_narrowed_down(inside: Inside) -> None:
    """By what is left of a run, and by parts of its names."""
    entries = RunList(inside.folder / "runs").entries()
    assert named(entries, "fine.xlsx").states == set()
    assert named(entries, "back.xlsx").states == {RunState.UNDONE}
    assert [entry.last.file for entry in entries if entry.mentions("Q1.")] == ["q1.xlsx"]


@pytest.mark.one_process("it is about the database as a file")
def test_only_what_has_changed_is_read_again(inside: Inside) -> None:
    """A run whose database is as it was is the very record that was read before; families are as well."""
    folder = inside.folder / "runs"
    past = time() - 60
    for file in folder.glob("*/run.sqlite*"):
        os.utime(file, (past, past))
    runs = RunList(folder)
    first, second = runs.entries(), runs.entries()
    assert all(one.last.run is other.last.run for one, other in zip(first, second, strict=True))
    assert named(first, "q1.xlsx").family is named(second, "q1.xlsx").family
    database = named(first, "fine.xlsx").last.run.folder / DATABASE
    os.utime(database)
    third = runs.entries()
    assert named(third, "fine.xlsx").last.run is not named(first, "fine.xlsx").last.run
    assert named(third, "back.xlsx").last.run is named(first, "back.xlsx").last.run
    content = database.read_bytes()
    try:
        database.write_bytes(b"no database")
        assert [entry.last.name for entry in runs.entries() if RunState.DAMAGED in entry.states] == [
            database.parent.name
        ]
    finally:
        database.write_bytes(content)


def test_a_folder_without_runs_has_an_empty_list(tmp_path: Path) -> None:
    """As before the first run."""
    assert RunList(tmp_path / "runs").entries() == ()
