"""One exchange over HTTP with Dataverse or Entra ID: bounded in time and size, and its errors hold nothing secret."""

from __future__ import annotations

import re
import ssl
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import httpx
import stamina
import stamina.instrumentation

from certjobs import __version__, logs
from certjobs.adapters.http import BROKEN, NEVER_LEFT, Patience, proxy_for, refused_by_proxy, why
from certjobs.config import LOOPBACK_HOSTS
from certjobs.errors import ConfigurationError, CredentialsRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stamina.instrumentation import RetryDetails

LONGEST_ANSWER = 64 * 1024 * 1024  # bytes; a page of 5,000 rows has one of them, a batch of 1,000 parts half of one
ATTEMPTS = 4
LONGEST_RETRYING = 90.0  # seconds after which no other attempt begins
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_T = TypeVar("_T")


class Later(Exception):
    """It did not work now, or nobody knows; the same again may. ``reason`` is safe to store and log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(Later):
    """The other side cannot be reached: nothing of the message left."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. ``whole`` is false where the body was cut short, came too slowly, or is longer than any is."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool


class Wire:
    """Exchanges one message after the other with one service, on connections it keeps; used by one thread.

    Keeps no cookie: one that ties us to a single server of the service would narrow its limits.
    """

    def __init__(self, transport: httpx.HTTPTransport, service: str, timeout: float) -> None:
        self._transport = transport
        self._service = service
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict(), "trace": Patience(timeout)}

    def exchange(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None) -> Reply:
        """Send one message and return the answer, whatever its status.

        Raises Unreachable where nothing left, Later where the connection ended before a status came, and
        CredentialsRejected where a proxy does not know us.
        """
        request = httpx.Request(
            method,
            url,
            headers={"User-Agent": f"certjobs/{__version__}", "Accept-Encoding": "identity", **headers},
            content=content,
            extensions=self._extensions,
        )
        try:
            with closing(self._transport.handle_request(request)) as response:
                body, whole = _read(response)
        except NEVER_LEFT as exc:
            if refused_by_proxy(exc):
                raise self._unknown_to_proxy() from None
            raise Unreachable(why(exc, self._service)) from None
        except BROKEN as exc:
            raise Later(why(exc, self._service)) from None
        if response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise self._unknown_to_proxy()
        return Reply(response.status_code, response.headers, body, whole)

    def _unknown_to_proxy(self) -> CredentialsRejected:
        msg = f"The proxy before {self._service} does not accept us: it answered 407."
        return CredentialsRejected(msg, hint="Check the user and password in HTTPS_PROXY.")


@dataclass(frozen=True)
class Service:
    """A service at one origin, and what it takes to speak to it; made once, and used by many threads.

    ``name`` is what sentences call it. ``timeout`` is the longest wait for a connection and for an answer, in seconds.
    """

    name: str
    origin: str
    timeout: float
    tls: ssl.SSLContext | None
    proxy: httpx.Proxy | None

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """Open connections of its own, until the block ends; it connects only at the first message."""
        with httpx.HTTPTransport(verify=self.tls or False, proxy=self.proxy) as transport:
            yield Wire(transport, self.name, self.timeout)


def service_at(url: str, name: str, *, timeout: float, ca_file: str | None = None) -> Service:
    """Return the service at an address: scheme, host and port, and nothing else.

    ``ca_file`` names certificates, in PEM, of authorities to trust besides those the system trusts. Raises
    ConfigurationError, which repeats no address, for one that is none, for one that holds a user or a password, for one
    without TLS off this machine, and for a file or a proxy that cannot be used.
    """
    origin = origin_of(url, name)
    found = httpx.URL(origin)
    return Service(
        name=name,
        origin=origin,
        timeout=timeout,
        tls=_tls(ca_file) if found.scheme == "https" else None,
        proxy=None if found.host in LOOPBACK_HOSTS else proxy_for(found, name),
    )


def origin_of(url: str, name: str) -> str:
    """Return the scheme, host and port of an address that has nothing else, as ``service_at`` says."""
    with suppress(httpx.InvalidURL, ValueError):
        found = httpx.URL(url.strip())
        schemes = ("http", "https") if found.host in LOOPBACK_HOSTS else ("https",)
        bare = not found.userinfo and found.path in ("", "/") and not found.query and not found.fragment
        if found.host and found.scheme in schemes and bare:
            return f"{found.scheme}://{found.netloc.decode('ascii')}"
    msg = f"The address of {name} must be https:// and a host (http:// only on this machine), with no user or path."
    raise ConfigurationError(msg, hint="It must look like https://organisation.example.org.")


def named(value: str, what: str) -> str:
    """Return a name that may stand in an address as it is. Raises ConfigurationError, which does not repeat it."""
    if not _NAME.fullmatch(value):
        msg = f"{what} may hold letters, digits, underscores, dots and hyphens only."
        raise ConfigurationError(msg, hint="Copy it again; names are case-sensitive.")
    return value


def retried(call: Callable[[], _T]) -> _T:
    """Call until it works, resting longer each time, with jitter; at most four times, and about 90 seconds in all.

    Only ``Later`` is tried again; the last one is raised.
    """
    return _RETRYING(Later, call)


_RETRYING = stamina.RetryingCaller(
    attempts=ATTEMPTS, timeout=LONGEST_RETRYING, wait_initial=0.5, wait_max=8.0, wait_jitter=1.0
)


def _log_retry(details: RetryDetails) -> None:
    """Log that something is tried again, and the exception's words only where they are ours."""
    cause = details.caused_by
    logs.get().warning(
        "portal.retried",
        attempt=details.retry_num,
        seconds=round(details.wait_for, 1),
        reason=cause.reason if isinstance(cause, Later) else type(cause).__name__,
    )


# The library's own hook logs whatever an exception says, with its addresses. It has one set of hooks in a process.
stamina.instrumentation.set_on_retry_hooks([_log_retry])


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ValueError) as exc:
            msg = f"The file of certificates to trust cannot be used ({type(exc).__name__})."
            raise ConfigurationError(
                msg, hint="Check its path and permissions; it holds certificates in PEM."
            ) from None
    return context


def _read(response: httpx.Response) -> tuple[bytes, bool]:
    """Return what came of a body, and whether that is all of it."""
    parts: list[bytes] = []
    left = LONGEST_ANSWER
    try:
        for part in response.iter_bytes():
            parts.append(part)
            left -= len(part)
            if left < 0:
                return b"".join(parts), False
    except BROKEN:
        return b"".join(parts), False
    return b"".join(parts), True
