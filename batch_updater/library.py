"""The program as a library: `run`, `arun`, `check` and `undo`, for files and for DataFrames of pandas.

from batch_updater import check, run

result = run("changes.xlsx", "config.yaml")
result.outcomes["updated"], result.frame()
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import Config, require_sendable
from batch_updater.errors import UsageError
from batch_updater.files.writing import temporary_folder
from batch_updater.messages import outcome_message
from batch_updater.questions import Answers, AnswersError, OpenQuestionsError
from batch_updater.records import (
    Cause,
    Cell,
    CellError,
    FormattedNumber,
    Outcome,
    OutcomeKind,
    ReportRow,
    ShownAs,
)
from batch_updater.runs import check as checks
from batch_updater.runs.history import DamagedRun, find_run, newest_run
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.layouts import answers_of
from batch_updater.runs.names import names_for_undo
from batch_updater.runs.open_run import open_run
from batch_updater.runs.plan import prepare
from batch_updater.runs.result import Options, RunResult
from batch_updater.runs.store import DamagedStoreError
from batch_updater.runs.team_folders import joined
from batch_updater.runs.undo import Undo, write_undo
from batch_updater.team import submit

if TYPE_CHECKING:
    import pandas as pd

FilePath: TypeAlias = Union[str, "os.PathLike[str]"]
Source: TypeAlias = Union[FilePath, "pd.DataFrame"]
"""A spreadsheet's path, or a DataFrame whose columns, and whose index if it has a name, are the headers."""
Configuration: TypeAlias = Union[Config, "Mapping[str, object]", FilePath, None]
"""A `Config`, the same as nested mappings, the path of a config.yaml, or None for the environment alone."""
_INT64 = 2**63
_DTYPES: Mapping[type, str] = {
    int: "Int64", bool: "boolean", str: "str", date: "datetime64[us]", datetime: "datetime64[us]",
}  # fmt: skip


class Progress(msgspec.Struct, frozen=True):
    """How far a run is, with the row that has just got its outcome."""

    row: int
    """Its number, as in the column `Row` of `frame()`."""
    outcome: str
    done: int
    """How many rows have their outcome."""
    total: int
    """How many rows are sent, or of a comparison read, at most."""


OnProgress: TypeAlias = Callable[[Progress], object]


class Run:
    """How a run or a check ended."""

    def __init__(self, finished: RunResult, source: Path | pd.DataFrame) -> None:
        self._finished = finished
        self._source = None if isinstance(source, Path) else source

    def __repr__(self) -> str:
        facts = self._finished.facts
        where = f", folder={str(self.folder)!r}" if self.folder else ""
        return f"<{facts.command} of {facts.input_path}: {self.verdict!r}, exit_code={self.exit_code}{where}>"

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Every outcome -> how many rows have it, such as `outcomes["updated"]`."""
        return {kind.value: count for kind, count in self._finished.summary.counts.items()}

    @property
    def verdict(self) -> str:
        """One or two plain sentences: how many rows are done, how many need a person."""
        return self._finished.summary.verdict

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What was wrong, the most common first."""
        return self._finished.summary.causes

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the file was read."""
        return self._finished.facts.notes

    @property
    def exit_code(self) -> int:
        """What the command line would have ended with."""
        return int(self._finished.exit_code)

    @property
    def stopped(self) -> str | None:
        """Which stop rule ended the run; None if none did."""
        return self._finished.stop.reason.value if self._finished.stop else None

    @property
    def folder(self) -> Path | None:
        """The run's folder; None for a check."""
        return self._finished.folder

    @property
    def results(self) -> Path | None:
        """The results workbook; None if none was written."""
        return self._finished.results

    def frame(self) -> pd.DataFrame:
        """Return every row with its outcome, in the columns of the workbook's sheet `All rows`.

        Of a DataFrame the index and the columns are the caller's own. The columns of a file are whole numbers, truth
        values, dates or texts where all their cells are, else objects: money stays Decimal. Holds all rows in memory.
        Raises InputError if the run's folder has gone, or is not as the run left it.
        """
        import pandas as pd  # noqa: PLC0415  (slow to import, and only needed here)

        columns, rows = self._finished.columns, list(self._rows())
        outcomes = [row.outcome for row in rows]
        if self._source is not None:
            cells = self._source.iloc[[row.row.number - 2 for row in rows]]
            index, own = cells.index, [cells.iloc[:, at].reset_index(drop=True) for at in range(cells.shape[1])]
        else:
            index = pd.RangeIndex(len(rows))
            own = [
                _column([_shown(row.row.cells[at]) for row in rows], header)
                for at, header in enumerate(columns.headers)
            ]
        kinds = pd.CategoricalDtype([kind.value for kind in OutcomeKind])
        data: list[pd.Series[Any]] = [
            pd.Series([row.row.number for row in rows], name="Row", dtype="int64"),
            pd.Series([outcome.kind.value for outcome in outcomes], name="Outcome", dtype=kinds),
            *own,
            pd.Series([outcome.status for outcome in outcomes], name="HTTP status", dtype="Int64"),
            pd.Series([outcome_message(outcome, columns) for outcome in outcomes], name="Message", dtype="str"),
            pd.Series([outcome.attempts for outcome in outcomes], name="Attempts", dtype="int64"),
            pd.Series([outcome.sent_at for outcome in outcomes], name="Sent at", dtype="datetime64[us, UTC]"),
            pd.Series([outcome.seconds for outcome in outcomes], name="Seconds", dtype="Float64"),
        ]
        return pd.concat(data, axis="columns").set_axis(index, axis="index")

    def _rows(self) -> Iterator[ReportRow]:
        try:
            yield from self._finished.rows()
        except (DamagedStoreError, sqlite3.Error, OSError) as error:
            raise DamagedRun(self._finished.folder or Path(), str(error)).error from error


def run(  # noqa: PLR0913  (keywords)
    source: Source,
    config: Configuration = None,
    *,
    sheet: str | None = None,
    header_row: int | None = None,
    constants: Mapping[str, str] | None = None,
    limit: int | None = None,
    compare: bool = False,
    results: FilePath | None = None,
    visible_only: bool = False,
    layout: str | None = None,
    answers: Mapping[str, object] | None = None,
    restart: bool = False,
    resume_old: bool = False,
    keep_going: bool = False,
    override_guards: bool = False,
    progress: OnProgress | None = None,
) -> Run:
    """Send every good row of a file or DataFrame that is not done yet; asks nothing.

    The keywords are the options of the command `run`; `answers` are those to questions about the file, with the keys
    of a layout: `{"date_order": {"Close date": "DMY"}, "hidden_rows": "send"}`. An unfinished run of the same rows is
    resumed, unless `restart`; one that began more than a day ago only with `resume_old`. `progress` is called for each
    row that gets its outcome, in the thread that sends. An exception that it raises stops the run as Ctrl-C does; it is
    raised once the results are written. Raises BatchUpdaterError (ConfigError, EndpointError, InputError, GuardError,
    ResultsError, LockedError, UsageError) if nothing was sent; where questions are open it is an OpenQuestionsError,
    which is an InputError, and its remedy names the keywords that answer them.
    """
    work = _Work(
        _source(source), config, sheet, header_row, constants, limit, compare, results, visible_only, layout, answers,
        restart=restart, resume_old=resume_old, keep_going=keep_going, override_guards=override_guards,
        progress=progress,
    )  # fmt: skip
    return work.ended(_outside_of_loops(work.run))


async def arun(  # noqa: PLR0913  (keywords)
    source: Source,
    config: Configuration = None,
    *,
    sheet: str | None = None,
    header_row: int | None = None,
    constants: Mapping[str, str] | None = None,
    limit: int | None = None,
    compare: bool = False,
    results: FilePath | None = None,
    visible_only: bool = False,
    layout: str | None = None,
    answers: Mapping[str, object] | None = None,
    restart: bool = False,
    resume_old: bool = False,
    keep_going: bool = False,
    override_guards: bool = False,
    progress: OnProgress | None = None,
) -> Run:
    """Do what `run` does, in a thread of its own: the caller's event loop goes on meanwhile.

    `progress` is called in the caller's loop. Cancelling stops the run as the first Ctrl-C does: nothing new starts,
    what is in flight is awaited and the results are written before CancelledError is raised. Cancelling again ends the
    run at once. Running the same again resumes it.
    """
    work = _Work(
        _source(source), config, sheet, header_row, constants, limit, compare, results, visible_only, layout, answers,
        restart=restart, resume_old=resume_old, keep_going=keep_going, override_guards=override_guards,
        progress=progress,
    )  # fmt: skip
    work.call = asyncio.get_running_loop().call_soon_threadsafe
    ending = asyncio.ensure_future(asyncio.to_thread(work.run))
    try:
        return work.ended(await asyncio.shield(ending))
    except asyncio.CancelledError:
        work.stop()
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError:
                work.stop_requests.request()
        if not isinstance(ending.exception(), _NotBegunError):
            work.ended(ending.result())
        raise


def check(  # noqa: PLR0913  (keywords)
    source: Source,
    config: Configuration = None,
    *,
    sheet: str | None = None,
    header_row: int | None = None,
    constants: Mapping[str, str] | None = None,
    limit: int | None = None,
    compare: bool = False,
    results: FilePath | None = None,
    visible_only: bool = False,
    layout: str | None = None,
    answers: Mapping[str, object] | None = None,
    progress: OnProgress | None = None,
) -> Run:
    """Judge every row of a file or DataFrame and send nothing; a workbook is written only to `results`.

    The keywords are the options of the command `check`. Records are read only with `compare`: those of the first
    `limit` good rows, and `progress` is called for each. Raises BatchUpdaterError (ConfigError, EndpointError,
    InputError, ResultsError, UsageError).
    """
    work = _Work(
        _source(source),
        config,
        sheet,
        header_row,
        constants,
        limit,
        compare,
        results,
        visible_only,
        layout,
        answers,
        progress=progress,
    )
    return work.ended(_outside_of_loops(work.check))


def undo(run: Run | FilePath | None = None, config: Configuration = None, *, results: FilePath | None = None) -> Undo:
    """Write a workbook that undoes a past run, and send nothing: `run` of its path undoes the run.

    `run` is what `run` has returned, a run's folder or the folder's name; None: the newest run. `results`: where the
    workbook goes, else into the run's folder. Raises BatchUpdaterError (ConfigError, InputError, LockedError,
    ResultsError, UsageError).
    """
    named = run.folder if isinstance(run, Run) else run
    if named is None and run is not None:
        raise UsageError("A check cannot be undone: it has changed nothing.", remedy="Name a run.")
    configuration = _config(config)
    folder, environment = configuration.results.folder, Environment(os.environ)
    with joined(configuration, environment):
        past = newest_run(folder) if named is None else find_run(folder, os.fspath(named))
        return write_undo(past, _path(results), names_for_undo(past, configuration.api, environment))


def _rows_of_team(
    config: Config, environment: Environment, rows: Callable[..., Iterator[ReportRow]], **which: str
) -> Iterator[ReportRow]:
    """Go over the rows of a run, for which the team is joined once more."""
    with joined(config, environment):
        yield from rows(**which)


class _NotBegunError(Exception):
    """The run was cancelled before anything was sent."""


class _Work(msgspec.Struct):
    """What a caller asks for, with the keywords of `run`; done in any thread."""

    source: Path | pd.DataFrame
    config: Configuration
    sheet: str | None
    header_row: int | None
    constants: Mapping[str, str] | None
    limit: int | None
    compare: bool
    results: FilePath | None
    visible_only: bool
    layout: str | None
    answers: Mapping[str, object] | None
    restart: bool = False
    resume_old: bool = False
    keep_going: bool = False
    override_guards: bool = False
    progress: OnProgress | None = None
    call: Callable[..., object] | None = None
    """Calls a function in the thread of the caller; None: that is this one."""
    stop_requests: StopRequests = msgspec.field(default_factory=StopRequests)
    done: int = 0
    error: Exception | None = None
    """What the caller's function raised."""

    def __post_init__(self) -> None:
        """Raise UsageError for a number that the command line does not take either."""
        for name, number in (("limit", self.limit), ("header_row", self.header_row)):
            if number is not None and (type(number) is not int or number < 1):
                raise UsageError(
                    f"Argument {name}: {number!r} is not a whole number above 0.", remedy="Correct it, or leave it out."
                )

    def run(self) -> Run:
        config, environment = self._settings(), Environment(os.environ)
        require_sendable(config)
        with joined(config, environment), _asking_for_keywords(), open_run(
            self.source, config, environment,
            restart=self.restart, override_guards=self.override_guards,
            answers=self._answers(), layout=self.layout,
        ) as opened:  # fmt: skip
            if not self.resume_old:
                opened.require_recent()
            if self.stop_requests.count:
                raise _NotBegunError
            options, told = self._options(), self._told(opened.sends(self.limit))
            result = submit.execute(opened, options, environment, told, self.stop_requests)
            if config.team.database:
                result = replace(result, rows=partial(_rows_of_team, config, environment, result.rows))
            return Run(result, self.source)

    def check(self) -> Run:
        config = self._settings()
        compares = config.sending.compare
        if compares:
            require_sendable(config)
        elif self.limit is not None or self.progress is not None:
            given = "limit" if self.progress is None else "progress" if self.limit is None else "limit and progress"
            are = "are" if given == "limit and progress" else "is"
            raise UsageError(f"{given} {are} about records that are read.", remedy="Add compare=True.")
        with _asking_for_keywords(), ExitStack() as stack:
            folder = stack.enter_context(temporary_folder())
            answers = self._answers()
            plan = prepare(self.source, config, folder, answers=answers, layout=self.layout, compares=compares)
            stack.callback(plan.store.close)
            if compares:
                told = self._told(plan.staged.good if self.limit is None else min(plan.staged.good, self.limit))
                environment = Environment(os.environ)
                result = checks.compare(plan, self._options(), folder, environment, told, self.stop_requests)
            else:
                result = checks.check(plan, _path(self.results))
            made = Run(result, self.source)
            # `frame` reads the rows from the store, so that lives as long as what is returned.
            weakref.finalize(made, stack.pop_all().close)
            return made

    def ended(self, run: Run) -> Run:
        """Return how it ended. Raises what the caller's function raised."""
        if self.error:
            self.error.add_note(f"It was raised by progress, and stopped the {run!r}.")
            raise self.error
        return run

    def _settings(self) -> Config:
        config = _config(self.config)
        changes = {"constants": {**config.input.constants, **(self.constants or {})}}
        sending = config.sending.model_copy(update={"compare": config.sending.compare or self.compare})
        return config.model_copy(update={"input": config.input.model_copy(update=changes), "sending": sending})

    def _answers(self) -> Answers:
        try:
            answers = answers_of(self.answers or {})
        except ValueError as error:
            raise UsageError(f"answers cannot be used: {error}.", remedy="Give what a layout's file holds.") from error
        place = Answers(self.sheet, self.header_row, hidden_rows="leave out" if self.visible_only else None)
        return answers.with_more(place)

    def _options(self) -> Options:
        return Options(_path(self.results), self.limit, self.keep_going)

    def _told(self, total: int) -> Callable[[Outcome], None] | None:
        """Return what tells the caller of an outcome."""
        if self.progress is None:
            return None

        def told(outcome: Outcome) -> None:
            self.done += 1
            progress = Progress(outcome.row, outcome.kind.value, self.done, total)
            if self.call:
                self.call(self._tell, progress)
            else:
                self._tell(progress)

        return told

    def _tell(self, progress: Progress) -> None:
        if self.progress and self.error is None:
            with self:
                self.progress(progress)

    def __enter__(self) -> None:
        """Keep an exception of the caller's function: in the middle of the sending it would cost outcomes."""

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        self.stop()
        return True

    def stop(self) -> None:
        """End the run cleanly, unless it ends already: only what a caller asks for twice ends it at once."""
        if not self.stop_requests.count:
            self.stop_requests.request()


@contextmanager
def _asking_for_keywords() -> Iterator[None]:
    try:
        yield
    except AnswersError as error:
        raise error.by_keyword() from None
    except OpenQuestionsError as error:
        by_keyword = error.by_keyword()
        by_keyword.add_note(by_keyword.remedy)  # which a traceback shows, as in a notebook
        raise by_keyword from None


def _outside_of_loops(work: Callable[[], Run]) -> Run:
    """Do the work in this thread, or in another one if this has an event loop already, as a notebook's does."""
    try:
        has_loop = asyncio.get_running_loop() is not None
    except RuntimeError:
        has_loop = False
    if not has_loop:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _source(source: Source) -> Path | pd.DataFrame:
    if isinstance(source, (str, os.PathLike)):
        return Path(source)
    if not hasattr(source, "to_csv"):
        raise TypeError(f"a path or a DataFrame is needed, not {type(source).__name__}")
    return source.copy(deep=False)  # changes that the caller makes from now on do not reach it: pandas copies on write


def _config(config: Configuration) -> Config:
    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, (str, os.PathLike)):
        return load_config(Path(config) if config is not None else None, os.environ)
    return config_from(config, os.environ)


def _path(path: FilePath | None) -> Path | None:
    return Path(path).resolve() if path is not None else None


def _shown(cell: Cell) -> Cell:
    """Return a cell as people see it: a number that is shown in a currency is that number."""
    if isinstance(cell, FormattedNumber):
        return cell.number if cell.effect is ShownAs.IN_CURRENCY else cell.text
    return cell.text if isinstance(cell, CellError) else cell


def _column(cells: Sequence[Cell], header: str) -> pd.Series[Any]:
    """Return a column of a file, in the type that all its cells have."""
    import pandas as pd  # noqa: PLC0415

    types = {type(cell) for cell in cells if cell is not None}
    dtype = _DTYPES.get(types.pop(), "object") if len(types) == 1 else "object"
    if dtype == "Int64" and any(cell is not None and not -_INT64 <= int(str(cell)) < _INT64 for cell in cells):
        dtype = "object"
    return pd.Series(list(cells), name=header, dtype=dtype)
