"""The roster by hand, through the command line: certifications, mentors, coordinators and organisations."""

from __future__ import annotations

import json
import unicodedata
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.children.processes import eventually
from tests.roster import KARI, OLA, TODAY, Mentor, file_of, in_days

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from tests.conftest import Certjobs, CertjobsProcess, Result, TestDatabase

AS_OF = ("--as-of", TODAY.isoformat())
WHY = ("--reason", "a test")
CONSOLE = {"CERTJOBS_NOTIFY_CHANNEL": "console"}
PATIENT = {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "100"}  # on a busy machine processes start slowly
EXAMPLES = max(4, settings().max_examples // 10)
AUDIT = ("certification_events", "mentor_status_events", "roster_events")
EXPIRY = "SELECT certification_expiry FROM peer_mentors WHERE external_ref = %s"
STATUS = "SELECT coalesce(pause_reason, status) FROM peer_mentors WHERE external_ref = %s"
COORDINATORS = """
    SELECT c.address FROM coordinator_assignments a
      JOIN coordinators c ON c.id = a.coordinator_id
      JOIN peer_mentors m ON m.id = a.mentor_id
     WHERE m.external_ref = %s ORDER BY 1
"""


@pytest.fixture
def roster(certjobs: Certjobs) -> None:
    """Import a mentor who is valid, one who expired yesterday, one never certified with nobody, one of elsewhere."""
    bring_in(
        certjobs,
        Mentor("A", 10),
        Mentor("B", -1, f"{KARI}|{OLA}"),
        Mentor("N", None, ""),
        Mentor("O", 90, OLA, organisation="NHF", chapter="Eksempeldal"),
    )


def bring_in(certjobs: Certjobs, *mentors: Mentor) -> None:
    """Import these mentors."""
    result = certjobs("roster", "import", "-", stdin=file_of(mentors))
    assert result.exit_code == 0, result


def contents(database: TestDatabase, *without: str) -> dict[str, list[str]]:
    """Return every row of every table but those."""
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> ALL (%s)",
            [list(without)],
        ).fetchall()
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t ORDER BY 1")
        return {
            name: [text for (text,) in connection.execute(query.format(sql.Identifier(name)))] for (name,) in tables
        }


def unchanged(certjobs: Certjobs, database: TestDatabase, *argv: str, exit_code: int = 2) -> Result:
    """Run a command that must end with this exit code and change no row of any table."""
    before = contents(database)
    result = certjobs(*argv)
    assert result.exit_code == exit_code, (argv, result)
    assert contents(database) == before, argv
    assert "Traceback" not in result.stderr
    return result


def refused(certjobs: Certjobs, database: TestDatabase, *commands: tuple[str, ...]) -> list[Result]:
    """Run commands that must all be wrong usage and change no row of any table."""
    before = contents(database)
    results = []
    for argv in commands:
        result = certjobs(*argv)
        assert result.exit_code == 2, (argv, result)
        assert result.stderr.strip(), argv
        assert "Traceback" not in result.stderr, argv
        results.append(result)
    assert contents(database) == before
    return results


def done(certjobs: Certjobs, *argv: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command that must succeed, and return its document (of ``orgs set`` the one in the list)."""
    result = certjobs(*argv, "--json", env=env)
    assert result.exit_code == 0, (argv, result)
    found = result.json()
    document: dict[str, Any] = found[0] if isinstance(found, list) else found
    return document


def refs(certjobs: Certjobs, *argv: str) -> list[str]:
    """Return the references in a list, as JSON gives them."""
    result = certjobs(*argv, "--json")
    assert result.exit_code == 0, (argv, result)
    name = "certificate_ref" if argv[0] == "certs" else "mentor_ref"
    return [each[name] for each in result.json()]


def events(database: TestDatabase) -> list[tuple[Any, ...]]:
    """Return every event of the audit: table, id, event, actor, reason."""
    parts = " UNION ALL ".join(f"SELECT '{name}' AS kind, id, event, actor, reason FROM {name}" for name in AUDIT)
    return database.all(f"SELECT * FROM ({parts}) audit ORDER BY kind, id")


def night(
    certjobs: Certjobs,
    database: TestDatabase,
    day: date = TODAY,
    *,
    env: Mapping[str, str] | None = None,
    exit_code: int = 0,
) -> Result:
    """Run expiry-check as the job's own role; it must end with this exit code."""
    result = certjobs("expiry-check", "--as-of", day.isoformat(), url=database.job_url, env=env)
    assert result.exit_code == exit_code, result
    return result


def told(text: str) -> list[str]:
    """Return who got notices on the console, by address, in order."""
    return [line.split("<")[1].split(">")[0] for line in text.splitlines() if line.startswith("To ")]


def waiting(database: TestDatabase, number: int) -> None:
    """Wait until so many sessions wait for a lock."""
    blocked = "datname = current_database() AND wait_event_type = 'Lock'"
    eventually(database, f"SELECT count(*) >= %s FROM pg_stat_activity WHERE {blocked}", number)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for a process; return its exit code and what it printed."""
    out, err = process.communicate(timeout=60)
    return process.returncode, (out + err).decode()


# Every change: one event with who and why, nothing the second time, nothing at all as a dry-run.

ADD = ("certs", "add", "A", "--ref", "C-A-2", "--issued", in_days(-1), "--expires", in_days(400), *AS_OF)
CHANGES: dict[str, tuple[tuple[str, ...], list[tuple[str, str]]]] = {
    "certs add": (ADD, [("certification_events", "added")]),
    "certs renew": (
        ("certs", "renew", "C-A", "--expires", in_days(500), *AS_OF),
        [("certification_events", "changed")],
    ),
    "certs renew, issue too": (
        ("certs", "renew", "C-O", "--expires", in_days(500), "--issued", in_days(-1), *AS_OF),
        [("certification_events", "changed")],
    ),
    "certs withdraw": (("certs", "withdraw", "C-B", *AS_OF), [("certification_events", "withdrawn")]),
    "assign": (("mentors", "assign", "O", "kari@example.org"), [("roster_events", "assigned")]),
    "assign two": (
        ("mentors", "assign", "N", "kari@example.org", "ola@example.org"),
        [("roster_events", "assigned")],
    ),
    "assign --remove": (("mentors", "assign", "B", "ola@example.org", "--remove"), [("roster_events", "unassigned")]),
    "assign --only": (
        ("mentors", "assign", "A", "ola@example.org", "--only"),
        [("roster_events", "assigned"), ("roster_events", "unassigned")],
    ),
    "move": (
        ("mentors", "move", "A", "--chapter", "Eksempeldal", "--org", "NHF"),
        [("roster_events", "changed")],
    ),
    "move --create": (
        ("mentors", "move", "N", "--chapter", "Nybygd", "--create"),
        [("roster_events", "changed")],
    ),
    "coordinators add": (
        ("coordinators", "add", "per@example.org", "--name", "Per Eksempel", "--language", "nn"),
        [("roster_events", "added")],
    ),
    "coordinators set": (
        ("coordinators", "set", "kari@example.org", "--language", "en", "--name", "Kari E."),
        [("roster_events", "changed")],
    ),
    "orgs set": (
        ("orgs", "set", "NHF", "--auto-pause", "--thresholds", "45,7", "--fallback-address", "nhf@example.org"),
        [("roster_events", "changed")],
    ),
}


@pytest.mark.usefixtures("roster")
def test_a_change_is_an_event_and_again_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """Every change leaves one event of its kind with actor and reason, and the same command again changes no row."""
    left: dict[str, list[tuple[str, str]]] = {}
    reason = ("--reason", " agreed \n with the office ")
    for name, (argv, _) in CHANGES.items():
        before = events(database)
        document = done(certjobs, *argv, *reason, env={"CERTJOBS_ACTOR": "clerk"})
        assert document.get("changed", True) is True, argv
        new = [each for each in events(database) if each not in before]
        left[name] = sorted((kind, event) for kind, _, event, _, _ in new)
        assert {(actor, why) for *_, actor, why in new} == {("clerk", "agreed with the office")}, argv
        afterwards = contents(database)
        assert done(certjobs, *argv, *reason).get("changed", False) is False, argv
        assert certjobs(*argv, *reason).stdout.strip(), argv
        assert contents(database) == afterwards, argv
    assert left == {name: expected for name, (_, expected) in CHANGES.items()}


@pytest.mark.usefixtures("roster")
def test_a_change_as_a_dry_run_or_without_a_reason(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run answers as the command would and writes nothing; without a reason every change is wrong usage."""
    before = contents(database)
    for argv, _ in CHANGES.values():
        document = done(certjobs, *argv, *WHY, "--dry-run")
        assert document["dry_run"] is True, argv
        assert document.get("changed", True) is True, argv
        assert "Dry-run: nothing" in certjobs(*argv, *WHY, "--dry-run").stdout, argv
    assert contents(database) == before
    commands = [(*argv, *reason) for argv, _ in CHANGES.values() for reason in ((), ("--reason", ""))]
    for result in refused(certjobs, database, *commands, (*ADD, "--reason", " \n\t ")):
        assert "reason" in result.stderr


@pytest.mark.usefixtures("roster")
def test_taking_a_withdrawal_back_is_an_event_too(certjobs: Certjobs, database: TestDatabase) -> None:
    """--undo leaves one event with its own reason, is nothing the second time, and writes nothing as a dry-run."""
    done(certjobs, "certs", "withdraw", "C-A", *WHY, *AS_OF)
    before = events(database)
    argv = ("certs", "withdraw", "C-A", "--undo", "--reason", "it was the other one", *AS_OF)
    unchanged(certjobs, database, *argv, "--dry-run", exit_code=0)
    document = done(certjobs, *argv)
    assert (document["changed"], document["withdrawn_on"], document["ends_on"]) == (True, None, in_days(10))
    (new,) = [each for each in events(database) if each not in before]
    assert (new[0], *new[2:]) == ("certification_events", "changed", "test", "it was the other one")
    assert unchanged(certjobs, database, *argv, "--json", exit_code=0).json()["changed"] is False


UNKNOWN = [
    (("certs", "list", "--mentor", "NOBODY"), "mentors list"),
    (("certs", "list", "--org", "hlf"), "HLF"),
    (("certs", "list", "--chapter", "Prøvby"), "Prøveby"),
    (("certs", "show", "NOTHING"), "certs list"),
    (("certs", "add", "NOBODY", *ADD[3:], *WHY), "mentors list"),
    (("certs", "renew", "NOTHING", "--expires", in_days(9), *WHY), "certs list"),
    (("certs", "withdraw", "NOTHING", *WHY), "certs list"),
    (("mentors", "list", "--org", "XYZ"), "HLF, NHF"),
    (("mentors", "list", "--chapter", "Eksempeldalen"), "Eksempeldal"),
    (("mentors", "list", "--org", "HLF", "--chapter", "Eksempeldal"), "Prøveby"),
    (("mentors", "show", "NOBODY"), "mentors list"),
    (("mentors", "show", "a"), "mentors list"),
    (("mentors", "assign", "NOBODY", "kari@example.org", *WHY), "mentors list"),
    (("mentors", "assign", "A", "kari@example.org", "per@example.org", *WHY), "coordinators add"),
    (("mentors", "move", "NOBODY", "--chapter", "Prøveby", *WHY), "mentors list"),
    (("mentors", "move", "A", "--chapter", "Prøvby", *WHY), "Prøveby"),
    (("mentors", "move", "A", "--chapter", "Prøveby", "--org", "NHF", *WHY), "Eksempeldal"),
    (("mentors", "move", "A", "--chapter", "Prøveby", "--org", "XYZ", *WHY), "HLF, NHF"),
    (("coordinators", "list", "--org", "XYZ"), "HLF, NHF"),
    (("coordinators", "set", "per@example.org", "--language", "en", *WHY), "coordinators list"),
    (("orgs", "set", "XYZ", "--remind", *WHY), "HLF, NHF"),
]


@pytest.mark.usefixtures("roster")
def test_what_does_not_exist(certjobs: Certjobs, database: TestDatabase) -> None:
    """A name that nothing has is wrong usage, writes nothing, and the hint says what there is or where to look."""
    before = contents(database)
    for argv, hint in UNKNOWN:
        result = certjobs(*argv, "--json")
        assert result.exit_code == 2, (argv, result)
        document = result.json()
        assert (document["exit_code"], document["status"]) == (2, "failed"), argv
        assert hint in document["hint"], (argv, document)
        assert "per@example.org" not in result.stdout + result.stderr, argv  # an address is personal
    assert contents(database) == before


@pytest.mark.usefixtures("roster")
def test_options_that_contradict_each_other(certjobs: Certjobs, database: TestDatabase) -> None:
    """Options that exclude each other, or that say nothing, are wrong usage and write nothing."""
    refused(
        certjobs,
        database,
        ("certs", "withdraw", "C-A", "--undo", "--on", in_days(0), *WHY),
        ("mentors", "assign", "A", "ola@example.org", "--only", "--remove", *WHY),
        ("mentors", "assign", "A", *WHY),
        ("orgs", "set", "HLF", "--thresholds", "30", "--no-thresholds", *WHY),
        ("orgs", "set", "HLF", "--fallback-address", "a@example.org", "--no-fallback-address", *WHY),
        ("orgs", "set", "HLF", *WHY),
        ("coordinators", "set", "kari@example.org", *WHY),
        ("coordinators", "list", "--without-mentors", "--org", "HLF"),
        ("mentors", "list", "--status", "gone"),
        ("mentors", "list", "--expiring-within", "-1"),
        ("mentors", "list", "--limit", "0"),
        ("mentors", "list", "--as-of", "22.11.2026"),
    )


# Lists.


@pytest.mark.usefixtures("roster")
def test_each_filter_of_mentors_by_itself(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each filter keeps exactly whom its help promises; the days from today to N ahead count at both ends."""
    bring_in(certjobs, Mentor("Z", 0), Mentor("Y", 11))
    night(certjobs, database)
    bring_in(certjobs, Mentor("R", -1), Mentor("X", -1, ""))
    database.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'leave' WHERE external_ref = 'X'")
    database.execute(
        "UPDATE peer_mentors SET status = 'paused', pause_reason = 'expired_cert' WHERE external_ref = 'R'"
    )
    bring_in(certjobs, Mentor("R", 0, certificate="C-R-2"))
    for filters, expected in (
        ((), "A B N O R X Y Z"),
        (("--org", "NHF"), "O"),
        (("--chapter", "Prøveby"), "A B N R X Y Z"),
        (("--chapter", "prøveby"), "A B N R X Y Z"),
        (("--chapter", "EKSEMPELDAL"), "O"),
        (("--status", "paused"), "B R X"),
        (("--status", "active"), "A N O Y Z"),
        (("--expiring-within", "0"), "R Z"),
        (("--expiring-within", "10"), "R Z A"),
        (("--expiring-within", "11"), "R Z A Y"),
        (("--expired",), "B X"),
        (("--ready",), "R"),
        (("--without-coordinator",), "N X"),
        (("--limit", "2"), "A B"),
        (("--status", "paused", "--expired", "--without-coordinator"), "X"),
        (("--expired", "--expiring-within", "30"), ""),
        (("--ready", "--org", "NHF"), ""),
    ):
        assert refs(certjobs, "mentors", "list", *filters, *AS_OF) == expected.split(), filters


@pytest.mark.usefixtures("roster")
def test_a_chapter_in_capitals_with_norwegian_letters(certjobs: Certjobs) -> None:
    """--chapter finds a chapter however its letters are cased, æ, ø and å among them, in every list."""
    bring_in(certjobs, Mentor("L", 5, chapter="Ålvik Æsøy"))
    for given_name, expected in (("PRØVEBY", {"A", "B", "N"}), ("ålvik æsøy", {"L"}), ("ÅLVIK ÆSØY", {"L"})):
        assert set(refs(certjobs, "mentors", "list", "--chapter", given_name)) == expected, given_name
        certificates = {f"C-{ref}" for ref in expected - {"N"}}
        assert set(refs(certjobs, "certs", "list", "--chapter", given_name)) == certificates, given_name
        found = certjobs("coordinators", "list", "--chapter", given_name, "--json").json()
        assert "kari@example.org" in [each["address"] for each in found], given_name


@pytest.mark.usefixtures("roster")
def test_each_filter_of_certifications_by_itself(certjobs: Certjobs) -> None:
    """Certifications are narrowed by mentor, organisation, chapter and the days until they really end."""
    bring_in(certjobs, Mentor("A", 700, certificate="C-A-long", withdrawn=1), Mentor("Z", 0))
    for filters, expected in (
        ((), "C-A C-A-long C-B C-O C-Z"),
        (("--mentor", "A"), "C-A C-A-long"),
        (("--mentor", "N"), ""),
        (("--org", "NHF"), "C-O"),
        (("--chapter", "eksempelDAL"), "C-O"),
        (("--expiring-within", "0"), "C-A-long C-Z"),
        (("--expiring-within", "9"), "C-A-long C-Z"),
        (("--expiring-within", "10"), "C-A-long C-Z C-A"),
        (("--expiring-within", "10", "--mentor", "A", "--org", "HLF", "--limit", "1"), "C-A-long"),
        (("--mentor", "A", "--org", "NHF"), ""),
    ):
        assert refs(certjobs, "certs", "list", *filters, *AS_OF) == expected.split(), filters


def test_each_organisations_own_today(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without --as-of, what is expired and what ends today is told by the date where each organisation is."""
    bring_in(certjobs, Mentor("NHFtoday", 0, organisation="NHF"))
    done(certjobs, "orgs", "set", "HLF", "--time-zone", "Etc/GMT+12", *WHY)
    done(certjobs, "orgs", "set", "NHF", "--time-zone", "Pacific/Kiritimati", *WHY)
    query = (
        "SELECT (clock_timestamp() AT TIME ZONE 'Etc/GMT+12')::date,"
        " (clock_timestamp() AT TIME ZONE 'Pacific/Kiritimati')::date"
    )
    for _ in range(3):  # once more where midnight passed on the way
        ((west, east),) = database.all(query)
        assert west < east
        mentors = [
            Mentor(f"{organisation}{name}", (day + timedelta(days=n) - TODAY).days, organisation=organisation)
            for organisation, day in (("HLF", west), ("NHF", east))
            for name, n in (("yesterday", -1), ("today", 0), ("tomorrow", 1))
        ]
        bring_in(certjobs, *mentors, Mentor("NHF-west-today", (west - TODAY).days, organisation="NHF"))
        found = (
            set(refs(certjobs, "mentors", "list", "--expired")),
            set(refs(certjobs, "mentors", "list", "--expiring-within", "0")),
            set(refs(certjobs, "certs", "list", "--expiring-within", "1")),
            done(certjobs, "mentors", "show", "NHFtoday")["days_left"],
            done(certjobs, "certs", "show", "C-HLFyesterday")["days_left"],
        )
        if database.all(query) == [(west, east)]:
            break
    else:
        pytest.fail("three midnights in a row")
    near = {f"C-{code}{name}" for code in ("HLF", "NHF") for name in ("today", "tomorrow")}
    expired = {"HLFyesterday", "NHFyesterday", "NHF-west-today"}
    assert found == (expired, {"HLFtoday", "NHFtoday"}, near, 0, -1)
    done(certjobs, "certs", "withdraw", "C-NHFtomorrow", *WHY)
    withdrawn = database.one("SELECT withdrawn_on FROM certifications WHERE external_ref = 'C-NHFtomorrow'")
    assert east <= withdrawn <= database.all(query)[0][1]


@pytest.mark.usefixtures("roster")
def test_a_table_shows_every_day_in_one_piece(certjobs: Certjobs) -> None:
    """In a pipe as on a terminal no table breaks a date or a reference over two lines."""
    done(certjobs, "certs", "withdraw", "C-O", "--on", in_days(5), *WHY, *AS_OF)
    for argv, words in (
        (("certs", "list"), ("C-A", in_days(10), in_days(10 - 730), in_days(5), in_days(4), "Eksempeldal")),
        (("mentors", "list"), ("Mentor A", in_days(10), in_days(4), "Eksempeldal")),
        (("mentors", "show", "O"), ("C-O", in_days(90), in_days(5), in_days(4), "ola@example.org")),
        (("coordinators", "list"), ("kari@example.org", "Kari Eksempel")),
    ):
        options = AS_OF if argv[0] != "coordinators" else ()
        text = certjobs(*argv, *options).stdout
        assert [word for word in words if word not in text] == [], text


def test_a_chapter_typed_with_decomposed_letters(certjobs: Certjobs) -> None:
    """A chapter whose å came as a and a ring, as some systems hand it on, is found like any other."""
    bring_in(certjobs, Mentor("L", 5, chapter="Ålvik"))
    typed = unicodedata.normalize("NFD", "Ålvik")
    assert refs(certjobs, "mentors", "list", "--chapter", typed) == ["L"]
    assert done(certjobs, "mentors", "move", "L", "--chapter", typed, *WHY)["changed"] is False


def test_a_long_list(certjobs: Certjobs) -> None:
    """A table shows the first 100 and says that there are more; --json gives all 250 as one array."""
    bring_in(certjobs, *(Mentor(f"M{n:03}", n, chapter="Hundre" if n < 100 else "Flere") for n in range(250)))
    for command in ("mentors", "certs"):
        text = certjobs(command, "list", *AS_OF).stdout
        assert sum("M0" in line for line in text.splitlines()) == 100, text
        assert "M100" not in text
        assert "first 100" in text
        assert "--json" in text
        assert len(certjobs(command, "list", *AS_OF, "--json").json()) == 250
        assert len(certjobs(command, "list", "--limit", "101", "--json").json()) == 101
        exactly = certjobs(command, "list", "--chapter", "Hundre").stdout
        assert sum("M0" in line for line in exactly.splitlines()) == 100
        assert "first" not in exactly
        assert "first" not in certjobs(command, "list", "--limit", "250").stdout
        few = certjobs(command, "list", "--limit", "3").stdout
        assert sum("M0" in line for line in few.splitlines()) == 3
        assert "first 3" in few


def test_an_empty_list(certjobs: Certjobs) -> None:
    """A list of nothing is [] for programs and words for people, on a roster without anybody too."""
    for command in ("mentors", "certs", "coordinators"):
        assert certjobs(command, "list", "--json").json() == []
        text = certjobs(command, "list").stdout.strip()
        assert text
        assert "─" not in text
    bring_in(certjobs, Mentor("A", 10))
    for argv in (
        ("mentors", "list", "--expired"),
        ("certs", "list", "--expiring-within", "9"),
        ("coordinators", "list", "--without-mentors"),
    ):
        options = AS_OF if argv[0] != "coordinators" else ()
        result = certjobs(*argv, *options, "--json")
        assert (result.exit_code, result.json()) == (0, [])


@dataclass(frozen=True)
class Person:
    """A mentor of a random roster: certifications as (last day, withdrawn from), both in days from TODAY."""

    ref: str
    organisation: str
    chapter: str
    certifications: tuple[tuple[int, int | None], ...]
    certain: bool  # has a coordinator
    state: str

    @property
    def ends(self) -> int | None:
        """Return the last valid day, in days from TODAY."""
        return max((last_day(*each) for each in self.certifications), default=None)

    def rows(self) -> list[Mentor]:
        """Return the lines of the roster file."""
        coordinators = KARI if self.certain else ""
        known = [
            Mentor(self.ref, last, coordinators, self.organisation, self.chapter, f"C{n}-{self.ref}", withdrawn)
            for n, (last, withdrawn) in enumerate(self.certifications)
        ]
        return known or [Mentor(self.ref, None, coordinators, self.organisation, self.chapter)]


def last_day(expires: int, withdrawn: int | None) -> int:
    """Return when a certification ends: the design's least(expires_on, withdrawn_on - 1)."""
    return expires if withdrawn is None else min(expires, withdrawn - 1)


PLACES = [("HLF", "Prøveby"), ("HLF", "Ålvik"), ("NHF", "Prøveby"), ("NHF", "Eksempeldal")]
near_days = st.integers(-3, 3) | st.integers(-40, 40)


@st.composite
def rosters(draw: st.DrawFn) -> list[Person]:
    """Draw up to ten mentors."""
    people = []
    for n in range(draw(st.integers(0, 10))):
        organisation, chapter = draw(st.sampled_from(PLACES))
        people.append(
            Person(
                f"{draw(st.sampled_from('aBøZ'))}{n}",
                organisation,
                chapter,
                tuple(draw(st.lists(st.tuples(near_days, st.none() | near_days), max_size=2))),
                draw(st.booleans()),
                draw(st.sampled_from(["active", "active", "leave", "expired_cert"])),
            )
        )
    return people


@dataclass(frozen=True)
class Filters:
    """The filters of one listing."""

    org: str | None
    chapter: str | None
    status: str | None
    within: int | None
    expired: bool
    ready: bool
    without: bool
    limit: int | None

    def argv(self) -> list[str]:
        """Return the options."""
        valued = {
            "--org": self.org,
            "--chapter": self.chapter,
            "--status": self.status,
            "--expiring-within": self.within,
            "--limit": self.limit,
        }
        flags = {"--expired": self.expired, "--ready": self.ready, "--without-coordinator": self.without}
        found = [part for name, value in valued.items() if value is not None for part in (name, str(value))]
        return [*found, *(name for name, wanted in flags.items() if wanted)]

    def possible(self) -> bool:
        """Tell whether the organisation has such a chapter."""
        return self.chapter is None or any(
            chapter.lower() == self.chapter.lower() and self.org in (None, organisation)
            for organisation, chapter in PLACES
        )

    def let_through(self, person: Person) -> bool:
        """Tell whether a mentor is in the list, by the words of the help texts."""
        ends = person.ends
        return all(
            (
                self.org in (None, person.organisation),
                self.chapter is None or self.chapter.lower() == person.chapter.lower(),
                self.status is None or (self.status == "active") == (person.state == "active"),
                self.within is None or (ends is not None and 0 <= ends <= self.within),
                not self.expired or (ends is not None and ends < 0),
                not self.ready or (person.state == "expired_cert" and ends is not None and ends >= 0),
                not self.without or not person.certain,
            )
        )


filter_sets = st.builds(
    Filters,
    org=st.none() | st.sampled_from(["HLF", "NHF"]),
    chapter=st.none() | st.sampled_from(["Prøveby", "prøveby", "PrØVEBY", "ålvik", "eksempelDal"]),
    status=st.none() | st.sampled_from(["active", "paused"]),
    within=st.none() | st.integers(0, 4) | st.integers(0, 60),
    expired=st.booleans(),
    ready=st.booleans(),
    without=st.booleans(),
    limit=st.none() | st.integers(1, 5),
)


@settings(max_examples=EXAMPLES)
@given(people=rosters(), asked=st.lists(filter_sets, min_size=1, max_size=5))
def test_any_filters_on_any_roster(
    certjobs: Certjobs, database: TestDatabase, people: list[Person], asked: list[Filters]
) -> None:
    """Any filters together list whom a few lines of Python choose, with the days left, in order, up to the limit."""
    bring_in(certjobs, *(Mentor(f"P{n}", 1, KARI, *place) for n, place in enumerate(PLACES)))
    database.execute(
        "SET session_replication_role = replica; DELETE FROM coordinator_assignments; DELETE FROM certifications;"
        " DELETE FROM peer_mentors"
    )
    bring_in(certjobs, *(row for person in people for row in person.rows()))
    for person in people:
        if person.state != "active":
            database.execute(
                "UPDATE peer_mentors SET status = 'paused', pause_reason = %s WHERE external_ref = %s",
                person.state,
                person.ref,
            )
    for filters in asked:
        result = certjobs("mentors", "list", *filters.argv(), *AS_OF, "--json")
        if not filters.possible():
            assert result.exit_code == 2, (filters, result)
            continue
        chosen = [person for person in people if filters.let_through(person)]
        chosen.sort(key=lambda person: ((person.ends or 0) if filters.within is not None else 0, person.ref))
        expected = [
            {
                "mentor_ref": person.ref,
                "name": f"Mentor {person.ref}",
                "organisation": person.organisation,
                "chapter": person.chapter,
                "status": "active" if person.state == "active" else "paused",
                "pause_reason": None if person.state == "active" else person.state,
                "certification_expiry": None if person.ends is None else in_days(person.ends),
                "days_left": person.ends,
            }
            for person in chosen[: filters.limit]
        ]
        assert result.json() == expected, filters
    within = asked[0].within
    options = () if within is None else ("--expiring-within", str(within))
    ends = [
        (f"C{n}-{person.ref}", last_day(*each)) for person in people for n, each in enumerate(person.certifications)
    ]
    assert sorted(refs(certjobs, "certs", "list", *options, *AS_OF)) == sorted(
        ref for ref, end in ends if within is None or 0 <= end <= within
    )


@pytest.mark.usefixtures("roster")
def test_one_mentor_with_everything(certjobs: Certjobs, database: TestDatabase) -> None:
    """`mentors show` tells certifications, coordinators and what happened, newest first, with who and why."""
    night(certjobs, database)
    done(certjobs, "certs", "renew", "C-B", "--expires", in_days(300), "--reason", "course passed", *AS_OF)
    done(certjobs, "mentors", "assign", "B", "ola@example.org", "--remove", "--reason", "left")
    shown = done(certjobs, "mentors", "show", "B", *AS_OF)
    assert (shown["mentor_ref"], shown["name"], shown["status"]) == ("B", "Mentor B", "paused")
    assert (shown["certification_expiry"], shown["days_left"]) == (in_days(300), 300)
    assert [each["certificate_ref"] for each in shown["certifications"]] == ["C-B"]
    assert [each["address"] for each in shown["coordinators"]] == ["kari@example.org"]
    assert [each["reason"] for each in shown["history"][:3]] == ["left", "course passed", "expired_cert"]
    assert {each["actor"] for each in shown["history"]} == {"test"}
    assert [each["occurred_at"] for each in shown["history"]] == sorted(
        (each["occurred_at"] for each in shown["history"]), reverse=True
    )
    text = certjobs("mentors", "show", "B", *AS_OF).stdout
    for word in ("Mentor B", "C-B", "kari@example.org", "course passed", "left"):
        assert word in text
    never = done(certjobs, "mentors", "show", "N")
    assert (never["days_left"], never["certifications"], never["coordinators"]) == (None, [], [])


# Certifications.


@pytest.mark.usefixtures("roster")
def test_show_one_certification(certjobs: Certjobs) -> None:
    """A certification is shown with the last day it really is valid and the days left until then."""
    done(certjobs, "certs", "withdraw", "C-O", "--on", in_days(5), *WHY, *AS_OF)
    assert done(certjobs, "certs", "show", "C-O", *AS_OF) == {
        "certificate_ref": "C-O",
        "mentor_ref": "O",
        "organisation": "NHF",
        "chapter": "Eksempeldal",
        "issued_on": in_days(90 - 730),
        "expires_on": in_days(90),
        "withdrawn_on": in_days(5),
        "ends_on": in_days(4),
        "days_left": 4,
    }
    assert in_days(4) in certjobs("certs", "show", "C-O", *AS_OF).stdout


@dataclass
class Known:
    """A certification as the model keeps it, in days from TODAY."""

    issued: int
    expires: int
    withdrawn: int | None = None


class Model:
    """What the commands for certifications must do, restated."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}

    def apply(self, what: str, ref: str, issued: int, day: int) -> bool | None:
        """Do one command: True for a change, False for nothing, None for wrong usage."""
        found = self.known.get(ref)
        if what == "add":
            if day < issued:
                return None
            if found is None:
                self.known[ref] = Known(issued, day)
                return True
            return False if (found.issued, found.expires) == (issued, day) else None
        if found is None:
            return None
        return self._renew(found, day) if what == "renew" else self._withdraw(found, day if what != "undo" else None)

    @staticmethod
    def _renew(found: Known, day: int) -> bool | None:
        if found.withdrawn is not None or day < found.expires:
            return None
        changed = day != found.expires
        found.expires = day
        return changed

    @staticmethod
    def _withdraw(found: Known, day: int | None) -> bool | None:
        if found.withdrawn == day:
            return False
        if day is not None and found.withdrawn is not None:
            return None
        found.withdrawn = day
        return True

    @property
    def expiry(self) -> int | None:
        """Return the mentor's certification expiry."""
        return max((last_day(each.expires, each.withdrawn) for each in self.known.values()), default=None)


steps = st.tuples(
    st.sampled_from(["add", "add", "renew", "renew", "withdraw", "undo"]),
    st.sampled_from(["X", "Y"]),
    st.sampled_from([-10, -9]),
    st.sampled_from([-11, -1, 0, 1, 30]),
)


@settings(max_examples=EXAMPLES)
@given(plan=st.lists(steps, min_size=2, max_size=8))
@pytest.mark.usefixtures("roster")
def test_any_commands_keep_the_expiry(
    certjobs: Certjobs, database: TestDatabase, plan: list[tuple[str, str, int, int]]
) -> None:
    """After any commands the mentor's expiry is the latest end, and each change is one event, each other none."""
    database.execute("DELETE FROM certifications WHERE external_ref IN ('X', 'Y')")
    model = Model()
    for what, ref, issued, day in plan:
        argv = {
            "add": ("add", "N", "--ref", ref, "--issued", in_days(issued), "--expires", in_days(day)),
            "renew": ("renew", ref, "--expires", in_days(day)),
            "withdraw": ("withdraw", ref, "--on", in_days(day)),
            "undo": ("withdraw", ref, "--undo"),
        }[what]
        before = database.one("SELECT count(*) FROM certification_events")
        expected = model.apply(what, ref, issued, day)
        result = certjobs("certs", *argv, *WHY, *AS_OF, "--json")
        assert result.exit_code == (2 if expected is None else 0), (argv, result)
        if expected is not None:
            assert result.json()["changed"] is expected, (argv, result)
        wanted = None if model.expiry is None else date.fromisoformat(in_days(model.expiry))
        assert database.one(EXPIRY, "N") == wanted, argv
        assert database.one("SELECT count(*) FROM certification_events") == before + (expected is True), argv


@pytest.mark.usefixtures("roster")
def test_days_that_make_no_sense(certjobs: Certjobs, database: TestDatabase) -> None:
    """An end before the beginning, a day before 1900 and what is no day are refused and write nothing."""
    add = ("certs", "add", "N", "--ref", "C-N")
    commands: list[tuple[str, ...]] = [
        (*add, "--issued", in_days(0), "--expires", in_days(-1)),
        (*add, "--issued", "1899-12-31", "--expires", in_days(1)),
        (*add, "--issued", "2026-02-30", "--expires", in_days(1)),
        (*add, "--issued", in_days(0), "--expires", "22.11.2028"),
        ("certs", "add", "N", "--ref", " ", "--issued", in_days(0), "--expires", in_days(1)),
        ("certs", "add", "N", "--ref", "x" * 101, "--issued", in_days(0), "--expires", in_days(1)),
        ("certs", "add", "N", "--ref", "C\x1b[2J", "--issued", in_days(0), "--expires", in_days(1)),
        ("certs", "renew", "C-A", "--expires", in_days(9)),
        ("certs", "renew", "C-A", "--expires", "1899-12-31"),
        ("certs", "renew", "C-A", "--expires", in_days(20), "--issued", "1899-12-31"),
        ("certs", "renew", "C-A", "--expires", in_days(20), "--issued", in_days(21)),
        ("certs", "renew", "C-A", "--expires", ""),
        ("certs", "withdraw", "C-A", "--on", "1899-12-31"),
        ("certs", "withdraw", "C-A", "--on", "never"),
        ("certs", "withdraw", "C-A", "--as-of", "2999-12-31"),
        ("certs", "renew", "C-A", "--expires", in_days(20), "--as-of", "2999-12-31"),
    ]
    refused(certjobs, database, *((*argv, *WHY) for argv in commands))
    done(certjobs, *add, "--issued", "1900-01-01", "--expires", "9999-12-31", *WHY)
    assert database.one(EXPIRY, "N") == date.max
    assert refs(certjobs, "mentors", "list", "--expiring-within", "36500", *AS_OF) == ["A", "O"]


@pytest.mark.usefixtures("roster")
def test_what_a_renewal_is_not(certjobs: Certjobs, database: TestDatabase) -> None:
    """Ending earlier is refused and points to withdrawing; so is a withdrawn certification until that is taken back."""
    (earlier,) = refused(certjobs, database, ("certs", "renew", "C-A", "--expires", in_days(9), *WHY))
    assert in_days(10) in earlier.stderr
    assert "certs withdraw" in earlier.stderr
    done(certjobs, "certs", "withdraw", "C-A", *WHY, *AS_OF)
    (withdrawn,) = refused(certjobs, database, ("certs", "renew", "C-A", "--expires", in_days(90), *WHY))
    assert "--undo" in withdrawn.stderr
    done(certjobs, "certs", "withdraw", "C-A", "--undo", *WHY)
    done(certjobs, "certs", "renew", "C-A", "--expires", in_days(90), *WHY)
    assert database.one(EXPIRY, "A") == TODAY + timedelta(days=90)


@pytest.mark.usefixtures("roster")
def test_two_mentors_cannot_share_a_reference(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reference that another mentor's certification has is refused, however it is spaced, and the hint helps."""
    days = ("--issued", in_days(10 - 730), "--expires", in_days(10), *WHY)
    other = [("certs", "add", "N", "--ref", ref, *days) for ref in ("C-A", " C-A ")]
    for result in refused(certjobs, database, *other):
        assert "--ref" in result.stderr
    unchanged(certjobs, database, "certs", "add", "A", "--ref", " C-A ", *days, exit_code=0)


@pytest.mark.usefixtures("roster")
def test_a_renewal_does_not_reinstate_and_says_what_does(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a renewal the mentor stays paused, is listed as ready, and the printed command makes them active."""
    night(certjobs, database)
    assert refs(certjobs, "mentors", "list", "--ready", *AS_OF) == []
    added = ("--ref", "C-B-2", "--issued", in_days(0), "--expires", in_days(700), *WHY, *AS_OF)
    assert "certjobs mentors reinstate B" in certjobs("certs", "add", "B", *added, "--dry-run").stdout
    document = done(certjobs, "certs", "renew", "C-B", "--expires", in_days(0), *WHY, *AS_OF)
    assert "certjobs mentors reinstate B" in document["note"]
    assert database.one(STATUS, "B") == "expired_cert"
    assert refs(certjobs, "mentors", "list", "--ready", *AS_OF) == ["B"]
    night(certjobs, database)
    assert database.one(STATUS, "B") == "expired_cert"
    command = document["note"].split("certjobs ")[1].replace("TEXT", "renewed").split()
    assert done(certjobs, *command, *AS_OF)["status"] == "active"
    assert refs(certjobs, "mentors", "list", "--ready", *AS_OF) == []
    night(certjobs, database)
    assert database.one(STATUS, "B") == "active"


@pytest.mark.usefixtures("roster")
def test_withdrawing_the_only_certification(certjobs: Certjobs, database: TestDatabase) -> None:
    """It ends the mentor's validity the day before, says that the next expiry-check pauses, and that one does."""
    document = done(certjobs, "certs", "withdraw", "C-A", *WHY, *AS_OF)
    assert (document["withdrawn_on"], document["ends_on"]) == (in_days(0), in_days(-1))
    assert "expiry-check pauses" in document["note"]
    assert database.one(EXPIRY, "A") == TODAY - timedelta(days=1)
    assert database.one(STATUS, "A") == "active"
    night(certjobs, database)
    assert database.one(STATUS, "A") == "expired_cert"


@pytest.mark.usefixtures("roster")
def test_withdrawing_that_pauses_nobody(certjobs: Certjobs, database: TestDatabase) -> None:
    """No pause is announced where another certification counts, where auto_pause is off, or for a day to come."""
    done(certjobs, *ADD, *WHY)
    assert done(certjobs, "certs", "withdraw", "C-A-2", *WHY, *AS_OF)["note"].startswith("Change it where")
    assert database.one(EXPIRY, "A") == TODAY + timedelta(days=10)
    assert done(certjobs, "certs", "withdraw", "C-A", "--on", in_days(3), *WHY, *AS_OF)["note"].startswith(
        "Change it where"
    )
    assert database.one(EXPIRY, "A") == TODAY + timedelta(days=2)
    done(certjobs, "certs", "withdraw", "C-A", "--undo", *WHY, *AS_OF)
    done(certjobs, "certs", "withdraw", "C-A", "--on", in_days(60), *WHY, *AS_OF)
    assert database.one(EXPIRY, "A") == TODAY + timedelta(days=10)
    note = done(certjobs, "certs", "withdraw", "C-O", *WHY, *AS_OF)["note"]
    assert "auto_pause" in note
    assert "expiry-check pauses" not in note
    night(certjobs, database)
    assert [database.one(STATUS, ref) for ref in "AO"] == ["active", "active"]


@pytest.mark.usefixtures("roster")
def test_withdrawing_today_what_was_to_end_later(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where a withdrawal from a later day stands, withdrawing from today on must not say that it was so already."""
    done(certjobs, "certs", "withdraw", "C-A", "--on", in_days(9), *WHY, *AS_OF)
    result = certjobs("certs", "withdraw", "C-A", *WHY, *AS_OF, "--json")
    withdrawn = database.one("SELECT withdrawn_on FROM certifications WHERE external_ref = 'C-A'")
    assert result.exit_code == 2 or withdrawn == TODAY, result


# Mentors: whose, and where.


@pytest.mark.usefixtures("roster")
def test_assigning_adds_replaces_and_removes(certjobs: Certjobs, database: TestDatabase) -> None:
    """Coordinators are added by default, replaced with --only, taken away with --remove, in any case of letters."""
    for argv, expected in (
        (("A", "OLA@Example.org"), ["kari@example.org", "ola@example.org"]),
        (("A", "Kari@example.ORG", "kari@example.org", "--only"), ["kari@example.org"]),
        (("A", "ola@example.org", " kari@example.org ", "--only"), ["kari@example.org", "ola@example.org"]),
        (("A", "KARI@EXAMPLE.ORG", "--remove"), ["ola@example.org"]),
        (("A", "ola@example.org", "--remove"), []),
    ):
        assert done(certjobs, "mentors", "assign", *argv, *WHY)["changed"] is True
        assert [address for (address,) in database.all(COORDINATORS, "A")] == expected
        assert unchanged(certjobs, database, "mentors", "assign", *argv, *WHY, exit_code=0).stdout.strip()


@pytest.mark.usefixtures("roster")
def test_a_coordinator_whose_address_the_application_keeps_as_typed(certjobs: Certjobs, database: TestDatabase) -> None:
    """An address that stands in the database in mixed case is found, and no second coordinator can take it."""
    database.execute("UPDATE coordinators SET address = 'Kari@Example.org' WHERE address = 'kari@example.org'")
    done(certjobs, "mentors", "assign", "N", "kari@example.org", *WHY)
    assert database.all(COORDINATORS, "N") == [("Kari@Example.org",)]
    done(certjobs, "coordinators", "set", "kari@EXAMPLE.org", "--language", "nn", *WHY)
    unchanged(certjobs, database, "coordinators", "add", "kari@example.org", "--name", "Another Kari", *WHY)
    unchanged(certjobs, database, "coordinators", "set", "ola@example.org", "--address", "kari@example.org", *WHY)


@pytest.mark.usefixtures("roster")
def test_assigning_says_in_a_sentence_what_is_now(certjobs: Certjobs) -> None:
    """The answer names the mentor and how many coordinators there are, and holds no empty sentence."""
    text = certjobs("mentors", "assign", "A", "ola@example.org", *WHY).stdout
    assert "2 coordinators" in text
    assert "A ." not in text


@pytest.mark.usefixtures("roster")
def test_leaving_a_mentor_with_nobody_is_said(certjobs: Certjobs) -> None:
    """Taking the last coordinator away works and warns where notices go now; the mentor is in that list."""
    document = done(certjobs, "mentors", "assign", "A", "kari@example.org", "--remove", *WHY)
    assert "fallback" in document["note"]
    assert refs(certjobs, "mentors", "list", "--without-coordinator") == ["A", "N"]


@pytest.mark.usefixtures("roster")
def test_a_notice_still_owed_follows(certjobs: Certjobs, database: TestDatabase) -> None:
    """A pause notice that was not sent yet goes to the new coordinator at the next night, not to the former ones."""
    night(certjobs, database)
    done(certjobs, "coordinators", "add", "Per@Example.org", "--name", "Per Eksempel", *WHY)
    done(certjobs, "mentors", "assign", "B", "per@example.org", "--only", *WHY)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["per@example.org"]
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []
    assert database.all("SELECT status, count(*) FROM notifications GROUP BY 1 ORDER BY 1") == [
        ("sent", 1),
        ("suppressed", 2),
    ]


@pytest.mark.usefixtures("roster")
def test_a_notice_still_owed_goes_to_the_fallback_address(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where nobody is left the fallback address is told; a notice that went out already is not sent again."""
    done(certjobs, "orgs", "set", "HLF", "--fallback-address", "office@example.org", *WHY)
    night(certjobs, database)
    done(certjobs, "mentors", "assign", "B", "kari@example.org", "ola@example.org", "--remove", *WHY)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["office@example.org"]
    done(certjobs, "mentors", "assign", "B", "kari@example.org", *WHY)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []


@pytest.mark.usefixtures("roster")
def test_moving_to_another_chapter_and_organisation(certjobs: Certjobs, database: TestDatabase) -> None:
    """A moved mentor keeps status, certifications and coordinators, and obeys the settings of where they are now."""
    document = done(certjobs, "mentors", "move", "B", "--chapter", " Eksempeldal ", "--org", "NHF", *WHY)
    assert (document["organisation"], document["chapter"], document["status"]) == ("NHF", "Eksempeldal", "active")
    assert "orgs list" in document["note"]
    assert database.one(EXPIRY, "B") == TODAY - timedelta(days=1)
    assert len(database.all(COORDINATORS, "B")) == 2
    night(certjobs, database)  # NHF has no auto_pause
    assert database.one(STATUS, "B") == "active"
    done(certjobs, "mentors", "move", "B", "--chapter", "Prøveby", "--org", "HLF", *WHY)
    night(certjobs, database)
    assert database.one(STATUS, "B") == "expired_cert"


@pytest.mark.usefixtures("roster")
def test_a_chapter_that_does_not_exist(certjobs: Certjobs, database: TestDatabase) -> None:
    """It is refused with one that looks like it, made with --create in that organisation alone, and made once."""
    result = unchanged(certjobs, database, "mentors", "move", "A", "--chapter", "Prøveb", *WHY)
    assert "Prøveby" in result.stderr
    for name in ("", "  ", "x" * 201, "A\x1b[2J"):
        unchanged(certjobs, database, "mentors", "move", "A", "--chapter", name, "--create", *WHY)
    for ref in ("A", "N"):
        done(certjobs, "mentors", "move", ref, "--chapter", "Prøveby", "--org", "NHF", "--create", *WHY)
    chapters = "SELECT o.code FROM chapters c JOIN organisations o ON o.id = c.organisation_id WHERE c.name = 'Prøveby'"
    assert sorted(database.all(chapters)) == [("HLF",), ("NHF",)]


# Coordinators.


@pytest.mark.usefixtures("roster")
def test_coordinators_and_how_many_mentors_they_have(certjobs: Certjobs) -> None:
    """The list tells language and number of mentors, narrowed to an organisation or chapter, or to those with none."""
    document = done(certjobs, "coordinators", "add", " Per@Example.org ", "--name", " Per Eksempel ", *WHY)
    added = {"address": "per@example.org", "name": "Per Eksempel", "language": "nb", "mentors": 0}
    assert {name: document[name] for name in added} == added

    def counted(*options: str) -> dict[str, int]:
        found = certjobs("coordinators", "list", *options, "--json").json()
        return {each["address"].split("@")[0]: each["mentors"] for each in found}

    assert counted() == {"kari": 2, "ola": 2, "per": 0}
    assert counted("--org", "HLF") == {"kari": 2, "ola": 1}
    assert counted("--org", "NHF", "--chapter", "eksempeldal") == {"ola": 1}
    assert counted("--without-mentors") == {"per": 0}
    assert counted("--limit", "1") == {"kari": 2}
    assert "Per Eksempel" in certjobs("coordinators", "list").stdout


@pytest.mark.usefixtures("roster")
def test_what_a_coordinator_cannot_be(certjobs: Certjobs, database: TestDatabase) -> None:
    """What is no address, name or language, and an address that is taken, are refused without repeating it."""
    add = ("coordinators", "add")
    change = ("coordinators", "set", "kari@example.org")
    commands: list[tuple[str, ...]] = [
        (*add, "per", "--name", "Per"),
        (*add, "per@example.org, ola@example.org", "--name", "Per"),
        (*add, "", "--name", "Per"),
        (*add, "per@example.org", "--name", " "),
        (*add, "per@example.org", "--name", "P\x1b[2J"),
        (*add, "per@example.org", "--name", "x" * 201),
        (*add, "per@example.org", "--name", "Per", "--language", "de"),
        (*add, "kari@example.org", "--name", "Somebody Else"),
        (*add, "KARI@example.org", "--name", "Kari Eksempel", "--language", "en"),
        (*change, "--language", ""),
        (*change, "--name", ""),
        (*change, "--address", "kari"),
        (*change, "--address", "OLA@example.org"),
    ]
    for result in refused(certjobs, database, *((*argv, *WHY, "--json") for argv in commands)):
        assert result.json()["hint"]
        assert "@" not in result.stderr.replace("name@example.org", "")


@pytest.mark.usefixtures("roster")
def test_a_new_address_gets_what_is_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """A coordinator's new address is where the notices still owed go, once each, under the new name."""
    night(certjobs, database)
    change = ("coordinators", "set", "Kari@example.org", "--address", "Kari.E@example.org", "--name", "Kari Ny", *WHY)
    assert done(certjobs, *change)["address"] == "kari.e@example.org"
    text = night(certjobs, database, env=CONSOLE).stdout
    assert sorted(told(text)) == ["kari.e@example.org", "ola@example.org"]
    assert "To Kari Ny <" in text


# Organisations.


@pytest.mark.usefixtures("roster")
def test_thresholds(certjobs: Certjobs, database: TestDatabase) -> None:
    """A list of days is kept largest first, 0 among them; --no-thresholds takes those of the settings again."""
    query = "SELECT thresholds FROM organisations WHERE code = 'NHF'"
    for text, expected in (("30,14,7", [30, 14, 7]), (" 7, 45 ,14", [45, 14, 7]), ("0", [0]), ("14,0", [14, 0])):
        assert done(certjobs, "orgs", "set", "NHF", "--thresholds", text, *WHY)["thresholds"] == expected
        assert database.one(query) == expected
    wrong = ["", " ", "30,,7", "30,", "-1", "30,-7", "30,30", "30,030", "x", "7.5", "1e1", "٣", "9" * 12, "9" * 5000]
    commands = [("orgs", "set", "NHF", f"--thresholds={text}", "--remind", *WHY) for text in wrong]
    for result in refused(certjobs, database, *commands):
        assert "30,14,7" in result.stderr
    assert done(certjobs, "orgs", "set", "NHF", "--no-thresholds", *WHY)["thresholds"] is None
    assert database.one(query) is None
    unchanged(certjobs, database, "orgs", "set", "NHF", "--no-thresholds", *WHY, exit_code=0)


@pytest.mark.usefixtures("roster")
def test_a_fallback_address_comes_changes_and_goes(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each change of the address is one event, which says that it changed and never what it is."""
    for option, expected in (
        (("--fallback-address", "Office@Example.org"), "office@example.org"),
        (("--fallback-address", "desk@example.org"), "desk@example.org"),
        (("--no-fallback-address",), None),
    ):
        before = events(database)
        assert done(certjobs, "orgs", "set", "HLF", *option, *WHY)["fallback_address"] == expected
        (new,) = [each for each in events(database) if each not in before]
        assert new[0] == "roster_events"
        unchanged(certjobs, database, "orgs", "set", "HLF", *option, *WHY, exit_code=0)
    audit = json.dumps(contents(database)["roster_events"]).lower()
    assert "office@" not in audit
    assert "desk@" not in audit


# Several at once.


@pytest.mark.usefixtures("roster")
def test_two_certifications_at_once(certjobs_process: CertjobsProcess, database: TestDatabase) -> None:
    """Two processes that add a certification to one mentor at the same moment both succeed; the later date wins."""
    processes = []
    with ExitStack() as stack:
        gate = stack.enter_context(database.connect())
        stack.callback(gate.rollback)
        gate.autocommit = False
        gate.execute("SELECT 1 FROM peer_mentors WHERE external_ref = 'N' FOR UPDATE")
        for ref, days in (("late", 900), ("early", 800)):
            argv = ("certs", "add", "N", "--ref", ref, "--issued", in_days(-1), "--expires", in_days(days), *WHY)
            processes.append(certjobs_process.start(*argv, env=PATIENT))
        waiting(database, 2)
    assert [ended(process)[0] for process in processes] == [0, 0]
    assert database.one(EXPIRY, "N") == TODAY + timedelta(days=900)
    assert database.all("SELECT count(*) FROM certifications WHERE external_ref IN ('late', 'early')") == [(2,)]


def test_a_renewal_while_an_import_runs(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase, tmp_path: Path
) -> None:
    """Renewals of mentors that an import is changing wait for it or go first; a deadlock ends none of them."""
    mentors = ("M1", "M2", "M3")
    bring_in(certjobs, *(Mentor(ref, 1) for ref in mentors))
    file = tmp_path / "roster.csv"
    file.write_bytes(
        file_of(Mentor(ref, 100, f"Kari Ny <kari@example.org>|{OLA}", chapter="Nybygd") for ref in mentors)
    )

    def renew(ref: str) -> subprocess.Popen[bytes]:
        return certjobs_process.start("certs", "renew", f"C-{ref}", "--expires", in_days(200), *WHY, env=PATIENT)

    with ExitStack() as stack:
        gate = stack.enter_context(database.connect())
        stack.callback(gate.rollback)
        gate.autocommit = False
        gate.execute("SELECT 1 FROM peer_mentors WHERE external_ref = 'M2' FOR UPDATE")
        processes = [certjobs_process.start("roster", "import", str(file), env=PATIENT)]
        waiting(database, 1)  # it holds M1
        processes += [renew("M1"), renew("M2")]
        waiting(database, 3)
        assert ended(renew("M3"))[0] == 0
    outcomes = [ended(process) for process in processes]
    assert [code for code, _ in outcomes] == [0, 0, 0], outcomes
    first, second, third = (database.one(EXPIRY, ref) for ref in mentors)
    assert first == TODAY + timedelta(days=200)
    assert second in (TODAY + timedelta(days=100), TODAY + timedelta(days=200))
    assert third == TODAY + timedelta(days=100)


TAKEN = {
    "certs add": (
        ("certs", "add", "N", "--ref", "SAME", "--issued", in_days(0), "--expires", in_days(9), *WHY),
        """
        INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)
        SELECT 'SAME', id, '2026-01-01', '2027-01-01' FROM peer_mentors WHERE external_ref = 'A'
        """,
        2,
    ),
    "coordinators add": (
        ("coordinators", "add", "per@example.org", "--name", "Per Eksempel", *WHY),
        "INSERT INTO coordinators (address, name) VALUES ('per@example.org', 'Another Per')",
        2,
    ),
    "mentors move --create": (
        ("mentors", "move", "N", "--chapter", "Nybygd", "--create", *WHY),
        "INSERT INTO chapters (organisation_id, name) SELECT id, 'Nybygd' FROM organisations WHERE code = 'HLF'",
        0,
    ),
}


@pytest.mark.usefixtures("roster")
def test_a_name_taken_at_the_same_moment(certjobs_process: CertjobsProcess, database: TestDatabase) -> None:
    """Where another session takes the name just before, the command answers as it would a moment later, or asks again.

    It does not end as an unexpected error: that exit code is for what nobody understands.
    """
    outcomes = {}
    for name, (argv, statement, _) in TAKEN.items():
        with ExitStack() as stack:
            gate = stack.enter_context(database.connect())
            stack.callback(gate.rollback)
            gate.autocommit = False
            gate.execute(statement)
            process = certjobs_process.start(*argv, env=PATIENT)
            waiting(database, 1)
            gate.commit()
        outcomes[name] = ended(process)
    unexpected = {name: each for name, each in outcomes.items() if each[0] not in (TAKEN[name][2], 69)}
    assert unexpected == {}
