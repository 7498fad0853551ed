"""Lengths of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WRITTEN = re.compile(rf"([0-9]{{1,10}})([{''.join(_UNITS)}])")


def parse_duration(text: str) -> timedelta:
    """Return a length of time written as a whole number with its unit: 90m, 26h, 2d.

    Raises ValueError, in words that end a sentence, for anything else, for none at all and for more than a century.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        msg = f"{text[:40]!r} is no length of time: write a whole number and s, m, h or d, as 26h, 90m or 2d"
        raise ValueError(msg)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not timedelta() < length <= LONGEST:
        msg = f"{text} is {'no time at all' if not length else 'more than a hundred years'}"
        raise ValueError(msg)
    return length
