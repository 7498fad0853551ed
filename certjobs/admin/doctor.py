"""What may be wrong with an installation, and what mends it. Nothing is written, no lock is taken, nobody is told.

Each check is by itself: one that fails stops none but those that cannot be made without it, which are skipped.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from certjobs.admin.status import status
from certjobs.domain.coverage import NIGHTLY
from certjobs.domain.days import is_time_zone
from certjobs.domain.outcome import worst
from certjobs.domain.text import counted, lasted
from certjobs.errors import CertjobsError, ExitCode, StatementFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from certjobs.admin.status import JobStatus, Status
    from certjobs.db.diagnosis import Diagnosis, Hiding, Role, Session
    from certjobs.db.store import UnitOfWork
    from certjobs.origins import Origins
    from certjobs.ports import ListingPortal, PublicSite, Reachable

T = TypeVar("T")

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
SETTINGS, DATABASE, PORTAL, NOTIFIER, RUNS = "settings", "database", "portal", "notifier", "runs"
JOB_ROLE = "certjobs_job"
OLDEST_SERVER = 150000
AHEAD, FAR_AHEAD = 2.0, 60.0  # seconds between the clocks that are worth a word, and that spoil what is counted in days
LATE, TOO_LATE = timedelta(hours=26), timedelta(hours=50)  # since a job's last success: a night missed, and two
LATELY = timedelta(days=7)  # runs that were abandoned since then
WAITING = timedelta(hours=48)  # a refused set is refused again each night, while it is one
MOST = 0.9  # of the rows that are there about, by statistics that lag behind
LONGEST = 30.0  # seconds for a service outside to answer
NAMED = 5  # things that a sentence names; --json names all


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: ``status`` is ok, warning, failed or skipped; ``mend``: the command or step that mends it.

    ``name`` is the check's, ``section.what``. ``exit_code`` is other than OK where it failed.
    """

    name: str
    status: str
    found: str
    mend: str | None = None
    exit_code: ExitCode = ExitCode.OK
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def section(self) -> str:
        """Return what it is about."""
        return self.name.partition(".")[0]

    @property
    def what(self) -> str:
        """Return what was looked at, in words."""
        what = self.name.partition(".")[2]
        return what if self.section == SETTINGS else what.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Report:
    """Every finding, in the order of the checks."""

    findings: Sequence[Finding]

    @property
    def exit_code(self) -> ExitCode:
        """Return the worst of what failed; warnings are none."""
        return worst(each.exit_code for each in self.findings)

    @property
    def worst(self) -> Finding | None:
        """Return the first finding with that exit code, where something failed."""
        return next(
            (each for each in self.findings if each.status == FAILED and each.exit_code == self.exit_code), None
        )

    def number(self, status: str) -> int:
        """Return how many findings have a status."""
        return sum(each.status == status for each in self.findings)


@dataclass(frozen=True)
class Sources:
    """What is looked at. Each part is opened when it is first asked for, and raises where that is not possible.

    ``meaning``: what reads settings whose text has to mean something, by name. ``address``: the database's, as it may
    be shown; ``local``: whether that is the embedded one. ``schema``: its version, which is the one that is needed.
    ``password_alone``: there is a password for the mail server, and nobody to log in with it.
    """

    origins: Origins
    local: bool
    meaning: Mapping[str, Callable[[], object]]
    address: Callable[[], str]
    diagnosis: Callable[[], Diagnosis]
    lock_diagnosis: Callable[[], Diagnosis | None]
    schema: Callable[[], str]
    transaction: Callable[[], UnitOfWork]
    portal: Callable[[], ListingPortal | None]
    concurrency: int
    site: Callable[[], PublicSite | None]
    channel: str
    rehearsal: bool
    password_alone: bool
    notifier: Callable[[], Reachable | None]
    alerter: Callable[[], Reachable | None]


def doctor(sources: Sources, *, unexpected: Callable[[Exception], None] = lambda _exc: None) -> Report:
    """Make every check, and return what each found. ``unexpected`` hears of an error that is none of ours."""
    return Report(list(_Examination(sources, unexpected).findings()))


class _Examination:
    """One examination: what was found so far decides what can still be looked at."""

    def __init__(self, sources: Sources, unexpected: Callable[[Exception], None]) -> None:
        self._sources = sources
        self._unexpected = unexpected
        self._session: Session | None = None
        self._at_head = False
        self._stranger = False

    def findings(self) -> Iterator[Finding]:
        """Yield what each check finds."""
        yield from self._settings()
        yield from self._database()
        yield from self._portal()
        yield from self._notifier()
        yield from self._runs()

    def _check(self, name: str, look: Callable[[str], Finding], *spoilt_by: str) -> Finding:
        """Return what a check finds; a wrong setting that it needs, and whatever it raises, is a finding too."""
        wrong = self._sources.origins.spoilt(*spoilt_by) if spoilt_by else None
        if wrong is not None:
            return Finding(name, SKIPPED, f"needs {wrong}, which is wrong")
        try:
            return look(name)
        except CertjobsError as exc:
            return Finding(name, FAILED, exc.message, exc.hint, exc.exit_code)
        except StatementFailed as exc:
            code = ExitCode.UNAVAILABLE if exc.busy else ExitCode.FAILED
            return Finding(name, FAILED, f"The database refused a question: {exc.reason}.", "Run it again.", code)
        except Exception as exc:  # noqa: BLE001 - a check that breaks must not hide what the others find
            self._unexpected(exc)
            said = f"It could not be looked at ({type(exc).__name__})."
            return Finding(name, FAILED, said, "Run it again with --debug.", ExitCode.FAILED)

    # Settings.

    def _settings(self) -> Iterator[Finding]:
        origins = self._sources.origins
        for each in origins.settings:
            if each.origin != "default":
                yield Finding(f"{SETTINGS}.{each.variable}", OK, f"{each.shown}, from: {each.origin}")
        for wrong in origins.wrong:
            name = f"{SETTINGS}.{wrong.variable or 'unknown'}"
            said = f"{wrong.variable or 'A setting'} is wrong: {wrong.reason.rstrip('.')}."
            yield Finding(name, FAILED, said, wrong.hint, ExitCode.CONFIGURATION)
        for unknown in origins.unknown:
            mend = f"Did you mean {unknown.nearest}? Else remove it." if unknown.nearest else "Remove it."
            yield Finding(f"{SETTINGS}.{unknown.name}", WARNING, f"no such setting ({unknown.origin})", mend)
        for name, parse in self._sources.meaning.items():
            found = self._check(f"{SETTINGS}.{name}", partial(_means, parse))
            if found.status != OK:
                yield found
        kept = sum(each.origin == "default" for each in origins.settings)
        yield Finding(f"{SETTINGS}.defaults", OK, f"{counted(kept, 'setting')} not set: defaults count")

    # The database.

    def _database(self) -> Iterator[Finding]:
        # With --local the embedded database is looked at, and no address counts.
        needed = () if self._sources.local else ("database_url",)
        address = self._check("database.address", lambda name: Finding(name, OK, self._sources.address()), *needed)
        yield address
        if address.status == OK:
            yield self._check("database.reachable", self._reachable)
        else:
            yield Finding("database.reachable", SKIPPED, "needs the address")
        for name, look in (
            ("database.tls", self._tls),
            ("database.server", self._server),
            ("database.clock", self._clock),
            ("database.lock_session", self._lock_session),
            ("database.schema", self._schema),
        ):
            spoilt_by = ("lock_database_url",) if name == "database.lock_session" and needed else ()
            yield self._with_database(name, look, *spoilt_by)
        for name, look in (
            ("database.differences", self._differences),
            ("database.role", self._role),
            ("database.privileges", self._privileges),
            ("database.temporary", self._temporary),
            ("database.rows", self._rows),
            ("database.time_zones", self._time_zones),
        ):
            yield self._with_schema(name, look)

    def _with_database(self, name: str, look: Callable[[str], Finding], *spoilt_by: str) -> Finding:
        if self._session is None:
            return Finding(name, SKIPPED, "needs the database")
        return self._check(name, look, *spoilt_by)

    def _with_schema(self, name: str, look: Callable[[str], Finding]) -> Finding:
        if self._session is not None and not self._at_head:
            return Finding(name, SKIPPED, "needs the schema")
        if self._stranger:
            return Finding(name, SKIPPED, f"needs the role {JOB_ROLE}")
        return self._with_database(name, look)

    def _reachable(self, name: str) -> Finding:
        self._session = session = self._sources.diagnosis().session()
        took = session.round_trip * 1000
        return Finding(name, OK, f"yes; a question takes {took:.1f} ms", details={"round_trip_ms": round(took, 3)})

    @property
    def _there(self) -> Session:
        if self._session is None:  # nothing that needs one is looked at without one
            raise AssertionError
        return self._session

    def _tls(self, name: str) -> Finding:
        session = self._there
        if session.encrypted:
            return Finding(name, OK, "the connection is encrypted")
        if session.local:
            return Finding(name, OK, "not needed: the server is on this machine")
        mend = "Add sslmode=verify-full to CERTJOBS_DATABASE_URL."
        return Finding(name, FAILED, "The connection is not encrypted.", mend, ExitCode.CONFIGURATION)

    def _server(self, name: str) -> Finding:
        version, details = self._there.version, {"version": self._there.version}
        said = f"PostgreSQL {version // 10000}.{version % 10000}"
        if version >= OLDEST_SERVER:
            return Finding(name, OK, said, details=details)
        found = f"{said}; certjobs needs {OLDEST_SERVER // 10000} or later."
        return Finding(name, FAILED, found, "Upgrade the server.", ExitCode.CONFIGURATION, details)

    def _clock(self, name: str) -> Finding:
        ahead = self._there.ahead
        off, details = abs(ahead), {"database_ahead_seconds": round(ahead, 3)}
        if off <= AHEAD:
            return Finding(name, OK, f"the clocks agree within {max(off, 0.1):.1f} s", details=details)
        which = "ahead of" if ahead > 0 else "behind"
        found = f"The database's clock is {lasted(off)} {which} this machine's."
        mend = "Let both machines take their time from the same server: see `timedatectl` on each."
        if off > FAR_AHEAD:
            return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION, details)
        return Finding(name, WARNING, found, mend, details=details)

    def _lock_session(self, name: str) -> Finding:
        lock = self._sources.lock_diagnosis()
        if lock is None:
            if not self._there.pooled:
                return Finding(name, OK, "the same address, with no connection pooler between")
            found = "CERTJOBS_DATABASE_URL leads to a connection pooler, whose sessions outlive a run."
            mend = "Set CERTJOBS_LOCK_DATABASE_URL to the same database past the pooler."
            return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION)
        session = lock.session()
        if session.identity != self._there.identity:
            found = "CERTJOBS_LOCK_DATABASE_URL leads to another database: two runs could work at once."
            mend = "Let it name the same server and database as CERTJOBS_DATABASE_URL."
            return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION)
        if session.pooled:
            found = "CERTJOBS_LOCK_DATABASE_URL leads to a connection pooler, whose sessions outlive a run."
            mend = "Let it name the server itself."
            return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION)
        return Finding(name, OK, "an address of its own, which leads to the same database")

    def _schema(self, name: str) -> Finding:
        version = self._sources.schema()
        self._at_head = True
        return Finding(name, OK, f"at {version}, which this program needs", details={"version": version})

    def _differences(self, name: str) -> Finding:
        found = self._sources.diagnosis().differences()
        if not found:
            return Finding(name, OK, "none")
        said = f"{counted(len(found), 'difference')}: {_some(found, '; ')}."
        mend = "See `certjobs db check`; then put back what is missing, as the tables' owner."
        return Finding(name, FAILED, said, mend, ExitCode.CONFIGURATION, {"differences": list(found)})

    def _role(self, name: str) -> Finding:
        role = self._sources.diagnosis().role()
        details = {"superuser": role.superuser, "owner": role.owner, "certjobs_job": role.job}
        said = _is(role)
        if said is not None:
            return Finding(name, OK, said, details=details)
        if not self._sources.diagnosis().lacking():
            return Finding(name, OK, "not the role certjobs_job, and yet all that it holds", details=details)
        self._stranger = True
        found = "This login has not the role certjobs_job, nor does it own the tables."
        mend = "As the owner: GRANT certjobs_job TO the login of CERTJOBS_DATABASE_URL;"
        return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION, details)

    def _privileges(self, name: str) -> Finding:
        lacking = self._sources.diagnosis().lacking()
        if not lacking:
            return Finding(name, OK, "all that the jobs need")
        mend = "As the owner: " + _some([f"GRANT {each} TO {JOB_ROLE};" for each in lacking], " ")
        found = f"This login lacks {_some(lacking, ', ')}."
        return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION, {"lacking": list(lacking)})

    def _temporary(self, name: str) -> Finding:
        role = self._sources.diagnosis().role()
        if role.stages:
            return Finding(name, OK, "tables of the session's own may be made")
        found = "This login lacks TEMPORARY on this database, without which nothing is reconciled."
        mend = f"As the database's owner: GRANT TEMPORARY ON DATABASE {role.database} TO {JOB_ROLE};"
        return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION)

    def _rows(self, name: str) -> Finding:
        diagnosis = self._sources.diagnosis()
        hiding = [each for each in diagnosis.hiding() if not each.policy or each.visible < MOST * each.there]
        if not hiding:
            return Finding(name, OK, f"every row is visible; {counted(diagnosis.mentors(), 'mentor')}")
        found = f"Row security hides rows from this login: {_some([_hidden(each) for each in hiding], '; ')}."
        mend = (
            f"As the owner: CREATE POLICY certjobs_job ON {hiding[0].table} TO certjobs_job USING (true);"
            " or give the login BYPASSRLS."
        )
        details = {each.table: {"visible": each.visible, "there": each.there, "policy": each.policy} for each in hiding}
        return Finding(name, WARNING, found, mend, details=details)

    def _time_zones(self, name: str) -> Finding:
        with self._sources.transaction()(snapshot=True) as store:
            zones = {each.code: each.time_zone for each in store.organisations.all()}
        unknown = self._sources.diagnosis().unknown_zones(list(zones.values()))
        wrong = [code for code, zone in zones.items() if zone in unknown or not is_time_zone(zone)]
        if not wrong:
            return Finding(name, OK, f"known here and there: {', '.join(sorted(set(zones.values()))) or 'none is set'}")
        found = f"The time zone of {_some(wrong, ', ')} is not known to this machine and the database both."
        mend = f"certjobs orgs set {wrong[0]} --time-zone Europe/Oslo --reason TEXT"
        return Finding(name, FAILED, found, mend, ExitCode.CONFIGURATION, {"organisations": wrong})

    # The website.

    def _portal(self) -> Iterator[Finding]:
        yield self._check("portal.accepts_us", self._accepted, "portal", "dataverse_", "sync_")
        yield self._check("portal.public_site", self._site, "public_site_url", "sync_timeout_seconds")

    def _accepted(self, name: str) -> Finding:
        portal = self._sources.portal()
        if portal is None:
            waits = self._queued()
            found = f"No portal is set: changes stay in the queue{waits}."
            return Finding(name, WARNING, found, "Set CERTJOBS_PORTAL=dataverse and its settings.")
        advised = _within(portal.check)
        used = self._sources.concurrency
        details = {"recommended": advised, "concurrency": used}
        said = "yes; table, key and columns are there"
        if advised is None:
            return Finding(name, OK, f"{said}; it recommends no number of requests at once", details=details)
        said = f"{said}; {counted(advised, 'request')} at once recommended, {used} set"
        if used > advised:
            found = f"{said[0].upper()}{said[1:]}: no more than it recommends are sent."
            return Finding(name, WARNING, found, f"Set CERTJOBS_SYNC_CONCURRENCY={advised}.", details=details)
        return Finding(name, OK, said, details=details)

    def _queued(self) -> str:
        """Say how many operations wait, where that can be known."""
        if not self._at_head or self._stranger:
            return ""
        with self._sources.transaction()(snapshot=True) as store:
            return f", {store.operations.backlog().open} of them now"

    def _site(self, name: str) -> Finding:
        site = self._sources.site()
        if site is None:
            found = "CERTJOBS_PUBLIC_SITE_URL is not set"
            return Finding(name, SKIPPED, found, "Set it, and reconcile looks at what the public sees.")
        _within(site.read)
        return Finding(name, OK, "every page can be read")

    # Who is told.

    def _notifier(self) -> Iterator[Finding]:
        spoils = ("notify_", "smtp_", "mail_", "redirect_all_to")
        yield self._check("notifier.channel", self._channel, *spoils)
        if self._sources.rehearsal:
            found = "This is a rehearsal: every message goes to the one address in CERTJOBS_REDIRECT_ALL_TO."
            yield Finding("notifier.rehearsal", WARNING, found, "Unset it before coordinators are to be told.")
        yield self._check("notifier.alerts", self._alerts, "alert_webhook_url")

    def _channel(self, name: str) -> Finding:
        channel = self._sources.channel
        if channel == "none":
            mend = "Set CERTJOBS_NOTIFY_CHANNEL to email or webhook."
            return Finding(name, WARNING, "No channel is set: every notice stays owed.", mend)
        if channel == "console" and not self._sources.local:
            mend = "Set CERTJOBS_NOTIFY_CHANNEL to email or webhook."
            return Finding(name, WARNING, "The channel console prints notices, and nobody is told.", mend)
        notifier = self._sources.notifier()
        if notifier is not None:
            _within(notifier.reach)
        if channel == "email" and self._sources.password_alone:
            found = "CERTJOBS_SMTP_PASSWORD is set and CERTJOBS_SMTP_USERNAME is not: nobody logs in there."
            return Finding(name, WARNING, found, "Set CERTJOBS_SMTP_USERNAME, or take the password away.")
        return Finding(name, OK, {"email": "email: the mail server lets us in"}.get(channel, f"{channel}: can be used"))

    def _alerts(self, name: str) -> Finding:
        alerter = self._sources.alerter()
        if alerter is None:
            found = "No alert webhook is set, nor anything else: nobody hears of a night that fails."
            mends = "Set CERTJOBS_ALERT_WEBHOOK_URL or _APPRISE_URL, or watch `certjobs status --max-age 26h`."
            return Finding(name, WARNING, found, mends)
        _within(alerter.reach)
        return Finding(name, OK, "what is set can be reached or used; nothing was posted")

    # How the nights go.

    def _runs(self) -> Iterator[Finding]:
        found: list[Status] = []

        def standing() -> Status:
            if not found:
                found.append(status(self._sources.transaction(), max_age=LATE, counting=NIGHTLY))
            return found[0]

        yield self._with_schema("runs.locks", lambda name: _locks(name, standing()))
        for job in NIGHTLY:
            yield self._with_schema(f"runs.{job}", partial(_last_success, job, standing))
        yield self._with_schema("runs.abandoned", self._abandoned)
        yield self._with_schema("runs.dead_letters", lambda name: _dead_letters(name, standing()))
        yield self._with_schema("runs.approvals", self._approvals)

    def _abandoned(self, name: str) -> Finding:
        with self._sources.transaction()(snapshot=True) as store:
            runs = store.overview.history(store.overview.now() - LATELY)
        abandoned = [each.job for each in runs if each.status == "abandoned"]
        if not abandoned:
            return Finding(name, OK, "no run of the last week")
        found = f"{counted(len(abandoned), 'run')} of the last week died: {_some(sorted(set(abandoned)), ', ')}."
        mend = "certjobs runs --failed shows them; look for what ended their processes."
        return Finding(name, WARNING, found, mend, details={"runs": len(abandoned)})

    def _approvals(self, name: str) -> Finding:
        with self._sources.transaction()(snapshot=True) as store:
            waiting = store.guarded_sets.waiting(store.overview.now() - WAITING)
        if not waiting:
            return Finding(name, OK, "nothing waits for a person")
        sets = [
            f"{each.hash[:12]} ({each.job_name}, {counted(each.size, 'mentor')} of {each.organisation})"
            for each in waiting
        ]
        found = f"The guard refused {counted(len(waiting), 'set')} that nobody approved: {_some(sets, ', ')}."
        mend = f"certjobs approve {waiting[0].hash[:12]} --dry-run shows whom; with --reason TEXT it lets them through."
        return Finding(name, WARNING, found, mend, details={"hashes": [each.hash for each in waiting]})


def _means(parse: Callable[[], object], name: str) -> Finding:
    parse()
    return Finding(name, OK, "")


def _some(things: Sequence[str], between: str) -> str:
    more = len(things) - NAMED
    return between.join(things[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _is(role: Role) -> str | None:
    """Say what a login is; None where it is nothing that the jobs could use."""
    if role.superuser:
        return "a superuser; the role certjobs_job is enough for the jobs"
    if role.owner:
        return "the tables' owner; the role certjobs_job is enough for the jobs"
    return "has the role certjobs_job" if role.job else None


def _hidden(each: Hiding) -> str:
    why = "" if each.policy else ", and no policy lets it see any"
    return f"{each.visible} of about {each.there} rows of {each.table} are visible{why}"


def _within(work: Callable[[], T]) -> T:
    """Return what a question to a service outside returns. Raises Unavailable where that takes too long.

    The services' own time-outs add up to minutes, and looking up a name has none at all.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            done.append(work())
        except BaseException as exc:  # noqa: BLE001 - it is raised where it was asked
            failed.append(exc)

    thread = threading.Thread(target=ask, name="doctor", daemon=True)
    thread.start()
    thread.join(LONGEST)
    if failed:
        raise failed[0]
    if not done:
        msg = f"It did not answer within {LONGEST:.0f} s."
        raise Unavailable(msg, hint="Run it again; check the network if it lasts.")
    return done[0]


def _locks(name: str, found: Status) -> Finding:
    dead = [each.job for each in found.locks if each.dead]
    if dead:
        said = f"The owner of the lock of {_some(dead, ', ')} is gone; the next run takes it over."
        return Finding(name, WARNING, said, f"certjobs unlock {dead[0]} --reason TEXT, where no run is to come.")
    held = [each.job for each in found.locks]
    return Finding(name, OK, f"held by a run that is alive: {_some(held, ', ')}" if held else "nobody holds one")


def _last_success(job: str, standing: Callable[[], Status], name: str) -> Finding:
    found = standing()
    each = next(one for one in found.jobs if one.job == job)
    last = each.runs.succeeded_started_at
    mend = f"certjobs {job}, and see that the schedule starts `certjobs nightly` every night."
    if last is None:
        return Finding(name, WARNING, "It never succeeded.", mend)
    age = found.at - last
    ago = f"{lasted(age.total_seconds())} ago"
    if age <= LATE:
        return Finding(name, OK, f"succeeded {ago}")
    said = f"It succeeded last {ago}{_since(each)}."
    if age <= TOO_LATE:
        return Finding(name, WARNING, said, mend)
    return Finding(name, FAILED, said, mend, ExitCode.PARTIAL)


def _since(each: JobStatus) -> str:
    return f"; its last run: {each.runs.status}" if each.runs.status != "succeeded" else ""


def _dead_letters(name: str, found: Status) -> Finding:
    operations = found.queue.dead - found.queue.overtaken
    notices = found.undelivered
    letters = (
        ("dead operations", operations, "certjobs queue list --status dead"),
        ("dead notices", notices.dead, "certjobs notifications list --status dead"),
        ("notices that may have arrived", notices.unknown, "certjobs notifications list --status unknown"),
    )
    there = [(f"{what} {number}", command) for what, number, command in letters if number]
    if not there:
        return Finding(name, OK, "none")
    said = f"To be looked at: {', '.join(each for each, _ in there)}."
    details = {"operations_dead": operations, "notices_dead": notices.dead, "notices_unknown": notices.unknown}
    return Finding(name, WARNING, said, "; ".join(command for _, command in there), details=details)
