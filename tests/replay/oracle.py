"""The rules of pausing and reminding, restated in plain Python from the design, not from the product's code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .administrator import BY_HAND, BY_JOB, Action, Acts, Script, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from .register import Mentor, Timeline

NEVER: frozenset[date] = frozenset()
NOTHING: frozenset[Entry] = frozenset()


class Entry(NamedTuple):
    """One threshold of one expiry date of one mentor."""

    mentor_ref: str
    expiry: date
    threshold: int


@dataclass(frozen=True)
class Night:
    """What must happen on one night, and how every mentor must stand after it.

    ``reminded`` are the ledger's new entries that are due, ``overtaken`` those that are recorded and never sent.

    ``since`` is the day of the import before (none: this one is the first); ``ran`` is false where the job
    was missed; ``refused`` is true where the guard stops the first run, which is then approved and run again.
    """

    day: date
    since: date | None
    actions: tuple[Action, ...]
    ran: bool
    refused: bool
    paused: frozenset[str]
    states: Mapping[str, State]
    reminded: frozenset[Entry]
    overtaken: frozenset[Entry]

    @property
    def events(self) -> list[tuple[str, str]]:
        """The status events of the day as (event, mentor), sorted."""
        by_hand = [(action.event, action.mentor_ref) for action in self.actions]
        return sorted([*by_hand, *((BY_JOB, ref) for ref in self.paused)])


@dataclass(frozen=True)
class Oracle:
    """The model: day by day the roster is imported, people act, and the job runs unless it is missed."""

    people: Acts = field(default_factory=Script)
    auto_pause: frozenset[str] = frozenset({"HLF"})
    guard_count: int = 25
    guard_share: Fraction = Fraction(1, 5)
    thresholds: tuple[int, ...] = (30, 14, 7)

    def expect(self, timeline: Timeline, nights: Sequence[date], skip: Collection[date] = NEVER) -> tuple[Night, ...]:
        """Tell what every night must bring.

        On a night in ``skip`` the roster is imported and people act, but the job does not run. On days not
        among ``nights`` nothing happens at all; the next import brings everything that changed meanwhile.
        """
        expected: list[Night] = []
        states: Mapping[str, State] = {}
        ledger: set[Entry] = set()
        since: date | None = None
        for day in nights:
            night = self._night(timeline.known(day), states, frozenset(ledger), day, since, ran=day not in skip)
            expected.append(night)
            ledger |= night.reminded | night.overtaken
            states, since = night.states, day
        return tuple(expected)

    def _night(
        self,
        mentors: Sequence[Mentor],
        states: Mapping[str, State],
        ledger: frozenset[Entry],
        day: date,
        since: date | None,
        *,
        ran: bool,
    ) -> Night:
        imported = after_import(mentors, states, day)
        actions = self.people.actions(day, imported)
        acted = after_actions(imported, actions)
        paused = self.due(mentors, acted, day) if ran else frozenset()
        after = acted | {ref: replace(acted[ref], status="paused", pause_reason=BY_JOB) for ref in paused}
        refused = self.refuses(mentors, acted, paused)
        reminded, overtaken = self.reminders(mentors, after, paused, ledger, day) if ran else (NOTHING, NOTHING)
        return Night(day, since, actions, ran, refused, paused, MappingProxyType(after), reminded, overtaken)

    def reminders(
        self,
        mentors: Sequence[Mentor],
        states: Mapping[str, State],
        paused: Collection[str],
        ledger: frozenset[Entry],
        day: date,
    ) -> tuple[frozenset[Entry], frozenset[Entry]]:
        """Return whom the coordinators are reminded of, and the thresholds that are overtaken.

        An active mentor is due for the smallest threshold that covers the days left, unless it or a smaller one is in
        the ledger for this expiry date; the larger ones that are not are overtaken. So are all that are missing of who
        is paused tonight.
        """
        due, overtaken = set[Entry](), set[Entry]()
        for mentor in mentors:
            expiry, status = states[mentor.ref].expiry, states[mentor.ref].status
            if mentor.organisation not in self.auto_pause or expiry is None:
                continue
            recorded = {entry.threshold for entry in ledger if entry[:2] == (mentor.ref, expiry)}
            left = (expiry - day).days
            covering = [threshold for threshold in self.thresholds if 0 <= left <= threshold]
            if mentor.ref in paused:
                late = set(self.thresholds)
            elif status == "active" and covering and not any(known <= min(covering) for known in recorded):
                due.add(Entry(mentor.ref, expiry, min(covering)))
                late = {threshold for threshold in self.thresholds if threshold > min(covering)}
            else:
                continue
            overtaken |= {Entry(mentor.ref, expiry, threshold) for threshold in late - recorded}
        return frozenset(due), frozenset(overtaken)

    def due(self, mentors: Sequence[Mentor], states: Mapping[str, State], day: date) -> frozenset[str]:
        """Return who is active, expired and of an organisation whose mentors are paused automatically."""
        ours = (mentor.ref for mentor in mentors if mentor.organisation in self.auto_pause)
        return frozenset(ref for ref in ours if states[ref].status == "active" and states[ref].expired(day))

    def refuses(self, mentors: Sequence[Mentor], states: Mapping[str, State], paused: Collection[str]) -> bool:
        """Tell whether the guard stops a run: above both the count and the share of one organisation."""
        return any(self._too_many(organisation, mentors, states, paused) for organisation in self.auto_pause)

    def _too_many(
        self,
        organisation: str,
        mentors: Sequence[Mentor],
        states: Mapping[str, State],
        paused: Collection[str],
    ) -> bool:
        members = [mentor.ref for mentor in mentors if mentor.organisation == organisation]
        active = sum(states[ref].status == "active" for ref in members)
        leaving = sum(ref in paused for ref in members)
        return leaving > self.guard_count and leaving > self.guard_share * active


def after_import(mentors: Sequence[Mentor], states: Mapping[str, State], day: date) -> dict[str, State]:
    """Return the states after the roster of that day: new mentors are active, nobody's status changes."""
    new = State("active", None, None)
    return {mentor.ref: replace(states.get(mentor.ref, new), expiry=mentor.expiry(day)) for mentor in mentors}


def after_actions(states: Mapping[str, State], actions: Sequence[Action]) -> dict[str, State]:
    """Return the states after what people did by hand."""
    after = dict(states)
    for action in actions:
        if action.verb == "pause":
            after[action.mentor_ref] = replace(after[action.mentor_ref], status="paused", pause_reason=BY_HAND)
        else:
            after[action.mentor_ref] = replace(after[action.mentor_ref], status="active", pause_reason=None)
    return after
