"""reporter/page.py: the page of a run, read back as XML and as a browser's parser reads it."""

from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from batch_updater.records import Columns, Outcome, OutcomeKind, ReportRow, Row, Stop, StopReason
from batch_updater.reporter.page import RowsForReview, write_page
from batch_updater.reporter.summary import Tally
from batch_updater.reporter.summary_view import summary_view
from batch_updater.reporter.workbook import write_results
from batch_updater.text.printable import printable
from tests.reporter.made import COLUMNS, ENDPOINT, facts, invalid, row, updated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batch_updater.records import RunFacts

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style></title></bdi>", "&lt;b&gt; & 'x'",
    "javascript:alert(1)", "\u202eabc", "\x00\x07\x1b", "]]>", "<!--", "{{ 7*7 }}", "{% raw %}",
    "{#", "'\"onmouseover=alert(1) ",
]  # fmt: skip


def page(folder: Path, rows: Iterable[ReportRow], *, told: RunFacts | None = None, columns: Columns = COLUMNS) -> str:
    """Write workbook and page in one pass, as the pipeline does. Returns the page."""
    reviewed = RowsForReview(columns, ENDPOINT)
    written = write_results(folder / "a b.xlsx", told or facts(), columns, ENDPOINT, reviewed.noting(rows))
    write_page(folder / "report.html", written.view, reviewed, written.path)
    return (folder / "report.html").read_text(encoding="utf-8")


def tree(text: str) -> ET.Element:
    return ET.fromstring(text.removeprefix("<!DOCTYPE html>"))  # noqa: S314  (it is ours)


def table(root: ET.Element, section: str) -> list[list[str]]:
    """Return the texts of a section's table, its header first."""
    found = root.find(f".//section[@aria-labelledby='{section}']/table")
    assert found is not None
    return [["".join(cell.itertext()) for cell in line] for line in found.iter("tr")]


def failed(number: int) -> ReportRow:
    return ReportRow(
        row(number, number, "Pre"), Outcome(number, OutcomeKind.FAILED, "No connection.", "Run again.", "no connection")
    )


class Tags(HTMLParser):
    """Collects every tag and attribute as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)


def test_the_counts_add_up_and_come_first(tmp_path: Path) -> None:
    """The verdict is the heading; below it every outcome has its count, and the total is theirs."""
    root = tree(page(tmp_path, [updated(2), updated(3), invalid(4), failed(5)]))
    heading = root.find(".//h1")
    assert heading is not None
    assert heading.text == "2 of 4 rows were updated. 1 needs you. 1 is not done."
    _, *counts, total = table(root, "counts")
    assert [line[:2] for line in counts] == [["updated", "2"], ["invalid", "1"], ["failed", "1"]]
    assert total[:2] == ["rows in all", str(sum(int(line[1]) for line in counts))]
    assert table(root, "causes")[1][:3] == ["1", "StageName: name not accepted", "D4 (row 4)"]


def test_a_row_that_needs_a_person_is_shown_with_its_faulty_cells(tmp_path: Path) -> None:
    """Row, outcome, record, what is wrong, the faulty cell under its header, what to do; rows to run again are not."""
    lines = table(tree(page(tmp_path, [updated(2), invalid(3, 7, "Pre", "x", "Propsal"), failed(4)])), "rows")
    assert lines[0] == ["Row", "Outcome", "Record", "What is wrong", "Faulty cells", "What to do"]
    assert lines[1:] == [[
        "3", "invalid", "Id 7Type Pre", "StageName (D3): 'Propsal' is not a stage that Nexus accepts.",
        "StageName (D3)Propsal", "Did you mean 'Proposal'?",
    ]]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_file_or_the_api_says_stays_text(tmp_path: Path, text: str) -> None:
    """Cells, headers, messages, names of files and of sheets end up as text: no tag, no attribute, no script."""
    columns = Columns((text, text), 0, {"OpportunityId": 0, "StageName": 1}, ())
    wrong = invalid(2, field="StageName", value=text)
    named = replace(wrong.outcome.problems[0], reason=text, remedy=text)
    outcome = Outcome(2, OutcomeKind.REJECTED, text, text, text, (named,))
    told = replace(facts(), input_path=text, sheet=text, notes=(text,), base_url=text, stop=_stop(text))
    again = replace(failed(3), row=Row(3, (text, text)))
    rows = [ReportRow(Row(2, (text, text)), outcome), again]
    written = page(tmp_path, rows, told=told, columns=columns)
    plain = Tags(page(tmp_path, [invalid(2, 1, "Pre", "x", "y"), failed(3)], told=replace(facts(), stop=_stop("x"))))
    assert Tags(written).tags <= plain.tags | {"bdi"}
    assert not {name for name, _ in Tags(written).attributes} - {name for name, _ in plain.attributes}
    shown = "".join(tree(written).itertext())
    assert shown.count(printable(text)) >= 8


def _stop(text: str) -> Stop:
    return Stop(StopReason.QUOTA, text, text)


def test_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    """No script, no address to load from, and a policy that forbids both; the one link is the workbook beside it."""
    text = page(tmp_path, [updated(2), invalid(3)], told=replace(facts(), base_url=None))
    found = Tags(text)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|//|@import|url\(", text)
    assert {value for name, value in found.attributes if name in ("href", "src")} == {"./a%20b.xlsx"}
    assert not any(name.startswith("on") or name == "style" for name, _ in found.attributes)
    (policy,) = [value for name, value in found.attributes if name == "content" and value and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_a_long_list_and_long_texts_are_shortened_and_that_is_said(tmp_path: Path) -> None:
    """The first thousand rows are shown, and how many more there are; a long value shows its beginning and length."""
    long = "x" * 5_000
    text = page(tmp_path, (invalid(n, n, "Pre", "x", long, value=long) for n in range(2, 1503)))
    assert len(table(tree(text), "rows")) == 1 + 1000
    assert "These are the first 1,000 of 1,501 rows" in text
    assert "(5,000 characters)" in text
    assert len(text) < 3_000_000


def test_the_page_keeps_no_more_rows_than_it_shows(tmp_path: Path) -> None:
    """However many rows need a person, what is kept of them has a bound."""
    reviewed = RowsForReview(COLUMNS, ENDPOINT)
    tally = Tally(COLUMNS)
    for passed in reviewed.noting(invalid(n, n, "Pre", "x" * 30_000) for n in range(2, 5002)):
        tally.add(passed.outcome)
    assert (tally.summary().rows, len(reviewed.rows)) == (5000, 1000)
    assert len(str(reviewed.rows)) < 1_000_000
    write_page(tmp_path / "p.html", summary_view(facts(), ENDPOINT, COLUMNS, tally.summary()), reviewed, None)
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "The results workbook could not be written" in text
    assert "to write the results workbook" in text


@pytest.mark.parametrize("rows", [[], [updated(2)], [updated(2), failed(3)]])
def test_every_page_is_accessible_by_its_structure(tmp_path: Path, rows: list[ReportRow]) -> None:
    """Language, title, landmarks, one h1, headings in order, scopes, named drawings; a file for its owner alone."""
    root = tree(page(tmp_path, rows))
    assert root.get("lang") == "en"
    assert root.findtext("head/title")
    assert [child.tag for child in root[1]] == ["header", "main", "footer"]
    headings = [element.tag for element in root.iter() if re.fullmatch("h[1-6]", element.tag)]
    assert headings == ["h1", *["h2"] * (len(headings) - 1)]
    assert all(cell.get("scope") in ("col", "row") for cell in root.iter("th"))
    assert all(drawn.get("role") == "img" and drawn.findtext("title") for drawn in root.iter("svg"))
    assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == 0o600
