"""Servers on the loopback for tests: a webhook that behaves as told, and a database that refuses passwords."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal

from tests.canaries import canary

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET_PATH = f"/hooks/{canary('alert', '8c1f')}"
Manner = Literal["takes it", "fails", "redirects", "says nothing", "never ends", "hangs up"]


class Webhook(ThreadingHTTPServer):
    """Keep what is posted and answer in a manner."""

    def __init__(self, manner: Manner) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.manner = manner
        self.posted: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{SECRET_PATH}"

    @property
    def env(self) -> dict[str, str]:
        """The setting that names it."""
        return {"CERTJOBS_ALERT_WEBHOOK_URL": self.url}


class _Hook(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.raw.append(body)
        self.server.posted.append(json.loads(body))
        match self.server.manner:
            case "takes it":
                self._answer(200, "Content-Length: 0")
            case "fails":
                self._answer(500, "Content-Length: 0")
            case "redirects":
                self._answer(307, "Content-Length: 0", f"Location: {self.server.url}/elsewhere")
            case "says nothing":
                self.server.closing.wait(30)
            case "never ends":
                self._answer(200, "Content-Length: 100000")
                self._drip()
            case "hangs up":
                self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, *headers: str) -> None:
        self.wfile.write("\r\n".join([f"HTTP/1.1 {status} Said", *headers, "", ""]).encode())

    def _drip(self) -> None:
        try:
            for _ in range(160):  # 8 s: longer than anybody should listen, shorter than a test may take
                if self.server.closing.wait(0.05):
                    return
                self.wfile.write(b" ")
        except OSError:
            return

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def webhook(manner: Manner = "takes it") -> Iterator[Webhook]:
    """Serve a webhook until the block ends."""
    with Webhook(manner) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


class _WrongPassword(socketserver.StreamRequestHandler):
    """Speak PostgreSQL's protocol as far as: that password is wrong."""

    def handle(self) -> None:
        while True:
            length = int.from_bytes(self.rfile.read(4))
            message = self.rfile.read(length - 4)
            if int.from_bytes(message[:4]) == 3 << 16:
                break
            self.wfile.write(b"N")  # neither TLS nor GSSAPI
        fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "jobs"\0\0'
        self.wfile.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)


@contextmanager
def database_that_rejects_passwords() -> Iterator[str]:
    """Serve it until the block ends; yields host and port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _WrongPassword) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def unused_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
