"""Make the sample files of this folder again: `python samples/make_samples.py [FOLDER]`.

What is made is the same, byte for byte, however often it is made.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as the file was saved with it."""

    text: str
    result: str | float
    """'' stands for none: some programs save a workbook without results."""


Cell: TypeAlias = str | int | float | bool | date | datetime | Formula | None
MADE_AT = datetime(2026, 1, 12, 9, 0)  # noqa: DTZ001  (a workbook knows no time zones)
HEADERS = (
    "OpportunityId", "Opportunity Type", "OpportunityName", "CRM Opportunity ID", "CategoryName", "StageName",
    "AcctPotential", "SalesRevenue", "PendingCloseDate", "Owner",
)  # fmt: skip
MONEY = ("AcctPotential", "SalesRevenue")
WIDTHS = (14, 17, 34, 20, 18, 14, 15, 15, 17, 12)
CATEGORIES = ("New Business", "Existing Business", "Renewal", "Partnership")
STAGES = ("Prospect", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
CUSTOMERS = (
    "Alder & Finch", "Bergström AB", "Cobalt Air", "Dunmore Foods", "Estrella S.A.", "Fjord Logistics", "Grünwald GmbH",
    "Harbor Health", "Ivory Coast Tea", "Juniper Rail", "Kestrel Bank", "Łódź Textile", "Marlow & Sons",
    "Northgate Water", "O'Brien Motors",
)  # fmt: skip
MATTERS = ("network renewal", "data centre move", "pilot", "support contract", "security review", "second site")
OWNERS = ("Amara", "Bjarne", "Chen", "Dolores")


def main(folder: Path) -> None:
    """Write every file into a folder."""
    good = good_rows(60, random.Random(20260112))  # noqa: S311  (sample data)
    write_workbook(folder / "opportunities.xlsx", "Changes", HEADERS, WIDTHS, good)
    write_workbook(
        folder / "mistakes.xlsx", "Changes", (*HEADERS, "LanguageId"), (*WIDTHS, 12), list(rows_with_mistakes())
    )
    some = good_rows(25, random.Random(7))  # noqa: S311  (sample data)
    write_text(folder / "opportunities-comma.csv", as_csv(some, ",", lambda day: f"{day:%Y-%m-%d}", "."), "utf-8")
    write_text(
        folder / "opportunities-semicolon.csv", as_csv(some, ";", lambda day: f"{day:%d/%m/%Y}", ","), "utf-8-sig"
    )


def good_rows(count: int, chance: random.Random) -> list[tuple[Cell, ...]]:
    """Make rows as a sales team keeps them: some cells are blank, and no opportunity comes twice."""
    identities = sorted(chance.sample(range(100, 5_000), count))
    return [good_row(identity, chance) for identity in identities]


def good_row(identity: int, chance: random.Random) -> tuple[Cell, ...]:
    """Make one row."""
    potential = chance.randrange(8_000, 900_000, 250) + chance.choice((0, 0, 0, 0.5, 0.95))
    revenue = round(potential * chance.randint(20, 90) / 100, 2)
    closing = date(2026, 2, 1) + timedelta(days=chance.randrange(500))

    def often(value: Cell, percent: int) -> Cell:
        return value if chance.randrange(100) < percent else None

    return (
        identity,
        chance.choice(("Pre", "Post")),
        often(f"{chance.choice(CUSTOMERS)}: {chance.choice(MATTERS)}", 60),
        often(chance.choice((f"OPP-2026-{identity:04d}", f"00{identity:05d}")), 40),
        often(chance.choice(CATEGORIES), 50),
        chance.choice(STAGES),
        often(potential, 60),
        often(revenue, 70),
        often(closing, 80),
        chance.choice(OWNERS),
    )


def rows_with_mistakes() -> Iterable[tuple[Cell, ...]]:
    """Make one row or two for each mistake that a row can have, among good ones. Each says in Owner what it shows."""
    day = date(2026, 6, 30)
    yield from (
        (101, "Pre", "Alder & Finch: pilot", "OPP-2026-0101", "New Business", "Qualified", 80000, 25000.5, day, "good"),
        (102, "Post", None, None, None, "Closed Won", None, 150000, None, "good"),
        (None, "Pre", "Cobalt Air: pilot", None, None, "Proposal", None, None, None, "no id"),
        ("A-104", "Pre", None, None, None, "Proposal", None, None, None, "id is text"),
        ("1.23E+11", "Pre", None, None, None, "Proposal", None, None, None, "id as Excel damages it"),
        (106.5, "Pre", None, None, None, "Proposal", None, None, None, "id with a fraction"),
        (1234567890123456, "Pre", None, None, None, "Proposal", None, None, None, "id of 16 digits"),
        (True, "Pre", None, None, None, "Proposal", None, None, None, "id is TRUE"),
        (0, "Pre", None, None, None, "Proposal", None, None, None, "id below 1"),
        ("110", "pre", None, None, None, "Proposal", None, None, None, "good: id as text, type in small letters"),
        (111, None, None, None, None, "Proposal", None, None, None, "no type"),
        (112, "Before", None, None, None, "Proposal", None, None, None, "no such type"),
        (113, "#CLEAR", None, None, None, "Proposal", None, None, None, "clears what cannot be cleared"),
        (114, "Post", None, None, None, None, None, None, None, "nothing to update"),
        (115, "Post", None, None, None, None, "12k", None, None, "amount with a letter"),
        (116, "Post", None, None, None, None, "1,234", None, None, "amount with two readings"),
        (117, "Post", None, None, None, None, "1,234.50", None, None, "good: amount as text"),
        (118, "Post", None, None, None, None, day, None, None, "date where an amount belongs"),
        (119, "Post", None, None, None, None, None, False, None, "truth value where an amount belongs"),
        (120, "Post", None, None, None, None, None, Formula("=NA()", "#N/A"), None, "formula that failed"),
        (121, "Post", None, None, None, None, None, "#REF!", None, "error pasted as text"),
        (122, "Post", None, None, None, None, Formula("=40000*2", 80000), None, None, "good: formula with its result"),
        (123, "Post", None, None, None, None, Formula("=40000*3", ""), None, None, "formula saved without its result"),
        (124, "Pre", None, None, None, None, None, None, "03/04/2026", "date with two readings"),
        (125, "Pre", None, None, None, None, None, None, "25/03/2026", "good: date with one reading"),
        (126, "Pre", None, None, None, None, None, None, "2026-02-30", "no such day"),
        (127, "Pre", None, None, None, None, None, None, "end of June", "date in words"),
        (128, "Pre", None, None, None, None, None, None, 46203, "date shown as a number"),
        (129, "Pre", None, None, None, None, None, None, datetime(2026, 6, 30, 14, 30), "date with a time"),  # noqa: DTZ001
        (130, "Pre", None, day, None, None, None, None, None, "date where text belongs"),
        (131, "Pre", None, 1234567890123456789, None, None, None, None, None, "CRM number that Excel has rounded"),
        (132, "Pre", "Bell\x07 in a name", None, None, None, None, None, None, "character that cannot be seen"),
        (133, "Pre", None, None, None, "Qualified", None, None, None, "same opportunity twice"),
        (133, "Pre", None, None, None, "Proposal", None, None, None, "same opportunity twice"),
        (133, "Post", None, None, None, "Proposal", None, None, None, "good: same number, other type"),
        (134, "Later", None, None, None, "Proposal", "about 5", None, "soon", "three mistakes in one row"),
        (135, "Pre", None, None, None, "Proposal", None, None, None, "language in words", "English"),
        (136, "Pre", None, None, None, "Propsal", None, None, None, "stage misspelt"),
        (137, "Pre", None, None, "New Bussiness", None, None, None, None, "category misspelt"),
        (138, "Post", None, None, None, "closed won", None, None, None, "stage in small letters"),
        (139, "Post", None, None, None, "Angebot", None, None, None, "good: stage in another language", 2),
        (140, "Post", None, None, None, "Proposal", None, None, None, "language that Nexus does not have", 9),
        (999999, "Post", None, None, None, "Proposal", None, None, None, "no such opportunity"),
        (141, "Post", None, "#CLEAR", None, "Negotiation", None, None, None, "clearing, which Nexus does not do"),
        (142, "Post", "=SUM(A1:A9)", None, None, None, None, None, None, "good: text that looks like a formula"),
    )  # fmt: skip


def write_workbook(
    path: Path, sheet_name: str, headers: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[Cell]]
) -> None:
    """Write a workbook as a careful person formats one."""
    with xlsxwriter.Workbook(path) as book:
        # As Excel saves a workbook: its formulas are calculated, and need not be when it is opened.
        book.calc_on_load = False
        book.set_properties({"title": path.stem, "created": MADE_AT})
        sheet = book.add_worksheet(sheet_name)
        heading = book.add_format({"bold": True, "bg_color": "#DCE6F1", "bottom": 1})
        for column, (header, width) in enumerate(zip(headers, widths, strict=True)):
            sheet.write_string(0, column, header, heading)
            sheet.set_column(column, column, width)
        styles = Styles.of(book)
        for number, cells in enumerate(rows, start=1):
            for column, cell in enumerate(cells):
                write_cell(sheet, number, column, cell, styles)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), len(headers) - 1)


@dataclass(frozen=True, slots=True)
class Styles:
    """How values are shown."""

    money: Format
    day: Format
    date_time: Format

    @classmethod
    def of(cls, book: Workbook) -> Styles:
        """Make the styles of one workbook."""
        patterns = ("#,##0.00", "dd mmm yyyy", "dd mmm yyyy hh:mm")
        return cls(*(book.add_format({"num_format": pattern}) for pattern in patterns))


def write_cell(sheet: Worksheet, row: int, column: int, cell: Cell, styles: Styles) -> None:
    """Write one cell as what it is: text stays text, whatever it looks like."""
    style = styles.money if HEADERS[min(column, len(HEADERS) - 1)] in MONEY else None
    match cell:
        case None:
            return
        case Formula():
            sheet.write_formula(row, column, cell.text, style, cell.result)
        case bool():
            sheet.write_boolean(row, column, cell)
        case date():
            sheet.write_datetime(row, column, cell, styles.date_time if isinstance(cell, datetime) else styles.day)
        case int() | float():
            sheet.write_number(row, column, cell, style)
        case str():
            sheet.write_string(row, column, cell)


def as_csv(rows: Iterable[Sequence[Cell]], delimiter: str, day: Callable[[date], str], decimal_mark: str) -> str:
    """Return the rows as CSV; a name that holds the delimiter is quoted."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(HEADERS)
    for cells in rows:
        writer.writerow([as_text(cell, day, decimal_mark) for cell in cells])
    return text.getvalue()


def as_text(cell: Cell, day: Callable[[date], str], decimal_mark: str) -> str:
    """Return what a cell shows."""
    match cell:
        case None:
            return ""
        case date():
            return day(cell)
        case float():
            return f"{cell:.2f}".replace(".", decimal_mark)
        case _:
            return str(cell)


def write_text(path: Path, text: str, encoding: str) -> None:
    """Write a text file without changing its line ends."""
    path.write_bytes(text.encode(encoding))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
