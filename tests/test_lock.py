"""One at a time: the lock of an exclusive job, who may take it over, and what that does to its old owner."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from certjobs.domain.outcome import Outcome
from tests.children.helpers import (
    CONSOLE,
    NIGHT,
    Channel,
    Steps,
    dump,
    last_run,
    load,
    locks,
    log_lines,
    nobody_connected,
    notices,
    register,
    row_held,
    runs,
    statuses,
    waits_for_lock,
)
from tests.children.processes import Forked, eventually, first_to_end, stuck_in_its_first_send
from tests.roster import OLA, TODAY, Mentor

if TYPE_CHECKING:
    from certjobs.jobs.context import JobContext
    from tests.conftest import Certjobs, TestDatabase

    Connection = psycopg.Connection[tuple[Any, ...]]

pytest_plugins = ["tests.children.plugin"]

PATIENT = {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "60"}
JOB = "expiry-check"
HOLDER = "nightly on node-7"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Held:
    """A lock that the test holds in the name of another run."""

    run_id: UUID
    token: int


def hold(database: TestDatabase, connection: Connection, *, job: str = JOB) -> Held:
    """Write down a run and its lock as a process with this session would; both are a second old."""
    run_id = uuid4()
    connection.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor, backend_pid, backend_start,"
        " started_at, heartbeat_at)"
        " VALUES (%(run)s, %(job)s, 'schedule', 'node-7', '0', 'nightly', pg_backend_pid(), certjobs_session_start(),"
        " clock_timestamp() - interval '1 s', clock_timestamp() - interval '1 s')",
        {"run": run_id, "job": job},
    )
    row = connection.execute(
        "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start, started_at,"
        " heartbeat_at)"
        " VALUES (%(job)s, %(run)s, nextval('job_lock_fencing_token'), %(holder)s, pg_backend_pid(),"
        " certjobs_session_start(), clock_timestamp() - interval '1 s', clock_timestamp() - interval '1 s')"
        " RETURNING fencing_token",
        {"run": run_id, "job": job, "holder": HOLDER},
    ).fetchone()
    assert row is not None
    assert database.one("SELECT count(*) FROM job_lock WHERE run_id = %s", run_id) == 1
    return Held(run_id, row[0])


def age(database: TestDatabase, run_id: UUID | str, *, started: timedelta, heartbeat: timedelta | None) -> None:
    """Make a run and its lock this old; no heartbeat at all where it is None."""
    for table in ("scheduler_run_log", "job_lock"):
        database.execute(
            f"UPDATE {table} SET started_at = clock_timestamp() - %s,"
            " heartbeat_at = clock_timestamp() - %s::interval WHERE run_id = %s",
            started,
            heartbeat,
            run_id,
        )


def take_over(database: TestDatabase, *, job: str = JOB) -> UUID:
    """Take over a job's lock as a run that finds its owner silent for hours, in a session that ends at once."""
    run_id = uuid4()
    with database.connect() as connection, connection.transaction():
        connection.execute("UPDATE job_lock SET heartbeat_at = clock_timestamp() - interval '3 hours'")
        row = connection.execute(
            "SELECT token FROM certjobs_acquire_lock(%s, %s, %s)", [job, run_id, HOLDER]
        ).fetchone()
        assert row is not None
        assert row[0] is not None
    return run_id


def status_of(database: TestDatabase, run_id: UUID | str) -> str:
    status: str = database.one("SELECT status FROM scheduler_run_log WHERE run_id = %s", run_id)
    return status


def test_of_two_processes_one_works_twenty_times(forked: Forked, certjobs: Certjobs, database: TestDatabase) -> None:
    """Of two runs that overlap exactly one pauses, and the other ends with 75 at once and names it, every time."""
    nights = [TODAY - timedelta(days=days) for days in range(20, 0, -1)]
    load(certjobs, *(Mentor(f"M{night:%d}", (night - TODAY).days - 1) for night in nights))
    for night in nights:
        argv = (JOB, "--as-of", night.isoformat(), "--json")
        with row_held(database, f"M{night:%d}"):
            both = {
                actor: forked.start(*argv, url=database.job_url, env=PATIENT | {"CERTJOBS_ACTOR": actor})
                for actor in ("first-node", "second-node")
            }
            skipped = first_to_end(list(both.values()), 10)
            (works,) = (actor for actor, child in both.items() if child is not skipped)
            result = skipped.wait()
            assert result.exit_code == 75, result.stderr
            message = result.json()["message"]
            assert f"already running: {works} on {socket.gethostname()}, since 20" in message
            assert not both[works].ended()
        worked = both[works].wait()
        assert worked.exit_code == 0, worked.stderr
        assert [each["mentor_ref"] for each in worked.json()["paused"]] == [f"M{night:%d}"]
        assert sorted((row.status, row.exit_code) for row in runs(database)[-2:]) == [("skipped", 75), ("succeeded", 0)]
        assert locks(database) == 0
    assert len(runs(database)) == 40
    assert database.one("SELECT count(*) FROM mentor_status_events WHERE event = 'expired_cert'") == 20


def test_a_skipped_run_leaves_a_row_and_changes_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that finds the lock held is recorded as skipped with the holder in its message, and pauses nobody."""
    load(certjobs, Mentor("A"))
    with database.connect() as other:
        held = hold(database, other)
        result = certjobs(*NIGHT, "--json", url=database.job_url)
        assert status_of(database, held.run_id) == "running"
        assert database.one("SELECT run_id FROM job_lock") == held.run_id
    assert result.exit_code == 75
    assert result.json()["status"] == "skipped"
    row = last_run(database)
    assert (row.status, row.exit_code, row.counts) == ("skipped", 75, {})
    assert HOLDER in (row.error_message or "")
    assert statuses(database) == {"A": "active"}


@dataclass(frozen=True)
class Owner:
    """How the holder of a lock looks to the next run."""

    session: str  # gone, alive, or other: the pid is now another session's
    started: timedelta
    heartbeat: timedelta | None
    dead: bool


OWNERS = {
    "silent for three hours and gone": Owner("gone", 3 * HOUR, None, dead=True),
    "silent for three hours, its session there": Owner("alive", 3 * HOUR, None, dead=True),
    "last heartbeat three hours ago": Owner("alive", 4 * HOUR, 3 * HOUR, dead=True),
    "last heartbeat just over two hours ago": Owner("alive", 3 * HOUR, 2 * HOUR + HOUR / 60, dead=True),
    "last heartbeat just under two hours ago": Owner("alive", 3 * HOUR, 2 * HOUR - HOUR / 60, dead=False),
    "running for a day, heartbeat fresh": Owner("alive", 24 * HOUR, timedelta(), dead=False),
    "just begun, no heartbeat yet": Owner("alive", timedelta(), None, dead=False),
    "gone, heartbeat fresh": Owner("gone", HOUR, timedelta(), dead=True),
    "its pid given to another session": Owner("other", HOUR, timedelta(), dead=True),
}


@pytest.mark.parametrize("owner", [pytest.param(owner, id=name) for name, owner in OWNERS.items()])
def test_a_dead_owner_is_taken_over_and_a_live_one_is_not(
    certjobs: Certjobs, database: TestDatabase, owner: Owner
) -> None:
    """A holder whose session is gone or that is silent for two hours loses the lock and its run; no other does."""
    load(certjobs, Mentor("A"))
    with database.connect() as other:
        held = hold(database, other)
        age(database, held.run_id, started=owner.started, heartbeat=owner.heartbeat)
        if owner.session == "other":
            for table in ("job_lock", "scheduler_run_log"):
                database.execute(f"UPDATE {table} SET backend_start = backend_start - interval '1 day'")
        if owner.session == "gone":
            other.close()
            eventually(database, "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)", pid_of(database))
        # as the owner of the server, who sees everybody's sessions
        result = certjobs(*NIGHT, "--json", url=database.url)
    assert result.exit_code == (0 if owner.dead else 75), result.stderr
    assert statuses(database) == {"A": "paused" if owner.dead else "active"}
    assert status_of(database, held.run_id) == ("abandoned" if owner.dead else "running")
    assert locks(database) == (0 if owner.dead else 1)
    if owner.dead:
        message = database.one("SELECT error_message FROM scheduler_run_log WHERE run_id = %s", held.run_id)
        assert result.json()["run_id"] in message
        assert database.one("SELECT finished_at IS NOT NULL FROM scheduler_run_log WHERE run_id = %s", held.run_id)


def pid_of(database: TestDatabase) -> int:
    pid: int = database.one("SELECT backend_pid FROM job_lock")
    return pid


def test_a_session_that_a_role_may_not_see_counts_as_alive(certjobs: Certjobs, database: TestDatabase) -> None:
    """A holder whose start the job's role cannot see is not declared dead by a start that cannot be compared."""
    load(certjobs, Mentor("A"))
    with database.connect() as other:
        hold(database, other)
        database.execute("UPDATE job_lock SET backend_start = backend_start - interval '1 day'")
        result = certjobs(*NIGHT, url=database.job_url)
    assert result.exit_code == 75
    assert statuses(database) == {"A": "active"}


def test_a_killed_holder_does_not_block_the_next_run(
    forked: Forked, certjobs: Certjobs, database: TestDatabase
) -> None:
    """After SIGKILL in mid-batch the same command works at once, and the killed run is abandoned."""
    load(certjobs, Mentor("A", -2), Mentor("B", -1))
    with row_held(database, "B"):
        child = forked.start(*NIGHT, "--batch-size", "1", url=database.job_url)
        waits_for_lock(database)
        assert child.kill().exit_code == -9
    nobody_connected(database)
    assert (locks(database), statuses(database)) == (1, {"A": "paused", "B": "active"})
    result = certjobs(*NIGHT, "--json", url=database.job_url)
    assert result.exit_code == 0
    assert [each["mentor_ref"] for each in result.json()["paused"]] == ["B"]
    assert [row.status for row in runs(database)] == ["abandoned", "succeeded"]
    assert locks(database) == 0


def test_a_release_under_way_is_waited_for(forked: Forked, certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that starts while the holder is giving the lock back waits for that and then works."""
    load(certjobs, Mentor("A"))
    with database.connect() as holder:
        held = hold(database, holder)
        with holder.transaction():
            holder.execute("DELETE FROM job_lock")
            child = forked.start(*NIGHT, url=database.job_url, env=PATIENT)
            waits_for_lock(database)
        assert child.wait().exit_code == 0
        assert statuses(database) == {"A": "paused"}
        assert status_of(database, held.run_id) == "running"


def test_an_owner_that_came_while_a_run_waited_is_alive(
    forked: Forked, certjobs: Certjobs, database: TestDatabase
) -> None:
    """A run that waited for the lock row judges its owner by the sessions there are now, not by those there were."""
    load(certjobs, Mentor("A"))
    with database.connect() as first:
        hold(database, first)
        with first.transaction():
            first.execute("DELETE FROM job_lock")
            child = forked.start(*NIGHT, "--json", env=PATIENT)
            waits_for_lock(database)
            with database.connect() as second:
                second_run = uuid4()
                first.execute(
                    "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start,"
                    " heartbeat_at) SELECT %s, %s, nextval('job_lock_fencing_token'), %s, pid, backend_start,"
                    " clock_timestamp() FROM pg_stat_activity WHERE pid = %s",
                    [JOB, second_run, HOLDER, second.info.backend_pid],
                )
                first.execute("COMMIT")
                result = child.wait()
                assert database.all("SELECT run_id FROM job_lock") == [(second_run,)]
    assert result.exit_code == 75, result.stdout
    assert HOLDER in result.json()["message"]


def test_a_takeover_stops_the_next_write(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose lock was taken over after its first batch pauses nobody more, exits 75 and stays abandoned."""
    load(certjobs, Mentor("A", -3), Mentor("B", -2), Mentor("C", -1))
    others: list[UUID] = []
    Steps(lambda: others.append(take_over(database))).install(monkeypatch)
    result = certjobs(*NIGHT, "--batch-size", "1", "--json", url=database.job_url)
    assert result.exit_code == 75
    assert statuses(database) == {"A": "paused", "B": "active", "C": "active"}
    row = last_run(database)
    assert (row.status, row.exit_code) == ("abandoned", None)
    assert str(others[0]) in (row.error_message or "")
    assert database.all("SELECT run_id FROM job_lock") == [(others[0],)]


def test_a_takeover_stops_the_next_send(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose lock was taken over while it sent a notice neither records that one nor claims or sends another."""
    load(certjobs, Mentor("A", -3), Mentor("B", -2), Mentor("C", -1))
    others: list[UUID] = []
    channel = Channel(lambda: others.append(take_over(database))).install(monkeypatch)
    result = certjobs(*NIGHT, url=database.job_url, env=CONSOLE)
    assert channel.taken == ["A"]
    assert result.exit_code == 75
    assert notices(database) == ["pending", "pending", "sending"]
    assert last_run(database).status == "abandoned"
    assert database.all("SELECT run_id FROM job_lock") == [(others[0],)]


def test_a_frozen_owner_wakes_after_another_run_did_its_work(
    forked: Forked, certjobs: Certjobs, database: TestDatabase
) -> None:
    """A process stuck in a send for hours finds its lock gone when it wakes; all notices but that one went out once."""
    load(certjobs, Mentor("A", -3), Mentor("B", -2), Mentor("C", -1, coordinators=OLA))
    with stuck_in_its_first_send(forked, database, *NIGHT, env=CONSOLE) as stuck:
        run_id = last_run(database).run_id
        age(database, run_id, started=4 * HOUR, heartbeat=3 * HOUR)
        second = certjobs(*NIGHT, url=database.job_url, env=CONSOLE)
        assert second.exit_code == 3
        assert notices(database) == ["sent", "sent", "unknown"]
        printed = stuck.release()
    result = stuck.child.wait()
    assert result.exit_code == 75
    assert printed.count("To ") == 1
    assert sum(line.startswith("To ") for line in second.stdout.splitlines()) == 2
    assert notices(database) == ["sent", "sent", "unknown"]
    assert status_of(database, run_id) == "abandoned"
    assert last_run(database).counts["notices_unknown"] == 1
    assert log_lines(result)[-1]["exit_code"] == 75


def test_a_release_leaves_the_lock_of_another_run(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose lock was taken over touches neither the new owner's lock nor its own abandoned row."""
    taken: list[list[str]] = []

    def job(_ctx: JobContext[Any]) -> Outcome:
        take_over(database, job="test-job")
        taken.extend(dump(database)[table] for table in ("job_lock", "scheduler_run_log"))
        threading.Event().wait(0.1)  # for the heartbeat, which could do harm here
        return Outcome()

    register(monkeypatch, job, name="test-job")
    certjobs("run", "test-job", url=database.job_url, env={"CERTJOBS_HEARTBEAT_SECONDS": "0.01"})
    assert [dump(database)[table] for table in ("job_lock", "scheduler_run_log")] == taken


def test_a_heartbeat_and_a_takeover_do_not_deadlock(forked: Forked, certjobs: Certjobs, database: TestDatabase) -> None:
    """A heartbeat that waits for a takeover holds nothing which the takeover needs: lock row first, then run row."""
    load(certjobs, Mentor("A"))
    with row_held(database, "A"):
        child = forked.start(*NIGHT, url=database.job_url, env={"CERTJOBS_HEARTBEAT_SECONDS": "0.1"})
        waits_for_lock(database)
        with psycopg.connect(database.url) as other:
            # the heartbeat goes on beside the batch's hold on the row, and waits for this one
            other.execute("UPDATE job_lock SET heartbeat_at = clock_timestamp()")
            eventually(
                database,
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'certjobs lock' AND wait_event_type = 'Lock')",
            )
            other.execute("SELECT 1 FROM scheduler_run_log WHERE status = 'running' FOR UPDATE NOWAIT")
    assert child.wait().exit_code == 0


def test_a_run_declared_abandoned_reports_no_success(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock was taken over after the last write, exit code and log say what the abandoned row says."""

    def job(_ctx: JobContext[Any]) -> Outcome:
        take_over(database, job="test-job")
        return Outcome()

    register(monkeypatch, job, name="test-job")
    result = certjobs("run", "test-job", url=database.job_url)
    assert last_run(database).status == "abandoned"
    assert result.exit_code == 75


def test_fencing_tokens_grow(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each owner of a lock gets a higher token than every owner before it, also after a failure and a takeover."""
    tokens: list[int] = []

    def job(_ctx: JobContext[Any]) -> Outcome:
        tokens.append(database.one("SELECT fencing_token FROM job_lock"))
        if len(tokens) == 2:
            raise RuntimeError
        return Outcome()

    register(monkeypatch, job, name="test-job")
    codes = [certjobs("run", "test-job", url=database.job_url).exit_code for _ in range(3)]
    with database.connect() as other:
        tokens.append(hold(database, other, job="test-job").token)
        take_over(database, job="test-job")
        tokens.append(database.one("SELECT fencing_token FROM job_lock"))
    codes.append(certjobs("run", "test-job", url=database.job_url).exit_code)
    assert codes == [0, 1, 0, 0]
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 6


def test_jobs_that_are_not_exclusive_run_side_by_side(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is not exclusive takes no lock and runs while another of it does; a dead one of it is abandoned."""

    def job(ctx: JobContext[Any]) -> Outcome:
        assert locks(database) == 0
        return Outcome(counts=ctx.counts)

    register(monkeypatch, job, name="test-job", exclusive=False)
    with database.connect() as alive:
        other = hold(database, alive, job="test-job").run_id
        database.execute("DELETE FROM job_lock")
        assert certjobs("run", "test-job").exit_code == 0
        assert status_of(database, other) == "running"
        database.execute("UPDATE scheduler_run_log SET backend_start = backend_start - interval '1 day'")
    assert certjobs("run", "test-job").exit_code == 0
    assert status_of(database, other) == "abandoned"
    assert last_run(database).counts == {"abandoned_found": 1}
