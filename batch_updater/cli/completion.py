"""Completion with the Tab key in bash, zsh and PowerShell.

The shell starts the program with the line typed so far in its environment, and argcomplete answers from the parser:
there is no second list of commands and options that could lag behind.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import argcomplete
from argcomplete.completers import SuppressCompleter
from argcomplete.shell_integration import shellcode

from batch_updater.cli.parser import DEFAULT_CONFIG, PROGRAM, STDIN, complete_parser
from batch_updater.errors import BatchUpdaterError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeAlias

    from batch_updater.config.schema import Config
    from batch_updater.runs.history import PastRun

    _Values: TypeAlias = Callable[[str, argparse.Namespace], Iterable[str]]
    """Takes what is typed of a value, and the options before it."""


def shell_code(shell: str) -> str:
    """Return what a shell has to run once to complete the commands of this program."""
    return shellcode([PROGRAM], shell=shell)


def complete() -> None:
    """Print what the line in the environment could go on with, and end the process."""
    parser = complete_parser()
    for action in _actions(parser):
        kinds = (*action.option_strings, str(action.metavar))
        if values := next((_VALUES[kind] for kind in kinds if kind in _VALUES), None):
            action.completer = _completer(values)  # type: ignore[attr-defined]  # which argcomplete looks for
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=SuppressCompleter())


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  (argparse has no other way to list them)
        yield action
        if isinstance(action.choices, dict):  # of the commands
            for command in action.choices.values():
                yield from _actions(command)


def _completer(values: _Values) -> Callable[..., list[str]]:
    """Return what argcomplete asks for the values of an option; there are none if something cannot be read."""

    def complete_value(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
        try:
            return [value for value in values(prefix, parsed_args) if value.startswith(prefix)]
        except (BatchUpdaterError, OSError):
            return []  # the command itself says what is wrong

    return complete_value


def _config(options: argparse.Namespace) -> Config:
    from batch_updater.config.loading import load_config

    return load_config(options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None), os.environ)


def _runs(prefix: str, options: argparse.Namespace) -> Iterator[str]:
    """Yield the names of past runs that the command takes, the newest first."""
    from batch_updater.config.environment import Environment
    from batch_updater.runs.history import DATABASE, PastRun, run_folders, runs_in
    from batch_updater.runs.team_folders import joined

    config = _config(options)
    with joined(config, Environment(os.environ)) as team:
        every = run_folders(config.results.folder)
        folders = [one for one in every if one.name.startswith(prefix) and (team or (one / DATABASE).exists())]
        if options.command == "report":
            yield from (folder.name for folder in folders)
            return
        for past in runs_in(folders):
            if isinstance(past, PastRun) and (
                past.is_unfinished if options.command == "runs" else _can_be_undone(past)
            ):
                yield past.folder.name


def _can_be_undone(past: PastRun) -> bool:
    return past.ended_at is not None and past.confirmed > 0


def _layouts(_: str, options: argparse.Namespace) -> list[str]:
    from batch_updater.config.environment import Environment
    from batch_updater.runs.layouts import layout_names
    from batch_updater.runs.team_folders import joined

    config = _config(options)
    with joined(config, Environment(os.environ)):
        return layout_names(config.layouts_folder)


def _sheets(_: str, options: argparse.Namespace) -> list[str]:
    """Return the names of the sheets of the file that the line names, as far as it is typed."""
    from batch_updater.loader.formats.opening import open_source

    if not options.file or options.file == STDIN:
        return []
    path = Path(options.file)
    with contextlib.closing(open_source(path, _config(options).input, name=path.name)) as book:
        return [sheet.name for sheet in book.sheets if sheet.name]


def _fields(prefix: str, options: argparse.Namespace) -> list[str]:
    """Return HEADER=FIELD for every field, once the header is typed."""
    return _behind_header(prefix, _field_names(options)) if "=" in prefix else []


def _behind_header(prefix: str, values: Iterable[str]) -> list[str]:
    return [f"{prefix[: prefix.rfind('=') + 1]}{value}" for value in values]


def _constants(_: str, options: argparse.Namespace) -> list[str]:
    return [f"{name}=" for name in _field_names(options)]


def _field_names(options: argparse.Namespace) -> list[str]:
    from batch_updater.endpoint.adjusted import endpoint_for

    config = _config(options)
    return [field.name for field in endpoint_for(config.api, config.input.constants).fields]


def _files(prefix: str, _: argparse.Namespace) -> list[str]:
    """Return the files and folders that a path could go on with; hidden ones only where a dot is typed."""
    folder, name = os.path.split(prefix)
    return [
        f"{prefix.removesuffix(name)}{entry.name}{os.sep if entry.is_dir() else ''}"
        for entry in sorted(Path(os.path.expanduser(folder or ".")).iterdir())  # noqa: PTH111  (never raises)
        if name or not entry.name.startswith(".")
    ]


_VALUES: Mapping[str, _Values] = {
    "--layout": _layouts,
    "--save": _layouts,
    "--sheet": _sheets,
    "FILE": _files,
    "DOCUMENT": _files,
    "FOLDER": _files,
    "RUN": _runs,
    "HEADER=FIELD": _fields,
    "FIELD=VALUE": _constants,
    "[HEADER=]ORDER": lambda prefix, _: _behind_header(prefix, ("DMY", "MDY", "none")),
    "[HEADER=]MARK": lambda prefix, _: _behind_header(prefix, (".", ",", "none")),
}
"""An option, or what the usage calls its value -> what it may be."""
