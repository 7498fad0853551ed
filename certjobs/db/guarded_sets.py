"""Sets of changes that the guard refused, and their approval by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.db.tables import guarded_set_members, guarded_sets, organisations, peer_mentors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

APPROVED_FOR = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Refused:
    """A set that the guard refused just now."""

    hash: str
    size: int


@dataclass(frozen=True, slots=True)
class GuardedSet:
    """A refused set as an administrator sees it before approving."""

    hash: str
    job_name: str
    organisation: str
    size: int
    refused_at: datetime
    approved_by: str | None
    approved_until: datetime | None


_AS_SEEN = sa.select(
    guarded_sets.c.hash,
    guarded_sets.c.job_name,
    organisations.c.code,
    guarded_sets.c.size,
    guarded_sets.c.refused_at,
    guarded_sets.c.approved_by,
    guarded_sets.c.approved_until,
).join(organisations, organisations.c.id == guarded_sets.c.organisation_id)


class GuardedSets:
    """The guarded sets, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def refuse_expired(self, organisation_id: int, today: date, job_name: str) -> Refused | None:
        """Store the expired mentors outside every approved set as one refused set; None where there are none any more.

        The hash derives from the members alone: the same set refused again is the same row.
        """
        return self._refuse("expired_candidates", job_name, organisation_id, today=today)

    def refuse_removals(self, organisation_id: int, operations: Sequence[int], job_name: str) -> Refused | None:
        """Store these removals of an organisation as one refused set, in the same way."""
        return self._refuse("removal_candidates", job_name, organisation_id, ids=list(operations))

    def refuse_missing(self, organisation_id: int, job_name: str) -> Refused | None:
        """Store whom an unlikely listing lacks, as ``Reconciliation.keep_back`` marked them, in the same way."""
        return self._refuse("missing_candidates", job_name, organisation_id)

    def _refuse(self, candidates: str, job_name: str, organisation_id: int, **more: Any) -> Refused | None:
        values = {"job_name": job_name, "organisation_id": organisation_id} | more
        row = self._connection.execute(statement(candidates, "store_refused"), values).one_or_none()
        return Refused(row.hash, row.size) if row else None

    def members(self, full_hash: str, limit: int) -> Sequence[str]:
        """Return the references of a set's mentors, in order, at most ``limit``."""
        return self._connection.scalars(
            sa.select(peer_mentors.c.external_ref)
            .join(guarded_set_members, guarded_set_members.c.mentor_id == peer_mentors.c.id)
            .join(guarded_sets, guarded_sets.c.id == guarded_set_members.c.guarded_set_id)
            .where(guarded_sets.c.hash == full_hash)
            .order_by(peer_mentors.c.external_ref)
            .limit(limit)
        ).all()

    def find(self, prefix: str) -> Sequence[GuardedSet]:
        """Return the sets whose hash begins with the prefix, at most two: enough to see that it is ambiguous."""
        rows = self._connection.execute(
            _AS_SEEN.where(guarded_sets.c.hash.startswith(prefix, autoescape=True))
            .order_by(guarded_sets.c.hash)
            .limit(2)
        )
        return [GuardedSet(*row) for row in rows]

    def waiting(self, since: datetime) -> Sequence[GuardedSet]:
        """Return the sets refused at ``since`` or later that nobody approved after that, the latest first."""
        approved = guarded_sets.c.approved_at
        rows = self._connection.execute(
            _AS_SEEN.where(
                guarded_sets.c.refused_at >= since,
                sa.or_(approved.is_(None), approved < guarded_sets.c.refused_at),
            ).order_by(guarded_sets.c.refused_at.desc(), guarded_sets.c.hash)
        )
        return [GuardedSet(*row) for row in rows]

    def approve(self, full_hash: str, *, by: str, reason: str) -> datetime:
        """Let the next runs of 48 hours do this set, and return until when."""
        now = sa.func.statement_timestamp()  # one moment, however often it is asked for
        until: datetime = self._connection.execute(
            sa.update(guarded_sets)
            .where(guarded_sets.c.hash == full_hash)
            .values(approved_by=by, reason=reason, approved_at=now, approved_until=now + APPROVED_FOR)
            .returning(guarded_sets.c.approved_until)
        ).scalar_one()
        return until
