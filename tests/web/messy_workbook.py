"""The workbook of the scenarios in a browser: what people send each other, with everything that may be wrong in it."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from xlsxwriter.worksheet import Worksheet

Cell: TypeAlias = str | int | float | date
HEADERS = ("Deal no.", "Kind", "Sales stage", "Deal name", "Worth", "Expected revenue", "Close date", "Owner")
HEADER_ROW = 3
ROWS = 300
FIRST_ID = 5_001
STAGES = ("Prospect", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
CUSTOMERS = (
    "Alder & Finch",
    "Bergström AB",
    "Cobalt Air",
    "<b>Dunmore</b> Foods",
    "=Fjord() {{ 7*7 }}",
    "Kestrel Bank",
)
MATTERS = ("network renewal", "data centre move", "pilot", "support contract", "security review", "second site")
OWNERS = ("Amara", "Bjarne", "Chen", "Dana")
WRONG_KIND, RIGHT_KIND = "Presales", "Pre"
WRONG_STAGE, RIGHT_STAGE = "Propsal", "Proposal"
OF_WRONG_KIND = frozenset(range(20, 20 + 28 * 3, 3))
OF_WRONG_STAGE = frozenset({16, 150, 290})
HIDDEN = frozenset({40, 41, 97, 98, 99})


class Repair(NamedTuple):
    """A cell that one edit puts right."""

    record: int
    """Counted from 0, in the order of the sheet."""
    header: str
    wrong: str
    right: str

    @property
    def row(self) -> int:
        """The number of its row in the sheet."""
        return self.record + HEADER_ROW + 1


REPAIRS = (
    Repair(75, "Close date", "31/04/2026", "30/04/2026"),
    Repair(120, "Worth", "#N/A", "48500"),
    Repair(188, "Deal no.", str(FIRST_ID + 187), str(FIRST_ID + 188)),
)
"""The last one makes its row, and the row before it, two of the same record."""


def write_messy(path: Path, *, rows: int = ROWS, day_first: bool = True) -> Path:
    """Write the workbook; `day_first` False: no day of its dates is above 12, so that nothing proves their order."""
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": datetime(2026, 1, 12, 9, 0)})  # noqa: DTZ001
        notes = book.add_worksheet("Read me")
        for number, line in enumerate(("Pipeline review", "Ask Dana before you change anything.", "Amounts in EUR.")):
            notes.write_string(number, 0, line)
        deals = book.add_worksheet("Deals")
        deals.write_string(0, 0, "Pipeline review, first quarter")
        for column, header in enumerate(HEADERS):
            deals.write_string(HEADER_ROW - 1, column, header)
        for record, cells in enumerate(_deals(rows, day_first=day_first)):
            _write_row(deals, HEADER_ROW + record, cells)
            if record in HIDDEN:
                deals.set_row(HEADER_ROW + record, options={"hidden": True})
        deals.write_string(HEADER_ROW + rows, 0, "Total")
        deals.write_formula(HEADER_ROW + rows, 4, f"=SUM(F{HEADER_ROW + 1}:F{HEADER_ROW + rows})", None, 1_234_567.5)
        lost = book.add_worksheet("Lost deals")
        lost.write_row(0, 0, HEADERS)
        lost.write_row(1, 0, [1, "Pre", "Closed Lost", "Old deal", 1, 1, "01/02/2024", "Chen"])
    return path


def corrected(rows: int = ROWS) -> dict[int, dict[str, object]]:
    """Return what the records hold once all rows were corrected and sent: fields as the API reports them."""
    records: dict[int, dict[str, object]] = {}
    for record, cells in enumerate(_deals(rows, day_first=True)):
        right = {repair.header: repair.right for repair in REPAIRS if repair.record == record}
        row = dict(zip(HEADERS, cells, strict=True)) | right
        stage = RIGHT_STAGE if row["Sales stage"] == WRONG_STAGE else str(row["Sales stage"])
        day, month, year = str(row["Close date"]).split("/")
        records[FIRST_ID + record] = {
            "ID": int(row["Deal no."]),
            "OpportunityName": row["Deal name"],
            "OpportunityStageID": STAGES.index(stage) + 1,
            "AcctPotential": float(str(row["Worth"]).replace(".", "").replace(",", ".")),
            "SalesRevenue": row["Expected revenue"],
            "PendingCloseDate": f"{year}-{month}-{day}",
        }
    return records


def _write_row(sheet: Worksheet, row: int, cells: Sequence[Cell]) -> None:
    for column, cell in enumerate(cells):
        if cell == "#N/A":
            sheet.write_formula(row, column, "=NA()", None, "#N/A")
        elif isinstance(cell, str):
            sheet.write_string(row, column, cell)
        else:
            sheet.write(row, column, cell)


def _deals(rows: int, *, day_first: bool) -> list[list[Cell]]:
    chance = random.Random(FIRST_ID)
    deals = [_deal(record, chance, day_first=day_first) for record in range(rows)]
    for repair in REPAIRS:
        if repair.record < rows and (day_first or repair.header != "Close date"):
            number = repair.header == "Deal no."
            deals[repair.record][HEADERS.index(repair.header)] = int(repair.wrong) if number else repair.wrong
    return deals


def _deal(record: int, chance: random.Random, *, day_first: bool) -> list[Cell]:
    worth = chance.randrange(8_000, 900_000, 250) + chance.choice((0.0, 0.5, 0.95))
    closing = date(2026, 2, 1) + timedelta(days=chance.randrange(80))
    if not day_first:
        closing = closing.replace(day=closing.day % 12 + 1)
    return [
        FIRST_ID + record,
        WRONG_KIND if record in OF_WRONG_KIND else "Pre",
        WRONG_STAGE if record in OF_WRONG_STAGE else chance.choice(STAGES),
        f"{chance.choice(CUSTOMERS)}: {chance.choice(MATTERS)}",
        f"{worth:,.{chance.choice((0, 2, 2))}f}".translate(str.maketrans(",.", ".,")),
        round(worth * chance.randint(20, 90) / 100, 2),
        f"{closing:%d/%m/%Y}",
        chance.choice(OWNERS),
    ]
