"""A session that hears of new operations as they are committed, and lets one of several listeners go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.engine import translated_errors

if TYPE_CHECKING:
    import psycopg

_LISTEN = sa.text("LISTEN certjobs_sync")
_FIRST = sa.text("SELECT pg_try_advisory_lock(hashtextextended('certjobs_sync_watch', 0))")
_DONE = sa.text("SELECT pg_advisory_unlock(hashtextextended('certjobs_sync_watch', 0))")


class Listener:
    """One session of its own, past a connection pooler, whose sessions hear nothing."""

    def __init__(self, engine: sa.Engine) -> None:
        """Connect and listen. Raises Unavailable and what else ``translated_errors`` says."""
        with translated_errors():
            self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.execute(_LISTEN)
        found: psycopg.Connection = self._connection.connection.driver_connection  # type: ignore[assignment]
        self._driver = found

    def wait(self, seconds: float) -> bool:
        """Wait until something was queued, or so long; tell which. Raises Unavailable where the session is lost."""
        with translated_errors():
            return any(True for _ in self._driver.notifies(timeout=max(seconds, 0.0), stop_after=1))

    def first(self) -> bool:
        """Tell whether no other listener has gone first and is not done yet; from now on this one has."""
        with translated_errors():
            return bool(self._connection.execute(_FIRST).scalar_one())

    def done(self) -> None:
        """Let others go first again."""
        with translated_errors():
            self._connection.execute(_DONE)

    def close(self) -> None:
        """End the session."""
        self._connection.invalidate()
        self._connection.close()
