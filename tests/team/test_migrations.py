"""The tables of a team: made once, brought up to this program, and refused where they are another one's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from batch_updater.config.secrets import Secret
from batch_updater.errors import ConfigError
from batch_updater.runs.team_database import SCHEMA, SCHEMA_VERSION, TeamDatabase, address_of
from batch_updater.team import migrate as module
from batch_updater.team.migrate import migrate
from tests.team.postgres import PostgresServer

pytestmark = pytest.mark.debian


def test_the_version_of_this_program_is_the_last_revision() -> None:
    """Programs compare it without Alembic, which takes long to import."""
    configuration = Config()
    configuration.set_main_option("script_location", str(module.MIGRATIONS))
    assert ScriptDirectory.from_config(configuration).get_current_head() == SCHEMA_VERSION


def test_a_database_without_tables_is_told_how_to_get_them(server: PostgresServer) -> None:
    """With the command that makes them, after which it is the team's."""
    with closing(TeamDatabase(Secret(address_of(server.new_database())))) as database:
        with pytest.raises(ConfigError, match="has no tables of this program yet") as raised:
            database.require_schema()
        assert raised.value.remedy == "Run `batch-updater worker --migrate`."
        migrate(database)
        database.require_schema()


def test_tables_of_a_newer_program_are_refused(team: TeamDatabase) -> None:
    """By what reads and writes them, and by what would bring them up to this program."""
    _set_version(team, "9999")
    for refused in (team.require_schema, lambda: migrate(team)):
        with pytest.raises(ConfigError, match="are those of a newer program \\(9999; this one has") as raised:
            refused()
        assert raised.value.remedy == "Update batch-updater on this host."


def test_tables_of_an_older_program_are_told_how_to_be_brought_up(team: TeamDatabase) -> None:
    """Any host may do it."""
    _set_version(team, "0000")
    with pytest.raises(ConfigError, match="are those of an older program") as raised:
        team.require_schema()
    assert raised.value.remedy == "Run `batch-updater worker --migrate`."


def _set_version(team: TeamDatabase, version: str) -> None:
    with team.connected() as connection:
        connection.execute("UPDATE schema_version SET version_num = %s", (version,))


def test_migrations_that_begin_at_once_make_the_tables_once(server: PostgresServer) -> None:
    """Each host may have it in what starts its worker."""
    address = Secret(address_of(server.new_database()))
    with ThreadPoolExecutor(4) as hosts:
        list(hosts.map(lambda _: migrate(TeamDatabase(address)), range(4)))
    with closing(TeamDatabase(address)) as database, database.connected() as connection:
        database.require_schema()
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename IN ('runs', 'procrastinate_jobs')"
        assert connection.execute(query, (SCHEMA,)).fetchone() == (2,)


@pytest.mark.parametrize("change", [("secret-of-the-database", "another-secret"), ("127.0.0.1", "nowhere.invalid")])
def test_a_database_that_cannot_be_reached_is_told_without_its_address(
    server: PostgresServer, change: tuple[str, str]
) -> None:
    """Why, but neither password nor host nor user."""
    address = server.address().replace(*change) + "?sslmode=disable"
    with closing(TeamDatabase(Secret(address_of(address)))) as database:
        for refused in (database.require_schema, lambda: migrate(database)):
            with pytest.raises(ConfigError, match=r"^team.database: the ") as raised:
                refused()
            said = str(raised.value)
            assert "password authentication failed" in said or "resolve" in said or "translate" in said
            assert not [secret for secret in (*change, '"postgres"', str(server.port)) if secret in said]


def test_a_role_that_may_not_create_tables_is_told_so(team: TeamDatabase, server: PostgresServer) -> None:
    """In a sentence, whichever revision is the one that it may not make."""
    name = team.address.partition("dbname=")[2].split()[0]
    with team.connected() as connection:
        connection.execute("DROP TABLE nights")
        connection.execute(
            "DROP TABLE servers, uploads, tasks, events, approvals, sessions, drafts, draft_files CASCADE"
        )
        connection.execute("UPDATE schema_version SET version_num = '0001'")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'secret-of-the-database'")
        connection.execute("GRANT USAGE ON SCHEMA batch_updater TO reader")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO reader")
        connection.execute("GRANT SELECT, UPDATE ON schema_version TO reader")
    address = server.address(name).replace("postgres:secret", "reader:secret")
    refused = pytest.raises(ConfigError, match="cannot be created or updated: permission denied")
    with closing(TeamDatabase(Secret(address_of(address)))) as database, refused:
        migrate(database)
