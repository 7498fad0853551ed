"""Notices by hand: looking at them, trying again, giving up on some, and not being told for a while."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from certjobs.admin import find
from certjobs.domain.thresholds import MOST_DAYS
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from certjobs.db.notifications import Attempt, Listed, Snooze
    from certjobs.db.store import Store, UnitOfWork
    from certjobs.domain.days import Calendar

KINDS = ("pause", "reminder")
STATUSES = (
    "open",
    "pending",
    "sending",
    "sent",
    "failed",
    "dead",
    "unknown",
    "suppressed",
    "superseded",
    "discarded",
)
RETRIED = ("failed", "dead", "unknown", "discarded")
DISCARDED = ("pending", "failed", "dead", "unknown")


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice with every attempt to send it."""

    notice: Listed
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class Handled:
    """Which notices a command changed, as they are now, and which it left as they were."""

    changed: Sequence[Listed]
    unchanged: Sequence[Listed]


@contextmanager
def listed(transaction: UnitOfWork, **filters: Any) -> Iterator[Iterator[Listed]]:
    """Give the notices that pass the filters, newest first, as a stream that lasts as long as the block.

    Raises UsageError for a status, kind, mentor, coordinator or organisation that does not exist.
    """
    for name, known in (("status", STATUSES), ("kind", KINDS)):
        given = filters.get(name)
        if given is not None and given not in known:
            msg = f"There are no notices of the {name} {given[:20]!r}."
            raise UsageError(msg, hint=f"Known: {', '.join(known)}.")
    with transaction(bulk=True) as store:
        if filters.get("mentor"):
            filters["mentor"] = find.mentor(store, filters["mentor"], lock=False).ref
        if filters.get("coordinator"):
            filters["coordinator"] = find.coordinator(store, filters["coordinator"])[1].address
        if filters.get("org"):
            store.organisations.get(filters["org"])
        with closing(store.notifications.listed(**filters)) as found:
            yield found


def show(transaction: UnitOfWork, number: int) -> Shown:
    """Return a notice with its attempts. Raises UsageError where there is none of the number."""
    with transaction() as store:
        (notice,) = _existing(store, [number])
        return Shown(notice, store.notifications.attempts(number))


def retry(transaction: UnitOfWork, numbers: Sequence[int], *, actor: str, reason: str) -> Handled:
    """Let notices that failed, are dead, discarded, or unknown be owed again, under the same key, at once.

    Others stay as they are. One that may have arrived (unknown) can arrive twice: that is for the person to judge.
    Raises UsageError where one of them does not exist; then none is changed.
    """
    return _handle(transaction, numbers, "pending", RETRIED, actor=actor, reason=reason)


def discard(transaction: UnitOfWork, numbers: Sequence[int], *, actor: str, reason: str) -> Handled:
    """Give up on notices that are owed, dead or unknown: they are never sent, unless tried again by hand.

    Others stay as they are. Raises UsageError where one of them does not exist; then none is changed.
    """
    return _handle(transaction, numbers, "discarded", DISCARDED, actor=actor, reason=reason)


def _handle(
    transaction: UnitOfWork, numbers: Sequence[int], status: str, of: Sequence[str], *, actor: str, reason: str
) -> Handled:
    with transaction() as store:
        _existing(store, numbers)
        changed = set(store.notifications.set_status(numbers, status, of=of, actor=actor, reason=reason))
        after = _existing(store, numbers)
    return Handled([each for each in after if each.id in changed], [each for each in after if each.id not in changed])


def _existing(store: Store, numbers: Sequence[int]) -> list[Listed]:
    found = sorted(store.notifications.listed(ids=numbers), key=lambda each: each.id)
    missing = sorted(set(numbers) - {each.id for each in found})
    if missing:
        msg = f"There is no notice {', '.join(map(str, missing[:10]))}."
        raise UsageError(msg, hint="Their numbers are those of `certjobs notifications list`.")
    return found


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Who need not be told of what until when."""

    mentor_ref: str
    coordinator: str
    threshold_day: int
    until: date


def snooze(
    transaction: UnitOfWork,
    ref: str,
    address: str,
    *,
    threshold: int,
    until: date,
    calendar: Calendar,
    actor: str,
    reason: str,
) -> Snoozed:
    """Let one coordinator not be told of one threshold of one mentor before a day; smaller thresholds are not covered.

    The latest word counts: a day that has come ends a snooze. Raises UsageError where mentor or coordinator do not
    exist or do not belong together, and for a threshold that is none.
    """
    if not 0 <= threshold <= MOST_DAYS:
        msg = f"{threshold} is not a threshold."
        raise UsageError(msg, hint="A threshold is the number of days ahead, as 30.")
    with transaction() as store:
        mentor = find.mentor(store, ref, lock=False)
        coordinator_id, coordinator = find.coordinator(store, address)
        if not store.coordinators.is_of(coordinator_id, mentor.id):
            msg = f"That is not a coordinator of {mentor.ref}."
            raise UsageError(msg, hint=f"See `certjobs mentors show {mentor.ref}`.")
        calendar.today(mentor.organisation, mentor.time_zone)
        store.notifications.snooze(
            mentor_id=mentor.id,
            coordinator_id=coordinator_id,
            threshold=threshold,
            until=until,
            actor=actor,
            reason=reason,
        )
    return Snoozed(mentor.ref, coordinator.address, threshold, until)


@contextmanager
def snoozes(transaction: UnitOfWork, limit: int | None) -> Iterator[Iterator[Snooze]]:
    """Give the snoozes, the next to end first, as a stream that lasts as long as the block."""
    with transaction(bulk=True) as store, closing(store.notifications.snoozes(limit)) as found:
        yield found
