"""The same tests on both stores: one process with SQLite, and a team's database with a worker.

Modules ask for that with `pytestmark = pytest.mark.usefixtures("store")`. Those do not whose promises end before a row
is stored (what a file, an option or a description says), or are about the files of one machine, or about what a process
does while it sends by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.end_to_end.program import DATABASE
from tests.team.conftest import server as server  # noqa: PLC0414  (the fixture)

if TYPE_CHECKING:
    from tests.team.postgres import PostgresServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses the fixture `store` on both, unless its mark `one_process` says why it cannot hold in a team."""
    if "store" in metafunc.fixturenames:
        team = [] if metafunc.definition.get_closest_marker("one_process") else [
            pytest.param("team", marks=pytest.mark.debian)
        ]  # fmt: skip
        metafunc.parametrize("store", ["one process", *team], indirect=True)


@pytest.fixture(scope="session")
def migrated(server: PostgresServer) -> str:
    """Return the name of a database with the tables of this program and no rows."""
    address = server.new_database()
    migrate(TeamDatabase(Secret(address_of(address))))
    return address.rpartition("/")[2]


@pytest.fixture
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every command of the test use one store: in a team, each that sends has a worker beside it."""
    if request.param == "team":
        if alone := request.node.get_closest_marker("one_process"):  # that of one of its parameters
            pytest.skip(alone.args[0])
        server: PostgresServer = request.getfixturevalue("server")
        monkeypatch.setenv("TEAM_DATABASE", server.new_database(request.getfixturevalue("migrated")))
        monkeypatch.setenv(DATABASE, "env:TEAM_DATABASE")
