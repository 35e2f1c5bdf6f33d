"""The command line's grammar: commands, options, and the answer to one typed wrong."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from batch_updater.cli.meant import Meant
from batch_updater.errors import UsageError
from batch_updater.questions import ALL_COLUMNS
from batch_updater.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PROGRAM = "batch-updater"
DEFAULT_CONFIG = Path("config.yaml")
STDIN = "-"


class _HelpFormatter(argparse.HelpFormatter):
    """Has room beside the longest command: argparse indents commands and does not count that."""

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        super().add_arguments(actions)
        self._action_max_length += self._indent_increment


class CommandParser(argparse.ArgumentParser):
    """Raises UsageError for a wrong command line, so that `--json` applies to it as well."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError. argparse calls it."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", remedy=f"See {self.prog} --help.")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; `command` is the command's name.

    Raises UsageError, with the command line that was probably meant, and SystemExit for --help and --version.
    """
    arguments = list(arguments) or ["--help"]
    meant = Meant(PROGRAM, _COMMANDS, _options_of, _parsed)
    if arguments[0] not in {*_COMMANDS, "-h", "--help", "--version"}:
        raise meant.missing_command(arguments)
    options, surplus = _parser(arguments[0]).parse_known_args(arguments)
    try:
        Path.cwd()
    except FileNotFoundError:
        why = "The current folder has been removed."
        raise UsageError(why, remedy="Change into an existing folder (cd), then try again.") from None
    if surplus:
        raise meant.surplus_words(arguments, surplus)
    if options.command == "run" and bool(options.file) == options.fix:
        what = "FILE and --fix exclude each other" if options.fix else "FILE is missing"
        why = "--fix takes the newest results workbook that has rows to fix"
        raise UsageError(f"{what}: {why}.", remedy=f"See {PROGRAM} run --help.")
    return options


def _parsed(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]] | None:
    """Return the options of a command and the words that it does not take; None if something else is wrong."""
    try:
        return _parser(words[0]).parse_known_args(words)
    except UsageError:
        return None


def _options_of(command: str) -> list[str]:
    parser = CommandParser()
    for add in (*_OF_EVERY_COMMAND, *_COMMANDS[command][0]):
        add(parser)
    return re.findall(r"--[a-z-]+", parser.format_help())


def complete_parser() -> CommandParser:
    """Return the parser with the options of every command."""
    return _parser(None)


def _parser(chosen: str | None) -> CommandParser:
    """Return the parser, with the options of the chosen command alone, or of all: no other's are parsed, or shown."""
    parser = CommandParser(
        prog=PROGRAM,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
        description="Apply every row of a spreadsheet to a REST API, without losing track of a row.",
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
        for add in (*_OF_EVERY_COMMAND, *options) if chosen in {name, None} else ():
            add(command)
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a whole number up to 65535, 0 for any that is free")
    return int(text)


def _constant(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form FIELD=VALUE")
    return field, value


def _mapped(text: str) -> tuple[str, str | None]:
    header, equals, field = text.rpartition("=")
    if not equals or not header:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HEADER=FIELD, or HEADER= for one not sent")
    return header, field.strip() or None


def _of_column(
    is_valid: Callable[[str], bool], valid: str, kind: Callable[[str], Any] = str
) -> Callable[[str], tuple[str, Any]]:
    """Return what reads VALUE, for all columns, or HEADER=VALUE; `valid` says what a value is."""

    def read(text: str) -> tuple[str, Any]:
        header, equals, value = text.rpartition("=")
        if not is_valid(value) or (equals and not header):
            raise argparse.ArgumentTypeError(f"{text!r} is neither {valid} nor HEADER= with it")
        return (header if equals else ALL_COLUMNS), kind(value)

    return read


def _fault(text: str) -> tuple[str, float]:
    name, _, chance = text.partition("=")
    try:
        return name, float(chance)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=P with P from 0 to 1") from None


_AddOption: TypeAlias = "Callable[[CommandParser], object]"


def _option(*names: str, **settings: Any) -> _AddOption:
    return lambda command: command.add_argument(*names, **settings)


_VERBOSE = "show every attempt and decision on standard error; check names every problem, row by row"
_OF_EVERY_COMMAND = (
    _option("--json", action="store_true", help="print one JSON object on standard output and nothing else"),
    _option("-v", "--verbose", action="store_true", help=_VERBOSE),
)
_CONFIG = _option("--config", type=Path, metavar="FILE", help="the configuration (default: config.yaml if there)")
_PAST_RUN = "the run's folder, or the folder's name (default: the newest run)"
_NEWEST = "do not ask whether the newest run is meant"
_OPEN = _option("--open", action="store_true", help="open the workbook in the program for it")
_OF_PAST_RUN = (
    _option("run", metavar="RUN", nargs="?", help=_PAST_RUN),
    _CONFIG,
    _OPEN,
    _option("--yes", action="store_true", help=_NEWEST),
)
_RESULTS = _option("--results", type=Path, metavar="FILE", help="where to write the results workbook")
_COMPARE = _option("--compare", action="store_true", help="read each record first, and send only what would change it")
_YES = _option("--yes", action="store_true", help="ask nothing")
_CONSTANT = "a constant for every row; repeatable"
_VISIBLE = "leave out the rows that are hidden in the sheet (filtered, or by hand)"
_ANNOTATE = "write a copy of the workbook, with outcomes and faulty cells marked"
_DETACH = "print the name of the run and do not wait for its end (only with team.database)"
_FILE = "the spreadsheet; - reads CSV from standard input"
_FIX = "instead of FILE: the newest results workbook that has rows to fix"
_MAP = "which field a column is, or nothing behind = for a column that is not sent; repeatable"
_ORDER = "DMY or MDY: how dates are written, in all columns or in one; repeatable"
_CENTURY = "first year of the hundred that years of two digits are in (1930: 1930 to 2029), of all columns or one"
_DECIMAL = "the decimal mark, a point or a comma, of all columns or one; repeatable"
_CLEARS = "the text that empties a field, in all columns or in one; repeatable"
_LAYOUT = "the remembered layout to use, instead of the one whose headers fit"
_COLUMNS = (
    _CONFIG,
    _option("--sheet", metavar="NAME", help="the sheet to read"),
    _option("--header-row", type=_count, metavar="N", help="the row that holds the headers"),
    _option(
        "--set", action="append", default=[], dest="constants", metavar="FIELD=VALUE", type=_constant, help=_CONSTANT
    ),
    _option("--map", action="append", default=[], dest="columns", metavar="HEADER=FIELD", type=_mapped, help=_MAP),
    _option(
        "--date-order", action="append", default=[], metavar="[HEADER=]ORDER", help=_ORDER,
        type=_of_column(lambda text: text in {"DMY", "MDY", "none"}, "DMY or MDY or none"),
    ),
    _option(
        "--two-digit-years", action="append", default=[], metavar="[HEADER=]YEAR", help=_CENTURY,
        type=_of_column(lambda text: text.isascii() and text.isdigit() and 1900 <= int(text) <= 2100, "a year", int),
    ),
    _option(
        "--decimal", action="append", default=[], metavar="[HEADER=]MARK", help=_DECIMAL,
        type=_of_column(lambda text: text in {".", ",", "none"}, "a point or a comma"),
    ),
    _option(
        "--clear-marker", action="append", default=[], metavar="[HEADER=]TEXT", help=_CLEARS,
        type=_of_column(bool, "a text"),
    ),
    _option("--visible-only", action="store_true", help=_VISIBLE),
    _option("--all-rows", action="store_true", help="send the rows that are hidden in the sheet, too"),
    _option("--without-totals", action="store_true", help="leave out totals and remarks below the table"),
    _option("--with-totals", action="store_true", help="count totals and remarks below the table as rows"),
    _option("--layout", metavar="NAME", help=_LAYOUT),
)  # fmt: skip
_INPUT = (
    *_COLUMNS,
    _RESULTS,
    _option("--annotate", action="store_true", help=_ANNOTATE),
    _OPEN,
)
_RUN = (
    _option("file", metavar="FILE", nargs="?", help=_FILE),
    _option("--fix", action="store_true", help=_FIX),
    *_INPUT,
    _option("--limit", type=_count, metavar="N", help="send only the first N good rows: a trial"),
    _option(
        "--keep-going", action="store_true", help="continue even if the first rows are all refused in the same way"
    ),
    _COMPARE,
    _option("--restart", action="store_true", help="start a new run instead of resuming an unfinished one"),
    _option("--override-guards", action="store_true", help="send although a limit of the section guards is exceeded"),
    _option("--detach", action="store_true", help=_DETACH),
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
_INIT_ENDPOINT = "the call to describe, an OpenAPI document and its operation (default: the built-in one)"
_INIT = (
    _option("file", metavar="FILE", type=Path, nargs="?", default=DEFAULT_CONFIG, help=_INIT_FILE),
    _option("--endpoint", metavar="DOC#OPERATION", help=_INIT_ENDPOINT),
    _option("--base-url", metavar="URL", help="address of the API: https://host, with a prefix if it has one"),
    _option("--token", metavar="REF", help="where the token is kept: env:NAME, file:PATH or command:PROGRAM"),
    _option("--user", metavar="NAME", help="instead of --token: the user, for an API that takes user and password"),
    _option("--password", metavar="REF", help="where the user's password is kept, like --token"),
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
_WEB_HOST = "the address to serve on (default: web.host, this machine alone); another one needs web.auth: proxy"
_WEB_PORT = "the port (default: web.port, 8484); if it is taken, the next that is free"
_SERVE = (
    _CONFIG,
    _option("--host", metavar="HOST", help=_WEB_HOST),
    _option("--port", metavar="PORT", type=_port, help=_WEB_PORT),
    _option("--open", action="store_true", help="open the page in the browser"),
)
_BLOCKS_AT_ONCE = "how many blocks of a run to send at once, each with sending.concurrency connections (default: 1)"
_MIGRATE = "create or update the tables of the team's database, then exit"
_METRICS_PORT = "serve metrics for Prometheus on this loopback port, or on HOST:PORT"
_WORKER = (
    _CONFIG,
    _option("--concurrency", type=_count, metavar="N", default=1, help=_BLOCKS_AT_ONCE),
    _option("--migrate", action="store_true", help=_MIGRATE),
    _option("--metrics-port", metavar="PORT", help=_METRICS_PORT),
)
_SHELL = "the shell that you type commands in"
_DOCUMENT = "the OpenAPI document; with #OPERATION behind it, the columns of that one"
_TEMPLATE = "the file to write; an existing file is never replaced"
_TEAM_IMPORT = "copy what the team's database does not have yet; you can repeat it at any time"
_TEAM_FOLDER = "the folder of results to copy (default: results.folder of the configuration)"
_CLOSE = "close an unfinished run: its open rows count as not sent, and it is not resumed any more"
_FOLLOW = "wait for the end of a run that a team is sending, as `run` does"
_ROW = "say why this row ended as it did, and write nothing"
_UNDO = "where to write it (default: undo.xlsx in the run's folder)"
_COMMANDS: dict[str, tuple[tuple[_AddOption, ...], str, str]] = {
    "run": (
        _RUN,
        "send every good row of a file; one workbook holds the outcome of every row",
        "run changes.xlsx --config nexus.yaml",
    ),
    "check": (
        (_option("file", metavar="FILE", help=_FILE), *_INPUT, _COMPARE, _YES),
        "do everything but sending: say what is wrong with which cell",
        "check changes.xlsx",
    ),
    "columns": (
        (
            _option("file", metavar="FILE", help=_FILE),
            *_COLUMNS,
            _option("--save", metavar="NAME", help="remember this as a layout, for all files with these headers"),
            _YES,
        ),
        "show which column is which field, and remember it",
        "columns q1.xlsx --save q1-pipeline",
    ),
    "template": (
        (_option("file", metavar="FILE", type=Path, help=_TEMPLATE), _CONFIG, _OPEN),
        "write an empty workbook (.xlsx) or CSV file to fill in",
        "template changes.xlsx",
    ),
    "endpoints": (
        (_option("document", metavar="DOCUMENT", help=_DOCUMENT),),
        "list the operations of an OpenAPI document: which can be used, with which columns, and why not",
        "endpoints openapi.yaml#updateContact",
    ),
    "demo": ((_OPEN,), "the whole job on sample data against the built-in sandbox: no account needed", "demo"),
    "sandbox": (
        _SANDBOX,
        "serve a stand-in for Nexus on this machine, with faults on demand",
        "sandbox --port 8099 --rate 100 --fault status-503=0.05",
    ),
    "runs": (
        (
            _CONFIG,
            _option("--close", metavar="RUN", help=_CLOSE),
            _option("--follow", metavar="RUN", help=_FOLLOW),
            _option("--results", type=Path, metavar="FILE", help="with --follow: where to write the results workbook"),
            _option("--open", action="store_true", help="with --follow: open the workbook in the program for it"),
            _YES,
        ),
        "list past runs and their outcomes, the newest first; or close one that is not to be resumed, or follow one",
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
    "serve": (
        _SERVE,
        "the whole job in a browser: serve the page for it",
        "serve --open",
    ),
    "worker": (
        _WORKER,
        "send the runs in the queue of a team until told to stop",
        "worker --concurrency 2",
    ),
    "undo": (
        (*_OF_PAST_RUN, _option("--results", type=Path, metavar="FILE", help=_UNDO)),
        "write a workbook that undoes a past run; sends nothing",
        "undo 20261231-235900-changes",
    ),
    "team": (
        (
            _option("action", metavar="import", choices=("import",), help=_TEAM_IMPORT),
            _option("folder", metavar="FOLDER", type=Path, nargs="?", help=_TEAM_FOLDER),
            _CONFIG,
        ),
        "copy the runs, names and layouts of this machine into the team's database",
        "team import",
    ),
    "completion": (
        (_option("shell", metavar="SHELL", choices=("bash", "zsh", "powershell"), help=_SHELL),),
        "print what completes commands with the Tab key: in bash, zsh or powershell",
        "completion bash >> ~/.bashrc",
    ),
}
"""Name -> what adds its options, what it does, and how it is typed."""
