"""The schema's version: which one this program needs, and how a database gets there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.engine import translated_errors
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.config import Config

# Stated here so that a job need not load Alembic to know it; a test holds it to the migrations.
SCHEMA_HEAD = "0014"
VERSION_TABLE = "certjobs_schema_version"

_MIGRATION_LOCK = 0x63657274  # "cert": one upgrade at a time in a database
_WAIT_FOR_TABLES = "10s"
_NIGHTS_INDEX = "ix_peer_mentors_active_expiry"
_CREATE_FUNCTION = r"^CREATE (?:OR REPLACE )?FUNCTION (?P<name>\w+)"
_POLICIES = (
    "certjobs_job",
    "certjobs_admin",
    "certjobs_read",
    "certjobs_coordinator",
    "certjobs_own_rows",
)  # on every table
_POLICIES_THERE = sa.text(
    "SELECT p.polname AS name, c.relname AS table, p.polcmd = '*' AND CASE WHEN p.polname = 'certjobs_own_rows'"
    " THEN NOT p.polpermissive AND p.polroles = ARRAY['certjobs_coordinator'::regrole::oid] AND p.polwithcheck IS NULL"
    " AND (pg_get_expr(p.polqual, p.polrelid) = 'false'"
    " OR pg_get_expr(p.polqual, p.polrelid) LIKE '%certjobs\\_own\\_%')"
    " ELSE p.polpermissive AND pg_get_expr(p.polqual, p.polrelid) = 'true'"
    " AND p.polroles = ARRAY[to_regrole(p.polname)::oid] END AS as_made,"
    " EXISTS (SELECT 1 FROM pg_policy o WHERE o.polrelid = p.polrelid AND o.polpermissive"
    " AND o.polname NOT LIKE 'certjobs\\_%') AS beside"
    " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = 'public'::regnamespace"
)
_CALLED_BY_ALL = sa.text(
    "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"
    " AND p.proname LIKE 'certjobs\\_%' AND EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl,"
    " acldefault('f', p.proowner))) x WHERE x.grantee = 0) ORDER BY 1"
)
_MAY_SEE_LOGINS = sa.text(
    "SELECT coalesce(has_table_privilege(to_regclass('public.coordinator_logins'), 'SELECT'), false)"
)
_GONE_LOGINS = sa.text(
    "SELECT l.login FROM coordinator_logins l WHERE l.revoked_at IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname = l.login) ORDER BY 1"
)
_CREATED_BY_ALL = sa.text(
    "SELECT EXISTS (SELECT 1 FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname = 'public'"
    " AND x.grantee = 0 AND x.privilege_type = 'CREATE')"
)
_CREATE_TRIGGER = r"^CREATE TRIGGER (?P<name>\w+) [^;]*? ON (?P<table>\w+)"
OLDEST_SERVER = 150000


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that an upgrade ran."""

    revision: str
    title: str


def current(connection: sa.Connection) -> str | None:
    """Return the schema's version, or None where no migration ever ran."""
    with translated_errors():
        if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}) is None:
            return None
        version: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))
        return version


def require_head(connection: sa.Connection) -> None:
    """Raise ConfigurationError, with the command that mends it, unless the schema is the one this program needs."""
    version = current(connection)
    if version == SCHEMA_HEAD:
        return
    _refuse_newer(version)
    if version is None:
        msg = "The database has no certjobs schema yet."
    else:
        msg = f"The database's schema is {version}, and this program needs {SCHEMA_HEAD}."
    raise ConfigurationError(msg, hint="Run `certjobs db upgrade` with a user that owns the tables.")


def _refuse_newer(version: str | None) -> None:
    if version is not None and version > SCHEMA_HEAD:
        msg = f"The database's schema is {version}, newer than this program ({SCHEMA_HEAD})."
        raise ConfigurationError(msg, hint="Install the version of certjobs that goes with it.")


def upgrade(engine: sa.Engine, target: str = "head") -> Sequence[Step]:
    """Bring the schema to ``target``, one transaction a migration, and return the migrations that ran.

    Safe to start twice at once: the second waits and finds nothing to do. Raises ConfigurationError when a migration
    refuses what it finds; migrations before it stay done.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    with _migrating(engine) as (connection, config):
        before = current(connection)
        connection.commit()
        _refuse_newer(before)
        command.upgrade(config, target)
        script = ScriptDirectory.from_config(config)
        done = list(script.iterate_revisions(current(connection), before))
        connection.commit()
        return [Step(each.revision, each.doc.split("\n", 1)[0]) for each in reversed(done)]


def downgrade(engine: sa.Engine, target: str) -> None:
    """Take the schema back to ``target`` (``base`` for nothing at all). For development and tests."""
    from alembic import command

    with _migrating(engine) as (_, config):
        command.downgrade(config, target)


_MAY_STAGE = sa.text("SELECT has_database_privilege('certjobs_job', current_database(), 'TEMPORARY')")


def differences(engine: sa.Engine) -> Sequence[str]:
    """List, in words, where the database is not as this program's version of it: a line each, none when all is well.

    The roster is the application's, which may keep more in it: of its tables only what the jobs need is looked at.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from certjobs.db.tables import ROSTER_TABLES, metadata

    with translated_errors(), engine.connect() as connection:
        version = current(connection)
        if version != SCHEMA_HEAD:
            return [f"the schema is at {version or 'nothing yet'}, and this program needs {SCHEMA_HEAD}"]
        present = set(sa.inspect(connection).get_table_names())
        found = [f"the table {table.name} is missing" for table in ROSTER_TABLES if table.name not in present]
        found += [line for table in ROSTER_TABLES if table.name in present for line in lacks(connection, table)]
        context = MigrationContext.configure(
            connection,
            opts={"include_object": _is_the_jobs, "compare_server_default": False, "version_table": VERSION_TABLE},
        )
        found += [_in_words(difference) for difference in compare_metadata(context, metadata)]
        if _NIGHTS_INDEX not in {each["name"] for each in sa.inspect(connection).get_indexes("peer_mentors")}:
            found.append(f"the index {_NIGHTS_INDEX} is missing: each night would read the whole roster")
        found += [f"the check {name} is missing" for name in _missing_checks(connection)]
        found += [f"the function {name} is missing" for name in _missing_functions(connection)]
        found += [f"the sequence {name} is missing" for name in _missing_sequences(connection)]
        if not connection.scalar(_MAY_STAGE):
            found.append("the role certjobs_job lacks TEMPORARY on this database, without which nothing is reconciled")
        found += [f"the trigger {name} on {table} is missing or disabled" for name, table in _idle_triggers(connection)]
        return [*found, *_open_tables(connection), *_open_ways(connection)]


def _open_tables(connection: sa.Connection) -> Iterator[str]:
    """Yield the tables without row security, and the policies that are missing."""
    from certjobs.db.tables import metadata

    secured = set(connection.scalars(sa.text("SELECT relname FROM pg_class WHERE relrowsecurity")))
    policies = {(row.name, row.table): row for row in connection.execute(_POLICIES_THERE)}
    wanted = {(policy, table.name) for policy in _POLICIES for table in metadata.sorted_tables}
    for table in metadata.sorted_tables:
        if table.name not in secured:
            yield f"row security of {table.name} is off: a coordinator's login sees every row"
    for policy, name in sorted(wanted):
        row = policies.get((policy, name))
        if row is None:
            yield f"the policy {policy} on {name} is missing"
        elif not row.as_made:
            yield f"the policy {policy} on {name} is not as certjobs made it"
    for policy, name in sorted(policies):
        if policy == "certjobs_others" and policies[policy, name].beside:
            yield (
                f"the policy certjobs_others on {name} lets everybody in beside the application's own: "
                f"DROP POLICY certjobs_others ON {name}"
            )


def _open_ways(connection: sa.Connection) -> Iterator[str]:
    """Yield the ways round what the roles may do: functions, places for functions, and logins that are gone."""
    for name in connection.scalars(_CALLED_BY_ALL):
        yield f"everybody may call {name}, which works with the owner's privileges"
    if connection.scalar(_MAY_SEE_LOGINS):
        for login in connection.scalars(_GONE_LOGINS):
            yield (
                f"the login {login} is a coordinator's and is gone; one of that name would be taken for theirs: "
                f"certjobs access revoke {quote(login)} --reason TEXT"
            )
    if connection.scalar(_CREATED_BY_ALL):
        yield "everybody may create in the schema public: REVOKE CREATE ON SCHEMA public FROM PUBLIC"


def _is_the_jobs(_item: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    """Leave out the roster, and what else the application keeps in the same database."""
    from certjobs.db.tables import ROSTER_TABLES, metadata

    if kind == "table":
        return name in metadata.tables and name not in {table.name for table in ROSTER_TABLES}
    return not (reflected and compared is None and kind == "index")


def _in_words(difference: object) -> str:
    """Say one of Alembic's differences: a tuple of what should happen and to what, or a list of changes of a column."""
    flat = difference[0] if isinstance(difference, list) else difference
    if not isinstance(flat, tuple):
        return str(flat)
    what = [getattr(part, "name", None) or (part if isinstance(part, str) else None) for part in flat[1:]]
    return f"{str(flat[0]).replace('_', ' ')}: {'.'.join(part for part in what if part)}"


def _missing_checks(connection: sa.Connection) -> Sequence[str]:
    """Return the check constraints of the jobs' own tables that are not there."""
    from certjobs.db.tables import ROSTER_TABLES, metadata

    wanted = {
        f"ck_{table.name}_{check.name}".replace(f"ck_{table.name}_ck_{table.name}_", f"ck_{table.name}_")
        for table in metadata.sorted_tables
        if table not in ROSTER_TABLES
        for check in table.constraints
        if isinstance(check, sa.CheckConstraint)
    }
    return sorted(wanted - set(connection.scalars(sa.text("SELECT conname FROM pg_constraint WHERE contype = 'c'"))))


def _missing_functions(connection: sa.Connection) -> Sequence[str]:
    """Return the functions that the migrations create and that are not there."""
    created = {match["name"] for match in _created(_CREATE_FUNCTION)}
    there = sa.text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    return sorted(created - set(connection.scalars(there)))


def _missing_sequences(connection: sa.Connection) -> Sequence[str]:
    """Return the sequences of the jobs that are not there."""
    from certjobs.db.tables import fencing_tokens

    return [fencing_tokens.name] if fencing_tokens.name not in sa.inspect(connection).get_sequence_names() else []


def _created(pattern: str) -> Iterator[re.Match[str]]:
    """Yield what the migrations' statements of one kind create."""
    for file in (migrations_directory() / "sql").glob("*.sql"):
        yield from re.finditer(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)


def statements(pattern: re.Pattern[str]) -> Iterator[tuple[str | Any, ...]]:
    """Yield the groups of what a pattern finds in the migrations that lead up to head."""
    for file in sorted((migrations_directory() / "sql").glob("*.sql")):
        if ".down." not in file.name:
            yield from (match.groups() for match in pattern.finditer(file.read_text(encoding="utf-8")))


def _idle_triggers(connection: sa.Connection) -> Sequence[tuple[str, str]]:
    """Return the triggers that the migrations create and that do not fire, each with its table."""
    created = {(match["name"], match["table"]) for match in _created(_CREATE_TRIGGER)}
    firing = connection.execute(
        sa.text(
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
        )
    )
    return sorted(created - {(row.tgname, row.relname) for row in firing})


def lacks(connection: sa.Connection, table: sa.Table) -> list[str]:
    """List what a present table lacks, a line each, in words that a person can act on."""
    inspector = sa.inspect(connection)
    columns = {column["name"]: column for column in inspector.get_columns(table.name)}
    lines = []
    for column in table.columns:
        wanted = column.type.compile(connection.dialect)
        found = columns.get(column.name)
        if found is None:
            lines.append(f"{table.name}.{column.name} ({wanted.lower()}) is missing")
        elif not _same_type(found["type"], column.type):
            is_now = found["type"].compile(connection.dialect).lower()
            lines.append(f"{table.name}.{column.name} is {is_now}, and must be {wanted.lower()}")
    return lines + _missing_keys(inspector, table)


def _same_type(found: sa.types.TypeEngine[object], wanted: sa.types.TypeEngine[object]) -> bool:
    """Tell whether the jobs can work with the type found: any text for text, any integer for bigint."""
    if isinstance(wanted, sa.ARRAY):
        return isinstance(found, sa.ARRAY) and _same_type(found.item_type, wanted.item_type)
    kinds = (sa.String, sa.Integer, sa.Date, sa.Boolean)
    return not isinstance(found, sa.Enum) and any(
        isinstance(wanted, kind) and isinstance(found, kind) for kind in kinds
    )


def _missing_keys(inspector: sa.Inspector, table: sa.Table) -> list[str]:
    """List the primary and unique keys that the jobs rely on and the table has not."""
    unique = {frozenset(key["column_names"]) for key in inspector.get_unique_constraints(table.name)}
    unique |= {
        frozenset(name for name in index["column_names"] if name)
        for index in inspector.get_indexes(table.name)
        if index["unique"] and not index.get("dialect_options", {}).get("postgresql_where")
    }
    unique.add(frozenset(inspector.get_pk_constraint(table.name)["constrained_columns"]))
    wanted = [
        frozenset(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint))
    ]
    return [f"{table.name} has no unique key on ({', '.join(sorted(key))})" for key in wanted if key not in unique]


def migrations_directory() -> Path:
    """Return where the migrations are: beside the package in a checkout, inside it when installed."""
    installed = Path(__file__).parents[1] / "_migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


@contextmanager
def _migrating(engine: sa.Engine) -> Iterator[tuple[sa.Connection, Config]]:
    """Hold the migration lock and hand out its connection with Alembic's configuration for it."""
    from alembic.config import Config

    with translated_errors(), engine.connect() as connection:
        _refuse_old_server(connection)
        # Another upgrade, or a big table, may take its time; a table in use is not waited for: others would queue up.
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(sa.text("SET lock_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(sa.text(f"SET lock_timeout = '{_WAIT_FOR_TABLES}'"))
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            yield connection, config
        finally:
            # The lock and the time-out belong to the session: end it with them.
            connection.invalidate()


def _refuse_old_server(connection: sa.Connection) -> None:
    version = connection.scalar(sa.text("SELECT current_setting('server_version_num')::integer"))
    if version < OLDEST_SERVER:
        msg = f"The server is PostgreSQL {version // 10000}, and certjobs needs {OLDEST_SERVER // 10000} or later."
        raise ConfigurationError(msg, hint="Upgrade the server.")
