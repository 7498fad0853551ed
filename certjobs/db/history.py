"""What is kept of the past, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

_FORGET = sa.text("SELECT * FROM certjobs_forget(:before, :limit)")


class History:
    """The audit and other tables that only grow, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def forget(self, before: datetime, limit: int) -> dict[str, int]:
        """Delete what is over and older, at most ``limit`` rows of each table; return how many by table."""
        row = self._connection.execute(_FORGET, {"before": before, "limit": limit}).one()
        return row._asdict()
