"""Alerts to operations people: a JSON document posted to a webhook."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from certjobs import __version__
from certjobs.adapters.http import proxy_for, reach
from certjobs.errors import Unavailable
from certjobs.ports import Reachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certjobs.ports import Alert, Alerter

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

    def check(self) -> None:
        """Do nothing: that the address is one was checked with the settings."""

    def alert(self, alert: Alert) -> None:
        """Post one alert. Raises Unavailable when it is not taken within ten seconds."""
        text = f"certjobs {alert.job} {alert.status} (exit {alert.exit_code}): {alert.message}"
        body = {
            "text": f"{text} {alert.hint}" if alert.hint else text,
            "kind": alert.kind,
            "job": alert.job,
            "run_id": str(alert.run_id) if alert.run_id is not None else None,
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


class EveryAlerter:
    """Tell people in several ways. One that fails stops no other; the alert counts as not sent then."""

    def __init__(self, ways: Sequence[Alerter]) -> None:
        self._ways = ways

    def check(self) -> None:
        """Raise ConfigurationError where one of the ways cannot be used as it is set."""
        for way in self._ways:
            way.check()

    def reach(self) -> None:
        """Connect to each way that can be connected to without telling anybody, as ``ports.Reachable`` says."""
        for way in self._ways:
            way.check()
            if isinstance(way, Reachable):
                way.reach()

    def alert(self, alert: Alert) -> None:
        """Send one alert each way. Raises what the first way raised that failed."""
        failed: list[Exception] = []
        for way in self._ways:
            try:
                way.alert(alert)
            except Exception as exc:  # noqa: BLE001 - it is raised when the others were tried
                failed.append(exc)
        if failed:
            raise failed[0]
