"""Rows are corrected in Debian's Chromium: where the focus goes, and what a press right after typing does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.end_to_end.program import sandbox
from tests.web.browser import MOST_WAITED_MS, OPTIONS
from tests.web.queue import until
from tests.web.served import PageServer, configured, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.debian

ROWS = b"Id,Type,OpportunityName,SalesRevenue\n2,Prx,a,x\n3,Prx,a,1\n4,Prx,a,1\n5,Pre,a,x\n6,Pre,a,y\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve the page."""
    with sandbox() as api, PageServer(configured(tmp_path_factory.mktemp("served"), api.url)) as running:
        yield running


@pytest.fixture
def page(server: PageServer) -> Iterator[Page]:
    """Open the check of a file with mistakes; complaints of the browser fail the test, but for refusals."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=MOST_WAITED_MS)
    signed_in = server.signed_in()
    check = f"{signed_in.upload('mistakes.csv', ROWS).location}/check"
    wait_until(signed_in, check, "None of the 5 rows can be sent.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(OPTIONS), timeout=MOST_WAITED_MS
        )
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(MOST_WAITED_MS)
        complaints: list[str] = []
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(server.link)
        opened.goto(f"{server.address.rstrip('/')}{check}")
        yield opened
        browser.close()
    assert not [
        one
        for one in complaints
        if not re.search(" 401 | 403 | 409 |ERR_CONNECTION_REFUSED|htmx:(sendError|afterRequest),", one)
    ]


def focused(page: Page) -> str:
    """Return the label of what has the focus."""
    return str(page.evaluate("document.activeElement.labels?.[0]?.textContent.replace(/\\s+/g, ' ')"))


def test_enter_leads_from_one_faulty_cell_to_the_next(page: Page) -> None:
    """To the other one of the row, to that of the next row; a cell that is still wrong keeps the focus."""
    from playwright.sync_api import expect

    result = page.locator("#result")
    page.get_by_label("SalesRevenue D2, row 2").fill("5")
    page.keyboard.press("Enter")
    expect(result).to_contain_text("Row 2 is not good yet: 'Prx'")
    assert focused(page) == "Type B2, row 2"
    page.get_by_label("SalesRevenue D5, row 5").fill("z")
    page.keyboard.press("Enter")
    expect(result).to_contain_text("Row 5 is not good yet: 'z'")
    assert focused(page) == "SalesRevenue D5, row 5"
    page.get_by_label("SalesRevenue D5, row 5").fill("7")
    page.keyboard.press("Enter")
    expect(result).to_have_text("Row 5 is good now.")
    assert focused(page) == "SalesRevenue D6, row 6"
    expect(page.locator("#verdict")).to_have_text("1 of 5 rows is good. 4 need you.")
    expect(page.locator("#row-5 > *")).to_have_count(3)
    expect(page.locator("#causes tbody tr")).to_have_count(2)


def test_a_list_keeps_the_focus_and_its_order_while_it_is_walked_through(page: Page) -> None:
    """Each value is judged at once, and the next press of the key leads to the next one."""
    from playwright.sync_api import expect

    choice = page.get_by_label("Type B3, row 3")
    before = choice.locator("option").all_inner_texts()
    choice.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#row-3")).to_contain_text("good now")
    assert choice.input_value() == before[1]
    expect(choice).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#row-3 ins")).to_have_text(before[2])


def test_the_button_that_saves_a_row_is_beside_its_cell_for_those_who_are_there(page: Page) -> None:
    """A change is saved without it. It keeps the focus that Tab brings, and stays where something was not kept."""
    from playwright.sync_api import expect

    save = page.get_by_role("button", name="Save row 5")
    expect(save).to_have_css("opacity", "0")
    page.get_by_label("SalesRevenue D5, row 5").fill("z")
    expect(save).to_have_css("opacity", "1")
    page.keyboard.press("Tab")
    expect(page.locator("#row-5")).to_contain_text("'z' is not a number.")
    expect(save).to_be_focused()
    page.evaluate("document.querySelector('#form-5 [name=seen-3]').value = '4'")  # as if a colleague had changed it
    page.get_by_label("SalesRevenue D5, row 5").fill("8")
    page.get_by_label("SalesRevenue D6, row 6").focus()
    expect(page.locator("#row-5")).to_contain_text("Save again to replace that.")
    expect(save).to_have_css("opacity", "1")
    save.click()
    expect(page.locator("#row-5")).to_contain_text("good now")


def test_what_was_typed_when_the_session_ended_is_saved_after_signing_in_again(page: Page, server: PageServer) -> None:
    """In another tab: the page gets the token of the new session, and the message goes with the next success."""
    from playwright.sync_api import expect

    page.context.clear_cookies()
    cell, message = page.get_by_label("SalesRevenue D5, row 5"), page.locator("#row-5").get_by_role("alert")
    cell.fill("8")
    page.keyboard.press("Enter")
    expect(message).to_contain_text("Please sign in.")
    page.context.request.get(server.link)
    page.keyboard.press("Enter")
    expect(message).to_contain_text("What you typed is still here: save it once more.")
    expect(cell).to_have_value("8")
    page.keyboard.press("Enter")
    expect(page.locator("#row-5")).to_contain_text("good now")
    expect(message).to_have_count(0)


def test_a_cause_leads_to_its_rows_and_the_focus_with_it(page: Page) -> None:
    """The next Tab is within the grid."""
    from playwright.sync_api import expect

    page.get_by_role("link", name="SalesRevenue: not a number").first.click()
    expect(page.locator("#grid")).to_be_focused()


def test_a_press_right_after_typing_takes_what_was_typed(page: Page) -> None:
    """The row is not swapped under the pointer, and the value goes into all cells of the group, once."""
    from playwright.sync_api import expect

    page.locator("#row-2 summary").click()
    page.get_by_label("Another value for Type, row 2").fill("Post")
    page.get_by_role("button", name="Apply to all 3 like this").click()
    expect(page.locator("#result")).to_contain_text("3 cells of Type are 'Post' now.")
    page.get_by_role("link", name="All edits").click()
    expect(page.get_by_role("button", name="Undo edit")).to_have_count(3)
    page.get_by_role("button", name="Undo all 3").click()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_what_is_typed_while_an_answer_arrives_stays(page: Page) -> None:
    """A click leaves a cell, which is judged meanwhile: the next one of the row can be typed into at once."""
    from playwright.sync_api import expect

    page.locator("#row-2 summary").click()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/rows/2", hold)
    page.get_by_label("Another value for Type, row 2").fill("Pre")
    with page.expect_request("**/rows/2"):
        page.get_by_label("SalesRevenue D2, row 2").click()
    page.keyboard.press("End")
    page.keyboard.type("12")
    held.pop().continue_()
    page.unroute("**/rows/2")
    expect(page.locator("#row-2 ins")).to_have_text("Pre")
    expect(page.get_by_label("SalesRevenue D2, row 2")).to_have_value("x12")
    expect(page.get_by_label("SalesRevenue D2, row 2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("Row 2 is not good yet: 'x12'")


def test_after_the_last_correction_the_focus_is_on_what_is_next(page: Page) -> None:
    """A row above that is still wrong comes first; once all are good, Enter leads to the preview."""
    from playwright.sync_api import expect

    page.get_by_label("SalesRevenue D6, row 6").fill("6")
    page.keyboard.press("Enter")
    expect(page.locator("#row-6")).to_contain_text("good now")
    expect(page.get_by_label("Type B2, row 2")).to_be_focused()
    page.get_by_label("Type B2, row 2").select_option("Pre")
    expect(page.locator("#row-2 ins")).to_have_text("Pre")
    page.get_by_role("button", name="Apply to all 3 like this").click()
    expect(page.locator("#result")).to_contain_text("2 cells of Type are 'Pre' now.")
    expect(page.get_by_role("button", name="Undo all 2")).to_have_count(0)
    page.get_by_label("SalesRevenue D2, row 2").fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_label("SalesRevenue D5, row 5")).to_be_focused()
    page.get_by_label("SalesRevenue D5, row 5").fill("5")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_have_text("All 5 rows are good.")
    expect(page.get_by_role("link", name="Preview", exact=True)).to_be_focused()


def test_what_is_typed_while_the_file_is_checked_again_stays_with_the_reason_beside_it(
    page: Page, server: PageServer
) -> None:
    """Until the same press of the key, after the check, keeps it."""
    from playwright.sync_api import expect

    files = page.url.removesuffix("/check").rsplit("/", 1)[1]
    folder, cell = server.folder / "runs" / "web" / files, page.get_by_label("SalesRevenue D5, row 5")
    with FileLock(folder / ".draft-lock"):
        server.signed_in().post(f"/files/{files}/check", {})
        until((folder / "draft.sqlite-ready").exists)
        cell.fill("8")
        page.keyboard.press("Enter")
        reason = page.locator("#row-5").get_by_role("alert")
        expect(reason).to_contain_text("The file is being checked again: try it in a moment.")
        expect(cell).to_have_value("8")
        expect(cell).to_be_focused()
        expect(page.locator("#toast")).to_be_empty()
    wait_until(server.signed_in(), f"/files/{files}/check", "What next")
    page.keyboard.press("Enter")
    expect(page.locator("#row-5")).to_contain_text("good now")
    expect(reason).to_have_count(0)


def test_what_is_typed_while_the_server_is_away_stays_with_the_reason_beside_it(page: Page) -> None:
    """Nothing was changed, and the page goes on once it can."""
    from playwright.sync_api import expect

    cell, reason = page.get_by_label("SalesRevenue D5, row 5"), page.locator("#row-5").get_by_role("alert")
    page.route("**/rows/5", lambda route: route.abort("connectionrefused"))
    cell.fill("8")
    page.keyboard.press("Enter")
    expect(reason).to_have_text("The server cannot be reached. Nothing was changed.")
    expect(cell).to_have_value("8")
    page.unroute("**/rows/5")
    page.keyboard.press("Enter")
    expect(page.locator("#row-5")).to_contain_text("good now")


def test_after_the_last_repair_the_focus_is_on_the_button_that_sends(page: Page, server: PageServer) -> None:
    """On the page of a run, where it comes with the count of the repaired rows."""
    from playwright.sync_api import expect

    signed_in = server.signed_in()
    files = signed_in.upload("stages.csv", b"Id,Type,StageName\n2,Pre,Propsal\n3,Pre,Propsal\n").location
    wait_until(signed_in, f"{files}/check", "All 2 rows are good.")
    signed_in.post(f"{files}/send", signed_in.get(f"{files}/preview").form(f"{files}/send"))
    wait_until(signed_in, f"{files}/run", "None of the 2 rows was updated.")
    page.goto(f"{server.address.rstrip('/')}{signed_in.request('GET', f'{files}/run').location}")
    for number in (2, 3):
        page.locator(f"#row-{number} summary").click()
        page.get_by_label(f"Another value for StageName, row {number}").fill("Proposal")
        page.keyboard.press("Enter")
        expect(page.locator(f"#row-{number}")).to_contain_text("good now")
        expect(page.get_by_role("button", name=f"Send {number - 1} repaired row")).to_be_visible()
    expect(page.get_by_role("button", name="Send 2 repaired rows")).to_be_focused()
