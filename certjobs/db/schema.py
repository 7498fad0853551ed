"""The schema's version: which one this program needs, and how a database gets there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.engine import translated_errors
from certjobs.db.tables import metadata
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.config import Config

# Stated here so that a job need not load Alembic to know it; a test holds it to the migrations.
SCHEMA_HEAD = "0004"
VERSION_TABLE = "certjobs_schema_version"

_MIGRATION_LOCK = 0x63657274  # "cert": one upgrade at a time in a database
_WAIT_FOR_TABLES = "10s"
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
    if version is None:
        msg = "The database has no certjobs schema yet."
    elif version > SCHEMA_HEAD:
        msg = f"The database's schema is {version}, newer than this program ({SCHEMA_HEAD})."
        raise ConfigurationError(msg, hint="Install the version of certjobs that goes with it.")
    else:
        msg = f"The database's schema is {version}, and this program needs {SCHEMA_HEAD}."
    raise ConfigurationError(msg, hint="Run `certjobs db upgrade` with a user that owns the tables.")


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


def differences(engine: sa.Engine) -> Sequence[str]:
    """List, in words, where the database is not as this program's version of it: a line each, none when all is well."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with translated_errors(), engine.connect() as connection:
        found = (
            [] if current(connection) == SCHEMA_HEAD else [f"the schema is {current(connection)}, not {SCHEMA_HEAD}"]
        )
        context = MigrationContext.configure(
            connection,
            opts={"include_object": _is_ours, "compare_server_default": False, "version_table": VERSION_TABLE},
        )
        found += [
            _in_words(difference)
            for difference in compare_metadata(context, metadata)
            if "comment" not in difference[0]  # by its comment a table is known as created by us
        ]
        found += [f"the trigger {name} is missing or disabled" for name in _idle_triggers(connection)]
        return found


def _is_ours(_item: object, name: str | None, kind: str, reflected: bool, compared: object) -> bool:
    """Leave out what the application added to the same database: its tables, columns and indexes are its own."""
    return not (reflected and compared is None and (kind != "table" or name not in metadata.tables))


def _in_words(difference: object) -> str:
    """Say one of Alembic's differences: a tuple of what should happen and to what, or a list of changes of a column."""
    flat = difference[0] if isinstance(difference, list) else difference
    if not isinstance(flat, tuple):
        return str(flat)
    what = [getattr(part, "name", None) or (part if isinstance(part, str) else None) for part in flat[1:]]
    return f"{str(flat[0]).replace('_', ' ')}: {'.'.join(part for part in what if part)}"


def _idle_triggers(connection: sa.Connection) -> Sequence[str]:
    """Return the triggers that the migrations create and that do not fire."""
    files = (migrations_directory() / "sql").glob("*.sql")
    created = {
        word.split()[2] for file in files for word in file.read_text(encoding="utf-8").split("\n")
        if word.startswith("CREATE TRIGGER ")
    }  # fmt: skip
    firing = set(
        connection.scalars(sa.text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"))
    )
    return sorted(created - firing)


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
