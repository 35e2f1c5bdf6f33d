"""The page, served by a process of its own beside the sandbox, and a browser without a screen."""

from __future__ import annotations

import http.client
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode, urljoin, urlsplit

from tests.end_to_end.program import TOKEN, configure, environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

FILES = Path(__file__).parent.parent.parent / "samples"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as it is; see `shown`."""
        return self.body.decode()

    @property
    def shown(self) -> str:
        """What a person reads: without markup, and with single blanks."""
        body = re.sub(r"(?s)<(script|style|title|noscript)\b.*?</\1>", " ", self.text)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    @property
    def location(self) -> str:
        """Where a redirection leads."""
        assert self.status == 303, (self.status, self.shown)
        location = self.headers["Location"]
        assert location.startswith("/"), location
        return location

    def form(self, action: str = "") -> dict[str, str]:
        """Return the fields of a form with their values as the page has them, its token included."""
        pattern = rf'(?s)<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>' if action else r"(?s)(.*)"
        found = re.search(pattern, self.text)
        assert found, f"no form to {action}"
        fields = {}
        for tag in re.findall(r"<(?:input|button)\b[^>]*>", found[1]):
            attributes = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
            is_chosen = attributes.get("type") not in {"radio", "checkbox", "file"} or re.search(r"\schecked\b", tag)
            if "name" in attributes and is_chosen and not tag.startswith("<button"):
                fields[attributes["name"]] = attributes.get("value", "on")
        for name, options in re.findall(r'(?s)<select[^>]*\bname="([^"]*)"[^>]*>(.*?)</select>', found[1]):
            values = re.findall(r'<option value="([^"]*)"([^>]*)>', options)
            chosen = [value for value, rest in values if "selected" in rest] or [value for value, _ in values]
            fields[unescape(name)] = unescape(chosen[0])
        for name, text in re.findall(r'(?s)<textarea[^>]*\bname="([^"]*)"[^>]*>\n?(.*?)</textarea>', found[1]):
            fields[unescape(name)] = unescape(text)
        return fields


@dataclass
class Browser:
    """Sends requests as a browser does, with its cookies; every answer is held against what all must be."""

    address: str
    secrets: Sequence[str] = ()
    """Texts that no answer may have: the folder of the server, the key, the token of the API."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request, as by a proxy."""
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Name and port."""
        return urlsplit(self.address).netloc

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection, for what is no usual request."""
        return http.client.HTTPConnection(self.host, timeout=60)

    def raw(self) -> socket.socket:
        """Return a connection, for what is no request at all."""
        name, _, port = self.host.partition(":")
        return socket.create_connection((name, int(port)), timeout=60)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send one request; a header that is None is left out."""
        sent: dict[str, str | None] = {**self.headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method not in {"GET", "HEAD"}:
            sent |= {"Origin": "null", "Sec-Fetch-Site": "same-origin"}  # as Chromium does, for lack of a referrer
        given = {name: value for name, value in {**sent, **(headers or {})}.items() if value is not None}
        connection = self.connect()
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        self._require_safe(path, answer)
        for text in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(text).items():
                assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Strict", "/")
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def _require_safe(self, path: str, answer: Answer) -> None:
        headers = answer.headers
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert re.fullmatch(r"batch-updater|nginx/.*", headers["Server"])
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        is_static = path.startswith("/static/") and answer.status == 200
        assert headers["Cache-Control"] == ("public, max-age=31536000, immutable" if is_static else "no-store")
        is_document = "Content-Disposition" in headers  # as the run has written it, with its folder
        everything = f"{headers}\n{'' if is_document else answer.body.decode(errors='replace')}"
        for secret in (*self.secrets, TOKEN, "Traceback (most"):
            assert secret not in everything, secret
        if headers.get_content_type() == "text/html" and not is_document:
            page = answer.text
            assert not re.search(r"<[^>]*\s(style|on\w+)\s*=", page), "a style or script is inline"
            assert not re.search(r"<(style|script(?![^>]*\ssrc=))\b", page), "a style or script is inline"
            outside = re.findall(r'(?:src|action|href)="(?![/#?])([^"]*)"', page)
            assert not outside

    def get(self, path: str, **headers: str | None) -> Answer:
        """Open a page; redirections are followed."""
        answer = self.request("GET", path, headers=headers)
        for _ in range(5):
            if answer.status != 303:
                return answer
            answer = self.request("GET", urljoin(path, answer.location))
        raise AssertionError("too many redirections")

    def token(self) -> str:
        """Return the token of the forms of this session."""
        return self.get("/").form()["token"]

    def post(self, path: str, fields: Mapping[str, str], *, token: str | None = None, **headers: str | None) -> Answer:
        """Send a form with the token of this session, or with another one. Redirections are not followed."""
        body = urlencode({"token": self.token() if token is None else token, **fields}).encode()
        return self.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def upload(self, name: str, content: bytes, *, path: str = "/files", token: str | None = None) -> Answer:
        """Send a spreadsheet as the form with the drop zone does. Redirections are not followed."""
        token = self.token() if token is None else token
        kind, body = multipart([("token", None, token.encode()), ("file", name, content)])
        return self.request("POST", path, body, {"Content-Type": kind})


def multipart(parts: Iterable[tuple[str, str | None, bytes]]) -> tuple[str, bytes]:
    """Return content type and body of a form as browsers send it; each part has a name, a file's name, content."""
    boundary = f"----{secrets.token_hex(12)}"
    body = b""
    for name, filename, content in parts:
        escaped = (filename or "").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        of_file = f'; filename="{escaped}"\r\nContent-Type: application/octet-stream' if filename is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'
        body += head.encode("utf-8", "surrogateescape") + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


class PageServer:
    """`batch-updater serve` in a process of its own, from `with` to its end; it may be stopped and started again."""

    command: Sequence[str] = ("batch_updater", "serve")

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        """`folder` has a config.yaml."""
        self.folder = folder
        self._arguments = arguments
        self._variables = variables
        self._process: subprocess.Popen[str] | None = None
        self.link = ""
        self.log = folder / "server.log"

    def start(self) -> Self:
        """Start it, and wait until it can be used."""
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.command, "--port", "0", *self._arguments],
                cwd=self.folder, env=environment(**self._variables), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
            )  # fmt: skip
        assert self._process.stdout
        self.link = self._process.stdout.readline().strip()
        assert self.link, self.log.read_text(encoding="utf-8")
        return self

    @property
    def address(self) -> str:
        """The address without the key."""
        return self.link.partition("?")[0]

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that is running, or ran last."""
        assert self._process
        return self._process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(90)
        assert self.process.stdout
        self.process.stdout.close()
        return code

    def browser(self, **headers: str) -> Browser:
        """Return a browser that is not signed in; `headers` are those of a proxy, with `_` for `-`."""
        key = self.link.partition("key=")[2]
        forbidden = [str(self.folder), *([key] if key else [])]
        return Browser(self.address, forbidden, {name.replace("_", "-"): value for name, value in headers.items()})

    def signed_in(self) -> Browser:
        """Return a browser that has opened the link."""
        browser = self.browser()
        answer = browser.request("GET", f"/?{self.link.partition('?')[2]}")
        assert answer.location == "/"
        return browser

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            assert self.stop() == 0, self.log.read_text(encoding="utf-8")
        log = self.log.read_text(encoding="utf-8")
        assert "key=" not in log
        assert TOKEN not in log
        assert kind is not None or "Traceback" not in log, log


def configured(folder: Path, url: str, web: str = "", more: str = "") -> Path:
    """Write a config.yaml for the sandbox at a URL, with keys of the section `web` and further sections."""
    configure(folder, url, f"sending: {{rate_per_s: 5000, attempts: 3}}\nweb: {{{web}}}\n{more}")
    return folder


def wait_until(browser: Browser, path: str, text: str, seconds: float = 120) -> Answer:
    """Open a page again until it shows a text."""
    deadline = time.monotonic() + seconds
    while True:
        answer = browser.get(path)
        if text in answer.shown:
            return answer
        assert time.monotonic() < deadline, answer.shown
        time.sleep(0.05)
