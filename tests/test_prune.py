"""prune: what went wrong is kept longer, what is open for ever, and the rest goes, whatever there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.children.helpers import dump, last_run, runs

if TYPE_CHECKING:
    import psycopg

    from tests.conftest import Certjobs, TestDatabase

    Connection = psycopg.Connection[tuple[Any, ...]]

DAYS, FAILURES_DAYS = 100, 250
SETTINGS = {"CERTJOBS_RETENTION_DAYS": f"{DAYS}", "CERTJOBS_RETENTION_FAILURES_DAYS": f"{FAILURES_DAYS}"}
WENT_WRONG = {"dead", "unknown", "failed", "partial", "abandoned"}
IN_HAND = {"pending", "sending", "failed"}


def old(age: int, *, wrong: bool = False) -> bool:
    """Tell whether something of so many days is older than it is kept."""
    return age > (FAILURES_DAYS if wrong else DAYS)


ages = st.sampled_from([0, 95, 99, 101, 150, 249, 251, 400, 2000])


@dataclass(frozen=True)
class Notice:
    """A notice; those of one cause differ in their coordinator."""

    cause: int
    status: str
    age: int


@dataclass(frozen=True)
class Operation:
    """An operation; those of one mentor are in the order of their age."""

    there: bool
    mentor: int
    status: str
    age: int


@dataclass(frozen=True)
class Run:
    """A run and those it began."""

    status: str
    age: int
    children: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Reminder:
    """A row of the ledger; ``expiry`` in days from today; ``present``: it is the mentor's expiry date now."""

    age: int
    expiry: int
    present: bool


@dataclass(frozen=True)
class History:
    """What there is, in rows whose ages are in days."""

    notices: list[Notice] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    ledger: list[Reminder] = field(default_factory=list)
    attempts: list[tuple[str, int]] = field(default_factory=list)
    findings: list[tuple[int, int | None]] = field(default_factory=list)
    alerts: list[tuple[int, int | None]] = field(default_factory=list)
    forecasts: list[tuple[int, int]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    """Draw the operations of some mentors: what is over first, at most one under way and one open after it."""
    found = []
    for mentor in range(draw(st.integers(0, 4))):
        there = draw(st.booleans())
        over = draw(st.lists(st.sampled_from(["done", "superseded", "dead"]), max_size=4))
        over += draw(st.sampled_from([[], ["processing"], ["pending"], ["failed"], ["processing", "pending"]]))
        days = sorted((draw(ages) for _ in over), reverse=True)
        found += [Operation(there, mentor, status, age) for status, age in zip(over, days, strict=True)]
    return found


run_statuses = st.sampled_from(["succeeded", "partial", "failed", "skipped", "abandoned", "running"])
cleared = st.tuples(ages, st.none() | ages).map(lambda each: (max(each[0], each[1] or 0), each[1]))
histories = st.builds(
    History,
    st.lists(
        st.builds(
            Notice,
            st.integers(1, 3),
            st.sampled_from(["sent", "suppressed", "superseded", "discarded", "dead", "unknown", *sorted(IN_HAND)]),
            ages,
        ),
        max_size=8,
    ),
    operations(),
    st.lists(
        st.builds(Run, run_statuses, ages, st.lists(st.tuples(run_statuses, ages), max_size=2).map(tuple)), max_size=5
    ),
    st.lists(st.builds(Reminder, ages, st.sampled_from([-400, -101, -99, 0, 20]), st.booleans()), max_size=5),
    st.lists(st.tuples(st.sampled_from(["sent", "failed", "refused", "unknown"]), ages), max_size=5),
    st.lists(cleared, max_size=5),
    st.lists(cleared, max_size=3),
    st.lists(st.tuples(ages, ages), max_size=4),
    st.lists(ages, max_size=3),
)


def notices_that_stay(notices: list[Notice]) -> list[bool]:
    """Restate the rule: open ones, young ones, and all of a cause that may still be told to somebody."""

    def kept(each: Notice) -> bool:
        return each.status in IN_HAND or not old(each.age, wrong=each.status in WENT_WRONG)

    def may_be_told(cause: int) -> bool:
        same = [each for each in notices if each.cause == cause]
        return any(
            each.status in IN_HAND or (each.status in {"dead", "unknown"} and not old(each.age, wrong=True))
            for each in same
        )

    return [kept(each) or may_be_told(each.cause) for each in notices]


def operations_that_stay(queue: list[Operation]) -> list[bool]:
    """Restate the rule: nothing open goes, and what is dead goes only for good, with or before what overtook it."""
    stays = []
    for position, each in enumerate(queue):
        earlier = [one for one in queue[:position] if one.mentor == each.mentor]
        later = [one for one in queue[position + 1 :] if one.mentor == each.mentor]
        if each.status == "superseded":
            stays.append(not old(each.age))
        elif each.status == "done":
            guards = any(one.status == "dead" and not old(one.age, wrong=True) for one in earlier)
            stays.append(not old(each.age) or guards)
        elif each.status == "dead":
            overtaken = any(one.status != "superseded" for one in later)
            stays.append(not old(each.age, wrong=True) or (each.there and not overtaken))
        else:
            stays.append(True)
    return stays


def run_stays(status: str, age: int) -> bool:
    """Restate the rule for a run by itself."""
    return status == "running" or not old(age, wrong=status in WENT_WRONG)


class Rows:
    """Rows made in the database, and which of them have to stay."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self.staying: dict[str, set[Any]] = {}
        connection.execute("SET session_replication_role = replica")  # rows as they are, with no trigger's opinion
        connection.execute(
            "TRUNCATE notifications, sync_queue, scheduler_run_log, cert_expiry_reminders, reminder_dispatch_log,"
            " reconciliation_log, alerts, forecasts, certification_events, peer_mentors, chapters CASCADE"
        )
        connection.execute("INSERT INTO chapters (organisation_id, name) SELECT id, 'x' FROM organisations")

    def add(self, table: str, key: str, *, stays: bool, **values: Any) -> Any:
        """Add a row; a value that is a number of days in a column of moments is how long ago that is."""
        columns, given = [], []
        for name, value in values.items():
            columns.append(name)
            ago = name.endswith("_at") and isinstance(value, int)
            given.append((timedelta(days=value) if ago else value, "clock_timestamp() - %s" if ago else "%s"))
        placed = ", ".join(each for _, each in given)
        query = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({placed}) RETURNING {key}"
        row = self._connection.execute(query, [value for value, _ in given]).fetchone()
        assert row is not None
        if stays:
            self.staying.setdefault(table, set()).add(row[0])
        return row[0]

    def mentor(self, expiry: date | None = None) -> int:
        """Add a mentor and return the id."""
        self._connection.execute(
            "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, status, certification_expiry)"
            " SELECT %s, 'x', organisation_id, id, 'paused', %s FROM chapters LIMIT 1",
            [f"M{next(self._numbers)}", expiry],
        )
        row = self._connection.execute("SELECT max(id) FROM peer_mentors").fetchone()
        assert row is not None
        number: int = row[0]
        return number

    def fill(self, history: History) -> None:
        """Write down a history."""
        row = self._connection.execute("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date").fetchone()
        assert row is not None
        today: date = row[0]
        for number, (notice, stays) in enumerate(zip(history.notices, notices_that_stay(history.notices), strict=True)):
            self.add(
                "notifications",
                "id",
                stays=stays,
                kind="pause",
                mentor_id=900,
                certification_expiry=today,
                pause_ordinal=notice.cause,
                coordinator_id=number,
                idempotency_key=f"{number}",
                status=notice.status,
                created_at=notice.age,
                sent_at=notice.age if notice.status == "sent" else None,
            )
        mentors: dict[int, int] = {}
        for operation, stays in zip(history.operations, operations_that_stay(history.operations), strict=True):
            if operation.mentor not in mentors:
                mentors[operation.mentor] = self.mentor() if operation.there else 10_000 + operation.mentor
            over = operation.status in {"done", "superseded", "dead"}
            self.add(
                "sync_queue",
                "id",
                stays=stays,
                mentor_id=mentors[operation.mentor],
                organisation_id=1,
                operation="remove",
                status=operation.status,
                triggered_by_event="paused",
                actor="x",
                created_at=operation.age,
                finished_at=operation.age if over else None,
            )
        for run in history.runs:
            children = [run_stays(*child) for child in run.children]
            parent = self._run(run.status, run.age, None, stays=run_stays(run.status, run.age) or any(children))
            for child, stays in zip(run.children, children, strict=True):
                self._run(*child, parent, stays=stays)
        for threshold, reminder in enumerate(history.ledger):
            expiry = today + timedelta(days=reminder.expiry)
            self.add(
                "cert_expiry_reminders",
                "threshold_day",
                stays=reminder.present or not old(reminder.age) or -reminder.expiry <= DAYS,
                certification_expiry=expiry,
                mentor_id=self.mentor(expiry) if reminder.present else 20_000,
                threshold_day=threshold,
                status="due",
                decided_on=expiry,
                created_at=reminder.age,
            )
        self._others(history, today)

    def _run(self, status: str, age: int, parent: UUID | None, *, stays: bool) -> UUID:
        made: UUID = self.add(
            "scheduler_run_log",
            "run_id",
            stays=stays,
            run_id=UUID(int=next(self._numbers)),
            job_name="x",
            parent_run_id=parent,
            trigger="schedule",
            started_at=age,
            finished_at=None if status == "running" else age,
            heartbeat_at=0,
            backend_pid=self._connection.info.backend_pid,
            status=status,
            host="h",
            version="0",
            actor="x",
        )
        return made

    def _others(self, history: History, today: date) -> None:
        for number, (outcome, age) in enumerate(history.attempts):
            self.add(
                "reminder_dispatch_log",
                "id",
                stays=not old(age, wrong=outcome != "sent"),
                notification_id=number,
                kind="pause",
                mentor_id=900,
                certification_expiry=today,
                attempt=1,
                outcome=outcome,
                occurred_at=age,
            )
        for age, over in history.findings:
            self.add(
                "reconciliation_log",
                "id",
                stays=over is None or not old(min(age, over), wrong=True),
                finding="extra",
                detail="x",
                actor="x",
                created_at=age,
                cleared_at=over,
            )
        for number, (age, over) in enumerate(history.alerts):
            self.add(
                "alerts",
                "id",
                stays=over is None or not old(min(age, over), wrong=True),
                **{"class": f"{number}"},
                number=1,
                first_seen_at=age,
                cleared_at=over,
            )
        for number, (night, age) in enumerate(history.forecasts):
            self.add(
                "forecasts",
                "organisation_id",
                stays=not old(min(night, age)),
                night=today - timedelta(days=night),
                job_name="x",
                organisation_id=number,
                expected=1,
                created_at=age,
            )
        for age in history.events:
            self.add(
                "certification_events",
                "id",
                stays=not old(age),
                certification_id=1,
                mentor_id=900,
                event="added",
                after="{}",
                actor="x",
                occurred_at=age,
            )


KEYS = {
    "notifications": "id",
    "sync_queue": "id",
    "scheduler_run_log": "run_id",
    "cert_expiry_reminders": "threshold_day",
    "reminder_dispatch_log": "id",
    "reconciliation_log": "id",
    "alerts": "id",
    "forecasts": "organisation_id",
    "certification_events": "id",
}


@given(history=histories)
def test_what_has_to_stay_stays_and_the_rest_goes(certjobs: Certjobs, database: TestDatabase, history: History) -> None:
    """Whatever the mix of ages and statuses: every row that had to stay is there, no other, and again is nothing."""
    with database.connect() as connection:
        made = Rows(connection)
        made.fill(history)

        def left() -> dict[str, set[Any]]:
            """Return the keys of what is there, but of the runs of prune itself."""
            own = {UUID(each.run_id) for each in runs(database) if each.job_name == "prune"}
            found = {table: connection.execute(f"SELECT {key} FROM {table}").fetchall() for table, key in KEYS.items()}
            return {table: {value for (value,) in rows} - own for table, rows in found.items()}

        assert certjobs("prune", url=database.job_url, env=SETTINGS).exit_code == 0
        expected = {table: made.staying.get(table, set()) for table in KEYS}
        assert left() == expected
        again = certjobs("prune", "--json", url=database.job_url, env=SETTINGS)
        assert not any(again.json()["counts"].values())
        assert left() == expected


def test_batches_take_what_is_dead_before_what_overtook_it(database: TestDatabase) -> None:
    """A batch that ends between the two leaves no dead operation that looks as if nothing had taken its place."""
    with database.connect() as connection:
        rows = Rows(connection)
        rows.fill(
            History(operations=[Operation(there=True, mentor=0, status=each, age=300) for each in ("dead", "done")])
        )
        forget = "SELECT certjobs_forget('sync_queue', now() - interval '100 days', now() - interval '250 days', 1)"
        assert connection.execute(forget).fetchone() == (1,)
        assert connection.execute("SELECT status FROM sync_queue").fetchall() == [("done",)]
        assert connection.execute(forget).fetchone() == (1,)


def test_failures_are_kept_three_times_as_long_unless_set(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without a setting of its own what went wrong is kept three times as long as the rest."""
    env = {"CERTJOBS_RETENTION_DAYS": f"{DAYS}"}
    with database.connect() as connection:
        history = [Run(status, age) for status in ("succeeded", "failed") for age in (99, 101, 299, 301)]
        Rows(connection).fill(History(runs=history))
        assert certjobs("prune", url=database.job_url, env=env).exit_code == 0
    left = [each.status for each in runs(database) if each.job_name == "x"]
    assert sorted(left) == ["failed", "failed", "failed", "succeeded"]


@pytest.mark.parametrize("days", [None, "100"])
def test_failures_are_never_kept_shorter(certjobs: Certjobs, database: TestDatabase, days: str | None) -> None:
    """A setting that would keep what went wrong shorter than the rest is a configuration error that deletes nothing."""
    with database.connect() as connection:
        Rows(connection).fill(History(runs=[Run("failed", 2000)]))
        env = {"CERTJOBS_RETENTION_FAILURES_DAYS": "99"} | ({"CERTJOBS_RETENTION_DAYS": days} if days else {})
        result = certjobs("prune", url=database.job_url, env=env)
        assert result.exit_code == 78, result
        assert "CERTJOBS_RETENTION_FAILURES_DAYS is 99" in result.stdout
        assert len(runs(database)) == 2


def test_a_day_long_ago(certjobs: Certjobs, database: TestDatabase) -> None:
    """--as-of a day before which there is no calendar deletes nothing and ends well."""
    with database.connect() as connection:
        Rows(connection).fill(History(runs=[Run("failed", 2000)]))
        assert certjobs("prune", "--as-of", "0001-02-03", env=SETTINGS).exit_code == 0
        assert len(runs(database)) == 2


def test_the_first_name_of_prune(certjobs: Certjobs, database: TestDatabase) -> None:
    """Schedules that run `retention` go on working, and `runs --job` finds the job's rows under both its names."""
    assert certjobs("run", "retention", url=database.job_url).exit_code == 0
    assert last_run(database).job_name == "prune"
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor, status)"
        " VALUES (gen_random_uuid(), 'retention', 'schedule', 'h', '0', 'x', 'succeeded')"
    )
    before = dump(database)
    for name in ("retention", "prune"):
        found = certjobs("runs", "--job", name, "--json").json()
        assert sorted(each["job_name"] for each in found) == ["prune", "retention"]
    assert [each["job_name"] for each in certjobs("runs", "--job", "remind", "--json").json()] == []
    assert dump(database) == before
