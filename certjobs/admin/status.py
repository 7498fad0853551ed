"""How things stand: whether the nights came to a good end, what waits, and whom the website still shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from certjobs.domain.coverage import FORETOLD, NIGHTLY, equations
from certjobs.domain.days import is_time_zone, local

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from certjobs.db.operations import Backlog
    from certjobs.db.overview import Expectation, LastRuns, Lock, OpenFinding, Undelivered
    from certjobs.db.store import UnitOfWork
    from certjobs.domain.coverage import Equation
    from certjobs.domain.night import Exposed

NIGHTS = 14  # that are looked back at
SHOWN = 20  # mentors that are named


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How one job stands.

    ``missed``: nights of the last 14 since its first run without a good end; ``equations``: those of its last run that
    came to count. ``overdue``: whether it has not succeeded for too long; None where it is not asked about.
    """

    runs: LastRuns
    missed: Sequence[date]
    equations: Sequence[Equation]
    overdue: bool | None

    @property
    def job(self) -> str:
        """Return the job's name."""
        return self.runs.job


@dataclass(frozen=True, slots=True)
class Status:
    """How things stood at one moment, by the database's clock. Nights are dates in ``time_zone``.

    ``exposed`` names at most 20, those exposed longest first; ``exposed_total`` counts all.
    """

    at: datetime
    time_zone: str
    max_age: timedelta | None
    jobs: Sequence[JobStatus]
    locks: Sequence[Lock]
    queue: Backlog
    undelivered: Undelivered
    exposed: Sequence[Exposed]
    exposed_total: int
    findings: Sequence[OpenFinding]
    expectations: Sequence[Expectation]

    @property
    def overdue(self) -> Sequence[JobStatus]:
        """Return the jobs that have not succeeded for too long."""
        return [each for each in self.jobs if each.overdue]


def status(transaction: UnitOfWork, *, max_age: timedelta | None, counting: Sequence[str]) -> Status:
    """Return how things stand, all of it as of one moment; nothing is written.

    The nightly jobs are looked at, and others that are ``counting``: those that are overdue where no run of theirs that
    began within ``max_age`` succeeded. A job that never succeeded is overdue.
    """
    jobs = tuple(dict.fromkeys((*NIGHTLY, *counting)))
    with transaction(snapshot=True) as store:
        overview = store.overview
        now = overview.now()
        zones = [each.time_zone for each in store.organisations.all()]
        time_zone = zones[0] if zones and is_time_zone(zones[0]) else "UTC"
        today = local(now, time_zone).date()
        day = timedelta(days=1)
        missed = overview.missed_nights(NIGHTLY, today - NIGHTS * day, today - day, time_zone)
        exposed, exposed_total = overview.exposed(SHOWN, now)
        return Status(
            at=now,
            time_zone=time_zone,
            max_age=max_age,
            jobs=[
                JobStatus(
                    each,
                    missed.get(each.job, ()),
                    equations(each.job, each.counts or {}),
                    None if max_age is None or each.job not in counting else _is_overdue(each, now - max_age),
                )
                for each in overview.last_runs(jobs)
            ],
            locks=overview.locks(),
            queue=store.operations.backlog(),
            undelivered=overview.undelivered(),
            exposed=exposed,
            exposed_total=exposed_total,
            findings=overview.open_findings(),
            expectations=overview.expectations(FORETOLD, today, time_zone),
        )


def _is_overdue(runs: LastRuns, since: datetime) -> bool:
    return runs.succeeded_started_at is None or runs.succeeded_started_at < since
