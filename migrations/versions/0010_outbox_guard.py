"""The guard over removals keeps what it let through; a reference given again; changes looked at once."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, then the functions that know it."""
    run_sql("outbox_tables.v2")
    run_sql("outbox.v2")


def downgrade() -> None:
    """Go back to what they were."""
    run_sql("outbox.down.v2")
