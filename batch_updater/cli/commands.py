"""The command line: parses, asks, prints; the one place where exceptions become messages and exit codes.

Whatever costs start-up time is imported by the command that needs it: `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.cli.open_files import require_open_files
from batch_updater.config.environment import Environment
from batch_updater.config.token_help import ways_to_set
from batch_updater.errors import BatchUpdaterError, EndedEarlyError, ExitCode, StoreError, UsageError
from batch_updater.runs.interrupts import Interrupted, end_on_signals
from batch_updater.text.printable import command_line, print_line
from batch_updater.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO, NoReturn

    from batch_updater.cli.terminal import Bar, PlainLines
    from batch_updater.config.schema import Config
    from batch_updater.records import Invocation
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.plan import Plan
    from batch_updater.runs.result import Options, RunResult
    from batch_updater.runs.run import Run
    from batch_updater.text.redaction import Redaction

PROGRAM = "batch-updater"
REPORT_FAULTS_TO = "the person who installed batch-updater for you, with the lines above"
DEFAULT_CONFIG = Path("config.yaml")
STDIN = "-"


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as any other error, so that `--json` holds for it too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", remedy=f"See {self.prog} --help.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; only --help and --version end in SystemExit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    end_on_signals()
    _require_streams()
    as_json = "--json" in arguments
    environment = Environment(os.environ)
    try:
        options = _parsed(arguments)
        options.environment = environment
        require_open_files()
        code: int = options.command(options)
    except BatchUpdaterError as error:
        code = _report_error(error, environment.redaction, as_json=as_json)
    except Interrupted:
        ended = EndedEarlyError("Interrupted; nothing was sent.", remedy="Start the same again.")
        code = _report_error(ended, environment.redaction, as_json=as_json)
    except StoreError as error:
        ended = EndedEarlyError(str(error), remedy=error.remedy)
        code = _report_error(ended, environment.redaction, as_json=as_json)
    except KeyboardInterrupt:
        _say_aside(f"{PROGRAM}: interrupted; run again to go on.")
        code = ExitCode.RUN_AGAIN
    except Exception:  # noqa: BLE001  (the one boundary)
        for line in environment.redaction.text(traceback.format_exc()).split("\n"):
            _say_aside(line)
        _say_aside(f"{PROGRAM}: this is a fault of the program itself. Send it to {REPORT_FAULTS_TO}.")
        code = ExitCode.FAULT
    sys.stdout.flush()  # what cannot be written is said now; at exit it would be an exit code of Python's
    _end_if_left_behind(code)
    return code


def _end_if_left_behind(code: int) -> None:
    """End here if something that the unattended job has tried still goes on."""
    attempt = sys.modules.get("batch_updater.nightly.time_limit")  # not imported: nothing was tried
    if attempt is not None:
        attempt.exit_if_threads_hang(code)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    options, unknown = _parser().parse_known_args(arguments)
    try:
        Path.cwd()
    except FileNotFoundError:
        why = "The folder in which this was started has been removed."
        raise UsageError(why, remedy="Change into a folder that is there (cd), then start again.") from None
    if not unknown:
        return options
    import difflib
    import re

    parser: _Parser = options.parser
    known = re.findall(r"--[a-z-]+", parser.format_help())
    close = difflib.get_close_matches(unknown[0].partition("=")[0], known, 1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise UsageError(f"Unrecognized arguments: {' '.join(unknown)}.", remedy=f"{hint}See {parser.prog} --help.")


class _Unheard(io.TextIOWrapper):
    """A standard stream that may go away under a run, as where a full disk takes it: then nobody hears, and it goes on.

    The rows are what they are, and the exit code and the workbooks tell it too.
    """

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._close(error)
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._close(error)

    def _close(self, error: OSError) -> None:
        """Let everything go nowhere, what remains in the buffer included: it may not raise again at exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self is sys.stdout and not isinstance(error, BrokenPipeError):  # else whoever read it has seen enough
            _say_aside(f"{PROGRAM}: standard output cannot be written: {error.strerror}.")


def _require_streams() -> None:
    """See to it that writing to a standard stream never fails, and that none is missing.

    A file of ours would be opened under the number of one that is closed, and what is printed would end in it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  (until the end)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            unheard = _Unheard(
                stream.buffer,
                stream.encoding,
                "backslashreplace",  # a console that knows no UTF-8 may not end a run because of a customer's name
                line_buffering=stream.line_buffering or name == "stderr",
                write_through=stream.write_through,
            )
            setattr(sys, name, unheard)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        allow_abbrev=False,
        description="Apply every row of a spreadsheet to a REST API by PUT, without losing track of a row.",
        epilog=f"Example: {PROGRAM} check changes.xlsx, then {PROGRAM} run changes.xlsx",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_check(commands)
    _add_template(commands)
    _add_demo(commands)
    _add_sandbox(commands)
    _add_runs(commands)
    _add_report(commands)
    _add_doctor(commands)
    _add_init(commands)
    _add_nightly(commands)
    _add_undo(commands)
    return parser


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[_Parser]  # noqa: SLF001  (argparse has no public name for it)


def _add_run(commands: _Commands) -> None:
    parser = _add(
        commands, "run", _run, "send every good row of a file; one workbook says what became of every row",
        "run changes.xlsx --config nexus.yaml",
    )  # fmt: skip
    _add_input_options(parser)
    parser.add_argument("--limit", type=_count, metavar="N", help="send only the first N good rows: a trial")
    parser.add_argument(
        "--keep-going", action="store_true", help="go on although the first rows were all refused alike"
    )
    _add_compare_option(parser)
    parser.add_argument("--restart", action="store_true", help="start a new run although an unfinished one exists")
    parser.add_argument(
        "--override-guards", action="store_true", help="send although a limit of the section guards is exceeded"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_check(commands: _Commands) -> None:
    parser = _add(
        commands, "check", _check, "do everything but sending: say what is wrong with which cell", "check changes.xlsx"
    )
    _add_input_options(parser)
    _add_compare_option(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_template(commands: _Commands) -> None:
    parser = _add(
        commands,
        "template",
        _template,
        "write an empty workbook (.xlsx) or CSV file to fill in",
        "template changes.xlsx",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the file to write; one that exists is never replaced")
    _add_config_option(parser)


def _add_demo(commands: _Commands) -> None:
    _add(
        commands, "demo", _demo, "the whole job on sample data against the built-in sandbox: no account needed", "demo"
    )


def _add_sandbox(commands: _Commands) -> None:
    parser = _add(
        commands, "sandbox", _sandbox, "serve a stand-in for Nexus on this machine, with faults on demand",
        "sandbox --port 8099 --rate 100 --fault status-503=0.05",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any that is free)")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the records and of the faults by chance (default: 1)"
    )
    parser.add_argument("--rate", type=float, metavar="N", help="requests a second that the account may send")
    parser.add_argument("--burst", type=int, metavar="N", help="requests that it may send at once on top")
    parser.add_argument("--quota", type=int, metavar="N", help="requests that it may send in all")
    parser.add_argument("--latency-ms", type=float, default=0, metavar="MS", help="how long every answer takes")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=P", type=_fault, help="play a fault with probability P"
    )


def _add_runs(commands: _Commands) -> None:
    parser = _add(commands, "runs", _runs, "list past runs, the newest first, and what became of them", "runs")
    _add_config_option(parser)


def _add_report(commands: _Commands) -> None:
    parser = _add(
        commands, "report", _report, "write the results workbook of a past run again, from its folder alone",
        "report 20261231-235900-changes",
    )  # fmt: skip
    _add_past_run(parser)
    _add_config_option(parser)
    parser.add_argument("--results", type=Path, metavar="FILE", help="where to write the results workbook")


def _add_doctor(commands: _Commands) -> None:
    parser = _add(
        commands, "doctor", _doctor, "check the set-up without sending an update: a line for each check", "doctor"
    )
    _add_config_option(parser)
    parser.add_argument(
        "--record", nargs="+", default=(), metavar="ID", help="a record to read, which tries the token: its ID"
    )
    parser.add_argument("--notify", action="store_true", help="send one test message to everyone under nightly.notify")


def _add_init(commands: _Commands) -> None:
    parser = _add(
        commands, "init", _init, "write a commented config.yaml by asking a few questions, or from options",
        "init --base-url https://nexus.example.com --token env:NEXUS_TOKEN",
    )  # fmt: skip
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", default=DEFAULT_CONFIG,
        help="the file to write (default: config.yaml); one that exists is never replaced",
    )  # fmt: skip
    parser.add_argument("--base-url", metavar="URL", help="where the API is: https://host, with a prefix if it has one")
    parser.add_argument(
        "--token", metavar="REF", help="where the token is kept: env:NAME, file:PATH or command:PROGRAM"
    )
    parser.add_argument("--oauth-token-url", metavar="URL", help="instead of --token: where OAuth tokens are had")
    parser.add_argument("--client-id", metavar="ID", help="the OAuth client")
    parser.add_argument("--client-secret", metavar="REF", help="where its secret is kept, like --token")
    parser.add_argument("--scope", metavar="SCOPE", help="the OAuth scope, if one is needed")
    parser.add_argument("--rate", metavar="N", help="requests a second (default: 20)")
    parser.add_argument(
        "--compare", action="store_true", help="read every record before it is changed, so that runs can be undone"
    )
    parser.add_argument("--inbox", metavar="FOLDER", help="whose files the nightly job takes (default: no nightly job)")
    parser.add_argument("--notify", metavar="REF", help="whom the nightly job tells, kept like --token")
    parser.add_argument("--yes", action="store_true", help="ask nothing; what is not given has its default")


def _add_nightly(commands: _Commands) -> None:
    parser = _add(
        commands, "nightly", _nightly, "the unattended job: run every file of the inbox, put it away, tell people",
        "nightly --config /etc/batch-updater/config.yaml",
    )  # fmt: skip
    _add_config_option(parser)


def _add_undo(commands: _Commands) -> None:
    parser = _add(
        commands, "undo", _undo, "write a workbook that takes a past run back; sends nothing",
        "undo 20261231-235900-changes",
    )  # fmt: skip
    _add_past_run(parser)
    _add_config_option(parser)
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="where to write it (default: undo.xlsx in the run's folder)"
    )


def _add(commands: _Commands, name: str, command: object, what: str, example: str) -> _Parser:
    parser = commands.add_parser(
        name,
        allow_abbrev=False,
        help=what,
        description=f"{what[:1].upper()}{what[1:]}.",
        epilog=f"Example: {PROGRAM} {example}",
    )
    parser.set_defaults(command=command, parser=parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    parser.add_argument("--verbose", action="store_true", help="show every attempt and decision on standard error")
    return parser


def _add_past_run(parser: _Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the run's folder, or the folder's name")


def _add_compare_option(parser: _Parser) -> None:
    parser.add_argument(
        "--compare", action="store_true", help="read each record first, and send only what would change it"
    )


def _add_config_option(parser: _Parser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: config.yaml if there)")


def _add_input_options(parser: _Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="the spreadsheet; - reads CSV from standard input")
    _add_config_option(parser)
    parser.add_argument("--sheet", metavar="NAME", help="the sheet to read")
    parser.add_argument("--header-row", type=_count, metavar="N", help="the row that holds the headers")
    parser.add_argument(
        "--set", action="append", default=[], dest="constants", metavar="FIELD=VALUE", type=_constant,
        help="a constant for every row; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--visible-only",
        action="store_true",
        help="leave out the rows that are hidden in the sheet (filtered, or by hand)",
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="where to write the results workbook")
    parser.add_argument(
        "--annotate", action="store_true", help="write a copy of the workbook, with outcomes and faulty cells marked"
    )


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


def _run(options: argparse.Namespace) -> int:
    from batch_updater.config.schema import require_sendable

    config = _config(options)
    require_sendable(config)
    asking = _on_terminal() and not options.yes
    if options.file == STDIN and asking:
        raise UsageError("Reading from standard input leaves no way to answer a question.", remedy="Add --yes.")
    with _logging(options):
        finished = _run_as_asked(options, config, asking=asking)
        if finished is None:
            options.visible_only = True
            finished = _run_as_asked(options, config, asking=asking)
    if finished is None:
        raise RuntimeError("hidden rows were asked about although they are left out")
    return _end(finished, options, _next_step(finished, _as_typed(options)))


def _run_as_asked(options: argparse.Namespace, config: Config, *, asking: bool) -> RunResult | None:
    """Run the file; None if it is to be read again without the hidden rows, as a person has just said."""
    from batch_updater.cli import terminal
    from batch_updater.runs import open_run, result, run

    source, results = _source(options.file), options.results.resolve() if options.results else None
    with open_run.open_run(
        source, config, options.environment,
        restart=options.restart, override_guards=options.override_guards, visible_only=options.visible_only,
    ) as opened:  # fmt: skip
        asking = asking and bool(opened.to_send)
        if asking and opened.asks_about_hidden_rows and not terminal.takes_hidden_rows(opened):
            return None
        terminal.print_earlier(opened, sys.stderr)
        if not options.yes and not _on_terminal():
            opened.require_recent()
        count = opened.sends(options.limit)
        if opened.to_send and (asking or not options.json):
            terminal.print_preview(opened, count, sys.stderr, asking=asking)
        may_lose = _may_lose(opened.plan, options, tell=not options.json)
        asked = result.Options(
            results, options.limit, options.keep_going, None, _from_anywhere(options), may_lose=may_lose
        )
        agreed, asked = _agreed(opened, asked, count, options.environment) if asking else (opened, asked)
        options.compare |= agreed.plan.config.sending.compare and not config.sending.compare
        return _execute(run.Run(agreed, asked, options.environment), count)


def _may_lose(plan: Plan, options: argparse.Namespace, *, tell: bool) -> bool:
    """Return whether an annotated copy may lose what it would: by `--yes`, or as a person says on the terminal.

    `tell`: say what that is, or why there is no copy, where no question does.
    """
    from batch_updater.cli import terminal
    from batch_updater.runs.annotate import AnnotatedCopy

    copy = AnnotatedCopy.of(plan, may_lose=options.yes)
    if copy.lost and _on_terminal() and not options.yes:
        return terminal.agrees_to_lose(copy.lost)
    if copy.note and tell:
        terminal.print_notes((copy.note,), sys.stderr)
    return bool(options.yes)


def _agreed(opened: OpenRun, asked: Options, count: int, environment: Environment) -> tuple[OpenRun, Options]:
    """Ask whether to send `count` rows. Returns the run and its options as the answer wants them.

    Raises UsageError if the answer is no, GuardError.
    """
    from batch_updater.cli import terminal
    from batch_updater.cli.terminal import Answer

    while True:
        if opened.plan.reads_first:
            asked = replace(asked, compared=_shown_stakes(opened, asked, count, environment))
        # What has stopped the reading would stop the sending: there is nothing to ask then.
        if asked.compared and asked.compared.is_stopped:
            return opened, asked
        match terminal.asked_to_send(opened, asked.compared, count):
            case Answer.YES:
                return opened, asked
            case Answer.COMPARE:
                opened = opened.comparing()
                invocation = asked.invocation and replace(asked.invocation, compare=True)
                asked = replace(asked, invocation=invocation)
                terminal.print_readings(opened.plan, sys.stderr)
            case Answer.NO:
                raise UsageError("Cancelled. Nothing was sent.", remedy="Run it again when you are ready.")


def _shown_stakes(opened: OpenRun, asked: Options, count: int, environment: Environment) -> RunResult:
    """Read the record of each of the `count` rows to send, for a question that says what is at stake.

    Raises GuardError.
    """
    from batch_updater.cli import terminal
    from batch_updater.runs import check

    with _shown(count) as (progress, interrupts):
        compared = check.compare_beforehand(opened.plan, asked, environment, progress, interrupts)
    terminal.print_change_summary(compared, sys.stderr)
    terminal.print_notes(check.overridden(opened, compared), sys.stderr)
    check.require_allowed(opened, compared)
    return compared


def _execute(run: Run, rows: int) -> RunResult:
    with _shown(rows) as (progress, interrupts):
        return run.execute(progress, interrupts)


@contextlib.contextmanager
def _shown(rows: int) -> Iterator[tuple[Bar | PlainLines, Interrupts]]:
    """Show how far the sending of so many rows is, and take signals, until the block ends."""
    from batch_updater.cli.terminal import Bar, PlainLines
    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.runs.run_log import spoken

    with (
        Interrupts() as interrupts,
        interrupts.ending_at_once(),
        Bar(rows) if sys.stderr.isatty() else PlainLines(rows, sys.stderr) as progress,
        spoken(progress.say),
    ):
        yield progress, interrupts


def _runs(options: argparse.Namespace) -> int:
    from batch_updater.cli import terminal
    from batch_updater.runs.history import past_runs

    found = past_runs(_config(options).results.folder)
    if options.json:
        print_line(terminal.runs_object(found), sys.stdout)
    else:
        terminal.print_runs(found, sys.stdout)
    return ExitCode.OK


def _report(options: argparse.Namespace) -> int:
    from batch_updater.reporter.next_step import NextKind, NextStep
    from batch_updater.runs import report
    from batch_updater.runs.history import find_run

    past = find_run(_config(options).results.folder, options.run)
    finished = report.report(past, options.results.resolve() if options.results else None)
    if finished.fault and not past.is_unfinished:
        # Starting a finished run again would send every row again.
        text, config = "Correct this, then write the report again:", ("--config", str(options.config))
        command = (PROGRAM, "report", options.run, *(config if options.config else ()))
        return _end(finished, options, NextStep(NextKind.REPORT, text, command))
    return _end(finished, options, _next_step(finished, past.facts.invocation))


def _nightly(options: argparse.Namespace) -> int:
    from batch_updater.nightly.night import as_object
    from batch_updater.nightly.unattended import run_night
    from batch_updater.runs.interrupts import Interrupts

    config = _config(options)
    redact = options.environment.redaction.text

    def complain(line: str) -> None:
        _say_aside(redact(line))

    with _logging(options), Interrupts() as interrupts:
        said = _say_aside if options.json else _say
        night = run_night(config, options.environment, interrupts, said, complain)
    if options.json:
        _say(json.dumps(as_object(night)))
    elif night.has_worked:
        _say(night.verdict)
    if not night.has_worked:  # cron mails what stands there, and what stands there alone
        _say_aside(f"{night.verdict} {night.stop.advice if night.stop else ''}".rstrip())
    return night.exit_code


def _say(line: str) -> None:
    print_line(line, sys.stdout)
    sys.stdout.flush()


def _say_aside(line: str) -> None:
    print_line(line, sys.stderr)
    sys.stderr.flush()


def _undo(options: argparse.Namespace) -> int:
    from batch_updater.runs.history import find_run
    from batch_updater.runs.undo import write_undo

    past = find_run(_config(options).results.folder, options.run)
    undo = write_undo(past, options.results.resolve() if options.results else None)
    if options.json:
        print_line(json.dumps(undo.counts), sys.stdout)
        return ExitCode.OK
    print_line(undo.verdict, sys.stdout)
    print_line(f"Workbook: {undo.path}", sys.stdout)
    if undo.rows:
        config = ("--config", str(options.config)) if options.config else ()
        print_line("Next:     look at it, then type", sys.stdout)
        print_line(f"          {command_line((PROGRAM, 'run', str(undo.path), *config))}", sys.stdout)
    return ExitCode.OK


def _check(options: argparse.Namespace) -> int:
    from batch_updater.config.schema import require_sendable
    from batch_updater.files.writing import fitting_name, temporary_folder
    from batch_updater.runs import check, result
    from batch_updater.runs.plan import prepare

    config = _config(options)
    source = _source(options.file)
    stem = Path(options.file).stem if options.file != STDIN else "stdin"
    beside = Path(options.file).parent if options.file != STDIN else Path()
    results = (options.results or beside / fitting_name(stem, "-check.xlsx")).resolve()
    with _logging(options), temporary_folder() as folder:
        plan = prepare(source, config, folder, visible_only=options.visible_only, compares=config.sending.compare)
        with plan.store:
            may_lose = _may_lose(plan, options, tell=False)  # it is among the notes
            if not config.sending.compare:
                finished = check.check(plan, results, may_lose=may_lose)
            else:
                require_sendable(config)
                asked = result.Options(results, may_lose=may_lose)
                finished = _compared(plan, asked, folder, options.environment, tell=not options.json)
            return _end(finished, options, _next_step(finished, _as_typed(options)))


def _compared(plan: Plan, asked: Options, folder: Path, environment: Environment, *, tell: bool) -> RunResult:
    """Read the records and send nothing; `tell`: say beforehand what that costs."""
    from batch_updater.cli import terminal
    from batch_updater.runs import check

    if tell:
        terminal.print_readings(plan, sys.stderr)
    with _shown(plan.staged.good) as (progress, interrupts):
        return check.compare(plan, asked, folder, environment, progress, interrupts)


def _end(finished: RunResult, options: argparse.Namespace, step: NextStep) -> int:
    from batch_updater.cli import terminal

    if options.json:
        print_line(terminal.result_object(finished, step), sys.stdout)
    else:
        terminal.print_end(finished, step, sys.stdout)
    if options.json and finished.fault:  # the object has no place for it
        _say_aside(f"{PROGRAM}: {finished.fault}")
    return finished.exit_code


def _next_step(finished: RunResult, invocation: Invocation | None) -> NextStep:
    """Return what to do next; `invocation` is the command line of the run or check, None if a program started it."""
    from batch_updater.reporter.next_step import next_step

    is_folder_gone = finished.folder is not None and not finished.folder.exists()
    step = next_step(
        finished.facts, finished.summary, invocation,
        is_written=finished.fault is None, is_folder_gone=is_folder_gone,
    )  # fmt: skip
    return step.with_workbook(str(finished.results)) if finished.results else step


def _as_typed(options: argparse.Namespace) -> Invocation:
    """Return what the command line says of the input, to be typed again in the same folder."""
    from batch_updater.records import Invocation

    config = str(options.config) if options.config else None
    return Invocation(
        options.file, config, options.sheet, tuple(options.constants),
        compare=options.compare, header_row=options.header_row, visible_only=options.visible_only,
        annotate=options.annotate,
    )  # fmt: skip


def _from_anywhere(options: argparse.Namespace) -> Invocation:
    """Return the same, to be typed in any folder."""
    config = _config_path(options)
    file = options.file if options.file == STDIN else str(Path(options.file).resolve())
    return replace(
        _as_typed(options),
        file=file,
        config=str(config.resolve()) if config else None,
        is_default_config=options.config is None,
    )


def _template(options: argparse.Namespace) -> int:
    from batch_updater.config.loading import load_config
    from batch_updater.endpoint.openapi import load_endpoint
    from batch_updater.reporter.template import write_template

    config = load_config(_config_path(options), os.environ)
    endpoint = load_endpoint(config.api.endpoint)
    write_template(options.file, endpoint, config.input.clear_marker)
    if options.json:
        told = {"template": str(options.file), "endpoint": endpoint.name, "exit_code": 0}
        print_line(json.dumps(told), sys.stdout)
    else:
        print_line(f"Template: {options.file}", sys.stdout)
        print_line("Next:     fill it in, save it, then type", sys.stdout)
        print_line(f"          {command_line((PROGRAM, 'check', str(options.file)))}", sys.stdout)
    return ExitCode.OK


def _doctor(options: argparse.Namespace) -> int:
    from batch_updater.cli import terminal
    from batch_updater.doctor.examination import Wanted, examine
    from batch_updater.doctor.finding import exit_code_of

    ask = terminal.asked_record if _on_terminal() and not options.json else None
    findings = []
    for finding in examine(
        _config_path(options), options.environment, Wanted(tuple(options.record), ask, options.notify)
    ):
        findings.append(finding)
        if not options.json:
            terminal.print_finding(finding, sys.stdout)
    if options.json:
        print_line(terminal.findings_object(findings), sys.stdout)
    else:
        terminal.print_diagnosis(findings, sys.stdout)
    return exit_code_of(findings)


def _init(options: argparse.Namespace) -> int:
    from batch_updater.config import wizard as init

    init.require_free(options.file)
    given = {key: getattr(options, name) for name, key in init.OPTIONS.items() if getattr(options, name) is not None}
    if options.compare:
        given["sending.compare"] = "true"
    answers = init.Answers(given)
    if _on_terminal() and not options.yes:
        init.ask(answers, options.file, sys.stdin, sys.stderr)
    init.complete(answers, defaults_for_all=options.yes)
    init.write(options.file, answers)
    if found := init.doubt_about(answers.texts["api.base_url"]):
        _say_aside(f"Note: {found.note}")
    if options.json:
        print_line(json.dumps({"config": str(options.file), "exit_code": 0}), sys.stdout)
        return ExitCode.OK
    config = () if options.file == DEFAULT_CONFIG else ("--config", str(options.file))
    token = answers.texts.get("api.token", answers.texts.get("api.oauth.client_secret", ""))
    inbox = answers.texts.get("nightly.inbox")

    def command(*words: str) -> str:
        return command_line((PROGRAM, *words, *config))

    for line in (
        f"Written: {options.file}",
        *(f"Secret:  {path}, which only you may read" for path in answers.pasted),
        *_how_to_set(token.removeprefix("env:") if token.startswith("env:") else ""),
        *([f"Inbox:   make the folder {inbox}, if it is not there yet."] if inbox else []),
        f"Next:    {command('doctor')} checks it without sending anything. Then",
        f"         {command('template', 'changes.xlsx')}, fill it in, and",
        f"         {command('check', 'changes.xlsx')}",
        *([f"Nightly: {command('nightly')} runs the files of the inbox; have it scheduled."] if inbox else []),
    ):
        print_line(line, sys.stdout)
    return ExitCode.OK


def _how_to_set(variable: str) -> Iterator[str]:
    """Yield how a variable with a secret is set, if there is one."""
    if variable:
        yield f"Token:   set {variable} in the window in which you work:"
        for way in ways_to_set(variable):
            yield f"         {way}"


def _demo(options: argparse.Namespace) -> int:
    """Run the good sample against a sandbox of its own, with everything else as in real life."""
    from batch_updater.cli import demo, terminal
    from batch_updater.reporter.next_step import NextKind, NextStep
    from batch_updater.runs import open_run, result, run

    with demo.sandbox() as url, demo.token_file() as token, _logging(options):
        config, source = demo.configuration(url, token), demo.sample(demo.SAMPLE)
        with open_run.open_run(source, config, options.environment, restart=True) as opened:
            if not options.json:
                terminal.print_preview(opened, opened.to_send, sys.stderr)
            finished = _execute(run.Run(opened, result.Options(), options.environment), opened.to_send)
    text, command = "Look at the workbook, then make a file of your own:", (PROGRAM, "template", "changes.xlsx")
    return _end(finished, options, NextStep(NextKind.RUN, text, command))


def _sandbox(options: argparse.Namespace) -> int:
    import asyncio

    from batch_updater.runs.interrupts import Interrupts
    from batch_updater.sandbox.server import SandboxSettings, running

    try:
        settings = SandboxSettings(
            port=options.port, seed=options.seed, rate_per_s=options.rate, burst=options.burst or 0,
            quota=options.quota, latency_ms=options.latency_ms, faults=dict(options.fault),
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error), remedy=f"See {PROGRAM} sandbox --help.") from error

    async def serve(interrupts: Interrupts) -> None:
        ended = asyncio.Event()
        async with running(settings) as url:
            # An exception that a signal raises inside the event loop may cost it a callback, which it then waits for.
            interrupts.sending(asyncio.get_running_loop(), ended.set, ended.set)
            _say(url)
            await ended.wait()
            interrupts.sent()

    try:
        with Interrupts() as interrupts:
            asyncio.run(serve(interrupts))
    except OSError as error:
        why = f"Port {options.port} cannot be served: {error.strerror}."
        raise UsageError(why, remedy="Choose another with --port.") from error
    except KeyboardInterrupt:
        pass  # a second signal: what is in flight is not waited for
    return ExitCode.OK


def _config_path(options: argparse.Namespace) -> Path | None:
    if options.config is not None:
        return Path(options.config)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _config(options: argparse.Namespace) -> Config:
    """Load the configuration, with what the command line says on top."""
    from batch_updater.config.loading import load_config

    config = load_config(_config_path(options), os.environ)
    fields: dict[str, object] = {"constants": {**config.input.constants, **dict(getattr(options, "constants", ()))}}
    for name in ("sheet", "header_row"):
        if getattr(options, name, None) is not None:
            fields[name] = getattr(options, name)
    sections: dict[str, object] = {"input": config.input.model_copy(update=fields)}
    if getattr(options, "compare", False):
        sections["sending"] = config.sending.model_copy(update={"compare": True})
    if getattr(options, "annotate", False):
        sections["results"] = config.results.model_copy(update={"annotate": True})
    return config.model_copy(update=sections)


def _source(file: str) -> Path | BinaryIO:
    return sys.stdin.buffer if file == STDIN else Path(file)


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextlib.contextmanager
def _logging(options: argparse.Namespace) -> Iterator[None]:
    if not options.verbose:
        yield
        return
    from batch_updater.runs.run_log import logged_to_terminal

    with logged_to_terminal():
        yield


def _report_error(error: BatchUpdaterError, redaction: Redaction, *, as_json: bool) -> ExitCode:
    """Say what is wrong and what to do about it. Returns the exit code."""
    if as_json:
        place = error.place
        fault = {
            "message": redaction.text(error.message), "file": place.file, "sheet": place.sheet, "cell": place.cell,
            "remedy": redaction.text(error.remedy) or None,
        }  # fmt: skip
        print_line(json.dumps({"exit_code": int(error.exit_code), "error": fault}), sys.stdout)
        return error.exit_code
    first, *more = error.lines
    for line in (f"{PROGRAM}: {first}", *more, *error.remedy_lines):
        _say_aside(redaction.text(line))
    return error.exit_code
