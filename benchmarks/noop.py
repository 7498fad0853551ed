"""A job that does nothing, carried out by the real command line: what a run costs besides its work.

With ``--warm`` or ``--statements`` it runs once more in the same process, and prints as one JSON document where that
second run's time went and what it said to the database.
"""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from certjobs import registry
from certjobs.cli import main
from certjobs.domain.outcome import Outcome

if TYPE_CHECKING:
    from certjobs.jobs.context import JobContext


def noop(_ctx: JobContext[Any]) -> Outcome:
    """Do nothing."""
    return Outcome()


@dataclass
class DatabaseTime:
    """The time spent in the driver, and the statements it was given, by connection."""

    seconds: float = 0.0


def run() -> None:
    """Run the job; measure a second run too where asked."""
    registry.JOBS = (*registry.JOBS, registry.JobSpec("noop", "", noop, registry.NoOptions, exclusive=True))
    if "--warm" not in sys.argv and "--statements" not in sys.argv:
        sys.exit(main(["run", "noop", "--json"]))
    with redirect_stdout(io.StringIO()):
        main(["run", "noop", "--json"])
    spent, statements = DatabaseTime(), list[tuple[int, str, Any]]()
    _watch(spent, statements)
    began = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        code = main(["run", "noop", "--json"])
    total = time.perf_counter() - began
    print(json.dumps({"total": total, "database": spent.seconds, "statements": statements}, default=_plain))
    sys.exit(code)


def _watch(spent: DatabaseTime, statements: list[tuple[int, str, Any]]) -> None:
    """Time everything psycopg does, and note down in which session each statement was executed."""
    import psycopg
    import sqlalchemy as sa

    def timed(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                spent.seconds += time.perf_counter() - began

        setattr(owner, name, wrapper)

    for owner, name in (
        (psycopg.Cursor, "execute"),
        (psycopg.Connection, "commit"),
        (psycopg.Connection, "rollback"),
        (psycopg.Connection, "connect"),
    ):
        timed(owner, name)

    sessions: dict[int, int] = {}

    def note(connection: Any, statement: str, parameters: Any = None) -> None:
        session = sessions.setdefault(id(connection.connection.driver_connection), len(sessions))
        statements.append((session, statement, parameters))

    def executed(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        note(connection, statement, parameters)

    sa.event.listen(sa.Engine, "before_cursor_execute", executed)
    sa.event.listen(sa.Engine, "commit", lambda connection: note(connection, "COMMIT"))
    sa.event.listen(sa.Engine, "rollback", lambda connection: note(connection, "ROLLBACK"))


def _plain(value: Any) -> Any:
    """Return a parameter as JSON can hold it and PostgreSQL reads it."""
    return json.dumps(value.obj) if hasattr(value, "obj") else str(value)


if __name__ == "__main__":
    run()
