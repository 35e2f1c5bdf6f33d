"""The command line's grammar: commands, options, and the answer to one typed wrong."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

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
    options, unknown = _parser(next(iter(arguments), "")).parse_known_args(arguments)
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


def _parser(chosen: str) -> CommandParser:
    """Return the parser, with the options of the chosen command alone: no other's are parsed, or shown."""
    parser = CommandParser(
        prog=PROGRAM,
        allow_abbrev=False,
        description="Apply every row of a spreadsheet to a REST API by PUT, without losing track of a row.",
        epilog=f"Example: {PROGRAM} check changes.xlsx, then {PROGRAM} run changes.xlsx",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, (options, what, example) in _COMMANDS.items():
        command = commands.add_parser(
            name, allow_abbrev=False, help=what,
            description=f"{what[:1].upper()}{what[1:]}.", epilog=f"Example: {PROGRAM} {example}",
        )  # fmt: skip
        command.set_defaults(parser=command)
        for add in (*_OF_EVERY_COMMAND, *options) if name == chosen else ():
            add(command)
    return parser


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


_AddOption: TypeAlias = "Callable[[CommandParser], object]"


def _option(*names: str, **settings: Any) -> _AddOption:
    return lambda command: command.add_argument(*names, **settings)


_OF_EVERY_COMMAND = (
    _option("--json", action="store_true", help="print one JSON object on standard output and nothing else"),
    _option("--verbose", action="store_true", help="show every attempt and decision on standard error"),
)
_CONFIG = _option("--config", type=Path, metavar="FILE", help="the configuration (default: config.yaml if there)")
_PAST_RUN = "the run's folder, or the folder's name (default: the newest run)"
_OF_PAST_RUN = (_option("run", metavar="RUN", nargs="?", help=_PAST_RUN), _CONFIG)
_RESULTS = _option("--results", type=Path, metavar="FILE", help="where to write the results workbook")
_COMPARE = _option("--compare", action="store_true", help="read each record first, and send only what would change it")
_YES = _option("--yes", action="store_true", help="ask nothing")
_CONSTANT = "a constant for every row; repeatable"
_VISIBLE = "leave out the rows that are hidden in the sheet (filtered, or by hand)"
_ANNOTATE = "write a copy of the workbook, with outcomes and faulty cells marked"
_INPUT = (
    _option("file", metavar="FILE", help="the spreadsheet; - reads CSV from standard input"),
    _CONFIG,
    _option("--sheet", metavar="NAME", help="the sheet to read"),
    _option("--header-row", type=_count, metavar="N", help="the row that holds the headers"),
    _option(
        "--set", action="append", default=[], dest="constants", metavar="FIELD=VALUE", type=_constant, help=_CONSTANT
    ),
    _option("--visible-only", action="store_true", help=_VISIBLE),
    _RESULTS,
    _option("--annotate", action="store_true", help=_ANNOTATE),
)
_RUN = (
    *_INPUT,
    _option("--limit", type=_count, metavar="N", help="send only the first N good rows: a trial"),
    _option(
        "--keep-going", action="store_true", help="continue even if the first rows are all refused in the same way"
    ),
    _COMPARE,
    _option("--restart", action="store_true", help="start a new run instead of resuming an unfinished one"),
    _option("--override-guards", action="store_true", help="send although a limit of the section guards is exceeded"),
    _YES,
)
_FAULT = "play a fault with probability P; repeatable"
_SANDBOX = (
    _option("--port", type=int, default=0, help="port on 127.0.0.1 (default: any that is free)"),
    _option("--seed", type=int, default=1, help="seed of the records and of the faults by chance (default: 1)"),
    _option("--rate", type=float, metavar="N", help="requests a second that the account may send"),
    _option("--burst", type=int, metavar="N", help="requests that it may send at once on top"),
    _option("--quota", type=int, metavar="N", help="requests that it may send in all"),
    _option("--latency-ms", type=float, default=0, metavar="MS", help="how long every answer takes"),
    _option("--fault", action="append", default=[], metavar="NAME=P", type=_fault, help=_FAULT),
)
_RECORD = "a record to read, which tries the token: its ID"
_NOTIFY = "send one test message to each address under nightly.notify"
_INIT_FILE = "the file to write (default: config.yaml); an existing file is never replaced"
_INIT_COMPARE = "read every record before it is changed, so that runs can be undone"
_INIT = (
    _option("file", metavar="FILE", type=Path, nargs="?", default=DEFAULT_CONFIG, help=_INIT_FILE),
    _option("--base-url", metavar="URL", help="address of the API: https://host, with a prefix if it has one"),
    _option("--token", metavar="REF", help="where the token is kept: env:NAME, file:PATH or command:PROGRAM"),
    _option("--oauth-token-url", metavar="URL", help="instead of --token: the address that issues OAuth tokens"),
    _option("--client-id", metavar="ID", help="the OAuth client"),
    _option("--client-secret", metavar="REF", help="where its secret is kept, like --token"),
    _option("--scope", metavar="SCOPE", help="the OAuth scope, if one is needed"),
    _option("--rate", metavar="N", help="requests a second (default: 20)"),
    _option("--compare", action="store_true", help=_INIT_COMPARE),
    _option("--inbox", metavar="FOLDER", help="folder of the nightly job's files (default: no nightly job)"),
    _option("--notify", metavar="REF", help="address that the nightly job notifies, kept like --token"),
    _option("--yes", action="store_true", help="ask nothing; what is not given has its default"),
)
_TEMPLATE = "the file to write; an existing file is never replaced"
_CLOSE = "close an unfinished run: its open rows count as not sent, and it is not resumed any more"
_ROW = "say why this row ended as it did, and write nothing"
_UNDO = "where to write it (default: undo.xlsx in the run's folder)"
_COMMANDS: dict[str, tuple[tuple[_AddOption, ...], str, str]] = {
    "run": (
        _RUN,
        "send every good row of a file; one workbook holds the outcome of every row",
        "run changes.xlsx --config nexus.yaml",
    ),
    "check": (
        (*_INPUT, _COMPARE, _YES),
        "do everything but sending: say what is wrong with which cell",
        "check changes.xlsx",
    ),
    "template": (
        (_option("file", metavar="FILE", type=Path, help=_TEMPLATE), _CONFIG),
        "write an empty workbook (.xlsx) or CSV file to fill in",
        "template changes.xlsx",
    ),
    "demo": ((), "the whole job on sample data against the built-in sandbox: no account needed", "demo"),
    "sandbox": (
        _SANDBOX,
        "serve a stand-in for Nexus on this machine, with faults on demand",
        "sandbox --port 8099 --rate 100 --fault status-503=0.05",
    ),
    "runs": (
        (_CONFIG, _option("--close", metavar="RUN", help=_CLOSE), _YES),
        "list past runs and their outcomes, the newest first; or close one that is not to be resumed",
        "runs",
    ),
    "report": (
        (
            *_OF_PAST_RUN,
            _RESULTS,
            _option("--row", type=_count, metavar="N", help=_ROW),
            _option("--rows", action="store_true", help="print every row as JSON Lines, and write nothing"),
        ),
        "write the results workbook of a past run again, from its folder alone; or explain its rows",
        "report 20261231-235900-changes --row 17",
    ),
    "doctor": (
        (
            _CONFIG,
            _option("--record", nargs="+", default=(), metavar="ID", help=_RECORD),
            _option("--notify", action="store_true", help=_NOTIFY),
        ),
        "check the set-up without sending an update: a line for each check",
        "doctor",
    ),
    "init": (
        _INIT,
        "write a commented config.yaml by asking a few questions, or from options",
        "init --base-url https://nexus.example.com --token env:NEXUS_TOKEN",
    ),
    "nightly": (
        (_CONFIG,),
        "the unattended job: run every file of the inbox, archive it, notify people",
        "nightly --config /etc/batch-updater/config.yaml",
    ),
    "undo": (
        (*_OF_PAST_RUN, _option("--results", type=Path, metavar="FILE", help=_UNDO)),
        "write a workbook that undoes a past run; sends nothing",
        "undo 20261231-235900-changes",
    ),
}
"""Name -> what adds its options, what it does, and how it is typed."""
