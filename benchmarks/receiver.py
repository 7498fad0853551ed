"""A receiver of webhooks that answers every request at once with 204 and keeps connections open: as little as can be.

It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import re
import socket
import sys
import threading

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


def _serve(connection: socket.socket) -> None:
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
            whole = end + len(_END) + (int(length[1]) if length else 0)
            if len(waiting) >= whole:
                waiting = waiting[whole:]
                connection.sendall(_ANSWER)


def _accept(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_serve, args=[connection], daemon=True).start()


def main() -> None:
    """Listen on a port that is free."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=[listening], daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
