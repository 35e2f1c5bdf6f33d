"""`batch-updater serve` in a process of its own, and a person who uses it over one connection."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from benchmarks import product
from benchmarks.measure import SAMPLE_EVERY_S, FailedError, memory_mb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ANSWERS_WITHIN_S = 600
_LOOKED_AT_EVERY_S = 0.05


class Answered(NamedTuple):
    """What came back, and how long it took until all of it was there."""

    status: int
    location: str
    text: str
    seconds: float


class Person:
    """Someone who has opened the link, with a connection that is kept."""

    def __init__(self, link: str) -> None:
        split = urlsplit(link)
        self._connection = http.client.HTTPConnection(split.netloc, timeout=_ANSWERS_WITHIN_S)
        self._connection.request("GET", f"/?{split.query}")
        with self._connection.getresponse() as answer:
            self.cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
            answer.read()
        found = re.search(r'name="token" value="([^"]+)"', self.get("/").text)
        if not found:
            raise FailedError("The first page has no form with a token.")
        self._token = found[1]

    def get(self, path: str, **headers: str) -> Answered:
        """Ask for a page; a redirection is not followed."""
        return self._asked("GET", path, b"", headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answered:
        """Send a form, as htmx does if `headers` say so."""
        body = urlencode({"token": self._token, **fields}).encode()
        return self._asked("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})

    def upload(self, source: Path) -> str:
        """Give a file to the page. Returns the path of its own page."""
        boundary = secrets.token_hex(12)
        token = f'--{boundary}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{self._token}\r\n'
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{source.name}"\r\n\r\n'
        body = (token + head).encode() + source.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = self._asked("POST", "/files", body, kind)
        if answer.status != 303:
            raise FailedError(f"The page does not take {source.name}: {answer.status}, {answer.text}")
        return answer.location

    def send(self, files: str) -> None:
        """Send an upload that is checked, with what its preview has chosen."""
        form = re.search(rf'(?s)<form[^>]*action="{files}/send".*?</form>', self.get(f"{files}/preview").text)
        if not form:
            raise FailedError("The preview has no form to send.")
        inputs = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input\b[^>]*>", form[0])]
        fields = {one["name"]: unescape(one.get("value", "")) for one in inputs if one.get("name", "token") != "token"}
        answer = self.post(f"{files}/send", fields)
        if answer.status not in {200, 303}:
            raise FailedError(f"The page does not send: {answer.status}: {answer.text[:500]}")

    def wait_for_check(self, files: str) -> None:
        """Look at an upload now and then, as its page does, until it is checked."""
        while 'id="progress"' in (answer := self.get(f"{files}/check")).text:
            time.sleep(_LOOKED_AT_EVERY_S)
        if answer.status != 200 or 'id="grid"' not in answer.text:
            raise FailedError(f"{files} was not checked: {answer.status} {answer.location} {answer.text}")

    def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        own = {"Cookie": self.cookie, "Origin": f"http://{self._connection.host}:{self._connection.port}"}
        started_s = time.perf_counter()
        self._connection.request(method, path, body or None, {**own, **headers})
        with self._connection.getresponse() as answer:
            text = answer.read().decode()
            seconds = time.perf_counter() - started_s
            return Answered(answer.status, answer.headers.get("Location", ""), text, seconds)


@dataclass(slots=True)
class Page:
    """The server, while it is running."""

    link: str
    process: int
    folder: Path
    """Where its results are."""
    peak_mb: float = 0.0
    """Memory of all its processes together at its highest so far, pages that they share counted once."""

    def person(self) -> Person:
        """Return someone who is signed in."""
        return Person(self.link)


@contextlib.contextmanager
def page_server(folder: Path, url: str, rate_per_s: int = product.UNLIMITED_PER_S) -> Iterator[Page]:
    """Serve the page from an empty folder; it sends to the API at `url`."""
    with page_of(product.write_config(folder, url, rate_per_s), product.ENVIRONMENT) as page:
        yield page


@contextlib.contextmanager
def page_of(config: Path, environ: Mapping[str, str]) -> Iterator[Page]:
    """Serve the page as a configuration says, `environ` added to our own environment."""
    folder = config.parent
    command = [sys.executable, *product.PROGRAM, "serve", "--port", "0", "--config", str(config)]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environ}
    with (folder / "serve.err").open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
    ended = threading.Event()
    with process:
        link = process.stdout.readline().strip() if process.stdout else ""
        page = Page(link, process.pid, folder / "runs")

        def watch() -> None:
            while not ended.wait(SAMPLE_EVERY_S):
                page.peak_mb = max(page.peak_mb, memory_mb(process.pid)[1])

        watching = threading.Thread(target=watch)
        try:
            if not link:
                raise FailedError(f"The page is not served:\n{(folder / 'serve.err').read_text(encoding='utf-8')}")
            watching.start()
            yield page
        finally:
            ended.set()
            if watching.ident:
                watching.join()
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
