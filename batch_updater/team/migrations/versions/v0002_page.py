"""The tables of the page, which any number of hosts serve."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make them."""
    connection = op.get_bind().connection.cursor().connection
    connection.execute(Path(__file__).with_name("0002_page.sql").read_text(encoding="utf-8"))
