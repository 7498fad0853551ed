"""Death costs nothing: a comparison, or a whole night, killed at any commit is finished by the next."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal

import pytest

from tests.children.helpers import load, nobody_connected, notices, statuses
from tests.portal import Portal, running
from tests.roster import Mentor
from tests.test_outbox import AS_OF, WHY, do
from tests.test_reconcile import edit, findings
from tests.test_sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.children.processes import Forked
    from tests.children.zygote import Death
    from tests.conftest import Certjobs, Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

KILLED = -9
FEWEST_DEATHS = 10
CHANNEL = {"CERTJOBS_NOTIFY_CHANNEL": "console"}
RIGHT = ["A", "R"]  # whom the website should show in the end
EVERY = 5  # commits of a night, of which there are a hundred
WRITTEN = (
    *("sync_queue", "website_listing", "reconciliation_log", "alerts", "forecasts", "scheduler_run_log", "job_lock"),
    *("notifications", "reminder_dispatch_log", "cert_expiry_reminders", "mentor_status_events"),
)


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal; the processes that die have clocks of their own."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def forget(database: TestDatabase, *tables: str) -> None:
    """Empty tables, as if nothing had been written there."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE peer_mentors SET status = 'active', pause_reason = NULL WHERE external_ref <> 'B'")
        for table in tables:
            connection.execute(f"DELETE FROM {table}".encode())


def bury(database: TestDatabase) -> None:
    """Let the server notice that a process is gone, and the leases of its workers run out."""
    nobody_connected(database)
    database.execute("UPDATE sync_queue SET leased_until = clock_timestamp() WHERE status = 'processing'")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_comparison_killed_at_each_commit(
    forked: Forked, certjobs: Certjobs, database: TestDatabase, portal: Portal, moment: Literal["before", "after"]
) -> None:
    """Whichever commit a comparison dies at, the next one ends well, and the website shows what it should."""
    refs = [*RIGHT, "B"]
    load(certjobs, *(Mentor(ref, 100) for ref in refs))
    portal.knows(*refs, listed=False)
    do(certjobs, "mentors", "pause", "B", *WHY)
    sync(certjobs, database, portal)
    argv = ("reconcile", *AS_OF)
    for number in count(1):
        forget(database, "sync_queue", "reconciliation_log", "scheduler_run_log", "job_lock")
        edit(portal, A=False, B=True)
        death: Death = {"commit": number, "moment": moment}
        killed = forked.start(*argv, url=database.job_url, env=portal.env, death=death).wait()
        if killed.exit_code != KILLED:
            assert (killed.exit_code, portal.listed()) == (0, RIGHT), killed.stderr
            break
        bury(database)
        again = forked.start(*argv, url=database.job_url, env=portal.env).wait()
        where = f"{moment} commit {number}: {again.stderr}"
        assert (again.exit_code, portal.listed()) == (0, RIGHT), where
        assert database.one("SELECT count(*) FROM sync_queue WHERE status NOT IN ('done', 'superseded')") == 0, where
        assert {each[0] for each in findings(database)} <= {"unfinished"}, where
        assert database.one("SELECT count(*) FROM job_lock") == 0, where
    assert number > FEWEST_DEATHS


@pytest.mark.timeout(600)
def test_a_night_killed_at_commits_all_over_it(
    forked: Forked, certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """Wherever a night dies, the next one ends it: pauses are made, everyone is told once, the website is right."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7), Mentor("A", 100))
    portal.knows("X", *RIGHT)
    argv = ("nightly", *AS_OF)
    for number in count(1, EVERY):
        forget(database, *WRITTEN)
        edit(portal, A=False, X=True, R=True)
        death: Death = {"commit": number, "moment": "after"}
        killed = forked.start(*argv, url=database.job_url, env=CHANNEL | portal.env, death=death).wait()
        if killed.exit_code != KILLED:
            assert (killed.exit_code, portal.listed()) == (0, RIGHT), killed.stderr
            break
        bury(database)
        again = forked.start(*argv, url=database.job_url, env=CHANNEL | portal.env).wait()
        where = f"after commit {number}: {again.stdout}"
        cut_short = notices(database).count("unknown")
        assert again.exit_code == (3 if cut_short else 0), where
        assert (statuses(database)["X"], portal.listed()) == ("paused", RIGHT), where
        assert notices(database).count("sent") == 2 - cut_short, where
        told = [line for result in (killed, again) for line in told_in(result)]
        assert len(set(told)) == len(told) >= 2 - cut_short, where
        assert database.one("SELECT count(*) FROM scheduler_run_log WHERE status = 'running'") == 0, where
    assert number > FEWEST_DEATHS * EVERY


def told_in(result: Result) -> list[str]:
    """Return the notices that a run printed."""
    return [line for line in result.stdout.splitlines() if line.startswith("To ")]
