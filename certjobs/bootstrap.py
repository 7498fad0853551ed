"""The composition root: the one place that puts settings, database, adapters and jobs together."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import uuid
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from certjobs import __version__, config, harness, logs, registry, services
from certjobs.adapters.clock import SystemClock
from certjobs.adapters.dry_run import ReadSite, RecordingNotifier, RecordingPortal
from certjobs.db import engine as db_engine
from certjobs.db import schema
from certjobs.db.locks import RunSession
from certjobs.db.runs import NewRun
from certjobs.db.store import Attribution, Database, DryDatabase, Fence, dry_database
from certjobs.domain.days import Calendar
from certjobs.domain.guard import Guard
from certjobs.domain.quiet import Quiet, parse_days, parse_hours
from certjobs.domain.thresholds import parse_thresholds
from certjobs.errors import CertjobsError, ConfigurationError, UsageError
from certjobs.ports import Reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date
    from threading import Event

    import sqlalchemy as sa

    from certjobs.admin.doctor import Sources
    from certjobs.db.diagnosis import Diagnosis
    from certjobs.db.listening import Listener
    from certjobs.db.operations import Ready
    from certjobs.domain.credentials import Credentials
    from certjobs.domain.outcome import Outcome, Report
    from certjobs.origins import Origins
    from certjobs.ports import Alerter, ListingPortal, Meter, Notifier, Pinger, Progress, PublicSite

T = TypeVar("T")
SIGN_OF_LIFE = 5.0  # seconds
MISSING_DATABASE = "No database is configured."
EXAMINED_WITHIN = {  # seconds that an examination waits at most, whatever the settings say
    "statement_timeout_seconds": 20.0,
    "lock_timeout_seconds": 2.0,
    "notify_timeout_seconds": 10.0,
    "sync_timeout_seconds": 5.0,  # four attempts and their rests end before it is given up
}


@dataclass(frozen=True, slots=True)
class Request:
    """How a command was asked for, apart from the job's own options.

    ``reads_only``: nothing can come of it, so its day may lie in the future. ``credentials``: for the portal, given by
    hand, instead of the stored ones.
    """

    local: bool = False
    dry_run: bool = False
    as_of: date | None = None
    json: bool = False
    debug: bool = False
    reason: str | None = None
    reads_only: bool = False
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Credentials that the portal accepts: of which application and tenant, for which portal."""

    url: str
    client_id: str
    tenant: str


class Environment:
    """The settings and the database of one command, opened when first needed and closed with it.

    Raises ConfigurationError on wrong settings; ``url`` raises it where no database is configured, and ``engine``
    where the address is not acceptable.
    """

    def __init__(
        self,
        request: Request,
        progress: Progress,
        *,
        waiting: Callable[[], None] | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> None:
        """Take how the command was asked for, and where a person sees how far it has come.

        ``waiting`` is called now and then while a run rests. With it the environment is kept for many runs, and so is
        its portal. ``given``: settings that count before the stored ones.
        """
        self.request = request
        self._waiting = waiting
        self._given = _settings_of(request.credentials) | dict(given or {})
        self.settings = config.load(self._given)
        self.progress = progress
        harmless = request.dry_run or request.local or request.reads_only
        self.calendar = Calendar(SystemClock().now(), request.as_of, future=harmless)
        self.guard = Guard(self.settings.guard_count, self.settings.guard_share)
        self._closing = ExitStack()
        self._url: str | None = None
        self._engine: sa.Engine | None = None
        self._own_engine: sa.Engine | None = None
        self._portal: ListingPortal | None = None
        as_json = {"auto": None, "json": True, "text": False}[self.settings.log_format]
        logs.configure(level=self.settings.log_level, json=as_json)

    def close(self) -> None:
        """Close what was opened."""
        self._closing.close()

    @property
    def actor(self) -> str:
        """Who is working: for the audit and the run log."""
        if self.settings.actor:
            return self.settings.actor
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a container's numeric user has no name
            return f"uid {os.getuid()}"

    @property
    def url(self) -> str:
        """The address of the database: the embedded one with --local, else what is configured."""
        if self._url is None:
            if self.request.local:
                from certjobs.local import postgres

                self._url = self._closing.enter_context(postgres.database(self.settings.local_dir))
            elif self.settings.database_url is None:
                raise ConfigurationError(
                    MISSING_DATABASE,
                    hint="Set CERTJOBS_DATABASE_URL, or add --local to work on an embedded PostgreSQL.",
                )
            else:
                self._url = self.settings.database_url.get_secret_value()
        return self._url

    @property
    def engine(self) -> sa.Engine:
        """The engine for units of work."""
        if self._engine is None:
            self._engine = self._make_engine(self.url, "certjobs")
        return self._engine

    def _make_engine(self, url: str, application_name: str) -> sa.Engine:
        made = db_engine.create_engine(
            db_engine.database_url(url),
            application_name=application_name,
            statement_timeout=self.settings.statement_timeout_seconds,
            lock_timeout=self.settings.lock_timeout_seconds,
            sessions=1 + max(self.settings.notify_concurrency, self.settings.sync_concurrency),
        )
        self._closing.callback(made.dispose)
        return made

    # What the harness asks for.

    def check_schema(self) -> None:
        """Raise unless the database is reachable and its schema at head."""
        with self._advising(), db_engine.translated_errors(), self.engine.connect() as connection:
            schema.require_head(connection)

    @contextmanager
    def _advising(self) -> Iterator[None]:
        """Let the command that brings the schema up to date be the one for the database that is worked on."""
        try:
            yield
        except ConfigurationError as exc:
            if self.request.local and exc.hint:
                exc.hint = exc.hint.replace("certjobs db upgrade", "certjobs db upgrade --local")
            raise

    def open_session(self, run: NewRun) -> RunSession:
        """Open the session that stands for the run, past a pooler where one is configured."""
        return RunSession(self._sessions, run, heartbeat_seconds=self.settings.heartbeat_seconds, log=logs.get())

    @property
    def _sessions(self) -> sa.Engine:
        """The engine for sessions that stand for something by themselves."""
        if self._own_engine is None:
            direct = None if self.request.local else self.settings.lock_database_url
            self._own_engine = self._make_engine(direct.get_secret_value() if direct else self.url, "certjobs lock")
        return self._own_engine

    def live(self, run: NewRun, fence: Fence | None) -> Database:
        """Return the database for a run's units of work."""
        return Database(self.engine, self._attribution(run), fence)

    @contextmanager
    def dry(self, run: NewRun) -> Iterator[DryDatabase]:
        """Open a dry-run's outer transaction."""
        with dry_database(self.engine, self._attribution(run)) as database:
            yield database

    def dry_part(self, database: DryDatabase, run: NewRun) -> DryDatabase:
        """Return the same dry-run's transaction for another run's units of work."""
        return database.part(self._attribution(run))

    def _attribution(self, run: NewRun) -> Attribution:
        return Attribution(run.actor, run.reason, run.run_id, run.as_of)

    @property
    def channel(self) -> str:
        """The channel that carries notices: what is set, else the console with --local, else none."""
        return self.settings.notify_channel or ("console" if self.request.local else "none")

    @property
    def notifier(self) -> Notifier | None:
        """The notifier of the channel, or None. With --json it keeps off stdout, which then is for a program."""
        return services.notifier(self.settings, self.channel, sys.stderr if self.request.json else sys.stdout)

    def dry_notifier(self) -> Notifier | None:
        """Return a notifier that takes every message and sends none, where there is a channel."""
        channel = self.notifier
        return RecordingNotifier(channel) if channel is not None else None

    @property
    def portal(self) -> ListingPortal | None:
        """The public listing, or None where none is set."""
        if self._portal is None:
            self._portal = services.portal(self.settings, lambda: config.load(self._given), self.sleep)
            if self._portal is not None and self._waiting is not None:
                from certjobs.adapters.kept import KeptPortal

                self._portal = KeptPortal(self._portal)
        return self._portal

    def dry_portal(self, *, reads: bool) -> ListingPortal | None:
        """Return a portal that was asked whether it accepts us and takes changes without making them."""
        portal = self.portal
        return RecordingPortal(portal, reads=reads) if portal is not None else None

    @property
    def site(self) -> PublicSite | None:
        """What the public sees, or None where no address is set."""
        return services.site(self.settings)

    def dry_site(self) -> PublicSite | None:
        """Return what the public sees, read already; that it could not be read is said where it is asked for."""
        site = self.site
        return ReadSite(site) if site is not None else None

    def sleep(self, seconds: float, until: Event, /) -> None:
        """Wait so long, or until the event is set."""
        while self._waiting is not None and seconds > SIGN_OF_LIFE and not until.is_set():
            SystemClock().sleep(SIGN_OF_LIFE, until)
            seconds -= SIGN_OF_LIFE
            self._waiting()
        SystemClock().sleep(seconds, until)

    @property
    def quiet(self) -> Quiet:
        """When nobody is told. Raises ConfigurationError where the settings are no hours or no days."""
        hours, days = self.settings.quiet_hours, self.settings.send_days
        return Quiet(
            _parsed("QUIET_HOURS", parse_hours, hours) if hours else None,
            _parsed("SEND_DAYS", parse_days, days) if days else None,
        )

    @property
    def alerter(self) -> Alerter | None:
        """The alerter, where a webhook or a service is set."""
        return services.alerter(self.settings)

    @property
    def pinger(self) -> Pinger | None:
        """The pinger, where an address is set.

        None for a watcher, whose heartbeat file says that it lives, and none with --local, which is no night: a ping
        would hide that the night did not come.
        """
        return None if self.request.local or self._waiting is not None else services.pinger(self.settings)

    @property
    def meter(self) -> Meter | None:
        """Who keeps how runs went, where a directory is set; none with --local, whose runs are no nights.

        Raises ConfigurationError where the extra is not installed.
        """
        return None if self.request.local else services.meter(self.settings)

    @property
    def job_defaults(self) -> Mapping[str, Any]:
        """The settings that jobs know as options. Raises ConfigurationError where one of them means nothing."""
        return {
            "batch_size": self.settings.batch_size,
            "retention_days": self.settings.retention_days,
            "retention_failures_days": self.settings.retention_failures_days,
            "thresholds": _parsed("THRESHOLDS", parse_thresholds, self.settings.thresholds),
            "per_organisation_thresholds": self.settings.per_organisation_thresholds,
            "public_lag": timedelta(minutes=self.settings.public_site_lag_minutes),
        }

    def job(self, name: str) -> tuple[registry.JobSpec, Callable[[], Any]]:
        """Return a job and what makes its options from the settings alone."""
        spec = registry.find(name)
        return spec, lambda: spec.make_options({}, self.job_defaults)

    def run(
        self,
        name: str,
        given: Mapping[str, Any],
        *,
        trigger: str | None = None,
        tells: Callable[[Outcome], bool] = lambda _outcome: True,
    ) -> Report:
        """Carry out one run of a job, as ``run_job`` says.

        ``trigger``: what began it, unless the settings say; ``tells``: whether people are to hear of an outcome.
        """
        try:
            spec = registry.find(name)
        except UsageError as exc:
            self.fail(name, exc)
            raise
        return self._execute(spec, lambda: spec.make_options(given, self.job_defaults), trigger, tells)

    def fail(self, name: str, error: CertjobsError) -> Report:
        """Leave the row of a run that failed before it began, and tell people."""
        spec = registry.failing(name, error)
        return self._execute(spec, spec.options, None, lambda _outcome: True)

    def _execute(
        self,
        spec: registry.JobSpec,
        make_options: Callable[[], Any],
        trigger: str | None,
        tells: Callable[[Outcome], bool],
    ) -> Report:
        request, row = self.request, self.new_run(spec.name, trigger)
        return harness.execute(spec, make_options, row, self, dry_run=request.dry_run, debug=request.debug, tells=tells)

    def new_run(self, name: str, trigger: str | None = None) -> NewRun:
        """Return what is known of a run before it does anything."""
        by_hand = "manual" if sys.stdin and sys.stdin.isatty() else "schedule"
        return NewRun(
            run_id=uuid.uuid4(),
            job_name=name,
            trigger=self.settings.trigger or trigger or by_hand,
            as_of=self.request.as_of,
            host=socket.gethostname(),
            version=__version__,
            actor=self.actor,
            reason=self.request.reason,
        )

    # What a watcher asks for.

    def is_current(self) -> bool:
        """Tell whether the settings, and the secrets among them, are still what they were."""
        return config.load(self._given) == self.settings

    def listener(self) -> Listener:
        """Open a session that hears of new operations. Raises Unavailable."""
        from certjobs.db.listening import Listener

        self.check_schema()
        return Listener(self._sessions)

    def ready(self) -> Ready:
        """Tell whether a run of sync would find something to do."""
        with Database(self.engine, Attribution(self.actor)).transaction() as store:
            return store.operations.ready("sync")

    # What administration asks for.

    @contextmanager
    def administration(self) -> Iterator[Database | DryDatabase]:
        """Open the database for an administrator's command: attributed, not fenced; rolled back with --dry-run."""
        self.check_schema()
        attribution = Attribution(self.actor, self.request.reason, None, self.request.as_of)
        if self.request.dry_run:
            with dry_database(self.engine, attribution) as database:
                yield database
        else:
            yield Database(self.engine, attribution)

    def upgrade_schema(self) -> tuple[Sequence[schema.Step], str | None]:
        """Bring the schema to head, and return the migrations that ran and the version now."""
        return schema.upgrade(self.engine), self.schema_version()[0]

    def schema_version(self) -> tuple[str | None, str]:
        """Return the version that the schema has, and the one that this program needs."""
        with db_engine.translated_errors(), self.engine.connect() as connection:
            return schema.current(connection), schema.SCHEMA_HEAD

    def schema_differences(self) -> Sequence[str]:
        """List where the schema is not as this program needs it."""
        return schema.differences(self.engine)

    # What an examination asks for.

    def diagnosis(self) -> Diagnosis:
        """Return the questions to the database."""
        from certjobs.db.diagnosis import Diagnosis

        return Diagnosis(self.engine, SystemClock())

    def lock_diagnosis(self) -> Diagnosis | None:
        """Return the same past any pooler, where an address of its own leads there."""
        from certjobs.db.diagnosis import Diagnosis

        if self.request.local or self.settings.lock_database_url is None:
            return None
        return Diagnosis(self._sessions, SystemClock())

    def _schema(self) -> str:
        with self._advising():
            return self.diagnosis().require_head()

    def sources(self, origins: Origins) -> Sources:
        """Return what is examined, nothing of it opened yet."""
        from certjobs.admin.doctor import Sources
        from certjobs.origins import database_shown

        return Sources(
            origins=origins,
            local=self.request.local,
            meaning={"thresholds": lambda: self.job_defaults, "quiet_hours": lambda: self.quiet},
            address=lambda: database_shown(self.url),
            diagnosis=self.diagnosis,
            lock_diagnosis=self.lock_diagnosis,
            schema=self._schema,
            transaction=lambda: Database(self.engine, Attribution(self.actor)).transaction,
            portal=lambda: self.portal,
            concurrency=self.settings.sync_concurrency,
            site=lambda: self.site,
            channel=self.channel,
            rehearsal=self.settings.redirect_all_to is not None,
            password_alone=self.settings.smtp_password is not None and self.settings.smtp_username is None,
            notifier=lambda: _reachable(self.notifier),
            alerter=lambda: _reachable(self.alerter),
        )


def _reachable(service: object) -> Reachable | None:
    """Return a service that can be connected to, or None for one that needs no connection."""
    return service if isinstance(service, Reachable) else None


def _parsed(name: str, parse: Callable[[str], T], text: str) -> T:
    """Return a setting as what it means. Raises ConfigurationError where it means nothing."""
    try:
        return parse(text)
    except ValueError as exc:
        msg = f"The configuration is wrong: {config.PREFIX}{name}: {exc}."
        raise ConfigurationError(msg, hint="Correct the setting named above; the README lists them all.") from None


def _settings_of(credentials: Credentials | None) -> dict[str, Any]:
    """Return the settings that credentials given by hand stand for."""
    if credentials is None:
        return {}
    given = {
        f"dataverse_{each.name}": getattr(credentials, each.name)
        for each in fields(credentials)
        if getattr(credentials, each.name) is not None
    }
    return given | {"portal": "dataverse", "dataverse_credential": "secret"}


def job_names(given: str) -> Sequence[str]:
    """Return the names under which rows of a job may stand, its own first, for one of its names or aliases.

    A name that no job has stands for itself: a job that is gone has left rows.
    """
    try:
        spec = registry.find(given)
    except UsageError:
        return (given,)
    return (spec.name, *spec.aliases)


@contextmanager
def environment(request: Request, progress: Progress) -> Iterator[Environment]:
    """Open a command's environment and close it with the command."""
    opened = Environment(request, progress)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def mended(request: Request, progress: Progress) -> Iterator[Environment]:
    """Open the environment of the settings that are right, to tell of those that are wrong.

    Raises ConfigurationError where the settings cannot be read at all.
    """
    from certjobs.origins import origins

    opened = Environment(request, progress, given=origins().mended)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def examined(request: Request, progress: Progress) -> Iterator[Sources]:
    """Open what an examination looks at: the settings that are right, and bounds that let no check take long.

    Raises ConfigurationError where the settings cannot be read at all.
    """
    from certjobs.origins import origins

    found = origins()
    stored = config.load(found.mended)
    bounds = {name: min(getattr(stored, name), most) for name, most in EXAMINED_WITHIN.items()}
    opened = Environment(request, progress, given={**found.mended, **bounds})
    try:
        yield opened.sources(found)
    finally:
        opened.close()


def accepted_credentials(request: Request, progress: Progress) -> Accepted:
    """Ask the portal whether it accepts the credentials, given by hand or stored, and say whose they are.

    Raises CredentialsRejected, Unavailable and ConfigurationError where it does not.
    """
    with environment(request, progress) as env:
        portal = env.portal
        if portal is None:
            msg = "No portal is set."
            raise ConfigurationError(msg, hint="Set CERTJOBS_PORTAL=dataverse and its settings.")
        portal.check()
        settings = env.settings
        return Accepted(str(settings.dataverse_url), str(settings.dataverse_client_id), str(settings.dataverse_tenant))


def run_job(name: str, given: Mapping[str, Any], request: Request, progress: Progress) -> Report:
    """Carry out one run of a job; options that are None are left to the settings and the job's defaults.

    Raises ConfigurationError when the settings are wrong and UsageError when there is no such job; of the first, too, a
    failed row is left in the run log and people are told, where the other settings say how.
    """
    try:
        opened = Environment(request, progress)
    except ConfigurationError as exc:
        if not request.dry_run:
            fail_job(name, exc, request, progress)
        raise
    with closing(opened) as env:
        return env.run(name, given)


def fail_job(name: str, error: CertjobsError, request: Request, progress: Progress) -> None:
    """Leave the row of a run that failed before it began, and tell people; what fails here is no news."""
    with suppress(CertjobsError), mended(request, progress) as env:
        env.fail(name, error)
