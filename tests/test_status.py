"""status through the command line: what it says of jobs, locks, queue, website and findings, and what is overdue."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from certjobs.db import engine as db_engine
from certjobs.db.overview import _MISSED_NIGHTS, Overview
from certjobs.db.sqlfiles import statement
from certjobs.db.store import Attribution, Database
from certjobs.domain.coverage import NIGHTLY
from certjobs.domain.durations import parse_duration, written
from tests.children.helpers import dump, load
from tests.roster import KARI, TODAY, Mentor
from tests.test_lock import HOLDER, HOUR, age, hold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.conftest import Certjobs, Result, TestDatabase

OSLO = ZoneInfo("Europe/Oslo")
DAY = timedelta(days=1)


def status(certjobs: Certjobs, database: TestDatabase, *options: str, exit_code: int = 0) -> Any:
    """Return the document, as the jobs' own login gets it; the command must end with this exit code, and only read."""
    before = dump(database)
    result = certjobs("status", "--json", *options, url=database.job_url)
    assert result.exit_code == exit_code, result
    assert dump(database) == before
    return result.json()


def plain(certjobs: Certjobs, database: TestDatabase, *options: str, exit_code: int = 0) -> Result:
    """Run it as a person would."""
    result = certjobs("status", *options, url=database.job_url)
    assert result.exit_code == exit_code, result
    return result


def ran(
    database: TestDatabase,
    job: str,
    ago: timedelta,
    *,
    status: str = "succeeded",
    lasted: timedelta = timedelta(minutes=1),
    counts: Mapping[str, int] | None = None,
    started: datetime | None = None,
) -> UUID:
    """Write down a run that began so long ago."""
    run_id = uuid4()
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, started_at, finished_at, status, exit_code, counts,"
        " host, version, actor) VALUES (%s, %s, 'schedule', coalesce(%s, clock_timestamp() - %s),"
        " coalesce(%s, clock_timestamp() - %s) + %s, %s, %s, %s, 'h', '0', 'x')",
        *(run_id, job, started, ago, started, ago, lasted),
        *(status, 0 if status == "succeeded" else 1, json.dumps(dict(counts or {}))),
    )
    return run_id


def job(found: Any, name: str) -> Any:
    """Return what a document says of one job."""
    (only,) = [each for each in found["jobs"] if each["job"] == name]
    return only


# Whether the nights ran.


def test_before_the_first_night(certjobs: Certjobs, database: TestDatabase) -> None:
    """On a database where no job ever ran everything is empty, and every nightly job is overdue."""
    found = status(certjobs, database)
    assert [each["job"] for each in found["jobs"]] == list(NIGHTLY)
    assert all(each["last_run"] is each["last_success"] is None for each in found["jobs"])
    assert (found["exit_code"], found["overdue"], found["message"]) == (0, [], None)
    said = plain(certjobs, database).stdout
    for sentence in (
        "never ran",
        "No job holds a lock.",
        "The whole queue: 0 open, 0 under way, 0 dead.",
        "the website shows nobody whose certification has expired",
        "There are no open findings.",
    ):
        assert sentence in said
    assert "overdue" not in said
    found = status(certjobs, database, "--max-age", "26h", exit_code=3)
    assert [each["job"] for each in found["overdue"]] == list(NIGHTLY)
    assert found["message"].startswith("Overdue, with no success in the last 26h: expiry-check, which never succeeded;")


def test_a_job_is_overdue_once_its_last_success_is_older(certjobs: Certjobs, database: TestDatabase) -> None:
    """A success that began within the age is in time; one that began before, or ended within it only, is not."""
    ran(database, "expiry-check", 25 * HOUR)
    ran(database, "remind", 27 * HOUR, lasted=3 * HOUR)
    ran(database, "sync", HOUR)
    ran(database, "reconcile", 3 * DAY)
    ran(database, "reconcile", 50 * HOUR)
    found = status(certjobs, database, "--max-age", "26h", exit_code=3)
    assert {each["job"]: each["overdue"] for each in found["jobs"]} == {
        "expiry-check": False,
        "remind": True,
        "sync": False,
        "reconcile": True,
    }
    since = datetime.fromisoformat(found["overdue"][1]["since"])
    assert (
        timedelta(hours=23, minutes=59) < datetime.fromisoformat(found["at"]) - since < timedelta(hours=24, minutes=1)
    )
    result = plain(certjobs, database, "--max-age", "26h", exit_code=3)
    assert "remind since 20" in result.stderr
    assert "reconcile since 20" in result.stderr
    assert "last succeeded 20" in result.stderr
    assert "expiry-check" not in result.stderr
    assert plain(certjobs, database, "--max-age", "3d").stderr == ""
    assert plain(certjobs, database).stderr == ""


@pytest.mark.parametrize("ended", ["failed", "partial", "skipped", "abandoned", "running"])
def test_only_a_success_counts(certjobs: Certjobs, database: TestDatabase, ended: str) -> None:
    """A run that ended otherwise, or has not ended, keeps no job from being overdue; it is what ran last."""
    ran(database, "sync", 30 * HOUR)
    run_id = ran(database, "sync", HOUR, status=ended)
    found = status(certjobs, database, "--max-age", "26h", "--job", "sync", exit_code=3)
    assert [each["job"] for each in found["overdue"]] == ["sync"]
    last = job(found, "sync")["last_run"]
    assert (last["run_id"], last["status"]) == (str(run_id), ended)
    assert job(found, "sync")["last_success"]["age_seconds"] == pytest.approx(30 * 3600, abs=60)


def test_which_jobs_count(certjobs: Certjobs, database: TestDatabase) -> None:
    """--job narrows what counts, by any name a job has; nightly stands for the four, and any job may be asked about."""
    ran(database, "sync", HOUR)
    ran(database, "prune", 8 * DAY)
    status(certjobs, database, "--max-age", "26h", "--job", "sync")
    status(certjobs, database, "--max-age", "26h", "--job", "hlf_dynamics_sync")
    both = ("--job", "certification_expiry_check", "--job", "sync")
    found = status(certjobs, database, "--max-age", "26h", *both, exit_code=3)
    assert [each["job"] for each in found["overdue"]] == ["expiry-check"]
    assert job(found, "remind")["overdue"] is None
    found = status(certjobs, database, "--max-age", "26h", "--job", "nightly", exit_code=3)
    assert [each["job"] for each in found["overdue"]] == ["expiry-check", "remind", "reconcile"]
    assert [each["job"] for each in found["jobs"]] == list(NIGHTLY)
    status(certjobs, database, "--max-age", "9d", "--job", "retention")
    found = status(certjobs, database, "--max-age", "7d", "--job", "prune", exit_code=3)
    assert [each["job"] for each in found["overdue"]] == ["prune"]


def test_a_job_that_does_not_exist(certjobs: Certjobs) -> None:
    """A name that no job has is wrong usage, answered with the jobs there are."""
    result = certjobs("status", "--max-age", "26h", "--job", "expiry")
    assert result.exit_code == 2
    assert "Jobs: expiry-check" in result.stderr


def test_jobs_without_an_age(certjobs: Certjobs) -> None:
    """--job says what counts for --max-age, and alone is wrong usage."""
    result = certjobs("status", "--job", "sync")
    assert result.exit_code == 2
    assert "--max-age" in result.stderr


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("26h", 26 * HOUR),
        ("90m", 1.5 * HOUR),
        ("2d", 2 * DAY),
        ("45s", timedelta(seconds=45)),
        ("36500d", 36_500 * DAY),
    ],
)
def test_a_length_of_time(text: str, length: timedelta) -> None:
    """A whole number and its unit are a length of time, which is written so that it can be read again."""
    assert parse_duration(text) == length
    assert parse_duration(written(length)) == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "26",
        "h",
        "1.5h",
        "26 h",
        " 26h",
        "26h\n",
        "+26h",
        "-26h",
        "26H",
        "1h30m",
        "0h",
        "36501d",
        "9999999999d",
        "٢h",
    ],
)
def test_what_is_no_length_of_time(certjobs_unset: Certjobs, text: str) -> None:
    """Anything else is wrong usage, said before a database is looked for, with what would be right."""
    result = certjobs_unset("status", f"--max-age={text}")
    assert result.exit_code == 2
    assert "--max-age" in result.stderr
    assert any(each in result.stderr for each in ("26h, 90m or 2d", "no time at all", "a hundred years"))


def test_a_real_night_is_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a night the jobs that ran say when, how and what they account for."""
    load(certjobs, Mentor("A", -1))
    assert certjobs("expiry-check", "--as-of", TODAY.isoformat(), url=database.job_url).exit_code == 0
    found = status(certjobs, database, "--max-age", "1h", "--job", "expiry-check")
    night = job(found, "expiry-check")
    assert night["last_run"]["run_id"] == night["last_success"]["run_id"] == night["counted_run_id"]
    assert (night["last_run"]["status"], night["last_run"]["exit_code"]) == ("succeeded", 0)
    assert [each["text"] for each in night["equations"]] == ["expired mentors 1 = 1 paused", "notices owed 1 = 1 open"]
    said = plain(certjobs, database).stdout
    assert ": expired mentors 1 = 1 paused." in said


def test_the_run_that_counted(certjobs: Certjobs, database: TestDatabase) -> None:
    """The equations are those of the last run that came to count, not of a skipped one, and a remainder is told."""
    counted = ran(database, "remind", 3 * HOUR, status="partial", counts={"notices_owed": 12, "owed_sent": 10})
    ran(database, "remind", 2 * HOUR, status="skipped")
    ran(database, "remind", HOUR, status="failed", counts={"abandoned_found": 1})
    night = job(status(certjobs, database), "remind")
    assert night["counted_run_id"] == str(counted)
    (equation,) = night["equations"]
    assert (equation["what"], equation["total"], equation["remainder"]) == ("notices owed", 12, 2)
    assert equation["parts"]["sent"] == 10
    said = " ".join(plain(certjobs, database).stdout.split())
    assert "notices owed 12 = 10 sent, and 2 that nobody accounts for." in said


def test_missed_nights(certjobs: Certjobs, database: TestDatabase) -> None:
    """A night is a date in the organisation's time zone; those since the first run without a success are missed."""
    today = datetime.now(OSLO).date()

    def at(days_ago: int, hour: int, minute: int = 0) -> datetime:
        night = today - days_ago * DAY
        return datetime(night.year, night.month, night.day, hour, minute, tzinfo=OSLO)

    for days_ago, hour, ended in ((9, 2, "succeeded"), (8, 2, "failed"), (7, 0, "succeeded"), (6, 23, "succeeded")):
        ran(database, "expiry-check", HOUR, started=at(days_ago, hour, 59), status=ended)
    ran(database, "expiry-check", HOUR, started=at(5, 2), status="failed")
    ran(database, "expiry-check", HOUR, started=at(5, 4), status="succeeded")
    ran(database, "expiry-check", HOUR, started=at(0, 0), status="failed")
    ran(database, "sync", HOUR, started=at(40, 2))
    ran(database, "remind", HOUR, started=at(0, 0), status="failed")
    found = status(certjobs, database)
    assert found["time_zone"] == "Europe/Oslo"
    missed = [(today - days_ago * DAY).isoformat() for days_ago in (8, 4, 3, 2, 1)]
    assert job(found, "expiry-check")["missed_nights"] == missed
    assert job(found, "sync")["missed_nights"] == [(today - n * DAY).isoformat() for n in range(14, 0, -1)]
    assert job(found, "remind")["missed_nights"] == job(found, "reconcile")["missed_nights"] == []
    said = " ".join(plain(certjobs, database).stdout.split())
    assert f"expiry-check came to no good end on 5 nights of the last 14: {', '.join(missed)}." in said


# Who holds what.


def test_locks(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each lock is told with its holder and how alive they are: alive, gone, or silent for two hours."""
    with database.connect() as alive, database.connect() as silent:
        hold(database, alive, job="expiry-check")
        age(database, hold(database, silent, job="remind").run_id, started=4 * HOUR, heartbeat=3 * HOUR)
        with database.connect() as gone:
            hold(database, gone, job="prune")
            database.execute(
                "UPDATE job_lock SET backend_start = backend_start - interval '1 day' WHERE job_name = 'prune'"
            )
        result = certjobs("status", "--json")  # as the owner, who sees when everybody's sessions began
        locks = {each["job"]: (each["alive"], each["session_there"]) for each in result.json()["locks"]}
        assert locks == {"expiry-check": (True, True), "remind": (False, True), "prune": (False, False)}
        assert {each["holder"] for each in result.json()["locks"]} == {HOLDER}
        said = certjobs("status").stdout
    for word in ("alive", "silent", "gone", HOLDER):
        assert word in said
    assert len(status(certjobs, database)["locks"]) == 3


# What waits.


def test_queue_and_dead_letters(certjobs: Certjobs, database: TestDatabase) -> None:
    """Depth and age of the queue, dead operations that nothing took the place of, and notices to be looked at."""
    operations = [
        *((1, "dead"), (1, "done"), (2, "dead"), (3, "dead"), (3, "superseded"), (4, "pending"), (5, "failed")),
        (6, "processing"),
    ]
    for mentor, state in operations:
        database.execute(
            "INSERT INTO sync_queue (mentor_id, organisation_id, operation, status, triggered_by_event, actor,"
            " created_at) VALUES (%s, 1, 'remove', %s, 'paused', 'x', clock_timestamp() - interval '2 hours')",
            *(mentor, state),
        )
    for number, state in enumerate(("dead", "dead", "unknown", "sent", "failed", "suppressed")):
        database.execute(
            "INSERT INTO notifications (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id,"
            " idempotency_key, status) VALUES ('pause', 1, '2026-01-01', 1, %s, 'k', %s)",
            *(number, state),
        )
    found = status(certjobs, database)
    assert (found["queue"]["open"], found["queue"]["processing"]) == (2, 1)
    assert found["queue"]["oldest_open_seconds"] == pytest.approx(7200, abs=60)
    assert found["dead_letters"] == {"operations_dead": 2, "notices_dead": 2, "notices_unknown": 1}
    said = plain(certjobs, database).stdout
    for line in (
        "2 dead operations to be looked at: certjobs queue list --status dead",
        "2 dead notices to be looked at: certjobs notifications list --status dead",
        "1 unknown notice to be looked at: certjobs notifications list --status unknown",
    ):
        assert line in said


# Whom the website still shows.


def insert_operation(database: TestDatabase, ref: str, operation: str, state: str) -> None:
    """Add an operation about a mentor."""
    database.execute(
        "INSERT INTO sync_queue (mentor_id, organisation_id, operation, status, triggered_by_event, actor)"
        " SELECT id, organisation_id, %s, %s, 'paused', 'x' FROM peer_mentors WHERE external_ref = %s",
        *(operation, state, ref),
    )


def acknowledge(database: TestDatabase, ref: str, *, listed: bool) -> None:
    """Let the website have said last whether it shows a mentor."""
    database.execute(
        "INSERT INTO website_listing (mentor_id, listed) SELECT id, %s FROM peer_mentors WHERE external_ref = %s",
        *(listed, ref),
    )


@pytest.fixture
def places(certjobs: Certjobs, database: TestDatabase) -> dict[str, date]:
    """Give the days at HLF in Oslo, at NHF on Kiritimati, and an LHL without a website; nobody is queued."""
    refs = ("KNOWN", "PAUSED", "OFF", "OPEN", "WAY", "DONE", "BACK", "UNKNOWN", "TODAY", "NEVER")
    load(
        certjobs,
        *(Mentor(ref) for ref in refs),
        Mentor("FAR", organisation="NHF"),
        Mentor("NONE", organisation="LHL"),
    )
    zones = {"HLF": "Europe/Oslo", "NHF": "Pacific/Kiritimati", "LHL": "Europe/Oslo"}
    days = {}
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM sync_queue")
        for code, zone in zones.items():
            days[code] = datetime.now(ZoneInfo(zone)).date()
            connection.execute(
                "UPDATE organisations SET time_zone = %s, website_sync = %s WHERE code = %s",
                [zone, code != "LHL", code],
            )
            connection.execute(
                "UPDATE peer_mentors SET certification_expiry = %s WHERE organisation_id ="
                " (SELECT id FROM organisations WHERE code = %s)",
                [days[code] - 3 * DAY, code],
            )
        for ref, expiry in (("TODAY", days["HLF"]), ("NEVER", None)):
            connection.execute(
                "UPDATE peer_mentors SET certification_expiry = %s WHERE external_ref = %s", [expiry, ref]
            )
        connection.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref NOT IN ('KNOWN', 'OPEN')")
    for ref in ("KNOWN", "PAUSED", "TODAY", "NEVER", "FAR", "NONE"):
        acknowledge(database, ref, listed=True)
    acknowledge(database, "OFF", listed=False)
    insert_operation(database, "OFF", "remove", "pending")
    for ref, operation, state in (
        ("OPEN", "remove", "failed"),
        ("WAY", "remove", "processing"),
        ("DONE", "remove", "done"),
        ("BACK", "restore", "pending"),
    ):
        insert_operation(database, ref, operation, state)
    return days


def test_who_is_exposed(certjobs: Certjobs, database: TestDatabase, places: Mapping[str, date]) -> None:
    """Expired and listed as far as is known: acknowledged, or unknown and their removal on its way; nobody else."""
    found = status(certjobs, database)
    assert sorted(each["mentor_ref"] for each in found["exposed"]) == ["FAR", "KNOWN", "OPEN", "PAUSED", "WAY"]
    assert found["exposed"] == sorted(found["exposed"], key=lambda each: (each["since"], each["mentor_ref"]))
    assert found["exposed_total"] == 5
    now = datetime.fromisoformat(found["at"])
    for each in found["exposed"]:
        organisation = "NHF" if each["mentor_ref"] == "FAR" else "HLF"
        zone = ZoneInfo("Pacific/Kiritimati") if organisation == "NHF" else OSLO
        day = places[organisation] - 2 * DAY
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        assert each["organisation"] == organisation
        assert datetime.fromisoformat(each["since"]) == midnight
        assert each["minutes"] == (now - midnight) // timedelta(minutes=1)
    said = plain(certjobs, database).stdout
    assert "the website shows 5 mentors whose certification has expired." in said
    assert "FAR" in said


def test_of_many_exposed_the_first_are_named(certjobs: Certjobs, database: TestDatabase) -> None:
    """At most twenty are named, those exposed longest first; the total counts all."""
    load(certjobs, *(Mentor(f"M{number:02}", -1 - number) for number in range(23)))
    database.execute("INSERT INTO website_listing (mentor_id, listed) SELECT id, true FROM peer_mentors")
    found = status(certjobs, database)
    assert found["exposed_total"] == 23
    assert [each["mentor_ref"] for each in found["exposed"]] == [f"M{number:02}" for number in range(22, 2, -1)]
    minutes = [each["minutes"] for each in found["exposed"]]
    assert minutes == sorted(minutes, reverse=True)
    said = plain(certjobs, database).stdout
    assert "the website shows 23 mentors whose certification has expired. These are the first 20." in said


def test_a_time_zone_that_does_not_exist(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation whose time zone is wrong is looked at in UTC, and one without a website not at all."""
    load(certjobs, Mentor("A", -5))
    database.execute("INSERT INTO website_listing (mentor_id, listed) SELECT id, true FROM peer_mentors")
    database.execute("UPDATE organisations SET time_zone = 'Europe/Atlantis'")
    found = status(certjobs, database)
    assert found["time_zone"] == "UTC"
    assert found["exposed"][0]["since"].endswith("T00:00:00+00:00")
    database.execute("UPDATE organisations SET website_sync = false")
    assert status(certjobs, database)["exposed_total"] == 0


# Findings and forecasts.


def test_open_findings(certjobs: Certjobs, database: TestDatabase) -> None:
    """Findings are counted by class with the oldest of each; what is cleared is not."""
    for finding, days, cleared in (("extra", 3, False), ("extra", 5, False), ("missing", 1, False), ("stuck", 2, True)):
        database.execute(
            "INSERT INTO reconciliation_log (finding, detail, actor, created_at, cleared_at)"
            " VALUES (%s, 'x', 'x', clock_timestamp() - make_interval(days => %s),"
            " CASE WHEN %s THEN clock_timestamp() END)",
            *(finding, days, cleared),
        )
    found = status(certjobs, database)
    assert [(each["finding"], each["open"]) for each in found["findings"]] == [("extra", 2), ("missing", 1)]
    oldest = datetime.fromisoformat(found["at"]) - datetime.fromisoformat(found["findings"][0]["oldest"])
    assert oldest == pytest.approx(5 * DAY, abs=timedelta(minutes=1))
    assert "missing" in plain(certjobs, database).stdout


def test_what_was_expected(certjobs: Certjobs, database: TestDatabase) -> None:
    """The latest night with both a forecast and a run is told, all organisations and all its runs together."""
    today = datetime.now(OSLO).date()
    forecasts = [(today, "expiry-check", 1, 5), (today, "expiry-check", 2, 2), (today - DAY, "expiry-check", 1, 9)]
    forecasts += [(today, "remind", 1, 7), (today - DAY, "remind", 1, 8), (today + DAY, "remind", 1, 1)]
    for values in forecasts:
        database.execute(
            "INSERT INTO forecasts (night, job_name, organisation_id, expected) VALUES (%s, %s, %s, %s)", *values
        )
    midnight = datetime(today.year, today.month, today.day, tzinfo=OSLO)
    for started, name, counts in (
        (midnight, "expiry-check", {"paused": 4}),
        (midnight, "expiry-check", {"paused": 2}),
        (midnight - DAY / 2, "expiry-check", {"paused": 50}),
        (midnight - DAY / 2, "remind", {"reminders": 6}),
        (midnight, "remind", {}),
    ):
        ran(database, name, HOUR, started=started, counts=counts)
    found = status(certjobs, database)["expectations"]
    assert found == [
        {"job": "expiry-check", "night": today.isoformat(), "expected": 7, "done": 6},
        {"job": "remind", "night": (today - DAY).isoformat(), "expected": 8, "done": 6},
    ]
    assert "The last night foretold" in plain(certjobs, database).stdout


def test_the_runs_of_the_last_weeks(database: TestDatabase) -> None:
    """The history has every run that began since a moment, oldest first, and of some jobs alone where named."""
    for name, ago in (("sync", DAY), ("remind", 2 * DAY), ("sync", 3 * DAY), ("sync", 15 * DAY)):
        ran(database, name, ago)
    ran(database, "remind", HOUR, status="failed")
    engine = db_engine.create_engine(
        db_engine.database_url(database.job_url), application_name="tests", statement_timeout=60, lock_timeout=10
    )
    with Database(engine, Attribution("test")).transaction(snapshot=True) as store:
        since = store.overview.now() - 14 * DAY
        everything = store.overview.history(since)
        some = store.overview.history(since, ["sync"])
    engine.dispose()
    assert [(each.job, each.status) for each in everything] == [
        ("sync", "succeeded"),
        ("remind", "succeeded"),
        ("sync", "succeeded"),
        ("remind", "failed"),
    ]
    assert [each.job for each in some] == ["sync", "sync"]
    assert {round(each.seconds or 0) for each in everything} == {60}


# How it reads.


def test_it_sees_one_moment_and_can_write_nothing(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others commit while it reads is not seen, and its transaction is one that refuses to write."""
    locks = Overview.locks
    modes: list[tuple[str, str]] = []

    def meanwhile(self: Overview, jobs: Sequence[str] | None = None) -> Any:
        database.execute("INSERT INTO reconciliation_log (finding, detail, actor) VALUES ('extra', 'x', 'x')")
        names = ("transaction_isolation", "transaction_read_only")
        modes.extend((name, self._connection.execute(sa.text(f"SHOW {name}")).scalar_one()) for name in names)
        return locks(self, jobs)

    monkeypatch.setattr(Overview, "locks", meanwhile)
    result = certjobs("status", "--json", url=database.job_url)
    assert result.exit_code == 0, result
    assert result.json()["findings"] == []
    assert modes == [("transaction_isolation", "repeatable read"), ("transaction_read_only", "on")]
    assert database.one("SELECT count(*) FROM reconciliation_log") == 1


def test_the_names_in_the_document(certjobs: Certjobs, database: TestDatabase) -> None:
    """The document has the same names whatever there is to tell, and its moments are ISO 8601 with an offset."""
    ran(database, "sync", HOUR, counts={"claimed": 1, "done": 1})
    found = status(certjobs, database)
    assert set(found) == {
        *("at", "time_zone", "exit_code", "message", "max_age_seconds", "overdue", "jobs", "locks", "queue"),
        *("dead_letters", "exposed_total", "exposed", "findings", "expectations"),
    }
    for each in found["jobs"]:
        assert set(each) == {
            *("job", "overdue", "first_run_at", "last_success", "last_run", "missed_nights", "counted_run_id"),
            "equations",
        }
    last = job(found, "sync")["last_run"]
    for moment in (found["at"], last["started_at"], last["finished_at"], job(found, "sync")["first_run_at"]):
        assert datetime.fromisoformat(moment).utcoffset() == timedelta()


@pytest.mark.parametrize("name", ["last_runs", "missed_nights"])
def test_a_long_run_log_is_not_read_through(database: TestDatabase, name: str) -> None:
    """However long the run log is, what is asked of it is found through indexes, also of a job that never ran."""
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO scheduler_run_log (run_id, job_name, trigger, started_at, finished_at, status, host, version,"
            " actor, counts) SELECT gen_random_uuid(), 'sync', 'schedule', now() - n * interval '1 minute', now(),"
            " 'succeeded', 'h', '0', 'x', '{\"claimed\": 1}' FROM generate_series(1, 20000) AS n"
        )
        connection.execute("ANALYZE scheduler_run_log")
        query = _MISSED_NIGHTS.text if name == "missed_nights" else statement(name).text
        for parameter, value in {
            ":jobs": "ARRAY['expiry-check', 'sync', 'reconcile']",
            ":first": "'2026-11-01'",
            ":last": "'2026-11-14'",
            ":zone": "'Europe/Oslo'",
        }.items():
            query = query.replace(parameter, value)
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {query}".encode()))
    assert "Index Scan" in plan
    assert "Seq Scan" not in plan


def test_no_name_and_no_address_is_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """Mentors stand by reference alone, and coordinators not at all."""
    load(certjobs, Mentor("A", -3, KARI))
    database.execute("INSERT INTO website_listing (mentor_id, listed) SELECT id, true FROM peer_mentors")
    said = plain(certjobs, database).stdout + json.dumps(status(certjobs, database))
    assert '"mentor_ref": "A"' in said
    for word in ("Mentor A", "Kari", "kari@example.org"):
        assert word not in said
