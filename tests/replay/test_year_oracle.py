"""The year's oracle and its dice themselves: hand-made cases, and what a year must contain."""

from __future__ import annotations

from itertools import pairwise

import pytest

from .administrator import BY_HAND, BY_JOB, State
from .oracle import Entry
from .register import ONE_DAY
from .story import SPRING, certification, march, mentor
from .year import PEOPLE, SITE, TROUBLES, Event
from .year_chance import FIRST, Chance, trouble_names
from .year_oracle import World, missing

NIGHTS = 365


def world(*, listed: bool = True) -> World:
    """Return a world of V, valid for long, E, who ends on the tenth, U, never certified, and N of NHF."""
    found = World()
    found.arrives(mentor("V", certification("v1", SPRING)), march(1))
    found.arrives(mentor("E", certification("e1", march(10))), march(1))
    found.arrives(mentor("U"), march(1))
    found.arrives(mentor("N", certification("n1", SPRING), organisation="NHF"), march(1))
    found.site = dict.fromkeys(found.site, listed)
    return found


def test_listed_is_who_is_active_and_certified_that_day() -> None:
    """The last valid day counts, the day after does not; who was never certified is not listed, NHF's is not ours."""
    one = world()
    assert one.rule(march(10)) == {"V": True, "E": True, "U": False}
    assert one.rule(march(11)) == {"V": True, "E": False, "U": False}


def test_a_night_pauses_the_expired_and_takes_them_off() -> None:
    """On the eleventh E is paused by the job and not to be listed; all thresholds that were missed are overtaken."""
    one = world()
    night = one.night(march(11), missed=False)
    assert night.paused == {"E"}
    assert night.wanted == {"V": True, "E": False, "U": False}
    assert night.states["E"] == State("paused", BY_JOB, march(10))
    assert night.overtaken == {Entry("E", march(10), threshold) for threshold in (30, 14, 7)}
    assert not night.reminded


def test_a_missed_night_is_caught_up_by_the_next() -> None:
    """Where the nights of the first to the tenth are missed nobody is reminded or paused; the eleventh pauses E."""
    one = world()
    for day in range(1, 11):
        missed = one.night(march(day), missed=True)
        assert not missed.paused
        assert not missed.reminded
        assert not missed.overtaken
    assert one.night(march(11), missed=False).paused == {"E"}


def test_three_missed_thresholds_are_one_reminder() -> None:
    """Six days before the end E is due for seven days, thirty and fourteen are overtaken; a day later nothing is."""
    one = world()
    night = one.night(march(4), missed=False)
    assert night.reminded == {Entry("E", march(10), 7)}
    assert night.overtaken == {Entry("E", march(10), 30), Entry("E", march(10), 14)}
    after = one.night(march(5), missed=False)
    assert not after.reminded
    assert not after.overtaken


def test_a_renewal_starts_afresh_and_reinstates_nobody() -> None:
    """E, paused on the eleventh and certified again on the twelfth, stays off until reinstated, and is due anew."""
    one = world()
    one.night(march(11), missed=False)
    one.happens(Event("added", "E", "e2", march(20)), march(12))
    renewed = one.night(march(12), missed=False)
    assert not renewed.wanted["E"]
    assert not renewed.reminded
    one.happens(Event("reinstated", "E"), march(13))
    reinstated = one.night(march(13), missed=False)
    assert reinstated.wanted["E"]
    assert reinstated.reminded == {Entry("E", march(20), 7)}


def test_a_pause_by_hand_is_left_alone() -> None:
    """V, paused by hand, is not listed, and stays paused by hand."""
    one = world()
    one.happens(Event("paused", "V"), march(2))
    night = one.night(march(2), missed=False)
    assert night.states["V"] == State("paused", BY_HAND, SPRING)
    assert night.wanted["V"] is False


def test_reinstated_by_force_is_paused_again() -> None:
    """E, made active without a valid certification, is not to be listed, and the next night pauses E again."""
    one = world()
    one.night(march(11), missed=False)
    one.happens(Event("forced", "E"), march(12))
    assert one.rule(march(12))["E"] is False
    night = one.night(march(12), missed=False)
    assert night.paused == {"E"}
    assert not night.overtaken


def test_withdrawn_counts_from_that_day_on() -> None:
    """V, withdrawn on the second, was valid to the first, is not listed on the second, and paused that night."""
    one = world()
    one.happens(Event("withdrawn", "V", "v1"), march(2))
    assert one.states["V"].expiry == march(1)
    assert one.night(march(2), missed=False).paused == {"V"}


def test_who_leaves_for_others_leaves_the_website_and_is_not_ours() -> None:
    """V, moved to NHF, is taken off and from then on not ours; N, moved to HLF, is ours and to be listed."""
    one = world()
    one.happens(Event("moved", "V", to=("NHF",)), march(2))
    one.happens(Event("moved", "N", to=("HLF",)), march(2))
    night = one.night(march(2), missed=False)
    assert night.foreign == {"V": False}
    assert night.wanted["N"] is True
    assert "V" not in night.wanted


def test_what_others_do_to_entries_that_are_not_ours_stays() -> None:
    """Strangers and NHF's entries show what somebody made of them, also after a night that ended well."""
    one = world()
    one.happens(Event("stranger", "Z"), march(2))
    one.happens(Event("hidden", "N"), march(2))
    one.happens(Event("hidden", "V"), march(2))
    night = one.night(march(2), missed=False)
    one.ended_well(march(2))
    assert night.foreign == {"Z": True, "N": False}
    assert one.site == {"Z": True, "N": False, "V": True, "E": True, "U": False}


def test_without_an_entry_nobody_is_listed() -> None:
    """V, whose entry somebody deleted, is wanted and missing, until somebody makes the entry again."""
    one = world()
    one.happens(Event("deleted", "V"), march(2))
    night = one.night(march(2), missed=False)
    assert missing(night) == ["V"]
    one.ended_well(march(2))
    assert "V" not in one.site
    one.happens(Event("entered", "V"), march(3))
    assert missing(one.night(march(3), missed=False)) == []
    one.ended_well(march(3))
    assert one.site["V"] is True


@pytest.mark.parametrize(("kind", "shown"), [("emptied", []), ("most hidden", ["N"])])
def test_many_taken_off_at_once(kind: str, shown: list[str]) -> None:
    """An emptied listing shows nobody, one without HLF's still those of NHF."""
    one = world()
    one.happens(Event("emptied" if kind == "emptied" else "most hidden"), march(2))
    assert [key for key, listed in one.site.items() if listed] == shown


# The dice


def test_a_year_is_thrown_the_same_twice() -> None:
    """The same seed gives the same roster and the same days, another seed others."""
    first, again, other = (Chance(seed) for seed in (7, 7, 8))
    assert first.roster() == again.roster()
    assert first.days(60) == again.days(60)
    other.roster()
    assert other.days(60) != again.days(60)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_year_has_everything(seed: int) -> None:
    """A year lies in the past and has every kind of event and trouble, missed nights, and stretches of them."""
    chance = Chance(seed)
    chance.roster()
    days = chance.days(NIGHTS)
    assert [each.day for each in days] == [FIRST + number * ONE_DAY for number in range(NIGHTS)]
    kinds = {event.kind for each in days for event in each.events}
    assert {*PEOPLE, *SITE} - kinds <= {"emptied", "most hidden"}
    assert trouble_names(days) == {each.name for each in TROUBLES}
    assert any(first.missed and second.missed for first, second in pairwise(days))
    assert sum(len(each.expected.paused) for each in days) > 40
    assert not any(each.expected.refused for each in days)
