"""sync through the command line, against the simulator: what is sent, what is decided, what cannot be sent."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from certjobs.adapters.dataverse import client
from certjobs.errors import Unavailable
from certjobs.local.simulator.server import SECRET
from tests.canaries import canary, store
from tests.children.helpers import dump, last_run, load
from tests.portal import Portal, running
from tests.roster import OLA, TODAY, Mentor, in_days
from tests.test_outbox import AS_OF, WHY, do, queue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from certjobs.ports import Answer, ListingChange
    from tests.conftest import Certjobs, CertjobsProcess, Result, TestDatabase


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
    portal.fault("status", "row", key="A", status=500, count=None)
    found = sync(certjobs, database, portal, exit_code=3).json()
    assert statuses(database) == {"dead": 1}
    assert "given up" in found["message"]


def test_a_newer_operation_takes_the_place_of_one_that_fails(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """What fails while a newer one is open is superseded; the opposite waits until the request is surely over."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    fault = portal.fault("hang", "row", key="A")

    def meanwhile() -> None:
        assert fault.reached.wait(30)
        do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
        fault.released.set()

    thread = threading.Thread(target=meanwhile)
    thread.start()
    sync(certjobs, database, portal, exit_code=3, env={"CERTJOBS_SYNC_CONCURRENCY": "1"})
    thread.join()
    assert queue(database) == [("A", "restore", "renewed", "superseded"), ("A", "remove", "paused", "pending")]
    database.execute("UPDATE sync_queue SET not_before = NULL")
    sync(certjobs, database, portal, exit_code=3)
    assert portal.changes() == 1
    database.execute("UPDATE sync_queue SET unsure_until = clock_timestamp()")
    sync(certjobs, database, portal)
    assert (portal.listed(), statuses(database)) == ([], {"superseded": 1, "done": 1})


def test_the_same_again_does_not_wait_and_the_opposite_does(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """A request that was not answered is sent again at once; once that is done, the opposite still waits for it."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", listed=False)
    portal.fault("drop_before", "row", key="A")
    certjobs("sync", *AS_OF, url=database.job_url, env=portal.env)
    database.execute("UPDATE sync_queue SET not_before = NULL")
    sync(certjobs, database, portal)
    assert portal.listed() == ["A"]
    do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
    sync(certjobs, database, portal, exit_code=3)
    assert portal.listed() == ["A"]
    database.execute("UPDATE sync_queue SET unsure_until = clock_timestamp()")
    sync(certjobs, database, portal)
    assert portal.listed() == []


def test_a_blip_is_waited_for(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A portal that is away for a moment costs a rest of all workers, no failure and no later run."""
    refs = ready(certjobs, portal, 40)
    portal.fault("status", "batch", status=503, count=3)
    counts = sync(certjobs, database, portal, env={"CERTJOBS_SYNC_BATCH_SIZE": "5"}).json()["counts"]
    assert portal.listed() == refs
    assert (counts["open"], counts["dead"]) == (0, 0)
    assert portal.rests[0] == 2


def test_requests_that_cannot_leave_are_no_failures(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing reaches the portal, the run rests three times and ends 69; every operation is due at once."""
    ready(certjobs, portal, 20)

    def away(*_: object) -> Answer:
        msg = "The portal refused the connection."
        raise Unavailable(msg, hint="")

    monkeypatch.setattr(client.DataverseSession, "apply", away)
    found = sync(certjobs, database, portal, exit_code=69).json()
    assert portal.rests == [2, 10, 30]
    assert "refused the connection" in found["message"]
    assert database.all("SELECT DISTINCT status, failures, not_before FROM sync_queue") == [("pending", 0, None)]


def test_requests_that_left_together_count_as_one(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails after the rest that another of its time was the reason for is no reason for a longer one."""
    ready(certjobs, portal, 20)
    calls = Counter[int]()
    rested, seen = threading.Event(), threading.Event()

    def away(*_: object) -> Answer:
        me = threading.get_ident()
        first = not calls or next(iter(calls)) == me
        calls[me] += 1
        if first and calls[me] == 2:  # it has rested: the others fail only now, and it waits for one to have come back
            rested.set()
            assert seen.wait(10)
        elif not first:
            assert rested.wait(10)
            if calls[me] == 2:
                seen.set()
        msg = "The portal refused the connection."
        raise Unavailable(msg, hint="")

    monkeypatch.setattr(client.DataverseSession, "apply", away)
    together = {"CERTJOBS_SYNC_BATCH_SIZE": "5", "CERTJOBS_SYNC_CONCURRENCY": "4"}
    sync(certjobs, database, portal, exit_code=69, env=together)
    assert portal.rests == [2, 10, 30]


def test_a_rest_longer_than_a_run_is_kept(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who is asked to rest longer than a run does ends 3, and does not ask for the same again before that."""
    ready(certjobs, portal, 4)
    portal.fault("status", "batch", status=429, retry_after=900)
    sync(certjobs, database, portal, exit_code=3)
    assert portal.rests == []
    assert database.one("SELECT min(not_before) > clock_timestamp() + interval '14 minutes' FROM sync_queue")


def test_a_dry_run_waits_for_nothing(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dry-run tells of what is due and leaves what comes due soon, for it holds locks."""
    ready(certjobs, portal, 2)
    database.execute("UPDATE sync_queue SET not_before = clock_timestamp() + interval '40 s' WHERE id %% 2 = 0")
    found = sync(certjobs, database, portal, "--dry-run", exit_code=3).json()
    assert (portal.rests, len(found["sent"]), found["counts"]["open"]) == ([], 1, 1)


def test_a_dry_run_refuses_what_the_run_refuses(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A reference that cannot be on the portal is given up in both alike, and later runs still tell of it."""
    load(certjobs, Mentor("A/1", 100), Mentor("B", 100))
    portal.knows("B", listed=False)
    dry = sync(certjobs, database, portal, "--dry-run", exit_code=3).json()
    real = sync(certjobs, database, portal, exit_code=3).json()
    assert [dry["counts"], dry["trouble"]] == [real["counts"], real["trouble"]]
    later = certjobs("sync", *AS_OF, url=database.job_url, env=portal.env)
    assert (later.exit_code, "1 operation given up by earlier runs" in later.stdout) == (0, True)


def test_erased_while_the_restoration_is_under_way(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mentor whose row ends while they are being listed is taken off by the same run, and their reference is gone."""
    load(certjobs, Mentor("SECRETREF", 100), Mentor("B", 100))
    portal.knows("SECRETREF", "B", listed=False)
    apply, seen = client.DataverseSession.apply, list[int]()

    def meanwhile(session: client.DataverseSession, changes: Sequence[ListingChange]) -> Answer:
        if not seen:
            do(certjobs, "mentors", "erase", "SECRETREF", "--yes", *WHY)
        seen.append(len(changes))
        return apply(session, changes)

    monkeypatch.setattr(client.DataverseSession, "apply", meanwhile)
    counts = sync(certjobs, database, portal).json()["counts"]
    assert (portal.listed(), counts["lost"], seen) == (["B"], 0, [2, 1])
    assert "SECRETREF" not in str(database.all("SELECT q::text FROM sync_queue q"))


def test_erased_after_the_removal_was_given_up(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """An erased mentor whose removal is dead is taken off once more, and no error keeps the reference."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    do(certjobs, "mentors", "pause", "A", *WHY, *AS_OF)
    portal.fault("status", "row", key="A", status=400)
    sync(certjobs, database, portal, exit_code=3)
    assert (portal.listed(), statuses(database)["dead"]) == (["A"], 1)
    do(certjobs, "mentors", "erase", "A", "--yes", *WHY)
    sync(certjobs, database, portal)
    assert portal.listed() == []
    assert database.all("SELECT mentor_ref, last_error FROM sync_queue WHERE status = 'dead'") == [(None, None)]
    assert database.one("SELECT count(*) FROM website_listing") == 0


def test_a_wrong_column_is_one_error(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A misspelt column ends the run with 78 before anything is sent, names the setting, and kills no operation."""
    ready(certjobs, portal, 3)
    before = database.all("SELECT * FROM sync_queue ORDER BY id")
    result = sync(certjobs, database, portal, exit_code=78, env={"CERTJOBS_DATAVERSE_LISTED_COLUMN": "new_listet"})
    assert "new_listet" in result.json()["message"]
    assert "CERTJOBS_DATAVERSE_LISTED_COLUMN" in result.json()["hint"]
    assert database.all("SELECT * FROM sync_queue ORDER BY id") == before


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


# What goes wrong at the portal.


def ready(certjobs: Certjobs, portal: Portal, number: int) -> list[str]:
    """Give a roster whose every mentor is to be listed, and is not yet."""
    refs = [f"M{n:02}" for n in range(number)]
    load(certjobs, *(Mentor(ref, 100) for ref in refs))
    portal.knows(*refs, listed=False)
    return refs


SMALL = {"CERTJOBS_SYNC_BATCH_SIZE": "5", "CERTJOBS_SYNC_CONCURRENCY": "1"}


def test_a_rest_holds_every_request(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A portal that asks for 30 s in mid-run is not asked anything during them, and then everything goes out."""
    refs = ready(certjobs, portal, 20)
    portal.fault("status", "batch", status=429, retry_after=30, after=1)
    counts = sync(certjobs, database, portal, env={"CERTJOBS_SYNC_BATCH_SIZE": "5"}).json()["counts"]
    assert portal.rests == [30.0]
    assert (portal.listed(), counts["failed"], counts["open"]) == (refs, 0, 0)
    assert database.one("SELECT max(failures) FROM sync_queue") == 0, "a limit is no failure"
    assert {each.at - 1_800_000_000 for each in portal.simulator.log.entries("batch")} == {0.0, 30.0}


@pytest.mark.parametrize("kind", ["drop_after", "truncate", "missing_parts"])
def test_an_answer_that_is_lost_loses_nothing(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, kind: str
) -> None:
    """Whatever is lost of an answer after the portal did its part, every operation ends done, now or by a later run."""
    refs = ready(certjobs, portal, 12)
    portal.fault(kind, "batch")
    certjobs("sync", *AS_OF, url=database.job_url, env=portal.env | SMALL)
    database.execute("UPDATE sync_queue SET not_before = NULL")
    sync(certjobs, database, portal)
    assert portal.listed() == refs
    assert statuses(database) == {"done": 12}


def test_a_token_that_is_refused_in_the_middle(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A token made worthless in mid-run is replaced by one more, and nothing fails."""
    refs = ready(certjobs, portal, 12)
    portal.fault("status", "batch", status=401, after=1)
    counts = sync(certjobs, database, portal, env=SMALL).json()["counts"]
    assert (portal.listed(), counts["failed"]) == (refs, 0)
    assert len(portal.simulator.log.entries("token")) == 2


def test_a_portal_that_is_away_and_comes_back(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """While the portal answers 503 the run gives up after three rests, exit 69; the next ends with everything right."""
    refs = ready(certjobs, portal, 10)
    fault = portal.fault("status", "batch", status=503, count=None)
    env = {"CERTJOBS_SYNC_BATCH_SIZE": "2", "CERTJOBS_SYNC_CONCURRENCY": "1"}
    found = sync(certjobs, database, portal, exit_code=69, env=env).json()
    assert found["counts"]["open"] == 10
    assert (fault.used, portal.rests) == (4, [2, 10, 30])
    portal.simulator.faults.clear()
    database.execute("UPDATE sync_queue SET not_before = NULL")
    sync(certjobs, database, portal)
    assert portal.listed() == refs


def test_credentials_rejected(certjobs: Certjobs, database: TestDatabase, portal: Portal, tmp_path: Path) -> None:
    """With a wrong secret nothing is tried: exit 77, nothing claimed, and the secret is said nowhere."""
    ready(certjobs, portal, 2)
    secret = canary("client", "wrong")
    wrong = store(tmp_path / "wrong", secret)
    before = database.all("SELECT * FROM sync_queue ORDER BY id")
    env = {"CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": str(wrong)}
    result = sync(certjobs, database, portal, exit_code=77, env=env)
    assert "client secret" in result.json()["message"]
    assert secret not in result.stdout + result.stderr
    assert database.all("SELECT * FROM sync_queue ORDER BY id") == before
    assert portal.changes() == 0


def test_a_dry_run_sends_and_writes_nothing(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dry-run reports what the run does, and no request for a change leaves and no row changes."""
    ready(certjobs, portal, 3)
    before = database.all("SELECT * FROM sync_queue ORDER BY id")
    dry = sync(certjobs, database, portal, "--dry-run").json()
    assert (portal.changes(), database.all("SELECT * FROM sync_queue ORDER BY id")) == (0, before)
    real = sync(certjobs, database, portal).json()
    assert [dry["sent"], dry["counts"]] == [real["sent"], real["counts"]]


def test_two_processes_share_a_queue(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase, portal: Portal
) -> None:
    """Two runs at once send each operation once between them, and both end well."""
    refs = ready(certjobs, portal, 60)
    argv = ("sync", "--json", *AS_OF)
    both = [certjobs_process.start(*argv, url=database.job_url, env=portal.env | SMALL) for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert portal.listed() == refs
    assert sum(each.parts for each in portal.simulator.log.entries("batch")) == 60
    assert statuses(database) == {"done": 60}


def test_a_worker_that_is_gone(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Operations that a killed worker had in hand wait for their lease (exit 3), and are sent once it has run out."""
    refs = ready(certjobs, portal, 3)
    database.execute(
        "UPDATE sync_queue SET status = 'processing', attempt = 1, sent = 'restore',"
        " claimed_by_run = gen_random_uuid(), leased_until = clock_timestamp() + interval '1 hour'"
    )
    found = sync(certjobs, database, portal, exit_code=3).json()
    assert "a worker that is gone" in found["message"]
    assert portal.changes() == 0
    database.execute("UPDATE sync_queue SET leased_until = clock_timestamp() - interval '1 second'")
    assert sync(certjobs, database, portal).json()["counts"]["reclaimed"] == 3
    assert portal.listed() == refs


def test_no_secret_and_no_token_stays_anywhere(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """After a run with failures neither the secret nor a token is in any row or line of output."""
    ready(certjobs, portal, 7)
    portal.fault("status", "batch", status=401)
    portal.fault("status", "part", key="M03", status=500)
    result = certjobs("sync", *AS_OF, url=database.job_url, env=portal.env | SMALL | {"CERTJOBS_LOG_LEVEL": "debug"})
    rows = "".join(row for table in dump(database).values() for row in table)
    for secret in (SECRET, "Bearer", "access_token"):
        assert secret not in result.stdout + result.stderr + rows


# The guard.


def test_unexplained_removals_are_guarded(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Removals that no guarded pause explains, too many of them, wait for a person; all else goes out meanwhile."""
    refs = ready(certjobs, portal, 10)
    load(certjobs, Mentor("X", -1))
    portal.knows("X")
    sync(certjobs, database, portal)
    tight = {"CERTJOBS_GUARD_COUNT": "2", "CERTJOBS_GUARD_SHARE": "0.1"}
    do(certjobs, "expiry-check", *AS_OF)
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref < 'M05'")
    found = sync(certjobs, database, portal, exit_code=4, env=tight).json()
    assert portal.listed() == refs, "X is off, the five are not"
    (guarded,) = found["guarded"]
    assert (guarded["size"], guarded["mentors"]) == (5, refs[:5])
    do(certjobs, "approve", guarded["hash"], "--reason", "agreed with the chapters")
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref IN ('M05', 'M06', 'M07')")
    sync(certjobs, database, portal, exit_code=4, env=tight)
    assert portal.listed() == refs[5:], "what became due since is guarded by itself"
