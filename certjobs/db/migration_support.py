"""What several migrations need: running versioned .sql files, and meeting a roster that is already there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from certjobs.db.engine import PERMISSION_DENIED
from certjobs.db.schema import lacks, migrations_directory
from certjobs.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CREATED = "created by certjobs"
LOCK_NOT_AVAILABLE = "55P03"
AT_ONCE = 300  # milliseconds; deadlock_timeout is a second
PATIENCE, PAUSE = 30.0, 0.3  # seconds
ALREADY_THERE = frozenset({"42710", "23505"})  # duplicate object; the same, seen a moment too late


def run_sql(name: str) -> None:
    """Execute one versioned file of statements as it is written: no parameter in it, so % and : stay literal."""
    statements = (migrations_directory() / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def create_or_adopt(tables: Sequence[sa.Table]) -> None:
    """Create the tables that are absent; leave those that are present as they are.

    Raises ConfigurationError with everything that is missing when a present table is not as the jobs need it; then
    nothing was altered.
    """
    bind = op.get_bind()
    present = set(sa.inspect(bind).get_table_names())
    missing = [line for table in tables if table.name in present for line in lacks(bind, table)]
    if missing:
        msg = "The roster tables that are already there are not as certjobs needs them; nothing was altered:\n  - "
        raise ConfigurationError(
            msg + "\n  - ".join(missing),
            hint="Add what is missing with the application that owns these tables, then run "
            "`certjobs db upgrade` again.",
        )
    for table in tables:
        if table.name not in present:
            table.create(bind)
            op.create_table_comment(table.name, CREATED)


def drop_created(tables: Sequence[sa.Table]) -> None:
    """Drop the tables that ``create_or_adopt`` created; those it found stay."""
    bind = op.get_bind()
    inspector = sa.inspect(bind)
    for table in reversed(tables):
        if inspector.has_table(table.name) and inspector.get_table_comment(table.name)["text"] == CREATED:
            op.drop_table(table.name)


def create_role(name: str) -> None:
    """Create a role unless the cluster has it. Another database may be creating it right now.

    Raises ConfigurationError where the role is missing and this user may not create it.
    """
    there = "SELECT 1 FROM pg_roles WHERE rolname = :name"
    _once(there, {"name": name}, f"CREATE ROLE {name} NOLOGIN", f"The cluster has no role {name}")


def grant_role(name: str, member: str) -> None:
    """Make one role a member of another, which gives it all that one's privileges.

    Raises ConfigurationError where it is no member yet and this user may not make it one.
    """
    there = "SELECT 1 WHERE pg_has_role(:member, :name, 'MEMBER')"
    values = {"name": name, "member": member}
    _once(there, values, f"GRANT {name} TO {member}", f"The role {member} is no member of {name}")


def refuse_dormant_policies(tables: Sequence[str]) -> None:
    """Refuse tables whose policies an application has switched off: with row security on they would hold again.

    Raises ConfigurationError that names them.
    """
    dormant = op.get_bind().scalars(
        sa.text(
            "SELECT DISTINCT c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
            " WHERE NOT c.relrowsecurity AND c.oid = ANY (CAST(:tables AS regclass[])) ORDER BY 1"
        ),
        {"tables": list(tables)},
    )
    if names := ", ".join(dormant):
        msg = f"Row security is off for {names}, and there are policies, which would hold once it is on."
        raise ConfigurationError(
            msg, hint="Drop those policies, or switch row security on for these tables; then run it again."
        )


def lock(tables: Sequence[str]) -> None:
    """Lock tables against everybody, all or none, before the first of them is changed.

    It waits for less than a session does before it looks for deadlocks, lets go and tries again: so it is the migration
    that gives way, and never a transaction of the application's that wants two of the tables. Raises Unavailable where
    they are not free within half a minute.
    """
    bind = op.get_bind()
    statement = sa.text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    before = bind.scalar(sa.text("SELECT current_setting('lock_timeout')"))
    until = time.monotonic() + PATIENCE
    while True:
        bind.execute(sa.text(f"SET LOCAL lock_timeout = {AT_ONCE}"))
        try:
            with bind.begin_nested():
                bind.execute(statement)
        except sa.exc.DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() > until:
                msg = "The application holds the tables, and nothing was changed."
                raise Unavailable(
                    msg, hint="Run it again when less is going on, or end the transactions that idle."
                ) from exc
            time.sleep(PAUSE)
        else:
            bind.execute(sa.text("SELECT set_config('lock_timeout', :before, true)"), {"before": before})
            return


def _once(there: str, values: Mapping[str, str], statement: str, lacking: str) -> None:
    bind = op.get_bind()
    if bind.scalar(sa.text(there), values):
        return
    try:
        with bind.begin_nested():
            bind.execute(sa.text(statement))
    except sa.exc.DBAPIError as exc:
        state = getattr(exc.orig, "sqlstate", None)
        if state in ALREADY_THERE:
            return
        if state != PERMISSION_DENIED:
            raise
        msg = f"{lacking}, and this user may not change roles."
        raise ConfigurationError(
            msg, hint=f"Let an administrator run `{statement}`, then run `certjobs db upgrade` again."
        ) from exc
