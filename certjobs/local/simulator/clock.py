"""The simulator's one clock, so that a test may set it."""

from __future__ import annotations

import threading
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns the seconds since 1970, as ``time.time`` does."""


class SetClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        with self._lock:
            self._now += seconds
