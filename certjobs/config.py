"""Settings: environment over secret files over defaults, checked once at the start of a command.

Every setting is read from ``CERTJOBS_<NAME>``, or from the file that ``CERTJOBS_<NAME>_FILE`` names (both at once is
an error), or from a file called after the setting in ``CERTJOBS_SECRETS_DIR``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PREFIX = "CERTJOBS_"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
PLACE_OF_JOB = "{job}"  # in the address of pings
_ADDRESS = r"[^@\s<>(),;:\"\[\]\\]+@[^@\s<>(),;:\"\[\]\\]+"
DATABASE_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


def _default_local_dir() -> Path:
    """Return where the embedded PostgreSQL keeps its data unless told otherwise (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()
    return Path(base) / "certjobs"


def _check_database_url(value: SecretStr) -> SecretStr:
    """Refuse what is not a PostgreSQL address, without ever repeating it: it holds a password."""
    try:
        scheme = urlsplit(value.get_secret_value().strip()).scheme
    except ValueError:
        scheme = ""
    if scheme not in DATABASE_SCHEMES:
        msg = "must look like postgresql://user:password@host:5432/database"
        raise ValueError(msg)
    return SecretStr(value.get_secret_value().strip())


def _check_webhook_url(value: SecretStr) -> SecretStr:
    """Insist on TLS unless the receiver is on this machine. Never repeat the address: its path is a password."""
    try:
        parts = urlsplit(value.get_secret_value().strip())
    except ValueError:  # its words quote the address
        parts = urlsplit("")
    loopback = parts.hostname in LOOPBACK_HOSTS
    if not parts.hostname or parts.scheme not in (("http", "https") if loopback else ("https",)):
        msg = "must be an https:// address (http:// only on this machine)"
        raise ValueError(msg)
    return SecretStr(value.get_secret_value().strip())


def _check_ping_url(value: SecretStr) -> SecretStr:
    """Insist on such an address with a place for the job's name: jobs that share a check hide each other's failures."""
    checked = _check_webhook_url(value)
    if PLACE_OF_JOB not in urlsplit(checked.get_secret_value()).path:
        msg = f"must have {PLACE_OF_JOB} in its path, where the job's name goes"
        raise ValueError(msg)
    return checked


def _check_mailbox(value: str) -> str:
    """Insist on one mailbox, ``address`` or ``Name <address>``, that cannot smuggle in another header."""
    from email.utils import formataddr, getaddresses, parseaddr

    name, address = parseaddr(value)
    if not value.isprintable() or not re.fullmatch(_ADDRESS, address) or len(getaddresses([value])) != 1:
        msg = "must be one address, as mentors@example.org or Mentors <mentors@example.org>"
        raise ValueError(msg)
    return formataddr((name, address)) if name else address


DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]
WebhookUrl = Annotated[SecretStr, AfterValidator(_check_webhook_url)]
PingUrl = Annotated[SecretStr, AfterValidator(_check_ping_url)]
Mailbox = Annotated[str, AfterValidator(_check_mailbox)]


class _FileVariables(PydanticBaseSettingsSource):
    """Read ``CERTJOBS_X_FILE`` for every setting X, the convention of container images for secrets."""

    def __init__(self, settings_cls: type[BaseSettings], given: Collection[str]) -> None:
        """Take the settings, and those that are given otherwise."""
        super().__init__(settings_cls)
        self._given = given

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's signature
        """Return the content of the file that the setting's _FILE variable names, if there is one."""
        variable = f"{PREFIX}{field_name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if not path or field_name in self._given:  # the file of what is given by hand may not be there
            return None, field_name, False
        if os.environ.get(variable):
            msg = f"{variable} and {variable}_FILE are both set."
            raise ConfigurationError(msg, hint="Unset one of the two.")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as exc:
            msg = f"The file that {variable}_FILE names cannot be read ({type(exc).__name__})."
            raise ConfigurationError(msg, hint="Check its path and permissions.") from exc

    def __call__(self) -> dict[str, Any]:
        """Return every setting that a _FILE variable gives."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Everything an operator can set. The README's table is tested against this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, frozen=True)

    database_url: DatabaseUrl | None = Field(
        default=None,
        description="PostgreSQL to work on, `postgresql://user:password@host:5432/database`. "
        "TLS is required unless the host is this machine.",
    )
    lock_database_url: DatabaseUrl | None = Field(
        default=None,
        description="The same database past any connection pooler, for the session that holds a job's lock. "
        "Needed only where `CERTJOBS_DATABASE_URL` leads to a pooler.",
    )
    secrets_dir: Path | None = Field(
        default=None, description="Directory of mounted secrets, a file per setting, named as the setting."
    )
    notify_channel: Literal["none", "console", "webhook", "email"] | None = Field(
        default=None,
        description="How coordinators are told: `webhook` posts each notice to an application, `email` sends each "
        "coordinator one message with all of theirs, `console` prints them with names and addresses, `none` leaves "
        "them owed. Unset means `none`, and `console` with `--local`.",
    )
    notify_webhook_url: WebhookUrl | None = Field(
        default=None, description="Where the channel `webhook` posts notices (https)."
    )
    notify_webhook_secret: SecretStr | None = Field(
        default=None, description="What those are signed with: `whsec_` and 24 to 64 bytes in base64."
    )
    smtp_host: str | None = Field(default=None, description="The mail server of the channel `email`.")
    smtp_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port. Unset means 587, 465 with `tls`, 25 with `none`."
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way to it is kept secret; `none` only on this machine."
    )
    smtp_username: str | None = Field(default=None, description="Who logs in there. Unset means nobody does.")
    smtp_password: SecretStr | None = Field(default=None, description="With which password.")
    mail_from: Mailbox | None = Field(
        default=None, description="Whom mail comes from, as `Mentors <mentors@example.org>`."
    )
    mail_reply_to: Mailbox | None = Field(default=None, description="Where answers go, if not there.")
    redirect_all_to: Mailbox | None = Field(
        default=None,
        description="A rehearsal: every message goes to this one address, and says whom it was for. Notices count as "
        "sent, so rehearse on a copy of the database.",
    )
    notify_concurrency: int = Field(
        default=4, ge=1, le=8, description="How many messages are on their way at once, by `webhook` and `email`."
    )
    notify_timeout_seconds: float = Field(
        default=15, gt=0, le=120, description="Longest to wait for a connection or an answer of those channels."
    )
    thresholds: str = Field(default="30,14,7", description="How many days ahead coordinators are warned.")
    per_organisation_thresholds: bool = Field(
        default=False, description="Whether an organisation's own thresholds count where it has some."
    )
    quiet_hours: str | None = Field(
        default=None,
        description="When nobody is told, as `22:00-07:00` where the organisation is: notices wait for a later run.",
    )
    send_days: str | None = Field(
        default=None, description="On which days somebody is told, as `mon-fri`. Unset means every day."
    )
    portal: Literal["none", "dataverse"] = Field(
        default="none",
        description="Where the public listing of mentors is: `dataverse` (Microsoft Dynamics 365), or `none`: changes "
        "stay in the queue.",
    )
    dataverse_url: str | None = Field(
        default=None, description="The environment, as `https://example.crm4.dynamics.com`."
    )
    dataverse_tenant: str | None = Field(default=None, description="The tenant of Entra ID that gives tokens for it.")
    dataverse_client_id: str | None = Field(default=None, description="The app registration that we are there.")
    dataverse_credential: Literal["secret", "certificate", "workload"] = Field(
        default="secret",
        description="What proves it: a client secret or, with the extra `azure`, a certificate or workload identity.",
    )
    dataverse_client_secret: SecretStr | None = Field(
        default=None, description="The client secret. Its file is read again each time a token is asked for."
    )
    dataverse_certificate_file: Path | None = Field(
        default=None, description="The certificate with its private key, PEM or PKCS#12."
    )
    dataverse_certificate_password: SecretStr | None = Field(default=None, description="The password of that file.")
    dataverse_federated_token_file: Path | None = Field(
        default=None, description="The token of a workload identity, as the platform mounts it."
    )
    dataverse_authority: str = Field(
        default="https://login.microsoftonline.com", description="Where Entra ID gives tokens."
    )
    dataverse_table: str = Field(default="contacts", description="The entity set that holds the mentors.")
    dataverse_key_column: str = Field(
        default="new_mentorid", description="Its alternate key, which holds the mentor's reference."
    )
    dataverse_listed_column: str = Field(
        default="new_listed", description="Its column that says whether the website shows the mentor."
    )
    dataverse_id_column: str = Field(default="contactid", description="Its own id.")
    dataverse_api_version: str = Field(default="9.2", description="The version of the Web API.")
    dataverse_relative_urls: bool = Field(
        default=False, description="Whether addresses inside a batch are relative, where a proxy needs that."
    )
    dataverse_ca_file: Path | None = Field(
        default=None,
        description="Certificates to trust besides the system's, for a private authority; where azure-identity asks for"
        " tokens, Entra ID's too.",
    )
    public_site_url: str | None = Field(
        default=None,
        description="The page of the website that the public sees, or several with blanks between: `reconcile` looks "
        "there for references of mentors who should be gone. Unset means it does not look.",
    )
    public_site_lag_minutes: int = Field(
        default=15, ge=0, le=10_080, description="How long that site may lag behind what the portal acknowledged."
    )
    sync_batch_size: int = Field(default=100, ge=1, le=1000, description="How many changes one request carries.")
    sync_concurrency: int = Field(
        default=4,
        ge=1,
        le=32,
        description="How many requests are under way at once; never more than the portal advises.",
    )
    sync_timeout_seconds: float = Field(
        default=30, gt=0, le=120, description="Longest to wait for a connection to the portal, and for an answer."
    )
    alert_webhook_url: WebhookUrl | None = Field(
        default=None, description="Where trouble, and that it is over, is posted as JSON (https)."
    )
    alert_apprise_url: SecretStr | None = Field(
        default=None,
        description="Where it is told as well: addresses as Apprise knows them, for mail, chats and pagers, with "
        "blanks between (extra `alerts`).",
    )
    ping_url: PingUrl | None = Field(
        default=None,
        description="Where each run says that it began and how it ended, for a monitor such as Healthchecks (https): "
        "`https://hc-ping.com/KEY/{job}`, where `{job}` stands for the job's name.",
    )
    metrics_dir: Path | None = Field(
        default=None,
        description="Directory of a node exporter's textfile collector: each run writes how it went there, a file per "
        "job (extra `metrics`).",
    )
    guard_count: int = Field(
        default=25,
        ge=0,
        description="A run that would pause, take off the website or list again more mentors of an organisation than "
        "this ...",
    )
    guard_share: float = Field(
        default=0.2, ge=0, le=1, description="... and more than this share of its active mentors is refused."
    )
    batch_size: int = Field(default=1000, ge=1, le=10_000, description="Mentors paused in one transaction.")
    retention_days: int | None = Field(
        default=None,
        ge=90,
        le=36_500,
        description="How long `prune` keeps audit, reminders, finished notices, attempts and operations, snoozes, "
        "runs, forecasts and refused sets; at least 90. Unset means for ever.",
    )
    retention_failures_days: int | None = Field(
        default=None,
        ge=90,
        le=36_500,
        description="How long it keeps what went wrong: runs, notices, attempts and operations that failed, findings, "
        "alerts; never shorter. Unset means three times as long.",
    )
    statement_timeout_seconds: float = Field(
        default=120, gt=0, le=3600, description="Longest a single SQL statement of a job may take."
    )
    lock_timeout_seconds: float = Field(
        default=10, gt=0, le=600, description="Longest a statement waits for a row another session holds."
    )
    heartbeat_seconds: float = Field(
        default=30, gt=0, le=600, description="How often a running job says that it is alive."
    )
    actor: str | None = Field(
        default=None,
        max_length=100,
        description="Who is working, for the audit. Unset means the operating system's user.",
    )
    trigger: Literal["schedule", "manual"] | None = Field(
        default=None,
        description="What started the run, for the run log. Unset means `manual` on a terminal, else `schedule`.",
    )
    local_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=_default_local_dir,
        description="Where `--local` keeps the embedded PostgreSQL. Unset means `~/.local/share/certjobs`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important log line that is written."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="`auto` writes JSON unless stderr is a terminal."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, files named in the environment, mounted secrets."""
        given = init_settings()
        sources: list[PydanticBaseSettingsSource] = [
            init_settings,
            env_settings,
            _FileVariables(settings_cls, given),
        ]
        secrets = given["secrets_dir"] if "secrets_dir" in given else os.environ.get(f"{PREFIX}SECRETS_DIR")
        if secrets:
            if not Path(secrets).is_dir():
                msg = f"{PREFIX}SECRETS_DIR does not name a directory."
                raise ConfigurationError(msg, hint="Check the mount, or unset the variable.")
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=secrets, env_prefix=""))
        return tuple(sources)


def load(given: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; what is ``given`` counts before what is stored.

    Raises ConfigurationError that names every wrong setting and never its value.
    """
    try:
        return Settings(**given or {})
    except ValidationError as exc:
        wrong = "; ".join(
            f"{PREFIX}{'_'.join(str(part) for part in error['loc'][:1]).upper()}: {error['msg']}"
            for error in exc.errors(include_input=False, include_url=False)
        )
        msg = f"The configuration is wrong: {wrong}."
        raise ConfigurationError(msg, hint="Correct the settings named above; the README lists them all.") from None
