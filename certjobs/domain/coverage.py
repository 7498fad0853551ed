"""The proof that a run accounts for everything: what there was to do equals what became of it (DESIGN section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The jobs that every night has to see through, in their order; ``nightly`` runs them, each with a row of its own.
NIGHTLY = ("expiry-check", "remind", "sync", "reconcile")

# Which count of a job the table ``forecasts`` tells of.
FORETOLD: Mapping[str, str] = {"expiry-check": "paused", "remind": "reminders"}

# The count that says of a run that it did its job's whole night: for every organisation, and no baseline.
WHOLE_NIGHT = "whole_night"

_NOTICES = (
    "notices owed",
    "notices_owed",
    {
        "owed_sent": "sent",
        "owed_suppressed": "suppressed",
        "owed_superseded": "superseded",
        "owed_dead": "dead",
        "owed_unknown": "unknown",
        "owed_discarded": "discarded",
        "owed_open": "open",
    },
)

# Of a job's counts: what there was to do, and what became of it. The first name stands for what is counted from causes.
_EQUATIONS: Mapping[str, Sequence[tuple[str, str, Mapping[str, str]]]] = {
    "expiry-check": (
        (
            "expired mentors",
            "expired",
            {"paused": "paused", "refused": "refused", "failed": "failed", "open": "open", "changed": "changed"},
        ),
        _NOTICES,
    ),
    "remind": (_NOTICES,),
    "sync": (
        (
            "operations taken",
            "claimed",
            {
                "done": "done",
                "failed": "failed",
                "dead": "dead",
                "superseded": "superseded",
                "released": "put back",
                "lost": "not recorded",
            },
        ),
    ),
    "reconcile": (
        (
            "entries on the website",
            "entries",
            {"agreeing": "agreeing", "extra": "too many", "unknown": "of nobody", "not_ours": "not ours"},
        ),
        (
            "mentors who differ",
            "differing",
            {
                "queued": "queued",
                "left_out": "on their way",
                "given_up_before": "given up before",
                "refused": "refused",
                "reported": "reported only",
            },
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Equation:
    """What there was to do, and into what it fell apart, by name; ``remainder``: how many nobody accounts for."""

    what: str
    total: int
    parts: Sequence[tuple[str, int]]

    @property
    def remainder(self) -> int:
        """Return what the parts leave over; anything but 0 is a fault."""
        return self.total - sum(number for _, number in self.parts)

    def __str__(self) -> str:
        """Return it as it is read: ``notices owed 12 = 11 sent + 1 open``; parts that are 0 are left out."""
        told = " + ".join(f"{number} {name}" for name, number in self.parts if number)
        return f"{self.what} {self.total} = {told or '0'}"


def equations(job: str, counts: Mapping[str, int]) -> Sequence[Equation]:
    """Return the equations of a job's run from its counts; none where it never came to count."""
    return [
        Equation(what, counts[total], [(word, counts.get(name, 0)) for name, word in parts.items()])
        for what, total, parts in _EQUATIONS.get(job, ())
        if total in counts
    ]
