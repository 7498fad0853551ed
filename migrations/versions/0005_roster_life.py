"""The roster's whole life: its audit, forgetting on request, and retention."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table first, its triggers after."""
    run_sql("roster_events_tables.v1")
    run_sql("roster_audit.v1")
    run_sql("retention.v1")


def downgrade() -> None:
    """Remove what was added, and let the audit refuse every change of it again."""
    run_sql("roster_audit.down.v1")
