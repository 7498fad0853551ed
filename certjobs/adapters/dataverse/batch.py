"""``$batch`` of the Dataverse Web API: many requests as one multipart body, and what an answer to it says.

The format is that of OData 4.0 (https://docs.oasis-open.org/odata/odata/v4.0/, part 1, section 11.7) and RFC 2046. Made
by hand on bytes: the standard library's e-mail package takes most of the time that a whole request may take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_PARTS = 1000  # the service refuses a body of more
DEEPEST = 2  # change sets stand inside a batch, and nothing stands inside a change set
NEWLINE = 10
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_RETRY_AFTER = re.compile(rb"^retry-after[ \t]*:[ \t]*([^\n]*)", re.IGNORECASE | re.MULTILINE)
_MULTIPART = re.compile(rb"^content-type[ \t]*:[ \t]*(multipart/[^\n]*)", re.IGNORECASE | re.MULTILINE)
_CODE = re.compile(rb'"code"[ \t\n]*:[ \t\n]*"(0x[0-9A-Fa-f]{1,8})"')
_BOUNDARY = re.compile(rb';[ \t]*boundary[ \t]*=[ \t]*(?:"((?:[^"\\\n]|\\[^\n])*)"|([^\s;,"]+))', re.IGNORECASE)
_NO_SEGMENT = b"not found for the segment"
FIRST_FAILURE = 400


@dataclass(frozen=True, slots=True)
class Part:
    """What was answered to one request.

    ``code`` is Dataverse's own, as ``0x80040217``, where there is one. ``no_table`` says that the address led to no
    table at all, which is another thing than a table without that row. ``retry_after`` is as it came.
    """

    status: int
    retry_after: str | None = None
    code: str | None = None
    no_table: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The parts of an answer in the order of their requests, and whether it came to its end."""

    parts: Sequence[Part]
    whole: bool


def build(requests: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return the content type and the body of a batch that updates rows: for each its address and a JSON body.

    Each part updates and never creates (``If-Match: *``). Raises ValueError for no part, and for more than the service
    takes.
    """
    if not 1 <= len(requests) <= MOST_PARTS:
        msg = f"a batch has 1 to {MOST_PARTS} parts, not {len(requests)}"
        raise ValueError(msg)
    boundary = f"batch_{uuid4()}"
    head = f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPATCH ".encode()
    middle = b" HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: *\r\n\r\n"
    parts = [b"".join((head, url.encode("ascii"), middle, body, b"\r\n")) for url, body in requests]
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/mixed; boundary={boundary}", b"".join(parts)


def parse(content_type: str, body: bytes, expected: int) -> Answered:
    """Return what an answer says of the first requests of a batch; for the rest it says nothing.

    Whatever stands after something that cannot be read is not read either, so that no part is taken for the answer to
    another request; for the same reason an answer with more parts than ``expected`` has none. Raises nothing.
    """
    boundary = _boundary(content_type.encode("latin-1", "replace"))
    if boundary is None:
        return Answered((), whole=False)
    parts: list[Part] = []
    whole = _collect(body.replace(b"\r\n", b"\n"), boundary, parts, DEEPEST)
    if len(parts) > expected:
        return Answered((), whole=False)
    return Answered(parts, whole)


def read(status: int, retry_after: str | None, body: bytes) -> Part:
    """Return what one answer says, its body where it is a failure."""
    if status < FIRST_FAILURE:
        return Part(status, retry_after)
    code = _CODE.search(body)
    return Part(status, retry_after, code.group(1).decode().lower() if code else None, _NO_SEGMENT in body)


def _boundary(content_type: bytes) -> bytes | None:
    """Return the boundary that a content type names, quoted or not, or None for one that is not multipart."""
    if not content_type.lstrip().lower().startswith(b"multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    quoted, plain = found.groups()
    return (re.sub(rb"\\(.)", rb"\1", quoted) if plain is None else plain).rstrip(b" ") or None


def _collect(body: bytes, boundary: bytes, parts: list[Part], deep: int) -> bool:
    """Add the answers between the delimiters; return whether all could be read, up to the last delimiter."""
    pieces, closed = _split(body, boundary)
    for piece in pieces:
        headers, _, content = (b"\n" + piece).partition(b"\n\n")
        nested = _MULTIPART.search(headers)
        if nested is not None:
            inner = _boundary(nested.group(1))
            if deep == 1 or inner is None or not _collect(content, inner, parts, deep - 1):
                return False
            continue
        found = _one(content)
        if found is None:
            return False
        parts.append(found)
    return closed


def _split(body: bytes, boundary: bytes) -> tuple[list[bytes], bool]:
    """Return what stands between delimiters, and whether the closing one was there.

    What no delimiter follows is cut short, and is left out. A delimiter is a whole line: another boundary may begin as
    this one does.
    """
    delimiter = b"--" + boundary
    pieces: list[bytes] = []
    begin: int | None = None
    at = body.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        if at == 0 or body[at - 1] == NEWLINE:
            closing = body.startswith(b"--", after)
            end = body.find(b"\n", after)
            rest = body[after + 2 * closing : end if end >= 0 else len(body)]
            if not rest.strip(b" \t"):
                if begin is not None:
                    pieces.append(body[begin:at])
                if closing:
                    return pieces, True
                begin = end + 1
        at = body.find(delimiter, after)
    return pieces, False


def _one(content: bytes) -> Part | None:
    """Return what one part answers, or None where it has no status."""
    content = content.lstrip(b"\n")
    found = _STATUS.match(content)
    if found is None:
        return None
    status = int(found.group(1))
    if status < FIRST_FAILURE:
        return Part(status)
    headers, _, body = content.partition(b"\n\n")
    wait = _RETRY_AFTER.search(headers)
    return read(status, wait.group(1).decode("latin-1").strip() if wait else None, body)
