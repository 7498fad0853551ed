"""The guard against mass change: nothing drastic is automatic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = 12  # characters of a hash that name a set to a person


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the guard refused in one organisation: a set that is kept under its hash until a person approves it.

    ``size`` mentors are in it; ``mentors`` are the references of the first of them.
    """

    organisation: str
    hash: str
    size: int
    mentors: Sequence[str]

    @property
    def name(self) -> str:
        """Return the beginning of the hash, by which people and commands know the set."""
        return self.hash[:NAME]

    @property
    def hint(self) -> str:
        """Return how a person sees who is in the set, and approves it."""
        return f"See whom with `certjobs approve {self.name} --reason TEXT --dry-run`; without it the set is approved."

    def as_details(self) -> dict[str, Any]:
        """Return it JSON-ready, as a report holds it; the names are part of the interface."""
        return asdict(self)
