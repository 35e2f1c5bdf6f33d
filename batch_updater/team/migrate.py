"""The tables of a team's database, brought up to this program by Alembic: one revision after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batch_updater.runs.team_database import SCHEMA, TeamDatabase

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(database: TeamDatabase) -> None:
    """Bring the tables up to this program, in one transaction. Raises sqlalchemy.exc.SQLAlchemyError."""
    import psycopg
    from alembic import command
    from sqlalchemy import create_engine, text

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.address))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('batch_updater.migrate'))"))
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
    engine.dispose()


def _configuration() -> Config:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    return configuration
