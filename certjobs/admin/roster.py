"""Importing a roster file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.domain import roster_csv
from certjobs.domain.roster_csv import Problem, RosterRejected, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from certjobs.db.roster import Merged
    from certjobs.db.store import Store
    from certjobs.domain.days import Calendar


def import_roster(
    transaction: Callable[[], AbstractContextManager[Store]], stream: BinaryIO, *, calendar: Calendar
) -> tuple[int, Merged]:
    """Import a roster file and return its number of rows and what they changed; all of it or nothing.

    Idempotent by the external references of mentors and certifications. Raises RosterRejected with every problem of
    every line, UsageError for a day to come; then nothing was written.
    """
    problems: list[Problem] = []

    def good() -> Iterator[Row]:
        for each in roster_csv.read(stream):
            if isinstance(each, Problem):
                problems.append(each)
            else:
                yield each

    with transaction() as store:
        for organisation in store.organisations.all():
            calendar.today(organisation.code, organisation.time_zone)
        rows = store.roster.stage(good())
        problems += store.roster.contradictions()
        if problems:
            raise RosterRejected(sorted(problems, key=lambda each: each.line))
        return rows, store.roster.merge()
