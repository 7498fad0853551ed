"""The portal ``dataverse``: a column of a Dataverse table says of each mentor whether the website lists them.

The contract:

- Listing and taking off are the same request: ``PATCH <table>(<key>='<mentor>')`` with ``{"<listed>": true}`` or false
  and ``If-Match: *``, without which the service would create a row that is not there. Several go as one ``$batch``.
- 200, 201 and 204: done. 404: to be taken off, it is as good; to be listed, it never will be. 400 and 412: never.
- 401: the token is renewed once, and the same is sent once more. 403: the service does not want us, and no more is
  sent; inside a batch that holds only where every part says so.
- 429: nothing was done, and ``Retry-After`` says for how long nobody should ask.
- Everything else, and an answer that breaks off, is for now: the same again is safe. Where no answer comes, or a
  gateway says that it waits no longer (502, 504), the service may still be at it.

What the service says in its own words is never passed on: it may quote a row. Its codes are.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import httpx

from certjobs.adapters.dataverse import batch as batches
from certjobs.adapters.dataverse.wire import Later, Reply, Unreachable, Wire, retried, service_at
from certjobs.adapters.http import seconds_of
from certjobs.adapters.spool import Spool
from certjobs.config import PREFIX
from certjobs.errors import CertjobsError, ConfigurationError, CredentialsRejected, Unavailable
from certjobs.ports import Answer, ListedPage, ListingResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from certjobs.adapters.dataverse.auth import TokenProvider
    from certjobs.adapters.dataverse.batch import Part
    from certjobs.ports import Clock, ListingChange, Sleep

THE_PORTAL = "the portal"
NOT_IN_A_KEY = frozenset("/<>*%&:\\?+#")  # the service does not find a row by them, encoded or not
PAGE = 5000  # rows, the most that the service gives at once
REST, SHORTEST_REST, LONGEST_REST = 30.0, 1.0, 3600.0  # seconds: where it does not say, and whatever it says
LONGEST_TOKEN = 150.0  # seconds that asking for a token takes with its retries
LONGEST_RESTS = 1800.0  # seconds that one reading of the listing may rest in all ...
LONGEST_REST_BEFORE = 300.0  # ... and the questions before anything else
NOBODY = "certjobs-check"  # a reference that no mentor has: asked for to see whether table and columns are there
DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
NOT_NOW = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY}
)
LEFT_ALONE = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})  # a gateway that waits no longer
PASSING = LEFT_ALONE | {HTTPStatus.SERVICE_UNAVAILABLE}
ADDRESS = f"Check {PREFIX}DATAVERSE_URL and {PREFIX}DATAVERSE_API_VERSION, and whether a proxy changes the answers."
HEADERS = {
    "Accept": "application/json",
    "OData-Version": "4.0",
    "OData-MaxVersion": "4.0",
    "If-None-Match": "null",
}
_TEXT, _TEXT_OR_NONE = frozenset({str}), frozenset({str, type(None)})
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HINT = re.compile(r"[1-9][0-9]{0,3}")
_VERSION = re.compile(r"v?(\d{1,2}\.\d{1,2})")


class DataversePortal:
    """The listing in one environment. Made once a run; its sessions share its token, its TLS context and its settings.

    Raises ConfigurationError, which repeats no address, for an address without TLS off this machine or with a password
    in it, for a name that is none, and for a size out of its range.
    """

    name = "dataverse"

    def __init__(
        self,
        url: str,
        *,
        table: str,
        key_column: str,
        listed_column: str,
        id_column: str,
        tokens: TokenProvider,
        clock: Clock,
        sleep: Sleep,
        api_version: str = "9.2",
        batch: int = 100,
        concurrency: int = 4,
        timeout: float = 30.0,
        relative_urls: bool = False,
        ca_file: str | None = None,
    ) -> None:
        """Take the environment's address, the names there, and who gives tokens for it.

        ``table`` is the name of the entity set, ``key_column`` an alternate key that holds our mentor's reference,
        ``listed_column`` the flag, and ``id_column`` the table's own id. ``timeout`` is the longest wait for a
        connection and for an answer, in seconds. ``relative_urls``: whether addresses inside a batch are relative to
        the service's root.
        """
        if not 1 <= batch <= batches.MOST_PARTS:
            msg = f"A batch of the portal holds 1 to {batches.MOST_PARTS} changes."
            raise ConfigurationError(msg, hint=f"Set {PREFIX}SYNC_BATCH_SIZE to at most {batches.MOST_PARTS}.")
        version = _VERSION.fullmatch(api_version)
        if version is None:
            msg = "The portal's API version is none."
            raise ConfigurationError(msg, hint=f"Set {PREFIX}DATAVERSE_API_VERSION to one that looks like 9.2.")
        self.batch = batch
        self.concurrency = concurrency
        # A connection and an answer, twice, and in between tokens; what would begin later than that is not sent.
        self.patience = 4 * timeout + LONGEST_TOKEN
        self._latest = self.patience - 2 * timeout
        self.service = service_at(url, THE_PORTAL, timeout=timeout, ca_file=ca_file)
        self.root = f"{self.service.origin}/api/data/v{version.group(1)}/"
        self.table = _column(table, "table", "TABLE")
        self.key_column = _column(key_column, "key column", "KEY_COLUMN")
        self.listed_column = _column(listed_column, "listed column", "LISTED_COLUMN")
        self.id_column = _column(id_column, "id column", "ID_COLUMN")
        self.tokens = tokens
        self.clock = clock
        self._sleep = sleep
        self._inner_root = "" if relative_urls else self.root
        self._body = {flag: json.dumps({listed_column: flag}, separators=(",", ":")).encode() for flag in (True, False)}

    def check(self) -> int | None:
        """Have a token, ask the service who we are, and look for our table, key and columns.

        A wrong name would otherwise be the failure of every single mentor. Returns how many requests at once the
        service recommends, if it does. Raises as ``ports.ListingPortal.check`` says, and ConfigurationError where
        whoever answers is no Dataverse.
        """
        with self.service.wire() as wire:
            reading = _Reading(self, wire, LONGEST_REST_BEFORE)
            reply = reading.get(f"{self.root}WhoAmI")
            if not isinstance(_json(reply).get("UserId"), str):
                msg = "What answers at the portal's address is not Dataverse: it does not say who we are."
                raise ConfigurationError(msg, hint=ADDRESS)
            select = f"$select={self.key_column},{self.listed_column},{self.id_column}"
            self._is_ours(reading.ask(f"{self.root}{self.table}({self.key_column}='{NOBODY}')?{select}"))
        hint = _HINT.fullmatch(reply.headers.get("x-ms-dop-hint", "").strip())
        return int(hint.group()) if hint else None

    def _is_ours(self, reply: Reply) -> None:
        """Judge the answer about a row that nobody has. Raises ConfigurationError where it is not only the row."""
        part = batches.read(reply.status, None, reply.body)
        if reply.status == HTTPStatus.OK or (reply.status == HTTPStatus.NOT_FOUND and not part.no_table):
            return
        said = f"it answered {reply.status}{f' ({part.code})' if part.code else ''}"
        if reply.status == HTTPStatus.NOT_FOUND:
            msg = f"The portal has no table {self.table}: {said}."
            raise ConfigurationError(msg, hint=f"Correct {PREFIX}DATAVERSE_TABLE: it is the name of the entity set.")
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            msg = f"The portal cannot say whether its table is as we need it: {said}."
            raise Unavailable(msg, hint="Run it again later.")
        msg = (
            f"The portal's table {self.table} has no key {self.key_column}, or no column {self.listed_column} or"
            f" {self.id_column}: {said}."
        )
        names = ", ".join(f"{PREFIX}DATAVERSE_{name}_COLUMN" for name in ("KEY", "LISTED", "ID"))
        raise ConfigurationError(msg, hint=f"Correct {names}; the key column needs an alternate key that is active.")

    @contextmanager
    def session(self) -> Iterator[DataverseSession]:
        """Open connections of its own for one thread."""
        with self.service.wire() as wire:
            yield DataverseSession(self, wire)

    def listed(self) -> Iterable[ListedPage]:
        """Read everyone whose flag is set, and give them page by page, in the service's own order.

        Raises as ``ports.ListingPortal.listed`` says; a page that fails is tried again, and rests are taken as asked
        for, half an hour in all.
        """
        select = f"$select={self.key_column},{self.id_column}&$filter={self.listed_column}%20eq%20true"
        url: str | None = f"{self.root}{self.table}?{select}"
        seen: set[str] = set()
        spool = Spool()
        with self.service.wire() as wire:
            reading = _Reading(self, wire)
            while url is not None:
                seen.add(url)
                page = _json(reading.get(url, {"Prefer": f"odata.maxpagesize={PAGE}"}))
                spool.add(self._rows(page))
                url = self._next(url, page.get("@odata.nextLink"), seen)
        return spool

    def exchange(
        self, wire: Wire, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Reply:
        """Send one message with our token; where that is not accepted, once more with another.

        Raises CredentialsRejected where that one is not accepted either, and where we may not do this at all; and
        Unreachable where a token was waited for so long that nothing can be sent within ``patience``.
        """
        until = monotonic() + self._latest
        token = self.tokens.token()
        _still(until)
        reply = wire.exchange(method, url, {**HEADERS, **headers, "Authorization": f"Bearer {token}"}, content)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            token = self.tokens.renew(token)
            _still(until)
            reply = wire.exchange(method, url, {**HEADERS, **headers, "Authorization": f"Bearer {token}"}, content)
            if reply.status == HTTPStatus.UNAUTHORIZED:
                msg = "The portal does not accept our token, nor a new one: it answered 401."
                hint = "Check that the app registration is an application user of the environment, and is enabled."
                raise CredentialsRejected(msg, hint=hint)
        if reply.status == HTTPStatus.FORBIDDEN:
            raise forbidden()
        return reply

    def refusal(self, change: ListingChange) -> ListingResult | None:
        """Return why a change cannot even be asked for, if so: the service would not find the row."""
        wrong = sorted(NOT_IN_A_KEY.intersection(change.mentor_ref))
        if wrong or not change.mentor_ref.strip() or not change.mentor_ref.isprintable():
            what = f"holds {' '.join(wrong)}" if wrong else "is empty or holds control characters"
            return ListingResult("refused", f"mentor {change.mentor_ref!r} cannot be on the portal: the key {what}")
        return None

    def address(self, change: ListingChange, *, inside: bool = False) -> str:
        """Return the address of a mentor's row, as it stands inside a batch or outside."""
        key = quote(change.mentor_ref.replace("'", "''"), safe="")
        return f"{self._inner_root if inside else self.root}{self.table}({self.key_column}='{key}')"

    def body(self, change: ListingChange) -> bytes:
        """Return what the row is to be."""
        return self._body[change.listed]

    def verdict(self, change: ListingChange, part: Part) -> ListingResult:
        """Return what an answer means for a change."""
        status = part.status
        if status in DONE:
            return ListingResult("done")
        said = f"the portal answered {status}{f' ({part.code})' if part.code else ''}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return ListingResult("limited", said)
        if status == HTTPStatus.NOT_FOUND:
            return self._missing(change, said, no_table=part.no_table)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in NOT_NOW:
            return ListingResult("refused", f"{said} to the change of mentor {change.mentor_ref}")
        return ListingResult("failed", said)

    def _missing(self, change: ListingChange, said: str, *, no_table: bool) -> ListingResult:
        """Return what it means that the address leads nowhere; where not even the table is there, it means nothing."""
        if no_table:
            return ListingResult("failed", f"{said}: it has no table {self.table}")
        if change.listed:
            return ListingResult("refused", f"{said}: it has no entry for mentor {change.mentor_ref}")
        return ListingResult("absent")

    def rest(self, retry_after: str | None) -> float:
        """Return for how many seconds the service asks us to rest: 1 to 3600, and 30 where it does not say."""
        seconds = seconds_of(retry_after, self.clock)
        return min(LONGEST_REST, max(SHORTEST_REST, REST if seconds is None else seconds))

    def wait(self, seconds: float) -> None:
        """Rest."""
        self._sleep(seconds, Event())

    def _rows(self, page: Mapping[str, Any]) -> ListedPage:
        """Return the mentors of a page. Raises CertjobsError unless every row has an id and a key or none."""
        rows = page.get("value")
        with suppress(TypeError, KeyError, AttributeError):
            if isinstance(rows, list):
                found = ListedPage([row.get(self.key_column) for row in rows], [row[self.id_column] for row in rows])
                if _TEXT_OR_NONE.issuperset(map(type, found.refs)) and _TEXT.issuperset(map(type, found.entries)):
                    return found
        msg = "The portal's list cannot be read: what it answered is no page of rows with their ids."
        raise CertjobsError(msg, hint=f"Check {PREFIX}DATAVERSE_KEY_COLUMN and {PREFIX}DATAVERSE_ID_COLUMN.")

    def _next(self, url: str, link: Any, seen: set[str]) -> str | None:
        """Return where the next page is, or None after the last. Raises CertjobsError for a link not to be followed."""
        if link is None:
            return None
        with suppress(httpx.InvalidURL, ValueError, TypeError):
            found = urljoin(url, link) if isinstance(link, str) and link else ""
            parsed, ours = httpx.URL(found), httpx.URL(self.root)
            same = (parsed.scheme, parsed.host, parsed.port) == (ours.scheme, ours.host, ours.port)
            if same and not parsed.userinfo and found not in seen:
                return found
            if same and found in seen:
                msg = "The portal's list leads back to a page that was read: nobody knows whether it is complete."
                raise CertjobsError(msg, hint="Run it again; report it to whoever runs the portal if it lasts.")
        msg = "The portal's list leads to another place than the portal, which is not followed."
        raise CertjobsError(msg, hint=ADDRESS)


class DataverseSession:
    """Makes changes, one request after the other, on connections it keeps; used by one thread."""

    def __init__(self, portal: DataversePortal, wire: Wire) -> None:
        self._portal = portal
        self._wire = wire

    def apply(self, changes: Sequence[ListingChange]) -> Answer:
        """Ask for changes in one request, as ``ports.PortalSession.apply`` says.

        A key that the service cannot find is refused here and now, and the others are sent. Raises ValueError for more
        changes than the service takes at once.
        """
        results = [self._portal.refusal(change) for change in changes]
        sent = [change for change, refusal in zip(changes, results, strict=True) if refusal is None]
        answer = self._send(sent) if sent else Answer(())
        answered = iter(answer.results)
        judged = [next(answered) if refusal is None else refusal for refusal in results]
        return Answer(judged, answer.rest, answer.trouble)

    def _send(self, changes: Sequence[ListingChange]) -> Answer:
        portal = self._portal
        alone = len(changes) == 1
        try:
            if alone:
                headers = {"Content-Type": "application/json", "If-Match": "*"}
                address, body = portal.address(changes[0]), portal.body(changes[0])
                reply = portal.exchange(self._wire, "PATCH", address, headers, body)
            else:
                reply = self._send_batch(changes)
        except Unreachable as exc:
            msg = f"{exc.reason[0].upper()}{exc.reason[1:]}."
            raise Unavailable(
                msg, hint="It is tried again later; check the network and the portal's address."
            ) from None
        except Later as exc:
            return Answer([ListingResult("unknown", exc.reason)] * len(changes), trouble=exc.reason)
        return self._alone(changes[0], reply) if alone else self._batch(changes, reply)

    def _send_batch(self, changes: Sequence[ListingChange]) -> Reply:
        portal = self._portal
        content_type, body = batches.build([(portal.address(each, inside=True), portal.body(each)) for each in changes])
        headers = {
            "Accept": "multipart/mixed, application/json",
            "Content-Type": content_type,
            "Prefer": "odata.continue-on-error",
        }
        return portal.exchange(self._wire, "POST", f"{portal.root}$batch", headers, body)

    def _alone(self, change: ListingChange, reply: Reply) -> Answer:
        part = batches.read(reply.status, reply.headers.get("Retry-After"), reply.body)
        if part.status == HTTPStatus.NOT_FOUND and not reply.whole:  # it may be the table that is not there
            return Answer([ListingResult("failed", "the portal's answer broke off")])
        if part.status in LEFT_ALONE:
            said = f"the portal answered {part.status}"
            return Answer([ListingResult("unknown", said)], self._rest([part]), _trouble(part.status))
        return Answer([self._portal.verdict(change, part)], self._rest([part]), _trouble(part.status))

    def _batch(self, changes: Sequence[ListingChange], reply: Reply) -> Answer:
        """Judge each part; of the changes that no part answers, the outer status and the answer's end tell.

        Raises CredentialsRejected where every part says that we may not.
        """
        answered = batches.parse(reply.headers.get("Content-Type", ""), reply.body, len(changes))
        parts = answered.parts
        if parts and all(part.status == HTTPStatus.FORBIDDEN for part in parts):
            raise forbidden()
        results = [self._portal.verdict(change, part) for change, part in zip(changes, parts, strict=False)]
        whole = answered.whole and reply.whole and bool(parts)
        results += [_unanswered(reply.status, whole=whole)] * (len(changes) - len(parts))
        outer = batches.read(reply.status, reply.headers.get("Retry-After"), b"")
        return Answer(results, self._rest([*parts, outer]), _trouble(reply.status) if not parts else None)

    def _rest(self, parts: Sequence[Part]) -> float | None:
        """Return the longest rest that is asked for: by 429, and by 503 where it says for how long."""
        asked = [
            self._portal.rest(part.retry_after)
            for part in parts
            if part.status == HTTPStatus.TOO_MANY_REQUESTS
            or (part.status == HTTPStatus.SERVICE_UNAVAILABLE and part.retry_after)
        ]
        return max(asked, default=None)


@dataclass
class _Reading:
    """Reads from the service: tries again what fails for now, and rests when asked to, so long in all."""

    portal: DataversePortal
    wire: Wire
    left: float = field(default=LONGEST_RESTS)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return a good answer. Raises Unavailable, CredentialsRejected, or ConfigurationError for a wrong address."""
        return self._good(self.ask(url, headers))

    def ask(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Return an answer of any kind. Raises Unavailable where none comes, and CredentialsRejected."""
        while True:
            try:
                reply = retried(lambda: self._once(url, headers or {}))
            except Later as exc:
                msg = f"{exc.reason[0].upper()}{exc.reason[1:]}, however often it was tried."
                raise Unavailable(msg, hint="Run it again later; check the network if it lasts.") from None
            if reply.status != HTTPStatus.TOO_MANY_REQUESTS:
                return reply
            rest = self.portal.rest(reply.headers.get("Retry-After"))
            if rest > self.left:
                msg = "The portal answered 429 and asks for more rest than there is time for."
                raise Unavailable(msg, hint="Run it again later; something else may use up the same limits.")
            self.left -= rest
            self.portal.wait(rest)

    def _once(self, url: str, headers: Mapping[str, str]) -> Reply:
        reply = self.portal.exchange(self.wire, "GET", url, headers)
        if reply.status in PASSING:
            msg = f"the portal answered {reply.status}"
            raise Later(msg)
        if reply.status == HTTPStatus.OK and not reply.whole:
            msg = "the portal's answer broke off"
            raise Later(msg)
        return reply

    def _good(self, reply: Reply) -> Reply:
        if reply.status == HTTPStatus.OK:
            return reply
        code = batches.read(reply.status, None, reply.body).code
        said = f"The portal answered {reply.status}{f' ({code})' if code else ''}"
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            msg = f"{said}."
            raise Unavailable(msg, hint="Run it again later.")
        msg = f"{said} where it should answer 200."
        raise ConfigurationError(msg, hint=ADDRESS)


def forbidden() -> CredentialsRejected:
    """Return what 403 means: nobody but an administrator of the environment can help."""
    msg = "The portal does not let us do this: it answered 403."
    hint = "Give the application user a security role that may read and write the table with the listing."
    return CredentialsRejected(msg, hint=hint)


def _trouble(status: int) -> str | None:
    """Return what is wrong with the portal as a whole where it answers a request with this."""
    return f"the portal answered {status}" if status in PASSING else None


def _still(until: float) -> None:
    if monotonic() > until:
        msg = "a token was waited for too long"
        raise Unreachable(msg)


def _unanswered(status: int, *, whole: bool) -> ListingResult:
    """Return what became of a change of a batch that no part answers."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ListingResult("limited", f"the portal answered {status}")
    if status in LEFT_ALONE:
        return ListingResult("unknown", f"the portal answered {status}")
    if status in NOT_NOW or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ListingResult("failed", f"the portal answered {status}")
    if whole:
        return ListingResult("skipped", "the portal did not come to it")
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return ListingResult("failed", f"the portal answered {status} to a batch as a whole")
    return ListingResult("failed", "the portal's answer broke off, or cannot be read")


def _column(value: str, what: str, setting: str) -> str:
    """Return the name of a table or column. Raises ConfigurationError for what is none."""
    if not _COLUMN.fullmatch(value):
        msg = f"The portal's {what} has a name that no {what} has."
        hint = f"Correct {PREFIX}DATAVERSE_{setting}: it holds letters, digits and underscores, as new_mentorid."
        raise ConfigurationError(msg, hint=hint)
    return value


def _json(reply: Reply) -> dict[str, Any]:
    """Return the object that an answer is. Raises CertjobsError where it is none."""
    with suppress(ValueError, RecursionError):
        found = json.loads(reply.body)
        if isinstance(found, dict):
            return found
    msg = "The portal answered something that cannot be read."
    raise CertjobsError(msg, hint=ADDRESS)
