"""The outbox through the command line and through the application's own statements: what each change queues."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.children.helpers import load
from tests.roster import OLA, TODAY, Mentor, in_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Certjobs, TestDatabase

AS_OF = ("--as-of", TODAY.isoformat())
WHY = ("--reason", "a test")
FOR_EVER = 20_000  # days: valid whenever the tests run, for what is decided by the database's own day


@pytest.fixture
def roster(certjobs: Certjobs, database: TestDatabase) -> TestDatabase:
    """Give a roster with nobody's change in the outbox: V is valid, X expired yesterday, U has no certification."""
    load(
        certjobs,
        Mentor("V", FOR_EVER),
        Mentor("X", -1),
        Mentor("U", None),
        Mentor("N", FOR_EVER, OLA, organisation="NHF"),
    )
    database.execute("DELETE FROM sync_queue")
    return database


def queue(database: TestDatabase) -> list[tuple[str, str, str, str]]:
    """Return every operation, oldest first: mentor, operation, because of what, status."""
    return database.all(
        "SELECT coalesce(m.external_ref, q.mentor_ref), q.operation, q.triggered_by_event, q.status FROM sync_queue q"
        " LEFT JOIN peer_mentors m ON m.id = q.mentor_id ORDER BY q.id"
    )


def warnings(database: TestDatabase) -> list[tuple[str, bool]]:
    """Return the warning findings: mentor, and whether it is cleared."""
    return database.all(
        "SELECT m.external_ref, l.cleared_at IS NOT NULL FROM reconciliation_log l"
        " JOIN peer_mentors m ON m.id = l.mentor_id WHERE l.finding = 'warning' ORDER BY l.id"
    )


def do(certjobs: Certjobs, *argv: str, exit_code: int = 0) -> None:
    """Carry out a command."""
    result = certjobs(*argv)
    assert result.exit_code == exit_code, result


def app_sets(database: TestDatabase, what: str, ref: str) -> None:
    """Change a mentor as the application does, on the tests' usual night."""
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT set_config('certjobs.today', %s, true)", [TODAY.isoformat()])
        connection.execute(f"UPDATE peer_mentors SET {what} WHERE external_ref = %s".encode(), [ref])


def test_a_mentor_who_arrives_is_restored(certjobs: Certjobs, database: TestDatabase) -> None:
    """Mentors who come into the roster active and valid are to be listed; the expired, uncertified and NHF are not."""
    load(certjobs, Mentor("V", 100), Mentor("X", -1), Mentor("U", None), Mentor("N", 100, OLA, organisation="NHF"))
    assert queue(database) == [("V", "restore", "renewed", "pending")]


def test_expired_cert_is_removed(certjobs: Certjobs, roster: TestDatabase) -> None:
    """The nightly pause of who expired yesterday queues a removal that it explains, in the run's name."""
    do(certjobs, "expiry-check", *AS_OF)
    assert queue(roster) == [("X", "remove", "expired_cert", "pending")]
    assert roster.all("SELECT explained, actor, caused_by_run IS NOT NULL FROM sync_queue") == [(True, "test", True)]


def test_paused_is_removed(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A pause by hand queues a removal, with who paused; again is nothing."""
    do(certjobs, "mentors", "pause", "V", *WHY, *AS_OF)
    assert queue(roster) == [("V", "remove", "paused", "pending")]
    assert roster.all("SELECT explained, actor FROM sync_queue") == [(False, "test")]
    do(certjobs, "mentors", "pause", "U", *WHY, *AS_OF)
    assert len(queue(roster)) == 1, "who never had a certification was never listed"


def test_reinstated_with_a_valid_certification_is_restored(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A mentor made active again with a valid certification is restored, in the place of the removal not yet sent."""
    do(certjobs, "mentors", "pause", "V", *WHY, *AS_OF)
    do(certjobs, "mentors", "reinstate", "V", *WHY, *AS_OF)
    assert queue(roster) == [("V", "remove", "paused", "superseded"), ("V", "restore", "reinstated", "pending")]
    assert warnings(roster) == []


def test_reinstated_without_a_certification_is_a_warning(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A mentor made active again without a valid certification queues nothing and leaves a finding, until renewed."""
    do(certjobs, "expiry-check", *AS_OF)
    roster.execute("DELETE FROM sync_queue")
    do(certjobs, "mentors", "reinstate", "X", "--force", *WHY, *AS_OF)
    assert queue(roster) == []
    assert warnings(roster) == [("X", False)]
    do(certjobs, "certs", "renew", "C-X", "--expires", in_days(300), *WHY, *AS_OF)
    assert queue(roster) == [("X", "restore", "renewed", "pending")]
    assert warnings(roster) == [("X", True)]


def test_a_renewal_of_an_active_unlisted_mentor_is_restored(certjobs: Certjobs, roster: TestDatabase) -> None:
    """An expired mentor whom nobody paused yet and an uncertified one are restored when they are certified again."""
    do(certjobs, "certs", "renew", "C-X", "--expires", in_days(300), *WHY, *AS_OF)
    do(certjobs, "certs", "add", "U", "--ref", "C-U", "--issued", in_days(-1), "--expires", in_days(300), *WHY, *AS_OF)
    assert queue(roster) == [("X", "restore", "renewed", "pending"), ("U", "restore", "renewed", "pending")]


def test_a_renewal_of_a_listed_or_paused_mentor_is_nothing(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A longer certification changes nothing for who is listed already, or stays paused."""
    do(certjobs, "certs", "renew", "C-V", "--expires", in_days(FOR_EVER + 1), *WHY)
    do(certjobs, "expiry-check", *AS_OF)
    roster.execute("DELETE FROM sync_queue")
    do(certjobs, "certs", "renew", "C-X", "--expires", in_days(300), *WHY, *AS_OF)
    assert queue(roster) == []


def test_a_withdrawn_certification_is_removed(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A mentor whose certification is withdrawn, so that none is valid, is taken off at once."""
    do(certjobs, "certs", "withdraw", "C-V", *WHY, *AS_OF)
    assert queue(roster) == [("V", "remove", "withdrawn", "pending")]


def test_leaving_and_joining_a_listing_organisation(certjobs: Certjobs, roster: TestDatabase) -> None:
    """Who moves to an organisation that is not listed is taken off; who comes from one is restored."""
    do(certjobs, "mentors", "move", "V", "--org", "NHF", "--chapter", "Prøveby", *WHY)
    do(certjobs, "mentors", "move", "N", "--org", "HLF", "--chapter", "Prøveby", *WHY)
    assert queue(roster) == [("V", "remove", "moved", "pending"), ("N", "restore", "moved", "pending")]
    hlf = roster.one("SELECT id FROM organisations WHERE code = 'HLF'")
    assert roster.one("SELECT array_agg(DISTINCT organisation_id) FROM sync_queue") == [hlf]


def test_an_organisation_that_is_not_listed(certjobs: Certjobs, roster: TestDatabase) -> None:
    """Whatever becomes of NHF's mentors, nothing is queued."""
    do(certjobs, "mentors", "pause", "N", *WHY, *AS_OF)
    do(certjobs, "mentors", "reinstate", "N", *WHY, *AS_OF)
    do(certjobs, "certs", "withdraw", "C-N", *WHY, *AS_OF)
    do(certjobs, "mentors", "erase", "N", "--yes", *WHY)
    assert queue(roster) == []
    assert warnings(roster) == []


def test_an_organisation_switched_off(certjobs: Certjobs, roster: TestDatabase) -> None:
    """Switched off, an organisation's open operations are superseded; switched on again, nothing is queued."""
    do(certjobs, "mentors", "pause", "V", *WHY, *AS_OF)
    do(certjobs, "orgs", "set", "HLF", "--no-website-sync", *WHY)
    assert queue(roster) == [("V", "remove", "paused", "superseded")]
    do(certjobs, "orgs", "set", "HLF", "--website-sync", *WHY)
    assert len(queue(roster)) == 1


def test_an_erased_mentor_is_removed(certjobs: Certjobs, roster: TestDatabase) -> None:
    """A mentor whose row ends is taken off, by the reference kept for it; who was never listed leaves nothing."""
    do(certjobs, "mentors", "erase", "V", "--yes", *WHY)
    do(certjobs, "mentors", "erase", "U", "--yes", *WHY)
    assert queue(roster) == [("V", "remove", "withdrawn", "pending")]  # certifications go first
    do(certjobs, "mentors", "pause", "X", *WHY, *AS_OF)
    do(certjobs, "mentors", "erase", "X", "--yes", *WHY)
    assert queue(roster)[1:] == [("X", "remove", "paused", "pending")]


def test_other_changes_queue_nothing(roster: TestDatabase) -> None:
    """A new name, chapter or pause reason is nothing to the website, also of an expired mentor who is active."""
    roster.execute("UPDATE peer_mentors SET name = name || ' Ny', external_ref = external_ref")
    roster.execute("UPDATE peer_mentors SET status = status")
    assert queue(roster) == []


def test_a_change_that_rolls_back_leaves_nothing(roster: TestDatabase) -> None:
    """An operation stands and falls with the transaction of its change."""
    with psycopg.connect(roster.url) as connection:
        connection.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = 'V'")
        assert connection.execute("SELECT count(*) FROM sync_queue").fetchone() == (1,)
        connection.rollback()
    assert queue(roster) == []


@pytest.fixture
def application(roster: TestDatabase) -> Iterator[str]:
    """Give the address for a role that owns nothing and may only work on the roster's own tables."""
    roster.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'app_outbox')"
        " THEN CREATE ROLE app_outbox LOGIN; END IF; END $$"
    )
    roster.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON peer_mentors, certifications TO app_outbox")
    roster.execute("GRANT SELECT ON organisations TO app_outbox")
    yield roster.url.replace("//postgres@", "//app_outbox@")
    roster.execute("DROP OWNED BY app_outbox")


def test_the_applications_role_knows_nothing_of_our_tables(roster: TestDatabase, application: str) -> None:
    """A role without any right on our tables changes a status, and the operation is queued in its name."""
    with psycopg.connect(application) as connection:
        connection.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = 'V'")
        connection.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM sync_queue")
    assert queue(roster) == [("V", "remove", "paused", "pending")]
    assert roster.one("SELECT actor FROM sync_queue") == "app_outbox"


def test_many_at_once_and_each_once(roster: TestDatabase) -> None:
    """One statement over many mentors queues one operation each; the next one's take their place."""
    roster.execute(
        "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, status) SELECT 'M' || n, 'x',"
        " organisation_id, chapter_id, 'active' FROM peer_mentors, generate_series(1, 300) n WHERE external_ref = 'V';"
        "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)"
        " SELECT 'C' || id, id, '2026-01-01', '2099-01-01' FROM peer_mentors WHERE external_ref LIKE 'M%%'"
    )
    roster.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref LIKE 'M%%'")
    roster.execute("UPDATE peer_mentors SET status = 'active' WHERE external_ref LIKE 'M%%'")
    assert roster.all("SELECT operation, status, count(*) FROM sync_queue GROUP BY 1, 2 ORDER BY min(id)") == [
        ("restore", "superseded", 300),
        ("remove", "superseded", 300),
        ("restore", "pending", 300),
    ]


def test_a_change_is_announced(roster: TestDatabase) -> None:
    """Whoever listens hears of it when the change is committed, once a transaction."""
    with roster.connect() as listener:
        listener.execute("LISTEN certjobs_sync")
        app_sets(roster, "status = 'paused'", "V")
        app_sets(roster, "name = 'x'", "V")
        heard = list(listener.notifies(timeout=5, stop_after=1))
        assert [each.channel for each in heard] == ["certjobs_sync"]
        assert list(listener.notifies(timeout=0.1)) == []


def test_the_day_of_the_change_counts(certjobs: Certjobs, roster: TestDatabase) -> None:
    """Under --as-of the rule is asked for that day: who is valid then is restored, though expired by now."""
    do(certjobs, "mentors", "pause", "V", *WHY, *AS_OF)
    roster.execute("DELETE FROM sync_queue")
    roster.execute("UPDATE certifications SET expires_on = %s WHERE external_ref = 'C-V'", TODAY - timedelta(days=5))
    day = (TODAY - timedelta(days=6)).isoformat()
    do(certjobs, "mentors", "reinstate", "V", *WHY, "--as-of", day)
    assert queue(roster) == [("V", "restore", "reinstated", "pending")]


def test_two_changes_at_once_leave_one_open(roster: TestDatabase) -> None:
    """Of two transactions that change one mentor the later waits, and its operation is the open one."""
    with psycopg.connect(roster.url) as first, psycopg.connect(roster.url) as second:
        first.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = 'V'")
        second.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            second.execute("UPDATE peer_mentors SET status = 'active' WHERE external_ref = 'V'")
        second.rollback()
        first.commit()
        second.execute("UPDATE peer_mentors SET status = 'active' WHERE external_ref = 'V'")
        second.commit()
    assert [each[1:] for each in queue(roster)] == [
        ("remove", "paused", "superseded"),
        ("restore", "reinstated", "pending"),
    ]
