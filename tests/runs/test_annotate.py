"""The messages where the annotated copy cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_updater.config.loading import config_from
from batch_updater.reporter.copy_losses import Annotatable
from batch_updater.runs.annotate import AnnotatedCopy
from batch_updater.runs.check import check
from batch_updater.runs.plan import prepare
from batch_updater.runs.result import RunResult
from tests.loader.described import workbook


@pytest.fixture
def result(tmp_path: Path) -> Iterator[RunResult]:
    rows: list[list[object]] = [["OpportunityId", "Type", "OpportunityName"], [5, "Pre", "x"]]
    config = config_from({"api": {"base_url": "http://127.0.0.1:1"}, "results": {"annotate": True}}, {})
    plan = prepare(workbook(tmp_path / "a.xlsx", {"Changes": rows}), config, tmp_path)
    with plan.store:
        yield check(plan, None)


def test_a_check_without_a_workbook_of_results_has_no_copy(result: RunResult) -> None:
    assert (result.annotated, result.annotation_note, result.fault) == (None, "", None)


def test_a_copy_that_the_disk_does_not_take_is_a_fault_beside_others(tmp_path: Path, result: RunResult) -> None:
    copy = AnnotatedCopy(tmp_path / "a.xlsx", Annotatable())
    path = tmp_path / "gone" / "a-annotated.xlsx"
    faulty = copy.added_to(result, path.parent, "a")
    assert str(faulty.fault).startswith(f"The annotated copy {path} could not be written: No such file or directory.")
    assert faulty.annotated is None


def test_a_workbook_that_cannot_be_copied_is_a_note(tmp_path: Path, result: RunResult) -> None:
    other = workbook(tmp_path / "b.xlsx", {"Other": [["a"]]})
    noted = AnnotatedCopy(other, Annotatable()).added_to(result, tmp_path, "b")
    assert "openpyxl, which makes the copy, does not understand" in noted.annotation_note
    assert noted.annotation_note in noted.facts.notes
    assert (noted.fault, noted.exit_code) == (None, result.exit_code)
