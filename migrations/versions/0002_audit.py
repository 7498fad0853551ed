"""The audit: every change of a certification or of a mentor's status leaves a row, whoever makes it."""

from __future__ import annotations

from alembic import op

from certjobs.db.migration_support import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the audit tables and the triggers that fill them."""
    run_sql("audit_tables.v1")
    run_sql("audit.v1")


def downgrade() -> None:
    """Remove both."""
    run_sql("audit.down.v1")
    op.drop_table("mentor_status_events")
    op.drop_table("certification_events")
