"""How Alembic runs our migrations: one transaction each, on the connection that ``certjobs db upgrade`` hands over."""

from __future__ import annotations

from alembic import context

from certjobs.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table="certjobs_schema_version",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
