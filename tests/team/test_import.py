"""What a machine has sent before it joins a team is copied into the team's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import sandbox
from tests.team.machines import Host, machine_with_runs, new_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Host]:
    """Give a machine with five runs that has joined a team, and has not copied them yet."""
    with sandbox() as api:
        yield machine_with_runs(tmp_path_factory.mktemp("hosts") / "old", api.url, new_database(server))


@pytest.fixture
def fresh(machine: Host, server: PostgresServer) -> Host:
    """Give the same machine with a team that has nothing yet."""
    return Host(machine.folder, new_database(server))


def test_runs_are_copied_once(fresh: Host) -> None:
    """All of them are there afterwards as they were; the same command says so when it is given again."""
    done = fresh("team", "import")
    assert done.code == 0, done.err
