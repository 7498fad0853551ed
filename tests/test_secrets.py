"""That the search for leaking secrets finds them, and that no fault makes the program tell one."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
import stamina
import trustme

from certjobs import config
from certjobs.adapters.notify.email import MailServer
from certjobs.errors import ConfigurationError, DeliveryFailed
from certjobs.local import mailbox, postgres
from tests import canaries, leaks
from tests.canaries import canary, signing_secret, store
from tests.children.helpers import load
from tests.children.scripted import TOKEN, Reply, Request, answer, scripted
from tests.children.servers import unused_port
from tests.conftest import JOB_LOGIN, ROOT, Result
from tests.roster import KARI, TODAY, Mentor
from tests.test_access import World, claim, pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Certjobs, Cluster, TestDatabase

SMTP, CLIENT, DATABASE = canary("smtp", "blåbær+/&=41"), canary("client", "8Q~of"), canary("database", "7QmZ")


def found(*words: str) -> None:
    """Exactly one thing was found since this was asked last, and it is said with these words and without a secret."""
    (said,) = canaries.taken()
    assert [each for each in words if each not in said] == []
    assert canaries.MARK not in said


def nothing_found() -> None:
    assert canaries.taken() == []


# The search: every kind of place has a leak planted in it.


@pytest.mark.parametrize("secret", [SMTP, canary("token"), signing_secret(), *"xyz"])
def test_a_secret_is_seen_however_it_is_written(secret: str) -> None:
    """As it is, quoted, in other letters, in base64 at any place, cut off at either end; a text without one is not."""
    plain = secret.encode()
    ways = [secret, quote(secret, safe=""), repr(secret), secret[:16], *([secret[-12:]] if len(secret) > 16 else [])]
    if not secret.startswith("whsec_"):  # that is in base64 already
        ways += [secret.upper(), secret.title(), plain.hex(), plain.hex().upper(), plain.hex(" ", -20)]
        ways += [base64.b64encode(b"\0" * before + plain + b" ").decode() for before in range(4)]
    for way in ways:
        canaries.look("a place", f"before {way} after")
        canaries.look("a place", f"before {way} after".encode())
        assert len(canaries.taken()) == (0 if secret in "xyz" else 1), way


def test_what_commands_print_is_looked_at(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output and error of a command in this process and of any other, and who is named in a log."""
    Result(0, f"it is {SMTP}", "")
    found("smtp", "stdout", "it is ")
    Result(0, "", f"Traceback\n{CLIENT}")
    found("client", "stderr")
    program = "import sys; print('ge' + 'heim-smtp-'); print('ge' + 'heim-ping-', file=sys.stderr)"
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert [each.partition(" is in ")[0][-4:] for each in canaries.taken()] == ["smtp", "ping"]
    for line in (f'{{"event": "x", "to": "{KARI}"}}', '{"event": "x", "to": "kari@post.example.org"}'):
        Result(0, "", line)
        found("names somebody")
    Result(0, KARI, '{"event": "run.started", "run_id": "1"}\nnightly: Kari Eksempel')  # no log, and one without names
    nothing_found()
    assert capfd.readouterr() == ("", "")
    for stream in (sys.stdout, sys.stderr):
        print(SMTP, file=stream)
        assert SMTP in "".join(capfd.readouterr())
        found("smtp", "that a test takes")


PRINTS = "import sys; [print('ge' + 'heim-smtp-', file=each, flush=True) for each in (sys.stdout, sys.stderr)]"
WAYS: dict[str, Callable[[Any], object]] = {
    "read": lambda stream: stream.read(),
    "by pieces": lambda stream: [stream.read(5) for _ in range(3)],
    "by line": lambda stream: stream.readline(),
    "lines": lambda stream: stream.readlines(),
    "each line": list,
}


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_what_processes_print_is_looked_at(way: str, text: bool) -> None:
    """A secret is found in what a test reads from a process's pipes, however it reads."""
    command = [sys.executable, "-c", PRINTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=text) as process:
        for name in ("stdout", "stderr"):
            WAYS[way](getattr(process, name))
            found(f"the {name} of a process")


def test_how_processes_are_called_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret on a command line is found, whoever starts the process and however."""
    for argument in (DATABASE, f"--url=postgresql://u:{DATABASE}@h/d"):
        subprocess.run(["true", argument], check=True)
        found("database", "command line of true")
    subprocess.run(f"true {DATABASE}", shell=True, check=True)  # noqa: S602 - it is our own
    found("database", "command line")
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/true", ["true", DATABASE])  # noqa: S606
    os.waitpid(pid, 0)
    found("database", "command line of true")
    monkeypatch.setenv("CERTJOBS_SMTP_PASSWORD", SMTP)
    subprocess.run(["true"], check=True)  # what a test gives its own children is theirs
    nothing_found()
    leaks.look_at_process(["pg_ctl", "start"], {"CERTJOBS_SMTP_PASSWORD": SMTP}, by_the_program=True)
    found("smtp", "CERTJOBS_SMTP_PASSWORD in the environment that the program gives pg_ctl")


def test_files_are_looked_at(tmp_path: Path) -> None:
    """A secret in a file is found, but where the test stored it itself; and only as long as that test goes on."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "certjobs.prom").write_bytes(b"\xff\0" + SMTP.encode())
    stored = store(tmp_path / "secret", SMTP)
    canaries.look_at_files(tmp_path)
    found("smtp", "metrics/certjobs.prom")
    (tmp_path / "metrics" / "certjobs.prom").unlink()
    nothing_found()
    canaries.forget_stored()
    canaries.look_at_files(tmp_path)
    found("smtp", "the file secret")
    stored.unlink()
    named = tmp_path / f"{CLIENT.replace('/', '')}.txt"
    named.touch()
    canaries.look_at_files(tmp_path)
    found("client", "the name of a file")
    named.unlink()


def test_private_keys_are_looked_at() -> None:
    """A private key is found, and a certificate is not taken for one."""
    issued = trustme.CA().issue_cert("example.org")
    canaries.look("a place", issued.private_key_pem.bytes())
    found("private key", "a place")
    canaries.look("a place", issued.cert_chain_pems[0].bytes())
    nothing_found()


def test_rows_are_looked_at(database: TestDatabase, cluster: Cluster) -> None:
    """A secret in any column of any table is found, and so is one in a statement, a parameter or an error of it."""
    database.execute("CREATE SCHEMA theirs CREATE TABLE bookings (id integer, about jsonb)")
    canaries.taken()
    database.execute("INSERT INTO theirs.bookings VALUES (1, %s::jsonb)", f'{{"why": ["{CLIENT}"]}}')
    cluster.look_at_log()
    found("client", "log of the database's server")
    with database.connect() as connection:
        connection.execute("SET log_statement = 'none'")
        leaks.look_at_rows(connection)
        found("client", "a row of bookings")
        connection.execute("DELETE FROM theirs.bookings")
        leaks.look_at_rows(connection)
        cluster.look_at_log()
        nothing_found()
        with pytest.raises(psycopg.Error):
            connection.execute(f"SELECT '{CLIENT}'::integer")
    cluster.look_at_log()
    found("client", "log of the database's server")
    cluster.look_at_rows(database.name)
    found("client", "the rows that the database's server wrote")


def test_rows_that_are_gone_are_looked_at(database: TestDatabase, cluster: Cluster) -> None:
    """A row is found that came by COPY, or was there for a moment, and only once."""
    with database.connect() as connection:
        connection.execute("SET log_statement = 'none'")
        connection.execute("CREATE TABLE bookings (about text)")
        for _ in range(2):
            with connection.cursor().copy("COPY bookings FROM STDIN") as copy:
                copy.write_row([DATABASE])
            connection.execute("TRUNCATE bookings")
            cluster.look_at_rows(database.name)
            found("database", "the rows that the database's server wrote")
    cluster.look_at_rows(database.name)
    nothing_found()


def test_what_a_local_server_keeps_is_looked_at(local_directory: Path) -> None:
    """A row of an embedded server of a test's own is found when it has stopped, and so is what its log holds."""
    with postgres.database(local_directory) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bookings (about text)")
        connection.execute("INSERT INTO bookings VALUES (%s)", [CLIENT])
        with pytest.raises(psycopg.Error):
            connection.execute(f"SELECT '{DATABASE}'::integer")
    canaries.look_at_files(local_directory)
    said = canaries.taken()
    assert [each for each in said if "kind client" in each and "the file postgres/pg_wal/" in each]
    assert [each for each in said if "kind client" in each and "the file postgres/base/" in each]
    assert [each for each in said if "kind database" in each and "the file postgres/log" in each]
    shutil.rmtree(local_directory)


def test_a_signed_claim_is_looked_at(database: TestDatabase, cluster: Cluster) -> None:
    """A coordinator's claim is found in a row and in what the server says; setting it for a session tells nothing."""
    for signed in (claim(), pieces()):
        canaries.look("an error", f"this is refused: {signed}")
        found("encoded", "an error")
        with World(database).session(JOB_LOGIN, signed) as connection:
            assert connection.execute("SELECT current_setting('certjobs.claim')").fetchone() == (signed,)
            cluster.look_at_log()
            nothing_found()
            with pytest.raises(psycopg.Error):
                connection.execute("DO $$ BEGIN RAISE '%', current_setting('certjobs.claim'); END $$")
        cluster.look_at_log()
        found("encoded", "log of the database's server")
    with database.connect() as connection:
        connection.execute("SET log_statement = 'none'")
        connection.execute("CREATE TABLE bookings AS SELECT %s AS about", [claim()])
    cluster.look_at_rows(database.name)
    assert [each.partition(" is in ")[2][:5] for each in canaries.taken()] == ["a row", "the r"]
    database.execute("DROP TABLE bookings")


class _Any(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


IN_BASE64 = base64.b64encode(CLIENT.encode()).decode()
PASSED = {
    "the token where it belongs": ("/", {"Authorization": f"Bearer {canary('token', 'a')}"}, ""),
    "the token elsewhere": ("/", {"X-Trace": canary("token", "a")}, None),
    "the token in an address": (f"/?t={canary('token', 'a')}", {}, None),
    "the token in a body": ("/", {}, f"it is {canary('token', 'a')}"),
    "the client secret where it belongs": ("/", {}, f"client_id=1&client_secret={quote(CLIENT)}&scope=a"),
    "the client secret elsewhere": ("/", {}, f"client_id={quote(CLIENT)}"),
    "the client secret as a password": ("/", {"Authorization": f"Basic {IN_BASE64}"}, ""),
    "an alert's address": (f"/hooks/{canary('alert')}", {}, ""),
    "an alert's address told": ("/", {}, f'{{"text": "/hooks/{canary("alert")}"}}'),
    "another secret in an address": (f"/{DATABASE}", {}, ""),
}  # fmt: skip


def test_requests_are_looked_at() -> None:
    """What the tests' servers get by HTTP may hold a secret only where that kind belongs."""
    unexpected = {}
    with HTTPServer(("127.0.0.1", 0), _Any) as server:
        for name, (target, headers, body) in PASSED.items():
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            httpx.post(f"http://127.0.0.1:{server.server_port}{target}", headers=headers, content=body or "")
            thread.join()
            if len(said := canaries.taken()) != (0 if "belongs" in name or name == "an alert's address" else 1):
                unexpected[name] = said
    assert unexpected == {}


def test_mails_are_looked_at() -> None:
    """A mail may hold no secret: not in its subject, nor in a text that travels in base64."""
    for subject, text in ((f"Æ {SMTP}", ""), ("", f"Blåbær og {SMTP}. {'æ' * 200}")):
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = subject, "a@example.org", "b@example.org"
        mail.set_content(text, cte="base64")
        with mailbox.mailbox() as box:
            import smtplib

            with smtplib.SMTP("127.0.0.1", box.port) as sending:
                sending.send_message(mail)
        said = canaries.taken()
        assert said
        assert all("smtp" in each or "encoded" in each for each in said)
        assert all("a mail" in each for each in said)


def test_errors_are_looked_at(certjobs: Certjobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours holds no secret, printed or not, nor does the chain of one that nobody caught."""
    ConfigurationError(f"It is {SMTP}.")
    found("smtp", "ConfigurationError")
    ConfigurationError("It is wrong.", hint=f"Use {SMTP}.")
    found("smtp", "ConfigurationError")
    DeliveryFailed(SMTP)
    found("smtp", "DeliveryFailed")

    def breaks(*_: object) -> None:
        msg = "something else"
        raise RuntimeError(msg) from ValueError(SMTP)

    monkeypatch.setattr("certjobs.config.load", breaks)
    with pytest.raises(RuntimeError):
        certjobs("orgs", "list", "--debug")
    found("smtp", "a traceback")


SECRET_SETTINGS = {
    "CERTJOBS_DATABASE_URL": "postgresql://user:hunter2@127.0.0.1/db",
    "CERTJOBS_LOCK_DATABASE_URL": "postgresql://127.0.0.1/db?user=a&password=hunter2",
    "CERTJOBS_NOTIFY_WEBHOOK_URL": "https://127.0.0.1/hunter2",
    "CERTJOBS_NOTIFY_WEBHOOK_SECRET": "whsec_" + "A" * 40,
    "CERTJOBS_SMTP_PASSWORD": "hunter2",
    "CERTJOBS_DATAVERSE_CLIENT_SECRET": "hunter2",
    "CERTJOBS_DATAVERSE_CERTIFICATE_PASSWORD": "hunter2",
    "CERTJOBS_ALERT_WEBHOOK_URL": "https://127.0.0.1/hunter2",
    "CERTJOBS_ALERT_APPRISE_URL": "json://127.0.0.1/hunter2",
    "CERTJOBS_PING_URL": "https://127.0.0.1/hunter2/{job}",
}


def test_every_secret_that_a_test_gives_is_a_canary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret setting with another value is found, given by variable, file, directory, argument or to a child."""
    assert {f"{config.PREFIX}{name.upper()}" for name in leaks.SETTINGS} == set(SECRET_SETTINGS)
    for variable, value in SECRET_SETTINGS.items():
        name = variable.removeprefix(config.PREFIX).lower()
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            config.load()
            found(variable, "no canary")
            subprocess.run(["true"], check=True)
            found(variable, "no canary")
        (tmp_path / name).write_text(f"{value}\n")
        for given, file in ((f"{variable}_FILE", tmp_path / name), ("CERTJOBS_SECRETS_DIR", tmp_path)):
            with monkeypatch.context() as patch:
                patch.setenv(given, str(file))
                config.load()
                found(variable, "no canary")
        (tmp_path / name).unlink()
        config.load({name: value})
        found(variable, "no canary")
    MailServer("127.0.0.1", password="hunter2")
    found("CERTJOBS_SMTP_PASSWORD")
    config.load({"database_url": "postgresql://user@127.0.0.1/db", "alert_webhook_url": "https://127.0.0.1/"})
    nothing_found()


def test_a_test_that_leaks_is_red(tmp_path: Path) -> None:
    """A test by itself in order fails if a secret was found by its end, and says where and which kind."""
    (tmp_path / "test_planted.py").write_text(
        textwrap.dedent("""
            import logging, subprocess, sys, tempfile
            from tests.canaries import canary

            def test_printed():
                print("it is", canary("smtp", "8Q"))

            def test_logged():
                logging.getLogger("x").warning("it is %s", canary("ping", "8Q"))

            def test_left(tmp_path):
                (tmp_path / "report.html").write_text(canary("client", "8Q"))

            def test_left_elsewhere(tmp_path_factory):
                (tmp_path_factory.mktemp("other") / "other.html").write_text(canary("alert", "8Q"))

            def test_left_by_a_server(local_directory):
                local_directory.mkdir()
                (local_directory / "log").write_text(canary("database", "8Q"))

            def test_taken(capsys):
                print("it is", canary("notify", "8Q"))
                capsys.readouterr()

            def test_written():
                with tempfile.TemporaryFile() as file:
                    program = "print('ge' + 'heim-proxy-')"
                    subprocess.run([sys.executable, "-c", program], stdout=file, check=True)

            def test_sound():
                pass
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(tmp_path), "--show-capture=no", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout
    assert "8 passed, 7 errors" in done.stdout
    for said in (
        "kind smtp is in Captured stdout",
        "kind ping is in Captured log",
        "kind client is in the file report",
        "kind alert is in the file other",
        "kind database is in the file log",
        "kind notify is in the stdout that a test takes",
        "kind proxy is in the stdout of a process",
    ):
        assert said in done.stdout


# The program: whatever goes wrong, it tells no secret. The search looks at all that these tests bring about.


@pytest.fixture
def _no_rests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a run try a second time at once, and no more."""
    monkeypatch.setattr("certjobs.bootstrap.SystemClock.sleep", lambda *_: None)
    with stamina.set_testing(True, attempts=2):
        yield


HOW = [(), ("--json", "--debug")]
HARD = f"{DATABASE}%zz{DATABASE}"
ADDRESSES = [
    f"postgresql://user:{DATABASE}@127.0.0.1:1/db",
    f"postgresql://user:{quote(SMTP, safe='')}@127.0.0.1:1/db",
    f"postgresql://user:{HARD}@127.0.0.1:1/db",
    *(f"postgresql://user:{DATABASE}{sign}{DATABASE}@127.0.0.1:1/db" for sign in "@/#?:[]% \u2100\u0661\x01"),
    f"postgresql://user@127.0.0.1:1/db?password={DATABASE}",
    f"postgresql://user@127.0.0.1:1/db?pasword={DATABASE}",
    f"postgresql://user@127.0.0.1:1/db?{DATABASE}=1",
    f"postgresql://user@127.0.0.1:1/db?connect_timeout={DATABASE}",
    f"postgresql://user@127.0.0.1:1/db?sslmode={DATABASE}",
    f"postgresql://user@db.example.org/db?sslmode={DATABASE}",
    f"postgresql://user@127.0.0.1:{DATABASE}/db",
    f"postgresql://user:{DATABASE}",
    f"postgresql://[{DATABASE}]/db",
    f"postgresql://user:{DATABASE}@[::1/db",
    f"host=127.0.0.1 port=1 user=a password={DATABASE}",
    f"postgres:{DATABASE}",
    DATABASE,
]


@pytest.mark.parametrize("how", HOW)
def test_an_address_of_the_database_that_is_wrong(certjobs_unset: Certjobs, how: tuple[str, ...]) -> None:
    """Of an address of the database that is malformed or leads nowhere nothing is told, whatever its password."""
    codes = {}
    for url in ADDRESSES:
        for argv in (("orgs", "list"), ("expiry-check",)):
            codes[url] = certjobs_unset(*argv, *how, url=url).exit_code
    assert set(codes.values()) == {69, 78}, codes


WRONG_URLS = [
    "https://[{}]/x", "https://{}\u2100{}/x", "https://user:{}\u2100@127.0.0.1/{}", "https://[::1/{}", "https://127.0.0.1:{}/",
    "http://example.org/{}", "{}", "https:///{}", "ftp://127.0.0.1/{}", "https://127.0.0.1\u2100/{}", "https://a b/{}",
]  # fmt: skip


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("name", "kind"), [("ALERT_WEBHOOK_URL", "alert"), ("NOTIFY_WEBHOOK_URL", "notify"), ("PING_URL", "ping")]
)
def test_an_address_of_a_service_that_is_wrong(
    certjobs: Certjobs, name: str, kind: canaries.Kind, how: tuple[str, ...]
) -> None:
    """Nothing is told of an address that is none, by a run, by another command or by doctor."""
    wrong = [
        {f"CERTJOBS_{name}": shape.format(*[canary(kind, "a")] * 2), "CERTJOBS_NOTIFY_CHANNEL": "webhook"}
        for shape in WRONG_URLS
    ]
    codes = [
        certjobs(*argv, *how, env=env).exit_code
        for env in wrong
        for argv in (("run", "remind", "--as-of", TODAY.isoformat()), ("orgs", "list"))
    ]
    assert codes.count(78) >= len(codes) - 4  # some are right, or are found wrong only where they are needed
    assert certjobs("doctor", *how, env=wrong[0]).exit_code == 78


READ_LATE = ("thresholds", "quiet_hours", "send_days")  # where they are needed
PLAIN = [name for name in config.Settings.model_fields if name not in leaks.SETTINGS and name != "secrets_dir"]


def test_a_secret_in_the_file_of_another_setting(certjobs: Certjobs, tmp_path: Path) -> None:
    """A setting that cannot be what its file holds is named, and what the file holds is not repeated."""
    refused: dict[str, str] = {}
    for name in PLAIN:
        env = {f"CERTJOBS_{name.upper()}_FILE": str(store(tmp_path / name, f"{CLIENT}\n"))}
        argv = ("run", "remind") if name in READ_LATE else ("orgs", "list")
        if certjobs(*argv, "--debug", env=env).exit_code == 78:
            refused |= env
    assert len(refused) > 25
    assert {f"CERTJOBS_{name.upper()}_FILE" for name in (*READ_LATE, "mail_from", "guard_count", "portal")} <= set(
        refused
    )
    assert certjobs("doctor", "--debug", env=refused).exit_code == 78


CHANNEL = {
    "CERTJOBS_NOTIFY_CHANNEL": "email",
    "CERTJOBS_SMTP_HOST": "127.0.0.1",
    "CERTJOBS_SMTP_SECURITY": "none",
    "CERTJOBS_SMTP_PORT": "1",
    "CERTJOBS_SMTP_USERNAME": "user",
    "CERTJOBS_SMTP_PASSWORD": SMTP,
    "CERTJOBS_MAIL_FROM": "mentors@example.org",
}


class _Parrot(StreamRequestHandler):
    """A mail server that repeats in its refusals what it was told, in base64 and as it is."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            said = line.strip()
            if said.upper().startswith(b"EHLO"):
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN LOGIN\r\n")
            elif said.startswith(b"AUTH"):
                self.wfile.write(b"%d 5.7.8 no: %s %s\r\n" % (self.server.code, said, SMTP.encode()))  # type: ignore[attr-defined]
            else:
                self.wfile.write(b"221 bye\r\n")

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()


@contextmanager
def parrot(code: int) -> Iterator[int]:
    with ThreadingTCPServer(("127.0.0.1", 0), _Parrot) as server:
        server.code = code  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("_no_rests")
@pytest.mark.parametrize("how", HOW)
def test_a_mail_server_that_repeats_the_password(
    certjobs: Certjobs, database: TestDatabase, how: tuple[str, ...]
) -> None:
    """What a mail server says of a login, be it a refusal for good or for now, is in no output, log or row."""
    load(certjobs, Mentor("A", 7))
    run = ("remind", "--as-of", TODAY.isoformat())
    for code, exit_code in ((535, 77), (454, 69), (999, 3)):
        with parrot(code) as port:
            env = CHANNEL | {"CERTJOBS_SMTP_PORT": str(port)}
            results = [certjobs("doctor", *how, env=env), certjobs(*run, *how, url=database.job_url, env=env)]
            assert results[0].exit_code in (69, 77)
            assert results[1].exit_code == exit_code


def echo(request: Request, _number: int = 0) -> Reply:
    """Answer with all that was said."""
    told = {**request.headers, "body": request.body.decode()}
    words = f"{told} {CLIENT}"
    return answer(
        401, {"error": words, "error_description": words, "error_codes": [words]}, WWW_Authenticate=f"Bearer {CLIENT}"
    )


@pytest.mark.usefixtures("_no_rests")
@pytest.mark.parametrize("how", HOW)
def test_a_portal_that_repeats_what_it_was_told(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """An answer that quotes secret and token, from who gives tokens or from the portal, is in no output, log or row."""
    load(certjobs, Mentor("A", 100))
    secret = store(tmp_path / "secret", CLIENT)
    repeats = {"error": {"code": f"{TOKEN} {CLIENT}", "message": f"Bearer {TOKEN} {CLIENT}"}}
    replies = [
        {"grant": echo},
        *({"answer": lambda _request, status=status: answer(status, repeats)} for status in (401, 403, 500)),
        {"answer": lambda _request: Reply(302, {"Location": f"https://{TOKEN}.example.org/{CLIENT}"})},
        {"answer": lambda _request: Reply(200, {"Content-Type": f"multipart/{TOKEN}"}, f"{CLIENT} {TOKEN}".encode())},
        {"answer": lambda _request: answer(200, {"UserId": TOKEN, "value": [{CLIENT: TOKEN}]}, x_ms_dop_hint=TOKEN)},
    ]
    for reply in replies:
        given: Any = reply
        with scripted(**given) as service:
            env = {
                "CERTJOBS_PORTAL": "dataverse",
                "CERTJOBS_DATAVERSE_URL": service.url,
                "CERTJOBS_DATAVERSE_AUTHORITY": service.url,
                "CERTJOBS_DATAVERSE_TENANT": "tenant",
                "CERTJOBS_DATAVERSE_CLIENT_ID": "client",
                "CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": str(secret),
            }
            database.execute("UPDATE sync_queue SET not_before = NULL")
            for job in ("sync", "reconcile"):
                result = certjobs(job, "--as-of", TODAY.isoformat(), *how, url=database.job_url, env=env)
                assert result.exit_code != 0 or reply is replies[-1], reply  # a change was taken, whatever else it says
            if reply is replies[0]:
                certjobs("doctor", *how, env=env)
            assert service.token_requests


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Apprise's own modules
@pytest.mark.usefixtures("_no_rests")
@pytest.mark.parametrize("how", HOW)
def test_services_that_are_away(certjobs: Certjobs, database: TestDatabase, how: tuple[str, ...]) -> None:
    """Where alerts, pings and the service of notices cannot be reached nothing of their addresses is told."""
    load(certjobs, Mentor("A", -1))
    gone = f"127.0.0.1:{unused_port()}"
    env = {
        "CERTJOBS_ALERT_WEBHOOK_URL": f"http://{gone}/{canary('alert')}?{canary('alert')}",
        "CERTJOBS_ALERT_APPRISE_URL": f"json://user:{canary('apprise')}@{gone}/{canary('apprise')}",
        "CERTJOBS_PING_URL": f"http://{gone}/{canary('ping')}/{{job}}?{canary('ping')}",
        "CERTJOBS_NOTIFY_CHANNEL": "webhook",
        "CERTJOBS_NOTIFY_WEBHOOK_URL": f"http://{gone}/{canary('notify')}?{canary('notify')}",
        "CERTJOBS_NOTIFY_WEBHOOK_SECRET": signing_secret(),
        "CERTJOBS_LOG_LEVEL": "debug",
    }
    result = certjobs("expiry-check", "--as-of", TODAY.isoformat(), *how, url=database.job_url, env=env)
    assert result.exit_code in (3, 69)
    assert {"alert.not_sent", "ping.not_sent"} <= set(result.stderr.replace('"', " ").split())
    certjobs("doctor", *how, env=env)
