"""Pings: each run tells a monitor that it began and how it ended, and no ping changes how it ends."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from certjobs import __version__, bootstrap
from certjobs.cli import output
from certjobs.domain.outcome import Outcome
from certjobs.errors import ExitCode
from tests.canaries import canary
from tests.children.helpers import NIGHT, last_run, load, log_lines, register, runs
from tests.children.scripted import Reply, Scripted, scripted
from tests.children.servers import unused_port
from tests.roster import KARI, Mentor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certjobs.jobs.context import JobContext
    from tests.conftest import Certjobs, TestDatabase

KEY = canary("ping", "5d2e")
PASSWORD = canary("database", "7QmZ")
STEPS = ("expiry-check", "remind", "sync", "reconcile")


class Monitor:
    """A monitor on this machine, and what it was told."""

    def __init__(self, service: Scripted) -> None:
        self._service = service

    def env(self, address: str = "/{job}") -> dict[str, str]:
        """The setting that names it."""
        return {"CERTJOBS_PING_URL": f"{self._service.url}/ping/{KEY}{address}"}

    @property
    def told(self) -> list[tuple[str, str]]:
        """Return the job and the moment of each ping, in order."""
        paths = [urlsplit(each.target).path for each in self._service.requests]
        assert all(path.startswith(f"/ping/{KEY}/") for path in paths)
        assert {each.headers["user-agent"] for each in self._service.requests} <= {f"certjobs/{__version__}"}
        return [(path.split("/")[-2], path.split("/")[-1]) for path in paths]

    @property
    def run_ids(self) -> list[str]:
        """Return of which run each ping was."""
        return [parse_qs(urlsplit(each.target).query)["rid"][0] for each in self._service.requests]

    @property
    def targets(self) -> list[str]:
        return [each.target for each in self._service.requests]

    @property
    def bodies(self) -> list[str]:
        return [each.body.decode() for each in self._service.requests]


@contextmanager
def monitor(reply: Reply | None = None) -> Iterator[Monitor]:
    """Serve a monitor until the block ends."""
    with scripted(lambda _request: reply or Reply(200, body=b"OK")) as service:
        yield Monitor(service)


def ends(code: ExitCode, message: str | None = None) -> Any:
    """Return a job that ends so."""
    return lambda _ctx: Outcome(code, {"left_open": 4}, message)


def test_a_run_tells_that_it_began_and_how_it_ended(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run pings its job's start and exit code with its run id; the last has its counts, and neither names anybody."""
    load(certjobs, Mentor("A", -1), Mentor("B", 30))
    with monitor() as seen:
        result = certjobs(*NIGHT, url=database.job_url, env=seen.env())
        assert result.exit_code == 0
        assert seen.told == [("expiry-check", "start"), ("expiry-check", "0")]
        assert seen.run_ids == [last_run(database).run_id] * 2
        began, ended = seen.bodies
    assert began == ""
    assert ended.startswith("expiry-check succeeded (exit 0)\n")
    assert "paused 1" in ended
    assert "ping.not_sent" not in result.stderr
    for private in ("Mentor A", "Eksempel", "example.org", KEY):
        assert private not in ended + result.stdout + result.stderr


def test_the_start_is_told_before_the_work(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the job begins to work the monitor knows already, so that one who dies in it is missed."""
    known = []
    with monitor() as seen:

        def job(_ctx: JobContext[Any]) -> Outcome:
            known.append((list(seen.told), last_run(database).status))
            return Outcome()

        register(monkeypatch, job, name="test-job")
        certjobs("run", "test-job", url=database.job_url, env=seen.env())
    assert known == [([("test-job", "start")], "running")]


@pytest.mark.parametrize("code", [ExitCode.PARTIAL, ExitCode.GUARD, ExitCode.CREDENTIALS])
def test_the_exit_code_is_told(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, code: ExitCode
) -> None:
    """What a run ends with is the last part of the address, and its one line stands in the body."""
    register(monkeypatch, ends(code, "Four are left."), name="test-job")
    with monitor() as seen:
        assert certjobs("run", "test-job", url=database.job_url, env=seen.env()).exit_code == code
        assert seen.told == [("test-job", "start"), ("test-job", str(int(code)))]
        assert seen.bodies[1] == f"test-job {code.status} (exit {int(code)}): Four are left.\nleft open 4"


def test_a_job_that_breaks_is_told_without_its_words(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen exception is pinged as 1, and what it quotes does not leave the machine."""

    def job(_ctx: JobContext[Any]) -> Outcome:
        raise LookupError(KARI)

    register(monkeypatch, job, name="test-job")
    with monitor() as seen:
        assert certjobs("run", "test-job", url=database.job_url, env=seen.env()).exit_code == 1
        assert seen.told[1] == ("test-job", "1")
        assert "LookupError" in seen.bodies[1]
        assert "Kari" not in seen.bodies[1]


def test_a_terminated_run_is_told(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is told to stop pings 143 before it ends."""

    def job(_ctx: JobContext[Any]) -> Outcome:
        signal.raise_signal(signal.SIGTERM)
        return Outcome()

    register(monkeypatch, job, name="test-job")
    with monitor() as seen:
        assert certjobs("run", "test-job", url=database.job_url, env=seen.env()).exit_code == 143
        assert seen.told == [("test-job", "start"), ("test-job", "143")]


def test_with_the_database_down(certjobs: Certjobs) -> None:
    """Where nothing listens the run has no start, and its 69 reaches the monitor without address or password."""
    url = f"postgresql://jobs:{PASSWORD}@127.0.0.1:{unused_port()}/certjobs"
    with monitor() as seen:
        assert certjobs("expiry-check", url=url, env=seen.env()).exit_code == 69
        assert seen.told == [("expiry-check", "69")]
        assert PASSWORD not in str(seen.bodies)
        assert "127.0.0.1" not in str(seen.bodies)


def test_without_a_database(certjobs_unset: Certjobs) -> None:
    """A run that is given no database at all is told as 78."""
    with monitor() as seen:
        assert certjobs_unset("expiry-check", env=seen.env()).exit_code == 78
        assert seen.told == [("expiry-check", "78")]


def test_an_unknown_job_is_told_under_its_name(certjobs: Certjobs, database: TestDatabase) -> None:
    """A wrong name in a schedule is pinged under that name, which cannot lead to another address."""
    with monitor() as seen:
        assert certjobs("run", "no/such job?", url=database.job_url, env=seen.env()).exit_code == 2
        assert seen.told == [("no%2Fsuch%20job%3F", "start"), ("no%2Fsuch%20job%3F", "2")]


def test_what_pings_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """Neither a dry-run, nor one that fails, nor a run that finds its job's lock held pings anything."""
    with monitor() as seen:
        assert certjobs(*NIGHT, "--dry-run", url=database.job_url, env=seen.env()).exit_code == 0
        assert certjobs(*NIGHT, "--dry-run", "--org", "XYZ", url=database.job_url, env=seen.env()).exit_code == 2
        with database.connect() as other:
            other.execute(
                "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start)"
                " VALUES ('expiry-check', %s, 0, 'other', pg_backend_pid(), certjobs_session_start())",
                [uuid4()],
            )
            assert certjobs(*NIGHT, url=database.job_url, env=seen.env()).exit_code == 75
        assert seen.told == []


def test_a_run_that_lost_its_lock_is_told(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was declared abandoned while it worked pings its end: its start would be waited on for ever."""

    def job(_ctx: JobContext[Any]) -> Outcome:
        database.execute("UPDATE scheduler_run_log SET status = 'abandoned', finished_at = clock_timestamp()")
        return Outcome()

    register(monkeypatch, job, name="test-job")
    with monitor() as seen:
        assert certjobs("run", "test-job", url=database.job_url, env=seen.env()).exit_code == 75
        assert seen.told == [("test-job", "start"), ("test-job", "75")]


def test_the_steps_of_a_night_ping_under_their_own_names(certjobs: Certjobs, database: TestDatabase) -> None:
    """The night pings under its own name, around the pings of its steps, each with the id of its own run."""
    load(certjobs, Mentor("A", 30))
    with monitor() as seen:
        result = certjobs("nightly", "--json", url=database.job_url, env=seen.env())
        codes = {row.job_name: str(row.exit_code) for row in runs(database)}
        steps = [(job, moment) for job in STEPS for moment in ("start", codes[job])]
        assert seen.told == [("nightly", "start"), *steps, ("nightly", codes["nightly"])]
        ids = {row.job_name: row.run_id for row in runs(database)}
        assert seen.run_ids == [ids[job] for job, _ in seen.told]
    assert codes["nightly"] == str(result.exit_code)


def test_what_stands_in_the_address_stays(certjobs: Certjobs, database: TestDatabase) -> None:
    """A query in the address goes out with every ping, before the run id, and a slash at its end makes no two."""
    with monitor() as seen:
        certjobs(*NIGHT, url=database.job_url, env=seen.env("/nights/{job}/?create=1"))
        run_id = last_run(database).run_id
        assert seen.targets == [
            f"/ping/{KEY}/nights/expiry-check/{moment}?create=1&rid={run_id}" for moment in ("start", "0")
        ]


@pytest.mark.parametrize(
    "reply",
    [
        *(
            Reply(status, {"Location": "http://127.0.0.1:9/"} if status == 302 else {})
            for status in (302, 404, 429, 500)
        ),
        *(Reply(misbehaves=way) for way in ("hang", "drop", "drip")),
    ],
    ids=lambda reply: reply.misbehaves or str(reply.status),
)
def test_a_failing_monitor_changes_nothing(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    """However badly the monitor behaves, the run ends soon and as it would have; both pings are warned of."""
    monkeypatch.setattr("certjobs.adapters.pings.SECONDS", 0.3)
    register(monkeypatch, ends(ExitCode.PARTIAL, "Some are left."), name="test-job")
    began = datetime.now(UTC)
    with monitor(reply) as seen:
        result = certjobs("run", "test-job", url=database.job_url, env=seen.env())
        assert seen.told == [("test-job", "start"), ("test-job", "3")]
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert result.exit_code == 3
    assert (last_run(database).status, last_run(database).error_message) == ("partial", "Some are left.")
    warned = [line for line in log_lines(result) if line["event"] == "ping.not_sent"]
    assert [line["level"] for line in warned] == ["warning", "warning"]
    assert KEY not in result.stdout + result.stderr
    if reply.misbehaves is None:
        assert all(str(reply.status) in line["error"] for line in warned)


@pytest.mark.parametrize(
    "address", [f"http://127.0.0.1:{{port}}/{KEY}/{{job}}", f"https://{'a' * 70}.invalid/{KEY}/{{job}}"]
)
def test_a_monitor_that_is_not_there_changes_nothing(certjobs: Certjobs, database: TestDatabase, address: str) -> None:
    """Where nothing listens, or the host can have no address, the run ends with 0 and no log holds the address."""
    env = {"CERTJOBS_PING_URL": address.replace("{port}", str(unused_port()))}
    result = certjobs(*NIGHT, url=database.job_url, env=env)
    assert result.exit_code == 0
    assert [line["event"] for line in log_lines(result)].count("ping.not_sent") == 2
    assert KEY not in result.stderr
    assert "127.0.0.1" not in result.stderr


def test_who_is_no_night_has_no_pinger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on an embedded database and a watcher's many runs have none: it would hide that the night did not come."""
    monkeypatch.setenv("CERTJOBS_PING_URL", "https://monitor.example.org/{job}")

    def pinger(request: bootstrap.Request, **others: Any) -> object:
        env = bootstrap.Environment(request, output.progress(), **others)
        try:
            return env.pinger
        finally:
            env.close()

    assert pinger(bootstrap.Request()) is not None
    assert pinger(bootstrap.Request(local=True)) is None
    assert pinger(bootstrap.Request(), waiting=lambda: None) is None
