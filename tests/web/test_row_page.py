"""The page of one row: with the real server, the real sandbox and real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.web.test_preview_page import rows_of
from tests.web.test_run_page import finished, sent

if TYPE_CHECKING:
    from tests.web.served import Browser

HOSTILE = "=1+1 <b>x</b> {{ 7*7 }} \u202eabc"


def test_a_row_tells_why_it_ended_so(browser: Browser) -> None:
    """Cells with their addresses, the request, and the answer of the API for a row that was refused."""
    run = sent(browser, b"Id,Type,StageName,Owner\n1,Pre,Proposal,me\n2,Pre,Propsal,me\n")
    finished(browser, run)
    row = browser.get(f"{run}/rows?number=3")
    assert "Row 3 of q1.csv" in row.shown
    assert "Outcome: rejected" in row.shown
    assert "StageName C3 Propsal StageName" in row.shown
    assert "Owner D3 me not sent" in row.shown
    assert '{ "StageName": "Propsal" }' in row.shown
    assert "400 Bad Request" in row.shown
    assert "Did you mean 'Proposal'?" in row.shown
    good = browser.get(f"{run}/rows/2")
    assert "Outcome: updated" in good.shown
    assert "Attempts" in good.shown


def test_a_row_without_a_request_says_so(browser: Browser) -> None:
    """Its problem and what to do about it are there instead."""
    run = sent(browser, rows_of(3).replace(b"1003", b"much"))
    finished(browser, run)
    row = browser.get(f"{run}/rows/3")
    assert "Outcome: invalid" in row.shown
    assert "'much' is not a number." in row.shown
    assert "Attempts" not in row.shown


def test_a_number_that_no_row_has_stays_where_it_was_typed(browser: Browser) -> None:
    """With the reason beside it."""
    run = sent(browser, rows_of(2))
    finished(browser, run)
    for typed, why in (("99", "has no row 99"), ("two", "is no number of a row"), ("9" * 40, "is no number of a row")):
        page = browser.get(f"{run}/rows?number={typed}")
        assert page.status == 404
        assert why in page.shown
        assert f'value="{typed}"' in page.text
    assert browser.get(f"{run}/rows?number=1,0").status == 404
    assert browser.request("GET", f"{run}/rows/99").status == 409


def test_hostile_cells_are_text(browser: Browser) -> None:
    """Formulas, markup, template syntax and marks of direction are shown as they are."""
    run = sent(browser, f'Id,Type,SalesRevenue,Owner\n1,Pre,5,"{HOSTILE}"\n'.encode(), "<i>q1</i>.csv")
    page = finished(browser, run)
    row = browser.get(f"{run}/rows/2")
    for answer in (page, row):
        assert "<i>q1</i>" not in answer.text
        assert "\u202e" not in answer.text
    assert "=1+1 <b>x</b> {{ 7*7 }} \\u202eabc" in row.shown
    assert "&lt;b&gt;x&lt;/b&gt;" in row.text
