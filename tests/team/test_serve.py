"""Two hosts that serve the page of one team, each with a folder of results of its own, and a worker that sends."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from html import unescape
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from batch_updater.config.secrets import Secret
from batch_updater.errors import ResultsError
from batch_updater.runs.queued_runs import reserve_name
from batch_updater.runs.team_database import SCHEMA, TeamDatabase, address_of
from batch_updater.runs.team_uploads import TeamUploads
from batch_updater.runs.uploads import TaskKind
from tests.end_to_end.program import TOKEN, Sandbox, sandbox
from tests.team.hosts import ROOT, Host, query, until
from tests.team.postgres import PostgresServer
from tests.web.served import Browser, PageServer, wait_until
from tests.web.test_preview_page import press, rows_of

pytestmark = [pytest.mark.debian, pytest.mark.usefixtures("team")]
PROXY = "web: {auth: proxy, may_send: [anna, ben], may_approve: [carl]}\n"


class ServingHost(PageServer):
    """A host of a team that serves the page; it counts as dead after 5 seconds."""

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
    served.second.host.work(quick=False)
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


def run_of(browser: Browser, files: str, seconds: float = 60) -> str:
    """Return the name of the run that a file is sent in, as soon as there is one."""
    found: list[str] = []

    def begun() -> bool:
        answer = browser.request("GET", f"{files}/run")
        if answer.status == 303:
            found.append(answer.location.rpartition("/")[2])
        return bool(found)

    until(begun, seconds)
    return found[0]


def test_an_approval_given_on_one_host_holds_for_exactly_this_content_on_the_other(served: Team) -> None:
    """An edit on either host withdraws it."""
    served.first.host.work(quick=False)
    dora, carl = served.first.as_user("dora"), served.second.as_user("carl")
    files = checked(dora, rows_of(3).replace(b"1003", b"much"))
    assert "Another person has to approve it first" in dora.get(f"{files}/preview").shown
    assert press(carl, carl.get(f"{files}/preview"), f"{files}/approval").status == 303
    assert press(dora, dora.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "7"}).status == 303
    changed = dora.get(f"{files}/preview")
    assert "What would be sent has changed since carl approved it." in changed.shown
    assert press(carl, carl.get(f"{files}/preview"), f"{files}/approval").status == 303
    press(dora, dora.get(f"{files}/preview"), f"{files}/send")
    wait_until(dora, f"{files}/run", "All 3 rows were updated.")
    assert len(served.api.requests()) == 3


@pytest.mark.parametrize("is_staged", [True, False])
def test_an_edit_survives_the_host_on_which_it_was_made(served: Team, is_staged: bool) -> None:
    """The other host takes the draft over; where its rows are not in the database, the file is checked again."""
    anna = served.first.as_user("anna")
    files = checked(anna, rows_of(3).replace(b"1003", b"much"))
    wait_until(anna, "/", "1 needs you")
    assert press(anna, anna.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "7 or 8"}).status == 303
    assert press(anna, anna.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "8"}).status == 303
    if not is_staged:  # as of a draft that is too large for the database
        query(served.address, "DELETE FROM draft_files WHERE name <> 'input' RETURNING 1")
        refused = served.second.as_user("anna").get(f"{files}/check")
        assert refused.status == 409
        assert re.search(r"q1\.csv is on the host \S+, and too large to be moved to this one", refused.shown)
    served.first.stop(signal.SIGKILL)
    ben = served.second.as_user("ben2")
    assert ben.get(f"{files}/check").status == 404  # it is anna's
    anna = served.second.as_user("anna")
    wait_until(anna, f"{files}/check", "All 3 rows are good")
    edits = query(served.address, "SELECT number, new, author FROM draft_edits ORDER BY number")
    assert edits == [(1, "7 or 8", "anna"), (2, "8", "anna")]
    served.second.host.work(quick=False)
    press(anna, anna.get(f"{files}/preview"), f"{files}/send")
    wait_until(anna, f"{files}/run", "All 3 rows were updated.")
    assert {record["SalesRevenue"] for record in served.api.records().values()} == {1002, 8, 1004}


def test_a_host_that_was_thought_dead_keeps_no_edit_of_a_draft_that_it_has_lost(served: Team) -> None:
    """It was only stopped for a while. What people see there afterwards is what was done on the other one."""
    anna = served.first.as_user("anna")
    files = checked(anna, rows_of(4).replace(b"1003", b"much").replace(b"1004", b"more"))
    wait_until(anna, "/", "2 need you")
    old = anna.get(f"{files}/check")
    served.first.process.send_signal(signal.SIGSTOP)
    other = served.second.as_user("anna")
    assert press(other, other.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "7"}).status == 303
    served.first.process.send_signal(signal.SIGCONT)
    assert press(anna, old, f"{files}/rows/4", **{"cell-2": "8"}).status == 303
    for browser in (other, anna):
        wait_until(browser, f"{files}/check", "All 4 rows are good")
    made = query(served.address, 'SELECT number, "row", new FROM draft_edits ORDER BY number')
    assert made == [(1, 3, "7"), (2, 4, "8")]


def test_a_run_is_followed_by_another_host_when_its_own_is_killed(served: Team) -> None:
    """Each row is sent once; who comes to the page of the run, on either host, sees how far it is and how it ended."""
    served.second.host.work(1, quick=False)
    anna, ben = served.first.as_user("anna"), served.second.as_user("anna")
    files = checked(anna, rows_of(400))
    with served.api.slow():
        press(anna, anna.get(f"{files}/preview"), f"{files}/send")
        run = run_of(anna, files)
        wait_until(ben, f"/runs/{run}", "of 400 rows")
        served.first.stop(signal.SIGKILL)
    ended = wait_until(ben, f"/runs/{run}", "All 400 rows were updated.")
    assert "What next" in ended.shown
    until(lambda: not query(served.address, "SELECT 1 FROM tasks WHERE state IN ('waiting', 'running')"))
    assert len(served.api.requests()) == 400
    assert len(query(served.address, "SELECT 1 FROM runs")) == 1
    assert query(served.address, "SELECT state, run FROM tasks WHERE kind = 'send'") == [("done", run)]


def test_what_a_host_had_begun_when_it_died_is_sent_once_by_another(served: Team, tmp_path: Path) -> None:
    """It had a name for the run and nothing in the queue; should it wake up again, it keeps nothing any more."""
    anna = served.second.as_user("anna")
    files = checked(anna, rows_of(3))
    assert served.second.stop() == 0
    assert served.first.stop() == 0
    team = TeamDatabase(Secret(address_of(served.address)))
    with closing(team):
        dying = TeamUploads(tmp_path / "dying" / "web", team, str, dead_after_s=1)
        task = dying.add_task(TaskKind.SEND, "anna", upload=files.rpartition("/")[2])
        assert dying.start_task(task.number)
        assert reserve_name(team, "20261130-000000-q1", served.api.url)
        dying.set_task_run(task.number, "20261130-000000-q1")
        with served.first as first:
            first.host.work(quick=False)
            wait_until(first.as_user("anna"), f"{files}/run", "All 3 rows were updated.")
            with pytest.raises(ResultsError, match="Another host has taken over the task"):
                dying.set_task_run(task.number, None)
            with pytest.raises(ResultsError, match="Another host has taken over the task"):
                dying.end_task(task.number)
    assert len(served.api.requests()) == 3
    ((name,),) = query(served.address, "SELECT name FROM runs")
    assert name != "20261130-000000-q1"


def test_a_run_of_the_command_line_is_stopped_from_the_page_of_another_host(served: Team) -> None:
    """It says who stopped it; the rows that had no turn are sent when a person lets it go on."""
    served.second.host.work(1, quick=False)
    (served.first.folder / "many.csv").write_bytes(rows_of(600))
    with served.api.slow():
        run = served.first.host.submit("many.csv", "--yes")
        ben = served.second.as_user("ben")
        page = wait_until(ben, f"/runs/{run}", "of 600 rows")
        assert press(ben, page, f"/runs/{run}/stop").location == f"/runs/{run}"
    ended = wait_until(ben, f"/runs/{run}", "What next")
    assert "ben stopped the run." in ended.shown
    listed = served.first.as_user("anna").get("/").shown
    assert "command line on " in listed
    assert press(ben, ended, f"/runs/{run}/resume").status == 303
    wait_until(ben, f"/runs/{run}", "All 600 rows were updated.")
    sent = [request["path"] for request in served.api.requests()]
    assert len(sent) == len(set(sent)) == 600


def test_rows_are_repaired_and_undone_on_the_host_that_has_not_sent_them(served: Team) -> None:
    """The workbook comes from the database, and the run of the undo knows which one it undoes."""
    served.first.host.work(quick=False)
    anna, ben = served.first.as_user("anna"), served.second.as_user("ben")
    files = checked(anna, rows_of(4).replace(b"1003", b"much"))
    press(anna, anna.get(f"{files}/preview"), f"{files}/compare")
    wait_until(anna, f"{files}/preview", "Read records again")
    seen = ben.get("/").shown
    assert "q1.csv" not in seen  # it is anna's until it is sent
    press(anna, anna.get(f"{files}/preview"), f"{files}/send")
    run = run_of(anna, files)
    page = wait_until(ben, f"/runs/{run}", "Rows to repair")
    repair = re.search(r'action="(/files/[^/"]+/rows/3[^"]*)"', page.text)
    assert repair
    assert press(ben, page, unescape(repair[1]), **{"cell-2": "7"}).status == 303
    page = ben.get(f"/runs/{run}")
    send = re.search(r'action="(/files/[^/"]+/send)"', page.text)
    assert send
    press(ben, page, send[1])
    wait_until(ben, f"/runs/{run}", "The repaired rows were sent in the run")
    undone = press(ben, ben.get(f"/runs/{run}"), f"/runs/{run}/undo").location
    wait_until(ben, undone, "good")
    other = undone.removesuffix("/check")
    press(anna, anna.get(f"{other}/preview"), f"{other}/send")
    wait_until(anna, f"{other}/run", "rows were updated")
    assert f"by the run {run_of(anna, other)}" in anna.get("/").shown


def test_the_database_holds_no_secret(served: Team) -> None:
    """Neither the token of the API nor the database's password nor a cookie of a session."""
    anna = served.first.as_user("anna")
    files = checked(anna, rows_of(3))
    anna.get(f"{files}/preview")
    with psycopg.connect(served.address, options=f"-c search_path={SCHEMA}") as connection:
        tables = [name for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [SCHEMA]
        )]  # fmt: skip
        assert {"servers", "uploads", "tasks", "sessions", "drafts"} <= set(tables)
        everything = " ".join(
            str(connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall())
            for name in tables
        )
    for secret in (TOKEN, "secret-of-the-database", *anna.cookies.values()):
        assert secret not in everything


def test_every_page_and_form_says_that_the_database_does_not_answer(served: Team, server: PostgresServer) -> None:
    """With 503 and one line in the log each, not as a fault of this server."""
    served.first.host.work(quick=False)
    anna = served.first.as_user("anna")
    files = checked(anna, rows_of(4).replace(b"1003", b"much"))
    press(anna, anna.get(f"{files}/preview"), f"{files}/send")
    run = f"/runs/{run_of(anna, files)}"
    assert "began to repair" not in wait_until(anna, run, "Rows to repair").shown  # no person has
    forms = [f"{run}/{deed}" for deed in ("stop", "resume", "close", "undo", "report", "repair")]
    forms += [f"{files}/{deed}" for deed in ("send", "compare", "rows/3")]
    token, before = anna.token(), len(served.first.log.read_text())
    pages = ["/", files, f"{files}/check", f"{files}/preview", f"{files}/run", run, f"{run}/rows/2", f"{run}/events",
             f"{run}/repaired", f"{run}/rows?number=2", f"{run}/files/workbook", "/settings"]  # fmt: skip
    server.stop("immediate")
    try:
        answers = [(path, anna.get(path)) for path in pages]
        answers += [(path, anna.post(path, {}, token=token)) for path in forms]
    finally:
        server.start()
    assert [(path, answer.status) for path, answer in answers if answer.status != 503] == []
    assert all("The team's database does not answer; try again" in answer.shown for _, answer in answers)
    log = served.first.log.read_text()[before:]
    assert "Traceback" not in log
    assert log.count(" 503, ") == len(answers)
    assert len(log.splitlines()) <= len(answers) + 10  # and what the threads of the page have found, once each
    wait_until(anna, run, "Rows to repair")


def test_a_server_ends_cleanly_while_the_database_is_away(served: Team, server: PostgresServer) -> None:
    """What it would tell the others, they find out by its heartbeat."""
    server.stop("immediate")
    try:
        codes = [host.stop() for host in (served.first, served.second)]
    finally:
        server.start()
    assert codes == [0, 0], served.first.log.read_text()


def test_the_page_says_that_the_database_does_not_answer_until_it_does(served: Team, server: PostgresServer) -> None:
    """Nothing is lost: the draft that was open is there afterwards, with its edit."""
    anna = served.first.as_user("anna")
    files = checked(anna, rows_of(3).replace(b"1003", b"much"))
    page = anna.get(f"{files}/check")
    token = anna.token()
    server.stop("immediate")
    try:
        refused = anna.post(f"{files}/rows/3", page.form(f"{files}/rows/3") | {"cell-2": "7"}, token=token)
        assert refused.status == 503
        assert "does not answer" in refused.shown
    finally:
        server.start()
    wait_until(anna, f"{files}/check", "1 needs you")
    assert press(anna, anna.get(f"{files}/check"), f"{files}/rows/3", **{"cell-2": "7"}).status == 303
    wait_until(served.second.as_user("anna"), f"{files}/check", "All 3 rows are good")
