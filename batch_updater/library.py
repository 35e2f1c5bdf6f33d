"""The program as a library: `run` and `check` on a file or a DataFrame of pandas.

from batch_updater import check, run

run = run("changes.xlsx", "config.yaml")
run.outcomes["updated"], run.frame()
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from batch_updater.config.environment import Environment
from batch_updater.config.loading import config_from, load_config
from batch_updater.config.schema import Config, require_sendable
from batch_updater.files.writing import temporary_folder
from batch_updater.messages import outcome_message
from batch_updater.questions import NO_ANSWERS, Answers
from batch_updater.records import Cause, Cell, CellError, ReportRow
from batch_updater.runs.check import check as check_plan
from batch_updater.runs.history import DamagedRun
from batch_updater.runs.open_run import open_run
from batch_updater.runs.plan import prepare
from batch_updater.runs.result import Options, RunResult
from batch_updater.runs.run import ActiveRun
from batch_updater.runs.store import DamagedStoreError

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = Union[str, "os.PathLike[str]", "pd.DataFrame"]
"""A spreadsheet's path, or a DataFrame whose columns are the headers."""
Configuration: TypeAlias = Union[Config, "Mapping[str, object]", str, "os.PathLike[str]", None]
"""A `Config`, the same as nested mappings, the path of a config.yaml, or None for the environment alone."""

_RESULT_COLUMNS = ("HTTP status", "Message", "Attempts", "Sent at", "Seconds")


class Run:
    """How a run or a check ended."""

    def __init__(self, finished: RunResult) -> None:
        self._finished = finished

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

        Cells stay what they are in the file (text, int, Decimal, date ...); blank is None. Holds all rows in memory.
        Raises InputError if the run's folder has gone, or is not as the run left it.
        """
        import pandas as pd  # noqa: PLC0415  (slow to import, and only needed here)

        columns = self._finished.columns
        records = [
            (
                row.row.number, row.outcome.kind.value, *map(_shown, row.row.cells), row.outcome.status,
                outcome_message(row.outcome, columns), row.outcome.attempts, row.outcome.sent_at, row.outcome.seconds,
            )
            for row in self._rows()
        ]  # fmt: skip
        headers = ("Row", "Outcome", *columns.headers, *_RESULT_COLUMNS)
        return pd.DataFrame(records, columns=headers, dtype=object)

    def _rows(self) -> Iterator[ReportRow]:
        try:
            yield from self._finished.rows()
        except (DamagedStoreError, sqlite3.Error, OSError) as error:
            raise DamagedRun(Path(self._finished.facts.run_folder or ""), str(error)).error from error


def run(
    source: Source,
    config: Configuration = None,
    *,
    results: str | os.PathLike[str] | None = None,
    restart: bool = False,
    resume_old: bool = False,
    visible_only: bool = False,
) -> Run:
    """Send every good row of a file or DataFrame that is not done yet; asks nothing.

    An unfinished run of the same rows is resumed, unless `restart`; one that began more than a day ago only with
    `resume_old`. `visible_only` leaves out rows that the sheet does not show. Raises BatchUpdaterError (ConfigError,
    EndpointError, InputError, ResultsError, LockedError, UsageError) if nothing was sent.
    """
    configuration = _config(config)
    require_sendable(configuration)
    options = Options(results=Path(results).resolve() if results else None)
    environment = Environment(os.environ)

    def execute() -> Run:
        with open_run(
            _source(source), configuration, environment, restart=restart, answers=_answers(visible_only=visible_only)
        ) as opened:
            if not resume_old:
                opened.require_recent()
            return Run(ActiveRun(opened, options, environment).execute())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return execute()
    with ThreadPoolExecutor(1) as pool:  # this thread has an event loop already, as a notebook's does
        return pool.submit(execute).result()


def check(
    source: Source,
    config: Configuration = None,
    *,
    results: str | os.PathLike[str] | None = None,
    visible_only: bool = False,
) -> Run:
    """Judge every row of a file or DataFrame and send nothing; a workbook is written only to `results`.

    `visible_only` leaves out rows that the sheet does not show. Raises BatchUpdaterError (ConfigError, EndpointError,
    InputError, ResultsError).
    """
    with temporary_folder() as folder:
        plan = prepare(_source(source), _config(config), folder, answers=_answers(visible_only=visible_only))
        made = Run(check_plan(plan, Path(results).resolve() if results else None))
    # `frame` reads the rows from the store, so that lives as long as what is returned.
    weakref.finalize(made, plan.store.close)
    return made


def _answers(*, visible_only: bool) -> Answers:
    return Answers(hidden_rows="leave out") if visible_only else NO_ANSWERS


def _source(source: Source) -> Path | pd.DataFrame:
    if isinstance(source, (str, os.PathLike)):
        return Path(source)
    if not hasattr(source, "to_csv"):
        raise TypeError(f"a path or a DataFrame is needed, not {type(source).__name__}")
    return source


def _config(config: Configuration) -> Config:
    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, (str, os.PathLike)):
        return load_config(Path(config) if config is not None else None, os.environ)
    return config_from(config, os.environ)


def _shown(cell: Cell) -> Cell:
    return cell.text if isinstance(cell, CellError) else cell
