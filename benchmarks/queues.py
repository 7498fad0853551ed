"""procrastinate and pgqueuer doing the work of sync as their users would: a job a change, one HTTP call a job.

Both run as their manuals say, on an event loop and with one shared HTTP client, except that what would make them slow
here alone is out of their way:

- Of pgqueuer's drivers the one for psycopg lets each query wait up to a second for whoever listens on the same
  connection (20 jobs a second). Here it listens on a connection of its own, and is as fast as the one for asyncpg.
- pgqueuer starts as many jobs as it can have, and the client chokes on them: at most 8 calls are on their way at once.
- The client looks for a library at each call, anew wherever it is not installed. It is told that there is none.

A rate counts from the start of the worker to the answer of the last call.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import procrastinate
import psycopg
from pgqueuer.db import PsycopgDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from benchmarks import server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from pgqueuer.models import Job
    from procrastinate.types import JSONDict

CONCURRENCY = (10, 20, 50)  # procrastinate's jobs at once
BATCHES = (10, 50, 100)  # jobs that pgqueuer takes at once
CALLS = 8  # of pgqueuer's at once


@dataclass
class Calls:
    """The calls that jobs make: how many were answered, and when the last one was."""

    client: httpx.AsyncClient
    address: str
    headers: dict[str, str]
    content: bytes
    answered: int = 0
    last: float = field(default_factory=time.perf_counter)

    async def call(self, ref: str) -> None:
        """List one mentor."""
        address = f"{self.address}(new_mentorid='{ref}')"
        response = await self.client.patch(address, headers=self.headers, content=self.content)
        response.raise_for_status()
        self.answered += 1
        self.last = time.perf_counter()


def rates(address: str, refs: Sequence[str], how: tuple[str, dict[str, str], bytes]) -> dict[str, float]:
    """Return how many of these changes a second each of the two makes, by what it was set to.

    ``how`` is the address of the table, and the headers and the body of a change.
    """
    found: dict[str, float] = {}
    with _quick():
        for concurrency in CONCURRENCY:
            with server.database(address, "bench_queue") as url:
                found[f"procrastinate, {concurrency} at once"] = asyncio.run(
                    _procrastinate(url, refs, how, concurrency)
                )
        for batch in BATCHES:
            with server.database(address, "bench_queue") as url:
                found[f"pgqueuer, {batch} a claim"] = asyncio.run(_pgqueuer(url, refs, how, batch))
    return found


@contextmanager
def _quick() -> Iterator[None]:
    logger = logging.getLogger("procrastinate")
    before = logger.level
    logger.setLevel(logging.WARNING)
    with patch.dict(sys.modules, {"sniffio": None}):
        try:
            yield
        finally:
            logger.setLevel(before)


@asynccontextmanager
async def _calls(how: tuple[str, dict[str, str], bytes]) -> AsyncIterator[Calls]:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - it is plain HTTP
        yield Calls(client, *how)


async def _rate(calls: Calls, expected: int, work: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await work()
    if calls.answered != expected:
        sys.exit(f"{calls.answered} of {expected} jobs were carried out")
    return expected / (calls.last - began)


async def _procrastinate(
    url: str, refs: Sequence[str], how: tuple[str, dict[str, str], bytes], concurrency: int
) -> float:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    async with _calls(how) as calls, app.open_async():

        @app.task(name="change")
        async def change(ref: str) -> None:
            await calls.call(ref)

        await app.schema_manager.apply_schema_async()
        jobs: list[JSONDict] = [{"ref": ref} for ref in refs]
        await change.batch_defer_async(*jobs)
        return await _rate(
            calls,
            len(refs),
            lambda: app.run_worker_async(wait=False, concurrency=concurrency, install_signal_handlers=False),
        )


async def _pgqueuer(url: str, refs: Sequence[str], how: tuple[str, dict[str, str], bytes], batch: int) -> float:
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as listening,
        _Driver(connection, PsycopgDriver(listening)) as driver,
        _calls(how) as calls,
    ):
        queries = Queries(driver)
        await queries.install()
        await queries.enqueue(["change"] * len(refs), [ref.encode() for ref in refs], [0] * len(refs))
        manager, gate = QueueManager(queries), asyncio.Semaphore(CALLS)

        @manager.entrypoint("change")
        async def change(job: Job) -> None:
            async with gate:
                await calls.call((job.payload or b"").decode())

        return await _rate(
            calls,
            len(refs),
            lambda: manager.run(
                batch_size=batch, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=0.1)
            ),
        )


class _Driver(PsycopgDriver):
    """Listens on another driver's connection."""

    def __init__(self, connection: psycopg.AsyncConnection, listener: PsycopgDriver) -> None:
        super().__init__(connection)
        self._listener = listener

    async def add_listener(self, channel: str, callback: Any) -> None:
        await self._listener.add_listener(channel, callback)

    async def __aexit__(self, *exc: object) -> None:
        for task in self._listener.tm.tasks:
            task.cancel()  # it would listen for another second
        await super().__aexit__(*exc)
