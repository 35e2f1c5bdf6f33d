"""Two hosts that serve the page of one team, each with a folder of results of its own, and a worker that sends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import SCHEMA, TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.end_to_end.program import Sandbox, sandbox
from tests.team.hosts import ROOT, Host
from tests.web.served import Browser, PageServer, wait_until
from tests.web.test_preview_page import press, rows_of

pytestmark = pytest.mark.debian
PROXY = "web: {auth: proxy, may_send: [anna, ben], may_approve: [carl]}\n"


class ServingHost(PageServer):
    """A host of a team that serves the page; it counts as dead after 2 seconds."""

    command = ("tests.team.quick_serve",)

    def __init__(self, folder: Path, api: str, address: str, more: str = PROXY) -> None:
        self.host = Host(folder, api, address, more=more)
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        super().__init__(folder, TEAM_DATABASE=address, PYTHONPATH=path)

    def as_user(self, name: str) -> Browser:
        """Return the browser of a person."""
        return self.browser(X_Forwarded_User=name)


class Team:
    """Two hosts that serve, the API, and the database."""

    def __init__(self, first: ServingHost, second: ServingHost, api: Sandbox, address: str) -> None:
        self.first, self.second, self.api, self.address = first, second, api, address


@pytest.fixture
def api() -> Iterator[Sandbox]:
    """Run the stand-in for the API."""
    with sandbox("--quota", "1000000") as running:
        yield running


@pytest.fixture
def address(server: PostgresServer) -> str:
    """Return the address of a database with the tables of this program."""
    address = server.new_database()
    database = TeamDatabase(Secret(address_of(address)))
    migrate(database)
    database.close()
    return address


@pytest.fixture
def served(tmp_path: Path, api: Sandbox, address: str) -> Iterator[Team]:
    """Serve the page on two hosts."""
    with ExitStack() as stack:
        hosts = [ServingHost(tmp_path / name, api.url, address) for name in ("first", "second")]
        for host in hosts:
            stack.callback(host.host.close)
        first, second = (stack.enter_context(host) for host in hosts)
        yield Team(first, second, api, address)


def checked(browser: Browser, content: bytes, name: str = "q1.csv") -> str:
    """Upload a file, and return its address once it is checked."""
    files = browser.upload(name, content).location
    wait_until(browser, f"{files}/check", "good")
    return files


def test_a_file_uploaded_on_one_host_is_edited_and_sent_on_the_other(served: Team) -> None:
    """Both hosts show the same: the file, its verdict, the edit, the run and its downloads."""
    served.second.host.work()
    anna, ben = served.first.as_user("anna"), served.second.as_user("anna")
    files = checked(anna, rows_of(3).replace(b"1003", b"much"))
    wait_until(ben, "/", "1 needs you")
    page = ben.get(f"{files}/check")
    assert page.status == 200, page.shown
    assert press(ben, page, f"{files}/rows/3", **{"cell-2": "7"}).status == 303
    wait_until(ben, "/", "q1.csv")
    preview = anna.get(f"{files}/preview")
    assert "Send 3 rows" in preview.shown
    assert press(anna, preview, f"{files}/send").location == f"{files}/run"
    run = wait_until(anna, f"{files}/run", "All 3 rows were updated.")
    assert {record["SalesRevenue"] for record in served.api.records().values()} == {1002, 7, 1004}
    name = re.search(r"/runs/([^/\"]+)/", run.text)
    assert name
    assert "All 3 rows were updated." in wait_until(ben, f"/runs/{name[1]}", "What next").shown
    assert ben.get(f"/runs/{name[1]}/files/workbook").body[:2] == b"PK"
    assert len(served.api.requests()) == 3
