from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.team.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """Give one server for all tests of this process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def team(server: PostgresServer) -> Iterator[TeamDatabase]:
    """Give a database with the tables of this program."""
    with closing(TeamDatabase(Secret(address_of(server.new_database())))) as database:
        migrate(database)
        yield database
