"""A year of a roster: what may happen on a day, what may go wrong that night, and a day as it was thrown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from .register import Mentor
    from .year_oracle import Expected

PeopleKind = Literal["added", "renewed", "withdrawn", "paused", "reinstated", "forced", "moved", "arrived", "assigned"]
SiteKind = Literal["shown", "hidden", "deleted", "entered", "stranger", "keyless", "emptied", "most hidden"]
Kind = PeopleKind | SiteKind
PEOPLE: tuple[PeopleKind, ...] = (
    "added",
    "renewed",
    "withdrawn",
    "paused",
    "reinstated",
    "forced",
    "moved",
    "arrived",
    "assigned",
)
SITE: tuple[SiteKind, ...] = (
    "shown",
    "hidden",
    "deleted",
    "entered",
    "stranger",
    "keyless",
    "emptied",
    "most hidden",
)
MASS: frozenset[Kind] = frozenset({"emptied", "most hidden"})


@dataclass(frozen=True)
class Event:
    """One thing that somebody does to one mentor, or to one entry of the website behind our back.

    - ``added``, ``renewed``, ``withdrawn``: a ``certificate``, valid ``until`` a day; withdrawn from the day itself on.
    - ``paused``, ``reinstated``, ``forced``: by hand; ``forced`` is a reinstatement of who is not certified.
    - ``moved`` ``to`` another organisation, ``assigned`` ``to`` these coordinators and no others, ``arrived``: as the
      ``mentor`` says, with an entry on the website where ``entry``.
    - ``shown``, ``hidden``: somebody lists or takes off on the website; ``deleted``: the entry itself is gone;
      ``entered``: an administrator makes the entry again and lets what is dead be retried.
    - ``stranger``: an entry with a key no mentor has, ``keyless``: one with none; both listed.
    - ``emptied``: everybody is taken off; ``most hidden``: everybody of HLF.
    """

    kind: Kind
    ref: str = ""
    certificate: str = ""
    until: date | None = None
    to: tuple[str, ...] = ()
    mentor: Mentor | None = None
    entry: bool = True

    def __str__(self) -> str:
        details = (self.certificate, f"until {self.until}" if self.until else "", ", ".join(self.to))
        entry = "" if self.entry else "without an entry"
        return " ".join(each for each in (self.ref, self.kind, *details, entry) if each)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong at the portal on one night.

    ``areas``: where it befalls; ``lasting``: as long as the night is, so that no run of that night can end well.
    """

    name: str
    kind: str
    areas: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False

    @property
    def of_reading(self) -> bool:
        """Tell whether it is the listing alone that cannot be read."""
        return self.areas == ("list",)

    @property
    def misleads(self) -> bool:
        """Tell whether it is a page of the listing that leads astray."""
        return self.kind.endswith("_link")


CHANGES = ("batch", "row")
ALWAYS: Mapping[str, Any] = {"count": None}
TROUBLES = (
    Trouble("503 twice", "status", CHANGES, {"status": 503, "count": 2}),
    Trouble("503 all night", "status", CHANGES, {"status": 503, **ALWAYS}, lasting=True),
    Trouble("429 with Retry-After", "status", CHANGES, {"status": 429, "retry_after": 7, "count": 2}),
    Trouble("503 for single mentors", "status", ("part",), {"status": 503, "count": 2}),
    Trouble("dropped before the write", "drop_before", CHANGES, {"count": 1}),
    Trouble("dropped after the write", "drop_after", CHANGES, {"count": 1}),
    Trouble("always dropped after the write", "drop_after", CHANGES, ALWAYS, lasting=True),
    Trouble("an answer cut off", "cut", CHANGES, {"count": 1}),
    Trouble("a truncated batch answer", "truncate", ("batch",), {"count": 1}),
    Trouble("a batch answer without some parts", "missing_parts", ("batch",), {"parts": 1, "count": 1}),
    Trouble("a batch that stops at an error", "stop_on_error", ("batch",), {"count": 1}),
    Trouble("401 once", "status", CHANGES, {"status": 401, "count": 1}),
    Trouble("401 all night", "status", (*CHANGES, "whoami", "list"), {"status": 401, **ALWAYS}, lasting=True),
    Trouble("the first page fails", "status", ("list",), {"status": 503, **ALWAYS}, lasting=True),
    Trouble("the second page fails", "status", ("list",), {"status": 503, "after": 1, **ALWAYS}, lasting=True),
    Trouble("a page is cut off", "cut", ("list",), {"after": 1, **ALWAYS}, lasting=True),
    Trouble("a page leads to itself", "repeated_link", ("list",), ALWAYS, lasting=True),
    Trouble("a page leads elsewhere", "foreign_link", ("list",), ALWAYS, lasting=True),
)


@dataclass(frozen=True)
class Day:
    """A day as it was thrown: what happens, whether the night is missed, what goes wrong, and what must come of it."""

    day: date
    events: tuple[Event, ...]
    missed: bool
    trouble: Trouble | None
    expected: Expected
