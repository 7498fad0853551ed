"""Which day it is, where."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import date, datetime


def is_time_zone(name: str) -> bool:
    """Tell whether a time zone of this name exists."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # an unknown name, a malformed one, a directory's
        return False
    return True


def local_date(moment: datetime, organisation: str, time_zone: str) -> date:
    """Return the date of a moment in an organisation's time zone.

    Raises ConfigurationError when there is no such time zone.
    """
    if not is_time_zone(time_zone):
        msg = f"The organisation {organisation} has a time zone that does not exist."
        raise ConfigurationError(
            msg, hint=f"Set one, as in `certjobs orgs set {organisation} --time-zone Europe/Oslo`."
        )
    return moment.astimezone(ZoneInfo(time_zone)).date()
