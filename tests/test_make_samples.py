"""samples/: the sample files are what their makers make, and hold what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.loader.table import open_table
from tests.loader.staged import staged

SAMPLES = Path(__file__).parent.parent / "samples"
MADE = {
    "make_samples.py": (
        "mistakes.xlsx", "opportunities-comma.csv", "opportunities-semicolon.csv", "opportunities.xlsx",
    ),
    "make_pipeline.py": ("pipeline-q1.xlsx", "pipeline-q2.xlsx"),
}  # fmt: skip


def problem_codes(name: str) -> list[set[str]]:
    """Name the kinds of problem of each row, blank rows left out."""
    table = open_table(SAMPLES / name, load_endpoint("nexus-opportunity"), InputSettings(), name=name)
    return [{problem.code for problem in row.problems} for row in staged(table).rows]


@pytest.mark.parametrize("maker", MADE)
def test_the_samples_can_be_made_again_byte_for_byte(maker: str, tmp_path: Path) -> None:
    """Samples are not changed by hand, and making them twice changes nothing."""
    subprocess.run([sys.executable, SAMPLES / maker, tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == list(MADE[maker])
    for name in MADE[maker]:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name


@pytest.mark.parametrize(("name", "rows"), [("opportunities.xlsx", 60), ("opportunities-comma.csv", 25)])
def test_the_good_samples_have_no_mistake(name: str, rows: int) -> None:
    """Every row of them can be sent as it is."""
    assert problem_codes(name) == [set()] * rows


def test_the_sample_of_mistakes_has_every_kind_that_a_row_can_have() -> None:
    """Each reason for which a row of a person's workbook for Nexus is refused can be seen in it, beside good rows."""
    codes = problem_codes("mistakes.xlsx")
    assert set().union(*codes) == {
        "ambiguous-date", "ambiguous-number", "cannot-be-cleared", "control-character", "duplicate-target",
        "error-cell", "formula-without-value", "has-time-of-day", "may-be-damaged", "missing", "no-such-date",
        "not-a-date", "not-a-number", "not-a-whole-number", "not-one-of-the-values", "not-text",
        "nothing-to-update", "too-small",
    }  # fmt: skip
    assert (len(codes), codes.count(set())) == (45, 15)
