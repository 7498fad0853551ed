"""The run log: one row a start, kept current, read by people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.domain.coverage import WHOLE_NIGHT
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from uuid import UUID

    from certjobs.db.overview import Lock
    from certjobs.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run before it does anything."""

    run_id: UUID
    job_name: str
    trigger: str
    as_of: date | None
    host: str
    version: str
    actor: str
    reason: str | None = None
    parent_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the run log."""

    run_id: UUID
    job_name: str
    parent_run_id: UUID | None
    trigger: str
    as_of: date | None
    started_at: datetime
    finished_at: datetime | None
    heartbeat_at: datetime | None
    status: str
    exit_code: int | None
    error_message: str | None
    counts: dict[str, Any]
    host: str
    version: str
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Released:
    """A lock that was taken from a dead owner: the fencing token now, and whether its run was still called running."""

    fencing_token: int
    abandoned: bool


# What every run does is written out: composing a statement takes longer than carrying it out.
_EXISTS = sa.text("SELECT EXISTS (SELECT 1 FROM scheduler_run_log WHERE run_id = :run_id)")
# The latest night, whatever the order in which the nights were run; each half is one look into an index.
_ENDED = (
    "r.job_name = :job_name AND (r.status IN ('succeeded', 'partial') OR r.exit_code = :refused) AND r.counts ? :whole"
)
_LAST_NIGHT = sa.text(
    "SELECT greatest((SELECT certjobs_night_of(r, :time_zone) FROM scheduler_run_log r"
    f" WHERE {_ENDED} AND r.as_of IS NULL ORDER BY r.started_at DESC LIMIT 1),"
    f" (SELECT r.as_of FROM scheduler_run_log r WHERE {_ENDED} AND r.as_of IS NOT NULL ORDER BY r.as_of DESC LIMIT 1))"
)
_ABANDON = sa.text("SELECT certjobs_abandon_dead_runs(:run_id)")


class Runs:
    """The run log, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def start(self, run: NewRun) -> None:
        """Write the running row; the session that writes it stands for the run being alive."""
        self._connection.execute(statement("start_run"), asdict(run))

    def finish(self, run_id: UUID, outcome: Outcome) -> bool:
        """Write the outcome; False where the run was meanwhile declared abandoned, which then stands."""
        done = self._connection.execute(
            statement("finish_run"),
            {
                "run_id": run_id,
                "status": outcome.exit_code.status,
                "exit_code": int(outcome.exit_code),
                "error_message": outcome.message,
                "counts": json.dumps(dict(outcome.counts)),
            },
        )
        return done.rowcount == 1

    def exists(self, run_id: UUID) -> bool:
        """Tell whether the run has a row here."""
        return self._connection.scalar(_EXISTS, {"run_id": run_id}) or False

    def abandon_dead(self, run_id: UUID) -> int:
        """Mark every running run whose process is proven gone as abandoned, and return how many there were."""
        abandoned: int = self._connection.execute(_ABANDON, {"run_id": run_id}).scalar_one()
        return abandoned

    def last_night(self, job_name: str, time_zone: str) -> date | None:
        """Return the last night that a run of a job did as a whole: to its end, or up to what the guard refused."""
        night: date | None = self._connection.execute(
            _LAST_NIGHT,
            {"job_name": job_name, "time_zone": time_zone, "refused": int(ExitCode.GUARD), "whole": WHOLE_NIGHT},
        ).scalar_one_or_none()
        return night

    def release_dead(self, lock: Lock, error_message: str) -> Released | None:
        """Take a lock, as it was found, from an owner who is dead, and mark its run abandoned with this message.

        Afterwards that owner can neither write nor send. None, and nothing is changed, where the owner is not dead, has
        given a sign of life since, or holds the lock in a unit of work under way.
        """
        values = {
            "job_name": lock.job,
            "fencing_token": lock.fencing_token,
            "heartbeat_at": lock.heartbeat_at,
            "error_message": error_message,
        }
        row = self._connection.execute(statement("release_dead_lock"), values).one_or_none()
        return Released(*row) if row is not None else None

    def recent(self, *, job_names: Sequence[str], failed: bool, limit: int) -> Sequence[Run]:
        """Return the latest runs, newest first; only those that did not succeed where ``failed``.

        ``job_names``: only of a job that has, or had, one of these names; of every job where there are none.
        """
        from certjobs.db.tables import scheduler_run_log as log

        query = (
            sa.select(*(log.c[name] for name in Run.__slots__))
            .order_by(log.c.started_at.desc(), log.c.run_id)
            .limit(limit)
        )
        if job_names:
            query = query.where(log.c.job_name.in_(job_names))
        if failed:
            query = query.where(log.c.status.in_(("failed", "partial", "abandoned")))
        return [Run(*row) for row in self._connection.execute(query)]

    def find(self, prefix: str) -> Sequence[Run]:
        """Return the runs whose id begins with the prefix, at most two: enough to see that it is ambiguous."""
        from certjobs.db.tables import scheduler_run_log as log

        return [
            Run(*row)
            for row in self._connection.execute(
                sa.select(*(log.c[name] for name in Run.__slots__))
                .where(sa.cast(log.c.run_id, sa.Text).startswith(prefix.lower(), autoescape=True))
                .order_by(log.c.started_at.desc())
                .limit(2)
            )
        ]
