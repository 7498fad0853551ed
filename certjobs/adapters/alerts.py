"""Alerts to operations people: a JSON document posted to a webhook."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from certjobs import __version__
from certjobs.adapters.http import proxy_for, reach
from certjobs.errors import Unavailable

if TYPE_CHECKING:
    from certjobs.ports import Alert

SECONDS = 10.0
TIMEOUT = httpx.Timeout(SECONDS)


class WebhookAlerter:
    """Post alerts to one address.

    ``text`` is what chat webhooks show; the other fields are for programs. The address is a secret: it stands in no
    error.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def reach(self) -> None:
        """Connect to the webhook and post nothing, as ``ports.Reachable`` says."""
        url = httpx.URL(self._url)
        reach(url, "the alert webhook", timeout=SECONDS, proxy=proxy_for(url, "the alert webhook"))

    def alert(self, alert: Alert) -> None:
        """Post one alert. Raises Unavailable when it is not taken within ten seconds."""
        text = f"certjobs {alert.job} {alert.status} (exit {alert.exit_code}): {alert.message}"
        body = {
            "text": f"{text} {alert.hint}" if alert.hint else text,
            "kind": alert.kind,
            "job": alert.job,
            "run_id": str(alert.run_id),
            "status": alert.status,
            "exit_code": alert.exit_code,
            "message": alert.message,
            "hint": alert.hint,
            "counts": dict(alert.counts),
        }
        headers = {"User-Agent": f"certjobs/{__version__}"}
        try:
            with httpx.stream("POST", self._url, json=body, headers=headers, timeout=TIMEOUT) as response:
                answer = response.status_code  # the body is nobody's concern, and could drip for ever
        except httpx.HTTPError as exc:
            msg = f"The alert webhook cannot be reached ({type(exc).__name__})."
            raise Unavailable(msg) from None
        if not HTTPStatus.OK <= answer < HTTPStatus.MULTIPLE_CHOICES:
            msg = f"The alert webhook answered {answer}."
            raise Unavailable(msg)
