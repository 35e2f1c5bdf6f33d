"""The pages of the documentation: their headings, tables, code and links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = (README, *sorted(DOCS.rglob("*.md")))
DASH = "–"
"""What a table holds where there is nothing to say."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def title(page: Path) -> str:
    """Return how a test names a page."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its fenced code, which may hold lines that look like headings."""
    return _FENCE.sub("", text_of(page))


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language, without the indentation of a list."""
    found = [(indent, name, text) for indent, name, text in _FENCE.findall(text_of(page)) if name == language]
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, _, text in found]


def headings(page: Path, level: str = "#+") -> list[str]:
    return re.findall(rf"^{level} (.+)$", prose(page), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, by GitHub's rule: letters, digits, `-` and `_` in lower case."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def links(page: Path) -> list[str]:
    """Return the targets of links and pictures."""
    return _LINK.findall(prose(page))


def section(page: Path, heading: str) -> str:
    """Return the text below a heading of level 2, up to the next one."""
    _, found, after = prose(page).partition(f"\n## {heading}\n")
    assert found, f"{title(page)} has no section {heading!r}"
    return after.partition("\n## ")[0]


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a text, each as rows of cells without the header row."""
    found = re.findall(r"^\|.*\n\|[ :|-]+\n((?:\|.*\n?)*)", text, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip()[1:-1].split("|")] for row in rows.splitlines()] for rows in found]


def codes(cell: str) -> list[str]:
    """Return what a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_column(text: str, table: int = 0) -> list[str]:
    """Return what the first column of a table has in backticks; if it has none, the cells themselves."""
    cells = [row[0] for row in tables(text)[table]]
    return [name for cell in cells for name in (codes(cell) or [cell])]
