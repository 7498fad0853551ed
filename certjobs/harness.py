"""A run, from its first row to its exit code (DESIGN section 6). It reads as the list of its steps.

    start:  bind the run id to the logs, check the schema, commit the ``running`` row
    lock:   take it if the job is exclusive, or finish as skipped
    look:   mark earlier runs that are proven dead as abandoned, and ping that this one began
    work:   call the job
    record: write the outcome in a fresh transaction
    end:    give the lock back, tell people, keep how it went, ping how it ended, return the report

A dry-run is the middle of it: the same job on one transaction that is rolled back, with no row, no lock, no message, no
ping.
"""

from __future__ import annotations

import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from certjobs import logs
from certjobs.domain.outcome import Outcome, Report, worst
from certjobs.errors import (
    CertjobsError,
    ConfigurationError,
    DryRunExpired,
    ExitCode,
    LockHeld,
    StatementFailed,
    Terminated,
    Unavailable,
)
from certjobs.jobs.context import JobContext
from certjobs.signals import Signals
from certjobs.telling import Means, People, Programs, check_means, deaths, failures

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from certjobs.db.locks import RunSession
    from certjobs.db.runs import NewRun
    from certjobs.db.store import Database, DryDatabase, Fence
    from certjobs.domain.days import Calendar
    from certjobs.domain.guard import Guard
    from certjobs.domain.quiet import Quiet
    from certjobs.ports import ListingPortal, Log, Notifier, Progress, PublicSite
    from certjobs.registry import JobSpec


class Resources(Means, Protocol):
    """What a run is carried out with; the composition root provides it."""

    @property
    def calendar(self) -> Calendar:
        """What today means in this run."""

    @property
    def progress(self) -> Progress:
        """Where a person sees how far the run has come."""

    @property
    def guard(self) -> Guard:
        """How much a run may change by itself."""

    @property
    def notifier(self) -> Notifier | None:
        """What carries notices, or None where no channel is set."""

    def check_schema(self) -> None:
        """Raise unless the database is reachable and its schema at head."""

    def open_session(self, run: NewRun) -> RunSession:
        """Open the session that stands for the run."""

    def live(self, run: NewRun, fence: Fence | None) -> Database:
        """Return the database for a run's units of work."""

    def dry(self, run: NewRun) -> AbstractContextManager[DryDatabase]:
        """Open a dry-run's outer transaction."""

    def dry_part(self, database: DryDatabase, run: NewRun) -> DryDatabase:
        """Return the same dry-run's transaction for another run's units of work."""

    def dry_notifier(self) -> Notifier | None:
        """Return a notifier that records instead of sending."""

    @property
    def portal(self) -> ListingPortal | None:
        """The public listing, or None where none is set."""

    def dry_portal(self, *, reads: bool) -> ListingPortal | None:
        """Return a portal that was asked what it recommends, and for all it lists where that ``reads``; it records."""

    @property
    def site(self) -> PublicSite | None:
        """What the public sees, or None where no address is set."""

    def dry_site(self) -> PublicSite | None:
        """Return what the public sees, read already."""

    @property
    def quiet(self) -> Quiet:
        """When nobody is told."""

    def sleep(self, seconds: float, until: threading.Event, /) -> None:
        """Wait so long, or until the event is set."""

    def job(self, name: str) -> tuple[JobSpec, Callable[[], Any]]:
        """Return a job and what makes its options from the settings alone."""


@dataclass(frozen=True, slots=True)
class _Outside:
    """What of a run reaches outside: None where its job does not, or where nothing is set.

    ``read_at``: when it began to be read, where that was before the run, by the database's clock.
    """

    read_at: datetime | None
    notifier: Notifier | None
    portal: ListingPortal | None
    site: PublicSite | None


@dataclass(slots=True)
class _Run:
    """One run under way: what the steps share."""

    spec: JobSpec
    make_options: Callable[[], Any]
    row: NewRun
    resources: Resources
    signals: Signals
    log: Log
    debug: bool = False
    session: RunSession | None = None
    counts: dict[str, int] = field(default_factory=dict)
    told: set[tuple[ExitCode, str | None]] = field(default_factory=set)
    programs: Programs = field(init=False)

    def __post_init__(self) -> None:
        """Let it be told of in its job's name."""
        self.programs = Programs(self.spec.name, self.row.run_id, self.resources, self.log)

    def live(self) -> Outcome:
        """Start, lock, look, work."""
        self.resources.check_schema()
        self.session = self.resources.open_session(self.row)
        self.session.start()
        self._check_one_database()
        check_means(self.resources)
        fence = self.session.acquire() if self.spec.exclusive else None
        abandoned = self.session.abandon_dead_runs()
        if abandoned:
            self.counts["abandoned_found"] = abandoned
        self.session.beat()
        self.programs.begins()
        outside = _Outside(
            None,
            self.resources.notifier if self.spec.tells else None,
            self.resources.portal if self.spec.syncs else None,
            self.resources.site if self.spec.reads else None,
        )
        return self._work(self.resources.live(self.row, fence), outside, self._step)

    def _check_one_database(self) -> None:
        """Raise where the run's own session and its units of work do not see the same database."""
        with self.resources.live(self.row, None).transaction() as store:
            if not store.runs.exists(self.row.run_id):
                msg = "CERTJOBS_LOCK_DATABASE_URL and CERTJOBS_DATABASE_URL lead to different databases."
                raise ConfigurationError(msg, hint="Both must name the same one; only the way there may differ.")

    def dry(self) -> Outcome:
        """Work, on one transaction that is rolled back; what is outside has been read by then."""
        self.resources.check_schema()
        outside = _Outside(
            self._now() if self.spec.reads else None,
            self.resources.dry_notifier() if self.spec.tells else None,
            self.resources.dry_portal(reads=self.spec.reads) if self.spec.syncs else None,
            self.resources.dry_site() if self.spec.reads else None,
        )
        with self.resources.dry(self.row) as database:
            return self._work(database, outside, lambda name: self._dry_step(name, database, outside), dry_run=True)

    def _now(self) -> datetime:
        with self.resources.live(self.row, None).transaction() as store:
            return store.operations.now()

    def _work(
        self,
        database: Database | DryDatabase,
        outside: _Outside,
        step: Callable[[str], Report],
        *,
        dry_run: bool = False,
    ) -> Outcome:
        return self.spec.function(
            JobContext(
                run_id=self.row.run_id,
                job_name=self.spec.name,
                options=self.make_options(),
                calendar=self.resources.calendar,
                transaction=database.transaction,
                shield=self.signals.shield,
                notifier=outside.notifier,
                portal=outside.portal,
                site=outside.site,
                read_at=outside.read_at,
                progress=self.resources.progress,
                log=self.log,
                sleep=self.resources.sleep,
                quiet=self.resources.quiet,
                guard=self.resources.guard,
                dry_run=dry_run,
                counts=self.counts,
                steps={name: partial(step, name) for name in self.spec.steps},
            )
        )

    # The runs that a run carries out.

    def _step(self, name: str) -> Report:
        """Carry out another job as a run of its own, with its own row, lock and outcome."""
        spec, make_options = self.resources.job(name)
        row = replace(self.row, run_id=uuid4(), job_name=name, parent_run_id=self.row.run_id)
        report = execute(spec, make_options, row, self.resources, debug=self.debug, tells=self._is_news)
        logs.bind(run_id=str(self.row.run_id), job=self.spec.name)
        self.told.add((report.outcome.exit_code, report.outcome.message))
        return report

    def _is_news(self, outcome: Outcome) -> bool:
        """Tell whether people were not told just this by an earlier step: two jobs meet the same closed door."""
        return (outcome.exit_code, outcome.message) not in self.told

    def _dry_step(self, name: str, database: DryDatabase, outside: _Outside) -> Report:
        """Carry out another job within this dry-run: what it does is there for the steps after it to see."""
        began = time.monotonic()
        spec, make_options = self.resources.job(name)
        row = replace(self.row, run_id=uuid4(), job_name=name, parent_run_id=self.row.run_id)
        child = _Run(spec, make_options, row, self.resources, self.signals, self.log, self.debug)
        seen = _Outside(
            outside.read_at if spec.reads else None,
            outside.notifier if spec.tells else None,
            outside.portal if spec.syncs else None,
            outside.site if spec.reads else None,
        )
        theirs = self.resources.dry_part(database, row)
        outcome = _as_dry(
            _outcome_of(
                lambda: child._work(theirs, seen, _no_steps, dry_run=True), child.counts, self.log, debug=self.debug
            )
        )
        return Report(
            row.run_id, name, dry_run=True, as_of=row.as_of, seconds=time.monotonic() - began, outcome=outcome
        )

    def record(self, outcome: Outcome) -> Outcome:
        """Write the outcome in a fresh transaction, give the lock back; what fails here is an outcome too."""
        if self.session is None:
            return outcome

        def write() -> Outcome:
            with self.resources.live(self.row, None).transaction() as store:
                if not store.runs.finish(self.row.run_id, outcome):
                    msg = "Another run has declared this one abandoned and taken over its lock."
                    raise LockHeld(msg, hint="What it had committed stays. See `certjobs runs`.")
            return outcome

        recorded = _outcome_of(write, self.counts, self.log)
        self.session.close()
        if recorded is outcome:
            return outcome
        if worst([outcome.exit_code, recorded.exit_code]) is outcome.exit_code:
            return outcome
        return replace(recorded, counts=outcome.counts, details=outcome.details)

    def tell(self, outcome: Outcome, tells: Callable[[Outcome], bool]) -> None:
        """Tell people what there is to tell; ``tells``: whether they are to hear of how the run failed.

        They are not told once more of what they have heard of with the step that failed in this way.
        """

        def is_news(failed: Outcome) -> bool:
            return tells(failed) and failed.exit_code not in {code for code, _ in self.told}

        memory = self.resources.live(self.row, None).transaction if self.session is not None else None
        found_dead = self.counts.get("abandoned_found", 0)
        trouble = chain(failures(self.spec.name, outcome, is_news), deaths(found_dead), outcome.watches)
        people = People(self.spec.name, self.row.run_id, self.resources.alerter, self.log)
        people.tell(outcome, trouble, memory)


def _no_steps(name: str) -> Report:
    msg = f"The job {name} is a step, and has none of its own."
    raise CertjobsError(msg)


def execute(
    spec: JobSpec,
    make_options: Callable[[], Any],
    row: NewRun,
    resources: Resources,
    *,
    dry_run: bool = False,
    debug: bool = False,
    tells: Callable[[Outcome], bool] = lambda _outcome: True,
) -> Report:
    """Carry out one run of a job and report it. Never raises: whatever happens becomes an outcome.

    ``make_options`` is called within the run, so that what the settings mean nothing by leaves a row too. ``tells``:
    whether people are to hear of an outcome that alerts, where run follows on run.
    """
    began = time.monotonic()
    logs.bind(run_id=str(row.run_id), job=spec.name)
    log = logs.get()
    signals = Signals()
    run = _Run(spec, make_options, row, resources, signals, log, debug)
    with signals.installed():
        log.info("run.started", dry_run=dry_run, as_of=row.as_of.isoformat() if row.as_of else None)
        outcome = _outcome_of(run.dry if dry_run else run.live, run.counts, log, signals=signals, debug=debug)
        outcome = run.record(outcome)
        if dry_run:
            outcome = _as_dry(outcome)
        else:
            run.tell(outcome, tells)
            run.programs.ends(outcome, time.monotonic() - began)
    report = Report(row.run_id, spec.name, dry_run, row.as_of, time.monotonic() - began, outcome)
    say = log.info if outcome.exit_code in (ExitCode.OK, ExitCode.LOCKED) else log.warning
    say(
        "run.finished",
        status=outcome.exit_code.status,
        exit_code=int(outcome.exit_code),
        message=outcome.message,
        counts=dict(outcome.counts),
        seconds=round(report.seconds, 3),
    )
    return report


def _as_dry(outcome: Outcome) -> Outcome:
    """Return a dry-run's outcome with what to do about it where that differs: what it stored was rolled back."""
    if outcome.exit_code is ExitCode.GUARD:
        return replace(outcome, hint="The real run stores this set and stops as well; approve it then.")
    if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        return replace(outcome, message="The dry-run was cut short; all of it was rolled back.")
    return outcome


def _outcome_of(
    work: Callable[[], Outcome],
    counts: dict[str, int],
    log: Log,
    *,
    signals: Signals | None = None,
    debug: bool = False,
) -> Outcome:
    """Do a piece of work and turn whatever it raises into an outcome, with the counts it reached."""
    try:
        with signals.raised() if signals else nullcontext():
            return work()
    except DryRunExpired as exc:
        reached = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in counts.items())
        return Outcome(exc.exit_code, counts, f"{exc.message} Reached until then: {reached or 'nothing'}.", exc.hint)
    except CertjobsError as exc:
        return Outcome(exc.exit_code, counts, exc.message, exc.hint)
    except Terminated:
        return Outcome(ExitCode.TERMINATED, counts, "The run was terminated; what it had committed stays.")
    except KeyboardInterrupt:
        return Outcome(ExitCode.INTERRUPTED, counts, "The run was interrupted; what it had committed stays.")
    except Exception as exc:  # noqa: BLE001 - the one place where the unknown becomes exit 1
        if debug:
            traceback.print_exception(exc)
        known = explained(exc)
        log.warning("run.broke", error=known.message)
        return Outcome(known.exit_code, counts, known.message, known.hint)


def explained(exc: Exception) -> CertjobsError:
    """Return an unexpected exception as one of ours: what it is and where in certjobs it arose, without its text.

    Exception texts quote rows: names, addresses, whole addresses of services.
    """
    if isinstance(exc, CertjobsError):
        return exc
    if isinstance(exc, StatementFailed) and exc.busy:
        msg = f"Another session is changing the same rows, or a statement took too long: {exc.reason}."
        return Unavailable(msg, hint="Nothing of that step was written. Run the command again.")
    what = exc.reason if isinstance(exc, StatementFailed) else type(exc).__name__
    package = Path(__file__).parent
    frames = [
        frame for frame in traceback.extract_tb(exc.__traceback__) if Path(frame.filename).is_relative_to(package)
    ]
    where = f" at {Path(frames[-1].filename).relative_to(package.parent)}:{frames[-1].lineno}" if frames else ""
    return CertjobsError(
        f"It stopped on an unexpected error: {what}{where}. What was committed before stays.",
        hint="Run it again; if that fails too, add --debug to see the traceback.",
    )
