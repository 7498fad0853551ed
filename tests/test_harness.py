"""A run from its first row to its exit code: rows, counts, exit codes, signals, heartbeat, alerts and logs."""

from __future__ import annotations

import json
import signal
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

from certjobs import __version__
from certjobs.adapters.alerts import WebhookAlerter
from certjobs.domain.outcome import Outcome
from certjobs.errors import ExitCode, InputRejected, Unavailable
from certjobs.ports import Alert
from tests.canaries import canary
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
    notices,
    register,
    row_held,
    runs,
    statuses,
    waits_for_lock,
)
from tests.children.processes import Forked, eventually, stuck_in_its_first_send
from tests.children.servers import (
    SECRET_PATH,
    Manner,
    database_that_rejects_passwords,
    unused_port,
    webhook,
)
from tests.roster import KARI, OLA, TODAY, Mentor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from certjobs.jobs.context import JobContext
    from tests.conftest import Certjobs, CertjobsProcess, Cluster, Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

PASSWORD = canary("database", "7QmZ")
PRIVATE = ("Kari", "Ola", "Eksempel", "example.org", "Mentor A", "Mentor B", "Mentor C", PASSWORD, SECRET_PATH)
THREE = (Mentor("A", -3), Mentor("B", -2, KARI), Mentor("C", -1, f"{KARI}|{OLA}"))


def with_password(url: str) -> str:
    """Return an address with a password in it, which the tests' server ignores."""
    return url.replace("@/", f":{PASSWORD}@/")


def assert_nothing_private(*texts: str) -> None:
    found = {word for word in PRIVATE for text in texts if word in text}
    assert not found, f"{found} in {texts}"


def assert_row_is_report(database: TestDatabase, result: Result) -> None:
    """The row, the last log line and the exit code tell the same."""
    row = last_run(database)
    last = log_lines(result)[-1]
    assert last["event"] == "run.finished"
    assert {name: last[name] for name in ("run_id", "job", "status", "exit_code", "message", "counts")} == {
        "run_id": row.run_id,
        "job": row.job_name,
        "status": row.status,
        "exit_code": row.exit_code,
        "message": row.error_message,
        "counts": row.counts,
    }
    assert row.exit_code == result.exit_code


def refuse(database: TestDatabase, table: str, event: str, *, when: str = "true") -> None:
    """Let the database refuse a change of a table, quoting people's names as PostgreSQL quotes rows."""
    database.execute(
        "CREATE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION 'Mentor A, {KARI}'; END $$"
    )
    database.execute(
        f"CREATE TRIGGER test_refuse BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
        " EXECUTE FUNCTION test_refuse()"
    )


# An exception in the job.


def test_an_exception_in_the_job_is_a_failed_row(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen exception ends with 1, a failed row that says what broke and where, kept counts and no lock."""

    def job(ctx: JobContext[Any]) -> Outcome:
        ctx.count(done=2)
        with ctx.transaction() as store:
            store.organisations.all()
        ctx.count(done=1)
        msg = f"Mentor A\n{KARI} {PASSWORD}"
        raise LookupError(msg)

    register(monkeypatch, job, name="test-job")
    result = certjobs("run", "test-job", "--json", url=with_password(database.job_url))
    assert result.exit_code == 1
    row = last_run(database)
    assert (row.job_name, row.status, row.exit_code, row.counts) == ("test-job", "failed", 1, {"done": 3})
    assert "LookupError" in (row.error_message or "")
    assert len((row.error_message or "").splitlines()) == 1
    assert locks(database) == 0
    assert_nothing_private(row.error_message or "", result.stdout, result.stderr)
    assert_row_is_report(database, result)
    assert "finished_at" in certjobs("runs", "show", row.run_id, "--json").json()


def test_a_statement_that_fails_quotes_no_row(certjobs: Certjobs, database: TestDatabase) -> None:
    """What the database says about a failed statement, a row with names in it, reaches neither row, output nor log."""
    load(certjobs, *(Mentor(f"M{number}") for number in range(26)))
    refuse(database, "guarded_sets", "INSERT")
    result = certjobs(*NIGHT, url=with_password(database.job_url))
    row = last_run(database)
    assert (result.exit_code, row.status, row.exit_code) == (1, "failed", 1)
    assert "RaiseException" in (row.error_message or "")
    assert "certjobs/" in (row.error_message or "")
    assert len((row.error_message or "").splitlines()) == 1
    assert_nothing_private(row.error_message or "", result.stdout, result.stderr)
    assert locks(database) == 0
    assert set(statuses(database).values()) == {"active"}


def test_counts_reached_before_a_failure_are_kept(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that breaks after two batches says in its row that two mentors were paused, and they are."""
    load(certjobs, *THREE)
    database.execute(
        "CREATE FUNCTION test_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    database.execute(
        "CREATE TRIGGER test_end BEFORE UPDATE ON peer_mentors FOR EACH ROW WHEN (OLD.external_ref = 'C')"
        " EXECUTE FUNCTION test_end()"
    )
    with webhook() as hook:
        result = certjobs(*NIGHT, "--batch-size", "1", url=database.job_url, env=hook.env)
        assert [alert["exit_code"] for alert in hook.posted] == [69]
    assert result.exit_code == 69
    row = last_run(database)
    assert (row.status, row.exit_code) == ("failed", 69)
    assert (row.counts["expired"], row.counts["paused"]) == (3, 2)
    assert statuses(database) == {"A": "paused", "B": "paused", "C": "active"}
    assert locks(database) == 0
    assert_row_is_report(database, result)
    database.execute("DROP TRIGGER test_end ON peer_mentors")
    assert certjobs(*NIGHT, url=database.job_url).exit_code == 0
    assert set(statuses(database).values()) == {"paused"}


def test_the_job_s_own_outcome_is_the_run_s(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's message, counts and exit code stand in row and report; an error that has a code ends with that code."""
    outcomes: list[Callable[[], Outcome]] = [
        lambda: Outcome(ExitCode.PARTIAL, {"left": 4}, "Four are left.", hint="Wait."),
        lambda: _raise(InputRejected("The file is wrong.", hint="Mend it.")),
    ]
    register(monkeypatch, lambda _ctx: outcomes.pop(0)(), name="test-job")
    partial = certjobs("run", "test-job", "--json").json()
    assert (partial["exit_code"], partial["status"], partial["message"]) == (3, "partial", "Four are left.")
    rejected = certjobs("run", "test-job", "--json").json()
    assert (rejected["exit_code"], rejected["message"], rejected["hint"]) == (65, "The file is wrong.", "Mend it.")
    assert [(row.status, row.exit_code, row.error_message, row.counts) for row in runs(database)] == [
        ("partial", 3, "Four are left.", {"left": 4}),
        ("failed", 65, "The file is wrong.", {}),
    ]


def _raise(error: Exception) -> Outcome:
    raise error


# Every start leaves a row.


def test_an_unknown_job_is_a_failed_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """A job name that does not exist ends with 2, says the names that do, alerts, and leaves a failed row under it."""
    with webhook() as hook:
        result = certjobs("run", "no-such-job", url=database.job_url, env=hook.env)
        assert [alert["job"] for alert in hook.posted] == ["no-such-job"]
    assert result.exit_code == 2
    assert "expiry-check" in result.stderr
    row = last_run(database)
    assert (row.job_name, row.status, row.exit_code) == ("no-such-job", "failed", 2)
    assert "no-such-job" in (row.error_message or "")
    assert locks(database) == 0


def test_an_unknown_job_says_so_as_json(certjobs: Certjobs, database: TestDatabase) -> None:
    """With --json an unknown job prints one JSON document with the code and the names there are."""
    result = certjobs("run", "no-such-job", "--json", url=database.job_url)
    assert (result.exit_code, result.json()["exit_code"]) == (2, 2)
    assert "expiry-check" in result.json()["hint"]


def test_the_scheduler_s_name_runs_the_job(certjobs: Certjobs, database: TestDatabase) -> None:
    """The specification's name of the job is an alias: it does the work and is logged under the job's own name."""
    load(certjobs, Mentor("A"))
    result = certjobs("run", "certification_expiry_check", "--as-of", TODAY.isoformat(), url=database.job_url)
    assert result.exit_code == 0
    assert statuses(database) == {"A": "paused"}
    assert last_run(database).job_name == "expiry-check"
    assert [row["run_id"] for row in certjobs("runs", "--job", "certification_expiry_check", "--json").json()] == [
        last_run(database).run_id
    ]


def test_a_refused_option_leaves_a_row(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation that does not exist ends with 2 and is logged as a failed run."""
    result = certjobs(*NIGHT, "--org", "XYZ", url=database.job_url)
    assert result.exit_code == 2
    assert (last_run(database).status, last_run(database).exit_code) == ("failed", 2)


def test_a_refused_day_leaves_a_row(certjobs: Certjobs, database: TestDatabase) -> None:
    """A day to come is refused with 2 before anything is paused, and that start is logged as a failed run too."""
    load(certjobs, Mentor("A"))
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    result = certjobs("expiry-check", "--as-of", tomorrow.isoformat(), url=database.job_url)
    assert result.exit_code == 2
    assert statuses(database) == {"A": "active"}
    assert [(row.status, row.exit_code) for row in runs(database)] == [("failed", 2)]


def test_a_row_tells_who_what_and_when(certjobs: Certjobs, database: TestDatabase) -> None:
    """A finished run's row holds its trigger, day, host, actor, version and times."""
    certjobs(*NIGHT, url=database.job_url, env={"CERTJOBS_TRIGGER": "schedule", "CERTJOBS_ACTOR": "cron"})
    ((trigger, as_of, host, actor, version, in_order),) = database.all(
        "SELECT trigger, as_of, host, actor, version, started_at <= heartbeat_at AND heartbeat_at <= finished_at"
        " FROM scheduler_run_log"
    )
    assert (trigger, as_of, host, actor, in_order) == ("schedule", TODAY, socket.gethostname(), "cron", True)
    assert version == __version__


# Dry-runs.


@pytest.mark.parametrize("env", [{}, CONSOLE], ids=["no channel", "console"])
@pytest.mark.parametrize("guarded", [False, True], ids=["within the guard", "refused by the guard"])
def test_a_dry_run_is_the_run_and_changes_nothing(
    certjobs: Certjobs, database: TestDatabase, env: dict[str, str], *, guarded: bool
) -> None:
    """A dry-run counts and names what the run after it does, and leaves every table, and everybody, untouched."""
    load(certjobs, *THREE, *(Mentor(f"M{number}") for number in range(26 if guarded else 0)))
    before = dump(database), database.one("SELECT last_value FROM job_lock_fencing_token")
    with webhook() as hook:
        dry = certjobs(*NIGHT, "--dry-run", "--json", url=database.job_url, env=env | hook.env)
        assert hook.posted == []
    assert (dump(database), database.one("SELECT last_value FROM job_lock_fencing_token")) == before
    assert "To " not in dry.stdout + dry.stderr
    real = certjobs(*NIGHT, "--json", url=database.job_url, env=env)
    assert dry.exit_code == real.exit_code == (4 if guarded else 0)
    told, done = dry.json(), real.json()
    assert (told.pop("dry_run"), done.pop("dry_run")) == (True, False)
    told["channel"] = done["channel"] = None
    for document in (told, done):
        del document["run_id"], document["seconds"], document["hint"]
    assert told == done
    assert done["counts"]["expired"] == (29 if guarded else 3)


def test_a_dry_run_that_breaks_leaves_nothing(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry-run whose job breaks after a unit of work is rolled back, leaves no row and alerts nobody."""
    load(certjobs, *THREE)
    before = dump(database)
    Steps(lambda: _raise(RuntimeError(KARI))).install(monkeypatch)
    with webhook() as hook:
        result = certjobs(*NIGHT, "--dry-run", url=database.job_url, env=hook.env)
        assert hook.posted == []
    assert result.exit_code == 1
    assert dump(database) == before
    assert_nothing_private(result.stdout, result.stderr)


class Watch:
    """The clock by which a dry-run measures how long it holds its locks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("certjobs.db.store.time", self)

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("seconds", "exit_code"), [(19.0, 0), (20.0, 3)])
def test_a_dry_run_is_rolled_back_after_twenty_seconds(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, seconds: float, exit_code: int
) -> None:
    """A dry-run does not begin another unit of work after 20 s: it is rolled back, ends with 3 and says so."""
    load(certjobs, *THREE)
    before = dump(database)
    watch = Watch(monkeypatch)
    Steps(lambda: watch.advance(seconds)).install(monkeypatch)
    result = certjobs(*NIGHT, "--dry-run", "--batch-size", "1", "--json", url=database.job_url)
    assert result.exit_code == exit_code
    assert dump(database) == before
    assert result.json()["counts"]["paused"] == (1 if exit_code else 3)
    if exit_code:
        assert "rolled back after 20 s" in result.json()["message"]


def test_a_dry_run_s_statement_ends_with_its_time(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that is still working when the dry-run's time is up is cancelled, and that too is exit 3."""
    load(certjobs, *THREE)
    slow = "CREATE FUNCTION test_slow(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(6) IS NOT NULL'"
    database.execute(slow)
    database.execute("ALTER TABLE peer_mentors ENABLE ROW LEVEL SECURITY")
    database.execute("CREATE POLICY test_slow ON peer_mentors AS RESTRICTIVE USING (test_slow(id))")
    before = dump(database)
    monkeypatch.setattr("certjobs.db.store.DRY_RUN_SECONDS", 0.4)
    result = certjobs(*NIGHT, "--dry-run", "--json", url=database.job_url)
    assert dump(database) == before
    assert result.json()["seconds"] < 5
    assert result.exit_code == 3, result.json()["message"]
    assert "rolled back" in result.json()["message"]


def test_a_dry_run_waits_for_nobody(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry-run gives up on a row that the application holds, says that this mentor failed, and goes on."""
    load(certjobs, *THREE)
    monkeypatch.setattr("certjobs.db.store.DRY_RUN_LOCK_TIMEOUT", 0.1)
    with row_held(database, "B"):
        result = certjobs(*NIGHT, "--dry-run", "--json", url=database.job_url)
    assert result.exit_code == 3
    assert (result.json()["failed"], result.json()["counts"]["paused"]) == (["B"], 2)


# The database goes away.


def test_a_database_that_is_down_is_69(certjobs: Certjobs) -> None:
    """Where nothing listens a run ends with 69 and an alert, and says nothing of the address or its password."""
    url = f"postgresql://jobs:{PASSWORD}@127.0.0.1:{unused_port()}/certjobs"
    with webhook() as hook:
        result = certjobs("expiry-check", "--json", url=url, env=hook.env)
        assert [(alert["kind"], alert["exit_code"]) for alert in hook.posted] == [("failure", 69)]
        assert_nothing_private(*hook.raw, result.stdout, result.stderr)
    assert result.exit_code == 69
    assert result.json()["status"] == "failed"
    assert log_lines(result)[-1]["exit_code"] == 69


def test_a_rejected_password_is_77(certjobs: Certjobs) -> None:
    """Credentials that the database rejects end the run with 77 and an alert that does not repeat them."""
    with webhook() as hook, database_that_rejects_passwords() as server:
        url = f"postgresql://jobs:{PASSWORD}@{server}/certjobs"
        result = certjobs("expiry-check", "--json", url=url, env=hook.env)
        assert [alert["exit_code"] for alert in hook.posted] == [77]
        assert_nothing_private(*hook.raw, result.stdout, result.stderr)
    assert result.exit_code == 77


def test_a_database_that_does_not_exist_is_78(certjobs: Certjobs, database: TestDatabase) -> None:
    """A database that its server does not have is a matter for the operator: 78, and an alert."""
    with webhook() as hook:
        url = database.url.replace(database.name, "no_such_database")
        result = certjobs("expiry-check", url=url, env=hook.env)
        assert [alert["exit_code"] for alert in hook.posted] == [78]
    assert result.exit_code == 78


def test_a_database_lost_for_good_in_mid_run_is_69(
    certjobs: Certjobs, database: TestDatabase, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When not even the outcome can be written the run ends with 69 and an alert; the next one finds it abandoned."""
    load(certjobs, *THREE)

    def lose() -> None:
        cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")

    Steps(lose).install(monkeypatch)
    with webhook() as hook:
        result = certjobs(*NIGHT, "--batch-size", "1", "--json", url=database.job_url, env=hook.env)
        assert [(alert["exit_code"], alert["counts"]["paused"]) for alert in hook.posted] == [(69, 1)]
    assert result.exit_code == 69
    assert log_lines(result)[-1]["exit_code"] == 69
    cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
    assert (last_run(database).status, statuses(database)["A"]) == ("running", "paused")
    assert certjobs(*NIGHT, url=database.job_url).exit_code == 0
    assert [row.status for row in runs(database)] == ["abandoned", "succeeded"]
    assert set(statuses(database).values()) == {"paused"}


def test_an_outcome_that_cannot_be_written_is_no_success(
    certjobs: Certjobs, database: TestDatabase, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose work is done but whose row cannot be written does not exit 0."""

    def job(_ctx: JobContext[Any]) -> Outcome:
        cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
        return Outcome()

    register(monkeypatch, job, name="test-job")
    with webhook() as hook:
        result = certjobs("run", "test-job", url=database.job_url, env=hook.env)
        assert [alert["exit_code"] for alert in hook.posted] == [69]
    cluster.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
    assert result.exit_code == 69


# Signals.


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_mid_batch(
    forked: Forked, certjobs: Certjobs, database: TestDatabase, number: signal.Signals, exit_code: int
) -> None:
    """A run that is told to stop rolls back its batch, keeps what it committed, says so and gives the lock back."""
    load(certjobs, *THREE)
    with row_held(database, "C"):
        child = forked.start(*NIGHT, "--batch-size", "1", url=database.job_url)
        waits_for_lock(database)
        child.send(number)
        result = child.wait()
    assert result.exit_code == exit_code
    assert statuses(database) == {"A": "paused", "B": "paused", "C": "active"}
    row = last_run(database)
    assert (row.status, row.exit_code, row.counts["paused"]) == ("failed", exit_code, 2)
    assert "what it had committed stays" in (row.error_message or "")
    assert locks(database) == 0
    assert_row_is_report(database, result)
    again = certjobs(*NIGHT, "--json", url=database.job_url)
    assert (again.exit_code, again.json()["counts"]["paused"]) == (0, 1)
    assert set(statuses(database).values()) == {"paused"}


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_a_notice_is_being_sent(
    forked: Forked, certjobs: Certjobs, database: TestDatabase, number: signal.Signals, exit_code: int
) -> None:
    """The notice that is being sent when the signal comes is sent and recorded, the others stay owed."""
    load(certjobs, *THREE)
    with stuck_in_its_first_send(forked, database, *NIGHT, env=CONSOLE) as stuck:
        stuck.child.send(number)
        printed = stuck.release()
        result = stuck.child.wait()
    assert result.exit_code == exit_code
    assert notices(database) == ["pending", "pending", "pending", "sent"]
    assert sum(line.startswith("To ") for line in printed.splitlines()) == 1
    row = last_run(database)
    assert (row.exit_code, row.counts["paused"], row.counts["notices_sent"]) == (exit_code, 3, 1)
    assert locks(database) == 0
    assert certjobs(*NIGHT, url=database.job_url, env=CONSOLE).exit_code == 0
    assert notices(database) == ["sent"] * 4


def test_a_signal_in_a_dry_run(forked: Forked, certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run that is terminated ends with 143, is rolled back and leaves no row."""
    load(certjobs, *THREE)
    before = dump(database)
    with row_held(database, "B"):
        child = forked.start(*NIGHT, "--dry-run", "--batch-size", "1", url=database.job_url)
        waits_for_lock(database)
        child.send(signal.SIGTERM)
        assert child.wait().exit_code == 143
    assert dump(database) == before


def test_the_signals_are_given_back(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a run the process's signals do again what they did before it."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    certjobs(*NIGHT, url=database.job_url)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_real_process_that_is_terminated(
    certjobs_process: CertjobsProcess, certjobs: Certjobs, database: TestDatabase
) -> None:
    """SIGTERM ends ``python -m certjobs`` with 143 and a row that says so, as Kubernetes sees it."""
    load(certjobs, *THREE)
    with row_held(database, "A"), certjobs_process.start(*NIGHT, url=database.job_url) as process:
        waits_for_lock(database)
        process.terminate()
        output, log = process.communicate(timeout=30)
    assert process.returncode == 143
    assert b"failed (exit 143)" in output
    assert json.loads(log.splitlines()[-1])["exit_code"] == 143
    assert last_run(database).exit_code == 143


# Heartbeat.

QUICK = {"CERTJOBS_HEARTBEAT_SECONDS": "0.02"}


def test_a_heartbeat_survives_the_loss_of_its_session(
    forked: Forked, certjobs: Certjobs, database: TestDatabase
) -> None:
    """A working run says that it is alive, on a new session where its old one was lost, and releases its lock."""
    load(certjobs, *THREE)
    with row_held(database, "A"):
        child = forked.start(*NIGHT, url=database.job_url, env=QUICK)
        waits_for_lock(database)
        first = database.one("SELECT heartbeat_at FROM job_lock")
        eventually(database, "SELECT heartbeat_at > %s FROM job_lock", first)
        eventually(database, "SELECT heartbeat_at > %s FROM scheduler_run_log WHERE status = 'running'", first)
        pid = database.one("SELECT pg_terminate_backend(backend_pid)::text || backend_pid::text FROM job_lock")
        pid = int(pid.removeprefix("true"))
        eventually(database, "SELECT backend_pid <> %s FROM job_lock", pid)
        eventually(
            database,
            "SELECT bool_and(l.backend_pid = r.backend_pid AND a.backend_start = l.backend_start"
            " AND r.backend_start = l.backend_start) FROM job_lock l JOIN scheduler_run_log r USING (run_id)"
            " JOIN pg_stat_activity a ON a.pid = l.backend_pid",
        )
        assert certjobs(*NIGHT, url=database.job_url).exit_code == 75
    result = child.wait()
    assert result.exit_code == 0
    assert "heartbeat.failed" in {line["event"] for line in log_lines(result)}
    assert locks(database) == 0
    assert [row.status for row in runs(database)] == ["succeeded", "skipped"]


# Alerts.


def test_a_failure_is_told(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed run posts one JSON document with run, code, status, counts and what to do, and nothing private."""

    def job(ctx: JobContext[Any]) -> Outcome:
        ctx.count(done=2)
        return _raise(RuntimeError(f"{KARI} {PASSWORD}"))

    register(monkeypatch, job, name="test-job")
    with webhook() as hook:
        result = certjobs("run", "test-job", url=with_password(database.job_url), env=hook.env)
        (alert,) = hook.posted
        assert_nothing_private(*hook.raw, result.stdout, result.stderr)
    row = last_run(database)
    assert result.exit_code == 1
    assert (alert["kind"], alert["job"], alert["run_id"]) == ("failure", "test-job", row.run_id)
    assert (alert["exit_code"], alert["status"], alert["counts"]) == (1, "failed", {"done": 2})
    assert alert["message"] == row.error_message
    assert alert["message"] in alert["text"]
    assert alert["hint"] in alert["text"]


def test_a_refusal_by_the_guard_is_told_every_night(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that the guard refuses posts a guard alert with the set's hash, the next night again, and no names."""
    load(certjobs, *(Mentor(f"M{number}") for number in range(26)))
    with webhook() as hook:
        results = [certjobs(*NIGHT, url=database.job_url, env=hook.env) for _ in range(2)]
        alerts = hook.posted
        assert_nothing_private(*hook.raw)
    stored = database.one("SELECT hash FROM guarded_sets")
    assert [result.exit_code for result in results] == [4, 4]
    assert [(alert["kind"], alert["exit_code"], alert["counts"]["expired"]) for alert in alerts] == [
        ("guard", 4, 26),
        ("guard", 4, 26),
    ]
    assert [alert["run_id"] for alert in alerts] == [row.run_id for row in runs(database)]
    assert all(stored[:12] in alert["message"] for alert in alerts)


def test_nobody_is_told_of_what_is_well(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that succeeds, one that is skipped and a dry-run that fails alert nobody."""
    load(certjobs, *THREE)
    with webhook() as hook:
        assert certjobs(*NIGHT, "--dry-run", "--org", "XYZ", url=database.job_url, env=hook.env).exit_code == 2
        with database.connect() as other:
            other.execute(
                "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start)"
                " VALUES ('expiry-check', %s, 0, 'other', pg_backend_pid(), certjobs_session_start())",
                [uuid4()],
            )
            assert certjobs(*NIGHT, url=database.job_url, env=hook.env).exit_code == 75
        assert certjobs(*NIGHT, url=database.job_url, env=hook.env).exit_code == 0
        assert hook.posted == []


@pytest.mark.parametrize("manner", ["fails", "redirects", "says nothing", "never ends", "hangs up"])
def test_a_failing_webhook_changes_nothing(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, manner: Manner
) -> None:
    """However badly the webhook behaves, the run ends soon with its own code and row; what it refused is logged."""
    monkeypatch.setattr("certjobs.adapters.alerts.TIMEOUT", httpx.Timeout(0.3))
    register(monkeypatch, lambda _ctx: Outcome(ExitCode.PARTIAL, {}, "Some are left."), name="test-job")
    began = datetime.now(UTC)
    with webhook(manner) as hook:
        result = certjobs("run", "test-job", url=database.job_url, env=hook.env)
        assert len(hook.posted) == 1
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert result.exit_code == 3
    assert (last_run(database).status, last_run(database).error_message) == ("partial", "Some are left.")
    if manner != "never ends":  # that one had said 200 before it went on
        assert "alert.not_sent" in {line["event"] for line in log_lines(result)}
    assert_row_is_report(database, result)
    assert_nothing_private(result.stdout, result.stderr)


def test_a_webhook_that_is_not_there_changes_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """An alert that nobody takes leaves exit code and row as they were, and its address out of the log."""
    env = {"CERTJOBS_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{unused_port()}{SECRET_PATH}"}
    result = certjobs("run", "no-such-job", url=database.job_url, env=env)
    assert result.exit_code == 2
    assert last_run(database).exit_code == 2
    assert "alert.not_sent" in result.stderr
    assert_nothing_private(result.stderr)


def test_an_alert_s_error_does_not_name_the_webhook() -> None:
    """What the alerter raises, whether nobody listens or the answer is no, does not hold the webhook's address."""
    alert = Alert("failure", "test-job", uuid4(), 1, "failed", "It broke.", None, {})
    with webhook("fails") as hook:
        for url in (f"http://127.0.0.1:{unused_port()}{SECRET_PATH}", hook.url):
            with pytest.raises(Unavailable) as raised:
                WebhookAlerter(url).alert(alert)
            assert_nothing_private(str(raised.value), str(raised.value.__cause__))


@pytest.mark.parametrize("url", ["http://hooks.example.org/geheim", "http://10.0.0.7/geheim", "ftp://127.0.0.1/geheim"])
def test_a_webhook_in_plain_text_is_refused(certjobs: Certjobs, database: TestDatabase, url: str) -> None:
    """A webhook address without TLS is refused with 78 unless it is on this machine, and is not repeated."""
    load(certjobs, Mentor("A"))
    result = certjobs(*NIGHT, url=database.job_url, env={"CERTJOBS_ALERT_WEBHOOK_URL": url})
    assert result.exit_code == 78
    assert "CERTJOBS_ALERT_WEBHOOK_URL" in result.stderr
    assert "geheim" not in result.stdout + result.stderr
    assert statuses(database) == {"A": "active"}


# One failure is one failure.


def test_a_notice_that_cannot_be_claimed_stops_no_other(certjobs: Certjobs, database: TestDatabase) -> None:
    """A notice that the database refuses to touch stays owed; the others are sent, and the run ends with 3."""
    load(certjobs, *THREE)
    mentor = database.one("SELECT id FROM peer_mentors WHERE external_ref = 'A'")
    refuse(database, "notifications", "UPDATE", when=f"OLD.mentor_id = {mentor}")
    result = certjobs(*NIGHT, url=database.job_url, env=CONSOLE)
    assert notices(database) == ["pending", "sent", "sent", "sent"]
    assert result.exit_code == 3


# Logs.


def test_logs_are_json_with_the_run_and_nobody_s_name(
    certjobs_process: CertjobsProcess, certjobs: Certjobs, database: TestDatabase
) -> None:
    """A process's stderr is JSON lines that all carry the run; no name, address or password stands in its output."""
    load(certjobs, *THREE)
    refuse(database, "peer_mentors", "UPDATE", when="OLD.external_ref = 'A'")
    with webhook("fails") as hook:
        env = hook.env | {"CERTJOBS_LOG_LEVEL": "debug"}
        result = certjobs_process(*NIGHT, "--org", "HLF", url=with_password(database.job_url), env=env)
    assert result.exit_code == 3, result.stderr
    lines = log_lines(result)
    assert {"run.started", "expiry_check.mentors_failed", "alert.not_sent", "run.finished"} <= {
        line["event"] for line in lines
    }
    assert {line["run_id"] for line in lines} == {last_run(database).run_id}
    assert all({"event", "level", "timestamp", "job"} <= line.keys() for line in lines)
    assert_nothing_private(result.stdout, result.stderr)
    assert_row_is_report(database, result)


def test_every_outcome_keeps_names_out_and_matches_its_row(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success, guard, lock, a channel that throws and a job that breaks: log and row agree, and name nobody."""
    load(certjobs, *THREE, *(Mentor(f"N{number}", organisation="NHF") for number in range(26)))
    database.execute("UPDATE organisations SET auto_pause = true WHERE code = 'NHF'")
    url = with_password(database.job_url)

    def throw() -> None:
        raise ValueError(KARI)

    Channel(throw).install(monkeypatch)
    results = [
        certjobs(*NIGHT, "--org", "NHF", url=url),
        certjobs(*NIGHT, "--org", "HLF", "--debug", url=url, env=CONSOLE),
        certjobs("run", "certification_expiry_check", "--as-of", TODAY.isoformat(), url=url),
    ]
    assert [result.exit_code for result in results] == [4, 3, 4]
    assert_nothing_private(*(text for result in results for text in (result.stdout, result.stderr)))
    assert_nothing_private(*(row for row in dump(database)["scheduler_run_log"]))
    assert [log_lines(result)[-1]["run_id"] for result in results] == [row.run_id for row in runs(database)]
    assert_row_is_report(database, results[-1])


# Reading the run log.


def enter(database: TestDatabase, run_id: str, job: str, status: str, exit_code: int | None, minute: int) -> None:
    """Write down a run of the past."""
    started = datetime(2026, 11, 1, 2, minute, tzinfo=UTC)
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, started_at, finished_at, status, exit_code, host,"
        " version, actor, error_message, counts)"
        " VALUES (%s, %s, 'schedule', %s, %s, %s, %s, 'node-7', '0', 'cron', %s, '{\"paused\": 3}')",
        UUID(run_id),
        job,
        started,
        started + timedelta(seconds=5),
        status,
        exit_code,
        None if status == "succeeded" else f"It {status}.",
    )


@pytest.fixture
def past(database: TestDatabase) -> TestDatabase:
    """A database with six runs of the past."""
    for minute, (run_id, job, status, exit_code) in enumerate(
        [
            ("aaaa1111-0000-4000-8000-000000000001", "expiry-check", "succeeded", 0),
            ("aaaa2222-0000-4000-8000-000000000002", "expiry-check", "failed", 1),
            ("bbbb0000-0000-4000-8000-000000000003", "expiry-check", "partial", 3),
            ("cccc0000-0000-4000-8000-000000000004", "expiry-check", "skipped", 75),
            ("dddd0000-0000-4000-8000-000000000005", "sync", "abandoned", None),
            ("eeee0000-0000-4000-8000-000000000006", "sync", "succeeded", 0),
        ]
    ):
        enter(database, run_id, job, status, exit_code, minute)
    return database


def initials(documents: Iterable[dict[str, Any]]) -> list[str]:
    return [each["run_id"][:5] for each in documents]


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ([], ["eeee0", "dddd0", "cccc0", "bbbb0", "aaaa2", "aaaa1"]),
        (["--failed"], ["dddd0", "bbbb0", "aaaa2"]),
        (["--job", "sync"], ["eeee0", "dddd0"]),
        (["--job", "sync", "--failed"], ["dddd0"]),
        (["--job", "certification_expiry_check", "--limit", "2"], ["cccc0", "bbbb0"]),
        (["--job", "never-was"], []),
    ],
)
def test_runs_are_listed_newest_first(
    certjobs: Certjobs, past: TestDatabase, argv: list[str], found: list[str]
) -> None:
    """``runs`` lists the latest runs, only failed ones or only one job's where asked, for people and programs alike."""
    as_json = certjobs("runs", *argv, "--json", url=past.job_url)
    assert (as_json.exit_code, initials(as_json.json())) == (0, found)
    as_table = certjobs("runs", *argv, url=past.job_url)
    assert as_table.exit_code == 0
    shown = [line.split()[0][:5] for line in as_table.stdout.splitlines() if line.strip()[:5] in found]
    assert shown == found


def test_one_run_is_shown_by_the_beginning_of_its_id(certjobs: Certjobs, past: TestDatabase) -> None:
    """``runs show`` takes a prefix in any case and shows when, who, how it ended, what it counted and who acts."""
    result = certjobs("runs", "show", "AAAA2", url=past.job_url)
    assert result.exit_code == 0
    for word in ("aaaa2222-0000-4000-8000-000000000002", "failed", "It failed.", "node-7", "cron", "paused", "look"):
        assert word in result.stdout
    document = certjobs("runs", "show", "aaaa2", "--json", url=past.job_url).json()
    assert (document["status"], document["exit_code"], document["counts"]) == ("failed", 1, {"paused": 3})
    assert document["started_at"].startswith("2026-11-01T02:01:00")


@pytest.mark.parametrize(
    ("prefix", "words"), [("ffff", "No run"), ("aaaa", "More than one run"), ("%", "No run"), ("____1", "No run")]
)
def test_a_prefix_that_names_no_one_run_is_refused(
    certjobs: Certjobs, past: TestDatabase, prefix: str, words: str
) -> None:
    """A prefix of no run, or of several, ends with 2 and says which of the two it is; wildcards are plain letters."""
    result = certjobs("runs", "show", prefix, url=past.job_url)
    assert result.exit_code == 2
    assert words in result.stderr
    document = certjobs("runs", "show", prefix, "--json", url=past.job_url).json()
    assert document["exit_code"] == 2
    assert words in document["message"]


def test_runs_that_just_happened_are_found(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run's id as the report prints it finds its row, and the listing shows a running, a failed and a good run."""
    load(certjobs, *THREE)
    good = certjobs(*NIGHT, "--json", url=database.job_url).json()["run_id"]
    certjobs("run", "no-such-job", url=database.job_url)
    assert certjobs("runs", "show", good[:8], "--json").json()["run_id"] == good
    listed = certjobs("runs", "--json").json()
    assert [(row["job_name"], row["status"]) for row in listed] == [
        ("no-such-job", "failed"),
        ("expiry-check", "succeeded"),
    ]
    assert [row["job_name"] for row in certjobs("runs", "--failed", "--json").json()] == ["no-such-job"]
