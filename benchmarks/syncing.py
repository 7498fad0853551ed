"""sync draining its queue, beside a bare loop and two job queues that do the same work, and within the portal's limits.

The portal is a process of its own that answers at once, so that what is measured is what an operation costs here:

- ``sync`` by the command line, with its own settings, from its first look into the queue to its last: packed a hundred
  in a request, and one by one.
- The bare loop claims a hundred rows of a plain queue, packs them into one request, looks whether every part was taken,
  and marks them done; with the number of threads that suits it best.
- The same loop on the job's own queue executes the job's own statements, which decide each operation from the rule,
  lease it, and keep what the portal acknowledged.
- procrastinate and pgqueuer make one HTTP call a job (see ``queues``), with the settings that suit them best.

Of the rounds the best counts, on all sides. Rates are compared, so what is slow drains a tenth of the operations.
"""

from __future__ import annotations

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from operator import itemgetter
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, NamedTuple, Protocol
from unittest.mock import patch
from uuid import uuid4

import httpx
import psycopg

from benchmarks import inside, limited, queues, receiver, server
from benchmarks.figures import Figure
from certjobs.db import sqlfiles
from certjobs.jobs import syncing as engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKED = 100
THREADS = (1, 2, 4)
SLOWER = 10  # times fewer operations where each is a request
OTHERS = date(2040, 1, 1)
_SQL = Path(__file__).parent / "sql"
_CLAIM = (
    "SELECT id, mentor_ref, listed FROM plain_queue WHERE status = 'pending' ORDER BY id LIMIT 100"
    " FOR UPDATE SKIP LOCKED"
)
_RUN = str(uuid4())
_DONE = "UPDATE plain_queue SET status = 'done' WHERE id = ANY (%s::bigint[])"
_TOKEN = "t" * 1200
_BOUNDARY = "batch_0f4e3a52-8f0b-4f0e-9f0a-0a5f1a0c7b11"
_HEAD = f"--{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPATCH ".encode()
_MIDDLE = b" HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: *\r\n\r\n"
_BODY = {True: b'{"new_listed":true}', False: b'{"new_listed":false}'}


def syncing(address: str, operations: int, rounds: int, directory: Path) -> list[Figure]:
    """Measure so many operations a round."""
    with server.database(address, "bench_sync") as url:
        server.migrate(url)
        server.psql(url, (_SQL / "roster.sql").read_text(encoding="utf-8"), _roster(int(operations * limited.WINDOWS)))
        base = {"CERTJOBS_DATABASE_URL": server.login(url), "CERTJOBS_LOG_LEVEL": "error", "CERTJOBS_ACTOR": "bench"}
        with receiver.started("benchmarks.portal") as origin, patch.dict(os.environ, base | _settings(origin)):
            found = _rates(address, url, origin, operations, rounds)
        with patch.dict(os.environ, base):
            return [*found, *limited.within_limits(url, operations, directory)]


def _roster(mentors: int) -> Mapping[str, object]:
    """Return the settings of a roster where one in ten is paused, and nobody expires."""
    nobody = {"due": 0, "nights": 1, "step": 2, "first": "2024-02-01", "apart": 1, "ahead": 30}
    return {"mentors": mentors, "others": OTHERS, **nobody}


def _settings(origin: str) -> dict[str, str]:
    return {
        "CERTJOBS_PORTAL": "dataverse",
        "CERTJOBS_DATAVERSE_URL": origin,
        "CERTJOBS_DATAVERSE_AUTHORITY": origin,
        "CERTJOBS_DATAVERSE_TENANT": "tenant",
        "CERTJOBS_DATAVERSE_CLIENT_ID": "client",
        "CERTJOBS_DATAVERSE_CLIENT_SECRET": "anything",
    }


class _Row(NamedTuple):
    """An operation that a bare loop has taken."""

    id: int
    ref: str
    listed: bool
    attempt: int = 0


# Operations a second.


def _rates(address: str, url: str, origin: str, operations: int, rounds: int) -> list[Figure]:
    fewer = max(PACKED // 2, operations // SLOWER)
    table = f"{origin}/api/data/v9.2/contacts"
    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json", "If-Match": "*"}
    refs = [f"M-{number}" for number in range(fewer)]
    packed, alone = list[float](), list[float]()
    plain, own, others = dict[str, float](), dict[str, float](), dict[str, float]()
    _sync(url, min(operations, 5 * PACKED))
    for _ in range(rounds):
        packed.append(_sync(url, operations))
        alone.append(_sync(url, fewer, CERTJOBS_SYNC_BATCH_SIZE="1"))
        for threads in THREADS:
            for found, what, queue in ((plain, "bare loop", _Plain()), (own, "its statements", _Own())):
                name = f"{what}, {threads} thread{'s' if threads > 1 else ''}"
                found[name] = max(found.get(name, 0), _bare(url, origin, operations, threads, queue))
        for name, rate in queues.rates(address, refs, (table, headers, _BODY[True])).items():
            others[name] = max(others.get(name, 0), rate)
    print("; ".join(f"{name}: {rate:.0f}/s" for name, rate in (plain | own | others).items()), file=sys.stderr)
    return [
        Figure(f"sync, {operations} packed", max(packed), *_best(others), at_least=15, unit="/s"),
        Figure("the same", max(packed), *_best(plain), at_least=0.8, unit="/s"),
        Figure("the same", max(packed), *_best(own), unit="/s"),
        Figure("sync, one by one", max(alone), *_best(others), unit="/s"),
    ]


def _best(rates: Mapping[str, float]) -> tuple[str, float]:
    return max(rates.items(), key=itemgetter(1))


def _sync(url: str, operations: int, **settings: str) -> float:
    """Run the job on a queue of so many operations, and return how many a second it drains."""
    limited.queue(url, operations)
    with patch.dict(os.environ, settings), inside.timed(engine.Syncing, "until_done") as taken:
        inside.run("sync", counts={"claimed": operations, "done": operations, "open": 0})
    return 1000 * operations / sum(taken)


class _Queue(Protocol):
    """What a bare loop works on."""

    def claim(self, connection: psycopg.Connection) -> Sequence[_Row]:
        """Take the next hundred."""

    def finish(self, connection: psycopg.Connection, rows: Sequence[_Row]) -> None:
        """Mark them done."""


class _Plain:
    """A queue as plain as can be: whoever sends a row has it locked, and a status is all there is to keep."""

    def claim(self, connection: psycopg.Connection) -> Sequence[_Row]:
        return [_Row(*row) for row in connection.execute(_CLAIM)]

    def finish(self, connection: psycopg.Connection, rows: Sequence[_Row]) -> None:
        connection.execute(_DONE, [[row.id for row in rows]])
        connection.commit()


class _Own:
    """The job's queue: a claim is committed before anything is sent, and settled with the next one."""

    def __init__(self) -> None:
        self._claim, self._finish = (_named(f"{name}_operations") for name in ("claim", "finish"))

    def claim(self, connection: psycopg.Connection) -> Sequence[_Row]:
        connection.execute(
            "SELECT set_config('certjobs.actor', 'bench', false), set_config('certjobs.run_id', %s, false)", [_RUN]
        )
        options = {"limit": PACKED, "lease": 600.0, "only": None}
        rows = connection.execute(self._claim, options).fetchall()
        connection.commit()
        return [_Row(id_, ref, wanted == "restore", attempt) for id_, attempt, _, ref, wanted in rows]

    def finish(self, connection: psycopg.Connection, rows: Sequence[_Row]) -> None:
        nothing = [None] * len(rows)
        settled = {
            "ids": [row.id for row in rows],
            "attempts": [row.attempt for row in rows],
            "outcomes": ["done"] * len(rows),
            "errors": nothing,
            "rests": nothing,
            "most": 8,
        }
        connection.execute(self._finish, settled).fetchall()


def _named(name: str) -> str:
    """Return one of the job's statements with its parameters as psycopg knows them."""
    text = (sqlfiles.DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", text.replace("%", "%%"))


def _bare(url: str, origin: str, operations: int, threads: int, queue: _Queue) -> float:
    """Drain a queue, and return how many rows a second: a connection and a client a thread."""
    limited.queue(url, operations)
    ready = Barrier(threads + 1)
    with ThreadPoolExecutor(threads) as pool:
        drained = [pool.submit(_drain, url, origin, queue, ready) for _ in range(threads)]
        ready.wait()
        began = time.perf_counter()
        total = sum(each.result() for each in drained)
        taken = time.perf_counter() - began
    if total != operations:
        sys.exit(f"{total} of {operations} rows were drained")
    return operations / taken


def _drain(url: str, origin: str, queue: _Queue, ready: Barrier) -> int:
    root = f"{origin}/api/data/v9.2/"
    headers = {
        "Authorization": f"Bearer {_TOKEN}",
        "Accept": "multipart/mixed, application/json",
        "Content-Type": f"multipart/mixed; boundary={_BOUNDARY}",
        "Prefer": "odata.continue-on-error",
        "OData-Version": "4.0",
        "OData-MaxVersion": "4.0",
    }
    drained = 0
    with (
        psycopg.connect(url) as connection,
        httpx.Client(verify=False, trust_env=False) as client,  # noqa: S501 - it is plain HTTP
    ):
        connection.execute("SELECT 1")
        connection.commit()
        ready.wait()
        while rows := queue.claim(connection):
            response = client.post(f"{root}$batch", headers=headers, content=_pack(root, rows))
            if response.status_code != 200 or response.content.count(b"HTTP/1.1 204 ") != len(rows):
                sys.exit(f"the portal answered {response.status_code} to a batch")
            queue.finish(connection, rows)
            drained += len(rows)
    return drained


def _pack(root: str, rows: Sequence[_Row]) -> bytes:
    """Return the body of a batch that is the job's, byte by byte but for the boundary."""
    parts = [
        b"".join((_HEAD, f"{root}contacts(new_mentorid='{row.ref}')".encode(), _MIDDLE, _BODY[row.listed], b"\r\n"))
        for row in rows
    ]
    return b"".join((*parts, f"--{_BOUNDARY}--\r\n".encode()))
