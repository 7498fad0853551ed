"""Findings of every kind, what people were alerted to, and what a night is expected to do."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, then let the jobs write to them."""
    run_sql("reconcile_tables.v1")
    run_sql("reconcile.v1")


def downgrade() -> None:
    """Remove them."""
    run_sql("reconcile.down.v1")
