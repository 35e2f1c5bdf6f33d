"""A command line typed wrong -> the one that was probably meant, complete and ready to copy. Nothing of it is run."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from batch_updater.errors import UsageError
from batch_updater.text.printable import command_line
from batch_updater.text.spelling import nearest

if TYPE_CHECKING:
    import argparse

_OTHER_WORDS = {
    "dry-run": "check", "validate": "check", "verify": "check", "test": "check",
    "apply": "run", "send": "run", "upload": "run", "resume": "run", "retry": "run",
    "history": "runs", "list": "runs", "status": "runs",
    "rollback": "undo", "revert": "undo", "config": "init", "setup": "init",
    "help": "--help", "version": "--version",
}  # fmt: skip
"""Words for commands in other programs."""
_DRY_RUN = ("--dry-run", "--dryrun", "-n")
_OF_A_FILE = ("check", "run")

Parsed: TypeAlias = "tuple[argparse.Namespace, list[str]]"
"""The options of a command line, and the words that its command does not take."""


class Meant:
    """What was probably meant by words that are no command line."""

    def __init__(
        self,
        program: str,
        commands: Collection[str],
        options_of: Callable[[str], list[str]],
        parsed: Callable[[Sequence[str]], Parsed | None],
    ) -> None:
        """`options_of` names the options of a command; `parsed` gives None for words that are no command line."""
        self._program = program
        self._commands = commands
        self._options_of = options_of
        self._parsed = parsed

    def missing_command(self, words: Sequence[str]) -> UsageError:
        """Return the error for words of which the first is no command."""
        first, *others = words
        if first.startswith("-") and first != "-":
            if command := next((word for word in others if word in self._commands), None):
                others = [first, *(word for word in others if word != command)]
                behind = f"Type it behind the command: {self._program} {command} ... {first}. "
                return self._error(
                    f"The option {first} comes before the command.", [[command, *others]], behind, command
                )
            return self._error(f"A command is missing before {first}.", [[command, *words] for command in _OF_A_FILE])
        path = " ".join(takewhile(lambda word: not word.startswith("-"), words))
        is_file = first == "-" or bool(Path(first).suffix) or os.path.exists(first) or os.path.exists(path)  # noqa: PTH110  (never raises)
        if not is_file:
            command = _OTHER_WORDS.get(first.casefold()) or nearest(first, self._commands)
            if command is not None:
                return self._error(f"There is no command {first}.", [[command, *others]])
        if is_file or Path(path).suffix:
            command = next((word for word in others if word in self._commands), None)
            if command is None or os.path.exists(path):  # noqa: PTH110
                return self._error(f"A command is missing before {first}.", [[name, *words] for name in _OF_A_FILE])
            rest = list(words)
            rest.remove(command)
            return self._error(f"The command {command} goes before {first}.", [[command, *rest]])
        return self._error(f"There is no command {first}.", [], f"Commands: {', '.join(self._commands)}. ")

    def surplus_words(self, words: Sequence[str], surplus: Sequence[str]) -> UsageError:
        """Return the error for a command with words that it does not take."""
        command = words[0]
        if command in _OF_A_FILE and (typed := next((word for word in surplus if word in _DRY_RUN), None)):
            return self._error(f"There is no option {typed}: check does everything but sending.", [words])
        if not any(word.startswith("-") for word in surplus):
            if files := _several_files(words, surplus):
                return self._error(f"{command} takes one file at a time.", files, lead="One after the other")
            if meant := self._repaired(words):
                return self._error("A path or name with blanks needs quotation marks.", [meant])
        close = [nearest(word.partition("=")[0], self._options_of(command)) for word in surplus if word[:1] == "-"]
        hint = f"Did you mean {close[0]}? " if len(close) == 1 and close[0] else ""
        return self._error(f"Unrecognized arguments: {' '.join(surplus)}.", [words], hint, command)

    def _error(
        self,
        message: str,
        candidates: Sequence[Sequence[str]],
        otherwise: str = "",
        command: str = "",
        lead: str = "Did you mean",
    ) -> UsageError:
        meant = dict.fromkeys(command_line(words) for words in map(self._repaired, candidates) if words)
        if not meant:
            program = f"{self._program} {command}".rstrip()
            return UsageError(message, remedy=f"{otherwise}See {program} --help.")
        return UsageError(message, remedy=(f"{lead}:", *(f"    {self._program} {words}" for words in meant)))

    def _repaired(self, words: Sequence[str]) -> list[str] | None:
        """Return a command line that could be run, made of one that may be wrong; None if none can be."""
        command = words[0]
        if command not in self._commands:  # --help, --version
            return [command]
        if {"-h", "--help"} & set(words):
            return [command, "--help"]
        is_dry_run = command in _OF_A_FILE and not set(words).isdisjoint(_DRY_RUN)
        if is_dry_run:  # checked as a run, which has every option that a check has
            words = ["run", *(word for word in words[1:] if word not in _DRY_RUN)]
        joined, spelt = self._joined(words), self._spelt(words)
        for repaired in (words, joined, spelt, self._joined(spelt)):
            match self._parsed(repaired):
                case (options, []):
                    return self._as_check(options.file, repaired) if is_dry_run else list(repaired)
        return None

    def _as_check(self, file: str | None, words: Sequence[str]) -> list[str] | None:
        """Return a check in place of a run, without the options that only a run has."""
        check = ["check", *([file] if file else ()), *(word for word in words[1:] if word != file)]
        parsed = self._parsed(check)
        return [word for word in check if word not in parsed[1]] if parsed else None

    def _surplus(self, words: Sequence[str]) -> list[str]:
        parsed = self._parsed(words)
        return parsed[1] if parsed else []

    def _joined(self, words: Sequence[str]) -> Sequence[str]:
        """Return words with each that is too many joined to the one before, as a shell leaves an unquoted path."""
        surplus = [word for word in self._surplus(words) if not word.startswith("-")]
        joined: list[str] = []
        behind = ""
        for word in reversed(words):  # argparse takes the first words, so those that are too many are the last
            whole = f"{word}{behind}"
            if surplus and word == surplus[-1]:
                surplus.pop()
                behind = f" {whole}"
            else:
                joined.append(whole)
                behind = ""
        return joined[::-1]

    def _spelt(self, words: Sequence[str]) -> Sequence[str]:
        """Return words with each option that the command does not have in its nearest spelling."""
        surplus = [word for word in self._surplus(words) if word.startswith("-")]
        options = self._options_of(words[0])

        def spelt(word: str) -> str:
            name, equals, value = word.partition("=")
            return f"{nearest(name, options) or name}{equals}{value}" if word in surplus else word

        return [spelt(word) for word in words]


def _several_files(words: Sequence[str], surplus: Sequence[str]) -> list[list[str]]:
    """Return a command for each file where a pattern was typed, which the shell has replaced by their names."""
    files = [word for word in words[1:] if Path(word).is_file() and not word.startswith("-")]
    if len(files) < 2 or not set(surplus) <= set(files):
        return []
    left = [word for word in words if word not in files]
    return [[left[0], file, *left[1:]] for file in files]
