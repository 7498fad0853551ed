"""What operations people were told of that lasts: a row from when it began until it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

_OPEN = sa.text(
    "SELECT class, number, last_sent_at FROM alerts WHERE cleared_at IS NULL AND class = ANY (CAST(:kinds AS text[]))"
)
_TOLD = sa.text(
    "INSERT INTO alerts (class, number, last_sent_at) VALUES (:kind, :number, clock_timestamp())"
    " ON CONFLICT (class) WHERE cleared_at IS NULL DO UPDATE"
    " SET number = EXCLUDED.number, last_sent_at = EXCLUDED.last_sent_at"
)
_CLEARED = sa.text(
    "UPDATE alerts SET cleared_at = clock_timestamp(), last_sent_at = clock_timestamp()"
    " WHERE class = :kind AND cleared_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Told:
    """How much trouble of a kind there was when people were told of it last, and when that was."""

    number: int
    at: datetime | None


class Alerts:
    """What people were told of, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def open(self, kinds: Collection[str]) -> Mapping[str, Told]:
        """Return of which of these kinds people were told, and not yet of the end, and what of each."""
        rows = self._connection.execute(_OPEN, {"kinds": list(kinds)})
        return {row[0]: Told(row.number, row.last_sent_at) for row in rows}

    def told(self, kind: str, number: int) -> None:
        """Record that people were told of a kind of trouble, and how much of it there is."""
        self._connection.execute(_TOLD, {"kind": kind, "number": number})

    def cleared(self, kind: str) -> None:
        """Record that people were told that a kind of trouble is over."""
        self._connection.execute(_CLEARED, {"kind": kind})
