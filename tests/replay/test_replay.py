"""Whole stretches of nights played against certjobs; every night must be as the oracle says."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from .administrator import Administrator, dice
from .driver import Run, replay
from .oracle import Night, Oracle
from .register import ONE_DAY, Timeline
from .story import NIGHTS, SCRIPT, START, STORY, backlog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import psycopg

BUSY = Administrator(seed=1)
CALM = Administrator(seed=2, forces=0.002, pauses=0.002)
MISSED_NIGHTS, MISSED_WEEKS = 0.25, 0.3
EXPIRED = 30
CONSOLE = {"CERTJOBS_NOTIFY_CHANNEL": "console"}


class Result(Protocol):
    """What a certjobs command left behind."""

    exit_code: int
    stdout: str


class Certjobs(Protocol):
    """Runs a certjobs command."""

    def __call__(self, *argv: str, url: str | None = None, env: Mapping[str, str] | None = None) -> Result:
        """Run the command on the given database, or as its owner."""
        ...


class Database(Protocol):
    """A database with certjobs' schema and no mentors."""

    job_url: str

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection in autocommit."""
        ...


@dataclass
class Shell:
    """Runs the job's command as the job's role and every other one as the owner."""

    in_process: Certjobs
    in_real_process: Certjobs
    job_url: str
    stdout: str = field(default="", init=False)

    def __call__(self, argv: list[str], /, *, process: bool = False) -> int:
        """Run the command, keep what it printed, and return its exit code."""
        command = self.in_real_process if process else self.in_process
        job = argv[0] in ("expiry-check", "remind")
        result = command(*argv, url=self.job_url if job else None, env=CONSOLE if argv[0] == "remind" else None)
        self.stdout = result.stdout
        return result.exit_code


@pytest.fixture
def run(database: Database, certjobs: Certjobs, certjobs_process: Certjobs) -> Run:
    """Return what runs a command of the replay."""
    return Shell(certjobs, certjobs_process, database.job_url)


def missed_nights(nights: Sequence[date], seed: int) -> frozenset[date]:
    """Throw dice for the nights missed: about a quarter of single ones, and every third week or so."""
    single = {night for night in nights if dice("missed", seed, night) < MISSED_NIGHTS}
    weeks = {night for night in nights if dice("week", seed, (night - nights[0]).days // 7) < MISSED_WEEKS}
    return frozenset(single | weeks) - {nights[-1]}


def paused_late(expected: Sequence[Night]) -> int:
    """Count the mentors paused the night after a missed one on which they were already due."""
    return sum(
        before.states[ref].status == "active" and before.states[ref].expired(before.day)
        for before, night in pairwise(expected)
        for ref in night.paused & before.states.keys()
    )


@pytest.mark.timeout(300)
def test_story(run: Run, database: Database) -> None:
    """Every rule of pausing holds, night by night, in a small story that can be checked by reading."""
    with database.connect() as connection:
        replay(run, connection, STORY, Oracle(SCRIPT), NIGHTS, real_processes=1)


@pytest.mark.timeout(300)
def test_story_with_missed_nights(run: Run, database: Database) -> None:
    """The same story with two stretches of nights missed ends as the oracle says of those nights missed."""
    missed = frozenset({*NIGHTS[1:4], *NIGHTS[8:12]})
    with database.connect() as connection:
        expected = replay(run, connection, STORY, Oracle(SCRIPT), NIGHTS, skip=missed)
    assert paused_late(expected) > 0
    assert any(night.overtaken for night in expected)


@pytest.mark.timeout(300)
def test_backlog_is_refused_then_paused_once_approved(run: Run, database: Database) -> None:
    """A first import with more expired than the guard allows is refused, approved, and paused in whole."""
    with database.connect() as connection:
        first, second = replay(run, connection, backlog(EXPIRED, 60), Oracle(), (START, START + ONE_DAY))
    assert first.refused
    assert (len(first.paused), len(second.paused)) == (EXPIRED, 0)


@pytest.mark.timeout(300)
def test_many_within_the_share_are_not_refused(run: Run, database: Database) -> None:
    """More than the guard's count but not more than its share of the active are paused without asking."""
    with database.connect() as connection:
        (night,) = replay(run, connection, backlog(26, 104), Oracle(), (START,))
    assert not night.refused


@pytest.mark.timeout(600)
def test_sixty_fullest_nights_of_a_real_register(run: Run, database: Database, timeline: Timeline) -> None:
    """On a register's sixty fullest nights, ten as real processes, just the oracle's mentors are paused."""
    nights = timeline.busiest(60, 4)
    with database.connect() as connection:
        expected = replay(run, connection, timeline, Oracle(BUSY), nights, real_processes=10)
    assert sum(len(night.paused) for night in expected) >= timeline.count("lapse", nights)
    assert sum(len(night.reminded) for night in expected) >= len(nights)


@pytest.mark.replay
@pytest.mark.timeout(3600)
def test_two_years_of_nights(run: Run, database: Database, timeline: Timeline) -> None:
    """Through the register's two fullest years, every night pauses exactly the oracle's mentors."""
    nights = timeline.busiest(730, 730)
    with database.connect() as connection:
        expected = replay(run, connection, timeline, Oracle(CALM), nights, real_processes=10)
    assert len(expected) == len(nights)


@pytest.mark.replay
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_nights_missed(run: Run, database: Database, timeline: Timeline, seed: int) -> None:
    """With single nights and whole weeks missed, every night that does run leaves the oracle's state."""
    nights = timeline.busiest(120, 30)
    people = Administrator(seed)
    with database.connect() as connection:
        expected = replay(run, connection, timeline, Oracle(people), nights, skip=missed_nights(nights, seed))
    assert paused_late(expected) > 0
