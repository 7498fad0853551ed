"""The yardstick of a run: a bare process that imports the same libraries and runs the same statements, and no more.

Arguments: the database's address, and a file with the statements that a run executed (from ``benchmarks.noop``).
"""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy

SAME_LIBRARIES = (
    "typer",
    "pydantic",
    "pydantic_settings",
    "structlog",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql.psycopg",
    "psycopg",
    "zoneinfo",
    "uuid",
)


def run(address: str, recorded: Path) -> None:
    """Import, connect as often as the run does, and execute what it executed."""
    for name in SAME_LIBRARIES:
        importlib.import_module(name)
    import sqlalchemy as sa

    engine = sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)
    sessions: dict[int, sqlalchemy.Connection] = {}
    token = None
    for number, statement, parameters in _as_another_run(recorded):
        if number not in sessions:
            sessions[number] = engine.connect()
        if parameters and "fence_token" in parameters:
            parameters["fence_token"] = token
        result = _execute(sessions[number], statement, parameters)
        if "certjobs_acquire_lock" in statement and result is not None:
            token = result.scalar_one()
    for session in sessions.values():
        session.close()
    engine.dispose()


def _as_another_run(recorded: Path) -> list[tuple[int, str, dict[str, Any] | None]]:
    """Return the statements with a run id of their own."""
    text = recorded.read_text(encoding="utf-8")
    run_id = next(
        parameters["run_id"]
        for _, statement, parameters in json.loads(text)
        if "INSERT INTO scheduler_run_log" in statement
    )
    statements: list[tuple[int, str, dict[str, Any] | None]] = json.loads(text.replace(run_id, str(uuid.uuid4())))
    return statements


def _execute(
    session: sqlalchemy.Connection, statement: str, parameters: dict[str, Any] | None
) -> sqlalchemy.CursorResult[Any] | None:
    if statement == "COMMIT":
        session.commit()
    elif statement == "ROLLBACK":
        session.rollback()
    else:
        return session.exec_driver_sql(statement, parameters or None)
    return None


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
