"""The start page: a spreadsheet is given to it, and everything that was done is listed."""

from __future__ import annotations

import io
import re
from datetime import date
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.end_to_end.inside import Inside
from tests.loader.described import workbook
from tests.web.served import PageServer, configured, multipart, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.program import Sandbox
    from tests.web.served import Answer, Browser

HEADERS = ["Id", "Type", "StageName", "PendingCloseDate"]
ROWS = [[number, "Pre", "Proposal", date(2026, 5, 1)] for number in (101, 102)]
HOSTILE = '"><script>{{ 7*7 }}\u202egnp.csv'


def listed(answer: Answer) -> list[str]:
    """Return the files of the runs in order, without earlier rounds."""
    text = re.sub(r"(?s)<details.*?</details>", "", answer.text)
    entries = re.findall(r'<span class="main"><a href="/runs/[^"]*">(.*?)</a>', text)
    return [re.sub("<[^>]*>", "", name) for name in entries]


def paste(browser: Browser, rows: str) -> Answer:
    kind, body = multipart([("token", None, browser.token().encode()), ("rows", None, rows.encode())])
    return browser.request("POST", "/files", body, {"Content-Type": kind})


def test_before_the_first_run_the_sample_is_offered(browser: Browser) -> None:
    """It is checked as any file is, and nothing is sent."""
    home = browser.get("/")
    assert "There are no runs yet." in home.shown
    place = browser.post(
        "/files/sample", home.form("/files/sample"), token=home.form("/files/sample")["token"]
    ).location
    wait_until(browser, place, "Which column is which field")
    assert "opportunities.xlsx" in browser.get("/").shown


def test_rows_that_were_copied_in_excel_can_be_pasted(browser: Browser) -> None:
    """Line breaks and quotes within cells stay what they are."""
    place = paste(
        browser, 'Id\tType\tOpportunityName\r\n101\tPre\t"two\r\nlines, ""quoted"""\r\n102\tPre\t6" pipe\r\n'
    ).location
    shown = wait_until(browser, place, "Which column is which field").shown
    assert "pasted rows" in shown
    assert 'two\\nlines, "quoted" 6" pipe' in shown
    assert paste(browser, " \r\n").status == 400


def test_the_template_can_be_downloaded(browser: Browser) -> None:
    """It is the workbook that the command writes."""
    answer = browser.get("/template.xlsx")
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''nexus-opportunity-template.xlsx"
    sheet = openpyxl.load_workbook(io.BytesIO(answer.body))["Data"]
    assert [cell.value for cell in sheet[1]][:2] == ["OpportunityId", "opportunityType"]


def test_what_is_not_sent_yet_is_listed_until_it_is_removed(browser: Browser) -> None:
    """With what is known of it: the page goes on where it was left."""
    place = browser.upload("q1.csv", b"Id,Type,StageName\n101,Pre,Proposal\n102,Sometimes,Proposal\n").location
    home = wait_until(browser, "/", "1 needs you.")
    assert "Not sent yet q1.csv" in home.shown
    assert f'href="{place}/check"' in home.text
    open_one = browser.upload("q2.csv", b"Id,Type,Stagename*\n101,Pre,Proposal\n").location
    wait_until(browser, "/", "1 question to answer")
    removed = browser.post(f"{open_one}/remove", {})
    assert "q2.csv was removed." in browser.get(removed.location).shown
    assert browser.get(open_one).status == 404
    assert "q2.csv" not in browser.get("/").shown


def test_runs_of_all_kinds_are_on_one_list(tmp_path: Path, api: Sandbox) -> None:
    """Newest first; the rounds of a file are one entry, and a list can be narrowed down and searched."""
    with PageServer(configured(tmp_path, api.url, more="nightly: {inbox: inbox}\n")) as server:
        inside, browser = Inside(tmp_path), server.signed_in()
        wrong = [[number, "Pre", "Proposal", "31/02/2026"] for number in (103, 104)]
        first = inside("run", workbook(tmp_path / "q1.xlsx", {"Data": [HEADERS, *ROWS, *wrong]}), "--yes", "--json")
        repaired = openpyxl.load_workbook(first.object["results"])
        repaired["To fix"]["H2"] = date(2026, 6, 1)
        repaired.save(first.object["results"])
        inside("run", first.object["results"], "--yes", "--json")
        inside("run", workbook(tmp_path / "fine.xlsx", {"Data": [HEADERS, *ROWS]}), "--yes", "--json")
        inside("run", workbook(tmp_path / "trial.xlsx", {"Data": [HEADERS, *ROWS]}), "--yes", "--limit", "1")
        (tmp_path / "inbox").mkdir()
        (tmp_path / "inbox" / "night.csv").write_text("Id,Type,StageName\n105,Pre,Qualified\n", encoding="utf-8")
        inside("nightly")
        home = browser.get("/")
        assert listed(home) == ["night.csv", "trial.xlsx", "fine.xlsx", "q1.xlsx"]
        assert "q1.xlsx: 3 of 4 rows updated in 2 rounds, 1 needs you." in home.shown
        assert "2 rounds" in home.shown
        assert "1 of 2 rows was updated. 1 is not done. Unfinished." in home.shown
        assert "nightly" in home.shown
        of_night = re.search(r'href="(/runs/[^"]*-night)"', home.text)
        assert of_night
        assert browser.get(of_night[1]).shown.count("There is nothing left to do.") == 1
        assert listed(browser.get("/?show=needs+someone"))[:1] == ["q1.xlsx"]
        assert listed(browser.get("/?show=not+done")) == ["trial.xlsx"]
        assert listed(browser.get("/?q=FINE")) == ["fine.xlsx"]
        assert "No run is like that." in browser.get("/?q=nothing").shown


def test_a_damaged_run_says_why(tmp_path: Path, browser: Browser) -> None:
    """The others are listed all the same."""
    Inside(tmp_path)("run", workbook(tmp_path / "fine.xlsx", {"Data": [HEADERS, *ROWS]}), "--yes", "--json")
    broken = tmp_path / "runs" / "20991231-235959-broken"
    broken.mkdir()
    (broken / "run.sqlite").write_bytes(b"no database" * 500)
    home = browser.get("/")
    assert listed(home) == ["20991231-235959-broken", "fine.xlsx"]
    assert "Its database is damaged: file is not a database." in home.shown
    assert listed(browser.get("/?show=damaged")) == ["20991231-235959-broken"]


def test_the_list_is_paged(tmp_path: Path, browser: Browser) -> None:
    """A page that there is not shows the last one."""
    runs = tmp_path / "runs"
    for number in range(30):
        (runs / f"20260101-0000{number:02d}-lost").mkdir(parents=True)
        (runs / f"20260101-0000{number:02d}-lost" / "run.log").write_text("{}", encoding="utf-8")
    first = browser.get("/")
    assert (len(listed(first)), "Page 1 of 2" in first.shown) == (25, True)
    assert listed(browser.get("/?page=2")) == [f"20260101-0000{number:02d}-lost" for number in range(4, -1, -1)]
    assert "Page 2 of 2" in browser.get("/?page=99").shown
    for page in ("-1", "0", "x", "9" * 400):
        assert "Page 1 of 2" in browser.get(f"/?page={page}").shown


def test_names_are_shown_as_text(browser: Browser) -> None:
    """Markup, expressions of templates, and marks that reverse the text around them."""
    place = browser.upload(HOSTILE, b"Id,Type,StageName\n101,Pre,Proposal\n").location
    for path in ("/", place):
        answer = wait_until(browser, path, "Proposal" if path != "/" else "The row is good.")
        assert "{{ 7*7 }}\\u202egnp.csv" in answer.shown
        assert "<script>" not in answer.text
        assert "\u202e" not in answer.text
    search = browser.get("/?q=%22%3E%3Cscript%3E&show=%3Cb%3E")
    assert '"><script>' not in search.text


@pytest.fixture
def team(tmp_path: Path, api: Sandbox) -> PageServer:
    return PageServer(configured(tmp_path, api.url, "auth: proxy, may_send: [ann, bob], may_approve: [eve]"))


def test_others_see_neither_an_upload_nor_its_name(team: PageServer) -> None:
    """Only those who may approve it do."""
    with team as server:
        ann, bob, eve = (server.browser(X_Forwarded_User=name) for name in ("ann", "bob", "eve"))
        place = ann.upload("secret.csv", b"Id,Type,StageName\n101,Pre,Proposal\n").location
        wait_until(ann, "/", "The row is good.")
        assert "secret.csv" not in bob.get("/").text
        for path in ("", "/answers", "/remove"):
            answer = bob.post(place + path, {}) if path else bob.get(place)
            assert answer.status == 404
        assert "secret.csv" in eve.get("/").shown
        assert "ann" in eve.get("/").shown
