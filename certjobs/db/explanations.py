"""One mentor's past, and what the rules answer for a day: what is read to explain it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

_READ_ONLY = sa.text("SET TRANSACTION READ ONLY")
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 30)  # days that are a moment in every time zone, as Python counts


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on a timeline; ``day`` where it is a day, not a moment. ``source`` and ``row``: where it stands."""

    at: datetime
    day: date | None
    what: str
    detail: str | None
    reason: str | None
    actor: str | None
    run_id: UUID | None
    job_name: str | None
    source: str
    row: str


@dataclass(frozen=True, slots=True)
class Day:
    """A mentor on a day, and what the rules answer for it.

    ``status_known``, ``expiry_known``: whether the audit reaches back so far; ``known_since`` when it begins to tell of
    this mentor. ``covering``: the threshold that covers the days left; ``due``: the one a run would decide on, of a day
    that is not over; ``next_due``: the next day after with one. ``ledger``: what was decided for this expiry date.
    """

    past: bool
    status: str | None
    pause_reason: str | None
    status_known: bool
    expiry_known: bool
    known_since: datetime | None
    time_zone: str
    certified: bool
    certification_expiry: date | None
    days_left: int | None
    expired: bool
    listing: str
    organisation: str
    auto_pause: bool
    remind: bool
    website_sync: bool
    has_fallback: bool
    changed: Mapping[str, Any] | None
    certificate: Mapping[str, Any] | None
    covering: int | None
    due: int | None
    next_due: date | None
    ledger: Sequence[Mapping[str, Any]]
    coordinators: int
    snoozes: Sequence[Mapping[str, Any]]
    guarded: Mapping[str, Mapping[str, Any]]
    website: Mapping[str, Any] | None


class Explanations:
    """What is read to explain one mentor, on one transaction, which writes nothing."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        connection.execute(_READ_ONLY)

    def day(self, mentor_id: int, day: date, *, today: date, thresholds: Sequence[int]) -> Day:
        """Return a mentor on a day."""
        values = {"mentor_id": mentor_id, "day": day, "today": today, "thresholds": list(thresholds)}
        return Day(*self._connection.execute(statement("explain_day"), values).one())

    def timeline(self, mentor_id: int, limit: int) -> Sequence[Entry]:
        """Return everything that is written about a mentor, oldest first; of more than ``limit`` the newest."""
        values = {"mentor_id": mentor_id, "limit": limit, "first": _FIRST, "last": _LAST}
        rows = self._connection.execute(statement("explain_timeline"), values)
        return [Entry(*row) for row in rows]

    def near(self, ref: str, candidates: Sequence[str], limit: int) -> Sequence[str]:
        """Return which candidates are references, and the references next to one in order, ``limit`` on each side."""
        values = {"ref": ref, "candidates": list(candidates), "limit": limit}
        return self._connection.scalars(statement("near_references"), values).all()
