"""No request gets through that may not be made: every address of the page, with everything that can be wrong."""

from __future__ import annotations

import errno
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import unicodedata
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.errors import GuardError, StoreError, UsageError
from batch_updater.runs.uploads import Uploads
from batch_updater.text.redaction import Redaction
from batch_updater.web.context import PageContext, form_of
from batch_updater.web.forms import safe_name
from batch_updater.web.security import Gate
from batch_updater.web.server import Listening, application, logged, routes
from batch_updater.web.worker import Worker
from tests.end_to_end.program import SAMPLES, batch_updater, environment, sandbox
from tests.in_thread import InThread
from tests.web.served import Browser, PageServer, configured, multipart, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.web.served import Answer

ROWS = b"Id,Type,OpportunityName\n2,Pre,a\n3,Pre,b\n"


class Route(NamedTuple):
    """One address of the page."""

    method: str
    pattern: str

    @property
    def is_static(self) -> bool:
        return self.pattern.startswith("/static/")

    @property
    def is_of_upload(self) -> bool:
        return self.pattern.startswith("/files/{")

    def path(self, upload: str, run: str) -> str:
        """Return an address of what exists."""
        values = {
            "id": upload, "name": "app.js" if self.is_static else run, "run": run, "number": "2", "row": "2",
            "digest": "0" * 16, "kind": "page",
        }  # fmt: skip
        return re.sub(r"\{(\w+)(?::(?:[^{}]|\{[^{}]*\})*)?\}", lambda match: values[match[1]], self.pattern)


ROUTES = sorted({Route(route.method, route.path) for route in routes()})
GUARDED = [route for route in ROUTES if not route.is_static]
FORMS = [route for route in ROUTES if route.method == "POST"]


def each(among: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", among, ids=lambda route: f"{route.method} {route.pattern}")


class Site(NamedTuple):
    """A server with a file that was checked and a run that has ended."""

    server: PageServer
    browser: Browser
    upload: str
    run: str

    def path(self, route: Route) -> str:
        return route.path(self.upload, self.run)


def _with_a_run(folder: Path, url: str, web: str = "") -> str:
    """Configure a folder, send a file there by the command line, and return the name of the run."""
    configured(folder, url, web)
    (folder / "a.csv").write_bytes(ROWS)
    assert batch_updater("run", "a.csv", "--yes", cwd=folder).code == 0
    (run,) = (path.parent.name for path in (folder / "runs").glob("*/run.sqlite"))
    return run


def _uploaded(browser: Browser, name: str = "b.csv") -> str:
    upload = browser.upload(name, ROWS).location.split("/")[2]
    wait_until(browser, f"/files/{upload}/check", "2 rows")
    return upload


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve the page for one person."""
    folder = tmp_path_factory.mktemp("site")
    with sandbox() as api:
        run = _with_a_run(folder, api.url)
        with PageServer(folder) as server:
            browser = server.signed_in()
            yield Site(server, browser, _uploaded(browser), run)


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve the page for a team; the browser is that of anna, who has uploaded the file."""
    folder = tmp_path_factory.mktemp("team")
    with sandbox() as api:
        run = _with_a_run(folder, api.url, "auth: proxy, may_approve: [carla]")
        with PageServer(folder) as server:
            anna = server.browser(X_Forwarded_User="anna")
            yield Site(server, anna, _uploaded(anna), run)


# --- every address ---


@each(GUARDED)
def test_without_a_session_nothing_is_shown_or_done(route: Route, site: Site) -> None:
    """Every address answers the same: sign in."""
    stranger = site.server.browser()
    answer = stranger.request(route.method, site.path(route), b"token=&a=b" if route.method == "POST" else None)
    assert answer.status == 401
    assert "Please sign in" in answer.shown
    assert site.run not in answer.text
    stranger.cookies = dict.fromkeys(site.browser.cookies, "0" * 43)
    assert stranger.request(route.method, site.path(route)).status == 401


@each(ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Origin": "null", "Sec-Fetch-Site": None},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Origin": None, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=["foreign", "cross-site", "null", "null-cross-site", "picture", "frame"],
)
def test_a_page_of_another_site_can_make_no_request(route: Route, headers: dict[str, str | None], site: Site) -> None:
    """Whatever a browser says of where a request comes from, with the right cookie and the right token."""
    body = f"token={site.browser.token()}".encode() if route.method == "POST" else None
    answer = site.browser.request(route.method, site.path(route), body, headers)
    assert (answer.status, "another site" in answer.shown) == (403, True)


@each(FORMS)
def test_a_form_of_another_site_is_refused_even_as_a_navigation(route: Route, site: Site) -> None:
    """A link may be followed from elsewhere, a form may not be sent."""
    headers = {
        "Origin": None,
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert site.browser.request("POST", site.path(route), b"", headers).status == 403


@each(ROUTES)
@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost.", "evil.example@127.0.0.1"])
def test_a_foreign_name_is_not_answered(route: Route, name: str, site: Site) -> None:
    """A name that another site has made to lead here is none of ours (DNS rebinding)."""
    port = urlsplit(site.server.address).port
    headers = {"Host": f"{name}:{port}", "X-Forwarded-Host": site.browser.host, "Origin": f"http://{name}:{port}"}
    answer = site.browser.request(route.method, site.path(route), None, headers)
    assert (answer.status, "does not answer to that name" in answer.shown) == (403, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "", "[::1", "127.0.0.1:x"])
def test_a_wrong_port_or_no_name_is_not_answered(host: str, site: Site) -> None:
    """The name alone is not enough."""
    assert site.browser.request("GET", "/", headers={"Host": host}).status == 403


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_names_of_this_machine_are_answered(name: str, site: Site) -> None:
    """However a person types it."""
    host = f"{name}:{urlsplit(site.server.address).port}"
    assert site.browser.request("GET", "/", headers={"Host": host}).status == 200


@each(FORMS)
def test_a_wrong_token_changes_nothing(route: Route, site: Site) -> None:
    """No token, an invented one, one of another session, and one behind the fields that it is to protect."""
    other = site.server.signed_in().token()
    browser, path = site.browser, site.path(route)
    for token in ("", "0" * 64, other, "ä"):
        answer = browser.post(path, {"answer": "typed by hand"}, token=token)
        assert answer.status in {403, 415}, (token, answer.shown)
        for first in ("token", "answer"):
            fields = {"token": token.encode(), "answer": b"typed by hand"}
            names = [first, *(name for name in fields if name != first)]
            kind, body = multipart([(name, None, fields[name]) for name in names])
            assert browser.request("POST", path, body, {"Content-Type": kind}).status == 403


@each([route for route in ROUTES if route.is_of_upload])
def test_the_file_of_another_is_not_there(route: Route, team: Site) -> None:
    """As if there were none: the answer is that to an invented address."""
    ben = team.server.browser(X_Forwarded_User="ben")
    ben.token()
    answers = []
    for upload in (team.upload, "AAAAAAAAAAAA"):
        path = route.path(upload, team.run)
        answer = ben.post(path, {}) if route.method == "POST" else ben.request(route.method, path)
        answers.append((answer.status, answer.text.replace(upload, "")))
    assert answers[0][0] == 404
    assert answers[0] == answers[1]


@each([route for route in ROUTES if route.is_of_upload and route.method == "GET"])
def test_who_may_approve_sees_the_files_of_all(route: Route, team: Site) -> None:
    """They are to judge them."""
    carla = team.server.browser(X_Forwarded_User="carla")
    assert carla.get(route.path(team.upload, team.run)).status == 200


@each(ROUTES)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_a_method_that_does_not_exist_is_refused(route: Route, method: str, site: Site) -> None:
    """405 with what there is, and nothing is done."""
    answer = site.browser.request(method, site.path(route), b"")
    expected = {one.method for one in ROUTES if one.pattern == route.pattern}
    assert answer.status == 405
    assert expected <= set(answer.headers["Allow"].split(","))


@each(ROUTES)
def test_ten_megabytes_of_form_are_not_read(route: Route, site: Site) -> None:
    """Told by its length beforehand, or arriving in pieces without one."""
    token = site.browser.token()
    piece = b"a=" + b"x" * 99_998
    kinds = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (piece * 100, (piece for _ in range(100))):
        started = time.monotonic()
        answer = site.browser.request(route.method, site.path(route), body, kinds)
        if route.method == "POST":
            assert answer.status in {413, 415}
        assert time.monotonic() - started < 15
    kind, many = multipart([("token", None, token.encode()), ("a", None, b"x" * 10_000_000)])
    if route.method == "POST":
        assert site.browser.request("POST", site.path(route), many, {"Content-Type": kind}).status == 413


def test_a_form_that_stops_arriving_is_given_up(site: Site) -> None:
    """Every form at once, and the upload in the midst of its file: each connection is answered and closed."""
    token = site.browser.token()
    cookie = "; ".join(f"{name}={value}" for name, value in site.browser.cookies.items())
    kind, start = multipart([("token", None, token.encode()), ("file", "a.csv", b"Id,Type\n")])
    head = f"Host: {site.browser.host}\r\nCookie: {cookie}\r\nContent-Type: {kind}\r\nContent-Length: 9000\r\n"
    with ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for route in FORMS:
            connection = stack.enter_context(site.browser.raw())
            request = f"POST {site.path(route)} HTTP/1.1\r\n{head}\r\n".encode()
            connection.sendall(request + start.rpartition(b"\r\n--")[0])
            waiting.register(connection, selectors.EVENT_READ, route)
        answers: dict[Route, bytes] = {}
        while len(answers) < len(FORMS):
            ready = waiting.select(timeout=120)
            assert ready, set(FORMS) - set(answers)
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                answers[key.data] = b"".join(iter(partial(key.fileobj.recv, 65_536), b""))
                waiting.unregister(key.fileobj)
    for route, received in answers.items():
        assert re.match(rb"HTTP/1.1 (408|404|409|503) ", received), (route, received[:200])
    assert any(received.startswith(b"HTTP/1.1 408") for received in answers.values())
    assert not list((site.server.folder / "runs" / "web").glob("*/input*.part"))


def test_every_page_has_its_headers(site: Site) -> None:
    """`Browser.request` holds each answer against them; here all pages are opened."""
    for route in ROUTES:
        if route.method == "GET" and not route.pattern.endswith("/events"):
            site.browser.request("GET", site.path(route))
    for text in re.findall(r'(?:src|href)="(/static/[^"]+)"', site.browser.get("/").text):
        answer = site.browser.request("GET", text)
        assert answer.status == 200
        assert answer.headers.get_content_type() in {"text/css", "text/javascript", "image/svg+xml"}


def test_a_static_file_has_one_address(site: Site) -> None:
    """Another version, a folder above, and a file that is none of them are not there."""
    for path in ("/static/0/app.js", "/static/x/../../server.py", "/static/%2e%2e/server.py", "/static/0/htmx.LICENSE"):
        assert site.browser.request("GET", path).status in {403, 404}


# --- the key and the session ---


def test_the_link_lets_a_browser_in_and_its_session_outlives_the_server(page_server: PageServer) -> None:
    """The key leaves the address; it is another one after a restart, and who is signed in stays so."""
    browser, first = page_server.signed_in(), page_server.link
    assert len(browser.cookies) == 1
    token = browser.token()
    address = page_server.address
    page_server.stop()
    page_server.start()
    assert page_server.link.partition("key=")[2] != first.partition("key=")[2]
    again = page_server.browser()
    again.cookies = {f"batch-updater-{urlsplit(page_server.address).port}": next(iter(browser.cookies.values()))}
    assert (again.get("/").status, again.token()) == (200, token)
    old = page_server.browser().request("GET", f"/?{first.partition('?')[2]}")
    assert (old.status, "printed last" in old.shown) == (403, True)
    assert address


def test_the_key_opens_the_page_that_the_link_names(site: Site) -> None:
    """Only the key is taken out of it."""
    key = site.server.link.partition("?")[2]
    assert site.server.browser().request("GET", f"/runs/{site.run}?a=b&{key}").location == f"/runs/{site.run}?a=b"
    headers = {"Host": site.browser.host}
    answer = site.server.browser().request("GET", f"http://evil.example/settings?{key}", headers=headers)
    assert answer.location == "/settings"


@pytest.mark.parametrize("start", ["//", "///", "/\\", "/\\/"])
@pytest.mark.parametrize("site_of_link", ["none", "cross-site"])
def test_a_link_with_the_key_leads_to_no_other_site(start: str, site_of_link: str, site: Site) -> None:
    """Browsers would take what follows two slashes, of either kind, for a name."""
    key = site.server.link.partition("?")[2]
    headers = {"Sec-Fetch-Site": site_of_link, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = site.server.browser().request("GET", f"{start}evil.example/?{key}", headers=headers)
    if site_of_link == "none":
        assert answer.location == "/"
    else:
        assert 'content="0;url=/"' in answer.text


def test_a_browser_that_another_page_has_led_here_gets_its_cookie_first(site: Site) -> None:
    """It would not send a strict cookie along a redirection; so a page of ours goes on."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    browser = site.server.browser()
    answer = browser.request("GET", f"/settings?q=a+b:c&{site.server.link.partition('?')[2]}", headers=headers)
    assert answer.status == 200
    assert 'content="0;url=/settings?q=a+b:c"' in answer.text
    assert browser.get("/").status == 200


def test_wrong_keys_are_limited_and_not_in_the_log(page_server: PageServer) -> None:
    """After ten of them no key is taken for a minute, the right one included; who is signed in notices nothing."""
    inside, outside = page_server.signed_in(), page_server.browser()
    assert outside.request("GET", "/a%0a12:00:00%20GET%20/%20200,%20root").status == 401
    found = [outside.request("GET", f"/?key=wrong{number}").status for number in range(12)]
    assert found == [403] * 10 + [429] * 2
    assert outside.request("GET", f"/?{page_server.link.partition('?')[2]}").status == 429
    assert inside.get("/").status == 200
    log = page_server.log.read_text(encoding="utf-8")
    assert "GET / 403" in log
    assert "GET /a%0a12:00:00%20GET" in log
    assert not re.search(r"^12:00:00", log, re.MULTILINE)
    assert "wrong1" not in log


def test_a_message_for_the_next_page_cannot_be_forged(site: Site) -> None:
    """The cookie that holds it is signed with the session."""
    name = f"batch-updater-{urlsplit(site.server.address).port}-said"
    for value in (f"{'0' * 64}.Your%20password%3F", "x", ""):
        forged = Browser(site.server.address, cookies=site.browser.cookies | {name: value})
        assert "password" not in forged.request("GET", "/").text


@pytest.mark.parametrize("value", ["\xff\xfe", "x.\xff", "%ff", "\x80"])
def test_a_cookie_that_is_no_text_is_no_session(value: str, site: Site) -> None:
    """It is no fault of the program, and no message."""
    (name,) = site.browser.cookies
    assert Browser(site.server.address, cookies={name: value}).request("GET", "/").status == 401
    with_message = Browser(site.server.address, cookies=site.browser.cookies | {f"{name}-said": value})
    assert with_message.request("GET", "/").status == 200


# --- what is typed and uploaded ---


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/passwd", "input"),
        ("C:\\Users\\a\\q1.XLSX", "input.xlsx"),
        ("q1\u202excod.csv", "input.csv"),
        ("<script>alert(1)</script>.csv", "input.csv"),
        ("=cmd|' /C calc'!A0.csv", "input.csv"),
        ("{{ 7 * 7 }}{% raw %}.csv", "input.csv"),
        (f"{'x' * 500}.csv", "input.csv"),
        ("a.csv/..", None),
        ("q1.c sv", "input"),
        (".htaccess", "input.htaccess"),
        ('a"b\r\nSet-Cookie: x=y.csv', "input.csv"),
        ("データ.csv", "input.csv"),
        ("..", None),
    ],
)  # fmt: skip
def test_a_hostile_name_of_a_file_is_text(name: str, kept: str | None, site: Site) -> None:
    """It chooses no path and no place in a page; the file is the one in its own folder."""
    folders = site.server.folder / "runs" / "web"
    before, everything = set(folders.iterdir()), set(site.server.folder.rglob("*"))
    answer = site.browser.upload(name, ROWS)
    if kept is None:
        assert answer.status == 400
        return
    page = site.browser.get(answer.location)
    (folder,) = (path for path in set(folders.iterdir()) - before if path.is_dir())
    assert (folder / kept).read_bytes() == ROWS
    outside = set(site.server.folder.rglob("*")) - everything
    assert all(path.is_relative_to(folders) for path in outside)
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert len(page.text) < 100_000


@given(st.text())
def test_a_file_name_is_one_readable_segment(name: str) -> None:
    """Whatever a browser sends as one."""
    safe = safe_name(name)
    assert not set(safe) & {"/", "\\", "\0", "\n", "\r", "\u2028"}
    assert safe not in {".", ".."}
    assert len(safe) <= 150
    assert unicodedata.is_normalized("NFC", safe) or len(name) > 150
    assert safe_name(safe) == safe


def test_an_upload_that_is_too_large_is_refused_while_it_arrives(tmp_path: Path) -> None:
    """By its length before it is read, or as soon as there is too much; nothing of it stays."""
    with sandbox() as api, PageServer(configured(tmp_path, api.url, "max_upload_mb: 1")) as server:
        browser = server.signed_in()
        kind, body = multipart([("token", None, browser.token().encode()), ("file", "a.csv", b"x" * 3_000_000)])
        for sent in (body, (body[at : at + 65_536] for at in range(0, len(body), 65_536))):
            answer = browser.request("POST", "/files", sent, {"Content-Type": kind})
            assert (answer.status, "more than" in answer.shown) == (413, True)
        assert not list((tmp_path / "runs" / "web").glob("*/input*"))
        assert browser.upload("a.csv", b"Id,Type\n" + b"1,Pre\n" * 100_000).status == 303


def test_four_files_may_arrive_at_once(page_server: PageServer) -> None:
    """A fifth is asked to come again; once one has ended there is room."""
    browser = page_server.signed_in()
    many = ROWS + b"4,Pre,c\n" * 100_000
    kind, body = multipart([("token", None, browser.token().encode()), ("file", "a.csv", many)])
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    head = f"POST /files HTTP/1.1\r\nHost: {browser.host}\r\nCookie: {cookie}\r\nContent-Type: {kind}\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(browser.raw()) for _ in range(4)]
        for connection in slow:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-10])
        folders = page_server.folder / "runs" / "web"
        while len(list(folders.glob("*/input.csv"))) < 4:
            time.sleep(0.02)
        answer = browser.upload("b.csv", ROWS)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        slow[0].sendall(body[-10:])
        assert slow[0].recv(100).startswith(b"HTTP/1.1 303")
        assert browser.upload("b.csv", ROWS).status == 303


def test_what_was_typed_into_a_form_of_an_old_session_is_not_lost(site: Site) -> None:
    """The page that refuses it holds it, as text, with the token of now."""
    typed = {"name": "<b>\u202eq1", "text": "line 1\r\nline 2"}
    path = site.path(next(route for route in FORMS if route.pattern != "/files"))
    answer = site.browser.post(path, typed, token="0" * 64)
    assert answer.status == 403
    assert "<b>\u202eq1" not in answer.text
    kept = answer.form(path)
    assert kept.pop("token") == site.browser.token()
    assert {name: value.replace("\r\n", "\n") for name, value in kept.items()} == {
        name: value.replace("\r\n", "\n") for name, value in typed.items()
    }


@pytest.mark.parametrize("path", ["/files", "/files/sample"])
def test_what_was_typed_without_a_session_is_sent_again_after_signing_in(path: str, page_server: PageServer) -> None:
    """A wrong key keeps it too; a right one signs in on the same page, and does nothing else."""
    typed = {"rows": "Id\tType\tStageName\n101\tPre\tWon\n", "remember": "yes"}

    def send(browser: Browser, fields: Mapping[str, str]) -> Answer:
        kind, body = multipart([(name, None, value.encode()) for name, value in fields.items()])
        return browser.request("POST", path, body, {"Content-Type": kind})

    visitor = Browser(page_server.address)
    ended = send(visitor, {"token": "0" * 64, **typed})
    assert (ended.status, not visitor.cookies) == (401, True)
    assert "Sign in" in ended.shown
    assert ended.form(path) == {"key": "on", **typed}
    wrong = send(visitor, {**ended.form(path), "key": "wrong"})
    assert (wrong.status, wrong.form(path), not visitor.cookies) == (401, {"key": "on", **typed}, True)
    signed_in = send(visitor, {**wrong.form(path), "key": page_server.link.partition("key=")[2]})
    assert "You are signed in. Nothing was done yet." in signed_in.shown
    again = signed_in.form(path)
    assert again == {"token": visitor.token(), **typed}
    assert not list((page_server.folder / "runs" / "web").glob("*/input*"))
    assert send(visitor, again).status == 303


def test_rows_pasted_into_a_page_of_an_old_session_are_not_lost(page_server: PageServer) -> None:
    """The page that refuses them holds them, with the token of now."""
    browser = page_server.signed_in()
    kind, body = multipart([("token", None, b"0" * 64), ("rows", None, b"Id\tType\n5\tPre")])
    refused = browser.request("POST", "/files", body, {"Content-Type": kind})
    assert refused.status == 403
    assert refused.form("/files") == {"token": browser.token(), "rows": "Id\tType\n5\tPre"}
    assert not list((page_server.folder / "runs" / "web").glob("*/input*"))


@pytest.mark.parametrize("body", [b"\xff=1", b"a=%ff", b"&".join([b"a=1"] * 6_000)])
def test_a_form_that_cannot_be_read_is_refused(body: bytes, site: Site) -> None:
    """Bytes that are no text, and more fields than any form has."""
    path = site.path(next(route for route in FORMS if route.pattern != "/files"))
    answer = site.browser.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 400


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("route", ["/files", "/files/sample"])
def test_a_form_whose_compression_is_damaged_is_refused(kind: str, route: str, site: Site) -> None:
    """It is no fault of the program."""
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    answer = site.browser.request("POST", route, b"no gzip at all", headers)
    assert answer.status == (415 if route == "/files" and "urlencoded" in kind else 400)


# --- behind a proxy ---


def test_a_name_comes_from_the_header_of_the_proxy_alone(team: Site) -> None:
    """None, an empty one, two of them or one with control characters: no one is signed in."""
    assert team.server.browser().get("/").status == 403
    for name in ("", " ", "a" * 201, "a\tb", "a\xad"):
        assert team.server.browser(X_Forwarded_User=name).get("/").status == 403, name
    with closing(team.browser.connect()) as connection:
        connection.putrequest("GET", "/")
        for name in ("anna", "carla"):
            connection.putheader("X-Forwarded-User", name)
        connection.endheaders()
        assert connection.getresponse().status == 403
    assert "Signed in as anna" in team.browser.get("/").shown


def test_a_session_of_one_person_is_not_that_of_another(team: Site) -> None:
    """A cookie that another person's browser has left gives no token and no name."""
    anna = team.server.browser(X_Forwarded_User="anna")
    token = anna.token()
    ben = team.server.browser(X_Forwarded_User="ben")
    ben.cookies = dict(anna.cookies)
    assert "Signed in as ben" in ben.get("/").shown
    assert ben.token() != token


def test_a_peer_that_is_no_proxy_is_refused(tmp_path: Path) -> None:
    """Whatever it says in the header, and whatever it asks for."""
    web = "auth: proxy, trusted_proxies: [10.0.0.0/8, '::2']"
    with sandbox() as api, PageServer(configured(tmp_path, api.url, web)) as server:
        browser = server.browser(X_Forwarded_User="anna")
        for path in ("/", "/settings", "/static/0/app.css"):
            assert browser.request("GET", path).status == 403


def test_the_name_and_scheme_of_the_site_are_those_that_the_proxy_forwards(team: Site) -> None:
    """A form from there is taken, one from elsewhere is not; by https the cookie is for https alone."""
    headers = {"Host": "updates.example.com", "X-Forwarded-Proto": "https"}
    browser = team.server.browser(X_Forwarded_User="dora", **headers)
    cookie = browser.request("GET", "/").headers["Set-Cookie"]
    assert "; Secure" in cookie
    assert "; Secure" not in team.server.browser(X_Forwarded_User="dora").request("GET", "/").headers["Set-Cookie"]
    path, token = "/files/AAAAAAAAAAAA/answers", browser.token()
    for origin, status in (
        ("https://updates.example.com", 404), ("http://updates.example.com", 403), ("https://evil.example", 403),
    ):  # fmt: skip
        site = "same-origin" if status == 404 else "cross-site"
        answer = browser.post(path, {}, token=token, Origin=origin, **{"Sec-Fetch-Site": site})
        assert answer.status == status, origin


NAMELESS = {"Origin": "null", "Sec-Fetch-Site": None}
"""What a browser says of a form that it sends by plain http, whichever page it is from."""


@each(FORMS)
def test_by_plain_http_a_form_behind_a_proxy_is_taken_for_its_token_alone(route: Route, team: Site) -> None:
    """A wrong token is refused, and what came with it is not offered to be sent once more."""
    browser, path = team.server.browser(X_Forwarded_User="anna", X_Forwarded_Proto="http"), route.path("A" * 12, "none")
    token = browser.token()
    for wrong in ("0" * 64, ""):
        answer = browser.post(path, {"answer": "typed elsewhere"}, token=wrong, **NAMELESS)
        assert answer.status in {403, 404, 415}
        assert "typed elsewhere" not in answer.text
    assert browser.post("/files/sample", {}, token="0" * 64, **NAMELESS).status == 403
    answer = browser.post(path, {}, token=token, **NAMELESS)
    assert answer.status != 403, answer.shown
    https = team.server.browser(X_Forwarded_User="anna", X_Forwarded_Proto="https")
    assert https.post(path, {}, **NAMELESS).status == 403


def test_by_plain_http_a_form_of_another_site_leaves_the_session_as_it_is(team: Site) -> None:
    """It comes without the strict cookie, and gets none."""
    led = team.server.browser(X_Forwarded_User="anna", X_Forwarded_Proto="http")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = led.request("POST", "/files/sample", f"token={team.browser.token()}".encode(), {**kind, **NAMELESS})
    assert (answer.status, answer.headers["Set-Cookie"]) == (403, None)


@pytest.mark.parametrize("place", ["cross-site", "same-site"])
def test_a_link_of_another_site_leaves_the_session_as_it_is(place: str, site: Site, team: Site) -> None:
    """The strict cookie stays away when it is followed; a page of ours goes on, to which the cookie is sent."""
    headers = {"Sec-Fetch-Site": place, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for led in (site.server.browser(), team.server.browser(X_Forwarded_User="anna")):
        answer = led.request("GET", "/settings?a=b", headers=headers)
        assert (answer.status, answer.headers["Set-Cookie"]) == (200, None)
        assert 'content="0;url=/settings?a=b"' in answer.text
        assert "Signed in" not in answer.text
    assert site.browser.request("GET", "/settings", headers=headers).shown.count("Signed in") == 1


# --- starting and ending ---


def test_without_a_proxy_no_other_machine_is_served(tmp_path: Path) -> None:
    """A sentence says what to do, and nothing is opened."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "updates.example.com"):  # noqa: S104
        done = batch_updater("serve", "--host", host, cwd=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert "web.auth" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_port_that_is_taken_gives_the_next(tmp_path: Path) -> None:
    """The link says which; a proxy knows one port, so with it there is no other."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with sandbox() as api, PageServer(configured(tmp_path, api.url), "--port", str(port)) as server:
            assert port < (urlsplit(server.address).port or 0) <= port + 19
        configured(tmp_path, "http://127.0.0.1:1", "auth: proxy")
        done = batch_updater("serve", "--port", str(port), cwd=tmp_path)
        assert (done.code, "Address already in use" in done.err) == (2, True)


def test_one_server_works_on_a_folder_of_results(page_server: PageServer) -> None:
    """The second one names process and address of the first, and ends with 4."""
    done = batch_updater("serve", "--port", "0", cwd=page_server.folder)
    assert done.code == 4
    assert f"process {page_server.process.pid}" in done.err
    assert page_server.address in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server(page_server: PageServer, number: signal.Signals) -> None:
    """With 0, also while a page waits for something new; nothing of the lock stays."""
    browser = page_server.signed_in()
    with closing(browser.connect()) as idle:
        idle.request("GET", "/", headers={"Cookie": "; ".join("=".join(one) for one in browser.cookies.items())})
        assert idle.getresponse().status == 200
        assert page_server.stop(number) == 0
    assert not list((page_server.folder / "runs" / "web").glob(".lock*"))


def test_the_link_is_one_object_with_json(tmp_path: Path) -> None:
    """For programs that start the server."""
    with sandbox() as api, subprocess.Popen(
        [sys.executable, "-m", "batch_updater", "serve", "--port", "0", "--json"], cwd=configured(tmp_path, api.url),
        env=environment(), stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
    assert re.fullmatch(
        r'\{"schema": 1, "command": "serve", "url": "http://127\.0\.0\.1:\d+/\?key=[\w-]{32}"\}\n', line
    )


def test_the_sample_is_there_for_the_page(site: Site) -> None:
    """A real workbook goes the same way."""
    content = (SAMPLES / "opportunities.xlsx").read_bytes()
    assert site.browser.upload("opportunities.xlsx", content).status == 303


class Broken(InThread):
    """The application itself, with one more address: that of a fault."""

    def __init__(self, folder: Path, fault: Exception) -> None:
        self._folder, self._fault = folder, fault
        self.address = ""
        self.key = ""

    async def _start(self) -> web.AppRunner:
        config, environ = load_config(self._folder / "config.yaml", {}), Environment({})
        environ.redaction.remember("sandbox-secret")
        uploads = Uploads(self._folder / "runs" / "web")
        listening = Listening(config.web.model_copy(update={"port": 0}))
        self.address, self.key = listening.address, listening.link.partition("key=")[2]
        gate = Gate(config.web, uploads, (listening.host, listening.port), listening.key)
        app = application(PageContext(config, environ, uploads, Worker(config, environ, uploads), gate))
        app.router.add_route("*", "/broken", self._broken)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening.socket).start()
        return runner

    async def _broken(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            await form_of(request)
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (ValueError("sandbox-secret in /srv/x"), 500, "a fault of the program"),
        (StoreError("the database /srv/x is full"), 500, "there may be no room left"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/x"), 500, "there may be no room left"),
        (UsageError("That is no row.", remedy="Name another."), 409, "That is no row. Name another."),
        (GuardError("Too many rows."), 409, "Too many rows."),
    ],
    ids=["ValueError", "StoreError", "OSError", "UsageError", "GuardError"],
)
def test_a_fault_has_a_reference_and_shows_nothing_of_itself(
    fault: Exception, status: int, said: str, tmp_path: Path
) -> None:
    """The log has it all, without secrets; what was typed is on the page; an error of use has its own text."""
    lines: list[str] = []
    redaction = Redaction()
    redaction.remember("sandbox-secret")
    (configured(tmp_path, "http://127.0.0.1:1") / "runs").mkdir()
    with logged(lines.append, redaction.text, every_request=False), Broken(tmp_path, fault) as broken:
        browser = Browser(broken.address, ["/srv/x", "sandbox-secret", broken.key])
        browser.request("GET", f"/?key={broken.key}")
        answer = browser.get("/broken")
        assert (answer.status, said in answer.shown) == (status, True)
        kept = browser.post("/broken", {"text": "typed <by> hand"})
        assert kept.status == status
        assert kept.form("/broken")["text"] == "typed <by> hand"
        part = browser.request("GET", "/broken", headers={"HX-Request": "true"})
        assert "<html" not in part.text
        assert 'role="alert"' in part.text
    log = "\n".join(lines)
    assert "sandbox-secret" not in log
    assert bool(re.findall(r"reference (\w{8})", log)) is (status == 500)
    if status == 500:
        found = re.search(r"reference (\w+)", answer.shown)
        assert found
        assert found[1] in log
        assert "Traceback" in log


def test_the_browser_is_opened_by_way_of_a_private_file(tmp_path: Path) -> None:
    """All users of a machine can see the words of a command: the key is not among them. The file goes with the key."""
    opened = tmp_path / "opened"
    starter = tmp_path / "xdg-open"
    starter.write_text(f'#!/bin/sh\necho "$1" > {opened}.new\nmv {opened}.new {opened}\n', encoding="utf-8")
    starter.chmod(0o700)
    with (
        sandbox() as api,
        PageServer(configured(tmp_path, api.url), "--open", DISPLAY=":0", PATH=f"{tmp_path}:/usr/bin:/bin") as server,
    ):
        while not opened.exists():
            time.sleep(0.02)
        path = Path(opened.read_text(encoding="utf-8").strip())
        assert server.link in path.read_text(encoding="ascii")
        assert (path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == (0, 0)
    assert not path.exists()
