"""reconcile comparing a whole website that agrees, beside reading and parsing the same pages and nothing else.

The portal is a process of its own with its pages at hand. ``reconcile`` is timed inside its process, from first look
to its last; its memory is the peak of a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import httpx

from benchmarks import inside, receiver, server
from benchmarks.figures import Figure
from benchmarks.listing import PAGE, listed
from benchmarks.syncing import _SQL, _roster, _settings
from certjobs.jobs import reconcile as job

if TYPE_CHECKING:
    from collections.abc import Sequence

MEGABYTES = 120


def reconciling(address: str, rows: Sequence[int], rounds: int) -> list[Figure]:
    """Measure websites of so many listed rows."""
    return [figure for number in rows for figure in _of(address, number, rounds)]


def _of(address: str, rows: int, rounds: int) -> list[Figure]:
    mentors = -(-rows * 1000 // 898)
    entries = len(listed(mentors))
    with server.database(address, "bench_reconcile") as url, patch.dict(os.environ, {"BENCH_MENTORS": str(mentors)}):
        server.migrate(url)
        server.psql(url, (_SQL / "roster.sql").read_text(encoding="utf-8"), _roster(mentors))
        base = {"CERTJOBS_DATABASE_URL": url, "CERTJOBS_LOG_LEVEL": "error", "CERTJOBS_ACTOR": "bench"}
        with receiver.started("benchmarks.listing") as origin, patch.dict(os.environ, base | _settings(origin)):
            _parse(origin)
            parsed, compared = list[float](), list[float]()
            for _ in range(rounds):
                parsed.append(_parse(origin))
                with inside.timed(job, "reconcile") as taken:
                    inside.run("reconcile", counts={"entries": entries, "agreeing": entries, "differing": 0})
                compared += taken
            peak = _peak()
    name = f"{entries:,}".replace(",", " ")
    return [
        Figure(
            f"reconcile, {name} rows", median(compared), "reading and parsing the pages", median(parsed), at_most=1.6
        ),
        Figure("its peak memory", peak, "what was promised", MEGABYTES, at_most=1, unit="MB"),
    ]


def _parse(origin: str) -> float:
    """Read every page and parse it into rows; return the milliseconds."""
    began = time.perf_counter()
    url: str | None = f"{origin}/api/data/v9.2/contacts?$select=new_mentorid&$filter=new_listed%20eq%20true"
    headers = {"Prefer": f"odata.maxpagesize={PAGE}"}
    rows = 0
    with httpx.Client(headers=headers) as client:
        while url:
            page = json.loads(client.get(url).content)
            rows += len([(row["new_mentorid"], row["contactid"]) for row in page["value"]])
            url = page.get("@odata.nextLink")
    if not rows:
        sys.exit("the portal lists nobody")
    return (time.perf_counter() - began) * 1000


def _peak() -> float:
    """Run the command as a process of its own, and return its peak memory in MB."""
    command = [sys.executable, "-m", "certjobs", "reconcile", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"reconcile ended with {process.returncode}")
    return used.ru_maxrss / 1024
