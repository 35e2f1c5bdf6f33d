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
from batch_updater.team.migrate import Migration, migrate
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
        assert raised.value.remedy == "Run `batch-updater worker --migrate` once, as the owner of the database."
        assert migrate(database) is Migration.CREATED
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
    assert raised.value.remedy == "Run `batch-updater worker --migrate` once, as the owner of the database."


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


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        (("secret-of-the-database", "another-secret"), "password authentication failed", "Correct user and password"),
        (("127.0.0.1", "nowhere.invalid"), "resolve", "%40"),
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist', "Correct the name of the database"),
        (("?sslmode=disable", "?sslmode=require"), "does not support SSL", "Have TLS turned on"),
    ],
)
def test_why_a_database_cannot_be_used_is_told_with_its_place_and_a_remedy(
    server: PostgresServer, change: tuple[str, str], said: str, remedy: str
) -> None:
    """Host, port, database and user are no secrets; the password is never shown."""
    address = f"{server.address()}?sslmode=disable".replace(*change)
    with closing(TeamDatabase(Secret(address_of(address)))) as database:
        for refused in (database.require_schema, lambda: migrate(database)):
            with pytest.raises(ConfigError, match=r"^team.database: the ") as raised:
                refused()
            whole = str(raised.value)
            assert said in whole
            assert f", port {server.port}, as user postgres: " in whole
            assert remedy in raised.value.remedy
            assert "secret" not in whole


def test_a_role_that_may_change_no_tables_is_told_that_nothing_is_to_be_done(
    team: TeamDatabase, server: PostgresServer
) -> None:
    """A worker's role can be that of what starts a host, with the migration before."""
    name = team.address.partition("dbname=")[2].split()[0]
    with team.connected() as connection:
        connection.execute("CREATE ROLE looker LOGIN PASSWORD 'secret-of-the-database'")
    address = server.address(name).replace("postgres:secret", "looker:secret")
    with closing(TeamDatabase(Secret(address_of(address)))) as database:
        for refused in (database.require_schema, lambda: migrate(database)):
            with pytest.raises(ConfigError, match="permission denied for schema"):
                refused()
        with team.connected() as connection:
            connection.execute("GRANT USAGE ON SCHEMA batch_updater TO looker")
            connection.execute("GRANT SELECT ON schema_version TO looker")
        assert migrate(database) is Migration.UNNEEDED


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
    refused = pytest.raises(ConfigError, match=r"cannot be created or updated: .*: permission denied")
    with closing(TeamDatabase(Secret(address_of(address)))) as database, refused as raised:
        migrate(database)
    assert raised.value.remedy.startswith("Run it as the owner of the database")
