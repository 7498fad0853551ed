"""What several migrations need: running versioned .sql files, and meeting a roster that is already there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from certjobs.db.engine import PERMISSION_DENIED
from certjobs.db.schema import lacks, migrations_directory
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CREATED = "created by certjobs"
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
