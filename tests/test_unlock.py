"""Taking a lock by hand: from an owner who is dead, never from one who lives."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.children.helpers import CONSOLE, NIGHT, dump, last_run, load, locks, notices, register, runs, statuses
from tests.children.processes import Forked, eventually, stuck_in_its_first_send
from tests.roster import OLA, Mentor
from tests.test_lock import HOLDER, HOUR, JOB, Held, age, hold, status_of, take_over

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from certjobs.domain.outcome import Outcome
    from certjobs.jobs.context import JobContext
    from tests.conftest import Certjobs, Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

WHY = ("--reason", "its node was taken away")


def unlocked(certjobs: Certjobs, *options: str, job: str = JOB, url: str | None = None) -> Any:
    """Take a lock, and return the document of the command, which must end well."""
    result = certjobs("unlock", job, *WHY, "--json", *options, url=url)
    assert result.exit_code == 0, result
    return result.json()


def refused(certjobs: Certjobs, database: TestDatabase, job: str = JOB) -> Result:
    """Ask for a lock that must not be taken: wrong usage, and not a row is another one."""
    before = dump(database)
    result = certjobs("unlock", job, *WHY)
    assert result.exit_code == 2, result
    assert dump(database) == before
    return result


@pytest.fixture
def dead(database: TestDatabase) -> Held:
    """Give a lock whose owner's session is gone."""
    with database.connect() as owner:
        held = hold(database, owner)
        pid = owner.info.backend_pid
    eventually(database, "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)", pid)
    return held


@pytest.mark.parametrize("login", ["owner", "job"])
def test_a_dead_owner_is_unlocked(certjobs: Certjobs, database: TestDatabase, dead: Held, login: str) -> None:
    """The lock row goes, the token rises, the run is abandoned with who and why, and the next run has its way free."""
    load(certjobs, Mentor("A"))
    found = unlocked(certjobs, url=database.job_url if login == "job" else None)
    assert (found["job"], found["holder"], found["run_id"]) == (JOB, HOLDER, str(dead.run_id))
    assert (found["unlocked"], found["session_there"], found["run_abandoned"]) == (True, False, True)
    assert found["fencing_token"] > dead.token
    assert locks(database) == 0
    row, ours = runs(database)
    assert (row.status, ours.job_name, ours.status) == ("abandoned", "unlock", "succeeded")
    assert row.error_message == "Its lock was taken by hand, by test: its node was taken away"
    assert database.one("SELECT bool_and(finished_at IS NOT NULL) FROM scheduler_run_log")
    assert certjobs(*NIGHT, url=database.job_url).exit_code == 0
    assert statuses(database) == {"A": "paused"}


def test_a_person_reads_who_held_it(certjobs: Certjobs, dead: Held) -> None:
    """The sentences name holder, run, last sign of life and session, and what may be relied on from now on."""
    result = certjobs("unlock", JOB, *WHY)
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert f"{JOB} is held by {HOLDER} since 20" in said
    assert f"run {dead.run_id}" in said
    assert "its last sign of life was" in said
    assert "its database session is gone. It has nothing in hand." in said
    assert "The lock is free, and the run is abandoned" in said


def test_again_is_nothing(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """A second time there is nobody to take the lock from: the command says so, exits 0 and changes nothing."""
    assert unlocked(certjobs)["run_id"] == str(dead.run_id)
    before = dump(database)
    assert unlocked(certjobs) == {"job": JOB, "held": False, "unlocked": False, "dry_run": False}
    assert f"Nobody holds the lock of {JOB}" in certjobs("unlock", JOB, *WHY).stdout
    assert dump(database) == before


def test_a_job_without_a_lock(certjobs: Certjobs) -> None:
    """Of a job whose runs work side by side it says that there is no lock, and exits 0."""
    result = certjobs("unlock", "hlf_dynamics_sync", *WHY)
    assert result.exit_code == 0
    assert "sync has no lock" in result.stdout


def test_a_job_that_does_not_exist(certjobs: Certjobs, database: TestDatabase) -> None:
    """A name that no job has and no lock stands under is wrong usage, answered with the jobs there are."""
    assert "Jobs: expiry-check" in refused(certjobs, database, "expiry-inspection").stderr


def test_an_alias_is_the_job(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """The name that a scheduler knows the job by unlocks the job."""
    assert unlocked(certjobs, job="certification_expiry_check")["run_id"] == str(dead.run_id)
    assert locks(database) == 0


def test_a_lock_under_a_name_the_job_had(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """A lock that a version took which called the job otherwise is found by the name the job has now."""
    database.execute("UPDATE job_lock SET job_name = 'retention'")
    assert unlocked(certjobs, job="prune")["run_id"] == str(dead.run_id)
    assert locks(database) == 0


def test_a_dry_run_only_shows(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """--dry-run shows who holds the lock and changes nothing."""
    before = dump(database)
    found = unlocked(certjobs, "--dry-run")
    assert (found["unlocked"], found["dry_run"], found["run_id"]) == (False, True, str(dead.run_id))
    assert "Dry-run: nothing was written." in certjobs("unlock", JOB, *WHY, "--dry-run").stdout
    assert dump(database) == before


def test_a_live_owner_is_never_unlocked(certjobs: Certjobs, database: TestDatabase) -> None:
    """While its session is there and it gives signs of life, the owner keeps the lock, and the error says so."""
    with database.connect() as owner:
        held = hold(database, owner)
        for started, heartbeat in ((HOUR, timedelta()), (timedelta(), None), (3 * HOUR, 2 * HOUR - HOUR / 60)):
            age(database, held.run_id, started=started, heartbeat=heartbeat)
            said = refused(certjobs, database).stderr
            assert HOLDER in said
            assert "its database session is still there" in said
            assert "It is alive. Nothing was changed." in said
            assert "Stop that process" in said
        result = certjobs("unlock", JOB, *WHY, "--json")
        assert (result.exit_code, result.json()["exit_code"]) == (2, 2)


def test_a_silent_owner_is_unlocked(certjobs: Certjobs, database: TestDatabase) -> None:
    """An owner that has been silent for two hours is dead, though its session is still there."""
    with database.connect() as owner:
        held = hold(database, owner)
        age(database, held.run_id, started=4 * HOUR, heartbeat=3 * HOUR)
        assert unlocked(certjobs)["session_there"] is True
    assert (locks(database), status_of(database, held.run_id)) == (0, "abandoned")


@pytest.fixture
def at_work(database: TestDatabase, dead: Held) -> Iterator[Held]:
    """Let a unit of work hold the dead-looking owner's lock row, as every one of its units of work does."""
    with psycopg.connect(database.url) as work:
        work.execute("SELECT 1 FROM job_lock FOR KEY SHARE")
        yield dead
        work.rollback()


def test_an_owner_in_a_unit_of_work_is_not_dead(certjobs: Certjobs, database: TestDatabase, at_work: Held) -> None:
    """Where a unit of work under way has the lock in use, it is refused at once, whatever became of the session."""
    said = refused(certjobs, database).stderr
    assert str(at_work.run_id) in said
    assert "A unit of work under way has the lock in use" in said


def test_a_sign_of_life_just_now_counts(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """A heartbeat that is not committed yet keeps its owner the lock: it may be alive on another session."""
    with psycopg.connect(database.url) as other:
        other.execute("UPDATE job_lock SET heartbeat_at = clock_timestamp(), backend_pid = pg_backend_pid()")
        assert str(dead.run_id) in refused(certjobs, database).stderr
        other.commit()


def test_what_a_dead_owner_had_in_hand(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """Notices being sent and operations claimed by the run or one that it began are named, by reference alone."""
    load(certjobs, Mentor("A", -1), Mentor("B", 30))
    certjobs("mentors", "pause", "B", "--reason", "a test", "--as-of", "2026-11-22")
    child = database.one(
        "INSERT INTO scheduler_run_log (run_id, job_name, parent_run_id, trigger, host, version, actor, status)"
        " VALUES (gen_random_uuid(), 'sync', %s, 'schedule', 'h', '0', 'x', 'failed') RETURNING run_id",
        dead.run_id,
    )
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO notifications (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id,"
            " idempotency_key, status, claimed_by_run, attempt)"
            " SELECT 'pause', id, certification_expiry, 1, 1, 'k', 'sending', %s, 1 FROM peer_mentors"
            " WHERE external_ref = 'A'",
            [dead.run_id],
        )
        connection.execute(
            "UPDATE sync_queue SET status = 'processing', claimed_by_run = %s, leased_until = clock_timestamp()"
            " WHERE status = 'pending' AND operation = 'remove'",
            [child],
        )
    told = certjobs("unlock", JOB, *WHY, "--dry-run").stdout
    assert "It has 1 notice and 1 operation in hand." in told
    assert "The next remind settles what it was sending" in told
    found = unlocked(certjobs)["in_hand"]
    assert [(each["what"], each["mentor_ref"], each["kind"]) for each in found] == [
        ("notice", "A", "pause"),
        ("operation", "B", "remove"),
    ]


def test_of_much_in_hand_the_first_are_named(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """A person sees twenty items and how many there are; the document names all."""
    database.execute(
        "INSERT INTO sync_queue (mentor_id, organisation_id, operation, status, triggered_by_event, actor,"
        " claimed_by_run) SELECT n, 1, 'remove', 'processing', 'paused', 'x', %s FROM generate_series(1, 23) AS n",
        dead.run_id,
    )
    said = certjobs("unlock", JOB, *WHY, "--dry-run").stdout
    assert "It has 23 operations in hand." in " ".join(said.split())
    assert "These are the first 20 of 23" in said
    assert len(unlocked(certjobs)["in_hand"]) == 23


def test_a_stale_owner_neither_writes_nor_sends(forked: Forked, certjobs: Certjobs, database: TestDatabase) -> None:
    """A process that wakes after it was unlocked sends no other notice, writes nothing and ends with 75."""
    load(certjobs, Mentor("A", -3), Mentor("B", -2), Mentor("C", -1, coordinators=OLA))
    with stuck_in_its_first_send(forked, database, *NIGHT, env=CONSOLE) as stuck:
        run_id = last_run(database).run_id
        age(database, run_id, started=4 * HOUR, heartbeat=3 * HOUR)
        found = unlocked(certjobs)
        assert [each["what"] for each in found["in_hand"]] == ["notice"]
        before = dump(database)
        printed = stuck.release()
    assert stuck.child.wait().exit_code == 75
    assert printed.count("To ") == 1
    assert dump(database) == before
    assert notices(database) == ["pending", "pending", "sending"]
    assert status_of(database, run_id) == "abandoned"


def test_another_run_keeps_its_lock(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that took over from the dead one in the meantime is the owner now, and alive: it is refused."""
    said: list[Result] = []

    def job(_ctx: JobContext[Any]) -> Outcome:
        said.append(refused(certjobs, database, "test-job"))
        from certjobs.domain.outcome import Outcome

        return Outcome()

    register(monkeypatch, job, name="test-job")
    with database.connect() as other:
        hold(database, other, job="test-job")
        take_over(database, job="test-job")
    assert certjobs("run", "test-job").exit_code == 0
    assert "It is alive." in said[0].stderr


def test_a_run_that_had_ended_stays_as_it_ended(certjobs: Certjobs, database: TestDatabase, dead: Held) -> None:
    """A lock that its run could not give back is taken, and the run's own end stands."""
    database.execute("UPDATE scheduler_run_log SET status = 'succeeded', exit_code = 0, finished_at = now()")
    assert unlocked(certjobs)["run_abandoned"] is False
    assert (locks(database), status_of(database, dead.run_id)) == (0, "succeeded")
    assert database.all("SELECT actor, reason, status FROM scheduler_run_log WHERE job_name = 'unlock'") == [
        ("test", WHY[1], "succeeded")
    ]
