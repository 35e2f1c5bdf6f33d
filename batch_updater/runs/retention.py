"""Old runs are removed, `results.keep_days` after their end: only those that are certainly ours, and finished.

So is what a process has left that was killed while it staged the rows: nothing of it was sent.
"""

from __future__ import annotations

import logging
import math
import re
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.config.schema import ResultsSettings
from batch_updater.errors import ResultsError
from batch_updater.files.writing import is_untouched_of_ours
from batch_updater.runs.history import DATABASE, PastRun, read_run, runs_in
from batch_updater.runs.lock import is_held_since
from batch_updater.runs.store import companions, counter_of, draft_of
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_runs import team_run_names

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"(\d{8}-\d{6})-[A-Za-z0-9._-]+", re.ASCII)
_BEGAN = "%Y%m%d-%H%M%S"
_REMOVE = "DELETE FROM runs WHERE name = %s AND state = 'ended'"
_INPUT = re.compile(r"input(\.[^/]*)?")
OURS = re.compile(
    rf"{_INPUT.pattern}|run\.log|report\.html|undo\.xlsx|.+-(results-\d{{8}}-\d{{6}}|annotated)( \(\d+\))?\.xls[xm]"
)
"""Names of files in the folder of a run that are ours, besides its database."""


def remove_old_runs(
    results: ResultsSettings, now: datetime, *, in_use: Path, within_s: float = math.inf
) -> tuple[str, ...]:
    """Remove the folders of finished runs that ended more than `keep_days` before `now` (UTC), but never `in_use`.

    Returns the names of those that were removed. After `within_s` seconds, but not before one was removed, the rest
    of a team's runs is left for the next time.

    Folders of runs that were never begun go by the time in their name, unless a process may still be staging. A folder
    that cannot be removed is a warning in the log: the rows are done all the same.
    """
    latest = now - timedelta(days=results.keep_days)
    if team := team_of(results.folder):
        try:
            of_team = _remove_of_team(team, results.folder, latest, in_use, time.monotonic() + within_s)
        except (ResultsError, OSError) as error:
            _log(results.folder, str(error))
            return ()
        remove_orphaned_files(results, now, in_use=in_use)
        return of_team
    try:
        folders = sorted(results.folder.iterdir())
    except OSError as error:
        _log(results.folder, error.strerror or str(error))
        return ()
    removed = []
    for folder in folders:
        try:
            # The name comes first: opening the databases of all runs, each time, would cost too much.
            match = _NAME.fullmatch(folder.name)
            if folder == in_use or match is None or not _is(stat.S_ISDIR, folder):
                continue
            try:
                began = datetime.strptime(match[1], _BEGAN).replace(tzinfo=UTC)
            except ValueError:
                continue  # digits that are no date: not a name of ours
            if began < latest and _remove_if_over(folder, began, latest):
                removed.append(folder.name)
        except OSError as error:
            _log(folder, error.strerror or str(error))
    return tuple(removed)


def _remove_of_team(
    team: TeamDatabase, parent: Path, latest: datetime, in_use: Path, until_s: float
) -> tuple[str, ...]:
    """Remove old runs from a team's database; returns their names. Raises ResultsError, OSError."""
    removed, names = [], team_run_names(team)
    old = [parent / name for name in names if _is_before(name, latest) and name != in_use.name]
    for past in runs_in(old):
        if isinstance(past, PastRun) and not past.is_going_on and _is_over(past, latest):
            with team.session() as connection:
                is_gone = connection.execute(_REMOVE, (past.folder.name,)).rowcount
            if is_gone:
                removed.append(past.folder.name)
                _LOG.info("old run removed", extra={"event": "old run removed", "why": past.folder.name})
        if removed and time.monotonic() >= until_s:  # one at least: otherwise none would ever go where all is slow
            break
    return tuple(removed)


def remove_orphaned_files(results: ResultsSettings, now: datetime, *, in_use: Path) -> None:
    """Remove from this host the files of a team's runs that some host has removed, as `remove_old_runs` does as well.

    Only of runs that began more than `keep_days` before `now` (UTC): of a newer one the rows may still be read. A
    folder with a database is one from before this host has joined: it stays. What cannot be removed is a warning in
    the log.
    """
    latest, parent = now - timedelta(days=results.keep_days), results.folder
    team = team_of(parent)
    try:
        if team is None or not parent.is_dir():
            return
        names = {in_use.name, *team_run_names(team)}
        for folder in parent.iterdir():
            if folder.name not in names and _is_before(folder.name, latest) and _is(stat.S_ISDIR, folder):
                files = list(folder.iterdir())
                if all(map(_is_ours, files)):
                    for path in files:
                        path.unlink(missing_ok=True)
                    folder.rmdir()
    except (ResultsError, OSError) as error:
        _log(parent, str(error))


def _is_before(name: str, latest: datetime) -> bool:
    """Whether a run began before then, by the name of its folder."""
    match = _NAME.fullmatch(name)
    try:
        return match is not None and datetime.strptime(match[1], _BEGAN).replace(tzinfo=UTC) < latest
    except ValueError:
        return False  # digits that are no date: not a name of ours


def _is_over(past: PastRun, latest: datetime) -> bool:
    return not past.is_unfinished and past.ended_at is not None and past.ended_at < latest


def _remove_if_over(folder: Path, began: datetime, latest: datetime) -> bool:
    """Remove a run's files and its folder; a folder that holds anything else stays as it is. Raises OSError.

    Returns whether it was removed.
    """
    past, database = read_run(folder), folder / DATABASE
    if past is None:
        draft = draft_of(database)
        last: tuple[Path, ...] = (draft, *companions(draft), counter_of(database))
        is_staged = all(
            _is(stat.S_ISREG, path) and (path in last or _INPUT.fullmatch(path.name)) for path in folder.iterdir()
        )
        if not is_staged or is_held_since(folder.parent, began + timedelta(seconds=1)):
            return False
    elif isinstance(past, PastRun) and _is_over(past, latest):
        # At last, because it alone proves that the folder is ours; its companions after it: without them it would be
        # a database that has forgotten its end.
        last = (database, *companions(database))
        if foreign := [path for path in folder.iterdir() if path not in last and not _is_ours(path)]:
            _log(folder, f"it holds something else: {foreign[0].name}")
            return False
    else:
        return False
    for path in (*(path for path in list(folder.iterdir()) if path not in last), *last):
        path.unlink(missing_ok=True)
    folder.rmdir()
    _LOG.info("old run removed", extra={"event": "old run removed", "why": folder.name})
    return True


def _is_ours(path: Path) -> bool:
    """Whether a file is certainly ours: a workbook that a person has saved since holds their work."""
    if not OURS.fullmatch(path.name) or not _is(stat.S_ISREG, path):
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
