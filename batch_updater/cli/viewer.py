"""The program that shows a workbook or a page: that of the desktop, as where the file is double-clicked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FAILS_WITHIN_S = 5.0
"""A starter that has not ended by then has become the program, as xdg-open does on some desktops."""


def can_open() -> bool:
    """Return whether there is a desktop on which a file could be shown."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()) and shutil.which("xdg-open") is not None


def open_file(path: Path) -> str | None:
    """Open a file of ours in the program for it, and return at once. Returns why it could not be, as a sentence."""
    if not can_open():
        return f"{path.name} could not be opened: there is no desktop, or no xdg-open."
    try:
        if sys.platform == "win32":
            os.startfile(path)  # noqa: S606  (a file that this program has written)
            return None
        starter = "open" if sys.platform == "darwin" else "xdg-open"
        process = subprocess.Popen(  # noqa: S603
            [starter, str(path)],  # its path is absolute, and so is no option
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        code = process.wait(_FAILS_WITHIN_S)
    except OSError as error:
        return f"{path.name} could not be opened: {error.strerror or error}."
    except subprocess.TimeoutExpired:
        return None
    return f"{path.name} could not be opened: {starter} ended with {code}." if code else None
