"""What administrators ask by hand is found at once, and failures are kept longer than successes."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes, then the function that deletes history by two ages."""
    run_sql("by_hand_tables.v1")
    run_sql("retention.v5")


def downgrade() -> None:
    """Remove them, and let the one age count for all again."""
    run_sql("by_hand.down.v1")
    run_sql("retention.v4")
    run_sql("retention.down.v5")
