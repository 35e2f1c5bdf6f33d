"""Debian's Chromium, with the real server and the real sandbox as processes, and what the browser complains of."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from tests.end_to_end.program import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync")  # fmt: skip
MOST_WAITED_MS = 90_000
"""Until an element is there; a machine that does much else is slow."""
MOST_SHIFT = 0.01
"""Of the cumulative layout shift of a page; 0.1 is what Google calls good."""
_WATCH = """
// The browser takes a shift for a person's for half a second after what they do; the answer may come later.
const answers = [];
document.addEventListener('htmx:beforeSwap', ({detail}) => {
  if (['change', 'click', 'submit'].includes(detail.requestConfig.triggeringEvent?.type)) {
    const answer = {since: performance.now(), until: Infinity};
    answers.push(answer);
    const shown = () => answer.until = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(shown));
  }
});
const isAnswer = at => answers.some(({since, until}) => since <= at && at <= until);
new PerformanceObserver(list => {
  for (const shift of list.getEntries()) {
    if (!shift.hadRecentInput && !isAnswer(shift.startTime)) {
      const moved = shift.sources.map(({node}) => node && (node.outerHTML || node.data || '').slice(0, 80));
      reportShift(performance.timeOrigin, location.pathname, shift.value, moved.join(' | '));
    }
  }
}).observe({type: 'layout-shift', buffered: true});
document.addEventListener('securitypolicyviolation', event =>
  reportViolation(`${location.pathname}: ${event.violatedDirective} forbids ${event.blockedURI} ${event.sample}`));
"""


class Process:
    """A command that serves something, and prints its address first."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._end(self._process, signal.SIGTERM)

    def start(self) -> None:
        """Start it, and wait for its address."""
        with (self._folder / "stderr.txt").open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "batch_updater", *self._arguments],
                cwd=self._folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                text=True,
            )  # fmt: skip
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        assert self.address.startswith("http://"), self.said

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process
        self._end(self._process, signal.SIGKILL)
        self._process = None

    @property
    def said(self) -> str:
        """Everything that it has written to standard error."""
        return (self._folder / "stderr.txt").read_text(encoding="utf-8")

    @staticmethod
    def _end(process: subprocess.Popen[str], number: signal.Signals) -> None:
        process.send_signal(number)
        process.wait(90)
        assert process.stdout
        process.stdout.close()


class Api(Process):
    """A sandbox."""

    def _lines(self, name: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.address}/_sandbox/{name}") as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]

    def applied(self) -> Counter[int]:
        """How often each record was changed."""
        requests = [request for request in self._lines("requests") if request["applied"]]
        return Counter(int(request["path"].rpartition("/")[2]) for request in requests)

    def records(self) -> dict[int, dict[str, Any]]:
        """Every `Pre` record that was changed, as it is now."""
        return {record["ID"]: record for record in self._lines("records") if record["Type"] == "Pre"}

    def record(self, number: int) -> dict[str, Any]:
        """Return a `Pre` record as it is now."""
        request = urllib.request.Request(
            f"{self.address}/api/v2/opportunities/{number}?opportunityType=Pre",
            headers={"Authorization": "Bearer sandbox-token"},
        )
        with urllib.request.urlopen(request) as answer:
            (found,) = json.load(answer)
        record: dict[str, Any] = found
        return record

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answer nothing until the block ends: what sends to it comes no further meanwhile."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wait_for_updates(self, count: int) -> None:
        """Wait until so many updates were applied."""
        while self.applied().total() < count:
            time.sleep(0.02)


class Server(Process):
    """The page; each start is at the same port."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder, "serve", "--port", str(port))
        self.folder = folder
        self.origin = f"http://127.0.0.1:{port}"

    def runs(self) -> list[Path]:
        """Return the folders of the runs, the oldest first."""
        return sorted(path.parent for path in (self.folder / "runs").glob("*/run.sqlite"))


class Watch:
    """What a browser complains of on some pages, and what it asks of others than their server."""

    def __init__(self, origin: str) -> None:
        self._origin = urlsplit(origin)
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self._shifts: dict[tuple[float, str], float] = defaultdict(float)
        self._moved: dict[tuple[float, str], list[str]] = defaultdict(list)

    def follow(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.expose_function("reportShift", self._shifted)
        context.expose_function("reportViolation", self._violated)
        context.add_init_script(_WATCH)
        context.on("request", lambda request: self._requested(request.url))
        context.on("console", lambda line: self._said(line.type, line.text, line.page.url if line.page else ""))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _requested(self, url: str) -> None:
        asked = urlsplit(url)
        if asked.scheme not in {"data", "blob"} and asked.netloc != self._origin.netloc:
            self.elsewhere.append(url)

    def _said(self, kind: str, text: str, url: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(f"{url}: {text}")

    def _violated(self, what: str) -> None:
        self.complaints.append(what)

    def _shifted(self, page: float, path: str, value: float, moved: str) -> None:
        self._shifts[page, path] += value
        self._moved[page, path].append(f"{value:.4f} {moved}")

    @property
    def moved(self) -> list[str]:
        """The pages that moved by themselves, with what moved."""
        return [f"{key[1]}: {self._moved[key]}" for key, shift in self._shifts.items() if shift > MOST_SHIFT]


class Person:
    """Someone with a browser of their own."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        self.context = context
        self.server = server
        self.watch = Watch(server.origin)
        self.watch.follow(context)
        self.page: Page = context.new_page()

    def open(self, path: str) -> Page:
        """Go to an address of the server."""
        self.page.goto(self.server.origin + path)
        return self.page

    def grave_findings(self) -> list[tuple[str, list[str]]]:
        """Return what axe-core calls serious or critical on the page, with the first elements that it is about."""
        complaints = len(self.watch.complaints)
        findings = grave_findings(self.page)
        del self.watch.complaints[complaints:]  # axe-core itself sets inline styles
        return findings


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give Debian's Chromium; no command may run in this process meanwhile."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=MOST_WAITED_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, args=list(OPTIONS), timeout=MOST_WAITED_MS
        )
        yield browser
        browser.close()


@contextmanager
def person(
    browser: Browser,
    server: Server,
    *,
    name: str | None = None,
    javascript: bool = True,
    width: int = 1280,
    height: int = 900,
    scheme: Literal["light", "dark"] = "light",
) -> Iterator[Person]:
    """Give someone who is signed in: by the printed link, or by a proxy under a name."""
    with ExitStack() as stack:
        context = browser.new_context(
            extra_http_headers={"X-Forwarded-User": name} if name else {},
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            accept_downloads=True,
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        stack.callback(context.close)
        context.set_default_timeout(MOST_WAITED_MS)
        visitor = Person(context, server)
        visitor.page.goto(server.address)
        yield visitor


def grave_findings(page: Page) -> list[tuple[str, list[str]]]:
    """Return what axe-core calls serious or critical on a page, with the first elements that it is about."""
    package = find_spec("axe_playwright_python")
    assert package
    assert package.origin
    page.evaluate((Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    result: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]][:3])
        for fault in result["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
