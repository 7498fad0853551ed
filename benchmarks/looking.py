"""A coordinator's login that lists its mentors, held by row security, beside the join that the owner would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import server
from benchmarks.figures import Figure
from benchmarks.reminding import LARGEST, roster

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = "SELECT external_ref, name, status, certification_expiry FROM peer_mentors ORDER BY external_ref"
JOINED = """
SELECT m.external_ref, m.name, m.status, m.certification_expiry
  FROM peer_mentors m
  JOIN coordinator_assignments a ON a.mentor_id = m.id
 WHERE a.coordinator_id = (SELECT min(id) FROM coordinators)
 ORDER BY m.external_ref
"""
GRANT = """
INSERT INTO coordinator_logins (login, coordinator_id, granted_by, reason)
SELECT 'bench_certjobs_coordinator', min(id), 'bench', 'bench' FROM coordinators;
"""


def looking(address: str, sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Measure every size up to a million, and compare."""
    figures = []
    for size in sizes:
        if size > LARGEST:
            continue
        with server.database(address, f"bench_look_{size}") as url:
            server.migrate(url)
            roster(url, size, 1)
            own = server.login(url, "certjobs_coordinator")
            server.psql(url, GRANT)
            held = min(server.psql(own, f"{OWN} \\g /dev/null\n" * rounds))
            free = min(server.psql(url, f"{JOINED} \\g /dev/null\n" * rounds))
        what = f"{size:,}".replace(",", " ")
        figures.append(Figure(f"a coordinator's list, of {what}", held, "the owner's join in psql", free, at_most=3))
    return figures
