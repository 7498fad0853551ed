"""A portal that takes every change at once, and the authority that gives tokens for it: as little as can be.

It is no simulator: it keeps nothing and checks nothing. A batch is answered with as many parts as it holds.
"""

from __future__ import annotations

import json
from functools import cache

from benchmarks.receiver import NO_CONTENT, receive

_BOUNDARY = "batchresponse_4b1d8e35-5f1c-4d8a-a7c2-9d1a0c1f7e55"
_PART = (
    f"--{_BOUNDARY}\r\n"
    "Content-Type: application/http\r\n"
    "Content-Transfer-Encoding: binary\r\n\r\n"
    "HTTP/1.1 204 No Content\r\n"
    "OData-Version: 4.0\r\n"
    "OData-EntityId: http://127.0.0.1/api/data/v9.2/contacts(7d577253-3ef0-4a0a-bb7f-8335c2596e70)\r\n\r\n\r\n"
)


def answer(head: bytes, body: bytes) -> bytes:
    """Return the whole answer to a request."""
    line = head[: head.find(b"\r\n")]
    if line.startswith(b"PATCH "):
        return NO_CONTENT
    if b"/$batch " in line:
        return _batch(body.count(b"\nPATCH "))
    return _document("token" if b"/token " in line else "who")


@cache
def _batch(parts: int) -> bytes:
    body = f"{_PART * parts}--{_BOUNDARY}--\r\n"
    return _answer(f"multipart/mixed; boundary={_BOUNDARY}", body)


@cache
def _document(kind: str) -> bytes:
    token = {"token_type": "Bearer", "expires_in": 3599, "access_token": "t" * 1200}
    document = token if kind == "token" else {"UserId": "00000000-0000-0000-0000-000000000001"}
    return _answer("application/json", json.dumps(document))


def _answer(content_type: str, body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode("ascii")


if __name__ == "__main__":
    receive(answer)
