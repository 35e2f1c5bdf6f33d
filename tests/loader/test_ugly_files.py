from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from batch_updater.errors import InputError
from batch_updater.loader.table import open_table
from tests.loader.described import endpoint, settings
from tests.loader.staged import staged

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Gives:
    """What a file comes to: the rows that can be sent, and the problems of the others as (cell, code)."""

    rows: dict[int, dict[str, str]]
    problems: set[tuple[str, str]] = field(default_factory=set)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Words of the one sentence in which a file is refused, and of the remedy."""

    said: str
    remedy: str


A1 = {"itemId": "1", "label": "a"}
FIVE = {**A1, "amountDue": "5"}
SAVED = {
    2: {"itemId": "1", "label": "00123", "amountDue": "1234.5", "count": "7", "dueDay": "2023-03-15"},
    4: {"itemId": "2", "label": "Zoë & Söhne", "amountDue": "0.1", "dueDay": "2023-03-16"},
    5: {"itemId": "3", "label": "  blanks  ", "amountDue": "-5", "count": "123456789"},
}
SAVED_PROBLEMS = {("A6", "not-a-number"), ("C6", "not-a-number"), ("D6", "not-a-whole-number"), ("E6", "not-a-date")}
SAVED_NOTES = ("label (B5): '  blanks  ' has blanks around it, which are sent with it.",)
FOR_NOTHING = (
    "is usually written where there is no value. It is sent as it is. Leave the cell blank to keep the field as it "
    "is, or type #CLEAR to empty it."
)
ASK = "Ask for the file again"

TABLE: dict[str, Gives | Refused] = {
    # Text.
    "utf8-with-bom.csv": Gives({2: {"itemId": "1", "label": "Zoë", "amountDue": "5"}}),
    "utf16.csv": Gives({2: {"itemId": "1", "label": "Zoë", "amountDue": "5"}}),
    "utf16-without-bom.csv": Refused("neither a workbook nor a text file", "UTF-16"),
    "windows-1252.csv": Refused("line 3 holds the byte EB (in windows-1252 it would be 'ë')", "input.encoding"),
    "semicolons.csv": Gives(
        {
            2: {"itemId": "1", "label": "a,b", "amountDue": "5.25"},
            3: {"itemId": "2", "label": "c", "amountDue": "1000.5"},
        },
    ),
    "tabs.tsv": Gives({2: {"itemId": "1", "label": "a, b", "amountDue": "5"}}),
    "bars.txt": Gives({2: FIVE}),
    "sep-line.csv": Gives({2: FIVE}, {("A3", "not-a-number")}),
    "two-possible-delimiters.csv": Refused("commas or semicolons", "sep="),
    "mixed-line-ends.csv": Gives({2: A1, 3: {"itemId": "2", "label": "b"}, 4: {"itemId": "3", "label": "c"}}),
    "ctrl-z-at-the-end.csv": Gives({2: A1}),
    "ctrl-z-in-a-cell.csv": Gives({3: {"itemId": "2", "label": "b"}}, {("B2", "control-character")}),
    "nul-in-a-cell.csv": Gives({3: {"itemId": "2", "label": "b"}}, {("B2", "control-character")}),
    "unclosed-quote.csv": Refused("quotation mark in row 3 (line 3) that is never closed", "text editor"),
    "text-behind-a-quote.csv": Refused("text after a closing quotation mark in row 2 (line 2)", "text editor"),
    "ragged-rows.csv": Gives(
        {2: {"itemId": "1", "label": "a", "count": "1"}, 5: {"itemId": "4", "label": "d", "count": "4"}},
        {("row 3", "ragged-row"), ("row 4", "ragged-row")},
    ),
    "blank-rows.csv": Gives({3: A1, 6: {"itemId": "2", "label": "b"}}),
    "quoted-line-breaks.csv": Gives({2: {"itemId": "1", "label": "one\ntwo"}}, {("A3", "not-a-number")}),
    "titles-above-the-header.csv": Refused("Row 1 of", "Add --header-row 3 (or set input.header_row to 3)"),
    "repeated-headers.csv": Gives({2: A1, 4: {"itemId": "2", "label": "b"}}, {("row 3", "repeated-headers")}),
    "total-row.csv": Gives({2: FIVE, 3: {"itemId": "2", "label": "b", "amountDue": "6"}}, {("row 4", "totals-row")}),
    "odd-headers.csv": Gives({2: FIVE}),
    "doubled-headers.csv": Refused("more than one column: B1 ('label') and C1 ('label')", '--map "label #2="'),
    "doubled-unknown-headers.csv": Gives({2: A1}, notes=()),
    "words-that-libraries-blank.csv": Gives(
        {
            2: {"itemId": "1", "label": "NA"}, 3: {"itemId": "2", "label": "null"}, 4: {"itemId": "3", "label": "None"},
            5: {"itemId": "4", "label": "TRUE"}, 6: {"itemId": "5", "label": "NaN"},
            8: {"itemId": "7", "label": "n/a"}, 9: {"itemId": "8", "label": "-"},
        },
        {("B7", "error-cell")},
        (f"label (B3, B4, B6 and 2 more): 'null' {FOR_NOTHING}",),
    ),
    "zeros-in-front.csv": Gives({2: {"itemId": "123", "label": "00123", "count": "7"}}),
    "digits-beyond-a-double.csv": Gives(
        {2: {"itemId": "9007199254740993", "label": "a", "amountDue": "9007199254740993.01"}}
    ),
    "excel-damaged-ids.csv": Gives(
        {}, {("A2", "may-be-damaged"), ("A3", "not-a-whole-number"), ("A4", "not-a-number")}
    ),
    "empty.csv": Refused("is empty: it has no header row", "Name the file"),
    "blank-lines-only.csv": Refused("has no header row", "first row"),
    "header-only.csv": Gives({}),
    "hostile-texts.csv": Gives(
        {
            2: {"itemId": "1", "label": '=HYPERLINK("http://a")'}, 3: {"itemId": "2", "label": "@SUM(1)"},
            4: {"itemId": "3", "label": "+1"}, 5: {"itemId": "4", "label": "\t=1"},
        },
        {("A6", "not-a-number")},
        ("label (B5): '\\t=1' has blanks around it, which are sent with it.",),
    ),
    # Workbooks.
    "cells-of-every-kind.xlsx": Gives(
        {
            2: {"itemId": "1", "label": "00123", "amountDue": "1234.5", "count": "7", "dueDay": "2023-03-15"},
            5: {"itemId": "4", "label": "bold"},
            6: {"itemId": "5", "label": "a\rb\nc"},
            9: {"itemId": "8", "label": "x", "amountDue": "2"},
            13: {"itemId": "11", "amountDue": "0.1"},
            14: {"itemId": "12", "amountDue": "0.3"},
            15: {"itemId": "13", "amountDue": "1000000000000000000000"},
            16: {"itemId": "14", "label": "  x  ", "count": "12"},
        },
        {
            ("B3", "shown-otherwise"), ("B4", "shown-otherwise"), ("C4", "shown-otherwise"),
            ("B7", "error-cell"), ("C7", "error-cell"),
            ("B8", "formula-without-value"), ("C8", "formula-without-value"), ("E10", "has-time-of-day"),
            ("C11", "not-a-number"), ("E11", "not-a-date"), ("A12", "may-be-damaged"), ("D17", "not-a-whole-number"),
            ("E17", "not-a-date"), ("A18", "not-a-number"), ("B19", "not-text"),
        },
        ("label (B16): '  x  ' has blanks around it, which are sent with it.",),
    ),
    "days-since-1904.xlsx": Gives({2: {**A1, "dueDay": "2025-01-01"}}),
    "merged-cells.xlsx": Gives({2: FIVE}, {("B3", "merged-cell"), ("B4", "merged-cell"), ("C5", "merged-cell")}),
    "hidden-rows-and-columns.xlsx": Gives(
        {2: A1, 3: {"itemId": "2", "label": "b"}},
        {("A4", "not-a-number")},
        (("2 rows are hidden in the sheet (filtered, or by hand) and read like the others: rows 3-4. To leave them "
          "out, add --visible-only."),
         "Columns B, C are hidden in the sheet, and read like the others."),
    ),
    "several-sheets.xlsx": Refused("'One' (2 rows), 'Two' (1 row).", '--sheet "One"'),
    "only-hidden-sheets.xlsx": Refused("no visible sheet that holds anything; hidden are: 'S'", '--sheet "S"'),
    "a-very-hidden-sheet-beside.xlsx": Gives({2: A1, 3: {"itemId": "2", "label": "b"}}),
    "starts-at-c4.xlsx": Gives({5: A1}, {("C7", "not-a-number")}),
    "wrong-dimension.xlsx": Gives({2: A1, 300: {"itemId": "2", "label": "b"}}),
    "formatted-rows-behind.xlsx": Gives({2: A1}),
    "blank-rows-between.xlsx": Gives({5: A1}, {("A9", "not-a-number")}),
    "titles-above-the-header.xlsx": Refused("but row 4 is: row 1 begins with 'Changes of March'", "to 4"),
    "strict.xlsx": Gives({2: FIVE}),
    "external-links.xlsx": Gives(
        {2: {"itemId": "1", "label": "7", "amountDue": "5"}},
        notes=("It links to other workbooks; the values saved in it are read.",),
    ),
    "macros.xlsm": Gives({2: A1, 3: {"itemId": "2", "label": "b"}}, notes=("It has macros, which are not run.",)),
    "no-row-numbers.xlsx": Gives({2: A1}),
    "text-that-looks-like-errors.xlsx": Gives(
        {3: {"itemId": "2", "label": "#Ref"}}, {("B2", "error-cell"), ("B4", "error-cell")}
    ),
    "cells-of-every-kind.xls": Gives(
        {
            2: {"itemId": "1", "label": "00123", "amountDue": "1234.5", "count": "7", "dueDay": "2023-03-15"},
            5: {"itemId": "3", "label": "merged"},
        },
        {("B3", "shown-otherwise"), ("B6", "merged-cell"), ("B7", "error-cell"), ("A8", "not-a-number")},
        (("1 row is hidden in the sheet (filtered, or by hand) and read like the others: row 5. To leave it out, add "
         "--visible-only."),
         "Column D is hidden in the sheet, and read like the others."),
    ),
    "formulas-never-calculated.xls": Gives({}, {("B2", "formula-without-value"), ("C2", "formula-without-value")}),
    "cells-of-every-kind.xlsb": Gives(
        {2: {"itemId": "1", "label": "00123", "amountDue": "1234", "count": "7"}},
        {("B3", "shown-otherwise"), ("B5", "error-cell"), ("A6", "not-a-number")},
        (("1 row is hidden in the sheet (filtered, or by hand) and read like the others: row 5. To leave it out, add "
         "--visible-only."), "It has macros, which are not run."),
    ),
    "cells-of-every-kind.ods": Gives(
        {
            2: {"itemId": "1", "label": "00123", "amountDue": "1234.5", "count": "7", "dueDay": "2023-03-15"},
            6: {"itemId": "3", "label": "a   b\nc"},
            10: {"itemId": "7", "label": "x", "amountDue": "2"},
        },
        {("B3", "shown-otherwise"), ("B7", "merged-cell"), ("B8", "error-cell"), ("B9", "formula-without-value")},
        (("1 row is hidden in the sheet (filtered, or by hand) and read like the others: row 9. To leave it out, add "
         "--visible-only."),
         "Column B is hidden in the sheet, and read like the others."),
    ),
    "a-hundred-million-cells.ods": Gives({}),
    # Hostile, broken or named as something else.
    "seventeen-billion-cells.ods": Refused("repeated or far-off cells", "Delete the rows"),
    "too-many-rows.ods": Refused("more than 1,048,576 rows", "save it again"),
    "cut-off.xlsx": Refused("is damaged: it is cut off", ASK),
    "cut-off.xls": Refused("is damaged: it does not hold what an old Excel workbook holds", ASK),
    "cut-off.xlsb": Refused("is damaged: it is cut off", ASK),
    "entity.xlsx": Refused("holds a document type definition", "save it again"),
    "billion-laughs.xlsx": Refused("holds a document type definition", "save it again"),
    "unpacks-to-much.xlsx": Refused("unpacks to more than 2 MB", "input.max_unpacked_mb"),
    "rows-out-of-order.xlsx": Refused("has row 2 in the wrong place", "save it again"),
    "cells-out-of-order.xlsx": Refused("has cell B2 in the wrong place", "save it again"),
    "cells-out-of-order.xlsb": Refused("has a cell of row 2 in the wrong place", "save it again"),
    "no-workbook-inside.xlsx": Refused("is a zip file that holds no workbook", "Unpack it"),
    "word-document.xlsx": Refused("is an Office file, but no workbook", "save it as"),
    "word-document.xls": Refused("is an old Office document, but no Excel workbook", "save it as"),
    "protected.xlsx": Refused("is protected by a password", "take the password off"),
    "protected.xls": Refused("is protected by a password", "take the password off"),
    "protected.ods": Refused("is protected by a password", "without a password"),
    "web-page.xls": Refused("is named as an old Excel workbook (.xls), but is a web page", "save it as"),
    "excel-2003-xml.xls": Refused("but is a spreadsheet in the XML of Excel 2003", "save it as"),
    "picture.xlsx": Refused("is named as an Excel workbook (.xlsx), but is a picture", "Name the spreadsheet"),
    "text.xlsx": Refused("but is text with one row on a line (CSV)", "ends in .csv"),
    "noise.xlsx": Refused("but is nothing that is known", ASK),
    "workbook.csv": Refused("(CSV), but is an Excel workbook (.xlsx)", "ends in .xlsx"),
    "macros-named.xlsx": Refused("but is an Excel workbook with macros (.xlsm)", "ends in .xlsm"),
    "old-workbook.xlsx": Refused("but is an old Excel workbook (.xls)", "ends in .xls"),
    "report.csv": Refused("but is a PDF document", "save it as"),
    "~$open.xlsx": Refused("the note that Excel keeps beside one that is open", "without ~$"),
    # The same workbook, saved by LibreOffice in each format; a CSV file holds what the cells show.
    "saved-by-libreoffice.xlsx": Gives(SAVED, {*SAVED_PROBLEMS, ("B7", "shown-otherwise")}, SAVED_NOTES),
    "saved-by-libreoffice.xls": Gives(SAVED, {*SAVED_PROBLEMS, ("B7", "shown-otherwise")}, SAVED_NOTES),
    "saved-by-libreoffice.ods": Gives(SAVED, {*SAVED_PROBLEMS, ("B7", "shown-otherwise")}, SAVED_NOTES),
    "saved-by-libreoffice.csv": Gives(
        {**SAVED, 7: {"itemId": "4", "label": "00123", "amountDue": "5"}}, SAVED_PROBLEMS, SAVED_NOTES
    ),
}  # fmt: skip


def given(name: str) -> Gives | Refused:
    options = {"max_unpacked_mb": 2} if name == "unpacks-to-much.xlsx" else {}
    try:
        table = open_table(DATA / name, endpoint(), settings(**options), name=name)
        rows = staged(table).rows
    except InputError as refusal:
        return Refused(refusal.message, refusal.remedy)
    jobs = {row.row.number: {key: text(value) for key, value in row.job.values.items()} for row in rows if row.job}
    problems = {
        (table.columns.cell(problem.row, problem.field) or f"row {problem.row}", problem.code)
        for row in rows
        for problem in row.problems
    }
    return Gives(jobs, problems, table.notes)


def text(value: object) -> str:
    return format(value, "f") if hasattr(value, "as_tuple") else str(value)


@pytest.mark.parametrize("name", TABLE)
def test_each_file_gives_what_the_table_says(name: str) -> None:
    """A quirk changes nothing of what a file holds: its rows, problems and remarks, or the refusal, are these."""
    expected, found = TABLE[name], given(name)
    if isinstance(expected, Refused):
        assert isinstance(found, Refused)
        assert found.said.count(name) == 1
        assert expected.said in found.said
        assert expected.remedy in found.remedy
    else:
        assert found == expected


def test_the_table_knows_every_file_of_the_folder() -> None:
    """No file lies in the folder without saying what it must give."""
    assert {path.name for path in DATA.iterdir() if path.is_file() and path.suffix != ".py"} == set(TABLE)
