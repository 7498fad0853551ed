"""What a database is to the login that asks: where it is, how far away, what it may do there. It only reads."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db import schema
from certjobs.db.engine import is_local, translated_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from certjobs.ports import Clock

JOB_ROLE = "certjobs_job"

_READ_ONLY = sa.text("SET TRANSACTION READ ONLY")
_SESSION = sa.text(
    "SELECT clock_timestamp() AS moment, current_setting('server_version_num')::integer AS version,"
    " pg_backend_pid() AS pid, pg_postmaster_start_time() AS began,"
    " (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database()) AS database"
)
_ROLE = sa.text(
    "SELECT r.rolsuper AS superuser, quote_ident(current_database()) AS database,"
    " EXISTS (SELECT 1 FROM pg_roles j WHERE j.rolname = :job AND pg_has_role(r.oid, j.oid, 'USAGE')) AS job,"
    " NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = ANY (ARRAY(SELECT to_regclass(format('public.%I', t))"
    " FROM unnest(CAST(:tables AS text[])) t)) AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')) AS owner,"
    " has_database_privilege(current_database(), 'TEMPORARY') AS stages"
    " FROM pg_roles r WHERE r.rolname = current_user"
)
_LACKING = sa.text(
    "SELECT w.privilege, w.name, w.part, c.relkind::text AS kind"
    " FROM unnest(CAST(:privileges AS text[]), CAST(:names AS text[]), CAST(:parts AS text[]))"
    " WITH ORDINALITY w (privilege, name, part, place)"
    " JOIN pg_class c ON c.oid = to_regclass(format('public.%I', w.name))"
    " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.part AND NOT a.attisdropped"
    " WHERE NOT CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, w.privilege)"
    " WHEN w.part IS NULL THEN has_table_privilege(c.oid, w.privilege)"
    " ELSE a.attnum IS NULL OR has_column_privilege(c.oid, a.attnum, w.privilege) END"
    " ORDER BY w.place"
)
# A function that a later migration replaced is not there any more, and not wanted.
_NOT_CALLED = sa.text(
    "SELECT f FROM unnest(CAST(:functions AS text[])) f JOIN pg_proc p ON p.oid = to_regprocedure(f)"
    " WHERE NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1"
)
_IN_SCHEMA = sa.text("SELECT has_schema_privilege('public', 'USAGE')")
# Where a policy shows us every row, and none takes any away, there is nothing to count.
_HIDING = sa.text(
    "SELECT c.relname, greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid)) AS there,"
    " EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND p.polpermissive"
    " AND EXISTS (SELECT 1 FROM unnest(p.polroles) o WHERE o = 0 OR pg_has_role(o, 'USAGE'))) AS policy"
    " FROM pg_class c WHERE c.oid = ANY (ARRAY(SELECT to_regclass(format('public.%I', t))"
    " FROM unnest(CAST(:tables AS text[])) t)) AND row_security_active(c.oid)"
    " AND (SELECT count(*) FILTER (WHERE p.polpermissive AND pg_get_expr(p.polqual, p.polrelid) = 'true') = 0"
    " OR count(*) FILTER (WHERE NOT p.polpermissive) > 0 FROM pg_policy p WHERE p.polrelid = c.oid"
    " AND p.polcmd IN ('r', '*')"
    " AND EXISTS (SELECT 1 FROM unnest(p.polroles) o WHERE o = 0 OR pg_has_role(o, 'USAGE')))"
    " ORDER BY c.relname"
)
_ZONES = sa.text("SELECT lower(name) FROM pg_timezone_names")
_GRANT = re.compile(rf"GRANT\s+([^;]+?)\s+ON\s+([^;]+?)\s+TO\s+{JOB_ROLE}\s*;")
_PRIVILEGE = re.compile(r"(\w+)(?:\s*\(([^)]*)\))?")
_FUNCTION = re.compile(r"\w+\s*\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was opened.

    ``round_trip``: seconds for a question and its answer; ``ahead``: by how many seconds the database's clock is ahead
    of ours. ``encrypted``: whether it is by TLS; ``local``: whether it stays on this machine. ``pooled``: whether a
    connection pooler stands between. ``identity``: what no other database has.
    """

    version: int
    round_trip: float
    ahead: float
    encrypted: bool
    local: bool
    pooled: bool
    identity: tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Role:
    """What a login is: superuser, the tables' owner, holder of the jobs' role. ``stages``: whether it has TEMPORARY.

    ``database``: the name of the database, as SQL writes it.
    """

    database: str
    superuser: bool
    owner: bool
    job: bool
    stages: bool


@dataclass(frozen=True, slots=True)
class Hiding:
    """A table whose row security applies to us: rows visible, rows there about, whether a policy lets us see any."""

    table: str
    visible: int
    there: int
    policy: bool


class Diagnosis:
    """Questions to one database; each is a transaction of its own, so that one that fails stops no other."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def session(self) -> Session:
        """Return how the session is. Raises as ``translated_errors`` says where there is none."""
        with self._reading() as connection:
            before, began = self._clock.now(), time.monotonic()
            row = connection.execute(_SESSION).one()
            round_trip = time.monotonic() - began
            wire = connection.connection.driver_connection
            handshake = wire.pgconn if wire is not None else None
            return Session(
                version=row.version,
                round_trip=round_trip,
                ahead=(row.moment - before).total_seconds() - round_trip / 2,
                encrypted=bool(handshake is not None and handshake.ssl_in_use),
                local=is_local(self._engine.url),
                # A pooler makes up the number that it gives the client.
                pooled=handshake is not None and handshake.backend_pid != row.pid,
                identity=(row.began, row.database),
            )

    def require_head(self) -> str:
        """Return the schema's version. Raises ConfigurationError unless it is the one that this program needs."""
        with self._reading() as connection:
            schema.require_head(connection)
        return schema.SCHEMA_HEAD

    def differences(self) -> Sequence[str]:
        """List where the schema is not as this program needs it."""
        return schema.differences(self._engine)

    def role(self) -> Role:
        """Return what this login is."""
        with self._reading() as connection:
            row = connection.execute(_ROLE, {"job": JOB_ROLE, "tables": list(needed_tables())}).one()
            return Role(row.database, row.superuser, row.owner, row.job, row.stages)

    def lacking(self) -> Sequence[str]:
        """List the privileges that the jobs need and this login lacks, as GRANT would name them."""
        wanted, functions = needed()
        values = {
            "privileges": [privilege for privilege, _, _ in wanted],
            "names": [name for _, name, _ in wanted],
            "parts": [part for _, _, part in wanted],
        }
        with self._reading() as connection:
            found = [] if connection.scalar(_IN_SCHEMA) else ["USAGE ON SCHEMA public"]
            parts: dict[tuple[str, str], list[str]] = {}
            for row in connection.execute(_LACKING, values):
                on = f"SEQUENCE {row.name}" if row.kind == "S" else row.name
                parts.setdefault((row.privilege, on), []).extend([row.part] if row.part else [])
            found += [
                " ".join([privilege, *([f"({', '.join(columns)})"] if columns else []), "ON", on])
                for (privilege, on), columns in parts.items()
            ]
            called = connection.scalars(_NOT_CALLED, {"functions": [*functions]})
            return found + [f"EXECUTE ON FUNCTION {each}" for each in called]

    def hiding(self) -> Sequence[Hiding]:
        """Return the tables whose rows may be hidden from this login."""
        with self._reading() as connection:
            rows = connection.execute(_HIDING, {"tables": list(needed_tables())}).all()
            return [Hiding(row.relname, self._visible(connection, row.relname), row.there, row.policy) for row in rows]

    @staticmethod
    def _visible(connection: sa.Connection, table: str) -> int:
        counted: int = connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
        return counted

    def mentors(self) -> int:
        """Return how many mentors this login sees."""
        with self._reading() as connection:
            return self._visible(connection, "peer_mentors")

    def unknown_zones(self, zones: Sequence[str]) -> Sequence[str]:
        """Return which of these time zones the database does not have."""
        with self._reading() as connection:
            known = set(connection.scalars(_ZONES))
            return [each for each in zones if each.lower() not in known]

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with translated_errors(), self._engine.connect() as connection, connection.begin():
            connection.execute(_READ_ONLY)
            yield connection


def needed() -> tuple[Sequence[tuple[str, str, str | None]], Sequence[str]]:
    """Return what the migrations grant to the jobs' role: privilege, table or sequence, and column; and functions."""
    wanted: dict[tuple[str, str, str | None], None] = {}
    functions: dict[str, None] = {}
    for what, on in schema.statements(_GRANT):
        kind, names = _kind(" ".join(on.split()))
        if kind == "FUNCTION":
            functions |= dict.fromkeys(_FUNCTION.findall(names))
        elif kind in {"TABLE", "SEQUENCE"}:
            for name in names.split(", "):
                for privilege, columns in _PRIVILEGE.findall(what):
                    parts = [each.strip() for each in columns.split(",")] if columns else [None]
                    wanted |= {(privilege, name, part): None for part in parts}
    return list(wanted), list(functions)


def _kind(on: str) -> tuple[str, str]:
    """Return of what kind the things are that a privilege is on, and their names."""
    kind, _, names = on.partition(" ")
    return (kind, names) if kind in {"FUNCTION", "SCHEMA", "DATABASE", "SEQUENCE"} else ("TABLE", on)


def needed_tables() -> Sequence[str]:
    """Return the tables and views that the jobs work on."""
    wanted, _ = needed()
    return list(dict.fromkeys(name for privilege, name, _ in wanted if privilege != "USAGE"))
