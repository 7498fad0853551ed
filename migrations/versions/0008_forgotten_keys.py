"""What the reminders left to be desired: keys of the erased, a cause half told, a lock of who is gone."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Renew two functions and add a trigger."""
    run_sql("retention.v3")
    run_sql("lock.v2")
    run_sql("forgotten_keys.v1")


def downgrade() -> None:
    """Go back to what they were."""
    run_sql("forgotten_keys.down.v1")
    run_sql("lock.down.v2")
    run_sql("retention.v2")
