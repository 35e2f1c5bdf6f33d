"""A workbook that does not fit goes from its file to `updated`: asked about once, repaired once, and remembered."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import SAMPLES, Sandbox, batch_updater, configure, sandbox
from tests.end_to_end.test_terminal import dialogue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANSWERS = ("1", "1", "1", "1", "1", "1", "1", "2", "2", "5", "1", "2", "", "")
"""About sheet, header row, four headers, the record's number, the other columns and each of them, hidden rows, dates
and totals; '' is Enter."""
OPTIONS = (
    "--sheet", "Pipeline", "--header-row", "4", "--map", "Kind=opportunityType", "--map", "Sales stage=StageName",
    "--map", "Expected revenue=SalesRevenue", "--map", "Close date=PendingCloseDate", "--map", "Deal no.=OpportunityId",
    "--map", "Deal name=OpportunityName", "--map", "Worth=AcctPotential", "--map", "Owner=",
    "--date-order", "Close date=DMY", "--all-rows", "--without-totals",
)  # fmt: skip
"""The same answers by option."""
REPAIRS = {"Propsal": "Proposal", "31/04/2026": "30/04/2026"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sandbox]:
    """Serve the sandbox, with a configuration and both workbooks."""
    with sandbox() as running:
        configure(tmp_path, running.url)
        for name in ("pipeline-q1.xlsx", "pipeline-q2.xlsx"):
            shutil.copy(SAMPLES / name, tmp_path)
        yield running


def answered(folder: Path, file: str, *, send: str) -> tuple[int, str]:
    """Run a file that is asked about, remember the answers, and say whether to send."""
    questions = [("to cancel >", answer) for answer in ANSWERS]
    return dialogue([*questions, ("Name (", ""), ("[y/N]", send)], folder, "run", file, columns=160)


def repair(folder: Path) -> None:
    """Correct the cells of the sheet To fix of the only results workbook."""
    (path,) = folder.glob("runs/*/*-results-*.xlsx")
    book = openpyxl.load_workbook(path)
    cells = [cell for row in book["To fix"].iter_rows() for cell in row if cell.value in REPAIRS]
    assert len(cells) == len(REPAIRS)
    for cell in cells:
        cell.value = REPAIRS[str(cell.value)]
    book.save(path)


def bodies(api: Sandbox) -> dict[str, object]:
    """Return what each record was sent last."""
    return {request["path"]: request["body"] for request in api.requests() if request["method"] == "PUT"}


def test_enter_numbers_and_one_repair_take_a_workbook_to_updated(tmp_path: Path, api: Sandbox) -> None:
    """No configuration is edited and no path typed; a second workbook with the same headers is asked about nothing."""
    code, shown = answered(tmp_path, "pipeline-q1.xlsx", send="y")
    assert code == 1, shown
    assert "298 of 300 rows were updated. 2 need you." in shown
    repair(tmp_path)
    code, shown = dialogue([("[y/N]", "y")], tmp_path, "run", "--fix")
    assert code == 0, shown
    assert "All 2 rows were updated." in shown
    assert len(bodies(api)) == 300
    code, shown = dialogue([("[y/N]", "y")], tmp_path, "run", "pipeline-q2.xlsx")
    assert code == 0, shown
    assert "The layout 'pipeline-q1' is used." in shown
    assert "All 300 rows were updated." in shown
    assert "Question" not in shown


def test_questions_options_and_a_layout_send_the_same(tmp_path: Path, api: Sandbox) -> None:
    """The same requests for the same records, whichever way the answers are given."""
    assert answered(tmp_path, "pipeline-q1.xlsx", send="y")[0] == 1
    by_question = bodies(api)
    assert batch_updater("run", "pipeline-q1.xlsx", "--restart", "--yes", cwd=tmp_path).code == 1
    by_layout = bodies(api)
    shutil.rmtree(tmp_path / "layouts")
    assert batch_updater("run", "pipeline-q1.xlsx", "--restart", "--yes", *OPTIONS, cwd=tmp_path).code == 1
    assert by_question == by_layout == bodies(api)
    assert len([one for one in api.requests() if one["method"] == "PUT"]) == 3 * len(by_question)


def test_without_a_terminal_the_questions_and_their_options_are_listed(tmp_path: Path, api: Sandbox) -> None:
    """Exit code 2, nothing is sent, and --yes is no answer."""
    places = OPTIONS[:4]
    done = batch_updater("run", "pipeline-q1.xlsx", "--yes", *places, cwd=tmp_path)
    assert done.code == 2
    for option in ("--map Kind=opportunityType", '--map "Sales stage="', '--map "Deal no.=OpportunityId"'):
        assert option in done.err
    done = batch_updater("run", "pipeline-q1.xlsx", "--yes", *OPTIONS[:-4], cwd=tmp_path)
    assert done.code == 2
    for option in ('--date-order "Close date=DMY"', "--visible-only", "--all-rows", "--without-totals"):
        assert option in done.err
    assert not api.requests()


def test_the_nightly_job_uses_a_layout_and_asks_nothing(tmp_path: Path, api: Sandbox) -> None:
    """Without one, a file that leaves something open needs attention; with one, it is done."""
    configure(tmp_path, api.url, "sending: {rate_per_s: 5000}\nnightly: {inbox: inbox}\n")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "pipeline-q2.xlsx").rename(tmp_path / "inbox" / "pipeline-q2.xlsx")
    assert batch_updater("nightly", cwd=tmp_path).code == 1
    (file,) = tmp_path.glob("attention/*/pipeline-q2.xlsx")
    saved = batch_updater("columns", "pipeline-q1.xlsx", "--save", "pipeline", *OPTIONS, cwd=tmp_path)
    assert saved.code == 0, saved.err
    assert (tmp_path / "layouts" / "pipeline.yaml").is_file()
    file.rename(tmp_path / "inbox" / "pipeline-q2.xlsx")
    assert batch_updater("nightly", cwd=tmp_path).code == 0
    assert len(bodies(api)) == 300
