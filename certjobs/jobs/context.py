"""What a job is given: its options, its day, its units of work, and what reaches outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from certjobs.domain.guard import Guard
from certjobs.domain.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import date
    from uuid import UUID

    from certjobs.db.organisations import Organisation
    from certjobs.db.store import UnitOfWork
    from certjobs.domain.days import Calendar
    from certjobs.domain.outcome import Report
    from certjobs.ports import ListingPortal, Log, Notifier, Progress, PublicSite, Sleep

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True, slots=True)
class JobContext(Generic[OptionsT]):
    """Everything a job may touch.

    ``transaction`` opens a unit of work, ``shield`` a stretch that a signal does not cut short. ``counts`` is kept
    current as the job goes, so that a run that is cut short still says what it did. ``dry_run`` is for what a report
    shows alone: a job does the same either way. ``steps`` carry out other jobs, each as a run of its own.
    """

    run_id: UUID
    job_name: str
    options: OptionsT
    calendar: Calendar
    transaction: UnitOfWork
    shield: Callable[[], AbstractContextManager[None]]
    notifier: Notifier | None
    portal: ListingPortal | None
    progress: Progress
    log: Log
    sleep: Sleep
    site: PublicSite | None = None
    quiet: Quiet = field(default_factory=Quiet)
    guard: Guard = field(default_factory=Guard)
    dry_run: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    steps: Mapping[str, Callable[[], Report]] = field(default_factory=dict)

    def today(self, organisation: Organisation) -> date:
        """Return the date in the organisation's time zone when the run started, or ``--as-of``; see Calendar."""
        return self.calendar.today(organisation.code, organisation.time_zone)

    def count(self, **steps: int) -> None:
        """Add to the run's counts."""
        for name, number in steps.items():
            self.counts[name] = self.counts.get(name, 0) + number
