"""Death costs nothing: a run killed at any of its commits and started again leaves what an undisturbed run leaves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import pytest
from psycopg.sql import SQL, Identifier

from tests.children.helpers import CONSOLE, NIGHT, load, locks, nobody_connected, runs
from tests.conftest import Certjobs
from tests.roster import KARI, OLA, Mentor

if TYPE_CHECKING:
    from tests.children.processes import Forked
    from tests.children.zygote import Death
    from tests.conftest import Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

COMMAND = (*NIGHT, "--batch-size", "2")
KILLED = -9
ROSTER = (
    Mentor("A", -400),
    Mentor("B", -3, f"{KARI}|{OLA}"),
    Mentor("C", -1, ""),
    Mentor("D", 0),
    Mentor("E", None),
    Mentor("F", -30, organisation="NHF"),
)
NOTICES = 4  # A one, B two, C one to the organisation's fallback address
FEWEST_DEATHS = 8  # of a whole run; were there fewer, they would not be spread over it


@dataclass(frozen=True)
class State:
    """Everything a run leaves behind, without row ids, run ids and times."""

    mentors: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]
    notices: list[tuple[Any, ...]]

    @classmethod
    def of(cls, database: TestDatabase) -> State:
        """Read it."""
        return cls(
            database.all(
                "SELECT external_ref, status, pause_reason, certification_expiry FROM peer_mentors ORDER BY 1"
            ),
            database.all(
                "SELECT m.external_ref, e.event, e.from_status, e.to_status, e.reason, e.certification_expiry,"
                " e.effective_on, e.actor FROM mentor_status_events e JOIN peer_mentors m ON m.id = e.mentor_id"
                " ORDER BY m.external_ref, e.id"
            ),
            database.all(
                "SELECT n.idempotency_key, m.external_ref, coalesce(c.address, 'fallback'), n.kind, n.pause_ordinal,"
                " n.certification_expiry, n.attempt, n.status"
                " FROM notifications n JOIN peer_mentors m ON m.id = n.mentor_id"
                " LEFT JOIN coordinators c ON c.id = n.coordinator_id ORDER BY 1"
            ),
        )

    def unknown(self) -> int:
        """Count the notices of which nobody knows whether they went out."""
        return sum(notice[-1] == "unknown" for notice in self.notices)

    def had_all_gone_well(self) -> State:
        """Return the state with every such notice sent."""
        return State(
            self.mentors,
            self.events,
            [(*notice[:-1], "sent" if notice[-1] == "unknown" else notice[-1]) for notice in self.notices],
        )


@pytest.fixture
def night_before(database: TestDatabase) -> TestDatabase:
    """A database as it is before the night."""
    load(Certjobs(database.url), *ROSTER)
    database.execute("UPDATE organisations SET fallback_address = 'post@example.org' WHERE code = 'HLF'")
    return database


def turn_back(database: TestDatabase) -> None:
    """Make a database as it was before the night: everybody active, nothing written down."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE peer_mentors SET status = 'active', pause_reason = NULL WHERE status <> 'active'")
        for table in ("mentor_status_events", "notifications", "scheduler_run_log", "job_lock"):
            connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))


def printed(*results: Result) -> list[str]:
    """Return the notices that went out through the console."""
    return sorted(line for result in results for line in result.stdout.splitlines() if line.startswith("To "))


@pytest.mark.parametrize(
    ("env", "moment"),
    [({}, "before"), (CONSOLE, "before"), (CONSOLE, "after")],
    ids=["no channel", "console, before the commit", "console, after the commit"],
)
def test_killed_at_each_commit_and_run_again(
    forked: Forked, night_before: TestDatabase, env: dict[str, str], moment: Literal["before", "after"]
) -> None:
    """Whichever commit a run dies at, the next leaves the end state of an undisturbed one, with one notice in doubt."""
    database, owed = night_before, NOTICES if env else 0
    wanted = undisturbed(forked, database, env)
    ends: list[str | None] = []
    unknown = 0
    for number in count(1):
        turn_back(database)
        death: Death = {"commit": number, "moment": moment}
        killed = forked.start(*COMMAND, url=database.job_url, env=env, death=death).wait()
        if killed.exit_code != KILLED:
            assert (killed.exit_code, State.of(database)) == (0, wanted)
            break
        nobody_connected(database)
        again = forked.start(*COMMAND, url=database.job_url, env=env).wait()
        found = State.of(database)
        *before, last = runs(database)
        where = f"{moment} commit {number}: {again.stderr}"
        assert found.had_all_gone_well() == wanted, where
        assert again.exit_code == (3 if found.unknown() else 0), where
        assert last.counts.get("notices_unknown", 0) == found.unknown() <= 1, where
        assert ("cut short" in (last.error_message or "")) == bool(found.unknown()), where
        out = printed(killed, again)
        assert len(set(out)) == len(out), where
        assert owed - found.unknown() <= len(out) <= owed, where
        assert locks(database) == 0, where
        ends.append(before[0].status if before else None)
        unknown += found.unknown()
    assert_every_killed_run_is_accounted_for(ends)
    assert unknown == owed  # each notice was once the one in flight


def undisturbed(forked: Forked, database: TestDatabase, env: dict[str, str]) -> State:
    """Return what a run leaves that nobody disturbs."""
    result = forked.start(*COMMAND, url=database.job_url, env=env).wait()
    assert result.exit_code == 0
    found = State.of(database)
    assert [(event[0], event[1]) for event in found.events] == [(ref, "expired_cert") for ref in "ABC"]
    assert [notice[-1] for notice in found.notices] == ["sent" if env else "pending"] * NOTICES
    assert len(printed(result)) == (NOTICES if env else 0)
    return found


def assert_every_killed_run_is_accounted_for(ends: list[str | None]) -> None:
    """None where it died before its row, abandoned where it died at work, its own status where that was recorded."""
    order = [None, "abandoned", "succeeded"]
    assert [order.index(end) for end in ends] == sorted(order.index(end) for end in ends)
    assert ends.count(None) <= 2
    assert ends.count("succeeded") <= 2
    assert ends.count("abandoned") >= FEWEST_DEATHS


def test_killed_again_and_again(forked: Forked, night_before: TestDatabase) -> None:
    """Runs that each die one commit later than the one before still do the night's work once between them."""
    database = night_before
    wanted = undisturbed(forked, database, CONSOLE)
    turn_back(database)
    results: list[Result] = []
    for number in count(1):
        death: Death = {"commit": number, "moment": "before"}
        results.append(forked.start(*COMMAND, url=database.job_url, env=CONSOLE, death=death).wait())
        nobody_connected(database)
        if results[-1].exit_code != KILLED:
            break
    found = State.of(database)
    assert found.had_all_gone_well() == wanted
    out = printed(*results)
    assert len(set(out)) == len(out) >= NOTICES - found.unknown()
    *killed, last = runs(database)
    assert {row.status for row in killed[:-1]} == {"abandoned"}  # the last may have died after its record
    assert len(killed) >= FEWEST_DEATHS
    assert "running" not in {row.status for row in runs(database)}
    assert last.status in {"succeeded", "partial"}
    assert locks(database) == 0


def die_until_a_notice_is(status: str, forked: Forked, database: TestDatabase) -> None:
    """Let runs die, each one commit later than the one before, until there is a notice of this status."""
    for number in count(1):
        death: Death = {"commit": number, "moment": "after"}
        assert forked.start(*COMMAND, url=database.job_url, env=CONSOLE, death=death).wait().exit_code == KILLED
        nobody_connected(database)
        if database.one("SELECT count(*) FROM notifications WHERE status = %s", status):
            return


def test_a_notice_in_doubt_is_told_by_the_run_that_ends(forked: Forked, night_before: TestDatabase) -> None:
    """A notice cut short is reported even where the run that first found it was killed too; the next is silent."""
    database = night_before
    die_until_a_notice_is("sending", forked, database)
    die_until_a_notice_is("unknown", forked, database)
    for exit_code, unknown in ((3, 1), (0, 0)):
        assert forked.start(*COMMAND, url=database.job_url, env=CONSOLE).wait().exit_code == exit_code
        *_killed, last = runs(database)
        assert last.counts.get("notices_unknown", 0) == unknown
