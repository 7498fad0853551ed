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
    begun: int = 0
    _rested: float = 0.0
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def turn(self) -> int:
        """Wait while somebody rests, and return how many rests have begun: what is done now is done after that one."""
        with self._gate:
            return self.begun

    def take(self, seconds: float, after: int) -> bool:
        """Rest, and let all others rest; not once more for what left before a rest that has begun since ``after``.

        Returns False, and does not rest, where that would be longer than a run rests in all.
        """
        seconds = max(seconds, SHORTEST_REST)
        with self._gate:
            if after != self.begun:
                return True
            if self._rested + seconds > self.longest:
                return False
            self._rested += seconds
            self.begun += 1
            self.sleep(seconds, self.stop)
        return True
