"""The tables of the first version, those of Procrastinate 3.10 included."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    connection = op.get_bind().connection.cursor().connection
    for script in (SchemaManager.get_schema(), Path(__file__).with_name("0001_first.sql").read_text(encoding="utf-8")):
        connection.execute(script)
