"""A portal for tests: the simulator on a clock that stands still until a run rests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certjobs.local.simulator.clock import SetClock
from certjobs.local.simulator.server import Settings, Simulator, simulator
from tests.canaries import stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from certjobs.local.simulator.faults import Fault


@dataclass
class Portal:
    """The portal as a test sees it: what it is asked, what it shows, what goes wrong, and how to reach it."""

    simulator: Simulator
    env: dict[str, str]
    clock: SetClock
    rests: list[float] = field(default_factory=list)

    def knows(self, *refs: str, listed: bool = True) -> None:
        """Give the portal rows for these mentors."""
        for ref in refs:
            self.simulator.state.add(ref, listed=listed)

    def listed(self) -> list[str]:
        """Return who is listed as far as accepted changes go, in order."""
        return sorted(ref for ref in self.simulator.state.listed() if ref)

    def fault(self, kind: Any, on: Any = None, **details: Any) -> Fault:
        """Let something go wrong; see the simulator's Fault."""
        return self.simulator.faults.add(kind, on, **details)

    def changes(self) -> int:
        """Return how many requests for changes arrived."""
        return sum(each.method != "GET" and each.area in ("batch", "row") for each in self.simulator.log.entries())


@contextmanager
def running(directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> Iterator[Portal]:
    """Run a portal whose clock moves when a run of this process rests, which takes no time."""
    clock = SetClock()
    with simulator(Settings(**settings), clock=clock) as found:  # type: ignore[arg-type] # as Settings takes them
        portal = Portal(found, found.environment(stored(directory / "secret"), directory / "ca.pem"), clock)

        def sleep(_clock: object, seconds: float, _until: object) -> None:
            portal.rests.append(seconds)
            clock.advance(seconds)

        monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", sleep)
        yield portal
