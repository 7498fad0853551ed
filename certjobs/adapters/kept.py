"""A portal that is kept for many runs in a row, and not asked before each whether it still accepts us."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from certjobs.ports import ListedPage, ListingChange, ListingPortal, ListingResult, PortalSession

GOOD_FOR = 300.0  # seconds


class KeptPortal:
    """What another portal does; what it said when asked whether it accepts us is good for five minutes.

    Whoever meets a failure makes another.
    """

    def __init__(self, portal: ListingPortal) -> None:
        self._portal = portal
        self._recommended: int | None = None
        self._checked: float | None = None
        self.name = portal.name
        self.batch = portal.batch
        self.concurrency = portal.concurrency
        self.patience = portal.patience

    def check(self) -> int | None:
        """Return what the portal said of late, or ask it."""
        if self._checked is None or monotonic() - self._checked > GOOD_FOR:
            self._recommended = self._portal.check()
            self._checked = monotonic()
        return self._recommended

    def session(self) -> AbstractContextManager[PortalSession]:
        """Open a session of the portal."""
        return self._portal.session()

    def refusal(self, change: ListingChange) -> ListingResult | None:
        """Return what the portal says."""
        return self._portal.refusal(change)

    def listed(self) -> Iterable[ListedPage]:
        """Read the portal's listing."""
        return self._portal.listed()
