"""A worker of a team as a process that was forked from one with everything imported.

Hundreds of tests have one beside each command that sends; most of these take less time than importing the program.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

_NEEDS = [
    "aiohttp", "batch_updater.cli.commands", "batch_updater.config.loading", "batch_updater.reporter.workbook",
    "batch_updater.runs.team_store", "batch_updater.team.metrics", "batch_updater.team.worker", "jinja2", "uvloop",
]  # fmt: skip


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_NEEDS)
    return context


def start_worker(arguments: Sequence[str], cwd: Path, variables: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Start `batch-updater worker` with those arguments and variables; what it says is in `log`."""
    process = _forks().Process(target=_work, args=(arguments, cwd, dict(variables), log))
    process.start()
    return process


def _work(arguments: Sequence[str], cwd: Path, variables: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(cwd)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.exit(importlib.import_module("batch_updater.cli.commands").main(["worker", *arguments]))
