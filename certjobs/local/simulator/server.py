"""The simulator on a port of this machine: HTTP or TLS, a thread a connection, connections kept alive."""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, cast

import trustme
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer, WSGIRequestHandler

from certjobs.errors import Unavailable
from certjobs.local.simulator.faults import Faults
from certjobs.local.simulator.limits import Limits
from certjobs.local.simulator.log import Log
from certjobs.local.simulator.odata import WebApi
from certjobs.local.simulator.state import LAG, State, Table
from certjobs.local.simulator.tokens import Authority
from certjobs.local.simulator.web import Service
from certjobs.local.simulator.wire import Call, Ending, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certjobs.local.simulator.clock import Clock

HOST = "127.0.0.1"
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_ID = "66666666-7777-8888-9999-000000000000"
SECRET = "not-a-secret-of-anybody"  # noqa: S105 - what a test's own client has
_HANDSHAKE_SECONDS = 10.0
_LARGEST = 128 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What a simulator is like: names of the table, version of the Web API, its one tenant and first client.

    ``lag`` is in seconds. Where ``state_file`` is given, rows outlive the simulator in it.
    """

    table: Table = field(default_factory=Table)
    api_version: str = "v9.2"
    tenant: str = TENANT
    client_id: str = CLIENT_ID
    client_secret: str = field(default=SECRET, repr=False)
    lag: float = LAG
    state_file: Path | None = None
    port: int = 0
    tls: bool = False


@dataclass(frozen=True)
class Simulator:
    """A simulator that runs. Its parts may be asked and changed at any time, by any thread.

    ``ca_pem`` is the certificate of the throw-away authority to trust under TLS, and None without.
    """

    url: str
    settings: Settings
    ca_pem: bytes | None
    service: Service
    state: State
    authority: Authority
    limits: Limits
    faults: Faults
    log: Log

    @property
    def authority_url(self) -> str:
        """Return where tokens are issued: the tenant and the rest of the path follow it."""
        return self.url

    @property
    def api_url(self) -> str:
        """Return the root of the Web API, with a slash at its end."""
        return f"{self.url}{self.service.api.root}"

    @property
    def token_url(self) -> str:
        """Return where a token is asked for."""
        return f"{self.url}/{self.settings.tenant}/oauth2/v2.0/token"

    def environment(self, secret_file: Path, ca_file: Path | None = None) -> dict[str, str]:
        """Write the first client's secret, and under TLS the certificate to trust; return the settings that use them.

        The file of the secret is one that only its owner can read.
        """
        write_private(secret_file, self.settings.client_secret)
        table = self.settings.table
        found = {
            "CERTJOBS_PORTAL": "dataverse",
            "CERTJOBS_DATAVERSE_URL": self.url,
            "CERTJOBS_DATAVERSE_AUTHORITY": self.authority_url,
            "CERTJOBS_DATAVERSE_TENANT": self.settings.tenant,
            "CERTJOBS_DATAVERSE_CLIENT_ID": self.settings.client_id,
            "CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": str(secret_file),
            "CERTJOBS_DATAVERSE_TABLE": table.entity_set,
            "CERTJOBS_DATAVERSE_KEY_COLUMN": table.key_column,
            "CERTJOBS_DATAVERSE_LISTED_COLUMN": table.listed_column,
            "CERTJOBS_DATAVERSE_ID_COLUMN": table.id_column,
        }
        if self.ca_pem is not None and ca_file is not None:
            ca_file.write_bytes(self.ca_pem)
            found["CERTJOBS_DATAVERSE_CA_FILE"] = str(ca_file)
        return found


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, also where it was another's to read before."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{text}\n", encoding="utf-8")


@contextmanager
def simulator(settings: Settings | None = None, *, clock: Clock = time.time) -> Iterator[Simulator]:
    """Run a simulator until the block ends, on a free port unless the settings name one.

    Raises Unavailable where the port cannot be had, and ConfigurationError where the table or the state file cannot be
    used.
    """
    wanted = settings or Settings()
    wanted.table.check()
    state = State(wanted.table, clock, lag=wanted.lag, file=wanted.state_file)
    state.save()
    authority = Authority(wanted.tenant, clock)
    authority.add_client(wanted.client_id, wanted.client_secret)
    limits, faults, log = Limits(clock), Faults(), Log(clock)
    service = Service(WebApi(state, wanted.api_version), authority, limits, faults, log, clock)
    ca, tls = _certificate() if wanted.tls else (None, None)
    with _listening(wanted.port) as listener:
        server = _Server(service, listener, tls)
        service.origin = authority.origin = server.origin
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="simulator", daemon=True)
        thread.start()
        try:
            yield Simulator(server.origin, wanted, ca, service, state, authority, limits, faults, log)
        finally:
            faults.clear()
            server.stop()
            thread.join()
            state.save()


def _certificate() -> tuple[bytes, ssl.SSLContext]:
    """Return the certificate of an authority made for this once, and a server's side of TLS that it vouches for."""
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    made.issue_cert("localhost", HOST).configure_cert(context)
    return made.cert_pem.bytes(), context


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except (OSError, OverflowError) as exc:
        msg = f"Port {port} of this machine cannot be used."
        raise Unavailable(msg, hint="Name another one with --port, or 0 for any that is free.") from exc
    with listener:
        yield listener


class _Server(ThreadedWSGIServer):
    """The server. It knows its open connections, so that it can end them, and leaves no thread behind."""

    daemon_threads = False

    def __init__(self, service: Service, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        port = listener.getsockname()[1]
        super().__init__(HOST, port, _no_wsgi, _Handler, fd=listener.fileno())
        self.service = service
        self.tls = tls
        self.origin = f"https://localhost:{port}" if tls else f"http://{HOST}:{port}"
        self._open: set[socket.socket] = set()
        self._stopping = False
        self._guard = threading.Lock()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end, in a thread of its own; under TLS the handshake is part of that."""
        connection: socket.socket = request
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with connection:
            with self._guard:
                self._open.add(connection)
                stopping = self._stopping
            try:
                if not stopping:
                    _shake_hands(connection)
                    super().finish_request(connection, client_address)
            finally:
                with self._guard:
                    self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about callers that went away; anything else is a mistake of ours and is printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Accept nothing any more and end every connection."""
        self.shutdown()
        with self._guard:
            self._stopping = True
            for connection in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _shake_hands(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(_HANDSHAKE_SECONDS)
        connection.do_handshake()
        connection.settimeout(None)


def _no_wsgi(*_: Any) -> list[bytes]:
    """Stand where the server wants a WSGI application: ours is asked by the handler, with the connection at hand."""
    return []


class _Handler(WSGIRequestHandler):
    """One connection: reads requests, writes answers, and goes wrong where a fault says so."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 256 * 1024

    def run_wsgi(self) -> None:
        """Answer one request. Unlike the base's, this leaves the connection open for the next one."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self._write(Reply(HTTPStatus.LENGTH_REQUIRED), 1.0)
            return
        headers = {name.lower(): value.strip() for name, value in self.headers.items()}
        answer = cast(_Server, self.server).service(Call(self.command, self.path, headers, body))
        try:
            self._answer(answer)
        finally:
            if answer.after is not None:
                answer.after()

    def _body(self) -> bytes | None:
        """Return the body, or None where its length is unknown or out of bounds."""
        if self.headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
            return DechunkedInput(cast(IO[bytes], self.rfile)).read()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST:
            return None
        return self.rfile.read(int(length))

    def _answer(self, answer: Reply) -> None:
        ending = answer.ending
        if ending is None:
            self._write(answer, 1.0)
        elif ending.how == "stall":
            self._write(answer, 0.5)
            ending.fault.reached.set()
            if self._held(ending):
                self.wfile.write(self._rest)
        else:
            if ending.how == "cut":
                self._write(answer, 0.5)
            ending.fault.reached.set()
            if ending.how == "hang":
                self._held(ending)
            self._end()

    def _write(self, answer: Reply, share: float) -> None:
        """Write the answer, or the first share of its bytes; the others are kept for later."""
        bodiless = answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if not bodiless:
            lines.append(f"Content-Length: {len(answer.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if bodiless or self.command == "HEAD" else answer.body
        written = head + body
        end = len(written) if share == 1.0 else max(len(head), len(head) + int(len(body) * share))
        self.wfile.write(written[:end])
        self._rest = written[end:]

    def _held(self, ending: Ending) -> bool:
        """Wait until the fault is released or the caller goes away; tell whether it is still there."""
        while not ending.fault.released.wait(0.02):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable:  # a caller that waits says nothing, so this is its end
                self.close_connection = True
                return False
        return True

    def _end(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: what was asked stands in the simulator's log."""
