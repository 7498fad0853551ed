"""reconcile comparing a whole website that agrees, beside reading and parsing the same pages and nothing else.

The portal is a process of its own with its pages at hand. ``reconcile`` is timed inside its process, from its first
look to its last; its memory is the peak of a process of its own. The second yardstick adds to the reading what nobody
who compares in SQL can do without: a COPY of the keys, and a bare full join that only counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import httpx
import psycopg

from benchmarks import inside, receiver, server
from benchmarks.figures import Figure
from benchmarks.listing import PAGE, listed
from benchmarks.syncing import _SQL, _roster, _settings
from certjobs.jobs import reconcile as job

if TYPE_CHECKING:
    from collections.abc import Sequence

MEGABYTES = 120
_TELLING_PEAK = """
import sys
from certjobs.cli import main
code = main(sys.argv[1:])
sys.stderr.write(open("/proc/self/status").read())
sys.exit(code)
"""


def reconciling(address: str, rows: Sequence[int], rounds: int) -> list[Figure]:
    """Measure websites of so many listed rows."""
    return [figure for number in rows for figure in _of(address, number, rounds)]


def _of(address: str, rows: int, rounds: int) -> list[Figure]:
    mentors = -(-rows * 1000 // 898)
    entries = len(listed(mentors))
    with server.database(address, "bench_reconcile") as url, patch.dict(os.environ, {"BENCH_MENTORS": str(mentors)}):
        server.migrate(url)
        server.psql(url, (_SQL / "roster.sql").read_text(encoding="utf-8"), _roster(mentors))
        base = {"CERTJOBS_DATABASE_URL": server.login(url), "CERTJOBS_LOG_LEVEL": "error", "CERTJOBS_ACTOR": "bench"}
        with receiver.started("benchmarks.listing") as origin, patch.dict(os.environ, base | _settings(origin)):
            _parse(origin)
            parsed, compared, joined = list[float](), list[float](), list[float]()
            for _ in range(rounds):
                parsed.append(_parse(origin))
                with inside.timed(job, "reconcile") as taken:
                    inside.run("reconcile", counts={"entries": entries, "agreeing": entries, "differing": 0})
                compared += taken
                joined.append(_join(url, mentors))
            peak = _peak()
    name = f"{entries:,}".replace(",", " ")
    least = median(parsed) + median(joined)
    return [
        Figure(
            f"reconcile, {name} rows", median(compared), "reading and parsing the pages", median(parsed), at_most=1.6
        ),
        Figure("the same", median(compared), "that, a COPY and a full join", least),
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


def _join(url: str, mentors: int) -> float:
    """Copy the keys and join them with the roster, and nothing else; return the milliseconds."""
    keys = "".join(f"M-{number}\n" for number in listed(mentors))
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TEMPORARY TABLE keys (mentor_ref text)")
        connection.execute("SET work_mem = '64MB'")
        began = time.perf_counter()
        with connection.cursor().copy("COPY keys FROM STDIN") as copy:
            copy.write(keys)
        connection.execute("ANALYZE keys")
        connection.execute("SELECT count(*) FROM peer_mentors m FULL JOIN keys k ON k.mentor_ref = m.external_ref")
        return (time.perf_counter() - began) * 1000


def _peak() -> float:
    """Run the command as a process of its own, and return its peak memory in MB, as the process itself knows it.

    What the system tells of it when it has ended counts what this process had when it began it.
    """
    command = [sys.executable, "-c", _TELLING_PEAK, "reconcile", "--json"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"reconcile ended with {done.returncode}: {done.stderr}")
    return int(re.findall(r"VmHWM:\s*(\d+) kB", done.stderr)[-1]) / 1024
