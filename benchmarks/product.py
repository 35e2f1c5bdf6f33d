"""The product, as a person runs it: its command line, a whole process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from batch_updater.endpoint.reference import BUILT_IN, built_in_path
from benchmarks.measure import Cost, FailedError, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAM = ["-m", "batch_updater"]
"""Arguments of Python."""
CONNECTIONS = 50
UNLIMITED_PER_S = 1_000_000
ENVIRONMENT = {"BENCH_TOKEN": "x"}
SUCCESS = "description: Success. The whole record as it now stands."
CONFIG = """\
api: {{base_url: "{url}", token: "env:BENCH_TOKEN", endpoint: "{endpoint}"}}
sending: {{rate_per_s: {rate_per_s}, concurrency: {connections}}}
"""


def send(
    source: Path,
    rows: int,
    url: str,
    folder: Path,
    rate_per_s: int = UNLIMITED_PER_S,
    python: str = sys.executable,
) -> Cost:
    """Send a file of so many rows from an empty folder. Raises FailedError unless every one is `updated`."""
    return run_file(source, rows, write_config(folder, url, rate_per_s), ENVIRONMENT, python)


def run_file(source: Path, rows: int, config: Path, environ: Mapping[str, str], python: str = sys.executable) -> Cost:
    """Send a file of so many rows as a configuration says. Raises FailedError unless every one is `updated`."""
    told = config.with_name("told.json")
    arguments = ["run", str(source), "--config", str(config), "--yes", "--json"]
    cost = run([python, *PROGRAM, *arguments], told, environ)
    _require(told, "updated", rows)
    return cost


def write_config(folder: Path, url: str, rate_per_s: int = UNLIMITED_PER_S, more: str = "") -> Path:
    """Write a configuration into a folder, with the description of an API at a URL beside it; `more` are sections."""
    config, endpoint = folder / "config.yaml", _description(folder)
    settings = CONFIG.format(url=url, endpoint=endpoint, rate_per_s=rate_per_s, connections=CONNECTIONS) + more
    config.write_text(settings, encoding="utf-8")
    return config


def _description(folder: Path) -> str:
    """Describe an API like Nexus whose answer holds id and type, and perhaps no more: nginx can report no other."""
    text = built_in_path(BUILT_IN[0]).read_text(encoding="utf-8")
    described = text.replace(SUCCESS, f"{SUCCESS}\n          x-always-reported: [ID, Type]")
    if described == text:
        raise FailedError(f"The built-in description has no answer with {SUCCESS!r}.")
    path = folder / "benchmark.openapi.yaml"
    path.write_text(described, encoding="utf-8")
    return f"{path.name}#{BUILT_IN[0]}"


def check(source: Path, rows: int, folder: Path) -> Cost:
    """Check a file of so many rows from an empty folder. Raises FailedError unless every one is `planned`."""
    told = folder / "told.json"
    arguments = ["check", str(source), "--results", str(folder / "check.xlsx"), "--json"]
    cost = run([sys.executable, *PROGRAM, *arguments], told, ENVIRONMENT)
    _require(told, "planned", rows)
    return cost


def _require(told: Path, outcome: str, rows: int) -> None:
    said = json.loads(told.read_bytes())
    if said["exit_code"] != 0 or said["outcomes"][outcome] != rows:
        raise FailedError(f"{rows} rows should be {outcome}, but the program says: {said}")
