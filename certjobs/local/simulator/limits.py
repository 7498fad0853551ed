"""The three service-protection limits, for each user, over a sliding window.

Who goes over one rests; each request during a rest is refused too and makes the rest longer.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from certjobs.local.simulator.wire import Refused

if TYPE_CHECKING:
    from certjobs.local.simulator.clock import Clock

REQUESTS = "0x80072322"
EXECUTION = "0x80072321"
CONCURRENCY = "0x80072326"
_MESSAGES = {
    REQUESTS: "Number of requests exceeded the limit of {0} over time window of {1} seconds.",
    EXECUTION: "Combined execution time of incoming requests exceeded limit of {0} milliseconds over time window of "
    "{1} seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later.",
    CONCURRENCY: "Number of concurrent requests exceeded the limit of {0}.",
}


@dataclass
class _Use:
    """What one user did within the window: when, and what it cost in milliseconds."""

    requests: deque[float] = field(default_factory=deque)
    executions: deque[tuple[float, float]] = field(default_factory=deque)
    execution_ms: float = 0.0
    under_way: int = 0
    code: str = ""
    rest_until: float = 0.0
    rest: int = 0


class Limits:
    """The limits, every figure of which may be set at any time.

    Times are in seconds but for ``execution_limit_ms`` and ``charge_ms``, the simulated cost of one operation: no
    real time passes for it. ``rest`` is the shortest rest, ``growth`` what each request during a rest adds to it.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with the documented figures."""
        self.window = 300
        self.request_limit = 6000
        self.execution_limit_ms = 1_200_000.0
        self.concurrency_limit = 52
        self.charge_ms = 20.0
        self.rest = 1
        self.growth = 5
        self.refused = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, _Use] = {}

    def enter(self, user: str) -> None:
        """Let a request in: ``leave`` must follow. Raises Refused (429 with Retry-After) where a limit is reached."""
        with self._lock:
            now = self._clock()
            use = self._used.setdefault(user, _Use())
            self._forget(use, now)
            if now < use.rest_until:
                use.rest += self.growth
                raise self._refusal(use, now)
            use.code, use.rest = self._exceeded(use, now)
            if use.code:
                raise self._refusal(use, now)
            use.requests.append(now)
            use.under_way += 1

    def leave(self, user: str) -> None:
        """Say that a request that was let in is answered."""
        with self._lock:
            self._used[user].under_way -= 1

    def under_way(self, user: str) -> int:
        """Return how many of a user's requests are not answered yet."""
        with self._lock:
            return self._used[user].under_way if user in self._used else 0

    def charge(self, user: str, operations: int) -> None:
        """Count what operations cost, each for itself: a batch is one request, and its parts cost what they cost."""
        with self._lock:
            use = self._used.setdefault(user, _Use())
            cost = operations * self.charge_ms
            use.executions.append((self._clock(), cost))
            use.execution_ms += cost

    def left(self, user: str) -> tuple[int, float]:
        """Return how many requests and how many milliseconds a user has left."""
        with self._lock:
            use = self._used.setdefault(user, _Use())
            self._forget(use, self._clock())
            return self.request_limit - len(use.requests), max(0.0, self.execution_limit_ms - use.execution_ms)

    def _forget(self, use: _Use, now: float) -> None:
        since = now - self.window
        while use.requests and use.requests[0] <= since:
            use.requests.popleft()
        while use.executions and use.executions[0][0] <= since:
            use.execution_ms -= use.executions.popleft()[1]

    def _exceeded(self, use: _Use, now: float) -> tuple[str, int]:
        """Return the code of the limit that one more request would exceed, and after what rest it would not."""
        if len(use.requests) >= self.request_limit:
            place = len(use.requests) - self.request_limit
            oldest = use.requests[place] if place < len(use.requests) else now
            return REQUESTS, self._rest_from(oldest, now)
        if use.execution_ms >= self.execution_limit_ms:
            total = use.execution_ms
            for when, cost in use.executions:
                total -= cost
                if total < self.execution_limit_ms:
                    return EXECUTION, self._rest_from(when, now)
            return EXECUTION, self._rest_from(now, now)
        if use.under_way >= self.concurrency_limit:
            return CONCURRENCY, self.rest
        return "", 0

    def _rest_from(self, when: float, now: float) -> int:
        return max(self.rest, math.ceil(when + self.window - now))

    def _refusal(self, use: _Use, now: float) -> Refused:
        self.refused += 1
        use.rest_until = now + use.rest
        figures = {REQUESTS: self.request_limit, EXECUTION: self.execution_limit_ms}
        words = _MESSAGES[use.code].format(int(figures.get(use.code, self.concurrency_limit)), self.window)
        return Refused(HTTPStatus.TOO_MANY_REQUESTS, use.code, words, [("Retry-After", str(use.rest))])
