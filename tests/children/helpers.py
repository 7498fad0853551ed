"""What tests of runs look at and wait for."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from certjobs import registry
from certjobs.registry import JobSpec, NoOptions
from tests.children.processes import DEADLINE, eventually
from tests.roster import TODAY, Mentor, file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pytest

    from certjobs.domain.outcome import Outcome
    from certjobs.jobs.context import JobContext
    from certjobs.ports import Message
    from tests.conftest import Certjobs, Result, TestDatabase

    Connection = psycopg.Connection[tuple[Any, ...]]

NIGHT = ("expiry-check", "--as-of", TODAY.isoformat())
CONSOLE = {"CERTJOBS_NOTIFY_CHANNEL": "console"}


def load(certjobs: Certjobs, *mentors: Mentor) -> None:
    """Import a roster."""
    result = certjobs("roster", "import", "-", "--as-of", TODAY.isoformat(), stdin=file_of(mentors))
    assert result.exit_code == 0, result.stderr


def waits_for_lock(database: TestDatabase, deadline: float = DEADLINE) -> None:
    """Wait until some session of certjobs waits for a lock that another session has."""
    eventually(
        database,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'certjobs%%' AND wait_event_type = 'Lock'",
        deadline=deadline,
    )


def nobody_connected(database: TestDatabase) -> None:
    """Wait until the server has noticed that the processes of certjobs are gone."""
    eventually(
        database,
        "SELECT count(*) = 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'certjobs%%'",
    )


@contextmanager
def row_held(database: TestDatabase, ref: str) -> Iterator[Connection]:
    """Keep a mentor's row locked until the block ends, as an application in a transaction would."""
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT 1 FROM peer_mentors WHERE external_ref = %s FOR UPDATE", [ref])
        yield connection
        connection.rollback()


@dataclass(frozen=True)
class Row:
    """A row of the run log."""

    run_id: str
    job_name: str
    status: str
    exit_code: int | None
    error_message: str | None
    counts: dict[str, int]


def runs(database: TestDatabase) -> list[Row]:
    """Return every run, oldest first."""
    return [
        Row(*values)
        for values in database.all(
            "SELECT run_id::text, job_name, status, exit_code, error_message, counts"
            " FROM scheduler_run_log ORDER BY started_at"
        )
    ]


def last_run(database: TestDatabase) -> Row:
    """Return the newest run."""
    return runs(database)[-1]


def locks(database: TestDatabase) -> int:
    """Return how many locks are held."""
    number: int = database.one("SELECT count(*) FROM job_lock")
    return number


def statuses(database: TestDatabase) -> dict[str, str]:
    """Return the status of every mentor."""
    return dict(database.all("SELECT external_ref, status FROM peer_mentors"))


def notices(database: TestDatabase) -> list[str]:
    """Return the status of every notice, sorted."""
    return [status for (status,) in database.all("SELECT status FROM notifications ORDER BY status")]


def dump(database: TestDatabase) -> dict[str, list[str]]:
    """Return every row of every table."""
    with database.connect() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        return {
            name: [
                row
                for (row,) in connection.execute(
                    sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.Identifier(name))
                )
            ]
            for (name,) in tables
        }


def log_lines(result: Result) -> list[dict[str, Any]]:
    """Return the log of a command; every line of it must be a JSON object."""
    return [json.loads(line) for line in result.stderr.splitlines()]


def register(
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[JobContext[Any]], Outcome],
    *,
    name: str,
    exclusive: bool = True,
) -> None:
    """Add a job to the registry for the time of a test."""
    spec = JobSpec(name=name, summary="", function=function, options=NoOptions, exclusive=exclusive)
    monkeypatch.setattr(registry, "JOBS", (*registry.JOBS, spec))


@dataclass
class Channel:
    """A channel that keeps what it is given, and does something of the test's while it has the first notice."""

    on_first: Callable[[], object] = lambda: None
    taken: list[str] = field(default_factory=list)
    name = "test"
    honours_keys = False
    gathers = False
    concurrency = 1
    batch = 1

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Channel:
        """Put it in the console's place for the next commands of this process."""
        monkeypatch.setattr("certjobs.adapters.notify.console.ConsoleNotifier", lambda _stream, _redirect_to: self)
        return self

    def sender(self) -> AbstractContextManager[Channel]:
        return nullcontext(self)

    def send(self, message: Message) -> str:
        self.taken += [each.mentor_ref for each in message.notices]
        if len(self.taken) == 1:
            self.on_first()
        return f"test-{message.key}"


class Steps:
    """A progress bar that does something of the test's at each step: the job is then outside of any transaction."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self._actions: Sequence[Callable[[], object]] = actions
        self.taken = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Steps:
        """Show it to the next commands of this process."""
        monkeypatch.setattr("certjobs.cli.output.progress", lambda: self)
        return self

    @contextmanager
    def track(self, description: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield self._advance if description != "Telling" else lambda _steps: None

    def _advance(self, _steps: int) -> None:
        if self.taken < len(self._actions):
            self._actions[self.taken]()
        self.taken += 1
