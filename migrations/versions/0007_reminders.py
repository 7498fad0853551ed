"""Reminders: their ledger, what became of each attempt to tell somebody, and snoozes."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables first, their rules after."""
    run_sql("reminders_tables.v1")
    run_sql("reminders.v1")
    run_sql("retention.v2")


def downgrade() -> None:
    """Remove what was added, with the history in it."""
    run_sql("retention.down.v2")
    run_sql("reminders.down.v1")
