"""Stand-ins for a dry-run: they record what would have been done."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from certjobs.adapters.spool import Spool
from certjobs.errors import CertjobsError
from certjobs.ports import Answer, ListedPage, ListingResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from certjobs.ports import ListingChange, ListingPortal, Message, Notifier, PublicSite


class RecordingNotifier:
    """Take every message of a channel and send none. One sender, for a dry-run has one connection, and all at once."""

    concurrency = 1
    batch = 500

    def __init__(self, channel: Notifier) -> None:
        self.name = channel.name
        self.honours_keys = channel.honours_keys
        self.gathers = channel.gathers

    def sender(self) -> AbstractContextManager[RecordingNotifier]:
        """Return what records: itself."""
        return nullcontext(self)

    def send(self, message: Message) -> str:
        """Pretend that the message went out."""
        return f"dry-run-{message.key[:16]}"


class RecordingPortal:
    """Take every change and make none; whoever reads sees the portal as it would be with them.

    The real portal is asked at once whether it accepts us and, where the run ``reads`` the listing, for all of it: a
    dry-run must not wait for anybody while it holds locks. One session, for a dry-run has one connection.
    """

    concurrency = 1

    def __init__(self, portal: ListingPortal, *, reads: bool = False) -> None:
        """Ask the portal. What it refuses is raised where a run asks for it, which may be one step of several."""
        self._portal = portal
        self._spool = Spool()
        self._changes: dict[str, bool] = {}
        self._recommended: int | None = None
        self._unreachable: CertjobsError | None = None
        self._unread: CertjobsError | None = None
        try:
            self._recommended = portal.check()
        except CertjobsError as exc:
            self._unreachable = self._unread = exc
        if reads and self._unread is None:
            self._read()
        self.name = portal.name
        self.batch = portal.batch
        self.patience = portal.patience

    def _read(self) -> None:
        try:
            for page in self._portal.listed():
                self._spool.add(page)
        except CertjobsError as exc:
            self._unread = exc

    def check(self) -> int | None:
        """Return what the portal said before, or raise it."""
        if self._unreachable is not None:
            raise self._unreachable
        return self._recommended

    def session(self) -> AbstractContextManager[RecordingPortal]:
        """Return what records: itself."""
        return nullcontext(self)

    def apply(self, changes: Sequence[ListingChange]) -> Answer:
        """Pretend that the changes were made, those that could be asked for."""
        results = [self.refusal(change) or ListingResult("done") for change in changes]
        self._changes |= {
            change.mentor_ref: change.listed
            for change, result in zip(changes, results, strict=True)
            if result.outcome == "done"
        }
        return Answer(results)

    def refusal(self, change: ListingChange) -> ListingResult | None:
        """Return what the portal says."""
        return self._portal.refusal(change)

    def listed(self) -> Iterable[ListedPage]:
        """Give the portal's listing as it was at first, with the recorded changes over it; who came in stands last."""
        if self._unread is not None:
            raise self._unread
        added = {ref for ref, listed in self._changes.items() if listed}
        seen = Spool()
        for page in self._spool:
            added.difference_update(page.refs)
            left = [
                (ref, entry)
                for ref, entry in zip(page.refs, page.entries, strict=True)
                if ref is None or self._changes.get(ref, True)
            ]
            seen.add(ListedPage([ref for ref, _ in left], [entry for _, entry in left]))
        seen.add(ListedPage(sorted(added), [f"dry-run-{ref}" for ref in sorted(added)]))
        return seen


class ReadSite:
    """A public site that was read before the dry-run began."""

    def __init__(self, site: PublicSite) -> None:
        """Read it. That it cannot be read is raised where a run asks for it."""
        self._site = site
        self._unread: CertjobsError | None = None
        try:
            site.read()
        except CertjobsError as exc:
            self._unread = exc

    def read(self) -> None:
        """Raise what kept it from being read."""
        if self._unread is not None:
            raise self._unread

    def shown(self, refs: Sequence[str]) -> Sequence[str]:
        """Return what the site says."""
        return self._site.shown(refs)
