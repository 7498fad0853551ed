"""Taking a job's lock from an owner who is dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.cli.administration import administering
from certjobs.cli.options import ADMIN_EXITS, Debug, DryRun, Job, Json, Local, Reason

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add ``unlock``."""
    app.command("unlock", epilog=ADMIN_EXITS)(unlock)


def unlock(
    job: Job,
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Take a job's lock from an owner who is dead, and say what that owner had in hand.

    It is seldom needed: the next run takes a lock over by itself once its owner's database session is gone, or silent
    for two hours. Use it where no run is to come, or to see that the way is free.

    A live owner is never unlocked: then nothing is changed, and the exit code is 2. Else the lock is gone, and the
    owner's run is abandoned with who did this and why; should its process still be somewhere, it can neither write nor
    send. What it was sending, the next remind settles; what it had claimed of the queue, the next sync takes up.

    \b
    Examples:
      certjobs unlock expiry-check --reason "its node was taken away" --dry-run
      certjobs unlock expiry-check --reason "its node was taken away"
    """
    from certjobs import bootstrap, registry
    from certjobs.admin import locks
    from certjobs.cli import render_locks as render

    names = bootstrap.job_names(job)
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        found = locks.unlock(transaction, names, run=env.new_run("unlock"))
    if found is None:
        render.not_held(names[0], exclusive=registry.find(job).exclusive, dry_run=dry_run, as_json=json)
    else:
        render.unlocked(found, dry_run=dry_run, as_json=json)
