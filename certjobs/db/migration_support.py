"""What several migrations need: running versioned .sql files, and meeting a roster that is already there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from certjobs.db.schema import migrations_directory
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

CREATED = "created by certjobs"


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
    missing = [line for table in tables if table.name in present for line in _missing(bind, table)]
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


def _missing(bind: sa.Connection, table: sa.Table) -> list[str]:
    """List what a present table lacks, a line each, in words that a person can act on."""
    inspector = sa.inspect(bind)
    columns = {column["name"]: column for column in inspector.get_columns(table.name)}
    lines = []
    for column in table.columns:
        wanted = column.type.compile(bind.dialect)
        found = columns.get(column.name)
        if found is None:
            lines.append(f"{table.name}.{column.name} ({wanted.lower()}) is missing")
        elif not _same_type(found["type"], column.type):
            is_now = found["type"].compile(bind.dialect).lower()
            lines.append(f"{table.name}.{column.name} is {is_now}, and must be {wanted.lower()}")
    return lines + _missing_keys(inspector, table)


def _same_type(found: sa.types.TypeEngine[object], wanted: sa.types.TypeEngine[object]) -> bool:
    """Tell whether the jobs can work with the type found: any text for text, any integer for bigint."""
    if isinstance(wanted, sa.ARRAY):
        return isinstance(found, sa.ARRAY) and _same_type(found.item_type, wanted.item_type)
    for kind in (sa.String, sa.Integer, sa.Date, sa.Boolean):
        if isinstance(wanted, kind):
            return isinstance(found, kind)
    return False


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
