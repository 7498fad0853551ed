"""sync --watch: from a change of status to the request at the portal, beside a bare LISTEN and NOTIFY.

The watcher is a process of its own on the command line. The application changes one mentor after the other, each a
moment after the one before has arrived; the clock runs from just before its commit to the arrival of the request that
names the mentor, at a portal that answers at once. The yardstick is a notification from one session to another.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import psycopg

from benchmarks import portal, receiver, server
from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

MENTORS = 2000
PATIENCE = 30.0  # seconds for one change to arrive
_SQL = Path(__file__).parent / "sql"
_NAMED = re.compile(rb"new_mentorid='([^']*)'")
_CHANGE = (
    "UPDATE peer_mentors SET status = CASE status WHEN 'active' THEN 'paused' ELSE 'active' END WHERE external_ref = %s"
)


class _Arrivals:
    """When the portal was first asked for which mentor since it was last looked."""

    def __init__(self) -> None:
        self._when: dict[bytes, float] = {}
        self._new = threading.Condition()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Note when a request came, and answer it."""
        now = time.perf_counter()
        if not head.startswith(b"GET"):
            with self._new:
                for name in _NAMED.findall(head) + _NAMED.findall(body):
                    self._when.setdefault(name, now)
                self._new.notify_all()
        return portal.answer(head, body)

    def of(self, name: str) -> float:
        """Wait for the request that names a mentor, and return when it came."""
        key = name.encode()
        with self._new:
            if not self._new.wait_for(lambda: key in self._when, PATIENCE):
                sys.exit(f"The change of {name} did not arrive within {PATIENCE:.0f} s.")
            return self._when.pop(key)


def watching(address: str, changes: int) -> list[Figure]:
    """Measure so many changes."""
    arrivals = _Arrivals()
    with server.database(address, "bench_watch") as url, receiver.here(arrivals.answer) as origin:
        server.migrate(url)
        nobody = {"due": 0, "nights": 1, "step": 2, "first": "2024-02-01", "apart": 1, "ahead": 30}
        roster = (_SQL / "roster.sql").read_text(encoding="utf-8")
        server.psql(url, roster, {"mentors": MENTORS, "others": "2040-01-01", **nobody})
        with psycopg.connect(url, autocommit=True) as application, _watcher(url, origin):
            application.execute("TRUNCATE sync_queue")
            refs = [
                row[0]
                for row in application.execute(
                    "SELECT external_ref FROM peer_mentors WHERE certification_expiry > now()"
                )
            ]
            taken = [_change(application, arrivals, refs[number % len(refs)]) for number in range(changes + 20)][20:]
        bare = _round_trips(url, changes)
    return [
        Figure("change to request, median", median(taken), "what was promised", 100, at_most=1),
        Figure("change to request, 99th percentile", quantiles(taken, n=100)[98], "what was promised", 500, at_most=1),
        Figure("change to request, median", median(taken), "bare LISTEN and NOTIFY", median(bare)),
    ]


def _change(application: psycopg.Connection, arrivals: _Arrivals, ref: str) -> float:
    """Change one mentor and return the milliseconds until the portal was asked."""
    time.sleep(random.uniform(0, 0.03))  # noqa: S311 - so that no rhythm helps
    began = time.perf_counter()
    application.execute(_CHANGE, [ref])
    return (arrivals.of(ref) - began) * 1000


@contextmanager
def _watcher(url: str, origin: str) -> Iterator[None]:
    settings = {
        "CERTJOBS_DATABASE_URL": server.login(url),
        "CERTJOBS_LOG_LEVEL": "error",
        "CERTJOBS_PORTAL": "dataverse",
        "CERTJOBS_DATAVERSE_URL": origin,
        "CERTJOBS_DATAVERSE_AUTHORITY": origin,
        "CERTJOBS_DATAVERSE_TENANT": "bench",
        "CERTJOBS_DATAVERSE_CLIENT_ID": "bench",
        "CERTJOBS_DATAVERSE_CLIENT_SECRET": "bench",
        "CERTJOBS_GUARD_COUNT": "1000000",
    }
    command = [sys.executable, "-m", "certjobs", "sync", "--watch"]
    with subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _round_trips(url: str, number: int) -> list[float]:
    """Return the milliseconds that notifications take from one session to another."""
    heard: list[float] = []
    with psycopg.connect(url, autocommit=True) as listener, psycopg.connect(url, autocommit=True) as sender:
        listener.execute("LISTEN bench_watch")

        def listen() -> None:
            heard.extend(time.perf_counter() for _ in listener.notifies(timeout=PATIENCE, stop_after=number))

        thread = threading.Thread(target=listen)
        thread.start()
        sent = []
        for _ in range(number):
            time.sleep(random.uniform(0, 0.01))  # noqa: S311 - so that no rhythm helps
            sent.append(time.perf_counter())
            sender.execute("NOTIFY bench_watch")
        thread.join()
    return [(end - began) * 1000 for began, end in zip(sent, heard, strict=True)]
