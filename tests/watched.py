"""A portal that remembers what it was asked, by mentor, and a queue that need not wait."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qs, unquote

from certjobs.local.simulator.clock import SetClock
from certjobs.local.simulator.faults import Fault, Faults
from certjobs.local.simulator.server import Settings, simulator
from certjobs.local.simulator.state import Row, State
from certjobs.local.simulator.web import Service
from tests.canaries import stored
from tests.portal import Portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from certjobs.local.simulator.wire import Call, Reply
    from tests.conftest import TestDatabase

_KEY = re.compile(rb"\(new_mentorid='([^']*)'\)")
SOON = (
    "CREATE FUNCTION soon() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " NEW.not_before := clock_timestamp() + interval '{milliseconds} ms'; RETURN NEW; END $$;"
    "CREATE TRIGGER soon BEFORE UPDATE OF not_before ON sync_queue FOR EACH ROW"
    " WHEN (NEW.not_before IS NOT NULL) EXECUTE FUNCTION soon()"
)


@dataclass
class Watch:
    """What a portal got: the states of each mentor in order, who was asked for twice at once, and what proves who asks.

    ``on_request`` is called with the number of a request for changes, from 1, before it is answered.
    """

    accepted: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    at_once: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    requests: int = 0
    most_at_once: int = 0
    on_request: Callable[[int], object] = lambda _number: None
    _under_way: Counter[str] = field(default_factory=Counter)
    _requests_under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, keys: list[str]) -> int:
        """Note that a request about these mentors arrived, and return its number."""
        with self._lock:
            self.requests += 1
            self._requests_under_way += 1
            self.most_at_once = max(self.most_at_once, self._requests_under_way)
            self.at_once += [key for key in keys if self._under_way[key]]
            self._under_way.update(keys)
            return self.requests

    def end(self, keys: list[str]) -> None:
        """Note that it is answered, or never will be."""
        with self._lock:
            self._requests_under_way -= 1
            self._under_way.subtract(keys)

    def note(self, *credentials: str) -> None:
        """Note what proves who asks."""
        with self._lock:
            self.credentials.update(each for each in credentials if each)

    def last(self) -> dict[str, bool]:
        """Return the state of each mentor that the portal got last."""
        return {key: states[-1] for key, states in self.accepted.items()}


class WatchedState(State):
    """Rows whose every change is noted."""

    watch: Watch

    def update(self, row: Row, values: Mapping[str, Any]) -> Row:
        with self.lock:
            changed = super().update(row, values)
            self.watch.accepted[changed.values[self.table.key_column]].append(changed.values[self.table.listed_column])
            return changed


class WatchedService(Service):
    """Answers requests, each of which is noted from when it arrived until its answer was written."""

    watch: Watch

    def __call__(self, call: Call) -> Reply:
        self.watch.note(call.headers.get("authorization", "").partition(" ")[2])
        if call.path.endswith("/token"):
            self.watch.note(*parse_qs(call.body.decode()).get("client_secret", []))
        if call.method == "GET" or not call.path.startswith(self.api.root):
            return super().__call__(call)
        keys = [unquote(key.decode()) for key in _KEY.findall(call.target.encode() + call.body)]
        self.watch.on_request(self.watch.begin(keys))
        answer = super().__call__(call)
        answer.after = partial(self._answered, keys, answer.after)
        return answer

    def _answered(self, keys: list[str], after: Callable[[], None] | None) -> None:
        if after is not None:
            after()
        self.watch.end(keys)


class Unsteady(Faults):
    """Faults that befall some parts and some batches by chance, as long as they are ``on``."""

    def __init__(self, parts: float, batches: float, seed: int = 1) -> None:
        super().__init__()
        self.on = True
        self.befell = 0
        self._chances = {"part": parts, "batch": batches}
        self._random = random.Random(seed)  # noqa: S311 - of faults, not of secrets
        self._guard = threading.Lock()

    def take(self, area: str, key: str | None = None) -> Fault | None:
        with self._guard:
            if self.on and self._random.random() < self._chances.get(area, 0.0):
                self.befell += 1
                return Fault("status", status=self._random.choice((500, 502, 503, 504)))
        return super().take(area, key)


class Background(threading.Thread):
    """Does something beside the test, and gives what came of it."""

    def __init__(self, does: Callable[[], int]) -> None:
        super().__init__()
        self._does = does
        self._found: int | BaseException = 0

    def run(self) -> None:
        try:
            self._found = self._does()
        except BaseException as exc:  # noqa: BLE001 - it is raised where somebody looks
            self._found = exc

    def found(self) -> int:
        self.join()
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


@dataclass
class WatchedPortal(Portal):
    """A portal with its watch."""

    watch: Watch = field(default_factory=Watch)


@contextmanager
def watched(directory: Path, monkeypatch: pytest.MonkeyPatch | None = None, **settings: Any) -> Iterator[WatchedPortal]:
    """Run a portal that is watched, on a clock that stands still, for as many requests at once as anybody wants.

    With ``monkeypatch`` a run of this process rests by moving that clock, which takes no time.
    """
    clock, watch = SetClock(), Watch()
    server = "certjobs.local.simulator.server"
    state, service = (type(each.__name__, (each,), {"watch": watch}) for each in (WatchedState, WatchedService))
    with (
        mock.patch(f"{server}.State", state),
        mock.patch(f"{server}.Service", service),
        simulator(Settings(**settings), clock=clock) as found,
    ):
        found.service.dop_hint = found.limits.concurrency_limit
        found.limits.charge_ms = 0.0
        env = found.environment(stored(directory / "secret"), directory / "ca.pem")
        portal = WatchedPortal(found, env, clock, watch=watch)

        def sleep(_clock: object, seconds: float, _until: object) -> None:
            portal.rests.append(seconds)
            clock.advance(seconds)

        if monkeypatch is not None:
            monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", sleep)
        yield portal


def due_soon(database: TestDatabase, milliseconds: int = 10) -> None:
    """Let what rests in the database's time rest only a moment."""
    database.execute(SOON.format(milliseconds=milliseconds))


def account(database: TestDatabase) -> dict[str, int]:
    """Return how many operations have which status."""
    return dict(database.all("SELECT status, count(*) FROM sync_queue GROUP BY status"))
