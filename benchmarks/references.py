"""The references on this machine."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import version

from benchmarks.servers import program_path

PROGRAMS = {"nginx": "-v", "curl": "--version", "k6": "version"}
"""Each with what makes it print its version."""
PACKAGES = ("aiohttp", "requests", "pandas", "openpyxl", "python-calamine")


def references() -> str:
    """Name every program and package that ours is compared with: its version, or that it was not found."""
    named = [_program(name, argument) for name, argument in PROGRAMS.items()]
    return ", ".join([*named, *(f"{name} {version(name)}" for name in PACKAGES)])


def _program(name: str, argument: str) -> str:
    path = program_path(name)
    if path is None:
        return f"{name} not found"
    printed = subprocess.run(  # noqa: S603
        [path, argument], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout
    number = re.search(r"\d+(\.\d+)+", printed)
    return f"{name} {number[0] if number else '(version unknown)'}"
