"""The authority: which clients there are, with which secrets, and the tokens they were given.

A secret begins to work some time after it was added, as with the real one, and several are valid side by side.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from certjobs.local.simulator.wire import Call, Reply, reply

if TYPE_CHECKING:
    from certjobs.local.simulator.clock import Clock

LIFETIME = 3599
_FORM = "application/x-www-form-urlencoded"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Credential:
    """A client's secret or signed assertion. It works from ``valid_from`` until ``expires_at`` (None: for good)."""

    value: str
    valid_from: float
    expires_at: float | None = None


@dataclass
class Client:
    """An application that may ask for tokens. ``member`` tells whether the environment has a user for it."""

    client_id: str
    credentials: list[Credential] = field(default_factory=list)
    assertions: list[Credential] = field(default_factory=list)
    member: bool = True
    user_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class _Denied(Exception):
    """No token, and why: HTTP status, OAuth error, number and words of the authority."""

    def __init__(self, status: int, error: str, number: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.error = error
        self.number = number
        self.words = words


class Authority:
    """One tenant with its clients.

    ``lifetime`` is in whole seconds, ``propagation`` in seconds; both may be set at any time and count for what is
    issued or added from then on.
    """

    def __init__(self, tenant: str, clock: Clock) -> None:
        """Start without clients. ``origin`` is where the environment lies; the server sets it when it has a port."""
        self.tenant = tenant
        self.origin = ""
        self.lifetime = LIFETIME
        self.propagation = 0.0
        self.issued = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        self._tokens: dict[str, tuple[Client, float]] = {}

    def add_client(self, client_id: str, secret: str | None = None, *, member: bool = True) -> Client:
        """Make a client whose first secret, where one is given, works at once."""
        client = Client(client_id, member=member)
        if secret is not None:
            client.credentials.append(Credential(secret, self._clock()))
        with self._lock:
            self._clients[client_id] = client
        return client

    def add_secret(self, client_id: str, secret: str, *, expires_at: float | None = None) -> Credential:
        """Give a client a further secret, which works after the propagation delay; the others go on working."""
        made = Credential(secret, self._clock() + self.propagation, expires_at)
        with self._lock:
            self._clients[client_id].credentials.append(made)
        return made

    def remove_secret(self, client_id: str, secret: str) -> None:
        """Take a secret away at once; it is then as wrong as any other. Tokens go on until they expire."""
        with self._lock:
            client = self._clients[client_id]
            client.credentials = [each for each in client.credentials if each.value != secret]

    def expire_secret(self, client_id: str, secret: str) -> None:
        """Let a secret have expired by now."""
        with self._lock:
            for each in self._clients[client_id].credentials:
                if each.value == secret:
                    each.expires_at = self._clock()

    def add_assertion(self, client_id: str, assertion: str, *, expires_at: float | None = None) -> None:
        """Accept one signed assertion, exactly as written, in place of a secret."""
        with self._lock:
            self._clients[client_id].assertions.append(Credential(assertion, self._clock(), expires_at))

    def revoke_tokens(self) -> None:
        """Let no token that was issued so far be accepted."""
        with self._lock:
            self._tokens.clear()

    def revoke(self, authorization: str) -> None:
        """Let the token of a header be accepted no longer."""
        with self._lock:
            self._tokens.pop(authorization.partition(" ")[2], None)

    def client_of(self, authorization: str) -> Client | None:
        """Return whose token a header holds, or None where it holds none that is accepted now."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            client, until = self._tokens.get(token, (None, 0.0))
        return client if scheme.lower() == "bearer" and self._clock() < until else None

    def token(self, tenant: str, call: Call) -> Reply:
        """Answer a request for a token."""
        try:
            client = self._checked(tenant, _fields(call))
        except _Denied as denied:
            return self._denial(denied)
        token = secrets.token_urlsafe(48)
        with self._lock:
            now = self._clock()
            self._tokens = {each: held for each, held in self._tokens.items() if held[1] > now}
            self._tokens[token] = client, now + self.lifetime
            self.issued += 1
        answer = {
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "ext_expires_in": self.lifetime,
            "access_token": token,
        }
        return reply(HTTPStatus.OK, answer, ("Cache-Control", "no-store"), content_type="application/json")

    def discovery(self, tenant: str) -> Reply:
        """Answer a request for what the authority offers, which Microsoft's libraries make first."""
        base = f"{self.origin}/{tenant}"
        if tenant != self.tenant:
            words = f"Tenant '{tenant}' not found."
            return self._denial(_Denied(HTTPStatus.BAD_REQUEST, "invalid_tenant", 90002, words))
        answer = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid"],
        }
        return reply(HTTPStatus.OK, answer, content_type="application/json")

    def challenge(self) -> tuple[str, str]:
        """Return the header that tells a caller without a good token where to get one."""
        uri = f"{self.origin}/{self.tenant}/oauth2/authorize"
        return "WWW-Authenticate", f"Bearer authorization_uri={uri}, resource_id={self.origin}/"

    def _checked(self, tenant: str, fields: dict[str, str]) -> Client:
        bad, unauthorized = HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED
        for name in ("grant_type", "client_id", "scope"):
            if not fields.get(name):
                words = f"The request body must contain the following parameter: '{name}'."
                raise _Denied(bad, "invalid_request", 900144, words)
        if fields["grant_type"] != "client_credentials":
            words = f"The grant type '{fields['grant_type']}' is not supported by this application."
            raise _Denied(bad, "unsupported_grant_type", 70003, words)
        with self._lock:
            client = self._clients.get(fields["client_id"])
        if client is None or tenant != self.tenant:
            words = f"Application with identifier '{fields['client_id']}' was not found in the directory '{tenant}'."
            raise _Denied(bad, "unauthorized_client", 700016, words)
        if not self._is_our_scope(fields["scope"]):
            words = f"The provided value for the input parameter 'scope' is not valid: '{fields['scope']}'."
            raise _Denied(bad, "invalid_scope", 70011, words)
        if fields.get("client_secret"):
            self._check(client.credentials, fields["client_secret"], 7000215, 7000222, "client secret")
        elif fields.get("client_assertion") and fields.get("client_assertion_type") == _ASSERTION:
            self._check(client.assertions, fields["client_assertion"], 700027, 700024, "client assertion")
        else:
            words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise _Denied(unauthorized, "invalid_client", 7000218, words)
        return client

    def _is_our_scope(self, scope: str) -> bool:
        plain, numeric = self.origin, self.origin.replace("//localhost:", "//127.0.0.1:")
        return scope in {f"{each}/.default" for each in (plain, numeric, numeric.replace("127.0.0.1", "localhost"))}

    def _check(self, known: list[Credential], given: str, wrong: int, expired: int, what: str) -> None:
        """Raise unless a credential is one of those known and valid now; which one is wrong is never repeated."""
        now = self._clock()
        with self._lock:
            same = [each for each in known if secrets.compare_digest(each.value.encode(), given.encode())]
            current = [each for each in same if each.valid_from <= now]
            good = [each for each in current if each.expires_at is None or now < each.expires_at]
        if good:
            return
        number, words = (expired, f"The provided {what} is expired.") if current else (wrong, f"Invalid {what}.")
        raise _Denied(HTTPStatus.UNAUTHORIZED, "invalid_client", number, words)

    def _denial(self, denied: _Denied) -> Reply:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        when = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        described = f"AADSTS{denied.number}: {denied.words}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}"
        document = {
            "error": denied.error,
            "error_description": f"{described}\r\nTimestamp: {when}",
            "error_codes": [denied.number],
            "timestamp": when,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{self.origin}/error?code={denied.number}",
        }
        return reply(denied.status, document, content_type="application/json; charset=utf-8")


def _fields(call: Call) -> dict[str, str]:
    if call.method != "POST":
        words = "The endpoint only accepts POST requests."
        raise _Denied(HTTPStatus.BAD_REQUEST, "invalid_request", 900561, words)
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        words = "The request body must be form-encoded."
        raise _Denied(HTTPStatus.BAD_REQUEST, "invalid_request", 900144, words)
    try:
        found = parse_qs(call.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        words = "The request body is not form-encoded."
        raise _Denied(HTTPStatus.BAD_REQUEST, "invalid_request", 900144, words) from None
    if any(len(values) > 1 for values in found.values()):
        words = "A parameter is duplicated."
        raise _Denied(HTTPStatus.BAD_REQUEST, "invalid_request", 9000411, words)
    return {name: values[0] for name, values in found.items()}


def field_names(call: Call) -> tuple[str, ...]:
    """Return the names of the fields of a request for a token, in order, without what they hold."""
    try:
        return tuple(parse_qs(call.body.decode("ascii"), keep_blank_values=True))
    except ValueError:
        return ()
