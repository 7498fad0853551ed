"""Pausing without waiting for whom somebody else holds, and without a lock pass of its own."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two ways to pause; the old one uses them."""
    run_sql("pause.v3")


def downgrade() -> None:
    """Let the old way do all by itself again."""
    run_sql("pause.v2")
    run_sql("pause.down.v3")
