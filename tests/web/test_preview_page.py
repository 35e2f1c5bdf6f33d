"""The page of what would be sent: with the real server, the real sandbox and real files."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest

from batch_updater.runs.lock import locked
from tests.web.queue import until
from tests.web.served import Browser, PageServer, configured, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox
    from tests.web.served import Answer


def rows_of(count: int, **more: str) -> bytes:
    """Return a CSV file of so many rows, from row 2 on, with further columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["Id", "Type", "SalesRevenue", *more])
    writer.writeheader()
    writer.writerows({"Id": row, "Type": "Pre", "SalesRevenue": 1000 + row, **more} for row in range(2, count + 2))
    return text.getvalue().encode()


def checked(browser: Browser, content: bytes, name: str = "q1.csv") -> str:
    """Upload a file, and return its address once it is checked."""
    files = browser.upload(name, content).location
    wait_until(browser, f"{files}/check", "good")
    return files


def press(browser: Browser, page: Answer, action: str, **more: str) -> Answer:
    """Send a form of a page as it is."""
    return browser.post(action, {**page.form(action), **more})


def button(page: Answer, text: str) -> str:
    """Return the tag of a button."""
    found = re.search(rf"(<button[^>]*>){re.escape(text)}</button>", page.text)
    assert found, page.shown
    return found[1]


def test_the_preview_says_what_will_be_sent(browser: Browser, api: Sandbox) -> None:
    """Fields with counts, host, time, the first request without a secret, and a button that counts; nothing is sent."""
    files = checked(browser, rows_of(3))
    page = browser.get(f"{files}/preview")
    assert page.status == 200
    assert "disabled" not in button(page, "Send 3 rows")
    assert "SalesRevenue 3" in page.shown
    assert f"To {api.url} (nexus-opportunity)" in page.shown
    assert "at 5000 requests a second" in page.shown
    assert f"PUT {api.url}/api/v2/opportunities/2 Query opportunityType=Pre" in page.shown
    assert '{ "SalesRevenue": 1002 }' in page.shown
    assert "Authorization" not in page.text
    assert api.requests() == []


def test_a_file_is_sent_once_however_often_the_button_is_pressed(browser: Browser, api: Sandbox) -> None:
    """Also from an old page, after the run has ended."""
    files = checked(browser, rows_of(5))
    page = browser.get(f"{files}/preview")
    for _ in range(2):
        assert press(browser, page, f"{files}/send").location == f"{files}/run"
    run = wait_until(browser, f"{files}/run", "All 5 rows were updated.")
    assert press(browser, page, f"{files}/send").location == f"{files}/run"
    assert browser.get(f"{files}/run").shown == run.shown
    assert len(api.requests()) == 5
    assert re.search(r"This was applied before \(<time datetime=", browser.get(f"{files}/preview").text)


def test_rows_that_another_file_has_sent_meanwhile_are_not_sent_again(browser: Browser, api: Sandbox) -> None:
    """The person saw a page that said nothing of it; the page as it is by then says so, and sends them."""
    first, second = checked(browser, rows_of(3)), checked(browser, rows_of(3))
    old = browser.get(f"{second}/preview")
    press(browser, browser.get(f"{first}/preview"), f"{first}/send")
    wait_until(browser, f"{first}/run", "All 3 rows were updated.")
    press(browser, old, f"{second}/send")
    page = wait_until(browser, f"{second}/run", "Another run of these rows has begun or ended since.")
    assert len(api.requests()) == 3
    page = browser.get(f"{second}/preview")
    assert "This was applied before" in page.shown
    press(browser, page, f"{second}/send")
    wait_until(browser, f"{second}/run", "All 3 rows were updated.")
    assert len(api.requests()) == 6


def test_reading_records_first_shows_what_would_change(browser: Browser, api: Sandbox) -> None:
    """The largest jump comes first, pages follow one another, and nothing is changed."""
    files = checked(browser, rows_of(60))
    answer = press(browser, browser.get(f"{files}/preview"), f"{files}/compare")
    assert answer.location == f"{files}/preview#changes"
    page = wait_until(browser, f"{files}/preview", "Read records again")
    assert "60 records change" in page.shown
    assert "60 changes, the largest jumps first" in page.shown
    jumps = re.findall(r'data-label="Jump:">([\d,.]+)<', page.text)
    assert len(jumps) == 50
    for column in ("Now", "New"):
        amounts = re.findall(rf'data-label="{column}:">(?:<[^>]+>)*(-?[\d,]+(?:\.\d+)?)<', page.text)
        assert amounts, page.text
        assert all(re.fullmatch(r"-?\d{1,3}(,\d{3})*(\.\d+)?", amount) for amount in amounts), amounts
    numbers = [float(jump.replace(",", "")) for jump in jumps]
    assert numbers == sorted(numbers, reverse=True)
    (rest,) = re.findall(r'rel="next" href="([^"]+)"', page.text)
    more = re.findall(r'data-label="Jump:">([\d,.]+)<', browser.get(rest).text)
    assert len(more) == 10
    assert float(more[0].replace(",", "")) <= numbers[-1]
    assert {request["method"] for request in api.requests()} == {"GET"}
    assert "possible: every record is read before its update" in page.shown


def test_an_edit_makes_another_preview_of_an_old_page_unsendable(browser: Browser, api: Sandbox) -> None:
    """What is sent is what the person saw."""
    content = rows_of(3).replace(b"1003", b"much")
    files = checked(browser, content)
    old = browser.get(f"{files}/preview")
    grid = browser.get(f"{files}/check")
    saved = press(browser, grid, f"{files}/rows/3", **{"cell-2": "7"})
    assert saved.status == 303
    refused = press(browser, old, f"{files}/send")
    assert refused.status == 409
    assert "What would be sent has changed since." in refused.shown
    assert "What you typed" not in refused.shown
    assert api.requests() == []
    assert "disabled" not in button(browser.get(f"{files}/preview"), "Send 3 rows")


@pytest.fixture
def guarded(tmp_path: Path, api: Sandbox) -> Iterator[PageServer]:
    """Give the page with guards, of which no one can approve anything."""
    with PageServer(configured(tmp_path, api.url, more="guards: {rows: 4, factor: 1.5, cleared: 9}\n")) as server:
        yield server


def test_over_a_guard_the_button_is_disabled_with_the_reason(guarded: PageServer, api: Sandbox) -> None:
    """Every guard that is set is shown with figure and limit; a form of one's own does not send either."""
    browser = guarded.signed_in()
    files = checked(browser, rows_of(5))
    page = browser.get(f"{files}/preview")
    assert 'disabled aria-describedby="refusal"' in button(page, "Send 5 rows")
    reason = re.search(r'id="refusal" class="reason">([^<]+)<', page.text)
    assert reason
    assert "The file has 5 rows, and guards.rows allows 4" in reason[1]
    assert "guards.rows 5 4 Exceeded." in page.shown
    assert "guards.cleared 0 9 not exceeded" in page.shown
    assert "guards.factor not known yet 1.5 judged once the records are read" in page.shown
    refused = press(browser, page, f"{files}/send")
    assert refused.status == 409
    assert "guards.rows" in refused.shown
    assert api.requests() == []


def test_guards_on_changes_are_judged_by_what_was_read(guarded: PageServer) -> None:
    """Before, the file may be sent; the factor of its changes disables the button."""
    browser = guarded.signed_in()
    files = checked(browser, rows_of(2).replace(b"1002", b"9999999999"))
    page = browser.get(f"{files}/preview")
    assert "disabled" not in button(page, "Send 2 rows")
    press(browser, page, f"{files}/compare")
    page = wait_until(browser, f"{files}/preview", "Read records again")
    assert "disabled" in button(page, "Send 2 rows")
    assert re.search(r"guards\.factor [\d,.e+]+ 1\.5 Exceeded\. Row 2 would change SalesRevenue", page.shown)


@pytest.fixture
def team(tmp_path: Path, api: Sandbox) -> Iterator[PageServer]:
    """Give the page for a team: anna sends small files, ben approves."""
    web = "auth: proxy, may_send: [anna, ben], may_approve: [ben, cleo]"
    with PageServer(configured(tmp_path, api.url, web, "guards: {rows: 4}\n")) as server:
        yield server


def test_a_second_person_approves_exactly_what_is_there(team: PageServer, api: Sandbox) -> None:
    """Its uploader cannot; an edit withdraws it, which is told; then it is approved and sent once more."""
    anna, ben = (team.browser(X_Forwarded_User=name) for name in ("anna", "ben"))
    files = checked(anna, rows_of(5).replace(b"1003", b"much"))
    page = anna.get(f"{files}/preview")
    assert "disabled" in button(page, "Send 4 rows")
    assert "Ask ben or cleo to approve it." in page.shown
    assert "Approve these" not in page.shown
    assert anna.post(f"{files}/approval", page.form(f"{files}/send")).status == 409

    seen = ben.get(f"{files}/preview")
    assert button(seen, "Approve these 4 rows")
    assert press(ben, seen, f"{files}/approval").location == f"{files}/preview"
    by_ben = ben.get(f"{files}/preview")
    assert "You have approved exactly these rows. Another person has to send them." in by_ben.shown
    assert "Approve these" not in by_ben.shown
    approved = anna.get(f"{files}/preview")
    assert "disabled" not in button(approved, "Send 4 rows")
    assert "Approved by ben" in approved.shown

    press(anna, anna.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "7"})
    withdrawn = anna.get(f"{files}/preview")
    assert "disabled" in button(withdrawn, "Send 5 rows")
    assert "The approval was withdrawn. What would be sent has changed since ben approved it." in withdrawn.shown
    assert press(ben, seen, f"{files}/approval").status == 409
    assert api.requests() == []

    press(ben, ben.get(f"{files}/preview"), f"{files}/approval")
    press(anna, anna.get(f"{files}/preview"), f"{files}/send")
    run = wait_until(anna, f"{files}/run", "All 5 rows were updated.")
    assert "ben approved" in run.shown
    assert len(api.requests()) == 5


def test_an_approval_is_for_one_sending(team: PageServer, api: Sandbox) -> None:
    """The same rows once more are another decision, which another approval is for."""
    anna, ben = (team.browser(X_Forwarded_User=name) for name in ("anna", "ben"))
    files = checked(anna, rows_of(5))
    press(ben, ben.get(f"{files}/preview"), f"{files}/approval")
    for count in (5, 10):
        press(anna, anna.get(f"{files}/preview"), f"{files}/send")
        wait_until(anna, f"{files}/run", "All 5 rows were updated.")
        assert len(api.requests()) == count
        again = anna.get(f"{files}/preview")
        assert "disabled" in button(again, "Send 5 rows")
        assert press(anna, again, f"{files}/send").status == 409
        assert press(ben, ben.get(f"{files}/preview"), f"{files}/approval").location == f"{files}/preview"


def test_no_one_is_another_person_by_the_case_of_a_name(team: PageServer) -> None:
    """Who signs in as `Ben` may be `ben`: no one approves what both have a hand in."""
    upper, lower = (team.browser(X_Forwarded_User=name) for name in ("Ben", "ben"))
    files = checked(upper, rows_of(5))
    assert "Ask cleo to approve it." in upper.get(f"{files}/preview").shown
    page = lower.get(f"{files}/preview")
    assert "Approve these" not in page.shown
    refused = lower.post(f"{files}/approval", page.form(f"{files}/send"))
    assert "A person who uploaded, answered or edited it cannot approve it." in refused.shown


def test_a_name_is_the_same_however_its_letters_are_composed(tmp_path: Path, api: Sandbox) -> None:
    """A Mac writes `José` in another way into the configuration than the proxy into its header."""
    web = "auth: proxy, may_send: ['Jose\u0301 ']"
    with PageServer(configured(tmp_path, api.url, web)) as server:
        jose = server.browser(X_Forwarded_User="José".encode().decode("latin-1"))
        files = checked(jose, rows_of(2))
        assert "disabled" not in button(jose.get(f"{files}/preview"), "Send 2 rows")


def test_who_may_not_send_is_told_so(team: PageServer) -> None:
    """The button says why, and a form of one's own does not send."""
    dora = team.browser(X_Forwarded_User="dora")
    files = checked(dora, rows_of(2))
    page = dora.get(f"{files}/preview")
    assert "disabled" in button(page, "Send 2 rows")
    assert "dora may not send alone (web.may_send)." in page.shown
    assert press(dora, page, f"{files}/send").status == 409
    anna = team.browser(X_Forwarded_User="anna")
    assert anna.get(f"{files}/preview").status == 404


def test_open_questions_come_before_the_preview(browser: Browser) -> None:
    """The preview leads back to them."""
    content = b'Id,Type,SalesRevenue\n1,Pre,"1,234"\n2,Pre,"5,678"\n'
    files = browser.upload("q.csv", content).location
    wait_until(browser, files, "decimal mark")
    assert browser.request("GET", f"{files}/preview").location == files


def test_what_was_taken_from_the_queue_does_not_wait_any_more(tmp_path: Path, api: Sandbox) -> None:
    """Neither does a page of it that is still open, say that of another person."""
    with PageServer(configured(tmp_path, api.url)) as server:
        browser = server.signed_in()
        files = checked(browser, rows_of(3))
        with locked(tmp_path / "runs", api.url, "nightly.csv"):
            press(browser, browser.get(f"{files}/preview"), f"{files}/send")
            wait_until(browser, f"{files}/run", "nightly.csv")
            assert browser.post(f"{files}/run", {}).location == f"{files}/preview"
            until(lambda: browser.request("GET", f"{files}/run").status == 303)  # it may be tried just then
            assert browser.request("GET", f"{files}/run").location == f"{files}/preview"
        assert not api.requests()
