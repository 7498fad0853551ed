"""The sample roster tells the story the demo relies on, on any night and in any process."""

import csv
import hashlib
import io
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import pytest

from certjobs.local.sample import COLUMNS, paused_by_hand, sample_roster, write_sample

ROOT = Path(__file__).resolve().parents[1]
NIGHTS = [
    date(2024, 2, 29),
    date(2025, 3, 30),
    date(2026, 1, 1),
    date(2026, 11, 22),
    date(2027, 2, 28),
    date(2027, 12, 31),
]
every_night = pytest.mark.parametrize("as_of", NIGHTS, ids=str)

MENTOR_COLUMNS = ("mentor_ref", "name", "organisation", "chapter", "coordinators")
COORDINATOR = re.compile(r"(?P<name>[^<>|@,;]+) <(?P<address>[a-z.]+@example\.org)>")


class Certification(NamedTuple):
    """A certification as the file has it."""

    ref: str
    issued_on: date
    expires_on: date
    withdrawn_on: date | None

    @property
    def ends_on(self) -> date:
        """The last day it counts: its expiry, or the day before it was withdrawn if that is earlier."""
        if self.withdrawn_on is None:
            return self.expires_on
        return min(self.expires_on, self.withdrawn_on - timedelta(days=1))


class Mentor(NamedTuple):
    """A mentor with everything the file says about one."""

    ref: str
    name: str
    organisation: str
    chapter: str
    coordinators: tuple[str, ...]
    certifications: tuple[Certification, ...]

    def days_left(self, as_of: date) -> int | None:
        """Days from as_of to the latest end; None without any certification; negative is expired."""
        ends = [certification.ends_on for certification in self.certifications]
        return (max(ends) - as_of).days if ends else None


def certification_of(row: Mapping[str, str]) -> Certification | None:
    """Read the last four columns."""
    if not row["certificate_ref"]:
        assert row["issued_on"] == row["expires_on"] == row["withdrawn_on"] == ""
        return None
    withdrawn = row["withdrawn_on"]
    return Certification(
        row["certificate_ref"],
        date.fromisoformat(row["issued_on"]),
        date.fromisoformat(row["expires_on"]),
        date.fromisoformat(withdrawn) if withdrawn else None,
    )


def mentors(as_of: date, organisation: str = "") -> list[Mentor]:
    """Read the roster back into mentors, of one organisation or of all."""
    found = []
    for common, rows in groupby(sample_roster(as_of), key=itemgetter(*MENTOR_COLUMNS)):
        ref, name, code, chapter, coordinators = common
        held = [certification_of(row) for row in rows]
        assert held == [None] or None not in held, f"{ref}: an empty row beside certifications"
        certifications = tuple(certification for certification in held if certification)
        people = tuple(coordinators.split("|")) if coordinators else ()
        found.append(Mentor(ref, name, code, chapter, people, certifications))
    return [mentor for mentor in found if organisation in ("", mentor.organisation)]


def by_days_left(people: list[Mentor], as_of: date) -> Counter[int]:
    """Count the mentors who have a certification by days left."""
    days = (mentor.days_left(as_of) for mentor in people)
    return Counter(left for left in days if left is not None)


def expired(people: list[Mentor], as_of: date) -> list[Mentor]:
    """Pick the expired: a mentor who never had a certification is not one."""
    return [mentor for mentor in people if (left := mentor.days_left(as_of)) is not None and left < 0]


def to_pause(as_of: date) -> list[Mentor]:
    """Pick those the night pauses: HLF, expired, and not paused by hand before."""
    by_hand = dict(paused_by_hand(as_of))
    return [mentor for mentor in expired(mentors(as_of, "HLF"), as_of) if mentor.ref not in by_hand]


def pairs(mentor: Mentor) -> list[tuple[Certification, Certification]]:
    """Every two certifications of a mentor, the one issued first in front."""
    ordered = sorted(mentor.certifications, key=lambda certification: certification.issued_on)
    return [(old, new) for position, old in enumerate(ordered) for new in ordered[position + 1 :]]


def is_renewed(mentor: Mentor, as_of: date) -> bool:
    """Say whether an older certification ran out and a newer one is valid."""
    return any(not old.withdrawn_on and old.ends_on < as_of <= new.ends_on for old, new in pairs(mentor))


def is_valid_twice(mentor: Mentor, as_of: date) -> bool:
    """Say whether two certifications are valid at once."""
    return any(as_of <= old.ends_on and as_of <= new.ends_on for old, new in pairs(mentor))


def is_replaced(mentor: Mentor, as_of: date) -> bool:
    """Say whether an older certification was withdrawn and a newer one is valid."""
    return any(old.withdrawn_on and old.ends_on < as_of <= new.ends_on for old, new in pairs(mentor))


def written(as_of: date) -> str:
    """Return the file as text."""
    stream = io.StringIO(newline="")
    write_sample(stream, as_of)
    return stream.getvalue()


def digest(as_of: date) -> str:
    """Return a fingerprint of the file and of those paused by hand."""
    return hashlib.sha256((written(as_of) + repr(paused_by_hand(as_of))).encode()).hexdigest()


def python(code: str, hash_seed: str = "random") -> str:
    """Run code in a fresh interpreter and return what it prints."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


# ---------------------------------------------------------------------- the file


@every_night
def test_rows_have_the_columns_in_order_and_only_text(as_of: date) -> None:
    """Every row has exactly the promised columns in their order, and every value is a trimmed string."""
    assert (*MENTOR_COLUMNS, "certificate_ref", "issued_on", "expires_on", "withdrawn_on") == COLUMNS
    for row in sample_roster(as_of):
        assert tuple(row) == COLUMNS
        assert all(type(value) is str and value == value.strip() for value in row.values())


@every_night
def test_dates_are_iso_and_make_sense(as_of: date) -> None:
    """Dates are ISO, a certification is issued before the night, and expires or is withdrawn after that."""
    for mentor in mentors(as_of):
        for held in mentor.certifications:
            assert held.issued_on < as_of
            assert held.issued_on < held.expires_on
            assert held.withdrawn_on is None or held.issued_on < held.withdrawn_on <= as_of
    iso = re.compile(r"\d{4}-\d\d-\d\d")
    for row in sample_roster(as_of):
        for column in COLUMNS[-3:]:
            assert row[column] == "" or iso.fullmatch(row[column])


@every_night
def test_written_file_reads_back_as_the_roster(as_of: date) -> None:
    """The CSV has a header and plain line ends, and reads back as exactly the rows of the generator."""
    text = written(as_of)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert "\r" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert list(csv.DictReader(io.StringIO(text))) == list(sample_roster(as_of))
    assert len(text.splitlines()) == 1 + len(list(sample_roster(as_of)))


# ---------------------------------------------------------------------- the people


@every_night
def test_size_of_the_roster(as_of: date) -> None:
    """There are 400 mentors, 320 of HLF and 80 of NHF, and nobody of another organisation."""
    assert Counter(mentor.organisation for mentor in mentors(as_of)) == {"HLF": 320, "NHF": 80}


@every_night
def test_references_are_unique_and_numbered(as_of: date) -> None:
    """Mentor and certificate references are unique, follow the pattern, and run without gaps."""
    people = mentors(as_of)
    hlf = [f"HLF-{number:04}" for number in range(1, 321)]
    nhf = [f"NHF-{number:04}" for number in range(1, 81)]
    assert [mentor.ref for mentor in people] == hlf + nhf
    for mentor in people:
        expected = [f"C-{mentor.ref}-{number}" for number in range(1, len(mentor.certifications) + 1)]
        assert [held.ref for held in mentor.certifications] == expected
        issued = [held.issued_on for held in mentor.certifications]
        assert issued == sorted(issued)
    refs = [held.ref for mentor in people for held in mentor.certifications]
    assert len(refs) == len(set(refs))


@every_night
def test_chapters_and_their_coordinators(as_of: date) -> None:
    """HLF has 8 chapters and NHF 3, no name shared, each with 2 or 3 coordinators who work in no other."""
    teams: dict[tuple[str, str], set[str]] = {}
    for mentor in mentors(as_of):
        teams.setdefault((mentor.organisation, mentor.chapter), set()).update(mentor.coordinators)
    assert Counter(organisation for organisation, _ in teams) == {"HLF": 8, "NHF": 3}
    assert len({chapter for _, chapter in teams}) == 11
    assert {len(team) for team in teams.values()} == {2, 3}
    everybody = [person for team in teams.values() for person in team]
    assert len(everybody) == len(set(everybody))


@every_night
def test_a_coordinators_address_has_one_name(as_of: date) -> None:
    """Coordinators are `Name <address>` under example.org, an address has one name, a name one address."""
    seen = set()
    for mentor in mentors(as_of):
        assert len(mentor.coordinators) == len(set(mentor.coordinators)), f"{mentor.ref}: one person twice"
        for text in mentor.coordinators:
            match = COORDINATOR.fullmatch(text)
            assert match, text
            seen.add((match["name"], match["address"]))
    assert len(seen) == len({name for name, _ in seen}) == len({address for _, address in seen})


@every_night
def test_names_are_unique_and_have_norwegian_letters(as_of: date) -> None:
    """No two mentors share a name, none shares one with a coordinator, and æ, ø and å all occur in plenty."""
    people = mentors(as_of)
    names = [mentor.name for mentor in people]
    assert len(set(names)) == len(names)
    assert not set(names) & {text.split(" <")[0] for mentor in people for text in mentor.coordinators}
    for letter in "æøå":
        assert sum(letter in name.lower() for name in names) > 20
    assert all(re.fullmatch(r"[A-ZÆØÅ][a-zæøå]+ [A-ZÆØÅ][a-zæøå]+", name) for name in names)


@every_night
def test_how_many_coordinators_mentors_have(as_of: date) -> None:
    """Of all mentors 8 have no coordinator, 40 have two, the others one; HLF has 6 and 32 of those."""
    assert Counter(len(mentor.coordinators) for mentor in mentors(as_of)) == {0: 8, 1: 352, 2: 40}
    assert Counter(len(mentor.coordinators) for mentor in mentors(as_of, "HLF")) == {0: 6, 1: 282, 2: 32}


# ---------------------------------------------------------------------- the night, HLF


@every_night
def test_the_night_pauses_between_14_and_18(as_of: date) -> None:
    """16 HLF mentors are to be paused, and with those paused by hand the guard of 25 stays far away."""
    assert len(to_pause(as_of)) == 16
    assert len(expired(mentors(as_of, "HLF"), as_of)) == 18


@every_night
def test_most_expired_yesterday_and_a_few_in_missed_nights(as_of: date) -> None:
    """Of those to be paused most expired yesterday, a few two to five days ago, nobody earlier."""
    days = by_days_left(to_pause(as_of), as_of)
    assert days[-1] == 12
    assert sum(days[-ago] for ago in range(2, 6)) == 4
    assert min(days) >= -5


@every_night
def test_one_expired_only_by_withdrawal(as_of: date) -> None:
    """Exactly one mentor to be paused would be valid, had the certification not been withdrawn today."""
    found = [mentor for mentor in to_pause(as_of) if any(held.expires_on >= as_of for held in mentor.certifications)]
    assert len(found) == 1
    assert [held.withdrawn_on for held in found[0].certifications] == [as_of]
    assert found[0].days_left(as_of) == -1


@every_night
def test_the_expired_cover_every_number_of_coordinators(as_of: date) -> None:
    """Among those to be paused there is one without a coordinator and at least three with two."""
    numbers = Counter(len(mentor.coordinators) for mentor in to_pause(as_of))
    assert numbers[0] >= 1
    assert numbers[2] >= 3


@every_night
def test_thresholds_and_the_last_day(as_of: date) -> None:
    """6 HLF mentors are at 30, 14 and 7 days each, 2 have their last day, nobody else is within 30 days."""
    days = by_days_left(mentors(as_of, "HLF"), as_of)
    assert {left: count for left, count in days.items() if 0 <= left <= 30} == {30: 6, 14: 6, 7: 6, 0: 2}


@every_night
def test_the_reminded_cover_every_number_of_coordinators(as_of: date) -> None:
    """Among those at a threshold or on the last day some have no coordinator, some one, some two."""
    near = [mentor for mentor in mentors(as_of, "HLF") if mentor.days_left(as_of) in {0, 7, 14, 30}]
    assert {len(mentor.coordinators) for mentor in near} == {0, 1, 2}
    assert not {mentor.ref for mentor in near} & set(dict(paused_by_hand(as_of)))


@pytest.mark.parametrize("organisation", ["HLF", "NHF"])
@every_night
def test_the_rest_is_spread_over_three_years(as_of: date, organisation: str) -> None:
    """Everybody beyond the thresholds is 31 days to three years ahead, with some in every half year."""
    days = by_days_left(mentors(as_of, organisation), as_of)
    later = [left for left in days.elements() if left > 30]
    assert max(later) <= 3 * 365
    halves = Counter((left - 31) * 6 // (3 * 365 - 30) for left in later)
    assert set(halves) == set(range(6))
    assert min(halves.values()) >= len(later) // 15


@pytest.mark.parametrize(
    ("organisation", "expected"),
    [
        ("HLF", {"never": 10, "renewed": 41, "valid twice": 10, "replaced": 6}),
        ("NHF", {"never": 2, "renewed": 10, "valid twice": 3, "replaced": 2}),
    ],
)
@every_night
def test_shapes_of_certifications(as_of: date, organisation: str, expected: dict[str, int]) -> None:
    """Some mentors renewed, some hold two valid ones, some replaced a withdrawn one, 12 in all have none."""
    people = mentors(as_of, organisation)
    assert expected == {
        "never": sum(not mentor.certifications for mentor in people),
        "renewed": sum(is_renewed(mentor, as_of) for mentor in people),
        "valid twice": sum(is_valid_twice(mentor, as_of) for mentor in people),
        "replaced": sum(is_replaced(mentor, as_of) for mentor in people),
    }


@every_night
def test_an_expired_mentor_with_two_certifications(as_of: date) -> None:
    """One mentor to be paused holds two certifications, both run out, and the later one decides."""
    assert Counter(len(mentor.certifications) for mentor in to_pause(as_of)) == {1: 15, 2: 1}


# ---------------------------------------------------------------------- the night, NHF


@every_night
def test_nhf_has_a_similar_spread(as_of: date) -> None:
    """NHF has 6 expired (3 yesterday), 2 at each threshold, 1 on the last day, no other within 30 days."""
    days = by_days_left(mentors(as_of, "NHF"), as_of)
    assert sum(count for left, count in days.items() if left < 0) == 6
    assert days[-1] == 3
    assert {left: count for left, count in days.items() if 0 <= left <= 30} == {30: 2, 14: 2, 7: 2, 0: 1}


# ---------------------------------------------------------------------- paused by hand


@every_night
def test_paused_by_hand(as_of: date) -> None:
    """Five HLF mentors are to be paused by hand: two are expired, three are beyond every threshold."""
    by_ref = {mentor.ref: mentor for mentor in mentors(as_of, "HLF")}
    refs = [ref for ref, _ in paused_by_hand(as_of)]
    assert len(refs) == len(set(refs)) == 5
    days = [by_ref[ref].days_left(as_of) for ref in refs]
    assert sum(left is not None and left < 0 for left in days) == 2
    assert sum(left is not None and left > 30 for left in days) == 3


@every_night
def test_reasons_are_plain(as_of: date) -> None:
    """Every reason is a short line of its own, filled in, safe in shell quotes, without health data."""
    reasons = [reason for _, reason in paused_by_hand(as_of)]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert re.fullmatch(r"[a-z][a-z0-9 ,-]{5,60}", reason), reason
        assert not re.search(r"sick|ill\b|health|hospital|treat|diagnos|hearing|surgery|pregnan", reason)
    for day in re.findall(r"\d{4}-\d\d-\d\d", " ".join(reasons)):
        assert date.fromisoformat(day) > as_of


# ---------------------------------------------------------------------- determinism


@every_night
def test_same_night_same_bytes(as_of: date) -> None:
    """Two calls give the same file and the same pauses."""
    assert digest(as_of) == digest(as_of)


def test_only_dates_depend_on_the_night() -> None:
    """Another night has the same people in the same parts: only the dates move, all by as many days."""
    first, second = NIGHTS[0], NIGHTS[3]
    shift = second - first

    def moved(text: str) -> str:
        return (date.fromisoformat(text) + shift).isoformat() if text else ""

    expected = [
        {key: moved(value) if key in COLUMNS[-3:] else value for key, value in row.items()}
        for row in sample_roster(first)
    ]
    assert list(sample_roster(second)) == expected
    assert [ref for ref, _ in paused_by_hand(first)] == [ref for ref, _ in paused_by_hand(second)]


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_hash_seed_does_not_matter(hash_seed: str) -> None:
    """Another process with another PYTHONHASHSEED writes the same bytes and the same pauses."""
    as_of = NIGHTS[3]
    code = f"""
import hashlib, io
from datetime import date
from certjobs.local.sample import paused_by_hand, write_sample
as_of = date.fromisoformat("{as_of}")
stream = io.StringIO(newline="")
write_sample(stream, as_of)
print(hashlib.sha256((stream.getvalue() + repr(paused_by_hand(as_of))).encode()).hexdigest())
"""
    assert python(code, hash_seed) == digest(as_of)


def test_global_random_is_neither_used_nor_moved() -> None:
    """The global generator does not change the roster, and the roster does not change its state."""
    kept = random.getstate()
    try:
        random.seed(1)
        state = random.getstate()
        first = digest(NIGHTS[0])
        assert random.getstate() == state
        random.seed(2)
        assert digest(NIGHTS[0]) == first
    finally:
        random.setstate(kept)


def test_two_rosters_read_in_turn_do_not_disturb_each_other() -> None:
    """Two generators read row by row in turn give what each gives alone."""
    one, two = NIGHTS[0], NIGHTS[3]
    in_turn = list(zip(sample_roster(one), sample_roster(two), strict=True))
    assert [row for row, _ in in_turn] == list(sample_roster(one))
    assert [row for _, row in in_turn] == list(sample_roster(two))


def test_import_is_light() -> None:
    """Importing the module loads nothing but the standard library."""
    code = """
import sys
import certjobs.local
before = set(sys.modules)
import certjobs.local.sample
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - set(sys.stdlib_module_names) - {"certjobs"}))
"""
    assert python(code) == "[]"
