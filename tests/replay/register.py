"""Turns a real public licence register into a timeline of mentors and certifications.

The register is not part of the project. Tests that need it are skipped where it is absent, and nothing of it
appears here: holders become mentors with invented names, and every licence term becomes a certification with
an invented reference.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

REGISTER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "licence_history.csv"
COLUMNS = (
    "mentor_ref",
    "name",
    "organisation",
    "chapter",
    "coordinators",
    "certificate_ref",
    "issued_on",
    "expires_on",
    "withdrawn_on",
)
ONE_DAY = timedelta(days=1)
ENROLMENT_LEAD = timedelta(days=7)
NHF_EVERY, NHF_FROM = 9, 4
WITHDRAWN = frozenset({"REV", "AAC"})
CHAPTERS = ("Prøveby", "Testvik", "Eksempeldal", "Øvingsfjord")

Kind = Literal["lapse", "late renewal", "withdrawal"]
KINDS: tuple[Kind, ...] = ("lapse", "late renewal", "withdrawal")


@dataclass(frozen=True)
class Certification:
    """One certification: what it says, and the day from which the roster names it."""

    ref: str
    issued_on: date
    expires_on: date
    known_on: date
    withdrawn_on: date | None = None

    def withdrawn_as_known(self, day: date) -> date | None:
        """Return the withdrawal date if the roster of that day already names it."""
        return self.withdrawn_on if self.withdrawn_on is not None and self.withdrawn_on <= day else None

    def end(self, day: date) -> date:
        """Return the last valid day, as known on that day."""
        withdrawn_on = self.withdrawn_as_known(day)
        return self.expires_on if withdrawn_on is None else min(self.expires_on, withdrawn_on - ONE_DAY)

    def changes(self) -> frozenset[date]:
        """Return the days on which the roster's row for this certification appears or changes."""
        withdrawal = {max(self.withdrawn_on, self.known_on)} if self.withdrawn_on else set()
        return frozenset({self.known_on} | withdrawal)


@dataclass(frozen=True)
class Mentor:
    """One mentor with everything the roster will ever say about them."""

    ref: str
    name: str
    organisation: str
    chapter: str
    coordinators: tuple[str, ...]
    known_on: date
    certifications: tuple[Certification, ...] = ()

    def known(self, day: date) -> tuple[Certification, ...]:
        """Return the certifications the roster of that day names."""
        return tuple(one for one in self.certifications if one.known_on <= day)

    def expiry(self, day: date) -> date | None:
        """Return the latest end of the certifications known that day, or nothing if there never was one."""
        return max((one.end(day) for one in self.known(day)), default=None)

    def changed(self, since: date | None, day: date) -> tuple[Certification, ...]:
        """Return the certifications that appeared or changed after ``since`` and until ``day``."""
        return tuple(one for one in self.certifications if any(_within(at, since, day) for at in one.changes()))

    def roster_rows(self, since: date | None, day: date) -> Iterator[dict[str, str]]:
        """Yield the roster's rows that changed; a mentor who is new and not yet certified has one as well."""
        changed = self.changed(since, day)
        if changed:
            yield from (self._row(one, day) for one in changed)
        elif _within(self.known_on, since, day):
            yield self._row(None, day)

    def _row(self, certification: Certification | None, day: date) -> dict[str, str]:
        coordinators = "|".join(self.coordinators)
        person = (self.ref, self.name, self.organisation, self.chapter, coordinators)
        certificate: tuple[str, str, str, str] = ("", "", "", "")
        if certification is not None:
            withdrawn_on = certification.withdrawn_as_known(day)
            certificate = (
                certification.ref,
                certification.issued_on.isoformat(),
                certification.expires_on.isoformat(),
                withdrawn_on.isoformat() if withdrawn_on else "",
            )
        return dict(zip(COLUMNS, (*person, *certificate), strict=True))


@dataclass(frozen=True, order=True)
class Happening:
    """Something that happens to a mentor of an organisation whose mentors are paused, on the day it shows."""

    day: date
    kind: Kind
    mentor_ref: str


@dataclass(frozen=True)
class Timeline:
    """All mentors, and what the roster says about them on any day."""

    mentors: tuple[Mentor, ...]

    def known(self, day: date) -> tuple[Mentor, ...]:
        """Return the mentors the roster of that day names."""
        return tuple(mentor for mentor in self.mentors if mentor.known_on <= day)

    def roster_rows(self, day: date, since: date | None = None) -> list[dict[str, str]]:
        """Return the rows that changed since the import of ``since``, or all known ones if there was none."""
        return [row for mentor in self.mentors for row in mentor.roster_rows(since, day)]

    @cached_property
    def happenings(self) -> tuple[Happening, ...]:
        """All lapses, late renewals and withdrawals of HLF's mentors, by date."""
        ours = (mentor for mentor in self.mentors if mentor.organisation == "HLF")
        return tuple(sorted(one for mentor in ours for one in _happenings(mentor)))

    def count(self, kind: Kind, days: Iterable[date] | None = None) -> int:
        """Count the happenings of a kind, on these days or ever."""
        chosen = None if days is None else frozenset(days)
        return sum(one.kind == kind and (chosen is None or one.day in chosen) for one in self.happenings)

    def busiest(self, count: int, stretch: int) -> tuple[date, ...]:
        """Choose ``count`` nights in stretches of ``stretch`` in a row that are fullest of happenings.

        Each happening weighs the inverse of how many there are of its kind, so that the rarer kinds are not
        crowded out. The fullest stretch is taken first, the earlier of two equals; stretches never overlap.
        """
        chosen: list[date] = []
        for first in self._by_weight(stretch):
            if all(abs(first - other) >= stretch * ONE_DAY for other in chosen):
                chosen.append(first)
            if len(chosen) * stretch >= count:
                break
        return tuple(night for first in sorted(chosen) for night in nights(first, stretch))[:count]

    def _by_weight(self, stretch: int) -> list[date]:
        totals = Counter(one.kind for one in self.happenings)
        weights: Counter[date] = Counter()
        for one in self.happenings:
            whole = len(self.happenings) ** 2 // totals[one.kind]
            for back in range(stretch):
                weights[one.day - back * ONE_DAY] += whole
        return sorted(weights, key=lambda first: (-weights[first], first))


def nights(start: date, count: int) -> tuple[date, ...]:
    """Return that many nights in a row."""
    return tuple(start + number * ONE_DAY for number in range(count))


def write_roster(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write roster rows as the file that ``roster import`` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_timeline(path: Path) -> Timeline:
    """Read a register file and turn it into a timeline."""
    with path.open(encoding="utf-8", newline="") as file:
        return timeline_of(list(csv.DictReader(file)))


def timeline_of(terms: Sequence[Mapping[str, str]]) -> Timeline:
    """Turn the register's terms into a timeline, one mentor a holder; a term of unknown dates is left out."""
    found: dict[str, list[Certification]] = {}
    repeats: Counter[str] = Counter()
    for term in terms:
        ref = "-".join((term["holder"], term["licence_code"], term["licence_number"], term["term_start"] or "undated"))
        repeats[ref] += 1
        certification = _certification(term, ref if repeats[ref] == 1 else f"{ref}-{repeats[ref]}")
        if certification is not None:
            found.setdefault(term["holder"], []).append(certification)
    return Timeline(tuple(_mentor(number, holder, found[holder]) for number, holder in enumerate(sorted(found))))


def _certification(term: Mapping[str, str], ref: str) -> Certification | None:
    start, expires_on = _day(term["term_start"]), _day(term["term_expires"])
    known_on = _day(term["issued_on"]) or start
    if known_on is None or expires_on is None:
        return None
    withdrawn_on = _day(term["status_changed_on"]) if term["status"] in WITHDRAWN else None
    issued_on = known_on if known_on <= expires_on else start or expires_on
    if withdrawn_on is not None:
        issued_on = min(issued_on, withdrawn_on)
    return Certification(ref, issued_on, expires_on, known_on, withdrawn_on)


def _mentor(number: int, holder: str, certifications: Sequence[Certification]) -> Mentor:
    """Invent the person: every ninth belongs to NHF, every fifth enrols a week before being certified."""
    organisation = "NHF" if number % NHF_EVERY == NHF_FROM else "HLF"
    chapter = CHAPTERS[number % len(CHAPTERS)]
    first = min(one.known_on for one in certifications)
    return Mentor(
        ref=holder,
        name=f"Mentor {holder}",
        organisation=organisation,
        chapter=f"{organisation} {chapter}",
        coordinators=_coordinators(number, organisation),
        known_on=first - ENROLMENT_LEAD if number % 5 == 0 else first,
        certifications=tuple(certifications),
    )


def _coordinators(number: int, organisation: str) -> tuple[str, ...]:
    """Give every seventh mentor no coordinator, every sixth of the others two, the rest one; all invented."""
    if number % 7 == 0:
        return ()
    chapter = number % len(CHAPTERS)
    desks = (1, 2) if number % 6 == 0 else (1 + number % 2,)
    domain = f"{organisation.lower()}.example.org"
    return tuple(f"Coordinator {organisation} {chapter}{desk} <coordinator{chapter}{desk}@{domain}>" for desk in desks)


def _happenings(mentor: Mentor) -> Iterator[Happening]:
    changes = {at for one in mentor.certifications for at in one.changes()}
    ends = {one.end(at) + ONE_DAY for one in mentor.certifications for at in one.changes()}
    for day in changes | ends:
        before, now = mentor.expiry(day - ONE_DAY), mentor.expiry(day)
        was_expired = before is not None and before < day - ONE_DAY
        is_expired = now is not None and now < day
        if is_expired and not was_expired:
            yield Happening(day, "lapse", mentor.ref)
        if was_expired and not is_expired:
            yield Happening(day, "late renewal", mentor.ref)
        withdrawn = (one for one in mentor.known(day) if one.withdrawn_on and max(one.changes()) == day)
        yield from (Happening(day, "withdrawal", mentor.ref) for _ in withdrawn)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _within(at: date, since: date | None, day: date) -> bool:
    return at <= day and (since is None or at > since)
