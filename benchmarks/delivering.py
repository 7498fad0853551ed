"""remind delivering notices by webhook, beside bare httpx posting the same requests to the same receiver.

The receiver is a process of its own that answers at once, so that what is measured is what a notice costs here: to
claim it, to send it, and to record what became of it. Bare httpx posts as fast as it can, with the number of threads
that suits it best. Each round takes a night of its own, and of the rounds the best counts, on both sides.
"""

from __future__ import annotations

import os
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from benchmarks import inside, receiver, server
from benchmarks.figures import Figure
from certjobs.jobs import remind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Request = tuple[list[tuple[bytes, bytes]], bytes]  # headers and body

FIRST_NIGHT = date(2024, 2, 1)
OTHERS = date(2040, 1, 1)  # none of the others is due on any of the nights
APART = 31
THREADS = (1, 2, 4)
_SQL = Path(__file__).parent / "sql"
_SETTINGS = ("CERTJOBS_NOTIFY_CHANNEL", "CERTJOBS_NOTIFY_WEBHOOK_URL")


def delivering(address: str, notices: int, rounds: int) -> list[Figure]:
    """Measure so many notices a round, two a mentor."""
    nights, due = rounds + 1, notices // 2
    with server.database(address, "bench_deliver") as url, receiver.started() as origin:
        server.migrate(url)
        server.psql(
            url,
            _sql("roster"),
            {
                "mentors": 2 * due * nights,
                "due": due,
                "nights": nights,
                "step": 2,
                "first": FIRST_NIGHT,
                "apart": APART,
                "ahead": 30,
                "others": OTHERS,
            },
        )
        hook = f"{origin}/hook"
        os.environ |= {
            "CERTJOBS_DATABASE_URL": server.login(url),
            "CERTJOBS_LOG_LEVEL": "error",
            "CERTJOBS_ACTOR": "bench",
        }
        os.environ |= dict(zip(_SETTINGS, ("webhook", hook), strict=True))
        try:
            return _measure(url, hook, due, rounds)
        finally:
            for name in _SETTINGS:
                del os.environ[name]


def _measure(url: str, hook: str, due: int, rounds: int) -> list[Figure]:
    with _posted() as requests:
        _run(url, 0, due)
    if len(requests) != 2 * due:
        sys.exit(f"{len(requests)} requests for {2 * due} notices")
    job, bare = list[float](), dict[int, list[float]]({threads: [] for threads in THREADS})
    for number in range(1, rounds + 1):
        job.append(_run(url, number, due))
        for threads, taken in bare.items():
            taken.append(_bare(hook, requests, threads))
    best = min(bare, key=lambda threads: min(bare[threads]))
    return [
        Figure(
            f"{2 * due} notices by webhook",
            2 * due / min(job),
            f"bare httpx, {best} thread{'s' if best > 1 else ''}",
            2 * due / min(bare[best]),
            at_least=0.8,
            unit="/s",
        )
    ]


@contextmanager
def _posted() -> Iterator[list[Request]]:
    """Yield a list that takes every request that is sent, as long as the block runs."""
    original = httpx.HTTPTransport.handle_request
    requests: list[Request] = []

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        requests.append((request.headers.raw, request.read()))
        return original(transport, request)

    httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign,assignment]
    try:
        yield requests
    finally:
        httpx.HTTPTransport.handle_request = original  # type: ignore[method-assign]


def _run(url: str, number: int, due: int) -> float:
    """Run the job on a night of its own, and return the seconds of its delivering part."""
    night = FIRST_NIGHT + timedelta(days=APART * number)
    server.psql(url, _sql("before_remind"), {"today": night, "run": uuid4(), "ago": "0"})
    with inside.timed(remind, "deliver") as taken:
        inside.run("remind", "--as-of", night.isoformat(), counts={"notices_owed": 2 * due, "notices_sent": 2 * due})
    return sum(taken) / 1000


def _bare(hook: str, requests: Sequence[Request], threads: int) -> float:
    """Post what the job posted, and return the seconds: a client a thread, and one TLS context for all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def post(first: int) -> None:
        with httpx.Client(verify=context, trust_env=False) as client:
            for headers, body in requests[first::threads]:
                client.post(hook, headers=headers, content=body).raise_for_status()

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(post, range(threads)))
    return time.perf_counter() - began


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
