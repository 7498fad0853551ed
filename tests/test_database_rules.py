"""What the database itself guarantees, whoever writes to it: expiry, audit, the pause, and what the job may not do."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, count, permutations
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import TEMPLATE, Certjobs, Cluster, TestDatabase
from tests.roster import KARI, OLA, TODAY, Mentor, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Connection = psycopg.Connection[tuple[Any, ...]]
NIGHT = TODAY.isoformat()
YESTERDAY = TODAY - timedelta(days=1)

# ---------------------------------------------------------------------- the rules, restated


def end_of(expires_on: date, withdrawn_on: date | None) -> date:
    """Return a certification's last valid day."""
    return expires_on if withdrawn_on is None else min(expires_on, withdrawn_on - timedelta(days=1))


class Certification(NamedTuple):
    """A certification as the tests know it."""

    mentor_id: int
    expires_on: date
    withdrawn_on: date | None


def latest(certifications: Iterable[Certification], mentor_id: int) -> date | None:
    """Return a mentor's certification_expiry."""
    return max(
        (end_of(each.expires_on, each.withdrawn_on) for each in certifications if each.mentor_id == mentor_id),
        default=None,
    )


# ---------------------------------------------------------------------- tools

_serial = count(1)


def one(connection: Connection, query: str, *parameters: object) -> Any:
    """Return the one value of a query."""
    ((value,),) = connection.execute(query, parameters).fetchall()
    return value


def add_organisation(connection: Connection, code: str, *, auto_pause: bool = True, zone: str = "Europe/Oslo") -> int:
    """Add an organisation with one chapter, or return the one that has the code."""
    found: int = one(
        connection,
        "INSERT INTO organisations (code, auto_pause, time_zone) VALUES (%s, %s, %s)"
        " ON CONFLICT (code) DO UPDATE SET auto_pause = EXCLUDED.auto_pause RETURNING id",
        code,
        auto_pause,
        zone,
    )
    connection.execute(
        "INSERT INTO chapters (organisation_id, name) VALUES (%s, 'Prøveby') ON CONFLICT DO NOTHING", [found]
    )
    return found


def add_mentor(connection: Connection, ref: str | None = None, *, organisation: int | None = None) -> int:
    """Add an active mentor, of HLF unless told otherwise."""
    found: int = one(
        connection,
        "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)"
        " SELECT %s, 'Mentor', c.organisation_id, c.id FROM chapters c WHERE c.organisation_id = %s RETURNING id",
        ref or f"M-{next(_serial)}",
        organisation or add_organisation(connection, "HLF"),
    )
    return found


def add_certification(
    connection: Connection, mentor_id: int, expires_on: date, withdrawn_on: date | None = None
) -> int:
    """Record a certification."""
    found: int = one(
        connection,
        "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on, withdrawn_on)"
        " VALUES (%s, %s, '2020-01-01', %s, %s) RETURNING id",
        f"C-{next(_serial)}",
        mentor_id,
        expires_on,
        withdrawn_on,
    )
    return found


def add_coordinator(connection: Connection, mentor_id: int, address: str) -> int:
    """Assign a coordinator to a mentor."""
    found: int = one(
        connection,
        "INSERT INTO coordinators (address, name) VALUES (%s, 'Somebody')"
        " ON CONFLICT (address) DO UPDATE SET name = EXCLUDED.name RETURNING id",
        address,
    )
    connection.execute("INSERT INTO coordinator_assignments VALUES (%s, %s)", [mentor_id, found])
    return found


def expiry_of(connection: Connection, mentor_id: int) -> date | None:
    """Return what the database holds as a mentor's certification_expiry."""
    found: date | None = one(connection, "SELECT certification_expiry FROM peer_mentors WHERE id = %s", mentor_id)
    return found


def certifications_in(connection: Connection) -> list[Certification]:
    """Return every certification in the database."""
    rows = connection.execute("SELECT mentor_id, expires_on, withdrawn_on FROM certifications")
    return [Certification(*row) for row in rows]


def status_events(connection: Connection) -> list[tuple[str, str | None, str, str | None]]:
    """Return the status audit: event, from, to, reason."""
    return connection.execute(
        "SELECT event, from_status, to_status, reason FROM mentor_status_events ORDER BY id"
    ).fetchall()


@pytest.fixture
def db(database: TestDatabase) -> Iterator[Connection]:
    """Give the test a connection as the owner, in autocommit."""
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def shared(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give the module one migrated database, for tests that work in a transaction and roll it back."""
    name = "test_rules"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    yield TestDatabase(name, cluster)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def scratch(shared: TestDatabase) -> Iterator[Connection]:
    """Give the test a transaction of the owner's that is rolled back afterwards."""
    with psycopg.connect(shared.url) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def as_job(shared: TestDatabase) -> Iterator[Connection]:
    """Give the test a connection with the job's role alone."""
    with psycopg.connect(shared.job_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def app_login(cluster: Cluster, database: TestDatabase) -> Iterator[str]:
    """Create a login of the application's own, with no privilege at all; yield its name."""
    name = f"app_{database.name}"
    cluster.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    database.execute(f"DROP OWNED BY {name}")
    cluster.execute(f"DROP ROLE {name}")


def as_login(database: TestDatabase, name: str) -> Connection:
    """Open a connection as another login, in autocommit."""
    return psycopg.connect(database.url.replace("//postgres@", f"//{name}@"), autocommit=True)


# ---------------------------------------------------------------------- certification_expiry


def test_expiry_follows_each_kind_of_change(scratch: Connection) -> None:
    """Recording, prolonging, withdrawing, moving and deleting a certification each move the mentor's expiry at once."""
    mentor, other = add_mentor(scratch), add_mentor(scratch)
    assert expiry_of(scratch, mentor) is None
    early = add_certification(scratch, mentor, date(2027, 1, 1))
    late = add_certification(scratch, mentor, date(2028, 1, 1))
    assert expiry_of(scratch, mentor) == date(2028, 1, 1)
    scratch.execute("UPDATE certifications SET expires_on = '2029-01-01' WHERE id = %s", [late])
    assert expiry_of(scratch, mentor) == date(2029, 1, 1)
    scratch.execute("UPDATE certifications SET withdrawn_on = '2028-06-15' WHERE id = %s", [late])
    assert expiry_of(scratch, mentor) == date(2028, 6, 14)
    scratch.execute("UPDATE certifications SET withdrawn_on = '2033-01-01' WHERE id = %s", [late])
    assert expiry_of(scratch, mentor) == date(2029, 1, 1), "withdrawn after it expired"
    scratch.execute("UPDATE certifications SET mentor_id = %s WHERE id = %s", [other, late])
    assert (expiry_of(scratch, mentor), expiry_of(scratch, other)) == (date(2027, 1, 1), date(2029, 1, 1))
    scratch.execute("DELETE FROM certifications WHERE id = %s", [early])
    assert expiry_of(scratch, mentor) is None


def test_expiry_follows_a_statement_about_many(scratch: Connection) -> None:
    """One statement that touches several mentors' certifications moves the expiry of each, and of nobody else."""
    first, second, third = (add_mentor(scratch) for _ in range(3))
    for mentor in (first, second, third):
        add_certification(scratch, mentor, date(2027, 1, 1))
    scratch.execute(
        "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)"
        " SELECT 'bulk ' || id, id, '2020-01-01', date '2030-01-01' + id::integer FROM unnest(%s::bigint[]) AS id",
        [[second, first]],
    )
    assert expiry_of(scratch, first) == date(2030, 1, 1) + timedelta(days=first)
    assert expiry_of(scratch, second) == date(2030, 1, 1) + timedelta(days=second)
    assert expiry_of(scratch, third) == date(2027, 1, 1)
    scratch.execute("UPDATE certifications SET mentor_id = %s WHERE mentor_id <> %s", [third, third])
    assert [expiry_of(scratch, each) for each in (first, second)] == [None, None]
    assert expiry_of(scratch, third) == date(2030, 1, 1) + timedelta(days=second)


def test_expiry_follows_an_upsert(scratch: Connection) -> None:
    """INSERT … ON CONFLICT DO UPDATE, which inserts some rows and updates others, moves the expiry for both kinds."""
    old, new = add_mentor(scratch), add_mentor(scratch)
    known = add_certification(scratch, old, date(2027, 1, 1))
    ref = one(scratch, "SELECT external_ref FROM certifications WHERE id = %s", known)
    scratch.execute(
        "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on) VALUES"
        " (%s, %s, '2020-01-01', '2031-01-01'), ('brand new', %s, '2020-01-01', '2032-01-01')"
        " ON CONFLICT (external_ref) DO UPDATE SET expires_on = EXCLUDED.expires_on",
        [ref, old, new],
    )
    assert (expiry_of(scratch, old), expiry_of(scratch, new)) == (date(2031, 1, 1), date(2032, 1, 1))


def test_expiry_survives_an_emptied_table(scratch: Connection) -> None:
    """TRUNCATE of the certifications is either refused or leaves nobody an expiry of a certification that is gone."""
    mentor = add_mentor(scratch)
    add_certification(scratch, mentor, date(2030, 1, 1))
    with suppress(psycopg.errors.RestrictViolation, psycopg.errors.RaiseException), scratch.transaction():
        scratch.execute("TRUNCATE certifications")
    assert expiry_of(scratch, mentor) == latest(certifications_in(scratch), mentor)


def test_expiry_cannot_be_written_by_hand(scratch: Connection) -> None:
    """An application that saves whole rows, with a certification_expiry of its own, does not overwrite the computed."""
    mentor = add_mentor(scratch)
    add_certification(scratch, mentor, date(2027, 1, 1))
    for statement in (
        "UPDATE peer_mentors SET name = 'Renamed', certification_expiry = '2035-01-01'",
        "UPDATE peer_mentors SET certification_expiry = NULL",
        (
            "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, certification_expiry)"
            " SELECT 'WRITTEN', 'Mentor', organisation_id, id, date '2035-01-01' FROM chapters"
        ),
    ):
        with suppress(psycopg.errors.RestrictViolation, psycopg.errors.RaiseException), scratch.transaction():
            scratch.execute(statement)
        for each, expiry in scratch.execute("SELECT id, certification_expiry FROM peer_mentors").fetchall():
            assert expiry == latest(certifications_in(scratch), each)


@dataclass(frozen=True)
class Change:
    """One change of the certifications of three mentors; ``which`` picks one that exists, round and round."""

    kind: str
    which: int
    mentor: int
    day: date
    withdrawn_on: date | None


KINDS = ("add", "add", "prolong", "withdraw", "move", "remove", "shift all", "give all", "swap")
_days = st.dates(TODAY - timedelta(days=4), TODAY + timedelta(days=4))  # close together, so that ties occur
changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(KINDS),
        st.integers(0, 9),
        st.integers(0, 2),
        _days,
        st.none() | _days,
    ),
    max_size=12,
)


Held = dict[int, Certification]


def edit_of(change: Change, mentors: Sequence[int], held: Held, chosen: int) -> tuple[str, list[object], Held]:
    """Return a change of what is there as a statement, its parameters, and what the tests' own books say after it."""
    mentor = mentors[change.mentor]
    match change.kind:
        case "prolong":
            statement = "UPDATE certifications SET expires_on = %s WHERE id = %s"
            return statement, [change.day, chosen], {chosen: held[chosen]._replace(expires_on=change.day)}
        case "withdraw":
            statement = "UPDATE certifications SET withdrawn_on = %s WHERE id = %s"
            after = held[chosen]._replace(withdrawn_on=change.withdrawn_on)
            return statement, [change.withdrawn_on, chosen], {chosen: after}
        case "move":
            statement = "UPDATE certifications SET mentor_id = %s WHERE id = %s"
            return statement, [mentor, chosen], {chosen: held[chosen]._replace(mentor_id=mentor)}
        case "shift all":
            shift = timedelta(days=change.which - 4)
            statement = "UPDATE certifications SET expires_on = expires_on + %s::integer"
            moved = {key: each._replace(expires_on=each.expires_on + shift) for key, each in held.items()}
            return statement, [shift.days], moved
        case "give all":
            statement = "UPDATE certifications SET mentor_id = %s, withdrawn_on = NULL"
            given_away = {key: each._replace(mentor_id=mentor, withdrawn_on=None) for key, each in held.items()}
            return statement, [mentor], given_away
        case _:  # swap what two mentors have
            both = mentors[0] + mentors[1]
            statement = "UPDATE certifications SET mentor_id = %s - mentor_id WHERE mentor_id <> %s"
            swapped = {
                key: each._replace(mentor_id=both - each.mentor_id)
                for key, each in held.items()
                if each.mentor_id != mentors[2]
            }
            return statement, [both, mentors[2]], swapped


def apply(connection: Connection, held: Held, mentors: Sequence[int], change: Change) -> None:
    """Make one change in the database and in the tests' own books."""
    if change.kind == "add":
        mentor = mentors[change.mentor]
        added = add_certification(connection, mentor, change.day, change.withdrawn_on)
        held[added] = Certification(mentor, change.day, change.withdrawn_on)
    if not held:
        return
    chosen = sorted(held)[change.which % len(held)]
    if change.kind == "remove":
        connection.execute("DELETE FROM certifications WHERE id = %s", [chosen])
        del held[chosen]
    elif change.kind != "add":
        statement, parameters, after = edit_of(change, mentors, held, chosen)
        connection.execute(statement, parameters)
        held |= after


@given(changes=changes)
def test_expiry_is_the_latest_end_after_any_changes(scratch: Connection, changes: list[Change]) -> None:
    """After each of any changes, every mentor's certification_expiry is the latest end of the certifications held."""
    with scratch.transaction(force_rollback=True):
        mentors = [add_mentor(scratch) for _ in range(3)]
        held: Held = {}
        for change in changes:
            apply(scratch, held, mentors, change)
            for mentor in mentors:
                assert expiry_of(scratch, mentor) == latest(held.values(), mentor), change


# ---------------------------------------------------------------------- at the same moment


def waits_or_ended(watcher: Connection, session: Connection, work: Future[Any]) -> None:
    """Wait until a session waits for another one, or its work is done."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if work.done() or one(watcher, "SELECT cardinality(pg_blocking_pids(%s)) > 0", session.info.backend_pid):
            return
        watcher.execute("SELECT pg_sleep(0.001)")
    pytest.fail("the session neither ended nor waited for another")


def at_the_same_moment(database: TestDatabase, mentors: Sequence[int], *statements: str) -> list[list[tuple[Any, ...]]]:
    """Run the statements in transactions of their own that are all under way at once; return what each gave.

    The mentors' rows are held until every transaction has come as far as it can; then all go on together, in an order
    that PostgreSQL does not promise.
    """
    with ExitStack() as stack:
        watcher = stack.enter_context(database.connect())
        gate = stack.enter_context(psycopg.connect(database.url))
        gate.execute("SELECT 1 FROM peer_mentors WHERE id = ANY (%s) FOR NO KEY UPDATE", [list(mentors)])
        threads = stack.enter_context(ThreadPoolExecutor(len(statements)))
        stack.callback(gate.rollback)  # also when something fails, or the threads would never end
        work = []
        for statement in statements:
            session = stack.enter_context(psycopg.connect(database.url))

            def carry_out(session: Connection = session, statement: str = statement) -> list[tuple[Any, ...]]:
                cursor = session.execute(statement)
                found = cursor.fetchall() if cursor.description else []
                session.commit()
                return found

            work.append(threads.submit(carry_out))
            waits_or_ended(watcher, session, work[-1])
        gate.rollback()
        return [each.result(timeout=30) for each in work]


def recording(mentors: Iterable[int], expires_on: date) -> str:
    """Return the statement that records one certification for each mentor, in the order given."""
    rows = ", ".join(f"('C-{next(_serial)}', {each}, '2020-01-01', '{expires_on}')" for each in mentors)
    return f"INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on) VALUES {rows}"


@pytest.mark.parametrize("later_first", [True, False])
def test_two_certifications_recorded_at_the_same_moment(
    database: TestDatabase, db: Connection, *, later_first: bool
) -> None:
    """Of two certifications recorded for one mentor at once the later date always wins, whoever was first, 10 times."""
    for _ in range(10):
        mentor = add_mentor(db)
        dates = sorted([date(2028, 1, 1), date(2030, 1, 1)], reverse=later_first)
        at_the_same_moment(database, [mentor], *(recording([mentor], day) for day in dates))
        assert expiry_of(db, mentor) == date(2030, 1, 1)


def test_many_mentors_at_the_same_moment_in_opposite_order(database: TestDatabase, db: Connection) -> None:
    """Two statements that record certifications for the same mentors in opposite order do not deadlock, 5 times."""
    for _ in range(5):
        low, middle, high = mentors = [add_mentor(db) for _ in range(3)]
        # Only one row is held, so that whoever locks in another order than by id would hold another row and wait.
        for held in mentors:
            at_the_same_moment(
                database,
                [held],
                recording([high, middle, low], date(2028, 1, 1)),
                recording([low, middle, high], date(2030, 1, 1)),
                recording([middle, high, low], date(2029, 1, 1)),
            )
        assert [expiry_of(db, each) for each in mentors] == [date(2030, 1, 1)] * 3


MEANWHILE = {
    "a later one is recorded": "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)"
    " VALUES ('later', {mentor}, '2020-01-01', '2033-01-01')",
    "the latest is withdrawn": "UPDATE certifications SET withdrawn_on = '2026-01-01' WHERE id = {latest}",
    "the latest is deleted": "DELETE FROM certifications WHERE id = {latest}",
    "the earliest is prolonged": "UPDATE certifications SET expires_on = '2032-01-01' WHERE id = {earliest}",
    "the earliest is deleted": "DELETE FROM certifications WHERE id = {earliest}",
    "the latest goes to another": "UPDATE certifications SET mentor_id = {other} WHERE id = {latest}",
    "one comes from another": "UPDATE certifications SET mentor_id = {mentor} WHERE mentor_id = {other}",
}


def mentor_with_two(connection: Connection) -> dict[str, int]:
    """Make a mentor with two certifications and another one with one; return all ids."""
    mentor, other = add_mentor(connection), add_mentor(connection)
    return {
        "mentor": mentor,
        "other": other,
        "earliest": add_certification(connection, mentor, date(2027, 1, 1)),
        "latest": add_certification(connection, mentor, date(2029, 1, 1)),
        "others": add_certification(connection, other, date(2031, 1, 1)),
    }


def test_any_two_changes_at_the_same_moment(database: TestDatabase, db: Connection) -> None:
    """Whatever two changes of a mentor's certifications meet, the expiry afterwards is that of the rows that remain."""
    for first, second in combinations(MEANWHILE, 2):
        ids = mentor_with_two(db)
        at_the_same_moment(
            database,
            [ids["mentor"], ids["other"]],
            MEANWHILE[first].format(**ids),
            MEANWHILE[second].format(**ids),
        )
        for mentor in (ids["mentor"], ids["other"]):
            assert expiry_of(db, mentor) == latest(certifications_in(db), mentor), (first, second)
        db.execute("DELETE FROM certifications")


def test_changes_under_repeatable_read(database: TestDatabase, db: Connection) -> None:
    """A transaction that reads by an old snapshot is refused or right: no expiry is computed from what is gone."""
    for first, second in permutations(MEANWHILE, 2):
        ids = mentor_with_two(db)
        with psycopg.connect(database.url) as old:
            old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            old.execute("SELECT count(*) FROM certifications")
            db.execute(MEANWHILE[first].format(**ids))
            with suppress(psycopg.errors.SerializationFailure):
                old.execute(MEANWHILE[second].format(**ids))
                old.commit()
            old.rollback()
        for mentor in (ids["mentor"], ids["other"]):
            assert expiry_of(db, mentor) == latest(certifications_in(db), mentor), (first, second)
        db.execute("DELETE FROM certifications")


def test_renewal_while_the_night_pauses(database: TestDatabase, db: Connection) -> None:
    """A renewal about to be committed when the pause arrives is waited for and seen: the mentor stays active."""
    mentor = add_mentor(db)
    add_certification(db, mentor, YESTERDAY)
    with ExitStack() as stack:
        watcher, renewal, night = (stack.enter_context(psycopg.connect(database.url)) for _ in range(3))
        watcher.autocommit = True
        threads = stack.enter_context(ThreadPoolExecutor(1))
        stack.callback(renewal.rollback)  # also when something fails, or the thread would never end
        add_certification(renewal, mentor, TODAY)
        work = threads.submit(pause, night, [mentor])
        waits_or_ended(watcher, night, work)
        assert not work.done()
        renewal.commit()
        assert work.result(timeout=30) == []
        night.commit()
    assert one(db, "SELECT status FROM peer_mentors WHERE id = %s", mentor) == "active"
    assert one(db, "SELECT count(*) FROM notifications") == 0


def test_switching_off_while_the_night_pauses(database: TestDatabase, db: Connection) -> None:
    """Where auto_pause is switched off while the pause waits for the mentors, none of them is paused."""
    mentor = add_mentor(db)
    add_certification(db, mentor, YESTERDAY)
    paused, _ = at_the_same_moment(
        database,
        [mentor],
        f"SELECT mentor_id FROM certjobs_pause_expired(ARRAY[{mentor}]::bigint[], '{TODAY}')",
        "UPDATE organisations SET auto_pause = false",
    )
    assert paused == []
    assert one(db, "SELECT status FROM peer_mentors WHERE id = %s", mentor) == "active"


def test_two_pauses_at_the_same_moment(database: TestDatabase, db: Connection) -> None:
    """Two runs that pause the same mentors at once, in opposite order, pause each once and owe each notice once."""
    mentors = [add_mentor(db) for _ in range(4)]
    for mentor in mentors:
        add_certification(db, mentor, YESTERDAY)
        add_coordinator(db, mentor, "kari@example.org")
    lists = (mentors, mentors[::-1])
    both = at_the_same_moment(
        database,
        mentors[1:2],
        *(f"SELECT mentor_id FROM certjobs_pause_expired(ARRAY{each}::bigint[], '{TODAY}')" for each in lists),
    )
    assert sorted(mentor for found in both for (mentor,) in found) == mentors
    assert one(db, "SELECT count(*) FROM notifications") == len(mentors)
    assert one(db, "SELECT count(*) FROM mentor_status_events") == len(mentors)


# ---------------------------------------------------------------------- audit


def test_status_audit_of_an_application_that_knows_nothing_of_it(
    database: TestDatabase, db: Connection, app_login: str
) -> None:
    """A login that may only UPDATE peer_mentors leaves a full audit row for each mentor that changes, and no other."""
    zone = ZoneInfo("Europe/Oslo")
    mentors = [add_mentor(db) for _ in range(2)]
    add_certification(db, mentors[0], YESTERDAY)
    before = datetime.now(zone).date()
    db.execute(f"GRANT UPDATE ON peer_mentors TO {app_login}")
    with as_login(database, app_login) as app:
        app.execute("UPDATE peer_mentors SET status = 'paused'")
        app.execute("UPDATE peer_mentors SET status = 'paused', name = 'Renamed'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("SELECT 1 FROM mentor_status_events")
    found = db.execute(
        "SELECT mentor_id, event, from_status, to_status, reason, certification_expiry, actor, run_id"
        " FROM mentor_status_events ORDER BY mentor_id"
    ).fetchall()
    what = ("paused", "active", "paused", "not given")
    assert found == [(mentors[0], *what, YESTERDAY, app_login, None), (mentors[1], *what, None, app_login, None)]
    days = {day for (day,) in db.execute("SELECT effective_on FROM mentor_status_events")}
    assert days <= {before, datetime.now(zone).date()}
    age = datetime.now(UTC) - one(db, "SELECT max(occurred_at) FROM mentor_status_events")
    assert age < timedelta(minutes=1)


def test_certification_audit_of_an_application_that_knows_nothing_of_it(
    database: TestDatabase, db: Connection, app_login: str
) -> None:
    """A login with rights on certifications alone leaves a row for each addition, change, withdrawal and removal."""
    mentor = add_mentor(db)
    db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON certifications TO {app_login}")
    with as_login(database, app_login) as app:
        held = add_certification(app, mentor, TODAY)
        app.execute("UPDATE certifications SET expires_on = %s", [TODAY + timedelta(days=1)])
        app.execute("UPDATE certifications SET expires_on = expires_on")  # no change, no row
        app.execute("UPDATE certifications SET withdrawn_on = %s", [TODAY])
        app.execute("UPDATE certifications SET withdrawn_on = NULL")
        app.execute("DELETE FROM certifications")
    events = db.execute(
        "SELECT event, before ->> 'expires_on', after ->> 'expires_on', before ->> 'withdrawn_on',"
        " after ->> 'withdrawn_on' FROM certification_events ORDER BY id"
    ).fetchall()
    later = (TODAY + timedelta(days=1)).isoformat()
    assert events == [
        ("added", None, NIGHT, None, None),
        ("changed", NIGHT, later, None, None),
        ("withdrawn", later, later, None, NIGHT),
        ("changed", later, later, NIGHT, None),
        ("removed", later, None, None, None),
    ]
    about = db.execute("SELECT DISTINCT certification_id, mentor_id, actor, run_id FROM certification_events")
    assert about.fetchall() == [(held, mentor, app_login, None)]


def test_audit_of_a_moved_certification_says_from_whom_to_whom(scratch: Connection) -> None:
    """The row of a certification that goes to another mentor tells both: what was before differs from what is after."""
    giver, taker = add_mentor(scratch), add_mentor(scratch)
    held = add_certification(scratch, giver, TODAY)
    scratch.execute("UPDATE certifications SET mentor_id = %s WHERE id = %s", [taker, held])
    ((before, after),) = scratch.execute("SELECT before, after FROM certification_events WHERE event = 'changed'")
    assert before != after


def test_audit_says_who_why_which_run_and_which_day(db: Connection) -> None:
    """What certjobs says of itself in its transaction is in every audit row of it, and in none of the next one."""
    mentor = add_mentor(db)
    run_id = uuid.uuid4()
    with db.transaction():
        for name, value in (
            ("actor", "night shift"), ("reason", "a reason"), ("run_id", str(run_id)), ("today", "2024-02-29"),
        ):  # fmt: skip
            db.execute("SELECT set_config(%s, %s, true)", [f"certjobs.{name}", value])
        add_certification(db, mentor, TODAY)
        db.execute("UPDATE peer_mentors SET status = 'paused'")
    said = ("a reason", "night shift", run_id)
    assert db.execute("SELECT reason, actor, run_id FROM certification_events").fetchall() == [said]
    assert db.execute("SELECT reason, actor, run_id, effective_on FROM mentor_status_events").fetchall() == [
        (*said, date(2024, 2, 29))
    ]
    db.execute("UPDATE peer_mentors SET status = 'active'")
    assert db.execute(
        "SELECT event, reason, actor, run_id, effective_on <> '2024-02-29' FROM mentor_status_events"
        " ORDER BY id DESC LIMIT 1"
    ).fetchall() == [("reinstated", None, "postgres", None, True)]


def test_audit_day_is_the_organisations_own(scratch: Connection) -> None:
    """Of two mentors paused in one statement each is paused on the day that it is where the organisation is."""
    for code, zone in (("EAST", "Pacific/Kiritimati"), ("WEST", "Pacific/Pago_Pago")):  # never on the same date
        add_mentor(scratch, code, organisation=add_organisation(scratch, code, zone=zone))
    scratch.execute("UPDATE peer_mentors SET status = 'paused'")
    east, west = (
        one(
            scratch,
            "SELECT effective_on FROM mentor_status_events e JOIN peer_mentors m ON m.id = e.mentor_id"
            " WHERE m.external_ref = %s",
            code,
        )
        for code in ("EAST", "WEST")
    )
    assert east > west


def test_audit_of_a_mentor_who_arrives_paused(scratch: Connection) -> None:
    """A mentor who is added paused has a first audit row, one who is added active has none."""
    organisation = add_organisation(scratch, "HLF")
    add_mentor(scratch, "ACTIVE", organisation=organisation)
    scratch.execute(
        "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, status, pause_reason)"
        " SELECT 'PAUSED', 'Mentor', organisation_id, id, 'paused', 'on leave' FROM chapters"
    )
    assert status_events(scratch) == [("paused", None, "paused", "on leave")]


def test_audit_of_the_command_line(certjobs: Certjobs, database: TestDatabase, db: Connection) -> None:
    """An import, a night and changes by hand through the command line name actor, run, reason and day in the audit."""
    imported = certjobs("roster", "import", "-", stdin=file_of([Mentor("A", -1), Mentor("B", 1)]))
    assert imported.exit_code == 0, imported.stderr
    assert db.execute("SELECT DISTINCT event, actor, run_id FROM certification_events").fetchall() == [
        ("added", "test", None)
    ]
    night = certjobs("expiry-check", "--as-of", NIGHT, "--json", url=database.job_url)
    assert night.exit_code == 0, night.stdout
    certjobs("mentors", "reinstate", "A", "--force", "--reason", "known to be fine", "--as-of", NIGHT)
    certjobs("mentors", "pause", "B", "--reason", "on leave", "--as-of", "2026-11-21")
    found = db.execute(
        "SELECT m.external_ref, e.event, e.reason, e.actor, e.run_id::text, e.effective_on"
        " FROM mentor_status_events e JOIN peer_mentors m ON m.id = e.mentor_id ORDER BY e.id"
    ).fetchall()
    assert found == [
        ("A", "expired_cert", "expired_cert", "test", night.json()["run_id"], TODAY),
        ("A", "reinstated", "known to be fine", "test", None, TODAY),
        ("B", "paused", "on leave", "test", None, YESTERDAY),
    ]


def test_audit_is_not_diverted_by_the_callers_names(database: TestDatabase, db: Connection, app_login: str) -> None:
    """Tables of the same names that a caller puts in front do not receive the audit, nor keep an expiry from moving."""
    mentor = add_mentor(db)
    db.execute(f"GRANT SELECT, UPDATE ON peer_mentors TO {app_login}")
    db.execute(f"GRANT SELECT, INSERT ON certifications TO {app_login}")
    with as_login(database, app_login) as app:
        for table in ("mentor_status_events", "certification_events", "organisations", "chapters"):
            app.execute(f"CREATE TEMP TABLE {table} (id bigint)")
        app.execute("CREATE TEMP TABLE elsewhere (LIKE public.peer_mentors)")
        app.execute("SET search_path = pg_temp, public")
        app.execute("UPDATE public.peer_mentors SET status = 'paused'")
        add_certification(app, mentor, TODAY)
        app.execute("ALTER TABLE elsewhere RENAME TO peer_mentors")
        app.execute("CREATE TEMP VIEW certifications AS SELECT 1 AS mentor_id, date '2099-01-01' AS expires_on")
        app.execute(
            "INSERT INTO public.certifications (external_ref, mentor_id, issued_on, expires_on)"
            " VALUES ('late', %s, '2020-01-01', %s)",
            [mentor, TODAY + timedelta(days=3)],
        )
    assert status_events(db) == [("paused", "active", "paused", "not given")]
    assert one(db, "SELECT count(*) FROM certification_events") == 2
    assert expiry_of(db, mentor) == TODAY + timedelta(days=3)


@given(changes=changes)
def test_certification_audit_retells_the_certifications(scratch: Connection, changes: list[Change]) -> None:
    """After any changes, going through the audit from its beginning gives exactly the certifications there are."""
    with scratch.transaction(force_rollback=True):
        mentors = [add_mentor(scratch) for _ in range(3)]
        held: Held = {}
        for change in changes:
            apply(scratch, held, mentors, change)
        told: dict[int, Certification] = {}
        facts: dict[int, dict[str, str]] = {}
        for certification, mentor, event, before, after in scratch.execute(
            "SELECT certification_id, mentor_id, event, before, after FROM certification_events ORDER BY id"
        ):
            assert facts.get(certification) == before, "every row takes up where the one before it ended"
            assert (event == "added") == (before is None)
            facts[certification] = after
            if event == "removed":
                assert told.pop(certification).mentor_id == mentor
                continue
            withdrawn_on = after["withdrawn_on"]
            told[certification] = Certification(
                mentor,
                date.fromisoformat(after["expires_on"]),
                date.fromisoformat(withdrawn_on) if withdrawn_on else None,
            )
        assert told == held


_status_changes = st.lists(
    st.tuples(
        st.sampled_from(["active", "paused"]), st.sets(st.integers(0, 2)), st.none() | st.sampled_from(["leave", "x"])
    ),
    max_size=10,
)


@given(steps=_status_changes)
def test_status_audit_retells_the_statuses(scratch: Connection, steps: list[tuple[str, set[int], str | None]]) -> None:
    """After any changes of status, the audit is an unbroken chain from active to what each mentor is now."""
    with scratch.transaction(force_rollback=True):
        mentors = [add_mentor(scratch) for _ in range(3)]
        expected: list[tuple[int, str]] = []
        now = dict.fromkeys(mentors, "active")
        for status, chosen, reason in steps:
            ids = sorted(mentors[each] for each in chosen)
            scratch.execute(
                "UPDATE peer_mentors SET status = %s, pause_reason = %s WHERE id = ANY (%s)", [status, reason, ids]
            )
            expected += [(each, status) for each in ids if now[each] != status]
            now |= dict.fromkeys(ids, status)
        told = dict.fromkeys(mentors, "active")
        rows = scratch.execute(
            "SELECT mentor_id, from_status, to_status, event FROM mentor_status_events ORDER BY id"
        ).fetchall()
        for mentor, before, after, event in rows:
            assert told[mentor] == before
            assert event == ("reinstated" if after == "active" else "paused")
            told[mentor] = after
        assert told == now
        assert Counter((mentor, after) for mentor, _, after, _ in rows) == Counter(expected)
        reasons = scratch.execute("SELECT (status = 'paused') = (pause_reason IS NOT NULL) FROM peer_mentors")
        assert all(right for (right,) in reasons)


@pytest.mark.parametrize("table", ["certification_events", "mentor_status_events"])
def test_audit_rows_cannot_be_rewritten(scratch: Connection, table: str) -> None:
    """Not even the owner can rewrite an audit row, by UPDATE, upsert or MERGE, or empty the table at once."""
    mentor = add_mentor(scratch)
    add_certification(scratch, mentor, TODAY)
    scratch.execute("UPDATE peer_mentors SET status = 'paused'")
    before = scratch.execute(f"SELECT * FROM {table}").fetchall()
    assert len(before) == 1
    for statement in (
        f"TRUNCATE {table}",
        f"UPDATE {table} SET actor = 'nobody'",
        f"UPDATE {table} SET reason = 'another' WHERE mentor_id = {mentor}",
        (
            f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table}"
            " ON CONFLICT (id) DO UPDATE SET actor = 'nobody'"
        ),
        (
            f"MERGE INTO {table} t USING peer_mentors m ON t.mentor_id = m.id"
            " WHEN MATCHED THEN UPDATE SET actor = 'nobody'"
        ),
    ):
        with pytest.raises(psycopg.errors.RestrictViolation, match=table), scratch.transaction():
            scratch.execute(statement)
    assert scratch.execute(f"SELECT * FROM {table}").fetchall() == before


# ---------------------------------------------------------------------- the rules as functions

_any_day = st.dates(date(1900, 1, 1), date(2999, 12, 31))
_near = st.integers(-400, 400).map(lambda days: TODAY + timedelta(days=days))
days = _any_day | _near
cases = st.lists(st.tuples(days, st.none() | days), min_size=1, max_size=30)


@given(cases=cases)
@example(cases=[(date(2028, 2, 29), date(2028, 3, 1)), (date(2027, 3, 1), date(2027, 3, 1)), (TODAY, TODAY)])
def test_end_of_a_certification_is_the_restated_one(as_job: Connection, cases: list[tuple[date, date | None]]) -> None:
    """The SQL function says of any certification what Python says: expiry or the day before withdrawal, the earlier."""
    for expires_on, withdrawn_on in cases:
        found = one(as_job, "SELECT certjobs_certification_end(%s, %s::date)", expires_on, withdrawn_on)
        assert found == end_of(expires_on, withdrawn_on)


@given(cases=cases)
@example(cases=[(date(2028, 3, 1), date(2028, 2, 28)), (TODAY, None), (TODAY, TODAY), (TODAY, YESTERDAY)])
def test_days_left_and_expired_are_the_restated_ones(as_job: Connection, cases: list[tuple[date, date | None]]) -> None:
    """The SQL functions say of any day and expiry what Python says, and of no expiry that nothing is known."""
    for today, expiry in cases:
        found = as_job.execute(
            "SELECT certjobs_days_left(%(expiry)s::date, %(today)s), certjobs_expired(%(expiry)s::date, %(today)s)",
            {"expiry": expiry, "today": today},
        ).fetchone()
        left = (expiry - today).days if expiry else None
        assert found == (left, None if left is None else left < 0)


# ---------------------------------------------------------------------- the pause


def pause(connection: Connection, mentors: Iterable[int], today: date = TODAY) -> list[tuple[Any, ...]]:
    """Pause and return whom: id, reference, organisation, chapter, expiry, recipients, has a coordinator."""
    return connection.execute("SELECT * FROM certjobs_pause_expired(%s, %s)", [list(mentors), today]).fetchall()


def notices(connection: Connection) -> list[tuple[Any, ...]]:
    """Return every notice by its cause and recipient."""
    return connection.execute(
        "SELECT mentor_id, certification_expiry, pause_ordinal, coordinator_id FROM notifications"
        " WHERE kind = 'pause' AND status = 'pending' ORDER BY 1, 2, 3, 4"
    ).fetchall()


@dataclass(frozen=True)
class Candidate:
    """A mentor as a night may find it."""

    days_left: int | None
    status: str
    auto_pause: bool
    proposed: bool
    coordinators: int

    @property
    def is_due(self) -> bool:
        """Whether the rules want the mentor paused."""
        expired = self.days_left is not None and self.days_left < 0
        return self.proposed and expired and self.auto_pause and self.status == "active"


candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from([-400, -2, -1, -1, 0, 1, None]),
        st.sampled_from(["active", "active", "paused"]),
        st.sampled_from([True, True, False]),
        st.sampled_from([True, True, False]),
        st.integers(0, 2),
    ),
    max_size=8,
)


@given(candidates=candidates)
@example(candidates=[Candidate(days_left, "active", True, True, 1) for days_left in (-1, 0, 1, None)])  # noqa: FBT003 - a row
@example(candidates=[Candidate(-1, "active", True, True, coordinators) for coordinators in (0, 1, 2)])  # noqa: FBT003 - a row
def test_pause_takes_who_is_due_and_nobody_else(scratch: Connection, candidates: list[Candidate]) -> None:
    """Of any mentors proposed exactly the due are paused, returned, audited once, and noticed once a coordinator."""
    with scratch.transaction(force_rollback=True):
        organisations = {
            flag: add_organisation(scratch, code, auto_pause=flag) for code, flag in (("HLF", True), ("NHF", False))
        }
        ids = []
        for each in candidates:
            mentor = add_mentor(scratch, organisation=organisations[each.auto_pause])
            ids.append(mentor)
            if each.days_left is not None:
                add_certification(scratch, mentor, TODAY + timedelta(days=each.days_left))
            for number in range(each.coordinators):
                add_coordinator(scratch, mentor, f"coordinator{number}@example.org")
            if each.status == "paused":
                scratch.execute(
                    "UPDATE peer_mentors SET status = 'paused', pause_reason = 'on leave' WHERE id = %s", [mentor]
                )
        by_hand = len(status_events(scratch))

        found = pause(scratch, [mentor for mentor, each in zip(ids, candidates, strict=True) if each.proposed])

        due = {mentor: each for mentor, each in zip(ids, candidates, strict=True) if each.is_due}
        assert {row[0]: row[5:] for row in found} == {
            mentor: (max(each.coordinators, 1), each.coordinators > 0) for mentor, each in due.items()
        }
        assert len(found) == len(due)
        reasons: dict[int, str | None] = dict(scratch.execute("SELECT id, pause_reason FROM peer_mentors").fetchall())
        assert reasons == {
            mentor: "expired_cert" if mentor in due else "on leave" if each.status == "paused" else None
            for mentor, each in zip(ids, candidates, strict=True)
        }
        assert status_events(scratch)[by_hand:] == [("expired_cert", "active", "paused", "expired_cert")] * len(due)
        assert Counter(row[0] for row in notices(scratch)) == {
            mentor: max(each.coordinators, 1) for mentor, each in due.items()
        }
        assert pause(scratch, due) == [], "again is nothing"


def test_pause_counts_its_day_by_its_argument(db: Connection) -> None:
    """The day that the caller names decides who is expired and is the day in the audit, in that transaction only."""
    mentor = add_mentor(db)
    add_certification(db, mentor, date(2024, 2, 29))
    assert pause(db, [mentor], date(2024, 2, 29)) == []
    assert [row[0] for row in pause(db, [mentor], date(2024, 3, 1))] == [mentor]
    assert one(db, "SELECT effective_on FROM mentor_status_events") == date(2024, 3, 1)
    db.execute("UPDATE peer_mentors SET status = 'active'")
    assert one(db, "SELECT max(effective_on) FROM mentor_status_events") > date(2024, 3, 1)


def test_pause_audit_and_notices_are_one_transaction(db: Connection) -> None:
    """Where a single notice cannot be written, or the transaction is rolled back, no pause and no audit row stays."""
    mentors = [add_mentor(db) for _ in range(3)]
    for mentor in mentors:
        add_certification(db, mentor, YESTERDAY)
    nothing: tuple[list[str], list[Any], list[Any]] = (["active"] * 3, [], [])

    def state() -> tuple[list[str], list[Any], list[Any]]:
        statuses = db.execute("SELECT status FROM peer_mentors").fetchall()
        return [status for (status,) in statuses], status_events(db), notices(db)

    db.execute(f"ALTER TABLE notifications ADD CONSTRAINT refused CHECK (mentor_id <> {mentors[1]})")
    with pytest.raises(psycopg.errors.CheckViolation):
        pause(db, mentors)
    assert state() == nothing
    db.execute("ALTER TABLE notifications DROP CONSTRAINT refused")
    with db.transaction(force_rollback=True):
        assert len(pause(db, mentors)) == 3
    assert state() == nothing
    pause(db, mentors)
    assert [len(part) for part in state()] == [3, 3, 3]


def test_ordinal_grows_with_each_pause_for_the_same_expiry(scratch: Connection) -> None:
    """A mentor reinstated and paused again for the same expiry date is owed new notices; a new date starts at one."""
    mentor = add_mentor(scratch)
    held = add_certification(scratch, mentor, YESTERDAY)
    kari = add_coordinator(scratch, mentor, "kari@example.org")
    for ordinal in (1, 2, 3):
        assert len(pause(scratch, [mentor])) == 1
        assert (mentor, YESTERDAY, ordinal, kari) in notices(scratch)
        scratch.execute("UPDATE peer_mentors SET status = 'active'")
    earlier = YESTERDAY - timedelta(days=5)
    scratch.execute("UPDATE certifications SET expires_on = %s WHERE id = %s", [earlier, held])
    pause(scratch, [mentor])
    assert notices(scratch) == [(mentor, earlier, 1, kari), *((mentor, YESTERDAY, nth, kari) for nth in (1, 2, 3))]
    assert one(scratch, "SELECT count(DISTINCT idempotency_key) FROM notifications") == 4


def test_a_pause_by_hand_does_not_count(scratch: Connection) -> None:
    """Pauses by other people in between, for the same expiry date, do not move the ordinal of the job's own."""
    mentor = add_mentor(scratch)
    add_certification(scratch, mentor, YESTERDAY)
    scratch.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'on leave'")
    scratch.execute("UPDATE peer_mentors SET status = 'active'")
    pause(scratch, [mentor])
    assert notices(scratch) == [(mentor, YESTERDAY, 1, None)]


def test_notice_keys_derive_from_what_the_notice_is(scratch: Connection) -> None:
    """The same pause of the same people has the same keys under other row ids, and every notice has its own."""

    def keys() -> list[str]:
        mentors = [add_mentor(scratch, ref) for ref in ("KEY-1", "KEY-2")]
        for mentor in mentors:
            add_certification(scratch, mentor, YESTERDAY)
            for text in (KARI, OLA):
                add_coordinator(scratch, mentor, text.partition("<")[2].rstrip(">"))
        lonely = add_mentor(scratch, "KEY-3")
        add_certification(scratch, lonely, YESTERDAY)
        pause(scratch, [*mentors, lonely])
        return [key for (key,) in scratch.execute("SELECT idempotency_key FROM notifications ORDER BY 1")]

    first = keys()
    assert len(set(first)) == 5
    assert not any("KEY" in key or "@" in key or "example" in key for key in first)
    before = one(scratch, "SELECT min(id) FROM peer_mentors")
    for table in (
        "notifications",
        "mentor_status_events",
        "certification_events",
        "certifications",
        "coordinator_assignments",
        "coordinators",
        "peer_mentors",
    ):
        scratch.execute(f"DELETE FROM {table}")
    assert keys() == first
    assert one(scratch, "SELECT min(id) FROM peer_mentors") > before


# ---------------------------------------------------------------------- what the job may not do


@pytest.fixture(scope="module")
def guarded_job(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give the module one migrated database with a row in every table; tests of refusals change nothing in it."""
    name = "test_refusals"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    database = TestDatabase(name, cluster)
    with database.connect() as connection:
        mentor = add_mentor(connection, "A")
        add_certification(connection, mentor, YESTERDAY)
        add_coordinator(connection, mentor, "kari@example.org")
        pause(connection, [mentor])
        connection.execute(
            "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor)"
            " VALUES (gen_random_uuid(), 'expiry-check', 'manual', 'here', '0', 'test')"
        )
        connection.execute(
            "WITH refused AS (INSERT INTO guarded_sets (hash, job_name, organisation_id, size)"
            " VALUES ('abc', 'expiry-check', 1, 1) RETURNING id)"
            " INSERT INTO guarded_set_members SELECT %s, %s, id FROM refused",
            [mentor, YESTERDAY],
        )
    yield database
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


READ_ONLY = {
    "organisations": "code",
    "chapters": "name",
    "coordinators": "address",
    "peer_mentors": "status",
    "coordinator_assignments": "mentor_id",
    "certifications": "expires_on",
    "certification_events": "actor",
    "mentor_status_events": "actor",
    "certjobs_schema_version": "version_num",
}
NEVER_DELETED = ("notifications", "scheduler_run_log", "guarded_sets", "guarded_set_members")
FORBIDDEN = (
    [f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table}" for table in READ_ONLY]
    + [f"UPDATE {table} SET {column} = {column}" for table, column in READ_ONLY.items()]
    + [f"DELETE FROM {table}" for table in (*READ_ONLY, *NEVER_DELETED)]
    + [f"TRUNCATE {table} CASCADE" for table in (*READ_ONLY, *NEVER_DELETED, "job_lock")]
    + [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in ("peer_mentors", "certifications")]
    + [f"DROP TABLE {table} CASCADE" for table in ("job_lock", "notifications", "mentor_status_events")]
    + [
        "UPDATE peer_mentors SET pause_reason = 'other'",
        "UPDATE peer_mentors SET certification_expiry = '2099-01-01'",
        "SELECT 1 FROM peer_mentors FOR UPDATE",
        # what a guard refused
        "UPDATE guarded_sets SET approved_until = now() + interval '1 day'",
        "UPDATE guarded_sets SET approved_by = 'nobody', reason = 'none', approved_at = now()",
        "UPDATE guarded_sets SET size = 0, hash = 'def'",
        (
            "INSERT INTO guarded_sets (hash, job_name, organisation_id, size, approved_until)"
            " VALUES ('def', 'expiry-check', 1, 1, now() + interval '1 day')"
        ),
        (
            "INSERT INTO guarded_sets (hash, job_name, organisation_id, size, approved_by, approved_at)"
            " VALUES ('def', 'expiry-check', 1, 1, 'nobody', now())"
        ),
        "UPDATE guarded_set_members SET mentor_id = mentor_id",
        # what a notice or a run is
        "UPDATE notifications SET idempotency_key = 'other'",
        "UPDATE notifications SET mentor_id = 0, coordinator_id = NULL",
        "UPDATE scheduler_run_log SET actor = 'nobody'",
        "UPDATE scheduler_run_log SET job_name = 'other', started_at = now()",
        "UPDATE job_lock SET fencing_token = 0",
        "SELECT setval('job_lock_fencing_token', 1)",
        # functions, schema, roles
        "SELECT certjobs_refresh_certification_expiry(ARRAY[1]::bigint[])",
        "CREATE TABLE public.own (id bigint)",
        "CREATE FUNCTION public.own() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        (
            "CREATE OR REPLACE FUNCTION certjobs_expired(certification_expiry date, today date) RETURNS boolean"
            " LANGUAGE sql AS 'SELECT true'"
        ),
        "CREATE SCHEMA own",
        "CREATE ROLE own",
        "SET ROLE postgres",
    ]
)


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_job_may_not(guarded_job: TestDatabase, statement: str) -> None:
    """The job's role is refused a statement that its work does not need."""
    with (
        psycopg.connect(guarded_job.job_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_the_job_may_not_add_to_what_was_approved(guarded_job: TestDatabase) -> None:
    """The job's role cannot put mentors into a set that a person approved without them."""
    guarded_job.execute("UPDATE guarded_sets SET approved_until = now() + interval '1 day'")
    try:
        with (
            psycopg.connect(guarded_job.job_url) as connection,
            pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.RestrictViolation)),
        ):
            connection.execute("INSERT INTO guarded_set_members SELECT 4711, %s, id FROM guarded_sets", [YESTERDAY])
    finally:
        guarded_job.execute("UPDATE guarded_sets SET approved_until = NULL")


def test_nobody_else_may_pause_or_refresh(database: TestDatabase, app_login: str) -> None:
    """A login without the job's role may neither pause nor recompute, and reads none of the jobs' tables."""
    with as_login(database, app_login) as app:
        for statement in (
            "SELECT certjobs_pause_expired(ARRAY[1]::bigint[], current_date)",
            "SELECT certjobs_refresh_certification_expiry(ARRAY[1]::bigint[])",
            "SELECT 1 FROM notifications",
            "SELECT 1 FROM scheduler_run_log",
            "SELECT 1 FROM peer_mentors",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)


def test_the_job_may_do_its_work(certjobs: Certjobs, database: TestDatabase, db: Connection) -> None:
    """With the job's role alone a night pauses, notices, logs, refuses a mass change, and is done when approved."""
    night = ("expiry-check", "--as-of", NIGHT, "--json")
    imported = certjobs("roster", "import", "-", stdin=file_of(Mentor(f"A{each}", -1) for each in range(4)))
    assert imported.exit_code == 0, imported.stderr
    strict = {"CERTJOBS_GUARD_COUNT": "2", "CERTJOBS_GUARD_SHARE": "0.1", "CERTJOBS_NOTIFY_CHANNEL": "console"}
    refused = certjobs(*night, url=database.job_url, env=strict)
    assert refused.exit_code == 4, refused.stdout
    hash_ = one(db, "SELECT hash FROM guarded_sets")
    assert certjobs("approve", hash_, "--reason", "known", url=database.job_url).exit_code == 78
    assert certjobs("approve", hash_, "--reason", "known").exit_code == 0
    done = certjobs(*night, url=database.job_url, env=strict)
    assert (done.exit_code, done.json()["counts"]["paused"]) == (0, 4), done.stdout
    assert one(db, "SELECT count(*) FROM notifications WHERE status = 'sent'") == 4
    assert db.execute("SELECT status FROM scheduler_run_log ORDER BY started_at").fetchall() == [
        ("failed",),
        ("succeeded",),
    ]
