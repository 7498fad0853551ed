"""When nobody is told: quiet hours and days of the week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PATIENCE = 4  # days, longer than a weekend: a notice that waits for longer waits for a run that never comes
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def parse_hours(text: str) -> tuple[time, time]:
    """Return the first minute and the end of quiet hours as ``22:00-07:00``; raises ValueError in words of its own."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        msg = "it is not written as 22:00-07:00"
        raise ValueError(msg)
    start, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    if start == end:
        msg = "they begin and end at the same time"
        raise ValueError(msg)
    return start, end


def parse_days(text: str) -> frozenset[int]:
    """Return days of the week (0 is Monday) of a list as ``mon-fri`` or ``tue,thu``; raises ValueError, as above."""
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            msg = "it is not a list of days or ranges of days, as mon-fri"
            raise ValueError(msg)
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % len(DAYS) if dash else 0
        found |= {(start + step) % len(DAYS) for step in range(length + 1)}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Quiet:
    """When nobody is told; None for always."""

    hours: tuple[time, time] | None = None
    days: frozenset[int] | None = None

    def now(self, today: date, clock: time) -> bool:
        """Tell whether it is quiet on this day at this time, where the organisation is."""
        if self.days is not None and today.weekday() not in self.days:
            return True
        if self.hours is None:
            return False
        start, end = self.hours
        return start <= clock < end if start < end else clock >= start or clock < end
