"""expiry-check through the command line: who is paused, who is not, what that leaves behind, and who is told."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from certjobs.adapters.notify.console import ConsoleNotifier
from certjobs.errors import DeliveryFailed, DeliveryRefused
from tests.children.processes import eventually
from tests.roster import KARI, OLA, TODAY, Mentor, file_of, in_days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certjobs.ports import Message
    from tests.conftest import Certjobs, CertjobsProcess, Result, TestDatabase

EVE = TODAY - timedelta(days=1)  # the night before the usual one
CONSOLE = {"CERTJOBS_NOTIFY_CHANNEL": "console"}
EXAMPLES = max(4, settings().max_examples // 10)


def roster(certjobs: Certjobs, *mentors: Mentor) -> None:
    """Import these mentors."""
    result = certjobs("roster", "import", "-", stdin=file_of(mentors))
    assert result.exit_code == 0, result


def night(
    certjobs: Certjobs,
    database: TestDatabase,
    *options: str,
    day: date = TODAY,
    env: Mapping[str, str] | None = None,
    exit_code: int = 0,
) -> Result:
    """Run expiry-check as the job's own role; it must end with this exit code."""
    result = certjobs("expiry-check", "--as-of", day.isoformat(), *options, url=database.job_url, env=env)
    assert result.exit_code == exit_code, result
    return result


def contents(database: TestDatabase) -> dict[str, list[str]]:
    """Return every row of every table but the run log and what the next night is expected to do."""
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND table_type = 'BASE TABLE' AND table_name NOT IN ('scheduler_run_log', 'forecasts')"
        ).fetchall()
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t ORDER BY 1")
        return {
            name: [text for (text,) in connection.execute(query.format(sql.Identifier(name)))] for (name,) in tables
        }


def statuses(database: TestDatabase) -> dict[str, str]:
    """Return every mentor's status, or the reason to be paused."""
    return dict(database.all("SELECT external_ref, coalesce(pause_reason, status) FROM peer_mentors"))


def paused(database: TestDatabase) -> set[str]:
    """Return the mentors whom the job paused."""
    return {ref for ref, status in statuses(database).items() if status == "expired_cert"}


def notices(database: TestDatabase) -> list[tuple[str, str | None, str]]:
    """Return every notice: of which mentor, to which address (None: the fallback), and what became of it."""
    return database.all(
        "SELECT m.external_ref, c.address, n.status FROM notifications n JOIN peer_mentors m ON m.id = n.mentor_id"
        " LEFT JOIN coordinators c ON c.id = n.coordinator_id ORDER BY n.mentor_id, n.pause_ordinal, c.address"
    )


def told(text: str) -> list[str]:
    """Return who got notices on the console, by address, in order."""
    return [line.split("<")[1].split(">")[0] for line in text.splitlines() if line.startswith("To ")]


def rewind(database: TestDatabase) -> None:
    """Undo every night: the roster as it was imported, the same but for who was paused by the job."""
    database.execute(
        "UPDATE peer_mentors SET status = 'active', pause_reason = NULL WHERE pause_reason = 'expired_cert';"
        "DELETE FROM mentor_status_events; DELETE FROM notifications"
    )


def end_the_rest(database: TestDatabase) -> None:
    """Let a notice that rests after a failure be tried again."""
    database.execute("UPDATE notifications SET not_before = clock_timestamp() - interval '1 second'")


# Who is paused.


def test_pauses_the_expired_and_nobody_else(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor whose last valid day was yesterday is paused, one whose last valid day is today is not."""
    roster(certjobs, Mentor("A", -1), Mentor("B", 0))
    document = night(certjobs, database, "--json").json()
    assert document["paused"] == [
        {
            "mentor_ref": "A",
            "organisation": "HLF",
            "chapter": "Prøveby",
            "certification_expiry": in_days(-1),
            "notices": 1,
        }
    ]
    assert statuses(database) == {"A": "expired_cert", "B": "active"}
    events = database.all(
        "SELECT event, from_status, to_status, reason, actor, effective_on, certification_expiry, run_id::text"
        " FROM mentor_status_events"
    )
    assert events == [
        ("expired_cert", "active", "paused", "expired_cert", "test", TODAY, EVE, document["run_id"]),
    ]
    assert notices(database) == [("A", "kari@example.org", "pending")]


def test_again_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a run that exited 0 the same run exits 0, changes no row, tells nobody, and says that nothing was due."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -9, f"{KARI}|{OLA}"), Mentor("C", 5))
    first = night(certjobs, database, env=CONSOLE)
    assert len(told(first.stdout)) == 3
    before = contents(database)
    again = night(certjobs, database, "--json", env=CONSOLE)
    assert contents(database) == before
    assert told(again.stdout + again.stderr) == []
    assert again.json()["counts"]["expired"] == 0
    assert again.json()["paused"] == []


def test_a_dry_run_is_the_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run reports what the run then does, tells nobody, and leaves every table as it was, the run log too."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -2, ""), Mentor("C", None))
    before = contents(database)
    dry = night(certjobs, database, "--json", "--dry-run", env=CONSOLE, exit_code=3)
    assert told(dry.stdout + dry.stderr) == []
    assert contents(database) == before
    assert database.one("SELECT count(*) FROM scheduler_run_log") == 0
    live = night(certjobs, database, "--json", env=CONSOLE, exit_code=3).json()
    for name in ("counts", "organisations", "paused", "message"):
        assert dry.json()[name] == live[name]


def test_several_certifications(certjobs: Certjobs, database: TestDatabase) -> None:
    """The latest end counts, in whatever order and state the certifications are."""
    roster(
        certjobs,
        Mentor("A", -300, certificate="A1"),
        Mentor("A", -1, certificate="A2"),
        Mentor("B", 10, certificate="B1"),
        Mentor("B", -1, certificate="B2"),
        Mentor("C", 300, certificate="C1", withdrawn=-5),
        Mentor("C", -2, certificate="C2"),
        Mentor("D", 300, certificate="D1", withdrawn=-5),
        Mentor("D", 0, certificate="D2"),
    )
    night(certjobs, database)
    assert paused(database) == {"A", "C"}
    assert database.all("SELECT certification_expiry FROM notifications ORDER BY 1") == [
        (TODAY - timedelta(days=2),),
        (TODAY - timedelta(days=1),),
    ]


def test_a_withdrawn_certification(certjobs: Certjobs, database: TestDatabase) -> None:
    """One withdrawn today ended yesterday: paused; one withdrawn tomorrow is valid today, and tomorrow it is not."""
    roster(certjobs, Mentor("A", 300, withdrawn=-1), Mentor("B", 300, withdrawn=0), Mentor("C", -1, withdrawn=300))
    night(certjobs, database, day=EVE)
    assert paused(database) == {"A"}
    night(certjobs, database)
    assert paused(database) == {"A", "B", "C"}


def test_the_29th_of_february(certjobs: Certjobs, database: TestDatabase) -> None:
    """A certification that ends on 29 February is valid that day and over on 1 March."""
    roster(certjobs, Mentor("A", (date(2024, 2, 29) - TODAY).days), Mentor("B", (date(2024, 2, 28) - TODAY).days))
    night(certjobs, database, day=date(2024, 2, 28))
    assert paused(database) == set()
    night(certjobs, database, day=date(2024, 2, 29))
    assert paused(database) == {"B"}
    night(certjobs, database, day=date(2024, 3, 1))
    assert paused(database) == {"A", "B"}


def test_renewed_after_the_pause_stays_paused(certjobs: Certjobs, database: TestDatabase) -> None:
    """A renewal alone changes no status, on that night and the next."""
    roster(certjobs, Mentor("A", -2))
    night(certjobs, database, day=EVE)
    roster(certjobs, Mentor("A", 365, certificate="renewed"))
    before = contents(database)
    night(certjobs, database)
    assert contents(database) == before
    assert paused(database) == {"A"}


def test_already_paused_is_left_alone(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor whom a person paused keeps status and reason, is not counted as expired, and nobody is told."""
    roster(certjobs, Mentor("A", -1))
    certjobs("mentors", "pause", "A", "--reason", "on leave")
    before = contents(database)
    assert night(certjobs, database, "--json").json()["counts"]["expired"] == 0
    assert contents(database) == before


def test_never_certified_is_counted_and_not_paused(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor who never had a certification is not expired; the run counts the active ones."""
    roster(certjobs, Mentor("A", None), Mentor("B", None), Mentor("C", 5), Mentor("D", None))
    certjobs("mentors", "pause", "D", "--reason", "on leave")
    document = night(certjobs, database, "--json").json()
    assert document["counts"]["never_certified"] == 2
    assert document["organisations"][0]["never_certified"] == 2
    assert paused(database) == set()
    assert database.one("SELECT counts ->> 'never_certified' FROM scheduler_run_log") == "2"


# Organisations.


def test_auto_pause_off_touches_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation without auto_pause is not touched; once it is switched on, its expired mentors are paused."""
    roster(certjobs, Mentor("A", -1, organisation="NHF"), Mentor("B", 5))
    before = contents(database)
    document = night(certjobs, database, "--json").json()
    assert contents(database) == before
    assert [each["organisation"] for each in document["organisations"]] == ["HLF"]
    night(certjobs, database, "--org", "NHF")
    assert contents(database) == before
    certjobs("orgs", "set", "NHF", "--reason", "a test", "--auto-pause")
    night(certjobs, database)
    assert paused(database) == {"A"}


def test_one_organisation_only(certjobs: Certjobs, database: TestDatabase) -> None:
    """--org pauses in that organisation and no other, and tells of its mentors alone."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -1, OLA, organisation="NHF"), Mentor("C", -2))
    certjobs("orgs", "set", "NHF", "--reason", "a test", "--auto-pause")
    night(certjobs, database, "--org", "HLF", day=EVE)
    assert paused(database) == {"C"}
    assert told(night(certjobs, database, "--org", "NHF", env=CONSOLE).stdout) == ["ola@example.org"]
    assert paused(database) == {"B", "C"}
    assert told(night(certjobs, database, "--org", "HLF", env=CONSOLE).stdout) == ["kari@example.org"] * 2
    assert paused(database) == {"A", "B", "C"}


def test_an_unknown_organisation(certjobs: Certjobs, database: TestDatabase) -> None:
    """--org with a code that no organisation has is wrong usage: it names those there are and leaves a failed row."""
    roster(certjobs, Mentor("A", -1))
    before = contents(database)
    result = night(certjobs, database, "--org", "hlf", exit_code=2)
    assert "HLF" in result.stdout + result.stderr
    assert contents(database) == before
    assert database.all("SELECT status, exit_code FROM scheduler_run_log") == [("failed", 2)]


# Batches.


def test_the_batch_size_makes_no_difference(certjobs: Certjobs, database: TestDatabase) -> None:
    """One mentor a transaction, two, or all: the same mentors in the same order, the same events and notices."""
    roster(certjobs, *(Mentor(f"M{n}", -1 - n // 2, (KARI, "", f"{KARI}|{OLA}")[n % 3]) for n in range(7)))
    found = []
    for size in ("1", "2", "500"):
        rewind(database)
        document = night(certjobs, database, "--json", "--batch-size", size).json()
        events = database.all("SELECT mentor_id, event, effective_on FROM mentor_status_events ORDER BY mentor_id")
        found.append((document["paused"], document["counts"], statuses(database), notices(database), events))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) == 7
    for wrong in ("0", "-1", "10001", "many"):
        night(certjobs, database, "--batch-size", wrong, exit_code=2)


@pytest.mark.parametrize(
    "trigger",
    [
        "UPDATE ON peer_mentors FOR EACH ROW WHEN (NEW.external_ref = 'M3')",
        "INSERT ON notifications FOR EACH ROW WHEN (NEW.certification_expiry = '2026-11-18')",
    ],
    ids=["status", "notice"],
)
def test_one_bad_mentor_stops_nobody_else(certjobs: Certjobs, database: TestDatabase, trigger: str) -> None:
    """A mentor whom the database will not pause, or not owe a notice, is named and as before; the others are paused."""
    roster(certjobs, *(Mentor(f"M{n}", -1 - n) for n in range(7)))
    database.execute("CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'Mentor M3'; END $$")
    database.execute(f"CREATE TRIGGER bad BEFORE {trigger} EXECUTE FUNCTION bad()")
    before = database.all("SELECT * FROM peer_mentors WHERE external_ref = 'M3'")
    result = night(certjobs, database, "--json", exit_code=3)
    document = result.json()
    assert document["failed"] == ["M3"]
    assert (document["counts"]["paused"], document["counts"]["failed"]) == (6, 1)
    assert "Mentor M3" not in result.stderr + result.stdout
    assert paused(database) == {"M0", "M1", "M2", "M4", "M5", "M6"}
    assert database.all("SELECT * FROM peer_mentors WHERE external_ref = 'M3'") == before
    assert "M3" not in [ref for ref, _, _ in notices(database)]
    assert database.one("SELECT count(*) FROM mentor_status_events") == 6
    assert "M3" in night(certjobs, database, exit_code=3).stdout
    database.execute("DROP FUNCTION bad CASCADE")
    night(certjobs, database)
    assert len(paused(database)) == 7


# Missed nights, as a property.


@dataclass(frozen=True)
class Case:
    """A mentor of a random roster: certifications as (expires, withdrawn), in days from TODAY."""

    organisation: str
    certifications: Sequence[tuple[int, int | None]]
    coordinators: frozenset[str]
    on_leave: bool

    def end(self) -> int | None:
        """Return the latest end of the certifications (DESIGN section 2), in days from TODAY."""
        return max((min(e, e if w is None else w - 1) for e, w in self.certifications), default=None)

    def due(self) -> bool:
        """Tell whether the mentor must be paused by TODAY (rule 1)."""
        end = self.end()
        return self.organisation == "HLF" and not self.on_leave and end is not None and end < 0

    def rows(self, ref: str) -> list[Mentor]:
        """Return the rows of the roster file."""
        coordinators = "|".join(sorted(self.coordinators))
        return [
            Mentor(ref, e, coordinators, self.organisation, certificate=f"{ref}/{n}", withdrawn=w)
            for n, (e, w) in enumerate(self.certifications)
        ] or [Mentor(ref, None, coordinators, self.organisation)]


cases = st.builds(
    Case,
    st.sampled_from(["HLF", "HLF", "HLF", "NHF"]),
    st.lists(st.tuples(st.integers(-5, 2), st.none() | st.integers(-5, 2)), max_size=3),
    st.frozensets(st.sampled_from([KARI, OLA])),
    st.sampled_from([False, False, False, True]),
)


def test_who_changes_in_the_very_moment_is_looked_at_again(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor found, and not paused because somebody changed them at that instant, is looked at again in that run."""
    roster(certjobs, *(Mentor(ref, -1) for ref in "ABC"))
    database.execute(
        "CREATE SEQUENCE touched; GRANT USAGE ON SEQUENCE touched TO certjobs_job;"
        "CREATE FUNCTION miss() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.external_ref = 'B' AND nextval('touched') = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER aaa_miss BEFORE UPDATE ON peer_mentors FOR EACH ROW EXECUTE FUNCTION miss()"
    )
    assert night(certjobs, database, "--json").json()["counts"]["paused"] == 3


def test_whom_others_hold_is_left_for_last(certjobs: Certjobs, database: TestDatabase) -> None:
    """Mentors in another session's hands keep nobody else from being paused, and the night waits for them only once."""
    roster(certjobs, *(Mentor(f"M{number:02}") for number in range(12)))
    with psycopg.connect(database.url) as holder:
        holder.execute("SELECT 1 FROM peer_mentors WHERE external_ref BETWEEN 'M03' AND 'M08' FOR NO KEY UPDATE")
        began = time.monotonic()
        impatient = {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "0.5"}
        result = night(certjobs, database, "--json", "--batch-size", "4", env=impatient, exit_code=3)
        took = time.monotonic() - began
    counts = result.json()["counts"]
    assert (counts["paused"], counts["failed"], counts["open"]) == (6, 6, 0)
    assert result.json()["failed"] == [f"M{number:02}" for number in range(3, 9)]
    assert took < 3, "a lock time-out for each of them would take longer"
    assert night(certjobs, database, "--json").json()["counts"]["paused"] == 6
    assert database.one("SELECT count(*) FROM notifications") == 12


def test_whom_others_let_go_in_time_is_paused(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase
) -> None:
    """A mentor whom another session held while the night came by is paused, or not, as that session left them."""
    roster(certjobs, Mentor("A"), Mentor("B"), Mentor("C"))
    with psycopg.connect(database.url) as holder:
        holder.execute("UPDATE certifications SET expires_on = %s WHERE external_ref = 'C-B'", [TODAY])
        holder.execute("SELECT 1 FROM peer_mentors WHERE external_ref = 'C' FOR NO KEY UPDATE")
        process = certjobs_process.start(
            "expiry-check", "--as-of", TODAY.isoformat(), "--json", env={"CERTJOBS_LOCK_TIMEOUT_SECONDS": "60"}
        )
        eventually(database, "SELECT count(*) = 1 FROM peer_mentors WHERE status = 'paused'")
        holder.commit()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert paused(database) == {"A", "C"}


@settings(max_examples=EXAMPLES)
@given(
    people=st.lists(cases, min_size=1, max_size=12),
    missed=st.sets(st.sampled_from([TODAY - timedelta(days=n) for n in (1, 2)]), min_size=1),
)
def test_missed_nights_cost_nothing(
    certjobs: Certjobs, database: TestDatabase, people: list[Case], missed: set[date]
) -> None:
    """Whatever nights are missed, statuses and notices end as if none were, as the rules say; and again is nothing."""
    rewind(database)
    for table in ("coordinator_assignments", "certifications", "peer_mentors", "coordinators"):
        database.execute(f"DELETE FROM {table}")
    mentors = {f"M{n}": each for n, each in enumerate(people)}
    roster(certjobs, *(row for ref, each in mentors.items() for row in each.rows(ref)))
    on_leave = [ref for ref, each in mentors.items() if each.on_leave]
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = ANY (%s)", on_leave)
    nights = [TODAY - timedelta(days=n) for n in (2, 1, 0)]
    found = []
    for chosen in (nights, [day for day in nights if day not in missed]):
        rewind(database)
        for day in chosen:
            night(certjobs, database, day=day)
        owed = database.all(
            "SELECT m.external_ref, n.certification_expiry, n.pause_ordinal, c.name || ' <' || c.address || '>',"
            " n.status, n.idempotency_key FROM notifications n JOIN peer_mentors m ON m.id = n.mentor_id"
            " LEFT JOIN coordinators c ON c.id = n.coordinator_id"
        )
        found.append((statuses(database), sorted(owed, key=repr)))
    assert found[0] == found[1]
    expected = {
        (ref, TODAY + timedelta(days=each.end() or 0), 1, to, "pending")
        for ref, each in mentors.items()
        if each.due()
        for to in (each.coordinators or {None})
    }
    assert {owed[:5] for owed in found[0][1]} == expected
    assert len(found[0][1]) == len(expected)
    assert paused(database) == {ref for ref, each in mentors.items() if each.due()}
    before = contents(database)
    night(certjobs, database)
    assert contents(database) == before


# Which day it is.


@pytest.mark.parametrize(
    ("last_day", "hour"), [(date(2026, 7, 1), 22), (date(2026, 1, 15), 23)], ids=["summer", "winter"]
)
def test_both_sides_of_midnight_in_oslo(certjobs: Certjobs, database: TestDatabase, last_day: date, hour: int) -> None:
    """Today is the date in Oslo: a minute before its midnight nobody is paused, half an hour after it A is."""
    roster(certjobs, Mentor("A", (last_day - TODAY).days))
    before = datetime(last_day.year, last_day.month, last_day.day, hour - 1, 59, tzinfo=UTC)
    for moment, expected in ((before, set()), (before + timedelta(minutes=31), {"A"})):
        with time_machine.travel(moment, tick=True):
            result = certjobs("expiry-check", "--json", url=database.job_url)
        assert result.exit_code == 0, result
        assert paused(database) == expected
        today = last_day + timedelta(days=len(expected))
        assert result.json()["organisations"][0]["today"] == today.isoformat()
    assert database.one("SELECT effective_on FROM mentor_status_events") == last_day + timedelta(days=1)


def test_each_organisation_has_its_own_midnight(certjobs: Certjobs, database: TestDatabase) -> None:
    """At one moment it is already tomorrow in Oslo and still today in New York; later it is tomorrow there too."""
    last = (date(2026, 7, 1) - TODAY).days
    roster(certjobs, Mentor("A", last), Mentor("B", last, organisation="NHF"))
    certjobs("orgs", "set", "NHF", "--reason", "a test", "--auto-pause", "--time-zone", "America/New_York")
    for moment, expected in (
        (datetime(2026, 7, 1, 22, 30, tzinfo=UTC), {"A"}),
        (datetime(2026, 7, 2, 3, 59, tzinfo=UTC), {"A"}),
        (datetime(2026, 7, 2, 4, 1, tzinfo=UTC), {"A", "B"}),
    ):
        with time_machine.travel(moment, tick=True):
            assert certjobs("expiry-check", url=database.job_url).exit_code == 0
        assert paused(database) == expected


def test_a_day_to_come(certjobs: Certjobs, database: TestDatabase) -> None:
    """--as-of tomorrow is refused until tomorrow has begun in Oslo; a dry-run may look ahead any day."""
    roster(certjobs, Mentor("A", (date(2026, 7, 1) - TODAY).days))
    tomorrow = date(2026, 7, 2)
    before = contents(database)
    with time_machine.travel(datetime(2026, 7, 1, 21, 58, tzinfo=UTC), tick=True):
        assert "future" in night(certjobs, database, day=tomorrow, exit_code=2).stdout
        ahead = night(certjobs, database, "--dry-run", "--json", day=tomorrow)
    assert [each["mentor_ref"] for each in ahead.json()["paused"]] == ["A"]
    assert contents(database) == before
    with time_machine.travel(datetime(2026, 7, 1, 22, 1, tzinfo=UTC), tick=True):
        night(certjobs, database, day=tomorrow)
    assert paused(database) == {"A"}


# Who is told.


def test_the_console_tells_on_stdout(certjobs: Certjobs, database: TestDatabase) -> None:
    """With the console channel a notice is one line on stdout that says to whom, of whom and since when; sent once."""
    roster(certjobs, Mentor("A", -1))
    result = night(certjobs, database, env=CONSOLE)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("To ")]
    for part in (KARI, "Mentor A", "(A, HLF Prøveby)", in_days(-1)):
        assert part in line
    assert "kari@" not in result.stderr
    ((status, attempt, message_id, sent),) = database.all(
        "SELECT status, attempt, message_id, sent_at IS NOT NULL FROM notifications"
    )
    assert (status, attempt, bool(message_id), sent) == ("sent", 1, True, True)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []


def test_the_console_keeps_off_stdout_with_json(certjobs: Certjobs, database: TestDatabase) -> None:
    """With --json stdout is one document for a program, and the notices are on stderr."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -1, OLA))
    result = night(certjobs, database, "--json", env=CONSOLE)
    assert result.json()["counts"]["notices_sent"] == 2
    assert sorted(told(result.stderr)) == ["kari@example.org", "ola@example.org"]


def test_two_coordinators_are_two_notices(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each coordinator of a mentor gets a notice of their own."""
    roster(certjobs, Mentor("A", -1, f"{KARI}|{OLA}"))
    result = night(certjobs, database, "--json", env=CONSOLE)
    assert (result.json()["counts"]["notices_owed"], result.json()["paused"][0]["notices"]) == (2, 2)
    assert sorted(told(result.stderr)) == ["kari@example.org", "ola@example.org"]
    assert notices(database) == [("A", "kari@example.org", "sent"), ("A", "ola@example.org", "sent")]


def test_without_a_coordinator_the_fallback_is_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor without coordinators is counted, and the notice goes to the organisation's fallback address."""
    certjobs("orgs", "set", "HLF", "--reason", "a test", "--fallback-address", "drift@example.org")
    roster(certjobs, Mentor("A", -1, ""), Mentor("B", -1))
    result = night(certjobs, database, "--json", env=CONSOLE)
    assert result.json()["counts"]["without_coordinator"] == 1
    assert sorted(told(result.stderr)) == ["drift@example.org", "kari@example.org"]
    assert notices(database) == [("A", None, "sent"), ("B", "kari@example.org", "sent")]


def test_without_coordinator_and_fallback_it_stays_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """With nobody to go to a notice stays owed: exit 3 with a channel, 0 with none; sent once there is an address."""
    roster(certjobs, Mentor("A", -1, ""))
    result = night(certjobs, database, "--json")
    assert (result.json()["counts"]["without_coordinator"], result.json()["counts"]["notices_open"]) == (1, 1)
    for _ in range(2):
        result = night(certjobs, database, env=CONSOLE, exit_code=3)
        assert told(result.stdout) == []
        assert "--fallback-address" in result.stdout
        assert notices(database) == [("A", None, "pending")]
    night(certjobs, database)
    certjobs("orgs", "set", "HLF", "--reason", "a test", "--fallback-address", "drift@example.org")
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["drift@example.org"]
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []


def test_without_a_channel_notices_wait(certjobs: Certjobs, database: TestDatabase) -> None:
    """With no channel set notices stay owed, which is no failure, and a later run with one delivers them all."""
    roster(certjobs, Mentor("A", -3), Mentor("B", -2))
    for day in (EVE, TODAY):
        night(certjobs, database, day=day, env={"CERTJOBS_NOTIFY_CHANNEL": "none"})
    assert notices(database) == [("A", "kari@example.org", "pending"), ("B", "kari@example.org", "pending")]
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["kari@example.org"] * 2


# The notifier fails.


def fail_with(errors: Mapping[str, Exception]) -> object:
    """Return a ``send`` that fails for these addresses and prints for everybody else."""
    real = ConsoleNotifier.send

    def send(self: ConsoleNotifier, message: Message) -> str:
        if message.recipient_address in errors:
            raise errors[message.recipient_address]
        return real(self, message)

    return send


def test_a_notifier_that_fails_for_now(certjobs: Certjobs, database: TestDatabase) -> None:
    """Pauses stay and other notices go out (exit 3); a failed one rests, is tried again, and arrives once."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -1, OLA), Mentor("C", -1, "Per <per@example.org>"))
    errors = {
        "kari@example.org": DeliveryFailed("the channel is busy"),
        "ola@example.org": RuntimeError("ola@example.org said no"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConsoleNotifier, "send", fail_with(errors))
        result = night(certjobs, database, env=CONSOLE, exit_code=3)
        assert paused(database) == {"A", "B", "C"}
        assert told(result.stdout) == ["per@example.org"]
        assert "ola@" not in result.stdout + result.stderr
        assert [status for _, _, status in notices(database)] == ["failed", "failed", "sent"]
        failed = "SELECT attempt, not_before > clock_timestamp() FROM notifications WHERE status = 'failed'"
        assert database.all(failed) == [(1, True), (1, True)]
        assert database.one("SELECT count(*) FROM notifications WHERE last_error LIKE %s", "%@%") == 0
        before = contents(database)
        night(certjobs, database, env=CONSOLE, exit_code=3)
        assert contents(database) == before
        end_the_rest(database)
        night(certjobs, database, env=CONSOLE, exit_code=3)
        assert database.all(failed) == [(2, True), (2, True)]
    end_the_rest(database)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["kari@example.org", "ola@example.org"]
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []


def test_a_notifier_that_refuses_for_good(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice refused for good is dead: exit 3 that night with the pause in place, and never tried again."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -1, OLA))
    monkeypatch.setattr(ConsoleNotifier, "send", fail_with({"kari@example.org": DeliveryRefused("unknown")}))
    result = night(certjobs, database, "--json", env=CONSOLE, exit_code=3)
    assert result.json()["counts"]["notices_dead"] == 1
    assert paused(database) == {"A", "B"}
    assert notices(database) == [("A", "kari@example.org", "dead"), ("B", "ola@example.org", "sent")]
    before = contents(database)
    night(certjobs, database, env=CONSOLE)
    assert contents(database) == before


def test_a_console_that_takes_nothing(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase
) -> None:
    """A process whose stdout is full still pauses, exits 3 and says so in the run log; the next run delivers."""
    roster(certjobs, Mentor("A", -1))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            certjobs_process.command("expiry-check", "--as-of", TODAY.isoformat()),
            env=os.environ | certjobs_process.environment(database.job_url, CONSOLE),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert paused(database) == {"A"}
    assert notices(database) == [("A", "kari@example.org", "failed")]
    assert database.all("SELECT status, exit_code FROM scheduler_run_log") == [("partial", 3)]
    assert b"Traceback" not in done.stderr
    assert done.returncode == 3, done.stderr.decode()
    end_the_rest(database)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["kari@example.org"]


# Just before sending, a notice is looked at again (rule 4).


def test_reinstated_before_the_notice_leaves(certjobs: Certjobs, database: TestDatabase) -> None:
    """A pause notice whose mentor is active again is suppressed: nobody is told, and that is no failure."""
    roster(certjobs, Mentor("A", -1), Mentor("B", -1))
    night(certjobs, database)
    roster(certjobs, Mentor("A", 365, certificate="renewed"))
    assert certjobs("mentors", "reinstate", "A", "--reason", "renewed", "--as-of", TODAY.isoformat()).exit_code == 0
    result = night(certjobs, database, env=CONSOLE)
    assert "Mentor A" not in result.stdout
    assert notices(database) == [("A", "kari@example.org", "suppressed"), ("B", "kari@example.org", "sent")]
    before = contents(database)
    night(certjobs, database, env=CONSOLE)
    assert contents(database) == before


def test_renewed_but_still_paused_before_the_notice_leaves(certjobs: Certjobs, database: TestDatabase) -> None:
    """A renewal reinstates nobody, so the coordinator is told of the pause all the same: the mentor is not active."""
    roster(certjobs, Mentor("A", -1))
    night(certjobs, database)
    roster(certjobs, Mentor("A", 365, certificate="renewed"))
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["kari@example.org"]


def test_paused_again_before_the_first_notice_leaves(certjobs: Certjobs, database: TestDatabase) -> None:
    """Two pauses of one expiry that wait together are told once: the first had ended."""
    roster(certjobs, Mentor("A", -2))
    night(certjobs, database, day=EVE)
    argv = ("mentors", "reinstate", "A", "--reason", "renewal on its way", "--force", "--as-of", EVE.isoformat())
    assert certjobs(*argv).exit_code == 0
    assert told(night(certjobs, database, env=CONSOLE).stdout) == ["kari@example.org"]
    assert database.all("SELECT pause_ordinal, status FROM notifications ORDER BY 1") == [
        (1, "suppressed"),
        (2, "sent"),
    ]


def test_recipients_are_those_of_the_moment(certjobs: Certjobs, database: TestDatabase) -> None:
    """The coordinators at the time of sending are told, each once; a former one is not; with none the fallback is."""
    kari, ola, fallback = "kari@example.org", "ola@example.org", "drift@example.org"
    certjobs("orgs", "set", "HLF", "--reason", "a test", "--fallback-address", fallback)
    changes = {
        "replaced": (KARI, OLA, [ola]),
        "joined": (KARI, f"{KARI}|{OLA}", [kari, ola]),
        "left": (f"{KARI}|{OLA}", KARI, [kari]),
        "none left": (KARI, "", [fallback]),
        "found": ("", KARI, [kari]),
    }
    roster(certjobs, *(Mentor(ref, -1, first) for ref, (first, _, _) in changes.items()))
    night(certjobs, database)
    roster(certjobs, *(Mentor(ref, -1, then) for ref, (_, then, _) in changes.items()))
    lines = night(certjobs, database, env=CONSOLE).stdout.splitlines()
    for ref, (_, _, addressees) in changes.items():
        assert sorted(told("\n".join(line for line in lines if f"({ref}, HLF" in line))) == addressees, ref
    found = notices(database)
    assert {status for _, _, status in found} == {"sent", "suppressed"}
    assert sum(status == "sent" for _, _, status in found) == 6
    before = contents(database)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []
    assert contents(database) == before
