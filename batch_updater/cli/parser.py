"""The command line's grammar: commands, options, and the answer to one typed wrong."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from batch_updater.errors import UsageError
from batch_updater.text.printable import command_line
from batch_updater.text.spelling import nearest
from batch_updater.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "batch-updater"
DEFAULT_CONFIG = Path("config.yaml")
STDIN = "-"


class CommandParser(argparse.ArgumentParser):
    """Raises UsageError for a wrong command line, so that `--json` applies to it as well."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError. argparse calls it."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", remedy=f"See {self.prog} --help.")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; `command` is the command's name.

    Raises UsageError, and SystemExit for --help and --version.
    """
    _require_command(arguments)
    options, unknown = _parser().parse_known_args(arguments)
    try:
        Path.cwd()
    except FileNotFoundError:
        why = "The current folder has been removed."
        raise UsageError(why, remedy="Change into an existing folder (cd), then try again.") from None
    if unknown:
        parser: CommandParser = options.parser
        close = nearest(unknown[0].partition("=")[0], re.findall(r"--[a-z-]+", parser.format_help()))
        hint = f"Did you mean {close}? " if close else ""
        raise UsageError(f"Unrecognized arguments: {' '.join(unknown)}.", remedy=f"{hint}See {parser.prog} --help.")
    return options


def _require_command(arguments: Sequence[str]) -> None:
    """Raise UsageError, with the command that was probably meant, if the first word is not one."""
    first = arguments[0] if arguments else "--help"
    if first in {*_COMMANDS, "-h", "--help", "--version"}:
        return
    if first.startswith("-") and first != STDIN:
        if command := next((word for word in arguments if word in _COMMANDS), None):
            words = [command, *(word for word in arguments if word is not command)]
            meant = f"Did you mean {command_line((PROGRAM, *words))}?"
            raise UsageError(f"The option {first} comes before the command.", remedy=meant)
        raise UsageError(f"A command is missing before {first}.", remedy=f"See {PROGRAM} --help.")
    if close := nearest(first, _COMMANDS):
        meant = f"Did you mean {command_line((PROGRAM, close, *arguments[1:]))}?"
    elif first == STDIN or Path(first).suffix or Path(first).exists():
        check, run = (command_line((PROGRAM, name, *arguments)) for name in ("check", "run"))
        raise UsageError(f"A command is missing before {first}.", remedy=f"Did you mean {check}, or {run}?")
    else:
        meant = f"Commands: {', '.join(_COMMANDS)}. See {PROGRAM} --help."
    raise UsageError(f"There is no command {first}.", remedy=meant)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog=PROGRAM,
        allow_abbrev=False,
        description="Apply every row of a spreadsheet to a REST API by PUT, without losing track of a row.",
        epilog=f"Example: {PROGRAM} check changes.xlsx, then {PROGRAM} run changes.xlsx",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, (add_options, what, example) in _COMMANDS.items():
        command = commands.add_parser(
            name, allow_abbrev=False, help=what,
            description=f"{what[:1].upper()}{what[1:]}.", epilog=f"Example: {PROGRAM} {example}",
        )  # fmt: skip
        command.set_defaults(parser=command)
        option = command.add_argument
        option("--json", action="store_true", help="print one JSON object on standard output and nothing else")
        option("--verbose", action="store_true", help="show every attempt and decision on standard error")
        add_options(command)
    return parser


def _add_run(parser: CommandParser) -> None:
    _add_input(parser)
    option = parser.add_argument
    option("--limit", type=_count, metavar="N", help="send only the first N good rows: a trial")
    option("--keep-going", action="store_true", help="continue even if the first rows are all refused in the same way")
    _add_compare(parser)
    option("--restart", action="store_true", help="start a new run instead of resuming an unfinished one")
    option("--override-guards", action="store_true", help="send although a limit of the section guards is exceeded")
    option("--yes", action="store_true", help="ask nothing")


def _add_check(parser: CommandParser) -> None:
    _add_input(parser)
    _add_compare(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_template(parser: CommandParser) -> None:
    what = "the file to write; an existing file is never replaced"
    parser.add_argument("file", metavar="FILE", type=Path, help=what)
    _add_config(parser)


def _add_sandbox(parser: CommandParser) -> None:
    option = parser.add_argument
    option("--port", type=int, default=0, help="port on 127.0.0.1 (default: any that is free)")
    option("--seed", type=int, default=1, help="seed of the records and of the faults by chance (default: 1)")
    option("--rate", type=float, metavar="N", help="requests a second that the account may send")
    option("--burst", type=int, metavar="N", help="requests that it may send at once on top")
    option("--quota", type=int, metavar="N", help="requests that it may send in all")
    option("--latency-ms", type=float, default=0, metavar="MS", help="how long every answer takes")
    fault = "play a fault with probability P; repeatable"
    option("--fault", action="append", default=[], metavar="NAME=P", type=_fault, help=fault)


def _add_report(parser: CommandParser) -> None:
    _add_past_run(parser)
    parser.add_argument("--results", type=Path, metavar="FILE", help="where to write the results workbook")


def _add_doctor(parser: CommandParser) -> None:
    _add_config(parser)
    record = "a record to read, which tries the token: its ID"
    parser.add_argument("--record", nargs="+", default=(), metavar="ID", help=record)
    notify = "send one test message to each address under nightly.notify"
    parser.add_argument("--notify", action="store_true", help=notify)


def _add_init(parser: CommandParser) -> None:
    what = "the file to write (default: config.yaml); an existing file is never replaced"
    option = parser.add_argument
    option("file", metavar="FILE", type=Path, nargs="?", default=DEFAULT_CONFIG, help=what)
    option("--base-url", metavar="URL", help="address of the API: https://host, with a prefix if it has one")
    option("--token", metavar="REF", help="where the token is kept: env:NAME, file:PATH or command:PROGRAM")
    option("--oauth-token-url", metavar="URL", help="instead of --token: the address that issues OAuth tokens")
    option("--client-id", metavar="ID", help="the OAuth client")
    option("--client-secret", metavar="REF", help="where its secret is kept, like --token")
    option("--scope", metavar="SCOPE", help="the OAuth scope, if one is needed")
    option("--rate", metavar="N", help="requests a second (default: 20)")
    compare = "read every record before it is changed, so that runs can be undone"
    option("--compare", action="store_true", help=compare)
    option("--inbox", metavar="FOLDER", help="folder of the nightly job's files (default: no nightly job)")
    option("--notify", metavar="REF", help="address that the nightly job notifies, kept like --token")
    option("--yes", action="store_true", help="ask nothing; what is not given has its default")


def _add_undo(parser: CommandParser) -> None:
    _add_past_run(parser)
    what = "where to write it (default: undo.xlsx in the run's folder)"
    parser.add_argument("--results", type=Path, metavar="FILE", help=what)


def _add_nothing(_: CommandParser) -> None:
    """Add none to the options that every command has."""


def _add_config(parser: CommandParser) -> None:
    what = "the configuration (default: config.yaml if there)"
    parser.add_argument("--config", type=Path, metavar="FILE", help=what)


def _add_compare(parser: CommandParser) -> None:
    what = "read each record first, and send only what would change it"
    parser.add_argument("--compare", action="store_true", help=what)


def _add_past_run(parser: CommandParser) -> None:
    what = "the run's folder, or the folder's name (default: the newest run)"
    parser.add_argument("run", metavar="RUN", nargs="?", help=what)
    _add_config(parser)


def _add_input(parser: CommandParser) -> None:
    option = parser.add_argument
    option("file", metavar="FILE", help="the spreadsheet; - reads CSV from standard input")
    _add_config(parser)
    option("--sheet", metavar="NAME", help="the sheet to read")
    option("--header-row", type=_count, metavar="N", help="the row that holds the headers")
    constant = "a constant for every row; repeatable"
    option("--set", action="append", default=[], dest="constants", metavar="FIELD=VALUE", type=_constant, help=constant)
    visible = "leave out the rows that are hidden in the sheet (filtered, or by hand)"
    option("--visible-only", action="store_true", help=visible)
    option("--results", type=Path, metavar="FILE", help="where to write the results workbook")
    annotate = "write a copy of the workbook, with outcomes and faulty cells marked"
    option("--annotate", action="store_true", help=annotate)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _constant(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form FIELD=VALUE")
    return field, value


def _fault(text: str) -> tuple[str, float]:
    name, _, chance = text.partition("=")
    try:
        return name, float(chance)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=P with P from 0 to 1") from None


_COMMANDS: dict[str, tuple[Callable[[CommandParser], None], str, str]] = {
    "run": (
        _add_run,
        "send every good row of a file; one workbook holds the outcome of every row",
        "run changes.xlsx --config nexus.yaml",
    ),
    "check": (_add_check, "do everything but sending: say what is wrong with which cell", "check changes.xlsx"),
    "template": (_add_template, "write an empty workbook (.xlsx) or CSV file to fill in", "template changes.xlsx"),
    "demo": (_add_nothing, "the whole job on sample data against the built-in sandbox: no account needed", "demo"),
    "sandbox": (
        _add_sandbox,
        "serve a stand-in for Nexus on this machine, with faults on demand",
        "sandbox --port 8099 --rate 100 --fault status-503=0.05",
    ),
    "runs": (_add_config, "list past runs and their outcomes, the newest first", "runs"),
    "report": (
        _add_report,
        "write the results workbook of a past run again, from its folder alone",
        "report 20261231-235900-changes",
    ),
    "doctor": (_add_doctor, "check the set-up without sending an update: a line for each check", "doctor"),
    "init": (
        _add_init,
        "write a commented config.yaml by asking a few questions, or from options",
        "init --base-url https://nexus.example.com --token env:NEXUS_TOKEN",
    ),
    "nightly": (
        _add_config,
        "the unattended job: run every file of the inbox, archive it, notify people",
        "nightly --config /etc/batch-updater/config.yaml",
    ),
    "undo": (_add_undo, "write a workbook that undoes a past run; sends nothing", "undo 20261231-235900-changes"),
}
"""Name -> what adds its options, what it does, and how it is typed."""
