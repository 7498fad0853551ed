"""Roles for administration, for looking and for coordinators, and whose rows each of them sees."""

from __future__ import annotations

from certjobs.db.migration_support import create_role, grant_role, run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the roles that the cluster has not, then grant, and switch row security on."""
    for role in ("certjobs_admin", "certjobs_read", "certjobs_coordinator"):
        create_role(role)
    grant_role("certjobs_job", "certjobs_admin")
    run_sql("access_tables.v1")
    run_sql("access.v1")


def downgrade() -> None:
    """Take both back in this database only: other databases of the cluster may still use the roles."""
    run_sql("access.down.v1")
