"""A year of nights with renewals, pauses, missed nights, portal faults and edits of the website behind our back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stamina

from tests.portal import running
from tests.watched import due_soon

from .year import PEOPLE, SITE, TROUBLES
from .year_chance import Chance
from .year_driver import CLIENT, PAGE, Memory, Year

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Certjobs, TestDatabase

    Stage = Callable[[int], Year]

A_YEAR, SAMPLE = 365, 40
SAMPLE_SEED, BUSY = 620, 4.0


@pytest.fixture
def stage(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """Give a portal whose listing has several pages, and rests that take no time."""
    monkeypatch.setattr(f"{CLIENT}.PAGE", PAGE)
    due_soon(database)
    with (
        running(tmp_path, monkeypatch) as portal,
        stamina.set_testing(True, attempts=4),
        database.connect() as connection,
    ):
        yield lambda seed: Year(certjobs, database, portal, connection, Memory(seed))


def played(stage: Stage, chance: Chance, count: int) -> Year:
    """Play so many days of that year, every seventh night twice."""
    year = stage(chance.seed)
    year.begin(chance.roster(), dict(chance.world.site))
    for number, day in enumerate(chance.days(count)):
        year.play(day, again=number % 7 == 3)
    return year


@pytest.mark.timeout(300)
def test_forty_nights_in_which_everything_happens(stage: Stage) -> None:
    """Through forty full nights, with each kind of event and of fault, all is as the oracle says."""
    year = played(stage, Chance(SAMPLE_SEED, BUSY), SAMPLE)
    troubles = {each.name for each in TROUBLES if year.reconciles or not each.of_reading}
    happened = {*PEOPLE, *SITE, *troubles, "missed", "dead letter", "dead letter retried", "again"}
    happened |= {"mass refused", "not mended unread"} if year.reconciles else set()
    assert not happened - set(year.seen)


@pytest.mark.replay
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_whole_year(stage: Stage, seed: int) -> None:
    """Through 365 nights all is as the oracle says, and the website follows whatever happened to it."""
    year = played(stage, Chance(seed), A_YEAR)
    assert {*PEOPLE, "missed", "shown", "hidden", "deleted", "entered", "dead letter retried"} <= set(year.seen)
