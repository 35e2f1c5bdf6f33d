"""report.html of a real run in Debian's Chromium: as a person sees it, on a phone and on a desk, light and dark."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.program import SAMPLES, batch_updater, configure, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.debian

PHONE, DESK = (390, 844), (1280, 900)
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a file with many kinds of mistakes; return its page."""
    folder = tmp_path_factory.mktemp("run")
    shutil.copy(SAMPLES / "mistakes.xlsx", folder / "changes.xlsx")
    with sandbox("--fault", "status-503=0.5", "--seed", "3") as api:
        configure(folder, api.url, "sending: {rate_per_s: 100, attempts: 1}\n")
        done = batch_updater("run", "changes.xlsx", "--json", cwd=folder)
    assert {"updated", "invalid", "failed"} <= set(done.outcomes)
    return Path(done.object["run"]) / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory, report: Path) -> Iterator[BrowserContext]:
    """Debian's Chromium with a profile of its own."""
    assert report.exists()  # before the driver starts an event loop of its own, beside which no run has room
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path="/usr/bin/chromium", headless=True, args=list(OPTIONS), timeout=90_000,
        )  # fmt: skip
        yield context
        context.close()


@pytest.fixture(params=[(PHONE, "light"), (PHONE, "dark"), (DESK, "light"), (DESK, "dark")], ids=str)
def shown(request: pytest.FixtureRequest, chromium: BrowserContext, report: Path) -> Iterator[tuple[Page, list[str]]]:
    """Open the page; give it, and the address of everything that it asked for."""
    (width, height), scheme = request.param
    page, requests = chromium.new_page(), list[str]()
    page.on("request", lambda asked: requests.append(asked.url))
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.goto(report.as_uri())
    yield page, requests
    page.close()


def test_the_page_asks_for_nothing_and_fits_its_screen(shown: tuple[Page, list[str]], report: Path) -> None:
    """One request, for the page itself; nothing reaches beyond the right edge."""
    page, requests = shown
    page.wait_for_load_state("networkidle")
    assert requests == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (
        page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 22, 32)"
    )


def test_axe_finds_no_serious_fault(shown: tuple[Page, list[str]]) -> None:
    """Contrast, names, structure: nothing that axe-core calls serious or critical."""
    page, _ = shown
    found = find_spec("axe_playwright_python")
    assert found
    assert found.origin
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    result: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    grave = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]][:3])
        for fault in result["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert len(result["passes"]) > 15


def test_printed_it_is_black_on_white(chromium: BrowserContext, report: Path, tmp_path: Path) -> None:
    """Even from a dark screen, paper stays white and the page becomes a PDF of some pages."""
    page = chromium.new_page()
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(report.as_uri())
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 41, 51)"
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.close()
