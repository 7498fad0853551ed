"""The rules of a whole night, the public listing among them, restated in plain Python from the design.

Pauses and reminders are asked of the oracle of single nights; here stands what people and the website add to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from .administrator import BY_HAND, BY_JOB, State
from .oracle import Entry, Oracle
from .register import Certification

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from .register import Mentor
    from .year import Event

OURS = frozenset({"HLF"})
STATUSES = {"paused": "paused", "reinstated": "reinstated", "forced": "reinstated"}
"""What a person does to a mentor's status, and the status event that it leaves."""


@dataclass(frozen=True)
class Expected:
    """How everything must stand when a day and its night are over.

    ``paused``, ``reminded`` and ``overtaken`` are empty where the night was missed. ``wanted`` has who is to be listed
    and who is not to be, by the rule; who is not ours has none. ``foreign`` has what the website shows of the others.
    ``absent`` has who has no entry on the website.
    """

    paused: frozenset[str]
    reminded: frozenset[Entry]
    overtaken: frozenset[Entry]
    refused: bool
    states: Mapping[str, State]
    coordinators: Mapping[str, int]
    wanted: Mapping[str, bool]
    foreign: Mapping[str, bool]
    absent: frozenset[str]


@dataclass
class World:
    """Everybody as they stand, and every entry of the website: by mentor's reference, or by a key no mentor has.

    ``site`` has what the entry shows once a night ended well, and what somebody made of it since then.
    """

    people: dict[str, Mentor] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    site: dict[str, bool] = field(default_factory=dict)
    ledger: set[Entry] = field(default_factory=set)
    rules: Oracle = field(default_factory=Oracle)

    def ours(self, ref: str) -> bool:
        """Tell whether the listing of this mentor is ours."""
        return self.people[ref].organisation in OURS

    def wanted(self, ref: str, day: date) -> bool | None:
        """Return whether the rule wants the mentor listed that day, or nothing where they are not ours."""
        if not self.ours(ref):
            return None
        state = self.states[ref]
        return state.status == "active" and state.certified(day)

    def arrives(self, mentor: Mentor, day: date, *, entry: bool = True) -> None:
        """Somebody new, active; the website has them, where it does, not listed yet."""
        self.people[mentor.ref] = mentor
        self.states[mentor.ref] = State("active", None, mentor.expiry(day))
        if entry:
            self.site[mentor.ref] = False

    def happens(self, event: Event, day: date) -> None:
        """Let something happen on a day."""
        if event.kind == "arrived":
            assert event.mentor is not None
            self.arrives(event.mentor, day, entry=event.entry)
        elif event.kind in STATUSES:
            away = event.kind == "paused"
            self.states[event.ref] = replace(
                self.states[event.ref],
                status="paused" if away else "active",
                pause_reason=BY_HAND if away else None,
            )
        elif event.ref in self.people and event.kind in ("added", "renewed", "withdrawn"):
            self._certified(event, day)
        elif event.kind == "moved":
            self._moves(event)
        elif event.kind == "assigned":
            self.people[event.ref] = replace(self.people[event.ref], coordinators=event.to)
        else:
            self._edited(event)

    def _certified(self, event: Event, day: date) -> None:
        mentor = self.people[event.ref]
        held = {each.ref: each for each in mentor.certifications}
        if event.kind == "withdrawn":
            held[event.certificate] = replace(held[event.certificate], withdrawn_on=day)
        else:
            assert event.until is not None
            known = held.get(event.certificate, Certification(event.certificate, day, event.until, day))
            held[event.certificate] = replace(known, expires_on=event.until)
        self.people[event.ref] = replace(mentor, certifications=tuple(held.values()))
        self.states[event.ref] = replace(self.states[event.ref], expiry=self.people[event.ref].expiry(day))

    def _moves(self, event: Event) -> None:
        """Who leaves an organisation that is ours leaves the website, and from then on is nobody's business here."""
        (to,) = event.to
        leaving = self.ours(event.ref)
        self.people[event.ref] = replace(self.people[event.ref], organisation=to, chapter=chapter_of(to))
        if leaving and not self.ours(event.ref) and event.ref in self.site:
            self.site[event.ref] = False

    def _edited(self, event: Event) -> None:
        if event.kind == "emptied":
            self.site = dict.fromkeys(self.site, False)
        elif event.kind == "most hidden":
            self.site |= {ref: False for ref in self.site if ref in self.people and self.ours(ref)}
        elif event.kind == "deleted":
            del self.site[event.ref]
        elif event.kind != "keyless":
            self.site[event.ref] = event.kind in ("shown", "stranger")

    def night(self, day: date, *, missed: bool) -> Expected:
        """Let the night be, or be missed, and return how everything must stand afterwards."""
        mentors = tuple(self.people.values())
        nothing = frozenset[Entry]()
        paused = frozenset[str]() if missed else self.rules.due(mentors, self.states, day)
        refused = self.rules.refuses(mentors, self.states, paused)
        self.states |= {ref: replace(self.states[ref], status="paused", pause_reason=BY_JOB) for ref in paused}
        reminded, overtaken = (
            (nothing, nothing)
            if missed
            else self.rules.reminders(mentors, self.states, paused, frozenset(self.ledger), day)
        )
        self.ledger |= reminded | overtaken
        return Expected(
            paused=paused,
            reminded=reminded,
            overtaken=overtaken,
            refused=refused,
            states=MappingProxyType(dict(self.states)),
            coordinators={ref: len(each.coordinators) or 1 for ref, each in self.people.items()},
            wanted=self.rule(day),
            foreign={key: shown for key, shown in self.site.items() if not self._is_ours(key)},
            absent=frozenset(self.people.keys() - self.site.keys()),
        )

    def rule(self, day: date) -> dict[str, bool]:
        """Return what the rule wants of everybody who is ours."""
        answers = ((ref, self.wanted(ref, day)) for ref in self.people)
        return {ref: answer for ref, answer in answers if answer is not None}

    def ended_well(self, day: date) -> None:
        """The website shows of everybody who is ours, and has an entry, what the rule wants."""
        self.site |= {ref: answer for ref, answer in self.rule(day).items() if ref in self.site}

    def _is_ours(self, key: str) -> bool:
        return key in self.people and self.ours(key)


def chapter_of(organisation: str) -> str:
    """Return the one chapter to which a mentor moves."""
    return f"{organisation} Prøveby"


def missing(expected: Expected) -> list[str]:
    """Return who is to be listed and cannot be, for want of an entry."""
    return sorted(ref for ref in expected.absent if expected.wanted.get(ref))
