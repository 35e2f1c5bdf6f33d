"""Completion with the Tab key in bash, zsh and PowerShell.

The shell starts the program with the line typed so far in its environment, and argcomplete answers from the parser:
there is no second list of commands and options that could lag behind.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import argcomplete
from argcomplete.completers import SuppressCompleter
from argcomplete.shell_integration import shellcode

from batch_updater.cli.parser import DEFAULT_CONFIG, PROGRAM, complete_parser
from batch_updater.errors import BatchUpdaterError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_FILES = {"FILE", "FOLDER", "DOCUMENT"}
"""Names of values that are paths, in the usage of the commands."""


def shell_code(shell: str) -> str:
    """Return what a shell has to run once to complete the commands of this program."""
    return shellcode([PROGRAM], shell=shell)


def complete() -> None:
    """Print what the line in the environment could go on with, and end the process."""
    parser = complete_parser()
    for action in _actions(parser):
        if action.metavar == "RUN":
            action.completer = _runs  # type: ignore[attr-defined]  # which argcomplete looks for
        elif action.metavar in _FILES:
            action.completer = _files  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=SuppressCompleter())


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to list them)
        yield action
        if isinstance(action.choices, dict):  # of the commands
            for command in action.choices.values():
                yield from _actions(command)


def _runs(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the names of past runs, the newest first; none if the configuration cannot be read."""
    from batch_updater.config.loading import load_config

    path = parsed_args.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    try:
        folder = load_config(path, os.environ).results.folder
        names = sorted((run.parent.name for run in folder.glob("*/run.sqlite")), reverse=True)
    except (BatchUpdaterError, OSError):
        return []  # the command itself says what is wrong
    return [name for name in names if name.startswith(prefix)]


def _files(prefix: str, **_: object) -> list[str]:
    """Return the files and folders that a path could go on with; hidden ones only where a dot is typed."""
    folder, name = os.path.split(prefix)
    try:
        entries = sorted(Path(folder or ".").expanduser().iterdir())
    except OSError:
        return []
    return [
        f"{prefix.removesuffix(name)}{entry.name}{os.sep if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(name) and (name or not entry.name.startswith("."))
    ]
