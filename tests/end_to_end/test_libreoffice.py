"""The workbooks in LibreOffice, which reads and writes them as another program would."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import openpyxl
import pytest

from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.loader.table import open_table
from tests.end_to_end.program import SAMPLES
from tests.loader.staged import staged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.debian


def convert(source: Path, kind: str, folder: Path) -> Path:
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", "--convert-to", kind, "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder / f"{source.stem}.{kind.partition(':')[0]}"


@pytest.mark.parametrize("name", ["mistakes-results.xlsx", "template.xlsx"])
def test_libreoffice_opens_and_saves_our_workbooks(tmp_path: Path, name: str) -> None:
    """Opened and saved by LibreOffice, a workbook keeps its sheets and its cells."""
    saved = convert(SAMPLES / name, "xlsx:Calc MS Excel 2007 XML", tmp_path)
    ours, theirs = openpyxl.load_workbook(SAMPLES / name), openpyxl.load_workbook(saved, data_only=True)
    assert theirs.sheetnames == ours.sheetnames
    for sheet in ours.sheetnames[1:]:
        for line in ours[sheet].iter_rows():
            for cell in line:
                if isinstance(cell.value, (int, float)) and abs(cell.value) > 10**15:
                    continue  # it rounds to 15 digits; such a number is refused before and after
                if cell.value != "":
                    assert theirs[sheet][cell.coordinate].value == cell.value, (sheet, cell.coordinate)


IN_EVERY_FORMAT = ["xlsx:Calc MS Excel 2007 XML", "xls:MS Excel 97", "ods"]


@pytest.mark.parametrize("kind", [*IN_EVERY_FORMAT, "csv:Text - txt - csv (StarCalc):44,34,76"])
def test_a_workbook_saved_in_any_format_gives_the_same_jobs(tmp_path: Path, kind: str) -> None:
    """The sample, saved by LibreOffice as xlsx, xls, ods and CSV, comes to the same jobs."""
    saved = convert(SAMPLES / "opportunities.xlsx", kind, tmp_path)
    endpoint = load_endpoint("nexus-opportunity")
    jobs = []
    for path in (SAMPLES / "opportunities.xlsx", saved):
        table = open_table(path, endpoint, InputSettings(), name=path.name)
        jobs.append([(row.row.number, row.job) for row in staged(table).rows])
    assert jobs[0] == jobs[1]
    assert len(jobs[0]) == 60


@pytest.mark.parametrize("kind", IN_EVERY_FORMAT)
def test_a_to_fix_sheet_saved_by_libreoffice_is_judged_the_same(tmp_path: Path, kind: str) -> None:
    """The results workbook, saved by another program in its own format, is read as before: same sheet and verdicts."""
    saved = convert(SAMPLES / "mistakes-results.xlsx", kind, tmp_path)
    endpoint = load_endpoint("nexus-opportunity")
    verdicts = []
    for path in (SAMPLES / "mistakes-results.xlsx", saved):
        table = open_table(path, endpoint, InputSettings(), name=path.name)
        assert table.sheet == "To fix"
        judged = staged(table).rows
        verdicts.append(
            [(row.row.number, [p.code for p in row.problems], row.job and row.job.values) for row in judged]
        )
    assert verdicts[0] == verdicts[1]
    assert len(verdicts[0]) == 36


def test_the_summary_fits_its_page(tmp_path: Path) -> None:
    """Printed, the Summary is one page that holds the verdict and the facts."""
    pdf = convert(SAMPLES / "mistakes-results.xlsx", "pdf", tmp_path)
    command = ["pdftotext", "-l", "1", "-layout", str(pdf), "-"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "9 of 45 rows were updated. 36 need you." in first
    assert "sha256" in first
