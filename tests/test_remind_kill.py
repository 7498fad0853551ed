"""Death costs no reminder: remind killed at any of its commits and run again leaves what an undisturbed run leaves."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import pytest
from psycopg.sql import SQL, Identifier

from certjobs.local.mailbox import HOST, mailbox
from tests.children.helpers import CONSOLE, NIGHT, load, locks, nobody_connected, runs
from tests.children.receiver import SECRET, receiver
from tests.conftest import Certjobs
from tests.roster import KARI, OLA, TODAY, Mentor

if TYPE_CHECKING:
    from tests.children.processes import Forked
    from tests.children.zygote import Death
    from tests.conftest import Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

COMMAND = ("remind", "--as-of", TODAY.isoformat())
KILLED = -9
ROSTER = (Mentor("A", 30), Mentor("B", 3, f"{KARI}|{OLA}"), Mentor("C", -1), Mentor("D", 31))
NOTICES, RECIPIENTS = 4, 2
FEWEST_DEATHS = 6
TABLES = ("cert_expiry_reminders", "reminder_dispatch_log", "notifications", "scheduler_run_log", "job_lock")


@pytest.fixture
def night_before(database: TestDatabase) -> TestDatabase:
    """A database as it is before the run: one notice of a pause is owed, no reminder was decided."""
    certjobs = Certjobs(database.url)
    load(certjobs, *ROSTER)
    assert certjobs(*NIGHT, url=database.job_url).exit_code == 0
    database.execute("CREATE TABLE owed_before AS SELECT * FROM notifications")
    return database


def turn_back(database: TestDatabase) -> None:
    """Make the database as it was before the run."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in TABLES:
            connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
        connection.execute("INSERT INTO notifications OVERRIDING SYSTEM VALUE SELECT * FROM owed_before")


def decided(database: TestDatabase) -> list[tuple[Any, ...]]:
    """Return the ledger."""
    return database.all(
        "SELECT m.external_ref, r.certification_expiry, r.threshold_day, r.status, r.recipients"
        " FROM cert_expiry_reminders r JOIN peer_mentors m ON m.id = r.mentor_id ORDER BY 1, 2, 3"
    )


def notices(database: TestDatabase) -> dict[str, str]:
    """Return the status of each notice by its key."""
    return dict(database.all("SELECT idempotency_key, status FROM notifications"))


def sent_more_than_once(database: TestDatabase) -> int:
    """Count the notices of which the dispatch log has more than one sending."""
    return len(
        database.all(
            "SELECT 1 FROM reminder_dispatch_log WHERE outcome = 'sent' GROUP BY notification_id HAVING count(*) > 1"
        )
    )


def attempts_without_entry(database: TestDatabase) -> int:
    """Count the notices that do not have one entry in the dispatch log for each attempt."""
    return len(
        database.all(
            "SELECT n.id FROM notifications n LEFT JOIN reminder_dispatch_log d ON d.notification_id = n.id"
            " GROUP BY n.id HAVING n.attempt <> count(d.id)"
        )
    )


def printed(*results: Result) -> list[str]:
    """Return what went out through the console."""
    return [line for result in results for line in result.stdout.splitlines() if line.startswith("To ")]


def die(forked: Forked, database: TestDatabase, env: dict[str, str], number: int, moment: Any) -> Result:
    """Let a run die at its n-th commit."""
    death: Death = {"commit": number, "moment": moment}
    killed = forked.start(*COMMAND, url=database.job_url, env=env, death=death).wait()
    nobody_connected(database)
    return killed


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_each_commit_on_the_console(
    forked: Forked, night_before: TestDatabase, moment: Literal["before", "after"]
) -> None:
    """Whichever commit a run dies at, the next does the rest; the notice in flight is unknown and not repeated."""
    database = night_before
    assert len(printed(forked(*COMMAND, url=database.job_url, env=CONSOLE))) == NOTICES
    ledger, keys = decided(database), set(notices(database))
    deaths = unknown = 0
    for number in count(1):
        turn_back(database)
        killed = die(forked, database, CONSOLE, number, moment)
        if killed.exit_code != KILLED:
            break
        deaths += 1
        in_flight = {key for key, status in notices(database).items() if status == "sending"}
        again = forked(*COMMAND, url=database.job_url, env=CONSOLE)
        found = notices(database)
        where = f"{moment} commit {number}: {again}"
        assert (decided(database), set(found)) == (ledger, keys), where
        assert {key for key, status in found.items() if status == "unknown"} == in_flight, where
        assert set(found.values()) <= {"sent", "unknown"}, where
        assert again.exit_code == (3 if in_flight else 0), where
        out = printed(killed, again)
        assert len(set(out)) == len(out), where
        assert NOTICES - len(in_flight) <= len(out) <= NOTICES, where
        assert (sent_more_than_once(database), attempts_without_entry(database), locks(database)) == (0, 0, 0), where
        assert "running" not in {row.status for row in runs(database)}, where
        unknown += len(in_flight)
    assert deaths >= FEWEST_DEATHS
    assert unknown == NOTICES  # each notice was once the one in flight


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_each_commit_with_a_webhook(
    forked: Forked, night_before: TestDatabase, moment: Literal["before", "after"]
) -> None:
    """Where keys are honoured the next run sends what was in flight again, under its key and in the same words."""
    database = night_before
    with receiver() as service:
        env = {
            "CERTJOBS_NOTIFY_CHANNEL": "webhook",
            "CERTJOBS_NOTIFY_WEBHOOK_URL": service.url,
            "CERTJOBS_NOTIFY_WEBHOOK_SECRET": SECRET,
            "CERTJOBS_NOTIFY_CONCURRENCY": "1",
        }
        result = forked(*COMMAND, url=database.job_url, env=env)
        assert (result.exit_code, len(service.accepted)) == (0, NOTICES), result
        ledger, keys = decided(database), set(notices(database))
        bodies = {request.key: request.body for request in service.requests}
        assert len(bodies) == NOTICES
        deaths = repeated = 0
        for number in count(1):
            turn_back(database)
            service.requests.clear()
            service.accepted.clear()
            if die(forked, database, env, number, moment).exit_code != KILLED:
                break
            deaths += 1
            again = forked(*COMMAND, url=database.job_url, env=env)
            where = f"{moment} commit {number}: {again}"
            assert again.exit_code == 0, where
            assert (decided(database), notices(database)) == (ledger, dict.fromkeys(keys, "sent")), where
            assert set(service.accepted) == set(bodies), where
            assert {(request.key, request.body) for request in service.requests} == set(bodies.items()), where
            assert (sent_more_than_once(database), attempts_without_entry(database)) == (0, 0), where
            assert locks(database) == 0, where
            repeated += sum(times > 1 for times in Counter(service.accepted).values())
    assert deaths >= FEWEST_DEATHS
    assert (repeated > 0) == (moment == "before")  # sent, and killed before that was recorded


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_each_commit_with_e_mail(
    forked: Forked, night_before: TestDatabase, moment: Literal["before", "after"]
) -> None:
    """By mail nobody gets anything twice: all of a message in flight is unknown, everybody else hears next night."""
    database = night_before
    with mailbox() as mail:
        env = {
            "CERTJOBS_NOTIFY_CHANNEL": "email",
            "CERTJOBS_SMTP_HOST": HOST,
            "CERTJOBS_SMTP_PORT": str(mail.port),
            "CERTJOBS_SMTP_SECURITY": "none",
            "CERTJOBS_MAIL_FROM": "mentors@example.org",
            "CERTJOBS_NOTIFY_CONCURRENCY": "1",
        }
        result = forked(*COMMAND, url=database.job_url, env=env)
        assert (result.exit_code, len(mail.messages)) == (0, RECIPIENTS), result
        ledger, keys = decided(database), set(notices(database))
        deaths = 0
        in_flight_once: set[str] = set()
        for number in count(1):
            turn_back(database)
            mail.messages.clear()
            if die(forked, database, env, number, moment).exit_code != KILLED:
                break
            deaths += 1
            in_flight = {key for key, status in notices(database).items() if status == "sending"}
            again = forked(*COMMAND, url=database.job_url, env=env)
            found = notices(database)
            where = f"{moment} commit {number}: {again}"
            assert (decided(database), set(found)) == (ledger, keys), where
            assert {key for key, status in found.items() if status == "unknown"} == in_flight, where
            assert set(found.values()) <= {"sent", "unknown"}, where
            assert again.exit_code == (3 if in_flight else 0), where
            told = [str(each["To"]) for each in mail.messages]
            assert len(set(told)) == len(told), where
            assert RECIPIENTS - bool(in_flight) <= len(told) <= RECIPIENTS, where
            assert (sent_more_than_once(database), attempts_without_entry(database), locks(database)) == (0, 0, 0), (
                where
            )
            in_flight_once |= in_flight
    assert deaths >= FEWEST_DEATHS
    assert in_flight_once == keys
