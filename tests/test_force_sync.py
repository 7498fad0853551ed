"""force-sync through the command line, against the simulator: chosen mentors are sent again, at once, and told of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from certjobs.jobs import force_sync as job
from tests.canaries import canary, store
from tests.children.helpers import dump, last_run, load
from tests.portal import Portal, running
from tests.roster import KARI, OLA, Mentor
from tests.test_outbox import AS_OF, WHY, do, queue
from tests.test_sync import listing, ready, sync
from tests.test_sync_guard import THREE, pause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.conftest import Certjobs, Result, TestDatabase

MANUAL = "manual_coordinator_action"


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def roster(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> TestDatabase:
    """Give one mentor of every kind, the portal the opposite of what the rule wants, and nothing in the queue."""
    load(
        certjobs,
        Mentor("V", 100),
        Mentor("P", 100),
        Mentor("X", -1),
        Mentor("U", None),
        Mentor("N", 100, OLA, organisation="NHF"),
    )
    do(certjobs, "mentors", "pause", "P", "--reason", "on leave", *AS_OF)
    database.execute("DELETE FROM sync_queue")
    portal.knows("V", listed=False)
    portal.knows("P", "X", "N")
    return database


def force(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    *argv: str,
    exit_code: int = 0,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run force-sync on the tests' usual night, as the job's own role; it must end with this exit code."""
    options = ("--json", *WHY, *AS_OF)
    result = certjobs("force-sync", *argv, *options, url=database.job_url, env=portal.env | dict(env or {}))
    assert result.exit_code == exit_code, result
    return result


def told(result: Result) -> dict[str, tuple[str, str | None, str | None]]:
    """Return what a report says: by mentor what the rule wants, what was sent, what the portal answered."""
    return {
        each["mentor_ref"]: (f"{each['rule']}: {each['why']}", each["sent"], each["answer"])
        for each in result.json()["mentors"]
    }


# Mentors by name.


def test_each_kind_of_mentor_is_told_of(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """The website then shows what the rule wants of each who was named, and the report says what and why."""
    found = force(certjobs, roster, portal, "V", "P", "X", "U", "N")
    assert portal.listed() == ["N", "V"]
    assert told(found) == {
        "V": ("listed: active, valid until 2027-03-02", "restore", "acknowledged"),
        "P": ("not listed: paused (on leave)", "remove", "acknowledged"),
        "X": ("not listed: expired, was valid until 2026-11-21", "remove", "acknowledged"),
        "U": ("not listed: no certification", "remove", "did not know them"),
        "N": ("not ours: NHF is not synchronised", None, None),
    }
    assert listing(roster) == {"V": True, "P": False, "X": False, "U": False}
    counts = found.json()["counts"]
    assert (counts["queued"], counts["not_ours"], counts["removed"], counts["restored"]) == (4, 1, 3, 1)


def test_who_ordered_it_and_why_is_kept(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """The operation says that it was by hand, who did it and in which run; the run's row says why."""
    run_id = force(certjobs, roster, portal, "X").json()["run_id"]
    assert queue(roster) == [("X", "remove", MANUAL, "done")]
    assert roster.all("SELECT actor, caused_by_run::text, explained FROM sync_queue") == [("test", run_id, True)]
    assert roster.all("SELECT job_name, actor, reason, status FROM scheduler_run_log") == [
        ("force-sync", "test", "a test", "succeeded")
    ]


def test_people_read_when_the_site_shows_it(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """The public site shows it a quarter of an hour after the portal acknowledged, by the organisation's clocks."""
    (each,) = force(certjobs, roster, portal, "V").json()["mentors"]
    acknowledged, public = (datetime.fromisoformat(each[name]) for name in ("acknowledged_at", "public_by"))
    assert public - acknowledged == timedelta(minutes=15)
    assert acknowledged.utcoffset() in (timedelta(hours=1), timedelta(hours=2)), "Oslo's"
    result = certjobs("force-sync", "V", "N", *WHY, *AS_OF, url=roster.job_url, env=portal.env)
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.startswith(("  V", "  N"))}
    assert rows["V"][-4] == "acknowledged"
    assert rows["V"][-1] in ("CET", "CEST")
    assert rows["N"][-3:] == ["nothing", "-", "-"]


def test_nothing_else_is_sent(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """What waits for other mentors stays in the queue, whatever it is, and does not count as open."""
    ready(certjobs, portal, 5)
    pause(database, "M03")
    counts = force(certjobs, database, portal, "M01", env=THREE | {"CERTJOBS_GUARD_COUNT": "0"}).json()["counts"]
    assert portal.listed() == ["M01"]
    assert (counts["claimed"], counts["open"]) == (1, 0)
    assert (
        sorted(each[3] for each in queue(database))
        == ["done", "pending", "pending", "pending", "pending"] + ["superseded"] * 2
    )


def test_the_open_one_gives_way(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """What was open of a mentor, and rests after failures, is superseded by the order, which is sent at once."""
    ready(certjobs, portal, 1)
    database.execute(
        "UPDATE sync_queue SET status = 'failed', failures = 5, not_before = clock_timestamp() + interval '4 hours'"
    )
    force(certjobs, database, portal, "M00")
    assert queue(database) == [("M00", "restore", "renewed", "superseded"), ("M00", "restore", MANUAL, "done")]
    assert portal.listed() == ["M00"]


def test_again_sends_again_and_changes_nothing(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """It is a command by hand: the same again is a request more and the same site."""
    force(certjobs, roster, portal, "V", "P", "V")
    before = (portal.listed(), listing(roster))
    force(certjobs, roster, portal, "V", "P")
    assert portal.changes() == 2
    assert (portal.listed(), listing(roster)) == before
    assert len(queue(roster)) == 4


def test_what_the_portal_refuses_is_said(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """A mentor to be listed whom the portal does not know ends the run with 3, and the row says why."""
    load(certjobs, Mentor("W", 100))
    found = force(certjobs, roster, portal, "W", "V", exit_code=3)
    rule, sent, answer = told(found)["W"]
    assert (rule, sent) == ("listed: active, valid until 2027-03-02", "restore")
    assert answer is not None
    assert answer.startswith("refused: the portal answered 404")
    assert told(found)["V"][2] == "acknowledged"
    result = certjobs("force-sync", "W", *WHY, *AS_OF, url=roster.job_url, env=portal.env)
    assert "refused: the portal" in result.stdout
    assert "1 operation given up" in result.stdout


def test_what_fails_for_longer_stays_open(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """What the portal fails for again and again is open in the end, with the reason and when it is due again."""
    portal.fault("status", "row", key="V", status=500, count=None)
    answer = told(force(certjobs, roster, portal, "V", exit_code=3))["V"][2]
    assert answer is not None
    assert answer.startswith("still open: ")
    assert "500" in answer
    assert "due again" in answer


def test_a_dry_run_is_the_run(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """A dry-run says of each what the run says, and writes and sends nothing."""
    load(certjobs, Mentor("A/1", 100))
    before = dump(roster)
    argv = ("V", "P", "X", "N", "A/1")
    dry = force(certjobs, roster, portal, *argv, "--dry-run", exit_code=3)
    assert (dump(roster), portal.changes()) == (before, 0)
    real = force(certjobs, roster, portal, *argv, exit_code=3)
    assert told(dry) == told(real)
    assert [dry.json()[key] for key in ("counts", "sent", "trouble")] == [
        real.json()[key] for key in ("counts", "sent", "trouble")
    ]
    words = certjobs("force-sync", "V", "--dry-run", *WHY, *AS_OF, url=roster.job_url, env=portal.env).stdout
    assert "Would be sent to the website by hand" in words
    assert "public site" not in words


def test_a_table_tells_of_twenty_and_json_of_all(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Of many who are named people see the first twenty, and programs all."""
    refs = ready(certjobs, portal, 25)
    assert list(told(force(certjobs, database, portal, *refs, "--dry-run"))) == refs
    result = certjobs("force-sync", *refs, *WHY, *AS_OF, url=database.job_url, env=portal.env)
    assert "the first 20 of 25" in result.stdout
    assert ("M19" in result.stdout, "M20" in result.stdout) == (True, False)
    assert portal.listed() == refs


# Who is gone, and who left.


def test_who_does_not_exist_is_named(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """A reference that no mentor has ends it with 2 before anything is queued, and the run log does not keep it."""
    found = force(certjobs, roster, portal, "V", "KARI-NORMANN", exit_code=2).json()
    assert found["unknown"] == ["KARI-NORMANN"]
    assert "KARI-NORMANN" not in found["message"] + found["hint"]
    assert (queue(roster), portal.changes()) == ([], 0)
    assert "KARI-NORMANN" not in str(dump(roster))
    assert "1 of the 2 references" in str(last_run(roster).error_message)


@pytest.mark.parametrize("given_up", [False, True])
def test_who_was_erased_is_taken_off(
    certjobs: Certjobs, roster: TestDatabase, portal: Portal, *, given_up: bool
) -> None:
    """An erased mentor whose removal waits, or was given up, is taken off by reference, which then is forgotten."""
    load(certjobs, Mentor("ERASED", 100))
    portal.knows("ERASED")
    do(certjobs, "mentors", "erase", "ERASED", "--yes", *WHY)
    if given_up:
        fault = portal.fault("status", "row", key="ERASED", status=400, count=None)
        force(certjobs, roster, portal, "ERASED", exit_code=3)
        assert fault.used
        portal.simulator.faults.clear()
    found = force(certjobs, roster, portal, "ERASED")
    assert told(found) == {"ERASED": ("not listed: erased", "remove", "acknowledged")}
    assert "ERASED" not in portal.listed()
    assert "ERASED" not in str(roster.all("SELECT q::text FROM sync_queue q"))
    force(certjobs, roster, portal, "ERASED", exit_code=2)
    assert "ERASED" not in str(dump(roster))


def test_who_left_what_is_ours_is_taken_off(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """A mentor who moved to an organisation that is not ours is taken off while that waits, and not touched later."""
    portal.simulator.state.add("W")
    load(certjobs, Mentor("W", 100))
    do(certjobs, "mentors", "move", "W", "--org", "NHF", "--chapter", "Prøveby", *WHY)
    found = force(certjobs, roster, portal, "W")
    assert told(found) == {"W": ("not ours: left HLF for NHF, which is not synchronised", "remove", "acknowledged")}
    assert "W" not in portal.listed()
    assert told(force(certjobs, roster, portal, "W"))["W"] == ("not ours: NHF is not synchronised", None, None)
    assert portal.changes() == 1


# Beside others.

CLAIM = (
    "UPDATE sync_queue SET status = 'processing', attempt = 1, sent = 'restore', claimed_by_run = {run},"
    " leased_until = clock_timestamp() + interval '1 hour'"
)


def test_a_worker_that_is_gone_is_waited_for_by_the_next(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """What a killed worker has in hand is not sent twice at once: exit 3 says so, and a later run sends the order."""
    ready(certjobs, portal, 1)
    database.execute(CLAIM.format(run="gen_random_uuid()"))
    found = force(certjobs, database, portal, "M00", exit_code=3)
    assert "a worker that is gone" in found.json()["message"]
    assert told(found)["M00"][1:] == (None, "still open: another run has an earlier operation of this mentor in hand")
    assert portal.changes() == 0
    database.execute("UPDATE sync_queue SET leased_until = clock_timestamp() WHERE status = 'processing'")
    sync(certjobs, database, portal)
    assert [each[2:] for each in queue(database)] == [("renewed", "superseded"), (MANUAL, "done")]


def test_another_run_that_is_at_work_is_waited_for(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run that lives has the mentor in hand the order waits, for so long, and is sent when that is done."""
    ready(certjobs, portal, 1)
    with psycopg.connect(database.url, autocommit=True) as alive:
        alive.execute(
            "INSERT INTO scheduler_run_log"
            " (run_id, job_name, trigger, host, version, actor, backend_pid, backend_start)"
            " SELECT gen_random_uuid(), 'sync', 'schedule', 'there', '0', 'x', pid, backend_start FROM pg_stat_activity"
            " WHERE pid = pg_backend_pid()"
        )
        database.execute(CLAIM.format(run="(SELECT run_id FROM scheduler_run_log)"))
        found = force(certjobs, database, portal, "M00", exit_code=3).json()
        assert "Another run has 1 operation in hand" in found["message"]
        assert portal.rests == [1.0] * 150

        def is_done(*_: object) -> None:
            database.execute("UPDATE sync_queue SET status = 'done', finished_at = now() WHERE status = 'processing'")

        monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", is_done)
        force(certjobs, database, portal, "M00")
    assert portal.listed() == ["M00"]


def test_another_run_may_send_the_order(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another run sends what was just queued, the report tells what became of it there."""
    ready(certjobs, portal, 1)
    load(certjobs, Mentor("W", 100))
    queue_it = job._Order.queue

    def then_another_is_quicker(order: Any) -> Sequence[int] | None:
        only = queue_it(order)
        certjobs("sync", *AS_OF, url=database.job_url, env=portal.env)
        return only

    monkeypatch.setattr(job._Order, "queue", then_another_is_quicker)
    assert told(force(certjobs, database, portal, "M00"))["M00"][1:] == ("restore", "acknowledged")
    found = force(certjobs, database, portal, "W", exit_code=3)
    assert "Another run could not send all of them" in found.json()["message"]


def test_who_changes_while_it_is_sent_is_sent_as_that(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mentor whom somebody pauses after the order is taken off by the same run, as the rule wants them then."""
    ready(certjobs, portal, 2)
    queue_it = job._Order.queue

    def then_somebody_pauses(order: Any) -> Sequence[int] | None:
        only = queue_it(order)
        do(certjobs, "mentors", "pause", "M00", *WHY, *AS_OF)
        return only

    monkeypatch.setattr(job._Order, "queue", then_somebody_pauses)
    assert told(force(certjobs, database, portal, "M00"))["M00"] == (
        "not listed: paused (a test)",
        "remove",
        "acknowledged",
    )


def test_whom_another_session_changes_is_left(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A mentor in another session's hands is not waited for long: all others are sent, and exit 3 says run it again."""
    refs = ready(certjobs, portal, 5)
    with psycopg.connect(database.url) as application:
        application.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = 'M02'")
        found = force(certjobs, database, portal, *refs, exit_code=3)
        application.rollback()
    assert "Another session is changing 1 mentor" in found.json()["message"]
    assert told(found)["M02"] == ("listed: active, valid until 2027-03-02", None, None)
    assert portal.listed() == ["M00", "M01", "M03", "M04"]
    force(certjobs, database, portal, "M02")
    assert portal.listed() == refs


# A chapter, and all.


def test_a_chapter(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """With --chapter every mentor of it is sent, however its name is spelt, and nobody else."""
    load(
        certjobs,
        *(Mentor(f"A{n}", 100, chapter="Eksempeldal") for n in range(3)),
        Mentor("A3", None, chapter="Eksempeldal"),
        Mentor("B", 100),
    )
    portal.knows("A0", "A1", "A2", "B", listed=False)
    database.execute("UPDATE sync_queue SET status = 'done'")
    found = force(certjobs, database, portal, "--chapter", "EKSEMPELDAL", "--yes")
    assert portal.listed() == ["A0", "A1", "A2"]
    assert list(told(found)) == ["A3", "A0", "A1", "A2"], "removals first"
    assert found.json()["counts"]["queued"] == 4


def test_which_chapter_must_be_clear(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """A chapter that does not exist, or that two organisations have, ends it with 2 and what to say instead."""
    found = force(certjobs, roster, portal, "--chapter", "Prøvby", exit_code=2).json()
    assert "Prøveby" in found["hint"]
    found = force(certjobs, roster, portal, "--chapter", "Prøveby", exit_code=2).json()
    assert "Add --org: HLF, NHF." in found["hint"]
    assert queue(roster) == []
    assert "V" in told(force(certjobs, roster, portal, "--chapter", "Prøveby", "--org", "HLF"))
    found = force(certjobs, roster, portal, "--chapter", "Prøveby", "--org", "NHF").json()
    assert "NHF is not synchronised" in found["message"]
    assert portal.listed() == ["N", "V"]


@pytest.mark.parametrize("argv", [(), ("V", "--all"), ("--all", "--chapter", "Prøveby"), ("V", "--org", "HLF")])
def test_whom_must_be_clear(certjobs: Certjobs, roster: TestDatabase, portal: Portal, argv: tuple[str, ...]) -> None:
    """Exactly one of mentors, --chapter and --all says whom, and --org narrows the last two alone."""
    force(certjobs, roster, portal, *argv, exit_code=2)
    assert queue(roster) == []


def test_all_sends_everything(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --all every mentor who is ours is sent, chunk by chunk, and whatever else was open."""
    monkeypatch.setattr(job, "CHUNK", 4)
    refs = ready(certjobs, portal, 10)
    load(certjobs, Mentor("N", 100, OLA, organisation="NHF"), Mentor("E", 100))
    portal.knows("N", "E")
    do(certjobs, "mentors", "erase", "E", "--yes", *WHY)
    counts = force(certjobs, database, portal, "--all").json()["counts"]
    assert portal.listed() == sorted([*refs, "N"])
    assert (counts["queued"], counts["restored"], counts["removed"], counts["open"]) == (10, 10, 1, 0)
    found = force(certjobs, database, portal, "--all", "--org", "NHF").json()
    assert (found["counts"]["queued"], found["mentors"]) == (0, [])


def test_all_is_asked_before_it_is_done(
    certjobs: Certjobs, roster: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal --all and --chapter ask first, unless --yes or --dry-run says that they need not."""
    asked = list[str]()
    monkeypatch.setattr("certjobs.cli.force.confirmed", asked.append)
    for argv in (("--all", "--yes"), ("--all", "--dry-run"), ("V",)):
        force(certjobs, roster, portal, *argv)
    assert asked == []
    force(certjobs, roster, portal, "--all")
    force(certjobs, roster, portal, "--chapter", "Prøveby", "--org", "HLF")
    assert [question.split(" to the ")[0] for question in asked] == [
        "Send all mentors of every synchronised organisation",
        "Send all mentors of chapter Prøveby",
    ]


# The guard.


@pytest.fixture
def refs(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> list[str]:
    """Give nine mentors who are on the website."""
    found = ready(certjobs, portal, 9)
    sync(certjobs, database, portal)
    assert portal.listed() == found
    return found


@pytest.mark.parametrize("carried_out_by", ["force-sync", "sync"])
@pytest.mark.parametrize("choice", [("--all",), ("--chapter", "Prøveby")])
def test_too_many_removals_wait_for_a_person(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    refs: list[str],
    choice: tuple[str, ...],
    carried_out_by: str,
) -> None:
    """Where nobody is named the guard looks: it stops unusually many removals, which either job does once approved."""
    pause(database, *refs[:5])
    found = force(certjobs, database, portal, *choice, exit_code=4, env=THREE)
    (guarded,) = found.json()["guarded"]
    assert (portal.listed(), guarded["mentors"]) == (refs, refs[:5])
    assert told(found)["M00"][1:] == (None, "still open: the guard waits for a person")
    assert told(found)["M05"][1:] == ("restore", "acknowledged")
    do(certjobs, "approve", guarded["hash"], *WHY)
    if carried_out_by == "sync":
        sync(certjobs, database, portal, env=THREE)
    else:
        force(certjobs, database, portal, *choice, env=THREE)
    assert portal.listed() == refs[5:]


def test_who_is_named_is_taken_off_unasked(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """Mentors whom a person named are taken off however many they are, and leave the night its allowance."""
    pause(database, *refs[:5])
    force(certjobs, database, portal, *refs[:5], env=THREE)
    assert portal.listed() == refs[5:]
    pause(database, *refs[5:8])
    sync(certjobs, database, portal, env=THREE)
    assert portal.listed() == refs[8:]


def test_who_is_off_already_is_no_mass_change(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """Whom the website acknowledged not to show is sent again with all others, and the guard does not count them."""
    pause(database, *refs[:6])
    sync(certjobs, database, portal)
    force(certjobs, database, portal, "--all", env=THREE)
    assert portal.listed() == refs[6:]


def test_what_explained_the_open_one_explains_the_order(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """Removals by the night's own pauses, not sent yet, stay explained when everything is sent again."""
    load(certjobs, *(Mentor(f"X{n}", -1, KARI) for n in range(5)))
    portal.knows(*(f"X{n}" for n in range(5)))
    do(certjobs, "expiry-check", *AS_OF)
    force(certjobs, database, portal, "--all", env=THREE)
    assert portal.listed() == []


# What keeps it from sending.


def test_no_portal(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """Without a portal nothing can be sent: exit 78 says what to set, and nothing is queued."""
    found = force(certjobs, roster, portal, "V", exit_code=78, env={"CERTJOBS_PORTAL": "none"}).json()
    assert "CERTJOBS_PORTAL" in found["hint"]
    assert queue(roster) == []


def test_credentials_come_first(certjobs: Certjobs, roster: TestDatabase, portal: Portal, tmp_path: Path) -> None:
    """With a wrong secret nothing is queued and the exit code is 77."""
    wrong = store(tmp_path / "wrong", canary("client", "wrong"))
    force(certjobs, roster, portal, "V", exit_code=77, env={"CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": str(wrong)})
    assert (queue(roster), portal.changes()) == ([], 0)


def test_a_reason_is_wanted(certjobs: Certjobs, roster: TestDatabase, portal: Portal) -> None:
    """Without a reason, or with one that says nothing, it does not start."""
    for argv in ((), ("--reason", " ")):
        result = certjobs("force-sync", "V", *argv, url=roster.job_url, env=portal.env)
        assert (result.exit_code, "--reason" in result.stderr) == (2, True)
    assert roster.one("SELECT count(*) FROM scheduler_run_log") == 0
    result = certjobs("run", "force-sync", url=roster.job_url, env=portal.env)
    assert (result.exit_code, "Say whom to send" in result.stdout) == (2, True)


def test_help_tells_of_the_exit_statuses(certjobs: Certjobs) -> None:
    """The help text ends in the statuses that it may end with, the guard's and the configuration's among them."""
    text = certjobs("force-sync", "--help").stdout
    assert all(f"\n    {code:>3}  " in text for code in (0, 2, 3, 4, 69, 77, 78)), text
