"""What a run delivers, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

PAUSE, REMINDER = "pause", "reminder"


def rehearsed(key: str, redirect_to: str) -> str:
    """Return the key of a message's rehearsal: another one, or the real message would be dropped as its repetition."""
    return hashlib.sha256(f"rehearsal\n{redirect_to}\n{key}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which notices a run delivers: of which kinds, and of which organisations on which day.

    ``organisations`` are all that the run looks after; ``days`` leaves out those where it is quiet now.
    """

    kinds: Sequence[str]
    organisations: Sequence[int]
    days: Mapping[int, date]

    def values(self) -> dict[str, Any]:
        """Return the parameters of statements that take a scope."""
        return {
            "kinds": list(self.kinds),
            "organisation_ids": list(self.days),
            "todays": list(self.days.values()),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one claimed notice at its n-th attempt.

    ``outcome`` is sent, failed (``rest`` seconds until it may be tried again), limited, refused, unknown, or released:
    claimed, and not tried.
    """

    notice_id: int
    attempt: int
    outcome: str
    message_id: str | None = None
    error: str | None = None
    rest: float | None = None
