"""The session that stands for a run: it writes the running row, holds the job's lock and sends the heartbeat.

The lock is a row that names its holder's database session; when that session is gone, so is the holder, and the next
run takes over at once. The session is opened past any connection pooler, whose sessions outlive their clients.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.engine import translated_errors
from certjobs.db.runs import NewRun, Runs
from certjobs.db.store import Fence
from certjobs.errors import CertjobsError, LockHeld, StatementFailed

if TYPE_CHECKING:
    from certjobs.ports import Log

_LAST_BEAT = 10.0  # seconds that the end of a run waits for a heartbeat under way

_ACQUIRE = sa.text("SELECT token, held_by, held_since FROM certjobs_acquire_lock(:job_name, :run_id, :holder)")
_RELEASE = sa.text("DELETE FROM job_lock WHERE job_name = :job_name AND fencing_token = :fence_token")
_ALIVE = (
    "SET heartbeat_at = clock_timestamp(), backend_pid = pg_backend_pid(), backend_start = certjobs_session_start()"
)
_BEAT_LOCK = sa.text(f"UPDATE job_lock {_ALIVE} WHERE job_name = :job_name AND fencing_token = :fence_token")
_BEAT_RUN = sa.text(f"UPDATE scheduler_run_log {_ALIVE} WHERE run_id = :run_id AND status = 'running'")


class RunSession:
    """One run's own database session, open for as long as the run lasts.

    The caller uses it up to ``beat``; from there the heartbeat's thread does, until ``close``.
    """

    def __init__(self, engine: sa.Engine, run: NewRun, *, heartbeat_seconds: float, log: Log) -> None:
        self._engine = engine
        self._run = run
        self._every = heartbeat_seconds
        self._log = log
        self._fence: Fence | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        with translated_errors():
            self._connection = engine.connect()

    def start(self) -> None:
        """Commit the running row."""
        with translated_errors(), self._connection.begin():
            Runs(self._connection).start(self._run)

    def acquire(self) -> Fence:
        """Take the lock of the run's job, at once from a dead owner.

        Raises LockHeld, naming the holder, when another live run has it.
        """
        run = self._run
        try:
            with translated_errors(), self._connection.begin():
                row = self._connection.execute(
                    _ACQUIRE,
                    {"job_name": run.job_name, "run_id": run.run_id, "holder": f"{run.actor} on {run.host}"},
                ).one()
        except StatementFailed as exc:
            if not exc.busy:
                raise
            msg = f"The lock of {run.job_name} is being changed by another session ({exc.reason})."
            raise LockHeld(msg, hint="Run the command again.") from exc
        if row.token is None:
            msg = f"{run.job_name} is already running: {row.held_by}, since {row.held_since:%Y-%m-%d %H:%M:%S} UTC."
            raise LockHeld(msg, hint="Nothing to do: that run does the work. See `certjobs runs`.")
        self._fence = Fence(run.job_name, run.run_id, row.token)
        return self._fence

    def abandon_dead_runs(self) -> int:
        """Mark earlier runs whose process is proven gone as abandoned, and return how many there were."""
        with translated_errors(), self._connection.begin():
            return Runs(self._connection).abandon_dead(self._run.run_id)

    def beat(self) -> None:
        """Begin to say regularly that this run is alive, on a thread of its own."""
        self._thread = threading.Thread(target=self._beat_until_ended, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the heartbeat, give the lock back where it is still ours, and close the session.

        Never raises: a lock that cannot be given back is taken over by the next run, for its session is gone.
        """
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_LAST_BEAT)
        try:
            if self._fence is not None and not (self._thread and self._thread.is_alive()):
                with translated_errors(), self._connection.begin():
                    self._connection.execute(_RELEASE, self._ours(self._fence))
        except (CertjobsError, StatementFailed) as exc:
            self._log.warning("lock.not_released", job=self._run.job_name, error=str(exc))
        finally:
            self._connection.invalidate()
            self._connection.close()

    def _beat_until_ended(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._beat()
            except (CertjobsError, StatementFailed) as exc:
                self._log.warning("heartbeat.failed", error=str(exc))

    def _beat(self) -> None:
        """Say that we are alive, on a new session where the old one was lost."""
        with translated_errors():
            if self._connection.invalidated or self._connection.closed:
                self._connection.close()
                self._connection = self._engine.connect()
            with self._connection.begin():
                # The lock row first, then the run row: a takeover takes them in this order too.
                if self._fence is not None:
                    self._connection.execute(_BEAT_LOCK, self._ours(self._fence))
                self._connection.execute(_BEAT_RUN, {"run_id": self._run.run_id})

    @staticmethod
    def _ours(fence: Fence) -> dict[str, str | int]:
        return {"job_name": fence.job_name, "fence_token": fence.token}
