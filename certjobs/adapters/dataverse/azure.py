"""Tokens of Entra ID for a certificate or a workload identity, by Microsoft's library (extra ``azure``).

The library's own memory and retries are not used: each request for a token is made afresh, so that the file of the
certificate or of the federated token is read again each time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from certjobs.adapters.dataverse.auth import ENTRA, App, Grant, KeptTokens, judge
from certjobs.adapters.dataverse.wire import Later, named, origin_of, retried, service_at
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from certjobs.ports import Clock


class AzureTokens(KeptTokens):
    """Tokens for a certificate, or for a federated token that the platform mounts as a file and renews."""

    def __init__(
        self,
        *,
        authority: str,
        tenant: str,
        client_id: str,
        resource: str,
        timeout: float,
        clock: Clock,
        certificate_file: Path | None = None,
        certificate_password: Callable[[], str] | None = None,
        federated_token_file: Path | None = None,
        ca_file: str | None = None,
    ) -> None:
        """Take who asks, one of the two files, and the environment's address; ``timeout`` as in ``auth``.

        The certificate's file is PEM or PKCS#12 and holds its private key. Raises ConfigurationError as
        ``wire.service_at`` does, where the extra is not installed, where the authority has no TLS, on this machine too,
        and where not exactly one file is named.
        """
        super().__init__(clock)
        if (certificate_file is None) == (federated_token_file is None):
            msg = "The portal needs either a certificate file or a federated token file, and not both."
            raise ConfigurationError(msg, hint="Name exactly one of them.")
        self._entra = service_at(authority, ENTRA, timeout=timeout, ca_file=ca_file)
        if self._entra.tls is None:
            msg = f"The address of {ENTRA} must be https:// for a certificate or a federated token."
            raise ConfigurationError(msg, hint="Use a client secret for an authority without TLS on this machine.")
        self._app = App(
            named(tenant, "The tenant"),
            named(client_id, "The client id"),
            origin_of(resource, "the portal"),
            "certificate" if certificate_file is not None else "federated credential",
        )
        self._certificate_file = certificate_file
        self._certificate_password = certificate_password
        self._federated_token_file = federated_token_file
        self._ca_file = ca_file
        self._identity = _library()

    def _ask(self) -> Grant:
        return retried(self._once)

    def _once(self) -> Grant:
        """Ask once. What the library raises quotes the service and our files, so nothing of it is passed on."""
        from azure.core.exceptions import AzureError

        seen: list[tuple[int, bytes]] = []
        reached = True

        def see(response: Any) -> None:
            seen.append((response.http_response.status_code, response.http_response.body()))

        try:
            with self._credential(see) as credential:
                found = credential.get_token(self._app.scope)
                # The library counts from the machine's own clock, so what is left is told by that one.
                return Grant(found.token, found.expires_on - datetime.now(UTC).timestamp())
        except AzureError:
            reached = bool(seen)
        except (ValueError, TypeError) as exc:
            if not seen:
                raise self._unusable(exc) from None
        if reached:
            judge(self._app, *seen[-1])
        msg = f"{ENTRA} answered something else than a token" if reached else f"{ENTRA} cannot be reached"
        raise Later(msg)

    def _credential(self, see: Callable[[Any], None]) -> Any:
        """Return the library's credential, its file read now."""
        kwargs = {
            "authority": self._entra.origin,
            "connection_timeout": self._entra.timeout,
            "read_timeout": self._entra.timeout,
            "connection_verify": self._ca_file or True,
            "retry_total": 0,
            "raw_response_hook": see,
        }
        try:
            if self._federated_token_file is not None:
                token = self._federated_token_file.read_text(encoding="ascii").strip()
                return self._identity.ClientAssertionCredential(
                    self._app.tenant, self._app.client_id, lambda: token, **kwargs
                )
            password = self._certificate_password() if self._certificate_password is not None else None
            return self._identity.CertificateCredential(
                self._app.tenant,
                self._app.client_id,
                certificate_data=self._certificate_bytes(),
                password=password,
                disable_instance_discovery=True,  # the operator chose the authority
                **kwargs,
            )
        except (OSError, ValueError, TypeError) as exc:
            raise self._unusable(exc) from None

    def _certificate_bytes(self) -> bytes:
        return self._certificate_file.read_bytes() if self._certificate_file is not None else b""

    def _unusable(self, exc: Exception) -> ConfigurationError:
        what = "federated token" if self._federated_token_file is not None else "certificate"
        msg = f"The {what} file for the portal cannot be used ({type(exc).__name__})."
        return ConfigurationError(msg, hint="Check its path, its permissions, its format and its password.")


def _library() -> Any:
    """Return Microsoft's library, kept quiet: it logs what the service says, and at debug what it sends."""
    try:
        import azure.identity
    except ImportError:
        msg = "A certificate or a workload identity for the portal needs the extra azure, which is not installed."
        raise ConfigurationError(msg, hint="Install certjobs[azure], or use a client secret.") from None
    for noisy in ("azure", "msal", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    return azure.identity
