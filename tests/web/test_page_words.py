"""Sentences of the command line on the page: none names an option there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import batch_updater
from batch_updater.web.page_words import in_page_words

PACKAGE = Path(batch_updater.__file__).parent
ELSEWHERE = (
    "as --restart asked", "as --limit asked", "To resume it, add --yes", "With --yes it is written", "Without --map",
    "--visible-only leaves out", "by --override-guards", "(--visible-only)", "not possible; with --compare",
    "batch-updater columns", "batch-updater runs", "Name the workbook if you have moved it",
)  # fmt: skip
"""Parts of sentences that no page shows: there is no such option for what the page does, or it has its own words."""


def text_of(node: ast.expr) -> str:
    """Return the text of a literal, with 7 for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def sentences() -> list[str]:
    """Return the sentences of the parts below the page that name an option."""
    found = set()
    for folder in ("loader", "runs", "sender", "files"):
        for path in (PACKAGE / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documentation = {
                id(one.value)
                for one in ast.walk(tree)
                if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            }
            inner = {id(part) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for part in one.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documentation | inner:
                    text = text_of(node)
                    if re.search(r"--[a-z]+|`batch-updater", text) and " " in text:
                        found.add(text)
    return sorted(found)


@pytest.mark.parametrize("sentence", sentences())
def test_no_sentence_names_an_option_on_the_page(sentence: str) -> None:
    """Of those that a page shows; what is built of pieces is below."""
    if any(part in sentence for part in ELSEWHERE):
        return
    for before in ("", "add ", "Say which one to read: "):
        said = in_page_words(before + sentence)
        if not re.search(r"--[a-z]|`batch-updater", said):
            return
    raise AssertionError(said)


@pytest.mark.parametrize(
    ("told", "on_the_page"),
    [
        (
            "guards.factor is judged only where records are read: add --compare, or set sending.compare.",
            "guards.factor is judged only where records are read: choose “Read records first”.",
        ),
        (
            "Rows 3 and 4 are hidden. To leave them out, add --visible-only.",
            "Rows 3 and 4 are hidden. To leave them out, say so on the page of the file.",
        ),
        (
            "Type it with '.', or if the whole file is written so, add --decimal , (or set input.decimal).",
            "Type it with '.', or if the whole file is written so, say so on the page of the file.",
        ),
        (
            "If the whole file is written so, add --date-order DMY or --date-order MDY (or set input.date_order).",
            "If the whole file is written so, say so on the page of the file.",
        ),
        (
            "Add --header-row 3 (or set input.header_row to 3), or delete the rows above it.",
            "Choose row 3 as the header row on the page of the file, or delete the rows above it.",
        ),
        (
            "Say which to read: --sheet X --header-row 4, or input.sheet and input.header_row in the configuration.",
            "Choose the sheet on the page of the file.",
        ),
        (
            "To send every row again all the same, move that folder away, or add --restart.",
            "To send every row again all the same, let the person who runs the server move that folder away.",
        ),
        (
            "If the file is as it should be, run it with --override-guards, or change guards.rows.",
            "If the file is as it should be, let another person approve it, or change guards.rows.",
        ),
        ("Type 2-3 or a--b.", "Type 2-3 or a--b."),
    ],
)
def test_what_to_do_is_said_in_page_words(told: str, on_the_page: str) -> None:
    """The rest of the sentence stays."""
    assert in_page_words(told) == on_the_page
