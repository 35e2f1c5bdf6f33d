"""guards.py: limits over which nothing of a file is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

import batch_updater
from batch_updater.errors import GuardError
from batch_updater.sandbox.server import Sandbox
from tests.torture.runs import write_rows

if TYPE_CHECKING:
    from pathlib import Path


def rows(path: Path, *records: tuple[object, object, object]) -> Path:
    return write_rows(path, [dict(zip(("Id", "Type", "OpportunityName"), one, strict=True)) for one in records])


def configuration(folder: Path, url: str, **guards: float) -> dict[str, object]:
    (folder / "token").write_text("sandbox-token", encoding="ascii")
    return {
        "api": {"base_url": url, "token": f"file:{folder / 'token'}"},
        "sending": {"rate_per_s": 1000},
        "results": {"folder": str(folder / "runs")},
        "guards": guards,
    }


THREE = ((1, "Pre", "a"), (2, "Pre", "#CLEAR"), (3, "Prx", "c"))


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        ({"rows": 2}, "The file has 3 rows, and guards.rows allows 2; the first beyond is row 4."),
        (
            {"invalid_percent": 33.3},
            "1 of 3 rows cannot be sent (33.3%), and guards.invalid_percent allows 33.3%; the first: row 4",
        ),
        (
            {"cleared": 0},
            "1 field would be cleared (OpportunityName in 1 row), and guards.cleared allows 0; the first: row 3.",
        ),
    ],
)
def test_over_a_guard_nothing_is_sent(tmp_path: Path, guards: dict[str, float], said: str) -> None:
    """The error names guard, figure, limit and first rows; no request goes out and no run's folder stays."""
    file = rows(tmp_path / "rows.csv", *THREE)
    with Sandbox() as sandbox:
        with pytest.raises(GuardError) as raised:
            batch_updater.run(file, configuration(tmp_path, sandbox.url, **guards))
        assert len(sandbox.received) == 0
    assert said in raised.value.message
    assert "--override-guards" in raised.value.remedy
    assert next(iter(guards)) in raised.value.remedy
    assert [entry for entry in (tmp_path / "runs").iterdir() if entry.is_dir()] == []


@pytest.mark.parametrize("guards", [{"rows": 3}, {"invalid_percent": 33.4}, {"cleared": 1}, {}])
def test_at_its_limit_a_file_is_sent(tmp_path: Path, guards: dict[str, float]) -> None:
    """A guard allows what it names."""
    with Sandbox() as sandbox:
        file = rows(tmp_path / "rows.csv", *THREE)
        done = batch_updater.run(file, configuration(tmp_path, sandbox.url, **guards))
        assert len(sandbox.received) == 2
    assert done.outcomes["invalid"] == 1


def test_a_workbook_to_repair_may_be_repaired_in_part(tmp_path: Path) -> None:
    """Its rows are bad ones by nature: how many of them still are says nothing about a wrong file."""
    file = rows(tmp_path / "rows.csv", *((at, "Prx" if at < 3 else "Pre", "a") for at in range(1, 7)))
    with Sandbox() as sandbox:
        settings = configuration(tmp_path, sandbox.url, invalid_percent=40)
        first = batch_updater.run(file, settings)
        assert first.results
        book = openpyxl.load_workbook(first.results)
        type_at = [cell.value for cell in book["To fix"][1]].index("Type") + 1
        book["To fix"].cell(2, type_at, "Pre")
        book.save(tmp_path / "repaired.xlsx")
        second = batch_updater.run(tmp_path / "repaired.xlsx", settings)
    assert {kind: count for kind, count in second.outcomes.items() if count} == {"updated": 1, "invalid": 1}


def test_all_guards_that_are_exceeded_are_named_at_once(tmp_path: Path) -> None:
    """All guards are told at once."""
    guards = {"rows": 2, "invalid_percent": 0, "cleared": 0}
    file = rows(tmp_path / "rows.csv", *THREE)
    with pytest.raises(GuardError) as raised:
        batch_updater.run(file, configuration(tmp_path, "http://127.0.0.1:9", **guards))
    assert "change guards.rows and guards.invalid_percent and guards.cleared" in raised.value.remedy
