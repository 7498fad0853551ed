"""sync through the command line, against the simulator: what is sent, what is decided, what cannot be sent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from certjobs.adapters.dataverse import client
from tests.children.helpers import last_run, load
from tests.portal import Portal, running
from tests.roster import OLA, TODAY, Mentor, in_days
from tests.test_outbox import AS_OF, WHY, do, queue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from certjobs.ports import Answer, ListingChange
    from tests.conftest import Certjobs, Result, TestDatabase


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def sync(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    *options: str,
    exit_code: int = 0,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run sync on the tests' usual night, as the job's own role; it must end with this exit code."""
    result = certjobs("sync", "--json", *AS_OF, *options, url=database.job_url, env=portal.env | dict(env or {}))
    assert result.exit_code == exit_code, result
    return result


def statuses(database: TestDatabase) -> dict[str, int]:
    """Return how many operations have which status."""
    return dict(database.all("SELECT status, count(*) FROM sync_queue GROUP BY status"))


def listing(database: TestDatabase) -> dict[str, bool]:
    """Return what the portal acknowledged last, by mentor."""
    return dict(
        database.all("SELECT m.external_ref, w.listed FROM website_listing w JOIN peer_mentors m ON m.id = w.mentor_id")
    )


def test_a_night_reaches_the_website(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who was paused that night leaves the website and who was renewed comes back, in one request; again is nothing."""
    load(certjobs, Mentor("A", 100), Mentor("X", -1), Mentor("N", -1, OLA, organisation="NHF"))
    portal.knows("X", "N")
    portal.knows("A", listed=False)
    do(certjobs, "expiry-check", *AS_OF)
    found = sync(certjobs, database, portal).json()
    assert portal.listed() == ["A", "N"]
    assert portal.changes() == 1
    assert [(each["mentor_ref"], each["operation"], each["triggered_by_event"]) for each in found["sent"]] == [
        ("X", "remove", "expired_cert"),
        ("A", "restore", "renewed"),
    ]
    assert (found["counts"]["removed"], found["counts"]["restored"], found["counts"]["open"]) == (1, 1, 0)
    assert listing(database) == {"A": True, "X": False}
    assert statuses(database) == {"done": 2}
    before = database.all("SELECT * FROM sync_queue ORDER BY id")
    sync(certjobs, database, portal)
    assert (portal.changes(), database.all("SELECT * FROM sync_queue ORDER BY id")) == (1, before)


def test_decided_when_sent(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A restoration of who has expired by the time it is sent takes them off, though nothing queued that."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    assert queue(database) == [("A", "restore", "renewed", "pending")]
    result = certjobs("sync", "--json", "--as-of", in_days(101), "--dry-run", url=database.job_url, env=portal.env)
    assert [each["operation"] for each in result.json()["sent"]] == ["remove"]
    sync(certjobs, database, portal)
    assert portal.listed() == ["A"]


def test_who_changes_while_it_is_sent_is_queued_again(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the rule's answer is another when the portal has acknowledged, and nothing is open, it is queued again."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", listed=False)
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    apply = client.DataverseSession.apply

    def then_a_day_passes(session: client.DataverseSession, changes: Sequence[ListingChange]) -> Answer:
        answer = apply(session, changes)
        database.execute("UPDATE certifications SET expires_on = %s WHERE external_ref = 'C-A'", TODAY.replace(day=1))
        return answer

    monkeypatch.setattr(client.DataverseSession, "apply", then_a_day_passes)
    found = sync(certjobs, database, portal).json()
    assert queue(database) == [("A", "restore", "renewed", "done"), ("A", "remove", "changed meanwhile", "done")]
    assert found["counts"]["again"] == 1
    assert portal.listed() == []


def test_absent_is_as_good_as_removed(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Taking off whom the portal does not know is done; listing whom it does not know is dead, and names the mentor."""
    load(certjobs, Mentor("A", 100), Mentor("X", -1), Mentor("B", 100))
    portal.knows("B", listed=False)
    do(certjobs, "expiry-check", *AS_OF)
    found = sync(certjobs, database, portal, exit_code=3).json()
    assert [(each["mentor_ref"], each["outcome"]) for each in found["sent"]] == [("X", "absent"), ("B", "done")]
    (trouble,) = found["trouble"]
    assert (trouble["mentor_ref"], trouble["status"]) == ("A", "dead")
    assert "A" in trouble["error"]
    assert listing(database) == {"B": True, "X": False}
    assert last_run(database).status == "partial"
    again = sync(certjobs, database, portal).json()
    assert (again["counts"]["claimed"], again["counts"]["dead"]) == (0, 0)


def test_one_failure_is_one_failure(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A mentor whom the portal fails for is tried again by the same run, a little later; all others went at once."""
    load(certjobs, *(Mentor(f"M{n}", 100) for n in range(9)))
    portal.knows(*(f"M{n}" for n in range(9)), listed=False)
    portal.fault("status", "part", key="M4", status=503)
    # what rests in the database's time is due at once for the test
    database.execute("CREATE FUNCTION soon() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " NEW.not_before := clock_timestamp() + interval '10 ms'; RETURN NEW; END $$;"
                     "CREATE TRIGGER soon BEFORE UPDATE OF not_before ON sync_queue FOR EACH ROW"
                     " WHEN (NEW.not_before IS NOT NULL) EXECUTE FUNCTION soon()")  # fmt: skip
    counts = sync(certjobs, database, portal, env={"CERTJOBS_SYNC_CONCURRENCY": "1"}).json()["counts"]
    assert portal.listed() == [f"M{n}" for n in range(9)]
    assert (counts["failed"], counts["restored"], counts["dead"]) == (1, 9, 0)
    assert database.one("SELECT failures FROM sync_queue WHERE failures > 0") == 1


def test_what_fails_for_days_is_dead(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """An operation that failed twelve times is given up with the reason, and the run says so."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", listed=False)
    database.execute("UPDATE sync_queue SET failures = 11")
    portal.fault("status", "row", status=500, count=None)
    found = sync(certjobs, database, portal, exit_code=3).json()
    assert statuses(database) == {"dead": 1}
    assert "given up" in found["message"]


def test_a_newer_operation_takes_the_place_of_one_that_fails(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """What fails while a newer one is open is superseded, and the newer one waits as long as it would have."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    fault = portal.fault("hang", "row")

    def meanwhile() -> None:
        assert fault.reached.wait(30)
        do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
        fault.released.set()

    thread = threading.Thread(target=meanwhile)
    thread.start()
    sync(certjobs, database, portal, exit_code=3, env={"CERTJOBS_SYNC_CONCURRENCY": "1"})
    thread.join()
    assert queue(database) == [("A", "restore", "renewed", "superseded"), ("A", "remove", "paused", "pending")]
    assert database.one("SELECT not_before > clock_timestamp() FROM sync_queue WHERE status = 'pending'")


def test_limit(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """--limit sends so many, the oldest first, exit 0; the rest waits for the next run."""
    load(certjobs, *(Mentor(f"M{n}", 100) for n in range(5)))
    portal.knows(*(f"M{n}" for n in range(5)), listed=False)
    counts = sync(certjobs, database, portal, "--limit", "2").json()["counts"]
    assert (counts["claimed"], counts["open"]) == (2, 3)
    assert portal.listed() == sorted(ref for ref, *_ in queue(database)[:2])
    sync(certjobs, database, portal)
    assert len(portal.listed()) == 5


def test_no_portal(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without a portal every run says so and how much waits, exit 0, and claims nothing."""
    load(certjobs, Mentor("A", 100))
    before = database.all("SELECT * FROM sync_queue")
    for _ in range(2):
        result = certjobs("sync", *AS_OF, url=database.job_url)
        assert result.exit_code == 0
        assert "No portal is set" in result.stdout
        assert "1 operation waiting" in result.stdout
    assert database.all("SELECT * FROM sync_queue") == before


def test_an_erased_mentor_leaves_the_website(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A mentor whose row has ended is taken off by the reference kept for it, which is forgotten then."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", listed=False)
    sync(certjobs, database, portal)
    do(certjobs, "mentors", "erase", "A", "--yes", *WHY)
    found = sync(certjobs, database, portal)
    assert portal.listed() == []
    assert database.one("SELECT count(*) FROM sync_queue WHERE mentor_ref IS NOT NULL") == 0
    assert database.one("SELECT count(*) FROM website_listing") == 0
    assert "A" not in found.stderr.replace("AM", "")


def test_who_moved_away_is_taken_off(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who moved to an organisation that is not listed is taken off; what else it does there is not sent."""
    load(certjobs, Mentor("A", 100), Mentor("N", 100, OLA, organisation="NHF"))
    portal.knows("A", "N")
    do(certjobs, "mentors", "move", "A", "--org", "NHF", "--chapter", "Prøveby", *WHY)
    sync(certjobs, database, portal)
    assert portal.listed() == ["N"]


def test_what_is_no_longer_ours_is_not_sent(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """An operation that somebody left open in an organisation that is not synchronised is superseded, not sent."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", listed=False)
    database.execute("ALTER TABLE organisations DISABLE TRIGGER certjobs_drop_operations")
    do(certjobs, "orgs", "set", "HLF", "--no-website-sync", *WHY)
    counts = sync(certjobs, database, portal).json()["counts"]
    assert (counts["superseded"], counts["claimed"]) == (1, 1)
    assert (portal.listed(), portal.changes()) == ([], 0)
