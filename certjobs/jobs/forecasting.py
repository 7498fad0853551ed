"""What the coming nights will do, if they all run, nothing in the roster changes, and nobody approves anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from certjobs.domain.thresholds import thresholds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from certjobs.db.forecasts import Due, Named
    from certjobs.db.organisations import Organisation
    from certjobs.db.store import UnitOfWork
    from certjobs.domain.days import Calendar
    from certjobs.domain.guard import Guard

PAUSING = "expiry-check"  # the job that pauses
REMINDER, PAUSE, GUARDED = "reminder", "pause", "guarded"


@dataclass(frozen=True, slots=True)
class Event:
    """What a night does about one mentor: a reminder, a pause, or (guarded) no pause, because the guard asks first.

    ``coordinators`` are the ids of who hears of it. Nobody's mentor is told of to the fallback address.
    """

    day: date
    event: str
    threshold_day: int | None
    mentor_ref: str
    organisation: str
    chapter: str
    coordinators: Sequence[int]

    @property
    def notices(self) -> int:
        """How many notices it owes."""
        return 0 if self.event == GUARDED else max(1, len(self.coordinators))


@dataclass(frozen=True, slots=True)
class Asked:
    """A night that the guard refuses in one organisation: how many wait by then, and how many it would allow."""

    day: date
    organisation: str
    refused: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Forecasted:
    """An organisation whose nights are foretold: its own first night, and what the jobs may do for it."""

    organisation: str
    today: date
    thresholds: Sequence[int]
    auto_pause: bool
    remind: bool


@dataclass(slots=True)
class Group:
    """What falls to one day, chapter or coordinator: its name, in as many words as it has, and numbers."""

    name: tuple[object, ...]
    reminders: dict[int, int] = field(default_factory=dict)
    pauses: int = 0
    guarded: int = 0
    notices: int = 0

    def add(self, event: Event, notices: int) -> None:
        """Count an event."""
        self.notices += notices
        if event.threshold_day is not None:
            self.reminders[event.threshold_day] = self.reminders.get(event.threshold_day, 0) + 1
        elif event.event == PAUSE:
            self.pauses += 1
        else:
            self.guarded += 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """The nights to come: events by day, the nights on which the guard will ask, and the coordinators by id."""

    first: date
    last: date
    days: int
    organisations: Sequence[Forecasted]
    events: Sequence[Event]
    asked: Sequence[Asked]
    coordinators: dict[int, Named]
    nothing_for: Sequence[str] = ()

    def totals(self) -> Group:
        """Count everything."""
        total = Group(())
        for each in self.events:
            total.add(each, each.notices)
        return total

    def by_day(self) -> Sequence[Group]:
        """Count by night, those alone on which there is something."""
        return _grouped(self.events, lambda event: (event.day,))

    def by_chapter(self) -> Sequence[Group]:
        """Count by chapter."""
        return sorted(
            _grouped(self.events, lambda event: (event.organisation, event.chapter)), key=lambda each: str(each.name)
        )

    def by_coordinator(self) -> Sequence[Group]:
        """Count by coordinator, one time for each who hears of it; who is nobody's mentor stands by organisation."""
        groups: dict[tuple[object, ...], Group] = {}
        for event in self.events:
            names: list[tuple[object, ...]] = [
                (self.coordinators[each].name, self.coordinators[each].address) for each in event.coordinators
            ]
            for name in names or [(f"nobody ({event.organisation})", None)]:
                groups.setdefault(name, Group(name)).add(event, min(1, event.notices))
        return sorted(groups.values(), key=lambda each: (each.name[1] is None, str(each.name[1]), str(each.name[0])))


def _grouped(events: Iterable[Event], name_of: Callable[[Event], tuple[object, ...]]) -> Sequence[Group]:
    groups: dict[tuple[object, ...], Group] = {}
    for event in events:
        name = name_of(event)
        groups.setdefault(name, Group(name)).add(event, event.notices)
    return list(groups.values())


def forecast(
    transaction: UnitOfWork,
    *,
    days: int,
    org: str | None,
    calendar: Calendar,
    guard: Guard,
    thresholds: tuple[int, ...],
    per_organisation: bool,
) -> Forecast:
    """Return what so many nights will do, from tonight on.

    Raises UsageError for an unknown organisation, and ConfigurationError where one's thresholds or time zone mean
    nothing.
    """
    events: list[Event] = []
    asked: list[Asked] = []
    found: list[Forecasted] = []
    with transaction(bulk=True) as store:
        chosen = [store.organisations.get(org)] if org else store.organisations.all()
        todays = [calendar.today(each.code, each.time_zone) for each in chosen]
        for organisation, today in zip(chosen, todays, strict=True):
            if not (organisation.auto_pause or organisation.remind):
                continue
            own_count = per_organisation and organisation.remind
            ahead = thresholds_of(organisation.code, organisation.thresholds, thresholds, own_count=own_count)
            found.append(Forecasted(organisation.code, today, ahead, organisation.auto_pause, organisation.remind))
            due = store.forecasts.due(organisation, today, days, ahead, job_name=PAUSING)

            def active(enough: int, organisation_id: int = organisation.id) -> int:
                return store.mentors.count_active(organisation_id, enough)

            nights = [today + timedelta(days=number) for number in range(days)]
            events += _guarded(organisation, due, nights, guard, active, asked)
        coordinators = store.forecasts.coordinators({each for event in events for each in event.coordinators})
    events.sort(key=lambda event: event.day)  # stable: by organisation within a day, then as the statement orders
    asked.sort(key=lambda each: each.day)
    somewhere = calendar.as_of or calendar.now.date()
    first = min(todays, default=somewhere)
    last = max(todays, default=somewhere) + timedelta(days=days - 1)
    known = {each.organisation for each in found}
    nothing_for = [each.code for each in chosen if each.code not in known]
    return Forecast(first, last, days, found, events, asked, coordinators, nothing_for)


def _guarded(
    organisation: Organisation,
    due: Sequence[Due],
    nights: Sequence[date],
    guard: Guard,
    count_active: Callable[[int], int],
    asked: list[Asked],
) -> Sequence[Event]:
    """Return the events of an organisation's nights, as the guard will have it.

    What the guard refuses on one night is there the next, with what has become due since, and fewer are active: it is
    refused until somebody approves it. The active mentors are counted no further than matters.
    """
    by_night = {day: list(each) for day, each in groupby(due, key=lambda each: each.day)}
    unapproved = {
        day: sum(each.threshold_day is None and not each.approved for each in rows) for day, rows in by_night.items()
    }
    pauses = sum(each.threshold_day is None for each in due)
    enough = guard.enough_active(max(unapproved.values(), default=0))
    active = count_active(enough + pauses) if enough else 0
    events: list[Event] = []
    waiting = 0
    for day in nights:
        rows = by_night.get(day, [])
        waiting += unapproved.get(day, 0)
        allowed = guard.allowance(active)
        refused = waiting > allowed
        if refused:
            asked.append(Asked(day, organisation.code, waiting, allowed))
        for each in rows:
            kind = REMINDER if each.threshold_day is not None else PAUSE
            if kind == PAUSE and refused and not each.approved:
                kind = GUARDED
            active -= kind == PAUSE
            events.append(
                Event(
                    day,
                    kind,
                    each.threshold_day,
                    each.mentor_ref,
                    organisation.code,
                    each.chapter,
                    each.coordinator_ids,
                )
            )
        waiting = waiting if refused else 0
    return events
