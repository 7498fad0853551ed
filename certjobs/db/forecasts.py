"""What the coming nights will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.db.tables import coordinators

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from certjobs.db.organisations import Organisation


@dataclass(frozen=True, slots=True)
class Due:
    """A mentor for whom a night has something to do: a reminder of a threshold, or (None) a pause.

    ``approved``: a person let the job do it. ``coordinator_ids`` are who will hear of it; empty: the fallback address.
    """

    day: date
    threshold_day: int | None
    mentor_ref: str
    chapter: str
    approved: bool
    coordinator_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Named:
    """A coordinator as a list names one."""

    name: str
    address: str


class Forecasts:
    """The nights to come, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def due(
        self, organisation: Organisation, today: date, days: int, thresholds: Sequence[int], *, job_name: str
    ) -> Sequence[Due]:
        """Return what falls due in so many nights, from tonight on, in one organisation, each on its first night.

        ``job_name`` is that of the job that pauses, for which the guard's approvals are.
        """
        values = {
            "organisation_id": organisation.id,
            "remind": organisation.remind,
            "auto_pause": organisation.auto_pause,
            "today": today,
            "days": days,
            "thresholds": list(thresholds),
            "job_name": job_name,
        }
        return [Due(*row) for row in self._connection.execute(statement("forecast"), values)]

    def coordinators(self, ids: Iterable[int]) -> dict[int, Named]:
        """Return coordinators by id."""
        query = sa.select(coordinators.c.id, coordinators.c.name, coordinators.c.address)
        rows = self._connection.execute(query.where(coordinators.c.id.in_(list(ids))))
        return {row.id: Named(row.name, row.address) for row in rows}
