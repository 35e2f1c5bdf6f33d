"""The steps of the whole job as a person takes them on the page, by the names that they see."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.web.messy_workbook import REPAIRS, RIGHT_KIND, RIGHT_STAGE

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.web.browser import Server
    from tests.web.messy_workbook import Repair

FIELDS = {
    "Deal no.": "OpportunityId",
    "Kind": "opportunityType",
    "Sales stage": "StageName",
    "Deal name": "OpportunityName",
    "Worth": "AcctPotential",
    "Expected revenue": "SalesRevenue",
    "Close date": "PendingCloseDate",
}
_MOST_TABS = 100
_DROP = """
([encoded, name]) => {
  const bytes = Uint8Array.from(atob(encoded), character => character.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], name));
  return dropped;
}
"""


def drop(page: Page, workbook: Path) -> None:
    """Drop a workbook on the start page, as from a folder, and wait for the page of the file."""
    files = page.evaluate_handle(_DROP, [base64.b64encode(workbook.read_bytes()).decode(), workbook.name])
    for event in ("dragenter", "dragover", "drop"):
        page.get_by_text("Drop it here").dispatch_event(event, {"dataTransfer": files})
    page.wait_for_url(re.compile(r"/files/[\w-]+"))


def choose(page: Page, workbook: Path, *, by_button: bool = False) -> None:
    """Choose a workbook on the start page, and wait for the page of the file; `by_button`: without JavaScript."""
    page.get_by_label("Spreadsheet").set_input_files(workbook)
    if by_button:
        page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(re.compile(r"/files/[\w-]+"))


def check(page: Page) -> None:
    """Give the answers that stand on the page."""
    page.get_by_role("button", name="Check", exact=True).click()


def answer_places(page: Page) -> None:
    """Say which sheet is read and which row holds the headers, one after the other."""
    for answer in (r"^'Deals' \(", "^row 3:"):
        page.get_by_role("radio", name=re.compile(answer)).check()
        check(page)


def answer_cells(page: Page) -> None:
    """Answer what the file does not say itself about its cells and rows; the proposals are taken."""
    for answer in ("yes: they are sent", "a comma"):
        page.get_by_role("radio", name=answer).check()
    check(page)


def mapping(page: Page) -> Locator:
    """Return the table in which headers have their fields."""
    return page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Field"))


def map_columns(page: Page) -> None:
    """Choose the field of every column; what has no field is not sent."""
    expect(mapping(page)).to_be_visible()
    for row in mapping(page).get_by_role("row").all()[1:]:
        header = row.get_by_role("rowheader").inner_text()
        field = next((name for title, name in FIELDS.items() if header.startswith(title)), None)
        select = row.get_by_role("combobox")
        label = re.compile(rf"^{field}\b") if field else "not sent"
        option = select.locator("option").filter(has_text=label).first
        select.select_option(option.get_attribute("value"))


def correct(page: Page, repair: Repair) -> None:
    """Type the right value into a cell of the grid, and wait until its row is good."""
    cell = page.get_by_label(label_of(repair)).first
    cell.fill(repair.right)
    cell.press("Tab")
    expect(page.locator(f"#row-{repair.row}").get_by_text("good now")).to_be_visible()


def correct_all(page: Page) -> None:
    """Repair what is wrong in the messy workbook: three cells, and 28 of one kind at once."""
    for repair in REPAIRS:
        correct(page, repair)


def correct_kinds(page: Page) -> None:
    """Correct the first wrong kind, and take the same for all others like it."""
    page.get_by_label(re.compile(r"^Kind [A-Z]+\d+")).first.select_option(RIGHT_KIND)
    page.get_by_role("button", name="Apply to all 28 like this").first.click()


def changes(page: Page) -> Locator:
    """Return the table of what reading the records has found."""
    return page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Now"))


def wait_for_counts(page: Page) -> None:
    """Wait until the page of a run tells of a row that has its outcome by then."""
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("main").get_by_text("updated", exact=True).first).to_be_visible()


def stop(page: Page) -> None:
    """Stop a run, and wait until the page says that the server has heard of it."""
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("heading", name=re.compile("^Stopping "))).to_be_visible()


def repair_stages(page: Page, count: int) -> None:
    """Choose the stage that is next to the wrong one, in the rows that the API has refused, until they are good."""
    cells = page.get_by_label(re.compile(r"^Sales stage [A-Z]+\d+"))
    expect(cells).to_have_count(count)
    for at in range(count):
        cells.nth(at).focus()
        page.keyboard.press("ArrowDown")
        expect(cells.nth(at)).to_have_value(RIGHT_STAGE)
        expect(page.get_by_text("good now", exact=True)).to_have_count(at + 1)


def results_of(server: Server, run: int) -> Path:
    """Return the last results workbook of a run, counted from the oldest."""
    return max(server.runs()[run].glob("*-results-*.xlsx"))


def path_of(page: Page) -> str:
    """Return the address of a page without its server."""
    return urlsplit(page.url).path


def label_of(repair: Repair) -> re.Pattern[str]:
    """Return the name of a cell in the grid."""
    return re.compile(rf"^{re.escape(repair.header)} [A-Z]+{repair.row}\b")


def answer_all(page: Page, workbook: Path, *, by_button: bool = False) -> None:
    """Give the messy workbook, and answer everything, up to the rows that need someone."""
    choose(page, workbook, by_button=by_button)
    answer_places(page)
    map_columns(page)
    check(page)
    answer_cells(page)
    expect(page.get_by_role("heading", name="rows are good.")).to_be_visible()


def preview(page: Page, fitting: Path) -> None:
    """Give a file that fits, up to the page from which it is sent."""
    choose(page, fitting)
    check(page)
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("button", name=re.compile("^Send "))).to_be_visible()


def send(page: Page, fitting: Path, rows: int) -> None:
    """Give a file that fits, and send it."""
    preview(page, fitting)
    page.get_by_role("button", name=f"Send {rows} rows").click()


def approve(page: Page, rows: int) -> None:
    """Approve a file of someone else."""
    page.get_by_role("button", name=f"Approve these {rows} rows").click()
    expect(page.get_by_text("exactly these rows")).to_be_visible()


def tab_to(page: Page, element: Locator, *, backwards: bool = False) -> None:
    """Press Tab until an element has the focus."""
    expect(element).to_be_visible()
    page.wait_for_load_state()  # its script gives the focus to the heading
    for _ in range(_MOST_TABS):
        if element.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    expect(element).to_be_focused()
