"""The queue that a worker of Procrastinate listens to: one process has several, and each takes jobs of its own."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it; so far only those that take blocks were noted."""
    op.execute("ALTER TABLE workers ADD COLUMN queue text NOT NULL DEFAULT 'blocks'")
