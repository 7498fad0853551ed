"""The roster as a whole: a file is copied into a staging table, checked there, and merged, a statement a table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement
from certjobs.domain.roster_csv import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from certjobs.domain.roster_csv import Row

_LOCK_MENTORS = sa.text(
    "SELECT 1 FROM peer_mentors WHERE external_ref IN (SELECT mentor_ref FROM roster_staging)"
    " ORDER BY id FOR NO KEY UPDATE"
)
_ONE_IMPORT = sa.text("SELECT pg_advisory_xact_lock(hashtext('certjobs roster import'))")


@dataclass(frozen=True, slots=True)
class Merged:
    """What an import changed."""

    organisations_added: int
    chapters_added: int
    coordinators_added: int
    coordinators_updated: int
    mentors_added: int
    mentors_updated: int
    assignments_added: int
    assignments_removed: int
    certifications_added: int
    certifications_updated: int

    @property
    def nothing(self) -> bool:
        """Whether the roster already was as the file says."""
        return not any(getattr(self, each.name) for each in fields(self))


class Roster:
    """The roster, on one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def stage(self, rows: Iterable[Row]) -> int:
        """Copy rows into a staging table that lives as long as the transaction, and return how many they are.

        One import at a time: a second one waits here.
        """
        self._connection.execute(_ONE_IMPORT)
        self._connection.execute(statement("roster_staging"))
        driver: Any = self._connection.connection.driver_connection
        staged = 0
        with driver.cursor().copy("COPY roster_staging FROM STDIN") as copy:
            for row in rows:
                names, addresses = [c[0] for c in row.coordinators], [c[1] for c in row.coordinators]
                copy.write_row(
                    (
                        row.line,
                        row.mentor_ref,
                        row.name,
                        row.organisation,
                        row.chapter,
                        names,
                        addresses,
                        row.certificate_ref,
                        row.issued_on,
                        row.expires_on,
                        row.withdrawn_on,
                    )
                )
                staged += 1
        self._connection.execute(sa.text("ANALYZE roster_staging"))
        return staged

    def contradictions(self) -> Sequence[Problem]:
        """Return where staged rows contradict each other or the certifications that are there."""
        return [Problem(*row) for row in self._connection.execute(statement("roster_contradictions"))]

    def merge(self) -> Merged:
        """Add and update what the staged rows name, and return what changed; what they do not name stays.

        The mentors are locked first and in id order, as every other writer locks them, so that none deadlocks with it.
        """
        self._connection.execute(_LOCK_MENTORS)
        return Merged(
            organisations_added=self._changed("merge_organisations")[0],
            chapters_added=self._changed("merge_chapters")[0],
            **self._both("coordinators", "added", "updated"),
            **self._both("mentors", "added", "updated"),
            **self._both("assignments", "added", "removed"),
            **self._both("certifications", "added", "updated"),
        )

    def _both(self, table: str, first: str, second: str) -> dict[str, int]:
        counts = self._changed(f"merge_{table}")
        return {f"{table}_{first}": counts[0], f"{table}_{second}": counts[1]}

    def _changed(self, name: str) -> tuple[int, int]:
        row = self._connection.execute(statement(name)).one()
        return row[0], row[1]
