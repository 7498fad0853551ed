"""How things stand: whether the nights came to a good end, what waits, and whom the website still shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from certjobs.domain.coverage import FORETOLD, NIGHTLY, equations
from certjobs.domain.days import is_time_zone, local, midnight
from certjobs.domain.durations import written
from certjobs.domain.outcome import Watch
from certjobs.domain.text import counted, lasted

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

    @property
    def message(self) -> str | None:
        """Name the jobs that are overdue, and since when; None where none is."""
        if self.max_age is None or not self.overdue:
            return None
        named = []
        for each in self.overdue:
            last = each.runs.succeeded_started_at
            if last is None:
                named.append(f"{each.job}, which never succeeded")
            else:
                since = last + self.max_age
                late = lasted((self.at - since).total_seconds())
                named.append(f"{each.job} since {_moment(since)} ({late}), last succeeded {_moment(last)}")
        return f"Overdue, with no success in the last {written(self.max_age)}: {'; '.join(named)}."


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


def overdue_watch(found: Status, max_age: timedelta) -> Watch:
    """Judge whether any of the jobs that were asked about is overdue; people hear of it once a day while one is.

    The same jobs and the same age are the same trouble. A day is one in the time zone of the nights.
    """
    jobs = [each.job for each in found.jobs if each.overdue is not None]
    kind = f"overdue after {written(max_age)}: {', '.join(jobs)}"
    if found.message is None:
        return Watch(kind, 0, f"Not overdue any more: {', '.join(jobs)}.")
    shown = counted(found.exposed_total, "mentor")
    return Watch(
        kind,
        len(found.overdue),
        f"{found.message} As far as is known, the website shows {shown} whose certification has expired.",
        alert="overdue",
        hint=_mend([each.job for each in found.overdue]),
        again_since=midnight(found.at, found.time_zone),
    )


def _mend(overdue: Sequence[str]) -> str:
    """Say what makes up for jobs that are overdue, and where to look for why they are."""
    several = len(overdue) > 1 and set(overdue) <= set(NIGHTLY)
    commands = ", ".join(f"`certjobs {job}`" for job in (("nightly",) if several else overdue))
    return (
        f"Run {commands}. Where it was started and failed, `certjobs runs --failed` says how; where it was not, look at"
        " what should have started it."
    )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_overdue(runs: LastRuns, since: datetime) -> bool:
    return runs.succeeded_started_at is None or runs.succeeded_started_at < since
