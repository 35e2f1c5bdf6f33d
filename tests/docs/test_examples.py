"""The examples of the pages work: commands are run against the sandbox, Python is run, configurations are loaded."""

from __future__ import annotations

import doctest
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.loading import load_config
from batch_updater.errors import ExitCode
from batch_updater.sandbox.server import Sandbox, SandboxSettings
from tests.docs.pages import PAGES, blocks, title
from tests.end_to_end.inside import Inside
from tests.end_to_end.program import SAMPLES, configure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = "$ "
EXIT_CODE = "echo $?"
UNLESS_SHOWN = {ExitCode.OK, ExitCode.NEEDS_PERSON}
"""Exit codes of a command whose code the page does not show."""


def with_code(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield every command of a block with the output that the page shows; '' if it shows none."""
    for part in f"\n{block}".split(f"\n{PROMPT}")[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class Shell:
    """A folder like a copy of the project, in which commands are typed."""

    def __init__(self, program: Inside) -> None:
        self._program = program
        self._code = 0
        self._said = ""

    def __call__(self, command: str) -> str:
        """Run a command; `batch-updater` in this process. Returns its output and error."""
        if command == EXIT_CODE:
            code, self._code = self._code, 0
            return str(int(code))
        self.require_fine()
        words, variables = shlex.split(command), {}
        while "=" in words[0]:
            name, _, variables[name] = words.pop(0).partition("=")
        if words[0] == "batch-updater":
            done = self._program(*self._expanded(words[1:]), **variables)
            self._code, self._said = done.code, f"{command}\n{done.err}{done.out}"
            return done.err + done.out
        ended = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self._program.folder, capture_output=True, text=True, check=True
        )
        return ended.stdout

    def require_fine(self) -> None:
        """Assert that the last command ended with 0 or 1, unless its exit code was shown."""
        assert self._code in UNLESS_SHOWN, self._said

    def _expanded(self, words: list[str]) -> Iterator[str]:
        """Replace patterns as a shell does."""
        for word in words:
            found = sorted(map(str, self._program.folder.glob(word))) if "*" in word else []
            yield from found or [word]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Make a folder with the samples and a configuration for a running sandbox."""
    shutil.copytree(SAMPLES, tmp_path / "samples")
    (tmp_path / "inbox").mkdir()
    with Sandbox(SandboxSettings()) as sandbox:
        configure(tmp_path, sandbox.url, "sending: {rate_per_s: 5000}\nnightly: {inbox: inbox}\n")
        yield tmp_path


@pytest.mark.parametrize("page", with_code("console"), ids=title)
def test_commands_print_what_the_page_shows(page: Path, folder: Path) -> None:
    """Three dots match any text; a command whose exit code is not shown ends with 0 or 1."""
    shell = Shell(Inside(folder))
    checker = doctest.OutputChecker()
    for block in blocks(page, "console"):
        for command, shown in commands(block):
            printed = shell(command)
            same = checker.check_output(shown, printed, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            assert same or not shown, f"{command}\n{printed}"
        shell.require_fine()


@pytest.mark.parametrize("page", with_code("python"), ids=title)
def test_python_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block by itself, in a folder with `changes.xlsx` and `config.yaml`."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NEXUS_TOKEN", "sandbox-token")
    shutil.copy(SAMPLES / "opportunities.xlsx", "changes.xlsx")
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})  # noqa: S102


@pytest.mark.parametrize("page", with_code("yaml"), ids=title)
def test_configurations_are_valid(page: Path, tmp_path: Path) -> None:
    """Every block is a configuration that the program loads."""
    for block in blocks(page, "yaml"):
        path = tmp_path / "config.yaml"
        path.write_text(block, encoding="utf-8")
        load_config(path, {})
