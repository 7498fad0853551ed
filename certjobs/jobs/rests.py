"""Rests that somebody outside asks for, and that every worker takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certjobs.ports import Sleep

SHORTEST_REST = 1.0  # seconds, also where less is asked for, so that rests come to an end


@dataclass(slots=True)
class Rests:
    """A gate that is closed while somebody rests, for ``longest`` seconds in all at most."""

    sleep: Sleep
    stop: threading.Event
    longest: float
    _rests: list[float] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    @property
    def begun(self) -> int:
        """How many rests have begun."""
        return len(self._rests)

    def turn(self) -> int:
        """Wait while somebody rests, and return how many rests have begun: what is done now is done after that one."""
        with self._gate:
            return self.begun

    def affords(self, seconds: float) -> bool:
        """Tell whether so long a rest can still be taken."""
        return sum(self._rests) + max(seconds, SHORTEST_REST) <= self.longest

    def take(self, seconds: float, after: int) -> bool:
        """Rest, and let all others rest; of what left before rests that have begun since ``after``, what they lack.

        Returns False, and does not rest, where that would be longer than a run rests in all.
        """
        with self._gate:
            seconds = max(seconds, SHORTEST_REST) - sum(self._rests[after:])
            if seconds <= 0:
                return True
            if not self.affords(seconds):
                return False
            self._rests.append(seconds)
            self.sleep(seconds, self.stop)
        return True
