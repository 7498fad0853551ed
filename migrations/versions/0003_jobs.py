"""What the jobs own: notices, the run log, the lock, guarded sets, and the function that pauses."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create tables first, functions after."""
    run_sql("jobs_tables.v1")
    run_sql("guard.v1")
    run_sql("lock.v1")
    run_sql("pause.v1")


def downgrade() -> None:
    """Remove functions first, tables after."""
    run_sql("jobs.down.v1")
