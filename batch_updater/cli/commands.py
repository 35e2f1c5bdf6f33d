"""The commands, each mostly one call of a use case, and the one boundary where exceptions become exit codes.

Whatever costs start-up time is imported by the command that needs it: `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs
from msgspec.structs import replace

from batch_updater.cli import json_output, preview, text_output
from batch_updater.cli.interview import Interview
from batch_updater.cli.parser import DEFAULT_CONFIG, PROGRAM, STDIN, parse
from batch_updater.cli.process import collect_seldom, prepare_streams, quick_imports, require_open_files
from batch_updater.cli.text_output import write_lines
from batch_updater.config.environment import ON_MACHINE, Environment, machine_name
from batch_updater.errors import (
    BatchUpdaterError,
    ConfigError,
    EndedEarlyError,
    ExitCode,
    ResultsError,
    StoreError,
    UsageError,
)
from batch_updater.questions import NO_ANSWERS, OF_COLUMNS, Answers, typed
from batch_updater.runs.interrupts import Detached, Interrupted, Interrupts, end_on_signals, signal_behind
from batch_updater.text.printable import print_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, BinaryIO, TextIO

    from batch_updater.cli.text_output import Line
    from batch_updater.config.schema import Config
    from batch_updater.records import Invocation, OutcomeKind
    from batch_updater.reporter.next_step import NextStep
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.open_run import OpenRun
    from batch_updater.runs.plan import Plan
    from batch_updater.runs.result import Options, Progress, RunResult

_NO_TEAM = "A worker needs team.database, which is not set."
_MAINTAINER = "the person who maintains your installation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; only --help and --version end in SystemExit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what the Tab key completes
        from batch_updater.cli.completion import complete

        complete()
    end_on_signals()
    collect_seldom()
    prepare_streams()
    environment = Environment(os.environ)
    try:
        options = parse(arguments)
        options.environment = environment
        require_open_files()
        with contextlib.ExitStack() as options.at_end:
            code: int = _COMMANDS[options.command](options)
    except (BatchUpdaterError, StoreError, Interrupted) as error:
        code = _report(error, environment.redaction.text, as_json="--json" in arguments)
    except KeyboardInterrupt:
        _say(f"{PROGRAM}: interrupted. Run it again to resume.", sys.stderr)
        code = ExitCode.RUN_AGAIN
    except Exception as error:  # noqa: BLE001  (the one boundary)
        if signalled := signal_behind(error):
            code = _report(signalled, environment.redaction.text, as_json="--json" in arguments)
        else:
            for line in environment.redaction.text(traceback.format_exc()).split("\n"):
                print_line(line, sys.stderr)
            _say(f"{PROGRAM}: internal error. Please report the traceback above to {_MAINTAINER}.", sys.stderr)
            code = ExitCode.FAULT
    sys.stdout.flush()  # a stream that cannot be written is reported now; at exit it would change the exit code
    notify = sys.modules.get("batch_updater.nightly.notify")  # not imported: no thread can hang
    if notify is not None:
        notify.exit_if_threads_hang(code)
    return code


def _report(
    error: BatchUpdaterError | StoreError | Interrupted, redact: Callable[[str], str], *, as_json: bool
) -> ExitCode:
    if isinstance(error, Interrupted):
        error = EndedEarlyError("Interrupted. Nothing was sent.", remedy="Run it again.")
    elif isinstance(error, StoreError):
        error = EndedEarlyError(str(error), remedy=error.remedy)
    if as_json:
        json_output.write_object(json_output.error_object(error, redact), sys.stdout)
    else:
        write_lines(text_output.error_lines(error, redact), sys.stderr)
    return error.exit_code


def _run(options: argparse.Namespace) -> int:
    with quick_imports():
        from batch_updater.config.schema import require_sendable

    config = _config(options)
    require_sendable(config)
    asking = _on_terminal() and not options.yes
    to_fix = _to_fix(options, config) if options.fix else None
    if options.file == STDIN and asking:
        raise UsageError("Reading from standard input leaves no way to answer a question.", remedy="Add --yes.")
    interview = Interview(_answers(options), asking=asking)
    if options.detach:
        _require_team(config, "--detach")
    try:
        with _logging(options):
            result = None
            while result is None:
                result = interview.until_answered(lambda: _run_once(options, config, interview, to_fix))
    except Detached as detached:
        return _detached(detached, options)
    options.interview = interview
    return _end(result, options, _next_step(result, _as_typed(options)), is_newest=True)


def _to_fix(options: argparse.Namespace, config: Config) -> str:
    """Make the newest workbook with rows to fix the file of a run. Returns how the question names it."""
    from batch_updater.runs.history import newest_to_fix

    past = newest_to_fix(config.results.folder)
    options.file = text_output.shown_path(past.workbook or "")
    if not options.json:
        of_team = ", as the team's database has it" if past.team_state is not None else ""
        _say(f"Rows to fix: {options.file}{of_team}, of the run {preview.run_in_words(past)}", sys.stderr)
    return Path(options.file).name


def _run_once(
    options: argparse.Namespace, config: Config, interview: Interview, to_fix: str | None
) -> RunResult | None:
    """Run the file; `to_fix`: how the question names it, where the person has not. Raises OpenQuestionsError.

    None: nothing was done but a question on remembering the answers, which must not keep others from running files.
    """
    with quick_imports():
        import aiohttp  # noqa: F401  (by the sender, later)

        from batch_updater.runs import open_run

    with open_run.open_run(
        _source(options.file), config, options.environment,
        restart=options.restart, override_guards=options.override_guards,
        answers=interview.answers, layout=options.layout,
    ) as opened:  # fmt: skip
        if interview.asking and opened.plan.staged.questions and not opened.earlier.resumed:
            raise opened.plan.open_questions  # those about single cells as well
        plan = opened.plan
        if not interview.is_to_remember(plan):
            return _run_opened(opened, options, config, to_fix, asks=interview.asking)
    interview.remember(config.layouts_folder, plan)
    return None


def _run_opened(
    opened: OpenRun, options: argparse.Namespace, config: Config, to_fix: str | None, *, asks: bool
) -> RunResult:
    """Show what would be done, ask whether to do it if there is a person to ask, and do it."""
    with quick_imports():
        from batch_updater.runs import result
        from batch_updater.team import submit  # noqa: F401  (later)

    if opened.is_under_way:
        write_lines([text_output.Line(preview.under_way(opened), 0)], sys.stderr)
        if options.detach:
            raise _left_to_team(opened.folder)
        return _followed(opened.folder, config, options, stops=True)
    asking = asks and bool(opened.to_send)
    write_lines(preview.earlier_lines(opened), sys.stderr)
    if not options.yes and not _on_terminal():
        opened.require_recent()
    count = opened.sends(options.limit)
    if opened.to_send and (asking or not options.json):
        write_lines(preview.preview_lines(opened, count, options.environment, asking=asking), sys.stderr)
    may_lose = _may_lose(opened.plan, options, tell=not options.json)
    choices = result.Options(
        _results(options), options.limit, options.keep_going, None, _from_anywhere(options), may_lose=may_lose
    )
    to_run = opened
    if asking:
        to_run, choices = _ask_to_send(opened, choices, count, options.environment, to_fix)
    options.compare |= to_run.plan.config.sending.compare and not config.sending.compare
    return _execute(to_run, choices, count, options)


def _execute(opened: OpenRun, choices: Options, count: int, options: argparse.Namespace) -> RunResult:
    """Send `count` rows, or let a team do so. Raises Detached if its end is not waited for."""
    from batch_updater.team import submit

    with _progress(0 if options.detach else count) as (progress, interrupts):
        if options.detach:
            folder = submit.submit(opened, choices, options.environment, interrupts)
            raise _left_to_team(folder)
        ask = _ask_to_stop(opened.folder.name, interrupts, stops=True)
        return submit.execute(opened, choices, options.environment, progress, interrupts, ask)


def _left_to_team(folder: Path) -> Detached:
    """Return that a run of the team is not waited for, and that no worker is running that would send it, if so."""
    from batch_updater.runs.team_folders import team_of
    from batch_updater.team.progress import missing_worker

    team = team_of(folder.parent)
    try:
        missing = missing_worker(team, folder.name) if team else ""
    except ResultsError:  # the run is in the queue all the same
        missing = ""
    return Detached(folder, missing, lacks_worker=bool(missing))


def _followed(folder: Path, config: Config, options: argparse.Namespace, *, stops: bool) -> RunResult:
    """Wait for the end of a run that a team sends; `stops`: whether a signal stops it where no one can be asked.

    Raises Detached if its end is not waited for.
    """
    from batch_updater.files.writing import check_replaceable
    from batch_updater.runs.history import find_run
    from batch_updater.runs.team_folders import team_of
    from batch_updater.runs.team_quota import account_of
    from batch_updater.team.follow import follow
    from batch_updater.team.progress import part_so_far

    team, results = team_of(folder.parent), _results(options)
    if team is None:
        raise UsageError(f"{folder.name} is no run of the team.", remedy="`batch-updater runs` lists its runs.")
    if results:
        check_replaceable(results)
    so_far = part_so_far(team, find_run(folder.parent, folder.name))
    try:
        with _progress(so_far.rows, so_far.outcomes) as (progress, interrupts):
            return follow(
                team, folder, results=results, progress=progress, interrupts=interrupts,
                ask_to_stop=_ask_to_stop(folder.name, interrupts, stops=stops), known=so_far.outcomes,
                account=partial(account_of, config.api, options.environment, team),
            )  # fmt: skip
    except Interrupted:
        raise Detached(folder) from None  # before it was followed: it is not stopped


def _ask_to_stop(run: str, interrupts: Interrupts, *, stops: bool) -> Callable[[], bool]:
    """Return what says after a signal whether the run of a team is stopped; a person who has pressed Ctrl-C is asked.

    `stops`: whether it is where no one can be asked, unless the terminal was closed.
    """

    def ask() -> bool:
        if not _on_terminal() or not interrupts.is_by_person:
            return stops and not interrupts.is_hang_up
        interrupts.sent()  # a second Ctrl-C ends the question, and is no answer: the run goes on
        try:
            return preview.ask_to_stop(run)
        except KeyboardInterrupt:
            return False
        finally:
            interrupts.watched()

    return ask


def _detached(detached: Detached, options: argparse.Namespace) -> int:
    """Print the name of the run that was detached, and how to follow it."""
    folder = detached.folder
    if options.json:
        known = {"schema": 1, "command": "run --detach", "run": str(folder), "exit_code": 0}
        json_output.write_object(known, sys.stdout)
        return ExitCode.OK
    print_line(folder.name, sys.stdout)
    config = ("--config", str(options.config)) if options.config else ()
    follow = text_output.to_type((PROGRAM, "runs", "--follow", folder.name, *config))
    said = [text_output.Line(detached.said, 0)] if detached.said else []
    state = "waits in the queue" if detached.lacks_worker else "continues"
    lines = (*said, text_output.Line(f"The run {state}. To follow it:", 0), text_output.Line(f"    {follow}"))
    write_lines(lines, sys.stderr)
    return ExitCode.OK


def _require_team(config: Config, option: str) -> None:
    if config.team.database is None:
        raise UsageError(
            f"{option} needs team.database, which is not set.",
            remedy="Leave it out, or set team.database.",
        )


def _may_lose(plan: Plan, options: argparse.Namespace, *, tell: bool) -> bool:
    """Return whether an annotated copy may lose what it would: by `--yes`, or as a person says on the terminal.

    `tell`: say what that is, or why there is no copy, where no question does.
    """
    from batch_updater.runs.annotate import AnnotatedCopy

    copy = AnnotatedCopy.of(plan, may_lose=options.yes)
    if copy.lost and _on_terminal() and not options.yes:
        return preview.ask_to_lose(copy.lost)
    if copy.note and tell:
        write_lines(text_output.note_lines((copy.note,)), sys.stderr)
    return bool(options.yes)


def _ask_to_send(
    opened: OpenRun, choices: Options, count: int, environment: Environment, to_fix: str | None
) -> tuple[OpenRun, Options]:
    """Ask whether to send `count` rows, and read their records first if a person says so, to show what would change.

    Returns the run and its options then. Raises UsageError if the answer is no, GuardError.
    """
    from batch_updater.runs import check

    while True:
        if opened.plan.reads_first:
            with _progress(count) as (progress, interrupts):
                compared = check.compare_beforehand(opened.plan, choices, environment, progress, interrupts)
            write_lines(text_output.change_summary_lines(compared), sys.stderr)
            write_lines(text_output.note_lines(check.overridden(opened, compared)), sys.stderr)
            check.require_allowed(opened, compared)
            choices = replace(choices, compared=compared)
        # What has stopped the reading would stop the sending: there is nothing to ask then.
        if choices.compared and choices.compared.is_stopped:
            return opened, choices
        match preview.ask_to_send(opened, choices.compared, count, to_fix):
            case preview.Consent.YES:
                return opened, choices
            case preview.Consent.COMPARE:
                opened = opened.comparing()
                invocation = choices.invocation and replace(choices.invocation, compare=True)
                choices = replace(choices, invocation=invocation)
                write_lines(preview.reads_lines(opened.plan), sys.stderr)
            case preview.Consent.NO:
                raise preview.cancelled()


def _check(options: argparse.Namespace) -> int:
    from tempfile import mkdtemp

    with quick_imports():
        from batch_updater.config.schema import require_sendable
        from batch_updater.files.writing import fitting_name, temporary_folder
        from batch_updater.runs import check
        from batch_updater.runs.plan import prepare
        from batch_updater.runs.result import Options

    config = _config(options)
    path = Path("stdin.csv" if options.file == STDIN else options.file)
    asking = _on_terminal() and not options.yes and options.file != STDIN
    interview = Interview(_answers(options), asking=asking)
    with _logging(options), temporary_folder() as folder:
        source, compares = _source(options.file), config.sending.compare

        def prepared() -> Plan:
            own = Path(mkdtemp(dir=folder))  # what an earlier round has copied is there
            plan = prepare(source, config, own, answers=interview.answers, layout=options.layout, compares=compares)
            if asking and plan.staged.questions:
                plan.store.close()
                raise plan.open_questions
            return plan

        plan = interview.until_answered(prepared)
        interview.remember(config.layouts_folder, plan)
        options.interview = interview
        with plan.store:
            stem = plan.snapshot.stem if plan.staged.columns.origin else path.stem
            results = _results(options) or (path.parent / fitting_name(stem, "-check.xlsx")).resolve()
            may_lose = _may_lose(plan, options, tell=False)  # it is among the notes
            if not compares:
                result = check.check(plan, results, may_lose=may_lose, invocation=_as_typed(options))
            else:
                require_sendable(config)
                if not options.json:
                    write_lines(preview.reads_lines(plan), sys.stderr)
                with _progress(plan.staged.good) as (progress, interrupts):
                    choices = Options(results, invocation=_as_typed(options), may_lose=may_lose)
                    own = plan.snapshot.path.parent
                    result = check.compare(plan, choices, own, options.environment, progress, interrupts)
            return _end(result, options, _next_step(result, _as_typed(options)))


def _runs(options: argparse.Namespace) -> int:
    from batch_updater.runs.family import families
    from batch_updater.runs.history import find_run, past_runs, with_undos

    folder = _config(options).results.folder
    if options.follow is not None:
        return _follow(options)
    if options.close is not None:
        closed = [(_closed(find_run(folder, options.close), options), None)]
        _show(options, json_output.run_list_object(closed, {}), text_output.run_list_lines(closed, {}))
        return ExitCode.OK
    runs = list(with_undos(past_runs(folder)))
    rounds = families(run for run, _ in runs)
    _show(options, json_output.run_list_object(runs, rounds), text_output.run_list_lines(runs, rounds))
    return ExitCode.OK


def _follow(options: argparse.Namespace) -> int:
    """Wait for the end of a run that a team sends, and print how it ended."""
    from batch_updater.runs.history import find_run

    config = _config(options)
    _require_team(config, "--follow")
    past = find_run(config.results.folder, options.follow)
    try:
        with _logging(options):
            result = _followed(past.folder, config, options, stops=False)
    except Detached as detached:
        return _detached(detached, options)
    except Interrupted:
        return _detached(Detached(past.folder), options)
    return _end(result, options, _next_step_here(result, options))


def _closed(past: PastRun, options: argparse.Namespace) -> PastRun:
    """Close an unfinished run and return it as it is then. Raises UsageError if it is not to be closed."""
    from batch_updater.runs.close import close_run, run_to_close

    with run_to_close(past) as unfinished:
        if not options.yes and not _on_terminal():
            raise UsageError(
                f"Closing the run {unfinished.folder.name} is for good.",
                remedy="To close it without a question, add --yes.",
            )
        if not options.yes and not preview.ask_to_close(unfinished):
            raise UsageError("Cancelled. The run stays as it is.", remedy="Running the same file again resumes it.")
        return close_run(unfinished)


def _report_again(options: argparse.Namespace) -> int:
    from batch_updater.reporter.next_step import NextKind, NextStep
    from batch_updater.runs import report

    if options.row is not None or options.rows:
        _explain(options, _past_run(options, None))
        return ExitCode.OK
    past = _past_run(options, "Write the reports of")
    result = report.report(past, _results(options))
    if result.fault and not past.is_unfinished:
        # Running a finished run again would send every row again.
        text, config = "Correct this, then write the report again:", ("--config", str(options.config))
        command = (PROGRAM, "report", past.folder.name, *(config if options.config else ()))
        return _end(result, options, NextStep(NextKind.REPORT, text, command))
    return _end(result, options, _next_step_here(result, options))


def _next_step_here(result: RunResult, options: argparse.Namespace) -> NextStep:
    """Return what to do next about a past run, which may have been started on another host of the team."""
    invocation = _invocation_here(result.facts.invocation, options)
    if invocation is None or _config(options).team.database is None:
        return _next_step(result, invocation)
    if invocation.file == STDIN or Path(invocation.file).is_file():
        return _next_step(result, invocation)
    host = _machine_of(result)
    has_file = "the machine that has the file" if host in {"", machine_name()} else f"{host}, which has the file"
    return _next_step(result, replace(invocation, file=Path(invocation.file).name), has_file)


def _machine_of(result: RunResult) -> str:
    """Return on which machine a run was begun; '' if that is not known."""
    return next((setting.value for setting in result.facts.settings if setting.name == ON_MACHINE), "")


def _invocation_here(invocation: Invocation | None, options: argparse.Namespace) -> Invocation | None:
    """Return the command line that has started a run as it is typed in this folder."""
    default = _config_path(options)
    if invocation and _config(options).team.database is not None:  # that of the run may be on another host
        return replace(invocation, config=str(options.config) if options.config else None)
    if invocation and default and options.config is None and invocation.config == str(default.resolve()):
        return replace(invocation, config=None)  # it is found in this folder without being named
    return invocation


def _explain(options: argparse.Namespace, past: PastRun) -> None:
    """Print why one row of a run ended as it did, or every row as JSON Lines. Raises UsageError."""
    from batch_updater.cli import row_output
    from batch_updater.runs.explain import explained_rows

    if options.results or (options.rows and options.row is not None):
        raise UsageError("--row, --rows and --results exclude each other.", remedy="Use one of them.")
    for row in explained_rows(past, options.row):
        if options.rows:
            json_output.write_exact_object(row_output.row_object(row), sys.stdout)
        elif options.json:
            json_output.write_exact_object(
                {
                    "schema": 1,
                    "command": "report",
                    "run": str(past.folder),
                    **row_output.row_object(row),
                    "later": [{"run": str(run.folder), "outcome": kind.value} for run, kind in row.later],
                    "exit_code": 0,
                },
                sys.stdout,
            )
        else:
            write_lines(row_output.row_lines(row, past), sys.stdout)


def _undo(options: argparse.Namespace) -> int:
    from batch_updater.runs.names import names_for_undo
    from batch_updater.runs.undo import write_undo

    past = _past_run(options, "Write the workbook that undoes")
    undo = write_undo(past, _results(options), names_for_undo(past, _config(options).api, options.environment))
    _show(options, json_output.undo_object(undo), text_output.undo_lines(undo, options.config))
    _open(undo.path, options, is_next=bool(undo.rows))
    return ExitCode.OK


def _team(options: argparse.Namespace) -> int:
    from batch_updater.config.loading import load_config
    from batch_updater.runs.team_database import team_database
    from batch_updater.team.import_runs import ImportState, import_runs

    config = load_config(_config_path(options), os.environ)
    if config.team.database is None:
        raise ConfigError("team.database is not set.", remedy="Name the team's database in the configuration.")
    with contextlib.closing(team_database(config.team.database, options.environment)) as team:
        team.require_schema()
        moved = []
        for one in import_runs(team, (options.folder or config.results.folder).resolve(), config.layouts_folder):
            moved.append(one)
            if not options.json:
                write_lines(text_output.imported_lines(one), sys.stdout)
    code = ExitCode.NEEDS_PERSON if any(one.state is ImportState.REFUSED for one in moved) else ExitCode.OK
    _show(options, json_output.import_object(moved, code), text_output.import_lines(moved))
    return code


def _nightly(options: argparse.Namespace) -> int:
    from batch_updater.config.loading import load_config
    from batch_updater.nightly.job import run_night
    from batch_updater.runs.run_log import spoken

    config = load_config(_config_path(options), os.environ)
    redact = options.environment.redaction.text

    def say(line: str) -> None:
        _say(redact(line), sys.stderr if options.json else sys.stdout)

    with _logging(options), spoken(say), Interrupts() as interrupts:
        night = run_night(config, options.environment, interrupts, say, lambda line: _say(redact(line), sys.stderr))
    if options.json:
        json_output.write_object(json_output.night_object(night), sys.stdout)
    else:
        write_lines(text_output.note_lines(night.notes), sys.stdout)
    if night.has_worked and not options.json:
        _say(night.verdict, sys.stdout)
    if not night.has_worked:  # cron mails what is on stderr, and that alone
        _say(f"{night.verdict} {night.stop.advice if night.stop else ''}".rstrip(), sys.stderr)
    return night.exit_code


def _end(result: RunResult, options: argparse.Namespace, step: NextStep, *, is_newest: bool = False) -> int:
    """Print how a run or a check ended; the workbook of the newest run is the one that `--fix` takes."""
    # A team's run that was joined here belongs to the machine that has submitted it.
    is_for_fix = is_newest and step.is_about_workbook and _machine_of(result) in {"", machine_name()}
    shown = step.with_fix(str(result.results)) if is_for_fix else step
    lines = text_output.result_lines(result, shown, row_by_row=options.verbose)
    _show(options, json_output.result_object(result, step), lines)
    if options.json and result.fault:
        _say(f"{PROGRAM}: {result.fault}", sys.stderr)
    if result.results:
        _open(result.results, options, is_next=step.is_about_workbook)
    return result.exit_code


def _open(workbook: Path, options: argparse.Namespace, *, is_next: bool) -> None:
    """Open a workbook if that was asked for, or if a person says so where looking at it is the next step."""
    from batch_updater.cli import viewer

    asks = is_next and _on_terminal() and not options.json and not getattr(options, "yes", False) and viewer.can_open()
    if (options.open or (asks and preview.ask_to_open(workbook))) and (why_not := viewer.open_file(workbook)):
        _say(f"Note: {why_not}", sys.stderr)


def _show(options: argparse.Namespace, value: Mapping[str, object], lines: Iterable[Line]) -> None:
    if options.json:
        json_output.write_object(value, sys.stdout)
    else:
        write_lines(lines, sys.stdout)


def _next_step(result: RunResult, invocation: Invocation | None, has_file: str = "") -> NextStep:
    """Return what to do next; `invocation` is the command line of the run or check, None if a program started it.

    `has_file`: the machine that has its file, in words; '' for this one.
    """
    from batch_updater.reporter.next_step import next_step

    is_folder_gone = result.folder is not None and not result.folder.exists()
    is_written = result.fault is None
    step = next_step(
        result.facts,
        result.summary,
        invocation,
        is_written=is_written,
        is_folder_gone=is_folder_gone,
        has_file=has_file,
    )
    return step.with_workbook(str(result.results)) if result.results else step


def _as_typed(options: argparse.Namespace) -> Invocation:
    """Return what the command line says of the input, to be typed again in the same folder."""
    from batch_updater.records import Invocation

    config = str(options.config) if options.config else None
    return Invocation(
        options.file, config, options.sheet, tuple(options.constants),
        compare=options.compare, header_row=options.header_row, visible_only=options.visible_only,
        annotate=options.annotate, options=_reading_options(options),
    )  # fmt: skip


def _reading_options(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the options that say how cells are read, as typed, and what was answered and is not remembered."""
    words = ["--layout", options.layout] if options.layout else []
    interview = getattr(options, "interview", None) or Interview(_answers(options), asking=False)
    told = structs.replace(interview.told, sheet=None, header_row=None, hidden_rows=None)
    return (*words, *told.with_more(interview.asked).options)


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


def _answers(options: argparse.Namespace) -> Answers:
    """Return what the options say of the file, its columns and its rows. Raises UsageError if two disagree."""
    of_columns: dict[str, Any] = {name: {} for name in ("columns", *OF_COLUMNS)}
    for name, answers in of_columns.items():
        for header, answer in getattr(options, name):
            if answers.setdefault(header, answer) != answer:
                both = (typed(replace(NO_ANSWERS, **{name: {header: one}})) for one in (answers[header], answer))
                raise UsageError(f"{' and '.join(both)} contradict each other.", remedy="Leave one of them out.")
    for one, other in (("visible_only", "all_rows"), ("without_totals", "with_totals")):
        if getattr(options, one) and getattr(options, other):
            both = (f"--{name.replace('_', '-')}" for name in (one, other))
            raise UsageError(f"{' and '.join(both)} contradict each other.", remedy="Leave one of them out.")
    return Answers(
        sheet=options.sheet,
        header_row=options.header_row,
        **of_columns,
        hidden_rows="leave out" if options.visible_only else "send" if options.all_rows else None,
        rows_below="leave out" if options.without_totals else "judge" if options.with_totals else None,
    )


def _columns(options: argparse.Namespace) -> int:
    from tempfile import mkdtemp

    from batch_updater.files.writing import temporary_folder
    from batch_updater.runs.layouts import require_name, same_headers, write_layout
    from batch_updater.runs.plan import open_source

    config = _config(options)
    if options.save is not None:
        try:
            options.save = require_name(options.save)
        except ValueError as error:
            raise UsageError(f"--save {options.save!r} is no name of a layout.", remedy=f"{error}.") from error
    asking = _on_terminal() and not options.yes and options.file != STDIN
    interview = Interview(_answers(options), asking=asking)
    with temporary_folder() as folder:
        source = _source(options.file)
        opened = interview.until_answered(
            lambda: open_source(source, config, Path(mkdtemp(dir=folder)), interview.answers, options.layout)
        )
        opened.table.close()
    saved = None
    if options.save:
        if other := same_headers(config.layouts_folder, opened.layout(options.save)):
            raise UsageError(f"The layout {other!r} has the same headers.", remedy=f"Replace it: --save {other}.")
        saved = write_layout(config.layouts_folder, opened.layout(options.save))
    else:
        interview.remember(config.layouts_folder, opened)
    _show(options, json_output.columns_object(opened, saved), text_output.columns_lines(opened, saved))
    return ExitCode.OK


def _endpoints(options: argparse.Namespace) -> int:
    from batch_updater.endpoint.usable import list_operations

    listed = list_operations(options.document)
    _show(options, json_output.endpoints_object(listed), text_output.endpoints_lines(listed))
    return ExitCode.OK


def _template(options: argparse.Namespace) -> int:
    from batch_updater.endpoint.adjusted import endpoint_for
    from batch_updater.loader.open_headers import possible_columns
    from batch_updater.reporter.template import write_template
    from batch_updater.runs.names import remembered_names

    config = _config(options)
    endpoint = endpoint_for(config.api, config.input.constants)
    names = remembered_names(config.results.folder, endpoint.name, config.api.base_url)
    # A CSV file has no sheet that says so.
    notes = filter(None, [names.fault, possible_columns(endpoint.opens)])
    write_lines(text_output.note_lines(notes), sys.stderr)
    write_template(options.file, endpoint, config.input, names.allowed)
    template = json_output.template_object(options.file, endpoint.name)
    _show(options, template, text_output.template_lines(options.file, options.config))
    _open(options.file.resolve(), options, is_next=True)
    return ExitCode.OK


def _doctor(options: argparse.Namespace) -> int:
    from batch_updater.doctor.examination import DoctorOptions, examine
    from batch_updater.doctor.finding import exit_code_of

    ask = preview.ask_for_record if _on_terminal() and not options.json else None
    doctor_options = DoctorOptions(tuple(options.record), ask, options.notify)
    findings = []
    for finding in examine(_config_path(options), options.environment, doctor_options):
        findings.append(finding)
        if not options.json:
            write_lines(text_output.finding_lines(finding), sys.stdout)
    code = exit_code_of(findings)
    _show(options, json_output.findings_object(findings, code), text_output.diagnosis_lines(findings))
    return code


def _init(options: argparse.Namespace) -> int:
    from batch_updater.cli import wizard

    wizard.require_free(options.file)
    given = {key: getattr(options, name) for name, key in wizard.OPTIONS.items() if getattr(options, name) is not None}
    if options.compare:
        given["sending.compare"] = "true"
    if reference := given.get("api.endpoint"):
        given["api.endpoint"], endpoint = wizard.named_endpoint(reference, options.file)
        answers = wizard.Answers(given, endpoint=endpoint)
    else:
        answers = wizard.Answers(given)
    if _on_terminal() and not options.yes:
        wizard.ask(answers, options.file, sys.stdin, sys.stderr)
    wizard.complete(answers, defaults_for_all=options.yes)
    wizard.write(options.file, answers)
    if doubt := wizard.doubt_about(answers):
        _say(f"Note: {doubt.note}", sys.stderr)
    _show(options, json_output.init_object(options.file), text_output.init_lines(options.file, answers))
    return ExitCode.OK


def _demo(options: argparse.Namespace) -> int:
    from batch_updater.cli import demo
    from batch_updater.files.samples import SAMPLE, sample
    from batch_updater.reporter.next_step import NextKind, NextStep
    from batch_updater.runs import open_run, result
    from batch_updater.team import submit

    with (
        demo.sandbox() as url,
        demo.configuration(url) as config,
        _logging(options),
        open_run.open_run(sample(SAMPLE), config, options.environment, restart=True) as opened,
    ):
        if not options.json:
            write_lines(preview.preview_lines(opened, opened.to_send, options.environment), sys.stderr)
        with _progress(opened.to_send) as (progress, interrupts):
            ended = submit.execute(opened, result.Options(), options.environment, progress, interrupts)
    text, command = "Look at the workbook, then make a file of your own:", (PROGRAM, "template", "changes.xlsx")
    return _end(ended, options, NextStep(NextKind.RUN, text, command))


def _sandbox(options: argparse.Namespace) -> int:
    import asyncio

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
            _say(url, sys.stdout)
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


def _serve(options: argparse.Namespace) -> int:
    with quick_imports():
        from batch_updater.runs.lock import WEB
        from batch_updater.web import server

    config = _config(options)
    given = {name: getattr(options, name) for name in ("host", "port") if getattr(options, name) is not None}
    config = config.model_copy(update={"web": config.web.model_copy(update=given)})

    def started(link: str) -> None:
        if options.json:
            json_output.write_object({"schema": 1, "command": "serve", "url": link}, sys.stdout)
        else:
            print_line(link, sys.stdout)
            sys.stdout.flush()
        if options.open:
            path = config.results.folder / WEB / "open.html"
            at_end.callback(path.unlink, missing_ok=True)
            _open_page(link, path)

    redact = options.environment.redaction.text
    with (
        contextlib.ExitStack() as at_end,
        server.logged(lambda line: print_line(line, sys.stderr), redact, every_request=options.verbose),
        Interrupts() as interrupts,
    ):
        return server.serve(config, options.environment, interrupts, started, _config_path(options))


def _worker(options: argparse.Namespace) -> int:
    if options.migrate:
        return _migrate(options)
    with quick_imports():
        from batch_updater.config.schema import require_sendable
        from batch_updater.endpoint.adjusted import endpoint_for
        from batch_updater.runs.team_folders import team_of
        from batch_updater.sender.auth import fetch_credentials
        from batch_updater.team.metrics import metrics_address, serve_metrics
        from batch_updater.team.worker import TeamWorker

    address = metrics_address(options.metrics_port) if options.metrics_port else None
    config = _config(options)
    team = team_of(config.results.folder)
    if team is None:
        raise UsageError(_NO_TEAM, remedy="Set team.database. Without it, `batch-updater run` sends by itself.")
    require_sendable(config)
    if config.team.nightly is not None:
        from batch_updater.nightly.job import required_inbox

        required_inbox(config.nightly.inbox)
    fetch_credentials(config.api, endpoint_for(config.api, config.input.constants), options.environment)

    def say(text: str) -> None:
        print_line(text, sys.stderr)

    with contextlib.ExitStack() as stack:
        if address is not None:
            port = stack.enter_context(serve_metrics(team, address))
            say(f"Metrics for Prometheus: http://{address.host}:{port}/metrics")
        interrupts = stack.enter_context(Interrupts())
        night = [sys.executable, "-m", "batch_updater", "nightly"]
        night += ["--config", str(options.config)] if options.config else []
        TeamWorker(team, config, options.environment, options.concurrency, say, night=night).run(interrupts)
    if options.json:
        json_output.write_object({"schema": 1, "command": "worker", "exit_code": 0}, sys.stdout)
    return ExitCode.OK


def _migrate(options: argparse.Namespace) -> int:
    from batch_updater.config.loading import load_config
    from batch_updater.runs.team_database import team_database
    from batch_updater.team.migrate import migrate

    config = load_config(_config_path(options), os.environ)
    if config.team.database is None:
        raise UsageError(_NO_TEAM, remedy="Set team.database.")
    with contextlib.closing(team_database(config.team.database, options.environment)) as team:
        done = migrate(team)
    if options.json:
        json_output.write_object({"schema": 1, "command": "worker", "exit_code": 0}, sys.stdout)
    else:
        print_line(f"The tables of the team's database {done}.", sys.stdout)
    return ExitCode.OK


def _open_page(link: str, path: Path) -> None:
    """Open a link with a key in the browser, by way of a private file: all users can see the words of a command."""
    from batch_updater.cli import viewer
    from batch_updater.files.writing import write_whole

    page = f'<!DOCTYPE html><meta http-equiv="refresh" content="0;url={link}"><title>batch-updater</title>\n'
    try:
        write_whole(path, lambda draft: draft.write_text(page, encoding="ascii"))
        why_not = viewer.open_file(path)
    except OSError as error:
        why_not = f"The page could not be opened: {error.strerror or error}."
    if why_not:
        _say(f"Note: {why_not} Open the link yourself.", sys.stderr)


def _completion(options: argparse.Namespace) -> int:
    from batch_updater.cli.completion import shell_code

    code = shell_code(options.shell)
    if options.json:
        json_output.write_object({"schema": 1, "command": "completion", "code": code, "exit_code": 0}, sys.stdout)
    else:
        sys.stdout.write(code)
    return ExitCode.OK


@contextlib.contextmanager
def _progress(rows: int, known: Mapping[OutcomeKind, int] | None = None) -> Iterator[tuple[Progress, Interrupts]]:
    """Show how far the sending of so many rows is, and take signals, until the block ends.

    `known`: rows that have their outcome already.
    """
    from batch_updater.cli.progress import ProgressBar, ProgressLines
    from batch_updater.runs.run_log import spoken

    is_bar = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    with (
        Interrupts() as interrupts,
        interrupts.ending_at_once(),
        contextlib.closing(
            ProgressBar(rows, known) if is_bar else ProgressLines(rows, sys.stderr, known=known)
        ) as progress,
        spoken(progress.say),
    ):
        yield progress.settled, interrupts


def _logging(options: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    from batch_updater.runs.run_log import logged_to_terminal

    return logged_to_terminal() if options.verbose else contextlib.nullcontext()


def _config_path(options: argparse.Namespace) -> Path | None:
    if options.config is not None:
        return Path(options.config)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _config(options: argparse.Namespace) -> Config:
    """Load the configuration, with what the command line says on top, and join its team if it names one."""
    from batch_updater.config.loading import load_config
    from batch_updater.runs.team_folders import joined

    if hasattr(options, "loaded"):
        loaded: Config = options.loaded
        return loaded
    config = load_config(_config_path(options), os.environ)
    fields: dict[str, object] = {"constants": {**config.input.constants, **dict(getattr(options, "constants", ()))}}
    sections: dict[str, object] = {"input": config.input.model_copy(update=fields)}
    if getattr(options, "compare", False):
        sections["sending"] = config.sending.model_copy(update={"compare": True})
    if getattr(options, "annotate", False):
        sections["results"] = config.results.model_copy(update={"annotate": True})
    options.loaded = config.model_copy(update=sections)
    options.at_end.enter_context(joined(options.loaded, options.environment))
    return _config(options)


def _past_run(options: argparse.Namespace, what: str | None) -> PastRun:
    """Return the run that RUN names; without it the newest, named in a question where there is a terminal.

    `what` would be done with it; None: nothing that has to be asked. Raises UsageError if there is none or the answer
    is no, InputError if it is damaged.
    """
    from batch_updater.runs.history import find_run, newest_run

    folder = _config(options).results.folder
    if options.run:
        return find_run(folder, options.run)
    newest = newest_run(folder)
    if what and _on_terminal() and not options.json and not options.yes:
        if not preview.ask_about_newest(newest, what):
            raise UsageError("Cancelled. Nothing was written.", remedy=f"`{PROGRAM} runs` lists the runs: name one.")
    elif not options.json:
        _say(f"The newest run: {preview.run_in_words(newest)}", sys.stderr)
    return newest


def _source(file: str) -> Path | BinaryIO:
    return sys.stdin.buffer if file == STDIN else Path(file)


def _results(options: argparse.Namespace) -> Path | None:
    return options.results.resolve() if options.results else None


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _say(text: str, stream: TextIO) -> None:
    write_lines([text_output.Line(text, 0)], stream)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "check": _check,
    "columns": _columns,
    "template": _template,
    "endpoints": _endpoints,
    "demo": _demo,
    "sandbox": _sandbox,
    "runs": _runs,
    "report": _report_again,
    "doctor": _doctor,
    "init": _init,
    "nightly": _nightly,
    "serve": _serve,
    "worker": _worker,
    "undo": _undo,
    "team": _team,
    "completion": _completion,
}
