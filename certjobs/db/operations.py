"""The outbox: operations on the public listing, taken under way and settled under attempt guards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement, stream

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from certjobs.domain.syncing import Settled

_BY_RUN = sa.text("SELECT status, count(*) AS number FROM sync_queue WHERE claimed_by_run = :run_id GROUP BY status")
_TROUBLE = sa.text(
    "SELECT coalesce(m.external_ref, q.mentor_ref, 'a mentor who is gone') AS mentor_ref, q.operation, q.status,"
    " q.failures, q.last_error FROM sync_queue q LEFT JOIN peer_mentors m ON m.id = q.mentor_id"
    " WHERE q.claimed_by_run = :run_id AND q.status IN ('dead', 'failed') ORDER BY q.status, q.id LIMIT :limit"
)
_SENT = sa.text(
    "SELECT m.external_ref AS mentor_ref, q.sent, q.triggered_by_event, q.outcome FROM sync_queue q"
    " JOIN peer_mentors m ON m.id = q.mentor_id"
    " WHERE q.claimed_by_run = :run_id AND q.status = 'done' ORDER BY q.sent, q.id LIMIT :limit"
)

_LET_THROUGH = sa.text(
    "UPDATE sync_queue SET let_through_at = clock_timestamp() WHERE id = ANY (CAST(:ids AS bigint[]))"
)
# Whoever waits longer than a second is looked at for a deadlock, and the application could be the one that is ended.
# What is open is read in the order of its index, a few rows of it: the queue fills and empties faster than statistics
# are made, and a plan that takes it for empty sorts all of it for every claim.
_BRIEFLY = sa.text(
    "SELECT set_config('lock_timeout', '500', true), set_config('enable_sort', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true)"
)
_KEPT = sa.text("SELECT EXISTS (SELECT 1 FROM sync_queue q WHERE q.mentor_ref = :ref)")
_BUT_NOT_LONG = sa.text("SELECT set_config('lock_timeout', '500', true)")  # as above: the application goes first
# Whom references mean: mentors, and those whose row has ended of whom the website is still to be told.
_WHOM = sa.text(
    "SELECT t.ref, coalesce(m.id, (SELECT q.mentor_id FROM sync_queue q WHERE q.mentor_ref = t.ref"
    " ORDER BY q.id DESC LIMIT 1)) AS mentor_id"
    " FROM unnest(CAST(:refs AS text[])) AS t (ref) LEFT JOIN peer_mentors m ON m.external_ref = t.ref"
)
_NOW = sa.text("SELECT clock_timestamp()")
_GUARD_ALONE = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('certjobs_sync_guard', 0))")

LATELY = timedelta(minutes=5)  # so long is looked at for how many operations a minute are done


@dataclass(frozen=True, slots=True)
class Claimed:
    """An operation under way at its n-th attempt: how the portal knows the mentor, and whether to list them.

    ``failures``: how often it failed so far.
    """

    id: int
    attempt: int
    mentor_ref: str
    listed: bool
    failures: int


@dataclass(frozen=True, slots=True)
class Claims:
    """What a claim took: operations to send now, and how many there was nothing to send for."""

    taken: Sequence[Claimed]
    superseded: int

    @property
    def size(self) -> int:
        """How many operations the claim looked at."""
        return len(self.taken) + self.superseded


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The open removals of one organisation that no guarded pause explains and the guard was not asked about.

    ``approved``: how many a person approved; ``unapproved``: the other operations; ``recent``: how many other mentors
    of the organisation the guard let through of late.
    """

    organisation_id: int
    approved: int
    unapproved: Sequence[int]
    recent: int


@dataclass(frozen=True, slots=True)
class Depth:
    """How many operations are open, under way and dead; in how many seconds the next one that waits is due, if any.

    ``left_over``: how many of the open ones were there by the moment that was asked for.
    """

    open: int
    left_over: int
    processing: int
    dead: int
    next_in: float | None


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether there is something to do now; in how many seconds there will be at the latest, where that is known."""

    now: bool
    next_in: float | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """An operation that a run could not carry out."""

    mentor_ref: str
    operation: str
    status: str
    failures: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """An operation that a run carried out: because of what, and how the portal took it."""

    mentor_ref: str
    operation: str
    triggered_by_event: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much there is to do, for how many seconds the oldest open operation has waited, and how fast they go out.

    ``overtaken``: how many of the dead ones something later of the same mentor has taken the place of.
    """

    open: int
    processing: int
    dead: int
    overtaken: int
    oldest_open_seconds: float | None
    done_last_hour: int
    done_per_minute: float


@dataclass(frozen=True, slots=True)
class Listed:
    """An operation as a list shows one. ``mentor_ref``: None where the mentor is gone and the website was told."""

    id: int
    mentor_ref: str | None
    organisation: str | None
    operation: str
    status: str
    triggered_by_event: str
    failures: int
    last_error: str | None
    not_before: datetime | None
    created_at: datetime
    finished_at: datetime | None
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about an operation.

    ``operation`` is what it was queued as, ``wanted`` what the rule asks of the portal now, ``sent`` what was asked of
    it last. ``listed`` is what the portal acknowledged last about the mentor; ``later_id`` the mentor's last operation
    after this one that has not given way. ``handled``: who last decided about it by hand, why and when.
    """

    id: int
    mentor_ref: str | None
    organisation: str | None
    certification_expiry: date | None
    operation: str
    wanted: str | None
    status: str
    triggered_by_event: str
    explained: bool
    actor: str
    caused_by_run: UUID | None
    claimed_by_run: UUID | None
    attempt: int
    failures: int
    sent: str | None
    outcome: str | None
    last_error: str | None
    not_before: datetime | None
    leased_until: datetime | None
    unsure_until: datetime | None
    let_through_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    handled_by: str | None
    handled_reason: str | None
    handled_at: datetime | None
    listed: bool | None
    acknowledged_at: datetime | None
    later_id: int | None
    later_status: str | None


@dataclass(frozen=True, slots=True)
class Named:
    """An operation that a command named: its status before and now; ``gone``: the mentor's row has ended.

    ``overtaken_by``: the later operation of the same mentor because of which it was not let out again.
    """

    id: int
    mentor_ref: str | None
    gone: bool
    operation: str
    before: str
    status: str
    overtaken_by: int | None


@dataclass(frozen=True, slots=True)
class Ordered:
    """A mentor of whom the website is told by hand: what the rule wants, if anything, and the operation queued.

    An operation that is wanted and None met another session's.
    """

    mentor_id: int
    ref: str
    wanted: str | None
    operation_id: int | None


@dataclass(frozen=True, slots=True)
class ListingState:
    """What the rule wants of a mentor now and why, and what became of the operation queued of them, if any.

    ``gone``: their row has ended. ``free``: the guard does not keep the operation; ``under_way``: some operation of the
    mentor is; ``unsure_until``: the opposite may still be carried out so long.
    """

    mentor_ref: str
    gone: bool
    organisation: str | None
    time_zone: str
    rule: str
    status: str | None
    pause_reason: str | None
    certified: bool
    certification_expiry: date | None
    operation_organisation: str | None
    operation: str | None
    operation_status: str | None
    sent: str | None
    outcome: str | None
    last_error: str | None
    finished_at: datetime | None
    not_before: datetime | None
    free: bool | None
    under_way: bool
    unsure_until: datetime | None
    operation_id: int | None


class Operations:
    """The outbox, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._is_brief = False

    def _briefly(self) -> None:
        """Bound the waits and the plans of this transaction."""
        if not self._is_brief:
            self._connection.execute(_BRIEFLY)
            self._is_brief = True

    def claim(self, *, limit: int, lease: float, only: Sequence[int] | None = None) -> Claims:
        """Take at most ``limit`` open operations under way for ``lease`` seconds, each decided from the rule now.

        ``only``: of these mentors alone. Left where they are: those not due yet, those whose mentor has another under
        way, those another session holds, and removals that nothing explains and the guard did not let through.
        """
        self._briefly()
        values = {"limit": limit, "lease": lease, "only": _ids(only)}
        rows = self._connection.execute(statement("claim_operations"), values).all()
        taken = sorted(
            (
                Claimed(row.id, row.attempt, row.ref, row.wanted == "restore", row.failures)
                for row in rows
                if row.wanted is not None
            ),
            key=lambda each: each.id,
        )
        return Claims(taken, len(rows) - len(taken))

    def finish(self, settled: Sequence[Settled], *, most: int) -> tuple[Mapping[str, int], int]:
        """Record what became of operations; return how many have which status now, and how many were queued again.

        One that is no longer this attempt's to record is left alone. What failed ``most`` times is dead. Raises
        StatementFailed where the application is at one of the mentors: it is not kept waiting.
        """
        self._briefly()
        rows = self._connection.execute(
            statement("finish_operations"),
            {
                "ids": [each.operation_id for each in settled],
                "attempts": [each.attempt for each in settled],
                "outcomes": [each.outcome for each in settled],
                "errors": [each.error for each in settled],
                "rests": [each.rest for each in settled],
                "most": most,
            },
        ).all()
        statuses: dict[str, int] = {}
        for row in rows:
            statuses[row.status] = statuses.get(row.status, 0) + 1
        return statuses, rows[0].again if rows else 0

    def reclaim(self) -> int:
        """Let operations whose lease has run out be taken again, and return how many that are.

        Raises StatementFailed where the application is at one of the mentors: it is not kept waiting.
        """
        self._briefly()
        return self._connection.execute(statement("reclaim_operations")).rowcount

    def guard_alone(self) -> None:
        """Wait until no other session is asking the guard, and keep others from it until this transaction ends."""
        self._connection.execute(_GUARD_ALONE)

    def unexplained(
        self, job_name: str, *, window: timedelta, only: Sequence[int] | None = None
    ) -> Sequence[Unexplained]:
        """Return, by organisation, the removals that the guard is to be asked about; approved ones are explained then.

        ``window``: for how long what was let through counts; ``only``: of these mentors alone. What is returned stays
        locked.
        """
        values = {"job_name": job_name, "window": window, "only": _ids(only)}
        rows = self._connection.execute(statement("unexplained_removals"), values)
        return [Unexplained(*row) for row in rows]

    def let_through(self, operations: Sequence[int]) -> None:
        """Record that the guard lets these removals through."""
        self._connection.execute(_LET_THROUGH, {"ids": list(operations)})

    def now(self) -> datetime:
        """Return the database's present moment."""
        moment: datetime = self._connection.execute(_NOW).scalar_one()
        return moment

    def depth(self, only: Sequence[int] | None = None, since: datetime | None = None) -> Depth:
        """Return how much there is to do, and when; ``only``: of these mentors alone; ``since``: see Depth."""
        return Depth(*self._connection.execute(statement("queue_depth"), {"only": _ids(only), "since": since}).one())

    def whom(self, refs: Sequence[str]) -> Mapping[str, int]:
        """Return the mentors of these references, those whose row has ended too while the website has to be told."""
        rows = self._connection.execute(_WHOM, {"refs": list(refs)})
        return {row.ref: row.mentor_id for row in rows if row.mentor_id is not None}

    def order(self, mentors: Sequence[int], *, explained: bool) -> Sequence[Ordered]:
        """Queue an operation for each of these mentors by hand, as the rule wants it now, in their order.

        It takes the place of one that is open. ``explained``: a person named them, so that the guard need not look.
        Raises StatementFailed where another session is at one of them: it is not kept waiting.
        """
        self._connection.execute(_BUT_NOT_LONG)
        rows = self._connection.execute(
            statement("order_operations"), {"mentors": list(mentors), "explained": explained}
        )
        return [Ordered(*row) for row in rows]

    def states(self, mentors: Sequence[tuple[int, str, int | None]]) -> Sequence[ListingState]:
        """Return what the rule wants of mentors now, and what became of the operations that were queued of them.

        Each is given by id, reference and, where one was queued, operation.
        """
        rows = self._connection.execute(
            statement("listing_states"),
            {
                "mentors": [mentor_id for mentor_id, _, _ in mentors],
                "refs": [ref for _, ref, _ in mentors],
                "operations": [operation_id for _, _, operation_id in mentors],
            },
        )
        return [ListingState(*row) for row in rows]

    def ready(self, job_name: str) -> Ready:
        """Tell whether a run would find something to do, or when."""
        self._briefly()
        return Ready(*self._connection.execute(statement("ready_operations"), {"job_name": job_name}).one())

    def account(self, run_id: UUID) -> Mapping[str, int]:
        """Return what became of every operation that a run took, by status."""
        return {row.status: row.number for row in self._connection.execute(_BY_RUN, {"run_id": run_id})}

    def trouble(self, run_id: UUID, limit: int) -> Sequence[Trouble]:
        """Return operations that a run could not carry out, the dead first, at most ``limit``."""
        return [Trouble(*row) for row in self._connection.execute(_TROUBLE, {"run_id": run_id, "limit": limit})]

    def sent(self, run_id: UUID, limit: int) -> Sequence[Sent]:
        """Return operations that a run carried out, removals first, at most ``limit``."""
        return [Sent(*row) for row in self._connection.execute(_SENT, {"run_id": run_id, "limit": limit})]

    # What people do by hand.

    def backlog(self) -> Backlog:
        """Return how much there is to do and how fast it gets done."""
        depth = self.depth()
        pace = self._connection.execute(statement("queue_pace"), {"lately": LATELY}).one()
        per_minute = round(pace.lately / (LATELY / timedelta(minutes=1)), 1)
        return Backlog(
            depth.open, depth.processing, pace.dead, pace.dead - depth.dead, pace.oldest, pace.hour, per_minute
        )

    def keeps(self, ref: str) -> bool:
        """Tell whether an operation is still to be sent of a mentor of this reference whose row has ended."""
        return bool(self._connection.execute(_KEPT, {"ref": ref}).scalar_one())

    def listed(
        self,
        *,
        statuses: Sequence[str] | None = None,
        mentor: str | None = None,
        org: str | None = None,
        operation: str | None = None,
        limit: int | None = None,
    ) -> Generator[Listed]:
        """Yield operations, the newest first."""
        values = {
            "statuses": list(statuses) if statuses is not None else None,
            "mentor": mentor,
            "org": org,
            "operation": operation,
            "limit": limit,
        }
        return stream(self._connection, statement("list_operations"), values, Listed)

    def show(self, operation_id: int) -> Shown | None:
        """Return everything about an operation, or None where there is none of the number."""
        row = self._connection.execute(statement("show_operation"), {"id": operation_id}).one_or_none()
        return Shown(*row) if row else None

    def retry(self, ids: Sequence[int], *, actor: str, reason: str, strict: bool = True) -> Sequence[Named]:
        """Let dead and failed operations be due at once; return every one that exists, with what it was and is.

        A dead one that was overtaken is superseded. Where one of them is over or under way, none is changed if
        ``strict``, or only the others.
        """
        return self._handle("retry_operations", ids, actor, reason, strict=strict)

    def discard(self, ids: Sequence[int], *, actor: str, reason: str) -> Sequence[Named]:
        """Give up on dead and open operations; return every one that exists, with what it was and is.

        Where one of them is over or under way, none is changed.
        """
        return self._handle("discard_operations", ids, actor, reason)

    def _handle(self, name: str, ids: Sequence[int], actor: str, reason: str, **more: bool) -> Sequence[Named]:
        values = {"ids": list(ids), "actor": actor, "reason": reason} | more
        self._connection.execute(statement("lock_mentors_of_operations"), {"ids": list(ids)})
        rows = self._connection.execute(statement(name), values)
        return [Named(*row) for row in rows]


def _ids(only: Sequence[int] | None) -> list[int] | None:
    return None if only is None else list(only)
