"""Coordinators by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.administration import administering, confirmed
from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, Chapter, Debug, DryRun, Json, Limit, Local, Org, Reason, among

app = group("coordinators")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The coordinator's e-mail address.")]


@app.command("list", epilog=ADMIN_EXITS)
def list_(
    org: Org = None,
    chapter: Chapter = None,
    without_mentors: Annotated[
        bool, typer.Option("--without-mentors", help="Only those who are nobody's coordinator.")
    ] = False,
    limit: Limit = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List coordinators with their language and how many mentors they have.

    \b
    Examples:
      certjobs coordinators list --org HLF
      certjobs coordinators list --without-mentors --json
    """
    from certjobs.admin import coordinators
    from certjobs.cli import render_roster as render

    if without_mentors and (org or chapter):
        msg = "who has no mentor is in no organisation or chapter; give it without --org and --chapter"
        raise typer.BadParameter(msg, param_hint="--without-mentors")
    with (
        administering(local=local, json=json) as (_, transaction),
        coordinators.listed(
            transaction,
            org=org,
            chapter=chapter,
            without_mentors=without_mentors,
            limit=render.fetched(limit, as_json=json),
        ) as found,
    ):
        render.listed("Coordinators", found, limit=limit, as_json=json)


@app.command("add", epilog=ADMIN_EXITS)
def add(
    address: Address,
    name: Annotated[str, typer.Option(metavar="NAME", help="How the coordinator is addressed.")],
    reason: Reason,
    language: Annotated[
        str,
        typer.Option(metavar="nb|nn|en", help="The language of the notices.", autocompletion=among("nb", "nn", "en")),
    ] = "nb",
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Add a coordinator. Mentors are given to them with `mentors assign`.

    \b
    Example:
      certjobs coordinators add kari@example.org --name "Kari Eksempel" --language nn --reason "new in Prøveby"
    """
    from certjobs.admin import coordinators
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        changed = coordinators.add(transaction, address, name, language)
    render.coordinator_changed(changed, dry_run=dry_run, as_json=json)


@app.command("set", epilog=ADMIN_EXITS)
def set_(
    address: Address,
    reason: Reason,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How the coordinator is addressed.")] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="nb|nn|en", help="The language of the notices.", autocompletion=among("nb", "nn", "en")),
    ] = None,
    new_address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="The address notices go to from now on.")
    ] = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Change a coordinator's name, language or address; what is not named stays.

    \b
    Examples:
      certjobs coordinators set kari@example.org --language en --reason "asked for it"
      certjobs coordinators set kari@example.org --address kari.e@example.org --reason "new address"
    """
    from certjobs.admin import coordinators
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        changed = coordinators.change(transaction, address, name=name, language=language, new_address=new_address)
    render.coordinator_changed(changed, dry_run=dry_run, as_json=json)


@app.command("remove", epilog=ADMIN_EXITS)
def remove(
    address: Address,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first; on a terminal it asks otherwise.")] = False,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Remove a coordinator, with name and address. Notices still owed go to the mentors' other coordinators.

    Remove the coordinator where the roster comes from as well, or the next import brings them back.

    \b
    Example:
      certjobs coordinators remove kari@example.org --reason "left in autumn"
    """
    from certjobs.admin import coordinators
    from certjobs.cli import render_roster as render

    if not (yes or dry_run):
        confirmed("Remove this coordinator for good?")
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        changed = coordinators.remove(transaction, address)
    render.coordinator_changed(changed, dry_run=dry_run, as_json=json, removed=True)
