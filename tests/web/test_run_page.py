"""The page of a run, while it is going on and afterwards: with the real server, the real sandbox and real files."""

from __future__ import annotations

import io
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.program import batch_updater
from tests.torture.runs import start
from tests.web.queue import until
from tests.web.served import Browser, PageServer, configured, wait_until
from tests.web.test_preview_page import button, checked, press, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPConnection, HTTPResponse
    from pathlib import Path

    from tests.end_to_end.program import Sandbox
    from tests.web.served import Answer

SLOW = {
    "BATCH_UPDATER_SENDING__RATE_PER_S": "25",
    # Longer than the sandbox is ever held.
    "BATCH_UPDATER_API__TIMEOUT_S": "200", "BATCH_UPDATER_SENDING__DRAIN_S": "200",
}  # fmt: skip
READS = {"BATCH_UPDATER_SENDING__COMPARE": "true"}


def sent(browser: Browser, content: bytes, name: str = "q1.csv") -> str:
    """Send a file from its preview, and return the address of its run as soon as there is one."""
    files = checked(browser, content, name)
    press(browser, browser.get(f"{files}/preview"), f"{files}/send")
    while True:
        answer = browser.request("GET", f"{files}/run")
        if answer.status == 303:
            return answer.location
        assert "Nothing was sent" not in answer.shown, answer.shown


def finished(browser: Browser, run: str) -> Answer:
    """Wait until a run has ended."""
    return wait_until(browser, run, "What next")


@pytest.fixture
def slow(tmp_path: Path, api: Sandbox) -> Iterator[PageServer]:
    """Serve the page with 25 requests a second."""
    with PageServer(configured(tmp_path, api.url), **SLOW) as server:
        yield server


def events_of(browser: Browser, run: str, connection: HTTPConnection) -> HTTPResponse:
    """Ask for the events of a run; the answer is still arriving."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    connection.request("GET", f"{run}/events", headers={"Cookie": cookie})
    return connection.getresponse()


def stopped_run(browser: Browser, content: bytes, api: Sandbox) -> str:
    """Send a file, and stop its run once some rows are sent; returns the address of the run."""
    with api.held_after(5):
        run = sent(browser, content)
        assert press(browser, wait_until(browser, run, "a second"), f"{run}/stop").location == run
    return run


def test_a_run_shows_how_far_it_is_and_then_how_it_ended(slow: PageServer, api: Sandbox) -> None:
    """The same page, without JavaScript: counts by outcome, rate, time left; then verdict, counts, facts, downloads."""
    browser = slow.signed_in()
    with api.held_after(20):
        run = sent(browser, rows_of(60))
        going = wait_until(browser, run, "a second")
    assert '<noscript><meta http-equiv="refresh"' in going.text
    assert re.search(r"\d+ of 60 rows, [\d.]+ a second, [\d.]+ s left", going.shown), going.shown
    assert "Stop" in going.shown
    ended = finished(browser, run)
    assert "All 60 rows were updated." in ended.shown
    assert "There is nothing left to do." in ended.shown
    assert "refresh" not in ended.text
    assert re.search(r"Results workbook q1-results-\d{8}-\d{6}\.xlsx, [\d.]+ kB", ended.shown)
    assert "sent" in ended.shown


def test_events_tell_how_far_a_run_is_until_it_ends(slow: PageServer, api: Sandbox) -> None:
    """Each is a part of the page in one event, twice a second at most; the last one is `end`."""
    browser = slow.signed_in()
    with closing(browser.connect()) as connection:
        with api.held_after(20):
            run = sent(browser, rows_of(120))
            began = time.monotonic()
            response = events_of(browser, run, connection)
            first = response.readline()
        text = (first + response.read()).decode()
        took_s = time.monotonic() - began
    assert response.headers.get_content_type() == "text/event-stream"
    events = [event for event in text.split("\n\n") if event and not event.startswith(":")]
    kinds = [event.split("\n")[0] for event in events]
    assert kinds[-1] == "event: end"
    assert set(kinds[:-1]) == {"event: message"}
    assert 2 <= len(kinds) <= 2 * took_s + 3
    assert all(line.startswith(("event: ", "data: ")) for event in events for line in event.split("\n"))
    assert "of 120 rows" in events[1]
    assert finished(browser, run)


def test_stop_awaits_what_is_in_flight_and_go_on_sends_the_rest(slow: PageServer, api: Sandbox) -> None:
    """Every row is sent once, and the page says who stopped it and who let it go on."""
    browser = slow.signed_in()
    run = stopped_run(browser, rows_of(60), api)
    stopped = finished(browser, run)
    assert re.search(r"\d+ rows are not done\. Going on sends just those\.", stopped.shown), stopped.shown
    assert "The run ended early: You stopped the run. Press “Go on”." in stopped.shown
    assert "un again" not in stopped.shown
    assert len(api.requests()) < 60
    assert "and running the same file again would send every row" in stopped.shown

    assert press(browser, stopped, f"{run}/resume").location == run
    ended = wait_until(browser, run, "All 60 rows were updated.")
    assert len(api.requests()) == 60
    for what in ("stopped", "resumed", "sent"):
        assert re.search(rf"<b>[^<]+</b> {what}", ended.text), what


def test_a_stopped_run_says_when_its_rows_can_be_repaired_and_its_times_are_elements(
    slow: PageServer, api: Sandbox
) -> None:
    """The grid comes with the end of the run: until then no sentence promises it, and none names a sheet."""
    browser = slow.signed_in()
    run = stopped_run(browser, rows_of(60).replace(b"1003", b"much"), api)
    stopped = finished(browser, run)
    assert "1 row needs a person. It can be repaired here once the run has come to its end." in stopped.shown
    assert (
        "a cell is wrong; nothing was sent: it can be repaired here once the run has come to its end" in stopped.shown
    )
    assert "To fix" not in stopped.shown
    assert re.search(r"<dt>When</dt><dd><time datetime=", stopped.text)
    assert not re.search(r"\d UTC", re.sub(r"<time .*?</time>", "", stopped.text))
    press(browser, stopped, f"{run}/resume")
    ended = wait_until(browser, run, "Rows to repair")
    assert "a cell is wrong; nothing was sent: repair it below" in ended.shown


def test_an_unfinished_run_is_closed_for_good(slow: PageServer, api: Sandbox) -> None:
    """Its rows then count as not sent; those that need repair can be repaired."""
    browser = slow.signed_in()
    run = stopped_run(browser, rows_of(60), api)
    stopped = finished(browser, run)
    assert "Closing it is for good" in stopped.shown
    assert press(browser, stopped, f"{run}/close").location == run
    closed = browser.get(run)
    assert "The run is closed." in closed.shown
    assert "Go on" not in closed.shown
    assert "Closing it is for good" not in closed.shown


def test_who_may_not_send_stops_and_closes_no_run_of_another(tmp_path: Path, api: Sandbox) -> None:
    """The person who sends it can, and those who may send."""
    web = "auth: proxy, may_send: [anna, ben]"
    with PageServer(configured(tmp_path, api.url, web), **SLOW) as server:
        anna, ben, dora = (server.browser(X_Forwarded_User=name) for name in ("anna", "ben", "dora"))
        with api.held_after(5):
            run = sent(anna, rows_of(60))
            going = wait_until(dora, run, "a second")
            assert "disabled" in button(going, "Stop")
            refused = press(dora, going, f"{run}/stop")
            assert refused.status == 409
            assert "anna sends it, and dora may not send (web.may_send)." in refused.shown
            assert press(ben, wait_until(ben, run, "a second"), f"{run}/stop").status == 303
        stopped = finished(dora, run)
        assert "disabled" in button(stopped, "Close this run")
        assert press(dora, stopped, f"{run}/close").status == 409
        assert press(anna, finished(anna, run), f"{run}/close").status == 303


def test_a_run_of_the_command_line_is_shown_but_not_stopped(slow: PageServer, api: Sandbox) -> None:
    """Its counts are read from its database, and its process is named; afterwards its rows can be repaired."""
    browser, folder = slow.signed_in(), slow.folder
    (folder / "q2.csv").write_bytes(rows_of(60).replace(b"1003", b"much"))
    with api.held_after(3):
        process = start(folder, "run", "q2.csv", "--yes", **SLOW)
        api.wait_for(3)
        (run,) = {f"/runs/{path.parent.name}" for path in (folder / "runs").glob("2*/run.sqlite")}
        going = wait_until(browser, run, "of 60 rows")
        assert f"Process {process.pid} on this machine sends it" in going.shown
        assert "Stop" not in going.shown
        assert browser.post(f"{run}/stop", {}).status == 409
    process.communicate()
    ended = finished(browser, run)
    assert "59 of 60 rows were updated. 1 needs you." in ended.shown
    assert press(browser, ended, f"{run}/repair").location == f"{run}#grid"
    grid = wait_until(browser, run, "Rows to repair")
    assert "disabled" in button(grid, "Send 0 repaired rows")


def test_repaired_rows_are_sent_from_the_page_of_the_run(browser: Browser, api: Sandbox) -> None:
    """The grid is there by itself; its rows alone are sent, once, and the two rounds of the file know each other."""
    run = sent(browser, rows_of(6).replace(b"1003", b"much").replace(b"1005", b"more"))
    page = wait_until(browser, run, "Send 0 repaired rows")
    assert "2 rows need a person. Repaired here, just those are sent." in page.shown
    (action,) = set(re.findall(r'<form id="form-3"[^>]*action="([^"]+)"', page.text))
    files = action.partition("/rows/")[0]
    assert press(browser, page, action, **{"cell-2": "7"}).location.startswith(run)
    page = browser.get(run)
    assert "disabled" not in button(page, "Send 1 repaired row")
    for _ in range(2):
        assert press(browser, page, f"{files}/send").location == f"{files}/run"
    second = wait_until(browser, f"{files}/run", "Rounds of this file")
    assert "q1.csv: 5 of 6 rows updated in 2 rounds, 1 needs you." in second.shown
    assert len(api.requests()) == 5
    first = browser.get(run)
    assert "The repaired rows were sent in the run" in first.shown
    assert "repaired row</button>" not in first.text


def test_rows_that_the_api_refused_wait_for_a_person(browser: Browser, api: Sandbox) -> None:
    """They are in the grid with the words of the API, and are not sent again by themselves."""
    run = sent(browser, b"Id,Type,StageName\n1,Pre,Proposal\n2,Pre,Propsal\n")
    page = wait_until(browser, run, "Send 0 repaired rows")
    assert (
        "1 of 2 rows were updated. 1 needs you." in page.shown or "1 of 2 rows was updated. 1 needs you." in page.shown
    )
    assert "'Propsal' is not a stage that Nexus accepts." in page.shown
    assert len(api.requests()) == 2


def test_a_run_is_undone_by_a_new_file(tmp_path: Path, api: Sandbox) -> None:
    """Its workbook with the values before is checked and sent as any file; a second press opens the same file."""
    with PageServer(configured(tmp_path, api.url), **READS) as server:
        browser = server.signed_in()
        before = api.records()
        run = sent(browser, rows_of(3))
        page = finished(browser, run)
        assert "Possible: every record was read before its update" in page.shown
        check = press(browser, page, f"{run}/undo").location
        assert press(browser, page, f"{run}/undo").location == check
        files = check.removesuffix("/check")
        assert "3 records can be set back." in browser.get(check).shown
        wait_until(browser, check, "3 rows are good")
        changed = api.records()
        press(browser, browser.get(f"{files}/preview"), f"{files}/send")
        undone = wait_until(browser, f"{files}/run", "All 3 rows were updated.")
        assert "undid" in undone.shown
        assert "3 records can be set back." in undone.shown
        assert "Undone, at least in part, by the run" in browser.get(run).shown
        values = {number: record["SalesRevenue"] for number, record in api.records().items()}
        assert values != {number: record["SalesRevenue"] for number, record in changed.items()}
        assert before == {} or values


def test_without_readings_a_run_says_why_it_cannot_be_undone(browser: Browser) -> None:
    """The button is not there, and a form of one's own is refused."""
    run = sent(browser, rows_of(2))
    page = finished(browser, run)
    assert "It cannot be undone: its records were not read before they were changed." in page.shown
    assert "Undo this run" not in page.shown


def test_downloads_are_what_the_run_has_in_its_folder(browser: Browser, page_server: PageServer) -> None:
    """Under their own names, letters of any script included; nothing else of the disk."""
    run = sent(browser, rows_of(2), 'Zürich "q1" 表.csv')
    finished(browser, run)
    browser.secrets = ()  # reports name the folder of their run
    answer = browser.request("GET", f"{run}/files/workbook")
    assert answer.status == 200
    assert openpyxl.load_workbook(io.BytesIO(answer.body)).sheetnames[0] == "Summary"
    disposition = answer.headers["Content-Disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"Z_rich[\w.-]*\.xlsx\"; filename\*=UTF-8''Z%C3%BCrich[\w.%-]*\.xlsx", disposition
    ), disposition
    page = browser.request("GET", f"{run}/files/page")
    assert page.text.startswith("<!DOCTYPE html>")
    assert page.headers.get_content_type() == "application/octet-stream"
    for kind in ("annotated", "undo", "run.sqlite", "input.csv", "..%2F..%2Fconfig.yaml", "%2Fetc%2Fpasswd"):
        assert browser.request("GET", f"{run}/files/{kind}").status == 404, kind
    (workbook,) = (page_server.folder / "runs").glob("*/*-results-*.xlsx")
    workbook.unlink()
    workbook.symlink_to(page_server.folder / "config.yaml")
    assert browser.request("GET", f"{run}/files/workbook").status == 404


def test_the_page_of_a_run_is_sent_without_the_folders_of_the_server(
    browser: Browser, page_server: PageServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Those of the results and of the file that the command line was given; on the disk it stays as it is."""
    file = tmp_path_factory.mktemp("rock & roll") / "q1.csv"
    file.write_bytes(rows_of(2))
    assert batch_updater("run", file, "--yes", cwd=page_server.folder).code == 0
    (written,) = (page_server.folder / "runs").glob("*/report.html")
    on_disk = written.read_text(encoding="utf-8")
    sent_page = browser.request("GET", f"/runs/{written.parent.name}/files/page")
    assert (sent_page.status, f"runs/{written.parent.name}" in sent_page.text) == (200, True)
    for folder in (page_server.folder, Path(str(file.parent).replace("&", "&amp;"))):
        assert str(folder) in on_disk
        assert str(folder) not in sent_page.text
    assert written.read_text(encoding="utf-8") == on_disk
    written.unlink()
    assert browser.request("GET", f"/runs/{written.parent.name}/files/page").status == 404


def test_a_workbook_that_is_gone_is_written_again(browser: Browser, page_server: PageServer) -> None:
    """From the database of the run."""
    run = sent(browser, rows_of(2))
    finished(browser, run)
    (workbook,) = (page_server.folder / "runs").glob("*/*-results-*.xlsx")
    workbook.unlink()
    page = browser.get(run)
    assert "The results workbook is not there." in page.shown
    assert press(browser, page, f"{run}/report").location == f"{run}#files"
    assert browser.request("GET", f"{run}/files/workbook").status == 200
    assert "Write the workbook again" not in browser.get(run).shown


@pytest.mark.parametrize("name", ["20200101-000000-none", "..", ".", "web", "%2e%2e%2fruns", "a%00b", "x" * 300])
def test_there_is_no_page_of_a_run_that_there_is_not(browser: Browser, name: str) -> None:
    """Nor of any path."""
    for path in ("", "/events", "/rows/2", "/files/workbook", "/repaired"):
        assert browser.request("GET", f"/runs/{name}{path}").status == 404, path


def test_a_run_whose_rows_are_being_read_is_looked_at_again(browser: Browser, page_server: PageServer) -> None:
    """Also without JavaScript: otherwise the rows would never come."""
    run = sent(browser, rows_of(3).replace(b"1003", b"much"))
    wait_until(browser, run, "Rows to repair")
    refresh = '<noscript><meta http-equiv="refresh"'
    assert refresh not in browser.get(run).text
    with closing(sqlite3.connect(page_server.folder / "runs" / "web" / "web.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE tasks SET state = 'running' WHERE number = (SELECT max(number) FROM tasks WHERE kind = 'check')"
        )
    reading = browser.get(run)
    assert "Reading the rows to repair." in reading.shown
    assert refresh in reading.text


def test_a_damaged_run_is_told_in_plain_words(browser: Browser, page_server: PageServer) -> None:
    """Without a path, and without a traceback."""
    run = sent(browser, rows_of(2))
    finished(browser, run)
    (database,) = (page_server.folder / "runs").glob("*/run.sqlite")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE run SET value = '{' WHERE name = 'identity'")
        connection.commit()
    answer = browser.request("GET", run)
    assert answer.status == 409
    assert "is damaged" in answer.shown


def test_the_workbook_lies_elsewhere_where_a_command_said_so(browser: Browser, page_server: PageServer) -> None:
    """Its name is told, and it is not offered."""
    folder = page_server.folder
    (folder / "q2.csv").write_bytes(rows_of(2))
    (folder / "out").mkdir()
    assert batch_updater("run", "q2.csv", "--yes", "--results", "out/mine.xlsx", cwd=folder).code == 0
    (run,) = {f"/runs/{path.parent.name}" for path in (folder / "runs").glob("2*/run.sqlite")}
    page = browser.get(run)
    assert "The results workbook was written to another folder: mine.xlsx." in page.shown
    assert browser.request("GET", f"{run}/files/workbook").status == 404


def test_a_file_waits_for_the_run_of_another_process_and_can_be_taken_back(slow: PageServer, api: Sandbox) -> None:
    """The page says which process holds the lock; what was taken from the queue is never sent."""
    browser, folder = slow.signed_in(), slow.folder
    (folder / "q2.csv").write_bytes(rows_of(100))
    files = checked(browser, rows_of(3))
    with api.held_after(3):
        process = start(folder, "run", "q2.csv", "--yes", **SLOW)
        api.wait_for(3)
        press(browser, browser.get(f"{files}/preview"), f"{files}/send")
        waiting = wait_until(browser, f"{files}/run", "Another run is going on")
        assert f"process {process.pid}" in waiting.shown
        assert "q2.csv" in waiting.shown
        assert "being sent, or waits to be" in browser.get(f"{files}/preview").shown
        assert press(browser, waiting, f"{files}/run").location == f"{files}/preview"
        until(lambda: browser.request("GET", f"{files}/run").status == 303)  # it may be tried just then
        assert "disabled" not in button(browser.get(f"{files}/preview"), "Send 3 rows")
    process.communicate()
    assert len(api.requests()) == 100


def test_the_end_of_the_server_ends_its_events(slow: PageServer, api: Sandbox) -> None:
    """A page that follows a run does not keep the server from ending; started again, the run goes on by itself."""
    browser = slow.signed_in()
    with closing(browser.connect()) as connection:
        with api.held_after(5):
            run = sent(browser, rows_of(60))
            response = events_of(browser, run, connection)
            assert response.readline().startswith(b"event: message")
        assert slow.stop() == 0
        response.read()
    slow.start()
    again = slow.signed_in()
    assert "All 60 rows were updated." in wait_until(again, run, "All 60 rows were updated.").shown
