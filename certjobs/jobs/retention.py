"""retention: delete history older than the setting allows, in batches of a transaction each.

What is still owed is never deleted, nor the pause a mentor is in; see ``certjobs_forget``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from certjobs.domain.outcome import Outcome

if TYPE_CHECKING:
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import RetentionOptions

SHORTEST_DAYS = 90  # the database refuses to delete what is younger


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
    youngest = ctx.calendar.now - timedelta(days=SHORTEST_DAYS, minutes=1)
    before = min(_midnight(ctx) - timedelta(days=days), youngest)
    with ctx.transaction() as store:
        tables = store.history.TABLES
    for table in tables:
        deleted = ctx.options.rows
        while deleted == ctx.options.rows:
            with ctx.transaction() as store:
                deleted = store.history.forget(table, before, ctx.options.rows)
            ctx.count(**{f"{table}_deleted": deleted})
    return Outcome(counts=ctx.counts)


def _midnight(ctx: JobContext[RetentionOptions]) -> datetime:
    day = ctx.calendar.as_of or ctx.calendar.now.date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
