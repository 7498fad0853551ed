"""How things stand: locks, runs, what the website still shows, findings. Everything here only reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.organisations import Organisations
from certjobs.db.sqlfiles import statement
from certjobs.domain.days import is_time_zone, local
from certjobs.domain.night import Exposed, PastRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

_NOW = sa.text("SELECT transaction_timestamp()")
_FINDINGS = sa.text(
    "SELECT l.finding, count(*), min(l.created_at) FROM reconciliation_log l"
    " WHERE l.cleared_at IS NULL GROUP BY l.finding ORDER BY l.finding"
)
# A partial index answers each.
_NOTICES = sa.text(
    "SELECT (SELECT count(*) FROM notifications n WHERE n.status = 'dead') AS dead,"
    " (SELECT count(*) FROM notifications n WHERE n.status = 'unknown') AS unknown"
)
_HISTORY = sa.text(
    "SELECT r.job_name, r.started_at, r.status, r.exit_code,"
    " extract(epoch FROM r.finished_at - r.started_at)::double precision"
    " FROM scheduler_run_log r WHERE r.started_at >= :since"
    " AND (CAST(:jobs AS text[]) IS NULL OR r.job_name = ANY (CAST(:jobs AS text[])))"
    " ORDER BY r.started_at, r.run_id"
)


@dataclass(frozen=True, slots=True)
class Lock:
    """A job's lock and who holds it.

    ``session_there``: whether the database session that stands for the holder is; ``dead``: whether the next run would
    take over, because it is gone or the holder has been silent for two hours.
    """

    job: str
    run_id: UUID
    holder: str
    since: datetime
    heartbeat_at: datetime | None
    fencing_token: int
    session_there: bool
    dead: bool


@dataclass(frozen=True, slots=True)
class InHand:
    """A notice that a run is sending or an operation that it has claimed.

    ``what`` is ``notice`` or ``operation``, ``kind`` that of the notice or of the operation; ``mentor_ref``: None where
    the mentor is gone; ``leased_until``: when the claim of an operation runs out by itself.
    """

    what: str
    id: int
    mentor_ref: str | None
    kind: str
    attempt: int
    leased_until: datetime | None


@dataclass(frozen=True, slots=True)
class LastRuns:
    """What the run log says of one job; None where there is no such run.

    ``first_started_at``: its first run; ``succeeded_...``: the last that succeeded; ``counted_...`` and ``counts``: the
    last that came to count something; all else: its last run.
    """

    job: str
    first_started_at: datetime | None
    succeeded_run_id: UUID | None
    succeeded_started_at: datetime | None
    succeeded_finished_at: datetime | None
    run_id: UUID | None
    started_at: datetime | None
    finished_at: datetime | None
    status: str | None
    exit_code: int | None
    error_message: str | None
    counted_run_id: UUID | None
    counted_started_at: datetime | None
    counts: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A class of findings of ``reconciliation_log`` that nobody has cleared: how many, and when the oldest was made."""

    finding: str
    open: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Notices that somebody has to look at: ``dead`` were refused or given up, ``unknown`` may have arrived."""

    dead: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a job was expected to do in a night, all organisations together, and what its runs of that night counted."""

    job: str
    night: date
    expected: int
    done: int


class Overview:
    """How things stand, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return when this transaction began, by the database's clock."""
        moment: datetime = self._connection.execute(_NOW).scalar_one()
        return moment

    def exposed(self, limit: int, now: datetime) -> tuple[Sequence[Exposed], int]:
        """Return whom the website still shows though their certification has expired, and how many there are.

        At most ``limit`` of them, those exposed longest first. Days are those of each organisation at ``now``; of an
        organisation without ``website_sync`` nobody counts. An organisation's time zone that does not exist is UTC.
        """
        places = [each for each in Organisations(self._connection).all() if each.website_sync]
        values = {
            "ids": [each.id for each in places],
            "codes": [each.code for each in places],
            "todays": [local(now, each.time_zone).date() for each in places],
            "zones": [each.time_zone if is_time_zone(each.time_zone) else "UTC" for each in places],
            "now": now,
            "limit": limit,
        }
        rows = self._connection.execute(statement("exposed"), values).all()
        found = [Exposed(row.external_ref, row.code, row.since, row.minutes) for row in rows]
        return found, rows[0].total if rows else 0

    def locks(self, jobs: Sequence[str] | None = None) -> Sequence[Lock]:
        """Return who holds which job's lock, by job; only of these jobs where some are given."""
        values = {"jobs": list(jobs) if jobs is not None else None}
        return [Lock(*row) for row in self._connection.execute(statement("lock_holders"), values)]

    def in_hand(self, run_id: UUID) -> Sequence[InHand]:
        """Return what a run, or a run that it began, is sending or has claimed."""
        return [InHand(*row) for row in self._connection.execute(statement("in_hand"), {"run_id": run_id})]

    def last_runs(self, jobs: Sequence[str]) -> Sequence[LastRuns]:
        """Return what the run log says of each of these jobs, in their order."""
        rows = self._connection.execute(statement("last_runs"), {"jobs": list(jobs)})
        return [LastRuns(*row) for row in rows]

    def history(self, since: datetime, jobs: Sequence[str] | None = None) -> Sequence[PastRun]:
        """Return the runs that began at ``since`` or later, oldest first; only of these jobs where some are given."""
        values = {"since": since, "jobs": list(jobs) if jobs is not None else None}
        return [PastRun(*row) for row in self._connection.execute(_HISTORY, values)]

    def missed_nights(self, jobs: Sequence[str], first: date, last: date, time_zone: str) -> Mapping[str, list[date]]:
        """Return the nights of each job on which it never came to a good end, from ``first`` to ``last``, oldest first.

        A night is a date in the time zone, and a run is of the night on whose date it began. Nights before a job's
        first run are not missed.
        """
        values = {"jobs": list(jobs), "first": first, "last": last, "zone": time_zone}
        missed: dict[str, list[date]] = {job: [] for job in jobs}
        for row in self._connection.execute(statement("missed_nights"), values):
            missed[row.job_name].append(row.night)
        return missed

    def open_findings(self) -> Sequence[OpenFinding]:
        """Return the open findings by class."""
        return [OpenFinding(*row) for row in self._connection.execute(_FINDINGS)]

    def undelivered(self) -> Undelivered:
        """Return how many notices somebody has to look at."""
        return Undelivered(*self._connection.execute(_NOTICES).one())

    def expectations(self, counted: Mapping[str, str], today: date, time_zone: str) -> Sequence[Expectation]:
        """Return what was expected of each job's latest night, up to today, that has both a forecast and a run.

        ``counted`` says which count of a job its forecast is about. Nights are dates in the time zone.
        """
        values = {"jobs": list(counted), "counts": list(counted.values()), "today": today, "zone": time_zone}
        return [Expectation(*row) for row in self._connection.execute(statement("expectations"), values)]
