"""The oracle and the timeline themselves: hand-made cases, properties, and what the register must contain."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from .administrator import BY_HAND, BY_JOB, Administrator, State, dice
from .oracle import Oracle
from .register import (
    COLUMNS,
    KINDS,
    ONE_DAY,
    Certification,
    Mentor,
    Timeline,
    nights,
    read_timeline,
    timeline_of,
    write_roster,
)
from .story import NIGHTS, PAUSED, SCRIPT, SPRING, START, STORY, backlog, certification, march, mentor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .oracle import Night

SIXTY, STRETCH = 60, 4
SOME, A_FEW, MANY = 3, 5, 10
THROWS = 10_000
DAYS = st.integers(-20, 40).map(lambda number: START + timedelta(days=number))
CERTIFICATIONS = st.builds(certification, st.just("any"), DAYS, known_on=DAYS, withdrawn_on=st.one_of(st.none(), DAYS))
SETTLED = st.builds(
    certification,
    st.just("any"),
    DAYS,
    withdrawn_on=st.one_of(st.none(), DAYS.filter(lambda day: day <= START)),
)
ORGANISATIONS = st.sampled_from(("HLF", "HLF", "NHF"))


@st.composite
def timelines(draw: st.DrawFn, certifications: st.SearchStrategy[Certification] = CERTIFICATIONS) -> Timeline:
    """Draw a handful of mentors with up to three certifications each."""
    drawn = draw(st.lists(st.tuples(ORGANISATIONS, st.lists(certifications, max_size=3)), max_size=5))
    people = (mentor(f"M{n}", *held, organisation=organisation) for n, (organisation, held) in enumerate(drawn))
    return Timeline(tuple(people))


def term(**columns: str) -> dict[str, str]:
    """Return an invented register term."""
    invented = {
        "holder": "T1",
        "licence_code": "1",
        "licence_number": "10",
        "application": "ISSUE",
        "term_start": "2020-01-01",
        "term_expires": "2020-12-31",
        "issued_on": "2020-01-05",
        "status": "AAI",
        "status_changed_on": "",
    }
    return invented | columns


def only(*columns: dict[str, str]) -> tuple[Certification, ...]:
    """Return the certifications of the one mentor these terms make."""
    (holder,) = timeline_of(columns).mentors
    return holder.certifications


def busiest_sixty(timeline: Timeline) -> tuple[date, ...]:
    """Return the sixty nights the replay plays."""
    return timeline.busiest(SIXTY, STRETCH)


def renewed_while_paused(expected: Sequence[Night]) -> int:
    """Count the late renewals that find the mentor paused and expired."""
    return sum(
        state.status == "paused" and state.expired(before.day) and night.states[ref].certified(night.day)
        for before, night in pairwise(expected)
        for ref, state in before.states.items()
    )


# The oracle on hand-made timelines


def test_story_pauses_exactly_as_worked_out_by_hand() -> None:
    """The oracle pauses on each night of the story exactly whom a reader of the rules would pause."""
    expected = Oracle(SCRIPT).expect(STORY, NIGHTS)
    assert {night.day: set(night.paused) for night in expected if night.paused} == PAUSED
    assert not any(night.refused for night in expected)


def test_story_leaves_everyone_as_worked_out_by_hand() -> None:
    """After the story's last night every mentor's status, reason and expiry are those worked out by hand."""
    assert dict(Oracle(SCRIPT).expect(STORY, NIGHTS)[-1].states) == {
        "A-in-time": State("active", None, SPRING),
        "B-late": State("active", None, SPRING),
        "C-withdrawn": State("paused", BY_JOB, march(3)),
        "D-one-of-two": State("paused", BY_JOB, march(9)),
        "E-never": State("active", None, None),
        "F-elsewhere": State("active", None, march(3)),
        "G-forced": State("paused", BY_JOB, march(1)),
        "H-by-hand": State("paused", BY_JOB, march(7)),
        "I-newcomer": State("paused", BY_JOB, march(11)),
        "J-withdrawn-late": State("paused", BY_JOB, march(6)),
    }


def test_pause_by_hand_survives_expiry() -> None:
    """A mentor paused by hand whose certification then expires stays paused by hand, not by the job."""
    eighth = Oracle(SCRIPT).expect(STORY, nights(START, 8))[-1]
    assert eighth.states["H-by-hand"] == State("paused", BY_HAND, march(7))


def test_missed_nights_pause_later_or_never() -> None:
    """The night after missed ones pauses who is still expired, and who renewed meanwhile was never paused."""
    missed = {march(day) for day in range(2, 8)}
    expected = {night.day: night for night in Oracle().expect(STORY, NIGHTS, skip=missed)}
    assert not any(expected[day].paused or expected[day].ran for day in missed)
    assert expected[march(8)].paused == {"C-withdrawn", "G-forced", "H-by-hand", "J-withdrawn-late"}
    assert not any("B-late" in night.paused for night in expected.values())


def test_nights_left_out_are_caught_up_by_the_next_import() -> None:
    """Days that are not played at all reach the roster with the next import, which knows the one before."""
    first, second = Oracle().expect(STORY, (START, march(10)))
    assert (first.since, second.since) == (None, START)
    assert second.states["B-late"] == State("active", None, SPRING)
    assert {row["mentor_ref"] for row in STORY.roster_rows(march(10), START)} == {
        "A-in-time",
        "B-late",
        "C-withdrawn",
        "D-one-of-two",
        "I-newcomer",
    }


def test_guard_needs_both_more_than_the_count_and_more_than_the_share() -> None:
    """A run is refused only where more than 25, and more than a fifth of the active, would be paused."""
    sizes = {(25, 10): False, (26, 104): False, (26, 103): True, (26, 0): True, (40, 170): False}
    for (expired, valid), refused in sizes.items():
        (night,) = Oracle().expect(backlog(expired, valid), (START,))
        assert (night.refused, len(night.paused)) == (refused, expired)


@given(timelines())
def test_whoever_is_valid_or_elsewhere_is_never_paused(timeline: Timeline) -> None:
    """Every night pauses exactly the active HLF mentors who were certified once and never will be again."""
    before: dict[str, bool] = {}
    for night in Oracle().expect(timeline, NIGHTS):
        due = {
            one.ref
            for one in timeline.known(night.day)
            if one.organisation == "HLF" and before.get(one.ref, True) and lapsed_by_calendar(one, night.day)
        }
        assert night.paused == due
        before = {ref: state.status == "active" for ref, state in night.states.items()}


def lapsed_by_calendar(one: Mentor, day: date) -> bool:
    """Tell by looking at single days, not at ends, whether nothing is valid on that day or after it."""
    held = one.known(day)
    later = nights(day, 60)
    valid = any(
        at <= has.expires_on and not (has.withdrawn_on and has.withdrawn_on <= day and at >= has.withdrawn_on)
        for has in held
        for at in later
    )
    return bool(held) and not valid


@given(timelines(SETTLED), st.sets(st.sampled_from(NIGHTS[:-1])))
def test_missed_nights_cost_nothing_while_the_roster_rests(timeline: Timeline, missed: set[date]) -> None:
    """Without roster changes, missing nights and running the last gives what running every night gives."""
    every = Oracle().expect(timeline, NIGHTS)
    some = Oracle().expect(timeline, NIGHTS, skip=missed)
    assert every[-1].states == some[-1].states
    assert set().union(*(night.paused for night in every)) == set().union(*(night.paused for night in some))


@given(timelines(), st.integers(0, 9))
def test_administrator_does_only_what_is_allowed(timeline: Timeline, seed: int) -> None:
    """People pause only the active, reinstate only the paused, and force exactly where nothing is valid."""
    people = Administrator(seed, reinstates=0.5, forces=0.5, pauses=0.5)
    states: dict[str, State] = {}
    for night in Oracle(people).expect(timeline, NIGHTS):
        for action in night.actions:
            known = states.get(action.mentor_ref, State("active", None, None))
            assert (action.verb == "pause") == (known.status == "active")
            expiry = night.states[action.mentor_ref].expiry
            assert action.force == (action.verb == "reinstate" and (expiry is None or expiry < night.day))
        states = dict(night.states)


@given(timelines())
def test_changed_rows_add_up_to_all_rows(timeline: Timeline) -> None:
    """Importing the changed rows of every day one after another leaves the same roster as one import."""
    patched: dict[tuple[str, str], dict[str, str]] = {}
    since: date | None = None
    for day in nights(START - 31 * ONE_DAY, 75):
        patched |= {_key(row): row for row in numbered(timeline).roster_rows(day, since)}
        since = day
    whole = {_key(row): row for row in numbered(timeline).roster_rows(START + 43 * ONE_DAY)}
    certified = {row["mentor_ref"] for row in whole.values() if row["certificate_ref"]}
    assert {at: row for at, row in patched.items() if row["certificate_ref"] or at[0] not in certified} == whole


def numbered(timeline: Timeline) -> Timeline:
    """Return the timeline with certificate references that are unique."""
    return Timeline(
        tuple(
            mentor(
                one.ref,
                *(
                    certification(
                        f"{one.ref}-{n}", has.expires_on, known_on=has.known_on, withdrawn_on=has.withdrawn_on
                    )
                    for n, has in enumerate(one.certifications)
                ),
                organisation=one.organisation,
            )
            for one in timeline.mentors
        )
    )


def _key(row: dict[str, str]) -> tuple[str, str]:
    return row["mentor_ref"], row["certificate_ref"]


# The timeline on invented terms


def test_term_becomes_a_certification_known_once_issued() -> None:
    """A term is one certification, and the roster names it from the day it was issued."""
    assert only(term()) == (
        Certification("T1-1-10-2020-01-01", date(2020, 1, 5), date(2020, 12, 31), date(2020, 1, 5)),
    )


def test_term_without_issue_date_is_known_from_its_start() -> None:
    """Where the issue date is unknown the term's start takes its place."""
    (one,) = only(term(issued_on=""))
    assert one.known_on == one.issued_on == date(2020, 1, 1)


def test_term_issued_after_its_end_is_known_late_but_issued_sensibly() -> None:
    """A term issued after its own end shows up only then, and its row says it was issued at its start."""
    (one,) = only(term(issued_on="2021-02-03"))
    assert (one.known_on, one.issued_on) == (date(2021, 2, 3), date(2020, 1, 1))


def test_revoked_and_cancelled_terms_are_withdrawn_on_their_day() -> None:
    """A revoked or cancelled term is withdrawn, which nobody knows before the day; an issued one is not."""
    for status, withdrawn_on in (("REV", date(2020, 6, 1)), ("AAC", date(2020, 6, 1)), ("AAI", None)):
        (one,) = only(term(status=status, status_changed_on="2020-06-01"))
        assert one.withdrawn_on == withdrawn_on
        assert one.end(date(2020, 5, 31)) == date(2020, 12, 31)
        assert one.end(date(2020, 6, 1)) == (date(2020, 5, 31) if withdrawn_on else date(2020, 12, 31))


def test_withdrawal_after_the_term_does_not_prolong_it() -> None:
    """A term withdrawn after it ended still ends on its last day."""
    (one,) = only(term(status="REV", status_changed_on="2021-06-01"))
    assert one.end(date(2021, 7, 1)) == date(2020, 12, 31)


def test_equal_terms_get_references_of_their_own() -> None:
    """Terms that look alike, even in every column, become certifications with different references."""
    terms = (term(), term(), term(term_start=""), term(term_start=""))
    assert len({one.ref for one in only(*terms)}) == len(terms)


def test_terms_of_unknown_dates_are_left_out() -> None:
    """A term that does not say when it ends, or when it began, cannot be a certification."""
    assert not timeline_of([term(term_expires=""), term(term_start="", issued_on="")]).mentors


def test_roster_file_has_the_agreed_columns(tmp_path: Path) -> None:
    """The roster file has exactly the header certjobs reads, and a newcomer's row has the last four empty."""
    newcomer = [row for row in STORY.roster_rows(march(9)) if row["mentor_ref"] == "I-newcomer"]
    write_roster(tmp_path / "roster.csv", newcomer)
    header, row = (tmp_path / "roster.csv").read_text(encoding="utf-8").splitlines()
    assert header == ",".join(COLUMNS)
    assert row.endswith("<coordinator.hlf@example.org>,,,,")


def test_dice_are_the_same_everywhere() -> None:
    """The dice depend on nothing but their names, so a replay is the same on every machine."""
    assert dice(1, "2020-03-01", "A") == dice(1, "2020-03-01", "A") != dice(2, "2020-03-01", "A")
    assert round(sum(dice(number) for number in range(THROWS)) / THROWS, 1) == round(1 / 2, 1)


# What the register must contain


def test_register_has_late_renewals_lapses_and_withdrawals(timeline: Timeline) -> None:
    """Late renewals, lapses and withdrawals of HLF's mentors all really occur in the register."""
    assert all(timeline.count(kind) >= 10 for kind in KINDS)


def test_register_has_renewals_issued_after_the_previous_end(timeline: Timeline) -> None:
    """Some certifications become known only after the mentor's earlier ones ended, and are valid then."""
    late = [
        (one.ref, has.ref)
        for one in timeline.mentors
        for has in one.certifications
        if (before := one.expiry(has.known_on - ONE_DAY)) and before < has.known_on <= has.end(has.known_on)
    ]
    assert len(late) >= MANY


def test_register_has_several_certifications_at_once(timeline: Timeline) -> None:
    """Some mentors hold several certifications that are valid on one and the same day."""
    several = {
        one.ref
        for one in timeline.mentors
        for has in one.certifications
        if sum(other.end(has.known_on) >= has.known_on for other in one.known(has.known_on)) > 1
    }
    assert len(several) >= A_FEW


def test_register_has_withdrawals_that_pause_and_some_that_do_not(timeline: Timeline) -> None:
    """Some withdrawals end a mentor's certification that night, others leave a second one standing."""
    ends = {
        expiry is not None and expiry < one.day
        for one in timeline.happenings
        if one.kind == "withdrawal"
        for expiry in [next(who for who in timeline.mentors if who.ref == one.mentor_ref).expiry(one.day)]
    }
    assert ends == {True, False}


def test_register_facts_are_unknown_before_their_day(timeline: Timeline) -> None:
    """No row of a day's roster tells of anything issued or withdrawn after that day."""
    for day in sorted({one.day for one in timeline.happenings}):
        for row in timeline.roster_rows(day):
            assert row["issued_on"] <= day.isoformat()
            assert row["withdrawn_on"] <= day.isoformat()
            assert not row["issued_on"] or row["issued_on"] <= row["expires_on"]


def test_register_references_are_unique(timeline: Timeline) -> None:
    """Mentors' and certifications' references are globally unique."""
    refs = [has.ref for one in timeline.mentors for has in one.certifications]
    assert len(refs) == len(set(refs))
    assert len(timeline.mentors) == len({one.ref for one in timeline.mentors})


def test_register_people_are_spread(timeline: Timeline) -> None:
    """A few mentors belong to NHF; HLF's are in several chapters, with no, one and two coordinators."""
    ours = [one for one in timeline.mentors if one.organisation == "HLF"]
    assert A_FEW <= len(timeline.mentors) - len(ours) <= len(ours) / A_FEW
    assert len({one.chapter for one in ours}) >= SOME
    assert {len(one.coordinators) for one in ours} == {0, 1, 2}
    assert any(one.known_on < min(has.known_on for has in one.certifications) for one in ours)


def test_register_sixty_nights_are_full_of_events(timeline: Timeline) -> None:
    """The sixty nights hold more than half of all lapses and withdrawals, in stretches of several nights."""
    chosen = busiest_sixty(timeline)
    assert len(set(chosen)) == SIXTY
    assert sum(after - before == ONE_DAY for before, after in pairwise(chosen)) >= SIXTY - SIXTY // STRETCH
    assert timeline.count("lapse", chosen) >= timeline.count("lapse") / 2
    assert timeline.count("late renewal", chosen) >= A_FEW
    assert timeline.count("withdrawal", chosen) >= timeline.count("withdrawal") / 2


def test_register_sixty_nights_see_people_act(timeline: Timeline) -> None:
    """In the sixty nights mentors renew late, are reinstated, forced and paused again, and paused by hand."""
    expected = Oracle(Administrator(1)).expect(timeline, busiest_sixty(timeline))
    assert renewed_while_paused(expected) >= MANY
    actions = [action for night in expected for action in night.actions]
    assert sum(action.verb == "reinstate" and not action.force for action in actions) >= MANY
    assert sum(action.verb == "pause" for action in actions) >= SOME
    assert any(action.force and action.mentor_ref in night.paused for night in expected for action in night.actions)


def test_register_is_read_the_same_twice(timeline: Timeline, tmp_path: Path) -> None:
    """The timeline depends on the terms alone: the same terms from another file give the same mentors."""
    rows = [term(holder="T2"), term(holder="T1", status="REV", status_changed_on="2020-06-01")]
    path = tmp_path / "terms.csv"
    path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]), encoding="utf-8")
    assert read_timeline(path) == timeline_of(list(reversed(rows)))
    assert busiest_sixty(timeline) == busiest_sixty(Timeline(tuple(reversed(timeline.mentors))))
