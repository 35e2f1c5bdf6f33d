"""Old runs are removed, `results.keep_days` after their end: only those that are certainly ours, and finished."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batch_updater.config.schema import ResultsSettings
from batch_updater.files.writing import is_untouched_of_ours
from batch_updater.runs.history import DATABASE, PastRun, read_run
from batch_updater.runs.store import companions

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"(\d{8}-\d{6})-[A-Za-z0-9._-]+", re.ASCII)
_BEGAN = "%Y%m%d-%H%M%S"
_OURS = re.compile(
    r"input(\.[^/]*)?|run\.log|report\.html|undo\.xlsx|.+-(results-\d{8}-\d{6}|annotated)( \(\d+\))?\.xls[xm]"
)


def remove_old_runs(results: ResultsSettings, now: datetime, *, in_use: Path) -> None:
    """Remove the folders of finished runs that ended more than `keep_days` before `now` (UTC), but never `in_use`.

    A folder that cannot be removed is a warning in the log: the rows are done all the same.
    """
    latest = now - timedelta(days=results.keep_days)
    try:
        folders = list(_begun_before(results.folder, latest))
    except OSError as error:
        _log(results.folder, error.strerror or str(error))
        return
    for folder in folders:
        try:
            if folder != in_use and _is_old(folder, latest):
                _remove(folder)
        except OSError as error:
            _log(folder, error.strerror or str(error))


def _begun_before(parent: Path, latest: datetime) -> Iterator[Path]:
    """Yield folders whose name says so: opening the databases of all runs, each time, would cost too much."""
    for folder in sorted(parent.iterdir()):
        if (match := _NAME.fullmatch(folder.name)) and _is(stat.S_ISDIR, folder):
            try:
                began = datetime.strptime(match[1], _BEGAN).replace(tzinfo=UTC)
            except ValueError:
                continue  # digits that are no date: not a name of ours
            if began < latest:
                yield folder


def _is_old(folder: Path, latest: datetime) -> bool:
    """Whether its database says that the run is finished, and ended before that."""
    if not _is(stat.S_ISREG, folder / DATABASE):
        return False
    past = read_run(folder)
    if not isinstance(past, PastRun) or past.is_unfinished:
        return False
    return past.ended_at is not None and past.ended_at < latest


def _remove(folder: Path) -> None:
    """Remove a run's files and its folder; a folder that holds anything else stays as it is. Raises OSError."""
    # At last, because it alone proves that the folder is ours; its companions after it: without them it would be a
    # database that has forgotten its end.
    database = (folder / DATABASE, *companions(folder / DATABASE))
    files = [path for path in folder.iterdir() if path not in database]
    if foreign := [path for path in files if not _is_ours(path)]:
        _log(folder, f"it holds something else: {foreign[0].name}")
        return
    for path in (*files, *database):
        path.unlink(missing_ok=True)
    folder.rmdir()
    _LOG.info("old run removed", extra={"event": "old run removed", "why": folder.name})


def _is_ours(path: Path) -> bool:
    """Whether a file is certainly ours: a workbook that a person has saved since holds their work."""
    if not _OURS.fullmatch(path.name) or not _is(stat.S_ISREG, path):
        return False
    return path.suffix not in {".xlsx", ".xlsm"} or path.stem == "input" or is_untouched_of_ours(path)


def _is(kind: Callable[[int], bool], path: Path) -> bool:
    """Whether the path itself, and not what a link leads to, is of that kind."""
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _log(folder: Path, why: str) -> None:
    _LOG.warning("old run not removed", extra={"event": "old run not removed", "why": f"{folder.name}: {why}"})
