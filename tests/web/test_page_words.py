"""Messages that name options of the command line, as the page says them."""

from __future__ import annotations

import pytest

from batch_updater.web.page_words import in_words_of_the_page
from tests.web.served import Browser, wait_until


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "7 rows are hidden in the sheet. To leave them out, add --visible-only.",
            "7 rows are hidden in the sheet. To leave them out, say so under “Columns and questions”.",
        ),
        (
            "if all dates are written so, add --date-order DMY (or set input.date_order); else type it.",
            "if all dates are written so, say so under “Columns and questions”; else type it.",
        ),
        (
            "Add one, or give all rows the same value with --set opportunityType=Pre.",
            "Add one.",
        ),
        ("Add --header-row 4 (or set input.header_row to 4).", "Give 4 as the “Header row”."),
        ("Name the spreadsheet.", "Choose the spreadsheet."),
        ("'--set' is not a number.", "'--set' is not a number."),
    ],
)
def test_a_message_names_the_place_on_the_page_instead_of_an_option(message: str, words: str) -> None:
    """Other messages stay as they are."""
    assert in_words_of_the_page(message) == words


def test_the_pages_of_a_file_name_no_option(browser: Browser) -> None:
    """Neither what is wrong with a cell, nor the most common causes, nor a file without needed columns."""
    rows = b"Id,Type,PendingCloseDate\n2,Pre,25/03/2026\n3,Pre,03/04/2026\n4,Pre,2026-05-01\n"
    files = browser.upload("dates.csv", rows).location
    wait_until(browser, files, "day/month")
    page = wait_until(browser, f"{files}/check", "1 needs you")
    assert "say so under “Columns and questions”" in page.shown
    assert "--date-order" not in page.shown
    files = browser.upload("columns.csv", b"SalesRevenue\n1\n").location
    page = wait_until(browser, files, "which every row needs")
    assert "--set" not in page.shown
    assert "--" not in browser.get("/").shown


def test_an_empty_file_is_called_empty(browser: Browser) -> None:
    """It is not taken for a form without a file."""
    answer = browser.upload("nothing.xlsx", b"")
    assert answer.status == 400
    assert "nothing.xlsx is empty. Choose another file." in answer.shown
