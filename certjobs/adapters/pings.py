"""Signs of life to a monitor that misses them, as Healthchecks and its likes understand them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from certjobs import __version__
from certjobs.adapters.within import within
from certjobs.config import PLACE_OF_JOB
from certjobs.errors import Unavailable

if TYPE_CHECKING:
    from certjobs.ports import Ping

SECONDS = 10.0  # for a ping in all: looking up the name, connecting, and waiting for the answer


class MonitorPinger:
    """Post pings to the address of each job's check. The address is a secret: it stands in no error."""

    def __init__(self, url: str) -> None:
        """Take the address of all jobs, in whose path ``{job}`` stands for the job's name."""
        self._url = urlsplit(url)

    def ping(self, ping: Ping) -> None:
        """Post one ping. Raises Unavailable when it is not taken within ten seconds."""
        address = self._address(ping)
        try:
            answer = within(SECONDS, lambda: _post(address, ping.summary))
        except TimeoutError:
            msg = "The monitor did not answer a ping in time."
            raise Unavailable(msg) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
            msg = f"The monitor cannot be pinged ({type(exc).__name__})."
            raise Unavailable(msg) from None
        if not HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
            msg = f"The monitor answered a ping with {answer}."
            raise Unavailable(msg)

    def _address(self, ping: Ping) -> str:
        path = self._url.path.replace(PLACE_OF_JOB, quote(ping.job, safe="")).rstrip("/")
        moment = "start" if ping.exit_code is None else str(ping.exit_code)
        query = "&".join(part for part in (self._url.query, f"rid={ping.run_id}") if part)
        return urlunsplit(self._url._replace(path=f"{path}/{moment}", query=query, fragment=""))


def _post(address: str, summary: str) -> int:
    headers = {"User-Agent": f"certjobs/{__version__}", "Content-Type": "text/plain; charset=utf-8"}
    with httpx.stream("POST", address, content=summary.encode(), headers=headers, timeout=SECONDS) as response:
        return response.status_code  # the body is nobody's concern, and could drip for ever
