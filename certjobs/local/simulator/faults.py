"""What goes wrong on demand: how, where, from which request on, and how often."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, get_args

from certjobs.local.simulator import limits
from certjobs.local.simulator.wire import Ending, Refused, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "status",
    "drop_before",
    "drop_after",
    "hang",
    "stall",
    "cut",
    "truncate",
    "missing_parts",
    "stop_on_error",
    "quoted_boundary",
    "lower_case_headers",
    "relative_link",
    "repeated_link",
    "foreign_link",
]
Area = Literal["token", "whoami", "about", "list", "row", "bulk", "batch", "part"]
_BATCH = frozenset({"truncate", "missing_parts", "stop_on_error", "quoted_boundary", "lower_case_headers"})
_LIST = frozenset({"relative_link", "repeated_link", "foreign_link"})
_CODES = {
    HTTPStatus.FORBIDDEN: ("0x80040220", "Principal user is missing the privilege for this operation."),
    HTTPStatus.TOO_MANY_REQUESTS: (limits.REQUESTS, "Number of requests exceeded the limit."),
}


@dataclass(eq=False)
class Fault:
    """One thing that goes wrong.

    - ``status``: the request is refused with ``status`` and nothing is done; 401 makes its token worthless, 429 has
      ``retry_after`` seconds, others where ``retry_after`` is set. The only one that may befall a part of a batch.
    - ``drop_before``, ``drop_after``: the connection ends without an answer, before or after all was committed.
    - ``hang``: nothing is done or answered until released; then the connection ends.
    - ``stall``: all is done, half of the answer comes, and the rest when released.
    - ``cut``: all is done, and the connection ends after half of the answer.
    - ``truncate``: all is done; the answer is whole HTTP, but its multipart body ends half-way.
    - ``missing_parts``: only the first ``parts`` of a batch are carried out and answered, with an outer 200.
    - ``stop_on_error``: a batch stops at its first error whatever it prefers.
    - ``quoted_boundary``, ``lower_case_headers``: a batch's answer is written in another way that is right too.
    - ``relative_link``, ``repeated_link``, ``foreign_link``: the link to the next page is relative, leads to the same
      page again, or to another origin.

    It befalls requests of the area ``on`` (None: any but ``token`` and ``part``) and, where ``key`` is given, of that
    mentor's key; it lets ``after`` such requests pass, and befalls ``count`` of them (None: all). ``used`` counts them,
    and ``reached`` is set at the first, when its harm is done.
    """

    kind: Kind
    on: Area | None = None
    count: int | None = 1
    after: int = 0
    key: str | None = None
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    code: str | None = None
    retry_after: int | None = None
    parts: int = 0
    used: int = field(default=0, init=False)
    reached: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    released: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind in _BATCH:
            self.on = self.on or "batch"
        if self.kind in _LIST:
            self.on = self.on or "list"
        self._check()

    def _check(self) -> None:
        """Raise ValueError for a fault that could never happen."""
        if self.kind not in get_args(Kind) or self.on not in (None, *get_args(Area)):
            msg = "there is no such kind of fault, or no such area"
            raise ValueError(msg)
        where = "batch" if self.kind in _BATCH else "list" if self.kind in _LIST else self.on
        if where != self.on or (self.on == "part" and self.kind != "status"):
            msg = f"the fault {self.kind} cannot befall {self.on}"
            raise ValueError(msg)
        if self.status not in [each.value for each in HTTPStatus if each >= HTTPStatus.BAD_REQUEST]:
            msg = "the status of a fault is one of an error"
            raise ValueError(msg)

    def befalls(self, area: str, key: str | None) -> bool:
        """Tell whether a request is one of those it may befall."""
        if self.count is not None and self.used >= self.count:
            return False
        somewhere = self.on == area or (self.on is None and area not in ("token", "part"))
        return somewhere and self.key in (None, key)

    def refusal(self) -> Refused:
        """Return the error that this fault answers with."""
        code, words = _CODES.get(HTTPStatus(self.status), ("", f"The service answers {self.status} on demand."))
        rest = self.retry_after
        if rest is None and self.status == HTTPStatus.TOO_MANY_REQUESTS:
            rest = 30
        headers = [] if rest is None else [("Retry-After", str(rest))]
        return Refused(self.status, code if self.code is None else self.code, words, headers)

    def spoil(self, answer: Reply) -> Reply:
        """Let a good answer go wrong on the wire where this fault is of that kind."""
        if self.kind == "truncate":
            answer.body = answer.body[: len(answer.body) // 2]
        elif self.kind == "drop_after":
            answer.ending = Ending("drop", self)
        elif self.kind in ("stall", "cut"):
            answer.ending = Ending("stall" if self.kind == "stall" else "cut", self)
        return answer


class Faults:
    """The faults that are to come, in the order in which they were added: the first that fits befalls a request."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: Kind, on: Area | None = None, **details: Any) -> Fault:
        """Add a fault and return it. Raises ValueError or TypeError where it makes no sense."""
        return self.put(Fault(kind, on, **details))

    def put(self, fault: Fault) -> Fault:
        """Add a fault and return it."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, area: str, key: str | None = None) -> Fault | None:
        """Return the fault that befalls this request; it is counted as used."""
        with self._lock:
            for fault in self._faults:
                if not fault.befalls(area, key):
                    continue
                if fault.after:
                    fault.after -= 1
                    continue
                fault.used += 1
                return fault
        return None

    def clear(self) -> None:
        """Let nothing go wrong any more, and release what is held."""
        with self._lock:
            gone, self._faults = self._faults, []
        for fault in gone:
            fault.released.set()

    def release(self) -> None:
        """Let every request that is held go on."""
        with self._lock:
            held = list(self._faults)
        for fault in held:
            fault.released.set()

    def document(self) -> list[dict[str, Any]]:
        """Return the faults as JSON can hold them."""
        names = [each.name for each in fields(Fault) if each.name not in ("reached", "released")]
        with self._lock:
            return [{name: getattr(fault, name) for name in names} for fault in self._faults]


def from_document(document: Mapping[str, Any]) -> Fault:
    """Return the fault that a JSON object describes. Raises ValueError where it makes no sense."""
    settable = {each.name: str(each.type) for each in fields(Fault) if each.init}
    if not set(document) <= set(settable) or "kind" not in document:
        msg = f"a fault has 'kind' and may have {', '.join(sorted(set(settable) - {'kind'}))}"
        raise ValueError(msg)
    for name, value in document.items():
        right = int if "int" in settable[name] else str
        if (value is None and "None" not in settable[name]) or not isinstance(value, right | None):
            msg = f"'{name}' is of the wrong type"
            raise ValueError(msg)
    return Fault(**document)
