"""Changes, nights, faults and dead workers in any order: once the portal is well, it shows what the rule wants."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
import stamina
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from certjobs.db import engine as db_engine
from certjobs.db.store import Attribution, Database
from certjobs.domain.syncing import MOST_FAILURES, Settled
from tests.children.helpers import load
from tests.children.processes import eventually
from tests.roster import OLA, TODAY, Mentor
from tests.test_outbox import WHY, do
from tests.watched import Background, account, due_soon, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from certjobs.db.operations import Claimed
    from tests.conftest import Certjobs, Result, TestDatabase
    from tests.watched import WatchedPortal

    Application = psycopg.Connection[tuple[Any, ...]]

FIRST = TODAY - timedelta(days=60)  # the first day; only some days pass, so that none is to come
LAST = FIRST + timedelta(days=5)  # of the certification of somebody alone
EXAMPLES, STEPS = 20, 14
NAMES = ("A", "B", "C", "D")
names = st.sampled_from(NAMES)
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"status": 503}),
    ("status", {"status": 429, "retry_after": 7}),
    ("status", {"status": 401}),
    ("drop_before", {}),
    ("drop_after", {}),
    ("cut", {}),
    ("truncate", {}),
    ("missing_parts", {"parts": 1}),
    ("stop_on_error", {}),
)


def arrives(application: Application, ref: str) -> None:
    """Insert an active mentor of HLF without a certification."""
    application.execute(
        "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)"
        " SELECT %s, 'Mentor', c.organisation_id, c.id"
        " FROM chapters c JOIN organisations o ON o.id = c.organisation_id WHERE o.code = 'HLF'",
        [ref],
    )


def certified(application: Application, ref: str, until: date) -> None:
    """Give a mentor a certification to that day, or make it the end of the one there is."""
    application.execute(
        "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)"
        " SELECT 'C-' || external_ref, id, '2020-01-01', %s FROM peer_mentors WHERE external_ref = %s"
        " ON CONFLICT (external_ref) DO UPDATE SET expires_on = EXCLUDED.expires_on, withdrawn_on = NULL",
        [until, ref],
    )


def paused(application: Application) -> int:
    """Pause everybody, and return how many that are."""
    return application.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'away'").rowcount


def moves(application: Application, ref: str, to: str) -> None:
    """Let a mentor belong to another organisation."""
    application.execute(
        "UPDATE peer_mentors m SET organisation_id = c.organisation_id, chapter_id = c.id"
        " FROM chapters c JOIN organisations o ON o.id = c.organisation_id WHERE o.code = %s AND m.external_ref = %s",
        [to, ref],
    )


@dataclass
class Model:
    """What is so of one mentor. ``expiry`` is the last day of the one certification."""

    ref: str
    organisation: str
    status: str
    expiry: date | None
    gone: bool = False


@dataclass
class World:
    """A database, a portal, and whoever works on them."""

    certjobs: Certjobs
    database: TestDatabase
    portal: WatchedPortal
    units: Database

    @contextmanager
    def application(self, day: date) -> Iterator[Application]:
        """Open a transaction of the application on a day."""
        with psycopg.connect(self.database.url) as connection:
            connection.execute("SELECT set_config('certjobs.today', %s, true)", [day.isoformat()])
            yield connection

    def run(self, job: str, day: date) -> Result:
        """Run a job on a day."""
        argv = (job, "--json", "--as-of", day.isoformat())
        env = self.portal.env | {"CERTJOBS_SYNC_CONCURRENCY": "1", "CERTJOBS_SYNC_BATCH_SIZE": "3"}
        return self.certjobs(*argv, url=self.database.job_url, env=env)

    def work(self, day: date) -> Database:
        """Return the database as a worker of its own has it."""
        return Database(self.units._engine, Attribution("test", None, uuid4(), day))

    def die_with(self, day: date, limit: int, *, sent: bool) -> Sequence[Claimed]:
        """Let a worker claim operations and, where ``sent``, send them, and never be heard of again."""
        with self.work(day).transaction() as store:
            store.operations.reclaim()
            for due in store.operations.unexplained("sync", window=timedelta(hours=12)):
                store.operations.let_through(due.unapproved)
            taken = store.operations.claim(limit=limit, lease=-1.0).taken
        state = self.portal.simulator.state
        for each in taken if sent else ():
            row = state.by_key(each.mentor_ref)
            assert row is not None
            state.update(row, {state.table.listed_column: each.listed})
        return taken

    def settle(self, day: date, taken: Sequence[Claimed]) -> None:
        """Let a worker say that the portal did what it was sent."""
        with self.work(day).transaction() as store:
            store.operations.finish([Settled(each.id, each.attempt, "done") for each in taken], most=MOST_FAILURES)

    def empty(self) -> None:
        """Forget every mentor, here and there."""
        with self.database.connect() as connection:
            connection.execute("SET session_replication_role = replica")
            for table in ("sync_queue", "website_listing", "certifications", "peer_mentors"):
                connection.execute(f"DELETE FROM {table}".encode())
            connection.execute("UPDATE organisations SET website_sync = code = 'HLF'")
        state = self.portal.simulator.state
        for row in state.page(0, 1000, lambda _row: True)[0]:
            state.delete(row)


@pytest.fixture
def world(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Give a world without mentors, in which no rest takes any time."""
    engine = db_engine.create_engine(
        db_engine.database_url(database.job_url), application_name="tests", statement_timeout=60, lock_timeout=10
    )
    load(certjobs, Mentor("X"), Mentor("N", organisation="NHF", coordinators=OLA))
    due_soon(database)
    with watched(tmp_path, monkeypatch) as portal, stamina.set_testing(True, attempts=4):
        found = World(certjobs, database, portal, Database(engine, Attribution("test")))
        found.empty()
        yield found
    engine.dispose()


class Sequences(RuleBasedStateMachine):
    """Any order of what may happen, beside a model of it.

    ``told``: of whom the portal has to be told, or was, since the organisation is synchronised. Of others nobody knows
    what the portal shows.
    """

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.empty()
        self.day = FIRST
        self.synchronised = True
        self.mentors: dict[str, Model] = {}
        self.told: set[str] = set()
        self.hands: list[Sequence[Claimed]] = []

    # The model.

    def answer(self, mentor: Model) -> str:
        if mentor.organisation != "HLF" or not self.synchronised:
            return "not ours"
        valid = mentor.expiry is not None and mentor.expiry >= self.day
        return "listed" if mentor.status == "active" and valid else "not listed"

    def change(self, name: str, **values: Any) -> None:
        """Change the model; a change of the rule's answer has to be told, and so has the end of a certified one."""
        mentor = self.mentors[name]
        before, was_listed_once = self.answer(mentor), mentor.status == "active" and mentor.expiry is not None
        for key, value in values.items():
            setattr(mentor, key, value)
        after = self.answer(mentor)
        if (after == "listed" != before) or (after != "listed" and before != "not ours" and was_listed_once):
            self.told.add(name)

    def wanted(self, name: str) -> bool:
        mentor = self.mentors[name]
        return not mentor.gone and self.answer(mentor) == "listed"

    def there(self, name: str) -> bool:
        return not self.mentors[name].gone

    # What may happen.

    @initialize(
        ends=st.lists(st.sampled_from((None, -1, 0, 3, 40)), min_size=len(NAMES), max_size=len(NAMES)),
        listed=st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)),
    )
    def arrive(self, ends: list[int | None], listed: list[bool]) -> None:
        """Some mentors come, and the portal knows them in some state."""
        with self.world.application(self.day) as application:
            for name, days, shown in zip(NAMES, ends, listed, strict=True):
                arrives(application, name)
                self.mentors[name] = Model(name, "HLF", "active", None)
                self.world.portal.knows(name, listed=shown)
                if days is not None:
                    until = self.day + timedelta(days=days)
                    certified(application, name, until)
                    self.change(name, expiry=until)

    @rule(name=names, status=st.sampled_from(("active", "paused")))
    def pause_or_reinstate(self, name: str, status: str) -> None:
        if not self.there(name) or self.mentors[name].status == status:
            return
        with self.world.application(self.day) as application:
            application.execute(
                "UPDATE peer_mentors SET status = %(to)s, pause_reason = CASE %(to)s WHEN 'paused' THEN 'away' END"
                " WHERE external_ref = %(ref)s",
                {"to": status, "ref": name},
            )
        self.change(name, status=status)

    @rule(name=names, days=st.sampled_from((0, 2, 30)))
    def renew(self, name: str, days: int) -> None:
        if self.there(name):
            until = self.day + timedelta(days=days)
            with self.world.application(self.day) as application:
                certified(application, name, until)
            self.change(name, expiry=until)

    @rule(name=names)
    def withdraw(self, name: str) -> None:
        expiry = self.mentors[name].expiry
        if self.there(name) and expiry is not None and expiry >= self.day:
            with self.world.application(self.day) as application:
                application.execute(
                    "UPDATE certifications SET withdrawn_on = %s WHERE external_ref = 'C-' || %s", [self.day, name]
                )
            self.change(name, expiry=self.day - timedelta(days=1))

    @rule(name=names)
    def move(self, name: str) -> None:
        if not self.there(name):
            return
        to = "NHF" if self.mentors[name].organisation == "HLF" else "HLF"
        with self.world.application(self.day) as application:
            moves(application, name, to)
        self.change(name, organisation=to)

    @rule(name=st.sampled_from(NAMES[-2:]))
    def erase(self, name: str) -> None:
        if self.there(name):
            do(self.world.certjobs, "mentors", "erase", name, "--yes", *WHY)
            self.change(name, status="paused")
            self.mentors[name].gone = True

    @rule()
    def switch(self) -> None:
        """Switched off, what the portal shows is nobody's business any more, also when it is switched on again."""
        self.synchronised = not self.synchronised
        with self.world.application(self.day) as application:
            application.execute("UPDATE organisations SET website_sync = %s WHERE code = 'HLF'", [self.synchronised])
        self.told.clear()

    @rule(days=st.sampled_from((1, 3)))
    def days_pass(self, days: int) -> None:
        if self.day + timedelta(days=days) <= TODAY:
            self.day += timedelta(days=days)

    @rule()
    def night(self) -> None:
        assert self.world.run("expiry-check", self.day).exit_code == 0
        for name, mentor in self.mentors.items():
            expired = mentor.expiry is not None and mentor.expiry < self.day
            if mentor.organisation == "HLF" and not mentor.gone and mentor.status == "active" and expired:
                self.change(name, status="paused")

    @rule(number=st.integers(1, 3), sent=st.booleans())
    def a_worker_dies(self, number: int, sent: bool) -> None:
        taken = self.world.die_with(self.day, number, sent=sent)
        if sent:
            self.hands.append(taken)

    @precondition(lambda self: bool(self.hands))
    @rule()
    def a_worker_was_not_dead(self) -> None:
        """It says what became of what it sent first, which counts where nobody else has had it meanwhile."""
        self.world.settle(self.day, self.hands.pop(0))

    @rule(fault=st.sampled_from(FAULTS), times=st.integers(1, 2), after=st.integers(0, 1))
    def sync_badly(self, fault: tuple[str, dict[str, Any]], times: int, after: int) -> None:
        kind, details = fault
        areas = ("batch",) if kind in ("truncate", "missing_parts", "stop_on_error") else ("batch", "row")
        for area in areas:
            self.world.portal.fault(kind, area, count=times, after=after, **details)
        result = self.world.run("sync", self.day)
        refused = details.get("status") == 401  # with the next token too, it is the end of the run
        assert result.exit_code in ((0, 3, 77) if refused else (0, 3, 69)), result
        self.world.portal.simulator.faults.clear()

    @rule()
    def sync_well(self) -> None:
        """What the rule wants of all that has to be told is so, nothing is left, and again is nothing."""
        self.night()
        world = self.world
        world.database.execute("UPDATE sync_queue SET not_before = NULL, unsure_until = NULL")  # nothing is under way
        result = world.run("sync", self.day)
        assert result.exit_code == 0, result
        assert account(world.database).keys() <= {"done", "superseded"}
        listed = set(world.portal.listed())
        assert {name: name in listed for name in self.told} == {name: self.wanted(name) for name in self.told}
        ledger = dict(
            world.database.all(
                "SELECT m.external_ref, w.listed FROM website_listing w JOIN peer_mentors m ON m.id = w.mentor_id"
            )
        )
        assert all(ledger[name] == self.wanted(name) for name in self.told if self.there(name))
        before = world.portal.watch.requests
        again = world.run("sync", self.day)
        assert (again.exit_code, again.json()["counts"]["claimed"]) == (0, 0), again
        assert world.portal.watch.requests == before

    def teardown(self) -> None:
        if self.mentors:
            self.sync_well()


def test_any_order(world: World) -> None:
    """After whatever happened, a sync that nothing disturbs leaves the portal as the rule wants, and nothing open."""
    machine = type("Sequences", (Sequences,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=(Phase.reuse, Phase.generate),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# Some orders that chance seldom finds.


@pytest.fixture
def one(world: World) -> World:
    """Give a world of one mentor, A, who is to be listed for five days and is not yet."""
    with world.application(FIRST) as application:
        arrives(application, "A")
        certified(application, "A", LAST)
    world.portal.knows("A", listed=False)
    return world


def test_a_late_answer_counts_for_nothing(one: World) -> None:
    """What a worker says of an operation that another has by now is not written down: it may have sent otherwise."""
    late = one.die_with(FIRST, 1, sent=True)
    assert [each.listed for each in late] == [True]
    (other,) = one.die_with(LAST + timedelta(days=1), 1, sent=False)
    assert (other.id, other.attempt, other.listed) == (late[0].id, 2, False)
    one.settle(LAST + timedelta(days=1), late)
    assert account(one.database) == {"processing": 1}
    assert one.database.all("SELECT * FROM website_listing") == []
    assert one.run("sync", LAST + timedelta(days=1)).exit_code == 0
    assert one.portal.listed() == []
    assert account(one.database) == {"done": 1}


def test_a_day_that_ends_while_somebody_is_sent(one: World) -> None:
    """Who was listed in time, but is expired when that is written down, is queued again and taken off."""
    taken = one.die_with(LAST, 1, sent=True)
    assert one.portal.listed() == ["A"]
    one.settle(LAST + timedelta(days=1), taken)
    assert account(one.database) == {"done": 1, "pending": 1}
    assert one.database.all("SELECT listed FROM website_listing") == [(True,)], (
        "what the portal has, not what it should"
    )
    assert one.run("sync", LAST + timedelta(days=1)).exit_code == 0
    assert one.portal.listed() == []


def test_moved_away_with_a_removal_in_hand(one: World) -> None:
    """Who moves away while paused, with the removal in the hands of a worker that is gone, is taken off too."""
    assert one.run("sync", FIRST).exit_code == 0
    with one.application(FIRST) as application:
        paused(application)
    one.die_with(FIRST, 1, sent=False)
    with one.application(FIRST) as application:
        moves(application, "A", "NHF")
    assert one.run("sync", FIRST).exit_code == 0
    assert (one.portal.listed(), account(one.database)) == ([], {"done": 2})


def test_a_change_that_waits_for_an_answer_is_not_lost(one: World) -> None:
    """A pause that is under way while its mentor's failure is written down, and is committed later, is sent."""
    (taken,) = one.die_with(FIRST, 1, sent=False)
    with one.application(FIRST) as application:
        with one.work(FIRST).transaction() as store:
            store.operations.finish([Settled(taken.id, taken.attempt, "failed", "no")], most=MOST_FAILURES)
            pausing = Background(lambda: paused(application))
            pausing.start()
            eventually(
                one.database,
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                application.info.backend_pid,
            )
        assert pausing.found() == 1
        meanwhile = Background(lambda: one.run("sync", FIRST).exit_code)
        meanwhile.start()
        meanwhile.join(2)  # it ends, unless it waits for the application
    assert meanwhile.found() in (0, 3)
    one.database.execute("UPDATE sync_queue SET not_before = NULL WHERE status IN ('pending', 'failed')")
    assert one.run("sync", FIRST).exit_code == 0
    assert one.portal.listed() == []


@pytest.mark.parametrize("sent", [False, True])
def test_erased_with_an_operation_in_hand(one: World, sent: bool) -> None:
    """Who is erased while a worker that is gone had them in hand is taken off, whatever it did."""
    one.die_with(FIRST, 1, sent=sent)
    do(one.certjobs, "mentors", "erase", "A", "--yes", *WHY)
    assert one.run("sync", FIRST).exit_code == 0
    assert (one.portal.listed(), account(one.database)) == ([], {"done": 1, "superseded": 1})


def test_the_reference_of_who_is_erased_is_forgotten(one: World) -> None:
    """Once the portal is told, no operation holds the reference of an erased mentor, also none that a worker lost."""
    one.die_with(FIRST, 1, sent=False)
    do(one.certjobs, "mentors", "erase", "A", "--yes", *WHY)
    assert one.run("sync", FIRST).exit_code == 0
    assert one.database.all("SELECT status, mentor_ref FROM sync_queue WHERE mentor_ref IS NOT NULL") == []


@pytest.mark.parametrize("ends", ["erased", "moved"])
def test_switched_off_with_an_operation_in_hand(one: World, ends: str) -> None:
    """Switching the organisation off touches nothing on the site: what a worker had in hand is not sent either."""
    assert one.run("sync", FIRST).exit_code == 0
    with one.application(FIRST) as application:
        paused(application)
    one.die_with(FIRST, 1, sent=False)
    if ends == "erased":
        do(one.certjobs, "mentors", "erase", "A", "--yes", *WHY)
    else:
        with one.application(FIRST) as application:
            moves(application, "A", "NHF")
    with one.application(FIRST) as application:
        application.execute("UPDATE organisations SET website_sync = false")
    requests = one.portal.watch.requests
    assert one.run("sync", FIRST).exit_code == 0
    assert (one.portal.listed(), one.portal.watch.requests) == (["A"], requests)
