"""Deciding who is reminded of what: the ledger and the notices it owes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.db.tables import scheduler_run_log
from certjobs.domain.thresholds import DECIDED_FOR_ALL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

_EVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Decided:
    """What one decision did: reminders by threshold, notices owed for them, larger thresholds that were overtaken.

    ``closed`` are notices of those larger thresholds that were still owed.
    """

    due: int
    by_threshold: Mapping[str, int]
    notices: int
    without_coordinator: int
    superseded: int
    closed: int


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder that a run decided on."""

    mentor_ref: str
    organisation: str
    chapter: str
    certification_expiry: date
    days_left: int
    threshold_day: int
    notices: int


class Reminders:
    """The ledger of reminders, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def decide(
        self,
        organisation_id: int,
        today: date,
        thresholds: Sequence[int],
        *,
        baseline: bool,
        mentor_ids: Sequence[int] | None = None,
    ) -> Decided:
        """Decide for one organisation and day, and owe the notices; with ``baseline`` record all as superseded instead.

        With ``mentor_ids`` only for those. Again is nothing: what the ledger holds, for this threshold or a smaller
        one, is not due.
        """
        row = self._connection.execute(
            statement("decide_reminders"),
            {
                "organisation_id": organisation_id,
                "today": today,
                "thresholds": list(thresholds),
                "mentor_ids": list(mentor_ids) if mentor_ids is not None else None,
                "baseline": baseline,
            },
        ).one()
        return Decided(*row)

    def due(self, organisation_id: int, today: date, thresholds: Sequence[int]) -> Sequence[int]:
        """Return the ids of the mentors who are due, in order."""
        query = sa.text(
            "SELECT d.mentor_id FROM certjobs_reminders_due(:organisation_id, :today, CAST(:thresholds AS integer[])) d"
            " ORDER BY d.mentor_id"
        )
        values = {"organisation_id": organisation_id, "today": today, "thresholds": list(thresholds)}
        return self._connection.scalars(query, values).all()

    def overtake(
        self, organisation_id: int, today: date, thresholds: Sequence[int], since: datetime | None
    ) -> tuple[int, int]:
        """Record the thresholds that expiry has overtaken; return how many, and how many owed notices that closed.

        Of paused mentors those are looked at who were paused ``since`` then (None: ever).
        """
        values = {
            "organisation_id": organisation_id,
            "today": today,
            "thresholds": list(thresholds),
            "since": since or _EVER,
        }
        row = self._connection.execute(statement("overtake_reminders"), values).one()
        return row.overtaken, row.closed

    def last_decided(self, job_name: str) -> datetime | None:
        """Return when the last run began that decided for every organisation on its own day, or None."""
        found: datetime | None = self._connection.scalar(
            sa.select(sa.func.max(scheduler_run_log.c.started_at)).where(
                scheduler_run_log.c.job_name == job_name,
                scheduler_run_log.c.status != "running",
                scheduler_run_log.c.as_of.is_(None),
                scheduler_run_log.c.counts.has_key(DECIDED_FOR_ALL),
            )
        )
        return found

    def of_run(self, run_id: UUID, limit: int) -> Sequence[Reminder]:
        """Return what a run decided, the most urgent first, at most ``limit``."""
        rows = self._connection.execute(statement("reminders_of_run"), {"run_id": run_id, "limit": limit})
        return [Reminder(*row) for row in rows]
