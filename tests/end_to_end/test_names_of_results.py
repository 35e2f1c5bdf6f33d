"""What a run's folder and its workbook are called after an input in any script."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater, configure, sandbox

pytestmark = pytest.mark.usefixtures("store")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("東京.csv", "東京"), ("Änderungen März.csv", "Änderungen_März"), ("परिवर्तन.csv", "परिवर्तन"),
        (unicodedata.normalize("NFD", "Été.csv"), "Été"), ("ب" * 120 + ".csv", "ب" * 60),
    ],
)  # fmt: skip
def test_folder_and_workbook_can_be_recognised(tmp_path: Path, name: str, stem: str) -> None:
    """Letters stay, and every later command finds the run by its name: report, undo, and the repaired workbook."""
    (tmp_path / name).write_text("Id,Type,OpportunityName\n1,Pre,x\n2,Pst,y\n", encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url)
        done = batch_updater("run", name, "--compare", "--json", cwd=tmp_path)
        run, workbook = Path(done.object["run"]), Path(done.object["results"])
        assert (done.code, run.name[16:], workbook.name[:-29]) == (1, stem, stem)
        assert run.is_dir()
        assert workbook.is_file()
        typed = unicodedata.normalize("NFD", run.name)  # as a terminal of macOS sends it
        assert batch_updater("report", typed, "--json", cwd=tmp_path).code == 1
        assert batch_updater("undo", run.name, "--json", cwd=tmp_path).object["rows"] == 1
        book = openpyxl.load_workbook(workbook)
        book["To fix"]["F2"] = "Pre"
        book.save(workbook)
        repaired = batch_updater("run", workbook, "--json", cwd=tmp_path)
    assert (repaired.code, repaired.outcomes) == (0, {"updated": 1})
    assert all(len(os.fsencode(path.name)) <= 255 for path in (tmp_path / "runs").rglob("*"))
