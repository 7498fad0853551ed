"""remind with 2 000 mentors due, in rosters of several sizes, beside bare SQL that does the same.

Of every mentor who expires within 30 days the ledger tells already, as after many nights, but for 2 000: a third each
reaches 30, 14 and 7 days, and those who reach 14 or 7 missed the larger thresholds. Who expired the day before was
paused by expiry-check, and what they missed is recorded too. Each measurement takes a night of
its own, 31 days after the last, so that nothing need be undone between them. Of the rounds the best counts, on both
sides. Job and bare statement go first in turn. No channel is set, so nothing is sent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmarks import inside, server
from benchmarks.figures import Figure
from certjobs.jobs import remind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

DUE = 2000
FIRST_NIGHT = date(2024, 2, 1)
OTHERS = date(2024, 1, 1)
APART = 31
LARGEST = 1_000_000  # a larger roster takes minutes to build and tells nothing more
_SQL = Path(__file__).parent / "sql"


@dataclass
class Measured:
    """What one size of roster took, round by round in milliseconds."""

    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)


def reminding(address: str, sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Measure every size up to a million and compare."""
    measured = {size: _one_size(address, size, rounds) for size in sizes if size <= LARGEST}
    smallest = min(measured)
    figures = []
    for size, found in measured.items():
        what = f"deciding for {DUE} of {_spaced(size)}"
        figures.append(Figure(what, min(found.first), "one statement in psql", min(found.at_once), at_most=1.25))
        if size != smallest:
            figures.append(
                Figure(what, min(found.first), f"of {_spaced(smallest)}", min(measured[smallest].first), at_most=2)
            )
        figures.append(
            Figure(
                f"deciding again, of {_spaced(size)}",
                min(found.again),
                "the first time that night",
                min(found.first),
                at_most=0.5,
            )
        )
    return figures


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _one_size(address: str, size: int, rounds: int) -> Measured:
    nights = 2 * (rounds + 1)
    found = Measured()
    with server.database(address, f"bench_remind_{size}") as url:
        server.migrate(url)
        roster(url, size, nights)
        os.environ |= {
            "CERTJOBS_DATABASE_URL": server.login(url),
            "CERTJOBS_LOG_LEVEL": "error",
            "CERTJOBS_ACTOR": "bench",
        }
        os.environ.pop("CERTJOBS_NOTIFY_CHANNEL", None)
        tonight = (FIRST_NIGHT + timedelta(days=APART * number) for number in range(nights))
        for number in range(rounds + 1):
            if number % 2:
                _run(url, next(tonight), found)
                found.at_once.append(_bare(url, next(tonight)))
            else:
                found.at_once.append(_bare(url, next(tonight)))
                _run(url, next(tonight), found)
        for taken in (found.first, found.again, found.at_once):
            del taken[0]  # it warmed up
    return found


def roster(url: str, size: int, nights: int) -> None:
    """Build a roster, and the ledger and notices of earlier nights."""
    settings = {
        "mentors": size,
        "due": DUE,
        "nights": nights,
        "step": max(1, size // (DUE * nights)),
        "first": FIRST_NIGHT,
        "apart": APART,
        "ahead": "30, 14, 7",
        "others": OTHERS,
    }
    for name in ("roster", "reminded"):
        server.psql(url, _sql(name), settings)


def _before(url: str, night: date, run: UUID, *, seen: bool = False) -> None:
    """Leave the roster as expiry-check leaves it for a night: who has expired is paused, and no notice is owed.

    Of those who expired the day before, the audit tells; ``seen``: as before the job's last run, which need not look
    at them.
    """
    server.psql(url, _sql("before_remind"), {"today": night, "run": run, "ago": "1 hour" if seen else "0"})


def _run(url: str, night: date, found: Measured) -> None:
    """Run the job twice, and time its deciding."""
    _before(url, night, uuid4())
    found.first.append(_deciding(night, DUE))
    _before(url, night, uuid4())
    found.again.append(_deciding(night, 0))


def _deciding(night: date, due: int) -> float:
    with inside.timed(remind, "_decide") as taken:
        inside.run("remind", "--as-of", night.isoformat(), counts={"reminders": due, "notices_owed": 2 * due})
    return sum(taken)


def _bare(url: str, night: date) -> float:
    """Run the statement in a psql of its own, as the job has a session of its own, and return its milliseconds."""
    run = uuid4()
    _before(url, night, run, seen=True)
    (taken,) = server.psql(url, _sql("remind_at_once"), {"today": night, "run": run})
    return taken


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
