"""remind through the command line: who is warned of what, once, on which night; what no longer holds is not sent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from certjobs.errors import DeliveryFailed
from tests.children.helpers import CONSOLE, Channel, dump, last_run, load
from tests.roster import KARI, OLA, TODAY, Mentor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from certjobs.ports import Message
    from tests.conftest import Certjobs, Result, TestDatabase

PER = "Per Eksempel <per@example.org>"
NONE = {"CERTJOBS_NOTIFY_CHANNEL": "none"}
KARIS, OLAS, PERS, OFFICE = ("kari@example.org", "ola@example.org", "per@example.org", "post@example.org")
CLEARED = """
    reminder_dispatch_log notifications cert_expiry_reminders notice_snoozes coordinator_assignments certifications
    peer_mentors coordinators scheduler_run_log mentor_status_events certification_events roster_events
"""
EXAMPLES = max(5, settings().max_examples // 8)
SETTLED = ("sent", "suppressed", "superseded", "dead", "unknown", "discarded", "open")


def before(days: int) -> date:
    """Return the day that many days before the tests' usual night."""
    return TODAY - timedelta(days=days)


def remind(
    certjobs: Certjobs,
    database: TestDatabase,
    *options: str,
    day: date | None = TODAY,
    env: Mapping[str, str] = CONSOLE,
    exit_code: int = 0,
) -> Result:
    """Run remind as the job's own role; it must end with this exit code, and its counts must add up."""
    as_of = ["--as-of", day.isoformat()] if day else []
    result = certjobs("remind", "--json", *as_of, *options, url=database.job_url, env=env)
    assert result.exit_code == exit_code, result
    if exit_code in {0, 3, 69, 77}:
        counts = result.json()["counts"]
        assert counts["notices_owed"] == sum(counts[f"owed_{name}"] for name in SETTLED), counts
    return result


def check(certjobs: Certjobs, database: TestDatabase, *, day: date = TODAY, env: Mapping[str, str] = NONE) -> Result:
    """Pause the expired, as the job's own role."""
    result = certjobs("expiry-check", "--as-of", day.isoformat(), url=database.job_url, env=env)
    assert result.exit_code == 0, result
    return result


def do(certjobs: Certjobs, *argv: str) -> None:
    """Carry out a command of an administrator."""
    result = certjobs(*argv, "--reason", "a test")
    assert result.exit_code == 0, result


def told(result: Result) -> list[tuple[str, str]]:
    """Return what the console was given, in order: address and mentor."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("To ")]
    return [(line.split("<")[1].split(">")[0], line.rsplit("(", 1)[1].split(",")[0]) for line in lines]


def ledger(database: TestDatabase) -> dict[str, dict[int, str]]:
    """Return the ledger for the mentors' present expiry dates: a status for each threshold."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for ref, threshold, status in database.all(
        "SELECT m.external_ref, r.threshold_day, r.status FROM cert_expiry_reminders r"
        " JOIN peer_mentors m ON m.id = r.mentor_id AND m.certification_expiry = r.certification_expiry"
    ):
        found[ref][threshold] = status
    return dict(found)


def owed(database: TestDatabase) -> list[tuple[str, int | None, str | None, str]]:
    """Return every notice: mentor, threshold (None: a pause), address (None: the fallback), status."""
    return database.all(
        "SELECT m.external_ref, n.threshold_day, c.address, n.status FROM notifications n"
        " JOIN peer_mentors m ON m.id = n.mentor_id LEFT JOIN coordinators c ON c.id = n.coordinator_id"
        " ORDER BY 1, 2 DESC, n.pause_ordinal, 3"
    )


def dispatched(database: TestDatabase) -> list[tuple[str, int | None, str | None, str]]:
    """Return the dispatch log: mentor, threshold, address, outcome."""
    return database.all(
        "SELECT m.external_ref, d.threshold_day, c.address, d.outcome FROM reminder_dispatch_log d"
        " JOIN peer_mentors m ON m.id = d.mentor_id LEFT JOIN coordinators c ON c.id = d.coordinator_id"
        " ORDER BY 1, 2 DESC, 3, d.attempt"
    )


def contents(database: TestDatabase) -> dict[str, list[str]]:
    """Return every row of every table but the run log."""
    return {name: rows for name, rows in dump(database).items() if name not in ("scheduler_run_log", "forecasts")}


def again_is_nothing(
    certjobs: Certjobs, database: TestDatabase, *, day: date = TODAY, env: Mapping[str, str] = CONSOLE
) -> None:
    """Run the same again: exit 0, no row changed, nobody told."""
    unchanged = contents(database)
    assert told(remind(certjobs, database, day=day, env=env)) == []
    assert contents(database) == unchanged


class Troubled(Channel):
    """A channel that answers as the test says: for an address or a mentor the next error, until there is none left."""

    def __init__(self, errors: Mapping[str, Iterator[Exception]] | None = None, *, gathers: bool = False) -> None:
        super().__init__()
        self.errors = dict(errors or {})
        self.gathers = gathers
        self.tried: list[Message] = []
        self.sent: list[Message] = []

    def send(self, message: Message) -> str:
        self.tried.append(message)
        for name in (message.recipient_address, *(each.mentor_ref for each in message.notices)):
            if error := next(self.errors.get(name, iter(())), None):
                raise error
        self.sent.append(message)
        return super().send(message)

    def arrived(self) -> list[tuple[str, str]]:
        """Return what was sent: address and mentor."""
        return [(message.recipient_address, each.mentor_ref) for message in self.sent for each in message.notices]


def failing(*names: str) -> Troubled:
    """Return a channel that fails once for these addresses or mentors."""
    return Troubled({name: iter([DeliveryFailed("The service threw.")]) for name in names})


# The cases of the specification.


def test_30_days_before_one_reminder_and_a_log_entry(certjobs: Certjobs, database: TestDatabase) -> None:
    """30 days before the last valid day the coordinator gets one reminder, and the dispatch log has one entry."""
    load(certjobs, Mentor("A", 30))
    result = remind(certjobs, database)
    assert told(result) == [(KARIS, "A")]
    assert "in 30 days" in result.stderr
    assert ledger(database) == {"A": {30: "due"}}
    assert owed(database) == [("A", 30, KARIS, "sent")]
    ((run, kind, threshold, attempt, channel, outcome, message_id, error),) = database.all(
        "SELECT run_id::text, kind, threshold_day, attempt, channel, outcome, message_id, error"
        " FROM reminder_dispatch_log"
    )
    assert (run, kind, threshold, attempt, channel, outcome, error) == (
        result.json()["run_id"], "reminder", 30, 1, "console", "sent", None,
    )  # fmt: skip
    assert message_id == database.one("SELECT message_id FROM notifications")


def test_the_same_certification_the_next_night_is_skipped(certjobs: Certjobs, database: TestDatabase) -> None:
    """The night after a reminder, 29 days before, nobody is told and no row changes."""
    load(certjobs, Mentor("A", 29))
    assert told(remind(certjobs, database, day=before(1))) == [(KARIS, "A")]
    again_is_nothing(certjobs, database)


@pytest.mark.parametrize("threshold", [14, 7])
def test_14_and_7_days_before_only_that_one(certjobs: Certjobs, database: TestDatabase, threshold: int) -> None:
    """With 14 or 7 days left one reminder goes out, of that threshold, whatever became of larger ones."""
    load(certjobs, Mentor("A", threshold), Mentor("B", threshold))
    database.execute(
        "INSERT INTO cert_expiry_reminders (mentor_id, threshold_day, certification_expiry, status, decided_on)"
        " SELECT id, threshold_day, certification_expiry, 'due', '2026-11-01' FROM peer_mentors,"
        " unnest(ARRAY[30, 14]) AS threshold_day WHERE external_ref = 'A' AND threshold_day > %s",
        threshold,
    )
    assert sorted(told(remind(certjobs, database))) == [(KARIS, "A"), (KARIS, "B")]
    larger = [each for each in (30, 14) if each > threshold]
    assert ledger(database) == {
        "A": {**dict.fromkeys(larger, "due"), threshold: "due"},
        "B": {**dict.fromkeys(larger, "superseded"), threshold: "due"},
    }
    assert dispatched(database) == [("A", threshold, KARIS, "sent"), ("B", threshold, KARIS, "sent")]


def test_the_service_throws(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice that the service throws on is logged as failed and stays owed; the others go out all the same."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 30))
    channel = failing("B")
    channel.install(monkeypatch)
    counts = remind(certjobs, database, exit_code=3).json()["counts"]
    assert (counts["notices_sent"], counts["notices_failed"], counts["owed_open"]) == (2, 1, 1)
    assert dispatched(database) == [("A", 30, KARIS, "sent"), ("B", 30, KARIS, "failed"), ("C", 30, KARIS, "sent")]
    assert database.one("SELECT error FROM reminder_dispatch_log WHERE outcome = 'failed'") == "The service threw."
    assert last_run(database).status == "partial"


def test_the_30_day_group_fails_in_part(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where part of the 30-day group cannot be sent, the rest of it and the 14- and 7-day groups still are."""
    groups = {"A": 30, "B": 30, "C": 30, "D": 14, "E": 14, "F": 7, "G": 7}
    load(certjobs, *(Mentor(ref, days) for ref, days in groups.items()))
    failing("A", "B").install(monkeypatch)
    result = remind(certjobs, database, exit_code=3)
    assert result.json()["reminded"][0]["by_threshold"] == {"30": 3, "14": 2, "7": 2}
    assert dispatched(database) == [
        (ref, days, KARIS, "failed" if ref in "AB" else "sent") for ref, days in groups.items()
    ]


def test_a_mentor_that_cannot_be_decided(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor whom the database lets nobody owe a reminder of is as before; every other one is reminded, exit 3."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 14), Mentor("D", 7), Mentor("E", 7))
    database.execute("CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'Mentor B'; END $$")
    database.execute(
        "CREATE TRIGGER bad BEFORE INSERT ON cert_expiry_reminders FOR EACH ROW WHEN (NEW.mentor_id = (2))"
        " EXECUTE FUNCTION bad()"
    )
    assert database.one("SELECT external_ref FROM peer_mentors WHERE id = 2") == "B"
    result = remind(certjobs, database, exit_code=3)
    assert "Mentor B" not in result.stdout + result.stderr
    assert sorted(told(result)) == [(KARIS, ref) for ref in "ACDE"]
    assert sorted(ledger(database)) == list("ACDE")
    database.execute("DROP FUNCTION bad CASCADE")
    assert told(remind(certjobs, database)) == [(KARIS, "B")]


def test_an_organisation_that_cannot_be_decided(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where one organisation's reminders fail altogether, another organisation's are decided and sent, exit 3."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, organisation="NHF"))
    do(certjobs, "orgs", "set", "NHF", "--remind")
    database.execute("CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    database.execute(
        "CREATE TRIGGER bad BEFORE INSERT ON cert_expiry_reminders FOR EACH ROW WHEN (NEW.mentor_id = 1)"
        " EXECUTE FUNCTION bad()"
    )
    assert told(remind(certjobs, database, exit_code=3)) == [(KARIS, "B")]


def test_end_to_end(certjobs: Certjobs, database: TestDatabase) -> None:
    """Three certifications on the boundaries are three entries in the dispatch log; the same again adds none."""
    load(
        certjobs, Mentor("A", 30), Mentor("B", 14), Mentor("C", 7), Mentor("D", 31), Mentor("E", 365), Mentor("F", None)
    )
    remind(certjobs, database)
    assert dispatched(database) == [("A", 30, KARIS, "sent"), ("B", 14, KARIS, "sent"), ("C", 7, KARIS, "sent")]
    again_is_nothing(certjobs, database)
    assert database.one("SELECT count(*) FROM reminder_dispatch_log") == 3


def test_end_to_end_with_two_coordinators_of_whom_one_fails(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fails is tried again and no other: three entries sent to one, three failed and then sent to the other."""
    load(certjobs, *(Mentor(ref, days, f"{KARI}|{OLA}") for ref, days in (("A", 30), ("B", 14), ("C", 7))))
    channel = Troubled({OLAS: iter([DeliveryFailed("The service threw.")] * 3)})
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    assert dispatched(database) == [
        (ref, days, address, outcome)
        for ref, days in (("A", 30), ("B", 14), ("C", 7))
        for address, outcome in ((KARIS, "sent"), (OLAS, "failed"))
    ]
    database.execute("UPDATE notifications SET not_before = clock_timestamp() - interval '1 second'")
    channel.sent.clear()
    remind(certjobs, database)
    assert sorted(channel.arrived()) == [(OLAS, "A"), (OLAS, "B"), (OLAS, "C")]
    assert [outcome for *_, outcome in dispatched(database)] == ["sent", "failed", "sent"] * 3
    again_is_nothing(certjobs, database)


# Rule 3, as an oracle.


@dataclass
class Case:
    """A mentor of a random roster as the test knows them, and what rule 3 says of them."""

    expiry: date
    coordinators: frozenset[str]
    withdrawn: date | None = None
    active: bool = True
    paused_for: set[date] = field(default_factory=set)  # the expiry dates for which the job paused them
    ledger: dict[date, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    open: set[tuple[date, int]] = field(default_factory=set)

    def end(self) -> date:
        """Return the certification expiry (DESIGN section 2)."""
        return self.expiry if self.withdrawn is None else min(self.expiry, self.withdrawn - timedelta(days=1))

    def decide(self, today: date, thresholds: Sequence[int]) -> None:
        """Record what is due on a night (rule 3)."""
        end = self.end()
        left, known = (end - today).days, self.ledger[end]
        covering = [each for each in thresholds if left <= each]
        if not self.active or not covering:
            return
        if left < 0:
            known |= {each: "superseded" for each in thresholds if each not in known}
            self.open -= {(end, each) for each in known}
            return
        smallest = min(covering)
        if any(each <= smallest for each in known):
            return
        known[smallest] = "due"
        known |= {each: "superseded" for each in thresholds if each > smallest and each not in known}
        self.open -= {(end, each) for each in known if each > smallest}
        self.open.add((end, smallest))

    def check(self, today: date) -> None:
        """Pause the mentor if the certification has expired (rule 1)."""
        if self.active and self.end() < today:
            self.active = False
            self.paused_for.add(self.end())

    def of_record(self, end: date, rows: dict[int, str]) -> dict[int, str]:
        """Return the rows the rule fixes: what a pause overtook may be on record, and is never due."""
        return {each: status for each, status in rows.items() if status == "due" or end not in self.paused_for}

    def send(self) -> set[tuple[date, int, str]]:
        """Return what goes out on a night with a channel: what is open and still holds, to whom it concerns now."""
        held = {(end, threshold) for end, threshold in self.open if self.active and end == self.end()}
        self.open.clear()
        return {(*each, to) for each in held for to in self.coordinators or {OFFICE}}


@dataclass(frozen=True)
class Night:
    """What happens from one night to the next: changes to the roster by mentor, then perhaps a run."""

    days: int
    changes: tuple[tuple[int, str], ...]
    thresholds: str
    channel: str
    check: bool


changes = st.tuples(
    st.integers(0, 2),
    st.sampled_from(
        ["renew", "extend", "shorten", "withdraw", "restore", "pause", "reinstate", "Kari", "Ola", "both", "nobody"]
    ),
)
nights = st.builds(
    Night,
    st.sampled_from([1, 1, 1, 2, 3, 7, 9, 16]),
    st.just(()) | st.lists(changes, max_size=3).map(tuple),
    st.sampled_from(["30,14,7", "30,14,7", "30,14,7", "45,14,7", "30,14,7,0", "14"]),
    st.sampled_from(["console", "console", "none", "missed"]),
    st.booleans(),
)


def change(database: TestDatabase, number: int, case: Case, what: str, today: date) -> None:
    """Change a mentor in the test's knowledge, and in the tables as the application would."""
    match what:
        case "renew":
            case.expiry, case.withdrawn = today + timedelta(days=40), None
        case "extend" | "shorten":
            case.expiry += timedelta(days=3 if what == "extend" else -3)
        case "withdraw":
            case.withdrawn = today + timedelta(days=8)
        case "restore":
            case.withdrawn = None
        case "pause" | "reinstate":
            case.active = what == "reinstate"
        case _:
            case.coordinators = frozenset({"Kari": [KARIS], "Ola": [OLAS], "both": [KARIS, OLAS], "nobody": []}[what])
    with database.connect() as connection, connection.transaction():
        ref = f"M{number}"
        connection.execute(
            "UPDATE certifications SET issued_on = '2020-01-01', expires_on = %s, withdrawn_on = %s"
            " WHERE external_ref = %s",
            [case.expiry, case.withdrawn, f"C-{ref}"],
        )
        connection.execute(
            "UPDATE peer_mentors SET status = %s, pause_reason = %s WHERE external_ref = %s AND status <> %s",
            [
                *(("active", None) if case.active else ("paused", "on leave")),
                ref,
                "active" if case.active else "paused",
            ],
        )
        connection.execute(
            "DELETE FROM coordinator_assignments a USING peer_mentors m"
            " WHERE a.mentor_id = m.id AND m.external_ref = %s",
            [ref],
        )
        connection.execute(
            "INSERT INTO coordinator_assignments (mentor_id, coordinator_id) SELECT m.id, c.id FROM peer_mentors m,"
            " coordinators c WHERE m.external_ref = %s AND c.address = ANY (%s)",
            [ref, sorted(case.coordinators)],
        )


def clear(database: TestDatabase) -> None:
    """Leave no mentor, no notice and no reminder."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in CLEARED.split():
            connection.execute(f"DELETE FROM {table}".encode())


def every_reminder(database: TestDatabase) -> dict[tuple[str, date], dict[int, str]]:
    """Return the whole ledger."""
    found: dict[tuple[str, date], dict[int, str]] = defaultdict(dict)
    for ref, end, threshold, status in database.all(
        "SELECT m.external_ref, r.certification_expiry, r.threshold_day, r.status"
        " FROM cert_expiry_reminders r JOIN peer_mentors m ON m.id = r.mentor_id"
    ):
        found[ref, end][threshold] = status
    return dict(found)


def everything_sent(database: TestDatabase) -> list[tuple[str, date, int, str]]:
    """Return every reminder sent: of whom, of which date and threshold, to whom."""
    return database.all(
        "SELECT m.external_ref, d.certification_expiry, d.threshold_day, coalesce(c.address, %s)"
        " FROM reminder_dispatch_log d JOIN peer_mentors m ON m.id = d.mentor_id"
        " LEFT JOIN coordinators c ON c.id = d.coordinator_id WHERE d.outcome = 'sent' AND d.kind = 'reminder'"
        " ORDER BY 1, 2, 3, 4",
        OFFICE,
    )


@settings(max_examples=EXAMPLES)
@given(ends=st.lists(st.integers(-2, 50), min_size=3, max_size=3), course=st.lists(nights, min_size=3, max_size=9))
def test_rule_3_over_any_course_of_nights(
    certjobs: Certjobs, database: TestDatabase, ends: list[int], course: list[Night]
) -> None:
    """Whatever happens between nights, the ledger holds what rule 3 says, and exactly what is due goes out, once."""
    clear(database)
    today = TODAY - timedelta(days=sum(night.days for night in course))
    database.execute("UPDATE organisations SET fallback_address = %s WHERE code = 'HLF'", OFFICE)
    load(certjobs, *(Mentor(f"M{n}", (today - TODAY).days + end, f"{KARI}|{OLA}") for n, end in enumerate(ends)))
    cases = [Case(today + timedelta(days=end), frozenset({KARIS, OLAS})) for end in ends]
    sent: list[tuple[str, date, int, str]] = []
    for night in course:
        today += timedelta(days=night.days)
        for number, what in night.changes:
            change(database, number, cases[number], what, today)
        if night.channel == "missed":
            continue
        env = {"CERTJOBS_NOTIFY_CHANNEL": night.channel, "CERTJOBS_THRESHOLDS": night.thresholds}
        if night.check:
            check(certjobs, database, day=today)
        remind(certjobs, database, day=today, env=env)
        for number, case in enumerate(cases):
            if night.check:
                case.check(today)
            case.decide(today, [int(each) for each in night.thresholds.split(",")])
            if night.channel == "console":
                sent += [(f"M{number}", *each) for each in case.send()]
        recorded = every_reminder(database)
        for number, case in enumerate(cases):
            for end in case.ledger.keys() | {end for ref, end in recorded if ref == f"M{number}"}:
                found = case.of_record(end, recorded.get((f"M{number}", end), {}))
                assert found == case.of_record(end, case.ledger.get(end, {}))
        assert everything_sent(database) == sorted(sent)
        again_is_nothing(certjobs, database, day=today, env=env)


@settings(max_examples=EXAMPLES)
@given(
    ends=st.lists(st.integers(-3, 35), min_size=1, max_size=8),
    missed=st.sets(st.integers(1, 5), min_size=1),
    thresholds=st.sampled_from(["30,14,7", "5,4,3,2,1,0", "20,2"]),
)
def test_missed_nights_cost_nothing(
    certjobs: Certjobs, database: TestDatabase, ends: list[int], missed: set[int], thresholds: str
) -> None:
    """With nights missed the same thresholds are on record as with none; what was overtaken is not sent."""
    found = []
    for chosen in (range(5, -1, -1), [each for each in range(5, -1, -1) if each not in missed]):
        clear(database)
        load(certjobs, *(Mentor(f"M{n:02}", end) for n, end in enumerate(ends)))
        for back in chosen:
            remind(certjobs, database, day=before(back), env=CONSOLE | {"CERTJOBS_THRESHOLDS": thresholds})
        rows = every_reminder(database)
        sent = everything_sent(database)
        assert [row[:3] for row in sent] == sorted(
            (*key, threshold) for key, known in rows.items() for threshold, status in known.items() if status == "due"
        )
        found.append((rows, sent))
    (every, sent_every), (some, sent_some) = found
    assert {key: set(known) for key, known in every.items()} == {key: set(known) for key, known in some.items()}
    assert set(sent_some) <= set(sent_every)
    for key, known in every.items():
        left = (key[1] - TODAY).days
        if left >= 0:  # the latest threshold is told either way
            assert known[min(known)] == some[key][min(known)]


@pytest.mark.parametrize(
    ("earlier", "later", "left", "expected"),
    [
        ("30,14,7", "45,14,7", 28, {30: "due"}),
        ("30,14,7", "30,14,7,0", 0, {30: "superseded", 14: "superseded", 7: "due", 0: "due"}),
        ("45,14,7", "30,14,7", 29, {45: "due", 30: "due"}),
        ("7", "30,14,7", 6, {7: "due"}),
    ],
)
def test_a_changed_list_repeats_nothing(
    certjobs: Certjobs, database: TestDatabase, earlier: str, later: str, left: int, expected: dict[int, str]
) -> None:
    """With another list of thresholds only what is newly due is told: nothing smaller was told for this date before."""
    load(certjobs, Mentor("A", left))
    first = remind(certjobs, database, day=before(1), env=CONSOLE | {"CERTJOBS_THRESHOLDS": earlier})
    assert told(first) == [(KARIS, "A")]
    second = remind(certjobs, database, env=CONSOLE | {"CERTJOBS_THRESHOLDS": later})
    assert len(told(second)) == list(expected.values()).count("due") - 1
    assert ledger(database) == {"A": expected}


def test_three_missed_thresholds_are_one_reminder(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor first seen with 3 days left is told of once, as the 7-day reminder; 30 and 14 are superseded."""
    load(certjobs, Mentor("A", 3))
    result = remind(certjobs, database)
    assert told(result) == [(KARIS, "A")]
    assert "in 3 days" in result.stderr
    assert ledger(database) == {"A": {30: "superseded", 14: "superseded", 7: "due"}}
    assert owed(database) == [("A", 7, KARIS, "sent")]


def test_a_smaller_threshold_supersedes_what_is_still_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """A 30-day notice that nobody sent in time is superseded by the 14-day one, and never goes out."""
    load(certjobs, Mentor("A", 14))
    remind(certjobs, database, day=before(16), env=NONE)
    result = remind(certjobs, database)
    assert told(result) == [(KARIS, "A")]
    assert owed(database) == [("A", 30, KARIS, "superseded"), ("A", 14, KARIS, "sent")]
    again_is_nothing(certjobs, database)


def test_expired_meanwhile(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder still owed when the certification has ended is not sent, whether the mentor was paused or not."""
    load(certjobs, Mentor("A", -1), Mentor("B", -1, organisation="NHF"))
    do(certjobs, "orgs", "set", "NHF", "--remind")
    remind(certjobs, database, day=before(3), env=NONE)
    assert owed(database) == [("A", 7, KARIS, "pending"), ("B", 7, KARIS, "pending")]
    check(certjobs, database)
    result = remind(certjobs, database)
    assert told(result) == [(KARIS, "A")]
    assert "was paused" in result.stderr
    assert [(ref, threshold) for ref, threshold, _, status in owed(database) if status == "sent"] == [("A", None)]
    assert {status for *_, status in owed(database)} <= {"sent", "superseded", "suppressed"}
    again_is_nothing(certjobs, database)


def test_a_renewal_starts_afresh(certjobs: Certjobs, database: TestDatabase) -> None:
    """After a renewal the thresholds of the new date are told, each once, whatever was told of the old date."""
    load(certjobs, Mentor("A", -30))
    remind(certjobs, database, day=before(37))
    do(certjobs, "certs", "renew", "C-A", "--expires", before(-7).isoformat())
    for back in (36, 24, 23, 22, 8, 7, 6, 1, 0):
        remind(certjobs, database, day=before(back))
    assert database.all(
        "SELECT certification_expiry - %s, threshold_day FROM reminder_dispatch_log ORDER BY id", TODAY
    ) == [(-30, 7), (7, 30), (7, 14), (7, 7)]


def test_only_active_mentors(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of a paused mentor nobody is reminded; reinstated, the mentor is due for what covers the days left then."""
    load(certjobs, Mentor("A", 14))
    do(certjobs, "mentors", "pause", "A")
    assert told(remind(certjobs, database, day=before(10))) == []
    assert ledger(database) == {}
    do(certjobs, "mentors", "reinstate", "A", "--as-of", TODAY.isoformat())
    assert told(remind(certjobs, database)) == [(KARIS, "A")]
    assert ledger(database) == {"A": {30: "superseded", 14: "due"}}


# Rule 4: looked at again just before sending.


def test_renewed_between_decision_and_sending(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder of a mentor who was renewed before it left is suppressed, and nobody is told."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))
    remind(certjobs, database, env=NONE)
    do(certjobs, "certs", "renew", "C-A", "--expires", before(-400).isoformat())
    result = remind(certjobs, database)
    assert told(result) == [(KARIS, "B")]
    assert result.json()["counts"]["notices_suppressed"] == 1
    assert owed(database) == [("A", 30, KARIS, "suppressed"), ("B", 30, KARIS, "sent")]
    assert dispatched(database) == [("B", 30, KARIS, "sent")]
    again_is_nothing(certjobs, database)


def test_renewed_within_the_run_that_sends(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mentor renewed while the run sends to others is not told of: each notice is looked at just before its send."""
    load(certjobs, Mentor("A", 7), Mentor("B", 14), Mentor("C", 30))
    channel = Channel(
        lambda: database.execute(
            "UPDATE certifications SET expires_on = %s WHERE external_ref <> 'C-' || %s", before(-400), channel.taken[0]
        )
    ).install(monkeypatch)
    remind(certjobs, database)
    assert len(channel.taken) == 1
    assert sorted(status for *_, status in owed(database)) == ["sent", "suppressed", "suppressed"]


def test_reinstated_before_the_pause_notice_leaves(certjobs: Certjobs, database: TestDatabase) -> None:
    """The notice of a pause that was undone is suppressed; the next night's pause is told, as a notice of its own."""
    load(certjobs, Mentor("A", -2), Mentor("B", -2))
    check(certjobs, database, day=before(1))
    do(certjobs, "mentors", "reinstate", "A", "--force", "--as-of", TODAY.isoformat())
    assert told(remind(certjobs, database, day=before(1))) == [(KARIS, "B")]
    assert owed(database) == [("A", None, KARIS, "suppressed"), ("B", None, KARIS, "sent")]
    check(certjobs, database)
    assert told(remind(certjobs, database)) == [(KARIS, "A")]
    assert database.all(
        "SELECT pause_ordinal, status, idempotency_key <> lag(idempotency_key) OVER (ORDER BY id) FROM notifications"
        " WHERE mentor_id = (SELECT id FROM peer_mentors WHERE external_ref = 'A') ORDER BY id"
    ) == [(1, "suppressed", None), (2, "sent", True)]


def test_paused_by_hand_before_the_reminder_leaves(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder of a mentor whom a person paused meanwhile is suppressed."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))
    remind(certjobs, database, env=NONE)
    do(certjobs, "mentors", "pause", "A")
    assert told(remind(certjobs, database)) == [(KARIS, "B")]
    assert owed(database) == [("A", 30, KARIS, "suppressed"), ("B", 30, KARIS, "sent")]


@pytest.mark.parametrize("way", ["command", "application"])
def test_the_coordinator_is_replaced_in_between(certjobs: Certjobs, database: TestDatabase, way: str) -> None:
    """A former coordinator is not told, the new one is, of reminders and pauses; whoever changed the roster."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1), Mentor("C", 100, OLA))
    check(certjobs, database)
    remind(certjobs, database, env=NONE)
    if way == "command":
        for ref in "AB":
            do(certjobs, "mentors", "assign", ref, OLAS, "--only")
    else:
        database.execute("UPDATE coordinator_assignments SET coordinator_id = (SELECT max(id) FROM coordinators)")
    result = remind(certjobs, database)
    assert sorted(told(result)) == [(OLAS, "A"), (OLAS, "B")]
    assert owed(database) == [
        ("A", 30, KARIS, "suppressed"),
        ("A", 30, OLAS, "sent"),
        ("B", None, KARIS, "suppressed"),
        ("B", None, OLAS, "sent"),
    ]
    again_is_nothing(certjobs, database)


def test_a_coordinator_who_comes_later_is_not_told_of_what_was_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """Once a reminder has gone out to all, a further coordinator is told of the next threshold only."""
    load(certjobs, Mentor("A", 14), Mentor("C", 100, OLA))
    remind(certjobs, database, day=before(5))
    do(certjobs, "mentors", "assign", "A", OLAS)
    again_is_nothing(certjobs, database, day=before(4))
    assert sorted(told(remind(certjobs, database))) == [(KARIS, "A"), (OLAS, "A")]


def test_without_a_coordinator_the_fallback_is_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor without coordinators is counted, and the reminder goes to the organisation's fallback address, once."""
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    load(certjobs, Mentor("A", 30, ""), Mentor("B", 30))
    result = remind(certjobs, database)
    assert sorted(told(result)) == [(KARIS, "B"), (OFFICE, "A")]
    assert result.json()["counts"]["without_coordinator"] == 1
    assert owed(database) == [("A", 30, None, "sent"), ("B", 30, KARIS, "sent")]
    again_is_nothing(certjobs, database)


def test_with_nobody_to_go_to_it_stays_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without coordinator and fallback address a reminder stays owed, exit 3 each night, until there is an address."""
    load(certjobs, Mentor("A", 28, ""))
    for back in (2, 1):
        result = remind(certjobs, database, day=before(back), exit_code=3)
        assert told(result) == []
        assert "--fallback-address" in result.json()["message"]
        assert owed(database) == [("A", 30, None, "pending")]
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    assert told(remind(certjobs, database)) == [(OFFICE, "A")]
    again_is_nothing(certjobs, database)


def test_the_last_coordinator_leaves_or_the_first_comes(certjobs: Certjobs, database: TestDatabase) -> None:
    """Between decision and sending: who lost their only one goes to the fallback, who got one no longer does."""
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    load(certjobs, Mentor("A", 30, KARI), Mentor("B", 30, ""))
    remind(certjobs, database, env=NONE)
    do(certjobs, "mentors", "assign", "A", KARIS, "--remove")
    do(certjobs, "mentors", "assign", "B", KARIS)
    assert sorted(told(remind(certjobs, database))) == [(KARIS, "B"), (OFFICE, "A")]
    again_is_nothing(certjobs, database)


def test_no_channel_leaves_everything_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """With no channel a run decides and exits 0, everything stays owed, and again is nothing."""
    load(certjobs, Mentor("A", 30), Mentor("B", 7, f"{KARI}|{OLA}"))
    remind(certjobs, database, env=NONE)
    assert [status for *_, status in owed(database)] == ["pending"] * 3
    again_is_nothing(certjobs, database, env=NONE)
    assert len(told(remind(certjobs, database))) == 3


# Snoozes.


def snooze(certjobs: Certjobs, mentor: str, address: str, threshold: int, until: date, *, day: date) -> None:
    """Snooze one threshold of one mentor for one coordinator."""
    do(
        certjobs, "notifications", "snooze", mentor, address, "--threshold", str(threshold),
        "--until", until.isoformat(), "--as-of", day.isoformat(),
    )  # fmt: skip


def test_a_snooze_waits_until_its_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """A snoozed reminder is not sent to that coordinator before the day and is on it, exit 0; others hear at once."""
    load(certjobs, Mentor("A", 20, f"{KARI}|{OLA}"), Mentor("B", 20))
    snooze(certjobs, "A", KARIS, 30, before(5), day=before(11))
    result = remind(certjobs, database, day=before(10))
    assert sorted(told(result)) == [(KARIS, "B"), (OLAS, "A")]
    assert told(remind(certjobs, database, day=before(6))) == []
    assert told(remind(certjobs, database, day=before(5))) == [(KARIS, "A")]
    again_is_nothing(certjobs, database, day=before(5))


@pytest.mark.parametrize(("snoozed", "expected"), [(30, [14, 7]), (14, [30, 7]), (7, [30, 14])])
def test_a_snooze_covers_one_threshold(
    certjobs: Certjobs, database: TestDatabase, snoozed: int, expected: list[int]
) -> None:
    """A snooze of one threshold keeps neither a larger nor a smaller one back; overtaken, it is never sent."""
    load(certjobs, Mentor("A", 7))
    snooze(certjobs, "A", KARIS, snoozed, before(-60), day=before(30))
    for back in range(24, -8, -7):
        if back >= 0:
            remind(certjobs, database, day=before(back))
    remind(certjobs, database)
    assert [threshold for _, threshold, _, _ in dispatched(database)] == expected


def test_a_snooze_can_be_ended(certjobs: Certjobs, database: TestDatabase) -> None:
    """A snooze given anew counts with its new day, and one until a day that has come already ends it."""
    load(certjobs, Mentor("A", 25))
    snooze(certjobs, "A", KARIS, 30, before(-10), day=before(5))
    assert told(remind(certjobs, database, day=before(5))) == []
    snooze(certjobs, "A", KARIS, 30, before(4), day=before(4))
    assert told(remind(certjobs, database, day=before(4))) == [(KARIS, "A")]


def test_a_snooze_may_come_after_the_decision(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder already owed waits for a snooze that was given later, unless the mentor is renewed by then."""
    load(certjobs, Mentor("A", 25), Mentor("B", 25))
    remind(certjobs, database, day=before(5), env=NONE)
    for ref in "AB":
        snooze(certjobs, ref, KARIS, 30, before(1), day=before(5))
    assert told(remind(certjobs, database, day=before(4))) == []
    do(certjobs, "certs", "renew", "C-A", "--expires", before(-400).isoformat())
    assert told(remind(certjobs, database, day=before(1))) == [(KARIS, "B")]


# Thresholds as settings.


@pytest.mark.parametrize(
    "wrong", [" ", ",", "30,,7", "-1", "30,14,-7", "30,14,30", "thirty", "7.5", "30;14", "99999999999"]
)
def test_a_bad_list_of_thresholds_is_refused(certjobs: Certjobs, database: TestDatabase, wrong: str) -> None:
    """A list that is empty, negative, repeated or no numbers ends the run with 78 before it decides anything."""
    load(certjobs, Mentor("A", 30))
    unchanged = contents(database)
    result = remind(certjobs, database, env=CONSOLE | {"CERTJOBS_THRESHOLDS": wrong}, exit_code=78)
    assert "CERTJOBS_THRESHOLDS" in result.stdout
    assert told(result) == []
    assert contents(database) == unchanged


def test_an_organisations_own_thresholds(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation's own list counts with the setting for that alone; who has none has the settings'."""
    load(certjobs, Mentor("A", 44), Mentor("B", 44, organisation="NHF"), Mentor("C", 12, organisation="NHF"))
    do(certjobs, "orgs", "set", "NHF", "--remind", "--thresholds", "45,10")
    own = CONSOLE | {"CERTJOBS_PER_ORGANISATION_THRESHOLDS": "true"}
    assert [
        (each["organisation"], each["thresholds"])
        for each in remind(certjobs, database, "--dry-run", env=own).json()["reminded"]
    ] == [("HLF", [30, 14, 7]), ("NHF", [45, 10])]
    assert told(remind(certjobs, database, "--dry-run")) == []
    assert sorted(told(remind(certjobs, database, env=own))) == [(KARIS, "B"), (KARIS, "C")]
    assert ledger(database) == {"B": {45: "due"}, "C": {45: "due"}}
    clear(database)
    load(certjobs, Mentor("B", 44, organisation="NHF"), Mentor("C", 12, organisation="NHF"))
    assert told(remind(certjobs, database)) == [(KARIS, "C")]
    assert ledger(database) == {"C": {30: "superseded", 14: "due"}}


@pytest.mark.parametrize("wrong", ["", "-1", "30,30", "many"])
def test_a_bad_list_for_an_organisation_is_refused(certjobs: Certjobs, database: TestDatabase, wrong: str) -> None:
    """A bad list for an organisation is refused when it is set, and nothing is written."""
    unchanged = contents(database)
    assert certjobs("orgs", "set", "HLF", "--thresholds", wrong, "--reason", "a test").exit_code == 2
    assert contents(database) == unchanged


def test_a_bad_list_in_the_table_is_refused(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation's list that the application spoiled fails the run loudly and reminds nobody there."""
    load(certjobs, Mentor("A", 30))
    database.execute("UPDATE organisations SET thresholds = '{30,30,-7}' WHERE code = 'HLF'")
    own = CONSOLE | {"CERTJOBS_PER_ORGANISATION_THRESHOLDS": "true"}
    assert told(remind(certjobs, database, env=own, exit_code=78)) == []
    assert owed(database) == []


def test_threshold_0_is_the_last_valid_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """Threshold 0 is told on the last valid day: neither the day before nor the day after."""
    load(certjobs, Mentor("A", -2), Mentor("B", -1), Mentor("C", 0))
    zero = CONSOLE | {"CERTJOBS_THRESHOLDS": "0"}
    result = remind(certjobs, database, day=before(1), env=zero)
    assert told(result) == [(KARIS, "B")]
    assert "ends today" in result.stderr
    assert ledger(database) == {"A": {0: "superseded"}, "B": {0: "due"}}
    assert told(remind(certjobs, database, env=zero)) == [(KARIS, "C")]


# Options and organisations.


def test_baseline_tells_nobody(certjobs: Certjobs, database: TestDatabase) -> None:
    """What is due on the first night is recorded as superseded and never sent; later thresholds are sent as ever."""
    load(certjobs, Mentor("A", 20), Mentor("B", 7), Mentor("C", -40), Mentor("D", 31))
    result = remind(certjobs, database, "--baseline", day=before(1))
    assert told(result) == []
    assert ledger(database) == {
        "A": {30: "superseded"},
        "B": {30: "superseded", 14: "superseded"},
        "C": {30: "superseded", 14: "superseded", 7: "superseded"},
    }
    assert "sent" not in {status for *_, status in owed(database)}
    again_is_nothing(certjobs, database, day=before(1))
    assert told(remind(certjobs, database)) == [(KARIS, "B")]
    assert ledger(database)["B"] == {30: "superseded", 14: "superseded", 7: "due"}


def test_a_baseline_leaves_alone_what_was_owed_before(certjobs: Certjobs, database: TestDatabase) -> None:
    """A baseline sends nothing at all, not what was owed before either; the next run does."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1), Mentor("C", 31))
    check(certjobs, database)
    assert told(remind(certjobs, database, "--baseline", "--dry-run")) == []
    assert told(remind(certjobs, database, "--baseline")) == []
    assert told(remind(certjobs, database)) == [(KARIS, "B")]


def test_a_dry_run_is_the_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run leaves every table as it was, the run log too, and says what the run then does and who hears what."""
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    load(
        certjobs,
        Mentor("A", 30),
        Mentor("B", 7, f"{KARI}|{OLA}"),
        Mentor("D", 14, ""),
        Mentor("E", 31),
    )
    unchanged = dump(database)
    dry = remind(certjobs, database, "--dry-run")
    assert told(dry) == []
    assert dump(database) == unchanged
    by_recipient = {
        each["recipient"]: {
            (notice["kind"], notice["mentor_ref"], notice["threshold_day"]) for notice in each["notices"]
        }
        for each in dry.json()["recipients"]
    }
    office = next(name for name in by_recipient if OFFICE in name)
    assert by_recipient == {
        KARI: {("reminder", "A", 30), ("reminder", "B", 7)},
        OLA: {("reminder", "B", 7)},
        office: {("reminder", "D", 14)},
    }
    table = certjobs("remind", "--dry-run", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE)
    assert all(address in table.stdout for address in (KARIS, OLAS, OFFICE))
    assert OLAS not in table.stderr
    assert dump(database) == unchanged
    live = remind(certjobs, database)
    for name in ("counts", "reminded", "reminders", "message"):
        assert dry.json()[name] == live.json()[name], name
    assert len(told(live)) == 4


def test_a_dry_run_names_who_hears_of_what_was_owed_before(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run says who would hear of a pause and a reminder that are owed since an earlier night, too."""
    load(certjobs, Mentor("A", 29), Mentor("B", -1))
    remind(certjobs, database, day=before(1), env=NONE)
    check(certjobs, database)
    dry = remind(certjobs, database, "--dry-run").json()
    assert dry["counts"]["notices_sent"] == 2
    named = {
        (each["recipient"], notice["kind"], notice["mentor_ref"])
        for each in dry["recipients"]
        for notice in each["notices"]
    }
    assert named == {(KARI, "reminder", "A"), (KARI, "pause", "B")}


def test_one_organisation_only(certjobs: Certjobs, database: TestDatabase) -> None:
    """--org decides and sends for that organisation and no other, pauses too; an unknown code is wrong usage."""
    load(
        certjobs,
        Mentor("A", 30),
        Mentor("B", -1),
        Mentor("C", 30, organisation="NHF"),
        Mentor("D", -1, organisation="NHF"),
    )
    do(certjobs, "orgs", "set", "NHF", "--remind", "--auto-pause")
    check(certjobs, database)
    assert sorted(told(remind(certjobs, database, "--org", "NHF"))) == [(KARIS, "C"), (KARIS, "D")]
    assert ledger(database).keys() & {"A", "B"} == set()
    remind(certjobs, database, "--org", "nhf", exit_code=2)
    assert sorted(told(remind(certjobs, database, "--org", "HLF"))) == [(KARIS, "A"), (KARIS, "B")]


def test_an_organisation_without_remind(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of an organisation that does not remind nothing is decided; its notices of pauses are sent all the same."""
    load(certjobs, Mentor("A", 30, organisation="NHF"), Mentor("B", -1, organisation="NHF"), Mentor("C", 100))
    unchanged = contents(database)
    again_is_nothing(certjobs, database)
    result = remind(certjobs, database, "--org", "NHF")
    assert told(result) == []
    assert contents(database) == unchanged
    do(certjobs, "orgs", "set", "NHF", "--auto-pause")
    check(certjobs, database)
    assert told(remind(certjobs, database)) == [(KARIS, "B")]
    assert ledger(database) == {}
    do(certjobs, "orgs", "set", "NHF", "--remind")
    assert told(remind(certjobs, database)) == [(KARIS, "A")]


def test_each_organisation_has_its_own_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """At one moment 30 days are left in Oslo and still 31 in New York; after midnight there too, 30."""
    end = (date(2026, 8, 1) - TODAY).days
    load(certjobs, Mentor("A", end), Mentor("B", end, organisation="NHF"))
    do(certjobs, "orgs", "set", "NHF", "--remind", "--time-zone", "America/New_York")
    for moment, expected in (
        (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), []),
        (datetime(2026, 7, 1, 22, 1, tzinfo=UTC), [(KARIS, "A")]),
        (datetime(2026, 7, 2, 3, 59, tzinfo=UTC), []),
        (datetime(2026, 7, 2, 4, 1, tzinfo=UTC), [(KARIS, "B")]),
    ):
        with time_machine.travel(moment, tick=True):
            assert told(remind(certjobs, database, day=None)) == expected


# When nobody is told.


def at(moment: datetime) -> time_machine.travel:
    """Let it be this moment, in UTC."""
    return time_machine.travel(moment.replace(tzinfo=UTC), tick=True)


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        (datetime(2026, 7, 1, 19, 58), False),  # noqa: DTZ001 - see at()
        (datetime(2026, 7, 1, 20, 1), True),  # noqa: DTZ001
        (datetime(2026, 7, 1, 22, 30), True),  # noqa: DTZ001 - half past midnight
        (datetime(2026, 7, 1, 4, 58), True),  # noqa: DTZ001
        (datetime(2026, 7, 1, 5, 1), False),  # noqa: DTZ001
        (datetime(2026, 1, 14, 20, 58), False),  # noqa: DTZ001 - winter
        (datetime(2026, 1, 14, 21, 1), True),  # noqa: DTZ001
    ],
)
def test_quiet_hours_are_those_of_oslo(
    certjobs: Certjobs, database: TestDatabase, moment: datetime, quiet: bool
) -> None:
    """Between 22 and 7 where the organisation is a run decides and tells nobody, exit 0; outside of them it tells."""
    load(certjobs, Mentor("A", (moment.date() - TODAY).days + 25))
    with at(moment):
        result = remind(certjobs, database, day=None, env=CONSOLE | {"CERTJOBS_QUIET_HOURS": "22:00-07:00"})
    assert told(result) == ([] if quiet else [(KARIS, "A")])
    assert owed(database) == [("A", 30, KARIS, "pending" if quiet else "sent")]


def test_quiet_hours_defer_and_skip_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """What quiet hours kept back goes out with the next run outside of them, of reminders and of pauses, once."""
    start = (date(2026, 7, 2) - TODAY).days
    load(certjobs, Mentor("A", start + 30), Mentor("B", start - 1))
    quiet = CONSOLE | {"CERTJOBS_QUIET_HOURS": "22:00-07:00"}
    with at(datetime(2026, 7, 2, 0, 30)):  # noqa: DTZ001
        paused = certjobs("expiry-check", url=database.job_url, env=quiet)
        assert (paused.exit_code, told(paused)) == (0, [])
        assert told(remind(certjobs, database, day=None, env=quiet)) == []
    with at(datetime(2026, 7, 2, 5, 30)):  # noqa: DTZ001
        assert sorted(told(remind(certjobs, database, day=None, env=quiet))) == [(KARIS, "A"), (KARIS, "B")]
        assert told(remind(certjobs, database, day=None, env=quiet)) == []


def test_send_days_defer_to_monday(certjobs: Certjobs, database: TestDatabase) -> None:
    """With mon-fri what is due on a Saturday is decided then, exit 0, and told on Monday, once."""
    saturday = date(2026, 7, 4)
    load(certjobs, Mentor("A", (saturday - TODAY).days + 30), Mentor("B", (saturday - TODAY).days + 15))
    weekdays = CONSOLE | {"CERTJOBS_SEND_DAYS": "mon-fri"}
    found = []
    for number in range(-1, 4):
        with at(datetime(2026, 7, 4, 10) + timedelta(days=number)):  # noqa: DTZ001
            found.append(sorted(told(remind(certjobs, database, day=None, env=weekdays))))
    assert found == [[(KARIS, "B")], [], [], [(KARIS, "A"), (KARIS, "B")], []]
    assert ledger(database)["A"] == {30: "due"}
    assert dispatched(database) == [("A", 30, KARIS, "sent"), ("B", 30, KARIS, "sent"), ("B", 14, KARIS, "sent")]


def test_each_organisation_has_its_own_quiet_hours(certjobs: Certjobs, database: TestDatabase) -> None:
    """At one moment it is quiet in Oslo and afternoon in New York: only there somebody is told."""
    start = (date(2026, 7, 1) - TODAY).days
    load(certjobs, Mentor("A", start + 25), Mentor("B", start + 25, organisation="NHF"))
    do(certjobs, "orgs", "set", "NHF", "--remind", "--time-zone", "America/New_York")
    with at(datetime(2026, 7, 1, 20, 30)):  # noqa: DTZ001
        result = remind(certjobs, database, day=None, env=CONSOLE | {"CERTJOBS_QUIET_HOURS": "22:00-07:00"})
    assert told(result) == [(KARIS, "B")]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("QUIET_HOURS", "22-7-8"),
        ("QUIET_HOURS", "25:00-07:00"),
        ("QUIET_HOURS", "night"),
        ("SEND_DAYS", "monday to friday"),
        ("SEND_DAYS", "xyz"),
    ],
)
def test_bad_times_are_refused(certjobs: Certjobs, database: TestDatabase, name: str, wrong: str) -> None:
    """Quiet hours or send days that nobody can read end the run with 78, and nothing is written."""
    load(certjobs, Mentor("A", 30))
    unchanged = contents(database)
    result = remind(certjobs, database, env=CONSOLE | {f"CERTJOBS_{name}": wrong}, exit_code=78)
    assert f"CERTJOBS_{name}" in result.stdout
    assert contents(database) == unchanged
