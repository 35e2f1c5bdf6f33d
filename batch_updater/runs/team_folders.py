"""Registers which folders of results belong to a team: the rows are in its database, the folders hold only files.

Nearly everything about a run is found by its folder. Functions that read or write rows ask `team_of` whether these are
in a database, so that other code need not know. The same applies to the folder of layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.runs.store import opened_by_team

if TYPE_CHECKING:  # only where there is a team
    from batch_updater.runs.team_database import TeamDatabase

_joined: dict[Path, list[TeamDatabase]] = {}
"""As a table of mounts: folder of results, or of layouts -> the database that has what would be in it.

Several threads may have joined the same: each has its own connections.
"""


@contextmanager
def joined(config: Config, environment: Environment) -> Iterator[TeamDatabase | None]:
    """Register the folders of results and layouts as the team's while it is entered, if `team.database` is set.

    Raises ConfigError if the address of the database cannot be read, or its tables are of another version.
    """
    if config.team.database is None:
        yield None
        return
    from batch_updater.runs.team_database import team_database

    team, results = team_database(config.team.database, environment), config.results.folder
    team.require_schema()
    # Runs are also looked for where links lead to.
    folders = {one for folder in (results, config.layouts_folder) for one in (folder, folder.resolve())}
    for folder in folders:
        _joined.setdefault(folder, []).append(team)
    try:
        with opened_by_team(results, team.store_of), opened_by_team(results.resolve(), team.store_of):
            yield team
    finally:
        for folder in folders:
            _joined[folder].remove(team)
        team.close()


def team_of(folder: Path) -> TeamDatabase | None:
    """Return the database of the runs in a folder of results, or of the layouts; None where they are in that folder."""
    teams = _joined.get(folder)
    return teams[-1] if teams else None
