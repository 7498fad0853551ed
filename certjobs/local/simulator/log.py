"""What the simulator was asked, so that a test can prove what left and when."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certjobs.local.simulator.clock import Clock

KEPT = 100_000


@dataclass(slots=True)
class Entry:
    """One request. ``at`` is by the simulator's clock; ``status`` is None while it is not answered.

    ``parts`` counts what a batch held, ``done`` which of it was carried out, ``fields`` names what a request for a
    token held. A status of 0 says that the connection was dropped. No secret, token, body or key is kept.
    """

    at: float
    area: str
    method: str
    user: str = ""
    status: int | None = None
    parts: int = 0
    done: int = 0
    cookie: bool = False
    prefer: str = ""
    fields: tuple[str, ...] = ()


class Log:
    """The latest requests, oldest first, and totals of all of them."""

    def __init__(self, clock: Clock) -> None:
        self.requests = 0
        self.parts = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def open(self, area: str, method: str) -> Entry:
        """Write down that a request arrived; the caller completes the entry."""
        entry = Entry(self._clock(), area, method)
        with self._lock:
            self.requests += 1
            self._entries.append(entry)
        return entry

    def count_parts(self, entry: Entry, parts: int) -> None:
        """Write down how many requests a batch holds."""
        with self._lock:
            self.parts += parts
            entry.parts = parts

    def entries(self, area: str | None = None, *, since: float | None = None) -> list[Entry]:
        """Return the entries of an area, or of all, from a moment on."""
        with self._lock:
            found = list(self._entries)
        return [each for each in found if area in (None, each.area) and (since is None or each.at >= since)]

    def document(self, *, since: float | None = None) -> dict[str, Any]:
        """Return totals and entries as JSON can hold them."""
        entries = [asdict(each) for each in self.entries(since=since)]
        return {"requests": self.requests, "parts": self.parts, "entries": entries}
