"""Reading, updating and taking back against an API with a description of its own and odd habits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl

from tests.end_to_end.program import batch_updater
from tests.end_to_end.records_api import RecordsApi, describe

if TYPE_CHECKING:
    from tests.end_to_end.program import Done


class Desk:
    """A folder with a configuration for the API, and commands in it."""

    def __init__(self, folder: Path, api: RecordsApi, sending: str = "", more: str = "") -> None:
        self.folder = folder
        self.api = api
        endpoint = describe(folder, api.answer, listed=api.listed)
        self._api = f"api: {{base_url: '{api.url}', token: 'env:NEXUS_TOKEN', endpoint: '{endpoint}', timeout_s: 5}}\n"
        self.configure(sending, more)

    def configure(self, sending: str = "", more: str = "") -> None:
        text = f"sending: {{rate_per_s: 2000, attempts: 1{sending and f', {sending}'}}}\n"
        (self.folder / "config.yaml").write_text(self._api + text + more, encoding="utf-8")

    def table(self, *lines: str) -> None:
        (self.folder / "rows.csv").write_text("\n".join(("itemId,name,amount,since", *lines)) + "\n", encoding="utf-8")

    def run(self, file: str | Path = "rows.csv", *options: str) -> Done:
        return batch_updater("run", file, "--json", *options, cwd=self.folder)

    def undo(self, run: Done) -> Path:
        done = batch_updater("undo", run.object["run"], "--json", cwd=self.folder)
        assert done.code == 0, done.err
        return Path(done.object["undo"])


def rows_of(path: Path, sheet: str) -> list[tuple[object, ...]]:
    return list(openpyxl.load_workbook(path)[sheet].iter_rows(min_row=2, values_only=True))


def test_half_a_surrogate_in_a_record_harms_nobody(tmp_path: Path) -> None:
    """A text cut within an emoji is read, kept and expected; what no cell can hold is listed, the rest is set back."""
    with RecordsApi() as api:
        api.records[1] |= {"name": "Deal \ud83d", "amount": 5}
        desk = Desk(tmp_path, api)
        desk.table("1,new,7,", "2,new,7,")
        first = desk.run("rows.csv", "--compare")
        assert (first.code, first.outcomes) == (0, {"updated": 2}), first.err
        undo = desk.undo(first)
        ((_, row, field, why),) = rows_of(undo, "Not possible")
        assert (row, field) == (2, "name")
        assert "cannot stand in a cell" in str(why)
        assert desk.run(undo).outcomes == {"updated": 2}
        assert api.records[1] == {"name": "new", "amount": 5, "since": None}
        assert api.records[2] == {"name": "name 2", "amount": 2, "since": None}


def test_half_a_surrogate_that_somebody_left_since_is_told(tmp_path: Path) -> None:
    """A record that became such a text after the run is not overwritten."""
    with RecordsApi() as api:
        desk = Desk(tmp_path, api)
        desk.table("1,new,,")
        undo = desk.undo(desk.run("rows.csv", "--compare"))
        api.records[1]["name"] = "Deal \ud83d"
        done = desk.run(undo)
        assert (done.code, done.outcomes) == (1, {"rejected": 1}), done.err
        assert api.records[1]["name"] == "Deal \ud83d"
