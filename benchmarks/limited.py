"""sync within the portal's limits: how much of what they allow it gets accepted, by the simulator's clock.

The limits are the simulator's own, 6000 requests and 1200 s of execution in any 300 s, and each operation costs 10 ms:
120 000 operations in 5 minutes, for which a hundred in a request take a fifth of the requests. Where fewer are asked
for, both limits are scaled down alike.

No time passes but what the job rests: requests take none. So the limits allow a whole window's operations at once, and
as many again when 5 minutes are over. Each request that arrives during a rest makes it longer, those too that were on
their way when it began. The queue holds more than two windows let through, and both count.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks import server
from benchmarks.figures import Figure
from certjobs.cli import main
from certjobs.errors import ExitCode
from certjobs.local.simulator.clock import SetClock
from certjobs.local.simulator.server import simulator

if TYPE_CHECKING:
    from certjobs.local.simulator.server import Simulator

CHARGE_MS = 10.0
ALLOWED = 120_000  # operations at that charge, by the limits as they are
WINDOWS = 2.1  # times what a window lets through lie in the queue
ARRIVES = 0.2  # seconds within which whatever was sent before a rest is answered
_SQL = Path(__file__).parent / "sql"


def queue(url: str, operations: int) -> None:
    """Leave so many operations open, and nothing else in the queue."""
    server.psql(url, (_SQL / "operations.sql").read_text(encoding="utf-8"), {"operations": operations})


def within_limits(url: str, operations: int, directory: Path) -> list[Figure]:
    """Measure on limits that allow so many operations in 5 minutes."""
    clock = SetClock()
    began = clock()
    with simulator(clock=clock) as portal, patch.dict(os.environ, portal.environment(directory / "secret")):
        _limit(portal, operations)
        queue(url, int(operations * WINDOWS))
        for number in range(int(operations * WINDOWS)):
            portal.state.add(f"M-{number}", listed=number % 2 == 0)

        def rest(_self: object, seconds: float, _until: object) -> None:
            time.sleep(ARRIVES)
            clock.advance(seconds)

        with patch("certjobs.adapters.clock.SystemClock.sleep", rest):
            _sync()
        window = portal.limits.window
        accepted = [0, 0]
        for entry in portal.log.entries("batch"):
            if entry.at < began + 2 * window:
                accepted[int((entry.at - began) // window)] += entry.done
    what = f"what they allow, 1 to {ALLOWED // operations}" if operations != ALLOWED else "what they allow"
    return [
        Figure(f"sent within limits, {nth} 5 minutes", number, what, operations, at_least=0.8, unit="")
        for nth, number in zip(("first", "next"), accepted, strict=True)
    ]


def _limit(portal: Simulator, operations: int) -> None:
    limits = portal.limits
    limits.charge_ms = CHARGE_MS
    limits.request_limit = max(1, limits.request_limit * operations // ALLOWED)
    limits.execution_limit_ms = limits.execution_limit_ms * operations / ALLOWED


def _sync() -> None:
    """Run the job, which may leave for a later run what there is no time left for."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["sync", "--json"])
    found = json.loads(printed.getvalue() or "{}")
    if code not in (ExitCode.OK, ExitCode.PARTIAL):
        sys.exit(f"certjobs sync ended with {code}: {printed.getvalue()[:2000]}")
    print(f"within limits: {found.get('counts')} {found.get('message')}", file=sys.stderr)
