"""What the coming nights will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.db.tables import coordinators

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from certjobs.db.organisations import Organisation


_REMINDERS_ON = sa.text(
    "SELECT count(*) FROM certjobs_reminders_due(:organisation_id, :night, CAST(:thresholds AS integer[])) d"
    " WHERE d.certification_expiry = CAST(:night AS date) + d.threshold_day"
)
_EXPECT = sa.text(
    "INSERT INTO forecasts (night, job_name, organisation_id, expected, run_id)"
    " VALUES (:night, :job_name, :organisation_id, :number, certjobs_setting('run_id')::uuid)"
    " ON CONFLICT (night, job_name, organisation_id) DO UPDATE"
    " SET expected = EXCLUDED.expected, run_id = EXCLUDED.run_id, created_at = clock_timestamp()"
    " WHERE forecasts.expected <> EXCLUDED.expected"
)
_EXPECTED = sa.text(
    "SELECT expected, created_at FROM forecasts"
    " WHERE night = :night AND job_name = :job_name AND organisation_id = :organisation_id"
)


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


@dataclass(frozen=True, slots=True)
class Expected:
    """What a night was expected to bring, and when that was said."""

    number: int
    since: datetime


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

    # What a night expects of the next.

    def reminders_on(self, organisation_id: int, night: date, thresholds: Sequence[int]) -> int:
        """Return how many mentors first come under a threshold on a night, if nothing changes until then."""
        values = {"organisation_id": organisation_id, "night": night, "thresholds": list(thresholds)}
        number: int = self._connection.execute(_REMINDERS_ON, values).scalar_one()
        return number

    def expect(self, job_name: str, organisation_id: int, night: date, number: int) -> None:
        """Keep what a job expects to do for an organisation on a night to come; the latest word counts."""
        self._connection.execute(
            _EXPECT,
            {"job_name": job_name, "organisation_id": organisation_id, "night": night, "number": number},
        )

    def expected(self, job_name: str, organisation_id: int, night: date) -> Expected | None:
        """Return what was expected of a night, or None where nobody said."""
        row = self._connection.execute(
            _EXPECTED, {"job_name": job_name, "organisation_id": organisation_id, "night": night}
        ).one_or_none()
        return Expected(*row) if row else None

    def changed_since(self, organisation_id: int, since: datetime) -> int:
        """Return of how many mentors of an organisation something was changed or approved since that decides a night.

        What this run did does not count.
        """
        values = {"organisation_id": organisation_id, "since": since}
        number: int = self._connection.execute(statement("changed_since"), values).scalar_one()
        return number

    def coordinators(self, ids: Iterable[int]) -> dict[int, Named]:
        """Return coordinators by id."""
        query = sa.select(coordinators.c.id, coordinators.c.name, coordinators.c.address)
        rows = self._connection.execute(query.where(coordinators.c.id.in_(list(ids))))
        return {row.id: Named(row.name, row.address) for row in rows}
