"""retention: delete history older than the setting allows, in batches of a transaction each.

What is still owed is never deleted, nor the pause a mentor is in; see ``certjobs_forget``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from certjobs.domain.outcome import Outcome

if TYPE_CHECKING:
    from certjobs.jobs.context import JobContext

SHORTEST_DAYS = 90  # the database refuses to delete what is younger


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """``retention_days``: how long history is kept (None: for ever); ``batch_size``: rows of a table a transaction."""

    retention_days: int | None = None
    batch_size: int = 500


def retention(ctx: JobContext[RetentionOptions]) -> Outcome:
    """Delete audit, finished notices, runs and refused sets older than ``retention_days``.

    Afterwards nothing deletable of that age is left. Again is nothing. Raises UsageError for a day to come.
    """
    days = ctx.options.retention_days
    with ctx.transaction() as store:
        for organisation in store.organisations.all():
            ctx.today(organisation)
    if days is None:
        return Outcome(message="No retention is set: everything is kept.", hint="See CERTJOBS_RETENTION_DAYS.")
    before = _midnight(ctx) - timedelta(days=days)
    youngest = ctx.calendar.now - timedelta(days=SHORTEST_DAYS, minutes=1)
    while True:
        with ctx.transaction() as store:
            deleted = store.history.forget(min(before, youngest), ctx.options.batch_size)
        ctx.count(**{f"{name}_deleted": number for name, number in deleted.items()})
        if not any(deleted.values()):
            return Outcome(counts=ctx.counts)


def _midnight(ctx: JobContext[RetentionOptions]) -> datetime:
    day = ctx.calendar.as_of or ctx.calendar.now.date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
