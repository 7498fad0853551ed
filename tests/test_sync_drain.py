"""Ten workers in two processes drain a long queue while mentors change and the portal fails now and then."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from contextlib import ExitStack, suppress
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.children.helpers import runs, waits_for_lock
from tests.roster import TODAY
from tests.test_outbox import AS_OF, WHY, do
from tests.test_sync import ready
from tests.watched import Background, Unsteady, account, due_soon, watched

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Certjobs, CertjobsProcess, Result, TestDatabase
    from tests.watched import Watch, WatchedPortal

MENTORS = 20_000
PAUSED = 5_000
LAST_CHANGE = 500  # the request after which mentors change no more: the queue is short by then
UNKNOWN = 100  # to the portal every hundredth mentor is unknown
FIVE_EACH = {
    "CERTJOBS_SYNC_CONCURRENCY": "5",
    "CERTJOBS_SYNC_BATCH_SIZE": "100",
    "CERTJOBS_GUARD_COUNT": "1000000",
}
ROSTER = """
    WITH chapter AS (
        INSERT INTO chapters (organisation_id, name) SELECT id, 'Prøveby' FROM organisations WHERE code = 'HLF'
        RETURNING id, organisation_id
    )
    INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)
    SELECT 'M-' || i, 'Mentor ' || i, organisation_id, id FROM chapter, generate_series(1, %(mentors)s) i ORDER BY i;
"""
CERTIFICATIONS = """
    INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)
    SELECT 'C-' || id, id, %(today)s::date - 700, %(today)s::date + 100 FROM peer_mentors ORDER BY id
"""
ANY = "SELECT id FROM peer_mentors TABLESAMPLE bernoulli (0.1)"
IN_HAND = "SELECT mentor_id FROM sync_queue WHERE status = 'processing' ORDER BY random() LIMIT 30"
CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("UPDATE peer_mentors SET status = 'paused', pause_reason = 'away' WHERE id = ANY (%(ids)s)", {}),
    ("UPDATE peer_mentors SET status = 'active', pause_reason = NULL WHERE id = ANY (%(ids)s)", {}),
    (
        "UPDATE certifications SET expires_on = %(day)s, withdrawn_on = NULL WHERE mentor_id = ANY (%(ids)s)",
        {"day": TODAY + timedelta(days=400)},
    ),
    ("UPDATE certifications SET withdrawn_on = %(day)s WHERE mentor_id = ANY (%(ids)s)", {"day": TODAY}),
)


def roster(database: TestDatabase) -> None:
    """Fill the outbox: most mentors are to be listed, the others, paused since, to be taken off."""
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT set_config('certjobs.today', %s, false)", [TODAY.isoformat()])
        connection.execute(ROSTER, {"mentors": MENTORS})
        connection.execute(CERTIFICATIONS, {"today": TODAY})
        connection.execute(
            "UPDATE peer_mentors SET status = 'paused', pause_reason = 'away' WHERE id %% %s = 0", [MENTORS // PAUSED]
        )


def wanted(database: TestDatabase) -> dict[str, bool]:
    """Return whom the rule wants listed: active, and certified to this day at least."""
    ends: dict[str, list[date]] = defaultdict(list)
    active = {}
    for ref, status, expires, withdrawn in database.all(
        "SELECT m.external_ref, m.status, c.expires_on, c.withdrawn_on"
        " FROM peer_mentors m JOIN certifications c ON c.mentor_id = m.id"
    ):
        active[ref] = status == "active"
        ends[ref].append(min(expires, withdrawn - timedelta(days=1)) if withdrawn else expires)
    return {ref: active[ref] and max(ends[ref]) >= TODAY for ref in active}


def keep_changing(database: TestDatabase, until: threading.Event, seed: int) -> int:
    """Change mentors as the application does, half of them just when they are sent; return in how many transactions.

    One that ends in a deadlock is not tried again: another follows.
    """
    chance = random.Random(seed)  # noqa: S311 - of changes, not of secrets
    number = 0
    with database.connect() as connection:
        while not until.is_set():
            statement, values = chance.choice(CHANGES)
            with suppress(psycopg.errors.DeadlockDetected), connection.transaction():
                connection.execute("SELECT set_config('certjobs.today', %s, true)", [TODAY.isoformat()])
                ids = [row[0] for row in connection.execute(chance.choice((ANY, IN_HAND)))]
                # in order, as whoever changes many must
                connection.execute("SELECT 1 FROM peer_mentors WHERE id = ANY (%s) ORDER BY id FOR UPDATE", [ids])
                connection.execute(statement, {"ids": ids, **values})
            number += 1
    return number


def ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[dict[str, Any]]:
    """Wait for runs that may leave something dead, and nothing worse; return their reports."""
    reports = []
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode in (0, 3), err.decode()[-3000:]
        assert b"not_claimed" not in err, err.decode()[-3000:]
        assert b"not_settled" not in err, err.decode()[-3000:]
        reports.append(json.loads(out))
    return reports


def until_nothing_is_open(
    certjobs_process: CertjobsProcess, database: TestDatabase, portal: WatchedPortal
) -> list[dict[str, Any]]:
    """Run again until nothing is open, and return the reports."""
    reports = []
    for _ in range(5):
        database.execute("UPDATE sync_queue SET unsure_until = NULL WHERE unsure_until IS NOT NULL")  # all have ended
        result: Result = certjobs_process("sync", "--json", *AS_OF, url=database.job_url, env=portal.env | FIVE_EACH)
        assert result.exit_code in (0, 3), result.stderr[-3000:]
        reports.append(result.json())
        if not reports[-1]["counts"]["open"]:
            return reports
    pytest.fail(f"still open: {reports[-1]}")


def sent_in_order(database: TestDatabase, watch: Watch) -> None:
    """The portal got each mentor's states in the order of the operations, and the ledger holds the last of them."""
    sent = defaultdict(list)
    for ref, state in database.all(
        "SELECT m.external_ref, q.sent = 'restore' FROM sync_queue q JOIN peer_mentors m ON m.id = q.mentor_id"
        " WHERE q.outcome = 'done' ORDER BY q.id"
    ):
        sent[ref].append(state)
    assert watch.accepted == sent
    ledger = dict(
        database.all(
            "SELECT m.external_ref, w.listed FROM website_listing w"
            " JOIN peer_mentors m ON m.id = w.mentor_id JOIN sync_queue q ON q.id = w.operation_id"
            " WHERE q.outcome = 'done'"
        )
    )
    assert ledger == watch.last()


def accounted_for(database: TestDatabase, reports: Sequence[dict[str, Any]], unknown: set[str]) -> None:
    """Every operation is done, given up for being of somebody unknown, or superseded; the runs count the same."""
    by_status = account(database)
    assert set(by_status) == {"done", "dead", "superseded"}
    assert sum(by_status.values()) > MENTORS
    dead = database.all(
        "SELECT m.external_ref, q.sent FROM sync_queue q JOIN peer_mentors m ON m.id = q.mentor_id"
        " WHERE q.status = 'dead'"
    )
    assert {ref for ref, _ in dead} <= unknown
    assert {state for _, state in dead} == {"restore"}
    counts = [each["counts"] for each in reports]
    for name in ("done", "dead"):
        assert sum(each[name] for each in counts) == by_status[name]
    assert sum(each["removed"] + each["restored"] for each in counts) == by_status["done"]
    for each in counts:
        ends = ("done", "failed", "dead", "superseded", "released", "lost")
        assert each["claimed"] == sum(each[name] for name in ends)
        assert each["lost"] == 0
    assert {row.status for row in runs(database)} <= {"succeeded", "partial"}


def test_what_another_session_holds_is_left_where_it_is(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """An operation whose row another session holds keeps no other back, and nobody waiting; a later run sends it."""
    with watched(tmp_path) as portal:
        refs = ready(certjobs, portal, 5)
        with psycopg.connect(database.url) as other:
            other.execute(
                "SELECT 1 FROM sync_queue WHERE mentor_id = (SELECT id FROM peer_mentors WHERE external_ref = %s)"
                " FOR UPDATE",
                refs[:1],
            )
            env = portal.env | {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "0.5"}
            result = certjobs("sync", "--json", *AS_OF, url=database.job_url, env=env)
            assert (result.exit_code, portal.listed()) == (3, refs[1:])
            assert "not_claimed" not in result.stderr
        assert certjobs("sync", *AS_OF, url=database.job_url, env=portal.env).exit_code == 0
        assert portal.listed() == refs


def test_who_is_being_sent_is_not_sent_by_another(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase, tmp_path: Path
) -> None:
    """Who changes while one process has them in hand is left alone by another until that is over, and then follows."""
    argv = ("sync", "--json", *AS_OF)
    arrived, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 1:
            arrived.set()
            go_on.wait(30)

    with watched(tmp_path) as portal, ExitStack() as ending:
        ready(certjobs, portal, 1)
        portal.watch.on_request = hold
        process = certjobs_process.start(*argv, url=database.job_url, env=portal.env)
        ending.callback(process.kill)
        ending.callback(go_on.set)
        assert arrived.wait(30)
        do(certjobs, "mentors", "pause", "M00", *WHY, *AS_OF)
        other = certjobs(*argv, url=database.job_url, env=portal.env)
        assert (other.exit_code, other.json()["counts"]["claimed"], portal.watch.requests) == (3, 0, 1)
        assert "not_claimed" not in other.stderr
        go_on.set()
        ended([process])
        assert certjobs(*argv, url=database.job_url, env=portal.env).exit_code == 0
        assert (portal.watch.accepted, portal.watch.at_once) == ({"M00": [True, False]}, [])


@pytest.fixture
def refused(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> Iterator[Result]:
    """Run sync while the database refuses that one of nine operations is done."""
    with watched(tmp_path) as portal:
        refs = ready(certjobs, portal, 9)
        database.execute(
            "CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
            "CREATE TRIGGER stubborn BEFORE UPDATE ON sync_queue FOR EACH ROW"
            f" WHEN (NEW.status = 'done' AND NEW.id = {database.one('SELECT min(id) FROM sync_queue')})"
            " EXECUTE FUNCTION stubborn()"
        )
        result = certjobs("sync", "--json", *AS_OF, url=database.job_url, env=portal.env)
        assert portal.listed() == refs
        yield result


def test_an_answer_that_the_database_refuses(refused: Result, database: TestDatabase) -> None:
    """What became of one operation cannot be written down: all others are settled, and it is counted as lost."""
    assert account(database) == {"done": 8, "processing": 1}
    assert refused.json()["counts"]["lost"] == 1


def test_an_operation_that_is_lost_is_owed(refused: Result) -> None:
    """A run that leaves an operation of its own in processing does not say that all went well: it exits 3."""
    assert refused.exit_code == 3


def test_an_application_that_changes_who_is_being_sent(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """A transaction of the application that changes two mentors whose request just fails does not end in a deadlock."""
    pause = "UPDATE peer_mentors SET status = 'paused' WHERE external_ref = %s"
    with watched(tmp_path) as portal, ExitStack() as ending:
        refs = ready(certjobs, portal, 2)
        hang = portal.fault("hang", "batch")
        settings = portal.env | {"CERTJOBS_SYNC_CONCURRENCY": "1"}
        run = Background(lambda: certjobs("sync", *AS_OF, url=database.job_url, env=settings).exit_code)
        ending.callback(run.join)
        run.start()
        with psycopg.connect(database.url) as application:
            assert hang.reached.wait(30)
            application.execute("SELECT set_config('certjobs.today', %s, true)", [TODAY.isoformat()])
            application.execute(pause, refs[1:])
            hang.released.set()
            waits_for_lock(database)
            application.execute(pause, refs[:1])


@pytest.mark.timeout(240)
def test_ten_workers_and_changing_mentors(
    certjobs_process: CertjobsProcess, database: TestDatabase, tmp_path: Path
) -> None:
    """Every mentor ends as the rule wants, nobody was sent twice at once or out of order, and all is accounted for."""
    roster(database)
    due_soon(database, milliseconds=250)  # longer than a change of the application takes
    assert account(database)["pending"] == MENTORS
    first = wanted(database)
    unknown = {f"M-{n}" for n in range(1, MENTORS + 1) if n % UNKNOWN == 1}
    known = first.keys() - unknown
    begun, enough, latency = threading.Event(), threading.Event(), threading.Event()

    def on_request(number: int) -> None:
        begun.set()
        if number > LAST_CHANGE:
            enough.set()
        latency.wait(0.01 if number < MENTORS // 100 else 0.03)

    with watched(tmp_path) as portal, ExitStack() as ending:
        for ref in known:
            portal.simulator.state.add(ref, listed=not first[ref])
        faults = portal.simulator.service.faults = Unsteady(parts=0.04, batches=0.01)
        portal.watch.on_request = on_request
        argv = ("sync", "--json", *AS_OF)
        both = [certjobs_process.start(*argv, url=database.job_url, env=portal.env | FIVE_EACH) for _ in range(2)]
        for process in both:
            ending.callback(process.kill)
        changing = [Background(partial(keep_changing, database, enough, seed)) for seed in range(3)]
        try:
            assert begun.wait(60)
            for each in changing:
                each.start()
            while not enough.wait(0.1) and any(each.poll() is None for each in both):
                pass
        finally:
            enough.set()
        assert sum(each.found() for each in changing) > 20
        reports = ended(both)
        faults.on = False
        reports += until_nothing_is_open(certjobs_process, database, portal)
        again = portal.watch.requests
        assert certjobs_process(*argv, url=database.job_url, env=portal.env | FIVE_EACH).exit_code == 0
        assert portal.watch.requests == again, "again is nothing"
        listed = set(portal.listed())
        watch = portal.watch

    assert watch.most_at_once > 5, "never both processes at once"
    assert faults.befell > MENTORS / 50
    assert sum(len(states) > 1 for states in watch.accepted.values()) > 100, "nobody changed in mid-run"

    now = wanted(database)
    assert {ref for ref in now if now[ref]} - unknown == listed
    assert watch.at_once == []
    sent_in_order(database, watch)
    assert watch.last() == {ref: now[ref] for ref in watch.accepted}
    accounted_for(database, reports, unknown)
