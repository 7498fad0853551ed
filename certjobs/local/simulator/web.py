"""Which request goes where: authority, Web API, public site, and the simulator's own addresses."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from certjobs.local.simulator import batch
from certjobs.local.simulator.faults import Fault, from_document
from certjobs.local.simulator.odata import Target, WebApi
from certjobs.local.simulator.page import public_page
from certjobs.local.simulator.tokens import field_names
from certjobs.local.simulator.wire import Call, Ending, Refused, Reply, is_loopback, reply

if TYPE_CHECKING:
    from certjobs.local.simulator.clock import Clock
    from certjobs.local.simulator.faults import Faults
    from certjobs.local.simulator.limits import Limits
    from certjobs.local.simulator.log import Entry, Log
    from certjobs.local.simulator.state import State
    from certjobs.local.simulator.tokens import Authority, Client

_AUTHORITY = re.compile(r"/([^/]+)/(oauth2/v2\.0/token|v2\.0/\.well-known/openid-configuration)")
_COOKIE = ("Set-Cookie", "ARRAffinity=simulator; Path=/; HttpOnly")


class _Request(NamedTuple):
    """An API request whose token was accepted and that the limits let in."""

    call: Call
    client: Client
    origin: str
    entry: Entry
    fault: Fault | None


class Service:
    """Answers requests. ``dop_hint`` is how many at once it recommends; ``origin`` is set by the server."""

    def __init__(
        self, api: WebApi, authority: Authority, limits: Limits, faults: Faults, log: Log, clock: Clock
    ) -> None:
        self.api = api
        self.state: State = api.state
        self.authority = authority
        self.limits = limits
        self.faults = faults
        self.log = log
        self.dop_hint = 4
        self.origin = ""
        self._clock = clock

    def __call__(self, call: Call) -> Reply:
        """Answer a request; never raises for what a caller may send."""
        path = call.path
        if path.startswith("/api/data/"):
            return self._counted(call)
        if path == "/":
            return public_page(self.state, self._clock()) if call.method == "GET" else _nothing()
        if path.startswith("/simulator/"):
            return self._own(call)
        found = _AUTHORITY.fullmatch(path)
        if found is None:
            return _nothing()
        if found[2].startswith("oauth2"):
            return self._token(found[1], call)
        return self.authority.discovery(found[1])

    # The authority

    def _token(self, tenant: str, call: Call) -> Reply:
        entry = self.log.open("token", call.method)
        entry.fields = field_names(call)
        fault = self.faults.take("token")
        answer = self._prevented(fault, call) if fault else None
        if answer is None:
            answer = self.authority.token(tenant, call)
            answer = fault.spoil(answer) if fault else answer
        return _noted(answer, entry)

    # The Web API

    def _counted(self, call: Call) -> Reply:
        area, target = self._area(call.path)
        entry = self.log.open(area, call.method)
        entry.cookie = "cookie" in call.headers
        entry.prefer = call.headers.get("prefer", "")
        key = self.api.key_of(target) if isinstance(target, Target) else None
        fault = self.faults.take(area, key)
        answer = self._prevented(fault, call) if fault else None
        if answer is None:
            answer = self._admitted(call, target, entry, fault)
            answer = fault.spoil(answer) if fault else answer
        answer.headers += [("OData-Version", "4.0"), ("x-ms-dop-hint", str(self.dop_hint)), _COOKIE]
        return _noted(answer, entry)

    def _area(self, path: str) -> tuple[str, Target | Refused | None]:
        """Return the area of a path and, but for a batch, what it leads to or why it leads nowhere."""
        if path == f"{self.api.root}$batch":
            return "batch", None
        try:
            target = self.api.target(path)
        except Refused as refused:
            return "row", refused
        return target.area, target

    def _prevented(self, fault: Fault, call: Call) -> Reply | None:
        """Return the answer where a fault keeps the request from being carried out."""
        if fault.kind == "status":
            return self._refusal(fault, call)
        if fault.kind in ("drop_before", "hang"):
            return Reply(HTTPStatus.OK, ending=Ending("hang" if fault.kind == "hang" else "drop", fault))
        return None

    def _refusal(self, fault: Fault, call: Call) -> Reply:
        fault.reached.set()
        if fault.status == HTTPStatus.UNAUTHORIZED:
            self.authority.revoke(call.headers.get("authorization", ""))
            return self._unauthorized()
        return fault.refusal().reply()

    def _unauthorized(self) -> Reply:
        return Reply(HTTPStatus.UNAUTHORIZED, [self.authority.challenge()])

    def _admitted(self, call: Call, target: Target | Refused | None, entry: Entry, fault: Fault | None) -> Reply:
        client = self.authority.client_of(call.headers.get("authorization", ""))
        if client is None:
            return self._unauthorized()
        entry.user = client.client_id
        if not client.member:
            words = "The user is not a member of the organization."
            return Refused(HTTPStatus.FORBIDDEN, "0x80072560", words).reply()
        try:
            self.limits.enter(client.client_id)
        except Refused as refused:
            return refused.reply()
        request = _Request(call, client, self.origin_of(call), entry, fault)
        try:
            answer = self._batch(request) if target is None else self._single(request, target)
        except Refused as refused:
            answer = refused.reply()
        except BaseException:
            self.limits.leave(client.client_id)
            raise
        self.state.save()
        requests, milliseconds = self.limits.left(client.client_id)
        answer.headers += [
            ("x-ms-ratelimit-burst-remaining-xrm-requests", str(requests)),
            ("x-ms-ratelimit-time-remaining-xrm-requests", f"{milliseconds / 1000:.2f}"),
        ]
        answer.after = lambda: self.limits.leave(client.client_id)
        return answer

    def origin_of(self, call: Call) -> str:
        """Return the origin under which a caller addressed the simulator; links are made with it."""
        host = call.headers.get("host", "")
        return f"{urlsplit(self.origin).scheme}://{host}" if is_loopback(host) else self.origin

    def _single(self, request: _Request, target: Target | Refused) -> Reply:
        self.limits.charge(request.client.client_id, 1)
        if isinstance(target, Refused):
            raise target
        answer = self.api.do(request.call, target, request.client.user_id, request.origin)
        if target.area == "list" and request.fault is not None:
            return self._mislinked(answer, request)
        return answer

    def _mislinked(self, answer: Reply, request: _Request) -> Reply:
        """Return a page whose link is not as it should be, where the fault is of that kind."""
        kind = request.fault.kind if request.fault else ""
        document = json.loads(answer.body) if answer.body and kind.endswith("_link") else {}
        link = document.get("@odata.nextLink")
        if link is None:
            return answer
        if kind == "relative_link":
            document["@odata.nextLink"] = link.partition(self.api.root)[2]
        elif kind == "repeated_link":
            document["@odata.nextLink"] = f"{request.origin}{request.call.target}"
        else:
            document["@odata.nextLink"] = link.replace(request.origin, "https://elsewhere.example.org", 1)
        return reply(answer.status, document, *[each for each in answer.headers if each[0] != "Content-Type"])

    def _batch(self, request: _Request) -> Reply:
        call = request.call
        if call.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "", "A batch must be posted.", [("Allow", "POST")])
        items = batch.read(call)
        self.log.count_parts(request.entry, batch.size(items))
        kind = request.fault.kind if request.fault else ""
        preferred = call.preferences().get("odata.continue-on-error", "false").lower() in ("", "true")
        style = batch.Style(
            quoted=kind == "quoted_boundary",
            lower_case=kind == "lower_case_headers",
            first=request.fault.parts if request.fault and kind == "missing_parts" else None,
        )
        answer, tried = batch.carry_out(
            items,
            lambda part: self._part(part, request),
            self.state.atomic,
            go_on=(preferred and kind != "stop_on_error") or kind == "missing_parts",
            style=style,
        )
        request.entry.done = tried
        self.limits.charge(request.client.client_id, tried)
        return answer

    def _part(self, part: Call, request: _Request) -> Reply:
        """Carry out one request of a batch; its failure is its own answer."""
        try:
            inner = self._inner(part, request)
            target = self.api.target(inner.path)
            fault = self.faults.take("part", self.api.key_of(target))
            if fault is None:
                return self.api.do(inner, target, request.client.user_id, request.origin)
        except Refused as refused:
            return refused.reply()
        return self._refusal(fault, request.call)

    def _inner(self, part: Call, request: _Request) -> Call:
        """Return a part with its address as path: it may be absolute, or relative to the service's root."""
        address = part.target
        if address.startswith(("http://", "https://")):
            if not address.startswith(f"{request.origin}/"):
                raise Refused(HTTPStatus.BAD_REQUEST, "", "A part of the batch is addressed to another service.")
            address = address[len(request.origin) :]
        elif not address.startswith("/"):
            address = f"{self.api.root}{address}"
        if address == f"{self.api.root}$batch":
            raise Refused(HTTPStatus.BAD_REQUEST, "", "A batch cannot hold another.")
        return Call(part.method, address, part.headers, part.body)

    # The simulator's own addresses

    def _own(self, call: Call) -> Reply:
        """Answer what is asked of the simulator itself: only from this machine, and not by a page in a browser."""
        if not is_loopback(call.headers.get("host", "")) or "origin" in call.headers:
            return reply(HTTPStatus.FORBIDDEN, {"error": "Only programs on this machine may ask this."})
        action = {
            ("GET", "/simulator/state"): self._state,
            ("GET", "/simulator/log"): self._log,
            ("GET", "/simulator/faults"): self._faults,
            ("POST", "/simulator/faults"): self._add_faults,
            ("DELETE", "/simulator/faults"): self._clear_faults,
        }.get((call.method, call.path))
        if action is None:
            return _nothing()
        try:
            return reply(HTTPStatus.OK, action(call), content_type="application/json")
        except (ValueError, TypeError) as exc:
            return reply(HTTPStatus.BAD_REQUEST, {"error": str(exc)})

    def _state(self, call: Call) -> dict[str, Any]:
        public = self.state.public()
        told: dict[str, Any] = {
            "rows": len(self.state),
            "listed": len(self.state.listed()),
            "visible": len(public.listed),
            "waiting": public.waiting,
            "lag_seconds": self.state.lag,
            "tokens_issued": self.authority.issued,
            "refused_by_limits": self.limits.refused,
            "table": self.state.table.entity_set,
            "key_column": self.state.table.key_column,
            "listed_column": self.state.table.listed_column,
        }
        if "keys" in parse_qs(call.query):
            told["keys_listed"] = sorted(each for each in self.state.listed() if each)
            told["keys_visible"] = sorted(each for each in self.state.public_listed() if each)
        return told

    def _log(self, call: Call) -> dict[str, Any]:
        since = parse_qs(call.query).get("since")
        return self.log.document(since=float(since[0]) if since else None)

    def _faults(self, _call: Call) -> list[dict[str, Any]]:
        return self.faults.document()

    def _add_faults(self, call: Call) -> list[dict[str, Any]]:
        given = json.loads(call.body)
        documents = given if isinstance(given, list) else [given]
        if not all(isinstance(each, dict) for each in documents):
            msg = "a fault is a JSON object, or several are a list of them"
            raise ValueError(msg)
        for fault in [from_document(each) for each in documents]:
            self.faults.put(fault)
        return self.faults.document()

    def _clear_faults(self, _call: Call) -> list[dict[str, Any]]:
        self.faults.clear()
        return []


def _nothing() -> Reply:
    return reply(HTTPStatus.NOT_FOUND, {"error": {"code": "", "message": "There is nothing here."}})


def _noted(answer: Reply, entry: Entry) -> Reply:
    dropped = answer.ending is not None and answer.ending.how in ("drop", "hang")
    entry.status = 0 if dropped else answer.status
    return answer
