from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import Sandbox, configure, sandbox
from tests.torture.runs import assert_no_token, confirmed_rows, database_of, numbered, run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 12
STAYS_FULL = {"FAULT_ERRNO": str(errno.ENOSPC), "FAULT_STAYS": "1"}
FAILS_ONCE = {"FAULT_ERRNO": str(errno.EIO), "FAULT_STAYS": "0"}
pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the library that makes operations fail."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


def fresh(folder: Path, url: str, earlier: Path | None) -> Path:
    """Make a folder to work in, with an earlier workbook where the results go."""
    (folder / "temporary").mkdir(parents=True)
    configure(folder, url, "sending: {rate_per_s: 2000, concurrency: 3}\n")
    numbered(folder / "rows.csv", ROWS)
    if earlier:
        shutil.copyfile(earlier, folder / "results.xlsx")
    return folder


def outcomes_in(workbook: Path) -> list[str]:
    """Return the outcome of every row; fails if the workbook is not whole."""
    book = openpyxl.load_workbook(workbook, read_only=True)
    rows = list(book["All rows"].iter_rows(values_only=True))
    book.close()
    return [str(row[rows[0].index("Outcome")]) for row in rows[1:]]


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", [STAYS_FULL, FAILS_ONCE], ids=["stays full", "fails once"])
def test_whichever_operation_fails_the_run_is_resumed_and_no_workbook_is_damaged(
    tmp_path: Path, api: Sandbox, faults: Path, kind: dict[str, str], *, torture: bool
) -> None:
    """The nth write, fsync or renaming fails, for every n: an exit code, a whole workbook, and the next run goes on."""
    first = fresh(tmp_path / "first", api.url, None)
    counting = {"LD_PRELOAD": str(faults), "FAULT_FOLDER": str(first), "FAULT_COUNT": str(tmp_path / "count")}
    code, result, _ = run(first, "rows.csv", "--results", "results.xlsx", TMPDIR=str(first / "temporary"), **counting)
    assert (code, result["outcomes"]["updated"]) == (0, ROWS)
    operations = int((tmp_path / "count").read_text())
    assert operations > 50
    step = 1 if torture else max(1, operations // 9)
    for number in range(1, operations + 1, step):
        folder = fresh(tmp_path / f"at-{number}", api.url, first / "results.xlsx")
        broken = {"LD_PRELOAD": str(faults), "FAULT_FOLDER": str(folder), "FAULT_AT": str(number), **kind}
        code, result, said = run(
            folder, "rows.csv", "--results", "results.xlsx", TMPDIR=str(folder / "temporary"), **broken
        )
        assert code in {0, 2, 3}, (number, code, said)
        assert len(outcomes_in(folder / "results.xlsx")) == ROWS
        if code != 2:
            assert sum(result["outcomes"].values()) == ROWS, number
        kept, before = confirmed_rows(database_of(folder)), len(api.requests())
        code, result, said = run(folder, "rows.csv", "--results", "results.xlsx")
        assert (code, result["outcomes"]["updated"]) == (0, ROWS), (number, said)
        assert set(outcomes_in(folder / "results.xlsx")) == {"updated"}
        sent = {int(request["path"].rpartition("/")[2]) for request in api.requests()[before:]}
        was_finished = "applied before" in said
        assert was_finished or not sent & kept, number
        assert_no_token(folder)
    print(f"{operations} operations, every {step}. failed")
