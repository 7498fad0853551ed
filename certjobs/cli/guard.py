"""Letting through what the guard refused."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.options import ADMIN_EXITS, Debug, DryRun, Json, Local, Reason, clean_reason


def register(app: typer.Typer) -> None:
    """Add ``approve``."""
    app.command("approve", epilog=ADMIN_EXITS)(approve)


def approve(
    hash_: Annotated[
        str, typer.Argument(metavar="HASH", help="The refused set, as the run names it; its beginning will do.")
    ],
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Let the next runs of 48 hours do a set of changes that the guard refused.

    It says which mentors those are; --dry-run only that. What became due since is not covered: the guard looks at it by
    itself.

    \b
    Example:
      certjobs approve 8c1f0d2e4b7a --reason "courses were cancelled this autumn, all are known"
    """
    from certjobs import bootstrap
    from certjobs.admin import approvals
    from certjobs.cli import output, render

    request = bootstrap.Request(local=local, dry_run=dry_run, json=json, reason=clean_reason(reason))
    with bootstrap.environment(request, output.progress()) as env, env.administration() as database:
        found = approvals.approve(database.transaction, hash_, by=env.actor, reason=request.reason or "")
    render.approved(found, dry_run=dry_run, as_json=json)
