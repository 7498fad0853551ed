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


_KEEP = (
    "INSERT INTO forecasts (night, job_name, organisation_id, expected, members, run_id)"
    " SELECT :night, :job_name, :organisation_id, count(*), coalesce(array_agg(w.id ORDER BY w.id), '{}'),"
    " certjobs_setting('run_id')::uuid FROM (%s) w"
    " ON CONFLICT (night, job_name, organisation_id) DO UPDATE"
    " SET expected = EXCLUDED.expected, members = EXCLUDED.members, run_id = EXCLUDED.run_id,"
    " created_at = clock_timestamp() WHERE forecasts.members <> EXCLUDED.members"
)
_EXPECT_REMINDERS = sa.text(
    _KEEP
    % (
        "SELECT d.mentor_id AS id"
        " FROM certjobs_reminders_due(:organisation_id, :night, CAST(:thresholds AS integer[])) d"
        " WHERE d.certification_expiry = CAST(:night AS date) + d.threshold_day"
    )
)
_EXPECT_PAUSES = sa.text(
    _KEEP
    % (
        "SELECT m.id FROM peer_mentors m"
        " WHERE m.organisation_id = :organisation_id AND m.status = 'active'"
        " AND certjobs_expired(m.certification_expiry, :night)"
        " AND (CAST(:unapproved AS boolean)"
        " OR EXISTS (SELECT 1 FROM approved_changes a WHERE a.job_name = :guarded_as AND a.mentor_id = m.id"
        " AND a.certification_expiry = m.certification_expiry))"
    )
)
_EXPECTED = sa.text(
    "SELECT expected FROM forecasts"
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
class Late:
    """What a night should have done about a mentor and another did: a reminder of a threshold, or (None) a pause."""

    day: date
    threshold_day: int | None
    mentor_ref: str


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

    def came_late(
        self, organisation_id: int, first: date, last: date, thresholds: Sequence[int] | None
    ) -> Sequence[Late]:
        """Return what runs after missed nights have done of them already: pauses or, with thresholds, reminders."""
        values = {
            "organisation_id": organisation_id,
            "first": first,
            "last": last,
            "reminders": thresholds is not None,
            "furthest": max(thresholds or (0,)),
        }
        return [Late(*row) for row in self._connection.execute(statement("came_late"), values)]

    # What a night expects of the next.

    def expect_reminders(self, job_name: str, organisation_id: int, night: date, thresholds: Sequence[int]) -> None:
        """Keep who first comes under a threshold on a night, if nothing changes until then; the latest word counts."""
        values = {"job_name": job_name, "organisation_id": organisation_id, "night": night}
        self._connection.execute(_EXPECT_REMINDERS, values | {"thresholds": list(thresholds)})

    def expect_pauses(
        self, job_name: str, organisation_id: int, night: date, *, guarded_as: str, unapproved: bool
    ) -> None:
        """Keep who is paused on a night, in the same way; ``unapproved``: those too whom no person approved."""
        values = {"job_name": job_name, "organisation_id": organisation_id, "night": night}
        self._connection.execute(_EXPECT_PAUSES, values | {"guarded_as": guarded_as, "unapproved": unapproved})

    def expected(self, job_name: str, organisation_id: int, night: date) -> int | None:
        """Return of how many mentors a night was expected to take care, or None where nobody said."""
        values = {"job_name": job_name, "organisation_id": organisation_id, "night": night}
        number: int | None = self._connection.execute(_EXPECTED, values).scalar_one_or_none()
        return number

    def unexplained(self, job_name: str, organisation_id: int, night: date, *, reminders: bool) -> int:
        """Return of how many mentors this run did something else than was expected, and nothing in the roster says why.

        ``reminders``: whether what it decides are reminders, else pauses.
        """
        values = {"job_name": job_name, "organisation_id": organisation_id, "night": night, "reminders": reminders}
        number: int = self._connection.execute(statement("unexplained_volume"), values).scalar_one()
        return number

    def changed_since(self, since: datetime) -> int:
        """Return of how many mentors somebody else than this run changed something that decides a night."""
        number: int = self._connection.execute(statement("changed_since"), {"since": since}).scalar_one()
        return number

    def coordinators(self, ids: Iterable[int]) -> dict[int, Named]:
        """Return coordinators by id."""
        query = sa.select(coordinators.c.id, coordinators.c.name, coordinators.c.address)
        rows = self._connection.execute(query.where(coordinators.c.id.in_(list(ids))))
        return {row.id: Named(row.name, row.address) for row in rows}
