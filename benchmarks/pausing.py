"""expiry-check with 1 000 mentors expiring, in rosters of several sizes, beside bare SQL that does the same.

Each measurement takes a day of its own on which 1 000 more expire, so that nothing need be undone between them. Of the
rounds the best counts, on both sides: whatever disturbs a measurement makes it longer. Job and bare statement go first
in turn.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import server
from benchmarks.figures import Figure
from certjobs import registry
from certjobs.cli import main
from certjobs.jobs import expiry_check

if TYPE_CHECKING:
    from collections.abc import Sequence

DUE = 1000
FIRST_DAY = date(2026, 1, 1)
LATER = date(2027, 1, 1)  # none of the others expires before
_SQL = Path(__file__).parent / "sql"


@dataclass
class Measured:
    """What one size of roster took, round by round in milliseconds, and the peak memory of a run in MB."""

    job: list[float] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)
    by_grouping: list[float] = field(default_factory=list)
    peak: float = 0.0


def pausing(address: str, sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Measure every size and compare."""
    measured = {size: _one_size(address, size, rounds) for size in sizes}
    smallest = min(sizes)
    figures = []
    for size, found in measured.items():
        name = f"{size:,}".replace(",", " ")
        figures += [
            Figure(
                f"pausing {DUE} of {name}, in batches",
                min(found.batches),
                "one statement in psql",
                min(found.at_once),
                at_most=1.25,
            ),
            Figure(
                f"expiry-check, {DUE} of {name}",
                min(found.job),
                "GROUP BY over the roster in psql",
                min(found.by_grouping),
                at_most=1 / 20 if size == 1_000_000 else None,
            ),
        ]
        if size != smallest:
            figures += [
                Figure(
                    f"expiry-check, {DUE} of {name}",
                    min(found.job),
                    f"of {smallest:,}".replace(",", " "),
                    min(measured[smallest].job),
                    at_most=1.5,
                ),
                Figure(
                    f"its peak memory, {name}",
                    found.peak,
                    f"of {smallest:,}".replace(",", " "),
                    measured[smallest].peak,
                    at_most=1.02,
                    unit="MB",
                ),
            ]
    return figures


def _one_size(address: str, size: int, rounds: int) -> Measured:
    days = 3 * (rounds + 1) + 2
    found = Measured()
    with server.database(address, f"bench_{size}") as url:
        server.migrate(url)
        settings = {
            "mentors": size,
            "due": DUE,
            "nights": days,
            "step": max(1, size // (DUE * days)),
            "first": FIRST_DAY,
            "apart": 1,
            "ahead": 0,
            "others": LATER,
        }
        server.psql(url, (_SQL / "roster.sql").read_text(encoding="utf-8"), settings)
        os.environ |= {
            "CERTJOBS_DATABASE_URL": server.login(url),
            "CERTJOBS_LOG_LEVEL": "error",
            "CERTJOBS_ACTOR": "bench",
        }
        today = (FIRST_DAY + timedelta(days=number) for number in range(1, days + 1))
        for number in range(rounds + 1):
            if number % 2:
                _run(next(today), found)
                found.at_once.append(_bare(url, "pause_at_once", next(today)))
            else:
                found.at_once.append(_bare(url, "pause_at_once", next(today)))
                _run(next(today), found)
            _all_sent(url)
        # After the others: it reads the whole roster and pushes out of memory what the next one would need.
        for _ in range(rounds + 1):
            found.by_grouping.append(_bare(url, "pause_by_grouping", next(today)))
            _all_sent(url)
        for taken in (found.job, found.batches, found.at_once, found.by_grouping):
            del taken[0]  # it warmed up
        found.peak = _peak(next(today))
    return found


def _all_sent(url: str) -> None:
    """Leave no notice open: a night looks at what is owed."""
    server.psql(url, "UPDATE notifications SET status = 'sent' WHERE status = 'pending';")


def _run(day: date, found: Measured) -> None:
    """Run the job by the command line, in this process, and time its function and the pausing in it."""
    batches = 0.0

    def timed_pause(*args: Any, **kwargs: Any) -> None:
        nonlocal batches
        began = time.perf_counter()
        pause(*args, **kwargs)
        batches += time.perf_counter() - began

    def timed_job(ctx: Any) -> Any:
        began = time.perf_counter()
        outcome = spec.function(ctx)
        found.job.append((time.perf_counter() - began) * 1000)
        return outcome

    spec, pause, jobs = registry.find("expiry-check"), expiry_check._pause, registry.JOBS  # noqa: SLF001 - to time it
    registry.JOBS = (replace(spec, function=timed_job),)
    expiry_check._pause = timed_pause  # noqa: SLF001
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            code = main(["expiry-check", "--as-of", day.isoformat(), "--json"])
    finally:
        registry.JOBS = jobs
        expiry_check._pause = pause  # noqa: SLF001
    if code or json.loads(printed.getvalue())["counts"]["paused"] != DUE:
        sys.exit(printed.getvalue()[:2000])
    found.batches.append(batches * 1000)


def _bare(url: str, name: str, day: date) -> float:
    """Run a statement in a psql of its own, as the job has a session of its own, and return its milliseconds."""
    statement = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
    (taken,) = server.psql(url, statement, {"today": day})
    return taken


def _peak(day: date) -> float:
    """Run the job as a process of its own and return the most memory it ever held, in MB."""
    command = [sys.executable, "-m", "certjobs", "expiry-check", "--as-of", day.isoformat(), "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"expiry-check ended with {process.returncode}")
    return used.ru_maxrss / 1024
