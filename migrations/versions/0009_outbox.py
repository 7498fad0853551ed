"""The outbox: operations on the public listing, what it acknowledged, and findings."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables first, the rule and its triggers after."""
    run_sql("outbox_tables.v1")
    run_sql("outbox.v1")
    run_sql("retention.v4")


def downgrade() -> None:
    """Remove what was added, with the operations in it."""
    run_sql("retention.v3")
    run_sql("outbox.down.v1")
