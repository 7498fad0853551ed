"""Letting through what the guard refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from certjobs.db.guarded_sets import GuardedSet
    from certjobs.db.store import Store

SHORTEST = 8
SHOWN = 50
_HASH = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Approved:
    """A set, the references of its first mentors, and until when it may be done."""

    guarded: GuardedSet
    mentors: Sequence[str]
    until: datetime


def approve(transaction: Callable[[], AbstractContextManager[Store]], given: str, *, by: str, reason: str) -> Approved:
    """Approve the one refused set whose hash begins with what was given.

    For 48 hours the job's runs may do that set or what is left of it. Raises UsageError where no set or more than one
    answers to the hash.
    """
    prefix = given.strip().lower()
    if len(prefix) < SHORTEST or not _HASH.fullmatch(prefix):
        msg = f"{given[:80]!r} is not a hash: give at least its first {SHORTEST} characters."
        raise UsageError(msg, hint="The refused run's message and alert name it.")
    with transaction() as store:
        found = store.guarded_sets.find(prefix)
        if len(found) != 1:
            msg = f"{'No refused set' if not found else 'More than one refused set'} has a hash that begins {prefix}."
            raise UsageError(msg, hint="Take the hash from the refused run: `certjobs runs`, or run the job again.")
        full = found[0].hash
        until = store.guarded_sets.approve(full, by=by, reason=reason)
        return Approved(found[0], store.guarded_sets.members(full, SHOWN), until)
