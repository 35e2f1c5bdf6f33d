"""Rows of a spreadsheet as Excel, LibreOffice and Google Sheets put them on the clipboard."""

from __future__ import annotations

import csv
import re
from io import StringIO

_CELL = re.compile(
    r"""
    (?: "(?P<lines> (?:[^"\n\t]|"")* \n (?:[^"\t]|"")* )" (?=[\t\n]|\Z)
      | (?P<text> [^\t\n]* ) )
    (?P<end> [\t\n] | \Z )
    """,
    re.VERBOSE,
)


def as_tab_separated(text: str) -> str:
    r"""Return copied rows as a text file that says itself that tabs are between its cells.

    What is copied has a cell in quotes, with those in it doubled, only if it holds a line break. All other quotes are a
    part of their cell: `"new" offer` and `6" pipe` stay as they are. Line breaks within cells become `\n`. A text
    without tabs is returned as it is: it may be CSV.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\t" not in text:
        return text
    rows: list[list[str]] = [[]]
    for cell in _CELL.finditer(text.removesuffix("\n")):
        rows[-1].append(cell["text"] if cell["lines"] is None else cell["lines"].replace('""', '"'))
        if cell["end"] == "\n":
            rows.append([])
        elif not cell["end"]:
            break  # at its end an expression would find one more empty cell
    stream = StringIO()
    stream.write("sep=\t\n")  # cells may be full of commas
    csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(rows)
    return stream.getvalue()
