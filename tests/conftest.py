"""Fixtures: an embedded server per test process, a cloned database per test, the command line in and out of process."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from certjobs.cli import main
from certjobs.db import engine as db_engine
from certjobs.db import schema
from certjobs.local import postgres
from tests import canaries, leaks

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

ROOT = Path(__file__).parents[1]
TEMPLATE = "certjobs_template"
# Login roles with the privileges of the jobs, of administration and of looking, and no others.
JOB_LOGIN, ADMIN_LOGIN, READ_LOGIN = "certjobs_test_job", "certjobs_test_admin", "certjobs_test_read"
LOGINS = {JOB_LOGIN: "certjobs_job", ADMIN_LOGIN: "certjobs_admin", READ_LOGIN: "certjobs_read"}

# Database examples are slow by nature and differ in time from machine to machine.
settings.register_profile(
    "certjobs",
    deadline=None,
    max_examples=int(os.environ.get("CERTJOBS_HYPOTHESIS_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("certjobs")


def pytest_configure() -> None:
    """Look for leaking secrets from the beginning."""
    canaries.begin()
    leaks.install()


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    canaries.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """At the end of a test, its fixtures torn down, let it fail if a secret was found where it should not be."""
    report = yield
    if call.when != "teardown":
        return report
    for name, text in report.sections:
        canaries.look(name, text)
    leaks.look_at_directories()
    leaks.look_at_written()
    canaries.forget_stored()
    found = canaries.taken()
    if found and report.passed:
        report.outcome = "failed"
        report.longrepr = "\n".join(found)
    elif found:
        report.sections.append(("secrets", "\n".join(found)))
    return report


@dataclass(frozen=True)
class Result:
    """What a command returned and printed."""

    exit_code: int
    stdout: str
    stderr: str

    def __post_init__(self) -> None:
        leaks.look_at_output(self.stdout, self.stderr)

    def json(self) -> Any:
        """Return the one JSON document on stdout."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Cluster:
    """An embedded server; ``url`` gives a database's address for its owner, a superuser, or for another login."""

    address: str
    log: leaks.ServerLog | None = None
    written: leaks.WriteAheadLog | None = None
    _kept: list[psycopg.Connection[Any]] = field(default_factory=list)

    def url(self, database: str, login: str = "postgres") -> str:
        """Return the address of a database for a login."""
        return self.address.replace("/postgres?", f"/{database}?").replace("//postgres@", f"//{login}@")

    def let_in(self) -> None:
        """Create the logins. The roles are there since a database was migrated."""
        for login, role in LOGINS.items():
            self.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}")

    def execute(self, statement: str) -> None:
        """Run one statement outside of any test database."""
        self._session().execute(statement)

    def _session(self) -> psycopg.Connection[Any]:
        if not self._kept or self._kept[-1].closed:
            self._kept.append(psycopg.connect(self.address, autocommit=True))
        return self._kept[-1]

    def pass_over(self) -> None:
        """Look at no row that was written until now."""
        if self.written is not None:
            self.written.begin(self._session())

    def look_at_rows(self, database: str) -> None:
        """Look at the rows of a database, and at those that are no more."""
        # Unlogged, as what is looked for would be found in the log.
        options = "-c log_statement=none -c synchronous_commit=on"
        with psycopg.connect(self.url(database), autocommit=True, options=options) as connection:
            leaks.look_at_rows(connection)
            if self.written is not None:
                self.written.look(connection)

    def look_at_log(self) -> None:
        """Look at what the server has written down since."""
        if self.log is not None:
            self.log.look()

    def close(self) -> None:
        """End the session that this keeps."""
        for connection in self._kept:
            connection.close()
        self.look_at_log()


@dataclass(frozen=True)
class TestDatabase:
    """One test's own database, migrated."""

    __test__ = False
    name: str
    cluster: Cluster

    @property
    def url(self) -> str:
        """The address for the owner."""
        return self.cluster.url(self.name)

    @property
    def job_url(self) -> str:
        """The address for a login that has the role certjobs_job and nothing else."""
        return self.cluster.url(self.name, JOB_LOGIN)

    @property
    def admin_url(self) -> str:
        """The address for a login that has the role certjobs_admin and nothing else."""
        return self.cluster.url(self.name, ADMIN_LOGIN)

    @property
    def read_url(self) -> str:
        """The address for a login that has the role certjobs_read and nothing else."""
        return self.cluster.url(self.name, READ_LOGIN)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection as owner, in autocommit."""
        return psycopg.connect(self.url, autocommit=True)

    def all(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return every row of a query."""
        with self.connect() as connection:
            return connection.execute(query, parameters).fetchall()

    def one(self, query: str, *parameters: Any) -> Any:
        """Return the one value of a query."""
        ((value,),) = self.all(query, *parameters)
        return value

    def execute(self, statement: str, *parameters: Any) -> None:
        """Run one statement."""
        with self.connect() as connection:
            connection.execute(statement, parameters)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start this test process's own server, with a migrated template database and the job's login."""
    directory = Path(tempfile.mkdtemp(prefix="certjobs-test-"))
    try:
        with ExitStack() as stack:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CERTJOBS_SMTP_PASSWORD", canaries.canary("smtp"))  # which the server must not get
                address = stack.enter_context(postgres.server(directory))
            data = directory / "postgres"
            found = Cluster(address, leaks.ServerLog(data / "log"), leaks.WriteAheadLog(data / "pg_wal"))
            for parameter in ("fsync", "synchronous_commit", "full_page_writes"):
                found.execute(f"ALTER SYSTEM SET {parameter} = off")
            found.execute("ALTER SYSTEM SET log_statement = 'all'")  # with their parameters
            found.execute("SELECT pg_reload_conf()")
            found.execute("GRANT SET ON PARAMETER log_statement TO PUBLIC")  # for a session that tells a secret itself
            found.execute(f"CREATE DATABASE {TEMPLATE}")
            migrate(found.url(TEMPLATE))
            found.let_in()
            yield found
            found.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def migrate(url: str) -> None:
    """Bring a database to head."""
    engine = db_engine.create_engine(
        db_engine.database_url(url), application_name="tests", statement_timeout=60, lock_timeout=10
    )
    schema.upgrade(engine)
    engine.dispose()


_numbers = count(1)


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give the test a database of its own in which no migration ran."""
    yield from _database(cluster, "template0")


@pytest.fixture
def database(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give the test a migrated database of its own: HLF exists, no mentor does."""
    yield from _database(cluster, TEMPLATE)


def _database(cluster: Cluster, template: str) -> Iterator[TestDatabase]:
    name = f"test_{next(_numbers)}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
    try:
        cluster.pass_over()
        yield TestDatabase(name, cluster)
        cluster.look_at_rows(name)
    finally:
        cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
        cluster.look_at_log()


@pytest.fixture
def local_directory() -> Iterator[Path]:
    """Give the test a directory for an embedded server of its own, made when first used.

    Not below tmp_path: under root the server runs as another user, and pytest closes its directories to others anew
    whenever it starts somewhere on the machine. In the end all its files are looked at, whether the server runs or not:
    its log, its tables as they lie there and what it wrote ahead of them. A long value that it compressed is not seen.
    """
    directory = Path(tempfile.gettempdir()) / f"certjobs-local-{os.getpid()}-{next(_numbers)}"
    yield directory
    canaries.look_at_files(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, local_directory: Path) -> None:
    """Keep the developer's own settings out of the tests, and the tests' local data out of the developer's."""
    for name in list(os.environ):
        if name.startswith("CERTJOBS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CERTJOBS_LOCAL_DIR", str(local_directory))
    monkeypatch.setenv("CERTJOBS_ACTOR", "test")


class Certjobs:
    """Run a command in this process, as the shell would: arguments in, exit code and output out."""

    def __init__(self, default_url: str | None) -> None:
        self._default_url = default_url

    def __call__(
        self, *argv: str, url: str | None = None, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Result:
        """Run ``certjobs *argv`` on ``url`` (default: the test's database, as an administrator)."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(url, env).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    exit_code = main(list(argv))
                except Exception as error:
                    leaks.look_at_traceback(error)
                    raise
            printed = []
            for stream in (out, err):
                stream.flush()
                printed.append(stream.buffer.getvalue().decode())
        return Result(exit_code, *printed)

    def environment(self, url: str | None, env: Mapping[str, str] | None) -> dict[str, str]:
        """Return the variables that the command gets besides the test's own."""
        address = url or self._default_url
        return ({"CERTJOBS_DATABASE_URL": address} if address else {}) | dict(env or {})


class CertjobsProcess(Certjobs):
    """Run a command as a process of its own."""

    def __call__(
        self, *argv: str, url: str | None = None, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Result:
        """Run ``certjobs *argv`` to its end."""
        done = subprocess.run(
            self.command(*argv),
            env=os.environ | self.environment(url, env),
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *argv: str, url: str | None = None, env: Mapping[str, str] | None = None, program: str = "certjobs"
    ) -> subprocess.Popen[bytes]:
        """Start ``certjobs *argv``, or another program of its kind, and return the process."""
        return subprocess.Popen(
            self.command(*argv, program=program),
            env=os.environ | self.environment(url, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @staticmethod
    def command(*argv: str, program: str = "certjobs") -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", program, *argv]


@pytest.fixture
def certjobs(database: TestDatabase) -> Certjobs:
    """Return the command line, in this process, on the test's database."""
    return Certjobs(database.admin_url)


@pytest.fixture
def certjobs_process(database: TestDatabase) -> CertjobsProcess:
    """Return the command line as real processes, on the test's database."""
    return CertjobsProcess(database.admin_url)


@pytest.fixture
def certjobs_unset() -> Certjobs:
    """Return the command line with no database configured."""
    return Certjobs(None)
