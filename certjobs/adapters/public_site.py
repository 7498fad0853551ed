"""The pages that the public sees: read whole, and asked whether they show a mentor's reference."""

from __future__ import annotations

import html
import re
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from certjobs import __version__
from certjobs.adapters.http import BROKEN, Patience, proxy_for, why
from certjobs.config import LOOPBACK_HOSTS, PREFIX
from certjobs.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

THE_SITE = "the public site"
LONGEST = 32 * 1024 * 1024  # bytes of one page
HEADERS = {"Accept": "text/html, application/json;q=0.9", "User-Agent": f"certjobs/{__version__}"}
_WORD = re.compile(r"\w(?:[\w.-]*\w)?")  # as a whole, so that A-1 is not found in A-12
_NOT_SEEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


class PublicSite:
    """One or several pages, each read once. Raises ConfigurationError for an address without TLS off this machine."""

    def __init__(self, addresses: str, *, timeout: float) -> None:
        """Take the addresses, with blanks or commas between them, and the longest wait for a page in seconds."""
        self._addresses = [_address(each) for each in re.split(r"[\s,]+", addresses.strip()) if each]
        self._timeout = timeout
        self._words: frozenset[str] = frozenset()
        self._text = ""

    def read(self) -> None:
        """Read every page. Raises Unavailable where one cannot be read: then none of it is used."""
        seen = "\n".join([html.unescape(_NOT_SEEN.sub(" ", self._page(each))) for each in self._addresses])
        self._text = " ".join(seen.split())
        self._words = frozenset(_WORD.findall(self._text))

    def shown(self, refs: Sequence[str]) -> list[str]:
        """Return which of these references the pages show as words of their own, as they were read."""
        return [ref for ref in refs if (ref in self._words if _WORD.fullmatch(ref) else ref in self._text)]

    def _page(self, address: httpx.URL) -> str:
        patience = Patience(self._timeout)
        transport = httpx.HTTPTransport(proxy=proxy_for(address, THE_SITE))
        request = httpx.Request(
            "GET",
            address,
            headers=HEADERS,
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict(), "trace": patience},
        )
        try:
            # No redirect is followed.
            with transport, closing(transport.handle_request(request)) as response:
                body = bytearray()
                if response.status_code == HTTPStatus.OK:
                    response.request = request
                    for part in response.iter_bytes():
                        body += part
                        if len(body) > LONGEST:
                            break
        except BROKEN as exc:
            raise _unread(why(exc, THE_SITE)) from None
        if response.status_code != HTTPStatus.OK:
            wrong = f"{THE_SITE} answered {response.status_code}"
            raise _unread(wrong)
        if len(body) > LONGEST:
            wrong = f"a page of {THE_SITE} is longer than any is"
            raise _unread(wrong)
        return body.decode(response.charset_encoding or "utf-8", "replace")


def _unread(reason: str) -> Unavailable:
    msg = f"Nobody can tell what the public sees: {reason}."
    return Unavailable(msg, hint=f"Check {PREFIX}PUBLIC_SITE_URL; the comparison with the portal does not need it.")


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    secure = url.scheme == "https" or (url.scheme == "http" and url.host in LOOPBACK_HOSTS)
    if not url.host or url.userinfo or not secure:
        msg = "The public site's address must be an https:// address without a password (http:// only on this machine)."
        raise ConfigurationError(msg, hint=f"Correct {PREFIX}PUBLIC_SITE_URL.")
    return url
