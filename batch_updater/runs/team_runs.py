"""Facts and parts of many runs of a team, in three queries, since each query crosses the network."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from batch_updater.runs.folder import is_file_name

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase

_NAMES = "SELECT name FROM runs WHERE state <> 'staging'"
_STAMPS = """
    SELECT runs.name, runs.id, runs.state, runs.changed_at, count(parts.number), max(parts.ended_at)
    FROM runs LEFT JOIN parts ON parts.run = runs.id WHERE runs.state <> 'staging' GROUP BY runs.id"""
_RUNS = "SELECT id, name, state, submitted_at FROM runs WHERE state <> 'staging' AND name = ANY(%(names)s)"
_FACTS = "SELECT run, name, value FROM run WHERE run = ANY(%(runs)s) AND name NOT IN ('staged', 'report')"
_PARTS = """
    SELECT run, started_at, ended_at, requests, retries, elapsed_s, stopped, stop_message, stop_advice, results, counts
    FROM parts WHERE run = ANY(%(runs)s) ORDER BY run, number"""


class TeamRunState(StrEnum):
    """What a team's workers do with a run."""

    STAGING = "staging"
    """Its name is reserved while a host reads its rows: it is none yet."""
    QUEUED = "queued"
    SENDING = "sending"
    REPORTING = "reporting"
    """Every row of the part has had its turn, and the workbook is being written."""
    ENDED = "ended"


class TeamRun(NamedTuple):
    """A run as its records are in the database."""

    name: str
    state: TeamRunState
    submitted_at: datetime
    """When its last part was."""
    facts: list[tuple[Any, ...]]
    """Records as `statements.FACTS` gives them."""
    parts: list[tuple[Any, ...]]
    """Records as `statements.PARTS` gives them."""


def team_run_names(team: TeamDatabase) -> list[str]:
    """Return the names of all runs, the newest first. Raises ResultsError."""
    with team.session() as connection:
        return sorted((name for (name,) in connection.execute(_NAMES) if is_file_name(name)), reverse=True)


def team_run_stamps(team: TeamDatabase) -> dict[str, tuple[object, ...] | None]:
    """Return name -> a value that differs after each change of the run; None for a run that is being sent.

    Raises ResultsError.
    """
    with team.session() as connection:
        records = connection.execute(_STAMPS).fetchall()
    return {
        str(name): tuple(stamp) if stamp[1] == TeamRunState.ENDED else None
        for name, *stamp in records
        if is_file_name(name)
    }


def read_team_runs(team: TeamDatabase, names: Collection[str]) -> Iterator[TeamRun]:
    """Yield the runs of those names that there are, in this order. Raises ResultsError."""
    with team.session() as connection:
        runs: list[tuple[Any, ...]] = connection.execute(_RUNS, {"names": list(names)}).fetchall()
        facts: dict[int, list[tuple[Any, ...]]] = {run: [] for run, *_ in runs}
        parts: dict[int, list[tuple[Any, ...]]] = {run: [] for run, *_ in runs}
        for by_run, statement in ((facts, _FACTS), (parts, _PARTS)):
            run: Any
            for run, *record in connection.execute(statement, {"runs": list(by_run)}):
                by_run[run].append(tuple(record))
    by_name = {name: TeamRun(name, TeamRunState(state), at, facts[run], parts[run]) for run, name, state, at in runs}
    return (by_name[name] for name in names if name in by_name)
