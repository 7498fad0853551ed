"""The roster's whole life: its audit, forgetting on request, retention, and pausing in one statement."""

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
    run_sql("pause.v2")


def downgrade() -> None:
    """Remove what was added, and let the audit refuse every change of it again.

    The function that pauses stays as it is: it does the same.
    """
    run_sql("roster_audit.down.v1")
