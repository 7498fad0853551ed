"""Delivering thousands of notices while some fail: every one is accounted for."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certjobs.errors import DeliveryFailed, DeliveryRefused, DeliveryUnknown, RateLimited
from tests.children.processes import eventually
from tests.children.receiver import SECRET, Answer, Request, receiver
from tests.roster import TODAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from certjobs.ports import Message
    from tests.conftest import Certjobs, CertjobsProcess, TestDatabase

NIGHT = ("remind", "--as-of", TODAY.isoformat(), "--json")
ROSTER = """
    WITH chapter AS (
        INSERT INTO chapters (organisation_id, name) SELECT id, 'Prøveby' FROM organisations WHERE code = 'HLF'
        RETURNING id, organisation_id
    ), coordinator AS (
        INSERT INTO coordinators (address, name) SELECT 'k' || i || '@example.org', 'Kari ' || i
          FROM generate_series(1, 20) i RETURNING id
    ), mentor AS (
        INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)
        SELECT 'M-' || i, 'Mentor ' || i, organisation_id, id FROM chapter, generate_series(1, %(mentors)s) i
        RETURNING id
    ), certification AS (
        INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)
        SELECT 'C-' || id, id, %(today)s::date - 700, %(today)s::date + (id %% 31)::integer FROM mentor
    )
    INSERT INTO coordinator_assignments (mentor_id, coordinator_id)
    SELECT m.id, c.id FROM mentor m
     CROSS JOIN LATERAL (SELECT id FROM coordinator ORDER BY id OFFSET m.id %% 19 LIMIT 2) c
"""


def roster(database: TestDatabase, mentors: int) -> None:
    """Give HLF so many mentors whose certification ends within 30 days, with two coordinators each."""
    with database.connect() as connection:
        connection.execute(ROSTER, {"mentors": mentors, "today": TODAY})
    assert database.one("SELECT count(*) FROM coordinator_assignments") == 2 * mentors


@dataclass
class Unsteady:
    """A channel used by several senders at once, of whose messages some fail, each in its way, by their number."""

    sent: Counter[str] = field(default_factory=Counter)
    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    name = "unsteady"
    honours_keys = True
    gathers = False
    concurrency = 4
    batch = 50

    @contextmanager
    def sender(self) -> Iterator[Unsteady]:
        yield self

    def send(self, message: Message) -> str:
        with self.lock:
            self.number += 1
            number = self.number
        if number % 1000 == 500:
            msg = "slowly"
            raise RateLimited(msg, 1)
        for every, error in ((100, DeliveryRefused), (101, DeliveryFailed), (103, DeliveryUnknown)):
            if number % every == 0:
                msg = "no"
                raise error(msg)
        with self.lock:
            self.sent[message.key] += 1
        return message.key


def test_ten_thousand_notices_of_which_some_fail(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten thousand notices, three in a hundred failing, each is sent once or stands with its reason."""
    roster(database, 5000)
    channel, rests = Unsteady(), list[float]()
    monkeypatch.setattr("certjobs.adapters.notify.console.ConsoleNotifier", lambda *_: channel)
    monkeypatch.setattr(
        "certjobs.adapters.clock.SystemClock.sleep", lambda _self, seconds, _until: rests.append(seconds)
    )
    result = certjobs(*NIGHT, url=database.job_url, env={"CERTJOBS_NOTIFY_CHANNEL": "console"})
    assert result.exit_code == 3, result.stderr[-2000:]
    counts = result.json()["counts"]
    by_status = dict(database.all("SELECT status, count(*) FROM notifications GROUP BY status"))
    assert counts["notices_owed"] == sum(by_status.values()) == 10_000
    assert by_status["sent"] == len(channel.sent) == counts["owed_sent"]
    assert set(channel.sent.values()) == {1}
    assert by_status["dead"] == counts["owed_dead"] > 80
    assert by_status["failed"] == counts["owed_open"] > 80
    assert by_status["unknown"] == counts["owed_unknown"] > 80
    assert set(by_status) == {"sent", "dead", "failed", "unknown"}
    assert set(rests) == {1.0}
    logged = dict(database.all("SELECT outcome, count(*) FROM reminder_dispatch_log GROUP BY outcome"))
    assert sum(logged.values()) == channel.number
    assert logged["limited"] == channel.number - 10_000
    assert (
        database.one(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM reminder_dispatch_log GROUP BY notification_id, attempt) a"
        )
        == 1
    )


def test_what_was_claimed_too_long_ago_is_looked_at_again(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many claimed together those whose turn comes late are looked at again: who was renewed by then is not told."""
    roster(database, 100)
    channel = Unsteady()
    sent = channel.send

    def send(message: Message) -> str:
        if not channel.sent:
            database.execute("UPDATE certifications SET expires_on = expires_on + 700 WHERE mentor_id > 50")
        return sent(message)

    monkeypatch.setattr(channel, "send", send)
    monkeypatch.setattr("certjobs.adapters.notify.console.ConsoleNotifier", lambda *_: channel)
    monkeypatch.setattr("certjobs.jobs.delivery.FRESH", -1.0)
    result = certjobs(*NIGHT, url=database.job_url, env={"CERTJOBS_NOTIFY_CHANNEL": "console"})
    counts = result.json()["counts"]
    assert (counts["owed_suppressed"], counts["owed_open"]) == (100, 0)
    assert counts["owed_sent"] + counts["owed_dead"] == 100
    told = "SELECT count(*) FROM notifications WHERE status = 'sent' AND mentor_id > 50"
    assert database.one(told) <= 1  # the one that was in hand


def test_a_real_service_that_fails_now_and_then(certjobs_process: CertjobsProcess, database: TestDatabase) -> None:
    """Over real sockets and several senders, what the service did not take the first night it takes on the next."""
    roster(database, 150)
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(request: Request) -> Answer:
        with lock:
            seen[request.key] += 1
            number = len(seen)
        if seen[request.key] == 1 and number % 10 == 0:
            return Answer(500) if number % 20 else Answer(misbehaves="drop")
        return Answer()

    with receiver(answer) as found:
        env = {
            "CERTJOBS_NOTIFY_CHANNEL": "webhook",
            "CERTJOBS_NOTIFY_WEBHOOK_URL": found.url,
            "CERTJOBS_NOTIFY_WEBHOOK_SECRET": SECRET,
        }
        first = certjobs_process(*NIGHT, url=database.job_url, env=env)
        assert (first.exit_code, first.json()["counts"]["owed_open"]) == (3, 30), first.stderr[-2000:]
        database.execute("UPDATE notifications SET not_before = NULL")
        second = certjobs_process(*NIGHT, url=database.job_url, env=env)
    assert (second.exit_code, second.json()["counts"]["notices_sent"]) == (0, 30), second.stderr[-2000:]
    assert len(found.accepted) == len(set(found.accepted)) == 300
    assert all(request.signed_with(SECRET) for request in found.requests)
    keys = {key for (key,) in database.all("SELECT idempotency_key FROM notifications WHERE status = 'sent'")}
    assert keys == set(found.accepted)
    assert "example.org" not in first.stderr + second.stderr
    assert SECRET not in first.stderr + second.stderr


def test_a_signal_while_several_senders_are_at_work(certjobs_process: CertjobsProcess, database: TestDatabase) -> None:
    """Told to stop, every sender ends and records the message it has in hand; the others stay owed until next time."""
    roster(database, 60)
    slow = threading.Event()
    with receiver(lambda _request: Answer(202 if slow.wait(0.02) else 204)) as found:
        env = {
            "CERTJOBS_NOTIFY_CHANNEL": "webhook",
            "CERTJOBS_NOTIFY_WEBHOOK_URL": found.url,
            "CERTJOBS_NOTIFY_WEBHOOK_SECRET": SECRET,
        }
        process = certjobs_process.start(*NIGHT, url=database.job_url, env=env)
        eventually(database, "SELECT count(*) > 5 FROM reminder_dispatch_log")
        process.terminate()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 143, (out, err)
        by_status = dict(database.all("SELECT status, count(*) FROM notifications GROUP BY status"))
        assert set(by_status) == {"sent", "pending"}, by_status
        assert by_status["sent"] == len(found.accepted) == len(set(found.accepted))
        assert database.one("SELECT count(*) FROM job_lock") == 0
        slow.set()
        again = certjobs_process(*NIGHT, url=database.job_url, env=env)
    assert again.exit_code == 0, again.stderr
    assert len(found.accepted) == len(set(found.accepted)) == 120
