"""The page of a check: what it says of a file, and how its cells are corrected."""

from __future__ import annotations

import csv
import getpass
import io
import json
import re
import signal
from datetime import datetime
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote

import openpyxl
import pytest
from filelock import FileLock

from batch_updater.runs.lock import locked
from tests.end_to_end.program import batch_updater, sandbox
from tests.web.queue import until
from tests.web.served import PageServer, configured, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.end_to_end.program import Sandbox
    from tests.web.served import Answer, Browser

HEADERS = ("Id", "Type", "OpportunityName", "SalesRevenue", "PendingCloseDate", "Remark")
GOOD = ("1", "Pre", "a", "12.50", "2026-01-02", "")
TYPE, NAME, REVENUE, DAY = 1, 2, 3, 4
HTMX = {"HX-Request": "true"}


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve the page to all tests that do not end it: each has uploads of its own."""
    with sandbox() as api, PageServer(configured(tmp_path_factory.mktemp("served"), api.url)) as server:
        yield server


@pytest.fixture
def browser(shared_server: PageServer) -> Browser:
    """Return a browser that is signed in."""
    return shared_server.signed_in()


def content(rows: Iterable[Iterable[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter="\t").writerows([HEADERS, *rows])
    return file.getvalue().encode()


def checked(browser: Browser, *rows: Iterable[str], name: str = "week 48.tsv") -> str:
    """Give rows to the page, and return the address of their check once it is there."""
    path = f"{browser.upload(name, content(rows)).location}/check"
    wait_until(browser, path, "What next")
    return path


def row_in(answer: Answer, number: int) -> str:
    """Return the markup of a row of the grid."""
    found = re.search(rf'(?s)<tr id="row-{number}".*?</tr>', answer.text)
    assert found, answer.shown
    return found[0]


def form_in(answer: Answer, number: int) -> tuple[str, dict[str, str]]:
    """Return where the form of a row goes, and its fields as the page has them."""
    (action,) = re.findall(r'<form[^>]*action="([^"]*)"', row_in(answer, number))
    return unescape(action), answer.form(action)


def send(
    browser: Browser, answer: Answer, number: int, fields: Mapping[str, str], *, with_script: bool = True
) -> Answer:
    """Send the form of a row of a page with some fields changed, and return what comes back, or the page after it."""
    action, form = form_in(answer, number)
    reply = browser.post(action, form | dict(fields), token=form["token"], **(HTMX if with_script else {}))
    return browser.get(reply.location.partition("#")[0]) if reply.status == 303 else reply


def result_of(reply: Answer) -> str:
    """Return the sentence that says what an edit has come to."""
    found = re.search(r'(?s)<p id="result"[^>]*>(.*?)</p>', reply.text)
    assert found, reply.shown
    return unescape(re.sub("<[^>]*>", "", found[1]))


def inputs(markup: str) -> set[str]:
    """Return the names of the cells that can be changed."""
    return set(re.findall(r'name="(cell-\d+)"', markup))


def test_only_faulty_cells_can_be_changed(browser: Browser) -> None:
    """The other cells of the row are shown on demand, to be read."""
    path = checked(browser, GOOD, ("2", "Prx", "b", "x", "2026-01-02", "mine"))
    page = browser.get(path)
    assert "1 of 2 rows is good. 1 needs you." in page.shown
    assert inputs(row_in(page, 3)) == {f"cell-{TYPE}", f"cell-{REVENUE}"}
    assert "mine" not in page.shown
    assert '<tr id="row-2"' not in page.text
    whole = browser.get(f"{path}?row=3")
    assert inputs(row_in(whole, 3)) == {f"cell-{TYPE}", f"cell-{REVENUE}"}
    assert "Remark F3 mine" in whole.shown


def test_every_cell_can_be_changed_where_the_row_as_a_whole_is_wrong(browser: Browser) -> None:
    """A row without anything to update says no cell that is wrong: any of those that are sent may be filled in."""
    path = checked(browser, GOOD, ("2", "Pre", "", "", "", "mine"))
    page = browser.get(path)
    assert inputs(row_in(page, 3)) == {f"cell-{at}" for at in range(5)}
    assert result_of(send(browser, page, 3, {f"cell-{NAME}": "b"})) == "Row 3 is good now."


@pytest.mark.parametrize("with_script", [True, False])
def test_an_edit_is_judged_at_once_and_kept(page_server: PageServer, *, with_script: bool) -> None:
    """It is still there after the server was killed and started again, with old value, new value and who."""
    browser = page_server.signed_in()
    path = checked(browser, GOOD, ("2", "Pre", "b", "12,5x", "2026-01-02", ""))
    page = browser.get(path)
    still = send(browser, page, 3, {f"cell-{REVENUE}": "12k"}, with_script=with_script)
    assert "Row 3 is not good yet: '12k' is not a number." in still.shown
    good = send(browser, still, 3, {f"cell-{REVENUE}": "12.5"}, with_script=with_script)
    assert "Row 3 is good now." in good.shown
    assert "All 2 rows are good." in good.shown
    assert "2 rows would be sent." in good.shown
    page_server.stop(signal.SIGKILL)
    page_server.start()
    browser = page_server.signed_in()
    row = row_in(browser.get(f"{path}?row=3"), 3)
    assert re.search(r"<del>12k</del> → <ins>12.5</ins>, \w+, <time", row)
    assert "2 rows would be sent." in browser.get(path).shown


def test_an_undone_edit_puts_back_what_the_cell_held(browser: Browser) -> None:
    """One edit after the other, on the row or on the list of all edits, which keeps what was undone."""
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""))
    send(browser, browser.get(path), 3, {f"cell-{REVENUE}": "y"})
    good = send(browser, browser.get(path), 3, {f"cell-{REVENUE}": "5"})
    (number,) = re.findall(r'name="undo" value="(\d+)"', good.text)
    undone = send(browser, browser.get(f"{path}?row=3"), 3, {"undo": number})
    assert result_of(undone).startswith("SalesRevenue (D3) is 'y' again. Row 3 is not good yet:")
    listed = browser.get(f"{path}?edited=1")
    assert re.search(r"SalesRevenue \(D3\) x y .* Undo edit 1 SalesRevenue \(D3\) y 5 .* undone", listed.shown)
    (action,) = re.findall(r'action="([^"]*/undo)"', listed.text)
    after = browser.get(browser.post(action, {}).location.partition("#")[0])
    assert "Undo edit" not in after.shown
    assert '<input id="cell-3-3" name="cell-3" value="x"' in browser.get(path).text


@pytest.mark.parametrize("with_script", [True, False])
def test_the_same_value_goes_into_all_cells_like_one(browser: Browser, *, with_script: bool) -> None:
    """One button for one cause: cells with another wrong value stay as they are."""
    wrong = [(str(number), "Prx", "b", "1", "2026-01-02", "") for number in range(2, 30)]
    path = checked(browser, GOOD, *wrong, ("40", "Pst", "b", "1", "2026-01-02", ""))
    page = browser.get(path)
    assert page.shown.count("Apply to all 28 like this") == 1
    reply = send(browser, page, 3, {f"cell-{TYPE}": "Pre", "apply": str(TYPE)}, with_script=with_script)
    assert "28 cells of Type are 'Pre' now. Row 3 is good now." in reply.shown
    assert "29 of 30 rows are good. 1 needs you." in reply.shown
    assert [unescape(row) for row in re.findall(r'<tr id="row-(\d+)" class="wrong"', reply.text)] == ["31"]
    assert browser.get(f"{path}?edited=1").shown.count("Undo edit") == 28


@pytest.mark.parametrize("with_script", [True, False])
def test_cells_that_were_changed_together_are_put_back_together(browser: Browser, *, with_script: bool) -> None:
    """In the answer to the change, and on the list of edits, where each is also undone alone."""
    wrong = [(str(number), "Prx", "b", "1", "2026-01-02", "") for number in range(2, 30)]
    path = checked(browser, GOOD, *wrong)
    fill = {f"cell-{TYPE}": "Pre", "apply": str(TYPE)}
    filled = send(browser, browser.get(path), 3, fill)
    assert filled.shown.count("Undo all 28") == 1
    (number,) = re.findall(r'name="undo-all" value="(\d+)"', filled.text)
    undone = send(browser, browser.get(f"{path}?row=3"), 3, {"undo-all": number}, with_script=with_script)
    assert "28 edits made together are undone." in undone.shown
    assert "1 of 29 rows is good. 28 need you." in browser.get(path).shown
    send(browser, browser.get(path), 4, fill)
    listed = browser.get(f"{path}?edited=1&after=20")
    assert listed.shown.count("Undo all 28") == 1
    action = re.findall(r'action="([^"]*/undo)"', listed.text)[3]
    one_left = browser.get(browser.post(action, {"after": "20"}).location.partition("#")[0])
    assert one_left.shown.count("Undo all 27") == 1
    after = browser.get(browser.post(action.replace("32/", "33/"), {"all": "1"}).location.partition("#")[0])
    assert "Undo edit" not in after.shown
    assert "1 of 29 rows is good. 28 need you." in browser.get(path).shown


def test_an_edited_cell_offers_the_same_for_the_others(browser: Browser) -> None:
    """The count stays what it was before the edit: it is one of them."""
    path = checked(browser, *[(str(number), "Prx", "b", "1", "2026-01-02", "") for number in range(1, 4)])
    edited = send(browser, browser.get(path), 3, {f"cell-{TYPE}": "Pre"})
    assert "Row 3 is good now." in result_of(edited)
    assert "Apply to all 3 like this" in edited.shown
    reply = send(browser, edited, 3, {"apply": str(TYPE)})
    assert "2 cells of Type are 'Pre' now." in result_of(reply)
    assert "All 3 rows are good." in reply.shown


def test_a_group_of_cells_needs_a_new_value_first(browser: Browser) -> None:
    """The button alone would put the wrong value into all of them."""
    path = checked(browser, *[(str(number), "Pre", "b", "x", "2026-01-02", "") for number in range(1, 4)])
    reply = send(browser, browser.get(path), 2, {"apply": str(REVENUE)})
    assert "Type or choose another value first" in reply.shown
    assert browser.get(f"{path}?edited=1").shown.count("Undo edit") == 0


@pytest.mark.parametrize("with_script", [True, False])
def test_the_second_of_two_people_sees_what_the_first_typed(browser: Browser, *, with_script: bool) -> None:
    """Nothing is overwritten unseen, and what the second typed is still in the input."""
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""))
    seen_by_both = browser.get(path)
    send(browser, seen_by_both, 3, {f"cell-{REVENUE}": "5"})
    second = send(browser, seen_by_both, 3, {f"cell-{REVENUE}": "6"}, with_script=with_script)
    assert "changed this cell to '5' meanwhile. Save again to replace that." in second.shown
    assert 'name="cell-3" value="6"' in row_in(second, 3)
    assert "<ins>5</ins>" in row_in(second, 3)
    send(browser, second, 3, {}, with_script=with_script)
    assert "<ins>6</ins>" in row_in(browser.get(f"{path}?row=3"), 3)


@pytest.mark.parametrize("with_script", [True, False])
def test_nothing_is_kept_of_what_is_typed_while_the_file_is_checked_again(
    browser: Browser, shared_server: PageServer, with_script: bool
) -> None:
    """The check waits for a lock at its end: the draft that is being replaced takes no edit."""
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""))
    page, folder = browser.get(path), shared_server.folder / "runs" / "web" / path.split("/")[2]
    with FileLock(folder / ".draft-lock"):
        browser.post(path, {})
        until((folder / "draft.sqlite-ready").exists)
        reply = send(browser, page, 3, {f"cell-{REVENUE}": "77"}, with_script=with_script)
        assert reply.status == 409
        assert "The file is being checked again: try it in a moment." in reply.shown
        assert with_script or f'name="cell-{REVENUE}" rows="1">\n77</textarea>' in reply.text
    wait_until(browser, path, "What next")
    assert "<ins>" not in row_in(browser.get(f"{path}?row=3"), 3)
    send(browser, page, 3, {f"cell-{REVENUE}": "77"}, with_script=with_script)
    assert "<ins>77</ins>" in row_in(browser.get(f"{path}?row=3"), 3)


def test_nothing_is_kept_of_what_is_typed_once_a_file_is_to_be_sent(page_server: PageServer, api: Sandbox) -> None:
    """It waits for another process, and what it sends is what the person saw."""
    browser = page_server.signed_in()
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""))
    page, files = browser.get(path), path.removesuffix("/check")
    with locked(page_server.folder / "runs", api.url, "nightly.csv"):
        browser.post(f"{files}/send", browser.get(f"{files}/preview").form(f"{files}/send"))
        reply = send(browser, page, 3, {f"cell-{REVENUE}": "77"})
        assert reply.status == 409
        assert "week 48.tsv is being sent. Its cells can be changed when that has ended." in reply.shown
    until(api.requests)
    assert [request["path"].rsplit("/", 1)[1] for request in api.requests()] == ["1"]


def test_a_row_of_a_run_says_which_of_its_cells_were_changed(page_server: PageServer) -> None:
    """By whom, when, and what they held before: on its page, and by `report --row`."""
    browser = page_server.signed_in()
    path = checked(browser, GOOD, ("2", "Pre", "b", "<x>", "2026-01-02", ""))
    files = path.removesuffix("/check")
    send(browser, browser.get(path), 3, {f"cell-{REVENUE}": "1.5"})
    browser.post(f"{files}/send", browser.get(f"{files}/preview").form(f"{files}/send"))
    wait_until(browser, f"{files}/run", "All 2 rows were updated.")
    run = browser.request("GET", f"{files}/run").location
    page = browser.get(f"{run}/rows/3")
    user = getpass.getuser()
    assert f"SalesRevenue D3: <del>&lt;x&gt;</del> → <ins>1.5</ins>, {user}, <time" in page.text
    assert "<del>" not in browser.get(f"{run}/rows/2").text
    told = batch_updater("report", "--row", "3", "--json", cwd=page_server.folder).object
    at = told["edits"][0].pop("at")
    assert told["edits"] == [{"cell": "D3", "header": "SalesRevenue", "old": "<x>", "new": "1.5", "by": user}]
    said = batch_updater("report", "--row", "3", cwd=page_server.folder).out
    assert f"SalesRevenue D3: <x> → 1.5, {user}, {datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}" in said
    lines = batch_updater("report", "--rows", cwd=page_server.folder).out.splitlines()
    assert [len(json.loads(line)["edits"]) for line in lines] == [0, 1]


def test_a_value_that_was_not_touched_is_no_conflict(browser: Browser) -> None:
    """Only what a person changed is theirs: another cell of the row keeps what someone else typed meanwhile."""
    path = checked(browser, GOOD, ("2", "Prx", "b", "x", "2026-01-02", ""))
    seen_by_both = browser.get(path)
    send(browser, seen_by_both, 3, {f"cell-{REVENUE}": "5"})
    second = send(browser, seen_by_both, 3, {f"cell-{TYPE}": "Pre"})
    assert result_of(second) == "Row 3 is good now."
    assert "<ins>5</ins>" in row_in(second, 3)


def test_valid_values_are_offered_the_nearest_first_and_others_can_be_typed(browser: Browser) -> None:
    """What is typed beside the list wins over what is chosen in it."""
    path = checked(browser, GOOD, ("2", "Pst", "b", "1", "2026-01-02", ""))
    page = browser.get(path)
    assert re.findall(r"<option[^>]*>([^<]*)", row_in(page, 3)) == ["Pst (now)", "Post", "Pre", "blank: not sent"]
    typed = send(browser, page, 3, {f"cell-{TYPE}": "Post", f"other-{TYPE}": "Pro"})
    assert "Row 3 is not good yet: 'Pro' is not" in result_of(typed)
    assert "Pst (now)" not in typed.shown
    assert result_of(send(browser, typed, 3, {f"cell-{TYPE}": "Pre"})) == "Row 3 is good now."


def test_a_cause_filters_the_grid_and_its_pages_follow_each_other(browser: Browser) -> None:
    """Fifty rows to a page, in the order of the file, and the filter goes with them."""
    rows = [(str(n), "Prx" if n % 2 else "Pre", "b", "1" if n % 2 else "x", "2026-01-02", "") for n in range(1, 161)]
    path = checked(browser, *rows)
    page = browser.get(path)
    links = [unescape(link) for link in re.findall(r'href="([^"]*cause=[^"]*)#grid"', page.text)]
    assert links[0] == f"{path}?cause={quote('Type (opportunityType): not one of the values', safe='')}"
    filtered = browser.get(links[0])
    assert "80 rows with “Type (opportunityType): not one of the values”." in filtered.shown
    (following,) = re.findall(r'rel="next" href="([^"#]*)', filtered.text)
    second = browser.get(unescape(following))
    numbers = [int(n) for answer in (filtered, second) for n in re.findall(r'<tr id="row-(\d+)"', answer.text)]
    assert numbers == list(range(2, 162, 2))
    assert 'rel="next"' not in second.text
    assert "First rows" in second.shown


def test_any_row_can_be_looked_up_by_its_number(browser: Browser) -> None:
    """A good row too; what is no row is said, and the number stays in its input."""
    path = checked(browser, GOOD, ("2", "Prx", "b", "1", "2026-01-02", ""))
    assert "good" in row_in(browser.get(f"{path}?row=2"), 2)
    missing = browser.get(f"{path}?row=99")
    assert "There is no data row 99 in this file." in missing.shown
    assert 'name="row" inputmode="numeric" pattern="[0-9, ]*" size="7" required value="99"' in missing.text
    for text in ("-1", "x", "99999999999999999999", "<b>", "٣"):
        assert "There is no data row" in browser.get(f"{path}?row={quote(text)}").shown


HOSTILE = (
    '=HYPERLINK("http://x.example","y")', "<i>x</i>", "{{ 7*7 }}{% raw %}",
    '"><script>alert(1)</script>',
    "a\u202egnp.exe", "&amp;&#60;", "x" * 30_000,
)  # fmt: skip


def test_hostile_cells_are_text_wherever_they_are(browser: Browser) -> None:
    """In inputs, in reasons, beside them and in the list of edits; `Browser` refuses any inline script."""
    path = checked(browser, *[(str(n), "Pre", "b", text, "2026-01-02", text) for n, text in enumerate(HOSTILE, 1)])
    page = browser.get(path)
    for number, text in enumerate(HOSTILE, 2):
        _, form = form_in(page, number)
        assert form[f"cell-{REVENUE}"] == text
        assert form[f"seen-{REVENUE}"] == text
        whole = browser.get(f"{path}?row={number}")
        assert "<i>" not in whole.text
        assert "49" not in whole.shown
        edited = send(browser, page, number, {f"cell-{REVENUE}": text[::-1]})
        assert form_in(edited, number)[1][f"cell-{REVENUE}"] == text[::-1]
    listed = browser.get(f"{path}?edited=1")
    assert "<i>" not in listed.text
    assert "\u202e" not in listed.text


@pytest.mark.parametrize("text", ["line one\nline two", "\nfirst line is blank", " blanks ", "a\rb"])
def test_saving_a_row_changes_no_cell_that_was_not_touched(browser: Browser, text: str) -> None:
    """Forms change line ends: what comes back as it went out is no edit."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEADERS)
    sheet.append([2, "Prx", "b", text, "2026-01-02", None])
    file = io.BytesIO()
    book.save(file)
    path = f"{browser.upload('cells.xlsx', file.getvalue()).location}/check"
    page = wait_until(browser, path, "What next")
    _, form = form_in(page, 2)
    as_sent = {name: value.replace("\n", "\r\n") for name, value in form.items()}
    send(browser, page, 2, as_sent | {f"cell-{TYPE}": "Pre"})
    assert browser.get(f"{path}?edited=1").shown.count("Undo edit") == 1


def test_dates_that_were_left_open_can_be_read_one_way_after_all(browser: Browser) -> None:
    """A button beside one of them answers the question for the whole column, and the file is checked again."""
    days = ("25/03/2026", "03/04/2026", "04/05/2026", "05/06/2026")
    rows = [(str(number), "Pre", "b", "1", day, "") for number, day in enumerate(days, 1)]
    upload = browser.upload("dates.tsv", content(rows)).location
    asked = wait_until(browser, upload, "Read all 4 dates as day/month?")
    assert browser.request("GET", f"{upload}/check").location == upload
    ((key, value),) = re.findall(r'name="([^"]+)" value="(\d+)"[^>]*> <span>no: those', asked.text)
    browser.post(f"{upload}/answers", asked.form(f"{upload}/answers") | {key: value})
    left = wait_until(browser, f"{upload}/check", "1 of 4 rows is good. 3 need you.")
    assert "Apply to all 3 like this" in row_in(left, 3)
    action, form = form_in(left, 3)
    reply = browser.post(action, form | {f"reading-{DAY}": "0", "read": str(DAY)}, **HTMX)
    assert reply.headers["HX-Redirect"] == f"{upload}/check"
    wait_until(browser, f"{upload}/check", "All 4 rows are good.")


def test_rows_that_the_api_refused_are_repaired_on_the_page_of_the_run(browser: Browser) -> None:
    """The API's own reason beside the cell, valid names once it has named them; a row may be sent again as it is."""
    refused = *((str(id_), "Pre", "Propsal") for id_ in (2, 3, 4)), ("5", "Pre", "Propose")
    table = [("Id", "Type", "StageName"), *refused, ("6", "Prx", "Proposal")]
    text = "\n".join(",".join(cells) for cells in table)
    files = browser.upload("stages.csv", text.encode()).location
    wait_until(browser, f"{files}/check", "4 of 5 rows are good.")
    browser.post(f"{files}/send", browser.get(f"{files}/preview").form(f"{files}/send"))
    wait_until(browser, f"{files}/run", "None of the 5 rows was updated.")
    run = browser.request("GET", f"{files}/run").location
    page = wait_until(browser, run, "Rows to repair")
    assert "'Propsal' is not a stage that Nexus accepts." in row_in(page, 2).replace("&#39;", "'")
    assert re.findall(r"<option[^>]*>([^<]*)", row_in(page, 2))[:2] == ["Propsal (now)", "Proposal"]
    assert "Send as it is" in row_in(page, 5)
    assert "Send as it is" not in row_in(page, 6)  # the check would find it wrong again
    action, _ = form_in(page, 2)
    repaired = send(browser, page, 2, {"cell-2": "Proposal", "apply": "2"})
    assert result_of(repaired) == "3 cells of StageName are 'Proposal' now. Row 2 is good now."
    assert "Rows to repair" in repaired.shown
    assert form_in(repaired, 2)[0] == action
    accepted = send(browser, page, 5, {"accept": "1"})
    assert result_of(accepted) == "The row will be sent as it is. Row 5 is good now."
    after = send(browser, browser.get(f"{run}?row=5"), 5, {}, with_script=False)
    assert "Send 4 repaired rows" in after.shown


def test_a_file_that_cannot_be_read_says_why_and_what_to_do(browser: Browser) -> None:
    """With a way to give another file, to check this one again, and to remove it."""
    path = f"{browser.upload('broken.xlsx', b'PK' + bytes(100)).location}/check"
    page = wait_until(browser, path, "The file could not be checked.")
    assert "Check again" in page.shown
    assert browser.post(path, {}).location == path
    wait_until(browser, path, "The file could not be checked.")
    removed = browser.post(f"{path.removesuffix('/check')}/remove", {})
    assert removed.location == "/"
    assert browser.request("GET", path).status == 404


def test_the_workbook_of_the_check_has_the_rows_as_they_are_now(browser: Browser) -> None:
    """The sheet Edits lists what was typed; the upload itself stays as it is."""
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""), ("3", "Prx", "c", "1", "2026-01-02", ""))
    send(browser, browser.get(path), 3, {f"cell-{REVENUE}": "5"})
    answer = browser.request("GET", f"{path}.xlsx")
    assert "attachment; filename*=UTF-8''week_48-check.xlsx" in answer.headers["Content-Disposition"]
    book = openpyxl.load_workbook(io.BytesIO(answer.body))
    assert [row[0].value for row in book["To fix"].iter_rows(min_row=2)] == [4]
    (edit,) = list(book["Edits"].iter_rows(min_row=2, values_only=True))
    assert {"x", "5"} <= set(map(str, edit))


def test_answers_that_name_no_row_or_no_number_are_refused(browser: Browser) -> None:
    """Whatever is in the address or the form, the answer is a page, and nothing is changed."""
    path = checked(browser, GOOD, ("2", "Pre", "b", "x", "2026-01-02", ""))
    files, token = path.removesuffix("/check"), browser.token()
    for row in ("1", "99", "9" * 30):
        assert browser.post(f"{files}/rows/{row}", {"cell-3": "1"}, token=token).status == 404
    for fields in ({"cell-99": "1"}, {"cell--1": "1"}, {"undo": "77"}, {"apply": "0"}, {"apply": "x"}, {"read": "3"},
                   {"accept": "1"}, {"cell-5": "1"}, {"same-3": "::", "apply": "3"}):  # fmt: skip
        assert browser.post(f"{files}/rows/3", fields, token=token, **HTMX).status == 200
    assert browser.get(f"{path}?edited=1").shown.count("Undo edit") == 0
    assert browser.post(f"{files}/edits/{'9' * 30}/undo", {}, token=token).status == 404
