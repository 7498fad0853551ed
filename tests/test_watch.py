"""sync --watch as a process: changes that reach the portal, what is away, what ends it, and several at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING

import psycopg
import pytest

from certjobs.local import postgres
from certjobs.local.simulator.server import SECRET
from tests.canaries import canary, store
from tests.children.helpers import last_run, load, nobody_connected, runs
from tests.children.processes import eventually
from tests.children.servers import Webhook, webhook
from tests.conftest import Certjobs, CertjobsProcess, Cluster, TestDatabase, migrate
from tests.roster import Mentor
from tests.test_outbox import FOR_EVER, WHY, do
from tests.test_sync_drain import ROSTER, sent_in_order, wanted
from tests.watched import Background, WatchedPortal, account, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NEW = canary("client", "another")
BATCH = 5
QUICK = 50.0  # times as fast as usual
PAUSE = "UPDATE peer_mentors SET status = 'paused', pause_reason = 'away' WHERE external_ref = ANY (%s)"
REINSTATE = "UPDATE peer_mentors SET status = 'active', pause_reason = NULL WHERE external_ref = ANY (%s)"
OVER = "UPDATE sync_queue SET leased_until = clock_timestamp() - interval '1 s' WHERE status = 'processing'"
NOTHING_OPEN = (
    "SELECT NOT EXISTS (SELECT 1 FROM sync_queue WHERE status IN ('pending', 'failed', 'processing'))"
    " AND NOT EXISTS (SELECT 1 FROM scheduler_run_log WHERE status = 'running')"
)
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND starts_with(application_name, 'certjobs')"
)


def for_a_while(seconds: float) -> Iterator[None]:
    """Yield every hundredth of a second for so long."""
    never, end = threading.Event(), monotonic() + seconds
    while monotonic() < end:
        yield
        never.wait(0.01)


@dataclass
class Watcher:
    """A watcher: its process, and what it has said so far."""

    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]

    def said(self) -> str:
        """Return its log, and what else stands on standard error."""
        return Path(self.err.name).read_text()

    def lines(self) -> list[str]:
        """Return what it told of drains."""
        return Path(self.out.name).read_text().splitlines()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal, and return its exit code."""
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said()[-2000:]}"
        self.process.send_signal(number)
        return self.process.wait(30)


@dataclass
class World:
    """A roster that the website knows, and whoever watches it."""

    database: TestDatabase
    portal: WatchedPortal
    alerts: Webhook
    env: dict[str, str]
    path: Path
    closing: ExitStack
    refs: list[str] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    def settles(self, certjobs: Certjobs, number: int) -> None:
        """Give so many mentors, all of them listed, and a queue with nothing in it."""
        self.refs = [f"M{n:02}" for n in range(number)]
        load(certjobs, *(Mentor(ref, FOR_EVER) for ref in self.refs))
        self.portal.knows(*self.refs)
        self.database.execute("DELETE FROM sync_queue")

    def start(self, *argv: str, haste: float = QUICK, env: Mapping[str, str] | None = None) -> Watcher:
        """Start a command whose rests are short."""
        number = len(self.watchers)
        out, err = (self.closing.enter_context((self.path / f"{number}.{name}").open("wb")) for name in ("out", "err"))
        variables = self.env | {"CERTJOBS_DATABASE_URL": self.database.job_url, "HASTE": str(haste)} | dict(env or {})
        process = subprocess.Popen(
            CertjobsProcess.command(*argv, program="tests.children.hasty"),
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        self.closing.callback(process.wait)
        self.closing.callback(process.kill)
        found = Watcher(process, out, err)
        self.watchers.append(found)
        return found

    def watch(self, *options: str, haste: float = QUICK, env: Mapping[str, str] | None = None) -> Watcher:
        """Start a watcher, and wait until it hears."""
        before = self.listening()
        found = self.start("sync", "--watch", *options, haste=haste, env=env)
        self.soon(lambda: self.listening() > before, "it listens")
        return found

    def listening(self) -> int:
        """Return how many sessions listen."""
        number: int = self.database.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'certjobs lock'"
            " AND (query LIKE 'LISTEN%%' OR query LIKE '%%certjobs_sync_watch%%')"
        )
        return number

    def changes(self, statement: str, *refs: str) -> None:
        """Change mentors as the application does: one transaction, and nothing else."""
        with psycopg.connect(self.database.url) as connection:
            connection.execute(statement, [list(refs)])

    def soon(self, condition: Callable[[], object], what: str = "", *, deadline: float = 30.0) -> None:
        """Wait until something is true, with every watcher at work that was not killed."""
        never, end = threading.Event(), monotonic() + deadline
        while not condition():
            for each in self.watchers:
                assert each.process.poll() in (None, 0, 3, -signal.SIGKILL), each.said()[-2000:]
            assert monotonic() < end, f"never came true: {what}"
            never.wait(0.01)

    def shows(self, *refs: str) -> None:
        """Wait until the website shows just these."""
        self.soon(lambda: self.portal.listed() == sorted(refs), f"{refs} are listed")

    def lists(self, *refs: str) -> None:
        """Wait until the website shows just these, nothing is open and no run under way."""
        self.shows(*refs)
        self.drained()

    def drained(self) -> None:
        """Wait until nothing is open, and no run under way."""
        self.soon(lambda: self.database.one(NOTHING_OPEN), "nothing is open")

    def codes(self) -> list[int | None]:
        """Return the exit code of every run, oldest first."""
        return [row.exit_code for row in runs(self.database)]

    def replace_secret(self, secret: str) -> None:
        """Let the mounted file hold another secret, from one moment to the next."""
        path = Path(self.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"])
        beside = path.with_name("beside")
        store(beside, f"{secret}\n")
        beside.replace(path)

    def end_old_secret(self) -> None:
        """Let neither the first secret nor a token that it gave be accepted any more."""
        authority = self.portal.simulator.authority
        authority.remove_secret(self.portal.simulator.settings.client_id, SECRET)
        authority.revoke_tokens()


@contextmanager
def worlds(database: TestDatabase, portal: WatchedPortal, path: Path, number: int = 9) -> Iterator[World]:
    """Give a world whose watchers end with the block."""
    with ExitStack() as closing:
        alerts = closing.enter_context(webhook())
        env = portal.env | alerts.env | {"CERTJOBS_SYNC_BATCH_SIZE": str(BATCH), "CERTJOBS_SYNC_CONCURRENCY": "1"}
        found = World(database, portal, alerts, env, path, closing)
        found.settles(Certjobs(database.url), number)
        yield found


@pytest.fixture
def world(database: TestDatabase, tmp_path: Path) -> Iterator[World]:
    """Give one with nine mentors."""
    with watched(tmp_path) as portal, worlds(database, portal, tmp_path) as found:
        yield found


# What it is for.


def test_a_change_reaches_the_website_by_itself(world: World) -> None:
    """Each change is sent when it is committed, long before the next look, as a run with a row; idle there is none."""
    watcher = world.watch(haste=1)
    began = monotonic()
    for number in range(3):
        world.changes(PAUSE, world.refs[number])
        world.lists(*world.refs[number + 1 :])
    world.changes(REINSTATE, world.refs[0])
    world.lists(world.refs[0], *world.refs[3:])
    assert monotonic() - began < 4, "it waited for its next look, five seconds later"
    world.soon(lambda: len(watcher.lines()) == 5, "it tells of each")
    assert watcher.end() == 143
    rows = world.database.all("SELECT job_name, trigger, status, exit_code, as_of FROM scheduler_run_log")
    assert set(rows) == {("sync", "watch", "succeeded", 0, None)}
    assert [(row.counts["claimed"], row.counts["done"]) for row in runs(world.database)] == [(1, 1)] * 4
    first, *drains = watcher.lines()
    assert "Ctrl-C" in first
    assert "1 taken off (exit 0)" in drains[0]


def test_idle_it_leaves_no_trace(world: World) -> None:
    """While nothing changes there is no run, no request and no alert, and the heartbeat file is touched."""
    beat = world.path / "beat"
    watcher = world.watch("--heartbeat-file", str(beat))
    assert beat.exists()
    assert longest_between_beats(beat, 1.0) < 0.8
    assert (world.codes(), len(world.portal.simulator.log.entries()), world.alerts.posted) == ([], 0, [])
    assert watcher.end(signal.SIGINT) == 130
    assert world.codes() == []


def longest_between_beats(path: Path, seconds: float) -> float:
    """Look at a file for so long, and return the longest time in which it was not touched."""
    touched, since, longest = path.stat().st_mtime_ns, monotonic(), 0.0
    for _ in for_a_while(seconds):
        longest = max(longest, monotonic() - since)
        if path.stat().st_mtime_ns != touched:
            touched, since = path.stat().st_mtime_ns, monotonic()
    return longest


def test_what_waits_when_it_starts(world: World) -> None:
    """What was queued while nobody watched is sent at once, in one run."""
    world.changes(PAUSE, *world.refs[:7])
    watcher = world.watch()
    world.lists(*world.refs[7:])
    assert watcher.end() == 143
    assert [row.counts["removed"] for row in runs(world.database)] == [7]


def test_json_is_a_line_a_drain(world: World) -> None:
    """With --json each drain is one JSON document on a line, and nothing else stands on standard output."""
    watcher = world.watch("--json", "--reason", "a  test")
    for number in range(2):
        world.changes(PAUSE, world.refs[number])
        world.lists(*world.refs[number + 1 :])
    world.soon(lambda: len(watcher.lines()) == 2, "it tells of each")
    assert watcher.end() == 143
    told = [json.loads(line) for line in watcher.lines()]
    assert [(each["exit_code"], each["counts"]["removed"]) for each in told] == [(0, 1), (0, 1)]
    assert [each["run_id"] for each in told] == [row.run_id for row in runs(world.database)]
    assert world.database.all("SELECT DISTINCT reason FROM scheduler_run_log") == [("a test",)]


@pytest.mark.parametrize(
    "options",
    [("--dry-run",), ("--limit", "3"), ("--as-of", "2026-11-22"), ("--credentials", "-"), ("--credentials",)],
)
def test_what_does_not_go_with_it(certjobs_unset: Certjobs, options: tuple[str, ...]) -> None:
    """Options that make no sense for who stays are refused before anything is read."""
    result = certjobs_unset("sync", "--watch", *options)
    assert result.exit_code == 2
    assert "--watch" in result.stderr


def test_a_heartbeat_goes_with_watch_only(certjobs_unset: Certjobs) -> None:
    """A heartbeat file without --watch is refused."""
    assert certjobs_unset("sync", "--heartbeat-file", "beat").exit_code == 2


@pytest.mark.parametrize(
    "wrong", [{"CERTJOBS_PORTAL": "none"}, {"CERTJOBS_DATAVERSE_URL": ""}, {"CERTJOBS_PORTAL": "x"}]
)
def test_settings_that_it_cannot_watch_with(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, wrong: dict[str, str]
) -> None:
    """Without a portal, or with wrong settings, it does not start: 78."""
    with watched(tmp_path) as portal:
        result = certjobs("sync", "--watch", url=database.job_url, env=portal.env | wrong)
    assert result.exit_code == 78, result
    assert runs(database) == []


# What ends it.


@pytest.mark.parametrize(
    ("number", "exit_code", "answered"),
    [(signal.SIGTERM, 143, True), (signal.SIGTERM, 143, False), (signal.SIGINT, 130, True)],
)
def test_ended_in_mid_batch(world: World, number: signal.Signals, exit_code: int, answered: bool) -> None:
    """The request in hand ends, well or badly, and is settled; nothing more is sent and nothing left under way."""
    if answered:
        arrived, go_on = threading.Event(), threading.Event()
        world.closing.callback(go_on.set)

        def hold(_number: int) -> None:
            arrived.set()
            go_on.wait(30)

        world.portal.watch.on_request = hold
    else:
        hang = world.portal.fault("hang", "batch", count=None)
        arrived, go_on = hang.reached, hang.released
    watcher = world.watch()
    world.changes(PAUSE, *world.refs)
    assert arrived.wait(30)
    watcher.process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        watcher.process.wait(0.3)
    go_on.set()
    assert watcher.process.wait(30) == exit_code, watcher.said()
    assert account(world.database) == {"done" if answered else "failed": BATCH, "pending": 9 - BATCH}
    assert world.portal.watch.requests == 1
    assert (last_run(world.database).exit_code, world.alerts.posted) == (exit_code, [])
    assert f"exit {exit_code}" in watcher.lines()[-1]


@pytest.mark.parametrize("others", [0, 4])
def test_killed_in_mid_batch(world: World, others: int) -> None:
    """What a killed watcher had in hand another takes over when the lease is over, without being told; all is sent."""
    stall = world.portal.fault("stall", "batch", count=1)
    first = world.watch()
    world.changes(PAUSE, *world.refs[: BATCH + others])
    assert stall.reached.wait(30)
    first.process.kill()
    first.process.wait()
    nobody_connected(world.database)
    world.portal.simulator.faults.clear()
    assert account(world.database) == {"processing": BATCH} | ({"pending": others} if others else {})
    second = world.watch()
    eventually(world.database, "SELECT count(*) = %s FROM sync_queue WHERE status = 'done'", others)
    for _ in for_a_while(0.5):
        assert len(runs(world.database)) == (2 if others else 1)
    world.database.execute(OVER)
    world.lists(*world.refs[BATCH + others :])
    assert second.end() == 143
    assert account(world.database) == {"done": BATCH + others}
    dead, *alive = runs(world.database)
    assert dead.status == "abandoned"
    assert {row.status for row in alive} <= {"succeeded", "partial"}
    assert sum(row.counts["done"] for row in alive) == BATCH + others
    assert world.portal.watch.at_once == []


# What is away and comes back.


@pytest.mark.parametrize("when", ["idle", "in mid-batch"])
def test_its_sessions_are_terminated(world: World, when: str) -> None:
    """After every session of its own was terminated it goes on by itself, and what was in hand is sent in the end."""
    watcher = world.watch()
    if when == "in mid-batch":
        arrived, go_on = threading.Event(), threading.Event()
        world.closing.callback(go_on.set)

        def hold(number: int) -> None:
            if number == 1:
                arrived.set()
                go_on.wait(30)

        world.portal.watch.on_request = hold
        world.changes(PAUSE, world.refs[0])
        assert arrived.wait(30)
        world.database.execute(TERMINATE)
        go_on.set()
        eventually(world.database, "SELECT count(*) > 0 FROM sync_queue WHERE status <> 'pending'")
    else:
        world.database.execute(TERMINATE)
    world.soon(lambda: world.listening() == 1, "it listens again")
    world.database.execute(OVER)
    world.changes(PAUSE, *world.refs[:3])
    world.lists(*world.refs[3:])
    assert watcher.end() == 143
    assert account(world.database) == {"done": 3}


def test_postgresql_is_restarted(tmp_path: Path, local_directory: Path) -> None:
    """PostgreSQL is stopped, away for a while and started again: it goes on, and there is no row of that."""
    with watched(tmp_path) as portal, ExitStack() as server:
        url = server.enter_context(postgres.database(local_directory))
        migrate(url)
        cluster = Cluster(url.replace("/certjobs?", "/postgres?"))
        cluster.let_in()
        cluster.close()
        database = TestDatabase("certjobs", cluster)
        with worlds(database, portal, tmp_path) as world:
            watcher = world.watch()
            world.changes(PAUSE, world.refs[0])
            world.lists(*world.refs[1:])
            server.close()
            world.soon(lambda: watcher.said().count("watch.away") > 3, "it looks whether it is back")
            server.enter_context(postgres.database(local_directory))
            world.soon(lambda: world.listening() == 1, "it listens again")
            world.changes(PAUSE, world.refs[1])
            world.lists(*world.refs[2:])
            assert watcher.end() == 143
        assert set(world.codes()) == {0}
        assert account(database) == {"done": 2}


def test_the_portal_is_away_for_ten_minutes(database: TestDatabase, tmp_path: Path) -> None:
    """The run that finds the portal away says so, with a row and an alert; there is no other until it is back."""
    state = tmp_path / "state.json"
    with ExitStack() as ending:
        with watched(tmp_path, state_file=state) as portal:
            port = int(portal.simulator.url.rpartition(":")[2])
            world = ending.enter_context(worlds(database, portal, tmp_path))
            watcher = world.watch(haste=300)
            world.changes(PAUSE, world.refs[0])
            world.lists(*world.refs[1:])
        world.changes(PAUSE, *world.refs[1:7])
        eventually(database, "SELECT count(*) = 2 FROM scheduler_run_log WHERE finished_at IS NOT NULL")
        assert world.codes() == [0, 69]
        for _ in for_a_while(2):
            assert world.codes() == [0, 69]
        world.changes(PAUSE, world.refs[7])
        assert [each["exit_code"] for each in world.alerts.posted] == [69]
        with watched(tmp_path, state_file=state, port=port) as world.portal:
            world.lists(world.refs[8])
            assert watcher.end() == 143
    assert account(database) == {"done": 8}
    assert world.codes()[:2] == [0, 69]
    assert set(world.codes()[2:]) == {0}
    assert [(each["kind"], each["exit_code"]) for each in world.alerts.posted] == [("failure", 69), ("recovery", 0)]


def test_the_secret_is_rotated(world: World) -> None:
    """The file holds another secret and the old one counts no more: the next change is sent as if nothing had been."""
    watcher = world.watch()
    world.changes(PAUSE, world.refs[0])
    world.lists(*world.refs[1:])
    world.portal.simulator.authority.add_secret(world.portal.simulator.settings.client_id, NEW)
    world.replace_secret(NEW)
    world.end_old_secret()
    world.changes(PAUSE, world.refs[1])
    world.lists(*world.refs[2:])
    assert watcher.end() == 143
    assert set(world.codes()) == {0}
    assert all(row.counts["failed"] == 0 for row in runs(world.database))
    assert NEW in world.portal.watch.credentials


def test_the_secret_is_away_for_a_moment(world: World) -> None:
    """While the file of the secret is missing it waits, its heartbeat goes on, and there is no row of that."""
    beat = world.path / "beat"
    watcher = world.watch("--heartbeat-file", str(beat), haste=20)
    Path(world.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"]).unlink()
    world.soon(lambda: "watch.away" in watcher.said(), "it waits")
    world.changes(PAUSE, world.refs[0])
    world.soon(lambda: watcher.said().count("watch.away") > 3, "it waits longer")
    assert longest_between_beats(beat, 2.5) < 1.0
    world.replace_secret(SECRET)
    world.lists(*world.refs[1:])
    assert watcher.end() == 143
    assert set(world.codes()) == {0}


def test_the_secret_is_wrong(world: World) -> None:
    """A wrong secret is one run with 77 and one alert; mended, everything is sent, and that is told."""
    world.replace_secret(NEW)
    watcher = world.watch()
    world.changes(PAUSE, world.refs[0])
    world.soon(lambda: world.codes() == [77], "77")
    world.changes(PAUSE, world.refs[1])
    asked = len(world.portal.simulator.log.entries("token"))
    world.soon(lambda: len(world.portal.simulator.log.entries("token")) > asked + 1, "it asks again")
    assert world.codes() == [77]
    world.replace_secret(SECRET)
    world.lists(*world.refs[2:])
    assert watcher.end() == 143
    assert world.codes()[0] == 77
    assert set(world.codes()[1:]) == {0}
    assert [(each["kind"], each["exit_code"]) for each in world.alerts.posted] == [("failure", 77), ("recovery", 0)]


# What waits, and for whom.


def test_a_portal_that_asks_for_a_rest(world: World) -> None:
    """Asked to rest a minute it asks nothing for so long, its heartbeat goes on, and then it sends, all in one run."""
    beat = world.path / "beat"
    limited = world.portal.fault("status", "batch", status=429, retry_after=60)
    watcher = world.watch("--heartbeat-file", str(beat), haste=20)
    world.changes(PAUSE, *world.refs[:3])
    assert limited.reached.wait(30)
    requests, began = world.portal.changes(), monotonic()
    assert longest_between_beats(beat, 2.0) < 1.5
    assert world.portal.changes() == requests
    world.lists(*world.refs[3:])
    assert monotonic() - began > 2.5
    world.drained()
    assert watcher.end() == 143
    assert world.codes() == [0]


def test_a_portal_that_asks_for_a_long_rest(world: World) -> None:
    """Asked to rest for an hour the run ends with 3; there is no other, and no request, until that hour is over."""
    limited = world.portal.fault("status", "batch", status=429, retry_after=3600)
    watcher = world.watch()
    world.changes(PAUSE, *world.refs[:3])
    assert limited.reached.wait(30)
    world.soon(lambda: world.codes() == [3], "3")
    requests = world.portal.changes()
    for _ in for_a_while(1):
        assert (world.codes(), world.portal.changes()) == ([3], requests)
    world.database.execute("UPDATE sync_queue SET not_before = clock_timestamp()")
    world.lists(*world.refs[3:])
    assert watcher.end() == 143
    assert world.codes() == [3, 0]


THREE = {"CERTJOBS_GUARD_COUNT": "3", "CERTJOBS_GUARD_SHARE": "0"}


def test_a_guarded_set_is_refused_once(world: World) -> None:
    """Too many removals are one run with 4 and one alert, restorations go out meanwhile; approved, the set goes out."""
    watcher = world.watch(env=THREE)
    world.changes(PAUSE, world.refs[8])
    world.lists(*world.refs[:8])
    world.changes(PAUSE, *world.refs[:5])
    world.soon(lambda: world.codes() == [0, 4], "4")
    for _ in for_a_while(1.5):
        assert world.codes() == [0, 4]
    world.changes(REINSTATE, world.refs[8])
    world.shows(*world.refs)
    refused = world.database.one("SELECT hash FROM guarded_sets")
    do(Certjobs(world.database.url), "approve", refused, *WHY)
    world.lists(*world.refs[5:])
    assert watcher.end() == 143
    assert sum(each["exit_code"] == 4 for each in world.alerts.posted) <= 2


def test_what_is_given_up_is_told_of_each_time(world: World) -> None:
    """While one operation fails for now, which is told of once, another that is given up is told of all the same."""
    watcher = world.watch()
    world.portal.fault("status", "row", key=world.refs[0], status=500, count=None)
    world.changes(PAUSE, world.refs[0])
    world.soon(lambda: [each["exit_code"] for each in world.alerts.posted] == [3], "one alert")
    world.changes(PAUSE, world.refs[1])
    world.soon(lambda: world.codes()[-1] == 3 and len(world.codes()) > 1, "another run")
    assert [each["exit_code"] for each in world.alerts.posted] == [3]
    world.portal.fault("status", "row", key=world.refs[2], status=400, count=None)
    world.changes(PAUSE, world.refs[2])
    world.soon(lambda: [each["exit_code"] for each in world.alerts.posted] == [3, 3], "another alert")
    assert watcher.end() == 143


def test_who_was_in_a_refused_set_once(world: World) -> None:
    """A mentor of a set that was refused and then taken back by the application is sent like any other afterwards."""
    watcher = world.watch(env=THREE)
    world.changes(PAUSE, *world.refs[:5])
    world.soon(lambda: world.codes() == [4], "4")
    world.changes(REINSTATE, *world.refs[:5])
    world.drained()
    world.changes(PAUSE, world.refs[0])
    world.soon(lambda: world.portal.listed() == world.refs[1:], deadline=3)
    assert watcher.end() == 143


# Several at once.


def test_watchers_beside_each_other(world: World) -> None:
    """Of three watchers one sends a change, and the others leave no run that found nothing to do."""
    watchers = [world.watch(env={"JOIN": "0.8"}) for _ in range(3)]
    calm = threading.Event()
    for number in range(5):
        world.changes(PAUSE, world.refs[number])
        world.lists(*world.refs[number + 1 :])
        calm.wait(1)  # longer than one is left alone with it
    assert [each.end() for each in watchers] == [143] * 3
    assert account(world.database) == {"done": 5}
    found = [row.counts["claimed"] for row in runs(world.database)]
    assert [each for each in found[3:] if not each] == [], "but for the first, when all three may be slow"


MANY = 1_000
CHANGES = 5_000
CERTIFICATIONS = """
    INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)
    SELECT 'C-' || id, id, current_date - 700, current_date + 10000 FROM peer_mentors ORDER BY id
"""


def keep_changing(database: TestDatabase, changes: int, seed: int) -> int:
    """Make so many changes as the application does, some at a time, and return how many operations they asked for."""
    chance = random.Random(seed)  # noqa: S311 - of changes, not of secrets
    made = 0
    with database.connect() as connection:
        while made < changes:
            ids = sorted(chance.sample(range(1, MANY + 1), chance.choice((1, 2, 20, 50))))
            with connection.transaction():
                found = connection.execute(
                    "SELECT id, status FROM peer_mentors WHERE id = ANY (%s) ORDER BY id FOR UPDATE", [ids]
                ).fetchall()
                connection.execute(
                    "UPDATE peer_mentors SET status = CASE status WHEN 'active' THEN 'paused' ELSE 'active' END,"
                    " pause_reason = CASE status WHEN 'active' THEN 'away' END WHERE id = ANY (%s)",
                    [[id_ for id_, _status in found]],
                )
            made += len(found)
    return made


def test_everybody_at_once(database: TestDatabase, tmp_path: Path) -> None:
    """Three watchers, the nightly run and a break-glass run during 5 000 changes: each operation is sent once."""
    with psycopg.connect(database.url) as connection:
        connection.execute(ROSTER, {"mentors": MANY})
        connection.execute(CERTIFICATIONS)
        connection.execute("DELETE FROM sync_queue")
    latency = threading.Event()
    with watched(tmp_path) as portal, worlds(database, portal, tmp_path, 0) as world:
        portal.knows(*(f"M-{n}" for n in range(1, MANY + 1)))
        portal.watch.on_request = lambda _number: latency.wait(0.01)
        world.env |= {
            "CERTJOBS_GUARD_COUNT": "1000000",
            "CERTJOBS_SYNC_BATCH_SIZE": "20",
            "CERTJOBS_SYNC_CONCURRENCY": "2",
            "CERTJOBS_LOG_LEVEL": "warning",
        }
        note = tmp_path / "note"
        note.touch(mode=0o600)
        store(note, NEW)
        portal.simulator.authority.add_secret(portal.simulator.settings.client_id, NEW)
        watchers = [world.watch() for _ in range(3)]
        changing = [Background(partial(keep_changing, database, CHANGES // 2, seed)) for seed in range(2)]
        for each in changing:
            each.start()
        others = [
            world.start("sync", "--json"),
            world.start("sync", "--credentials", str(note), "--json", "--yes", "--reason", "x"),
        ]
        assert sum(each.found() for each in changing) >= CHANGES
        for other in others:
            assert other.process.wait(60) in (0, 3), other.said()
        world.drained()
        assert [each.end() for each in watchers] == [143] * 3, [each.said()[-500:] for each in watchers]
        listed, watch = set(portal.listed()), portal.watch
    assert NEW in watch.credentials
    assert watch.most_at_once > 2
    assert watch.at_once == []
    sent_in_order(database, watch)
    assert {ref for ref, is_listed in wanted(database).items() if is_listed} == listed
    by_status = account(database)
    assert set(by_status) <= {"done", "superseded"}
    counts = [row.counts for row in runs(database)]
    assert sum(found.get("done", 0) for found in counts) == by_status["done"]
    for found in counts:
        ends = ("done", "failed", "dead", "superseded", "released", "lost")
        assert found["claimed"] == sum(found[name] for name in ends)
    assert {row.exit_code for row in runs(database)} <= {0, 3}
    by_hand = [row[0] for row in database.all("SELECT trigger FROM scheduler_run_log WHERE reason = 'x'")]
    assert len(by_hand) == 1
