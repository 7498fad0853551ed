"""What became of operations on the public listing, and how long what failed rests."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

RETRY_AFTER = (2, 10, 60, 10 * 60, 60 * 60, 4 * 60 * 60, 12 * 60 * 60)  # seconds that an operation rests, by failures
MOST_FAILURES = 12  # about four days; then it is dead, and a person has to look
PUBLIC_AFTER = timedelta(minutes=15)  # by then the public site shows what the portal acknowledged
JITTER = 0.2  # so that what failed together does not come back together


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one operation at its n-th attempt; ``rest``: seconds until it may be tried again.

    ``outcome`` is one of ``ports.ListingResult``.
    """

    operation_id: int
    attempt: int
    outcome: str
    error: str | None = None
    rest: float | None = None


def rest_after(failures: int) -> float:
    """Return how many seconds an operation rests after its n-th failure (from 1): up to half a day, give or take."""
    seconds = RETRY_AFTER[min(failures, len(RETRY_AFTER)) - 1]
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - nobody gains by guessing it
