"""Pausing and reinstating one mentor by hand (rules 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from certjobs.db.mentors import MentorState
    from certjobs.db.store import Store
    from certjobs.domain.days import Calendar

    Transaction = Callable[[], AbstractContextManager[Store]]

BY_JOB = "expired_cert"  # the pause reason that says the job did it


@dataclass(frozen=True, slots=True)
class Changed:
    """A mentor after the command, whether it changed anything, and what the administrator should know."""

    mentor: MentorState
    changed: bool
    note: str | None = None


def pause(transaction: Transaction, ref: str, reason: str, *, calendar: Calendar) -> Changed:
    """Pause an active mentor for a reason of a person's. Again is nothing.

    Raises UsageError for an unknown mentor, a day to come, or the reason that is the job's own.
    """
    if reason == BY_JOB:
        msg = f"The reason {BY_JOB} is kept for the nightly job."
        raise UsageError(msg, hint="Give another --reason.")
    with transaction() as store:
        mentor = _find(store, ref)
        calendar.today(mentor.organisation, mentor.time_zone)
        if mentor.status == "paused":
            return Changed(mentor, changed=False, note=f"Was already paused ({mentor.pause_reason}).")
        store.mentors.set_status(mentor.id, "paused", reason)
    return Changed(replace(mentor, status="paused", pause_reason=reason), changed=True)


def reinstate(transaction: Transaction, ref: str, *, calendar: Calendar, force: bool) -> Changed:
    """Make a paused mentor active again. Again is nothing.

    Raises UsageError for an unknown mentor or a day to come, and for one without a valid certification on the day
    unless ``force``; the next night pauses such a one again.
    """
    with transaction() as store:
        mentor = _find(store, ref)
        today = calendar.today(mentor.organisation, mentor.time_zone)
        if mentor.status == "active":
            return Changed(mentor, changed=False, note="Was already active.")
        expiry = mentor.certification_expiry
        valid = expiry is not None and expiry >= today
        if not valid and not force:
            ended = f"ended on {expiry}" if expiry else "never existed"
            msg = f"{ref} has no valid certification on {today}: it {ended}."
            raise UsageError(msg, hint="Record the renewal first, or add --force.")
        store.mentors.set_status(mentor.id, "active", None)
    expired = expiry is not None and not valid
    note = "The certification has expired: the next expiry-check pauses this mentor again." if expired else None
    return Changed(replace(mentor, status="active", pause_reason=None), changed=True, note=note)


def _find(store: Store, ref: str) -> MentorState:
    mentor = store.mentors.find_for_update(ref)
    if mentor is None:
        msg = f"There is no mentor with the reference {ref[:100]!r}."
        raise UsageError(msg, hint="References are those of the roster file's column mentor_ref.")
    return mentor
