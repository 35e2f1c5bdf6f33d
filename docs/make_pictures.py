"""Make the pictures of the documentation from real runs: `make pictures`.

Needs LibreOffice and poppler-utils from Debian for the workbook, and Chromium for the page; the terminal's picture is
drawn from what the program printed on a pseudo-terminal.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from html import escape
from pathlib import Path

from playwright.sync_api import sync_playwright

from batch_updater.cli import demo
from batch_updater.sandbox.server import Sandbox, SandboxSettings

PICTURES = Path(__file__).parent / "pictures"
LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 19, 8.4, 16
COLUMNS = 118


def main() -> None:
    """Make every picture but the benchmark's."""
    with tempfile.TemporaryDirectory() as name, Sandbox(SandboxSettings(latency_ms=20)) as sandbox:
        folder = Path(name)
        shutil.copy(demo.sample("mistakes.xlsx"), folder / "changes.xlsx")
        (folder / "config.yaml").write_text(
            f"api: {{base_url: '{sandbox.url}', token: 'env:NEXUS_TOKEN'}}\nsending: {{rate_per_s: 10}}\n",
            encoding="utf-8",
        )
        shown = run_on_a_terminal(["run", "changes.xlsx"], folder).replace(sandbox.url, "https://nexus.example.com")
        (PICTURES / "terminal.svg").write_text(as_svg(shown.replace(str(folder), "~")), encoding="utf-8")
        workbook = next(folder.glob("runs/*/*-results-*.xlsx"))
        as_png(workbook, folder)
        on_a_phone(workbook.with_name("report.html"), folder)


def run_on_a_terminal(arguments: list[str], folder: Path) -> str:
    """Run the program on a pseudo-terminal, say yes, and return what stood on the screen at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {**os.environ, "NEXUS_TOKEN": "sandbox-token", "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    for desktop in ("DISPLAY", "WAYLAND_DISPLAY"):  # there, it would ask whether to open the workbook
        environment.pop(desktop, None)
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "batch_updater", *arguments],
        cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown, answered = "", False
    while True:
        try:
            shown += os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # the program has ended
            break
        if not answered and "[y/N]" in shown:
            answered = True
            os.write(ours, b"y\n")
    os.close(ours)
    process.wait()
    typed = f"$ batch-updater {' '.join(arguments)}\n"
    return typed + "\n".join(line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n"))


def as_svg(text: str) -> str:
    """Draw lines of text as a terminal shows them."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).rstrip()
    lines = [line[i : i + COLUMNS] for line in plain.split("\n") for i in range(0, max(len(line), 1), COLUMNS)]
    width, height = COLUMNS * CHARACTER_WIDTH + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN
    drawn = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + (number + 1) * LINE_HEIGHT - 5}" xml:space="preserve">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    font = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#f0f4f8"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="A run in the terminal"><rect width="100%" height="100%" rx="8" fill="#102a43"/>'
        f"<g {font}>\n{drawn}\n</g></svg>\n"
    )


def as_png(workbook: Path, folder: Path) -> None:
    """Let LibreOffice print the workbook, and keep its first two sheets as one picture."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    convert = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(workbook)]
    subprocess.run(convert, check=True, capture_output=True)  # noqa: S603
    pdf = folder / f"{workbook.stem}.pdf"
    for page, name in ((1, "results"), (2, "to-fix")):
        numbers = ["-f", str(page), "-l", str(page), "-singlefile", "-r", "90", "-png"]
        subprocess.run(["pdftoppm", *numbers, str(pdf), str(PICTURES / name)], check=True)  # noqa: S603, S607


def on_a_phone(page: Path, folder: Path) -> None:
    """Let Debian's Chromium show the top of the page as a phone does."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            folder / "chromium", executable_path="/usr/bin/chromium", headless=True, args=["--no-sandbox"],
            viewport={"width": 390, "height": 844},
        )  # fmt: skip
        shown = browser.new_page()
        shown.goto(page.as_uri())
        shown.screenshot(path=PICTURES / "report-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
