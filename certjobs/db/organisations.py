"""Organisations and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.tables import organisations
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SETTABLE = ("time_zone", "auto_pause", "remind", "website_sync", "fallback_address")


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation and what the jobs may do for it."""

    id: int
    code: str
    time_zone: str
    auto_pause: bool
    remind: bool
    website_sync: bool
    fallback_address: str | None


_COLUMNS = [organisations.c[name] for name in ("id", "code", *SETTABLE)]


class Organisations:
    """The organisations, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> Sequence[Organisation]:
        """Return every organisation, by code."""
        rows = self._connection.execute(sa.select(*_COLUMNS).order_by(organisations.c.code))
        return [Organisation(*row) for row in rows]

    def get(self, code: str) -> Organisation:
        """Return one organisation. Raises UsageError, which lists those there are, where there is none of the code."""
        known = self.all()
        for each in known:
            if each.code == code:
                return each
        msg = f"There is no organisation {code[:60]!r}."
        raise UsageError(msg, hint=f"Known: {', '.join(each.code for each in known)}.")

    def knows_time_zone(self, name: str) -> bool:
        """Tell whether the database has a time zone of this name: the audit triggers count days by it."""
        zone = sa.text("SELECT EXISTS (SELECT 1 FROM pg_timezone_names WHERE lower(name) = lower(:name))")
        return bool(self._connection.scalar(zone, {"name": name}))

    def update(self, code: str, changes: Mapping[str, Any]) -> bool:
        """Change settings of one organisation; False where there is no such organisation."""
        unknown = set(changes) - set(SETTABLE)
        if unknown:
            msg = f"not a setting of an organisation: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        done = self._connection.execute(sa.update(organisations).where(organisations.c.code == code).values(**changes))
        return done.rowcount == 1
