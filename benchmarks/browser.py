"""What a person sees in Chromium: how long a page takes to load, and how long after an upload its check is there.

    python -m benchmarks.browser LINK BARE_PAGE SPREADSHEET

prints seconds as JSON. It is a process of its own: what is measured beside it counts its memory from ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import FailedError
from benchmarks.servers import program_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CHROMIUM = "chromium"
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
LOADS = 5
SEEN_WITHIN_MS = 300_000


class Seen(NamedTuple):
    """Seconds that a person waits."""

    load_s: Sequence[float]
    """For the first page, again and again."""
    bare_s: Sequence[float]
    """For the page that it is compared with."""
    check_s: float
    """From the choice of a file to its rows that need someone."""


def seen(link: str, bare: str, source: Path) -> Seen | None:
    """Return what a person sees of a server and a spreadsheet; None without Chromium or Playwright."""
    if not program_path(CHROMIUM) or not find_spec("playwright"):
        return None
    command = [sys.executable, "-m", "benchmarks.browser", link, bare, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise FailedError(f"Chromium does not show the page:\n{done.stderr[-2_000:]}")
    return Seen(*json.loads(done.stdout))


def main() -> None:
    """Open the page, load it several times, upload a file and look at its check."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (it may not be installed)

    link, bare, source = sys.argv[1:]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program_path(CHROMIUM), args=list(OPTIONS))
        page = browser.new_page()
        page.set_default_timeout(SEEN_WITHIN_MS)
        page.goto(link)
        seconds: dict[str, list[float]] = {bare: [], link.partition("?")[0]: []}
        for _ in range(LOADS):
            for address, loads in seconds.items():
                started_s = time.perf_counter()
                page.goto(address)
                loads.append(time.perf_counter() - started_s)
        started_s = time.perf_counter()
        page.set_input_files("input[type=file]", source)
        page.get_by_role("button", name="Check", exact=True).click()
        page.locator("#grid").wait_for()
        print(json.dumps(Seen(loads, seconds[bare], time.perf_counter() - started_s)))
        browser.close()


if __name__ == "__main__":
    main()
