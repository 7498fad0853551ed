"""Notices owed to coordinators: what may be sent now, claiming it just before it is sent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement, stream
from certjobs.db.tables import notifications
from certjobs.domain.quiet import PATIENCE
from certjobs.ports import Message, Notice

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from certjobs.domain.delivery import Delivery, Scope

_NOTICE = [name for name in Notice.__slots__ if name != "id"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim gave: messages to send now, and how many notices turned out not to be.

    ``added`` are notices owed since then to who became a recipient of the same causes meanwhile.
    """

    messages: Sequence[Message]
    suppressed: int
    superseded: int
    added: Sequence[int]


@dataclass(frozen=True, slots=True)
class StillOpen:
    """How many notices are owed; those of them with nobody to go to, and those that wait as they should.

    ``elsewhere`` are in the hands of another run. ``overslept`` of the quiet ones wait for so many days that no run can
    have found it otherwise.
    """

    open: int
    nobody: int
    snoozed: int
    quiet: int
    elsewhere: int
    overslept: int

    @property
    def late(self) -> int:
        """How many could have been sent by now, if somebody were there or all had gone well."""
        return self.open - self.snoozed - self.quiet - self.elsewhere


@dataclass(frozen=True, slots=True)
class Account:
    """What a run owes: from its causes on one side, from the notices' statuses on the other, in one snapshot.

    ``recorded`` is the sum of the statuses after it. ``added`` are notices for recipients who came later.
    """

    reminders: int
    pauses: int
    due: int
    recorded: int
    added: int
    sent: int
    suppressed: int
    superseded: int
    dead: int
    unknown: int
    discarded: int
    open: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A notice as a list shows one. ``handled``: who last decided about it by hand, why and when."""

    id: int
    kind: str
    status: str
    mentor_ref: str | None
    certification_expiry: date
    threshold_day: int | None
    coordinator: str | None
    attempt: int
    not_before: datetime | None
    created_at: datetime
    sent_at: datetime | None
    last_error: str | None
    handled_by: str | None
    handled_reason: str | None
    handled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a notice."""

    occurred_at: datetime
    attempt: int
    channel: str | None
    outcome: str
    error: str | None
    message_id: str | None
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Snooze:
    """Who need not be told of what until when."""

    mentor_ref: str
    coordinator: str
    threshold_day: int
    until: date
    reason: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class Owed:
    """What one recipient hears by a run, or what of it waits and why: for a dry-run to show.

    ``waits`` is None, ``nobody``, ``snoozed`` or ``later``.
    """

    recipient: str
    waits: str | None
    notices: Sequence[Mapping[str, Any]]


class Notifications:
    """The notices, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add_new_recipients(self, scope: Scope, ids: Sequence[int] | None = None) -> Sequence[int]:
        """Owe the open notices to coordinators who were assigned since, and return the new ones.

        With ``ids`` only because of these notices, open or not.
        """
        values = {
            "kinds": list(scope.kinds),
            "organisation_ids": list(scope.organisations),
            "ids": list(ids) if ids is not None else None,
        }
        return self._connection.scalars(statement("add_new_recipients"), values).all()

    def suppress(self, mentor_ids: Sequence[int], run_id: UUID) -> int:
        """Suppress the pause notices that a run owes because of these mentors, and return how many that are."""
        return self._connection.execute(
            sa.update(notifications)
            .where(
                notifications.c.caused_by_run == run_id,
                notifications.c.mentor_id.in_(mentor_ids),
                notifications.c.kind == "pause",
                notifications.c.status == "pending",
            )
            .values(status="suppressed", last_error="Paused by a baseline run, of which nobody is told.")
        ).rowcount

    def interrupted(self, scope: Scope) -> Sequence[int]:
        """Return the notices whose sender died between claiming and recording."""
        return self._connection.scalars(statement("interrupted_notices"), {"kinds": list(scope.kinds)}).all()

    def settle_interrupted(self, ids: Sequence[int], *, channel: str, honours_keys: bool) -> int:
        """Settle notices that were cut short, but for those another session holds; return of how many nobody knows.

        Where the channel drops repeated keys they are owed again, under the same key; elsewhere they become
        ``unknown``, for a person to look at.
        """
        values = {"ids": list(ids), "channel": channel, "honours_keys": honours_keys}
        unknown: int = self._connection.execute(statement("settle_interrupted"), values).scalar_one()
        return unknown

    def owed(self, scope: Scope, *, gathers: bool, ids: Sequence[int] | None = None) -> Sequence[Sequence[int]]:
        """Return the ids of the notices that may be sent now: a group each, or one a recipient where it is gathered.

        With ``ids`` only of these.
        """
        values = scope.values() | {"gathers": gathers, "ids": list(ids) if ids is not None else None}
        return self._connection.scalars(statement("owed_notices"), values).all()

    def claim(self, scope: Scope, ids: Sequence[int], *, channel: str, gathers: bool) -> Claim:
        """Look at notices again and make them ``sending``, those that may still be sent (rule 4).

        A pause notice whose mentor is active again, a reminder whose mentor is not or whose expiry date has changed,
        and a notice to who is no longer the mentor's coordinator are suppressed; a reminder of an expired certification
        is superseded. One whose recipient has no address stays owed, and so does one that is snoozed. Whoever became a
        coordinator since is owed the notice too. With ``gathers`` all that goes to one address is one message.
        """
        values = scope.values() | {"ids": list(ids), "channel": channel, "gathers": gathers}
        rows = self._connection.execute(statement("claim_notices"), values).all()
        sending = [row for row in rows if row.status == "sending"]
        groups: dict[str, list[sa.Row[Any]]] = {}
        for row in sending:
            groups.setdefault(row.key if gathers else str(row.id), []).append(row)
        still = [row.id for row in rows if row.status == "sending" or row.replaced]
        return Claim(
            [_message(group) for group in groups.values()],
            sum(row.status == "suppressed" for row in rows),
            sum(row.status == "superseded" for row in rows),
            self.add_new_recipients(scope, still) if still else (),
        )

    def record(self, deliveries: Sequence[Delivery]) -> dict[str, int]:
        """Record what became of claimed notices, with a row each in the dispatch log; return how many, by outcome.

        One that is no longer this attempt's to record is left alone and not counted.
        """
        rows = self._connection.execute(
            statement("record_deliveries"),
            {
                "ids": [each.notice_id for each in deliveries],
                "attempts": [each.attempt for each in deliveries],
                "outcomes": [each.outcome for each in deliveries],
                "message_ids": [each.message_id for each in deliveries],
                "errors": [each.error for each in deliveries],
                "rests": [each.rest for each in deliveries],
            },
        )
        return {row.outcome: row.number for row in rows}

    def still_open(self, scope: Scope) -> StillOpen:
        """Return how many notices are still owed, and why."""
        values = scope.values() | {"all_organisation_ids": list(scope.organisations), "patience": PATIENCE}
        return StillOpen(*self._connection.execute(statement("open_notices"), values).one())

    def account(self, run_id: UUID) -> Account:
        """Return what a run owes and what became of it."""
        return Account(*self._connection.execute(statement("owed_by_run"), {"run_id": run_id}).one())

    def heard_by(self, run_id: UUID, days: Mapping[int, date], limit: int) -> Sequence[Owed]:
        """Return who hears what by a run, and what waits, recipient by recipient, at most ``limit`` of them.

        ``days``: what today is for each organisation.
        """
        values = {"run_id": run_id, "limit": limit, "organisation_ids": list(days), "todays": list(days.values())}
        return [Owed(*row) for row in self._connection.execute(statement("owed_by_recipient"), values)]

    # What people do by hand.

    def listed(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        mentor: str | None = None,
        coordinator: str | None = None,
        org: str | None = None,
        ids: Sequence[int] | None = None,
        limit: int | None = None,
    ) -> Generator[Listed]:
        """Yield notices, the newest first; ``status`` open stands for pending, sending and failed."""
        values = {
            "status": status,
            "kind": kind,
            "mentor": mentor,
            "coordinator": coordinator,
            "org": org,
            "ids": list(ids) if ids is not None else None,
            "limit": limit,
        }
        return stream(self._connection, statement("list_notices"), values, Listed)

    def attempts(self, notification_id: int) -> Sequence[Attempt]:
        """Return every attempt to send a notice, the newest first."""
        rows = self._connection.execute(statement("list_attempts"), {"id": notification_id})
        return [Attempt(*row) for row in rows]

    def set_status(
        self, ids: Sequence[int], status: str, *, of: Sequence[str], actor: str, reason: str
    ) -> Sequence[int]:
        """Let notices of certain statuses become another, and return which did; who and why stand on each."""
        changed = self._connection.execute(
            sa.update(notifications)
            .where(notifications.c.id.in_(list(ids)), notifications.c.status.in_(list(of)))
            .values(
                status=status,
                not_before=None,
                handled_by=actor,
                handled_reason=reason,
                handled_at=sa.func.clock_timestamp(),
            )
            .returning(notifications.c.id)
        )
        return sorted(changed.scalars())

    def snooze(
        self, *, mentor_id: int, coordinator_id: int, threshold: int, until: date, actor: str, reason: str
    ) -> None:
        """Let a coordinator not be told of one threshold of one mentor before a day; the latest word counts."""
        self._connection.execute(
            statement("snooze"),
            {
                "mentor_id": mentor_id,
                "coordinator_id": coordinator_id,
                "threshold_day": threshold,
                "until": until,
                "actor": actor,
                "reason": reason,
            },
        )

    def snoozes(self, limit: int | None = None) -> Generator[Snooze]:
        """Yield the snoozes, the next to end first."""
        return stream(self._connection, statement("list_snoozes"), {"limit": limit}, Snooze)


def _message(rows: Sequence[Any]) -> Message:
    first = rows[0]
    return Message(
        first.key,
        first.today,
        first.recipient_name,
        first.recipient_address,
        first.language,
        tuple(Notice(row.id, *(getattr(row, name) for name in _NOTICE)) for row in rows),
    )
