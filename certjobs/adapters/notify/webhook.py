"""The channel ``webhook``: each notice is posted as JSON to the application's service that tells coordinators.

The contract:

- ``POST`` of ``{"type": ..., "data": {"mentor": {"ref", "name", "organisation", "chapter"}, "certification_expiry",
  "threshold_day", "recipient": {"name", "address", "language"}}}``. The type is ``mentor.paused``, with a null
  threshold, or ``certification.expiring``. In a rehearsal ``recipient.address`` is the rehearsal's, and
  ``data.rehearsal_for`` says whose message it was.
- Signed by the Standard Webhooks scheme (https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp``,
  ``webhook-signature``. ``webhook-id`` and ``Idempotency-Key`` are the notice's key, the same at every attempt; a
  rehearsal has keys of its own. The body says what the roster says at that attempt, so that a name corrected meanwhile
  is right: a receiver drops what it knows by the key alone.
- 2xx: it has the notice. 408, 409 (that key is being worked on), 425 and 5xx: later; 429, and 503 with ``Retry-After``:
  after a rest. 401, 403 and 407: it does not know us. Any other 4xx: it never will.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from certjobs import __version__
from certjobs.adapters.http import BROKEN, NEVER_LEFT, Patience, proxy_for, reach, refused_by_proxy, seconds_of, why
from certjobs.config import LOOPBACK_HOSTS
from certjobs.domain.delivery import PAUSE, rehearsed
from certjobs.errors import (
    ChannelDown,
    ConfigurationError,
    CredentialsRejected,
    DeliveryFailed,
    DeliveryRefused,
    RateLimited,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certjobs.ports import Clock, Message

PREFIX = "whsec_"
SHORTEST_SECRET, LONGEST_SECRET = 24, 64  # bytes, as the scheme recommends
SHORT_ANSWER = 16_384  # bytes
LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
UNKNOWN_TO_IT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})


class WebhookNotifier:
    """Post notices to one address. Repeated keys are dropped there, so several may be in hand at once.

    Raises ConfigurationError for a secret, an address or a proxy that is none, and where the service is elsewhere and
    there is no secret or no TLS.
    """

    name = "webhook"
    honours_keys = True
    gathers = False
    batch = 100

    def __init__(
        self,
        url: str,
        secret: str | None,
        *,
        timeout: float,
        concurrency: int,
        redirect_to: str | None,
        clock: Clock,
    ) -> None:
        """Take an address, the secret it shares, and the longest wait for a connection or an answer in seconds."""
        self.url = _address(url)
        loopback = self.url.host in LOOPBACK_HOSTS
        if secret is None and not loopback:
            msg = "The channel webhook needs CERTJOBS_NOTIFY_WEBHOOK_SECRET: the service must know who speaks."
            raise ConfigurationError(msg, hint=f"Set it to {PREFIX} and at least {SHORTEST_SECRET} bytes in base64.")
        self.concurrency = concurrency
        self._secret = _decoded(secret) if secret is not None else None
        self.timeout = timeout
        self._redirect_to = redirect_to
        self._clock = clock
        self._proxy = None if loopback else proxy_for(self.url, "the channel webhook")
        self._tls = ssl.create_default_context() if self.url.scheme == "https" else None

    def reach(self) -> None:
        """Connect to the service and post nothing, as ``ports.Reachable`` says."""
        reach(self.url, "the service", timeout=self.timeout, proxy=self._proxy, tls=self._tls or False)

    @contextmanager
    def sender(self) -> Iterator[WebhookSender]:
        """Open connections of its own; all senders share one TLS context."""
        with httpx.HTTPTransport(verify=self._tls or False, proxy=self._proxy) as transport:
            yield WebhookSender(self, transport)

    def key(self, message: Message) -> str:
        """Return the key of a message, the same at every attempt; of a rehearsal another one."""
        return rehearsed(message.key, self._redirect_to) if self._redirect_to else message.key

    def body(self, message: Message) -> bytes:
        """Return the body of a message, as the roster is at this attempt."""
        (notice,) = message.notices
        recipient = {"name": message.recipient_name, "address": message.recipient_address, "language": message.language}
        data: dict[str, Any] = {
            "mentor": {
                "ref": notice.mentor_ref,
                "name": notice.mentor_name,
                "organisation": notice.organisation,
                "chapter": notice.chapter,
            },
            "certification_expiry": notice.certification_expiry.isoformat(),
            "threshold_day": notice.threshold_day,
            "recipient": recipient,
        }
        if self._redirect_to:
            data["rehearsal_for"] = {"name": message.recipient_name, "address": message.recipient_address}
            data["recipient"] = recipient | {"address": self._redirect_to}
        kind = "mentor.paused" if notice.kind == PAUSE else "certification.expiring"
        return json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode()

    def headers(self, key: str, body: bytes) -> dict[str, str]:
        """Return the headers that say which message this is, and that it is ours."""
        headers = {
            "Accept": "*/*",
            "User-Agent": f"certjobs/{__version__}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        if self._secret is not None:
            moment = str(int(self._clock.now().timestamp()))
            signed = hmac.digest(self._secret, b".".join((key.encode(), moment.encode(), body)), hashlib.sha256)
            headers |= {
                "webhook-id": key,
                "webhook-timestamp": moment,
                "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
            }
        return headers

    def judge(self, status: int, retry_after: str | None) -> None:
        """Raise what an answer means, unless it means that the service has the notice."""
        reason = f"the service answered {status}"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after):
            raise RateLimited(reason, seconds_of(retry_after, self._clock))
        if status in UNKNOWN_TO_IT:
            if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                msg = f"The proxy before the service of the channel webhook does not accept us: it answered {status}."
                raise CredentialsRejected(msg, hint="Check the user and password in HTTPS_PROXY.")
            msg = f"The service of the channel webhook does not accept us: it answered {status}."
            raise CredentialsRejected(
                msg, hint="Check CERTJOBS_NOTIFY_WEBHOOK_SECRET, and that the service has the same one."
            )
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            msg = f"{reason}, and redirects are not followed"
            raise DeliveryFailed(msg)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER:
            raise DeliveryRefused(reason)
        raise DeliveryFailed(reason)


class WebhookSender:
    """Posts one message after the other on connections it keeps.

    On the transport itself: of what a client adds, redirects, cookies and credentials, nothing is wanted, and it takes
    more time than the rest.
    """

    def __init__(self, notifier: WebhookNotifier, transport: httpx.HTTPTransport) -> None:
        self._notifier = notifier
        self._transport = transport
        self._patience = Patience(notifier.timeout)
        self._extensions = {"timeout": httpx.Timeout(notifier.timeout).as_dict(), "trace": self._patience}

    def send(self, message: Message) -> str:
        """Post one message and return its key; raises as ``ports.Sender.send`` says.

        A connection that ends before the answer is a failure for now: the same key again is safe.
        """
        body = self._notifier.body(message)
        key = self._notifier.key(message)
        headers = self._notifier.headers(key, body)
        request = httpx.Request("POST", self._notifier.url, content=body, headers=headers, extensions=self._extensions)
        try:
            with closing(self._transport.handle_request(request)) as response:
                status, retry_after = response.status_code, response.headers.get("Retry-After")
                with suppress(httpx.HTTPError):
                    _read_some(response)
        except NEVER_LEFT as exc:
            if not refused_by_proxy(exc):
                raise ChannelDown(why(exc, "the service")) from None
            status, retry_after = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value, None
        except BROKEN as exc:
            raise DeliveryFailed(why(exc, "the service")) from None
        self._notifier.judge(status, retry_after)
        return key


def _address(url: str) -> httpx.URL:
    """Return the address. Raises ConfigurationError, which does not repeat it, for none, and without TLS elsewhere."""
    with suppress(httpx.InvalidURL, ValueError):
        found = httpx.URL(url)
        if found.userinfo:
            msg = "CERTJOBS_NOTIFY_WEBHOOK_URL holds a user or a password, which would not be sent."
            raise ConfigurationError(msg, hint="The service knows us by CERTJOBS_NOTIFY_WEBHOOK_SECRET alone.")
        if found.host and found.scheme in (("http", "https") if found.host in LOOPBACK_HOSTS else ("https",)):
            return found
    msg = "CERTJOBS_NOTIFY_WEBHOOK_URL must be an https:// address (http:// only on this machine)."
    raise ConfigurationError(msg, hint="It must look like https://service.example.org/notices.")


def _decoded(secret: str) -> bytes:
    """Return the bytes of a secret. Raises ConfigurationError, which does not repeat it."""
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True) if secret.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not SHORTEST_SECRET <= len(found) <= LONGEST_SECRET:
        msg = "CERTJOBS_NOTIFY_WEBHOOK_SECRET is no secret of the Standard Webhooks scheme."
        hint = f"It is {PREFIX} and {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in base64."
        raise ConfigurationError(msg, hint=hint)
    return found


def _read_some(response: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can be kept; of another nothing is wanted.

    It may be long, or drip until patience ends: the status is known, and the connection is closed then.
    """
    left = SHORT_ANSWER
    for part in response.iter_raw():
        left -= len(part)
        if left < 0:
            return
