"""Tokens of Entra ID, by OAuth 2.0 client credentials: one for all sessions, renewed before it ends.

A token is opaque: it is never parsed, logged or stored. What Entra ID says of a credential it does not accept becomes a
sentence of our own; its words quote trace ids, and are written for nobody who has to rotate a secret at night.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlencode

from certjobs.adapters.dataverse.wire import Later, named, origin_of, retried, service_at
from certjobs.errors import ConfigurationError, CredentialsRejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from certjobs.ports import Clock, Sleep

MARGIN = timedelta(minutes=5)  # before its end a token counts as over ...
SHARE = 5  # ... or a fifth of its life before, where that is less
GRACE = (2.0, 3.0, 5.0, 10.0)  # seconds: a rotated secret takes 4 to 18 of them to work
STAYS_REFUSED = timedelta(minutes=1)
ENTRA = "Entra ID"
WRONG_SECRET, EXPIRED_SECRET, UNKNOWN_APP, UNKNOWN_TENANT = 7000215, 7000222, 700016, 90002
UNKNOWN_RESOURCE = frozenset({70011, 500011})
NOT_NOW = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
REJECTED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
ERRORS = frozenset(
    {"access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_resource", "invalid_scope"}
    | {"unauthorized_client", "unsupported_grant_type"}
)
PASSING_ERRORS = frozenset({"server_error", "temporarily_unavailable"})
ASKED_LATER = (
    "It is tried again at the next run; check the network if it lasts, and CERTJOBS_DATAVERSE_CA_FILE where a"
    " certificate is not trusted."
)
_CODE = re.compile(r"AADSTS(\d{1,9})")
_OPAQUE = re.compile(r"[\x21-\x7e]+")


class TokenProvider(Protocol):
    """Gives tokens for one environment; used by many threads at once.

    Both raise CredentialsRejected where somebody must rotate or correct a credential, ConfigurationError where one
    cannot be read, and Unavailable where nobody can be asked.
    """

    def token(self) -> str:
        """Return a token that is good for some minutes yet."""

    def renew(self, rejected: str) -> str:
        """Return another token than the one that was rejected, asking for it only if no other thread has meanwhile."""


class Grant(NamedTuple):
    """A token, and for how many seconds from when it was asked for it is good."""

    token: str
    seconds: float


class KeptTokens(ABC):
    """Keeps one token for all who ask, and asks for another, one asker at a time, before it ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: str | None = None
        self._until = clock.now()
        self._failure: Unavailable | None = None  # that nobody could be asked, the last time ...
        self._failed = 0.0  # ... and when, for those who waited meanwhile

    def token(self) -> str:
        """Return the token, renewed if its end is near."""
        began = monotonic()
        with self._lock:
            return self._good() or self._renewed(began)

    def renew(self, rejected: str) -> str:
        """Return another token than the rejected one."""
        began = monotonic()
        with self._lock:
            found = self._good()
            return found if found is not None and found != rejected else self._renewed(began)

    def _good(self) -> str | None:
        return self._kept if self._clock.now() < self._until else None

    def _renewed(self, began: float) -> str:
        if self._failure is not None and self._failed > began:
            raise Unavailable(self._failure.message, hint=self._failure.hint)
        asked: datetime = self._clock.now()
        self._kept = None
        try:
            grant = self._ask()
        except Later as exc:
            msg = f"No token for the portal could be had: {exc.reason}."
            self._failure, self._failed = Unavailable(msg, hint=ASKED_LATER), monotonic()
            raise Unavailable(msg, hint=ASKED_LATER) from None
        life = timedelta(seconds=grant.seconds)
        self._kept, self._until = grant.token, asked + life - min(MARGIN, life / SHARE)
        return grant.token

    @abstractmethod
    def _ask(self) -> Grant:
        """Ask for a token. Raises Later besides what the Protocol says."""


@dataclass(frozen=True)
class App:
    """Who asks: an app registration of a tenant, with a credential of this kind, for an environment."""

    tenant: str
    client_id: str
    resource: str
    credential: str

    @property
    def scope(self) -> str:
        """All that the app may do in the environment."""
        return f"{self.resource}/.default"


class ClientSecretTokens(KeptTokens):
    """Tokens for a client secret, which is read again each time a token is asked for: rotating it needs no restart.

    A secret that was not accepted is not sent again within a minute, however many ask; except that one which has just
    changed is given twenty seconds, for Entra ID knows a new one only after a while.
    """

    def __init__(
        self,
        *,
        authority: str,
        tenant: str,
        client_id: str,
        secret: Callable[[], str],
        resource: str,
        timeout: float,
        clock: Clock,
        sleep: Sleep,
        ca_file: str | None = None,
    ) -> None:
        """Take who asks, a function that reads the secret, and the environment's address.

        ``timeout`` is the longest wait for a connection or an answer, in seconds. Raises ConfigurationError as
        ``wire.service_at`` does.
        """
        super().__init__(clock)
        self._entra = service_at(authority, ENTRA, timeout=timeout, ca_file=ca_file)
        self._app = App(
            named(tenant, "The tenant"),
            named(client_id, "The client id"),
            origin_of(resource, "the portal"),
            "client secret",
        )
        self._secret = secret
        self._sleep = sleep
        self._known: str | None = None  # the secret that was sent last
        self._refusal: CredentialsRejected | None = None  # what was said of it, where it was not accepted ...
        self._refused = clock.now()  # ... and when

    def _ask(self) -> Grant:
        secret = self._read()
        if self._refusal is not None and secret == self._known and self._clock.now() - self._refused < STAYS_REFUSED:
            raise CredentialsRejected(self._refusal.message, hint=self._refusal.hint)
        before, rests = self._known, iter(GRACE)
        while True:
            try:
                grant = retried(lambda: self._post(secret))  # noqa: B023 - called at once
            except _WrongSecret as exc:
                again = self._read()
                rest = next(rests, None) if again != secret or before not in (None, secret) else None
                if rest is None:
                    self._remember(secret, exc)
                    raise
                before = secret if again != secret else before
                self._sleep(rest, Event())
                secret = self._read()
            except CredentialsRejected as exc:
                self._remember(secret, exc)
                raise
            else:
                self._remember(secret, None)
                return grant

    def _remember(self, secret: str, refusal: CredentialsRejected | None) -> None:
        self._known, self._refusal, self._refused = secret, refusal, self._clock.now()

    def _read(self) -> str:
        found = self._secret().strip()
        if not found:
            msg = "The client secret for the portal is empty."
            raise ConfigurationError(msg, hint="Store the value of a valid client secret where certjobs reads it.")
        return found

    def _post(self, secret: str) -> Grant:
        fields = {
            "client_id": self._app.client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": self._app.scope,
        }
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self._entra.origin}/{self._app.tenant}/oauth2/v2.0/token"
        with self._entra.wire() as wire:
            reply = wire.exchange("POST", url, headers, urlencode(fields).encode())
        judge(self._app, reply.status, reply.body)
        return _grant(reply.body)


class _WrongSecret(CredentialsRejected):
    """The secret is not one of the app's: no longer, or not yet."""


def judge(app: App, status: int, body: bytes) -> None:
    """Raise what an answer to a request for a token means, unless it may hold one.

    Raises Later, CredentialsRejected, or ConfigurationError where whoever answered gives no tokens.
    """
    if status == HTTPStatus.OK:
        return
    error, codes = _error(body)
    if status in NOT_NOW or status >= HTTPStatus.INTERNAL_SERVER_ERROR or error in PASSING_ERRORS:
        msg = f"{ENTRA} answered {status}"
        raise Later(msg)
    if status not in REJECTED:
        msg = f"The authority answered {status} to a request for a token: it gives none there."
        raise ConfigurationError(msg, hint="Check the address of the authority, and the tenant.")
    raise _rejection(app, status, error, codes)


def _rejection(app: App, status: int, error: str, codes: list[int]) -> CredentialsRejected:
    """Return the sentence that names what to rotate or correct."""
    whose = f"the {app.credential} of the app registration {app.client_id}"
    store = f"Make a new {app.credential} in {ENTRA}, and store it where certjobs reads it; nothing has to be deployed."
    if error == "invalid_client" and EXPIRED_SECRET in codes:
        msg = f"{whose[0].upper()}{whose[1:]} has expired (AADSTS{EXPIRED_SECRET})."
        return CredentialsRejected(msg, hint=store)
    if error == "invalid_client" and WRONG_SECRET in codes:
        msg = f"{ENTRA} does not accept {whose} (AADSTS{WRONG_SECRET})."
        hint = (
            f"Store the value of a valid {app.credential}, not its id, where certjobs reads it, or rotate it. One made"
            " a moment ago takes up to half a minute to work."
        )
        return _WrongSecret(msg, hint=hint)
    if error == "unauthorized_client" or not {UNKNOWN_APP, UNKNOWN_TENANT}.isdisjoint(codes):
        msg = f"{ENTRA} does not know the app registration {app.client_id} in the tenant {app.tenant}."
        return CredentialsRejected(msg, hint="Correct the client id or the tenant.")
    if error in ("invalid_scope", "invalid_resource") or not UNKNOWN_RESOURCE.isdisjoint(codes):
        msg = (
            f"{ENTRA} gives the app registration {app.client_id} no token for the portal: it does not know the portal."
        )
        return CredentialsRejected(msg, hint="Correct the address of the portal, or add it to the app's tenant.")
    said = ", ".join([str(status), *([error] if error else []), *(f"AADSTS{code}" for code in codes)])
    msg = f"{ENTRA} does not accept {whose} ({said})."
    return CredentialsRejected(msg, hint=f"Look at the app registration in {ENTRA}. {store}")


def _error(body: bytes) -> tuple[str, list[int]]:
    """Return the error that an answer names, if it is one we know, and its numbers: none of its own words."""
    found = _json(body)
    name, codes = found.get("error"), found.get("error_codes")
    numbers = [each for each in codes if type(each) is int] if isinstance(codes, list) else []
    if not numbers:
        numbers = [int(each) for each in _CODE.findall(str(found.get("error_description", "")))[:1]]
    return (name if isinstance(name, str) and name in ERRORS | PASSING_ERRORS else ""), numbers[:3]


def _grant(body: bytes) -> Grant:
    """Return the token that an answer holds. Raises Later where it holds none."""
    found = _json(body)
    token = found.get("access_token")
    with suppress(TypeError, ValueError, OverflowError):
        seconds = float(found.get("expires_in", ""))
        if isinstance(token, str) and _OPAQUE.fullmatch(token) and 0 < seconds <= timedelta(days=30).total_seconds():
            return Grant(token, seconds)
    msg = f"{ENTRA} answered something else than a token"
    raise Later(msg)


def _json(body: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        found = json.loads(body)
        if isinstance(found, dict):
            return found
    return {}
