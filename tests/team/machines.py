"""Hosts of a team: the command line in one folder for each, with nothing in common but the database."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import openpyxl

from tests.end_to_end.inside import Inside
from tests.end_to_end.program import configure
from tests.loader.described import workbook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.program import Done

SETTINGS = "sending: {rate_per_s: 5000}\n"
OF_A_TEAM = SETTINGS + "team: {database: 'env:TEAM_DATABASE'}\n"
HEADERS = ["Id", "Type", "StageName", "PendingCloseDate"]
ROWS = [[number, "Pre", "Proposal", date(2026, 5, 1)] for number in (101, 102)]


class Machine(Inside):
    """One host of a team; of one that has not joined it yet, the address is not used."""

    def __init__(self, folder: Path, address: str, url: str) -> None:
        super().__init__(folder)
        self.address, self.url = address, url

    @property
    def runs(self) -> Path:
        """Its folder of results."""
        return self.folder / "runs"

    def __call__(self, *arguments: str | Path, stdin: str = "", **variables: str | None) -> Done:
        """Run one command to its end."""
        done = super().__call__(*arguments, stdin=stdin, **{"TEAM_DATABASE": self.address, **variables})
        assert "secret-of-the-database" not in done.out + done.err
        return done


def member(folder: Path, api: str, address: str) -> Machine:
    """Return a host of the team that has sent nothing."""
    folder.mkdir()
    configure(folder, api, OF_A_TEAM)
    return Machine(folder, address, api)


def machine_with_runs(folder: Path, api: str, address: str) -> Machine:
    """Return a machine that has sent a file in two rounds, one that is fine, and one that it has undone since.

    It joins the team then, which has none of this yet.
    """
    folder.mkdir()
    configure(folder, api, SETTINGS)
    host = Machine(folder, address, api)
    wrong = [[number, "Pre", "Proposal", "31/02/2026"] for number in (103, 104)]
    first = host("run", workbook(folder / "q1.xlsx", {"Data": [HEADERS, *ROWS, *wrong]}), "--yes", "--json")
    repaired = openpyxl.load_workbook(first.object["results"])
    repaired["To fix"]["H2"] = date(2026, 6, 1)
    repaired.save(first.object["results"])
    host("run", first.object["results"], "--yes", "--json")
    host("run", workbook(folder / "fine.xlsx", {"Data": [HEADERS, *ROWS]}), "--yes", "--json")
    back = workbook(folder / "back.xlsx", {"Data": [["Id", "Type", "OpportunityName"], [105, "Pre", "Renamed"]]})
    host("run", back, "--compare", "--yes", "--json")
    host("run", host("undo", "--json").object["undo"], "--yes", "--json")
    configure(folder, api, OF_A_TEAM)
    return host
