"""What is said of a mentor's place on the public website: why the rule wants it, and what an operation waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.domain.days import local

if TYPE_CHECKING:
    from datetime import date, datetime


def why(
    rule: str,
    *,
    organisation: str | None,
    status: str | None,
    pause_reason: str | None,
    certified: bool,
    until: date | None,
    left: str | None = None,
) -> str:
    """Return why the rule wants what it wants, in words.

    ``until`` is the last valid day, None for one without end; ``left`` the organisation that the mentor has left.
    """
    if rule == "not ours":
        if left:
            return f"left {left} for {organisation}, which is not synchronised"
        return f"{organisation} is not synchronised"
    if rule == "listed":
        return f"active, valid until {until}" if until else "active, valid without end"
    if status != "active":
        return f"paused ({pause_reason})" if pause_reason else "paused"
    if not certified:
        return "no certification"
    return f"expired, was valid until {until}" if until else "expired"


def waits(
    *,
    status: str,
    free: bool,
    under_way: bool,
    unsure_until: datetime | None,
    not_before: datetime | None,
    last_error: str | None,
    time_zone: str,
) -> str:
    """Return what an operation that is not done yet waits for, in words."""
    if status == "processing":
        return "another run has it in hand"
    if not free:
        return "the guard waits for a person"
    if under_way:
        return "another run has an earlier operation of this mentor in hand"
    if unsure_until is not None:
        until = local(unsure_until, time_zone)
        return f"an earlier request was not answered; this one waits until it is surely over, {until:%H:%M %Z}"
    words = last_error or "not sent yet"
    if not_before is not None:
        words = f"{words.rstrip('.')}; due again {local(not_before, time_zone):%H:%M %Z}"
    return words
