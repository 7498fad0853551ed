"""Throws a year from a seed: the same roster, events, missed nights and troubles on every run and every machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, TypeVar

from .register import ONE_DAY, Certification, Mentor
from .year import MASS, TROUBLES, Day, Event
from .year_oracle import World, chapter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .year import SiteKind, Trouble

T = TypeVar("T")

FIRST = date(2025, 10, 1)
HLF, NHF = 46, 6
COORDINATORS = tuple(f"Coordinator {name} <coordinator.{name.lower()}@example.org>" for name in "ABCDEF")
EDITS: tuple[SiteKind, ...] = ("shown", "hidden", "stranger", "keyless", "deleted", "hidden", "shown")
MASSES: tuple[SiteKind, ...] = ("emptied", "most hidden")
STRETCH = (2, 8)
ENOUGH_TO_HIDE = 32
ENOUGH_TO_DO = 2  # operations on a night of trouble
SOON = 30
EDGES = (0, 6, 7, 8, 14, 15, 30, 31)  # days left


@dataclass
class Chance:
    """Whoever throws the dice. ``busy``: how much more happens than in a year like any other."""

    seed: int
    busy: float = 1.0
    world: World = field(default_factory=World)
    _dice: Random = field(init=False)
    _decks: dict[str, list[object]] = field(default_factory=dict)
    _still_missed: int = 0
    _serial: int = 0
    _moved_away: set[str] = field(default_factory=set)
    _edited: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)  # noqa: S311 - of events, not of secrets

    # The roster that the year begins with.

    def roster(self) -> tuple[Mentor, ...]:
        """Let everybody arrive with whom the year begins, on the day before it."""
        for number in range(HLF + NHF):
            organisation = "HLF" if number < HLF else "NHF"
            ref = f"{organisation}-{number:02}"
            ends = FIRST + timedelta(days=self._dice.randint(-10, 330 if self.busy == 1 else 80))
            never = self._dice.random() < 0.06
            certifications = () if never else (self._certification(ref, 1, ends),)
            desks = tuple(self._dice.sample(COORDINATORS, self._dice.choice((0, 1, 1, 1, 2))))
            if number < len(COORDINATORS):
                desks = (COORDINATORS[number],)
            self.world.arrives(self._mentor(ref, organisation, desks, certifications), FIRST - ONE_DAY)
            self.world.site[ref] = self._dice.random() < 0.6
        return tuple(self.world.people.values())

    def _mentor(
        self, ref: str, organisation: str, desks: tuple[str, ...], certifications: tuple[Certification, ...]
    ) -> Mentor:
        known_on = FIRST - timedelta(days=2000)
        chapter = chapter_of(organisation)
        return Mentor(ref, f"Mentor {ref}", organisation, chapter, desks, known_on, certifications)

    @staticmethod
    def _certification(ref: str, number: int, ends: date) -> Certification:
        issued = ends - timedelta(days=1000)
        return Certification(f"C-{ref}-{number}", issued, ends, issued)

    # Day after day.

    def days(self, count: int) -> tuple[Day, ...]:
        """Throw so many days; the first night and the last one run, and nothing goes wrong on them."""
        return tuple(self._day(FIRST + timedelta(days=n), quiet=n in (0, count - 1)) for n in range(count))

    def _day(self, day: date, *, quiet: bool) -> Day:
        before = self.world.rule(day)
        events: list[Event] = []
        for event in () if quiet else self._events(day):
            self.world.happens(event, day)
            events.append(event)
        missed = not quiet and self._missed()
        mass = any(each.kind in MASS for each in events)
        trouble = None if quiet or missed or mass or not self._likely(0.14) else self._next(TROUBLES, "trouble")
        if trouble is not None:
            busy = {each.ref for each in events}
            events += self._hidden(busy, day) if trouble.of_reading else self._more_to_do(before, busy, day)
        expected = self.world.night(day, missed=missed)
        if not missed and trouble is None:
            self.world.ended_well(day)
            self._edited.clear()
        return Day(day, tuple(events), missed, trouble, expected)

    def _more_to_do(self, before: Mapping[str, bool], busy: set[str], day: date) -> list[Event]:
        """Pause mentors by hand where there is little for a trouble to befall."""
        changed = sum(before.get(ref) != listed for ref, listed in self.world.rule(day).items())
        shown = self._to_be_shown(busy, day)
        chosen = self._dice.sample(shown, min(len(shown), max(0, ENOUGH_TO_DO - changed)))
        return self._happened([Event("paused", ref) for ref in sorted(chosen)], day)

    def _hidden(self, busy: set[str], day: date) -> list[Event]:
        """Let somebody take one mentor off the website, which nobody can see while the listing cannot be read."""
        shown = self._to_be_shown(busy, day)
        chosen = self._dice.sample(shown, min(len(shown), 1))
        self._edited |= set(chosen)
        return self._happened([Event("hidden", ref) for ref in chosen], day)

    def _to_be_shown(self, busy: set[str], day: date) -> list[str]:
        rule = self.world.rule(day)
        excluded = busy | self._edited | self._moved_away
        return [ref for ref in sorted(rule) if rule[ref] and ref in self.world.site and ref not in excluded]

    def _happened(self, events: list[Event], day: date) -> list[Event]:
        for event in events:
            self.world.happens(event, day)
        return events

    def _missed(self) -> bool:
        if self._still_missed:
            self._still_missed -= 1
            return True
        if self._likely(0.012):
            self._still_missed = self._dice.randint(*STRETCH) - 1
            return True
        return self._likely(0.03)

    def _events(self, day: date) -> list[Event]:
        found: list[Event] = []
        for ref in sorted(self.world.people):
            event = self._of_a_person(ref, day)
            if event is not None:
                found.append(event)
        if self._likely(0.02):
            found.append(self._arrival(day))
        moved = {each.ref for each in found if each.kind == "moved"}
        found += [Event("entered", ref) for ref in self._without_entry() if self._likely(0.12)]
        busy = {each.ref for each in found}
        if self._likely(0.09):
            edit = self._edit(self._next(EDITS, "edit"), day, busy | moved)
            found += [edit] if edit else []
        shown = sum(1 for ref, wanted in self.world.rule(day).items() if wanted and ref in self.world.site)
        if shown >= ENOUGH_TO_HIDE and self._likely(0.01):
            found.append(Event(self._next(MASSES, "mass")))
            self._edited |= self.world.people.keys()
        return found

    def _without_entry(self) -> list[str]:
        return sorted(self.world.people.keys() - self.world.site.keys())

    def _of_a_person(self, ref: str, day: date) -> Event | None:
        """Throw for what happens to a mentor that day, if anything does."""
        state, mentor = self.world.states[ref], self.world.people[ref]
        left = (state.expiry - day).days if state.expiry else None
        latest = max(mentor.certifications, key=lambda each: each.end(day), default=None)
        choices: list[tuple[float, Callable[[], Event]]] = []
        if state.status == "paused":
            if state.certified(day):
                choices.append((0.2, lambda: Event("reinstated", ref)))
            else:
                choices.append((0.004 * self.busy, lambda: Event("forced", ref)))
                choices.append((0.03, lambda: self._addition(ref, day)))
        else:
            choices.append((0.0015 * self.busy, lambda: Event("paused", ref)))
            if left is None:
                choices.append((0.01, lambda: self._addition(ref, day)))
        if latest is not None and latest.withdrawn_on is None and left is not None and left <= SOON:
            choices.append((0.02, lambda: Event("renewed", ref, latest.ref, self._until(day, after=latest.expires_on))))
            choices.append((0.01, lambda: self._addition(ref, day)))
        if latest is not None and latest.withdrawn_on is None and left is not None and left > 0:
            choices.append((0.0007 * self.busy, lambda: Event("withdrawn", ref, latest.ref)))
        choices.append((0.002 * self.busy, lambda: self._assignment(ref)))
        if ref not in self._edited:
            often = 0.0004 if mentor.organisation == "HLF" else 0.006
            choices.append((often * self.busy, lambda: self._move(ref)))
        thrown = self._dice.random()
        for likely, make in choices:
            if thrown < likely:
                return make()
            thrown -= likely
        return None

    def _addition(self, ref: str, day: date) -> Event:
        number = len(self.world.people[ref].certifications) + 1
        return Event("added", ref, f"C-{ref}-{number}", self._until(day))

    def _until(self, day: date, after: date | None = None) -> date:
        """Throw for a last valid day: often one on which a threshold begins or ends to cover it, if that is later."""
        edges = [day + timedelta(days=left) for left in EDGES if after is None or day + timedelta(days=left) > after]
        if edges and self._dice.random() < 0.4:
            return self._dice.choice(edges)
        later = day if after is None else max(day, after)
        return later + timedelta(days=self._dice.randint(3, 60 if self.busy > 1 else 200))

    def _assignment(self, ref: str) -> Event:
        desks = self._dice.sample(COORDINATORS, self._dice.choice((0, 1, 2)))
        return Event("assigned", ref, to=tuple(sorted(desks)))

    def _move(self, ref: str) -> Event:
        away = self.world.people[ref].organisation == "HLF"
        self._moved_away |= {ref} if away else set()
        return Event("moved", ref, to=("NHF" if away else "HLF",))

    def _arrival(self, day: date) -> Event:
        self._serial += 1
        ref = f"HLF-N{self._serial}"
        desks = tuple(self._dice.sample(COORDINATORS, 1))
        ends = day + timedelta(days=self._dice.randint(-5, 90))
        mentor = self._mentor(ref, "HLF", desks, (self._certification(ref, 1, ends),))
        return Event("arrived", ref, mentor=mentor, entry=self._serial % 2 == 1)

    def _edit(self, kind: SiteKind, day: date, busy: set[str]) -> Event | None:
        """Throw for the entry that somebody changes: never of who moves, for then nobody could say whose it is."""
        self._serial += 1
        if kind == "stranger":
            return Event(kind, f"STRANGER-{self._serial}")
        if kind == "keyless":
            return Event(kind)
        excluded = busy | self._moved_away
        rule = self.world.rule(day)
        fitting = [
            ref
            for ref in sorted(self.world.site.keys() & self.world.people.keys() - excluded)
            if kind == "deleted" or rule.get(ref) is None or rule[ref] == (kind == "hidden")
        ]
        if kind == "deleted":
            fitting = [ref for ref in fitting if rule.get(ref)]
        if not fitting:
            return None
        ref = self._dice.choice(fitting)
        self._edited.add(ref)
        return Event(kind, ref)

    # The dice.

    def _likely(self, often: float) -> bool:
        return self._dice.random() < often * self.busy

    def _next(self, kinds: Sequence[T], deck: str) -> T:
        """Draw one of a kind: all of them once, in any order, before one comes again."""
        cards = self._decks.setdefault(deck, [])
        if not cards:
            cards.extend(self._dice.sample(range(len(kinds)), len(kinds)))
        number = cards.pop()
        assert isinstance(number, int)
        return kinds[number]


def trouble_names(days: Sequence[Day]) -> set[str]:
    """Return what goes wrong on any of these days."""
    found: list[Trouble] = [each.trouble for each in days if each.trouble is not None]
    return {each.name for each in found}
