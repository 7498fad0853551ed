"""Roles for administration, for looking and for coordinators, and whose rows each of them sees."""

from __future__ import annotations

from certjobs.db.migration_support import create_role, grant_role, lock, refuse_dormant_policies, run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


TABLES = (
    *("organisations", "chapters", "coordinators", "peer_mentors", "coordinator_assignments", "certifications"),
    *("certification_events", "mentor_status_events", "roster_events"),
    *("notifications", "cert_expiry_reminders", "reminder_dispatch_log", "notice_snoozes"),
    *("sync_queue", "website_listing", "reconciliation_log", "alerts", "forecasts"),
    *("scheduler_run_log", "job_lock", "guarded_sets", "guarded_set_members"),
)


def upgrade() -> None:
    """Create the roles that the cluster has not, then grant, and switch row security on."""
    refuse_dormant_policies(TABLES)
    for role in ("certjobs_admin", "certjobs_read", "certjobs_coordinator"):
        create_role(role)
    grant_role("certjobs_job", "certjobs_admin")
    lock(TABLES)
    run_sql("access_tables.v1")
    run_sql("access.v1")


def downgrade() -> None:
    """Take both back in this database only: other databases of the cluster may still use the roles."""
    lock(TABLES)
    run_sql("access.down.v1")
