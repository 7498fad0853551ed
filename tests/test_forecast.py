"""forecast through the command line: what it says of each night is what expiry-check and remind then do."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from certjobs.cli import render_forecast
from tests.children.helpers import dump, load
from tests.roster import KARI, OLA, TODAY, Mentor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.conftest import Certjobs, Result, TestDatabase

EXAMPLES = max(4, settings().max_examples // 8)
NIGHTS = 6  # from NIGHTS - 1 days before the tests' usual night to that night
FIRST = TODAY - timedelta(days=NIGHTS - 1)
CLEARED = """
    guarded_set_members guarded_sets reminder_dispatch_log notifications cert_expiry_reminders notice_snoozes
    coordinator_assignments certifications peer_mentors coordinators scheduler_run_log mentor_status_events
    certification_events roster_events
"""
Told = Counter[tuple[str, str, int | None]]  # event, mentor, threshold


def forecast(
    certjobs: Certjobs, database: TestDatabase, *options: str, day: date = TODAY, env: Mapping[str, str] | None = None
) -> Any:
    """Return the forecast as the job's own role gets it."""
    result = plain(certjobs, database, "--json", *options, day=day, env=env)
    return result.json()


def plain(
    certjobs: Certjobs, database: TestDatabase, *options: str, day: date = TODAY, env: Mapping[str, str] | None = None
) -> Result:
    """Run forecast as the job's own role; it must succeed."""
    result = certjobs("forecast", "--as-of", day.isoformat(), *options, url=database.job_url, env=env)
    assert result.exit_code == 0, result
    return result


def foretold(found: Any) -> dict[str, Told]:
    """Return what a forecast says is done on each night."""
    nights: dict[str, Told] = {}
    for night in found["nights"]:
        told: Told = Counter(("reminder", each["mentor_ref"], each["threshold"]) for each in night["reminders"])
        told.update(("pause", each["mentor_ref"], None) for each in night["pauses"])
        nights[night["date"]] = told
    return nights


def refusals(found: Any) -> dict[str, dict[str, int]]:
    """Return how many mentors the guard keeps from being paused, by night and organisation."""
    return {
        night["date"]: {each["organisation"]: each["refused"] for each in night["guard_will_ask"]}
        for night in found["nights"]
        if night["guard_will_ask"]
    }


def clear(database: TestDatabase) -> None:
    """Leave no mentor, no notice and no reminder."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in CLEARED.split():
            connection.execute(f"DELETE FROM {table}".encode())


@dataclass(frozen=True)
class Case:
    """A mentor of a random roster; days count from the first night."""

    organisation: str
    chapter: str
    expires: int | None
    coordinators: str
    withdrawn: bool
    paused: bool
    ledger: tuple[int, ...]
    ledger_of: int  # days that the ledger's expiry date differs from the mentor's
    snoozed: bool

    def row(self, ref: str) -> Mentor:
        """Return the row of the roster file."""
        early = (FIRST - TODAY).days
        expires = None if self.expires is None else self.expires + early
        withdrawn = early + 4 if self.withdrawn and self.expires is not None else None
        return Mentor(
            ref, expires, self.coordinators, self.organisation, f"{self.organisation} {self.chapter}",
            withdrawn=withdrawn,
        )  # fmt: skip


cases = st.builds(
    Case,
    st.sampled_from(["HLF", "HLF", "NHF", "LHL"]),
    st.sampled_from(["nord", "sør"]),
    st.none() | st.integers(-3, 4) | st.integers(-3, 12) | st.integers(-3, 50),
    st.sampled_from([KARI, OLA, f"{KARI}|{OLA}", ""]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([False, False, False, True]),
    st.just(()) | st.sets(st.sampled_from([30, 14, 7, 5, 2, 0]), max_size=3).map(lambda each: tuple(sorted(each))),
    st.sampled_from([0, 0, 0, 1]),
    st.booleans(),
)


@dataclass(frozen=True)
class Rules:
    """What the jobs may do for the organisations beside HLF, and the settings."""

    flags: tuple[tuple[bool, bool], tuple[bool, bool]]
    own: str | None
    thresholds: str
    per_organisation: bool
    guard_count: int
    guard_share: float

    def env(self) -> dict[str, str]:
        """Return the settings."""
        return {
            "CERTJOBS_THRESHOLDS": self.thresholds,
            "CERTJOBS_PER_ORGANISATION_THRESHOLDS": str(self.per_organisation).lower(),
            "CERTJOBS_GUARD_COUNT": str(self.guard_count),
            "CERTJOBS_GUARD_SHARE": str(self.guard_share),
            "CERTJOBS_NOTIFY_CHANNEL": "none",
        }


flags = st.tuples(st.booleans(), st.booleans())
rules = st.builds(
    Rules,
    st.tuples(flags, flags),
    st.sampled_from([None, "10,2", "5,4,3,2,1,0"]),
    st.sampled_from(["30,14,7", "30,14,7", "7,5,2,0", "4"]),
    st.booleans(),
    st.sampled_from([25, 2, 1, 1]),
    st.sampled_from([0.2, 0.0, 0.0, 0.5]),
)


def arrange(certjobs: Certjobs, database: TestDatabase, roster: Sequence[Case], given_rules: Rules) -> None:
    """Bring a random roster in, with what the ledger holds already, who is paused and who snoozed what."""
    clear(database)
    load(certjobs, *(each.row(f"M{number:02}") for number, each in enumerate(roster)))
    with database.connect() as connection:
        for code, (auto_pause, remind) in zip(("NHF", "LHL"), given_rules.flags, strict=True):
            own = None if given_rules.own is None else [int(each) for each in given_rules.own.split(",")]
            connection.execute("INSERT INTO organisations (code) VALUES (%s) ON CONFLICT DO NOTHING", [code])
            connection.execute(
                "UPDATE organisations SET auto_pause = %s, remind = %s, thresholds = %s WHERE code = %s",
                [auto_pause, remind, own if code == "LHL" else None, code],
            )
        for number, each in enumerate(roster):
            ref = f"M{number:02}"
            if each.paused:
                connection.execute(
                    "UPDATE peer_mentors SET status = 'paused', pause_reason = 'on leave' WHERE external_ref = %s",
                    [ref],
                )
            connection.execute(
                "INSERT INTO cert_expiry_reminders (mentor_id, threshold_day, certification_expiry, status, decided_on)"
                " SELECT id, t, certification_expiry + %s::integer, 'due', '2026-01-01' FROM peer_mentors,"
                " unnest(%s::integer[]) t WHERE external_ref = %s AND certification_expiry IS NOT NULL",
                [each.ledger_of, list(each.ledger), ref],
            )
            if each.snoozed:
                connection.execute(
                    "INSERT INTO notice_snoozes (coordinator_id, mentor_id, threshold_day, until, reason, actor)"
                    " SELECT a.coordinator_id, m.id, 7, '2027-01-01', 'a test', 'test' FROM peer_mentors m"
                    " JOIN coordinator_assignments a ON a.mentor_id = m.id WHERE m.external_ref = %s LIMIT 1",
                    [ref],
                )


def done(database: TestDatabase, day: date, before: set[str]) -> Told:
    """Return what a night really did: reminders that the ledger holds as decided then, mentors paused since."""
    told: Told = Counter(
        ("reminder", ref, threshold)
        for ref, threshold in database.all(
            "SELECT m.external_ref, r.threshold_day FROM cert_expiry_reminders r"
            " JOIN peer_mentors m ON m.id = r.mentor_id WHERE r.status = 'due' AND r.decided_on = %s",
            day,
        )
    )
    told.update(("pause", ref, None) for ref in paused(database) - before)
    return told


def paused(database: TestDatabase) -> set[str]:
    """Return who is paused."""
    return {ref for (ref,) in database.all("SELECT external_ref FROM peer_mentors WHERE status = 'paused'")}


@settings(max_examples=EXAMPLES)
@given(roster=st.lists(cases, min_size=3, max_size=14), given_rules=rules)
def test_the_forecast_of_a_night_is_what_the_night_does(
    certjobs: Certjobs, database: TestDatabase, roster: list[Case], given_rules: Rules
) -> None:
    """On each night the jobs do, mentor by mentor, what the forecast of the first night, and of that night, said."""
    arrange(certjobs, database, roster, given_rules)
    env = given_rules.env()
    first = forecast(certjobs, database, "--days", str(NIGHTS), day=FIRST, env=env)
    every, asked = foretold(first), refusals(first)
    for number in range(NIGHTS):
        day = FIRST + timedelta(days=number)
        tonight = forecast(certjobs, database, "--days", "1", day=day, env=env)
        before = paused(database)
        night = [
            certjobs(job, "--json", "--as-of", day.isoformat(), url=database.job_url, env=env)
            for job in ("expiry-check", "remind")
        ]
        refused = {
            each["organisation"]: each["refused"] for each in night[0].json()["organisations"] if each["refused"]
        }
        assert [each.exit_code for each in night] == [4 if refused else 0, 0], night
        really = done(database, day, before)
        assert every.get(day.isoformat(), Counter()) == really
        assert foretold(tonight).get(day.isoformat(), Counter()) == really
        assert asked.get(day.isoformat(), {}) == refused
        assert refusals(tonight).get(day.isoformat(), {}) == refused


@settings(max_examples=EXAMPLES)
@given(roster=st.lists(cases, min_size=1, max_size=14), given_rules=rules)
def test_every_grouping_counts_the_same(
    certjobs: Certjobs, database: TestDatabase, roster: list[Case], given_rules: Rules
) -> None:
    """By day and by chapter there is as much of everything; by coordinator as many notices, one for each thing."""
    arrange(certjobs, database, roster, given_rules)
    env = given_rules.env()
    found = {
        by: forecast(certjobs, database, "--by", by, day=FIRST, env=env) for by in ("day", "chapter", "coordinator")
    }
    assert found["day"]["nights"] == found["chapter"]["nights"] == found["coordinator"]["nights"]
    for by in ("day", "chapter"):
        assert summed(found[by]["groups"]) == summed([found[by]["totals"]])
    assert sum(each["notices"] for each in found["coordinator"]["groups"]) == found["day"]["totals"]["notices"]
    for each in found["coordinator"]["groups"]:
        assert each["notices"] == sum(each["reminders"].values()) + each["pauses"]


def summed(groups: Sequence[Any]) -> Counter[str]:
    """Return the sums over groups."""
    total: Counter[str] = Counter()
    for each in groups:
        total.update({name: each[name] for name in ("pauses", "guarded", "notices")})
        total.update({f"reminder {day}": number for day, number in each["reminders"].items()})
    return +total


def test_a_course_of_nights(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor with 31 days left is foretold at 30, 14 and 7 days and paused the night after the last valid day."""
    load(certjobs, Mentor("A", 31))
    found = forecast(certjobs, database)
    said = [
        ((date.fromisoformat(day) - TODAY).days, *told)
        for day, nights in foretold(found).items()
        for told in sorted(nights, key=str)
    ]
    assert said == [
        (1, "reminder", "A", 30),
        (17, "reminder", "A", 14),
        (24, "reminder", "A", 7),
        (32, "pause", "A", None),
    ]
    assert (found["first"], found["last"], found["days"]) == ("2026-11-22", "2027-01-20", 60)
    assert found["totals"] == {"reminders": {"30": 1, "14": 1, "7": 1}, "pauses": 1, "guarded": 0, "notices": 4}


def test_the_last_night_counts_and_the_one_after_does_not(certjobs: Certjobs, database: TestDatabase) -> None:
    """--days 2 is tonight and the night after, and no more."""
    load(certjobs, Mentor("A", 31), Mentor("B", 32), Mentor("C", 30))
    said = foretold(forecast(certjobs, database, "--days", "2"))
    assert said == {
        "2026-11-22": Counter([("reminder", "C", 30)]),
        "2026-11-23": Counter([("reminder", "A", 30)]),
    }


def test_nobody_is_due(certjobs: Certjobs, database: TestDatabase) -> None:
    """With nobody due it says so, in words and in empty lists, and exits 0."""
    load(certjobs, Mentor("A", 400), Mentor("B", None))
    assert "Nobody is due: 60 nights from 2026-11-22 to 2027-01-20." in plain(certjobs, database).stdout
    found = forecast(certjobs, database)
    assert (found["nights"], found["groups"]) == ([], [])
    assert found["totals"] == {"reminders": {}, "pauses": 0, "guarded": 0, "notices": 0}
    assert plain(certjobs, database, "--csv").stdout == "date,event,threshold,mentor_ref,organisation,chapter\n"


def test_an_organisation_without_flags(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of an organisation that neither pauses nor reminds nothing is foretold, and it is named."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, organisation="NHF"), Mentor("C", -1, organisation="NHF"))
    assert foretold(forecast(certjobs, database)).get("2026-11-22") == Counter([("reminder", "A", 30)])
    assert "neither auto_pause nor remind is on: NHF." in plain(certjobs, database).stdout
    assert forecast(certjobs, database, "--org", "NHF")["nights"] == []


def test_the_night_on_which_the_guard_asks_is_marked(certjobs: Certjobs, database: TestDatabase) -> None:
    """A night that would pause more than the guard allows pauses nobody and is marked, and so is each one after it."""
    load(certjobs, *(Mentor(f"M{number}", 2) for number in range(3)), Mentor("N", 4), Mentor("L", 0))
    env = {"CERTJOBS_GUARD_COUNT": "2", "CERTJOBS_GUARD_SHARE": "0.1"}
    found = forecast(certjobs, database, "--days", "6", env=env)
    assert refusals(found) == {"2026-11-25": {"HLF": 3}, "2026-11-26": {"HLF": 3}, "2026-11-27": {"HLF": 4}}
    assert (found["totals"]["pauses"], found["totals"]["guarded"]) == (1, 4)
    waits = {night["date"]: [each["mentor_ref"] for each in night["guarded"]] for night in found["nights"]}
    assert {day: refs for day, refs in waits.items() if refs} == {
        "2026-11-25": ["M0", "M1", "M2"],
        "2026-11-27": ["N"],
    }
    text = plain(certjobs, database, "--days", "6", env=env).stdout
    assert [line.split()[0] for line in text.splitlines() if "will ask  " in line] == ["2026-11-25", "2026-11-27"]
    assert "HLF: the guard will ask on 2026-11-25, when 3 mentors would be paused and 2 is the most" in text
    assert "It asks again every night, and 4 pauses will wait until somebody approves." in text


def test_what_was_approved_is_paused_tonight(certjobs: Certjobs, database: TestDatabase) -> None:
    """A set that a person approved is foretold as paused, though it is more than the guard allows."""
    load(certjobs, *(Mentor(f"M{number}", -1) for number in range(3)))
    env = {"CERTJOBS_GUARD_COUNT": "2", "CERTJOBS_GUARD_SHARE": "0.1", "CERTJOBS_NOTIFY_CHANNEL": "none"}
    refused = certjobs("expiry-check", "--json", "--as-of", TODAY.isoformat(), env=env)
    assert forecast(certjobs, database, env=env)["totals"]["guarded"] == 3
    approved = certjobs("approve", refused.json()["guarded"][0]["hash"], "--reason", "a test", env=env)
    assert approved.exit_code == 0, approved
    found = forecast(certjobs, database, env=env)
    assert (found["totals"]["pauses"], found["totals"]["guarded"], refusals(found)) == (3, 0, {})


def test_csv_is_a_row_an_event(certjobs: Certjobs, database: TestDatabase) -> None:
    """--csv prints date, event, threshold, mentor, organisation and chapter, a row an event in order of the nights."""
    load(certjobs, Mentor("A", 7, chapter="Nord, og sør"), Mentor("B", -1))
    text = plain(certjobs, database, "--csv").stdout
    assert list(csv.reader(io.StringIO(text))) == [
        ["date", "event", "threshold", "mentor_ref", "organisation", "chapter"],
        ["2026-11-22", "reminder", "7", "A", "HLF", "Nord, og sør"],
        ["2026-11-22", "pause", "", "B", "HLF", "Prøveby"],
        ["2026-11-30", "pause", "", "A", "HLF", "Nord, og sør"],
    ]


def test_json_names_the_mentors_of_each_night(certjobs: Certjobs, database: TestDatabase) -> None:
    """--json is one document with the settings, the groups, and the mentors of every night."""
    load(certjobs, Mentor("A", 7), Mentor("B", -1, coordinators=f"{KARI}|{OLA}"))
    found = forecast(certjobs, database, "--days", "1", "--by", "coordinator")
    where = {"organisation": "HLF", "chapter": "Prøveby"}
    assert found.pop("nights") == [
        {
            "date": "2026-11-22",
            "reminders": [{"mentor_ref": "A", "threshold": 7, **where}],
            "pauses": [{"mentor_ref": "B", **where}],
            "guarded": [],
            "guard_will_ask": [],
        }
    ]
    kari = {"name": "Kari Eksempel", "address": "kari@example.org"}
    ola = {"name": "Ola Eksempel", "address": "ola@example.org"}
    assert found == {
        "first": "2026-11-22",
        "last": "2026-11-22",
        "days": 1,
        "organisations": [
            {
                "organisation": "HLF",
                "today": "2026-11-22",
                "thresholds": [30, 14, 7],
                "auto_pause": True,
                "remind": True,
            }
        ],
        "totals": {"reminders": {"7": 1}, "pauses": 1, "guarded": 0, "notices": 3},
        "by": "coordinator",
        "groups": [
            kari | {"reminders": {"7": 1}, "pauses": 1, "guarded": 0, "notices": 2},
            ola | {"reminders": {}, "pauses": 1, "guarded": 0, "notices": 1},
        ],
    }


def test_a_mentor_without_coordinators_is_nobodys(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor without coordinators stands by coordinator as nobody's, with the one notice to the fallback address."""
    load(certjobs, Mentor("A", 7, coordinators=""))
    (group,) = forecast(certjobs, database, "--days", "1", "--by", "coordinator")["groups"]
    assert (group["name"], group["address"], group["notices"]) == ("nobody (HLF)", None, 1)


def test_each_organisation_begins_on_its_own_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """At one moment the first night in Oslo is a day later than in New York, and each has its own threshold reached."""
    moment = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    end = (date(2026, 8, 1) - TODAY).days
    load(certjobs, Mentor("A", end), Mentor("B", end, organisation="NHF"))
    database.execute("UPDATE organisations SET remind = true, time_zone = 'America/New_York' WHERE code = 'NHF'")
    with time_machine.travel(moment, tick=True):
        result = certjobs("forecast", "--json", "--days", "2", url=database.job_url)
    found = result.json()
    assert {each["organisation"]: each["today"] for each in found["organisations"]} == {
        "HLF": "2026-07-02",
        "NHF": "2026-07-01",
    }
    assert (found["first"], found["last"]) == ("2026-07-01", "2026-07-03")
    assert foretold(found) == {"2026-07-02": Counter([("reminder", "A", 30), ("reminder", "B", 30)])}


@pytest.mark.parametrize("by", ["day", "chapter", "coordinator"])
def test_the_chart_fits_a_pipe(certjobs: Certjobs, database: TestDatabase, by: str) -> None:
    """In a pipe the longest bar is as long as it may be, and no line of the table is longer than a table may be."""
    load(certjobs, *(Mentor(f"M{number:02}", number % 5, chapter=f"Lag {number % 3}") for number in range(60)))
    lines = plain(certjobs, database, "--by", by).stdout.splitlines()
    bars = [line for line in lines[1:] if "█" in line or "▒" in line]
    assert bars
    assert max(line.count("█") + line.count("▒") for line in bars) >= render_forecast.SHORTEST_BAR
    assert all(len(line) <= 110 for line in bars)
    assert len(bars) == len(forecast(certjobs, database, "--by", by)["groups"])  # no bar is broken into two lines


def test_a_day_in_the_future_and_wrong_usage(certjobs: Certjobs, database: TestDatabase) -> None:
    """Any day may be asked for; --json with --csv, no nights, and an unknown organisation are wrong usage."""
    load(certjobs, Mentor("A", 3000))
    day = TODAY + timedelta(days=3000)
    assert forecast(certjobs, database, "--days", "1", day=day)["totals"]["reminders"] == {"7": 1}
    for wrong in (["--json", "--csv"], ["--days", "0"], ["--by", "name"], ["--org", "XYZ"]):
        assert certjobs("forecast", *wrong).exit_code == 2, wrong


def test_thresholds_that_mean_nothing_are_refused(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation whose own thresholds are no list of days ends it with 78, as it ends remind."""
    load(certjobs, Mentor("A", 3))
    database.execute("UPDATE organisations SET thresholds = '{7,7}' WHERE code = 'HLF'")
    result = certjobs("forecast", env={"CERTJOBS_PER_ORGANISATION_THRESHOLDS": "true"})
    assert result.exit_code == 78
    assert "HLF" in result.stderr


def test_days_without_end(certjobs: Certjobs, database: TestDatabase) -> None:
    """A certification that never ends is never due, and one that ended before all days is paused tonight."""
    load(certjobs, Mentor("A", 3), Mentor("B", 3))
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for ref, end in (("A", "infinity"), ("B", "-infinity")):
            connection.execute(
                "UPDATE peer_mentors SET certification_expiry = %s::text::date WHERE external_ref = %s", [end, ref]
            )
    assert foretold(forecast(certjobs, database)) == {"2026-11-22": Counter([("pause", "B", None)])}


def test_nothing_is_written(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a forecast in every form each row of each table is as before, the run log too."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1), Mentor("C", 14, coordinators=""))
    unchanged = dump(database)
    for options in ([], ["--json"], ["--csv"], ["--by", "chapter"], ["--by", "coordinator"]):
        plain(certjobs, database, *options)
    assert dump(database) == unchanged


def test_no_address_in_the_log(certjobs: Certjobs, database: TestDatabase) -> None:
    """Names and addresses are printed where they were asked for, and never logged."""
    load(certjobs, Mentor("A", 30))
    result = plain(certjobs, database, "--by", "coordinator", env={"CERTJOBS_LOG_LEVEL": "debug"})
    assert "kari@example.org" in result.stdout
    assert "@" not in result.stderr
    assert "kari@example.org" not in plain(certjobs, database).stdout
