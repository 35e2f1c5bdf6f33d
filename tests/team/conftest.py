from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.team.hosts import migrated
from tests.team.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """Give one server for all tests of this process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def address(request: pytest.FixtureRequest, server: PostgresServer) -> str:
    """Give the address of a database, as a configuration refers to it: that of `team`, or an empty one without it."""
    return migrated(server) if "team" in request.fixturenames else server.new_database()


@pytest.fixture
def team(address: str) -> Iterator[TeamDatabase]:
    """Give a database with the tables of this program."""
    with closing(TeamDatabase(Secret(address_of(address)))) as database:
        migrate(database)  # nothing to do, unless a test asks for it once it runs
        yield database
