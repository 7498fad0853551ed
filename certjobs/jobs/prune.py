"""prune: delete history older than the settings allow, in batches of a transaction each.

What went wrong is kept longer than what went well. What is still open is never deleted, nor what tonight's decisions
are made from: the ledger ahead of a mentor's expiry date and the pause a mentor is in; see ``certjobs_forget``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from certjobs.domain.outcome import Outcome
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import PruneOptions

SHORTEST_DAYS = 90  # the database refuses to delete what is younger
FAILURES_TIMES = 3  # how much longer what went wrong is kept, unless a setting says how long
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


def prune(ctx: JobContext[PruneOptions]) -> Outcome:
    """Delete what is over and older than ``retention_days``, and what went wrong and is older than ``failures_days``.

    Afterwards nothing deletable of that age is left. Again is nothing. Raises UsageError for a day to come, and
    ConfigurationError where what went wrong would be kept shorter than the rest.
    """
    days, failures_days = ctx.options.retention_days, ctx.options.retention_failures_days
    with ctx.transaction() as store:
        for organisation in store.organisations.all():
            ctx.today(organisation)
    if failures_days is not None and (days is None or failures_days < days):
        kept = "for ever" if days is None else f"for {days} days"
        msg = f"CERTJOBS_RETENTION_FAILURES_DAYS is {failures_days}, and what went well is kept {kept}."
        raise ConfigurationError(msg, hint="What went wrong is kept as long or longer: raise it, or unset it.")
    if days is None:
        return Outcome(message="No retention is set: everything is kept.", hint="See CERTJOBS_RETENTION_DAYS.")
    before = _days_ago(ctx, days)
    failed_before = _days_ago(ctx, days * FAILURES_TIMES if failures_days is None else failures_days)
    with ctx.transaction() as store:
        tables = store.history.TABLES
    for table in tables:
        deleted = ctx.options.rows
        while deleted == ctx.options.rows:
            with ctx.transaction() as store:
                deleted = store.history.forget(table, before, failed_before, ctx.options.rows)
            ctx.count(**{f"{table}_deleted": deleted})
    return Outcome(counts=ctx.counts)


def _days_ago(ctx: JobContext[PruneOptions], days: int) -> datetime:
    """Return the midnight so many days before the run's day, or the youngest moment that the database allows."""
    day = ctx.calendar.as_of or ctx.calendar.now.date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    youngest = ctx.calendar.now - timedelta(days=SHORTEST_DAYS, minutes=1)
    if midnight - _BEGINNING < timedelta(days=days):
        return _BEGINNING
    return min(midnight - timedelta(days=days), youngest)
