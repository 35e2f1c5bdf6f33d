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
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
from playwright.sync_api import sync_playwright

from batch_updater.cli.colour import Style
from batch_updater.files.samples import sample
from batch_updater.sandbox.server import Sandbox, SandboxSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PICTURES = Path(__file__).parent / "pictures"
LINE_HEIGHT, CHARACTER_WIDTH, MARGIN = 19, 8.43, 16
COLUMNS = 100
STYLE = """
rect { fill: #ffffff; stroke: #bcccdc }
text { fill: #102a43; font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
.strong { font-weight: bold }
.good { fill: #0b6e3c }
.wrong { fill: #b42318 }
.again { fill: #8a3ffc }
@media (prefers-color-scheme: dark) {
rect { fill: #102a43; stroke: #334e68 }
text { fill: #f0f4f8 }
.good { fill: #6fdc9b }
.wrong { fill: #ff9b94 }
.again { fill: #d4bbff }
}
"""


def main() -> None:
    """Make every picture but the benchmark's."""
    with tempfile.TemporaryDirectory() as name, Sandbox(SandboxSettings(latency_ms=20)) as sandbox:
        folder = Path(name)
        shutil.copy(sample("mistakes.xlsx"), folder / "changes.xlsx")
        configure(folder, sandbox.url, rate=10)
        shown = run_on_a_terminal(["run", "changes.xlsx"], folder, ("1", "1", "-", "y"))
        draw("terminal", shown, folder, sandbox.url)
        workbook = next(folder.glob("runs/*/*-results-*.xlsx"))
        as_png(workbook, folder)
        on_a_phone(workbook.with_name("report.html"), folder)
    of_a_file_that_does_not_fit()


def of_a_file_that_does_not_fit() -> None:
    """Draw how a workbook is asked about, sent and repaired, and that a second one is asked about nothing."""
    with tempfile.TemporaryDirectory() as name, Sandbox(SandboxSettings(latency_ms=20)) as sandbox:
        folder = Path(name)
        configure(folder, sandbox.url, rate=50)
        for file in ("pipeline-q1.xlsx", "pipeline-q2.xlsx"):
            shutil.copy(sample(file), folder)
        answers = ("1", "1", "1", "1", "1", "1", "1", "2", "2", "5", "1", "2", "", "", "", "y")
        shown = run_on_a_terminal(["run", "pipeline-q1.xlsx"], folder, answers)
        questions, preview = re.split(r"\n(?=(?:\x1b\[1m)?File )", shown, maxsplit=1)
        draw("questions", questions, folder, sandbox.url)
        repair(next(folder.glob("runs/*/*-results-*.xlsx")))
        fixed = run_on_a_terminal(["run", "--fix"], folder)
        draw("answered", f"{preview}\n{_REPAIRED}\n{fixed}", folder, sandbox.url)
        draw("second-file", run_on_a_terminal(["run", "pipeline-q2.xlsx"], folder), folder, sandbox.url)


_REPAIRS = {"Propsal": "Proposal", "31/04/2026": "30/04/2026"}
_REPAIRED = (
    "# On the sheet To fix: " + ", ".join(f"{wrong} -> {right}" for wrong, right in _REPAIRS.items()) + ". Saved."
)


def configure(folder: Path, url: str, *, rate: int) -> None:
    """Write a configuration for a sandbox."""
    text = f"api: {{base_url: '{url}', token: 'env:NEXUS_TOKEN'}}\nsending: {{rate_per_s: {rate}}}\n"
    (folder / "config.yaml").write_text(text, encoding="utf-8")


def repair(workbook: Path) -> None:
    """Correct the wrong cells on the sheet To fix."""
    book = openpyxl.load_workbook(workbook)
    for row in book["To fix"].iter_rows():
        for cell in row:
            cell.value = _REPAIRS.get(str(cell.value), cell.value)
    book.save(workbook)


def run_on_a_terminal(arguments: list[str], folder: Path, answers: Sequence[str] = ("y",)) -> str:
    """Run the program on a pseudo-terminal, answer its questions, and return what stood on the screen at the end."""
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
    shown, left = "", list(answers)
    while True:
        try:
            shown += os.read(ours, 65536).decode("utf-8", "replace")
        except OSError:  # the program has ended
            break
        if _PROMPT.search(_SEQUENCE.sub("", shown)):
            os.write(ours, f"{left.pop(0)}\n".encode() if left else _END_OF_INPUT)
    os.close(ours)
    process.wait()
    typed = f"$ batch-updater {' '.join(arguments)}\n"
    return typed + "\n".join(line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n"))


_END_OF_INPUT = b"\x04"
_PROMPT = re.compile(r"(?:>|\[y/N\]|first:) \Z")
_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
_CLASSES = {style.value: style.name.lower() for style in Style}
"""Parameters of a sequence that begins a colour -> the class of its text."""


def draw(name: str, shown: str, folder: Path, url: str) -> None:
    """Draw what stood on a terminal, as if it had been elsewhere: at an address as long, so that lines stay whole."""
    elsewhere = shown.replace(url, "https://api.nexus.test").replace(str(folder), "~")
    (PICTURES / f"{name}.svg").write_text(as_svg(elsewhere), encoding="utf-8")


def as_svg(text: str) -> str:
    """Draw lines of text as a terminal shows them, on a light or a dark background as the reader has it."""
    lines = [part for line in text.rstrip().split("\n") for part in as_spans(line)]
    width, height = COLUMNS * CHARACTER_WIDTH + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN
    drawn = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + (number + 1) * LINE_HEIGHT - 5}" xml:space="preserve">{line}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="A run in the terminal">\n<style>{STYLE}</style>\n'
        f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" rx="8"/>\n{drawn}\n</svg>\n'
    )


def as_spans(line: str) -> list[str]:
    """Return a line as marked-up text, broken where the terminal is full."""
    first, *others = _SEQUENCE.split(line)  # text, then parameters, letter and text of each sequence
    styled = [(character, "") for character in first]
    name = ""
    for parameters, letter, text in zip(others[::3], others[1::3], others[2::3], strict=True):
        name = _CLASSES.get(parameters, "") if letter == "m" else name
        styled += [(character, name) for character in text]
    rows = [styled[at : at + COLUMNS] for at in range(0, max(len(styled), 1), COLUMNS)]
    return ["".join(_span(name, run) for name, run in groupby(row, key=itemgetter(1))) for row in rows]


def _span(name: str, styled: Iterable[tuple[str, str]]) -> str:
    text = escape("".join(character for character, _ in styled))
    return f'<tspan class="{name}">{text}</tspan>' if name else text


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
