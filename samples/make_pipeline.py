"""Make the workbooks of people who never heard of field names: `python samples/make_pipeline.py [FOLDER]`.

Lines of title above the headers, headers in their own words, a second sheet, hidden rows, totals, and dates and amounts
as people type them. The program asks about what is open, once; two cells of the first workbook are mistakes.
"""

from __future__ import annotations

import random
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import xlsxwriter

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

Cell: TypeAlias = str | int | float | date | None
HEADERS = ("Deal no.", "Kind", "Sales stage", "Deal name", "Worth", "Expected revenue", "Close date", "Owner")
WIDTHS = (10, 8, 14, 30, 16, 18, 14, 10)
HEADER_ROW = 4
ROWS = 300
STAGES = ("Prospect", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
CUSTOMERS = ("Alder & Finch", "Bergström AB", "Cobalt Air", "Dunmore Foods", "Fjord Logistics", "Kestrel Bank")
MATTERS = ("network renewal", "data centre move", "pilot", "support contract", "security review", "second site")
OWNERS = ("Amara", "Bjarne", "Chen", "Dana")


class Quarter(NamedTuple):
    """One of the workbooks."""

    name: str
    title: str
    exported: date
    first_id: int
    first_day: date
    hidden: frozenset[int]
    """Records, counted from 0, whose rows are filtered out."""
    mistakes: dict[int, dict[str, Cell]]
    """Record -> header -> what is wrong in place of the value."""


QUARTERS = (
    Quarter(
        "pipeline-q1.xlsx", "Pipeline review Q1", date(2026, 1, 12), 5_001, date(2026, 1, 15),
        frozenset({40, 41, 97, 98, 99, 210, 211}),
        {16: {"Sales stage": "Propsal"}, 75: {"Close date": "31/04/2026"}, 188: {"Worth": "USD 48.500,00"}},
    ),
    Quarter("pipeline-q2.xlsx", "Pipeline review Q2", date(2026, 4, 9), 6_001, date(2026, 4, 15), frozenset({12}), {}),
)  # fmt: skip


def main(folder: Path) -> None:
    """Write every workbook into a folder."""
    for quarter in QUARTERS:
        write(folder / quarter.name, quarter)


def write(path: Path, quarter: Quarter) -> None:
    """Write one workbook; it is the same, byte for byte, however often it is made."""
    with xlsxwriter.Workbook(path) as book:
        book.calc_on_load = False
        book.set_properties({"title": quarter.title, "created": datetime(2026, 1, 12, 9, 0)})  # noqa: DTZ001
        notes = book.add_worksheet("Read me")
        for number, line in enumerate((quarter.title, "Ask Dana before you change anything.", "Amounts are in EUR.")):
            notes.write_string(number, 0, line)
        write_pipeline(book, book.add_worksheet("Pipeline"), quarter)


def write_pipeline(book: Workbook, sheet: Worksheet, quarter: Quarter) -> None:
    """Write the sheet with the deals, and the totals below them."""
    strong = book.add_format({"bold": True})
    euro, day = book.add_format({"num_format": "#,##0.00 [$€-407]"}), book.add_format({"num_format": "dd/mm/yyyy"})
    sheet.write_string(0, 0, quarter.title, strong)
    sheet.write_string(1, 0, f"Exported {quarter.exported:%d %B %Y} by Dana")
    for column, (header, width) in enumerate(zip(HEADERS, WIDTHS, strict=True)):
        sheet.write_string(HEADER_ROW - 1, column, header, strong)
        sheet.set_column(column, column, width)
    chance = random.Random(quarter.first_id)  # noqa: S311  (sample data)
    revenue = 0.0
    for number in range(ROWS):
        cells = deal(number, quarter, chance)
        for column, cell in enumerate(cells):
            match cell:
                case date():
                    sheet.write_datetime(HEADER_ROW + number, column, cell, day)
                case int() | float():
                    sheet.write_number(HEADER_ROW + number, column, cell, euro if isinstance(cell, float) else None)
                case str():
                    sheet.write_string(HEADER_ROW + number, column, cell)
        revenue += cells[5] if isinstance(cells[5], float) else 0
        if number in quarter.hidden:
            sheet.set_row(HEADER_ROW + number, options={"hidden": True})
    last = HEADER_ROW + ROWS
    sheet.write_string(last, 0, "Total", strong)
    sheet.write_formula(last, 5, f"=SUM(F{HEADER_ROW + 1}:F{last})", euro, round(revenue, 2))


def deal(number: int, quarter: Quarter, chance: random.Random) -> list[Cell]:
    """Make the cells of one deal."""
    worth = chance.randrange(8_000, 900_000, 250) + chance.choice((0.0, 0.5, 0.95))
    closing = quarter.first_day + timedelta(days=chance.randrange(80))
    cells = dict(
        zip(
            HEADERS,
            (
                quarter.first_id + number,
                chance.choice(("Pre", "Post")),
                chance.choice(STAGES),
                f"{chance.choice(CUSTOMERS)}: {chance.choice(MATTERS)}",
                typed_amount(worth, chance),
                round(worth * chance.randint(20, 90) / 100, 2),
                closing if chance.randrange(3) == 0 else f"{closing:%d/%m/%Y}",
                chance.choice(OWNERS),
            ),
            strict=True,
        )
    )
    return list((cells | quarter.mistakes.get(number, {})).values())


def typed_amount(amount: float, chance: random.Random) -> str:
    """Return an amount as a German colleague types it: with a comma, and perhaps with dots or a currency."""
    with_dots = f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))
    return chance.choice((with_dots, f"{with_dots} €", f"EUR {with_dots}", with_dots.replace(".", "")))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
