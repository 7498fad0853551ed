"""sync as a process while secrets rotate, tokens end, the portal goes away and processes are killed; what is left.

Whatever these runs leave behind is searched for what proves who asks: secrets, tokens, the address of the alerts.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stamina

from certjobs.local.simulator.faults import Faults
from certjobs.local.simulator.server import SECRET
from tests.canaries import canary, store
from tests.children.helpers import dump, nobody_connected, runs
from tests.children.servers import SECRET_PATH, Webhook, webhook
from tests.conftest import Result
from tests.test_outbox import AS_OF
from tests.test_sync import ready
from tests.watched import WatchedPortal, account, due_soon, watched

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.conftest import Certjobs, CertjobsProcess, TestDatabase

NEW = canary("client", "another")
MENTORS = 40
BATCH = 5
SYNC = ("sync", "--json", *AS_OF)


@dataclass
class Night:
    """Runs of sync against one portal, and all that they left where somebody could read it."""

    process: CertjobsProcess
    database: TestDatabase
    portal: WatchedPortal
    refs: list[str]
    alerts: Webhook
    env: dict[str, str]
    closing: ExitStack
    texts: list[str] = field(default_factory=list)

    def start(self, workers: int = 4, **env: str) -> subprocess.Popen[bytes]:
        """Start a run."""
        settings = self.env | {"CERTJOBS_SYNC_CONCURRENCY": str(workers)} | env
        found = self.process.start(*SYNC, url=self.database.job_url, env=settings, program="tests.children.restless")
        self.closing.callback(found.kill)
        return found

    def end(self, process: subprocess.Popen[bytes]) -> Result:
        """Wait for its end."""
        out, err = process.communicate(timeout=60)
        found = Result(process.returncode, out.decode(), err.decode())
        self.texts += [found.stdout, found.stderr]
        return found

    def run(self, workers: int = 4) -> Result:
        """Run from beginning to end."""
        return self.end(self.start(workers))

    def look(self, process: subprocess.Popen[bytes]) -> None:
        """Keep what every user of the machine sees of processes, and what the run was given."""
        for path in (*Path("/proc").glob("[0-9]*/cmdline"), Path(f"/proc/{process.pid}/environ")):
            try:
                self.texts.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue  # it has ended

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

    def hold_nothing_secret(self) -> None:
        """Search everything; the fewest that there is to search for are a secret and a token."""
        credentials = self.portal.watch.credentials | {SECRET_PATH.rpartition("/")[2]}
        assert SECRET in credentials
        assert len(credentials) > 2
        texts = [*self.texts, *self.alerts.raw, *server_logs(self.database)]
        texts += [row for table in dump(self.database).values() for row in table]
        assert [each for each in credentials for text in texts if each in text] == []


def server_logs(database: TestDatabase) -> Iterator[str]:
    """Yield what the database's server has written down of this database's statements and errors."""
    directory = Path(database.one("SHOW data_directory"))
    for path in (directory / "log", *directory.glob("log/*")):
        if path.is_file():
            yield path.read_text(errors="replace")


@contextmanager
def nights(
    certjobs_process: CertjobsProcess, certjobs: Certjobs, database: TestDatabase, portal: WatchedPortal, path: Path
) -> Iterator[Night]:
    """Give a roster of which nobody is listed yet; afterwards nothing secret may be left anywhere."""
    with webhook() as alerts, ExitStack() as closing:
        store(path / "alerts", alerts.url)
        env = portal.env | {
            "CERTJOBS_SYNC_BATCH_SIZE": str(BATCH),
            "CERTJOBS_LOG_LEVEL": "debug",
            "CERTJOBS_ALERT_WEBHOOK_URL_FILE": str(path / "alerts"),
        }
        refs = ready(certjobs, portal, MENTORS)
        due_soon(database)
        night = Night(certjobs_process, database, portal, refs, alerts, env, closing)
        yield night
        night.hold_nothing_secret()


@pytest.fixture
def night(
    certjobs_process: CertjobsProcess, certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> Iterator[Night]:
    """Give a night against a portal that stays where it is."""
    with watched(tmp_path) as portal, nights(certjobs_process, certjobs, database, portal, tmp_path) as found:
        yield found


def settled(night: Night, result: Result) -> dict[str, int]:
    """Everybody is listed and every operation done, once; return the counts of the run that ended it."""
    assert result.exit_code == 0, result
    assert night.portal.listed() == night.refs
    assert account(night.database) == {"done": MENTORS}
    assert night.database.one("SELECT count(*) FROM website_listing WHERE listed") == MENTORS
    counts: dict[str, int] = result.json()["counts"]
    return counts


def tokens_asked_for(night: Night) -> int:
    """Return how often a token was asked for, with success or without."""
    return len(night.portal.simulator.log.entries("token"))


# Secrets and tokens.


@pytest.mark.parametrize("workers", [1, 4])
def test_a_secret_rotated_in_mid_run(night: Night, workers: int) -> None:
    """The old secret ends in mid-run and the file holds the new one: one more token is asked for, and nothing fails."""

    def rotate(number: int) -> None:
        if number == 3:
            night.look(process)
            night.portal.simulator.authority.add_secret(night.portal.simulator.settings.client_id, NEW)
            night.replace_secret(NEW)
            night.end_old_secret()

    night.portal.watch.on_request = rotate
    process = night.start(workers)
    counts = settled(night, night.end(process))
    assert (counts["failed"], counts["released"], counts["claimed"]) == (0, 0, MENTORS)
    assert tokens_asked_for(night) == night.portal.simulator.authority.issued == 2
    assert NEW in night.portal.watch.credentials


def test_a_new_secret_that_does_not_work_at_once(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret just rotated that the authority knows only seconds later is given that time, and nothing fails."""
    with watched(tmp_path, monkeypatch) as portal:
        refs = ready(certjobs, portal, MENTORS)

        def rotate(number: int) -> None:
            if number == 3:
                portal.simulator.authority.propagation = 4.0
                portal.simulator.authority.add_secret(portal.simulator.settings.client_id, NEW)
                store(tmp_path / "secret", NEW)
                portal.simulator.authority.remove_secret(portal.simulator.settings.client_id, SECRET)
                portal.simulator.authority.revoke_tokens()

        portal.watch.on_request = rotate
        result = certjobs(*SYNC, url=database.job_url, env=portal.env | {"CERTJOBS_SYNC_BATCH_SIZE": str(BATCH)})
        assert result.exit_code == 0, result
        assert (portal.listed(), result.json()["counts"]["failed"]) == (refs, 0)
        assert portal.rests == [2.0, 3.0]


def test_a_secret_that_ends_and_is_not_rotated(night: Night) -> None:
    """The secret ends in mid-run and there is no other: exit 77, an alert, and all is back in the queue until then."""

    def end(number: int) -> None:
        if number == 3:
            night.look(process)
            night.end_old_secret()

    night.portal.watch.on_request = end
    process = night.start()
    result = night.end(process)
    assert result.exit_code == 77, result
    assert set(account(night.database)) <= {"done", "pending"}
    assert night.database.one("SELECT max(failures) FROM sync_queue") == 0
    assert [each["exit_code"] for each in night.alerts.posted] == [77]
    night.portal.watch.on_request = lambda _number: None
    night.portal.simulator.authority.add_secret(night.portal.simulator.settings.client_id, NEW)
    night.replace_secret(NEW)
    settled(night, night.run())


@pytest.mark.parametrize("workers", [1, 4])
def test_a_token_that_expires_in_mid_run(night: Night, workers: int) -> None:
    """The token ends in mid-run: one more is asked for by all workers together, and nothing fails."""

    def pass_an_hour(number: int) -> None:
        if number == 3:
            night.look(process)
            night.portal.clock.advance(3600)

    night.portal.watch.on_request = pass_an_hour
    process = night.start(workers)
    counts = settled(night, night.end(process))
    assert (counts["failed"], counts["released"]) == (0, 0)
    assert tokens_asked_for(night) == 2


# The portal and the way to it.


def test_a_portal_that_goes_away_and_comes_back(
    certjobs_process: CertjobsProcess, certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """While nobody listens at the portal's port runs exit 69 and lose nothing; the first run after that ends well."""
    state = tmp_path / "state.json"
    with ExitStack() as nothing_left:
        with watched(tmp_path, state_file=state) as portal:
            port = int(portal.simulator.url.rpartition(":")[2])
            night = nothing_left.enter_context(nights(certjobs_process, certjobs, database, portal, tmp_path))
            faults = portal.simulator.service.faults = Faults()  # which last until the portal is gone
            hang = faults.add("hang", "batch", after=2, count=None)
            process = night.start(workers=2)
            assert hang.reached.wait(30)
            night.look(process)
        assert night.end(process).exit_code == 69
        unreached = "SELECT count(*) FROM sync_queue WHERE outcome = 'skipped' AND last_error IS NOT NULL"
        assert database.one(unreached) > 0, "what did not leave has not failed"
        before = account(database)
        assert before.keys() <= {"done", "failed", "pending"}
        assert before["done"] == 2 * BATCH
        with stamina.set_testing(True, attempts=4):
            result = certjobs(*SYNC, url=database.job_url, env=night.env)
        assert (result.exit_code, account(database)) == (69, before)
        assert [each["exit_code"] for each in night.alerts.posted] == [69], "the second run met what people know of"
        with watched(tmp_path, state_file=state, port=port) as back:
            back.watch.credentials |= portal.watch.credentials
            night.portal = back
            settled(night, night.run())


def test_everything_that_the_portal_may_say_no_with(night: Night) -> None:
    """Whatever errors the portal answers, to all or to one, what is written down of them holds nothing secret."""
    state = night.portal.simulator.state
    row = state.by_key(night.refs[0])
    assert row is not None
    state.delete(row)
    for number, status in enumerate((400, 408, 412, 409, 503), 1):
        night.portal.fault("status", "part", key=night.refs[number], status=status)
    for area in ("part", "row"):  # as often as it is tried
        night.portal.fault("status", area, key=night.refs[6], status=500, count=None)
    last = night.portal.fault("status", "batch", status=502, after=3)
    process = night.start(workers=2)
    assert last.reached.wait(30)
    night.look(process)
    assert night.end(process).exit_code == 3
    errors = night.database.all("SELECT last_error FROM sync_queue WHERE status <> 'done'")
    said = "the portal answered "
    assert sorted(each.removeprefix(said)[:3] for (each,) in errors) == ["400", "404", "412", "500"]
    assert night.portal.listed() == [night.refs[2], *night.refs[4:6], *night.refs[7:]]


def test_connections_dropped_after_the_commit(night: Night) -> None:
    """What the portal did without being able to say so is sent again, is no harm, and counts once."""
    lost = night.portal.fault("drop_after", "batch", after=1, count=3)
    process = night.start()
    assert lost.reached.wait(30)
    night.look(process)
    counts = settled(night, night.end(process))
    assert lost.used == 3
    assert (counts["failed"], counts["done"], counts["restored"]) == (3 * BATCH, MENTORS, MENTORS)
    twice = [states for states in night.portal.watch.accepted.values() if states == [True, True]]
    assert len(twice) == 3 * BATCH
    assert night.portal.watch.at_once == []


# The end of a process.


@pytest.mark.parametrize("kind", ["hang", "stall"])
def test_killed_with_operations_in_hand(night: Night, kind: str) -> None:
    """What a killed process had in hand the next run sends when its lease is over, and every operation ends once."""
    held = [night.portal.fault(kind, "batch", after=after) for after in (2, 0)]
    process = night.start(workers=2)
    for each in held:
        assert each.reached.wait(30)
    night.look(process)
    process.kill()
    assert night.end(process).exit_code == -signal.SIGKILL
    nobody_connected(night.database)
    night.portal.simulator.faults.clear()
    by_status = account(night.database)
    assert by_status["processing"] == 2 * BATCH
    assert sum(by_status.values()) == MENTORS
    night.database.execute(
        "UPDATE sync_queue SET leased_until = clock_timestamp() - interval '1 s' WHERE status = 'processing'"
    )
    counts = settled(night, night.run())
    assert counts["reclaimed"] == 2 * BATCH
    assert counts["done"] == MENTORS - by_status.get("done", 0)
    assert [row.status for row in runs(night.database)][-2:] == ["abandoned", "succeeded"]
    again = sum(states == [True, True] for states in night.portal.watch.accepted.values())
    assert again == (2 * BATCH if kind == "stall" else 0)


@pytest.mark.parametrize(("workers", "timeout"), [(1, "30"), (4, "30"), (4, "0.5")])
def test_terminated_with_operations_in_hand(night: Night, workers: int, timeout: str) -> None:
    """Told to end, a run settles what it has in hand once that ends or times out, exits 143, and claims no more."""
    hang = night.portal.fault("hang", "batch", after=2, count=None)
    process = night.start(workers, CERTJOBS_SYNC_TIMEOUT_SECONDS=timeout)
    assert hang.reached.wait(30)
    night.look(process)
    os.kill(process.pid, signal.SIGTERM)
    if timeout == "30":
        hang.released.set()
    assert night.end(process).exit_code == 143
    by_status = account(night.database)
    assert by_status.keys() <= {"done", "failed", "pending"}
    assert sum(by_status.values()) == MENTORS
    assert by_status["done"] >= 2 * BATCH
    if (workers, timeout) != (4, "30"):  # there the signal and the end of what is in hand come at the same time
        assert by_status["done"] == 2 * BATCH
    night.portal.simulator.faults.clear()
    counts = settled(night, night.run())
    assert counts["done"] == MENTORS - by_status["done"]
