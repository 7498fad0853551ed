"""How many days ahead coordinators are warned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_DAYS = 3650
DIGITS = 9
DECIDED_FOR_ALL = "decided_for_all"  # the count by which a run says that it looked at every organisation


def parse_thresholds(text: str) -> tuple[int, ...]:
    """Return the days of a list as ``30,14,7``, largest first. 0 is the last valid day itself.

    Raises ValueError, in words, for an empty list, a day twice, a negative one, or what is no number. The words do not
    repeat the list: a secret may have got into the wrong file.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == [""]:
        msg = "the list is empty"
        raise ValueError(msg)
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= DIGITS):
            msg = "it is not a list of numbers of days, as 30,14,7"
            raise ValueError(msg)
    return check_thresholds([int(part) for part in parts])


def check_thresholds(given: Sequence[int]) -> tuple[int, ...]:
    """Return days, largest first. Raises ValueError, in words, as ``parse_thresholds`` does."""
    days = sorted(given, reverse=True)
    if not days:
        msg = "the list is empty"
        raise ValueError(msg)
    if days[-1] < 0:
        msg = f"{days[-1]} lies in the past"
        raise ValueError(msg)
    if len(set(days)) < len(days):
        msg = "a day stands twice"
        raise ValueError(msg)
    if days[0] > MOST_DAYS:
        msg = f"{days[0]} days are more than ten years"
        raise ValueError(msg)
    return tuple(days)


def thresholds_of(
    organisation: str, own: Sequence[int] | None, general: tuple[int, ...], *, own_count: bool
) -> tuple[int, ...]:
    """Return the thresholds that count for an organisation: its own where those count and it has some.

    Raises ConfigurationError where they are no list of days.
    """
    if own is None or not own_count:
        return general
    try:
        return check_thresholds(own)
    except ValueError as exc:
        msg = f"The organisation {organisation} has thresholds that are no list of days: {exc}."
        raise ConfigurationError(
            msg, hint=f"Set them, as in `certjobs orgs set {organisation} --thresholds 30,14,7 --reason TEXT`."
        ) from None
