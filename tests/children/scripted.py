"""A real HTTP service, over real sockets, that answers whatever a test says: Entra ID and Dataverse in one."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.canaries import canary

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

TOKEN = canary("token")


@dataclass(frozen=True)
class Reply:
    """What is answered, or one of the ways not to: ``drop`` and ``hang`` after the request was read.

    ``short``: the answer breaks off ``missing`` bytes before its end. ``drip``: its headers never end.
    """

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    misbehaves: str | None = None
    missing: int = 1


@dataclass(frozen=True)
class Request:
    """What arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), strict_parsing=True)

    @property
    def parts(self) -> list[str]:
        """Return the addresses inside a batch."""
        return [line.split(" ")[1] for line in self.body.decode().split("\r\n") if line.startswith("PATCH ")]


def granted(request: Request, number: int) -> Reply:
    """Give the token of that number, for an hour."""
    del request
    return answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": f"{TOKEN}-{number}"})


def answer(status: int, body: Any, **headers: str) -> Reply:
    """Answer JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"Content-Type": "application/json", **named}, json.dumps(body).encode())


def error(status: int, code: str = "", message: str = "Ola Eksempel", **headers: str) -> Reply:
    """Answer an error as Dataverse does, with words that quote a row."""
    return answer(status, {"error": {"code": code, "message": message}}, **headers)


def refusal(status: int, name: str, code: int) -> Reply:
    """Answer as Entra ID does where it gives no token."""
    said = f"AADSTS{code}: It is the words of another.\r\nTrace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 3"
    return answer(status, {"error": name, "error_description": said, "error_codes": [code], "trace_id": "1"})


def multipart(*parts: bytes, boundary: str = "batchresponse_1", status: int = 200, end: bool = True) -> Reply:
    """Answer a batch with parts, each an answer of HTTP."""
    head = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    body = b"".join(b"--%b\r\n%b%b\r\n" % (boundary.encode(), head, part) for part in parts)
    body += f"--{boundary}--\r\n".encode() if end else b""
    return Reply(status, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, body)


def part(status: int, code: str = "", **headers: str) -> bytes:
    """Return one part of such an answer."""
    lines = [f"HTTP/1.1 {status} Whatever", "OData-Version: 4.0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    body = json.dumps({"error": {"code": code, "message": "Ola Eksempel"}}) if status >= 400 else ""
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@dataclass
class Scripted:
    """The service: what it answers, and what it was asked, in order. ``grant`` gets the number of a request."""

    answer: Callable[[Request], Reply] = lambda _request: Reply()
    grant: Callable[[Request, int], Reply] = granted
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    token_requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    order: list[str] = field(default_factory=list)

    def reply(self, request: Request) -> Reply:
        """Note a request and find its answer."""
        with self.lock:
            self.order.append(f"{request.method} {request.target}")
            if request.target.endswith("/oauth2/v2.0/token"):
                self.token_requests.append(request)
                return self.grant(request, len(self.token_requests))
            self.requests.append(request)
            return self.answer(request)


def _handler(service: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service.reply(Request(self.command, self.path, headers, body))
            self.close_connection = reply.misbehaves is not None
            if reply.misbehaves in ("hang", "drop"):
                service.released.wait(30 if reply.misbehaves == "hang" else 0)
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.misbehaves == "drip":
                self.drip()
                return
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: len(reply.body) - reply.missing] if self.close_connection else reply.body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the base class names them so

        def drip(self) -> None:
            with suppress(OSError):
                self.flush_headers()
                while not service.released.wait(0.01):
                    self.wfile.write(b"X-Long: a\r\n")

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no trouble of the test's."""


@contextmanager
def scripted(
    answer: Callable[[Request], Reply] = lambda _request: Reply(),
    *,
    grant: Callable[[Request, int], Reply] = granted,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Scripted]:
    """Run the service until the block ends."""
    made = Scripted(answer, grant)
    server = _Server(("127.0.0.1", 0), _handler(made))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
