"""What changes while notices are on their way: coordinators, snoozes, rests, other sessions, other runs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from certjobs.errors import ChannelDown, DeliveryFailed, RateLimited
from tests.children.helpers import CONSOLE, last_run, load
from tests.roster import KARI, OLA, TODAY, Mentor
from tests.test_notices import hours_pass, statuses
from tests.test_remind import (
    KARIS,
    NONE,
    OFFICE,
    OLAS,
    Troubled,
    again_is_nothing,
    contents,
    do,
    owed,
    remind,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from certjobs.ports import Message
    from tests.conftest import Certjobs, TestDatabase

IMPATIENT = CONSOLE | {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "0.3"}


class Meanwhile(Troubled):
    """A channel in whose middle the test does something, each thing before one more message."""

    def __init__(self, *things: Callable[[], object], gathers: bool = False, honours_keys: bool = False) -> None:
        super().__init__(gathers=gathers)
        self.honours_keys = honours_keys
        self.batch = 1
        self._things = iter(things)

    def send(self, message: Message) -> str:
        next(self._things, lambda: None)()
        return super().send(message)


def cut_short(database: TestDatabase, ref: str, channel: str = "console") -> None:
    """Leave a mentor's notice as a process killed in mid-sending does."""
    database.execute(
        "UPDATE notifications SET status = 'sending', attempt = 1, channel = %s, claimed_by_run = gen_random_uuid()"
        " WHERE mentor_id = (SELECT id FROM peer_mentors WHERE external_ref = %s)",
        channel,
        ref,
    )


# Coordinators who change.


@pytest.mark.parametrize("gathers", [True, False])
@pytest.mark.parametrize("only", [True, False])
def test_a_coordinator_who_comes_during_the_sending_is_told(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, gathers: bool, only: bool
) -> None:
    """Who becomes a coordinator while others are told is told in the same run, whether or not in somebody's place."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, OLA))

    def assign() -> None:
        do(certjobs, "mentors", "assign", "B", KARIS, *(["--only"] if only else []))

    channel = Meanwhile(assign, gathers=gathers)
    channel.install(monkeypatch)
    counts = remind(certjobs, database).json()["counts"]
    assert sorted(channel.arrived()) == [(KARIS, "A"), (KARIS, "B"), *([] if only else [(OLAS, "B")])]
    assert (counts["notices_added"], counts["notices_open"]) == (1, 0)
    again_is_nothing(certjobs, database)


def test_a_coordinator_replaced_between_a_kill_and_the_next_run_is_told(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where keys are honoured, what was cut short goes to who is the coordinator by the next run."""
    load(certjobs, Mentor("A", 30), Mentor("B", 200, OLA))
    remind(certjobs, database, env=NONE)
    cut_short(database, "A", "test")
    do(certjobs, "mentors", "assign", "A", OLAS, "--only")
    channel = Meanwhile(honours_keys=True)
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert channel.arrived() == [(OLAS, "A")]
    assert owed(database) == [("A", 30, KARIS, "suppressed"), ("A", 30, OLAS, "sent")]
    again_is_nothing(certjobs, database)


def test_the_last_coordinator_goes_during_the_sending(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody is left by the time of the claim, the fallback address is told in the same run."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, OLA))
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    channel = Meanwhile(lambda: do(certjobs, "mentors", "assign", "B", OLAS, "--remove"))
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert channel.arrived() == [(KARIS, "A"), (OFFICE, "B")]


def test_a_fallback_group_is_parted_by_address(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mentor who moved to another organisation before the claim is named to that one's office alone."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, ""), Mentor("C", 30, ""), Mentor("N", 300, "", organisation="NHF"))
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    do(certjobs, "orgs", "set", "NHF", "--fallback-address", "nhf@example.org", "--remind")
    channel = Meanwhile(
        lambda: do(certjobs, "mentors", "move", "C", "--org", "NHF", "--chapter", "Prøveby"), gathers=True
    )
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert channel.arrived() == [(KARIS, "A"), (OFFICE, "B"), ("nhf@example.org", "C")]
    assert database.one("SELECT count(DISTINCT message_id) FROM notifications") == 3


def test_an_address_that_changes_hands_has_another_key(certjobs: Certjobs, database: TestDatabase) -> None:
    """Who was given the address of a former coordinator is told under a key of their own."""
    load(certjobs, Mentor("A", 30), Mentor("B", 200, OLA))
    remind(certjobs, database, env=NONE)
    do(certjobs, "coordinators", "set", KARIS, "--address", "kari.ny@example.org")
    do(certjobs, "coordinators", "add", KARIS, "--name", "Karianne Eksempel")
    do(certjobs, "mentors", "assign", "A", KARIS)
    assert sorted(told(remind(certjobs, database))) == [("kari.ny@example.org", "A"), (KARIS, "A")]
    assert database.one("SELECT count(DISTINCT idempotency_key) FROM notifications") == 2


def test_snoozed_during_the_sending(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snooze given while others are told counts: that reminder waits for its day."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))

    def snooze() -> None:
        do(
            certjobs, "notifications", "snooze", "B", KARIS, "--threshold", "30",
            "--until", (TODAY + timedelta(days=3)).isoformat(), "--as-of", TODAY.isoformat(),
        )  # fmt: skip

    channel = Meanwhile(snooze)
    channel.install(monkeypatch)
    counts = remind(certjobs, database).json()["counts"]
    assert channel.arrived() == [(KARIS, "A")]
    assert (counts["notices_open"], counts["notices_snoozed"]) == (1, 1)


# Rests.


def test_what_changed_during_a_rest_is_seen(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What several senders had claimed before a rest is looked at again after it: who was renewed is not told."""
    load(certjobs, *(Mentor(f"M{n:02}", 30) for n in range(12)))
    limited = iter([RateLimited("slowly", 60)])

    class Busy(Meanwhile):
        concurrency = 1

        def send(self, message: Message) -> str:
            if error := next(limited, None):
                raise error
            return super().send(message)

    def sleep(_clock: object, _seconds: float, _until: Event) -> None:
        database.execute("UPDATE certifications SET expires_on = expires_on + 700")

    channel = Busy(honours_keys=True)
    channel.batch = 12
    channel.install(monkeypatch)
    monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", sleep)
    remind(certjobs, database)
    assert channel.arrived() == []
    assert set(statuses(database).values()) == {"suppressed"}


def test_a_limit_is_no_failure(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice that had to rest before rests as after its first failure when it fails for the first time."""
    load(certjobs, Mentor("A", 30))
    errors = [RateLimited("slowly", 1)] * 3 + [DeliveryFailed("Later.")]
    Troubled({"A": iter(errors)}).install(monkeypatch)
    monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", lambda *_: None)
    remind(certjobs, database, exit_code=3)
    attempt, waits = database.all("SELECT attempt, not_before - clock_timestamp() FROM notifications")[0]
    assert attempt == 4
    assert waits < timedelta(minutes=19)


def test_what_failed_in_one_message_comes_back_in_one(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All notices of a message that failed rest for as long, so that the next one carries all of them."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(5)))
    Troubled({KARIS: iter([DeliveryFailed("Later.")])}, gathers=True).install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    assert database.one("SELECT count(DISTINCT not_before) FROM notifications") == 1


def test_one_message_and_a_channel_that_is_down(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one message of a night cannot even be begun, the channel is down: exit 69, and it stays owed."""
    load(certjobs, Mentor("A", 30))
    Troubled({"A": iter([ChannelDown("Connection refused.")])}).install(monkeypatch)
    result = remind(certjobs, database, exit_code=69)
    assert "cannot be reached" in result.json()["message"]
    hours_pass(database)
    remind(certjobs, database)


# Other sessions and other runs.


def test_a_notice_cut_short_that_somebody_holds(certjobs: Certjobs, database: TestDatabase) -> None:
    """While another session holds a notice that was cut short, the others are sent; it is settled by a later run."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))
    remind(certjobs, database, env=NONE)
    cut_short(database, "A")
    with psycopg.connect(database.url) as holder:
        holder.execute("SELECT 1 FROM notifications WHERE status = 'sending' FOR UPDATE")
        assert told(remind(certjobs, database, env=IMPATIENT, exit_code=3)) == [(KARIS, "B")]
        holder.rollback()
    assert told(remind(certjobs, database, exit_code=3)) == []
    assert statuses(database) == {"A": "unknown", "B": "sent"}


def test_what_cannot_be_settled_stops_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """A notice that the database will not have settled is named in the log, and every other one is sent or settled."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 30))
    remind(certjobs, database, env=NONE)
    cut_short(database, "A")
    cut_short(database, "C")
    number = database.one("SELECT n.id FROM notifications n JOIN peer_mentors m ON m.id = mentor_id"
                          " WHERE external_ref = 'A'")  # fmt: skip
    database.execute(f"ALTER TABLE reminder_dispatch_log ADD CHECK (notification_id <> {number})")
    result = remind(certjobs, database, exit_code=3)
    assert told(result) == [(KARIS, "B")]
    assert statuses(database) == {"A": "sending", "B": "sent", "C": "unknown"}
    (line,) = [line for line in log_lines_of(result.stderr) if line["event"] == "notice.not_settled"]
    assert line["notice"] == number


def log_lines_of(stderr: str) -> list[dict[str, object]]:
    """Return the log's lines among what a channel printed."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


def test_what_cannot_be_recorded_loses_nothing_else(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a parcel of which one outcome cannot be recorded the others are, none is sent twice, and the run says so."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(8)))
    remind(certjobs, database, env=NONE)
    number = database.one("SELECT min(id) FROM notifications")
    database.execute(f"ALTER TABLE reminder_dispatch_log ADD CONSTRAINT ck_no CHECK (notification_id <> {number})")
    channel = Meanwhile(honours_keys=True)
    channel.batch = 8
    channel.install(monkeypatch)
    result = remind(certjobs, database, exit_code=3)
    assert len(channel.arrived()) == 8
    assert sorted(statuses(database).values()) == ["sending"] + ["sent"] * 7
    assert result.json()["counts"]["notices_unrecorded"] == 1
    assert "would not have it recorded" in result.json()["message"]
    database.execute("ALTER TABLE reminder_dispatch_log DROP CONSTRAINT ck_no")
    remind(certjobs, database)
    keys = [message.key for message in channel.sent]
    assert (len(keys), len(set(keys))) == (9, 8)  # the ninth under a key that the service knows
    assert set(statuses(database).values()) == {"sent"}


def test_what_another_run_has_in_hand_is_not_late(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While expiry-check sends a pause, remind beside it has nothing to complain about, and the other way round."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1))
    results = []

    def beside() -> None:
        results.append(remind(certjobs, database))

    channel = Meanwhile(beside)
    channel.install(monkeypatch)
    outer = certjobs("expiry-check", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=CONSOLE)
    assert outer.exit_code == 0, outer
    assert results[0].json()["counts"]["notices_open"] == 1
    assert sorted(channel.arrived()) == [(KARIS, "A"), (KARIS, "B")]


def test_a_run_that_lost_its_session_is_stopped_by_who_declares_it_dead(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another job that finds a run's session gone takes its lock with its row: it sends nothing more and exits 75."""
    load(certjobs, Mentor("A", -3), Mentor("B", -2), Mentor("C", 30, OLA))

    def lose_session() -> None:
        database.execute(
            "UPDATE job_lock SET backend_start = backend_start - interval '1 hour';"
            "UPDATE scheduler_run_log SET backend_start = backend_start - interval '1 hour' WHERE status = 'running'"
        )
        remind(certjobs, database, exit_code=3)  # the one in hand becomes unknown

    channel = Meanwhile(lose_session)
    channel.install(monkeypatch)
    result = certjobs(
        "expiry-check", "--as-of", TODAY.isoformat(), "--json",
        url=database.job_url, env=CONSOLE | {"CERTJOBS_HEARTBEAT_SECONDS": "600"},
    )  # fmt: skip
    assert result.exit_code == 75, result
    arrived = channel.arrived()
    assert len(arrived) == len(set(arrived)) == 3, arrived
    assert database.one("SELECT count(*) FROM job_lock") == 0


def test_a_run_in_a_unit_of_work_is_not_declared_dead(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run whose session is gone, but which holds its lock in a transaction under way, is left alone."""
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor, backend_pid, backend_start)"
        " VALUES ('00000000-0000-0000-0000-000000000001', 'expiry-check', 'manual', 'h', '1', 'a', 1, now());"
        "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start)"
        " VALUES ('expiry-check', '00000000-0000-0000-0000-000000000001', 1, 'h', 1, now())"
    )
    status = "SELECT status FROM scheduler_run_log WHERE job_name = 'expiry-check'"
    with psycopg.connect(database.url) as holder:
        holder.execute("SELECT 1 FROM job_lock FOR KEY SHARE")
        remind(certjobs, database)
        assert database.one(status) == "running"
        holder.rollback()
    remind(certjobs, database)
    assert database.one(status) == "abandoned"


# Forgetting.


def test_no_key_of_the_erased_comes_back(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mentor erased while their notice is sent leaves no key, in the notice or in the log of attempts."""
    load(certjobs, Mentor("A", 30))
    channel = Meanwhile(lambda: do(certjobs, "mentors", "erase", "A", "--yes"))
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert channel.arrived() == [(KARIS, "A")]
    assert database.all("SELECT idempotency_key = 'erased ' || id, message_id, status FROM notifications") == [
        (True, None, "sent")
    ]
    assert database.all("SELECT message_id, outcome FROM reminder_dispatch_log") == [(None, "sent")]


def test_no_key_of_a_removed_coordinator_stays(certjobs: Certjobs, database: TestDatabase) -> None:
    """A notice owed to a coordinator who was removed loses its key when it is settled; the next one has theirs."""
    load(certjobs, Mentor("A", 30, f"{KARI} | {OLA}"))
    remind(certjobs, database, env=NONE)
    do(certjobs, "coordinators", "remove", KARIS)
    assert told(remind(certjobs, database)) == [(OLAS, "A")]
    assert database.all(
        "SELECT status, idempotency_key = 'erased ' || id, message_id FROM notifications ORDER BY 1 DESC"
    )[0] == ("suppressed", True, None)


def test_retention_keeps_a_cause_that_is_still_owed(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was told of a cause long ago is not told again because another recipient of it is still to be told."""
    load(certjobs, Mentor("A", -1, f"{KARI} | {OLA}"))
    Troubled({OLAS: iter([DeliveryFailed("Later.")])}).install(monkeypatch)
    certjobs("expiry-check", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE)
    database.execute(
        "UPDATE notifications SET created_at = created_at - interval '2 years', sent_at = sent_at - interval '2 years'"
    )
    retention = {"CERTJOBS_RETENTION_DAYS": "90"}
    assert certjobs("prune", url=database.job_url, env=retention).exit_code == 0
    hours_pass(database)
    channel = Troubled()
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert channel.arrived() == [(OLAS, "A")]


# What is said.


def test_a_quiet_that_never_ends_is_loud(certjobs: Certjobs, database: TestDatabase) -> None:
    """Notices that wait for days because every run falls into quiet hours end the run with 3 and the way out."""
    load(certjobs, Mentor("A", 30))
    always = CONSOLE | {"CERTJOBS_QUIET_HOURS": "00:00-23:59", "CERTJOBS_SEND_DAYS": "sat"}
    remind(certjobs, database, env=always)
    database.execute("UPDATE notifications SET created_at = created_at - interval '5 days'")
    result = remind(certjobs, database, env=always, exit_code=3)
    assert "every run fell into the quiet hours" in result.json()["message"]
    assert told(remind(certjobs, database)) == [(KARIS, "A")]


def test_a_dry_run_says_what_waits_and_why(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run lists as heard only what would be sent; what is snoozed or has nobody to go to stands apart."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 30, ""))
    do(
        certjobs, "notifications", "snooze", "A", KARIS, "--threshold", "30",
        "--until", (TODAY + timedelta(days=3)).isoformat(), "--as-of", TODAY.isoformat(),
    )  # fmt: skip
    found = remind(certjobs, database, "--dry-run", exit_code=3).json()["recipients"]
    assert [([n["mentor_ref"] for n in each["notices"]], each["waits"]) for each in found] == [
        (["B"], None),
        (["C"], "nobody"),
        (["A"], "snoozed"),
    ]
    printed = certjobs("remind", "--dry-run", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE).stdout
    assert "no coordinator and no fallback address" in printed
    nothing = remind(certjobs, database, "--dry-run", env=NONE).json()["recipients"]
    assert None not in {each["waits"] for each in nothing}


def test_show_tells_who_handled_a_notice(certjobs: Certjobs, database: TestDatabase) -> None:
    """What a person decided about a notice stands with who it was, why and when."""
    load(certjobs, Mentor("A", 30))
    remind(certjobs, database, env=NONE)
    number = str(database.one("SELECT id FROM notifications"))
    assert certjobs("notifications", "discard", number, "--reason", "told by telephone").exit_code == 0
    shown = certjobs("notifications", "show", number, "--json").json()
    assert (shown["handled_by"], shown["handled_reason"]) == ("test", "told by telephone")
    assert shown["handled_at"]
    assert "told by telephone" in certjobs("notifications", "show", number).stdout


@pytest.mark.parametrize(
    ("name", "wrong"), [("THRESHOLDS", "30,30"), ("QUIET_HOURS", "night"), ("SEND_DAYS", "monday")]
)
def test_a_wrong_list_leaves_a_row_and_stops_nothing_else(
    certjobs: Certjobs, database: TestDatabase, name: str, wrong: str
) -> None:
    """A setting that a job cannot read fails its run with 78 and a row of it; `certjobs runs` still shows that."""
    env = CONSOLE | {f"CERTJOBS_{name}": wrong}
    unchanged = contents(database)
    remind(certjobs, database, env=env, exit_code=78)
    assert contents(database) == unchanged
    assert (last_run(database).status, last_run(database).exit_code) == ("failed", 78)
    listed = certjobs("runs", "--json", env=env)
    assert listed.exit_code == 0, listed
    assert name in listed.stdout
