"""Certifications: listing them, and what an administrator changes by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement, stream
from certjobs.db.tables import certifications, peer_mentors

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import date


@dataclass(frozen=True, slots=True)
class Certification:
    """A certification, and how long it still counts: ``ends_on`` is its last valid day, ``days_left`` from today.

    Days are None where an application keeps one without end.
    """

    certificate_ref: str
    mentor_ref: str
    organisation: str
    chapter: str
    issued_on: date
    expires_on: date | None
    withdrawn_on: date | None
    ends_on: date | None
    days_left: int | None


class Certifications:
    """The certifications, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def listed(
        self,
        *,
        ref: str | None = None,
        mentor: str | None = None,
        org: str | None = None,
        chapter: str | None = None,
        within: int | None = None,
        limit: int | None = None,
    ) -> Generator[Certification]:
        """Yield certifications by mentor and day of issue, or the next to end first where ``within`` days are given."""
        return stream(
            self._connection,
            statement("list_certifications"),
            {"ref": ref, "mentor": mentor, "org": org, "chapter": chapter, "within": within, "limit": limit},
            Certification,
        )

    def find(self, ref: str) -> Certification | None:
        """Return one certification, or None."""
        found = list(self.listed(ref=ref))
        return found[0] if found else None

    def lock_mentor_of(self, ref: str) -> bool:
        """Lock the mentor of a certification, as every writer does before it touches certifications; False for none."""
        owner = sa.select(certifications.c.mentor_id).where(certifications.c.external_ref == ref)
        locked = self._connection.execute(
            sa.select(peer_mentors.c.id)
            .where(peer_mentors.c.id.in_(owner))
            .with_for_update(key_share=True, of=peer_mentors)
        )
        return locked.one_or_none() is not None

    def add(self, ref: str, mentor_id: int, issued_on: date, expires_on: date) -> None:
        """Add one; the triggers write the audit and the mentor's certification expiry."""
        self._connection.execute(
            sa.insert(certifications).values(
                external_ref=ref, mentor_id=mentor_id, issued_on=issued_on, expires_on=expires_on
            )
        )

    def change(self, ref: str, **values: date | None) -> None:
        """Change days of one."""
        self._connection.execute(sa.update(certifications).where(certifications.c.external_ref == ref).values(**values))
