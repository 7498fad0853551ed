"""What the settings say of the outside, made: the portal, the channel, the public site, and who is told of runs.

Each function returns None where the settings name nothing of its kind, and raises ConfigurationError where they name
it and leave out what it needs. Nothing is connected to before it is used, and an adapter is loaded where one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from certjobs import config, logs
from certjobs.adapters.clock import SystemClock
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from certjobs.adapters.dataverse.auth import TokenProvider
    from certjobs.ports import Alerter, ListingPortal, Meter, Notifier, Pinger, PublicSite, Sleep

T = TypeVar("T")
TOKEN_TIMEOUT = 15.0  # seconds to wait for a connection to Entra ID, and for an answer


# The public listing.


def portal(settings: config.Settings, again: Callable[[], config.Settings], sleep: Sleep) -> ListingPortal | None:
    """Return the portal; ``again`` reads the settings as they are by then, ``sleep`` is how it rests."""
    if settings.portal == "none":
        return None
    from certjobs.adapters.dataverse.client import DataversePortal

    clock = SystemClock()
    return DataversePortal(
        _wanted("DATAVERSE_URL", settings.dataverse_url),
        table=settings.dataverse_table,
        key_column=settings.dataverse_key_column,
        listed_column=settings.dataverse_listed_column,
        id_column=settings.dataverse_id_column,
        tokens=_tokens(settings, clock, again),
        clock=clock,
        sleep=sleep,
        api_version=settings.dataverse_api_version,
        batch=settings.sync_batch_size,
        concurrency=settings.sync_concurrency,
        timeout=settings.sync_timeout_seconds,
        relative_urls=settings.dataverse_relative_urls,
        ca_file=str(settings.dataverse_ca_file) if settings.dataverse_ca_file else None,
    )


def _tokens(settings: config.Settings, clock: SystemClock, again: Callable[[], config.Settings]) -> TokenProvider:
    url = _wanted("DATAVERSE_URL", settings.dataverse_url)
    tenant = _wanted("DATAVERSE_TENANT", settings.dataverse_tenant)
    client_id = _wanted("DATAVERSE_CLIENT_ID", settings.dataverse_client_id)
    ca_file = str(settings.dataverse_ca_file) if settings.dataverse_ca_file else None
    timeout = min(settings.sync_timeout_seconds, TOKEN_TIMEOUT)
    if settings.dataverse_credential == "secret":
        from certjobs.adapters.dataverse.auth import ClientSecretTokens

        def secret() -> str:
            """Return the secret as it is now: rotated while this runs, it counts from the next token on."""
            return _wanted("DATAVERSE_CLIENT_SECRET", again().dataverse_client_secret).get_secret_value()

        secret()
        return ClientSecretTokens(
            authority=settings.dataverse_authority,
            tenant=tenant,
            client_id=client_id,
            secret=secret,
            resource=url,
            timeout=timeout,
            clock=clock,
            sleep=clock.sleep,
            ca_file=ca_file,
        )
    from certjobs.adapters.dataverse.azure import AzureTokens

    certificate = settings.dataverse_credential == "certificate"
    password = settings.dataverse_certificate_password
    return AzureTokens(
        authority=settings.dataverse_authority,
        tenant=tenant,
        client_id=client_id,
        resource=url,
        timeout=timeout,
        clock=clock,
        certificate_file=_wanted("DATAVERSE_CERTIFICATE_FILE", settings.dataverse_certificate_file)
        if certificate
        else None,
        certificate_password=password.get_secret_value if certificate and password else None,
        federated_token_file=None
        if certificate
        else _wanted("DATAVERSE_FEDERATED_TOKEN_FILE", settings.dataverse_federated_token_file),
        ca_file=ca_file,
    )


def _wanted(name: str, value: T | None) -> T:
    """Return a setting of the portal."""
    return _needed(name, value, "portal dataverse", "set CERTJOBS_PORTAL=none to leave changes in the queue")


def site(settings: config.Settings) -> PublicSite | None:
    """Return what the public sees of the listing."""
    if settings.public_site_url is None:
        return None
    from certjobs.adapters.public_site import PublicSite

    return PublicSite(settings.public_site_url, timeout=settings.sync_timeout_seconds)


# The channel that carries notices.


def notifier(settings: config.Settings, channel: str, stream: TextIO) -> Notifier | None:
    """Return the notifier of a channel; ``stream`` is where the console's notices go."""
    if channel == "none":
        return None
    redirect_to = None
    if settings.redirect_all_to:
        from email.utils import parseaddr

        redirect_to = parseaddr(settings.redirect_all_to)[1]
        logs.get().warning("channel.redirected")
    if channel == "webhook":
        return _webhook(settings, redirect_to)
    if channel == "email":
        return _email(settings, redirect_to)
    from certjobs.adapters.notify.console import ConsoleNotifier

    return ConsoleNotifier(stream, redirect_to)


def _webhook(settings: config.Settings, redirect_to: str | None) -> Notifier:
    from certjobs.adapters.notify.webhook import WebhookNotifier

    secret = settings.notify_webhook_secret
    return WebhookNotifier(
        _told("NOTIFY_WEBHOOK_URL", settings.notify_webhook_url, "webhook").get_secret_value(),
        secret.get_secret_value() if secret else None,
        timeout=settings.notify_timeout_seconds,
        concurrency=settings.notify_concurrency,
        redirect_to=redirect_to,
        clock=SystemClock(),
    )


def _email(settings: config.Settings, redirect_to: str | None) -> Notifier:
    from certjobs.adapters.notify.email import EmailNotifier, MailServer

    password = settings.smtp_password
    server = MailServer(
        host=_told("SMTP_HOST", settings.smtp_host, "email"),
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_username,
        password=password.get_secret_value() if password else None,
        timeout=settings.notify_timeout_seconds,
    )
    return EmailNotifier(
        server,
        mail_from=_told("MAIL_FROM", settings.mail_from, "email"),
        reply_to=settings.mail_reply_to,
        concurrency=settings.notify_concurrency,
        redirect_to=redirect_to,
        clock=SystemClock(),
    )


def _told(name: str, value: T | None, channel: str) -> T:
    """Return a setting of a channel."""
    return _needed(name, value, f"channel {channel}", "choose another channel with CERTJOBS_NOTIFY_CHANNEL")


# Who is told of runs.


def alerter(settings: config.Settings) -> Alerter | None:
    """Return who tells operations people, in every way that is set."""
    webhook, addresses = settings.alert_webhook_url, settings.alert_apprise_url
    if webhook is None and addresses is None:
        return None
    from certjobs.adapters.alerts import EveryAlerter, WebhookAlerter

    ways: list[Alerter] = [WebhookAlerter(webhook.get_secret_value())] if webhook is not None else []
    if addresses is not None:
        from certjobs.adapters.apprise_alerts import AppriseAlerter

        ways.append(AppriseAlerter(addresses.get_secret_value()))
    return EveryAlerter(ways)


def pinger(settings: config.Settings) -> Pinger | None:
    """Return who tells a monitor that runs begin and end."""
    if settings.ping_url is None:
        return None
    from certjobs.adapters.pings import MonitorPinger

    return MonitorPinger(settings.ping_url.get_secret_value())


def meter(settings: config.Settings) -> Meter | None:
    """Return who keeps how runs went. Raises ConfigurationError where the extra is not installed."""
    if settings.metrics_dir is None:
        return None
    from certjobs.adapters.metrics import TextfileMeter

    return TextfileMeter(settings.metrics_dir, SystemClock())


def _needed(name: str, value: T | None, who: str, otherwise: str) -> T:
    if value is None:
        msg = f"The {who} needs {config.PREFIX}{name}."
        raise ConfigurationError(msg, hint=f"Set it, or {otherwise}.")
    return value
