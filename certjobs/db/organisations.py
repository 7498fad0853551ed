"""Organisations and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from certjobs.db.tables import chapters, organisations
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SETTABLE = ("time_zone", "thresholds", "auto_pause", "remind", "website_sync", "fallback_address")


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation and what the jobs may do for it; ``thresholds`` None for those of the settings."""

    id: int
    code: str
    time_zone: str
    thresholds: Sequence[int] | None
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

    def by_id(self, organisation_id: int) -> Organisation:
        """Return the organisation of an id that a row refers to."""
        query = sa.select(*_COLUMNS).where(organisations.c.id == organisation_id)
        return Organisation(*self._connection.execute(query).one())

    def chapters(self, organisation_id: int) -> dict[str, int]:
        """Return the chapters of an organisation by name."""
        rows = self._connection.execute(
            sa.select(chapters.c.name, chapters.c.id)
            .where(chapters.c.organisation_id == organisation_id)
            .order_by(chapters.c.name)
        )
        return {row.name: row.id for row in rows}

    def add_chapter(self, organisation_id: int, name: str) -> int:
        """Add a chapter and return its id."""
        made: int = self._connection.execute(
            pg.insert(chapters)
            .values(organisation_id=organisation_id, name=name)
            .on_conflict_do_update(index_elements=["organisation_id", "name"], set_={"name": name})  # added meanwhile
            .returning(chapters.c.id)
        ).scalar_one()
        return made

    def knows_time_zone(self, name: str) -> bool:
        """Tell whether the database has a time zone of this name: the audit triggers count days by it."""
        zone = sa.text("SELECT EXISTS (SELECT 1 FROM pg_timezone_names WHERE lower(name) = lower(:name))")
        return bool(self._connection.scalar(zone, {"name": name}))

    def update(self, code: str, changes: Mapping[str, Any]) -> None:
        """Change settings of one organisation."""
        unknown = set(changes) - set(SETTABLE)
        if unknown:
            msg = f"not a setting of an organisation: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        self._connection.execute(sa.update(organisations).where(organisations.c.code == code).values(**changes))
