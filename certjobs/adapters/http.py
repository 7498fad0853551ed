"""What adapters that speak HTTP share, on the library's transports: of what a client adds, nothing is wanted.

No error made here repeats an address, a password or the words of an exception: those quote addresses.
"""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpx

from certjobs.errors import ConfigurationError, CredentialsRejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certjobs.ports import Clock

NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
    UnicodeError,  # a host that no name server can be asked for
)
BROKEN = (httpx.HTTPError, httpx.StreamError, ValueError)
LONGEST_NUMBER = 10  # digits: three centuries in seconds


class Patience:
    """Waits so long for an answer in all, however it comes: the library waits so long for each part of it.

    As the library's ``trace`` it learns of each connection, whose reading it bounds, and of each message that has gone.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.until = 0.0

    def __call__(self, event: str, values: Mapping[str, Any]) -> None:
        """Learn of what the library does."""
        if event.endswith("receive_response_headers.started"):
            self.until = time.monotonic() + self._seconds
        elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
            stream = values["return_value"]
            stream.read = self._bounded(stream.read)

    def _bounded(self, read: Callable[..., bytes]) -> Callable[..., bytes]:
        def bounded(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG001 - what is left counts
            left = self.until - time.monotonic()
            if left <= 0:
                msg = "the answer took too long in all"
                raise httpx.ReadTimeout(msg)
            return read(max_bytes, timeout=left)

        return bounded


class _Connected(Exception):
    """The connection stands, and the request would go now."""


def reach(
    url: httpx.URL, service: str, *, timeout: float, proxy: httpx.Proxy | None, tls: ssl.SSLContext | bool = True
) -> None:
    """Connect as a request to this address would, by proxy and TLS where it would, and send nothing of the request.

    Raises Unavailable where that is not possible, and CredentialsRejected where a proxy does not know us.
    """

    def stop(event: str, values: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and values["request"].method != b"CONNECT":
            raise _Connected

    extensions = {"timeout": httpx.Timeout(timeout).as_dict(), "trace": stop}
    request = httpx.Request("HEAD", url, extensions=extensions)
    try:
        with httpx.HTTPTransport(verify=tls, proxy=proxy) as transport:
            transport.handle_request(request)
    except _Connected:
        return
    except BROKEN as exc:
        if refused_by_proxy(exc):
            msg = f"The proxy before {service} does not accept us: it answered 407."
            raise CredentialsRejected(msg, hint="Check the user and password in HTTPS_PROXY.") from None
        reason = why(exc, service)
        msg = f"{reason[0].upper()}{reason[1:]}."
        raise Unavailable(msg, hint="Check its address, and whether a firewall or a proxy is in the way.") from None


def proxy_for(url: httpx.URL, user: str) -> httpx.Proxy | None:
    """Return the proxy that the environment names for an address, as other programs find it.

    Raises ConfigurationError for one that cannot be used, naming its ``user`` and not itself: it may hold a password.
    """
    named = getproxies()
    found = named.get(url.scheme) or named.get("all")
    if not found or proxy_bypass(url.host):
        return None
    with suppress(httpx.InvalidURL, ValueError):
        proxy = httpx.Proxy(found if "://" in found else f"http://{found}")
        if proxy.url.host and proxy.url.scheme in ("http", "https"):
            return proxy
    msg = f"The proxy that HTTPS_PROXY or ALL_PROXY names cannot be used for {user}."
    hint = "It must look like http://proxy.example.org:3128; or name the service in NO_PROXY."
    raise ConfigurationError(msg, hint=hint)


def seconds_of(retry_after: str | None, clock: Clock) -> float | None:
    """Return the seconds of a Retry-After (whole seconds, or a date), or None where it is neither. Never negative."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit() and len(text) < LONGEST_NUMBER:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - clock.now()).total_seconds())


def why(exc: Exception, service: str) -> str:
    """Say what kept a message from a service, without the exception's own words."""
    if isinstance(exc, httpx.TimeoutException):
        return f"{service} did not answer in time"
    if isinstance(exc, httpx.ConnectError | UnicodeError):
        if isinstance(exc.__cause__, ssl.SSLError) or "CERTIFICATE" in str(exc).upper():
            return f"{service}'s certificate is not trusted"
        return f"{service} cannot be reached"
    return f"the connection to {service} failed ({type(exc).__name__})"


def refused_by_proxy(exc: Exception) -> bool:
    """Tell whether it was the proxy that did not let us through, because it does not know us."""
    return isinstance(exc, httpx.ProxyError) and str(exc).startswith("407")
