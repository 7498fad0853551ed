"""reconcile through the command line, against the simulator: what differs is found, mended, logged, and told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certjobs.adapters.dataverse import client
from tests.children.helpers import load
from tests.children.servers import webhook
from tests.portal import Portal, running
from tests.roster import OLA, Mentor
from tests.test_outbox import AS_OF, WHY, do
from tests.test_sync import listing, sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from certjobs.ports import ListedPage
    from tests.conftest import Certjobs, Cluster, TestDatabase

REFS = [f"M{number:02}" for number in range(40)]


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def reconcile(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    *options: str,
    exit_code: int = 0,
    env: Mapping[str, str] | None = None,
) -> Any:
    """Run reconcile on the tests' usual night, as the job's own role; return what it printed, having ended so."""
    result = certjobs("reconcile", "--json", *AS_OF, *options, url=database.job_url, env=portal.env | dict(env or {}))
    assert result.exit_code == exit_code, result
    return result.json()


def edit(portal: Portal, **flags: bool) -> None:
    """Change on the website who is listed, behind our back."""
    state = portal.simulator.state
    for ref, listed in flags.items():
        row = state.by_key(ref)
        assert row is not None
        state.update(row, {state.table.listed_column: listed})


def findings(database: TestDatabase, *, cleared: bool = False) -> list[tuple[str, str | None, str | None]]:
    """Return the findings of the log as (kind, mentor, done), those that are open or those that are over."""
    return database.all(
        "SELECT l.finding, m.external_ref, l.done FROM reconciliation_log l LEFT JOIN peer_mentors m"
        f" ON m.id = l.mentor_id WHERE l.cleared_at IS {'NOT NULL' if cleared else 'NULL'} ORDER BY l.id"
    )


@pytest.fixture
def agreed(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> list[str]:
    """Give forty mentors of whom the website shows what it should, and nobody waits."""
    load(certjobs, *(Mentor(ref, 100) for ref in REFS), Mentor("N", 100, OLA, organisation="NHF"))
    portal.knows(*REFS, listed=False)
    sync(certjobs, database, portal)
    assert portal.listed() == REFS
    return REFS


def test_what_differs_is_mended(certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]) -> None:
    """Who was put on the website or taken off it behind our back is put right in one run; again is nothing."""
    do(certjobs, "mentors", "pause", "M00", *WHY)
    sync(certjobs, database, portal)
    edit(portal, M00=True, M01=False)
    portal.knows("N", "stranger-1")
    found = reconcile(certjobs, database, portal)
    assert portal.listed() == sorted({*agreed, "N", "stranger-1"} - {"M00"})
    counts = found["counts"]
    assert (counts["extra"], counts["missing"], counts["unknown"], counts["not_ours"]) == (1, 1, 1, 1)
    assert (counts["entries"], counts["agreeing"]) == (41, 38)
    assert (counts["queued"], counts["removed"], counts["restored"]) == (2, 1, 1)
    assert findings(database) == [("unknown", None, "Reported only.")]
    assert sorted(findings(database, cleared=True)) == [
        ("extra", "M00", "Queued, and acknowledged."),
        ("missing", "M01", "Queued, and acknowledged."),
    ]
    assert (
        database.all("SELECT triggered_by_event, status FROM sync_queue WHERE triggered_by_event = 'reconciliation'")
        == [("reconciliation", "done")] * 2
    )
    again = reconcile(certjobs, database, portal)
    assert (again["counts"]["differing"], again["counts"]["queued"]) == (0, 0)
    assert [each[0] for each in findings(database)] == ["unknown"]


def test_who_is_on_their_way_is_left_alone(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """Whose operation waits, or was acknowledged after the reading began, is neither a finding nor queued again."""
    do(certjobs, "mentors", "pause", "M00", *WHY)
    found = reconcile(certjobs, database, portal)
    assert (found["counts"]["extra"], found["counts"]["left_out"], found["counts"]["queued"]) == (1, 1, 0)
    assert findings(database) == []
    assert portal.listed() == agreed, "what reconcile did not queue is for sync"
    sync(certjobs, database, portal)
    # The portal's list was read before that: what it said is old.
    edit(portal, M00=True)
    database.execute(
        "UPDATE sync_queue SET finished_at = clock_timestamp() + interval '1 minute' WHERE status = 'done'"
    )
    assert reconcile(certjobs, database, portal)["counts"]["left_out"] == 1
    assert findings(database) == []


def test_a_partial_reading_mends_nothing(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a later page fails the run fails, and nothing is queued, found or cleared."""
    edit(portal, M00=False)
    monkeypatch.setattr(client, "PAGE", 10)
    portal.fault("status", "list", status=500, after=2, count=None)
    found = reconcile(certjobs, database, portal, exit_code=69)
    assert "entries" not in found["counts"]
    assert findings(database) == []
    assert database.one("SELECT count(*) FROM sync_queue WHERE triggered_by_event = 'reconciliation'") == 0
    portal.simulator.faults.clear()
    assert reconcile(certjobs, database, portal)["counts"]["restored"] == 1
    assert portal.listed() == agreed


def test_what_was_given_up_is_not_queued_again(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """Who has no entry on the website to be listed by is found each night, and queued just once."""
    state = portal.simulator.state
    row = state.by_key("M00")
    assert row is not None
    state.delete(row)
    assert reconcile(certjobs, database, portal, exit_code=3)["counts"]["dead"] == 1
    found = reconcile(certjobs, database, portal)
    assert (found["counts"]["missing"], found["counts"]["given_up_before"], found["counts"]["queued"]) == (1, 1, 0)
    assert [each[:2] for each in findings(database)] == [("missing", "M00"), ("stuck", "M00")]
    number = database.one("SELECT id FROM sync_queue WHERE status = 'dead'")
    do(certjobs, "queue", "discard", str(number), *WHY)
    assert reconcile(certjobs, database, portal)["counts"]["queued"] == 0, "a person gave that up"
    portal.knows("M00")
    reconcile(certjobs, database, portal)
    assert findings(database) == []
    assert portal.listed() == agreed


def test_an_unlikely_listing_trips_the_guard(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """Where the website lacks more than the guard believes, nobody is queued until a person approves just these."""
    edit(portal, **dict.fromkeys(agreed[:26], False))
    found = reconcile(certjobs, database, portal, exit_code=4)
    (guarded,) = found["guarded"]
    assert (guarded["organisation"], guarded["size"]) == ("HLF", 26)
    assert (found["counts"]["refused"], found["counts"]["queued"]) == (26, 0)
    assert portal.listed() == agreed[26:]
    reconcile(certjobs, database, portal, exit_code=4)
    assert "may list them on the website again" in certjobs("approve", guarded["hash"], *WHY).stdout
    assert reconcile(certjobs, database, portal)["counts"]["restored"] == 26
    assert portal.listed() == agreed


def test_an_empty_website_trips_the_guard(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A website that shows nobody at all is not believed, however few should be there, night after night."""
    load(certjobs, Mentor("A", 100), Mentor("B", 100))
    portal.knows("A", "B", listed=False)
    sync(certjobs, database, portal)
    edit(portal, A=False, B=False)
    for _ in range(2):
        assert reconcile(certjobs, database, portal, exit_code=4)["counts"]["refused"] == 2
    assert portal.listed() == []


def test_too_many_on_the_website_trip_the_guard(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """More removals than a night may do by itself wait for a person, as sync's own do, and share its allowance."""
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = ANY (%s)", agreed[:26])
    found = reconcile(certjobs, database, portal, exit_code=4)
    assert (found["counts"]["queued"], found["counts"]["removed"]) == (26, 0)
    assert portal.listed() == agreed
    do(certjobs, "approve", found["guarded"][0]["hash"], *WHY)
    sync(certjobs, database, portal)
    assert portal.listed() == agreed[26:]


@pytest.mark.parametrize("options", [["--report-only"], ["--dry-run"]])
def test_only_told(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str], options: list[str]
) -> None:
    """With --report-only and in a dry-run the website stays as it is and nothing is queued; both say what differs."""
    edit(portal, M00=False)
    portal.knows("stranger-1")
    before = portal.changes()
    found = reconcile(certjobs, database, portal, *options)
    assert [(each["finding"], each["mentor_ref"]) for each in found["divergences"]] == [
        ("missing", "M00"),
        ("unknown", "stranger-1"),
    ]
    assert (portal.changes(), portal.listed()) == (before, [*agreed[1:], "stranger-1"])
    assert database.one("SELECT count(*) FROM sync_queue WHERE triggered_by_event = 'reconciliation'") == 0
    logged = [("missing", "M00", "Reported only."), ("unknown", None, "Reported only.")]
    assert sorted(findings(database), key=str) == (logged if options == ["--report-only"] else [])


def test_first_contact(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """With --adopt what the website shows is kept and nothing is changed there; the next run mends what differs."""
    load(certjobs, Mentor("A", 100), Mentor("X", -10), Mentor("B", 100))
    database.execute("DELETE FROM sync_queue")
    portal.knows("A", "X")
    portal.knows("B", listed=False)
    found = reconcile(certjobs, database, portal, "--adopt")
    assert (found["counts"]["adopted"], portal.changes()) == (3, 0)
    assert listing(database) == {"A": True, "X": True, "B": False}
    assert reconcile(certjobs, database, portal, "--adopt")["counts"]["adopted"] == 0
    assert reconcile(certjobs, database, portal)["counts"]["queued"] == 2
    assert portal.listed() == ["A", "B"]


def test_who_the_public_still_sees(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who was taken off longer ago than the site's lag and is still on the public page is found, and nobody else."""
    load(certjobs, Mentor("A-1", 100), Mentor("A-12", 100), Mentor("B", 100))
    portal.knows("A-1", "A-12", "B")
    site = {"CERTJOBS_PUBLIC_SITE_URL": f"{portal.simulator.url}/", "CERTJOBS_PUBLIC_SITE_LAG_MINUTES": "15"}
    sync(certjobs, database, portal)
    for ref in ("A-1", "B"):
        do(certjobs, "mentors", "pause", ref, *WHY)
    sync(certjobs, database, portal)
    reconcile(certjobs, database, portal, env=site)
    assert findings(database) == [], "the site may lag"
    database.execute("UPDATE website_listing SET acknowledged_at = acknowledged_at - interval '16 minutes'")
    reconcile(certjobs, database, portal, "--dry-run", env=site)
    reconcile(certjobs, database, portal, env=site)
    assert sorted(each[:2] for each in findings(database)) == [("lagging", "A-1"), ("lagging", "B")]
    portal.clock.advance(16 * 60)
    reconcile(certjobs, database, portal, env=site)
    assert findings(database) == []


def test_a_public_site_that_cannot_be_read(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """Where the public site cannot be read the run says so (69); the portal is compared and mended all the same."""
    edit(portal, M00=False)
    site = {"CERTJOBS_PUBLIC_SITE_URL": f"{portal.simulator.url}/nowhere"}
    found = reconcile(certjobs, database, portal, exit_code=69, env=site)
    assert "the public site answered 404" in found["message"]
    assert found["counts"]["restored"] == 1
    assert portal.listed() == agreed
    wrong = {"CERTJOBS_PUBLIC_SITE_URL": "http://mentors.example.org/"}
    assert "https://" in reconcile(certjobs, database, portal, exit_code=78, env=wrong)["message"]


def test_what_the_database_shows(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Told twice, paused twice, stuck and never ended: each is a finding, also where the website cannot be read."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7))
    for job in ("expiry-check", "remind"):
        assert certjobs(job, *AS_OF, url=database.job_url, env={"CERTJOBS_NOTIFY_CHANNEL": "console"}).exit_code == 0
    portal.fault("status", "whoami", status=500, count=None)
    reconcile(certjobs, database, portal, exit_code=69)
    assert findings(database) == []
    database.execute(
        "INSERT INTO reminder_dispatch_log (notification_id, kind, mentor_id, threshold_day, certification_expiry,"
        " coordinator_id, attempt, outcome) SELECT notification_id, kind, mentor_id, threshold_day,"
        " certification_expiry, coordinator_id, attempt + 1, outcome FROM reminder_dispatch_log WHERE kind = 'reminder'"
    )
    database.execute(
        "INSERT INTO mentor_status_events (mentor_id, event, from_status, to_status, certification_expiry,"
        " effective_on, actor) SELECT mentor_id, event, from_status, to_status, certification_expiry, effective_on,"
        " actor"
        " FROM mentor_status_events WHERE event = 'expired_cert'"
    )
    database.execute("UPDATE notifications SET status = 'unknown' WHERE kind = 'pause'")
    database.execute("UPDATE sync_queue SET created_at = created_at - interval '2 days' WHERE operation = 'restore'")
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, status, host, version, actor)"
        " VALUES (gen_random_uuid(), 'sync', 'schedule', 'abandoned', 'h', '0', 'a')"
    )
    reconcile(certjobs, database, portal, exit_code=69)
    assert sorted({each[:2] for each in findings(database)}, key=str) == [
        ("duplicate", "R"),
        ("duplicate", "X"),
        ("stuck", "R"),
        ("stuck", "X"),
        ("unfinished", None),
    ]
    before = findings(database)
    reconcile(certjobs, database, portal, exit_code=69)
    assert findings(database) == before, "again is nothing"


def test_a_pause_after_a_reinstatement_is_no_second_one(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """Who was reinstated without a certification and is paused again the next night was not paused twice."""
    load(certjobs, Mentor("X", -1), Mentor("A", 100))
    for _ in range(2):
        assert certjobs("expiry-check", *AS_OF, url=database.job_url).exit_code == 0
        do(certjobs, "mentors", "reinstate", "X", "--force", *WHY)
    portal.knows("A")
    portal.knows("X", listed=False)
    reconcile(certjobs, database, portal)
    assert "duplicate" not in {each[0] for each in findings(database)}


@pytest.mark.parametrize("key", ["A\t1", "A\\N", "\\N", "a\nb", "A\rB", "A\0B", "Ærlig Å", "kari@example.org", "None"])
def test_keys_of_any_kind(certjobs: Certjobs, database: TestDatabase, portal: Portal, key: str) -> None:
    """Whatever the keys on the website hold, they are compared as they are; one like an address is written nowhere."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A", key)
    portal.simulator.state.add(None)
    found = reconcile(certjobs, database, portal)
    counts = found["counts"]
    assert (counts["entries"], counts["agreeing"], counts["unknown"], counts["differing"]) == (3, 1, 2, 0)
    assert [each[0] for each in findings(database)] == ["unknown", "unknown"]
    assert "kari" not in str(database.all("SELECT detail FROM reconciliation_log")) + str(found)


def test_without_a_portal(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where no portal is set nothing is compared, and that is said; what the database shows is found all the same."""
    load(certjobs, Mentor("A", 100))
    database.execute("UPDATE sync_queue SET created_at = created_at - interval '2 days'")
    assert certjobs("reconcile", "--json", *AS_OF, url=database.job_url).exit_code == 0
    assert findings(database) == [], "what waits for a portal is not stuck"
    database.execute("UPDATE sync_queue SET status = 'dead'")
    result = certjobs("reconcile", "--json", *AS_OF, url=database.job_url)
    assert (result.exit_code, "No portal is set" in result.json()["message"]) == (0, True)
    assert [each[:2] for each in findings(database)] == [("stuck", "A")]


def test_two_at_once(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Of two that compare at the same time one works, and the other says who does and exits 75."""
    with database.connect() as holder:
        holder.execute(
            "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor, backend_pid,"
            " backend_start) SELECT gen_random_uuid(), 'reconcile', 'schedule', 'h', '0', 'a', pg_backend_pid(),"
            " certjobs_session_start()"
        )
        holder.execute(
            "SELECT certjobs_acquire_lock('reconcile', run_id, 'another') FROM scheduler_run_log"
            " WHERE job_name = 'reconcile'"
        )
        assert "already running" in reconcile(certjobs, database, portal, exit_code=75)["message"]


@pytest.mark.usefixtures("agreed")
def test_mended_at_once_is_told_once(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """What a run finds and mends is alerted as put right, and is over: the next run writes nothing and tells nobody."""
    edit(portal, M00=False)
    with webhook() as hook:
        reconcile(certjobs, database, portal, env=hook.env)
        assert [each["kind"] for each in hook.posted] == ["finding"]
        assert "put right at once" in hook.posted[0]["message"]
        assert findings(database) == []
        before = database.all("SELECT * FROM reconciliation_log"), database.all("SELECT * FROM alerts")
        reconcile(certjobs, database, portal, env=hook.env)
        assert (database.all("SELECT * FROM reconciliation_log"), database.all("SELECT * FROM alerts")) == before
        assert len(hook.posted) == 1


def test_many_findings_that_stand(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Thousands of findings that stand from the night before are matched in one step: no statement takes long."""
    load(certjobs, Mentor("A", 100))
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER USER")
    database.execute(
        "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, certification_expiry)"
        " SELECT 'B' || n, 'B', m.organisation_id, m.chapter_id, m.certification_expiry"
        " FROM peer_mentors m, generate_series(1, 20000) n"
    )
    portal.knows("A")
    reconcile(certjobs, database, portal, exit_code=4)
    result = reconcile(certjobs, database, portal, exit_code=4)  # found one by one, these would take minutes
    assert (result["counts"]["findings_open"], result["counts"]["findings_new"]) == (20_000, 0)


def test_a_login_without_temporary_tables(cluster: Cluster, certjobs: Certjobs, database: TestDatabase) -> None:
    """Where the login may make no temporary tables, reconcile and db check say which grant is missing."""
    load(certjobs, Mentor("A", 100))
    cluster.execute(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM PUBLIC")
    result = certjobs("reconcile", "--json", *AS_OF, url=database.job_url)
    assert result.exit_code == 78
    assert f'GRANT TEMPORARY ON DATABASE "{database.name}" TO certjobs_job' in result.json()["hint"]
    assert any("TEMPORARY" in each for each in certjobs("db", "check", "--json").json()["differences"])
    database.execute(f'GRANT TEMPORARY ON DATABASE "{database.name}" TO certjobs_job')
    assert certjobs("reconcile", "--json", *AS_OF, url=database.job_url).exit_code == 0
    assert certjobs("db", "check").exit_code == 0


def test_adopting_what_is_known_better(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """--adopt leaves what was acknowledged since the reading began, and does not believe a website without anybody."""
    do(certjobs, "mentors", "pause", "M00", *WHY)
    sync(certjobs, database, portal)
    edit(portal, M00=True)
    database.execute(
        "UPDATE sync_queue SET finished_at = clock_timestamp() + interval '1 minute' WHERE status = 'done'"
    )
    reconcile(certjobs, database, portal, "--adopt")
    assert listing(database)["M00"] is False
    edit(portal, **dict.fromkeys(agreed, False))
    found = reconcile(certjobs, database, portal, "--adopt", exit_code=4)
    assert "nobody at all" in found["message"]
    assert sum(listing(database).values()) == len(agreed) - 1


def test_a_public_page_that_shows_nobody_known(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, agreed: list[str]
) -> None:
    """A public page that shows none of those long listed is not the right one: the run says so instead of passing."""
    database.execute("UPDATE website_listing SET acknowledged_at = acknowledged_at - interval '1 hour'")
    portal.simulator.state.lag = 3600
    blind = {"CERTJOBS_PUBLIC_SITE_URL": f"{portal.simulator.url}/"}
    edit(portal, **dict.fromkeys(agreed, True))
    assert portal.simulator.state.public_listed() == set(), "the public page lags"
    assert "shows none of those" in reconcile(certjobs, database, portal, exit_code=69, env=blind)["message"]


@pytest.mark.usefixtures("agreed")
def test_lagging_is_about_those_who_should_be_gone(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who moved to who is not ours, or was put back by hand, is not lagging; where nobody looks, nobody is."""
    site = {"CERTJOBS_PUBLIC_SITE_URL": f"{portal.simulator.url}/"}
    portal.clock.advance(16 * 60)
    for ref in ("M00", "M01"):
        do(certjobs, "mentors", "pause", ref, *WHY)
    do(certjobs, "mentors", "move", "M02", "--org", "NHF", "--chapter", "Prøveby", *WHY)
    sync(certjobs, database, portal)
    database.execute("UPDATE website_listing SET acknowledged_at = acknowledged_at - interval '1 hour'")
    edit(portal, M01=True, M02=True)
    reconcile(certjobs, database, portal, env=site)
    assert [each[:2] for each in findings(database)] == [("lagging", "M00")]
    reconcile(certjobs, database, portal)
    assert findings(database) == []


def test_a_wrong_key_column_tells_no_names(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Where the keys are people's names, no name is written, printed or told, and of many few are told of."""
    load(certjobs, Mentor("A", 100))
    for number in range(1100):
        portal.simulator.state.add(f"Person Eksempel {number}")
    found = reconcile(certjobs, database, portal)
    assert found["counts"]["unknown"] == 1100
    assert database.one("SELECT count(*) FROM reconciliation_log WHERE finding = 'unknown'") == 1001
    assert "Eksempel" not in str(found) + str(database.all("SELECT detail FROM reconciliation_log"))


@pytest.mark.usefixtures("agreed")
def test_an_erased_mentor_in_an_old_listing(
    certjobs: Certjobs, database: TestDatabase, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was erased and taken off while the listing was read is no unknown entry, and is named nowhere."""
    read = client.DataversePortal.listed

    def then_somebody_is_erased(made: client.DataversePortal) -> Iterable[ListedPage]:
        pages = read(made)
        monkeypatch.undo()
        do(certjobs, "mentors", "erase", "M00", *WHY)
        monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", lambda *_: None)
        sync(certjobs, database, portal)
        return pages

    monkeypatch.setattr(client.DataversePortal, "listed", then_somebody_is_erased)
    reconcile(certjobs, database, portal)
    assert "M00" not in portal.listed()
    assert findings(database) == []
    assert "M00" not in str(database.all("SELECT detail FROM reconciliation_log"))


@pytest.mark.usefixtures("agreed")
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_acknowledged_while_the_listing_was_read(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    """Who was taken off after the portal had answered is left out, by a dry-run too: what was read of them is old."""
    read = client.DataversePortal.listed

    def then_somebody_is_paused(made: client.DataversePortal) -> Iterable[ListedPage]:
        pages = read(made)
        monkeypatch.setattr(client.DataversePortal, "listed", read)
        do(certjobs, "mentors", "pause", "M00", *WHY)
        sync(certjobs, database, portal)
        return pages

    monkeypatch.setattr(client.DataversePortal, "listed", then_somebody_is_paused)
    counts = reconcile(certjobs, database, portal, *options)["counts"]
    assert (counts["extra"], counts["left_out"], counts["queued"]) == (1, 1, 0)
    assert findings(database) == []


@pytest.mark.usefixtures("agreed")
def test_acknowledged_and_still_not_so(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """What was put right, acknowledged, and is wrong again the next night stays a finding: mending it does not help."""
    edit(portal, M00=False)
    reconcile(certjobs, database, portal)
    assert findings(database) == []
    for _ in range(2):
        edit(portal, M00=False)
        reconcile(certjobs, database, portal)
        assert findings(database) == [("missing", "M00", "Queued again: what was acknowledged before did not last.")]
    reconcile(certjobs, database, portal)
    assert findings(database) == []
