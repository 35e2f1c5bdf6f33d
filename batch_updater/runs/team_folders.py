"""Which folders of results are a team's: the rows of their runs are in its database, and the folders hold files alone.

Nearly everything about a run is found by its folder. What reads or writes rows asks here whether they are elsewhere, so
that the rest need not know.
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

_joined: dict[Path, TeamDatabase] = {}
"""As a table of mounts: folder of results -> the database of its runs."""


@contextmanager
def joined(config: Config, environment: Environment) -> Iterator[TeamDatabase | None]:
    """Let the folder of results be the team's while it is entered; nothing changes without `team.database`.

    Raises ConfigError if the database's address cannot be had, or its tables are not those of this program.
    """
    if config.team.database is None:
        yield None
        return
    from batch_updater.runs.team_database import team_database

    team, folder = team_database(config.team, environment), config.results.folder.resolve()
    if team is None:
        raise RuntimeError("a team without a database")
    team.require_schema()
    before = _joined.get(folder)
    _joined[folder] = team
    try:
        with opened_by_team(folder, team.store_of):
            yield team
    finally:
        if before is None:
            del _joined[folder]
        else:
            _joined[folder] = before
        team.close()


def team_of(folder: Path) -> TeamDatabase | None:
    """Return the database of the runs in a folder of results; None where they are in that folder."""
    return (_joined.get(folder) or _joined.get(folder.resolve())) if _joined else None
