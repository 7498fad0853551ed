"""Batches: many requests in one multipart body, read as strictly as the real service reads them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from werkzeug.http import parse_options_header

from certjobs.local.simulator.odata import BAD_PAYLOAD
from certjobs.local.simulator.wire import Call, Refused, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

MOST = 1000
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=?-]{1,70}")
_LINE = re.compile(rb"(GET|POST|PATCH|PUT|DELETE) (\S+) HTTP/1\.1")
_NL = b"\r\n"


@dataclass(slots=True)
class Part:
    """One request of a batch, with the Content-ID that it was given."""

    call: Call
    content_id: str | None


@dataclass(slots=True)
class ChangeSet:
    """Requests that are carried out together or not at all."""

    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Style:
    """How the answer is written, and how many parts are carried out at most (None: all of them)."""

    quoted: bool = False
    lower_case: bool = False
    first: int | None = None


def read(call: Call, *, most: int = MOST) -> list[Part | ChangeSet]:
    """Return what a batch holds. Raises Refused for one that is malformed or has more than ``most`` requests."""
    body = call.body
    lines = body.count(b"\n")
    if lines != body.count(_NL) or body.count(b"\r") != lines:
        _refuse("A line of the batch does not end in CRLF.")
    kind, options = parse_options_header(call.headers.get("content-type", ""))
    if kind != "multipart/mixed":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "", "A batch must be multipart/mixed.")
    items = [_item(each) for each in _pieces(body, options.get("boundary", ""))]
    count = sum(len(each.parts) if isinstance(each, ChangeSet) else 1 for each in items)
    if count > most:
        raise Refused(HTTPStatus.BAD_REQUEST, "", f"A batch cannot hold more than {most} requests; it holds {count}.")
    return items


def size(items: Sequence[Part | ChangeSet]) -> int:
    """Return how many requests a batch holds."""
    return sum(len(each.parts) if isinstance(each, ChangeSet) else 1 for each in items)


def _pieces(body: bytes, boundary: str) -> list[bytes]:
    """Return what stands between the boundaries, without the line ends that belong to them."""
    if not _BOUNDARY.fullmatch(boundary):
        _refuse("The batch has no boundary, or one that cannot be.")
    mark = b"--" + boundary.encode()
    end = _NL + mark + b"--" + _NL
    if body.endswith(_NL):
        body = body.rstrip(_NL) + _NL
    if not body.startswith(mark + _NL) or not body.endswith(end):
        _refuse("The batch does not begin with its boundary, or does not end with the final one and CRLF.")
    pieces = body[len(mark) + 2 : -len(end)].split(_NL + mark + _NL)
    if any(_NL + mark + b"--" in each for each in pieces):
        _refuse("The batch goes on after its final boundary.")
    return pieces


def _item(piece: bytes) -> Part | ChangeSet:
    headers, content = _headers(piece)
    kind, options = parse_options_header(headers.get("content-type", ""))
    if kind != "multipart/mixed":
        return _part(headers, content)
    parts = []
    for each in _pieces(content if content.endswith(_NL) else content + _NL, options.get("boundary", "")):
        inner, rest = _headers(each)
        if parse_options_header(inner.get("content-type", ""))[0] == "multipart/mixed":
            _refuse("A change set cannot hold another.")
        part = _part(inner, rest)
        if part.call.method == "GET":
            _refuse("A change set cannot hold GET.")
        if part.content_id is None:
            _refuse("Each request of a change set needs a Content-ID.")
        parts.append(part)
    if len({each.content_id for each in parts}) != len(parts):
        _refuse("A Content-ID of the change set is not unique.")
    return ChangeSet(parts)


def _part(headers: dict[str, str], content: bytes) -> Part:
    if headers.get("content-type", "").partition(";")[0].strip() != "application/http":
        _refuse("A part's Content-Type must be application/http.")
    if headers.get("content-transfer-encoding") != "binary":
        _refuse("A part's Content-Transfer-Encoding must be binary.")
    first, end, rest = content.partition(_NL)
    line = _LINE.fullmatch(first)
    if line is None or not end:
        _refuse("A part does not begin with a request line.")
    if not rest.startswith(_NL) and _NL + _NL not in rest:
        rest += _NL  # a request without a body may end at its empty line, whose end the boundary has taken
    inner, body = _headers(rest)
    body = body.removesuffix(_NL)
    return Part(Call(line[1].decode(), line[2].decode("latin-1"), inner, body), headers.get("content-id"))


def _headers(piece: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers that a piece begins with, by name in lower case, and what follows the empty line."""
    if piece.startswith(_NL):
        return {}, piece[2:]
    head, empty, rest = piece.partition(_NL + _NL)
    if not empty:
        _refuse("A part has no empty line after its headers.")
    found = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            _refuse("A header of a part is malformed.")
        found[name.lower()] = value.strip()
    return found, rest


def _refuse(words: str) -> NoReturn:
    raise Refused(HTTPStatus.BAD_REQUEST, BAD_PAYLOAD, f"Error identified in the batch: {words}")


def carry_out(
    items: Sequence[Part | ChangeSet],
    do: Callable[[Call], Reply],
    atomic: Callable[[], AbstractContextManager[None]],
    *,
    go_on: bool,
    style: Style,
) -> tuple[Reply, int]:
    """Carry out a batch in order; return the answer, and how many requests were tried.

    Without ``go_on`` the first failure ends it, and the answer's own status is 400.
    """
    answers: list[bytes] = []
    tried = 0
    failed = False
    for item in items[: style.first]:
        if isinstance(item, ChangeSet):
            written, succeeded, count = _carry_out_together(item, do, atomic, style)
        else:
            answer = do(item.call)
            written, succeeded, count = _written(answer, item.content_id, style), answer.succeeded, 1
        answers.append(written)
        tried += count
        failed = failed or not succeeded
        if failed and not go_on:
            break
    boundary = f"batchresponse_{uuid.uuid4()}"
    named = f'"{boundary}"' if style.quoted else boundary
    status = HTTPStatus.BAD_REQUEST if failed and not go_on else HTTPStatus.OK
    headers = [("Content-Type", f"multipart/mixed; boundary={named}")]
    return Reply(status, headers, _joined(answers, boundary)), tried


class _Undone(Exception):
    """A request of a change set failed: the whole of it is taken back, and this one answer stands for it."""

    def __init__(self, written: bytes, tried: int) -> None:
        super().__init__()
        self.written = written
        self.tried = tried


def _carry_out_together(
    item: ChangeSet, do: Callable[[Call], Reply], atomic: Callable[[], AbstractContextManager[None]], style: Style
) -> tuple[bytes, bool, int]:
    """Carry out a change set; return what is answered, whether it was done, and how many requests were tried."""
    try:
        with atomic():
            answers = _every_answer(item, do, style)
    except _Undone as undone:
        return undone.written, False, undone.tried
    boundary = f"changesetresponse_{uuid.uuid4()}"
    named = f'"{boundary}"' if style.quoted else boundary
    head = _lines([("Content-Type", f"multipart/mixed; boundary={named}")], style)
    return head + _NL + _joined(answers, boundary), True, len(answers)


def _every_answer(item: ChangeSet, do: Callable[[Call], Reply], style: Style) -> list[bytes]:
    """Return the answers to a change set. Raises _Undone at the first that is an error."""
    answers: list[bytes] = []
    for part in item.parts:
        answer = do(part.call)
        answers.append(_written(answer, part.content_id, style))
        if not answer.succeeded:
            raise _Undone(answers[-1], len(answers))
    return answers


def _joined(answers: Sequence[bytes], boundary: str) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(_around(answers, mark)) + mark + b"--" + _NL


def _around(answers: Sequence[bytes], mark: bytes) -> Iterator[bytes]:
    for each in answers:
        yield mark + _NL + each + _NL


def _written(answer: Reply, content_id: str | None, style: Style) -> bytes:
    outer = [("Content-Type", "application/http"), ("Content-Transfer-Encoding", "binary")]
    if content_id is not None:
        outer.append(("Content-ID", content_id))
    line = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode() + _NL
    inner = [*answer.headers, ("OData-Version", "4.0")]
    return _lines(outer, style) + _NL + line + _lines(inner, style) + _NL + answer.body


def _lines(headers: Sequence[tuple[str, str]], style: Style) -> bytes:
    written = "".join(f"{name.lower() if style.lower_case else name}: {value}\r\n" for name, value in headers)
    return written.encode("latin-1")
