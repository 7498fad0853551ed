"""Mentors: who is expired, pausing them, and what an administrator does by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import CHECK_NOW, statement, stream
from certjobs.db.tables import (
    certifications,
    chapters,
    coordinator_assignments,
    organisations,
    peer_mentors,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Where a keyset batch ended: the last mentor seen, in the order of the index."""

    certification_expiry: date
    mentor_id: int


@dataclass(frozen=True, slots=True)
class Paused:
    """A mentor that the job paused just now, and how many notices that owes."""

    mentor_id: int
    mentor_ref: str
    organisation: str
    chapter: str
    certification_expiry: date
    recipients: int
    has_coordinator: bool


@dataclass(frozen=True, slots=True)
class PausedBatch:
    """Whom one transaction paused, how many notices that owes, how many of them have no coordinator; some in full."""

    mentor_ids: Sequence[int]
    recipients: int
    without_coordinator: int
    shown: Sequence[Paused]


@dataclass(frozen=True, slots=True)
class MentorState:
    """What an administrator needs to know of a mentor before changing something."""

    id: int
    ref: str
    organisation: str
    time_zone: str
    auto_pause: bool
    chapter: str
    status: str
    pause_reason: str | None
    certification_expiry: date | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A mentor as a list shows one; ``days_left`` from today, None for one who never had a certification."""

    mentor_ref: str
    name: str
    organisation: str
    chapter: str
    status: str
    pause_reason: str | None
    certification_expiry: date | None
    days_left: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a mentor."""

    occurred_at: datetime
    what: str
    detail: str | None
    reason: str | None
    actor: str


# An application may keep a day without end, which no date of ours can hold.
_EXPIRY = sa.case(
    (sa.func.isfinite(peer_mentors.c.certification_expiry), peer_mentors.c.certification_expiry), else_=None
)


class Mentors:
    """The mentors, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def count_expired(self, organisation_id: int, today: date, job_name: str) -> tuple[int, int]:
        """Return how many active mentors are expired: in approved guarded sets of the job, and outside of them."""
        row = self._connection.execute(
            statement("count_expired"), {"organisation_id": organisation_id, "today": today, "job_name": job_name}
        ).one()
        return row.approved, row.unapproved

    def count_active(self, organisation_id: int, enough: int) -> int:
        """Return how many mentors of the organisation are active, counting no further than ``enough``."""
        some = (
            sa.select(sa.literal(1))
            .where(peer_mentors.c.organisation_id == organisation_id, peer_mentors.c.status == "active")
            .limit(enough)
            .subquery()
        )
        return self._connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()

    def count_never_certified(self, organisation_id: int) -> int:
        """Return how many active mentors of the organisation never had a certification."""
        return self._connection.execute(
            sa.select(sa.func.count()).where(
                peer_mentors.c.organisation_id == organisation_id,
                peer_mentors.c.status == "active",
                peer_mentors.c.certification_expiry.is_(None),
            )
        ).scalar_one()

    def expired_batch(
        self,
        organisation_id: int,
        today: date,
        *,
        job_name: str,
        approved: bool,
        after: Cursor | None,
        limit: int,
    ) -> Sequence[Cursor]:
        """Return the next active, expired mentors after a cursor, at most ``limit``, in the order of the index.

        ``approved`` chooses those inside an approved guarded set of the job, or those outside of all of them.
        """
        rows = self._connection.execute(
            statement("expired_batch"), _batch(organisation_id, today, job_name, after, limit, approved=approved)
        )
        return [Cursor(row.certification_expiry, row.id) for row in rows]

    def pause_next(
        self,
        organisation_id: int,
        today: date,
        *,
        job_name: str,
        approved: bool,
        after: Cursor | None,
        limit: int,
        shown: int,
    ) -> tuple[int, Cursor | None, PausedBatch]:
        """Pause the next batch after a cursor, as ``expired_batch`` finds it, with audit and notices.

        Returns how many were found, where the cursor stands now, and whom it paused, at most ``shown`` of them in
        full; those found and not paused had changed meanwhile. Raises StatementFailed where another session holds one.
        """
        values = _batch(organisation_id, today, job_name, after, limit, approved=approved)
        row = self._connection.execute(statement("pause_next"), values | {"shown": shown}).one()
        cursor = Cursor(row.last_expiry, row.last_id) if row.candidates else None
        first = [
            Paused(**each | {"certification_expiry": date.fromisoformat(each["certification_expiry"])})
            for each in row.shown or ()
        ]
        return row.candidates, cursor, PausedBatch(row.mentor_ids or (), row.recipients, row.without_coordinator, first)

    def pause_free(self, mentor_ids: Sequence[int], today: date) -> PausedBatch:
        """Pause those of the proposed mentors who are active, expired and held by no other session; wait for nobody."""
        return self._pause("certjobs_pause_free", mentor_ids, today)

    def pause_expired(self, mentor_ids: Sequence[int], today: date) -> PausedBatch:
        """Pause all of them, waiting for who holds one as long as the lock time-out allows."""
        return self._pause("certjobs_pause_expired", mentor_ids, today)

    def _pause(self, function: str, mentor_ids: Sequence[int], today: date) -> PausedBatch:
        query = sa.text(
            "SELECT mentor_id, mentor_ref, organisation, chapter, certification_expiry, recipients, has_coordinator"
            f" FROM {function}(CAST(:mentor_ids AS bigint[]), :today)"
        )
        rows = self._connection.execute(query, {"mentor_ids": list(mentor_ids), "today": today})
        paused = [Paused(*row) for row in rows]
        return PausedBatch(
            [each.mentor_id for each in paused],
            sum(each.recipients for each in paused),
            sum(not each.has_coordinator for each in paused),
            paused,
        )

    def still_expired(self, mentor_ids: Sequence[int], today: date) -> Sequence[int]:
        """Return those of the mentors who are active and expired."""
        return self._connection.scalars(
            sa.select(peer_mentors.c.id)
            .where(
                peer_mentors.c.id.in_(list(mentor_ids)),
                peer_mentors.c.status == "active",
                sa.func.certjobs_expired(peer_mentors.c.certification_expiry, today),
            )
            .order_by(peer_mentors.c.id)
        ).all()

    def find(self, ref: str, *, lock: bool, for_removal: bool = False) -> MentorState | None:
        """Return a mentor by reference, locked where something is to be changed, or None.

        ``for_removal`` locks as a deletion will: to lock more later could deadlock with who adds to the mentor.
        """
        query = (
            sa.select(
                peer_mentors.c.id,
                peer_mentors.c.external_ref,
                organisations.c.code,
                organisations.c.time_zone,
                organisations.c.auto_pause,
                chapters.c.name,
                peer_mentors.c.status,
                peer_mentors.c.pause_reason,
                _EXPIRY,
            )
            .join(organisations, organisations.c.id == peer_mentors.c.organisation_id)
            .join(chapters, chapters.c.id == peer_mentors.c.chapter_id)
            .where(peer_mentors.c.external_ref == ref)
        )
        if lock:
            query = query.with_for_update(of=peer_mentors, key_share=not for_removal)
        row = self._connection.execute(query).one_or_none()
        return MentorState(*row) if row else None

    def set_status(self, mentor_id: int, status: str, pause_reason: str | None) -> None:
        """Change a mentor's status by hand; the audit trigger writes down who and why."""
        self._connection.execute(
            sa.update(peer_mentors)
            .where(peer_mentors.c.id == mentor_id)
            .values(status=status, pause_reason=pause_reason)
        )

    def listed(
        self,
        *,
        org: str | None = None,
        chapter: str | None = None,
        status: str | None = None,
        within: int | None = None,
        expired: bool = False,
        ready: bool = False,
        without_coordinator: bool = False,
        limit: int | None = None,
    ) -> Generator[Listed]:
        """Yield mentors by reference, or the next to expire first where ``within`` days are given."""
        return stream(
            self._connection,
            statement("list_mentors"),
            {
                "org": org,
                "chapter": chapter,
                "status": status,
                "within": within,
                "expired": expired,
                "ready": ready,
                "without_coordinator": without_coordinator,
                "limit": limit,
            },
            Listed,
        )

    def history(self, mentor_id: int, limit: int) -> Sequence[Event]:
        """Return what happened to a mentor, newest first."""
        rows = self._connection.execute(statement("mentor_history"), {"mentor_id": mentor_id, "limit": limit})
        return [Event(*row) for row in rows]

    def name(self, mentor_id: int) -> str:
        """Return a mentor's name."""
        found: str = self._connection.execute(
            sa.select(peer_mentors.c.name).where(peer_mentors.c.id == mentor_id)
        ).scalar_one()
        return found

    def move(self, mentor_id: int, organisation_id: int, chapter_id: int) -> None:
        """Let a mentor belong to another chapter."""
        self._connection.execute(
            sa.update(peer_mentors)
            .where(peer_mentors.c.id == mentor_id)
            .values(organisation_id=organisation_id, chapter_id=chapter_id)
        )

    def erase(self, mentor_id: int) -> None:
        """Remove a mentor with certifications and assignments, and what the audit and the notices tell of a person."""
        for table in (coordinator_assignments, certifications):
            self._connection.execute(sa.delete(table).where(table.c.mentor_id == mentor_id))
        self._connection.execute(sa.delete(peer_mentors).where(peer_mentors.c.id == mentor_id))
        self._connection.execute(statement("forget_mentor"), {"mentor_id": mentor_id})
        self._connection.execute(CHECK_NOW)

    def on_website(
        self, *, organisation_id: int | None, chapter_id: int | None, after: int, limit: int
    ) -> Sequence[int]:
        """Return the next mentors of organisations that are synchronised after one, in order, at most ``limit``."""
        query = (
            sa.select(peer_mentors.c.id)
            .join(organisations, organisations.c.id == peer_mentors.c.organisation_id)
            .where(organisations.c.website_sync, peer_mentors.c.id > after)
            .order_by(peer_mentors.c.id)
            .limit(limit)
        )
        if organisation_id is not None:
            query = query.where(peer_mentors.c.organisation_id == organisation_id)
        if chapter_id is not None:
            query = query.where(peer_mentors.c.chapter_id == chapter_id)
        return self._connection.scalars(query).all()

    def names(self, refs: Iterable[str]) -> dict[str, str]:
        """Return the names of mentors by reference."""
        rows: Any = self._connection.execute(
            sa.select(peer_mentors.c.external_ref, peer_mentors.c.name).where(
                peer_mentors.c.external_ref.in_(list(refs))
            )
        )
        return {row.external_ref: row.name for row in rows}

    def refs(self, mentor_ids: Iterable[int]) -> dict[int, str]:
        """Return the references of mentors by id."""
        rows: Any = self._connection.execute(
            sa.select(peer_mentors.c.id, peer_mentors.c.external_ref).where(peer_mentors.c.id.in_(list(mentor_ids)))
        )
        return {row.id: row.external_ref for row in rows}


def _batch(
    organisation_id: int, today: date, job_name: str, after: Cursor | None, limit: int, *, approved: bool
) -> dict[str, Any]:
    """Return the parameters of the statements that take a batch."""
    return {
        "organisation_id": organisation_id,
        "today": today,
        "job_name": job_name,
        "approved": approved,
        "after_expiry": after.certification_expiry if after else None,
        "after_id": after.mentor_id if after else None,
        "limit": limit,
    }
