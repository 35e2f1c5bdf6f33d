"""The API that a worker sends to: one that sends to another does not serve the runs for this."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add it; of a worker that was started before, it stays unknown."""
    op.execute("ALTER TABLE workers ADD COLUMN origin text NOT NULL DEFAULT ''")
