"""Alerts to operations people by the services that Apprise knows: mail, chats, pagers (extra ``alerts``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from certjobs.adapters.within import within
from certjobs.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    import apprise

    from certjobs.ports import Alert

SECONDS = 20.0  # for an alert in all; the services are asked side by side


class AppriseAlerter:
    """Send alerts to one or several addresses of Apprise. They hold passwords: none stands in an error or a log."""

    def __init__(self, addresses: str) -> None:
        """Take the addresses, with blanks or line ends between them."""
        self._addresses = addresses.split()

    def check(self) -> None:
        """Raise ConfigurationError where the extra is not installed, or Apprise does not know one of the addresses."""
        self._services()

    def _services(self) -> apprise.Apprise:
        try:
            import apprise
        except ImportError:
            msg = "CERTJOBS_ALERT_APPRISE_URL needs the extra alerts, which is not installed."
            raise ConfigurationError(msg, hint="Install certjobs[alerts], or unset it.") from None
        logging.getLogger("apprise").disabled = True  # what it logs quotes addresses and answers
        services = apprise.Apprise()
        if not all(services.add(address) for address in self._addresses):
            msg = "CERTJOBS_ALERT_APPRISE_URL holds an address that Apprise does not know."
            raise ConfigurationError(msg, hint="See its documentation for what an address of that service looks like.")
        return services

    def alert(self, alert: Alert) -> None:
        """Send one alert. Raises Unavailable when not every service took it in time, and as ``check`` does."""
        services = self._services()
        from apprise import NotifyType

        kinds = {"recovery": NotifyType.SUCCESS, "guard": NotifyType.WARNING, "finding": NotifyType.WARNING}
        title = f"certjobs {alert.job} {alert.status} (exit {alert.exit_code})"
        body = f"{alert.message} {alert.hint}" if alert.hint else alert.message
        kind = kinds.get(alert.kind, NotifyType.FAILURE)
        try:
            taken = bool(within(SECONDS, lambda: services.notify(body=body, title=title, notify_type=kind)))
        except TimeoutError:
            taken = False
        if not taken:
            msg = "Not every service of Apprise took the alert."
            raise Unavailable(msg)
