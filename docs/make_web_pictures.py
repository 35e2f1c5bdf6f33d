"""Make the pictures of the web page from a real walk through it: `make pictures`.

Needs Chromium from Debian. Every page is taken on a desk and on a phone, light and dark.
"""

from __future__ import annotations

import io
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image
from playwright.sync_api import expect

from tests.web import tour
from tests.web.browser import Api, Server, chromium, person
from tests.web.messy_workbook import write_messy

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parent / "pictures" / "web"
SIZES = ((1280, 860), (390, 844))
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COLOURS = 48
"""In a picture: enough for smooth letters on few backgrounds, at a third of the bytes."""
STRIP = ("home", "mapping", "check", "preview", "changes", "sending", "result", "runs")
STRIP_COLUMNS, STRIP_WIDTH = 4, 340


def main() -> None:
    """Take every page once, and put some of them into one strip."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "api").mkdir()
        workbook = write_messy(folder / "pipeline-q1.xlsx")
        with Api(folder / "api", "sandbox", "--port", "0") as api:
            (folder / "config.yaml").write_text(
                f"api: {{base_url: '{api.address}', token: 'env:NEXUS_TOKEN'}}\n"
                "sending: {rate_per_s: 100}\nguards: {rows: 5000, invalid_percent: 20}\n",
                encoding="utf-8",
            )
            with socket.create_server(("127.0.0.1", 0)) as free:
                port: int = free.getsockname()[1]
            with Server(folder, port) as server, chromium() as browser, person(browser, server) as who:
                walk(who.page, workbook)
                who.open("/")
                take(who.page, "runs", scrolled_to="Runs")
                who.open("/settings")
                take(who.page, "settings")
                who.open(f"/runs/{server.runs()[0].name}/rows?number=20")
                take(who.page, "row")
    make_strip()


def walk(page: Page, workbook: Path) -> None:
    """Take the pages that a file goes through."""
    take(page, "home")
    tour.drop(page, workbook)
    expect(page.get_by_role("radio").first).to_be_visible()
    take(page, "questions")
    tour.answer_places(page)
    expect(tour.mapping(page)).to_be_visible()
    take(page, "mapping")
    tour.map_columns(page)
    page.get_by_label("Remember for files like this").check()
    tour.check(page)
    expect(page.get_by_role("radio").first).to_be_visible()
    take(page, "cells")
    tour.answer_cells(page)
    expect(page.get_by_role("heading", name="268 of 300 rows are good.")).to_be_visible()
    take(page, "check")
    tour.correct_all(page)
    tour.correct_kinds(page)
    expect(page.get_by_role("heading", name="All 300 rows are good.")).to_be_visible()
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_role("button", name="Send 300 rows")).to_be_visible()
    take(page, "preview")
    page.get_by_role("button", name="Read records first").click()
    expect(tour.changes(page)).to_be_visible()
    page.get_by_role("heading", name="Changes").scroll_into_view_if_needed()
    take(page, "changes", scrolled_to="Changes")
    page.get_by_role("button", name="Send 300 rows").click()
    tour.wait_for_counts(page)
    take(page, "sending")
    expect(page.get_by_role("button", name=re.compile("^Send . repaired rows?$"))).to_be_visible()
    take(page, "result")


def take(page: Page, name: str, *, scrolled_to: str | None = None) -> None:
    """Take a page in both sizes, light and dark; `scrolled_to`: from the heading of that name on."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if scrolled_to:
                heading = page.get_by_role("heading", name=scrolled_to, exact=True)
                heading.evaluate("element => element.scrollIntoView()")
            save(page.screenshot(animations="disabled", caret="hide"), PICTURES / f"{name}-{width}-{scheme}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})


def save(picture: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def make_strip() -> None:
    """Put the pages of the walk side by side."""
    height = STRIP_WIDTH * SIZES[0][1] // SIZES[0][0]
    rows = -(-len(STRIP) // STRIP_COLUMNS)
    gap = 12
    size = (STRIP_COLUMNS * (STRIP_WIDTH + gap) + gap, rows * (height + gap) + gap)
    strip = Image.new("RGB", size, "#334e68")
    for at, name in enumerate(STRIP):
        with Image.open(PICTURES / f"{name}-{SIZES[0][0]}-light.png") as picture:
            small = picture.convert("RGB").resize((STRIP_WIDTH, height), Image.Resampling.LANCZOS)
        strip.paste(small, (gap + at % STRIP_COLUMNS * (STRIP_WIDTH + gap), gap + at // STRIP_COLUMNS * (height + gap)))
    strip.quantize(4 * COLOURS, dither=Image.Dither.NONE).save(PICTURES / "tour.png", optimize=True)


if __name__ == "__main__":
    main()
