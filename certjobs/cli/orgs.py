"""Organisations and what the jobs may do for them."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.options import ADMIN_EXITS, Debug, DryRun, Json, Local

app = typer.Typer(help="What the jobs may do for each organisation.", no_args_is_help=True)


@app.command("list", epilog=ADMIN_EXITS)
def list_(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""List the organisations with their settings.

    \b
    Example:
      certjobs orgs list --json
    """
    from certjobs import bootstrap
    from certjobs.admin import organisations
    from certjobs.cli import render

    with (
        bootstrap.environment(bootstrap.Request(local=local, json=json), render.progress()) as env,
        env.administration() as database,
    ):
        found = organisations.list_organisations(database.transaction)
    render.organisations(found, as_json=json)


@app.command("set", epilog=ADMIN_EXITS)
def set_(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The organisation, as HLF.")],
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="ZONE", help="Where its days begin, as Europe/Oslo.")
    ] = None,
    auto_pause: Annotated[
        bool | None, typer.Option("--auto-pause/--no-auto-pause", help="Whether expired mentors are paused.")
    ] = None,
    remind: Annotated[
        bool | None, typer.Option("--remind/--no-remind", help="Whether coordinators are reminded.")
    ] = None,
    website_sync: Annotated[
        bool | None, typer.Option("--website-sync/--no-website-sync", help="Whether its mentors are on the website.")
    ] = None,
    fallback_address: Annotated[
        str | None,
        typer.Option("--fallback-address", metavar="ADDRESS", help="Who is told of mentors that have no coordinator."),
    ] = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Change settings of an organisation; what is not named stays.

    \b
    Examples:
      certjobs orgs set HLF --fallback-address mentors@example.org
      certjobs orgs set NHF --auto-pause
    """
    from certjobs import bootstrap
    from certjobs.admin import organisations
    from certjobs.cli import render

    given = {
        "time_zone": time_zone,
        "auto_pause": auto_pause,
        "remind": remind,
        "website_sync": website_sync,
        "fallback_address": fallback_address,
    }
    request = bootstrap.Request(local=local, json=json, dry_run=dry_run)
    with bootstrap.environment(request, render.progress()) as env, env.administration() as database:
        found = organisations.set_organisation(database.transaction, code, given)
    render.organisations([found], dry_run=dry_run, as_json=json)
