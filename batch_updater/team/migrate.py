"""The tables of a team's database, brought up to this program by Alembic: one revision after the other."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from batch_updater.errors import ConfigError
from batch_updater.runs.team_database import KEY, SCHEMA, SCHEMA_VERSION, TeamDatabase, require_not_newer, version_of

if TYPE_CHECKING:
    import psycopg
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")


class Migration(StrEnum):
    """What became of the tables, in words."""

    CREATED = "were created"
    UPDATED = "are up to date"
    UNNEEDED = "are up to date already: there was nothing to do"


def migrate(database: TeamDatabase) -> Migration:
    """Bring the tables up to this program, in one transaction, one host after the other. Raises ConfigError.

    Where there is nothing to do, a role that may change no tables can tell.
    """
    import psycopg
    from alembic import command
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    connect = partial(psycopg.connect, database.address)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with database.connected() as before:
            version = version_of(before)
            if version == SCHEMA_VERSION:
                return Migration.UNNEEDED
            require_not_newer(version)
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('batch_updater.migrate'))"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            version_table = connection.execute(text("SELECT to_regclass('schema_version')")).scalar()
            if version_table:  # another host may have been faster
                require_not_newer(str(connection.execute(text("SELECT version_num FROM schema_version")).scalar()))
            configuration = _configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
    except (DBAPIError, psycopg.Error) as error:  # of a statement of SQLAlchemy, or of a file of SQL
        cause = cast("psycopg.Error", error.orig) if isinstance(error, DBAPIError) else error
        message, remedy = database.fault_of(cause)
        if isinstance(cause, psycopg.errors.InsufficientPrivilege):
            remedy = "Run it as the owner of the database: with the address that has the owner as its user."
        raise ConfigError(
            f"{KEY}: the tables of the team's database cannot be created or updated: {message}.", remedy=remedy
        ) from error
    return Migration.UPDATED if version else Migration.CREATED


def _configuration() -> Config:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    return configuration
