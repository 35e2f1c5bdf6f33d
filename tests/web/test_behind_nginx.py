"""docs/guide/web-server.md: its configuration of nginx, run by nginx itself with a stand-in for oauth2-proxy."""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.docs.pages import DOCS, blocks
from tests.end_to_end.program import sandbox
from tests.in_thread import InThread
from tests.reserved_port import reserved_port
from tests.web.served import Browser, PageServer, configured, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.debian

CERTIFICATES = Path(__file__).parent.parent / "sender" / "certificates"
NAME = "updates.example.com"
SETTINGS = """\
daemon off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
"""


class SignIn(InThread):
    """Does what oauth2-proxy does: a request with the cookie `who` is signed in."""

    port = 0

    async def _start(self) -> web.AppRunner | web.ServerRunner:
        app = web.Application()
        app.router.add_get("/oauth2/auth", self._auth)
        app.router.add_get("/oauth2/start", self._sign_in)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner

    async def _auth(self, request: web.Request) -> web.Response:
        who = request.cookies.get("who")
        return web.Response(status=202 if who else 401, headers={"X-Auth-Request-User": who} if who else None)

    async def _sign_in(self, _request: web.Request) -> web.Response:
        return web.Response(text="Please sign in")


@dataclass
class SecureBrowser(Browser):
    """Reaches the server by https, under the name of the site."""

    def connect(self) -> http.client.HTTPConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = int(self.host.rpartition(":")[2])
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[PageServer, str]]:
    """Serve the page behind nginx; gives the server and the address of the site."""
    (documented,) = blocks(DOCS / "guide" / "web-server.md", "nginx")
    folder = tmp_path / "nginx"
    folder.mkdir()
    with (
        reserved_port() as port,
        sandbox() as api,
        SignIn() as signing,
        PageServer(configured(tmp_path, api.url, "auth: proxy")) as server,
    ):
        text = documented.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        text = text.replace("127.0.0.1:4180", f"127.0.0.1:{signing.port}")
        text = text.replace("http://127.0.0.1:8484", server.address.rstrip("/"))
        text = re.sub(r"/etc/ssl/\S+\.pem", str(CERTIFICATES / "localhost.pem"), text)
        text = re.sub(r"/etc/ssl/\S+\.key", str(CERTIFICATES / "key.pem"), text)
        (folder / "nginx.conf").write_text(f"{SETTINGS}{text}}}\n", encoding="utf-8")
        with subprocess.Popen(
            ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
        ) as nginx:
            try:
                while True:
                    assert nginx.poll() is None, (folder / "error.log").read_text(encoding="utf-8")
                    try:
                        create_connection(("127.0.0.1", port)).close()
                        break
                    except ConnectionRefusedError:
                        time.sleep(0.02)
                yield server, f"https://{NAME}:{port}/"
            finally:
                nginx.terminate()


def test_the_documented_proxy_signs_people_in(site: tuple[PageServer, str]) -> None:
    """No one gets past it or names themselves; who is signed in sends a file from page to page, by https alone."""
    server, address = site
    host = {"Host": address.split("/")[2]}
    stranger = SecureBrowser(address, headers={**host, "X-Forwarded-User": "carla"})
    with closing(stranger.connect()) as connection:
        connection.request("GET", "/", headers=dict(stranger.headers))
        turned_away = connection.getresponse()
        assert turned_away.status == 302
        assert turned_away.headers["Location"] == f"{address}oauth2/start?rd={address}"
    anna = SecureBrowser(
        address, [str(server.folder)], {**host, "X-Forwarded-User": "carla", "X-Forwarded-Host": "evil.example"},
        {"who": "anna"},
    )  # fmt: skip
    page = anna.request("GET", "/")
    assert "Signed in as anna" in page.shown
    assert "; Secure" in page.headers["Set-Cookie"]
    rows = b"Id,Type,OpportunityName\n" + b"".join(b"%d,Pre,a\n" % number for number in range(2, 100_002))
    upload = anna.upload("a.csv", rows).location
    assert "a.csv" in wait_until(anna, f"{upload}/check", "100,000").shown
    for origin, site_of_page, status in (
        ("https://evil.example", "cross-site", 403), (f"https://{NAME}", "same-site", 403),
        (address.rstrip("/"), "same-origin", 303),
    ):  # fmt: skip
        answer = anna.post("/files/sample", {}, Origin=origin, **{"Sec-Fetch-Site": site_of_page})
        assert answer.status == status, origin
