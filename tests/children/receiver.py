"""A real HTTP service that is told of notices, well-behaved or not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.canaries import canary, signing_secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

SECRET = signing_secret()
PATH = f"/notices/{canary('notify')}"


@dataclass(frozen=True)
class Answer:
    """What the service answers: a status, or one of the ways not to: ``hang``, ``drop`` (after the body was read).

    ``drip``: the answer's body comes byte by byte and never ends.
    """

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    misbehaves: str | None = None


@dataclass(frozen=True)
class Request:
    """What arrived."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Tell whether the signature is right, by the scheme's own words."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """The service: what it was asked, in order, and which keys it took."""

    answer: Callable[[Request], Answer]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def told(self) -> set[tuple[str, int | None]]:
        """Return of whom, for which threshold, it was told and took it."""
        taken = [each.json["data"] for each in self.requests if each.key in self.accepted]
        return {(data["mentor"]["ref"], data["threshold_day"]) for data in taken}


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a class, whose methods are short
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request({name.lower(): value for name, value in self.headers.items()}, body)
            answer = receiver.answer(request)
            with receiver.lock:
                receiver.requests.append(request)
                if 200 <= answer.status < 300 and answer.misbehaves in (None, "drip"):
                    receiver.accepted.append(request.key)
            if answer.misbehaves in ("hang", "drop"):
                self._vanish(after=30 if answer.misbehaves == "hang" else 0)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.misbehaves == "drip":
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                self._drip()
                return
            self._finish(answer)

        def _finish(self, answer: Answer) -> None:
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _vanish(self, after: float) -> None:
            receiver.released.wait(after)
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def _drip(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                while not receiver.released.wait(0.01):
                    self.wfile.write(b" ")
                    self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no trouble of the test's."""


@contextmanager
def receiver(
    answer: Callable[[Request], Answer] = lambda _request: Answer(), *, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run the service until the block ends."""
    made = Receiver(answer)
    server = _Server(("127.0.0.1", 0), _handler(made))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}{PATH}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
