"""The table of what nights remember of each other, so that any host may run the next one."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make it."""
    op.execute("CREATE TABLE nights (name text PRIMARY KEY, content text NOT NULL)")
