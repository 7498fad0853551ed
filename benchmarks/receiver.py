"""A receiver that answers every request at once and keeps connections open: as little as can be.

As a program it is one of webhooks, and answers 204. It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answering = Callable[[bytes, bytes], bytes]  # from the head of a request and its body to the whole answer

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


def _serve(connection: socket.socket, answering: Answering) -> None:
    """Answer one request after the other until the sender goes away."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting = b""
        while received := connection.recv(65536):
            waiting += received
            end = waiting.find(_END)
            if end < 0:
                continue
            length = _LENGTH.search(waiting, 0, end)
            body = end + len(_END)
            whole = body + (int(length[1]) if length else 0)
            if len(waiting) >= whole:
                connection.sendall(answering(waiting[:end], waiting[body:whole]))
                waiting = waiting[whole:]


def _accept(listening: socket.socket, answering: Answering) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # it was closed
        threading.Thread(target=_serve, args=[connection, answering], daemon=True).start()


def receive(answering: Answering) -> None:
    """Listen on a port that is free, until the standard input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=partial(_accept, listening, answering), daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()


@contextmanager
def here(answering: Answering) -> Iterator[str]:
    """Listen in this process until the block ends, and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=[listening, answering], daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def started(module: str = "benchmarks.receiver") -> Iterator[str]:
    """Start a receiver in a process of its own and yield its address."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin  # noqa: S101 - for mypy
        assert process.stdout  # noqa: S101
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    receive(lambda _head, _body: NO_CONTENT)
