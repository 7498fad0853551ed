"""Notices owed to coordinators: claiming one just before it is sent, and recording what became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.db.tables import notifications
from certjobs.ports import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

_RETRY_AFTER = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))


def retry_delay(attempt: int) -> timedelta:
    """Return how long a notice rests after its n-th failed attempt (from 1), at most half a day."""
    return _RETRY_AFTER[min(attempt, len(_RETRY_AFTER)) - 1]


class Notifications:
    """The notices, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add_new_recipients(self, organisation_id: int | None) -> int:
        """Owe the open pause notices to coordinators who were assigned since, and return how many that are."""
        added = self._connection.execute(statement("add_new_recipients"), {"organisation_id": organisation_id})
        return added.rowcount

    def suppress(self, mentor_ids: Sequence[int], run_id: UUID) -> int:
        """Suppress the pause notices that a run owes because of these mentors, and return how many that are."""
        return self._connection.execute(
            sa.update(notifications)
            .where(
                notifications.c.caused_by_run == run_id,
                notifications.c.mentor_id.in_(mentor_ids),
                notifications.c.kind == "pause",
                notifications.c.status == "pending",
            )
            .values(status="suppressed", last_error="Paused by a baseline run, of which nobody is told.")
        ).rowcount

    def settle_interrupted(self, *, honours_keys: bool) -> int:
        """Settle the notices whose sender died between claiming and recording, and return how many there were.

        Nobody knows whether they went out. Where the channel drops repeated keys they are owed again, under the same
        key; elsewhere they become ``unknown``, for a person to look at.
        """
        return self._connection.execute(
            statement("settle_interrupted"), {"status": "pending" if honours_keys else "unknown"}
        ).rowcount

    def owed(self, organisation_id: int | None, *, after: int, limit: int) -> Sequence[int]:
        """Return the ids of the next pause notices that may be sent now, after an id, at most ``limit``."""
        values = {"organisation_id": organisation_id, "after": after, "limit": limit}
        return self._connection.scalars(statement("owed_notices"), values).all()

    def claim(self, notification_id: int) -> Notice | None:
        """Look at a notice again and make it ``sending``; None where it must not be sent, or not by us.

        A notice whose mentor is active again, or whose recipient is no longer the mentor's coordinator, is suppressed
        (rule 4). One whose recipient has no address stays owed.
        """
        row = self._connection.execute(statement("claim_notice"), {"id": notification_id}).one_or_none()
        return Notice(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's public name for it

    def sent(self, notice: Notice, message_id: str) -> bool:
        """Record that a notice went out; False where it is no longer this attempt's to record."""
        return self._finish(
            notice,
            {"status": "sent", "message_id": message_id, "sent_at": sa.func.clock_timestamp(), "last_error": None},
        )

    def failed(self, notice: Notice, reason: str) -> bool:
        """Record that a notice failed for now and stays owed, after a rest."""
        rest = sa.func.clock_timestamp() + retry_delay(notice.attempt)
        return self._finish(notice, {"status": "failed", "last_error": reason, "not_before": rest})

    def refused(self, notice: Notice, reason: str) -> bool:
        """Record that a notice was refused for good."""
        return self._finish(notice, {"status": "dead", "last_error": reason})

    def _finish(self, notice: Notice, values: Mapping[str, object]) -> bool:
        done = self._connection.execute(
            sa.update(notifications)
            .where(
                notifications.c.id == notice.id,
                notifications.c.status == "sending",
                notifications.c.attempt == notice.attempt,
            )
            .values(**values)
        )
        return done.rowcount == 1

    def still_open(self, organisation_id: int | None) -> tuple[int, int]:
        """Return how many pause notices are still owed, and how many of them have nobody to go to."""
        row = self._connection.execute(statement("open_notices"), {"organisation_id": organisation_id}).one()
        return row.open, row.nobody
