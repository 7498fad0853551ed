"""Pausing and reinstating mentors by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.options import (
    ADMIN_EXITS,
    AsOf,
    Debug,
    DryRun,
    Json,
    Local,
    MentorRef,
    Reason,
    as_date,
    clean_reason,
)

app = typer.Typer(help="Pause and reinstate mentors by hand.", no_args_is_help=True)


@app.command("pause", epilog=ADMIN_EXITS)
def pause(
    mentor: MentorRef,
    reason: Reason,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Pause an active mentor for a reason of your own. The nightly job then leaves the mentor alone.

    \b
    Example:
      certjobs mentors pause HLF-0042 --reason "on leave until spring"
    """
    from certjobs import bootstrap
    from certjobs.admin import mentors
    from certjobs.cli import render

    request = bootstrap.Request(
        local=local, dry_run=dry_run, as_of=as_date(as_of), json=json, reason=clean_reason(reason)
    )
    with bootstrap.environment(request, render.progress()) as env, env.administration() as database:
        changed = mentors.pause(database.transaction, mentor, request.reason or "", calendar=env.calendar)
    render.mentor_changed(changed, dry_run=dry_run, as_json=json)


@app.command("reinstate", epilog=ADMIN_EXITS)
def reinstate(
    mentor: MentorRef,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Also without a valid certification; the next night pauses again.")
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Make a paused mentor active again. A renewal alone never does that.

    \b
    Example:
      certjobs mentors reinstate HLF-0042 --reason "renewed, course passed"
    """
    from certjobs import bootstrap
    from certjobs.admin import mentors
    from certjobs.cli import render

    request = bootstrap.Request(
        local=local, dry_run=dry_run, as_of=as_date(as_of), json=json, reason=clean_reason(reason)
    )
    with bootstrap.environment(request, render.progress()) as env, env.administration() as database:
        changed = mentors.reinstate(database.transaction, mentor, calendar=env.calendar, force=force)
    render.mentor_changed(changed, dry_run=dry_run, as_json=json)
