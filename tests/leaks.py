"""What looks, during every test, at all that the run produces, for secrets that should not be there.

``install`` puts itself where things pass: settings on their way in; on their way out errors, what processes are started
with and print, what tests take of captured output, requests and mail as the tests' servers get them.
``tests/conftest.py`` adds what commands print, files, rows and the database server's log, and lets the test fail of
which anything was found.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import secrets
import stat
import subprocess
import sys
import traceback
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from socketserver import StreamRequestHandler
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiosmtpd.smtp
import pexpect
import pytest
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import URL

from certjobs import errors
from certjobs.adapters.alerts import WebhookAlerter
from certjobs.adapters.apprise_alerts import AppriseAlerter
from certjobs.adapters.dataverse.auth import ClientSecretTokens
from certjobs.adapters.notify.email import MailServer
from certjobs.adapters.notify.webhook import WebhookNotifier
from certjobs.adapters.pings import MonitorPinger
from certjobs.config import PLACE_OF_JOB, PREFIX, Settings
from certjobs.db import engine as db_engine
from certjobs.local.simulator import tokens
from tests import canaries
from tests.canaries import look, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import psycopg

PROGRAM = str(Path(errors.__file__).parent) + os.sep
_OVERLAP = 100  # characters of what was read before, so that no secret hides where it was cut
SETTINGS = tuple(
    name for name, field in Settings.model_fields.items() if SecretStr.__name__ in str(field.annotation)
)  # those whose values are secrets

# What a test gives the program.


def guard(setting: str, value: str | None) -> None:
    """Write down that a secret setting has a value that is a secret and no canary."""
    if value and value not in canaries.HARMLESS and not canaries.is_canary(value) and _is_secret(setting, value):
        note(f"{PREFIX}{setting.upper()} has a value that is no canary: take one from tests/canaries.py")


def _is_secret(setting: str, value: str) -> bool:
    if setting.endswith("database_url"):
        return bool(re.search(r"//[^@]*:[^@]+@|password=[^&]", value))
    if setting.endswith("_url"):
        try:
            parts = urlsplit(value)
        except ValueError:
            return True
        return bool(parts.path.replace(PLACE_OF_JOB, "").strip("/") or parts.query or "@" in parts.netloc)
    return True


def guard_variables(environment: Mapping[str, str]) -> None:
    """Do so for an environment, with the files that it names."""
    directory = environment.get(f"{PREFIX}SECRETS_DIR")
    for name in SETTINGS:
        variable = f"{PREFIX}{name.upper()}"
        guard(name, environment.get(variable))
        for file in (environment.get(f"{variable}_FILE"), directory and f"{directory}/{name}"):
            if file:
                try:
                    guard(name, Path(file).read_text(encoding="utf-8").strip())
                except (OSError, ValueError):
                    continue


def _before(owner: Any, name: str, look_at: Callable[..., object]) -> None:
    """Let a function be called with the arguments of another just before that one is."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        look_at(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def _guard_arguments(owner: Any, name: str, **settings: str) -> None:
    """Guard arguments of a function, each as the setting it stands for."""
    signature = inspect.signature(getattr(owner, name))

    def look_at(*args: Any, **kwargs: Any) -> None:
        given = signature.bind_partial(*args, **kwargs).arguments
        for argument, setting in settings.items():
            value = given.get(argument)
            guard(setting, value.render_as_string(hide_password=False) if isinstance(value, URL) else value)

    _before(owner, name, look_at)


def _guard_everything_given() -> None:
    def look_at_settings(_settings: Settings, **given: Any) -> None:
        guard_variables(os.environ)
        for name in SETTINGS:
            value = given.get(name)
            guard(name, value.get_secret_value() if isinstance(value, SecretStr) else value)

    _before(Settings, "__init__", look_at_settings)
    _guard_arguments(db_engine, "create_engine", url="database_url")
    _guard_arguments(MailServer, "__init__", password="smtp_password")
    _guard_arguments(WebhookNotifier, "__init__", url="notify_webhook_url", secret="notify_webhook_secret")
    _guard_arguments(WebhookAlerter, "__init__", url="alert_webhook_url")
    _guard_arguments(AppriseAlerter, "__init__", addresses="alert_apprise_url")
    _guard_arguments(MonitorPinger, "__init__", url="ping_url")
    _guard_arguments(ClientSecretTokens, "_post", secret="dataverse_client_secret")
    _guard_arguments(tokens.Authority, "add_client", secret="dataverse_client_secret")
    _guard_arguments(tokens.Authority, "add_secret", secret="dataverse_client_secret")


# Processes.


def watch_processes() -> None:
    """From now on look at every program that this process or a fork of it starts: how it is called, and with what."""
    sys.addaudithook(_audit)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
        called = [os.fsdecode(each) for each in ([args[1]] if isinstance(args[1], str | bytes) else args[1])]
        environment = {os.fsdecode(k): os.fsdecode(v) for k, v in (args[-1] or os.environ).items()}
        look_at_process(called, environment, by_the_program=_by_the_program())


def look_at_process(called: list[str], environment: Mapping[str, str], *, by_the_program: bool) -> None:
    """Look at the command line of a process, and at its environment if the program gives that on to it."""
    look(f"the command line of {called[0]}", "\0".join(called))
    if by_the_program:
        for name, value in environment.items():
            if name != "PYTEST_CURRENT_TEST":
                look(f"{name} in the environment that the program gives {called[0]}", value)
    else:
        guard_variables(environment)


def _by_the_program() -> bool:
    """Tell whether it is the program that starts a process, not a test."""
    return any(frame.f_code.co_filename.startswith(PROGRAM) for frame, _ in traceback.walk_stack(None))


class _Pieces:
    """What is read piece by piece, looked at also where two pieces meet."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._last: Any = None

    def look(self, data: Any) -> None:
        """Look at one more piece."""
        text = data if self._last is None else self._last + data
        self._last = text[:0] if look(self._where, text) else text[-_OVERLAP:]


class _Looking:
    """A stream that lets look at whatever is read from it."""

    def __init__(self, stream: Any, look_at: Callable[[Any], object]) -> None:
        self._stream = stream
        self._look_at = look_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[Any]:
        return map(self._seen, self._stream)

    def readline(self, *args: Any) -> Any:
        return self._seen(self._stream.readline(*args))

    def readlines(self, *args: Any) -> Any:
        return [self._seen(line) for line in self._stream.readlines(*args)]

    def read(self, *args: Any) -> Any:
        return self._seen(self._stream.read(*args))

    def read1(self, *args: Any) -> Any:
        return self._seen(self._stream.read1(*args))

    def _seen(self, data: Any) -> Any:
        if data:
            self._look_at(data)
        return data


_written: list[tuple[str, int]] = []


def _keep(where: str, given: Any) -> None:
    """Keep the file that a process writes to, if it is one, for the end of the test."""
    with suppress(AttributeError, OSError, ValueError):
        descriptor = given if isinstance(given, int) else given.fileno()
        if descriptor >= 0 and stat.S_ISREG(os.fstat(descriptor).st_mode):
            _written.append((where, os.open(f"/dev/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)))


def look_at_written() -> None:
    """Look at the files that processes wrote to, wherever these are, and forget them."""
    for where, descriptor in _written:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            look(where, file.read())
    _written.clear()


def _watch_output() -> None:
    start = subprocess.Popen.__init__

    @functools.wraps(start)
    def starting(process: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:
        start(process, *args, **kwargs)
        for name in ("stdout", "stderr"):
            if stream := getattr(process, name):
                setattr(process, name, _Looking(stream, _Pieces(f"the {name} of a process").look))
            else:
                _keep(f"the {name} of a process", kwargs.get(name))

    setattr(subprocess.Popen, "__init__", starting)  # noqa: B010 - for the type checker
    communicate = subprocess.Popen.communicate

    @functools.wraps(communicate)
    def communicating(process: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        out, err = communicate(process, *args, **kwargs)
        for where, text in (("stdout", out), ("stderr", err)):
            look(f"the {where} of a process", text or "")
        return out, err

    setattr(subprocess.Popen, "communicate", communicating)  # noqa: B010 - for the type checker
    reading = pexpect.spawn.read_nonblocking

    @functools.wraps(reading)
    def read_nonblocking(child: Any, *args: Any, **kwargs: Any) -> Any:
        data = reading(child, *args, **kwargs)
        child.__dict__.setdefault("looking", _Pieces("what a terminal shows")).look(data)
        return data

    setattr(pexpect.spawn, "read_nonblocking", read_nonblocking)  # noqa: B010 - for the type checker
    taking = pytest.CaptureFixture.readouterr

    @functools.wraps(taking)
    def readouterr(capture: pytest.CaptureFixture[Any]) -> Any:
        taken = taking(capture)
        look("the stdout that a test takes", taken.out)
        look("the stderr that a test takes", taken.err)
        return taken

    setattr(pytest.CaptureFixture, "readouterr", readouterr)  # noqa: B010 - for the type checker


# What the tests' servers get.

_PLACES = {
    "token": re.compile(r"authorization: bearer .*", re.IGNORECASE),
    "client": re.compile(r"(.*&)?client_secret=[^&]*"),
    "assertion": re.compile(r"(.*&)?client_assertion=[^&]*"),
    "smtp": re.compile(r"AUTH PLAIN .*"),
    "proxy": re.compile(r"proxy-authorization: basic .*", re.IGNORECASE),
    **dict.fromkeys(
        ("alert", "apprise", "notify", "ping"), re.compile(r"(?:HEAD|GET|POST) (?:https?://[^/ ]*)?/[^ ?]*")
    ),
}
_ENCODED = ("proxy", "smtp")  # kinds that arrive in base64


def belongs_in_request(kind: str, before: str) -> bool:
    """Tell whether a secret belongs where it stands in what a server of HTTP reads."""
    line = before.rpartition("\n")[2]
    kinds = _ENCODED if kind == "encoded" else (kind,)
    return any(each in _PLACES and _PLACES[each].fullmatch(line) for each in kinds)


def look_at_mail(content: bytes) -> None:
    """Look at a mail as it travels and as it is read."""
    look("a mail", content)
    for part in message_from_bytes(content, policy=default).walk():
        look("the head of a mail", "\n".join(f"{name}: {value}" for name, value in part.items()))
        payload = part.get_payload(decode=True)
        look("the text of a mail", payload if isinstance(payload, bytes) else b"")


def _watch_servers() -> None:
    setup = StreamRequestHandler.setup

    @functools.wraps(setup)
    def set_up(handler: Any) -> None:
        setup(handler)
        handler.rfile = _Looking(handler.rfile, functools.partial(look, "a request", belongs=belongs_in_request))

    setattr(StreamRequestHandler, "setup", set_up)  # noqa: B010 - for the type checker

    def look_at_command(server: Any, command: str, *args: Any) -> None:
        if command == "DATA":
            content = server.envelope.content or b""
            look_at_mail(content.encode() if isinstance(content, str) else content)
        elif command in ("MAIL", "RCPT"):
            look(f"an address of {command}", str(args))

    _before(aiosmtpd.smtp.SMTP, "_call_handler_hook", look_at_command)
    given = SimpleNamespace(
        token_urlsafe=lambda length: canaries.canary("token", secrets.token_urlsafe(length)),
        compare_digest=secrets.compare_digest,
    )
    setattr(tokens, "secrets", given)  # noqa: B010 - for the type checker


# Errors.


def _watch_errors() -> None:
    def look_at_error(error: Exception, *args: Any, hint: str | None = None, **kwargs: Any) -> None:
        where = f"a {type(error).__name__}"
        look(where, "\n".join(str(each) for each in (*args, *kwargs.values(), hint)))

    for each in (errors.CertjobsError, errors.DeliveryError, errors.StatementFailed):
        _before(each, "__init__", look_at_error)


def look_at_traceback(error: BaseException) -> None:
    """Look at what the interpreter would print of an error that nobody caught."""
    look("a traceback", "".join(traceback.format_exception(error)))


# What commands print.

_PRIVATE = re.compile(
    r"[\w.+-]+@(?:[\w-]+\.)*example\.(?:org|com|net|no)\b"  # addresses, all of them invented
    r"|\b(?:Kari|Ola) Eksempel\b|\bMentor [A-Z]+[\w-]*"  # of tests/roster.py
)


def look_at_output(stdout: str, stderr: str) -> None:
    """Look at what a command printed; its log must name nobody either."""
    look("the stdout of a command", stdout)
    look("the stderr of a command", stderr)
    for line in stderr.splitlines():
        if line.startswith("{") and '"event"' in line and (found := _PRIVATE.search(line)):
            note(f"the log names somebody: {found[0]!r} in {line[:200]}")


# Files.

_made: list[Path] = []


def _watch_directories() -> None:
    make = pytest.TempPathFactory.mktemp

    @functools.wraps(make)
    def mktemp(*args: Any, **kwargs: Any) -> Path:
        _made.append(make(*args, **kwargs))
        return _made[-1]

    setattr(pytest.TempPathFactory, "mktemp", mktemp)  # noqa: B010 - for the type checker


def look_at_directories() -> None:
    """Look at the directories that pytest made for tests since: each once, at the end of the test that asked for it."""
    for directory in _made:
        canaries.look_at_files(directory)
    _made.clear()


# The database.


def look_at_rows(connection: psycopg.Connection[Any]) -> None:
    """Look at every row of every table of a database, as it is at this moment."""
    names = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        " AND pg_relation_size(c.oid) > 0"
    ).fetchall()
    if not names:
        return
    found = sql.SQL("SELECT {}, t::text FROM {} AS t WHERE t::text ~ {}")
    each = [found.format(name[1], sql.Identifier(*name), canaries.PATTERN) for name in names]
    for table, row in connection.execute(sql.SQL(" UNION ALL ").join(each)):
        look(f"a row of {table}", row)


class ServerLog:
    """What a database's server writes down, looked at piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def look(self) -> None:
        """Look at what was added."""
        for text in self._added():
            look("the log of the database's server", text)

    def _added(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(self._seen)
            while data := file.readlines(1 << 20):
                self._seen = file.tell()
                yield b"".join(data)


class WriteAheadLog:
    """What a database's server writes before it changes anything: every row that came by any way.

    So one is seen that is deleted or rolled back by now. Not seen are rows of temporary and unlogged tables, and values
    so long (about 2 kB) that the server compresses them: these only while they are in their table. What a checkpoint in
    the midst of a test has done away with is passed over.
    """

    _SEGMENT = 16 << 20

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen = 0

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Pass over all that was written so far."""
        self._seen = self._position(connection, "pg_current_wal_insert_lsn")

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Look at what was added. The connection is one on which a commit waits until it is written."""
        connection.execute("SELECT pg_logical_emit_message(true, '', '')")  # something to commit
        end = self._position(connection, "pg_current_wal_lsn")
        while self._seen < end:
            number, offset = divmod(self._seen, self._SEGMENT)
            length = min(end - self._seen, self._SEGMENT - offset)
            path = self._directory / f"{1:08X}{number >> 8:08X}{number & 0xFF:08X}"
            with suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(offset)
                look("the rows that the database's server wrote", file.read(length))
            self._seen += length

    @staticmethod
    def _position(connection: psycopg.Connection[Any], function: str) -> int:
        query = sql.SQL("SELECT ({}() - '0/0')::bigint").format(sql.Identifier(function))
        ((position,),) = connection.execute(query)
        return int(position)


def install() -> None:
    """Look from now on, for as long as this process lives."""
    _guard_everything_given()
    watch_processes()
    _watch_output()
    _watch_directories()
    _watch_servers()
    _watch_errors()
