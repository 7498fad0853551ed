"""The jobs by name. Adding a job is one entry here and one function in ``jobs/``, loaded when it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from certjobs.domain.coverage import NIGHTLY
from certjobs.errors import CertjobsError, UsageError
from certjobs.jobs.options import (
    ExpiryCheckOptions,
    ForceSyncOptions,
    NightlyOptions,
    PruneOptions,
    ReconcileOptions,
    RemindOptions,
    SyncOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certjobs.domain.outcome import Outcome
    from certjobs.jobs.context import JobContext


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job: its name, the function, the dataclass of its options, and whether only one run may work at a time.

    ``aliases`` are the names that the specification and its schedulers use, and names it had before. ``tells``: whether
    it sends notices, and so needs the channel to be configured; ``syncs``: whether it talks to the portal; ``reads``:
    whether it reads the whole listing there. ``steps``: the jobs that it carries out, in this order, each as a run.
    """

    name: str
    summary: str
    function: Callable[[JobContext[Any]], Outcome]
    options: type[Any]
    exclusive: bool
    aliases: tuple[str, ...] = ()
    tells: bool = False
    syncs: bool = False
    reads: bool = False
    steps: tuple[str, ...] = ()

    def make_options(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
        """Return the job's options: what was given, else the default where the job knows it, else the job's own."""
        known = {each.name for each in fields(self.options)}
        chosen = {name: value for name, value in defaults.items() if name in known}
        return self.options(**chosen | {name: value for name, value in given.items() if value is not None})


def _expiry_check(ctx: JobContext[ExpiryCheckOptions]) -> Outcome:
    """See ``jobs.expiry_check``."""
    from certjobs.jobs.expiry_check import expiry_check

    return expiry_check(ctx)


def _remind(ctx: JobContext[RemindOptions]) -> Outcome:
    """See ``jobs.remind``."""
    from certjobs.jobs.remind import remind

    return remind(ctx)


def _sync(ctx: JobContext[SyncOptions]) -> Outcome:
    """See ``jobs.sync``."""
    from certjobs.jobs.sync import sync

    return sync(ctx)


def _force_sync(ctx: JobContext[ForceSyncOptions]) -> Outcome:
    """See ``jobs.force_sync``."""
    from certjobs.jobs.force_sync import force_sync

    return force_sync(ctx)


def _reconcile(ctx: JobContext[ReconcileOptions]) -> Outcome:
    """See ``jobs.reconcile``."""
    from certjobs.jobs.reconcile import reconcile

    return reconcile(ctx)


def _nightly(ctx: JobContext[NightlyOptions]) -> Outcome:
    """See ``jobs.nightly``."""
    from certjobs.jobs.nightly import nightly

    return nightly(ctx)


def _prune(ctx: JobContext[PruneOptions]) -> Outcome:
    """See ``jobs.prune``."""
    from certjobs.jobs.prune import prune

    return prune(ctx)


JOBS: tuple[JobSpec, ...] = (
    JobSpec(
        name="expiry-check",
        summary="Pause mentors whose certification has expired.",
        function=_expiry_check,
        options=ExpiryCheckOptions,
        exclusive=True,
        aliases=("certification_expiry_check",),
        tells=True,
    ),
    JobSpec(
        name="remind",
        summary="Warn coordinators of certifications about to expire, and send every notice owed.",
        function=_remind,
        options=RemindOptions,
        exclusive=True,
        tells=True,
    ),
    JobSpec(
        name="sync",
        summary="Carry status changes to the public website.",
        function=_sync,
        options=SyncOptions,
        exclusive=False,
        aliases=("hlf_dynamics_sync",),
        syncs=True,
    ),
    JobSpec(
        name="force-sync",
        summary="Send chosen mentors to the public website again, at once.",
        function=_force_sync,
        options=ForceSyncOptions,
        exclusive=False,
        syncs=True,
    ),
    JobSpec(
        name="reconcile",
        summary="Prove that website, ledger and database agree, and mend what differs.",
        function=_reconcile,
        options=ReconcileOptions,
        exclusive=True,
        syncs=True,
        reads=True,
    ),
    JobSpec(
        name="nightly",
        summary="The whole night: expiry-check, remind, sync and reconcile.",
        function=_nightly,
        options=NightlyOptions,
        exclusive=True,
        tells=True,
        syncs=True,
        reads=True,
        steps=NIGHTLY,
    ),
    JobSpec(
        name="prune",
        summary="Delete history older than the settings allow, failures later than successes.",
        function=_prune,
        options=PruneOptions,
        exclusive=True,
        aliases=("retention",),
    ),
)


@dataclass(frozen=True, slots=True)
class NoOptions:
    """A job that takes none."""


def failing(name: str, error: CertjobsError) -> JobSpec:
    """Return a job that only fails: a scheduler with a wrong name leaves a failed row instead of no trace."""

    def fail(_ctx: JobContext[Any]) -> Outcome:
        raise error

    return JobSpec(name[:60], "", fail, NoOptions, exclusive=False)


def find(name: str) -> JobSpec:
    """Return the job of a name or alias.

    Raises UsageError that lists the names there are.
    """
    for spec in JOBS:
        if name in (spec.name, *spec.aliases):
            return spec
    known = ", ".join(spec.name for spec in JOBS)
    msg = f"There is no job called {name[:60]!r}."
    raise UsageError(msg, hint=f"Jobs: {known}.")
