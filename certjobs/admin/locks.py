"""Taking a job's lock by hand from an owner who is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certjobs.domain.outcome import Outcome
from certjobs.domain.text import counted, lasted
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from certjobs.db.overview import InHand, Lock
    from certjobs.db.runs import NewRun, Released
    from certjobs.db.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A lock that was taken from its owner, what that owner had in hand, and when this was."""

    lock: Lock
    in_hand: Sequence[InHand]
    released: Released
    at: datetime


def unlock(transaction: UnitOfWork, names: Sequence[str], *, run: NewRun) -> Unlocked | None:
    """Take the lock that stands under one of a job's names from an owner who is dead; None where nobody holds it.

    Afterwards the lock is free and the owner's run abandoned, so that the owner can neither write nor send; who did it
    and why stand there, and in ``run``, a row of its own. Raises UsageError, which says who holds it and how alive they
    are, where the owner is not dead or has the lock in use; then nothing is changed.
    """
    with transaction() as store:
        overview = store.overview
        found = overview.locks(names)
        if not found:
            return None
        lock, now = found[0], overview.now()
        in_hand = overview.in_hand(lock.run_id)
        released = store.runs.release_dead(lock, f"Its lock was taken by hand, by {run.actor}: {run.reason}")
        if released is None:
            raise _refused(lock, in_hand, now)
        # The owner's run may have ended long ago, and says so: who and why stand in a row of their own as well.
        store.runs.start(run)
        store.runs.finish(run.run_id, Outcome(message=f"The lock of {lock.job} was taken from run {lock.run_id}."))
        return Unlocked(lock, in_hand, released, now)


def holding(lock: Lock, in_hand: Sequence[InHand], now: datetime) -> Sequence[str]:
    """Say in sentences who holds a lock, how alive they are and what they have in hand."""
    if lock.heartbeat_at is None:
        beat = "it never gave a sign of life"
    else:
        beat = f"its last sign of life was {lasted((now - lock.heartbeat_at).total_seconds())} ago"
    there = "still there" if lock.session_there else "gone"
    had = {what: sum(each.what == what for each in in_hand) for what in ("notice", "operation")}
    has = " and ".join(counted(number, what) for what, number in had.items() if number) or "nothing"
    since = f"{lock.since:%Y-%m-%d %H:%M:%S} UTC"
    alive = f"{beat}, and its database session is {there}"
    who = f"{lock.job} is held by {lock.holder} since {since}, run {lock.run_id}: {alive}."
    return who, f"It has {has} in hand."


def _refused(lock: Lock, in_hand: Sequence[InHand], now: datetime) -> UsageError:
    who = " ".join(holding(lock, in_hand, now))
    if lock.dead:
        msg = f"{who} A unit of work under way has the lock in use, so its owner is not dead. Nothing was changed."
        return UsageError(msg, hint="Run the command again; if that says the same, stop the process that holds it.")
    msg = f"{who} It is alive. Nothing was changed."
    return UsageError(
        msg, hint="Stop that process, or let it end: it gives the lock back, and the next run needs no unlocking."
    )
