"""Operations by hand: who decided about one, and why; what was done lately is found."""

from __future__ import annotations

from certjobs.db.migration_support import run_sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, then the trigger that forgets one of them."""
    run_sql("outbox_tables.v3")
    run_sql("outbox.v3")


def downgrade() -> None:
    """Remove them, with what was written there."""
    run_sql("outbox.down.v3")
