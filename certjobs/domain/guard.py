"""The guard against mass change: nothing drastic is automatic."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class Guard:
    """How many mentors of one organisation a run may pause without a person's approval.

    A run is refused when it would pause more than ``count`` *and* more than ``share`` of the organisation's active
    mentors; so whichever of the two is larger is allowed.
    """

    count: int = 25
    share: float = 0.2

    def allows(self, changes: int, active: int) -> bool:
        """Tell whether a run may make this many changes by itself, given the active mentors before it."""
        return changes <= self.allowance(active)

    def allowance(self, active: int) -> int:
        """Return the most changes a run may make by itself."""
        return max(self.count, floor(self.share * active + 1e-9))

    def enough_active(self, changes: int) -> int:
        """Return how many active mentors are surely enough for this many changes to be allowed.

        The caller stops counting there, so that the guard costs what changes tonight and not the whole roster.
        """
        if changes <= self.count or self.share <= 0:
            return 0
        return floor(changes / self.share) + 1
