"""Organisations and what the jobs may do for them."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, Debug, DryRun, Json, Local, Reason

app = group("orgs")


@app.command("list", epilog=ADMIN_EXITS)
def list_(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""List the organisations with their settings.

    \b
    Example:
      certjobs orgs list --json
    """
    from certjobs.admin import organisations
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json) as (_, transaction):
        found = organisations.list_organisations(transaction)
    render.organisations(found, as_json=json)


@app.command("set", epilog=ADMIN_EXITS)
def set_(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The organisation, as HLF.")],
    reason: Reason,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", metavar="ZONE", help="Where its days begin, as Europe/Oslo.")
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(metavar="DAYS", help="How many days ahead coordinators are reminded, as 30,14,7.")
    ] = None,
    no_thresholds: Annotated[bool, typer.Option("--no-thresholds", help="Take those of the settings again.")] = False,
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
    no_fallback_address: Annotated[
        bool, typer.Option("--no-fallback-address", help="Nobody is told of mentors that have no coordinator.")
    ] = False,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Change settings of an organisation; what is not named stays.

    \b
    Examples:
      certjobs orgs set HLF --fallback-address mentors@example.org --reason "agreed with the office"
      certjobs orgs set NHF --auto-pause --thresholds 45,14,7 --reason "NHF joins"
    """
    from certjobs.admin import organisations
    from certjobs.cli import render_roster as render

    given = {
        "time_zone": time_zone,
        "thresholds": thresholds,
        "auto_pause": auto_pause,
        "remind": remind,
        "website_sync": website_sync,
        "fallback_address": fallback_address,
    }
    cleared = [
        name for name, wanted in (("thresholds", no_thresholds), ("fallback_address", no_fallback_address)) if wanted
    ]
    for name in cleared:
        if given[name] is not None:
            option = f"--{name.replace('_', '-')}"
            msg = f"is given, and so is --no-{option[2:]}"
            raise typer.BadParameter(msg, param_hint=option)
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        found = organisations.set_organisation(transaction, code, given, cleared=cleared)
    render.organisations([found], dry_run=dry_run, as_json=json)
