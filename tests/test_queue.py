"""Operations on the website by hand: what a person sees of the queue, tries again, and gives up."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from certjobs.domain.text import lasted
from tests.children.helpers import load, waits_for_lock
from tests.portal import Portal, running
from tests.roster import KARI, OLA, Mentor
from tests.test_administration import contents
from tests.test_outbox import AS_OF, FOR_EVER, WHY, do, queue
from tests.test_privacy import found_in
from tests.test_sync import ready, statuses, sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.conftest import Certjobs, Result, TestDatabase

TIGHT = {"CERTJOBS_GUARD_COUNT": "1", "CERTJOBS_GUARD_SHARE": "0"}
MENDED = ("--reason", "the portal was mended")


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def queued(certjobs: Certjobs, command: str, *options: str, exit_code: int = 0) -> Any:
    """Carry out a command on the queue, and return its document; it must end with this exit code."""
    result = certjobs("queue", command, *options, "--json")
    assert result.exit_code == exit_code, result
    return result.json() if exit_code == 0 else result


def listed(certjobs: Certjobs, *options: str) -> list[str]:
    """Return the mentors of the operations listed, the newest first."""
    return [each["mentor_ref"] for each in queued(certjobs, "list", *options)["operations"]]


def number(database: TestDatabase, ref: str) -> str:
    """Return the number of the last operation about a mentor."""
    return str(
        database.one(
            "SELECT max(q.id) FROM sync_queue q LEFT JOIN peer_mentors m ON m.id = q.mentor_id"
            " WHERE coalesce(m.external_ref, q.mentor_ref) = %s",
            ref,
        )
    )


def refused(certjobs: Certjobs, database: TestDatabase, *argv: str) -> Result:
    """Carry out a command that is refused as wrong usage, in a sentence, and writes nothing."""
    before = contents(database)
    result = certjobs("queue", *argv)
    assert result.exit_code == 2, result
    assert contents(database) == before
    return result


@pytest.fixture
def mixed(certjobs: Certjobs, database: TestDatabase) -> TestDatabase:
    """Give a queue with an operation of every status, one a mentor; F's failed five times and is due in an hour."""
    load(
        certjobs,
        *(Mentor(ref, FOR_EVER, f"{KARI}|{OLA}") for ref in ("DEAD", "DONE", "F", "P", "SUPERSEDED", "WAY")),
    )
    do(certjobs, "mentors", "pause", "P", *WHY, *AS_OF)
    database.execute(
        "UPDATE sync_queue q SET status = CASE m.external_ref WHEN 'F' THEN 'failed' WHEN 'WAY' THEN 'processing'"
        " WHEN 'P' THEN q.status ELSE lower(m.external_ref) END, attempt = 1, sent = q.operation,"
        " finished_at = CASE WHEN m.external_ref IN ('DEAD', 'DONE', 'SUPERSEDED') THEN clock_timestamp() END"
        " FROM peer_mentors m WHERE m.id = q.mentor_id AND q.status = 'pending';"
        "UPDATE sync_queue SET failures = 5, not_before = clock_timestamp() + interval '1 hour',"
        " last_error = 'the portal answered 500' WHERE status = 'failed';"
        "UPDATE sync_queue SET outcome = 'refused', last_error = 'the portal answered 400' WHERE status = 'dead';"
        "UPDATE sync_queue SET leased_until = clock_timestamp() + interval '1 hour' WHERE status = 'processing'"
    )
    return database


# Looking.


def test_list_shows_every_operation_newest_first(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """The list has the newest operation first, with its reason and its age in words."""
    found = queued(certjobs, "list")["operations"]
    assert [each["id"] for each in found] == sorted((each["id"] for each in found), reverse=True)
    assert {each["mentor_ref"] for each in found} == {"DEAD", "DONE", "F", "P", "SUPERSEDED", "WAY"}
    mixed.execute("UPDATE sync_queue SET created_at = created_at - interval '3 hours 20 minutes'")
    table = certjobs("queue", "list", "--status", "dead").stdout
    assert "3 h" in table
    assert "the portal answered 400" in table
    assert "SUPERSEDED" not in table


@pytest.mark.usefixtures("mixed")
def test_list_filters(certjobs: Certjobs) -> None:
    """Each filter shows what it names, filters add up, and what does not exist is wrong usage."""
    for options, expected in (
        (("--status", "open"), {"F", "P"}),
        (("--status", "pending"), {"P"}),
        (("--status", "failed"), {"F"}),
        (("--status", "processing"), {"WAY"}),
        (("--status", "dead"), {"DEAD"}),
        (("--status", "done"), {"DONE"}),
        (("--operation", "remove"), {"P"}),
        (("--operation", "restore", "--status", "open"), {"F"}),
        (("--mentor", "F"), {"F"}),
        (("--mentor", "F", "--status", "done"), set()),
        (("--org", "HLF", "--status", "superseded"), {"SUPERSEDED", "P"}),
    ):
        assert set(listed(certjobs, *options)) == expected, options
    assert len(listed(certjobs, "--limit", "2")) == 2
    for wrong in (
        ("--status", "lost"),
        ("--operation", "hide"),
        ("--mentor", "Z"),
        ("--org", "XX"),
        ("--limit", "0"),
    ):
        assert certjobs("queue", "list", *wrong).exit_code == 2, wrong


def test_list_tells_how_long_the_queue_is(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Below the list, whatever its filters: how many are open, under way and dead, the oldest's age, and the rate."""
    mixed.execute(
        "UPDATE sync_queue SET created_at = clock_timestamp() - interval '26 hours' WHERE status = 'failed';"
        "INSERT INTO sync_queue (mentor_id, organisation_id, operation, status, triggered_by_event, actor, finished_at)"
        " SELECT 0, 1, 'remove', 'done', 'paused', 'test', clock_timestamp() - make_interval(mins => n)"
        " FROM generate_series(10, 90, 10) n"
    )
    found = queued(certjobs, "list", "--mentor", "DONE")["queue"]
    assert 26 * 3600 <= found.pop("oldest_open_seconds") < 26 * 3600 + 60
    assert found == {
        "open": 2,
        "processing": 1,
        "dead": 1,
        "overtaken": 0,
        "done_last_hour": 6,
        "done_per_minute": 0.2,
    }
    said = certjobs("queue", "list", "--status", "dead").stdout
    assert "The whole queue: 2 open, 1 under way, 1 dead." in said
    assert "The oldest open one has waited for 26 h." in said
    assert "Done: 6 in the last hour, 0.2 a minute in the last five minutes." in said


def test_an_empty_queue_is_said_so(certjobs: Certjobs) -> None:
    """Where nothing was ever queued the list says so, in words and as a document."""
    said = certjobs("queue", "list").stdout
    assert said.startswith("None.\nThe whole queue: 0 open, 0 under way, 0 dead.\n")
    assert queued(certjobs, "list")["operations"] == []


def test_lasted_says_an_age_in_one_unit() -> None:
    """An age is said in seconds, minutes, hours or days, whichever says enough."""
    ages = (-1, 0, 59.9, 60, 3599, 3600, 48 * 3600 - 1, 48 * 3600, 10 * 86400)
    assert [lasted(each) for each in ages] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min",
        "59 min",
        "1 h",
        "47 h",
        "2 days",
        "10 days",
    ]


def test_show_one_operation(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """An operation is shown with what the rule wants by now, what the website said last, its run and its reason."""
    load(certjobs, Mentor("A", FOR_EVER))
    portal.knows("A", listed=False)
    sync(certjobs, database, portal)
    do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
    portal.fault("status", "row", key="A", status=400)
    run = sync(certjobs, database, portal, exit_code=3).json()["run_id"]
    found = queued(certjobs, "show", number(database, "A"))
    told = {name: found[name] for name in ("mentor_ref", "operation", "wanted", "status", "listed", "claimed_by_run")}
    assert told == {
        "mentor_ref": "A",
        "operation": "remove",
        "wanted": "remove",
        "status": "dead",
        "listed": True,
        "claimed_by_run": run,
    }
    assert (found["attempt"], found["outcome"], found["actor"]) == (1, "refused", "test")
    assert found["let_through_at"] is not None
    table = certjobs("queue", "show", number(database, "A")).stdout
    assert "the website said last      listed, 2" in table
    assert f"certjobs queue retry {number(database, 'A')} --reason TEXT" in table
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    database.execute("UPDATE peer_mentors SET status = 'active'")
    assert queued(certjobs, "show", number(database, "A"))["wanted"] == "restore"


@pytest.mark.usefixtures("mixed")
def test_a_number_that_no_operation_has(certjobs: Certjobs, database: TestDatabase) -> None:
    """A number that no operation has is wrong usage everywhere, and nothing changes of the others either."""
    dead = number(database, "DEAD")
    for wrong in ("999999", "0", "x", "9" * 19, "9" * 30):
        refused(certjobs, database, "show", wrong)
        refused(certjobs, database, "retry", dead, wrong, *MENDED)
        refused(certjobs, database, "discard", dead, wrong, *MENDED)


def test_nobody_is_named(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Neither names nor addresses of mentors and coordinators are in what any of the commands prints."""
    dead, failed = number(mixed, "DEAD"), number(mixed, "F")
    for argv in (
        ("list",),
        ("show", dead),
        ("retry", dead, *MENDED),
        ("discard", dead, failed, *MENDED),
        ("list", "--status", "superseded"),
    ):
        for form in ((), ("--json",)):
            result = certjobs("queue", *argv, *form, *(("--dry-run",) if argv[0] == "discard" else ()))
            assert result.exit_code == 0, result
            text = result.stdout + result.stderr
            assert [word for word in ("Mentor ", "Eksempel", "example.org", "Prøveby") if word in text] == []


# Trying again.


def test_retry_brings_a_dead_one_to_the_website(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dead operation given another try is due at once and the next sync sends it; who and why stands on it."""
    load(certjobs, Mentor("A", FOR_EVER))
    sync(certjobs, database, portal, exit_code=3)
    dead = number(database, "A")
    portal.knows("A", listed=False)
    sync(certjobs, database, portal)
    assert portal.listed() == [], "nothing sends it by itself"
    found = queued(certjobs, "retry", dead, *MENDED)
    assert [(each["id"], each["before"], each["status"]) for each in found["changed"]] == [
        (int(dead), "dead", "pending")
    ]
    shown = queued(certjobs, "show", dead)
    assert (shown["failures"], shown["not_before"], shown["finished_at"]) == (0, None, None)
    assert "A" in shown["last_error"], "until the next attempt it says why it was dead"
    assert (shown["handled_by"], shown["handled_reason"]) == ("test", "the portal was mended")
    assert shown["handled_at"]
    sync(certjobs, database, portal)
    assert (portal.listed(), statuses(database)) == (["A"], {"done": 1})
    assert queued(certjobs, "show", dead)["last_error"] is None


def test_retry_is_decided_when_sent(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dead restoration of who is not to be listed any more, though nothing queued that, takes them off."""
    load(certjobs, Mentor("A", FOR_EVER))
    sync(certjobs, database, portal, exit_code=3)
    portal.knows("A")
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    database.execute("UPDATE peer_mentors SET status = 'paused'")
    do(certjobs, "queue", "retry", number(database, "A"), *MENDED)
    sync(certjobs, database, portal)
    assert portal.listed() == []


def test_retry_makes_a_failed_one_due_at_once(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """One that rests after failures is due at once as if it had not failed; one that is pending stays as it is."""
    failed, pending = number(mixed, "F"), number(mixed, "P")
    found = queued(certjobs, "retry", failed, pending, *MENDED)
    assert [each["id"] for each in found["changed"]] == [int(failed)]
    assert [(each["id"], each["status"]) for each in found["unchanged"]] == [(int(pending), "pending")]
    shown = queued(certjobs, "show", failed)
    assert (shown["status"], shown["failures"], shown["not_before"]) == ("pending", 0, None)
    assert queued(certjobs, "show", pending)["handled_by"] is None
    before = contents(mixed)
    again = certjobs("queue", "retry", failed, pending, "--reason", "again")
    assert (again.exit_code, "stay as they are: pending" in again.stdout) == (0, True)
    assert contents(mixed) == before


def test_retry_wakes_whoever_listens(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Another try is told to whoever listens for changes, once; a dry-run is not."""
    with psycopg.connect(mixed.url, autocommit=True) as connection:
        connection.execute("LISTEN certjobs_sync")
        do(certjobs, "queue", "retry", "--all", "--dry-run", *MENDED)
        assert list(connection.notifies(timeout=0.2)) == []
        do(certjobs, "queue", "retry", "--all", *MENDED)
        assert len(list(connection.notifies(timeout=2, stop_after=1))) == 1


def test_retry_of_what_is_over_or_under_way(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """What is done, superseded or under way is refused with its number and status, and the others stay as they are."""
    dead = number(mixed, "DEAD")
    for ref, status in (("DONE", "done"), ("SUPERSEDED", "superseded"), ("WAY", "under way")):
        found = refused(certjobs, mixed, "retry", dead, number(mixed, ref), *MENDED)
        assert f"{number(mixed, ref)} is {status}" in found.stderr


def test_retry_of_all_that_pass_the_filters(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """--all takes what is dead or failed and passes the filters, and nothing else; again it finds nothing."""
    before = contents(mixed)
    assert queued(certjobs, "retry", "--all", "--operation", "remove", *MENDED)["changed"] == []
    assert queued(certjobs, "retry", "--all", "--mentor", "P", *MENDED)["changed"] == []
    assert contents(mixed) == before
    for options, expected in (
        (("--status", "dead", "--org", "HLF"), ["DEAD"]),
        (("--status", "failed", "--mentor", "F"), ["F"]),
        (("--status", "open"), ["F"]),
        (("--operation", "restore"), ["DEAD", "F"]),
    ):
        found = queued(certjobs, "retry", "--all", *options, "--dry-run", *MENDED)
        assert sorted(each["mentor_ref"] for each in found["changed"]) == expected, options
    (newest,) = queued(certjobs, "retry", "--all", "--limit", "1", "--dry-run", *MENDED)["changed"]
    assert newest["mentor_ref"] == next(ref for ref in listed(certjobs) if ref in {"DEAD", "F"})
    assert contents(mixed) == before
    said = certjobs("queue", "retry", "--all", *MENDED)
    assert "2 operations pending, and due at once" in said.stdout
    assert set(listed(certjobs, "--status", "pending")) == {"DEAD", "F", "P"}
    assert "Nothing is dead or failed" in certjobs("queue", "retry", "--all", *MENDED).stdout


@pytest.mark.usefixtures("mixed")
def test_retry_in_two_ways_or_none(certjobs: Certjobs, database: TestDatabase) -> None:
    """Numbers with --all or filters, neither of the two, what cannot be retried, and no reason are wrong usage."""
    dead = number(database, "DEAD")
    for wrong in (
        (*MENDED,),
        ("--status", "dead", *MENDED),
        (dead, "--all", *MENDED),
        (dead, "--org", "HLF", *MENDED),
        ("--all", "--status", "done", *MENDED),
        ("--all", "--status", "lost", *MENDED),
        ("--all", "--mentor", "Z", *MENDED),
        ("--all",),
        (dead,),
        (dead, "--reason", " "),
    ):
        refused(certjobs, database, "retry", *wrong)


def test_many_at_once(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Hundreds of dead operations are given another try by one command, which names the first; one sync sends all."""
    refs = ready(certjobs, portal, 300)
    database.execute("UPDATE sync_queue SET status = 'dead', failures = 12, finished_at = clock_timestamp()")
    numbers = [str(each) for (each,) in database.all("SELECT id FROM sync_queue ORDER BY id LIMIT 150")]
    assert len(queued(certjobs, "retry", *numbers, *MENDED)["changed"]) == 150
    said = certjobs("queue", "retry", "--all", "--status", "dead", *MENDED).stdout
    assert said.startswith("150 operations pending, and due at once: ")
    assert "and 130 more." in said
    sync(certjobs, database, portal)
    assert portal.listed() == sorted(refs)


def test_retry_of_what_was_overtaken(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dead one is superseded, and that is said, where a later operation of the same mentor is open, done or dead."""
    load(certjobs, *(Mentor(ref, FOR_EVER) for ref in "ABC"))
    sync(certjobs, database, portal, exit_code=3)
    assert statuses(database) == {"dead": 3}
    first = {ref: number(database, ref) for ref in "ABC"}
    for ref in "ABC":
        do(certjobs, "mentors", "pause", ref, *WHY, *AS_OF)
    portal.knows("B", "C")
    portal.fault("status", "part", key="C", status=400)
    sync(certjobs, database, portal, exit_code=3)
    do(certjobs, "mentors", "reinstate", "A", *WHY, *AS_OF)
    assert [status for *_, status in queue(database)] == ["dead"] * 3 + ["done", "done", "dead", "pending"]
    assert queued(certjobs, "list")["queue"]["overtaken"] == 3
    assert "4 dead, 3 of them overtaken since." in certjobs("queue", "list").stdout
    assert "nothing is left to do" in certjobs("queue", "show", first["B"]).stdout
    said = certjobs("queue", "retry", *first.values(), "--dry-run", *MENDED).stdout
    assert f"{first['B']} would be superseded: operation {number(database, 'B')} of the same mentor came later." in said
    found = queued(certjobs, "retry", "--all", "--status", "dead", *MENDED)["changed"]
    assert sorted((each["mentor_ref"], each["status"], each["overtaken_by"]) for each in found) == [
        ("A", "superseded", int(number(database, "A"))),
        ("B", "superseded", int(number(database, "B"))),
        ("C", "pending", None),
        ("C", "superseded", int(number(database, "C"))),
    ]
    portal.knows("A", listed=False)
    sync(certjobs, database, portal)
    assert portal.listed() == ["A"]
    assert queued(certjobs, "list")["queue"]["dead"] == 0


def test_the_guard_looks_at_a_retried_removal(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Removals let through once and dead since are guarded anew, but those that a pause by expiry-check explains."""
    load(certjobs, Mentor("X", -1), Mentor("Y", -1), *(Mentor(ref, FOR_EVER) for ref in "ABC"))
    portal.knows("X", "Y", *"ABC")
    database.execute("DELETE FROM sync_queue")
    do(certjobs, "expiry-check", *AS_OF)
    for ref in "ABC":
        do(certjobs, "mentors", "pause", ref, *WHY, *AS_OF)
    fault = portal.fault("status", "part", status=400, count=None)
    sync(certjobs, database, portal, exit_code=3)
    assert statuses(database) == {"dead": 5}
    assert fault.used == 5
    portal.simulator.faults.clear()
    do(certjobs, "queue", "retry", "--all", *MENDED)
    assert "the guard against mass change is asked" in certjobs("queue", "show", number(database, "A")).stdout
    found = sync(certjobs, database, portal, exit_code=4, env=TIGHT).json()
    assert portal.listed() == ["A", "B", "C"]
    assert found["guarded"][0]["mentors"] == ["A", "B", "C"]
    do(certjobs, "approve", found["guarded"][0]["hash"], *WHY)
    sync(certjobs, database, portal, env=TIGHT)
    assert portal.listed() == []


# Of who is gone.


@pytest.fixture
def gone(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> str:
    """Erase a mentor who is on the website and whose removal is dead then; return the removal's number."""
    load(certjobs, Mentor("ZREF", FOR_EVER))
    portal.knows("ZREF", listed=False)
    sync(certjobs, database, portal)
    do(certjobs, "mentors", "erase", "ZREF", "--yes", *WHY)
    portal.fault("status", "row", key="ZREF", status=400)
    sync(certjobs, database, portal, exit_code=3)
    assert portal.listed() == ["ZREF"]
    return number(database, "ZREF")


def test_retry_of_a_mentor_who_is_gone(certjobs: Certjobs, database: TestDatabase, portal: Portal, gone: str) -> None:
    """A dead removal of an erased mentor is found and sent by the reference kept; then that and the reason are gone."""
    assert listed(certjobs, "--mentor", "ZREF") == ["ZREF"]
    do(certjobs, "queue", "retry", gone, "--reason", "somebodysword")
    assert queued(certjobs, "show", gone)["handled_reason"] == "somebodysword"
    sync(certjobs, database, portal)
    assert portal.listed() == []
    assert (found_in(database, "ZREF"), found_in(database, "somebodysword")) == (set(), set())
    shown = queued(certjobs, "show", gone)
    assert (shown["status"], shown["mentor_ref"], shown["handled_by"]) == ("done", None, "test")
    assert certjobs("queue", "list", "--mentor", "ZREF").exit_code == 2


def test_a_reference_given_again_before_the_retry(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, gone: str
) -> None:
    """Where a new mentor has the reference by now, the dead removal is theirs, and overtaken: they stay listed."""
    load(certjobs, Mentor("ZREF", FOR_EVER, OLA))
    (changed,) = queued(certjobs, "retry", gone, *MENDED)["changed"]
    assert (changed["mentor_ref"], changed["status"], changed["gone"]) == ("ZREF", "superseded", False)
    sync(certjobs, database, portal)
    assert portal.listed() == ["ZREF"]


def test_discard_of_a_mentor_who_is_gone(certjobs: Certjobs, database: TestDatabase, gone: str) -> None:
    """A removal of an erased mentor given up says whom the website may still show, and keeps neither them nor why."""
    result = certjobs("queue", "discard", gone, "--reason", "somebodysword")
    assert result.exit_code == 0, result
    assert "ZREF is gone from the roster and may still stand on the website" in result.stdout
    assert (found_in(database, "ZREF"), found_in(database, "somebodysword")) == (set(), set())


def test_retry_of_a_mentor_of_whom_nothing_was_kept(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dead one from before the erasure is superseded, whether or not the removal after it was carried out."""
    load(certjobs, Mentor("A", FOR_EVER), Mentor("B", FOR_EVER))
    sync(certjobs, database, portal, exit_code=3)
    first = [number(database, ref) for ref in "AB"]
    do(certjobs, "mentors", "erase", "A", "--yes", *WHY)
    do(certjobs, "mentors", "erase", "B", "--yes", *WHY)
    sync(certjobs, database, portal)
    database.execute("DELETE FROM sync_queue WHERE id <> %s AND status = 'done'", first[0])
    said = certjobs("queue", "retry", *first, "--reason", "somebodysword").stdout
    assert "the mentor is gone, and nobody knows any more whom to send" in said
    assert statuses(database) == {"superseded": 2}
    assert found_in(database, "somebodysword") == set()


def test_a_reason_is_forgotten_with_the_mentor(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Erasing a mentor takes out why somebody tried again or gave up; who and when stay, and others' reasons."""
    do(certjobs, "queue", "retry", number(mixed, "DEAD"), "--reason", "somebodysword")
    do(certjobs, "queue", "discard", number(mixed, "F"), "--reason", "somebodysword")
    do(certjobs, "queue", "discard", number(mixed, "P"), "--reason", "anothersword")
    assert found_in(mixed, "somebodysword") == {"sync_queue.handled_reason"}
    for ref in ("DEAD", "F"):
        do(certjobs, "mentors", "erase", ref, "--yes", *WHY)
    assert found_in(mixed, "somebodysword") == set()
    assert found_in(mixed, "anothersword") == {"sync_queue.handled_reason"}
    assert mixed.one("SELECT count(*) FROM sync_queue WHERE handled_by = 'test' AND handled_at IS NOT NULL") == 3


# Giving up.


def test_discard_ends_it(certjobs: Certjobs, mixed: TestDatabase, portal: Portal) -> None:
    """What is dead, failed or pending and given up is superseded with who, why and its last error, and never sent."""
    numbers = [number(mixed, ref) for ref in ("DEAD", "F", "P")]
    found = queued(certjobs, "discard", *numbers, "--reason", "done by hand")
    assert sorted(each["before"] for each in found["changed"]) == ["dead", "failed", "pending"]
    for each in numbers:
        shown = queued(certjobs, "show", each)
        assert (shown["status"], shown["not_before"]) == ("superseded", None)
        assert (shown["handled_by"], shown["handled_reason"]) == ("test", "done by hand")
        assert shown["last_error"].startswith("Discarded by a person.")
    why = queued(certjobs, "show", numbers[0])["last_error"]
    assert why == "Discarded by a person. The last error was: the portal answered 400"
    mixed.execute("UPDATE sync_queue SET status = 'superseded' WHERE status = 'processing'")
    portal.knows("DEAD", "F", "P", listed=False)
    assert sync(certjobs, mixed, portal).json()["counts"]["claimed"] == 0
    assert portal.changes() == 0


def test_the_next_change_goes_out_after_a_discard(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A mentor whose operation was given up is queued and sent again by the next change."""
    load(certjobs, Mentor("A", FOR_EVER))
    portal.knows("A")
    do(certjobs, "queue", "discard", number(database, "A"), *MENDED)
    do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
    sync(certjobs, database, portal)
    assert portal.listed() == []


def test_discard_of_what_is_over_or_under_way(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """What is done, superseded or under way is refused with its number and status, and the others stay as they are."""
    dead = number(mixed, "DEAD")
    for ref, status in (("DONE", "done"), ("SUPERSEDED", "superseded"), ("WAY", "under way")):
        found = refused(certjobs, mixed, "discard", dead, number(mixed, ref), *MENDED)
        assert f"{number(mixed, ref)} is {status}" in found.stderr
    refused(certjobs, mixed, "discard", *MENDED)
    refused(certjobs, mixed, "discard", dead)
    refused(certjobs, mixed, "discard", dead, "--reason", " ")


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_a_dry_run_writes_nothing(certjobs: Certjobs, mixed: TestDatabase, command: str) -> None:
    """A dry-run says what the command then does, in words and as a document, and writes nothing."""
    before = contents(mixed)
    argv = (command, number(mixed, "DEAD"), number(mixed, "F"), *MENDED)
    said = certjobs("queue", *argv, "--dry-run")
    assert said.stdout.startswith("Dry-run: nothing was written.\n2 operations would be ")
    dry = queued(certjobs, *argv, "--dry-run")
    assert contents(mixed) == before
    assert dry | {"dry_run": False} == queued(certjobs, *argv)


# At the same time as others.


def test_retry_waits_for_who_changes_the_mentor(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Another try that meets a change of the mentor in another session waits, and gives way to what that queued."""
    found: list[Any] = []
    dead = number(mixed, "DEAD")
    with psycopg.connect(mixed.url) as application:
        application.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = 'DEAD'")
        thread = threading.Thread(target=lambda: found.append(queued(certjobs, "retry", dead, *MENDED)))
        thread.start()
        waits_for_lock(mixed)
        application.commit()
        thread.join()
    assert [(each["status"], each["before"]) for each in found[0]["changed"]] == [("superseded", "dead")]


def test_retry_beside_a_sync_that_queues_the_same_mentor(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """Another try that meets an operation just queued for the same mentor changes nothing, and says to try again."""
    found: list[Result] = []
    dead = number(mixed, "DEAD")
    with psycopg.connect(mixed.url) as other:
        other.execute(
            "INSERT INTO sync_queue (mentor_id, organisation_id, operation, triggered_by_event, actor)"
            " SELECT mentor_id, organisation_id, 'remove', 'changed meanwhile', 'test' FROM sync_queue WHERE id = %s",
            [dead],
        )
        thread = threading.Thread(target=lambda: found.append(certjobs("queue", "retry", dead, *MENDED)))
        thread.start()
        waits_for_lock(mixed)
        other.commit()
        thread.join()
    assert found[0].exit_code == 2, found
    assert "at the same moment; nothing was changed" in found[0].stderr
    assert queued(certjobs, "show", dead)["status"] == "dead"
    (changed,) = queued(certjobs, "retry", dead, *MENDED)["changed"]
    assert changed["status"] == "superseded"


def test_a_long_list_is_a_document_too(certjobs: Certjobs, database: TestDatabase) -> None:
    """A table shows the first hundred operations and says so; the document holds all of thousands."""
    load(certjobs, Mentor("A", FOR_EVER))
    database.execute(
        "INSERT INTO sync_queue (mentor_id, organisation_id, operation, status, triggered_by_event, actor, finished_at)"
        " SELECT mentor_id, organisation_id, operation, 'done', 'renewed', 'test', clock_timestamp()"
        " FROM sync_queue, generate_series(1, 5000)"
    )
    assert "These are the first 100." in certjobs("queue", "list").stdout
    assert len(json.loads(certjobs("queue", "list", "--json").stdout)["operations"]) == 5001


def test_the_jobs_login_may_look_and_no_more(certjobs: Certjobs, mixed: TestDatabase) -> None:
    """The login of the jobs lists and shows operations; trying again and giving up are for the tables' owner."""
    dead = number(mixed, "DEAD")
    assert certjobs("queue", "list", url=mixed.job_url).exit_code == 0
    assert certjobs("queue", "show", dead, url=mixed.job_url).exit_code == 0
    before = contents(mixed)
    for command in ("retry", "discard"):
        result = certjobs("queue", command, dead, *MENDED, url=mixed.job_url)
        assert (result.exit_code, "administration certjobs_admin" in result.stderr) == (78, True), result
    assert contents(mixed) == before
