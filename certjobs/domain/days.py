"""Which day it is, where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from certjobs.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from datetime import date, datetime


def is_time_zone(name: str) -> bool:
    """Tell whether a time zone of this name exists."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # an unknown name, a malformed one, a directory's
        return False
    return True


def local(moment: datetime, time_zone: str) -> datetime:
    """Return a moment as the clocks in a time zone show it, in UTC where no such time zone exists."""
    return moment.astimezone(ZoneInfo(time_zone if is_time_zone(time_zone) else "UTC"))


def midnight(moment: datetime, time_zone: str) -> datetime:
    """Return when the day began that it is at a moment in a time zone, or in UTC where no such time zone exists."""
    return local(moment, time_zone).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What "today" means in one command: the date where an organisation is at ``now``, or ``as_of``.

    ``future`` lets ``as_of`` be a day that has not begun there: nothing real may come of that.
    """

    now: datetime
    as_of: date | None = None
    future: bool = False

    def today(self, organisation: str, time_zone: str) -> date:
        """Return today in an organisation's time zone.

        Raises UsageError where --as-of lies in its future, and ConfigurationError where its time zone does not exist.
        """
        if not is_time_zone(time_zone):
            msg = f"The organisation {organisation} has a time zone that does not exist."
            raise ConfigurationError(
                msg, hint=f"Set one, as in `certjobs orgs set {organisation} --time-zone Europe/Oslo --reason TEXT`."
            )
        today = self.now.astimezone(ZoneInfo(time_zone)).date()
        if self.as_of is None:
            return today
        if self.as_of > today and not self.future:
            msg = f"--as-of {self.as_of} lies in the future: for {organisation} it is {today}."
            raise UsageError(msg, hint="A day to come needs --dry-run or --local.")
        return self.as_of
