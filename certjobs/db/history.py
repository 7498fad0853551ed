"""What is kept of the past, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

_FORGET = sa.text("SELECT certjobs_forget(:table, :before, :limit)")


class History:
    """The audit and other tables that only grow, on one transaction."""

    # Notices first: a pause is kept as long as one of its notices is.
    TABLES = (
        "notifications",
        "reminder_dispatch_log",
        "cert_expiry_reminders",
        "notice_snoozes",
        "mentor_status_events",
        "certification_events",
        "roster_events",
        "sync_queue",
        "reconciliation_log",
        "scheduler_run_log",
        "guarded_sets",
    )

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def forget(self, table: str, before: datetime, limit: int) -> int:
        """Delete what is over and older in one of ``TABLES``, at most ``limit`` rows; return how many it was."""
        deleted: int = self._connection.execute(
            _FORGET, {"table": table, "before": before, "limit": limit}
        ).scalar_one()
        return deleted
