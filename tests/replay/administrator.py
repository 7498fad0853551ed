"""The people who reinstate and pause mentors by hand between two nights: played by dice, or from a script."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

BY_JOB = "expired_cert"
BY_HAND = "by hand"


@dataclass(frozen=True)
class State:
    """What one sees of a mentor: the status, who paused them, and when the certification ends."""

    status: Literal["active", "paused"]
    pause_reason: str | None
    expiry: date | None

    def certified(self, day: date) -> bool:
        """Tell whether the mentor is validly certified on that day."""
        return self.expiry is not None and self.expiry >= day

    def expired(self, day: date) -> bool:
        """Tell whether the mentor was certified once and is no longer."""
        return self.expiry is not None and self.expiry < day


@dataclass(frozen=True)
class Action:
    """One command of an administrator."""

    day: date
    verb: Literal["reinstate", "pause"]
    mentor_ref: str
    force: bool = False

    @property
    def event(self) -> str:
        """The status event this action leaves behind."""
        return {"reinstate": "reinstated", "pause": "paused"}[self.verb]

    def argv(self) -> list[str]:
        """Return the arguments of the certjobs command."""
        reason = f"replay: {self.verb}d by hand"
        force = ["--force"] if self.force else []
        return [
            "mentors",
            self.verb,
            self.mentor_ref,
            "--reason",
            reason,
            "--as-of",
            self.day.isoformat(),
            *force,
        ]


class Acts(Protocol):
    """Whoever decides what is done by hand on a day."""

    def actions(self, day: date, states: Mapping[str, State]) -> tuple[Action, ...]:
        """Return the actions of that day, seeing how the mentors stand after the day's import."""
        ...


@dataclass(frozen=True)
class Script:
    """An administrator who does exactly what is written down."""

    written: tuple[Action, ...] = ()

    def actions(self, day: date, states: Mapping[str, State]) -> tuple[Action, ...]:
        """Return the actions written down for that day, of mentors who exist by then."""
        return tuple(one for one in self.written if one.day == day and one.mentor_ref in states)


@dataclass(frozen=True)
class Administrator:
    """An administrator whose decisions are dice thrown from a seed: the same on every run and every machine.

    A paused mentor whose certification is valid again is reinstated within some days; now and then one who
    is not certified is reinstated by force, and one who is active is paused by hand.
    """

    seed: int
    reinstates: float = 0.3
    forces: float = 0.01
    pauses: float = 0.004

    def actions(self, day: date, states: Mapping[str, State]) -> tuple[Action, ...]:
        """Return the actions of that day, in the order of the mentors' references."""
        decided = (self._decide(day, ref, states[ref]) for ref in sorted(states))
        return tuple(action for action in decided if action is not None)

    def _decide(self, day: date, ref: str, state: State) -> Action | None:
        if state.status == "active":
            return Action(day, "pause", ref) if self._happens(self.pauses, day, ref) else None
        certified = state.certified(day)
        likely = self.reinstates if certified else self.forces
        return Action(day, "reinstate", ref, force=not certified) if self._happens(likely, day, ref) else None

    def _happens(self, likely: float, day: date, ref: str) -> bool:
        return dice(self.seed, day.isoformat(), ref) < likely


def dice(*names: object) -> float:
    """Return a number from 0 up to 1 that depends on nothing but the names."""
    digest = sha256(":".join(str(name) for name in names).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
