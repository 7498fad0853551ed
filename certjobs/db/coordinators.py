"""Coordinators, and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import CHECK_NOW, statement, stream
from certjobs.db.tables import coordinator_assignments, coordinators, peer_mentors

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


@dataclass(frozen=True, slots=True)
class Coordinator:
    """A coordinator and how many mentors they have (of those a listing looks at)."""

    address: str
    name: str
    language: str
    mentors: int


class Coordinators:
    """The coordinators, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def listed(
        self,
        *,
        mentor: str | None = None,
        org: str | None = None,
        chapter: str | None = None,
        without_mentors: bool = False,
        limit: int | None = None,
    ) -> Generator[Coordinator]:
        """Yield coordinators by address."""
        return stream(
            self._connection,
            statement("list_coordinators"),
            {"mentor": mentor, "org": org, "chapter": chapter, "without_mentors": without_mentors, "limit": limit},
            Coordinator,
        )

    def find_for_update(self, address: str) -> tuple[int, Coordinator] | None:
        """Lock and return a coordinator by address, however its letters are cased, with the id; None for none."""
        assigned = (
            sa.select(sa.func.count())
            .select_from(coordinator_assignments)
            .where(coordinator_assignments.c.coordinator_id == coordinators.c.id)
            .scalar_subquery()
        )
        row = self._connection.execute(
            sa.select(coordinators.c.id, coordinators.c.address, coordinators.c.name, coordinators.c.language, assigned)
            .where(sa.func.lower(coordinators.c.address) == address.lower())
            .order_by((coordinators.c.address == sa.func.lower(coordinators.c.address)).desc(), coordinators.c.id)
            .limit(1)
            .with_for_update(of=coordinators)
        ).one_or_none()
        return (row[0], Coordinator(*row[1:])) if row else None

    def lock_mentors_of(self, address: str) -> None:
        """Lock the mentors of a coordinator in id order, as every writer does before it touches assignments."""
        theirs = (
            sa.select(coordinator_assignments.c.mentor_id)
            .join(coordinators, coordinators.c.id == coordinator_assignments.c.coordinator_id)
            .where(sa.func.lower(coordinators.c.address) == address.lower())
        )
        locked = (
            sa.select(peer_mentors.c.id)
            .where(peer_mentors.c.id.in_(theirs))
            .order_by(peer_mentors.c.id)
            .with_for_update(key_share=True)
            .subquery()
        )
        self._connection.execute(sa.select(sa.func.count()).select_from(locked))

    def add(self, address: str, name: str, language: str) -> None:
        """Add one."""
        self._connection.execute(sa.insert(coordinators).values(address=address, name=name, language=language))

    def change(self, coordinator_id: int, **values: str) -> None:
        """Change one."""
        self._connection.execute(sa.update(coordinators).where(coordinators.c.id == coordinator_id).values(**values))

    def remove(self, coordinator_id: int) -> int:
        """Remove one with the assignments, and return how many mentors that leaves with nobody."""
        alone = self._connection.execute(statement("mentors_of_only"), {"coordinator_id": coordinator_id}).scalar_one()
        self._connection.execute(
            sa.delete(coordinator_assignments).where(coordinator_assignments.c.coordinator_id == coordinator_id)
        )
        self._connection.execute(sa.delete(coordinators).where(coordinators.c.id == coordinator_id))
        self._connection.execute(statement("forget_coordinator"), {"coordinator_id": coordinator_id})
        self._connection.execute(CHECK_NOW)
        return int(alone)

    def assigned(self, mentor_id: int) -> Sequence[int]:
        """Return the coordinators of a mentor."""
        return self._connection.scalars(
            sa.select(coordinator_assignments.c.coordinator_id).where(coordinator_assignments.c.mentor_id == mentor_id)
        ).all()

    def assign(self, mentor_id: int, added: Sequence[int], removed: Sequence[int]) -> None:
        """Give a mentor coordinators and take others away."""
        if removed:
            self._connection.execute(
                sa.delete(coordinator_assignments).where(
                    coordinator_assignments.c.mentor_id == mentor_id,
                    coordinator_assignments.c.coordinator_id.in_(removed),
                )
            )
        if added:
            rows = [{"mentor_id": mentor_id, "coordinator_id": each} for each in added]
            self._connection.execute(sa.insert(coordinator_assignments).values(rows))  # one statement, one event

    def is_of(self, coordinator_id: int, mentor_id: int) -> bool:
        """Tell whether somebody is a coordinator of a mentor."""
        found = sa.select(
            sa.exists().where(
                coordinator_assignments.c.coordinator_id == coordinator_id,
                coordinator_assignments.c.mentor_id == mentor_id,
            )
        )
        return bool(self._connection.scalar(found))
