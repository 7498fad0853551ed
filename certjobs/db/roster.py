"""The roster as a whole: a file is copied into a staging table, checked there, and merged, a statement a table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement, stream
from certjobs.domain.roster_row import Kept, Problem

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from certjobs.domain.roster_row import Row
    from certjobs.ports import Advance

_LOCK_MENTORS = sa.text(
    "SELECT count(*) FROM (SELECT 1 FROM peer_mentors"
    " WHERE external_ref IN (SELECT mentor_ref FROM roster_staging) ORDER BY id FOR NO KEY UPDATE) locked"
)
_ONE_IMPORT = sa.text("SELECT pg_advisory_xact_lock(hashtext('certjobs roster import'))")
_CONTRADICTIONS = sa.text(
    "SELECT line, column_name, reason FROM roster_contradictions ORDER BY line, column_name, reason LIMIT :limit"
)


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

    MERGE_STEPS: ClassVar = 7

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
                copy.write_row((*row[:5], *_arrays(row.coordinators), *row[6:]))
                staged += 1
        self._connection.execute(sa.text("ANALYZE roster_staging"))
        return staged

    def find_contradictions(self) -> int:
        """Find where staged rows contradict each other or the certifications that are there; return how many."""
        self._connection.execute(statement("roster_contradictions"))
        found: int = self._connection.execute(sa.text("SELECT count(*) FROM roster_contradictions")).scalar_one()
        return found

    def contradictions(self, limit: int | None = None) -> Generator[Problem]:
        """Yield what ``find_contradictions`` found, by line."""
        return stream(self._connection, _CONTRADICTIONS, {"limit": limit}, Problem)

    def leave_out_contradictions(self) -> int:
        """Take the lines that contradict earlier ones out of the staged rows; return how many lines they were."""
        return self._connection.execute(
            sa.text("DELETE FROM roster_staging WHERE line IN (SELECT line FROM roster_contradictions)")
        ).rowcount

    def merge(self, advance: Advance) -> Merged:
        """Add and update what the staged rows name, and return what changed; what they do not name stays.

        The mentors are locked first and in id order, as every other writer locks them, so that none deadlocks with it.
        """
        self._connection.execute(_LOCK_MENTORS)
        advance(1)
        found: dict[str, int] = {}
        for table, first, second in (
            ("organisations", "added", None),
            ("chapters", "added", None),
            ("coordinators", "added", "updated"),
            ("mentors", "added", "updated"),
            ("assignments", "added", "removed"),
            ("certifications", "added", "updated"),
        ):
            row = self._connection.execute(statement(f"merge_{table}")).one()
            found[f"{table}_{first}"] = row[0]
            if second:
                found[f"{table}_{second}"] = row[1]
            advance(1)
        return Merged(**found)

    def count(self, organisation_id: int | None) -> int:
        """Return how many rows an export will have."""
        rows: int = self._connection.execute(
            statement("roster_count"), {"organisation_id": organisation_id}
        ).scalar_one()
        return rows

    def rows(self, organisation_id: int | None) -> Generator[Kept]:
        """Yield the roster, a row a certification, by mentor and certificate reference, as one moment of it."""
        return stream(self._connection, statement("roster_rows"), {"organisation_id": organisation_id}, _kept)


def _kept(
    ref: str, name: str, organisation: str, chapter: str, names: list[str], addresses: list[str], *certificate: str
) -> Kept:
    return Kept(ref, name, organisation, chapter, tuple(zip(names, addresses, strict=True)), *certificate)


@lru_cache(maxsize=20_000)  # written out once for the mentors that share them: a list costs more than all the rest
def _arrays(coordinators: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return the names and the addresses as PostgreSQL writes arrays."""

    def written(values: Iterable[str]) -> str:
        quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
        return "{" + ",".join(quoted) + "}"

    return written(name for name, _ in coordinators), written(address for _, address in coordinators)
