"""The guard against mass change: what it refuses, what a person lets through, and what is left of that."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from certjobs.domain.guard import Guard
from tests.roster import TODAY, Mentor, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from tests.conftest import Certjobs, Result, TestDatabase

EVE = TODAY - timedelta(days=1)  # the night before the usual one
WHY = "courses were cancelled this autumn"


def people(expired: int, valid: int = 0, organisation: str = "HLF", *, end: int = -2, name: str = "E") -> list[Mentor]:
    """Return mentors of whom some are expired, on EVE already where nothing else is said, and some are not."""
    return [
        *(Mentor(f"{organisation}-{name}{n:03}", end - n % 3, organisation=organisation) for n in range(expired)),
        *(Mentor(f"{organisation}-V{n:03}", 30, organisation=organisation) for n in range(valid)),
    ]


def roster(certjobs: Certjobs, mentors: Iterable[Mentor]) -> None:
    """Import these mentors."""
    result = certjobs("roster", "import", "-", stdin=file_of(mentors))
    assert result.exit_code == 0, result


def check(
    certjobs: Certjobs,
    database: TestDatabase,
    *options: str,
    night: date = TODAY,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run expiry-check as the job's own role."""
    options = ("--as-of", night.isoformat(), "--json", *options)
    return certjobs("expiry-check", *options, url=database.job_url, env=env)


def refused(result: Result) -> tuple[str, int]:
    """Return hash and size of the one set that a run refused."""
    assert result.exit_code == 4, result
    (guarded,) = result.json()["guarded"]
    return guarded["hash"], guarded["size"]


def approve(certjobs: Certjobs, hash_: str) -> None:
    """Approve a refused set."""
    result = certjobs("approve", hash_, "--reason", WHY)
    assert result.exit_code == 0, result


def paused(database: TestDatabase) -> set[str]:
    """Return the mentors who are paused."""
    return {ref for (ref,) in database.all("SELECT external_ref FROM peer_mentors WHERE status = 'paused'")}


def refs(mentors: Iterable[Mentor]) -> set[str]:
    """Return the references of mentors."""
    return {each.ref for each in mentors}


def contents(database: TestDatabase, *without: str) -> dict[str, list[str]]:
    """Return every row of every table but those."""
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> ALL (%s)",
            [list(without)],
        ).fetchall()
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t ORDER BY 1")
        return {
            name: [text for (text,) in connection.execute(query.format(sql.Identifier(name)))] for (name,) in tables
        }


# The rule by itself.


@given(
    changes=st.integers(0, 10**6),
    active=st.integers(0, 10**6),
    count=st.integers(0, 1000),
    thousandths=st.integers(0, 1000),
)
def test_refuses_more_than_both_limits(changes: int, active: int, count: int, thousandths: int) -> None:
    """A run is refused if and only if it would change more than the count and more than the share."""
    guard = Guard(count, thousandths / 1000)
    over = changes > count and changes > Fraction(thousandths, 1000) * active
    assert guard.allows(changes, active) is not over
    assert (changes > guard.allowance(active)) is over


@given(
    active=st.integers(0, 10**5),
    count=st.integers(0, 50),
    thousandths=st.integers(0, 1000),
    beside=st.integers(-2, 2),
)
def test_exactly_at_the_share(active: int, count: int, thousandths: int, beside: int) -> None:
    """Next to the share's own number of mentors no rounding decides wrongly."""
    share = Fraction(thousandths, 1000) * active
    changes = max(0, int(share) + beside)
    over = changes > count and changes > share
    assert Guard(count, thousandths / 1000).allows(changes, active) is not over


@given(
    changes=st.integers(0, 10**4),
    active=st.integers(0, 10**6),
    count=st.integers(0, 100),
    thousandths=st.integers(0, 1000),
)
def test_counting_no_further_than_enough(changes: int, active: int, count: int, thousandths: int) -> None:
    """Counting active mentors only up to ``enough_active`` never changes the answer."""
    guard = Guard(count, thousandths / 1000)
    assert guard.allows(changes, min(active, guard.enough_active(changes))) is guard.allows(changes, active)


# Refused.


def test_a_refused_run_stores_the_set_and_touches_nothing_else(certjobs: Certjobs, database: TestDatabase) -> None:
    """26 of 100: exit 4, the set and its members are stored, nobody is paused, nothing audited, no notice owed."""
    mentors = people(26, 74)
    roster(certjobs, mentors)
    ours = ("guarded_sets", "guarded_set_members", "scheduler_run_log", "forecasts")
    before = contents(database, *ours)
    result = check(certjobs, database)
    hash_, size = refused(result)
    assert contents(database, *ours) == before
    assert size == 26
    assert result.json()["paused"] == []
    assert result.json()["counts"]["expired"] == 26
    assert hash_[:12] in result.json()["message"]
    assert database.all("SELECT hash, job_name, size, approved_by, approved_until FROM guarded_sets") == [
        (hash_, "expiry-check", 26, None, None)
    ]
    members = database.all(
        "SELECT m.external_ref, g.certification_expiry"
        " FROM guarded_set_members g JOIN peer_mentors m ON m.id = g.mentor_id ORDER BY 1"
    )
    assert members == [(each.ref, TODAY + timedelta(days=each.expires or 0)) for each in mentors[:26]]
    assert database.all("SELECT status, exit_code FROM scheduler_run_log") == [("failed", 4)]


@pytest.mark.parametrize(
    ("expired", "valid", "exit_code"),
    [(25, 0, 0), (26, 103, 4), (26, 104, 0)],
    ids=["25 of 25", "26 of 129", "26 of 130"],
)
def test_the_limits(certjobs: Certjobs, database: TestDatabase, expired: int, valid: int, exit_code: int) -> None:
    """Exactly 25 pass whatever their share, and exactly a fifth passes whatever their number; one more does not."""
    mentors = people(expired, valid)
    roster(certjobs, mentors)
    assert check(certjobs, database).exit_code == exit_code
    assert paused(database) == (set() if exit_code else refs(mentors[:expired]))


def test_the_share_is_of_active_mentors(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor who is paused already does not make the organisation look larger."""
    roster(certjobs, people(26, 104))
    certjobs("mentors", "pause", "HLF-V000", "--reason", "on leave")
    assert refused(check(certjobs, database))[1] == 26


def test_refused_every_night_until_somebody_acts(certjobs: Certjobs, database: TestDatabase) -> None:
    """A second night refuses the same set under the same hash and the same one row, and exits 4 again."""
    roster(certjobs, people(30))
    first = refused(check(certjobs, database, night=EVE))
    before = database.one("SELECT refused_at FROM guarded_sets")
    assert refused(check(certjobs, database)) == first
    ((size, again),) = database.all("SELECT size, refused_at FROM guarded_sets")
    assert (size, again > before) == (30, True)
    assert database.one("SELECT count(*) FROM guarded_set_members") == 30
    assert paused(database) == set()


def test_a_dry_run_is_refused_too_and_stores_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run exits 4 and names the set with the hash that the run would give it; no row of any table changes."""
    roster(certjobs, people(26))
    before = contents(database)
    would = refused(check(certjobs, database, "--dry-run"))
    assert contents(database) == before
    assert refused(check(certjobs, database)) == would


def test_one_refused_organisation_does_not_stop_another(certjobs: Certjobs, database: TestDatabase) -> None:
    """The guard counts each organisation by itself: the other one's expired mentors are paused; the run exits 4."""
    roster(certjobs, [*people(26), *people(3, 1, "NHF")])
    certjobs("orgs", "set", "NHF", "--reason", "a test", "--auto-pause")
    result = check(certjobs, database)
    assert refused(result)[1] == 26
    assert paused(database) == refs(people(3, 0, "NHF"))
    by_code = {each["organisation"]: (each["paused"], each["refused"]) for each in result.json()["organisations"]}
    assert by_code == {"HLF": (0, 26), "NHF": (3, 0)}
    assert check(certjobs, database, "--org", "NHF").exit_code == 0


def test_the_limits_are_settings(certjobs: Certjobs, database: TestDatabase) -> None:
    """CERTJOBS_GUARD_COUNT and CERTJOBS_GUARD_SHARE move the limits; values that make no sense are refused (78)."""
    roster(certjobs, people(3, 7))
    for count, share in (("2", "0.29"), ("0", "0"), ("2", "0.2")):
        env = {"CERTJOBS_GUARD_COUNT": count, "CERTJOBS_GUARD_SHARE": share}
        assert refused(check(certjobs, database, env=env))[1] == 3, env
    for wrong in ({"CERTJOBS_GUARD_COUNT": "-1"}, {"CERTJOBS_GUARD_SHARE": "1.5"}, {"CERTJOBS_GUARD_COUNT": "many"}):
        assert check(certjobs, database, env=wrong).exit_code == 78, wrong
    for count, share in (("3", "0"), ("0", "0.3"), ("0", "1")):
        env = {"CERTJOBS_GUARD_COUNT": count, "CERTJOBS_GUARD_SHARE": share}
        assert check(certjobs, database, "--dry-run", env=env).exit_code == 0, env
    assert paused(database) == set()


# Approved.


def test_approved_then_done(certjobs: Certjobs, database: TestDatabase) -> None:
    """After an approval the next run pauses the set with audit and notices and exits 0; again is nothing."""
    mentors = people(30, 5)
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    result = check(certjobs, database, "--batch-size", "7")
    assert result.exit_code == 0, result
    assert result.json()["guarded"] == []
    assert paused(database) == refs(mentors[:30])
    assert database.one("SELECT count(*) FROM mentor_status_events WHERE event = 'expired_cert'") == 30
    assert database.one("SELECT count(*) FROM notifications") == 30
    before = contents(database, "scheduler_run_log")
    assert check(certjobs, database).exit_code == 0
    assert contents(database, "scheduler_run_log") == before


def test_the_job_cannot_approve_itself(certjobs: Certjobs, database: TestDatabase) -> None:
    """The job's own role lacks the privilege to approve what it refused."""
    roster(certjobs, people(26))
    hash_, _ = refused(check(certjobs, database))
    assert certjobs("approve", hash_, "--reason", WHY, url=database.job_url).exit_code == 78
    assert database.one("SELECT approved_until FROM guarded_sets") is None


def test_an_approved_set_half_done_is_finished(certjobs: Certjobs, database: TestDatabase) -> None:
    """What a killed run left of an approved set, more than the guard lets through, the next run finishes."""
    mentors = people(60)
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    half = database.one(
        "SELECT count(*) FROM certjobs_pause_expired(ARRAY(SELECT id FROM peer_mentors ORDER BY id LIMIT 20), %s)",
        TODAY,
    )
    assert half == len(paused(database)) == 20
    result = check(certjobs, database)
    assert (result.exit_code, result.json()["counts"]["paused"]) == (0, 40)
    assert paused(database) == refs(mentors)


def test_an_approved_set_of_which_some_fail_is_finished(certjobs: Certjobs, database: TestDatabase) -> None:
    """Members whom the database refuses to pause are named (exit 3); once it lets them, the approval still holds."""
    mentors = people(60)
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    stubborn = refs(mentors[:30])
    database.execute(
        "CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
    )
    database.execute(
        "CREATE TRIGGER stubborn BEFORE UPDATE ON peer_mentors FOR EACH ROW"
        f" WHEN (NEW.external_ref IN ({', '.join(repr(ref) for ref in sorted(stubborn))})) EXECUTE FUNCTION stubborn()"
    )
    result = check(certjobs, database)
    assert (result.exit_code, set(result.json()["failed"])) == (3, stubborn)
    assert paused(database) == refs(mentors) - stubborn
    database.execute("DROP TRIGGER stubborn ON peer_mentors")
    assert check(certjobs, database).exit_code == 0
    assert paused(database) == refs(mentors)


def test_an_approved_set_that_shrank(certjobs: Certjobs, database: TestDatabase) -> None:
    """A member who renewed before the run is not paused; what is left of the set is."""
    mentors = people(30)
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    roster(certjobs, [Mentor(mentors[0].ref, 100, certificate="renewed")])
    assert check(certjobs, database).exit_code == 0
    assert paused(database) == refs(mentors[1:])


def test_an_approved_set_that_grew_by_few(certjobs: Certjobs, database: TestDatabase) -> None:
    """Those who became due after the approval, few enough for the guard, are paused with the set."""
    mentors, late = people(30), people(25, end=-1, name="L")
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    roster(certjobs, late)
    result = check(certjobs, database)
    assert (result.exit_code, result.json()["counts"]["paused"]) == (0, 55)
    assert paused(database) == refs(mentors) | refs(late)


def test_an_approved_set_that_grew_by_many(certjobs: Certjobs, database: TestDatabase) -> None:
    """The approved are paused; those who became due since, too many for the guard, are a refused set of their own."""
    mentors, late = people(30), people(26, end=-1, name="L")
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    roster(certjobs, late)
    other, size = refused(check(certjobs, database))
    assert (other != hash_, size) == (True, 26)
    assert paused(database) == refs(mentors)
    approve(certjobs, other)
    assert check(certjobs, database).exit_code == 0
    assert paused(database) == refs(mentors) | refs(late)


def test_an_approval_runs_out(certjobs: Certjobs, database: TestDatabase) -> None:
    """An approval holds for 48 hours and no longer: then the set is refused again, as the same row."""
    roster(certjobs, people(30))
    first = refused(check(certjobs, database, night=EVE))
    approve(certjobs, first[0])
    assert database.one("SELECT approved_until - approved_at FROM guarded_sets") == timedelta(hours=48)
    database.execute("UPDATE guarded_sets SET approved_until = clock_timestamp() - interval '1 second'")
    assert refused(check(certjobs, database)) == first
    assert database.one("SELECT count(*) FROM guarded_sets") == 1
    assert paused(database) == set()
    approve(certjobs, first[0])
    assert check(certjobs, database).exit_code == 0
    assert len(paused(database)) == 30


def test_a_member_who_renewed_and_lapsed_again_is_not_covered(certjobs: Certjobs, database: TestDatabase) -> None:
    """An approval is for one expiry date of a mentor; another lapse of the same mentor is guarded by itself."""
    mentors = people(60)
    roster(certjobs, mentors)
    hash_, _ = refused(check(certjobs, database, night=EVE))
    approve(certjobs, hash_)
    again = [Mentor(each.ref, -1, certificate=f"again {each.ref}") for each in mentors[:30]]
    roster(certjobs, again)
    other, size = refused(check(certjobs, database))
    assert (other != hash_, size) == (True, 30)
    assert paused(database) == refs(mentors[30:])
