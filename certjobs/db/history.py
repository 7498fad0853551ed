"""What is kept of the past, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

_FORGET = sa.text("SELECT certjobs_forget(:table, :before, :failed_before, :limit)")


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
        "alerts",
        "forecasts",
        "scheduler_run_log",
        "guarded_sets",
    )

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def forget(self, table: str, before: datetime, failed_before: datetime, limit: int) -> int:
        """Delete what is over and older in one of ``TABLES``, at most ``limit`` rows; return how many it was.

        What went wrong has to be older than ``failed_before``, all else than ``before``.
        """
        values = {"table": table, "before": before, "failed_before": failed_before, "limit": limit}
        deleted: int = self._connection.execute(_FORGET, values).scalar_one()
        return deleted
