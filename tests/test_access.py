"""Who may do what to whose rows: every role, every table, every kind of assignment, both ways."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shlex
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from tests.canaries import canary
from tests.children.helpers import load
from tests.children.processes import eventually
from tests.conftest import ROOT, Certjobs, migrate
from tests.roster import KARI, OLA, Mentor
from tests.test_migrations import EXACT, NARROWER, ROWS, adopt, downgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.conftest import CertjobsProcess, Cluster, TestDatabase

WHY = ("--reason", "a test")
ISSUER = "https://mentors.example.org"
DENIED = "42501"

# ---------------------------------------------------------------------- what is there

BOTH = f"{KARI}|{OLA}"
ROSTER = (
    Mentor("NONE", coordinators=""),
    Mentor("ONE", coordinators=KARI),
    Mentor("OTHER", coordinators=OLA),
    Mentor("SEVERAL", coordinators=BOTH),
    Mentor("FAR", coordinators=KARI, chapter="Prøvedal"),
    Mentor("FAR-OTHER", coordinators=OLA, chapter="Prøvenes"),
    Mentor("ELSEWHERE", coordinators=KARI, organisation="NHF"),
    Mentor("ELSEWHERE-OTHER", coordinators=OLA, organisation="PRØVE"),
    Mentor("SPELT", coordinators=OLA),  # whose coordinator becomes Kari in another spelling
)
ALL = frozenset(each.ref for each in ROSTER)
KARIS = frozenset({"ONE", "SEVERAL", "FAR", "ELSEWHERE", "SPELT"})
OLAS = frozenset({"OTHER", "SEVERAL", "FAR-OTHER", "ELSEWHERE-OTHER"})
NOBODY: frozenset[str] = frozenset()

# A row a mentor, or a row, in every table that certjobs keeps.
FILL = """
INSERT INTO coordinators (address, name) VALUES ('Kari@Example.org', 'Kari Eksempel');
UPDATE coordinator_assignments SET coordinator_id = (SELECT id FROM coordinators WHERE address = 'Kari@Example.org')
 WHERE mentor_id = (SELECT id FROM peer_mentors WHERE external_ref = 'SPELT');
UPDATE peer_mentors SET status = 'paused', pause_reason = 'a test';
INSERT INTO notifications (kind, mentor_id, certification_expiry, threshold_day, coordinator_id, idempotency_key)
     SELECT 'reminder', a.mentor_id, '2026-12-01', 7, a.coordinator_id, a.mentor_id || ' ' || a.coordinator_id
       FROM coordinator_assignments a;
INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, decided_on)
     SELECT '2026-12-01', id, 7, 'due', '2026-11-24' FROM peer_mentors;
INSERT INTO reminder_dispatch_log (notification_id, kind, mentor_id, certification_expiry, attempt, outcome)
     SELECT id, kind, mentor_id, certification_expiry, 1, 'sent' FROM notifications;
INSERT INTO notice_snoozes (mentor_id, coordinator_id, threshold_day, until, actor)
     SELECT mentor_id, coordinator_id, 30, '2026-12-24', 'a test' FROM coordinator_assignments;
INSERT INTO sync_queue (mentor_id, organisation_id, operation, triggered_by_event, actor, status)
     SELECT id, organisation_id, 'remove', 'paused', 'a test', 'done' FROM peer_mentors;
INSERT INTO website_listing (mentor_id, listed) SELECT id, true FROM peer_mentors;
INSERT INTO reconciliation_log (finding, mentor_id, detail, actor)
     SELECT 'extra', id, 'a test', 'a test' FROM peer_mentors;
INSERT INTO alerts (class, number) VALUES ('a test', 1);
INSERT INTO forecasts (night, job_name, organisation_id, expected)
     SELECT '2026-12-01', 'remind', id, 1 FROM organisations;
INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor)
     VALUES (gen_random_uuid(), 'remind', 'manual', 'a host', '0', 'a test');
INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start)
     VALUES ('remind', gen_random_uuid(), 1, 'a test', 1, now());
INSERT INTO guarded_sets (hash, job_name, organisation_id, size)
     SELECT repeat('ab', 32), 'remind', min(id), 1 FROM organisations;
INSERT INTO guarded_set_members SELECT m.id, '2026-12-01', g.id FROM peer_mentors m, guarded_sets g;
INSERT INTO claim_keys (issuer, key_id, modulus, granted_by, reason)
     VALUES ('https://other.example.org', '1', decode(repeat('ff', 256), 'hex'), 'a test', 'a test');
"""


@cache
def private_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(key: rsa.RSAPrivateKey, key_id: str = "2026-11") -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


def claim(
    subject: object = "kari@example.org",
    *,
    key: Any = None,
    algorithm: str = "RS256",
    key_id: str = "2026-11",
    without: str | None = None,
    **changed: object,
) -> str:
    """Return what the coordinators' portal would sign."""
    body = {"iss": ISSUER, "aud": "certjobs", "sub": subject, "exp": int(time.time()) + 600} | changed
    body["jti"] = canary("claim")
    body.pop(without or "", None)
    made = jwt.PyJWT({"enforce_minimum_key_length": False})
    return made.encode(body, key or private_key(), algorithm=algorithm, headers={"kid": key_id})


@dataclass(frozen=True)
class World:
    """The filled database, with a login for each role."""

    database: TestDatabase

    @contextmanager
    def session(self, login: str, signed: str | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Open a session of a login, all of which is rolled back."""
        url = self.database.cluster.url(self.database.name, login)
        with psycopg.connect(url, options="-c log_statement=none") as connection:  # which would tell the claim
            if signed is not None:
                connection.execute("SELECT set_config('certjobs.claim', %s, false)", [signed])
            yield connection
            connection.rollback()

    def mentors(self, login: str, signed: str | None = None) -> frozenset[str]:
        """Return whom a session sees."""
        with self.session(login, signed) as connection:
            return seen(connection)


def seen(connection: psycopg.Connection[Any]) -> frozenset[str]:
    return frozenset(ref for (ref,) in connection.execute("SELECT external_ref FROM peer_mentors"))


OWN_LOGINS = {
    "kari": "certjobs_coordinator",
    "portal": "certjobs_coordinator",
    "idle": "certjobs_coordinator",
    "stranger": None,
    "application": None,
}


@pytest.fixture(scope="session")
def logins(cluster: Cluster) -> None:
    """Create the logins that only these tests need."""
    for login, role in OWN_LOGINS.items():
        cluster.execute(f"CREATE ROLE {login} LOGIN" + (f" IN ROLE {role}" if role else ""))
    cluster.execute("CREATE ROLE switching LOGIN NOINHERIT IN ROLE certjobs_coordinator")
    cluster.execute("CREATE ROLE owners_friend LOGIN IN ROLE certjobs_coordinator, postgres")
    cluster.execute("CREATE ROLE creator LOGIN CREATEROLE IN ROLE certjobs_coordinator")


@pytest.fixture
def world(logins: None, database: TestDatabase, certjobs: Certjobs, tmp_path: Path) -> World:  # noqa: ARG001
    """Fill a database, and say through the command line who is who."""
    load(certjobs, *ROSTER)
    database.execute(FILL)
    database.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO application")
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [jwk(private_key())]}), encoding="utf-8")
    for argv in (("grant", "kari", "kari@example.org"), ("trust", ISSUER, str(keys))):
        result = certjobs("access", *argv, *WHY)
        assert result.exit_code == 0, result.stderr
    return World(database)


# ---------------------------------------------------------------------- the matrix

_OURS = """
    organisations chapters coordinators peer_mentors coordinator_assignments certifications
    certification_events mentor_status_events roster_events notifications cert_expiry_reminders
    reminder_dispatch_log notice_snoozes sync_queue website_listing reconciliation_log alerts forecasts
    scheduler_run_log job_lock guarded_sets guarded_set_members coordinator_logins claim_keys
    certjobs_schema_version
"""
TABLES = tuple(_OURS.split())
# What tells a table's rows apart, of what everybody who sees any may see.
TELLING = dict.fromkeys(TABLES, "mentor_id") | {
    "organisations": "id",
    "chapters": "id",
    "coordinators": "id",
    "peer_mentors": "id",
    "coordinator_assignments": "(mentor_id, coordinator_id)",
    "notice_snoozes": "(mentor_id, coordinator_id)",
    "notifications": "id",
    "roster_events": "(entity, entity_id)",
    "alerts": "id",
    "forecasts": "organisation_id",
    "scheduler_run_log": "run_id",
    "job_lock": "job_name",
    "guarded_sets": "id",
    "coordinator_logins": "login",
    "claim_keys": "key_id",
    "certjobs_schema_version": "version_num",
}


def cells(text: str) -> dict[str, str]:
    """Return the letters a table, from lines of letters and the tables that have them; every other table has none."""
    found = dict.fromkeys(TABLES, "")
    for line in text.strip().splitlines():
        letters, *tables = line.split()
        found |= dict.fromkeys(tables, letters)
    return found


# S select, I insert, U update, D delete.
JOB = cells("""
    S    certjobs_schema_version organisations chapters coordinators peer_mentors coordinator_assignments
    S    certification_events mentor_status_events roster_events notice_snoozes
    SIU  notifications sync_queue reconciliation_log alerts scheduler_run_log guarded_sets
    SI   cert_expiry_reminders reminder_dispatch_log guarded_set_members
    SIUD website_listing job_lock
    SIU  forecasts
""")
ADMIN = cells("""
    S    certjobs_schema_version
    SIU  organisations chapters
    SIUD coordinators peer_mentors coordinator_assignments certifications notice_snoozes website_listing job_lock
    SU   certification_events mentor_status_events roster_events
    SIU  notifications sync_queue reconciliation_log alerts forecasts scheduler_run_log guarded_sets
    SIU  reminder_dispatch_log coordinator_logins claim_keys
    SI   cert_expiry_reminders guarded_set_members
""")
READ = dict.fromkeys(TABLES, "S")
COORDINATOR = cells("""
    S    certjobs_schema_version organisations chapters coordinators peer_mentors coordinator_assignments certifications
    S    mentor_status_events notifications website_listing
    SIUD notice_snoozes
""")
NOTHING = dict.fromkeys(TABLES, "")
EVERYTHING = dict.fromkeys(TABLES, "SIUD")


@dataclass(frozen=True)
class Who:
    """A role as somebody has it: the login, whether it shows a claim, what it may do, whom it sees, and how many."""

    login: str
    may: Mapping[str, str]
    sees: frozenset[str]
    claims: bool = False
    coordinator: bool = False


WHO = {
    "a job": Who("certjobs_test_job", JOB, ALL),
    "an administrator": Who("certjobs_test_admin", ADMIN, ALL),
    "a reader": Who("certjobs_test_read", READ, ALL),
    "a coordinator by login": Who("kari", COORDINATOR, KARIS, coordinator=True),
    "a coordinator by claim": Who("portal", COORDINATOR, KARIS, claims=True, coordinator=True),
    "a coordinator's role and nobody": Who("idle", COORDINATOR, NOBODY, coordinator=True),
    "no role at all": Who("stranger", NOTHING, NOBODY),
    "the application, by its own privileges": Who("application", EVERYTHING, ALL),
}


@pytest.mark.parametrize("name", WHO)
def test_each_role_may_what_is_written_here_and_nothing_else(world: World, name: str) -> None:
    """Each operation of each role on each table is as the matrix says, and shows just the rows it should."""
    who = WHO[name]
    expected: dict[tuple[str, str], object] = {}
    found: dict[tuple[str, str], object] = {}
    with world.session(who.login, claim() if who.claims else None) as connection:
        for table in TABLES:
            for letter in "SIUD":
                allowed = letter in who.may[table]
                there = rows(world, who, table) if "S" in who.may[table] else []
                expected[table, letter] = there if allowed and letter == "S" else allowed
                found[table, letter] = attempt(connection, table, letter)
                if allowed and letter in "UD" and found[table, letter] == len(there):
                    found[table, letter] = True
    wrong = {cell: (found[cell], expected[cell]) for cell in expected if found[cell] != expected[cell]}
    assert not wrong, wrong


def rows(world: World, who: Who, table: str) -> list[str]:
    """Return which rows somebody should see, by the owner's reckoning, who is held by no policy."""
    wanted = "true"
    if who.coordinator and table != "certjobs_schema_version":
        kari = "coordinator_id IN (SELECT id FROM coordinators WHERE lower(address) = 'kari@example.org')"
        theirs = "IN (SELECT id FROM peer_mentors WHERE external_ref = ANY (%(refs)s))"
        wanted = {
            "coordinators": kari.replace("coordinator_id", "id", 1),
            "coordinator_assignments": kari,
            "notifications": kari,
            "notice_snoozes": kari,
            "organisations": "id IN (SELECT organisation_id FROM peer_mentors WHERE external_ref = ANY (%(refs)s))",
            "chapters": "id IN (SELECT chapter_id FROM peer_mentors WHERE external_ref = ANY (%(refs)s))",
            "peer_mentors": f"id {theirs}",
        }.get(table, f"mentor_id {theirs}")
        wanted += " AND cardinality(%(refs)s::text[]) > 0"
    query = f"SELECT {TELLING[table]}::text FROM {table} WHERE {wanted} ORDER BY 1"
    with world.database.connect() as connection:
        found = [row for (row,) in connection.execute(query, {"refs": sorted(who.sees)})]
    assert found or not who.sees, f"{table} is empty: the cell would prove nothing"
    return found


def attempt(connection: psycopg.Connection[Any], table: str, letter: str) -> object:
    """Really do one operation, to every row there is, and take it back.

    Returns the rows it showed, how many it changed, or whether it was allowed; what the table's own rules refuse once
    row security has let it through was allowed.
    """
    privilege = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}[letter]
    held = connection.execute(
        "SELECT attname, has_column_privilege(attrelid, attname, %s), has_column_privilege(attrelid, attname, 'SELECT')"
        " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY NOT has_column_privilege(attrelid, attname, 'SELECT'), attidentity <> '', attnum",
        ["SELECT" if letter == "D" else privilege, table],
    ).fetchall()
    written = [name for name, may, _ in held if may] or [name for name, _, _ in held]
    column, both = written[0], ", ".join([name for name, may, may_see in held if may and may_see] or written[:1])
    statement = {
        "S": f"SELECT {TELLING[table]}::text FROM {table} ORDER BY 1",
        "I": f"INSERT INTO {table} ({both}) OVERRIDING SYSTEM VALUE SELECT {both} FROM {table}",
        "U": f"UPDATE {table} SET {column} = {column}",
        "D": f"DELETE FROM {table}",
    }[letter]
    try:
        with connection.transaction(force_rollback=True):
            done = connection.execute(statement)
            return [row for (row,) in done] if letter == "S" else done.rowcount if letter in "UD" else True
    except psycopg.errors.InsufficientPrivilege:
        return False
    except (psycopg.errors.IntegrityError, psycopg.errors.RestrictViolation, psycopg.errors.GeneratedAlways):
        return True


@pytest.mark.parametrize("name", ["a job", "an administrator", "a coordinator by login"])
def test_roles_need_no_policy_but_their_own(world: World, name: str) -> None:
    """Where the application's own row security lets nobody else in, each role reads and writes just the same."""
    for table in TABLES:
        world.database.execute(f"DROP POLICY IF EXISTS certjobs_others ON {table}")
    test_each_role_may_what_is_written_here_and_nothing_else(world, name)
    assert world.mentors("application") == NOBODY


def test_no_role_may_truncate_refer_or_hang_triggers(world: World) -> None:
    """What goes round row security and the audit's triggers is the owner's alone; the one view is as written."""
    held = world.database.all(
        "SELECT r.rolname, c.relname, p"
        " FROM pg_roles r, pg_class c, unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) p"
        " WHERE r.rolname LIKE 'certjobs\\_%%' AND c.relnamespace = 2200 AND c.relkind IN ('r', 'v')"
        " AND has_table_privilege(r.oid, c.oid, p)"
    )
    assert held == []
    views = world.database.all(
        "SELECT c.relname, x.grantee::regrole::text, x.privilege_type"
        "  FROM pg_class c, aclexplode(c.relacl) x"
        " WHERE c.relkind = 'v' AND c.relnamespace = 2200 AND x.grantee::regrole::text LIKE 'certjobs\\_%%'"
    )
    assert set(views) == {
        ("approved_changes", role, "SELECT") for role in ("certjobs_job", "certjobs_admin", "certjobs_read")
    }


KEPT_FROM_COORDINATORS = {
    "mentor_status_events": {"reason", "actor", "run_id"},
    "notifications": {
        "idempotency_key", "attempt", "not_before", "last_error", "message_id", "caused_by_run", "claimed_by_run",
        "added", "channel", "handled_by", "handled_reason", "handled_at",
    },
    "website_listing": {"operation_id", "run_id"},
    "notice_snoozes": {"reason", "actor"},
}  # fmt: skip


def test_a_coordinator_sees_these_columns_and_no_others(world: World) -> None:
    """Of the tables that a coordinator sees, what is written for administrators and by jobs stays theirs."""
    hidden: dict[str, set[str]] = {}
    for table, column, may in world.database.all(
        "SELECT c.relname, a.attname, has_column_privilege('certjobs_coordinator', c.oid, a.attnum, 'SELECT')"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relname = ANY (%s)",
        [table for table in TABLES if "S" in COORDINATOR[table]],
    ):
        if not may:
            hidden.setdefault(table, set()).add(column)
    assert hidden == KEPT_FROM_COORDINATORS


SNOOZE = (
    "INSERT INTO notice_snoozes (mentor_id, coordinator_id, threshold_day, until, reason)"
    " SELECT %s, %s, 14, '2026-12-24', 'on leave'"
)


@pytest.mark.parametrize("who", ["a coordinator by login", "a coordinator by claim"])
def test_a_coordinator_snoozes_own_notices_of_own_mentors_alone(world: World, who: str) -> None:
    """For every assignment and coordinator, only Kari's rows of Kari's mentors can be added, changed and taken away."""
    refs = dict(world.database.all("SELECT external_ref, id FROM peer_mentors"))
    coordinators = dict(world.database.all("SELECT address, id FROM coordinators"))
    karis = {coordinators["kari@example.org"], coordinators["Kari@Example.org"]}
    theirs = set(world.database.all("SELECT mentor_id, coordinator_id FROM coordinator_assignments"))
    with world.session(WHO[who].login, claim() if WHO[who].claims else None) as connection:
        for ref, mentor in refs.items():
            for coordinator in coordinators.values():
                allowed = ref in KARIS and coordinator in karis
                try:
                    with connection.transaction():
                        connection.execute(SNOOZE, [mentor, coordinator])
                        added = True
                except psycopg.errors.InsufficientPrivilege:
                    added = False
                assert added is allowed, (ref, coordinator)
                for statement in ("UPDATE notice_snoozes SET until = '2027-01-01'", "DELETE FROM notice_snoozes"):
                    with connection.transaction(force_rollback=True):
                        changed = connection.execute(
                            f"{statement} WHERE mentor_id = %s AND coordinator_id = %s AND threshold_day = 30",
                            [mentor, coordinator],
                        ).rowcount
                    there = (mentor, coordinator) in theirs and allowed
                    assert changed == there, (statement, ref, coordinator)
        connection.commit()
    actors = "SELECT DISTINCT actor FROM notice_snoozes WHERE reason = 'on leave'"
    assert world.database.all(actors) == [(WHO[who].login,)]


def test_every_table_is_secured_and_in_the_matrix(world: World) -> None:
    """No table of ours has row security off, and none stands outside the matrix."""
    there = dict(
        world.database.all("SELECT relname, relrowsecurity FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200")
    )
    assert set(there) == set(TABLES)
    assert {name for name, secured in there.items() if not secured} == {"certjobs_schema_version"}


DEFINERS = {
    "certjobs_pause_expired": {"certjobs_job"},
    "certjobs_pause_free": {"certjobs_job"},
    "certjobs_pause_next": {"certjobs_job"},
    "certjobs_forget": {"certjobs_job"},
    "certjobs_own_coordinators": {"certjobs_coordinator"},
    "certjobs_own_mentors": {"certjobs_coordinator"},
    "certjobs_own_places": {"certjobs_coordinator"},
}


def test_functions_with_the_owners_privileges_are_nobodys_but_these(world: World) -> None:
    """Each searches the system's schema alone, the temporary one last, and only the named roles may call it."""
    found = {}
    for name, path, grantees in world.database.all(
        "SELECT p.proname, array_to_string(p.proconfig, ' '), ARRAY(SELECT x.grantee::regrole::text"
        " FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee <> p.proowner)"
        " FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
    ):
        assert "search_path=pg_catalog, pg_temp" in path, name
        if grantees:
            found[name] = set(grantees)
    assert found == DEFINERS


@pytest.mark.parametrize("login", ["kari", "stranger", "certjobs_test_read", "certjobs_test_job"])
def test_nobody_writes_an_audit_of_what_never_happened(world: World, login: str) -> None:
    """A trigger function of ours cannot be hung on somebody's own temporary table."""
    with world.session(login) as connection:
        connection.execute("CREATE TEMPORARY TABLE mine (id bigint, status text)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "CREATE TRIGGER forged AFTER INSERT ON mine REFERENCING NEW TABLE AS added"
                " FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_arrival()"
            )


# ---------------------------------------------------------------------- who somebody is


def test_who_a_coordinator_is_comes_from_nothing_that_a_client_can_write(world: World) -> None:
    """Whatever a session sets, a name of its own or somebody's role included, it sees no more than before."""
    with world.session("idle") as connection:
        for name in ("actor", "run_id", "today", "reason", "coordinator", "coordinator_id", "login", "address"):
            for value in ("kari@example.org", "kari", "1"):
                connection.execute("SELECT set_config(%s, %s, false)", [f"certjobs.{name}", value])
        connection.execute("SET application_name = 'kari'")
        assert seen(connection) == NOBODY
        for statement in ("SET SESSION AUTHORIZATION kari", "SET ROLE kari", "SET ROLE certjobs_read"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
        connection.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            seen(connection)
        connection.execute("SET row_security = on")
        with connection.transaction():  # functions and tables of the session's own stand behind ours
            connection.execute(
                "CREATE FUNCTION pg_temp.certjobs_own_mentors() RETURNS bigint[] LANGUAGE sql"
                " AS $$ SELECT ARRAY(SELECT generate_series(1, 1000)::bigint) $$"
            )
            connection.execute("CREATE TEMPORARY TABLE coordinator_assignments AS SELECT 1 AS mentor_id")
            connection.execute("SET search_path = pg_temp, public")
            assert frozenset(r for (r,) in connection.execute("SELECT external_ref FROM public.peer_mentors")) == NOBODY


def test_a_login_is_believed_before_a_claim(world: World) -> None:
    """A session of Kari's own login is Kari's, whatever it shows besides."""
    assert world.mentors("kari", claim("ola@example.org")) == KARIS


def test_a_role_that_is_switched_to_is_bound_as_well(world: World) -> None:
    """A login that takes the role on by SET ROLE sees what its claim says, and before that nothing at all."""
    with world.session("switching", claim("ola@example.org")) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            seen(connection)
        connection.execute("SET ROLE certjobs_coordinator")
        assert seen(connection) == OLAS


def test_a_claim_holds_for_whom_it_names(world: World) -> None:
    """Spelling, further audiences and a moment that has come do not matter; who is no coordinator sees nobody."""
    assert world.mentors("portal") == NOBODY
    assert world.mentors("portal", "") == NOBODY
    assert world.mentors("portal", claim("OLA@example.org")) == OLAS
    assert world.mentors("portal", claim(aud=["another", "certjobs"])) == KARIS
    assert world.mentors("portal", claim(nbf=int(time.time()) - 5, exp=time.time() + 60.5)) == KARIS
    assert world.mentors("portal", claim("nobody@example.org")) == NOBODY


def pieces(**changed: object) -> str:
    """Return a claim whose parts are as given, each as JSON, and signed by the key that is trusted."""
    header = changed.get("header", {"alg": "RS256", "kid": "2026-11"})
    body = changed.get("body", {"iss": ISSUER, "aud": "certjobs", "sub": "kari@example.org", "exp": time.time() + 60})
    if isinstance(body, dict):
        body = {**body, "jti": canary("claim")}
    first, second = (
        urlsafe_b64encode(each if isinstance(each, bytes) else json.dumps(each).encode()).rstrip(b"=")
        for each in (header, body)
    )
    signature = private_key().sign(first + b"." + second, padding.PKCS1v15(), hashes.SHA256())
    return b".".join((first, second, urlsafe_b64encode(signature).rstrip(b"="))).decode()


def public_pem() -> bytes:
    return (
        private_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def forged() -> str:
    """Return Kari's claim with somebody else's body and the signature of the first."""
    first, second = claim().split("."), claim("ola@example.org").split(".")
    return ".".join([first[0], second[1], first[2]])


def hs256() -> str:
    """Return a claim whose signature is a digest keyed with what everybody knows, the public key."""
    signed, _, _ = pieces(header={"alg": "HS256", "kid": "2026-11"}).rpartition(".")
    digest = hmac.new(public_pem(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


UNSIGNED = "The claim is no signed JSON Web Token."
UNTRUSTED = "The claim is not signed by a key that certjobs trusts."
EXPIRED = "The claim has expired, or says no moment at which it does."
ELSEWHERE = "The claim is for somebody else: its audience is not certjobs."
EARLY = "The claim does not hold yet."
NAMELESS = "The claim says nobody's address."
BAD_CLAIMS: dict[str, tuple[Callable[[], str], str]] = {
    "not three parts": (lambda: "a.b", UNSIGNED),
    "padding": (lambda: claim() + "=", UNSIGNED),
    "far too long": (lambda: claim("k" * 9000), UNSIGNED),
    "no JSON": (lambda: pieces(body=b"{"), UNSIGNED),
    "no text": (lambda: pieces(header=b"\xff\xff"), UNSIGNED),
    "a signature of no length": (lambda: claim().rpartition(".")[0] + ".A", UNSIGNED),
    "no object": (lambda: pieces(body=["kari@example.org"]), UNTRUSTED),
    "another's key": (lambda: claim(key=rsa.generate_private_key(65537, 2048)), UNTRUSTED),
    "a key of another id": (lambda: claim(key_id="2025-01"), UNTRUSTED),
    "another issuer": (lambda: claim(iss="https://other.example.org"), UNTRUSTED),
    "no issuer": (lambda: claim(without="iss"), UNTRUSTED),
    "alg none": (lambda: pieces(header={"alg": "none", "kid": "2026-11"}), UNTRUSTED),
    "alg HS256 with the public key as its secret": (hs256, UNTRUSTED),
    "alg RS512": (lambda: claim(algorithm="RS512"), UNTRUSTED),
    "alg PS256": (lambda: claim(algorithm="PS256"), UNTRUSTED),
    "an extension that must be understood": (
        lambda: pieces(header={"alg": "RS256", "kid": "2026-11", "crit": ["b64"], "b64": False}),
        UNTRUSTED,
    ),
    "a changed body": (forged, UNTRUSTED),
    "a shorter signature": (lambda: claim()[:-4], UNTRUSTED),
    "another audience": (lambda: claim(aud="another"), ELSEWHERE),
    "no audience": (lambda: claim(without="aud"), ELSEWHERE),
    "an audience that only begins so": (lambda: claim(aud="certjobs-staging"), ELSEWHERE),
    "expired": (lambda: claim(exp=int(time.time()) - 1), EXPIRED),
    "without an end": (lambda: claim(without="exp"), EXPIRED),
    "an end in words": (lambda: pieces(body={"iss": ISSUER, "aud": "certjobs", "sub": "a", "exp": "never"}), EXPIRED),
    "for two days": (lambda: claim(exp=int(time.time()) + 2 * 86_400), "The claim holds for more than a day."),
    "too early": (lambda: claim(nbf=int(time.time()) + 60), EARLY),
    "nobody": (lambda: claim(without="sub"), NAMELESS),
    "a number": (lambda: pieces(body={"iss": ISSUER, "aud": "certjobs", "sub": 1, "exp": time.time() + 60}), NAMELESS),
}


def test_a_claim_that_is_not_right_in_every_part_is_refused_aloud(world: World) -> None:
    """Each way in which a claim can be wrong is an error that says so, and shows no row."""
    with world.session("portal") as connection:
        for name, (make, why) in BAD_CLAIMS.items():
            connection.execute("SELECT set_config('certjobs.claim', %s, false)", [make()])
            with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification) as refused, connection.transaction():
                seen(connection)
            assert refused.value.diag.message_primary == why, name


def test_a_signature_is_checked_once_a_statement(world: World) -> None:
    """However many coordinators there are, a claim costs the check of one signature wherever a policy asks."""
    world.database.execute(
        "INSERT INTO coordinators (address, name) SELECT 'k' || i || '@example.org', 'K' FROM generate_series(1, 50) i"
    )
    world.database.execute("ALTER ROLE portal SET track_functions = 'all'")
    calls = "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'certjobs_signed'"
    with world.session("portal", claim()) as connection:
        for table in ("coordinators", "peer_mentors", "organisations", "notifications"):
            with connection.transaction():
                before = (connection.execute(calls).fetchone() or (0,))[0]
                connection.execute(f"SELECT {TELLING[table]} FROM {table}")
                (after,) = connection.execute(calls).fetchone() or (0,)
            assert after - before <= 2, table  # once for each of the two functions that a policy may name


def test_a_key_that_is_trusted_no_more_signs_nothing(world: World, certjobs: Certjobs) -> None:
    """From the moment it is taken back, what it signed before is refused too; trusted anew it counts again."""
    assert world.mentors("portal", claim()) == KARIS
    result = certjobs("access", "distrust", ISSUER, "2026-11", *WHY)
    assert (result.exit_code, result.stdout) == (0, "2026-11 is trusted no more.\n"), result.stderr
    with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
        world.mentors("portal", claim())


@settings(max_examples=30)
@given(message=st.binary(max_size=300), bits=st.sampled_from([2048, 3072, 4096]), place=st.integers(0, 255))
def test_signatures_are_checked_as_a_library_checks_them(
    signatures: psycopg.Connection[Any], message: bytes, bits: int, place: int
) -> None:
    """What a library signs is accepted, for keys of every usual length; with one bit changed anywhere it is not."""
    key = private_key(bits)
    modulus: bytes = key.public_key().public_numbers().n.to_bytes(bits // 8)
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    changed = bytearray(signature)
    changed[place] ^= 1 << place % 8
    found = signatures.execute(
        "SELECT certjobs_signed(%(m)s, %(s)s, %(n)s), certjobs_signed(%(m)s, %(c)s, %(n)s),"
        " certjobs_signed(%(m)s || '\\x00', %(s)s, %(n)s), certjobs_signed(%(m)s, '\\x00' || %(s)s, %(n)s)",
        {"m": message, "s": signature, "c": bytes(changed), "n": modulus},
    ).fetchone()
    assert found == (True, False, False, False)


@pytest.fixture
def signatures(database: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as connection:
        yield connection


# ---------------------------------------------------------------------- by the command line


def test_a_coordinators_login_uses_the_lists(world: World, certjobs: Certjobs) -> None:
    """With Kari's login, the lists show Kari's mentors, and of coordinators Kari alone."""
    url = world.database.cluster.url(world.database.name, "kari")
    listed = certjobs("mentors", "list", "--json", url=url)
    assert {each["mentor_ref"] for each in listed.json()} == KARIS, listed.stderr
    held = certjobs("certs", "list", "--json", url=url)
    assert {each["mentor_ref"] for each in held.json()} == KARIS, held.stderr
    whom = certjobs("coordinators", "list", "--json", url=url)
    assert {each["address"].lower() for each in whom.json()} == {"kari@example.org"}, whom.stderr


def test_a_coordinators_login_changes_nothing_by_the_command_line(world: World, certjobs: Certjobs) -> None:
    """What administrators and jobs do is refused with a sentence, and nothing is written."""
    url = world.database.cluster.url(world.database.name, "kari")
    before = everything(world.database)
    for argv in (
        ("mentors", "reinstate", "ONE", "--force", *WHY),
        ("mentors", "assign", "NONE", "kari@example.org", *WHY),
        ("coordinators", "set", "kari@example.org", "--language", "en", *WHY),
        ("access", "grant", "idle", "ola@example.org", *WHY),
        ("access", "list"),
        ("expiry-check",),
        ("queue", "list"),
    ):
        result = certjobs(*argv, url=url)
        assert (result.exit_code, "lacks a privilege" in result.stderr) == (78, True), (argv, result)
    assert everything(world.database) == before


READING: tuple[tuple[str, ...], ...] = (
    ("status",), ("runs",), ("mentors", "list"), ("mentors", "show", "ONE"), ("certs", "list"), ("orgs", "list"),
    ("coordinators", "list"), ("notifications", "list"), ("notifications", "snoozes"), ("queue", "list"),
    ("forecast",), ("explain", "ONE"), ("access", "list"), ("db", "current"), ("roster", "export", "-"),
)  # fmt: skip
WRITING: tuple[tuple[str, ...], ...] = (
    ("mentors", "reinstate", "ONE", "--force", *WHY), ("mentors", "erase", "ONE", "--yes", *WHY),
    ("orgs", "set", "HLF", "--remind", *WHY),
    ("coordinators", "remove", "ola@example.org", "--yes", *WHY), ("access", "revoke", "kari", *WHY),
    ("certs", "renew", "C-ONE", "--expires", "2028-01-01", *WHY), ("expiry-check",), ("sync",), ("prune",),
    ("unlock", "remind", *WHY), ("approve", "abababab", *WHY),
)  # fmt: skip


def test_a_reader_reads_all_and_writes_nothing(world: World, certjobs: Certjobs) -> None:
    """Every command that only looks works with certjobs_read; every one that writes is refused, and changes nothing."""
    url = world.database.read_url
    for argv in READING:
        result = certjobs(*argv, url=url)
        there_twice = argv[0] == "roster"  # a coordinator in two spellings, which no file could bring in
        assert result.exit_code == (3 if there_twice else 0), (argv, result)
    before = everything(world.database)
    for argv in WRITING:
        result = certjobs(*argv, url=url)
        assert (result.exit_code, "lacks a privilege" in result.stderr) == (78, True), (argv, result)
    assert everything(world.database) == before


def everything(database: TestDatabase) -> dict[str, list[tuple[str]]]:
    """Return every row of every table."""
    return {table: database.all(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}


# ---------------------------------------------------------------------- who is let in, and whose word counts


def test_access_is_granted_once_shown_and_taken_back(world: World, certjobs: Certjobs) -> None:
    """Granting again is nothing; the list says who let whom in and why; revoked, the login sees nobody at once."""
    again = certjobs("access", "grant", "kari", "KARI@example.org", *WHY)
    assert (again.exit_code, again.stdout) == (0, "It was so already.\n"), again.stderr
    granted = certjobs("access", "list", "--json").json()
    assert [(each["kind"], each["who"], each["what"], each["granted_by"]) for each in granted] == [
        ("login", "kari", "kari@example.org", "test"),
        ("key", ISSUER, "2026-11", "test"),
        ("key", "https://other.example.org", "1", "a test"),
    ]
    tried = certjobs("access", "revoke", "kari", "--dry-run", *WHY)
    assert (tried.exit_code, world.mentors("kari")) == (0, KARIS)
    assert certjobs("access", "revoke", "kari", *WHY).stdout == "kari sees nobody now.\n"
    assert world.mentors("kari") == NOBODY
    assert certjobs("access", "revoke", "kari", *WHY).exit_code == 2
    assert certjobs("access", "grant", "kari", "ola@example.org", *WHY).exit_code == 0
    assert world.mentors("kari") == OLAS
    world.database.cluster.execute("CREATE ROLE leaving LOGIN IN ROLE certjobs_coordinator")
    assert certjobs("access", "grant", "leaving", "kari@example.org", *WHY).exit_code == 0
    assert certjobs("db", "check").exit_code == 0
    world.database.cluster.execute("DROP ROLE leaving")
    gone = certjobs("db", "check")
    assert (gone.exit_code, "certjobs access revoke leaving" in gone.stdout) == (78, True), gone.stdout
    assert certjobs("db", "check", url=world.database.job_url).exit_code == 0  # which sees no logins
    assert certjobs("access", "revoke", "leaving", *WHY).exit_code == 0
    removed = certjobs("coordinators", "remove", "ola@example.org", "--yes", *WHY)
    assert (removed.exit_code, world.mentors("kari")) == (0, NOBODY), removed.stderr


@pytest.mark.parametrize(
    ("login", "address", "why"),
    [
        (
            "nobody_there",
            "kari@example.org",
            "As the owner: CREATE ROLE nobody_there LOGIN IN ROLE certjobs_coordinator;",
        ),
        ("stranger", "kari@example.org", "As the owner: GRANT certjobs_coordinator TO stranger;"),
        ("certjobs_test_admin", "kari@example.org", "certjobs_coordinator and none of the others"),
        ("postgres", "kari@example.org", "certjobs_coordinator and none of the others"),
        ("owners_friend", "kari@example.org", "certjobs_coordinator and none of the others"),
        ("creator", "kari@example.org", "certjobs_coordinator and none of the others"),
        ("Ny Bruker", "kari@example.org", 'As the owner: CREATE ROLE "Ny Bruker" LOGIN IN ROLE'),
        ("kari", "ola@example.org", "certjobs access revoke kari"),
        ("idle", "nobody@example.org", "There is no coordinator with that address"),
    ],
)
def test_a_login_that_cannot_be_a_coordinators_is_refused(
    world: World, certjobs: Certjobs, login: str, address: str, why: str
) -> None:
    """What does not exist, is bound to nothing, sees everything or is another's is refused with what to do."""
    before = everything(world.database)
    result = certjobs("access", "grant", login, address, *WHY)
    assert (result.exit_code, why in " ".join(result.stderr.split())) == (2, True), result.stderr
    assert everything(world.database) == before


def with_(key: Mapping[str, object], **changed: object) -> str:
    return json.dumps({**key, **changed})


def test_only_public_keys_that_can_be_checked_are_trusted(certjobs: Certjobs, database: TestDatabase) -> None:
    """A private key, a short one, one of another kind or a file of something else is refused, and not repeated."""
    good = jwk(private_key())
    private = {**RSAAlgorithm.to_jwk(private_key(), as_dict=True), "kid": "1"}
    short = with_(good, n=good["n"][:170])
    for given_, why in {
        json.dumps(private): "it holds a private key",
        short: "a key has 10",
        with_(good, kid=""): "a key has no id",
        with_(good, alg="RS512"): "a key is not for RS256",
        with_(good, e="Aw"): "a key's exponent is not 65537",
        with_(good, n="%"): "a key has 0 bits",
        with_(good, use="enc"): "no RSA key for signatures",
        with_(good, kty="EC"): "no RSA key for signatures",
        json.dumps({"keys": [good, good]}): "two keys have the same id",
        json.dumps({"keys": 1}): "no JSON Web Key",
        "[]": "no JSON Web Key",
        "-----BEGIN PUBLIC KEY-----": "the file is not JSON",
    }.items():
        result = certjobs("access", "trust", ISSUER, "-", *WHY, stdin=given_.encode())
        assert (result.exit_code, why in " ".join(result.stderr.split())) == (2, True), result.stderr
        assert str(private["d"])[:12] not in result.stderr
    assert database.one("SELECT count(*) FROM claim_keys") == 0
    assert certjobs("access", "trust", " ", "-", *WHY, stdin=json.dumps(good).encode()).exit_code == 2
    assert certjobs("access", "trust", ISSUER, "/nowhere", *WHY).exit_code == 2

    first = certjobs("access", "trust", ISSUER, "-", *WHY, stdin=json.dumps(good).encode())
    assert (first.exit_code, first.stdout) == (0, "Trusted now: 2026-11.\n"), first.stderr
    again = certjobs("access", "trust", ISSUER, "-", *WHY, stdin=json.dumps(good).encode())
    assert (again.exit_code, again.stdout) == (0, "Trusted already.\n")
    other = json.dumps(jwk(rsa.generate_private_key(65537, 2048)))
    changed = certjobs("access", "trust", ISSUER, "-", *WHY, stdin=other.encode())
    assert (changed.exit_code, "A new key needs an id of its own" in changed.stderr) == (2, True)


# ---------------------------------------------------------------------- an application that was there first


def test_row_security_of_the_application_stays_as_it_was(empty_database: TestDatabase) -> None:
    """Where a table had policies, ours add to them for our roles alone; others see what they saw, before and after."""
    adopt(empty_database, EXACT)
    empty_database.execute(ROWS)
    role = f"app_{empty_database.name}"
    with empty_database.connect() as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT SELECT ON peer_mentors, chapters TO {role}")
        connection.execute("ALTER TABLE peer_mentors ENABLE ROW LEVEL SECURITY")
        connection.execute(f"CREATE POLICY theirs ON peer_mentors TO {role} USING (external_ref = 'NONE')")
    sight = World(empty_database)
    assert sight.mentors(role) == {"NONE"}
    migrate(empty_database.url)
    assert sight.mentors(role) == {"NONE"}
    assert sight.mentors("certjobs_test_job") == sight.mentors("certjobs_test_read") > {"NONE"}
    with sight.session(role) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM chapters").fetchone() == (True,)
    downgrade(empty_database.url, "0013")
    assert sight.mentors(role) == {"NONE"}
    secured = "SELECT relname::text FROM pg_class WHERE relrowsecurity"
    assert empty_database.all(secured) == [("peer_mentors",)]
    empty_database.execute(f"DROP OWNED BY {role}")
    empty_database.cluster.execute(f"DROP ROLE {role}")


def test_policies_that_are_switched_off_are_not_woken(empty_database: TestDatabase) -> None:
    """Where an application keeps policies that are off, the upgrade refuses, names them and changes nothing."""
    adopt(empty_database, EXACT)
    empty_database.execute("CREATE POLICY asleep ON chapters AS RESTRICTIVE USING (false)")
    refused = Certjobs(empty_database.url)("db", "upgrade")
    assert (refused.exit_code, "Row security is off for chapters" in refused.stderr) == (78, True), refused.stderr
    assert empty_database.all("SELECT relname FROM pg_class WHERE relrowsecurity") == []
    empty_database.execute("DROP POLICY asleep ON chapters")
    assert Certjobs(empty_database.url)("db", "upgrade").exit_code == 0


def test_what_the_application_secured_later_stays_secured(world: World) -> None:
    """An application that puts policies of its own in place of ours for others holds its logins; going back, too."""
    world.database.execute("DROP POLICY certjobs_others ON chapters")
    world.database.execute("CREATE POLICY theirs ON peer_mentors TO application USING (external_ref = 'ONE')")
    beside = Certjobs(world.database.url)("db", "check")
    assert (beside.exit_code, "certjobs_others on peer_mentors lets everybody in" in beside.stdout) == (78, True)
    world.database.execute("DROP POLICY certjobs_others ON peer_mentors")
    assert world.mentors("application") == {"ONE"}
    assert world.mentors("certjobs_test_job") == ALL
    downgrade(world.database.url, "0013")
    assert world.mentors("application") == {"ONE"}


def test_an_application_copies_in_as_the_owner(world: World) -> None:
    """COPY into a table with row security is the owner's: the application's other logins are told so by PostgreSQL."""
    statement = "COPY chapters (organisation_id, name) FROM STDIN"
    with world.session("application") as connection, pytest.raises(psycopg.errors.FeatureNotSupported):
        connection.execute(statement)
    with world.session("postgres") as connection, connection.cursor().copy(statement) as copy:
        copy.write_row((world.database.one("SELECT min(id) FROM organisations"), "Prøvelund"))


def test_the_upgrade_gives_way_to_the_application(world: World, certjobs_process: CertjobsProcess) -> None:
    """A transaction that has read one table and then wants another goes on at once; the upgrade waits for it."""
    downgrade(world.database.url, "0013")
    with psycopg.connect(world.database.url) as application:
        application.execute("SELECT count(*) FROM peer_mentors")
        upgrade = certjobs_process.start("db", "upgrade", url=world.database.url)
        eventually(
            world.database,
            "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            " AND relation = 'peer_mentors'::regclass",
        )
        application.execute("SELECT count(*) FROM organisations")
        application.commit()
    _, complaints = upgrade.communicate(timeout=60)
    assert upgrade.returncode == 0, complaints
    assert world.mentors("kari") == NOBODY  # the grant went with the table; the rest is back
    assert world.mentors("certjobs_test_job") == ALL


def test_nobody_slips_a_function_under_the_owners(empty_database: TestDatabase, logins: None) -> None:  # noqa: ARG001
    """Where everybody may create in public, a better-fitting function there is not called by ours; db check warns."""
    adopt(empty_database, NARROWER)
    empty_database.execute(ROWS)
    migrate(empty_database.url)
    empty_database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    world = World(empty_database)
    with psycopg.connect(empty_database.cluster.url(empty_database.name, "idle"), autocommit=True) as mallory:
        mallory.execute(
            "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$"
        )
        mallory.execute("GRANT EXECUTE ON FUNCTION public.lower(varchar) TO PUBLIC")
    assert world.mentors("idle") == NOBODY
    check = Certjobs(empty_database.url)("db", "check")
    assert (check.exit_code, "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in check.stdout) == (78, True), check.stdout


def test_jobs_pay_nothing_for_row_security(world: World) -> None:
    """To the jobs' role the policies are a constant: the night's statement has no part that asks who it is."""
    with world.session("certjobs_test_job") as connection:
        connection.execute("SET enable_seqscan = off")
        lines = connection.execute(
            "EXPLAIN SELECT id FROM peer_mentors WHERE organisation_id = 1 AND status = 'active'"
            " AND certification_expiry < '2026-11-22' ORDER BY certification_expiry, id LIMIT 10"
        ).fetchall()
    plan = "\n".join(line for (line,) in lines)
    assert "ix_peer_mentors_active_expiry" in plan
    assert "InitPlan" not in plan
    assert "certjobs_" not in plan


def test_what_the_document_says_works(world: World, certjobs: Certjobs, tmp_path: Path, monkeypatch: Any) -> None:
    """The statements, the commands and the Python of docs/access.md do what the text around them says."""
    text = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    certjobs("access", "revoke", "kari", *WHY)
    certjobs("access", "distrust", ISSUER, "2026-11", *WHY)
    for statement in re.findall(r"```sql\n(.*?)```", text, re.DOTALL):
        world.database.execute(f"BEGIN; DROP ROLE kari; {statement} ROLLBACK")
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^\$ certjobs (.*)$", text, re.MULTILINE)
    signing: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, signing)  # noqa: S102 - the document's own example
    for line in lines:
        if "distrust" in line:
            with world.session("portal") as connection:
                signing["sign_in"](connection, private_key(), "Kari@example.org")
                assert seen(connection) == KARIS
        result = certjobs(*shlex.split(line))
        assert result.exit_code == 0, (line, result.stderr)
    assert [line.split()[1] for line in lines] == ["grant", "trust", "distrust", "list"]
    assert world.mentors("kari") == KARIS
