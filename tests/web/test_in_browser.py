"""The whole job in Debian's Chromium, with the real server and the real sandbox, each a process of its own."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import openpyxl
import pytest
from filelock import FileLock
from playwright.sync_api import expect

from tests.reserved_port import reserved_port
from tests.torture.runs import confirmed_rows, database_of
from tests.web import tour
from tests.web.browser import Api, Person, Server, chromium, person
from tests.web.messy_workbook import FIRST_ID, REPAIRS, RIGHT_KIND, RIGHT_STAGE, ROWS, corrected, write_messy
from tests.web.queue import until

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.debian, pytest.mark.timeout(900)]  # the whole job, on a machine that does much else

PROXY = "web: {auth: proxy, user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]%s}\n"
RECORDS = range(FIRST_ID, FIRST_ID + ROWS)
ROWS_WITHOUT_DOUBLED = 130
"""Of the messy workbook: the first two of its wrong cells and all wrong kinds are in them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def sandbox(folder: Path, *options: str) -> Api:
    """Return a sandbox for `with`, whose files are in a folder of its own."""
    own = folder / "sandbox"
    own.mkdir()
    return Api(own, "sandbox", "--port", "0", *options)


@contextmanager
def serve(folder: Path, api: Api, *, rate: int = 500, more: str = "") -> Iterator[Server]:
    """Serve the page at a port of its own, with a configuration for the sandbox."""
    # Answers are awaited for longer than the sandbox is ever held.
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{api.address}', token: 'env:NEXUS_TOKEN', timeout_s: 200}}\n"
        f"sending: {{rate_per_s: {rate}, drain_s: 200}}\n{more}",
        encoding="utf-8",
    )
    with reserved_port() as port, Server(folder, port) as server:
        yield server


class Journey(msgspec.Struct):
    """What a walk through the whole job has come to."""

    person: Person
    server: Server
    api: Api
    findings: dict[str, list[tuple[str, list[str]]]] = {}
    """State of a page -> what axe-core finds."""
    before: dict[int, dict[str, Any]] = {}
    """The records before anything was sent."""
    verdicts: list[str] = []
    """What the page of each run says at its end."""
    sent: dict[int, dict[str, Any]] = {}
    """The records once every row was sent."""
    applied: Counter[int] | None = None
    """How often each was changed until then."""
    after: dict[int, dict[str, Any]] = {}
    """The records after the undo."""
    edits: list[list[str]] = []
    """The sheet `Edits`, without its headers."""
    paths: list[str] = []
    """Of pages that are still there at the end."""

    def look(self, state: str) -> None:
        """Examine the page as it is."""
        self.findings[state] = self.person.grave_findings()

    def correct(self, workbook: Path) -> None:
        """Give the workbook, answer what is asked, and correct every row."""
        page = self.person.page
        self.look("home without runs")
        tour.drop(page, workbook)
        expect(page.get_by_role("radio").first).to_be_visible()
        self.look("question about the sheet")
        tour.answer_places(page)
        expect(tour.mapping(page)).to_be_visible()
        self.look("mapping")
        tour.map_columns(page)
        page.get_by_label("Remember for files like this").check()
        tour.check(page)
        expect(page.get_by_role("radio").first).to_be_visible()
        self.look("questions about cells")
        tour.answer_cells(page)
        self.paths.append(tour.path_of(page))
        expect(page.get_by_role("heading", name="268 of 300 rows are good.")).to_be_visible()
        self.look("check")
        tour.correct_all(page)
        tour.correct_kinds(page)
        expect(page.get_by_role("heading", name="All 300 rows are good.")).to_be_visible()
        self.look("corrected")

    def send(self) -> None:
        """Compare, send, stop, go on, and repair what the API has refused."""
        page = self.person.page
        page.get_by_role("link", name="Preview").click()
        self.look("preview")
        page.get_by_role("button", name="Read records first").click()
        expect(tour.changes(page)).to_be_visible()
        self.look("changes")
        self.paths.append(tour.path_of(page))
        page.get_by_role("button", name="Send 300 rows").click()
        self.api.wait_for_updates(20)
        with self.api.held():
            tour.wait_for_counts(page)
            self.look("sending")
            tour.stop(page)
        expect(page.get_by_role("button", name="Go on")).to_be_visible()
        self.look("stopped")
        updates = self.api.applied().total()
        page.get_by_role("button", name="Go on").click()
        self.api.wait_for_updates(updates + 1)
        with self.api.held():
            tour.wait_for_counts(page)
        expect(page.get_by_role("button", name="Undo this run")).to_be_visible()
        self._ended()
        self.look("result")
        self.paths.append(tour.path_of(page))
        tour.repair_stages(page, 3)
        page.get_by_role("button", name="Send 3 repaired rows").click()
        expect(page.get_by_role("heading", name="All 3 rows were updated")).to_be_visible()
        self._ended()

    def undo(self) -> None:
        """Undo the repair, and then what was repaired."""
        runs = self.server.runs()
        for run in reversed(runs):
            page = self.person.open(f"/runs/{run.name}")
            page.get_by_role("button", name="Undo this run").click()
            page.get_by_role("link", name="Preview").click()
            self.look("preview of an undo")
            page.get_by_role("button", name=re.compile(r"^Send [\d,]+ rows$")).click()
            page.wait_for_url(re.compile(r"/runs/[\d-]+undo_of_"))
            expect(page.get_by_role("button", name="Undo this run")).to_be_visible()
            self._ended()

    def _ended(self) -> None:
        self.verdicts.append(self.person.page.get_by_role("heading", level=1).inner_text())


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Journey]:
    """Take the messy workbook from the drop to `updated`, and take it back."""
    folder = tmp_path_factory.mktemp("journey")
    workbook = write_messy(folder / "Q1 pipeline.xlsx")
    with sandbox(folder) as api, serve(folder, api, rate=60) as server, person(browser, server) as who:
        walk = Journey(who, server, api)
        walk.before = {number: api.record(number) for number in RECORDS}
        walk.correct(workbook)
        walk.send()
        walk.sent, walk.applied = api.records(), api.applied()
        edits = openpyxl.load_workbook(tour.results_of(server, 0))["Edits"]
        walk.edits = [[str(cell) for cell in row] for row in edits.values][1:]
        walk.undo()
        walk.after = api.records()
        for path, state in (
            ("/", "home with runs"),
            ("/settings", "settings"),
            (f"/runs/{server.runs()[0].name}/rows?number=20", "row"),
        ):
            who.open(path)
            walk.look(state)
            walk.paths.append(path)
        yield walk


def test_every_row_ends_updated(journey: Journey) -> None:
    """297 in a run that was stopped and went on, and 3 whose stage the API had refused; as the sheet has them."""
    assert journey.verdicts[0].startswith("297 of 300 rows were updated. 3 need you.")
    assert journey.verdicts[1].startswith("All 3 rows were updated")
    wanted = corrected()
    assert {
        number: {field: record[field] for field in wanted[number]} for number, record in journey.sent.items()
    } == wanted


def test_stop_and_go_on_send_nothing_twice(journey: Journey) -> None:
    """Each record was changed once."""
    assert journey.applied == dict.fromkeys(RECORDS, 1)


def test_undo_puts_the_records_back(journey: Journey) -> None:
    """Of the repaired rows first, then of the others."""
    assert all(verdict.startswith("All ") for verdict in journey.verdicts[2:])
    assert journey.after == journey.before


def test_the_workbook_lists_the_edits(journey: Journey) -> None:
    """Three cells, and 28 with one wrong value."""
    assert len(journey.edits) == 3 + 28
    for repair in REPAIRS:
        assert any({repair.wrong, repair.right} <= set(edit) for edit in journey.edits), repair


def test_axe_finds_nothing_grave_on_any_page(journey: Journey) -> None:
    """Names, contrast, structure: in every state that the job goes through."""
    assert {state: found for state, found in journey.findings.items() if found} == {}
    assert len(journey.findings) == 15


def test_no_request_leaves_the_origin(journey: Journey) -> None:
    """Of all pages of the job."""
    assert journey.person.watch.elsewhere == []


def test_the_browser_complains_of_nothing(journey: Journey) -> None:
    """Nothing in its console, no error of a script, no violation of the content security policy."""
    assert journey.person.watch.complaints == []


def test_no_page_moves_while_it_loads(journey: Journey) -> None:
    """What is read stays where it is, unless the person did something."""
    assert journey.person.watch.moved == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1280, "dark"), (640, "light")])
def test_every_page_fits_its_screen(
    journey: Journey, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    """On a phone, on a desk, and at 200%; light and dark; and axe-core finds nothing grave there either."""
    with person(browser, journey.server, width=width, scheme=scheme) as other:
        for path in journey.paths:
            page = other.open(path)
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
            assert other.grave_findings() == [], path


def fitting_file(path: Path, count: int) -> Path:
    """Write a file that fits, with so many rows."""
    lines = [f"{number},Pre,deal {number},Proposal" for number in range(1, count + 1)]
    path.write_text("\n".join(["Id,Type,OpportunityName,StageName", *lines, ""]), encoding="utf-8")
    return path


def test_the_server_is_killed_while_it_checks(browser: Browser, tmp_path: Path) -> None:
    """Started again, it checks the file; the person does nothing."""
    rows = 100_000
    fitting = fitting_file(tmp_path / "deals.csv", rows)
    with sandbox(tmp_path) as api, serve(tmp_path, api) as server, person(browser, server) as who:
        tour.choose(who.page, fitting)
        upload = tour.path_of(who.page).rpartition("/")[2]
        with FileLock(server.folder / "runs" / "web" / upload / ".draft-lock"):  # without it no check comes to its end
            expect(who.page.get_by_text(re.compile("[1-9][0-9,]* rows read"))).to_be_visible()
            server.kill()
        server.start()
        who.open(tour.path_of(who.page) + "/check")
        expect(who.page.get_by_role("heading", name=f"All {rows:,} rows are good.")).to_be_visible()


def test_the_server_is_killed_while_it_sends(browser: Browser, tmp_path: Path) -> None:
    """Started again, it goes on; what was confirmed is not sent twice, and the open page comes to the result."""
    rows = 300
    fitting = fitting_file(tmp_path / "deals.csv", rows)
    with sandbox(tmp_path) as api, serve(tmp_path, api, rate=60) as server, person(browser, server) as who:
        tour.send(who.page, fitting, rows)
        until(lambda: len(confirmed_rows(database_of(server.folder))) >= rows // 10)
        server.kill()
        confirmed = confirmed_rows(server.runs()[0] / "run.sqlite")
        assert 0 < len(confirmed) < rows
        server.start()
        expect(who.page.get_by_role("heading", name=f"All {rows} rows were updated")).to_be_visible()
        applied = api.applied()
    assert set(applied) == set(range(1, rows + 1))
    assert {applied[row - 1] for row in confirmed} == {1}
    assert len(server.runs()) == 1


def test_the_server_is_killed_while_an_edit_is_saved(browser: Browser, tmp_path: Path) -> None:
    """Each edit is there in full or not at all; earlier ones stay, and typed once more it is kept."""
    workbook = write_messy(tmp_path / "deals.xlsx")
    with sandbox(tmp_path) as api, serve(tmp_path, api) as server, person(browser, server) as who:
        page = who.page
        tour.answer_all(page, workbook)
        tour.correct(page, REPAIRS[0])
        path = tour.path_of(page)
        for repair in REPAIRS[1:]:
            page.get_by_label(tour.label_of(repair)).first.fill(repair.right)
            with page.expect_request(lambda request: request.method == "POST"):
                page.keyboard.press("Tab")
            server.kill()
            server.start()
            who.open(path)
            cell = page.get_by_label(tour.label_of(repair)).first
            if cell.count():
                assert cell.input_value() == repair.wrong
                tour.correct(page, repair)
        who.open(f"{path}?edited=1")
        for repair in REPAIRS:
            expect(page.get_by_role("row").filter(has_text=repair.right)).to_have_count(1)
        who.open(path)
        expect(page.get_by_role("heading", name="272 of 300 rows are good.")).to_be_visible()


def test_two_people_at_once(browser: Browser, tmp_path: Path) -> None:
    """Both send at the same time, one after the other is sent, and neither sees the file of the other."""
    with (
        sandbox(tmp_path) as api,
        serve(tmp_path, api, rate=60, more=PROXY % "") as server,
        person(browser, server, name="amara") as amara,
        person(browser, server, name="ben") as ben,
    ):
        for who, rows in ((amara, 120), (ben, 60)):
            tour.preview(who.page, fitting_file(tmp_path / f"{rows} deals.csv", rows))
        hidden = tour.path_of(amara.page)
        for who, rows in ((amara, 120), (ben, 60)):
            who.page.get_by_role("button", name=f"Send {rows} rows").click()
        for who, rows in ((ben, 60), (amara, 120)):
            expect(who.page.get_by_role("heading", name=f"All {rows} rows were updated")).to_be_visible()
        assert ben.page.request.get(server.origin + hidden).status == 404
        ben.open("/")
        expect(ben.page.get_by_role("link", name="120 deals.csv")).to_be_visible()
        applied = api.applied()
    assert applied == {number: 2 if number <= 60 else 1 for number in range(1, 121)}


def test_a_second_person_approves(browser: Browser, tmp_path: Path) -> None:
    """Over a guard, Send waits for another person; an edit withdraws the approval."""
    team = PROXY % ", may_send: [amara], may_approve: [amara, ben]" + "guards: {rows: 5}\n"
    with (
        sandbox(tmp_path) as api,
        serve(tmp_path, api, more=team) as server,
        person(browser, server, name="amara") as amara,
        person(browser, server, name="ben") as ben,
    ):
        page, file = amara.page, fitting_file(tmp_path / "deals.csv", 8)
        file.write_text(f"{file.read_text(encoding='utf-8')}9,Prae,deal 9,Proposal\n", encoding="utf-8")
        tour.preview(page, file)
        preview = tour.path_of(page)
        expect(page.get_by_role("button", name="Send 8 rows")).to_be_disabled()
        expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        tour.approve(ben.open(preview), 8)
        expect(ben.page.get_by_role("button", name="Approve")).to_have_count(0)
        amara.open(preview)
        expect(page.get_by_role("button", name="Send 8 rows")).to_be_enabled()
        amara.open(preview.replace("/preview", "/check"))
        page.get_by_label(re.compile(r"^Type [A-Z]+10")).first.select_option("Pre")
        expect(page.get_by_role("heading", name="All 9 rows are good.")).to_be_visible()
        amara.open(preview)
        expect(page.get_by_role("button", name="Send 9 rows")).to_be_disabled()
        expect(page.get_by_text("The approval was withdrawn.")).to_be_visible()
        tour.approve(ben.open(preview), 9)
        amara.open(preview)
        page.get_by_role("button", name="Send 9 rows").click()
        expect(page.get_by_role("heading", name="All 9 rows were updated")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="ben approved").first).to_be_visible()
        assert set(api.applied()) == set(range(1, 10))


def test_without_javascript(browser: Browser, tmp_path: Path) -> None:
    """The same job by plain forms, from the upload to the repaired rows."""
    workbook = write_messy(tmp_path / "deals.xlsx", rows=ROWS_WITHOUT_DOUBLED)
    with (
        sandbox(tmp_path) as api,
        serve(tmp_path, api, rate=60) as server,
        person(browser, server, javascript=False) as who,
    ):
        page = who.page
        tour.answer_all(page, workbook, by_button=True)
        for repair in REPAIRS[:2]:
            page.get_by_label(tour.label_of(repair)).first.fill(repair.right)
            page.get_by_role("button", name=f"Save row {repair.row}").click()
        page.get_by_label(re.compile(r"^Kind [A-Z]+\d+")).first.select_option(RIGHT_KIND)
        page.get_by_role("button", name="Apply to all 28 like this").first.click()
        page.get_by_role("link", name="Preview").click()
        page.get_by_role("button", name="Read records first").click()
        expect(tour.changes(page)).to_be_visible()
        with api.held():
            page.get_by_role("button", name=f"Send {ROWS_WITHOUT_DOUBLED} rows").click()
            tour.stop(page)
        page.get_by_role("button", name="Go on").click()
        page.get_by_label(re.compile(r"^Sales stage [A-Z]+\d+")).first.select_option(RIGHT_STAGE)
        page.get_by_role("button", name=re.compile(r"^Save row \d+")).first.click()
        page.get_by_role("button", name="Send 1 repaired row").click()
        expect(page.get_by_role("heading", name="The row was updated")).to_be_visible()
        assert set(api.applied()) == set(range(FIRST_ID, FIRST_ID + ROWS_WITHOUT_DOUBLED))


def test_by_keyboard_alone(browser: Browser, tmp_path: Path) -> None:
    """From the start page to the result with Tab, Enter, Space and arrows; focus is on the heading of each page."""
    lines = ["Id,Type,Deal name,Stage", *(f"{number},Pre,deal {number},Proposal" for number in range(1, 9))]
    path = tmp_path / "deals.csv"
    path.write_text("\n".join([*lines, "9,Prae,deal 9,Proposal", ""]), encoding="utf-8")
    with sandbox(tmp_path) as api, serve(tmp_path, api) as server, person(browser, server) as who:
        page = who.page
        tour.tab_to(page, page.get_by_label("Spreadsheet"))
        with page.expect_file_chooser() as chosen:
            page.keyboard.press("Space")
        chosen.value.set_files(path)
        expect(tour.mapping(page)).to_be_visible()
        tour.tab_to(page, tour.mapping(page).get_by_role("combobox").nth(2))
        page.keyboard.type("OpportunityName")
        tour.tab_to(page, page.get_by_role("button", name="Check", exact=True))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="8 of 9 rows are good.")).to_be_focused()
        tour.tab_to(page, page.get_by_label(re.compile(r"^Type [A-Z]+10")))
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("heading", name="All 9 rows are good.")).to_be_visible()
        tour.tab_to(page, page.get_by_role("link", name="Preview"), backwards=True)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="deals.csv")).to_be_focused()
        tour.tab_to(page, page.get_by_role("button", name="Send 9 rows"))
        page.keyboard.press("Space")
        expect(page.get_by_role("heading", name="All 9 rows were updated")).to_be_focused()
        assert set(api.applied()) == set(range(1, 10))


def test_what_was_typed_outlives_a_session_and_what_was_changed_has_the_focus(browser: Browser, tmp_path: Path) -> None:
    """Pasted rows are sent after signing in, a field of one's own is no proposal, and deleting takes a second look."""
    with sandbox(tmp_path) as api, serve(tmp_path, api) as server, person(browser, server) as one:
        page, key = one.page, server.address.partition("key=")[2]
        page.goto(server.address)
        page.get_by_label("Paste rows").fill("Id\tType\tStageName*\n101\tPre\tProposal\n")
        page.context.clear_cookies()
        page.get_by_role("button", name="Use these rows").click()
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Send once more").click()

        row = tour.mapping(page).get_by_role("row").filter(has_text="StageName*")
        expect(row.get_by_text("proposed")).to_be_visible()
        row.get_by_role("combobox").select_option("not sent")
        expect(row.get_by_text("proposed")).to_be_hidden()
        row.get_by_role("combobox").select_option("=StageName")
        expect(row.get_by_text("proposed")).to_be_visible()
        page.get_by_label("Remember for files like this").check()
        page.get_by_label("Name of the layout").fill("weekly")
        tour.check(page)
        expect(page.get_by_role("heading", name="Rows that need someone")).to_be_visible()

        page.get_by_role("link", name="Settings").click()
        page.get_by_label("New name of weekly").fill("monthly")
        page.get_by_role("button", name="Rename weekly").click()
        expect(page.locator("th").get_by_text("monthly")).to_be_focused()
        expect(page.get_by_role("button", name="Delete monthly")).to_be_hidden()
        page.locator("summary", has_text="Delete").click()
        page.get_by_role("button", name="Delete monthly").click()
        expect(page.get_by_role("heading", name="Layouts")).to_be_focused()
        expect(page.get_by_text("The layout monthly was deleted.")).to_be_visible()
