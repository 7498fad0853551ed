"""The role certjobs_job: exactly what the jobs need, and nothing of what they do not."""

from __future__ import annotations

from certjobs.db.migration_support import create_role, run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the role if the cluster has none yet, and grant."""
    create_role("certjobs_job")
    run_sql("job_role.v1")


def downgrade() -> None:
    """Revoke in this database only: other databases of the cluster may still use the role."""
    run_sql("job_role.down.v1")
