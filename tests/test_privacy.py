"""What is stored about whom and for how long: erasing mentors, removing coordinators, retention, and the audit."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pexpect
import psycopg
import pytest
from psycopg import errors, sql

from tests.roster import KARI, OLA, Mentor, file_of, in_days
from tests.test_administration import (
    AS_OF,
    AUDIT,
    CHANGES,
    CONSOLE,
    WHY,
    bring_in,
    contents,
    done,
    events,
    night,
    refs,
    refused,
    told,
    unchanged,
)

if TYPE_CHECKING:
    from tests.conftest import Certjobs, TestDatabase

RETENTION = {"CERTJOBS_RETENTION_DAYS": "100", "CERTJOBS_RETENTION_FAILURES_DAYS": "100"}
ERASE = ("mentors", "erase", "ZREF-4711", "--reason", "asked for it in writing")
REMOVE = ("coordinators", "remove", "kari@example.org", "--reason", "asked for it in writing")
PERSONAL = ("Zenobia", "Ørnefjell", "ZREF-4711", "ZCERT-1", "ZCERT-2", "ZCERT-3", "earlierword")
SHORTEST = {"CERTJOBS_RETENTION_DAYS": "90", "CERTJOBS_RETENTION_FAILURES_DAYS": "90"}
GUARD = {"CERTJOBS_GUARD_COUNT": "0", "CERTJOBS_GUARD_SHARE": "0"}

FAIL_ONE = """
    UPDATE notifications SET status = 'failed', attempt = 1
     WHERE id = (SELECT max(id) FROM notifications WHERE status = 'pending')
"""


def found_in(database: TestDatabase, word: str) -> set[str]:
    """Return every column, of whatever type, of every table that holds a word, as table.column."""
    found = set()
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT c.table_schema, c.table_name, array_agg(c.column_name::text)"
            "  FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE t.table_type = 'BASE TABLE' AND t.table_schema NOT IN ('pg_catalog', 'information_schema')"
            " GROUP BY 1, 2"
        ).fetchall()
        for schema, table, columns in tables:
            holds = sql.SQL(", ").join(
                sql.SQL("bool_or(strpos(lower({}::text), lower(%(word)s)) > 0)").format(sql.Identifier(column))
                for column in columns
            )
            query = sql.SQL("SELECT {} FROM {}").format(holds, sql.Identifier(schema, table))
            (hits,) = connection.execute(query, {"word": word}).fetchall()
            found |= {f"{table}.{column}" for column, hit in zip(columns, hits, strict=True) if hit}
    return found


def replica(database: TestDatabase, statements: str) -> None:
    """Run statements that no trigger sees, as history is made older than it is."""
    database.execute(f"SET session_replication_role = replica; {statements}")


def age(database: TestDatabase, days: int) -> None:
    """Let everything that happened have happened so many days earlier."""
    tables = "; ".join(f"UPDATE {name} SET occurred_at = occurred_at - interval '{days} days'" for name in AUDIT)
    replica(
        database,
        f"{tables};"
        f" UPDATE notifications SET created_at = created_at - interval '{days} days',"
        f" sent_at = sent_at - interval '{days} days';"
        f" UPDATE scheduler_run_log SET started_at = started_at - interval '{days} days',"
        f" finished_at = finished_at - interval '{days} days';"
        f" UPDATE guarded_sets SET refused_at = refused_at - interval '{days} days'",
    )


def z(certificate: str, expires: int, name: str = "Zenobia Ørnefjell") -> bytes:
    """Return a roster file of the mentor who is to be erased, with one certification."""
    row = Mentor("ZREF-4711", expires, f"{KARI}|{OLA}", certificate=certificate)
    return file_of([row]).replace(b"Mentor ZREF-4711", name.encode())


@pytest.fixture
def life(certjobs: Certjobs, database: TestDatabase) -> int:
    """Let a mentor go through everything that can happen, beside one who stays, and return the mentor's id.

    Every reason holds the word earlierword. Two notices of the first pause were sent, those of the second are owed.
    """
    bring_in(certjobs, Mentor("STAYS", 300))
    for file in (z("ZCERT-1", -1, "Zenobia Eldre"), z("ZCERT-2", -400)):
        assert certjobs("roster", "import", "-", stdin=file).exit_code == 0
    why = ("--reason", "an earlierword of somebody")
    done(certjobs, "mentors", "pause", "ZREF-4711", *why, *AS_OF)
    done(certjobs, "mentors", "reinstate", "ZREF-4711", *why, "--force", *AS_OF)
    night(certjobs, database, env=GUARD, exit_code=4)
    night(certjobs, database, env=CONSOLE)
    done(certjobs, "mentors", "reinstate", "ZREF-4711", *why, "--force", *AS_OF)
    night(certjobs, database)
    database.execute(FAIL_ONE)
    done(
        certjobs,
        "certs",
        "add",
        "ZREF-4711",
        "--ref",
        "ZCERT-3",
        "--issued",
        in_days(-9),
        "--expires",
        in_days(-2),
        *why,
    )
    done(certjobs, "certs", "renew", "ZCERT-2", "--expires", in_days(-300), *why)
    done(certjobs, "certs", "withdraw", "ZCERT-2", *why, *AS_OF)
    done(certjobs, "certs", "withdraw", "ZCERT-2", "--undo", *why, *AS_OF)
    done(certjobs, "mentors", "assign", "ZREF-4711", "ola@example.org", "--remove", *why)
    done(certjobs, "mentors", "move", "ZREF-4711", "--chapter", "Nybygd", "--create", *why)
    mentor: int = database.one("SELECT id FROM peer_mentors WHERE external_ref = 'ZREF-4711'")
    return mentor


def remains(database: TestDatabase) -> list[tuple[str, set[str]]]:
    """Return every word about the erased that is still in some column, and where."""
    return [(word, found) for word in PERSONAL if (found := found_in(database, word))]


# Erasing a mentor.


def test_an_erased_mentor_is_nowhere(certjobs: Certjobs, database: TestDatabase, life: int) -> None:
    """No column of any table holds name, former name, reference, certifications or what was said of them any more.

    Jobs, lists, exports and approvals go on; an erasure again knows nobody; an import brings a new mentor.
    """
    (hash_,) = [row[0] for row in database.all("SELECT hash FROM guarded_sets")]
    assert all(found_in(database, word) for word in PERSONAL)
    document = done(certjobs, *ERASE)
    assert (document["erased"], document["dry_run"]) == (True, False)
    assert remains(database) == [("ZREF-4711", {"sync_queue.mentor_ref"})], "the website must be told whom to take off"
    done(certjobs, "orgs", "set", "HLF", "--no-website-sync", "--reason", "no website")
    assert remains(database) == []
    night(certjobs, database, env=CONSOLE)
    assert done(certjobs, "approve", hash_, "--reason", "known")["mentors"] == []
    for argv in (
        ("runs",),
        ("runs", "show", str(database.one("SELECT run_id FROM scheduler_run_log ORDER BY started_at LIMIT 1"))),
        ("mentors", "list"),
        ("certs", "list"),
        ("coordinators", "list"),
        ("roster", "export", "-"),
        ("expiry-check", "--baseline", *AS_OF),
        ("prune", *AS_OF),
    ):
        result = certjobs(*argv)
        assert result.exit_code == 0, (argv, result)
        assert "ZREF" not in result.stdout + result.stderr, argv
    refused(certjobs, database, ERASE)
    assert remains(database) == []
    assert certjobs("roster", "import", "-", stdin=z("ZCERT-1", 9)).exit_code == 0
    assert database.one("SELECT id FROM peer_mentors WHERE external_ref = 'ZREF-4711'") > life
    shown = done(certjobs, "mentors", "show", "ZREF-4711")["history"]
    assert {each["what"] for each in shown} <= {"added", "assigned", "certification added"}


def test_the_audit_of_an_erased_mentor_stays(certjobs: Certjobs, database: TestDatabase, life: int) -> None:
    """Every event stays with id, days, actor and moment; only reasons and certifications' references are taken out."""

    def audit() -> dict[tuple[str, int], dict[str, Any]]:
        return {
            (name, row["id"]): row
            for name in AUDIT
            for (row,) in database.all(f"SELECT to_jsonb(e) FROM {name} e")
            if row.get("mentor_id") == life or (row.get("entity"), row.get("entity_id")) == ("mentor", life)
        }

    before = audit()
    others = [each for each in events(database) if each[:2] not in before]
    done(certjobs, *ERASE, env={"CERTJOBS_ACTOR": "clerk"})
    after = audit()
    for key, row in before.items():
        expected = row | {"reason": None}
        for part in ("before", "after"):
            if isinstance(expected.get(part), dict):
                expected[part] = {name: fact for name, fact in expected[part].items() if name != "external_ref"}
        assert after[key] == expected
    new = [row for key, row in after.items() if key not in before]
    assert [(row["entity"], row["event"], row["actor"], row["reason"]) for row in new if row["reason"]] == [
        ("mentor", "removed", "clerk", "asked for it in writing")
    ]
    assert {row["actor"] for row in new} == {"clerk"}
    assert [each for each in events(database) if each[:2] not in after] == others


def test_notices_of_an_erased_mentor(certjobs: Certjobs, database: TestDatabase) -> None:
    """Notices still owed are suppressed, those that were sent stay sent, and nobody is told of the mentor again."""
    assert certjobs("roster", "import", "-", stdin=z("ZCERT-1", -1)).exit_code == 0
    night(certjobs, database, env=CONSOLE)
    done(certjobs, "mentors", "reinstate", "ZREF-4711", "--force", *WHY, *AS_OF)
    night(certjobs, database)
    database.execute(FAIL_ONE)
    states = "SELECT status, count(*) FROM notifications GROUP BY 1 ORDER BY 1"
    sent = "SELECT id, sent_at, pause_ordinal FROM notifications WHERE status = 'sent' ORDER BY id"
    before = database.all(sent)
    assert database.all(states) == [("failed", 1), ("pending", 1), ("sent", 2)]
    done(certjobs, *ERASE)
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []
    assert database.all(states) == [("sent", 2), ("suppressed", 2)]
    assert database.all(sent) == before
    assert database.one("SELECT bool_and(idempotency_key = 'erased ' || id) FROM notifications")


def test_erasing_as_a_dry_run_and_without_a_reason(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run says whom it would erase and writes nothing; an unknown mentor and no reason are wrong usage."""
    bring_in(certjobs, Mentor("ZREF-4711", -1))
    night(certjobs, database)
    document = unchanged(certjobs, database, *ERASE, "--dry-run", "--json", exit_code=0).json()
    assert (document["mentor_ref"], document["dry_run"]) == ("ZREF-4711", True)
    assert "Dry-run: nothing" in certjobs(*ERASE, "--dry-run").stdout
    refused(
        certjobs,
        database,
        ERASE[:3],
        (*ERASE[:3], "--reason", " "),
        ("mentors", "erase", "NOBODY", *WHY),
        ("mentors", "erase", "zref-4711", *WHY),
        ("coordinators", "remove", "nobody@example.org", *WHY),
        REMOVE[:3],
        (*REMOVE[:3], "--reason", ""),
    )


def test_a_certification_that_was_another_mentors_before(certjobs: Certjobs, database: TestDatabase) -> None:
    """A certification that the application gave from one mentor to another leaves no reference behind either."""
    bring_in(certjobs, Mentor("A", 9, certificate="ZCERT-1"), Mentor("ZREF-4711", 9, certificate="C-A"))
    move = "UPDATE certifications SET mentor_id = (SELECT id FROM peer_mentors WHERE external_ref = %s)"
    database.execute(f"{move} WHERE external_ref = 'ZCERT-1'", "ZREF-4711")
    database.execute(f"{move} WHERE external_ref = 'C-A'", "A")
    done(certjobs, *ERASE)
    assert found_in(database, "ZCERT-1") == set()
    assert refs(certjobs, "certs", "list") == ["C-A"]


OWN_TABLES = {
    "peer_mentors": "REFERENCES peer_mentors",
    "peer_mentors, restrict": "REFERENCES peer_mentors ON DELETE RESTRICT",
    "peer_mentors, deferred": "REFERENCES peer_mentors DEFERRABLE INITIALLY DEFERRED",
    "certifications": "REFERENCES certifications",
    "coordinators": "REFERENCES coordinators",
}


def test_where_the_application_still_refers_to_someone(certjobs: Certjobs, database: TestDatabase) -> None:
    """A table of the application's own that refers to the row refuses, as a dry-run too: exit 2, a hint, no change."""
    bring_in(certjobs, Mentor("ZREF-4711", 9))
    unexpected = {}
    for name, reference in OWN_TABLES.items():
        table = name.partition(",")[0]
        database.execute(f"CREATE TABLE bookings (about bigint {reference})")
        database.execute(f"INSERT INTO bookings SELECT id FROM {table}")
        argv = REMOVE if table == "coordinators" else ERASE
        before = contents(database)
        for dry in ("--dry-run", "--json"):
            result = certjobs(*argv, dry, "--json")
            document = result.json()
            if result.exit_code != 2 or "application" not in document["message"] or not document["hint"]:
                unexpected[f"{name} {dry}"] = (result.exit_code, document.get("message"))
        assert contents(database) == before
        database.execute("DROP TABLE bookings")
    assert unexpected == {}


def test_on_a_terminal_it_asks_first(certjobs: Certjobs, database: TestDatabase) -> None:
    """On a terminal an erasure asks, and only a yes erases; --yes does not ask."""
    bring_in(certjobs, Mentor("ZREF-4711", 9), Mentor("A", 9))

    def answer(text: str, *options: str) -> int | None:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "certjobs", *ERASE, *options],
            env=os.environ | {"CERTJOBS_DATABASE_URL": database.url, "TERM": "xterm"},
            encoding="utf-8",
            timeout=60,
        )
        if text:
            child.expect("ZREF-4711 for good")
            child.sendline(text)
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus

    before = contents(database)
    assert answer("n") != 0
    assert contents(database) == before
    assert answer("", "--yes") == 0
    assert refs(certjobs, "mentors", "list") == ["A"]


# Removing a coordinator.


def test_a_removed_coordinator_is_nowhere(certjobs: Certjobs, database: TestDatabase) -> None:
    """Name, address and what was said of them are in no column of any table; the audit keeps who removed and why."""
    bring_in(certjobs, Mentor("A", -1), Mentor("B", -1, f"{KARI}|{OLA}"))
    night(certjobs, database, env=CONSOLE)
    change = ("coordinators", "set", "kari@example.org", "--reason", "an earlierword")
    done(certjobs, *change, "--name", "Kari Ny", "--language", "nn")
    words = ("Kari", "Eksempel <", "kari@example.org", "earlierword")
    document = done(certjobs, *REMOVE, env={"CERTJOBS_ACTOR": "clerk"})
    assert (document["changed"], document["removed"]) == (True, True)
    assert [(word, found) for word in words if (found := found_in(database, word))] == []
    assert database.all(
        "SELECT event, actor, reason FROM roster_events WHERE entity = 'coordinator' AND reason IS NOT NULL"
        " AND event = 'removed'"
    ) == [("removed", "clerk", "asked for it in writing")]
    assert "without-coordinator" in document["note"]
    assert refs(certjobs, "mentors", "list", "--without-coordinator") == ["A"]
    assert database.one("SELECT count(*) FROM notifications WHERE status = 'sent'") == 3
    refused(certjobs, database, REMOVE)


def test_removing_a_coordinator_as_a_dry_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run says what would happen and writes nothing; in mixed case the address is found as well."""
    bring_in(certjobs, Mentor("A", 9), Mentor("B", 9, OLA))
    argv = ("coordinators", "remove", "KARI@Example.org", *WHY)
    document = unchanged(certjobs, database, *argv, "--dry-run", "--json", exit_code=0).json()
    assert document["dry_run"] is True
    assert "1 mentor" in document["note"]
    assert "would be" in certjobs(*argv, "--dry-run").stdout
    done(certjobs, *argv)
    assert [each["address"] for each in certjobs("coordinators", "list", "--json").json()] == ["ola@example.org"]


def test_notices_owed_to_a_removed_coordinator(certjobs: Certjobs, database: TestDatabase) -> None:
    """They go to the mentor's other coordinators once each, or to the fallback address where nobody is left."""
    done(certjobs, "orgs", "set", "HLF", "--fallback-address", "office@example.org", *WHY)
    bring_in(certjobs, Mentor("A", -1), Mentor("B", -1, f"{KARI}|{OLA}"))
    night(certjobs, database)
    done(certjobs, *REMOVE)
    assert sorted(told(night(certjobs, database, env=CONSOLE).stdout)) == ["office@example.org", "ola@example.org"]
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []
    assert database.one("SELECT count(*) FROM notifications WHERE status IN ('pending', 'failed', 'sending')") == 0


# What the audit holds and refuses.


def test_names_and_addresses_stand_in_the_roster_alone(certjobs: Certjobs, database: TestDatabase) -> None:
    """After every kind of change and a night, no name or address is in the audit, the notices, the runs or the logs."""
    bring_in(
        certjobs,
        Mentor("A", 10),
        Mentor("B", -1, f"{KARI}|{OLA}"),
        Mentor("N", None, ""),
        Mentor("O", 90, OLA, organisation="NHF", chapter="Eksempeldal"),
    )
    logged = [night(certjobs, database, env=GUARD, exit_code=4), night(certjobs, database)]
    said = "".join(each.stdout + each.stderr for each in logged)
    for argv, _ in CHANGES.values():
        said += certjobs(*argv, *WHY).stderr
    said += certjobs(*REMOVE).stderr + certjobs("mentors", "erase", "B", *WHY).stderr
    for word, columns in (
        ("Mentor A", {"peer_mentors.name"}),
        ("Mentor B", set()),
        ("ola@example.org", {"coordinators.address"}),
        ("kari@example.org", set()),
        ("Eksempel ", set()),
        ("nhf@example.org", {"organisations.fallback_address"}),
    ):
        assert found_in(database, word) == columns, word
    for word in ("@example.org", "Eksempel", "Mentor A", "Mentor B"):
        assert word not in said


REWRITING = {
    "certification_events": (
        "reason = NULL",
        "after = after - 'external_ref'",
        "reason = NULL, after = after - 'external_ref', actor = 'nobody'",
        "reason = NULL, after = after - 'external_ref' - 'expires_on'",
        "reason = NULL, after = NULL",
        "reason = NULL, after = after - 'external_ref', mentor_id = mentor_id + 1",
    ),
    "mentor_status_events": (
        "effective_on = effective_on + 1",
        "reason = NULL, certification_expiry = NULL",
        "reason = NULL, event = 'paused'",
    ),
    "roster_events": (
        "reason = NULL, after = '{}'",
        "reason = NULL, event = 'changed'",
        "reason = NULL, entity_id = entity_id + 1",
    ),
}


def test_the_audit_refuses_to_be_rewritten(certjobs: Certjobs, database: TestDatabase) -> None:
    """Even the owner can take out reasons and references together only, and nothing else; nor empty a table at once."""
    bring_in(certjobs, Mentor("A", -1))
    done(certjobs, "certs", "renew", "C-A", "--expires", in_days(-1), "--issued", in_days(-9), *WHY)
    done(certjobs, "mentors", "assign", "A", "kari@example.org", "--remove", *WHY)
    done(certjobs, "mentors", "assign", "A", "kari@example.org", *WHY)
    night(certjobs, database)
    before = contents(database)
    common = (
        "actor = 'nobody'",
        "reason = 'another'",
        "reason = NULL, actor = 'nobody'",
        "reason = NULL, occurred_at = occurred_at - interval '1 second'",
        "run_id = gen_random_uuid()",
    )
    for table, changes in REWRITING.items():
        for change in (*common, *changes):
            with pytest.raises(errors.RestrictViolation):
                database.execute(f"UPDATE {table} SET {change}")
        with pytest.raises(errors.RestrictViolation):
            database.execute(f"TRUNCATE {table}")
    assert contents(database) == before


# Retention.

OLD, YOUNG = 101, 99
MOMENT = "clock_timestamp() - make_interval(days => %(days)s)"
MADE = {
    "certification_events": "(certification_id, mentor_id, event, after, actor, occurred_at)"
    f" VALUES (901, 902, 'added', '{{}}', 'x', {MOMENT})",
    "mentor_status_events": "(mentor_id, event, to_status, effective_on, actor, occurred_at)"
    f" VALUES (902, 'paused', 'paused', '2026-01-01', 'x', {MOMENT})",
    "roster_events": f"(entity, entity_id, event, actor, occurred_at) VALUES ('mentor', 902, 'added', 'x', {MOMENT})",
    "notifications": "(kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key, status,"
    f" created_at) SELECT 'pause', 902, '2026-01-01', 1 + count(*), 903, 'k', %(status)s, {MOMENT} FROM notifications",
    "reminder_dispatch_log": "(notification_id, kind, mentor_id, certification_expiry, attempt, outcome, occurred_at)"
    f" SELECT 1, 'pause', 902, '2026-01-01', count(*), 'sent', {MOMENT} FROM reminder_dispatch_log",
    "cert_expiry_reminders": "(certification_expiry, mentor_id, threshold_day, status, decided_on, created_at)"
    f" SELECT '2026-01-01', 902, count(*), 'due', '2026-01-01', {MOMENT} FROM cert_expiry_reminders",
    "notice_snoozes": "(mentor_id, coordinator_id, threshold_day, until, actor, created_at)"
    f" SELECT 902, 903, count(*), '2026-01-01', 'x', {MOMENT} FROM notice_snoozes",
    "sync_queue": "(mentor_id, organisation_id, operation, status, triggered_by_event, actor, created_at, finished_at)"
    f" SELECT (SELECT 902 + count(*) FROM sync_queue), 1, 'remove', status, 'paused', 'x', {MOMENT}, {MOMENT}"
    " FROM unnest(ARRAY['done', 'dead']) AS status",
    "reconciliation_log": "(finding, mentor_id, detail, actor, created_at, cleared_at)"
    f" VALUES ('warning', 902, 'x', 'x', {MOMENT}, {MOMENT})",
    "alerts": f"(class, number, first_seen_at, cleared_at) VALUES ('missed', 1, {MOMENT}, {MOMENT})",
    "forecasts": "(night, job_name, organisation_id, expected, created_at)"
    f" SELECT current_date - %(days)s, 'x', count(*), 1, {MOMENT} FROM forecasts",
    "scheduler_run_log": "(run_id, job_name, trigger, started_at, finished_at, status, host, version, actor)"
    f" VALUES (gen_random_uuid(), 'expiry-check', 'schedule', {MOMENT}, {MOMENT}, 'succeeded', 'h', '1', 'x')",
    "guarded_sets": "(hash, job_name, organisation_id, size, refused_at)"
    f" VALUES (md5(random()::text), 'expiry-check', 1, 1, {MOMENT})",
}
FINISHED = ("sent", "suppressed", "superseded", "dead", "discarded")
OPEN = ("pending", "sending", "failed")


def make_history(database: TestDatabase, days: int, *, times: int = 1) -> None:
    """Add a row of every kind of history that is so many days old; of notices one for each status that is over."""
    with database.connect() as connection:
        for table, values in MADE.items():
            for _ in range(times):
                for status in FINISHED if table == "notifications" else ("",):
                    connection.execute(f"INSERT INTO {table} {values}", {"days": days, "status": status})
        connection.execute(
            "INSERT INTO guarded_set_members (mentor_id, certification_expiry, guarded_set_id)"
            " SELECT 902, '2026-01-01', id FROM guarded_sets ON CONFLICT DO NOTHING"
        )


def history(database: TestDatabase) -> dict[str, int]:
    """Return how many rows of each kind of history there are, but the runs of the retention itself."""
    return {
        name: database.one(
            f"SELECT count(*) FROM {name}" + (" WHERE host = 'h'" if name == "scheduler_run_log" else "")
        )
        for name in (*MADE, "guarded_set_members")
    }


def test_retention_deletes_what_is_old(certjobs: Certjobs, database: TestDatabase) -> None:
    """What is over and older than the setting goes, as the jobs' own login; what is younger stays; again is nothing."""
    make_history(database, YOUNG)
    young = history(database)
    make_history(database, OLD, times=3)
    result = certjobs("prune", "--json", url=database.job_url, env=RETENTION | {"CERTJOBS_BATCH_SIZE": "2"})
    assert result.exit_code == 0, result
    assert history(database) == young
    assert result.json()["counts"] == {
        "notifications_deleted": 15,
        "reminder_dispatch_log_deleted": 3,
        "cert_expiry_reminders_deleted": 3,
        "notice_snoozes_deleted": 3,
        "mentor_status_events_deleted": 3,
        "certification_events_deleted": 3,
        "roster_events_deleted": 3,
        "sync_queue_deleted": 6,
        "reconciliation_log_deleted": 3,
        "alerts_deleted": 3,
        "forecasts_deleted": 3,
        "scheduler_run_log_deleted": 3,
        "guarded_sets_deleted": 3,
    }
    before = contents(database, "scheduler_run_log")
    again = certjobs("prune", "--json", url=database.job_url, env=RETENTION)
    assert again.exit_code == 0
    assert not any(again.json()["counts"].values())
    assert contents(database, "scheduler_run_log") == before


def test_retention_that_is_not_set(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without the setting everything is kept, and the command says so and which setting that is."""
    make_history(database, 5000)
    before = contents(database, "scheduler_run_log")
    result = certjobs("prune", url=database.job_url)
    assert result.exit_code == 0
    assert "CERTJOBS_RETENTION_DAYS" in result.stdout
    assert contents(database, "scheduler_run_log") == before
    assert history(database)["scheduler_run_log"] == 1


def test_retention_that_is_too_short(certjobs: Certjobs, database: TestDatabase) -> None:
    """Fewer than 90 days, and what is no number, are a configuration error that deletes nothing; 90 is taken."""
    make_history(database, 5000)
    runs = {"scheduler_run_log"}  # which tells of these runs too
    before = {table: rows for table, rows in contents(database).items() if table not in runs}
    for days in ("89", "0", "-1", "x", "90.5"):
        result = certjobs("prune", env={"CERTJOBS_RETENTION_DAYS": days})
        assert result.exit_code == 78, (days, result)
        assert "RETENTION_DAYS" in result.stderr
    assert {table: rows for table, rows in contents(database).items() if table not in runs} == before
    assert certjobs("prune", url=database.job_url, env=SHORTEST).exit_code == 0
    assert not any(history(database).values())


def test_retention_as_a_dry_run(certjobs: Certjobs, database: TestDatabase) -> None:
    """--dry-run counts what it would delete and deletes nothing, also on a day to come."""
    make_history(database, OLD)
    make_history(database, YOUNG)
    for day in ((), ("--as-of", "2999-12-31")):
        result = unchanged(certjobs, database, "prune", "--dry-run", "--json", *day, exit_code=0)
        assert not any(result.json()["counts"].values())
        before = contents(database)
        result = certjobs("prune", "--dry-run", "--json", *day, env=RETENTION, url=database.job_url)
        assert result.exit_code == 0, result
        assert result.json()["counts"]["roster_events_deleted"] == (2 if day else 1)
        assert contents(database) == before
    assert certjobs("prune", "--as-of", "2999-12-31", env=RETENTION).exit_code == 2
    assert history(database)["roster_events"] == 2


def test_retention_counts_from_the_day_given(certjobs: Certjobs, database: TestDatabase) -> None:
    """--as-of an earlier day keeps what was younger on that day."""
    for days in (105, 115):
        make_history(database, days)
    day = database.one("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date") - timedelta(days=10)
    assert certjobs("prune", "--as-of", day.isoformat(), env=RETENTION).exit_code == 0
    assert set(history(database).values()) == {1, 2, len(FINISHED)}  # two operations, five notices


def test_retention_keeps_what_is_still_owed(certjobs: Certjobs, database: TestDatabase) -> None:
    """Notices that are pending, being sent or failed stay however old, and so do runs and approvals that go on."""
    with database.connect() as connection:
        for status in OPEN:
            connection.execute(f"INSERT INTO notifications {MADE['notifications']}", {"days": 900, "status": status})
        connection.execute(f"INSERT INTO guarded_sets {MADE['guarded_sets']}", {"days": 900})
        connection.execute(
            "UPDATE guarded_sets SET approved_by = 'x', reason = 'r', approved_at = clock_timestamp(),"
            " approved_until = clock_timestamp() + interval '1 day'"
        )
        connection.execute(
            "INSERT INTO scheduler_run_log (run_id, job_name, trigger, started_at, heartbeat_at, status, host, version,"
            " actor, backend_pid, backend_start) SELECT gen_random_uuid(), 'expiry-check', 'schedule',"
            " clock_timestamp() - interval '900 days', clock_timestamp(), 'running', 'h', '1', 'x', pid, backend_start"
            " FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        before = history(database)
        assert certjobs("prune", url=database.job_url, env=RETENTION).exit_code == 0
        assert history(database) == before


PRESENT = {
    "by the job": (),
    "renewed since": (("certs", "renew", "C-renewed since", "--expires", in_days(300), *WHY),),
    "by hand": (
        ("mentors", "reinstate", "by hand", "--force", *WHY, *AS_OF),
        ("mentors", "pause", "by hand", "--reason", "on leave", *AS_OF),
    ),
}


def test_retention_keeps_the_pause_a_mentor_is_in(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor who is paused keeps the event of that pause, with who and why, however long ago it was."""
    bring_in(certjobs, *(Mentor(ref, -1) for ref in PRESENT))
    night(certjobs, database, env=CONSOLE)
    for commands in PRESENT.values():
        for argv in commands:
            done(certjobs, *argv)
    age(database, 900)
    latest = (
        "SELECT DISTINCT ON (mentor_id) m.external_ref, e.event, e.reason, e.actor, e.certification_expiry"
        " FROM mentor_status_events e JOIN peer_mentors m ON m.id = e.mentor_id ORDER BY mentor_id, e.id DESC"
    )
    before = database.all(latest)
    result = certjobs("prune", "--json", url=database.job_url, env=RETENTION)
    assert result.json()["counts"]["notifications_deleted"] == 3
    assert database.all(latest) == before


def test_a_pause_after_retention_is_another_one(certjobs: Certjobs, database: TestDatabase) -> None:
    """Who is reinstated and paused again for the same expiry gets a new ordinal, another key and a notice.

    Also where a renewal that was withdrawn later stood between when retention ran.
    """
    bring_in(certjobs, Mentor("A", -1), Mentor("R", -1))
    night(certjobs, database, env=CONSOLE)
    notices = (
        "SELECT m.external_ref, n.pause_ordinal, n.idempotency_key FROM notifications n"
        " JOIN peer_mentors m ON m.id = n.mentor_id ORDER BY 1"
    )
    first = database.all(notices)
    assert [each[:2] for each in first] == [("A", 1), ("R", 1)]
    renewal = ("--ref", "C-R-2", "--issued", in_days(0), "--expires", in_days(300))
    done(certjobs, "certs", "add", "R", *renewal, *WHY, *AS_OF)
    age(database, 900)
    assert certjobs("prune", url=database.job_url, env=RETENTION).exit_code == 0
    assert database.all(notices) == []
    done(certjobs, "certs", "withdraw", "C-R-2", "--on", in_days(-100), *WHY, *AS_OF)
    for ref in "AR":
        done(certjobs, "mentors", "reinstate", ref, "--force", *WHY, *AS_OF)
    assert len(told(night(certjobs, database, env=CONSOLE).stdout)) == 2
    second = database.all(notices)
    assert [each[:2] for each in second] == [("A", 2), ("R", 2)]
    assert not {key for *_, key in first} & {key for *_, key in second}
    assert told(night(certjobs, database, env=CONSOLE).stdout) == []


def test_a_pause_that_is_over_goes(certjobs: Certjobs, database: TestDatabase) -> None:
    """Once a mentor is active again by a renewal, the old pause and its notice are history like any other."""
    bring_in(certjobs, Mentor("A", -1))
    night(certjobs, database, env=CONSOLE)
    done(certjobs, "certs", "renew", "C-A", "--expires", in_days(300), *WHY)
    done(certjobs, "mentors", "reinstate", "A", *WHY, *AS_OF)
    age(database, 900)
    assert certjobs("prune", url=database.job_url, env=RETENTION).exit_code == 0
    for table in (*AUDIT, "notifications"):
        assert database.one(f"SELECT count(*) FROM {table}") == 0, table


def test_the_jobs_login_cannot_wipe_its_traces(database: TestDatabase) -> None:
    """The jobs' login may delete no history itself, and the function that may refuses what is younger than 90 days."""
    make_history(database, 89)
    before = contents(database)
    with psycopg.connect(database.job_url, autocommit=True) as connection:
        for table in MADE:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM {table}")
        for table in AUDIT:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"UPDATE {table} SET reason = NULL")
        for moment in ("now()", "now() - interval '89 days'", "'infinity'::timestamptz", "now() + interval '1 day'"):
            with pytest.raises(errors.InvalidParameterValue):
                connection.execute(f"SELECT certjobs_forget('roster_events', {moment}, {moment}, 100)")
        ago = "now() - interval '91 days'"
        with pytest.raises(errors.InvalidParameterValue):
            connection.execute(f"SELECT certjobs_forget('roster_events', {ago}, now() - interval '90 days', 100)")
        connection.execute(f"SELECT certjobs_forget('roster_events', {ago}, {ago}, 100)")
        connection.execute("SELECT certjobs_forget('roster_events', NULL, NULL, 100)")
    assert contents(database) == before
