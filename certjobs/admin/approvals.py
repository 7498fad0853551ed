"""Letting through what the guard refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from certjobs.db.guarded_sets import GuardedSet
    from certjobs.db.store import Store

SHORTEST = 8
_HASH = re.compile(r"[0-9a-f]+")


def approve(
    transaction: Callable[[], AbstractContextManager[Store]], given: str, *, by: str, reason: str
) -> tuple[GuardedSet, datetime]:
    """Approve the one refused set whose hash begins with what was given, and return it and until when.

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
        return found[0], store.guarded_sets.approve(found[0].hash, by=by, reason=reason)
