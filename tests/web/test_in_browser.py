"""The whole job in Debian's Chromium, with the real server and the real sandbox, each a process of its own."""

from __future__ import annotations

import re
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import openpyxl
import pytest
from playwright.sync_api import expect

from tests.web import tour
from tests.web.browser import Api, Person, Server, chromium, person
from tests.web.messy_workbook import FIRST_ID, REPAIRS, RIGHT_STAGE, ROWS, WRONG_STAGE, write_messy

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.debian

PROXY = "web: {auth: proxy, user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]%s}\n"
RECORDS = range(FIRST_ID, FIRST_ID + ROWS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def sandbox(folder: Path, *options: str) -> Api:
    """Return a sandbox for `with`, whose files are in a folder of its own."""
    own = folder / "sandbox"
    own.mkdir()
    return Api(own, "sandbox", "--port", "0", *options)


def serve(folder: Path, api: Api, *, rate: int = 500, more: str = "") -> Server:
    """Return a server of the page for `with`, at a port of its own, with a configuration for the sandbox."""
    (folder / "config.yaml").write_text(
        f"api: {{base_url: '{api.address}', token: 'env:NEXUS_TOKEN'}}\n"
        f"sending: {{rate_per_s: {rate}}}\n{more}",
        encoding="utf-8",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return Server(folder, port)


class Journey(msgspec.Struct):
    """What a walk through the whole job has come to."""

    person: Person
    server: Server
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
    edits: list[tuple[object, ...]] = []
    """The sheet `Edits`, without its headers."""

    def look(self, state: str) -> None:
        """Examine the page as it is."""
        self.findings[state] = self.person.grave_findings()


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Journey]:
    """Take the messy workbook from the drop to `updated`, and take it back."""
    folder = tmp_path_factory.mktemp("journey")
    workbook = write_messy(folder / "Q1 pipeline.xlsx")
    with (
        sandbox(folder) as api,
        serve(folder, api, rate=120) as server,
        person(browser, server) as who,
    ):
        walk = Journey(who, server)
        walk.before = {number: api.record(number) for number in RECORDS}
        page = who.page
        walk.look("home without runs")
        tour.drop(page, workbook)
        expect(page.get_by_role("radio").first).to_be_visible()
        walk.look("question about the sheet")
        tour.answer_places(page)
        expect(tour.mapping(page)).to_be_visible()
        walk.look("mapping")
        tour.map_columns(page)
        page.get_by_label("Remember for files like this").check()
        tour.check(page)
        expect(page.get_by_role("radio").first).to_be_visible()
        walk.look("questions about cells")
        tour.answer_cells(page)
        expect(page.get_by_role("heading", name="268 of 300 rows are good.")).to_be_visible()
        walk.look("check")
        tour.correct_all(page)
        tour.correct_kinds(page)
        expect(page.get_by_role("heading", name="All 300 rows are good.")).to_be_visible()
        walk.look("corrected")
        page.get_by_role("link", name="Preview").click()
        walk.look("preview")
        page.get_by_role("button", name="Read records first").click()
        expect(tour.changes(page)).to_be_visible()
        walk.look("changes")
        page.get_by_role("button", name="Send 300 rows").click()
        tour.wait_for_counts(page)
        walk.look("sending")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Go on")).to_be_visible()
        walk.look("stopped")
        page.get_by_role("button", name="Go on").click()
        tour.wait_for_counts(page)
        expect(page.get_by_role("button", name="Undo this run")).to_be_visible()
        walk.verdicts.append(page.get_by_role("heading", level=1).inner_text())
        walk.look("result")
        for cell in page.get_by_label(re.compile(r"^Sales stage [A-Z]+\d+")).all():
            cell.select_option(RIGHT_STAGE)
        page.get_by_role("button", name="Send 3 repaired rows").click()
        expect(page.get_by_role("heading", name="All 3 rows were updated")).to_be_visible()
        walk.verdicts.append(page.get_by_role("heading", level=1).inner_text())
        walk.sent, walk.applied = api.records(), api.applied()
        walk.edits = list(openpyxl.load_workbook(tour.results_of(server, 0))["Edits"].values)[1:]
        for run in (1, 0):
            page = who.open(f"/runs/{server.runs()[run].name}")
            page.get_by_role("button", name="Undo this run").click()
            page.get_by_role("link", name="Preview").click()
            walk.look("preview of an undo")
            page.get_by_role("button", name=re.compile(r"^Send [\d,]+ rows$")).click()
            expect(page.get_by_role("button", name="Undo this run")).to_be_visible()
            walk.verdicts.append(page.get_by_role("heading", level=1).inner_text())
        walk.after = api.records()
        who.open("/")
        walk.look("home with runs")
        who.open("/settings")
        walk.look("settings")
        who.open(f"/runs/{server.runs()[0].name}/rows?number=20")
        walk.look("row")
        yield walk


def test_every_row_ends_updated(journey: Journey) -> None:
    """297 in the first run, which was stopped and went on, and 3 whose stage was repaired then."""
    assert journey.verdicts[0].startswith("297 of 300 rows were updated. 3 need you.")
    assert journey.verdicts[1].startswith("All 3 rows were updated")
    assert {journey.sent[number]["OpportunityName"] for number in RECORDS} == {}
