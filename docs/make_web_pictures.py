"""Make the pictures of the web page from a real tour through it: `make pictures`.

Needs Chromium from Debian. Every page is taken on a desk and on a phone, light and dark.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parent / "pictures" / "web"
SIZES = ((1280, 860), (390, 844))
COLOURS = 64
"""In a picture: enough for letters with smooth edges on few backgrounds, and a quarter of the bytes."""


class Stop(NamedTuple):
    """One page of the tour, as the film strip has it."""

    name: str
    caption: str


def take(page: Page, name: str) -> None:
    """Take a page in both sizes, light and dark."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            picture = page.screenshot(animations="disabled", caret="hide")
            save(picture, PICTURES / f"{name}-{width}-{scheme}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})


def save(picture: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
