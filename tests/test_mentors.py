"""What administrators do by hand, through the command line: mentors, approvals, organisations' settings."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from psycopg import sql

from tests.roster import KARI, TODAY, Mentor, file_of, in_days

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Certjobs, Result, TestDatabase

EVE = TODAY - timedelta(days=1)
EVENTS = """
    SELECT m.external_ref, e.event, e.from_status, e.to_status, e.reason, e.actor, e.effective_on,
           e.certification_expiry
      FROM mentor_status_events e JOIN peer_mentors m ON m.id = e.mentor_id
     ORDER BY e.id
"""
STATES = "SELECT external_ref, status, pause_reason FROM peer_mentors ORDER BY external_ref"


@pytest.fixture(autouse=True)
def _roster(certjobs: Certjobs) -> None:
    """Give every test a mentor who is valid, one whose certification ended yesterday, and one who never had any."""
    mentors = [
        Mentor("VALID", 0),
        Mentor("EXPIRED", -1),
        Mentor("NEVER", None),
        Mentor("OTHER", 90, organisation="NHF"),
    ]
    assert certjobs("roster", "import", "-", stdin=file_of(mentors)).exit_code == 0


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


def done(certjobs: Certjobs, *argv: str) -> dict[str, Any]:
    """Run a command that must succeed, and return its document."""
    result = certjobs(*argv, "--json")
    assert result.exit_code == 0, (argv, result)
    document: dict[str, Any] = result.json()
    return document


def night(certjobs: Certjobs, database: TestDatabase, day: date = TODAY) -> None:
    """Run expiry-check as the job's own role; it must succeed."""
    result = certjobs("expiry-check", "--as-of", day.isoformat(), url=database.job_url)
    assert result.exit_code == 0, result


AS_OF = ("--as-of", TODAY.isoformat())

# Pausing.


def test_pause_writes_down_who_why_and_when(certjobs: Certjobs, database: TestDatabase) -> None:
    """A pause by hand is one event with actor, reason on one line, and the day given; it owes no notice."""
    document = done(
        certjobs, "mentors", "pause", "VALID", "--reason", " on leave\n until spring ", "--as-of", in_days(-3)
    )
    assert document == {
        "mentor_ref": "VALID",
        "organisation": "HLF",
        "chapter": "Prøveby",
        "status": "paused",
        "pause_reason": "on leave until spring",
        "certification_expiry": TODAY.isoformat(),
        "changed": True,
        "note": None,
        "dry_run": False,
    }
    day = TODAY - timedelta(days=3)
    assert database.all(EVENTS) == [
        ("VALID", "paused", "active", "paused", "on leave until spring", "test", day, TODAY)
    ]
    assert ("VALID", "paused", "on leave until spring") in database.all(STATES)
    assert database.one("SELECT count(*) FROM notifications") == 0


def test_without_a_day_the_organisations_own_counts(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without --as-of an event takes effect on today's date in the organisation's time zone."""
    certjobs("orgs", "set", "NHF", "--reason", "a test", "--time-zone", "Pacific/Kiritimati")
    now = "SELECT (clock_timestamp() AT TIME ZONE 'Pacific/Kiritimati')::date"
    before = database.one(now)
    done(certjobs, "mentors", "pause", "OTHER", "--reason", "moved")
    assert before <= database.one("SELECT effective_on FROM mentor_status_events") <= database.one(now)


def test_the_actor_is_a_setting(certjobs: Certjobs, database: TestDatabase) -> None:
    """CERTJOBS_ACTOR is who the audit names."""
    certjobs("mentors", "pause", "VALID", "--reason", "on leave", env={"CERTJOBS_ACTOR": "drift"})
    assert database.one("SELECT actor FROM mentor_status_events") == "drift"


def test_pausing_the_paused_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor who is paused already, by hand or by the job, keeps the first reason and gets no second event."""
    night(certjobs, database)
    done(certjobs, "mentors", "pause", "VALID", "--reason", "on leave")
    for ref, first in (("VALID", "on leave"), ("EXPIRED", "expired_cert")):
        argv = ("mentors", "pause", ref, "--reason", "another", "--json")
        document = unchanged(certjobs, database, *argv, exit_code=0).json()
        assert (document["changed"], document["pause_reason"]) == (False, first)
        assert first in document["note"]
        assert first in certjobs(*argv[:-1]).stdout


def test_the_jobs_own_reason_is_reserved(certjobs: Certjobs, database: TestDatabase) -> None:
    """Nobody can pause by hand in the job's name: the audit would say that the job did it."""
    for reason in ("expired_cert", " expired_cert\n"):
        assert "expired_cert" in unchanged(certjobs, database, "mentors", "pause", "VALID", "--reason", reason).stderr


def test_the_night_leaves_the_paused_alone(certjobs: Certjobs, database: TestDatabase) -> None:
    """An expired mentor whom a person paused keeps that reason, and nobody is told."""
    done(certjobs, "mentors", "pause", "EXPIRED", "--reason", "on leave")
    before = contents(database, "scheduler_run_log", "forecasts")
    night(certjobs, database)
    assert contents(database, "scheduler_run_log", "forecasts") == before


# Reinstating.


def test_reinstate_with_a_valid_certification(certjobs: Certjobs, database: TestDatabase) -> None:
    """On the last valid day a mentor can be reinstated, with one event; the reason to be paused is gone."""
    done(certjobs, "mentors", "pause", "VALID", "--reason", "on leave", *AS_OF)
    document = done(certjobs, "mentors", "reinstate", "VALID", "--reason", "back again", *AS_OF)
    assert (document["status"], document["changed"], document["note"]) == ("active", True, None)
    assert ("VALID", "active", None) in database.all(STATES)
    assert database.all(EVENTS)[1:] == [
        ("VALID", "reinstated", "paused", "active", "back again", "test", TODAY, TODAY),
    ]


def test_reinstate_without_a_valid_certification_is_refused(certjobs: Certjobs, database: TestDatabase) -> None:
    """The day after the last valid one it takes --force, and so it does where there never was a certification."""
    night(certjobs, database)
    done(certjobs, "mentors", "pause", "NEVER", "--reason", "on leave")
    for ref, why in (("EXPIRED", in_days(-1)), ("NEVER", "never")):
        result = unchanged(certjobs, database, "mentors", "reinstate", ref, "--reason", "back", *AS_OF)
        assert why in result.stderr
        assert "--force" in result.stderr


def test_reinstate_by_force(certjobs: Certjobs, database: TestDatabase) -> None:
    """--force reinstates without a valid certification, and says that the next night pauses again."""
    night(certjobs, database)
    document = done(certjobs, "mentors", "reinstate", "EXPIRED", "--reason", "renewal on its way", "--force", *AS_OF)
    assert (document["status"], document["changed"]) == ("active", True)
    assert "expiry-check pauses this mentor again" in document["note"]
    assert ("EXPIRED", "active", None) in database.all(STATES)
    assert database.all(EVENTS)[-1][1:5] == ("reinstated", "paused", "active", "renewal on its way")


def test_reinstate_the_never_certified_by_force(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor who never had a certification stays active after --force: the night pauses only what has expired."""
    done(certjobs, "mentors", "pause", "NEVER", "--reason", "on leave")
    assert done(certjobs, "mentors", "reinstate", "NEVER", "--reason", "back", "--force")["note"] is None
    night(certjobs, database)
    assert ("NEVER", "active", None) in database.all(STATES)


def test_reinstating_the_active_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """An active mentor stays active without an event, whatever the certification and --force."""
    for ref in ("VALID", "EXPIRED", "NEVER"):
        for force in ((), ("--force",)):
            argv = ("mentors", "reinstate", ref, "--reason", "back", "--json", *force)
            document = unchanged(certjobs, database, *argv, exit_code=0).json()
            assert (document["changed"], document["status"]) == (False, "active")


def test_a_renewal_reinstates_nobody(certjobs: Certjobs, database: TestDatabase) -> None:
    """A renewal leaves a paused mentor paused, that night and the next; then a person may reinstate without --force."""
    night(certjobs, database, EVE + timedelta(days=1))
    certjobs("roster", "import", "-", stdin=file_of([Mentor("EXPIRED", 365, certificate="renewed")]))
    assert ("EXPIRED", "paused", "expired_cert") in database.all(STATES)
    night(certjobs, database)
    assert ("EXPIRED", "paused", "expired_cert") in database.all(STATES)
    assert done(certjobs, "mentors", "reinstate", "EXPIRED", "--reason", "renewed", *AS_OF)["changed"] is True
    night(certjobs, database)
    assert ("EXPIRED", "active", None) in database.all(STATES)


def test_a_forced_reinstatement_lasts_until_the_next_night(certjobs: Certjobs, database: TestDatabase) -> None:
    """The next night pauses again with an event and a notice of its own, the second of that expiry; and only once."""
    certjobs("roster", "import", "-", stdin=file_of([Mentor("EXPIRED", -3)]))
    night(certjobs, database, EVE - timedelta(days=1))
    argv = ("mentors", "reinstate", "EXPIRED", "--reason", "renewal on its way", "--force", "--as-of", in_days(-2))
    done(certjobs, *argv)
    for _ in range(2):
        night(certjobs, database, EVE)
    night(certjobs, database)
    assert [event[1] for event in database.all(EVENTS)] == ["expired_cert", "reinstated", "expired_cert"]
    notices = database.all("SELECT pause_ordinal, certification_expiry, idempotency_key FROM notifications ORDER BY 1")
    assert [notice[:2] for notice in notices] == [
        (1, date.fromisoformat(in_days(-3))),
        (2, date.fromisoformat(in_days(-3))),
    ]
    assert notices[0][2] != notices[1][2]
    assert ("EXPIRED", "paused", "expired_cert") in database.all(STATES)


def test_today_is_the_organisations(certjobs: Certjobs, database: TestDatabase) -> None:
    """Whether a certification is valid depends on the date in Oslo: it is over at midnight there, not in UTC."""
    moments = {
        "SUMMER-1": (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), 0),
        "SUMMER-2": (datetime(2026, 7, 1, 22, 1, tzinfo=UTC), 2),
        "WINTER-1": (datetime(2026, 1, 15, 22, 59, tzinfo=UTC), 0),
        "WINTER-2": (datetime(2026, 1, 15, 23, 1, tzinfo=UTC), 2),
    }
    rows = [Mentor(ref, (moment.date() - TODAY).days) for ref, (moment, _) in moments.items()]
    certjobs("roster", "import", "-", stdin=file_of(rows))
    database.execute("UPDATE peer_mentors SET status = 'paused'")
    for ref, (moment, exit_code) in moments.items():
        with time_machine.travel(moment, tick=True):
            assert certjobs("mentors", "reinstate", ref, "--reason", "back").exit_code == exit_code, ref


# What both refuse, and what they write.


def test_an_unknown_mentor(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reference that no mentor has is wrong usage, whatever it looks like."""
    for ref in ("NOBODY", "valid", "VALID ", "%", "'; DROP TABLE peer_mentors --", "", "æ" * 3000):
        unchanged(certjobs, database, "mentors", "pause", ref, "--reason", "x", "--json")
    unchanged(certjobs, database, "mentors", "reinstate", "NOBODY", "--reason", "x", "--force")


def test_a_reference_that_is_not_utf8(certjobs: Certjobs, database: TestDatabase) -> None:
    """Bytes of another encoding on the command line name no mentor: exit 2, not an unknown error."""
    ref = b"M\xf8ller".decode("utf-8", "surrogateescape")  # as Python hands on what a terminal sends
    for command in ("pause", "reinstate"):
        unchanged(certjobs, database, "mentors", command, ref, "--reason", "x")


def test_a_reason_is_needed(certjobs: Certjobs, database: TestDatabase) -> None:
    """A missing or empty reason is refused: the audit must say why."""
    night(certjobs, database)
    for command, ref in (("pause", "VALID"), ("reinstate", "EXPIRED")):
        for reason in ((), ("--reason", ""), ("--reason", " \n\t ")):
            assert "reason" in unchanged(certjobs, database, "mentors", command, ref, *reason).stderr


def test_a_day_to_come_is_refused(certjobs: Certjobs, database: TestDatabase) -> None:
    """--as-of in the future needs --dry-run; what is no date is refused as well."""
    done(certjobs, "mentors", "pause", "NEVER", "--reason", "on leave")
    for command, ref in (("pause", "VALID"), ("reinstate", "NEVER")):
        argv = ("mentors", command, ref, "--reason", "x", *(("--force",) if command == "reinstate" else ()))
        assert "future" in unchanged(certjobs, database, *argv, "--as-of", "2999-12-31").stderr
        unchanged(certjobs, database, *argv, "--as-of", "2999-12-31", "--dry-run", exit_code=0)
    for wrong in ("2026-02-30", "22.11.2026", "tomorrow", ""):
        unchanged(certjobs, database, "mentors", "pause", "VALID", "--reason", "x", "--as-of", wrong)


def test_a_day_to_come_on_the_local_database(certjobs_unset: Certjobs) -> None:
    """With --local nothing real can come of it: --as-of in the future is accepted."""
    day = ("--local", "--as-of", "2999-12-31")
    assert certjobs_unset("db", "upgrade", "--local").exit_code == 0
    assert certjobs_unset("roster", "import", "-", *day, stdin=file_of([Mentor("A", 1)])).exit_code == 0
    result = certjobs_unset("mentors", "pause", "A", "--reason", "on leave", *day)
    assert result.exit_code == 0, result


def test_a_dry_run_writes_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run answers as the command would, says that it did nothing, and changes no row."""
    night(certjobs, database)
    for argv, status in (
        (("mentors", "pause", "VALID", "--reason", "on leave"), "paused"),
        (("mentors", "reinstate", "EXPIRED", "--reason", "back", "--force"), "active"),
    ):
        document = unchanged(certjobs, database, *argv, *AS_OF, "--dry-run", "--json", exit_code=0).json()
        assert (document["status"], document["changed"], document["dry_run"]) == (status, True, True)
        text = unchanged(certjobs, database, *argv, *AS_OF, "--dry-run", exit_code=0).stdout
        assert f"would be {status}" in text
        assert f"is now {status}" in certjobs(*argv, *AS_OF).stdout


def test_an_error_as_json(certjobs: Certjobs, database: TestDatabase) -> None:
    """With --json an error is one document on stdout too, with the exit code and what to do."""
    document = unchanged(certjobs, database, "mentors", "pause", "NOBODY", "--reason", "x", "--json").json()
    assert (document["exit_code"], document["status"]) == (2, "failed")
    assert "NOBODY" in document["message"]
    assert document["hint"]


# Approving.


@pytest.fixture
def refused_set(certjobs: Certjobs, database: TestDatabase) -> str:
    """Have the guard refuse EXPIRED, and return the set's hash."""
    env = {"CERTJOBS_GUARD_COUNT": "0", "CERTJOBS_GUARD_SHARE": "0"}
    result = certjobs("expiry-check", *AS_OF, "--json", url=database.job_url, env=env)
    assert result.exit_code == 4, result
    hash_: str = result.json()["guarded"][0]["hash"]
    return hash_


def test_approve_writes_down_who_why_and_until_when(
    certjobs: Certjobs, database: TestDatabase, refused_set: str
) -> None:
    """The beginning of the hash will do, in capitals too; the row then holds approver, reason and 48 hours."""
    document = done(certjobs, "approve", refused_set[:8].upper(), "--reason", " all of  them are known ")
    assert (document["hash"], document["size"], document["organisation"]) == (refused_set, 1, "HLF")
    assert document["mentors"] == ["EXPIRED"]
    until = datetime.fromisoformat(document["approved_until"])
    assert database.all(
        "SELECT approved_by, reason, approved_until, approved_until - approved_at FROM guarded_sets"
    ) == [("test", "all of them are known", until, timedelta(hours=48))]
    assert "1 mentor" in certjobs("approve", refused_set, "--reason", "again").stdout


def test_approve_as_a_dry_run(certjobs: Certjobs, database: TestDatabase, refused_set: str) -> None:
    """--dry-run names the mentors of the set and approves nothing."""
    argv = ("approve", refused_set[:12], "--reason", "known", "--dry-run")
    document = unchanged(certjobs, database, *argv, "--json", exit_code=0).json()
    assert (document["mentors"], document["dry_run"]) == (["EXPIRED"], True)
    assert "EXPIRED" in unchanged(certjobs, database, *argv, exit_code=0).stdout


def test_approve_refuses_what_names_no_set(certjobs: Certjobs, database: TestDatabase, refused_set: str) -> None:
    """An unknown hash, one too short, one that is no hash and an empty reason are wrong usage and approve nothing."""
    unknown = "0" * 12 if not refused_set.startswith("0" * 12) else "1" * 12
    for wrong in (unknown, refused_set[:7], "", f"{refused_set}0", "g" * 12, f"{refused_set[:8]}%", "________"):
        result = unchanged(certjobs, database, "approve", wrong, "--reason", "known", "--json")
        assert result.json()["hint"], wrong
    unchanged(certjobs, database, "approve", refused_set)
    assert "reason" in unchanged(certjobs, database, "approve", refused_set, "--reason", " ").stderr


def test_approve_refuses_an_ambiguous_beginning(certjobs: Certjobs, database: TestDatabase, refused_set: str) -> None:
    """Where two sets begin alike neither is approved; the whole hash still tells them apart."""
    twin = refused_set[:63] + ("0" if refused_set[63] != "0" else "1")
    database.execute(
        "INSERT INTO guarded_sets (hash, job_name, organisation_id, size)"
        " SELECT %s, job_name, organisation_id, 2 FROM guarded_sets",
        twin,
    )
    assert "More than one" in unchanged(certjobs, database, "approve", refused_set[:20], "--reason", "known").stderr
    assert done(certjobs, "approve", refused_set, "--reason", "known")["size"] == 1
    assert database.one("SELECT approved_until FROM guarded_sets WHERE hash = %s", twin) is None


# Organisations.


def test_orgs_list(certjobs: Certjobs) -> None:
    """Every organisation is listed with its settings, HLF with every flag on and any other with all off."""
    off = {"auto_pause": False, "remind": False, "website_sync": False}
    common = {"time_zone": "Europe/Oslo", "fallback_address": None}
    result = certjobs("orgs", "list", "--json")
    expected: list[dict[str, Any]] = [
        {"code": "HLF"} | common | dict.fromkeys(off, True),
        {"code": "NHF"} | common | off,
    ]
    assert [{name: each[name] for name in expected[0]} for each in result.json()] == expected
    text = certjobs("orgs", "list").stdout
    assert text.index("HLF") < text.index("NHF")


def test_orgs_set_changes_what_is_named(certjobs: Certjobs, database: TestDatabase) -> None:
    """What an option names is changed, for that organisation alone, and what none names stays."""
    row = "SELECT time_zone, auto_pause, remind, website_sync, fallback_address FROM organisations WHERE code = %s"
    other = database.all(row, "HLF")
    certjobs(
        "orgs",
        "set",
        "NHF",
        "--reason",
        "a test",
        "--auto-pause",
        "--website-sync",
        "--fallback-address",
        " Post@NHF.example ",
    )
    assert database.all(row, "NHF") == [("Europe/Oslo", True, False, True, "post@nhf.example")]
    result = certjobs(
        "orgs",
        "set",
        "NHF",
        "--reason",
        "a test",
        "--no-auto-pause",
        "--remind",
        "--time-zone",
        "Asia/Kathmandu",
        "--json",
    )
    assert result.exit_code == 0
    assert database.all(row, "NHF") == [("Asia/Kathmandu", False, True, True, "post@nhf.example")]
    assert result.json()[0]["time_zone"] == "Asia/Kathmandu"
    assert database.all(row, "HLF") == other


def test_orgs_set_again_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """Setting what is set already changes no row."""
    unchanged(certjobs, database, "orgs", "set", "HLF", "--reason", "a test", "--auto-pause", exit_code=0)


def test_orgs_set_as_a_dry_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run shows the settings as they would be and writes none."""
    argv = ("orgs", "set", "NHF", "--reason", "a test", "--auto-pause", "--dry-run", "--json")
    (shown,) = unchanged(certjobs, database, *argv, exit_code=0).json()
    assert (shown["code"], shown["auto_pause"]) == ("NHF", True)


def test_orgs_set_refuses(certjobs: Certjobs, database: TestDatabase) -> None:
    """An unknown organisation, a time zone or an address that is none, and nothing to set are wrong usage."""
    assert "NHF" in unchanged(certjobs, database, "orgs", "set", "nhf", "--reason", "a test", "--auto-pause").stderr
    unchanged(certjobs, database, "orgs", "set", "HLF", "--reason", "a test")
    for zone in ("Europe/Atlantis", "", "Europe", "../../etc/passwd", "x" * 300):
        unchanged(certjobs, database, "orgs", "set", "HLF", "--reason", "a test", "--time-zone", zone, "--auto-pause")
    for address in ("drift", "a b@example.org", KARI, "a@b.example,c@d.example", ""):
        unchanged(
            certjobs, database, "orgs", "set", "HLF", "--reason", "a test", "--fallback-address", address, "--no-remind"
        )


@pytest.fixture
def own_zone(tmp_path: Path) -> Iterator[str]:
    """Make a time zone that this machine's Python knows and no database does, and return its name."""
    directory = tmp_path / "zones"
    directory.mkdir()
    data = b"TZif2" + bytes(15) + (0).to_bytes(4, "big") * 4 + (1).to_bytes(4, "big") + (4).to_bytes(4, "big")
    block = bytes(4) + b"\0\0" + b"UTC\0"
    (directory / "Nowhere").write_bytes(data + block + data + block + b"\nUTC0\n")
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(directory), *before])
    yield "Nowhere"
    zoneinfo.reset_tzpath(before)


def test_a_time_zone_must_be_known_to_the_database_too(
    certjobs: Certjobs, database: TestDatabase, own_zone: str
) -> None:
    """A zone that only Python knows is refused: the audit triggers use the database's, and every pause would fail."""
    assert datetime.now(zoneinfo.ZoneInfo(own_zone)).utcoffset() == timedelta(0)
    unchanged(certjobs, database, "orgs", "set", "HLF", "--reason", "a test", "--time-zone", own_zone)
    assert certjobs("mentors", "pause", "VALID", "--reason", "on leave").exit_code == 0
