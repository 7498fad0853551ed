"""The guard over removals through the command line: whatever way they come, too many wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from certjobs.adapters.dataverse import client
from tests.children.helpers import load
from tests.portal import Portal, running
from tests.roster import OLA, Mentor, in_days
from tests.test_outbox import AS_OF, WHY, do, queue
from tests.test_sync import ready, sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from certjobs.ports import Answer, ListingChange
    from tests.conftest import Certjobs, TestDatabase

THREE = {"CERTJOBS_GUARD_COUNT": "3", "CERTJOBS_GUARD_SHARE": "0"}


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def refs(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> list[str]:
    """Give nine mentors who are on the website."""
    found = ready(certjobs, portal, 9)
    sync(certjobs, database, portal)
    assert portal.listed() == found
    return found


def pause(database: TestDatabase, *refs: str) -> None:
    """Pause mentors as the application does."""
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = ANY (%s)", list(refs))


def test_a_late_commit_is_guarded(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removals with older ids that are committed after the guard was asked are not let through with the others."""
    apply = client.DataverseSession.apply
    with psycopg.connect(database.url) as late:
        late.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = ANY (%s)", [refs[:5]])
        pause(database, refs[8])

        def meanwhile(session: client.DataverseSession, changes: Sequence[ListingChange]) -> Answer:
            late.commit()
            return apply(session, changes)

        monkeypatch.setattr(client.DataverseSession, "apply", meanwhile)
        found = sync(certjobs, database, portal, exit_code=4, env=THREE | {"CERTJOBS_SYNC_CONCURRENCY": "1"}).json()
    assert portal.listed() == refs[:8]
    assert found["guarded"][0]["mentors"] == refs[:5]


def test_a_restoration_that_became_a_removal_is_guarded(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """Restorations that the day has made removals wait for a person too, and the set can be approved."""
    refs = [f"M{number}" for number in range(5)]
    load(certjobs, *(Mentor(ref, 100) for ref in refs))
    portal.knows(*refs)
    dry = ("sync", "--json", "--as-of", in_days(101), "--dry-run")
    ahead = certjobs(*dry, url=database.job_url, env=portal.env | THREE)
    assert (ahead.exit_code, ahead.json()["guarded"][0]["mentors"]) == (4, refs)
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    database.execute("UPDATE certifications SET expires_on = %s", in_days(-1))
    assert {each[1] for each in queue(database)} == {"restore"}
    found = sync(certjobs, database, portal, exit_code=4, env=THREE).json()
    assert (portal.listed(), portal.changes()) == (refs, 0)
    assert found["guarded"][0]["mentors"] == refs
    do(certjobs, "approve", found["guarded"][0]["hash"], *WHY)
    sync(certjobs, database, portal, env=THREE)
    assert portal.listed() == []


def test_a_night_has_one_allowance(certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]) -> None:
    """What one run was let through counts for the next, until twelve hours have passed; a mentor counts once."""
    pause(database, *refs[:2])
    sync(certjobs, database, portal, env=THREE)
    assert portal.listed() == refs[2:]
    pause(database, *refs[2:4])
    found = sync(certjobs, database, portal, exit_code=4, env=THREE).json()
    assert (portal.listed(), found["guarded"][0]["mentors"]) == (refs[2:], refs[2:4])
    database.execute("UPDATE sync_queue SET let_through_at = let_through_at - interval '13 hours'")
    sync(certjobs, database, portal, env=THREE)
    assert portal.listed() == refs[4:]
    for _ in range(3):
        do(certjobs, "mentors", "reinstate", refs[2], *WHY, *AS_OF)
        do(certjobs, "mentors", "pause", refs[2], *WHY, *AS_OF)
        sync(certjobs, database, portal, env=THREE)


def test_what_was_approved_does_not_use_up_the_allowance(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """After an approved mass removal the ordinary ones of that night go out as on any other."""
    pause(database, *refs[:5])
    found = sync(certjobs, database, portal, exit_code=4, env=THREE).json()
    do(certjobs, "approve", found["guarded"][0]["hash"], *WHY)
    pause(database, *refs[5:8])
    sync(certjobs, database, portal, env=THREE)
    assert portal.listed() == refs[8:]


def test_a_dry_run_lets_nothing_through(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """A dry-run tells of the guard as the run does, and leaves the allowance as it was."""
    pause(database, *refs[:3])
    sync(certjobs, database, portal, "--dry-run", env=THREE)
    assert database.one("SELECT count(*) FROM sync_queue WHERE let_through_at IS NOT NULL") == 0
    pause(database, refs[3])
    dry = sync(certjobs, database, portal, "--dry-run", exit_code=4, env=THREE).json()
    real = sync(certjobs, database, portal, exit_code=4, env=THREE).json()
    assert dry["guarded"] == real["guarded"]
    assert portal.listed() == refs


# A reference given again.


def test_a_reference_given_again_is_the_new_mentors(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """A failed removal of an erased mentor does not take off the new mentor who got the reference."""
    do(certjobs, "mentors", "erase", refs[0], "--yes", *WHY)
    portal.fault("status", "row", key=refs[0], status=500, count=None)
    sync(certjobs, database, portal, exit_code=3)
    assert queue(database)[-1] == (refs[0], "remove", "withdrawn", "failed")
    portal.simulator.faults.clear()
    load(certjobs, Mentor(refs[0], 200, OLA))
    database.execute("UPDATE sync_queue SET not_before = NULL")
    sync(certjobs, database, portal)
    assert portal.listed() == refs
    assert queue(database)[-2:] == [
        (refs[0], "remove", "withdrawn", "superseded"),
        (refs[0], "restore", "renewed", "done"),
    ]


def test_a_reference_given_to_who_is_not_to_be_listed(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """An erased mentor's removal still goes out where the new mentor of that reference is not to be listed."""
    do(certjobs, "mentors", "erase", refs[0], "--yes", *WHY)
    load(certjobs, Mentor(refs[0], None, OLA))
    sync(certjobs, database, portal)
    assert portal.listed() == refs[1:]
    assert database.one("SELECT count(*) FROM website_listing") == len(refs)
    assert database.one("SELECT count(*) FROM sync_queue WHERE mentor_ref IS NOT NULL") == 0


def test_a_reference_given_again_while_its_removal_is_under_way(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new mentor's restoration waits until the removal of the one before them, under way by then, has ended."""
    do(certjobs, "mentors", "erase", refs[0], "--yes", *WHY)
    apply, order = client.DataverseSession.apply, list[bool]()

    def meanwhile(session: client.DataverseSession, changes: Sequence[ListingChange]) -> Answer:
        if not order:
            load(certjobs, Mentor(refs[0], 200, OLA))
            assert database.one("SELECT count(*) FROM sync_queue WHERE status = 'processing'") == 1
        order.extend(each.listed for each in changes)
        return apply(session, changes)

    monkeypatch.setattr(client.DataverseSession, "apply", meanwhile)
    sync(certjobs, database, portal)
    assert order == [False, True]
    assert portal.listed() == refs


def test_of_two_who_had_a_reference_the_last_counts(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, refs: list[str]
) -> None:
    """However often a reference changed hands by force, giving it to somebody new does not fail the application."""
    do(certjobs, "mentors", "erase", refs[0], "--yes", *WHY)
    database.execute("UPDATE peer_mentors SET external_ref = %s WHERE external_ref = %s", refs[0], refs[1])
    do(certjobs, "mentors", "erase", refs[0], "--yes", *WHY)
    assert [each[0] for each in queue(database)[-2:]] == [refs[0], refs[0]]
    load(certjobs, Mentor(refs[0], None, OLA))
    sync(certjobs, database, portal)
    assert portal.listed() == refs[1:], "the entry of whose reference changed is for reconcile to tell of"
