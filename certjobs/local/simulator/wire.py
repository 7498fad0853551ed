"""What arrives and what is answered, for requests of their own and for parts of a batch alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from certjobs.local.simulator.faults import Fault

JSON = "application/json; odata.metadata=minimal"
Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Call:
    """A request. ``target`` is path and query as they were sent, ``headers`` are by name in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """Return the path as it was sent, still encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Return what follows the question mark, still encoded."""
        return self.target.partition("?")[2]

    def preferences(self) -> dict[str, str]:
        """Return what the header Prefer asks for, by name; a preference without a value has an empty one."""
        found = {}
        for each in self.headers.get("prefer", "").split(","):
            name, _, value = each.strip().partition("=")
            if name:
                found[name.strip().lower()] = value.strip().strip('"')
        return found


@dataclass(slots=True)
class Ending:
    """How an answer goes wrong on the wire, and the fault that has it so."""

    how: Literal["drop", "cut", "stall", "hang"]
    fault: Fault


@dataclass(slots=True)
class Reply:
    """An answer. ``after`` is called when it has been written, or could not be."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    ending: Ending | None = None
    after: Callable[[], None] | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether what was asked for was done."""
        return self.status < HTTPStatus.BAD_REQUEST


class Refused(Exception):
    """A request is answered with an error: the status, the service's code for it (may be empty), and words."""

    def __init__(self, status: int, code: str, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    def reply(self) -> Reply:
        """Return the answer."""
        return reply(self.status, {"error": {"code": self.code, "message": self.message}}, *self.headers)


def reply(status: int, document: Any, *headers: tuple[str, str], content_type: str = JSON) -> Reply:
    """Return an answer that holds a JSON document."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, [("Content-Type", content_type), *headers], body)


def is_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine."""
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return name.lower() in {"localhost", "127.0.0.1", "[::1]"}
