"""Lengths of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)
_UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_WRITTEN = re.compile(rf"([0-9]{{1,10}})([{''.join(_UNITS)}])")


def parse_duration(text: str) -> timedelta:
    """Return a length of time written as a whole number with its unit: 90m, 26h, 2d.

    Raises ValueError, in words that end a sentence, for anything else, for none at all and for more than a century.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        msg = f"{text[:40]!r} is no length of time: write a whole number and s, m, h or d, as 26h, 90m or 2d"
        raise ValueError(msg)
    seconds = int(found[1]) * _UNITS[found[2]]
    if not 0 < seconds <= LONGEST.total_seconds():
        msg = f"{text} is {'more than a hundred years' if seconds else 'no time at all'}"
        raise ValueError(msg)
    return timedelta(seconds=seconds)


def written(length: timedelta) -> str:
    """Return a length of whole seconds as it is written, in hours or in the largest unit that says it exactly."""
    seconds = int(length.total_seconds())
    unit = next(unit for unit in ("h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
