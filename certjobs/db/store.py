"""The unit of work: one transaction, fenced where the job is exclusive, with every repository at hand."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from certjobs.db.engine import translated_errors
from certjobs.errors import DryRunExpired, LockHeld, StatementFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import date
    from uuid import UUID

    from certjobs.db.access import Access
    from certjobs.db.alerts import Alerts
    from certjobs.db.certifications import Certifications
    from certjobs.db.coordinators import Coordinators
    from certjobs.db.explanations import Explanations
    from certjobs.db.forecasts import Forecasts
    from certjobs.db.guarded_sets import GuardedSets
    from certjobs.db.history import History
    from certjobs.db.mentors import Mentors
    from certjobs.db.notifications import Notifications
    from certjobs.db.operations import Operations
    from certjobs.db.organisations import Organisations
    from certjobs.db.overview import Overview
    from certjobs.db.reconciliation import Reconciliation
    from certjobs.db.reminders import Reminders
    from certjobs.db.roster import Roster
    from certjobs.db.runs import Runs

DRY_RUN_SECONDS = 20.0
DRY_RUN_LOCK_TIMEOUT = 2.0

# A unit of work opens by saying who acts and, for an exclusive job, by holding its lock row: KEY SHARE makes a takeover
# wait for this transaction and lets the heartbeat through.
_ATTRIBUTE = (
    "SELECT set_config('certjobs.actor', :actor, true), set_config('certjobs.reason', :reason, true),"
    " set_config('certjobs.run_id', :run_id, true), set_config('certjobs.today', :today, true)"
)
_OPEN = sa.text(_ATTRIBUTE)
_OPEN_FENCED = sa.text(
    f"{_ATTRIBUTE} FROM job_lock"
    " WHERE job_name = :fence_job AND fencing_token = :fence_token AND run_id = :fence_run FOR KEY SHARE"
)
_UNBOUNDED = sa.text(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
)
_SNAPSHOT = sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_STATEMENT_TIMEOUT = sa.text("SELECT set_config('statement_timeout', :ms, true)")


@dataclass(frozen=True, slots=True)
class Fence:
    """The proof that a run holds the lock of its job."""

    job_name: str
    run_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who acts, why, in which run, on which day: what the audit triggers write down."""

    actor: str
    reason: str | None = None
    run_id: UUID | None = None
    today: date | None = None


class Store:
    """Every repository, on one transaction, loaded when first asked for. Made anew for each unit of work.

    ``begin_changes`` is called by bulk work before it takes the first lock that others could wait for.
    """

    def __init__(self, connection: sa.Connection, begin_changes: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self.begin_changes = begin_changes

    @cached_property
    def access(self) -> Access:
        """Who may see which mentors."""
        from certjobs.db.access import Access

        return Access(self._connection)

    @cached_property
    def organisations(self) -> Organisations:
        """Organisations and their settings."""
        from certjobs.db.organisations import Organisations

        return Organisations(self._connection)

    @cached_property
    def certifications(self) -> Certifications:
        """Certifications."""
        from certjobs.db.certifications import Certifications

        return Certifications(self._connection)

    @cached_property
    def coordinators(self) -> Coordinators:
        """Coordinators and whose they are."""
        from certjobs.db.coordinators import Coordinators

        return Coordinators(self._connection)

    @cached_property
    def explanations(self) -> Explanations:
        """What explains one mentor; from here on the unit of work only reads."""
        from certjobs.db.explanations import Explanations

        return Explanations(self._connection)

    @cached_property
    def forecasts(self) -> Forecasts:
        """What the coming nights will do."""
        from certjobs.db.forecasts import Forecasts

        return Forecasts(self._connection)

    @cached_property
    def history(self) -> History:
        """What is kept of the past."""
        from certjobs.db.history import History

        return History(self._connection)

    @cached_property
    def mentors(self) -> Mentors:
        """Mentors, their status and who expires."""
        from certjobs.db.mentors import Mentors

        return Mentors(self._connection)

    @cached_property
    def notifications(self) -> Notifications:
        """Notices owed to coordinators."""
        from certjobs.db.notifications import Notifications

        return Notifications(self._connection)

    @cached_property
    def operations(self) -> Operations:
        """The outbox of operations on the public listing."""
        from certjobs.db.operations import Operations

        return Operations(self._connection)

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The comparison of website, ledger and database."""
        from certjobs.db.reconciliation import Reconciliation

        return Reconciliation(self._connection)

    @cached_property
    def alerts(self) -> Alerts:
        """What operations people were told of that lasts."""
        from certjobs.db.alerts import Alerts

        return Alerts(self._connection)

    @cached_property
    def overview(self) -> Overview:
        """How things stand."""
        from certjobs.db.overview import Overview

        return Overview(self._connection)

    @cached_property
    def reminders(self) -> Reminders:
        """The ledger of reminders."""
        from certjobs.db.reminders import Reminders

        return Reminders(self._connection)

    @cached_property
    def guarded_sets(self) -> GuardedSets:
        """Sets that the guard refused."""
        from certjobs.db.guarded_sets import GuardedSets

        return GuardedSets(self._connection)

    @cached_property
    def roster(self) -> Roster:
        """The roster as a whole: import."""
        from certjobs.db.roster import Roster

        return Roster(self._connection)

    @cached_property
    def runs(self) -> Runs:
        """The run log."""
        from certjobs.db.runs import Runs

        return Runs(self._connection)


class UnitOfWork(Protocol):
    """Opens a unit of work; see Database and DryDatabase."""

    def __call__(self, *, bulk: bool = False, snapshot: bool = False) -> AbstractContextManager[Store]:
        """Open one; ``bulk`` for work that takes its time over what only it sees, ``snapshot`` to read one moment."""


class Database:
    """A live database: every unit of work is a transaction of its own."""

    def __init__(self, engine: sa.Engine, attribution: Attribution, fence: Fence | None = None) -> None:
        self._engine = engine
        self._attribution = attribution
        self._fence = fence

    @contextmanager
    def transaction(self, *, bulk: bool = False, snapshot: bool = False) -> Iterator[Store]:
        """Open a unit of work; it commits when the block ends and rolls back when the block raises.

        ``bulk`` lets its statements, and the pauses between them, take as long as they need. With ``snapshot`` it sees
        one moment, however many statements read it, and can write nothing; not for a run that holds a lock. Raises
        LockHeld when another run has taken over the lock: then nothing of this unit of work is written.
        """
        with translated_errors(), self._engine.connect() as connection, connection.begin():
            if snapshot:
                connection.execute(_SNAPSHOT)
            _open(connection, self._attribution, self._fence)
            if bulk:
                connection.execute(_UNBOUNDED)
            yield Store(connection)


class _Patience:
    """How long a dry-run may go on: so long from the first statement that may make others wait."""

    def __init__(self) -> None:
        self.begun = False
        self.until = time.monotonic() + DRY_RUN_SECONDS

    def begin(self) -> None:
        """Begin to count, unless it has begun."""
        if not self.begun:
            self.begun = True
            self.until = time.monotonic() + DRY_RUN_SECONDS

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.until - time.monotonic())


class DryDatabase:
    """The same for a dry-run: one outer transaction, units of work as savepoints, everything rolled back at the end.

    It must not hold the application up: waits for rows are short, and after ``DRY_RUN_SECONDS`` the next unit of work
    is refused.
    """

    def __init__(self, connection: sa.Connection, attribution: Attribution, patience: _Patience | None = None) -> None:
        self._connection = connection
        self._attribution = attribution
        self._patience = patience or _Patience()

    def part(self, attribution: Attribution) -> DryDatabase:
        """Return the same transaction, as long as it may go on, for another run's units of work."""
        return DryDatabase(self._connection, attribution, self._patience)

    @contextmanager
    def transaction(self, *, bulk: bool = False, snapshot: bool = False) -> Iterator[Store]:  # noqa: ARG002 - as live
        """Open a unit of work as a savepoint.

        The time of ``bulk`` work that comes first counts from its ``begin_changes``. A ``snapshot`` cannot be had in
        here: it reads what there is, and what the dry-run has done by then. Raises DryRunExpired once the dry-run has
        held its locks for as long as it may.
        """
        free = bulk and not self._patience.begun
        if not free:
            self._patience.begin()
            if not self._patience.left:
                raise _expired()
        try:
            with translated_errors(), self._connection.begin_nested():
                if free:
                    self._connection.execute(_UNBOUNDED)
                else:
                    self._bound_statements()
                _open(self._connection, self._attribution)
                yield Store(self._connection, self._begin_changes)
        except StatementFailed as exc:
            if self._patience.begun and not self._patience.left:
                raise _expired() from exc
            raise

    def _begin_changes(self) -> None:
        self._patience.begin()
        self._bound_statements()

    def _bound_statements(self) -> None:
        self._connection.execute(_STATEMENT_TIMEOUT, {"ms": f"{int(self._patience.left * 1000) + 1}"})


def _expired() -> DryRunExpired:
    msg = f"The dry-run was rolled back after {DRY_RUN_SECONDS:.0f} s, so as not to hold up the application."
    return DryRunExpired(msg, hint="Narrow it where the command can be, as with --org or --limit.")


@contextmanager
def dry_database(engine: sa.Engine, attribution: Attribution) -> Iterator[DryDatabase]:
    """Open a dry-run's outer transaction; it is rolled back whatever happens."""
    with translated_errors(), engine.connect() as connection:
        outer = connection.begin()
        try:
            connection.execute(
                sa.text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": f"{int(DRY_RUN_LOCK_TIMEOUT * 1000)}"}
            )
            yield DryDatabase(connection, attribution)
        finally:
            outer.rollback()


def _open(connection: sa.Connection, attribution: Attribution, fence: Fence | None = None) -> None:
    values = {
        "actor": attribution.actor,
        "reason": attribution.reason or "",
        "run_id": str(attribution.run_id or ""),
        "today": attribution.today.isoformat() if attribution.today else "",
    }
    if fence is None:
        connection.execute(_OPEN, values)
        return
    held = {"fence_job": fence.job_name, "fence_token": fence.token, "fence_run": fence.run_id}
    if connection.execute(_OPEN_FENCED, values | held).one_or_none() is None:
        msg = f"Another run has taken over the lock of {fence.job_name}; this one stops before its next write."
        raise LockHeld(msg, hint="Nothing to do: the other run does the work. See `certjobs runs`.")
