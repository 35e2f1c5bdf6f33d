"""The real command line in a process of its own, against the sandbox in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "sandbox-token"
SAMPLES = Path(__file__).parent.parent.parent / "samples"


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object that `--json` prints, and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def outcomes(self) -> dict[str, int]:
        """The outcomes that some row has."""
        return {kind: count for kind, count in self.object["outcomes"].items() if count}


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCH_UPDATER_")}
    return kept | {"NEXUS_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"} | variables


def batch_updater(*arguments: str | Path, cwd: Path, stdin: str = "", **variables: str) -> Done:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "batch_updater", *map(str, arguments)],
        cwd=cwd, env=environment(**variables), input=stdin, capture_output=True, text=True, encoding="utf-8",
        timeout=240, check=False,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass
class Sandbox:
    url: str

    def requests(self) -> list[dict[str, Any]]:
        """Everything that it received from clients of the API, in order."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/requests") as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]

    def records(self) -> dict[int, dict[str, Any]]:
        """Every `Pre` record that was touched, by its number."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/records") as answer:
            found = [json.loads(line) for line in answer.read().decode().splitlines()]
        return {record["ID"]: record for record in found if record["Type"] == "Pre"}


@contextmanager
def sandbox(*options: str) -> Iterator[Sandbox]:
    """Run the sandbox in a process of its own."""
    command = [sys.executable, "-m", "batch_updater", "sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout
            yield Sandbox(process.stdout.readline().strip())
        finally:
            process.terminate()
            process.wait()


def configure(folder: Path, url: str, more: str = "", timeout_s: float = 5) -> None:
    """Write a config.yaml for that API."""
    text = f"api: {{base_url: '{url}', token: 'env:NEXUS_TOKEN', timeout_s: {timeout_s}}}\n"
    (folder / "config.yaml").write_text(text + (more or "sending: {rate_per_s: 5000, attempts: 3}\n"), encoding="utf-8")
